//! What the development chain keeps on disk, through [`sealdrop_database`].
//!
//! Here: blocks, the pool and what became of its messages; [`states`] holds past states, [`archive`] the messages of past
//! blocks, `layouts` what earlier versions kept. One batch changes blocks, state, outcomes and pool together or not at all;
//! every change is on the disk before it is acknowledged. Called by [`super::node`].

mod archive;
#[cfg(feature = "server")]
mod layouts;
mod states;

pub use archive::{MESSAGES_KEPT, MESSAGES_KEPT_BLOCKS};
pub use states::STATES_KEPT;

use super::block::Block;
use super::error::DevnetError;
use super::faucet::Grant;
use super::genesis::Genesis;
pub use archive::Bounds;
use archive::{Archive, ARCHIVE};
use cid::Cid;
use sealdrop_database::{Changes, DatabaseError, Entry, Memory, Order, Table};
#[cfg(feature = "server")]
use sealdrop_database::{Schema, Sharing, Sqlite};
use serde::{de::DeserializeOwned, Deserialize, Serialize};
use shared::chain::keys::blake2b256;
use shared::chain::message::Receipt;
use shared::chain::{Address, ChainState, Epoch, SignedMessage};
use shared::wire;
use states::States;
#[cfg(feature = "server")]
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Blocks kept whatever is in them; older ones stay only when they recorded messages. At a block a second, 5½ hours.
pub const BLOCKS_KEPT: u64 = 20_000;
/// Dropped messages whose reason is kept for those who wait for them.
pub const DROPPED_KEPT: usize = 4096;

/// Blocks, messages, outcomes and indexes, each with a letter in front of its keys.
const CHAIN: Table = Table::records("chain");
/// The chain's database. The formats 1 and 2 were kept in sled (`layouts`).
#[cfg(feature = "server")]
const SCHEMA: Schema = Schema {
    // "SDch"
    kind: 0x5344_6368,
    tables: &[CHAIN],
    format: 3,
    migrate: layouts::migrate,
};
/// The file in the chain's folder.
#[cfg(feature = "server")]
const FILE: &str = "chain.db";

/// The first number of those that were pushed out of the pool after a block: far behind those that it dropped itself.
const DISPLACED: u64 = 1 << 32;

/// In front of an account that the faucet gave to.
const GRANT: u8 = b'f';

const GENESIS: &[u8] = b"genesis";
const HEAD: &[u8] = b"head";

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Outcome {
    /// It is in the block at `height`.
    Mined {
        height: Epoch,
        #[serde(with = "shared::wire::as_cbor")]
        receipt: Receipt,
    },
    /// It left the pool without being in a block.
    Dropped { height: Epoch, reason: String },
}

impl Outcome {
    /// Height of the block that the message is in.
    pub fn mined_at(&self) -> Option<Epoch> {
        match self {
            Self::Mined { height, .. } => Some(*height),
            Self::Dropped { .. } => None,
        }
    }
}

/// Everything that a block changes.
pub(super) struct Commit<'a> {
    pub block: &'a Block,
    /// `None` when the block changed nothing but the height.
    pub state: Option<&'a [u8]>,
    /// The block's messages in their order, then those dropped with it.
    pub settled: &'a [Settled],
}

/// A message that waits no longer.
pub(super) struct Settled {
    pub cid: Cid,
    pub message: Arc<SignedMessage>,
    pub outcome: Outcome,
}

/// What a chain goes on from.
pub(super) struct Resumed {
    pub genesis: Genesis,
    pub head: Block,
    pub state: ChainState,
    /// Messages waiting, with the height at which they came.
    pub waiting: Vec<(Epoch, SignedMessage)>,
}

/// The chain's records.
pub(super) struct Store {
    db: Arc<dyn sealdrop_database::Store>,
    /// Tests narrow them.
    pub bounds: Bounds,
    kept: Mutex<Kept>,
}

/// What the disk holds of the past.
#[derive(Clone, Default)]
struct Kept {
    states: States,
    archive: Archive,
}

impl Store {
    /// A store that is gone with its chain.
    pub fn in_memory() -> Result<Self, DevnetError> {
        Self::of(Arc::new(Memory::default()))
    }

    /// Opens the store in `dir` for this process alone.
    #[cfg(feature = "server")]
    pub fn open(dir: &Path) -> Result<Self, DevnetError> {
        let folder = dir.join("chain");
        let opened = layouts::take_over(&folder).and_then(|()| {
            let database = Sqlite::open(&folder.join(FILE), &SCHEMA, Sharing::Alone)?;
            Self::of(Arc::new(database))
        });
        opened.map_err(|error| match error {
            DevnetError::Store(DatabaseError::InUse { .. }) => DevnetError::InUse { dir: dir.to_owned() },
            other => other,
        })
    }

