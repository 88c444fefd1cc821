//! `sealdrop config`: what a node goes by, read and changed by key (spec §6.7). The miner's keys are those of the running
//! daemon and hold at once; the wallet's are the client's.

mod storage;

use super::error::CommandError;
use super::output::{columns, Output};
use super::target::{DaemonPort, Target};
use super::wallet;
use clap::Args;
use sealdrop_miner::operator::Operator;
use sealdrop_miner::settings::{Settings, SettingsChange};
use serde_json::{json, Map, Value};
use shared::chain::Address;

#[derive(Debug, Args)]
pub struct Arguments {
    /// What to read or change, such as mining.storagePrice [default: list all]
    key: Option<String>,
    /// The value it gets
    value: Option<String>,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    port: DaemonPort,
    #[command(flatten)]
    output: Output,
}

/// A setting of the miner: its key, how it is read, and how it is changed.
struct Key {
    name: &'static str,
    read: fn(&Settings) -> Value,
    /// `None` when the text is no value of this key.
    change: fn(&str) -> Option<SettingsChange>,
    /// What a value looks like.
    form: &'static str,
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
    },
];

/// Every key of the miner's.
fn keys() -> impl Iterator<Item = &'static Key> {
    MINING.iter().chain(&storage::STORAGE)
}

const MINER_ADDRESS: &str = "mining.minerAddress";
const DEFAULT_ADDRESS: &str = "wallet.defaultAddress";
const SECTORS: &str = "sectorbase.rootdir";

fn seconds(ms: u64) -> Value {
    match ms % 1000 {
        0 => json!(ms / 1000),
        _ => json!(ms as f64 / 1000.0),
    }
}

/// Milliseconds of a whole number of seconds.
fn millis(text: &str) -> Option<u64> {
    text.parse::<u64>().ok()?.checked_mul(1000)
}

/// Shows all keys, shows one, or changes one.
pub async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let Arguments {
        key,
        value,
        target,
        port,
        output,
    } = arguments;
    let operator = target.operator(&port)?;
    let Some(key) = key else {
        let all = all(&target, &port, &operator).await?;
        output.show(&json!({ "config": all }), || {
            columns(all.iter().map(|(key, value)| [key.clone(), plain(value)]))
        })?;
        return Ok(());
    };
    let now = match value {
        None => read(&key, &target, &port, &operator).await?,
        Some(value) => change(&key, &value, &target, &operator).await?,
    };
    output.show(&json!({ "key": key, "value": now }), || plain(&now))?;
    Ok(())
}

/// Text without quotation marks around it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".into(),
        other => other.to_string(),
    }
}

async fn all(target: &Target, port: &DaemonPort, operator: &Operator) -> Result<Map<String, Value>, CommandError> {
    let mut all = Map::new();
    let settings = operator.settings().await?;
    for key in keys() {
        all.insert(key.name.into(), (key.read)(&settings));
    }
    for key in [MINER_ADDRESS, DEFAULT_ADDRESS, SECTORS] {
        all.insert(key.into(), read(key, target, port, operator).await?);
    }
    Ok(all)
}

async fn read(key: &str, target: &Target, port: &DaemonPort, operator: &Operator) -> Result<Value, CommandError> {
    match key {
        MINER_ADDRESS => Ok(json!(target.own_miner(port).await?)),
        DEFAULT_ADDRESS => Ok(json!(wallet::known_default(target)?)),
        SECTORS => Ok(json!(target.home()?.miner().join("sectors"))),
        _ => Ok((of_miner(key)?.read)(&operator.settings().await?)),
    }
}

async fn change(key: &str, value: &str, target: &Target, operator: &Operator) -> Result<Value, CommandError> {
    match key {
        MINER_ADDRESS => Err(CommandError::FixedSetting {
            key: MINER_ADDRESS,
            advice: "the daemon registers its own miner; `miner create` registers another",
        }),
        SECTORS => Err(CommandError::FixedSetting {
            key: SECTORS,
            advice: "it follows from the data directory; give the daemon another with --home",
        }),
        DEFAULT_ADDRESS => {
            let bad = |_| bad_value(DEFAULT_ADDRESS, value, "an address of the wallet");
            let address: Address = value.parse().map_err(bad)?;
            wallet::choose_default(target, &address).await?;
            Ok(json!(address))
        }
        _ => {
            let key = of_miner(key)?;
            let change = (key.change)(value).ok_or_else(|| bad_value(key.name, value, key.form))?;
            let changed = operator.change_settings(&change).await?;
            Ok((key.read)(&changed.settings))
        }
    }
}

fn bad_value(key: &'static str, value: &str, form: &'static str) -> CommandError {
    CommandError::SettingValue {
        key,
        value: value.to_owned(),
        form,
    }
}

fn of_miner(key: &str) -> Result<&'static Key, CommandError> {
    keys().find(|known| known.name == key).ok_or_else(|| {
        let mut known: Vec<&str> = keys().map(|key| key.name).collect();
        known.extend([MINER_ADDRESS, DEFAULT_ADDRESS, SECTORS]);
        CommandError::UnknownSetting {
            key: key.to_owned(),
            known: known.join(", "),
        }
    })
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
    fn an_unknown_key_is_told_with_those_that_exist() {
        let Err(CommandError::UnknownSetting { known, .. }) = of_miner("mining.prize") else {
            panic!("there is no such key");
        };
        assert!(known.contains("mining.storagePrice") && known.contains(SECTORS));
    }
}
