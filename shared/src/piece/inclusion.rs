//! Piece inclusion proofs: that a piece is part of sealed data (spec §8.4).
//!
//! The miner makes one for each piece of a sector when it seals; it travels in `pieceInclusionProof`. The client checks
//! it before it believes that a deal is complete, and the chain checks it when a conditional voucher is redeemed.

use super::commitment::Commitment;
use super::layout::SectorLayout;
use super::size::{PaddedSize, SectorSize, LEAF, MAX_HEIGHT};
use super::tree::hash_pair;
use alloc::vec::Vec;

/// Bytes of the position in front of the siblings.
const POSITION: usize = 8;

/// Why a proof shows nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InclusionError {
    #[error("malformed piece inclusion proof: {length} bytes are no 8-byte position and up to {MAX_HEIGHT} hashes")]
    Malformed { length: usize },
    #[error("the layout has {pieces} pieces, so none with index {index}")]
    NoSuchPiece { index: usize, pieces: usize },
    #[error("a piece of {piece} padded bytes is larger than a sector of {sector}")]
    PieceLargerThanSector { piece: u64, sector: u64 },
    #[error("the proof has {found} hashes where the sizes of piece and sector ask for {expected}")]
    WrongPathLength { expected: usize, found: usize },
    #[error("leaf {position} is no place for a piece of {leaves} leaves in a sector of {sector_leaves}")]
    WrongPosition {
        position: u64,
        leaves: u64,
        sector_leaves: u64,
    },
    #[error("the proof leads to commD {found}, but the sector's is {expected}: the piece is not shown to be in it")]
    WrongCommD { expected: Commitment, found: Commitment },
}

/// The path from a piece's root to the sector's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// Index of the piece's first 32-byte leaf in the sector; its bits say on which side each sibling stands.
    pub position: u64,
    /// Siblings from the piece's root upward.
    pub siblings: Vec<Commitment>,
}

impl InclusionProof {
    /// The proof for the piece of this index.
    pub fn prove(layout: &SectorLayout, index: usize) -> Result<Self, InclusionError> {
        let pieces = layout.pieces().len();
        let Some(placed) = layout.pieces().get(index) else {
            return Err(InclusionError::NoSuchPiece { index, pieces });
        };
        let mut siblings = Vec::new();
        let (mut offset, mut size) = (placed.offset, placed.size.bytes());
        while size < layout.sector().bytes() {
            siblings.push(layout.root_of(offset ^ size, size));
            offset &= !size;
            size = size.saturating_mul(2);
        }
        Ok(Self {
            position: placed.offset / LEAF,
            siblings,
        })
    }

