//! WebAssembly with 128-bit vectors: four lanes. Where it can be, the node hash is that of the module `ordered`, whose
//! instructions are in the order in which a browser does them fastest.

#[cfg(not(ordered_kernel))]
use super::constants::IV;
use super::constants::{K, LAST_WORD, PADDING_K};
#[cfg(not(ordered_kernel))]
use super::lanes::parent;
use super::lanes::{lane_kernel, load_by_rows};
use super::{Node, Quad, MAX_RUN, QUAD};
use core::arch::wasm32::*;

type V = v128;

#[inline]
#[target_feature(enable = "simd128")]
fn splat(word: u32) -> V {
    u32x4_splat(word)
}
#[inline]
#[target_feature(enable = "simd128")]
fn add(a: V, b: V) -> V {
    u32x4_add(a, b)
}
#[inline]
#[target_feature(enable = "simd128")]
fn xor(a: V, b: V) -> V {
    v128_xor(a, b)
}
#[inline]
#[target_feature(enable = "simd128")]
fn and(a: V, b: V) -> V {
    v128_and(a, b)
}
#[inline]
#[target_feature(enable = "simd128")]
fn shr<const R: u32>(a: V) -> V {
    u32x4_shr(a, R)
}
#[inline]
#[target_feature(enable = "simd128")]
fn rotr<const R: u32, const L: u32>(a: V) -> V {
    v128_or(u32x4_shr(a, R), u32x4_shl(a, L))
}
#[inline]
#[target_feature(enable = "simd128")]
fn xor3(a: V, b: V, c: V) -> V {
    xor(xor(a, b), c)
}
#[inline]
#[target_feature(enable = "simd128")]
fn choose(e: V, f: V, g: V) -> V {
    xor(g, and(e, xor(f, g)))
}
/// The majority of a, b and c, and a ⊕ b, from b ⊕ c.
#[inline]
#[target_feature(enable = "simd128")]
fn majority(a: V, b: V, _c: V, bc: V) -> (V, V) {
    let ab = xor(a, b);
    (xor(b, and(ab, bc)), ab)
}

#[inline]
#[target_feature(enable = "simd128")]
fn load(bytes: &[u8; 16]) -> V {
    // SAFETY: reads the 16 bytes of the array; any alignment will do.
    unsafe { v128_load(bytes.as_ptr().cast()) }
}

/// The 16 bytes at `AT` of a quad, shifted down by `DOWN` bits (`UP` is 64 less that).
#[inline]
#[target_feature(enable = "simd128")]
fn shifted<const AT: usize, const DOWN: u32, const UP: u32>(quad: &Quad) -> V {
    let here = load(quad[AT..].first_chunk().expect("at most 111, of 127 bytes"));
    if DOWN == 0 {
        return here;
    }
    // Behind the last element there is nothing, and its upper two bits are cleared anyway.
    let next = if AT + 24 > QUAD {
        u64x2_shuffle::<1, 2>(here, u64x2_splat(0))
    } else {
        load(quad[AT + 8..].first_chunk().expect("24 bytes are left, as just seen"))
    };
    v128_or(u64x2_shr(here, DOWN), u64x2_shl(next, UP))
}

/// Four big-endian words of each lane become four vectors of one word each.
#[inline]
#[target_feature(enable = "simd128")]
fn transpose(rows: &[V; LANES], out: &mut [V; 4]) {
    let mut r = *rows;
    for row in &mut r {
        *row = u8x16_shuffle::<3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12>(*row, *row);
    }
    let (a, b) = (
        u32x4_shuffle::<0, 4, 1, 5>(r[0], r[1]),
        u32x4_shuffle::<2, 6, 3, 7>(r[0], r[1]),
    );
    let (c, d) = (
        u32x4_shuffle::<0, 4, 1, 5>(r[2], r[3]),
        u32x4_shuffle::<2, 6, 3, 7>(r[2], r[3]),
    );
    *out = [
        u64x2_shuffle::<0, 2>(a, c),
        u64x2_shuffle::<1, 3>(a, c),
        u64x2_shuffle::<0, 2>(b, d),
        u64x2_shuffle::<1, 3>(b, d),
    ];
}

#[inline]
#[target_feature(enable = "simd128")]
fn gather(words: &[u32; LANES]) -> V {
    u32x4(words[0], words[1], words[2], words[3])
}

/// Writes each lane's eight words as big-endian bytes.
#[inline]
#[target_feature(enable = "simd128")]
fn store(s: &[V; 8], out: &mut [Node]) {
    for (i, vector) in s.iter().enumerate() {
        let v = *vector;
        let words = [
            u32x4_extract_lane::<0>(v),
            u32x4_extract_lane::<1>(v),
            u32x4_extract_lane::<2>(v),
            u32x4_extract_lane::<3>(v),
        ];
        for (node, word) in out.iter_mut().zip(words) {
            node[4 * i..4 * i + 4].copy_from_slice(&word.to_be_bytes());
        }
    }
}

load_by_rows!("simd128");
lane_kernel!("simd128", 4);
#[cfg(not(ordered_kernel))]
parent!("simd128");

/// The nodes over the children in `w`, which is used up.
#[cfg(ordered_kernel)]
#[inline]
#[target_feature(enable = "simd128")]
fn parent(w: &mut [V; 16], out: &mut [V; 8], _sums: &[u32; 128]) {
    super::ordered::node(w, out)
}
