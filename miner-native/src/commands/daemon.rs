//! `sealdrop daemon` and `sealdrop chain run`: a miner and its page with a chain of its own or on another's, or a chain alone.

use crate::configuration::{configured, ChainOptions, NetworkOptions, Options, Parts, PlaceOptions, ProofOptions};
use crate::daemon::{self, Proofs};
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    options: Options,
}

/// The options of a chain alone.
#[derive(Debug, Args)]
pub struct ChainArguments {
    #[command(flatten)]
    proofs: ProofOptions,
    #[command(flatten)]
    chain: ChainOptions,
    #[command(flatten)]
    network: NetworkOptions,
}

/// Runs the daemon until it is interrupted.
pub fn run(arguments: Arguments, proofs: &dyn Proofs) -> Result<()> {
    let mut options = arguments.options;
    let of_environment = |name: &str| std::env::var_os(name).map(PathBuf::from);
    options.place.home = options.place.home.or_else(|| of_environment("SEALDROP_HOME"));
    options.proofs.params = options.proofs.params.or_else(|| of_environment("SEALDROP_PARAMS"));
    Ok(daemon::run(configured(Parts::Miner, options), proofs)?)
}

/// Runs a chain alone until it is interrupted.
pub fn run_chain(home: Option<PathBuf>, arguments: ChainArguments, proofs: &dyn Proofs) -> Result<()> {
    let params = std::env::var_os("SEALDROP_PARAMS").map(PathBuf::from);
    let options = Options {
        place: PlaceOptions { home },
        proofs: ProofOptions {
            params: arguments.proofs.params.or(params),
            ..arguments.proofs
        },
        chain: arguments.chain,
        network: arguments.network,
        ..Options::default()
    };
    Ok(daemon::run(configured(Parts::Chain, options), proofs)?)
}
