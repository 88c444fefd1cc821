//! Sealing in a folder of the machine's own: layers and trees, fourteen times a sector's data, never cross the network.
//!
//! ```text
//! FOLDER/sectors/N    of this machine: data, layers, trees and replica, from phase 1 until the sector is committed or given up
//! STORAGE/sectors/N   of all machines: the replica and what proofs of it need, from the end of phase 2 on
//! ```
//! A sector's next step waits for the machine that has its folder ([`sealdrop_database::jobs::Machine::keeps`]). When that one is silent for too long, any
//! other makes again what it needs: a sector's data and ticket give the same layers and the same replica wherever it is sealed. Nothing is lost with a
//! folder but time.

use crate::prover::outputs::{digest_of, failed, Outputs};
use crate::prover::{Prover, ProverError};
use sealdrop_database::jobs::Jobs;
use shared::piece::Commitment;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often it is looked what is not needed any more.
pub(super) const TIDY_EVERY: Duration = Duration::from_secs(60);
/// What a file is called until it is whole.
const PARTIAL: &str = "partial";

/// See the module.
#[derive(Debug, Clone)]
pub struct Scratch {
    /// Where this machine's engine seals: a directory for each sector, named by its number.
    pub sectors: PathBuf,
    /// Where replicas are kept: the same of the storage.
    pub storage: PathBuf,
    /// How long a sector's next step waits for this machine after its last sign of life.
    pub waits: Duration,
}

impl Scratch {
    /// Brings what is kept of a sealed sector to the storage: durable, read back, and opened there against `comm_r`. Twice is harmless.
    pub(super) async fn publish(&self, prover: &Prover, sector: u64, comm_r: Commitment) -> Result<(), ProverError> {
        let (from, to) = (prover.dir(sector), self.place(sector));
        let files = prover.kept_files(&from)?;
        let (storage, place) = (self.storage.clone(), to.clone());
        let bring = move || {
            make_dir(&place, &storage)?;
            remove_partial(&place)?;
            files.iter().try_for_each(|file| copy_whole(&from, &place, file))
        };
        prover.tidy(sector, bring).await??;
        prover.open_in(to, sector, comm_r).await
    }

    /// Whether a machine without a folder of its own seals the sector, in the storage.
    pub(super) fn is_sealed_there(&self, sector: u64) -> bool {
        Outputs::of(self.place(sector)).has_any()
    }

    fn place(&self, sector: u64) -> PathBuf {
        self.storage.join(sector.to_string())
    }

    /// Removes what is here of sectors that nobody seals any more; `is_at_work` says which this machine is at. Returns how many went.
    pub(super) async fn tidy(
        &self,
        jobs: &Jobs,
        prover: &Prover,
        is_at_work: impl Fn(u64) -> bool + Clone + Send + 'static,
    ) -> Result<usize, ProverError> {
        let (jobs, here) = (jobs.clone(), self.here()?);
        if here.is_empty() {
            return Ok(0);
        }
        let asked = tokio::task::spawn_blocking(move || jobs.released(&here)).await;
        let mut removed = 0;
        for sector in asked.unwrap_or_else(|_| Ok(Vec::new()))? {
            let is_at_work = is_at_work.clone();
            if prover.remove_unless(sector, move || is_at_work(sector)).await? {
                tracing::info!(sector, "what sealing took of the disk is free again");
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// The sectors of which something is here.
    fn here(&self) -> Result<Vec<u64>, ProverError> {
        let entries = match fs::read_dir(&self.sectors) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed("list", &self.sectors))?,
        };
        let mut here = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed("list", &self.sectors))?.file_name();
            here.extend(name.to_str().and_then(|name| name.parse::<u64>().ok()));
        }
        Ok(here)
    }
}

/// Makes a sector's directory in the storage; its name is on the disk, too.
fn make_dir(place: &Path, storage: &Path) -> Result<(), ProverError> {
    let made = fs::create_dir_all(place).and_then(|()| File::open(storage)?.sync_all());
    made.map_err(failed("make", place))
}

/// Removes what machines left that were cut off.
fn remove_partial(place: &Path) -> Result<(), ProverError> {
    let removed = || -> io::Result<()> {
        for entry in fs::read_dir(place)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == PARTIAL) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    };
    removed().map_err(failed("tidy", place))
}

/// Copies a file from below one directory to the same place below another: on the disk and read back before it has its name, under which no other machine
/// writes either.
fn copy_whole(from: &Path, to: &Path, file: &Path) -> Result<(), ProverError> {
    let (source, target) = (from.join(file), to.join(file));
    let dir = target.parent().unwrap_or(to);
    let partial = to.join(format!("{:032x}.{PARTIAL}", rand::random::<u128>()));
    let copied = || -> io::Result<()> {
        fs::create_dir_all(dir)?;
        let mut whole = File::create(&partial)?;
        io::copy(&mut File::open(&source)?, &mut whole)?;
        whole.sync_all()?;
        if digest_of(&source)? != digest_of(&partial)? {
            return Err(io::Error::other("what was written is not what comes back"));
        }
        fs::rename(&partial, &target)?;
        File::open(dir)?.sync_all()?;
        File::open(to)?.sync_all()
    };
    copied().map_err(|source| {
        // There may be no room for it and others.
        let _ = fs::remove_file(&partial);
        failed("bring to the storage", &target)(source)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_brought_is_whole_and_replaces_what_was_there() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (from, to) = (from.path(), to.path().join("7"));
        fs::create_dir(from.join("cache")).unwrap();
        fs::write(from.join("cache/p_aux"), b"new").unwrap();
        make_dir(&to, to.parent().unwrap()).unwrap();
        for _ in 0..2 {
            remove_partial(&to).unwrap();
            copy_whole(from, &to, Path::new("cache/p_aux")).unwrap();
            assert_eq!(fs::read(to.join("cache/p_aux")).unwrap(), b"new");
            assert_eq!(fs::read_dir(&to).unwrap().count(), 1, "nothing else stays");
            // Left by a crash, and by an older replica.
            fs::write(to.join("0.partial"), b"half of some").unwrap();
            fs::write(to.join("cache/p_aux"), b"older").unwrap();
        }
        copy_whole(from, &to, Path::new("sealed")).unwrap_err();
        assert!(!to.join("sealed").exists());
    }
}
