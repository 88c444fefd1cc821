//! Why a sector is not done yet, and when it will be: one structured answer, the same for the command line, the operator's
//! requests and the page.
//!
//! The host gathers [`SectorFacts`] and what is [`Around`] them; [`explain`] decides what they mean. It reads no clock and
//! never fails. [`crate::explain::deal`] answers the same of a deal, before, in and after its sector. The answer promises
//! nothing: it is unsigned, and nobody acts upon it.

mod causes;
mod estimate;
mod facts;
#[cfg(test)]
pub(crate) mod tests;
mod words;

pub(crate) use causes::chain_causes;
pub(crate) use estimate::EtaEstimate;
pub use facts::{
    Around, Audience, ChainFacts, Expected, Measured, MessageFacts, OnChain, QueuedJob, SectorFacts, Turn,
};
pub(crate) use words::share;
pub use words::{plain, span};

use crate::sector::{Phase, SectorStage};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Longest answer that is read from a peer, in bytes of JSON.
pub const MAX_JSON: usize = 64 * 1024;
/// Most steps and most causes in an answer: twice what the longest one has.
const MAX_ITEMS: usize = 32;
/// Longest text in an answer, in characters.
pub const MAX_TEXT: usize = 600;

/// Why something is not done, and when it will be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    pub subject: Subject,
    /// How far it is, in one word: a sector's phase, a deal's stage.
    pub state: String,
    /// Whether nothing more is to come: it is done, over, or has failed, as `state` says.
    pub done: bool,
    /// When this was said, in milliseconds since 1970 by the clock of who said it.
    pub at: u64,
    /// What it goes through, in order; none when it never began.
    pub steps: Vec<Step>,
    /// Why it is not done, the most pressing cause first. Never empty while `done` is false.
    pub because: Vec<Cause>,
    /// When it will be done; none when nobody can tell, and when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta: Option<Eta>,
    /// What comes next, in a sentence.
    pub next: String,
}

/// What an explanation is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    pub kind: SubjectKind,
    /// A deal's id, or a sector's number.
    pub id: String,
}

/// See [`Subject`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum SubjectKind {
    Deal,
    Sector,
}

/// One thing that is gone through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "ExplainedStep"))]
#[serde(rename_all = "camelCase")]
pub struct Step {
    pub phase: StepName,
    pub state: StepState,
    /// When it began, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// How long it takes in all, in milliseconds, as far as that can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_ms: Option<u64>,
    /// What that number goes by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<String>,
}

/// The steps of a deal in order; a sector has those from `packing` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum StepName {
    /// The client opens the payment channel.
    Channel,
    /// The client proposes, the miner answers.
    Proposal,
    /// The piece is fetched.
    Transfer,
    /// The piece gets its place in a sector.
    Placing,
    Packing,
    Closed,
    PreCommit1,
    PreCommit2,
    PreCommitting,
    WaitSeed,
    Commit1,
    Commit2,
    Committing,
    /// A step that this version does not know.
    #[serde(other)]
    Other,
}

impl StepName {
    /// The steps that this version knows, in a deal's order.
    pub const ALL: [Self; 13] = [
        Self::Channel,
        Self::Proposal,
        Self::Transfer,
        Self::Placing,
        Self::Packing,
        Self::Closed,
        Self::PreCommit1,
        Self::PreCommit2,
        Self::PreCommitting,
        Self::WaitSeed,
        Self::Commit1,
        Self::Commit2,
        Self::Committing,
    ];
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum StepState {
    Done,
    Running,
    /// It has not begun: what comes before it is not done, or it stands in a queue.
    Waiting,
    Failed,
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    pub code: CauseCode,
    /// What and why, in words.
    pub text: String,
    /// What to do about it; empty when it passes by itself.
    pub what_to_do: String,
}

/// Stable names of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum CauseCode {
    /// The payment channel's message is not in a block yet.
    ChannelOpening,
    /// The proposal is signed, and the miner has not answered it.
    WaitingForAnswer,
    /// The miner cannot be asked.
    MinerUnreachable,
    /// The miner answers queries, and cannot explain.
    MinerCannotExplain,
    /// The miner does not know the deal.
    DealUnknown,
    /// Bytes are on their way.
    WaitingForData,
    /// Bytes are missing, and nobody who has them is connected.
    ClientAway,
    /// The disk has no room for the piece.
    DiskFull,
    /// All bytes are here; a sector is being looked for.
    WaitingForPlace,
    /// The sector takes pieces until its timer is up.
    WaitingForAutoSeal,
    /// Other work comes first.
    QueuedBehind,
    /// The step is being done.
    StepRunning,
    /// The step takes longer than expected.
    StepSlow,
    /// The step failed, and is tried again.
    StepFailed,
    /// A proof-of-spacetime goes first.
    PostFirst,
    /// A message waits for a block.
    MessageNotOnChain,
    /// The block that the seed is drawn from is still to come.
    WaitingForSeed,
    ChainUnreachable,
    ChainNotMakingBlocks,
    /// A proof-of-spacetime is due.
    PostDue,
    /// Its files were not whole when it was to be proven.
    SectorFaulty,
    /// Its deals are over, and the next proof-of-spacetime releases it.
    WaitingForRelease,
    /// The files of a released sector are being deleted.
    DeletingFiles,
    SectorFailed,
    DealRejected,
    DealFailed,
    /// The deal's time is up soon, or was up before its piece was sealed.
    TimeIsUp,
    /// New deals are not taken at present.
    IntakePaused,
    /// A reason that this version does not know.
    #[serde(other)]
    Other,
}

