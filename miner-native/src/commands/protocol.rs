//! `sealdrop protocol`: the network's parameters (spec §6.7).

use super::error::CommandError;
use super::output::Output;
use super::target::{DaemonPort, Target};
use clap::Args;
use sealdrop_miner::operator::OperatorError;
use serde_json::json;
use std::fmt::Write;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    port: DaemonPort,
    #[command(flatten)]
    output: Output,
}

/// Shows the network, the auto-seal interval of this node's miner, and the sizes of sectors.
pub async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let Arguments { target, port, output } = arguments;
    let network = target.chain().await?.network().await?;
    let asked = async { Ok(target.operator(&port)?.settings().await?) };
    let interval_ms = match asked.await {
        Ok(settings) => Some(settings.auto_seal_ms),
        // A chain without a miner of ours has none.
        Err(CommandError::Operator(OperatorError::Unreachable { .. })) => None,
        Err(error) => return Err(error),
    };
    let sizes: Vec<_> = network
        .policy
        .sector_sizes
        .iter()
        .map(|size| (size.bytes(), size.usable()))
        .collect();
    let value = json!({
        "network": network.network,
        "genesis": network.genesis,
        "blockTimeMs": network.block_time_ms,
        "autoSealIntervalMs": interval_ms,
        "sectorSizes": sizes.iter().map(|(size, usable)| json!({ "size": size, "writeable": usable })).collect::<Vec<_>>(),
        "policy": network.policy,
    });
    output.show(&value, || {
        let interval = interval_ms.map_or("none (no miner here)".into(), |ms| {
            format!("{} seconds", ms as f64 / 1000.0)
        });
        let mut text = format!(
            "Network: {}\nAuto-Seal Interval: {interval}\nSector Sizes:",
            network.network
        );
        for (size, usable) in &sizes {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n\t{size} bytes ({usable} bytes writeable)");
        }
        text
    })?;
    Ok(())
}
