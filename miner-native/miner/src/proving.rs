//! A proof-of-spacetime in every window (step 13 of a deal), and what to do when there is none (spec §4.11, §7.8).
//!
//! Follows the chain's head; when [`shared::sector::post_duty`] says so, proves the proving set, checks the proof, and
//! sends it, late ones with their fee. Sectors whose files are not whole are declared faulty before a window opens and
//! recovered when they are whole again; a missed window is paid for and a new period begun. Whatever fails is tried again
//! at the next head. Sectors that [`crate::deal_expiry`] is done with are proven a last time and released by the same message.

mod files;
mod pace;

use crate::chain_access::{ChainAccess, ChainError};
use crate::clock::now_ms;
use crate::coming::Coming;
use crate::failpoint;
use crate::on_head::{on_heads, OnHead};
use crate::operator::ProvingStatus;
use crate::prover::{Prover, ProverError, Step};
use crate::store::{MinerStore, PostRecord, StoreError};
use crate::supervisor::{Lifeline, ServiceError};
use sealdrop_database::blocking;
use shared::chain::actors::miner::late_fee;
use shared::chain::faults::{FaultSet, IntSet};
use shared::chain::randomness::{draw, Purpose};
use shared::chain::view::{MinerView, ReceiptView, SectorView, WindowView};
use shared::chain::{calls, Address, AttoFil, Call, Epoch, Policy};
use shared::piece::{Commitment, SectorSize};
use shared::ports::verifier::{prover_id, ProofVerifier, VerifierFault, WindowPoStClaim};
use shared::sector::post::FEE_MARGIN;
use shared::sector::{post_duty, PostDuty, PostFacts};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// What health calls a proof that was not delivered in its window.
const LATE: &str = "late proof";

/// Why a proof was not delivered; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Prover(#[from] ProverError),
    #[error(transparent)]
    Verifier(#[from] VerifierFault),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the proof does not verify here; it was not sent")]
    Invalid,
    #[error("the files of sectors {sectors:?} are not whole: restore them; at {deadline} they are given up, if others can be proven")]
    Faulty { sectors: Vec<u64>, deadline: Epoch },
}

/// What proving works with.
#[derive(Clone)]
pub struct Proving {
    pub address: Address,
    pub sector_size: SectorSize,
    pub policy: Policy,
    pub store: MinerStore,
    /// Signs as the miner's worker.
    pub chain: ChainAccess,
    pub prover: Arc<Prover>,
    /// Checks our own proofs before they are sent.
    pub verifier: Arc<dyn ProofVerifier + Send + Sync>,
    /// What the archive brings back.
    pub coming: Coming,
}

impl Proving {
    /// Proves until it is to stop.
    pub async fn run(self, lifeline: Lifeline) -> Result<(), ServiceError> {
        let (chain, watch) = (self.chain.clone(), Watch::default());
        on_heads(&mut Task { service: self, watch }, &chain, &lifeline).await
    }
}

struct Task {
    service: Proving,
    watch: Watch,
}

impl OnHead for Task {
    type Error = PostError;
    // On a chain whose blocks have no time of their own: sectors of 32 GiB, many of them, on a slow machine.
    const LONGEST_TICK: Duration = Duration::from_secs(3600);
    const FAILED: &'static str = "no proof-of-spacetime was delivered";

    async fn tick(&mut self, height: Epoch, lifeline: &Lifeline) -> Result<(), PostError> {
        self.watch.tick(&self.service, height, lifeline).await
    }

    /// A proof that takes longer than its window is late.
    fn longest_tick(&self) -> Duration {
        pace::longest_tick(
            self.service.chain.connected_network().block_time_ms,
            &self.service.policy,
        )
        .unwrap_or(Self::LONGEST_TICK)
    }

    /// However short the blocks are, a window sees several attempts.
    fn longest_rest(&self) -> Duration {
        pace::longest_rest(
            self.service.chain.connected_network().block_time_ms,
            &self.service.policy,
        )
    }
}

