//! `sealdrop daemon`: the chain, the miner and the web page in one process.

use super::span;
use crate::daemon::{self, DaemonConfig, Ports, Proofs};
use anyhow::Result;
use clap::Args;
use sealdrop_miner::settings::SettingsChange;
use shared::chain::{AttoFil, Policy};
use shared::piece::SectorSize;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Where data is kept [default: ~/.sealdrop]
    #[arg(long, value_name = "DIR", env = "SEALDROP_HOME")]
    home: Option<PathBuf>,
    /// Where proof parameters are kept, about 1.5 GB [default: HOME/params]
    #[arg(long, value_name = "DIR", env = "SEALDROP_PARAMS")]
    params: Option<PathBuf>,
    /// Go by the official parameters of Filecoin's networks, which must be in --params, and make none
    #[arg(long)]
    official_params: bool,
    /// The name of the development network
    #[arg(long, default_value = "sealdrop-devnet")]
    network: String,
    /// Size of sectors: 8MiB, or 2KiB for quick trials, or 512MiB; 32GiB with --official-params only
    #[arg(long, alias = "size", value_name = "SIZE", default_value = "8MiB")]
    sector_size: SectorSize,
    /// Time between blocks
    #[arg(long, value_name = "SPAN", default_value = "1s", value_parser = span::parse)]
    block_time: Duration,
    /// Port of libp2p over TCP (0: any free one)
    #[arg(long, alias = "port-p2p-tcp", value_name = "PORT", default_value_t = 4401)]
    p2p_port: u16,
    /// Port of libp2p over WebSocket, for browsers
    #[arg(long, alias = "port-p2p-ws", value_name = "PORT", default_value_t = 4402)]
    p2p_ws_port: u16,
    /// Port of the chain's JSON-RPC
    #[arg(long, alias = "port-rpc", value_name = "PORT", default_value_t = 4403)]
    chain_port: u16,
    /// Port of the web page
    #[arg(long, alias = "port-web", value_name = "PORT", default_value_t = 4400)]
    web_port: u16,
    /// Folder of the web page, served at /
    #[arg(long, value_name = "DIR")]
    web: Option<PathBuf>,
    /// Folder of the browser client, served at /client/
    #[arg(long, value_name = "DIR")]
    client: Option<PathBuf>,
    /// How long a sector waits for more pieces after its first [default: as set last; at first 3s]
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    auto_seal: Option<Duration>,
    /// How long an accepted deal waits for its data [default: as set last; at first 24h]
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    transfer_limit: Option<Duration>,
    /// Asking price, in FIL per byte per block (8 MB for 2500 blocks: about 2 FIL) [default: as set last; at first 0.0000000001]
    #[arg(long, value_name = "FIL")]
    price: Option<AttoFil>,
    /// Blocks in which every sector is proven once; fixed when the network begins
    #[arg(long, value_name = "BLOCKS", help_heading = "New network")]
    proving_period: Option<u64>,
    /// Blocks at a proving period's end in which its proof is on time; fixed when the network begins
    #[arg(long, value_name = "BLOCKS", help_heading = "New network")]
    challenge_window: Option<u64>,
    /// Blocks after a proving period in which a late proof is taken; fixed when the network begins
    #[arg(long, value_name = "BLOCKS", help_heading = "New network")]
    grace: Option<u64>,
    /// Blocks that a payee has to redeem after a channel was cancelled; fixed when the network begins
    #[arg(long, value_name = "BLOCKS", help_heading = "New network")]
    cancel_delay: Option<u64>,
}

/// Runs the daemon until it is interrupted.
pub fn run(arguments: Arguments, proofs: &dyn Proofs) -> Result<()> {
    let usual = Policy::of_new_network(arguments.sector_size);
    let policy = Policy {
        proving_period: arguments.proving_period.unwrap_or(usual.proving_period),
        challenge_window: arguments.challenge_window.unwrap_or(usual.challenge_window),
        grace: arguments.grace.unwrap_or(usual.grace),
        cancel_delay: arguments.cancel_delay.unwrap_or(usual.cancel_delay),
        ..usual
    };
    let config = DaemonConfig {
        home: arguments.home,
        params: arguments.params,
        official_params: arguments.official_params,
        network: arguments.network,
        sector_size: arguments.sector_size,
        block_time: arguments.block_time,
        ports: Ports {
            p2p: arguments.p2p_port,
            p2p_ws: arguments.p2p_ws_port,
            chain: arguments.chain_port,
            web: arguments.web_port,
        },
        web: arguments.web,
        client: arguments.client,
        settings: SettingsChange {
            price: arguments.price,
            auto_seal_ms: arguments.auto_seal.map(millis),
            transfer_limit_ms: arguments.transfer_limit.map(millis),
            ..SettingsChange::default()
        },
        policy,
    };
    Ok(daemon::run(config, proofs)?)
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
