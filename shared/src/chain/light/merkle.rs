//! Binary Merkle trees in the shape of RFC 6962, over blake2b-256, with the number of leaves in the root.
//!
//! A leaf, an inner node and a root are hashed with different first bytes, so that none can be taken for another. A node without
//! a right neighbour is passed on to the next level as it is. Used for both roots of a [`super::BlockHeader`].

use crate::chain::keys::blake2b256;
use crate::wire::cbor::{Cbor, DecodeError, Fields, Value};
use alloc::vec::Vec;

/// A node of a tree, blake2b-256.
pub type Hash = [u8; 32];

/// Most leaves of a tree.
pub const MAX_LEAVES: u64 = 1 << 32;
/// Most hashes of a path: the levels of a tree with [`MAX_LEAVES`].
pub const MAX_SIBLINGS: usize = 32;

const LEAF: u8 = 0;
const NODE: u8 = 1;
const ROOT: u8 = 2;

/// The hash of a leaf with this content.
pub fn leaf(content: &[u8]) -> Hash {
    let mut bytes = Vec::with_capacity(content.len().saturating_add(1));
    bytes.push(LEAF);
    bytes.extend_from_slice(content);
    blake2b256(&bytes)
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [NODE; 65];
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    blake2b256(&bytes)
}

/// The root of a tree of `count` leaves with this top node; there is none without leaves.
fn root(count: u64, top: Option<&Hash>) -> Hash {
    let mut bytes = Vec::with_capacity(41);
    bytes.push(ROOT);
    bytes.extend_from_slice(&count.to_be_bytes());
    bytes.extend(top.into_iter().flatten());
    blake2b256(&bytes)
}

/// The root of a tree without leaves.
pub fn empty_root() -> Hash {
    root(0, None)
}

/// Why a path does not lead from a leaf to a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("a tree has at most {MAX_LEAVES} leaves, not {0}")]
    Count(u64),
    #[error("a tree of {count} leaves has none at {index}")]
    Index { index: u64, count: u64 },
    #[error("the path is too short or too long for a tree of {count} leaves")]
    Length { count: u64 },
    #[error("the path leads to another root")]
    Root,
}

/// The way from a leaf to the root of its tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// Position of the leaf, from 0.
    pub index: u64,
    /// Leaves of the tree.
    pub count: u64,
    /// The other child of each node on the way up, from the leaf's level; none where a node has no neighbour.
    pub siblings: Vec<Hash>,
}

impl Path {
    /// Checks that `leaf` is the leaf at [`Self::index`] of the tree with this root and [`Self::count`] leaves.
    pub fn verify(&self, leaf: Hash, expected: &Hash) -> Result<(), PathError> {
        let Self { index, count, .. } = *self;
        if count > MAX_LEAVES {
            return Err(PathError::Count(count));
        }
        let outside = PathError::Index { index, count };
        let last = count.checked_sub(1).ok_or(outside)?;
        if index > last {
            return Err(outside);
        }
        let (mut at, mut last, mut hash) = (index, last, leaf);
        let mut siblings = self.siblings.iter();
        while last > 0 {
            if at & 1 == 1 {
                hash = node(siblings.next().ok_or(PathError::Length { count })?, &hash);
            } else if at < last {
                hash = node(&hash, siblings.next().ok_or(PathError::Length { count })?);
            }
            (at, last) = (at >> 1, last >> 1);
        }
        match siblings.next() {
            Some(_) => Err(PathError::Length { count }),
            None if root(count, Some(&hash)) != *expected => Err(PathError::Root),
            None => Ok(()),
        }
    }
}

const KEYS: [&str; 3] = ["index", "count", "siblings"];

impl Cbor for Path {
    fn to_value(&self) -> Value {
        crate::wire::cbor::map(alloc::vec![
            ("index", self.index.to_value()),
            ("count", self.count.to_value()),
            ("siblings", self.siblings.to_value()),
        ])
    }

    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut fields = Fields::open(value, "Path", &KEYS)?;
        let siblings: Value = fields.take("siblings")?;
        if siblings.as_array().is_some_and(|hashes| hashes.len() > MAX_SIBLINGS) {
            return Err(DecodeError::invalid("siblings", "a path has at most 32 hashes"));
        }
        Ok(Self {
            index: fields.take("index")?,
            count: fields.take("count")?,
            siblings: Cbor::from_value(siblings)?,
        })
    }
}

/// A whole tree, for those who make roots and paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    /// From the leaves to the top; none of a tree without leaves.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// The tree of these leaves.
    pub fn of(leaves: Vec<Hash>) -> Self {
        let mut tree = Self::default();
        tree.replace(leaves, Vec::new(), 0);
        tree
    }

    /// Leaves of the tree.
    pub fn count(&self) -> usize {
        self.levels.first().map_or(0, Vec::len)
    }

    pub fn leaves(&self) -> &[Hash] {
        self.levels.first().map_or(&[], Vec::as_slice)
    }

    pub fn root(&self) -> Hash {
        root(self.count() as u64, self.levels.last().and_then(|top| top.first()))
    }

    /// `None` when there is no such leaf.
    pub fn path(&self, index: usize) -> Option<Path> {
        if index >= self.count() {
            return None;
        }
        let mut at = index;
        let mut siblings = Vec::new();
        for level in &self.levels {
            siblings.extend(level.get(at ^ 1).filter(|_| level.len() > 1));
            at >>= 1;
        }
        Some(Path {
            index: index as u64,
            count: self.count() as u64,
            siblings,
        })
    }

    /// Takes other leaves: those of `changed` (ascending) and all from `from` on may differ from what they were; only the nodes
    /// over them are hashed again.
    pub fn replace(&mut self, leaves: Vec<Hash>, changed: Vec<usize>, from: usize) {
        if leaves.is_empty() {
            self.levels.clear();
            return;
        }
        match self.levels.first_mut() {
            Some(bottom) => *bottom = leaves,
            None => self.levels.push(leaves),
        }
        let (mut changed, mut from, mut next) = (changed, from, 1_usize);
        loop {
            if self.levels.len() == next {
                self.levels.push(Vec::new());
            }
            let (lower, upper) = self.levels.split_at_mut(next);
            let (Some(below), Some(level)) = (lower.last(), upper.first_mut()) else {
                break;
            };
            if below.len() <= 1 {
                break;
            }
            (changed, from) = over(changed, from);
            level.resize(below.len().div_ceil(2), Hash::default());
            let all_from = from..level.len();
            for at in changed.iter().copied().chain(all_from) {
                if let (Some(place), Some(children)) = (level.get_mut(at), below.chunks(2).nth(at)) {
                    *place = parent(children);
                }
            }
            next = next.saturating_add(1);
        }
        self.levels.truncate(next);
    }
}

/// The node over one or two nodes.
fn parent(children: &[Hash]) -> Hash {
    match children {
        [left, right] => node(left, right),
        [single] => *single,
        _ => Hash::default(),
    }
}

/// The parents of nodes, and from where on all nodes are parents of changed ones.
fn over(children: Vec<usize>, from: usize) -> (Vec<usize>, usize) {
    let from = from >> 1;
    let mut parents: Vec<usize> = children.into_iter().map(|child| child >> 1).collect();
    parents.dedup();
    parents.retain(|parent| *parent < from);
    (parents, from)
}
