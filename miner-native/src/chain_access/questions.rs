//! Questions to the chain, typed. None of them changes anything, and all may be asked again.

use super::outbox::Stage;
use super::{by_id, ChainAccess, ChainError, MessageStatus};
use crate::devnet::{
    BlockView, ExitTextView, FaucetView, MessageSummary, MessageView, PoolView, PreviewView, QueryView, SupplyView,
    DROPPED_EXIT_CODE,
};
use cid::Cid;
use serde_json::json;
use shared::chain::view::{ActorView, ChannelView, HeadView, MinerView, NetworkView, ReceiptView};
use shared::chain::{Address, AttoFil, Call, ChannelId, Epoch};

impl ChainAccess {
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

    /// Money of any actor; nothing for one that the chain does not know.
    pub async fn balance(&self, address: &Address) -> Result<AttoFil, ChainError> {
        let actor = self.actor(address).await?;
        Ok(actor.map_or(AttoFil::ZERO, |actor| actor.balance))
    }

    /// The ticket of the block at `height`, from which randomness is drawn ([`shared::chain::randomness`]); an error when
    /// there is no such block yet. No past height is too old: tickets are computed, not stored.
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

    /// The message that this node made for a purpose, and whether it has seen it in a block.
    pub fn message_for(&self, purpose: &str) -> Option<(Cid, bool)> {
        let entry = self.inner.outbox.entry(purpose)?;
        Some((entry.message.cid(), entry.stage == Stage::Mined))
    }

    /// `None` when the chain does not know the message.
    pub async fn message(&self, message: &Cid) -> Result<Option<MessageView>, ChainError> {
        self.inner.client.call("chain.message", by_id(message)).await
    }

    /// Where a message stands, whoever sent it.
    pub async fn message_status(&self, message: &Cid) -> Result<MessageStatus, ChainError> {
        let view = match self.message(message).await {
            Err(ChainError::Pruned { height, .. }) => return Ok(MessageStatus::Pruned { height }),
            other => other?,
        };
        let Some(view) = view else {
            let ours = self.inner.outbox.by_cid(message);
            return Ok(ours.map_or(MessageStatus::Unknown, |_| MessageStatus::Unsent));
        };
        let Some(receipt) = view.receipt else {
            return Ok(MessageStatus::Waiting);
        };
        if receipt.exit_code == DROPPED_EXIT_CODE {
            let (height, reason) = (receipt.height, receipt.error);
            return Ok(MessageStatus::Dropped { height, reason });
        }
        let head = self.head().await?.height;
        let confirmations = head.0.saturating_sub(receipt.height.0);
        Ok(MessageStatus::Mined { receipt, confirmations })
    }

    /// Runs a method against the state after the block at `height` (the head's when `None`) and drops what it changes
    /// (spec §5.6). Value is 0 and gas a block's; without `from` the caller is an actor that owns nothing. Returns the
    /// ABI's return values; errs with [`ChainError::Reverted`] when the method reverts.
    pub async fn query(
        &self,
        to: &Address,
        from: Option<&Address>,
        method: &str,
        params: &[Vec<u8>],
        height: Option<Epoch>,
    ) -> Result<Vec<Vec<u8>>, ChainError> {
        let params: Vec<String> = params.iter().map(hex::encode).collect();
        let query = json!({ "to": to, "from": from, "method": method, "params": params, "height": height });
        let answer: QueryView = self.inner.client.call("chain.query", query).await?;
        answer.returns.iter().map(|value| self.from_hex(value)).collect()
    }

    /// [`Self::query`] of a call as its builder made it, by this account, at the head; its value is not moved.
    pub async fn ask(&self, call: &Call) -> Result<Vec<Vec<u8>>, ChainError> {
        let from = self.address();
        self.query(&call.to, Some(&from), &call.method, &call.params, None)
            .await
    }

    /// What a call would do and the gas that it would use if `from` (this account when `None`) sent it now. Nothing is
    /// sent or signed. A call that would revert is no error here: see [`PreviewView::exit_code`].
    pub async fn preview(&self, call: &Call, from: Option<&Address>) -> Result<PreviewView, ChainError> {
        let own = self.address();
        let params: Vec<String> = call.params.iter().map(hex::encode).collect();
        let call = json!({
            "to": call.to, "from": from.unwrap_or(&own), "value": call.value, "method": call.method, "params": params,
        });
        self.inner.client.call("chain.preview", call).await
    }

    /// The block at `height`; an error when there is none yet, or when it is no longer kept.
    pub async fn block(&self, height: Epoch) -> Result<BlockView, ChainError> {
        let height = json!({ "height": height });
        self.inner.client.call("chain.block", height).await
    }

    /// The blocks from one height to another, both included, oldest first; at most
    /// [`MAX_LISTED`](crate::devnet::MAX_LISTED). Those that are no longer kept are left out.
    pub async fn blocks(&self, from: Epoch, to: Epoch) -> Result<Vec<BlockView>, ChainError> {
        let span = json!({ "from": from, "to": to });
        self.inner.client.call("chain.blocks", span).await
    }

    /// Messages in blocks from or to an address, newest first, at most [`MAX_LISTED`](crate::devnet::MAX_LISTED).
    /// `before` leaves out those at that height and above.
    pub async fn messages(&self, address: &Address, before: Option<Epoch>) -> Result<Vec<MessageSummary>, ChainError> {
        let of = json!({ "address": address, "before": before });
        self.inner.client.call("chain.messages", of).await
    }

    /// The messages that wait for a block; of one sender when it is given.
    pub async fn pool(&self, sender: Option<&Address>) -> Result<PoolView, ChainError> {
        self.inner.client.call("chain.pool", json!({ "address": sender })).await
    }

    /// Where all the money is.
    pub async fn supply(&self) -> Result<SupplyView, ChainError> {
        self.inner.client.call("chain.supply", json!({})).await
    }

    /// What an exit code of the actor at `to` means; `None` for 0. A receipt's own text, where it is at hand, says more.
    pub async fn exit_text(&self, to: &Address, exit_code: u64) -> Result<Option<String>, ChainError> {
        let of = json!({ "to": to, "code": exit_code });
        let answer: ExitTextView = self.inner.client.call("chain.exitText", of).await?;
        Ok(answer.text)
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
}