    /// Works on a database that is open.
    fn of(db: Arc<dyn sealdrop_database::Store>) -> Result<Self, DevnetError> {
        let store = Self {
            db,
            bounds: Bounds::default(),
            kept: Mutex::default(),
        };
        let archive = store.get(ARCHIVE)?;
        let kept = Kept {
            states: States::open(&store)?,
            archive: archive.map_or(Ok(Archive::default()), |bytes| from_cbor("archive record", &bytes))?,
        };
        *store.kept() = kept;
        Ok(store)
    }

    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>, DevnetError> {
        Ok(self.db.read(|records| records.get(CHAIN, key.as_ref()))?)
    }

    /// Records with keys from `from` on and below `to`.
    fn range(&self, from: &[u8], to: &[u8], order: Order, most: usize) -> Result<Vec<Entry>, DevnetError> {
        Ok(self
            .db
            .read(|records| records.range(CHAIN, from, Some(to), order, most))?)
    }

    /// The first records whose keys begin with a letter.
    fn first_of(&self, letter: u8, most: usize) -> Result<Vec<Entry>, DevnetError> {
        self.range(&[letter], &[letter + 1], Order::Ascending, most)
    }

    #[cfg(feature = "server")]
    fn head(&self) -> Result<Epoch, DevnetError> {
        let head = self
            .get(HEAD)?
            .ok_or_else(|| DevnetError::damaged("head", "it is missing"))?;
        let height = head.as_slice().try_into().map(u64::from_be_bytes);
        height.map(Epoch).map_err(|e| DevnetError::damaged("head", e))
    }

    /// A panic while the lock was held leaves a whole record: it changes by one assignment.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the chain was started with; `None` when it has not begun.
    #[cfg(feature = "server")]
    pub fn genesis(&self) -> Result<Option<Genesis>, DevnetError> {
        self.get(GENESIS)?
            .map(|bytes| from_cbor("genesis record", &bytes))
            .transpose()
    }

    /// Begins a chain.
    pub fn begin(&self, genesis: &Genesis, block: &Block, state: &[u8]) -> Result<(), DevnetError> {
        let mut batch = Batch::default();
        batch.insert(GENESIS, to_cbor(genesis));
        let mut kept = self.kept().clone();
        kept.states.advance(&mut batch, block.height, Some(state));
        put_block(&mut batch, block);
        self.write(&batch)?;
        *self.kept() = kept;
        Ok(())
    }

    /// Where the chain stands; `None` when it has not begun.
    #[cfg(feature = "server")]
    pub fn resume(&self) -> Result<Option<Resumed>, DevnetError> {
        let Some(genesis) = self.genesis()? else {
            return Ok(None);
        };
        let missing = |what| DevnetError::damaged(what, "it is missing");
        let head = self.block(self.head()?)?.ok_or_else(|| missing("block"))?;
        let state = self.state_at(head.height)?.ok_or_else(|| missing("state"))?;
        if state_digest(&state_bytes(&state)) != head.state {
            let reason = "it is not the one that the last block names";
            return Err(DevnetError::damaged("state", reason));
        }
        Ok(Some(Resumed {
            genesis,
            head,
            state,
            waiting: self.waiting()?,
        }))
    }

    #[cfg(feature = "server")]
    fn waiting(&self) -> Result<Vec<(Epoch, SignedMessage)>, DevnetError> {
        let mut waiting = Vec::new();
        for (key, since) in self.first_of(b'p', usize::MAX)? {
            let since = since
                .as_slice()
                .try_into()
                .map(u64::from_be_bytes)
                .map_err(|e| DevnetError::damaged("pool", e))?;
            let cid = Cid::try_from(key.get(1..).unwrap_or_default()).map_err(|e| DevnetError::damaged("pool", e))?;
            let message = self
                .message(&cid)?
                .ok_or_else(|| DevnetError::damaged("pool", "a message is missing"))?;
            waiting.push((Epoch(since), message));
        }
        Ok(waiting)
    }

    pub fn block(&self, height: Epoch) -> Result<Option<Block>, DevnetError> {
        let bytes = self.get(block_key(height))?;
        bytes
            .map(|bytes| wire::decode(&bytes).map_err(|e| DevnetError::damaged("block", e)))
            .transpose()
    }

