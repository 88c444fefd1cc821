//! How far the work is, and whether it is to stop.

use super::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Mutex;

/// Shared by all jobs of one pre-commit 2. Units are multiplications, so that all parts go at the same pace.
pub(super) struct Progress<'a> {
    stop: &'a AtomicBool,
    tell: &'a (dyn Fn(u64, u64) + Sync),
    done: Mutex<u64>,
    total: u64,
}

impl<'a> Progress<'a> {
    pub fn new(stop: &'a AtomicBool, tell: &'a (dyn Fn(u64, u64) + Sync), total: u64) -> Self {
        tell(0, total);
        Self {
            stop,
            tell,
            done: Mutex::new(0),
            total,
        }
    }

    /// # Errors
    /// [`Error::Stopped`] as soon as someone wants that.
    pub fn check(&self) -> Result<(), Error> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(Error::Stopped),
            false => Ok(()),
        }
    }

    /// Tells while it holds the lock, so that what is told never goes back.
    pub fn advance(&self, by: u64) {
        // A listener that panicked does not make the number wrong.
        let mut done = self.done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *done += by;
        (self.tell)(*done, self.total);
    }
}
