//! Some bytes of a piece from a trustless gateway, checked leaf by leaf: what is asked for, and what of the answer is handed out.
//!
//! Called by every client that wants a part of a file: the package for videos that seek and for ranges, the terminal for `--range` and for
//! drills. Nothing here does I/O, and no leaf need come in here:
//!
//! 1. [`crate::file::FileEntry::spans`] says in which pieces a range of a file lies; [`windows`] cuts that into reads that are worth a
//!    request each, a small one first.
//! 2. `RangeReader::new(root, size, bytes)` is one such read of a piece; the host fetches [`RangeReader::path`] below any miner's HTTP address.
//! 3. While [`RangeReader::wants`] says how many bytes are wanted next, the host takes exactly as many of the answer and hands them to
//!    [`RangeReader::take`], which says which of them are the caller's, or none. Where [`RangeReader::leaf`] says that it is a leaf, the host may
//!    hash it itself and hand in the digest instead ([`RangeReader::take_digest`]).
//! 4. An error means that this miner does not have the piece or lies: what was handed out holds all the same, and the next miner is asked
//!    from [`RangeReader::position`] on. What comes behind the last wanted byte is not read.
//!
//! The answer is a CAR whose frames are known beforehand but for the nodes: the piece's size says which blocks there are and how long each
//! leaf is. So nothing that a peer says makes the host hold more than [`MOST_WANTED`] bytes, and a piece has no other shape than its own.

use super::gateway::car;
use super::{LEAST_RATE, SILENCE_MS};
use crate::file::Span;
use crate::piece::node::{cid_of, digest_of, node_cid, CID_BYTES, DAG_PB, MAX_NODE_BYTES, RAW};
use crate::piece::unixfs::LEAF_BYTES;
use crate::piece::DagShape;
use crate::transfer::{checked_children, TransferFault, MAX_TRANSFER};
use crate::wire::leb128;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use cid::Cid;
use core::ops::Range;
use sha2::{Digest, Sha256};

/// Longest header of a CAR that is read: one has a root or a few of them, and nothing of it is believed.
pub const MAX_HEADER: usize = 1024;
/// Most bytes that are wanted at once: a leaf.
pub const MOST_WANTED: usize = LEAF_BYTES as usize;
/// Leaves of the longest window: little is fetched in vain when a reader goes elsewhere, and a request's way is worth it.
pub const WINDOW_LEAVES: u64 = 4;
/// Windows that are planned at once: of a film of hours nobody knows yet how much is watched.
pub const WINDOWS_AT_ONCE: usize = 64;
/// Bytes of a length in front of a frame, at most: a node's has three.
const MAX_LENGTH_BYTES: usize = 3;

/// Why a miner's answer is not read any further, or nothing can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeFault {
    #[error("bytes {start} to {end} do not lie in a piece of {size} bytes")]
    Outside { start: u64, end: u64, size: u64 },
    #[error(transparent)]
    Piece(#[from] TransferFault),
    #[error("what came is no CAR of version 1")]
    NoCar,
    #[error("another block came where {expected} belongs")]
    OtherBlock { expected: Cid },
    #[error("the bytes that came as {expected} are others")]
    OtherBytes { expected: Cid },
    #[error("{found} bytes were handed in where {expected} are wanted")]
    OutOfTurn { expected: usize, found: usize },
}

impl RangeFault {
    /// Whether every miner's answer would be refused: the piece itself is none, or the range is none of it.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Outside { .. } => true,
            Self::Piece(fault) => fault.is_final(),
            _ => false,
        }
    }
}

/// The reads that the parts of a file are fetched in, in order: to the end of the leaf that it begins in, so that its first bytes are here
/// soon, then two leaves, and then [`WINDOW_LEAVES`] at a time.
pub fn windows(spans: impl IntoIterator<Item = Span>) -> impl Iterator<Item = Span> {
    let mut leaves = 1u64;
    let mut cut = move |span: &mut Option<Span>| {
        let Span { piece, bytes } = span.take()?;
        let leaf = bytes.start / LEAF_BYTES;
        let end = leaf.saturating_add(leaves).saturating_mul(LEAF_BYTES).min(bytes.end);
        leaves = leaves.saturating_mul(2).min(WINDOW_LEAVES);
        if end < bytes.end {
            let bytes = end..bytes.end;
            *span = Some(Span { piece, bytes });
        }
        let bytes = bytes.start..end;
        Some(Span { piece, bytes })
    };
    let (mut spans, mut rest) = (spans.into_iter(), None);
    core::iter::from_fn(move || {
        if rest.is_none() {
            rest = spans.by_ref().find(|span| !span.bytes.is_empty());
        }
        cut(&mut rest)
    })
}

