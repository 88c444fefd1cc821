//! Pre-commit 1: commits to the data, and labels the sector's graph with hashes that take their time one after the other.
//!
//! Called by the prover when a sector's data is in place; pre-commit 2 and commit 1 read what it writes, which is byte for byte
//! what `filecoin_proofs::seal_pre_commit_phase1` writes:
//!
//! ```text
//! unsealed                         in       data → its tree, whose root must be CommD
//! PARENTS/v28-sdr-parent-….cache   in, out  the graph; made where it is missing, for all sectors of a size
//! sc-02-data-tree-d.dat            out      the data's tree, all rows
//! sc-02-data-layer-1.dat …         out      labels, each layer from the one before
//! ```
//! Each file is written under another name, brought to the disk and renamed. It may be stopped or killed anywhere and run again:
//! it begins from scratch each time, and never takes over what another ticket, sector or an interrupted run has left.
//!
//! Memory and disk, for a sector of S bytes: layers are mapped files, of which the two that are at work should fit into memory
//! (they need not: they are the kernel's to write out and drop; but labels are read at random places), 16 MiB for 8 MiB sectors,
//! 1 GiB for 512 MiB, 64 GiB for 32 GiB. Own memory is below 2 MiB. On the disk S for each layer, 2 S for the data's tree, and
//! once a sector size 1.75 S for the graph: 32 GiB sectors take 416 GiB each and 56 GiB once, and each layer reads the 56 GiB.

mod data_tree;
mod files;
mod graph;
mod labels;
mod limit;
mod parents;

pub use limit::{compressions, measure_compression_ns};

use crate::pre_commit2::Layout;
use crate::sha256::{Sha256Kernel, NODE};
use files::{MappedNodes, DATA_TREE};
use graph::Graph;
use labels::{Chain, Run};
use merkletree::store::StoreConfig;
use parents::ParentCache;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whose labels: everything that a sector's replica id is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The sector's numbers.
    pub layout: Layout,
    /// Which seal proof it is for, of API version 1.1 or later: the graph depends on it too.
    pub porep_id: [u8; 32],
    /// Who seals it.
    pub prover_id: [u8; 32],
    /// The sector's number.
    pub sector: u64,
    /// Randomness of the chain.
    pub ticket: [u8; 32],
    /// The data's commitment.
    pub comm_d: [u8; NODE],
}

impl Identity {
    /// SHA-256 of all, two bits cleared: what each label of the sector begins with.
    pub fn replica_id(&self) -> [u8; NODE] {
        let hash = Sha256::new()
            .chain_update(self.prover_id)
            .chain_update(self.sector.to_be_bytes())
            .chain_update(self.ticket)
            .chain_update(self.comm_d)
            .chain_update(self.porep_id);
        let mut id: [u8; NODE] = hash.finalize().into();
        id[NODE - 1] &= 0x3f;
        id
    }
}

/// A sector with data.
#[derive(Clone, Copy, Debug)]
pub struct Sector<'a> {
    /// Whose labels.
    pub identity: Identity,
    /// The data, as long as the sector.
    pub unsealed: &'a Path,
    /// The folder for layers and tree, this sector's alone; created where it is missing. Other files in it stay as they are.
    pub cache: &'a Path,
}

/// How to work.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// The folder of parent caches, `FIL_PROOFS_PARENT_CACHE`; created where it is missing.
    pub parents: &'a Path,
    /// Which SHA-256.
    pub kernel: Sha256Kernel,
    /// Looked at every few milliseconds.
    pub stop: &'a AtomicBool,
    /// Gets (done, total) in labels, in order, after a few milliseconds each. The graph, where it is made, and the data's tree are
    /// before that.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
}

/// What filecoin-proofs calls the output of phase 1: how its stores are described, whose files are in the cache.
#[derive(Clone, Debug)]
pub struct Output {
    /// The layers', the first first.
    pub labels: Vec<StoreConfig>,
    /// The data tree's.
    pub data_tree: StoreConfig,
    /// The data's commitment.
    pub comm_d: [u8; NODE],
}

/// Why there are no labels. The sector can be tried again.
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
    /// The data is not whole.
    #[error("{path} has {found} bytes instead of {expected}")]
    WrongLength { path: PathBuf, found: u64, expected: u64 },
    /// The data is not what was to be committed to.
    #[error("{path} does not hold the data of CommD")]
    WrongData { path: PathBuf, found: [u8; NODE] },
    /// A parent cache changed while it was read, or a file without known digest is damaged.
    #[error("{path} does not hold the parents of this graph; remove it")]
    WrongParents { path: PathBuf },
    /// Sectors with several graphs cannot be labelled together.
    #[error("the sectors differ in size or seal proof")]
    SeveralGraphs,
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

/// Writes the data's tree and all layers; every file and folder is on the disk when it returns. Labels are one thread's work, the
/// tree and the graph are for the threads of the caller's rayon pool.
///
/// # Errors
/// [`Error`]. The cache then has none of the files.
pub fn pre_commit1(sector: &Sector<'_>, options: &Options<'_>) -> Result<Output, Error> {
    let mut outputs = pre_commit1_together(std::slice::from_ref(sector), options)?;
    Ok(outputs.pop().expect("one output for one sector"))
}

