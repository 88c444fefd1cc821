//! Slashes miners that missed their proofs and the grace after them (spec §4.12), at the usual price of gas.
//!
//! At each head the market is asked who is late. Everybody but this miner is slashed once for a lateness; an attempt that
//! failed for another reason is repeated a bounded number of times, later and later. A restart finds its messages in the
//! outbox and sends no second one.

use crate::chain_access::{ChainAccess, ChainError, MessageStatus};
use crate::on_head::{on_heads, OnHead};
use crate::settings::SettingsStore;
use crate::supervisor::{Lifeline, ServiceError};
use shared::chain::abi::{Abi, MinerPoStStates};
use shared::chain::{calls, Address, Epoch};
use shared::wire::DecodeError;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

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

/// What slashing works with.
#[derive(Clone)]
pub struct Slashing {
    /// This miner, which does not slash itself.
    pub address: Address,
    pub chain: ChainAccess,
    pub settings: Arc<SettingsStore>,
}

impl Slashing {
    /// Slashes until it is to stop.
    pub async fn run(self, lifeline: Lifeline) -> Result<(), ServiceError> {
        let (chain, slasher) = (self.chain.clone(), Slasher::default());
        on_heads(&mut Task { service: self, slasher }, &chain, &lifeline).await
    }
}

struct Task {
    service: Slashing,
    slasher: Slasher,
}

impl OnHead for Task {
    type Error = SlashError;
    const LONGEST_TICK: Duration = Duration::from_secs(300);
    const FAILED: &'static str = "late miners could not be slashed";

    async fn tick(&mut self, height: Epoch, _: &Lifeline) -> Result<(), SlashError> {
        self.slasher.tick(&self.service, height).await
    }
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
    pub async fn tick(&mut self, service: &Slashing, height: Epoch) -> Result<(), SlashError> {
        if !service.settings.now().slash {
            return Ok(());
        }
        let late = late_miners(service).await?;
        let mut latenesses = Vec::new();
        for address in late.into_iter().filter(|address| *address != service.address) {
            let view = service.chain.miner(&address).await.map_err(SlashError::LateMiners)?;
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
            let after = slash(service, &lateness.0, lateness.1, height, attempt).await;
            self.attempts.insert(lateness, after.map_err(SlashError::Slash)?);
        }
        Ok(())
    }
}

/// Whose proof cannot be made good any more.
async fn late_miners(service: &Slashing) -> Result<Vec<Address>, SlashError> {
    let call = calls::read(&Address::id(Address::STORAGE_MARKET), "getLateMiners");
    let returns = service.chain.ask(&call).await.map_err(SlashError::LateMiners)?;
    let bytes = returns.first().map(Vec::as_slice).unwrap_or_default();
    Ok(MinerPoStStates::from_abi(bytes)?.0.into_keys().collect())
}

/// Sends the message for a lateness, or looks what became of it.
async fn slash(
    service: &Slashing,
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
    let message = service.chain.submit(&purpose, calls::slash_storage_fault(late)).await?;
    let reason = match service.chain.message_status(&message).await? {
        MessageStatus::Waiting | MessageStatus::Unsent => return Ok(attempt),
        MessageStatus::Mined { receipt, .. } if receipt.is_success() => {
            tracing::info!(miner = %late, window_end = %end, "slashed a miner that missed its proof");
            service.chain.settle(&purpose)?;
            return Ok(over);
        }
        MessageStatus::Mined { receipt, .. } if NOTHING_TO_SLASH.contains(&receipt.exit_code) => {
            service.chain.settle(&purpose)?;
            return Ok(over);
        }
        MessageStatus::Mined { receipt, .. } => receipt.error,
        MessageStatus::Dropped { reason, .. } => reason,
        MessageStatus::Unknown | MessageStatus::Pruned { .. } => return Ok(over),
    };
    service.chain.forget(&purpose)?;
    let count = attempt.count.saturating_add(1);
    tracing::warn!(miner = %late, count, reason, "a slashing failed");
    Ok(Attempt {
        count,
        next: height.plus(RETRY << attempt.count.min(MAX_ATTEMPTS)),
        is_over: count >= MAX_ATTEMPTS,
    })
}
