//! A piece that comes in without a name: the operator's own.

use super::{file_error, sync_dir, StagingError};
use shared::piece::{PieceDigest, PieceSummary};
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

/// A piece that the operator uploads; removed again unless it is finished.
#[derive(Debug)]
pub struct Import {
    pub(super) dir: PathBuf,
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) digest: PieceDigest,
}

impl Import {
    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.digest.size()
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), StagingError> {
        let written = self.file.write_all(bytes);
        written.map_err(|source| file_error("write", &self.path, source))?;
        Ok(self.digest.push(bytes)?)
    }

    /// All bytes are here: makes the piece durable under its name.
    pub fn finish(mut self) -> Result<PieceSummary, StagingError> {
        let summary = std::mem::take(&mut self.digest).finish()?;
        let synced = self.file.sync_all();
        synced.map_err(|source| file_error("sync", &self.path, source))?;
        let whole = self.dir.join(summary.data_cid.to_string());
        fs::rename(&self.path, &whole).map_err(|source| file_error("rename", &self.path, source))?;
        sync_dir(&self.dir)?;
        Ok(summary)
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        // Renamed away when it was finished; otherwise a leftover is all that can go wrong.
        let _ = fs::remove_file(&self.path);
    }
}
