//! Takes over the miner's records of version 0.1.0.

use super::codec::{damaged, parse, parse_cid};
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

/// Deals that are written together.
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
    for table in [CHANNELS, PIECES, DURATIONS, RATES, SCRUBS, OUTBOX] {
        old.each(Some(table.name), |part| copy(store, table, part))?;
    }
    let kept = |key: &[u8]| [b"miner".as_slice(), b"settings", b"sector"].contains(&key);
    old.each(Some("counters"), |part| {
        let singles: Vec<Entry> = part.iter().filter(|(key, _)| kept(key)).cloned().collect();
        copy(store, SINGLES, &singles)
    })?;
    old.each(Some(SECTORS.name), |part| {
        let records = part.iter().map(|(_, value)| parse(SECTORS, value));
        let records = records.collect::<Result<Vec<SectorRecord>, _>>()?;
        store.write(|changes| records.iter().try_for_each(|record| put_sector(changes, record)))
    })?;
    for part in in_order(old)?.chunks(TOGETHER) {
        let records = part.iter().map(|key| deal(old, key));
        let records = records.collect::<Result<Vec<_>, _>>()?;
        store.write(|changes| {
            records
                .iter()
                .try_for_each(|record| put_deal(changes, record, now_ms()))
        })?;
    }
    old.each(Some(POSTS.name), |part| {
        part.iter()
            .try_for_each(|(_, value)| store.keep_post(&parse::<PostRecord>(POSTS, value)?))
    })?;
    old.each(Some(REDEMPTIONS.name), |part| {
        part.iter().try_for_each(|(key, value)| {
            let deal = key.get(..key.len().saturating_sub(AMOUNT)).unwrap_or_default();
            let record: RedemptionRecord = parse(REDEMPTIONS, value)?;
            store.keep_redemption(&parse_cid(REDEMPTIONS, deal)?, &record)
        })
    })?;
    // Pieces that nobody needed any more when the old version stopped.
    for part in store.pieces()?.chunks(TOGETHER) {
        store.write(|changes| part.iter().try_for_each(|data| settle_piece(changes, data)))?;
    }
    Ok(())
}

fn copy(store: &MinerStore, table: Table, entries: &[Entry]) -> Result<(), StoreError> {
    store.write(|changes| {
        Ok(entries
            .iter()
            .try_for_each(|(key, value)| changes.put(table, key, value))?)
    })
}

fn deal(old: &OldDatabase, key: &[u8]) -> Result<DealRecord, StoreError> {
    let found = old.get(Some(DEALS.name), key)?;
    parse(DEALS, &found.ok_or_else(|| damaged(DEALS, "it is missing"))?)
}

/// The keys of the deals in the order in which these are forgotten one day: refusals as they were numbered, then the others by age.
fn in_order(old: &OldDatabase) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut places = BTreeMap::<Cid, usize>::new();
    old.each(Some("refusals"), |part| {
        for (_, cid) in part {
            places.insert(parse_cid(DEALS, cid)?, places.len());
        }
        Ok::<_, StoreError>(())
    })?;
    let mut deals = Vec::new();
    old.each(Some(DEALS.name), |part| {
        for (key, value) in part {
            let record: DealRecord = parse(DEALS, value)?;
            let place = places.get(&record.deal.proposal.cid()).copied();
            deals.push((place.unwrap_or(usize::MAX), record.created_ms, key.clone()));
        }
        Ok::<_, StoreError>(())
    })?;
    deals.sort();
    Ok(deals.into_iter().map(|(_, _, key)| key).collect())
}
