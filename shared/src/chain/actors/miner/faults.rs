//! Sectors that are not proven: declared faults and their recovery, missed periods, slashing (spec §5.3.7, §5.3.8). The
//! rules stand together in [`super`].

use super::{begin_period, drop_sector, miner_mut, settle_power, worker_only, MinerError};
use crate::chain::actors::account::{add, burn, debit, Accounts};
use crate::chain::actors::{no_such_actor, param, params, Env, Halt, Invocation, Returns, Revert};
use crate::chain::amount::Epoch;
use crate::chain::faults::{FaultSet, IntSet};
use crate::chain::policy::Policy;
use crate::chain::state::{ChainState, Fault, Miner};
use alloc::vec::Vec;

/// `addFaults(faults)`, by the worker: these sectors cannot be proven for now.
///
/// Before the window opens they leave the running period's proof; later, when the challenge is known, they count from the
/// next period. (The actor of 2019 took the call from anybody.)
pub(super) fn add_faults(state: &mut ChainState, env: &mut Env, call: &Invocation) -> Result<Returns, Halt> {
    let [declared] = params(call)?;
    let declared: FaultSet = param(declared)?;
    let (policy, height) = (state.policy.clone(), env.ctx.height);
    let miner = miner_mut(state, &call.to)?;
    worker_only(miner, call)?;
    check_committed(miner, &declared.ids)?;
    if challenge_is_open(miner, &policy, height) {
        for id in declared.ids.0 {
            miner.next_faults.entry(id).or_insert(height);
        }
        return Ok(Vec::new());
    }
    for id in declared.ids.0 {
        declare(miner, id, height);
    }
    settle_power(state, env, &call.to)?;
    Ok(Vec::new())
}

/// `recoverFaults(sectors)`, by the worker: these faulty sectors can be proven again. They join the running period's
/// proof while its challenge is not known, and the next one's later; a fault ends with the proof that covers the sector.
pub(super) fn recover_faults(state: &mut ChainState, env: &Env, call: &Invocation) -> Result<Returns, Revert> {
    let [recovered] = params(call)?;
    let recovered: IntSet = param(recovered)?;
    let (policy, height) = (state.policy.clone(), env.ctx.height);
    let miner = miner_mut(state, &call.to)?;
    worker_only(miner, call)?;
    let faulty = |id: &u64| miner.faults.contains_key(id) || miner.next_faults.contains_key(id);
    if !recovered.0.iter().all(faulty) {
        return Err(MinerError::SectorIdOutOfRange.into());
    }
    let open = challenge_is_open(miner, &policy, height);
    for id in recovered.0 {
        miner.next_faults.remove(&id);
        if let Some(fault) = miner.faults.get_mut(&id) {
            fault.recovering = true;
            if !miner.proving_set.is_empty() && !open {
                miner.proving_set.insert(id);
            }
        }
    }
    if miner.proving_set.is_empty() && !miner.provable().is_empty() {
        begin_period(miner, &policy, height);
    }
    Ok(Vec::new())
}

/// `restartProving()`, by the worker: goes on after a missed period, for the price of a slash, or after a slash.
pub(super) fn restart_proving(state: &mut ChainState, env: &mut Env, call: &Invocation) -> Result<Returns, Halt> {
    params::<0>(call)?;
    let (policy, height) = (state.policy.clone(), env.ctx.height);
    let miner = miner_mut(state, &call.to)?;
    worker_only(miner, call)?;
    let deadline = miner.proof_deadline(&policy).filter(|_| !miner.proving_set.is_empty());
    if let Some(deadline) = deadline.filter(|deadline| height < *deadline) {
        return Err(MinerError::NotMissed { deadline }.into());
    }
    debit(state, &call.from, call.value)?;
    let ChainState { accounts, miners, .. } = state;
    let miner = miners.get_mut(&call.to).ok_or_else(no_such_actor)?;
    add(&mut miner.balance, call.value)?;
    let penalty = policy.sector_collateral.checked_mul(miner.proving_set.len() as u128);
    let penalty = penalty.ok_or(MinerError::InsufficientCollateral)?;
    if miner.free_balance() < penalty {
        return Err(MinerError::InsufficientCollateral.into());
    }
    burn(accounts, &mut miner.balance, penalty);
    for id in core::mem::take(&mut miner.proving_set) {
        let fault = miner.faults.entry(id).or_insert(Fault {
            since: height,
            recovering: true,
        });
        fault.recovering = true;
    }
    miner.next_done.clear();
    declare_next_faults(miner);
    if miner.provable().is_empty() {
        return Err(MinerError::Inactive.into());
    }
    begin_period(miner, &policy, height);
    settle_power(state, env, &call.to)?;
    Ok(Vec::new())
}

/// `slashStorageFault()`, by anyone: a miner that missed its proof and its grace loses power, the sectors that it had to
/// prove, and their collateral. (In 2019 no money moved, and a miner could be slashed once in its life.)
pub(super) fn slash_storage_fault(state: &mut ChainState, env: &mut Env, call: &Invocation) -> Result<Returns, Halt> {
    params::<0>(call)?;
    let (policy, height) = (state.policy.clone(), env.ctx.height);
    let ChainState { accounts, miners, .. } = state;
    let miner = miners.get_mut(&call.to).ok_or_else(no_such_actor)?;
    if miner.slashed_at.is_some() {
        return Err(MinerError::AlreadySlashed.into());
    }
    if miner.proving_set.is_empty() {
        return Err(MinerError::Inactive.into());
    }
    if !miner.is_tardy(&policy, height) {
        return Err(MinerError::NotYetTardy.into());
    }
    for id in miner.proving_set.clone() {
        drop_sector(accounts, miner, id, policy.sector_collateral, true);
    }
    miner.next_done.clear();
    declare_next_faults(miner);
    miner.slashed_at = Some(height);
    settle_power(state, env, &call.to)?;
    Ok(Vec::new())
}

/// Faults that were declared too late for the period that ends now.
pub(super) fn declare_next_faults(miner: &mut Miner) {
    for (id, since) in core::mem::take(&mut miner.next_faults) {
        declare(miner, id, since);
    }
}

/// Drops the sectors that have been faulty for too long; returns how many there were.
pub(super) fn lose_old_faults(accounts: &mut Accounts, miner: &mut Miner, policy: &Policy, height: Epoch) -> usize {
    let old = |(id, fault): (&u64, &Fault)| fault.has_lasted(policy, height).then_some(*id);
    let lost: Vec<u64> = miner.faults.iter().filter_map(old).collect();
    for id in &lost {
        drop_sector(accounts, miner, *id, policy.sector_collateral, true);
    }
    lost.len()
}

/// A sector is faulty from now on; one that was before stays so since then.
fn declare(miner: &mut Miner, id: u64, height: Epoch) {
    let fault = miner.faults.entry(id).or_insert(Fault {
        since: height,
        recovering: false,
    });
    fault.recovering = false;
    miner.proving_set.remove(&id);
}

fn check_committed(miner: &Miner, ids: &IntSet) -> Result<(), MinerError> {
    let known = ids.0.iter().all(|id| miner.sectors.contains_key(id));
    known.then_some(()).ok_or(MinerError::SectorIdOutOfRange)
}

/// Whether the running period's challenge may be known, so that its sectors are fixed.
fn challenge_is_open(miner: &Miner, policy: &Policy, height: Epoch) -> bool {
    let window = miner.proving_window(policy).filter(|_| !miner.proving_set.is_empty());
    window.is_some_and(|(start, _)| height >= start)
}
