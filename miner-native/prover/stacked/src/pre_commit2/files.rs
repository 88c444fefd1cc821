//! The files of pre-commit 2: their names, how they are opened and checked, and what makes them durable.
//!
//! Files are read and written at offsets, a job's buffer at a time, rather than mapped: a full disk or a damaged sector is
//! an error then and not a signal that ends the process, and what is in memory is the kernel's to drop.

use super::layout::Layout;
use super::{Error, NODE};
use merkletree::store::StoreConfig;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A store's id in filecoin-proofs, which is in its file's name.
const TREE_C: &str = "tree-c";
const TREE_D: &str = "tree-d";
const TREE_R_LAST: &str = "tree-r-last";
/// What proofs need to know of the trees: two roots, and all stores' sizes.
const P_AUX: &str = "p_aux";
const T_AUX: &str = "t_aux";

/// Which of the two trees with several files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    /// Of columns of labels.
    C,
    /// Of the replica.
    RLast,
}

impl Tree {
    fn id(self) -> &'static str {
        match self {
            Self::C => TREE_C,
            Self::RLast => TREE_R_LAST,
        }
    }
}

/// An open file that remembers its path for errors.
#[derive(Debug)]
pub(super) struct Open {
    file: File,
    path: PathBuf,
}

impl Open {
    /// Opens an input of exactly `nodes` nodes.
    fn input(path: PathBuf, nodes: usize) -> Result<Self, Error> {
        let file = File::open(&path).map_err(Error::io("open", &path))?;
        let found = file.metadata().map_err(Error::io("read the length of", &path))?.len();
        let expected = (nodes * NODE) as u64;
        if found != expected {
            return Err(Error::WrongLength { path, found, expected });
        }
        Ok(Self { file, path })
    }

    /// Creates an output, which must not exist.
    fn output(path: PathBuf) -> Result<Self, Error> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(Error::io("create", &path))?;
        Ok(Self { file, path })
    }

    /// Reads whole nodes from node `first` on.
    pub fn read(&self, first: usize, nodes: &mut [u8]) -> Result<(), Error> {
        self.file
            .read_exact_at(nodes, (first * NODE) as u64)
            .map_err(Error::io("read", &self.path))
    }

    /// Writes whole nodes from node `first` on.
    pub fn write(&self, first: usize, nodes: &[u8]) -> Result<(), Error> {
        self.file
            .write_all_at(nodes, (first * NODE) as u64)
            .map_err(Error::io("write", &self.path))
    }

    /// Brings the file to the disk.
    pub fn sync(&self) -> Result<(), Error> {
        self.file.sync_all().map_err(Error::io("sync", &self.path))
    }
}

/// A file of the cache as filecoin-proofs names it.
fn data_path(cache: &Path, id: &str) -> PathBuf {
    StoreConfig::data_path(cache, id)
}

/// The layers' files, checked for their lengths; layer 1 first.
pub(super) fn open_layers(layout: &Layout, cache: &Path) -> Result<Vec<Open>, Error> {
    let open = |layer| Open::input(data_path(cache, &layer_id(layer)), layout.nodes());
    (1..=layout.layers()).map(open).collect()
}

/// The data, checked for its length.
pub(super) fn open_data(layout: &Layout, unsealed: &Path) -> Result<Open, Error> {
    Open::input(unsealed.to_owned(), layout.nodes())
}

/// The data's tree, checked for its length and its root.
pub(super) fn open_data_tree(layout: &Layout, cache: &Path, comm_d: &[u8; NODE]) -> Result<Open, Error> {
    let tree = Open::input(data_path(cache, TREE_D), layout.data_tree_nodes())?;
    let mut root = [0; NODE];
    tree.read(layout.data_tree_nodes() - 1, &mut root)?;
    match root == *comm_d {
        true => Ok(tree),
        false => Err(Error::DataTreeRoot { path: tree.path }),
    }
}

/// Creates the file of base tree `index`.
pub(super) fn create_tree(layout: &Layout, cache: &Path, tree: Tree, index: usize) -> Result<Open, Error> {
    let id = match layout.shape().base_trees() {
        1 => tree.id().to_owned(),
        _ => format!("{}-{index}", tree.id()),
    };
    Open::output(data_path(cache, &id))
}

/// Creates the replica's file.
pub(super) fn create_replica(sealed: &Path) -> Result<Open, Error> {
    Open::output(sealed.to_owned())
}

/// Removes what an earlier run left, whole or not, before anything is written. The auxiliary files go first and come last:
/// where they are, everything else is whole.
pub(super) fn remove_outputs(cache: &Path, sealed: &Path) -> Result<(), Error> {
    for name in [P_AUX, T_AUX] {
        for path in [cache.join(name), temporary(cache, name)] {
            remove(&path)?;
        }
    }
    sync_directory(cache)?;
    let of_trees = [Tree::C, Tree::RLast].map(|tree| data_path(Path::new(""), tree.id()).with_extension(""));
    for entry in fs::read_dir(cache).map_err(Error::io("list", cache))? {
        let path = entry.map_err(Error::io("list", cache))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if of_trees
            .iter()
            .filter_map(|tree| tree.to_str())
            .any(|tree| name.starts_with(tree))
        {
            remove(&path)?;
        }
    }
    remove(sealed)
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(Error::io("remove", path)),
    }
}

/// `t_aux`: where filecoin-proofs finds the stores of this sector, and how large they are. It holds `cache` as it is written
/// here; the library replaces it when it reads the file.
///
/// # Errors
/// [`Error::Path`] if the path is not UTF-8.
pub(super) fn temporary_aux(layout: &Layout, cache: &Path) -> Result<Vec<u8>, Error> {
    let store = |id: String, size, rows_to_discard| StoreConfig {
        path: cache.to_owned(),
        id,
        size: Some(size),
        rows_to_discard,
    };
    let labels: Vec<_> = (1..=layout.layers())
        .map(|layer| store(layer_id(layer), layout.nodes(), 0))
        .collect();
    // With several base trees this is the size of one, and the ids are without the trees' numbers.
    let base = layout.nodes_from_row(0);
    let aux = (
        labels,
        store(TREE_D.to_owned(), layout.data_tree_nodes(), 0),
        store(TREE_R_LAST.to_owned(), base, layout.rows_to_discard()),
        store(TREE_C.to_owned(), base, 0),
    );
    bincode::serialize(&aux).map_err(|source| Error::Path {
        path: cache.to_owned(),
        source,
    })
}

/// Writes the auxiliary files, which say that all others are whole: those must be on the disk already.
pub(super) fn write_aux(cache: &Path, p_aux: &[u8], t_aux: &[u8]) -> Result<(), Error> {
    for (name, bytes) in [(T_AUX, t_aux), (P_AUX, p_aux)] {
        let (path, whole) = (temporary(cache, name), cache.join(name));
        let file = Open::output(path.clone())?;
        file.write(0, bytes)?;
        file.sync()?;
        fs::rename(&path, &whole).map_err(Error::io("rename", &path))?;
    }
    sync_directory(cache)
}

/// Makes the names in `directory` durable.
pub(super) fn sync_directory(directory: &Path) -> Result<(), Error> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(Error::io("sync", directory))
}

fn temporary(cache: &Path, name: &str) -> PathBuf {
    cache.join(format!("{name}.tmp"))
}

fn layer_id(layer: usize) -> String {
    format!("layer-{layer}")
}
