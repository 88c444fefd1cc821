//! The sector machine (design §4): every stage holds all that the next step needs, so that a restart goes on from it.
//!
//! It knows its deals by their pieces, at most [`MAX_PIECES`]; what becomes of the sector becomes of all of them,
//! whenever they ask. When all its deals have ended it is released: named done in the next proof-of-spacetime, which is
//! its last, and then its files are deleted (spec §7.24). The record stays.

pub use super::failing::{retry_pause_ms, Setback, MAX_ATTEMPTS};
pub use super::stage::{Phase, Sealed, SectorStage};

use crate::chain::Epoch;
use crate::piece::{padded_for, Commitment, SectorLayout, SectorSize};
use crate::wire::as_cbor;
use crate::wire::cbor::Bytes;
use alloc::{string::String, vec::Vec};
use cid::Cid;
use serde::{Deserialize, Serialize};

/// Most pieces in a sector. Every piece is a deal that is told of the sector's fate, and the record of a sector is read
/// and written as a whole at each step; larger sectors have room for more of the smallest pieces than anybody waits for.
pub const MAX_PIECES: usize = 1024;
/// The share of a sector that is worth waiting for: with less than one in so many parts free, it is sealed at once. What a
/// further piece could still save is less than that share of one sealing, and everybody in the sector would wait for it; a
/// piece like the one that filled it has no room in any case.
pub const WORTH_WAITING_FOR: u64 = 4;

/// A piece with its place in a sector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SectorPiece {
    /// The deal that it belongs to.
    #[serde(with = "as_cbor")]
    pub deal: Cid,
    #[serde(with = "as_cbor")]
    pub data_cid: Cid,
    /// Unpadded bytes.
    pub size: u64,
    pub comm_p: Commitment,
}

/// One sector as the miner keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sector {
    pub id: u64,
    pub size: SectorSize,
    pub pieces: Vec<SectorPiece>,
    /// Failed attempts since the sector last came further than ever.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// The furthest phase that failed since then; what is repeated before it does not count as progress.
    #[serde(default)]
    pub failed_at: Option<Phase>,
    pub stage: SectorStage,
}

/// What happened to a sector.
#[derive(Debug, Clone, PartialEq)]
pub enum SectorInput {
    PieceAdded(SectorPiece),
    /// The piece's deal would be over before the sector could be committed, or is over: it makes room.
    PieceEvicted {
        deal: Cid,
    },
    /// The sector is nearly full, the timer is up, or the operator said so.
    Close,
    TicketDrawn {
        epoch: Epoch,
        ticket: [u8; 32],
    },
    PreCommit1Done {
        output: Vec<u8>,
    },
    PreCommit2Done {
        comm_d: Commitment,
        comm_r: Commitment,
        comm_c: Commitment,
    },
    PreCommitted {
        seed_epoch: Epoch,
    },
    /// The pre-commit was refused or expired on the chain, or its ticket is too old: seal again with a new ticket.
    SealExpired {
        reason: String,
    },
    SeedDrawn {
        seed: [u8; 32],
    },
    Commit1Done {
        output: Vec<u8>,
    },
    Commit2Done {
        proof: Vec<u8>,
    },
    Committed {
        message: Cid,
        height: Epoch,
    },
    /// All its deals have ended.
    DealsEnded,
    /// The chain does not have the expired sector any more: it was named done at `height`.
    Dropped {
        height: Epoch,
    },
    /// The files of a dropped sector are gone.
    FilesDeleted,
    /// The chain took the committed sector away: slashed, or faulty for too long.
    Lost {
        reason: String,
    },
    /// The stage's step failed; it is tried again, from a safe stage, at most [`MAX_ATTEMPTS`] times.
    StepFailed {
        reason: String,
    },
    /// The replica is not where it was, before its commitment: it is sealed again.
    ReplicaLost {
        reason: String,
    },
    /// Nobody needs the sector any more, and nothing of it is on the chain.
    Abandoned {
        reason: String,
    },
    /// The operator wants a failed sector to be tried again.
    RetryOrdered,
    /// The operator, or the time that it had, is over: a failed sector is not tried again.
    GivenUp,
}

impl SectorInput {
    /// Whether it says that sealing went back instead of on: what it led to is tried after a pause.
    pub fn is_setback(&self) -> bool {
        matches!(
            self,
            Self::StepFailed { .. } | Self::SealExpired { .. } | Self::ReplicaLost { .. }
        )
    }
}

/// What the daemon must do next for a sector.
#[derive(Debug, Clone, PartialEq)]
pub enum SectorEffect {
    /// Wait for pieces or for the timer.
    Pack,
    DrawTicket,
    PreCommit1 {
        ticket: [u8; 32],
    },
    PreCommit2 {
        output: Vec<u8>,
    },
    SubmitPreCommit {
        sealed: Sealed,
    },
    AwaitSeed {
        seed_epoch: Epoch,
    },
    Commit1 {
        sealed: Sealed,
        seed: [u8; 32],
    },
    Commit2 {
        output: Vec<u8>,
    },
    SubmitCommit {
        sealed: Sealed,
        proof: Vec<u8>,
    },
    /// Prove in every window.
    Prove,
    /// Prove in the next window, naming the sector done.
    ProveAndRelease,
    /// Delete its files; twice is harmless.
    DeleteFiles,
    /// It was tried often enough: the operator may have it tried again, or give it up.
    AwaitOperator,
    Rest,
}

