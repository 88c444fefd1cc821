//! The data's tree: SHA-256 over pairs of nodes, two bits cleared, all rows in one file from the leaves up. Its root is CommD.

use super::files::MappedNodes;
use super::{check_stop, Error};
use crate::sha256::{Node, Sha256, Sha256Kernel};
use rayon::prelude::*;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// Parents that are hashed, or leaves that are read, between two looks at the stop flag.
const BLOCK: usize = 1 << 13;

/// Fills in all rows above the data's nodes, on the threads of the caller's rayon pool, and returns the root. The data is
/// `unsealed`, as long as the leaves.
pub(super) fn build(
    kernel: Sha256Kernel,
    unsealed: &Path,
    leaves: usize,
    tree: &mut MappedNodes,
    stop: &AtomicBool,
) -> Result<Node, Error> {
    let (mut row, mut above) = tree.nodes_mut().split_at_mut(leaves);
    read(unsealed, row, stop)?;
    while row.len() > 1 {
        let (parents, rest) = above.split_at_mut(row.len() / 2);
        let (pairs, _) = row.as_chunks();
        let blocks = pairs.par_chunks(BLOCK).zip(parents.par_chunks_mut(BLOCK));
        blocks.try_for_each(|(pairs, parents)| {
            check_stop(stop)?;
            kernel.hash_pairs(pairs, parents);
            Ok::<_, Error>(())
        })?;
        (row, above) = (parents, rest);
    }
    Ok(row[0])
}

fn read(unsealed: &Path, leaves: &mut [Node], stop: &AtomicBool) -> Result<(), Error> {
    let file = File::open(unsealed).map_err(Error::io("open", unsealed))?;
    let expected = leaves.as_flattened().len() as u64;
    let found = file
        .metadata()
        .map_err(Error::io("read the length of", unsealed))?
        .len();
    if found != expected {
        let path = unsealed.to_owned();
        return Err(Error::WrongLength { path, found, expected });
    }
    leaves.par_chunks_mut(BLOCK).enumerate().try_for_each(|(block, nodes)| {
        check_stop(stop)?;
        let bytes = nodes.as_flattened_mut();
        let offset = block * BLOCK * size_of::<Node>();
        file.read_exact_at(bytes, offset as u64)
            .map_err(Error::io("read", unsealed))
    })
}
