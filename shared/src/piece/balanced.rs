//! The balanced tree above a file's leaves, node by node as they fill (design §10).
//!
//! Holds the links that wait for a parent and nothing else, so a tree over any number of leaves needs at most one node's
//! links a level. Called by [`super::unixfs`], which keeps the nodes, and by [`crate::file`], which can make them again.

use super::node::{encode_node, node_cid, Link};
use super::unixfs::DagShape;
use alloc::vec::Vec;
use cid::Cid;

/// Builds the tree; every node goes to the caller as soon as it is whole, children before parents.
#[derive(Debug, Clone)]
pub(crate) struct BalancedTree {
    fan_out: u64,
    /// Links that wait for a parent, leaves' links first.
    levels: Vec<Vec<Link>>,
}

impl BalancedTree {
    pub(crate) fn new(shape: DagShape) -> Self {
        Self {
            fan_out: shape.fan_out(),
            levels: Vec::new(),
        }
    }

    /// Takes the link to the next leaf.
    pub(crate) fn push(&mut self, leaf: Link, mut whole: impl FnMut(Cid, Vec<u8>)) {
        self.add_link(0, leaf, &mut whole);
    }

    /// Closes what is not full; the root, or `None` where there was no leaf.
    pub(crate) fn finish(mut self, mut whole: impl FnMut(Cid, Vec<u8>)) -> Option<Cid> {
        let mut height = 0usize;
        loop {
            let above = height.saturating_add(1);
            let is_top = above >= self.levels.len();
            match self.levels.get(height)?.as_slice() {
                [only] if is_top => return Some(only.cid),
                [] => {}
                _ => self.close_node(height, &mut whole),
            }
            height = above;
        }
    }

    /// Adds a link at a level, closing every node that is full.
    fn add_link(&mut self, height: usize, link: Link, whole: &mut dyn FnMut(Cid, Vec<u8>)) {
        if self.levels.len() == height {
            self.levels.push(Vec::new());
        }
        let is_full = self.levels.get_mut(height).is_some_and(|level| {
            level.push(link);
            level.len() as u64 == self.fan_out
        });
        if is_full {
            self.close_node(height, whole);
        }
    }

    /// Makes a node of the links that wait at a level.
    fn close_node(&mut self, height: usize, whole: &mut dyn FnMut(Cid, Vec<u8>)) {
        let Some(links) = self.levels.get_mut(height).map(core::mem::take) else {
            return;
        };
        let bytes = encode_node(&links);
        let cid = node_cid(&bytes);
        let parent = Link {
            cid,
            file_bytes: links.iter().map(|link| link.file_bytes).sum(),
            tree_bytes: links
                .iter()
                .fold(bytes.len() as u64, |sum, link| sum.saturating_add(link.tree_bytes)),
        };
        whole(cid, bytes);
        self.add_link(height.saturating_add(1), parent, whole);
    }
}
