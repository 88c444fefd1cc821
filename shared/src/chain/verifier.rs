//! The verifier of Filecoin proofs: what the miner actor asks of its host, since the proof library runs natively only.

use super::Address;
use crate::piece::{Commitment, SectorSize};
use alloc::{string::String, sync::Arc, vec::Vec};

/// Bytes of a prover's id.
pub const PROVER_ID: usize = 32;

/// The id that a miner's replicas and proofs are bound to, for prover and chain alike: its address's payload, filled up with zero
/// bytes (spec §5.3.3). A miner's address is an actor address of 20 payload bytes; a longer payload is cut at 32.
pub fn prover_id(miner: &Address) -> [u8; PROVER_ID] {
    let mut id = [0; PROVER_ID];
    id.iter_mut().zip(miner.payload()).for_each(|(to, from)| *to = *from);
    id
}

/// "This replica encodes this data": the statement of a seal proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealClaim {
    pub sector_size: SectorSize,
    pub comm_r: Commitment,
    pub comm_d: Commitment,
    /// See [`prover_id`].
    pub prover_id: [u8; PROVER_ID],
    pub sector: u64,
    /// What the replica was encoded with.
    pub ticket: [u8; 32],
    /// What the proof's challenges were drawn from.
    pub seed: [u8; 32],
    /// Groth16 proofs, 192 bytes a partition.
    pub proof: Vec<u8>,
}

/// "I store all these replicas": the statement of a WindowPoSt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowPoStClaim {
    pub sector_size: SectorSize,
    /// See [`prover_id`].
    pub prover_id: [u8; PROVER_ID],
    pub randomness: [u8; 32],
    /// Sector numbers, ascending, with their CommR.
    pub sectors: Vec<(u64, Commitment)>,
    /// Groth16 proofs, 192 bytes a partition.
    pub proof: Vec<u8>,
}

/// What [`super::view::NetworkView::verifying_keys`] says of a network whose proofs are made under the generated keys of development
/// networks, which `sealdrop-verify` has: SHA-256 over their digests (`verifying_keys_digest` in `miner-native/prover`, whose test compares).
pub const DEVELOPMENT_KEYS: &str = "a12379550f2e40a12b0a36945268910c2a3401f606f50a53ad086ffbf8092180";

/// What [`super::view::NetworkView::verifying_keys`] says of a network whose proofs are fake: they prove nothing about storage.
pub const FAKE_KEYS: &str = "fake";

/// The verifier itself failed (a missing verifying key, say): nothing is known about the proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("proofs cannot be verified: {reason}")]
pub struct VerifierFault {
    pub reason: String,
}

/// Decides whether proofs hold. `Ok(false)` covers malformed proofs too; `Err` is the host's own failure.
pub trait ProofVerifier {
    fn verify_seal(&self, claim: &SealClaim) -> Result<bool, VerifierFault>;
    fn verify_window_post(&self, claim: &WindowPoStClaim) -> Result<bool, VerifierFault>;
}

/// A verifier that may be called from any thread.
pub type Verifier = Arc<dyn ProofVerifier + Send + Sync>;

#[cfg(any(test, feature = "fake-proofs"))]
pub use fake::FakeVerifier;

#[cfg(any(test, feature = "fake-proofs"))]
mod fake {
    use super::*;
    use crate::chain::keys::blake2b256;

    /// Sectors of a partition, as at the development sizes of real proofs.
    const PARTITION: usize = 2;

    /// A FAKE verifier for tests of the chain's rules, and for networks that exist only for tests: a "proof" is a hash of its claim, which anybody can compute. It
    /// proves nothing about storage; it only tells claims apart.
    #[derive(Debug, Clone, Copy, Default)]
    pub struct FakeVerifier {
        /// Makes every verification fail with a [`VerifierFault`].
        pub broken: bool,
    }

    impl FakeVerifier {
        /// The tag that passes for a proof of `claim`.
        pub fn seal_tag(claim: &SealClaim) -> Vec<u8> {
            tag(&SealClaim {
                proof: Vec::new(),
                ..claim.clone()
            })
        }

        /// The tag that passes for a proof of `claim`: one for each partition, as a real proof has.
        pub fn window_post_tag(claim: &WindowPoStClaim) -> Vec<u8> {
            let partition = |sectors: &[(u64, Commitment)]| {
                tag(&WindowPoStClaim {
                    sectors: sectors.to_vec(),
                    proof: Vec::new(),
                    ..claim.clone()
                })
            };
            match &claim.sectors[..] {
                [] => partition(&[]),
                sectors => sectors.chunks(PARTITION).flat_map(partition).collect(),
            }
        }

        fn answer(&self, holds: bool) -> Result<bool, VerifierFault> {
            if self.broken {
                return Err(VerifierFault {
                    reason: "the fake is broken on purpose".into(),
                });
            }
            Ok(holds)
        }
    }

    /// `Debug` of a claim names every field, so the tag changes with any of them.
    fn tag(claim: &dyn core::fmt::Debug) -> Vec<u8> {
        blake2b256(alloc::format!("{claim:?}").as_bytes()).to_vec()
    }

    impl ProofVerifier for FakeVerifier {
        fn verify_seal(&self, claim: &SealClaim) -> Result<bool, VerifierFault> {
            self.answer(claim.proof == Self::seal_tag(claim))
        }
        fn verify_window_post(&self, claim: &WindowPoStClaim) -> Result<bool, VerifierFault> {
            self.answer(claim.proof == Self::window_post_tag(claim))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prover_id_is_the_miners_payload_and_zeros() {
        let miner: Address = "t2ewszk3zwnf2k5vppxihm4k7wi4tbo4x3ycsf3tq".parse().unwrap();
        let text = "25a5956f366974aed5efba0ece2bf647261772fb000000000000000000000000";
        assert_eq!(hex::encode(prover_id(&miner)), text);
    }

    /// Finding C6: prover and chain had a function each, one of which cut it at 20 bytes.
    #[test]
    fn a_prover_id_is_the_same_for_prover_and_chain_however_long_the_payload_is() {
        let payload: alloc::vec::Vec<u8> = (1..=48).collect();
        let miner = Address::from_bytes(&[&[3][..], &payload].concat()).unwrap();
        assert_eq!(prover_id(&miner)[..], payload[..PROVER_ID]);
    }
}
