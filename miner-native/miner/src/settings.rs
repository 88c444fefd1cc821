//! What the operator may change while the miner runs: its price, which deals it takes, and what it does by itself.
//!
//! Kept by [`crate::store`], changed through [`crate::operator`]. A new price holds only when the chain shows an ask with
//! it: [`crate::ask_publisher`] publishes the ask, waits, and switches. Reviews of proposals read `SettingsStore::terms`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::chain::{AttoFil, Epoch};
use shared::payment::schedule::MAX_VOUCHERS;
use shared::payment::VOUCHER_INTERVAL;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

/// Longest deal that vouchers can pay for, in blocks.
pub const LONGEST_DEAL: u64 = MAX_VOUCHERS as u64 * VOUCHER_INTERVAL;
/// How long a sector waits for further pieces after its first, unless the operator says otherwise, in milliseconds. What is
/// stored together arrives together: channels that are opened at the same time are in the same block or the next, and a
/// piece follows its channel at once, so three blocks of a second gather it. A longer wait would take longer than the proof
/// that it saves; a sector that is nearly full does not wait at all ([`shared::sector::machine::WORTH_WAITING_FOR`]).
pub const AUTO_SEAL_MS: u64 = 3_000;
/// Shortest time that an ask may stand, in blocks: a client has to read it, open a channel and propose.
pub const SHORTEST_ASK: u64 = 10;
/// Longest time that an ask may stand, in blocks: a hundred years of half-minute blocks.
pub const LONGEST_ASK: u64 = 105_120_000;
/// Longest wait of a sector or a transfer that can be set, in milliseconds: a year.
const LONGEST_WAIT_MS: u64 = 366 * 24 * 3600 * 1000;
/// Most zero-knowledge proofs at once that can be set.
const MOST_SLOTS: u64 = 256;

/// What holds now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// attoFIL per byte per block; FIL as text in JSON.
    pub price: AttoFil,
    /// Blocks for which an ask stands; it is renewed before they are over.
    pub ask_blocks: u64,
    /// Shortest deal that is taken, in blocks.
    pub min_duration: u64,
    /// Longest deal that is taken, in blocks.
    pub max_duration: u64,
    /// How long a sector waits for further pieces after its first.
    pub auto_seal_ms: u64,
    /// How long an accepted deal's piece may take to arrive.
    pub transfer_limit_ms: u64,
    /// Whether new deals are taken.
    pub mining: bool,
    /// Whether vouchers are redeemed as they fall due.
    pub redeem: bool,
    /// Whether miners that miss their proofs are slashed.
    pub slash: bool,
    /// MiB of memory that the prover may take; 0 leaves it to what the machine has free.
    pub memory_mib: u64,
    /// Zero-knowledge proofs at once; 0 leaves it to the machine.
    pub commit2_slots: u64,
    /// Whether the own prover seals and proves, with filecoin-proofs behind it, or filecoin-proofs alone.
    pub own_prover: bool,
    /// Bytes of accepted deals that wait to be sealed, at most; 0 is [`crate::intake::bounds`]' choice.
    pub staging_max_bytes: u64,
    /// Accepted deals that wait to be sealed, at most.
    pub staging_max_deals: u64,
    /// Whether pieces of sealed sectors are kept unsealed too, so that they are given back at once.
    pub keep_unsealed: bool,
    /// Time between two scrubs of a sector; 0 never scrubs.
    pub scrub_every_ms: u64,
    /// Bytes per second that scrubbing reads; 0 reads as fast as it can.
    pub scrub_bytes_per_second: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            price: AttoFil(100_000_000),
            // A year of half-minute blocks.
            ask_blocks: 1_051_200,
            min_duration: 1,
            max_duration: LONGEST_DEAL,
            auto_seal_ms: AUTO_SEAL_MS,
            transfer_limit_ms: 24 * 3600 * 1000,
            mining: true,
            redeem: true,
            slash: true,
            memory_mib: 0,
            commit2_slots: 0,
            own_prover: true,
            staging_max_bytes: 0,
            staging_max_deals: 1024,
            keep_unsealed: true,
            scrub_every_ms: 7 * 24 * 3600 * 1000,
            scrub_bytes_per_second: 16 << 20,
        }
    }
}

/// Which settings change; what is unset stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SettingsChange {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<AttoFil>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask_blocks: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_duration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_duration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_seal_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer_limit_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mining: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redeem: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slash: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit2_slots: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_prover: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staging_max_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staging_max_deals: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_unsealed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrub_every_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrub_bytes_per_second: Option<u64>,
}

