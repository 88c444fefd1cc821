//! Sealdrop's storage client for the browser.
//!
//! One module, loaded by the network worker of the npm package, which speaks to chain and miners (`client`); files are
//! hashed by a small module of their own (`client-wasm/commp`). What a client decides is decided in `shared::client`, for the
//! terminal too; here are the browser's edges: WebSocket (`transport`), WebRTC (`webrtc`), all transports (`dials`), libp2p (`network`), what the
//! browser lets a page do (`surroundings`), fetch (`rpc`, `chain`),
//! news of heads (`heads`), and the page's storage (`host`), joined for one deal in `browser_host`; files of several pieces, of which each has deals, are in `files`, and the keys of encrypted ones in `encryption`. What the page gets is
//! in `public_types`.
//!
//! On a machine other than the browser only `public_types` is there, from which the package's TypeScript is written.
#![forbid(unsafe_code)]

#[cfg(target_arch = "wasm32")]
pub mod account;
#[cfg(target_arch = "wasm32")]
pub mod browser_host;
#[cfg(target_arch = "wasm32")]
pub mod chain;
#[cfg(target_arch = "wasm32")]
pub mod choosing;
#[cfg(target_arch = "wasm32")]
pub mod client;
#[cfg(target_arch = "wasm32")]
pub mod clock;
#[cfg(target_arch = "wasm32")]
pub mod dials;
#[cfg(target_arch = "wasm32")]
pub mod encryption;
#[cfg(target_arch = "wasm32")]
pub mod engine;
#[cfg(target_arch = "wasm32")]
pub mod error;
#[cfg(target_arch = "wasm32")]
pub mod files;
#[cfg(target_arch = "wasm32")]
pub mod former;
#[cfg(target_arch = "wasm32")]
pub mod heads;
#[cfg(target_arch = "wasm32")]
mod history;
#[cfg(target_arch = "wasm32")]
pub mod host;
#[cfg(target_arch = "wasm32")]
mod http;
#[cfg(target_arch = "wasm32")]
pub mod json;
#[cfg(target_arch = "wasm32")]
pub mod network;
#[cfg(target_arch = "wasm32")]
pub mod offer;
#[cfg(target_arch = "wasm32")]
pub mod patient;
#[cfg(target_arch = "wasm32")]
mod payments;
#[cfg(target_arch = "wasm32")]
pub mod piece_server;
#[cfg(target_arch = "wasm32")]
pub mod pipe;
pub mod public_types;
#[cfg(target_arch = "wasm32")]
pub mod questions;
#[cfg(target_arch = "wasm32")]
mod ranges;
#[cfg(target_arch = "wasm32")]
pub mod receipts;
#[cfg(target_arch = "wasm32")]
pub mod record;
#[cfg(target_arch = "wasm32")]
pub mod retrieve;
#[cfg(target_arch = "wasm32")]
pub mod rpc;
#[cfg(target_arch = "wasm32")]
mod signing;
#[cfg(target_arch = "wasm32")]
pub mod streams;
#[cfg(target_arch = "wasm32")]
pub mod surroundings;
#[cfg(target_arch = "wasm32")]
pub mod transport;
#[cfg(target_arch = "wasm32")]
mod uploading;
#[cfg(target_arch = "wasm32")]
pub mod webrtc;
