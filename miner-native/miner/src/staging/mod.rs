//! Pieces on their way in, and whole ones that sealing and retrieval read.
//!
//! ```text
//! DIR/<data cid>         the whole piece, checked
//! DIR/<data cid>.part    its first leaves, in file order
//! DIR/<data cid>.nodes   the interior nodes of its DAG that have come in
//! ```
//! Called by [`crate::network`] while a piece is transferred (step 7 of a deal) and given back (step 15), and by
//! [`crate::sealing`] when a sector's data is laid out (step 10). The whole pieces are the miner's unsealed copies.

mod import;
#[cfg(test)]
mod tests;

pub use import::Import;

use crate::failpoint;
use cid::Cid;
use sealdrop_prover::is_shortage;
use shared::piece::node::CID_BYTES;
use shared::piece::unixfs::LEAF_BYTES;
use shared::piece::{DagShape, DigestError, PieceDigest, PieceSummary};
use shared::transfer::Kept;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Left free on the disk beyond what is asked for: room for the databases and everybody else.
pub const SPARE_BYTES: u64 = 64 << 20;

/// What the names of pieces begin with that are being imported, and end with that are being unsealed.
const IMPORT: &str = "import-";
const UNSEALED: &str = "unsealed";

/// Why a piece cannot be kept. Always this host's trouble, but for [`StagingError::OtherData`].
#[derive(Debug, thiserror::Error)]
pub enum StagingError {
    #[error("could not {action} {}: {source}; check the folder's permissions and the free space", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{needed} bytes are needed on the disk of {}, and {available} are free", dir.display())]
    NoRoom { needed: u64, available: u64, dir: PathBuf },
    #[error("the staged piece {expected} has the data root {found}; it was removed and is fetched again")]
    OtherData { expected: Cid, found: Cid },
    #[error("{cid} was staged with {found} bytes, not {expected}")]
    OtherSize { cid: Cid, expected: u64, found: u64 },
    #[error("leaf {index} came where leaf {expected} belongs")]
    OutOfOrder { index: u64, expected: u64 },
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl StagingError {
    /// A piece's file cannot be read.
    pub(crate) fn unreadable(path: &Path, source: io::Error) -> Self {
        file_error("read", path, source)
    }

    /// Whether there was no room on the disk, or no file descriptor: the same can be done later.
    pub fn passes(&self) -> bool {
        match self {
            Self::File { source, .. } => is_shortage(source),
            Self::NoRoom { .. } => true,
            _ => false,
        }
    }
}

/// The staging directory.
#[derive(Debug, Clone)]
pub struct Staging {
    dir: PathBuf,
    claimed: Arc<Mutex<BTreeSet<Cid>>>,
}

/// A piece's files are its holder's alone until this is dropped: what brings them in and what removes them exclude each other.
#[derive(Debug)]
pub struct Claim {
    claimed: Arc<Mutex<BTreeSet<Cid>>>,
    data: Cid,
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.claimed).remove(&self.data);
    }
}

fn lock(claimed: &Mutex<BTreeSet<Cid>>) -> MutexGuard<'_, BTreeSet<Cid>> {
    // Insertions and removals: whole after a panic, too.
    claimed.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A piece that is coming in. Only one at a time for a data CID: the caller sees to it.
#[derive(Debug)]
pub struct Incoming {
    cid: Cid,
    size: u64,
    part: PathBuf,
    nodes_path: PathBuf,
    whole: PathBuf,
    file: File,
    nodes_file: File,
    nodes: Vec<(Cid, Vec<u8>)>,
    leaves: u64,
    digest: PieceDigest,
}

impl Staging {
    /// Opens the directory, which is made when it is not there. What an earlier process did not finish under a name of its own is
    /// removed; what it fetched of a piece stays.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, StagingError> {
        let dir = dir.into();
        fs::create_dir_all(&dir).map_err(|source| file_error("create", &dir, source))?;
        for entry in fs::read_dir(&dir).map_err(|source| file_error("list", &dir, source))? {
            let entry = entry.map_err(|source| file_error("list", &dir, source))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(IMPORT) || name.ends_with(UNSEALED) {
                remove_if_there(&entry.path())?;
            }
        }
        let claimed = Arc::default();
        Ok(Self { dir, claimed })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Claims a piece's files; `None` while somebody else has them.
    pub fn claim(&self, data: Cid) -> Option<Claim> {
        let is_free = lock(&self.claimed).insert(data);
        is_free.then(|| Claim {
            claimed: self.claimed.clone(),
            data,
        })
    }

    /// Fails with [`StagingError::NoRoom`] unless `bytes` and [`SPARE_BYTES`] are free.
    pub fn check_room(&self, bytes: u64) -> Result<(), StagingError> {
        let needed = bytes.saturating_add(SPARE_BYTES);
        let available = self.available()?;
        if available < needed {
            return Err(StagingError::NoRoom {
                needed,
                available,
                dir: self.dir.clone(),
            });
        }
        Ok(())
    }

