//! The names of a file and of all its pieces in one pass over its bytes (step 2 of a deal).
//!
//! [`FileBuilder`] takes what was found out about each piece, in order: a host with several cores hashes a piece in slices
//! ([`crate::piece::Division`]) and hands their names in. [`FileDigest`] does it on one core, with what hashes behind a small port.
//!
//! Memory grows by 32 bytes a leaf of 1 MiB and by one [`FilePiece`] a piece; of the file's own tree only the links that wait for
//! a parent are held, at most 1024 a level. For 100 GiB that is 3.1 MiB of digests and, on sectors of 8 MiB, 2.0 MiB of pieces; while a
//! piece of 31.75 GiB ends, another 8 MB for its own tree (measured in `tests/file_memory.rs`). No node is held: those of a piece
//! (0.4 kB for 7 MiB, 1.7 MB for 31.75 GiB) or of the whole file (5.2 MB for 100 GiB) are made again from the digests when somebody
//! asks for them ([`FileSummary::piece`], [`FileSummary::nodes`]), in milliseconds.

use super::cut::Cut;
use crate::piece::node::{cid_of, raw_cid, Link, RAW};
use crate::piece::unixfs::LEAF_BYTES;
use crate::piece::{
    assemble, BalancedTree, Commitment, Dag, DagShape, DigestError, PieceCommitment, PieceError, PieceSize,
    PieceSummary, SizeError, Slice, SliceHasher, SliceNames,
};
use alloc::vec::Vec;
use cid::Cid;
use core::ops::Range;

/// Why a file has no names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileDigestError {
    /// The file shrank since it was cut.
    #[error("the file ends after {found} of {size} bytes; hash it again")]
    Shorter { size: u64, found: u64 },
    /// The file grew since it was cut.
    #[error("the file has more than {size} bytes; hash it again")]
    Longer { size: u64 },
    #[error("{found} of the file's {pieces} pieces were hashed")]
    PiecesMissing { pieces: u64, found: u64 },
    #[error("the file has {pieces} pieces, and all of them were hashed")]
    NoMorePieces { pieces: u64 },
    #[error("piece {index}: {error}")]
    Piece { index: u64, error: DigestError },
}

/// The port of what hashes: one piece, in one pass.
pub trait HashPiece {
    /// Begins a piece of so many bytes.
    fn begin(size: u64) -> Self;
    /// Takes the piece's next bytes, never more than were announced.
    fn push(&mut self, bytes: &[u8]) -> Result<(), PieceError>;
    /// What was found: the piece is one slice.
    fn finish(self) -> Result<SliceNames, PieceError>;
}

impl HashPiece for SliceHasher {
    fn begin(size: u64) -> Self {
        let (bytes, leaves) = (0..size, 0..size);
        Self::new(Slice { bytes, leaves })
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), PieceError> {
        SliceHasher::push(self, bytes)
    }

    fn finish(self) -> Result<SliceNames, PieceError> {
        SliceHasher::finish(self)
    }
}

/// A piece of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilePiece {
    /// Where it starts in the file, in bytes; a multiple of the leaf size.
    pub offset: u64,
    /// Its bytes.
    pub size: u64,
    /// The root of its own UnixFS DAG: its deal's `pieceRef`.
    pub data_cid: Cid,
    pub comm_p: Commitment,
}

impl FilePiece {
    /// The byte behind it, in the file.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.size)
    }

    /// Its commitment and the room that it takes in a sector; fails for a size that no piece has.
    pub fn commitment(&self) -> Result<PieceCommitment, SizeError> {
        Ok(PieceCommitment {
            comm_p: self.comm_p,
            padded: PieceSize::new(self.size)?.padded(),
            size: self.size,
        })
    }
}

/// Puts the names of a file's pieces together, in order.
#[derive(Debug, Clone)]
pub struct FileBuilder {
    cut: Cut,
    pieces: Vec<FilePiece>,
    leaves: Vec<[u8; 32]>,
    tree: BalancedTree,
}

