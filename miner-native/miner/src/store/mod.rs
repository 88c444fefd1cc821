//! What the miner remembers: its deals, its sectors, which channel pays for which deal, the proofs it has sent.
//!
//! Over [`sealdrop_database::Store`], whichever database that is. A transition of a machine is on the disk when its method here
//! returns; only then is the new effect acted on (design §4). What is asked often is answered from indexes ([`tables`]) and tallies, so
//! that nothing reads all records to answer one proposal. Called by [`crate::network`] (deals), [`crate::sealing`] (sectors) and
//! [`crate::proving`] (proofs-of-spacetime).

mod codec;
mod deals;
mod keeping;
mod ledger;
mod needs;
mod packing;
mod rates;
mod records;
mod scrubs;
mod sectors;
mod server;
mod tables;
mod takeover;
#[cfg(test)]
mod tests;

pub use deals::{Decision, Known};
pub use keeping::Tally;
pub(crate) use ledger::KnownArchive;
pub(crate) use needs::reads_copies;
pub use rates::RateBook;
pub use records::{DealRecord, PhaseStart, PieceRecord, PostRecord, RedemptionRecord, RedemptionStage, SectorRecord};
pub use scrubs::ScrubRecord;
pub use server::{server_of, SPACE};
pub use tables::EffectKind;

use crate::failpoint;
use cid::Cid;
use codec::{damaged, parse};
use sealdrop_database::{DatabaseError, Order, Records, Sharing, Sqlite, Store, Table};
use shared::chain::{Address, ChannelId};
use shared::deal::miner::Unexpected;
use shared::deal::retention::MAX_LIVE_DEALS;
use shared::sector::machine::SectorRefusal;
use shared::sector::SectorPiece;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use tables::{SCHEMA, SINGLES};
use tokio::sync::broadcast;

/// The file in the store's folder.
const FILE: &str = "miner.db";
/// Records that are read at once where all are asked for.
const PAGE: usize = 256;
/// Changes of deals that are kept for those who listen; one who missed some looks for itself.
const CHANGES_KEPT: usize = 256;

