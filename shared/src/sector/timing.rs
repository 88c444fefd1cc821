//! Whether there is time left: for a ticket before hours are spent under it, and for a deal before its piece is sealed.
//!
//! The daemon asks before each phase and before the pre-commit is sent, and when it places pieces and answers proposals.

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

/// Why a deal's piece is not sealed; the deal fails with this text.
pub fn too_late(deadline: Epoch, height: Epoch, needed: u64) -> String {
    alloc::format!(
        "the deal is over before its piece can be sealed: at block {height} that takes about {needed} blocks more, and the deal is given up at block {deadline}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ticket: u64, height: u64, remaining: u64) -> bool {
        check_ticket(&Policy::default(), Epoch(ticket), Epoch(height), remaining).is_ok()
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