    /// The wire form: the position, little-endian, then the siblings.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.siblings.len().saturating_mul(32).saturating_add(POSITION));
        bytes.extend_from_slice(&self.position.to_le_bytes());
        for sibling in &self.siblings {
            bytes.extend_from_slice(&sibling.0);
        }
        bytes
    }

    /// Reads the wire form; [`InclusionError::Malformed`] for a length that no proof has.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InclusionError> {
        let length = bytes.len();
        let malformed = InclusionError::Malformed { length };
        let Some((position, path)) = bytes.split_first_chunk::<POSITION>() else {
            return Err(malformed);
        };
        let (siblings, rest) = path.as_chunks::<32>();
        if !rest.is_empty() || siblings.len() > usize::from(MAX_HEIGHT) {
            return Err(malformed);
        }
        Ok(Self {
            position: u64::from_le_bytes(*position),
            siblings: siblings.iter().copied().map(Commitment).collect(),
        })
    }

    /// Checks that a piece of this commitment and padded size is in a sector of this commitment and size.
    pub fn verify(
        &self,
        comm_p: Commitment,
        piece: PaddedSize,
        comm_d: Commitment,
        sector: SectorSize,
    ) -> Result<(), InclusionError> {
        let whole = sector.padded();
        if piece > whole {
            return Err(InclusionError::PieceLargerThanSector {
                piece: piece.bytes(),
                sector: whole.bytes(),
            });
        }
        let expected = usize::from(whole.height().saturating_sub(piece.height()));
        let found = self.siblings.len();
        if found != expected {
            return Err(InclusionError::WrongPathLength { expected, found });
        }
        if self.position >= whole.leaves() || !self.position.is_multiple_of(piece.leaves()) {
            return Err(InclusionError::WrongPosition {
                position: self.position,
                leaves: piece.leaves(),
                sector_leaves: whole.leaves(),
            });
        }
        let found = self.root_from(comm_p, self.position >> piece.height());
        if found != comm_d {
            let expected = comm_d;
            return Err(InclusionError::WrongCommD { expected, found });
        }
        Ok(())
    }

    fn root_from(&self, comm_p: Commitment, place: u64) -> Commitment {
        let last = self.way(comm_p, place).last();
        last.map_or(comm_p, |(_, _, parent)| parent)
    }

    /// The way from a piece of this commitment and size upward, for who wants to see it: whether the sibling stands to the left, the
    /// sibling, and the hash of both.
    pub fn levels(&self, comm_p: Commitment, piece: PaddedSize) -> Vec<(bool, Commitment, Commitment)> {
        self.way(comm_p, self.position >> piece.height()).collect()
    }

    fn way(&self, comm_p: Commitment, place: u64) -> impl Iterator<Item = (bool, Commitment, Commitment)> + '_ {
        let (mut node, mut place) = (comm_p.0, place);
        self.siblings.iter().map(move |sibling| {
            let is_left = place & 1 == 1;
            node = match is_left {
                false => hash_pair(&node, &sibling.0),
                true => hash_pair(&sibling.0, &node),
            };
            place >>= 1;
            (is_left, *sibling, Commitment(node))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::commp::CommPHasher;
    use crate::piece::unixfs::test_data;

    const SECTOR: SectorSize = SectorSize::S2KiB;

    fn layout(sizes: &[usize]) -> SectorLayout {
        let mut layout = SectorLayout::new(SECTOR);
        for size in sizes {
            let mut hasher = CommPHasher::new();
            hasher.push(&test_data(*size)).unwrap();
            let piece = hasher.finish().unwrap();
            layout.place(piece.padded, piece.comm_p).unwrap();
        }
        layout
    }

    #[test]
    fn the_proof_of_every_piece_verifies_and_only_for_it() {
        for sizes in [&[100, 500, 127, 250, 10][..], &[2032], &[127; 16], &[1]] {
            let layout = layout(sizes);
            let comm_d = layout.comm_d();
            for (index, placed) in layout.pieces().iter().enumerate() {
                let proof = InclusionProof::prove(&layout, index).unwrap();
                assert_eq!(proof.position * 32, placed.offset);
                let bytes = proof.to_bytes();
                assert_eq!(InclusionProof::from_bytes(&bytes), Ok(proof.clone()));
                assert_eq!(proof.verify(placed.comm_p, placed.size, comm_d, SECTOR), Ok(()));
            }
        }
        assert_eq!(
            InclusionProof::prove(&layout(&[1]), 1),
            Err(InclusionError::NoSuchPiece { index: 1, pieces: 1 })
        );
    }

    #[test]
    fn no_single_bit_of_a_proof_or_commitment_can_change() {
        for (sizes, index) in [(&[100, 500, 127, 250][..], 2), (&[2032], 0)] {
            let layout = layout(sizes);
            let (placed, comm_d) = (layout.pieces()[index], layout.comm_d());
            let good = InclusionProof::prove(&layout, index).unwrap().to_bytes();
            let verify = |bytes: &[u8], comm_p, comm_d| {
                InclusionProof::from_bytes(bytes)
                    .unwrap()
                    .verify(comm_p, placed.size, comm_d, SECTOR)
            };
            for bit in 0..good.len() * 8 {
                let mut bad = good.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert!(verify(&bad, placed.comm_p, comm_d).is_err(), "bit {bit}");
            }
            for bit in 0..256 {
                let flip = |mut c: Commitment| {
                    c.0[bit / 8] ^= 1 << (bit % 8);
                    c
                };
                assert!(matches!(
                    verify(&good, flip(placed.comm_p), comm_d),
                    Err(InclusionError::WrongCommD { .. })
                ));
                assert!(matches!(
                    verify(&good, placed.comm_p, flip(comm_d)),
                    Err(InclusionError::WrongCommD { .. })
                ));
            }
        }
    }

    #[test]
    fn a_length_that_no_proof_has_is_malformed() {
        let good = InclusionProof::prove(&layout(&[100]), 0).unwrap().to_bytes();
        for length in (0..good.len()).filter(|length| length % 32 != 8) {
            assert_eq!(
                InclusionProof::from_bytes(&good[..length]),
                Err(InclusionError::Malformed { length })
            );
        }
        let length = 8 + 32 * (usize::from(MAX_HEIGHT) + 1);
        assert_eq!(
            InclusionProof::from_bytes(&alloc::vec![0; length]),
            Err(InclusionError::Malformed { length })
        );
    }

    #[test]
    fn path_position_and_sizes_must_agree() {
        let layout = layout(&[100, 500]);
        let (placed, comm_d) = (layout.pieces()[1], layout.comm_d());
        let good = InclusionProof::prove(&layout, 1).unwrap();
        let mut short = good.clone();
        short.siblings.pop();
        assert_eq!(
            short.verify(placed.comm_p, placed.size, comm_d, SECTOR),
            Err(InclusionError::WrongPathLength { expected: 2, found: 1 })
        );
        let mut shifted = good.clone();
        shifted.position += 1;
        assert_eq!(
            shifted.verify(placed.comm_p, placed.size, comm_d, SECTOR),
            Err(InclusionError::WrongPosition {
                position: 17,
                leaves: 16,
                sector_leaves: 64
            })
        );
        shifted.position = good.position + 64;
        assert!(matches!(
            shifted.verify(placed.comm_p, placed.size, comm_d, SECTOR),
            Err(InclusionError::WrongPosition { position: 80, .. })
        ));
        assert_eq!(
            good.verify(placed.comm_p, SectorSize::S8MiB.padded(), comm_d, SECTOR),
            Err(InclusionError::PieceLargerThanSector {
                piece: 8 << 20,
                sector: 2 << 10
            })
        );
    }
}
