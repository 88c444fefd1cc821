//! Pieces into sectors, and out of them again while they pack: deal and sector always change together.

use super::codec::{number, settled, write};
use super::{PhaseStart, PieceRecord, SectorRecord, Store, StoreError};
use crate::failpoint;
use cid::Cid;
use shared::deal::miner::Unexpected;
use shared::deal::{MinerEffect, MinerInput, MinerStage};
use shared::piece::SectorSize;
use shared::sector::{Phase, Sector, SectorEffect, SectorInput, SectorPiece};
use sled::transaction::Transactional;

impl Store {
    /// Places a received piece in the first sector with room, or in a new one: deal and sector change together.
    /// Returns the sector's number; for a deal that was placed before, the same again.
    pub fn place(&self, cid: &Cid, size: SectorSize, now_ms: u64) -> Result<u64, StoreError> {
        let _turn = self.turn();
        failpoint::reach("sector.placing");
        let mut record = self.deal(cid)?.ok_or(StoreError::UnknownDeal(*cid))?;
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
        let mut target = self.with_room(piece.size, size, now_ms)?;
        let sector = target.sector.id;
        target.sector.handle(SectorInput::PieceAdded(piece))?;
        let handled = record.deal.handle(MinerInput::Placed { sector });
        handled.map_err(|unexpected| StoreError::Deal { deal: *cid, unexpected })?;
        self.keep_with(&target, &self.deals, cid, &write("deals", &record)?)?;
        self.flush_deal(cid)?;
        failpoint::reach("sector.placed");
        Ok(sector)
    }

    /// Fails a deal whose piece cannot be sealed in time, and takes the piece out of its sector if that still packs: both
    /// change together. A deal that is over already only makes room.
    pub fn evict(&self, cid: &Cid, reason: String) -> Result<(), StoreError> {
        let _turn = self.turn();
        let mut record = self.deal(cid)?.ok_or(StoreError::UnknownDeal(*cid))?;
        let mut sector = match record.deal.sector() {
            Some(id) => self.sector(id)?,
            None => self.packing_with(cid)?,
        };
        if record.deal.effect() != MinerEffect::Rest {
            let handled = record.deal.handle(MinerInput::Evicted { reason });
            handled.map_err(|unexpected| StoreError::Deal { deal: *cid, unexpected })?;
        }
        if let Some(sector) = &mut sector {
            sector.sector.handle(SectorInput::PieceEvicted { deal: *cid })?;
        }
        let deal_bytes = write("deals", &record)?;
        let sector = sector
            .map(|sector| Ok::<_, StoreError>((sector.sector.id, write("sectors", &sector)?)))
            .transpose()?;
        (&self.deals, &self.open, &self.sectors)
            .transaction(|(deals, open, sectors)| {
                deals.insert(cid.to_bytes(), deal_bytes.as_slice())?;
                open.remove(cid.to_bytes())?;
                if let Some((id, bytes)) = &sector {
                    sectors.insert(&id.to_be_bytes(), bytes.as_slice())?;
                }
                Ok(())
            })
            .map_err(settled)?;
        self.flush_deal(cid)
    }

    /// The sector that still packs and holds the piece of a deal.
    fn packing_with(&self, deal: &Cid) -> Result<Option<SectorRecord>, StoreError> {
        for record in self.sectors() {
            let record = record?;
            let holds = record.sector.pieces.iter().any(|piece| piece.deal == *deal);
            if holds && record.sector.phase() == Phase::Packing {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Places a piece of the operator's own, whose bytes are staged. Returns its sector's number; the same again for a
    /// piece that lies in a sector already.
    pub fn add_piece(&self, piece: SectorPiece, size: SectorSize, now_ms: u64) -> Result<u64, StoreError> {
        let _turn = self.turn();
        for record in self.sectors() {
            let sector = record?.sector;
            if sector.effect() != SectorEffect::Rest && sector.pieces.iter().any(|known| known.deal == piece.deal) {
                return Ok(sector.id);
            }
        }
        let mut target = self.with_room(piece.size, size, now_ms)?;
        let sector = target.sector.id;
        let (data, record) = (
            piece.data_cid,
            PieceRecord {
                size: piece.size,
                comm_p: piece.comm_p,
            },
        );
        target.sector.handle(SectorInput::PieceAdded(piece))?;
        self.keep_with(&target, &self.pieces, &data, &write("pieces", &record)?)?;
        self.flush()?;
        Ok(sector)
    }

    /// Keeps a sector that got a piece, which may be a new sector, together with what another tree says of the piece. The
    /// caller flushes.
    fn keep_with(&self, target: &SectorRecord, tree: &sled::Tree, key: &Cid, value: &[u8]) -> Result<(), StoreError> {
        let (id, sector) = (target.sector.id, write("sectors", target)?);
        (tree, &self.sectors, &self.counters)
            .transaction(|(tree, sectors, counters)| {
                tree.insert(key.to_bytes(), value)?;
                sectors.insert(&id.to_be_bytes(), sector.as_slice())?;
                let last = number(counters.get("sector")?).max(id);
                counters.insert("sector", &last.to_be_bytes())?;
                Ok(())
            })
            .map_err(settled)
    }

    fn with_room(&self, bytes: u64, size: SectorSize, now_ms: u64) -> Result<SectorRecord, StoreError> {
        for record in self.sectors() {
            let mut record = record?;
            if record.sector.fits(bytes) {
                if record.sector.pieces.is_empty() {
                    // All its pieces were evicted: the timer begins anew.
                    record.first_piece_ms = now_ms;
                }
                return Ok(record);
            }
        }
        let id = number(self.counters.get("sector")?) + 1;
        let history = vec![PhaseStart {
            phase: Phase::Packing,
            at_ms: now_ms,
        }];
        Ok(SectorRecord {
            sector: Sector::new(id, size),
            first_piece_ms: now_ms,
            history,
            retry_at_ms: None,
        })
    }
}
