//! `sealdrop daemon` and `sealdrop chain run`: a miner and its page with a chain of its own or on another's, or a chain alone.

use super::error::CommandError;
use crate::configuration::{
    configured, ChainOptions, Configuration, JoinOptions, LogOptions, NetworkOptions, Options, Parts, PlaceOptions,
    ProofOptions, TlsOptions,
};
use crate::daemon::{self, Proofs};
use anyhow::Result;
use clap::Args;
use sealdrop_miner::logging::Log;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    given: Given,
}

/// Options, and the file that says what they leave out.
#[derive(Debug, Clone, Args)]
pub struct Given {
    /// The configuration file [default: sealdrop.toml in the home, if there is one] [env: SEALDROP_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    pub options: Options,
}

impl Given {
    /// With what the environment and the file say.
    pub fn gather(self) -> Result<Configuration, CommandError> {
        Ok(Configuration::gather(self.options, self.config, |name| {
            std::env::var_os(name)
        })?)
    }
}

/// The options of a chain alone.
#[derive(Debug, Args)]
pub struct ChainArguments {
    /// The configuration file [default: sealdrop.toml in the home, if there is one] [env: SEALDROP_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The group's option, which has no meaning here.
    #[arg(long = "chain", id = "chain", value_name = "URL", hide = true)]
    another: Option<String>,
    #[command(flatten)]
    proofs: ProofOptions,
    #[command(flatten)]
    chain: ChainOptions,
    #[command(flatten)]
    tls: TlsOptions,
    #[command(flatten)]
    log: LogOptions,
    #[command(flatten)]
    network: NetworkOptions,
}

/// Whether an option stands on the command line: what a group's options take from the environment is for its questions.
pub fn is_given(option: &str) -> bool {
    let with_value = format!("{option}=");
    std::env::args_os().any(|word| word == option || word.to_string_lossy().starts_with(&with_value))
}

/// Runs the daemon until it is interrupted.
pub fn run(arguments: Arguments, proofs: &dyn Proofs, log: &Log) -> Result<()> {
    start(Parts::Miner, arguments.given, proofs, log)
}

/// Runs a chain alone until it is interrupted.
pub fn run_chain(home: Option<PathBuf>, arguments: ChainArguments, proofs: &dyn Proofs, log: &Log) -> Result<()> {
    let options = Options {
        place: PlaceOptions { home },
        join: JoinOptions {
            chain: arguments.another.filter(|_| is_given("--chain")),
        },
        proofs: arguments.proofs,
        chain: arguments.chain,
        tls: arguments.tls,
        log: arguments.log,
        network: arguments.network,
        ..Options::default()
    };
    let config = arguments.config;
    start(Parts::Chain, Given { config, options }, proofs, log)
}

fn start(parts: Parts, given: Given, proofs: &dyn Proofs, log: &Log) -> Result<()> {
    let config = configured(parts, &given.clone().gather()?).map_err(CommandError::from)?;
    log.configure(&config.log)?;
    let read = move || {
        let gathered = given.clone().gather().map_err(|error| error.to_string())?;
        configured(parts, &gathered).map_err(|error| error.to_string())
    };
    Ok(daemon::run(config, proofs, log, Arc::new(read))?)
}
