//! How several workers share a file: who reads which bytes, and how the parts become the piece's names.
//!
//! CommP wants slices of 127·2^k bytes, the data's own tree leaves of 2^20, and those borders never meet in a file of
//! ordinary size. So the worker of a slice also hashes the leaf that its slice ends in, to that leaf's end, and leaves
//! out the bytes before the first leaf that begins in it. Every byte is hashed once for each name; less than 1 MiB a
//! slice is read twice. Called by the browser's workers and by the miner's command line.

use super::commp::{merge, CommPHasher, PieceError};
use super::digest::{DigestError, PieceSummary};
use super::leaves::LeafHasher;
use super::size::{PaddedSize, PieceSize, LEAF};
use super::tree::SubtreeRoot;
use super::unixfs::LEAF_BYTES;
use alloc::vec::Vec;
use core::ops::Range;

/// Slices have at least 8 MiB padded: with less, starting and ending them and the bytes read twice show.
pub const MIN_SLICE_HEIGHT: u8 = 18;
/// Slices have at most 128 MiB padded, so that progress moves and the last ones end together.
pub const MAX_SLICE_HEIGHT: u8 = 22;
/// Slices for each worker, at least, so that the slowest worker does not hold up the others for long.
const SLICES_A_WORKER: u64 = 4;

/// A file in slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Division {
    size: PieceSize,
    slice: PaddedSize,
}

impl Division {
    /// Divides a file of `size` bytes for that many workers.
    pub fn new(size: PieceSize, workers: u64) -> Self {
        let whole = size.padded().bytes();
        let share = whole.checked_div(workers).unwrap_or(whole) / SLICES_A_WORKER;
        let height = (share / LEAF).checked_ilog2().unwrap_or(0) as u8;
        let slice = LEAF << height.clamp(MIN_SLICE_HEIGHT, MAX_SLICE_HEIGHT);
        let slice = PaddedSize::new(slice).expect("a power of two between 8 and 128 MiB");
        Self { size, slice }
    }

    /// Divides a file of `size` bytes in slices of that height, to go on with what an earlier division gave; `None` when no
    /// piece has such a height.
    pub fn of_height(size: PieceSize, height: u8) -> Option<Self> {
        let slice = PaddedSize::of_height(height)?;
        Some(Self { size, slice })
    }

    /// Levels of a whole slice's tree.
    pub fn height(&self) -> u8 {
        self.slice.height()
    }

    /// How many slices there are.
    pub fn slices(&self) -> u64 {
        self.size.bytes().div_ceil(self.slice.unpadded())
    }

    /// The slice of this index, below [`Self::slices`].
    pub fn slice(&self, index: u64) -> Slice {
        let (size, step) = (self.size.bytes(), self.slice.unpadded());
        let start = index.saturating_mul(step).min(size);
        let end = start.saturating_add(step).min(size);
        Slice {
            bytes: start..end,
            leaves: start.next_multiple_of(LEAF_BYTES).min(size)..end.next_multiple_of(LEAF_BYTES).min(size),
        }
    }
}

/// One worker's share: places in the file, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// What goes into CommP.
    pub bytes: Range<u64>,
    /// Whole leaves (the file's last may be short) that begin in [`Self::bytes`]; may be empty.
    pub leaves: Range<u64>,
}

impl Slice {
    /// What has to be read, in order.
    pub fn read(&self) -> Range<u64> {
        self.bytes.start..self.bytes.end.max(self.leaves.end)
    }
}

/// What a worker finds out about its slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceNames {
    /// Root of the slice's tree, filled with zeros to 127·2^k.
    pub root: SubtreeRoot,
    /// SHA-256 of each of its leaves.
    pub leaves: Vec<[u8; 32]>,
}

/// Hashes one slice in one pass.
#[derive(Debug, Clone)]
pub struct SliceHasher {
    slice: Slice,
    at: u64,
    comm_p: CommPHasher,
    /// `None` where the leaves are hashed by other means.
    leaves: Option<LeafHasher>,
}

impl SliceHasher {
    /// A hasher for both names.
    pub fn new(slice: Slice) -> Self {
        let leaves = Some(LeafHasher::new(LEAF_BYTES));
        Self {
            leaves,
            ..Self::without_leaves(slice)
        }
    }

    /// A hasher for CommP only.
    pub fn without_leaves(slice: Slice) -> Self {
        Self {
            at: slice.bytes.start,
            slice,
            comm_p: CommPHasher::new(),
            leaves: None,
        }
    }

