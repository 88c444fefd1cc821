//! Affine additions by the thousand: one inversion is shared by all of a batch (Montgomery's trick), so an addition costs
//! six multiplications, of which five are products and one a square, against eleven in projective coordinates.

use super::curve::Curve;
use super::points::set_infinite;
use crate::context::Counters;
use crate::fault;
use sealdrop_lanes::Field;
use std::sync::atomic::Ordering;

/// Additions of a batch at most; twice as many points fit a processor's second-level cache.
pub(crate) const MOST: usize = 4096;

/// A batch of additions d = ±a ± b, all of which happen at [`run`](Self::run).
///
/// Points are given as pointers: a, b and d lie in three arrays of which the batch knows nothing.
pub(crate) struct Batch<C: Curve> {
    a: Vec<*const u64>,
    b: Vec<*const u64>,
    d: Vec<*mut u64>,
    /// Signs of each group of additions: a's and b's, a bit a lane.
    signs: Vec<[u8; 2]>,
    n: usize,
    /// For each group: the product before it, its difference of x.
    scratch: Vec<[C::F; 2]>,
    /// Two "points" with different x and room for their sum, to fill up a group.
    dummy: Vec<u64>,
    /// A stretch of memory to have in the cache soon: where it goes on, where it ends.
    ahead: (*const u64, usize),
    /// Some sum was the point at infinity, and is marked as such: look at operands before adding them.
    pub(crate) infinite: bool,
    /// Additions so far, with those that fill up a group.
    additions: u64,
}

impl<C: Curve> Batch<C> {
    pub(crate) fn new() -> Self {
        let stride = 2 * C::F::WORDS;
        let mut dummy = vec![0; 3 * stride];
        (dummy[0], dummy[stride]) = (1, 2);
        Self {
            a: vec![std::ptr::null(); MOST],
            b: vec![std::ptr::null(); MOST],
            d: vec![std::ptr::null_mut(); MOST],
            signs: vec![[0; 2]; MOST / C::F::LANES],
            n: 0,
            scratch: vec![],
            dummy,
            ahead: (std::ptr::null(), 0),
            infinite: false,
            additions: 0,
        }
    }