    /// Bytes that may be taken in beside [`SPARE_BYTES`].
    pub fn room(&self) -> Result<u64, StagingError> {
        Ok(self.available()?.saturating_sub(SPARE_BYTES))
    }

    fn available(&self) -> Result<u64, StagingError> {
        fs4::available_space(&self.dir).map_err(|source| file_error("inspect", &self.dir, source))
    }

    /// Where the whole piece lies, or would.
    pub fn path(&self, cid: &Cid) -> PathBuf {
        self.dir.join(cid.to_string())
    }

    /// The whole piece's file when it is here with exactly `size` bytes.
    pub fn whole(&self, cid: &Cid, size: u64) -> Option<PathBuf> {
        let path = self.path(cid);
        let length = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?.len();
        (length == size).then_some(path)
    }

    /// How many bytes of the piece are here, for progress.
    pub fn held(&self, cid: &Cid) -> u64 {
        let length = |path: PathBuf| fs::metadata(path).ok().map(|metadata| metadata.len());
        length(self.path(cid))
            .or_else(|| length(self.beside(cid, "part")))
            .unwrap_or(0)
    }

    /// Both names of a piece that is here already, from its bytes.
    pub fn digest(&self, cid: &Cid, size: u64) -> Result<PieceSummary, StagingError> {
        let path = self.path(cid);
        let mut file = File::open(&path).map_err(|source| file_error("read", &path, source))?;
        let found = file
            .metadata()
            .map_err(|source| file_error("inspect", &path, source))?
            .len();
        if found != size {
            return Err(StagingError::OtherSize {
                cid: *cid,
                expected: size,
                found,
            });
        }
        let mut digest = PieceDigest::new();
        hash(&mut file, size, &mut digest).map_err(|source| file_error("read", &path, source))??;
        let summary = digest.finish()?;
        if summary.data_cid != *cid {
            self.remove(cid)?;
            return Err(StagingError::OtherData {
                expected: *cid,
                found: summary.data_cid,
            });
        }
        Ok(summary)
    }

    /// Takes a transfer up where the files stand; hashes what is there.
    pub fn begin(&self, cid: &Cid, size: u64) -> Result<Incoming, StagingError> {
        let (part, nodes_path) = (self.beside(cid, "part"), self.beside(cid, "nodes"));
        let mut file = open_both_ways(&part)?;
        let length = file
            .metadata()
            .map_err(|source| file_error("inspect", &part, source))?
            .len();
        let shape = DagShape::STANDARD;
        // A leaf counts when all of it is here; what a crash left of another is cut off.
        let leaves = if length >= size {
            shape.leaves(size)
        } else {
            length / LEAF_BYTES
        };
        let kept = (leaves * LEAF_BYTES).min(size);
        file.set_len(kept).map_err(|source| file_error("cut", &part, source))?;
        let mut digest = PieceDigest::new();
        hash(&mut file, kept, &mut digest).map_err(|source| file_error("read", &part, source))??;
        let (nodes_file, nodes) = read_nodes(&nodes_path, shape.nodes(size))?;
        let whole = self.path(cid);
        Ok(Incoming {
            cid: *cid,
            size,
            part,
            nodes_path,
            whole,
            file,
            nodes_file,
            nodes,
            leaves,
            digest,
        })
    }

    /// Begins to take in a piece whose name is not known yet.
    pub fn import(&self) -> Result<Import, StagingError> {
        self.check_room(0)?;
        let path = self.dir.join(format!("{IMPORT}{:016x}", rand::random::<u64>()));
        let file = File::create_new(&path).map_err(|source| file_error("create", &path, source))?;
        Ok(Import {
            dir: self.dir.clone(),
            path,
            file,
            digest: PieceDigest::new(),
        })
    }

    /// Removes all that is here of a piece.
    pub fn remove(&self, cid: &Cid) -> Result<(), StagingError> {
        let partial = self.remove_partial(cid);
        remove_if_there(&self.path(cid))?;
        partial
    }

    /// Removes what an unfinished transfer left.
    pub fn remove_partial(&self, cid: &Cid) -> Result<(), StagingError> {
        remove_if_there(&self.beside(cid, "part"))?;
        remove_if_there(&self.beside(cid, "nodes"))
    }

    /// Puts a piece back whose copy was lost: `write` makes at least `size` bytes, of which the first `size` are it.
    pub fn restore<E>(
        &self,
        cid: &Cid,
        size: u64,
        write: impl FnOnce(&mut File) -> Result<(), E>,
    ) -> Result<Result<(), E>, StagingError> {
        let draft = self.beside(cid, UNSEALED);
        let failed = |action| {
            let draft = draft.clone();
            move |source| file_error(action, &draft, source)
        };
        let mut file = File::create(&draft).map_err(failed("create"))?;
        if let Err(e) = write(&mut file) {
            remove_if_there(&draft)?;
            return Ok(Err(e));
        }
        file.set_len(size).map_err(failed("cut"))?;
        file.sync_all().map_err(failed("sync"))?;
        fs::rename(&draft, self.path(cid)).map_err(failed("rename"))?;
        sync_dir(&self.dir)?;
        Ok(Ok(()))
    }

