//! How many nodes, layers and trees a sector has: the numbers of filecoin-proofs' sector shapes.

use super::NODE;

/// Children of a node in every base tree.
pub(super) const ARITY: usize = 8;

/// A sector of 64 GiB, the largest there is. (Nodes have numbers of 32 bits.)
const MOST_NODES: usize = 1 << 31;

/// How a sector's base trees are joined to one root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One tree (2 KiB, 8 MiB, 512 MiB).
    Base,
    /// Two under one root (4 KiB, 16 MiB, 1 GiB).
    Sub2,
    /// Eight under one root (16 KiB, 32 GiB).
    Sub8,
    /// Twice eight (32 KiB, 64 GiB).
    Top2,
}

impl Shape {
    /// Its number of base trees.
    pub const fn base_trees(self) -> usize {
        match self {
            Self::Base => 1,
            Self::Sub2 => 2,
            Self::Sub8 => 8,
            Self::Top2 => 16,
        }
    }
}

/// A sector's numbers, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    nodes: usize,
    layers: usize,
    shape: Shape,
    rows_to_discard: usize,
}

/// Numbers that make no sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The nodes do not make base trees of 8, 64, 512, … leaves, or are more than 64 GiB.
    #[error("{nodes} nodes do not make {base_trees} trees of arity 8")]
    Nodes {
        /// The sector's nodes.
        nodes: usize,
        /// The shape's trees.
        base_trees: usize,
    },
    /// There is no column hash of so many layers.
    #[error("there is no column hash for {0} layers, only for 2 and 11")]
    Layers(usize),
    /// Nothing would be left of the replica's tree but its root, or not even that.
    #[error("{rows_to_discard} rows above the leaves cannot be discarded of {rows}")]
    Discard {
        /// What was asked.
        rows_to_discard: usize,
        /// Rows of a base tree, leaves and root included.
        rows: usize,
    },
}

