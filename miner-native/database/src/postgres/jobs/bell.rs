//! Tells who waits that jobs were posted or ended, by `LISTEN`; whoever waits looks for itself now and then, too.

use super::super::session::Session;
use super::super::{Place, PAUSE};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// How long the thread that listens is at it before it looks whether anybody wants it still.
const ROUND: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Bell(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    rung: Condvar,
}

#[derive(Default)]
struct State {
    /// Who waits for which jobs' end: how many, and whether it was told.
    ends: BTreeMap<i64, (usize, bool)>,
    /// Grows with every job that was posted or freed.
    posted: u64,
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.rung.notify_all();
    }
}

impl Bell {
    /// Listens from now on, on a connection of its own, as long as this lives.
    pub(super) fn hang(place: Place) -> Self {
        let inner = Arc::new(Inner::default());
        let weak = Arc::downgrade(&inner);
        // Without this thread everybody still looks now and then.
        let _ = std::thread::Builder::new()
            .name("jobs".into())
            .spawn(move || listen(&place, &weak));
        Self(inner)
    }

    /// Hears of the end of a job from now on.
    pub(super) fn listen(&self, id: i64) -> Ear<'_> {
        self.0.state().ends.entry(id).or_default().0 += 1;
        Ear { bell: &self.0, id }
    }

    /// See [`super::Jobs::ticket`].
    pub(super) fn ticket(&self) -> u64 {
        self.0.state().posted
    }

    /// Returns when jobs were posted or freed since the ticket was taken, or after `most`.
    pub(super) fn wait_for_work(&self, before: u64, most: Duration) {
        let state = self.0.state();
        drop(
            self.0
                .rung
                .wait_timeout_while(state, most, |state| state.posted == before),
        );
    }
}

/// Hears of the end of one job.
pub(super) struct Ear<'a> {
    bell: &'a Inner,
    id: i64,
}

impl Ear<'_> {
    /// Returns when the job's end was told, or after `most`.
    pub(super) fn wait(&self, most: Duration) {
        let is_silent = |state: &mut State| state.ends.get(&self.id).is_some_and(|(_, told)| !told);
        let (mut state, _) = self
            .bell
            .rung
            .wait_timeout_while(self.bell.state(), most, is_silent)
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((_, told)) = state.ends.get_mut(&self.id) {
            *told = false;
        }
    }
}

impl Drop for Ear<'_> {
    fn drop(&mut self) {
        let mut state = self.bell.state();
        if let Some((count, _)) = state.ends.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                state.ends.remove(&self.id);
            }
        }
    }
}

fn listen(place: &Place, bell: &Weak<Inner>) {
    let mut session = Session::new(place.clone());
    while bell.strong_count() > 0 {
        if session
            .listen(|told| hear(bell, told), ROUND, || bell.strong_count() > 0)
            .is_err()
        {
            std::thread::sleep(PAUSE);
        }
        // What was told meanwhile was heard by nobody: everybody looks.
        if let Some(inner) = bell.upgrade() {
            inner.ring(|state| {
                state.posted += 1;
                state.ends.values_mut().for_each(|(_, told)| *told = true);
            });
        }
    }
}

fn hear(bell: &Weak<Inner>, told: &str) {
    let Some(inner) = bell.upgrade() else { return };
    inner.ring(|state| {
        // An end frees a machine's room, and may free a job.
        state.posted += 1;
        if let Some((_, heard)) = told.parse().ok().and_then(|id: i64| state.ends.get_mut(&id)) {
            *heard = true;
        }
    });
}
