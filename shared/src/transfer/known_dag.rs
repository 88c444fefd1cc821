//! What is known of a file's DAG on the side that lacks the file: its nodes, from the root down, and with the last of them the
//! digest of every leaf.
//!
//! Each node is checked against its CID and against the shape that a file of this size has, so nobody who sends one needs to be
//! trusted. Used by [`super::Puller`], which asks for one node after the other, by [`super::upload`], to which all are sent at
//! once, and by staging, which checks what it finds on its disk. Memory for the largest piece: 32 bytes for each of 32 512 leaves.

use super::puller::{TransferFault, MAX_TRANSFER};
use crate::piece::node::{cid_of, digest_of, node_cid, parse_node, DAG_PB, RAW};
use crate::piece::{leaf_digests, DagShape};
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use cid::Cid;

/// Bytes that are not the leaves that they should be. Nothing of them may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeafFault {
    #[error("the nodes of the file's DAG are not here yet, so nothing can be checked")]
    NodesMissing,
    #[error("{found} bytes came where {expected} belong")]
    Length { expected: u64, found: u64 },
    #[error("the bytes are not leaf {index} of the file")]
    Hash { index: u64 },
}

/// The part of a file's DAG that is known.
#[derive(Debug, Clone)]
pub struct KnownDag {
    root: Cid,
    size: u64,
    shape: DagShape,
    /// Levels above the leaves of the blocks that are known; 0: the leaves themselves.
    height: u32,
    /// Digests of all blocks at that height, in file order.
    blocks: Vec<[u8; 32]>,
    /// For nodes: the digests of each one's children, once it is kept.
    children: Vec<Option<Vec<[u8; 32]>>>,
    nodes_kept: u64,
}

impl KnownDag {
    /// The file of `size` bytes that has this UnixFS root; nothing else is known of it.
    pub fn new(root: Cid, size: u64, shape: DagShape) -> Result<Self, TransferFault> {
        if size == 0 || size > MAX_TRANSFER {
            return Err(TransferFault::Size { size });
        }
        let digest = digest_of(&root, shape.root_codec(size)).ok_or(TransferFault::Root { root, size })?;
        Ok(Self {
            root,
            size,
            shape,
            height: shape.depth(size),
            blocks: vec![digest],
            children: vec![None],
            nodes_kept: 0,
        })
    }