/// Why an input was refused; the sector is as before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SectorRefusal {
    #[error("sector {sector} does not take pieces any more")]
    NotPacking { sector: u64 },
    #[error("sector {sector} has no room for {size} bytes more")]
    Full { sector: u64, size: u64 },
    #[error("sector {sector} is empty: there is nothing to seal")]
    Empty { sector: u64 },
    #[error("this does not apply to sector {sector} in phase {phase}")]
    Unexpected { sector: u64, phase: Phase },
    #[error("sector {sector} is in phase {phase} and goes on by itself: only a failed sector can be tried again")]
    NotFailed { sector: u64, phase: Phase },
    #[error("sector {sector} is given up or lost: there is no way to go on with it")]
    NoWayOn { sector: u64 },
}

impl Sector {
    pub fn new(id: u64, size: SectorSize) -> Self {
        Self {
            id,
            size,
            pieces: Vec::new(),
            attempts: 0,
            last_error: None,
            failed_at: None,
            stage: SectorStage::Packing,
        }
    }

    /// Where each piece lies, in the order of `pieces`; `None` if they do not fit (which [`Sector::handle`] prevents).
    pub fn layout(&self) -> Option<SectorLayout> {
        layout(self.size, self.pieces.iter().map(|piece| (piece.size, piece.comm_p)))
    }

    /// Whether a piece of `size` unpadded bytes has room.
    pub fn fits(&self, size: u64) -> bool {
        let more = (size, Commitment([0; 32]));
        let pieces = self.pieces.iter().map(|piece| (piece.size, piece.comm_p)).chain([more]);
        matches!(self.stage, SectorStage::Packing)
            && self.pieces.len() < MAX_PIECES
            && layout(self.size, pieces).is_some()
    }

    /// Whether it is not worth waiting for more pieces: no piece of a quarter of the sector ([`WORTH_WAITING_FOR`]) has
    /// room any more.
    pub fn is_nearly_full(&self) -> bool {
        !self.fits(self.size.usable() / WORTH_WAITING_FOR)
    }

    /// The name of its stage.
    pub fn phase(&self) -> Phase {
        self.stage.phase()
    }

    /// The sealed replica's commitments, once there are any.
    pub fn sealed(&self) -> Option<&Sealed> {
        match &self.stage {
            SectorStage::PreCommitting { sealed }
            | SectorStage::WaitSeed { sealed, .. }
            | SectorStage::Commit1 { sealed, .. }
            | SectorStage::Commit2 { sealed, .. }
            | SectorStage::Committing { sealed, .. }
            | SectorStage::Proving { sealed, .. }
            | SectorStage::Expired { sealed, .. } => Some(sealed),
            _ => None,
        }
    }

    /// The next thing to do; the same after a restart.
    pub fn effect(&self) -> SectorEffect {
        match &self.stage {
            SectorStage::Packing => SectorEffect::Pack,
            SectorStage::Closed => SectorEffect::DrawTicket,
            SectorStage::PreCommit1 { ticket, .. } => SectorEffect::PreCommit1 { ticket: *ticket },
            SectorStage::PreCommit2 { output, .. } => SectorEffect::PreCommit2 {
                output: output.0.clone(),
            },
            SectorStage::PreCommitting { sealed } => SectorEffect::SubmitPreCommit { sealed: sealed.clone() },
            SectorStage::WaitSeed { seed_epoch, .. } => SectorEffect::AwaitSeed {
                seed_epoch: *seed_epoch,
            },
            SectorStage::Commit1 { sealed, seed } => SectorEffect::Commit1 {
                sealed: sealed.clone(),
                seed: *seed,
            },
            SectorStage::Commit2 { output, .. } => SectorEffect::Commit2 {
                output: output.0.clone(),
            },
            SectorStage::Committing { sealed, proof } => SectorEffect::SubmitCommit {
                sealed: sealed.clone(),
                proof: proof.0.clone(),
            },
            SectorStage::Proving { .. } => SectorEffect::Prove,
            SectorStage::Expired { .. } => SectorEffect::ProveAndRelease,
            SectorStage::Released { .. } => SectorEffect::DeleteFiles,
            SectorStage::Failed { resume: Some(_), .. } => SectorEffect::AwaitOperator,
            SectorStage::Removed { .. } | SectorStage::Failed { .. } => SectorEffect::Rest,
        }
    }

