//! What a backup file holds, and what is refused of one. It is JSON; bytes are hexadecimal.
//!
//! A file is opened with its user's own key, and may be damaged or made up all the same: nothing of it is taken over before all of it is checked.

use crate::restored::{restored_deal, restored_file};
use cid::Cid;
use sealdrop_encryption::EncryptedFile;
use serde::{Deserialize, Serialize};
use shared::chain::{Address, RootKey, SecretKey};
use shared::client::files::FileRecord;
use shared::client::DealRecord;
use shared::file::{Manifest, TrueNames};
use std::collections::BTreeSet;
use zeroize::Zeroizing;

/// Bytes of a backup, at most: manifests of some hundred large folders, or fifty thousand deals.
pub const MAX_BACKUP_BYTES: usize = 64 << 20;
/// The present form. A later one is refused by its number: it may know of something that must not be forgotten.
const FORMAT: u32 = 2;
/// The form of what has no signers, which earlier versions read.
const WITHOUT_SIGNERS: u32 = 1;
/// Networks of one wallet, at most.
const MAX_NETWORKS: usize = 64;
/// Books of payers with signers elsewhere, at most: wallets times networks.
const MAX_SIGNERS: usize = 1024;
/// Deals, and files, of one network, at most.
const MAX_RECORDS: usize = 100_000;

/// A deal in a backup: the engine's record, with what a person knows its file by.
pub type Record = DealRecord<NamedFile>;

/// What a person knows a deal's file by. Its bytes are in no backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedFile {
    pub name: String,
    /// MIME type; may be empty.
    pub kind: String,
}

/// A client at a moment.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    format: u32,
    /// When it was made, in milliseconds since 1970.
    pub made_ms: u64,
    /// What the accounts come from.
    #[serde(with = "secret")]
    root: Zeroizing<[u8; 32]>,
    pub networks: Vec<NetworkBook>,
    /// Books of payers whose keys are with signers elsewhere. The session keys of their channels come from the root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signers: Vec<SignerBook>,
}

/// The book of one payer with a signer elsewhere, on one network.
#[derive(Serialize, Deserialize)]
pub struct SignerBook {
    pub signer: Address,
    pub book: NetworkBook,
}

/// The book of one network.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkBook {
    /// The network's genesis id.
    pub genesis: String,
    /// The key that an earlier version has signed with here, in place of the root's account.
    #[serde(default, with = "maybe_secret", skip_serializing_if = "Option::is_none")]
    pub older_key: Option<Zeroizing<[u8; 32]>>,
    pub deals: Vec<Record>,
    pub files: Vec<FileEntry>,
}

/// A file or folder.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileEntry {
    pub record: FileRecord,
    /// Its manifest, as it is stored.
    #[serde(with = "hex_bytes")]
    pub manifest: Vec<u8>,
    /// Of what is encrypted: what its files are called ([`TrueNames`]), and the key of each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
}

/// What opens an encrypted file or folder.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sealed {
    #[serde(with = "hex_bytes")]
    pub names: Vec<u8>,
    /// To whom it is encrypted, where that is kept.
    #[serde(default)]
    pub readers: Vec<String>,
    /// In the manifest's order.
    pub keys: Vec<EncryptedFile>,
}

