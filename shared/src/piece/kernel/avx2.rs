//! x86 with AVX2: eight lanes. For processors without SHA instructions.

use super::constants::{IV, K, LAST_WORD, PADDING_K};
use super::lanes::{lane_kernel, load_by_rows, parent, x86_rows};
use super::{Node, Quad, MAX_RUN, QUAD};
use core::arch::x86_64::*;

type V = __m256i;

#[inline]
#[target_feature(enable = "avx2")]
fn splat(word: u32) -> V {
    _mm256_set1_epi32(word as i32)
}
#[inline]
#[target_feature(enable = "avx2")]
fn add(a: V, b: V) -> V {
    _mm256_add_epi32(a, b)
}
#[inline]
#[target_feature(enable = "avx2")]
fn xor(a: V, b: V) -> V {
    _mm256_xor_si256(a, b)
}
#[inline]
#[target_feature(enable = "avx2")]
fn and(a: V, b: V) -> V {
    _mm256_and_si256(a, b)
}
#[inline]
#[target_feature(enable = "avx2")]
fn shr<const R: i32>(a: V) -> V {
    _mm256_srli_epi32::<R>(a)
}
#[inline]
#[target_feature(enable = "avx2")]
fn rotr<const R: i32, const L: i32>(a: V) -> V {
    _mm256_or_si256(_mm256_srli_epi32::<R>(a), _mm256_slli_epi32::<L>(a))
}
#[inline]
#[target_feature(enable = "avx2")]
fn xor3(a: V, b: V, c: V) -> V {
    xor(xor(a, b), c)
}
#[inline]
#[target_feature(enable = "avx2")]
fn choose(e: V, f: V, g: V) -> V {
    xor(g, and(e, xor(f, g)))
}
/// The majority of a, b and c, and a ⊕ b, from b ⊕ c.
#[inline]
#[target_feature(enable = "avx2")]
fn majority(a: V, b: V, _c: V, bc: V) -> (V, V) {
    let ab = xor(a, b);
    (xor(b, and(ab, bc)), ab)
}

/// Four big-endian words of each lane become four vectors of one word each.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose(rows: &[__m128i; LANES], out: &mut [V; 4]) {
    let bytes = _mm256_set_epi64x(
        0x0c0d0e0f08090a0b,
        0x0405060700010203,
        0x0c0d0e0f08090a0b,
        0x0405060700010203,
    );
    // Lanes 0-3 in the lower half of each row, 4-7 in the upper.
    let mut r = [_mm256_setzero_si256(); 4];
    for i in 0..4 {
        r[i] = _mm256_shuffle_epi8(_mm256_set_m128i(rows[i + 4], rows[i]), bytes);
    }
    let (a, b) = (_mm256_unpacklo_epi32(r[0], r[1]), _mm256_unpackhi_epi32(r[0], r[1]));
    let (c, d) = (_mm256_unpacklo_epi32(r[2], r[3]), _mm256_unpackhi_epi32(r[2], r[3]));
    *out = [
        _mm256_unpacklo_epi64(a, c),
        _mm256_unpackhi_epi64(a, c),
        _mm256_unpacklo_epi64(b, d),
        _mm256_unpackhi_epi64(b, d),
    ];
}

#[inline]
#[target_feature(enable = "avx2")]
fn gather(words: &[u32; LANES]) -> V {
    // SAFETY: reads the 32 bytes of the array; any alignment will do.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

/// Writes each lane's eight words as big-endian bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn store(s: &[V; 8], out: &mut [Node]) {
    for (i, vector) in s.iter().enumerate() {
        let mut words = [0u32; LANES];
        // SAFETY: writes the 32 bytes of the array; any alignment will do.
        unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), *vector) };
        for (node, word) in out.iter_mut().zip(words) {
            node[4 * i..4 * i + 4].copy_from_slice(&word.to_be_bytes());
        }
    }
}

x86_rows!("avx2");
load_by_rows!("avx2");
lane_kernel!("avx2", 8);
parent!("avx2");
