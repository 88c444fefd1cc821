//! Which blocks a CAR has, and in which order: depth first from the root, those alone that the wanted bytes lie in.
//!
//! The host takes one wanted block after the other ([`Walk::next`]), reads it, hands a node in ([`Walk::read`]) and sends it on. Nothing is
//! held but the links that are still to be followed, at most a node's for each level, and for a CAR without duplicates the digests
//! of what was sent.

use crate::piece::node::{parse_node, Link, NodeError, DAG_PB, MAX_LINKS, RAW};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use cid::Cid;
use core::ops::Range;
use sha2::{Digest, Sha256};

/// Blocks of which it is remembered that they were sent, at most: 64 GiB of leaves, 3 MiB of memory.
pub const MAX_REMEMBERED: u64 = 65_536;
/// Levels of nodes above the leaves, at most: a file of 1 TiB has two, and each level needs a thousand times as many blocks.
const MAX_LEVELS: u32 = 8;
/// Nodes that a walk reads, at most: those of 16 TiB in files of the usual shape. A DAG whose nodes name one another a thousand times
/// over would be read for years otherwise, and send nothing.
const MAX_NODES: u32 = 16_384;
/// Multihash code of SHA-256.
const SHA2_256: u64 = 0x12;

/// Why a walk ends before its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WalkError {
    #[error("a node cannot be read: {0}")]
    Node(#[from] NodeError),
    #[error("{0} is no block of a file")]
    Kind(Cid),
    #[error("the block's bytes are not those of {0}: the disk is damaged")]
    OtherBytes(Cid),
    #[error("nodes lie more than {MAX_LEVELS} levels deep")]
    TooDeep,
    #[error("there are more than {MAX_NODES} nodes on the way to its blocks")]
    TooManyNodes,
}

/// A block that is wanted next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub cid: Cid,
    /// Whether it is a node, whose bytes are to be handed in.
    pub is_node: bool,
    /// Whether it is sent; one that was sent before may be read once more for what lies below it.
    pub is_sent: bool,
    start: u64,
    level: u32,
}

/// A walk through a file's DAG.
#[derive(Debug, Clone)]
pub struct Walk {
    /// What is wanted, the next one last.
    wanted: Vec<Wanted>,
    bytes: Range<u64>,
    sent: Option<BTreeSet<[u8; 32]>>,
    /// How many more nodes are read.
    nodes_left: u32,
}

impl Walk {
    /// From the root, through the blocks that hold these bytes of the file; none for the root alone. Without `duplicates` each block is
    /// sent once, and there must be at most [`MAX_REMEMBERED`].
    pub fn new(root: Cid, bytes: Range<u64>, duplicates: bool) -> Self {
        let first = Wanted {
            cid: root,
            is_node: root.codec() == DAG_PB,
            is_sent: true,
            start: 0,
            level: 0,
        };
        Self {
            wanted: Vec::from([first]),
            bytes,
            sent: (!duplicates).then(BTreeSet::new),
            nodes_left: MAX_NODES,
        }
    }

    /// The next block to be read.
    #[allow(
        clippy::should_implement_trait,
        reason = "what is read in between decides what comes next"
    )]
    pub fn next(&mut self) -> Option<Wanted> {
        loop {
            let mut wanted = self.wanted.pop()?;
            if let Some(sent) = &mut self.sent {
                let digest = wanted.cid.hash().digest().try_into();
                wanted.is_sent = digest.is_ok_and(|digest| sent.insert(digest));
            }
            if wanted.is_node || wanted.is_sent {
                return Some(wanted);
            }
        }
    }

    /// Takes the bytes of a wanted node in, which were verified; what lies below it comes next.
    pub fn read(&mut self, node: &Wanted, bytes: &[u8]) -> Result<(), WalkError> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        if node.level >= MAX_LEVELS {
            return Err(WalkError::TooDeep);
        }
        self.nodes_left = self.nodes_left.checked_sub(1).ok_or(WalkError::TooManyNodes)?;
        let level = node.level.saturating_add(1);
        let mut start = node.start;
        let mut below = Vec::with_capacity(MAX_LINKS);
        for Link { cid, file_bytes, .. } in parse_node(bytes)? {
            let end = start.saturating_add(file_bytes);
            if start < self.bytes.end && self.bytes.start < end {
                let is_node = cid.codec() == DAG_PB;
                if !is_node && cid.codec() != RAW {
                    return Err(WalkError::Kind(cid));
                }
                below.push(Wanted {
                    cid,
                    is_node,
                    is_sent: true,
                    start,
                    level,
                });
            }
            start = end;
        }
        self.wanted.extend(below.into_iter().rev());
        Ok(())
    }
}

