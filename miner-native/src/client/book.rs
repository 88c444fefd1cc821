//! The client's book of deals: a database that any number of processes use at once, each working on deals of its own.
//!
//! ```text
//! CLIENT/book/deals.db      the deals' records
//! CLIENT/locks/<id>.lock    held by the process that carries the deal on
//! ```
//! Written by [`super::cli_host`] at every step; read by all commands. A deal is found by its names without reading the others.

use super::error::ClientError;
use super::former;
use super::kept_keys::FILE_KEYS;
use super::source::FileFacts;
use super::stored_files::{deal_of_file_key, FILES, FILE_DEALS, FILE_NAMES, FILE_PARTS};
use cid::Cid;
use rand::RngCore;
use sealdrop_database::{with_prefix, Changes, DatabaseError, Entry, Order, Records, Schema, Sharing, Sqlite, Table};
use serde::{Deserialize, Serialize};
use shared::chain::Epoch;
use shared::client::DealRecord;
use shared::piece::PieceCid;
use shared::wire::cbor::Bytes;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Records that are read at once.
const PAGE: usize = 64;
/// Deals that are due at once, of which some are moved on in passing: the next command sees others.
const MOST_DUE: usize = 1024;

/// Records by their ids.
const DEALS: Table = Table::records("deals");
/// Name, when it was made, id: a deal has up to three names.
const NAMES: Table = Table::index("names");
/// When it was made, id.
const BY_AGE: Table = Table::index("deals_by_age");
/// Chain, height before which there is nothing to do, when it was made, id: of deals that something is left to do for.
const OPEN: Table = Table::index("open_deals");

pub(super) const SCHEMA: Schema = Schema {
    // "SDbk"
    kind: 0x5344_626b,
    tables: &[
        DEALS, NAMES, BY_AGE, OPEN, FILES, FILE_PARTS, FILE_NAMES, FILE_DEALS, FILE_KEYS,
    ],
    format: 4,
    migrate,
};

/// Format 1 had no index of open deals, format 2 no files; no deal of it was part of one. Format 3 had no keys: a program that knows no
/// more than it must not carry the deals of encrypted files on, since it would send the files as they are.
fn migrate(changes: &dyn Changes, from: u32) -> Result<(), DatabaseError> {
    if from > 1 {
        return Ok(());
    }
    let mut from = Vec::new();
    loop {
        let page = changes.range(DEALS, &from, None, Order::Ascending, PAGE)?;
        for (id, bytes) in &page {
            let id = String::from_utf8_lossy(id);
            let record = former::read(bytes).map_err(|e| unreadable(&id, &e))?;
            if let Some(key) = open_key(&record) {
                changes.put(OPEN, &key, record.id.as_bytes())?;
            }
        }
        match page.last() {
            // The least key above the last one.
            Some((last, _)) => from = [last.as_slice(), &[0]].concat(),
            None => return Ok(()),
        }
    }
}

/// One deal as it is kept, in the engine's form.
pub type Record = DealRecord<LocalFile>;

/// The file of a deal, and what is needed to serve it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LocalFile {
    pub facts: FileFacts,
    /// The part of it that the deal is about; `None`: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<FilePart>,
    /// Where the key is that makes the deal's bytes of the file; `None`: they are the file's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyPlace>,
    /// Interior nodes of the file's DAG; their CIDs follow from them.
    #[serde(with = "shared::wire::as_cbor")]
    pub nodes: Vec<Bytes>,
}

/// The key of an encrypted file in this book: the file's id, and its index in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPlace {
    pub file: String,
    pub index: u64,
}

/// A part of a local file, of what is stored of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePart {
    pub offset: u64,
    pub size: u64,
}

impl LocalFile {
    /// The bytes of the file that the deal is about.
    pub fn range(&self) -> Range<u64> {
        match self.part {
            None => 0..self.facts.size,
            Some(FilePart { offset, size }) => offset..offset.saturating_add(size),
        }
    }

    /// What the deal is called where several go on at once.
    pub fn name(&self) -> String {
        match self.part {
            None => self.facts.name(),
            Some(FilePart { offset, .. }) => format!("{} at {offset}", self.facts.name()),
        }
    }
}

