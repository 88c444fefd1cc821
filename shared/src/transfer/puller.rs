//! The side that lacks the piece: what to ask next, and what of the answers to keep.
//!
//! Memory for the largest piece (32 GiB): 32 bytes for each of 32 513 leaves, twice while the last nodes come in, and one
//! leaf of 1 MiB; with the answers that a host holds under way ([`WINDOW`] × 256 KiB, on a long path up to
//! [`super::window::LONG_WINDOW`]) less than 12 MiB. Nodes are not held.

use super::wire::{RefusalCode, Request, Response, Target, MAX_DATA};
use crate::piece::node::{cid_of, digest_of, node_cid, parse_node, raw_cid, NodeError, DAG_PB, RAW};
use crate::piece::DagShape;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use cid::Cid;

/// Requests under way at once at first, and on a short path for good (design §10; measured: more gain nothing there).
pub const WINDOW: usize = 8;
/// Largest window that a host may set: 16 MiB of answers under way.
pub const MAX_WINDOW: usize = 64;
/// Largest piece, in bytes: what the largest sector holds. Bounds the memory above.
pub const MAX_TRANSFER: u64 = 34_091_302_912;
const _: () = assert!(MAX_TRANSFER == (32 << 30) / 128 * 127);

/// Why a transfer stops. [`TransferFault::is_final`] says whether another peer or another try could help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransferFault {
    #[error("a piece of {size} bytes cannot be transferred; pieces have 1 to {MAX_TRANSFER} bytes")]
    Size { size: u64 },
    #[error("{root} cannot be the root of a file of {size} bytes: its codec or hash is another")]
    Root { root: Cid, size: u64 },
    #[error(
        "a window of {window} requests of {request_bytes} bytes is out of bounds (1 to {MAX_WINDOW}, 1 to {MAX_DATA})"
    )]
    Limits { window: usize, request_bytes: u32 },
    #[error("the store claims {leaves} leaves of a file that has {total}")]
    ResumeBeyondEnd { leaves: u64, total: u64 },
    #[error("the peer sent an answer that nobody asked for")]
    Unrequested,
    #[error("the peer does not give the data (code {}): {text}", code.number())]
    Refused { code: RefusalCode, text: String },
    #[error("the peer sent {found} bytes where {expected} were asked for")]
    WrongLength { expected: usize, found: usize },
    #[error("the peer sent a node that is not {cid}")]
    WrongNodeHash { cid: Cid },
    #[error("the peer sent bytes that are not leaf {index} of the file")]
    WrongLeafHash { index: u64 },
    #[error("node {cid} is no node of a file: {error}")]
    Node { cid: Cid, error: NodeError },
    #[error("node {cid} has {found} links where a file of this size has {expected}")]
    LinkCount { cid: Cid, expected: u64, found: usize },
    #[error("link {link} of node {cid} stands for {found} bytes where a file of this size has {expected}")]
    LinkBytes {
        cid: Cid,
        link: usize,
        expected: u64,
        found: u64,
    },
    #[error("link {link} of node {cid} leads to a leaf where a node belongs, or to a node where a leaf belongs")]
    LinkKind { cid: Cid, link: usize },
}

impl TransferFault {
    /// True when the piece itself is at fault: its root, by its hash, stands for something that is no file of the stated
    /// size and the one profile, so no peer can ever send it. The deal fails. False: try again, here or elsewhere.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Size { .. }
                | Self::Root { .. }
                | Self::Node { .. }
                | Self::LinkCount { .. }
                | Self::LinkBytes { .. }
                | Self::LinkKind { .. }
        )
    }
}

/// How much to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests under way at once, 1 to [`MAX_WINDOW`].
    pub window: usize,
    /// File bytes a request, 1 to [`MAX_DATA`].
    pub request_bytes: u32,
    /// The DAG's shape.
    pub shape: DagShape,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            window: WINDOW,
            request_bytes: MAX_DATA as u32,
            shape: DagShape::STANDARD,
        }
    }
}

