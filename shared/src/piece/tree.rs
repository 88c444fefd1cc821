//! The binary tree under CommP and CommD: SHA-256 over two 32-byte nodes, two bits cleared (spec §8.3).
//!
//! [`Forest`] holds the roots of what was seen so far, like the digits of a binary counter, so a tree over any number of
//! bytes needs one node a level. Called by [`super::commp`], [`super::layout`] and [`super::inclusion`].

use super::commitment::Commitment;
pub use super::kernel::hash_pair;
use super::size::{PaddedSize, MAX_HEIGHT};
use super::zero::ZERO_ROOTS;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Height of one quad: four leaves, 127 bytes of a file.
pub const QUAD_HEIGHT: u8 = 2;

/// Why roots do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    #[error("a tree of height {height} cannot be handled; heights go from 2 to {MAX_HEIGHT}")]
    Height { height: u8 },
    #[error("a tree of height {height} cannot start at quad {quads}; give the parts in order, the shorter one last")]
    Misaligned { height: u8, quads: u64 },
    #[error("no bytes were given")]
    Empty,
}

/// The root of an aligned part of a tree: `height` levels above 32-byte leaves, so 2^height leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubtreeRoot {
    pub height: u8,
    pub root: Commitment,
}

impl SubtreeRoot {
    /// The root of a tree of that height, with zeros to the right of this one; itself when it is not lower.
    pub fn padded_to(self, height: u8) -> Commitment {
        let mut node = self.root.0;
        for zeros in ZERO_ROOTS
            .iter()
            .take(usize::from(height))
            .skip(usize::from(self.height))
        {
            node = hash_pair(&node, zeros);
        }
        Commitment(node)
    }
}

/// Root of a tree of 2^height zero leaves; `None` above [`MAX_HEIGHT`].
pub fn zero_commitment(height: u8) -> Option<Commitment> {
    ZERO_ROOTS.get(usize::from(height)).copied().map(Commitment)
}

/// CommP of a piece of zeros of the given padded size.
pub fn zero_piece(size: PaddedSize) -> Commitment {
    zero_commitment(size.height()).expect("no padded size is larger than the largest tree")
}

/// Roots of the complete sub-trees seen so far, largest first, at most one of each height.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forest {
    roots: Vec<SubtreeRoot>,
    quads: u64,
}

impl Forest {
    pub fn new() -> Self {
        Self::default()
    }

    /// How many quads (127 bytes of a file) the forest covers.
    pub fn quads(&self) -> u64 {
        self.quads
    }

    /// The roots, largest first.
    pub fn roots(&self) -> &[SubtreeRoot] {
        &self.roots
    }

    /// Appends a sub-tree to the right. It must start at a multiple of its own size, and the whole stay within
    /// [`MAX_HEIGHT`].
    pub fn push(&mut self, part: SubtreeRoot) -> Result<(), TreeError> {
        self.push_watched(part, |_| {})
    }

    /// Like [`Self::push`]; shows every sub-tree that is complete now, the part itself first.
    pub fn push_watched(&mut self, part: SubtreeRoot, mut complete: impl FnMut(SubtreeRoot)) -> Result<(), TreeError> {
        let SubtreeRoot { mut height, root } = part;
        if !(QUAD_HEIGHT..=MAX_HEIGHT).contains(&height) {
            return Err(TreeError::Height { height });
        }
        let added = 1u64 << (height - QUAD_HEIGHT);
        if !self.quads.is_multiple_of(added) {
            let quads = self.quads;
            return Err(TreeError::Misaligned { height, quads });
        }
        if self.quads + added > 1 << (MAX_HEIGHT - QUAD_HEIGHT) {
            return Err(TreeError::Height { height: MAX_HEIGHT + 1 });
        }
        complete(part);
        let mut node = root.0;
        while let Some(left) = self.roots.pop_if(|left| left.height == height) {
            node = hash_pair(&left.root.0, &node);
            height += 1;
            let root = Commitment(node);
            complete(SubtreeRoot { height, root });
        }
        let root = Commitment(node);
        self.roots.push(SubtreeRoot { height, root });
        self.quads += added;
        Ok(())
    }

    /// The root of the smallest tree that holds everything, with zeros on the right.
    pub fn fold(&self) -> Result<SubtreeRoot, TreeError> {
        let (last, larger) = self.roots.split_last().ok_or(TreeError::Empty)?;
        let SubtreeRoot {
            mut height,
            root: mut node,
        } = *last;
        for left in larger.iter().rev() {
            let right = SubtreeRoot { height, root: node }.padded_to(left.height);
            node = Commitment(hash_pair(&left.root.0, &right.0));
            height = left.height + 1;
        }
        Ok(SubtreeRoot { height, root: node })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    fn quad(byte: u8) -> SubtreeRoot {
        let root = Commitment([byte; 32]);
        SubtreeRoot { height: 2, root }
    }

    #[test]
    fn a_parent_is_sha256_of_its_children_with_two_bits_cleared() {
        for seed in 0..=255u8 {
            let (left, right) = ([seed; 32], [seed.wrapping_mul(7); 32]);
            let mut expected: [u8; 32] = Sha256::digest([left, right].concat()).into();
            expected[31] &= 0x3f;
            assert_eq!(hash_pair(&left, &right), expected);
        }
    }

    #[test]
    fn a_part_must_start_at_a_multiple_of_its_size() {
        let mut forest = Forest::new();
        assert_eq!(forest.fold(), Err(TreeError::Empty));
        forest.push(quad(1)).unwrap();
        let root = Commitment([2; 32]);
        let two = SubtreeRoot { height: 3, root };
        assert_eq!(forest.push(two), Err(TreeError::Misaligned { height: 3, quads: 1 }));
        forest.push(quad(1)).unwrap();
        forest.push(two).unwrap();
        assert_eq!(forest.roots().len(), 1);
        assert_eq!(forest.quads(), 4);
    }

    #[test]
    fn heights_out_of_range_are_refused() {
        let root = Commitment([0; 32]);
        for height in [0, 1, MAX_HEIGHT + 1, 255] {
            assert_eq!(
                Forest::new().push(SubtreeRoot { height, root }),
                Err(TreeError::Height { height })
            );
        }
        let mut forest = Forest::new();
        let full = SubtreeRoot {
            height: MAX_HEIGHT,
            root,
        };
        forest.push(full).unwrap();
        assert_eq!(forest.push(full), Err(TreeError::Height { height: MAX_HEIGHT + 1 }));
    }
}
