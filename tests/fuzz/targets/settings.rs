//! The miner's settings: a change as the operator sends it, and what is kept of them. No change leads to settings that make no
//! sense, and none that is read makes anything else fail.
#![no_main]

// The file itself, since the miner's crate would bring filecoin-proofs, which takes ten minutes to build with the fuzzer's counters.
#[allow(dead_code, reason = "the miner uses the rest")]
#[path = "../../../miner-native/miner/src/settings.rs"]
mod settings;

use sealdrop_fuzz::reloaded;
use settings::{Kept, Settings, SettingsChange};

/// What hosts ask of settings, whatever they are.
fn ask(settings: &Settings) {
    let _ = (
        settings.auto_seal(),
        settings.memory(),
        settings.offers_like(&Settings::default()),
    );
    assert_eq!(&reloaded(settings), settings);
    let json = serde_json::to_vec(settings).expect("settings are JSON");
    assert_eq!(
        &serde_json::from_slice::<Settings>(&json).expect("they are read as they are shown"),
        settings
    );
}

fn change(before: &Settings, change: &SettingsChange) {
    if let Ok(after) = before.changed(change) {
        assert_eq!(after.check(), Ok(()), "what was taken makes sense");
        assert_eq!(
            after.changed(change).as_ref(),
            Ok(&after),
            "changed twice is changed once"
        );
        ask(&after);
    }
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((kind, bytes)) = input.split_first() else {
        return;
    };
    match kind % 4 {
        0 => {
            if let Ok(read) = serde_json::from_slice::<SettingsChange>(bytes) {
                change(&Settings::default(), &read);
            }
        }
        1 => {
            if let Ok(read) = serde_json::from_slice::<Settings>(bytes) {
                ask(&read);
                change(&read, &SettingsChange::default());
            }
        }
        2 => {
            // One after the other, as a script of commands sends them.
            let mut now = Settings::default();
            for line in bytes.split(|byte| *byte == b'\n') {
                if let Ok(read) = serde_json::from_slice::<SettingsChange>(line) {
                    now = now.changed(&read).unwrap_or(now);
                }
            }
            assert_eq!(now.check(), Ok(()));
        }
        _ => {
            if let Ok(kept) = ciborium::from_reader::<Kept, _>(bytes) {
                assert_eq!(reloaded(&kept), kept);
                assert!(kept.price() <= kept.settings.price);
                ask(&kept.settings);
            }
        }
    }
});
