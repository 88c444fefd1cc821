//! Whether the disk still takes what the miner has to remember: shown in health before anything is lost over it.
//!
//! Writes to the database now and then, whether or not there is work, and looks how much room there is. The last service to stop.

use crate::clock::now_ms;
use crate::network::SEALING_FACTOR;
use crate::staging::Staging;
use crate::store::MinerStore;
use crate::supervisor::{Lifeline, ServiceError};
use shared::piece::SectorSize;
use std::time::Duration;

/// Time between two checks: each costs the disk one write.
const EVERY: Duration = Duration::from_secs(10);
/// What health calls the database, and the room on the disk.
const DATABASE: &str = "database";
const DISK: &str = "disk";

/// What the check works with.
#[derive(Clone)]
pub struct StorageCheck {
    pub sector_size: SectorSize,
    pub store: MinerStore,
    pub staging: Staging,
}

impl StorageCheck {
    /// Checks until it is to stop.
    pub async fn run(self, lifeline: Lifeline) -> Result<(), ServiceError> {
        loop {
            self.check(&lifeline);
            lifeline.beat();
            if lifeline.unless_stopping(tokio::time::sleep(EVERY)).await.is_none() {
                return Ok(());
            }
        }
    }

    /// Tells health how it stands.
    pub(crate) fn check(&self, lifeline: &Lifeline) {
        match self.store.probe(now_ms()) {
            Ok(()) => lifeline.well(DATABASE),
            Err(error) => {
                tracing::error!(%error, "the database does not take anything");
                lifeline.failing(DATABASE, &error);
            }
        }
        let needed = self.sector_size.bytes().saturating_mul(SEALING_FACTOR);
        match self.staging.check_room(needed) {
            Ok(()) => lifeline.well(DISK),
            Err(error) => {
                tracing::warn!(%error, "there is no room to seal another sector");
                lifeline.failing(DISK, &error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealdrop_database::{Changes, DatabaseError, Memory, Records, Store};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::Arc;

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
    fn health_is_not_green_while_the_database_takes_nothing_or_the_disk_is_full() {
        let dir = tempfile::tempdir().expect("a folder");
        let database = Arc::new(Breakable::default());
        let check = |sector_size| StorageCheck {
            sector_size,
            store: MinerStore::of(database.clone()),
            staging: Staging::open(dir.path().to_owned()).expect("a folder"),
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
        lifeline.failing(DISK, &"full");
        assert!(!board.health().ok);
        small.check(&lifeline);
        assert!(board.health().ok);
    }
}
