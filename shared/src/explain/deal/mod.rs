//! Why a deal is not done yet, and when it will be.
//!
//! [`explain`] is the miner's answer, of a deal that it has; before and after that the client has its own
//! ([`client::explain`]), which takes the miner's in. Both build on what [`crate::explain::sector`] says of the deal's
//! sector, and give the same structure.

pub mod client;
#[cfg(test)]
mod tests;

pub use crate::explain::sector::{
    plain, span, Around, Audience, Cause, CauseCode, ChainFacts, Eta, Explanation, Measured, MessageFacts, SectorFacts,
    Step, StepName, StepState, Subject, SubjectKind, Turn, MAX_JSON,
};

use crate::chain::Epoch;
use crate::deal::{MinerDeal, MinerStage};
use crate::explain::sector::{self as of_sector, chain_causes, share, EtaEstimate};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use cid::Cid;

/// What a miner knows of one of its deals.
#[derive(Debug, Clone, PartialEq)]
pub struct DealFacts<'a> {
    pub deal: &'a MinerDeal,
    pub transfer: TransferFacts,
    /// The sector that the deal is placed in.
    pub sector: Option<SectorFacts<'a>>,
}

/// How far the fetching of a piece is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferFacts {
    /// When the deal was answered, in milliseconds since 1970.
    pub since_ms: u64,
    /// Bytes that are here.
    pub held: u64,
    /// Connected peers that may have the piece.
    pub sources: usize,
    /// How long it may take in all, in milliseconds.
    pub limit_ms: u64,
    /// Why the disk does not take the rest.
    pub no_room: Option<String>,
}

/// Explains a deal, as its miner.
pub fn explain(facts: &DealFacts, around: &Around) -> Explanation {
    let deal = facts.deal;
    let mut told = Explanation {
        subject: subject(&deal.proposal.cid()),
        state: state(&deal.stage).into(),
        done: false,
        at: around.now_ms,
        steps: Vec::new(),
        because: Vec::new(),
        eta: None,
        next: String::new(),
    };
    match &deal.stage {
        MinerStage::Accepted => accepted(&mut told, facts, around),
        MinerStage::Received { .. } => received(&mut told, around),
        MinerStage::Staged { sector, .. } => staged(&mut told, facts, around, *sector),
        MinerStage::Complete { proof, .. } => complete(&mut told, facts, around, proof.sector_id),
        MinerStage::Ended { at, .. } => {
            told.done = true;
            told.next = format!("Nothing: the deal ran to its end, at block {at}.");
        }
        MinerStage::Rejected { reason } => {
            told.done = true;
            told.because.push(rejected(reason));
            told.next = "Nothing: the proposal was refused.".into();
        }
        MinerStage::Failed { reason } => {
            told.done = true;
            told.because.push(failed(reason));
            told.next = "Nothing: the deal has failed.".into();
        }
    }
    if !told.done {
        told.because.extend(time_is_up(deal.deadline(), &told, around));
    }
    told.bounded()
}

/// The answer about a deal that a miner does not have; `paused` is why it takes no new ones at present, if so.
pub fn unknown(deal: &Cid, now_ms: u64, paused: Option<&str>) -> Explanation {
    let mut because = Vec::new();
    because.extend(paused.map(|reason| {
        Cause::new(
            CauseCode::IntakePaused,
            format!("The miner takes no new deals at present: {}.", plain(reason)),
            "Propose it later, or choose another miner.",
        )
    }));
    because.push(Cause::new(
        CauseCode::DealUnknown,
        "The miner has no such deal: it was never proposed to this miner, or its refusal is no longer kept.",
        "Propose it again, or ask the miner that it was made with.",
    ));
    Explanation {
        subject: subject(deal),
        state: "unknown".into(),
        done: false,
        at: now_ms,
        steps: Vec::new(),
        because,
        eta: None,
        next: "Nothing more happens by itself.".into(),
    }
}

fn subject(deal: &Cid) -> Subject {
    Subject {
        kind: SubjectKind::Deal,
        id: deal.to_string(),
    }
}