    /// Takes the next bytes of [`Slice::read`]; what comes behind it is not looked at.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), PieceError> {
        let (from, to) = (self.at, self.at.saturating_add(bytes.len() as u64));
        // The part of `bytes` in a range of the file.
        let part = |range: &Range<u64>| {
            let place = |at: u64| at.clamp(from, to).saturating_sub(from) as usize;
            bytes.get(place(range.start)..place(range.end)).unwrap_or_default()
        };
        self.comm_p.push(part(&self.slice.bytes))?;
        if let Some(leaves) = &mut self.leaves {
            leaves.push(part(&self.slice.leaves));
        }
        self.at = to;
        Ok(())
    }

    /// What was found; the leaves are missing in a hasher [`Self::without_leaves`].
    pub fn finish(mut self) -> Result<SliceNames, PieceError> {
        let root = self.comm_p.finish()?.subtree();
        let leaves = self.leaves.as_mut().map(|leaves| {
            leaves.end();
            leaves.take()
        });
        let leaves = leaves.unwrap_or_default();
        Ok(SliceNames { root, leaves })
    }
}

/// The names of a file of `size` bytes from those of all its slices, in order.
pub fn assemble(size: u64, slices: &[SliceNames]) -> Result<PieceSummary, DigestError> {
    let roots: Vec<SubtreeRoot> = slices.iter().map(|slice| slice.root).collect();
    let piece = merge(size, &roots)?;
    let leaves: Vec<[u8; 32]> = slices.iter().flat_map(|slice| &slice.leaves).copied().collect();
    PieceSummary::of_leaves(piece, &leaves)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::unixfs::test_data;
    use crate::piece::PieceDigest;

    fn division(size: u64, height: u8) -> Division {
        Division::of_height(PieceSize::new(size).expect("above 0"), height).expect("a possible height")
    }

    fn shared_by_workers(bytes: &[u8], division: Division) -> Vec<SliceNames> {
        let hash = |index| {
            let slice = division.slice(index);
            let read = slice.read();
            let mut hasher = SliceHasher::new(slice);
            for part in bytes[read.start as usize..read.end as usize].chunks(3_000_000) {
                hasher.push(part).expect("far below the largest piece");
            }
            hasher.finish().expect("no slice is empty")
        };
        (0..division.slices()).map(hash).collect()
    }

    #[test]
    fn the_names_from_slices_are_those_of_one_pass() {
        let bytes = test_data(3_200_001);
        for (size, height) in [
            (3_200_001, 13),
            (3_200_001, 15),
            (2 << 20, 16),
            (1 << 20, 18),
            (127 << 13, 14),
            (1, 18),
        ] {
            let bytes = &bytes[..size];
            let mut whole = PieceDigest::new();
            whole.push(bytes).expect("far below the largest piece");
            let names = shared_by_workers(bytes, division(size as u64, height));
            assert_eq!(
                assemble(size as u64, &names),
                whole.finish(),
                "{size} bytes at {height}"
            );
        }
    }

    #[test]
    fn slices_cover_a_file_once_and_leaves_belong_to_one_slice() {
        for (size, workers) in [
            (1, 1),
            (1 << 30, 4),
            ((1 << 30) + 1, 8),
            (34_000_000_000, 64),
            (8_323_072, 2),
        ] {
            let division = Division::new(PieceSize::new(size).expect("above 0"), workers);
            let (mut bytes, mut leaves) = (0, 0);
            for index in 0..division.slices() {
                let slice = division.slice(index);
                assert_eq!((slice.bytes.start, slice.leaves.start), (bytes, leaves));
                assert!(slice.read().end - slice.bytes.end < LEAF_BYTES);
                (bytes, leaves) = (slice.bytes.end, slice.leaves.end);
            }
            assert_eq!((bytes, leaves), (size, size));
        }
    }

    #[test]
    fn a_division_is_found_again_by_its_height() {
        let size = PieceSize::new(1 << 30).expect("above 0");
        let division = Division::new(size, 3);
        assert_eq!(Division::of_height(size, division.height()), Some(division));
        assert_eq!(Division::of_height(size, 1), None);
    }

    #[test]
    fn missing_leaves_and_slices_are_refused() {
        let bytes = test_data(2_500_000);
        let mut names = shared_by_workers(&bytes, division(2_500_000, 15));
        let lost = names[0].leaves.pop();
        assert!(lost.is_some());
        assert_eq!(
            assemble(2_500_000, &names),
            Err(DigestError::Leaves { expected: 3, found: 2 })
        );
        names.pop();
        assert!(matches!(assemble(2_500_000, &names), Err(DigestError::CommP(_))));
    }
}
