//! Keys of accounts, kept as files: who signs proposals, vouchers and messages on this machine.
//!
//! ```text
//! WALLET/root             what accounts are derived from: drawn once, the same for all networks
//! WALLET/ADDRESS.account  an account of the root: its network, by the genesis id, and its number there
//! WALLET/ADDRESS.key      a key that was imported, or made by an earlier version: bound to no network
//! WALLET/default          the address that is used unless another is named
//! ```
//!
//! What an account of the root signs counts on its network alone, since on others the root has other accounts
//! ([`shared::chain::root_key`], finding B3). A key that is bound to no network goes on as it is: it may hold money.
//!
//! Called before anything else by the daemon (the miner's key), the development chain (its authority's) and the
//! command-line client (its own); the key goes to the way to the chain and, in the client, to the vouchers. Nothing here
//! prints or logs a secret.

#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

mod files;
mod secret;
#[cfg(test)]
mod tests;

pub use files::{read_key, write_key, write_secret_file};
pub use secret::SecretError;

use cid::Cid;
use files::{file_error, read_small, write_private};
use rand::RngCore;
use secret::Secret;
use shared::chain::{Address, Protocol, RootKey, SecretKey, Signature};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Ending of the name of a key's file; in front of it stands the key's address.
const KEY: &str = "key";
/// Ending of the name of the file that says which account of the root an address is.
const ACCOUNT: &str = "account";
/// What accounts are derived from.
const ROOT: &str = "root";
/// Names the address of the default key.
const DEFAULT: &str = "default";
/// Held while a root or an account is made.
const LOCK: &str = "lock";
/// Most accounts of a wallet: a person's, not an exchange's.
const MAX_KEYS: usize = 1024;

/// Numbers of a root's accounts on one network that a restored address is looked for among.
const MOST_SOUGHT: u32 = 64;

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
    #[error("{path} is not an account's file: it must hold a network's id and a number; restore it from a backup or move it away")]
    MalformedAccount { path: PathBuf },
    #[error("{path} holds the key of {found}: its name must be the key's address")]
    Misnamed { path: PathBuf, found: Address },
    #[error(
        "{path} is an account of another root than this wallet's: restore the file \"root\" beside it from a backup"
    )]
    OtherRoot { path: PathBuf },
    #[error("the wallet {dir} has accounts, but not the root that they come from: restore the file \"root\" there from a backup, or import what `sealdrop wallet export --root` printed")]
    RootMissing { dir: PathBuf },
    #[error("the wallet {dir} has another root already, which its accounts come from: import this one into a home of its own, with --home DIR")]
    HasOtherRoot { dir: PathBuf },
    #[error("the wallet {dir} names {address} as its default, but has no key of it: restore {address}.key, or remove the file \"default\" there to use another key")]
    DefaultMissing { dir: PathBuf, address: Address },
    #[error("the wallet {dir} has no key of {address}")]
    Unknown { dir: PathBuf, address: Address },
    #[error("{address} is an account of the network {bound}, and this is the network {network}: what it signs must not count there. Use an account of this network; `sealdrop wallet ls` lists them")]
    OtherNetwork { address: Address, bound: Cid, network: Cid },
    #[error("the wallet {dir} has {MAX_KEYS} keys, as many as it may: move those not in use away")]
    TooManyKeys { dir: PathBuf },
    #[error("this is no secret key: {0}")]
    Secret(#[from] SecretError),
    #[error("{0} is not a t1 address; a wallet only has keys of t1 addresses")]
    NotAnAccount(Address),
}

/// Where what an account signs counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// On the network with this genesis id alone; of the root's accounts there it has this number.
    Network { network: Cid, number: u32 },
    /// On every network: the key was imported, or made by an earlier version.
    None,
}

/// What was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Imported {
    /// A key, by its address.
    Key(Address),
    /// A root. Its accounts are made as they are asked for: the first is the default where there was none.
    Root,
}

