//! What lets somebody who knows nothing of a chain but its genesis id check what an endpoint says of it.
//!
//! Every block has a [`BlockHeader`] that the chain's authority signs, with a root over the block's messages and their receipts
//! and a root over the state after it. Who shows something of the chain sends along the header and a [`Path`] to one of the roots;
//! an endpoint can then withhold, or show what is old, but not invent. What remains believed is the one authority itself.
//!
//! How to check (all of it pure, for input that may be hostile):
//! 1. [`Anchor::open`]: the genesis record's bytes, whose hash is the genesis id, name the authority and the network's rules.
//! 2. [`SignedHeader::check`]: the authority signed the header, and it is of this network. The result is a [`CheckedHeader`].
//! 3. [`MessageProof::check`]: the message is in that header's block, with this receipt;
//!    [`StateProof::check`]: the state after that block has these entries, and has none under those keys.
//! 4. [`Follower::take`] compares the headers that were seen: two that cannot be of one chain, both signed, are an [`Equivocation`].
//!
//! All types have one canonical CBOR form ([`crate::wire::encode`]); [`crate::wire::cbor::decode_bounded`] with [`MAX_ITEMS`] and at most
//! [`MAX_PROOF_BYTES`] is how to read what came from outside. A chain makes the trees ([`Tree`], [`StateTree`]) and signs; the
//! development chain does not yet, and no client asks for it.

pub mod anchor;
pub mod entries;
pub mod follower;
pub mod header;
pub mod merkle;
pub mod proofs;
pub mod state_tree;

pub use anchor::{Anchor, AnchorError};
pub use entries::{MinerEntry, SectorEntry, StateEntry, StateKey};
pub use follower::{Equivocation, Follower};
pub use header::{BlockHeader, CheckedHeader, HeaderError, SignedHeader};
pub use merkle::{Hash, Path, PathError, Tree};
pub use proofs::{EntryProof, MessageProof, Neighbour, Occurrence, ProofError, StateProof};
pub use state_tree::StateTree;

/// Longest proof that is read: a message of the greatest length (its parameters are bounded) and its path, or the most entries.
pub const MAX_PROOF_BYTES: usize = 256 * 1024;
/// Most CBOR items of a proof: [`proofs::MAX_ENTRIES`] entries with two neighbours each, whose paths have some 40 items.
pub const MAX_ITEMS: usize = 16 * 1024;

#[cfg(any(test, feature = "testing"))]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "what goes wrong fails the test"
)]
pub mod testing;
#[cfg(test)]
mod tests;
