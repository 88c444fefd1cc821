//! Drills: a copy of a piece is fetched now and then, to see whether it comes back.
//!
//! What was found is kept in the file's record. A copy that fails [`STRIKES`] times in a row is lost: it does not count any more, and
//! [`super::needs()`] replaces it where the order says so. A copy whose last drill failed comes next, so that a miner which is away for
//! a moment and one that has lost the piece are told apart soon.

use super::copies::{Copy, Standing};
use super::placement::Placement;
use crate::chain::{Address, Epoch};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;
use serde::{Deserialize, Serialize};

/// Drills in a row that a copy fails before it is lost.
pub const STRIKES: u32 = 3;
/// Bytes that a drill fetches, at most: a block of a transfer, which has to come out of the sealed or the unsealed piece.
pub const DRILL_BYTES: u64 = 256 << 10;
/// Milliseconds between two drills of a file: 24 a day are 6 MiB.
pub const DRILL_PAUSE_MS: u64 = 3_600_000;
/// Milliseconds until a copy that has failed a drill has its next one: long enough for a miner that starts again.
pub const STRIKE_PAUSE_MS: u64 = 600_000;
/// Miners whose drills are counted: as many as the chain may have.
const MOST_MINERS: usize = 1024;

/// Copies whose last drill is remembered: the oldest go. A file of more is not drilled through in half a year.
const MOST_CHECKED: usize = 4096;

/// A copy's last drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// Whether it came back.
    pub passed: bool,
}

/// What a miner's copies of a file came to in drills.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MinerDrills {
    pub passed: u64,
    pub failed: u64,
    pub lost: u64,
}

/// The drills of a file so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drills {
    /// Failures in a row, by the deals' ids; of those that passed last there is none.
    strikes: BTreeMap<String, u32>,
    miners: BTreeMap<Address, MinerDrills>,
    /// The last drill of each copy, by the deals' ids.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    checks: BTreeMap<String, Check>,
    /// Milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_ms: Option<u64>,
}

/// A copy that is to be fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drill {
    /// Its deal's id.
    pub deal: String,
    pub miner: Address,
    /// The index of its piece in the [`Placement`].
    pub piece: usize,
    /// Bytes of the piece, which are enough where parts of a piece can be fetched.
    pub range: Range<u64>,
}

/// What a drill came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrillVerdict {
    /// It came back.
    Kept,
    /// It did not, so many times in a row.
    Doubtful { strikes: u32 },
    /// The third time.
    Lost,
}

impl Drills {
    /// Whether this deal's copy is lost.
    pub fn has_lost(&self, deal: &str) -> bool {
        self.strikes.get(deal).is_some_and(|strikes| *strikes >= STRIKES)
    }

    /// When this deal's copy was last fetched from, and whether it came back.
    pub fn last_check(&self, deal: &str) -> Option<Check> {
        self.checks.get(deal).copied()
    }

    fn note_check(&mut self, deal: &str, check: Check) {
        if self.checks.len() >= MOST_CHECKED && !self.checks.contains_key(deal) {
            let oldest = self.checks.iter().min_by_key(|(_, check)| check.at_ms);
            if let Some(oldest) = oldest.map(|(deal, _)| deal.clone()) {
                self.checks.remove(&oldest);
            }
        }
        self.checks.insert(deal.into(), check);
    }

    /// What each miner's copies came to.
    pub fn of_miners(&self) -> impl Iterator<Item = (&Address, &MinerDrills)> {
        self.miners.iter()
    }

    /// When the next drill is due, in milliseconds since 1970.
    pub fn due_ms(&self) -> u64 {
        let doubtful = self.strikes.values().any(|strikes| *strikes < STRIKES);
        let pause = if doubtful { STRIKE_PAUSE_MS } else { DRILL_PAUSE_MS };
        self.last_ms.map_or(0, |last| last.saturating_add(pause))
    }

    /// Which copy and range comes next; `None` while no copy is kept, and when the time of all is over at `height`: nobody has to have
    /// one any more. `seed` is random, so that no miner knows what it will be asked for.
    pub fn next(&self, placement: &Placement, height: Epoch, seed: u64) -> Option<Drill> {
        let is_due = |copy: &&Copy| copy.standing == Standing::Kept && copy.ends > height;
        let kept = placement.pieces().iter().enumerate().flat_map(|(piece, placed)| {
            let copies = placed.copies().iter().filter(is_due);
            copies.map(move |copy| (piece, placed.names.size, copy))
        });
        let kept: Vec<_> = kept.collect();
        let doubtful: Vec<_> = kept
            .iter()
            .filter(|(.., copy)| self.strikes.contains_key(&copy.deal))
            .collect();
        let among = if doubtful.is_empty() {
            kept.iter().collect()
        } else {
            doubtful
        };
        let chosen = usize::try_from(seed.checked_rem(among.len() as u64)?).ok()?;
        let (piece, size, copy) = *among.get(chosen)?;
        // Another part of the seed, so that pieces and ranges do not go together.
        let blocks = size.div_ceil(DRILL_BYTES).max(1);
        let start = seed.rotate_right(32).checked_rem(blocks)?.saturating_mul(DRILL_BYTES);
        Some(Drill {
            deal: copy.deal.clone(),
            miner: copy.miner.clone(),
            piece: *piece,
            range: start..start.saturating_add(DRILL_BYTES).min(*size),
        })
    }

    /// Notes what a drill came to. A failure of one's own, such as a network that is away, is none of the copy's: it is not noted.
    pub fn heard(&mut self, drill: &Drill, came_back: bool, now_ms: u64) -> DrillVerdict {
        self.last_ms = Some(now_ms);
        let check = Check {
            at_ms: now_ms,
            passed: came_back,
        };
        self.note_check(&drill.deal, check);
        let strikes = match came_back {
            true => {
                self.strikes.remove(&drill.deal);
                0
            }
            false => {
                let strikes = self.strikes.entry(drill.deal.clone()).or_default();
                *strikes = strikes.saturating_add(1);
                *strikes
            }
        };
        if self.miners.len() < MOST_MINERS || self.miners.contains_key(&drill.miner) {
            let seen = self.miners.entry(drill.miner.clone()).or_default();
            let count = if came_back { &mut seen.passed } else { &mut seen.failed };
            *count = count.saturating_add(1);
            seen.lost = seen.lost.saturating_add(u64::from(strikes == STRIKES));
        }
        match strikes {
            0 => DrillVerdict::Kept,
            strikes if strikes < STRIKES => DrillVerdict::Doubtful { strikes },
            _ => DrillVerdict::Lost,
        }
    }
}
