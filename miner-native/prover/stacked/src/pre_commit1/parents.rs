//! The parent cache: a file of every node's parents, once for all sectors of a size.
//!
//! Name, bytes and digests are filecoin-proofs' (`storage-proofs-porep`'s `cache.rs` and `parent_cache.json`), which reads the
//! same files. Of another's making there it takes a half-written one as it is, unless it is told to hash all; this one hashes
//! the files whose digests are known each time before it believes them, and writes under another name first.
//! Called by [`super::labels`], which reads the parents in order, a block at a time.

use super::graph::Graph;
use super::{check_stop, files, Error};
use crate::sha256::{Parents, BASE_DEGREE, DEGREE};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Bytes of a node's entry.
const ENTRY: usize = 4 * DEGREE;
/// Nodes that are read, written and labelled between two looks at the stop flag: two milliseconds, 224 KiB.
pub(super) const BLOCK: u32 = 4096;

/// Name and contents of the official sectors' caches, both by SHA-256: `parent_cache.json` of storage-proofs-porep 19.1.0. The
/// first five are those of API version 1.1, by size.
const KNOWN: [(&str, &str); 5] = [
    (
        "494d91dc80f2df5272c4b9e129bc7ade9405225993af9fe34e6542a39a47554b",
        "840057702eea7652cf97e04306c30fe57174714d90de156a25eddd6075c25b97",
    ),
    (
        "5eed212119fd91aa6220a27f31a8966444a9381842bceb3a1ea61525bd47a5b5",
        "03cd13565ded97c240a5f52e54295ad127bd0461b57904cb3a4d79b097bbecab",
    ),
    (
        "7ba215a1d2345774ab90b8cb1158d296e409d6068819d7b8c7baf0b25d63dc34",
        "b5877d1963793efebc261fd8fde4dd6bc59e6b5c7abf52617a4ee023b8dc173a",
    ),
    (
        "21981246c370f9d76c7a77ab273d94bde0ceb4e938292334960bce05585dc117",
        "93deeac5e3052b6927467d4b2641bb782f05491de18d510147c93eeedd8672da",
    ),
    (
        "4905486b7af19558ac3649bc6261411858b6add534438878c4ee3b29d8b9de0b",
        "2698b74eb2606b55b98d8b095e18b6320b47f46e00075956d48640ccd1641b03",
    ),
];

/// A whole file of parents.
#[derive(Debug)]
pub(super) struct ParentCache {
    file: File,
    path: PathBuf,
    nodes: u32,
}

impl ParentCache {
    /// Opens the cache of a graph in `dir`; makes it, on the threads of the caller's rayon pool, where it is missing or not whole.
    ///
    /// Of several processes, one makes it.
    pub fn open(graph: &Graph, dir: &Path, stop: &AtomicBool) -> Result<Self, Error> {
        let path = dir.join(file_name(graph));
        if let Some(cache) = Self::open_whole(graph, &path, stop)? {
            return Ok(cache);
        }
        fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
        let temporary = files::temporary(&path);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(&temporary).map_err(Error::io("create", &temporary))?;
        file.lock().map_err(Error::io("lock", &temporary))?;
        // Who had the lock before has made the cache, then, and this file is that one or a new one.
        if let Some(cache) = Self::open_whole(graph, &path, stop)? {
            let _ = fs::remove_file(&temporary);
            return Ok(cache);
        }
        write(graph, &file, &temporary, stop)?;
        let cache = Self {
            file,
            path: temporary.clone(),
            nodes: graph.nodes(),
        };
        if !cache.is_known_or_unlisted(graph, stop)? {
            return Err(Error::WrongParents { path });
        }
        fs::rename(&temporary, &path).map_err(Error::io("rename", &temporary))?;
        files::sync_directory(dir)?;
        cache.file.unlock().map_err(Error::io("unlock", &path))?;
        Ok(Self { path, ..cache })
    }

