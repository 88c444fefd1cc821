//! A file encrypted once, of whose ciphertext any range is made again from the file's own bytes: no encrypted copy lies on the disk.
//!
//! # The one rule
//!
//! **One key never encrypts two files.** Whoever sees two ciphertexts of different bytes under one key at one place has the difference of the
//! bytes, and can forge what follows. A file on a disk changes without asking, so nothing that was made again may leave the
//! machine before it was compared with what was made first. Three things hold callers to it:
//!
//! - an [`EncryptionKey`] is used up by the one file that it encrypts, and cannot be copied;
//! - [`EncryptedFile::bind`] keeps the ciphertext's root (CID) after it was hashed for the first time, and refuses any other;
//! - what [`EncryptedFile::encrypt_range`] makes is [`Unreleased`]: it can be hashed, and given away only by a comparison with the hash
//!   that is known of these bytes. The comparison must go back to that root: a leaf's SHA-256 that is a part of it, or the same kept
//!   since it was found together with it.
//!
//! The order: make the key, **keep the value** (it is the only way to make the same ciphertext again), hash, bind, **keep it again**,
//! then send. With the value lost nothing is given away: the next attempt has another key, and another ciphertext.

use std::ops::Range;

use cid::Cid;
use sha2::{Digest, Sha256};

use crate::chunk::PayloadCipher;
use crate::decryptor::Decryptor;
use crate::error::{EncryptError, RangeError};
use crate::keys::Recipients;
use crate::layout::{Layout, CHUNK_BYTES};
use crate::random::random;
use crate::secret::{FileKey, PayloadKey, NONCE_BYTES};

/// A fresh key with the header that gives it to the recipients; for one file.
pub struct EncryptionKey {
    /// Header and nonce: the ciphertext's beginning.
    pub(crate) head: Vec<u8>,
    pub(crate) payload: PayloadKey,
}

impl EncryptionKey {
    /// With a passphrase it takes as long as its work factor says.
    pub fn generate(to: &Recipients<'_>) -> Result<Self, EncryptError> {
        let key = FileKey::generate()?;
        let mut head = to.header(&key)?;
        let nonce = random::<NONCE_BYTES>()?;
        head.extend_from_slice(nonce.as_slice());
        let payload = key.payload_key(&nonce);
        Ok(Self { head, payload })
    }
}

/// A file's key and everything else that its ciphertext follows from, but the file.
///
/// It is secret, as the file is: it serialises with serde for the client's own store (bytes in CBOR, hex in JSON), and is wiped when it
/// is dropped.
pub struct EncryptedFile {
    pub(crate) key: EncryptionKey,
    pub(crate) layout: Layout,
    pub(crate) root: Option<Cid>,
    cipher: PayloadCipher,
}

impl EncryptedFile {
    /// Of a file of `plain_len` bytes, which `key` encrypts from now on.
    pub fn new(key: EncryptionKey, plain_len: u64) -> Result<Self, EncryptError> {
        let layout = Layout::new(key.head.len(), plain_len);
        let layout = layout.ok_or(EncryptError::TooLong { bytes: plain_len })?;
        Ok(Self::of_parts(key, layout, None))
    }

    pub(crate) fn of_parts(key: EncryptionKey, layout: Layout, root: Option<Cid>) -> Self {
        let cipher = PayloadCipher::new(&key.payload);
        Self {
            key,
            layout,
            root,
            cipher,
        }
    }

    /// Bytes of the file.
    pub fn plain_len(&self) -> u64 {
        self.layout.plain_len()
    }

    /// Bytes of the ciphertext: what is stored and paid for.
    pub fn ciphertext_len(&self) -> u64 {
        self.layout.cipher_len()
    }

    /// The ciphertext's root, once it is known.
    pub fn root(&self) -> Option<&Cid> {
        self.root.as_ref()
    }

    /// Keeps the root of the ciphertext after it was hashed. Again the same changes nothing; another one means that the file has changed.
    pub fn bind(&mut self, root: Cid) -> Result<(), EncryptError> {
        match self.root {
            Some(first) if first != root => Err(EncryptError::OtherRoot { first, now: root }),
            _ => {
                self.root = Some(root);
                Ok(())
            }
        }
    }

    /// What has to be read of the file to make this range of the ciphertext: whole chunks, and nothing for the head.
    pub fn plain_range(&self, cipher: &Range<u64>) -> Result<Range<u64>, RangeError> {
        let chunks = self.layout.under_cipher(cipher)?;
        Ok(self.layout.plain_of(&chunks))
    }

    /// Makes a range of the ciphertext from [`Self::plain_range`]'s bytes of the file.
    pub fn encrypt_range(&self, cipher: &Range<u64>, plaintext: &[u8]) -> Result<Unreleased, EncryptError> {
        let chunks = self.layout.under_cipher(cipher)?;
        let needed = self.layout.plain_of(&chunks);
        let given = plaintext.len() as u64;
        if needed.end.saturating_sub(needed.start) != given {
            return Err(EncryptError::Plaintext { needed, given });
        }
        // The whole chunks first: a tag is over a whole one.
        let sealed = self.layout.cipher_of(&chunks);
        let mut bytes = Vec::with_capacity(length(&sealed).saturating_add(self.key.head.len()));
        let begin = match cipher.start < self.key.head.len() as u64 {
            true => {
                bytes.extend_from_slice(&self.key.head);
                0
            }
            false => sealed.start,
        };
        for (index, part) in chunks.zip(parts(plaintext)) {
            self.seal(index, part, &mut bytes);
        }
        let wanted = relative(cipher, begin);
        bytes.truncate(wanted.end);
        bytes.drain(..wanted.start.min(bytes.len()));
        Ok(Unreleased(bytes))
    }

