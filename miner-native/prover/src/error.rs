//! What can go wrong in sealing and proving. Verifying has almost no errors: see `verify`.

use crate::needs::Needs;
use crate::params::ParamsError;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A host error of the prover. None of them is a peer's fault.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `init` has not been called.
    #[error("the prover was used before `init` told it its directories; call `init` first")]
    NotInitialised,
    /// `init` was called with other directories before.
    #[error("the prover already works with {} and {}; one process can have only one pair of directories", params.display(), parents.display())]
    AlreadyInitialised {
        /// The parameter directory in use.
        params: PathBuf,
        /// The parent cache directory in use.
        parents: PathBuf,
    },
    /// filecoin-proofs was used before `init`, or a setting overrode the directories.
    #[error("filecoin-proofs took {} and {} as its directories; call `init` before any other use of it", params.display(), parents.display())]
    SettingsOverridden {
        /// The parameter directory in use.
        params: PathBuf,
        /// The parent cache directory in use.
        parents: PathBuf,
    },
    /// filecoin-proofs takes its directories as text.
    #[error("the path {} is not valid Unicode, which filecoin-proofs needs; choose another directory", path.display())]
    PathNotText {
        /// Which path.
        path: PathBuf,
    },
    /// A file could not be handled.
    #[error("could not {action} {}: {source}", path.display())]
    Io {
        /// A verb: "read", "write".
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk is too full to seal a sector.
    #[error("{needed} bytes are needed on the disk of {} to seal a sector, and {available} are free: {needs}; free some space or use smaller sectors", dir.display())]
    NoRoom {
        /// The sector's directory.
        dir: PathBuf,
        /// Bytes still to be written, spare room included.
        needed: u64,
        /// Bytes that the file system gives to this user.
        available: u64,
        /// What they are for.
        needs: Needs,
    },
    /// The parameters are not usable.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// Another thread or process works on this sector.
    #[error("the sector in {} is being worked on by another task; try again when that is done", dir.display())]
    Busy {
        /// The sector's directory.
        dir: PathBuf,
    },
    /// A piece's padded size is not 128 bytes times a power of two.
    #[error("piece {index} has a padded size of {padded_size} bytes, which is not 128 times a power of two")]
    PieceSize {
        /// Its place in the list.
        index: usize,
        /// What was given, in bytes.
        padded_size: u64,
    },
    /// The pieces, each aligned to its own size, do not fit the sector.
    #[error("piece {index} would end at byte {end}, beyond the sector's {capacity} bytes; put it into another sector")]
    DoesNotFit {
        /// The first piece that does not fit.
        index: usize,
        /// Where it would end, in padded bytes.
        end: u64,
        /// The sector's padded bytes.
        capacity: u64,
    },
    /// There is no piece of this number.
    #[error("the sector has {pieces} pieces, so there is none with index {index}")]
    NoSuchPiece {
        /// The index asked for.
        index: usize,
        /// How many pieces there are.
        pieces: usize,
    },
    /// The range does not lie within the piece.
    #[error("piece {index} has {length} bytes, so there are none from {} to {}", range.start, range.end)]
    NoSuchRange {
        /// The piece's place in the list.
        index: usize,
        /// What was asked for, in unpadded bytes.
        range: Range<u64>,
        /// The piece's unpadded bytes.
        length: u64,
    },
    /// A piece's source gave more bytes than its size takes.
    #[error("piece {index} has more than its {limit} bytes of data; its declared size is wrong")]
    PieceTooLong {
        /// Its place in the list.
        index: usize,
        /// Unpadded bytes that its size takes.
        limit: u64,
    },
    /// A piece's bytes do not have the commitment that was declared.
    #[error("the bytes of piece {index} have CommP {found}, not {expected}; fetch the piece again")]
    PieceMismatch {
        /// Its place in the list.
        index: usize,
        /// CommP of the bytes, hexadecimal.
        found: String,
        /// CommP that was declared, hexadecimal.
        expected: String,
    },
    /// The unsealed file is not a whole sector.
    #[error("{} has {found} bytes instead of {expected}; write the sector's data again", path.display())]
    WrongLength {
        /// The unsealed or sealed file.
        path: PathBuf,
        /// Its length in bytes.
        found: u64,
        /// The sector's size in bytes.
        expected: u64,
    },
    /// The system had no room on the disk or no file descriptor left for it: nothing is wrong with the sector.
    #[error("{step} could not be done now: {reason}; free some space on the disk, or close other programs: it is tried again")]
    Shortage {
        /// What was being done.
        step: &'static str,
        /// What the system said.
        reason: String,
    },
    /// filecoin-proofs returned an error.
    #[error("{step} failed: {reason}")]
    Proofs {
        /// What was being done.
        step: &'static str,
        /// What the library said.
        reason: String,
    },
    /// filecoin-proofs panicked.
    #[error("{step} panicked: {reason}")]
    Panicked {
        /// What was being done.
        step: &'static str,
        /// The panic's text.
        reason: String,
    },
    /// The own code has no result to give, or a wrong one; filecoin-proofs can be asked instead.
    #[error("the own prover's {step} was refused: {reason}; filecoin-proofs does it again")]
    Refused {
        /// What was being done.
        step: &'static str,
        /// What was wrong.
        reason: String,
    },
    /// Saved bytes of an earlier phase cannot be read, or belong to another sector size.
    #[error("the saved output of {step} is damaged: {reason}; do that phase again")]
    DamagedOutput {
        /// The phase whose output it is.
        step: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The cache and the sealed file do not belong together, or not to these commitments.
    #[error("the replica in {} is not consistent with its commitments ({reason}); seal it again from pre-commit 1", dir.display())]
    InconsistentReplica {
        /// The sector's directory.
        dir: PathBuf,
        /// What did not match.
        reason: String,
    },
    /// No sectors to prove.
    #[error("a window proof needs at least one sector")]
    NoSectors,
    /// More sectors than one window takes.
    #[error("{count} sectors are more than the {limit} that one window takes")]
    TooManySectors {
        /// How many were given.
        count: usize,
        /// [`MAX_WINDOW_SECTORS`](crate::MAX_WINDOW_SECTORS).
        limit: usize,
    },
    /// A sector was given twice.
    #[error("sector {sector} was given twice for one window proof")]
    DuplicateSector {
        /// Its number.
        sector: u64,
    },
    /// These sectors cannot be proved: files are gone or changed.
    #[error("sectors {sectors:?} cannot be proved (first: {reason}); declare them faulty or restore their files")]
    FaultySectors {
        /// Their numbers, ascending.
        sectors: Vec<u64>,
        /// What was wrong with the first.
        reason: String,
    },
    /// The verifying key is missing or damaged.
    #[error("the verifying key {} is unusable ({reason}); install the verifying keys again", path.display())]
    VerifyingKey {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// What the system says when the disk, or the user's share of it, is full, and when it has no file descriptor for this process,
/// or for any.
const SHORTAGES: [io::ErrorKind; 2] = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
const NO_DESCRIPTOR: [i32; 2] = [24, 23];
/// The same as filecoin-proofs tells it, in text only.
const SHORTAGE_TEXTS: [&str; 3] = ["(os error 28)", "(os error 24)", "(os error 23)"];

/// Whether the system ran out of room on the disk or of file descriptors: the same can be done when there are some again.
pub fn is_shortage(error: &io::Error) -> bool {
    SHORTAGES.contains(&error.kind()) || error.raw_os_error().is_some_and(|code| NO_DESCRIPTOR.contains(&code))
}

/// The same of an error that is only text.
pub(crate) fn tells_shortage(reason: &str) -> bool {
    SHORTAGE_TEXTS.iter().any(|text| reason.contains(text))
}

impl Error {
    /// Whether nothing is wrong but that there was no room on the disk, or no file descriptor.
    pub fn is_shortage(&self) -> bool {
        match self {
            Self::Io { source, .. }
            | Self::Params(ParamsError::Io { source, .. } | ParamsError::Write { source, .. }) => is_shortage(source),
            Self::Params(ParamsError::DiskFull { .. }) | Self::NoRoom { .. } | Self::Shortage { .. } => true,
            _ => false,
        }
    }

    pub(crate) fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
