//! The chain's JSON-RPC 2.0 over HTTP and WebSocket, for browsers, wallets and miners on this machine.
//!
//! This file speaks JSON-RPC; [`methods`] knows the methods, [`socket`] connections that stay open. Any web page may ask (CORS): nothing here needs a secret,
//! and every message carries its own signature.

mod methods;
mod socket;
#[cfg(test)]
mod tests;
pub(super) mod views;

use super::error::DevnetError;
use super::node::{Node, Refusal};
use super::pool::PoolError;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{header, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::Router;
use serde_json::{json, Value};
use shared::chain::{Epoch, Invalid};
use socket::Sockets;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{watch, Semaphore};
use tower_http::cors::CorsLayer;

/// Longest request, in bytes.
const MAX_BODY: usize = 1024 * 1024;
/// Most requests worked on at a time; others wait.
const MAX_AT_WORK: usize = 64;
/// How long requests under way may take to end when the chain stops.
const GRACE: Duration = Duration::from_secs(5);

/// Codes of errors: JSON-RPC's own, and from -32000 down the chain's.
pub mod code {
    use shared::ports::chain::rpc_code;

    /// It is not JSON.
    pub const PARSE: i64 = -32700;
    /// It is no JSON-RPC request, or too long.
    pub const REQUEST: i64 = -32600;
    /// There is no such method.
    pub const METHOD: i64 = -32601;
    /// A parameter is missing, unknown or malformed.
    pub const PARAMS: i64 = -32602;
    /// The chain's own fault.
    pub const INTERNAL: i64 = rpc_code::INTERNAL;
    /// The message cannot be in a block at all, as the state is.
    pub const MESSAGE_INVALID: i64 = -32001;
    /// The pool has no room for the message.
    pub const POOL: i64 = rpc_code::POOL;
    /// The faucet gives nothing.
    pub const FAUCET: i64 = -32003;
    /// There is no block at that height yet.
    pub const FUTURE: i64 = -32004;
    /// The query reverted; `data.exitCode` says how.
    pub const QUERY: i64 = rpc_code::REVERTED;
    /// The record of a peer is refused.
    pub const PEER: i64 = -32006;
    /// The message is in the block at `data.height`, and nothing more of it is kept.
    pub const PRUNED: i64 = rpc_code::PRUNED;
    /// The message's number was used by another one, which is in a block.
    pub const NONCE_USED: i64 = -32008;
    /// Another message with the same number waits.
    pub const NONCE_TAKEN: i64 = -32009;
    /// The state or block at that height is no longer kept.
    pub const PAST: i64 = -32010;
    /// There are as many connections or subscriptions as there may be.
    pub const BUSY: i64 = -32011;
}

/// An error as the asker sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RpcError {
    code: i64,
    message: String,
    hint: Option<&'static str>,
    /// The exit code of a query that reverted.
    exit_code: Option<u64>,
    /// Height of the block that a message is in of which nothing more is kept.
    height: Option<Epoch>,
}

impl RpcError {
    fn new(code: i64, message: impl std::fmt::Display) -> Self {
        Self {
            code,
            message: message.to_string(),
            hint: None,
            exit_code: None,
            height: None,
        }
    }

    fn hint(self, hint: &'static str) -> Self {
        Self {
            hint: Some(hint),
            ..self
        }
    }

    fn to_json(&self) -> Value {
        let mut data = serde_json::Map::new();
        if let Some(hint) = self.hint {
            data.insert("hint".into(), hint.into());
        }
        if let Some(exit_code) = self.exit_code {
            data.insert("exitCode".into(), exit_code.into());
        }
        if let Some(height) = self.height {
            data.insert("height".into(), height.0.into());
        }
        let mut error = json!({ "code": self.code, "message": self.message });
        if !data.is_empty() {
            error["data"] = Value::Object(data);
        }
        error
    }
}

impl From<Refusal> for RpcError {
    fn from(refusal: Refusal) -> Self {
        let error = |code| Self::new(code, &refusal);
        match &refusal {
            Refusal::Invalid(Invalid::NonceUsed { .. }) => error(code::NONCE_USED),
            Refusal::Pool(PoolError::NonceTaken { .. }) => error(code::NONCE_TAKEN),
            Refusal::TooLong(_) | Refusal::Invalid(_) => error(code::MESSAGE_INVALID),
            Refusal::Pool(_) => error(code::POOL).hint("messages leave the pool with every block"),
            Refusal::Faucet(_) => error(code::FAUCET).hint("an account gets money from the faucet once in 100 blocks"),
            Refusal::Peer(_) => error(code::PEER),
            Refusal::Future { .. } => error(code::FUTURE).hint("wait for the block"),
            Refusal::Past { .. } | Refusal::BlockForgotten { .. } => error(code::PAST),
            Refusal::Forgotten { height, .. } => Self {
                height: Some(*height),
                ..error(code::PRUNED)
            },
            Refusal::Span { .. } => error(code::PARAMS),
            Refusal::Unjudged(_) => error(code::INTERNAL).hint("try again"),
            Refusal::Query(revert) => Self {
                exit_code: Some(revert.code),
                ..error(code::QUERY)
            },
            Refusal::Host(host) => {
                tracing::error!(error = %host, "a request could not be answered");
                error(code::INTERNAL)
            }
        }
    }
}

