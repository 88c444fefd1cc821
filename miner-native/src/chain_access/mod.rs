//! The way to the chain: typed questions, and messages that are sent once however often they are asked for.
//!
//! Called by the miner's host (commits, proofs, redemptions) and by the command-line client (channels). It speaks JSON-RPC
//! over HTTP even to a chain in the same process, so that a chain elsewhere makes no difference. It owns nonces, the
//! outbox and confirmations (design §4): persist first, then send; sending twice is harmless.

mod client;
mod error;
mod feed;
mod outbox;
mod questions;
mod sending;
mod tending;
#[cfg(test)]
mod tests;

pub use error::ChainError;
pub use outbox::{MAX_PURPOSE, MAX_UNSETTLED, OUTBOX, SCHEMA as OUTBOX_SCHEMA, SETTLED_KEPT};

use client::Client;
use outbox::{OtherChain, Outbox};
use sealdrop_database::Store;
use shared::chain::rpc;
use shared::chain::view::{HeadView, NetworkView, ReceiptView};
use shared::chain::{calls, Address, AttoFil, Epoch, SecretKey};
use std::sync::Arc;
use tokio::sync::{watch, Mutex};

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
}

struct Inner {
    client: Client,
    network: NetworkView,
    key: SecretKey,
    outbox: Outbox,
    /// Held while a message is made, so that each gets a nonce of its own.
    turn: Mutex<()>,
    heads: watch::Receiver<HeadView>,
    tending: tokio::task::AbortHandle,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tending.abort();
    }
}

impl ChainAccess {
    /// Connects to the endpoint and goes on with the messages in the outbox, which must be those of `key` on the same
    /// chain. Needs a tokio runtime, on which it follows the head.
    pub async fn connect(url: &str, outbox: Arc<dyn Store>, key: SecretKey) -> Result<Self, ChainError> {
        let client = Client::new(url)?;
        let network = client.call(&rpc::Network {}).await?;
        let head = client.call(&rpc::Head {}).await?;
        let outbox = Outbox::open(outbox, &network.genesis, &key.address())?.map_err(|OtherChain { ours }| {
            ChainError::OtherChain {
                url: url.to_owned(),
                ours,
                theirs: network.genesis.clone(),
                network: network.network.clone(),
            }
        })?;
        let (news, heads) = watch::channel(head);
        let (handover, taken) = tokio::sync::oneshot::channel();
        let tending = tokio::spawn(tending::run(taken, news)).abort_handle();
        let inner = Arc::new(Inner {
            client,
            network,
            key,
            outbox,
            turn: Mutex::new(()),
            heads,
            tending,
        });
        // The task cannot be gone: nothing but dropping `inner` stops it before it has this.
        let _ = handover.send(Arc::downgrade(&inner));
        Ok(Self { inner })
    }

    /// The account that messages are sent from.
    pub fn address(&self) -> Address {
        self.inner.key.address()
    }

    /// Where the chain is reached.
    pub fn url(&self) -> &str {
        &self.inner.client.url
    }

    /// The network as it was when connecting; its policy never changes.
    pub fn connected_network(&self) -> &NetworkView {
        &self.inner.network
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
