//! Sums of buckets, with the points read in their order and the buckets in the cache.
//!
//! The points of a chunk that share a bucket are summed first, as trees, so that a batch never names a point twice; then each
//! bucket of the chunk gets one addition.

use super::batch::Batch;
use super::curve::Curve;
use super::points::{copy, is_infinite, Points};
use crate::arena::Arena;
use crate::Error;
use group::Group;
use sealdrop_lanes::Field;
use std::ops::Range;
use std::sync::Arc;

/// Points of a chunk: with the next chunk, the buckets and the products they fit a processor's second-level cache.
pub(crate) const CHUNK: usize = 1024;

/// The buckets of one window.
pub(crate) struct Buckets<C: Curve> {
    pub(crate) sums: Points<C::F>,
    /// Which are not the point at infinity; of the others nothing is read.
    pub(crate) occupied: Vec<bool>,
}

impl<C: Curve> Buckets<C> {
    /// All of them empty.
    pub(crate) fn new(arena: &Arc<Arena>, n: usize) -> Result<Self, Error> {
        Ok(Self {
            sums: Points::new(arena, n)?,
            occupied: vec![false; n],
        })
    }

    fn len(&self) -> usize {
        self.occupied.len()
    }
}

/// What one thread needs to fill buckets.
pub(crate) struct Filler<C: Curve> {
    batch: Batch<C>,
    /// Sums of points of a chunk that share a bucket.
    buffer: Points<C::F>,
    /// Each point's digit and, in the lowest bit, sign.
    digits: Vec<u32>,
    /// The last point of the chunk in each bucket, counted from 1; 0 for none.
    last: Vec<u16>,
    /// The one before each point in its bucket, likewise.
    previous: Vec<u16>,
    /// Of points that share a bucket: the first place in the buffer, how many, the bucket.
    runs: Vec<(u32, u32, u32)>,
    /// Of points alone in theirs: point and sign, the bucket.
    single: Vec<(u32, u32)>,
}

impl<C: Curve> Filler<C> {
    pub(crate) fn new(arena: &Arc<Arena>) -> Result<Self, Error> {
        const { assert!(CHUNK < u16::MAX as usize) };
        Ok(Self {
            batch: Batch::new(),
            buffer: Points::new(arena, CHUNK)?,
            digits: vec![0; CHUNK],
            last: vec![],
            previous: vec![0; CHUNK],
            runs: vec![],
            single: vec![],
        })
    }

    pub(crate) fn batch(&mut self) -> &mut Batch<C> {
        &mut self.batch
    }

    /// Adds each point of the range to the bucket that `digit` gives for it: 0 for none or the bucket's number plus one, and 1
    /// for a point that is to be negated.
    ///
    /// The points are below 2^31, since an index and a sign share a word.
    pub(crate) fn fill(
        &mut self,
        buckets: &mut Buckets<C>,
        points: &Points<C::F>,
        range: Range<usize>,
        digit: impl Fn(usize) -> (u32, u32),
    ) {
        assert!(range.end <= points.len() && range.end <= 1 << 31);
        let (words, end) = (2 * C::F::WORDS, range.end);
        self.last.clear();
        self.last.resize(buckets.len(), 0);
        for from in range.step_by(CHUNK) {
            let to = end.min(from + CHUNK);
            if to < end {
                self.batch.fetch_ahead(points.at(to), words * CHUNK.min(end - to));
            }
            self.link(from, to - from, &digit);
            self.pair(points, &buckets.sums, from, to - from);
            self.sum_runs();
            self.add_to_buckets(buckets, points);
        }
        buckets.settle(&self.batch);
    }

    /// Links the points of each bucket, from the last of the chunk to the first.
    fn link(&mut self, from: usize, len: usize, digit: &impl Fn(usize) -> (u32, u32)) {
        for (i, (d, previous)) in self.digits[..len].iter_mut().zip(&mut self.previous).enumerate() {
            let (b, sign) = digit(from + i);
            *d = b << 1 | sign;
            if b != 0 {
                let last = &mut self.last[b as usize - 1];
                *previous = *last;
                *last = i as u16 + 1;
            }
        }
    }

