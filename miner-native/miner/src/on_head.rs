//! Services that do something at each block of the chain: one loop for all of them.

use crate::chain_access::ChainAccess;
use crate::supervisor::{Backoff, Lifeline, ServiceError};
use shared::chain::Epoch;
use std::future::Future;
use std::time::Duration;

/// Longest wait for a block without a sign of life; that blocks come is the chain access's business.
const BEAT: Duration = Duration::from_secs(10);

/// Something that is done at each block.
pub trait OnHead: Send {
    type Error: std::fmt::Display;

    /// Longest that one [`Self::tick`] may take before health says so, where [`Self::longest_tick`] knows no better.
    const LONGEST_TICK: Duration;
    /// What did not happen when a tick failed, for the log.
    const FAILED: &'static str;

    /// Does what is due at `height`. Whatever fails is tried again at the next block.
    fn tick(&mut self, height: Epoch, lifeline: &Lifeline) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Longest that one [`Self::tick`] may take before health says so.
    fn longest_tick(&self) -> Duration {
        Self::LONGEST_TICK
    }

    /// Longest rest after a tick that failed.
    fn longest_rest(&self) -> Duration {
        Duration::from_secs(30)
    }
}

/// Ticks at each block until the service is to stop.
pub async fn on_heads<S: OnHead>(
    service: &mut S,
    chain: &ChainAccess,
    lifeline: &Lifeline,
) -> Result<(), ServiceError> {
    let ticking = lifeline.unless_stopping(tick_for_ever(service, chain, lifeline));
    ticking.await.unwrap_or(Ok(()))
}

async fn tick_for_ever<S: OnHead>(
    service: &mut S,
    chain: &ChainAccess,
    lifeline: &Lifeline,
) -> Result<(), ServiceError> {
    let mut heads = chain.heads();
    let mut backoff = Backoff::default();
    loop {
        match tokio::time::timeout(BEAT, heads.changed()).await {
            Err(_) => {
                lifeline.beat();
                continue;
            }
            Ok(Err(_)) => return Err("the chain is not followed any more".into()),
            Ok(Ok(())) => {}
        }
        let height = heads.borrow_and_update().height;
        match lifeline
            .busy(service.longest_tick(), service.tick(height, lifeline))
            .await
        {
            Ok(()) => {
                lifeline.well("");
                backoff = Backoff::default();
            }
            Err(error) => {
                tracing::warn!(%error, "{}; trying again", S::FAILED);
                lifeline.failing("", &error);
                backoff.pause_at_most(service.longest_rest()).await;
            }
        }
    }
}
