//! Slashes miners that missed their proofs and the grace after them (spec §4.12), at the usual price of gas.
//!
//! At each head the market is asked who is late. Everybody but this miner is slashed once for a lateness; an attempt that
//! failed for another reason is repeated a bounded number of times, later and later. A restart finds its messages in the
//! outbox and sends no second one.

use crate::chain_access::{ChainError, MessageStatus};
use crate::miner::{Backoff, Miner};
use shared::chain::abi::{Abi, MinerPoStStates};
use shared::chain::{calls, Address, Epoch};
use shared::wire::DecodeError;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Messages for one miner's lateness, at most.
const MAX_ATTEMPTS: u32 = 4;
/// Blocks before the second attempt; doubled with each further one.
const RETRY: u64 = 10;
/// Miners that are slashed at one head: each is a message of ours.
const PER_HEAD: usize = 16;
/// Exit codes that mean: there is nothing to slash (any more): already slashed, inactive or not late.
const NOTHING_TO_SLASH: [u64; 2] = [44, 45];

/// Why nobody was slashed; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum SlashError {
    #[error("getLateMiners message failed: {0}")]
    LateMiners(ChainError),
    #[error("deserializing MinerPoStStates failed: {0}")]
    States(#[from] DecodeError),
    #[error("slashStorageFault message failed: {0}")]
    Slash(ChainError),
}

/// Slashes until the process ends.
pub fn start(miner: Arc<Miner>) {
    tokio::spawn(async move {
        let mut heads = miner.chain.heads();
        let mut slasher = Slasher::default();
        let mut backoff = Backoff::default();
        while heads.changed().await.is_ok() {
            let height = heads.borrow_and_update().height;
            match slasher.look(&miner, height).await {
                Ok(()) => backoff = Backoff::default(),
                Err(error) => {
                    tracing::warn!(%error, "late miners could not be slashed; trying again");
                    backoff.pause().await;
                }
            }
        }
    });
}

/// How far the slashing of one lateness has come.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Attempt {
    count: u32,
    next: Epoch,
    is_over: bool,
}

/// Remembers whom it slashed for which lateness, as long as they are late.
#[derive(Debug, Default)]
pub struct Slasher {
    attempts: BTreeMap<(Address, Epoch), Attempt>,
}

impl Slasher {
    /// Slashes who is late at `height`.
    pub async fn look(&mut self, miner: &Miner, height: Epoch) -> Result<(), SlashError> {
        if !miner.settings.now().slash {
            return Ok(());
        }
        let late = late_miners(miner).await?;
        let mut latenesses = Vec::new();
        for address in late.into_iter().filter(|address| *address != miner.address) {
            let view = miner.chain.miner(&address).await.map_err(SlashError::LateMiners)?;
            let window = view
                .filter(|view| view.slashed_at.is_none())
                .and_then(|view| view.proving_window);
            latenesses.extend(window.map(|window| (address, window.end)));
        }
        self.attempts.retain(|lateness, _| latenesses.contains(lateness));
        let due = |lateness: &(Address, Epoch)| match self.attempts.get(lateness) {
            Some(attempt) => !attempt.is_over && height >= attempt.next,
            None => true,
        };
        let due: Vec<_> = latenesses.into_iter().filter(due).take(PER_HEAD).collect();
        for lateness in due {
            let attempt = self.attempts.get(&lateness).cloned().unwrap_or_default();
            let after = slash(miner, &lateness.0, lateness.1, height, attempt).await;
            self.attempts.insert(lateness, after.map_err(SlashError::Slash)?);
        }
        Ok(())
    }
}

/// Whose proof cannot be made good any more.
async fn late_miners(miner: &Miner) -> Result<Vec<Address>, SlashError> {
    let call = calls::read(&Address::id(Address::STORAGE_MARKET), "getLateMiners");
    let returns = miner.chain.ask(&call).await.map_err(SlashError::LateMiners)?;
    let bytes = returns.first().map(Vec::as_slice).unwrap_or_default();
    Ok(MinerPoStStates::from_abi(bytes)?.0.into_keys().collect())
}

/// Sends the message for a lateness, or looks what became of it.
async fn slash(
    miner: &Miner,
    late: &Address,
    end: Epoch,
    height: Epoch,
    attempt: Attempt,
) -> Result<Attempt, ChainError> {
    let purpose = format!("slash/{late}/{end}");
    let over = Attempt {
        is_over: true,
        ..attempt.clone()
    };
    let message = miner.chain.submit(&purpose, calls::slash_storage_fault(late)).await?;
    let reason = match miner.chain.message_status(&message).await? {
        MessageStatus::Waiting | MessageStatus::Unsent => return Ok(attempt),
        MessageStatus::Mined { receipt, .. } if receipt.exit_code == 0 => {
            tracing::info!(miner = %late, window_end = %end, "slashed a miner that missed its proof");
            miner.chain.settle(&purpose)?;
            return Ok(over);
        }
        MessageStatus::Mined { receipt, .. } if NOTHING_TO_SLASH.contains(&receipt.exit_code) => {
            miner.chain.settle(&purpose)?;
            return Ok(over);
        }
        MessageStatus::Mined { receipt, .. } => receipt.error,
        MessageStatus::Dropped { reason, .. } => reason,
        MessageStatus::Unknown | MessageStatus::Pruned { .. } => return Ok(over),
    };
    miner.chain.forget(&purpose)?;
    let count = attempt.count.saturating_add(1);
    tracing::warn!(miner = %late, count, reason, "a slashing failed");
    Ok(Attempt {
        count,
        next: height.plus(RETRY << attempt.count.min(MAX_ATTEMPTS)),
        is_over: count >= MAX_ATTEMPTS,
    })
}
