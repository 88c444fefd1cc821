//! Carries sectors from their first piece to their commitment on the chain (steps 9 to 12 of a deal).
//!
//! What comes next is decided by [`shared::sector::Sector`]; this performs it and reports back, persisting before every
//! step. A restart goes on from the stage that is stored. Next: [`crate::proving`], for as long as the sector lives.

mod checking;
mod submitting;

pub(crate) use submitting::{commit_purpose, pre_commit_purpose};

use crate::chain_access::{ChainAccess, ChainError};
use crate::clock::now_ms;
use crate::coming::Coming;
use crate::failpoint;
use crate::packing::{self, Packing};
use crate::prover::{Prover, ProverError};
use crate::staging::Staging;
use crate::store::{is_own, MinerStore, StoreError};
use crate::supervisor::{Backoff, Lifeline, ServiceError};
use checking::{check_pieces, check_proof, is_lost, unproven};
use cid::Cid;
use shared::chain::randomness::{draw, Purpose};
use shared::chain::{Address, Epoch, Policy};
use shared::ports::verifier::{ProofVerifier, VerifierFault};
use shared::sector::timing::check_ticket;
use shared::sector::{pause_left_ms, Phase, Sector, SectorEffect, SectorInput, SectorStage};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use submitting::{submit_commit, submit_pre_commit};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tracing::Instrument;

/// Exit codes of a pre-commit or commit that mean: the replica's ticket or pre-commit is of no use any more
/// ([`shared::chain::actors::miner::MinerError`]: not pre-committed, other commitments, expired, ticket out of range).
const STALE: [u64; 4] = [47, 48, 50, 51];

/// Deals that each line of a sector's sealing names; `packing` has a line for every one of them.
const DEALS_NAMED: usize = 4;
/// How long a sector that waits for a piece gives its place to others.
const PIECE_COMES: Duration = Duration::from_secs(10);

/// What health calls the placing of pieces.
const PLACING: &str = "placing";

/// Why a step was not done; it is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Verifier(#[from] VerifierFault),
    #[error("the chain does not know this miner: is this its network?")]
    UnknownMiner,
    #[error("the archive brings back piece {piece} of sector {sector}, which is sealed then")]
    PieceComes { sector: u64, piece: Cid },
    #[error("the chain shows no pre-commit of sector {sector}")]
    NoPreCommit { sector: u64 },
    #[error(transparent)]
    Prover(#[from] ProverError),
}

/// What sealing works with.
#[derive(Clone)]
pub struct Sealing {
    pub address: Address,
    pub policy: Policy,
    pub store: MinerStore,
    pub staging: Staging,
    /// Signs as the miner's worker.
    pub chain: ChainAccess,
    pub prover: Arc<Prover>,
    /// Checks our own proofs before they are sent.
    pub verifier: Arc<dyn ProofVerifier + Send + Sync>,
    pub packing: Packing,
    pub wake: Arc<SealingWake>,
    /// What the archive brings back.
    pub coming: Coming,
}

/// What wakes sealing before its time.
#[derive(Debug, Default)]
pub struct SealingWake {
    /// A piece was received, or a sector is to be tried again.
    pub piece_arrived: Notify,
    /// The operator wants what is staged to be sealed now.
    pub seal_now: Notify,
}

impl Sealing {
    /// Seals whatever is unfinished and places new pieces, until it is to stop.
    pub async fn run(self, lifeline: Lifeline) -> Result<(), ServiceError> {
        let packer = Packer {
            service: self,
            lifeline: lifeline.clone(),
            driven: BTreeMap::new(),
            places: Arc::new(Semaphore::new(0)),
            given: 0,
        };
        lifeline.unless_stopping(packer.run()).await;
        Ok(())
    }
}

/// Puts pieces into sectors, closes sectors, and sees that each closed one is driven.
struct Packer {
    service: Sealing,
    lifeline: Lifeline,
    /// The tasks of sectors. Those that ended stay: what ends a sector is done once in a life of the service.
    driven: BTreeMap<u64, JoinHandle<()>>,
    /// Given to sectors in the order of their numbers.
    places: Arc<Semaphore>,
    /// How many places there are: more when machines come, and never fewer.
    given: usize,
}

