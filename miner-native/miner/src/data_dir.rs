//! Where everything of one node lies on the disk: `SEALDROP_HOME`.
//!
//! ```text
//! HOME/network.json   which network this directory belongs to
//! HOME/chain.json     which chain, by its genesis, and where it was first found
//! HOME/lock           held by the daemon that uses the directory
//! HOME/endpoints.json where that daemon is reached, for the commands
//! HOME/operator.token what shows it that its operator asks
//! HOME/devnet/        the development chain
//! HOME/miner/         deals, sectors, staged pieces, keys
//! HOME/client/        the command line's own deals and keys
//! HOME/params/        proof parameters, unless SEALDROP_PARAMS names another place
//! ```
//! Called first by every command; the daemon then opens [`crate::store`] and the chain inside it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shared::chain::Address;
use shared::piece::SectorSize;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where a restore puts a home together, below it. While it is there, the home is not whole.
pub const RESTORING: &str = "restore.part";
/// Longest file of a few fields that is read: names, numbers and URLs.
const MAX_FACTS: u64 = 4096;

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error("there is no home directory to keep data in; give one with --home DIR or SEALDROP_HOME")]
    NoHome,
    #[error("there is no folder {}; name the home with --home DIR or SEALDROP_HOME", root.display())]
    Missing { root: PathBuf },
    #[error("could not {action} {}: {source}; check the folder's owner, its permissions and the free space", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{} is used by another sealdrop daemon; stop that one, or give this one its own directory with --home DIR", root.display())]
    InUse { root: PathBuf },
    #[error("{} belongs to network {found}, but network {asked} was asked for; start with the options of the first, or give the other network its own directory with --home DIR", root.display())]
    OtherNetwork {
        root: PathBuf,
        found: Identity,
        asked: Identity,
    },
    #[error("{} belongs to the network with the genesis {ours}, and {endpoint} serves the network with the genesis {theirs}; name its own network's endpoint with --chain URL, or give the other network a home of its own with --home DIR", root.display())]
    OtherChain {
        root: PathBuf,
        ours: String,
        endpoint: String,
        theirs: String,
    },
    #[error("{} is not readable as a network identity ({reason}); restore it from a backup, or start in a new directory with --home DIR", path.display())]
    DamagedIdentity { path: PathBuf, reason: String },
    #[error("{} is being restored from a backup, or that was not finished: wait until it is done, or remove all that is in the folder and restore into it again", root.display())]
    HalfRestored { root: PathBuf },
    #[error("{} is damaged ({reason}); restore it from a backup or remove it", path.display())]
    Damaged { path: PathBuf, reason: String },
}

/// What a data directory belongs to. Keys, channels and sectors mean nothing on another network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The network's name.
    pub network: String,
    /// The size of this miner's sectors, in bytes.
    pub sector_size: SectorSize,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" with {} sectors", self.network, self.sector_size)
    }
}

/// Where a directory's daemon is reached, or was when it last ran: from this machine, and from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoints {
    /// The chain's JSON-RPC.
    pub chain: String,
    /// The page and the operator's requests; a chain alone has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web: Option<String>,
    /// Pieces and blocks over HTTP; a chain alone gives none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// What of it others reach by another URL, which links and people are told.
    #[serde(default, skip_serializing_if = "Elsewhere::is_nowhere")]
    pub elsewhere: Elsewhere,
    /// The file that it was configured by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
}

/// By which URLs others reach a daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Elsewhere {
    /// The chain's JSON-RPC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    /// The page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web: Option<String>,
}

impl Elsewhere {
    fn is_nowhere(&self) -> bool {
        *self == Self::default()
    }
}

impl Endpoints {
    /// The chain as others are told of it.
    pub fn chain_told(&self) -> &str {
        self.elsewhere.chain.as_ref().unwrap_or(&self.chain)
    }

    /// The page as others are told of it.
    pub fn web_told(&self) -> Option<&str> {
        self.elsewhere.web.as_ref().or(self.web.as_ref()).map(String::as_str)
    }
}

/// The chain that a directory belongs to, by its genesis id, and where it was found first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownChain {
    pub genesis: String,
    pub endpoint: String,
}

/// A miner that was registered by hand, and its chain by the genesis id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registered {
    pub genesis: String,
    pub miner: Address,
}

/// A data directory.
#[derive(Debug, Clone)]
pub struct DataDir {
    root: PathBuf,
}

/// Keeps other daemons out of a data directory until it is dropped, also by a crash.
#[derive(Debug)]
pub struct DataDirLock {
    _file: File,
}

/// From now on this process makes files and folders for its owner alone, also those that libraries make: pieces and replicas are
/// clients' data.
pub fn keep_files_private() {
    #[cfg(unix)]
    {
        use nix::sys::stat::{umask, Mode};
        umask(Mode::S_IRWXG | Mode::S_IRWXO);
    }
}

