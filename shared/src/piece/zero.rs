//! Roots of trees over zeros, worked out by the compiler: SHA-256 written as constant functions, for this table only.
//!
//! The hasher that runs ([`super::tree::hash_pair`]) is the `sha2` crate's; a test holds the two against each other.

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
    let mut padding = [0u32; 16];
    padding[0] = 0x8000_0000;
    padding[15] = 512;
    let state = compress(compress(IV, block), padding);
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
    let mut w = block;
    let mut s = state;
    let mut t = 0;
    while t < 64 {
        let i = t % 16;
        if t >= 16 {
            let (a, b) = (w[(i + 1) % 16], w[(i + 14) % 16]);
            w[i] = w[i]
                .wrapping_add(a.rotate_right(7) ^ a.rotate_right(18) ^ (a >> 3))
                .wrapping_add(w[(i + 9) % 16])
                .wrapping_add(b.rotate_right(17) ^ b.rotate_right(19) ^ (b >> 10));
        }
        let (a, e) = (s[0], s[4]);
        let t1 = s[7]
            .wrapping_add(e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25))
            .wrapping_add((e & s[5]) ^ (!e & s[6]))
            .wrapping_add(K[t])
            .wrapping_add(w[i]);
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

/// SHA-256's initial state (FIPS 180-4 §5.3.3).
pub const IV: [u32; 8] = [
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];

/// SHA-256's round constants (FIPS 180-4 §4.2.2).
#[rustfmt::skip]
const K: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

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
