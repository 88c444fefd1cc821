//! Verifies Filecoin's proofs by itself: that a replica encodes its data (PoRep), and that replicas are stored (WindowPoSt).
//!
//! Called by whoever does not want to believe the chain about a proof: the page in a worker (`client-wasm/verify`), the terminal's
//! `client verify`, and the chain of a daemon that only verifies, through [`shared::ports::verifier`]. filecoin-proofs gives the same verdicts
//! (`miner-native/prover/tests/verdicts.rs`), but it is no library for a page: it wants files, threads and assembly.
//!
//! What a proof is about is public. [`Inputs`] makes the circuits' public inputs again from a claim (replica id, commitments, challenged nodes
//! and their parents in the graph), and Groth16's equation over BLS12-381 decides whether the proof is one of them, under a [`Key`] that is
//! known by its digest.
//!
//! ```no_run
//! # use sealdrop_verify::*;
//! # fn check(claim: &shared::ports::verifier::SealClaim, key: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! let key = Key::pinned(Circuit::PoRep, claim.sector_size, key)?;
//! check_seal(&key, claim)?; // or why not
//! # Ok(()) }
//! ```
//!
//! # What comes from strangers
//!
//! Claims and proofs do. Whatever is wrong with them is a [`Refusal`], never a panic, and costs no more than the proof that the claim's own
//! numbers ask for: a claim of more than [`MAX_WINDOW_SECTORS`] sectors is refused before anything is computed, and so is a proof of another
//! length than its partitions have. Nothing is secret, so nothing is in constant time.
//!
//! # What a verdict does not say
//!
//! A window's proof binds neither the prover id nor the randomness's top two bits; what ties a replica to its prover is CommR, whose seal
//! proof binds both. A proof can be changed into another true one of the same claim, so its bytes name nothing. Under the keys of a development
//! network everybody can make proofs of what never was (design §12).
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]
// Peers choose claims and proofs.
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

extern crate alloc;

mod batch;
mod built_in;
mod chacha;
pub mod graph;
mod inputs;
mod key;
pub mod keys;
mod refusal;
mod sum;

pub use built_in::BuiltIn;
pub use inputs::{Input, Inputs, MAX_WINDOW_SECTORS};
pub use key::{Circuit, Key, KeyError};
pub use refusal::{Point, Refusal};

use shared::ports::verifier::{SealClaim, WindowPoStClaim};

/// Bytes of one partition's proof.
pub const PARTITION_PROOF: usize = 192;

/// Whether the claim's proof shows that the replica encodes the data, at the places that its seed challenges.
///
/// # Errors
/// Why not, as [`Refusal`].
pub fn check_seal(key: &Key, claim: &SealClaim) -> Result<(), Refusal> {
    key.is_for(Circuit::PoRep, claim.sector_size)?;
    inputs::check_length(inputs::seal_partitions(claim.sector_size), &claim.proof)?;
    key.check(&Inputs::of_seal(claim)?, &claim.proof)
}

/// Whether the claim's proof shows that all its sectors are stored, at the places that its randomness challenges.
///
/// # Errors
/// Why not, as [`Refusal`].
pub fn check_window_post(key: &Key, claim: &WindowPoStClaim) -> Result<(), Refusal> {
    key.is_for(Circuit::WindowPoSt, claim.sector_size)?;
    inputs::check_sectors(claim)?;
    inputs::check_length(inputs::window_partitions(claim), &claim.proof)?;
    key.check(&Inputs::of_window(claim)?, &claim.proof)
}
