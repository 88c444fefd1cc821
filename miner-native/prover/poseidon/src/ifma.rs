//! Sixteen hashes at a time: two vectors of eight lanes side by side, so that one's products fill the other's waits.
//!
//! Numbers are five limbs of 52 bits, reduced lazily: a stored number is below 2^260 = 35 r and carried, `bounds` computes
//! what it really comes to. Every function is one block of straight code: rows of limbs are unrolled by macros, since LLVM
//! leaves such loops rolled with the limbs in memory, at half the speed; and none is inlined, since together they do not
//! fit into the registers.

#![allow(clippy::needless_range_loop)] // Limbs of several numbers are indexed together.

use crate::schedule::{Radix, Schedule, HALF};
use crate::Elements;
use sealdrop_lanes::ifma::{bc, carry, V};
use sealdrop_lanes::{MASK, R, R64, R_INV};
use std::arch::x86_64::*;

/// Five limbs of 52 bits.
pub(crate) type Limbs = [u64; 5];
/// One element of sixteen hashes: limbs of the first eight, then of the others.
type Element = [[V; 5]; 2];

pub(crate) const RADIX: Radix = Radix {
    square: 260,
    sum: 260,
    limb: 52,
};

/// Hashes that are computed together.
pub(crate) const GROUP: usize = 16;

/// Fewer hashes than these are cheaper one by one than in a group that is filled up.
pub(crate) const FEWEST: usize = 4;

/// Elements kept of the recurrence's past: short, so that it stays in the first cache beside the constants. A window has
/// at most 22.
const RING: usize = 40;

/// Whether this processor has every feature that these functions are compiled for.
pub(crate) fn available() -> bool {
    sealdrop_lanes::Kernel::detected() == sealdrop_lanes::Kernel::Ifma
}

