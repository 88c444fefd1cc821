//! Who a miner is and what it has (spec §5.3.2).

use super::{miner, miner_mut, worker_only, MinerError};
use crate::chain::abi::{Abi, SectorNumber};
use crate::chain::actors::{market, param, params, Invocation, Returns, Revert};
use crate::chain::address::Address;
use crate::chain::amount::BytesAmount;
use crate::chain::state::ChainState;
use alloc::{vec, vec::Vec};

/// `updatePeerID(peerID)`, by the worker.
pub(super) fn update_peer_id(state: &mut ChainState, call: &Invocation) -> Result<Returns, Revert> {
    let [peer_id] = params(call)?;
    let miner = miner_mut(state, &call.to)?;
    worker_only(miner, call)?;
    market::check_peer_id(peer_id)?;
    miner.peer_id = peer_id.clone();
    Ok(Vec::new())
}

/// `changeWorker(address)`, by the owner.
pub(super) fn change_worker(state: &mut ChainState, call: &Invocation) -> Result<Returns, Revert> {
    let [worker] = params(call)?;
    let worker: Address = param(worker)?;
    let miner = miner_mut(state, &call.to)?;
    if call.from != miner.owner {
        return Err(MinerError::CallerUnauthorized.into());
    }
    miner.worker = worker;
    Ok(Vec::new())
}

/// The methods without parameters that return one field.
pub(super) fn read(state: &ChainState, call: &Invocation) -> Result<Returns, Revert> {
    params::<0>(call)?;
    let miner = miner(state, &call.to)?;
    Ok(vec![match call.method.as_str() {
        "getOwner" => miner.owner.to_abi(),
        "getWorker" => miner.worker.to_abi(),
        "getPeerID" => miner.peer_id.clone(),
        "getSectorSize" => BytesAmount(miner.sector_size.bytes()).to_abi(),
        "getPower" => BytesAmount(miner.power).to_abi(),
        "getActiveCollateral" => miner.active_collateral.to_abi(),
        "getLastUsedSectorID" => SectorNumber(miner.last_used_sector_id).to_abi(),
        // isBootstrapMiner: there are no miners in genesis whose proofs would go unchecked.
        _ => false.to_abi(),
    }])
}
