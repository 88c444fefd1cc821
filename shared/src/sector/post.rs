//! When a proof-of-spacetime is due (spec §4.11; randomness at the window's start in both prover and actor, design §6).

use crate::chain::Epoch;

/// Rounds to wait after the window opens, so that its randomness is settled (spec §4.11).
pub const CHALLENGE_DELAY: u64 = 15;

/// What the prover owes the chain now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostDuty {
    /// Nothing before this height.
    WaitUntil(Epoch),
    /// Prove with the randomness of `randomness_at`; submit before `deadline`.
    Prove { randomness_at: Epoch, deadline: Epoch },
    /// The window and its grace have passed: the proof can no longer be submitted.
    Missed,
}

/// Decides from the head's height and the miner's window `[start, end)` and the `grace` after it, in blocks.
pub fn post_duty(height: Epoch, start: Epoch, end: Epoch, grace: u64) -> PostDuty {
    let opens = start.plus(CHALLENGE_DELAY);
    let deadline = end.plus(grace);
    if height < opens {
        PostDuty::WaitUntil(opens)
    } else if height < deadline {
        PostDuty::Prove {
            randomness_at: start,
            deadline,
        }
    } else {
        PostDuty::Missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_due_from_the_delay_after_the_window_opens_until_the_grace_ends() {
        let duty = |height| post_duty(Epoch(height), Epoch(200), Epoch(350), 300);
        assert_eq!(duty(190), PostDuty::WaitUntil(Epoch(215)));
        assert_eq!(duty(214), PostDuty::WaitUntil(Epoch(215)));
        let prove = PostDuty::Prove {
            randomness_at: Epoch(200),
            deadline: Epoch(650),
        };
        assert_eq!(duty(215), prove);
        assert_eq!(duty(649), prove);
        assert_eq!(duty(650), PostDuty::Missed);
    }
}
