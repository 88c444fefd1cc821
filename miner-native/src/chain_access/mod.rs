//! The way to the chain: typed questions, and messages that are sent once however often they are asked for.
//!
//! Called by the miner's host (commits, proofs, redemptions) and by the command-line client (channels). It speaks JSON-RPC
//! over HTTP even to a chain in the same process, so that a chain elsewhere makes no difference. It owns nonces, the
//! outbox and confirmations (design §4): persist first, then send; sending twice is harmless.

mod client;
mod error;
mod outbox;
mod tending;
#[cfg(test)]
mod tests;

pub use error::ChainError;
pub use outbox::{MAX_PURPOSE, MAX_UNSETTLED, SETTLED_KEPT};

use crate::devnet::{FaucetView, MessageView, DROPPED_EXIT_CODE};
use cid::Cid;
use client::Client;
use outbox::{Entry, OtherChain, Outbox, Stage};
use serde_json::{json, Value};
use shared::chain::view::{ActorView, ChannelView, HeadView, MinerView, NetworkView, ReceiptView};
use shared::chain::{Address, Call, ChannelId, Epoch, SecretKey, SignedMessage};
use shared::wire;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{watch, Mutex};
use tokio::time::Instant;

/// How long a confirmation waits for an endpoint that is away before it gives up.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest wait for news of the head before a receipt is asked for again.
const NEWS: Duration = Duration::from_secs(10);
/// The code of a message that the chain can never take, in this state.
const MESSAGE_INVALID: i64 = -32001;

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
    pub async fn connect(url: &str, outbox: sled::Tree, key: SecretKey) -> Result<Self, ChainError> {
        let client = Client::new(url)?;
        let network: NetworkView = client.call("chain.network", json!({})).await?;
        let head: HeadView = client.call("chain.head", json!({})).await?;
        let outbox = Outbox::open(outbox, &network.genesis)?.map_err(|OtherChain { ours }| ChainError::OtherChain {
            url: url.to_owned(),
            ours,
            theirs: network.genesis.clone(),
            network: network.network.clone(),
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

    pub async fn network(&self) -> Result<NetworkView, ChainError> {
        self.inner.client.call("chain.network", json!({})).await
    }

    pub async fn head(&self) -> Result<HeadView, ChainError> {
        self.inner.client.call("chain.head", json!({})).await
    }

    /// `None` for an address that the chain does not know.
    pub async fn actor(&self, address: &Address) -> Result<Option<ActorView>, ChainError> {
        self.inner
            .client
            .call("chain.actor", json!({ "address": address }))
            .await
    }

    pub async fn miner(&self, address: &Address) -> Result<Option<MinerView>, ChainError> {
        self.inner
            .client
            .call("chain.miner", json!({ "address": address }))
            .await
    }

    pub async fn miners(&self) -> Result<Vec<MinerView>, ChainError> {
        self.inner.client.call("chain.miners", json!({})).await
    }

    pub async fn channel(&self, payer: &Address, id: ChannelId) -> Result<Option<ChannelView>, ChainError> {
        self.inner
            .client
            .call("chain.channel", json!({ "payer": payer, "id": id }))
            .await
    }

    /// The ticket of the block at `height`; an error when there is no such block yet.
    pub async fn beacon(&self, height: Epoch) -> Result<Vec<u8>, ChainError> {
        let text: String = self
            .inner
            .client
            .call("chain.beacon", json!({ "height": height }))
            .await?;
        self.from_hex(&text)
    }

    /// What became of a message; `None` while it waits, and when the chain does not know it.
    pub async fn receipt(&self, message: &Cid) -> Result<Option<ReceiptView>, ChainError> {
        self.inner.client.call("chain.receipt", by_id(message)).await
    }

    /// `None` when the chain does not know the message.
    pub async fn message(&self, message: &Cid) -> Result<Option<MessageView>, ChainError> {
        self.inner.client.call("chain.message", by_id(message)).await
    }

    /// Runs a call without changing anything; its value is not moved. Returns the ABI's return values.
    pub async fn query(&self, call: &Call) -> Result<Vec<Vec<u8>>, ChainError> {
        let params: Vec<String> = call.params.iter().map(hex::encode).collect();
        let query = json!({ "to": call.to, "from": self.address(), "method": call.method, "params": params });
        let answer: Value = self.inner.client.call("chain.query", query).await?;
        let returns = answer
            .get("returns")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        returns
            .iter()
            .map(|value| self.from_hex(value.as_str().unwrap_or_default()))
            .collect()
    }

    /// Addresses (multiaddr) that a peer announced; none when the chain's directory does not know it.
    pub async fn find_peer(&self, peer_id: &str) -> Result<Vec<String>, ChainError> {
        self.inner.client.call("peers.find", json!({ "peerId": peer_id })).await
    }

    /// Announces a peer: `record` is a libp2p peer record in its signed envelope (protobuf).
    pub async fn announce(&self, record: &[u8]) -> Result<(), ChainError> {
        let taken: bool = self
            .inner
            .client
            .call("peers.announce", json!({ "record": hex::encode(record) }))
            .await?;
        match taken {
            true => Ok(()),
            false => Err(self.strange("it did not take the peer record")),
        }
    }

    /// Asks the devnet's faucet for money, which arrives with one of the next blocks.
    pub async fn faucet(&self, address: &Address) -> Result<FaucetView, ChainError> {
        self.inner
            .client
            .call("devnet.faucet", json!({ "address": address }))
            .await
    }

    /// Sends a call once for a purpose and returns its message's id. Asked again for the same purpose, it sends the same
    /// message again, whatever the call, until the purpose is settled and long past, or forgotten.
    ///
    /// On [`ChainError::Unreachable`] the message may be on its way: it goes out again by itself when the chain is back,
    /// and with the next call. On [`ChainError::Rpc`] for a new message nothing was sent and the purpose is free.
    pub async fn submit(&self, purpose: &str, call: Call) -> Result<Cid, ChainError> {
        let length = purpose.len();
        if !(1..=MAX_PURPOSE).contains(&length) {
            let purpose = purpose.chars().take(80).collect();
            return Err(ChainError::Purpose {
                purpose,
                length,
                most: MAX_PURPOSE,
            });
        }
        let _one_at_a_time = self.inner.turn.lock().await;
        if let Some(Entry { message, stage, .. }) = self.inner.outbox.entry(purpose) {
            if stage == Stage::Sent {
                self.push_again(&message).await?;
            }
            return Ok(message.cid());
        }
        self.send(purpose, call).await
    }

    /// Makes, keeps and sends a message. The caller holds the turn.
    async fn send(&self, purpose: &str, call: Call) -> Result<Cid, ChainError> {
        let from = self.address();
        let next = self.actor(&from).await?.map_or(0, |actor| actor.nonce);
        let nonce = self.inner.outbox.free_nonce(next);
        let message = call.message(&from, nonce).sign(&self.inner.key);
        self.inner.outbox.add(purpose, message.clone())?;
        // FAIL: the process may end here, or the chain be away.
        // THEN: `tending` sends it when the chain is back; its nonce is taken until then.
        match self.push(&message).await {
            Err(refused @ ChainError::Rpc { .. }) => {
                self.inner.outbox.withdraw(purpose)?;
                Err(refused)
            }
            other => other.map(|()| message.cid()),
        }
    }

    /// Waits until a message is on the chain. Errs with [`ChainError::Failed`] when it is there and had no effect, with
    /// [`ChainError::Dropped`] when it never will be, and when the chain is away for a minute.
    pub async fn confirmed(&self, message: &Cid) -> Result<ReceiptView, ChainError> {
        let mut heads = self.inner.heads.clone();
        let mut away: Option<Instant> = None;
        loop {
            heads.borrow_and_update();
            match self.look(message).await {
                Ok(Some(receipt)) => return self.judge(message, receipt),
                Ok(None) => away = None,
                Err(error @ ChainError::Unreachable { .. }) => {
                    if away.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
            // A timeout is no news; a closed channel cannot be: `self` holds its sender's task.
            let _ = tokio::time::timeout(NEWS, heads.changed()).await;
        }
    }

    /// Asks for a message's receipt; one that the chain does not know is sent again.
    async fn look(&self, message: &Cid) -> Result<Option<ReceiptView>, ChainError> {
        if let Some(receipt) = self.receipt(message).await? {
            return Ok(Some(receipt));
        }
        if self.message(message).await?.is_some() {
            return Ok(None);
        }
        match self.inner.outbox.by_cid(message) {
            None => Err(ChainError::UnknownMessage {
                message: message.to_string(),
            }),
            Some(Entry {
                stage: Stage::Dropped, ..
            }) => Err(ChainError::Dropped {
                reason: "the chain dropped it some time ago".to_owned(),
            }),
            Some(Entry { message, .. }) => self.push_again(&message).await.map(|()| None),
        }
    }

    /// Records what a receipt says and turns a failure into an error.
    fn judge(&self, message: &Cid, receipt: ReceiptView) -> Result<ReceiptView, ChainError> {
        let dropped = receipt.exit_code == DROPPED_EXIT_CODE;
        self.inner
            .outbox
            .advance(message, if dropped { Stage::Dropped } else { Stage::Mined })?;
        match receipt.exit_code {
            0 => Ok(receipt),
            DROPPED_EXIT_CODE => Err(ChainError::Dropped { reason: receipt.error }),
            exit_code => Err(ChainError::Failed {
                exit_code,
                error: receipt.error,
            }),
        }
    }

    /// [`Self::submit`] and [`Self::confirmed`] in one.
    pub async fn call(&self, purpose: &str, call: Call) -> Result<(Cid, ReceiptView), ChainError> {
        let message = self.submit(purpose, call).await?;
        self.confirmed(&message).await.map(|receipt| (message, receipt))
    }

    /// Frees a purpose after its message failed or was dropped, so that it can be tried anew. Of a message that may still
    /// come to a block, both could take effect: wait with [`Self::confirmed`] first.
    pub fn forget(&self, purpose: &str) -> Result<(), ChainError> {
        self.inner.outbox.forget(purpose)
    }

    /// Says that a purpose is done for good and will not be asked for again; its message may be cleared away.
    pub fn settle(&self, purpose: &str) -> Result<(), ChainError> {
        self.inner.outbox.settle(purpose)
    }

    async fn push(&self, message: &SignedMessage) -> Result<(), ChainError> {
        let bytes = hex::encode(wire::encode(message));
        let answer: Value = self
            .inner
            .client
            .call("chain.push", json!({ "message": bytes }))
            .await?;
        let (told, ours) = (answer.get("message").and_then(Value::as_str), message.cid().to_string());
        (told == Some(ours.as_str()))
            .then_some(())
            .ok_or_else(|| self.strange("it names the message otherwise"))
    }

    /// Sends a message of the outbox again. One that the chain can no longer take is as good as dropped.
    async fn push_again(&self, message: &SignedMessage) -> Result<(), ChainError> {
        match self.push(message).await {
            Err(ChainError::Rpc {
                code: MESSAGE_INVALID,
                message: reason,
                ..
            }) => {
                self.inner.outbox.advance(&message.cid(), Stage::Dropped)?;
                Err(ChainError::Dropped { reason })
            }
            other => other,
        }
    }

    fn from_hex(&self, text: &str) -> Result<Vec<u8>, ChainError> {
        hex::decode(text).map_err(|e| self.strange(&e.to_string()))
    }

    fn strange(&self, reason: &str) -> ChainError {
        ChainError::Protocol {
            url: self.url().to_owned(),
            reason: reason.to_owned(),
        }
    }
}

fn by_id(message: &Cid) -> Value {
    json!({ "message": message.to_string() })
}
