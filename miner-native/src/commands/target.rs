//! Which node's data and which chain a command is about: the options `--home` and `--chain`, and what follows from them.
//!
//! A daemon writes into its data directory where it is reached, so that `--home` alone names it; `--chain` names the
//! chain of another. A home belongs to one network for good.

use super::error::CommandError;
use crate::client::{Account, ClientError};
use cid::Cid;
use clap::Args;
use sealdrop_database::Memory;
use sealdrop_miner::chain_access::{rpc_url, ChainAccess};
use sealdrop_miner::data_dir::{DataDir, KnownChain};
use sealdrop_miner::operator::token::{Scope, Tokens};
use sealdrop_miner::operator::{Operator, OperatorError};
use sealdrop_wallet::{random_key, Wallet, WalletError};
use shared::chain::Address;
use std::path::PathBuf;
use std::sync::Arc;

/// A token that was given, instead of the home's.
const TOKEN: &str = "SEALDROP_OPERATOR_TOKEN";

/// The options of every command that asks or changes a node or its chain.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// Where data is kept [default: ~/.sealdrop]
    #[arg(long, value_name = "DIR", env = "SEALDROP_HOME", global = true)]
    home: Option<PathBuf>,
    /// The chain's endpoint [default: that of the home's daemon, or the one that the home was first used with]
    #[arg(long, value_name = "URL", env = "SEALDROP_CHAIN", global = true)]
    chain: Option<String>,
}

/// The option of the commands that ask the daemon itself.
#[derive(Debug, Clone, Args)]
pub struct DaemonPort {
    /// Port of the daemon's web page [default: that of the home's daemon]
    #[arg(long, value_name = "PORT", global = true)]
    web_port: Option<u16>,
}

impl Target {
    /// The data directory's path, if one was named.
    pub fn home_as_given(&self) -> Option<PathBuf> {
        self.home.clone()
    }

    /// The data directory.
    pub fn home(&self) -> Result<DataDir, CommandError> {
        Ok(DataDir::open(self.home.clone())?)
    }

    /// The data directory of a command that only reads it: one that is not there is not made.
    pub fn existing_home(&self) -> Result<DataDir, CommandError> {
        Ok(DataDir::open_existing(self.home.clone())?)
    }

    /// The chain's endpoint. It serves the home's network: the first one that it was used with, or its daemon's. Keys,
    /// channels and deals mean nothing on another, and whatever else may listen there is not talked to (finding E5).
    pub async fn chain_url(&self) -> Result<String, CommandError> {
        Ok(self.connected().await?.0)
    }

    async fn connected(&self) -> Result<(String, ChainAccess), CommandError> {
        let (chain, found) = self.dialled().await?;
        self.home()?.bind_chain(&found)?;
        Ok((found.endpoint, chain))
    }

    async fn dialled(&self) -> Result<(ChainAccess, KnownChain), CommandError> {
        let endpoint = self.endpoint()?;
        // Its outbox is empty and goes away with it, and so does its key.
        let chain = ChainAccess::connect(&rpc_url(&endpoint), Arc::new(Memory::default()), random_key()).await?;
        let genesis = chain.connected_network().genesis.clone();
        Ok((chain, KnownChain { genesis, endpoint }))
    }

    /// The same as [`Target::chain`] for who only looks: a home that was used with no network yet does not belong to this one for it.
    pub async fn looked_at(&self) -> Result<ChainAccess, CommandError> {
        let (chain, found) = self.dialled().await?;
        self.home()?.check_chain(&found)?;
        Ok(chain)
    }

    /// Where the home's network should be.
    pub fn endpoint(&self) -> Result<String, CommandError> {
        if let Some(url) = &self.chain {
            return Ok(url.clone());
        }
        let home = self.home()?;
        if let Some(endpoints) = home.endpoints()? {
            return Ok(endpoints.chain);
        }
        let known = home.known_chain()?.map(|known| known.endpoint);
        known.ok_or_else(|| CommandError::NoNetwork {
            home: home.root().to_owned(),
        })
    }

