//! When a proof-of-spacetime is due, what it costs, and how to go on after a missed one (spec §4.11, §5.3.4, §5.3.5).
//!
//! The daemon asks [`post_duty`] at every head with what the chain says of its miner. The answer depends on nothing else:
//! a proof that failed, was lost or was refused is due again at the next head, for as long as the chain takes it, and a
//! restart forgets nothing. In 2019 a window was tried once (spec §7.8); randomness is the window's start in both prover
//! and actor, so that a late proof can verify (design §9).

use crate::chain::actors::miner::late_fee;
use crate::chain::view::MinerView;
use crate::chain::{AttoFil, Epoch, Policy};

/// Blocks that a proof may take into a block: the fee is reckoned that far ahead, what is too much comes back (spec §4.11).
pub const FEE_MARGIN: u64 = 10;

/// What the chain says of a miner that has to prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostFacts {
    /// The blocks in which a proof is on time, the end excluded; `None` before the first commit.
    pub window: Option<(Epoch, Epoch)>,
    /// Sectors that the running period's proof must cover.
    pub covered: usize,
    /// Sectors that a new period would have to prove.
    pub provable: usize,
    /// Money that the sectors lock up.
    pub collateral: AttoFil,
    /// The miner's money that nothing locks up.
    pub free: AttoFil,
}

impl PostFacts {
    /// The facts in `view`.
    pub fn of(view: &MinerView) -> Self {
        let covered = view.sectors.iter().filter(|sector| sector.in_proving_set).count();
        let provable = view
            .sectors
            .iter()
            .filter(|sector| sector.fault.as_ref().is_none_or(|fault| fault.recovering));
        Self {
            provable: provable.count(),
            window: view.proving_window.map(|window| (window.start, window.end)),
            covered,
            collateral: view.collateral,
            free: view.free_balance,
        }
    }
}

/// What the prover owes the chain now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostDuty {
    /// There is no sector to prove.
    Nothing,
    /// Nothing before this height.
    WaitUntil(Epoch),
    /// Prove with the randomness of `randomness_at`, and submit with `fee` before `deadline`. The fee is nothing while the
    /// proof is on time.
    Prove {
        randomness_at: Epoch,
        deadline: Epoch,
        fee: AttoFil,
    },
    /// The period was missed, or nothing is proven though there are sectors: begin a new period (`restartProving`), and
    /// send `value` along for what the miner's free money does not cover of the penalty.
    Restart { value: AttoFil },
}

/// Decides what is due at `height`. The network's policy says how many rounds a miner waits after the window opens, so
/// that its randomness is settled (15, spec §4.11).
pub fn post_duty(height: Epoch, facts: &PostFacts, policy: &Policy) -> PostDuty {
    let Some((start, end)) = facts.window.filter(|_| facts.provable > 0) else {
        return PostDuty::Nothing;
    };
    let (opens, deadline) = (start.plus(policy.post_delay), end.plus(policy.grace));
    if facts.covered == 0 || height >= deadline {
        let penalty = policy.sector_collateral.checked_mul(facts.covered as u128);
        let lacking = penalty.and_then(|penalty| penalty.checked_sub(facts.free));
        return PostDuty::Restart {
            value: lacking.unwrap_or_default(),
        };
    }
    if height < opens {
        return PostDuty::WaitUntil(opens);
    }
    PostDuty::Prove {
        randomness_at: start,
        deadline,
        fee: late_fee(policy, facts.collateral, end, height.plus(FEE_MARGIN)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A window of 200 to 350, as the chain's numbers have it: a period of 300 ends at 350.
    fn facts() -> PostFacts {
        PostFacts {
            window: Some((Epoch(200), Epoch(350))),
            covered: 2,
            provable: 2,
            collateral: AttoFil(3000),
            free: AttoFil(0),
        }
    }

    fn policy() -> Policy {
        Policy {
            sector_collateral: AttoFil(1500),
            ..Policy::default()
        }
    }

    fn duty(height: u64) -> PostDuty {
        post_duty(Epoch(height), &facts(), &policy())
    }

    fn prove(fee: u128) -> PostDuty {
        PostDuty::Prove {
            randomness_at: Epoch(200),
            deadline: Epoch(650),
            fee: AttoFil(fee),
        }
    }

    /// spec §9.33: nothing at 190 and 200, a proof at 215. Where the miner of 2019 gave up at the window's end ("too late
    /// start", [Q] of spec §7.8), a late proof with its fee is due.
    #[test]
    fn a_proof_is_due_from_the_delay_after_the_window_opens_until_the_grace_ends() {
        for height in [190, 200, 214] {
            assert_eq!(duty(height), PostDuty::WaitUntil(Epoch(215)));
        }
        assert_eq!(duty(215), prove(0));
        assert_eq!(duty(340), prove(0));
        assert_eq!(duty(649), prove(3000));
        let call = crate::chain::calls::submit_post(&crate::chain::Address::id(1000), &[1; 192], AttoFil::ZERO);
        assert_eq!((call.method.as_str(), call.params.len()), ("submitPoSt", 3));
    }

    /// spec §9.36: no fee on time, the fee of the block that the message gets into when late, up to deadline - 1.
    #[test]
    fn the_fee_is_reckoned_some_blocks_ahead_and_never_more_than_the_collateral() {
        assert_eq!(duty(341), prove(10));
        assert_eq!(duty(350), prove(100));
        assert_eq!(duty(640), prove(3000));
    }

    /// spec §9.32: a miner without commitments has nothing to prove. (The queries whose failures the original asserts are
    /// one view of the miner here; a bootstrap variant of the miner does not exist, design §9.)
    #[test]
    fn a_miner_without_sectors_has_nothing_to_prove() {
        let empty = PostFacts {
            covered: 0,
            provable: 0,
            ..facts()
        };
        assert_eq!(post_duty(Epoch(215), &empty, &policy()), PostDuty::Nothing);
        let never = PostFacts {
            window: None,
            ..facts()
        };
        assert_eq!(post_duty(Epoch(215), &never, &policy()), PostDuty::Nothing);
    }

    #[test]
    fn the_same_answer_comes_at_every_head_until_the_chain_has_the_proof() {
        for height in 215..340 {
            assert_eq!(duty(height), prove(0));
        }
        let next = PostFacts {
            window: Some((Epoch(500), Epoch(650))),
            ..facts()
        };
        let after = post_duty(Epoch(260), &next, &policy());
        assert_eq!(after, PostDuty::WaitUntil(Epoch(515)));
    }

    /// spec §9.36 (at the deadline), [Q] of spec §7.8: the miner of 2019 never recovered.
    #[test]
    fn a_missed_period_is_answered_with_a_new_one_for_its_penalty() {
        let restart = |value| PostDuty::Restart { value: AttoFil(value) };
        assert_eq!(duty(650), restart(3000));
        assert_eq!(duty(5000), restart(3000));
        let with = |free, covered| PostFacts {
            free: AttoFil(free),
            covered,
            ..facts()
        };
        assert_eq!(post_duty(Epoch(650), &with(1000, 2), &policy()), restart(2000));
        assert_eq!(post_duty(Epoch(650), &with(9000, 2), &policy()), restart(0));
    }

    #[test]
    fn a_slashed_miner_with_sectors_left_begins_a_new_period() {
        let slashed = PostFacts {
            covered: 0,
            provable: 1,
            ..facts()
        };
        let restart = PostDuty::Restart { value: AttoFil::ZERO };
        assert_eq!(post_duty(Epoch(300), &slashed, &policy()), restart);
    }
}
