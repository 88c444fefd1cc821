//! Proofs that a range of bytes is part of a piece, so that a reader of some of it who has the piece CID (of version 2) trusts nobody.
//!
//! CommP is the root of a tree over quads: 127 bytes of the piece are four leaves of it. A range is widened to whole quads ([`QuadRange`]); the
//! reader hashes their bytes itself. What is left of them and right of them in the tree are sub-trees, one for each binary digit of
//! how many quads there are, and their roots from left to right are the proof ([`RangeProof`]): 64 bytes a level at the most, 2432 for
//! the largest piece. [`RangeCheck`] puts both together as the bytes stream by.
//!
//! While a piece is hashed, [`super::CommPHasher::with_outline`] keeps the roots of its slices: with [`SLICE`] that is 31 bytes for each
//! million. From these and the bytes beside the range in its first and last slice the [`Outline`] makes a proof without reading the piece again.
//! Called by the miner's HTTP listener, which makes proofs, and by clients, which check them.

use super::commitment::Commitment;
use super::commp::{CommPHasher, HasherState, PieceCommitment, PieceError};
use super::size::{PaddedSize, PieceSize, UNPADDED_QUAD};
use super::sized_cid::SizedPieceCid;
use super::tree::{zero_commitment, Forest, SubtreeRoot, TreeError, QUAD_HEIGHT};
use alloc::vec::Vec;
use core::ops::Range;

/// What an outline keeps roots of: two of these are read for a proof, some milliseconds, and the roots of 32 GiB are 1 MiB.
pub const SLICE: PaddedSize = PaddedSize::MIB;
/// Nodes of the longest proof: two for each level of the largest tree above its quads.
pub const MAX_PROOF_NODES: usize = 2 * (super::size::MAX_HEIGHT - QUAD_HEIGHT) as usize;
/// Bytes of a node.
const NODE: usize = 32;

/// Why a range is not shown to be part of a piece, or cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    #[error("bytes {first} to {end} (exclusive) are none of the {size} bytes of the piece; ask for some that it has")]
    Outside { first: u64, end: u64, size: u64 },
    #[error("{length} bytes are no proof of a range: it is made of up to {MAX_PROOF_NODES} hashes of {NODE} bytes")]
    Malformed { length: usize },
    #[error(
        "the proof has {found} hashes where this range of this piece has {expected}: it is the proof of something else"
    )]
    WrongNodes { expected: usize, found: usize },
    #[error("{found} bytes came for a range of {expected}; ask for whole quads of 127 bytes")]
    WrongLength { expected: u64, found: u64 },
    #[error("the bytes are not those of the piece: with the proof they lead to CommP {found}, and the piece's is {expected}")]
    WrongRoot { expected: Commitment, found: Commitment },
    #[error("the outline has {found} roots where the piece has {expected} slices")]
    WrongOutline { expected: u64, found: u64 },
    #[error(transparent)]
    Piece(#[from] PieceError),
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// A range of a piece's bytes, widened to whole quads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuadRange {
    size: PieceSize,
    first: u64,
    end: u64,
}

/// A sub-tree by its first quad and its height above quads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    first: u64,
    height: u8,
}

impl Part {
    fn quads(self) -> u64 {
        1 << self.height
    }

    /// Height above leaves.
    fn above_leaves(self) -> u8 {
        self.height.saturating_add(QUAD_HEIGHT)
    }
}

impl QuadRange {
    /// The quads in which these bytes are; fails unless there are some, and all are the piece's.
    pub fn around(bytes: &Range<u64>, size: PieceSize) -> Result<Self, RangeError> {
        let (first, end) = (bytes.start, bytes.end);
        if first >= end || end > size.bytes() {
            let size = size.bytes();
            return Err(RangeError::Outside { first, end, size });
        }
        Ok(Self {
            size,
            first: first / UNPADDED_QUAD,
            end: end.div_ceil(UNPADDED_QUAD),
        })
    }

    /// The bytes that are hashed for it, and have to be asked for; the last quad ends with the piece.
    pub fn bytes(&self) -> Range<u64> {
        start_of(self.first)..start_of(self.end).min(self.size.bytes())
    }

