//! Opening a database file: who may, of which kind and format it is, and what earlier formats become.

use super::{failed, View};
use crate::{DatabaseError, Schema, Table, PATIENCE, PAUSE};
use rusqlite::{backup, Connection, OpenFlags};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Owner only: records hold peers' addresses and clients' file names.
#[cfg(unix)]
const FILE_MODE: u32 = 0o600;
#[cfg(unix)]
const FOLDER_MODE: u32 = 0o700;
/// Pages copied at once by a backup; the writer gets its turn between.
const PAGES_AT_ONCE: i32 = 1024;

/// Makes the file and its folder, for the owner alone; what is there already stays.
pub(super) fn make_file(path: &Path) -> Result<(), DatabaseError> {
    let error = |e: io::Error| open_error(path, &e);
    let folder = folder_of(path);
    make_folder(&folder).map_err(error)?;
    // Made beside and never opened when it is there: closing another handle would take SQLite's locks of this process with it.
    match private().create_new(true).open(path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(error(e)),
        _ => {}
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(FILE_MODE)).map_err(error)?;
    }
    sync_folder(&folder).map_err(error)
}

/// Makes a folder for the owner alone, with those that it lies in; their names are on the disk when this returns.
fn make_folder(folder: &Path) -> io::Result<()> {
    let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let missing: Vec<&Path> = folder.ancestors().take_while(is_missing).collect();
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, FOLDER_MODE);
    builder.recursive(true).create(folder)?;
    missing.into_iter().try_for_each(|made| sync_folder(&folder_of(made)))
}

/// Options for a file that only the owner may read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, FILE_MODE);
    options
}

/// Brings a folder's list of names to the disk.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Keeps other processes out, by a file beside the database.
pub(super) fn lock(path: &Path) -> Result<File, DatabaseError> {
    let started = Instant::now();
    lock_while(path, || {
        std::thread::sleep(PAUSE);
        started.elapsed() < PATIENCE
    })
}

/// Locks, asking `wait` every time that another has the lock.
fn lock_while(path: &Path, mut wait: impl FnMut() -> bool) -> Result<File, DatabaseError> {
    let lock = path.with_extension("lock");
    let opened = private().create(true).truncate(false).open(&lock);
    let file = opened.map_err(|e| open_error(&lock, &e))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if wait() => {}
            Err(TryLockError::WouldBlock) => return Err(DatabaseError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(open_error(&lock, &error)),
        }
    }
}

/// The connection that writes.
pub(super) fn connect(path: &Path) -> Result<Connection, DatabaseError> {
    let open = || -> rusqlite::Result<Connection> {
        let connection = connect_with(path)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA journal_size_limit = 67108864;",
        )?;
        Ok(connection)
    };
    open().map_err(|e| open_error(path, &e))
}

/// A connection that only reads.
pub(super) fn connect_reader(path: &Path) -> Result<Connection, DatabaseError> {
    let open = || -> rusqlite::Result<Connection> {
        let connection = connect_with(path)?;
        connection.execute_batch("PRAGMA query_only = ON;")?;
        // The first look opens the log's files, which are then kept.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(connection)
    };
    open().map_err(|e| open_error(path, &e))
}

fn connect_with(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(128);
    connection.execute_batch("PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384;")?;
    Ok(connection)
}

/// Checks kind and format, and brings what is older to the schema's.
pub(super) fn bring_up(connection: &Connection, path: &Path, schema: &Schema) -> Result<(), DatabaseError> {
    let (kind, format) = (
        number(connection, "application_id")?,
        number(connection, "user_version")?,
    );
    let is_new = kind == 0 && format == 0;
    if !is_new && kind != schema.kind {
        return Err(DatabaseError::OtherKind { path: path.to_owned() });
    }
    let (format, known) = (u32::try_from(format).unwrap_or(u32::MAX), schema.format);
    match format {
        _ if is_new => {}
        found if found > known => {
            let path = path.to_owned();
            return Err(DatabaseError::LaterFormat { path, found, known });
        }
        found if found < known => back_up(connection, path, &path.with_extension(format!("format{found}.bak")))?,
        _ => return Ok(()),
    }
    // Another process may do the same: whoever comes second finds it done.
    connection.execute_batch("BEGIN IMMEDIATE").map_err(failed)?;
    let done = migrate(connection, schema, is_new);
    let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
    done.and(connection.execute_batch(end).map_err(failed))
}

fn migrate(connection: &Connection, schema: &Schema, is_new: bool) -> Result<(), DatabaseError> {
    for table in schema.tables {
        connection.execute_batch(&make_table(*table)).map_err(failed)?;
    }
    if !is_new {
        let found = number(connection, "user_version")?;
        for from in u32::try_from(found).unwrap_or(u32::MAX)..schema.format {
            (schema.migrate)(&View(connection), from)?;
        }
    }
    let header = format!(
        "PRAGMA application_id = {}; PRAGMA user_version = {}",
        schema.kind, schema.format
    );
    connection.execute_batch(&header).map_err(failed)
}

fn make_table(table: Table) -> String {
    let layout = if table.short { " WITHOUT ROWID" } else { "" };
    format!(
        "CREATE TABLE IF NOT EXISTS \"{}\" (key BLOB PRIMARY KEY NOT NULL, value BLOB NOT NULL){layout}",
        table.name
    )
}

fn number(connection: &Connection, pragma: &str) -> Result<i32, DatabaseError> {
    let asked = connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0));
    asked.map_err(failed)
}

/// Copies a database into a new file.
pub(super) fn back_up(from: &Connection, path: &Path, to: &Path) -> Result<(), DatabaseError> {
    make_file(to)?;
    let copy = || -> rusqlite::Result<()> {
        let mut copy = Connection::open(to)?;
        let backup = backup::Backup::new(from, &mut copy)?;
        backup.run_to_completion(PAGES_AT_ONCE, Duration::ZERO, None)
    };
    copy().map_err(|e| open_error(path, &e))
}

pub(super) fn open_error(path: &Path, reason: &dyn std::fmt::Display) -> DatabaseError {
    DatabaseError::Open {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_is_being_closed_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.db");
        let mut holder = Some(lock(&path).unwrap());
        let opened = lock_while(&path, || {
            drop(holder.take());
            true
        });
        assert!(opened.is_ok() && holder.is_none());
    }

    #[test]
    fn a_database_that_stays_open_is_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.db");
        let _holder = lock(&path).unwrap();
        assert!(matches!(lock_while(&path, || false), Err(DatabaseError::InUse { .. })));
    }
}
