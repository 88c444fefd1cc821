//! A whole file encrypted and decrypted as it comes, in pushes of any length, with one chunk in memory.
//!
//! For a file that is read once, from a pipe, and for one that comes back from its beginning to its end.

use zeroize::Zeroizing;

use crate::chunk::{NotAuthentic, PayloadCipher};
use crate::decryptor::{not_authentic, open_chunk};
use crate::error::{DecryptError, EncryptError};
use crate::file::{EncryptedFile, EncryptionKey};
use crate::header::MAX_HEAD_BYTES;
use crate::keys::Keys;
use crate::layout::{CHUNK_BYTES, SEALED_CHUNK_BYTES};

/// Encrypts a file of unknown length; uses its key up. What it appends is the only ciphertext of this key, and may leave.
pub struct Encryptor {
    key: EncryptionKey,
    cipher: PayloadCipher,
    chunks: Chunks,
    /// Bytes of the file so far.
    length: u64,
    begun: bool,
}

impl Encryptor {
    pub fn new(key: EncryptionKey) -> Self {
        Self {
            cipher: PayloadCipher::new(&key.payload),
            key,
            chunks: Chunks::of(CHUNK_BYTES as usize),
            length: 0,
            begun: false,
        }
    }

    /// Takes the next bytes of the file, and appends to `out` what is ready of its ciphertext: about as many bytes.
    pub fn push(&mut self, plaintext: &[u8], out: &mut Vec<u8>) {
        self.begin(out);
        self.length = self.length.saturating_add(plaintext.len() as u64);
        let cipher = &self.cipher;
        self.chunks
            .push(plaintext, |index, chunk| seal(cipher, index, false, chunk, out));
    }

    /// The end of the file: appends the rest. What it returns makes any range again.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<EncryptedFile, EncryptError> {
        self.begin(out);
        let (index, last) = self.chunks.finish();
        seal(&self.cipher, index, true, &last, out);
        EncryptedFile::new(self.key, self.length)
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !self.begun {
            out.extend_from_slice(&self.key.head);
            self.begun = true;
        }
    }
}

fn seal(cipher: &PayloadCipher, index: u64, last: bool, plaintext: &[u8], out: &mut Vec<u8>) {
    let begin = out.len();
    out.extend_from_slice(plaintext);
    let (_, chunk) = out.split_at_mut(begin);
    let tag = cipher.seal(index, last, chunk);
    out.extend_from_slice(&tag);
}

/// Decrypts a file as it comes. What it appends is authentic; that nothing is missing behind it, only [`Self::finish`] tells.
pub struct StreamDecryptor<'a> {
    keys: Keys<'a>,
    state: State,
}

enum State {
    Head(Vec<u8>),
    Payload {
        cipher: PayloadCipher,
        chunks: Chunks,
    },
    /// After an error, of which the first is told again.
    Failed(DecryptError),
}

impl<'a> StreamDecryptor<'a> {
    pub fn new(keys: Keys<'a>) -> Self {
        let state = State::Head(Vec::new());
        Self { keys, state }
    }

    /// Takes the next bytes of the ciphertext, and appends to `out` what is ready of the file: about as many bytes.
    ///
    /// With a passphrase, the push that completes the head takes as long as the work factor says.
    pub fn push(&mut self, ciphertext: &[u8], out: &mut Vec<u8>) -> Result<(), DecryptError> {
        let pushed = self.take(ciphertext, out);
        if let Err(error) = &pushed {
            self.state = State::Failed(error.clone());
        }
        pushed
    }

    fn take(&mut self, ciphertext: &[u8], out: &mut Vec<u8>) -> Result<(), DecryptError> {
        match &mut self.state {
            State::Failed(error) => Err(error.clone()),
            State::Payload { cipher, chunks } => open(cipher, chunks, ciphertext, out),
            State::Head(held) => {
                let room = MAX_HEAD_BYTES.saturating_sub(held.len()).min(ciphertext.len());
                let (head, behind) = ciphertext.split_at(room);
                held.extend_from_slice(head);
                let opened = match self.keys.open(held) {
                    Err(DecryptError::Incomplete { .. }) => return Ok(()),
                    other => other?,
                };
                let cipher = PayloadCipher::new(&opened.key);
                let mut chunks = Chunks::of(SEALED_CHUNK_BYTES as usize);
                let payload = held.split_off(opened.head.min(held.len()));
                open(&cipher, &mut chunks, &payload, out)?;
                open(&cipher, &mut chunks, behind, out)?;
                self.state = State::Payload { cipher, chunks };
                Ok(())
            }
        }
    }