/// A proof that was computed: sending it again costs nothing.
#[derive(Debug)]
struct Proof {
    window_end: Epoch,
    /// What it covers.
    sectors: Vec<u64>,
    /// What it leaves out for good.
    given_up: BTreeSet<u64>,
    bytes: Vec<u8>,
}

/// What is remembered from head to head; losing it costs only work.
#[derive(Debug, Default)]
pub struct Watch {
    proof: Option<Proof>,
    /// The window whose predecessors' messages are cleared away.
    window_end: Option<Epoch>,
    files: files::Looks,
    /// Whether the operator was told that proofs take too long.
    warned: bool,
}

/// How the next proof stands to the time that its window gives.
pub(crate) fn status(service: &Proving, view: &MinerView) -> ProvingStatus {
    let sectors = view.sectors.iter().filter(|sector| sector.in_proving_set).count();
    let expected = service.prover.expected(Step::WindowPost, sectors.max(1));
    pace::standing(
        sectors,
        expected,
        service.chain.connected_network().block_time_ms,
        &service.policy,
    )
}

impl Watch {
    /// Does what is due at `height`.
    pub async fn tick(&mut self, service: &Proving, height: Epoch, lifeline: &Lifeline) -> Result<(), PostError> {
        let Some(view) = service.chain.miner(&service.address).await? else {
            return Ok(());
        };
        let Some(window) = view.proving_window else {
            return Ok(());
        };
        match is_late(&view, window, height) {
            true => {
                let end = window.end;
                let text = format!("the proof of the window that ended at block {end} is late: each block costs a fee, and the sectors are lost after {} blocks", service.policy.grace);
                lifeline.failing(LATE, &text);
            }
            false => lifeline.well(LATE),
        }
        if self.window_end != Some(window.end) {
            self.warn(service, &view);
        }
        self.clear_away(service, &view, window).await?;
        match post_duty(height, &PostFacts::of(&view), &service.policy) {
            // Where all sectors are faulty, nothing is due but to find out whether their files came back.
            PostDuty::Nothing if !view.sectors.is_empty() => self.files.tick(service, &view, None, height).await,
            PostDuty::Nothing => Ok(()),
            PostDuty::WaitUntil(_) if height < window.start => {
                self.files.tick(service, &view, Some(window), height).await
            }
            PostDuty::WaitUntil(_) => Ok(()),
            PostDuty::Prove { randomness_at, .. } => {
                self.prove(service, &view, window, randomness_at, height).await?;
                // The next period's first look at the files is at its beginning.
                self.files.again();
                Ok(())
            }
            PostDuty::Restart { value } => self.begin_again(service, &view, window, value, height).await,
        }
    }

    /// The message of the window before this one is done with, also when the process ended before it said so.
    async fn clear_away(&mut self, service: &Proving, view: &MinerView, window: WindowView) -> Result<(), PostError> {
        if self.window_end == Some(window.end) {
            return Ok(());
        }
        let before = Epoch(window.end.0.saturating_sub(service.policy.proving_period));
        let purpose = post_purpose(before);
        remember(service, view, before, &purpose).await?;
        service.chain.settle(&purpose)?;
        self.window_end = Some(window.end);
        Ok(())
    }

    /// Tells the operator, at the start and whenever that changes, that proofs take too long for their windows.
    fn warn(&mut self, service: &Proving, view: &MinerView) {
        let warning = status(service, view).warning;
        if let Some(warning) = warning.as_ref().filter(|_| !self.warned) {
            tracing::warn!("{warning}");
        }
        self.warned = warning.is_some();
    }

