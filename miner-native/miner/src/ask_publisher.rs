//! Keeps the ask on the chain and the settings at one price (spec §7.25).
//!
//! A new price is written down, its ask sent and waited for; only then does it hold. A restart in between takes the same
//! ask up again. An ask is renewed before it ends, and published again when the chain shows another than ours. Called by
//! the program's `daemon` at the start and by [`crate::web`] for the operator; [`AskPublisher::run`] looks after it from then on.

use crate::chain_access::{ChainAccess, ChainError};
use crate::on_head::{on_heads, OnHead};
use crate::operator::{AskState, ChangedSettings};
use crate::prover::Prover;
use crate::settings::{Kept, PendingAsk, Settings, SettingsChange, SettingsError, SettingsStore, StandingAsk};
use crate::store::{MinerStore, StoreError};
use crate::supervisor::{Lifeline, ServiceError};
use cid::Cid;
use shared::chain::calls::{self, ReturnError};
use shared::chain::{Address, Epoch};
use shared::wire::DecodeError;
use std::sync::Arc;
use std::time::Duration;

/// Most blocks before its end at which an ask is renewed: a day of half-minute blocks.
const LONGEST_MARGIN: u64 = 2880;
/// Fewest blocks before its end at which an ask is renewed: the message has to get into a block.
const SHORTEST_MARGIN: u64 = 3;
/// Blocks between two looks at the chain's asks.
const EVERY: u64 = 20;

