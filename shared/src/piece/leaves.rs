//! SHA-256 of a file's leaves, several at once where enough bytes come at once.
//!
//! A leaf's hash is one long chain: alone it waits for the latency of each round. Side by side they do not, so a caller
//! who pushes [`BYTES_TOGETHER`] bytes at a time has them hashed in half the time ([`super::kernel`]). Called by
//! [`super::unixfs`] and [`super::division`].

use super::kernel::constants::IV;
use super::kernel::{self, Kernel, MAX_LANES};
use alloc::vec::Vec;
use sha2::{Digest, Sha256};

/// Bytes of a push that lets the widest kernel hash leaves of 1 MiB side by side.
pub const BYTES_TOGETHER: usize = MAX_LANES << 20;

/// Hashes leaves as their bytes stream by.
#[derive(Debug, Clone)]
pub struct LeafHasher {
    /// The best kernel for that many leaves side by side.
    kernel: fn(usize) -> &'static Kernel,
    leaf_bytes: u64,
    leaf: Sha256,
    filled: u64,
    done: Vec<[u8; 32]>,
}

impl LeafHasher {
    /// For leaves of this many bytes.
    pub fn new(leaf_bytes: u64) -> Self {
        Self {
            kernel: kernel::for_leaves,
            leaf_bytes,
            leaf: Sha256::new(),
            filled: 0,
            done: Vec::new(),
        }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let whole = usize::try_from(bytes.len() as u64 / self.leaf_bytes).unwrap_or(usize::MAX);
            // Whole blocks only: leaves of other sizes exist in tests.
            let kernel = (self.kernel)(whole);
            if self.filled == 0 && kernel.leaves > 1 && self.leaf_bytes.is_multiple_of(64) {
                let (now, later) = bytes.split_at(kernel.leaves.min(whole) * self.leaf_bytes as usize);
                self.hash_together(kernel, now);
                bytes = later;
                continue;
            }
            let room = usize::try_from(self.leaf_bytes - self.filled).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(bytes.len().min(room));
            self.leaf.update(now);
            self.filled += now.len() as u64;
            bytes = later;
            if self.filled == self.leaf_bytes {
                self.end();
            }
        }
    }

    /// Ends a leaf that is not full; does nothing where none was begun.
    pub fn end(&mut self) {
        if self.filled > 0 {
            self.done.push(self.leaf.finalize_reset().into());
            self.filled = 0;
        }
    }

    /// The digests of the leaves that ended since the last call.
    pub fn take(&mut self) -> Vec<[u8; 32]> {
        core::mem::take(&mut self.done)
    }

    fn hash_together(&mut self, kernel: &Kernel, leaves: &[u8]) {
        let lanes = kernel.leaves;
        let mut end = [0u8; 64];
        end[0] = 0x80;
        end[56..].copy_from_slice(&(self.leaf_bytes * 8).to_be_bytes());
        let leaf_bytes = self.leaf_bytes as usize;
        // Lanes without a leaf of their own repeat the first one.
        let mut blocks: [&[[u8; 64]]; MAX_LANES] = [leaves[..leaf_bytes].as_chunks().0; MAX_LANES];
        for (blocks, leaf) in blocks.iter_mut().zip(leaves.chunks(leaf_bytes)) {
            *blocks = leaf.as_chunks().0;
        }
        let mut states = [IV; MAX_LANES];
        kernel.compress(&mut states[..lanes], &blocks[..lanes]);
        let end: [&[[u8; 64]]; MAX_LANES] = [core::slice::from_ref(&end); MAX_LANES];
        kernel.compress(&mut states[..lanes], &end[..lanes]);
        for state in &states[..leaves.len() / leaf_bytes] {
            let mut digest = [0; 32];
            for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
                bytes.copy_from_slice(&word.to_be_bytes());
            }
            self.done.push(digest);
        }
    }
}

/// The digests of all leaves of `bytes`, of which the last may be short.
pub(crate) fn leaf_digests(leaf_bytes: u64, bytes: &[u8]) -> Vec<[u8; 32]> {
    let mut hasher = LeafHasher::new(leaf_bytes);
    hasher.push(bytes);
    hasher.end();
    hasher.take()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::unixfs::test_data;

    #[test]
    fn leaves_hashed_together_are_those_hashed_alone_wherever_the_chunks_end() {
        let bytes = test_data(128 * 40 + 5);
        let expected: Vec<[u8; 32]> = bytes.chunks(128).map(|leaf| Sha256::digest(leaf).into()).collect();
        // With idle lanes too, whatever they cost.
        let widest = |count| {
            let widest = kernel::available().max_by_key(|kernel| kernel.leaves);
            widest.filter(|_| count > 1).unwrap_or(kernel::portable())
        };
        for kernel in [kernel::for_leaves, widest, |_| kernel::portable()] {
            for step in [1, 64, 127, 128, 512, 1000, 2048, bytes.len()] {
                let mut hasher = LeafHasher {
                    kernel,
                    ..LeafHasher::new(128)
                };
                bytes.chunks(step).for_each(|part| hasher.push(part));
                hasher.end();
                assert_eq!(hasher.take(), expected, "by {step}");
            }
        }
    }
}
