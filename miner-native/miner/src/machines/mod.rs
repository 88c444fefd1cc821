//! Several machines for one miner.
//!
//! ```text
//! database   PostgreSQL: the miner's records (`store`), the jobs of sealing (`prover::elsewhere`), who leads ([`leading`]), what all have to know ([`Facts`])
//! storage    one folder that all machines reach: DIR/staging, DIR/sectors, and DIR/storage.id, by which each sees that it is the right one
//! ```
//! One daemon leads: it deals with clients and the chain, proves what is stored, and posts the steps of sealing. Others wait to take over. Workers do the
//! steps. Put together by the program's `daemon` and by its command `worker`.

mod leading;

pub use leading::Leading;

use crate::data_dir::write_whole;
use crate::machine;
use crate::store::SPACE;
use sealdrop_database::jobs::Jobs;
use sealdrop_database::{DatabaseError, Postgres};
use serde::{Deserialize, Serialize};
use shared::piece::SectorSize;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The file by which a storage is known.
const MARK: &str = "storage.id";
/// What the facts are called.
const FACTS: &str = "miner";

/// Why a machine cannot take part.
#[derive(Debug, thiserror::Error)]
pub enum MachinesError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("could not {action} {}: {source}; is the storage mounted, and may this user write there?", path.display())]
    Storage {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{} is not where the pieces and sectors of this database's miner are: {reason}; name the folder that its other machines have by --storage", dir.display())]
    OtherStorage { dir: PathBuf, reason: &'static str },
    #[error("what this database says of its miner cannot be read ({reason}): do all machines run one version?")]
    Facts { reason: String },
}

/// Where the records are. It may have a password, so that only the place is ever shown.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The whole of it, for whoever connects.
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// Opens the jobs that are there.
    pub fn jobs(&self) -> Result<Jobs, DatabaseError> {
        Jobs::at(&self.0, SPACE)
    }
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseError;

    fn from_str(text: &str) -> Result<Self, DatabaseError> {
        Postgres::shown_url(text).map(|_| Self(text.to_owned()))
    }
}

impl std::fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&Postgres::shown_url(&self.0).unwrap_or_default())
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// What a daemon does with other machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedConfig {
    pub url: DatabaseUrl,
    /// The folder that all machines reach; none is the home's own.
    pub storage: Option<PathBuf>,
    /// Whether this machine does jobs, too.
    pub works: bool,
}

/// What a worker has to know of the miner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    pub network: String,
    pub sector_size: SectorSize,
    /// Whom proofs are bound to, as hexadecimal digits.
    pub prover_id: String,
    /// The mark of its storage.
    pub storage: String,
    pub official_params: bool,
}

impl Facts {
    /// Tells all machines; refused when the storage is not the one that was told before.
    pub fn tell(&self, jobs: &Jobs, dir: &Path) -> Result<(), MachinesError> {
        if Self::told(jobs)?.is_some_and(|told| told.storage != self.storage) {
            let (dir, reason) = (dir.to_owned(), "its mark is another");
            return Err(MachinesError::OtherStorage { dir, reason });
        }
        let facts = serde_json::to_vec(self).map_err(|error| MachinesError::Facts {
            reason: error.to_string(),
        })?;
        Ok(jobs.say(FACTS, &facts)?)
    }

    /// What was told last; none before the first daemon has started.
    pub fn told(jobs: &Jobs) -> Result<Option<Self>, MachinesError> {
        let Some(said) = jobs.said(FACTS)? else {
            return Ok(None);
        };
        let facts = serde_json::from_slice(&said).map_err(|error| MachinesError::Facts {
            reason: error.to_string(),
        })?;
        Ok(Some(facts))
    }

    /// Fails when `dir` is not the storage that these facts speak of.
    pub fn check_storage(&self, dir: &Path) -> Result<(), MachinesError> {
        let reason = match fs::read_to_string(dir.join(MARK)) {
            Ok(mark) if mark == self.storage => return Ok(()),
            Ok(_) => "its mark is another",
            Err(error) if error.kind() == ErrorKind::NotFound => "it has no mark",
            Err(source) => return Err(failed("read", &dir.join(MARK), source)),
        };
        let dir = dir.to_owned();
        Err(MachinesError::OtherStorage { dir, reason })
    }
}

/// The mark of a storage, made when it has none.
pub fn mark_of(dir: &Path) -> Result<String, MachinesError> {
    let path = dir.join(MARK);
    match fs::read_to_string(&path) {
        Ok(mark) => return Ok(mark),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(source) => return Err(failed("read", &path, source)),
    }
    let mark = hex::encode(rand::random::<[u8; 16]>());
    write_whole(&path, mark.as_bytes(), 0o600).map_err(|source| failed("write", &path, source))?;
    Ok(mark)
}

/// What this machine is called among others, unless its operator says it.
pub fn usual_name() -> String {
    machine::host_name().unwrap_or_else(|| "machine".to_owned())
}

fn failed(action: &'static str, path: &Path, source: std::io::Error) -> MachinesError {
    MachinesError::Storage {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        let url: DatabaseUrl = "postgres://miner:SECRET@db.example.org:5433/sealdrop"
            .parse()
            .expect("a URL");
        let shown = format!("{url} {url:?}");
        assert!(
            shown.contains("db.example.org") && shown.contains("sealdrop"),
            "{shown}"
        );
        assert!(!shown.contains("SECRET"), "{shown}");
        assert!("mysql://miner@db".parse::<DatabaseUrl>().is_err());
    }

    #[test]
    fn a_storage_is_known_by_its_mark() {
        let (ours, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let facts = Facts {
            network: "a".to_owned(),
            sector_size: SectorSize::S8MiB,
            prover_id: String::new(),
            storage: mark_of(ours.path()).expect("it is made"),
            official_params: false,
        };
        assert_eq!(mark_of(ours.path()).expect("it is there"), facts.storage);
        facts.check_storage(ours.path()).expect("it is this one");
        assert!(matches!(
            facts.check_storage(other.path()),
            Err(MachinesError::OtherStorage { .. })
        ));
        mark_of(other.path()).expect("it is made");
        assert!(matches!(
            facts.check_storage(other.path()),
            Err(MachinesError::OtherStorage { .. })
        ));
    }
}
