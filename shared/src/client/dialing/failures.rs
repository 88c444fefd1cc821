//! Which addresses have just failed: a browser makes pages wait whose dials fail, so those that work go first.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;

/// Addresses that are remembered, at most; the one that failed longest ago makes room.
pub const MAX_FAILURES: usize = 64;
/// How long the first failure counts, in milliseconds; each further one in a row doubles it.
const FIRST_MS: u64 = 5_000;
/// How long any failure counts, at most.
const LONGEST_MS: u64 = 60_000;

#[derive(Debug, Clone, Copy)]
struct Failure {
    at_ms: u64,
    until_ms: u64,
    times: u32,
}

/// The addresses that failed, and until when that counts.
#[derive(Debug, Clone, Default)]
pub struct Failures(BTreeMap<String, Failure>);

impl Failures {
    /// A dial failed.
    pub fn failed(&mut self, address: &str, now_ms: u64) {
        let times = self.0.get(address).map_or(0, |failure| failure.times.saturating_add(1));
        if self.0.len() >= MAX_FAILURES && !self.0.contains_key(address) {
            let oldest = self.0.iter().min_by_key(|(_, failure)| failure.at_ms);
            let oldest = oldest.map(|(address, _)| address.clone());
            oldest.and_then(|address| self.0.remove(&address));
        }
        let lasts = FIRST_MS
            .checked_shl(times)
            .map_or(LONGEST_MS, |lasts| lasts.clamp(FIRST_MS, LONGEST_MS));
        let failure = Failure {
            at_ms: now_ms,
            until_ms: now_ms.saturating_add(lasts),
            times: times.min(32),
        };
        self.0.insert(address.to_owned(), failure);
    }

    /// A dial succeeded: what was before does not count any more.
    pub fn worked(&mut self, address: &str) {
        self.0.remove(address);
    }

    /// Whether the address failed so lately that others go first.
    pub fn is_fresh(&self, address: &str, now_ms: u64) -> bool {
        self.0
            .get(address)
            .is_some_and(|failure| (failure.at_ms..failure.until_ms).contains(&now_ms))
    }
}
