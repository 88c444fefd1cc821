//! Proofs that a range of bytes is part of a piece, so that a reader of some of it needs to trust nobody.
//!
//! While a piece is hashed, [`super::CommPHasher::with_outline`] keeps the roots of its slices: with slices of 1 MiB
//! that is 31 bytes for each million. From them the proof of a slice is made without reading the piece again; who has
//! the slice's bytes and the piece's CommP checks it ([`verify_range`]). A slice proof is 32 bytes a level: 192 for
//! 1 MiB of 64 MiB.

use super::commitment::Commitment;
use super::commp::{CommPHasher, PieceCommitment, PieceError};
use super::inclusion::{InclusionError, InclusionProof};
use super::size::PaddedSize;
use super::tree::hash_pair;
use super::zero::ZERO_ROOTS;
use alloc::vec::Vec;

/// Why a range is not shown to be part of a piece.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    #[error("the piece has {slices} slices, so none with index {index}")]
    NoSuchSlice { index: u64, slices: u64 },
    #[error("the range has {found} bytes where the piece's slice {index} has {expected}; ask for whole slices")]
    WrongLength { index: u64, expected: u64, found: u64 },
    #[error("the proof is for leaf {found}, but the slice starts at leaf {expected}")]
    WrongPosition { expected: u64, found: u64 },
    #[error(transparent)]
    Piece(#[from] PieceError),
    #[error(transparent)]
    Inclusion(#[from] InclusionError),
}

/// The roots of a piece's slices, all of one size; the last is filled with zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    piece: PieceCommitment,
    slice: PaddedSize,
    roots: Vec<Commitment>,
}

impl Outline {
    pub(super) fn new(piece: PieceCommitment, slice: PaddedSize, roots: Vec<Commitment>) -> Self {
        Self { piece, slice, roots }
    }

    /// The piece.
    pub fn piece(&self) -> PieceCommitment {
        self.piece
    }

    /// The slices' roots, in order.
    pub fn roots(&self) -> &[Commitment] {
        &self.roots
    }

    /// The proof that the slice of this index is part of the piece.
    pub fn prove(&self, index: u64) -> Result<InclusionProof, RangeError> {
        let slices = self.roots.len() as u64;
        if index >= slices {
            return Err(RangeError::NoSuchSlice { index, slices });
        }
        let mut level = self.roots.clone();
        let mut place = index as usize;
        let mut siblings = Vec::new();
        let heights = [self.slice.height(), self.piece.padded.height()].map(usize::from);
        for zeros in ZERO_ROOTS.iter().take(heights[1]).skip(heights[0]) {
            let zeros = Commitment(*zeros);
            siblings.push(level.get(place ^ 1).copied().unwrap_or(zeros));
            let pairs = level.chunks(2);
            let parent = |pair: &[Commitment]| {
                let [left, right] = [0, 1].map(|side| pair.get(side).unwrap_or(&zeros));
                Commitment(hash_pair(&left.0, &right.0))
            };
            level = pairs.map(parent).collect();
            place >>= 1;
        }
        Ok(InclusionProof {
            position: index.saturating_mul(self.slice.leaves()),
            siblings,
        })
    }
}

/// Checks that `bytes` are the slice of this index of a piece; slices have `slice` padded bytes, so 127 of its 128
/// parts of the file, and the last ends with the file.
pub fn verify_range(
    bytes: &[u8],
    index: u64,
    slice: PaddedSize,
    piece: &PieceCommitment,
    proof: &InclusionProof,
) -> Result<(), RangeError> {
    // A piece that is smaller than a slice is its only one.
    let slice = slice.min(piece.padded);
    let slices = piece.size.div_ceil(slice.unpadded());
    if index >= slices {
        return Err(RangeError::NoSuchSlice { index, slices });
    }
    let start = index.saturating_mul(slice.unpadded());
    let (expected, found) = (
        piece.size.saturating_sub(start).min(slice.unpadded()),
        bytes.len() as u64,
    );
    if found != expected {
        return Err(RangeError::WrongLength { index, expected, found });
    }
    let expected = index.saturating_mul(slice.leaves());
    if proof.position != expected {
        let found = proof.position;
        return Err(RangeError::WrongPosition { expected, found });
    }
    let mut hasher = CommPHasher::new();
    hasher.push(bytes)?;
    let root = hasher.finish()?.subtree().padded_to(slice.height());
    Ok(proof.verify_in(root, slice, piece.comm_p, piece.padded)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::unixfs::test_data;

    fn outline(bytes: &[u8], slice: PaddedSize) -> Outline {
        let mut hasher = CommPHasher::with_outline(slice);
        for part in bytes.chunks(70_001) {
            hasher.push(part).expect("far below the largest piece");
        }
        let (piece, outline) = hasher.finish_with_outline().expect("there are bytes");
        let outline = outline.expect("the hasher has one");
        assert_eq!(outline.piece(), piece);
        outline
    }

    #[test]
    fn every_slice_of_a_piece_is_proven_and_no_other_bytes_are() {
        for (size, padded) in [
            (127 * 64, 1024),
            (127 * 64 - 1, 1024),
            (1_000_000, 64 << 10),
            (5000, 128),
        ] {
            let bytes = test_data(size);
            let slice = PaddedSize::new(padded).expect("128 times a power of two");
            let outline = outline(&bytes, slice);
            let piece = outline.piece();
            for (index, part) in bytes.chunks(slice.unpadded() as usize).enumerate() {
                let proof = outline.prove(index as u64).expect("there is such a slice");
                assert_eq!(verify_range(part, index as u64, slice, &piece, &proof), Ok(()));
                let mut other = part.to_vec();
                other[part.len() / 2] ^= 1;
                assert!(matches!(
                    verify_range(&other, index as u64, slice, &piece, &proof),
                    Err(RangeError::Inclusion(InclusionError::WrongCommD { .. }))
                ));
            }
        }
    }

    #[test]
    fn a_piece_that_is_smaller_than_a_slice_is_its_only_slice() {
        let slice = PaddedSize::new(1 << 20).expect("128 times a power of two");
        for size in [1, 127, 128, 5000] {
            let bytes = test_data(size);
            let outline = outline(&bytes, slice);
            let (piece, proof) = (outline.piece(), outline.prove(0).expect("the only one"));
            assert!(proof.siblings.is_empty());
            assert_eq!(verify_range(&bytes, 0, slice, &piece, &proof), Ok(()));
            let mut other = bytes.clone();
            other[size - 1] ^= 1;
            assert!(verify_range(&other, 0, slice, &piece, &proof).is_err(), "{size} bytes");
        }
    }

    #[test]
    fn index_length_and_position_must_be_those_of_the_slice() {
        let bytes = test_data(5000);
        let slice = PaddedSize::new(1024).expect("128 times 8");
        let outline = outline(&bytes, slice);
        let (piece, proof) = (outline.piece(), outline.prove(1).expect("there are five"));
        let first = &bytes[..1016];
        assert_eq!(outline.prove(5), Err(RangeError::NoSuchSlice { index: 5, slices: 5 }));
        assert_eq!(
            verify_range(first, 5, slice, &piece, &proof),
            Err(RangeError::NoSuchSlice { index: 5, slices: 5 })
        );
        assert_eq!(
            verify_range(first, 4, slice, &piece, &proof),
            Err(RangeError::WrongLength {
                index: 4,
                expected: 936,
                found: 1016
            })
        );
        assert_eq!(
            verify_range(first, 0, slice, &piece, &proof),
            Err(RangeError::WrongPosition { expected: 0, found: 32 })
        );
    }
}