impl Packer {
    async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            match self.tick() {
                Ok(pause) => {
                    self.lifeline.well(PLACING);
                    self.lifeline.beat();
                    backoff = Backoff::default();
                    let wake = self.service.wake.clone();
                    tokio::select! {
                        () = wake.piece_arrived.notified() => {}
                        () = wake.seal_now.notified() => self.close_all(),
                        () = tokio::time::sleep(pause) => {}
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "pieces cannot be placed; trying again");
                    self.lifeline.failing(PLACING, &error);
                    backoff.pause().await;
                }
            }
        }
    }

    /// Does what is due; returns how long nothing will be.
    fn tick(&mut self) -> Result<Duration, StoreError> {
        let at_once = usize::try_from(self.service.prover.sectors_at_once()).unwrap_or(usize::MAX);
        let at_once = at_once.min(Semaphore::MAX_PERMITS);
        self.places.add_permits(at_once.saturating_sub(self.given));
        self.given = self.given.max(at_once);
        let (ready, pause) = packing::place(&self.service.packing, now_ms())?;
        for id in ready {
            let is_driven = match self.driven.get(&id) {
                None => false,
                // The operator may have ordered another try since.
                Some(task) => !task.is_finished() || !self.is_under_way(id)?,
            };
            if !is_driven {
                let driving = drive(self.service.clone(), self.lifeline.clone(), id, self.places.clone());
                let task = self.lifeline.spawn_own("sealing a sector", driving);
                self.driven.insert(id, task);
            }
        }
        Ok(pause)
    }

    fn is_under_way(&self, id: u64) -> Result<bool, StoreError> {
        let record = self.service.store.sector(id)?;
        Ok(record.is_some_and(|record| !sector_is_done(&record.sector.effect())))
    }

    /// Closes what is being packed, at the operator's wish.
    fn close_all(&self) {
        if let Err(error) = packing::close_all(&self.service.packing, now_ms()) {
            tracing::error!(%error, "what is staged cannot be sealed now");
        }
    }
}