impl FileBuilder {
    /// For a file that is cut like this.
    pub fn new(cut: Cut) -> Self {
        let room = |count: u64| usize::try_from(count).unwrap_or(0);
        Self {
            cut,
            // Both are bounded: a cut has no more than `MAX_PIECES` pieces and `MAX_FILE` bytes.
            pieces: Vec::with_capacity(room(cut.pieces())),
            leaves: Vec::with_capacity(room(DagShape::STANDARD.leaves(cut.size()))),
            tree: BalancedTree::new(DagShape::STANDARD),
        }
    }

    /// Where the piece lies that is pushed next; `None` when all were.
    pub fn next_piece(&self) -> Option<Range<u64>> {
        self.cut.piece(self.pieces.len() as u64)
    }

    /// Takes the names of the next piece's slices, in order; gives the piece with the nodes that serving it needs, which are not
    /// held here. On an error nothing has changed.
    pub fn push(&mut self, slices: &[SliceNames]) -> Result<PieceSummary, FileDigestError> {
        let index = self.pieces.len() as u64;
        let Range { start, end } = self
            .next_piece()
            .ok_or(FileDigestError::NoMorePieces { pieces: index })?;
        let piece = assemble(end.saturating_sub(start), slices);
        let piece = piece.map_err(|error| FileDigestError::Piece { index, error })?;
        self.pieces.push(FilePiece {
            offset: start,
            size: piece.size,
            data_cid: piece.data_cid,
            comm_p: piece.comm_p,
        });
        for digest in slices.iter().flat_map(|slice| &slice.leaves) {
            let bytes = DagShape::STANDARD.bytes_under(self.cut.size(), 0, self.leaves.len() as u64);
            let leaf = Link::to_leaf(cid_of(RAW, digest), bytes);
            self.tree.push(leaf, |_, _| {});
            self.leaves.push(*digest);
        }
        Ok(piece)
    }

    /// The file, once all of its pieces were pushed.
    pub fn finish(self) -> Result<FileSummary, FileDigestError> {
        let (pieces, found) = (self.cut.pieces(), self.pieces.len() as u64);
        if found < pieces {
            return Err(FileDigestError::PiecesMissing { pieces, found });
        }
        Ok(FileSummary {
            size: self.cut.size(),
            root: self.tree.finish(|_, _| {}).unwrap_or_else(|| raw_cid(&[])),
            pieces: self.pieces,
            leaves: self.leaves,
        })
    }
}

/// Hashes a file on one core, in one pass.
#[derive(Debug, Clone)]
pub struct FileDigest<H = SliceHasher> {
    builder: FileBuilder,
    /// The piece under way, and how many of its bytes are missing.
    piece: Option<(H, u64)>,
    taken: u64,
}

impl FileDigest {
    /// For a file that is cut like this.
    pub fn new(cut: Cut) -> Self {
        Self::hashed_by(cut)
    }
}

impl<H: HashPiece> FileDigest<H> {
    /// Like [`FileDigest::new`], with another implementation of the port.
    pub fn hashed_by(cut: Cut) -> Self {
        Self {
            builder: FileBuilder::new(cut),
            piece: None,
            taken: 0,
        }
    }

