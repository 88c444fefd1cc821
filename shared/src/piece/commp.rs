//! CommP: what a deal promises to keep, computed over a file's bytes as they stream by (spec §8.3).
//!
//! The file is filled with zeros to 127·2^k bytes, expanded by Fr32 and put under a binary tree. The hashing is done in
//! batches by the fastest instructions there are ([`super::kernel`]); memory is one batch, at most 65 kB, and one node a
//! level. Several workers can share a file: each hashes a slice of 127·2^k bytes, and [`merge`] joins their roots. A
//! hasher's state can be saved and taken up later ([`CommPHasher::snapshot`]).

use super::commitment::Commitment;
use super::kernel::{self, Kernel, MAX_LANES, MAX_RUN, QUAD};
use super::range::{Outline, RangeError};
use super::size::{PaddedSize, PieceSize, SizeError};
use super::tree::{Forest, SubtreeRoot, TreeError, QUAD_HEIGHT};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Bytes are kept back until they are a run of 2^5 quads for each lane: shorter runs leave more joins to one lane, longer
/// ones more to copy and to keep.
const BATCH_RUN: u32 = 5;
const BATCH_ALIGN: u64 = 1 << BATCH_RUN;

/// Why there is no CommP.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PieceError {
    #[error(transparent)]
    Size(#[from] SizeError),
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error("the saved state is damaged: {quads} quads and {pending} bytes are not {size} bytes; hash from the start")]
    DamagedState { quads: u64, pending: usize, size: u64 },
    #[error("the parts cover {covered} bytes, which does not fit a piece of {size} bytes; give every slice once and in order")]
    PartsDoNotFit { covered: u64, size: u64 },
}

/// A piece's commitment and sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PieceCommitment {
    pub comm_p: Commitment,
    /// Room in a sector.
    pub padded: PaddedSize,
    /// Bytes of the file.
    pub size: u64,
}

impl PieceCommitment {
    /// The commitment as a part of a larger tree, for [`merge`].
    pub fn subtree(&self) -> SubtreeRoot {
        SubtreeRoot {
            height: self.padded.height(),
            root: self.comm_p,
        }
    }
}

/// Everything a [`CommPHasher`] knows, to be saved: at most 40 roots and 126 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HasherState {
    /// Bytes hashed and pending.
    pub size: u64,
    /// Roots of the sub-trees seen so far, largest first.
    pub roots: Vec<SubtreeRoot>,
    /// Bytes that do not fill a quad yet.
    pub pending: Vec<u8>,
}

/// Computes CommP in one pass.
#[derive(Debug, Clone)]
pub struct CommPHasher {
    kernel: &'static Kernel,
    forest: Forest,
    /// Bytes that do not fill a batch yet.
    pending: Vec<u8>,
    size: u64,
    outline: Option<Roots>,
}

/// Roots of all sub-trees of one height, as they become known.
#[derive(Debug, Clone)]
struct Roots {
    height: u8,
    roots: Vec<Commitment>,
}

impl Default for CommPHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl CommPHasher {
    /// A hasher by the fastest means of this processor.
    pub fn new() -> Self {
        Self::with_kernel(kernel::detected())
    }

    /// A hasher by a means of the caller's choice, for tests and measurements.
    pub fn with_kernel(kernel: &'static Kernel) -> Self {
        Self {
            kernel,
            forest: Forest::new(),
            pending: Vec::new(),
            size: 0,
            outline: None,
        }
    }

    /// A hasher that also keeps the roots of all slices of `slice` padded bytes, to prove ranges of the piece with.
    pub fn with_outline(slice: PaddedSize) -> Self {
        let outline = Some(Roots {
            height: slice.height(),
            roots: Vec::new(),
        });
        Self { outline, ..Self::new() }
    }

