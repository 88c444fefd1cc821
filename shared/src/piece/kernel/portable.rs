//! The kernel without instructions of its own: one node at a time by the `sha2` crate.

use super::constants::IV;
use super::{Node, QUAD};
use crate::piece::fr32::expand;
use sha2::compress256;
use sha2::digest::generic_array::{typenum::U64, GenericArray};

/// The parent of two nodes: SHA-256 over both, two bits cleared (spec §8.3).
pub fn hash_pair(left: &Node, right: &Node) -> Node {
    let mut blocks: [GenericArray<u8, U64>; 2] = Default::default();
    blocks[0][..32].copy_from_slice(left);
    blocks[0][32..].copy_from_slice(right);
    // The second block is SHA-256's padding of a 64-byte message: one set bit, then the length of 512 bits.
    blocks[1][0] = 0x80;
    blocks[1][62] = 2;
    let mut state = IV;
    compress256(&mut state, &blocks);
    let mut node = [0u8; 32];
    for (bytes, word) in node.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    node[31] &= 0x3f;
    node
}

/// Root of one run of 2^`height` quads.
pub fn roots(bytes: &[u8], height: u32, out: &mut [Node]) {
    let (quads, _) = bytes.as_chunks::<QUAD>();
    let mut pending = [[0; 32]; super::MAX_RUN as usize + 1];
    for (place, quad) in quads.iter().enumerate() {
        let [a, b, c, d] = expand(quad);
        let mut node = hash_pair(&hash_pair(&a, &b), &hash_pair(&c, &d));
        // As a binary counter carries: a right node completes its parent.
        let levels = (place + 1).trailing_zeros().min(height) as usize;
        for left in &pending[..levels] {
            node = hash_pair(left, &node);
        }
        pending[levels] = node;
    }
    out[0] = pending[height as usize];
}

/// Adds whole blocks to one SHA-256 state.
pub fn compress(states: &mut [[u32; 8]], blocks: &[&[[u8; 64]]]) {
    for block in blocks[0] {
        compress256(&mut states[0], &[GenericArray::clone_from_slice(block)]);
    }
}
