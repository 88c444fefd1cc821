//! The client's book: one file a deal, so that any number of processes can work on deals of their own.
//!
//! ```text
//! CLIENT/deals/<id>.deal    a deal's record (CBOR), replaced as a whole
//! CLIENT/locks/<id>.lock    held by the process that carries the deal on
//! ```
//! Written by [`super::cli_host`] at every step; read by all commands.

use super::error::ClientError;
use super::former;
use super::source::FileFacts;
use crate::home::write_whole;
use rand::RngCore;
use serde::{Deserialize, Serialize};
use shared::client::DealRecord;
use shared::wire::cbor::Bytes;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Most deals in a book: every command that looks for a deal reads all of them.
pub const MAX_DEALS: usize = 50_000;
/// Longest record that is read, in bytes: a proposal of 256 KiB, its answer, and the nodes of a 32 GiB file.
const MAX_RECORD: u64 = 8 * 1024 * 1024;
const EXTENSION: &str = "deal";

/// One deal as it is kept, in the engine's form.
pub type Record = DealRecord<LocalFile>;

/// The file of a deal, and what is needed to serve it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LocalFile {
    pub facts: FileFacts,
    /// Interior nodes of the file's DAG; their CIDs follow from them.
    #[serde(with = "shared::wire::as_cbor")]
    pub nodes: Vec<Bytes>,
}

/// All deals of this client.
#[derive(Debug, Clone)]
pub struct Book {
    deals: PathBuf,
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

fn answers_to(record: &Record, name: &str) -> bool {
    record.id == name || record.name() == name || record.data_cid().to_string() == name
}

impl Book {
    /// Opens the book in `dir`, which is made when it is not there.
    pub fn open(dir: &Path) -> Result<Self, ClientError> {
        let (deals, locks) = (dir.join("deals"), dir.join("locks"));
        for folder in [&deals, &locks] {
            fs::create_dir_all(folder).map_err(ClientError::file("create", folder))?;
        }
        Ok(Self { deals, locks })
    }

    /// Keeps a record; it is on the disk when this returns. The caller holds the deal's lock.
    pub fn save(&self, record: &Record) -> Result<(), ClientError> {
        let path = self.path(&record.id);
        let mut bytes = Vec::new();
        ciborium::into_writer(record, &mut bytes).expect("writing to a Vec cannot fail");
        write_whole(&path, &bytes, 0o600).map_err(ClientError::file("write", path))
    }

    /// Every record, the newest first.
    pub fn all(&self) -> Result<Vec<Record>, ClientError> {
        let list = fs::read_dir(&self.deals).map_err(ClientError::file("list", &self.deals))?;
        let mut records = Vec::new();
        for entry in list {
            let path = entry.map_err(ClientError::file("list", &self.deals))?.path();
            if path.extension().is_none_or(|extension| extension != EXTENSION) {
                continue;
            }
            records.push(read(&path)?);
            if records.len() > MAX_DEALS {
                let (path, count) = (self.deals.clone(), MAX_DEALS);
                return Err(ClientError::BookFull { path, count });
            }
        }
        records.sort_by(|a, b| (b.created_ms, &b.id).cmp(&(a.created_ms, &a.id)));
        Ok(records)
    }

    /// The newest deal with this CID, this file's CID, or this record name.
    pub fn find(&self, name: &str) -> Result<Option<Record>, ClientError> {
        Ok(self.all()?.into_iter().find(|record| answers_to(record, name)))
    }

    /// As [`Self::find`], an error when there is none.
    pub fn get(&self, name: &str) -> Result<Record, ClientError> {
        let missing = || ClientError::UnknownDeal(name.chars().take(80).collect());
        self.find(name)?.ok_or_else(missing)
    }

    /// Reads a record anew: another process may have carried it on.
    pub fn reload(&self, record: &Record) -> Result<Record, ClientError> {
        read(&self.path(&record.id))
    }

    /// Takes a deal for this process.
    pub fn lock(&self, record: &Record) -> Result<DealLock, ClientError> {
        let path = self.locks.join(format!("{}.lock", record.id));
        let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = open.map_err(ClientError::file("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(DealLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(ClientError::Busy { deal: record.name() }),
            Err(TryLockError::Error(source)) => Err(ClientError::file("lock", path)(source)),
        }
    }

    fn path(&self, id: &str) -> PathBuf {
        self.deals.join(format!("{id}.{EXTENSION}"))
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use shared::chain::{AttoFil, Epoch, SecretKey};
    use shared::deal::{ClientDeal, ClientStage, Draft};
    use shared::piece::{Commitment, PieceDigest, SectorSize};

    fn record(byte: u8) -> Record {
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
            nodes: vec![Bytes(vec![1, 2, 3])],
        };
        Record::new(id, created_ms, "g".into(), "p".into(), file, ClientDeal::new(draft))
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
    fn a_damaged_record_is_named_and_not_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let book = Book::open(dir.path()).unwrap();
        book.save(&record(1)).unwrap();
        let damaged = dir.path().join("deals/1-x.deal");
        fs::write(&damaged, [0xff]).unwrap();
        assert!(matches!(book.all(), Err(ClientError::Damaged { path, .. }) if path == damaged));
    }
}
