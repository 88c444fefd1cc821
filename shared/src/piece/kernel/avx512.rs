//! x86 with AVX-512: sixteen lanes, rotations and three-way logic in one instruction each.

use super::constants::{IV, K, LAST_WORD, PADDING_K};
use super::lanes::{lane_kernel, parent};
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

/// 32 bytes of one quad in the lower half, and of another in the upper.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn pair(low: &[u8; 32], high: &[u8; 32]) -> V {
    // SAFETY: reads the 32 bytes of each array; any alignment will do.
    let (low, high) = unsafe {
        (
            _mm256_loadu_si256(low.as_ptr().cast()),
            _mm256_loadu_si256(high.as_ptr().cast()),
        )
    };
    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high)
}

/// The field element at byte `AT` of two quads, shifted down by `DOWN` bits (`UP` is 64 less that).
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn shifted<const AT: usize, const DOWN: u32, const UP: u32>(low: &Quad, high: &Quad) -> V {
    let here = pair(
        low[AT..].first_chunk().expect("at most 95, of 127 bytes"),
        high[AT..].first_chunk().expect("at most 95, of 127 bytes"),
    );
    if DOWN == 0 {
        return here;
    }
    // Behind the last element there is nothing, and its upper two bits are cleared anyway.
    let next = if AT + 40 > QUAD {
        _mm512_permutex_epi64::<0b11_11_10_01>(here)
    } else {
        pair(
            low[AT + 8..].first_chunk().expect("40 bytes are left, as just seen"),
            high[AT + 8..].first_chunk().expect("40 bytes are left, as just seen"),
        )
    };
    _mm512_or_si512(_mm512_srli_epi64::<DOWN>(here), _mm512_slli_epi64::<UP>(next))
}

/// Words from big-endian bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn swap(x: V) -> V {
    _mm512_shuffle_epi8(x, _mm512_set4_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203))
}

/// In each quarter of 128 bits: word i of each of the four rows, in vector i.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn quarters(r: [V; 4]) -> [V; 4] {
    let (a, b) = (_mm512_unpacklo_epi32(r[0], r[1]), _mm512_unpackhi_epi32(r[0], r[1]));
    let (c, d) = (_mm512_unpacklo_epi32(r[2], r[3]), _mm512_unpackhi_epi32(r[2], r[3]));
    [
        _mm512_unpacklo_epi64(a, c),
        _mm512_unpackhi_epi64(a, c),
        _mm512_unpacklo_epi64(b, d),
        _mm512_unpackhi_epi64(b, d),
    ]
}

/// Loads elements 2·`pair` and 2·`pair` + 1 (Fr32) of one quad for each lane, as words.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn fill(w: &mut [V; 16], bytes: &[u8], run: usize, pair: usize) {
    macro_rules! element {
        ($to:literal, $at:literal, $down:literal, $up:literal) => {{
            let quad = |lane: usize| bytes[lane * run..].first_chunk().expect("the caller gives whole runs");
            macro_rules! row {
                ($lane:expr) => {
                    swap(shifted::<$at, $down, $up>(quad($lane), quad($lane + 4)))
                };
            }
            // Lanes 0 to 7, then 8 to 15: words 0 to 3 and 4 to 7 of each lane lie side by side.
            let low = quarters([row!(0), row!(1), row!(2), row!(3)]);
            let high = quarters([row!(8), row!(9), row!(10), row!(11)]);
            for i in 0..4 {
                w[$to + i] = _mm512_shuffle_i64x2::<0x88>(low[i], high[i]);
                w[$to + 4 + i] = _mm512_shuffle_i64x2::<0xdd>(low[i], high[i]);
            }
            w[$to + 7] = and(w[$to + 7], splat(LAST_WORD));
        }};
    }
    if pair == 0 {
        element!(0, 0, 0, 0);
        element!(8, 31, 6, 58);
    } else {
        element!(0, 63, 4, 60);
        element!(8, 95, 2, 62);
    }
}

/// Block `at` of each lane, as words. Each lane's 64 bytes are read at once: lanes a power of two apart share the few
/// places that a cache has for them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn message(blocks: &[&[[u8; 64]]; LANES], at: usize) -> [V; 16] {
    let mut w = [splat(0); 16];
    let mut fours = [[splat(0); 4]; 4];
    for (four, lanes) in fours.iter_mut().zip(blocks.as_chunks::<4>().0) {
        let mut rows = [splat(0); 4];
        for (row, blocks) in rows.iter_mut().zip(lanes) {
            // SAFETY: reads the 64 bytes of the block; any alignment will do.
            *row = swap(unsafe { _mm512_loadu_si512(blocks[at].as_ptr().cast()) });
        }
        *four = quarters(rows);
    }
    for i in 0..4 {
        let (a, b) = (
            _mm512_shuffle_i64x2::<0x44>(fours[0][i], fours[1][i]),
            _mm512_shuffle_i64x2::<0xee>(fours[0][i], fours[1][i]),
        );
        let (c, d) = (
            _mm512_shuffle_i64x2::<0x44>(fours[2][i], fours[3][i]),
            _mm512_shuffle_i64x2::<0xee>(fours[2][i], fours[3][i]),
        );
        w[i] = _mm512_shuffle_i64x2::<0x88>(a, c);
        w[4 + i] = _mm512_shuffle_i64x2::<0xdd>(a, c);
        w[8 + i] = _mm512_shuffle_i64x2::<0x88>(b, d);
        w[12 + i] = _mm512_shuffle_i64x2::<0xdd>(b, d);
    }
    w
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
parent!("avx512f,avx512bw,avx512vl,avx512dq");
