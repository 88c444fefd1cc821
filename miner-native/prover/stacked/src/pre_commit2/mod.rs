//! Pre-commit 2: commits to the label layers, encodes the data into the replica and commits to that.
//!
//! Called by the prover after pre-commit 1, whose layers and data tree it reads; commit 1 and proofs-of-spacetime read what
//! it writes, which is byte for byte what `filecoin_proofs::seal_pre_commit_phase2` writes:
//!
//! ```text
//! sc-02-data-layer-1.dat …      in    labels                        ┐ columns → tree-c
//! sc-02-data-tree-c.dat         out   all rows, or -0.dat, -1.dat …  ┘
//! sc-02-data-tree-d.dat         in    the data's tree: its length, root and leaves are checked
//! unsealed                      in    data                          ┐ data + labels → replica → tree-r-last
//! sealed                        out   the replica                   │
//! sc-02-data-tree-r-last.dat    out   without its lowest rows       ┘
//! t_aux, p_aux                  out   last: where they are, all others are whole
//! ```
//! The library encodes the replica's file in place, so that a second run returns a wrong CommR without any error. This one
//! begins with the data each time and removes what an earlier run left; it may be stopped or killed anywhere and run again.

mod encode;
mod files;
mod layout;
mod leaves;
mod progress;
mod trees;

pub use layout::{Layout, LayoutError, Shape};

use files::{Open, Tree};
use leaves::{Columns, Replica};
use progress::Progress;
use sealdrop_poseidon::{Arity, Kernel, Poseidon, NODE};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use trees::{BaseTree, Leaves};

/// A sector as pre-commit 1 left it.
#[derive(Clone, Copy, Debug)]
pub struct Sector<'a> {
    /// Its numbers.
    pub layout: Layout,
    /// The folder of the layers and the data's tree, and for the other trees. `t_aux` holds the path as it is given here.
    pub cache: &'a Path,
    /// The data, as long as the sector.
    pub unsealed: &'a Path,
    /// Where the replica goes; what is there is removed.
    pub sealed: &'a Path,
    /// The data's commitment, as pre-commit 1 returned it.
    pub comm_d: [u8; NODE],
}

/// What pre-commit 2 commits to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commitments {
    /// To all label layers.
    pub comm_c: [u8; NODE],
    /// The root of the replica's tree.
    pub comm_r_last: [u8; NODE],
    /// The hash of both: what goes to the chain.
    pub comm_r: [u8; NODE],
}