/// All deals of this client.
#[derive(Clone)]
pub struct Book {
    pub(super) deals: Arc<dyn sealdrop_database::Store>,
    locks: PathBuf,
}

/// Keeps other processes off one deal.
#[derive(Debug)]
pub struct DealLock {
    _file: File,
}

/// A name that no other record has: the time, and enough randomness for processes that start at once.
pub fn new_id() -> (String, u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let created_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let mut random = [0; 6];
    rand::rngs::OsRng.fill_bytes(&mut random);
    (format!("{created_ms}-{}", hex::encode(random)), created_ms)
}

/// Everything that the deal may be called by.
fn names(record: &Record) -> [String; 3] {
    [record.id.clone(), record.name(), record.data_cid().to_string()]
}

fn age_key(record: &Record) -> Vec<u8> {
    [&record.created_ms.to_be_bytes(), record.id.as_bytes()].concat()
}

/// The place of a deal among those that something is left to do for, if it is one. One that waits for nothing but its
/// sector's first proof is the last.
fn open_key(record: &Record) -> Option<Vec<u8>> {
    let due = match (record.is_owed(), record.is_settled()) {
        (true, _) => record.rests_until().unwrap_or_default(),
        (false, false) => record.deal.deadline().unwrap_or_default(),
        (false, true) if record.is_complete() && !record.is_proven() => Epoch(u64::MAX),
        (false, true) => return None,
    };
    let chain = of_chain(&record.genesis);
    Some([chain.as_slice(), &due.0.to_be_bytes(), &age_key(record)].concat())
}

fn of_chain(genesis: &str) -> Vec<u8> {
    [genesis.as_bytes(), &[0]].concat()
}

impl Book {
    /// Opens the book in `dir`, which is made when it is not there.
    pub fn open(dir: &Path) -> Result<Self, ClientError> {
        let locks = dir.join("locks");
        fs::create_dir_all(&locks).map_err(ClientError::file("create", &locks))?;
        let database = Sqlite::open(&dir.join("book").join("deals.db"), &SCHEMA, Sharing::Shared)?;
        let book = Self {
            deals: Arc::new(database),
            locks,
        };
        files::take_over(&book, dir)?;
        Ok(book)
    }

    /// Keeps a record; it is on the disk when this returns. The caller holds the deal's lock.
    pub fn save(&self, record: &Record) -> Result<(), ClientError> {
        self.deals.write(|changes| put(changes, record))
    }

    /// Keeps a new record unless `refuse` finds it to be one too many among those of the same file. Another process that
    /// makes the same deal at the same time sees this one, or this one sees it.
    pub fn add(
        &self,
        record: &Record,
        refuse: impl Fn(Vec<Record>) -> Result<(), ClientError>,
    ) -> Result<(), ClientError> {
        self.deals.write(|changes| {
            refuse(of_data(changes, record.data_cid())?)?;
            put(changes, record)
        })
    }

    /// The deals of a file, the oldest first.
    pub fn of_data(&self, data: &Cid) -> Result<Vec<Record>, ClientError> {
        self.deals.read(|view| of_data(view, data))
    }

    /// Shows every record to `see`, the newest first; no more than a page of them is in memory.
    pub fn each(&self, mut see: impl FnMut(Record)) -> Result<(), ClientError> {
        let mut below = None::<Vec<u8>>;
        loop {
            let (page, last) = self.deals.read(|view| {
                let found = view.range(BY_AGE, &[], below.as_deref(), Order::Descending, PAGE)?;
                Ok::<_, ClientError>((all_known(view, &found)?, found.last().map(|(key, _)| key.clone())))
            })?;
            page.into_iter().for_each(&mut see);
            match last {
                Some(last) => below = Some(last),
                None => return Ok(()),
            }
        }
    }

    #[cfg(test)]
    pub fn all(&self) -> Result<Vec<Record>, ClientError> {
        let mut all = Vec::new();
        self.each(|record| all.push(record)).map(|()| all)
    }

    /// Whether something is left to do for any deal.
    pub fn has_open_deals(&self) -> Result<bool, ClientError> {
        self.deals
            .read(|view| Ok(!view.range(OPEN, &[], None, Order::Ascending, 1)?.is_empty()))
    }

