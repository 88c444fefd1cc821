//! The base field: coordinates of G1, and the halves of [`Fp2`](super::Fp2).

use super::*;
use crate::Kernel;
use blst::{blst_fp, blst_fp_eucl_inverse, blst_fp_mul};

/// Eight numbers of Fp.
#[derive(Clone, Copy)]
pub struct Fp(pub [V; 8]);

tf! { /// a·b / 2^416, below 1.01p for carried operands below 2^13 p.
pub fn pmul(a: &[V; 8], b: &[V; 8]) -> [V; 8] { mont(a, b, &P, P_INV) } }

tf! { /// Carries a number below 6p, of limbs of any sign, and brings it below 2p: it subtracts q·p, q = ⌊x / 2^381⌋.
/// With 2^381 = 1.23p the rest is below 1.23p + 0.23p·q, so below 1.93p up to q = 3, and at q = 4 it is x - 4p.
pub(crate) fn reduce(t: [V; 8]) -> [V; 8] {
    let mut t = carry(t);
    let q = _mm512_srai_epi64::<17>(t[7]);
    for j in 0..8 {
        // SAFETY: the table's row has eight words.
        let table = unsafe { _mm512_loadu_si512(P_MULTIPLES[j].as_ptr().cast()) };
        t[j] = _mm512_sub_epi64(t[j], _mm512_permutexvar_epi64(q, table));
    }
    carry(t)
}}

tf! { /// Reads eight numbers of eight limbs, `off` words behind the pointers.
pub(crate) unsafe fn load_rows(p: &[*const u64], off: usize) -> [V; 8] {
    let mut r = [_mm512_setzero_si512(); 8];
    // SAFETY: the caller's pointers are valid for so many words.
    for i in 0..8 { r[i] = unsafe { _mm512_loadu_si512(p.get_unchecked(i).add(off).cast()) }; }
    transpose(r)
}}
tf! { /// As [`load_rows`], writing.
pub(crate) unsafe fn store_rows(p: &[*mut u64], off: usize, v: &[V; 8]) {
    let r = transpose(*v);
    // SAFETY: the caller's pointers are valid for so many words.
    for i in 0..8 { unsafe { _mm512_storeu_si512(p.get_unchecked(i).add(off).cast(), r[i]) }; }
}}

/// Limbs of a number below 2^384 to 64-bit words, reduced below p.
pub fn pack(l: &[u64; 8]) -> [u64; 6] {
    let mut x = [0u64; 6];
    for j in 0..8 {
        let (w, s) = (52 * j / 64, 52 * j % 64);
        if w < 6 {
            x[w] |= l[j] << s;
        }
        if s > 12 && w + 1 < 6 {
            x[w + 1] |= l[j] >> (64 - s);
        }
    }
    loop {
        match sub_words(x, P64) {
            (reduced, false) => x = reduced,
            _ => return x,
        }
    }
}

/// 64-bit words to limbs.
pub fn unpack(x: &[u64; 6]) -> [u64; 8] {
    limbs(*x)
}

/// The lanes' numbers, each as its limbs.
pub fn rows(v: &[V; 8]) -> [[u64; 8]; 8] {
    // SAFETY: both are 64 words.
    let c: [[u64; 8]; 8] = unsafe { std::mem::transmute(*v) };
    std::array::from_fn(|i| std::array::from_fn(|j| c[j][i]))
}

tf! { /// 48 bytes, big-endian, to the row of their eight limbs.
pub unsafe fn row_of_be(p: *const u8) -> V {
    const INDEX: [u8; 64] = {
        let mut index = [0u8; 64];
        let mut j = 0;
        while j < 8 {
            let first = 52 * j / 8;
            let mut b = 0;
            while b < 8 {
                let at = first + b;
                index[8 * j + b] = if at < 48 { 47 - at as u8 } else { 63 };
                b += 1;
            }
            j += 1;
        }
        index
    };
    // SAFETY: 48 bytes are read from the caller's pointer, 64 from the table.
    let (raw, index) = unsafe { (_mm512_maskz_loadu_epi8((1 << 48) - 1, p.cast()), _mm512_loadu_si512(INDEX.as_ptr().cast())) };
    let spread = _mm512_permutexvar_epi8(index, raw);
    let shifted = _mm512_srlv_epi64(spread, _mm512_set_epi64(4, 0, 4, 0, 4, 0, 4, 0));
    _mm512_and_si512(shifted, bc(MASK))
}}

