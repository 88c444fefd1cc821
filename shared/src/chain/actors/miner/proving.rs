//! Proofs-of-spacetime, their windows and fees (spec §5.3.4 to §5.3.6). What befalls a miner that does not send them is in
//! [`super::faults`].

use super::faults::declare_next_faults;
use super::{drop_sector, miner, settle_power, worker_only, MinerError};
use crate::chain::abi::{Abi, Commitments, CommitmentsMap, Integer};
use crate::chain::actors::account::{credit, debit};
use crate::chain::actors::{code, no_such_actor, param, params, Env, Halt, Invocation, Returns, Revert};
use crate::chain::address::Address;
use crate::chain::amount::{AttoFil, Epoch};
use crate::chain::faults::{FaultSet, IntSet};
use crate::chain::policy::Policy;
use crate::chain::randomness::Purpose;
use crate::chain::state::{ChainState, Miner, Sector};
use crate::chain::verifier::{prover_id, WindowPoStClaim};
use crate::piece::Commitment;
use crate::wire::DecodeError;
use alloc::collections::BTreeSet;
use alloc::{vec, vec::Vec};
use core::num::NonZeroU128;
use serde::{Deserialize, Serialize};

/// How a miner stands with its proofs (spec §5.3.6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[repr(u64)]
pub enum PostState {
    /// No sector has to be proven.
    #[default]
    NoStorage = 0,
    /// The proof is due, and not late.
    WithinPeriod = 1,
    /// The proof is late and costs a fee.
    AfterPeriod = 2,
    /// The proof is not accepted any more.
    Unrecoverable = 3,
}

impl Abi for PostState {
    fn to_abi(&self) -> Vec<u8> {
        Integer(*self as u64).to_abi()
    }
    fn from_abi(bytes: &[u8]) -> Result<Self, DecodeError> {
        match Integer::from_abi(bytes)?.0 {
            0 => Ok(Self::NoStorage),
            1 => Ok(Self::WithinPeriod),
            2 => Ok(Self::AfterPeriod),
            3 => Ok(Self::Unrecoverable),
            other => Err(DecodeError::invalid("PoSt state", other)),
        }
    }
}

/// How `miner` stands at `height`.
pub fn po_st_state(miner: &Miner, policy: &Policy, height: Epoch) -> PostState {
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
            let late = u128::from(late);
            let grace = NonZeroU128::new(policy.grace.into()).unwrap_or(NonZeroU128::MIN);
            AttoFil(match collateral.checked_mul(late) {
                Some(scaled) => scaled.0 / grace,
                None => (collateral.0 / grace).saturating_mul(late),
            })
        }
    }
}

/// `submitPoSt(proof, faults, done)`: one proof for all sectors of the proving set but those in `faults`, which are given
/// up; those in `done` are proven a last time. When all are given up there is nothing to prove.
///
/// Its randomness comes from the window's start, also when the proof is late. (The actor of 2019 expected a later block
/// from late proofs than any prover used, so that none could be accepted; design §9.)
pub(super) fn submit_post(state: &mut ChainState, env: &mut Env, call: &Invocation) -> Result<Returns, Halt> {
    let [proof, faults, done] = params(call)?;
    let (faults, done): (FaultSet, IntSet) = (param(faults)?, param(done)?);
    let policy = state.policy.clone();
    let height = env.ctx.height;
    let miner = miner(state, &call.to)?;
    worker_only(miner, call)?;
    let Due {
        start,
        end,
        fee,
        surplus,
    } = due(miner, &policy, height, call.value)?;
    check_dropped(miner, &faults, &done)?;
    let covered: BTreeSet<u64> = miner.proving_set.difference(&faults.ids.0).copied().collect();
    let claim = WindowPoStClaim {
        sector_size: miner.sector_size,
        prover_id: prover_id(&call.to),
        randomness: env.randomness(Purpose::WindowPoSt, start, &call.to)?,
        sectors: with_comm_r(miner, &covered).collect(),
        proof: proof.clone(),
    };
    if !covered.is_empty() && !env.ctx.verifier.verify_window_post(&claim)? {
        return Err(MinerError::InvalidPoSt.into());
    }
    // Only the fee leaves the caller: what came beyond it is the surplus that goes back.
    debit(state, &call.from, call.value)?;
    credit(state, &Address::id(Address::BURNT_FUNDS), fee)?;
    credit(state, &call.from, surplus)?;
    let ChainState { accounts, miners, .. } = state;
    let miner = miners.get_mut(&call.to).ok_or_else(no_such_actor)?;
    record_proof(miner, &covered, height);
    miner.next_done = done.0.intersection(&covered).copied().collect();
    for id in done.0 {
        // A sector that is still faulty was not kept to the end.
        let lost = miner.faults.contains_key(&id);
        drop_sector(accounts, miner, id, policy.sector_collateral, lost);
    }
    for id in faults.ids.0 {
        drop_sector(accounts, miner, id, policy.sector_collateral, true);
    }
    next_period(miner, end.plus(policy.proving_period));
    settle_power(state, env, &call.to)?;
    Ok(Vec::new())
}

