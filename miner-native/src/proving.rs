//! A proof-of-spacetime in every window (step 13 of a deal), and what to do when there is none (spec §4.11, §7.8).
//!
//! Follows the chain's head; when [`shared::sector::post_duty`] says so, proves the proving set, checks the proof, and
//! sends it, late ones with their fee. Sectors whose files are not whole are declared faulty before a window opens and
//! recovered when they are whole again; a missed window is paid for and a new period begun. Whatever fails is tried again
//! at the next head. Sectors that [`crate::deal_expiry`] is done with are proven a last time and released by the same message.

mod files;
mod pace;

use crate::chain_access::ChainError;
use crate::failpoint;
use crate::miner::{now_ms, Backoff, Miner};
use crate::operator::ProvingStatus;
use crate::prover::{ProverError, Step};
use crate::store::{PostRecord, StoreError};
use shared::chain::actors::miner::late_fee;
use shared::chain::faults::{FaultSet, IntSet};
use shared::chain::randomness::{draw, Purpose};
use shared::chain::view::{MinerView, ReceiptView, SectorView, WindowView};
use shared::chain::{calls, AttoFil, Call, Epoch};
use shared::piece::Commitment;
use shared::ports::verifier::{VerifierFault, WindowPoStClaim};
use shared::sector::post::FEE_MARGIN;
use shared::sector::{post_duty, prover_id, PostDuty, PostFacts};
use std::collections::BTreeSet;
use std::sync::Arc;

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

