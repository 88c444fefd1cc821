//! The miner's settings by key: those that its operator may change while it runs (`sealdrop config KEY VALUE`), and that the file may
//! set at each start.

mod storage;

use sealdrop_miner::settings::{Settings, SettingsChange, SettingsError};
use serde_json::{json, Map, Value};

/// A setting of the miner: its key, how it is read, and how it is changed.
pub struct Key {
    pub name: &'static str,
    pub read: fn(&Settings) -> Value,
    /// `None` when the text is no value of this key.
    pub change: fn(&str) -> Option<SettingsChange>,
    /// What a value looks like.
    pub form: &'static str,
    /// For the sample.
    pub about: &'static str,
}

const MINING: [Key; 9] = [
    Key {
        name: "mining.storagePrice",
        read: |now| json!(now.price),
        change: |text| {
            let price = Some(text.parse().ok()?);
            Some(SettingsChange {
                price,
                ..SettingsChange::default()
            })
        },
        form: "FIL per byte per block, such as 0.0000000001",
        about: "Asking price, in FIL per byte per block: 8 MB for 2500 blocks cost 2 FIL.",
    },
    Key {
        name: "mining.askBlocks",
        read: |now| json!(now.ask_blocks),
        change: |text| {
            let ask_blocks = Some(text.parse().ok()?);
            Some(SettingsChange {
                ask_blocks,
                ..SettingsChange::default()
            })
        },
        form: "a number of blocks",
        about: "Blocks for which an ask stands before it is renewed.",
    },
    Key {
        name: "mining.minDuration",
        read: |now| json!(now.min_duration),
        change: |text| {
            let min_duration = Some(text.parse().ok()?);
            Some(SettingsChange {
                min_duration,
                ..SettingsChange::default()
            })
        },
        form: "a number of blocks",
        about: "Shortest deal that is taken, in blocks.",
    },
    Key {
        name: "mining.maxDuration",
        read: |now| json!(now.max_duration),
        change: |text| {
            let max_duration = Some(text.parse().ok()?);
            Some(SettingsChange {
                max_duration,
                ..SettingsChange::default()
            })
        },
        form: "a number of blocks",
        about: "Longest deal that is taken, in blocks.",
    },
    Key {
        name: "mining.autoSealIntervalSeconds",
        read: |now| seconds(now.auto_seal_ms),
        change: |text| {
            let auto_seal_ms = Some(millis(text)?);
            Some(SettingsChange {
                auto_seal_ms,
                ..SettingsChange::default()
            })
        },
        form: "a number of seconds",
        about: "How long a sector waits for more pieces after its first.",
    },
    Key {
        name: "mining.transferLimitSeconds",
        read: |now| seconds(now.transfer_limit_ms),
        change: |text| {
            let transfer_limit_ms = Some(millis(text)?);
            Some(SettingsChange {
                transfer_limit_ms,
                ..SettingsChange::default()
            })
        },
        form: "a number of seconds",
        about: "How long an accepted deal may take to arrive.",
    },
    Key {
        name: "mining.takesDeals",
        read: |now| json!(now.mining),
        change: |text| {
            let mining = Some(text.parse().ok()?);
            Some(SettingsChange {
                mining,
                ..SettingsChange::default()
            })
        },
        form: "true or false",
        about: "Whether new deals are taken.",
    },
    Key {
        name: "mining.redeemsVouchers",
        read: |now| json!(now.redeem),
        change: |text| {
            let redeem = Some(text.parse().ok()?);
            Some(SettingsChange {
                redeem,
                ..SettingsChange::default()
            })
        },
        form: "true or false",
        about: "Whether vouchers are redeemed as they fall due.",
    },
    Key {
        name: "mining.slashesOthers",
        read: |now| json!(now.slash),
        change: |text| {
            let slash = Some(text.parse().ok()?);
            Some(SettingsChange {
                slash,
                ..SettingsChange::default()
            })
        },
        form: "true or false",
        about: "Whether miners that miss their proofs are reported.",
    },
];

/// Every setting.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    MINING.iter().chain(&storage::STORAGE)
}

fn seconds(ms: u64) -> Value {
    match ms % 1000 {
        0 => json!(ms / 1000),
        _ => json!(ms as f64 / 1000.0),
    }
}

/// Milliseconds of a number of seconds with up to three digits after its point.
fn millis(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_part = (1..=3).contains(&part.len()) && part.chars().all(|c| c.is_ascii_digit());
    let part: u64 = is_part.then(|| format!("{part:0<3}").parse().ok())??;
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(part)
}