    /// Hashes that its proof has.
    pub fn nodes(&self) -> usize {
        self.left().count().saturating_add(self.right().count())
    }

    /// Levels of the piece's tree above its quads.
    fn levels(&self) -> u8 {
        self.size.padded().height().saturating_sub(QUAD_HEIGHT)
    }

    /// The sub-trees on its left, from left to right: the largest first.
    fn left(&self) -> impl Iterator<Item = Part> + use<> {
        let first = self.first;
        let part = move |height: u8| Part {
            first: first >> height >> 1 << height << 1,
            height,
        };
        (0..self.levels())
            .rev()
            .filter(move |height| first >> height & 1 == 1)
            .map(part)
    }

    /// The sub-trees on its right, from left to right: the smallest first.
    fn right(&self) -> impl Iterator<Item = Part> + use<> {
        let all = 1u64 << self.levels();
        let part_at = move |first: u64| {
            let height = first.trailing_zeros() as u8;
            (first < all).then_some(Part { first, height })
        };
        core::iter::successors(part_at(self.end), move |part| {
            part_at(part.first.saturating_add(part.quads()))
        })
    }
}

fn start_of(quad: u64) -> u64 {
    quad.saturating_mul(UNPADDED_QUAD)
}

/// The roots of what is beside a range in a piece's tree, from left to right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeProof {
    pub nodes: Vec<Commitment>,
}

impl RangeProof {
    /// The wire form: the hashes one after the other.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.nodes.iter().flat_map(|node| node.0).collect()
    }

    /// Reads the wire form; [`RangeError::Malformed`] for a length that no proof has.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RangeError> {
        let (nodes, rest) = bytes.as_chunks::<NODE>();
        if !rest.is_empty() || nodes.len() > MAX_PROOF_NODES {
            return Err(RangeError::Malformed { length: bytes.len() });
        }
        let nodes = nodes.iter().copied().map(Commitment).collect();
        Ok(Self { nodes })
    }
}

/// A range that is held against its piece CID while its bytes stream by. They are the piece's once [`Self::finish`] says so, and not before.
#[derive(Debug, Clone)]
pub struct RangeCheck {
    piece: SizedPieceCid,
    range: QuadRange,
    hasher: CommPHasher,
    right: Vec<Commitment>,
}

impl RangeCheck {
    /// Begins with a proof from anybody. The range must have been made for this piece's size.
    pub fn begin(piece: &SizedPieceCid, range: QuadRange, proof: &RangeProof) -> Result<Self, RangeError> {
        let (expected, found) = (range.nodes(), proof.nodes.len());
        let Some((left, right)) = proof.nodes.split_at_checked(range.left().count()) else {
            return Err(RangeError::WrongNodes { expected, found });
        };
        if expected != found {
            return Err(RangeError::WrongNodes { expected, found });
        }
        let roots = range.left().zip(left).map(|(part, root)| SubtreeRoot {
            height: part.above_leaves(),
            root: *root,
        });
        // As if what is on the left had been hashed here.
        let state = HasherState {
            size: range.bytes().start,
            roots: roots.collect(),
            pending: Vec::new(),
        };
        Ok(Self {
            piece: *piece,
            range,
            hasher: CommPHasher::restore(&state)?,
            right: right.to_vec(),
        })
    }

    /// Of which piece it is.
    pub fn piece(&self) -> &SizedPieceCid {
        &self.piece
    }

    /// Of which bytes.
    pub fn range(&self) -> QuadRange {
        self.range
    }

    /// Takes the next bytes of [`QuadRange::bytes`]; fails when they are too many.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), RangeError> {
        let expected = self.range.bytes();
        let end = self.hasher.size().saturating_add(bytes.len() as u64);
        if end > expected.end {
            return Err(wrong_length(&expected, end));
        }
        Ok(self.hasher.push(bytes)?)
    }

    /// Whether all of it was there and is the piece's.
    pub fn finish(self) -> Result<(), RangeError> {
        let expected = self.range.bytes();
        let end = self.hasher.size();
        if end != expected.end {
            return Err(wrong_length(&expected, end));
        }
        let right = self.range.right().zip(self.right).map(|(part, root)| SubtreeRoot {
            height: part.above_leaves(),
            root,
        });
        let whole = self.hasher.finish_under(right)?;
        let (expected, found) = (self.piece.comm_p, whole.root);
        match found == expected {
            true => Ok(()),
            false => Err(RangeError::WrongRoot { expected, found }),
        }
    }
}

