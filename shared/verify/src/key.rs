//! Verifying keys: Groth16 over BLS12-381, in bellperson's format.
//!
//! A key of the table [`crate::keys`] is known by its SHA-256, and its points need no check then, which is four times as fast. Any other key is
//! read with all checks; whoever does so has to know from where it is.

use crate::inputs::inputs_of;
use crate::keys::{self, sha256};
use crate::refusal::Refusal;
use alloc::vec::Vec;
use bls12_381::{pairing, G1Affine, G2Affine, G2Prepared, Gt};
use core::fmt;
use shared::piece::SectorSize;

const G1: usize = 96;
const G2: usize = 192;

/// What a proof is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Circuit {
    /// Seals.
    PoRep,
    /// Proofs-of-spacetime of a window.
    WindowPoSt,
}

impl fmt::Display for Circuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PoRep => "PoRep",
            Self::WindowPoSt => "WindowPoSt",
        })
    }
}

/// Why bytes are not the verifying key that they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The table has no key for this.
    #[error("no verifying key is known for {circuit} with sectors of {size}")]
    Unknown {
        /// The proof's circuit.
        circuit: Circuit,
        /// The sectors' size.
        size: SectorSize,
    },
    /// Not the bytes that the table has the digest of.
    #[error("this is not the known verifying key for {circuit} with sectors of {size}")]
    OtherDigest {
        /// The proof's circuit.
        circuit: Circuit,
        /// The sectors' size.
        size: SectorSize,
    },
    /// Too short, too long, with points that are none, or for another number of inputs.
    #[error("these bytes are no verifying key for {circuit} with sectors of {size}")]
    Malformed {
        /// The proof's circuit.
        circuit: Circuit,
        /// The sectors' size.
        size: SectorSize,
    },
}

/// A verifying key, prepared once for many proofs.
pub struct Key {
    circuit: Circuit,
    size: SectorSize,
    pub(crate) alpha: G1Affine,
    pub(crate) beta: G2Prepared,
    pub(crate) alpha_beta: Gt,
    pub(crate) minus_gamma: G2Prepared,
    pub(crate) minus_delta: G2Prepared,
    /// The constant's point.
    pub(crate) one: G1Affine,
    /// A point for each public input.
    pub(crate) ic: Vec<G1Affine>,
    pub(crate) digest: [u8; 32],
}

impl Key {
    /// The key of the table, from its bytes; they are held against its digest.
    ///
    /// # Errors
    /// [`KeyError::Unknown`] and [`KeyError::OtherDigest`].
    pub fn pinned(circuit: Circuit, size: SectorSize, bytes: &[u8]) -> Result<Self, KeyError> {
        let known = keys::digest(circuit, size).ok_or(KeyError::Unknown { circuit, size })?;
        let digest = sha256(bytes);
        if digest != known {
            return Err(KeyError::OtherDigest { circuit, size });
        }
        let g1 = |bytes: &[u8; G1]| Option::from(G1Affine::from_uncompressed_unchecked(bytes));
        let g2 = |bytes: &[u8; G2]| Option::from(G2Affine::from_uncompressed_unchecked(bytes));
        Self::parse(circuit, size, digest, bytes, g1, g2).ok_or(KeyError::Malformed { circuit, size })
    }

    /// A key from elsewhere: all its points are in their groups and none is zero.
    ///
    /// # Errors
    /// [`KeyError::Malformed`].
    pub fn read(circuit: Circuit, size: SectorSize, bytes: &[u8]) -> Result<Self, KeyError> {
        let g1 = |bytes: &[u8; G1]| {
            let point: Option<G1Affine> = Option::from(G1Affine::from_uncompressed(bytes));
            point.filter(|point| !bool::from(point.is_identity()))
        };
        let g2 = |bytes: &[u8; G2]| {
            let point: Option<G2Affine> = Option::from(G2Affine::from_uncompressed(bytes));
            point.filter(|point| !bool::from(point.is_identity()))
        };
        Self::parse(circuit, size, sha256(bytes), bytes, g1, g2).ok_or(KeyError::Malformed { circuit, size })
    }

    /// alpha, (beta), beta, gamma, (delta), delta, and a count of points and these.
    fn parse(
        circuit: Circuit,
        size: SectorSize,
        digest: [u8; 32],
        bytes: &[u8],
        g1: impl Fn(&[u8; G1]) -> Option<G1Affine>,
        g2: impl Fn(&[u8; G2]) -> Option<G2Affine>,
    ) -> Option<Self> {
        let mut rest = bytes;
        let alpha = g1(take(&mut rest)?)?;
        take::<G1>(&mut rest)?;
        let beta = g2(take(&mut rest)?)?;
        let gamma = g2(take(&mut rest)?)?;
        take::<G1>(&mut rest)?;
        let delta = g2(take(&mut rest)?)?;
        let count = u32::from_be_bytes(*take(&mut rest)?);
        if count.checked_sub(1) != u32::try_from(inputs_of(circuit, size)).ok() {
            return None;
        }
        let one = g1(take(&mut rest)?)?;
        let ic = (1..count).map(|_| g1(take(&mut rest)?)).collect::<Option<Vec<_>>>()?;
        rest.is_empty().then(|| Self {
            circuit,
            size,
            alpha,
            beta: beta.into(),
            alpha_beta: pairing(&alpha, &beta),
            minus_gamma: (-gamma).into(),
            minus_delta: (-delta).into(),
            one,
            ic,
            digest,
        })
    }

    /// SHA-256 of the key's bytes.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    pub(crate) fn is_for(&self, circuit: Circuit, size: SectorSize) -> Result<(), Refusal> {
        match (self.circuit, self.size) == (circuit, size) {
            true => Ok(()),
            false => Err(Refusal::OtherKey {
                circuit: self.circuit,
                size: self.size,
            }),
        }
    }
}

/// The next bytes of `rest`, which it loses.
pub(crate) fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(taken)
}
