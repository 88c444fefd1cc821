//! ChaCha20-Poly1305 (RFC 8439) for a browser: ChaCha20 makes four blocks at a time in WebAssembly's vectors, since the `chacha20` crate
//! has none for it and takes twice as long there (0.6 against 1.4 GB/s). Poly1305 is the `poly1305` crate's.
//!
//! Called by [`crate::chunk`] only. `tests/ciphertext.rs` holds it against what other machines make, in an engine like the browser's.

// The places in a state and in four blocks are constants of the cipher; what a peer sends chooses none.
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::arch::wasm32::{
    i32x4_shuffle, i64x2_shuffle, i8x16_shuffle, u32x4, u32x4_add, u32x4_shl, u32x4_shr, u32x4_splat, u64x2,
    u64x2_extract_lane, v128, v128_or, v128_xor,
};

use poly1305::universal_hash::{KeyInit, UniversalHash};
use poly1305::{Block, Poly1305};
use zeroize::Zeroizing;

/// Bytes of four blocks.
const FOUR_BLOCKS: usize = 256;
/// "expand 32-byte k".
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

pub(crate) struct Cipher(Zeroizing<[u32; 8]>);

/// The tag is another one.
pub(crate) struct OtherTag;

impl Cipher {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let mut words = Zeroizing::new([0; 8]);
        for (word, bytes) in words.iter_mut().zip(key.chunks_exact(4)) {
            *word = u32::from_le_bytes(bytes.try_into().expect("chunks of four bytes"));
        }
        Self(words)
    }

    pub(crate) fn seal(&self, nonce: &[u8; 12], bytes: &mut [u8]) -> [u8; 16] {
        let nonce = words(nonce);
        xor_keystream(&self.0, &nonce, 1, bytes);
        self.mac(&nonce, bytes).finalize().into()
    }

    /// Leaves the bytes as they are where the tag is another one.
    pub(crate) fn open(&self, nonce: &[u8; 12], bytes: &mut [u8], tag: &[u8; 16]) -> Result<(), OtherTag> {
        let nonce = words(nonce);
        let verified = self.mac(&nonce, bytes).verify(Block::from_slice(tag));
        verified.map_err(|_| OtherTag)?;
        xor_keystream(&self.0, &nonce, 1, bytes);
        Ok(())
    }

    /// Over the ciphertext; there is no associated data.
    fn mac(&self, nonce: &[u32; 3], ciphertext: &[u8]) -> Poly1305 {
        let mut key = Zeroizing::new([0; 32]);
        xor_keystream(&self.0, nonce, 0, key.as_mut_slice());
        let mut mac = Poly1305::new(key.as_slice().into());
        mac.update_padded(ciphertext);
        let mut lengths = Block::default();
        lengths[8..].copy_from_slice(&(ciphertext.len() as u64).to_le_bytes());
        mac.update(&[lengths]);
        mac
    }
}

fn words(nonce: &[u8; 12]) -> [u32; 3] {
    let word = |at| u32::from_le_bytes([nonce[at], nonce[at + 1], nonce[at + 2], nonce[at + 3]]);
    [word(0), word(4), word(8)]
}

/// Encrypts or decrypts, beginning with block `counter`.
fn xor_keystream(key: &[u32; 8], nonce: &[u32; 3], counter: u32, bytes: &mut [u8]) {
    for (four, part) in (0..).zip(bytes.chunks_mut(FOUR_BLOCKS)) {
        let keystream = four_blocks(key, nonce, counter.wrapping_add(4 * four));
        for (vector, stream) in part.chunks_mut(16).zip(keystream) {
            if let Ok(vector) = <&mut [u8; 16]>::try_from(&mut *vector) {
                mix(vector, stream);
                continue;
            }
            let mut padded = [0; 16];
            padded[..vector.len()].copy_from_slice(vector);
            mix(&mut padded, stream);
            vector.copy_from_slice(&padded[..vector.len()]);
        }
    }
}

