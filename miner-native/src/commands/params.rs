//! `sealdrop params`: the proof parameters, made or checked ahead of the first start.

use super::output::{put_path, Output};
use crate::daemon::parameters;
use anyhow::Result;
use clap::Args;
use sealdrop_miner::data_dir::DataDir;
use serde_json::json;
use shared::piece::SectorSize;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Where data is kept [default: ~/.sealdrop]
    #[arg(long, value_name = "DIR", env = "SEALDROP_HOME")]
    home: Option<PathBuf>,
    /// Where proof parameters are kept [default: HOME/params]
    #[arg(long, value_name = "DIR", env = "SEALDROP_PARAMS")]
    params: Option<PathBuf>,
    /// Size of sectors
    #[arg(long, alias = "size", value_name = "SIZE", default_value = "8MiB")]
    sector_size: SectorSize,
    /// Check the official parameters of Filecoin's networks instead of making insecure ones
    #[arg(long)]
    official_params: bool,
}

/// Makes sure that the parameters are there and whole.
pub fn run(arguments: Arguments, output: Output) -> Result<()> {
    let dir = match arguments.params {
        Some(dir) => dir,
        None => DataDir::open(arguments.home)?.params(),
    };
    // A network's name plays no part here: whose parameters these are is asked for, or insecure ones are meant.
    let source = parameters::source("", arguments.official_params);
    parameters::ensure(&dir, arguments.sector_size, source)?;
    let (size, label) = (arguments.sector_size, parameters::label(source));
    let mut value = json!({ "sectorSize": size.bytes(), "source": label });
    put_path(&mut value, "path", &dir);
    output.show(&value, || {
        format!("The parameters for {size} sectors are in {}: {label}", dir.display())
    })?;
    Ok(())
}
