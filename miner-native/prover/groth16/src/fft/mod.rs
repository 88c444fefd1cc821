//! The quotient polynomial with six transforms, two passes over memory each.
//!
//! With C = A·B on the domain of the n-th roots of unity, A·B = low + xⁿ·high: the quotient by xⁿ - 1 is `high`. On the domain
//! C = low + high, and on the coset where xⁿ = -1 the interpolation of A·B is low - high: so high = (C - that)/2. C needs no
//! transform on the coset, where the textbook has seven in all.
//!
//! Decimation in frequency first, in time second: nothing is put in bit-reversed order by copying, but for the result.
//! A transform of 2^22 is 2^11 rows of 2^11 columns: the first pass takes strips of columns through a buffer, the second
//! works on rows in their place.

#[cfg(test)]
mod tests;
mod twiddles;

pub(crate) use twiddles::Domain;

use crate::arena::{Array, Plain};
use crate::compact::{montgomery, Compact};
use crate::context::Context;
use crate::msm::{Biased, Window};
use crate::Error;
use blstrs::Scalar;
use ff::Field;
use rayon::prelude::*;
use sealdrop_lanes::ScalarField;
use std::sync::atomic::Ordering;
use twiddles::{reverse, root_of_unity, Form, Reversed};

/// A vector of scalars as an element of an arena's arrays.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Block<S>(S);
// SAFETY: fields of this crate's kernels are nothing but integers, of any value.
unsafe impl<S: ScalarField> Plain for Block<S> {}

/// An array that several threads read and write, never the same element.
struct Shared<T>(*mut T);
impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Shared<T> {}
// SAFETY: as the type says; whoever uses the pointers keeps to it.
unsafe impl<T: Send> Sync for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Shared<T> {}
impl<T> Shared<T> {
    #[inline(always)]
    fn at(self, i: usize) -> *mut T {
        self.0.wrapping_add(i)
    }
}

/// Which way a transform is decimated.
#[derive(Clone, Copy, PartialEq)]
enum Decimation {
    Frequency,
    Time,
}

/// Chunks whose results are written side by side: 128 bytes at a time.
const TOGETHER: u32 = 2;

impl<S: ScalarField> Domain<S> {
    /// Steps that [`quotient`](Self::quotient) reports.
    pub(crate) const STEPS: u64 = 9;

    /// The quotient's coefficients, prepared for windows, in their order. The last one is zero for a satisfied circuit.
    pub(crate) fn quotient(
        &self,
        a: Compact,
        b: Compact,
        c: Compact,
        window: Window,
        context: &Context<'_>,
    ) -> Result<Array<Biased>, Error> {
        let n = 1usize << self.log;
        let x = self.to_coset(a, context)?;
        let y = self.to_coset(b, context)?;
        let from = Shared(x.raw());
        // SAFETY: a block of the column that this call of `load` is for.
        self.strips(
            from,
            Decimation::Frequency,
            #[inline(always)]
            |i| unsafe { (*from.at(i)).0.mul(&y[i].0) },
            context,
        )?;
        let z = y;
        self.strips(
            Shared(z.raw()),
            Decimation::Frequency,
            #[inline(always)]
            |i| {
                load(
                    &c,
                    #[inline(always)]
                    |j| (n - j) % n,
                    i,
                )
            },
            context,
        )?;
        drop(c);
        let multiplications = (n as u64 / 2) * u64::from(self.log) * 6 + 6 * n as u64;
        context.counters.fr.fetch_add(multiplications, Ordering::Relaxed);
        self.finish(&x, &z, window, context)
    }

