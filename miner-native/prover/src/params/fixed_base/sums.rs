//! The additions: all scalars of a batch go through the windows together, so that in each window one inversion serves all.
//!
//! The running sums stay in the kernel's registers' form; of a table's entry x is read once and y once. The fields'
//! functions are inlined into closures that run under the kernel's features (`Field::vectorize`): hence `inline(always)`.

use super::digits::{Digit, Recoded, Windows};
use super::table::{words, Line};
use blstrs::Scalar;
use sealdrop_lanes::Field;
use std::marker::PhantomData;

/// The most lanes that a kernel has.
const MAX_LANES: usize = 8;
/// The most points that [`add_all`] takes at once: two groups, whose chains of products the processor overlaps.
pub(super) const PAIR: usize = 2 * MAX_LANES;
/// Groups between asking for entries and using them.
const AHEAD: usize = 6;

/// A pointer for each lane.
#[derive(Clone, Copy)]
pub(super) struct Lanes<T>([T; MAX_LANES]);

impl<T: Copy> Lanes<T> {
    /// `f` of each lane; also of lanes that a kernel does not have.
    #[inline(always)]
    pub(super) fn of(f: impl Fn(usize) -> T) -> Self {
        let mut all = [f(0); MAX_LANES];
        for (lane, one) in all.iter_mut().enumerate() {
            *one = f(lane);
        }
        Self(all)
    }

    /// As many as the kernel has.
    #[inline(always)]
    pub(super) fn get<F: Field>(&self) -> &[T] {
        const { assert!(F::LANES <= MAX_LANES) };
        &self.0[..F::LANES]
    }
}

/// Pairs of points to be added, a group of as many as the kernel has lanes at a time.
///
/// # Safety
/// For every function: the group is below the number given to [`add_all`]; the processor has the kernel, and the caller is
/// compiled for it.
pub(super) trait Operands<F: Field> {
    /// Asks for the memory of a group to come, which need not exist.
    unsafe fn prefetch(&self, group: usize);
    /// x of the first points; asked for twice.
    unsafe fn x_of_first(&self, group: usize) -> F;
    /// x of the second points.
    unsafe fn x_of_second(&self, group: usize) -> F;
    /// y of the first and the second points.
    unsafe fn y(&self, group: usize) -> [F; 2];
    /// Takes the sums.
    unsafe fn set(&mut self, group: usize, sum: [F; 2]);
}

/// Adds the points of each pair; `false`, and no sum is taken, if two of them have the same x. `forward` is room for what
/// the way there tells the way back.
///
/// # Safety
/// The processor has the kernel, and the caller is compiled for it; the number of groups is even.
#[inline(always)]
pub(super) unsafe fn add_all<F: Field, O: Operands<F>>(
    operands: &mut O,
    groups: usize,
    forward: &mut Vec<[F; 2]>,
) -> bool {
    debug_assert!(groups.is_multiple_of(2));
    // SAFETY (both): the caller's contract.
    unsafe {
        let mut products = multiply_differences(operands, groups, forward);
        if !F::invert(&mut products) {
            return false;
        }
        add_with(operands, groups, forward, products);
    }
    true
}

/// The products of the differences of x in the even groups, and in the odd ones. `forward` has for each group the product
/// before it, and x of its second points.
#[inline(always)]
unsafe fn multiply_differences<F: Field, O: Operands<F>>(
    operands: &O,
    groups: usize,
    forward: &mut Vec<[F; 2]>,
) -> [F; 2] {
    forward.clear();
    // SAFETY: groups below the number that the caller vouches for.
    unsafe {
        let mut products = [F::one(), F::one()];
        for group in (0..groups).step_by(2) {
            operands.prefetch(group + AHEAD);
            operands.prefetch(group + AHEAD + 1);
            let x = [operands.x_of_second(group), operands.x_of_second(group + 1)];
            let differences = [
                x[0].sub_norm(&operands.x_of_first(group)),
                x[1].sub_norm(&operands.x_of_first(group + 1)),
            ];
            forward.push([products[0], x[0]]);
            forward.push([products[1], x[1]]);
            products = [products[0].mul(&differences[0]), products[1].mul(&differences[1])];
        }
        products
    }
}