/// A block that is wanted.
#[derive(Debug, Clone, Copy)]
struct Block {
    digest: [u8; 32],
    /// Levels above the leaves.
    height: u32,
    /// Place in its level.
    place: u64,
}

/// What comes next in the answer.
#[derive(Debug, Clone)]
enum Next {
    /// The length of the header, as far as it came.
    HeaderLength(Vec<u8>),
    Header(usize),
    /// A leaf's frame, which is known.
    Frame(Block),
    Leaf(Block),
    /// The length of a node's frame, as far as it came.
    NodeLength(Block, Vec<u8>),
    Node(Block, usize),
    End,
}

/// A read of some bytes of one piece.
#[derive(Debug, Clone)]
pub struct RangeReader {
    root: Cid,
    size: u64,
    shape: DagShape,
    /// What is wanted.
    bytes: Range<u64>,
    /// The first byte that was not handed out.
    position: u64,
    /// The blocks behind the next one, in the order of the answer: at most a node's children for each level.
    blocks: VecDeque<Block>,
    next: Next,
}

impl RangeReader {
    /// Of these bytes of the piece with this data root, which has `size` bytes. Of no bytes, nothing is wanted.
    pub fn new(root: Cid, size: u64, bytes: Range<u64>) -> Result<Self, RangeFault> {
        Self::with_shape(root, size, bytes, DagShape::STANDARD)
    }

    fn with_shape(root: Cid, size: u64, bytes: Range<u64>, shape: DagShape) -> Result<Self, RangeFault> {
        if size == 0 || size > MAX_TRANSFER {
            return Err(TransferFault::Size { size }.into());
        }
        if bytes.start > bytes.end || bytes.end > size {
            let Range { start, end } = bytes;
            return Err(RangeFault::Outside { start, end, size });
        }
        let digest = digest_of(&root, shape.root_codec(size)).ok_or(TransferFault::Root { root, size })?;
        let height = shape.depth(size);
        let first = Block {
            digest,
            height,
            place: 0,
        };
        Ok(Self {
            root,
            size,
            shape,
            position: bytes.start,
            next: match bytes.is_empty() {
                true => Next::End,
                false => Next::HeaderLength(Vec::new()),
            },
            bytes,
            blocks: VecDeque::from([first]),
        })
    }

    /// What is fetched, below a gateway's address: `/ipfs/…`.
    pub fn path(&self) -> String {
        let (first, last) = (self.bytes.start, self.bytes.end.saturating_sub(1));
        format!(
            "/ipfs/{}?format=car&car-version=1&car-order=dfs&car-dups=y&dag-scope=entity&entity-bytes={first}:{last}",
            self.root
        )
    }

    /// Milliseconds in which all of it must come, with the silence before it.
    pub fn limit_ms(&self) -> u64 {
        let leaves = (self.bytes.end.div_ceil(LEAF_BYTES)).saturating_sub(self.bytes.start / LEAF_BYTES);
        // With the nodes on the way there.
        let bytes = leaves.saturating_add(1).saturating_mul(LEAF_BYTES);
        SILENCE_MS.saturating_add((bytes / LEAST_RATE).saturating_mul(1000))
    }

    /// The first byte that was not handed out: where the next miner is to go on.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// How many bytes of the answer are wanted next; `None` when all is here.
    pub fn wants(&self) -> Option<usize> {
        Some(match &self.next {
            Next::HeaderLength(_) | Next::NodeLength(..) => 1,
            Next::Header(bytes) | Next::Node(_, bytes) => *bytes,
            Next::Frame(block) => self.frame(block).len(),
            Next::Leaf(block) => self.leaf_bytes(block),
            Next::End => return None,
        })
    }

    /// Whether what is wanted next is a leaf, and which bytes of it are the caller's.
    pub fn leaf(&self) -> Option<Range<usize>> {
        let Next::Leaf(block) = &self.next else {
            return None;
        };
        let start = block.place.saturating_mul(self.shape.leaf_bytes());
        let within = |at: u64| at.saturating_sub(start) as usize;
        Some(within(self.bytes.start)..within(self.bytes.end).min(self.leaf_bytes(block)))
    }

