//! Why a step of sealing or proving gave no result, and what that says: of the sector, of the machine, or of the moment.

use super::Step;
use sealdrop_prover::{is_shortage, Error};
use shared::piece::{SectorSize, SizeError};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

/// Why a step of sealing or proving gave no result.
#[derive(Debug, thiserror::Error)]
pub enum ProverError {
    #[error(transparent)]
    Step(#[from] Error),
    #[error("{step} panicked: {reason}")]
    Panicked { step: Step, reason: String },
    #[error("no thread for {step} could be started; close other programs: it is tried again")]
    NoThread { step: Step },
    #[error(
        "{step} needs {} of memory and there are {}, beyond the {} kept free for proofs-of-spacetime: close other programs, \
         give the daemon more with `sealdrop config scheduler.memoryMiB`, or run it on a larger machine; it is tried again",
        gib(*needed), gib(*budget), gib(*reserve)
    )]
    TooLittleMemory {
        step: Step,
        needed: u64,
        budget: u64,
        reserve: u64,
    },
    #[error("{step} on another machine: {reason}")]
    Elsewhere { step: Step, reason: String },
    #[error("sector {sector} was being sealed by another machine, which may be at its files for {} s more; it is tried again", left.as_secs())]
    AtWork { sector: u64, left: Duration },
    #[error(
        "what the machine before left of sector {sector} is not seen here: it is looked for again, and then made again"
    )]
    NotSeen { sector: u64 },
    #[error("what sealing left of sector {sector} lies in the folder of another machine, which is silent")]
    LeftElsewhere { sector: u64 },
    #[error("sector {sector}, sealed again on this machine, has another replica than the one that was pre-committed")]
    OtherReplica { sector: u64 },
    #[error("another daemon leads by now")]
    NotLeading,
    #[error("another machine takes jobs by the name {name}: give this one its own with --name")]
    NameTaken { name: String },
    #[error(transparent)]
    Database(#[from] sealdrop_database::DatabaseError),
    #[error("there are no proofs for sectors of {sector}")]
    UnknownSize { sector: SectorSize },
    #[error("a piece of the sector has an impossible size: {0}")]
    PieceSize(#[from] SizeError),
    #[error("{} cannot be read: {source}; restore it, or the sector is lost", path.display())]
    Missing { path: PathBuf, source: std::io::Error },
    #[error("{} has {found} bytes instead of {expected}; restore it, or the sector is lost", path.display())]
    Length { path: PathBuf, found: u64, expected: u64 },
    #[error("could not {action} {}: {source}; check the folder's permissions and the free space", path.display())]
    Output {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the sector's files in {} cannot be removed: {source}; check the folder's permissions", dir.display())]
    Remove { dir: PathBuf, source: std::io::Error },
}

impl ProverError {
    /// The sectors whose files cannot be proven, when that is what the error says.
    pub fn faulty(&self) -> Option<&[u64]> {
        match self {
            Self::Step(Error::FaultySectors { sectors, .. }) => Some(sectors),
            _ => None,
        }
    }

    /// Whether the step itself did not fail: it was not begun, or there was no room on the disk or no file descriptor for it. It
    /// can be done later, and says nothing of the sector.
    pub fn passes(&self) -> bool {
        match self {
            Self::NoThread { .. }
            | Self::TooLittleMemory { .. }
            | Self::Database(_)
            | Self::AtWork { .. }
            | Self::NotSeen { .. }
            | Self::NotLeading
            | Self::Step(Error::Busy { .. }) => true,
            _ => self.is_shortage(),
        }
    }

    /// Whether there was no room on a disk or no file descriptor.
    pub fn is_shortage(&self) -> bool {
        match self {
            Self::Step(error) => error.is_shortage(),
            Self::Missing { source, .. } | Self::Output { source, .. } | Self::Remove { source, .. } => {
                is_shortage(source)
            }
            _ => false,
        }
    }
}

impl ProverError {
    /// Whether it says of a replica that it is not there as it must be, and not that this could not be told.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Missing { source, .. } => source.kind() == ErrorKind::NotFound,
            Self::Length { .. } => true,
            Self::Step(Error::Io { source, .. }) => source.kind() == ErrorKind::NotFound,
            // The library panics over some contents.
            Self::Step(error) => matches!(
                error,
                Error::Proofs { .. } | Error::FaultySectors { .. } | Error::WrongLength { .. } | Error::Panicked { .. }
            ),
            _ => false,
        }
    }

    /// Whether another machine may do the step: what failed may be this one's files or the way to them, its parameters, its memory or its program.
    pub fn is_of_the_machine(&self) -> bool {
        match self {
            Self::Missing { .. }
            | Self::Length { .. }
            | Self::Output { .. }
            | Self::Remove { .. }
            | Self::Elsewhere { .. } => true,
            Self::Panicked { .. } => true,
            Self::Step(error) => matches!(error, Error::Io { .. } | Error::Proofs { .. } | Error::Params(_)),
            _ => false,
        }
    }
}

/// Bytes as people read them.
fn gib(bytes: u64) -> String {
    format!("{}.{} GiB", bytes >> 30, ((bytes & ((1 << 30) - 1)) * 10) >> 30)
}

/// Why a piece could not be unsealed.
#[derive(Debug, thiserror::Error)]
pub enum UnsealError {
    #[error(transparent)]
    Prover(ProverError),
    #[error(transparent)]
    Staging(crate::staging::StagingError),
    #[error("the sector has no piece {index}")]
    NoSuchPiece { index: usize },
}
