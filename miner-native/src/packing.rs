//! Which pieces go into which sector, and when a sector is closed (step 9 of a deal).
//!
//! First fit, aligned (`shared`'s layout); a sector is closed when it is nearly full, when its timer is up, or at the
//! operator's word. A piece whose deal cannot be served in time gets no place, or loses it while the sector still packs. Called by
//! [`crate::sealing`], which drives what is closed, and by [`crate::network`] for proposals.

use crate::miner::Miner;
use crate::store::{is_own, EffectKind, SectorRecord, StoreError};
use shared::chain::Epoch;
use shared::deal::{MinerDeal, MinerEffect, MinerStage, SignedProposal};
use shared::piece::Commitment;
use shared::sector::timing::blocks_to_commit;
use shared::sector::{Phase, SectorInput};
use std::time::Duration;

/// Longest wait of the packer between two looks: a deal that was missed is found by then.
const LOOK: Duration = Duration::from_secs(30);

/// Places received pieces and closes sectors that are nearly full or due. Returns the closed sectors, and how long nothing else
/// will be due.
pub(crate) fn place(miner: &Miner, now: u64) -> Result<(Vec<u64>, Duration), StoreError> {
    evict(miner)?;
    for (deal, _) in miner.store.deals_to(&[EffectKind::Place])? {
        let sector = miner.store.place(&deal, miner.sector_size, now)?;
        tracing::info!(%deal, sector, "the piece has its place");
    }
    let (mut pause, mut closed) = (LOOK, Vec::new());
    for record in miner.store.unfinished_sectors()? {
        let id = record.sector.id;
        if record.sector.phase() == Phase::Packing {
            let due = record.first_piece_ms.saturating_add(miner.settings.now().auto_seal_ms);
            // One whose pieces were all evicted waits for others.
            let is_empty = record.sector.pieces.is_empty();
            if is_empty || (!record.sector.is_nearly_full() && now < due) {
                if !is_empty {
                    pause = pause.min(Duration::from_millis(due - now));
                }
                continue;
            }
            miner.store.advance_sector(id, SectorInput::Close, now)?;
            tracing::info!(sector = id, pieces = record.sector.pieces.len(), "the sector is closed");
        }
        closed.push(id);
    }
    Ok((closed, pause))
}

/// Fails deals whose piece cannot be committed any more before they are given up, and takes the pieces of deals that are
/// over out of sectors that still pack: no sector is sealed for nobody, and none fails for one deal's sake.
fn evict(miner: &Miner) -> Result<(), StoreError> {
    let height = miner.chain.heads().borrow().height;
    let needed = blocks_to_seal(miner)?;
    for (cid, record) in miner.store.deals_to(&[EffectKind::Place])? {
        if let Some(reason) = record.deal.is_too_late(height, needed) {
            tracing::warn!(deal = %cid, reason, "the piece gets no place");
            miner.store.evict(&cid, reason)?;
        }
    }
    let packing: Vec<SectorRecord> = miner.store.sectors_in(&[Phase::Packing])?;
    let pieces = packing
        .iter()
        .flat_map(|record| record.sector.pieces.iter().map(|piece| (record.sector.id, piece)));
    for (sector, piece) in pieces.filter(|(_, piece)| !is_own(piece)) {
        let reason = match miner.store.deal(&piece.deal)? {
            Some(record) if record.deal.effect() != MinerEffect::Rest => record.deal.is_too_late(height, needed),
            // A deal that is over may be forgotten already.
            _ => Some("the deal is over".to_owned()),
        };
        if let Some(reason) = reason {
            tracing::warn!(deal = %piece.deal, sector, reason, "the piece is evicted");
            miner.store.evict(&piece.deal, reason)?;
        }
    }
    Ok(())
}

/// Why a proposal's piece could not be sealed before its deal is given up, if it were here now; `None` when it can.
pub(crate) fn too_late(miner: &Miner, signed: &SignedProposal, height: Epoch) -> Result<Option<String>, StoreError> {
    let mut deal = MinerDeal::accepted(signed.clone(), height);
    // What holds for a piece that is here: one that is not has less time.
    deal.stage = MinerStage::Staged {
        comm_p: Commitment([0; 32]),
        sector: 0,
    };
    let reason = deal.is_too_late(height, blocks_to_seal(miner)?);
    Ok(reason.map(|reason| format!("{reason}: propose a longer deal")))
}

/// Blocks from a sector's close to its commitment, by what the phases took the last time.
fn blocks_to_seal(miner: &Miner) -> Result<u64, StoreError> {
    let phases = [Phase::PreCommit1, Phase::PreCommit2, Phase::Commit1, Phase::Commit2];
    let sealing = blocks_for(miner, &phases)?;
    Ok(blocks_to_commit(&miner.policy, sealing))
}

/// Blocks that phases take, by what they took the last time; 0 for what nothing is known of.
pub(crate) fn blocks_for(miner: &Miner, phases: &[Phase]) -> Result<u64, StoreError> {
    let mut ms = 0u64;
    for phase in phases {
        let estimate = miner.store.estimate(miner.sector_size, *phase)?;
        ms = ms.saturating_add(estimate.unwrap_or_default());
    }
    Ok(match miner.chain.connected_network().block_time_ms {
        0 => 0,
        block_time => ms.div_ceil(block_time),
    })
}

/// Closes every sector that holds pieces and takes more.
pub(crate) fn close_all(miner: &Miner, now: u64) -> Result<(), StoreError> {
    let packing: Vec<SectorRecord> = miner.store.sectors_in(&[Phase::Packing])?;
    for record in packing.iter().filter(|record| !record.sector.pieces.is_empty()) {
        miner.store.advance_sector(record.sector.id, SectorInput::Close, now)?;
    }
    Ok(())
}
