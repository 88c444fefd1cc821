//! The files of pre-commit 1: written under a temporary name, brought to the disk, renamed; so who finds one finds it whole.
//!
//! Labels are read at random places of two layers, so layers are mapped (the data's tree too, since it is at hand): what is in
//! memory is then the kernel's to write out and to drop. Room on the disk is reserved before a file is mapped; a full disk is an
//! error then, and not a signal that ends the process.

use super::Error;
use crate::sha256::{Node, NODE};
use fs4::fs_std::FileExt;
use memmap2::{MmapMut, MmapOptions};
use merkletree::store::StoreConfig;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The id of the data's tree in filecoin-proofs, which is in its file's name.
pub(super) const DATA_TREE: &str = "tree-d";
/// The ids of layers are this and the layer's number, from 1 on.
const LAYER: &str = "layer";

/// How filecoin-proofs describes a file of nodes.
pub(super) fn store_config(cache: &Path, id: &str, nodes: usize) -> StoreConfig {
    let mut config = StoreConfig::new(cache, id, 0);
    config.size = Some(nodes);
    config
}

pub(super) fn layer_id(layer: usize) -> String {
    format!("{LAYER}-{layer}")
}

/// A path's other name, until the file is whole.
pub(super) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

/// Nodes in a mapped file that has its temporary name, until it is [published](Self::publish).
#[derive(Debug)]
pub(super) struct MappedNodes {
    map: MmapMut,
    file: File,
    path: PathBuf,
}

impl MappedNodes {
    /// Creates the file for `path`; what an interrupted run left under the temporary name is overwritten.
    pub fn create(path: PathBuf, nodes: usize) -> Result<Self, Error> {
        let temporary = temporary(&path);
        let create = || {
            let mut options = OpenOptions::new();
            let file = options
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(&temporary)?;
            reserve(&file, (nodes * NODE) as u64)?;
            // SAFETY: nobody else changes the file, or makes it shorter while it is mapped: it is a new one, in a folder that
            // is this sector's, which the caller has locked.
            let map = unsafe { MmapOptions::new().len(nodes * NODE).map_mut(&file)? };
            Ok((map, file))
        };
        let (map, file) = create().map_err(Error::io("create", &temporary))?;
        Ok(Self { map, file, path })
    }

    pub fn nodes(&self) -> &[Node] {
        self.map.as_chunks().0
    }

    pub fn nodes_mut(&mut self) -> &mut [Node] {
        self.map.as_chunks_mut().0
    }

    /// Brings the nodes to the disk.
    pub fn sync(&self) -> Result<(), Error> {
        let synced = self.map.flush().and_then(|()| self.file.sync_all());
        synced.map_err(Error::io("sync", &temporary(&self.path)))
    }

    /// Gives the file its name. The folder is the caller's to sync.
    pub fn publish(&self) -> Result<(), Error> {
        let temporary = temporary(&self.path);
        fs::rename(&temporary, &self.path).map_err(Error::io("rename", &temporary))
    }

    /// Removes the file, which was not published; mapped nodes can be read on.
    pub fn discard(&self) -> Result<(), Error> {
        let temporary = temporary(&self.path);
        fs::remove_file(&temporary).map_err(Error::io("remove", &temporary))
    }
}

/// Makes the file so long, with room for all of it on the disk.
pub(super) fn reserve(file: &File, length: u64) -> io::Result<()> {
    match FileExt::allocate(file, length) {
        Ok(()) => file.set_len(length),
        // The file system cannot reserve: zeros do it too.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            let mut file = file;
            io::copy(&mut io::Read::take(io::repeat(0), length), &mut file)?;
            file.flush()
        }
        Err(error) => Err(error),
    }
}

/// Makes `cache` a folder without any of pre-commit 1's files: the library would take another ticket's layers for this one's,
/// and half a data tree for a whole one.
pub(super) fn remove_outputs(cache: &Path) -> Result<(), Error> {
    fs::create_dir_all(cache).map_err(Error::io("create", cache))?;
    for entry in fs::read_dir(cache).map_err(Error::io("list", cache))? {
        let entry = entry.map_err(Error::io("list", cache))?;
        let name = entry.file_name();
        let ours = |prefix: &str| {
            let path = StoreConfig::data_path(Path::new(""), prefix);
            let stem = path.with_extension("");
            name.to_string_lossy().starts_with(&*stem.to_string_lossy())
        };
        if ours(LAYER) || ours(DATA_TREE) {
            fs::remove_file(entry.path()).map_err(Error::io("remove", &entry.path()))?;
        }
    }
    Ok(())
}

/// Brings a folder's names to the disk.
pub(super) fn sync_directory(dir: &Path) -> Result<(), Error> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(Error::io("sync", dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_an_error_before_a_file_is_mapped_and_no_signal_after() {
        // It knows at once that it has not so much room; other file systems fill up first.
        let memory = Path::new("/dev/shm");
        if !memory.is_dir() {
            eprintln!("left out: there is no file system in memory here");
            return;
        }
        let dir = tempfile::tempdir_in(memory).expect("a folder");
        let nodes = (1usize << 44) / NODE;
        let made = MappedNodes::create(dir.path().join("layer"), nodes).map(drop);
        assert!(
            matches!(&made, Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::StorageFull),
            "{made:?}"
        );
    }
}