    /// Evaluations on the domain to evaluations on the coset (in another order, the same for every polynomial).
    fn to_coset(&self, values: Compact, context: &Context<'_>) -> Result<Array<Block<S>>, Error> {
        let n = 1usize << self.log;
        let mut x = context.arena.array::<Block<S>>(n / S::LANES)?;
        let shared = Shared(x.raw());
        self.strips(
            shared,
            Decimation::Frequency,
            #[inline(always)]
            |i| {
                load(
                    &values,
                    #[inline(always)]
                    |j| j,
                    i,
                )
            },
            context,
        )?;
        drop(values);
        // The coefficient at position p is that of index -k, k = p with its bits reversed: times g^(n-k) = -g^(-k), as g^n = -1;
        // at k = 0 times 1. And to the kernel's form, and the transform's 1/n.
        let scale = -inverse(Scalar::from(n as u64));
        let powers = Reversed::new(self, inverse(self.shift()), scale, Form::Blst, Form::Kernel);
        x.par_chunks_mut(1 << (self.low - self.lanes))
            .enumerate()
            .try_for_each(|(k, chunk)| {
                context.check()?;
                // SAFETY: the kernel was detected by whoever chose `S`.
                unsafe {
                    S::vectorize(
                        #[inline(always)]
                        || self.shift_chunk(chunk, k, &powers),
                    );
                };
                Ok::<_, Error>(())
            })?;
        context.step();
        // SAFETY: a block of the column that this call of `load` is for.
        self.strips(
            shared,
            Decimation::Time,
            #[inline(always)]
            |i| unsafe { (*shared.at(i)).0 },
            context,
        )?;
        Ok(x)
    }

    /// The number that makes a coset of the domain: its n-th power is -1.
    fn shift(&self) -> Scalar {
        root_of_unity(self.log + 1)
    }

    /// The second pass of a transform, the shift, and the first pass of the next one.
    #[inline(always)]
    unsafe fn shift_chunk(&self, chunk: &mut [Block<S>], k: usize, powers: &Reversed<S>) {
        // SAFETY: called inside the kernel.
        unsafe {
            self.chunk_dif(chunk);
            let base = powers.base(k);
            for (i, x) in chunk.iter_mut().enumerate() {
                x.0 = x.0.mul(&powers.at(&base, i));
            }
            if k == 0 {
                chunk[0].0 = chunk[0].0.negate_first();
            }
            self.chunk_dit(chunk);
        }
    }

    /// The second passes of the last two transforms, and (C - A·B)/2 in the coefficients' order.
    fn finish(
        &self,
        x: &Array<Block<S>>,
        z: &Array<Block<S>>,
        window: Window,
        context: &Context<'_>,
    ) -> Result<Array<Biased>, Error> {
        let n = 1usize << self.log;
        let half = inverse(Scalar::from(2 * n as u64));
        let finish = Finish {
            powers: Reversed::new(self, inverse(self.shift()), half, Form::Kernel, Form::Plain),
            c_scale: Form::Blst.factor::<S>(Form::Plain, half),
            bias: window.biaser(),
        };
        let out = context.arena.array::<Biased>(n)?;
        let (x, z, to) = (Shared(x.raw()), Shared(z.raw()), Shared(out.raw()));
        let top = self.log - self.low;
        let together = TOGETHER.min(top);
        let blocks = 1usize << (self.low - self.lanes);
        (0..1usize << (top - together)).into_par_iter().try_for_each_init(
            || vec![[0; 4]; 1 << (self.low + together)],
            |rows, job| {
                context.check()?;
                for side in 0..1usize << together {
                    // The chunk whose coefficients are those of indices job·together + side modulo the number of chunks.
                    let k = reverse(((job << together) + side) as u64, top) as usize;
                    // SAFETY: chunk k is this job's alone.
                    let (x, z) = unsafe {
                        let chunk = |s: Shared<Block<S>>| std::slice::from_raw_parts_mut(s.at(k * blocks), blocks);
                        (chunk(x), chunk(z))
                    };
                    // SAFETY: the kernel was detected by whoever chose `S`.
                    unsafe {
                        S::vectorize(
                            #[inline(always)]
                            || self.finish_chunk(x, z, k, &finish, rows, side, together),
                        );
                    };
                }
                for (j, row) in rows.chunks(1 << together).enumerate() {
                    let first = (reverse(j as u64, self.low) << top) as usize + (job << together);
                    // SAFETY: indices with these remainders are this job's alone; the array has n of them.
                    unsafe { std::ptr::copy_nonoverlapping(row.as_ptr(), to.at(first), row.len()) };
                }
                Ok::<_, Error>(())
            },
        )?;
        context.step();
        Ok(out)
    }

    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    unsafe fn finish_chunk<B: Fn(&[u64; 4]) -> Biased>(
        &self,
        x: &mut [Block<S>],
        z: &mut [Block<S>],
        k: usize,
        finish: &Finish<S, B>,
        rows: &mut [Biased],
        side: usize,
        together: u32,
    ) {
        let mut lanes = [[0; 4]; 8];
        // SAFETY: called inside the kernel.
        unsafe {
            self.chunk_dif(x);
            self.chunk_dif(z);
            let base = finish.powers.base(k);
            let c_scale = S::splat(&finish.c_scale);
            for (i, (x, z)) in x.iter().zip(&*z).enumerate() {
                let q = x.0.mul(&finish.powers.at(&base, i));
                z.0.mul(&c_scale).sub(&q).scatter(&mut lanes);
                for (lane, h) in lanes[..S::LANES].iter().enumerate() {
                    rows[((i << self.lanes | lane) << together) + side] = (finish.bias)(h);
                }
            }
        }
    }