impl DataDir {
    /// The directory given, or `$HOME/.sealdrop`; made when it is not there. One that is not wholly restored is refused.
    pub fn open(root: Option<PathBuf>) -> Result<Self, DataDirError> {
        let root = root_or_users(root)?;
        create_private(&root).map_err(|source| file_error("create", &root, source))?;
        if fs::symlink_metadata(root.join(RESTORING)).is_ok() {
            return Err(DataDirError::HalfRestored { root });
        }
        let home = Self { root };
        for part in [home.root.clone(), home.devnet(), home.miner(), home.client()] {
            keep_private(&part).map_err(|source| file_error("close to others", &part, source))?;
        }
        Ok(home)
    }

    /// The same, and one that is not there is not made.
    pub fn open_existing(root: Option<PathBuf>) -> Result<Self, DataDirError> {
        let root = root_or_users(root)?;
        match root.is_dir() {
            true => Self::open(Some(root)),
            false => Err(DataDirError::Missing { root }),
        }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The development chain's part.
    pub fn devnet(&self) -> PathBuf {
        self.root.join("devnet")
    }

    /// The miner's part.
    pub fn miner(&self) -> PathBuf {
        self.root.join("miner")
    }

    /// Makes the miner's part where it is not there.
    pub fn make_miner(&self) -> Result<(), DataDirError> {
        let dir = self.miner();
        create_private(&dir).map_err(|source| file_error("create", &dir, source))
    }

    /// The command-line client's part.
    pub fn client(&self) -> PathBuf {
        self.root.join("client")
    }

    /// Proof parameters, unless another place is named.
    pub fn params(&self) -> PathBuf {
        self.root.join("params")
    }

    /// The tokens of the daemon's operator.
    pub fn tokens(&self) -> PathBuf {
        self.root.join("operator.token")
    }

    /// Whether a daemon uses the directory now.
    pub fn is_in_use(&self) -> Result<bool, DataDirError> {
        match self.lock() {
            Ok(_) => Ok(false),
            Err(DataDirError::InUse { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn endpoints_file(&self) -> PathBuf {
        self.root.join("endpoints.json")
    }

    fn registered_file(&self) -> PathBuf {
        self.root.join("registered.json")
    }

    /// Says where this directory's daemon is reached; for the daemon, once it is.
    pub fn announce(&self, endpoints: &Endpoints) -> Result<(), DataDirError> {
        write_facts(&self.endpoints_file(), endpoints)
    }

    /// Where this directory's daemon was reached when it last ran; `None` when it never did.
    pub fn endpoints(&self) -> Result<Option<Endpoints>, DataDirError> {
        read_facts(&self.endpoints_file())
    }

    fn chain_file(&self) -> PathBuf {
        self.root.join("chain.json")
    }

    /// The chain that this directory belongs to; `None` before the first one.
    pub fn known_chain(&self) -> Result<Option<KnownChain>, DataDirError> {
        read_facts(&self.chain_file())
    }

    /// Binds the directory to a chain at its first use, and refuses any other from then on.
    pub fn bind_chain(&self, found: &KnownChain) -> Result<(), DataDirError> {
        if let Some(known) = self.known_chain()? {
            return self.same_chain(known, found);
        }
        let _turn = self.chain_turn()?;
        // Another process may have been first.
        match self.known_chain()? {
            Some(known) => self.same_chain(known, found),
            None => write_facts(&self.chain_file(), found),
        }
    }

    /// Refuses any other chain than the one that the directory is bound to, and binds it to none.
    pub fn check_chain(&self, found: &KnownChain) -> Result<(), DataDirError> {
        match self.known_chain()? {
            Some(known) => self.same_chain(known, found),
            None => Ok(()),
        }
    }

    /// Binds the directory to the chain that its own daemon makes, whatever was before: that one is what lies in it.
    pub fn own_chain(&self, made: &KnownChain) -> Result<(), DataDirError> {
        let _turn = self.chain_turn()?;
        match self.known_chain() {
            Ok(Some(known)) if known == *made => Ok(()),
            _ => write_facts(&self.chain_file(), made),
        }
    }

    fn same_chain(&self, known: KnownChain, found: &KnownChain) -> Result<(), DataDirError> {
        if known.genesis == found.genesis {
            return Ok(());
        }
        Err(DataDirError::OtherChain {
            root: self.root.clone(),
            ours: known.genesis,
            endpoint: found.endpoint.clone(),
            theirs: found.genesis.clone(),
        })
    }

    /// One process at a time binds the directory.
    fn chain_turn(&self) -> Result<File, DataDirError> {
        let path = self.root.join("chain.lock");
        let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = open.map_err(|source| file_error("open", &path, source))?;
        file.lock().map_err(|source| file_error("lock", &path, source))?;
        Ok(file)
    }

    /// Remembers the miner that was registered from here.
    pub fn remember_registered(&self, registered: &Registered) -> Result<(), DataDirError> {
        write_facts(&self.registered_file(), registered)
    }

    /// The miner that was registered from here by hand, if any.
    pub fn registered(&self) -> Result<Option<Registered>, DataDirError> {
        read_facts(&self.registered_file())
    }

    /// Whether a daemon's miner lives here, running or not.
    pub fn has_miner(&self) -> bool {
        self.miner().join("store").exists()
    }

    /// Whether a chain lives here, running or not.
    pub fn has_chain(&self) -> bool {
        self.devnet().exists()
    }

    /// Takes the directory for this process.
    pub fn lock(&self) -> Result<DataDirLock, DataDirError> {
        let path = self.root.join("lock");
        let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = open.map_err(|source| file_error("open", &path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(DataDirLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse {
                root: self.root.clone(),
            }),
            Err(TryLockError::Error(source)) => Err(file_error("lock", &path, source)),
        }
    }

    /// Which network this directory belongs to; `None` before the first start of a daemon.
    pub fn identity(&self) -> Result<Option<Identity>, DataDirError> {
        read_facts(&self.root.join("network.json"))
    }

    /// Binds the directory to a network at the first start, and refuses any other from then on.
    pub fn claim(&self, asked: &Identity) -> Result<(), DataDirError> {
        let path = self.root.join("network.json");
        let damaged = |reason: String| DataDirError::DamagedIdentity {
            path: path.clone(),
            reason,
        };
        match fs::metadata(&path) {
            Ok(metadata) if metadata.len() > MAX_FACTS => return Err(damaged("it is too long".into())),
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let text = serde_json::to_vec_pretty(asked).map_err(|e| damaged(e.to_string()))?;
                return write_whole(&path, &text, 0o600).map_err(|source| file_error("write", &path, source));
            }
            Err(source) => return Err(file_error("read", &path, source)),
        }
        let text = fs::read(&path).map_err(|source| file_error("read", &path, source))?;
        let found: Identity = serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
        if found != *asked {
            return Err(DataDirError::OtherNetwork {
                root: self.root.clone(),
                found,
                asked: asked.clone(),
            });
        }
        Ok(())
    }
}

fn root_or_users(root: Option<PathBuf>) -> Result<PathBuf, DataDirError> {
    let users = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".sealdrop"));
    root.or_else(users).ok_or(DataDirError::NoHome)
}

/// Makes a folder that only its owner can look into.
fn create_private(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Closes a folder of an earlier version to others; one that is not there is made by whoever needs it.
fn keep_private(dir: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let permissions = match fs::metadata(dir) {
            Ok(metadata) => metadata.permissions(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if permissions.mode() & 0o077 != 0 {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
        }
    }
    #[cfg(not(unix))]
    let _ = dir;
    Ok(())
}

fn write_facts<T: Serialize>(path: &Path, facts: &T) -> Result<(), DataDirError> {
    // Structs of texts always become JSON.
    let text = serde_json::to_vec_pretty(facts).expect("a struct of texts is JSON");
    write_whole(path, &text, 0o600).map_err(|source| file_error("write", path, source))
}

fn read_facts<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, DataDirError> {
    let damaged = |reason: String| DataDirError::Damaged {
        path: path.to_owned(),
        reason,
    };
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() > MAX_FACTS => return Err(damaged("it is too long".into())),
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(file_error("read", path, source)),
    }
    let text = fs::read(path).map_err(|source| file_error("read", path, source))?;
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|e| damaged(e.to_string()))
}

/// Replaces a file as a whole, on the disk when this returns.
pub fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let partial = path.with_file_name(name);
    match fs::remove_file(&partial) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&partial, path)?;
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

fn file_error(action: &'static str, path: &Path, source: io::Error) -> DataDirError {
    DataDirError::File {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(network: &str, sector_size: SectorSize) -> Identity {
        Identity {
            network: network.into(),
            sector_size,
        }
    }

    /// Finding E5.
    #[test]
    fn a_directory_keeps_to_the_chain_that_it_was_first_used_with_or_that_its_daemon_makes() {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        let home = DataDir::open(Some(dir.path().to_owned())).expect("it can be made");
        let chain = |genesis: &str, endpoint: &str| KnownChain {
            genesis: genesis.into(),
            endpoint: endpoint.into(),
        };
        home.check_chain(&chain("c", "three")).expect("it belongs to none");
        assert_eq!(home.known_chain().expect("nothing is there"), None);
        home.bind_chain(&chain("a", "one")).expect("it is the first");
        home.bind_chain(&chain("a", "two")).expect("it is the same");
        assert_eq!(home.known_chain().expect("it is kept"), Some(chain("a", "one")));
        assert!(home.check_chain(&chain("b", "one")).is_err());
        let other = home.bind_chain(&chain("b", "one"));
        assert!(matches!(other, Err(DataDirError::OtherChain { ours, theirs, .. }) if ours == "a" && theirs == "b"));
        home.own_chain(&chain("b", "one")).expect("its own daemon decides");
        home.bind_chain(&chain("b", "one")).expect("it is the same");
    }

    #[test]
    fn a_directory_of_another_network_is_refused_with_both_names() {
        let dir = tempfile::tempdir().unwrap();
        let home = DataDir::open(Some(dir.path().join("home"))).unwrap();
        let (own, other) = (
            identity("alpha", SectorSize::S8MiB),
            identity("beta", SectorSize::S8MiB),
        );
        home.claim(&own).unwrap();
        home.claim(&own).unwrap();
        let error = home.claim(&other).unwrap_err();
        assert!(matches!(&error, DataDirError::OtherNetwork { found, asked, .. } if *found == own && *asked == other));
        assert!(error.to_string().contains("alpha") && error.to_string().contains("beta"));
        let resized = identity("alpha", SectorSize::S2KiB);
        assert!(matches!(home.claim(&resized), Err(DataDirError::OtherNetwork { .. })));
    }

    /// Finding A11.
    #[cfg(unix)]
    #[test]
    fn a_home_is_for_its_owner_and_folders_of_earlier_versions_are_closed() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let root = dir.path().join("home");
        let home = DataDir::open(Some(root.clone())).unwrap();
        assert_eq!(mode(&root), 0o700);
        home.claim(&identity("alpha", SectorSize::S2KiB)).unwrap();
        assert_eq!(mode(&root.join("network.json")), 0o600);
        fs::create_dir(home.miner()).unwrap();
        for folder in [&root, &home.miner()] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        }
        DataDir::open(Some(root.clone())).unwrap();
        assert_eq!([mode(&root), mode(&home.miner())], [0o700; 2]);
    }

    #[test]
    fn a_directory_that_is_not_wholly_restored_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let open = || DataDir::open(Some(dir.path().to_owned()));
        fs::create_dir(dir.path().join(RESTORING)).unwrap();
        assert!(matches!(open(), Err(DataDirError::HalfRestored { .. })));
        fs::remove_dir(dir.path().join(RESTORING)).unwrap();
        open().unwrap();
    }