    /// The end of the ciphertext: appends the rest, and says whether the file is all there.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), DecryptError> {
        let (cipher, chunks) = match self.state {
            State::Failed(error) => return Err(error),
            State::Head(_) => return Err(DecryptError::Truncated("its header is not complete")),
            State::Payload { cipher, chunks } => (cipher, chunks),
        };
        let (index, last) = chunks.finish();
        let empty = last.len() as u64 == SEALED_CHUNK_BYTES - CHUNK_BYTES;
        if last.is_empty() || (empty && index > 0) {
            return Err(DecryptError::Truncated("its last bytes are missing"));
        }
        open_chunk(&cipher, index, true, &last, out).map_err(|NotAuthentic| refused(&cipher, index, true, &last))
    }
}

/// Opens what is complete; the last chunk stays, since only the end of the file tells that it is the last.
fn open(cipher: &PayloadCipher, chunks: &mut Chunks, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), DecryptError> {
    let mut opened = Ok(());
    chunks.push(bytes, |index, sealed| {
        if opened.is_ok() {
            let result = open_chunk(cipher, index, false, sealed, out);
            opened = result.map_err(|NotAuthentic| refused(cipher, index, false, sealed));
        }
    });
    opened
}

fn refused(cipher: &PayloadCipher, index: u64, last: bool, sealed: &[u8]) -> DecryptError {
    let other = open_chunk(cipher, index, !last, sealed, &mut Vec::new());
    not_authentic(index.saturating_mul(CHUNK_BYTES), last, other.is_ok())
}

/// Cuts pushes of any length into units of `size` bytes. The last unit is held back, full or not, until something follows it.
struct Chunks {
    size: usize,
    /// Never longer than its first room, so that no copy is left where it grew.
    held: Zeroizing<Vec<u8>>,
    /// The number of the held unit.
    index: u64,
}

impl Chunks {
    fn of(size: usize) -> Self {
        let held = Zeroizing::new(Vec::with_capacity(size));
        Self { size, held, index: 0 }
    }

    fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(u64, &[u8])) {
        while !bytes.is_empty() {
            if self.held.len() == self.size {
                each(self.index, &self.held);
                self.index = self.index.saturating_add(1);
                self.held.clear();
            }
            // Whole units that are not the last are not copied.
            while self.held.is_empty() && bytes.len() > self.size {
                let (unit, rest) = bytes.split_at(self.size);
                each(self.index, unit);
                self.index = self.index.saturating_add(1);
                bytes = rest;
            }
            let room = self.size.saturating_sub(self.held.len()).min(bytes.len());
            let (taken, rest) = bytes.split_at(room);
            self.held.extend_from_slice(taken);
            bytes = rest;
        }
    }

    fn finish(self) -> (u64, Zeroizing<Vec<u8>>) {
        (self.index, self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Recipients;
    use crate::x25519::Identity;

    #[test]
    fn only_the_empty_file_has_an_empty_last_chunk() {
        let identity = Identity::generate().unwrap();
        let key = EncryptionKey::generate(&Recipients::X25519(&[identity.recipient()])).unwrap();
        let cipher = PayloadCipher::new(&key.payload);
        let mut made = key.head.clone();
        seal(&cipher, 0, false, &[7; CHUNK_BYTES as usize], &mut made);
        seal(&cipher, 1, true, b"", &mut made);
        let mut decryptor = StreamDecryptor::new(Keys::Identities(std::slice::from_ref(&identity)));
        decryptor.push(&made, &mut Vec::new()).unwrap();
        let ended = decryptor.finish(&mut Vec::new());
        assert!(matches!(ended, Err(DecryptError::Truncated(_))), "{ended:?}");
    }
}