    /// Bytes taken so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next bytes of the file. Fails with [`SizeError::TooLarge`], taking nothing, when the file gets too large.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), PieceError> {
        let size = self.size.saturating_add(bytes.len() as u64);
        if size > super::size::MAX_PIECE {
            PieceSize::new(size)?;
        }
        self.size = size;
        if !self.pending.is_empty() {
            let due = self.due();
            let (now, later) = bytes.split_at(bytes.len().min(due - self.pending.len()));
            self.pending.extend_from_slice(now);
            bytes = later;
            if self.pending.len() < due {
                return Ok(());
            }
            let full = core::mem::take(&mut self.pending);
            self.hash(&full)?;
            self.pending = full;
            self.pending.clear();
        }
        while bytes.len() >= self.due() {
            let due = self.due();
            let whole = match self.is_aligned() {
                true => bytes.len() / due * due,
                false => due,
            };
            let (now, later) = bytes.split_at(whole);
            self.hash(now)?;
            bytes = later;
        }
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    /// Bytes that are worth hashing: a batch, or what leads to a place where one can start.
    fn due(&self) -> usize {
        match self.is_aligned() {
            true => self.kernel.lanes * (QUAD << BATCH_RUN),
            false => QUAD * (BATCH_ALIGN - self.forest.quads() % BATCH_ALIGN) as usize,
        }
    }

    fn is_aligned(&self) -> bool {
        self.forest.quads().is_multiple_of(BATCH_ALIGN)
    }

    /// Puts whole quads under the tree: as many lanes as fit, in runs as long as their place in the tree allows.
    fn hash(&mut self, mut quads: &[u8]) -> Result<(), PieceError> {
        let lanes = self.kernel.lanes;
        // A run's inner roots are not seen, so none may be longer than what an outline keeps.
        let kept = self.outline.as_ref().map(|kept| u32::from(kept.height - QUAD_HEIGHT));
        let longest = kept.unwrap_or(MAX_RUN).min(MAX_RUN);
        let mut nodes = [[0; 32]; MAX_LANES];
        while !quads.is_empty() {
            let count = quads.len() / QUAD;
            let aligned = self.forest.quads().trailing_zeros();
            let wide = (count / lanes).checked_ilog2().map(|height| height.min(longest));
            let (kernel, height) = match wide {
                Some(height) if height.min(BATCH_RUN) <= aligned => (self.kernel, height.min(aligned)),
                // One lane: to the next place from which all can start, or for the few that are left.
                _ => (kernel::portable(), count.ilog2().min(aligned).min(longest)),
            };
            let (now, later) = quads.split_at(kernel.lanes * (QUAD << height));
            let (nodes, _) = nodes.split_at_mut(kernel.lanes);
            kernel.roots(now, height, nodes);
            for node in nodes {
                self.append(SubtreeRoot {
                    height: QUAD_HEIGHT + height as u8,
                    root: Commitment(*node),
                })?;
            }
            quads = later;
        }
        Ok(())
    }

    fn append(&mut self, part: SubtreeRoot) -> Result<(), PieceError> {
        let outline = &mut self.outline;
        let watch = |complete: SubtreeRoot| match outline {
            Some(kept) if kept.height == complete.height => kept.roots.push(complete.root),
            _ => {}
        };
        Ok(self.forest.push_watched(part, watch)?)
    }

    /// CommP of what was pushed; [`SizeError::Empty`] when that is nothing.
    pub fn finish(mut self) -> Result<PieceCommitment, PieceError> {
        self.finish_here()
    }

    /// The root over what was pushed, zeros behind it up to a whole quad, and the sub-trees `right` of that.
    pub(super) fn finish_under(mut self, right: impl Iterator<Item = SubtreeRoot>) -> Result<SubtreeRoot, PieceError> {
        self.hash_rest()?;
        for part in right {
            self.append(part)?;
        }
        Ok(self.forest.fold()?)
    }

