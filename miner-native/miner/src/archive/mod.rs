//! Pieces and finished sectors a second time: in a folder elsewhere, or in an object store that speaks S3.
//!
//! ```text
//! PLACE/archive.json              whose it is
//! PLACE/manifests/sectors/ID      a finished sector: its files, by their parts; written when all parts are there
//! PLACE/manifests/pieces/CID      a piece that is in no finished sector yet
//! PLACE/parts/KIND/NAME/SHA256    their bytes, 16 MiB each, under their digest
//! ```
//! The folders in which pieces and sectors are worked with stay what proofs are made from. [`keeping`] brings there what is missing in them, so that a
//! daemon on another machine, or on a new disk, goes on with what the archive has; what is being sealed is begun again.
//!
//! Parts are objects of their own rather than parts of S3's multipart uploads: an upload that was cut off goes on where it was, by what is
//! there and with nothing written down, on every kind of store; what a bad line or disk made of a part is seen, and only that part is asked for again;
//! and zeros are stored once.

pub mod keeping;
mod manifest;
mod transfer;

#[cfg(test)]
mod tests;

use cid::Cid;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Location;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The scheme of a bucket's URL.
const S3: &str = "s3://";
/// How long a connection is waited for, and a part's way.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const REQUEST_LIMIT: Duration = Duration::from_secs(120);
/// How often a request is tried again, and for how long: beyond that, health says so.
const RETRIES: usize = 3;
const RETRY_LIMIT: Duration = Duration::from_secs(20);

/// Why something is not archived, or not brought back.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("{place:?} is no place for an archive: {reason}; name a folder, or a bucket as s3://bucket/prefix")]
    Place { place: String, reason: String },
    #[error("could not {action} {what} in the archive: {source}")]
    Store {
        action: &'static str,
        what: String,
        source: object_store::Error,
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
    #[error("the archive's {what} is damaged: {reason}")]
    Damaged { what: String, reason: String },
    #[error(transparent)]
    Staging(#[from] crate::staging::StagingError),
    #[error(transparent)]
    Records(#[from] crate::store::StoreError),
    #[error(transparent)]
    Prover(#[from] crate::prover::ProverError),
}

impl ArchiveError {
    /// Whether it is the trouble of one piece or sector, which keeps no other one waiting.
    fn is_of_one(&self) -> bool {
        matches!(self, Self::File { .. } | Self::Damaged { .. } | Self::Prover(_))
    }
}

/// Where an archive is. Keys for S3 come from the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`), as for every program that speaks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveConfig {
    /// A folder, or `s3://bucket/prefix`.
    pub place: String,
    /// The store's URL, where it is not Amazon's.
    pub endpoint: Option<String>,
    pub region: Option<String>,
}

impl ArchiveConfig {
    /// Fails when it can be no archive; asks nobody.
    pub fn check(&self) -> Result<(), ArchiveError> {
        match self.bucket()? {
            Some(_) => self.s3().map(drop),
            None => Ok(()),
        }
    }

    /// Its bucket and prefix; `None` for a folder.
    fn bucket(&self) -> Result<Option<(&str, &str)>, ArchiveError> {
        let wrong = |reason: &str| ArchiveError::Place {
            place: self.place.clone(),
            reason: reason.into(),
        };
        let Some(rest) = self.place.strip_prefix(S3) else {
            return match (
                self.place.contains("://"),
                self.endpoint.is_some() || self.region.is_some(),
            ) {
                (true, _) => Err(wrong("nothing of this kind is known")),
                (false, true) => Err(wrong("a folder has no endpoint and no region")),
                (false, false) => Ok(None),
            };
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        // A key in the URL would be shown wherever the place is.
        match bucket.is_empty() || bucket.contains('@') {
            true => Err(wrong("it names no bucket")),
            false => Ok(Some((bucket, prefix))),
        }
    }

    fn s3(&self) -> Result<Arc<dyn ObjectStore>, ArchiveError> {
        let wrong = |reason: String| ArchiveError::Place {
            place: self.place.clone(),
            reason,
        };
        let (bucket, prefix) = self.bucket()?.unwrap_or_default();
        let endpoint = self.endpoint.clone().unwrap_or_default();
        // An endpoint in the clear is one that the operator has named.
        let options = ClientOptions::new()
            .with_allow_http(endpoint.starts_with("http://"))
            .with_connect_timeout(CONNECT_LIMIT)
            .with_timeout(REQUEST_LIMIT);
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: RETRIES,
            retry_timeout: RETRY_LIMIT,
        };
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .with_client_options(options)
            .with_retry(retry);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(region) = &self.region {
            builder = builder.with_region(region);
        }
        let store = builder.build().map_err(|error| wrong(error.to_string()))?;
        let prefix = Location::parse(prefix).map_err(|error| wrong(error.to_string()))?;
        Ok(Arc::new(PrefixStore::new(store, prefix)))
    }

    /// Opens it. A folder must be there: one that is not may be a disk that is not mounted.
    pub fn open(&self) -> Result<Archive, ArchiveError> {
        let (store, folder): (Arc<dyn ObjectStore>, _) = match self.bucket()? {
            Some(_) => (self.s3()?, None),
            None => {
                let folder = PathBuf::from(&self.place);
                let store = LocalFileSystem::new_with_prefix(&folder).map_err(|error| ArchiveError::Place {
                    place: self.place.clone(),
                    reason: error.to_string(),
                })?;
                (Arc::new(store), Some(folder))
            }
        };
        Ok(Archive { store, folder })
    }
}

impl fmt::Display for ArchiveConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)?;
        match &self.endpoint {
            Some(endpoint) => write!(f, " at {endpoint}"),
            None => Ok(()),
        }
    }
}