impl Layout {
    /// A sector of `nodes` × 32 bytes, its replica tree without the leaves and `rows_to_discard` rows above them.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn new(nodes: usize, layers: usize, shape: Shape, rows_to_discard: usize) -> Result<Self, LayoutError> {
        let leaves = nodes / shape.base_trees();
        let whole =
            leaves.is_power_of_two() && leaves.trailing_zeros().is_multiple_of(ARITY.trailing_zeros()) && leaves > 1;
        if !whole || leaves * shape.base_trees() != nodes || nodes > MOST_NODES {
            return Err(LayoutError::Nodes {
                nodes,
                base_trees: shape.base_trees(),
            });
        }
        if layers != 2 && layers != 11 {
            return Err(LayoutError::Layers(layers));
        }
        let layout = Self {
            nodes,
            layers,
            shape,
            rows_to_discard,
        };
        if rows_to_discard >= layout.rows() - 1 {
            return Err(LayoutError::Discard {
                rows_to_discard,
                rows: layout.rows(),
            });
        }
        Ok(layout)
    }

    /// The sector of `bytes` bytes as filecoin-proofs 19 seals it, with its default of rows to discard, or `None` if it knows
    /// no such size.
    pub fn of_sector(bytes: u64) -> Option<Self> {
        const KIB: u64 = 1 << 10;
        const MIB: u64 = 1 << 20;
        const GIB: u64 = 1 << 30;
        let (shape, layers) = match (bytes / KIB, bytes / MIB, bytes / GIB) {
            (2, ..) | (_, 8, _) | (_, 512, _) => (Shape::Base, 2),
            (4, ..) | (_, 16, _) | (_, _, 1) => (Shape::Sub2, 2),
            (16, ..) => (Shape::Sub8, 2),
            (32, ..) => (Shape::Top2, 2),
            (_, _, 32) => (Shape::Sub8, 11),
            (_, _, 64) => (Shape::Top2, 11),
            _ => return None,
        };
        let nodes = usize::try_from(bytes).ok().filter(|bytes| bytes % NODE == 0)? / NODE;
        let undiscarded = Self::new(nodes, layers, shape, 0).ok()?;
        undiscarded
            .with_rows_to_discard(undiscarded.default_rows_to_discard())
            .ok()
    }

    /// The same sector with another number of rows to discard: the operator's `FIL_PROOFS_ROWS_TO_DISCARD`, which
    /// proofs-of-spacetime assume.
    ///
    /// # Errors
    /// [`LayoutError::Discard`].
    pub fn with_rows_to_discard(self, rows_to_discard: usize) -> Result<Self, LayoutError> {
        Self::new(self.nodes, self.layers, self.shape, rows_to_discard)
    }

    /// filecoin-proofs' default: two rows, or what a small tree can spare.
    fn default_rows_to_discard(&self) -> usize {
        self.rows().saturating_sub(2).min(2)
    }

    /// Nodes of the sector.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// Bytes of the sector, of its data, and of every layer.
    pub fn bytes(&self) -> u64 {
        (self.nodes * NODE) as u64
    }

    /// Label layers.
    pub fn layers(&self) -> usize {
        self.layers
    }

    /// How the base trees are joined.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Leaves of a base tree.
    pub fn leaves(&self) -> usize {
        self.nodes / self.shape.base_trees()
    }

    /// Rows of a base tree, leaves and root included.
    pub fn rows(&self) -> usize {
        (self.leaves().trailing_zeros() / ARITY.trailing_zeros()) as usize + 1
    }

    /// Rows above the leaves that the replica's tree files lack.
    pub fn rows_to_discard(&self) -> usize {
        self.rows_to_discard
    }

    /// Nodes of a base tree from row `first` on; the leaves are row 0.
    pub(super) fn nodes_from_row(&self, first: usize) -> usize {
        (first..self.rows()).map(|row| self.leaves() >> (3 * row)).sum()
    }

    /// Nodes of the binary data tree.
    pub(super) fn data_tree_nodes(&self) -> usize {
        2 * self.nodes - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_sectors_have_the_trees_and_layers_of_their_shape() {
        let of = |bytes| {
            let layout = Layout::of_sector(bytes).unwrap();
            (
                layout.shape(),
                layout.layers(),
                layout.leaves(),
                layout.rows(),
                layout.rows_to_discard(),
            )
        };
        assert_eq!(of(2 << 10), (Shape::Base, 2, 64, 3, 1));
        assert_eq!(of(8 << 20), (Shape::Base, 2, 1 << 18, 7, 2));
        assert_eq!(of(512 << 20), (Shape::Base, 2, 1 << 24, 9, 2));
        assert_eq!(of(32 << 30), (Shape::Sub8, 11, 1 << 27, 10, 2));
        assert_eq!(of(64 << 30), (Shape::Top2, 11, 1 << 27, 10, 2));
        for bytes in [0, 1, 2 << 10 | 1, (8 << 20) + 32, 3 << 10, 128 << 30] {
            assert_eq!(Layout::of_sector(bytes), None, "{bytes}");
        }
    }

    #[test]
    fn numbers_that_make_no_sector_are_refused() {
        let new = Layout::new;
        assert!(new(512, 2, Shape::Base, 2).is_ok());
        for (nodes, shape) in [
            (0, Shape::Base),
            (1, Shape::Base),
            (16, Shape::Base),
            (500, Shape::Base),
            (520, Shape::Sub8),
            (1 << 33, Shape::Base),
        ] {
            let error = LayoutError::Nodes {
                nodes,
                base_trees: shape.base_trees(),
            };
            assert_eq!(new(nodes, 2, shape, 0), Err(error));
        }
        assert_eq!(new(512, 3, Shape::Base, 2), Err(LayoutError::Layers(3)));
        assert_eq!(
            new(512, 2, Shape::Base, 3),
            Err(LayoutError::Discard {
                rows_to_discard: 3,
                rows: 4
            })
        );
        assert!(new(512, 2, Shape::Base, usize::MAX).is_err());
    }
}
