//! Which node's data and which chain a command is about: the options `--home` and `--chain`, and what follows from them.
//!
//! A daemon writes into its data directory where it is reached, so that `--home` alone names it; `--chain` names the
//! chain of another.

use super::error::CommandError;
use crate::chain_access::{ChainAccess, ChainError};
use crate::client::account::rpc_url;
use crate::client::{Account, DEFAULT_CHAIN};
use crate::home::Home;
use crate::wallet::random_key;
use clap::Args;
use shared::chain::Address;
use std::path::PathBuf;

/// Memory for the cache of a store that holds nothing, in bytes.
const CACHE: u64 = 1 << 20;

/// The options of every command that asks or changes a node or its chain.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// Where data is kept [default: ~/.sealdrop]
    #[arg(long, value_name = "DIR", env = "SEALDROP_HOME", global = true)]
    home: Option<PathBuf>,
    /// The chain's endpoint [default: that of the home's daemon, or http://127.0.0.1:4403]
    #[arg(long, value_name = "URL", env = "SEALDROP_CHAIN", global = true)]
    chain: Option<String>,
}

impl Target {
    /// The data directory.
    pub fn home(&self) -> Result<Home, CommandError> {
        Ok(Home::open(self.home.clone())?)
    }

    /// The chain's endpoint.
    pub fn chain_url(&self) -> Result<String, CommandError> {
        if let Some(url) = &self.chain {
            return Ok(url.clone());
        }
        let endpoints = self.home()?.endpoints()?;
        Ok(endpoints.map_or_else(|| DEFAULT_CHAIN.to_owned(), |endpoints| endpoints.chain))
    }

    /// A way to ask the chain, without an account: nothing can be sent through it.
    pub async fn chain(&self) -> Result<ChainAccess, CommandError> {
        // Its outbox is empty and goes away with it, and so does its key.
        let store = sled::Config::new().temporary(true).cache_capacity(CACHE).open();
        let outbox = store.and_then(|store| store.open_tree("outbox"));
        let outbox = outbox.map_err(ChainError::from)?;
        let url = rpc_url(&self.chain_url()?);
        Ok(ChainAccess::connect(&url, outbox, random_key()).await?)
    }

    /// The client's account `from`, or that of its default key.
    pub async fn account(&self, from: Option<&Address>) -> Result<Account, CommandError> {
        Ok(Account::open_as(&self.home()?.client(), &self.chain_url()?, from).await?)
    }
}
