//! Rules and types of Sealdrop's storage protocol.
//!
//! # A deal's life
//!
//! | | what happens | decided by |
//! |-|-|-|
//! | 1 | a file is chosen | |
//! | 2 | CommP and data root are computed, in one pass over its bytes | [`piece::PieceDigest`] |
//! | 3 | miner and ask are chosen; the proposal is drawn up and reviewed by the client with the miner's own rules | [`deal::Draft`] |
//! | 4 | a payment channel is opened, vouchers are signed | [`payment::unsigned_vouchers`] |
//! | 5 | the signed proposal is sent | [`deal::SignedProposal`], [`wire`] |
//! | 6 | the miner reviews it and answers Accepted or Rejected, signed | [`deal::review()`] |
//! | 7 | the miner pulls the piece; every block is checked | [`transfer::Puller`] |
//! | 8 | CommP and the vouchers' conditions are checked | [`deal::MinerDeal`], [`payment::Predicate`] |
//! | 9 | the piece is placed in a sector | [`piece::SectorLayout`] |
//! | 10 | the sector is sealed | [`sector::Sector`] |
//! | 11 | pre-commit and commit go on the chain, which verifies the proof | [`chain::apply()`], [`chain::actors`] |
//! | 12 | Complete, with an inclusion proof that the client checks | [`deal::verification`] |
//! | 13 | a proof-of-spacetime in every window | [`sector::post_duty`] |
//! | 14 | vouchers are redeemed as they fall due; what is left goes back to the client | [`payment::next_redemption`], [`deal::Refund`] |
//! | 15 | the file is retrieved and verified | [`retrieval`], [`piece::PieceDigest`] |
//!
//! How a file that is larger than a sector becomes pieces with a deal each, and comes back, is in [`mod@file`].
//! What a client decides on this way, in a browser or in a terminal, is in [`client`]. Why a deal is not further, and when it will be,
//! tells [`explain::deal`].
//!
//! # How the rules are written
//!
//! Everything that decides something about a deal is decided here, once, for the browser and for the miner. The crate is
//! `no_std` + `alloc`: it reads no clock, does no I/O and draws no randomness; hosts pass those in.
//!
//! What lives long is a state machine: [`deal::ClientDeal`], [`deal::MinerDeal`], [`sector::Sector`], [`deal::Refund`].
//! `handle` takes an input and changes nothing when it refuses it; `effect` says what the host must do next, from the state
//! alone. A host persists the state, performs the effect, and hands in the outcome. After a crash the same state names the same
//! effect again, so performing twice must be harmless (design §4).
//!
//! In comments `spec §` means `shared/docs/protocol.md`, `design §` means `shared/docs/design.md`.
#![no_std]
// The WebAssembly kernel in assembly; `build.rs` says when.
#![cfg_attr(ordered_kernel, feature(asm_experimental_arch))]
// Only `piece::kernel` allows it, for vector instructions.
#![deny(unsafe_code)]
// Peers choose many of the numbers here. Tests may reckon as they like; what goes wrong fails them.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

extern crate alloc;

pub mod access;
pub mod chain;
pub mod client;
pub mod deal;
pub mod exit_code;
pub mod explain;
pub mod file;
pub mod payment;
pub mod piece;
pub mod ports;
pub mod retrieval;
#[cfg(feature = "schema")]
mod schema;
pub mod sector;
pub mod transfer;
pub mod wire;
