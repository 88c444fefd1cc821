//! Whether what is green is true: things that no service notices by itself while it idles.
//!
//! Each some seconds: that blocks come, that this machine's clock goes with the chain's and does not jump, that the log is written. Each
//! ten minutes: that a proven sector, another one each time, can be opened against its CommR at random places, as a window will ask of it.
//! Disk and database are [`crate::storage_check`]'s, the own addresses `network::self_check`'s, whole sectors [`crate::scrubbing`]'s.

use crate::chain_access::ChainAccess;
use crate::clock::now_ms;
use crate::logging::Log;
use crate::prover::Prover;
use crate::store::{MinerStore, SectorRecord, StoreError};
use crate::supervisor::{Lifeline, ServiceError};
use rand::seq::SliceRandom;
use shared::chain::Epoch;
use shared::sector::{Phase, SectorEffect};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(10);
/// Time between two openings of a sector; the same after a failure.
const OPEN_EVERY: Duration = Duration::from_secs(600);
const OPEN_AGAIN: Duration = Duration::from_secs(60);
/// Longest that one may take: it waits for the prover's other work.
const OPEN_LIMIT: Duration = Duration::from_secs(6 * 3600);
/// How long no block may come: so many blocks' time, and no less than this.
const SILENT_BLOCKS: u32 = 20;
const LEAST_SILENCE: Duration = Duration::from_secs(60);
/// How far this machine's clock may be from the chain's.
const CLOCK_MARGIN: Duration = Duration::from_secs(60);
/// How far it may jump between two looks, and how long a jump is shown.
const JUMP_MARGIN: Duration = Duration::from_secs(5);
const JUMP_SHOWN: Duration = Duration::from_secs(600);
/// What health calls them.
const HEAD: &str = "chain head";
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
        let (mut pulse, mut clock) = (Pulse::default(), tokio::time::interval(EVERY));
        let mut next_opening = Instant::now() + OPEN_EVERY;
        while lifeline.unless_stopping(clock.tick()).await.is_some() {
            lifeline.beat();
            self.look(&mut pulse, &lifeline);
            if Instant::now() < next_opening {
                continue;
            }
            let opened = lifeline.busy(OPEN_LIMIT, self.open_one());
            let Some(opened) = lifeline.unless_stopping(opened).await else {
                break;
            };
            next_opening = Instant::now() + if opened.is_ok() { OPEN_EVERY } else { OPEN_AGAIN };
            tell(&lifeline, SECTOR, opened.err());
        }
        Ok(())
    }

    fn look(&self, pulse: &mut Pulse, lifeline: &Lifeline) {
        let head = self.chain.heads().borrow().clone();
        let block_ms = self.chain.connected_network().block_time_ms;
        let seen = Look {
            at: Instant::now(),
            now_ms: now_ms(),
            height: head.height,
            head_ms: head.time_ms,
            block_time: (block_ms > 0).then(|| Duration::from_millis(block_ms)),
        };
        let found = pulse.look(&seen);
        tell(lifeline, HEAD, found.head);
        tell(lifeline, CLOCK, found.clock);
        tell(lifeline, LOG, self.log.trouble().map(|error| format!("its lines cannot be written: {error}; free some room, or restart the daemon with a log that can be")));
    }

    /// Opens a proven sector against its CommR at random places; says what is wrong.
    async fn open_one(&self) -> Result<(), String> {
        let shown = |error: StoreError| format!("the store does not say which there are: {error}");
        let all: Vec<SectorRecord> = self.store.sectors_in(&[Phase::Proving]).map_err(shown)?;
        let proven: Vec<_> = all
            .into_iter()
            .filter(|record| record.sector.effect() == SectorEffect::Prove)
            .collect();
        let Some(record) = proven.choose(&mut rand::thread_rng()) else {
            return Ok(());
        };
        let Some(sealed) = record.sector.sealed() else {
            return Ok(());
        };
        let id = record.sector.id;
        match self.prover.open(id, sealed.comm_r).await {
            Err(error) if !error.passes() => Err(format!(
                "sector {id} cannot be opened against its CommR: {error}; see `sealdrop mining explain {id}`, and bring its files back from a backup if they are gone"
            )),
            _ => Ok(()),
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

/// What is wrong, in words.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    head: Option<String>,
    clock: Option<String>,
}

/// What is remembered from look to look.
#[derive(Default)]
struct Pulse {
    /// The head, and when it came.
    head: Option<(Epoch, Instant)>,
    /// The last look, by both clocks.
    last: Option<(Instant, u64)>,
    /// When the clock jumped last, and by how many milliseconds.
    jump: Option<(Instant, i64)>,
    /// How far the clock was from the chain's when the head came, in milliseconds.
    apart: i64,
}

impl Pulse {
    fn look(&mut self, seen: &Look) -> Found {
        let is_new = self.head.is_none_or(|(height, _)| height != seen.height);
        if is_new {
            // The first one may have come long before.
            if self.head.is_some() {
                self.apart = signed(seen.now_ms) - signed(seen.head_ms);
            }
            self.head = Some((seen.height, seen.at));
        }
        if let Some((at, now_ms)) = self.last {
            let (by_wall, passed) = (signed(seen.now_ms) - signed(now_ms), seen.at.duration_since(at));
            let jumped = by_wall - millis(passed);
            if jumped.abs() > millis(JUMP_MARGIN) {
                self.jump = Some((seen.at, jumped));
            }
        }
        self.last = Some((seen.at, seen.now_ms));
        Found {
            head: self.head_trouble(seen),
            clock: self.clock_trouble(seen),
        }
    }

    fn head_trouble(&self, seen: &Look) -> Option<String> {
        let limit = (seen.block_time? * SILENT_BLOCKS).max(LEAST_SILENCE);
        let silence = seen.at.duration_since(self.head?.1);
        (silence > limit).then(|| {
            format!(
                "no block came for {} s after height {}; whether the chain stands or is not reached, `sealdrop doctor` says",
                silence.as_secs(),
                seen.height
            )
        })
    }

    fn clock_trouble(&self, seen: &Look) -> Option<String> {
        if let Some((at, by)) = self.jump.filter(|(at, _)| seen.at.duration_since(*at) < JUMP_SHOWN) {
            let ago = seen.at.duration_since(at).as_secs();
            return Some(format!(
                "this machine's clock was set by {} s, {ago} s ago; let NTP keep it",
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
            format!("this machine's clock is {apart} s {side} the chain's; let NTP keep it")
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
    fn a_head_that_stands_is_told_and_one_that_moves_again_is_well() {
        let (mut pulse, start) = (Pulse::default(), Instant::now());
        assert_eq!(pulse.look(&look(start, 0, 5)), Found::default());
        assert_eq!(pulse.look(&look(start, 60, 5)), Found::default());
        let found = pulse.look(&look(start, 61, 5)).head.expect("it stands");
        assert!(found.contains("61 s after height 5"), "{found}");
        assert_eq!(pulse.look(&look(start, 62, 6)), Found::default());
    }

    #[test]
    fn blocks_without_a_time_may_come_whenever_they_come() {
        let (mut pulse, start) = (Pulse::default(), Instant::now());
        for seconds in [0, 100_000] {
            let seen = Look {
                block_time: None,
                ..look(start, seconds, 5)
            };
            assert_eq!(pulse.look(&seen), Found::default());
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
        let found = pulse.look(&ahead(10, 2)).clock.expect("it jumped");
        assert!(found.contains("set by 20 s"), "{found}");
        assert!(pulse.look(&ahead(20, 3)).clock.is_some());
        assert_eq!(pulse.look(&ahead(611, 4)).clock, None);
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
                .clock
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
            Found::default()
        );
    }
}
