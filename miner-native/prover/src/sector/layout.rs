//! Where pieces lie in a sector: each at a multiple of its own size, with zero pieces in the gaps.
//!
//! filecoin-proofs neither fills a sector up nor notices that alignment overflows it, so the fillers are
//! laid out here, explicitly, and CommD is computed over pieces that exactly cover the sector.
//! Used when data is written, sealed and read back; `shared`'s packing follows the same rule.

use crate::error::Error;
use crate::size::SectorSize;
use filecoin_proofs::pieces::zero_padding;
use filecoin_proofs_api::{PaddedBytesAmount, PieceInfo, UnpaddedBytesAmount};

/// The smallest padded piece: 127 bytes of data.
pub const MIN_PIECE: u64 = 128;

/// A piece of a sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Padded size in bytes: 128 times a power of two, holding 127/128 of it in data.
    pub padded_size: u64,
    /// Its commitment, CommP.
    pub comm_p: [u8; 32],
}

/// A piece at its place in the sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlacedPiece {
    /// Which of the given pieces; `None` for a filler of zeros.
    pub index: Option<usize>,
    /// Where it starts, in padded bytes: a multiple of `padded_size`.
    pub offset: u64,
    /// Padded size in bytes.
    pub padded_size: u64,
    /// Its commitment, CommP.
    pub comm_p: [u8; 32],
}

/// Places `pieces` in their order and fills gaps and tail with zero pieces; what comes out covers the
/// sector exactly. No pieces at all give a sector of zeros.
///
/// # Errors
/// [`Error::PieceSize`] and [`Error::DoesNotFit`].
pub fn layout(size: SectorSize, pieces: &[Piece]) -> Result<Vec<PlacedPiece>, Error> {
    let capacity = size.bytes();
    let mut placed = Vec::new();
    let mut end = 0;
    for (index, piece) in pieces.iter().enumerate() {
        let padded_size = piece.padded_size;
        if padded_size < MIN_PIECE || !padded_size.is_power_of_two() {
            return Err(Error::PieceSize { index, padded_size });
        }
        let offset = end_of(end, padded_size);
        let piece_end = offset.saturating_add(padded_size);
        if piece_end > capacity {
            return Err(Error::DoesNotFit {
                index,
                end: piece_end,
                capacity,
            });
        }
        fill(&mut placed, end, offset)?;
        placed.push(PlacedPiece {
            index: Some(index),
            offset,
            padded_size,
            comm_p: piece.comm_p,
        });
        end = piece_end;
    }
    fill(&mut placed, end, capacity)?;
    Ok(placed)
}

/// The first multiple of `align` at or after `end`; beyond all sectors if there is none.
fn end_of(end: u64, align: u64) -> u64 {
    end.checked_next_multiple_of(align).unwrap_or(u64::MAX)
}

/// Covers `from..to` with the largest zero pieces that are aligned to their size.
fn fill(placed: &mut Vec<PlacedPiece>, mut from: u64, to: u64) -> Result<(), Error> {
    while from < to {
        let fits = 1 << (to - from).ilog2();
        let padded_size = match from {
            0 => fits,
            _ => fits.min(1 << from.trailing_zeros()),
        };
        placed.push(PlacedPiece {
            index: None,
            offset: from,
            padded_size,
            comm_p: zero_commitment(padded_size)?,
        });
        from += padded_size;
    }
    Ok(())
}

fn zero_commitment(padded_size: u64) -> Result<[u8; 32], Error> {
    let size: UnpaddedBytesAmount = PaddedBytesAmount(padded_size).into();
    crate::session::guarded("computing a zero commitment", || zero_padding(size)).map(|info| info.commitment)
}

/// The layout in filecoin-proofs' terms.
pub(super) fn piece_infos(placed: &[PlacedPiece]) -> Result<Vec<PieceInfo>, Error> {
    let info = |piece: &PlacedPiece| PieceInfo::new(piece.comm_p, PaddedBytesAmount(piece.padded_size).into());
    crate::session::guarded("describing pieces", || placed.iter().map(info).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(padded_size: u64) -> Piece {
        Piece {
            padded_size,
            comm_p: [1; 32],
        }
    }

    fn places(pieces: &[u64]) -> Vec<(Option<usize>, u64, u64)> {
        let pieces: Vec<Piece> = pieces.iter().map(|size| piece(*size)).collect();
        let placed = layout(SectorSize::S2KiB, &pieces).expect("fits");
        let brief = |p: &PlacedPiece| (p.index, p.offset, p.padded_size);
        placed.iter().map(brief).collect()
    }

    #[test]
    fn pieces_start_at_multiples_of_their_size_and_zeros_fill_the_rest() {
        assert_eq!(
            places(&[512, 256, 1024]),
            [
                (Some(0), 0, 512),
                (Some(1), 512, 256),
                (None, 768, 256),
                (Some(2), 1024, 1024),
            ]
        );
        assert_eq!(
            places(&[128]),
            [
                (Some(0), 0, 128),
                (None, 128, 128),
                (None, 256, 256),
                (None, 512, 512),
                (None, 1024, 1024),
            ]
        );
        assert_eq!(places(&[]), [(None, 0, 2048)]);
        assert_eq!(places(&[2048]), [(Some(0), 0, 2048)]);
    }

    #[test]
    fn pieces_that_alignment_pushes_over_the_end_are_refused() {
        // 512 + 1024 + 512 bytes would fit, but the second piece must start at 1024.
        let error = layout(SectorSize::S2KiB, &[piece(512), piece(1024), piece(512)]);
        assert!(matches!(
            error,
            Err(Error::DoesNotFit {
                index: 2,
                end: 2560,
                capacity: 2048
            })
        ));
        let error = layout(SectorSize::S2KiB, &[piece(128), piece(1 << 63)]);
        assert!(matches!(error, Err(Error::DoesNotFit { index: 1, .. })));
    }

    #[test]
    fn sizes_that_are_no_piece_sizes_are_refused() {
        for size in [0, 64, 127, 384] {
            let error = layout(SectorSize::S2KiB, &[piece(size)]);
            assert!(matches!(error, Err(Error::PieceSize { index: 0, padded_size }) if padded_size == size));
        }
    }
}
