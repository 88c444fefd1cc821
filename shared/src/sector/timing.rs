//! Whether there is time left: for a ticket before hours are spent under it, and for a deal before its piece is sealed.
//!
//! The daemon asks before each phase and before the pre-commit is sent, and when it places pieces and answers proposals.

use super::stage::Phase;
use crate::chain::{Epoch, Policy};
use alloc::string::String;

/// Blocks that a message may take to get into one.
pub const MESSAGE_MARGIN: u64 = 20;

/// Why a ticket is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ticket of block {ticket} would be {age} blocks old at the pre-commit, and {limit} is the limit: a new one is drawn")]
pub struct TicketTooOld {
    pub ticket: Epoch,
    /// Blocks from the ticket to the pre-commit, as far as is known.
    pub age: u64,
    /// Blocks that the network allows, less [`MESSAGE_MARGIN`].
    pub limit: u64,
}

/// Checks at `height` that a pre-commit sent `remaining` blocks from now still may name `ticket`.
///
/// Where not even a new ticket would be young enough by that estimate, only a ticket that is too old already is refused:
/// the estimate may be wrong, and drawing tickets again and again would never end.
pub fn check_ticket(policy: &Policy, ticket: Epoch, height: Epoch, remaining: u64) -> Result<(), TicketTooOld> {
    let margin = MESSAGE_MARGIN.min(policy.max_ticket_age / 10);
    let limit = policy.max_ticket_age.saturating_sub(margin);
    let age = height.0.saturating_sub(ticket.0);
    let then = age.saturating_add(remaining);
    let would_help = remaining < limit;
    match age > limit || (would_help && then > limit) {
        true => Err(TicketTooOld {
            ticket,
            age: then,
            limit,
        }),
        false => Ok(()),
    }
}

/// Blocks from a piece's place in a sector to the commitment, when sealing takes `sealing` blocks by the daemon's estimate.
pub fn blocks_to_commit(policy: &Policy, sealing: u64) -> u64 {
    let messages = 2u64;
    sealing.saturating_add(policy.seed_delay).saturating_add(messages)
}

/// Phases in which a sector is encoded, or waits to be.
pub const ENCODED: [Phase; 3] = [Phase::Closed, Phase::PreCommit1, Phase::PreCommit2];
/// Phases in which it is proven, or waits to be.
pub const PROVEN: [Phase; 2] = [Phase::Commit1, Phase::Commit2];

/// Sectors that wait before one that is closed now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SectorsBefore {
    /// To be encoded.
    pub to_encode: u64,
    /// To be proven, and encoded already.
    pub to_prove: u64,
}

impl SectorsBefore {
    /// Of so many that are in [`ENCODED`] and in [`PROVEN`]. How much is left of those that are being worked on is not known: one of
    /// each kind counts as done, so that a deal is refused only when it is surely too late.
    pub fn of(encoded: u64, proven: u64) -> Self {
        Self {
            to_encode: encoded.saturating_sub(1),
            to_prove: proven.saturating_sub(1),
        }
    }
}

/// How long sealing takes for a sector that is closed now, when encoding and proving one take so long: sectors go through both one
/// after the other, and one is encoded while another is proven.
pub fn sealing_time(encoding: u64, proving: u64, before: SectorsBefore) -> u64 {
    let SectorsBefore { to_encode, to_prove } = before;
    let encoded = encoding.saturating_mul(to_encode.saturating_add(1));
    let proofs = proving.saturating_mul(to_prove.saturating_add(to_encode).saturating_add(1));
    encoded.saturating_add(proving).max(proofs)
}

/// Why a deal's piece is not sealed; the deal fails with this text.
pub fn too_late(deadline: Epoch, height: Epoch, needed: u64) -> String {
    alloc::format!(
        "the deal is over before its piece can be sealed: at block {height} that takes about {needed} blocks more, and the deal is given up at block {deadline}"
    )
}

/// Why a deal that is proposed is not taken; the client is told this.
pub fn too_short(end: Epoch, height: Epoch, needed: u64) -> String {
    alloc::format!(
        "the deal would end at block {end}, before its piece could be sealed: from block {height} on that takes about {needed} blocks: propose a longer deal"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ticket: u64, height: u64, remaining: u64) -> bool {
        check_ticket(&Policy::default(), Epoch(ticket), Epoch(height), remaining).is_ok()
    }

    #[test]
    fn sectors_before_one_are_sealed_first_and_the_slower_half_sets_the_pace() {
        let before = |to_encode, to_prove| SectorsBefore { to_encode, to_prove };
        assert_eq!(sealing_time(10, 4, before(0, 0)), 14);
        assert_eq!(sealing_time(10, 4, before(3, 0)), 44, "encoding is slower");
        assert_eq!(
            sealing_time(4, 10, before(3, 0)),
            40,
            "proving is slower: while the first is encoded, one before it is proven"
        );
        assert_eq!(sealing_time(4, 10, before(1, 2)), 40);
        assert_eq!(sealing_time(u64::MAX, 1, before(u64::MAX, 1)), u64::MAX);
    }

    #[test]
    fn of_the_sectors_before_one_those_that_are_worked_on_count_as_done() {
        assert_eq!(SectorsBefore::of(0, 0), SectorsBefore::default());
        let (to_encode, to_prove) = (2, 1);
        assert_eq!(SectorsBefore::of(3, 2), SectorsBefore { to_encode, to_prove });
    }

    #[test]
    fn a_ticket_must_be_young_enough_for_what_is_still_to_be_done() {
        assert!(check(100, 100, 0));
        assert!(check(100, 1100, 980));
        assert!(
            !check(100, 1100, 981),
            "it would be too old when the pre-commit is sent"
        );
        assert!(check(100, 2080, 0));
        assert!(!check(100, 2081, 0), "a message needs some blocks");
    }

    #[test]
    fn a_new_ticket_is_not_drawn_where_none_could_be_young_enough() {
        assert!(check(100, 100, 5000), "the estimate may be wrong");
        assert!(check(100, 1500, 5000));
        assert!(check(100, 200, 1980), "a new one would have to be of this very block");
        assert!(!check(100, 2090, 5000), "this one is surely too old");
    }

    #[test]
    fn a_short_lived_ticket_keeps_a_margin_in_proportion() {
        let policy = Policy {
            max_ticket_age: 50,
            ..Policy::default()
        };
        let check = |height| check_ticket(&policy, Epoch(0), Epoch(height), 0);
        assert_eq!(check(45), Ok(()));
        let error = TicketTooOld {
            ticket: Epoch(0),
            age: 46,
            limit: 45,
        };
        assert_eq!(check(46), Err(error));
    }
}
