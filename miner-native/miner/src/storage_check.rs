//! Whether the disk still takes what the miner has to remember and to store: shown in health before anything is lost over it.
//!
//! Writes to the database and to the folders of pieces and sectors now and then, whether or not there is work, and looks how much
//! room there is; at once when [`StorageDoubt`] is raised, and more often while something fails, so that health tells soon that it
//! works again. The last service to stop.

use crate::clock::now_ms;
use crate::staging::Staging;
use crate::store::MinerStore;
use crate::supervisor::{Lifeline, ServiceError};
use sealdrop_database::blocking;
use shared::piece::SectorSize;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Disk that sealing a sector takes, in sectors: the data, the replica, and the cache of layers and trees.
pub const SEALING_FACTOR: u64 = 8;
/// Time between two checks: each costs the disk one write in three places.
const EVERY: Duration = Duration::from_secs(10);
/// The same while something fails.
const SOON: Duration = Duration::from_secs(1);
/// What health calls the database, the room on the disk, and the folders.
const DATABASE: &str = "database";
const DISK: &str = "disk";
const STAGING: &str = "staging";
const SECTORS: &str = "sectors";
/// The file that a check writes, and removes again.
const PROBE: &str = ".probe";

/// Raised by whoever had an error of the disk: the check then comes at once. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct StorageDoubt(Arc<Notify>);

impl StorageDoubt {
    pub fn raise(&self) {
        self.0.notify_one();
    }
}

/// What the check works with.
#[derive(Clone)]
pub struct StorageCheck {
    pub sector_size: SectorSize,
    pub store: MinerStore,
    pub staging: Staging,
    /// Where sectors lie; it is there from the first sector on.
    pub sectors: PathBuf,
    pub doubt: StorageDoubt,
}

impl StorageCheck {
    /// Checks until it is to stop.
    pub async fn run(self, lifeline: Lifeline) -> Result<(), ServiceError> {
        loop {
            let is_well = blocking(|| self.check(&lifeline));
            if !is_well && blocking(|| self.store.is_anothers()) {
                return Err("another daemon has opened these records since: this one changes nothing any more".into());
            }
            lifeline.beat();
            let next = async {
                // A moment at least, however many raise doubts.
                tokio::time::sleep(SOON).await;
                if is_well {
                    let _ = tokio::time::timeout(EVERY, self.doubt.0.notified()).await;
                }
            };
            if lifeline.unless_stopping(next).await.is_none() {
                return Ok(());
            }
        }
    }

    /// Tells health how it stands; whether all is well.
    pub(crate) fn check(&self, lifeline: &Lifeline) -> bool {
        let needed = self.sector_size.bytes().saturating_mul(SEALING_FACTOR);
        let database = tell(lifeline, DATABASE, self.store.probe(now_ms()));
        let room = tell(lifeline, DISK, self.staging.check_room(needed));
        let staging = tell(lifeline, STAGING, probe(self.staging.dir()));
        let sectors = !self.sectors.is_dir() || tell(lifeline, SECTORS, probe(&self.sectors));
        database && room && staging && sectors
    }
}

fn tell<E: std::fmt::Display>(lifeline: &Lifeline, what: &'static str, result: Result<(), E>) -> bool {
    match &result {
        Ok(()) => lifeline.well(what),
        Err(error) => {
            tracing::warn!(%error, what, "what is to be stored cannot be");
            lifeline.failing(what, error);
        }
    }
    result.is_ok()
}

/// Free bytes of the disk that a path lies on or would lie on: that of the nearest folder above it that there is.
pub fn free_space_at(path: &Path) -> io::Result<u64> {
    let path = std::path::absolute(path)?;
    let there = path.ancestors().find(|folder| folder.is_dir());
    fs4::available_space(there.unwrap_or(&path))
}

/// Writes a file to a folder, and removes it.
pub fn probe(folder: &Path) -> Result<(), ProbeError> {
    let path = folder.join(PROBE);
    let written = File::create(&path).and_then(|mut file| {
        file.write_all(&now_ms().to_be_bytes())?;
        file.sync_all()
    });
    let removed = match std::fs::remove_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    };
    written.and(removed).map_err(|source| ProbeError { path, source })
}

/// A folder takes nothing.
#[derive(Debug, thiserror::Error)]
#[error("could not write {}: {source}; check the folder's permissions and the free space", path.display())]
pub struct ProbeError {
    path: PathBuf,
    source: io::Error,
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealdrop_database::{Changes, DatabaseError, Memory, Records, Store};
    use std::sync::atomic::{AtomicBool, Ordering};

    /// A database that takes nothing while it is broken.
    #[derive(Default)]
    struct Breakable {
        store: Memory,
        is_broken: AtomicBool,
    }

    impl Store for Breakable {
        fn view(&self, work: &mut dyn FnMut(&dyn Records)) -> Result<(), DatabaseError> {
            self.store.view(work)
        }

        fn change(&self, work: &mut dyn FnMut(&dyn Changes) -> bool) -> Result<(), DatabaseError> {
            match self.is_broken.load(Ordering::SeqCst) {
                true => Err(DatabaseError::Failed {
                    reason: "no space left on device".into(),
                }),
                false => self.store.change(work),
            }
        }
    }

    #[test]
    fn a_folder_that_is_not_there_yet_has_the_room_of_those_above_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let later = dir.path().join("a/b/c");
        assert!(free_space_at(&later).expect("the disk answers") > 0 && !later.exists());
    }

    #[test]
    fn health_is_not_green_while_the_database_takes_nothing_or_the_disk_is_full() {
        let dir = tempfile::tempdir().expect("a folder");
        let database = Arc::new(Breakable::default());
        let check = |sector_size| StorageCheck {
            sector_size,
            store: MinerStore::of(database.clone()),
            staging: Staging::open(dir.path().join("staging")).expect("a folder"),
            sectors: dir.path().join("sectors"),
            doubt: StorageDoubt::default(),
        };
        let (lifeline, board) = Lifeline::watched();
        let small = check(SectorSize::S2KiB);
        small.check(&lifeline);
        assert!(board.health().ok, "{:?}", board.health());
        database.is_broken.store(true, Ordering::SeqCst);
        small.check(&lifeline);
        let health = board.health();
        assert!(
            !health.ok && health.problems[0].text.contains("no space left"),
            "{health:?}"
        );
        database.is_broken.store(false, Ordering::SeqCst);
        small.check(&lifeline);
        assert!(board.health().ok, "it recovers by itself");
        std::fs::remove_dir_all(dir.path().join("staging")).expect("it is there");
        assert!(!small.check(&lifeline) && !board.health().ok, "pieces cannot be kept");
        std::fs::create_dir(dir.path().join("staging")).expect("there is room");
        assert!(small.check(&lifeline) && board.health().ok);
        lifeline.failing(DISK, &"full");
        assert!(!board.health().ok);
        small.check(&lifeline);
        assert!(board.health().ok);
    }
}
