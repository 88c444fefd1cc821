//! Several machines for one miner.
//!
//! ```text
//! database   PostgreSQL: the miner's records (`store`), the jobs of sealing (`prover::elsewhere`), who leads ([`leading`]), what all have to know ([`Facts`])
//! storage    one folder that all machines reach: DIR/staging, DIR/sectors, and DIR/storage.id, by which each sees that it is the right one
//! scratch    a folder of one worker's own, if it has one: layers and trees of what it seals ([`ScratchFolder`])
//! ```
//! One daemon leads: it deals with clients and the chain, proves what is stored, and posts the steps of sealing. Others wait to take over. Workers do the
//! steps. Put together by the program's `daemon` and by its command `worker`.

mod leading;
mod scratch;

pub use leading::Leading;
pub use scratch::ScratchFolder;

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
/// What the storage's mark is called.
const STORAGE: &str = "storage";

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
    #[error("{} is not where the pieces and sectors of this database's miner are: {reason}; is it mounted? Name the folder that its other machines have by --storage", dir.display())]
    OtherStorage { dir: PathBuf, reason: &'static str },
    #[error("{} cannot be what this machine seals in: {reason}; name a folder of its own by --scratch", dir.display())]
    Scratch { dir: PathBuf, reason: &'static str },
    #[error("{} belongs to another user (number {theirs}) than this program's ({ours}): run all machines of a miner as one user", dir.display())]
    OtherUser { dir: PathBuf, theirs: u32, ours: u32 },
    #[error("{} has pieces or sectors, and the storage {} has none of them: bring them there before the miner is moved, or its sectors cannot be proven", from.display(), to.display())]
    NotBrought { from: PathBuf, to: PathBuf },
    #[error("each daemon of this miner has a storage of its own, which this machine does not reach: it can take --steps commit-2 alone; to seal on more machines, give all of them one folder by database.storage and --storage")]
    OwnStorage,
    #[error(
        "name the folder of pieces and sectors that the daemon has by --storage; only --steps commit-2 needs none"
    )]
    NoStorage,
    #[error("this program is version {ours}, and the miner's daemon is {theirs}: run one version on all machines")]
    OtherVersion { ours: String, theirs: String },
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

    /// The same for whoever only looks: none where no daemon has made them yet.
    pub fn jobs_there(&self) -> Result<Option<Jobs>, DatabaseError> {
        Jobs::there(&self.0, SPACE)
    }
}

impl DatabaseUrl {
    /// Fails when it is none.
    pub fn check(&self) -> Result<(), DatabaseError> {
        Postgres::shown_url(&self.0).map(drop)
    }
}

/// Anything is taken here, so that nobody's error shows it whole; [`DatabaseUrl::check`] says what is wrong.
impl FromStr for DatabaseUrl {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
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
    pub official_params: bool,
    #[serde(default)]
    pub version: String,
    /// Whether each daemon has a storage of its own, so that others do only what reads no files.
    #[serde(default)]
    pub own_storage: bool,
}

/// This program's.
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

impl Facts {
    /// Tells all machines.
    pub fn tell(&self, jobs: &Jobs) -> Result<(), MachinesError> {
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

    /// Fails when a worker of another version reads this.
    pub fn check_version(&self) -> Result<(), MachinesError> {
        match version() {
            ours if ours == self.version => Ok(()),
            ours => Err(MachinesError::OtherVersion {
                ours,
                theirs: self.version.clone(),
            }),
        }
    }
}

/// Fails when `dir` is not the storage of the records of this id.
pub fn check_storage(dir: &Path, id: &str) -> Result<(), MachinesError> {
    let reason = match mark_of(dir)? {
        Some(mark) if mark == id => return check_user(&dir.join(MARK)),
        Some(_) => "its mark is that of another database's",
        None => "it has no mark",
    };
    let dir = dir.to_owned();
    Err(MachinesError::OtherStorage { dir, reason })
}

/// By what these records' storage is known; none before the first daemon has led.
pub fn storage_id(jobs: &Jobs) -> Result<Option<String>, MachinesError> {
    let said = jobs.said(STORAGE)?;
    Ok(said.map(|id| String::from_utf8_lossy(&id).into_owned()))
}

/// Fails when `dir`, which is to be the storage of records that have none yet, is another's.
pub fn check_new_storage(dir: &Path) -> Result<(), MachinesError> {
    if mark_of(dir)?.is_some() {
        let (dir, reason) = (dir.to_owned(), "it has the mark of another database");
        return Err(MachinesError::OtherStorage { dir, reason });
    }
    Ok(())
}

/// Marks the storage of these records, which have none yet; fails when it is another's.
pub fn mark_storage(dir: &Path, jobs: &Jobs) -> Result<(), MachinesError> {
    check_new_storage(dir)?;
    let path = dir.join(MARK);
    let id = new_id();
    // First the mark: a database without one begins anew, and a mark that no database knows is named above.
    write_whole(&path, id.as_bytes(), 0o600).map_err(|source| failed("write", &path, source))?;
    jobs.say_first(STORAGE, id.as_bytes())?;
    Ok(())
}

/// Marks a daemon's own storage, where each has one that is filled from the archive; this database's mark stays. Fails when it is another's.
pub fn mark_own_storage(dir: &Path, jobs: &Jobs) -> Result<(), MachinesError> {
    // A database that is refused here has no storage afterwards either, and may get another one.
    if storage_id(jobs)?.is_none() {
        check_new_storage(dir)?;
    }
    let id = jobs.say_first(STORAGE, new_id().as_bytes())?;
    let id = String::from_utf8_lossy(&id);
    check_own_storage(dir, &id)?;
    if mark_of(dir)?.is_some() {
        return Ok(());
    }
    let path = dir.join(MARK);
    write_whole(&path, own_mark(&id).as_bytes(), 0o600).map_err(|source| failed("write", &path, source))
}

/// Fails when a daemon's own storage is another database's; it may have no mark yet.
pub fn check_own_storage(dir: &Path, id: &str) -> Result<(), MachinesError> {
    match mark_of(dir)? {
        Some(mark) if mark != own_mark(id) => check_storage(dir, id),
        _ => Ok(()),
    }
}

/// The mark of a folder; none where it has none. A folder that cannot be read is not one without a mark.
fn mark_of(dir: &Path) -> Result<Option<String>, MachinesError> {
    let path = dir.join(MARK);
    match fs::read_to_string(&path) {
        Ok(mark) => Ok(Some(mark)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed("read", &path, source)),
    }
}

/// The mark of a daemon's own storage: no other daemon finds its files there.
fn own_mark(id: &str) -> String {
    format!("{id}-own")
}

fn new_id() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}

