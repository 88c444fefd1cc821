//! Why a sector is not done: the most pressing reason first.

use super::words::{blocks, doing, plain, share, span};
use super::{Around, Audience, Cause, CauseCode, EtaEstimate, SectorFacts, Turn};
use crate::sector::failing::MAX_ATTEMPTS;
use crate::sector::post::PostDuty;
use crate::sector::{Phase, SectorStage};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A chain is said to stand still when its newest block is older than so many block times, and than [`STILL_MS`].
const STILL_BLOCKS: u64 = 10;
/// Shortest silence that is told of: a busy machine makes a block late now and then.
const STILL_MS: u64 = 15_000;
/// Sectors that are named in a queue; the rest are counted.
const MAX_NAMED: usize = 5;

/// The causes of a sector; none when it is done without trouble.
pub(super) fn of(facts: &SectorFacts, around: &Around) -> Vec<Cause> {
    let phase = facts.sector.phase();
    let mut because = Vec::new();
    let needs_chain = matches!(
        phase,
        Phase::Closed | Phase::PreCommitting | Phase::WaitSeed | Phase::Committing | Phase::Expired
    );
    if needs_chain {
        because.extend(chain_causes(around));
    }
    because.extend(main(facts, around));
    because.extend(failure(facts, around));
    if phase == Phase::Proving {
        because.extend(duties(facts, around));
    }
    because
}

/// What is wrong with the chain.
pub(crate) fn chain_causes(around: &Around) -> Vec<Cause> {
    let chain = &around.chain;
    let age = around.now_ms.saturating_sub(chain.head_ms);
    if let Some(reason) = &chain.trouble {
        let (text, what_to_do) = match around.audience {
            Audience::Operator => (
                format!("The chain's endpoint does not answer: {}.", plain(reason)),
                "Start the chain again, or correct its URL; the miner goes on by itself when it is back.",
            ),
            Audience::Client => (
                "The miner cannot reach the chain.".to_string(),
                "Nothing on your side; it goes on when the chain is back.",
            ),
        };
        return [Cause::new(CauseCode::ChainUnreachable, text, what_to_do)].into();
    }
    let limit = chain.block_time_ms.saturating_mul(STILL_BLOCKS).max(STILL_MS);
    if chain.block_time_ms == 0 || age < limit {
        return Vec::new();
    }
    let text = format!(
        "The chain makes no blocks: block {} is the last one, {} old, where one comes every {}.",
        chain.height,
        span(age),
        span(chain.block_time_ms)
    );
    let what_to_do = "See whether the chain's process runs and its disk has room; all goes on with the next block.";
    [Cause::new(CauseCode::ChainNotMakingBlocks, text, what_to_do)].into()
}

/// What the present phase waits for.
fn main(facts: &SectorFacts, around: &Around) -> Option<Cause> {
    let id = facts.sector.id;
    if let (Turn::Queued { behind }, true) = (&facts.turn, is_sealing(facts.sector.phase())) {
        return Some(queued(facts, behind, around));
    }
    let cause = match &facts.sector.stage {
        SectorStage::Packing => auto_seal(facts, around),
        SectorStage::Closed => Cause::new(
            CauseCode::StepRunning,
            format!("Sector {id} is closed; its ticket is being drawn from the chain."),
            "",
        ),
        SectorStage::PreCommit1 { .. }
        | SectorStage::PreCommit2 { .. }
        | SectorStage::Commit1 { .. }
        | SectorStage::Commit2 { .. } => running(facts, around),
        SectorStage::PreCommitting { .. } => message(facts, around, "pre-commit"),
        SectorStage::Committing { .. } => message(facts, around, "commit"),
        SectorStage::WaitSeed { seed_epoch, .. } => {
            let left = seed_epoch.0.saturating_sub(around.chain.height.0);
            let text = match left {
                0 => format!("The seed of sector {id}'s proof is being read from block {seed_epoch}."),
                _ => format!(
                    "The seed of sector {id}'s proof comes from block {seed_epoch}, which is still to be made: {} more. \
                     It must not be known before the data was committed to.",
                    blocks(left, around)
                ),
            };
            Cause::new(CauseCode::WaitingForSeed, text, "")
        }
        SectorStage::Expired { .. } => release(facts, around),
        SectorStage::Released { height } => Cause::new(
            CauseCode::DeletingFiles,
            format!("The chain dropped sector {id} at block {height}; its files are being deleted."),
            "",
        ),
        SectorStage::Failed { phase, reason, resume } => failed(facts, *phase, reason, resume.is_some(), around),
        SectorStage::Proving { .. } | SectorStage::Removed { .. } => return None,
    };
    Some(cause)
}