/// [`pre_commit1`] of several sectors of one size, all on one thread: chains of hashes that wait for their own results fill each
/// other's gaps. Two take seven tenths of the CPU time that they take one after the other, four two thirds (Zen 5); but a thread
/// for each is done earlier where cores are idle. Memory is needed for four sectors' layers at a time.
///
/// # Errors
/// [`Error`], of the first sector that has one. The caches then have none of the files.
pub fn pre_commit1_together(sectors: &[Sector<'_>], options: &Options<'_>) -> Result<Vec<Output>, Error> {
    let done = write_all(sectors, options);
    if done.is_err() {
        // FAIL: files cannot be removed. THEN: the next run removes them, or cannot either, before it writes any.
        sectors
            .iter()
            .for_each(|sector| drop(files::remove_outputs(sector.cache)));
    }
    done.map(|()| sectors.iter().map(output).collect())
}

fn write_all(sectors: &[Sector<'_>], options: &Options<'_>) -> Result<(), Error> {
    let Some(first) = sectors.first() else {
        return Ok(());
    };
    let graph_of = |sector: &Sector<'_>| (sector.identity.layout, sector.identity.porep_id);
    if sectors.iter().any(|sector| graph_of(sector) != graph_of(first)) {
        return Err(Error::SeveralGraphs);
    }
    sectors
        .iter()
        .try_for_each(|sector| files::remove_outputs(sector.cache))?;
    sectors.iter().try_for_each(|sector| write_data_tree(sector, options))?;
    let chains: Vec<_> = sectors.iter().map(chain).collect();
    label(&first.identity, &chains, options)?;
    sectors
        .iter()
        .try_for_each(|sector| files::sync_directory(sector.cache))
}

/// Writes the labels of the last layer, which the replica was encoded with, to the file `labels`: to unseal. The other layers are
/// beside it, under temporary names, while they are needed; twice the sector's size in all.
///
/// # Errors
/// [`Error`]; there is no file `labels` then.
pub fn label_last_layer(identity: &Identity, labels: &Path, options: &Options<'_>) -> Result<(), Error> {
    let layers = identity.layout.layers();
    let name = |layer| match layer == layers {
        true => labels.to_owned(),
        false => labels.with_extension(files::layer_id(layer)),
    };
    let chain = Chain {
        replica_id: identity.replica_id(),
        layers: (1..=layers).map(name).collect(),
        last_only: true,
    };
    let chains = [chain];
    let done = label(identity, &chains, options);
    if done.is_err() {
        let paths = chains[0].layers.iter();
        // FAIL: a file cannot be removed, or is none. THEN: the next run overwrites it.
        paths.for_each(|path| drop(std::fs::remove_file(files::temporary(path))));
    }
    done
}

fn label(identity: &Identity, chains: &[Chain], options: &Options<'_>) -> Result<(), Error> {
    let nodes = u32::try_from(identity.layout.nodes()).expect("a layout has at most 2^31 nodes");
    let graph = Graph::new(nodes, identity.porep_id);
    let total = labels::total(nodes, chains);
    let run = Run {
        kernel: options.kernel,
        parents: &ParentCache::open(&graph, options.parents, options.stop)?,
        nodes,
        stop: options.stop,
        progress: &|done| (options.progress)(done, total),
    };
    labels::label(&run, chains)
}

fn write_data_tree(sector: &Sector<'_>, options: &Options<'_>) -> Result<(), Error> {
    let config = output(sector).data_tree;
    let leaves = sector.identity.layout.nodes();
    let mut tree = MappedNodes::create(StoreConfig::data_path(&config.path, &config.id), 2 * leaves - 1)?;
    let found = data_tree::build(options.kernel, sector.unsealed, leaves, &mut tree, options.stop)?;
    if found != sector.identity.comm_d {
        let path = sector.unsealed.to_owned();
        return Err(Error::WrongData { path, found });
    }
    tree.sync()?;
    tree.publish()
}

fn chain(sector: &Sector<'_>) -> Chain {
    let paths = output(sector).labels;
    Chain {
        replica_id: sector.identity.replica_id(),
        layers: paths
            .iter()
            .map(|config| StoreConfig::data_path(&config.path, &config.id))
            .collect(),
        last_only: false,
    }
}

/// How the files are described; which need not exist yet.
fn output(sector: &Sector<'_>) -> Output {
    let layout = &sector.identity.layout;
    let layer = |layer| files::store_config(sector.cache, &files::layer_id(layer), layout.nodes());
    Output {
        labels: (1..=layout.layers()).map(layer).collect(),
        data_tree: files::store_config(sector.cache, DATA_TREE, 2 * layout.nodes() - 1),
        comm_d: sector.identity.comm_d,
    }
}

fn check_stop(stop: &AtomicBool) -> Result<(), Error> {
    match stop.load(Ordering::Relaxed) {
        true => Err(Error::Stopped),
        false => Ok(()),
    }
}