macro_rules! far {
    ($(#[$m:meta])* $v:vis fn $($rest:tt)*) => {
        $(#[$m])* #[inline(never)]
        #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl,avx512bw,avx512vbmi,bmi2,adx")]
        $v fn $($rest)*
    };
}

/// The accumulators, ten limbs on both halves, beginning with a constant that is added before the reduction.
macro_rules! begin {
    ($k:expr) => {{
        let k: &Limbs = $k;
        let mut t = [[_mm512_setzero_si512(); 10]; 2];
        for j in 0..5 {
            t[0][j] = bc(k[j]);
            t[1][j] = t[0][j];
        }
        t
    }};
}
/// t += a·k, k a constant
macro_rules! multiply_add { ($t:ident, $a:expr, $k:expr) => {{
    let (a, k): (&Element, &Limbs) = ($a, $k);
    multiply_add!(@rows $t, a, k, 0 1 2 3 4);
}};
(@rows $t:ident, $a:ident, $k:ident, $($i:literal)*) => { $( {
    let k = bc($k[$i]);
    for j in 0..5 {
        $t[0][$i + j] = _mm512_madd52lo_epu64($t[0][$i + j], $a[0][j], k);
        $t[1][$i + j] = _mm512_madd52lo_epu64($t[1][$i + j], $a[1][j], k);
    }
    for j in 0..5 {
        $t[0][$i + j + 1] = _mm512_madd52hi_epu64($t[0][$i + j + 1], $a[0][j], k);
        $t[1][$i + j + 1] = _mm512_madd52hi_epu64($t[1][$i + j + 1], $a[1][j], k);
    }
} )* };
}
/// t += a·b
macro_rules! multiply { ($t:ident, $a:expr, $b:expr) => {{
    let (a, b): (&Element, &Element) = ($a, $b);
    multiply!(@rows $t, a, b, 0 1 2 3 4);
}};
(@rows $t:ident, $a:ident, $b:ident, $($i:literal)*) => { $(
    for g in 0..2 {
        let b = $b[g][$i];
        for j in 0..5 { $t[g][$i + j] = _mm512_madd52lo_epu64($t[g][$i + j], $a[g][j], b); }
        for j in 0..5 { $t[g][$i + j + 1] = _mm512_madd52hi_epu64($t[g][$i + j + 1], $a[g][j], b); }
    }
)* };
}
/// a²: products of different limbs once, doubled.
macro_rules! square { ($a:expr) => {{
    let a: &Element = $a;
    let mut t = [[_mm512_setzero_si512(); 10]; 2];
    square!(@rows t, a, 0 1 2 3);
    for g in 0..2 {
        for k in 1..9 { t[g][k] = _mm512_add_epi64(t[g][k], t[g][k]); }
        for j in 0..5 {
            let x = a[g][j];
            t[g][2 * j] = _mm512_madd52lo_epu64(t[g][2 * j], x, x);
            t[g][2 * j + 1] = _mm512_madd52hi_epu64(t[g][2 * j + 1], x, x);
        }
    }
    t
}};
(@rows $t:ident, $a:ident, $($i:literal)*) => { $(
    for g in 0..2 {
        let b = $a[g][$i];
        for j in $i + 1..5 { $t[g][$i + j] = _mm512_madd52lo_epu64($t[g][$i + j], $a[g][j], b); }
        for j in $i + 1..5 { $t[g][$i + j + 1] = _mm512_madd52hi_epu64($t[g][$i + j + 1], $a[g][j], b); }
    }
)* };
}
/// Montgomery's steps: each adds a multiple of r that makes the lowest limb left zero. t + low(m·r0) being zero modulo 2^52,
/// its carry is known without the product.
macro_rules! steps { ($t:ident, $($i:literal)*) => {{
    let (zero, mask, inverse) = (_mm512_setzero_si512(), bc(MASK), bc(R_INV));
    $( {
        for g in 0..2 {
            let t = &mut $t[g];
            let m = _mm512_madd52lo_epu64(zero, t[$i], inverse);
            let carry = _mm512_srli_epi64::<52>(_mm512_add_epi64(t[$i], mask));
            let high = _mm512_madd52hi_epu64(carry, m, bc(R[0]));
            t[$i + 1] = _mm512_add_epi64(_mm512_madd52lo_epu64(t[$i + 1], m, bc(R[1])), high);
            for j in 2..5 { t[$i + j] = _mm512_madd52lo_epu64(t[$i + j], m, bc(R[j])); }
            for j in 1..5 { t[$i + j + 1] = _mm512_madd52hi_epu64(t[$i + j + 1], m, bc(R[j])); }
        }
    } )*
}} }
/// Carries five limbs, from `from` on, to `out`.
macro_rules! finish {
    ($t:ident, $from:expr, $out:expr) => {{
        let out: &mut Element = $out;
        let mask = bc(MASK);
        for g in 0..2 {
            let t = &mut $t[g];
            for j in $from..$from + 4 {
                t[j + 1] = _mm512_add_epi64(t[j + 1], _mm512_srli_epi64::<52>(t[j]));
                t[j] = _mm512_and_si512(t[j], mask);
            }
            for j in 0..5 {
                out[g][j] = t[$from + j];
            }
        }
    }};
}
/// The S-box up to its last reduction: the accumulators of a·a^4 / 2^780 + k.
macro_rules! fifth { ($a:expr, $k:expr) => {{
    let mut power: Element = [[_mm512_setzero_si512(); 5]; 2];
    { let mut t = square!($a); steps!(t, 0 1 2 3 4); finish!(t, 5, &mut power); }
    { let mut t = square!(&power); steps!(t, 0 1 2 3 4); finish!(t, 5, &mut power); }
    let mut t = begin!($k);
    multiply!(t, $a, &power);
    steps!(t, 0 1 2 3 4);
    t
}} }

far! { /// `Σ a[i]·k[i] / 2^260`, with `add` before the division.
fn sum(a: &[Element], k: &[Limbs], add: &Limbs, out: &mut Element) {
    let mut t = begin!(add);
    for (a, k) in a.iter().zip(k) { multiply_add!(t, a, k); }
    steps!(t, 0 1 2 3 4);
    finish!(t, 5, out);
}}
far! { /// As [`sum`], not carried.
fn sum_loose(a: &[Element], k: &[Limbs], add: &Limbs, out: &mut Element) {
    let mut t = begin!(add);
    for (a, k) in a.iter().zip(k) { multiply_add!(t, a, k); }
    steps!(t, 0 1 2 3 4);
    for g in 0..2 { for j in 0..5 { out[g][j] = t[g][5 + j]; } }
}}
far! { /// `Σ a[i]·h[i] / 2^52`, h of one limb.
fn sum_limb(a: &[Element], h: &[u64], out: &mut Element) {
    let mut t = [[_mm512_setzero_si512(); 6]; 2];
    for (a, h) in a.iter().zip(h) {
        let h = bc(*h);
        for j in 0..5 {
            t[0][j] = _mm512_madd52lo_epu64(t[0][j], a[0][j], h);
            t[1][j] = _mm512_madd52lo_epu64(t[1][j], a[1][j], h);
        }
        for j in 0..5 {
            t[0][j + 1] = _mm512_madd52hi_epu64(t[0][j + 1], a[0][j], h);
            t[1][j + 1] = _mm512_madd52hi_epu64(t[1][j + 1], a[1][j], h);
        }
    }
    steps!(t, 0);
    finish!(t, 1, out);
}}
far! { /// a^5 / 2^1040, with k before the last division.
fn sbox(a: &Element, k: &Limbs, out: &mut Element) {
    let mut t = fifth!(a, k);
    finish!(t, 5, out);
}}
far! { /// `out[0] = a^5 / 2^1040`, `out[1]` = that + rest, which need not be carried.
fn sbox_and(a: &Element, rest: &Element, out: &mut [Element; 2]) {
    let mut t = fifth!(a, &[0; 5]);
    let mut u = t;
    for g in 0..2 { for j in 0..5 { u[g][5 + j] = _mm512_add_epi64(t[g][5 + j], rest[g][j]); } }
    finish!(u, 5, &mut out[1]);
    finish!(t, 5, &mut out[0]);
}}

/// `stride` bytes apart: the places of eight lanes.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn places(stride: usize) -> V {
    _mm512_mullo_epi64(
        _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0),
        _mm512_set1_epi64(stride as i64),
    )
}

