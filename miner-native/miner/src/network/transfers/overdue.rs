//! Which deals' pieces are not waited for any longer: the operator's limit is over, or the deal's own deadline; or what was sent was
//! something else and nobody else came; or the deal keeps others out and nothing of it comes. The deal then fails with a code that
//! says so.

use super::{Inner, TransferManager};
use crate::clock::now_ms;
use crate::network::propose::{MAX_AWAITED, MAX_AWAITED_FREE};
use crate::store::{DealRecord, EffectKind, StoreError};
use crate::supervisor::Lifeline;
use cid::Cid;
use shared::chain::Epoch;
use shared::deal::MinerInput;
use std::collections::BTreeSet;
use std::time::Duration;

/// How often deals are looked through for those whose piece is overdue, in time and in blocks.
const SWEEP: Duration = Duration::from_secs(15);
const SWEEP_BLOCKS: u64 = 5;
/// How long others are waited for after the only sources of a deal sent something else than its piece: a client that serves from
/// several machines asks about its deal every few seconds.
const OTHERS_LIMIT_MS: u64 = 30_000;
/// From so many awaited deals on, those that do not deliver are waited for no longer than this: a proposal promises disk, and may be
/// made again. Of those that cost nothing, which have a share of the room, from so many on.
const CROWDED: u64 = MAX_AWAITED / 4 * 3;
const CROWDED_FREE: u64 = MAX_AWAITED_FREE / 4 * 3;
const CROWDED_LIMIT_MS: u64 = 300_000;
/// What health calls the look for overdue transfers.
const OVERDUE: &str = "overdue transfers";

impl TransferManager {
    /// Fails the deals whose piece did not come in time, for ever.
    pub(in crate::network) async fn sweep(self, lifeline: Lifeline) {
        let mut heads = self.inner.parts.heads.clone();
        loop {
            let height = heads.borrow_and_update().height;
            match self.inner.fail_overdue(now_ms(), height) {
                Ok(()) => lifeline.well(OVERDUE),
                Err(error) => {
                    tracing::error!(%error, "deals could not be looked through");
                    lifeline.failing(OVERDUE, &error);
                }
            }
            // The chain may be away: deals are overdue by the clock, too.
            let next = heads.wait_for(|head| head.height >= height.plus(SWEEP_BLOCKS));
            let _ = tokio::time::timeout(SWEEP, next).await;
        }
    }

    /// See [`Inner::fail_overdue`].
    #[cfg(test)]
    pub(in crate::network) fn fail_overdue(&self, now: u64, height: Epoch) -> Result<(), StoreError> {
        self.inner.fail_overdue(now, height)
    }
}

impl Inner {
    /// Fails the deal; removes what came in of its piece, unless another deal is about the same data.
    pub(super) fn give_up(&self, deal: &Cid, record: &DealRecord, input: MinerInput) {
        let reason = match self.parts.store.advance_deal(deal, input) {
            Ok(record) => record.deal.response().message,
            Err(error) => {
                tracing::error!(%deal, %error, "the deal cannot be failed");
                return;
            }
        };
        tracing::warn!(%deal, reason, "the deal failed: its piece cannot be had");
        let data = record.deal.proposal.proposal.piece_ref;
        let wanted = self.parts.store.deals_to(&[EffectKind::FetchPiece]);
        // Not to know is no reason to remove what another deal may wait for.
        let is_unwanted = wanted.is_ok_and(|open| open.iter().all(|(_, r)| r.deal.proposal.proposal.piece_ref != data));
        if is_unwanted {
            if let Err(error) = self.parts.staging.remove_partial(&data) {
                tracing::warn!(%data, %error, "what was staged of the piece stays");
            }
        }
    }

    /// Fails the deals whose piece is not waited for any longer: the operator's limit is over, or the deal's own deadline, or what was
    /// sent was something else and nobody else came.
    fn fail_overdue(&self, now: u64, height: Epoch) -> Result<(), StoreError> {
        let oldest = now.saturating_sub(self.parts.settings.now().transfer_limit_ms);
        let wrong = self.served_wrong(now);
        let awaited = self.parts.store.deals_to(&[EffectKind::FetchPiece])?;
        // Others are refused, or soon will be: who does not deliver gives its place up.
        let free = awaited.iter().filter(|(_, record)| record.deal.is_free()).count() as u64;
        let (all_crowded, free_crowded) = (awaited.len() as u64 >= CROWDED, free >= CROWDED_FREE);
        for (deal, record) in awaited {
            let is_crowded = all_crowded || (free_crowded && record.deal.is_free());
            // Over HTTP it has no source here. Another size of the same data is not what comes.
            let proposal = &record.deal.proposal;
            let is_claimed = self
                .parts
                .staging
                .is_claimed_for(&proposal.proposal.piece_ref, proposal.size());
            let is_coming = is_claimed || self.is_coming(&deal);
            let stalls = is_crowded && now.saturating_sub(record.created_ms) >= CROWDED_LIMIT_MS && !is_coming;
            let is_over = record.deal.deadline().is_some_and(|deadline| height >= deadline);
            if record.created_ms < oldest || is_over || stalls {
                self.give_up(&deal, &record, MinerInput::TransferFailed);
            } else if wrong.contains(&deal) && !is_claimed {
                self.give_up(&deal, &record, MinerInput::WrongData);
                self.deals().remove(&deal);
            }
        }
        Ok(())
    }

    /// Whether the deal's piece is sent, or waits for its first turn.
    fn is_coming(&self, deal: &Cid) -> bool {
        let deals = self.deals();
        deals
            .get(deal)
            .is_some_and(|sources| sources.running.is_some() && !sources.was_slow)
    }

    /// Deals of which a source sent something else, and for some time nobody sends anything. Whoever only asks about a deal is no
    /// source of it.
    fn served_wrong(&self, now: u64) -> BTreeSet<Cid> {
        let deals = self.deals();
        let wrong = deals.iter().filter(|(_, sources)| {
            let is_wrong = !sources.banned_peers.is_empty() && !sources.sending;
            is_wrong && now.saturating_sub(sources.banned_ms) >= OTHERS_LIMIT_MS
        });
        wrong.map(|(deal, _)| *deal).collect()
    }
}
