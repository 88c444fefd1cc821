//! Questions to the chain, typed. None of them changes anything, and all may be asked again.

use super::outbox::Stage;
use super::{ChainAccess, ChainError, MessageStatus};
use cid::Cid;
use shared::chain::light::{MessageProof, SignedHeader, StateKey, StateProof};
use shared::chain::peers::{peer_from_text, SignedRecord};
use shared::chain::rpc::{self, BlockView, FaucetView, MessageSummary, MessageView, PoolView, PreviewView, SupplyView};
use shared::chain::view::{ActorView, ChannelView, HeadView, MinerView, NetworkView, ReceiptView};
use shared::chain::{Address, AttoFil, Call, ChannelId, Epoch};
use std::sync::PoisonError;

impl ChainAccess {
    pub async fn network(&self) -> Result<NetworkView, ChainError> {
        self.inner.client.call(&rpc::Network {}).await
    }

    pub async fn head(&self) -> Result<HeadView, ChainError> {
        self.inner.client.call(&rpc::Head {}).await
    }

    /// `None` for an address that the chain does not know.
    pub async fn actor(&self, address: &Address) -> Result<Option<ActorView>, ChainError> {
        let address = address.clone();
        self.inner.client.call(&rpc::Actor { address }).await
    }

    pub async fn miner(&self, address: &Address) -> Result<Option<MinerView>, ChainError> {
        let address = address.clone();
        self.inner.client.call(&rpc::Miner { address }).await
    }

    pub async fn miners(&self) -> Result<Vec<MinerView>, ChainError> {
        self.inner.client.call(&rpc::Miners {}).await
    }

    pub async fn channel(&self, payer: &Address, id: ChannelId) -> Result<Option<ChannelView>, ChainError> {
        let payer = payer.clone();
        self.inner.client.call(&rpc::Channel { payer, id }).await
    }

    /// Money of any actor; nothing for one that the chain does not know.
    pub async fn balance(&self, address: &Address) -> Result<AttoFil, ChainError> {
        let actor = self.actor(address).await?;
        Ok(actor.map_or(AttoFil::ZERO, |actor| actor.balance))
    }

    /// The ticket of the block at `height`, from which randomness is drawn ([`shared::chain::randomness`]); an error when
    /// there is no such block yet. No past height is too old: tickets are computed, not stored.
    pub async fn beacon(&self, height: Epoch) -> Result<Vec<u8>, ChainError> {
        let ticket = self.inner.client.call(&rpc::Beacon { height }).await?;
        Ok(ticket.0)
    }

    /// What became of a message; `None` while it waits, and when the chain does not know it.
    pub async fn receipt(&self, message: &Cid) -> Result<Option<ReceiptView>, ChainError> {
        self.inner.client.call(&rpc::Receipt { message: *message }).await
    }

    /// The message that this node made for a purpose, and whether it has seen it in a block.
    pub fn message_for(&self, purpose: &str) -> Option<(Cid, bool)> {
        let entry = self.inner.outbox.entry(purpose)?;
        Some((entry.message.cid(), entry.stage == Stage::Mined))
    }

