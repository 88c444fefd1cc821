//! Whether this machine has the memory to seal sectors of a size, before a prover runs: what the scheduler will decide then
//! ([`super::Prover::check_memory`]).

use super::machine;
use super::scheduler::Plan;
use super::work::{Cost, Step};
use shared::piece::SectorSize;

/// Memory for sealing, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealingMemory {
    /// What a zero-knowledge proof takes, the largest step.
    pub needed: u64,
    /// What there is for it.
    pub budget: u64,
    /// What is kept free beside it for proofs-of-spacetime.
    pub reserve: u64,
}

impl SealingMemory {
    /// Of this machine now, for the own prover, with nothing of the operator's about it.
    pub fn of_this_machine(size: SectorSize) -> Self {
        let cores = machine::cores();
        let plan = Plan::of_machine(cores, |step| Cost::of(step, size, cores).memory);
        Self {
            needed: plan.proof,
            budget: plan.limits().memory,
            reserve: plan.reserve,
        }
    }

    /// Whether a sector can be sealed.
    pub fn is_enough(&self) -> bool {
        self.needed <= self.budget
    }
}

impl Plan {
    /// What follows from a machine alone; `memory` is what a step takes.
    pub(super) fn of_machine(cores: u64, memory: impl Fn(Step) -> u64) -> Self {
        Self {
            cores,
            memory: None,
            slots: 0,
            reserve: memory(Step::WindowPost),
            proof: memory(Step::Commit2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_and_kept_free_grows_with_the_sectors() {
        let of = SealingMemory::of_this_machine;
        let (small, large) = (of(SectorSize::S8MiB), of(SectorSize::S32GiB));
        assert!(small.needed < large.needed && small.reserve < large.reserve);
        assert!(small.budget >= large.budget);
        let exactly = SealingMemory {
            budget: small.needed,
            ..small
        };
        let less = SealingMemory {
            budget: small.needed - 1,
            ..small
        };
        assert!(exactly.is_enough() && !less.is_enough());
    }
}
