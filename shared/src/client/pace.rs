//! How long a client pauses, in milliseconds; the host waits, and less when it has news.

use super::engine::Next;

/// After the first failure of a deal in a row; it grows by half with each.
const FIRST_RETRY: u64 = 500;
/// Longest pause after a failure: a miner that is back is not kept waiting.
const LONGEST_RETRY: u64 = 10_000;
/// Between two questions how a deal is: at first, and at most.
const QUERY: (u64, u64) = (1_000, 3_000);
/// Until a message is looked for again that is on its way to a block.
const MESSAGE: u64 = 500;
/// Between two looks at what is left of a settled deal: its sector, and its refunds.
pub const WATCH: u64 = 3_000;
/// How often in a row the same happened to a deal.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    failures: u32,
    queries: u32,
}

impl Pace {
    /// The pause after a step.
    pub fn after<E>(&mut self, outcome: &Result<Next, E>) -> u64 {
        let Ok(next) = outcome else {
            self.failures = self.failures.saturating_add(1);
            return retry(self.failures);
        };
        self.failures = 0;
        match next {
            Next::Now | Next::Settled => 0,
            Next::Message => MESSAGE,
            Next::Query => {
                self.queries = self.queries.saturating_add(1);
                query(self.queries)
            }
        }
    }
}

/// After this many failures in a row, at least one.
pub fn retry(failures: u32) -> u64 {
    let mut wait = FIRST_RETRY;
    for _ in 1..failures.min(16) {
        wait = wait.saturating_mul(3) / 2;
    }
    wait.min(LONGEST_RETRY)
}

/// Before the query with this number.
pub fn query(number: u32) -> u64 {
    QUERY
        .0
        .saturating_add(u64::from(number).saturating_mul(500))
        .min(QUERY.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_below_their_limit() {
        let retries: alloc::vec::Vec<u64> = (1..=9).map(retry).collect();
        assert_eq!(retries, [500, 750, 1125, 1687, 2530, 3795, 5692, 8538, 10_000]);
        assert_eq!(retry(u32::MAX), 10_000);
        assert_eq!([0, 1, 9, u32::MAX].map(query), [1_000, 1_500, 3_000, 3_000]);
    }
}
