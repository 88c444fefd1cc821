//! How the services are doing, in one answer: never green while one of them is not up, is late with its sign of life, or says that
//! something fails.
//!
//! Read by [`crate::web`] for the operator and for whatever watches the daemon.

use crate::clock::now_ms;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Failures of one service that are shown at once; further ones are known by these.
const MOST_FAILURES: usize = 16;
/// What of a service is wrong when it does not run, or gives no sign of life; its own failures have names of their own.
const STATE: &str = "(state)";
const LATE: &str = "(late)";
/// Longest text of a failure, in characters.
const MAX_TEXT: usize = 500;

/// How the daemon is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Whether every service is up, lives, and works.
    pub ok: bool,
    /// What is wrong, in words, the services in the order in which they were started.
    pub problems: Vec<Problem>,
    pub services: Vec<ServiceHealth>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    pub service: String,
    /// What of the service is wrong, whatever the words are just now; not told.
    #[serde(skip)]
    pub of: String,
    pub text: String,
    /// Milliseconds since 1970.
    pub since: u64,
}

/// How one service is doing. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceHealth {
    pub name: String,
    pub state: ServiceState,
    /// When it came to this state.
    pub since: u64,
    /// How often it was started again.
    pub restarts: u64,
    /// How often it, or a task of it, panicked.
    pub panics: u64,
    /// Why it, or a task of it, ended the last time, or what failed last.
    pub last_error: Option<String>,
    pub last_error_at: Option<u64>,
    pub last_sign_of_life: u64,
    /// Whether its next sign of life is overdue.
    pub is_late: bool,
}

/// See [`ServiceHealth::state`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ServiceState {
    Up,
    /// It ended by itself and is started again after a pause.
    Restarting,
    /// It ended too often: the daemon ends.
    Down,
    /// It was told to stop, and did.
    Stopped,
}

/// The services' entries. Clones are the same board.
#[derive(Clone, Default)]
pub struct HealthBoard {
    entries: Arc<Mutex<Vec<Arc<Entry>>>>,
}

impl HealthBoard {
    pub(super) fn add(&self, name: &'static str, silence: Duration) -> Arc<Entry> {
        let entry = Arc::new(Entry::new(name, silence));
        lock(&self.entries).push(entry.clone());
        entry
    }

    /// How everything is now.
    pub fn health(&self) -> Health {
        let entries = lock(&self.entries).clone();
        let problems: Vec<Problem> = entries.iter().flat_map(|entry| entry.problems()).collect();
        Health {
            ok: problems.is_empty() && !entries.is_empty(),
            problems,
            services: entries.iter().map(|entry| entry.shown()).collect(),
        }
    }
}

/// One service's state.
pub(super) struct Entry {
    name: &'static str,
    silence: Duration,
    state: Mutex<Seen>,
}

struct Seen {
    state: ServiceState,
    since: Instant,
    restarts: u64,
    panics: u64,
    last_error: Option<(Instant, String)>,
    last_sign: Instant,
    /// When the next sign of life is due.
    next_sign: Option<Instant>,
    /// What fails, by its name, and since when.
    failures: BTreeMap<String, (Instant, String)>,
}

