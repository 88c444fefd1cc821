//! Where each piece lies in a sector (spec §8.2) and what CommD that gives (spec §8.3).
//!
//! Pieces are placed in order, each at the next multiple of its own padded size; the gaps and the rest are zeros, listed
//! one by one because the prover wants them so. Called by [`crate::sector`] when a deal is staged, by
//! [`super::InclusionProof::prove`] when the sector is sealed.

use super::commitment::Commitment;
use super::size::{PaddedSize, SectorSize};
use super::tree::{zero_piece, Forest, SubtreeRoot};
use alloc::vec::Vec;

/// Why a piece cannot be placed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    #[error(
        "a piece of {size} bytes (padded) does not fit: only {left} bytes are left in this sector; take another sector"
    )]
    Full { size: u64, left: u64 },
}

/// A piece in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// First byte in the sector, counted padded.
    pub offset: u64,
    pub size: PaddedSize,
    pub comm_p: Commitment,
}

impl Placed {
    /// The byte behind it, counted padded.
    fn end(&self) -> u64 {
        self.offset.saturating_add(self.size.bytes())
    }
}

/// A stretch of a sector. Segments cover it without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment {
    /// The piece of this index.
    Piece { index: usize, placed: Placed },
    /// Zeros; `offset` counted padded.
    Zeros { offset: u64, size: PaddedSize },
}

impl Segment {
    /// First byte in the sector, counted padded.
    pub fn offset(&self) -> u64 {
        match self {
            Self::Piece { placed, .. } => placed.offset,
            Self::Zeros { offset, .. } => *offset,
        }
    }

    /// Room taken.
    pub fn size(&self) -> PaddedSize {
        match self {
            Self::Piece { placed, .. } => placed.size,
            Self::Zeros { size, .. } => *size,
        }
    }

    /// CommP of the stretch.
    pub fn commitment(&self) -> Commitment {
        match self {
            Self::Piece { placed, .. } => placed.comm_p,
            Self::Zeros { size, .. } => zero_piece(*size),
        }
    }

    fn subtree(&self) -> SubtreeRoot {
        SubtreeRoot {
            height: self.size().height(),
            root: self.commitment(),
        }
    }
}

/// The pieces of one sector, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectorLayout {
    sector: SectorSize,
    pieces: Vec<Placed>,
}

impl SectorLayout {
    /// An empty sector.
    pub fn new(sector: SectorSize) -> Self {
        let pieces = Vec::new();
        Self { sector, pieces }
    }

    /// The sector's size.
    pub fn sector(&self) -> SectorSize {
        self.sector
    }

    /// The pieces, in order.
    pub fn pieces(&self) -> &[Placed] {
        &self.pieces
    }

    /// Where a piece of this size would start (padded bytes); `None` when it does not fit.
    pub fn fits(&self, next: PaddedSize) -> Option<u64> {
        let offset = self.used().next_multiple_of(next.bytes());
        let end = offset.checked_add(next.bytes())?;
        (end <= self.sector.bytes()).then_some(offset)
    }

    /// Appends a piece and returns where it starts (padded bytes).
    pub fn place(&mut self, size: PaddedSize, comm_p: Commitment) -> Result<u64, LayoutError> {
        let Some(offset) = self.fits(size) else {
            return Err(LayoutError::Full {
                size: size.bytes(),
                left: self.sector.bytes().saturating_sub(self.used()),
            });
        };
        self.pieces.push(Placed { offset, size, comm_p });
        Ok(offset)
    }

    /// Padded bytes up to the end of the last piece.
    pub fn used(&self) -> u64 {
        self.pieces.last().map_or(0, Placed::end)
    }

    /// The whole sector: pieces and the zeros between and behind them.
    pub fn segments(&self) -> Vec<Segment> {
        let mut segments = Vec::new();
        let mut at = 0;
        for (index, placed) in self.pieces.iter().enumerate() {
            fill_with_zeros(&mut segments, at, placed.offset);
            let placed = *placed;
            segments.push(Segment::Piece { index, placed });
            at = placed.end();
        }
        fill_with_zeros(&mut segments, at, self.sector.bytes());
        segments
    }

