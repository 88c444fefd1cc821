//! Keeps deals and sectors together with what the indexes say of them, and forgets those that were over for long enough.

use super::codec::{damaged, number, parse_cid, read, write};
use super::is_own;
use super::records::{DealRecord, SectorRecord};
use super::tables::*;
use super::StoreError;
use cid::Cid;
use sealdrop_database::{with_prefix, Changes, Order, Records, Table};
use shared::deal::retention::Over;
use shared::sector::{SectorEffect, SectorOver};
use std::collections::BTreeSet;

/// Most deals, or sectors, that are forgotten with one that ends: more than one, to catch up after a change of bounds.
const FORGOTTEN_AT_ONCE: usize = 64;
/// The number of the last deal or sector that was over.
const LAST_OVER: &[u8] = b"over";
/// The highest sector number that was ever given.
const LAST_SECTOR: &[u8] = b"sector";

/// So many deals, with so many bytes together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub deals: u64,
    pub bytes: u64,
}

impl Tally {
    /// Both together.
    pub fn with(self, other: Self) -> Self {
        Self {
            deals: self.deals.saturating_add(other.deals),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

pub(super) fn tally(records: &dyn Records, key: &[u8]) -> Result<Tally, StoreError> {
    Ok(records
        .get(TALLIES, key)?
        .map_or_else(Tally::default, |value| parse_tally(&value)))
}

pub(super) fn parse_tally(value: &[u8]) -> Tally {
    let half = |range: std::ops::Range<usize>| number(value.get(range).map(<[u8]>::to_vec));
    Tally {
        deals: half(0..8),
        bytes: half(8..16),
    }
}

fn put_tally(changes: &dyn Changes, key: &[u8], tally: Tally) -> Result<(), StoreError> {
    match tally.deals {
        0 => changes.remove(TALLIES, key)?,
        _ => changes.put(
            TALLIES,
            key,
            &[tally.deals.to_be_bytes(), tally.bytes.to_be_bytes()].concat(),
        )?,
    }
    Ok(())
}

fn count(changes: &dyn Changes, index: &DealIndex, comes: bool) -> Result<(), StoreError> {
    for key in &index.tallies {
        let Tally { deals, bytes } = tally(changes, key)?;
        let after = match comes {
            true => (deals.saturating_add(1), bytes.saturating_add(index.size)),
            false => (deals.saturating_sub(1), bytes.saturating_sub(index.size)),
        };
        put_tally(
            changes,
            key,
            Tally {
                deals: after.0,
                bytes: after.1,
            },
        )?;
    }
    Ok(())
}

pub(super) fn deal(records: &dyn Records, cid: &Cid) -> Result<Option<DealRecord>, StoreError> {
    read(records, DEALS, &cid.to_bytes())
}

/// Keeps a deal in place of what was known of it.
pub(super) fn put_deal(changes: &dyn Changes, record: &DealRecord, now_ms: u64) -> Result<(), StoreError> {
    let cid = record.deal.proposal.cid();
    let before = deal(changes, &cid)?;
    let index = DealIndex::of(&cid, record);
    let old = before.as_ref().map(|before| DealIndex::of(&cid, before));
    change_entries(changes, old.as_ref(), Some(&index))?;
    changes.put(DEALS, &cid.to_bytes(), &write(DEALS, record)?)?;
    let was_over = before.is_some_and(|before| before.deal.over().is_some());
    match record.deal.over() {
        Some(over) if !was_over => {
            note_over(changes, over as u8, &cid.to_bytes(), now_ms)?;
            forget_old(changes, over, now_ms)
        }
        _ => Ok(()),
    }
}

fn change_entries(changes: &dyn Changes, old: Option<&DealIndex>, new: Option<&DealIndex>) -> Result<(), StoreError> {
    let entries = |index: Option<&DealIndex>| index.map_or_else(Vec::new, |index| index.entries.clone());
    let (gone, come) = (entries(old), entries(new));
    for (table, key, _) in gone.iter().filter(|entry| !come.contains(entry)) {
        changes.remove(*table, key)?;
    }
    for (table, key, value) in come.iter().filter(|entry| !gone.contains(entry)) {
        changes.put(*table, key, value)?;
    }
    if let Some(index) = old {
        count(changes, index, false)?;
    }
    if let Some(index) = new {
        count(changes, index, true)?;
    }
    for (table, key, _) in gone.iter().chain(&come) {
        if *table == WANTED {
            settle_piece(changes, &data_of(key)?)?;
        }
    }
    Ok(())
}

/// The data that an entry of [`WANTED`] is about.
fn data_of(key: &[u8]) -> Result<Cid, StoreError> {
    Cid::read_bytes(key).map_err(|e| damaged(WANTED, e))
}

/// Says of a piece that is here whether anybody needs it.
pub(super) fn settle_piece(changes: &dyn Changes, data: &Cid) -> Result<(), StoreError> {
    let key = data.to_bytes();
    match is_wanted(changes, data)? || changes.get(PIECES, &key)?.is_none() {
        true => changes.remove(UNWANTED, &key)?,
        false => changes.put(UNWANTED, &key, &[])?,
    }
    Ok(())
}

pub(super) fn is_wanted(records: &dyn Records, data: &Cid) -> Result<bool, StoreError> {
    let prefix = data.to_bytes();
    let next = records.range(WANTED, &prefix, None, Order::Ascending, 1)?;
    Ok(next.first().is_some_and(|(key, _)| key.starts_with(&prefix)))
}

/// In front of how a sector is over, where deals have only how.
const SECTOR_OVER: u8 = 0x10;

/// Numbers a deal or a sector that is over from now on.
fn note_over(changes: &dyn Changes, over: u8, id: &[u8], now_ms: u64) -> Result<(), StoreError> {
    let place = number(changes.get(SINGLES, LAST_OVER)?).saturating_add(1);
    changes.put(SINGLES, LAST_OVER, &place.to_be_bytes())?;
    let value = [now_ms.to_be_bytes().as_slice(), id].concat();
    changes.put(OVER, &over_key(over, place), &value)?;
    let kept = tally(changes, &over_tally(over))?.deals.saturating_add(1);
    put_tally(changes, &over_tally(over), Tally { deals: kept, bytes: 0 })
}

/// Forgets the deals that were over in this way for longer than is kept.
pub(super) fn forget_old(changes: &dyn Changes, over: Over, now_ms: u64) -> Result<(), StoreError> {
    let keeps = |newer, age| over.keeps(newer, age);
    forget_older(changes, over as u8, now_ms, keeps, |id| {
        forget_deal(changes, &parse_cid(OVER, id)?)
    })
}

/// Forgets the sectors that were over in this way for longer than is kept.
pub(super) fn forget_old_sectors(changes: &dyn Changes, over: SectorOver, now_ms: u64) -> Result<(), StoreError> {
    let keeps = |newer, age| over.keeps(newer, age);
    forget_older(changes, SECTOR_OVER | over as u8, now_ms, keeps, |id| {
        forget_sector(changes, number(Some(id.to_vec())))
    })
}

/// Forgets what was over in one way for longer than is kept, the oldest first.
fn forget_older(
    changes: &dyn Changes,
    over: u8,
    now_ms: u64,
    keeps: impl Fn(u64, u64) -> bool,
    forget: impl Fn(&[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let (from, to) = (over_key(over, 0), over_key(over, u64::MAX));
    let oldest = changes.range(OVER, &from, Some(&to), Order::Ascending, FORGOTTEN_AT_ONCE)?;
    let mut kept = tally(changes, &over_tally(over))?.deals;
    for (key, value) in oldest {
        let (at, id) = value
            .split_at_checked(8)
            .ok_or_else(|| damaged(OVER, "it is too short"))?;
        let age = now_ms.saturating_sub(number(Some(at.to_vec())));
        if keeps(kept.saturating_sub(1), age) {
            break;
        }
        forget(id)?;
        changes.remove(OVER, &key)?;
        kept = kept.saturating_sub(1);
    }
    put_tally(changes, &over_tally(over), Tally { deals: kept, bytes: 0 })
}

/// Removes a deal that is over with all that is said of it.
fn forget_deal(changes: &dyn Changes, cid: &Cid) -> Result<(), StoreError> {
    let Some(record) = deal(changes, cid)? else {
        return Ok(());
    };
    let id = cid.to_bytes();
    change_entries(changes, Some(&DealIndex::of(cid, &record)), None)?;
    for (key, _) in with_prefix(changes, REDEMPTIONS, &id)? {
        changes.remove(REDEMPTIONS, &key)?;
    }
    let payment = &record.deal.proposal.proposal.payment;
    if let Some(channel) = payment.channel {
        // Nothing is owed over the channel any more: what is left in it may pay for another deal.
        let key = channel_key(&payment.payer, channel);
        if changes.get(CHANNELS, &key)?.as_deref() == Some(id.as_slice()) {
            changes.remove(CHANNELS, &key)?;
        }
    }
    changes.remove(DEALS, &id)?;
    Ok(())
}

fn over_key(over: u8, place: u64) -> Vec<u8> {
    [[over].as_slice(), &place.to_be_bytes()].concat()
}

fn over_tally(over: u8) -> Vec<u8> {
    vec![b'o', over]
}

/// Nothing is left to do for a sector that is over: it is looked after no more, and forgotten one day.
pub(super) fn rest_sector(changes: &dyn Changes, id: u64, now_ms: u64) -> Result<(), StoreError> {
    let Some(mut record) = sector(changes, id)?.filter(|record| !record.rests) else {
        return Ok(());
    };
    let Some(over) = record.sector.over() else {
        return Ok(());
    };
    record.rests = true;
    put_sector(changes, &record)?;
    note_over(changes, SECTOR_OVER | over as u8, &id.to_be_bytes(), now_ms)?;
    forget_old_sectors(changes, over, now_ms)
}

/// Removes a sector that is over with all that is said of it.
pub(super) fn forget_sector(changes: &dyn Changes, id: u64) -> Result<(), StoreError> {
    let Some(record) = sector(changes, id)? else {
        return Ok(());
    };
    for (table, key) in sector_entries(&record) {
        changes.remove(table, &key)?;
    }
    Ok(changes.remove(SECTORS, &id.to_be_bytes())?)
}

pub(super) fn sector(records: &dyn Records, id: u64) -> Result<Option<SectorRecord>, StoreError> {
    read(records, SECTORS, &id.to_be_bytes())
}

/// Keeps a sector in place of what was known of it.
pub(super) fn put_sector(changes: &dyn Changes, record: &SectorRecord) -> Result<(), StoreError> {
    let id = record.sector.id;
    let before = sector(changes, id)?;
    let old = before.as_ref().map_or_else(BTreeSet::new, sector_entries);
    let new = sector_entries(record);
    for (table, key) in old.difference(&new) {
        changes.remove(*table, key)?;
    }
    for (table, key) in new.difference(&old) {
        changes.put(*table, key, &[])?;
    }
    for (_, key) in old.symmetric_difference(&new).filter(|(table, _)| *table == WANTED) {
        settle_piece(changes, &data_of(key)?)?;
    }
    changes.put(SECTORS, &id.to_be_bytes(), &write(SECTORS, record)?)?;
    note_sector_number(changes, id)
}

/// No sector gets this number or one below it from now on.
pub(super) fn note_sector_number(changes: &dyn Changes, id: u64) -> Result<(), StoreError> {
    if id > last_sector(changes)? {
        changes.put(SINGLES, LAST_SECTOR, &id.to_be_bytes())?;
    }
    Ok(())
}

pub(super) fn last_sector(records: &dyn Records) -> Result<u64, StoreError> {
    Ok(number(records.get(SINGLES, LAST_SECTOR)?))
}

fn sector_entries(record: &SectorRecord) -> BTreeSet<(Table, Vec<u8>)> {
    let sector = &record.sector;
    let mut entries = BTreeSet::new();
    if !record.rests {
        entries.insert((BY_PHASE, phase_key(sector.phase(), sector.id)));
    }
    let is_over = matches!(sector.effect(), SectorEffect::Rest | SectorEffect::DeleteFiles);
    for piece in &sector.pieces {
        entries.insert((BY_PIECE, piece_key(&piece.data_cid, sector.id)));
        if is_own(piece) && !is_over {
            entries.insert((WANTED, own_piece_key(&piece.data_cid, sector.id)));
        }
    }
    entries
}

/// Sectors in these phases, by number.
pub(super) fn sectors_in(
    records: &dyn Records,
    phases: &[shared::sector::Phase],
) -> Result<Vec<SectorRecord>, StoreError> {
    let mut ids = Vec::new();
    for phase in phases {
        for (key, _) in with_prefix(records, BY_PHASE, &[*phase as u8])? {
            ids.push(number(key.get(1..).map(<[u8]>::to_vec)));
        }
    }
    ids.sort_unstable();
    let missing = |id: u64| damaged(BY_PHASE, format!("sector {id} is missing"));
    ids.into_iter()
        .map(|id| sector(records, id)?.ok_or_else(|| missing(id)))
        .collect()
}