impl From<DevnetError> for RpcError {
    fn from(error: DevnetError) -> Self {
        Refusal::Host(error).into()
    }
}

/// What requests are answered from.
#[derive(Clone)]
struct Server {
    node: Arc<Node>,
    block_time: Duration,
    at_work: Arc<Semaphore>,
    sockets: Sockets,
}

/// Serves the RPC until `stop` turns true.
pub(super) async fn serve(
    node: Arc<Node>,
    block_time: Duration,
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
) -> Result<(), DevnetError> {
    let listener = tokio::net::TcpListener::from_std(listener).map_err(DevnetError::Serve)?;
    let server = Server {
        node,
        block_time,
        at_work: Arc::new(Semaphore::new(MAX_AT_WORK)),
        sockets: Sockets::new(stop.clone()),
    };
    let sockets = server.sockets.clone();
    let router = Router::new()
        .route("/rpc", post(answer).get(socket::upgrade))
        .route("/ws", get(socket::upgrade))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(CorsLayer::permissive())
        .with_state(server);
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

async fn answer(State(server): State<Server>, body: Result<Bytes, BytesRejection>) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => {
            let error = RpcError::new(code::REQUEST, format_args!("a request has at most {MAX_BODY} bytes"));
            return reply(rejection.status(), &failure(Value::Null, &error));
        }
    };
    let request = match parse(&body) {
        Ok(request) => request,
        Err((id, error)) => return reply(StatusCode::OK, &failure(id, &error)),
    };
    match answer_to(&server, request).await {
        Some(answer) => reply(StatusCode::OK, &answer),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

/// Works on a request; `None` for a notification, which nobody waits for.
async fn answer_to(server: &Server, Request { id, method, params }: Request) -> Option<Value> {
    let result = call(server, method, params).await;
    let id = id?;
    Some(match result {
        Ok(result) => success(id, result),
        Err(error) => failure(id, &error),
    })
}

/// Runs a method on a thread that may block: the disk and proofs take their time.
async fn call(server: &Server, method: String, params: Value) -> Result<Value, RpcError> {
    let internal =
        |error: &dyn std::fmt::Display| RpcError::new(code::INTERNAL, format_args!("the request was stopped: {error}"));
    let permit = server.at_work.clone().acquire_owned().await.map_err(|e| internal(&e))?;
    let (node, block_time) = (server.node.clone(), server.block_time);
    let work = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        methods::call(&node, block_time, &method, params)
    });
    work.await.map_err(|e| internal(&e))?
}

struct Request {
    /// `None` for a notification, which nobody waits for.
    id: Option<Value>,
    method: String,
    params: Value,
}

fn parse(body: &[u8]) -> Result<Request, (Value, RpcError)> {
    let invalid = |id, message: &str| (id, RpcError::new(code::REQUEST, message));
    let value: Value = serde_json::from_slice(body).map_err(|e| {
        (
            Value::Null,
            RpcError::new(code::PARSE, format_args!("the request is not JSON: {e}")),
        )
    })?;
    let Value::Object(mut request) = value else {
        return Err(invalid(
            Value::Null,
            "a request is one JSON object; batches are not supported",
        ));
    };
    let id = request.remove("id");
    if id
        .as_ref()
        .is_some_and(|id| !matches!(id, Value::Null | Value::String(_) | Value::Number(_)))
    {
        return Err(invalid(Value::Null, "an id is a number, a string or null"));
    }
    let back = id.clone().unwrap_or_default();
    if request.get("jsonrpc").is_none_or(|version| version != "2.0") {
        return Err(invalid(back, "the field jsonrpc must be \"2.0\""));
    }
    let Some(Value::String(method)) = request.remove("method") else {
        return Err(invalid(back, "the field method must be a string"));
    };
    Ok(Request {
        id,
        method,
        params: request.remove("params").unwrap_or_default(),
    })
}

fn success(id: Value, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

fn failure(id: Value, error: &RpcError) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": error.to_json() })
}

fn reply(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
