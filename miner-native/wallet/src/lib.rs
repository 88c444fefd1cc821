//! Keys of accounts, kept as files: who signs proposals, vouchers and messages on this machine.
//!
//! Called before anything else by the daemon (the miner's key), the development chain (its authority's) and the
//! command-line client (its own); the key goes to the way to the chain and, in the client, to the vouchers. Nothing here
//! prints or logs a secret.

#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

use rand::RngCore;
use shared::chain::{Address, Protocol, SecretKey, Signature};
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
    #[error("the wallet {dir} has {MAX_KEYS} keys, as many as it may: move those not in use away")]
    TooManyKeys { dir: PathBuf },
    #[error("this is no secret key: {0}")]
    Secret(#[from] SecretError),
    #[error("{0} is not a t1 address; a wallet only has keys of t1 addresses")]
    NotAnAccount(Address),
}

/// Why a text is no secret key. The text itself is never quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("it has {0} characters; give 64 hexadecimal digits")]
    Length(usize),
    #[error("it has characters other than 0-9 and a-f; give 64 hexadecimal digits")]
    Digits,
    #[error("its number is not below the order of secp256k1, or 0; give a key that a wallet exported")]
    Range,
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
        self.check_room()?;
        let key = random_key();
        write_key(&self.path(&key.address()), &key)?;
        Ok(key)
    }

    /// The key of `address`.
    pub fn key(&self, address: &Address) -> Result<SecretKey, WalletError> {
        if address.protocol() != Protocol::Secp256k1 {
            return Err(WalletError::NotAnAccount(address.clone()));
        }
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

    /// Keeps a key given as 64 hexadecimal digits, as [`Wallet::export`] gives them, and returns its address. A key that is
    /// there already is as good. The first key of a wallet becomes its default.
    pub fn import(&self, secret: &str) -> Result<Address, WalletError> {
        let key = parse_secret(secret)?;
        let address = key.address();
        if self.addresses()?.contains(&address) {
            // A damaged file of that name is made good.
            if self.key(&address).is_ok() {
                return Ok(address);
            }
        } else {
            self.check_room()?;
        }
        write_key(&self.path(&address), &key)?;
        Ok(address)
    }

    /// The secret of a key, 64 hexadecimal digits: whoever has it has the account's money.
    pub fn export(&self, address: &Address) -> Result<String, WalletError> {
        Ok(hex::encode(self.key(address)?.to_bytes()))
    }

    /// Signs bytes with the key of `address` (secp256k1 over blake2b-256, spec §1.6).
    pub fn sign(&self, address: &Address, bytes: &[u8]) -> Result<Signature, WalletError> {
        Ok(self.key(address)?.sign(bytes))
    }

    /// Makes a key of this wallet the one that is used unless another is named.
    pub fn set_default(&self, address: &Address) -> Result<(), WalletError> {
        self.key(address)?;
        write_private(&self.dir.join(DEFAULT), address.to_string().as_bytes())
    }

    fn check_room(&self) -> Result<(), WalletError> {
        match self.addresses()?.len() < MAX_KEYS {
            true => Ok(()),
            false => Err(WalletError::TooManyKeys { dir: self.dir.clone() }),
        }
    }

    /// The address that [`Wallet::default_key`] is the key of; `None` in a wallet where none was asked for yet.
    pub fn default_address(&self) -> Result<Option<Address>, WalletError> {
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
pub fn random_key() -> SecretKey {
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
pub fn read_key(path: &Path) -> Result<Option<SecretKey>, WalletError> {
    let Some(text) = read_small(path)? else { return Ok(None) };
    let malformed = || WalletError::Malformed { path: path.to_owned() };
    parse_secret(&text).map(Some).map_err(|_| malformed())
}

/// The key that 64 hexadecimal digits say; white space around them does not matter.
fn parse_secret(text: &str) -> Result<SecretKey, SecretError> {
    let text = text.trim();
    if text.len() != 64 {
        return Err(SecretError::Length(text.chars().count()));
    }
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| SecretError::Digits)?;
    SecretKey::from_bytes(&bytes).ok_or(SecretError::Range)
}

/// Writes a key for its owner's eyes only.
pub fn write_key(path: &Path, key: &SecretKey) -> Result<(), WalletError> {
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
    fn an_exported_key_imports_to_the_same_address_and_signs_alike() {
        let (_dir, wallet) = wallet();
        let address = wallet.create().expect("the folder is there").address();
        let secret = wallet.export(&address).expect("the key was just made");
        let (_other_dir, other) = self::wallet();
        for text in [secret.clone(), format!(" {secret}\n"), secret.to_uppercase()] {
            assert_eq!(other.import(&text).expect("it was exported"), address);
        }
        assert_eq!(other.addresses().expect("the folder is there"), [address.clone()]);
        let signed = [&wallet, &other].map(|wallet| wallet.sign(&address, b"bytes").expect("both have the key"));
        assert_eq!(signed[0], signed[1]);
        assert!(signed[0].verifies(b"bytes", &address));
    }

    #[test]
    fn what_is_no_secret_key_is_refused_without_being_quoted() {
        let (_dir, wallet) = wallet();
        let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
        for (text, wanted) in [
            ("", SecretError::Length(0)),
            ("abcd", SecretError::Length(4)),
            (&"1".repeat(66), SecretError::Length(66)),
            (&"zz".repeat(32), SecretError::Digits),
            (&"00".repeat(32), SecretError::Range),
            (order, SecretError::Range),
        ] {
            let refused = wallet.import(text).expect_err("it is no key");
            assert!(
                matches!(&refused, WalletError::Secret(found) if *found == wanted),
                "{refused}"
            );
            assert!(text.is_empty() || !refused.to_string().contains(text), "{refused}");
        }
        assert!(wallet.addresses().expect("the folder is there").is_empty());
    }

    #[test]
    fn the_default_can_be_another_key_of_the_wallet_and_no_other() {
        let (_dir, wallet) = wallet();
        assert_eq!(wallet.default_address().expect("the folder is there"), None);
        let first = wallet.default_key().expect("one is made").address();
        assert_eq!(wallet.default_address().expect("it was named"), Some(first));
        let second = wallet.create().expect("there is room").address();
        wallet.set_default(&second).expect("the wallet has it");
        assert_eq!(wallet.default_key().expect("it is there").address(), second);
        let foreign = random_key().address();
        let refused = wallet.set_default(&foreign).expect_err("the wallet does not have it");
        assert!(matches!(refused, WalletError::Unknown { address, .. } if address == foreign));
        let actor = Address::id(2);
        let refused = wallet.sign(&actor, b"bytes").expect_err("an actor has no key");
        assert!(matches!(refused, WalletError::NotAnAccount(address) if address == actor));
    }

    #[test]
    fn a_wallet_has_a_bounded_number_of_keys() {
        let (_dir, wallet) = wallet();
        for number in 0..MAX_KEYS as u64 {
            let mut seed = [1; 32];
            seed[..8].copy_from_slice(&number.to_be_bytes());
            let key = SecretKey::from_bytes(&seed).expect("it is below the order");
            std::fs::write(wallet.path(&key.address()), "unread").expect("the folder is there");
        }
        assert!(matches!(wallet.create(), Err(WalletError::TooManyKeys { .. })));
        let secret = hex::encode(random_key().to_bytes());
        assert!(matches!(wallet.import(&secret), Err(WalletError::TooManyKeys { .. })));
    }

    #[test]
    fn a_leftover_of_a_crash_does_not_stop_the_wallet() {
        let (_dir, wallet) = wallet();
        std::fs::write(wallet.dir.join("default.new"), "half").unwrap();
        let key = wallet.default_key().unwrap();
        assert_eq!(wallet.default_key().unwrap().address(), key.address());
    }
}
