//! Roots of trees over zeros, worked out by the compiler: SHA-256 written as constant functions, for this table only.
//!
//! The hasher that runs ([`super::tree::hash_pair`]) is the `sha2` crate's; a test holds the two against each other.

use super::kernel::constants::{schedule, IV, K, PADDING};
use super::size::MAX_HEIGHT;

/// Root of a tree of 2^index leaves that are all zero.
pub static ZERO_ROOTS: [[u8; 32]; MAX_HEIGHT as usize + 1] = zero_roots();

const fn zero_roots() -> [[u8; 32]; MAX_HEIGHT as usize + 1] {
    let mut roots = [[0u8; 32]; MAX_HEIGHT as usize + 1];
    let mut height = 1;
    while height < roots.len() {
        roots[height] = hash_twice(&roots[height - 1]);
        height += 1;
    }
    roots
}

/// SHA-256 of `node` followed by itself, with the two highest bits of the last byte cleared.
const fn hash_twice(node: &[u8; 32]) -> [u8; 32] {
    let mut block = [0u32; 16];
    let mut i = 0;
    while i < 8 {
        block[i] = u32::from_be_bytes([node[4 * i], node[4 * i + 1], node[4 * i + 2], node[4 * i + 3]]);
        block[i + 8] = block[i];
        i += 1;
    }
    let state = compress(compress(IV, block), PADDING);
    let mut root = [0u8; 32];
    let mut i = 0;
    while i < 32 {
        root[i] = state[i / 4].to_be_bytes()[i % 4];
        i += 1;
    }
    root[31] &= 0x3f;
    root
}

const fn compress(state: [u32; 8], block: [u32; 16]) -> [u32; 8] {
    let w = schedule(block);
    let mut s = state;
    let mut t = 0;
    while t < 64 {
        let (a, e) = (s[0], s[4]);
        let t1 = s[7]
            .wrapping_add(e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25))
            .wrapping_add((e & s[5]) ^ (!e & s[6]))
            .wrapping_add(K[t])
            .wrapping_add(w[t]);
        let t2 = (a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22))
            .wrapping_add((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
        s = [t1.wrapping_add(t2), a, s[1], s[2], s[3].wrapping_add(t1), e, s[5], s[6]];
        t += 1;
    }
    let mut i = 0;
    while i < 8 {
        s[i] = s[i].wrapping_add(state[i]);
        i += 1;
    }
    s
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::tree::hash_pair;

    #[test]
    fn each_root_over_zeros_is_the_hash_of_two_smaller_ones() {
        for height in 1..ZERO_ROOTS.len() {
            let below = &ZERO_ROOTS[height - 1];
            assert_eq!(ZERO_ROOTS[height], hash_pair(below, below), "height {height}");
        }
        assert_eq!(
            hex::encode(ZERO_ROOTS[2]),
            "3731bb99ac689f66eef5973e4a94da188f4ddcae580724fc6f3fd60dfd488333"
        );
    }
}