/// Fails when `to` has not what the home's own folder `from` has.
pub fn check_brought(from: &Path, to: &Path) -> Result<(), MachinesError> {
    let has_any = |dir: PathBuf| match fs::read_dir(&dir) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(source) => Err(failed("read", &dir, source)),
    };
    for name in ["staging", "sectors"] {
        if from != to && has_any(from.join(name))? && !has_any(to.join(name))? {
            let (from, to) = (from.to_owned(), to.to_owned());
            return Err(MachinesError::NotBrought { from, to });
        }
    }
    Ok(())
}

/// Fails when a file is another user's: what this program makes beside it the others could not read.
fn check_user(path: &Path) -> Result<(), MachinesError> {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt;
        let user = |path: &Path| fs::metadata(path).map(|metadata| metadata.uid());
        if let (Ok(theirs), Ok(ours)) = (user(path), user(Path::new("/proc/self"))) {
            if theirs != ours {
                let dir = path.to_owned();
                return Err(MachinesError::OtherUser { dir, theirs, ours });
            }
        }
    }
    let _ = path;
    Ok(())
}

/// What this machine is called among others, unless its operator says it.
pub fn usual_name() -> String {
    machine::host_name().unwrap_or_else(|| "machine".to_owned())
}

/// What a daemon of this machine is called when it leads.
pub fn holder_name() -> String {
    format!("{} (process {})", usual_name(), std::process::id())
}

/// Whether the daemon that leads is one of this machine's.
pub fn leads_here(holder: &str) -> bool {
    let rest = holder.strip_prefix(&usual_name());
    rest.is_some_and(|rest| rest.starts_with(" (process "))
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
        for wrong in [
            "mysql://miner:SECRET@db",
            "postgres://miner:SECRET@x@db",
            "postgres://m:SECRET@db/a?sslmode=some",
        ] {
            let error = wrong
                .parse::<DatabaseUrl>()
                .expect("anything is")
                .check()
                .expect_err("it is none")
                .to_string();
            assert!(!error.contains("SECRET"), "{error}");
        }
    }

    #[test]
    fn a_daemon_that_leads_says_on_which_machine_it_is() {
        assert!(leads_here(&holder_name()));
        let other = format!("{}2 (process 7)", usual_name());
        assert!(!leads_here(&other), "{other}");
    }

    #[test]
    fn a_storage_is_known_by_its_mark() {
        let (ours, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let is_other = |result| matches!(result, Err(MachinesError::OtherStorage { .. }));
        assert!(is_other(check_storage(ours.path(), "id")));
        fs::write(ours.path().join(MARK), "id").expect("written");
        check_storage(ours.path(), "id").expect("it is this one");
        // A database without a storage takes none that is another's.
        assert!(is_other(check_new_storage(ours.path())));
        check_new_storage(other.path()).expect("it is nobody's");
        fs::write(other.path().join(MARK), "another").expect("written");
        assert!(is_other(check_storage(other.path(), "id")));
    }

    #[test]
    fn what_was_not_brought_to_the_storage_is_noticed() {
        let (home, storage) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        check_brought(home.path(), storage.path()).expect("there is nothing");
        fs::create_dir_all(home.path().join("sectors/1")).unwrap();
        assert!(matches!(
            check_brought(home.path(), storage.path()),
            Err(MachinesError::NotBrought { .. })
        ));
        fs::create_dir_all(storage.path().join("sectors/1")).unwrap();
        check_brought(home.path(), storage.path()).expect("it was brought");
    }
}