far! { /// Reads an element of sixteen hashes, `stride` bytes apart, and adds k. False if one of them has r's top word or a
/// larger one: they may be below r nevertheless, the caller finds out.
fn load(from: &[u8], stride: usize, k: &Limbs, out: &mut Element) -> bool {
    assert!(from.len() >= (GROUP - 1) * stride + 32, "the caller checked the lengths");
    let (mask, index) = (bc(MASK), places(stride));
    let mut wrong = 0;
    for g in 0..2 {
        // SAFETY: lane i reads 32 bytes at (8g + i)·stride, at most at 15·stride: within `from`, as asserted.
        let [w0, w1, w2, w3] = unsafe {
            let p = from.as_ptr().add(8 * g * stride);
            [
                _mm512_i64gather_epi64::<1>(index, p.cast()),
                _mm512_i64gather_epi64::<1>(index, p.add(8).cast()),
                _mm512_i64gather_epi64::<1>(index, p.add(16).cast()),
                _mm512_i64gather_epi64::<1>(index, p.add(24).cast()),
            ]
        };
        wrong |= _mm512_cmpge_epu64_mask(w3, bc(R64[3]));
        let mut t = [
            _mm512_and_si512(w0, mask),
            _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64::<52>(w0), _mm512_slli_epi64::<12>(w1)), mask),
            _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64::<40>(w1), _mm512_slli_epi64::<24>(w2)), mask),
            _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64::<28>(w2), _mm512_slli_epi64::<36>(w3)), mask),
            _mm512_srli_epi64::<16>(w3),
        ];
        for j in 0..5 { t[j] = _mm512_add_epi64(t[j], bc(k[j])); }
        out[g] = carry(t);
    }
    wrong == 0
}}
far! { /// Writes sixteen numbers below 2r, reduced, one after the other.
fn store(x: &Element, out: &mut [u8; GROUP * 32]) {
    let index = places(32);
    for g in 0..2 {
        let mut t = x[g];
        let mut less = t;
        for j in 0..5 { less[j] = _mm512_sub_epi64(less[j], bc(R[j])); }
        let less = carry(less);
        let negative = _mm512_movepi64_mask(less[4]);
        for j in 0..5 { t[j] = _mm512_mask_mov_epi64(less[j], negative, t[j]); }
        let or = |a, b| _mm512_or_si512(a, b);
        let w0 = or(t[0], _mm512_slli_epi64::<52>(t[1]));
        let w1 = or(_mm512_srli_epi64::<12>(t[1]), _mm512_slli_epi64::<40>(t[2]));
        let w2 = or(_mm512_srli_epi64::<24>(t[2]), _mm512_slli_epi64::<28>(t[3]));
        let w3 = or(_mm512_srli_epi64::<36>(t[3]), _mm512_slli_epi64::<16>(t[4]));
        // SAFETY: lane i writes 32 bytes at 32·(8g + i), at most at 480: within `out`.
        unsafe {
            let p = out.as_mut_ptr().add(256 * g);
            _mm512_i64scatter_epi64::<1>(p.cast(), index, w0);
            _mm512_i64scatter_epi64::<1>(p.add(8).cast(), index, w1);
            _mm512_i64scatter_epi64::<1>(p.add(16).cast(), index, w2);
            _mm512_i64scatter_epi64::<1>(p.add(24).cast(), index, w3);
        }
    }
}}

