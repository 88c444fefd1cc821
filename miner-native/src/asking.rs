//! Keeps the ask on the chain and the settings at one price (spec §7.25).
//!
//! A new price is written down, its ask sent and waited for; only then does it hold. A restart in between takes the same
//! ask up again. An ask is renewed before it ends, and published again when the chain shows another than ours. Called by
//! [`crate::daemon`] at the start and by [`crate::web`] for the operator; [`start`] looks after it from then on.

use crate::chain_access::ChainError;
use crate::miner::{Backoff, Miner};
use crate::operator::{AskState, ChangedSettings};
use crate::settings::{Kept, PendingAsk, Settings, SettingsChange, SettingsError, StandingAsk};
use crate::store::StoreError;
use cid::Cid;
use shared::chain::calls::{self, ReturnError};
use shared::chain::Epoch;
use shared::wire::DecodeError;
use std::sync::Arc;

/// Most blocks before its end at which an ask is renewed: a day of half-minute blocks.
const LONGEST_MARGIN: u64 = 2880;
/// Fewest blocks before its end at which an ask is renewed: the message has to get into a block.
const SHORTEST_MARGIN: u64 = 3;
/// Blocks between two looks at the chain's asks.
const LOOK: u64 = 20;

/// Why settings did not change, or the ask is not on the chain.
#[derive(Debug, thiserror::Error)]
pub enum AskingError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("the chain did not take the ask, so nothing changed: {0}")]
    Refused(ChainError),
    #[error("the chain cannot be asked now ({0}); the change is written down and is made when the chain is back")]
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

/// Changes settings; returns when the chain has the ask that they need, if any.
pub async fn change(miner: &Miner, change: &SettingsChange) -> Result<ChangedSettings, AskingError> {
    let _turn = miner.settings.changing.lock().await;
    let mut kept = miner.settings.kept();
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
        keep(miner, kept)?;
        return Ok(changed(miner.settings.now(), None));
    }
    finish(miner).await?;
    plan(miner, after)?;
    let published = finish(miner).await?;
    Ok(changed(miner.settings.now(), published))
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
pub async fn ensure(miner: &Miner) -> Result<(), AskingError> {
    let _turn = miner.settings.changing.lock().await;
    finish(miner).await?;
    let view = miner.chain.miner(&miner.address).await.map_err(AskingError::Delayed)?;
    let height = miner.chain.heads().borrow().height;
    let kept = miner.settings.kept();
    let shown = view.as_ref().and_then(|view| view.standing_ask(height));
    let ours = kept.ask.filter(|ask| ask.price == kept.settings.price);
    let stands = match (shown, ours) {
        (Some(shown), Some(ours)) => shown.id == ours.id && shown.price == ours.price,
        _ => false,
    };
    if !stands || is_ending(&kept, height) {
        plan(miner, kept.settings)?;
        finish(miner).await?;
    }
    Ok(())
}

/// Whether the standing ask should be renewed at `height`.
fn is_ending(kept: &Kept, height: Epoch) -> bool {
    let margin = (kept.settings.ask_blocks / 4).clamp(SHORTEST_MARGIN, LONGEST_MARGIN);
    kept.ask.is_none_or(|ask| ask.expiry <= height.plus(margin))
}

/// Writes down that an ask is to be published for these settings.
fn plan(miner: &Miner, settings: Settings) -> Result<(), AskingError> {
    let mut kept = miner.settings.kept();
    let number = kept.next_ask;
    kept.next_ask = number.saturating_add(1);
    kept.pending = Some(PendingAsk { number, settings });
    keep(miner, kept)
}

/// Publishes the ask that was written down, if there is one, and switches to its settings.
/// FAIL: the process may end anywhere here. THEN: the same number gives the same message, and the switch is made again.
async fn finish(miner: &Miner) -> Result<Option<Published>, AskingError> {
    let Some(PendingAsk { number, settings }) = miner.settings.kept().pending else {
        return Ok(None);
    };
    let purpose = format!("ask-{number}");
    let call = calls::add_ask(&miner.address, settings.price, settings.ask_blocks);
    let (message, receipt) = match miner.chain.call(&purpose, call).await {
        Ok(done) => done,
        Err(error @ (ChainError::Failed { .. } | ChainError::Dropped { .. } | ChainError::Rpc { .. })) => {
            miner.chain.forget(&purpose).map_err(AskingError::Delayed)?;
            let kept = miner.settings.kept();
            keep(miner, Kept { pending: None, ..kept })?;
            return Err(AskingError::Refused(error));
        }
        Err(error) => return Err(AskingError::Delayed(error)),
    };
    let (price, expiry) = (settings.price, receipt.height.plus(settings.ask_blocks));
    let id = calls::ask_id(&receipt.receipt()?)?;
    let kept = Kept {
        settings,
        ask: Some(StandingAsk { id, price, expiry }),
        pending: None,
        ..miner.settings.kept()
    };
    keep(miner, kept)?;
    miner.chain.settle(&purpose).map_err(AskingError::Delayed)?;
    tracing::info!(%price, ask = id, %expiry, "the ask is on the chain");
    let height = receipt.height;
    Ok(Some(Published { message, height }))
}

fn keep(miner: &Miner, kept: Kept) -> Result<(), AskingError> {
    miner.store.keep_settings(&kept)?;
    miner.settings.replace(kept);
    let now = miner.settings.now();
    miner.prover.allow(now.memory(), now.commit2_slots);
    miner.prover.use_own_code(now.own_prover);
    Ok(())
}

/// Renews the ask before it ends, until the process ends.
pub fn start(miner: Arc<Miner>) {
    tokio::spawn(async move {
        let mut heads = miner.chain.heads();
        let mut backoff = Backoff::default();
        let mut next = Epoch(0);
        while heads.changed().await.is_ok() {
            let height = heads.borrow_and_update().height;
            if height < next {
                continue;
            }
            match ensure(&miner).await {
                Ok(()) => {
                    // A short-lived ask is looked at more often than it can end.
                    let margin = miner.settings.now().ask_blocks / 4;
                    next = height.plus(margin.clamp(1, LOOK));
                    backoff = Backoff::default();
                }
                Err(error) => {
                    tracing::warn!(%error, "the ask cannot be renewed; trying again");
                    backoff.pause().await;
                }
            }
        }
    });
}