    /// The same as others are told: by a name, and in TLS where there is a certificate.
    pub fn endpoint_told(&self) -> Result<String, CommandError> {
        let home = self.home()?;
        match (&self.chain, home.endpoints()?) {
            (None, Some(endpoints)) => Ok(endpoints.chain_told().to_owned()),
            _ => self.endpoint(),
        }
    }

    /// A way to ask the chain, without an account: nothing can be sent through it.
    pub async fn chain(&self) -> Result<ChainAccess, CommandError> {
        Ok(self.connected().await?.1)
    }

    /// The account `from`, or that of the client's default key. Keys are looked for in the client's wallet, then in that
    /// of the daemon's miner.
    pub async fn account(&self, from: Option<&Address>) -> Result<Account, CommandError> {
        let home = self.home()?;
        let (url, chain) = self.connected().await?;
        let (dir, network) = (home.client(), chain.network_id()?);
        let unknown = match Account::open_as(&dir, &url, &network, from).await {
            Err(error @ ClientError::Wallet(WalletError::Unknown { .. })) => error,
            other => return Ok(other?),
        };
        let miners = home.miner().join("wallet");
        let (Some(from), true) = (from, miners.is_dir()) else {
            return Err(unknown.into());
        };
        match Wallet::open(miners)?.key_on(from, &network) {
            Ok(key) => Ok(Account::of_key(&dir, &url, &network, key)?),
            Err(WalletError::Unknown { .. }) => Err(unknown.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// The network that the home belongs to, by its genesis id; `None` when it was never used with one.
    pub fn known_network(&self) -> Result<Option<Cid>, CommandError> {
        let known = self.home()?.known_chain()?;
        let parsed = known.map(|known| {
            known
                .genesis
                .parse()
                .map_err(|_| CommandError::Genesis { text: known.genesis })
        });
        parsed.transpose()
    }

    /// The same, of a new home by asking the chain: accounts are bound to it.
    pub async fn network(&self) -> Result<Cid, CommandError> {
        match self.known_network()? {
            Some(network) => Ok(network),
            None => Ok(self.chain().await?.network_id()?),
        }
    }

    /// The way to the home's daemon.
    pub fn operator(&self, port: &DaemonPort) -> Result<Operator, CommandError> {
        let base = match port.web_port {
            Some(port) => format!("http://127.0.0.1:{port}"),
            None => {
                let home = self.home()?;
                let unreachable = |reason: &str| OperatorError::Unreachable {
                    base: home.root().display().to_string(),
                    reason: reason.into(),
                };
                let endpoints = home.endpoints()?;
                let endpoints = endpoints.ok_or_else(|| unreachable("none ever ran in this home"))?;
                endpoints
                    .web
                    .ok_or_else(|| unreachable("this home's daemon runs a chain alone, without a miner"))?
            }
        };
        Ok(Operator::at(&base, self.token()?)?)
    }

    /// What shows the home's daemon that its operator asks, or why there is nothing. It is not sent while no daemon uses the
    /// home: another program may listen where that one did.
    fn token(&self) -> Result<Result<String, String>, CommandError> {
        if let Ok(given) = std::env::var(TOKEN) {
            return Ok(Ok(given));
        }
        let home = self.home()?;
        let tokens = match Tokens::read(&home.tokens()) {
            Ok(tokens) => tokens,
            Err(error) => return Ok(Err(error.to_string())),
        };
        Ok(match home.is_in_use()? {
            true => Ok(tokens.of(Scope::Admin).to_owned()),
            false => Err(format!(
                "it is not the daemon of {}, which does not run",
                home.root().display()
            )),
        })
    }

    /// The miner that is meant when none is named: the daemon's, or the one registered from here on this chain.
    pub async fn own_miner(&self, port: &DaemonPort) -> Result<Address, CommandError> {
        let asked = async { Ok(self.operator(port)?.mining().await?) };
        match asked.await {
            Ok(status) => Ok(status.address),
            Err(CommandError::Operator(OperatorError::Unreachable { base, .. })) => {
                let registered = self.home()?.registered()?;
                registered
                    .map(|found| found.miner)
                    .ok_or(CommandError::NoMiner { base })
            }
            Err(error) => Err(error),
        }
    }
}