/// The additions, from the last pair of groups to the first, given the inverses of the products. Each step is done for both
/// groups before the next one, as it takes longer than the processor needs to begin another.
#[inline(always)]
unsafe fn add_with<F: Field, O: Operands<F>>(
    operands: &mut O,
    groups: usize,
    forward: &[[F; 2]],
    mut inverses: [F; 2],
) {
    for (half, forward) in forward.chunks_exact(2).enumerate().rev() {
        let group = 2 * half;
        debug_assert!(group < groups);
        let [[product, b_x], [other_product, other_b_x]] = [forward[0], forward[1]];
        // SAFETY: groups below the number that the caller vouches for.
        unsafe {
            let (a_x, other_a_x) = (operands.x_of_first(group), operands.x_of_first(group + 1));
            let inverse = inverses[0].mul(&product);
            let other_inverse = inverses[1].mul(&other_product);
            let ([a_y, b_y], [other_a_y, other_b_y]) = (operands.y(group), operands.y(group + 1));
            let slope = b_y.sub_norm(&a_y).mul(&inverse);
            let other_slope = other_b_y.sub_norm(&other_a_y).mul(&other_inverse);
            inverses = [
                inverses[0].mul(&b_x.sub_norm(&a_x)),
                inverses[1].mul(&other_b_x.sub_norm(&other_a_x)),
            ];
            let (square, other_square) = (slope.sqr(), other_slope.sqr());
            let x = F::x3(&square, &a_x, &b_x);
            let other_x = F::x3(&other_square, &other_a_x, &other_b_x);
            let rise = slope.mul(&a_x.sub_norm(&x));
            let other_rise = other_slope.mul(&other_a_x.sub_norm(&other_x));
            operands.set(group, [x, F::y3(&rise, &a_y)]);
            operands.set(group + 1, [other_x, F::y3(&other_rise, &other_a_y)]);
        }
    }
}

/// The sums of some scalars' entries, and the room to make them in.
pub(super) struct Batch<F> {
    recoded: Vec<Recoded>,
    /// Of the window in work.
    digits: Vec<Digit>,
    /// For each group of scalars x and y.
    sums: Vec<[F; 2]>,
    forward: Vec<[F; 2]>,
}

impl<F: Field> Batch<F> {
    /// Scalars are worked on in multiples of so many.
    pub(super) const STEP: usize = 2 * F::LANES;
    /// Bytes of a point's encoding.
    const BYTES: usize = 2 * 48 * F::COMPONENTS;

    pub(super) fn new() -> Self {
        Self {
            recoded: Vec::new(),
            digits: Vec::new(),
            sums: Vec::new(),
            forward: Vec::new(),
        }
    }

    /// Adds up the entries of each scalar's digits; `false` if the addition law does not cover one of them. `tables` are
    /// windows of the same `windows`, made for the same kernel, which the processor has.
    pub(super) fn add_up(&mut self, tables: &[Vec<Line>], windows: Windows, scalars: &[Scalar]) -> bool {
        let lines = (windows.entries() * words::<F>()).div_ceil(8);
        assert!(tables.len() == windows.count && tables.iter().all(|table| table.len() == lines));
        self.recoded.clear();
        self.recoded.extend(scalars.iter().map(|scalar| windows.recode(scalar)));
        // The last one fills up the groups.
        if let Some(last) = self.recoded.last().copied() {
            self.recoded.resize(scalars.len().next_multiple_of(Self::STEP), last);
        }
        self.sums.clear();
        // SAFETY: the table checked the kernel.
        unsafe {
            F::vectorize(
                #[inline(always)]
                || self.add_up_in_kernel(tables, windows),
            )
        }
    }

    #[inline(always)]
    unsafe fn add_up_in_kernel(&mut self, tables: &[Vec<Line>], windows: Windows) -> bool {
        let groups = self.recoded.len() / F::LANES;
        for (i, table) in tables.iter().enumerate() {
            self.digits.clear();
            self.digits
                .extend(self.recoded.iter().map(|recoded| windows.digit(recoded, i)));
            let mut window = Window {
                entries: table.as_ptr().cast(),
                digits: &self.digits,
                sums: &mut self.sums,
                field: PhantomData::<F>,
            };
            // SAFETY: a digit for each lane of the groups, whose number is even; every digit has an entry in the table;
            // after the first window there is a sum for each group.
            unsafe {
                if i == 0 {
                    window.begin(groups);
                } else if !add_all(&mut window, groups, &mut self.forward) {
                    return false;
                }
            }
        }
        true
    }