/// What one call computes with: the state twice, and the recurrence's past.
struct Scratch<const T: usize> {
    state: [Element; T],
    other: [Element; T],
    past: [Element; RING],
}

far! { /// Hashes as many whole groups of sixteen as `out` has room for; returns how many groups it did. It stops before a group
/// with an element that it cannot judge.
pub(crate) fn hash_groups<const T: usize>(schedule: &Schedule<T, Limbs>, from: &Elements<'_>, out: &mut [u8]) -> usize {
    let zero = [[_mm512_setzero_si512(); 5]; 2];
    let mut scratch = Scratch { state: [zero; T], other: [zero; T], past: [zero; RING] };
    let (groups, _) = out.as_chunks_mut::<{ GROUP * 32 }>();
    for (group, out) in groups.iter_mut().enumerate() {
        for ((at, k), element) in from.at.iter().zip(&schedule.pre[1..]).zip(&mut scratch.state[1..]) {
            if !load(&at[(from.first + group * GROUP) * from.stride..], from.stride, k, element) {
                return group;
            }
        }
        permute(schedule, &mut scratch);
        store(&scratch.state[0], out);
    }
    groups.len()
}}
far! { /// From the inputs in `state` to the hash in `state[0]`, below 2r.
fn permute<const T: usize>(schedule: &Schedule<T, Limbs>, scratch: &mut Scratch<T>) {
    let Scratch { state, other, .. } = scratch;
    for g in 0..2 { for j in 0..5 { other[0][g][j] = bc(schedule.tag[j]); } }
    for j in 1..T { sbox(&state[j], &schedule.post[0][j], &mut other[j]); }
    for round in 1..HALF {
        for j in 0..T { sum_limb(other, &schedule.hilbert[j..j + T], &mut state[j]); }
        for j in 0..T { sbox(&state[j], &schedule.post[round][j], &mut other[j]); }
    }
    partial_rounds(schedule, scratch);
    let Scratch { state, other, .. } = scratch;
    for j in 0..T { sbox(&state[j], &schedule.post[HALF][j], &mut other[j]); }
    for round in HALF + 1..2 * HALF {
        for j in 0..T { sum_limb(other, &schedule.hilbert[j..j + T], &mut state[j]); }
        for j in 0..T { sbox(&state[j], &schedule.post[round][j], &mut other[j]); }
    }
    sum(other, &schedule.last, &[0; 5], &mut state[0]);
}}
far! { /// From the state after the fourth S-boxes in `other` to the one before the fifth in `state`.
fn partial_rounds<const T: usize>(schedule: &Schedule<T, Limbs>, scratch: &mut Scratch<T>) {
    let Scratch { state, other, past } = scratch;
    let n = T - 1;
    sum(other, &schedule.enter[0], &[0; 5], &mut state[0]);
    for i in 0..n { sum(other, &schedule.enter[1 + i], &[0; 5], &mut past[i]); }
    let rest = &mut other[0];
    let (mut start, mut end) = (0, n);
    let mut coefficients = &schedule.rounds[..];
    for (round, kappa) in schedule.kappa.iter().enumerate() {
        if end + 2 > RING {
            past.copy_within(start..end, 0);
            (start, end) = (0, end - start);
        }
        let (of_round, later) = coefficients.split_at(end - start);
        coefficients = later;
        sum_loose(&past[start..end], of_round, kappa, rest);
        let (before, after) = past.split_at_mut(end);
        let input = if round == 0 { &state[0] } else { &before[end - 1] };
        let next = after.first_chunk_mut().expect("the ring has room for two more: see above");
        sbox_and(input, rest, next);
        end += 2;
        start += if round < n { 1 } else { 2 };
    }
    for (j, add) in schedule.leave_add.iter().enumerate() {
        sum(&past[start..end], &schedule.leave[2 * n * j..2 * n * (j + 1)], add, &mut state[1 + j]);
    }
    state[0] = past[end - 1];
}}
far! { /// 1024 multiplications a round in 16 chains, enough to fill two ports of four cycles.
pub(crate) fn multiply(rounds: u64) {
    let mut t: [V; 16] = std::array::from_fn(|i| std::hint::black_box(i as u64 + 3)).map(|x| bc(x));
    let (a, b) = (bc(std::hint::black_box(MASK)), bc(std::hint::black_box(R_INV)));
    for _ in 0..64 * rounds {
        for t in &mut t { *t = _mm512_madd52lo_epu64(*t, a, b); }
    }
    std::hint::black_box(&t);
}}

