//! The web listener: the page, the browser client, and how the miner is doing.
//!
//! What it says of deals is for showing progress only: unsigned, and nothing depends on it. The page learns the chain's
//! URL here and asks the chain itself for everything that matters (design §5).

use crate::commands::OPERATOR_HEADER;
use crate::miner::Miner;
use crate::network::Host;
use crate::store::{SectorRecord, StoreError};
use axum::extract::{Path as UrlPath, State};
use axum::http::{header, HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use cid::Cid;
use serde_json::{json, Value};
use shared::deal::{DealState, MinerDeal, MinerStage};
use shared::piece::SectorLayout;
use shared::sector::Sector;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

/// Sectors in the status, the newest: a page shows no more.
const MAX_SECTORS_SHOWN: usize = 200;

/// Why the page is not served.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    #[error("port {port} for the web page is taken by another program: stop that one, or choose another port with --web-port")]
    PortInUse { port: u16 },
    #[error("cannot listen for the web page on port {port}: {source}; choose another port with --web-port")]
    Listen { port: u16, source: std::io::Error },
    #[error("{} is no folder, so there is nothing to serve from it; build it first with `cargo xtask build`, or name another with {option}", dir.display())]
    NoFolder { dir: PathBuf, option: &'static str },
    #[error("the web server stopped: {0}")]
    Stopped(String),
}

/// What is served.
#[derive(Debug, Clone)]
pub struct WebConfig {
    pub chain_url: String,
    /// The page's folder, at `/`.
    pub web: Option<PathBuf>,
    /// The browser client's folder, at `/client/`.
    pub client: Option<PathBuf>,
}

impl WebConfig {
    /// Fails with [`WebError::NoFolder`] when a folder that was named is not there.
    pub fn check(&self) -> Result<(), WebError> {
        for (dir, option) in [(&self.web, "--web"), (&self.client, "--client")] {
            if let Some(dir) = dir.as_ref().filter(|dir| !dir.is_dir()) {
                return Err(WebError::NoFolder {
                    dir: dir.clone(),
                    option,
                });
            }
        }
        Ok(())
    }
}

struct Shown {
    config: WebConfig,
    miner: Arc<Miner>,
    host: Host,
}

/// Takes the page's port on 127.0.0.1; 0 takes a free one.
pub async fn bind(port: u16) -> Result<TcpListener, WebError> {
    TcpListener::bind(("127.0.0.1", port))
        .await
        .map_err(|source| match source.kind() {
            std::io::ErrorKind::AddrInUse => WebError::PortInUse { port },
            _ => WebError::Listen { port, source },
        })
}

/// Serves until the process ends.
pub async fn serve(listener: TcpListener, config: WebConfig, miner: Arc<Miner>, host: Host) -> Result<(), WebError> {
    let (web, client) = (config.web.clone(), config.client.clone());
    let shown = Arc::new(Shown { config, miner, host });
    let mut router = Router::new()
        .route("/config.json", get(configuration))
        .route("/api/miner/status", get(status))
        .route("/api/miner/seal-now", post(seal_now))
        .route("/api/deals/{cid}", get(deal))
        .with_state(shown);
    if let Some(dir) = client {
        router = router.nest_service("/client", ServeDir::new(dir));
    }
    router = match web {
        Some(dir) => router.fallback_service(ServeDir::new(dir)),
        None => router.fallback(no_page),
    };
    let no_cache = HeaderValue::from_static("no-cache");
    let router = router.layer(SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, no_cache));
    axum::serve(listener, router)
        .await
        .map_err(|e| WebError::Stopped(e.to_string()))
}

async fn no_page() -> impl IntoResponse {
    (
        StatusCode::NOT_FOUND,
        "This daemon serves no web page: start it with --web DIR, or run `cargo xtask up`.\n",
    )
}

async fn configuration(State(shown): State<Arc<Shown>>) -> Json<Value> {
    Json(json!({ "chain": shown.config.chain_url, "miner": null }))
}

/// Only for programs: a page of another origin cannot send the header without asking first, and is not answered.
async fn seal_now(State(shown): State<Arc<Shown>>, headers: HeaderMap) -> StatusCode {
    if !headers.contains_key(OPERATOR_HEADER) {
        return StatusCode::FORBIDDEN;
    }
    shown.miner.seal_now.notify_one();
    StatusCode::ACCEPTED
}

/// An answer, or our own trouble.
struct Trouble(StoreError);

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        tracing::error!(error = %self.0, "the status cannot be shown");
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            Json(json!({ "error": self.0.to_string() })),
        )
            .into_response()
    }
}