/// A checked block. The host stores it before it asks for more; storing it twice is harmless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    Node {
        cid: Cid,
        bytes: Vec<u8>,
    },
    /// Leaves come in file order: `offset` is where the bytes belong in the file.
    Leaf {
        index: u64,
        offset: u64,
        bytes: Vec<u8>,
    },
}

/// How far a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Interior nodes kept, of how many.
    pub nodes: u64,
    pub nodes_total: u64,
    /// Leaves kept, of how many.
    pub leaves: u64,
    pub leaves_total: u64,
    /// File bytes kept, of how many.
    pub bytes: u64,
    pub size: u64,
}

/// What an answer under way belongs to.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Node { place: usize },
    Bytes { leaf: usize, len: usize },
}

/// Pulls one piece. Sans-io: ask [`Puller::next_request`] until it gives `None`, feed every answer to
/// [`Puller::on_response`] in order, store what that returns, repeat until [`Puller::is_complete`].
#[derive(Debug, Clone)]
pub struct Puller {
    root: Cid,
    size: u64,
    limits: Limits,
    /// Levels above the leaves of the blocks that are asked for now; 0: the leaves themselves.
    height: u32,
    /// Digests of all blocks at that height, in file order.
    blocks: Vec<[u8; 32]>,
    /// For nodes: the digests of each one's children, once it is kept.
    children: Vec<Option<Vec<[u8; 32]>>>,
    nodes_kept: u64,
    leaves_kept: u64,
    /// The next block to ask for, and for a leaf how much of it was asked for.
    next_block: usize,
    next_offset: u64,
    /// Bytes of the leaf that comes in.
    leaf: Vec<u8>,
    asked: VecDeque<Asked>,
}

impl Puller {
    /// Starts the transfer of the file of `size` bytes that has this UnixFS root.
    pub fn new(root: Cid, size: u64, limits: Limits) -> Result<Self, TransferFault> {
        if size == 0 || size > MAX_TRANSFER {
            return Err(TransferFault::Size { size });
        }
        let Limits {
            window,
            request_bytes,
            shape,
        } = limits;
        if !(1..=MAX_WINDOW).contains(&window) || !(1..=MAX_DATA).contains(&(request_bytes as usize)) {
            return Err(TransferFault::Limits { window, request_bytes });
        }
        let height = shape.depth(size);
        let digest = digest_of(&root, shape.root_codec(size)).ok_or(TransferFault::Root { root, size })?;
        Ok(Self {
            root,
            size,
            limits,
            height,
            blocks: vec![digest],
            children: vec![None],
            nodes_kept: 0,
            leaves_kept: 0,
            next_block: 0,
            next_offset: 0,
            leaf: Vec::new(),
            asked: VecDeque::new(),
        })
    }

    /// Takes up a transfer from what the host's store holds: nodes in any order, and how many leaves, counted from the
    /// start without a gap. Nodes that do not match their CID, or do not belong, are left out and asked for again.
    pub fn resume(
        &mut self,
        nodes: impl IntoIterator<Item = (Cid, Vec<u8>)>,
        leaves: u64,
    ) -> Result<(), TransferFault> {
        self.interrupted();
        let total = self.limits.shape.leaves(self.size);
        if leaves > total {
            return Err(TransferFault::ResumeBeyondEnd { leaves, total });
        }
        let most = self.limits.shape.nodes(self.size) as usize;
        let stored: BTreeMap<Cid, Vec<u8>> = nodes
            .into_iter()
            .filter(|(cid, bytes)| node_cid(bytes) == *cid)
            .take(most)
            .collect();
        let mut level = self.height.saturating_add(1);
        while self.height > 0 && self.height < level {
            level = self.height;
            // `keep_node` moves on to the next level by itself with the last of them.
            let missing: Vec<(usize, Cid)> = self.missing_nodes(0).collect();
            for (place, cid) in missing {
                if let Some(bytes) = stored.get(&cid) {
                    self.keep_node(place, cid, bytes)?;
                }
            }
        }
        self.leaves_kept = leaves;
        self.interrupted();
        Ok(())
    }

