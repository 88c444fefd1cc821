//! Carries sectors from their first piece to their commitment on the chain (steps 9 to 12 of a deal).
//!
//! What comes next is decided by [`shared::sector::Sector`]; this performs it and reports back, persisting before every
//! step. A restart goes on from the stage that is stored. Next: [`crate::proving`], for as long as the sector lives.

use crate::chain_access::ChainError;
use crate::miner::{now_ms, Backoff, Miner};
use crate::prover::ProverError;
use crate::store::{SectorRecord, StoreError};
use shared::chain::randomness::{draw, Purpose};
use shared::chain::{calls, Epoch};
use shared::deal::MinerEffect;
use shared::sector::{Phase, Sealed, Sector, SectorEffect, SectorInput};
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Longest wait of the packer between two looks: a deal that was missed is found by then.
const LOOK: Duration = Duration::from_secs(30);
/// Rest after a failed step, so that a cause that passes (a full disk, say) can pass.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// Exit codes of a pre-commit or commit that mean: the replica's ticket or pre-commit is of no use any more
/// ([`shared::chain::actors::miner::MinerError`]: not pre-committed, other commitments, expired, ticket out of range).
const STALE: [u64; 4] = [47, 48, 50, 51];

/// Sectors between their ticket and their commitment at once: while one is proven the next is encoded. With more, tickets
/// and pre-commits would grow too old in the queue for the proof.
pub(crate) const SEALING_AT_ONCE: usize = 2;

/// Why a step was not done; it is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error("the chain does not know this miner: is this its network?")]
    UnknownMiner,
    #[error("the chain shows no pre-commit of sector {sector}")]
    NoPreCommit { sector: u64 },
}

/// Starts sealing whatever is unfinished, and places new pieces, until the process ends.
pub fn start(miner: Arc<Miner>) {
    let packer = Packer {
        miner,
        driven: BTreeSet::new(),
        places: Arc::new(Semaphore::new(SEALING_AT_ONCE)),
    };
    tokio::spawn(packer.run());
}

/// Puts pieces into sectors, closes sectors, and sees that each closed one is driven.
struct Packer {
    miner: Arc<Miner>,
    /// Sectors that have their task already.
    driven: BTreeSet<u64>,
    /// Given to sectors in the order of their numbers.
    places: Arc<Semaphore>,
}

impl Packer {
    async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            match self.look() {
                Ok(pause) => {
                    backoff = Backoff::default();
                    tokio::select! {
                        () = self.miner.received.notified() => {}
                        () = self.miner.seal_now.notified() => self.close_all(),
                        () = tokio::time::sleep(pause) => {}
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "pieces cannot be placed; trying again");
                    backoff.pause().await;
                }
            }
        }
    }

    /// Does what is due; returns how long nothing will be.
    fn look(&mut self) -> Result<Duration, StoreError> {
        let (ready, pause) = place(&self.miner, now_ms())?;
        for id in ready {
            if self.driven.insert(id) {
                tokio::spawn(drive(self.miner.clone(), id, self.places.clone()));
            }
        }
        Ok(pause)
    }

    /// Closes what is being packed, at the operator's wish.
    fn close_all(&self) {
        if let Err(error) = close_all(&self.miner, now_ms()) {
            tracing::error!(%error, "what is staged cannot be sealed now");
        }
    }
}

/// Places received pieces and closes sectors that are full or due. Returns the closed sectors, and how long nothing else
/// will be due.
pub(crate) fn place(miner: &Miner, now: u64) -> Result<(Vec<u64>, Duration), StoreError> {
    for (deal, _) in miner.store.deals_to(|effect| effect == MinerEffect::Place)? {
        let sector = miner.store.place(&deal, miner.sector_size, now)?;
        tracing::info!(%deal, sector, "the piece has its place");
    }
    let (mut pause, mut closed) = (LOOK, Vec::new());
    let sectors: Vec<SectorRecord> = miner.store.sectors().collect::<Result<_, _>>()?;
    for record in sectors {
        let id = record.sector.id;
        if record.sector.phase() == Phase::Packing {
            let due = record.first_piece_ms.saturating_add(miner.settings.now().auto_seal_ms);
            // A sector is full when not even a byte fits (spec §8.2).
            if record.sector.fits(1) && now < due {
                pause = pause.min(Duration::from_millis(due - now));
                continue;
            }
            miner.store.advance_sector(id, SectorInput::Close, now)?;
            tracing::info!(sector = id, pieces = record.sector.pieces.len(), "the sector is closed");
        }
        closed.push(id);
    }
    Ok((closed, pause))
}

