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
        about: "Memory that the prover may take; 0 takes what the machine has free. Several daemons on one machine need a number.",
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
        about: "Zero-knowledge proofs at once; 0 makes as many as the machine can.",
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
        about: "Whether the own prover seals and proves, or filecoin-proofs alone.",
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
        about: "What may wait to be sealed; 0 is 64 sectors, 64 MiB at least.",
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
        about: "Accepted deals that may wait to be sealed.",
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
        about: "Whether pieces of sealed sectors are kept unsealed, too, so that they are given back at once.",
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
        about: "Time between two readings of a sector; 0 never reads it.",
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
        about: "How fast sectors are read; 0 as fast as it goes.",
    },
];
