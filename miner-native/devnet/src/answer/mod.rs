//! What requests are answered with, whatever brings them: JSON-RPC 2.0's own objects here, the methods in [`methods`], what they show
//! in [`views`].
//!
//! Called by [`super::rpc`] for what comes over HTTP and WebSocket, and by [`super::memory`] for what comes from the same page.
//! What is said is typed in [`shared::chain::rpc`].

pub(super) mod methods;
pub(super) mod views;

use super::error::DevnetError;
use super::faucet::INTERVAL as FAUCET_INTERVAL;
use super::node::Refusal;
use super::pool::PoolError;
use serde_json::{json, Value};
use shared::chain::rpc::{code, ErrorObject, VERSION};
use shared::chain::Invalid;

impl From<Refusal> for ErrorObject {
    fn from(refusal: Refusal) -> Self {
        let error = |code| Self::new(code, &refusal);
        match &refusal {
            Refusal::Invalid(Invalid::NonceUsed { .. }) => error(code::NONCE_USED),
            Refusal::Pool(PoolError::NonceTaken { .. }) => error(code::NONCE_TAKEN),
            Refusal::TooLong(_) | Refusal::Invalid(_) => error(code::MESSAGE_INVALID),
            Refusal::Pool(_) => error(code::POOL).with_hint("messages leave the pool with every block"),
            Refusal::Faucet(_) => {
                let hint = format!("an account gets money from the faucet once in {FAUCET_INTERVAL} blocks");
                error(code::FAUCET).with_hint(hint)
            }
            Refusal::Peer(_) | Refusal::PeerId(_) => error(code::PEER),
            Refusal::Future { .. } => error(code::FUTURE).with_hint("wait for the block"),
            Refusal::Past { .. } | Refusal::BlockForgotten { .. } => error(code::PAST),
            Refusal::Unsigned { .. } => error(code::UNSIGNED).with_hint("the chain signs the headers of new blocks"),
            Refusal::Forgotten { height, .. } => error(code::PRUNED).with_height(*height),
            Refusal::Span { .. } => error(code::PARAMS),
            Refusal::Unjudged(_) => error(code::INTERNAL).with_hint("try again"),
            Refusal::Query(revert) => error(code::QUERY).with_exit_code(revert.code),
            Refusal::Host(host) => {
                tracing::error!(error = %host, "a request could not be answered");
                error(code::INTERNAL)
            }
        }
    }
}

impl From<DevnetError> for ErrorObject {
    fn from(error: DevnetError) -> Self {
        Refusal::Host(error).into()
    }
}

/// A request of JSON-RPC.
pub(super) struct Request {
    /// `None` for a notification, which nobody waits for.
    pub id: Option<Value>,
    pub method: String,
    pub params: Value,
}

/// Reads a request; on `Err`, the id to answer it under.
pub(super) fn parse(body: &[u8]) -> Result<Request, (Value, ErrorObject)> {
    let invalid = |id, message: &str| (id, ErrorObject::new(code::REQUEST, message));
    let value: Value = serde_json::from_slice(body).map_err(|e| {
        (
            Value::Null,
            ErrorObject::new(code::PARSE, format_args!("the request is not JSON: {e}")),
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
    if request.get("jsonrpc").is_none_or(|version| version != VERSION) {
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

pub(super) fn success(id: Value, result: Value) -> Value {
    json!({ "jsonrpc": VERSION, "id": id, "result": result })
}

pub(super) fn failure(id: Value, error: &ErrorObject) -> Value {
    json!({ "jsonrpc": VERSION, "id": id, "error": error })
}