#[inline(always)]
fn mix(vector: &mut [u8; 16], stream: v128) {
    let half = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| vector[at + byte]));
    let mixed = v128_xor(u64x2(half(0), half(8)), stream);
    vector[..8].copy_from_slice(&u64x2_extract_lane::<0>(mixed).to_le_bytes());
    vector[8..].copy_from_slice(&u64x2_extract_lane::<1>(mixed).to_le_bytes());
}

/// The keystream of four blocks, in the order of its bytes.
#[inline(always)]
fn four_blocks(key: &[u32; 8], nonce: &[u32; 3], counter: u32) -> [v128; 16] {
    // A word of the state in each vector, a block in each lane.
    let first: [v128; 16] = std::array::from_fn(|word| match word {
        0..=3 => u32x4_splat(CONSTANTS[word]),
        4..=11 => u32x4_splat(key[word - 4]),
        12 => u32x4_add(u32x4_splat(counter), u32x4(0, 1, 2, 3)),
        _ => u32x4_splat(nonce[word - 13]),
    });
    let mut state = first;
    for _ in 0..10 {
        quarter_round(&mut state, [0, 4, 8, 12]);
        quarter_round(&mut state, [1, 5, 9, 13]);
        quarter_round(&mut state, [2, 6, 10, 14]);
        quarter_round(&mut state, [3, 7, 11, 15]);
        quarter_round(&mut state, [0, 5, 10, 15]);
        quarter_round(&mut state, [1, 6, 11, 12]);
        quarter_round(&mut state, [2, 7, 8, 13]);
        quarter_round(&mut state, [3, 4, 9, 14]);
    }
    for (word, first) in state.iter_mut().zip(first) {
        *word = u32x4_add(*word, first);
    }
    let quarters: [[v128; 4]; 4] = std::array::from_fn(|quarter| {
        let at = 4 * quarter;
        transposed([state[at], state[at + 1], state[at + 2], state[at + 3]])
    });
    std::array::from_fn(|vector| quarters[vector % 4][vector / 4])
}

#[inline(always)]
fn quarter_round(state: &mut [v128; 16], [a, b, c, d]: [usize; 4]) {
    state[a] = u32x4_add(state[a], state[b]);
    state[d] = rotated_by_16(v128_xor(state[d], state[a]));
    state[c] = u32x4_add(state[c], state[d]);
    state[b] = rotated::<12>(v128_xor(state[b], state[c]));
    state[a] = u32x4_add(state[a], state[b]);
    state[d] = rotated_by_8(v128_xor(state[d], state[a]));
    state[c] = u32x4_add(state[c], state[d]);
    state[b] = rotated::<7>(v128_xor(state[b], state[c]));
}

#[inline(always)]
fn rotated<const BITS: u32>(words: v128) -> v128 {
    v128_or(u32x4_shl(words, BITS), u32x4_shr(words, 32 - BITS))
}

#[inline(always)]
fn rotated_by_16(words: v128) -> v128 {
    i8x16_shuffle::<2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13>(words, words)
}

#[inline(always)]
fn rotated_by_8(words: v128) -> v128 {
    i8x16_shuffle::<3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14>(words, words)
}

/// Four words of four blocks become, for each block, its four words.
#[inline(always)]
fn transposed([a, b, c, d]: [v128; 4]) -> [v128; 4] {
    let (ab_low, ab_high) = (i32x4_shuffle::<0, 4, 1, 5>(a, b), i32x4_shuffle::<2, 6, 3, 7>(a, b));
    let (cd_low, cd_high) = (i32x4_shuffle::<0, 4, 1, 5>(c, d), i32x4_shuffle::<2, 6, 3, 7>(c, d));
    [
        i64x2_shuffle::<0, 2>(ab_low, cd_low),
        i64x2_shuffle::<1, 3>(ab_low, cd_low),
        i64x2_shuffle::<0, 2>(ab_high, cd_high),
        i64x2_shuffle::<1, 3>(ab_high, cd_high),
    ]
}
