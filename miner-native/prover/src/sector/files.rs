//! A sector's directory: its files, its locks, and what makes them durable.
//!
//! ```text
//! DIR/unsealed     the pieces, Fr32-padded, as long as the sector
//! DIR/sealed       the replica, as long as the sector
//! DIR/cache/       label layers and trees; after `clear_cache` only what proofs-of-spacetime need
//! DIR/unsealing/   scratch of an unsealing; may be deleted when none runs
//! DIR/.lock        shared by readers, exclusive for writers
//! ```
//! filecoin-proofs itself locks nothing. Used by all of `sector`.

use crate::error::Error;
use crate::size::SectorSize;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Where a sector's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectorFiles {
    /// The sector's own directory; created when data is written.
    pub dir: PathBuf,
}

impl SectorFiles {
    /// The files of the sector in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The sector's data, Fr32-padded, pieces and fillers in place.
    pub fn unsealed(&self) -> PathBuf {
        self.dir.join("unsealed")
    }

    /// The replica.
    pub fn sealed(&self) -> PathBuf {
        self.dir.join("sealed")
    }

    /// Layers, trees and auxiliary data.
    pub fn cache(&self) -> PathBuf {
        self.dir.join("cache")
    }

    /// Scratch space of an unsealing.
    pub(super) fn unsealing(&self) -> PathBuf {
        self.dir.join("unsealing")
    }

    /// For work that changes files. Fails at once if anyone else is at the sector.
    pub(super) fn lock_exclusive(&self) -> Result<File, Error> {
        let (file, path) = self.lock_file(".lock")?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(Error::Busy { dir: self.dir.clone() }),
            Err(TryLockError::Error(source)) => Err(Error::io("lock", &path)(source)),
        }
    }

    /// For work that only reads. Waits for a writer.
    pub(super) fn lock_shared(&self) -> Result<File, Error> {
        let (file, path) = self.lock_file(".lock")?;
        file.lock_shared().map_err(Error::io("lock", &path))?;
        Ok(file)
    }

    /// One unsealing of a sector at a time: they share their scratch directory.
    pub(super) fn lock_unsealing(&self) -> Result<File, Error> {
        let (file, path) = self.lock_file(".unsealing.lock")?;
        file.lock().map_err(Error::io("lock", &path))?;
        Ok(file)
    }

    fn lock_file(&self, name: &str) -> Result<(File, PathBuf), Error> {
        let path = self.dir.join(name);
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(false).write(true);
        let file = options.open(&path).map_err(Error::io("open", &path))?;
        Ok((file, path))
    }
}

/// Checks that a file is exactly as long as the sector.
pub(super) fn check_length(path: PathBuf, size: SectorSize) -> Result<(), Error> {
    let metadata = fs::metadata(&path).map_err(Error::io("read", &path))?;
    if metadata.len() != size.bytes() {
        return Err(Error::WrongLength {
            path,
            found: metadata.len(),
            expected: size.bytes(),
        });
    }
    Ok(())
}

/// Makes `dir` an empty directory.
pub(super) fn wipe(dir: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(Error::io("empty", dir)(source)),
    }
    fs::create_dir_all(dir).map_err(Error::io("create", dir))
}

/// Removes every file of `dir` for which `keep` is false.
pub(super) fn retain(dir: &Path, keep: impl Fn(&str) -> bool) -> Result<(), Error> {
    for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let entry = entry.map_err(Error::io("list", dir))?;
        if !entry.file_name().to_str().is_some_and(&keep) {
            let path = entry.path();
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Brings a file to the disk.
pub(super) fn sync_file(path: &Path) -> Result<(), Error> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(Error::io("sync", path))
}

/// Brings a directory and the files in it to the disk.
pub(super) fn sync_directory(dir: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let path = entry.map_err(Error::io("list", dir))?.path();
        if path.is_file() {
            sync_file(&path)?;
        }
    }
    sync_file(dir)
}
