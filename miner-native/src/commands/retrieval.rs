//! `sealdrop retrieval-client …`: a piece from one miner, by its CID (spec §6.6). What it does is in
//! [`crate::client::fetching`].

use super::client::tell;
use super::error::CommandError;
use super::output::Output;
use super::target::Target;
use crate::client::destination::Destination;
use crate::client::fetching;
use crate::client::{Report, Session};
use cid::Cid;
use clap::{Args, Subcommand};
use shared::chain::Address;
use std::path::PathBuf;

/// Bring pieces back from miners
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring a piece back from a miner, checked against its CID
    RetrievePiece {
        /// The miner
        miner: Address,
        /// The piece's CID, as the deal named it
        piece: Cid,
        /// Where to put it [default: the standard output]
        #[arg(short, long = "to", alias = "output", value_name = "PATH", default_value = "-")]
        output: PathBuf,
    },
}

/// Runs one retrieval command.
pub async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let Command::RetrievePiece { miner, piece, output } = arguments.command;
    let (target, to) = (arguments.target, Destination::at(output)?);
    let url = target.chain_url().await?;
    let session = Session::open(&target.home()?.client(), &url, Report::new()).await?;
    let fetched = fetching::retrieve(&session, &piece.to_string(), Some(&miner), &to).await?;
    tell(&session, &fetched, &to, arguments.output)
}
