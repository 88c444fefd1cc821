//! Pieces and finished sectors a second time: in a folder elsewhere, or in an object store that speaks S3.
//!
//! ```text
//! PLACE/archive.json                    whose it is, and by which number it is known again
//! PLACE/manifests/sectors/ID-COMM_R     a finished sector: its files, by their parts; written when all parts are there
//! PLACE/manifests/pieces/CID            a piece that is in no archived sector yet
//! PLACE/parts/KIND/NAME/SHA256          their bytes, 16 MiB each, under their digest
//! ```
//! The folders in which pieces and sectors are worked with stay what proofs are made from. [`bringing`] puts back what is missing in them, so that a
//! daemon on another machine, or on a new disk, goes on with what the archive has; [`keeping`] puts into the archive what is new, and takes away what is
//! over. What is being sealed is not there: it is begun again from its pieces.
//!
//! Parts are objects of their own rather than parts of S3's multipart uploads: an upload that was cut off goes on where it was, by what is
//! there and with nothing written down, on every kind of store; what a bad line or disk made of a part is seen, and only that part is asked for again;
//! and zeros are stored once.

pub mod bringing;
mod config;
pub mod keeping;
mod manifest;
mod opening;
pub(crate) mod tending;
mod transfer;

#[cfg(test)]
mod tests;

pub use config::ArchiveConfig;
pub use opening::Owner;

use crate::chain_access::{ChainAccess, ChainError};
use crate::coming::Coming;
use crate::prover::{Prover, ProverError};
use crate::staging::{Staging, StagingError};
use crate::store::{MinerStore, StoreError};
use cid::Cid;
use object_store::path::Path as Location;
use object_store::ObjectStore;
use shared::chain::Address;
use shared::piece::{Commitment, SectorSize};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why something is not archived, or not brought back.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("this is no place for an archive: {reason}; name a folder, or a bucket as s3://bucket/prefix, and its keys by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")]
    Place { reason: String },
    #[error("could not {action} {what} in the archive: {reason}; {}", advice(reason))]
    Store {
        action: &'static str,
        what: String,
        reason: String,
    },
    #[error("could not {action} {}: {source}; check the folder's permissions and the free space", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error(
        "the archive is that of {theirs}, and this is {ours}: each miner has an archive of its own, name another place"
    )]
    Others { theirs: String, ours: String },
    #[error("there was an archive at {place}, and it is not there any more: is the disk mounted, is it the right bucket? To begin a new one, name another place, such as a folder in this one")]
    Gone { place: String },
    #[error("the archive's {what} is damaged: {reason}")]
    Damaged { what: String, reason: String },
    #[error("the chain does not know this miner: is this its network?")]
    UnknownMiner,
    #[error("{} is not there: is the storage mounted?", dir.display())]
    NoStorage { dir: PathBuf },
    #[error(transparent)]
    Staging(#[from] StagingError),
    #[error(transparent)]
    Records(#[from] StoreError),
    #[error(transparent)]
    Prover(#[from] ProverError),
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// What to do about an error of the store.
fn advice(reason: &str) -> &'static str {
    let says = |any: &[&str]| any.iter().any(|text| reason.contains(text));
    if says(&["403", "401", "AccessDenied", "Forbidden", "SignatureDoesNotMatch"]) {
        "its keys may not do so: look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they are allowed"
    } else if says(&["NoSuchBucket"]) {
        "make the bucket first"
    } else {
        "look whether it runs and is reached from here"
    }
}

impl ArchiveError {
    /// Whether the archive itself may be away.
    fn is_of_the_store(&self) -> bool {
        matches!(self, Self::Store { .. })
    }

    /// Whether it is the trouble of one piece or sector, which keeps no other one waiting. An object that is not given may be that, too.
    fn is_of_one(&self) -> bool {
        !matches!(
            self,
            Self::Records(_) | Self::Chain(_) | Self::UnknownMiner | Self::NoStorage { .. }
        )
    }
}

/// What the archive is kept with.
#[derive(Clone)]
pub struct Archiving {
    pub config: ArchiveConfig,
    pub owner: Owner,
    pub address: Address,
    pub sector_size: SectorSize,
    pub chain: ChainAccess,
    pub store: MinerStore,
    pub staging: Staging,
    pub prover: Arc<Prover>,
    /// What is told to those who would miss it.
    pub coming: Coming,
    /// Where sectors lie.
    pub sectors: PathBuf,
}

/// An archive that is open. Clones are the same.
#[derive(Debug, Clone)]
pub struct Archive {
    store: Arc<dyn ObjectStore>,
    /// Where it lies, if that is a folder: what is put there has to reach the disk, and links lead elsewhere.
    folder: Option<PathBuf>,
}

/// What is archived as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Item {
    /// By its number and its CommR: a number may have been sealed twice.
    Sector(u64, [u8; 32]),
    Piece(Cid),
}

impl Item {
    fn sector(id: u64, comm_r: Commitment) -> Self {
        Self::Sector(id, comm_r.0)
    }

    /// Its name, as it stands in locations.
    fn name(&self) -> String {
        match self {
            Self::Sector(id, comm_r) => format!("sectors/{id}-{}", hex::encode(comm_r)),
            Self::Piece(cid) => format!("pieces/{cid}"),
        }
    }

    fn manifest(&self) -> Location {
        Location::from(format!("{MANIFESTS}/{}", self.name()))
    }

    fn parts(&self) -> Location {
        Location::from(format!("{PARTS}/{}", self.name()))
    }

    /// The item whose manifest, or whose folder of parts, has this location; none when it is called otherwise.
    fn of(location: &Location) -> Option<Self> {
        let (_, name) = location.as_ref().split_once('/')?;
        let item = match name.split_once('/')? {
            ("sectors", name) => {
                let (id, comm_r) = name.split_once('-')?;
                let mut found = [0; 32];
                hex::decode_to_slice(comm_r, &mut found).ok()?;
                Self::Sector(id.parse().ok()?, found)
            }
            ("pieces", cid) => Self::Piece(cid.parse().ok()?),
            _ => return None,
        };
        [item.manifest(), item.parts()].contains(location).then_some(item)
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sector(id, _) => write!(f, "sector {id}"),
            Self::Piece(cid) => write!(f, "piece {cid}"),
        }
    }
}

const MANIFESTS: &str = "manifests";
const PARTS: &str = "parts";

fn store_error(action: &'static str, what: impl fmt::Display) -> impl FnOnce(object_store::Error) -> ArchiveError {
    let what = what.to_string();
    move |source| {
        // A server may answer with anything, at any length.
        let reason = source.to_string().chars().take(MAX_REASON).collect();
        ArchiveError::Store { action, what, reason }
    }
}

/// Most characters of a reason that are shown.
const MAX_REASON: usize = 400;

fn file_error(action: &'static str, path: &Path) -> impl Fn(io::Error) -> ArchiveError {
    let path = path.to_owned();
    move |source| ArchiveError::File {
        action,
        path: path.clone(),
        source,
    }
}

fn damaged(what: impl fmt::Display, reason: impl fmt::Display) -> ArchiveError {
    ArchiveError::Damaged {
        what: what.to_string(),
        reason: reason.to_string(),
    }
}
