//! The public HTTP listener: what is stored here, for everybody, free of charge and within limits (step 15 of a deal).
//!
//! [`piece`] gives pieces by their CommP (`/piece/{pieceCid}`, as Curio and other Filecoin gateways do), [`proof`] what ranges of them are
//! checked with, [`gateway`] blocks and CARs by their CIDs (`/ipfs/{cid}`, IPFS's trustless gateway). Both give bytes that whoever asked checks against their name. [`crate::uploads`]
//! takes the pieces of deals (step 7). Pages of every site may ask ([`headers`]), by whatever name; nothing of the operator's is here,
//! that is [`crate::web`]. Whatever else is served to everybody is merged into [`Http::router`].

mod blocks;
mod body;
mod gateway;
mod headers;
mod piece;
mod proof;
#[cfg(test)]
mod tests;

pub(crate) use headers::open_to_pages;

use crate::block_index::BlockIndex;
use crate::piece_reader::PieceReader;
use crate::supervisor::{Lifeline, ServiceError};
use crate::uploads::{self, Uploads};
use crate::web::catch_panic;
use axum::extract::{ConnectInfo, Request};
use axum::http::{header, HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use sealdrop_listener::{BoundedListener, Caller, Tls};
use serde_json::{json, Value};
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;

/// Connections at once: a browser opens six. Those with a body under way are fewer, by the places of [`crate::delivery_places`].
const MAX_CONNECTIONS: usize = 128;
/// Time between two signs of life.
const BEAT: Duration = Duration::from_secs(10);
/// Methods of what only reads.
const READS: &str = "GET, HEAD, OPTIONS";
/// Methods of uploads.
const UPLOADS: &str = "GET, POST, PUT, OPTIONS";

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("port {} for pieces and blocks over HTTP is taken by another program: stop that one, or choose another port with --http-port", address.port())]
    PortInUse { address: SocketAddr },
    #[error("cannot listen for HTTP on {address}: {source}; choose another port with --http-port, or another address with --http-listen")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
}

/// What is read from.
#[derive(Clone)]
pub struct Reading {
    pub reader: PieceReader,
    pub index: BlockIndex,
}

/// The service.
#[derive(Clone)]
pub struct Http {
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    /// What accepts TLS, where there is a certificate.
    pub tls: Option<Tls>,
    pub reading: Reading,
    pub uploads: Uploads,
}

impl Http {
    /// Serves until it is to stop; on `listeners`, or where they are gone, on the same addresses anew.
    pub async fn run(self, listeners: Option<Vec<TcpListener>>, lifeline: Lifeline) -> Result<(), ServiceError> {
        let listeners = match listeners {
            Some(listeners) => listeners,
            None => bind(&self.addresses)?,
        };
        let listener = BoundedListener::new(listeners, MAX_CONNECTIONS).with_tls(self.tls.clone());
        let router = self
            .router()
            .layer(middleware::from_fn_with_state(lifeline.clone(), catch_panic));
        let service = router.into_make_service_with_connect_info::<Caller>();
        let stop = lifeline.clone();
        let serving = axum::serve(listener, service).with_graceful_shutdown(async move { stop.stopping().await });
        let serving = serving.into_future();
        tokio::pin!(serving);
        loop {
            tokio::select! {
                served = &mut serving => return Ok(served?),
                // Downloads that last for hours are not waited for.
                () = lifeline.stopping() => return Ok(()),
                () = tokio::time::sleep(BEAT) => lifeline.beat(),
            }
        }
    }

    /// Everything that is served to everybody. What comes beside it, such as uploads, is merged here, each with its methods
    /// ([`open_to_pages`]).
    fn router(&self) -> Router {
        let reading = open_to_pages(reading(self.reading.clone()), READS);
        let uploads = open_to_pages(uploads::router(self.uploads.clone()), UPLOADS);
        let all = Router::new().merge(reading).merge(uploads);
        all.fallback(nothing_there).layer(middleware::from_fn(has_asked))
    }
}

/// The routes that read.
pub(crate) fn reading(reading: Reading) -> Router {
    Router::new()
        .route("/piece/{cid}", get(piece::answer))
        .route("/piece/{cid}/proof", get(proof::answer))
        .route("/ipfs/{*path}", get(gateway::answer))
        .route("/.well-known/libp2p/protocols", get(protocols))
        .with_state(reading)
}

/// Takes the addresses; port 0 takes a free one.
pub fn bind(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, HttpError> {
    addresses.iter().map(|address| bind_one(*address)).collect()
}

fn bind_one(address: SocketAddr) -> Result<TcpListener, HttpError> {
    let bound = sealdrop_listener::bind(address).and_then(TcpListener::from_std);
    bound.map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => HttpError::PortInUse { address },
        _ => HttpError::Listen { address, source },
    })
}

/// From here on the service bounds how long an answer takes: a piece may have to be unsealed first.
async fn has_asked(ConnectInfo(caller): ConnectInfo<Caller>, request: Request, next: Next) -> Response {
    caller.has_asked();
    next.run(request).await
}

/// Which of libp2p's protocols are spoken over HTTP here, and where (libp2p's specification `http`).
async fn protocols() -> Json<Value> {
    Json(json!({ "/ipfs/gateway": { "path": "/" } }))
}

async fn nothing_there() -> Response {
    let text =
        "This miner gives pieces at /piece/{pieceCid}, proofs of their ranges at /piece/{pieceCid}/proof?range=FIRST-LAST, and blocks and CARs at /ipfs/{cid}?format=raw and ?format=car.";
    refusal(StatusCode::NOT_FOUND, text)
}

/// A header that is a list: several of one name are one (RFC 9110, section 5.3).
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<&str> = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// An answer that says in words why there is no other. It is of this moment.
fn refusal(status: StatusCode, text: impl std::fmt::Display) -> Response {
    let mut response = (status, format!("{text}\n")).into_response();
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    response
}

/// An answer that may be another one after some seconds.
fn later(seconds: u32, text: impl std::fmt::Display) -> Response {
    let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, text);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// Something of ours failed.
fn trouble(error: &dyn std::error::Error) -> Response {
    tracing::error!(%error, "a request cannot be answered");
    refusal(
        StatusCode::INTERNAL_SERVER_ERROR,
        "this miner cannot read what was asked for just now; its log says why",
    )
}
