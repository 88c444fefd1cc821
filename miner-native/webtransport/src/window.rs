//! How many bytes a peer may send before they are read: little at first, more as they are read, out of a budget that all share.
//!
//! QUIC promises a peer a window and holds whatever it sends into it, read or not. A fixed window is either too small for a long path
//! or too much for many peers. So each connection of a known peer begins with [`INITIAL_WINDOW`], and when half of its window was read within two round
//! trips, the path could take more: the window doubles, if the [`WindowBudget`] of the host grants it. What was granted is given back
//! when the connection ends, and not before: a promise cannot be taken back from a peer that has not used it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What every known peer may send over a connection before it is read, in bytes.
pub(crate) const INITIAL_WINDOW: u32 = 384 << 10;
/// The widest window of a connection, in bytes: 200 MB/s at 40 ms.
const MAX_WINDOW: u32 = 8 << 20;
/// Round trips of which a path that is faster than this knows nothing: tasks wait longer for the processor.
const SHORTEST_ROUND_TRIP: Duration = Duration::from_millis(2);

/// From what the windows of all connections are taken, beyond the first [`Config::initial_window`](crate::Config::initial_window) of each.
pub trait WindowBudget: Send + Sync {
    /// Whether a connection that has been granted `held` bytes may have `more`.
    fn grant(&self, held: u64, more: u64) -> bool;
    /// Takes back what was granted to a connection that ended.
    fn give_back(&self, granted: u64);
}

/// Grants everything: for nodes whose peers are known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unlimited;

impl WindowBudget for Unlimited {
    fn grant(&self, _held: u64, _more: u64) -> bool {
        true
    }

    fn give_back(&self, _granted: u64) {}
}

/// The window of a connection.
pub(crate) struct Window {
    connection: quinn::Connection,
    budget: Arc<dyn WindowBudget>,
    /// Bytes read since the last look.
    read: AtomicU64,
    pace: Mutex<Pace>,
}

/// When a window is to grow.
#[derive(Debug)]
struct Pace {
    size: u32,
    since: Instant,
    /// It is as wide as it will be.
    is_settled: bool,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self {
            size: INITIAL_WINDOW,
            since: now,
            is_settled: false,
        }
    }

    /// Half of the window was read: the size to grow to, if that was fast.
    fn read_half(&mut self, now: Instant, round_trip: Duration) -> Option<u32> {
        let took = now.saturating_duration_since(self.since);
        self.since = now;
        let is_fast = took <= round_trip.max(SHORTEST_ROUND_TRIP) * 2;
        (is_fast && !self.is_settled).then(|| self.size.saturating_mul(2).min(MAX_WINDOW))
    }

    fn grown(&mut self, granted: Option<u32>) {
        // What is not granted is asked for again at the next half: others may have ended.
        if let Some(size) = granted {
            self.size = size;
            self.is_settled = size >= MAX_WINDOW;
        }
    }

    fn granted(&self) -> u64 {
        u64::from(self.size - INITIAL_WINDOW)
    }
}

impl Window {
    pub(crate) fn new(connection: quinn::Connection, budget: Arc<dyn WindowBudget>) -> Arc<Self> {
        Arc::new(Self {
            connection,
            budget,
            read: AtomicU64::new(0),
            pace: Mutex::new(Pace::new(Instant::now())),
        })
    }

    /// The peer is known.
    pub(crate) fn open(&self) {
        self.connection.set_receive_window(INITIAL_WINDOW.into());
    }

    /// Bytes of the connection were read.
    pub(crate) fn read(&self, count: usize) {
        let read = self.read.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
        let mut pace = match self.pace.try_lock() {
            Ok(pace) => pace,
            // Another stream looks just now.
            Err(_) => return,
        };
        if read < u64::from(pace.size / 2) {
            return;
        }
        self.read.store(0, Ordering::Relaxed);
        let Some(size) = pace.read_half(Instant::now(), self.connection.rtt()) else {
            return;
        };
        let is_granted = self.budget.grant(pace.granted(), u64::from(size - pace.size));
        if is_granted {
            self.connection.set_receive_window(size.into());
        }
        pace.grown(is_granted.then_some(size));
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let pace = self.pace.get_mut().unwrap_or_else(PoisonError::into_inner);
        match pace.granted() {
            0 => {}
            granted => self.budget.give_back(granted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND_TRIP: Duration = Duration::from_millis(40);

    #[test]
    fn a_window_that_is_read_within_two_round_trips_doubles_up_to_its_limit() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        let mut sizes = Vec::new();
        for _ in 0..10 {
            now += ROUND_TRIP;
            let size = pace.read_half(now, ROUND_TRIP);
            sizes.extend(size);
            pace.grown(size);
        }
        assert_eq!(sizes.first(), Some(&(2 * INITIAL_WINDOW)));
        assert_eq!(sizes.last(), Some(&MAX_WINDOW));
        assert_eq!(pace.granted(), u64::from(MAX_WINDOW - INITIAL_WINDOW));
    }

    #[test]
    fn a_window_that_is_read_slowly_stays_as_it_is() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        for _ in 0..10 {
            now += ROUND_TRIP * 3;
            assert_eq!(pace.read_half(now, ROUND_TRIP), None);
        }
        assert_eq!(pace.granted(), 0);
    }

    #[test]
    fn what_is_not_granted_is_asked_for_again() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        let size = pace.read_half(now, ROUND_TRIP);
        pace.grown(None);
        assert_eq!(pace.granted(), 0);
        assert_eq!(pace.read_half(now, ROUND_TRIP), size);
    }
}
