//! The chain's JSON-RPC 2.0 over HTTP and WebSocket, for browsers, wallets and miners.
//!
//! What a request is answered with is [`super::answer`]'s; [`socket`] holds connections that stay open. What is said is
//! typed in [`shared::chain::rpc`]. Who may ask, from which pages, is [`shared::access`]'s to say: those of this machine, or everybody
//! where the chain is public ([`guard`]). Nothing here needs a secret, and every message carries its own signature.
//!
//! Own code, and not `jsonrpsee` (tried in version 0.26.1: it mounts in axum and adds eight crates), because the wire that
//! programs know would change, and some bounds would be lost:
//!
//! - its own errors have fixed numbers that mean something else here: -32005 (batch refused) is a query that reverted,
//!   -32006 (too many subscriptions) a peer's record refused, -32007 (too long) a pruned message;
//! - `chain.unsubscribe` with a named parameter is answered with false, and the subscription goes on; a notification or an id
//!   of the wrong kind is answered with `null`; binary frames and frames that are too long do not end a connection;
//! - it begins work on every request of a connection at once, however many come (`tokio::spawn` for each frame), and it
//!   waits without limit for a reader that takes nothing.
//!
//! A layer that puts this right would be as long as what is here.

#[cfg(feature = "fuzzing")]
pub(super) mod fuzzing;
mod guard;
mod socket;
#[cfg(test)]
mod tests;

use super::answer::{failure, methods, parse, success, Request};
use super::error::DevnetError;
use super::node::Node;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::request::Parts;
use axum::http::{header, HeaderMap, HeaderValue, Method as HttpMethod, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::Router;
use guard::Addresses;
use sealdrop_listener::{BoundedListener, Remote, Tls};
use serde_json::Value;
use shared::access::{network_of, Access};
use shared::chain::rpc::{code, ErrorObject, Method, Preview, ProveState, Subscribe, Unsubscribe};
use socket::Sockets;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{watch, OwnedSemaphorePermit, Semaphore};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// Longest request, in bytes: a message of the greatest length, as text.
const MAX_BODY: usize = 256 * 1024;
/// Connections at once, of them [`socket::MAX_SOCKETS`] that stay open.
const MAX_CONNECTIONS: usize = socket::MAX_SOCKETS + 64;
/// Most requests worked on at a time; others wait.
const MAX_AT_WORK: usize = 64;
/// Most costly requests that run at a time: each may verify a proof or read a whole state, and blocks are made on the same
/// processors.
const MAX_COSTLY: usize = 2;
/// How long requests under way may take to end when the chain stops: less than a daemon gives its services for that.
const GRACE: Duration = Duration::from_secs(2);

/// What requests are answered from.
#[derive(Clone)]
struct Server {
    node: Arc<Node>,
    block_time: Duration,
    at_work: Arc<Semaphore>,
    costly: Arc<Semaphore>,
    sockets: Sockets,
    addresses: Addresses,
    access: Arc<Access>,
}

/// How the RPC is served.
pub(super) struct Serving {
    pub block_time: Duration,
    pub access: Access,
    pub tls: Option<Tls>,
}

impl Server {
    fn new(node: Arc<Node>, serving: Serving, stop: watch::Receiver<bool>) -> Self {
        Self {
            node,
            block_time: serving.block_time,
            access: Arc::new(serving.access),
            at_work: Arc::new(Semaphore::new(MAX_AT_WORK)),
            costly: Arc::new(Semaphore::new(MAX_COSTLY)),
            sockets: Sockets::new(stop),
            addresses: Addresses::default(),
        }
    }
}

/// Serves the RPC until `stop` turns true.
pub(super) async fn serve(
    node: Arc<Node>,
    serving: Serving,
    listeners: Vec<TcpListener>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), DevnetError> {
    let listeners = listeners.into_iter().map(tokio::net::TcpListener::from_std);
    let listeners = listeners.collect::<Result<_, _>>().map_err(DevnetError::Serve)?;
    let listener = BoundedListener::new(listeners, MAX_CONNECTIONS).with_tls(serving.tls.clone());
    let server = Server::new(node, serving, stop.clone());
    let sockets = server.sockets.clone();
    let router = router(server).into_make_service_with_connect_info::<Remote>();
    let mut stopped = stop.clone();
    let graceful = axum::serve(listener, router).with_graceful_shutdown(async move {
        // An error means that the chain is gone: stop as well.
        let _ = stop.wait_for(|stop| *stop).await;
    });
    let late = async {
        let _ = stopped.wait_for(|stop| *stop).await;
        tokio::time::sleep(GRACE).await;
    };
    let result = tokio::select! {
        result = graceful => result.map_err(DevnetError::Serve),
        () = late => Ok(()),
    };
    sockets.closed().await;
    result
}

fn router(server: Server) -> Router {
    Router::new()
        .route("/rpc", post(answer).get(socket::upgrade))
        .route("/ws", get(socket::upgrade))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(server.clone(), guard::guard))
        .layer(pages(server.access.clone()))
        .with_state(server)
}

