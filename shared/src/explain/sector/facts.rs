//! What an explanation is made of: what the host knows at one moment.

use crate::chain::Epoch;
use crate::piece::SectorSize;
use crate::sector::machine::Sector;
use crate::sector::post::PostDuty;
use crate::sector::Phase;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// What is known of a sector.
#[derive(Debug, Clone, PartialEq)]
pub struct SectorFacts<'a> {
    pub sector: &'a Sector,
    /// When its first piece was placed, in milliseconds since 1970.
    pub first_piece_ms: u64,
    /// When the present phase began, in milliseconds since 1970.
    pub since_ms: u64,
    /// When a failed step is tried again, in milliseconds since 1970.
    pub retry_at_ms: Option<u64>,
    /// When it entered each phase, in milliseconds since 1970, the latest last.
    pub history: Vec<(Phase, u64)>,
    /// Whether its step is being done.
    pub turn: Turn,
    /// The message of its pre-commit or commit, once it was made.
    pub message: Option<MessageFacts>,
    /// How the chain has it, once it is committed.
    pub on_chain: Option<OnChain>,
}

/// Where a sector's present step stands in the work of the miner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It is being done since `since_ms`, milliseconds since 1970; `expected` is the prover's own word on how long it
    /// takes in all, when it has one.
    Running { since_ms: u64, expected: Option<Expected> },
    /// It waits until these are done; while a proof-of-spacetime is due, for that too.
    Queued { behind: Vec<QueuedJob> },
}

/// Work that comes before a sector's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedJob {
    pub sector: u64,
    pub phase: Phase,
    /// When that began, in milliseconds since 1970; none while it waits, too.
    pub since_ms: Option<u64>,
    /// Whether all the rest of that sector comes first, not just its present step.
    pub whole: bool,
}

/// How long something takes, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    pub ms: u64,
    pub basis: String,
}

/// How long a phase took here before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// The median.
    pub ms: u64,
    /// Of so many.
    pub samples: u32,
}

/// A message on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageFacts {
    /// Its CID.
    pub id: String,
    /// Whether it is in a block.
    pub in_block: bool,
}

/// A committed sector on the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnChain {
    /// Accepted proofs-of-spacetime that covered it.
    pub proofs: u64,
    /// Since when it is faulty, and when it is lost unless a proof covers it before.
    pub fault: Option<(Epoch, Epoch)>,
}

/// What is around a sector or a deal at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Around {
    /// Milliseconds since 1970.
    pub now_ms: u64,
    /// Of the miner's sectors.
    pub size: SectorSize,
    /// How long a sector takes pieces after its first.
    pub auto_seal_ms: u64,
    /// How long phases took at this size.
    pub measured: BTreeMap<Phase, Measured>,
    pub chain: ChainFacts,
    pub audience: Audience,
}

/// The chain as the miner sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainFacts {
    pub height: Epoch,
    /// When the newest block was made, in milliseconds since 1970.
    pub head_ms: u64,
    /// 0 for a chain whose blocks come by no clock.
    pub block_time_ms: u64,
    /// Blocks from a pre-commit to its seed.
    pub seed_delay: u64,
    /// Why it does not answer.
    pub trouble: Option<String>,
    /// What the miner has to prove now.
    pub post: Option<PostDuty>,
}

/// Who reads an explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Sees everything, and can do something about it.
    Operator,
    /// A client, or anybody else: what names the miner's files and endpoints is left out.
    Client,
}
