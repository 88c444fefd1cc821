//! Where a file's bytes are in its ciphertext: the head (header and nonce), then chunks of 64 KiB, each with its tag behind it.
//!
//! The last chunk may be shorter; it is empty only in the empty file. Called by both directions for every range.

use std::ops::Range;

use crate::error::RangeError;

/// Bytes of the file in a chunk.
pub const CHUNK_BYTES: u64 = 64 << 10;
/// Bytes of a chunk's tag (Poly1305).
pub const TAG_BYTES: u64 = 16;
/// Bytes of a chunk with its tag.
pub const SEALED_CHUNK_BYTES: u64 = CHUNK_BYTES + TAG_BYTES;
/// Bytes of a file: far more than anybody stores, and no arithmetic here comes near the end of 64 bits.
pub const MAX_PLAIN_BYTES: u64 = 1 << 60;

/// A chunk's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub index: u64,
    pub last: bool,
    /// In the file.
    pub plain: Range<u64>,
    /// In the ciphertext, its tag included.
    pub cipher: Range<u64>,
}

/// The lengths that all places follow from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    head: u64,
    plain: u64,
}

impl Layout {
    /// None for a file above [`MAX_PLAIN_BYTES`].
    pub(crate) fn new(head: usize, plain: u64) -> Option<Self> {
        let head = head as u64;
        (plain <= MAX_PLAIN_BYTES).then_some(Self { head, plain })
    }

    /// None where no file has a ciphertext of this length: the last chunk would lack its tag, or be empty behind others.
    pub(crate) fn of_ciphertext(head: usize, cipher: u64) -> Option<Self> {
        let payload = cipher.checked_sub(head as u64)?;
        let (full, rest) = (payload / SEALED_CHUNK_BYTES, payload % SEALED_CHUNK_BYTES);
        let plain = match (full, rest) {
            (0, TAG_BYTES) => 0,
            (_, 0) if full > 0 => full.checked_mul(CHUNK_BYTES)?,
            (_, rest) => {
                let last = rest.checked_sub(TAG_BYTES).filter(|last| *last > 0)?;
                full.checked_mul(CHUNK_BYTES)?.checked_add(last)?
            }
        };
        Self::new(head, plain)
    }

    pub(crate) fn plain_len(&self) -> u64 {
        self.plain
    }

    pub(crate) fn cipher_len(&self) -> u64 {
        let tags = self.chunks().saturating_mul(TAG_BYTES);
        self.head.saturating_add(self.plain).saturating_add(tags)
    }

    pub(crate) fn chunks(&self) -> u64 {
        self.plain.div_ceil(CHUNK_BYTES).max(1)
    }

    pub(crate) fn chunk(&self, index: u64) -> Chunk {
        let following = index.saturating_add(1);
        let plain_at = |index: u64| index.saturating_mul(CHUNK_BYTES).min(self.plain);
        let cipher_at = |index: u64| {
            let payload = index.saturating_mul(SEALED_CHUNK_BYTES);
            self.head.saturating_add(payload).min(self.cipher_len())
        };
        Chunk {
            index,
            last: following >= self.chunks(),
            plain: plain_at(index)..plain_at(following),
            cipher: cipher_at(index)..cipher_at(following),
        }
    }

    pub(crate) fn last_chunk(&self) -> Chunk {
        self.chunk(self.chunks().saturating_sub(1))
    }

    /// The chunks of which a range of the ciphertext has bytes: none, if it lies in the head or is empty.
    pub(crate) fn under_cipher(&self, range: &Range<u64>) -> Result<Range<u64>, RangeError> {
        check(range, self.cipher_len())?;
        let within = |at: u64| at.saturating_sub(self.head);
        Ok(touched::<SEALED_CHUNK_BYTES>(within(range.start)..within(range.end)))
    }

    /// The chunks of which a range of the file has bytes: none, if it is empty.
    pub(crate) fn under_plain(&self, range: &Range<u64>) -> Result<Range<u64>, RangeError> {
        check(range, self.plain)?;
        Ok(touched::<CHUNK_BYTES>(range.clone()))
    }

