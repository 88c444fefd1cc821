//! Arithmetic on eight lanes with AVX-512 IFMA: 52-bit limbs, Montgomery form, lazily reduced.
//!
//! A [`V`] holds one limb of eight numbers. The base field has 8 limbs (R = 2^416: 35 bits of slack above p), the scalar
//! field 5 (R = 2^260: 5 bits of slack). Each function says how large its operands may be and how large its result is;
//! the tests hold them to it at the edges.
//!
//! A number is *carried* when its limbs are of 52 bits each (the last may be longer); multiplication reads no more than 52
//! bits of a limb. Sums and differences leave limbs of any sign until [`carry`].
//!
//! There is no kernel for AVX2: without a 52-bit multiplication it is left with 32 × 32 bits on four lanes, which is no
//! faster than the scalar unit's 64 × 64 with two carry chains (`mulx`, `adx`), what blst uses.
#![allow(clippy::needless_range_loop, clippy::manual_memcpy)] // Limbs of several numbers are indexed together.
#![allow(clippy::missing_safety_doc)] // `tf!` says what all of its functions need; pointers are to what the first line names.

mod fp;
mod fp2;
mod fr;
#[cfg(test)]
mod tests;

pub use crate::constants::*;
pub use crate::field::{Field, ScalarField};
pub use fp::{pack, pmul, row_of_be, row_to_be, rows, unpack, Fp};
pub use fp2::Fp2;
pub use fr::{reduce_r, rmul, Fr};

use std::arch::x86_64::*;

/// One limb of eight numbers.
pub type V = __m512i;

