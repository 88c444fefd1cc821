//! The chain's JSON-RPC 2.0, typed: every method with its parameters, its result and the errors that it answers with.
//!
//! The server of the development chain (`miner-native`) and both clients (the browser's and the daemon's) are written
//! against these types, so that no method name, parameter or error code is spelt twice. `docs/chain.openrpc.json` is
//! written from them (feature `schema`, see `openrpc`).
//!
//! - [`methods`]: the methods, one type each, which holds the parameters
//! - [`views`]: results that [`super::view`] has no type for
//! - [`code`]: error codes; exit codes of messages are in [`super::exit`]
//! - [`Request`], [`Response`], [`Notification`], [`ErrorObject`]: JSON-RPC's own objects
//!
//! Over HTTP every method but the two of subscriptions is called by `POST`; over WebSocket all of them. Parameters are
//! named, and unknown names are refused, so that a mistyped one is not taken for one left out.

pub mod code;
mod encoding;
mod envelope;
pub mod methods;
#[cfg(feature = "schema")]
pub mod openrpc;
pub mod views;

pub use encoding::{Canonical, HexBytes};
pub use envelope::{ErrorData, ErrorObject, Incoming, Notification, Published, Request, Response, MAX_ANSWER, VERSION};
pub use methods::*;
pub use views::*;

use code::Code;
use serde::de::DeserializeOwned;
use serde::Serialize;

/// A method of the chain's JSON-RPC. The type itself holds the named parameters.
pub trait Method: Serialize + DeserializeOwned {
    /// The name on the wire.
    const NAME: &'static str;
    /// What it does, in a sentence or two.
    const SUMMARY: &'static str;
    /// The chain's own errors that it answers with, beside JSON-RPC's.
    const ERRORS: &'static [Code];
    type Result: Serialize + DeserializeOwned;
}

/// News that come over a connection that stays open, without being asked for each time.
pub trait Subscription {
    /// Begins it; the result numbers it among those of the connection.
    type Subscribe: Method<Result = u64>;
    /// Ends it; the result tells whether there was one.
    type Unsubscribe: Method<Result = bool>;
    /// Method of the notifications.
    const NOTIFICATION: &'static str;
    /// What each notification brings.
    type Item: Serialize + DeserializeOwned;
}

/// The newest block: at once, and with every new one. Who reads slowly may miss heads, never the newest;
/// [`methods::Blocks`] fills gaps.
pub struct Heads;

impl Subscription for Heads {
    type Subscribe = Subscribe;
    type Unsubscribe = Unsubscribe;
    const NOTIFICATION: &'static str = Head::NAME;
    type Item = super::view::HeadView;
}
