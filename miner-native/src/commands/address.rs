//! `sealdrop address`: addresses of the wallet, and where a miner is reached (spec §6.7).

use super::error::CommandError;
use super::output::Output;
use super::target::Target;
use super::wallet;
use clap::{Args, Subcommand};
use sealdrop_miner::network::texts;
use serde_json::json;
use shared::chain::Address;

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
    /// List the wallet's addresses; the default one is marked
    Ls,
    /// Make a key; prints its address
    New,
    /// Print the wallet's default address, or choose it
    Default {
        /// The address to use from now on
        address: Option<Address>,
    },
    /// Print the peer id of a miner
    Lookup {
        /// The miner
        miner: Address,
    },
}

/// Runs one command on addresses.
pub async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let Arguments {
        target,
        output,
        command,
    } = arguments;
    match command {
        Command::Ls => wallet::list(&target, output),
        Command::New => wallet::new(&target, output).await,
        Command::Default { address } => wallet::default(&target, address, output).await,
        Command::Lookup { miner } => {
            let chain = target.chain().await?;
            let view = chain.miner(&miner).await?;
            let view = view.ok_or(CommandError::UnknownMiner { miner })?;
            let record = chain.find_peer(&view.peer_id).await?;
            let multiaddrs: Vec<String> = record.iter().flat_map(|record| texts(record.addresses())).collect();
            let value = json!({ "miner": view.address, "peerId": view.peer_id, "multiaddrs": multiaddrs });
            output.show(&value, || view.peer_id.clone())?;
            Ok(())
        }
    }
}
