//! Proofs-of-spacetime, their windows and fees, and what befalls a miner that does not send them (spec §5.3.4 to §5.3.7).

use super::{miner, miner_mut, worker_only, MinerError};
use crate::chain::abi::{map_bytes, Abi, Integer, EMPTY_FAULT_SET, EMPTY_INT_SET};
use crate::chain::actors::account::{credit, debit};
use crate::chain::actors::{code, market, param, params, Env, Halt, Invocation, Returns, Revert};
use crate::chain::address::Address;
use crate::chain::amount::{AttoFil, Epoch};
use crate::chain::policy::Policy;
use crate::chain::randomness::Purpose;
use crate::chain::state::{ChainState, Miner};
use crate::ports::verifier::{prover_id, WindowPoStClaim};
use crate::wire::cbor::{map, Cbor};
use alloc::string::ToString;
use alloc::{vec, vec::Vec};

/// How a miner stands with its proofs (spec §5.3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum PostState {
    NoStorage = 0,
    WithinPeriod = 1,
    AfterPeriod = 2,
    Unrecoverable = 3,
}

/// How `miner` stands at `height`.
pub(in crate::chain::actors) fn po_st_state(miner: &Miner, policy: &Policy, height: Epoch) -> PostState {
    let Some(end) = miner.proving_period_end.filter(|_| !miner.proving_set.is_empty()) else {
        return PostState::NoStorage;
    };
    match height.0.saturating_sub(end.0) {
        0 => PostState::WithinPeriod,
        late if late < policy.grace => PostState::AfterPeriod,
        _ => PostState::Unrecoverable,
    }
}

/// What a proof at `height` costs a miner of this collateral whose period ended at `end` (spec §5.3.5).
pub fn late_fee(policy: &Policy, collateral: AttoFil, end: Epoch, height: Epoch) -> AttoFil {
    let late = height.0.saturating_sub(end.0).min(policy.grace);
    match late {
        0 => AttoFil::ZERO,
        // Below the collateral; when the product would not fit, divide first and lose less than a grace of attoFIL.
        late => {
            let (late, grace) = (u128::from(late), u128::from(policy.grace.max(1)));
            collateral
                .checked_mul(late)
                .map_or(AttoFil(collateral.0 / grace * late), |scaled| AttoFil(scaled.0 / grace))
        }
    }
}

/// `submitPoSt(proof, faults, done)`: one proof for all sectors of the proving set.
///
/// Its randomness comes from the window's start, also when the proof is late. (The actor of 2019 expected a later block
/// from late proofs than any prover used, so that none could be accepted; design §6.)
pub(super) fn submit_post(state: &mut ChainState, env: &mut Env, call: &Invocation) -> Result<Returns, Halt> {
    let [proof, faults, done] = params(call)?;
    let policy = state.policy.clone();
    let height = env.ctx.height;
    let miner = miner(state, &call.to)?;
    worker_only(miner, call)?;
    let (start, end) = miner
        .proving_window(&policy)
        .filter(|_| !miner.proving_set.is_empty())
        .ok_or(MinerError::Inactive)?;
    if height >= end.plus(policy.grace) {
        return Err(MinerError::PoStTooLate { grace: policy.grace }.into());
    }
    let fee = late_fee(&policy, miner.active_collateral, end, height);
    let surplus = call.value.checked_sub(fee);
    let surplus = surplus.ok_or(MinerError::FeeNotCovered {
        fee: fee.0,
        value: call.value.0,
    })?;
    if height < start {
        return Err(MinerError::PoStBeforeWindow { height, start, end }.into());
    }
    if faults.as_slice() != EMPTY_FAULT_SET {
        return Err(MinerError::SetNotEmpty("faults").into());
    }
    if done.as_slice() != EMPTY_INT_SET {
        return Err(MinerError::SetNotEmpty("done").into());
    }
    let claim = WindowPoStClaim {
        sector_size: miner.sector_size,
        prover_id: prover_id(&call.to),
        randomness: env.randomness(Purpose::WindowPoSt, start, &call.to)?,
        sectors: proving_sectors(miner).collect(),
        proof: proof.clone(),
    };
    if !env.ctx.verifier.verify_window_post(&claim)? {
        return Err(MinerError::InvalidPoSt.into());
    }
    // Only the fee leaves the caller: what came beyond it is the surplus that goes back.
    debit(state, &call.from, call.value)?;
    credit(state, &Address::id(Address::BURNT_FUNDS), fee)?;
    credit(state, &call.from, surplus)?;
    let before = miner_mut(state, &call.to)?.power;
    let after = record_proof(miner_mut(state, &call.to)?, &policy, height, end);
    change_power(state, env, &call.to, before, after)?;
    Ok(Vec::new())
}

