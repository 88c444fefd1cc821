//! The stages of a sector: each holds all that the next step needs.

use crate::chain::Epoch;
use crate::piece::Commitment;
use crate::wire::as_cbor;
use crate::wire::cbor::Bytes;
use alloc::{boxed::Box, string::String};
use cid::Cid;
use core::fmt;
use serde::{Deserialize, Serialize};

/// A sealed replica's commitments, with what it was sealed under.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sealed {
    pub ticket_epoch: Epoch,
    pub ticket: [u8; 32],
    pub comm_d: Commitment,
    pub comm_r: Commitment,
    pub comm_c: Commitment,
}

/// How far a sector has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SectorStage {
    /// Takes pieces.
    Packing,
    /// Full or due; the ticket is to be drawn.
    Closed,
    /// The data is laid out and encoded layer by layer.
    PreCommit1 { ticket_epoch: Epoch, ticket: [u8; 32] },
    /// The trees are built over the layers.
    PreCommit2 {
        ticket_epoch: Epoch,
        ticket: [u8; 32],
        #[serde(with = "as_cbor")]
        output: Bytes,
    },
    /// CommD and CommR are to be published.
    PreCommitting { sealed: Sealed },
    /// Published at `height`; the seed is drawn at `seed_epoch`.
    WaitSeed { sealed: Sealed, seed_epoch: Epoch },
    /// The challenged nodes are opened.
    Commit1 { sealed: Sealed, seed: [u8; 32] },
    /// The SNARK is computed.
    Commit2 {
        sealed: Sealed,
        seed: [u8; 32],
        #[serde(with = "as_cbor")]
        output: Bytes,
    },
    /// The proof is to be published.
    Committing {
        sealed: Sealed,
        #[serde(with = "as_cbor")]
        proof: Bytes,
    },
    /// On the chain; proven in every window.
    Proving {
        sealed: Sealed,
        #[serde(with = "as_cbor")]
        message: Cid,
        committed_at: Epoch,
    },
    /// All its deals have ended: the next proof-of-spacetime names it done, which drops it from the chain.
    Expired {
        sealed: Sealed,
        #[serde(with = "as_cbor")]
        message: Cid,
        committed_at: Epoch,
    },
    /// The chain has dropped it at `height`; its files are to be deleted.
    Released { height: Epoch },
    /// Its files are deleted.
    Removed { height: Epoch },
    /// Tried often enough, given up, or lost: `phase` is where it was.
    Failed {
        phase: Phase,
        reason: String,
        /// The stage from which the operator may have it tried again; `None` once there is no way on.
        #[serde(default)]
        resume: Option<Box<SectorStage>>,
    },
}

/// The name of a stage, for people and for progress. Miners keep it by number and by name: whatever is new comes last, and no name is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Phase {
    Packing = 0,
    Closed = 1,
    PreCommit1 = 2,
    PreCommit2 = 3,
    PreCommitting = 4,
    WaitSeed = 5,
    Commit1 = 6,
    Commit2 = 7,
    Committing = 8,
    Proving = 9,
    Expired = 10,
    Released = 11,
    Removed = 12,
    Failed = 13,
}

impl Phase {
    /// In the order of a sector's life.
    pub const ALL: [Self; 14] = [
        Self::Packing,
        Self::Closed,
        Self::PreCommit1,
        Self::PreCommit2,
        Self::PreCommitting,
        Self::WaitSeed,
        Self::Commit1,
        Self::Commit2,
        Self::Committing,
        Self::Proving,
        Self::Expired,
        Self::Released,
        Self::Removed,
        Self::Failed,
    ];

    /// From the first piece to the commitment, in order.
    pub const UNSEALED: [Self; 9] = match Self::ALL.first_chunk() {
        Some(phases) => *phases,
        None => panic!("there are more phases"),
    };
}

/// As in JSON.
impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl SectorStage {
    /// Its name.
    pub fn phase(&self) -> Phase {
        match self {
            Self::Packing => Phase::Packing,
            Self::Closed => Phase::Closed,
            Self::PreCommit1 { .. } => Phase::PreCommit1,
            Self::PreCommit2 { .. } => Phase::PreCommit2,
            Self::PreCommitting { .. } => Phase::PreCommitting,
            Self::WaitSeed { .. } => Phase::WaitSeed,
            Self::Commit1 { .. } => Phase::Commit1,
            Self::Commit2 { .. } => Phase::Commit2,
            Self::Committing { .. } => Phase::Committing,
            Self::Proving { .. } => Phase::Proving,
            Self::Expired { .. } => Phase::Expired,
            Self::Released { .. } => Phase::Released,
            Self::Removed { .. } => Phase::Removed,
            Self::Failed { .. } => Phase::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    #[test]
    fn phases_have_the_numbers_and_names_that_miners_keep() {
        let kept = "Packing Closed PreCommit1 PreCommit2 PreCommitting WaitSeed Commit1 Commit2 Committing Proving Expired Released Removed Failed";
        assert_eq!(kept.split(' ').count(), Phase::ALL.len());
        for (number, (phase, name)) in (0_u8..).zip(Phase::ALL.into_iter().zip(kept.split(' '))) {
            assert_eq!((phase as u8, format!("{phase:?}").as_str()), (number, name));
        }
    }

    #[test]
    fn people_read_the_names_of_json() {
        for phase in Phase::ALL {
            let json = serde_json::to_value(phase).unwrap();
            assert_eq!(json, phase.to_string());
        }
    }
}
