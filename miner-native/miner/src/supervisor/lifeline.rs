//! What a service has of its supervisor: when to stop, how to say that it lives and what is wrong, and tasks of its own.

use super::health::Entry;
use futures::FutureExt;
use std::any::Any;
use std::fmt::Display;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A service's connection to its supervisor, for one of its lives. Clones are the same.
#[derive(Clone)]
pub struct Lifeline {
    entry: Arc<Entry>,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Lifeline {
    pub(super) fn new(entry: Arc<Entry>, stopping: CancellationToken) -> Self {
        Self {
            entry,
            stopping,
            tasks: TaskTracker::new(),
        }
    }

    /// A lifeline that nobody holds, for what runs without a supervisor: it is told to stop by nobody.
    pub fn unsupervised() -> Self {
        let board = super::HealthBoard::default();
        Self::new(board.add("unsupervised", Duration::MAX), CancellationToken::new())
    }

    /// A lifeline whose board a test reads.
    #[cfg(test)]
    pub(crate) fn watched() -> (Self, super::HealthBoard) {
        let board = super::HealthBoard::default();
        let entry = board.add("watched", Duration::MAX);
        entry.up();
        (Self::new(entry, CancellationToken::new()), board)
    }

    pub(super) fn tasks(&self) -> TaskTracker {
        self.tasks.clone()
    }

    /// Returns when the service is to stop.
    pub async fn stopping(&self) {
        self.stopping.cancelled().await;
    }

    /// The same, for what takes a token.
    pub fn token(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Does `work`, unless the service is to stop meanwhile: `None` then. What is dropped half-way is taken up again from what is
    /// on the disk.
    pub async fn unless_stopping<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.stopping.run_until_cancelled(work).await
    }

    /// A sign of life.
    pub fn beat(&self) {
        self.entry.beat(None);
    }

    /// Does `work` that may take up to `limit` without a sign of life.
    pub async fn busy<T>(&self, limit: Duration, work: impl Future<Output = T>) -> T {
        self.entry.beat(Some(limit));
        let done = work.await;
        self.entry.beat(None);
        done
    }

    /// Says that something of the service, named by `of`, fails: shown in health until [`Self::well`].
    pub fn failing(&self, of: &str, error: &dyn Display) {
        self.entry.failing(of, &error.to_string());
    }

    /// Says that something of the service works, again or as ever.
    pub fn well(&self, of: &str) {
        self.entry.well(of);
    }

    /// Counts a panic of the service's that was caught, and shows it in health.
    pub fn panicked(&self, what: &str, panic: &(dyn Any + Send)) {
        let reason = format!("{what} panicked: {}", panic_text(panic));
        tracing::error!(service = self.entry.name(), reason, "a task of the service ended");
        self.entry.panicked(&reason);
    }

    /// Runs a task of the service's own, which no peer drives: its panic is a problem until one of its kind comes to its end.
    pub fn spawn_own(
        &self,
        what: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> tokio::task::JoinHandle<()> {
        let lifeline = self.clone();
        self.tasks.spawn(async move {
            let work = AssertUnwindSafe(work).catch_unwind();
            match lifeline.unless_stopping(work).await {
                Some(Ok(())) => lifeline.well(what),
                Some(Err(panic)) => {
                    lifeline.panicked(what, &*panic);
                    lifeline.failing(what, &format_args!("it panicked: {}", panic_text(&*panic)));
                }
                None => {}
            }
        })
    }

    /// Runs a task of the service, which ends with it at the latest. Its panic is logged, counted and shown in health; it does
    /// not end the service, since peers may be what caused it.
    pub fn spawn(
        &self,
        what: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> tokio::task::JoinHandle<()> {
        let lifeline = self.clone();
        self.tasks.spawn(async move {
            let work = AssertUnwindSafe(work).catch_unwind();
            if let Some(Err(panic)) = lifeline.unless_stopping(work).await {
                lifeline.panicked(what, &*panic);
            }
        })
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("it said nothing")
}