#[cfg(test)]
mod tests {
    use super::*;
    use blstrs::Scalar;
    use ff::Field;

    /// The largest number that may be stored, far beyond what a hash stores: see `bounds`.
    const LARGEST: Limbs = [MASK; 5];
    /// r - 1, the largest constant.
    const CONSTANT: Limbs = {
        let mut k = R;
        k[0] -= 1;
        k
    };

    fn element(x: &Limbs) -> Scalar {
        x.iter().rev().fold(Scalar::ZERO, |sum, limb| {
            sum * Scalar::from(1 << 52) + Scalar::from(*limb)
        })
    }
    fn divided(x: Scalar, bits: u64) -> Scalar {
        x * Scalar::from(2u64).pow_vartime([bits]).invert().unwrap()
    }
    /// The number in one lane, which must be carried.
    fn lane(x: &Element, group: usize, lane: usize) -> Scalar {
        // SAFETY: a vector is eight words.
        let words = x[group].map(|v| unsafe { std::mem::transmute::<V, [u64; 8]>(v) }[lane]);
        assert!(words.iter().all(|limb| *limb <= MASK), "not carried");
        element(&words)
    }

    far! { fn largest_operands_lose_nothing() {
        let zero: Element = [[_mm512_setzero_si512(); 5]; 2];
        let one = |x: &Limbs| { let mut e = zero; for g in 0..2 { for j in 0..5 { e[g][j] = bc(x[j]); } } e };
        let large = one(&LARGEST);
        let mut out = [zero; 2];
        let (x, k) = (element(&LARGEST), element(&CONSTANT));
        let everywhere = |e: &Element, expected: Scalar| {
            (0..16).for_each(|i| assert_eq!(lane(e, i / 8, i % 8), expected));
        };
        sum(&[large; 22], &[CONSTANT; 22], &CONSTANT, &mut out[0]);
        everywhere(&out[0], divided(Scalar::from(22) * x * k + k, 260));
        sum_limb(&[large; 12], &[(1 << 47) - 1; 12], &mut out[0]);
        everywhere(&out[0], divided(Scalar::from(12 * ((1 << 47) - 1)) * x, 52));
        let mut rest = zero;
        sum_loose(&[large; 22], &[CONSTANT; 22], &CONSTANT, &mut rest);
        // From 34 r on squares grow, and the last sum must have room beside the S-box.
        let mut root = LARGEST;
        root[4] >>= 1;
        let (large, fifth) = (one(&root), divided(element(&root).pow_vartime([5]), 1040));
        sbox(&large, &CONSTANT, &mut out[0]);
        everywhere(&out[0], fifth + divided(k, 260));
        sbox_and(&large, &rest, &mut out);
        everywhere(&out[0], fifth);
        everywhere(&out[1], fifth + divided(Scalar::from(22) * x * k + k, 260));
    }}

    #[test]
    fn the_largest_operands_lose_nothing() {
        if available() {
            // SAFETY: just asked.
            unsafe { largest_operands_lose_nothing() };
        }
    }
}
