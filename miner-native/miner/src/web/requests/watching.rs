//! What the operator watches beside deals and sectors: the machine, peers, money, proofs, the log, alerts.

use super::input::{Asking, Input};
use super::{Answer, ApiError, Asked};
use crate::clock::now_ms;
use crate::intake;
use crate::logging::MAX_LINES;
use crate::machine;
use crate::operator::token::Scope;
use crate::operator::{
    AlertsStatus, ChannelSummary, ConfigurationView, Disk, Earnings, LogChange, LogQuery, LogTail, Machine, Memory,
    MissedWindow, Peers, ProofsMade, WhoAmI, Window,
};
use crate::store::{DealRecord, RedemptionRecord, StoreError};
use crate::web::{views, Api};
use axum::extract::State;
use axum::{Extension, Json};
use sealdrop_database::blocking;
use shared::chain::view::MinerView;
use shared::chain::{Address, AttoFil, ChannelId};
use std::collections::BTreeMap;
use std::sync::PoisonError;

/// Connections, channels and proofs that are named in one answer.
const MOST_PEERS: usize = 256;
const MOST_CHANNELS: usize = 256;
const MOST_PROOFS: usize = 100;
/// Deals that are looked through for one answer about money.
const MOST_DEALS: usize = 10_000;
/// Lines of the log in an answer, unless the request says otherwise.
const USUAL_LINES: usize = 200;

pub(super) async fn who_am_i(Extension(scope): Extension<Scope>) -> Json<WhoAmI> {
    Json(WhoAmI { scope })
}

pub(super) async fn machine(State(shown): Asked) -> Answer<Machine> {
    Ok(Json(blocking(|| seen(&shown.api))?))
}

/// The machine as it is now.
pub(crate) fn seen(api: &Api) -> Result<Machine, ApiError> {
    let of_disk = |read: fn(&std::path::Path) -> std::io::Result<u64>| read(&api.home);
    Ok(Machine {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: api.started_ms,
        now: now_ms(),
        home: api.home.display().to_string(),
        cores: machine::cores(),
        disk: Disk {
            free: of_disk(|path| fs4::available_space(path)).map_err(ApiError::Disk)?,
            total: of_disk(|path| fs4::total_space(path)).ok(),
            staging: intake::status(&api.intake)?.waiting_bytes,
        },
        memory: Memory {
            available: machine::available_memory(),
            total: machine::total_memory(),
            own: machine::own_memory(),
        },
    })
}

pub(super) async fn peers(State(shown): Asked) -> Json<Peers> {
    Json(shown.api.host.peers(MOST_PEERS))
}

pub(super) async fn earnings(State(shown): Asked) -> Answer<Earnings> {
    Ok(Json(blocking(|| earned(&shown.api))?))
}

fn earned(api: &Api) -> Result<Earnings, StoreError> {
    let mut channels: BTreeMap<(Address, ChannelId), ChannelSummary> = BTreeMap::new();
    let deals = api.store.earning(None, MOST_DEALS)?;
    let are_all = deals.len() < MOST_DEALS;
    for (cid, record) in deals {
        let payment = &record.deal.proposal.proposal.payment;
        let Some(channel) = payment.channel else { continue };
        let redemptions = api.store.redemptions(&cid)?;
        let entry = channels.entry((payment.payer.clone(), channel));
        let summary = entry.or_insert_with(|| ChannelSummary {
            payer: payment.payer.clone(),
            channel,
            deals: 0,
            promised: AttoFil::ZERO,
            redeemed: AttoFil::ZERO,
        });
        summary.deals += 1;
        summary.promised = sum(summary.promised, promised(&record));
        let gained = redemptions.iter().filter_map(RedemptionRecord::gained);
        summary.redeemed = gained.fold(summary.redeemed, sum);
    }
    let left = |channel: &ChannelSummary| channel.promised.checked_sub(channel.redeemed).unwrap_or_default();
    let outstanding = channels.values().map(left).fold(AttoFil::ZERO, sum);
    let mut channels: Vec<ChannelSummary> = channels.into_values().collect();
    channels.sort_by_key(|channel| std::cmp::Reverse(left(channel)));
    let is_whole = are_all && channels.len() <= MOST_CHANNELS;
    channels.truncate(MOST_CHANNELS);
    Ok(Earnings {
        earned: api.store.earned()?,
        outstanding,
        is_whole,
        channels,
    })
}

/// A deal's largest voucher: each is of the whole channel up to it.
fn promised(record: &DealRecord) -> AttoFil {
    let vouchers = views::vouchers(&record.deal);
    vouchers.iter().map(|voucher| voucher.amount).max().unwrap_or_default()
}

fn sum(a: AttoFil, b: AttoFil) -> AttoFil {
    a.checked_add(b).unwrap_or(a)
}

pub(super) async fn proofs(State(shown): Asked) -> Answer<ProofsMade> {
    let api = &shown.api;
    let own = api.chain.miner(&api.address).await?;
    let (posts, missed) =
        blocking(|| Ok::<_, StoreError>((api.store.newest_posts(MOST_PROOFS)?, api.store.missed_windows()?)))?;
    let period = api.policy.proving_period;
    let window = own.as_ref().and_then(|own: &MinerView| own.proving_window);
    let window = window.map(|window| Window {
        start: window.start,
        end: window.end,
    });
    let next = window.map(|window| Window {
        start: window.start.plus(period),
        end: window.end.plus(period),
    });
    let block_ms = api.chain.connected_network().block_time_ms;
    Ok(Json(ProofsMade {
        height: api.chain.heads().borrow().height,
        window,
        next_window: next,
        block_ms: (block_ms > 0).then_some(block_ms),
        missed: missed
            .into_iter()
            .map(|window_end| MissedWindow { window_end })
            .collect(),
        made: posts.into_iter().map(views::post).collect(),
    }))
}

pub(super) async fn log(State(shown): Asked, Asking(query): Asking<LogQuery>) -> Answer<LogTail> {
    let level = query.level.as_deref().unwrap_or("trace");
    let level = level
        .parse()
        .map_err(|_| ApiError::NoLevel(level.chars().take(20).collect()))?;
    let lines = query.lines.unwrap_or(USUAL_LINES).min(MAX_LINES);
    Ok(Json(shown.api.log.tail(lines, level)))
}

pub(super) async fn change_log(State(shown): Asked, Input(change): Input<LogChange>) -> Answer<LogTail> {
    let log = &shown.api.log;
    log.set_filter(&change.filter)?;
    tracing::info!(filter = log.filter(), "the operator changed which lines the log has");
    Ok(Json(log.tail(USUAL_LINES, tracing::Level::TRACE)))
}

pub(super) async fn alerts(State(shown): Asked) -> Json<AlertsStatus> {
    Json(shown.api.alerts.status())
}

pub(super) async fn test_alerts(State(shown): Asked) -> Answer<AlertsStatus> {
    Ok(Json(shown.api.alerts.test().await?))
}

pub(super) async fn configuration(State(shown): Asked) -> Json<ConfigurationView> {
    let configuration = shown.api.configuration.lock();
    Json(configuration.unwrap_or_else(PoisonError::into_inner).clone())
}
