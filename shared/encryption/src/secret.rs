//! The two keys of a file. The file key is in the header, wrapped for each recipient; what encrypts the chunks is derived from it and
//! the nonce. Both are wiped when they are dropped, and neither can be printed.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::EncryptError;
use crate::random::random;

/// Bytes of a file key.
pub(crate) const FILE_KEY_BYTES: usize = 16;
/// Bytes of the nonce between header and chunks.
pub(crate) const NONCE_BYTES: usize = 16;

pub(crate) struct FileKey(Zeroizing<[u8; FILE_KEY_BYTES]>);

pub(crate) struct PayloadKey(Zeroizing<[u8; 32]>);

impl FileKey {
    pub(crate) fn generate() -> Result<Self, EncryptError> {
        random().map(Self)
    }

    pub(crate) fn new(bytes: Zeroizing<[u8; FILE_KEY_BYTES]>) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8; FILE_KEY_BYTES] {
        &self.0
    }

    /// The key of the header's MAC.
    pub(crate) fn mac_key(&self) -> Zeroizing<[u8; 32]> {
        derive(self.bytes(), b"", b"header")
    }

    pub(crate) fn payload_key(&self, nonce: &[u8; NONCE_BYTES]) -> PayloadKey {
        PayloadKey(derive(self.bytes(), nonce, b"payload"))
    }
}

impl PayloadKey {
    pub(crate) fn from_kept(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Clone for PayloadKey {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// HKDF-SHA-256 to one key.
pub(crate) fn derive(secret: &[u8], salt: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    let expanded = Hkdf::<Sha256>::new(Some(salt), secret).expand(info, key.as_mut_slice());
    expanded.expect("32 bytes are less than HKDF's limit of 8160");
    key
}
