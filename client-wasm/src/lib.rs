//! Sealdrop's storage client for the browser.
//!
//! One module, loaded by the network worker of the npm package, which speaks to chain and miners ([`client`]); files are
//! hashed by a small module of their own (`client-wasm/commp`). What a deal is and what must happen next is decided in
//! `shared`; here are the browser's edges: WebSocket ([`transport`]), libp2p ([`network`]), fetch ([`rpc`]), news of
//! heads ([`heads`]), and the page's storage ([`host`]).
//!
//! On a machine other than the browser this crate is empty.
#![forbid(unsafe_code)]

#[cfg(target_arch = "wasm32")]
pub mod channel;
#[cfg(target_arch = "wasm32")]
pub mod client;
#[cfg(target_arch = "wasm32")]
pub mod clock;
#[cfg(target_arch = "wasm32")]
pub mod driver;
#[cfg(target_arch = "wasm32")]
pub mod edge;
#[cfg(target_arch = "wasm32")]
pub mod explain;
#[cfg(target_arch = "wasm32")]
pub mod fault;
#[cfg(target_arch = "wasm32")]
pub mod heads;
#[cfg(target_arch = "wasm32")]
pub mod host;
#[cfg(target_arch = "wasm32")]
pub mod network;
#[cfg(target_arch = "wasm32")]
pub mod offer;
#[cfg(target_arch = "wasm32")]
pub mod payments;
#[cfg(target_arch = "wasm32")]
pub mod query;
#[cfg(target_arch = "wasm32")]
pub mod record;
#[cfg(target_arch = "wasm32")]
pub mod refunding;
#[cfg(target_arch = "wasm32")]
pub mod retrieve;
#[cfg(target_arch = "wasm32")]
pub mod rpc;
#[cfg(target_arch = "wasm32")]
pub mod serve;
#[cfg(target_arch = "wasm32")]
pub mod streams;
#[cfg(target_arch = "wasm32")]
pub mod transport;
#[cfg(target_arch = "wasm32")]
pub mod verify;