    /// The deals on a chain that something is left to do for, those that are due first.
    pub fn open_deals(&self, genesis: &str) -> Result<Vec<Record>, ClientError> {
        self.deals
            .read(|view| all_known(view, &with_prefix(view, OPEN, &of_chain(genesis))?))
    }

    /// The ids of deals on a chain that something can be done for at this height.
    pub fn due(&self, genesis: &str, height: Epoch) -> Result<Vec<String>, ClientError> {
        let chain = of_chain(genesis);
        let above = [chain.as_slice(), &height.0.saturating_add(1).to_be_bytes()].concat();
        self.deals.read(|view| {
            let found = view.range(OPEN, &chain, Some(&above), Order::Ascending, MOST_DUE)?;
            Ok(found.iter().map(|(_, id)| id_of(id)).collect())
        })
    }

    /// The newest deal with this CID, this file's or piece's CID, or this record name.
    pub fn find(&self, name: &str) -> Result<Option<Record>, ClientError> {
        let found = self.deals.read(|view| {
            let (from, to) = (name_prefix(name), [name.as_bytes(), &[1]].concat());
            let newest = view.range(NAMES, &from, Some(&to), Order::Descending, 1)?;
            newest.first().map(|(_, id)| known(view, &id_of(id))).transpose()
        })?;
        let Ok(piece) = name.parse::<PieceCid>() else {
            return Ok(found);
        };
        // No name of a deal, but what `store` calls its piece: rare enough to look through them.
        let mut newest = found;
        self.each(|record| {
            if newest.is_none() && record.piece_cid() == piece {
                newest = Some(record);
            }
        })?;
        Ok(newest)
    }

    /// As [`Self::find`], an error when there is none.
    pub fn get(&self, name: &str) -> Result<Record, ClientError> {
        let missing = || ClientError::UnknownDeal(name.chars().take(80).collect());
        self.find(name)?.ok_or_else(missing)
    }

    /// Reads a record anew: another process may have carried it on.
    pub fn reload(&self, record: &Record) -> Result<Record, ClientError> {
        self.deals.read(|view| known(view, &record.id))
    }

    /// Where manifests are that miners fetch.
    pub(super) fn manifests(&self) -> PathBuf {
        self.locks.with_file_name("manifests")
    }

    /// Where pieces are that were fetched from one miner for another.
    pub(super) fn fetched_pieces(&self) -> PathBuf {
        self.locks.with_file_name("fetched")
    }

    /// Takes a deal for this process.
    pub fn lock(&self, record: &Record) -> Result<DealLock, ClientError> {
        self.lock_named(&record.id, format!("deal {}", record.name()))
    }

