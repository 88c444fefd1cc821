//! One number at a time, by blst: any processor. Values are always reduced, so the laxer rules of [`Field`] hold.

use crate::field::{Field, ScalarField};
use crate::Kernel;
use blst::*;

/// A number of Fp.
#[derive(Clone, Copy)]
pub struct Fp(pub blst_fp);
/// A number of Fp2.
#[derive(Clone, Copy)]
pub struct Fp2(pub blst_fp2);
/// A number of Fr.
#[derive(Clone, Copy)]
pub struct Fr(pub blst_fr);

/// Calls a function of blst's with a fresh result first.
macro_rules! call {
    ($f:ident, $($x:expr),+) => {{
        let mut out = Default::default();
        // SAFETY: pointers to numbers that live through the call.
        unsafe { $f(&mut out, $($x),+) };
        out
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
            unsafe fn prefetch(_: *const u64) {}
            #[inline(always)]
            unsafe fn mul(&self, b: &Self) -> Self {
                Self(call!($mul, &self.0, &b.0))
            }
            #[inline(always)]
            unsafe fn sqr(&self) -> Self {
                Self(call!($sqr, &self.0))
            }
            #[inline(always)]
            unsafe fn sub_norm(&self, b: &Self) -> Self {
                Self(call!($sub, &self.0, &b.0))
            }
            #[inline(always)]
            unsafe fn x3(l: &Self, a: &Self, b: &Self) -> Self {
                let t = call!($sub, &l.0, &a.0);
                Self(call!($sub, &t, &b.0))
            }
            #[inline(always)]
            unsafe fn y3(t: &Self, y: &Self) -> Self {
                Self(call!($sub, &t.0, &y.0))
            }
            #[inline(always)]
            unsafe fn neg_mask(&self, mask: u8) -> Self {
                Self(call!($cneg, &self.0, mask & 1 != 0))
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
                    product = call!($mul, &product, &v[i].0);
                }
                if product == $zero {
                    return false;
                }
                let mut inverse: $raw = call!($inverse, &product);
                for i in (1..n).rev() {
                    let out = call!($mul, &inverse, &before[i].0);
                    inverse = call!($mul, &inverse, &v[i].0);
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
                let negative: $raw = call!($cneg, &x, true);
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
        Self(blst_fr { l: *x })
    }
    #[inline(always)]
    unsafe fn gather(mut x: impl FnMut(usize) -> [u64; 4]) -> Self {
        Self(blst_fr { l: x(0) })
    }
    #[inline(always)]
    unsafe fn scatter(&self, to: &mut [[u64; 4]]) {
        to[0] = self.0.l;
    }
    #[inline(always)]
    unsafe fn mul(&self, b: &Self) -> Self {
        Self(call!(blst_fr_mul, &self.0, &b.0))
    }
    #[inline(always)]
    unsafe fn sub(&self, b: &Self) -> Self {
        Self(call!(blst_fr_sub, &self.0, &b.0))
    }
    #[inline(always)]
    unsafe fn dif(u: &mut Self, v: &mut Self, w: &Self) {
        let d: blst_fr = call!(blst_fr_sub, &u.0, &v.0);
        u.0 = call!(blst_fr_add, &u.0, &v.0);
        v.0 = call!(blst_fr_mul, &d, &w.0);
    }
    #[inline(always)]
    unsafe fn dit(u: &mut Self, v: &mut Self, w: &Self) {
        let t: blst_fr = call!(blst_fr_mul, &v.0, &w.0);
        v.0 = call!(blst_fr_sub, &u.0, &t);
        u.0 = call!(blst_fr_add, &u.0, &t);
    }
    #[inline(always)]
    unsafe fn cross(&self, _: usize) -> Self {
        unreachable!("one lane has no pairs")
    }
    #[inline(always)]
    unsafe fn negate_first(&self) -> Self {
        Self(call!(blst_fr_cneg, &self.0, true))
    }
}
