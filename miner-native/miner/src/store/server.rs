//! The miner's records on a server that several machines reach, and the way there from the home.

use super::tables::{SCHEMA, SINGLES};
use super::{takeover, MinerStore, StoreError, FILE};
use crate::data_dir::write_whole;
use sealdrop_database::{Changes, DatabaseError, Order, Postgres, Records, Sharing, Sqlite, Store};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The name of the server's schema.
pub const SPACE: &str = "sealdrop_miner";
/// In the store's folder: which server has the records.
const MOVED: &str = "on-server";
/// In the store's folder: by what a move that was interrupted is known again.
const MOVING: &str = "moving";
/// What that is called on the server.
const MOVE: &[u8] = b"moved";
/// Records that are read at once.
const PAGE: usize = 1024;

impl MinerStore {
    /// Opens the records on the server that `url` names; `id` is that of the server's records. A home that belongs to others
    /// is refused before anything is written. What the folder `dir` kept until now is brought there, once, and refused when
    /// the server has a miner's records already. From then on the folder says where they are.
    pub fn on_server(url: &str, id: &str, dir: &Path) -> Result<Self, StoreError> {
        let server = Postgres::open(url, SPACE, &SCHEMA, Sharing::Alone)?;
        let shown = server.shown();
        if let Some(before) = server_of(dir)?.filter(|before| before.rsplit('\n').next() != Some(id)) {
            let before = before.lines().next().unwrap_or_default().to_owned();
            return Err(StoreError::OtherServer { before, server: shown });
        }
        let file = dir.join(FILE);
        if file.exists() {
            takeover::take_over(dir)?;
            let local = Sqlite::open(&file, &SCHEMA, Sharing::Alone)?;
            bring(&local, &server, &mark(dir)?).and_then(|is_ours| match is_ours {
                true => Ok(()),
                false => Err(StoreError::TwoStores {
                    dir: dir.to_owned(),
                    server: shown.clone(),
                }),
            })?;
        }
        let failed = |source| file_failed(dir, source);
        fs::create_dir_all(dir).map_err(failed)?;
        let marker = format!("{shown}\n{id}");
        write_whole(&dir.join(MOVED), marker.as_bytes(), 0o600).map_err(failed)?;
        if file.exists() {
            fs::rename(&file, file.with_extension("db.moved")).map_err(failed)?;
            File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)?;
        }
        let store = Self::of(Arc::new(server));
        store.forget_old(crate::clock::now_ms())?;
        Ok(store)
    }
}

/// Which server has the records of a store's folder, if one has.
pub fn server_of(dir: &Path) -> Result<Option<String>, StoreError> {
    match fs::read_to_string(dir.join(MOVED)) {
        Ok(server) => Ok(Some(server)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(file_failed(dir, source)),
    }
}

/// Fails when the folder's records are on a server.
pub(super) fn check_here(dir: &Path) -> Result<(), StoreError> {
    match server_of(dir)? {
        Some(server) => Err(StoreError::OnServer {
            server: server.lines().next().unwrap_or_default().to_owned(),
        }),
        None => Ok(()),
    }
}

/// By what this folder's move is known; made at its first try.
fn mark(dir: &Path) -> Result<Vec<u8>, StoreError> {
    let path = dir.join(MOVING);
    match fs::read(&path) {
        Ok(mark) => Ok(mark),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let mark: [u8; 16] = rand::random();
            write_whole(&path, &mark, 0o600).map_err(|source| file_failed(dir, source))?;
            Ok(mark.to_vec())
        }
        Err(source) => Err(file_failed(dir, source)),
    }
}

/// Copies all records, in one transaction, to a server that has none; false when it has others.
fn bring(local: &dyn Store, server: &dyn Store, mark: &[u8]) -> Result<bool, StoreError> {
    let here = server.read(|records| -> Result<_, DatabaseError> {
        let mark = records.get(SINGLES, MOVE)?;
        let first = SCHEMA
            .tables
            .iter()
            .map(|table| records.range(*table, &[], None, Order::Ascending, 1));
        Ok((mark, first.collect::<Result<Vec<_>, _>>()?.iter().all(Vec::is_empty)))
    })?;
    match here {
        (Some(found), _) if found == mark => return Ok(true),
        (_, false) => return Ok(false),
        (_, true) => {}
    }
    server.write(|changes| -> Result<(), StoreError> {
        local.read(|records| copy(records, changes))?;
        Ok(changes.put(SINGLES, MOVE, mark)?)
    })?;
    Ok(true)
}

fn copy(from: &dyn Records, to: &dyn Changes) -> Result<(), StoreError> {
    for table in SCHEMA.tables {
        let mut next = Some(Vec::new());
        while let Some(at) = next.take() {
            let page = from.range(*table, &at, None, Order::Ascending, PAGE)?;
            page.iter().try_for_each(|(key, value)| to.put(*table, key, value))?;
            if page.len() == PAGE {
                next = page.last().map(|(key, _)| [key.as_slice(), &[0]].concat());
            }
        }
    }
    Ok(())
}

fn file_failed(dir: &Path, source: std::io::Error) -> StoreError {
    StoreError::Database(DatabaseError::Open {
        path: PathBuf::from(dir),
        reason: source.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::RateBook;
    use sealdrop_database::Memory;
    use shared::piece::SectorSize;

    fn times(store: &MinerStore) -> Vec<u64> {
        let book: RateBook = store.rates();
        book.times(SectorSize::S8MiB, "step").expect("it can be read")
    }

    fn kept(records: Arc<dyn Store>, times: &[u64]) -> MinerStore {
        let store = MinerStore::of(records);
        store
            .rates()
            .keep(SectorSize::S8MiB, "step", times)
            .expect("it is kept");
        store
    }

    #[test]
    fn records_are_brought_to_an_empty_server_once_and_to_no_other() {
        let (local, server): (Arc<dyn Store>, Arc<dyn Store>) =
            (Arc::new(Memory::default()), Arc::new(Memory::default()));
        kept(local.clone(), &[7]);
        assert!(bring(&*local, &*server, b"mark").expect("it is brought"));
        let moved = kept(server.clone(), &[8]);
        // A crash came before the folder knew of it.
        assert!(bring(&*local, &*server, b"mark").expect("it was brought before"));
        assert_eq!(times(&moved), [8], "what came since stays");
        assert!(!bring(&*local, &*server, b"other").expect("it can be read"));
    }

    #[test]
    fn a_folder_whose_records_are_on_a_server_is_not_opened_without_it() {
        let dir = tempfile::tempdir().expect("a folder");
        drop(MinerStore::open(dir.path()).expect("it is new"));
        fs::write(dir.path().join(MOVED), "postgres db").expect("written");
        let refused = MinerStore::open(dir.path()).err().map(|error| error.to_string());
        assert!(
            refused.as_ref().is_some_and(|text| text.contains("postgres db")),
            "{refused:?}"
        );
    }
}