/// Why settings are refused; nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("an ask cannot stand for {blocks} blocks: choose {SHORTEST_ASK} to {LONGEST_ASK}")]
    AskBlocks { blocks: u64 },
    #[error("no deal lasts at least {min} and at most {max} blocks: choose durations from 1 to {LONGEST_DEAL}, the shortest first")]
    Durations { min: u64, max: u64 },
    #[error("{name} of {ms} ms is longer than a year: choose less")]
    Wait { name: &'static str, ms: u64 },
    #[error("{slots} zero-knowledge proofs at once are more than any machine makes: choose at most {MOST_SLOTS}, or 0 to leave it to the machine")]
    Slots { slots: u64 },
    #[error(
        "with staging.maxDeals 0 the miner would take no deal: choose at least 1, or stop it with `sealdrop mining stop`"
    )]
    NoDeals,
}

impl Settings {
    /// The settings after a change; nothing when they make no sense.
    pub fn changed(&self, change: &SettingsChange) -> Result<Self, SettingsError> {
        let after = Self {
            price: change.price.unwrap_or(self.price),
            ask_blocks: change.ask_blocks.unwrap_or(self.ask_blocks),
            min_duration: change.min_duration.unwrap_or(self.min_duration),
            max_duration: change.max_duration.unwrap_or(self.max_duration),
            auto_seal_ms: change.auto_seal_ms.unwrap_or(self.auto_seal_ms),
            transfer_limit_ms: change.transfer_limit_ms.unwrap_or(self.transfer_limit_ms),
            mining: change.mining.unwrap_or(self.mining),
            redeem: change.redeem.unwrap_or(self.redeem),
            slash: change.slash.unwrap_or(self.slash),
            memory_mib: change.memory_mib.unwrap_or(self.memory_mib),
            commit2_slots: change.commit2_slots.unwrap_or(self.commit2_slots),
            own_prover: change.own_prover.unwrap_or(self.own_prover),
            staging_max_bytes: change.staging_max_bytes.unwrap_or(self.staging_max_bytes),
            staging_max_deals: change.staging_max_deals.unwrap_or(self.staging_max_deals),
            keep_unsealed: change.keep_unsealed.unwrap_or(self.keep_unsealed),
            scrub_every_ms: change.scrub_every_ms.unwrap_or(self.scrub_every_ms),
            scrub_bytes_per_second: change.scrub_bytes_per_second.unwrap_or(self.scrub_bytes_per_second),
        };
        after.check()?;
        Ok(after)
    }

    /// Refuses what makes no sense.
    pub fn check(&self) -> Result<(), SettingsError> {
        let (blocks, min, max) = (self.ask_blocks, self.min_duration, self.max_duration);
        if !(SHORTEST_ASK..=LONGEST_ASK).contains(&blocks) {
            return Err(SettingsError::AskBlocks { blocks });
        }
        if min == 0 || min > max || max > LONGEST_DEAL {
            return Err(SettingsError::Durations { min, max });
        }
        let waits = [
            ("a sector's wait", self.auto_seal_ms),
            ("a transfer's wait", self.transfer_limit_ms),
            ("the time between two scrubs", self.scrub_every_ms),
        ];
        if self.commit2_slots > MOST_SLOTS {
            return Err(SettingsError::Slots {
                slots: self.commit2_slots,
            });
        }
        if self.staging_max_deals == 0 {
            return Err(SettingsError::NoDeals);
        }
        match waits.into_iter().find(|(_, ms)| *ms > LONGEST_WAIT_MS) {
            Some((name, ms)) => Err(SettingsError::Wait { name, ms }),
            None => Ok(()),
        }
    }

    /// How long a sector waits for further pieces.
    pub fn auto_seal(&self) -> Duration {
        Duration::from_millis(self.auto_seal_ms)
    }

    /// Bytes of memory that the prover may take; 0 leaves it to the machine.
    pub fn memory(&self) -> u64 {
        self.memory_mib.saturating_mul(1 << 20)
    }

    /// Whether both ask for the same on the chain.
    pub fn offers_like(&self, other: &Self) -> bool {
        self.price == other.price && self.ask_blocks == other.ask_blocks
    }
}

/// The ask on the chain that stands for the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingAsk {
    pub id: u64,
    pub price: AttoFil,
    /// First height at which it no longer stands.
    pub expiry: Epoch,
}

/// A change that waits for its ask to be on the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingAsk {
    /// Tells its message from all others: asked for again after a restart, it is the same message.
    pub number: u64,
    /// The settings from then on.
    pub settings: Settings,
}

/// What is kept on the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub settings: Settings,
    pub ask: Option<StandingAsk>,
    pub pending: Option<PendingAsk>,
    /// The next ask's number.
    pub next_ask: u64,
}