    /// The blocks of a span that are kept, oldest first; at most `most`.
    pub fn blocks(&self, from: Epoch, to: Epoch, most: usize) -> Result<Vec<Block>, DevnetError> {
        let span = self.range(&block_key(from), &block_key(to.plus(1)), Order::Ascending, most)?;
        let blocks = span.iter().map(|(_, bytes)| wire::decode(bytes));
        blocks
            .map(|block| block.map_err(|e| DevnetError::damaged("block", e)))
            .collect()
    }

    pub fn message(&self, cid: &Cid) -> Result<Option<SignedMessage>, DevnetError> {
        let bytes = self.get(cid_key(b'm', cid))?;
        bytes
            .map(|bytes| wire::decode(&bytes).map_err(|e| DevnetError::damaged("message", e)))
            .transpose()
    }

    pub fn outcome(&self, cid: &Cid) -> Result<Option<Outcome>, DevnetError> {
        self.get(cid_key(b'o', cid))?
            .map(|bytes| from_cbor("outcome", &bytes))
            .transpose()
    }

    /// Keeps a message that came to the pool at the height `since`; it may have been dropped before. The `displaced` made
    /// room for it.
    pub fn add_waiting(
        &self,
        cid: &Cid,
        message: &SignedMessage,
        since: Epoch,
        displaced: &[Settled],
        beside: Batch,
    ) -> Result<(), DevnetError> {
        let mut batch = beside;
        self.drop_displaced(&mut batch, since, displaced)?;
        batch.insert(cid_key(b'm', cid), wire::encode(message));
        batch.insert(cid_key(b'p', cid), since.0.to_be_bytes());
        batch.remove(cid_key(b'o', cid));
        self.write(&batch)
    }

    /// The grants of the faucet that were kept.
    pub fn grants(&self) -> Result<Vec<(Address, Grant)>, DevnetError> {
        let parse = |(key, value): (Vec<u8>, Vec<u8>)| {
            let address = Address::from_bytes(key.get(1..).unwrap_or_default());
            let address = address.map_err(|e| DevnetError::damaged("grant", e))?;
            Ok((address, from_cbor("grant", &value)?))
        };
        self.first_of(GRANT, usize::MAX)?.into_iter().map(parse).collect()
    }

    /// Keeps a grant of the faucet, and forgets those of `old`.
    pub fn grant_record(address: &Address, grant: &Grant, old: &[Address]) -> Batch {
        let key = |address: &Address| [&[GRANT], address.to_bytes().as_slice()].concat();
        let mut batch = Batch::default();
        for address in old {
            batch.remove(key(address));
        }
        batch.insert(key(address), to_cbor(grant));
        batch
    }

    /// Records what was pushed out of the pool between two blocks, beside what the block at `height` dropped.
    fn drop_displaced(&self, batch: &mut Batch, height: Epoch, displaced: &[Settled]) -> Result<(), DevnetError> {
        if displaced.is_empty() {
            return Ok(());
        }
        let (from, to) = (dropped_key(height, DISPLACED), dropped_key(height.plus(1), 0));
        let last = self.range(&from, &to, Order::Descending, 1)?;
        let number = last.first().and_then(|(key, _)| key.get(9..)).map(<[u8; 8]>::try_from);
        let next = match number {
            Some(Ok(number)) => u64::from_be_bytes(number).saturating_add(1),
            Some(Err(error)) => return Err(DevnetError::damaged("drop record", error)),
            None => DISPLACED,
        };
        for (at, settled) in (next..).zip(displaced) {
            batch.remove(cid_key(b'p', &settled.cid));
            batch.insert(cid_key(b'o', &settled.cid), to_cbor(&settled.outcome));
            batch.insert(dropped_key(height, at), settled.cid.to_bytes());
        }
        self.forget_dropped(batch)
    }

