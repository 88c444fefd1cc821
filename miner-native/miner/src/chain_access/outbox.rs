//! Messages that this node signed, by what they are for. A message is here before it is sent, so that after a crash the
//! same message goes out again, not a second one.
//!
//! Called by [`super::ChainAccess`]. A caller names a purpose such as `deal/<cid>/commit`; it may ask for the same
//! purpose again until it settles it.

use super::error::ChainError;
use crate::failpoint;
use cid::Cid;
use sealdrop_database::{with_prefix, Changes, DatabaseError, Schema, Store, Table};
use serde::{Deserialize, Serialize};
use shared::chain::{Address, SignedMessage};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Longest name of a purpose, in bytes.
pub const MAX_PURPOSE: usize = 256;
/// Messages kept after they were settled, so that the last ones can still be shown.
pub const SETTLED_KEPT: usize = 1000;
/// Most messages whose purpose is not settled: far more than a miner has work under way.
pub const MAX_UNSETTLED: usize = 10_000;

/// The table of messages.
pub const OUTBOX: Table = Table::index("outbox");
/// A database of messages alone.
pub const SCHEMA: Schema = Schema {
    // "SDob"
    kind: 0x5344_6f62,
    tables: &[OUTBOX],
    format: 1,
    migrate,
};

/// There is no earlier format than the first.
fn migrate(_: &dyn Changes, _: u32) -> Result<(), DatabaseError> {
    Ok(())
}

/// Key of the genesis id of the chain that the messages are for; those of messages start with `m`.
const CHAIN: &[u8] = b"chain";
/// In front of the id of a forgotten message that may still come to a block.
const FORGOTTEN: &str = "forgotten/";

/// How far a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stage {
    /// On its way to a block.
    Sent,
    /// In a block, whatever came of it.
    Mined,
    /// In no block; its nonce is free.
    Dropped,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    #[serde(with = "shared::wire::as_cbor")]
    pub message: SignedMessage,
    pub stage: Stage,
    /// Whether the purpose was released.
    pub settled: bool,
}

/// The outbox, in memory and on the disk.
pub(super) struct Outbox {
    store: Arc<dyn Store>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// By purpose.
    entries: BTreeMap<String, Entry>,
    /// One more than the highest nonce of each account that is known to be in a block: the chain may have been asked just before
    /// that block. As many as accounts were ever used here.
    mined: BTreeMap<Address, u64>,
}

impl Kept {
    fn note_mined(&mut self, entry: &Entry) {
        if entry.stage == Stage::Mined {
            let message = entry.message.message();
            let mined = self.mined.entry(message.from.clone()).or_default();
            *mined = (*mined).max(message.nonce.saturating_add(1));
        }
    }

    fn by_cid(&self, cid: &Cid) -> Option<(&String, &Entry)> {
        self.entries.iter().find(|(_, entry)| entry.message.cid() == *cid)
    }
}

impl Outbox {
    /// Opens the outbox of the chain with this genesis id; messages for another chain make no sense there.
    pub fn open(store: Arc<dyn Store>, genesis: &str) -> Result<Result<Self, OtherChain>, ChainError> {
        let records = store.read(|records| {
            let ours = records.get(OUTBOX, CHAIN)?;
            Ok::<_, DatabaseError>((ours, with_prefix(records, OUTBOX, b"m")?))
        });
        let (ours, records) = records?;
        match ours {
            Some(ours) if ours != genesis.as_bytes() => {
                return Ok(Err(OtherChain {
                    ours: String::from_utf8_lossy(&ours).into_owned(),
                }));
            }
            Some(_) => {}
            None => store.write(|changes| changes.put(OUTBOX, CHAIN, genesis.as_bytes()))?,
        }
        let mut kept = Kept::default();
        for (key, value) in records {
            let purpose = key.get(1..).unwrap_or_default().to_vec();
            let purpose = String::from_utf8(purpose).map_err(|e| ChainError::Damaged(e.to_string()))?;
            let entry = ciborium::from_reader(value.as_slice()).map_err(|e| ChainError::Damaged(e.to_string()))?;
            kept.note_mined(&entry);
            kept.entries.insert(purpose, entry);
        }
        Ok(Ok(Self {
            store,
            kept: Mutex::new(kept),
        }))
    }

    /// The message made for a purpose.
    pub fn entry(&self, purpose: &str) -> Option<Entry> {
        self.lock().entries.get(purpose).cloned()
    }

    /// The message with this id, if this node made it.
    pub fn by_cid(&self, cid: &Cid) -> Option<Entry> {
        self.lock().by_cid(cid).map(|(_, entry)| entry.clone())
    }

    /// Messages on their way to a block, by nonce.
    pub fn sent(&self) -> Vec<SignedMessage> {
        let kept = self.lock();
        let sent = kept.entries.values().filter(|entry| entry.stage == Stage::Sent);
        let mut sent: Vec<_> = sent.map(|entry| entry.message.clone()).collect();
        sent.sort_by_key(|message| message.message().nonce);
        sent
    }

    /// The highest nonce of the account's messages on their way to a block.
    pub fn highest_nonce(&self, account: &Address) -> Option<u64> {
        self.nonces_of(account).last()
    }

