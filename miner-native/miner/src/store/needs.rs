//! What is still needed: which sectors may go, and which pieces.

use super::codec::{number, parse_cid, write};
use super::deals::is_live;
use super::keeping::{self, is_wanted};
use super::tables::*;
use super::{is_own, MinerStore, PieceRecord, StoreError};
use crate::failpoint;
use cid::Cid;
use sealdrop_database::{with_prefix, Records};
use shared::sector::{Phase, Sector, SectorEffect};
use std::collections::BTreeSet;

impl MinerStore {
    /// Proven sectors for which nothing is owed any more: all their deals have ended or failed. One with a piece of the
    /// operator's own is kept.
    pub fn owed_to_nobody(&self) -> Result<BTreeSet<u64>, StoreError> {
        self.read(|records| {
            let mut found = BTreeSet::new();
            for record in keeping::sectors_in(records, &[Phase::Proving])? {
                let sector = record.sector;
                if sector.effect() == SectorEffect::Prove && is_free(records, &sector)? {
                    found.insert(sector.id);
                }
            }
            Ok(found)
        })
    }

    /// Sectors that the next proof-of-spacetime calls done.
    pub fn releasing(&self) -> Result<BTreeSet<u64>, StoreError> {
        let expired = self.sectors_in(&[Phase::Expired])?;
        let releasing = expired.iter().map(|record| &record.sector);
        let releasing = releasing.filter(|sector| sector.effect() == SectorEffect::ProveAndRelease);
        Ok(releasing.map(|sector| sector.id).collect())
    }

    /// Whether anybody still waits for the sector: a deal that is not over, or the operator with a piece of its own.
    pub fn is_wanted(&self, sector: &Sector) -> Result<bool, StoreError> {
        self.read(|records| Ok(!is_free(records, sector)?))
    }

    /// Whether an open deal, or a sector that lives with it as the operator's own, needs a piece.
    pub fn is_piece_wanted(&self, data: &Cid) -> Result<bool, StoreError> {
        self.read(|records| is_wanted(records, data))
    }

    /// Whether something that is not sealed yet needs the piece's unsealed copy: a deal, or a sector.
    pub fn is_copy_needed(&self, data: &Cid) -> Result<bool, StoreError> {
        let prefix = data.to_bytes();
        self.read(|records| {
            for (key, _) in with_prefix(records, WANTED, &prefix)? {
                let id = key.get(prefix.len()..).unwrap_or_default();
                let effect = records.get(LIVE, id)?;
                let effect = effect.as_ref().and_then(|value| value.first());
                if effect.is_some_and(|effect| EffectKind::UNSEALED.iter().any(|kind| *kind as u8 == *effect)) {
                    return Ok(true);
                }
            }
            for (key, _) in with_prefix(records, BY_PIECE, &prefix)? {
                let id = number(key.get(prefix.len()..).map(<[u8]>::to_vec));
                let found = keeping::sector(records, id)?;
                if found.is_some_and(|record| reads_copies(&record.sector)) {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// The pieces that are here and that nobody needs.
    pub fn unwanted_pieces(&self) -> Result<Vec<Cid>, StoreError> {
        let found = self.read(|records| Ok(with_prefix(records, UNWANTED, &[])?))?;
        found.iter().map(|(key, _)| parse_cid(UNWANTED, key)).collect()
    }

    /// A piece that was received whole.
    pub fn piece(&self, data: &Cid) -> Result<Option<PieceRecord>, StoreError> {
        let key = data.to_bytes();
        self.read(|records| super::codec::read(records, PIECES, &key))
    }

    /// All pieces that were received whole and not removed since.
    pub fn pieces(&self) -> Result<Vec<Cid>, StoreError> {
        let found = self.read(|records| Ok(with_prefix(records, PIECES, &[])?))?;
        found.iter().map(|(key, _)| parse_cid(PIECES, key)).collect()
    }

    /// Forgets a piece whose bytes were removed.
    pub fn forget_piece(&self, data: &Cid) -> Result<(), StoreError> {
        let key = data.to_bytes();
        self.write(|changes| {
            changes.remove(UNWANTED, &key)?;
            Ok(changes.remove(PIECES, &key)?)
        })?;
        self.tell_piece(data);
        failpoint::hit_failpoint("piece.forgotten");
        Ok(())
    }
}

/// The bytes of a piece's record.
pub(super) fn piece_bytes(size: u64, comm_p: shared::piece::Commitment) -> Result<Vec<u8>, StoreError> {
    write(PIECES, &PieceRecord { size, comm_p })
}

/// Whether sealing a sector may still read its pieces' unsealed copies.
pub(crate) fn reads_copies(sector: &Sector) -> bool {
    use SectorEffect::{DeleteFiles, Prove, ProveAndRelease, Rest};
    !matches!(sector.effect(), Prove | ProveAndRelease | DeleteFiles | Rest)
}

fn is_free(records: &dyn Records, sector: &Sector) -> Result<bool, StoreError> {
    for piece in &sector.pieces {
        if is_own(piece) || is_live(records, &piece.deal)? {
            return Ok(false);
        }
    }
    Ok(true)
}
