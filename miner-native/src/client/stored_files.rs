//! The files in the client's book: their records, their manifests, and where their bytes are here.
//!
//! A record is small and written now and then; manifest and places are written once, with it, in one transaction: either all of a file
//! is in the book, or nothing. Its deals are found by an index. Written and read by [`super::files`].

use super::book::{self, Book, DealLock, Record};
use super::error::ClientError;
use super::kept_keys::{self, FileKeys};
use super::source::FileFacts;
use sealdrop_database::{with_prefix, DatabaseError, Records, Table};
use serde::{Deserialize, Serialize};
use shared::client::files::FileRecord;
use shared::file::{Contents, Manifest};
use shared::wire::cbor::Bytes;

/// Records of files by their ids.
pub(super) const FILES: Table = Table::records("files");
/// File, part: the manifest's bytes, and where each of its files is here.
pub(super) const FILE_PARTS: Table = Table::records("file_parts");
/// Name, file: a file has its id and the root of all its bytes.
pub(super) const FILE_NAMES: Table = Table::index("file_names");
/// File, deal: of deals that are made for a file.
pub(super) const FILE_DEALS: Table = Table::index("file_deals");

/// What the manifest's key ends with; those of its files end with their index.
const MANIFEST: &[u8] = b"m";
const SOURCE: &[u8] = b"s";

/// Where a file of a manifest is here, with what is needed to serve its pieces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileSource {
    pub facts: FileFacts,
    /// Interior nodes of each piece's DAG, by its index.
    #[serde(with = "shared::wire::as_cbor")]
    pub nodes: Vec<Vec<Bytes>>,
}

/// A file as the book has it.
#[derive(Debug, Clone)]
pub struct StoredFile {
    pub record: FileRecord,
    pub manifest: Manifest,
    pub manifest_bytes: Vec<u8>,
}

pub(super) fn deal_of_file_key(file: &str, deal: &str) -> Vec<u8> {
    [book::name_prefix(file), deal.as_bytes().to_vec()].concat()
}

pub(super) fn part_key(file: &str, part: &[u8]) -> Vec<u8> {
    [book::name_prefix(file), part.to_vec()].concat()
}

fn source_key(file: &str, index: usize) -> Vec<u8> {
    part_key(file, &[SOURCE, &(index as u64).to_be_bytes()].concat())
}

/// What a file may be called by: its id, and the root of its bytes if it is one file.
fn names(stored: &StoredFile) -> Vec<String> {
    let root = match stored.manifest.contents() {
        Contents::File(file) => Some(file.root().to_string()),
        Contents::Folder(_) => None,
    };
    [stored.record.id.clone()].into_iter().chain(root).collect()
}

pub(super) fn written<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("writing to a Vec cannot fail");
    bytes
}

pub(super) fn parsed<T: for<'de> Deserialize<'de>>(table: Table, id: &str, bytes: &[u8]) -> Result<T, ClientError> {
    let read = ciborium::from_reader(bytes);
    read.map_err(|error| damaged(table, id, &error))
}

pub(super) fn damaged(table: Table, id: &str, reason: &dyn std::fmt::Display) -> ClientError {
    let (table, reason) = (table.name, format!("file {id}: {reason}"));
    DatabaseError::Damaged { table, reason }.into()
}

impl Book {
    /// Keeps a file that is new, with its keys if it is encrypted and the draft that these were; all of it is on the disk when this returns.
    /// One that is there already stays as it is, and is given back.
    pub fn add_file(
        &self,
        stored: &StoredFile,
        sources: &[FileSource],
        keys: Option<(&str, &FileKeys)>,
    ) -> Result<FileRecord, ClientError> {
        let id = &stored.record.id;
        self.deals.write(|changes| {
            if let Some(known) = changes.get(FILES, id.as_bytes())? {
                return parsed(FILES, id, &known);
            }
            if let Some((draft, keys)) = keys {
                kept_keys::put(changes, id, keys)?;
                kept_keys::remove(changes, draft)?;
            }
            changes.put(FILE_PARTS, &part_key(id, MANIFEST), &stored.manifest_bytes)?;
            for (index, source) in sources.iter().enumerate() {
                changes.put(FILE_PARTS, &source_key(id, index), &written(source))?;
            }
            for name in names(stored) {
                changes.put(FILE_NAMES, &deal_of_file_key(&name, id), id.as_bytes())?;
            }
            changes.put(FILES, id.as_bytes(), &written(&stored.record))?;
            Ok(stored.record.clone())
        })
    }

    /// Keeps a file's record in place of the one before; its places here, too, where they are given. The caller holds the file's lock.
    pub fn save_file(&self, record: &FileRecord, sources: Option<&[FileSource]>) -> Result<(), ClientError> {
        self.deals.write(|changes| {
            for (index, source) in sources.unwrap_or_default().iter().enumerate() {
                changes.put(FILE_PARTS, &source_key(&record.id, index), &written(source))?;
            }
            Ok(changes.put(FILES, record.id.as_bytes(), &written(record))?)
        })
    }

    /// The file with this id or root, if the book has it; of several with one root, the one with the greatest id.
    pub fn find_file(&self, name: &str) -> Result<Option<StoredFile>, ClientError> {
        let found = self.deals.read(|view| {
            let found = with_prefix(view, FILE_NAMES, &book::name_prefix(name))?;
            Ok::<_, ClientError>(found.last().map(|(_, id)| book::id_of(id)))
        })?;
        found.map(|id| self.file(&id)).transpose()
    }

