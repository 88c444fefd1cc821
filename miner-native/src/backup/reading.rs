//! Reads a backup, which may be cut off, damaged, or somebody else's: nothing counts before all of it was compared with its manifest.
//!
//! Only files come out of it, each by the name, of the size and with the digest that the manifest has, in its order. Extensions of the
//! archive's format (links, devices, long names, sparse files) are refused as they come.

use super::archive::Digested;
use super::error::{failed, BackupError};
use super::gathering::make_folder_of;
use super::manifest::{self, checked, FileEntry, Manifest, HOME};
use sealdrop_encryption::{is_encrypted, DecryptError, Keys, StreamDecryptor};
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::path::Path;

/// Bytes that are read at once.
const CHUNK: usize = 1 << 18;
/// Bytes that tell whether a file is encrypted.
const TELLING: usize = 22;
/// Zeros that may stand behind an archive: programs fill up the last block of a tape.
const MAX_PADDING: u64 = 1 << 20;

/// What opens a backup.
pub enum Opening<'a> {
    Keys(Keys<'a>),
    /// It is not encrypted, and its owner knows that.
    Unencrypted,
}

/// Reads a whole backup, into a new folder where one is given, and checks all of it.
pub(super) fn read(source: impl Read, opening: Opening<'_>, into: Option<&Path>) -> Result<Manifest, BackupError> {
    let mut opened = Opened::of(source, opening)?;
    let read = read_archive(&mut opened, into);
    match opened.failure.take() {
        // What follows from it was found in the archive before.
        Some(error) => Err(error.into()),
        None => read,
    }
}

fn read_archive<R: Read>(opened: &mut Opened<'_, R>, into: Option<&Path>) -> Result<Manifest, BackupError> {
    let mut archive = tar::Archive::new(&mut *opened);
    let mut entries = archive.entries().map_err(|error| damaged(&error))?.raw(true);
    let first = entries.next().ok_or_else(|| none("it is empty"))?;
    let first = first.map_err(|error| none(&format!("it is no archive ({error})")))?;
    let manifest = read_manifest(first)?;
    for file in &manifest.files {
        let next = entries.next().ok_or_else(|| cut(&file.path))?;
        take(next.map_err(|error| damaged(&error))?, file, into)?;
    }
    if let Some(more) = entries.next() {
        let name = more.map(|entry| String::from_utf8_lossy(&entry.path_bytes()).into_owned());
        return Err(BackupError::Hostile {
            path: name.map_err(|error| damaged(&error))?,
            reason: "which its manifest does not have",
        });
    }
    check_end(opened)?;
    Ok(manifest)
}

fn read_manifest(entry: tar::Entry<'_, impl Read>) -> Result<Manifest, BackupError> {
    if entry.path_bytes().as_ref() != manifest::NAME.as_bytes() || !entry.header().entry_type().is_file() {
        return Err(none(&format!("it does not begin with {}", manifest::NAME)));
    }
    if entry.size() > manifest::MAX_BYTES {
        return Err(none("its manifest is too long"));
    }
    let mut json = Vec::new();
    entry
        .take(manifest::MAX_BYTES)
        .read_to_end(&mut json)
        .map_err(|error| damaged(&error))?;
    Manifest::read(&json)
}

/// One file, as the manifest has it.
fn take(mut entry: tar::Entry<'_, impl Read>, file: &FileEntry, into: Option<&Path>) -> Result<(), BackupError> {
    let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    let hostile = |reason| BackupError::Hostile {
        path: name.clone(),
        reason,
    };
    if !entry.header().entry_type().is_file() {
        return Err(hostile("which is no file, but a link, a device or something else"));
    }
    let path = name.strip_prefix(HOME).filter(|path| *path == file.path);
    let path = checked(path.ok_or_else(|| hostile("where its manifest has another file"))?).map_err(hostile)?;
    if entry.size() != file.size {
        return Err(hostile("whose size is not the manifest's"));
    }
    let mut digested = Digested::of(&mut entry);
    match into {
        Some(folder) => write(&mut digested, &folder.join(path))?,
        None => drop(io::copy(&mut digested, &mut io::sink()).map_err(|error| damaged(&error))?),
    }
    let (size, sha256) = digested.end();
    if size < file.size {
        return Err(cut(&file.path));
    }
    match sha256 == file.sha256 {
        true => Ok(()),
        false => Err(BackupError::Damaged {
            reason: format!("{} has other bytes than its manifest says", file.path),
        }),
    }
}

/// Writes a new file for the owner alone; it is on the disk when this returns.
fn write(source: &mut impl Read, path: &Path) -> Result<(), BackupError> {
    make_folder_of(path)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(failed("create", path))?;
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = source.read(&mut buffer).map_err(|error| damaged(&error))?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        io::Write::write_all(&mut file, bytes).map_err(failed("write", path))?;
    }
    file.sync_all().map_err(failed("sync", path))
}