fn proving_sectors(miner: &Miner) -> impl Iterator<Item = (u64, crate::piece::Commitment)> + '_ {
    miner
        .proving_set
        .iter()
        .filter_map(|id| miner.sectors.get(id).map(|sector| (*id, sector.comm_r)))
}

/// Books an accepted proof and starts the next period with all sectors; returns the new power.
fn record_proof(miner: &mut Miner, policy: &Policy, height: Epoch, end: Epoch) -> u64 {
    for id in &miner.proving_set {
        if let Some(sector) = miner.sectors.get_mut(id) {
            sector.last_proven_at = Some(height);
            sector.proofs = sector.proofs.saturating_add(1);
        }
    }
    miner.power = (miner.proving_set.len() as u64).saturating_mul(miner.sector_size.bytes());
    miner.proving_set = miner.sectors.keys().copied().collect();
    miner.proving_period_end = Some(end.plus(policy.proving_period));
    miner.last_post = Some(height);
    miner.posts = miner.posts.saturating_add(1);
    miner.power
}

/// Tells the market of a change of power; that call costs gas like any other.
fn change_power(state: &mut ChainState, env: &mut Env, miner: &Address, before: u64, after: u64) -> Result<(), Halt> {
    if before == after {
        return Ok(());
    }
    env.charge(state.policy.gas_per_method)?;
    market::update_storage(state, miner, i128::from(after) - i128::from(before))
        .map_err(|inner| Revert::new(36, alloc::format!("call to StorageMarket failed: {}", inner.text)).into())
}

/// `slashStorageFault()`, by anyone: a miner that missed its proof and its grace loses power and sectors.
pub(super) fn slash_storage_fault(state: &mut ChainState, env: &mut Env, call: &Invocation) -> Result<Returns, Halt> {
    params::<0>(call)?;
    let (policy, height) = (state.policy.clone(), env.ctx.height);
    let miner = miner_mut(state, &call.to)?;
    if miner.slashed_at.is_some() {
        return Err(MinerError::AlreadySlashed.into());
    }
    if miner.proving_set.is_empty() {
        return Err(MinerError::Inactive.into());
    }
    if !miner.is_tardy(&policy, height) {
        return Err(MinerError::NotYetTardy.into());
    }
    let before = core::mem::take(&mut miner.power);
    let slashed = core::mem::take(&mut miner.proving_set);
    miner.sectors.retain(|id, _| !slashed.contains(id));
    miner.slashed_at = Some(height);
    change_power(state, env, &call.to, before, 0)?;
    Ok(Vec::new())
}

/// `getProvingWindow -> (start, end)`: zero and nothing before the first commit.
pub(super) fn proving_window(state: &ChainState, call: &Invocation) -> Result<Returns, Revert> {
    params::<0>(call)?;
    Ok(match miner(state, &call.to)?.proving_window(&state.policy) {
        Some((start, end)) => vec![start.to_abi(), end.to_abi()],
        None => vec![Epoch(0).to_abi(), Vec::new()],
    })
}

/// `getProvingSetCommitments -> CommitmentsMap`.
pub(super) fn proving_set_commitments(state: &ChainState, call: &Invocation) -> Result<Returns, Revert> {
    params::<0>(call)?;
    let miner = miner(state, &call.to)?;
    let sectors = miner
        .proving_set
        .iter()
        .filter_map(|id| miner.sectors.get(id).map(|sector| (id, sector)));
    let entries = sectors.map(|(id, sector)| {
        let commitments = map(vec![
            ("commD", sector.comm_d.0.to_value()),
            ("commR", sector.comm_r.0.to_value()),
            ("commRStar", sector.comm_r_star.0.to_value()),
        ]);
        (id.to_string(), commitments)
    });
    Ok(vec![map_bytes(entries.collect())])
}

/// `getPoStState -> Integer`.
pub(super) fn post_state(state: &ChainState, env: &Env, call: &Invocation) -> Result<Returns, Revert> {
    params::<0>(call)?;
    let miner = miner(state, &call.to)?;
    Ok(vec![
        Integer(po_st_state(miner, &state.policy, env.ctx.height) as u64).to_abi()
    ])
}

/// `calculateLateFee(height) -> AttoFIL`: what a proof at that height would cost.
pub(super) fn calculate_late_fee(state: &ChainState, call: &Invocation) -> Result<Returns, Revert> {
    let [height] = params(call)?;
    let height: Epoch = param(height)?;
    let miner = miner(state, &call.to)?;
    let end = miner
        .proving_period_end
        .ok_or_else(|| Revert::new(code::GENERIC, MinerError::NotActive))?;
    Ok(vec![
        late_fee(&state.policy, miner.active_collateral, end, height).to_abi()
    ])
}