/// A stage's name, finer than the state that goes over the wire.
pub fn state(stage: &MinerStage) -> &'static str {
    match stage {
        MinerStage::Rejected { .. } => "rejected",
        MinerStage::Accepted => "accepted",
        MinerStage::Received { .. } => "received",
        MinerStage::Staged { .. } => "staged",
        MinerStage::Complete { .. } => "complete",
        MinerStage::Ended { .. } => "ended",
        MinerStage::Failed { .. } => "failed",
    }
}

pub(super) fn step(phase: StepName, state: StepState) -> Step {
    Step {
        phase,
        state,
        since: None,
        expected_ms: None,
        basis: None,
    }
}

pub(super) fn rejected(reason: &str) -> Cause {
    let reason = plain(reason);
    Cause::new(
        CauseCode::DealRejected,
        format!("The miner refused the proposal: {}.", reason.trim_end_matches('.')),
        "Change what the reason names, and propose again, or choose another miner.",
    )
}

pub(super) fn failed(reason: &str) -> Cause {
    let reason = plain(reason);
    Cause::new(
        CauseCode::DealFailed,
        format!("The deal failed: {}.", reason.trim_end_matches('.')),
        "Store the file in a new deal; the money that was set aside for this one comes back.",
    )
}

fn accepted(told: &mut Explanation, facts: &DealFacts, around: &Around) {
    let (transfer, size) = (&facts.transfer, facts.deal.proposal.size());
    let held = transfer.held.min(size);
    let moving = transfer.sources > 0 && transfer.no_room.is_none();
    let state = if moving { StepState::Running } else { StepState::Waiting };
    let whole = rate(held, size, transfer, around);
    told.steps.push(step(StepName::Proposal, StepState::Done));
    told.steps.push(Step {
        since: Some(transfer.since_ms),
        expected_ms: whole,
        basis: whole.map(|_| "the transfer so far".into()),
        ..step(StepName::Transfer, state)
    });
    told.steps.push(step(StepName::Placing, StepState::Waiting));
    told.steps.extend(of_sector::steps_ahead(around));
    told.because.push(data(transfer, held, size, around));
    if let Some(whole) = whole.filter(|_| moving) {
        let left = whole.saturating_sub(around.now_ms.saturating_sub(transfer.since_ms));
        let mut eta = EtaEstimate::of(around).new_sector(left);
        if let Some(eta) = &mut eta {
            eta.basis = format!("the transfer so far, then {}", eta.basis);
        }
        told.eta = eta;
    }
    told.next = "Then the piece is checked, gets its place in a sector, and is sealed.".into();
}

/// How long the whole transfer takes, by what came so far.
fn rate(held: u64, size: u64, transfer: &TransferFacts, around: &Around) -> Option<u64> {
    let elapsed = around.now_ms.saturating_sub(transfer.since_ms);
    let whole = u128::from(elapsed)
        .saturating_mul(size.into())
        .checked_div(held.into())?;
    u64::try_from(whole).ok()
}

/// Why the data is not here.
fn data(transfer: &TransferFacts, held: u64, size: u64, around: &Around) -> Cause {
    let so_far = format!("{held} of {size} bytes ({} %) are here", share(held, size));
    if let Some(reason) = &transfer.no_room {
        let (text, what_to_do) = match around.audience {
            Audience::Operator => (
                format!(
                    "There is no room for the piece: {}.",
                    plain(reason).trim_end_matches('.')
                ),
                "Free disk space in the daemon's home; the transfer then goes on by itself.",
            ),
            Audience::Client => (
                "The miner's disk has no room for the piece at present.".to_string(),
                "Its operator must free some; the transfer then goes on by itself.",
            ),
        };
        return Cause::new(CauseCode::DiskFull, format!("{text} {so_far}."), what_to_do);
    }
    if transfer.sources == 0 {
        let left = transfer
            .since_ms
            .saturating_add(transfer.limit_ms)
            .saturating_sub(around.now_ms);
        let text = format!(
            "{so_far}, and nobody who has the rest is connected to the miner. It waits for another {}.",
            span(left)
        );
        let what_to_do =
            "Open the page that made the deal, or run `sealdrop client resume`: the transfer goes on from where it stopped.";
        return Cause::new(CauseCode::ClientAway, text, what_to_do);
    }
    let text = format!("The miner fetches the file from its client: {so_far}.");
    Cause::new(
        CauseCode::WaitingForData,
        text,
        "Keep the page, or the command that made the deal, open until the file is transferred.",
    )
}

