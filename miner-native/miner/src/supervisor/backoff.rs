//! Pauses between attempts of one and the same work inside a service.

use std::time::Duration;

/// Waiting times between attempts: doubled from a second to half a minute.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: Self::FIRST }
    }
}

impl Backoff {
    const FIRST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(30);

    /// Waits before the next attempt.
    pub async fn pause(&mut self) {
        self.pause_at_most(Self::LONGEST).await;
    }

    /// Waits before the next attempt, not longer than this.
    pub async fn pause_at_most(&mut self, longest: Duration) {
        tokio::time::sleep(self.next.min(longest)).await;
        self.next = (self.next * 2).min(Self::LONGEST);
    }
}