/// Defines a function compiled for the features of [`Kernel::Ifma`](crate::Kernel::Ifma): `tf! { pub fn … }`, which is safe
/// and may be called from its like, or `tf! { pub unsafe fn … }`. Anyone else calls either in an `unsafe` block, after
/// [`Kernel::best`](crate::Kernel::best) said so.
#[macro_export]
macro_rules! tf {
    ($(#[$m:meta])* $v:vis unsafe fn $($rest:tt)*) => {
        $(#[$m])* #[inline] #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl,avx512bw,avx512vbmi,bmi2,adx")]
        $v unsafe fn $($rest)*
    };
    ($(#[$m:meta])* $v:vis fn $($rest:tt)*) => {
        $(#[$m])* #[inline] #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl,avx512bw,avx512vbmi,bmi2,adx")]
        $v fn $($rest)*
    };
}
use crate::tf;

tf! { /// The same word on all lanes.
pub fn bc(x: u64) -> V { _mm512_set1_epi64(x as i64) } }

tf! { /// a·b / 2^(52·L), below a·b/2^(52·L) + p; operands carried.
///
/// The whole product first, then the reduction. The steps are written out by a macro because LLVM leaves a loop of them
/// rolled, with the limbs in memory: half the speed.
pub fn mont<const L: usize>(a: &[V; L], b: &[V; L], p: &[u64; L], inv: u64) -> [V; L] {
    let mut t = [_mm512_setzero_si512(); 16];
    macro_rules! row { ($($i:literal)*) => { $( if $i < L {
        for j in 0..L { t[$i + j] = _mm512_madd52lo_epu64(t[$i + j], a[j], b[$i]); }
        for j in 0..L { t[$i + j + 1] = _mm512_madd52hi_epu64(t[$i + j + 1], a[j], b[$i]); }
    } )* } }
    row!(0 1 2 3 4 5 6 7);
    redc(t, p, inv)
}}
tf! { /// a² / 2^(52·L), as [`mont`].
pub fn mont_sqr<const L: usize>(a: &[V; L], p: &[u64; L], inv: u64) -> [V; L] {
    let mut t = [_mm512_setzero_si512(); 16];
    macro_rules! row { ($($i:literal)*) => { $( if $i < L {
        for j in $i + 1..L { t[$i + j] = _mm512_madd52lo_epu64(t[$i + j], a[j], a[$i]); }
        for j in $i + 1..L { t[$i + j + 1] = _mm512_madd52hi_epu64(t[$i + j + 1], a[j], a[$i]); }
    } )* } }
    row!(0 1 2 3 4 5 6 7);
    for k in 1..2 * L - 1 { t[k] = _mm512_add_epi64(t[k], t[k]); }
    for j in 0..L {
        t[2 * j] = _mm512_madd52lo_epu64(t[2 * j], a[j], a[j]);
        t[2 * j + 1] = _mm512_madd52hi_epu64(t[2 * j + 1], a[j], a[j]);
    }
    redc(t, p, inv)
}}
tf! { /// Montgomery's reduction of a product of 2·L limbs, each below 2^57 or so.
fn redc<const L: usize>(mut t: [V; 16], p: &[u64; L], inv: u64) -> [V; L] {
    let (zero, mask, inv) = (_mm512_setzero_si512(), bc(MASK), bc(inv));
    macro_rules! step { ($($i:literal)*) => { $( if $i < L {
        let m = _mm512_madd52lo_epu64(zero, t[$i], inv);
        // t + low(m·p0) is 0 modulo 2^52: its carry is known without the product.
        let carry = _mm512_srli_epi64::<52>(_mm512_add_epi64(t[$i], mask));
        let high = _mm512_madd52hi_epu64(carry, m, bc(p[0]));
        t[$i + 1] = _mm512_add_epi64(_mm512_madd52lo_epu64(t[$i + 1], m, bc(p[1])), high);
        for j in 2..L { t[$i + j] = _mm512_madd52lo_epu64(t[$i + j], m, bc(p[j])); }
        for j in 1..L { t[$i + j + 1] = _mm512_madd52hi_epu64(t[$i + j + 1], m, bc(p[j])); }
    } )* } }
    step!(0 1 2 3 4 5 6 7);
    let mut out = [zero; L];
    for j in 0..L { out[j] = t[L + j]; }
    carry(out)
}}
tf! { /// Limbs of any sign and below 2^63, of a number that is not negative, to 52 bits each; the last takes what is left.
pub fn carry<const L: usize>(mut t: [V; L]) -> [V; L] {
    let mask = bc(MASK);
    for j in 0..L - 1 {
        t[j + 1] = _mm512_add_epi64(t[j + 1], _mm512_srai_epi64::<52>(t[j]));
        t[j] = _mm512_and_si512(t[j], mask);
    }
    t
}}
tf! { /// a + b, not carried.
pub fn add<const L: usize>(a: &[V; L], b: &[V; L]) -> [V; L] {
    let mut t = *a;
    for j in 0..L { t[j] = _mm512_add_epi64(a[j], b[j]); }
    t
}}
tf! { /// a - b, not carried; limbs may be negative.
pub fn sub<const L: usize>(a: &[V; L], b: &[V; L]) -> [V; L] {
    let mut t = *a;
    for j in 0..L { t[j] = _mm512_sub_epi64(a[j], b[j]); }
    t
}}
tf! { /// a + b on every lane, not carried.
pub fn add_const<const L: usize>(a: &[V; L], b: &[u64; L]) -> [V; L] {
    let mut t = *a;
    for j in 0..L { t[j] = _mm512_add_epi64(a[j], bc(b[j])); }
    t
}}
tf! { /// The same number on every lane.
pub fn splat<const L: usize>(a: &[u64; L]) -> [V; L] {
    let mut t = [_mm512_setzero_si512(); L];
    for j in 0..L { t[j] = bc(a[j]); }
    t
}}
tf! { /// The numbers of all limbs with lane i moved to lane i xor `s`; s is 1, 2 or 4.
pub(crate) fn swap<const L: usize>(x: &[V; L], s: i64) -> [V; L] {
    let index = _mm512_set_epi64(7 ^ s, 6 ^ s, 5 ^ s, 4 ^ s, 3 ^ s, 2 ^ s, 1 ^ s, s);
    let mut t = *x;
    for j in 0..L { t[j] = _mm512_permutexvar_epi64(index, x[j]); }
    t
}}
tf! { /// Eight rows of eight words to columns, and back.
pub fn transpose(r: [V; 8]) -> [V; 8] {
    let u = |a, b| (_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    let (a0, a1) = u(r[0], r[1]); // a0: 00 10 02 12 04 14 06 16; a1: 01 11 03 13 ...
    let (a2, a3) = u(r[2], r[3]);
    let (a4, a5) = u(r[4], r[5]);
    let (a6, a7) = u(r[6], r[7]);
    let s = |a, b| (_mm512_shuffle_i64x2::<0x88>(a, b), _mm512_shuffle_i64x2::<0xdd>(a, b));
    let (b0, b2) = s(a0, a2); // b0: lanes 0,2 of a0 and of a2; b2: lanes 1,3
    let (b1, b3) = s(a1, a3);
    let (b4, b6) = s(a4, a6);
    let (b5, b7) = s(a5, a7);
    let (c0, c4) = s(b0, b4);
    let (c1, c5) = s(b1, b5);
    let (c2, c6) = s(b2, b6);
    let (c3, c7) = s(b3, b7);
    [c0, c1, c2, c3, c4, c5, c6, c7]
}}
