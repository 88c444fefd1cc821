//! Files of a wallet: small, for their owner's eyes only, replaced as a whole.

use super::secret::{key_text, parse_secret};
use super::WalletError;
use shared::chain::SecretKey;
use std::io::{self, Write};
use std::path::Path;

/// Longest file that is looked at: a network's id and a number, or 64 digits with a prefix and a line end, with room for a stray space.
const MAX_FILE: u64 = 128;

/// The key in a file; `None` when there is no such file.
pub fn read_key(path: &Path) -> Result<Option<SecretKey>, WalletError> {
    let Some(text) = read_small(path)? else { return Ok(None) };
    let malformed = || WalletError::Malformed { path: path.to_owned() };
    parse_secret(&text).map(Some).map_err(|_| malformed())
}

/// Writes a key for its owner's eyes only.
pub fn write_key(path: &Path, key: &SecretKey) -> Result<(), WalletError> {
    write_private(path, format!("{}\n", key_text(key)).as_bytes())
}

/// Writes a file for its owner's eyes only, in place of one that is there.
pub fn write_secret_file(path: &Path, bytes: &[u8]) -> Result<(), WalletError> {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => write_private(&Path::new(".").join(path), bytes),
        _ => write_private(path, bytes),
    }
}

/// A file's text; `None` when there is no such file.
pub(crate) fn read_small(path: &Path) -> Result<Option<String>, WalletError> {
    let size = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(file_error("read", path, source)),
    };
    if size > MAX_FILE {
        return Err(WalletError::Malformed { path: path.to_owned() });
    }
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(WalletError::Malformed { path: path.to_owned() })
        }
        Err(source) => Err(file_error("read", path, source)),
    }
}

/// Replaces a file as a whole: it is never seen half-written, not even after a power cut, nor readable by others.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), WalletError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let partial = path.with_file_name(name);
    let write = || -> io::Result<()> {
        // A leftover of a crash may have other permissions.
        match std::fs::remove_file(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&partial, path)?;
        match path.parent() {
            Some(dir) => std::fs::File::open(dir)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(|source| file_error("write", path, source))
}

pub(crate) fn file_error(action: &'static str, path: &Path, source: io::Error) -> WalletError {
    WalletError::File {
        action,
        path: path.to_owned(),
        source,
    }
}
