//! Ranges of a file from ranges of its ciphertext, without the rest: for video that seeks and files that come from several miners.
//!
//! Each chunk is authenticated by itself: it was written by whoever wrote the header, and for this place. Whether the ciphertext has
//! its true length only the last chunk tells, so [`Decryptor::check_end`] belongs to opening a file whose length nobody vouches for;
//! a data root that the ranges are checked against does.

use std::ops::Range;

use crate::chunk::{NotAuthentic, PayloadCipher};
use crate::error::{DecryptError, RangeError};
use crate::header::{Header, MAX_HEAD_BYTES};
use crate::keys::Keys;
use crate::layout::{Layout, SEALED_CHUNK_BYTES, TAG_BYTES};
use crate::secret::PayloadKey;

/// Opens ranges of one file; it holds the key, and no bytes.
pub struct Decryptor {
    cipher: PayloadCipher,
    layout: Layout,
}

impl Decryptor {
    /// With the beginning of the ciphertext, of which [`MAX_HEAD_BYTES`] are always enough, and the length of all of it.
    ///
    /// Fails with [`DecryptError::Incomplete`] where `head` is too short for this file's header.
    pub fn open(head: &[u8], ciphertext_len: u64, keys: &Keys<'_>) -> Result<Self, DecryptError> {
        let opened = keys.open(head).map_err(|error| match error {
            DecryptError::Incomplete { given } if given as u64 >= ciphertext_len => {
                DecryptError::Truncated("its header is not complete")
            }
            other => other,
        })?;
        let layout = Layout::of_ciphertext(opened.head, ciphertext_len);
        let layout = layout.ok_or(DecryptError::Truncated("no file has an encrypted form of this length"))?;
        Ok(Self::of_parts(&opened.key, layout))
    }

    pub(crate) fn of_parts(key: &PayloadKey, layout: Layout) -> Self {
        let cipher = PayloadCipher::new(key);
        Self { cipher, layout }
    }

    /// Bytes of the file.
    pub fn plain_len(&self) -> u64 {
        self.layout.plain_len()
    }

    /// Bytes of the ciphertext.
    pub fn ciphertext_len(&self) -> u64 {
        self.layout.cipher_len()
    }

    /// What has to be read of the ciphertext for a range of the file: whole chunks with their tags.
    pub fn cipher_range(&self, plain: &Range<u64>) -> Result<Range<u64>, RangeError> {
        let chunks = self.layout.under_plain(plain)?;
        Ok(self.layout.cipher_of(&chunks))
    }

    /// A range of the file from [`Self::cipher_range`]'s bytes of the ciphertext. Returns all of it or nothing.
    pub fn decrypt_range(&self, plain: &Range<u64>, ciphertext: &[u8]) -> Result<Vec<u8>, DecryptError> {
        let chunks = self.layout.under_plain(plain)?;
        check_length(self.layout.cipher_of(&chunks), ciphertext)?;
        let held = self.layout.plain_of(&chunks);
        let mut bytes = Vec::with_capacity(ciphertext.len());
        for (index, sealed) in chunks.zip(ciphertext.chunks(SEALED_CHUNK_BYTES as usize)) {
            self.open_chunk(index, sealed, &mut bytes)?;
        }
        let at = |at: u64| usize::try_from(at.saturating_sub(held.start)).unwrap_or(usize::MAX);
        bytes.truncate(at(plain.end));
        bytes.drain(..at(plain.start).min(bytes.len()));
        Ok(bytes)
    }

    /// The last chunk of the ciphertext, for [`Self::check_end`].
    pub fn end_range(&self) -> Range<u64> {
        self.layout.last_chunk().cipher
    }

    /// Whether the file ends where the ciphertext does. Of the empty file this is the only chunk.
    pub fn check_end(&self, ciphertext: &[u8]) -> Result<(), DecryptError> {
        let last = self.layout.last_chunk();
        check_length(last.cipher, ciphertext)?;
        self.open_chunk(last.index, ciphertext, &mut Vec::with_capacity(ciphertext.len()))
    }

    /// Appends a chunk's bytes to `out`; leaves it as it was where the chunk is refused.
    fn open_chunk(&self, index: u64, sealed: &[u8], out: &mut Vec<u8>) -> Result<(), DecryptError> {
        let chunk = self.layout.chunk(index);
        open_chunk(&self.cipher, index, chunk.last, sealed, out).map_err(|NotAuthentic| {
            let other = open_chunk(&self.cipher, index, !chunk.last, sealed, &mut Vec::new());
            not_authentic(chunk.plain.start, chunk.last, other.is_ok())
        })
    }
}

/// Why a chunk was refused: it may be whole, and only not the end, or not before it.
pub(crate) fn not_authentic(offset: u64, last: bool, opens_otherwise: bool) -> DecryptError {
    match (opens_otherwise, last) {
        (true, true) => DecryptError::Truncated("its last bytes are missing"),
        (true, false) => DecryptError::Trailing,
        (false, _) => DecryptError::Damaged { offset },
    }
}

/// Appends the bytes of a chunk with its tag behind it.
pub(crate) fn open_chunk(
    cipher: &PayloadCipher,
    index: u64,
    last: bool,
    sealed: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), NotAuthentic> {
    let length = sealed.len().checked_sub(TAG_BYTES as usize).ok_or(NotAuthentic)?;
    let (bytes, tag) = sealed.split_at(length);
    let begin = out.len();
    out.extend_from_slice(bytes);
    let (_, chunk) = out.split_at_mut(begin);
    let opened = cipher.open(index, last, chunk, tag);
    if opened.is_err() {
        out.truncate(begin);
    }
    opened
}

fn check_length(needed: Range<u64>, ciphertext: &[u8]) -> Result<(), DecryptError> {
    let given = ciphertext.len() as u64;
    match needed.end.saturating_sub(needed.start) == given {
        true => Ok(()),
        false => Err(DecryptError::Ciphertext { needed, given }),
    }
}

/// How many bytes header and nonce take at the beginning of an encrypted file, without any key: where its chunks begin.
///
/// Fails with [`DecryptError::Incomplete`] where there are too few; [`MAX_HEAD_BYTES`] are always enough.
pub fn head_len(beginning: &[u8]) -> Result<usize, DecryptError> {
    let header = Header::read(beginning)?;
    let nonce = crate::header::nonce(beginning, header.length)?;
    let length = header.length.saturating_add(nonce.len());
    debug_assert!(length <= MAX_HEAD_BYTES);
    Ok(length)
}
