//! How many requests are under way at once: as many as fill the path to the peer, and no more than memory allows.
//!
//! The host tells when each request left and each answer came; the quickest answer is taken for the path's delay. Nothing is
//! measured with other means: answers come in the order of the requests, and the first ones wait for nothing else.

use super::puller::WINDOW;
use super::wire::MAX_DATA;
use alloc::collections::VecDeque;

/// What a path is to carry, in bytes a second: more than a browser moves over WebTransport on the same machine (177 MB/s).
const TARGET_RATE: u64 = 200_000_000;
/// Largest window: 8 MiB of answers under way, so eight transfers at once hold 64 MiB, a quarter of what unread streams may.
/// At 40 ms it is just filled (measured: 8 requests carry 40 to 50 MB/s there, 32 all that the path does).
pub const LONG_WINDOW: usize = 32;
const _: () = assert!(LONG_WINDOW <= super::puller::MAX_WINDOW && WINDOW <= LONG_WINDOW);

/// The window for a path of this delay, there and back, in microseconds.
pub fn window_for(delay_us: u64) -> usize {
    let under_way = TARGET_RATE.saturating_mul(delay_us) / 1_000_000;
    let requests = under_way.div_ceil(MAX_DATA as u64);
    usize::try_from(requests).map_or(LONG_WINDOW, |requests| requests.clamp(WINDOW, LONG_WINDOW))
}

/// The delay of one stream. Times are microseconds of any clock that does not go back.
#[derive(Debug, Clone, Default)]
pub struct PathDelay {
    /// When the requests under way left; at most [`LONG_WINDOW`] of them.
    left: VecDeque<u64>,
    least_us: Option<u64>,
}

impl PathDelay {
    /// A request leaves.
    pub fn asked(&mut self, now_us: u64) {
        self.left.push_back(now_us);
    }

    /// The answer to the oldest request under way is here; the window from now on.
    pub fn answered(&mut self, now_us: u64) -> usize {
        if let Some(left) = self.left.pop_front() {
            let took = now_us.saturating_sub(left);
            self.least_us = Some(self.least_us.map_or(took, |least| least.min(took)));
        }
        window_for(self.least_us.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_path_has_the_smallest_window_and_a_long_one_the_largest() {
        assert_eq!(window_for(0), WINDOW);
        assert_eq!(window_for(10_000), WINDOW);
        assert_eq!(window_for(20_000), 16);
        assert_eq!(window_for(40_000), 31);
        assert_eq!(window_for(42_000), LONG_WINDOW);
        assert_eq!(window_for(u64::MAX), LONG_WINDOW);
    }

    #[test]
    fn the_quickest_answer_is_the_delay_of_the_path() {
        let mut delay = PathDelay::default();
        delay.asked(1_000);
        delay.asked(2_000);
        assert_eq!(delay.answered(41_000), window_for(40_000));
        // It waited for the one before it.
        assert_eq!(delay.answered(82_000), window_for(40_000));
        delay.asked(90_000);
        assert_eq!(delay.answered(110_000), window_for(20_000));
        // An answer that nobody asked for is the puller's to refuse.
        assert_eq!(delay.answered(110_000), window_for(20_000));
    }
}