impl Kept {
    /// The price that a proposal must reach: while a change is under way the chain may already show the new ask to some
    /// and still the old one to others, and both may have it.
    pub fn price(&self) -> AttoFil {
        let pending = self.pending.as_ref().map(|pending| pending.settings.price);
        pending.map_or(self.settings.price, |price| price.min(self.settings.price))
    }
}

/// The settings in memory, as they are on the disk.
#[derive(Debug)]
pub struct SettingsStore {
    kept: RwLock<Kept>,
    /// Held while settings change, until the chain has the ask.
    pub(crate) changing: tokio::sync::Mutex<()>,
}

impl SettingsStore {
    /// Holds what was read from the disk.
    pub fn new(kept: Kept) -> Self {
        Self {
            kept: RwLock::new(kept),
            changing: tokio::sync::Mutex::new(()),
        }
    }

    /// What holds now.
    pub fn now(&self) -> Settings {
        self.read().settings.clone()
    }

    /// Settings, ask and what is under way.
    pub fn kept(&self) -> Kept {
        self.read().clone()
    }

    /// Replaces what is held; the caller has written it to the disk.
    pub(crate) fn replace(&self, kept: Kept) {
        *self.kept.write().unwrap_or_else(PoisonError::into_inner) = kept;
    }

    fn read(&self) -> RwLockReadGuard<'_, Kept> {
        // Replaced in one assignment: whole after a panic, too.
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_touches_only_what_it_names() {
        let before = Settings::default();
        let change = SettingsChange {
            min_duration: Some(500),
            ..SettingsChange::default()
        };
        let expected = Settings {
            min_duration: 500,
            ..before.clone()
        };
        assert_eq!(before.changed(&change), Ok(expected));
        assert_eq!(before.changed(&SettingsChange::default()), Ok(before));
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        let changed = |change: SettingsChange| Settings::default().changed(&change);
        let usual = SettingsChange::default;
        assert_eq!(
            changed(SettingsChange {
                ask_blocks: Some(SHORTEST_ASK - 1),
                ..usual()
            }),
            Err(SettingsError::AskBlocks {
                blocks: SHORTEST_ASK - 1
            })
        );
        for (min, max) in [(0, 10), (11, 10), (1, LONGEST_DEAL + 1)] {
            let change = SettingsChange {
                min_duration: Some(min),
                max_duration: Some(max),
                ..usual()
            };
            assert_eq!(changed(change), Err(SettingsError::Durations { min, max }));
        }
        let ms = LONGEST_WAIT_MS + 1;
        assert_eq!(
            changed(SettingsChange {
                auto_seal_ms: Some(ms),
                ..usual()
            }),
            Err(SettingsError::Wait {
                name: "a sector's wait",
                ms
            })
        );
    }

    #[test]
    fn storage_settings_that_would_stop_the_miner_are_refused() {
        let changed = |change: SettingsChange| Settings::default().changed(&change);
        let usual = SettingsChange::default;
        let slots = MOST_SLOTS + 1;
        let too_many = SettingsChange {
            commit2_slots: Some(slots),
            ..usual()
        };
        assert_eq!(changed(too_many), Err(SettingsError::Slots { slots }));
        let none = SettingsChange {
            staging_max_deals: Some(0),
            ..usual()
        };
        assert_eq!(changed(none), Err(SettingsError::NoDeals));
    }

    #[test]
    fn settings_of_an_earlier_version_are_read_with_the_usual_values_for_what_is_new() {
        let old = r#"{"price":"5","askBlocks":100,"minDuration":1,"maxDuration":10,"autoSealMs":1,"transferLimitMs":2,"mining":true,"redeem":true,"slash":false}"#;
        let read: Settings = serde_json::from_str(old).expect("nothing is missing that has no usual value");
        assert!(read.keep_unsealed && read.staging_max_deals == 1024 && !read.slash);
    }

    #[test]
    fn a_setting_that_nobody_knows_is_refused() {
        assert!(serde_json::from_str::<SettingsChange>(r#"{"prize":"1"}"#).is_err());
    }

    #[test]
    fn while_a_new_ask_is_on_its_way_the_lower_of_both_prices_is_enough() {
        let at = |price| Settings {
            price: AttoFil(price),
            ..Settings::default()
        };
        let kept = |now, next| Kept {
            settings: at(now),
            pending: Some(PendingAsk {
                number: 1,
                settings: at(next),
            }),
            ..Kept::default()
        };
        assert_eq!(kept(5, 7).price(), AttoFil(5));
        assert_eq!(kept(7, 5).price(), AttoFil(5));
    }
}
