//! Ends deals, and lets go of what nothing is owed for any more (spec §7.24).
//!
//! A complete deal whose time is over and whose vouchers are redeemed has ended. A sector whose deals have all ended is
//! called done by the next proof-of-spacetime ([`crate::proving`] asks [`MinerStore::releasing`]); when the chain shows it no
//! more, its collateral is free, and its files and staged pieces are deleted. Deals, sectors and redemptions stay on
//! record. A sector that the chain dropped before its time takes its deals with it.
//!
//! [`MinerStore::releasing`]: crate::store::MinerStore::releasing

use crate::chain_access::{ChainAccess, ChainError};
use crate::clock::now_ms;
use crate::failpoint;
use crate::on_head::{on_heads, OnHead};
use crate::prover::{Prover, ProverError};
use crate::redeeming::{self, RedeemError, Redeeming, Standing};
use crate::staging::{Staging, StagingError};
use crate::store::{EffectKind, MinerStore, StoreError};
use crate::supervisor::{Lifeline, ServiceError};
use shared::chain::{Address, Epoch};
use shared::deal::{MinerDeal, MinerInput};
use shared::sector::failing::OPERATOR_WAIT_MS;
use shared::sector::{Phase, Sector, SectorEffect, SectorInput, SectorStage};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Deals whose time is over that are looked at at one head; the others wait for the next.
const PER_HEAD: usize = 64;

/// Blocks between two ticks: nothing presses at the end.
const EVERY: u64 = 5;

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

/// What ending deals works with.
#[derive(Clone)]
pub struct DealExpiry {
    pub address: Address,
    pub store: MinerStore,
    pub staging: Staging,
    pub chain: ChainAccess,
    pub prover: Arc<Prover>,
    pub redeeming: Redeeming,
}

impl DealExpiry {
    /// Ends deals until it is to stop.
    pub async fn run(self, lifeline: Lifeline) -> Result<(), ServiceError> {
        // What a failed deal or a crash left is cleared away once.
        if let Err(error) = tell_deals(&self).and_then(|()| clear(&self)) {
            tracing::warn!(%error, "staged pieces that nobody needs could not all be removed");
        }
        let (chain, next) = (self.chain.clone(), Epoch(0));
        on_heads(&mut Task { service: self, next }, &chain, &lifeline).await
    }
}

struct Task {
    service: DealExpiry,
    /// When something is to be done next.
    next: Epoch,
}

impl OnHead for Task {
    type Error = EndError;
    // Files of sectors may have to be deleted.
    const LONGEST_TICK: Duration = Duration::from_secs(600);
    const FAILED: &'static str = "deals could not be ended";

    async fn tick(&mut self, height: Epoch, _: &Lifeline) -> Result<(), EndError> {
        if height >= self.next {
            tick(&self.service, height).await?;
            self.next = height.plus(EVERY);
        }
        Ok(())
    }
}

/// Does what is due at `height`.
pub async fn tick(service: &DealExpiry, height: Epoch) -> Result<(), EndError> {
    end_deals(service, height).await?;
    give_up_deals(service, height)?;
    follow_sectors(service, height).await?;
    give_up_sectors(service, now_ms())?;
    remove_sectors(service).await?;
    clear(service)
}

/// Ends the deals whose time is over and whose vouchers were redeemed or are lost.
async fn end_deals(service: &DealExpiry, height: Epoch) -> Result<(), EndError> {
    for (cid, record) in &service.store.deals_past_end(height, PER_HEAD)? {
        let standing = redeeming::standing(&service.redeeming, &record.deal, height).await?;
        let books = service.store.redemptions(cid)?;
        let is_settled = redeeming::in_flight(&books).is_none();
        if let (Standing::Over { unpaid }, true) = (standing, is_settled) {
            service.store.advance_deal(cid, MinerInput::Ended { height })?;
            tracing::info!(deal = %cid, %height, %unpaid, "the deal has ended");
        }
    }
    Ok(())
}

/// Fails the deals that are not sealed long after their end: their clients give up soon, and must not be told otherwise.
fn give_up_deals(service: &DealExpiry, height: Epoch) -> Result<(), EndError> {
    let waiting = service.store.deals_to(&[EffectKind::Place, EffectKind::AwaitSector])?;
    let late = |deal: &MinerDeal| deal.deadline().is_some_and(|deadline| height >= deadline);
    for (cid, _) in waiting.iter().filter(|(_, record)| late(&record.deal)) {
        service.store.advance_deal(cid, MinerInput::Ended { height })?;
        tracing::warn!(deal = %cid, %height, "the deal's time is over and it is not sealed: given up");
    }
    Ok(())
}

