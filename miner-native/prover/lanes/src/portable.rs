//! One number at a time, by blst: any processor. Sums of scalars are own code, as they are shorter than a call.
//! Values are always reduced, so the laxer rules of [`Field`] hold.

use crate::field::{Field, ScalarField};
use crate::{Kernel, R64};
use blst::*;

/// A number of Fp.
#[derive(Clone, Copy)]
pub struct Fp(pub blst_fp);
/// A number of Fp2.
#[derive(Clone, Copy)]
pub struct Fp2(pub blst_fp2);
/// A number of Fr in blst's Montgomery form, 2^256.
#[derive(Clone, Copy)]
pub struct Fr(pub [u64; 4]);

/// Calls a function of blst's with a fresh result first.
///
/// blst writes 64 bits at a time. Read back at once as the compiler moves structs, 128 bits at a time, a result stalls the
/// processor until its stores are done, a tenth of the portable prover's time: so it is read as it was written.
macro_rules! call {
    ($raw:ident, $f:ident, $($x:expr),+) => {{
        let mut out = $raw::default();
        // SAFETY: pointers to numbers that live through the call.
        unsafe { $f(&mut out, $($x),+) };
        // SAFETY: the type is nothing but words.
        unsafe {
            let words = std::ptr::from_ref(&out).cast::<u64>();
            let mut copy = $raw::default();
            let to = std::ptr::from_mut(&mut copy).cast::<u64>();
            for i in 0..size_of::<$raw>() / 8 {
                to.add(i).write(words.add(i).read_volatile());
            }
            copy
        }
    }};
}

/// The two base fields differ in names only.
macro_rules! field {
    ($name:ident, $raw:ident, $words:literal, $components:literal, $mul:ident, $sqr:ident, $sub:ident, $cneg:ident,
     $inverse:ident, $one:expr, $zero:expr) => {
        impl Field for $name {
            const KERNEL: Kernel = Kernel::Portable;
            const LANES: usize = 1;
            const WORDS: usize = $words;
            const COMPONENTS: usize = $components;

            #[inline(always)]
            unsafe fn vectorize<T>(f: impl FnOnce() -> T) -> T {
                f()
            }
            #[inline(always)]
            unsafe fn load_at(p: &[*const u64], offset: usize) -> Self {
                // SAFETY: the caller's pointer is valid for so many words; the type is nothing but them.
                Self(unsafe { p[0].add(offset).cast::<$raw>().read_unaligned() })
            }
            #[inline(always)]
            unsafe fn store_at(&self, p: &[*mut u64], offset: usize) {
                // SAFETY: as above.
                unsafe { p[0].add(offset).cast::<$raw>().write_unaligned(self.0) }
            }
            #[inline(always)]
            unsafe fn mul(&self, b: &Self) -> Self {
                Self(call!($raw, $mul, &self.0, &b.0))
            }
            #[inline(always)]
            unsafe fn sqr(&self) -> Self {
                Self(call!($raw, $sqr, &self.0))
            }
            #[inline(always)]
            unsafe fn sub_norm(&self, b: &Self) -> Self {
                Self(call!($raw, $sub, &self.0, &b.0))
            }
            #[inline(always)]
            unsafe fn x3(l: &Self, a: &Self, b: &Self) -> Self {
                let t = call!($raw, $sub, &l.0, &a.0);
                Self(call!($raw, $sub, &t, &b.0))
            }
            #[inline(always)]
            unsafe fn y3(t: &Self, y: &Self) -> Self {
                Self(call!($raw, $sub, &t.0, &y.0))
            }
            #[inline(always)]
            unsafe fn neg_mask(&self, mask: u8) -> Self {
                Self(call!($raw, $cneg, &self.0, mask & 1 != 0))
            }
            #[inline(always)]
            unsafe fn one() -> Self {
                Self($one)
            }
            unsafe fn invert(v: &mut [Self]) -> bool {
                let n = v.len();
                let mut before = [Self($one); 8];
                let mut product = v[0].0;
                for i in 1..n {
                    before[i] = Self(product);
                    product = call!($raw, $mul, &product, &v[i].0);
                }
                if product == $zero {
                    return false;
                }
                let mut inverse: $raw = call!($raw, $inverse, &product);
                for i in (1..n).rev() {
                    let out = call!($raw, $mul, &inverse, &before[i].0);
                    inverse = call!($raw, $mul, &inverse, &v[i].0);
                    v[i] = Self(out);
                }
                v[0] = Self(inverse);
                true
            }
            #[inline]
            unsafe fn import(x: &[blst_fp], to: *mut u64) {
                for (i, x) in x.iter().enumerate() {
                    // SAFETY: the caller's pointer is valid for six words a component.
                    unsafe { to.cast::<[u64; 6]>().add(i).write_unaligned(x.l) };
                }
            }
            #[inline]
            unsafe fn export(from: *const u64, to: &mut [blst_fp]) {
                for (i, x) in to.iter_mut().enumerate() {
                    // SAFETY: as above.
                    x.l = unsafe { from.cast::<[u64; 6]>().add(i).read_unaligned() };
                }
            }
            #[inline]
            unsafe fn negate(at: *mut u64) {
                // SAFETY: the caller's pointer is valid for so many words.
                let x = unsafe { at.cast::<$raw>().read_unaligned() };
                let negative: $raw = call!($raw, $cneg, &x, true);
                // SAFETY: as above.
                unsafe { at.cast::<$raw>().write_unaligned(negative) };
            }
            #[inline]
            unsafe fn import_be(p: &[*const u8], to: &[*mut u64]) {
                // SAFETY: the caller's pointers are valid for 48 bytes and six words.
                unsafe {
                    let mut out = blst_fp::default();
                    blst_fp_from_bendian(&mut out, p[0]);
                    to[0].cast::<[u64; 6]>().write_unaligned(out.l);
                }
            }
            #[inline]
            unsafe fn export_be_at(&self, to: &[*mut u8], offset: usize) {
                for i in 0..$components {
                    // SAFETY: the number is nothing but so many of blst's, and the caller's pointer is valid for 48
                    // bytes each.
                    unsafe {
                        let component = (&raw const self.0).cast::<blst_fp>().add($components - 1 - i);
                        blst_bendian_from_fp(to[0].add(offset + 48 * i), component);
                    }
                }
            }
        }
    };
}

