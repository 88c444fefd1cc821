//! Writes a backup: an archive of tar in an age file, so that `age -d FILE | tar x` opens it without this program.

use super::error::{failed, BackupError};
use super::gathering::Held;
use super::manifest::{FileEntry, Manifest, HOME, NAME};
use sealdrop_encryption::{EncryptionKey, Encryptor, Recipients};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// Bytes that are read at once.
const CHUNK: usize = 1 << 18;
/// Files of a backup are their owner's alone.
const MODE: u32 = 0o600;

/// The entry of a file that stays as it is.
pub(super) fn entry_of(held: &Held) -> Result<FileEntry, BackupError> {
    let mut digested = Digested::of(open(&held.path)?);
    io::copy(&mut digested, &mut io::sink()).map_err(failed("read", &held.path))?;
    let (size, sha256) = digested.end();
    Ok(FileEntry {
        path: held.name.clone(),
        size,
        sha256,
    })
}

/// Writes the archive, encrypted to `readers` where there are any. `held` are the manifest's files, in its order.
pub(super) fn write(
    out: &mut dyn Write,
    readers: Option<&Recipients<'_>>,
    manifest: &Manifest,
    held: &[Held],
) -> Result<(), BackupError> {
    let Some(readers) = readers else {
        return write_archive(out, manifest, held);
    };
    let mut sealed = Sealed {
        encryptor: Encryptor::new(EncryptionKey::generate(readers)?),
        buffer: Vec::with_capacity(2 * CHUNK),
        out,
    };
    write_archive(&mut sealed, manifest, held)?;
    let Sealed {
        encryptor,
        mut buffer,
        out,
    } = sealed;
    encryptor.finish(&mut buffer)?;
    out.write_all(&buffer).map_err(failed("write", Path::new("the backup")))
}

fn write_archive(out: &mut dyn Write, manifest: &Manifest, held: &[Held]) -> Result<(), BackupError> {
    let mut archive = tar::Builder::new(out);
    let json = manifest.to_json();
    let seconds = manifest.made_ms / 1000;
    let header = header(NAME, json.len() as u64, seconds).map_err(failed("write", Path::new(NAME)))?;
    let written = archive.append(&header, json.as_slice());
    written.map_err(failed("write", Path::new("the backup")))?;
    for (entry, held) in manifest.files.iter().zip(held) {
        append(&mut archive, entry, &held.path, seconds)?;
    }
    archive.finish().map_err(failed("write", Path::new("the backup")))
}

fn append(
    archive: &mut tar::Builder<&mut dyn Write>,
    entry: &FileEntry,
    path: &Path,
    seconds: u64,
) -> Result<(), BackupError> {
    let changed = || BackupError::Changed { path: path.to_owned() };
    let name = format!("{HOME}{}", entry.path);
    let header = header(&name, entry.size, seconds).map_err(failed("name in the backup", path))?;
    let mut digested = Digested::of(open(path)?.take(entry.size));
    archive
        .append(&header, &mut digested)
        .map_err(failed("write the backup's copy of", path))?;
    match digested.end() {
        (size, sha256) if size == entry.size && sha256 == entry.sha256 => Ok(()),
        _ => Err(changed()),
    }
}

fn header(name: &str, size: u64, seconds: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name)?;
    header.set_size(size);
    header.set_mode(MODE);
    header.set_mtime(seconds);
    header.set_cksum();
    Ok(header)
}

fn open(path: &Path) -> Result<File, BackupError> {
    File::open(path).map_err(failed("read", path))
}

/// Bytes and their digest, as they are read.
pub(super) struct Digested<R> {
    source: R,
    size: u64,
    sha256: Sha256,
}

impl<R: Read> Digested<R> {
    pub(super) fn of(source: R) -> Self {
        Self {
            source,
            size: 0,
            sha256: Sha256::new(),
        }
    }

    /// How many bytes were read, and their SHA-256 in hexadecimal digits.
    pub(super) fn end(self) -> (u64, String) {
        (self.size, hex::encode(self.sha256.finalize()))
    }
}

impl<R: Read> Read for Digested<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.size = self.size.saturating_add(count as u64);
        self.sha256.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// Encrypts what is written.
struct Sealed<'a> {
    encryptor: Encryptor,
    buffer: Vec<u8>,
    out: &'a mut dyn Write,
}

impl Write for Sealed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.encryptor.push(bytes, &mut self.buffer);
        if self.buffer.len() >= CHUNK {
            self.out.write_all(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
