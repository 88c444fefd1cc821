//! Small things that are in memory anyhow, as files of their own: manifests, so that names are hidden, too.

use crate::error::{DecryptError, EncryptError};
use crate::file::EncryptionKey;
use crate::header::VERSION_LINE;
use crate::keys::{Keys, Recipients};
use crate::streaming::{Encryptor, StreamDecryptor};

/// An age file of `bytes`, under a key of its own.
pub fn encrypt_bytes(to: &Recipients<'_>, bytes: &[u8]) -> Result<Vec<u8>, EncryptError> {
    let mut encryptor = Encryptor::new(EncryptionKey::generate(to)?);
    let mut out = Vec::new();
    encryptor.push(bytes, &mut out);
    encryptor.finish(&mut out)?;
    Ok(out)
}

/// The bytes of a whole age file.
pub fn decrypt_bytes(keys: Keys<'_>, ciphertext: &[u8]) -> Result<Vec<u8>, DecryptError> {
    let mut decryptor = StreamDecryptor::new(keys);
    let mut out = Vec::new();
    decryptor.push(ciphertext, &mut out)?;
    decryptor.finish(&mut out)?;
    Ok(out)
}

/// Whether these are the first bytes of an age file: 22 are enough to tell.
pub fn is_encrypted(beginning: &[u8]) -> bool {
    beginning.starts_with(VERSION_LINE)
}
