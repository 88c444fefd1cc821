//! Field arithmetic on 8 lanes with AVX-512 IFMA: 52-bit limbs, Montgomery form, lazily reduced.
//!
//! `V` holds one limb of 8 elements. The base field has 8 limbs (R = 2^416: 35 bits of slack above p), the scalar
//! field 5 (R = 2^260: 5 bits of slack). Products of inputs below a few p come out below about 1.1 p (1.5 r).
#![allow(clippy::missing_safety_doc, clippy::needless_range_loop)]
use crate::tf;
use blst::*;
use std::arch::x86_64::*;

pub type V = __m512i;
pub const MASK: u64 = (1 << 52) - 1;

pub const P64: [u64; 6] = [
    0xb9feffffffffaaab, 0x1eabfffeb153ffff, 0x6730d2a0f6b0f624, 0x64774b84f38512bf, 0x4b1ba7b6434bacd7, 0x1a0111ea397fe69a,
];
pub const R64: [u64; 4] = [0xffffffff00000001, 0x53bda402fffe5bfe, 0x3339d80809a1d805, 0x73eda753299d7d48];

const fn limbs<const N: usize, const L: usize>(x: [u64; N]) -> [u64; L] {
    let mut out = [0; L];
    let mut j = 0;
    while j < L {
        let (w, s) = (52 * j / 64, 52 * j % 64);
        let mut v = if w < N { x[w] >> s } else { 0 };
        if s > 12 && w + 1 < N {
            v |= x[w + 1] << (64 - s);
        }
        out[j] = v & MASK;
        j += 1;
    }
    out
}
/// -p^-1 mod 2^52
const fn neg_inv(p0: u64) -> u64 {
    let mut inv = 1u64;
    let mut i = 0;
    while i < 6 {
        inv = inv.wrapping_mul(2u64.wrapping_sub(p0.wrapping_mul(inv)));
        i += 1;
    }
    inv.wrapping_neg() & MASK
}
/// 2^k mod p by doubling.
const fn pow2<const N: usize>(k: usize, p: [u64; N]) -> [u64; N] {
    let mut x = [0u64; N];
    x[0] = 1;
    let mut i = 0;
    while i < k {
        let mut carry = 0;
        let mut j = 0;
        while j < N {
            let v = x[j];
            x[j] = (v << 1) | carry;
            carry = v >> 63;
            j += 1;
        }
        // Subtract p if x >= p (p has a spare top bit, so no carry out).
        let mut ge = true;
        let mut j = N;
        while j > 0 {
            j -= 1;
            if x[j] != p[j] {
                ge = x[j] > p[j];
                break;
            }
        }
        if ge {
            let mut borrow = false;
            let mut j = 0;
            while j < N {
                let (d, b1) = x[j].overflowing_sub(p[j]);
                let (d, b2) = d.overflowing_sub(borrow as u64);
                x[j] = d;
                borrow = b1 || b2;
                j += 1;
            }
        }
        i += 1;
    }
    x
}
const fn times<const L: usize>(p: [u64; L], k: u64) -> [u64; L] {
    let mut out = [0; L];
    let mut carry = 0u64;
    let mut j = 0;
    while j < L {
        let v = p[j] * k + carry;
        out[j] = if j + 1 == L { v } else { v & MASK };
        carry = v >> 52;
        j += 1;
    }
    out
}

pub const P: [u64; 8] = limbs(P64);
pub const P_INV: u64 = neg_inv(P64[0]);
pub const P_R2: [u64; 8] = limbs(pow2(832, P64));
/// Takes a blst inverse (R = 2^384) back to R = 2^416: see `Fp::invert`.
pub const P_K480: [u64; 8] = limbs(pow2(480, P64));
pub const R: [u64; 5] = limbs(R64);
pub const R_INV: u64 = neg_inv(R64[0]);
pub const R_ONE: [u64; 5] = limbs(pow2(260, R64));
const P_MULTIPLES: [[u64; 8]; 8] = {
    let mut out = [[0; 8]; 8];
    let mut k = 0;
    while k < 8 {
        let m = times(P, k as u64);
        let mut j = 0;
        while j < 8 {
            out[j][k] = m[j];
            j += 1;
        }
        k += 1;
    }
    out
};
pub const P2: [u64; 8] = times(P, 2);
pub const P4: [u64; 8] = times(P, 4);
pub const R2: [u64; 5] = times(R, 2);

