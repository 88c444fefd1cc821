//! Both names of a piece in one pass over its bytes: CommP and the UnixFS root (step 2 of a deal).
//!
//! Called by the client before it proposes, and by the miner over what it received.

use super::commitment::{Commitment, PieceCid};
use super::commp::{CommPHasher, PieceCommitment, PieceError};
use super::size::PaddedSize;
use super::unixfs::{Dag, DagBuilder, DagShape, UnixFsError};
use alloc::vec::Vec;
use cid::Cid;

/// Why a piece has no names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    #[error(transparent)]
    CommP(#[from] PieceError),
    #[error(transparent)]
    UnixFs(#[from] UnixFsError),
    #[error("{found} leaves were hashed where the file has {expected}; hash every slice once, with its leaves")]
    Leaves { expected: u64, found: u64 },
}

/// What a client must know of a piece to propose a deal and to serve the transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PieceSummary {
    /// Bytes of the file.
    pub size: u64,
    /// Room in a sector.
    pub padded: PaddedSize,
    pub comm_p: Commitment,
    /// CommP as text that Filecoin tools know.
    pub piece_cid: PieceCid,
    /// Root of the UnixFS DAG: the deal's `pieceRef`.
    pub data_cid: Cid,
    /// Interior nodes of the DAG, the root last; none for a file of at most 1 MiB.
    pub nodes: Vec<(Cid, Vec<u8>)>,
}

impl PieceSummary {
    pub(crate) fn new(piece: PieceCommitment, dag: Dag) -> Self {
        Self {
            size: piece.size,
            padded: piece.padded,
            comm_p: piece.comm_p,
            piece_cid: PieceCid(piece.comm_p),
            data_cid: dag.root,
            nodes: dag.nodes,
        }
    }

    /// The names of a file whose leaves were hashed by themselves, as many as a file of this size has, in file order.
    pub fn of_leaves(piece: PieceCommitment, leaves: &[[u8; 32]]) -> Result<Self, DigestError> {
        let (expected, found) = (DagShape::STANDARD.leaves(piece.size), leaves.len() as u64);
        if found != expected {
            return Err(DigestError::Leaves { expected, found });
        }
        Ok(Self::new(piece, Dag::of_leaves(piece.size, leaves)?))
    }
}

/// Computes a [`PieceSummary`] in one pass.
#[derive(Debug, Clone, Default)]
pub struct PieceDigest {
    comm_p: CommPHasher,
    dag: DagBuilder,
}

impl PieceDigest {
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes taken so far.
    pub fn size(&self) -> u64 {
        self.comm_p.size()
    }

    /// Takes the next bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), DigestError> {
        self.comm_p.push(bytes)?;
        Ok(self.dag.push(bytes)?)
    }

    /// The names of what was pushed; fails when that is nothing.
    pub fn finish(self) -> Result<PieceSummary, DigestError> {
        let piece = self.comm_p.finish()?;
        Ok(PieceSummary::new(piece, self.dag.finish()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::size::SizeError;
    use crate::piece::unixfs::test_data;
    use alloc::string::ToString;

    #[test]
    fn one_pass_gives_both_names() {
        let bytes = test_data(1 << 20);
        let mut digest = PieceDigest::new();
        bytes.chunks(70_001).for_each(|part| digest.push(part).unwrap());
        let summary = digest.finish().unwrap();
        assert_eq!(summary.size, 1 << 20);
        assert_eq!(summary.padded.bytes(), 2 << 20);
        assert_eq!(
            summary.comm_p.to_string(),
            "e1f85558f71d0fb7f3edc5dc0cda97f4be4337a955f56257e5c55bc13926a30a"
        );
        assert_eq!(
            summary.data_cid.to_string(),
            "bafkreihm57xszz27f3jvmvaztrabpk62uktvtltl3xshj34k5fbrzvbd4i"
        );
        assert!(summary.nodes.is_empty());
        assert_eq!(summary.piece_cid, PieceCid(summary.comm_p));
    }

    #[test]
    fn an_empty_file_has_no_names() {
        assert_eq!(
            PieceDigest::new().finish(),
            Err(DigestError::CommP(PieceError::Size(SizeError::Empty)))
        );
    }
}
