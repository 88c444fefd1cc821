//! Offers of storage (spec §5.3.1).

use super::{miner, miner_mut, worker_only, MinerError};
use crate::chain::abi::{Abi, Integer};
use crate::chain::actors::{param, params, Env, Invocation, Returns, Revert};
use crate::chain::amount::{AttoFil, Epoch};
use crate::chain::state::{Ask, ChainState};
use alloc::{vec, vec::Vec};

/// Most asks of a miner that have not expired.
pub const MAX_ASKS: usize = 64;

/// `addAsk(price, expiry) -> Integer`: the expiry counts from this height; expired asks are dropped.
pub(super) fn add_ask(state: &mut ChainState, env: &Env, call: &Invocation) -> Result<Returns, Revert> {
    let [price, expiry] = params(call)?;
    let price: AttoFil = param(price)?;
    let miner = miner_mut(state, &call.to)?;
    worker_only(miner, call)?;
    let height = env.ctx.height;
    let blocks = Integer::from_abi(expiry).map_err(|_| MinerError::AskExpiry)?;
    let expiry = height.0.checked_add(blocks.0).map(Epoch).ok_or(MinerError::AskExpiry)?;
    miner.asks.retain(|ask| height < ask.expiry);
    if miner.asks.len() >= MAX_ASKS {
        return Err(MinerError::TooMany {
            what: "asks",
            limit: MAX_ASKS,
        }
        .into());
    }
    let id = miner.next_ask_id;
    // An id a block would take longer than any chain lives to overflow.
    miner.next_ask_id = id.saturating_add(1);
    miner.asks.push(Ask { id, price, expiry });
    Ok(vec![Integer(id).to_abi()])
}

/// `getAsks -> UintArray`: the ids, expired ones included.
pub(super) fn asks(state: &ChainState, call: &Invocation) -> Result<Returns, Revert> {
    params::<0>(call)?;
    let ids: Vec<u64> = miner(state, &call.to)?.asks.iter().map(|ask| ask.id).collect();
    Ok(vec![ids.to_abi()])
}

/// `getAsk(Integer) -> Bytes`: the ask as CBOR.
pub(super) fn ask(state: &ChainState, call: &Invocation) -> Result<Returns, Revert> {
    let [id] = params(call)?;
    let id: Integer = param(id)?;
    let ask = miner(state, &call.to)?
        .asks
        .iter()
        .find(|ask| ask.id == id.0)
        .ok_or(MinerError::AskNotFound)?;
    Ok(vec![ask.to_abi()])
}