fn is_sealing(phase: Phase) -> bool {
    phase > Phase::Packing && phase < Phase::Proving
}

fn auto_seal(facts: &SectorFacts, around: &Around) -> Cause {
    let (sector, size) = (facts.sector, facts.sector.size.bytes());
    let used = sector.layout().map_or(0, |layout| layout.used());
    let due = facts.first_piece_ms.saturating_add(around.auto_seal_ms);
    let when = match due.saturating_sub(around.now_ms) {
        0 => "now".into(),
        left => format!("in {}, or as soon as it is nearly full", span(left)),
    };
    let text = format!(
        "Sector {} still takes pieces: {} % of it is filled, and it is sealed {when}.",
        sector.id,
        share(used, size)
    );
    let what_to_do = match around.audience {
        Audience::Operator => "`sealdrop mining seal-now` seals it at once.",
        Audience::Client => "",
    };
    Cause::new(CauseCode::WaitingForAutoSeal, text, what_to_do)
}

fn queued(facts: &SectorFacts, behind: &[super::QueuedJob], around: &Around) -> Cause {
    let (id, phase) = (facts.sector.id, facts.sector.phase());
    let named = behind.iter().take(MAX_NAMED);
    let named: Vec<String> = named
        .map(|work| format!("sector {} ({})", work.sector, doing(work.phase)))
        .collect();
    let more = match behind.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let turn = match behind {
        [] => format!("Sector {id} waits for its turn; {} is next", doing(phase)),
        _ => format!("Sector {id} waits for its turn behind {}{more}", named.join(", ")),
    };
    match around.chain.post {
        Some(PostDuty::Prove { deadline, .. }) => Cause::new(
            CauseCode::PostFirst,
            format!("{turn}. A proof-of-spacetime, due before block {deadline}, goes first."),
            "",
        ),
        _ => Cause::new(CauseCode::QueuedBehind, format!("{turn}."), ""),
    }
}

fn running(facts: &SectorFacts, around: &Around) -> Cause {
    let (id, phase) = (facts.sector.id, facts.sector.phase());
    let since = match facts.turn {
        Turn::Running { since_ms, .. } => since_ms,
        Turn::Queued { .. } => facts.since_ms,
    };
    let estimate = EtaEstimate::of(around);
    let for_now = span(around.now_ms.saturating_sub(since));
    let Some(expected) = estimate.whole(phase, facts) else {
        let text = format!(
            "Sector {id}: {} for {for_now} now; how long it takes is not known.",
            doing(phase)
        );
        return Cause::new(CauseCode::StepRunning, text, "");
    };
    let (left, overdue) = estimate.remaining(expected.ms, since);
    let usual = span(expected.ms);
    let basis = &expected.basis;
    if overdue {
        let text = format!(
            "Sector {id}: {} for {for_now} now, longer than the {usual} expected from {basis}.",
            doing(phase)
        );
        let what_to_do = match around.audience {
            Audience::Operator => {
                "See whether other programs use the processor or the memory; the daemon's log names a step that fails."
            }
            Audience::Client => "",
        };
        return Cause::new(CauseCode::StepSlow, text, what_to_do);
    }
    let text = format!(
        "Sector {id}: {} for {for_now} now, about {} left of {usual}, going by {basis}.",
        doing(phase),
        span(left)
    );
    Cause::new(CauseCode::StepRunning, text, "")
}

fn message(facts: &SectorFacts, around: &Around, name: &str) -> Cause {
    let id = facts.sector.id;
    let waited = span(around.now_ms.saturating_sub(facts.since_ms));
    let text = match &facts.message {
        None => format!("The {name} of sector {id} is about to be sent to the chain."),
        Some(message) if message.in_block => {
            format!(
                "The {name} of sector {id}, message {}, is in a block and is being looked up.",
                message.id
            )
        }
        Some(message) => format!(
            "The {name} of sector {id}, message {}, waits for a block, for {waited} now.",
            message.id
        ),
    };
    let what_to_do = match around.audience {
        Audience::Operator => {
            "It is sent again by itself until it is in a block; `sealdrop chain pool` shows what waits."
        }
        Audience::Client => "",
    };
    Cause::new(CauseCode::MessageNotOnChain, text, what_to_do)
}

