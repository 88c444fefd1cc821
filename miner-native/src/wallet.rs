//! Keys of accounts, kept as files: who signs proposals, vouchers and messages on this machine.
//!
//! Called by the daemon (the miner's key) and by the command-line client (its own) before anything else; the key goes to
//! [`crate::chain_access`] and, in the client, to the vouchers. Nothing here prints or logs a secret.

use rand::RngCore;
use shared::chain::{Address, SecretKey};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Ending of a key file's name; in front of it stands the key's address.
const EXTENSION: &str = "key";
/// Names the address of the default key.
const DEFAULT: &str = "default";
/// Most keys of a wallet: a person's, not an exchange's.
const MAX_KEYS: usize = 1024;
/// Longest file that is looked at: 64 digits and a line end, with room for a stray space.
const MAX_FILE: u64 = 128;

/// Why keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    #[error("cannot {action} {path}: {source}; check the folder's owner, its permissions and the free space")]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{path} is not a key file: it must hold 64 hexadecimal digits; restore it from a backup or move it away")]
    Malformed { path: PathBuf },
    #[error("{path} holds the key of {found}: its name must be the key's address")]
    Misnamed { path: PathBuf, found: Address },
    #[error("the wallet {dir} names {address} as its default, but has no key of it: restore {address}.key, or remove the file \"default\" there to use another key")]
    DefaultMissing { dir: PathBuf, address: Address },
    #[error("the wallet {dir} has no key of {address}")]
    Unknown { dir: PathBuf, address: Address },
    #[error("the wallet {dir} has more than {MAX_KEYS} keys: move those not in use away")]
    TooManyKeys { dir: PathBuf },
}

/// A folder of key files: `<address>.key`, 64 hexadecimal digits, readable by its owner only.
#[derive(Debug, Clone)]
pub struct Wallet {
    dir: PathBuf,
}

impl Wallet {
    /// Opens the wallet in `dir`, which is made when it is not there.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, WalletError> {
        let dir = dir.into();
        std::fs::create_dir_all(&dir).map_err(|source| file_error("create", &dir, source))?;
        Ok(Self { dir })
    }

    /// The key that is used unless another is named; drawn from the system's randomness when there is none.
    pub fn default_key(&self) -> Result<SecretKey, WalletError> {
        if let Some(address) = self.default_address()? {
            return match self.key(&address) {
                Err(WalletError::Unknown { dir, address }) => Err(WalletError::DefaultMissing { dir, address }),
                other => other,
            };
        }
        // FAIL: a crash may leave a key without a default.
        // THEN: the next call takes that key and names it.
        let key = match self.addresses()?.first() {
            Some(address) => self.key(address)?,
            None => self.create()?,
        };
        write_private(&self.dir.join(DEFAULT), key.address().to_string().as_bytes())?;
        Ok(key)
    }

    /// Draws a new key from the system's randomness and keeps it.
    pub fn create(&self) -> Result<SecretKey, WalletError> {
        let key = random_key();
        write_key(&self.path(&key.address()), &key)?;
        Ok(key)
    }

    /// The key of `address`.
    pub fn key(&self, address: &Address) -> Result<SecretKey, WalletError> {
        let path = self.path(address);
        match read_key(&path)? {
            None => Err(WalletError::Unknown {
                dir: self.dir.clone(),
                address: address.clone(),
            }),
            Some(key) if key.address() == *address => Ok(key),
            Some(key) => Err(WalletError::Misnamed {
                path,
                found: key.address(),
            }),
        }
    }

    /// The addresses of all keys, in the order of their text.
    pub fn addresses(&self) -> Result<Vec<Address>, WalletError> {
        let entries = std::fs::read_dir(&self.dir).map_err(|source| file_error("list", &self.dir, source))?;
        let mut addresses = Vec::new();
        for entry in entries {
            let path = entry.map_err(|source| file_error("list", &self.dir, source))?.path();
            if path.extension().is_none_or(|extension| extension != EXTENSION) {
                continue;
            }
            let name = path.file_stem().and_then(|stem| stem.to_str());
            if let Some(address) = name.and_then(|name| name.parse().ok()) {
                addresses.push(address);
            }
            if addresses.len() > MAX_KEYS {
                return Err(WalletError::TooManyKeys { dir: self.dir.clone() });
            }
        }
        addresses.sort_by_cached_key(Address::to_string);
        Ok(addresses)
    }

    fn default_address(&self) -> Result<Option<Address>, WalletError> {
        let path = self.dir.join(DEFAULT);
        let Some(text) = read_small(&path)? else {
            return Ok(None);
        };
        text.trim()
            .parse()
            .map(Some)
            .map_err(|_| WalletError::Malformed { path })
    }

    fn path(&self, address: &Address) -> PathBuf {
        self.dir.join(format!("{address}.{EXTENSION}"))
    }
}