/// One in blst's Montgomery form.
const ONE: blst_fp = blst_fp { l: crate::pow2_p(384) };
const ZERO: blst_fp = blst_fp { l: [0; 6] };
field!(
    Fp,
    blst_fp,
    6,
    1,
    blst_fp_mul,
    blst_fp_sqr,
    blst_fp_sub,
    blst_fp_cneg,
    blst_fp_eucl_inverse,
    ONE,
    ZERO
);
field!(
    Fp2,
    blst_fp2,
    12,
    2,
    blst_fp2_mul,
    blst_fp2_sqr,
    blst_fp2_sub,
    blst_fp2_cneg,
    blst_fp2_eucl_inverse,
    blst_fp2 { fp: [ONE, ZERO] },
    blst_fp2 { fp: [ZERO, ZERO] }
);

impl ScalarField for Fr {
    const KERNEL: Kernel = Kernel::Portable;
    const LANES: usize = 1;
    const RADIX: u64 = 256;

    #[inline(always)]
    unsafe fn vectorize<T>(f: impl FnOnce() -> T) -> T {
        f()
    }
    #[inline(always)]
    unsafe fn splat(x: &[u64; 4]) -> Self {
        Self(*x)
    }
    #[inline(always)]
    unsafe fn gather(mut x: impl FnMut(usize) -> [u64; 4]) -> Self {
        Self(x(0))
    }
    #[inline(always)]
    unsafe fn scatter(&self, to: &mut [[u64; 4]]) {
        to[0] = self.0;
    }
    #[inline(always)]
    unsafe fn mul(&self, b: &Self) -> Self {
        Self(mul_r(&self.0, &b.0))
    }
    #[inline(always)]
    unsafe fn sub(&self, b: &Self) -> Self {
        Self(sub_r(&self.0, &b.0))
    }
    #[inline(always)]
    unsafe fn dif(u: &mut Self, v: &mut Self, w: &Self) {
        let difference = sub_r(&u.0, &v.0);
        u.0 = add_r(&u.0, &v.0);
        v.0 = mul_r(&difference, &w.0);
    }
    #[inline(always)]
    unsafe fn dit(u: &mut Self, v: &mut Self, w: &Self) {
        let product = mul_r(&v.0, &w.0);
        v.0 = sub_r(&u.0, &product);
        u.0 = add_r(&u.0, &product);
    }
    #[inline(always)]
    unsafe fn cross(&self, _: usize) -> Self {
        unreachable!("one lane has no pairs")
    }
    #[inline(always)]
    unsafe fn negate_first(&self) -> Self {
        Self(sub_r(&[0; 4], &self.0))
    }
}

/// a·b / 2^256 mod r, by blst.
#[inline(always)]
fn mul_r(a: &[u64; 4], b: &[u64; 4]) -> [u64; 4] {
    let mut out = blst_fr::default();
    // SAFETY: three numbers of four words, which is all that the type is.
    unsafe { blst_fr_mul(&mut out, a.as_ptr().cast(), b.as_ptr().cast()) };
    out.l
}

/// a + b + carry.
#[inline(always)]
fn add_carry(a: u64, b: u64, carry: &mut u64) -> u64 {
    let sum = u128::from(a) + u128::from(b) + u128::from(*carry);
    *carry = (sum >> 64) as u64;
    sum as u64
}
/// a - b - borrow.
#[inline(always)]
fn sub_borrow(a: u64, b: u64, borrow: &mut u64) -> u64 {
    let difference = u128::from(a)
        .wrapping_sub(u128::from(b))
        .wrapping_sub(u128::from(*borrow));
    *borrow = (difference >> 64) as u64 & 1;
    difference as u64
}

#[inline(always)]
fn add_r(a: &[u64; 4], b: &[u64; 4]) -> [u64; 4] {
    // Both are below r, whose top bit is spare: nothing is carried out.
    let (mut carry, mut borrow) = (0, 0);
    let sum: [u64; 4] = std::array::from_fn(|i| add_carry(a[i], b[i], &mut carry));
    let reduced = std::array::from_fn(|i| sub_borrow(sum[i], R64[i], &mut borrow));
    if borrow == 1 {
        sum
    } else {
        reduced
    }
}

#[inline(always)]
fn sub_r(a: &[u64; 4], b: &[u64; 4]) -> [u64; 4] {
    let (mut carry, mut borrow) = (0, 0);
    let difference: [u64; 4] = std::array::from_fn(|i| sub_borrow(a[i], b[i], &mut borrow));
    // Adds r if it is negative, without a branch that could be guessed wrongly half the time.
    let mask = borrow.wrapping_neg();
    std::array::from_fn(|i| add_carry(difference[i], R64[i] & mask, &mut carry))
}