    /// Takes what was wanted, and says which bytes of it are the caller's, checked.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Option<Range<usize>>, RangeFault> {
        let (expected, found) = (self.wants().unwrap_or_default(), bytes.len());
        if expected != found || matches!(self.next, Next::End) {
            return Err(RangeFault::OutOfTurn { expected, found });
        }
        if self.leaf().is_some() {
            return self.take_digest(&Sha256::digest(bytes).into()).map(Some);
        }
        self.next = match core::mem::replace(&mut self.next, Next::End) {
            Next::HeaderLength(begun) => match length(begun, bytes)? {
                Length::Begun(begun) => Next::HeaderLength(begun),
                Length::Whole(bytes) if (1..=MAX_HEADER).contains(&bytes) => Next::Header(bytes),
                Length::Whole(_) => return Err(RangeFault::NoCar),
            },
            Next::Header(_) => {
                car::check_header(bytes).ok_or(RangeFault::NoCar)?;
                self.next_block()
            }
            Next::Frame(block) if bytes == self.frame(&block) => Next::Leaf(block),
            Next::Frame(block) => return Err(other(RAW, &block)),
            Next::NodeLength(block, begun) => match length(begun, bytes)? {
                Length::Begun(begun) => Next::NodeLength(block, begun),
                Length::Whole(bytes) if (CID_BYTES + 1..=CID_BYTES + MAX_NODE_BYTES).contains(&bytes) => {
                    Next::Node(block, bytes)
                }
                Length::Whole(_) => return Err(other(DAG_PB, &block)),
            },
            Next::Node(block, _) => {
                self.descend(&block, bytes)?;
                self.next_block()
            }
            Next::Leaf(_) | Next::End => Next::End,
        };
        Ok(None)
    }

    /// The same for a leaf that the host has hashed by SHA-256: exactly the bytes that were wanted.
    pub fn take_digest(&mut self, digest: &[u8; 32]) -> Result<Range<usize>, RangeFault> {
        let (Next::Leaf(block), Some(part)) = (&self.next, self.leaf()) else {
            let (expected, found) = (self.wants().unwrap_or_default(), 0);
            return Err(RangeFault::OutOfTurn { expected, found });
        };
        if block.digest != *digest {
            let expected = cid_of(RAW, &block.digest);
            return Err(RangeFault::OtherBytes { expected });
        }
        self.position = self.position.saturating_add(part.len() as u64);
        self.next = self.next_block();
        Ok(part)
    }

    fn next_block(&mut self) -> Next {
        match self.blocks.pop_front() {
            None => Next::End,
            Some(block) if block.height == 0 => Next::Frame(block),
            Some(block) => Next::NodeLength(block, Vec::new()),
        }
    }

    /// Checks a node, and wants of its children those that the bytes lie in, before what comes behind it.
    fn descend(&mut self, block: &Block, framed: &[u8]) -> Result<(), RangeFault> {
        let expected = cid_of(DAG_PB, &block.digest);
        let (cid, bytes) = framed.split_at_checked(CID_BYTES).unwrap_or_default();
        if cid != expected.to_bytes() {
            return Err(RangeFault::OtherBlock { expected });
        }
        if node_cid(bytes) != expected {
            return Err(RangeFault::OtherBytes { expected });
        }
        let (height, span) = (block.height, self.shape.span(block.height.saturating_sub(1)));
        let children = checked_children((self.shape, self.size), (height, block.place), expected, bytes)?;
        let first = block.place.saturating_mul(self.shape.fan_out());
        let placed = children.into_iter().zip(first..);
        let wanted = placed.filter(|(_, place)| {
            let start = place.saturating_mul(span);
            start < self.bytes.end && self.bytes.start < start.saturating_add(span)
        });
        let height = height.saturating_sub(1);
        let wanted = wanted.map(|(digest, place)| Block { digest, height, place });
        for block in wanted.collect::<Vec<_>>().into_iter().rev() {
            self.blocks.push_front(block);
        }
        Ok(())
    }

    fn leaf_bytes(&self, block: &Block) -> usize {
        self.shape.bytes_under(self.size, 0, block.place) as usize
    }

    /// What stands in front of a leaf.
    fn frame(&self, block: &Block) -> Vec<u8> {
        car::frame(&cid_of(RAW, &block.digest), self.leaf_bytes(block))
    }
}

fn other(codec: u64, block: &Block) -> RangeFault {
    let expected = cid_of(codec, &block.digest);
    RangeFault::OtherBlock { expected }
}

enum Length {
    Begun(Vec<u8>),
    Whole(usize),
}

/// A length with one more byte of it.
fn length(mut begun: Vec<u8>, byte: &[u8]) -> Result<Length, RangeFault> {
    begun.extend_from_slice(byte);
    if byte.iter().any(|byte| byte & 0x80 != 0) {
        return match begun.len() < MAX_LENGTH_BYTES {
            true => Ok(Length::Begun(begun)),
            false => Err(RangeFault::NoCar),
        };
    }
    let length = leb128::parse_unsigned(&begun).ok();
    let length = length.and_then(|length| usize::try_from(length).ok());
    length.map(Length::Whole).ok_or(RangeFault::NoCar)
}

#[cfg(test)]
mod tests;
