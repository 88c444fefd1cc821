//! The sums over a circuit's variables: queries L, A and B. Of the scalars nine in ten are 0 or 1: zeros are nowhere, ones
//! are summed as they come from the file, and only the rest goes through buckets.

use crate::compact::{Compact, Value};
use crate::context::Context;
use crate::msm::{convert, Biased, Buckets, Curve, Filler, Points, Sum, Window, CHUNK, MOST_BUCKETS};
use crate::parameters;
use crate::Error;
use blstrs::Scalar;
use ff::{Field, PrimeField};
use group::Group;
use rayon::prelude::*;
use std::ops::Range;

/// A query's scalars, by their index in the query's array.
#[derive(Default)]
pub(crate) struct Query {
    /// Where the scalar is 1.
    ones: Vec<u32>,
    /// Where it is neither 0 nor 1, and what it is.
    others: Vec<u32>,
    scalars: Vec<[u64; 4]>,
    /// How many there are with the zeros.
    len: usize,
}

/// The integer in words.
#[inline(always)]
pub(crate) fn canonical(s: &Scalar) -> [u64; 4] {
    let bytes = s.to_repr();
    std::array::from_fn(|i| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[8 * i..8 * i + 8]);
        u64::from_le_bytes(word)
    })
}

impl Query {
    /// From the scalars in the order of the query's array, of which there are fewer than 2^31.
    pub(crate) fn new<'a>(scalars: impl Iterator<Item = Value<'a>>) -> Self {
        let mut q = Self::default();
        for s in scalars {
            match s {
                Value::Small(0) => {}
                Value::Small(1) => q.ones.push(q.len as u32),
                Value::Small(x) => q.other([u64::from(x), 0, 0, 0]),
                Value::Large(x) => q.other(canonical(x)),
            }
            q.len += 1;
        }
        q
    }
    /// From scalars as they are.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn of_scalars(scalars: &[Scalar]) -> Self {
        Self::new(scalars.iter().map(of))
    }
    fn other(&mut self, x: [u64; 4]) {
        self.others.push(self.len as u32);
        self.scalars.push(x);
    }

    /// Steps that [`run`](Self::run) reports.
    pub(crate) fn steps(&self) -> u64 {
        (self.jobs() + Sum::<crate::msm::G1<sealdrop_lanes::portable::Fp>>::steps(self.window()) as usize) as u64
    }
    fn jobs(&self) -> usize {
        // So few that their sums weigh nothing, enough for all threads and to stop soon.
        const LEAST: usize = 1 << 16;
        self.len.div_ceil(LEAST).min(8 * rayon::current_num_threads())
    }
    fn window(&self) -> Window {
        Window::best(self.others.len(), MOST_BUCKETS)
    }

    /// Σ scalar·point; the file has as many points as there are scalars.
    pub(crate) fn run<C: Curve>(
        &self,
        file: parameters::Points<'_>,
        context: &Context<'_>,
    ) -> Result<C::Projective, Error> {
        assert!(file.len() >= self.len);
        let points = Points::<C::F>::new(&context.arena, self.others.len())?;
        let jobs = self.jobs();
        let share = self.len.div_ceil(jobs.max(1));
        // A job reads its stretch of the file once: ones are summed, others kept.
        let ones: Vec<C::Projective> = (0..jobs)
            .into_par_iter()
            .map(|job| {
                context.check()?;
                let range = job * share..self.len.min((job + 1) * share);
                let sum = self.stretch::<C>(file, range.clone(), &points, context)?;
                file.done(range);
                context.step();
                Ok(sum)
            })
            .collect::<Result<_, Error>>()?;
        let ones = ones.into_iter().fold(C::Projective::identity(), |a, b| a + b);
        if self.others.is_empty() {
            return Ok(ones);
        }
        let window = self.window();
        let bias = window.biaser();
        let scalars: Vec<Biased> = self.scalars.iter().map(&bias).collect();
        let mut sum = Sum::<C>::new(window, context)?;
        sum.add(&points, &scalars)?;
        Ok(ones + sum.finish()?)
    }

    /// The sum of a stretch's points that have a 1; those with another scalar go to `points`.
    fn stretch<C: Curve>(
        &self,
        file: parameters::Points<'_>,
        range: Range<usize>,
        points: &Points<C::F>,
        context: &Context<'_>,
    ) -> Result<C::Projective, Error> {
        let within = |indices: &[u32]| {
            let at = |i: usize| indices.partition_point(|x| (*x as usize) < i);
            at(range.start)..at(range.end)
        };
        let others = within(&self.others);
        let indices = self.others[others.clone()].iter().map(|i| *i as usize);
        // SAFETY: a stretch's indices are no other's, and so are their places.
        unsafe { convert::<C>(file, indices, points, others.start, context) };

        let ones = &self.ones[within(&self.ones)];
        let mut filler = Filler::<C>::new(&context.arena)?;
        // As many running sums as points of a chunk: each chunk is one batch.
        let mut sums = Buckets::<C>::new(&context.arena, CHUNK.min(ones.len()))?;
        let chunk = Points::<C::F>::new(&context.arena, CHUNK)?;
        for ones in ones.chunks(CHUNK) {
            context.check()?;
            // SAFETY: the chunk is this call's.
            unsafe { convert::<C>(file, ones.iter().map(|i| *i as usize), &chunk, 0, context) };
            filler.fill(&mut sums, &chunk, 0..ones.len(), |i| (i as u32 + 1, 0));
        }
        let sum = sums.sum(filler.batch());
        filler.batch().count(&context.counters);
        Ok(sum)
    }
}

/// The scalars of a query: public inputs, then auxiliary variables, of which `keep` takes some.
pub(crate) fn values<'a>(
    input: &'a [Scalar],
    keep_input: impl Fn(usize) -> bool + 'a,
    aux: &'a Compact,
    keep_aux: impl Fn(usize) -> bool + 'a,
) -> impl Iterator<Item = Value<'a>> + 'a {
    let input = input
        .iter()
        .enumerate()
        .filter(move |(i, _)| keep_input(*i))
        .map(|(_, x)| of(x));
    input.chain((0..aux.len()).filter(move |i| keep_aux(*i)).map(|i| aux.value(i)))
}

fn of(x: &Scalar) -> Value<'_> {
    if x.is_zero_vartime() {
        Value::Small(0)
    } else if *x == Scalar::ONE {
        Value::Small(1)
    } else {
        Value::Large(x)
    }
}
