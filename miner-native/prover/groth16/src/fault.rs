//! A switch that breaks the arithmetic, to show that verification refuses what a broken kernel makes.

use std::sync::atomic::{AtomicBool, Ordering};

/// While it is set, every batch of additions ends with a wrong bit, as if the processor multiplied wrongly. For tests and
/// demonstrations; no code of this crate sets it.
#[doc(hidden)]
pub static FAULT: AtomicBool = AtomicBool::new(false);

/// Looked at once a batch, that is once in some hundred microseconds.
pub(crate) fn active() -> bool {
    FAULT.load(Ordering::Relaxed)
}
