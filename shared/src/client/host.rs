//! What the engine asks of a host: the edges of one deal.
//!
//! A browser's worker and a terminal's command implement [`ClientHost`]; [`super::testing`] does in memory. None of its
//! functions decides anything.

use super::record::DealRecord;
use crate::chain::{Address, SecretKey};
use crate::deal::client::ClientRefusal;
use crate::ports::Chain;
use crate::wire::Cbor;
use alloc::string::String;

/// Why a deal does not go on, as far as the rules found it. A host wraps it in its own error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    #[error("miner {miner} gave an answer that cannot be accepted: {refusal}")]
    Refused { miner: Address, refusal: ClientRefusal },
    #[error("the file has changed since the deal was made")]
    FileChanged,
    #[error("the payment channel could not be opened: {reason}")]
    Channel { reason: String },
    #[error("channel {channel} could not be taken back: exit code {exit_code}: {error}")]
    Refund {
        channel: crate::chain::ChannelId,
        exit_code: u64,
        error: String,
    },
    #[error("this deal is not possible: {0}")]
    Schedule(#[from] crate::payment::schedule::ScheduleError),
    #[error("this is not possible in the deal's present state")]
    NotApplicable,
}

/// What somebody wants of a deal that is being carried on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    GoOn,
    /// It is not to be pursued any longer.
    GiveUp {
        reason: String,
    },
}

/// What a host shows of a deal's way; nothing is decided by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The deal came to another stage, which is kept.
    Stage,
    /// A refund came to another stage, which is kept.
    Refund(crate::chain::ChannelId),
    /// Something else of the record changed, which is kept.
    Record,
}

/// What ends a wait before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// Only a call: somebody wants the deal looked at now, or wants something else of it.
    Call,
    /// Also a block that is new since such a wait ended last.
    Block,
}

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    Time,
    Block,
    Called,
}

/// Who is to blame for an error of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blame {
    /// The chain does not answer.
    Chain { reason: String },
    /// The miner is away, or breaks off.
    Miner { reason: String },
    /// The miner is there and does not speak the protocol.
    Protocol { reason: String },
    /// Neither.
    Other,
}

/// The edges of one deal.
#[allow(async_fn_in_trait)] // both hosts run it on one thread
pub trait ClientHost {
    type Error: From<EngineError>;
    /// How the host finds the deal's file again.
    type File: Clone;
    type Chain: Chain<Error = Self::Error>;

    fn chain(&self) -> &Self::Chain;
    /// The payer's key; where that is with a signer elsewhere, the session key that its channels name
    /// ([`crate::chain::session`]).
    fn key(&self) -> SecretKey;
    /// Milliseconds since 1970.
    fn now_ms(&self) -> u64;
    /// What the user wants; asked before every step.
    fn order(&self) -> Order;
    /// Keeps the record; when this returns, it survives a crash.
    async fn save(&self, record: &DealRecord<Self::File>, event: Event) -> Result<(), Self::Error>;
    /// Asks the deal's miner one question, over a connection that is made when there is none.
    async fn ask<Q: Cbor, A: Cbor>(
        &self,
        record: &DealRecord<Self::File>,
        protocol: &'static str,
        question: &Q,
    ) -> Result<A, Self::Error>;
    /// Who is to blame that something failed.
    fn blame(error: &Self::Error) -> Blame;
    /// Waits for `most_ms` at most. A call that comes while nobody waits ends the next wait at once.
    async fn wait(&self, most_ms: u64, awaited: Awaited) -> Woken;
    /// Looks whether the file is still there and the same as when its commitments were computed. What is found of it on
    /// the way may be noted in the record.
    async fn file_is_same(&self, record: &mut DealRecord<Self::File>) -> Result<bool, Self::Error>;
    /// End of the furthest range of the file that the miner has fetched from here.
    fn served(&self) -> u64;
    /// Offers the file to the miner from now on.
    fn offer(&self, record: &DealRecord<Self::File>);
    /// The miner has the file: it need not be kept for the deal any longer.
    async fn file_is_not_needed(&self, record: &DealRecord<Self::File>) -> Result<(), Self::Error>;
}
