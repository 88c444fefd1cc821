//! What a daemon is started with: its sample, its values with their sources, and whether it is right.

use super::super::daemon::{is_given, Given};
use super::super::error::CommandError;
use super::super::output::{columns, say, Output};
use super::super::target::{DaemonPort, Target};
use crate::configuration::settings::{keys, plain};
use crate::configuration::{configured, sample, Configuration, Parts, Source};
use crate::daemon::DaemonError;
use clap::Subcommand;
use sealdrop_miner::console;
use serde_json::{json, Map, Value};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print a commented sealdrop.toml with every key
    Init,
    /// Show each value that a daemon with these options would start with, and where it comes from
    Show(Box<Given>),
    /// Check file, environment and options, without starting anything
    Check(Box<Given>),
}

/// Needs no daemon; where one runs, `show` asks it for its settings.
pub async fn run(command: Command, target: &Target, port: &DaemonPort, output: Output) -> Result<(), CommandError> {
    match command {
        Command::Init => {
            let sample = sample();
            output.show(&json!({ "sample": sample }), || sample.clone())
        }
        Command::Show(given) => {
            let configuration = gathered(*given)?;
            let kept = kept(target, port).await;
            show(&configuration, &kept, output)
        }
        Command::Check(given) => check(&gathered(*given)?, output),
    }
}

/// `--home` and `--chain` of the group mean the same as the daemon's, but for what the environment says of them.
fn gathered(mut given: Given) -> Result<Configuration, CommandError> {
    if !is_given("--home") {
        given.options.place.home = None;
    }
    if !is_given("--chain") {
        given.options.join.chain = None;
    }
    given.gather()
}

/// The settings of the home's daemon, where one runs and answers.
async fn kept(target: &Target, port: &DaemonPort) -> Map<String, Value> {
    let asked = async { Ok::<_, CommandError>(target.operator(port)?.settings().await?) };
    let Ok(settings) = asked.await else {
        return Map::new();
    };
    keys().map(|key| (key.name.to_owned(), (key.read)(&settings))).collect()
}

fn show(configuration: &Configuration, kept: &Map<String, Value>, output: Output) -> Result<(), CommandError> {
    let mut json = Map::new();
    let mut rows = Vec::new();
    for (key, value, source) in configuration.all() {
        // What the daemon starts with, unless somebody says otherwise, is what it was set to last.
        let kept = kept
            .get(key)
            .filter(|kept| *source == Source::Default && value.as_ref() != Some(*kept));
        let (value, kind, from) = match kept {
            Some(kept) => (
                Some(kept.clone()),
                "kept",
                "kept by the miner, `sealdrop config`".to_owned(),
            ),
            None => (value, source.kind(), source.to_string()),
        };
        rows.push([key.to_owned(), plain(&json!(value)), from.clone()]);
        json.insert(key.into(), json!({ "value": value, "source": kind, "from": from }));
    }
    let file = configuration.file.as_ref().map(|path| path.to_string_lossy());
    output.show(&json!({ "config": json, "file": file }), || columns(rows))
}

fn check(configuration: &Configuration, output: Output) -> Result<(), CommandError> {
    let config = configured(Parts::Miner, configuration)?;
    config
        .check()
        .map_err(|error| CommandError::Unusable(DaemonError::from(error).to_string()))?;
    let warnings = config.warnings();
    let file = configuration.file.as_ref().map(|path| path.to_string_lossy());
    if output.is_json() {
        return output.show(&json!({ "ok": true, "file": file, "warnings": warnings }), String::new);
    }
    for warning in &warnings {
        console::stderr(&format!("mind: {warning}"));
    }
    match file {
        Some(file) => say(format!("{file} is right")),
        None => say("there is no configuration file; options and environment are right"),
    }
}

/// A change of a key that the file names holds until the next start: whoever makes it hears of that.
pub fn warn_of_the_file(target: &Target, key: &str, now: &Value) -> Result<(), CommandError> {
    let Some(file) = target.home()?.endpoints()?.and_then(|endpoints| endpoints.config) else {
        return Ok(());
    };
    // A file that is gone or wrong meanwhile says so at the next start.
    let Ok(said) = Configuration::gather(Default::default(), Some(PathBuf::from(&file)), |_| None) else {
        return Ok(());
    };
    let named = said
        .all()
        .find(|(name, _, source)| *name == key && matches!(source, Source::File(_)));
    if let Some((_, Some(value), _)) = named.filter(|(_, value, _)| value.as_ref() != Some(now)) {
        let value = plain(&value);
        console::stderr(&format!(
            "mind: {file} says {key} = {value}, which holds again from the next start on"
        ));
    }
    Ok(())
}
