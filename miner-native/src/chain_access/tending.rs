//! The task beside [`super::ChainAccess`]: follows the head, and looks after messages that nobody waits for.
//!
//! A message may have been lost with the chain's pool, or dropped and thereby hold up those after it. Both are made good
//! here, so that a caller which only submits needs nothing else.

use super::error::ChainError;
use super::outbox::Stage;
use super::{ChainAccess, Gas, Inner};
use crate::devnet::DROPPED_EXIT_CODE;
use serde_json::json;
use shared::chain::view::HeadView;
use shared::chain::{calls, Address, AttoFil};
use std::sync::Weak;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// Shortest time between two looks at the head.
const FASTEST: Duration = Duration::from_millis(50);
/// Longest time between two looks at the head while the chain answers.
const SLOWEST: Duration = Duration::from_secs(1);
/// Longest time between two looks while it does not.
const AWAY: Duration = Duration::from_secs(5);
/// Blocks between two rounds of looking after messages.
const ROUND: u64 = 5;
/// Most messages looked after in a round, the lowest nonces first: the others wait for them anyhow.
const PER_ROUND: usize = 64;

/// Runs until the chain access is gone.
pub(super) async fn run(taken: oneshot::Receiver<Weak<Inner>>, news: watch::Sender<HeadView>) {
    let Ok(inner) = taken.await else { return };
    let Some(block_time) = inner
        .upgrade()
        .map(|inner| Duration::from_millis(inner.network.block_time_ms))
    else {
        return;
    };
    let pause = (block_time / 2).clamp(FASTEST, SLOWEST);
    let mut wait = pause;
    let mut last_round = None;
    loop {
        tokio::time::sleep(wait).await;
        let Some(inner) = inner.upgrade() else { return };
        let access = ChainAccess { inner };
        match look(&access, &news).await {
            Ok(height) => {
                wait = pause;
                if last_round.is_none_or(|last: u64| height.abs_diff(last) >= ROUND) {
                    last_round = Some(height);
                    if let Err(error) = tend(&access).await {
                        tracing::warn!(%error, "messages could not be looked after; the next round tries again");
                    }
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the head could not be asked for");
                wait = wait.saturating_mul(2).min(AWAY);
            }
        }
    }
}

/// Tells everybody about a new head; returns its height.
async fn look(access: &ChainAccess, news: &watch::Sender<HeadView>) -> Result<u64, ChainError> {
    let head: HeadView = access.inner.client.try_call("chain.head", json!({})).await?;
    let height = head.height.0;
    news.send_if_modified(|known| {
        let is_new = *known != head;
        *known = head;
        is_new
    });
    Ok(height)
}

/// Sends what the chain lost, records what became of the rest, and fills gaps in the nonces.
pub(super) async fn tend(access: &ChainAccess) -> Result<(), ChainError> {
    for message in access.inner.outbox.sent().into_iter().take(PER_ROUND) {
        let cid = message.cid();
        match access.look(&cid).await {
            Ok(None) => {}
            Ok(Some(receipt)) => {
                let dropped = receipt.exit_code == DROPPED_EXIT_CODE;
                access
                    .inner
                    .outbox
                    .advance(&cid, if dropped { Stage::Dropped } else { Stage::Mined })?;
            }
            Err(ChainError::Pruned { .. }) => access.inner.outbox.advance(&cid, Stage::Mined)?,
            Err(ChainError::Dropped { reason }) => tracing::warn!(message = %cid, reason, "a message was dropped"),
            Err(error) => return Err(error),
        }
    }
    fill_gap(access).await
}

/// Where a dropped message's nonce holds up those after it, a message that does nothing takes its place.
async fn fill_gap(access: &ChainAccess) -> Result<(), ChainError> {
    let _one_at_a_time = access.inner.turn.lock().await;
    let Some(highest) = access.inner.outbox.highest_nonce() else {
        return Ok(());
    };
    let next = access.actor(&access.address()).await?.map_or(0, |actor| actor.nonce);
    let free = access.inner.outbox.free_nonce(next);
    if free > highest {
        return Ok(());
    }
    let purpose = format!("gap/{free}");
    access.inner.outbox.forget(&purpose)?;
    let nothing = calls::transfer(&Address::id(Address::BURNT_FUNDS), AttoFil::ZERO);
    access.send(&purpose, nothing, Gas::default()).await?;
    access.inner.outbox.settle(&purpose)
}
