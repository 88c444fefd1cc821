//! Files that are encrypted before anything else is done with them: whose keys open them, a key for each, and their names hidden.
//!
//! Called by [`super::store`]: [`make`] before the files are cut, since an encrypted file is longer; [`hide`] once they were hashed.

use super::gathering::Gathered;
use crate::client::error::ClientError;
use crate::client::kept_keys::FileKeys;
use sealdrop_encryption::{
    decrypt_bytes, encrypt_bytes, EncryptError, EncryptedFile, EncryptionKey, Keys, Passphrase, Recipient, Recipients,
    WorkFactor,
};
use shared::client::files::Encryption;
use shared::file::{EncryptedNames, Manifest, TrueNames};
use std::fmt;

/// Files with a passphrase that are stored together, at most: each has a key of its own, for which the passphrase is stretched anew, a
/// second or two each and as long again for whoever reads them.
pub const MAX_PASSPHRASE_FILES: usize = 16;

/// Who is to be able to read what is stored.
#[derive(Clone)]
pub enum Readers {
    Recipients(Vec<Recipient>),
    Passphrase(Passphrase),
}

/// A passphrase is told to nobody.
impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recipients(_) => f.debug_list().entries(self.texts()).finish(),
            Self::Passphrase(_) => f.write_str("a passphrase"),
        }
    }
}

impl Readers {
    fn recipients(&self) -> Recipients<'_> {
        match self {
            Self::Recipients(recipients) => Recipients::X25519(recipients),
            Self::Passphrase(passphrase) => Recipients::Passphrase(passphrase, WorkFactor::USUAL),
        }
    }

    /// The recipients, in order; none of a passphrase.
    pub(super) fn texts(&self) -> Vec<String> {
        match self {
            Self::Recipients(recipients) => recipients.iter().map(ToString::to_string).collect(),
            Self::Passphrase(_) => Vec::new(),
        }
    }

    /// What is said of them in the book and to others.
    pub(super) fn described(&self, plain_size: u64) -> Encryption {
        let recipients = self.texts().len();
        Encryption {
            recipients: u32::try_from(recipients).unwrap_or(u32::MAX),
            passphrase: recipients == 0,
            plain_size,
        }
    }

    /// Whether what was encrypted before is encrypted to these.
    pub(super) fn are_those_of(&self, keys: &FileKeys, names: Option<&EncryptedNames>) -> bool {
        match (self, names) {
            (Self::Recipients(_), _) => self.texts() == keys.readers,
            (Self::Passphrase(passphrase), Some(names)) if keys.readers.is_empty() => {
                decrypt_bytes(Keys::Passphrase(passphrase), names.as_bytes()).is_ok()
            }
            (Self::Passphrase(_), _) => false,
        }
    }
}

/// A fresh key for each of the files; what is stored of them is as long as their ciphertexts from then on. They are to be kept before
/// anything is hashed.
pub(super) fn make(readers: &Readers, gathered: &mut Gathered) -> Result<Vec<EncryptedFile>, ClientError> {
    let (files, limit) = (gathered.files.len(), MAX_PASSPHRASE_FILES);
    if matches!(readers, Readers::Passphrase(_)) && files > limit {
        return Err(ClientError::PassphraseFiles { files, limit });
    }
    let mut keys = Vec::new();
    for file in &mut gathered.files {
        let key = EncryptionKey::generate(&readers.recipients())?;
        let key = EncryptedFile::new(key, file.facts.size)?;
        file.stored = key.ciphertext_len();
        keys.push(key);
    }
    Ok(keys)
}

/// The manifest with neutral names, and the names.
pub(super) fn hide(readers: &Readers, manifest: Manifest) -> Result<(Manifest, TrueNames), ClientError> {
    let names = TrueNames::of(&manifest);
    let encrypted: Result<_, EncryptError> = encrypt_bytes(&readers.recipients(), &names.to_bytes()?);
    Ok((manifest.hiding(EncryptedNames::new(encrypted?)?)?, names))
}