    /// What these chunks hold of the file.
    pub(crate) fn plain_of(&self, chunks: &Range<u64>) -> Range<u64> {
        self.chunk(chunks.start).plain.start..self.chunk(chunks.end).plain.start
    }

    /// Where these chunks are in the ciphertext.
    pub(crate) fn cipher_of(&self, chunks: &Range<u64>) -> Range<u64> {
        self.chunk(chunks.start).cipher.start..self.chunk(chunks.end).cipher.start
    }
}

fn check(range: &Range<u64>, length: u64) -> Result<(), RangeError> {
    match range.start <= range.end && range.end <= length {
        true => Ok(()),
        false => Err(RangeError {
            range: range.clone(),
            length,
        }),
    }
}

/// The units of `SIZE` bytes of which `range` has bytes; an empty range has none.
fn touched<const SIZE: u64>(range: Range<u64>) -> Range<u64> {
    let first = range.start.checked_div(SIZE).unwrap_or_default();
    match range.is_empty() {
        true => first..first,
        false => first..range.end.div_ceil(SIZE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: usize = 216;

    #[test]
    fn the_ciphertext_is_the_head_and_a_tag_for_each_chunk() {
        let length = |plain| Layout::new(HEAD, plain).unwrap().cipher_len();
        assert_eq!(length(0), 216 + 16);
        assert_eq!(length(1), 216 + 17);
        assert_eq!(length(CHUNK_BYTES), 216 + 65536 + 16);
        assert_eq!(length(CHUNK_BYTES + 1), 216 + 65537 + 32);
        assert_eq!(length(2 * CHUNK_BYTES), 216 + 131_072 + 32);
        assert!(Layout::new(HEAD, MAX_PLAIN_BYTES + 1).is_none());
    }

    #[test]
    fn only_lengths_that_some_file_has_are_lengths_of_a_ciphertext() {
        let plain = |payload| Layout::of_ciphertext(HEAD, HEAD as u64 + payload).map(|layout| layout.plain_len());
        assert_eq!(plain(0), None, "no chunk");
        assert_eq!(plain(15), None, "no whole tag");
        assert_eq!(plain(16), Some(0));
        assert_eq!(plain(17), Some(1));
        assert_eq!(plain(SEALED_CHUNK_BYTES), Some(CHUNK_BYTES));
        assert_eq!(plain(SEALED_CHUNK_BYTES + 1), None);
        assert_eq!(plain(SEALED_CHUNK_BYTES + 16), None, "an empty chunk behind a full one");
        assert_eq!(plain(SEALED_CHUNK_BYTES + 17), Some(CHUNK_BYTES + 1));
        assert_eq!(Layout::of_ciphertext(HEAD, HEAD as u64 - 1), None);
        assert_eq!(Layout::of_ciphertext(HEAD, u64::MAX), None);
    }

    #[test]
    fn an_empty_range_touches_no_chunk_at_either_end() {
        let layout = Layout::new(HEAD, 3 * CHUNK_BYTES).unwrap();
        for at in [0, 1, CHUNK_BYTES, 3 * CHUNK_BYTES] {
            let chunks = layout.under_plain(&(at..at)).unwrap();
            assert!(chunks.is_empty());
            assert!(layout.plain_of(&chunks).is_empty());
            assert!(layout.cipher_of(&chunks).is_empty());
        }
    }

    #[test]
    fn a_range_past_the_end_or_backwards_is_refused() {
        let layout = Layout::new(HEAD, 10).unwrap();
        #[allow(clippy::reversed_empty_ranges)]
        for range in [0..11, 11..11, 5..4, 0..u64::MAX] {
            assert!(layout.under_plain(&range).is_err(), "{range:?}");
        }
        assert!(layout.under_cipher(&(0..layout.cipher_len() + 1)).is_err());
    }
}