    /// `None` when the chain does not know the message.
    pub async fn message(&self, message: &Cid) -> Result<Option<MessageView>, ChainError> {
        self.inner.client.call(&rpc::Message { message: *message }).await
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
        if receipt.is_dropped() {
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
        let query = rpc::Query {
            to: to.clone(),
            from: from.cloned(),
            method: method.to_owned(),
            params: params.to_vec(),
            height,
        };
        let answer = self.inner.client.call(&query).await?;
        answer.returns.iter().map(|value| self.decode_hex(value)).collect()
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
        let preview = rpc::Preview {
            to: call.to.clone(),
            from: from.cloned().unwrap_or_else(|| self.address()),
            value: call.value,
            method: call.method.clone(),
            params: call.params.clone(),
        };
        self.inner.client.call(&preview).await
    }

    /// The genesis record, unchecked: [`shared::chain::light::Anchor`] opens it.
    pub async fn genesis_record(&self) -> Result<Vec<u8>, ChainError> {
        Ok(self.inner.client.call(&rpc::GenesisRecord {}).await?.0)
    }

    /// The signed header of a block (the newest one's when `None`), unchecked.
    pub async fn header(&self, height: Option<Epoch>) -> Result<SignedHeader, ChainError> {
        Ok(self.inner.client.call(&rpc::Header { height }).await?.0)
    }

    /// The proof of a message, unchecked; `None` while it is in no block.
    pub async fn prove_message(&self, message: &Cid) -> Result<Option<MessageProof>, ChainError> {
        let proof = self.inner.client.call(&rpc::ProveMessage { message: *message }).await?;
        Ok(proof.map(|proof| proof.0))
    }

    /// The proof of entries of the state after a block (the newest one when `None`), unchecked.
    pub async fn prove_state(&self, keys: &[StateKey], height: Option<Epoch>) -> Result<StateProof, ChainError> {
        let keys = keys.to_vec();
        Ok(self.inner.client.call(&rpc::ProveState { keys, height }).await?.0)
    }

    /// The block at `height`; an error when there is none yet, or when it is no longer kept.
    pub async fn block(&self, height: Epoch) -> Result<BlockView, ChainError> {
        self.inner.client.call(&rpc::Block { height }).await
    }

    /// The blocks from one height to another, both included, oldest first; at most
    /// [`rpc::MAX_LISTED`]. Those that are no longer kept are left out.
    pub async fn blocks(&self, from: Epoch, to: Epoch) -> Result<Vec<BlockView>, ChainError> {
        self.inner.client.call(&rpc::Blocks { from, to }).await
    }

    /// Messages in blocks from or to an address, newest first, at most [`rpc::MAX_LISTED`].
    /// `before` leaves out those at that height and above.
    pub async fn messages(&self, address: &Address, before: Option<Epoch>) -> Result<Vec<MessageSummary>, ChainError> {
        let address = address.clone();
        self.inner.client.call(&rpc::Messages { address, before }).await
    }

    /// The messages that wait for a block; of one sender when it is given.
    pub async fn pool(&self, sender: Option<&Address>) -> Result<PoolView, ChainError> {
        let address = sender.cloned();
        self.inner.client.call(&rpc::Pool { address }).await
    }

    /// Where all the money is.
    pub async fn supply(&self) -> Result<SupplyView, ChainError> {
        self.inner.client.call(&rpc::Supply {}).await
    }

    /// What an exit code of the actor at `to` means; `None` for 0. A receipt's own text, where it is at hand, says more.
    pub async fn exit_text(&self, to: &Address, exit_code: u64) -> Result<Option<String>, ChainError> {
        let (to, code) = (to.clone(), exit_code);
        let answer = self.inner.client.call(&rpc::ExitText { to, code }).await?;
        Ok(answer.text)
    }

    /// What a peer says of where it is, by its signature; `None` when the chain's directory does not know it.
    pub async fn find_peer(&self, peer_id: &str) -> Result<Option<SignedRecord>, ChainError> {
        let peer =
            peer_from_text(peer_id).ok_or_else(|| self.strange("it named a peer by something that is no peer id"))?;
        let peer_id = peer_id.to_owned();
        let answer = self.inner.client.call(&rpc::FindPeer { peer_id }).await?;
        let mut known = self.inner.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = known.take_answer(&peer, answer.as_ref().map(|envelope| envelope.0.as_slice()));
        newest
            .map(Option::<&SignedRecord>::cloned)
            .map_err(|error| self.strange(&error.to_string()))
    }

    /// Announces a peer: `record` is a libp2p peer record in its signed envelope (protobuf).
    pub async fn announce(&self, record: &[u8]) -> Result<(), ChainError> {
        let record = record.to_vec();
        let taken = self.inner.client.call(&rpc::AnnouncePeer { record }).await?;
        match taken {
            true => Ok(()),
            false => Err(self.strange("it did not take the peer record")),
        }
    }

    /// Asks the devnet's faucet for money, which arrives with one of the next blocks.
    pub async fn faucet(&self, address: &Address) -> Result<FaucetView, ChainError> {
        let address = address.clone();
        self.inner.client.call(&rpc::Faucet { address }).await
    }
}
