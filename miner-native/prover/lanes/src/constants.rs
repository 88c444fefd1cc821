//! The two moduli of BLS12-381 in 52-bit limbs, with what Montgomery's multiplication needs of them, computed at compile
//! time. The vector kernels take everything from here; their callers take [`limbs_r`], [`pow2_p`] and the moduli.

/// All bits of a limb.
pub const MASK: u64 = (1 << 52) - 1;

/// p, the base field's modulus, 381 bits, in 64-bit words.
pub const P64: [u64; 6] = [
    0xb9feffffffffaaab,
    0x1eabfffeb153ffff,
    0x6730d2a0f6b0f624,
    0x64774b84f38512bf,
    0x4b1ba7b6434bacd7,
    0x1a0111ea397fe69a,
];
/// r, the scalar field's modulus, 255 bits, in 64-bit words.
pub const R64: [u64; 4] = [
    0xffffffff00000001,
    0x53bda402fffe5bfe,
    0x3339d80809a1d805,
    0x73eda753299d7d48,
];

/// p in limbs.
pub const P: [u64; 8] = limbs(P64);
/// -p^-1 mod 2^52.
pub const P_INV: u64 = neg_inv(P64[0]);
/// 2^832 mod p: takes a plain number to Montgomery form (its product with this is x·2^416).
pub const P_R2: [u64; 8] = limbs(pow2_p(832));
/// 2^416 mod p: one, in Montgomery form.
pub const P_ONE: [u64; 8] = limbs(pow2_p(416));
/// 2^480 mod p: takes blst's inverse of a number in our form back to our form.
pub(crate) const P_K480: [u64; 8] = limbs(pow2_p(480));
/// 2p, 4p and 8p in limbs.
pub const P2: [u64; 8] = times(P, 2);
/// 4p in limbs.
pub const P4: [u64; 8] = times(P, 4);
/// 8p in limbs.
pub const P8: [u64; 8] = times(P, 8);
/// Limb j of k·p at `[j][k]`, for k below 8: a table for each limb, to be permuted by k.
pub(crate) const P_MULTIPLES: [[u64; 8]; 8] = multiples(P);

/// r in limbs.
pub const R: [u64; 5] = limbs(R64);
/// -r^-1 mod 2^52.
pub const R_INV: u64 = neg_inv(R64[0]);
/// 2r in limbs.
pub const R2: [u64; 5] = times(R, 2);
/// As [`P_MULTIPLES`], of r.
pub(crate) const R_MULTIPLES: [[u64; 8]; 5] = multiples(R);

/// 64-bit words to 52-bit limbs.
pub(crate) const fn limbs<const N: usize, const L: usize>(x: [u64; N]) -> [u64; L] {
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

/// A number of the scalar field, below 2^256, in limbs.
#[inline(always)]
pub const fn limbs_r(x: [u64; 4]) -> [u64; 5] {
    limbs(x)
}

/// 2^k mod p in 64-bit words.
pub const fn pow2_p(k: usize) -> [u64; 6] {
    pow2(k, P64)
}

/// -p^-1 mod 2^52, by Newton's iteration.
const fn neg_inv(p0: u64) -> u64 {
    let mut inv = 1u64;
    let mut i = 0;
    while i < 6 {
        inv = inv.wrapping_mul(2u64.wrapping_sub(p0.wrapping_mul(inv)));
        i += 1;
    }
    inv.wrapping_neg() & MASK
}

/// 2^k mod p by doubling; p has a spare top bit, so nothing is carried out.
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
        if let (reduced, false) = sub_words(x, p) {
            x = reduced;
        }
        i += 1;
    }
    x
}

/// a - b, and whether it is negative.
#[inline(always)]
pub const fn sub_words<const N: usize>(a: [u64; N], b: [u64; N]) -> ([u64; N], bool) {
    let mut out = [0; N];
    let mut borrow = false;
    let mut j = 0;
    while j < N {
        let (d, b1) = a[j].overflowing_sub(b[j]);
        let (d, b2) = d.overflowing_sub(borrow as u64);
        out[j] = d;
        borrow = b1 || b2;
        j += 1;
    }
    (out, borrow)
}

/// a + b modulo 2^(64·N).
#[inline(always)]
pub const fn add_words<const N: usize>(a: [u64; N], b: [u64; N]) -> [u64; N] {
    let mut out = [0; N];
    let mut carry = false;
    let mut j = 0;
    while j < N {
        let (s, c1) = a[j].overflowing_add(b[j]);
        let (s, c2) = s.overflowing_add(carry as u64);
        out[j] = s;
        carry = c1 || c2;
        j += 1;
    }
    out
}

/// k·p in limbs; the top one may have more than 52 bits.
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

const fn multiples<const L: usize>(p: [u64; L]) -> [[u64; 8]; L] {
    let mut out = [[0; 8]; L];
    let mut k = 0;
    while k < 8 {
        let m = times(p, k as u64);
        let mut j = 0;
        while j < L {
            out[j][k] = m[j];
            j += 1;
        }
        k += 1;
    }
    out
}
