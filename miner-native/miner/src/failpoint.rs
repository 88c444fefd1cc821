//! Places at which the process can be made to die, to show that nothing is lost there.
//!
//! Inert unless the environment names one: `SEALDROP_FAILPOINT=NAME` or `NAME:N` ends the process at the N-th time that it
//! comes by, at once and without any clean-up, by SIGKILL. There is one after every write of the life
//! of deals, sectors, messages and proofs, and before and after every side effect; `tests/src/kill` goes through them all.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::OnceLock;

/// The environment variable that arms one of [`POINTS`].
pub const VARIABLE: &str = "SEALDROP_FAILPOINT";

/// All points, about in the order in which a miner and its first deal come by.
pub const POINTS: &[&str] = &[
    "message.create.planned",
    "message.create.kept",
    "message.create.pushed",
    "message.create.mined",
    "miner.remembered",
    "message.create.settled",
    "settings.kept",
    "message.ask.planned",
    "message.ask.kept",
    "message.ask.pushed",
    "message.ask.mined",
    "message.ask.settled",
    "deal.accepting",
    "deal.accepted",
    "deal.answered",
    "transfer.begun",
    "transfer.block",
    "transfer.complete",
    "upload.begun",
    "upload.chunk",
    "upload.complete",
    "staging.synced",
    "staging.renamed",
    "staging.finished",
    "deal.received",
    "sector.placing",
    "sector.placed",
    "sector.closed",
    "ticket.drawn",
    "sector.pre_commit1",
    "pc1.begun",
    "pc1.computed",
    "pc1.written",
    "pc1.kept",
    "sector.pre_commit2",
    "pc2.begun",
    "pc2.computed",
    "pc2.written",
    "pc2.kept",
    "sector.pre_committing",
    "message.precommit.planned",
    "message.precommit.kept",
    "message.precommit.pushed",
    "message.precommit.mined",
    "precommit.seen",
    "sector.wait_seed",
    "seed.drawn",
    "sector.commit1",
    "c1.begun",
    "c1.computed",
    "c1.written",
    "c1.kept",
    "sector.commit2",
    "c2.begun",
    "c2.computed",
    "c2.written",
    "c2.kept",
    "sector.committing",
    "proof.checked",
    "message.commit.planned",
    "message.commit.kept",
    "message.commit.pushed",
    "message.commit.mined",
    "commit.seen",
    "sector.proving",
    "deal.complete",
    "deals.settled",
    "message.precommit.settled",
    "message.commit.settled",
    "cache.clearing",
    "cache.cleared",
    "post.begun",
    "post.computed",
    "post.checked",
    "message.post.planned",
    "message.post.kept",
    "message.post.pushed",
    "message.post.mined",
    "message.post.settled",
    "post.kept",
    "redemption.planned",
    "message.redeem.planned",
    "message.redeem.kept",
    "message.redeem.pushed",
    "message.redeem.mined",
    "redemption.done",
    "message.redeem.settled",
    "deal.ended",
    "sector.expired",
    "sector.released",
    "files.removing",
    "files.removed",
    "sector.removed",
    "piece.removing",
    "piece.removed",
    "piece.forgotten",
];

/// A point that is armed.
struct Armed {
    name: String,
    /// The time at which it strikes, from 1.
    at: u32,
    seen: AtomicU32,
}

static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

/// The environment arms something that is none of [`POINTS`].
#[derive(Debug, thiserror::Error)]
#[error("{VARIABLE} is {value:?}, which is no failpoint: unset it; it is for tests that kill the daemon")]
pub struct UnknownPoint {
    value: String,
}

/// Reads what the environment arms; to be called at the start, so that a misspelt test fails at once.
pub fn arm() -> Result<(), UnknownPoint> {
    let value = std::env::var(VARIABLE).unwrap_or_default();
    let Some(armed) = parse(&value)? else { return Ok(()) };
    crate::console::stderr(&format!("{VARIABLE} is set: this process will kill itself at {value}"));
    // A second call finds the first one's.
    let _ = ARMED.set(Some(armed));
    Ok(())
}

fn parse(value: &str) -> Result<Option<Armed>, UnknownPoint> {
    if value.is_empty() {
        return Ok(None);
    }
    let (name, at) = value.split_once(':').unwrap_or((value, "1"));
    match at.parse() {
        Ok(at) if at > 0 && POINTS.contains(&name) => Ok(Some(Armed {
            name: name.to_owned(),
            at,
            seen: AtomicU32::new(0),
        })),
        _ => Err(UnknownPoint {
            value: value.to_owned(),
        }),
    }
}

/// The process comes by `name`.
pub fn hit_failpoint(name: &str) {
    if let Some(armed) = ARMED.get().and_then(Option::as_ref) {
        strike(armed, name);
    }
}

/// The process comes by the point `message.<kind>.<step>`, when the message's purpose is of a kind that has points.
pub fn reach_message(purpose: &str, step: &str) {
    if ARMED.get().is_some() {
        if let Some(kind) = kind(purpose) {
            hit_failpoint(&format!("message.{kind}.{step}"));
        }
    }
}

fn strike(armed: &Armed, name: &str) {
    if armed.name == name && armed.seen.fetch_add(1, Ordering::SeqCst) + 1 == armed.at {
        crate::console::stderr(&format!("killed at {name}"));
        #[cfg(unix)]
        let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
        // Where there are no signals; nobody else gets here.
        std::process::abort();
    }
}

/// What a message is for, by its purpose; `None` for those that no test kills at.
fn kind(purpose: &str) -> Option<&'static str> {
    let starts = [("create-miner", "create"), ("ask-", "ask"), ("post-", "post")];
    if let Some((_, kind)) = starts.iter().find(|(start, _)| purpose.starts_with(start)) {
        return Some(kind);
    }
    let holds = [
        ("-precommit-", "precommit"),
        ("-commit-", "commit"),
        ("/redeem/", "redeem"),
    ];
    holds
        .iter()
        .find(|(part, _)| purpose.contains(part))
        .map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_point_has_its_own_name() {
        let all: BTreeSet<_> = POINTS.iter().collect();
        assert_eq!(all.len(), POINTS.len());
    }

    #[test]
    fn only_points_that_exist_can_be_armed() {
        assert!(matches!(parse(""), Ok(None)));
        assert!(matches!(parse("pc1.kept"), Ok(Some(Armed { at: 1, .. }))));
        assert!(matches!(parse("pc1.kept:3"), Ok(Some(Armed { at: 3, .. }))));
        for wrong in ["pc1", "pc1.kept:0", "pc1.kept:x", ":1"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_messages_of_a_deals_life_have_points_of_their_own() {
        let kinds = [
            ("create-miner", Some("create")),
            ("ask-3", Some("ask")),
            ("sector-1-precommit-7", Some("precommit")),
            ("sector-1-commit-7", Some("commit")),
            ("post-300", Some("post")),
            ("deal/bafy/redeem/5", Some("redeem")),
            ("faults-7", None),
        ];
        for (purpose, expected) in kinds {
            assert_eq!(kind(purpose), expected, "{purpose}");
        }
    }
}
