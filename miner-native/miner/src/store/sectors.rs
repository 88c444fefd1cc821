//! Sectors: moved on, looked up by phase and by piece; what becomes of one becomes of its deals.

use super::codec::number;
use super::deals::{advance, live_deal, reached};
use super::keeping::{self, put_sector};
use super::records::proof_info;
use super::tables::*;
use super::{is_own, MinerStore, PhaseStart, SectorRecord, StoreError};
use crate::failpoint;
use cid::Cid;
use sealdrop_database::{with_prefix, Changes, Order, Records};
use shared::deal::{MinerEffect, MinerInput};
use shared::piece::SectorSize;
use shared::sector::{retry_pause_ms, Phase, SectorEffect, SectorInput, SectorStage};

/// Most phase changes that a sector remembers.
const MAX_HISTORY: usize = 64;

impl MinerStore {
    /// A sector by its number.
    pub fn sector(&self, id: u64) -> Result<Option<SectorRecord>, StoreError> {
        self.read(|records| keeping::sector(records, id))
    }

    /// No new sector gets this number or one below it: the chain has seen them. Records that were restored from a backup do
    /// not know the sectors after it.
    pub fn skip_sector_numbers(&self, seen: u64) -> Result<(), StoreError> {
        self.write(|changes| keeping::note_sector_number(changes, seen))
    }

    /// Every sector, by number.
    pub fn sectors(&self) -> impl Iterator<Item = Result<SectorRecord, StoreError>> + '_ {
        self.all(SECTORS)
    }

    /// The sectors in these phases of which anything is left to do, by number.
    pub fn sectors_in(&self, phases: &[Phase]) -> Result<Vec<SectorRecord>, StoreError> {
        self.read(|records| keeping::sectors_in(records, phases))
    }

    /// How many sectors are in these phases; no record is read.
    pub fn count_sectors_in(&self, phases: &[Phase]) -> Result<u64, StoreError> {
        self.read(|records| {
            let in_phase =
                |phase: &Phase| with_prefix(records, BY_PHASE, &[*phase as u8]).map(|found| found.len() as u64);
            Ok(phases.iter().map(in_phase).sum::<Result<u64, _>>()?)
        })
    }

    /// The sectors that are not sealed yet, and those that a deal still waits for, by number.
    pub fn unfinished_sectors(&self) -> Result<Vec<SectorRecord>, StoreError> {
        let mut found = self.sectors_in(&Phase::UNSEALED)?;
        for id in self.awaited_sectors()? {
            if !found.iter().any(|record| record.sector.id == id) {
                found.extend(self.sector(id)?);
            }
        }
        found.sort_by_key(|record| record.sector.id);
        Ok(found)
    }

    /// The newest sectors, the newest first.
    pub fn newest_sectors(&self, most: usize) -> Result<Vec<SectorRecord>, StoreError> {
        let found = self.read(|records| Ok(records.range(SECTORS, &[], None, Order::Descending, most)?))?;
        found
            .iter()
            .map(|(_, value)| super::codec::parse(SECTORS, value))
            .collect()
    }

    /// The sectors that hold a piece, by number.
    pub fn sectors_with(&self, data: &Cid) -> Result<Vec<SectorRecord>, StoreError> {
        let prefix = data.to_bytes();
        self.read(|records| {
            let found = with_prefix(records, BY_PIECE, &prefix)?;
            let ids = found
                .iter()
                .map(|(key, _)| number(key.get(prefix.len()..).map(<[u8]>::to_vec)));
            ids.filter_map(|id| keeping::sector(records, id).transpose()).collect()
        })
    }

    /// Moves a sector on, and remembers how long the phase took that ended.
    pub fn advance_sector(&self, id: u64, input: SectorInput, now_ms: u64) -> Result<SectorRecord, StoreError> {
        let record = self.write(|changes| advance_sector(changes, id, input.clone(), now_ms))?;
        failpoint::hit_failpoint(entered(record.sector.phase()));
        Ok(record)
    }

    /// Says that nothing is left to do for a sector that is over: its files are where they are to be, and its deals know.
    pub fn rest_sector(&self, id: u64, now_ms: u64) -> Result<(), StoreError> {
        self.write(|changes| keeping::rest_sector(changes, id, now_ms))
    }

    /// How long a phase took the last time that it succeeded, in milliseconds; `None` when it never has.
    pub fn estimate(&self, size: SectorSize, phase: Phase) -> Result<Option<u64>, StoreError> {
        let found = self.read(|records| Ok(records.get(DURATIONS, &duration_key(size, phase))?))?;
        Ok(found.map(|value| number(Some(value))))
    }

    /// Tells the deals of a sector that was committed, given up or lost. Safe to repeat; does nothing for other sectors.
    /// Returns the deals that changed.
    pub fn settle(&self, id: u64) -> Result<Vec<Cid>, StoreError> {
        let record = self.sector(id)?.ok_or(StoreError::UnknownSector(id))?;
        let sector = &record.sector;
        let is_lost = sector.phase() == Phase::Failed && sector.effect() == SectorEffect::Rest;
        if !is_lost && sector.effect() != SectorEffect::Prove {
            return Ok(Vec::new());
        }
        let of_deals = sector.pieces.iter().enumerate().filter(|(_, piece)| !is_own(piece));
        let mut changed = Vec::new();
        for (index, piece) in of_deals {
            if !self.read(|records| awaits(records, &piece.deal, id, is_lost))? {
                continue;
            }
            let input = match proof_info(sector, index) {
                Some(proof) => MinerInput::Committed { proof },
                None => MinerInput::SectorFailed { sector: id },
            };
            changed.push((piece.deal, input));
        }
        let changed = self.write(|changes| {
            let all = changed
                .iter()
                .map(|(deal, input)| advance(changes, deal, input.clone()));
            all.collect::<Result<Vec<_>, _>>()
        })?;
        let told: Vec<_> = changed.iter().map(|record| record.deal.proposal.cid()).collect();
        told.iter().for_each(|cid| self.tell(cid));
        changed.iter().for_each(reached);
        Ok(told)
    }
}