tf! { /// The row of a number's eight limbs, carried and below 2^384, to 48 bytes, big-endian: [`row_of_be`]'s inverse.
///
/// Two limbs are 13 bytes, of which the seventh has a half of either.
pub unsafe fn row_to_be(row: V, to: *mut u8) {
    /// Where each byte comes from, and the other half of each seventh one.
    const INDEX: ([u8; 64], [u8; 64], u64) = {
        let (mut first, mut second, mut halves) = ([0u8; 64], [0u8; 64], 0);
        let mut at = 0;
        while at < 48 {
            let (pair, byte) = ((47 - at) / 13, (47 - at) % 13);
            first[at] = (16 * pair + if byte <= 6 { byte } else { byte + 2 }) as u8;
            if byte == 6 {
                second[at] = (16 * pair + 8) as u8;
                halves |= 1 << at;
            }
            at += 1;
        }
        (first, second, halves)
    };
    // Odd limbs begin at half a byte.
    let aligned = _mm512_sllv_epi64(row, _mm512_set_epi64(4, 0, 4, 0, 4, 0, 4, 0));
    // SAFETY: 64 bytes are read from each table, 48 written to the caller's pointer.
    unsafe {
        let (first, second) = (_mm512_loadu_si512(INDEX.0.as_ptr().cast()), _mm512_loadu_si512(INDEX.1.as_ptr().cast()));
        let bytes = _mm512_permutexvar_epi8(first, aligned);
        let halves = _mm512_maskz_permutexvar_epi8(INDEX.2, second, aligned);
        _mm512_mask_storeu_epi8(to.cast(), (1 << 48) - 1, _mm512_or_si512(bytes, halves));
    }
}}

/// x·k with blst's multiplication: x·k / 2^384, canonical.
fn rescaled(x: [u64; 6], k: [u64; 6]) -> blst_fp {
    let mut out = blst_fp::default();
    // SAFETY: three numbers of blst's.
    unsafe { blst_fp_mul(&mut out, &blst_fp { l: x }, &blst_fp { l: k }) };
    out
}

impl Field for Fp {
    const KERNEL: Kernel = Kernel::Ifma;
    const LANES: usize = 8;
    const WORDS: usize = 8;
    const COMPONENTS: usize = 1;

