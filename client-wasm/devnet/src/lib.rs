//! A whole development network in one object: the chain of `sealdrop daemon`, and miners with a **FAKE prover**.
//!
//! For tests of what uses the client, ours and a dapp's: a deal goes its whole way without a server, in virtual time, the same every
//! time for the same seed. The chain is [`sealdrop_devnet`]'s, with its actors, pool, faucet and JSON-RPC; what a miner decides is
//! decided by [`shared`]'s machines, as in the daemon. What is fake says so: the network's name, its verifying keys
//! ([`shared::chain::verifier::FAKE_KEYS`]), and every proof, which is a hash of its claim that anybody can compute. Nothing is sealed.
//!
//! [`Devnet`] has no clock and does no I/O. Driven by the tests here natively, and in a worker by `edge`, which only wasm32 has: it gives
//! the miners a libp2p host each over message ports, so that the client's own network code is what talks to them.
#![forbid(unsafe_code)]

#[cfg(target_arch = "wasm32")]
#[path = "../../src/clock.rs"]
mod clock;
#[cfg(target_arch = "wasm32")]
mod edge;
mod faults;
mod keys;
mod miner;
mod network;
#[cfg(target_arch = "wasm32")]
#[allow(dead_code, reason = "the client uses more of it")]
#[path = "../../src/pipe.rs"]
mod pipe;

pub use faults::{FaultError, Faults, Lie};
pub use miner::{Answer, Miner, Pull, PullError};
pub use network::{Devnet, DevnetOptions, OptionError, BEGINS_MS, MAX_MINERS, NETWORK};
