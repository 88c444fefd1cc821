//! Pieces on their way in, and whole ones that sealing and retrieval read.
//!
//! ```text
//! DIR/<data cid>         the whole piece, checked
//! DIR/<data cid>.part    its leaves that have come in, each in its place
//! DIR/<data cid>.have    which those are, one bit a leaf; a hint, checked at the start
//! DIR/<data cid>.nodes   the interior nodes of its DAG that have come in
//! ```
//! Called by [`crate::network`] and [`crate::uploads`] while a piece is transferred (step 7 of a deal) and given back (step 15), and by
//! [`crate::sealing`] when a sector's data is laid out (step 10). The whole pieces are the miner's unsealed copies.

mod claim;
mod import;
mod incoming;
#[cfg(test)]
mod tests;

pub use claim::Claim;
pub use import::Import;
pub use incoming::Incoming;

use cid::Cid;
use claim::Claims;
use sealdrop_prover::is_shortage;
use shared::piece::unixfs::LEAF_BYTES;
use shared::piece::{DigestError, PieceDigest, PieceSummary};
use shared::transfer::{KnownDag, TransferFault};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

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
    #[error("{cid} is no file of {size} bytes: {fault}")]
    NotAFile { cid: Cid, size: u64, fault: TransferFault },
    #[error("leaf {index} came for a piece that has {total}")]
    BeyondEnd { index: u64, total: u64 },
    #[error("{missing} leaves of the piece are not here yet")]
    Incomplete { missing: u64 },
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
    claims: Arc<Claims>,
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
        let claims = Arc::default();
        Ok(Self { dir, claims })
    }

    /// The directory of a daemon on another machine, for reading what is whole: nothing in it is made or tidied.
    pub fn of_another(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            claims: Arc::default(),
        }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Claims a piece's files; `None` while somebody else has them, or waits to be next.
    pub fn claim(&self, data: Cid) -> Option<Claim> {
        self.claims.claim(data)
    }

    /// Claims a piece's files as the next one, and lets whoever has them know ([`Claim::wanted`]); `None` when they are not given up
    /// within the limit.
    pub async fn claim_next(&self, data: Cid, limit: Duration) -> Option<Claim> {
        self.claims.claim_next(data, limit).await
    }

    /// Whether somebody has a piece's files, or waits to be next.
    pub fn is_claimed(&self, data: &Cid) -> bool {
        self.claims.is_claimed(data)
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

    /// How many bytes of the piece are here, for progress; a short leaf counts as a whole one.
    pub fn held(&self, cid: &Cid) -> u64 {
        let length = |path: PathBuf| fs::metadata(path).ok().map(|metadata| metadata.len());
        let marked = || {
            let bits = fs::read(self.beside(cid, "have")).ok()?;
            let leaves: u64 = bits.iter().map(|byte| u64::from(byte.count_ones())).sum();
            Some(leaves.saturating_mul(LEAF_BYTES))
        };
        length(self.path(cid))
            .or_else(marked)
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

    /// Both names of a piece that is found whole, which stays when the power fails from now on: whoever put it there may have died before it
    /// was so.
    pub fn take_up(&self, cid: &Cid, size: u64) -> Result<PieceSummary, StagingError> {
        let summary = self.digest(cid, size)?;
        let path = self.path(cid);
        let synced = File::open(&path).and_then(|file| file.sync_all());
        synced.map_err(|source| file_error("sync", &path, source))?;
        sync_dir(&self.dir)?;
        self.remove_partial(cid)?;
        Ok(summary)
    }

    /// Whether somebody has a piece's files who brings one of this size, or whose size is not known.
    pub fn is_claimed_for(&self, data: &Cid, size: u64) -> bool {
        self.claims.is_claimed_for(data, size)
    }

    /// Takes a transfer of this file up where the files stand; hashes what is there.
    pub fn begin(&self, file: KnownDag) -> Result<Incoming, StagingError> {
        let whole = self.path(&file.root());
        Incoming::open(file, whole)
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
        let all = ["part", "have", "nodes"];
        all.iter()
            .try_for_each(|ending| remove_if_there(&self.beside(cid, ending)))
    }

    /// Takes over a file on the same disk that is the whole piece; fails, and leaves all as it is, when it is another.
    pub fn adopt(&self, cid: &Cid, size: u64, path: &Path) -> Result<(), StagingError> {
        let mut file = File::open(path).map_err(|source| file_error("read", path, source))?;
        let mut digest = PieceDigest::new();
        hash(&mut file, size, &mut digest).map_err(|source| file_error("read", path, source))??;
        let found = digest.finish()?.data_cid;
        if found != *cid {
            let expected = *cid;
            return Err(StagingError::OtherData { expected, found });
        }
        file.sync_all().map_err(|source| file_error("sync", path, source))?;
        fs::rename(path, self.path(cid)).map_err(|source| file_error("rename", path, source))?;
        sync_dir(&self.dir)?;
        self.remove_partial(cid)
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
