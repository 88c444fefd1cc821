//! Pieces into sectors, and out of them again while they pack: deal and sector always change together.

use super::deals::is_live;
use super::keeping::{self, last_sector, put_deal, put_sector, sectors_in};
use super::needs::piece_bytes;
use super::tables::*;
use super::{MinerStore, PhaseStart, SectorRecord, StoreError};
use crate::clock;
use crate::failpoint;
use cid::Cid;
use sealdrop_database::{Changes, Records};
use shared::chain::actors::miner::MAX_SECTOR_ID;
use shared::deal::miner::Unexpected;
use shared::deal::{MinerInput, MinerStage};
use shared::piece::SectorSize;
use shared::sector::{Phase, Sector, SectorEffect, SectorInput, SectorPiece};

impl MinerStore {
    /// Places a received piece in the first sector with room, or in a new one: deal and sector change together.
    /// Returns the sector's number; for a deal that was placed before, the same again.
    pub fn place(&self, cid: &Cid, size: SectorSize, now_ms: u64) -> Result<u64, StoreError> {
        failpoint::hit_failpoint("sector.placing");
        let sector = self.write(|changes| place(changes, cid, size, now_ms))?;
        self.tell(cid);
        failpoint::hit_failpoint("sector.placed");
        Ok(sector)
    }

    /// Fails a deal whose piece cannot be sealed in time, and takes the piece out of its sector if that still packs: both
    /// change together. A deal that is over already only makes room.
    pub fn evict(&self, cid: &Cid, reason: String) -> Result<(), StoreError> {
        self.write(|changes| evict(changes, cid, &reason))?;
        self.tell(cid);
        Ok(())
    }

    /// Places a piece of the operator's own, whose bytes are staged. Returns its sector's number; the same again for a
    /// piece that lies in a sector already.
    pub fn add_piece(&self, piece: SectorPiece, size: SectorSize, now_ms: u64) -> Result<u64, StoreError> {
        let data = piece.data_cid;
        let known = self.sectors_with(&data)?;
        let known = known.iter().map(|record| &record.sector).find(|sector| {
            sector.effect() != SectorEffect::Rest && sector.pieces.iter().any(|known| known.deal == piece.deal)
        });
        if let Some(sector) = known {
            return Ok(sector.id);
        }
        let bytes = piece_bytes(piece.size, piece.comm_p)?;
        let placed = self.write(|changes| {
            let mut target = with_room(changes, piece.size, size, now_ms)?;
            target.sector.handle(SectorInput::PieceAdded(piece.clone()))?;
            changes.put(PIECES, &data.to_bytes(), &bytes)?;
            put_sector(changes, &target)?;
            Ok(target.sector.id)
        })?;
        self.tell_piece(&data);
        Ok(placed)
    }
}

fn place(changes: &dyn Changes, cid: &Cid, size: SectorSize, now_ms: u64) -> Result<u64, StoreError> {
    let mut record = keeping::deal(changes, cid)?.ok_or(StoreError::UnknownDeal(*cid))?;
    let comm_p = match &record.deal.stage {
        MinerStage::Received { comm_p } => *comm_p,
        MinerStage::Staged { sector, .. } => return Ok(*sector),
        _ => {
            let unexpected = Unexpected {
                input: "a place in a sector",
                state: record.deal.state(),
            };
            return Err(StoreError::Deal { deal: *cid, unexpected });
        }
    };
    let proposal = &record.deal.proposal;
    let piece = SectorPiece {
        deal: *cid,
        data_cid: proposal.proposal.piece_ref,
        size: proposal.size(),
        comm_p,
    };
    let mut target = with_room(changes, piece.size, size, now_ms)?;
    let sector = target.sector.id;
    target.sector.handle(SectorInput::PieceAdded(piece))?;
    let handled = record.deal.handle(MinerInput::Placed { sector });
    handled.map_err(|unexpected| StoreError::Deal { deal: *cid, unexpected })?;
    put_sector(changes, &target)?;
    put_deal(changes, &record, now_ms)?;
    Ok(sector)
}

fn evict(changes: &dyn Changes, cid: &Cid, reason: &str) -> Result<(), StoreError> {
    let known = keeping::deal(changes, cid)?;
    let sector = match known.as_ref().and_then(|record| record.deal.sector()) {
        Some(id) => keeping::sector(changes, id)?,
        None => packing_with(changes, cid)?,
    };
    if is_live(changes, cid)? {
        let mut record = known.ok_or(StoreError::UnknownDeal(*cid))?;
        let handled = record.deal.handle(MinerInput::Evicted {
            reason: reason.to_owned(),
        });
        handled.map_err(|unexpected| StoreError::Deal { deal: *cid, unexpected })?;
        put_deal(changes, &record, clock::now_ms())?;
    }
    if let Some(mut sector) = sector {
        sector.sector.handle(SectorInput::PieceEvicted { deal: *cid })?;
        put_sector(changes, &sector)?;
    }
    Ok(())
}

/// The sector that still packs and holds the piece of a deal.
fn packing_with(records: &dyn Records, deal: &Cid) -> Result<Option<SectorRecord>, StoreError> {
    let packing = sectors_in(records, &[Phase::Packing])?;
    let holds = |record: &SectorRecord| record.sector.pieces.iter().any(|piece| piece.deal == *deal);
    Ok(packing.into_iter().find(holds))
}

fn with_room(records: &dyn Records, bytes: u64, size: SectorSize, now_ms: u64) -> Result<SectorRecord, StoreError> {
    for mut record in sectors_in(records, &[Phase::Packing])? {
        if record.sector.fits(bytes) {
            if record.sector.pieces.is_empty() {
                // All its pieces were evicted: the timer begins anew.
                record.first_piece_ms = now_ms;
            }
            return Ok(record);
        }
    }
    let next = last_sector(records)?.checked_add(1).filter(|id| *id <= MAX_SECTOR_ID);
    let history = vec![PhaseStart {
        phase: Phase::Packing,
        at_ms: now_ms,
    }];
    Ok(SectorRecord {
        sector: Sector::new(next.ok_or(StoreError::NoSectorNumber)?, size),
        first_piece_ms: now_ms,
        history,
        retry_at_ms: None,
        rests: false,
    })
}
