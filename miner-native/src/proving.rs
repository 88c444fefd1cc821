//! A proof-of-spacetime in every window (step 13 of a deal).
//!
//! Follows the chain's head; when [`shared::sector::post_duty`] says so, proves the whole proving set, checks the proof,
//! and sends it. Whatever fails is tried again while the window and its grace last.

use crate::chain_access::ChainError;
use crate::miner::{now_ms, Backoff, Miner};
use crate::prover::ProverError;
use crate::store::{PostRecord, StoreError};
use shared::chain::randomness::{draw, Purpose};
use shared::chain::view::{MinerView, WindowView};
use shared::chain::{calls, AttoFil, Epoch};
use shared::piece::Commitment;
use shared::ports::verifier::{VerifierFault, WindowPoStClaim};
use shared::sector::{post_duty, prover_id, PostDuty, PostFacts};
use std::sync::Arc;

/// Why a proof was not delivered; it is tried again.
#[derive(Debug, thiserror::Error)]
enum PostError {
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
}

/// Proves until the process ends.
pub fn start(miner: Arc<Miner>) {
    tokio::spawn(run(miner));
}

async fn run(miner: Arc<Miner>) {
    let mut heads = miner.chain.heads();
    let mut backoff = Backoff::default();
    let mut missed = None;
    while heads.changed().await.is_ok() {
        let height = heads.borrow_and_update().height;
        match look(&miner, height, &mut missed).await {
            Ok(()) => backoff = Backoff::default(),
            Err(error) => {
                tracing::error!(%error, "no proof-of-spacetime was delivered; trying again");
                backoff.pause().await;
            }
        }
    }
}

/// Does what is due at `height`.
async fn look(miner: &Miner, height: Epoch, missed: &mut Option<Epoch>) -> Result<(), PostError> {
    let Some(view) = miner.chain.miner(&miner.address).await? else {
        return Ok(());
    };
    let Some(window) = view.proving_window else {
        return Ok(());
    };
    match post_duty(height, &PostFacts::of(&view), &miner.policy) {
        PostDuty::Nothing | PostDuty::WaitUntil(_) => Ok(()),
        PostDuty::Prove { randomness_at, fee, .. } => prove(miner, &view, window, randomness_at, fee).await,
        PostDuty::Restart { value } => {
            if missed.replace(window.end) != Some(window.end) {
                tracing::error!(window_end = %window.end, "the proof-of-spacetime's window and grace are over: beginning a new period");
            }
            restart(miner, window, value).await
        }
    }
}

/// Begins a new proving period after a missed one.
async fn restart(miner: &Miner, window: WindowView, value: AttoFil) -> Result<(), PostError> {
    let purpose = format!("restart-{}", window.end);
    let call = calls::restart_proving(&miner.address, value);
    match miner.chain.call(&purpose, call).await {
        Ok(_) => Ok(miner.chain.settle(&purpose)?),
        Err(error) => {
            if matches!(error, ChainError::Failed { .. } | ChainError::Dropped { .. }) {
                miner.chain.forget(&purpose)?;
            }
            Err(error.into())
        }
    }
}

async fn prove(
    miner: &Miner,
    view: &MinerView,
    window: WindowView,
    randomness_at: Epoch,
    value: AttoFil,
) -> Result<(), PostError> {
    let began = std::time::Instant::now();
    let beacon = miner.chain.beacon(randomness_at).await?;
    let randomness = draw(Purpose::WindowPoSt, &beacon, &miner.address);
    let covered = view.sectors.iter().filter(|sector| sector.in_proving_set);
    let sectors: Vec<(u64, Commitment)> = covered.map(|sector| (sector.id, sector.comm_r)).collect();
    let proof = miner.prover.window_post(randomness, sectors.clone()).await?;
    let claim = WindowPoStClaim {
        sector_size: miner.sector_size,
        prover_id: prover_id(&miner.address),
        randomness,
        sectors: sectors.clone(),
        proof,
    };
    if !tokio::task::block_in_place(|| miner.verifier.verify_window_post(&claim))? {
        return Err(PostError::Invalid);
    }
    let proved = began.elapsed().as_secs_f64();
    let purpose = format!("post-{}", window.end);
    let call = calls::submit_post(&miner.address, &claim.proof, value);
    let (message, receipt) = match miner.chain.call(&purpose, call).await {
        Ok(sent) => sent,
        Err(error @ (ChainError::Failed { .. } | ChainError::Dropped { .. })) => {
            miner.chain.forget(&purpose)?;
            return Err(error.into());
        }
        Err(error) => return Err(error.into()),
    };
    let sectors: Vec<u64> = sectors.into_iter().map(|(id, _)| id).collect();
    tracing::info!(
        window_end = %window.end, height = %receipt.height, ?sectors, fee = %value, seconds = format!("{proved:.1}"),
        "proof-of-spacetime accepted"
    );
    let (height, message, at_ms) = (receipt.height, message.to_string(), now_ms());
    miner.store.keep_post(&PostRecord {
        window_end: window.end,
        height,
        message,
        sectors,
        at_ms,
    })?;
    miner.chain.settle(&purpose)?;
    Ok(())
}
