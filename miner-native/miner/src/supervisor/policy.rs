//! When a service that ended is started again, and when it ended too often.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// The pause before the first restart: long enough for a port or a lock to be free again.
pub const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: a proof's window is minutes long, and a service that comes back must still be in time for it.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Restarts within [`RESTART_WINDOW`], at most: with the doubling pauses about a minute of trying.
pub const MOST_RESTARTS: usize = 6;
/// See [`MOST_RESTARTS`].
pub const RESTART_WINDOW: Duration = Duration::from_secs(600);
/// How long a service may take to stop, and then its tasks: a block of the chain is made in less.
pub const STOP_LIMIT: Duration = Duration::from_secs(3);

/// See the constants, which are the usual values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartPolicy {
    pub first_pause: Duration,
    pub longest_pause: Duration,
    pub most_restarts: usize,
    pub window: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            first_pause: FIRST_PAUSE,
            longest_pause: LONGEST_PAUSE,
            most_restarts: MOST_RESTARTS,
            window: RESTART_WINDOW,
        }
    }
}

/// When one service ended lately.
pub(super) struct Restarts {
    policy: RestartPolicy,
    /// At most one more than the policy's restarts.
    ends: VecDeque<Instant>,
}

impl Restarts {
    pub(super) fn new(policy: RestartPolicy) -> Self {
        let ends = VecDeque::new();
        Self { policy, ends }
    }

    /// The service has ended: the pause before it is started again, or `None` when it ended too often. The pauses double with
    /// each end that is not forgotten yet.
    pub(super) fn ended(&mut self) -> Option<Duration> {
        let now = Instant::now();
        self.ends.retain(|end| now.duration_since(*end) < self.policy.window);
        let doublings = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        self.ends.push_back(now);
        if self.ends.len() > self.policy.most_restarts {
            return None;
        }
        let pause = self.policy.first_pause.saturating_mul(2u32.saturating_pow(doublings));
        Some(pause.min(self.policy.longest_pause))
    }

    /// Ends within the window.
    pub(super) fn count(&self) -> usize {
        self.ends.len()
    }
}