/// The proof that is due, and what it costs.
struct Due {
    start: Epoch,
    end: Epoch,
    fee: AttoFil,
    /// What the message brings beyond the fee.
    surplus: AttoFil,
}

/// Checks that a proof is due at `height` and that `value` pays for it, in the order of 2019.
fn due(miner: &Miner, policy: &Policy, height: Epoch, value: AttoFil) -> Result<Due, MinerError> {
    let window = miner.proving_window(policy).filter(|_| !miner.proving_set.is_empty());
    let (start, end) = window.ok_or(MinerError::Inactive)?;
    if height >= end.plus(policy.grace) {
        return Err(MinerError::PoStTooLate { grace: policy.grace });
    }
    let fee = late_fee(policy, miner.active_collateral, end, height);
    let surplus = value.checked_sub(fee).ok_or(MinerError::FeeNotCovered {
        fee: fee.0,
        value: value.0,
    })?;
    if height < start {
        return Err(MinerError::PoStBeforeWindow { height, start, end });
    }
    Ok(Due {
        start,
        end,
        fee,
        surplus,
    })
}

/// Only committed sectors can be given up or done, and none of them both (2019 dropped one after the other).
fn check_dropped(miner: &Miner, faults: &FaultSet, done: &IntSet) -> Result<(), MinerError> {
    let known = |id: &u64| miner.sectors.contains_key(id);
    let sound = faults.ids.0.iter().all(known) && done.0.iter().all(known) && faults.ids.0.is_disjoint(&done.0);
    sound.then_some(()).ok_or(MinerError::SectorIdOutOfRange)
}

fn with_comm_r<'m>(miner: &'m Miner, ids: &'m BTreeSet<u64>) -> impl Iterator<Item = (u64, Commitment)> + 'm {
    ids.iter()
        .filter_map(|id| miner.sectors.get(id).map(|sector| (*id, sector.comm_r)))
}

/// Books an accepted proof: what it covers is proven, and no longer faulty.
fn record_proof(miner: &mut Miner, covered: &BTreeSet<u64>, height: Epoch) {
    for id in covered {
        miner.faults.remove(id);
        if let Some(sector) = miner.sectors.get_mut(id) {
            sector.last_proven_at = Some(height);
            sector.proofs = sector.proofs.saturating_add(1);
        }
    }
    miner.last_post = Some(height);
    miner.posts = miner.posts.saturating_add(1);
}

/// Starts the next period, which ends at `end`, with all sectors that can be proven.
fn next_period(miner: &mut Miner, end: Epoch) {
    declare_next_faults(miner);
    miner.proving_set = miner.provable();
    miner.proving_period_end = Some(end);
}

/// `getProvingWindow -> (start, end)`: zero and nothing before the first commit.
pub(super) fn proving_window(state: &ChainState, call: &Invocation) -> Result<Returns, Revert> {
    params::<0>(call)?;
    Ok(match miner(state, &call.to)?.proving_window(&state.policy) {
        Some((start, end)) => vec![start.to_abi(), end.to_abi()],
        None => vec![Epoch(0).to_abi(), Vec::new()],
    })
}

/// `getProvingSetCommitments -> CommitmentsMap`: what the running period's proof must cover.
pub(super) fn proving_set_commitments(state: &ChainState, call: &Invocation) -> Result<Returns, Revert> {
    params::<0>(call)?;
    let miner = miner(state, &call.to)?;
    let due = miner.sectors.iter().filter(|(id, _)| miner.proving_set.contains(id));
    let commitments = due.map(|(id, sector)| {
        let Sector {
            comm_d,
            comm_r,
            comm_r_star,
            ..
        } = *sector;
        (
            *id,
            Commitments {
                comm_d,
                comm_r,
                comm_r_star,
            },
        )
    });
    Ok(vec![CommitmentsMap(commitments.collect()).to_abi()])
}

/// `getPoStState -> Integer`.
pub(super) fn post_state(state: &ChainState, env: &Env, call: &Invocation) -> Result<Returns, Revert> {
    params::<0>(call)?;
    let miner = miner(state, &call.to)?;
    Ok(vec![po_st_state(miner, &state.policy, env.ctx.height).to_abi()])
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
