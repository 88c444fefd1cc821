//! What the development chain keeps on disk. The only module of the chain that names sled.
//!
//! Here: blocks, the pool and what became of its messages; [`states`] holds past states, [`archive`] the messages of past
//! blocks. One tree, so that one batch changes blocks, state, outcomes and pool together or not at all; every change is on the
//! disk before it is acknowledged. Called by [`super::node`].

mod archive;
mod states;

pub use archive::{MESSAGES_KEPT, MESSAGES_KEPT_BLOCKS};
pub use states::STATES_KEPT;

use super::block::Block;
use super::error::DevnetError;
use super::genesis::Genesis;
use crate::database;
pub use archive::Bounds;
use archive::{Archive, ARCHIVE};
use cid::Cid;
use serde::{de::DeserializeOwned, Deserialize, Serialize};
use shared::chain::keys::blake2b256;
use shared::chain::message::Receipt;
use shared::chain::{ChainState, Epoch, SignedMessage};
use shared::wire;
use states::States;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Blocks kept whatever is in them; older ones stay only when they recorded messages. At a block a second, 5½ hours.
pub const BLOCKS_KEPT: u64 = 20_000;
/// Dropped messages whose reason is kept for those who wait for them.
pub const DROPPED_KEPT: usize = 4096;
/// Memory that the store may use to cache pages.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// How the records are laid out; counted up when that changes.
const FORMAT: u64 = 2;

const FORMAT_KEY: &[u8] = b"format";
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

/// The chain's tree.
pub(super) struct Store {
    db: sled::Db,
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
    /// Opens the store in `dir` for this process alone.
    pub fn open(dir: &Path) -> Result<Self, DevnetError> {
        std::fs::create_dir_all(dir).map_err(|source| DevnetError::Folder {
            dir: dir.to_owned(),
            source,
        })?;
        let config = sled::Config::new().path(dir.join("chain")).cache_capacity(CACHE_BYTES);
        match database::open(&config) {
            Ok(db) => Self::of(db, dir),
            Err(error) if database::is_held(&error) => Err(DevnetError::InUse { dir: dir.to_owned() }),
            Err(error) => Err(error.into()),
        }
    }

    fn of(db: sled::Db, dir: &Path) -> Result<Self, DevnetError> {
        let store = Self {
            db,
            bounds: Bounds::default(),
            kept: Mutex::default(),
        };
        let found = match store.db.get(FORMAT_KEY)? {
            Some(format) => format.as_ref().try_into().map_or(0, u64::from_be_bytes),
            // The first layout had no number.
            None if store.db.contains_key(GENESIS)? => 1,
            None => FORMAT,
        };
        match found {
            FORMAT => {}
            1 => store.bring_up()?,
            _ => {
                let (dir, wanted) = (dir.to_owned(), FORMAT);
                return Err(DevnetError::OtherFormat { dir, found, wanted });
            }
        }
        let archive = store.db.get(ARCHIVE)?;
        let kept = Kept {
            states: States::open(&store.db)?,
            archive: archive.map_or(Ok(Archive::default()), |bytes| from_cbor("archive record", &bytes))?,
        };
        *store.kept() = kept;
        Ok(store)
    }

    /// Brings a store of the first layout up to this one: its only state gets a height, its messages their addresses.
    fn bring_up(&self) -> Result<(), DevnetError> {
        const STATE: &[u8] = b"state";
        let missing = |what| DevnetError::damaged(what, "it is missing");
        let head = self.head()?;
        let state = self.db.get(STATE)?.ok_or_else(|| missing("state"))?;
        let mut batch = sled::Batch::default();
        States::default().advance(&mut batch, head, Some(&state));
        batch.remove(STATE);
        let mut messages = 0;
        for block in self.blocks(Epoch(0), head, usize::MAX)? {
            for (at, cid) in (0u32..).zip(&block.messages) {
                let message = self.message(cid)?.ok_or_else(|| missing("message"))?;
                archive::file(&mut batch, block.height, at, cid, &message);
                messages += 1;
            }
        }
        batch.insert(ARCHIVE, to_cbor(&Archive::of(messages)));
        batch.insert(FORMAT_KEY, &FORMAT.to_be_bytes());
        self.write(batch)
    }

    fn head(&self) -> Result<Epoch, DevnetError> {
        let head = self
            .db
            .get(HEAD)?
            .ok_or_else(|| DevnetError::damaged("head", "it is missing"))?;
        let height = head.as_ref().try_into().map(u64::from_be_bytes);
        height.map(Epoch).map_err(|e| DevnetError::damaged("head", e))
    }

    /// A panic while the lock was held leaves a whole record: it changes by one assignment.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the chain was started with; `None` when it has not begun.
    pub fn genesis(&self) -> Result<Option<Genesis>, DevnetError> {
        self.db
            .get(GENESIS)?
            .map(|bytes| from_cbor("genesis record", &bytes))
            .transpose()
    }

