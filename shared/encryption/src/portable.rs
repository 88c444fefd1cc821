//! ChaCha20-Poly1305 of the `chacha20poly1305` crate, with the vectors that it has for a processor. Called by [`crate::chunk`].

use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};

/// It wipes its key when it is dropped.
pub(crate) struct Cipher(ChaCha20Poly1305);

/// The tag is another one.
pub(crate) struct OtherTag;

impl Cipher {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(ChaCha20Poly1305::new(key.into()))
    }

    pub(crate) fn seal(&self, nonce: &[u8; 12], bytes: &mut [u8]) -> [u8; 16] {
        let sealed = self.0.encrypt_in_place_detached(nonce.into(), b"", bytes);
        sealed
            .expect("a chunk is shorter than ChaCha20's limit of 256 GiB")
            .into()
    }

    /// Leaves the bytes as they are where the tag is another one.
    pub(crate) fn open(&self, nonce: &[u8; 12], bytes: &mut [u8], tag: &[u8; 16]) -> Result<(), OtherTag> {
        let opened = self.0.decrypt_in_place_detached(nonce.into(), b"", bytes, tag.into());
        opened.map_err(|_| OtherTag)
    }
}
