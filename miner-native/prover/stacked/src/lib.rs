//! StackedDRG's pre-commits: the files that filecoin-proofs writes, byte for byte, with less work.
//!
//! Called by the prover's `sector::sealing`. Pre-commit 1 labels the sector's graph, layer upon layer; pre-commit 2 hashes the
//! layers' columns, encodes the data and builds the trees that proofs open.

pub mod pre_commit2;
