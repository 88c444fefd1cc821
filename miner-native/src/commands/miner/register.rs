//! `sealdrop miner create`: a miner that the wallet's account owns (spec §6.2).

use super::super::error::CommandError;
use super::super::gas::Sending;
use super::super::sending::{show_preview, Sender};
use super::Place;
use crate::client::Report;
use clap::Args;
use libp2p::PeerId;
use sealdrop_miner::chain_access::ChainAccess;
use sealdrop_miner::data_dir::{DataDir, Registered};
use sealdrop_miner::network::load_or_create;
use serde_json::json;
use shared::chain::{calls, AttoFil};
use shared::piece::SectorSize;

/// FIL put aside for the message's gas when the faucet is asked: a thousand times what it uses.
const GAS_MARGIN: AttoFil = AttoFil(100_000);

#[derive(Debug, Args)]
pub struct Create {
    /// FIL that the miner holds for its sectors' collateral
    #[arg(value_parser = collateral)]
    collateral: AttoFil,
    /// Size of its sectors in bytes, or as 2KiB, 8MiB
    #[arg(long, alias = "sectorsize", value_name = "SIZE", default_value = "8MiB")]
    sector_size: String,
    /// Its libp2p host [default: the host whose key this home keeps]
    #[arg(long, alias = "peer-id", value_name = "PEER")]
    peerid: Option<PeerId>,
    #[command(flatten)]
    sending: Sending,
}

/// Why text is no collateral (spec §6.2, its text).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid collateral")]
pub struct InvalidCollateral;

fn collateral(text: &str) -> Result<AttoFil, InvalidCollateral> {
    text.parse().map_err(|_| InvalidCollateral)
}

/// Sends `createStorageMiner`, waits for its receipt, and remembers the miner.
pub(super) async fn create(place: &Place, asked: Create) -> Result<(), CommandError> {
    let home = place.target.home()?;
    let chain = place.target.chain().await?;
    let genesis = chain.connected_network().genesis.clone();
    check_free(&home, &genesis)?;
    let size = supported(&chain, &asked.sector_size)?;
    let peer = match asked.peerid {
        Some(peer) => peer,
        None => own_peer(&home)?,
    };
    let call = calls::create_storage_miner(size, &peer.to_bytes(), asked.collateral);
    let sender = Sender::open(&place.target, &asked.sending, None).await?;
    if asked.sending.gas.preview {
        show_preview(sender.preview(&chain, &call).await?, place.output)?;
        return Ok(());
    }
    // More than can exist is refused by the chain itself.
    let cost = asked.collateral.checked_add(GAS_MARGIN).unwrap_or(asked.collateral);
    sender.account().fund(&chain, cost, &Report::new()).await?;
    let (message, receipt) = sender.send_and_wait(call).await?;
    let strange = CommandError::Strange {
        method: "createStorageMiner",
    };
    let Some(miner) = receipt
        .receipt()
        .ok()
        .and_then(|receipt| calls::miner_address(&receipt).ok())
    else {
        return Err(strange);
    };
    // FAIL: the process may end before this is written.
    // THEN: the miner is on the chain all the same; its address is in the message's receipt.
    let registered = Registered {
        genesis,
        miner: miner.clone(),
    };
    home.remember_registered(&registered)?;
    let value = json!({ "miner": miner, "message": message.to_string(), "height": receipt.height });
    place.output.show(&value, || miner.to_string())?;
    Ok(())
}

/// One miner a node: the daemon's, or one made by hand on the same chain.
fn check_free(home: &DataDir, genesis: &str) -> Result<(), CommandError> {
    let registered = home.registered()?.filter(|found| found.genesis == genesis);
    match home.has_miner() || registered.is_some() {
        true => Err(CommandError::HasMiner),
        false => Ok(()),
    }
}

fn supported(chain: &ChainAccess, text: &str) -> Result<SectorSize, CommandError> {
    let supported = &chain.connected_network().policy.sector_sizes;
    let bytes = text.parse().ok().and_then(|bytes| SectorSize::from_bytes(bytes).ok());
    let size = bytes.or_else(|| text.parse().ok());
    size.filter(|size| supported.contains(size)).ok_or_else(|| {
        let sizes: Vec<String> = supported.iter().map(|size| size.bytes().to_string()).collect();
        CommandError::SectorSize {
            asked: text.to_owned(),
            supported: sizes.join(", "),
        }
    })
}

/// The peer id of the host whose key lies in this home, as a daemon here would have it.
fn own_peer(home: &DataDir) -> Result<PeerId, CommandError> {
    let dir = home.miner();
    std::fs::create_dir_all(&dir).map_err(|source| CommandError::File {
        action: "create",
        path: dir.clone(),
        source,
    })?;
    Ok(PeerId::from(load_or_create(&dir.join("host.key"))?.public()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collateral_is_an_amount_of_fil() {
        assert_eq!(collateral("0.5"), Ok(AttoFil(500_000_000_000_000_000)));
        assert_eq!(collateral("much"), Err(InvalidCollateral));
    }

    #[test]
    fn a_home_has_one_miner_on_a_chain() {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        let home = DataDir::open(Some(dir.path().to_owned())).expect("a directory opens");
        assert!(check_free(&home, "a chain").is_ok());
        let registered = Registered {
            genesis: "a chain".into(),
            miner: shared::chain::Address::id(1000),
        };
        home.remember_registered(&registered).expect("there is room for a file");
        assert!(matches!(check_free(&home, "a chain"), Err(CommandError::HasMiner)));
        assert!(check_free(&home, "another").is_ok());
    }
}