/// When it will be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Eta {
    /// Milliseconds from the explanation's `at`, when nothing else comes first.
    pub earliest_ms: u64,
    /// Milliseconds from the explanation's `at`.
    pub expected_ms: u64,
    /// What they go by: reads on after "going by".
    pub basis: String,
}

impl Cause {
    pub(crate) fn new(code: CauseCode, text: impl Into<String>, what_to_do: impl Into<String>) -> Self {
        let (text, what_to_do) = (text.into(), what_to_do.into());
        Self { code, text, what_to_do }
    }
}

impl Explanation {
    /// The explanation as it may be shown: what a peer sent has no more items, no longer texts and no other characters
    /// than one that was made here.
    pub fn bounded(mut self) -> Self {
        self.steps.truncate(MAX_ITEMS);
        self.because.truncate(MAX_ITEMS);
        for text in [&mut self.subject.id, &mut self.state, &mut self.next] {
            *text = plain(text);
        }
        for cause in &mut self.because {
            cause.text = plain(&cause.text);
            cause.what_to_do = plain(&cause.what_to_do);
        }
        let bases = self.steps.iter_mut().filter_map(|step| step.basis.as_mut());
        for basis in bases.chain(self.eta.as_mut().map(|eta| &mut eta.basis)) {
            *basis = plain(basis);
        }
        self
    }

    /// Whether one of the causes has this code.
    pub fn is_because_of(&self, code: CauseCode) -> bool {
        self.because.iter().any(|cause| cause.code == code)
    }
}

impl From<Phase> for StepName {
    /// What comes after the commitment is no step: the sector is done by then.
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Packing => Self::Packing,
            Phase::Closed => Self::Closed,
            Phase::PreCommit1 => Self::PreCommit1,
            Phase::PreCommit2 => Self::PreCommit2,
            Phase::PreCommitting => Self::PreCommitting,
            Phase::WaitSeed => Self::WaitSeed,
            Phase::Commit1 => Self::Commit1,
            Phase::Commit2 => Self::Commit2,
            Phase::Committing => Self::Committing,
            _ => Self::Other,
        }
    }
}

/// Explains a sector.
pub fn explain(facts: &SectorFacts, around: &Around) -> Explanation {
    let phase = facts.sector.phase();
    let because = causes::of(facts, around);
    let blocked = because.iter().any(|cause| {
        matches!(
            cause.code,
            CauseCode::ChainUnreachable | CauseCode::ChainNotMakingBlocks
        )
    });
    let eta = match Phase::UNSEALED.contains(&phase) && !blocked {
        true => EtaEstimate::of(around).sector(facts),
        false => None,
    };
    Explanation {
        subject: Subject {
            kind: SubjectKind::Sector,
            id: facts.sector.id.to_string(),
        },
        state: words::state(phase).into(),
        done: is_done(&facts.sector.stage),
        at: around.now_ms,
        steps: steps(facts, around),
        because,
        eta,
        next: words::next(facts, around),
    }
}

/// Whether nothing more is to be expected of sealing.
fn is_done(stage: &SectorStage) -> bool {
    match stage {
        SectorStage::Failed { resume, .. } => resume.is_none(),
        stage => matches!(stage.phase(), Phase::Proving | Phase::Removed),
    }
}

/// The sector's steps up to its commitment; of a failed one, those that it came to.
pub(crate) fn steps(facts: &SectorFacts, around: &Around) -> Vec<Step> {
    let phase = facts.sector.phase();
    let (reached, failed) = match &facts.sector.stage {
        SectorStage::Failed { phase, .. } => (*phase, true),
        _ => (phase, false),
    };
    let estimate = EtaEstimate::of(around);
    let mut steps = Vec::new();
    for step in Phase::UNSEALED {
        let began = facts.history.iter().rev().find(|(began, _)| *began == step);
        let state = match step.cmp(&reached) {
            core::cmp::Ordering::Less => StepState::Done,
            core::cmp::Ordering::Equal if failed => StepState::Failed,
            core::cmp::Ordering::Equal if matches!(facts.turn, Turn::Queued { .. }) => StepState::Waiting,
            core::cmp::Ordering::Equal => StepState::Running,
            core::cmp::Ordering::Greater if failed => break,
            core::cmp::Ordering::Greater => StepState::Waiting,
        };
        let expected = match state {
            StepState::Running | StepState::Waiting => estimate.whole(step, facts),
            StepState::Done | StepState::Failed => None,
        };
        // A step that is ahead again, after a failure, began earlier, and is to begin anew.
        let since = began.map(|(_, at)| *at).filter(|_| step <= reached);
        let (expected_ms, basis) = expected.map(|expected| (expected.ms, expected.basis)).unzip();
        steps.push(Step {
            phase: step.into(),
            state,
            since,
            expected_ms,
            basis,
        });
    }
    steps
}

/// The steps of a sector that is not there yet.
pub(crate) fn steps_ahead(around: &Around) -> Vec<Step> {
    let estimate = EtaEstimate::of(around);
    let ahead = Phase::UNSEALED.into_iter().map(|phase| {
        let expected = estimate.ahead(phase);
        let (expected_ms, basis) = expected.map(|expected| (expected.ms, expected.basis)).unzip();
        Step {
            phase: phase.into(),
            state: StepState::Waiting,
            since: None,
            expected_ms,
            basis,
        }
    });
    ahead.collect()
}
