//! Rules and types of Sealdrop's storage protocol.
//!
//! Everything that decides something about a deal is decided here, once, for the browser and for the miner. The crate
//! is `no_std` + `alloc`: it reads no clock, does no I/O and draws no randomness; hosts pass those in.
//!
//! One deal, from drop to redemption, and the module that rules each step:
//!
//! 1. file chosen
//! 2. CommP and data root computed in one pass: [`piece`]
//! 3. miner and ask chosen, proposal drawn up and reviewed with the miner's own rules: [`deal`]
//! 4. payment channel opened, vouchers signed: [`payment`]
//! 5. proposal sent: [`wire`], [`deal`]
//! 6. miner reviews, answers Accepted or Rejected: [`deal`]
//! 7. piece data transferred, every block checked: [`transfer`]
//! 8. CommP and voucher conditions checked: [`deal`], [`payment`]
//! 9. staged in a sector: [`sector`]
//! 10. sector sealed: [`sector`]
//! 11. pre-commit and commit on the chain, proof verified there: [`chain`]
//! 12. Complete, with an inclusion proof that the client checks: [`deal`], [`piece`]
//! 13. proof-of-spacetime in every window: [`sector`], [`chain`]
//! 14. vouchers redeemed as they fall due: [`payment`], [`chain`]
//! 15. file retrieved and verified: [`retrieval`]
//!
//! What a client decides on this way, in a browser or in a terminal, is in [`client`].
#![no_std]
// The WebAssembly kernel in assembly; `build.rs` says when.
#![cfg_attr(ordered_kernel, feature(asm_experimental_arch))]
// Only `piece::kernel` allows it, for vector instructions.
#![deny(unsafe_code)]

extern crate alloc;

pub mod chain;
pub mod client;
pub mod deal;
pub mod payment;
pub mod piece;
pub mod ports;
pub mod retrieval;
#[cfg(feature = "schema")]
mod schema;
pub mod sector;
pub mod transfer;
pub mod wire;