/// Carries one sector to its end. While it rests after a failure, others have its place.
async fn drive(service: Sealing, lifeline: Lifeline, id: u64, places: Arc<Semaphore>) {
    let (mut backoff, name) = (Backoff::default(), format!("sector {id}"));
    loop {
        match pause(&service, id) {
            Ok(Some(pause)) => {
                tokio::time::sleep(pause).await;
                continue;
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(sector = id, %error, "the sector cannot be read; trying again"),
        }
        // Never closed: the packer keeps it.
        let place = places.acquire().await;
        loop {
            match step(&service, id).await {
                Ok(true) if matches!(pause(&service, id), Ok(Some(_))) => break,
                Ok(true) => backoff = Backoff::default(),
                Ok(false) => return lifeline.well(&name),
                Err(error @ StepError::PieceComes { .. }) => {
                    lifeline.failing(&name, &error);
                    drop(place);
                    tokio::time::sleep(PIECE_COMES).await;
                    break;
                }
                Err(error) => {
                    tracing::warn!(sector = id, %error, "a step of sealing could not be done; trying again");
                    lifeline.failing(&name, &error);
                    backoff.pause().await;
                    continue;
                }
            }
            lifeline.well(&name);
        }
    }
}

/// How long the sector still rests after a failure.
fn pause(service: &Sealing, id: u64) -> Result<Option<Duration>, StoreError> {
    let Some(record) = service.store.sector(id)? else {
        return Ok(None);
    };
    let left = record
        .retry_at_ms
        .map_or(0, |at| pause_left_ms(at, record.sector.attempts, now_ms()));
    Ok((left > 0).then(|| Duration::from_millis(left)))
}

/// Performs the sector's effect and persists what came of it; false when there is nothing more to do.
pub(crate) async fn step(service: &Sealing, id: u64) -> Result<bool, StepError> {
    let record = service.store.sector(id)?.ok_or(StoreError::UnknownSector(id))?;
    let span = span(&record.sector);
    take_step(service, &record.sector).instrument(span).await
}

/// What the log's lines of a sector's sealing belong to, on whichever thread: a deal's life is found by its id.
fn span(sector: &Sector) -> tracing::Span {
    let deals = sector.pieces.iter().filter(|piece| !is_own(piece));
    let mut named: Vec<String> = deals
        .clone()
        .take(DEALS_NAMED)
        .map(|piece| piece.deal.to_string())
        .collect();
    if let more @ 1.. = deals.count().saturating_sub(DEALS_NAMED) {
        named.push(format!("and {more} more"));
    }
    tracing::info_span!("sealing", sector = sector.id, deals = named.join(" "))
}

async fn take_step(service: &Sealing, sector: &Sector) -> Result<bool, StepError> {
    let id = sector.id;
    let effect = sector.effect();
    if effect == SectorEffect::Pack || sector_is_done(&effect) {
        finish(service, sector).await?;
        return Ok(false);
    }
    let began = std::time::Instant::now();
    if matches!(effect, SectorEffect::Commit2 { .. }) {
        let estimate = service.store.estimate(sector.size, Phase::Commit2)?;
        let last_time = estimate.map_or("no estimate yet".into(), |ms| format!("{} s the last time", ms / 1000));
        tracing::info!(sector = id, last_time, "the proof is being computed");
    }
    let input = match useless(service, sector)? {
        Some(input) => input,
        None => perform(service, sector, effect).await?,
    };
    let failed = input.is_setback();
    let after = service.store.advance_sector(id, input, now_ms())?;
    let took = began.elapsed().as_secs_f64();
    let (from, to) = (sector.phase(), after.sector.phase());
    if failed {
        let reason = after.sector.last_error.as_deref().unwrap_or_default();
        let again_in = after
            .retry_at_ms
            .map(|at| format!("{} s", at.saturating_sub(now_ms()) / 1000));
        let next = again_in.unwrap_or_else(|| format!("when the operator orders `sealdrop mining retry {id}`"));
        let attempts = after.sector.attempts;
        tracing::warn!(
            sector = id,
            ?from,
            ?to,
            attempts,
            next,
            reason,
            "a step of sealing failed"
        );
    } else {
        tracing::info!(sector = id, ?from, ?to, seconds = format!("{took:.1}"), "sealing");
    }
    Ok(true)
}

/// Whether sealing has nothing more to do.
fn sector_is_done(effect: &SectorEffect) -> bool {
    use SectorEffect::{AwaitOperator, DeleteFiles, Prove, ProveAndRelease, Rest};
    matches!(effect, Prove | ProveAndRelease | DeleteFiles | AwaitOperator | Rest)
}

/// Tells the deals, and clears away what only sealing needed.
async fn finish(service: &Sealing, sector: &Sector) -> Result<(), StepError> {
    if sector.phase() == Phase::Proving {
        // First: who was told of it is not looked at again after a crash.
        service.prover.release(sector.id)?;
    }
    for deal in service.store.settle(sector.id)? {
        tracing::info!(%deal, sector = sector.id, phase = ?sector.phase(), "the deal's sector is done");
    }
    failpoint::hit_failpoint("deals.settled");
    if let (Phase::Proving, Some(sealed)) = (sector.phase(), sector.sealed()) {
        service
            .chain
            .settle(&pre_commit_purpose(sector.id, sealed.ticket_epoch))?;
        service.chain.settle(&commit_purpose(sector, sealed))?;
        match service.prover.clear_cache(sector.id).await {
            Ok(()) => {}
            Err(error) if error.passes() => return Err(error.into()),
            Err(error) => tracing::warn!(sector = sector.id, %error, "the sealing cache stays on the disk"),
        }
    }
    Ok(())
}

/// The input for a sector whose next step would be for nothing, while nothing of it is on the chain: nobody waits for it any
/// more, or its ticket would be too old when the pre-commit is sent.
fn useless(service: &Sealing, sector: &Sector) -> Result<Option<SectorInput>, StoreError> {
    let ticket_epoch = match &sector.stage {
        SectorStage::Closed => None,
        SectorStage::PreCommit1 { ticket_epoch, .. } | SectorStage::PreCommit2 { ticket_epoch, .. } => {
            Some(*ticket_epoch)
        }
        SectorStage::PreCommitting { sealed } => Some(sealed.ticket_epoch),
        _ => return Ok(None),
    };
    let is_on_its_way = |epoch| service.chain.made(&pre_commit_purpose(sector.id, epoch)).is_some();
    if ticket_epoch.is_some_and(is_on_its_way) {
        return Ok(None);
    }
    if sector.phase() != Phase::PreCommitting && !service.store.is_wanted(sector)? {
        let reason = "all its deals are over: nobody needs it any more".to_owned();
        return Ok(Some(SectorInput::Abandoned { reason }));
    }
    let Some(ticket_epoch) = ticket_epoch else {
        return Ok(None);
    };
    let remaining = match &sector.stage {
        SectorStage::PreCommit1 { ticket, .. } if !service.prover.has_pre_commit1(sector, *ticket) => {
            packing::blocks_for(&service.packing, &[Phase::PreCommit1, Phase::PreCommit2])?
        }
        SectorStage::PreCommit1 { .. } | SectorStage::PreCommit2 { .. } => {
            packing::blocks_for(&service.packing, &[Phase::PreCommit2])?
        }
        _ => 0,
    };
    let height = service.chain.heads().borrow().height;
    let checked = check_ticket(&service.policy, ticket_epoch, height, remaining);
    Ok(checked.err().map(|error| SectorInput::SealExpired {
        reason: error.to_string(),
    }))
}

async fn perform(service: &Sealing, sector: &Sector, effect: SectorEffect) -> Result<SectorInput, StepError> {
    Ok(match effect {
        SectorEffect::Pack
        | SectorEffect::Prove
        | SectorEffect::ProveAndRelease
        | SectorEffect::DeleteFiles
        | SectorEffect::AwaitOperator
        | SectorEffect::Rest => SectorInput::Close,
        SectorEffect::DrawTicket => draw_ticket(service).await?,
        SectorEffect::PreCommit1 { ticket } => {
            check_pieces(service, sector)?;
            let proved = service.prover.pre_commit1(sector, ticket, &service.staging);
            done(proved, |output| SectorInput::PreCommit1Done { output }).await?
        }
        SectorEffect::PreCommit2 { output } => {
            let ticket = ticket_of(sector);
            let proved = service.prover.pre_commit2(sector, ticket, output);
            done(proved, |commitments| SectorInput::PreCommit2Done {
                comm_d: commitments.comm_d,
                comm_r: commitments.comm_r,
                comm_c: commitments.comm_c,
            })
            .await?
        }
        SectorEffect::SubmitPreCommit { sealed } => submit_pre_commit(service, sector, &sealed).await?,
        SectorEffect::AwaitSeed { seed_epoch } => await_seed(service, seed_epoch).await?,
        SectorEffect::Commit1 { .. } | SectorEffect::Commit2 { .. } | SectorEffect::SubmitCommit { .. }
            if is_lost(service, sector)? =>
        {
            // Another daemon may have begun it, on a machine that is gone. Nothing is committed that cannot be proven.
            let reason = "the replica is not here any more: it is sealed again".to_owned();
            SectorInput::ReplicaLost { reason }
        }
        SectorEffect::Commit1 { sealed, seed } => {
            done(service.prover.commit1(sector, &sealed, seed), |output| {
                SectorInput::Commit1Done { output }
            })
            .await?
        }
        SectorEffect::Commit2 { output } => match service.prover.commit2(sector.id, output).await {
            Ok(proof) => check_proof(service, sector, proof)?,
            Err(error) => not_done(error)?,
        },
        SectorEffect::SubmitCommit { sealed, proof } => match unproven(service, sector, &sealed).await? {
            Some(lost) => lost,
            None => submit_commit(service, sector, &sealed, &proof).await?,
        },
    })
}

/// The input that a step of the prover gives.
async fn done<T>(
    step: impl Future<Output = Result<T, ProverError>>,
    input: impl FnOnce(T) -> SectorInput,
) -> Result<SectorInput, StepError> {
    match step.await {
        Ok(result) => Ok(input(result)),
        Err(error) => not_done(error),
    }
}

/// What a step without a result means for the sector: it failed, or it was not begun and is asked for again.
fn not_done(error: ProverError) -> Result<SectorInput, StepError> {
    match error.passes() {
        true => Err(StepError::Prover(error)),
        false => Ok(SectorInput::StepFailed {
            reason: error.to_string(),
        }),
    }
}

fn ticket_of(sector: &Sector) -> [u8; 32] {
    match &sector.stage {
        SectorStage::PreCommit1 { ticket, .. } | SectorStage::PreCommit2 { ticket, .. } => *ticket,
        // Asked for in these two stages only; zeros would fail the check that follows encoding.
        _ => [0; 32],
    }
}

/// The ticket comes from the block before the head: the head itself may be only a moment old.
async fn draw_ticket(service: &Sealing) -> Result<SectorInput, StepError> {
    let head = service.chain.head().await?.height;
    let epoch = Epoch(head.0.saturating_sub(1));
    let beacon = service.chain.beacon(epoch).await?;
    failpoint::hit_failpoint("ticket.drawn");
    Ok(SectorInput::TicketDrawn {
        epoch,
        ticket: draw(Purpose::SealTicket, &beacon, &service.address),
    })
}

async fn await_seed(service: &Sealing, seed_epoch: Epoch) -> Result<SectorInput, StepError> {
    let mut heads = service.chain.heads();
    // An error means that the chain adapter is gone; asking the chain then says so.
    let _ = heads.wait_for(|head| head.height >= seed_epoch).await;
    let beacon = service.chain.beacon(seed_epoch).await?;
    failpoint::hit_failpoint("seed.drawn");
    Ok(SectorInput::SeedDrawn {
        seed: draw(Purpose::SealSeed, &beacon, &service.address),
    })
}
