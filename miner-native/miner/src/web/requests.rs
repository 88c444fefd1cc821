//! What the operator asks and orders: one function for each of [`crate::operator::route`].
//!
//! Each needs a token for what it does ([`super::guard`]): to see, to give orders, or to change settings.

use super::guard::scoped;
use super::{views, Api, Shown};
use crate::ask_publisher::{self, AskError};
use crate::chain_access::ChainError;
use crate::clock::now_ms;
use crate::operator::token::Scope;
use crate::operator::{
    route, AddedPiece, ChangedSettings, DealDetail, DealFilter, DealSummary, MinedBlock, MinerStatus, MiningStatus,
    RedeemOutcome, RedeemRequest, Refusal, SectorSummary,
};
use crate::redeeming::{self, RedeemError};
use crate::settings::{Settings, SettingsChange};
use crate::staging::StagingError;
use crate::store::{DealRecord, StoreError, UNSEALED};
use crate::supervisor::{Health, Lifeline};
use crate::{intake, proving, scrubbing};
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use cid::Cid;
use futures::StreamExt;
use sealdrop_database::blocking;
use shared::chain::{exit, AttoFil};
use shared::explain::deal::{Audience, Explanation};
use shared::sector::{Phase, SectorEffect, SectorInput, SectorPiece};
use std::future::Future;
use std::sync::Arc;
use tokio::sync::oneshot;

type Asked = State<Arc<Shown>>;
type Answer<T> = Result<Json<T>, ApiError>;

/// Why a request is not answered as asked.
#[derive(Debug, thiserror::Error)]
enum ApiError {
    #[error("{0:?} is not a deal id: a deal id is a CID such as `deals list` shows")]
    NoCid(String),
    #[error("deal not found")]
    NoDeal,
    #[error("there is no sector {0}; `sealdrop miner status` shows the newest")]
    NoSector(u64),
    #[error("the miner is not known to the chain any more")]
    NoMiner,
    #[error("an empty file has nothing to store")]
    EmptyPiece,
    #[error("the file is larger than the {usable} bytes that a sector holds")]
    PieceTooLarge { usable: u64 },
    #[error("the upload was interrupted: {0}")]
    Upload(String),
    #[error("the daemon stopped in the middle; what was written down is taken up again")]
    Interrupted,
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Redeem(#[from] RedeemError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Staging(#[from] StagingError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::NoCid(_) | Self::EmptyPiece | Self::PieceTooLarge { .. } | Self::Upload(_) => StatusCode::BAD_REQUEST,
            Self::Ask(AskError::Settings(_)) => StatusCode::BAD_REQUEST,
            Self::NoDeal | Self::NoSector(_) => StatusCode::NOT_FOUND,
            Self::Ask(AskError::Delayed(_)) | Self::Chain(_) | Self::Redeem(RedeemError::Chain(_)) => {
                StatusCode::BAD_GATEWAY
            }
            Self::Store(StoreError::Sector(_)) => StatusCode::CONFLICT,
            Self::Store(StoreError::UnknownSector(_)) => StatusCode::NOT_FOUND,
            Self::Redeem(RedeemError::Store(_)) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Ask(AskError::Refused(_)) | Self::Redeem(_) => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = %self, "the operator cannot be answered");
        }
        refuse(status, self.to_string())
    }
}

pub(super) fn refuse(status: StatusCode, error: String) -> Response {
    (status, Json(Refusal { error })).into_response()
}

/// All routes, each for those whose token is for it; [`route::HEALTH`] for everybody on this machine.
pub(super) fn router(shown: &Arc<Shown>) -> Router<Arc<Shown>> {
    let read = Router::new()
        .route(route::STATUS, get(status))
        .route(route::DEALS, get(deals))
        .route(route::DEAL, get(deal))
        .route(route::DEAL_EXPLANATION, get(explain_deal))
        .route(route::SECTORS, get(sectors))
        .route(route::SECTOR_EXPLANATION, get(explain_sector))
        .route(route::MINING, get(mining))
        .route(route::SETTINGS, get(settings));
    let operate = Router::new()
        .route(route::REDEEM, post(redeem))
        .route(route::RETRY, post(retry))
        .route(route::GIVE_UP, post(give_up))
        .route(route::SEAL_NOW, post(seal_now))
        .route(route::MINING_START, post(start_mining))
        .route(route::MINING_STOP, post(stop_mining))
        .route(route::MINING_ONCE, post(mine_once))
        .route(route::ADD_PIECE, post(add_piece));
    let admin = Router::new().route(route::SETTINGS, post(change_settings));
    scoped(read, shown, Scope::Read)
        .merge(scoped(operate, shown, Scope::Operate))
        .merge(scoped(admin, shown, Scope::Admin))
        .route(route::HEALTH, get(health))
}