    /// `None` if there is no such file, or not a whole one.
    fn open_whole(graph: &Graph, path: &Path, stop: &AtomicBool) -> Result<Option<Self>, Error> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::io("open", path)(source)),
        };
        let length = file.metadata().map_err(Error::io("read the length of", path))?.len();
        let cache = Self {
            file,
            path: path.to_owned(),
            nodes: graph.nodes(),
        };
        let whole = length == u64::from(graph.nodes()) * ENTRY as u64 && cache.is_known_or_unlisted(graph, stop)?;
        Ok(whole.then_some(cache))
    }

    /// Whether the contents are those of the official list, if that names the cache.
    fn is_known_or_unlisted(&self, graph: &Graph, stop: &AtomicBool) -> Result<bool, Error> {
        let name = hex(&graph.cache_digest());
        let Some((_, expected)) = KNOWN.iter().find(|(known, _)| *known == name) else {
            return Ok(true);
        };
        let (mut hash, mut buffer, mut at) = (Sha256::new(), vec![0; 1 << 20], 0);
        let end = u64::from(self.nodes) * ENTRY as u64;
        while at < end {
            check_stop(stop)?;
            let length = buffer.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
            let bytes = &mut buffer[..length];
            self.file
                .read_exact_at(bytes, at)
                .map_err(Error::io("read", &self.path))?;
            hash.update(bytes);
            at += length as u64;
        }
        Ok(hex(&hash.finalize().into()) == *expected)
    }

    /// Reads the parents of up to [`BLOCK`] nodes from `first` on into `parents`, checked: base parents are below their node (node
    /// 0 has itself), the others in the layer.
    pub fn read(&self, first: u32, bytes: &mut Vec<u8>, parents: &mut Vec<Parents>) -> Result<(), Error> {
        let count = BLOCK.min(self.nodes - first);
        bytes.resize(count as usize * ENTRY, 0);
        self.file
            .read_exact_at(bytes, u64::from(first) * ENTRY as u64)
            .map_err(Error::io("read", &self.path))?;
        parents.clear();
        let (entries, _) = bytes.as_chunks::<ENTRY>();
        parents.extend(entries.iter().map(|entry| {
            let (words, _) = entry.as_chunks();
            std::array::from_fn::<_, DEGREE, _>(|at| u32::from_le_bytes(words[at]))
        }));
        let fits = (first..).zip(&*parents).all(|(node, parents)| {
            let (base, expander) = parents.split_at(BASE_DEGREE);
            let nearest = base.iter().fold(0, |most, parent| most.max(*parent));
            let highest = expander.iter().fold(0, |most, parent| most.max(*parent));
            (nearest < node || node == 0) & (highest < self.nodes)
        });
        match fits {
            true => Ok(()),
            false => Err(Error::WrongParents {
                path: self.path.clone(),
            }),
        }
    }
}

/// Computes all parents into the file and brings it to the disk.
fn write(graph: &Graph, file: &File, path: &Path, stop: &AtomicBool) -> Result<(), Error> {
    files::reserve(file, u64::from(graph.nodes()) * ENTRY as u64).map_err(Error::io("make room for", path))?;
    (0..graph.nodes().div_ceil(BLOCK))
        .into_par_iter()
        .try_for_each(|block| {
            check_stop(stop)?;
            let first = block * BLOCK;
            let nodes = first..(first + BLOCK).min(graph.nodes());
            let mut bytes = Vec::with_capacity(nodes.len() * ENTRY);
            nodes.for_each(|node| bytes.extend(graph.parents(node).iter().flat_map(|parent| parent.to_le_bytes())));
            file.write_all_at(&bytes, u64::from(first) * ENTRY as u64)
                .map_err(Error::io("write", path))
        })?;
    file.sync_all().map_err(Error::io("sync", path))
}

fn file_name(graph: &Graph) -> String {
    format!("v28-sdr-parent-{}.cache", hex(&graph.cache_digest()))
}

fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