    fn beside(&self, cid: &Cid, ending: &str) -> PathBuf {
        self.dir.join(format!("{cid}.{ending}"))
    }
}

impl Incoming {
    /// What is here: the DAG's nodes, and how many leaves from the start. For [`shared::transfer::Puller::resume`].
    pub fn kept(&self) -> (Vec<(Cid, Vec<u8>)>, u64) {
        (self.nodes.clone(), self.leaves)
    }

    /// Keeps a checked block. Leaves come in file order.
    pub fn keep(&mut self, block: Kept) -> Result<(), StagingError> {
        match block {
            Kept::Node { cid, bytes } => {
                let mut record = cid.to_bytes();
                record.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
                record.extend_from_slice(&bytes);
                self.nodes_file
                    .write_all(&record)
                    .map_err(|source| file_error("write", &self.nodes_path, source))?;
                self.nodes.push((cid, bytes));
            }
            Kept::Leaf { index, offset, bytes } => {
                if index != self.leaves {
                    return Err(StagingError::OutOfOrder {
                        index,
                        expected: self.leaves,
                    });
                }
                let write = self
                    .file
                    .seek(SeekFrom::Start(offset))
                    .and_then(|_| self.file.write_all(&bytes));
                write.map_err(|source| file_error("write", &self.part, source))?;
                self.digest.push(&bytes)?;
                self.leaves += 1;
            }
        }
        Ok(())
    }

    /// The piece is complete: checks it as a whole and makes it durable under its name.
    pub fn finish(self) -> Result<PieceSummary, StagingError> {
        let summary = self.digest.finish()?;
        if summary.data_cid != self.cid || summary.size != self.size {
            // A crash of the machine may leave leaves whose bytes never reached the disk.
            remove_if_there(&self.part)?;
            remove_if_there(&self.nodes_path)?;
            return Err(StagingError::OtherData {
                expected: self.cid,
                found: summary.data_cid,
            });
        }
        self.file
            .sync_all()
            .map_err(|source| file_error("sync", &self.part, source))?;
        failpoint::hit_failpoint("staging.synced");
        fs::rename(&self.part, &self.whole).map_err(|source| file_error("rename", &self.part, source))?;
        failpoint::hit_failpoint("staging.renamed");
        if let Some(dir) = self.whole.parent() {
            sync_dir(dir)?;
        }
        remove_if_there(&self.nodes_path)?;
        failpoint::hit_failpoint("staging.finished");
        Ok(summary)
    }
}

/// Hashes the next `length` bytes.
fn hash(file: &mut File, length: u64, digest: &mut PieceDigest) -> io::Result<Result<(), DigestError>> {
    let mut buffer = vec![0; LEAF_BYTES as usize];
    let mut left = length;
    while left > 0 {
        let wanted = left.min(LEAF_BYTES) as usize;
        buffer.truncate(wanted);
        file.read_exact(&mut buffer)?;
        if let Err(e) = digest.push(&buffer) {
            return Ok(Err(e));
        }
        left -= wanted as u64;
    }
    Ok(Ok(()))
}

/// Reads the nodes that are whole, at most `most`; what a crash left of another is cut off.
fn read_nodes(path: &Path, most: u64) -> Result<(File, Vec<(Cid, Vec<u8>)>), StagingError> {
    let mut file = open_both_ways(path)?;
    let limit = most.saturating_mul((CID_BYTES + 4 + shared::piece::node::MAX_NODE_BYTES) as u64);
    let mut bytes = Vec::new();
    (&mut file)
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|source| file_error("read", path, source))?;
    let mut nodes = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some((node, after)) = first_node(rest) {
        nodes.push(node);
        rest = after;
    }
    let whole = (bytes.len() - rest.len()) as u64;
    let cut = file.set_len(whole).and_then(|()| file.seek(SeekFrom::Start(whole)));
    cut.map_err(|source| file_error("cut", path, source))?;
    Ok((file, nodes))
}

fn first_node(bytes: &[u8]) -> Option<((Cid, Vec<u8>), &[u8])> {
    let (cid, rest) = bytes.split_at_checked(CID_BYTES)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (node, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some(((Cid::try_from(cid).ok()?, node.to_vec()), rest))
}

fn open_both_ways(path: &Path) -> Result<File, StagingError> {
    let open = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path);
    open.map_err(|source| file_error("open", path, source))
}

fn sync_dir(dir: &Path) -> Result<(), StagingError> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|source| file_error("sync", dir, source))
}

fn remove_if_there(path: &Path) -> Result<(), StagingError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(file_error("remove", path, e)),
        _ => Ok(()),
    }
}

fn file_error(action: &'static str, path: &Path, source: io::Error) -> StagingError {
    StagingError::File {
        action,
        path: path.to_owned(),
        source,
    }
}
