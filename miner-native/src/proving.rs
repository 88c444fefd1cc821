//! A proof-of-spacetime in every window (step 13 of a deal).
//!
//! Follows the chain's head; when [`shared::sector::post_duty`] says so, proves the whole proving set, checks the proof,
//! and sends it. Whatever fails is tried again while the window and its grace last.

use crate::chain_access::ChainError;
use crate::miner::{now_ms, Backoff, Miner};
use crate::prover::ProverError;
use crate::store::{PostRecord, StoreError};
use shared::chain::actors::miner::late_fee;
use shared::chain::randomness::{draw, Purpose};
use shared::chain::view::{MinerView, WindowView};
use shared::chain::{calls, AttoFil, Epoch};
use shared::piece::Commitment;
use shared::ports::verifier::{VerifierFault, WindowPoStClaim};
use shared::sector::{post_duty, prover_id, PostDuty};
use std::sync::Arc;

/// Blocks that a message may take into a block: the late fee is reckoned that far ahead; what is too much comes back.
const MARGIN: u64 = 10;

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
    let Some(window) = view
        .proving_window
        .filter(|_| view.sectors.iter().any(|sector| sector.in_proving_set))
    else {
        return Ok(());
    };
    match post_duty(height, window.start, window.end, miner.policy.grace) {
        PostDuty::WaitUntil(_) => Ok(()),
        PostDuty::Prove { randomness_at, .. } => prove(miner, &view, window, randomness_at).await,
        PostDuty::Missed => {
            if missed.replace(window.end) != Some(window.end) {
                tracing::error!(window_end = %window.end, "the proof-of-spacetime's window and grace are over: the miner can be slashed");
            }
            Ok(())
        }
    }
}

async fn prove(miner: &Miner, view: &MinerView, window: WindowView, randomness_at: Epoch) -> Result<(), PostError> {
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
    let value = fee(miner, view, window.end);
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

/// What the chain will ask for when the message gets into a block some blocks from now.
fn fee(miner: &Miner, view: &MinerView, window_end: Epoch) -> AttoFil {
    let height = miner.chain.heads().borrow().height;
    late_fee(&miner.policy, view.collateral, window_end, height.plus(MARGIN))
}
