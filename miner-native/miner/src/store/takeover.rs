//! Takes over the miner's records of version 0.1.0.

use super::codec::{parse, parse_cid};
use super::keeping::{put_deal, put_sector, settle_piece};
use super::tables::*;
use super::{DealRecord, MinerStore, PostRecord, RedemptionRecord, SectorRecord, StoreError, FILE};
use crate::chain_access::OUTBOX;
use crate::clock::now_ms;
use cid::Cid;
use sealdrop_database::takeover::{take_over as take_over_folder, OldDatabase};
use sealdrop_database::{Entry, Sharing, Sqlite, Table};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Records that are written together.
const TOGETHER: usize = 256;
/// Bytes of an amount at the end of a redemption's key.
const AMOUNT: usize = 16;

/// Takes over the records of version 0.1.0 in `folder`, if some are there.
pub(super) fn take_over(folder: &Path) -> Result<(), StoreError> {
    let taken = take_over_folder(folder, |old, new| {
        let database = Sqlite::open(&new.join(FILE), &SCHEMA, Sharing::Alone)?;
        fill(&MinerStore::of(Arc::new(database)), old)
    });
    taken.map(drop)
}

fn fill(store: &MinerStore, old: &OldDatabase) -> Result<(), StoreError> {
    let tree = |table: Table| old.tree(Some(table.name));
    for table in [CHANNELS, PIECES, DURATIONS, RATES, SCRUBS, OUTBOX] {
        copy(store, table, &tree(table)?)?;
    }
    let singles: Vec<Entry> = old.tree(Some("counters"))?;
    let kept = |key: &[u8]| [b"miner".as_slice(), b"settings", b"sector"].contains(&key);
    copy(
        store,
        SINGLES,
        &singles.into_iter().filter(|(key, _)| kept(key)).collect::<Vec<_>>(),
    )?;
    for part in tree(SECTORS)?.chunks(TOGETHER) {
        let records = part.iter().map(|(_, value)| parse(SECTORS, value));
        let records = records.collect::<Result<Vec<SectorRecord>, _>>()?;
        store.write(|changes| records.iter().try_for_each(|record| put_sector(changes, record)))?;
    }
    for part in in_order(tree(DEALS)?, &old.tree(Some("refusals"))?)?.chunks(TOGETHER) {
        store.write(|changes| part.iter().try_for_each(|record| put_deal(changes, record, now_ms())))?;
    }
    for (_, value) in tree(POSTS)? {
        store.keep_post(&parse::<PostRecord>(POSTS, &value)?)?;
    }
    for (key, value) in tree(REDEMPTIONS)? {
        let deal = key.get(..key.len().saturating_sub(AMOUNT)).unwrap_or_default();
        let record: RedemptionRecord = parse(REDEMPTIONS, &value)?;
        store.keep_redemption(&parse_cid(REDEMPTIONS, deal)?, &record)?;
    }
    // Pieces that nobody needed any more when the old version stopped.
    for part in store.pieces()?.chunks(TOGETHER) {
        store.write(|changes| part.iter().try_for_each(|data| settle_piece(changes, data)))?;
    }
    Ok(())
}

fn copy(store: &MinerStore, table: Table, entries: &[Entry]) -> Result<(), StoreError> {
    for part in entries.chunks(TOGETHER) {
        store.write(|changes| {
            Ok(part
                .iter()
                .try_for_each(|(key, value)| changes.put(table, key, value))?)
        })?;
    }
    Ok(())
}

/// The deals in the order in which they are forgotten one day: refusals as they were numbered, then the others by age.
fn in_order(deals: Vec<Entry>, refusals: &[Entry]) -> Result<Vec<DealRecord>, StoreError> {
    let mut places = BTreeMap::<Cid, usize>::new();
    for (place, (_, cid)) in refusals.iter().enumerate() {
        places.insert(parse_cid(DEALS, cid)?, place);
    }
    let records = deals.iter().map(|(_, value)| parse(DEALS, value));
    let mut records = records.collect::<Result<Vec<DealRecord>, _>>()?;
    records.sort_by_cached_key(|record| {
        let place = places.get(&record.deal.proposal.cid()).copied();
        (place.unwrap_or(usize::MAX), record.created_ms)
    });
    Ok(records)
}