    /// CommP and the roots of the slices; the hasher must be one [`Self::with_outline`], else there are none.
    pub fn finish_with_outline(mut self) -> Result<(PieceCommitment, Option<Outline>), RangeError> {
        let piece = self.finish_here()?;
        let Some(Roots { height, mut roots }) = self.outline else {
            return Ok((piece, None));
        };
        let slice = PaddedSize::of_height(height).ok_or(TreeError::Height { height })?;
        // What is left of the last slice stands under the smaller roots.
        let mut last = Forest::new();
        for root in self.forest.roots().iter().filter(|root| root.height < height) {
            last.push(*root)?;
        }
        if last.quads() > 0 {
            roots.push(last.fold()?.padded_to(height));
        }
        Ok((piece, Some(Outline::of(&piece, slice, roots)?)))
    }

    fn hash_rest(&mut self) -> Result<(), PieceError> {
        let mut last = core::mem::take(&mut self.pending);
        last.resize(last.len().next_multiple_of(QUAD), 0);
        self.hash(&last)
    }

    fn finish_here(&mut self) -> Result<PieceCommitment, PieceError> {
        let padded = PieceSize::new(self.size)?.padded();
        self.hash_rest()?;
        Ok(PieceCommitment {
            comm_p: self.forest.fold()?.root,
            padded,
            size: self.size,
        })
    }

    /// The state, to go on from later. What was read ahead for a batch is hashed for it, so that it stays small.
    pub fn snapshot(&self) -> HasherState {
        let mut settled = self.clone();
        settled.outline = None;
        let (quads, rest) = self.pending.split_at(self.pending.len() / QUAD * QUAD);
        settled
            .hash(quads)
            .expect("`push` keeps the size below the largest tree's");
        HasherState {
            size: self.size,
            roots: settled.forest.roots().to_vec(),
            pending: rest.to_vec(),
        }
    }

    /// Goes on from a saved state. Fails with [`PieceError::DamagedState`] or [`PieceError::Tree`] for one that no
    /// hasher can have been in.
    pub fn restore(state: &HasherState) -> Result<Self, PieceError> {
        let mut hasher = Self::new();
        for root in &state.roots {
            hasher.forest.push(*root)?;
        }
        let (quads, pending, size) = (hasher.forest.quads(), state.pending.len(), state.size);
        let fits =
            pending < QUAD && hasher.forest.roots() == state.roots && quads * QUAD as u64 + pending as u64 == size;
        if !fits {
            return Err(PieceError::DamagedState { quads, pending, size });
        }
        hasher.pending.extend_from_slice(&state.pending);
        hasher.size = size;
        Ok(hasher)
    }
}

