//! Ends deals, and lets go of what nothing is owed for any more (spec §7.24).
//!
//! A complete deal whose time is over and whose vouchers are redeemed has ended. A sector whose deals have all ended is
//! called done by the next proof-of-spacetime ([`crate::proving`] asks [`MinerStore::releasing`]); when the chain shows it no
//! more, its collateral is free, and its files and staged pieces are deleted. Deals, sectors and redemptions stay on
//! record. A sector that the chain dropped before its time takes its deals with it.
//!
//! [`MinerStore::releasing`]: crate::store::MinerStore::releasing

use crate::chain_access::ChainError;
use crate::failpoint;
use crate::miner::{now_ms, Backoff, Miner};
use crate::prover::ProverError;
use crate::redeeming::{self, RedeemError, Standing};
use crate::staging::StagingError;
use crate::store::{EffectKind, StoreError};
use shared::chain::Epoch;
use shared::deal::{MinerDeal, MinerInput};
use shared::sector::failing::OPERATOR_WAIT_MS;
use shared::sector::{Phase, Sector, SectorEffect, SectorInput, SectorStage};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Deals whose time is over that are looked at at one head; the others wait for the next.
const PER_HEAD: usize = 64;

/// Blocks between two looks: nothing presses at the end.
const LOOK_EVERY: u64 = 5;

/// Blocks after its commit from which a sector that the chain does not show counts as gone: a receipt may be readable a
/// moment before the state that it belongs to.
const SETTLED: u64 = 5;

