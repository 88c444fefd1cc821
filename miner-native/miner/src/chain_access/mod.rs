//! The way to the chain: typed questions, and messages that are sent once however often they are asked for.
//!
//! Called by the miner's host (commits, proofs, redemptions) and by the command-line client (channels). It speaks JSON-RPC
//! over HTTP even to a chain in the same process, so that a chain elsewhere makes no difference. It owns nonces, the
//! outbox and confirmations (design §4): persist first, then send; sending twice is harmless.

mod account;
mod client;
mod error;
mod feed;
mod outbox;
mod questions;
mod resubmission;
mod sending;
#[cfg(test)]
mod tests;

pub use account::Account;
pub use client::rpc_url;
pub use error::ChainError;
pub use outbox::{MAX_PURPOSE, MAX_UNSETTLED, OUTBOX, SCHEMA as OUTBOX_SCHEMA, SETTLED_KEPT};

use crate::supervisor::{Lifeline, ServiceError};
use cid::Cid;
use client::Client;
use outbox::{OtherChain, Outbox};
use sealdrop_database::Store;
use shared::chain::peers::Directory;
use shared::chain::rpc;
use shared::chain::view::{HeadView, NetworkView, ReceiptView};
use shared::chain::{calls, Address, AttoFil, Epoch, SecretKey};
use std::sync::{Arc, PoisonError, Weak};
use tokio::sync::{watch, Mutex};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What a sender offers for gas. The default is enough for every method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gas {
    /// For one unit.
    pub price: AttoFil,
    /// Most units that may be used.
    pub limit: u64,
}

impl Default for Gas {
    fn default() -> Self {
        Self {
            price: calls::GAS_PRICE,
            limit: calls::GAS_LIMIT,
        }
    }
}

/// Where a message stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageStatus {
    /// Neither the chain nor this node's outbox knows it.
    Unknown,
    /// This node made it, and the chain does not have it (any more); it goes out again by itself unless it was dropped.
    Unsent,
    /// In the chain's pool.
    Waiting,
    /// In a block, whatever came of it: see the receipt's exit code.
    Mined {
        receipt: ReceiptView,
        /// Blocks after its own.
        confirmations: u64,
    },
    /// In no block; its nonce is free.
    Dropped { height: Epoch, reason: String },
    /// In the block at `height`, so long ago that the chain keeps nothing more of it.
    Pruned { height: Epoch },
}

/// One account's way to one chain. Clones share nonces and outbox.
#[derive(Clone)]
pub struct ChainAccess {
    inner: Arc<Inner>,
    account: Account,
}

struct Inner {
    client: Client,
    network: NetworkView,
    /// Those that messages are sent from here.
    accounts: std::sync::Mutex<Vec<Account>>,
    outbox: Outbox,
    /// Held while a message is made, so that each gets a nonce of its own.
    turn: Mutex<()>,
    /// The newest records of peers that the chain has shown.
    peers: std::sync::Mutex<Directory>,
    news: watch::Sender<HeadView>,
    heads: watch::Receiver<HeadView>,
    /// Ends the following when this is dropped.
    _gone: DropGuard,
}

/// The service that follows the chain of a [`ChainAccess`].
#[derive(Clone)]
pub struct Following {
    inner: Weak<Inner>,
    gone: CancellationToken,
}

impl Following {
    /// Follows the head and looks after messages that nobody waits for, until it is to stop or the chain access is gone.
    pub async fn run(self, lifeline: Lifeline) -> Result<(), ServiceError> {
        let following = resubmission::run(self.inner, lifeline.clone());
        lifeline.unless_stopping(self.gone.run_until_cancelled(following)).await;
        Ok(())
    }
}

/// What the endpoint at `url` serves, before anything is kept of it.
pub async fn network_at(url: &str) -> Result<NetworkView, ChainError> {
    Client::new(url)?.call(&rpc::Network {}).await
}

/// Which network the chain at `url` is, by its genesis id: accounts are bound to it.
pub async fn genesis_at(url: &str) -> Result<Cid, ChainError> {
    network_id(url, &network_at(url).await?)
}

fn network_id(url: &str, network: &NetworkView) -> Result<Cid, ChainError> {
    let genesis = &network.genesis;
    genesis.parse().map_err(|e| ChainError::Protocol {
        url: url.to_owned(),
        reason: format!("its genesis id {genesis:?} is no CID: {e}"),
    })
}

impl ChainAccess {
    /// Connects to the endpoint and goes on with the messages in the outbox, which must be those of `key` on the same
    /// chain. Needs a tokio runtime, on which it follows the head for as long as it lives.
    pub async fn connect(url: &str, outbox: Arc<dyn Store>, key: SecretKey) -> Result<Self, ChainError> {
        let (access, following) = Self::open(url, outbox, key).await?;
        // Ends with the chain access.
        tokio::spawn(async move { following.run(Lifeline::unsupervised()).await });
        Ok(access)
    }

    /// The same without following the head: that is the caller's to run.
    pub async fn open(url: &str, outbox: Arc<dyn Store>, key: SecretKey) -> Result<(Self, Following), ChainError> {
        let client = Client::new(url)?;
        let network = client.call(&rpc::Network {}).await?;
        client.keep_to(&network.genesis);
        let head = client.call(&rpc::Head {}).await?;
        let outbox = Outbox::open(outbox, &network.genesis)?.map_err(|OtherChain { ours }| ChainError::OtherChain {
            url: url.to_owned(),
            ours,
            theirs: network.genesis.clone(),
            network: network.network.clone(),
        })?;
        let (news, heads) = watch::channel(head);
        let (account, gone) = (Account::of(key), CancellationToken::new());
        let inner = Arc::new(Inner {
            client,
            network,
            accounts: std::sync::Mutex::new(vec![account.clone()]),
            outbox,
            turn: Mutex::new(()),
            peers: std::sync::Mutex::default(),
            news,
            heads,
            _gone: gone.clone().drop_guard(),
        });
        let following = Following {
            inner: Arc::downgrade(&inner),
            gone,
        };
        Ok((Self { inner, account }, following))
    }

    /// The account that messages are sent from.
    pub fn address(&self) -> Address {
        self.account.address()
    }

    /// The same way to the same chain for another account, of which there may be few.
    pub fn with_account(&self, account: Account) -> Self {
        let mut accounts = self.inner.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.push(account.clone());
        drop(accounts);
        let inner = self.inner.clone();
        Self { inner, account }
    }

    /// One way for each account that messages are sent from here.
    fn of_all_accounts(inner: &Arc<Inner>) -> Vec<Self> {
        let accounts = inner.accounts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let of = |account| Self {
            inner: inner.clone(),
            account,
        };
        accounts.into_iter().map(of).collect()
    }

    /// Where the chain is reached.
    pub fn url(&self) -> &str {
        &self.inner.client.url
    }

    /// The network as it was when connecting; its policy never changes.
    pub fn connected_network(&self) -> &NetworkView {
        &self.inner.network
    }

    /// Which network this is, by its genesis id.
    pub fn network_id(&self) -> Result<Cid, ChainError> {
        network_id(&self.inner.client.url, &self.inner.network)
    }

    /// The newest block, followed for as long as this object lives.
    pub fn heads(&self) -> watch::Receiver<HeadView> {
        self.inner.heads.clone()
    }

    fn decode_hex(&self, text: &str) -> Result<Vec<u8>, ChainError> {
        hex::decode(text).map_err(|e| self.strange(&e.to_string()))
    }

    fn strange(&self, reason: &str) -> ChainError {
        ChainError::Protocol {
            url: self.url().to_owned(),
            reason: reason.to_owned(),
        }
    }
}