/// How long a browser remembers that a page may ask: one question less before each.
const ASKED_BEFORE: Duration = Duration::from_secs(600);

/// Lets the browser show answers to pages that may ask; to those of public sites on a local network only where the chain is public.
fn pages(access: Arc<Access>) -> CorsLayer {
    let is_public = access.is_public();
    let may = move |origin: &HeaderValue, request: &Parts| {
        let host = request.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let origin = origin.to_str().ok();
        origin.is_some_and(|origin| access.admits_origin(origin, host.unwrap_or_default()))
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(may))
        .allow_methods([HttpMethod::POST])
        .allow_headers([header::CONTENT_TYPE])
        .allow_private_network(is_public)
        .max_age(ASKED_BEFORE)
}

/// Whether a body is said to be JSON. A page of another site cannot say so without being asked by the browser whether it may.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

async fn answer(
    State(server): State<Server>,
    ConnectInfo(Remote(from)): ConnectInfo<Remote>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    if !is_json(&headers) {
        let error = ErrorObject::new(code::REQUEST, "send the request as Content-Type: application/json");
        return reply(StatusCode::UNSUPPORTED_MEDIA_TYPE, &failure(Value::Null, &error));
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) => {
            let error = ErrorObject::new(code::REQUEST, format_args!("a request has at most {MAX_BODY} bytes"));
            return reply(rejection.status(), &failure(Value::Null, &error));
        }
    };
    let request = match parse(&body) {
        Ok(request) => request,
        Err((id, error)) => return reply(StatusCode::OK, &failure(id, &error)),
    };
    match answer_to(&server, from.ip(), request).await {
        Some(answer) => reply(StatusCode::OK, &answer),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

/// Works on a request; `None` for a notification, which nobody waits for.
async fn answer_to(server: &Server, from: IpAddr, Request { id, method, params }: Request) -> Option<Value> {
    let result = call(server, from, method, params).await;
    let id = id?;
    Some(match result {
        Ok(result) => success(id, result),
        Err(error) => failure(id, &error),
    })
}

/// Runs a method on a thread that may block: the disk and proofs take their time.
async fn call(server: &Server, from: IpAddr, method: String, params: Value) -> Result<Value, ErrorObject> {
    if [Subscribe::NAME, Unsubscribe::NAME].contains(&method.as_str()) {
        return Err(methods::needs_socket());
    }
    let internal = |error: &dyn std::fmt::Display| {
        ErrorObject::new(code::INTERNAL, format_args!("the request was stopped: {error}"))
    };
    // A costly request waits for its turn before it takes one of the places that everybody shares.
    let turn = match is_costly(&method, &params) {
        true => Some(turn(server, from).await?),
        false => None,
    };
    let permit = server.at_work.clone().acquire_owned().await.map_err(|e| internal(&e))?;
    let (node, block_time) = (server.node.clone(), server.block_time);
    let work = tokio::task::spawn_blocking(move || {
        let _permits = (permit, turn);
        let chain = methods::Chain {
            node: &node,
            block_time,
            from: network_of(from),
        };
        methods::call(&chain, &method, params)
    });
    work.await.map_err(|e| internal(&e))?
}

/// Whether a request is a preview, or wants a proof of a past state.
fn is_costly(method: &str, params: &Value) -> bool {
    method == Preview::NAME
        || method == ProveState::NAME && params.get("height").is_some_and(|height| !height.is_null())
}

/// Counts a costly request, and waits until it may run.
async fn turn(server: &Server, from: IpAddr) -> Result<OwnedSemaphorePermit, ErrorObject> {
    let counted = server.addresses.charge(from, guard::COSTLY - 1, Instant::now());
    counted.map_err(|refused| ErrorObject::new(code::BUSY, refused))?;
    let permit = server.costly.clone().acquire_owned().await;
    permit.map_err(|error| ErrorObject::new(code::INTERNAL, error))
}

fn reply(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