/// An archive that is open. Clones are the same.
#[derive(Debug, Clone)]
pub struct Archive {
    store: Arc<dyn ObjectStore>,
    /// Where it lies, if that is a folder: what is put there has to reach the disk.
    folder: Option<PathBuf>,
}

/// Whose an archive is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    pub network: String,
    pub miner: String,
    /// Whose key has registered it: two chains may give one number to different miners.
    pub owner: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "miner {} of {} ({})", self.miner, self.network, self.owner)
    }
}

/// What is archived as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Item {
    Sector(u64),
    Piece(Cid),
}

impl Item {
    /// Its name, as it stands in locations.
    fn name(&self) -> String {
        match self {
            Self::Sector(id) => format!("sectors/{id}"),
            Self::Piece(cid) => format!("pieces/{cid}"),
        }
    }

    fn manifest(&self) -> Location {
        Location::from(format!("{MANIFESTS}/{}", self.name()))
    }

    fn parts(&self) -> Location {
        Location::from(format!("parts/{}", self.name()))
    }

    fn of_manifest(location: &Location) -> Option<Self> {
        let name = location.as_ref().strip_prefix(MANIFESTS)?.strip_prefix('/')?;
        match name.split_once('/')? {
            ("sectors", id) => id.parse().ok().map(Self::Sector),
            ("pieces", cid) => cid.parse().ok().map(Self::Piece),
            _ => None,
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sector(id) => write!(f, "sector {id}"),
            Self::Piece(cid) => write!(f, "piece {cid}"),
        }
    }
}

const MANIFESTS: &str = "manifests";
/// Says whose the archive is.
const OWNER: &str = "archive.json";

fn store_error(action: &'static str, what: impl fmt::Display) -> impl FnOnce(object_store::Error) -> ArchiveError {
    let what = what.to_string();
    move |source| ArchiveError::Store { action, what, source }
}

fn file_error(action: &'static str, path: &Path) -> impl Fn(io::Error) -> ArchiveError {
    let path = path.to_owned();
    move |source| ArchiveError::File {
        action,
        path: path.clone(),
        source,
    }
}