    fn seal(&self, index: u64, plaintext: &[u8], out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(plaintext);
        let (_, chunk) = out.split_at_mut(begin);
        let tag = self.cipher.seal(index, self.layout.chunk(index).last, chunk);
        out.extend_from_slice(&tag);
    }

    /// Reads this file's ciphertext without an identity, as long as this value is there.
    pub fn decryptor(&self) -> Decryptor {
        Decryptor::of_parts(&self.key.payload, self.layout)
    }
}

/// The chunks of a file's bytes; the empty file has an empty one.
fn parts(plaintext: &[u8]) -> impl Iterator<Item = &[u8]> {
    let empty = plaintext.is_empty().then_some(plaintext);
    plaintext.chunks(CHUNK_BYTES as usize).chain(empty)
}

/// `range` in bytes that begin at `begin`.
fn relative(range: &Range<u64>, begin: u64) -> Range<usize> {
    let at = |at: u64| usize::try_from(at.saturating_sub(begin)).unwrap_or(usize::MAX);
    at(range.start)..at(range.end)
}

fn length(range: &Range<u64>) -> usize {
    usize::try_from(range.end.saturating_sub(range.start)).unwrap_or_default()
}

/// Bytes of a ciphertext that were made again from a file which may have changed meanwhile; see [the rule](crate::file).
#[must_use]
pub struct Unreleased(Vec<u8>);

impl Unreleased {
    /// To hash them, and for nothing else: they must not leave the machine from here.
    pub fn for_hashing(&self) -> &[u8] {
        &self.0
    }

    /// Gives the bytes away, if their SHA-256 is the one that is known of them: that of a raw leaf under the bound root.
    pub fn release(self, sha256: &[u8; 32]) -> Result<Vec<u8>, EncryptError> {
        self.release_if(|bytes| Sha256::digest(bytes).as_slice() == sha256)
    }

    /// As [`Self::release`], by another comparison with what was found when the bytes were first hashed.
    pub fn release_if(self, same: impl FnOnce(&[u8]) -> bool) -> Result<Vec<u8>, EncryptError> {
        match same(&self.0) {
            true => Ok(self.0),
            false => Err(EncryptError::Changed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x25519::Identity;

    fn file(plain_len: u64) -> EncryptedFile {
        let recipient = Identity::generate().unwrap().recipient();
        let key = EncryptionKey::generate(&Recipients::X25519(&[recipient])).unwrap();
        EncryptedFile::new(key, plain_len).unwrap()
    }

    #[test]
    fn bytes_made_from_a_changed_file_are_not_released() {
        let file = file(10);
        let whole = 0..file.ciphertext_len();
        let first = file.encrypt_range(&whole, b"0123456789").unwrap();
        let sha256: [u8; 32] = Sha256::digest(first.for_hashing()).into();
        let again = file.encrypt_range(&whole, b"0123456789").unwrap();
        assert!(again.release(&sha256).unwrap() == first.for_hashing());
        let changed = file.encrypt_range(&whole, b"0123456780").unwrap();
        assert_eq!(changed.release(&sha256), Err(EncryptError::Changed));
    }

    #[test]
    fn a_file_is_bound_to_one_root() {
        let mut file = file(10);
        let cid = |byte| Cid::new_v1(0x55, cid::multihash::Multihash::wrap(0x12, &[byte; 32]).unwrap());
        assert!(file.root().is_none());
        file.bind(cid(1)).unwrap();
        file.bind(cid(1)).unwrap();
        let refused = file.bind(cid(2));
        assert!(matches!(refused, Err(EncryptError::OtherRoot { .. })));
        assert_eq!(file.root(), Some(&cid(1)));
    }

    #[test]
    fn a_shorter_or_longer_file_is_refused() {
        let file = file(10);
        let whole = 0..file.ciphertext_len();
        for plaintext in [&b"012345678"[..], b"0123456789x", b""] {
            let refused = file.encrypt_range(&whole, plaintext).err().unwrap();
            assert!(matches!(refused, EncryptError::Plaintext { .. }), "{refused}");
        }
        let beyond = 0..file.ciphertext_len() + 1;
        assert!(matches!(
            file.encrypt_range(&beyond, b"0123456789").err(),
            Some(EncryptError::Range(_))
        ));
    }

    #[test]
    fn two_files_of_the_same_bytes_have_nothing_in_common() {
        let make = || {
            let file = file(100);
            let made = file.encrypt_range(&(0..file.ciphertext_len()), &[7; 100]).unwrap();
            made.for_hashing()[file.key.head.len()..].to_vec()
        };
        assert_ne!(make(), make());
    }
}