/// CommP of a file of `size` bytes from the roots of its slices, in order. Slices hold 127·2^k bytes each; only the last
/// may be shorter. Each root is what a hasher over that slice alone gives ([`PieceCommitment::subtree`]).
pub fn merge(size: u64, parts: &[SubtreeRoot]) -> Result<PieceCommitment, PieceError> {
    let padded = PieceSize::new(size)?.padded();
    let mut forest = Forest::new();
    let mut before_last = 0;
    for part in parts {
        before_last = forest.quads() * QUAD as u64;
        forest.push(*part)?;
    }
    let whole = forest.fold()?;
    let covered = forest.quads() * QUAD as u64;
    let last = size.saturating_sub(before_last);
    // The last part's height is decided by its bytes, so a missing or foreign slice shows here.
    let fits = before_last < size
        && covered >= size
        && parts.last().map(|part| part.height) == Some(PieceSize::new(last)?.padded().height())
        && whole.height == padded.height();
    if !fits {
        return Err(PieceError::PartsDoNotFit { covered, size });
    }
    Ok(PieceCommitment {
        comm_p: whole.root,
        padded,
        size,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::commitment::PieceCid;
    use crate::piece::tree::zero_piece;
    use crate::piece::unixfs::test_data as data;
    use alloc::string::ToString;
    use alloc::vec;
    use sha2::{Digest, Sha256};

    fn comm_p(bytes: &[u8]) -> PieceCommitment {
        let mut hasher = CommPHasher::new();
        hasher.push(bytes).unwrap();
        hasher.finish().unwrap()
    }

    /// CommP bit by bit, from the definition.
    fn naive(bytes: &[u8]) -> Commitment {
        let quads = bytes.len().div_ceil(QUAD).next_power_of_two();
        let bit = |i: usize| bytes.get(i / 8).map_or(0, |byte| byte >> (i % 8) & 1);
        let mut level = vec![[0u8; 32]; quads * 4];
        for (i, leaf) in level.iter_mut().enumerate() {
            for at in 0..254 {
                leaf[at / 8] |= bit(i * 254 + at) << (at % 8);
            }
        }
        while level.len() > 1 {
            let parents = level.chunks(2).map(|pair| {
                let mut node: [u8; 32] = Sha256::digest(pair.concat()).into();
                node[31] &= 0x3f;
                node
            });
            level = parents.collect();
        }
        Commitment(level[0])
    }

    #[test]
    fn roots_equal_those_of_the_reference_package() {
        // Roots of npm fr32-sha2-256-trunc254-padded-binary-tree-multihash 3.3.0 over `test_data(size)`.
        #[rustfmt::skip]
        let vectors = [
            (65, "16cd96961b9fe88351b23b1c917d60fd17d104628873dcb32b8c6955bf625234"),
            (126, "af8a17e067903b4f0a4c4e9d701044f8ee87f0b2ab3f9f79a4e5c6fa931fe624"),
            (127, "ba44cce972b56c061a6839655c0effdbe3ecdc066d735bdb303ca66417e34204"),
            (128, "81326a893ec83e6dad667308a844f4ee1666a4871631cc57e224be83c31abb16"),
            (253, "f3237b01bd18274f3182c0761dd2d7c5875283cda129fd1777b14ffebbbaa63a"),
            (254, "9ea24ac535c1d386e59b1f172db37dff03ecc8dac8855f46e4efc4fcd925883f"),
            (255, "d57ad5110a2e63531c4a6d256b1a70acff10a3270842c45886c5a5ae7256b00d"),
            (508, "9dff5444eda06c54033658e3f058984dc87a523b6b47cd5e1fccdfad1f2cfd15"),
            (1000, "4f3f87b0eb737cf7020266ec64e912245abf6bffc374a1d1c154e95cbeb2df2d"),
            (1016, "2be49976e6b4d7ba719b783ed73772d2d4d743da916a80a0cc4ea61111363700"),
            (1017, "57a3b14200f0ff8b7e4d13c0d61bdbbdc1c2d16f768c9bea1cd344e791770135"),
            (4096, "eac3d3eeb5460f488b119cb92b206794c0e082e4e4baf2d64549f4939803de26"),
            (1 << 20, "e1f85558f71d0fb7f3edc5dc0cda97f4be4337a955f56257e5c55bc13926a30a"),
            (1_300_000, "ac7eb0a243c52f6c622f4de270f53699d75ca973ee95313bbc8d190be626571d"),
        ];
        for (size, root) in vectors {
            assert_eq!(comm_p(&data(size)).comm_p.to_string(), root, "{size} bytes");
        }
    }

    #[test]
    fn the_published_piece_cid_of_127_bytes_each_of_0_to_3_comes_out() {
        // go-fil-commcid, "127OfEach0-1-2-3".
        let bytes: Vec<u8> = (0..4).flat_map(|byte| [byte; 127]).collect();
        assert_eq!(
            PieceCid(comm_p(&bytes).comm_p).to_string(),
            "baga6ea4seaqes3nobte6ezpp4wqan2age2s5yxcatzotcvobhgcmv5wi2xh5mbi"
        );
    }

    #[test]
    fn zeros_have_the_zero_commitment_of_their_padded_size() {
        for size in [1, 127, 128, 1016, 1017, 40_000] {
            let piece = comm_p(&vec![0; size]);
            assert_eq!(piece.comm_p, zero_piece(piece.padded), "{size} bytes");
            assert_eq!(piece.size, size as u64);
        }
    }

    #[test]
    fn every_length_around_a_power_of_two_matches_the_definition() {
        let bytes = data(8 * QUAD + 1);
        for size in 1..=bytes.len() {
            let piece = comm_p(&bytes[..size]);
            assert_eq!(piece.comm_p, naive(&bytes[..size]), "{size} bytes");
        }
    }

    #[test]
    fn an_empty_file_has_no_comm_p() {
        let empty = Err(PieceError::Size(SizeError::Empty));
        assert_eq!(CommPHasher::new().finish(), empty);
        assert_eq!(merge(0, &[]), empty);
    }

    #[test]
    fn chunk_borders_do_not_matter_even_when_the_state_is_saved_between_them() {
        let bytes = data(20_000);
        let whole = comm_p(&bytes);
        let mut seed = 1u64;
        for _ in 0..50 {
            let (mut hasher, mut rest) = (CommPHasher::new(), bytes.as_slice());
            while !rest.is_empty() {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
                let taken = ((seed >> 33) as usize % 700).min(rest.len());
                hasher.push(&rest[..taken]).unwrap();
                rest = &rest[taken..];
                let saved = serde_json::to_string(&hasher.snapshot()).unwrap();
                hasher = CommPHasher::restore(&serde_json::from_str(&saved).unwrap()).unwrap();
            }
            assert_eq!(hasher.finish(), Ok(whole));
        }
    }

    #[test]
    fn a_damaged_saved_state_is_refused() {
        let mut hasher = CommPHasher::new();
        hasher.push(&data(1000)).unwrap();
        let good = hasher.snapshot();
        let mut bad = good.clone();
        bad.size += 1;
        let damaged = |bad: &HasherState| match CommPHasher::restore(bad) {
            Err(PieceError::DamagedState { .. }) => true,
            other => panic!("{other:?}"),
        };
        assert!(damaged(&bad));
        bad = good.clone();
        bad.pending = vec![0; 127 + good.pending.len()];
        bad.size += 127;
        assert!(damaged(&bad));
        bad = good.clone();
        let last = *bad.roots.last().unwrap();
        bad.roots.push(last);
        bad.size += 127 << (last.height - 2);
        assert!(damaged(&bad));
        bad = good;
        bad.roots.reverse();
        assert!(matches!(
            CommPHasher::restore(&bad),
            Err(PieceError::Tree(TreeError::Misaligned { .. }))
        ));
    }

    #[test]
    fn roots_of_slices_merge_into_the_root_of_the_file() {
        let bytes = data(10_000);
        for (slice, size) in [
            (127, 1000),
            (254, 10_000),
            (1016, 9_999),
            (2032, 2032),
            (2032, 6096),
            (2032, 4065),
        ] {
            let slices = bytes[..size].chunks(slice);
            let parts: Vec<_> = slices.map(|slice| comm_p(slice).subtree()).collect();
            assert_eq!(merge(size as u64, &parts), Ok(comm_p(&bytes[..size])));
        }
    }

    #[test]
    fn slices_that_are_missing_doubled_or_out_of_order_are_refused() {
        let bytes = data(2500);
        let parts: Vec<_> = bytes.chunks(1016).map(|s| comm_p(s).subtree()).collect();
        let not_fitting = |parts: &[SubtreeRoot]| match merge(2500, parts) {
            Err(PieceError::PartsDoNotFit { size: 2500, .. }) => true,
            other => panic!("{other:?}"),
        };
        assert!(not_fitting(&parts[..2]));
        assert!(not_fitting(&[parts[0], parts[1], parts[0]]));
        assert!(not_fitting(&[parts[0], parts[1], parts[2], parts[2]]));
        assert!(matches!(
            merge(2500, &[parts[0], parts[2], parts[1]]),
            Err(PieceError::Tree(TreeError::Misaligned { .. }))
        ));
        assert_eq!(merge(2500, &[]), Err(PieceError::Tree(TreeError::Empty)));
    }
}
