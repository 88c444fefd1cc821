//! Where a file is cut into pieces (design §10).
//!
//! A file that fits in a sector is one piece, as it always was. A larger one is cut at multiples of a leaf, so that the pieces'
//! leaves are the file's own and one pass finds the names of both. Pieces are as large as the sector takes: 7 MiB of 8 MiB,
//! 508 MiB of 512 MiB, 31.75 GiB of 32 GiB. Called before a file is hashed; the sector is the smallest of the miners that are
//! to keep a piece.

use crate::piece::unixfs::LEAF_BYTES;
use crate::piece::SectorSize;
use core::ops::Range;

/// Largest file, 1 TiB: the digests of its leaves, which are held while it is hashed, take 32 MiB.
pub const MAX_FILE: u64 = 1 << 40;
/// Pieces of a file, and of all files of a folder: each is a deal, and a row of the manifest. 100 GiB on sectors of 8 MiB are
/// 14 629.
pub const MAX_PIECES: u64 = 1 << 14;

/// Why a file cannot be cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CutError {
    #[error("a file of {size} bytes is larger than the largest one that is handled ({MAX_FILE} bytes)")]
    TooLarge { size: u64 },
    /// A piece that is cut off has at least one leaf, which such a sector does not hold.
    #[error(
        "a file of {size} bytes does not fit in a sector, which holds {usable}, and sectors below 1 MiB take no part of a file; \
         choose a miner with larger sectors"
    )]
    SectorTooSmall { size: u64, usable: u64 },
    #[error(
        "a file of {size} bytes would be {pieces} pieces, more than {MAX_PIECES}; choose a miner with larger sectors"
    )]
    TooManyPieces { size: u64, pieces: u64 },
}

/// A file's pieces: they cover it without gaps, in order, and all but the last have one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    size: u64,
    /// Bytes of every piece but the last; a multiple of the leaf size where there is more than one.
    step: u64,
}

impl Cut {
    /// Cuts a file of `size` bytes for sectors of this size. A file without bytes has no piece: a deal is about at least one byte,
    /// so only the manifest holds it.
    pub fn new(size: u64, sector: SectorSize) -> Result<Self, CutError> {
        if size > MAX_FILE {
            return Err(CutError::TooLarge { size });
        }
        let usable = sector.usable();
        if size <= usable {
            return Ok(Self { size, step: usable });
        }
        let step = usable.saturating_sub(usable % LEAF_BYTES);
        if step == 0 {
            return Err(CutError::SectorTooSmall { size, usable });
        }
        let cut = Self { size, step };
        match cut.pieces() {
            pieces if pieces > MAX_PIECES => Err(CutError::TooManyPieces { size, pieces }),
            _ => Ok(cut),
        }
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many pieces there are; none of a file without bytes.
    pub fn pieces(&self) -> u64 {
        self.size.div_ceil(self.step)
    }

    /// Where the piece of this index lies in the file.
    pub fn piece(&self, index: u64) -> Option<Range<u64>> {
        let start = index.checked_mul(self.step).filter(|start| *start < self.size)?;
        Some(start..start.saturating_add(self.step).min(self.size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::puller::MAX_TRANSFER;
    use alloc::vec::Vec;

    const MIB: u64 = 1 << 20;

    fn pieces(size: u64, sector: SectorSize) -> Vec<Range<u64>> {
        let cut = Cut::new(size, sector).unwrap();
        let pieces: Vec<_> = (0..cut.pieces()).map(|index| cut.piece(index).unwrap()).collect();
        assert_eq!(cut.piece(cut.pieces()), None);
        assert_eq!(cut.piece(u64::MAX), None);
        pieces
    }

    #[test]
    fn a_file_that_fits_in_a_sector_is_one_piece() {
        for sector in SectorSize::ALL {
            for size in [1, sector.usable() - 1, sector.usable()] {
                assert_eq!(pieces(size, sector), core::slice::from_ref(&(0..size)));
            }
        }
    }

    #[test]
    fn a_larger_file_is_cut_at_multiples_of_a_leaf() {
        let sector = SectorSize::S8MiB;
        let size = sector.usable() + 1;
        assert_eq!(pieces(size, sector), [0..7 * MIB, 7 * MIB..size]);
        assert_eq!(pieces(14 * MIB, sector), [0..7 * MIB, 7 * MIB..14 * MIB]);
        let size = 14 * MIB + 1;
        assert_eq!(pieces(size, sector), [0..7 * MIB, 7 * MIB..14 * MIB, 14 * MIB..size]);
    }

    #[test]
    fn pieces_are_as_large_as_the_sector_takes_and_a_transfer_moves() {
        for (sector, step) in [
            (SectorSize::S8MiB, 7 * MIB),
            (SectorSize::S512MiB, 508 * MIB),
            (SectorSize::S32GiB, 32_512 * MIB),
        ] {
            let size = sector.usable() * 2 + 5;
            let pieces = pieces(size, sector);
            assert_eq!(pieces[0], 0..step);
            assert_eq!(pieces.last().map(|piece| piece.end), Some(size));
            assert!(step <= MAX_TRANSFER && step <= sector.usable());
        }
    }

    #[test]
    fn a_file_without_bytes_has_no_piece() {
        assert!(pieces(0, SectorSize::S2KiB).is_empty());
    }

    #[test]
    fn a_hundred_gib_are_some_thousand_pieces_of_small_sectors_and_four_of_large_ones() {
        let size = 100 << 30;
        for (sector, count) in [
            (SectorSize::S8MiB, 14_629),
            (SectorSize::S512MiB, 202),
            (SectorSize::S32GiB, 4),
        ] {
            assert_eq!(Cut::new(size, sector).map(|cut| cut.pieces()), Ok(count));
        }
    }

    #[test]
    fn sectors_below_a_leaf_take_whole_files_only() {
        let (size, usable) = (2033, 2032);
        assert_eq!(
            Cut::new(size, SectorSize::S2KiB),
            Err(CutError::SectorTooSmall { size, usable })
        );
    }

    #[test]
    fn a_file_over_a_bound_is_refused() {
        let size = MAX_FILE + 1;
        assert_eq!(Cut::new(size, SectorSize::S32GiB), Err(CutError::TooLarge { size }));
        assert!(Cut::new(MAX_FILE, SectorSize::S32GiB).is_ok());
        let size = MAX_PIECES * 7 * MIB;
        assert!(Cut::new(size, SectorSize::S8MiB).is_ok());
        let (size, pieces) = (size + 1, MAX_PIECES + 1);
        assert_eq!(
            Cut::new(size, SectorSize::S8MiB),
            Err(CutError::TooManyPieces { size, pieces })
        );
    }
}