/// Proves until the process ends.
pub fn start(miner: Arc<Miner>) {
    tokio::spawn(async move {
        let mut heads = miner.chain.heads();
        let mut backoff = Backoff::default();
        let mut watch = Watch::default();
        let longest = pace::longest_rest(miner.chain.connected_network().block_time_ms, &miner.policy);
        while heads.changed().await.is_ok() {
            let height = heads.borrow_and_update().height;
            match watch.look(&miner, height).await {
                Ok(()) => backoff = Backoff::default(),
                Err(error) => {
                    tracing::error!(%error, "no proof-of-spacetime was delivered; trying again");
                    // However short the blocks are, a window sees several attempts.
                    let _ = tokio::time::timeout(longest, backoff.pause()).await;
                }
            }
        }
    });
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
pub(crate) fn status(miner: &Miner, view: &MinerView) -> ProvingStatus {
    let sectors = view.sectors.iter().filter(|sector| sector.in_proving_set).count();
    let expected = miner.prover.expected(Step::WindowPost, sectors.max(1));
    pace::standing(
        sectors,
        expected,
        miner.chain.connected_network().block_time_ms,
        &miner.policy,
    )
}

impl Watch {
    /// Does what is due at `height`.
    pub async fn look(&mut self, miner: &Miner, height: Epoch) -> Result<(), PostError> {
        let Some(view) = miner.chain.miner(&miner.address).await? else {
            return Ok(());
        };
        let Some(window) = view.proving_window else {
            return Ok(());
        };
        if self.window_end != Some(window.end) {
            self.warn(miner, &view);
        }
        self.clear_away(miner, &view, window).await?;
        match post_duty(height, &PostFacts::of(&view), &miner.policy) {
            PostDuty::Nothing => Ok(()),
            PostDuty::WaitUntil(_) if height < window.start => {
                self.files.look(miner, &view, Some(window), height).await
            }
            PostDuty::WaitUntil(_) => Ok(()),
            PostDuty::Prove { randomness_at, .. } => {
                self.prove(miner, &view, window, randomness_at, height).await?;
                // The next period's first look at the files is at its beginning.
                self.files.again();
                Ok(())
            }
            PostDuty::Restart { value } => self.begin_again(miner, &view, window, value, height).await,
        }
    }

    /// The message of the window before this one is done with, also when the process ended before it said so.
    async fn clear_away(&mut self, miner: &Miner, view: &MinerView, window: WindowView) -> Result<(), PostError> {
        if self.window_end == Some(window.end) {
            return Ok(());
        }
        let before = Epoch(window.end.0.saturating_sub(miner.policy.proving_period));
        let purpose = post_purpose(before);
        remember(miner, view, before, &purpose).await?;
        miner.chain.settle(&purpose)?;
        self.window_end = Some(window.end);
        Ok(())
    }

    /// Tells the operator, at the start and whenever that changes, that proofs take too long for their windows.
    fn warn(&mut self, miner: &Miner, view: &MinerView) {
        let warning = status(miner, view).warning;
        if let Some(warning) = warning.as_ref().filter(|_| !self.warned) {
            tracing::warn!("{warning}");
        }
        self.warned = warning.is_some();
    }

    /// A period was missed, or sectors are committed and none is to be proven: after a slash, or when all were faulty.
    /// Paying for it is better than waiting to be slashed, which costs the sectors too.
    async fn begin_again(
        &mut self,
        miner: &Miner,
        view: &MinerView,
        window: WindowView,
        value: AttoFil,
        height: Epoch,
    ) -> Result<(), PostError> {
        let missed = view.sectors.iter().any(|sector| sector.in_proving_set);
        if !missed {
            self.files.look(miner, view, None, height).await?;
        }
        // Of faulty sectors alone no period can be begun.
        let provable = |sector: &SectorView| sector.fault.as_ref().is_none_or(|fault| fault.recovering);
        if missed || view.sectors.iter().any(provable) {
            tracing::error!(window_end = %window.end, %value, "no proof is possible any more in this period: beginning a new one");
            let call = calls::restart_proving(&miner.address, value);
            send(miner, &format!("restart-{}", window.end), call).await?;
        }
        Ok(())
    }

    async fn prove(
        &mut self,
        miner: &Miner,
        view: &MinerView,
        window: WindowView,
        randomness_at: Epoch,
        height: Epoch,
    ) -> Result<(), PostError> {
        let began = std::time::Instant::now();
        let is_ready = self.proof.as_ref().is_some_and(|proof| proof.window_end == window.end);
        if !is_ready {
            self.proof = Some(compute(miner, view, window, randomness_at, height).await?);
        }
        let Some(proof) = &self.proof else { return Ok(()) };
        let done: IntSet = miner
            .store
            .releasing()?
            .intersection(&committed(view))
            .copied()
            .collect();
        let purpose = post_purpose(window.end);
        let value = fee(miner, window.end).await?;
        let faults = FaultSet::of(proof.given_up.iter().copied());
        let call = calls::submit_post_without(&miner.address, &proof.bytes, &faults, &done, value);
        let (message, receipt) = match send(miner, &purpose, call).await {
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
        miner.store.keep_post(&PostRecord {
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
async fn remember(miner: &Miner, view: &MinerView, window_end: Epoch, purpose: &str) -> Result<(), PostError> {
    let Some(message) = miner.chain.made(purpose) else {
        return Ok(());
    };
    if miner.store.has_post(window_end)? {
        return Ok(());
    }
    match miner.chain.receipt(&message).await {
        Ok(Some(receipt)) if receipt.exit_code == 0 => Ok(miner.store.keep_post(&PostRecord {
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
    miner: &Miner,
    view: &MinerView,
    window: WindowView,
    randomness_at: Epoch,
    height: Epoch,
) -> Result<Proof, PostError> {
    // Nothing of sealing begins until this proof, or the next attempt at it, is over.
    let _due = miner.prover.post_is_due();
    let beacon = miner.chain.beacon(randomness_at).await?;
    let randomness = draw(Purpose::WindowPoSt, &beacon, &miner.address);
    let due = view.sectors.iter().filter(|sector| sector.in_proving_set);
    let mut covered: Vec<(u64, Commitment)> = due.map(|sector| (sector.id, sector.comm_r)).collect();
    let mut given_up = BTreeSet::new();
    failpoint::hit_failpoint("post.begun");
    let bytes = match miner.prover.window_post(randomness, covered.clone()).await {
        Ok(bytes) => bytes,
        Err(error) => {
            let Some(faulty) = error.faulty().map(<[u64]>::to_vec) else {
                return Err(error.into());
            };
            let expected = miner.prover.expected(Step::WindowPost, covered.len()).ms;
            let margin = pace::give_up_margin(expected, miner.chain.connected_network().block_time_ms, &miner.policy);
            let deadline = Epoch(window.end.0.saturating_sub(margin));
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
            miner.prover.window_post(randomness, covered.clone()).await?
        }
    };
    failpoint::hit_failpoint("post.computed");
    let claim = WindowPoStClaim {
        sector_size: miner.sector_size,
        prover_id: prover_id(&miner.address),
        randomness,
        sectors: covered,
        proof: bytes,
    };
    if !tokio::task::block_in_place(|| miner.verifier.verify_window_post(&claim))? {
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
async fn fee(miner: &Miner, window_end: Epoch) -> Result<AttoFil, PostError> {
    let height = miner.chain.head().await?.height.plus(FEE_MARGIN);
    if height <= window_end {
        return Ok(AttoFil::ZERO);
    }
    let Some(view) = miner.chain.miner(&miner.address).await? else {
        return Ok(AttoFil::ZERO);
    };
    let coming = miner
        .policy
        .sector_collateral
        .checked_mul(view.pre_commits.len() as u128);
    let collateral = view.collateral.checked_add(coming.unwrap_or_default());
    let collateral = collateral.unwrap_or(view.collateral);
    Ok(late_fee(&miner.policy, collateral, window_end, height))
}

/// Sends a call and waits for it; a refused one may be made anew.
async fn send(miner: &Miner, purpose: &str, call: Call) -> Result<(String, ReceiptView), PostError> {
    match miner.chain.call(purpose, call).await {
        Ok((message, receipt)) => {
            miner.chain.settle(purpose)?;
            Ok((message.to_string(), receipt))
        }
        Err(error) => {
            if matches!(error, ChainError::Failed { .. } | ChainError::Dropped { .. }) {
                miner.chain.forget(purpose)?;
            }
            Err(error.into())
        }
    }
}