    /// Bytes taken so far.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Takes the next bytes of the file. Fails with [`FileDigestError::Longer`], taking nothing, when they are more than it has.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), FileDigestError> {
        let size = self.builder.cut.size();
        let taken = self.taken.saturating_add(bytes.len() as u64);
        if taken > size {
            return Err(FileDigestError::Longer { size });
        }
        while !bytes.is_empty() {
            let index = self.builder.pieces.len() as u64;
            let failed = |error: PieceError| FileDigestError::Piece {
                index,
                error: error.into(),
            };
            let (mut hasher, left) = match self.piece.take() {
                Some(under_way) => under_way,
                None => self.begin_piece()?,
            };
            let (now, later) = bytes.split_at(usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len())));
            hasher.push(now).map_err(failed)?;
            match left.saturating_sub(now.len() as u64) {
                0 => drop(self.builder.push(&[hasher.finish().map_err(failed)?])?),
                left => self.piece = Some((hasher, left)),
            }
            bytes = later;
        }
        self.taken = taken;
        Ok(())
    }

    fn begin_piece(&self) -> Result<(H, u64), FileDigestError> {
        let size = self.builder.cut.size();
        let Range { start, end } = self.builder.next_piece().ok_or(FileDigestError::Longer { size })?;
        let bytes = end.saturating_sub(start);
        Ok((H::begin(bytes), bytes))
    }

    /// The names of the file and of its pieces.
    pub fn finish(self) -> Result<FileSummary, FileDigestError> {
        let (size, found) = (self.builder.cut.size(), self.taken);
        if found < size {
            return Err(FileDigestError::Shorter { size, found });
        }
        self.builder.finish()
    }
}

/// What a client must know of a file to store it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSummary {
    size: u64,
    root: Cid,
    pieces: Vec<FilePiece>,
    leaves: Vec<[u8; 32]>,
}

impl FileSummary {
    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What `ipfs add` prints for the whole file.
    pub fn root(&self) -> Cid {
        self.root
    }

    /// Its pieces, in order.
    pub fn pieces(&self) -> &[FilePiece] {
        &self.pieces
    }

    /// The piece of this index with the nodes that serving it needs, made from the leaves' digests.
    pub fn piece(&self, index: usize) -> Option<PieceSummary> {
        let piece = self.pieces.get(index)?;
        let first = usize::try_from(piece.offset / LEAF_BYTES).ok()?;
        let count = usize::try_from(DagShape::STANDARD.leaves(piece.size)).ok()?;
        let leaves = self.leaves.get(first..first.checked_add(count)?)?;
        let dag = Dag::of_leaves(piece.size, leaves).ok()?;
        Some(PieceSummary::new(piece.commitment().ok()?, dag))
    }

