//! What all parts of the miner share: who it is, what it asks, and the edges that it works through.
//!
//! Put together by [`crate::daemon`]; [`crate::network`], [`crate::sealing`] and [`crate::proving`] hold it.

use crate::chain_access::ChainAccess;
use crate::intake::Intake;
use crate::prover::Prover;
use crate::settings::Keeper;
use crate::staging::Staging;
use crate::store::MinerStore;
use shared::chain::verifier::Verifier;
use shared::chain::{Address, Policy, SecretKey};
use shared::piece::SectorSize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Notify;

/// One miner.
pub struct Miner {
    pub address: Address,
    pub owner: Address,
    /// Signs answers; the owner's key too, on this miner.
    pub worker: SecretKey,
    pub sector_size: SectorSize,
    pub policy: Policy,
    pub settings: Keeper,
    pub store: MinerStore,
    pub staging: Staging,
    pub chain: ChainAccess,
    pub prover: Prover,
    pub intake: Intake,
    /// Checks our own proofs before they are sent.
    pub verifier: Verifier,
    /// Held while a redemption is decided on, sent or followed.
    pub redeeming: tokio::sync::Mutex<()>,
    /// Rung when a deal's piece was received.
    pub received: Notify,
    /// Rung when the operator wants what is staged to be sealed now.
    pub seal_now: Notify,
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    // A clock before 1970 is taken for 1970: progress then shows long times, and nothing else depends on it.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Waiting times between attempts: doubled from a second to half a minute.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: Self::FIRST }
    }
}

impl Backoff {
    const FIRST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(30);

    /// Waits before the next attempt.
    pub async fn pause(&mut self) {
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 2).min(Self::LONGEST);
    }
}
