//! A piece on its way in: leaves in any order, checked by whoever hands them over, each counted once it is written.
//!
//! Which leaves are here stands beside them, and is only a hint: what is found at the start is hashed again, so nothing has to be
//! synced before the piece is whole, and what a loss of power took is simply missing. CommP is computed over the leaves in file
//! order as they come; those that came earlier are read back for it, and checked again.

use super::{file_error, open_both_ways, remove_if_there, sync_dir, StagingError};
use crate::failpoint;
use cid::Cid;
use shared::piece::node::{CID_BYTES, MAX_NODE_BYTES};
use shared::piece::unixfs::LEAF_BYTES;
use shared::piece::{CommPHasher, DigestError, PieceSummary};
use shared::transfer::upload::CHUNK_LEAVES;
use shared::transfer::{Kept, KnownDag, LeafSet};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Leaves that are read back for CommP when others are kept, at most: the rest waits for the end, so that nobody waits long for
/// the answer to a chunk.
const MOST_READ_BACK: u64 = 4 * CHUNK_LEAVES;

/// A piece that is coming in. Only one at a time for a data CID: the caller sees to it ([`super::Claim`]).
#[derive(Debug)]
pub struct Incoming {
    dag: Arc<KnownDag>,
    part: PathBuf,
    nodes_path: PathBuf,
    have_path: PathBuf,
    whole: PathBuf,
    file: File,
    nodes_file: File,
    have_file: File,
    kept: LeafSet,
    comm_p: CommPHasher,
    /// Leaves that went into CommP.
    hashed: u64,
}

impl Incoming {
    /// Opens a piece's files where they stand, and checks what is there.
    pub(super) fn open(dag: KnownDag, whole: PathBuf) -> Result<Self, StagingError> {
        let beside = |ending: &str| {
            let mut path = whole.clone().into_os_string();
            path.push(format!(".{ending}"));
            PathBuf::from(path)
        };
        let (part, nodes_path, have_path) = (beside("part"), beside("nodes"), beside("have"));
        let (nodes_file, dag) = known_nodes(&nodes_path, dag)?;
        let had_bits = have_path.is_file();
        // Before the file, which has holes from now on: without it, leaves are those up to the file's length.
        let have_file = open_both_ways(&have_path)?;
        let mut incoming = Self {
            kept: LeafSet::none(dag.leaves()),
            dag: Arc::new(dag),
            file: open_both_ways(&part)?,
            part,
            nodes_path,
            have_path,
            whole,
            nodes_file,
            have_file,
            comm_p: CommPHasher::new(),
            hashed: 0,
        };
        incoming.check_found(had_bits)?;
        Ok(incoming)
    }

    /// Counts the leaves that are here and right; what a crash left of another one does not count.
    fn check_found(&mut self, had_bits: bool) -> Result<(), StagingError> {
        let (size, total) = (self.dag.size(), self.dag.leaves());
        let metadata = self.file.metadata();
        let length = metadata
            .map_err(|source| file_error("inspect", &self.part, source))?
            .len();
        if length > size {
            let cut = self.file.set_len(size);
            cut.map_err(|source| file_error("cut", &self.part, source))?;
        }
        // Not beyond the file's end: reading there is an error.
        let within = if length >= size { total } else { length / LEAF_BYTES };
        let found = match had_bits {
            true => {
                let mut bits = Vec::new();
                let read = (&mut self.have_file).take(total.div_ceil(8)).read_to_end(&mut bits);
                read.map_err(|source| file_error("read", &self.have_path, source))?;
                LeafSet::from_bytes(total, &bits)
            }
            // Written by a version that kept leaves in file order.
            false => LeafSet::first(total, within),
        };
        if self.dag.is_complete() {
            let found: Vec<u64> = found.iter().filter(|leaf| *leaf < within).collect();
            for leaf in found {
                let bytes = self.read_back(leaf, 1)?;
                if self.dag.check_leaves(leaf, &bytes).is_ok() {
                    self.kept.insert(leaf);
                    if leaf == self.hashed {
                        self.hash(&bytes)?;
                    }
                }
            }
        }
        self.write_bits()
    }