/// Text without quotation marks around it.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".into(),
        other => other.to_string(),
    }
}

/// The options of the daemon that are settings, too.
const FLAGS: [(&str, &str); 3] = [
    (PRICE, "--price"),
    (AUTO_SEAL, "--auto-seal"),
    (TRANSFER_LIMIT, "--transfer-limit"),
];
pub(super) const PRICE: &str = "mining.storagePrice";
pub(super) const AUTO_SEAL: &str = "mining.autoSealIntervalSeconds";
pub(super) const TRANSFER_LIMIT: &str = "mining.transferLimitSeconds";

/// The daemon's option that is this setting, where there is one.
pub(super) fn flag(name: &str) -> &'static str {
    let found = FLAGS.into_iter().find(|(key, _)| *key == name);
    found.map_or("", |(_, flag)| flag)
}

/// The usual value of a setting.
pub fn usual(name: &str) -> Option<Value> {
    key(name).map(|key| (key.read)(&Settings::default()))
}

fn key(name: &str) -> Option<&'static Key> {
    keys().find(|key| key.name == name)
}

/// A setting of the file as text.
pub(super) fn text_of(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        // Prices are small: never with an exponent.
        toml::Value::Float(number) => number.to_string(),
        other => other.to_string(),
    }
}

/// Changes that texts stand for, together; those that are none of their keys' values are left out.
pub(super) fn change_of<'a>(texts: impl IntoIterator<Item = (&'a &'static str, &'a String)>) -> SettingsChange {
    let mut all = Map::new();
    for (name, text) in texts {
        let change = key(name).and_then(|key| (key.change)(text));
        // A struct of texts, numbers and flags is a JSON object; what is unset is not in it.
        if let Some(Value::Object(change)) = change.and_then(|change| serde_json::to_value(change).ok()) {
            all.extend(change);
        }
    }
    serde_json::from_value(Value::Object(all)).unwrap_or_default()
}

/// As it would be shown when it held.
pub(super) fn shown(name: &'static str, text: &str) -> Value {
    let change = change_of([(&name, &text.to_owned())]);
    let read = |settings: Settings| key(name).map(|key| (key.read)(&settings));
    let after = Settings::default().changed(&change);
    after.ok().and_then(read).unwrap_or_else(|| json!(text))
}

/// Checks that a text is a setting's value; its form where it is none.
pub(super) fn check(name: &str, text: &str) -> Result<(), &'static str> {
    let Some(key) = key(name) else { return Err("no setting") };
    (key.change)(text).map(drop).ok_or(key.form)
}

/// Refuses what makes no sense together.
pub(super) fn check_all(change: &SettingsChange) -> Result<(), SettingsError> {
    Settings::default().changed(change).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_changes_the_setting_that_it_reads() {
        let before = Settings::default();
        for key in keys() {
            let now = (key.read)(&before);
            let other = match &now {
                Value::Bool(flag) => (!flag).to_string(),
                Value::Number(_) => "77".to_owned(),
                _ => "0.5".to_owned(),
            };
            let change = (key.change)(&other).expect("it has the key's form");
            // The bounds of a setting are no concern of its key.
            let after = before.changed(&change).expect("all of these are sensible settings");
            assert_eq!(plain(&(key.read)(&after)), other, "{}", key.name);
            assert!((key.change)("nonsense").is_none(), "{}", key.name);
            for untouched in keys().filter(|untouched| untouched.name != key.name) {
                assert_eq!((untouched.read)(&after), (untouched.read)(&before), "{}", key.name);
            }
        }
    }

    #[test]
    fn seconds_have_up_to_three_digits_after_their_point() {
        for (text, ms) in [("3", 3000), ("0.1", 100), ("1.05", 1050), ("0.001", 1)] {
            assert_eq!(millis(text), Some(ms));
        }
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "0.0001",
            "1.x",
            "-1",
            "1e3",
            "18446744073709551615",
        ] {
            assert_eq!(millis(text), None, "{text}");
        }
    }

    #[test]
    fn changes_of_several_keys_are_one_change() {
        let texts = [(PRICE, "0.5".to_owned()), (AUTO_SEAL, "0.2".to_owned())];
        let change = change_of(texts.iter().map(|(name, text)| (name, text)));
        assert_eq!(
            (change.price.map(|price| price.to_string()), change.auto_seal_ms),
            (Some("0.5".into()), Some(200))
        );
        assert_eq!(change.min_duration, None);
    }
}
