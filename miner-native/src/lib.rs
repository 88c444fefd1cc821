//! The program `sealdrop`: daemon, command line and the terminal's storage client, put together from the crates beside it.
//!
//! # A deal's life, on this side
//!
//! What is decided in it is decided in the crate `shared`, whose documentation lists all fifteen steps. Here is who acts:
//!
//! | | what happens | where |
//! |-|-|-|
//! | 1–6 | a file is hashed, an offer agreed on, a channel opened, the proposal sent | [`client`], for `sealdrop client` |
//! | 5–6 | the proposal is reviewed and answered | the miner's `network` |
//! | 7–8 | the piece is pulled and checked | the miner's `network` and `staging` |
//! | 9–12 | pieces are packed into sectors, sealed and committed; proofs in processes of their own | the miner's `packing`, `sealing`, `prover` |
//! | 11 | messages become blocks, and proofs are verified | the chain, `devnet`; the way to it is `chain_access` |
//! | 13 | sectors are read, proven in every window, and repaired | the miner's `proving`, `scrubbing` |
//! | 14 | vouchers are redeemed, deals end, sectors are released | the miner's `redeeming` and what comes after it |
//! | 15 | the piece is given back, and checked by the client | the miner's `network`; [`client`] |
//!
//! A state is on the disk before anybody is told of it or anything is done because of it (design §7). [`daemon`] starts the
//! parts in order and ends them; [`commands`] reads the command line and speaks to a running daemon; [`terminal`] says what may be
//! shown.
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]
// They panic when nobody reads any more, or when the disk is full: results are errors then, everything else is lost.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod backup;
pub mod client;
pub mod commands;
pub mod configuration;
pub mod daemon;
pub mod span;
pub mod terminal;
