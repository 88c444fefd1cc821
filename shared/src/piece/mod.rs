//! What a piece is: its sizes, its two names (CommP and the UnixFS root), its place in a sector and the proof of it.
//!
//! A piece is the bytes of one file (design §10). The client computes both names in one pass ([`PieceDigest`]) before it
//! proposes a deal; the miner computes them again over what it received. When a sector is sealed, [`SectorLayout`] says
//! where each piece lies and [`InclusionProof`] shows a client that its piece is part of the sealed data.
//! Next in a deal's life: [`crate::deal`] for the proposal, [`crate::transfer`] for the bytes.

mod balanced;
pub mod commitment;
#[allow(
    clippy::arithmetic_side_effects,
    reason = "`push` keeps sizes below MAX_PIECE, and heights below MAX_HEIGHT"
)]
pub mod commp;
pub mod digest;
pub mod division;
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "lanes and places follow from constants, in the innermost loops"
)]
pub mod fr32;
pub mod inclusion;
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "lanes and places follow from constants, in the innermost loops"
)]
pub mod kernel;
pub mod layout;
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "lanes and places follow from constants, in the innermost loops"
)]
mod leaves;
pub mod node;
pub mod range;
pub mod size;
pub mod sized_cid;
#[allow(clippy::arithmetic_side_effects, reason = "no tree is higher than MAX_HEIGHT")]
pub mod tree;
pub mod unixfs;
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "the compiler works it out, and would refuse what goes wrong"
)]
mod zero;

pub(crate) use balanced::BalancedTree;
pub use commitment::{Commitment, CommitmentError, PieceCid};
pub use commp::{merge, CommPHasher, HasherState, PieceCommitment, PieceError};
pub use digest::{DigestError, PieceDigest, PieceSummary};
pub use division::{assemble, Division, Slice, SliceHasher, SliceNames};
pub use inclusion::{InclusionError, InclusionProof};
pub use layout::{LayoutError, Placed, SectorLayout, Segment};
pub(crate) use leaves::leaf_digests;
pub use leaves::BYTES_TOGETHER;
pub use range::{Outline, QuadRange, RangeCheck, RangeError, RangeProof};
pub use size::{padded_for, PaddedSize, PieceSize, SectorSize, SizeError};
pub use sized_cid::{PieceName, PieceNameError, SizedPieceCid};
pub use tree::{zero_commitment, SubtreeRoot, TreeError};
pub use unixfs::{Dag, DagBuilder, DagShape, NodeBuilder, UnixFsError};
