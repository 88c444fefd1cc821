//! What is true is on the disk: the one way to a database (design §7).
//!
//! [`Store`] is the port: named tables of ordered records, read in one consistent view, changed in transactions that are on the
//! disk when they return. [`Sqlite`] is its implementation for one machine and the only module that names SQLite; `Postgres` (feature `postgres`) is for
//! several, and no program uses it yet; [`Memory`] is for tests and for what is never kept. All of them run the same contract suite. Opened by the miner (deals, sectors
//! and money), the development chain (blocks and states), the wallet's outbox (messages that are on their way) and the terminal
//! client (its deals), each with a [`Schema`] of its own; [`takeover`] brings in what version 0.1.0 kept in sled. What the feature `disk`
//! brings is left out where there is no disk: the development chain in a browser keeps its records in [`Memory`].
//!
//! No call waits for the disk on an async worker: [`blocking`] takes the other tasks of the worker elsewhere first.
#![warn(clippy::indexing_slicing)]

#[cfg(test)]
#[cfg(feature = "disk")]
mod contract;
#[cfg(test)]
#[cfg(feature = "disk")]
mod faults;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "disk")]
mod sqlite;
#[cfg(feature = "disk")]
pub mod takeover;
#[cfg(all(feature = "disk", any(test, feature = "testing")))]
pub mod testing;

pub use memory::Memory;
#[cfg(feature = "postgres")]
pub use postgres::{jobs, Postgres};
#[cfg(feature = "disk")]
pub use sqlite::Sqlite;

use std::path::PathBuf;
#[cfg(feature = "disk")]
use std::time::Duration;

/// How long somebody who is closing a database is waited for: a process that is being started has its parent's files open
/// for a moment.
#[cfg(feature = "disk")]
const PATIENCE: Duration = Duration::from_secs(5);
#[cfg(feature = "disk")]
const PAUSE: Duration = Duration::from_millis(10);

/// Why a database does not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DatabaseError {
    #[error("the database {} cannot be opened: {reason}; check the folder's permissions and the free space", path.display())]
    Open { path: PathBuf, reason: String },
    #[error("this names no database: {reason}")]
    Url { reason: String },
    #[error("the database {} is in use by another process; stop that one first", path.display())]
    InUse { path: PathBuf },
    #[error("{} is not a database of this kind: another program's file, or one of another part of this program", path.display())]
    OtherKind { path: PathBuf },
    #[error("the database {} was written by a later version of this program (format {found}, and this one knows up to {known}): use that version", path.display())]
    LaterFormat { path: PathBuf, found: u32, known: u32 },
    #[error("the database failed: {reason}; check the free space and the disk. What was asked for is not done, and is tried anew when it is asked for again")]
    Failed { reason: String },
    #[error("the database server failed: {reason}; is it running and reached from here, and do its user, password and database exist? What was asked for is not done, and is tried anew when it is asked for again")]
    Server { reason: String },
    #[error("a record of {table} cannot be read: {reason}; the disk is damaged, or another version wrote it")]
    Damaged { table: &'static str, reason: String },
    #[error("the database of version 0.1.0 in {} cannot be taken over: {reason}", path.display())]
    Takeover { path: PathBuf, reason: String },
}

/// A table of ordered records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Table {
    pub name: &'static str,
    /// Whether values are short, as in an index; only a matter of speed.
    short: bool,
}

impl Table {
    /// A table whose values may be long.
    pub const fn records(name: &'static str) -> Self {
        Self { name, short: false }
    }

    /// A table whose values are short.
    pub const fn index(name: &'static str) -> Self {
        Self { name, short: true }
    }
}

/// What a database holds.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Tells the databases of different parts apart, in the file's header.
    pub kind: i32,
    pub tables: &'static [Table],
    /// Counted up when the records' layout changes.
    pub format: u32,
    /// Brings records of an earlier format, which is named, to the next one.
    pub migrate: fn(&dyn Changes, u32) -> Result<(), DatabaseError>,
}

/// Who may have a database open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// This process alone.
    Alone,
    /// Any number of processes at once.
    Shared,
}

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Which end of a range is read first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
}

/// Records in one consistent view.
pub trait Records {
    /// The value of a key.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, DatabaseError>;

    /// At most `most` records with keys from `from` on and below `to`, if that is given.
    fn range(
        &self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        order: Order,
        most: usize,
    ) -> Result<Vec<Entry>, DatabaseError>;
}

/// Records in a transaction.
pub trait Changes: Records {
    /// Keeps a value in place of the one before.
    fn put(&self, table: Table, key: &[u8], value: &[u8]) -> Result<(), DatabaseError>;

    /// Removes a record; one that is not there already is.
    fn remove(&self, table: Table, key: &[u8]) -> Result<(), DatabaseError>;
}

/// The port: tables of ordered records.
pub trait Store: Send + Sync {
    /// Gives a consistent view of what is on the disk to `work`.
    fn view(&self, work: &mut dyn FnMut(&dyn Records)) -> Result<(), DatabaseError>;

    /// Gives a transaction to `work`, and keeps what it changed if it returns true: when this returns `Ok`, that is on the disk, and
    /// otherwise nothing changed. `work` sees the transactions before it; it may be called more than once, each time anew. It takes no lock
    /// that somebody may hold who writes: the two would wait for each other.
    fn change(&self, work: &mut dyn FnMut(&dyn Changes) -> bool) -> Result<(), DatabaseError>;
}

impl dyn Store + '_ {
    /// Reads in one consistent view.
    pub fn read<T, E: From<DatabaseError>>(&self, mut work: impl FnMut(&dyn Records) -> Result<T, E>) -> Result<T, E> {
        let mut result = None;
        self.view(&mut |records| result = Some(work(records)))?;
        result.unwrap_or_else(|| Err(missed().into()))
    }

    /// Changes records together; on `Err` nothing changed, and on `Ok` everything is on the disk.
    pub fn write<T, E: From<DatabaseError>>(&self, mut work: impl FnMut(&dyn Changes) -> Result<T, E>) -> Result<T, E> {
        let mut result = None;
        let kept = self.change(&mut |changes| result.insert(work(changes)).is_ok());
        match result {
            Some(Ok(value)) => kept.map(|()| value).map_err(E::from),
            Some(Err(error)) => Err(error),
            None => Err(kept.err().unwrap_or_else(missed).into()),
        }
    }
}

fn missed() -> DatabaseError {
    DatabaseError::Failed {
        reason: "a transaction was not carried out".to_owned(),
    }
}

/// All records whose keys begin with `prefix`, by key.
pub fn with_prefix(records: &dyn Records, table: Table, prefix: &[u8]) -> Result<Vec<Entry>, DatabaseError> {
    let to = after_prefix(prefix);
    records.range(table, prefix, to.as_deref(), Order::Ascending, usize::MAX)
}

/// The least key that is above every key with this prefix; `None` when there is none.
pub fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut to = prefix.get(..=last)?.to_vec();
    if let Some(byte) = to.last_mut() {
        *byte += 1;
    }
    Some(to)
}

/// Runs what waits for a disk or a lock. On a worker of an async runtime, its other tasks go on elsewhere meanwhile.
#[cfg(feature = "disk")]
pub fn blocking<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
