//! A range of a file in its pieces: what to ask of whom for it.

use super::digest::FilePiece;
use super::manifest::FileEntry;
use core::ops::Range;

/// Why a range is none of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    #[error("bytes {start}-{} do not lie in a file of {size} bytes, which are counted from 0; ask for less", end.saturating_sub(1))]
    OutOfFile {
        start: u64,
        /// The first that is not asked for any more.
        end: u64,
        size: u64,
    },
}

/// A part of one piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The piece's index in its file.
    pub piece: usize,
    /// The bytes, counted from the piece's start; never empty.
    pub bytes: Range<u64>,
}

impl FileEntry {
    /// The parts of pieces that this range of the file lies in, in order: together they are the range. None for an empty range.
    pub fn spans(&self, range: Range<u64>) -> Result<impl Iterator<Item = Span> + '_, SpanError> {
        let (Range { start, end }, size) = (range, self.size());
        if start > end || end > size {
            return Err(SpanError::OutOfFile { start, end, size });
        }
        let first = self.pieces().partition_point(|piece| piece.end() <= start);
        let pieces = self.pieces().iter().enumerate().skip(first);
        let touched = pieces.take_while(move |(_, piece)| start < end && piece.offset < end);
        Ok(touched.map(move |(piece, FilePiece { offset, size, .. })| Span {
            piece,
            bytes: start.saturating_sub(*offset)..end.saturating_sub(*offset).min(*size),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::manifest::testing::{file, MIB};
    use alloc::string::ToString;
    use alloc::vec::Vec;

    fn spans(range: Range<u64>) -> Result<Vec<(usize, Range<u64>)>, SpanError> {
        let file = file("a", &[7 * MIB, 7 * MIB, 5]);
        let spans = file.spans(range)?;
        Ok(spans.map(|span| (span.piece, span.bytes)).collect())
    }

    #[test]
    fn a_range_lies_in_the_pieces_that_it_touches_and_in_no_other() {
        let piece = 7 * MIB;
        for (range, expected) in [
            (0..1, Vec::from([(0, 0..1)])),
            (0..piece, Vec::from([(0, 0..piece)])),
            (piece - 1..piece + 1, Vec::from([(0, piece - 1..piece), (1, 0..1)])),
            (piece..piece + 1, Vec::from([(1, 0..1)])),
            (5..2 * piece + 5, Vec::from([(0, 5..piece), (1, 0..piece), (2, 0..5)])),
            (2 * piece + 4..2 * piece + 5, Vec::from([(2, 4..5)])),
        ] {
            assert_eq!(spans(range.clone()), Ok(expected), "{range:?}");
        }
    }

    #[test]
    fn an_empty_range_lies_in_no_piece() {
        for at in [0, 3, 7 * MIB, 14 * MIB + 5] {
            assert_eq!(spans(at..at), Ok(Vec::new()));
        }
        assert_eq!(file("empty", &[]).spans(0..0).map(Iterator::count), Ok(0));
    }

    #[test]
    fn a_refused_range_is_told_by_its_first_and_its_last_byte() {
        let (start, end, size) = (0, 501, 500);
        let text = SpanError::OutOfFile { start, end, size }.to_string();
        assert!(
            text.starts_with("bytes 0-500 do not lie in a file of 500 bytes"),
            "{text}"
        );
    }

    #[test]
    fn a_range_beyond_the_file_is_refused() {
        let size = 14 * MIB + 5;
        let backwards = Range { start: 2, end: 1 };
        for range in [size..size + 1, 0..u64::MAX, backwards] {
            let Range { start, end } = range;
            assert_eq!(spans(range), Err(SpanError::OutOfFile { start, end, size }));
        }
    }
}