    #[test]
    fn a_directory_that_is_not_there_is_not_made_where_it_has_to_be() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("mistyped");
        let opened = DataDir::open_existing(Some(root.clone()));
        assert!(matches!(opened, Err(DataDirError::Missing { .. })));
        assert!(!root.exists());
        DataDir::open_existing(Some(dir.path().to_owned())).unwrap();
    }

    #[test]
    fn two_daemons_do_not_share_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let home = DataDir::open(Some(dir.path().to_owned())).unwrap();
        let lock = home.lock().unwrap();
        assert!(matches!(home.lock(), Err(DataDirError::InUse { .. })));
        drop(lock);
        home.lock().unwrap();
    }

    #[test]
    fn commands_learn_from_the_directory_where_its_daemon_is_reached() {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        let home = DataDir::open(Some(dir.path().to_owned())).expect("a directory opens");
        assert_eq!(home.endpoints().expect("nothing is written yet"), None);
        let endpoints = Endpoints {
            chain: "http://127.0.0.1:1/rpc".into(),
            web: Some("http://127.0.0.1:2".into()),
            http: Some("http://127.0.0.1:3".into()),
            elsewhere: Elsewhere::default(),
            config: None,
        };
        assert_eq!(endpoints.chain_told(), endpoints.chain);
        let named = Endpoints {
            elsewhere: Elsewhere {
                chain: None,
                web: Some("https://page.example:2".into()),
            },
            ..endpoints.clone()
        };
        home.announce(&named).expect("there is room for a file");
        assert_eq!(home.endpoints().expect("it was written"), Some(named.clone()));
        assert_eq!(named.web_told(), Some("https://page.example:2"));
        home.announce(&endpoints).expect("there is room for a file");
        assert_eq!(home.endpoints().expect("it was written"), Some(endpoints));
        fs::write(home.endpoints_file(), "{").expect("it can be written");
        assert!(matches!(home.endpoints(), Err(DataDirError::Damaged { .. })));
    }

    #[test]
    fn a_damaged_identity_is_not_taken_for_a_new_directory() {
        let dir = tempfile::tempdir().unwrap();
        let home = DataDir::open(Some(dir.path().to_owned())).unwrap();
        fs::write(dir.path().join("network.json"), "{").unwrap();
        let claimed = home.claim(&identity("alpha", SectorSize::S2KiB));
        assert!(matches!(claimed, Err(DataDirError::DamagedIdentity { .. })));
    }
}