    /// The first pass (the last, decimated in time): strips of columns, each gathered to a buffer and back. `load` gives a
    /// block of the input, which is read before its column is written.
    fn strips(
        &self,
        x: Shared<Block<S>>,
        decimation: Decimation,
        load: impl Fn(usize) -> S + Sync,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        // As many columns as fill some cache lines of a row.
        let width = (8 / S::LANES).min(1 << (self.low - self.lanes));
        let columns = 1usize << (self.low - self.lanes);
        let rows = 1usize << (self.log - self.low);
        (0..columns / width)
            .into_par_iter()
            .try_for_each_init(Vec::new, |buffer: &mut Vec<Block<S>>, strip| {
                context.check()?;
                let first = strip * width;
                buffer.clear();
                // SAFETY: the kernel was detected by whoever chose `S`.
                unsafe {
                    S::vectorize(
                        #[inline(always)]
                        || {
                            for row in 0..rows {
                                buffer.extend((first..first + width).map(
                                    #[inline(always)]
                                    |c| Block(load(row * columns + c)),
                                ));
                            }
                            match decimation {
                                Decimation::Frequency => self.strip_dif(buffer, first, width),
                                Decimation::Time => self.strip_dit(buffer, first, width),
                            }
                        },
                    );
                }
                for (row, b) in buffer.chunks_exact(width).enumerate() {
                    // SAFETY: these columns are this job's alone; the array has rows · columns blocks.
                    unsafe { std::ptr::copy_nonoverlapping(b.as_ptr(), x.at(row * columns + first), width) };
                }
                Ok::<_, Error>(())
            })?;
        context.step();
        Ok(())
    }

    /// The twiddle of `row` on a level with `half` rows, in column `c`.
    #[inline(always)]
    unsafe fn strip_twiddle(&self, c: usize, half: usize, row: usize) -> S {
        let levels = (self.log - self.low) as usize;
        let level = levels - 1 - half.trailing_zeros() as usize;
        // SAFETY: called inside the kernel, with rows below half of them and columns of the domain.
        unsafe {
            let of_row_0 = self.columns.get_unchecked(c * levels + level);
            of_row_0.mul(&S::splat(self.rows.get_unchecked(row << level)))
        }
    }