    /// Adds the first pairs of points that share a bucket, to the buffer; notes runs and singles, and unlinks all.
    fn pair(&mut self, points: &Points<C::F>, sums: &Points<C::F>, from: usize, len: usize) {
        let mut next = 0;
        for i in 0..len {
            let d = self.digits[i];
            // A bucket is looked at when its last point comes.
            let Some(bucket) = (d >> 1)
                .checked_sub(1)
                .filter(|b| usize::from(self.last[*b as usize]) == i + 1)
            else {
                continue;
            };
            self.last[bucket as usize] = 0;
            for line in 0..(2 * C::F::WORDS).div_ceil(8) {
                C::F::prefetch(sums.at(bucket as usize).wrapping_add(8 * line));
            }
            if self.previous[i] == 0 {
                self.single.push((((from + i) as u32) << 1 | d & 1, bucket));
            } else {
                let first = next;
                next = self.pair_run(points, from, i, next);
                self.runs.push((first as u32, (next - first) as u32, bucket));
            }
        }
        self.batch.run();
    }

    /// Pairs the points of a bucket whose last one is `i`, to places of the buffer from `next` on; returns the next free one.
    fn pair_run(&mut self, points: &Points<C::F>, from: usize, i: usize, mut next: usize) -> usize {
        let mut link = i + 1;
        while link != 0 {
            let (x, to) = (link - 1, self.buffer.at(next));
            let (a, sign) = (points.at(from + x), self.digits[x] & 1);
            link = usize::from(self.previous[x]);
            if link == 0 {
                // SAFETY: a point of the array, and a place of the buffer that nobody else has.
                unsafe { copy::<C::F>(a, to, sign) };
            } else {
                let y = link - 1;
                // SAFETY: as above. A chunk has no more pairs than places.
                unsafe { self.batch.push(a, points.at(from + y), to, sign, self.digits[y] & 1) };
                link = usize::from(self.previous[y]);
            }
            next += 1;
        }
        next
    }

    /// Sums the runs in the buffer, each to its first place.
    fn sum_runs(&mut self) {
        let mut stride = 1u32;
        loop {
            let mut any = false;
            for (first, len, _) in &self.runs {
                let mut i = 0;
                while i + stride < *len {
                    let d = self.buffer.at((first + i) as usize);
                    let e = self.buffer.at((first + i + stride) as usize);
                    // SAFETY: places of the buffer that were written, of which no other pair has either.
                    unsafe { add_or_copy(&mut self.batch, d, e) };
                    i += 2 * stride;
                    any = true;
                }
            }
            if !any {
                return;
            }
            self.batch.run();
            stride *= 2;
        }
    }

    /// Adds the chunk's sums and single points to the buckets, one to each at most.
    fn add_to_buckets(&mut self, buckets: &mut Buckets<C>, points: &Points<C::F>) {
        let buffer = &self.buffer;
        let runs = self
            .runs
            .drain(..)
            .map(|(first, _, b)| (buffer.at(first as usize).cast_const(), 0, b as usize));
        let at = |e: u32| points.at((e >> 1) as usize).cast_const();
        let single = self.single.drain(..).map(|(e, b)| (at(e), e & 1, b as usize));
        for (from, sign, b) in runs.chain(single) {
            let to = buckets.sums.at(b);
            // SAFETY: points of the arrays that were written (an empty bucket is not read); one addition a bucket.
            unsafe {
                if self.batch.infinite && is_infinite::<C::F>(from) {
                    continue;
                }
                if buckets.occupied[b] && !(self.batch.infinite && is_infinite::<C::F>(to)) {
                    self.batch.push(to, from, to, 0, sign);
                } else {
                    copy::<C::F>(from, to, sign);
                    buckets.occupied[b] = true;
                }
            }
        }
        self.batch.run();
    }
}

/// d += e in the batch, or at once if one is the point at infinity.
///
/// # Safety
/// As [`Batch::push`], but that the points may be infinite.
#[inline(always)]
unsafe fn add_or_copy<C: Curve>(batch: &mut Batch<C>, d: *mut u64, e: *const u64) {
    // SAFETY: the caller's contract.
    unsafe {
        if batch.infinite && is_infinite::<C::F>(e) {
        } else if batch.infinite && is_infinite::<C::F>(d) {
            copy::<C::F>(e, d, 0);
        } else {
            batch.push(d, e, d, 0, 0);
        }
    }
}