/// Says which sectors are owed to nobody, and compares the committed ones with the chain's: one that it shows no more was
/// released, or lost before its time.
async fn follow_sectors(service: &DealExpiry, height: Epoch) -> Result<(), EndError> {
    for id in service.store.owed_to_nobody()? {
        service.store.advance_sector(id, SectorInput::DealsEnded, now_ms())?;
        tracing::info!(
            sector = id,
            "all deals of the sector have ended: the next proof is its last"
        );
    }
    let committed = service.store.sectors_in(&[Phase::Proving, Phase::Expired])?;
    let committed: Vec<_> = committed
        .into_iter()
        .map(|record| (record.sector.id, record.sector))
        .filter(|(_, sector)| matches!(sector.effect(), SectorEffect::Prove | SectorEffect::ProveAndRelease))
        .collect();
    if committed.is_empty() {
        return Ok(());
    }
    let Some(view) = service.chain.miner(&service.address).await? else {
        return Ok(());
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
        service.store.advance_sector(*id, input, now_ms())?;
    }
    if !gone.is_empty() {
        tell_deals(service)?;
    }
    Ok(())
}

/// Gives up sectors that were tried often enough and whose operator had its time, or that nobody waits for any more.
fn give_up_sectors(service: &DealExpiry, now: u64) -> Result<(), EndError> {
    let mut any = false;
    for record in service.store.sectors_in(&[Phase::Failed])? {
        if record.sector.effect() != SectorEffect::AwaitOperator {
            continue;
        }
        let is_over = now >= record.since_ms().saturating_add(OPERATOR_WAIT_MS);
        if is_over || !service.store.is_wanted(&record.sector)? {
            service
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
        tell_deals(service)?;
    }
    Ok(())
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
fn tell_deals(service: &DealExpiry) -> Result<(), EndError> {
    for record in service.store.sectors_in(&[Phase::Failed])? {
        for deal in service.store.settle(record.sector.id)? {
            tracing::error!(%deal, sector = record.sector.id, "the deal failed with its sector");
        }
    }
    Ok(())
}

/// Deletes the files of released sectors, and of those that are given up and never came to the chain: nobody was promised
/// their replicas. What was on the chain and is lost stays, for whoever wants to know why.
async fn remove_sectors(service: &DealExpiry) -> Result<(), EndError> {
    let over = [Phase::Released, Phase::Removed, Phase::Failed];
    for record in service.store.sectors_in(&over)? {
        let sector = record.sector;
        let id = sector.id;
        let is_released = sector.effect() == SectorEffect::DeleteFiles;
        // What other machines have of it in folders of their own is not seen here.
        let is_left_over = never_came(&sector) && (service.prover.has_files(id) || service.prover.shares_files());
        if is_released || is_left_over {
            // FAIL: the process may end half-way. THEN: the stage is the same, and what is left is removed again.
            service.prover.remove(id).await?;
            if is_released {
                service.store.advance_sector(id, SectorInput::FilesDeleted, now_ms())?;
            }
            tracing::info!(sector = id, "the sector's files are removed");
        }
        if is_released || sector.over().is_some() {
            // Deals of a lost sector that a crash left untold.
            service.store.settle(id)?;
            service.store.rest_sector(id, now_ms())?;
        }
    }
    Ok(())
}

/// Whether a sector was given up before it came to the chain.
fn never_came(sector: &Sector) -> bool {
    matches!(&sector.stage, SectorStage::Failed { phase, resume: None, .. } if *phase < Phase::Proving)
}

/// Removes staged pieces that neither an open deal nor a living sector needs.
fn clear(service: &DealExpiry) -> Result<(), EndError> {
    for data in service.store.unwanted_pieces()? {
        // A deal that was accepted since may be fetching it, or reading what is here.
        let Some(_claim) = service.staging.claim(data) else {
            continue;
        };
        if service.store.is_piece_wanted(&data)? {
            continue;
        }
        failpoint::hit_failpoint("piece.removing");
        service.staging.remove(&data)?;
        failpoint::hit_failpoint("piece.removed");
        service.store.forget_piece(&data)?;
        tracing::info!(piece = %data, "a piece that nobody needs any more is removed");
    }
    Ok(())
}