    #[inline(always)]
    unsafe fn strip_dif(&self, x: &mut [Block<S>], first: usize, width: usize) {
        let mut half = x.len() / width / 2;
        while half > 0 {
            // SAFETY: as this function's.
            unsafe {
                self.strip_level(
                    x,
                    first,
                    width,
                    half,
                    #[inline(always)]
                    |u, v, w| S::dif(u, v, w),
                );
            };
            half /= 2;
        }
    }
    #[inline(always)]
    unsafe fn strip_dit(&self, x: &mut [Block<S>], first: usize, width: usize) {
        let mut half = 1;
        while half < x.len() / width {
            // SAFETY: as this function's.
            unsafe {
                self.strip_level(
                    x,
                    first,
                    width,
                    half,
                    #[inline(always)]
                    |u, v, w| S::dit(u, v, w),
                );
            };
            half *= 2;
        }
    }

    /// The butterflies of one level of a strip; a twiddle is computed once for all parts of the strip that use it.
    #[inline(always)]
    unsafe fn strip_level(
        &self,
        x: &mut [Block<S>],
        first: usize,
        width: usize,
        half: usize,
        butterfly: impl Fn(&mut S, &mut S, &S),
    ) {
        for row in 0..half {
            for c in 0..width {
                // SAFETY: `row` is below `half`, the column one of the strip's.
                let w = unsafe { self.strip_twiddle(first + c, half, row) };
                for part in x.chunks_exact_mut(2 * half * width) {
                    let (u, v) = part.split_at_mut(half * width);
                    // SAFETY: both halves have `half` rows of `width`.
                    let (u, v) = unsafe {
                        (
                            u.get_unchecked_mut(row * width + c),
                            v.get_unchecked_mut(row * width + c),
                        )
                    };
                    butterfly(&mut u.0, &mut v.0, &w);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn chunk_dif(&self, x: &mut [Block<S>]) {
        let (mut half, mut at) = (x.len() / 2, 0);
        // SAFETY: called inside the kernel.
        unsafe {
            while half > 0 {
                let w = &self.chunk[at..at + half];
                for part in x.chunks_exact_mut(2 * half) {
                    let (u, v) = part.split_at_mut(half);
                    for ((u, v), w) in u.iter_mut().zip(v).zip(w) {
                        S::dif(&mut u.0, &mut v.0, w);
                    }
                }
                at += half;
                half /= 2;
            }
            for b in x.iter_mut() {
                for (k, w) in self.inner.iter().enumerate() {
                    b.0 = b.0.cross((S::LANES / 2) >> k).mul(w);
                }
            }
        }
    }
    #[inline(always)]
    unsafe fn chunk_dit(&self, x: &mut [Block<S>]) {
        // SAFETY: called inside the kernel.
        unsafe {
            for b in x.iter_mut() {
                for (k, w) in self.inner.iter().enumerate().rev() {
                    b.0 = b.0.mul(w).cross((S::LANES / 2) >> k);
                }
            }
            let (mut half, mut end) = (1, self.chunk.len());
            while half < x.len() {
                let w = &self.chunk[end - half..end];
                for part in x.chunks_exact_mut(2 * half) {
                    let (u, v) = part.split_at_mut(half);
                    for ((u, v), w) in u.iter_mut().zip(v).zip(w) {
                        S::dit(&mut u.0, &mut v.0, w);
                    }
                }
                end -= half;
                half *= 2;
            }
        }
    }
}

/// What the last step multiplies by and adds.
struct Finish<S, B> {
    powers: Reversed<S>,
    c_scale: [u64; 4],
    bias: B,
}

/// Scalars at the places that `map` gives for block `i`, as blst holds them; beyond the end, zeros.
#[inline(always)]
fn load<S: ScalarField>(values: &Compact, map: impl Fn(usize) -> usize, i: usize) -> S {
    // SAFETY: the kernel was detected by whoever chose `S`.
    unsafe {
        S::gather(
            #[inline(always)]
            |lane| {
                let j = map(S::LANES * i + lane);
                if j < values.len() {
                    montgomery(values.get(j))
                } else {
                    [0; 4]
                }
            },
        )
    }
}

/// The inverse of a number that is not zero.
fn inverse(x: Scalar) -> Scalar {
    x.invert().unwrap_or(Scalar::ZERO)
}