fn received(told: &mut Explanation, around: &Around) {
    let done = [StepName::Proposal, StepName::Transfer].map(|name| step(name, StepState::Done));
    told.steps.extend(done);
    told.steps.push(step(StepName::Placing, StepState::Running));
    told.steps.extend(of_sector::steps_ahead(around));
    told.because.push(Cause::new(
        CauseCode::WaitingForPlace,
        "The whole piece is here and checked; it is being given its place in a sector.",
        "",
    ));
    told.eta = EtaEstimate::of(around).new_sector(0);
    told.next = "Then its sector takes further pieces until its timer is up, and is sealed.".into();
}

fn staged(told: &mut Explanation, facts: &DealFacts, around: &Around, sector: u64) {
    told.steps = before_sector();
    let Some(sector_facts) = &facts.sector else {
        let text = format!("The record of its sector {sector} is not there.");
        let what_to_do = "See the daemon's log; the store may be damaged.";
        told.because.push(Cause::new(CauseCode::Other, text, what_to_do));
        told.next = "Nothing more happens by itself.".into();
        return;
    };
    let of_sector = of_sector::explain(sector_facts, around);
    told.steps.extend(of_sector.steps);
    told.because = of_sector.because;
    told.next = of_sector.next;
    if of_sector.done {
        told.because.push(Cause::new(
            CauseCode::StepRunning,
            format!(
                "Sector {sector} is {}; the deal's state follows in a moment.",
                of_sector.state
            ),
            "",
        ));
    }
    told.eta = of_sector.eta;
}

fn before_sector() -> Vec<Step> {
    [StepName::Proposal, StepName::Transfer, StepName::Placing]
        .map(|name| step(name, StepState::Done))
        .into()
}

fn complete(told: &mut Explanation, facts: &DealFacts, around: &Around, sector: u64) {
    told.done = true;
    told.steps = before_sector();
    told.next = format!(
        "Sector {sector} is proven again in every window, until block {}.",
        facts.deal.end()
    );
    if let Some(sector_facts) = &facts.sector {
        let of_sector = of_sector::explain(sector_facts, around);
        told.steps.extend(of_sector.steps);
        told.because = of_sector.because;
        told.next = format!("{} The deal runs until block {}.", of_sector.next, facts.deal.end());
    }
}

/// The deal's time ends before it can be done, as far as can be told.
fn time_is_up(deadline: Option<Epoch>, told: &Explanation, around: &Around) -> Vec<Cause> {
    let chain = &around.chain;
    let Some(deadline) = deadline else { return Vec::new() };
    let left = deadline.0.saturating_sub(chain.height.0);
    let time = left.saturating_mul(chain.block_time_ms);
    let too_late = told.eta.as_ref().is_some_and(|eta| eta.expected_ms > time) && chain.block_time_ms > 0;
    let mut because = Vec::new();
    if left == 0 || too_late {
        let text = match left {
            0 => format!("The deal's time was over at block {deadline}; it is about to be given up."),
            _ => format!(
                "The deal is given up at block {deadline}, in about {}: before it is likely to be done.",
                span(time)
            ),
        };
        let what_to_do = "Store the file in a new deal that runs longer.";
        because.push(Cause::new(CauseCode::TimeIsUp, text, what_to_do));
    }
    // A sector's own causes name the chain when the sector needs it; a deal without one only waits for blocks to end.
    if told.because.is_empty() {
        because.extend(chain_causes(around));
    }
    because
}
