//! What a daemon runs with, from its options.
//!
//! Called by [`crate::commands`]; [`crate::daemon`] comes next.

mod options;

pub use options::{
    ChainOptions, JoinOptions, MinerOptions, NetworkOptions, Options, P2pOptions, PlaceOptions, ProofOptions,
    WebOptions,
};

use crate::daemon::{DaemonConfig, Ports, Role};
use sealdrop_miner::settings::SettingsChange;
use shared::chain::Policy;
use shared::piece::SectorSize;
use std::time::Duration;

/// Which parts a command is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// The chain alone.
    Chain,
    /// A miner, with a chain of its own unless it joins another.
    Miner,
}

/// Time between blocks, unless said otherwise.
const BLOCK_TIME: Duration = Duration::from_secs(1);

/// What the options come to.
pub fn configured(parts: Parts, options: Options) -> DaemonConfig {
    let sector_size = options.network.sector_size.unwrap_or(SectorSize::S8MiB);
    let role = match (parts, options.join.chain) {
        (Parts::Chain, _) => Role::Chain,
        (Parts::Miner, None) => Role::ChainAndMiner,
        (Parts::Miner, Some(chain)) => Role::Miner { chain },
    };
    DaemonConfig {
        role,
        home: options.place.home,
        params: options.proofs.params,
        official_params: options.proofs.official_params.unwrap_or_default(),
        policy: policy(&options.network, sector_size),
        network: options.network.network.unwrap_or_else(|| "sealdrop-devnet".into()),
        sector_size,
        block_time: options.chain.block_time.unwrap_or(BLOCK_TIME),
        ports: Ports {
            p2p: options.p2p.p2p_port.unwrap_or(4401),
            p2p_ws: options.p2p.p2p_ws_port.unwrap_or(4402),
            chain: options.chain.chain_port.unwrap_or(4403),
            web: options.web.web_port.unwrap_or(4400),
        },
        web: options.web.web,
        client: options.web.client,
        settings: SettingsChange {
            price: options.miner.price,
            auto_seal_ms: options.miner.auto_seal.map(millis),
            transfer_limit_ms: options.miner.transfer_limit.map(millis),
            ..SettingsChange::default()
        },
    }
}

fn policy(asked: &NetworkOptions, sector_size: SectorSize) -> Policy {
    let usual = Policy::of_new_network(sector_size);
    Policy {
        proving_period: asked.proving_period.unwrap_or(usual.proving_period),
        challenge_window: asked.challenge_window.unwrap_or(usual.challenge_window),
        grace: asked.grace.unwrap_or(usual.grace),
        cancel_delay: asked.cancel_delay.unwrap_or(usual.cancel_delay),
        ..usual
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
