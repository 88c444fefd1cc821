//! The storage miner: services around the rules of the crate `shared`.
//!
//! In the order of a deal's life:
//!
//! - [`network`]: proposals, queries, transfer and retrieval over libp2p (steps 5 to 8, and 15); [`intake`]: whether more is taken in
//! - [`uploads`]: pieces that clients send over HTTP instead (step 7)
//! - [`staging`]: pieces as files (step 9); [`store`]: deals, sectors and messages as records
//! - [`packing`], [`sealing`], [`prover`]: from staged pieces to a committed sector (steps 9 to 12)
//! - [`proving`]: proofs-of-spacetime (step 13); [`scrubbing`]: damage found and mended before a window finds it
//! - [`redeeming`]: vouchers (step 14); [`deal_expiry`]: what comes after; [`slashing`]: other miners that are late
//! - [`registration`] and [`worker`]: the miner's actor and whose key signs; [`ask_publisher`]: the price on the chain
//! - [`settings`]: what the operator may change; [`operator`] and [`web`]: requests to the miner, and its health
//! - [`explaining`]: why a deal or a sector is not done; [`failpoint`]: where tests kill the process
//!
//! Each service gets what it needs and nothing else ([`assembly`]), runs under one [`supervisor`], and cannot end unnoticed: an
//! unexpected end is logged, counted, shown in health and restarted with back-off (design §6). [`on_head`] wakes those that act at
//! new blocks; [`storage_check`] sees whether the disk takes what is to be remembered. Next to nothing is decided here: see `shared`.
//!
//! Several machines can serve one miner: see [`machines`]. What it stores can lie a second time elsewhere: see [`archive`].
//!
//! Below the services, and used by the program as well: [`chain_access`] is the way to a chain, whichever process it runs in;
//! [`data_dir`] where a node's data lies; [`console`] what is said to people and cannot fail; [`clock`] the time.
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

pub mod alerts;
pub mod archive;
pub mod ask_publisher;
pub mod assembly;
pub mod block_index;
pub mod chain_access;
pub mod clock;
pub mod coming;
pub mod console;
pub mod data_dir;
pub mod deal_expiry;
mod delivery_places;
pub mod descriptors;
pub mod explaining;
pub mod failpoint;
pub mod http;
pub mod intake;
pub mod logging;
mod machine;
pub mod machines;
pub mod metrics;
pub mod network;
pub mod on_head;
pub mod operator;
pub mod packing;
pub mod piece_reader;
pub mod prover;
pub mod proving;
pub mod redeeming;
pub mod registration;
pub mod scrubbing;
pub mod sealing;
pub mod self_checks;
pub mod settings;
pub mod slashing;
pub mod staging;
pub mod storage_check;
pub mod store;
pub mod supervisor;
#[cfg(test)]
mod testing;
pub mod uploads;
pub mod web;
pub mod worker;