    /// Root of the tree over the whole sector.
    pub fn comm_d(&self) -> Commitment {
        self.root_of(0, self.sector.bytes())
    }

    /// Root of the aligned stretch of `size` padded bytes at `offset`. No piece may reach over its ends.
    pub(super) fn root_of(&self, offset: u64, size: u64) -> Commitment {
        let mut forest = Forest::new();
        let stretch = offset..offset.saturating_add(size);
        for segment in self.segments() {
            if stretch.contains(&segment.offset()) {
                forest
                    .push(segment.subtree())
                    .expect("segments are multiples of their size, in order, within a sector");
            }
        }
        forest.fold().expect("segments cover the sector").root
    }
}

/// Zeros from `at` to `end`, in aligned powers of two, each as large as its place allows.
fn fill_with_zeros(segments: &mut Vec<Segment>, mut at: u64, end: u64) {
    while let Some(height) = end.saturating_sub(at).checked_ilog2() {
        let fits = 1u64 << height;
        let aligned = if at == 0 { fits } else { 1 << at.trailing_zeros() };
        let size = PaddedSize::new(fits.min(aligned))
            .expect("pieces end at multiples of 128, and a sector is far below the largest size");
        segments.push(Segment::Zeros { offset: at, size });
        at = at.saturating_add(size.bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::commp::CommPHasher;
    use crate::piece::unixfs::test_data;
    use alloc::vec;

    fn piece(size: usize) -> (PaddedSize, Commitment) {
        let mut hasher = CommPHasher::new();
        hasher.push(&test_data(size)).unwrap();
        let piece = hasher.finish().unwrap();
        (piece.padded, piece.comm_p)
    }

    #[test]
    fn pieces_start_at_multiples_of_their_size_and_zeros_fill_the_gaps() {
        let mut layout = SectorLayout::new(SectorSize::S2KiB);
        for (size, offset) in [(100, 0), (500, 512), (127, 1024)] {
            let (padded, comm_p) = piece(size);
            assert_eq!(layout.fits(padded), Some(offset));
            assert_eq!(layout.place(padded, comm_p), Ok(offset));
        }
        let shape: Vec<_> = layout
            .segments()
            .iter()
            .map(|s| (s.offset(), s.size().bytes(), matches!(s, Segment::Piece { .. })))
            .collect();
        assert_eq!(
            shape,
            [
                (0, 128, true),
                (128, 128, false),
                (256, 256, false),
                (512, 512, true),
                (1024, 128, true),
                (1152, 128, false),
                (1280, 256, false),
                (1536, 512, false)
            ]
        );
    }

    #[test]
    fn a_piece_beyond_the_capacity_is_refused_and_changes_nothing() {
        let mut layout = SectorLayout::new(SectorSize::S2KiB);
        let (small, comm_p) = piece(100);
        layout.place(small, comm_p).unwrap();
        let (large, comm_p) = piece(2000);
        let before = layout.clone();
        assert_eq!(
            layout.place(large, comm_p),
            Err(LayoutError::Full { size: 2048, left: 1920 })
        );
        assert_eq!(layout, before);
        assert_eq!(layout.fits(large), None);
        assert_eq!(layout.fits(SectorSize::S32GiB.padded()), None);
    }

    #[test]
    fn comm_d_is_comm_p_of_the_sector_read_as_one_piece() {
        let mut layout = SectorLayout::new(SectorSize::S2KiB);
        let mut bytes = vec![0u8; 2032];
        for size in [100usize, 500, 127, 250] {
            let (padded, comm_p) = piece(size);
            let at = layout.place(padded, comm_p).unwrap() as usize / 128 * 127;
            bytes[at..at + size].copy_from_slice(&test_data(size));
        }
        let mut hasher = CommPHasher::new();
        hasher.push(&bytes).unwrap();
        assert_eq!(layout.comm_d(), hasher.finish().unwrap().comm_p);
    }

    #[test]
    fn an_empty_sector_has_the_zero_commitment() {
        for sector in SectorSize::ALL {
            assert_eq!(SectorLayout::new(sector).comm_d(), zero_piece(sector.padded()));
        }
    }
}