async fn status(State(shown): Asked) -> Answer<MinerStatus> {
    Ok(Json(blocking(|| views::status(&shown.api))?))
}

/// Answers with 503 while anything is wrong, so that whatever watches the daemon need not read on.
async fn health(State(shown): Asked) -> (StatusCode, Json<Health>) {
    let health = shown.api.health.health();
    let status = match health.ok {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(health))
}

async fn deals(State(shown): Asked, Query(filter): Query<DealFilter>) -> Answer<Vec<DealSummary>> {
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

fn parse(text: &str) -> Result<Cid, ApiError> {
    Cid::try_from(text).map_err(|_| ApiError::NoCid(text.chars().take(100).collect()))
}

async fn deal(State(shown): Asked, Path(cid): Path<String>) -> Answer<DealDetail> {
    let cid = parse(&cid)?;
    blocking(|| {
        let record = shown.api.store.deal(&cid)?.ok_or(ApiError::NoDeal)?;
        Ok(Json(views::detail(&shown.api, &record)?))
    })
}

async fn explain_deal(State(shown): Asked, Path(cid): Path<String>) -> Answer<Explanation> {
    let cid = parse(&cid)?;
    if blocking(|| shown.api.store.deal(&cid))?.is_none() {
        return Err(ApiError::NoDeal);
    }
    Ok(Json(shown.api.explainer.deal(&cid, Audience::Operator).await?))
}

async fn explain_sector(State(shown): Asked, Path(id): Path<u64>) -> Answer<Explanation> {
    let explanation = shown.api.explainer.sector(id, Audience::Operator).await?;
    Ok(Json(explanation.ok_or(ApiError::NoSector(id))?))
}

async fn redeem(
    State(shown): Asked,
    Path(cid): Path<String>,
    Json(request): Json<RedeemRequest>,
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

/// Runs in a task of its own: an operator who hangs up does not stop it in the middle.
async fn detached<T: Send + 'static>(
    lifeline: &Lifeline,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, ApiError> {
    let (answer, done) = oneshot::channel();
    drop(lifeline.spawn("an order of the operator", async move {
        // Nobody waits for it when it fails.
        let _ = answer.send(work.await);
    }));
    done.await.map_err(|_| ApiError::Interrupted)
}

async fn sectors(State(shown): Asked) -> Answer<Vec<SectorSummary>> {
    Ok(Json(blocking(|| views::sectors(&shown.api))?))
}

/// A failed sector is tried again.
async fn retry(State(shown): Asked, Path(id): Path<u64>) -> Answer<SectorSummary> {
    let api = &shown.api;
    let record = blocking(|| api.store.advance_sector(id, SectorInput::RetryOrdered, now_ms()))?;
    tracing::info!(sector = id, "the operator ordered another try");
    api.wake.piece_arrived.notify_one();
    Ok(Json(views::sector(api, &record)?))
}

/// A failed sector is not tried again; its deals are told.
async fn give_up(State(shown): Asked, Path(id): Path<u64>) -> Answer<SectorSummary> {
    let api = &shown.api;
    let record = blocking(|| api.store.advance_sector(id, SectorInput::GivenUp, now_ms()))?;
    for deal in blocking(|| api.store.settle(id))? {
        tracing::error!(%deal, sector = id, "the deal failed with its sector");
    }
    Ok(Json(views::sector(api, &record)?))
}

async fn seal_now(State(shown): Asked) -> Answer<MiningStatus> {
    shown.api.wake.seal_now.notify_one();
    Ok(Json(mining_status(&shown.api).await?))
}

async fn mining(State(shown): Asked) -> Answer<MiningStatus> {
    Ok(Json(mining_status(&shown.api).await?))
}

async fn start_mining(State(shown): Asked) -> Answer<MiningStatus> {
    set_mining(&shown.api, true).await
}

async fn stop_mining(State(shown): Asked) -> Answer<MiningStatus> {
    set_mining(&shown.api, false).await
}

async fn set_mining(api: &Api, mining: bool) -> Answer<MiningStatus> {
    let change = SettingsChange {
        mining: Some(mining),
        ..SettingsChange::default()
    };
    ask_publisher::change(&api.ask_publisher, &change).await?;
    tracing::info!(mining, "the operator said whether new deals are taken");
    Ok(Json(mining_status(api).await?))
}

async fn mining_status(api: &Api) -> Result<MiningStatus, ApiError> {
    let all = api.chain.miners().await?;
    let own = all.iter().find(|view| view.address == api.address);
    let own = own.ok_or(ApiError::NoMiner)?;
    let (mut sealing, mut packing, mut stuck) = (0, Vec::new(), Vec::new());
    let mut phases = UNSEALED.to_vec();
    phases.push(Phase::Failed);
    for record in blocking(|| api.store.sectors_in(&phases))? {
        let sector = record.sector;
        let phase = sector.phase();
        sealing += u64::from(phase > Phase::Packing && phase < Phase::Proving);
        if phase == Phase::Packing {
            packing.push(views::filling(&sector));
        }
        if sector.effect() == SectorEffect::AwaitOperator {
            stuck.push(sector.id);
        }
    }
    Ok(MiningStatus {
        mining: api.settings.now().mining,
        address: api.address.clone(),
        height: api.chain.heads().borrow().height,
        power: own.power,
        total_power: all.iter().map(|view| view.power).fold(0, u64::saturating_add),
        collateral: own.collateral,
        proving_window: own.proving_window.map(|window| (window.start, window.end)),
        sealing,
        packing,
        stuck,
        intake: intake::status(&api.intake)?,
        proving: proving::status(&api.proving, own),
        scrub: scrubbing::status(&api.store)?,
        own_prover: api.prover.own_code(),
        jobs: api.prover.jobs(),
        health: api.health.health(),
        refused: api.host.refusals(),
        addresses: api.host.board().statuses(&api.host.advertised()),
        link: api.link.clone(),
    })
}

/// The chain's authority makes the blocks: this waits for its next one (in 2019 the miner made one itself).
async fn mine_once(State(shown): Asked) -> Answer<MinedBlock> {
    let mut heads = shown.api.chain.heads();
    let before = shown.api.chain.head().await?.height;
    // An error means that the chain adapter is gone; the head is then as it was.
    let _ = heads.wait_for(|head| head.height > before).await;
    let head = heads.borrow().clone();
    Ok(Json(MinedBlock {
        height: head.height,
        block: head.block,
    }))
}

async fn settings(State(shown): Asked) -> Json<Settings> {
    Json(shown.api.settings.now())
}

async fn change_settings(State(shown): Asked, Json(change): Json<SettingsChange>) -> Answer<ChangedSettings> {
    let publisher = shown.api.ask_publisher.clone();
    let changed = detached(&shown.lifeline, async move {
        ask_publisher::change(&publisher, &change).await
    })
    .await?;
    Ok(Json(changed?))
}

/// Stores a piece of the operator's own: staged like a deal's, kept for as long as its sector is.
async fn add_piece(State(shown): Asked, body: Body) -> Answer<AddedPiece> {
    let api = &shown.api;
    let usable = api.sector_size.usable();
    let mut import = api.staging.import()?;
    let mut stream = body.into_data_stream();
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(|e| ApiError::Upload(e.to_string()))?;
        if import.size().saturating_add(bytes.len() as u64) > usable {
            return Err(ApiError::PieceTooLarge { usable });
        }
        blocking(|| import.push(&bytes))?;
    }
    if import.size() == 0 {
        return Err(ApiError::EmptyPiece);
    }
    let summary = blocking(|| import.finish())?;
    let piece = SectorPiece {
        // No deal's id: a deal's is the CID of its proposal.
        deal: summary.data_cid,
        data_cid: summary.data_cid,
        size: summary.size,
        comm_p: summary.comm_p,
    };
    let sector = blocking(|| api.store.add_piece(piece, api.sector_size, now_ms()))?;
    tracing::info!(piece = %summary.data_cid, sector, "the operator's piece is staged");
    api.wake.piece_arrived.notify_one();
    Ok(Json(AddedPiece {
        data_cid: summary.data_cid.to_string(),
        comm_p: summary.comm_p,
        size: summary.size,
        sector,
    }))
}