    fn file(&self, id: &str) -> Result<StoredFile, ClientError> {
        self.deals.read(|view| {
            let missing = |table| move || damaged(table, id, &"it is missing");
            let record = view.get(FILES, id.as_bytes())?.ok_or_else(missing(FILES))?;
            let manifest_bytes = view.get(FILE_PARTS, &part_key(id, MANIFEST))?;
            let manifest_bytes = manifest_bytes.ok_or_else(missing(FILE_PARTS))?;
            let manifest = Manifest::read(&manifest_bytes).map_err(|error| damaged(FILE_PARTS, id, &error))?;
            Ok(StoredFile {
                record: parsed(FILES, id, &record)?,
                manifest,
                manifest_bytes,
            })
        })
    }

    /// The ids of all files.
    pub fn file_ids(&self) -> Result<Vec<String>, ClientError> {
        self.deals.read(|view| {
            let all = with_prefix(view, FILES, &[])?;
            Ok(all.iter().map(|(id, _)| book::id_of(id)).collect())
        })
    }

    /// Where the files of a manifest are here.
    pub fn sources(&self, id: &str) -> Result<Vec<FileSource>, ClientError> {
        self.deals.read(|view| {
            let all = with_prefix(view, FILE_PARTS, &part_key(id, SOURCE))?;
            all.iter().map(|(_, bytes)| parsed(FILE_PARTS, id, bytes)).collect()
        })
    }

    /// The deals that were made for a file, the oldest first.
    pub fn deals_of_file(&self, id: &str) -> Result<Vec<Record>, ClientError> {
        self.deals.read(|view| of_file(view, id))
    }

    /// Takes a file for this process.
    pub fn lock_file(&self, record: &FileRecord) -> Result<DealLock, ClientError> {
        self.lock_named(&record.id, format!("file {}", record.id))
    }
}

fn of_file(view: &dyn Records, id: &str) -> Result<Vec<Record>, ClientError> {
    book::all_known(view, &with_prefix(view, FILE_DEALS, &book::name_prefix(id))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::book::tests::record;
    use sealdrop_database::{Schema, Sharing, Sqlite};
    use shared::chain::Epoch;
    use shared::client::files::{FileOrder, MinerChoice};
    use shared::file::{Cut, FileDigest, FileEntry, RelativePath};
    use shared::piece::SectorSize;

    fn stored(bytes: &[u8]) -> (StoredFile, Vec<FileSource>) {
        let mut digest = FileDigest::new(Cut::new(bytes.len() as u64, SectorSize::S2KiB).unwrap());
        digest.push(bytes).unwrap();
        let path = RelativePath::parse("name").unwrap();
        let entry = FileEntry::of(path, &digest.finish().unwrap()).unwrap();
        let manifest = Manifest::file(entry).unwrap();
        let manifest_bytes = manifest.to_bytes().unwrap();
        let order = FileOrder {
            copies: 1,
            miner: MinerChoice::default(),
            duration: 10,
            most: None,
            repair: false,
            with_manifest: false,
            allow_duplicates: false,
        };
        let of = (&manifest, manifest_bytes.as_slice());
        let record = FileRecord::new(of, order, ("g".into(), Epoch(1)), 7).unwrap();
        let facts = FileFacts {
            path: "/somewhere".into(),
            size: bytes.len() as u64,
            modified_ns: 1,
        };
        let nodes = vec![vec![Bytes(vec![1, 2])], Vec::new()];
        let stored = StoredFile {
            record,
            manifest,
            manifest_bytes,
        };
        (stored, vec![FileSource { facts, nodes }])
    }

    #[test]
    fn a_file_is_found_by_its_id_and_by_its_root_with_all_that_was_kept_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let book = Book::open(dir.path()).unwrap();
        let (file, sources) = stored(b"hello");
        book.add_file(&file, &sources, None).unwrap();
        let root = file.manifest.files()[0].root().to_string();
        for name in [&file.record.id, &root] {
            let found = book.find_file(name).unwrap().unwrap();
            assert_eq!(
                (found.record, found.manifest),
                (file.record.clone(), file.manifest.clone())
            );
        }
        assert_eq!(book.sources(&file.record.id).unwrap(), sources);
        assert_eq!(book.file_ids().unwrap(), [file.record.id.clone()]);
        assert!(book.find_file("nothing").unwrap().is_none());
        let mut changed = file.record.clone();
        changed.stopped = Some("why".into());
        book.save_file(&changed, None).unwrap();
        // The same file again does not undo it.
        assert_eq!(book.add_file(&file, &sources, None).unwrap(), changed);
    }

    #[test]
    fn the_deals_of_a_file_are_found_alone() {
        let dir = tempfile::tempdir().unwrap();
        let book = Book::open(dir.path()).unwrap();
        let (mut own, other) = (record(1), record(2));
        own.part_of = Some("file".into());
        book.save(&own).unwrap();
        book.save(&other).unwrap();
        assert_eq!(book.deals_of_file("file").unwrap(), [own]);
        assert_eq!(book.deals_of_file("fil").unwrap(), []);
    }

    #[test]
    fn a_book_without_files_takes_them_and_keeps_its_deals() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("book").join("deals.db");
        let before = Schema {
            format: 2,
            tables: book::SCHEMA.tables.get(..4).unwrap(),
            migrate: |_, _| Ok(()),
            ..book::SCHEMA
        };
        drop(Sqlite::open(&path, &before, Sharing::Shared).unwrap());
        let book = Book::open(dir.path()).unwrap();
        let (file, sources) = stored(b"hello");
        book.add_file(&file, &sources, None).unwrap();
        assert_eq!(book.file_ids().unwrap().len(), 1);
    }
}
