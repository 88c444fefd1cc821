//! The chain's port over this crate and the keys that are built in: what a terminal and a chain without filecoin-proofs verify with.

use crate::key::{Circuit, Key};
use crate::{check_seal, check_window_post, keys};
use alloc::format;
use alloc::vec::Vec;
use shared::piece::SectorSize;
use shared::ports::verifier::{ProofVerifier, SealClaim, VerifierFault, WindowPoStClaim};

/// Verifies under the keys of development networks. For claims of other sectors than it was made for, it is at a loss.
#[derive(Default)]
pub struct BuiltIn(Vec<(Circuit, SectorSize, Key)>);

impl BuiltIn {
    /// Keys for all sizes that there are keys for; prepares them, in about ten milliseconds.
    pub fn all() -> Self {
        Self::for_sizes(&SectorSize::ALL)
    }

    /// Keys for sectors of these sizes, where there are some.
    pub fn for_sizes(sizes: &[SectorSize]) -> Self {
        let both = |size: &SectorSize| [(Circuit::PoRep, *size), (Circuit::WindowPoSt, *size)];
        let prepare = |(circuit, size): (Circuit, SectorSize)| {
            let key = Key::pinned(circuit, size, keys::built_in(circuit, size)?).ok()?;
            Some((circuit, size, key))
        };
        Self(sizes.iter().flat_map(both).filter_map(prepare).collect())
    }

    /// The key for this.
    pub fn key(&self, circuit: Circuit, size: SectorSize) -> Result<&Key, VerifierFault> {
        let found = self.0.iter().find(|(c, s, _)| (*c, *s) == (circuit, size));
        found.map(|(_, _, key)| key).ok_or_else(|| VerifierFault {
            reason: format!(
                "no verifying key for {circuit} of sectors with {} bytes is built in",
                size.bytes()
            ),
        })
    }
}

impl ProofVerifier for BuiltIn {
    fn verify_seal(&self, claim: &SealClaim) -> Result<bool, VerifierFault> {
        Ok(check_seal(self.key(Circuit::PoRep, claim.sector_size)?, claim).is_ok())
    }

    fn verify_window_post(&self, claim: &WindowPoStClaim) -> Result<bool, VerifierFault> {
        Ok(check_window_post(self.key(Circuit::WindowPoSt, claim.sector_size)?, claim).is_ok())
    }
}
