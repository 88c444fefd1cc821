//! A file key wrapped under another key, as every kind of stanza has it: ChaCha20-Poly1305 with a nonce of zeros, which is right since
//! each wrapping key is used once.

use chacha20poly1305::aead::Aead;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce};
use zeroize::Zeroizing;

use crate::secret::{FileKey, FILE_KEY_BYTES};

/// Bytes of a wrapped file key: its tag is with it.
pub(crate) const WRAPPED_BYTES: usize = FILE_KEY_BYTES + 16;

pub(crate) fn wrap_key(wrapping: &[u8; 32], key: &FileKey) -> Vec<u8> {
    let wrapped = ChaCha20Poly1305::new(wrapping.into()).encrypt(&Nonce::default(), key.bytes().as_slice());
    wrapped.expect("a file key is shorter than ChaCha20's limit")
}

/// None, if the key was wrapped under another. The length is checked before: a body that fits several keys would be an oracle.
pub(crate) fn unwrap_key(wrapping: &[u8; 32], wrapped: &[u8; WRAPPED_BYTES]) -> Option<FileKey> {
    let key = ChaCha20Poly1305::new(wrapping.into()).decrypt(&Nonce::default(), wrapped.as_slice());
    let key = Zeroizing::new(key.ok()?);
    let key = key.as_slice().try_into().ok()?;
    Some(FileKey::new(Zeroizing::new(key)))
}
