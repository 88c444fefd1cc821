//! The development chain: one process, one authority, real rules and real proofs, money without value.
//!
//! It is a **single-authority development chain**: whoever runs it holds the key that makes the blocks and could rewrite
//! them. It stands in for a network while storage is developed and shown; the actors ([`shared::chain`]) and the proofs
//! are the same that a network's nodes would run.
//!
//! Opened by the program before the miner, which reaches it over JSON-RPC like everybody else and knows nothing of this crate.
//! Inside: `rpc` takes requests, `answer` answers them, `node` decides and makes blocks, `pool` holds waiting messages, `store` keeps
//! it all. [`Devnet`](DevnetConfig) is the chain that a process runs; [`MemoryChain`] the same one without disk, clock and server, for a page
//! that has its development network in itself (`client-wasm/devnet`).

#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

mod answer;
mod block;
#[cfg(feature = "server")]
mod daemon;
mod error;
mod faucet;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod genesis;
mod memory;
mod node;
mod pool;
#[cfg(feature = "server")]
mod rpc;
mod store;
#[cfg(all(feature = "server", any(test, feature = "testing")))]
pub mod testing;
#[cfg(test)]
#[cfg(feature = "server")]
mod tests;

pub use block::{ticket_is_valid, Block};
#[cfg(feature = "server")]
pub use daemon::{Devnet, DevnetConfig, Tls};
pub use error::DevnetError;
pub use faucet::{GRANT_FIL, INTERVAL as FAUCET_INTERVAL};
pub use memory::{MemoryChain, MemoryConfig};
pub use pool::MAX_WAIT;
pub use store::{MESSAGES_KEPT, MESSAGES_KEPT_BLOCKS, STATES_KEPT};