impl Entry {
    fn new(name: &'static str, silence: Duration) -> Self {
        let now = Instant::now();
        Self {
            name,
            silence,
            state: Mutex::new(Seen {
                state: ServiceState::Restarting,
                since: now,
                restarts: 0,
                panics: 0,
                last_error: None,
                last_sign: now,
                next_sign: now.checked_add(silence),
                failures: BTreeMap::new(),
            }),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn beat(&self, busy: Option<Duration>) {
        let now = Instant::now();
        let mut seen = lock(&self.state);
        seen.last_sign = now;
        seen.next_sign = now.checked_add(busy.unwrap_or(self.silence).max(self.silence));
    }

    pub(super) fn up(&self) {
        lock(&self.state).failures.clear();
        self.enter(ServiceState::Up);
        self.beat(None);
    }

    pub(super) fn stopped(&self) {
        self.enter(ServiceState::Stopped);
    }

    pub(super) fn restarting(&self, reason: &str, is_panic: bool) {
        let mut seen = lock(&self.state);
        seen.restarts = seen.restarts.saturating_add(1);
        seen.note(reason, is_panic);
        drop(seen);
        self.enter(ServiceState::Restarting);
    }

    pub(super) fn down(&self, reason: &str, is_panic: bool) {
        lock(&self.state).note(reason, is_panic);
        self.enter(ServiceState::Down);
    }

    pub(super) fn panicked(&self, reason: &str) {
        lock(&self.state).note(reason, true);
    }

    pub(super) fn failing(&self, of: &str, reason: &str) {
        let mut seen = lock(&self.state);
        seen.note(reason, false);
        let reason = short(reason);
        if let Some(known) = seen.failures.get_mut(of) {
            known.1 = reason;
        } else if seen.failures.len() < MOST_FAILURES {
            seen.failures.insert(of.to_owned(), (Instant::now(), reason));
        }
    }

    pub(super) fn well(&self, of: &str) {
        lock(&self.state).failures.remove(of);
    }

    fn enter(&self, state: ServiceState) {
        let mut seen = lock(&self.state);
        if seen.state != state {
            (seen.state, seen.since) = (state, Instant::now());
        }
    }

    fn problems(&self) -> Vec<Problem> {
        let (seen, now) = (lock(&self.state), Instant::now());
        let problem = |of: &str, text: String, since: Instant| Problem {
            service: self.name.to_owned(),
            of: of.to_owned(),
            text,
            since: at_ms(now, since),
        };
        let last = seen.last_error.as_ref().map_or("", |(_, text)| text.as_str());
        let state = match seen.state {
            ServiceState::Up => None,
            ServiceState::Restarting if last.is_empty() => Some("it is being started".to_owned()),
            ServiceState::Restarting => Some(format!("it is being started again: {last}")),
            ServiceState::Down => Some(format!("it is down: {last}")),
            ServiceState::Stopped => Some("it was stopped".to_owned()),
        };
        let mut found: Vec<Problem> = state.into_iter().map(|text| problem(STATE, text, seen.since)).collect();
        if seen.is_late(now) {
            let quiet = now.duration_since(seen.last_sign).as_secs();
            found.push(problem(
                LATE,
                format!("it gave no sign of life for {quiet} s"),
                seen.last_sign,
            ));
        }
        found.extend(seen.failures.iter().map(|(of, (since, text))| {
            let named = if of.is_empty() {
                String::new()
            } else {
                format!("{of}: ")
            };
            problem(of, format!("{named}{text}"), *since)
        }));
        found
    }

    fn shown(&self) -> ServiceHealth {
        let (seen, now) = (lock(&self.state), Instant::now());
        ServiceHealth {
            name: self.name.to_owned(),
            state: seen.state,
            since: at_ms(now, seen.since),
            restarts: seen.restarts,
            panics: seen.panics,
            last_error: seen.last_error.as_ref().map(|(_, text)| text.clone()),
            last_error_at: seen.last_error.as_ref().map(|(at, _)| at_ms(now, *at)),
            last_sign_of_life: at_ms(now, seen.last_sign),
            is_late: seen.is_late(now),
        }
    }
}

impl Seen {
    fn note(&mut self, reason: &str, is_panic: bool) {
        self.panics = self.panics.saturating_add(u64::from(is_panic));
        self.last_error = Some((Instant::now(), short(reason)));
    }

    fn is_late(&self, now: Instant) -> bool {
        self.state == ServiceState::Up && self.next_sign.is_some_and(|due| now > due)
    }
}

fn short(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

fn at_ms(now: Instant, at: Instant) -> u64 {
    let ago = now.duration_since(at).as_millis();
    now_ms().saturating_sub(u64::try_from(ago).unwrap_or(u64::MAX))
}

/// A panic while a lock was held leaves data that is still whole: every change is an assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