/// Why something was not ended or let go of; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Redeem(#[from] RedeemError),
    #[error(transparent)]
    Prover(#[from] ProverError),
    #[error(transparent)]
    Staging(#[from] StagingError),
}

/// Ends deals until the process ends.
pub fn start(miner: Arc<Miner>) {
    tokio::spawn(async move {
        let mut heads = miner.chain.heads();
        let mut backoff = Backoff::default();
        let mut next = Epoch(0);
        // What a failed deal or a crash left is cleared away once.
        if let Err(error) = tell_deals(&miner).and_then(|()| clear(&miner)) {
            tracing::warn!(%error, "staged pieces that nobody needs could not all be removed");
        }
        while heads.changed().await.is_ok() {
            let height = heads.borrow_and_update().height;
            if height < next {
                continue;
            }
            match look(&miner, height).await {
                Ok(()) => {
                    next = height.plus(LOOK_EVERY);
                    backoff = Backoff::default();
                }
                Err(error) => {
                    tracing::warn!(%error, "deals could not be ended; trying again");
                    backoff.pause().await;
                }
            }
        }
    });
}

/// Does what is due at `height`.
pub async fn look(miner: &Miner, height: Epoch) -> Result<(), EndError> {
    let ended = end_deals(miner, height).await? | give_up_deals(miner, height)?;
    let gone = follow_sectors(miner, height).await? | give_up_sectors(miner, now_ms())?;
    let removed = remove_sectors(miner).await?;
    if ended || gone || removed {
        clear(miner)?;
    }
    Ok(())
}

/// Ends the deals whose time is over and whose vouchers were redeemed or are lost.
async fn end_deals(miner: &Miner, height: Epoch) -> Result<bool, EndError> {
    let mut any = false;
    for (cid, record) in &miner.store.deals_past_end(height, PER_HEAD)? {
        let standing = redeeming::standing(miner, &record.deal, height).await?;
        let books = miner.store.redemptions(cid)?;
        let is_settled = redeeming::in_flight(&books).is_none();
        if let (Standing::Over { unpaid }, true) = (standing, is_settled) {
            miner.store.advance_deal(cid, MinerInput::Ended { height })?;
            tracing::info!(deal = %cid, %height, %unpaid, "the deal has ended");
            any = true;
        }
    }
    Ok(any)
}

/// Fails the deals that are not sealed long after their end: their clients give up soon, and must not be told otherwise.
fn give_up_deals(miner: &Miner, height: Epoch) -> Result<bool, EndError> {
    let waiting = miner.store.deals_to(&[EffectKind::Place, EffectKind::AwaitSector])?;
    let late = |deal: &MinerDeal| deal.deadline().is_some_and(|deadline| height >= deadline);
    let mut any = false;
    for (cid, _) in waiting.iter().filter(|(_, record)| late(&record.deal)) {
        miner.store.advance_deal(cid, MinerInput::Ended { height })?;
        tracing::warn!(deal = %cid, %height, "the deal's time is over and it is not sealed: given up");
        any = true;
    }
    Ok(any)
}

/// Says which sectors are owed to nobody, and compares the committed ones with the chain's: one that it shows no more was
/// released, or lost before its time.
async fn follow_sectors(miner: &Miner, height: Epoch) -> Result<bool, EndError> {
    for id in miner.store.owed_to_nobody()? {
        miner.store.advance_sector(id, SectorInput::DealsEnded, now_ms())?;
        tracing::info!(
            sector = id,
            "all deals of the sector have ended: the next proof is its last"
        );
    }
    let committed = miner.store.sectors_in(&[Phase::Proving, Phase::Expired])?;
    let committed: Vec<_> = committed
        .into_iter()
        .map(|record| (record.sector.id, record.sector))
        .filter(|(_, sector)| matches!(sector.effect(), SectorEffect::Prove | SectorEffect::ProveAndRelease))
        .collect();
    if committed.is_empty() {
        return Ok(false);
    }
    let Some(view) = miner.chain.miner(&miner.address).await? else {
        return Ok(false);
    };
    let shown: BTreeSet<u64> = view.sectors.iter().map(|sector| sector.id).collect();
    let gone = committed.into_iter().filter(|(id, _)| !shown.contains(id));
    let gone: Vec<_> = gone.filter(|(_, sector)| is_settled(sector, height)).collect();
    for (id, sector) in &gone {
        let input = match sector.effect() {
            SectorEffect::ProveAndRelease => SectorInput::Dropped { height },
            _ => SectorInput::Lost {
                reason: "the chain dropped it: it was slashed, given up or faulty for too long".to_owned(),
            },
        };
        tracing::info!(sector = id, ?input, "the chain shows the sector no more");
        miner.store.advance_sector(*id, input, now_ms())?;
    }
    if !gone.is_empty() {
        tell_deals(miner)?;
    }
    Ok(!gone.is_empty())
}

/// Gives up sectors that were tried often enough and whose operator had its time, or that nobody waits for any more.
fn give_up_sectors(miner: &Miner, now: u64) -> Result<bool, EndError> {
    let mut any = false;
    for record in miner.store.sectors_in(&[Phase::Failed])? {
        if record.sector.effect() != SectorEffect::AwaitOperator {
            continue;
        }
        let is_over = now >= record.since_ms().saturating_add(OPERATOR_WAIT_MS);
        if is_over || !miner.store.is_wanted(&record.sector)? {
            miner
                .store
                .advance_sector(record.sector.id, SectorInput::GivenUp, now)?;
            tracing::error!(
                sector = record.sector.id,
                "the failed sector is given up: nobody ordered another try"
            );
            any = true;
        }
    }
    if any {
        tell_deals(miner)?;
    }
    Ok(any)
}

/// Whether the chain's state at `height` surely shows the sector's commit.
fn is_settled(sector: &Sector, height: Epoch) -> bool {
    match &sector.stage {
        SectorStage::Proving { committed_at, .. } | SectorStage::Expired { committed_at, .. } => {
            height >= committed_at.plus(SETTLED)
        }
        _ => false,
    }
}

/// Fails the deals of lost sectors; also those that a crash left untold.
fn tell_deals(miner: &Miner) -> Result<(), EndError> {
    for record in miner.store.sectors_in(&[Phase::Failed])? {
        for deal in miner.store.settle(record.sector.id)? {
            tracing::error!(%deal, sector = record.sector.id, "the deal failed with its sector");
        }
    }
    Ok(())
}

/// Deletes the files of released sectors, and of those that are given up and never came to the chain: nobody was promised
/// their replicas. What was on the chain and is lost stays, for whoever wants to know why.
async fn remove_sectors(miner: &Miner) -> Result<bool, EndError> {
    let mut any = false;
    for record in miner.store.sectors_in(&[Phase::Released, Phase::Failed])? {
        let sector = record.sector;
        let id = sector.id;
        let is_released = sector.effect() == SectorEffect::DeleteFiles;
        let is_left_over = never_came(&sector) && miner.prover.has_files(id);
        if !is_released && !is_left_over {
            continue;
        }
        // FAIL: the process may end half-way. THEN: the stage is the same, and what is left is removed again.
        miner.prover.remove(id).await?;
        if is_released {
            miner.store.advance_sector(id, SectorInput::FilesDeleted, now_ms())?;
        }
        tracing::info!(sector = id, "the sector's files are removed");
        any = true;
    }
    Ok(any)
}

/// Whether a sector was given up before it came to the chain.
fn never_came(sector: &Sector) -> bool {
    matches!(&sector.stage, SectorStage::Failed { phase, resume: None, .. } if *phase < Phase::Proving)
}

/// Removes staged pieces that neither an open deal nor a living sector needs.
fn clear(miner: &Miner) -> Result<(), EndError> {
    for data in miner.store.unwanted_pieces()? {
        failpoint::reach("piece.removing");
        miner.staging.remove(&data)?;
        failpoint::reach("piece.removed");
        miner.store.forget_piece(&data)?;
        tracing::info!(piece = %data, "a piece that nobody needs any more is removed");
    }
    Ok(())
}