/// Closes every sector that takes pieces.
pub(crate) fn close_all(miner: &Miner, now: u64) -> Result<(), StoreError> {
    let sectors: Vec<SectorRecord> = miner.store.sectors().collect::<Result<_, _>>()?;
    for record in sectors.iter().filter(|record| record.sector.phase() == Phase::Packing) {
        miner.store.advance_sector(record.sector.id, SectorInput::Close, now)?;
    }
    Ok(())
}

/// Carries one sector to its end.
async fn drive(miner: Arc<Miner>, id: u64, places: Arc<Semaphore>) {
    // Never closed: the packer keeps it.
    let _place = places.acquire().await;
    let mut backoff = Backoff::default();
    loop {
        match step(&miner, id).await {
            Ok(true) => backoff = Backoff::default(),
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(sector = id, %error, "a step of sealing could not be done; trying again");
                backoff.pause().await;
            }
        }
    }
}

/// Performs the sector's effect and persists what came of it; false when there is nothing more to do.
pub(crate) async fn step(miner: &Miner, id: u64) -> Result<bool, StepError> {
    let record = miner.store.sector(id)?.ok_or(StoreError::UnknownSector(id))?;
    let sector = &record.sector;
    let effect = sector.effect();
    if effect == SectorEffect::Pack || sector_is_done(&effect) {
        finish(miner, sector).await?;
        return Ok(false);
    }
    let began = std::time::Instant::now();
    if matches!(effect, SectorEffect::Commit2 { .. }) {
        let estimate = miner.store.estimate(sector.size, Phase::Commit2)?;
        let last_time = estimate.map_or("no estimate yet".into(), |ms| format!("{} s the last time", ms / 1000));
        tracing::info!(sector = id, last_time, "the proof is being computed");
    }
    let input = perform(miner, sector, effect).await?;
    let failed = matches!(input, SectorInput::StepFailed { .. } | SectorInput::SealExpired { .. });
    let after = miner.store.advance_sector(id, input, now_ms())?;
    let took = began.elapsed().as_secs_f64();
    let (from, to) = (sector.phase(), after.sector.phase());
    if failed {
        let reason = after.sector.last_error.as_deref().unwrap_or_default();
        tracing::warn!(sector = id, ?from, ?to, reason, "a step of sealing failed");
        tokio::time::sleep(AFTER_FAILURE).await;
    } else {
        tracing::info!(sector = id, ?from, ?to, seconds = format!("{took:.1}"), "sealing");
    }
    Ok(true)
}

/// Whether sealing has nothing more to do.
fn sector_is_done(effect: &SectorEffect) -> bool {
    use SectorEffect::{DeleteFiles, Prove, ProveAndRelease, Rest};
    matches!(effect, Prove | ProveAndRelease | DeleteFiles | Rest)
}

/// Tells the deals, and clears away what only sealing needed.
async fn finish(miner: &Miner, sector: &Sector) -> Result<(), StepError> {
    for deal in miner.store.settle(sector.id)? {
        tracing::info!(%deal, sector = sector.id, phase = ?sector.phase(), "the deal's sector is done");
    }
    if let (Phase::Proving, Some(sealed)) = (sector.phase(), sector.sealed()) {
        miner.chain.settle(&pre_commit_purpose(sector, sealed))?;
        miner.chain.settle(&commit_purpose(sector, sealed))?;
        if let Err(error) = miner.prover.clear_cache(sector.id).await {
            tracing::warn!(sector = sector.id, %error, "the sealing cache stays on the disk");
        }
    }
    Ok(())
}

async fn perform(miner: &Miner, sector: &Sector, effect: SectorEffect) -> Result<SectorInput, StepError> {
    Ok(match effect {
        SectorEffect::Pack
        | SectorEffect::Prove
        | SectorEffect::ProveAndRelease
        | SectorEffect::DeleteFiles
        | SectorEffect::Rest => SectorInput::Close,
        SectorEffect::DrawTicket => draw_ticket(miner).await?,
        SectorEffect::PreCommit1 { ticket } => {
            let proved = miner.prover.pre_commit1(sector, ticket, &miner.staging);
            done(proved, |output| SectorInput::PreCommit1Done { output }).await
        }
        SectorEffect::PreCommit2 { output } => {
            let ticket = ticket_of(sector);
            let proved = miner.prover.pre_commit2(sector, ticket, output);
            done(proved, |commitments| SectorInput::PreCommit2Done {
                comm_d: commitments.comm_d,
                comm_r: commitments.comm_r,
                comm_c: commitments.comm_c,
            })
            .await
        }
        SectorEffect::SubmitPreCommit { sealed } => submit_pre_commit(miner, sector, &sealed).await?,
        SectorEffect::AwaitSeed { seed_epoch } => await_seed(miner, seed_epoch).await?,
        SectorEffect::Commit1 { sealed, seed } => {
            done(miner.prover.commit1(sector, &sealed, seed), |output| {
                SectorInput::Commit1Done { output }
            })
            .await
        }
        SectorEffect::Commit2 { output } => {
            done(miner.prover.commit2(sector.id, output), |proof| {
                SectorInput::Commit2Done { proof }
            })
            .await
        }
        SectorEffect::SubmitCommit { sealed, proof } => submit_commit(miner, sector, &sealed, &proof).await?,
    })
}

