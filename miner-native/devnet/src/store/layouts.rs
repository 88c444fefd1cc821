//! What earlier versions kept of a chain: formats 1 and 2, in sled.
//!
//! Format 2 has the records of this one. Format 1 had one state without a height, and no index by address.

use super::{archive, Archive, Batch, States, Store, ARCHIVE, CHAIN, FILE, GENESIS, SCHEMA};
use crate::error::DevnetError;
use sealdrop_database::takeover::take_over as take_over_folder;
use sealdrop_database::{Changes, DatabaseError, Sharing, Sqlite};
use shared::chain::Epoch;
use std::path::Path;
use std::sync::Arc;

const FORMAT: &[u8] = b"format";
const STATE: &[u8] = b"state";
/// The last format that was kept in sled.
const LAST: u64 = 2;
/// Blocks that are read and brought up together.
const TOGETHER: usize = 256;

/// No database of this kind has a format before 3.
pub(super) fn migrate(_: &dyn Changes, _: u32) -> Result<(), DatabaseError> {
    Ok(())
}

/// Takes over a chain of version 0.1.0 in its folder, if one is there.
pub(super) fn take_over(folder: &Path) -> Result<(), DevnetError> {
    let taken = take_over_folder(folder, |old, new| {
        let found = old.get(None, FORMAT)?;
        let has_begun = old.get(None, GENESIS)?.is_some();
        // The first layout had no number.
        let format = found.map_or(if has_begun { 1 } else { LAST }, |format| {
            format.as_slice().try_into().map_or(0, u64::from_be_bytes)
        });
        if format == 0 || format > LAST {
            let (dir, wanted) = (folder.to_owned(), LAST);
            return Err(DevnetError::OtherFormat {
                dir,
                found: format,
                wanted,
            });
        }
        let store = Store::of(Arc::new(Sqlite::open(&new.join(FILE), &SCHEMA, Sharing::Alone)?))?;
        old.each(None, |part| {
            let kept = || part.iter().filter(|(key, _)| key != FORMAT);
            store
                .db
                .write(|changes| kept().try_for_each(|(key, value)| changes.put(CHAIN, key, value)))
                .map_err(DevnetError::from)
        })?;
        match format {
            1 => bring_up(&store),
            _ => Ok(()),
        }
    });
    taken.map(drop)
}

/// Brings records of the first layout up to this one: the only state gets a height, the messages their addresses.
fn bring_up(store: &Store) -> Result<(), DevnetError> {
    let missing = |what| DevnetError::damaged(what, "it is missing");
    let head = store.head()?;
    let state = store.get(STATE)?.ok_or_else(|| missing("state"))?;
    let mut batch = Batch::default();
    States::default().advance(&mut batch, head, Some(&state));
    batch.remove(STATE);
    let (mut messages, mut from) = (0, Epoch(0));
    loop {
        let blocks = store.blocks(from, head, TOGETHER)?;
        for block in &blocks {
            for (at, cid) in (0u32..).zip(&block.messages) {
                let message = store.message(cid)?.ok_or_else(|| missing("message"))?;
                archive::file(&mut batch, block.height, at, cid, &message);
                messages += 1;
            }
        }
        store.write(&std::mem::take(&mut batch))?;
        match blocks.last() {
            Some(last) if blocks.len() == TOGETHER => from = last.height.plus(1),
            _ => break,
        }
    }
    batch.insert(ARCHIVE, super::to_cbor(&Archive::of(messages)));
    store.write(&batch)
}