/// A key of the system's randomness.
pub(crate) fn random_key() -> SecretKey {
    let mut bytes = [0; 32];
    loop {
        rand::rngs::OsRng.fill_bytes(&mut bytes);
        // All but one in 2¹²⁷ draws are below the group order.
        if let Some(key) = SecretKey::from_bytes(&bytes) {
            return key;
        }
    }
}

/// The key in a file; `None` when there is no such file.
pub(crate) fn read_key(path: &Path) -> Result<Option<SecretKey>, WalletError> {
    let Some(text) = read_small(path)? else { return Ok(None) };
    let malformed = || WalletError::Malformed { path: path.to_owned() };
    let bytes = hex::decode(text.trim()).map_err(|_| malformed())?;
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| malformed())?;
    SecretKey::from_bytes(&bytes).map(Some).ok_or_else(malformed)
}

/// Writes a key for its owner's eyes only.
pub(crate) fn write_key(path: &Path, key: &SecretKey) -> Result<(), WalletError> {
    write_private(path, format!("{}\n", hex::encode(key.to_bytes())).as_bytes())
}

fn read_small(path: &Path) -> Result<Option<String>, WalletError> {
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
fn write_private(path: &Path, bytes: &[u8]) -> Result<(), WalletError> {
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

fn file_error(action: &'static str, path: &Path, source: io::Error) -> WalletError {
    WalletError::File {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wallet() -> (tempfile::TempDir, Wallet) {
        let dir = tempfile::tempdir().unwrap();
        let wallet = Wallet::open(dir.path().join("wallet")).unwrap();
        (dir, wallet)
    }

    #[test]
    fn the_default_key_is_made_once_and_stays() {
        let (_dir, wallet) = wallet();
        let key = wallet.default_key().unwrap();
        let other = wallet.create().unwrap();
        assert_ne!(key.address(), other.address());
        let again = Wallet::open(&wallet.dir).unwrap();
        assert_eq!(again.default_key().unwrap().to_bytes(), key.to_bytes());
        assert_eq!(again.addresses().unwrap().len(), 2);
        assert_eq!(again.key(&other.address()).unwrap().to_bytes(), other.to_bytes());
    }

    #[test]
    fn a_key_left_without_a_default_becomes_the_default() {
        let (_dir, wallet) = wallet();
        let key = wallet.create().unwrap();
        assert_eq!(wallet.default_key().unwrap().address(), key.address());
        assert_eq!(wallet.addresses().unwrap(), [key.address()]);
    }

    #[cfg(unix)]
    #[test]
    fn key_files_are_for_their_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let (_dir, wallet) = wallet();
        let path = wallet.path(&wallet.default_key().unwrap().address());
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_or_misnamed_key_file_is_refused() {
        let (_dir, wallet) = wallet();
        let address = wallet.default_key().unwrap().address();
        for damaged in ["", "00", &"0".repeat(64), &"zz".repeat(32), &"1".repeat(1000)] {
            std::fs::write(wallet.path(&address), damaged).unwrap();
            assert!(
                matches!(wallet.default_key(), Err(WalletError::Malformed { .. })),
                "{damaged}"
            );
        }
        std::fs::write(wallet.path(&address), [0xff; 64]).unwrap();
        assert!(matches!(wallet.default_key(), Err(WalletError::Malformed { .. })));
        std::fs::write(wallet.path(&address), "01".repeat(32)).unwrap();
        assert!(matches!(wallet.default_key(), Err(WalletError::Misnamed { .. })));
        std::fs::remove_file(wallet.path(&address)).unwrap();
        assert!(matches!(wallet.default_key(), Err(WalletError::DefaultMissing { .. })));
    }

    #[test]
    fn a_leftover_of_a_crash_does_not_stop_the_wallet() {
        let (_dir, wallet) = wallet();
        std::fs::write(wallet.dir.join("default.new"), "half").unwrap();
        let key = wallet.default_key().unwrap();
        assert_eq!(wallet.default_key().unwrap().address(), key.address());
    }
}