/// Checks that bytes are those of a CID of SHA-256.
pub fn verify_block(cid: &Cid, bytes: &[u8]) -> Result<(), WalkError> {
    let hash = cid.hash();
    match hash.code() == SHA2_256 && hash.digest() == Sha256::digest(bytes).as_slice() {
        true => Ok(()),
        false => Err(WalkError::OtherBytes(*cid)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::node::{node_cid, raw_cid};
    use crate::piece::unixfs::test_data;
    use crate::piece::{Dag, DagBuilder, DagShape};
    use alloc::collections::BTreeMap;
    use alloc::vec;

    const LEAF: u64 = 4;

    /// A file of leaves of four bytes, three links a node, and its blocks by CID.
    fn file(bytes: &[u8]) -> (Dag, BTreeMap<Cid, Vec<u8>>) {
        let mut builder = DagBuilder::with_shape(DagShape::small(LEAF, 3));
        builder.push(bytes).unwrap();
        let dag = builder.finish().unwrap();
        let mut blocks: BTreeMap<Cid, Vec<u8>> = dag.nodes.iter().cloned().collect();
        blocks.extend(bytes.chunks(LEAF as usize).map(|leaf| (raw_cid(leaf), leaf.to_vec())));
        (dag, blocks)
    }

    fn sent(root: Cid, blocks: &BTreeMap<Cid, Vec<u8>>, bytes: Range<u64>, duplicates: bool) -> Vec<Cid> {
        let mut walk = Walk::new(root, bytes, duplicates);
        let mut sent = Vec::new();
        while let Some(wanted) = walk.next() {
            let bytes = &blocks[&wanted.cid];
            verify_block(&wanted.cid, bytes).unwrap();
            if wanted.is_node {
                walk.read(&wanted, bytes).unwrap();
            }
            if wanted.is_sent {
                sent.push(wanted.cid);
            }
        }
        sent
    }

    fn leaves(bytes: &[u8], of: Range<u64>) -> Vec<Cid> {
        let all = bytes.chunks(LEAF as usize).enumerate();
        let touched = all.filter(|(index, leaf)| {
            let start = *index as u64 * LEAF;
            start < of.end && of.start < start + leaf.len() as u64
        });
        touched.map(|(_, leaf)| raw_cid(leaf)).collect()
    }

    #[test]
    fn a_walk_goes_down_before_it_goes_on_and_has_every_block() {
        let bytes = test_data(4 * 9 + 5);
        let (dag, blocks) = file(&bytes);
        let all = sent(dag.root, &blocks, 0..bytes.len() as u64, true);
        assert_eq!(all.len(), blocks.len());
        assert_eq!(all[0], dag.root);
        let of_leaves: Vec<Cid> = all.iter().filter(|cid| cid.codec() == RAW).copied().collect();
        assert_eq!(of_leaves, dag.leaves);
        // Root, its first node, that one's first node, and three leaves.
        let is_leaf: Vec<bool> = all.iter().map(|cid| cid.codec() == RAW).collect();
        assert_eq!(is_leaf[..7], [false, false, false, true, true, true, false]);
    }

    #[test]
    fn a_range_has_the_blocks_that_its_bytes_lie_in_and_no_other() {
        let bytes = test_data(4 * 9 + 5);
        let (dag, blocks) = file(&bytes);
        for start in 0..bytes.len() as u64 {
            for end in start + 1..=bytes.len() as u64 {
                let found = sent(dag.root, &blocks, start..end, true);
                let of_leaves: Vec<Cid> = found.iter().filter(|cid| cid.codec() == RAW).copied().collect();
                assert_eq!(of_leaves, leaves(&bytes, start..end), "{start}..{end}");
                // A node is only there for what lies below it.
                let nodes = found.len() - of_leaves.len();
                assert!(nodes >= 1 && nodes <= 1 + 2 * of_leaves.len(), "{start}..{end}");
            }
        }
    }

    #[test]
    fn no_bytes_are_the_root_alone() {
        let bytes = test_data(50);
        let (dag, blocks) = file(&bytes);
        assert_eq!(sent(dag.root, &blocks, 0..0, true), [dag.root]);
        let small = raw_cid(b"abc");
        let blocks = BTreeMap::from([(small, b"abc".to_vec())]);
        assert_eq!(sent(small, &blocks, 0..3, false), [small]);
        assert_eq!(sent(small, &blocks, 0..0, false), [small]);
    }

    #[test]
    fn a_block_that_occurs_twice_is_sent_as_often_or_once() {
        // Nine leaves alike, and a different one: three nodes alike with three leaves each.
        let bytes = [vec![7; 36], vec![1, 2]].concat();
        let (dag, blocks) = file(&bytes);
        let all = sent(dag.root, &blocks, 0..38, true);
        assert_eq!(all.iter().filter(|cid| **cid == raw_cid(&[7; 4])).count(), 9);
        let once = sent(dag.root, &blocks, 0..38, false);
        let distinct: BTreeSet<Cid> = all.iter().copied().collect();
        assert_eq!(once.len(), distinct.len());
        assert_eq!(once.iter().copied().collect::<BTreeSet<_>>(), distinct);
    }

    #[test]
    fn a_node_that_was_sent_is_followed_all_the_same() {
        // The second node is the first one's like, but the range leaves out what that one began with.
        let bytes = [[1; 4], [2; 4], [3; 4], [1; 4], [2; 4], [3; 4]].concat();
        let (dag, blocks) = file(&bytes);
        let found = sent(dag.root, &blocks, 8..16, false);
        assert!(found.contains(&raw_cid(&[3; 4])) && found.contains(&raw_cid(&[1; 4])));
    }

    #[test]
    fn damaged_bytes_and_what_is_no_node_are_refused() {
        let cid = raw_cid(b"abc");
        assert_eq!(verify_block(&cid, b"abd"), Err(WalkError::OtherBytes(cid)));
        let node = node_cid(b"no node");
        let mut walk = Walk::new(node, 0..1, true);
        let wanted = walk.next().unwrap();
        assert!(matches!(walk.read(&wanted, b"no node"), Err(WalkError::Node(_))));
    }

    #[test]
    fn nodes_that_name_one_another_over_and_over_are_not_read_for_ever() {
        let leaf = Link::to_leaf(raw_cid(b"x"), 1);
        let mut below = leaf;
        let mut blocks = BTreeMap::new();
        for _ in 0..3 {
            let links = vec![below; MAX_LINKS];
            let bytes = crate::piece::node::encode_node(&links);
            let sum = links.iter().map(|link| link.file_bytes).sum();
            below = Link {
                cid: node_cid(&bytes),
                file_bytes: sum,
                ..below
            };
            blocks.insert(below.cid, bytes);
        }
        let mut walk = Walk::new(below.cid, 0..u64::MAX, false);
        let mut reads = 0u32;
        let ended = loop {
            let wanted = walk.next().expect("it does not end by itself");
            if wanted.is_node {
                reads += 1;
                if let Err(error) = walk.read(&wanted, &blocks[&wanted.cid]) {
                    break error;
                }
            }
        };
        assert_eq!((ended, reads), (WalkError::TooManyNodes, MAX_NODES + 1));
    }
}
