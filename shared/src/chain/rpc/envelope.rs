//! JSON-RPC's own objects, the same for every method.

use super::{Method, Subscription};
use crate::chain::Epoch;
use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use core::fmt::Display;
use serde::{Deserialize, Serialize};

/// What the field `jsonrpc` must say.
pub const VERSION: &str = "2.0";
/// Longest answer that a client reads, in bytes: the view of a miner with thousands of sectors.
pub const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// A call of a method.
#[derive(Debug, Serialize)]
pub struct Request<'a, M> {
    jsonrpc: &'static str,
    id: u64,
    method: &'static str,
    params: &'a M,
}

impl<'a, M: Method> Request<'a, M> {
    pub fn new(id: u64, params: &'a M) -> Self {
        Self {
            jsonrpc: VERSION,
            id,
            method: M::NAME,
            params,
        }
    }
}

/// The answer to a call; a result of null reads as `None`.
#[derive(Debug, Deserialize)]
pub struct Response<T> {
    pub result: Option<T>,
    pub error: Option<ErrorObject>,
}

/// News of a subscription.
#[derive(Debug, Serialize)]
pub struct Notification<'a, T> {
    jsonrpc: &'static str,
    method: &'static str,
    params: Published<&'a T>,
}

impl<'a, T> Notification<'a, T> {
    pub fn of<S: Subscription<Item = T>>(subscription: u64, result: &'a T) -> Self {
        Self {
            jsonrpc: VERSION,
            method: S::NOTIFICATION,
            params: Published { subscription, result },
        }
    }
}

/// The parameters of a [`Notification`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published<T> {
    /// The number that the subscription was answered with.
    pub subscription: u64,
    pub result: T,
}

/// What comes over a connection with a subscription: news, or an answer, which has no params.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Incoming<T> {
    pub params: Option<Published<T>>,
    pub error: Option<ErrorObject>,
}

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorObject {
    /// One of [`super::code`].
    pub code: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<ErrorData>,
    pub message: String,
}

/// What a program can use of an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ErrorData {
    /// The exit code of a query that reverted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u64>,
    /// Height of the block that a message is in of which nothing more is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<Epoch>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Cow<'static, str>>,
}

impl ErrorObject {
    pub fn new(code: i64, message: impl Display) -> Self {
        Self {
            code,
            data: None,
            message: message.to_string(),
        }
    }

    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.data.get_or_insert_default().hint = Some(hint.into());
        self
    }

    pub fn with_exit_code(mut self, exit_code: u64) -> Self {
        self.data.get_or_insert_default().exit_code = Some(exit_code);
        self
    }

    pub fn with_height(mut self, height: Epoch) -> Self {
        self.data.get_or_insert_default().height = Some(height);
        self
    }
}