/// Behind the archive come zeros at most; and only the end of an age file tells that nothing was cut off.
fn check_end(source: &mut impl Read) -> Result<(), BackupError> {
    let mut buffer = vec![0; CHUNK];
    let mut seen = 0u64;
    loop {
        let count = source.read(&mut buffer).map_err(|error| damaged(&error))?;
        if count == 0 {
            return Ok(());
        }
        seen = seen.saturating_add(count as u64);
        let zeros = buffer.iter().take(count).all(|byte| *byte == 0);
        if !zeros || seen > MAX_PADDING {
            return Err(BackupError::Damaged {
                reason: "something follows the archive's end".to_owned(),
            });
        }
    }
}

fn none(reason: &str) -> BackupError {
    BackupError::NotABackup {
        reason: reason.to_owned(),
    }
}

fn cut(path: &str) -> BackupError {
    BackupError::Damaged {
        reason: format!("it ends before {path} is whole"),
    }
}

fn damaged(error: &io::Error) -> BackupError {
    BackupError::Damaged {
        reason: error.to_string(),
    }
}

/// The bytes of the archive in a backup, decrypted as they are read.
struct Opened<'a, R> {
    source: R,
    state: State<'a>,
    /// What was decrypted, and how much of it was read.
    ready: Vec<u8>,
    at: usize,
    input: Vec<u8>,
    failure: Option<DecryptError>,
}

enum State<'a> {
    Plain,
    Encrypted(Box<StreamDecryptor<'a>>),
    Ended,
}

impl<'a, R: Read> Opened<'a, R> {
    fn of(mut source: R, opening: Opening<'a>) -> Result<Self, BackupError> {
        let mut beginning = Vec::new();
        let read = source.by_ref().take(TELLING as u64).read_to_end(&mut beginning);
        read.map_err(|error| damaged(&error))?;
        let mut opened = Self {
            source,
            state: State::Plain,
            ready: Vec::new(),
            at: 0,
            input: vec![0; CHUNK],
            failure: None,
        };
        match (opening, is_encrypted(&beginning)) {
            (Opening::Unencrypted, true) => return Err(BackupError::Encrypted),
            (Opening::Unencrypted, false) => opened.ready = beginning,
            // What looks like an age file and is none is told as what it is.
            (Opening::Keys(_), false) if looks_like_tar(&beginning) => return Err(BackupError::NotEncrypted),
            (Opening::Keys(keys), _) => {
                let mut decryptor = StreamDecryptor::new(keys);
                decryptor.push(&beginning, &mut opened.ready)?;
                opened.state = State::Encrypted(Box::new(decryptor));
            }
        }
        Ok(opened)
    }

    /// Decrypts the next bytes; none are left when there are none to be read after it.
    fn refill(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.at = 0;
        while self.ready.is_empty() {
            let State::Encrypted(decryptor) = &mut self.state else {
                return Ok(());
            };
            let count = self.source.read(&mut self.input)?;
            let bytes = self.input.get(..count).unwrap_or_default();
            let done = match bytes.is_empty() {
                false => decryptor.push(bytes, &mut self.ready),
                true => match std::mem::replace(&mut self.state, State::Ended) {
                    State::Encrypted(decryptor) => decryptor.finish(&mut self.ready),
                    State::Plain | State::Ended => Ok(()),
                },
            };
            if let Err(error) = done {
                let told = io::Error::other(error.to_string());
                self.state = State::Ended;
                self.failure = Some(error);
                return Err(told);
            }
        }
        Ok(())
    }
}

fn looks_like_tar(beginning: &[u8]) -> bool {
    beginning.starts_with(manifest::NAME.as_bytes())
}

impl<R: Read> Read for Opened<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.ready.len() {
            if matches!(self.state, State::Plain) {
                return self.source.read(buffer);
            }
            self.refill()?;
        }
        let ready = self.ready.get(self.at..).unwrap_or_default();
        let count = ready.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(ready) {
            *to = *from;
        }
        self.at = self.at.saturating_add(count);
        Ok(count)
    }
}

/// A source whose beginning was looked at: whether a passphrase opens it.
pub fn looked_at(source: Box<dyn Read + Send>) -> Result<(Vec<u8>, Box<dyn Read + Send>), BackupError> {
    let mut source = source;
    let mut head = Vec::new();
    let most = sealdrop_encryption::MAX_HEAD_BYTES as u64;
    let read = source.by_ref().take(most).read_to_end(&mut head);
    read.map_err(failed("read", Path::new("the backup")))?;
    let whole = io::Cursor::new(head.clone()).chain(source);
    Ok((head, Box::new(whole)))
}