    /// Moves the sector on. On `Err` nothing changed.
    pub fn handle(&mut self, input: SectorInput) -> Result<(), SectorRefusal> {
        let sector = self.id;
        let next = match (&self.stage, input) {
            (_, SectorInput::PieceAdded(piece)) => return self.add(piece),
            (SectorStage::Packing, SectorInput::PieceEvicted { deal }) => {
                self.pieces.retain(|piece| piece.deal != deal);
                return Ok(());
            }
            (SectorStage::Packing, SectorInput::Close) if self.pieces.is_empty() => {
                return Err(SectorRefusal::Empty { sector })
            }
            (SectorStage::Packing, SectorInput::Close) => SectorStage::Closed,
            (SectorStage::Closed, SectorInput::TicketDrawn { epoch, ticket }) => SectorStage::PreCommit1 {
                ticket_epoch: epoch,
                ticket,
            },
            (SectorStage::PreCommit1 { ticket_epoch, ticket }, SectorInput::PreCommit1Done { output }) => {
                SectorStage::PreCommit2 {
                    ticket_epoch: *ticket_epoch,
                    ticket: *ticket,
                    output: Bytes(output),
                }
            }
            (
                SectorStage::PreCommit2 {
                    ticket_epoch, ticket, ..
                },
                SectorInput::PreCommit2Done { comm_d, comm_r, comm_c },
            ) => SectorStage::PreCommitting {
                sealed: Sealed {
                    ticket_epoch: *ticket_epoch,
                    ticket: *ticket,
                    comm_d,
                    comm_r,
                    comm_c,
                },
            },
            (SectorStage::PreCommitting { sealed }, SectorInput::PreCommitted { seed_epoch }) => {
                SectorStage::WaitSeed {
                    sealed: sealed.clone(),
                    seed_epoch,
                }
            }
            (SectorStage::WaitSeed { sealed, .. }, SectorInput::SeedDrawn { seed }) => SectorStage::Commit1 {
                sealed: sealed.clone(),
                seed,
            },
            (SectorStage::Commit1 { sealed, seed }, SectorInput::Commit1Done { output }) => SectorStage::Commit2 {
                sealed: sealed.clone(),
                seed: *seed,
                output: Bytes(output),
            },
            (SectorStage::Commit2 { sealed, .. }, SectorInput::Commit2Done { proof }) => SectorStage::Committing {
                sealed: sealed.clone(),
                proof: Bytes(proof),
            },
            (SectorStage::Committing { sealed, .. }, SectorInput::Committed { message, height }) => {
                SectorStage::Proving {
                    sealed: sealed.clone(),
                    message,
                    committed_at: height,
                }
            }
            (stage, SectorInput::DealsEnded) => self.deals_ended(stage)?,
            (SectorStage::Expired { .. }, SectorInput::Dropped { height }) => SectorStage::Released { height },
            (SectorStage::Released { height }, SectorInput::FilesDeleted) => SectorStage::Removed { height: *height },
            (SectorStage::Proving { .. } | SectorStage::Expired { .. }, SectorInput::Lost { reason }) => {
                SectorStage::Failed {
                    phase: self.phase(),
                    reason,
                    resume: None,
                }
            }
            (stage, SectorInput::Abandoned { reason }) => self.abandoned(stage, reason)?,
            (_, SectorInput::RetryOrdered) => return self.retry_ordered(),
            (_, SectorInput::GivenUp) => return self.given_up(),
            (_, SectorInput::ReplicaLost { reason }) => return self.replica_lost(reason),
            (_, SectorInput::StepFailed { reason }) => return self.step_failed(reason, false),
            (_, SectorInput::SealExpired { reason }) => return self.step_failed(reason, true),
            _ => {
                return Err(SectorRefusal::Unexpected {
                    sector,
                    phase: self.phase(),
                })
            }
        };
        self.stage = next;
        self.note_progress();
        Ok(())
    }

    /// The stage after all deals have ended; once more changes nothing.
    fn deals_ended(&self, stage: &SectorStage) -> Result<SectorStage, SectorRefusal> {
        match stage {
            SectorStage::Proving {
                sealed,
                message,
                committed_at,
            } => Ok(SectorStage::Expired {
                sealed: sealed.clone(),
                message: *message,
                committed_at: *committed_at,
            }),
            SectorStage::Expired { .. } | SectorStage::Released { .. } | SectorStage::Removed { .. } => {
                Ok(stage.clone())
            }
            _ => Err(SectorRefusal::Unexpected {
                sector: self.id,
                phase: self.phase(),
            }),
        }
    }

    fn add(&mut self, piece: SectorPiece) -> Result<(), SectorRefusal> {
        if self.pieces.iter().any(|known| known.deal == piece.deal) {
            return Ok(());
        }
        if !matches!(self.stage, SectorStage::Packing) {
            return Err(SectorRefusal::NotPacking { sector: self.id });
        }
        if !self.fits(piece.size) {
            return Err(SectorRefusal::Full {
                sector: self.id,
                size: piece.size,
            });
        }
        self.pieces.push(piece);
        Ok(())
    }
}

fn layout(size: SectorSize, pieces: impl Iterator<Item = (u64, Commitment)>) -> Option<SectorLayout> {
    let mut layout = SectorLayout::new(size);
    for (bytes, comm_p) in pieces {
        layout.place(padded_for(bytes).ok()?, comm_p).ok()?;
    }
    Some(layout)
}