fn wrong_length(range: &Range<u64>, end: u64) -> RangeError {
    RangeError::WrongLength {
        expected: range.end.saturating_sub(range.start),
        found: end.saturating_sub(range.start),
    }
}

/// The roots of a piece's slices, all of one size; the last is filled with zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    size: PieceSize,
    slice: PaddedSize,
    roots: Vec<Commitment>,
}

impl Outline {
    /// What was kept of a piece of this size; fails for another number of roots than it has slices.
    pub fn new(size: PieceSize, slice: PaddedSize, roots: Vec<Commitment>) -> Result<Self, RangeError> {
        let (expected, found) = (size.bytes().div_ceil(slice.unpadded()), roots.len() as u64);
        match expected == found {
            true => Ok(Self { size, slice, roots }),
            false => Err(RangeError::WrongOutline { expected, found }),
        }
    }

    pub(super) fn of(piece: &PieceCommitment, slice: PaddedSize, roots: Vec<Commitment>) -> Result<Self, RangeError> {
        Self::new(PieceSize::new(piece.size).map_err(PieceError::from)?, slice, roots)
    }

    /// The slices' roots, in order.
    pub fn roots(&self) -> &[Commitment] {
        &self.roots
    }

    /// The bytes that a proof of this range needs beside the roots: on its left and on its right, each within a slice.
    pub fn edges(&self, range: &QuadRange) -> [Range<u64>; 2] {
        let bytes = range.bytes();
        let slice = self.slice.unpadded();
        let begin = bytes
            .start
            .saturating_sub(bytes.start.checked_rem(slice).unwrap_or_default());
        let end = bytes.end.next_multiple_of(slice).min(self.size.bytes());
        [begin..bytes.start, bytes.end..end]
    }

    /// The proof of a range of this piece, by the bytes of [`Self::edges`].
    pub fn prove(&self, range: &QuadRange, edges: [&[u8]; 2]) -> Result<RangeProof, RangeError> {
        let [left, right] = self.edges(range);
        let sides = [(left, edges[0]), (right, edges[1])];
        for (asked, given) in &sides {
            let end = asked.start.saturating_add(given.len() as u64);
            if end != asked.end {
                return Err(wrong_length(asked, end));
            }
        }
        let [left, right] = sides;
        let of = |part, (edge, bytes): &(Range<u64>, &[u8])| self.root_of(part, edge, bytes);
        let left = range.left().map(|part| of(part, &left));
        let right = range.right().map(|part| of(part, &right));
        let nodes = left.chain(right).collect::<Result<_, _>>()?;
        Ok(RangeProof { nodes })
    }

    /// The root of a sub-tree: of whole slices, or of bytes in an edge.
    fn root_of(&self, part: Part, edge: &Range<u64>, bytes: &[u8]) -> Result<Commitment, RangeError> {
        let height = part.above_leaves();
        let zeros = || zero_commitment(height).ok_or(TreeError::Height { height });
        if start_of(part.first) >= self.size.bytes() {
            return Ok(zeros()?);
        }
        let of_slice = self.slice.height();
        if height >= of_slice {
            let first = start_of(part.first)
                .checked_div(self.slice.unpadded())
                .unwrap_or_default();
            let roots = self.roots.get(first as usize..).unwrap_or_default();
            let mut forest = Forest::new();
            for root in roots.iter().take(1 << height.saturating_sub(of_slice)) {
                forest.push(SubtreeRoot {
                    height: of_slice,
                    root: *root,
                })?;
            }
            return Ok(forest.fold()?.padded_to(height));
        }
        let from = |byte: u64| byte.saturating_sub(edge.start) as usize;
        let end = start_of(part.first.saturating_add(part.quads())).min(edge.end);
        let mut hasher = CommPHasher::new();
        hasher.push(bytes.get(from(start_of(part.first))..from(end)).unwrap_or_default())?;
        Ok(hasher.finish()?.subtree().padded_to(height))
    }
}

#[cfg(test)]
mod tests;
