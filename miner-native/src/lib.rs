//! The native side of Sealdrop: the storage miner's daemon, the development chain and the command line.
//!
//! The rules of a deal are in the crate `shared`; here are the edges. In the order of a deal's life:
//!
//! - [`home`]: where a node's data lies; [`wallet`]: its keys; [`sealdrop_database`]: what is true is on the disk
//! - [`sealdrop_devnet`]: the chain; [`chain_access`]: the way to it
//! - [`network`]: proposals, queries, transfer and retrieval over libp2p (steps 5 to 8, and 15)
//! - [`intake`]: whether more is taken in; [`staging`]: pieces as files (step 9); [`store`]: deals and sectors as records
//! - [`packing`], [`sealing`] and [`prover`]: from staged pieces to a committed sector (steps 10 to 12)
//! - [`proving`]: proofs-of-spacetime (step 13); [`scrubbing`]: damage found and mended before; [`redeeming`]: vouchers (step 14);
//!   [`ending`]: what comes after; [`slashing`]: other miners that are late
//! - [`client`]: the storage client of the terminal, from a file to a proof and back
//! - [`settings`]: what the operator may change; [`asking`]: the price on the chain; [`operator`]: requests to a miner
//! - [`explaining`]: why a deal or a sector is not done; [`failpoint`]: where tests kill the daemon
//! - [`web`]: the page and its status; [`daemon`]: all of it in one process; [`commands`]: the command line
#![forbid(unsafe_code)]

pub mod asking;
pub mod chain_access;
pub mod client;
pub mod commands;
pub mod daemon;
pub mod ending;
pub mod explaining;
pub mod failpoint;
pub mod home;
pub mod intake;
pub mod miner;
pub mod network;
pub mod operator;
pub mod packing;
pub mod prover;
pub mod proving;
pub mod redeeming;
pub mod registration;
pub mod scrubbing;
pub mod sealing;
pub mod settings;
pub mod slashing;
pub mod staging;
pub mod store;
#[cfg(test)]
mod testing;
pub mod web;

pub use sealdrop_wallet as wallet;