/// The input that a step of the prover gives.
async fn done<T>(
    step: impl Future<Output = Result<T, ProverError>>,
    input: impl FnOnce(T) -> SectorInput,
) -> SectorInput {
    match step.await {
        Ok(result) => input(result),
        Err(error) => SectorInput::StepFailed {
            reason: error.to_string(),
        },
    }
}

fn ticket_of(sector: &Sector) -> [u8; 32] {
    match &sector.stage {
        shared::sector::SectorStage::PreCommit1 { ticket, .. }
        | shared::sector::SectorStage::PreCommit2 { ticket, .. } => *ticket,
        // Asked for in these two stages only; zeros would fail the check that follows encoding.
        _ => [0; 32],
    }
}

/// The ticket comes from the block before the head: the head itself may be only a moment old.
async fn draw_ticket(miner: &Miner) -> Result<SectorInput, StepError> {
    let head = miner.chain.head().await?.height;
    let epoch = Epoch(head.0.saturating_sub(1));
    let beacon = miner.chain.beacon(epoch).await?;
    Ok(SectorInput::TicketDrawn {
        epoch,
        ticket: draw(Purpose::SealTicket, &beacon, &miner.address),
    })
}

async fn await_seed(miner: &Miner, seed_epoch: Epoch) -> Result<SectorInput, StepError> {
    let mut heads = miner.chain.heads();
    // An error means that the chain adapter is gone; asking the chain then says so.
    let _ = heads.wait_for(|head| head.height >= seed_epoch).await;
    let beacon = miner.chain.beacon(seed_epoch).await?;
    Ok(SectorInput::SeedDrawn {
        seed: draw(Purpose::SealSeed, &beacon, &miner.address),
    })
}

/// What the message of a sector's pre-commit is for, in the chain adapter's outbox.
pub(crate) fn pre_commit_purpose(sector: &Sector, sealed: &Sealed) -> String {
    format!("sector-{}-precommit-{}", sector.id, sealed.ticket_epoch)
}

/// What the message of a sector's commit is for.
pub(crate) fn commit_purpose(sector: &Sector, sealed: &Sealed) -> String {
    format!("sector-{}-commit-{}", sector.id, sealed.ticket_epoch)
}

async fn submit_pre_commit(miner: &Miner, sector: &Sector, sealed: &Sealed) -> Result<SectorInput, StepError> {
    let purpose = pre_commit_purpose(sector, sealed);
    let call = calls::pre_commit_sector(
        &miner.address,
        sector.id,
        &sealed.comm_d,
        &sealed.comm_r,
        sealed.ticket_epoch,
    );
    if let Err(error) = miner.chain.call(&purpose, call).await {
        return failed_message(miner, &purpose, error);
    }
    let view = miner
        .chain
        .miner(&miner.address)
        .await?
        .ok_or(StepError::UnknownMiner)?;
    let ours = view
        .pre_commits
        .iter()
        .find(|pre| pre.id == sector.id && pre.comm_r == sealed.comm_r);
    let seed_epoch = ours.ok_or(StepError::NoPreCommit { sector: sector.id })?.seed_epoch;
    Ok(SectorInput::PreCommitted { seed_epoch })
}

async fn submit_commit(
    miner: &Miner,
    sector: &Sector,
    sealed: &Sealed,
    proof: &[u8],
) -> Result<SectorInput, StepError> {
    let purpose = commit_purpose(sector, sealed);
    let Sealed {
        comm_d, comm_r, comm_c, ..
    } = sealed;
    let call = calls::commit_sector(&miner.address, sector.id, comm_d, comm_r, comm_c, proof);
    match miner.chain.call(&purpose, call).await {
        Ok((message, receipt)) => Ok(SectorInput::Committed {
            message,
            height: receipt.height,
        }),
        Err(error) => failed_message(miner, &purpose, error),
    }
}

/// What a message that had no effect means for the sector. Trouble in reaching the chain means nothing: try again.
fn failed_message(miner: &Miner, purpose: &str, error: ChainError) -> Result<SectorInput, StepError> {
    let reason = error.to_string();
    let stale = match error {
        ChainError::Failed { exit_code, .. } => STALE.contains(&exit_code),
        ChainError::Dropped { .. } => false,
        other => return Err(other.into()),
    };
    miner.chain.forget(purpose)?;
    Ok(match stale {
        true => SectorInput::SealExpired { reason },
        false => SectorInput::StepFailed { reason },
    })
}
