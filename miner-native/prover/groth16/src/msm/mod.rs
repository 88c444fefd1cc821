//! Multi-scalar sums Σ s·P with affine buckets: every addition is an affine one, on all of a kernel's lanes, and shares its
//! inversion with a thousand others.
//!
//! The dense query H goes through [`Sum`] as it comes from the file, a stretch at a time; the others, of which most scalars
//! are 0 or 1, through [`query`](crate::query).

mod batch;
mod buckets;
mod curve;
mod digits;
mod points;
#[cfg(test)]
mod tests;

pub(crate) use buckets::{Buckets, Filler, CHUNK};
pub(crate) use curve::{Curve, G1, G2};
pub(crate) use digits::{Biased, Window};
pub(crate) use points::{convert, load, Points};

use crate::context::Context;
use crate::Error;
use group::Group;
use rayon::prelude::*;

/// Buckets of a window at most, as a power of two: with a chunk of points they fit the cache.
pub(crate) const MOST_BUCKETS: usize = 14;

/// A sum that points are added to by and by.
pub(crate) struct Sum<'a, C: Curve> {
    context: &'a Context<'a>,
    window: Window,
    /// Each window's buckets, in `split` copies that fill with different points, so that all threads have work.
    buckets: Vec<Vec<Buckets<C>>>,
    split: usize,
}

impl<'a, C: Curve> Sum<'a, C> {
    /// Σ over nothing, for scalars prepared for `window`.
    pub(crate) fn new(window: Window, context: &'a Context<'a>) -> Result<Self, Error> {
        let split = splits(window.count(), rayon::current_num_threads());
        let of_window = |_| {
            (0..split)
                .map(|_| Buckets::new(&context.arena, window.buckets()))
                .collect()
        };
        let buckets = (0..window.count()).map(of_window).collect::<Result<_, _>>()?;
        Ok(Self {
            context,
            window,
            buckets,
            split,
        })
    }

    /// How often [`add`](Self::add) reports a step.
    pub(crate) fn steps(window: Window) -> u64 {
        window.count() as u64
    }

    /// Adds Σ scalars[i]·points[i].
    pub(crate) fn add(&mut self, points: &Points<C::F>, scalars: &[Biased]) -> Result<(), Error> {
        assert_eq!(points.len(), scalars.len());
        let (context, window, split) = (self.context, self.window, self.split);
        let share = scalars.len().div_ceil(split).next_multiple_of(CHUNK);
        self.buckets.par_iter_mut().enumerate().try_for_each(|(w, copies)| {
            copies.par_iter_mut().enumerate().try_for_each(|(k, buckets)| {
                context.check()?;
                let range = (k * share).min(scalars.len())..((k + 1) * share).min(scalars.len());
                let mut filler = Filler::<C>::new(&context.arena)?;
                filler.fill(buckets, points, range, |i| window.digit(&scalars[i], w));
                filler.batch().count(&context.counters);
                Ok::<_, Error>(())
            })?;
            context.step();
            Ok(())
        })
    }

    /// The sum.
    pub(crate) fn finish(self) -> Result<C::Projective, Error> {
        let (context, window) = (self.context, self.window);
        let sum = |copies: Vec<Buckets<C>>| -> Result<C::Projective, Error> {
            context.check()?;
            let mut filler = Filler::<C>::new(&context.arena)?;
            let batch = filler.batch();
            let mut copies = copies.into_iter();
            let Some(mut first) = copies.next() else {
                return Ok(C::Projective::identity());
            };
            copies.for_each(|other| first.merge(&other, batch));
            let sum = first.weighted_sum(&context.arena, batch)?;
            batch.count(&context.counters);
            Ok(sum)
        };
        let sums: Vec<_> = self.buckets.into_par_iter().map(sum).collect::<Result<_, _>>()?;
        let double = |mut p: C::Projective| {
            for _ in 0..window.bits() {
                p = p.double();
            }
            p
        };
        Ok(sums
            .into_iter()
            .rev()
            .fold(C::Projective::identity(), |sum, of_window| double(sum) + of_window))
    }
}

/// Copies of each window's buckets, 4 at most, so that `windows`·copies jobs keep the threads busy.
fn splits(windows: usize, threads: usize) -> usize {
    let waste = |copies: &usize| {
        let rounds = (windows * copies).div_ceil(threads);
        // Per mille of the time in which a thread has nothing to do, and a little for each copy.
        1000 * (rounds * threads - windows * copies) / (rounds * threads) + 20 * copies
    };
    (1..=4).min_by_key(waste).unwrap_or(1)
}