    /// The interior nodes of the whole file, children before parents, the root last; none of a file of one leaf.
    pub fn nodes(&self) -> Vec<(Cid, Vec<u8>)> {
        Dag::of_leaves(self.size, &self.leaves).map_or_else(|_| Vec::new(), |dag| dag.nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::unixfs::test_data;
    use crate::piece::{Division, PieceDigest, PieceSize, SectorSize};
    use alloc::vec;

    const MIB: usize = 1 << 20;

    fn digest(bytes: &[u8], sector: SectorSize, step: usize) -> FileSummary {
        let mut digest = FileDigest::new(Cut::new(bytes.len() as u64, sector).unwrap());
        bytes.chunks(step).for_each(|part| digest.push(part).unwrap());
        digest.finish().unwrap()
    }

    fn one_piece(bytes: &[u8]) -> PieceSummary {
        let mut digest = PieceDigest::new();
        digest.push(bytes).unwrap();
        digest.finish().unwrap()
    }

    #[test]
    fn a_file_of_one_piece_has_the_names_of_that_piece() {
        for size in [1, MIB - 1, MIB, MIB + 1, 3 * MIB + 5] {
            let bytes = test_data(size);
            let (file, piece) = (digest(&bytes, SectorSize::S8MiB, 700_001), one_piece(&bytes));
            assert_eq!(file.root(), piece.data_cid, "{size} bytes");
            assert_eq!(file.nodes(), piece.nodes);
            assert_eq!(file.piece(0), Some(piece));
            assert_eq!(file.pieces().len(), 1);
        }
    }

    #[test]
    fn every_piece_has_the_names_of_its_bytes_and_the_file_those_of_all() {
        let bytes = test_data(15 * MIB + 77);
        let file = digest(&bytes, SectorSize::S8MiB, 3 * MIB + 1);
        let whole = one_piece(&bytes);
        assert_eq!((file.size(), file.root()), (whole.size, whole.data_cid));
        assert_eq!(file.nodes(), whole.nodes);
        let parts: Vec<_> = bytes.chunks(7 * MIB).map(one_piece).collect();
        assert_eq!(file.pieces().len(), parts.len());
        for (index, (piece, part)) in file.pieces().iter().zip(&parts).enumerate() {
            assert_eq!(piece.offset, (index * 7 * MIB) as u64);
            assert_eq!((piece.size, piece.data_cid), (part.size, part.data_cid));
            assert_eq!(piece.comm_p, part.comm_p);
            assert_eq!(file.piece(index).as_ref(), Some(part));
        }
        assert_eq!(file.piece(parts.len()), None);
    }

    #[test]
    fn pieces_that_were_hashed_in_slices_give_the_same_file() {
        let bytes = test_data(9 * MIB + 3);
        let cut = Cut::new(bytes.len() as u64, SectorSize::S8MiB).unwrap();
        let mut builder = FileBuilder::new(cut);
        let mut nodes = Vec::new();
        while let Some(place) = builder.next_piece() {
            let piece = &bytes[place.start as usize..place.end as usize];
            let division = Division::of_height(PieceSize::new(piece.len() as u64).unwrap(), 15).unwrap();
            let names: Vec<_> = (0..division.slices())
                .map(|index| {
                    let slice = division.slice(index);
                    let read = slice.read();
                    let mut hasher = SliceHasher::new(slice);
                    hasher.push(&piece[read.start as usize..read.end as usize]).unwrap();
                    hasher.finish().unwrap()
                })
                .collect();
            nodes.push(builder.push(&names).unwrap().nodes);
        }
        let file = builder.finish().unwrap();
        assert_eq!(file, digest(&bytes, SectorSize::S8MiB, MIB));
        let again: Vec<_> = (0..2).map(|index| file.piece(index).unwrap().nodes).collect();
        assert_eq!(nodes, again);
    }

    #[test]
    fn a_file_without_bytes_has_the_root_of_no_bytes_and_no_piece() {
        let file = digest(&[], SectorSize::S8MiB, 1);
        assert_eq!(file.root(), raw_cid(&[]));
        assert!(file.pieces().is_empty() && file.nodes().is_empty());
    }

    #[test]
    fn a_file_that_shrank_or_grew_has_no_names() {
        let size = 8 * MIB as u64;
        let mut digest = FileDigest::new(Cut::new(size, SectorSize::S8MiB).unwrap());
        digest.push(&vec![0; 7 * MIB]).unwrap();
        let found = digest.taken();
        assert_eq!(
            digest.push(&vec![0; MIB + 1]),
            Err(FileDigestError::Longer { size }),
            "nothing is taken"
        );
        assert_eq!(digest.taken(), found);
        let shrank = digest.clone().finish();
        assert_eq!(shrank, Err(FileDigestError::Shorter { size, found }));
        digest.push(&vec![0; MIB]).unwrap();
        assert!(digest.finish().is_ok());
    }

    #[test]
    fn pieces_that_are_missing_too_many_or_others_are_refused() {
        let cut = Cut::new(8 * MIB as u64, SectorSize::S8MiB).unwrap();
        let names = |size: usize| {
            let mut hasher = <SliceHasher as HashPiece>::begin(size as u64);
            hasher.push(&vec![0; size]).unwrap();
            vec![SliceHasher::finish(hasher).unwrap()]
        };
        let mut builder = FileBuilder::new(cut);
        assert!(matches!(
            builder.push(&names(MIB)),
            Err(FileDigestError::Piece { index: 0, .. })
        ));
        builder.push(&names(7 * MIB)).unwrap();
        let missing = FileDigestError::PiecesMissing { pieces: 2, found: 1 };
        assert_eq!(builder.clone().finish(), Err(missing));
        builder.push(&names(MIB)).unwrap();
        let pieces = 2;
        assert_eq!(builder.push(&names(MIB)), Err(FileDigestError::NoMorePieces { pieces }));
        assert!(builder.finish().is_ok());
    }
}