    /// Takes what has this id for this process; `what` it is, for its user.
    pub(super) fn lock_named(&self, id: &str, what: String) -> Result<DealLock, ClientError> {
        let path = self.locks.join(format!("{id}.lock"));
        let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = open.map_err(ClientError::file("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(DealLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(ClientError::Busy { what }),
            Err(TryLockError::Error(source)) => Err(ClientError::file("lock", path)(source)),
        }
    }
}

pub(super) fn put(changes: &dyn Changes, record: &Record) -> Result<(), ClientError> {
    let mut bytes = Vec::new();
    ciborium::into_writer(record, &mut bytes).expect("writing to a Vec cannot fail");
    if let Some(before) = read(changes, &record.id)? {
        for name in names(&before) {
            changes.remove(NAMES, &name_key(&name, &before))?;
        }
        if let Some(key) = open_key(&before) {
            changes.remove(OPEN, &key)?;
        }
    }
    for name in names(record) {
        changes.put(NAMES, &name_key(&name, record), record.id.as_bytes())?;
    }
    if let Some(key) = open_key(record) {
        changes.put(OPEN, &key, record.id.as_bytes())?;
    }
    if let Some(file) = &record.part_of {
        changes.put(FILE_DEALS, &deal_of_file_key(file, &record.id), record.id.as_bytes())?;
    }
    changes.put(BY_AGE, &age_key(record), record.id.as_bytes())?;
    Ok(changes.put(DEALS, record.id.as_bytes(), &bytes)?)
}

/// The newest of the records with a name is the last of its keys.
fn name_key(name: &str, record: &Record) -> Vec<u8> {
    [name_prefix(name), age_key(record)].concat()
}

pub(super) fn name_prefix(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

fn of_data(view: &dyn Records, data: &Cid) -> Result<Vec<Record>, ClientError> {
    all_known(view, &with_prefix(view, NAMES, &name_prefix(&data.to_string()))?)
}

pub(super) fn id_of(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

/// The records that an index names.
pub(super) fn all_known(view: &dyn Records, found: &[Entry]) -> Result<Vec<Record>, ClientError> {
    found.iter().map(|(_, id)| known(view, &id_of(id))).collect()
}

pub(super) fn read(view: &dyn Records, id: &str) -> Result<Option<Record>, ClientError> {
    let found = view.get(DEALS, id.as_bytes())?;
    let parse = |bytes: Vec<u8>| former::read(&bytes).map_err(|e| unreadable(id, &e).into());
    found.map(parse).transpose()
}

fn known(view: &dyn Records, id: &str) -> Result<Record, ClientError> {
    read(view, id)?.ok_or_else(|| unreadable(id, &"it is missing").into())
}

fn unreadable(id: &str, reason: &dyn std::fmt::Display) -> DatabaseError {
    let (table, reason) = (DEALS.name, format!("deal {id}: {reason}"));
    DatabaseError::Damaged { table, reason }
}

/// One file a deal, as version 0.1.0 kept them in `CLIENT/deals`.
mod files {
    use super::{former, Book, ClientError, Record};
    use std::fs;
    use std::path::Path;

    /// Longest record that is read, in bytes: a proposal of 256 KiB, its answer, and the nodes of a 32 GiB file.
    const MAX_RECORD: u64 = 8 * 1024 * 1024;
    const EXTENSION: &str = "deal";

    /// Takes over the files of version 0.1.0, if some are there; they are kept beside.
    pub(super) fn take_over(book: &Book, dir: &Path) -> Result<(), ClientError> {
        let (old, backup) = (dir.join("deals"), dir.join("deals.0.1.bak"));
        if !old.is_dir() {
            return Ok(());
        }
        let path = dir.join("takeover.lock");
        let lock = fs::File::create(&path).map_err(ClientError::file("open", &path))?;
        lock.lock().map_err(ClientError::file("lock", &path))?;
        // Another process may have done it meanwhile.
        if !old.is_dir() {
            return Ok(());
        }
        for entry in fs::read_dir(&old).map_err(ClientError::file("list", &old))? {
            let path = entry.map_err(ClientError::file("list", &old))?.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                book.save(&read(&path)?)?;
            }
        }
        // FAIL: the process may end here. THEN: the files are read again, before anybody has carried a deal on.
        fs::rename(&old, &backup).map_err(ClientError::file("rename", &old))?;
        let folder = fs::File::open(dir).and_then(|folder| folder.sync_all());
        folder.map_err(ClientError::file("sync", dir))
    }

    fn read(path: &Path) -> Result<Record, ClientError> {
        let damaged = |reason: String| ClientError::Damaged {
            path: path.to_owned(),
            reason,
        };
        let size = fs::metadata(path).map_err(ClientError::file("read", path))?.len();
        if size > MAX_RECORD {
            return Err(damaged(format!("it has {size} bytes, more than any record")));
        }
        let bytes = fs::read(path).map_err(ClientError::file("read", path))?;
        former::read(&bytes).map_err(|e| damaged(e.to_string()))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use shared::chain::{AttoFil, SecretKey};
    use shared::deal::{ClientDeal, ClientStage, Draft};
    use shared::piece::{Commitment, PieceDigest, SectorSize};

    pub(in crate::client) fn record(byte: u8) -> Record {
        let key = |n: u8| SecretKey::from_bytes(&[n; 32]).unwrap().address();
        let mut digest = PieceDigest::new();
        digest.push(&[byte; 100]).unwrap();
        let draft = Draft {
            data_cid: digest.finish().unwrap().data_cid,
            comm_p: Commitment([byte; 32]),
            size: 100,
            payer: key(1),
            miner: key(2),
            owner: key(3),
            worker: key(4),
            sector_size: SectorSize::S2KiB,
            price: AttoFil(1),
            duration: 1000,
            start: Epoch(7),
        };
        let (id, created_ms) = new_id();
        let facts = FileFacts {
            path: "/tmp/x".into(),
            size: 100,
            modified_ns: 1,
        };
        let file = LocalFile {
            facts,
            part: None,
            key: None,
            nodes: vec![Bytes(vec![1, 2, 3])],
        };
        Record::new(id, created_ms, "g".into(), "p".into(), file, ClientDeal::new(draft))
    }

    /// A record that failed before its channel was open: nothing is left to do for it.
    fn ended(byte: u8) -> Record {
        let mut record = record(byte);
        let mut deal = record.deal.clone();
        let (reason, channel) = ("r".into(), None);
        deal.stage = ClientStage::Failed { reason, channel };
        record.advance(deal, None, 0);
        record
    }

    #[test]
    fn what_is_left_to_do_is_found_by_chain_and_height_without_the_deals_that_have_ended() {
        let dir = tempfile::tempdir().unwrap();
        let book = Book::open(dir.path()).unwrap();
        book.save(&ended(1)).unwrap();
        assert!(!book.has_open_deals().unwrap());
        let (open, mut other) = (record(2), record(3));
        other.genesis = "other".into();
        book.save(&open).unwrap();
        book.save(&other).unwrap();
        assert_eq!(book.open_deals("g").unwrap(), [open.clone()]);
        let deadline = open.deal.deadline().expect("an unfinished deal has a deadline");
        assert_eq!(book.due("g", Epoch(deadline.0 - 1)).unwrap(), [""; 0]);
        assert_eq!(book.due("g", deadline).unwrap(), [open.id.clone()]);

        let mut failed = ended(2);
        failed.id = open.id.clone();
        failed.created_ms = open.created_ms;
        book.save(&failed).unwrap();
        assert_eq!(book.open_deals("g").unwrap(), []);
        assert_eq!(book.open_deals("other").unwrap(), [other]);
    }

    #[test]
    fn more_deals_than_a_page_are_all_listed_and_those_of_a_file_are_found_alone() {
        let dir = tempfile::tempdir().unwrap();
        let book = Book::open(dir.path()).unwrap();
        let made: Vec<Record> = (0..=PAGE as u8 + 1).map(record).collect();
        made.iter().for_each(|record| book.save(record).unwrap());
        assert_eq!(book.all().unwrap().len(), made.len());
        assert_eq!(book.of_data(made[7].data_cid()).unwrap(), [made[7].clone()]);
    }

    #[test]
    fn a_book_of_the_first_format_gets_its_index_of_open_deals() {
        const FIRST: Schema = Schema {
            tables: &[DEALS, NAMES, BY_AGE],
            format: 1,
            migrate: |_, _| Ok(()),
            ..SCHEMA
        };
        let dir = tempfile::tempdir().unwrap();
        let (open, done) = (record(1), ended(2));
        let first = Sqlite::open(&dir.path().join("book").join("deals.db"), &FIRST, Sharing::Shared).unwrap();
        let first: Arc<dyn sealdrop_database::Store> = Arc::new(first);
        for record in [&open, &done] {
            let mut bytes = Vec::new();
            ciborium::into_writer(record, &mut bytes).unwrap();
            first
                .write(|changes| changes.put(DEALS, record.id.as_bytes(), &bytes))
                .unwrap();
        }
        drop(first);
        let book = Book::open(dir.path()).unwrap();
        assert_eq!(book.open_deals("g").unwrap(), [open]);
    }

    #[test]
    fn a_record_is_found_by_its_name_and_by_its_files_cid() {
        let dir = tempfile::tempdir().unwrap();
        let book = Book::open(dir.path()).unwrap();
        let (one, two) = (record(1), record(2));
        book.save(&one).unwrap();
        book.save(&two).unwrap();
        assert_eq!(book.find(&one.id).unwrap(), Some(one.clone()));
        assert_eq!(book.find(&two.data_cid().to_string()).unwrap(), Some(two));
        assert_eq!(book.reload(&one).unwrap(), one);
        assert_eq!(book.find(&one.piece_cid().to_string()).unwrap(), Some(one));
        assert!(matches!(book.get("nothing"), Err(ClientError::UnknownDeal(name)) if name == "nothing"));
    }

    #[test]
    fn a_failed_deal_keeps_the_name_that_it_was_signed_under() {
        let mut record = record(1);
        assert_eq!(record.name(), record.id);
        let mut deal = record.deal.clone();
        let proposal = deal.sign(&SecretKey::from_bytes(&[1; 32]).unwrap()).unwrap();
        let cid = proposal.cid().to_string();
        deal.stage = ClientStage::Signed { proposal };
        record.advance(deal.clone(), None, 0);
        let (reason, channel) = ("r".into(), None);
        deal.stage = ClientStage::Failed { reason, channel };
        record.advance(deal, None, 0);
        assert_eq!(record.name(), cid);
    }

    #[test]
    fn two_processes_do_not_carry_the_same_deal() {
        let dir = tempfile::tempdir().unwrap();
        let book = Book::open(dir.path()).unwrap();
        let (one, two) = (record(1), record(2));
        let held = book.lock(&one).unwrap();
        assert!(matches!(book.lock(&one), Err(ClientError::Busy { .. })));
        book.lock(&two).unwrap();
        drop(held);
        book.lock(&one).unwrap();
    }

    #[test]
    fn two_processes_that_store_the_same_file_at_once_make_one_deal() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (Book::open(dir.path()).unwrap(), Book::open(dir.path()).unwrap());
        let refuse = |known: Vec<Record>| match known.first() {
            None => Ok(()),
            Some(other) => Err(ClientError::Busy { what: other.name() }),
        };
        // Both have found no such deal before.
        let (one, same, other) = (record(1), record(1), record(2));
        first.add(&one, refuse).unwrap();
        assert!(matches!(second.add(&same, refuse), Err(ClientError::Busy { what }) if what == one.name()));
        second.add(&other, refuse).unwrap();
        assert_eq!(first.all().unwrap().len(), 2);
    }

    #[test]
    fn a_damaged_record_is_named_and_not_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let book = Book::open(dir.path()).unwrap();
        let (one, two) = (record(1), record(2));
        book.save(&one).unwrap();
        book.save(&two).unwrap();
        let damage = |changes: &dyn Changes| changes.put(DEALS, two.id.as_bytes(), &[0xff]);
        book.deals.write(damage).unwrap();
        assert!(matches!(
            book.all(),
            Err(ClientError::Database(DatabaseError::Damaged { reason, .. })) if reason.contains(&two.id)
        ));
    }

    #[test]
    fn a_deal_is_found_by_the_newest_record_with_its_files_cid_and_by_no_name_that_it_lost() {
        let dir = tempfile::tempdir().unwrap();
        let book = Book::open(dir.path()).unwrap();
        let (mut old, mut new) = (record(1), record(1));
        (old.created_ms, new.created_ms) = (5, 6);
        book.save(&new).unwrap();
        book.save(&old).unwrap();
        assert_eq!(book.find(&new.data_cid().to_string()).unwrap(), Some(new.clone()));
        assert_eq!(book.all().unwrap(), [new.clone(), old]);
        new.cid = Some("a".into());
        book.save(&new).unwrap();
        new.cid = Some("b".into());
        book.save(&new).unwrap();
        assert_eq!((book.find("a").unwrap(), book.find("b").unwrap()), (None, Some(new)));
    }

    #[test]
    fn the_files_of_version_0_1_are_taken_over_once_and_kept_beside() {
        let dir = tempfile::tempdir().unwrap();
        let (one, old) = (record(1), dir.path().join("deals"));
        fs::create_dir(&old).unwrap();
        let mut bytes = Vec::new();
        ciborium::into_writer(&one, &mut bytes).unwrap();
        fs::write(old.join(format!("{}.deal", one.id)), bytes).unwrap();
        for _ in 0..2 {
            let book = Book::open(dir.path()).unwrap();
            assert_eq!(book.all().unwrap(), [one.clone()]);
        }
        assert!(!old.exists() && dir.path().join("deals.0.1.bak").is_dir());
    }
}
