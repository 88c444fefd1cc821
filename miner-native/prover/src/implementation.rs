//! Whose code computes a step: this workspace's own, or filecoin-proofs.
//!
//! Both write the same files and make proofs that the same verifier accepts. The daemon begins with its own and falls back
//! to the library, step by step, when its own is refused; an operator can turn its own off.

use crate::size::SectorSize;
use sealdrop_lanes::Kernel;

/// Who computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Implementation {
    /// This workspace's crates (`sealdrop-stacked`, `sealdrop-groth16`), with this arithmetic.
    Own(Kernel),
    /// filecoin-proofs and bellperson.
    Library,
}

impl Implementation {
    /// The own code with the fastest arithmetic of this processor.
    pub fn own() -> Self {
        Self::Own(Kernel::best())
    }

    /// The kernel for labels and trees of this size; `None` where only the library makes them: nobody has sealed a sector of
    /// 32 GiB with the own code yet.
    pub(crate) fn replica_kernel(self, size: SectorSize) -> Option<Kernel> {
        self.snark_kernel(size)
    }

    /// The kernel for zero-knowledge proofs of this size; `None` where only the library makes them: circuits of 32 GiB
    /// sectors have another tree shape, whose code would double this crate's.
    pub(crate) fn snark_kernel(self, size: SectorSize) -> Option<Kernel> {
        match (self, size) {
            (_, SectorSize::S32GiB) | (Self::Library, _) => None,
            (Self::Own(kernel), _) => Some(kernel),
        }
    }
}

impl Default for Implementation {
    fn default() -> Self {
        Self::own()
    }
}
