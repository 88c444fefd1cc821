//! Whether what is green is true: things that no service notices by itself while it idles.
//!
//! Each some seconds: that this machine's clock goes with the chain's and does not jump, that the log is written. Each ten minutes: that a
//! proven sector, another one each time, can be opened against its CommR at random places, as a window will ask of it; one that could not is
//! opened first until it can. That blocks come is [`crate::chain_access`]'s, disk and database are [`crate::storage_check`]'s, the own addresses `network::self_check`'s, whole sectors [`crate::scrubbing`]'s.

use crate::chain_access::ChainAccess;
use crate::clock::now_ms;
use crate::logging::Log;
use crate::prover::Prover;
use crate::store::{MinerStore, SectorRecord};
use crate::supervisor::{Lifeline, ServiceError};
use rand::seq::SliceRandom;
use sealdrop_database::blocking;
use shared::chain::Epoch;
use shared::sector::{Phase, SectorEffect};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(10);
/// Time between two openings of a sector; the same after a failure.
const OPEN_EVERY: Duration = Duration::from_secs(600);
const OPEN_AGAIN: Duration = Duration::from_secs(60);
/// Longest that one may take, waiting for the prover's other work included: it is looked at later then.
const OPEN_LIMIT: Duration = Duration::from_secs(15 * 60);
/// How far this machine's clock may be from the chain's.
const CLOCK_MARGIN: Duration = Duration::from_secs(60);
/// How far it may jump between two looks, and how long a jump is shown.
const JUMP_MARGIN: Duration = Duration::from_secs(5);
const JUMP_SHOWN: Duration = Duration::from_secs(600);
/// What health calls them.
const CLOCK: &str = "clock";
const LOG: &str = "log";
const SECTOR: &str = "sector";

/// What the checks look at.
#[derive(Clone)]
pub struct SelfChecks {
    pub chain: ChainAccess,
    pub store: MinerStore,
    pub prover: Arc<Prover>,
    pub log: Log,
}

impl SelfChecks {
    /// Checks until it is to stop.
    pub async fn run(self, lifeline: Lifeline) -> Result<(), ServiceError> {
        tokio::select! {
            () = lifeline.stopping() => {}
            () = self.look_for_ever(&lifeline) => {}
            () = self.open_for_ever(&lifeline) => {}
        }
        Ok(())
    }

    async fn look_for_ever(&self, lifeline: &Lifeline) {
        let (mut pulse, mut clock) = (Pulse::default(), tokio::time::interval(EVERY));
        loop {
            clock.tick().await;
            lifeline.beat();
            let head = self.chain.heads().borrow().clone();
            let block_ms = self.chain.connected_network().block_time_ms;
            let wrong = pulse.look(&Look {
                at: Instant::now(),
                now_ms: now_ms(),
                height: head.height,
                head_ms: head.time_ms,
                block_time: (block_ms > 0).then(|| Duration::from_millis(block_ms)),
            });
            tell(lifeline, CLOCK, wrong);
            let trouble = self.log.trouble();
            if let Some(error) = &trouble {
                // When this line is written, all is well again.
                tracing::error!(error, "the log could not be written");
            }
            tell(lifeline, LOG, trouble.map(|error| format!("its lines cannot be written: {error}; make room, or start the daemon anew with a log that can be")));
        }
    }

    async fn open_for_ever(&self, lifeline: &Lifeline) {
        let mut broken = BTreeMap::new();
        let mut pause = OPEN_EVERY;
        loop {
            tokio::time::sleep(pause).await;
            // What the prover has no turn for is looked at later, and says nothing.
            let opened = tokio::time::timeout(OPEN_LIMIT, self.open_one(&broken)).await;
            if let Ok(Some((sector, outcome))) = opened {
                match outcome {
                    Ok(()) => drop(broken.remove(&sector)),
                    Err(wrong) => drop(broken.insert(sector, wrong)),
                }
            }
            broken.retain(|id, _| self.is_proven(*id));
            pause = if broken.is_empty() { OPEN_EVERY } else { OPEN_AGAIN };
            let first = broken.iter().next();
            tell(lifeline, SECTOR, first.map(|(id, wrong)| {
                let others = match broken.len() {
                    1 => String::new(),
                    many => format!(", and {} others", many - 1),
                };
                format!("sector {id}{others} cannot be opened against its CommR: {wrong}; see `sealdrop mining explain {id}`, and bring its files back from a backup if they are gone")
            }));
        }
    }

    fn is_proven(&self, id: u64) -> bool {
        let record = blocking(|| self.store.sector(id));
        // A store that does not answer is no reason to call a sector whole.
        record.map_or(true, |record| {
            record.is_some_and(|record| record.sector.effect() == SectorEffect::Prove)
        })
    }