    /// Begins a chain.
    pub fn begin(&self, genesis: &Genesis, block: &Block, state: &[u8]) -> Result<(), DevnetError> {
        let mut batch = sled::Batch::default();
        batch.insert(FORMAT_KEY, &FORMAT.to_be_bytes());
        batch.insert(GENESIS, to_cbor(genesis));
        let mut kept = self.kept().clone();
        kept.states.advance(&mut batch, block.height, Some(state));
        put_block(&mut batch, block);
        self.write(batch)?;
        *self.kept() = kept;
        Ok(())
    }

    /// Where the chain stands; `None` when it has not begun.
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

    fn waiting(&self) -> Result<Vec<(Epoch, SignedMessage)>, DevnetError> {
        let mut waiting = Vec::new();
        for entry in self.db.scan_prefix(b"p") {
            let (key, since) = entry?;
            let since = since
                .as_ref()
                .try_into()
                .map(u64::from_be_bytes)
                .map_err(|e| DevnetError::damaged("pool", e))?;
            let cid = Cid::try_from(&key[1..]).map_err(|e| DevnetError::damaged("pool", e))?;
            let message = self
                .message(&cid)?
                .ok_or_else(|| DevnetError::damaged("pool", "a message is missing"))?;
            waiting.push((Epoch(since), message));
        }
        Ok(waiting)
    }

    pub fn block(&self, height: Epoch) -> Result<Option<Block>, DevnetError> {
        let bytes = self.db.get(block_key(height))?;
        bytes
            .map(|bytes| wire::decode(&bytes).map_err(|e| DevnetError::damaged("block", e)))
            .transpose()
    }

    /// The blocks of a span that are kept, oldest first; at most `most`.
    pub fn blocks(&self, from: Epoch, to: Epoch, most: usize) -> Result<Vec<Block>, DevnetError> {
        let span = self.db.range(block_key(from)..=block_key(to)).take(most);
        span.map(|entry| {
            let (_, bytes) = entry?;
            wire::decode(&bytes).map_err(|e| DevnetError::damaged("block", e))
        })
        .collect()
    }

    pub fn message(&self, cid: &Cid) -> Result<Option<SignedMessage>, DevnetError> {
        let bytes = self.db.get(cid_key(b'm', cid))?;
        bytes
            .map(|bytes| wire::decode(&bytes).map_err(|e| DevnetError::damaged("message", e)))
            .transpose()
    }

    pub fn outcome(&self, cid: &Cid) -> Result<Option<Outcome>, DevnetError> {
        self.db
            .get(cid_key(b'o', cid))?
            .map(|bytes| from_cbor("outcome", &bytes))
            .transpose()
    }

    /// Keeps a message that came to the pool at the height `since`; it may have been dropped before.
    pub fn add_waiting(&self, cid: &Cid, message: &SignedMessage, since: Epoch) -> Result<(), DevnetError> {
        let mut batch = sled::Batch::default();
        batch.insert(cid_key(b'm', cid), wire::encode(message));
        batch.insert(cid_key(b'p', cid), &since.0.to_be_bytes());
        batch.remove(cid_key(b'o', cid));
        self.write(batch)
    }

    /// Records a block and everything that it changed, as one, and forgets what is too old with it.
    pub fn commit(&self, commit: &Commit) -> Result<(), DevnetError> {
        let mut batch = sled::Batch::default();
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
        self.write(batch)?;
        *self.kept() = kept;
        Ok(())
    }

    /// Removes the oldest dropped messages beyond [`DROPPED_KEPT`] (those of the batch itself come on top).
    fn forget_dropped(&self, batch: &mut sled::Batch) -> Result<(), DevnetError> {
        let known: Vec<_> = self.db.scan_prefix(b"d").collect::<Result<_, _>>()?;
        let surplus = known.len().saturating_sub(DROPPED_KEPT);
        for (key, cid) in known.into_iter().take(surplus) {
            let cid = Cid::try_from(cid.as_ref()).map_err(|e| DevnetError::damaged("drop record", e))?;
            batch.remove(key);
            // A dropped message may have come again and be waiting or in a block.
            if matches!(self.outcome(&cid)?, Some(Outcome::Dropped { .. })) {
                batch.remove(cid_key(b'o', &cid));
                batch.remove(cid_key(b'm', &cid));
            }
        }
        Ok(())
    }

    fn write(&self, batch: sled::Batch) -> Result<(), DevnetError> {
        self.db.apply_batch(batch)?;
        self.db.flush()?;
        Ok(())
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

fn put_block(batch: &mut sled::Batch, block: &Block) {
    batch.insert(block_key(block.height), wire::encode(block));
    batch.insert(HEAD, &block.height.0.to_be_bytes());
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