    fn nonces_of<'a>(&self, account: &'a Address) -> impl Iterator<Item = u64> + use<'a> {
        let own = move |message: &SignedMessage| message.message().from == *account;
        let sent = self.sent().into_iter().filter(own);
        sent.map(|message| message.message().nonce)
    }

    /// The first nonce of an account that no message in a block or on its way has; `next` is the one that the chain expects. One more
    /// than the highest, unless a dropped message left a gap.
    pub fn free_nonce(&self, account: &Address, next: u64) -> u64 {
        let next = next.max(self.lock().mined.get(account).copied().unwrap_or_default());
        self.nonces_of(account).fold(
            next,
            |free, nonce| if nonce == free { free.saturating_add(1) } else { free },
        )
    }

    /// Keeps a new message; it is on the disk when this returns.
    pub fn add(&self, purpose: &str, message: SignedMessage) -> Result<(), ChainError> {
        let mut kept = self.lock();
        let count = kept.entries.values().filter(|entry| !entry.settled).count();
        if count >= MAX_UNSETTLED {
            return Err(ChainError::OutboxFull { count });
        }
        let entry = Entry {
            message,
            stage: Stage::Sent,
            settled: false,
        };
        self.write(purpose, &entry)?;
        kept.entries.insert(purpose.to_owned(), entry);
        Ok(())
    }

    /// Records how far a message of this node came; others are not its business.
    pub fn advance(&self, cid: &Cid, stage: Stage) -> Result<(), ChainError> {
        let mut kept = self.lock();
        let Some((purpose, entry)) = kept.by_cid(cid) else {
            return Ok(());
        };
        if entry.stage != stage {
            let (purpose, entry) = (purpose.clone(), Entry { stage, ..entry.clone() });
            self.write(&purpose, &entry)?;
            kept.note_mined(&entry);
            if stage == Stage::Mined {
                failpoint::reach_message(&purpose, "mined");
            }
            kept.entries.insert(purpose, entry);
        }
        self.prune(&mut kept)
    }

    /// Releases a purpose: its message is kept for a while and is no longer counted on.
    pub fn settle(&self, purpose: &str) -> Result<(), ChainError> {
        let mut kept = self.lock();
        if let Some(entry) = kept.entries.get(purpose).filter(|entry| !entry.settled) {
            let entry = Entry {
                settled: true,
                ..entry.clone()
            };
            self.write(purpose, &entry)?;
            failpoint::reach_message(purpose, "settled");
            kept.entries.insert(purpose.to_owned(), entry);
        }
        self.prune(&mut kept)
    }

    /// Removes the oldest settled messages beyond [`SETTLED_KEPT`]; never one that may still come to a block.
    fn prune(&self, kept: &mut Kept) -> Result<(), ChainError> {
        let over = |entry: &Entry| entry.settled && entry.stage != Stage::Sent;
        let old = kept.entries.iter().filter(|(_, entry)| over(entry));
        let mut old: Vec<_> = old
            .map(|(purpose, entry)| (entry.message.message().nonce, purpose.clone()))
            .collect();
        old.sort_unstable();
        let surplus = old.len().saturating_sub(SETTLED_KEPT);
        if surplus == 0 {
            return Ok(());
        }
        old.truncate(surplus);
        let remove = |changes: &dyn Changes| old.iter().try_for_each(|(_, gone)| changes.remove(OUTBOX, &key(gone)));
        self.store.write(remove)?;
        for (_, purpose) in &old {
            kept.entries.remove(purpose);
        }
        Ok(())
    }

    /// Frees a purpose for another message. One that may still come to a block keeps its nonce, under a name of its own.
    pub fn forget(&self, purpose: &str) -> Result<(), ChainError> {
        let mut kept = self.lock();
        let Some(entry) = kept.entries.get(purpose).cloned() else {
            return Ok(());
        };
        if entry.stage == Stage::Sent {
            let name = format!("{FORGOTTEN}{}", entry.message.cid());
            let entry = Entry { settled: true, ..entry };
            self.write(&name, &entry)?;
            kept.entries.insert(name, entry);
        }
        self.remove(&mut kept, purpose)
    }

    /// Removes a message that the chain refused to take: its nonce is free.
    pub fn withdraw(&self, purpose: &str) -> Result<(), ChainError> {
        self.remove(&mut self.lock(), purpose)
    }

    fn remove(&self, kept: &mut Kept, purpose: &str) -> Result<(), ChainError> {
        self.store.write(|changes| changes.remove(OUTBOX, &key(purpose)))?;
        kept.entries.remove(purpose);
        Ok(())
    }

    fn write(&self, purpose: &str, entry: &Entry) -> Result<(), ChainError> {
        let mut bytes = Vec::new();
        ciborium::into_writer(entry, &mut bytes).expect("writing to a Vec cannot fail");
        self.store.write(|changes| changes.put(OUTBOX, &key(purpose), &bytes))?;
        Ok(())
    }

    /// A panic while the lock was held leaves whole entries: each changes by one assignment after its write.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The outbox belongs to another chain, named by its genesis id.
pub(super) struct OtherChain {
    pub ours: String,
}

fn key(purpose: &str) -> Vec<u8> {
    [b"m", purpose.as_bytes()].concat()
}