/// Why settings did not change, or the ask is not on the chain.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("the chain did not take the ask, so nothing changed: {0}")]
    Refused(ChainError),
    #[error("the chain cannot be asked now ({0}); the change is saved and takes effect when the chain answers again")]
    Delayed(ChainError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the chain's answer to the ask is unusable: {0}")]
    Returned(#[from] ReturnError),
    #[error("the chain's receipt is unusable: {0}")]
    Receipt(#[from] DecodeError),
}

/// An ask that got into a block.
struct Published {
    message: Cid,
    height: Epoch,
}

/// What publishing asks works with.
#[derive(Clone)]
pub struct AskPublisher {
    pub address: Address,
    pub store: MinerStore,
    /// Signs as the miner's worker.
    pub chain: ChainAccess,
    pub settings: Arc<SettingsStore>,
    pub prover: Arc<Prover>,
}

impl AskPublisher {
    /// Renews the ask before it ends, until it is to stop.
    pub async fn run(self, lifeline: Lifeline) -> Result<(), ServiceError> {
        let (chain, next) = (self.chain.clone(), Epoch(0));
        on_heads(&mut Task { service: self, next }, &chain, &lifeline).await
    }
}

struct Task {
    service: AskPublisher,
    /// When the chain's ask is looked at next.
    next: Epoch,
}

impl OnHead for Task {
    type Error = AskError;
    const LONGEST_TICK: Duration = Duration::from_secs(300);
    const FAILED: &'static str = "the ask cannot be renewed";

    async fn tick(&mut self, height: Epoch, _: &Lifeline) -> Result<(), AskError> {
        if height >= self.next {
            ensure(&self.service).await?;
            // A short-lived ask is looked at more often than it can end.
            let margin = self.service.settings.now().ask_blocks / 4;
            self.next = height.plus(margin.clamp(1, EVERY));
        }
        Ok(())
    }
}

/// Changes settings; returns when the chain has the ask that they need, if any.
pub async fn change(service: &AskPublisher, change: &SettingsChange) -> Result<ChangedSettings, AskError> {
    let _turn = service.settings.changing.lock().await;
    let mut kept = service.settings.kept();
    let newest = kept
        .pending
        .as_ref()
        .map_or(&kept.settings, |pending| &pending.settings);
    let after = newest.changed(change)?;
    if after.offers_like(newest) {
        // Holds at once, also beside an ask that is on its way.
        kept.settings = kept.settings.changed(change)?;
        if let Some(pending) = &mut kept.pending {
            pending.settings = after;
        }
        keep(service, kept)?;
        return Ok(changed(service.settings.now(), None));
    }
    finish(service).await?;
    plan(service, after)?;
    let published = finish(service).await?;
    Ok(changed(service.settings.now(), published))
}

fn changed(settings: Settings, published: Option<Published>) -> ChangedSettings {
    let (ask_message, ask_height) = published
        .map(|published| (published.message.to_string(), published.height))
        .unzip();
    ChangedSettings {
        settings,
        ask_message,
        ask_height,
    }
}

/// The ask that stands, for people.
pub fn standing(kept: &Kept) -> Option<AskState> {
    kept.ask
        .map(|StandingAsk { id, price, expiry }| AskState { id, price, expiry })
}

/// Makes sure that the chain has the ask of the settings; finishes what a crash interrupted.
pub async fn ensure(service: &AskPublisher) -> Result<(), AskError> {
    let _turn = service.settings.changing.lock().await;
    finish(service).await?;
    let view = service.chain.miner(&service.address).await.map_err(AskError::Delayed)?;
    let height = service.chain.heads().borrow().height;
    let kept = service.settings.kept();
    let shown = view.as_ref().and_then(|view| view.standing_ask(height));
    let ours = kept.ask.filter(|ask| ask.price == kept.settings.price);
    let stands = match (shown, ours) {
        (Some(shown), Some(ours)) => shown.id == ours.id && shown.price == ours.price,
        _ => false,
    };
    if !stands || is_ending(&kept, height) {
        plan(service, kept.settings)?;
        finish(service).await?;
    }
    Ok(())
}

/// Whether the standing ask should be renewed at `height`.
fn is_ending(kept: &Kept, height: Epoch) -> bool {
    let margin = (kept.settings.ask_blocks / 4).clamp(SHORTEST_MARGIN, LONGEST_MARGIN);
    kept.ask.is_none_or(|ask| ask.expiry <= height.plus(margin))
}

/// Writes down that an ask is to be published for these settings.
fn plan(service: &AskPublisher, settings: Settings) -> Result<(), AskError> {
    let mut kept = service.settings.kept();
    let number = kept.next_ask;
    kept.next_ask = number.saturating_add(1);
    kept.pending = Some(PendingAsk { number, settings });
    keep(service, kept)
}

/// Publishes the ask that was written down, if there is one, and switches to its settings.
/// FAIL: the process may end anywhere here. THEN: the same number gives the same message, and the switch is made again.
async fn finish(service: &AskPublisher) -> Result<Option<Published>, AskError> {
    let Some(PendingAsk { number, settings }) = service.settings.kept().pending else {
        return Ok(None);
    };
    let purpose = format!("ask-{number}");
    let call = calls::add_ask(&service.address, settings.price, settings.ask_blocks);
    let (message, receipt) = match service.chain.call(&purpose, call).await {
        Ok(done) => done,
        Err(error @ (ChainError::Failed { .. } | ChainError::Dropped { .. } | ChainError::Rpc { .. })) => {
            service.chain.forget(&purpose).map_err(AskError::Delayed)?;
            let kept = service.settings.kept();
            keep(service, Kept { pending: None, ..kept })?;
            return Err(AskError::Refused(error));
        }
        // So long ago that nobody knows what came of it: the next time it is published again, under another number.
        Err(error @ ChainError::Pruned { .. }) => {
            plan(service, settings)?;
            service.chain.settle(&purpose).map_err(AskError::Delayed)?;
            return Err(AskError::Delayed(error));
        }
        Err(error) => return Err(AskError::Delayed(error)),
    };
    let (price, expiry) = (settings.price, receipt.height.plus(settings.ask_blocks));
    let id = calls::ask_id(&receipt.receipt()?)?;
    let kept = Kept {
        settings,
        ask: Some(StandingAsk { id, price, expiry }),
        pending: None,
        ..service.settings.kept()
    };
    keep(service, kept)?;
    service.chain.settle(&purpose).map_err(AskError::Delayed)?;
    tracing::info!(%price, ask = id, %expiry, "the ask is on the chain");
    let height = receipt.height;
    Ok(Some(Published { message, height }))
}

fn keep(service: &AskPublisher, kept: Kept) -> Result<(), AskError> {
    service.store.keep_settings(&kept)?;
    service.settings.replace(kept);
    let now = service.settings.now();
    service.prover.allow(now.memory(), now.commit2_slots);
    service.prover.use_own_code(now.own_prover);
    Ok(())
}