fn release(facts: &SectorFacts, around: &Around) -> Cause {
    let when = match around.chain.post {
        Some(PostDuty::WaitUntil(opens)) => format!(", from block {opens} on"),
        Some(PostDuty::Prove { deadline, .. }) => format!(", before block {deadline}"),
        _ => String::new(),
    };
    let text = format!(
        "All deals of sector {} are over; the next proof-of-spacetime{when} names it done, and the chain drops it.",
        facts.sector.id
    );
    Cause::new(CauseCode::WaitingForRelease, text, "")
}

/// `waits`: whether the operator may still have it tried again.
fn failed(facts: &SectorFacts, phase: Phase, reason: &str, waits: bool, around: &Around) -> Cause {
    let id = facts.sector.id;
    let quoted = quoted(reason, around);
    match around.audience {
        Audience::Operator if waits => Cause::new(
            CauseCode::SectorFailed,
            format!("Sector {id} failed {MAX_ATTEMPTS} times while {}: {quoted}.", doing(phase)),
            format!(
                "Remove the cause, then order `sealdrop mining retry {id}`; or `sealdrop mining give-up {id}`, and its deals fail."
            ),
        ),
        Audience::Client if waits => Cause::new(
            CauseCode::SectorFailed,
            format!("Sector {id} failed {MAX_ATTEMPTS} times while {}.", doing(phase)),
            "Its operator must have it tried again; if that does not come in time, the deal fails and its money comes back.",
        ),
        Audience::Operator => Cause::new(
            CauseCode::SectorFailed,
            format!("Sector {id} failed while {}: {quoted}.", doing(phase)),
            "Remove the cause; clients can store their files in new deals.",
        ),
        Audience::Client => Cause::new(
            CauseCode::SectorFailed,
            format!("Sector {id} failed while {}, and its deals with it.", doing(phase)),
            "Store the file again, with this miner or another one.",
        ),
    }
}

/// A failed attempt that is followed by another.
fn failure(facts: &SectorFacts, around: &Around) -> Option<Cause> {
    let sector = facts.sector;
    let reason = sector.last_error.as_deref().filter(|_| sector.attempts > 0)?;
    if !is_sealing(sector.phase()) {
        return None;
    }
    let (count, quoted) = (sector.attempts, quoted(reason, around));
    let text = match around.audience {
        Audience::Operator => format!("Attempt {count} of {MAX_ATTEMPTS} failed: {quoted}."),
        Audience::Client => format!("Attempt {count} of {MAX_ATTEMPTS} failed; the miner's log has the reason."),
    };
    let pause = facts.retry_at_ms.map_or(0, |at| at.saturating_sub(around.now_ms));
    let when = match pause {
        0 => "now".to_string(),
        left => format!("in {}", span(left)),
    };
    let again = format!("It is tried again by itself {when}: {}", doing(sector.phase()));
    let what_to_do = match around.audience {
        Audience::Operator => {
            format!("{again}. After {MAX_ATTEMPTS} attempts it waits for your order: remove the cause before.")
        }
        Audience::Client => format!("{again}."),
    };
    Some(Cause::new(CauseCode::StepFailed, text, what_to_do))
}

fn quoted(reason: &str, around: &Around) -> String {
    match around.audience {
        Audience::Operator => plain(reason).trim_end_matches('.').into(),
        Audience::Client => String::new(),
    }
}

/// What a committed sector owes the chain at present.
fn duties(facts: &SectorFacts, around: &Around) -> Vec<Cause> {
    let id = facts.sector.id;
    let mut because = Vec::new();
    if let Some((since, lost_at)) = facts.on_chain.and_then(|chain| chain.fault) {
        let text = format!(
            "Sector {id} is faulty since block {since}: it could not be proven. At block {lost_at} it is lost."
        );
        let what_to_do = match around.audience {
            Audience::Operator => "Restore its files; the miner then recovers it by itself.",
            Audience::Client => "Its miner must restore it; keep your own copy of the file.",
        };
        because.push(Cause::new(CauseCode::SectorFaulty, text, what_to_do));
    }
    if let Some(PostDuty::Prove { deadline, .. }) = around.chain.post {
        let text = format!("A proof-of-spacetime is due before block {deadline}; the miner computes it now.");
        because.push(Cause::new(CauseCode::PostDue, text, ""));
        because.extend(chain_causes(around));
    }
    because
}