impl<C: Curve> Buckets<C> {
    /// Adds another's buckets, each to its own.
    pub(crate) fn merge(&mut self, other: &Self, batch: &mut Batch<C>) {
        for b in 0..self.len() {
            if other.occupied[b] {
                // SAFETY: occupied buckets were written and are finite, each is in one addition.
                unsafe { self.add(b, other.sums.at(b), batch) };
            }
            if batch.len() == super::batch::MOST {
                batch.run();
            }
        }
        batch.run();
        self.settle(batch);
    }

    /// Adds a finite point to bucket `b`.
    ///
    /// # Safety
    /// As [`Batch::push`].
    unsafe fn add(&mut self, b: usize, from: *const u64, batch: &mut Batch<C>) {
        let to = self.sums.at(b);
        // SAFETY: the caller's contract.
        unsafe {
            if self.occupied[b] {
                batch.push(to, from, to, 0, 0);
            } else {
                copy::<C::F>(from, to, 0);
                self.occupied[b] = true;
            }
        }
    }

    /// Notes which sums came out as the point at infinity.
    fn settle(&mut self, batch: &Batch<C>) {
        if batch.infinite {
            for b in 0..self.len() {
                // SAFETY: an occupied bucket was written.
                self.occupied[b] = self.occupied[b] && unsafe { !is_infinite::<C::F>(self.sums.at(b)) };
            }
        }
    }

    /// Σ bucket: the upper half is added to the lower one until one is left.
    pub(crate) fn sum(mut self, batch: &mut Batch<C>) -> C::Projective {
        let mut len = self.len();
        while len > 1 {
            let half = len.div_ceil(2);
            for b in half..len {
                if self.occupied[b] {
                    // SAFETY: occupied and finite; b - half is below half, so nobody else's.
                    unsafe { self.add(b - half, self.sums.at(b), batch) };
                }
                if batch.len() == super::batch::MOST {
                    batch.run();
                }
            }
            batch.run();
            self.settle(batch);
            len = half;
        }
        match self.occupied.first() {
            // SAFETY: occupied.
            Some(true) => unsafe { C::export(self.sums.at(0)) },
            _ => C::Projective::identity(),
        }
    }

    /// Σ (b + 1)·bucket b, for a power of two of buckets: running sums from the top, of many stretches at once.
    pub(crate) fn weighted_sum(self, arena: &Arc<Arena>, batch: &mut Batch<C>) -> Result<C::Projective, Error> {
        let n = self.len();
        debug_assert!(n.is_power_of_two());
        let length = if n >= 1 << 14 { 64 } else { n.min(16) };
        let stretches = n / length;
        // Of each stretch: the sum of the buckets so far, and the sum of those sums.
        let (mut run, mut acc) = (Self::new(arena, stretches)?, Self::new(arena, stretches)?);
        for j in (0..length).rev() {
            for s in (0..stretches).filter(|s| self.occupied[s * length + j]) {
                // SAFETY: occupied and finite, in one addition.
                unsafe { run.add(s, self.sums.at(s * length + j), batch) };
            }
            batch.run();
            run.settle(batch);
            for s in (0..stretches).filter(|s| run.occupied[*s]) {
                // SAFETY: as above.
                unsafe { acc.add(s, run.sums.at(s), batch) };
            }
            batch.run();
            acc.settle(batch);
        }
        // Stretch s weighs its buckets by 1..=length in `acc`, and lacks s·length times its sum.
        let (mut sum, mut running) = (C::Projective::identity(), C::Projective::identity());
        let mut weighted = C::Projective::identity();
        for s in (0..stretches).rev() {
            weighted += running;
            // SAFETY: occupied.
            unsafe {
                if run.occupied[s] {
                    running += C::export(run.sums.at(s));
                }
                if acc.occupied[s] {
                    sum += C::export(acc.sums.at(s));
                }
            }
        }
        for _ in 0..length.trailing_zeros() {
            weighted = weighted.double();
        }
        Ok(sum + weighted)
    }
}
