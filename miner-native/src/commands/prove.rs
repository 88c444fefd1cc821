//! `sealdrop prove`, hidden: what the daemon starts itself as for a proof ([`sealdrop_miner::prover::child`]).

use clap::Args;
use sealdrop_miner::console;
use sealdrop_miner::prover::child::{serve, ServeError, Task, DAMAGED, REFUSED};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct Arguments {
    /// The miner's 32 bytes, as hexadecimal digits
    #[arg(long, value_name = "HEX", value_parser = prover_id)]
    prover_id: [u8; 32],
    #[arg(long)]
    sector: u64,
    /// Bytes of the sector
    #[arg(long)]
    size: u64,
    #[arg(long, value_name = "DIR")]
    params: PathBuf,
    #[arg(long, value_name = "DIR")]
    parents: PathBuf,
    #[arg(long)]
    official: bool,
    /// Have filecoin-proofs make it
    #[arg(long)]
    library: bool,
}

fn prover_id(text: &str) -> Result<[u8; 32], String> {
    let mut id = [0; 32];
    hex::decode_to_slice(text, &mut id).map_err(|error| error.to_string())?;
    Ok(id)
}

/// Prints the proof as hexadecimal digits.
pub fn run(arguments: Arguments) -> ExitCode {
    let task = Task {
        prover_id: arguments.prover_id,
        sector: arguments.sector,
        size: arguments.size,
        params: arguments.params,
        parents: arguments.parents,
        official: arguments.official,
        library: arguments.library,
    };
    match serve(&task) {
        Ok(proof) => {
            console::stdout(&hex::encode(proof));
            ExitCode::SUCCESS
        }
        Err(ServeError::Prover(sealdrop_prover::Error::Refused { reason, .. })) => {
            console::stderr(&reason);
            ExitCode::from(REFUSED)
        }
        Err(error) => {
            console::stderr(&error.to_string());
            match error {
                ServeError::Prover(sealdrop_prover::Error::DamagedOutput { .. }) => ExitCode::from(DAMAGED),
                _ => ExitCode::FAILURE,
            }
        }
    }
}