    /// Forgets what was asked for, because the stream is gone. What is kept stays; the next request asks for the rest.
    pub fn interrupted(&mut self) {
        self.asked.clear();
        self.leaf.clear();
        self.next_offset = 0;
        self.next_block = match self.height {
            0 => usize::try_from(self.leaves_kept).unwrap_or(usize::MAX),
            _ => 0,
        };
    }

    /// The next request to send; `None` while the window is full, while nothing can be asked before an answer comes, and
    /// when everything was asked for.
    pub fn next_request(&mut self) -> Option<Request> {
        if self.asked.len() >= self.limits.window {
            return None;
        }
        let target = match self.height {
            0 => self.next_bytes()?,
            _ => self.next_node()?,
        };
        let root = self.root;
        Some(Request { root, target })
    }

    /// Takes the answer to the oldest request under way. Returns the block that it completes, checked, for the host to
    /// store. After a fault the stream is useless; the puller stands as after [`Puller::interrupted`].
    pub fn on_response(&mut self, response: Response) -> Result<Option<Kept>, TransferFault> {
        let kept = self.take_response(response);
        if kept.is_err() {
            self.interrupted();
        }
        kept
    }

    /// Sets how many requests may be under way at once, within 1 and [`MAX_WINDOW`]; those that are stay.
    pub fn set_window(&mut self, window: usize) {
        self.limits.window = window.clamp(1, MAX_WINDOW);
    }

    /// Requests under way.
    pub fn under_way(&self) -> usize {
        self.asked.len()
    }

    /// How far the transfer is.
    pub fn progress(&self) -> Progress {
        let shape = self.limits.shape;
        Progress {
            nodes: self.nodes_kept,
            nodes_total: shape.nodes(self.size),
            leaves: self.leaves_kept,
            leaves_total: shape.leaves(self.size),
            bytes: self.leaves_kept.saturating_mul(shape.leaf_bytes()).min(self.size),
            size: self.size,
        }
    }

    /// True when every node and every leaf is kept.
    pub fn is_complete(&self) -> bool {
        self.height == 0 && self.leaves_kept == self.blocks.len() as u64
    }

