//! The keys of sealing, staging and scrubbing.

use super::{millis, seconds, Key};
use sealdrop_miner::settings::SettingsChange;
use serde_json::json;

pub(super) const STORAGE: [Key; 8] = [
    Key {
        name: "scheduler.memoryMiB",
        read: |now| json!(now.memory_mib),
        change: |text| {
            let memory_mib = Some(text.parse().ok()?);
            Some(SettingsChange {
                memory_mib,
                ..SettingsChange::default()
            })
        },
        form: "a number of MiB, or 0 for what the machine has free",
    },
    Key {
        name: "scheduler.commit2Slots",
        read: |now| json!(now.commit2_slots),
        change: |text| {
            let commit2_slots = Some(text.parse().ok()?);
            Some(SettingsChange {
                commit2_slots,
                ..SettingsChange::default()
            })
        },
        form: "a number of proofs at once, or 0 for as many as the machine makes",
    },
    Key {
        name: "sealing.ownProver",
        read: |now| json!(now.own_prover),
        change: |text| {
            let own_prover = Some(text.parse().ok()?);
            Some(SettingsChange {
                own_prover,
                ..SettingsChange::default()
            })
        },
        form: "true or false",
    },
    Key {
        name: "staging.maxBytes",
        read: |now| json!(now.staging_max_bytes),
        change: |text| {
            let staging_max_bytes = Some(text.parse().ok()?);
            Some(SettingsChange {
                staging_max_bytes,
                ..SettingsChange::default()
            })
        },
        form: "a number of bytes, or 0 for the usual bound",
    },
    Key {
        name: "staging.maxDeals",
        read: |now| json!(now.staging_max_deals),
        change: |text| {
            let staging_max_deals = Some(text.parse().ok()?);
            Some(SettingsChange {
                staging_max_deals,
                ..SettingsChange::default()
            })
        },
        form: "a number of deals",
    },
    Key {
        name: "retrieval.keepUnsealed",
        read: |now| json!(now.keep_unsealed),
        change: |text| {
            let keep_unsealed = Some(text.parse().ok()?);
            Some(SettingsChange {
                keep_unsealed,
                ..SettingsChange::default()
            })
        },
        form: "true or false",
    },
    Key {
        name: "scrub.everySeconds",
        read: |now| seconds(now.scrub_every_ms),
        change: |text| {
            let scrub_every_ms = Some(millis(text)?);
            Some(SettingsChange {
                scrub_every_ms,
                ..SettingsChange::default()
            })
        },
        form: "a number of seconds, or 0 for never",
    },
    Key {
        name: "scrub.bytesPerSecond",
        read: |now| json!(now.scrub_bytes_per_second),
        change: |text| {
            let scrub_bytes_per_second = Some(text.parse().ok()?);
            Some(SettingsChange {
                scrub_bytes_per_second,
                ..SettingsChange::default()
            })
        },
        form: "a number of bytes per second, or 0 for as fast as it goes",
    },
];
