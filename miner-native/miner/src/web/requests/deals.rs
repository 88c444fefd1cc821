//! Deals: listed, shown, explained, and their vouchers redeemed.

use super::input::{Asking, DealPath, Input, Of};
use super::{detached, parse, Answer, ApiError, Asked};
use crate::operator::{DealDetail, DealFilter, DealSummary, RedeemOutcome, RedeemRequest};
use crate::redeeming::{self, RedeemError};
use crate::store::DealRecord;
use crate::web::views;
use axum::extract::State;
use axum::Json;
use sealdrop_database::blocking;
use shared::chain::{exit, AttoFil};
use shared::explain::deal::{Audience, Explanation};

pub(super) async fn deals(State(shown): Asked, Asking(filter): Asking<DealFilter>) -> Answer<Vec<DealSummary>> {
    let is_wanted = |record: &DealRecord| {
        let payer = &record.deal.proposal.proposal.payment.payer;
        let state = record.deal.state().name();
        filter.state.as_deref().is_none_or(|wanted| wanted == state)
            && filter.client.as_ref().is_none_or(|client| client == payer)
    };
    // All deals may be looked through: not while requests of others wait for this thread.
    let listed = blocking(|| {
        let most = filter.limit.unwrap_or(usize::MAX);
        let found = shown.api.store.newest_deals(most, is_wanted)?;
        let listed = found.iter().rev().map(|record| views::deal(&shown.api, record));
        listed.collect::<Result<Vec<_>, _>>()
    });
    Ok(Json(listed?))
}

pub(super) async fn deal(State(shown): Asked, Of(DealPath { cid }): Of<DealPath>) -> Answer<DealDetail> {
    let cid = parse(&cid)?;
    blocking(|| {
        let record = shown.api.store.deal(&cid)?.ok_or(ApiError::NoDeal)?;
        Ok(Json(views::detail(&shown.api, &record)?))
    })
}

pub(super) async fn explain_deal(State(shown): Asked, Of(DealPath { cid }): Of<DealPath>) -> Answer<Explanation> {
    let cid = parse(&cid)?;
    if blocking(|| shown.api.store.deal(&cid))?.is_none() {
        return Err(ApiError::NoDeal);
    }
    Ok(Json(shown.api.explainer.deal(&cid, Audience::Operator).await?))
}

pub(super) async fn redeem(
    State(shown): Asked,
    Of(DealPath { cid }): Of<DealPath>,
    Input(request): Input<RedeemRequest>,
) -> Answer<RedeemOutcome> {
    let (api, cid) = (shown.api.clone(), parse(&cid)?);
    let record = blocking(|| api.store.deal(&cid))?.ok_or(ApiError::NoDeal)?;
    let due = redeeming::redeemable(&api.redeeming, &record.deal).await?;
    let preview = api.redeeming.chain.preview(&due.call(), None).await?;
    let (gas, mut outcome) = (preview.gas, (due, None, None));
    if !request.preview {
        let deal = record.deal.clone();
        let work = async move { redeeming::redeem_now(&api.redeeming, &cid, &deal).await };
        let done = detached(&shown.lifeline, work).await??;
        outcome = (done.due, Some(done.message), Some(done.height));
    } else if preview.exit_code != exit::SUCCESS {
        let reason = preview.error;
        return Err(RedeemError::Refused { reason }.into());
    }
    let (due, message, height) = outcome;
    let vouchers = views::vouchers(&record.deal);
    let index = vouchers
        .iter()
        .position(|voucher| *voucher == due.voucher)
        .unwrap_or_default();
    Ok(Json(RedeemOutcome {
        voucher: views::voucher(index, &due.voucher, AttoFil::ZERO),
        gain: due.gain,
        gas,
        message,
        height,
    }))
}