/// Why the store does not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("a record of {table} cannot be written: {reason}")]
    Encode { table: &'static str, reason: String },
    #[error("there is no deal {0}")]
    UnknownDeal(Cid),
    #[error("there is no sector {0}")]
    UnknownSector(u64),
    #[error("all numbers of sectors are used up, as far as the chain says; is its endpoint the right one?")]
    NoSectorNumber,
    #[error("this home's records are on a server ({server}): name it by --database or database.url, as before")]
    OnServer { server: String },
    #[error("this home's miner was on the server {before}, and what {server} has are not its records: another database, or one that was made anew. Name the former one; a miner without its records would lose its sectors")]
    OtherServer { before: String, server: String },
    #[error("{} has a miner's records, and so has the server ({server}). Is it the same miner, and its records on the server are the newer ones, move miner.db out of that folder; is it another one, give it a database of its own", dir.display())]
    TwoStores { dir: PathBuf, server: String },
    #[error("channel {id} of {payer} already pays for deal {deal}")]
    ChannelPromised { payer: Address, id: ChannelId, deal: Cid },
    #[error("this miner serves {MAX_LIVE_DEALS} deals and takes no more")]
    TooManyDeals,
    #[error("deal {deal}: {unexpected}")]
    Deal { deal: Cid, unexpected: Unexpected },
    #[error(transparent)]
    Sector(#[from] SectorRefusal),
}

/// The miner's records.
#[derive(Clone)]
pub struct MinerStore {
    records: Arc<dyn Store>,
    /// Tells which deals have changed, once that is on the disk.
    changes: broadcast::Sender<Cid>,
    /// Tells which pieces came or went, likewise.
    piece_changes: broadcast::Sender<Cid>,
    revision: Arc<AtomicU64>,
}

impl MinerStore {
    /// Opens the database in the folder `dir`, which is made when it is not there.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        server::check_here(dir)?;
        takeover::take_over(dir)?;
        let database = Sqlite::open(&dir.join(FILE), &SCHEMA, Sharing::Alone)?;
        let store = Self::of(Arc::new(database));
        store.forget_old(crate::clock::now_ms())?;
        Ok(store)
    }

    /// Opens a copy of the database's file: what it remembers stays as it was copied.
    pub fn of_copy(file: &Path) -> Result<Self, StoreError> {
        let database = Sqlite::open(file, &SCHEMA, Sharing::Alone)?;
        Ok(Self::of(Arc::new(database)))
    }

    /// Works on records that are open already.
    pub fn of(records: Arc<dyn Store>) -> Self {
        Self {
            records,
            changes: broadcast::Sender::new(CHANGES_KEPT),
            piece_changes: broadcast::Sender::new(CHANGES_KEPT),
            revision: Arc::default(),
        }
    }

    /// Grows with every change since the store was opened.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Where the chain adapter keeps its messages.
    pub fn outbox(&self) -> Arc<dyn Store> {
        self.records.clone()
    }

    /// Tells which deals change, from now on, each change once it is on the disk.
    pub fn deal_changes(&self) -> broadcast::Receiver<Cid> {
        self.changes.subscribe()
    }

    /// Tells which pieces come whole or go, by their data, from now on, each once that is on the disk.
    pub fn piece_changes(&self) -> broadcast::Receiver<Cid> {
        self.piece_changes.subscribe()
    }

    /// Tells that a piece came or went: only after the transaction.
    fn tell_piece(&self, data: &Cid) {
        // Nobody listens when it fails.
        let _ = self.piece_changes.send(*data);
    }

    /// Tells that a deal has changed: only after the transaction that changed it.
    fn tell(&self, cid: &Cid) {
        // Nobody listens when it fails.
        let _ = self.changes.send(*cid);
    }

    /// The address of this miner's actor, once it was made.
    pub fn miner_address(&self) -> Result<Option<Address>, StoreError> {
        let found = self.read(|records| Ok(records.get(SINGLES, b"miner")?))?;
        let address = found.map(|bytes| Address::from_bytes(&bytes).map_err(|e| damaged(SINGLES, e)));
        address.transpose()
    }

    /// Remembers the address of this miner's actor.
    pub fn remember_miner(&self, address: &Address) -> Result<(), StoreError> {
        let bytes = address.to_bytes();
        self.write(|changes| Ok(changes.put(SINGLES, b"miner", &bytes)?))?;
        failpoint::hit_failpoint("miner.remembered");
        Ok(())
    }

    fn read<T>(&self, work: impl FnMut(&dyn Records) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.records.read(work)
    }

    fn write<T>(
        &self,
        work: impl FnMut(&dyn sealdrop_database::Changes) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let done = self.records.write(work)?;
        self.revision.fetch_add(1, Ordering::AcqRel);
        Ok(done)
    }

    /// Every record of a table by its key, a page at a time: what changes meanwhile may be seen or not.
    fn all<T: serde::de::DeserializeOwned>(
        &self,
        table: Table,
    ) -> impl Iterator<Item = Result<T, StoreError>> + use<'_, T> {
        let mut next = Some(Vec::new());
        let pages = std::iter::from_fn(move || {
            let from = next.take()?;
            let page = self.read(|records| Ok(records.range(table, &from, None, Order::Ascending, PAGE)?));
            next = match &page {
                Ok(page) if page.len() == PAGE => page.last().map(|(key, _)| [key.as_slice(), &[0]].concat()),
                _ => None,
            };
            Some(page)
        });
        pages.flat_map(move |page| match page {
            Ok(page) => page.into_iter().map(|(_, value)| parse(table, &value)).collect(),
            Err(error) => vec![Err(error)],
        })
    }
}

/// Whether a piece is the operator's own, which belongs to no deal: a deal's id is never its data's.
pub fn is_own(piece: &SectorPiece) -> bool {
    piece.deal == piece.data_cid
}
