//! Messages in blocks: found again by id and by address, and forgotten when they are old.
//!
//! What a forgotten message was is gone; that it was in a block, and in which, is known for a while longer, so that nobody
//! takes it for one that never was and sends another in its place.

use super::{cid_key, Batch, Store};
use crate::block::Block;
use crate::error::DevnetError;
use cid::Cid;
use sealdrop_database::Order;
use serde::{Deserialize, Serialize};
use shared::chain::{Address, Epoch, SignedMessage};

/// Blocks whose messages and receipts are kept: at five seconds a block 11 days, at half a minute 69.
pub const MESSAGES_KEPT_BLOCKS: u64 = 200_000;
/// Most messages that are kept with their receipts, whatever their age: with the largest proofs about 10 GiB, commonly
/// below 1 GiB.
pub const MESSAGES_KEPT: u64 = 200_000;
/// Forgotten messages of which the block's height is still known.
pub const FORGOTTEN_KEPT: u64 = 100_000;
/// Most blocks whose messages are forgotten with one new block: more than one, to catch up after a change of bounds.
const BLOCKS_AT_ONCE: u32 = 16;

/// Entries of an index that are read at once.
const PAGE: usize = 256;

/// The record of what is kept.
pub(super) const ARCHIVE: &[u8] = b"archive";
/// In front of an address, a height and a position in the block.
const BY_ADDRESS: u8 = b'A';
/// In front of a forgotten message's id.
const FORGOTTEN: u8 = b'X';
/// In front of the height and position of a forgotten message.
const FORGOTTEN_ORDER: u8 = b'Y';

/// What is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Archive {
    /// Lowest height whose messages are kept.
    tail: u64,
    /// Messages kept.
    messages: u64,
    /// Forgotten messages still known by height.
    forgotten: u64,
}

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub blocks: u64,
    pub messages: u64,
    pub forgotten: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            blocks: MESSAGES_KEPT_BLOCKS,
            messages: MESSAGES_KEPT,
            forgotten: FORGOTTEN_KEPT,
        }
    }
}

impl Archive {
    /// The archive of a store whose blocks have so many messages, all of them kept.
    #[cfg(feature = "server")]
    pub fn of(messages: u64) -> Self {
        Self {
            messages,
            ..Self::default()
        }
    }
}

/// Files a message of a block under its addresses.
pub(super) fn file(batch: &mut Batch, height: Epoch, at: u32, cid: &Cid, message: &SignedMessage) {
    for key in address_keys(message, height, at) {
        batch.insert(key, cid.to_bytes());
    }
}

impl Store {
    /// What the archive is after the block at `head` with `mined` messages; puts what is forgotten with it into `batch`.
    pub(super) fn forget_old(
        &self,
        batch: &mut Batch,
        archive: Archive,
        head: Epoch,
        mined: u64,
    ) -> Result<Archive, DevnetError> {
        let mut archive = archive;
        archive.messages = archive.messages.saturating_add(mined);
        for _ in 0..BLOCKS_AT_ONCE {
            let is_old = head.0.saturating_sub(archive.tail) > self.bounds.blocks;
            if archive.tail >= head.0 || !(is_old || archive.messages > self.bounds.messages) {
                break;
            }
            if let Some(block) = self.block(Epoch(archive.tail))? {
                let count = self.forget_block(batch, &block)?;
                archive.messages = archive.messages.saturating_sub(count);
                archive.forgotten = archive.forgotten.saturating_add(count);
            }
            archive.tail += 1;
        }
        let surplus = archive.forgotten.saturating_sub(self.bounds.forgotten);
        let mut removed = 0u64;
        let most = usize::try_from(surplus).unwrap_or(usize::MAX);
        for (key, cid) in self.first_of(FORGOTTEN_ORDER, most)? {
            let cid = Cid::try_from(cid.as_slice()).map_err(|e| DevnetError::damaged("record of old messages", e))?;
            batch.remove(cid_key(FORGOTTEN, &cid));
            batch.remove(key);
            removed += 1;
        }
        archive.forgotten = archive.forgotten.saturating_sub(removed);
        Ok(archive)
    }

    /// Forgets the messages of a block, and a block that had some; returns how many.
    fn forget_block(&self, batch: &mut Batch, block: &Block) -> Result<u64, DevnetError> {
        let height = block.height;
        for (at, cid) in (0u32..).zip(&block.messages) {
            if let Some(message) = self.message(cid)? {
                for key in address_keys(&message, height, at) {
                    batch.remove(key);
                }
            }
            batch.remove(cid_key(b'm', cid));
            batch.remove(cid_key(b'o', cid));
            batch.insert(cid_key(FORGOTTEN, cid), height.0.to_be_bytes());
            let order = [[FORGOTTEN_ORDER].as_slice(), &height.0.to_be_bytes(), &at.to_be_bytes()].concat();
            batch.insert(order, cid.to_bytes());
        }
        if !block.messages.is_empty() {
            batch.remove(super::block_key(height));
        }
        Ok(block.messages.len() as u64)
    }

    /// Height of the block that a forgotten message is in.
    pub fn forgotten_at(&self, cid: &Cid) -> Result<Option<Epoch>, DevnetError> {
        let height = self.get(cid_key(FORGOTTEN, cid))?;
        height
            .map(|height| {
                let height = height.as_slice().try_into().map(u64::from_be_bytes);
                height
                    .map(Epoch)
                    .map_err(|e| DevnetError::damaged("record of old messages", e))
            })
            .transpose()
    }

    /// Messages in blocks from or to an address, newest first; with `before`, only those below that height. Ends with
    /// the first block that makes it `most` or more, so that a list goes on at that block's height.
    pub fn messages_of(&self, address: &Address, before: Option<Epoch>, most: usize) -> Result<Vec<Cid>, DevnetError> {
        let start = address_prefix(address);
        let end = [
            start.as_slice(),
            &before.map_or(u64::MAX, |height| height.0).to_be_bytes(),
        ]
        .concat();
        let mut found = Vec::new();
        let (mut last, mut to) = (None, end);
        loop {
            let page = self.range(&start, &to, Order::Descending, PAGE)?;
            let is_last = page.len() < PAGE;
            for (key, cid) in page {
                let height = key.get(start.len()..start.len() + 8).map(<[u8]>::to_vec);
                if found.len() >= most && height != last {
                    return Ok(found);
                }
                last = height;
                found.push(Cid::try_from(cid.as_slice()).map_err(|e| DevnetError::damaged("index of messages", e))?);
                to = key;
            }
            if is_last {
                return Ok(found);
            }
        }
    }
}

fn address_keys(message: &SignedMessage, height: Epoch, at: u32) -> [Vec<u8>; 2] {
    let message = message.message();
    [&message.from, &message.to].map(|address| {
        let prefix = address_prefix(address);
        [prefix.as_slice(), &height.0.to_be_bytes(), &at.to_be_bytes()].concat()
    })
}

/// The length in front keeps one address from being the beginning of another.
fn address_prefix(address: &Address) -> Vec<u8> {
    let bytes = address.to_bytes();
    [&[BY_ADDRESS, bytes.len() as u8], bytes.as_slice()].concat()
}
