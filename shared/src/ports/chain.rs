//! The chain as a client needs it: questions, and messages that are sent once for a purpose (design §4).
//!
//! The adapter owns nonces, the outbox and confirmations. Its errors are the host's own (the endpoint is away, the disk is
//! full): what the chain itself says of a message is [`Sent`].

use crate::chain::view::{ChannelView, MinerView};
use crate::chain::{Address, Call, ChannelId, Epoch, Policy, Receipt};
use alloc::{format, string::String, vec::Vec};
use cid::Cid;
use core::future::Future;

/// What a client's message is for. The same purpose of the same deal is the same message, however often it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MessagePurpose {
    /// Opens the channel of a deal's attempt: a deal that is drawn up anew opens another one.
    OpenChannel {
        attempt: u32,
    },
    Cancel {
        channel: ChannelId,
    },
    Reclaim {
        channel: ChannelId,
    },
}

impl MessagePurpose {
    /// The name that an outbox keeps the message under; `deal` is the record's id.
    pub fn key(&self, deal: &str) -> String {
        match self {
            Self::OpenChannel { attempt: 0 } => format!("deal/{deal}/channel"),
            Self::OpenChannel { attempt } => format!("deal/{deal}/channel/{attempt}"),
            Self::Cancel { channel } => format!("deal/{deal}/cancel/{channel}"),
            Self::Reclaim { channel } => format!("deal/{deal}/reclaim/{channel}"),
        }
    }

    /// The name under which the browser of 0.1.0 kept it.
    pub fn former_key(&self, deal: &str) -> String {
        match self {
            Self::OpenChannel { attempt } => format!("channel/{deal}/{attempt}"),
            Self::Cancel { channel } => format!("cancel/{deal}/{channel}"),
            Self::Reclaim { channel } => format!("reclaim/{deal}/{channel}"),
        }
    }
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// On its way to a block: ask again later.
    Pending,
    /// In a block, and it took effect.
    Applied { message: Cid, receipt: Receipt },
    /// In a block, without any effect.
    Failed { exit_code: u64, error: String },
    /// In the block at this height, of which the chain keeps nothing more: what came of it is seen in the state only. A
    /// channel that it opened has the message's `number` for its id (spec §5.2).
    Pruned { message: Cid, number: u64, height: Epoch },
    /// In no block, and it never will be; nothing is kept under its purpose any more.
    Dropped { reason: String },
    /// Never made: whoever holds the payer's key would not sign it. Nothing was paid, and the purpose is free.
    Refused { reason: String },
}

/// A message of somebody else, as the chain knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    Known(CommitMessage),
    /// In the block at this height, of which the chain keeps nothing more.
    Pruned(Epoch),
    Unknown,
}

/// What the chain knows of the message that a miner names as its sector's commitment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitMessage {
    pub to: Address,
    pub method: String,
    /// As the actor got them.
    pub params: Vec<Vec<u8>>,
    /// Height and exit code, once it is in a block.
    pub applied: Option<(Epoch, u64)>,
}

/// The chain, asked by the client.
#[allow(async_fn_in_trait)] // both hosts run it on one thread
pub trait Chain {
    type Error;

    /// The head's height.
    async fn height(&self) -> Result<Epoch, Self::Error>;
    /// The network's rules, which never change.
    async fn policy(&self) -> Result<Policy, Self::Error>;
    /// `None` when there is no such miner.
    async fn miner(&self, address: &Address) -> Result<Option<MinerView>, Self::Error>;
    /// `None` when the payer has no such channel (any more).
    async fn channel(&self, payer: &Address, id: ChannelId) -> Result<Option<ChannelView>, Self::Error>;
    /// A message by its id.
    async fn message(&self, id: &Cid) -> Result<Found, Self::Error>;
    /// Asks an actor without a message: `Ok(Err(_))` is its refusal, with its text.
    async fn ask(&self, call: &Call) -> Result<Result<(), String>, Self::Error>;
    /// Sends `call` as a message of `payer`, once for the deal's purpose; asked again, it sends no second one and tells what
    /// became of the first. The message is durable before it leaves. `Err` when it could not be made or sent: then nothing
    /// was paid, and the purpose is free, unless the chain is away.
    async fn send(&self, payer: &Address, deal: &str, purpose: MessagePurpose, call: Call)
        -> Result<Sent, Self::Error>;
    /// The same where whoever has the payer's key may be asked first, and think for as long as they like: no longer than until `over` is.
    /// `None` when that came first; what they sign after it is thrown away, and the purpose is free. A host that has the key asks nobody.
    async fn send_unless(
        &self,
        payer: &Address,
        deal: &str,
        purpose: MessagePurpose,
        call: Call,
        _over: impl Future<Output = ()>,
    ) -> Result<Option<Sent>, Self::Error> {
        self.send(payer, deal, purpose, call).await.map(Some)
    }
    /// What became of the message for a purpose, without making one; `None` when there is none.
    async fn sent(&self, payer: &Address, deal: &str, purpose: MessagePurpose) -> Result<Option<Sent>, Self::Error>;
    /// The outcome is kept elsewhere, or another message is to be made: the purpose is free.
    async fn settle(&self, payer: &Address, deal: &str, purpose: MessagePurpose) -> Result<(), Self::Error>;
}
