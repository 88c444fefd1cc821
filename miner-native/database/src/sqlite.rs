//! SQLite: write-ahead log, `synchronous=FULL`, one writer whose transactions share an fsync, readers that never wait for it.
//!
//! A transaction is on the disk when [`Store::change`] returns. While one fsync is under way, the writers that come meanwhile queue up;
//! the next fsync is for all of them. All files are opened at the start and kept: running out of file descriptors later
//! breaks nothing here. After an error, a full disk's included, the next transaction begins from what is on the disk.

mod commits;
mod copying;
mod opening;

use super::{blocking, Changes, DatabaseError, Entry, Order, Records, Schema, Sharing, Store, Table};
use commits::Commits;
use rusqlite::{params, Connection, OptionalExtension};
use std::fs::File;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};

/// Connections for reading: a long list does not hold up a short question.
const READERS: usize = 2;

/// An open database file.
pub struct Sqlite {
    path: PathBuf,
    commits: Commits,
    readers: Mutex<Vec<Connection>>,
    reader_free: Condvar,
    // Last, so that it is let go of when all connections are closed.
    _lock: Option<File>,
}

impl Sqlite {
    /// Opens the database file at `path`, made with its folder when it is not there, and brings it to the schema's format;
    /// a copy of one with an earlier format stays beside it.
    pub fn open(path: &Path, schema: &Schema, sharing: Sharing) -> Result<Self, DatabaseError> {
        blocking(|| Self::open_now(path, schema, sharing))
    }

    fn open_now(path: &Path, schema: &Schema, sharing: Sharing) -> Result<Self, DatabaseError> {
        opening::make_file(path)?;
        // One process at a time makes it and brings it up, also where many may use it.
        let lock = opening::lock(path)?;
        let writer = opening::connect(path)?;
        opening::bring_up(&writer, path, schema)?;
        let readers = (0..READERS).map(|_| opening::connect_reader(path));
        let readers = readers.collect::<Result<_, _>>()?;
        Ok(Self {
            path: path.to_owned(),
            commits: Commits::of(writer),
            readers: Mutex::new(readers),
            reader_free: Condvar::new(),
            _lock: (sharing == Sharing::Alone).then_some(lock),
        })
    }

    /// Copies the database as it stands into a new file, while it is in use.
    pub fn back_up(&self, to: &Path) -> Result<(), DatabaseError> {
        self.reading(|connection| {
            copying::hold(connection).map_err(failed)?;
            opening::back_up(connection, &self.path, to)
        })?
    }

    /// Copies a database file into a new file, also while another process has it open and writes: it is only read, and
    /// whoever has it is not held up.
    pub fn copy_file(from: &Path, to: &Path) -> Result<(), DatabaseError> {
        copying::copy(from, to)
    }

    /// Makes the disk look full beyond so many pages.
    #[cfg(test)]
    pub fn limit_pages(&self, most: u32) {
        self.commits.limit_pages(most);
    }

    fn reading<T>(&self, work: impl FnOnce(&Connection) -> T) -> Result<T, DatabaseError> {
        blocking(|| {
            let reader = self.take_reader();
            let result = reader.execute_batch("BEGIN").map(|()| {
                let result = catch_unwind(AssertUnwindSafe(|| work(&reader)));
                // Nothing was changed: an error here loses nothing, and the next BEGIN would show it.
                let _ = reader.execute_batch("COMMIT");
                result
            });
            // Also after a panic: who reads next would wait for ever.
            self.readers().push(reader);
            self.reader_free.notify_one();
            match result.map_err(failed)? {
                Ok(value) => Ok(value),
                Err(panic) => resume_unwind(panic),
            }
        })
    }

    fn take_reader(&self) -> Connection {
        let mut readers = self.readers();
        loop {
            if let Some(reader) = readers.pop() {
                return reader;
            }
            readers = self.reader_free.wait(readers).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn readers(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sqlite")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Store for Sqlite {
    fn view(&self, work: &mut dyn FnMut(&dyn Records)) -> Result<(), DatabaseError> {
        self.reading(|connection| work(&View(connection)))
    }

    fn change(&self, work: &mut dyn FnMut(&dyn Changes) -> bool) -> Result<(), DatabaseError> {
        blocking(|| self.commits.change(&mut |connection| work(&View(connection))))
    }
}

/// Records through a connection.
struct View<'a>(&'a Connection);

impl Records for View<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, DatabaseError> {
        let sql = format!("SELECT value FROM \"{}\" WHERE key = ?1", table.name);
        let mut statement = self.0.prepare_cached(&sql).map_err(failed)?;
        statement.query_row([key], |row| row.get(0)).optional().map_err(failed)
    }

    fn range(
        &self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        order: Order,
        most: usize,
    ) -> Result<Vec<Entry>, DatabaseError> {
        let below = if to.is_some() { "AND key < ?3" } else { "AND ?3 IS NULL" };
        let direction = match order {
            Order::Ascending => "ASC",
            Order::Descending => "DESC",
        };
        let sql = format!(
            "SELECT key, value FROM \"{}\" WHERE key >= ?1 {below} ORDER BY key {direction} LIMIT ?2",
            table.name
        );
        let mut statement = self.0.prepare_cached(&sql).map_err(failed)?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![from, most, to], |row| Ok((row.get(0)?, row.get(1)?)));
        let entries: rusqlite::Result<Vec<Entry>> = rows.map_err(failed)?.collect();
        entries.map_err(failed)
    }
}

impl Changes for View<'_> {
    fn put(&self, table: Table, key: &[u8], value: &[u8]) -> Result<(), DatabaseError> {
        let sql = format!("INSERT OR REPLACE INTO \"{}\" (key, value) VALUES (?1, ?2)", table.name);
        let mut statement = self.0.prepare_cached(&sql).map_err(failed)?;
        statement.execute([key, value]).map(drop).map_err(failed)
    }

    fn remove(&self, table: Table, key: &[u8]) -> Result<(), DatabaseError> {
        let sql = format!("DELETE FROM \"{}\" WHERE key = ?1", table.name);
        let mut statement = self.0.prepare_cached(&sql).map_err(failed)?;
        statement.execute([key]).map(drop).map_err(failed)
    }
}

fn failed(error: rusqlite::Error) -> DatabaseError {
    DatabaseError::Failed {
        reason: error.to_string(),
    }
}
