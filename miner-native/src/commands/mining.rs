//! `sealdrop mining`: what the daemon's miner does (spec §6.3), asked of the running daemon.

use super::error::CommandError;
use super::explain;
use super::output::{columns, Output};
use super::target::{DaemonPort, Target};
use crate::operator::{MiningStatus, Operator};
use clap::{Args, Subcommand};
use serde_json::json;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Most bytes that are read of a piece, all into memory: what a sector of 512 MiB takes, the largest that is sealed. The
/// daemon knows its own size and refuses more than that.
const MAX_PIECE: u64 = 532_676_608;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    port: DaemonPort,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take deals from now on
    Start,
    /// Take no new deals; those taken are sealed and proven as before
    Stop,
    /// Print the id of the next block, which the chain's authority makes
    Once,
    /// Check that the miner could take deals, without starting it
    Setup,
    /// Show whether deals are taken, and what the miner stands for on the chain
    Status,
    /// Print the miner's address
    Address,
    /// Seal what is staged now instead of waiting for more pieces
    SealNow,
    /// Tell why a sector is not done, and when it will be
    Explain {
        /// The sector's number
        sector: u64,
    },
    /// Put a file of your own into a sector
    AddPiece {
        /// The file; `-` is the standard input
        file: PathBuf,
    },
}

/// Asks the daemon.
pub async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let Arguments {
        target,
        port,
        output,
        command,
    } = arguments;
    let operator = target.operator(&port)?;
    match command {
        Command::Start => {
            let status = operator.start_mining().await?;
            output.show(&status, || "Started mining".into());
        }
        Command::Stop => {
            let status = operator.stop_mining().await?;
            output.show(&status, || "Stopped mining".into());
        }
        Command::Once => {
            let made = operator.mine_once().await?;
            output.show(&made, || made.block.clone());
        }
        Command::Setup => {
            // A daemon that answers has its sectors open and its miner registered: both come before its listener.
            let status = operator.mining().await?;
            output.show(&status, || "mining ready".into());
        }
        Command::Status => {
            let status = operator.mining().await?;
            output.show(&status, || described(&status));
        }
        Command::Address => {
            let address = operator.mining().await?.address;
            output.show(&json!({ "address": address }), || address.to_string());
        }
        Command::SealNow => {
            check_mining(&operator, "seal sectors").await?;
            let status = operator.seal_now().await?;
            output.show(&status, || "sealing started".into());
        }
        Command::Explain { sector } => {
            let told = operator.explain_sector(sector).await?;
            output.show(&told, || explain::described(&told));
        }
        Command::AddPiece { file } => {
            check_mining(&operator, "add piece").await?;
            let added = operator.add_piece(read(&file)?).await?;
            output.show(&added, || format!("piece staged in sector {}", added.sector));
        }
    }
    Ok(())
}

async fn check_mining(operator: &Operator, purpose: &'static str) -> Result<(), CommandError> {
    match operator.mining().await?.mining {
        true => Ok(()),
        false => Err(CommandError::NotMining { purpose }),
    }
}

fn described(status: &MiningStatus) -> String {
    let window = status
        .proving_window
        .map_or("none yet".into(), |(start, end)| format!("{start}-{end}"));
    columns([
        ["mining".to_owned(), if status.mining { "yes" } else { "no" }.to_owned()],
        ["miner".to_owned(), status.address.to_string()],
        ["height".to_owned(), status.height.to_string()],
        ["power".to_owned(), format!("{} / {}", status.power, status.total_power)],
        ["collateral".to_owned(), format!("{} FIL", status.collateral)],
        ["proving window".to_owned(), window],
        ["sectors being sealed".to_owned(), status.sealing.to_string()],
    ])
}

fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    let failed = |source| CommandError::File {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let mut source: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(std::io::stdin()),
        _ => Box::new(std::fs::File::open(path).map_err(failed)?),
    };
    let mut bytes = Vec::new();
    source
        .by_ref()
        .take(MAX_PIECE + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_PIECE {
        return Err(CommandError::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}