/// A folder of accounts, readable by its owner only.
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

    /// The key that is used on `network` unless another is named; made when there is none.
    ///
    /// An older key that is the default, or alone there, stays it. Where the default is an account of another network, it is
    /// the first one of this network, and the other network's default is not forgotten.
    pub fn default_key(&self, network: &Cid) -> Result<SecretKey, WalletError> {
        if let Some(address) = self.default_address(network)? {
            return match self.key_on(&address, network) {
                Err(WalletError::Unknown { dir, address }) => Err(WalletError::DefaultMissing { dir, address }),
                other => other,
            };
        }
        // FAIL: a crash may leave an account without a default.
        // THEN: the next call takes that account and names it.
        let key = match self.first(network)? {
            Some(address) => self.key_on(&address, network)?,
            None => self.create(network)?,
        };
        if self.named_default()?.is_none() {
            self.name_default(&key.address())?;
        }
        Ok(key)
    }

    /// Makes another account of the root on `network`, and the root when there is none.
    pub fn create(&self, network: &Cid) -> Result<SecretKey, WalletError> {
        let _turn = self.turn()?;
        self.check_room()?;
        let root = match self.root()? {
            Some(root) => root,
            None => self.make_root()?,
        };
        let taken = self.accounts()?.into_iter().filter_map(|(_, binding)| match binding {
            Binding::Network { network: of, number } if of == *network => Some(number),
            _ => None,
        });
        // A wallet has far fewer accounts than there are numbers.
        let number = taken.max().map_or(0, |last| last.saturating_add(1));
        let key = root.account(network, number);
        let text = format!("{network} {number}\n");
        write_private(&self.path(&key.address(), ACCOUNT), text.as_bytes())?;
        Ok(key)
    }

    /// The key of `address`, whichever network it is bound to: for showing it. For signing: [`Wallet::key_on`].
    pub fn key(&self, address: &Address) -> Result<SecretKey, WalletError> {
        if address.protocol() != Protocol::Secp256k1 {
            return Err(WalletError::NotAnAccount(address.clone()));
        }
        let path = self.path(address, KEY);
        match read_key(&path)? {
            Some(key) if key.address() == *address => Ok(key),
            Some(key) => Err(WalletError::Misnamed {
                path,
                found: key.address(),
            }),
            None => self.derived(address),
        }
    }

    /// The key of `address` for signing on `network`.
    pub fn key_on(&self, address: &Address, network: &Cid) -> Result<SecretKey, WalletError> {
        let key = self.key(address)?;
        match self.binding(address)? {
            Binding::Network { network: bound, .. } if bound != *network => Err(WalletError::OtherNetwork {
                address: address.clone(),
                bound,
                network: *network,
            }),
            _ => Ok(key),
        }
    }

    fn derived(&self, address: &Address) -> Result<SecretKey, WalletError> {
        let path = self.path(address, ACCOUNT);
        let Some((network, number)) = read_account(&path)? else {
            return Err(WalletError::Unknown {
                dir: self.dir.clone(),
                address: address.clone(),
            });
        };
        let missing = || WalletError::RootMissing { dir: self.dir.clone() };
        let key = self.root()?.ok_or_else(missing)?.account(&network, number);
        match key.address() == *address {
            true => Ok(key),
            false => Err(WalletError::OtherRoot { path }),
        }
    }

    /// The addresses of all accounts, in the order of their text.
    pub fn addresses(&self) -> Result<Vec<Address>, WalletError> {
        let entries = std::fs::read_dir(&self.dir).map_err(|source| file_error("list", &self.dir, source))?;
        // One that was made here and imported, too, has two files.
        let mut addresses = BTreeSet::new();
        for entry in entries {
            let path = entry.map_err(|source| file_error("list", &self.dir, source))?.path();
            if path
                .extension()
                .is_none_or(|extension| extension != KEY && extension != ACCOUNT)
            {
                continue;
            }
            let name = path.file_stem().and_then(|stem| stem.to_str());
            addresses.extend(name.and_then(|name| name.parse::<Address>().ok()));
            if addresses.len() > MAX_KEYS {
                return Err(WalletError::TooManyKeys { dir: self.dir.clone() });
            }
        }
        let mut addresses: Vec<Address> = addresses.into_iter().collect();
        addresses.sort_by_cached_key(Address::to_string);
        Ok(addresses)
    }

    /// All accounts with the network that each is bound to, in the order of their addresses.
    pub fn accounts(&self) -> Result<Vec<(Address, Binding)>, WalletError> {
        let with_binding = |address: Address| self.binding(&address).map(|binding| (address, binding));
        self.addresses()?.into_iter().map(with_binding).collect()
    }

    /// Where what `address` signs counts. An account of the root stays bound when its key was imported as well.
    pub fn binding(&self, address: &Address) -> Result<Binding, WalletError> {
        Ok(match read_account(&self.path(address, ACCOUNT))? {
            Some((network, number)) => Binding::Network { network, number },
            None => Binding::None,
        })
    }

    /// Keeps a key or a root, given as [`Wallet::export`] and [`Wallet::export_root`] give them. What is there already is as good.
    /// The first key of a wallet becomes its default; a root takes the place of one that no account comes from.
    pub fn import(&self, secret: &str) -> Result<Imported, WalletError> {
        let _turn = self.turn()?;
        match secret::parse(secret)? {
            Secret::Key(key) => self.import_key(&key).map(Imported::Key),
            Secret::Root(root) => self.import_root(&root).map(|()| Imported::Root),
        }
    }

    fn import_key(&self, key: &SecretKey) -> Result<Address, WalletError> {
        let address = key.address();
        if self.addresses()?.contains(&address) {
            // A damaged file of that name is made good.
            if self.key(&address).is_ok() {
                return Ok(address);
            }
        } else {
            self.check_room()?;
        }
        write_key(&self.path(&address, KEY), key)?;
        Ok(address)
    }

    /// Keeps a root, as [`Wallet::import`] does.
    pub fn restore(&self, root: &RootKey) -> Result<(), WalletError> {
        let _turn = self.turn()?;
        self.import_root(root)
    }

    /// Notes which account of the root an address of `network` is, among the first [`MOST_SOUGHT`] that it has there; whether it is one.
    pub fn recognise(&self, address: &Address, network: &Cid) -> Result<bool, WalletError> {
        let _turn = self.turn()?;
        if self.addresses()?.contains(address) {
            return Ok(true);
        }
        let root = self.root_key()?;
        let Some(number) = (0..MOST_SOUGHT).find(|number| root.account(network, *number).address() == *address) else {
            return Ok(false);
        };
        self.check_room()?;
        let text = format!("{network} {number}\n");
        write_private(&self.path(address, ACCOUNT), text.as_bytes())?;
        Ok(true)
    }

    fn import_root(&self, root: &RootKey) -> Result<(), WalletError> {
        if self.root().is_ok_and(|own| own.as_ref() == Some(root)) {
            return Ok(());
        }
        for (address, binding) in self.accounts()? {
            let Binding::Network { network, number } = binding else {
                continue;
            };
            if root.account(&network, number).address() != address {
                return Err(WalletError::HasOtherRoot { dir: self.dir.clone() });
            }
        }
        self.write_root(root)
    }

    /// The secret of a key, 64 hexadecimal digits: whoever has it has the account's money.
    pub fn export(&self, address: &Address) -> Result<String, WalletError> {
        Ok(secret::key_text(&self.key(address)?))
    }

    /// The root, `root:` and 64 hexadecimal digits: whoever has it has the money of all its accounts, those still to be made too.
    pub fn export_root(&self) -> Result<String, WalletError> {
        Ok(secret::root_text(&self.root_key()?))
    }

    /// The root: what a recovery phrase says, and backups are opened by.
    pub fn root_key(&self) -> Result<RootKey, WalletError> {
        let missing = || WalletError::RootMissing { dir: self.dir.clone() };
        self.root()?.ok_or_else(missing)
    }

    /// Signs bytes with the key of `address` (secp256k1 over blake2b-256, spec §1.6).
    pub fn sign(&self, address: &Address, bytes: &[u8]) -> Result<Signature, WalletError> {
        Ok(self.key(address)?.sign(bytes))
    }

    /// Makes an account of this wallet the one that is used unless another is named.
    pub fn set_default(&self, address: &Address) -> Result<(), WalletError> {
        self.key(address)?;
        self.name_default(address)
    }

    /// The address that [`Wallet::default_key`] is the key of; `None` where none was asked for yet on `network`.
    pub fn default_address(&self, network: &Cid) -> Result<Option<Address>, WalletError> {
        let Some(named) = self.named_default()? else {
            return Ok(None);
        };
        match self.binding(&named)? {
            Binding::Network { network: of, .. } if of != *network => self.first(network),
            _ => Ok(Some(named)),
        }
    }

    /// The address that is named as the default, whatever network it is of.
    pub fn named_default(&self) -> Result<Option<Address>, WalletError> {
        let path = self.dir.join(DEFAULT);
        let Some(text) = read_small(&path)? else {
            return Ok(None);
        };
        text.trim()
            .parse()
            .map(Some)
            .map_err(|_| WalletError::Malformed { path })
    }

    /// The account that is the default on `network` while none is named: an older key if there is one and no default is named,
    /// or else the root's first.
    fn first(&self, network: &Cid) -> Result<Option<Address>, WalletError> {
        let takes_older = self.named_default()?.is_none();
        let rank = |binding: &Binding| match binding {
            Binding::None if takes_older => Some(None),
            Binding::Network { network: of, number } if of == network => Some(Some(*number)),
            _ => None,
        };
        let accounts = self.accounts()?.into_iter();
        let ranked = accounts.filter_map(|(address, binding)| Some((rank(&binding)?, address)));
        Ok(ranked.min_by_key(|(rank, _)| *rank).map(|(_, address)| address))
    }

    fn name_default(&self, address: &Address) -> Result<(), WalletError> {
        write_private(&self.dir.join(DEFAULT), address.to_string().as_bytes())
    }

    fn root(&self) -> Result<Option<RootKey>, WalletError> {
        let path = self.dir.join(ROOT);
        let Some(text) = read_small(&path)? else {
            return Ok(None);
        };
        match secret::parse(&text) {
            Ok(Secret::Root(root)) => Ok(Some(root)),
            _ => Err(WalletError::Malformed { path }),
        }
    }

    /// Draws a root from the system's randomness, for a wallet that has no account of one.
    fn make_root(&self) -> Result<RootKey, WalletError> {
        let of_a_root = |(_, binding): &(Address, Binding)| *binding != Binding::None;
        if self.accounts()?.iter().any(of_a_root) {
            return Err(WalletError::RootMissing { dir: self.dir.clone() });
        }
        let mut bytes = [0; 32];
        rand::rngs::OsRng.fill_bytes(&mut bytes);
        let root = RootKey::from_bytes(bytes);
        self.write_root(&root)?;
        Ok(root)
    }

    fn write_root(&self, root: &RootKey) -> Result<(), WalletError> {
        let text = format!("{}\n", secret::root_text(root));
        write_private(&self.dir.join(ROOT), text.as_bytes())
    }

    /// One process at a time makes accounts: two would get the same number.
    fn turn(&self) -> Result<File, WalletError> {
        let path = self.dir.join(LOCK);
        let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = open.map_err(|source| file_error("open", &path, source))?;
        file.lock().map_err(|source| file_error("lock", &path, source))?;
        Ok(file)
    }

    fn check_room(&self) -> Result<(), WalletError> {
        match self.addresses()?.len() < MAX_KEYS {
            true => Ok(()),
            false => Err(WalletError::TooManyKeys { dir: self.dir.clone() }),
        }
    }

    fn path(&self, address: &Address, kind: &str) -> PathBuf {
        self.dir.join(format!("{address}.{kind}"))
    }
}

/// A key of the system's randomness: for what belongs to one network by itself, such as the authority of a chain.
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

/// The network and number in an account's file; `None` when there is no such file.
fn read_account(path: &Path) -> Result<Option<(Cid, u32)>, WalletError> {
    let Some(text) = read_small(path)? else { return Ok(None) };
    let fields = text.trim().split_once(' ');
    let parsed = fields.and_then(|(network, number)| Some((network.parse().ok()?, number.parse().ok()?)));
    let malformed = || WalletError::MalformedAccount { path: path.to_owned() };
    parsed.map(Some).ok_or_else(malformed)
}
