//! Why a proof is refused.

use crate::key::Circuit;
use crate::MAX_WINDOW_SECTORS;
use core::fmt;
use shared::piece::SectorSize;

/// The three points of a Groth16 proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// In G1.
    A,
    /// In G2.
    B,
    /// In G1.
    C,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
        })
    }
}

/// What is wrong with a claim or its proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too short or too long for the claim's partitions.
    #[error("the proof has {found} bytes, and a proof of this has {expected}")]
    ProofLength {
        /// Bytes that came.
        found: usize,
        /// Bytes of all partitions.
        expected: usize,
    },
    /// Bytes of a proof that are no point of its group, or its zero.
    #[error("point {point} of partition {partition} is no point of its group")]
    NotAPoint {
        /// Which of the proof's three.
        point: Point,
        /// Counted from 1.
        partition: usize,
    },
    /// Zero, or not below the field's order.
    #[error("{name} is no commitment")]
    NotACommitment {
        /// CommD or CommR.
        name: &'static str,
    },
    /// Not below the field's order.
    #[error("the prover id is out of range")]
    ProverId,
    /// A window without sectors.
    #[error("the proof is about no sector")]
    NoSectors,
    /// More than [`MAX_WINDOW_SECTORS`].
    #[error("the proof is about {found} sectors, and no window has more than {MAX_WINDOW_SECTORS}")]
    TooManySectors {
        /// As many as the claim has.
        found: usize,
    },
    /// Sectors that are not each there once, ascending.
    #[error("sector {sector} is not in its place: sectors are given once each, by ascending number")]
    NotAscending {
        /// The first one that is not above the one before.
        sector: u64,
    },
    /// The equation does not hold: another claim, or no proof of it.
    #[error("the proof does not prove this: it is of something else, or forged")]
    DoesNotHold,
    /// The host took a key of something else.
    #[error("the verifying key is that of {circuit} with sectors of {size}")]
    OtherKey {
        /// What the key is for.
        circuit: Circuit,
        /// What the key is for.
        size: SectorSize,
    },
}
