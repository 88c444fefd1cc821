//! What a machine is at, and until when it takes nothing more.

use crate::prover::Step;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long a machine takes nothing after a step failed by what is wrong with the machine itself.
const REST: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Held {
    pub(super) jobs: Mutex<BTreeMap<i64, Holding>>,
    /// Told when a step has ended.
    pub(super) ended: Notify,
    /// Until when nothing is taken.
    pub(super) rest: Mutex<Option<Instant>>,
    /// Until when no proof-of-spacetime is.
    pub(super) rest_of_windows: Mutex<Option<Instant>>,
}

#[derive(Clone, Copy)]
pub(super) struct Holding {
    pub(super) fence: i64,
    pub(super) step: Step,
    pub(super) sector: Option<u64>,
    /// Whether a thread may be changing a sector's files.
    pub(super) writes: bool,
}

impl Held {
    pub(super) fn jobs(&self) -> MutexGuard<'_, BTreeMap<i64, Holding>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn rest(&self) {
        begin_rest(&self.rest);
    }

    pub(super) fn rests(&self) -> bool {
        is_resting(&self.rest)
    }
}

pub(super) fn begin_rest(rest: &Mutex<Option<Instant>>) {
    *rest.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + REST);
}

pub(super) fn is_resting(rest: &Mutex<Option<Instant>>) -> bool {
    let rest = rest.lock().unwrap_or_else(PoisonError::into_inner);
    rest.is_some_and(|until| Instant::now() < until)
}