    /// Records a block and everything that it changed, as one, and forgets what is too old with it.
    pub fn commit(&self, commit: &Commit) -> Result<(), DevnetError> {
        let mut batch = Batch::default();
        put_block(&mut batch, commit.block);
        let height = commit.block.height;
        let (mined, dropped): (Vec<&Settled>, Vec<&Settled>) = commit
            .settled
            .iter()
            .partition(|settled| settled.outcome.mined_at().is_some());
        for settled in commit.settled {
            batch.remove(cid_key(b'p', &settled.cid));
            batch.insert(cid_key(b'o', &settled.cid), to_cbor(&settled.outcome));
        }
        for (at, settled) in (0u64..).zip(&dropped) {
            batch.insert(dropped_key(height, at), settled.cid.to_bytes());
        }
        if !dropped.is_empty() {
            self.forget_dropped(&mut batch)?;
        }
        for (at, settled) in (0u32..).zip(&mined) {
            archive::file(&mut batch, height, at, &settled.cid, &settled.message);
        }
        if let Some(old) = height.0.checked_sub(BLOCKS_KEPT).map(Epoch) {
            if self.block(old)?.is_some_and(|block| block.messages.is_empty()) {
                batch.remove(block_key(old));
            }
        }
        let mut kept = self.kept().clone();
        kept.states.advance(&mut batch, height, commit.state);
        kept.archive = self.forget_old(&mut batch, kept.archive, height, mined.len() as u64)?;
        batch.insert(ARCHIVE, to_cbor(&kept.archive));
        // FAIL: the disk may be full: nothing of the block is kept, and `kept` stays as it was.
        self.write(&batch)?;
        *self.kept() = kept;
        Ok(())
    }

    /// Removes the oldest dropped messages beyond [`DROPPED_KEPT`] (those of the batch itself come on top).
    fn forget_dropped(&self, batch: &mut Batch) -> Result<(), DevnetError> {
        let known = self.first_of(b'd', usize::MAX)?;
        let surplus = known.len().saturating_sub(DROPPED_KEPT);
        for (key, cid) in known.into_iter().take(surplus) {
            let cid = Cid::try_from(cid.as_slice()).map_err(|e| DevnetError::damaged("drop record", e))?;
            batch.remove(key);
            // A dropped message may have come again and be waiting or in a block.
            if matches!(self.outcome(&cid)?, Some(Outcome::Dropped { .. })) {
                batch.remove(cid_key(b'o', &cid));
                batch.remove(cid_key(b'm', &cid));
            }
        }
        Ok(())
    }

    pub fn write(&self, batch: &Batch) -> Result<(), DevnetError> {
        Ok(self.db.write(|changes| batch.apply(changes))?)
    }
}

#[cfg(test)]
impl Store {
    /// All records.
    pub fn all(&self) -> Vec<Entry> {
        self.range(&[], &[u8::MAX], Order::Ascending, usize::MAX)
            .expect("the disk can be read")
    }

    /// Opens the database of a chain in `dir` as a later version would.
    pub fn open_as_format(dir: &Path, format: u32) {
        let later = Schema { format, ..SCHEMA };
        Sqlite::open(&dir.join("chain").join(FILE), &later, Sharing::Alone).expect("nobody else has it open");
    }
}

/// Changes that are made together.
#[derive(Default)]
pub(super) struct Batch(Vec<(Vec<u8>, Option<Vec<u8>>)>);

impl Batch {
    pub fn insert(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.0.push((key.as_ref().to_vec(), Some(value.as_ref().to_vec())));
    }

    pub fn remove(&mut self, key: impl AsRef<[u8]>) {
        self.0.push((key.as_ref().to_vec(), None));
    }

    fn apply(&self, changes: &dyn Changes) -> Result<(), DatabaseError> {
        self.0.iter().try_for_each(|(key, value)| match value {
            Some(value) => changes.put(CHAIN, key, value),
            None => changes.remove(CHAIN, key),
        })
    }
}

/// A state's bytes as stored: without its height, which every block changes, so that an empty block changes nothing.
pub(super) fn state_bytes(state: &ChainState) -> Vec<u8> {
    to_cbor(&ChainState {
        height: Epoch(0),
        ..state.clone()
    })
}

/// What a block names its state by.
pub(super) fn state_digest(bytes: &[u8]) -> [u8; 32] {
    blake2b256(bytes)
}

fn put_block(batch: &mut Batch, block: &Block) {
    batch.insert(block_key(block.height), wire::encode(block));
    batch.insert(HEAD, block.height.0.to_be_bytes());
}

fn block_key(height: Epoch) -> Vec<u8> {
    [b"b".as_slice(), &height.0.to_be_bytes()].concat()
}

fn dropped_key(height: Epoch, at: u64) -> Vec<u8> {
    [b"d".as_slice(), &height.0.to_be_bytes(), &at.to_be_bytes()].concat()
}

fn cid_key(kind: u8, cid: &Cid) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend_from_slice(&cid.to_bytes());
    key
}

fn to_cbor<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("writing to a Vec cannot fail");
    bytes
}

fn from_cbor<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, DevnetError> {
    ciborium::from_reader(bytes).map_err(|e| DevnetError::damaged(what, e))
}
