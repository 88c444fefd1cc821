//! What is still needed: which sectors may go, and which pieces.

use super::codec::parse_cid;
use super::{is_own, Store, StoreError};
use crate::failpoint;
use cid::Cid;
use shared::deal::MinerEffect;
use shared::sector::{Sector, SectorEffect};
use std::collections::BTreeSet;

impl Store {
    /// Proven sectors for which nothing is owed any more: all their deals have ended or failed. One with a piece of the
    /// operator's own is kept.
    pub fn owed_to_nobody(&self) -> Result<BTreeSet<u64>, StoreError> {
        let mut found = BTreeSet::new();
        for record in self.sectors() {
            let sector = record?.sector;
            if sector.effect() == SectorEffect::Prove && self.is_free(&sector)? {
                found.insert(sector.id);
            }
        }
        Ok(found)
    }

    /// Sectors that the next proof-of-spacetime calls done.
    pub fn releasing(&self) -> Result<BTreeSet<u64>, StoreError> {
        let mut found = BTreeSet::new();
        for record in self.sectors() {
            let sector = record?.sector;
            if sector.effect() == SectorEffect::ProveAndRelease {
                found.insert(sector.id);
            }
        }
        Ok(found)
    }

    /// Whether anybody still waits for the sector: a deal that is not over, or the operator with a piece of its own.
    pub fn is_wanted(&self, sector: &Sector) -> Result<bool, StoreError> {
        Ok(!self.is_free(sector)?)
    }

    fn is_free(&self, sector: &Sector) -> Result<bool, StoreError> {
        for piece in &sector.pieces {
            let deal = self.deal(&piece.deal)?;
            if is_own(piece) || deal.is_some_and(|record| record.deal.effect() != MinerEffect::Rest) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Data of open deals, and of the operator's pieces in sectors that live.
    pub fn wanted_pieces(&self) -> Result<BTreeSet<Cid>, StoreError> {
        let open = self.deals_to(|effect| effect != MinerEffect::Rest)?;
        let mut wanted: BTreeSet<Cid> = open
            .iter()
            .map(|(_, record)| record.deal.proposal.proposal.piece_ref)
            .collect();
        for record in self.sectors() {
            let sector = record?.sector;
            if !matches!(sector.effect(), SectorEffect::Rest | SectorEffect::DeleteFiles) {
                wanted.extend(
                    sector
                        .pieces
                        .iter()
                        .filter(|piece| is_own(piece))
                        .map(|piece| piece.data_cid),
                );
            }
        }
        Ok(wanted)
    }

    /// All pieces that were received whole and not removed since.
    pub fn pieces(&self) -> Result<Vec<Cid>, StoreError> {
        self.pieces
            .iter()
            .keys()
            .map(|key| parse_cid("pieces", &key?))
            .collect()
    }

    /// Forgets a piece whose bytes were removed.
    pub fn forget_piece(&self, data: &Cid) -> Result<(), StoreError> {
        self.pieces.remove(data.to_bytes())?;
        self.flush()?;
        failpoint::reach("piece.forgotten");
        Ok(())
    }
}