/// Why a backup is not taken back; nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    #[error("it has {0} bytes, and a backup has {MAX_BACKUP_BYTES} at most")]
    TooLarge(usize),
    #[error("it is damaged: {0}")]
    Form(String),
    #[error("it was made by another version (format {0}, and this is {FORMAT}); use the version that made it, or a newer one")]
    Format(u32),
    #[error("it has {0} networks, and {MAX_NETWORKS} are the most")]
    TooManyNetworks(usize),
    #[error("it has {0} books of wallets, and {MAX_SIGNERS} are the most")]
    TooManySigners(usize),
    #[error("it has {0} deals or files of one network, and {MAX_RECORDS} are the most")]
    TooManyRecords(usize),
    #[error("\"{0}\" is no network's genesis id")]
    Genesis(String),
    #[error("the network {0} is in it twice")]
    TwoBooks(String),
    #[error("the deals that {signer} pays for on the network {genesis} are in it twice")]
    TwoSigners { signer: Address, genesis: String },
    #[error("a key in it is no secp256k1 secret")]
    Key,
    #[error("its {what} {id} is of the network {found}, but stands among those of {genesis}")]
    OtherNetwork {
        what: &'static str,
        id: String,
        found: String,
        genesis: String,
    },
    #[error("its {what} {id} is in it twice")]
    Twice { what: &'static str, id: String },
    #[error("the manifest of its file {id} is not the one that is named: {reason}")]
    Manifest { id: String, reason: String },
    #[error("the keys of its file {id} are not those of what is stored: {reason}")]
    Keys { id: String, reason: &'static str },
}

impl Backup {
    pub fn new(made_ms: u64, root: &RootKey, networks: Vec<NetworkBook>) -> Self {
        Self {
            format: WITHOUT_SIGNERS,
            made_ms,
            root: Zeroizing::new(root.to_bytes()),
            networks,
            signers: Vec::new(),
        }
    }

    /// The same with the books of signers.
    pub fn with_signers(self, signers: Vec<SignerBook>) -> Self {
        let format = match signers.is_empty() {
            true => WITHOUT_SIGNERS,
            false => FORMAT,
        };
        Self {
            format,
            signers,
            ..self
        }
    }

    pub fn root(&self) -> RootKey {
        RootKey::from_bytes(*self.root)
    }

    /// The bytes that are encrypted. What could not be taken back is refused here.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, BackupError> {
        self.check()?;
        let bytes = serde_json::to_vec(self).map_err(|error| BackupError::Form(error.to_string()))?;
        let bytes = Zeroizing::new(bytes);
        match bytes.len() {
            ..=MAX_BACKUP_BYTES => Ok(bytes),
            size => Err(BackupError::TooLarge(size)),
        }
    }

    /// Reads what was decrypted, and makes of it what is taken back: see [`crate::restored`].
    pub fn restore(bytes: &[u8], now_ms: u64) -> Result<Self, BackupError> {
        let mut backup = Self::read(bytes)?;
        let of_signers = backup.signers.iter_mut().map(|signer| &mut signer.book);
        for network in backup.networks.iter_mut().chain(of_signers) {
            network.deals.iter_mut().for_each(|deal| restored_deal(deal, now_ms));
            network
                .files
                .iter_mut()
                .for_each(|file| restored_file(&mut file.record));
        }
        Ok(backup)
    }

    /// What was decrypted, as it was made.
    pub fn read(bytes: &[u8]) -> Result<Self, BackupError> {
        #[derive(Deserialize)]
        struct AnyFormat {
            format: u32,
        }
        if bytes.len() > MAX_BACKUP_BYTES {
            return Err(BackupError::TooLarge(bytes.len()));
        }
        // A key that is misread must not stand in an error.
        let damaged =
            |error: serde_json::Error| BackupError::Form(format!("line {}, column {}", error.line(), error.column()));
        let AnyFormat { format } = serde_json::from_slice(bytes).map_err(damaged)?;
        if !(WITHOUT_SIGNERS..=FORMAT).contains(&format) {
            return Err(BackupError::Format(format));
        }
        let backup: Self = serde_json::from_slice(bytes).map_err(damaged)?;
        backup.check()?;
        Ok(backup)
    }

    fn check(&self) -> Result<(), BackupError> {
        if self.networks.len() > MAX_NETWORKS {
            return Err(BackupError::TooManyNetworks(self.networks.len()));
        }
        if self.signers.len() > MAX_SIGNERS {
            return Err(BackupError::TooManySigners(self.signers.len()));
        }
        let mut seen = BTreeSet::new();
        for network in &self.networks {
            if !seen.insert(&network.genesis) {
                return Err(BackupError::TwoBooks(network.genesis.clone()));
            }
            network.check()?;
        }
        let mut seen = BTreeSet::new();
        for SignerBook { signer, book } in &self.signers {
            if !seen.insert((signer, &book.genesis)) {
                let (signer, genesis) = (signer.clone(), book.genesis.clone());
                return Err(BackupError::TwoSigners { signer, genesis });
            }
            book.check()?;
        }
        Ok(())
    }
}

