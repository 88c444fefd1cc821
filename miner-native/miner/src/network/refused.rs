//! Counts what peers were refused since the start, for the operator: one number for each kind of limit (`shared/docs/limits.md`).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// Which limit it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// A handshake that took too long or made room.
    Handshakes,
    /// A connection that made room.
    Connections,
    /// A stream beyond the budget.
    Streams,
    /// An exchange for which there was no room.
    Exchanges,
    /// A request that came too slowly or made room.
    Requests,
    /// A transfer that was too slow.
    Transfers,
    /// A delivery that was too slow, or for which there was no room.
    Deliveries,
}

impl Limit {
    const ALL: [(Self, &str); 7] = [
        (Self::Handshakes, "handshakes"),
        (Self::Connections, "connections"),
        (Self::Streams, "streams"),
        (Self::Exchanges, "exchanges"),
        (Self::Requests, "requests"),
        (Self::Transfers, "transfers"),
        (Self::Deliveries, "deliveries"),
    ];
}

/// The counts. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Refused(Arc<[AtomicU64; Limit::ALL.len()]>);

impl Refused {
    pub(super) fn count(&self, limit: Limit) {
        if let Some(count) = self.0.get(limit as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Each limit's name with how often something was refused by it.
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        let names = Limit::ALL.iter().map(|(_, name)| (*name).to_owned());
        names.zip(counts).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_has_its_own_count_and_name() {
        let refused = Refused::default();
        for (number, (limit, _)) in Limit::ALL.iter().enumerate() {
            (0..=number).for_each(|_| refused.count(*limit));
        }
        let counts = refused.counts();
        for (number, (_, name)) in Limit::ALL.iter().enumerate() {
            assert_eq!(counts.get(*name), Some(&(number as u64 + 1)));
        }
    }
}