async fn status(State(shown): State<Arc<Shown>>) -> Result<Json<Value>, Trouble> {
    let (miner, host) = (&shown.miner, &shown.host);
    let mut deals = BTreeMap::<&str, u64>::new();
    for record in miner.store.deals() {
        *deals.entry(record?.deal.state().name()).or_default() += 1;
    }
    let records: Vec<SectorRecord> = miner.store.sectors().collect::<Result<_, _>>()?;
    let newest = records.iter().rev().take(MAX_SECTORS_SHOWN);
    let sectors = newest
        .map(|record| sector(miner, record))
        .collect::<Result<Vec<Value>, _>>()?;
    let peer = host.peer_id();
    let multiaddrs: Vec<String> = host
        .addresses()
        .iter()
        .map(|address| format!("{address}/p2p/{peer}"))
        .collect();
    let last_post = miner.store.last_post()?;
    Ok(Json(json!({
        "address": miner.address, "owner": miner.owner, "peerId": peer.to_string(), "multiaddrs": multiaddrs,
        "sectorSize": miner.sector_size.bytes(), "price": miner.terms.price,
        "autoSealMs": miner.terms.auto_seal.as_millis() as u64,
        "height": miner.chain.heads().borrow().height, "sectors": sectors, "deals": deals,
        "lastPost": last_post.map(|post| json!({
            "windowEnd": post.window_end, "height": post.height, "message": post.message, "sectors": post.sectors,
            "at": post.at_ms,
        })),
    })))
}

fn sector(miner: &Miner, record: &SectorRecord) -> Result<Value, StoreError> {
    let sector = &record.sector;
    let pieces = sector.pieces.iter().map(
        |piece| json!({ "deal": piece.deal.to_string(), "dataCid": piece.data_cid.to_string(), "size": piece.size }),
    );
    let history = record
        .history
        .iter()
        .map(|start| json!({ "phase": start.phase, "at": start.at_ms }));
    Ok(json!({
        "id": sector.id, "phase": sector.phase(), "since": record.since_ms(),
        "estimateMs": estimate(miner, record)?, "used": used(sector), "size": sector.size.bytes(),
        "pieces": pieces.collect::<Vec<_>>(), "history": history.collect::<Vec<_>>(),
        "attempts": sector.attempts, "lastError": sector.last_error,
        "commR": sector.sealed().map(|sealed| sealed.comm_r),
    }))
}

/// How long the present phase takes: the timer while packing, otherwise what it took the last time; null when unknown.
fn estimate(miner: &Miner, record: &SectorRecord) -> Result<Option<u64>, StoreError> {
    use shared::sector::Phase;
    match record.sector.phase() {
        Phase::Packing => Ok(Some(miner.terms.auto_seal.as_millis() as u64)),
        Phase::Proving | Phase::Failed => Ok(None),
        phase => miner.store.estimate(record.sector.size, phase),
    }
}

fn used(sector: &Sector) -> u64 {
    sector.layout().as_ref().map_or(0, SectorLayout::used)
}

async fn deal(State(shown): State<Arc<Shown>>, UrlPath(cid): UrlPath<String>) -> Result<Response, Trouble> {
    let Ok(cid) = Cid::try_from(cid.as_str()) else {
        let error = json!({ "error": "this is no deal's CID" });
        return Ok((StatusCode::BAD_REQUEST, Json(error)).into_response());
    };
    let miner = &shown.miner;
    let Some(record) = miner.store.deal(&cid)? else {
        let error = json!({ "error": "no such deal", "state": DealState::Unknown.name() });
        return Ok((StatusCode::NOT_FOUND, Json(error)).into_response());
    };
    let deal = &record.deal;
    let size = deal.proposal.size();
    let transferred = match &deal.stage {
        MinerStage::Rejected { .. } => 0,
        MinerStage::Accepted => miner.staging.held(&deal.proposal.proposal.piece_ref).min(size),
        _ => size,
    };
    let sector = match sector_of(deal) {
        Some(id) => miner.store.sector(id)?,
        None => None,
    };
    let estimate = sector
        .as_ref()
        .map(|record| estimate(miner, record))
        .transpose()?
        .flatten();
    let response = deal.response();
    Ok(Json(json!({
        "deal": cid.to_string(), "state": response.state.name(), "message": response.message,
        "transferred": transferred, "size": size, "createdAt": record.created_ms,
        "sector": sector.as_ref().map(|record| record.sector.id),
        "phase": sector.as_ref().map(|record| record.sector.phase()),
        "phaseSince": sector.as_ref().map(SectorRecord::since_ms), "phaseEstimateMs": estimate,
    }))
    .into_response())
}

fn sector_of(deal: &MinerDeal) -> Option<u64> {
    match &deal.stage {
        MinerStage::Staged { sector, .. } => Some(*sector),
        MinerStage::Complete { proof, .. } => Some(proof.sector_id),
        _ => None,
    }
}
