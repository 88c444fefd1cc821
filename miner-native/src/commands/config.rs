//! `sealdrop config`: what a node goes by. `config KEY VALUE` reads and changes what may change while the daemon runs (spec §6.7): the
//! miner's keys are those of the running daemon and hold at once; the wallet's are the client's. `config init`, `show` and
//! `check` are about what a daemon is started with ([`crate::configuration`]).

mod started;

use super::error::CommandError;
use super::output::{columns, Output};
use super::target::{DaemonPort, Target};
use super::wallet;
use crate::configuration::is_of_the_start;
use crate::configuration::settings::{keys, plain, Key};
use clap::Args;
use sealdrop_miner::operator::Operator;
use serde_json::{json, Map, Value};
use shared::chain::Address;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    started: Option<started::Command>,
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

const MINER_ADDRESS: &str = "mining.minerAddress";
const DEFAULT_ADDRESS: &str = "wallet.defaultAddress";
const SECTORS: &str = "sectorbase.rootdir";

/// Shows all keys, shows one, or changes one.
pub async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let Arguments {
        started,
        key,
        value,
        target,
        port,
        output,
    } = arguments;
    if let Some(command) = started {
        return started::run(command, &target, &port, output).await;
    }
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
            let now = (key.read)(&changed.settings);
            started::warn_of_the_file(target, key.name, &now)?;
            Ok(now)
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
        if is_of_the_start(key) {
            return CommandError::OfTheStart { key: key.to_owned() };
        }
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
    fn an_unknown_key_is_told_with_those_that_exist() {
        let Err(CommandError::UnknownSetting { known, .. }) = of_miner("mining.prize") else {
            panic!("there is no such key");
        };
        assert!(known.contains("mining.storagePrice") && known.contains(SECTORS));
        let of_the_start = of_miner("chain.public").err();
        assert!(matches!(of_the_start, Some(CommandError::OfTheStart { .. })));
    }
}
