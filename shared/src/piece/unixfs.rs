//! The UnixFS root of a file: `pieceRef` of a deal, the CID that `ipfs add` prints (design §10).
//!
//! Profile `unixfs-v1-2025`: version 1 CIDs, SHA-256, raw leaves of 1 MiB, a balanced tree of at most 1024 links a node.
//! A file of one leaf is that leaf. [`DagShape`] says what a file of a given size must look like, so a receiver needs no
//! trust in the nodes it is sent ([`crate::transfer`]).

use super::balanced::BalancedTree;
use super::leaves::LeafHasher;
use super::node::{cid_of, Link, DAG_PB, MAX_LINKS, RAW};
use super::size::MAX_PIECE;
use alloc::vec::Vec;
use cid::Cid;

/// Bytes of a leaf.
pub const LEAF_BYTES: u64 = 1 << 20;

/// Why there is no root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnixFsError {
    #[error("the file is empty; choose a file with at least one byte")]
    Empty,
    #[error("{size} bytes are more than the {MAX_PIECE} bytes handled; split the file into pieces")]
    TooLarge { size: u64 },
}

/// The shape of a file's DAG: it follows from the file's size alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DagShape {
    leaf_bytes: u64,
    fan_out: u64,
}

impl DagShape {
    /// What every piece uses: leaves of 1 MiB, 1024 links a node.
    pub const STANDARD: Self = Self {
        leaf_bytes: LEAF_BYTES,
        fan_out: MAX_LINKS as u64,
    };

    /// A small shape, so that tests see deep trees cheaply.
    #[cfg(any(test, feature = "testing"))]
    pub const fn small(leaf_bytes: u64, fan_out: u64) -> Self {
        Self { leaf_bytes, fan_out }
    }

    /// Links of every node but the last of a level.
    pub fn fan_out(&self) -> u64 {
        self.fan_out
    }

    /// Bytes of every leaf but the last.
    pub fn leaf_bytes(&self) -> u64 {
        self.leaf_bytes
    }

    /// Leaves of a file.
    pub fn leaves(&self, size: u64) -> u64 {
        size.div_ceil(self.leaf_bytes)
    }

    /// Levels of interior nodes above the leaves: 0 for a file of one leaf, 2 for 32 GiB.
    pub fn depth(&self, size: u64) -> u32 {
        let (mut spans, mut depth) = (self.leaves(size), 0u32);
        while spans > 1 {
            spans = spans.div_ceil(self.fan_out);
            depth = depth.saturating_add(1);
        }
        depth
    }

    /// The codec of the root of a file: that of a leaf, or of an interior node.
    pub fn root_codec(&self, size: u64) -> u64 {
        match self.depth(size) {
            0 => RAW,
            _ => DAG_PB,
        }
    }

    /// File bytes under a full node `height` levels above the leaves (0: a leaf).
    pub fn span(&self, height: u32) -> u64 {
        self.fan_out.saturating_pow(height).saturating_mul(self.leaf_bytes)
    }

    /// Blocks at `height` levels above the leaves (0: leaves).
    pub fn blocks_at(&self, size: u64, height: u32) -> u64 {
        size.div_ceil(self.span(height))
    }

    /// Interior nodes of a file.
    pub fn nodes(&self, size: u64) -> u64 {
        (1..=self.depth(size)).map(|height| self.blocks_at(size, height)).sum()
    }

    /// File bytes under the block of this index at this height; 0 behind the end of the file.
    pub fn bytes_under(&self, size: u64, height: u32, index: u64) -> u64 {
        let span = self.span(height);
        size.saturating_sub(index.saturating_mul(span)).min(span)
    }
}

/// A file's DAG without its leaves' bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dag {
    pub root: Cid,
    /// Bytes of the file.
    pub size: u64,
    /// CIDs of the leaves, in file order.
    pub leaves: Vec<Cid>,
    /// Interior nodes, children before parents, the root last; none for a file of one leaf.
    pub nodes: Vec<(Cid, Vec<u8>)>,
}

impl Dag {
    /// The DAG over leaves that were hashed elsewhere, as many as a file of `size` bytes has.
    pub(crate) fn of_leaves(size: u64, leaves: &[[u8; 32]]) -> Result<Self, UnixFsError> {
        let mut dag = DagBuilder::new();
        for (index, digest) in leaves.iter().enumerate() {
            dag.push_leaf(digest, DagShape::STANDARD.bytes_under(size, 0, index as u64));
        }
        dag.finish()
    }
}

/// Builds the interior nodes over leaves that were hashed elsewhere, each handed out as soon as it is whole, children before parents. Memory:
/// at most 1024 links a level, so that a file of any size can be gone through.
#[derive(Debug, Clone)]
pub struct NodeBuilder {
    size: u64,
    leaves: u64,
    tree: BalancedTree,
}

impl NodeBuilder {
    /// For a file of `size` bytes.
    pub fn new(size: u64) -> Self {
        Self {
            size,
            leaves: 0,
            tree: BalancedTree::new(DagShape::STANDARD),
        }
    }

