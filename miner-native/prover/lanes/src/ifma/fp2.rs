//! The quadratic extension Fp[i]/(i² + 1): coordinates of G2.

use super::fp::{load_rows, reduce, store_rows};
use super::*;
use crate::Kernel;
use blst::blst_fp;

/// Eight numbers a + bi of Fp2.
#[derive(Clone, Copy)]
pub struct Fp2(pub [V; 8], pub [V; 8]);

impl Field for Fp2 {
    const KERNEL: Kernel = Kernel::Ifma;
    const LANES: usize = 8;
    const WORDS: usize = 16;
    const COMPONENTS: usize = 2;

    tf! { unsafe fn vectorize<T>(f: impl FnOnce() -> T) -> T { f() } }
    tf! { unsafe fn load_at(p: &[*const u64], offset: usize) -> Self {
        debug_assert_eq!(p.len(), 8);
        // SAFETY: the caller's pointers are valid for 16 words.
        unsafe { Fp2(load_rows(p, offset), load_rows(p, offset + 8)) }
    }}
    tf! { unsafe fn store_at(&self, p: &[*mut u64], offset: usize) {
        debug_assert_eq!(p.len(), 8);
        // SAFETY: as above.
        unsafe { store_rows(p, offset, &self.0); store_rows(p, offset + 8, &self.1); }
    }}
    tf! { /// Karatsuba: three products.
    unsafe fn mul(&self, b: &Self) -> Self {
        let (v0, v1) = (pmul(&self.0, &b.0), pmul(&self.1, &b.1));
        let s = pmul(&carry(add(&self.0, &self.1)), &carry(add(&b.0, &b.1)));
        // v0 - v1 + 2p below 3.1p; s - v0 - v1 + 4p below 5.1p
        Fp2(reduce(add_const(&sub(&v0, &v1), &P2)), reduce(add_const(&sub(&sub(&s, &v0), &v1), &P4)))
    }}
    tf! { /// (a + b)(a - b) and 2ab: two products; both results below 1.1p.
    unsafe fn sqr(&self) -> Self {
        let s = pmul(&carry(add(&self.0, &self.1)), &carry(add_const(&sub(&self.0, &self.1), &P8)));
        Fp2(s, pmul(&carry(add(&self.0, &self.0)), &self.1))
    }}
    tf! { unsafe fn sub_norm(&self, b: &Self) -> Self {
        Fp2(carry(add_const(&sub(&self.0, &b.0), &P2)), carry(add_const(&sub(&self.1, &b.1), &P2)))
    }}
    tf! { unsafe fn x3(l: &Self, a: &Self, b: &Self) -> Self {
        // SAFETY: as this function's own contract; so below.
        unsafe { Fp2(Fp::x3(&Fp(l.0), &Fp(a.0), &Fp(b.0)).0, Fp::x3(&Fp(l.1), &Fp(a.1), &Fp(b.1)).0) }
    }}
    tf! { unsafe fn y3(t: &Self, y: &Self) -> Self {
        unsafe { Fp2(Fp::y3(&Fp(t.0), &Fp(y.0)).0, Fp::y3(&Fp(t.1), &Fp(y.1)).0) }
    }}
    tf! { unsafe fn neg_mask(&self, mask: u8) -> Self {
        unsafe { Fp2(Fp(self.0).neg_mask(mask).0, Fp(self.1).neg_mask(mask).0) }
    }}
    tf! { unsafe fn one() -> Self { Fp2(splat(&P_ONE), [_mm512_setzero_si512(); 8]) } }
    tf! { /// 1/(a + bi) = (a - bi)/(a² + b²)
    unsafe fn invert(v: &mut [Self]) -> bool {
        let mut norms = [Fp([_mm512_setzero_si512(); 8]); 8];
        for (n, e) in norms.iter_mut().zip(&*v) { *n = Fp(carry(add(&pmul(&e.0, &e.0), &pmul(&e.1, &e.1)))); }
        // SAFETY: the caller's contract.
        if !unsafe { Fp::invert(&mut norms[..v.len()]) } { return false; }
        let zero = [_mm512_setzero_si512(); 8];
        for (e, n) in v.iter_mut().zip(norms) {
            *e = Fp2(pmul(&e.0, &n.0), pmul(&carry(add_const(&sub(&zero, &e.1), &P8)), &n.0));
        }
        true
    }}
    #[inline]
    unsafe fn import(x: &[blst_fp], to: *mut u64) {
        // SAFETY: the caller's pointer is valid for 16 words; so below.
        unsafe {
            Fp::import(&x[..1], to);
            Fp::import(&x[1..], to.add(8));
        }
    }
    #[inline]
    unsafe fn export(from: *const u64, to: &mut [blst_fp]) {
        unsafe {
            Fp::export(from, &mut to[..1]);
            Fp::export(from.add(8), &mut to[1..]);
        }
    }
    #[inline]
    unsafe fn negate(at: *mut u64) {
        unsafe {
            Fp::negate(at);
            Fp::negate(at.add(8));
        }
    }
    tf! { /// One component; the other lies eight words behind.
    unsafe fn import_be(p: &[*const u8], to: &[*mut u64]) { unsafe { Fp::import_be(p, to) } } }
    tf! { unsafe fn export_be_at(&self, to: &[*mut u8], offset: usize) {
        unsafe { Fp(self.1).export_be_at(to, offset); Fp(self.0).export_be_at(to, offset + 48); }
    }}
}
