//! Copies of a database file that another process may have open: by SQLite's online backup, from one view of it.
//!
//! The file's lock is its owner's and is not asked for: SQLite's own locks are what keeps a reader and the writer apart, and in the
//! write-ahead log a reader holds nobody up. The copy is what the last transaction left that had ended before.

use super::opening;
use crate::{blocking, DatabaseError, PATIENCE};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// Copies the database file at `from` into a new file, whether another process has it open or none.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), DatabaseError> {
    blocking(|| {
        let source = connect(from).map_err(|e| opening::open_error(from, &e))?;
        opening::back_up(&source, from, to)
    })
}

/// A connection that cannot change the file, in a view of it that stays the same.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.execute_batch("BEGIN")?;
    hold(&connection)?;
    Ok(connection)
}

/// The view begins with the first look. Without it, a copy begins anew whenever somebody writes between two of its steps.
pub(super) fn hold(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
}

#[cfg(test)]
mod tests {
    use crate::{testing, Changes, DatabaseError, Records, Schema, Sharing, Sqlite, Store, Table};
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Two tables that every transaction changes alike.
    const ONE: Table = Table::index("one");
    const TWO: Table = Table::records("two");
    const SCHEMA: Schema = Schema {
        kind: 7,
        tables: &[ONE, TWO],
        format: 1,
        migrate: |_, _| Ok(()),
    };
    const KEY: &[u8] = b"k";
    /// So many that a copy takes several steps.
    const RECORDS: u32 = 700;
    const SOURCE: &str = "SEALDROP_TEST_COPY_OF";

    fn open(path: &Path) -> Box<dyn Store> {
        Box::new(Sqlite::open(path, &SCHEMA, Sharing::Alone).expect("it opens"))
    }

    fn count(store: &dyn Store, number: u32) {
        let number = number.to_be_bytes();
        let written = store.write(|changes: &dyn Changes| {
            changes.put(ONE, KEY, &number)?;
            // All over the file.
            changes.put(
                TWO,
                &(u32::from_be_bytes(number) % RECORDS).to_be_bytes(),
                &[number[3]; 4096],
            )?;
            changes.put(TWO, KEY, &number)
        });
        written.expect("the disk can be written");
    }

    fn counted(path: &Path) -> u32 {
        let store = open(path);
        let found: Result<_, DatabaseError> =
            store.read(|records: &dyn Records| Ok((records.get(ONE, KEY)?, records.get(TWO, KEY)?)));
        let (one, two) = found.expect("it can be read");
        assert_eq!(one, two, "a transaction is whole");
        u32::from_be_bytes(one.expect("it was written").try_into().expect("a number"))
    }

    fn filled(path: &Path) -> Box<dyn Store> {
        let store = open(path);
        (1..=RECORDS).for_each(|number| count(store.as_ref(), number));
        store
    }

    #[test]
    fn another_process_copies_what_is_being_written_and_each_copy_is_whole() {
        const NAME: &str =
            "sqlite::copying::tests::another_process_copies_what_is_being_written_and_each_copy_is_whole";
        if let Some(source) = std::env::var_os(SOURCE) {
            return copies(&PathBuf::from(source));
        }
        let dir = tempfile::tempdir().expect("there is room");
        let path = dir.path().join("x.db");
        let (store, ended) = (filled(&path), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut number = RECORDS;
                while !ended.load(Ordering::Relaxed) {
                    number += 1;
                    count(store.as_ref(), number);
                }
                number
            });
            let output = testing::child(NAME, "SEALDROP_TEST_CHILD").env(SOURCE, &path).output();
            ended.store(true, Ordering::Relaxed);
            let (output, last) = (output.expect("it starts"), writer.join().expect("it writes"));
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && text.contains("1 passed"), "{text}");
            assert!(last > RECORDS, "nothing was written meanwhile");
        });
        drop(store);
        assert!(counted(&path) > RECORDS);
    }

    /// What the other process does.
    fn copies(source: &Path) {
        assert!(
            matches!(
                Sqlite::open(source, &SCHEMA, Sharing::Alone),
                Err(DatabaseError::InUse { .. })
            ),
            "its owner has it"
        );
        let dir = tempfile::tempdir().expect("there is room");
        let mut last = 0;
        for number in 0..5 {
            let copy = dir.path().join(format!("{number}.db"));
            Sqlite::copy_file(source, &copy).expect("it is copied");
            let counted = counted(&copy);
            assert!(counted >= RECORDS.max(last));
            last = counted;
        }
    }

    #[test]
    fn a_database_that_nobody_has_open_is_copied_and_stays_as_it_is() {
        let dir = tempfile::tempdir().expect("there is room");
        let (path, copy) = (dir.path().join("x.db"), dir.path().join("copy.db"));
        drop(filled(&path));
        let before = std::fs::read(&path).expect("it is there");
        Sqlite::copy_file(&path, &copy).expect("it is copied");
        assert!(std::fs::read(&path).expect("it is there") == before);
        assert_eq!(counted(&copy), RECORDS);
    }

    #[test]
    fn what_a_killed_process_left_in_its_log_is_in_the_copy() {
        let dir = tempfile::tempdir().expect("there is room");
        let (path, killed) = (dir.path().join("x.db"), dir.path().join("killed"));
        let store = filled(&path);
        std::fs::create_dir(&killed).expect("there is room");
        for name in ["x.db", "x.db-wal"] {
            std::fs::copy(dir.path().join(name), killed.join(name)).expect("it is there");
        }
        drop(store);
        let copy = dir.path().join("copy.db");
        Sqlite::copy_file(&killed.join("x.db"), &copy).expect("it is copied");
        assert_eq!(counted(&copy), RECORDS);
    }

    #[test]
    fn what_is_not_there_is_not_made() {
        let dir = tempfile::tempdir().expect("there is room");
        let (path, copy) = (dir.path().join("x.db"), dir.path().join("copy.db"));
        assert!(matches!(
            Sqlite::copy_file(&path, &copy),
            Err(DatabaseError::Open { .. })
        ));
        assert!(!path.exists() && !copy.exists());
    }
}
