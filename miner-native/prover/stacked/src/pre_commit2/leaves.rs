//! The leaves of the two trees: hashes of the layers' columns, and the encoded replica, which is written on the way.

use super::encode::{encode, NotInField};
use super::files::Open;
use super::trees::Leaves;
use super::{Error, NODE};
use sealdrop_poseidon::{Arity, Cost, Kernel, Poseidon};

/// Nodes that are read at once of each file: 32 KiB, so that eleven layers fit into the second cache.
const CHUNK: usize = 1024;

/// What one hash is in [`Progress`](super::progress::Progress)'s units: its multiplications.
fn multiplications(arity: Arity, kernel: Kernel) -> u64 {
    Cost::of(arity, kernel).multiplications as u64
}

/// Seven leaves have one parent above them, those of the upper rows included: 1/8 + 1/64 + …
fn tree_share(kernel: Kernel) -> u64 {
    multiplications(Arity::Eight, kernel) / 7
}

/// Leaf i of tree-c is the hash of label i of every layer.
pub(super) struct Columns<'a> {
    pub layers: &'a [Open],
    pub poseidon: &'static Poseidon,
    pub kernel: Kernel,
}

impl Leaves for Columns<'_> {
    type Scratch = Vec<[u8; CHUNK * NODE]>;

    fn scratch(&self) -> Self::Scratch {
        vec![[0; CHUNK * NODE]; self.layers.len()]
    }

    fn fill(&self, first: usize, leaves: &mut [u8], scratch: &mut Self::Scratch) -> Result<(), Error> {
        for (first, leaves) in (first..).step_by(CHUNK).zip(leaves.chunks_mut(CHUNK * NODE)) {
            let mut columns = Vec::with_capacity(self.layers.len());
            for (layer, labels) in self.layers.iter().zip(scratch.iter_mut()) {
                let labels = &mut labels[..leaves.len()];
                layer.read(first, labels)?;
                columns.push(&*labels);
            }
            self.poseidon
                .hash_columns(self.kernel, &columns, leaves)
                .map_err(|error| match error {
                    sealdrop_poseidon::Error::NotInField { hash, element } => Error::Label {
                        layer: element + 1,
                        node: first + hash,
                    },
                    other => Error::Hash(other),
                })?;
        }
        Ok(())
    }

    fn cost(&self) -> u64 {
        multiplications(self.poseidon.arity(), self.kernel) + tree_share(self.kernel)
    }
}

/// Leaf i of tree-r-last is node i of the replica: datum i plus label i of the last layer.
pub(super) struct Replica<'a> {
    pub labels: &'a Open,
    /// The last layer's number.
    pub layer: usize,
    pub data: &'a Open,
    /// Its first row is the data that CommD commits to.
    pub data_tree: &'a Open,
    pub replica: &'a Open,
    pub kernel: Kernel,
}

impl Leaves for Replica<'_> {
    /// Labels, data and the data tree's leaves.
    type Scratch = Box<[[u8; CHUNK * NODE]; 3]>;

    fn scratch(&self) -> Self::Scratch {
        Box::new([[0; CHUNK * NODE]; 3])
    }

    fn fill(&self, first: usize, leaves: &mut [u8], scratch: &mut Self::Scratch) -> Result<(), Error> {
        for (first, leaves) in (first..).step_by(CHUNK).zip(leaves.chunks_mut(CHUNK * NODE)) {
            let [labels, data, committed] = scratch.each_mut().map(|buffer| &mut buffer[..leaves.len()]);
            self.labels.read(first, labels)?;
            self.data.read(first, data)?;
            self.data_tree.read(first, committed)?;
            let (labels, data, committed) = (labels.as_chunks().0, data.as_chunks().0, committed.as_chunks().0);
            if let Some(i) = data
                .iter()
                .zip(committed)
                .position(|(datum, committed)| datum != committed)
            {
                return Err(Error::DataChanged { node: first + i });
            }
            for (i, out) in leaves.as_chunks_mut().0.iter_mut().enumerate() {
                encode(&labels[i], &data[i], out).map_err(|operand| match operand {
                    NotInField::Label => Error::Label {
                        layer: self.layer,
                        node: first + i,
                    },
                    NotInField::Datum => Error::Datum { node: first + i },
                })?;
            }
        }
        self.replica.write(first, leaves)
    }

    fn cost(&self) -> u64 {
        tree_share(self.kernel)
    }
}