    /// Takes the digest of the next leaf. Those behind the end of the file make it another one, which [`Self::finish`] tells.
    pub fn push(&mut self, digest: &[u8; 32], whole: impl FnMut(Cid, Vec<u8>)) {
        let bytes = DagShape::STANDARD.bytes_under(self.size, 0, self.leaves);
        self.leaves = self.leaves.saturating_add(1);
        self.tree.push(Link::to_leaf(cid_of(RAW, digest), bytes), whole);
    }

    /// The root; `None` unless there were as many leaves as the file has.
    pub fn finish(self, whole: impl FnMut(Cid, Vec<u8>)) -> Option<Cid> {
        let is_complete = self.leaves == DagShape::STANDARD.leaves(self.size);
        self.tree.finish(whole).filter(|_| is_complete)
    }
}

/// Builds a file's DAG in one pass. Memory: the result, and at most 1024 links a level.
#[derive(Debug, Clone)]
pub struct DagBuilder {
    shape: DagShape,
    hasher: LeafHasher,
    size: u64,
    leaves: Vec<Cid>,
    nodes: Vec<(Cid, Vec<u8>)>,
    tree: BalancedTree,
}

impl Default for DagBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl DagBuilder {
    pub fn new() -> Self {
        Self::with_shape(DagShape::STANDARD)
    }

    /// For files of a shape that is not the usual one: tests have such.
    pub fn with_shape(shape: DagShape) -> Self {
        Self {
            shape,
            hasher: LeafHasher::new(shape.leaf_bytes),
            size: 0,
            leaves: Vec::new(),
            nodes: Vec::new(),
            tree: BalancedTree::new(shape),
        }
    }

    /// Takes the next bytes of the file. Fails with [`UnixFsError::TooLarge`], taking nothing, when the file gets too
    /// large.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), UnixFsError> {
        let size = self.size.saturating_add(bytes.len() as u64);
        if size > MAX_PIECE {
            return Err(UnixFsError::TooLarge { size });
        }
        self.size = size;
        self.hasher.push(bytes);
        self.close_leaves(self.shape.leaf_bytes);
        Ok(())
    }

    /// Takes a leaf by its digest alone, hashed elsewhere. All but the last have [`DagShape::leaf_bytes`].
    fn push_leaf(&mut self, digest: &[u8; 32], bytes: u64) {
        self.size = self.size.saturating_add(bytes);
        self.close_leaf(digest, bytes);
    }

    /// The DAG of what was pushed; [`UnixFsError::Empty`] when that is nothing.
    pub fn finish(mut self) -> Result<Dag, UnixFsError> {
        let rest = self.size.checked_rem(self.shape.leaf_bytes).unwrap_or(0);
        self.hasher.end();
        self.close_leaves(rest);
        let nodes = &mut self.nodes;
        let root = self.tree.finish(|cid, bytes| nodes.push((cid, bytes)));
        let root = root.ok_or(UnixFsError::Empty)?;
        Ok(Dag {
            root,
            size: self.size,
            leaves: self.leaves,
            nodes: self.nodes,
        })
    }

    /// Links the leaves that are hashed by now, each of `bytes` bytes.
    fn close_leaves(&mut self, bytes: u64) {
        for digest in self.hasher.take() {
            self.close_leaf(&digest, bytes);
        }
    }

    fn close_leaf(&mut self, digest: &[u8; 32], bytes: u64) {
        let cid = cid_of(RAW, digest);
        self.leaves.push(cid);
        let nodes = &mut self.nodes;
        self.tree
            .push(Link::to_leaf(cid, bytes), |cid, bytes| nodes.push((cid, bytes)));
    }
}

