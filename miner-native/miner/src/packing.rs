//! Which pieces go into which sector, and when a sector is closed (step 9 of a deal).
//!
//! First fit, aligned (`shared`'s layout); a sector is closed when it is nearly full, when its timer is up, or at the
//! operator's word. A piece whose deal cannot be served in time gets no place, or loses it while the sector still packs. Called by
//! [`crate::sealing`], which drives what is closed, and by [`crate::network`] for proposals.

use crate::chain_access::ChainAccess;
use crate::settings::SettingsStore;
use crate::store::{is_own, EffectKind, MinerStore, SectorRecord, StoreError};
use shared::chain::{Epoch, Policy};
use shared::deal::MinerEffect;
use shared::piece::SectorSize;
use shared::sector::timing::{self, blocks_to_commit, SectorsBefore};
use shared::sector::{Phase, SectorInput};
use std::sync::Arc;
use std::time::Duration;

/// Longest wait of the packer between two ticks: a deal that was missed is found by then.
const TICK: Duration = Duration::from_secs(30);

/// What packing works with.
#[derive(Clone)]
pub struct Packing {
    pub sector_size: SectorSize,
    pub policy: Policy,
    pub store: MinerStore,
    pub settings: Arc<SettingsStore>,
    pub chain: ChainAccess,
}

/// Places received pieces and closes sectors that are nearly full or due. Returns the closed sectors, and how long nothing else
/// will be due.
pub(crate) fn place(service: &Packing, now: u64) -> Result<(Vec<u64>, Duration), StoreError> {
    evict(service)?;
    for (deal, _) in service.store.deals_to(&[EffectKind::Place])? {
        let sector = service.store.place(&deal, service.sector_size, now)?;
        tracing::info!(%deal, sector, "the piece has its place");
    }
    let (mut pause, mut closed) = (TICK, Vec::new());
    for record in service.store.unfinished_sectors()? {
        let id = record.sector.id;
        if record.sector.phase() == Phase::Packing {
            let due = record
                .first_piece_ms
                .saturating_add(service.settings.now().auto_seal_ms);
            // One whose pieces were all evicted waits for others. A first piece that is yet to come: the time of day was set back.
            let is_empty = record.sector.pieces.is_empty();
            let is_early = (record.first_piece_ms..due).contains(&now);
            if is_empty || (!record.sector.is_nearly_full() && is_early) {
                if !is_empty {
                    pause = pause.min(Duration::from_millis(due - now));
                }
                continue;
            }
            service.store.advance_sector(id, SectorInput::Close, now)?;
            tracing::info!(sector = id, pieces = record.sector.pieces.len(), "the sector is closed");
        }
        closed.push(id);
    }
    Ok((closed, pause))
}

/// Fails deals whose piece cannot be committed any more before they are given up, and takes the pieces of deals that are
/// over out of sectors that still pack: no sector is sealed for nobody, and none fails for one deal's sake.
fn evict(service: &Packing) -> Result<(), StoreError> {
    let height = service.chain.heads().borrow().height;
    let needed = blocks_to_seal(service, SectorsBefore::default())?;
    for (cid, record) in service.store.deals_to(&[EffectKind::Place])? {
        if let Some(reason) = record.deal.is_too_late(height, needed) {
            tracing::warn!(deal = %cid, reason, "the piece gets no place");
            service.store.evict(&cid, reason)?;
        }
    }
    let packing: Vec<SectorRecord> = service.store.sectors_in(&[Phase::Packing])?;
    let pieces = packing
        .iter()
        .flat_map(|record| record.sector.pieces.iter().map(|piece| (record.sector.id, piece)));
    for (sector, piece) in pieces.filter(|(_, piece)| !is_own(piece)) {
        let reason = match service.store.deal(&piece.deal)? {
            Some(record) if record.deal.effect() != MinerEffect::Rest => record.deal.is_too_late(height, needed),
            // A deal that is over may be forgotten already.
            _ => Some("the deal is over".to_owned()),
        };
        if let Some(reason) = reason {
            tracing::warn!(deal = %piece.deal, sector, reason, "the piece is evicted");
            service.store.evict(&piece.deal, reason)?;
        }
    }
    Ok(())
}

/// Why a deal that is proposed at `height` and ends at `end` makes no sense: its piece would be sealed after it is over, if it were
/// here now, behind the sectors that come before its own; `None` when it makes some.
pub(crate) fn too_short(service: &Packing, end: Epoch, height: Epoch) -> Result<Option<String>, StoreError> {
    let in_phases = |phases: &[Phase]| service.store.count_sectors_in(phases);
    let before = SectorsBefore::of(in_phases(&timing::ENCODED)?, in_phases(&timing::PROVEN)?);
    let needed = blocks_to_seal(service, before)?;
    Ok((height.plus(needed) >= end).then(|| timing::too_short(end, height, needed)))
}

/// Blocks from a sector's close to its commitment, by what the phases took the last time and what comes before it.
fn blocks_to_seal(service: &Packing, before: SectorsBefore) -> Result<u64, StoreError> {
    let encoding = blocks_for(service, &[Phase::PreCommit1, Phase::PreCommit2])?;
    let proving = blocks_for(service, &[Phase::Commit1, Phase::Commit2])?;
    Ok(blocks_to_commit(
        &service.policy,
        timing::sealing_time(encoding, proving, before),
    ))
}

/// Blocks that phases take, by what they took the last time; 0 for what nothing is known of.
pub(crate) fn blocks_for(service: &Packing, phases: &[Phase]) -> Result<u64, StoreError> {
    let mut ms = 0u64;
    for phase in phases {
        let estimate = service.store.estimate(service.sector_size, *phase)?;
        ms = ms.saturating_add(estimate.unwrap_or_default());
    }
    Ok(match service.chain.connected_network().block_time_ms {
        0 => 0,
        block_time => ms.div_ceil(block_time),
    })
}

/// Closes every sector that holds pieces and takes more.
pub(crate) fn close_all(service: &Packing, now: u64) -> Result<(), StoreError> {
    let packing: Vec<SectorRecord> = service.store.sectors_in(&[Phase::Packing])?;
    for record in packing.iter().filter(|record| !record.sector.pieces.is_empty()) {
        service
            .store
            .advance_sector(record.sector.id, SectorInput::Close, now)?;
    }
    Ok(())
}
