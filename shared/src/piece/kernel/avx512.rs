//! x86 with AVX-512: sixteen lanes, rotations and three-way logic in one instruction each.

use super::constants::{IV, K, LAST_WORD, PADDING_K};
use super::lanes::lane_kernel;
use super::{Node, Quad, MAX_RUN, QUAD};
use core::arch::x86_64::*;

type V = __m512i;

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn splat(word: u32) -> V {
    _mm512_set1_epi32(word as i32)
}
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn add(a: V, b: V) -> V {
    _mm512_add_epi32(a, b)
}
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn xor(a: V, b: V) -> V {
    _mm512_xor_si512(a, b)
}
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn and(a: V, b: V) -> V {
    _mm512_and_si512(a, b)
}
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn shr<const R: u32>(a: V) -> V {
    _mm512_srli_epi32::<R>(a)
}
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn rotr<const R: i32, const _L: i32>(a: V) -> V {
    _mm512_ror_epi32::<R>(a)
}
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn xor3(a: V, b: V, c: V) -> V {
    _mm512_ternarylogic_epi32::<0x96>(a, b, c)
}
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn choose(e: V, f: V, g: V) -> V {
    _mm512_ternarylogic_epi32::<0xca>(e, f, g)
}
/// The majority of a, b and c; nothing needs to be carried to the next round here.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn majority(a: V, b: V, c: V, bc: V) -> (V, V) {
    (_mm512_ternarylogic_epi32::<0xe8>(a, b, c), bc)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn load(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: reads the 16 bytes of the array; any alignment will do.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// The 16 bytes at `AT` of a quad, shifted down by `DOWN` bits (`UP` is 64 less that).
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn shifted<const AT: usize, const DOWN: i32, const UP: i32>(quad: &Quad) -> __m128i {
    let here = load(quad[AT..].first_chunk().expect("at most 111, of 127 bytes"));
    if DOWN == 0 {
        return here;
    }
    // Behind the last element there is nothing, and its upper two bits are cleared anyway.
    let next = if AT + 24 > QUAD {
        _mm_srli_si128::<8>(here)
    } else {
        load(quad[AT + 8..].first_chunk().expect("24 bytes are left, as just seen"))
    };
    _mm_or_si128(_mm_srli_epi64::<DOWN>(here), _mm_slli_epi64::<UP>(next))
}

/// Four big-endian words of each lane become four vectors of one word each.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn transpose(rows: &[__m128i; LANES], out: &mut [V; 4]) {
    let bytes = _mm512_set4_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203);
    // Lanes 4·q to 4·q + 3 in quarter q of each row.
    let mut r = [_mm512_setzero_si512(); 4];
    for i in 0..4 {
        let low = _mm256_set_m128i(rows[i + 4], rows[i]);
        let high = _mm256_set_m128i(rows[i + 12], rows[i + 8]);
        r[i] = _mm512_shuffle_epi8(_mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high), bytes);
    }
    let (a, b) = (_mm512_unpacklo_epi32(r[0], r[1]), _mm512_unpackhi_epi32(r[0], r[1]));
    let (c, d) = (_mm512_unpacklo_epi32(r[2], r[3]), _mm512_unpackhi_epi32(r[2], r[3]));
    *out = [
        _mm512_unpacklo_epi64(a, c),
        _mm512_unpackhi_epi64(a, c),
        _mm512_unpacklo_epi64(b, d),
        _mm512_unpackhi_epi64(b, d),
    ];
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn gather(words: &[u32; LANES]) -> V {
    // SAFETY: reads the 64 bytes of the array; any alignment will do.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

/// Writes each lane's eight words as big-endian bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn store(s: &[V; 8], out: &mut [Node]) {
    for (i, vector) in s.iter().enumerate() {
        let mut words = [0u32; LANES];
        // SAFETY: writes the 64 bytes of the array; any alignment will do.
        unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), *vector) };
        for (node, word) in out.iter_mut().zip(words) {
            node[4 * i..4 * i + 4].copy_from_slice(&word.to_be_bytes());
        }
    }
}

lane_kernel!("avx512f,avx512bw,avx512vl,avx512dq", 16);
