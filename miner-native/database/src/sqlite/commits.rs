//! Transactions that share an fsync.
//!
//! Each caller's work runs in a savepoint of the transaction that is open. Whoever is done and sees another caller at the door
//! leaves the commit to that one; the last commits for all. If the commit fails, nothing of it is kept and all of them are told.

use super::failed;
use crate::DatabaseError;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Most callers whose work shares one commit: the first of them waits for all of it.
const MOST_TOGETHER: usize = 256;

/// The writer of a database.
pub(super) struct Commits {
    writer: Mutex<Writer>,
    /// Callers that wait for the writer.
    at_the_door: AtomicUsize,
    outcomes: Mutex<Outcomes>,
    committed: Condvar,
}

struct Writer {
    connection: Connection,
    /// Number of the transaction that is open or comes next.
    transaction: u64,
    /// Callers whose work is in the open transaction.
    callers: usize,
}

#[derive(Default)]
struct Outcomes {
    /// Transactions below this one are over.
    next: u64,
    /// Those that failed, with the callers that were not told yet.
    failed: BTreeMap<u64, (DatabaseError, usize)>,
}

impl Commits {
    pub fn of(connection: Connection) -> Self {
        Self {
            writer: Mutex::new(Writer {
                connection,
                transaction: 0,
                callers: 0,
            }),
            at_the_door: AtomicUsize::new(0),
            outcomes: Mutex::default(),
            committed: Condvar::new(),
        }
    }

    /// Runs `work` in a transaction, and keeps what it changed if it returns true.
    pub fn change(&self, work: &mut dyn FnMut(&Connection) -> bool) -> Result<(), DatabaseError> {
        self.at_the_door.fetch_add(1, Ordering::SeqCst);
        let mut writer = self.writer();
        self.at_the_door.fetch_sub(1, Ordering::SeqCst);
        let own = writer.transaction;
        let ran = writer.run(work);
        let is_kept = matches!(ran, Ok(Ok(true)));
        if is_kept {
            writer.callers += 1;
        }
        let is_lost = writer.connection.is_autocommit();
        let is_last = self.at_the_door.load(Ordering::SeqCst) == 0 || writer.callers >= MOST_TOGETHER;
        if is_lost || is_last {
            self.end(writer, is_lost);
        } else {
            drop(writer);
        }
        match ran {
            Ok(Ok(true)) => self.await_outcome(own),
            Ok(Ok(false)) => Ok(()),
            Ok(Err(error)) => Err(error),
            Err(panic) => resume_unwind(panic),
        }
    }

    /// Ends the open transaction, for all whose work is in it.
    fn end(&self, mut writer: MutexGuard<'_, Writer>, is_lost: bool) {
        // FAIL: the disk may be full. THEN: SQLite keeps nothing of the transaction, and the next one begins from the disk.
        let result = match is_lost {
            true => Err(DatabaseError::Failed {
                reason: "a transaction was rolled back after an error of the disk".to_owned(),
            }),
            false => writer.connection.execute_batch("COMMIT").map_err(failed),
        };
        if result.is_err() {
            writer.recover();
        }
        let mut outcomes = self.outcomes();
        if let (Err(error), 1..) = (result, writer.callers) {
            outcomes.failed.insert(writer.transaction, (error, writer.callers));
        }
        writer.transaction += 1;
        writer.callers = 0;
        outcomes.next = writer.transaction;
        self.committed.notify_all();
    }

    fn await_outcome(&self, transaction: u64) -> Result<(), DatabaseError> {
        let mut outcomes = self.outcomes();
        while outcomes.next <= transaction {
            outcomes = self.committed.wait(outcomes).unwrap_or_else(PoisonError::into_inner);
        }
        let Some((error, untold)) = outcomes.failed.get_mut(&transaction) else {
            return Ok(());
        };
        *untold -= 1;
        let (error, untold) = (error.clone(), *untold);
        if untold == 0 {
            outcomes.failed.remove(&transaction);
        }
        Err(error)
    }

    #[cfg(test)]
    pub fn limit_pages(&self, most: u32) {
        let pragma = format!("PRAGMA max_page_count = {most}");
        let set = self.writer().connection.query_row(&pragma, [], |_| Ok(()));
        set.expect("a limit can be set");
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        // Panics of a caller's work are caught before they come here.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outcomes(&self) -> MutexGuard<'_, Outcomes> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// After an error: nothing of the transaction stays, and the log's room is used anew if it can be.
    fn recover(&self) {
        if !self.connection.is_autocommit() {
            // It can fail only when there is nothing to roll back.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        // What the log holds goes into the database's own pages, which a full disk may have room for.
        let checkpoint = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = checkpoint {
            tracing::warn!(%error, "the database's log could not be written back; the next transaction tries again");
        }
    }

    /// Runs a caller's work in a savepoint, which stays if it returns true.
    fn run(&self, work: &mut dyn FnMut(&Connection) -> bool) -> std::thread::Result<Result<bool, DatabaseError>> {
        let begin = match self.connection.is_autocommit() {
            true => "BEGIN IMMEDIATE; SAVEPOINT caller",
            false => "SAVEPOINT caller",
        };
        if let Err(error) = self.connection.execute_batch(begin) {
            return Ok(Err(failed(error)));
        }
        let ran = catch_unwind(AssertUnwindSafe(|| work(&self.connection)));
        let end = match ran {
            Ok(true) => "RELEASE caller",
            _ => "ROLLBACK TO caller; RELEASE caller",
        };
        // After a severe error SQLite has rolled the whole transaction back already.
        let ended = match self.connection.is_autocommit() {
            true => Ok(()),
            false => self.connection.execute_batch(end).map_err(failed),
        };
        match ran {
            Ok(keep) => Ok(ended.map(|()| keep)),
            Err(panic) => Err(panic),
        }
    }
}