    /// Appends the first `n` sums, as uncompressed points.
    pub(super) fn encode(&self, n: usize, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + self.sums.len() * F::LANES * Self::BYTES, 0);
        let to = out[start..].as_mut_ptr();
        for (group, [x, y]) in self.sums.iter().enumerate() {
            let to = Lanes::of(|lane| to.wrapping_add((group * F::LANES + lane) * Self::BYTES));
            // SAFETY: there is room for all groups; sums are below 2p; the table checked the kernel.
            unsafe {
                F::vectorize(
                    #[inline(always)]
                    || {
                        x.export_be_at(to.get::<F>(), 0);
                        y.export_be_at(to.get::<F>(), Self::BYTES / 2);
                    },
                );
            }
        }
        out.truncate(start + n * Self::BYTES);
    }
}

/// The addition of one window's entries to the sums.
struct Window<'a, F> {
    entries: *const u64,
    digits: &'a [Digit],
    sums: &'a mut Vec<[F; 2]>,
    field: PhantomData<F>,
}

impl<F: Field> Window<'_, F> {
    #[inline(always)]
    unsafe fn digits(&self, group: usize) -> &[Digit] {
        // SAFETY: there is a digit for each lane of the group.
        unsafe { self.digits.get_unchecked(group * F::LANES..(group + 1) * F::LANES) }
    }

    #[inline(always)]
    fn entry(&self, digit: Digit) -> *const u64 {
        self.entries.wrapping_add(digit.entry() * words::<F>())
    }

    #[inline(always)]
    unsafe fn group(&self, group: usize) -> Lanes<*const u64> {
        // SAFETY: the caller's contract.
        let digits = unsafe { self.digits(group) };
        Lanes::of(|lane| self.entry(digits[lane % F::LANES]))
    }

    #[inline(always)]
    unsafe fn signed_y(&self, group: usize) -> F {
        // SAFETY: the caller's contract.
        unsafe {
            let mut negative = 0;
            for (lane, digit) in self.digits(group).iter().enumerate() {
                negative |= digit.sign() << lane;
            }
            F::load_at(self.group(group).get::<F>(), F::WORDS).neg_mask(negative)
        }
    }

    /// Makes this window's entries the sums.
    #[inline(always)]
    unsafe fn begin(&mut self, groups: usize) {
        for group in 0..groups {
            // SAFETY: the caller's contract.
            unsafe {
                self.prefetch(group + AHEAD);
                let sum = [self.x_of_second(group), self.signed_y(group)];
                self.sums.push(sum);
            }
        }
    }
}

impl<F: Field> Operands<F> for Window<'_, F> {
    #[inline(always)]
    unsafe fn prefetch(&self, group: usize) {
        let Some(digits) = self.digits.get(group * F::LANES..(group + 1) * F::LANES) else {
            return;
        };
        for digit in digits {
            for word in (0..words::<F>()).step_by(8) {
                F::prefetch(self.entry(*digit).wrapping_add(word));
            }
        }
    }
    #[inline(always)]
    unsafe fn x_of_first(&self, group: usize) -> F {
        // SAFETY: there is a sum for each group.
        unsafe { self.sums.get_unchecked(group)[0] }
    }
    #[inline(always)]
    unsafe fn x_of_second(&self, group: usize) -> F {
        // SAFETY: each digit has an entry.
        unsafe { F::load_at(self.group(group).get::<F>(), 0) }
    }
    #[inline(always)]
    unsafe fn y(&self, group: usize) -> [F; 2] {
        // SAFETY: there is a sum for each group, and each digit has an entry.
        unsafe { [self.sums.get_unchecked(group)[1], self.signed_y(group)] }
    }
    #[inline(always)]
    unsafe fn set(&mut self, group: usize, sum: [F; 2]) {
        // SAFETY: there is a sum for each group.
        unsafe { *self.sums.get_unchecked_mut(group) = sum };
    }
}