    /// Adds d = ±a ± b, a sign of 1 being minus.
    ///
    /// # Safety
    /// All are valid for a point until [`run`](Self::run), a and b are finite, and no other addition of the batch reads or
    /// writes d; d may be this addition's a.
    #[inline(always)]
    pub(crate) unsafe fn push(&mut self, a: *const u64, b: *const u64, d: *mut u64, sign_a: u32, sign_b: u32) {
        let (i, lanes) = (self.n, C::F::LANES);
        assert!(i < MOST);
        self.n = i + 1;
        // SAFETY: all have room for MOST additions.
        unsafe {
            *self.a.get_unchecked_mut(i) = a;
            *self.b.get_unchecked_mut(i) = b;
            *self.d.get_unchecked_mut(i) = d;
            let s = self.signs.get_unchecked_mut(i / lanes);
            s[0] |= (sign_a << (i % lanes)) as u8;
            s[1] |= (sign_b << (i % lanes)) as u8;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.n
    }

    /// Has a stretch of memory fetched while the additions to come are worked on.
    pub(crate) fn fetch_ahead(&mut self, from: *const u64, words: usize) {
        self.ahead = (from, words);
    }

    /// Works off the additions.
    pub(crate) fn run(&mut self) {
        if self.n == 0 {
            return;
        }
        while !self.n.is_multiple_of(C::F::LANES) {
            let p = self.dummy_operands();
            // SAFETY: the dummy points; their sum is nobody's.
            unsafe { self.push(p.0, p.1, p.2, 0, 0) };
        }
        self.additions += self.n as u64;
        if !self.add() {
            // Some pairs have the same x. Those by complete formulas, the rest again.
            self.add_equals(false);
            if !self.add() {
                // Arithmetic is broken, or there would be no zero left. Verification will tell.
                self.add_equals(true);
            }
        }
        if fault::active() {
            // SAFETY: `d` of the first addition, which was just written.
            unsafe { *self.d[0] ^= 1 };
        }
        self.signs[..self.n / C::F::LANES].fill([0, 0]);
        self.n = 0;
    }

    /// Adds this batch's work to the proof's counts.
    pub(crate) fn count(&mut self, counters: &Counters) {
        let (mul, sqr) = C::F::COST;
        counters.additions.fetch_add(self.additions, Ordering::Relaxed);
        counters
            .fp
            .fetch_add(self.additions * (5 * mul + sqr), Ordering::Relaxed);
        self.additions = 0;
    }

    fn dummy_operands(&mut self) -> (*const u64, *const u64, *mut u64) {
        let (p, stride) = (self.dummy.as_mut_ptr(), 2 * C::F::WORDS);
        (p, p.wrapping_add(stride), p.wrapping_add(2 * stride))
    }

    /// Does the additions of points with the same x, or `all`, by the library, and puts dummies in their place.
    #[cold]
    fn add_equals(&mut self, all: bool) {
        for i in 0..self.n {
            // SAFETY: `push`'s contract.
            if !all && unsafe { !C::F::same(self.a[i], self.b[i]) } {
                continue;
            }
            let [sa, sb] = self.signs[i / C::F::LANES].map(|s| s >> (i % C::F::LANES) & 1);
            // SAFETY: `push`'s contract.
            let (mut p, mut q) = unsafe { (C::export(self.a[i]), C::export(self.b[i])) };
            if sa == 1 {
                p = -p;
            }
            if sb == 1 {
                q = -q;
            }
            // SAFETY: as above.
            unsafe {
                if !C::import(&(p + q), self.d[i]) {
                    set_infinite::<C::F>(self.d[i]);
                    self.infinite = true;
                }
            }
            (self.a[i], self.b[i], self.d[i]) = self.dummy_operands();
        }
    }

    /// All additions; `false`, and nothing is changed, if some pair has the same x.
    fn add(&mut self) -> bool {
        // SAFETY: the kernel was detected by whoever chose `C`.
        unsafe {
            C::F::vectorize(
                #[inline(always)]
                || self.add_in_kernel(),
            )
        }
    }

    #[inline(always)]
    fn add_in_kernel(&mut self) -> bool {
        let groups = self.n / C::F::LANES;
        // SAFETY: `push`'s contract for the points; groups · LANES = n additions are there.
        unsafe {
            if self.scratch.len() < groups {
                self.scratch.resize(groups, [C::F::one(); 2]);
            }
            let Some(inverse) = self.forward(groups) else {
                return false;
            };
            self.backward(groups, inverse);
        }
        true
    }

    /// The products of the differences of x, two chains of them, inverted.
    #[inline(always)]
    unsafe fn forward(&mut self, groups: usize) -> Option<[C::F; 2]> {
        let lanes = C::F::LANES;
        // SAFETY: as the caller's.
        unsafe {
            let mut product = [C::F::one(), C::F::one()];
            for g in 0..groups {
                let a = self.a.get_unchecked(lanes * g..lanes * (g + 1));
                let b = self.b.get_unchecked(lanes * g..lanes * (g + 1));
                let dx = C::F::load(b).sub_norm(&C::F::load(a));
                self.fetch();
                let p = &mut product[g & 1];
                *self.scratch.get_unchecked_mut(g) = [*p, dx];
                *p = p.mul(&dx);
            }
            C::F::invert(&mut product).then_some(product)
        }
    }

    /// The slopes and the sums, from the last group to the first.
    #[inline(always)]
    unsafe fn backward(&mut self, groups: usize, mut inverse: [C::F; 2]) {
        let (lanes, words) = (C::F::LANES, C::F::WORDS);
        // SAFETY: as the caller's.
        unsafe {
            for g in (0..groups).rev() {
                self.fetch();
                let a = self.a.get_unchecked(lanes * g..lanes * (g + 1));
                let b = self.b.get_unchecked(lanes * g..lanes * (g + 1));
                let d = self.d.get_unchecked(lanes * g..lanes * (g + 1));
                let [before, dx] = *self.scratch.get_unchecked(g);
                let v = &mut inverse[g & 1];
                let inv = v.mul(&before);
                *v = v.mul(&dx);
                let [sa, sb] = *self.signs.get_unchecked(g);
                let (ya, yb) = (
                    C::F::load_at(a, words).neg_mask(sa),
                    C::F::load_at(b, words).neg_mask(sb),
                );
                let slope = yb.sub_norm(&ya).mul(&inv);
                let (xa, xb) = (C::F::load(a), C::F::load(b));
                let x = C::F::x3(&slope.sqr(), &xa, &xb);
                let y = C::F::y3(&slope.mul(&xa.sub_norm(&x)), &ya);
                x.store(d);
                y.store_at(d, words);
            }
        }
    }

    /// Some lines of the stretch ahead.
    #[inline(always)]
    fn fetch(&mut self) {
        const LINE: usize = 8;
        // A chunk's points have about as many lines as its additions have lanes, forward and backward.
        for _ in 0..C::F::LANES {
            if self.ahead.1 >= LINE {
                C::F::prefetch(self.ahead.0);
                self.ahead = (self.ahead.0.wrapping_add(LINE), self.ahead.1 - LINE);
            }
        }
    }
}

// SAFETY: the pointers are used by whoever has the batch, under `push`'s contract.
unsafe impl<C: Curve> Send for Batch<C> {}
