//! Takes over what version 0.1.0 kept in sled: once, by itself, with the old folder kept beside as `….0.1.bak`.
//!
//! The only module that names sled, which is here for nothing else. The new database is made in a folder of its own; the old folder is
//! renamed away when it is whole, and the new one takes its place. Called by those who open a database, before they do.

use super::{blocking, DatabaseError, Entry};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Memory that the old database may use to cache pages.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;
/// Records that are handed over together, and their bytes, at most: what one transaction writes. A record may be longer.
const MOST_TOGETHER: usize = 1024;
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// What a database of SQLite begins with.
const SQLITE_HEADER: &[u8; 16] = b"SQLite format 3\0";

/// A database of version 0.1.0.
pub struct OldDatabase {
    db: sled::Db,
    path: PathBuf,
}

impl OldDatabase {
    /// Gives the records of a tree to `take` in their order, some at a time, so that memory does not grow with them; `None` is the
    /// tree without a name.
    pub fn each<E: From<DatabaseError>>(
        &self,
        name: Option<&str>,
        mut take: impl FnMut(&[Entry]) -> Result<(), E>,
    ) -> Result<(), E> {
        let (mut part, mut bytes) = (Vec::new(), 0);
        for entry in &self.tree(name)? {
            let (key, value) = entry.map_err(|e| self.error(&e))?;
            bytes += key.len() + value.len();
            part.push((key.to_vec(), value.to_vec()));
            if part.len() >= MOST_TOGETHER || bytes >= MOST_BYTES {
                take(&part)?;
                part.clear();
                bytes = 0;
            }
        }
        match part.is_empty() {
            true => Ok(()),
            false => take(&part),
        }
    }

    /// The value of a key in a tree.
    pub fn get(&self, name: Option<&str>, key: &[u8]) -> Result<Option<Vec<u8>>, DatabaseError> {
        let found = self.tree(name)?.get(key).map_err(|e| self.error(&e))?;
        Ok(found.map(|value| value.to_vec()))
    }

    fn tree(&self, name: Option<&str>) -> Result<sled::Tree, DatabaseError> {
        match name {
            Some(name) => self.db.open_tree(name).map_err(|e| self.error(&e)),
            None => Ok((*self.db).clone()),
        }
    }

    fn error(&self, reason: &dyn std::fmt::Display) -> DatabaseError {
        error(&self.path, reason)
    }
}

/// Where the old folder is kept.
pub fn backup_of(folder: &Path) -> PathBuf {
    beside(folder, ".0.1.bak")
}

/// Takes over the database of version 0.1.0 in `folder`, if one is there: `fill` makes the new one in the folder that it is given.
/// Returns whether there was one.
pub fn take_over<E: From<DatabaseError>>(
    folder: &Path,
    fill: impl FnOnce(&OldDatabase, &Path) -> Result<(), E>,
) -> Result<bool, E> {
    let (new, backup) = (beside(folder, ".new"), backup_of(folder));
    let failed = |e: io::Error| E::from(error(folder, &e));
    if !folder.exists() && backup.exists() && new.exists() {
        // The process ended between the two renames.
        return put_in_place(&new, folder).map(|()| true).map_err(failed);
    }
    if !is_old(folder) {
        return Ok(false);
    }
    tracing::info!(folder = %folder.display(), "taking over the database of version 0.1.0");
    if new.exists() {
        fs::remove_dir_all(&new).map_err(failed)?;
    }
    let old = blocking(|| open(folder))?;
    fill(&old, &new)?;
    drop(old);
    // FAIL: the process may end after each line. THEN: the old folder is taken over anew, or the new one is put in place.
    put_in_place(folder, &backup).map_err(failed)?;
    put_in_place(&new, folder).map_err(failed)?;
    tracing::info!(backup = %backup.display(), "the database of version 0.1.0 was taken over and is kept");
    Ok(true)
}

/// sled keeps a file `conf` and a file `db` in its folder. Beside a database of today they are what version 0.1.0 began when it was
/// started once more: nothing is taken from them, and nothing of today is touched.
fn is_old(folder: &Path) -> bool {
    let is_sled = folder.join("conf").is_file() && folder.join("db").is_file();
    if is_sled && has_new(folder) {
        tracing::warn!(
            folder = %folder.display(),
            "version 0.1.0 was started on this folder after it was taken over: what it kept then is ignored"
        );
        return false;
    }
    is_sled
}

/// Whether a database of today lies in the folder.
fn has_new(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| is_sqlite(&path))
}

fn is_sqlite(path: &Path) -> bool {
    let mut head = [0; SQLITE_HEADER.len()];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut head));
    path.extension().is_some_and(|extension| extension == "db") && read.is_ok() && head == *SQLITE_HEADER
}