    /// What is known of the piece's DAG.
    pub fn dag(&self) -> &Arc<KnownDag> {
        &self.dag
    }

    /// The leaves that are here.
    pub fn kept(&self) -> &LeafSet {
        &self.kept
    }

    /// Keeps a block that the caller has checked; keeping it twice is harmless.
    pub fn keep(&mut self, block: Kept) -> Result<(), StagingError> {
        match block {
            Kept::Node { cid, bytes } => self.keep_node(cid, bytes),
            Kept::Leaf { index, bytes, .. } => self.keep_leaves(index, &bytes),
        }
    }

    fn keep_node(&mut self, cid: Cid, bytes: Vec<u8>) -> Result<(), StagingError> {
        let mut record = cid.to_bytes();
        record.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        record.extend_from_slice(&bytes);
        let end = self.nodes_file.stream_position();
        if let Err(source) = self.nodes_file.write_all(&record) {
            // What was written of it would hide what comes behind it.
            if let Ok(end) = end {
                let _ = self.nodes_file.set_len(end);
                let _ = self.nodes_file.seek(SeekFrom::Start(end));
            }
            return Err(file_error("write", &self.nodes_path, source));
        }
        // It fits: the caller has checked it.
        let _ = Arc::make_mut(&mut self.dag).take_nodes([(cid, bytes)]);
        Ok(())
    }

    /// Keeps whole leaves that the caller has checked, from leaf `first` on.
    pub fn keep_leaves(&mut self, first: u64, bytes: &[u8]) -> Result<(), StagingError> {
        let end = first.saturating_add((bytes.len() as u64).div_ceil(LEAF_BYTES));
        if end > self.dag.leaves() {
            let total = self.dag.leaves();
            return Err(StagingError::BeyondEnd { index: first, total });
        }
        if self.kept.contains_all(first..end) {
            return Ok(());
        }
        let written = self
            .file
            .seek(SeekFrom::Start(self.dag.leaf_start(first)))
            .and_then(|_| self.file.write_all(bytes));
        written.map_err(|source| file_error("write", &self.part, source))?;
        for leaf in first..end {
            self.kept.insert(leaf);
        }
        self.write_bits_of(first, end)?;
        if first == self.hashed {
            self.comm_p.push(bytes).map_err(DigestError::from)?;
            self.hashed = end;
        }
        self.catch_up(MOST_READ_BACK)
    }

    /// Computes CommP over leaves that came before those in front of them; what is not right any more is missing again.
    fn catch_up(&mut self, most: u64) -> Result<(), StagingError> {
        let until = self.hashed.saturating_add(most).min(self.dag.leaves());
        while self.hashed < until && self.kept.contains(self.hashed) {
            let first = self.hashed;
            let next = self.kept.first_missing(first).unwrap_or(self.dag.leaves());
            let end = next.min(first.saturating_add(CHUNK_LEAVES)).min(until);
            let bytes = self.read_back(first, end - first)?;
            if self.dag.check_leaves(first, &bytes).is_err() {
                tracing::warn!(data = %self.dag.root(), first, "what was staged is not what was written, and is asked for again");
                (first..end).for_each(|leaf| self.kept.remove(leaf));
                self.write_bits_of(first, end)?;
                return Ok(());
            }
            self.hash(&bytes)?;
        }
        Ok(())
    }

    fn hash(&mut self, bytes: &[u8]) -> Result<(), StagingError> {
        self.comm_p.push(bytes).map_err(DigestError::from)?;
        self.hashed += (bytes.len() as u64).div_ceil(LEAF_BYTES);
        Ok(())
    }

    fn read_back(&mut self, first: u64, leaves: u64) -> Result<Vec<u8>, StagingError> {
        let start = self.dag.leaf_start(first);
        let end = self.dag.leaf_start(first + leaves);
        let mut bytes = vec![0; (end - start) as usize];
        let read = self.file.seek(SeekFrom::Start(start));
        let read = read.and_then(|_| self.file.read_exact(&mut bytes));
        read.map_err(|source| file_error("read", &self.part, source))?;
        Ok(bytes)
    }

