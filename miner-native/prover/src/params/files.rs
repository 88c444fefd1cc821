//! Files that are either whole or absent, and stamps that spare hashing a gigabyte at each start.
//!
//! A truncated parameter file makes bellperson panic in the middle of a proof, so nothing gets its final
//! name before it is complete, on disk, and of the right digest. Used by `ensure` and `keys`.

use super::ParamsError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Bytes written and read at once.
const BUFFER: usize = 1 << 20;
/// A stamp is about 150 bytes; a longer file is none.
pub(super) const MAX_STAMP: u64 = 4096;

/// What a parameter file was when its digest was last computed; kept beside it as `<name>.ok`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    pub(super) bytes: u64,
    /// Modification time in nanoseconds since 1970.
    pub(super) modified: u64,
    pub(super) sha256: String,
}

impl Stamp {
    /// The stamp beside `file`, or `None` if there is none that can be read.
    pub(super) fn read(file: &Path) -> Option<Self> {
        let path = beside(file, "ok");
        if fs::metadata(&path).ok()?.len() > MAX_STAMP {
            return None;
        }
        serde_json::from_slice(&fs::read(&path).ok()?).ok()
    }

    /// Whether `file` still has the size and modification time of this stamp.
    pub(super) fn fits(&self, file: &Path) -> bool {
        matches!(size_and_time(file), Ok((bytes, modified)) if (bytes, modified) == (self.bytes, self.modified))
    }

    /// Stamps `file` with its digest `sha256`.
    pub(super) fn write(file: &Path, sha256: &str) -> Result<(), ParamsError> {
        let (bytes, modified) = size_and_time(file).map_err(io_error("inspect", file))?;
        let stamp = Self {
            bytes,
            modified,
            sha256: sha256.to_owned(),
        };
        let path = beside(file, "ok");
        let text = serde_json::to_vec(&stamp)
            .map_err(io::Error::from)
            .map_err(io_error("write", &path))?;
        write_whole(&path, &text)
    }
}

pub(super) fn size_and_time(file: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(file)?;
    let since = metadata.modified()?.duration_since(UNIX_EPOCH);
    let nanos = since.map_err(io::Error::other)?.as_nanos();
    Ok((metadata.len(), u64::try_from(nanos).unwrap_or(u64::MAX)))
}

/// `<file>.<extension>`: the whole name is kept, unlike `Path::with_extension`.
pub(super) fn beside(file: &Path, extension: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}

/// Turns an I/O error into this module's, naming what was being done to which file.
pub(super) fn io_error<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> ParamsError + 'a {
    move |source| ParamsError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// The SHA-256 of a file in hexadecimal; `progress` hears (done, total) bytes.
pub(super) fn digest(path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<String, ParamsError> {
    let mut hasher = Sha256::new();
    read_all(path, progress, |bytes| hasher.update(bytes))?;
    Ok(hex::encode(hasher.finalize()))
}

/// The BLAKE2b of a file in hexadecimal, 64 bytes long; `progress` hears (done, total) bytes.
pub(super) fn blake2b(path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<String, ParamsError> {
    let mut hasher = blake2b_simd::State::new();
    read_all(path, progress, |bytes| {
        hasher.update(bytes);
    })?;
    Ok(hex::encode(hasher.finalize().as_bytes()))
}

fn read_all(path: &Path, progress: &mut dyn FnMut(u64, u64), mut each: impl FnMut(&[u8])) -> Result<(), ParamsError> {
    let mut file = File::open(path).map_err(io_error("read", path))?;
    let total = file.metadata().map_err(io_error("inspect", path))?.len();
    let mut buffer = vec![0; BUFFER];
    let mut done = 0;
    loop {
        let n = file.read(&mut buffer).map_err(io_error("read", path))?;
        if n == 0 {
            return Ok(());
        }
        each(&buffer[..n]);
        done += n as u64;
        progress(done, total);
    }
}

/// Writes a small file so that a crash leaves the old one or the new one.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ParamsError> {
    let mut draft = Draft::create(path)?;
    draft.write_all(bytes).map_err(io_error("write", path))?;
    draft.complete()?.publish()
}

/// A file being written under a temporary name; it never gets the final one if this is dropped.
pub(super) struct Draft {
    file: BufWriter<File>,
    hasher: Sha256,
    temporary: PathBuf,
    target: PathBuf,
}

impl Draft {
    /// Begins to write what shall become `target`; what an earlier crash left is overwritten.
    pub(super) fn create(target: &Path) -> Result<Self, ParamsError> {
        let temporary = beside(target, "tmp");
        let file = File::create(&temporary).map_err(io_error("create", &temporary))?;
        Ok(Self {
            file: BufWriter::with_capacity(BUFFER, file),
            hasher: Sha256::new(),
            temporary,
            target: target.to_owned(),
        })
    }

    /// Brings everything to the disk.
    pub(super) fn complete(self) -> Result<Completed, ParamsError> {
        let Self {
            file,
            hasher,
            temporary,
            target,
        } = self;
        let synced = file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .and_then(|file| file.sync_all());
        if let Err(source) = synced {
            remove_quietly(&temporary);
            return Err(io_error("write", &temporary)(source));
        }
        Ok(Completed {
            sha256: hex::encode(hasher.finalize()),
            temporary,
            target,
        })
    }

    /// Gives up and frees the space.
    pub(super) fn abandon(self) {
        drop(self.file);
        remove_quietly(&self.temporary);
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A draft whose bytes are all on the disk; not yet under its final name.
pub(super) struct Completed {
    /// Hexadecimal digest of the bytes written.
    pub(super) sha256: String,
    temporary: PathBuf,
    target: PathBuf,
}

impl Completed {
    /// Gives the file its final name.
    pub(super) fn publish(self) -> Result<(), ParamsError> {
        fs::rename(&self.temporary, &self.target).map_err(io_error("rename", &self.temporary))?;
        // The new name itself must survive a power cut.
        let Some(directory) = self.target.parent() else {
            return Ok(());
        };
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(io_error("sync", directory))
    }

    /// Gives up and frees the space.
    pub(super) fn abandon(self) {
        remove_quietly(&self.temporary);
    }
}

/// A temporary file that cannot be removed is overwritten by the next attempt.
fn remove_quietly(path: &Path) {
    let _ = fs::remove_file(path);
}