    tf! { unsafe fn vectorize<T>(f: impl FnOnce() -> T) -> T { f() } }
    tf! { unsafe fn load_at(p: &[*const u64], offset: usize) -> Self {
        debug_assert_eq!(p.len(), 8);
        // SAFETY: the caller's pointers are valid for eight words.
        Fp(unsafe { load_rows(p, offset) })
    }}
    tf! { unsafe fn store_at(&self, p: &[*mut u64], offset: usize) {
        debug_assert_eq!(p.len(), 8);
        // SAFETY: as above.
        unsafe { store_rows(p, offset, &self.0) }
    }}
    tf! { unsafe fn mul(&self, b: &Self) -> Self { Fp(pmul(&self.0, &b.0)) } }
    tf! { unsafe fn sqr(&self) -> Self { Fp(mont_sqr(&self.0, &P, P_INV)) } }
    tf! { unsafe fn sub_norm(&self, b: &Self) -> Self { Fp(carry(add_const(&sub(&self.0, &b.0), &P2))) } }
    // l - a - b + 4p: above 0, below 5.1p
    tf! { unsafe fn x3(l: &Self, a: &Self, b: &Self) -> Self { Fp(reduce(add_const(&sub(&sub(&l.0, &a.0), &b.0), &P4))) } }
    // t - y + 2p: not negative, below 3.1p
    tf! { unsafe fn y3(t: &Self, y: &Self) -> Self { Fp(reduce(add_const(&sub(&t.0, &y.0), &P2))) } }
    tf! { unsafe fn neg_mask(&self, mask: u8) -> Self {
        let mut t = self.0;
        for j in 0..8 { t[j] = _mm512_mask_sub_epi64(t[j], mask, bc(P2[j]), t[j]); }
        Fp(t)
    }}
    tf! { unsafe fn one() -> Self { Fp(splat(&P_ONE)) } }
    tf! { /// The product of all elements, then of all lanes, has one inverse: by blst.
    unsafe fn invert(v: &mut [Self]) -> bool {
        let n = v.len();
        let mut before = [[_mm512_setzero_si512(); 8]; 8];
        let mut product = v[0].0;
        for i in 1..n { before[i] = product; product = pmul(&product, &v[i].0); }
        let s1 = swap(&product, 1);
        let p1 = pmul(&product, &s1);
        let s2 = swap(&p1, 2);
        let p2 = pmul(&p1, &s2);
        let s4 = swap(&p2, 4);
        let p4 = pmul(&p2, &s4);
        let total = blst_fp { l: pack(&rows(&p4)[0]) };
        if total.l == [0; 6] { return false; }
        // The integer x·2^416, read by blst as y·2^384, has y^-1·2^384 = x^-1·2^352; times 2^480 / 2^416 gives x^-1·2^416.
        let mut inverse = blst_fp::default();
        // SAFETY: two numbers of blst's.
        unsafe { blst_fp_eucl_inverse(&mut inverse, &total) };
        let inverse = pmul(&splat(&unpack(&inverse.l)), &splat(&P_K480));
        // A lane's inverse: the total's times all other lanes.
        let mut inverse = pmul(&pmul(&s1, &s2), &pmul(&s4, &inverse));
        for i in (1..n).rev() {
            let out = pmul(&inverse, &before[i]);
            inverse = pmul(&inverse, &v[i].0);
            v[i] = Fp(out);
        }
        v[0] = Fp(inverse);
        true
    }}
    #[inline]
    unsafe fn import(x: &[blst_fp], to: *mut u64) {
        // x·2^384·2^416 / 2^384
        let out = rescaled(x[0].l, const { pow2_p(416) });
        // SAFETY: the caller's pointer is valid for eight words.
        unsafe { to.cast::<[u64; 8]>().write_unaligned(unpack(&out.l)) };
    }
    #[inline]
    unsafe fn export(from: *const u64, to: &mut [blst_fp]) {
        // SAFETY: the caller's pointer is valid for eight words.
        let x = pack(&unsafe { from.cast::<[u64; 8]>().read_unaligned() });
        // x·2^416·2^352 / 2^384
        to[0] = rescaled(x, const { pow2_p(352) });
    }
    #[inline]
    unsafe fn negate(at: *mut u64) {
        // SAFETY: the caller's pointer is valid for eight words.
        let y = unsafe { at.cast::<[u64; 8]>().read_unaligned() };
        let (mut out, mut carry) = ([0; 8], 0i64);
        for j in 0..8 {
            let v = P2[j] as i64 - y[j] as i64 + carry;
            out[j] = if j < 7 { v as u64 & MASK } else { v as u64 };
            carry = v >> 52;
        }
        // SAFETY: as above.
        unsafe { at.cast::<[u64; 8]>().write_unaligned(out) };
    }
    tf! { unsafe fn import_be(p: &[*const u8], to: &[*mut u64]) {
        let mut r = [_mm512_setzero_si512(); 8];
        // SAFETY: the caller's pointers are valid for 48 bytes.
        for i in 0..8 { r[i] = unsafe { row_of_be(p[i]) }; }
        let x = pmul(&transpose(r), &splat(&P_R2));
        // SAFETY: as the caller's contract.
        unsafe { store_rows(to, 0, &x) };
    }}
    tf! { /// The product with the integer 1 is the number itself, up to p: p if it is a multiple of p.
    unsafe fn export_be_at(&self, to: &[*mut u8], offset: usize) {
        debug_assert_eq!(to.len(), 8);
        let mut x = pmul(&self.0, &splat(&[1, 0, 0, 0, 0, 0, 0, 0]));
        let mut zero = 0xff;
        for j in 0..8 { zero &= _mm512_cmpeq_epi64_mask(x[j], bc(P[j])); }
        for j in 0..8 { x[j] = _mm512_maskz_mov_epi64(!zero, x[j]); }
        let r = transpose(x);
        // SAFETY: the caller's pointers are valid for 48 bytes behind the offset.
        for i in 0..8 { unsafe { row_to_be(r[i], to.get_unchecked(i).add(offset)) }; }
    }}
}
