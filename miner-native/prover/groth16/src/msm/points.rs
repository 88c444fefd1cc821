//! Arrays of points in a kernel's form, and how they come from the parameter file.

use super::curve::Curve;
use crate::arena::{Arena, Array};
use crate::context::Context;
use crate::parameters;
use crate::Error;
use rayon::prelude::*;
use sealdrop_lanes::Field;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::Arc;

/// Points that one job converts.
const JOB: usize = 4096;

/// Affine points: x, then y, in the kernel's form. The point at infinity is marked by a y that no number has.
pub(crate) struct Points<F> {
    memory: Array<u64>,
    len: usize,
    _field: PhantomData<F>,
}

/// No limb of 52 bits, and no top word of a number below p, has all bits.
const INFINITY: u64 = u64::MAX;

/// Words of a point.
const fn stride<F: Field>() -> usize {
    2 * F::WORDS
}

impl<F: Field> Points<F> {
    /// Room for `len` points, of any value.
    pub(crate) fn new(arena: &Arc<Arena>, len: usize) -> Result<Self, Error> {
        Ok(Self {
            memory: arena.array(len.saturating_mul(stride::<F>()))?,
            len,
            _field: PhantomData,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Where point `i` lies, as a number of points behind the first.
    ///
    /// The pointer may be written through: the arrays of the batches are read and written at once, never the same point from
    /// two threads.
    #[inline(always)]
    pub(crate) fn at(&self, i: usize) -> *mut u64 {
        debug_assert!(i < self.len);
        self.memory.raw().wrapping_add(i * stride::<F>())
    }
}

/// Marks a stored point as the point at infinity.
///
/// # Safety
/// `p` is valid for a point.
pub(crate) unsafe fn set_infinite<F: Field>(p: *mut u64) {
    // SAFETY: the caller's contract.
    unsafe { *p.add(stride::<F>() - 1) = INFINITY }
}

/// Whether a stored point is the point at infinity.
///
/// # Safety
/// `p` is valid for a point.
#[inline(always)]
pub(crate) unsafe fn is_infinite<F: Field>(p: *const u64) -> bool {
    // SAFETY: the caller's contract.
    unsafe { *p.add(stride::<F>() - 1) == INFINITY }
}

/// Copies a point, negated if `sign` is 1.
///
/// # Safety
/// Both are valid for a point, and not the same.
#[inline(always)]
pub(crate) unsafe fn copy<F: Field>(from: *const u64, to: *mut u64, sign: u32) {
    // SAFETY: the caller's contract.
    unsafe {
        std::ptr::copy_nonoverlapping(from, to, stride::<F>());
        if sign == 1 {
            F::negate(to.add(F::WORDS));
        }
    }
}

/// Converts points of the file: the `indices`, to places from `first` on.
///
/// # Safety
/// No other thread reads or writes these places.
pub(crate) unsafe fn convert<C: Curve>(
    file: parameters::Points<'_>,
    indices: impl ExactSizeIterator<Item = usize>,
    to: &Points<C::F>,
    first: usize,
    context: &Context<'_>,
) {
    let n = indices.len();
    assert!(first + n <= to.len());
    let lanes = C::F::LANES;
    let mut from = [std::ptr::null::<u8>(); 8];
    let mut into = [std::ptr::null_mut::<u64>(); 8];
    let mut k = 0;
    for (i, index) in indices.enumerate() {
        from[k] = file.at(index).as_ptr();
        into[k] = to.at(first + i);
        k += 1;
        if k == lanes || i + 1 == n {
            // Fill up with the first one.
            for j in k..lanes {
                (from[j], into[j]) = (from[0], into[0]);
            }
            // SAFETY: the kernel was detected; `at` checked the bytes of a point; the places lie in the array and are ours.
            unsafe {
                C::F::vectorize(
                    #[inline(always)]
                    || convert_lanes::<C>(&from[..lanes], &into[..lanes]),
                );
            };
            k = 0;
        }
    }
    context
        .counters
        .fp
        .fetch_add((n * C::COMPONENTS.len()) as u64, Ordering::Relaxed);
}

/// # Safety
/// As many pointers as lanes, to encoded points and to places for points.
#[inline(always)]
unsafe fn convert_lanes<C: Curve>(from: &[*const u8], to: &[*mut u64]) {
    let words = C::F::WORDS / C::F::COMPONENTS;
    for (k, offset) in C::COMPONENTS.iter().enumerate() {
        let (mut bytes, mut place) = ([std::ptr::null::<u8>(); 8], [std::ptr::null_mut::<u64>(); 8]);
        for i in 0..from.len() {
            bytes[i] = from[i].wrapping_add(*offset);
            place[i] = to[i].wrapping_add(k * words);
        }
        // SAFETY: the caller's contract; a point has these components.
        unsafe { C::F::import_be(&bytes[..from.len()], &place[..from.len()]) };
    }
}

/// Converts a stretch of the file on all threads.
pub(crate) fn load<C: Curve>(
    file: parameters::Points<'_>,
    range: Range<usize>,
    context: &Context<'_>,
) -> Result<Points<C::F>, Error> {
    let points = Points::new(&context.arena, range.len())?;
    (0..range.len().div_ceil(JOB)).into_par_iter().for_each(|job| {
        let (first, end) = (job * JOB, range.len().min((job + 1) * JOB));
        // SAFETY: each job has places of its own.
        unsafe { convert::<C>(file, range.start + first..range.start + end, &points, first, context) };
    });
    file.done(range);
    Ok(points)
}