impl NetworkBook {
    fn check(&self) -> Result<(), BackupError> {
        let genesis = &self.genesis;
        if genesis.parse::<Cid>().is_err() {
            return Err(BackupError::Genesis(genesis.chars().take(80).collect()));
        }
        if self
            .older_key
            .as_ref()
            .is_some_and(|key| SecretKey::from_bytes(key).is_none())
        {
            return Err(BackupError::Key);
        }
        let records = self.deals.len().max(self.files.len());
        if records > MAX_RECORDS {
            return Err(BackupError::TooManyRecords(records));
        }
        let deals = self.deals.iter().map(|deal| ("deal", &deal.id, &deal.genesis));
        let files = self
            .files
            .iter()
            .map(|file| ("file", &file.record.id, &file.record.genesis));
        let mut seen = BTreeSet::new();
        for (what, id, found) in deals.chain(files) {
            // Records of 0.1.0 do not name their network.
            if found != genesis && !found.is_empty() {
                return Err(BackupError::OtherNetwork {
                    what,
                    id: id.clone(),
                    found: found.clone(),
                    genesis: genesis.clone(),
                });
            }
            if !seen.insert((what, id)) {
                return Err(BackupError::Twice { what, id: id.clone() });
            }
        }
        self.files.iter().try_for_each(FileEntry::check)
    }
}

impl FileEntry {
    /// The manifest as it is stored.
    pub fn manifest(&self) -> Result<Manifest, BackupError> {
        Manifest::read(&self.manifest).map_err(|error| self.wrong(error.to_string()))
    }

    /// The manifest under the names that its files have here.
    pub fn shown(&self) -> Result<Manifest, BackupError> {
        let manifest = self.manifest()?;
        let Some(sealed) = &self.sealed else {
            return Ok(manifest);
        };
        let names = TrueNames::read(&sealed.names).and_then(|names| manifest.under(names));
        names.map_err(|error| self.wrong(error.to_string()))
    }

    fn wrong(&self, reason: String) -> BackupError {
        let id = self.record.id.clone();
        BackupError::Manifest { id, reason }
    }

    fn check(&self) -> Result<(), BackupError> {
        let found = Manifest::cid_of(&self.manifest).to_string();
        if found != self.record.id {
            return Err(self.wrong(format!("its id is {found}")));
        }
        let manifest = self.manifest()?;
        self.shown()?;
        let keys = |reason| {
            let id = self.record.id.clone();
            Err(BackupError::Keys { id, reason })
        };
        match &self.sealed {
            None if self.record.encryption.is_some() => keys("there are none"),
            None => Ok(()),
            Some(_) if self.record.encryption.is_none() => keys("it is not encrypted"),
            Some(sealed) if sealed.keys.len() != manifest.files().len() => keys("there is not one for each file"),
            Some(sealed) => {
                let mut each = sealed.keys.iter().zip(manifest.files());
                match each.all(|(key, file)| key.root() == Some(&file.root()) && key.ciphertext_len() == file.size()) {
                    true => Ok(()),
                    false => keys("one of them is for other bytes"),
                }
            }
        }
    }
}

/// 32 secret bytes.
mod secret {
    use serde::{de::Error, Deserialize, Deserializer, Serializer};
    use zeroize::Zeroizing;

    pub fn serialize<S: Serializer>(secret: &Zeroizing<[u8; 32]>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(hex::encode(secret.as_slice())))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<[u8; 32]>, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let mut bytes = Zeroizing::new([0; 32]);
        let read = hex::decode_to_slice(text.as_bytes(), bytes.as_mut_slice());
        read.map(|()| bytes)
            .map_err(|_| D::Error::custom("a secret is not 64 hexadecimal digits"))
    }
}

mod maybe_secret {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use zeroize::Zeroizing;

    #[derive(Serialize, Deserialize)]
    struct Secret(#[serde(with = "super::secret")] Zeroizing<[u8; 32]>);

    pub fn serialize<S: Serializer>(secret: &Option<Zeroizing<[u8; 32]>>, serializer: S) -> Result<S::Ok, S::Error> {
        secret.clone().map(Secret).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Zeroizing<[u8; 32]>>, D::Error> {
        Ok(Option::<Secret>::deserialize(deserializer)?.map(|secret| secret.0))
    }
}

mod hex_bytes {
    use serde::{de::Error, Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        hex::decode(String::deserialize(deserializer)?).map_err(|_| D::Error::custom("bytes are not hexadecimal"))
    }
}
