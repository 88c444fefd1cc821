//! The table's entries: a window's point times 1, 3, 5, …, made as they are used, by additions that share inversions.

use super::sums::{add_all, Lanes, Operands, PAIR};
use super::Point;
use group::{Curve, Group};
use sealdrop_lanes::Field;

/// Entries made by the library, of which the kernels make the others in pairs of groups.
pub(super) const FIRST: usize = 2 * PAIR;
/// Groups that share an inversion.
const GROUPS: usize = 512;

/// Memory by cache lines, so that an entry of two or four of them does not touch one more.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Line(#[expect(dead_code, reason = "read and written through pointers")] [u64; 8]);

/// Words of an entry: x, then y, in the kernel's form.
pub(super) const fn words<F: Field>() -> usize {
    2 * F::WORDS
}

/// 2^i · base for i below n.
pub(super) fn doubled<P: Point>(base: P::Curve, n: usize) -> Vec<P>
where
    P::Curve: Curve<AffineRepr = P>,
{
    let points: Vec<P::Curve> = std::iter::successors(Some(base), |point| Some(point.double()))
        .take(n)
        .collect();
    let mut affine = vec![P::identity(); n];
    P::Curve::batch_normalize(&points, &mut affine);
    affine
}

/// The entries of one window: (2j + 1) · P for j below 2^(w-1), given 2^i · P for i below w. Of the point at infinity they
/// are nothing useful, but all with the same x.
pub(super) fn window<F: Field, P: Point>(doubled: &[P]) -> Vec<Line>
where
    P::Curve: Curve<AffineRepr = P>,
{
    let entries = 1 << (doubled.len() - 1);
    assert!(entries >= FIRST);
    let mut lines = vec![Line([0; 8]); (entries * words::<F>()).div_ceil(8)];
    let at: *mut u64 = lines.as_mut_ptr().cast();
    let mut point = doubled[0].to_curve();
    for j in 0..FIRST {
        // SAFETY: there is room for more entries.
        unsafe { import::<F, P>(&point.to_affine(), at.add(j * words::<F>())) };
        point += &doubled[1];
    }
    let mut forward = Vec::new();
    // From the multiples below 2^i to those below 2^(i+1).
    for (i, step) in doubled.iter().enumerate().skip(FIRST.ilog2() as usize + 1) {
        // SAFETY: 2^(i-1) entries are there, and there is room for as many more; the table checked the kernel.
        unsafe { extend::<F, P>(at, 1 << (i - 1), step, &mut forward) };
    }
    lines
}

/// Stores a point.
///
/// # Safety
/// There is room for an entry at `to`; the processor has the kernel.
unsafe fn import<F: Field, P: Point>(point: &P, to: *mut u64) {
    let [x, y] = point.coordinates();
    // SAFETY: the caller's contract.
    unsafe {
        F::import(&x[..F::COMPONENTS], to);
        F::import(&y[..F::COMPONENTS], to.add(F::WORDS));
    }
}

/// Writes each of `n` entries plus `step` behind them.
///
/// # Safety
/// There are `n` entries at `at`, a multiple of [`FIRST`], and room for as many more; the processor has the kernel.
unsafe fn extend<F: Field, P: Point>(at: *mut u64, n: usize, step: &P, forward: &mut Vec<[F; 2]>) {
    let mut stored = [0; 32];
    assert!(words::<F>() <= stored.len());
    // SAFETY: the room was checked; the rest is the caller's contract.
    unsafe {
        import::<F, P>(step, stored.as_mut_ptr());
        F::vectorize(
            #[inline(always)]
            || {
                let step = Lanes::of(|_| stored.as_ptr());
                let step = [F::load_at(step.get::<F>(), 0), F::load_at(step.get::<F>(), F::WORDS)];
                for from in (0..n / F::LANES).step_by(GROUPS) {
                    let groups = GROUPS.min(n / F::LANES - from);
                    let from = at.add(from * F::LANES * words::<F>());
                    let mut stretch = Stretch {
                        from,
                        to: from.add(n * words::<F>()),
                        step,
                    };
                    // Two multiples have the same x only at infinity.
                    add_all(&mut stretch, groups, forward);
                }
            },
        );
    }
}

/// Entries one after the other, to each of which `step` is added.
struct Stretch<F> {
    from: *mut u64,
    to: *mut u64,
    step: [F; 2],
}

impl<F: Field> Stretch<F> {
    #[inline(always)]
    fn group(&self, group: usize) -> Lanes<*const u64> {
        Lanes::of(|lane| {
            let entry = group * F::LANES + lane % F::LANES;
            self.from.wrapping_add(entry * words::<F>()).cast_const()
        })
    }
}

impl<F: Field> Operands<F> for Stretch<F> {
    #[inline(always)]
    unsafe fn prefetch(&self, _: usize) {}
    #[inline(always)]
    unsafe fn x_of_first(&self, _: usize) -> F {
        self.step[0]
    }
    #[inline(always)]
    unsafe fn x_of_second(&self, group: usize) -> F {
        // SAFETY: `extend` has as many entries as groups' lanes here; so below.
        unsafe { F::load_at(self.group(group).get::<F>(), 0) }
    }
    #[inline(always)]
    unsafe fn y(&self, group: usize) -> [F; 2] {
        // SAFETY: as above.
        [self.step[1], unsafe {
            F::load_at(self.group(group).get::<F>(), F::WORDS)
        }]
    }
    #[inline(always)]
    unsafe fn set(&mut self, group: usize, [x, y]: [F; 2]) {
        let to = Lanes::of(|lane| {
            let entry = group * F::LANES + lane % F::LANES;
            self.to.wrapping_add(entry * words::<F>())
        });
        // SAFETY: as above, and as much room at `to`.
        unsafe {
            x.store_at(to.get::<F>(), 0);
            y.store_at(to.get::<F>(), F::WORDS);
        }
    }
}
