//! Files that the tests of manifests start from.

use crate::file::{FileEntry, FilePiece, RelativePath};
use crate::piece::node::{cid_of, raw_cid, DAG_PB, RAW};
use crate::piece::Commitment;
use alloc::vec::Vec;
use cid::Cid;

pub const MIB: u64 = 1 << 20;

/// What can be the root of a file of `size` bytes.
pub fn root(size: u64, seed: u8) -> Cid {
    match size {
        0 => raw_cid(&[]),
        1..=MIB => cid_of(RAW, &[seed; 32]),
        _ => cid_of(DAG_PB, &[seed; 32]),
    }
}

/// Pieces of these sizes, one behind the other.
pub fn pieces(sizes: &[u64]) -> Vec<FilePiece> {
    let mut offset = 0;
    let place = |(index, size): (usize, &u64)| {
        let piece = FilePiece {
            offset,
            size: *size,
            data_cid: root(*size, index as u8),
            comm_p: Commitment([index as u8; 32]),
        };
        offset += size;
        piece
    };
    sizes.iter().enumerate().map(place).collect()
}

pub fn path(text: &str) -> RelativePath {
    RelativePath::parse(text).unwrap()
}

/// A file of pieces of these sizes.
pub fn file(name: &str, sizes: &[u64]) -> FileEntry {
    let size = sizes.iter().sum();
    FileEntry::new(path(name), size, root(size, 0), pieces(sizes)).unwrap()
}
