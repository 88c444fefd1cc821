//! A chunk sealed and opened: ChaCha20-Poly1305 under the payload key, the nonce made of the chunk's number and whether it is the last.
//!
//! That is STREAM: a chunk cannot be moved, and what is cut off behind one shows. Called by [`crate::file`], [`crate::decryptor`] and
//! [`crate::streaming`], which know the places.

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
use crate::portable::Cipher;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use crate::simd128::Cipher;

use crate::layout::TAG_BYTES;
use crate::secret::PayloadKey;

/// The payload's cipher; it wipes its key when it is dropped.
pub(crate) struct PayloadCipher(Cipher);

/// The chunk is not what was sealed at this place under this key.
pub(crate) struct NotAuthentic;

impl PayloadCipher {
    pub(crate) fn new(key: &PayloadKey) -> Self {
        Self(Cipher::new(key.bytes()))
    }

    /// Encrypts `chunk` where it lies; returns the tag that belongs behind it.
    pub(crate) fn seal(&self, index: u64, last: bool, chunk: &mut [u8]) -> [u8; TAG_BYTES as usize] {
        self.0.seal(&nonce(index, last), chunk)
    }

    /// Decrypts `chunk` where it lies. It is left as it was when it is refused.
    pub(crate) fn open(&self, index: u64, last: bool, chunk: &mut [u8], tag: &[u8]) -> Result<(), NotAuthentic> {
        let tag = tag.try_into().map_err(|_| NotAuthentic)?;
        let opened = self.0.open(&nonce(index, last), chunk, tag);
        opened.map_err(|_| NotAuthentic)
    }
}

/// 11 bytes of the chunk's number, big-endian, and 1 for the last chunk.
fn nonce(index: u64, last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    let (_, number) = nonce.split_at_mut(3);
    let (number, flag) = number.split_at_mut(8);
    number.copy_from_slice(&index.to_be_bytes());
    flag.fill(u8::from(last));
    nonce
}
