//! The side that lacks the piece: what to ask next, and what of the answers to keep.
//!
//! Memory for the largest piece (32 GiB): 32 bytes for each of 32 513 leaves, twice while the last nodes come in, and one
//! leaf of 1 MiB; with the answers that a host holds under way ([`WINDOW`] × 256 KiB, on a long path up to
//! [`super::window::LONG_WINDOW`]) less than 12 MiB. Nodes are not held.

use super::known_dag::{KnownDag, LeafFault};
use super::leaf_set::LeafSet;
use super::wire::{RefusalCode, Request, Response, Target, MAX_DATA};
use crate::piece::node::{node_cid, NodeError};
use crate::piece::DagShape;
use alloc::collections::VecDeque;
use alloc::string::String;
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
    #[error("the store speaks of a file of {leaves} leaves where this one has {total}")]
    OtherFile { leaves: u64, total: u64 },
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
    /// Leaves come in file order, without those that were here: `offset` is where the bytes belong in the file.
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
    dag: KnownDag,
    limits: Limits,
    kept: LeafSet,
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
        let dag = KnownDag::new(root, size, limits.shape)?;
        let kept = LeafSet::none(dag.leaves());
        Self::resumed(dag, kept, limits)
    }

    /// Takes up a transfer from what the host's store holds: the nodes that are known, and the leaves that were checked. What of
    /// them does not fit together is asked for again.
    pub fn resumed(dag: KnownDag, kept: LeafSet, limits: Limits) -> Result<Self, TransferFault> {
        let Limits {
            window, request_bytes, ..
        } = limits;
        if !(1..=MAX_WINDOW).contains(&window) || !(1..=MAX_DATA).contains(&(request_bytes as usize)) {
            return Err(TransferFault::Limits { window, request_bytes });
        }
        let (leaves, total) = (kept.total(), dag.leaves());
        if leaves != total {
            return Err(TransferFault::OtherFile { leaves, total });
        }
        let mut puller = Self {
            dag,
            limits,
            kept,
            next_block: 0,
            next_offset: 0,
            leaf: Vec::new(),
            asked: VecDeque::new(),
        };
        puller.interrupted();
        Ok(puller)
    }

    /// Forgets what was asked for, because the stream is gone. What is kept stays; the next request asks for the rest.
    pub fn interrupted(&mut self) {
        self.asked.clear();
        self.leaf.clear();
        self.next_offset = 0;
        self.next_block = match self.dag.is_complete() {
            true => self.missing_from(0),
            false => 0,
        };
    }

    /// The next request to send; `None` while the window is full, while nothing can be asked before an answer comes, and
    /// when everything was asked for.
    pub fn next_request(&mut self) -> Option<Request> {
        if self.asked.len() >= self.limits.window {
            return None;
        }
        let target = match self.dag.is_complete() {
            true => self.next_bytes()?,
            false => self.next_node()?,
        };
        let root = self.dag.root();
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
        let (nodes, nodes_total) = self.dag.nodes();
        let (leaves, size) = (self.kept.count(), self.dag.size());
        let bytes = leaves.saturating_mul(self.limits.shape.leaf_bytes());
        // The file's last leaf may be a short one.
        let last = self.dag.leaves().saturating_sub(1);
        let lacks = self
            .limits
            .shape
            .leaf_bytes()
            .saturating_sub(self.dag.leaf_length(last));
        let short = if self.kept.contains(last) { lacks } else { 0 };
        Progress {
            nodes,
            nodes_total,
            leaves,
            leaves_total: self.dag.leaves(),
            bytes: bytes.saturating_sub(short),
            size,
        }
    }

    /// True when every node and every leaf is kept.
    pub fn is_complete(&self) -> bool {
        self.dag.is_complete() && self.kept.is_full()
    }

    fn next_node(&mut self) -> Option<Target> {
        let (place, cid) = self.dag.missing_nodes(self.next_block).next()?;
        self.next_block = place.saturating_add(1);
        self.asked.push_back(Asked::Node { place });
        Some(Target::Node(cid))
    }

    fn next_bytes(&mut self) -> Option<Target> {
        let leaf = self.next_block;
        let length = self.dag.leaf_length(leaf as u64);
        if length == 0 {
            return None;
        }
        let left = length.saturating_sub(self.next_offset);
        let len = u64::from(self.limits.request_bytes).min(left) as u32;
        let offset = self.dag.leaf_start(leaf as u64).saturating_add(self.next_offset);
        self.next_offset = self.next_offset.saturating_add(len.into());
        if self.next_offset == length {
            self.next_block = self.missing_from(leaf.saturating_add(1));
            self.next_offset = 0;
        }
        self.asked.push_back(Asked::Bytes {
            leaf,
            len: len as usize,
        });
        Some(Target::Bytes { offset, len })
    }

    /// The first leaf from one on that is not kept; behind the last where all are.
    fn missing_from(&self, leaf: usize) -> usize {
        let missing = self.kept.first_missing(leaf as u64);
        missing
            .and_then(|leaf| usize::try_from(leaf).ok())
            .unwrap_or(usize::MAX)
    }

    fn take_response(&mut self, response: Response) -> Result<Option<Kept>, TransferFault> {
        let asked = self.asked.pop_front().ok_or(TransferFault::Unrequested)?;
        let bytes = match response {
            Response::Data(bytes) => bytes,
            Response::Unavailable { code, text } => return Err(TransferFault::Refused { code, text }),
        };
        match asked {
            Asked::Node { place } => {
                let cid = self.dag.node(place).ok_or(TransferFault::Unrequested)?;
                if node_cid(&bytes) != cid {
                    return Err(TransferFault::WrongNodeHash { cid });
                }
                if self.dag.keep_node(place, cid, &bytes)? {
                    // Nothing is under way: every node of the level was asked for once and is here.
                    self.interrupted();
                }
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
        let index = leaf as u64;
        self.leaf.extend_from_slice(bytes);
        if (self.leaf.len() as u64) < self.dag.leaf_length(index) {
            return Ok(None);
        }
        match self.dag.check_leaves(index, &self.leaf) {
            Ok(_) => {}
            Err(LeafFault::NodesMissing | LeafFault::Length { .. } | LeafFault::Hash { .. }) => {
                return Err(TransferFault::WrongLeafHash { index });
            }
        }
        self.kept.insert(index);
        Ok(Some(Kept::Leaf {
            index,
            offset: self.dag.leaf_start(index),
            bytes: core::mem::take(&mut self.leaf),
        }))
    }
}