    /// Opens a proven sector against its CommR at random places, one that could not be opened before first; what came of it, if anything.
    async fn open_one(&self, broken: &BTreeMap<u64, String>) -> Option<(u64, Result<(), String>)> {
        let proven = blocking(|| self.store.sectors_in(&[Phase::Proving])).ok()?;
        let again: Vec<&SectorRecord> = proven
            .iter()
            .filter(|record| broken.contains_key(&record.sector.id))
            .collect();
        let all: Vec<&SectorRecord> = proven.iter().collect();
        let from = if again.is_empty() { all } else { again };
        let record = from.choose(&mut rand::thread_rng())?;
        let (id, sealed) = (record.sector.id, record.sector.sealed()?);
        match self.prover.open(id, sealed.comm_r).await {
            Ok(()) => Some((id, Ok(()))),
            Err(error) if error.passes() => None,
            Err(error) => Some((id, Err(error.to_string()))),
        }
    }
}

fn tell(lifeline: &Lifeline, of: &str, wrong: Option<String>) {
    match wrong {
        Some(wrong) => lifeline.failing(of, &wrong),
        None => lifeline.well(of),
    }
}

/// What is seen at once.
struct Look {
    at: Instant,
    now_ms: u64,
    height: Epoch,
    /// When the head was made, by the chain's clock.
    head_ms: u64,
    /// None for a chain whose blocks have no time.
    block_time: Option<Duration>,
}

/// What is remembered from look to look.
#[derive(Default)]
struct Pulse {
    head: Option<Epoch>,
    /// The last look, by both clocks.
    last: Option<(Instant, u64)>,
    /// When the clock jumped last, and by how many milliseconds.
    jump: Option<(Instant, i64)>,
    /// How far the clock was from the chain's when the head came, in milliseconds.
    apart: i64,
}

impl Pulse {
    /// What is wrong with the clock, in words.
    fn look(&mut self, seen: &Look) -> Option<String> {
        if self.head.is_none_or(|height| height != seen.height) {
            // The first one may have come long before.
            if self.head.is_some() {
                self.apart = signed(seen.now_ms) - signed(seen.head_ms);
            }
            self.head = Some(seen.height);
        }
        if let Some((at, now_ms)) = self.last {
            let (by_wall, passed) = (signed(seen.now_ms) - signed(now_ms), seen.at.duration_since(at));
            let jumped = by_wall - millis(passed);
            if jumped.abs() > millis(JUMP_MARGIN) {
                self.jump = Some((seen.at, jumped));
                // What was measured by the clock of before says nothing.
                self.apart = 0;
            }
        }
        self.last = Some((seen.at, seen.now_ms));
        self.clock_trouble(seen)
    }

    fn clock_trouble(&self, seen: &Look) -> Option<String> {
        if let Some((at, by)) = self.jump.filter(|(at, _)| seen.at.duration_since(*at) < JUMP_SHOWN) {
            let ago = seen.at.duration_since(at).as_secs();
            return Some(format!(
                "this machine's clock went on by {} s at once, {ago} s ago: it was set, or the machine slept; let NTP keep it, and let it not sleep",
                by / 1000
            ));
        }
        // A block is seen up to a look and a block after it was made.
        let late = seen.block_time? + EVERY;
        let is_apart = self.apart < -millis(CLOCK_MARGIN) || self.apart > millis(CLOCK_MARGIN + late);
        is_apart.then(|| {
            let (apart, side) = (
                self.apart.abs() / 1000,
                if self.apart < 0 { "behind" } else { "ahead of" },
            );
            format!("this machine's clock is {apart} s {side} the chain's: one of them is wrong; let NTP keep this one")
        })
    }
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    fn look(start: Instant, seconds: u64, height: u64) -> Look {
        Look {
            at: start + Duration::from_secs(seconds),
            now_ms: HOUR_MS + seconds * 1000,
            height: Epoch(height),
            head_ms: HOUR_MS + seconds * 1000,
            block_time: Some(Duration::from_secs(1)),
        }
    }

    #[test]
    fn a_clock_that_jumps_is_told_for_ten_minutes() {
        let (mut pulse, start) = (Pulse::default(), Instant::now());
        pulse.look(&look(start, 0, 1));
        let ahead = |seconds: u64, height| Look {
            now_ms: HOUR_MS + seconds * 1000 + 20_000,
            ..look(start, seconds, height)
        };
        let found = pulse.look(&ahead(10, 2)).expect("it jumped");
        assert!(found.contains("by 20 s at once"), "{found}");
        assert!(pulse.look(&ahead(20, 3)).is_some());
        assert_eq!(pulse.look(&ahead(611, 4)), None);
    }

    #[test]
    fn a_clock_that_is_far_from_the_chains_is_told() {
        for (head_ms, side) in [(HOUR_MS - 90_000, "ahead of"), (HOUR_MS + 200_000, "behind")] {
            let (mut pulse, start) = (Pulse::default(), Instant::now());
            pulse.look(&look(start, 0, 1));
            let found = pulse
                .look(&Look {
                    head_ms,
                    ..look(start, 10, 2)
                })
                .expect("it is apart");
            assert!(found.contains(side), "{found}");
        }
        let (mut pulse, start) = (Pulse::default(), Instant::now());
        // The head that is there at the start may be old.
        assert_eq!(
            pulse.look(&Look {
                head_ms: 0,
                ..look(start, 0, 1)
            }),
            None
        );
    }
}