    pub fn root(&self) -> Cid {
        self.root
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Leaves of the file.
    pub fn leaves(&self) -> u64 {
        self.shape.leaves(self.size)
    }

    /// Interior nodes that are known, and how many there are.
    pub fn nodes(&self) -> (u64, u64) {
        (self.nodes_kept, self.shape.nodes(self.size))
    }

    /// Whether all nodes are known, and with them what every leaf must be.
    pub fn is_complete(&self) -> bool {
        self.height == 0
    }

    /// Bytes of a leaf; 0 behind the last.
    pub fn leaf_length(&self, leaf: u64) -> u64 {
        self.shape.bytes_under(self.size, 0, leaf)
    }

    /// Where a leaf's bytes begin in the file.
    pub fn leaf_start(&self, leaf: u64) -> u64 {
        leaf.saturating_mul(self.shape.leaf_bytes()).min(self.size)
    }

    /// The digests of all leaves, once all nodes are known.
    pub fn leaf_digests(&self) -> Option<&[[u8; 32]]> {
        self.is_complete().then_some(self.blocks.as_slice())
    }

    /// Takes nodes in any order, and returns those that were new. What does not match its CID, or does not belong, is left out;
    /// a node that belongs by its CID and is no node of such a file is a fault of the file.
    pub fn take_nodes(
        &mut self,
        nodes: impl IntoIterator<Item = (Cid, Vec<u8>)>,
    ) -> Result<Vec<(Cid, Vec<u8>)>, TransferFault> {
        let most = self.shape.nodes(self.size) as usize;
        let mut given: BTreeMap<Cid, Vec<u8>> = nodes
            .into_iter()
            .filter(|(cid, bytes)| node_cid(bytes) == *cid)
            .take(most)
            .collect();
        let mut taken = Vec::new();
        let mut level = self.height.saturating_add(1);
        while self.height > 0 && self.height < level {
            level = self.height;
            // `keep_node` moves on to the next level by itself with the last of them.
            let missing: Vec<(usize, Cid)> = self.missing_nodes(0).collect();
            let mut used = Vec::new();
            for (place, cid) in missing {
                if let Some(bytes) = given.get(&cid) {
                    self.keep_node(place, cid, bytes)?;
                    used.push(cid);
                }
            }
            // A file whose blocks are alike has one node in several places.
            taken.extend(used.into_iter().filter_map(|cid| given.remove_entry(&cid)));
        }
        Ok(taken)
    }

    /// Checks bytes that should be whole leaves, from leaf `first` on; hashes several at once where that is faster.
    pub fn check_leaves(&self, first: u64, bytes: &[u8]) -> Result<u64, LeafFault> {
        let digests = self.leaf_digests().ok_or(LeafFault::NodesMissing)?;
        let found = leaf_digests(self.shape.leaf_bytes(), bytes);
        let start = self.leaf_start(first);
        let is_whole = (bytes.len() as u64).is_multiple_of(self.shape.leaf_bytes());
        let ends_file = start.saturating_add(bytes.len() as u64) == self.size;
        let expected = usize::try_from(first).ok().and_then(|first| digests.get(first..));
        let expected = expected.filter(|rest| (is_whole || ends_file) && found.len() <= rest.len());
        let Some(expected) = expected.filter(|_| !found.is_empty()) else {
            let (expected, found) = (self.size.saturating_sub(start), bytes.len() as u64);
            return Err(LeafFault::Length { expected, found });
        };
        let wrong = found
            .iter()
            .zip(expected)
            .position(|(found, expected)| found != expected);
        match wrong {
            Some(place) => Err(LeafFault::Hash {
                index: first.saturating_add(place as u64),
            }),
            None => Ok(found.len() as u64),
        }
    }

    /// The nodes of this level that are not known, from a place on.
    pub(super) fn missing_nodes(&self, from: usize) -> impl Iterator<Item = (usize, Cid)> + '_ {
        let nodes = self.blocks.iter().zip(&self.children).enumerate().skip(from);
        let missing = nodes.filter(|(_, (_, children))| self.height > 0 && children.is_none());
        missing.map(|(place, (digest, _))| (place, cid_of(DAG_PB, digest)))
    }

    /// The CID of the node in this place of the level.
    pub(super) fn node(&self, place: usize) -> Option<Cid> {
        self.blocks.get(place).map(|digest| cid_of(DAG_PB, digest))
    }

    /// Notes the children of a node whose bytes match its CID; goes on to the next level with the last one, and says so.
    pub(super) fn keep_node(&mut self, place: usize, cid: Cid, bytes: &[u8]) -> Result<bool, TransferFault> {
        let children = checked_children((self.shape, self.size), (self.height, place as u64), cid, bytes)?;
        *self.children.get_mut(place).ok_or(TransferFault::Unrequested)? = Some(children);
        self.nodes_kept = self.nodes_kept.saturating_add(1);
        let is_last = self.children.iter().all(Option::is_some);
        if is_last {
            let levels = core::mem::take(&mut self.children);
            self.blocks = levels.into_iter().flatten().flatten().collect();
            self.height = self.height.saturating_sub(1);
            if self.height > 0 {
                self.children = vec![None; self.blocks.len()];
            }
        }
        Ok(is_last)
    }
}