    /// A period was missed, or sectors are committed and none is to be proven: after a slash, or when all were faulty.
    /// Paying for it is better than waiting to be slashed, which costs the sectors too.
    async fn begin_again(
        &mut self,
        service: &Proving,
        view: &MinerView,
        window: WindowView,
        value: AttoFil,
        height: Epoch,
    ) -> Result<(), PostError> {
        let missed = view.sectors.iter().any(|sector| sector.in_proving_set);
        if !missed {
            self.files.tick(service, view, None, height).await?;
        }
        // Of faulty sectors alone no period can be begun.
        let provable = |sector: &SectorView| sector.fault.as_ref().is_none_or(|fault| fault.recovering);
        if missed || view.sectors.iter().any(provable) {
            if missed {
                service.store.keep_missed(window.end)?;
            }
            tracing::error!(window_end = %window.end, %value, "no proof is possible any more in this period: beginning a new one");
            let call = calls::restart_proving(&service.address, value);
            send(service, &format!("restart-{}", window.end), call).await?;
        }
        Ok(())
    }

    async fn prove(
        &mut self,
        service: &Proving,
        view: &MinerView,
        window: WindowView,
        randomness_at: Epoch,
        height: Epoch,
    ) -> Result<(), PostError> {
        let began = std::time::Instant::now();
        let is_ready = self.proof.as_ref().is_some_and(|proof| proof.window_end == window.end);
        if !is_ready {
            self.proof = Some(compute(service, view, window, randomness_at, height).await?);
        }
        let Some(proof) = &self.proof else { return Ok(()) };
        let done: IntSet = service
            .store
            .releasing()?
            .intersection(&committed(view))
            .copied()
            .collect();
        let purpose = post_purpose(window.end);
        let value = fee(service, window.end).await?;
        let faults = FaultSet::of(proof.given_up.iter().copied());
        let call = calls::submit_post_without(&service.address, &proof.bytes, &faults, &done, value);
        let (message, receipt) = match send(service, &purpose, call).await {
            Ok(sent) => sent,
            Err(error) => {
                // The next attempt computes it anew: the proving set may be another by then.
                self.proof = None;
                return Err(error);
            }
        };
        let sectors = proof.sectors.clone();
        tracing::info!(
            window_end = %window.end, height = %receipt.height, ?sectors, fee = %value, released = ?done.0,
            seconds = format!("{:.1}", began.elapsed().as_secs_f64()), "proof-of-spacetime accepted"
        );
        service.store.keep_post(&PostRecord {
            window_end: window.end,
            height: receipt.height,
            message,
            sectors,
            at_ms: now_ms(),
        })?;
        self.proof = None;
        Ok(())
    }
}

