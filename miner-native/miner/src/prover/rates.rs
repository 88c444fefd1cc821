//! How long steps take here: the last few measured times of each, and what is expected of the next.
//!
//! Measured by [`super::scheduler`] from start to end, without the wait before; kept in the store, so that a restart
//! knows them.

use super::work::{typical_ms, Step};
use crate::machine::cores;
use crate::store::RateBook;
use serde::{Deserialize, Serialize};
use shared::piece::SectorSize;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Measured times of a step that are remembered.
pub const REMEMBERED: usize = 8;

/// How long a step is expected to take, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Expected {
    /// Milliseconds; none when nobody has measured it.
    pub ms: Option<u64>,
    /// For people.
    pub basis: String,
}

/// The times of one sector size.
pub(super) struct Rates {
    size: SectorSize,
    book: RateBook,
    recent: Mutex<BTreeMap<Step, Vec<u64>>>,
}

impl Rates {
    /// The times in `book`. One that cannot be read is as if it were empty.
    pub(super) fn load(size: SectorSize, book: RateBook) -> Self {
        let mut recent = BTreeMap::new();
        for step in Step::ALL {
            match book.times(size, step.key()) {
                Ok(times) if times.is_empty() => {}
                Ok(times) => drop(recent.insert(step, times)),
                Err(error) => tracing::warn!(%step, %error, "the times that a step took cannot be read"),
            }
        }
        Self {
            size,
            book,
            recent: Mutex::new(recent),
        }
    }

    /// A step took `ms`, for `units` of work (partitions of a proof-of-spacetime, else 1).
    pub(super) fn observe(&self, step: Step, ms: u64, units: u64) {
        let times = self.remember(step, ms / units.max(1));
        // The times are not held while the disk is waited for: whoever writes may be asking for them.
        if let Err(error) = self.book.keep(self.size, step.key(), &times) {
            tracing::warn!(%step, %error, "the time that a step took cannot be kept");
        }
    }

    fn remember(&self, step: Step, ms: u64) -> Vec<u64> {
        let mut recent = self.recent();
        let times = recent.entry(step).or_default();
        times.push(ms);
        if times.len() > REMEMBERED {
            times.remove(0);
        }
        times.clone()
    }

    /// What `units` of a step will take.
    pub(super) fn expected(&self, step: Step, units: u64) -> Expected {
        let recent = self.recent();
        if let Some((mean, times)) = recent.get(&step).and_then(|times| Some((weighted(times)?, times))) {
            let each = if step == Step::WindowPost {
                " for each partition"
            } else {
                ""
            };
            let basis = match (times.len(), times.iter().min(), times.iter().max()) {
                (1, ..) => format!("measured once here{each}"),
                (count, Some(least), Some(most)) => format!(
                    "the last {count} measured here{each}, {} to {}, the newest counting most",
                    text(*least),
                    text(*most)
                ),
                _ => String::new(),
            };
            return Expected {
                ms: Some(mean.saturating_mul(units.max(1))),
                basis,
            };
        }
        let scaled = typical_ms(step, self.size).map(|ms| match step {
            Step::Commit2 | Step::Commit2Library | Step::PreCommit2 => ms / cores().max(1),
            _ => ms.saturating_mul(units.max(1)),
        });
        Expected {
            ms: scaled,
            basis: match scaled {
                Some(_) => "measured on another machine; not measured here yet".into(),
                None => "not measured yet".into(),
            },
        }
    }

    fn recent(&self) -> MutexGuard<'_, BTreeMap<Step, Vec<u64>>> {
        // Numbers only: whole after a panic, too.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The mean of times, oldest first, where each counts half as much again as the one before; none of none.
fn weighted(times: &[u64]) -> Option<u64> {
    let (first, later) = times.split_first()?;
    let mean = later
        .iter()
        .fold(u128::from(*first), |mean, time| (2 * mean + u128::from(*time)) / 3);
    u64::try_from(mean).ok()
}

fn text(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => format!("{} s", ms / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MinerStore;

    const SIZE: SectorSize = SectorSize::S8MiB;

    fn book() -> (tempfile::TempDir, MinerStore) {
        let dir = tempfile::tempdir().expect("a folder");
        let store = MinerStore::open(&dir.path().join("store")).expect("a database");
        (dir, store)
    }

    #[test]
    fn a_step_is_expected_to_take_what_it_took_lately_also_after_a_restart() {
        let (_dir, store) = book();
        let rates = Rates::load(SIZE, store.rates());
        assert_eq!(rates.expected(Step::WindowPost, 3).ms, Some(2_400), "from the table");
        for ms in [60_000, 66_000] {
            rates.observe(Step::Commit2, ms, 1);
        }
        let expected = rates.expected(Step::Commit2, 1);
        assert_eq!(expected.ms, Some(62_000));
        assert_eq!(
            expected.basis,
            "the last 2 measured here, 60 s to 66 s, the newest counting most"
        );
        let again = Rates::load(SIZE, store.rates());
        assert_eq!(again.expected(Step::Commit2, 1), expected);
        let other = Rates::load(SectorSize::S2KiB, store.rates());
        assert_ne!(other.expected(Step::Commit2, 1), expected, "each size has its own");
    }

    #[test]
    fn a_proof_of_spacetime_is_reckoned_by_its_partitions() {
        let (_dir, store) = book();
        let rates = Rates::load(SIZE, store.rates());
        rates.observe(Step::WindowPost, 9_000, 3);
        assert_eq!(rates.expected(Step::WindowPost, 1).ms, Some(3_000));
        assert_eq!(rates.expected(Step::WindowPost, 5).ms, Some(15_000));
    }

    #[test]
    fn who_writes_to_the_store_may_ask_for_a_time_that_is_being_kept() {
        let (_dir, store) = book();
        let rates = Rates::load(SIZE, store.rates());
        let (asked, answer) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            store.within_a_transaction(|| {
                scope.spawn(|| rates.observe(Step::Unseal, 7, 1));
                scope.spawn(|| {
                    while rates.expected(Step::Unseal, 1).ms != Some(7) {
                        std::thread::yield_now();
                    }
                    asked.send(()).expect("it is waited for");
                });
                let waited = answer.recv_timeout(std::time::Duration::from_secs(10));
                waited.expect("the time is known while it waits for the disk");
            });
        });
    }

    #[test]
    fn old_times_are_forgotten() {
        let (_dir, store) = book();
        let rates = Rates::load(SIZE, store.rates());
        rates.observe(Step::Unseal, 1_000_000, 1);
        (0..REMEMBERED).for_each(|_| rates.observe(Step::Unseal, 7, 1));
        assert_eq!(rates.expected(Step::Unseal, 1).ms, Some(7));
    }
}