/// The bytes that the vectors of this crate's tests were made from.
#[cfg(test)]
pub(crate) fn test_data(size: usize) -> Vec<u8> {
    (0..size)
        .map(|i| (i * 131 + (i >> 8) * 7 + (i >> 16) * 13) as u8)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::node::parse_node;
    use alloc::string::ToString;

    fn dag(shape: DagShape, bytes: &[u8]) -> Dag {
        let mut builder = DagBuilder::with_shape(shape);
        builder.push(bytes).unwrap();
        builder.finish().unwrap()
    }

    #[test]
    #[rustfmt::skip]
    fn roots_equal_those_of_the_reference_importer() {
        // npm ipfs-unixfs-importer 17: rawLeaves, fixedSize 1 MiB, balanced 1024, cidVersion 1, over `test_data(size)`.
        for (size, nodes, root) in [
            (1, 0, "bafkreidogqfzz75tpkmjzjke425xqcrmpcib2p5tg44hnbirumdbpl5adu"),
            (1 << 20, 0, "bafkreihm57xszz27f3jvmvaztrabpk62uktvtltl3xshj34k5fbrzvbd4i"),
            ((1 << 20) + 1, 1, "bafybeid3xj3qes4hvpu6bpbv3hcab5hpkqdxctuio7wob7b4jdzillsymy"),
            (7 << 19, 1, "bafybeihssuhmeh25gplyodvfzssgtfyvtvhiwembojghmgmmjykh3nrhq4"),
        ] {
            let dag = dag(DagShape::STANDARD, &test_data(size));
            assert_eq!(dag.root.to_string(), root, "{size} bytes");
            assert_eq!(dag.nodes.len(), nodes);
            assert_eq!(dag.size, size as u64);
        }
    }

    #[test]
    #[rustfmt::skip]
    fn deep_trees_equal_those_of_the_reference_importer() {
        // The same importer with chunks of 4 bytes and 3 children a node.
        for (size, nodes, root) in [
            (4, 0, "bafkreic2psyf6ajkh42oazdiwt3rva6ezvziqrnp5rqc74536taoeagdae"),
            (5, 1, "bafybeiebjb6rs7aampfszgsi3lfw4qvob37n2jobmihkzjynsuvjtqonim"),
            (11, 1, "bafybeiaip7rfrrvqa6ifphkvizd7vzk5jocre3xlxxovjqq4fxabveiam4"),
            (12, 1, "bafybeif7sukgkkwg7nhexb33omjn2gf2o7vxirbvciwmxlws22hsyqyaeq"),
            (13, 3, "bafybeigios37b574anclaxbc2vf5vw65gmhqmaq4rau55rwjjghu6ioinq"),
            (25, 4, "bafybeignigispkeov4nc2v2equ2hbumffvsl6dh23umnualxdclqkvgdha"),
            (36, 4, "bafybeidceem3qcxji43x3gtcyfbdphpr5oenzr7sedjjy7voadz4eollc4"),
            (37, 7, "bafybeih4un7ncxxm25mytxw2iz4qp67oqarkv3qbd6b67wmcz3ekqztb7i"),
            (100, 13, "bafybeig4iixzk77crhhwrfhgrdmzsytg52ltr7l7rzm2rmlujalaskvji4"),
            (109, 17, "bafybeiavdstdm3jtggr4ye6kc5hye5x37sqjwiofvbqghekmsrnuk2fpau"),
            (130, 18, "bafybeibk4plfbyvxmofjrt6pxny7k5ktwvwd7t7xzl7wxcuzcfnxwb6nbe"),
        ] {
            let shape = DagShape::small(4, 3);
            let dag = dag(shape, &test_data(size));
            assert_eq!(dag.root.to_string(), root, "{size} bytes");
            assert_eq!(dag.nodes.len(), nodes);
            assert_eq!(shape.nodes(size as u64), nodes as u64);
            assert_eq!(shape.leaves(size as u64), dag.leaves.len() as u64);
            if let Some((cid, bytes)) = dag.nodes.last() {
                assert_eq!(*cid, dag.root);
                let total: u64 = parse_node(bytes).unwrap().iter().map(|l| l.file_bytes).sum();
                assert_eq!(dag.size, total);
            }
        }
    }

    #[test]
    fn chunk_borders_do_not_matter() {
        let bytes = test_data(130);
        let whole = dag(DagShape::small(4, 3), &bytes);
        for step in 1..20 {
            let mut builder = DagBuilder::with_shape(DagShape::small(4, 3));
            bytes.chunks(step).for_each(|part| builder.push(part).unwrap());
            assert_eq!(builder.finish(), Ok(whole.clone()));
        }
    }

    #[test]
    fn nodes_are_built_from_the_digests_of_as_many_leaves_as_the_file_has() {
        let size = 3 * LEAF_BYTES + 5;
        let bytes = test_data(size as usize);
        let mut whole = DagBuilder::new();
        whole.push(&bytes).unwrap();
        let whole = whole.finish().unwrap();
        let built = |leaves: usize| {
            let (mut builder, mut nodes) = (NodeBuilder::new(size), Vec::new());
            for cid in whole.leaves.iter().cycle().take(leaves) {
                let digest = cid.hash().digest().try_into().unwrap();
                builder.push(digest, |cid, bytes| nodes.push((cid, bytes)));
            }
            let root = builder.finish(|cid, bytes| nodes.push((cid, bytes)));
            (root, nodes)
        };
        assert_eq!(built(4), (Some(whole.root), whole.nodes.clone()));
        assert_eq!((built(3).0, built(5).0, built(0).0), (None, None, None));
    }

    #[test]
    fn an_empty_file_has_no_root() {
        assert_eq!(DagBuilder::new().finish(), Err(UnixFsError::Empty));
    }

    #[test]
    fn the_shape_of_the_largest_sector_has_two_levels() {
        let size = crate::piece::SectorSize::S32GiB.usable();
        assert_eq!(DagShape::STANDARD.depth(size), 2);
        assert_eq!(DagShape::STANDARD.nodes(size), 33);
        assert_eq!(DagShape::STANDARD.depth(1 << 30), 1);
        assert_eq!(DagShape::STANDARD.depth((1 << 30) + 1), 2);
        assert_eq!(DagShape::STANDARD.bytes_under(2_000_000, 0, 1), 951_424);
        assert_eq!(DagShape::STANDARD.bytes_under(2_000_000, 0, 2), 0);
    }
}