/// Writes down the proof of a window that is over, when the process ended after it came to a block and before that was
/// written down.
async fn remember(service: &Proving, view: &MinerView, window_end: Epoch, purpose: &str) -> Result<(), PostError> {
    let Some(message) = service.chain.made(purpose) else {
        return Ok(());
    };
    if service.store.has_post(window_end)? {
        return Ok(());
    }
    match service.chain.receipt(&message).await {
        Ok(Some(receipt)) if receipt.is_success() => Ok(service.store.keep_post(&PostRecord {
            window_end,
            height: receipt.height,
            message: message.to_string(),
            sectors: ids(view.sectors.iter().filter(|sector| sector.proven)),
            at_ms: now_ms(),
        })?),
        // Refused, or so long ago that the chain does not tell.
        Ok(_) | Err(ChainError::Pruned { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether a window has ended without the proof that was due in it.
fn is_late(view: &MinerView, window: WindowView, height: Epoch) -> bool {
    height > window.end && view.sectors.iter().any(|sector| sector.in_proving_set)
}

fn post_purpose(window_end: Epoch) -> String {
    format!("post-{window_end}")
}

fn ids<'a>(sectors: impl Iterator<Item = &'a SectorView>) -> Vec<u64> {
    sectors.map(|sector| sector.id).collect()
}

fn committed(view: &MinerView) -> BTreeSet<u64> {
    view.sectors.iter().map(|sector| sector.id).collect()
}

/// Computes a proof over the proving set; near the window's end without those that cannot be proven.
async fn compute(
    service: &Proving,
    view: &MinerView,
    window: WindowView,
    randomness_at: Epoch,
    height: Epoch,
) -> Result<Proof, PostError> {
    // Nothing of sealing begins until this proof, or the next attempt at it, is over.
    let _due = service.prover.post_is_due();
    let beacon = service.chain.beacon(randomness_at).await?;
    let randomness = draw(Purpose::WindowPoSt, &beacon, &service.address);
    let due = view.sectors.iter().filter(|sector| sector.in_proving_set);
    let mut covered: Vec<(u64, Commitment)> = due.map(|sector| (sector.id, sector.comm_r)).collect();
    let mut given_up = BTreeSet::new();
    failpoint::hit_failpoint("post.begun");
    let claim = |sectors: Vec<(u64, Commitment)>, proof: Vec<u8>| WindowPoStClaim {
        sector_size: service.sector_size,
        prover_id: prover_id(&service.address),
        randomness,
        sectors,
        proof,
    };
    let holds = |sectors: Vec<(u64, Commitment)>, proof: &[u8]| {
        let claim = claim(sectors, proof.to_vec());
        blocking(|| service.verifier.verify_window_post(&claim)).unwrap_or(false)
    };
    let bytes = match service.prover.window_post(randomness, covered.clone(), holds).await {
        Ok(bytes) => bytes,
        Err(error) => {
            let Some(faulty) = error.faulty().map(<[u64]>::to_vec) else {
                return Err(error.into());
            };
            let expected = service.prover.expected(Step::WindowPost, covered.len()).ms;
            let margin = pace::give_up_margin(
                expected,
                service.chain.connected_network().block_time_ms,
                &service.policy,
            );
            let deadline = Epoch(window.end.0.saturating_sub(margin));
            // It may have taken long to find that out.
            let height = height.max(service.chain.heads().borrow().height);
            // Given up only when that saves others: files that are gone may come back, a lost sector does not.
            if height < deadline || faulty.len() >= covered.len() {
                return Err(PostError::Faulty {
                    sectors: faulty,
                    deadline,
                });
            }
            tracing::error!(sectors = ?faulty, "given up: their files are not whole, and the others' proof is due");
            given_up.extend(faulty);
            covered.retain(|(id, _)| !given_up.contains(id));
            service.prover.window_post(randomness, covered.clone(), holds).await?
        }
    };
    failpoint::hit_failpoint("post.computed");
    let claim = claim(covered, bytes);
    if !blocking(|| service.verifier.verify_window_post(&claim))? {
        return Err(PostError::Invalid);
    }
    failpoint::hit_failpoint("post.checked");
    Ok(Proof {
        window_end: window.end,
        sectors: claim.sectors.into_iter().map(|(id, _)| id).collect(),
        given_up,
        bytes: claim.proof,
    })
}

/// What the chain will ask for when the message gets into a block some blocks from now, also when sectors that are being
/// committed have locked up more by then. What is too much comes back.
async fn fee(service: &Proving, window_end: Epoch) -> Result<AttoFil, PostError> {
    let height = service.chain.head().await?.height.plus(FEE_MARGIN);
    if height <= window_end {
        return Ok(AttoFil::ZERO);
    }
    let Some(view) = service.chain.miner(&service.address).await? else {
        return Ok(AttoFil::ZERO);
    };
    let coming = service
        .policy
        .sector_collateral
        .checked_mul(view.pre_commits.len() as u128);
    let collateral = view.collateral.checked_add(coming.unwrap_or_default());
    let collateral = collateral.unwrap_or(view.collateral);
    Ok(late_fee(&service.policy, collateral, window_end, height))
}

/// Sends a call and waits for it; a refused one may be made anew.
async fn send(service: &Proving, purpose: &str, call: Call) -> Result<(String, ReceiptView), PostError> {
    match service.chain.call(purpose, call).await {
        Ok((message, receipt)) => {
            service.chain.settle(purpose)?;
            Ok((message.to_string(), receipt))
        }
        Err(error) => {
            if matches!(error, ChainError::Failed { .. } | ChainError::Dropped { .. }) {
                service.chain.forget(purpose)?;
            }
            Err(error.into())
        }
    }
}