/// The digests of a node's children, if the bytes are the node that a file of this size has `height` levels above its leaves, in this
/// place of the level. The bytes are those of `cid`: whoever calls has seen to that.
pub(crate) fn checked_children(
    (shape, size): (DagShape, u64),
    (height, place): (u32, u64),
    cid: Cid,
    bytes: &[u8],
) -> Result<Vec<[u8; 32]>, TransferFault> {
    let links = parse_node(bytes).map_err(|error| TransferFault::Node { cid, error })?;
    let below = height.saturating_sub(1);
    let under = shape.bytes_under(size, height, place);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::unixfs::test_data;
    use crate::piece::{Dag, DagBuilder};

    /// Leaves of 64 bytes, so that they are hashed side by side where they can be.
    const SHAPE: DagShape = DagShape::small(64, 3);
    const SIZE: usize = 64 * 10 + 7;

    fn file() -> (Vec<u8>, Dag) {
        let (bytes, mut builder) = (test_data(SIZE), DagBuilder::with_shape(SHAPE));
        builder.push(&bytes).unwrap();
        (bytes, builder.finish().unwrap())
    }

    fn known() -> (Vec<u8>, KnownDag) {
        let (bytes, dag) = file();
        let mut known = KnownDag::new(dag.root, dag.size, SHAPE).unwrap();
        known.take_nodes(dag.nodes).unwrap();
        (bytes, known)
    }

    #[test]
    fn nodes_are_taken_in_any_order_and_again_and_foreign_ones_are_left_out() {
        let (_, dag) = file();
        let mut known = KnownDag::new(dag.root, dag.size, SHAPE).unwrap();
        let foreign = (node_cid(b"foreign"), b"foreign".to_vec());
        let mut damaged = dag.nodes[0].clone();
        damaged.1[0] ^= 1;
        let taken = known
            .take_nodes([foreign.clone(), damaged, dag.nodes[1].clone()])
            .unwrap();
        assert_eq!(
            (taken.len(), known.is_complete()),
            (0, false),
            "nothing leads there yet"
        );
        let all = dag.nodes.iter().cloned().chain([foreign]);
        let mut taken = known.take_nodes(all).unwrap();
        taken.sort();
        let mut expected = dag.nodes.clone();
        expected.sort();
        assert_eq!(taken, expected);
        assert!(known.is_complete());
        assert_eq!(known.nodes(), (7, 7));
        assert_eq!(known.take_nodes(dag.nodes).unwrap(), []);
        let digests: Vec<Cid> = known.leaf_digests().unwrap().iter().map(|d| cid_of(RAW, d)).collect();
        assert_eq!(digests, dag.leaves);
    }

    #[test]
    fn whole_leaves_in_their_place_pass_and_any_changed_bit_is_found() {
        let (bytes, known) = known();
        for (first, from, to) in [(0, 0, SIZE), (0, 0, 64), (3, 192, 320), (9, 576, SIZE), (10, 640, SIZE)] {
            let leaves = (to - from).div_ceil(64) as u64;
            assert_eq!(known.check_leaves(first, &bytes[from..to]), Ok(leaves));
            for at in [from, to - 1] {
                let mut wrong = bytes[from..to].to_vec();
                wrong[at - from] ^= 1;
                let index = (at / 64) as u64;
                assert_eq!(known.check_leaves(first, &wrong), Err(LeafFault::Hash { index }));
            }
        }
        assert_eq!(known.check_leaves(1, &bytes[..64]), Err(LeafFault::Hash { index: 1 }));
    }

    #[test]
    fn parts_of_leaves_and_bytes_beyond_the_file_are_refused_by_their_length() {
        let (bytes, known) = known();
        let mut longer = bytes.clone();
        longer.push(0);
        for (first, given) in [
            (0, &bytes[..63]),
            (0, &bytes[..65]),
            (10, &bytes[640..646]),
            (10, &bytes[..64]),
            (11, &bytes[..64]),
            (0, longer.as_slice()),
            (0, &bytes[..0]),
        ] {
            let found = given.len() as u64;
            let fault = known.check_leaves(first, given).unwrap_err();
            let LeafFault::Length { found: said, .. } = fault else {
                assert!(
                    matches!(fault, LeafFault::Hash { .. }) && given.len() == 64,
                    "{fault:?}"
                );
                continue;
            };
            assert_eq!(said, found);
        }
        let (_, dag) = file();
        let unknown = KnownDag::new(dag.root, dag.size, SHAPE).unwrap();
        assert_eq!(unknown.check_leaves(0, &bytes[..64]), Err(LeafFault::NodesMissing));
    }
}
