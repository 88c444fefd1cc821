//! How long a proof takes against how long there is: when to give sectors up, and when to warn.

use crate::operator::ProvingStatus;
use crate::prover::Expected;
use shared::chain::Policy;
use std::time::Duration;

/// Blocks before a window's end at which sectors that cannot be proven are given up at the latest, so that the others'
/// proof is on time.
pub(super) const GIVE_UP_MARGIN: u64 = 30;

/// Blocks before a window's end at which sectors that cannot be proven are given up: earlier than [`GIVE_UP_MARGIN`] where
/// the others' proof takes long, since two of them must fit (one may fail yet). Never earlier than the window begins.
pub(super) fn give_up_margin(expected_ms: Option<u64>, block_ms: u64, policy: &Policy) -> u64 {
    let twice = expected_ms.unwrap_or(0).saturating_mul(2);
    let blocks = twice.div_ceil(block_ms.max(1));
    // A chain whose blocks have no time of their own says nothing about it.
    let needed = if block_ms == 0 { 0 } else { blocks };
    GIVE_UP_MARGIN.max(needed).min(policy.challenge_window)
}

/// Longest rest between two attempts at a proof.
const LONGEST_REST: Duration = Duration::from_secs(30);
/// Attempts for which a window must have time, rests alone.
const ATTEMPTS: u64 = 10;

/// Longest rest between two attempts at a proof, so that a window sees several.
pub(super) fn longest_rest(block_ms: u64, policy: &Policy) -> Duration {
    let window = policy.challenge_window.saturating_mul(block_ms);
    match window {
        0 => LONGEST_REST,
        _ => Duration::from_millis(window / ATTEMPTS).min(LONGEST_REST),
    }
}

/// Longest that an attempt at a proof may take before health says that it hangs: the window, which it has to be delivered in. `None`
/// on a chain whose blocks have no time of their own.
pub(super) fn longest_tick(block_ms: u64, policy: &Policy) -> Option<Duration> {
    let window = policy.challenge_window.saturating_mul(block_ms);
    (window > 0).then(|| Duration::from_millis(window))
}

/// How the time of a proof over `sectors` stands to its window.
pub(super) fn standing(sectors: usize, expected: Expected, block_ms: u64, policy: &Policy) -> ProvingStatus {
    let blocks = policy.challenge_window.saturating_sub(policy.post_delay);
    let window_ms = (block_ms > 0).then(|| blocks.saturating_mul(block_ms));
    let Expected { ms, basis } = expected;
    let is_slow = sectors > 0
        && ms
            .zip(window_ms)
            .is_some_and(|(ms, window)| ms.saturating_mul(2) > window);
    let seconds = |ms: Option<u64>| ms.unwrap_or(0).div_ceil(1000);
    let warning = is_slow.then(|| {
        format!(
            "a proof-of-spacetime over {sectors} sectors takes about {} s ({basis}), more than half of the {} s that a window \
             gives: take no further deals with `sealdrop mining stop`, use a faster machine, or a network with longer blocks",
            seconds(ms),
            seconds(window_ms)
        )
    });
    ProvingStatus {
        sectors: sectors as u64,
        expected_ms: ms,
        basis,
        window_ms,
        warning,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(ms: u64) -> Expected {
        Expected {
            ms: Some(ms),
            basis: "measured".into(),
        }
    }

    #[test]
    fn sectors_are_given_up_while_two_proofs_of_the_others_still_fit() {
        let policy = Policy::default();
        let margin = |ms, block| give_up_margin(ms, block, &policy);
        assert_eq!(margin(Some(8_000), 1000), 30, "never later than the usual");
        assert_eq!(margin(Some(20_001), 1000), 41);
        assert_eq!(margin(Some(1_000_000), 1000), 150, "nor before the window");
        assert_eq!(margin(None, 1000), 30);
        assert_eq!(margin(Some(20_000), 0), 30);
    }

    #[test]
    fn a_window_has_time_for_several_attempts_however_short_its_blocks_are() {
        let rest = |block_ms| longest_rest(block_ms, &Policy::default()).as_millis();
        assert_eq!(
            [rest(200), rest(1000), rest(30_000), rest(0)],
            [3000, 15_000, 30_000, 30_000]
        );
    }

    #[test]
    fn an_attempt_at_a_proof_hangs_when_it_takes_longer_than_its_window() {
        let longest = |block_ms| longest_tick(block_ms, &Policy::default()).map(|limit| limit.as_secs());
        assert_eq!(
            [longest(200), longest(1000), longest(30_000)],
            [30, 150, 4500].map(Some)
        );
        assert_eq!(longest(0), None);
    }

    #[test]
    fn a_proof_of_more_than_half_a_window_is_warned_of() {
        let policy = Policy::default();
        // 135 blocks from the delay to the end.
        let warns = |ms, block| standing(3, takes(ms), block, &policy).warning.is_some();
        assert!(!warns(67_500, 1000));
        assert!(warns(67_501, 1000));
        assert!(warns(8_000, 100));
        assert!(!warns(8_000, 0), "blocks without a time of their own");
        assert_eq!(
            standing(0, takes(u64::MAX), 1000, &policy).warning,
            None,
            "there is nothing to prove"
        );
    }
}