    fn write_bits(&mut self) -> Result<(), StagingError> {
        let bits = self.kept.as_bytes().to_vec();
        self.write_bits_at(0, &bits)
    }

    fn write_bits_of(&mut self, first: u64, end: u64) -> Result<(), StagingError> {
        let bytes = self.kept.as_bytes();
        let places = first / 8..end.div_ceil(8);
        let bits = bytes.get(places.start as usize..places.end as usize);
        let bits = bits.unwrap_or_default().to_vec();
        self.write_bits_at(places.start, &bits)
    }

    fn write_bits_at(&mut self, place: u64, bits: &[u8]) -> Result<(), StagingError> {
        let written = self.have_file.seek(SeekFrom::Start(place));
        let written = written.and_then(|_| self.have_file.write_all(bits));
        written.map_err(|source| file_error("write", &self.have_path, source))
    }

    /// Whether all of the piece is here, so that it can be finished.
    pub fn is_complete(&self) -> bool {
        self.dag.is_complete() && self.kept.is_full()
    }

    /// The piece is complete: checks it as a whole and makes it durable under its name.
    pub fn finish(&mut self) -> Result<PieceSummary, StagingError> {
        self.catch_up(u64::MAX)?;
        let expected = self.dag.root();
        let (Some(digests), true) = (self.dag.leaf_digests(), self.is_complete()) else {
            let missing = self.kept.total() - self.kept.count();
            return Err(StagingError::Incomplete { missing });
        };
        let piece = self.comm_p.clone().finish().map_err(DigestError::from)?;
        let summary = PieceSummary::of_leaves(piece, digests)?;
        if summary.data_cid != expected || summary.size != self.dag.size() {
            self.remove_all()?;
            let found = summary.data_cid;
            return Err(StagingError::OtherData { expected, found });
        }
        let synced = self.file.sync_all();
        synced.map_err(|source| file_error("sync", &self.part, source))?;
        failpoint::hit_failpoint("staging.synced");
        fs::rename(&self.part, &self.whole).map_err(|source| file_error("rename", &self.part, source))?;
        failpoint::hit_failpoint("staging.renamed");
        if let Some(dir) = self.whole.parent() {
            sync_dir(dir)?;
        }
        remove_if_there(&self.nodes_path)?;
        remove_if_there(&self.have_path)?;
        failpoint::hit_failpoint("staging.finished");
        Ok(summary)
    }

    fn remove_all(&self) -> Result<(), StagingError> {
        [&self.part, &self.nodes_path, &self.have_path]
            .into_iter()
            .try_for_each(|path| remove_if_there(path))
    }
}

/// The nodes that are whole on the disk, and the DAG as far as they tell; what a crash left of another is cut off. They are true by
/// their CIDs: where they say that there is no such file, it is the size that is wrong, and nothing that is here is touched.
fn known_nodes(path: &Path, dag: KnownDag) -> Result<(File, KnownDag), StagingError> {
    let mut file = open_both_ways(path)?;
    let limit = dag.nodes().1.saturating_mul((CID_BYTES + 4 + MAX_NODE_BYTES) as u64);
    let mut bytes = Vec::new();
    let read = (&mut file).take(limit).read_to_end(&mut bytes);
    read.map_err(|source| file_error("read", path, source))?;
    let mut nodes = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some((node, after)) = first_node(rest) {
        nodes.push(node);
        rest = after;
    }
    let mut known = dag.clone();
    known.take_nodes(nodes).map_err(|fault| StagingError::NotAFile {
        cid: dag.root(),
        size: dag.size(),
        fault,
    })?;
    let whole = (bytes.len() - rest.len()) as u64;
    let cut = file.set_len(whole).and_then(|()| file.seek(SeekFrom::Start(whole)));
    cut.map_err(|source| file_error("cut", path, source))?;
    Ok((file, known))
}

fn first_node(bytes: &[u8]) -> Option<((Cid, Vec<u8>), &[u8])> {
    let (cid, rest) = bytes.split_at_checked(CID_BYTES)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (node, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some(((Cid::try_from(cid).ok()?, node.to_vec()), rest))
}
