//! What one proof's steps share: its memory, the caller's flag and ear, and the counts for the report.

use crate::arena::Arena;
use crate::report::{Part, PartReport};
use crate::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Operations, for the comparison with the processor's limit.
#[derive(Default)]
pub(crate) struct Counters {
    /// Multiplications of the base field, lanes counted singly.
    pub(crate) fp: AtomicU64,
    /// Of the scalar field.
    pub(crate) fr: AtomicU64,
    /// Additions of points.
    pub(crate) additions: AtomicU64,
}

/// One proof's surroundings.
pub(crate) struct Context<'a> {
    pub(crate) arena: Arc<Arena>,
    pub(crate) stop: &'a AtomicBool,
    pub(crate) progress: &'a (dyn Fn(Part, u64, u64) + Sync),
    pub(crate) counters: Counters,
    parts: Mutex<Vec<PartReport>>,
    now: Mutex<(Part, u64, u64)>,
}

impl<'a> Context<'a> {
    /// With memory of its own.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn new(stop: &'a AtomicBool, progress: &'a (dyn Fn(Part, u64, u64) + Sync)) -> Self {
        Self::on(Arc::default(), stop, progress)
    }

    /// With memory that another proof used before.
    pub(crate) fn on(arena: Arc<Arena>, stop: &'a AtomicBool, progress: &'a (dyn Fn(Part, u64, u64) + Sync)) -> Self {
        Self {
            arena,
            stop,
            progress,
            counters: Counters::default(),
            parts: Mutex::default(),
            now: Mutex::new((Part::Synthesis, 0, 1)),
        }
    }

    /// An error if the caller wants no proof any more.
    #[inline]
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(Error::Stopped),
            false => Ok(()),
        }
    }

    /// Runs a part of `total` steps, measured.
    pub(crate) fn part<T>(&self, part: Part, total: u64, run: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        self.check()?;
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = (part, 0, total);
        (self.progress)(part, 0, total);
        let (clock, before) = (Instant::now(), process_cpu());
        let out = run()?;
        let report = PartReport {
            part,
            wall: clock.elapsed(),
            cpu: process_cpu().saturating_sub(before),
        };
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).push(report);
        (self.progress)(part, total, total);
        Ok(out)
    }

    /// A step of the part that runs is done; from any thread.
    pub(crate) fn step(&self) {
        let (part, done, total) = {
            let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
            now.1 += 1;
            *now
        };
        if done < total {
            (self.progress)(part, done, total);
        }
    }

    pub(crate) fn take_parts(&self) -> Vec<PartReport> {
        std::mem::take(&mut self.parts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// CPU time of all the process's threads so far.
pub(crate) fn process_cpu() -> Duration {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a clock that every POSIX system has, written to a local.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut t) };
    Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
}