    /// The nodes of this level that are not kept, from a place on.
    fn missing_nodes(&self, from: usize) -> impl Iterator<Item = (usize, Cid)> + '_ {
        let nodes = self.blocks.iter().zip(&self.children).enumerate().skip(from);
        let missing = nodes.filter(|(_, (_, children))| children.is_none());
        missing.map(|(place, (digest, _))| (place, cid_of(DAG_PB, digest)))
    }

    fn next_node(&mut self) -> Option<Target> {
        let (place, cid) = self.missing_nodes(self.next_block).next()?;
        self.next_block = place.saturating_add(1);
        self.asked.push_back(Asked::Node { place });
        Some(Target::Node(cid))
    }

    fn next_bytes(&mut self) -> Option<Target> {
        let leaf = self.next_block;
        let length = self.leaf_length(leaf);
        if leaf >= self.blocks.len() || length == 0 {
            return None;
        }
        let left = length.saturating_sub(self.next_offset);
        let len = u64::from(self.limits.request_bytes).min(left) as u32;
        let offset = self.start_of(leaf as u64).saturating_add(self.next_offset);
        self.next_offset = self.next_offset.saturating_add(len.into());
        if self.next_offset == length {
            self.next_block = self.next_block.saturating_add(1);
            self.next_offset = 0;
        }
        self.asked.push_back(Asked::Bytes {
            leaf,
            len: len as usize,
        });
        Some(Target::Bytes { offset, len })
    }

    fn take_response(&mut self, response: Response) -> Result<Option<Kept>, TransferFault> {
        let asked = self.asked.pop_front().ok_or(TransferFault::Unrequested)?;
        let bytes = match response {
            Response::Data(bytes) => bytes,
            Response::Unavailable { code, text } => return Err(TransferFault::Refused { code, text }),
        };
        match asked {
            Asked::Node { place } => {
                let cid = cid_of(DAG_PB, self.blocks.get(place).ok_or(TransferFault::Unrequested)?);
                if node_cid(&bytes) != cid {
                    return Err(TransferFault::WrongNodeHash { cid });
                }
                self.keep_node(place, cid, &bytes)?;
                Ok(Some(Kept::Node { cid, bytes }))
            }
            Asked::Bytes { leaf, len } => self.take_bytes(leaf, len, &bytes),
        }
    }

    fn take_bytes(&mut self, leaf: usize, expected: usize, bytes: &[u8]) -> Result<Option<Kept>, TransferFault> {
        let found = bytes.len();
        if found != expected {
            return Err(TransferFault::WrongLength { expected, found });
        }
        self.leaf.extend_from_slice(bytes);
        if (self.leaf.len() as u64) < self.leaf_length(leaf) {
            return Ok(None);
        }
        let index = leaf as u64;
        let wanted = self.blocks.get(leaf).map(|digest| cid_of(RAW, digest));
        if wanted != Some(raw_cid(&self.leaf)) {
            return Err(TransferFault::WrongLeafHash { index });
        }
        self.leaves_kept = index.saturating_add(1);
        Ok(Some(Kept::Leaf {
            index,
            offset: self.start_of(index),
            bytes: core::mem::take(&mut self.leaf),
        }))
    }

    /// Notes the children of a node whose bytes match its CID; goes on to the next level with the last one.
    fn keep_node(&mut self, place: usize, cid: Cid, bytes: &[u8]) -> Result<(), TransferFault> {
        let children = self.checked_children(place, cid, bytes)?;
        *self.children.get_mut(place).ok_or(TransferFault::Unrequested)? = Some(children);
        self.nodes_kept = self.nodes_kept.saturating_add(1);
        if self.children.iter().all(Option::is_some) {
            let levels = core::mem::take(&mut self.children);
            self.blocks = levels.into_iter().flatten().flatten().collect();
            self.height = self.height.saturating_sub(1);
            if self.height > 0 {
                self.children = vec![None; self.blocks.len()];
            }
            // Nothing is under way: every node of the level was asked for once and is here.
            self.interrupted();
        }
        Ok(())
    }

    /// The digests of a node's children, if the node is what a file of this size has in this place.
    fn checked_children(&self, place: usize, cid: Cid, bytes: &[u8]) -> Result<Vec<[u8; 32]>, TransferFault> {
        let links = parse_node(bytes).map_err(|error| TransferFault::Node { cid, error })?;
        let (shape, below) = (self.limits.shape, self.height.saturating_sub(1));
        let under = shape.bytes_under(self.size, self.height, place as u64);
        let (expected, found) = (under.div_ceil(shape.span(below)), links.len());
        if found as u64 != expected {
            return Err(TransferFault::LinkCount { cid, expected, found });
        }
        let codec = if below == 0 { RAW } else { DAG_PB };
        let mut children = Vec::with_capacity(found);
        for (link, child) in links.iter().enumerate() {
            let (expected, found) = (shape.bytes_under(under, below, link as u64), child.file_bytes);
            if found != expected {
                return Err(TransferFault::LinkBytes {
                    cid,
                    link,
                    expected,
                    found,
                });
            }
            let digest = digest_of(&child.cid, codec);
            children.push(digest.ok_or(TransferFault::LinkKind { cid, link })?);
        }
        Ok(children)
    }

    /// Where a leaf's bytes begin in the file.
    fn start_of(&self, leaf: u64) -> u64 {
        leaf.saturating_mul(self.limits.shape.leaf_bytes())
    }

    fn leaf_length(&self, leaf: usize) -> u64 {
        let Limits { shape, .. } = self.limits;
        shape.bytes_under(self.size, 0, leaf as u64)
    }
}
