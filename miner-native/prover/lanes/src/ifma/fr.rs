//! The scalar field: what the Fourier transforms of `sealdrop-groth16` compute with.

use super::*;
use crate::Kernel;

/// Eight numbers of Fr, carried.
#[derive(Clone, Copy)]
pub struct Fr(pub [V; 5]);

tf! { /// a·b / 2^260, below (a·b)/(35 r²)·r + r: 1.12r if the product of the carried operands is below 4.2r².
pub fn rmul(a: &[V; 5], b: &[V; 5]) -> [V; 5] { mont(a, b, &R, R_INV) } }

tf! { /// Carries a number below 4.4r, of limbs of any sign, and brings it below 1.43r: it subtracts q·r,
/// q = ⌊x / 2^255⌋ up to 3, with 2^255 = 1.105r.
pub fn reduce_r(t: [V; 5]) -> [V; 5] {
    let mut t = carry(t);
    let q = _mm512_srai_epi64::<47>(t[4]);
    for j in 0..5 {
        // SAFETY: the table's row has eight words.
        let table = unsafe { _mm512_loadu_si512(R_MULTIPLES[j].as_ptr().cast()) };
        t[j] = _mm512_sub_epi64(t[j], _mm512_permutexvar_epi64(q, table));
    }
    carry(t)
}}

/// Lanes whose partner at distance `s` is below them.
#[inline(always)]
const fn high(s: usize) -> u8 {
    match s {
        4 => 0xf0,
        2 => 0xcc,
        _ => 0xaa,
    }
}

/// Five limbs of a number below 2r to words, reduced below r.
#[inline(always)]
fn words(l: [u64; 5]) -> [u64; 4] {
    let x = [
        l[0] | l[1] << 52,
        l[1] >> 12 | l[2] << 40,
        l[2] >> 24 | l[3] << 28,
        l[3] >> 36 | l[4] << 16,
    ];
    match sub_words(x, R64) {
        (reduced, false) => reduced,
        _ => x,
    }
}

impl ScalarField for Fr {
    const KERNEL: Kernel = Kernel::Ifma;
    const LANES: usize = 8;
    const RADIX: u64 = 260;

    tf! { unsafe fn vectorize<T>(f: impl FnOnce() -> T) -> T { f() } }
    tf! { unsafe fn splat(x: &[u64; 4]) -> Self { Fr(splat(&limbs_r(*x))) } }
    #[inline(always)]
    unsafe fn gather(mut x: impl FnMut(usize) -> [u64; 4]) -> Self {
        let x: [[u64; 5]; 8] = std::array::from_fn(|i| limbs_r(x(i)));
        let t: [[u64; 8]; 5] = std::array::from_fn(|j| std::array::from_fn(|i| x[i][j]));
        // SAFETY: both are 40 words.
        Fr(unsafe { std::mem::transmute::<[[u64; 8]; 5], [V; 5]>(t) })
    }
    #[inline(always)]
    unsafe fn scatter(&self, to: &mut [[u64; 4]]) {
        // SAFETY: both are 40 words.
        let l: [[u64; 8]; 5] = unsafe { std::mem::transmute(self.0) };
        for (i, to) in to[..8].iter_mut().enumerate() {
            *to = words([l[0][i], l[1][i], l[2][i], l[3][i], l[4][i]]);
        }
    }
    tf! { unsafe fn mul(&self, b: &Self) -> Self { Fr(rmul(&self.0, &b.0)) } }
    // Below 3.5r before the reduction, as in the butterflies.
    tf! { unsafe fn sub(&self, b: &Self) -> Self { Fr(reduce_r(add_const(&sub(&self.0, &b.0), &R2))) } }
    tf! { /// The difference is below 3.5r, and w below r: the product below 1.1r.
    unsafe fn dif(u: &mut Self, v: &mut Self, w: &Self) {
        let (s, d) = (reduce_r(add(&u.0, &v.0)), carry(add_const(&sub(&u.0, &v.0), &R2)));
        u.0 = s;
        v.0 = rmul(&d, &w.0);
    }}
    tf! { /// The product is below 1.05r, so u plus or minus it, plus 2r, is below 3.5r.
    unsafe fn dit(u: &mut Self, v: &mut Self, w: &Self) {
        let t = rmul(&v.0, &w.0);
        let (s, d) = (reduce_r(add(&u.0, &t)), reduce_r(add_const(&sub(&u.0, &t), &R2)));
        u.0 = s;
        v.0 = d;
    }}
    tf! { unsafe fn cross(&self, s: usize) -> Self {
        let p = swap(&self.0, s as i64);
        let mut t = p;
        for j in 0..5 {
            let sum = _mm512_add_epi64(p[j], self.0[j]);
            let difference = _mm512_sub_epi64(_mm512_add_epi64(p[j], bc(R2[j])), self.0[j]);
            t[j] = _mm512_mask_mov_epi64(sum, high(s), difference);
        }
        Fr(reduce_r(t))
    }}
    tf! { unsafe fn negate_first(&self) -> Self {
        let negative = reduce_r(sub(&splat(&R2), &self.0));
        let mut t = self.0;
        for j in 0..5 { t[j] = _mm512_mask_mov_epi64(t[j], 1, negative[j]); }
        Fr(t)
    }}
}
