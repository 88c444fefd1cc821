//! The words of explanations.

use super::{Around, SectorFacts};
use crate::sector::post::PostDuty;
use crate::sector::Phase;
use alloc::format;
use alloc::string::{String, ToString};

/// A span of time for people, in its two largest units.
pub fn span(ms: u64) -> String {
    let seconds = ms.div_ceil(1000);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let two = |large: u64, unit: &str, small: u64, of: &str| match small {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {of}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => two(minutes, "min", seconds % 60, "s"),
        (0, _, _) => two(hours, "h", minutes, "min"),
        _ => two(days, "d", hours, "h"),
    }
}

/// Text of others, fit to be shown: one line, bounded, without characters that control a terminal or turn text around.
pub fn plain(text: &str) -> String {
    let is_fit = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars()
        .map(|c| if c == '\n' || c == '\t' { ' ' } else { c })
        .filter(is_fit)
        .take(super::MAX_TEXT)
        .collect()
}

/// How much of `whole` a part is, in percent.
pub(crate) fn share(part: u64, whole: u64) -> u64 {
    let percent = u128::from(part).saturating_mul(100).checked_div(whole.max(1).into());
    percent
        .and_then(|percent| u64::try_from(percent).ok())
        .map_or(100, |percent| percent.min(100))
}

/// A number of blocks, with the time that they take when blocks come by a clock.
pub(super) fn blocks(count: u64, around: &Around) -> String {
    let noun = if count == 1 { "block" } else { "blocks" };
    match around.chain.block_time_ms {
        0 => format!("{count} {noun}"),
        time => format!("{count} {noun}, about {}", span(count.saturating_mul(time))),
    }
}

/// A phase's name, as JSON has it.
pub(super) fn state(phase: Phase) -> &'static str {
    match phase {
        Phase::Packing => "packing",
        Phase::Closed => "closed",
        Phase::PreCommit1 => "preCommit1",
        Phase::PreCommit2 => "preCommit2",
        Phase::PreCommitting => "preCommitting",
        Phase::WaitSeed => "waitSeed",
        Phase::Commit1 => "commit1",
        Phase::Commit2 => "commit2",
        Phase::Committing => "committing",
        Phase::Proving => "proving",
        Phase::Expired => "expired",
        Phase::Released => "released",
        Phase::Removed => "removed",
        Phase::Failed => "failed",
    }
}

/// What is done in a phase.
pub(super) fn doing(phase: Phase) -> &'static str {
    match phase {
        Phase::Packing => "taking pieces",
        Phase::Closed => "drawing the ticket",
        Phase::PreCommit1 => "encoding the data layer by layer (pre-commit 1)",
        Phase::PreCommit2 => "building the trees over the layers (pre-commit 2)",
        Phase::PreCommitting => "publishing the commitments on the chain",
        Phase::WaitSeed => "waiting for the chain's random seed",
        Phase::Commit1 => "opening the challenged nodes (commit 1)",
        Phase::Commit2 => "computing the proof (commit 2)",
        Phase::Committing => "publishing the proof on the chain",
        Phase::Proving => "proving in every window",
        Phase::Expired => "being released with the next proof-of-spacetime",
        Phase::Released => "deleting its files",
        Phase::Removed => "nothing, it is removed",
        Phase::Failed => "nothing, it has failed",
    }
}

/// What comes next for a sector.
pub(super) fn next(facts: &SectorFacts, around: &Around) -> String {
    let after = Phase::UNSEALED.into_iter().find(|phase| *phase > facts.sector.phase());
    match facts.sector.phase() {
        Phase::Committing => "Then its deals are complete, and the sector is proven in every window.".into(),
        Phase::Proving => proving(around),
        Phase::Expired => "Its files are deleted once the chain has dropped it.".into(),
        Phase::Released => "Nothing more comes after that; its record stays.".into(),
        Phase::Removed => "Nothing: all its deals ran to their end.".into(),
        Phase::Failed if facts.sector.setback().is_some_and(|setback| setback.awaits_operator) => {
            "It waits for the operator, for a day at most; then it is given up, and its deals fail.".into()
        }
        Phase::Failed => "Nothing: the sector is given up, and its deals have failed.".into(),
        _ => after.map_or_else(String::new, |phase| format!("Next: {}.", doing(phase))),
    }
}

fn proving(around: &Around) -> String {
    match around.chain.post {
        Some(PostDuty::Prove { deadline, .. }) => format!("A proof-of-spacetime is due, before block {deadline}."),
        Some(PostDuty::WaitUntil(opens)) => {
            let left = blocks(opens.0.saturating_sub(around.chain.height.0), around);
            format!("The next proof-of-spacetime is due from block {opens} on, in {left}.")
        }
        Some(PostDuty::Restart { .. }) => "A new proving period is to be begun.".into(),
        Some(PostDuty::Nothing) | None => "It is proven again in every window.".to_string(),
    }
}