fn open(folder: &Path) -> Result<OldDatabase, DatabaseError> {
    let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES);
    let started = std::time::Instant::now();
    loop {
        match config.open() {
            Ok(db) => {
                let path = folder.to_owned();
                return Ok(OldDatabase { db, path });
            }
            // sled's own threads let go of a file a little after its last handle; it gives this no variant of its own.
            Err(sled::Error::Io(e)) if e.to_string().contains("could not acquire lock") => {
                if started.elapsed() > super::PATIENCE {
                    let path = folder.to_owned();
                    return Err(DatabaseError::InUse { path });
                }
                std::thread::sleep(super::PAUSE);
            }
            Err(e) => return Err(error(folder, &e)),
        }
    }
}

fn put_in_place(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    match to.parent() {
        Some(parent) => fs::File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

fn beside(folder: &Path, ending: &str) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    folder.with_file_name(name)
}

fn error(path: &Path, reason: &dyn std::fmt::Display) -> DatabaseError {
    DatabaseError::Takeover {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::write_old;
    use crate::{Changes, Records, Schema, Sharing, Sqlite, Store, Table};

    const TABLE: Table = Table::index("t");
    const SCHEMA: Schema = Schema {
        kind: 1,
        tables: &[TABLE],
        format: 1,
        migrate: |_, _| Ok(()),
    };

    fn fill(old: &OldDatabase, folder: &Path) -> Result<(), DatabaseError> {
        let store: std::sync::Arc<dyn Store> =
            std::sync::Arc::new(Sqlite::open(&folder.join("x.db"), &SCHEMA, Sharing::Alone)?);
        old.each(Some("things"), |part| {
            store.write(|changes: &dyn Changes| part.iter().try_for_each(|(k, v)| changes.put(TABLE, k, v)))
        })
    }

    fn value(folder: &Path) -> Option<Vec<u8>> {
        let store: Box<dyn Store> =
            Box::new(Sqlite::open(&folder.join("x.db"), &SCHEMA, Sharing::Alone).expect("it opens"));
        let found = store.read(|records: &dyn Records| records.get(TABLE, b"k"));
        found.expect("it can be read")
    }

    fn old(folder: &Path) {
        write_old(folder, &[(Some("things"), vec![(b"k".to_vec(), b"v".to_vec())])]);
    }

    #[test]
    fn an_old_database_is_taken_over_once_and_kept_beside() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("store");
        assert!(!take_over(&folder, fill).unwrap(), "there is none");
        old(&folder);
        assert!(take_over(&folder, fill).unwrap());
        assert!(!take_over(&folder, fill).unwrap(), "it was taken over");
        assert_eq!(value(&folder).as_deref(), Some(b"v".as_slice()));
        assert!(is_old(&backup_of(&folder)));
    }

    #[test]
    fn records_are_handed_over_in_their_order_and_only_some_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, long) = (dir.path().join("store"), 512 * 1024);
        let small = (0..2500u32).map(|number| (number.to_be_bytes().to_vec(), vec![1]));
        let large = (0..40u32).map(|number| (number.to_be_bytes().to_vec(), vec![2; long]));
        write_old(
            &folder,
            &[(Some("small"), small.collect()), (Some("large"), large.collect())],
        );
        let old = open(&folder).unwrap();
        let parts = |name| {
            let mut parts = Vec::new();
            old.each(Some(name), |part| {
                parts.push(part.to_vec());
                Ok::<_, DatabaseError>(())
            })
            .unwrap();
            parts
        };
        let (small, large) = (parts("small"), parts("large"));
        assert_eq!(small.iter().map(Vec::len).collect::<Vec<_>>(), [1024, 1024, 452]);
        assert!(small.concat().is_sorted());
        assert!(large.len() > 1 && large.iter().all(|part| part.len() * long <= MOST_BYTES + long));
        assert_eq!(large.concat().len(), 40);
        assert_eq!(old.get(Some("large"), &[0, 0, 0, 7]).unwrap(), Some(vec![2; long]));
        assert!(parts("none").is_empty());
    }

    #[test]
    fn an_old_version_that_is_started_once_more_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("store");
        old(&folder);
        assert!(take_over(&folder, fill).unwrap());
        write_old(&folder, &[(Some("things"), vec![(b"k".to_vec(), b"later".to_vec())])]);
        for _ in 0..2 {
            assert!(!take_over(&folder, fill).unwrap());
            assert_eq!(value(&folder).as_deref(), Some(b"v".as_slice()));
        }
    }

    #[test]
    fn a_takeover_that_was_cut_off_is_done_anew_or_finished() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("store");
        old(&folder);
        let cut = take_over(&folder, |old, new| {
            fill(old, new)?;
            Err::<(), _>(error(new, &"the process ended"))
        });
        assert!(cut.is_err() && is_old(&folder));
        // Between the two renames.
        let cut = take_over(&folder, |old, new| {
            fill(old, new)?;
            fs::rename(&folder, backup_of(&folder)).unwrap();
            Err::<(), _>(error(new, &"the process ended"))
        });
        assert!(cut.is_err() && !folder.exists());
        assert!(take_over(&folder, fill).unwrap());
        assert_eq!(value(&folder).as_deref(), Some(b"v".as_slice()));
    }
}