/// Why there are no commitments. The sector can be tried again, after pre-commit 1 where an input is at fault.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // The fields are named in the messages.
pub enum Error {
    /// The system refused.
    #[error("cannot {action} {path}")]
    Io {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    /// An input is not whole.
    #[error("{path} has {found} bytes instead of {expected}")]
    WrongLength { path: PathBuf, found: u64, expected: u64 },
    /// A layer is damaged: labels have 254 bits.
    #[error("label {node} of layer {layer} is not a number of the scalar field")]
    Label { layer: usize, node: usize },
    /// The data was not padded to 254 bits a node.
    #[error("node {node} of the data is not a number of the scalar field")]
    Datum { node: usize },
    /// The data is not what pre-commit 1 committed to.
    #[error("node {node} of the data is another than the leaf of its tree")]
    DataChanged { node: usize },
    /// The data's tree is another sector's, or not whole.
    #[error("{path} does not end in CommD")]
    DataTreeRoot { path: PathBuf },
    /// The replica would be written over the data.
    #[error("data and replica are the same file, {path}")]
    SameFile { path: PathBuf },
    /// filecoin-proofs could not read the path back.
    #[error("{path} cannot be written down in t_aux")]
    Path { path: PathBuf, source: bincode::Error },
    /// Never seen: trees are hashed from numbers of the field.
    #[error("a tree's row cannot be hashed")]
    Hash(#[from] sealdrop_poseidon::Error),
    /// As the caller wished.
    #[error("stopped")]
    Stopped,
}

impl Error {
    fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> Self + 'a {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// Builds tree-c, the replica and tree-r-last, on the threads of the caller's rayon pool; every file and folder is on the disk
/// when it returns. A thread needs less than 1 MiB, the trees' upper rows 10 MiB in a 32 GiB sector.
///
/// `progress` gets (done, total), both in units of its own, in order, from any thread: it must return soon. `stop` is looked
/// at between jobs, of 10 milliseconds with IFMA and at most a quarter of a second without.
///
/// # Errors
/// [`Error`]. The sector's other files are then as they were; outputs are missing or not whole, and `p_aux` is missing.
pub fn pre_commit2(
    sector: &Sector<'_>,
    kernel: Kernel,
    stop: &AtomicBool,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Commitments, Error> {
    let Sector {
        layout,
        cache,
        unsealed,
        sealed,
        ..
    } = *sector;
    let poseidon = Poseidon::of(Arity::of(layout.layers()).expect("a layout has two or eleven layers"));
    // Everything that can be wrong from the start is, before anything is removed.
    let layers = files::open_layers(&layout, cache)?;
    let data = files::open_data(&layout, unsealed)?;
    let data_tree = files::open_data_tree(&layout, cache, &sector.comm_d)?;
    let t_aux = files::temporary_aux(&layout, cache)?;
    check_different(unsealed, sealed)?;
    files::remove_outputs(cache, sealed)?;

    let replica = files::create_replica(sealed)?;
    let columns = Columns {
        layers: &layers,
        poseidon,
        kernel,
    };
    let labels = layers.last().expect("a layout has two or eleven layers");
    let encoded = Replica {
        labels,
        layer: layers.len(),
        data: &data,
        data_tree: &data_tree,
        replica: &replica,
        kernel,
    };
    let total = layout.nodes() as u64 * (columns.cost() + encoded.cost());
    let progress = Progress::new(stop, progress, total);

    let comm_c = build(sector, Tree::C, kernel, &columns, &progress)?;
    let comm_r_last = build(sector, Tree::RLast, kernel, &encoded, &progress)?;
    replica.sync()?;
    files::sync_directory(
        sealed
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new(".")),
    )?;
    files::sync_directory(cache)?;
    let comm_r = root(Arity::Two, kernel, &[comm_c, comm_r_last])?;
    // THEN: whoever finds these finds everything.
    files::write_aux(cache, &[comm_c, comm_r_last].concat(), &t_aux)?;
    Ok(Commitments {
        comm_c,
        comm_r_last,
        comm_r,
    })
}

/// Builds all base trees of a tree, and returns the root above them.
fn build<L: Leaves>(
    sector: &Sector<'_>,
    tree: Tree,
    kernel: Kernel,
    leaves: &L,
    progress: &Progress<'_>,
) -> Result<[u8; NODE], Error> {
    let layout = &sector.layout;
    let lowest = match tree {
        Tree::C => 0,
        Tree::RLast => layout.rows_to_discard() + 1,
    };
    let mut roots = vec![];
    for index in 0..layout.shape().base_trees() {
        let file: Open = files::create_tree(layout, sector.cache, tree, index)?;
        roots.push(
            BaseTree {
                layout,
                index,
                file: &file,
                lowest,
                kernel,
            }
            .build(leaves, progress)?,
        );
        file.sync()?;
    }
    match layout.shape() {
        Shape::Base => Ok(roots[0]),
        Shape::Sub2 => root(Arity::Two, kernel, &roots),
        Shape::Sub8 => root(Arity::Eight, kernel, &roots),
        Shape::Top2 => {
            let halves = roots
                .chunks(roots.len() / 2)
                .map(|half| root(Arity::Eight, kernel, half));
            root(Arity::Two, kernel, &halves.collect::<Result<Vec<_>, _>>()?)
        }
    }
}

/// The parent of as many nodes as the arity has.
fn root(arity: Arity, kernel: Kernel, nodes: &[[u8; NODE]]) -> Result<[u8; NODE], Error> {
    let mut root = [0; NODE];
    Poseidon::of(arity).hash_nodes(kernel, nodes.as_flattened(), &mut root)?;
    Ok(root)
}

/// The replica's place is emptied first: it must not be the data's.
fn check_different(unsealed: &Path, sealed: &Path) -> Result<(), Error> {
    let data = unsealed.canonicalize().map_err(Error::io("find", unsealed))?;
    match sealed.canonicalize() {
        Ok(replica) if replica == data => Err(Error::SameFile { path: data }),
        _ => Ok(()),
    }
}