/// Whether a deal is to be told what became of a sector.
fn awaits(records: &dyn Records, deal: &Cid, sector: u64, is_lost: bool) -> Result<bool, StoreError> {
    // One that is over needs no word, and may be forgotten.
    let Some(record) = live_deal(records, deal)? else {
        return Ok(false);
    };
    Ok(match record.deal.effect() {
        MinerEffect::AwaitSector { sector: awaited } => awaited == sector,
        MinerEffect::Keep { .. } => is_lost && record.deal.sector() == Some(sector),
        _ => false,
    })
}

fn advance_sector(changes: &dyn Changes, id: u64, input: SectorInput, now_ms: u64) -> Result<SectorRecord, StoreError> {
    let mut record = keeping::sector(changes, id)?.ok_or(StoreError::UnknownSector(id))?;
    let (before, since) = (record.sector.phase(), record.since_ms());
    let succeeded = !input.is_setback();
    record.sector.handle(input)?;
    let goes_on = !matches!(record.sector.stage, SectorStage::Failed { .. });
    record.retry_at_ms = (!succeeded && goes_on).then(|| now_ms.saturating_add(retry_pause_ms(record.sector.attempts)));
    let after = record.sector.phase();
    if after != before || !succeeded {
        record.history.push(PhaseStart {
            phase: after,
            at_ms: now_ms,
        });
        if record.history.len() > MAX_HISTORY {
            record.history.remove(0);
        }
    }
    if succeeded && after != before {
        let took = now_ms.saturating_sub(since);
        changes.put(
            DURATIONS,
            &duration_key(record.sector.size, before),
            &took.to_be_bytes(),
        )?;
    }
    put_sector(changes, &record)?;
    Ok(record)
}

/// The failpoint after a sector's phase was written down.
fn entered(phase: Phase) -> &'static str {
    match phase {
        Phase::Closed => "sector.closed",
        Phase::PreCommit1 => "sector.pre_commit1",
        Phase::PreCommit2 => "sector.pre_commit2",
        Phase::PreCommitting => "sector.pre_committing",
        Phase::WaitSeed => "sector.wait_seed",
        Phase::Commit1 => "sector.commit1",
        Phase::Commit2 => "sector.commit2",
        Phase::Committing => "sector.committing",
        Phase::Proving => "sector.proving",
        Phase::Expired => "sector.expired",
        Phase::Released => "sector.released",
        Phase::Removed => "sector.removed",
        Phase::Packing | Phase::Failed => "",
    }
}