#[macro_export]
macro_rules! tf {
    ($(#[$m:meta])* $v:vis fn $($rest:tt)*) => {
        $(#[$m])* #[inline] #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl,avx512bw,avx512vbmi,bmi2,adx")]
        $v unsafe fn $($rest)*
    };
}


tf! { pub fn bc(x: u64) -> V { _mm512_set1_epi64(x as i64) } }

tf! { /// a·b/2^(52 L): the whole product first, then the reduction; the steps are written out because LLVM
/// leaves a loop of them rolled, which is three times slower.
pub fn mont<const L: usize>(a: &[V; L], b: &[V; L], p: &[u64; L], inv: u64) -> [V; L] {
    let mut t = [_mm512_setzero_si512(); 16];
    macro_rules! row { ($($i:literal)*) => { $( if $i < L {
        for j in 0..L { t[$i + j] = _mm512_madd52lo_epu64(t[$i + j], a[j], b[$i]); }
        for j in 0..L { t[$i + j + 1] = _mm512_madd52hi_epu64(t[$i + j + 1], a[j], b[$i]); }
    } )* } }
    row!(0 1 2 3 4 5 6 7);
    redc(t, p, inv)
}}
tf! { pub fn mont_sqr<const L: usize>(a: &[V; L], p: &[u64; L], inv: u64) -> [V; L] {
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
tf! { fn redc<const L: usize>(mut t: [V; 16], p: &[u64; L], inv: u64) -> [V; L] {
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
tf! { /// Limbs of any sign, of a number that is not negative, to 52 bits each.
pub fn carry<const L: usize>(mut t: [V; L]) -> [V; L] {
    let mask = bc(MASK);
    for j in 0..L - 1 {
        t[j + 1] = _mm512_add_epi64(t[j + 1], _mm512_srai_epi64::<52>(t[j]));
        t[j] = _mm512_and_si512(t[j], mask);
    }
    t
}}
tf! { pub fn add<const L: usize>(a: &[V; L], b: &[V; L]) -> [V; L] {
    let mut t = *a;
    for j in 0..L { t[j] = _mm512_add_epi64(a[j], b[j]); }
    t
}}
tf! { pub fn sub<const L: usize>(a: &[V; L], b: &[V; L]) -> [V; L] {
    let mut t = *a;
    for j in 0..L { t[j] = _mm512_sub_epi64(a[j], b[j]); }
    t
}}
tf! { pub fn add_const<const L: usize>(a: &[V; L], b: &[u64; L]) -> [V; L] {
    let mut t = *a;
    for j in 0..L { t[j] = _mm512_add_epi64(a[j], bc(b[j])); }
    t
}}
tf! { pub fn splat<const L: usize>(a: &[u64; L]) -> [V; L] {
    let mut t = [_mm512_setzero_si512(); L];
    for j in 0..L { t[j] = bc(a[j]); }
    t
}}
tf! { /// 8 rows of 8 words to columns, and back.
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

/// p < x < 2^k p: subtracts a multiple of p chosen by the top limb; the rest is below 2p for x < 7p.
macro_rules! reduce_p { ($t:expr) => {{
    let mut t = $t;
    let q = _mm512_srai_epi64::<17>(t[7]);
    for j in 0..8 {
        let table = _mm512_loadu_si512(P_MULTIPLES[j].as_ptr() as *const V);
        t[j] = _mm512_sub_epi64(t[j], _mm512_permutexvar_epi64(q, table));
    }
    carry(t)
}}}

/// A coordinate field: Fp for G1, Fp2 for G2, on 8 lanes. Stored coordinates are below 2p.
pub trait Field: Copy {
    /// 64-bit words of a stored coordinate.
    const WORDS: usize;
    unsafe fn load8(p: &[*const u64; 8]) -> Self;
    unsafe fn store8(&self, p: &[*mut u64; 8]);
    unsafe fn mul(&self, b: &Self) -> Self;
    unsafe fn sqr(&self) -> Self;
    /// a - b + 2p
    unsafe fn sub_norm(&self, b: &Self) -> Self;
    /// l - a - b, below 2p
    unsafe fn x3(l: &Self, a: &Self, b: &Self) -> Self;
    /// t - y, below 2p
    unsafe fn y3(t: &Self, y: &Self) -> Self;
    /// Negates the lanes of the mask; limbs may be negative until carried.
    unsafe fn neg_mask(&self, m: u8) -> Self;
    unsafe fn one() -> Self;
    /// Inverts every lane of every element; `false` if one is zero.
    unsafe fn invert(v: &mut [Self]) -> bool;
    /// Two stored coordinates are the same number.
    unsafe fn same(a: *const u64, b: *const u64) -> bool {
        (0..Self::WORDS / 8).all(|i| pack(&*(a.add(8 * i) as *const [u64; 8])) == pack(&*(b.add(8 * i) as *const [u64; 8])))
    }
}

#[derive(Clone, Copy)]
pub struct Fp(pub [V; 8]);
#[derive(Clone, Copy)]
pub struct Fp2(pub [V; 8], pub [V; 8]);

tf! { fn load_rows(p: &[*const u64; 8], off: usize) -> [V; 8] {
    let mut r = [_mm512_setzero_si512(); 8];
    for i in 0..8 { r[i] = _mm512_loadu_si512(p[i].add(off) as *const V); }
    transpose(r)
}}
tf! { fn store_rows(p: &[*mut u64; 8], off: usize, v: &[V; 8]) {
    let r = transpose(*v);
    for i in 0..8 { _mm512_storeu_si512(p[i].add(off) as *mut V, r[i]); }
}}
tf! { pub fn pmul(a: &[V; 8], b: &[V; 8]) -> [V; 8] { mont(a, b, &P, P_INV) } }

/// 52-bit limbs (below 2p or so) to the canonical number in 64-bit words.
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
        let mut t = [0u64; 6];
        let mut borrow = false;
        for j in 0..6 {
            let (d, b1) = x[j].overflowing_sub(P64[j]);
            let (d, b2) = d.overflowing_sub(borrow as u64);
            t[j] = d;
            borrow = b1 || b2;
        }
        if borrow {
            return x;
        }
        x = t;
    }
}
pub fn unpack(x: &[u64; 6]) -> [u64; 8] {
    limbs(*x)
}
pub fn rows(v: &[V; 8]) -> [[u64; 8]; 8] {
    let c: [[u64; 8]; 8] = unsafe { std::mem::transmute(*v) };
    std::array::from_fn(|i| std::array::from_fn(|j| c[j][i]))
}
impl Field for Fp {
    const WORDS: usize = 8;
    tf! { fn load8(p: &[*const u64; 8]) -> Self { Fp(load_rows(p, 0)) } }
    tf! { fn store8(&self, p: &[*mut u64; 8]) { store_rows(p, 0, &self.0) } }
    tf! { fn mul(&self, b: &Self) -> Self { Fp(pmul(&self.0, &b.0)) } }
    tf! { fn sqr(&self) -> Self { Fp(mont_sqr(&self.0, &P, P_INV)) } }
    tf! { fn sub_norm(&self, b: &Self) -> Self { Fp(carry(add_const(&sub(&self.0, &b.0), &P2))) } }
    tf! { fn x3(l: &Self, a: &Self, b: &Self) -> Self {
        Fp(reduce_p!(carry(add_const(&sub(&sub(&l.0, &a.0), &b.0), &P4))))
    }}
    tf! { fn y3(t: &Self, y: &Self) -> Self { Fp(reduce_p!(carry(add_const(&sub(&t.0, &y.0), &P2)))) } }
    tf! { fn neg_mask(&self, m: u8) -> Self {
        let mut t = self.0;
        for j in 0..8 { t[j] = _mm512_mask_sub_epi64(t[j], m, bc(P2[j]), t[j]); }
        Fp(t)
    }}
    tf! { fn one() -> Self { Fp(splat(&const { limbs::<6, 8>(pow2(416, P64)) })) } }
    tf! { fn invert(v: &mut [Self]) -> bool {
        // All elements' product, then all lanes', has one inverse.
        let n = v.len();
        let mut before = [Self::one(); 8];
        let mut product = v[0];
        for i in 1..n { before[i] = product; product = product.mul(&v[i]); }
        let swap = |x: &Self, s: i64| {
            let index = _mm512_set_epi64(7 ^ s, 6 ^ s, 5 ^ s, 4 ^ s, 3 ^ s, 2 ^ s, 1 ^ s, s);
            let mut t = x.0;
            for j in 0..8 { t[j] = _mm512_permutexvar_epi64(index, x.0[j]); }
            Fp(t)
        };
        let s1 = swap(&product, 1);
        let p1 = product.mul(&s1);
        let s2 = swap(&p1, 2);
        let p2 = p1.mul(&s2);
        let s4 = swap(&p2, 4);
        let p4 = p2.mul(&s4);
        // The integer x·2^416, read by blst as y·2^384, has y^-1·2^384 = x^-1·2^352; times 2^480 / 2^416 gives x^-1·2^416.
        let total = blst_fp { l: pack(&rows(&p4.0)[0]) };
        if total.l == [0; 6] { return false; }
        let mut inverse = blst_fp::default();
        blst_fp_eucl_inverse(&mut inverse, &total);
        let inverse = Fp(pmul(&splat(&unpack(&inverse.l)), &splat(&P_K480)));
        // A lane's inverse: the total's times all other lanes.
        let mut inverse = s1.mul(&s2).mul(&s4.mul(&inverse));
        for i in (1..n).rev() {
            let out = inverse.mul(&before[i]);
            inverse = inverse.mul(&v[i]);
            v[i] = out;
        }
        v[0] = inverse;
        true
    }}
}

impl Field for Fp2 {
    const WORDS: usize = 16;
    tf! { fn load8(p: &[*const u64; 8]) -> Self { Fp2(load_rows(p, 0), load_rows(p, 8)) } }
    tf! { fn store8(&self, p: &[*mut u64; 8]) { store_rows(p, 0, &self.0); store_rows(p, 8, &self.1) } }
    tf! { fn mul(&self, b: &Self) -> Self {
        let (v0, v1) = (pmul(&self.0, &b.0), pmul(&self.1, &b.1));
        let s = pmul(&carry(add(&self.0, &self.1)), &carry(add(&b.0, &b.1)));
        // v0 - v1 + 2p below 3.2p; s - v0 - v1 + 4p below 5.2p
        Fp2(reduce_p!(carry(add_const(&sub(&v0, &v1), &P2))), reduce_p!(carry(add_const(&sub(&sub(&s, &v0), &v1), &P4))))
    }}
    tf! { fn sqr(&self) -> Self {
        let s = pmul(&carry(add(&self.0, &self.1)), &carry(add_const(&sub(&self.0, &self.1), &P4)));
        Fp2(s, pmul(&carry(add(&self.0, &self.0)), &self.1))
    }}
    tf! { fn sub_norm(&self, b: &Self) -> Self {
        Fp2(carry(add_const(&sub(&self.0, &b.0), &P2)), carry(add_const(&sub(&self.1, &b.1), &P2)))
    }}
    tf! { fn x3(l: &Self, a: &Self, b: &Self) -> Self { Fp2(Fp::x3(&Fp(l.0), &Fp(a.0), &Fp(b.0)).0, Fp::x3(&Fp(l.1), &Fp(a.1), &Fp(b.1)).0) } }
    tf! { fn y3(t: &Self, y: &Self) -> Self { Fp2(Fp::y3(&Fp(t.0), &Fp(y.0)).0, Fp::y3(&Fp(t.1), &Fp(y.1)).0) } }
    tf! { fn neg_mask(&self, m: u8) -> Self { Fp2(Fp(self.0).neg_mask(m).0, Fp(self.1).neg_mask(m).0) } }
    tf! { fn one() -> Self { Fp2(Fp::one().0, [_mm512_setzero_si512(); 8]) } }
    tf! { fn invert(v: &mut [Self]) -> bool {
        // 1/(a + bi) = (a - bi)/(a² + b²)
        let mut norms: Vec<Fp> = v.iter().map(|e| Fp(carry(add(&pmul(&e.0, &e.0), &pmul(&e.1, &e.1))))).collect();
        if !Fp::invert(&mut norms) { return false; }
        let zero = [_mm512_setzero_si512(); 8];
        for (e, n) in v.iter_mut().zip(norms) {
            *e = Fp2(pmul(&e.0, &n.0), pmul(&carry(add_const(&sub(&zero, &e.1), &times(P, 8))), &n.0));
        }
        true
    }}
}

// `bytes`: a big-endian coordinate of an uncompressed point (48 bytes at `p`), to the row of its 8 limbs.
tf! { pub fn row_of_be(p: *const u8) -> V {
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
    let raw = _mm512_maskz_loadu_epi8((1 << 48) - 1, p as *const i8);
    let spread = _mm512_permutexvar_epi8(_mm512_loadu_si512(INDEX.as_ptr() as *const V), raw);
    let shifted = _mm512_srlv_epi64(spread, _mm512_set_epi64(4, 0, 4, 0, 4, 0, 4, 0));
    _mm512_and_si512(shifted, bc(MASK))
}}
pub const fn pow2_p(k: usize) -> [u64; 6] {
    pow2(k, P64)
}
#[inline(always)]
pub const fn limbs_r(x: [u64; 4]) -> [u64; 5] {
    limbs(x)
}
