//! Sectors from pre-commit to commit, and what they hold (spec §5.3.3, §5.3.9; design §9).

use super::{begin_period, miner, miner_mut, worker_only, MinerError};
use crate::chain::abi::SectorNumber;
use crate::chain::actors::account::{add, burn, debit, Accounts};
use crate::chain::actors::{no_such_actor, param, params, Env, Halt, Invocation, Returns, Revert};
use crate::chain::amount::{BytesAmount, Epoch};
use crate::chain::policy::Policy;
use crate::chain::randomness::Purpose;
use crate::chain::state::{ChainState, Miner, PreCommit, Sector};
use crate::chain::verifier::{prover_id, SealClaim};
use crate::piece::{padded_for, Commitment, InclusionProof};
use alloc::string::ToString;
use alloc::vec::Vec;

/// Highest sector number, as in today's Filecoin: it fits a signed 64-bit integer.
pub const MAX_SECTOR_ID: u64 = i64::MAX as u64;
/// Most sectors of a miner: a proof-of-spacetime covers them all in one message.
pub const MAX_SECTORS: usize = 4096;
/// Most pre-commits of a miner that wait for their commit.
pub const MAX_PRE_COMMITS: usize = 256;

/// `preCommitSector(sectorID, commD, commR, ticketEpoch)`: fixes the replica before its seed is known.
///
/// The message's value, if any, becomes the miner's free money; out of that the deposit is locked. A sector whose
/// pre-commit lives cannot be pre-committed again: its seed could otherwise be drawn anew for nothing.
pub(super) fn pre_commit_sector(state: &mut ChainState, env: &Env, call: &Invocation) -> Result<Returns, Revert> {
    let [id, comm_d, comm_r, ticket] = params(call)?;
    let (SectorNumber(id), ticket): (SectorNumber, Epoch) = (param(id)?, param(ticket)?);
    let (comm_d, comm_r) = (commitment("commD", comm_d)?, commitment("commR", comm_r)?);
    let policy = state.policy.clone();
    worker_only(miner(state, &call.to)?, call)?;
    check_unused(miner(state, &call.to)?, id)?;
    let height = env.ctx.height;
    let oldest = Epoch(height.0.saturating_sub(policy.max_ticket_age));
    if ticket < oldest || ticket > height {
        return Err(MinerError::TicketOutOfRange { ticket, oldest, height }.into());
    }
    debit(state, &call.from, call.value)?;
    let ChainState { accounts, miners, .. } = state;
    let miner = miners.get_mut(&call.to).ok_or_else(no_such_actor)?;
    add(&mut miner.balance, call.value)?;
    // The end of their block would burn them; this block's commits must not see them, nor its pre-commits wait for it.
    expire_pre_commits(accounts, miner, &policy, height);
    if let Some(live) = miner.pre_commits.get(&id) {
        let expires = live.expires(&policy);
        return Err(MinerError::PreCommitted { id, expires }.into());
    }
    if miner.pre_commits.len() >= MAX_PRE_COMMITS {
        return Err(MinerError::TooMany {
            what: "pre-commits",
            limit: MAX_PRE_COMMITS,
        }
        .into());
    }
    let deposit = policy.pre_commit_deposit;
    if miner.free_balance() < deposit {
        return Err(MinerError::InsufficientCollateral.into());
    }
    miner.pre_commits.insert(
        id,
        PreCommit {
            comm_d,
            comm_r,
            ticket_epoch: ticket,
            height,
            deposit,
        },
    );
    Ok(Vec::new())
}

/// Burns the deposits of pre-commits whose commit can no longer come; returns how many there were.
pub(super) fn expire_pre_commits(accounts: &mut Accounts, miner: &mut Miner, policy: &Policy, height: Epoch) -> usize {
    let before = miner.pre_commits.len();
    let balance = &mut miner.balance;
    miner.pre_commits.retain(|_, pre| {
        let live = height <= pre.expires(policy);
        if !live {
            burn(accounts, balance, pre.deposit);
        }
        live
    });
    before.saturating_sub(miner.pre_commits.len())
}

fn commitment(name: &'static str, bytes: &[u8]) -> Result<Commitment, MinerError> {
    Commitment::try_from(bytes).map_err(|_| MinerError::CommitmentSize(name))
}

fn check_unused(miner: &Miner, id: u64) -> Result<(), MinerError> {
    if id > MAX_SECTOR_ID {
        return Err(MinerError::SectorIdOutOfRange);
    }
    if miner.sectors.contains_key(&id) {
        return Err(MinerError::SectorCommitted);
    }
    if miner.sectors.len() >= MAX_SECTORS {
        return Err(MinerError::TooMany {
            what: "sectors",
            limit: MAX_SECTORS,
        });
    }
    Ok(())
}

/// `commitSector(sectorID, commD, commR, commRStar, proof)`: records a sector whose seal proof holds. Everything cheap
/// is checked before the proof.
pub(super) fn commit_sector(state: &mut ChainState, env: &Env, call: &Invocation) -> Result<Returns, Halt> {
    let [id, comm_d, comm_r, comm_r_star, proof] = params(call)?;
    let SectorNumber(id) = param(id)?;
    let (comm_d, comm_r) = (commitment("commD", comm_d)?, commitment("commR", comm_r)?);
    let comm_r_star = commitment("commRStar", comm_r_star)?;
    let policy = state.policy.clone();
    let height = env.ctx.height;
    let miner = miner_mut(state, &call.to)?;
    worker_only(miner, call)?;
    check_unused(miner, id)?;
    let pre = due_pre_commit(miner, id, (comm_d, comm_r), &policy, height)?;
    let claim = SealClaim {
        sector_size: miner.sector_size,
        comm_r,
        comm_d,
        prover_id: prover_id(&call.to),
        sector: id,
        ticket: env.randomness(Purpose::SealTicket, pre.ticket_epoch, &call.to)?,
        seed: env.randomness(Purpose::SealSeed, pre.seed_epoch(&policy), &call.to)?,
        proof: proof.clone(),
    };
    if !env.ctx.verifier.verify_seal(&claim)? {
        return Err(MinerError::InvalidSealProof.into());
    }
    add(&mut miner.active_collateral, policy.sector_collateral)?;
    miner.last_used_sector_id = id;
    miner.pre_commits.remove(&id);
    let sector = Sector {
        comm_d,
        comm_r,
        comm_r_star,
        committed_at: height,
        last_proven_at: None,
        proofs: 0,
    };
    miner.sectors.insert(id, sector);
    // The first sector starts the proving period; sectors committed while one runs wait for the next.
    if miner.proving_set.is_empty() {
        begin_period(miner, &policy, height);
    }
    Ok(Vec::new())
}

/// The pre-commit that a commit of these commitments (CommD, CommR) completes at `height`, if the miner can pay for it.
fn due_pre_commit(
    miner: &Miner,
    id: u64,
    commitments: (Commitment, Commitment),
    policy: &Policy,
    height: Epoch,
) -> Result<PreCommit, MinerError> {
    let pre = miner.pre_commits.get(&id).ok_or(MinerError::NotPreCommitted(id))?;
    if (pre.comm_d, pre.comm_r) != commitments {
        return Err(MinerError::PreCommitDiffers(id));
    }
    let seed = pre.seed_epoch(policy);
    if height < seed {
        return Err(MinerError::SeedNotDrawn { height, seed });
    }
    let expired = pre.expires(policy);
    if height > expired {
        return Err(MinerError::PreCommitExpired { height, expired });
    }
    // The deposit is free again with the commit.
    let free = miner.free_balance().checked_add(pre.deposit).unwrap_or_default();
    if free < policy.sector_collateral {
        return Err(MinerError::InsufficientCollateral);
    }
    Ok(pre.clone())
}

/// `verifyPieceInclusion(commP, pieceSize, sectorID, proof)`: that a piece lies in a committed sector that is not faulty.
pub(super) fn verify_piece_inclusion(state: &ChainState, env: &Env, call: &Invocation) -> Result<Returns, Revert> {
    let [comm_p, size, id, proof] = params(call)?;
    let comm_p: Commitment = param(comm_p)?;
    let (size, SectorNumber(id)): (BytesAmount, SectorNumber) = (param(size)?, param(id)?);
    let miner = miner(state, &call.to)?;
    let sector = miner.sectors.get(&id).ok_or(MinerError::SectorNotCommitted)?;
    if miner.proving_period_end.is_none() {
        return Err(MinerError::NotActive.into());
    }
    if miner.is_tardy(&state.policy, env.ctx.height) {
        return Err(MinerError::Tardy.into());
    }
    // Payments depend on this call: for a sector that is not proven there are none.
    if miner.faults.contains_key(&id) {
        return Err(MinerError::SectorFaulty.into());
    }
    let malformed = |e: &dyn core::fmt::Display| Revert::from(MinerError::InclusionMalformed(e.to_string()));
    let proof = InclusionProof::from_bytes(proof).map_err(|e| malformed(&e))?;
    let padded = padded_for(size.0).map_err(|e| malformed(&e))?;
    proof
        .verify(comm_p, padded, sector.comm_d, miner.sector_size)
        .map_err(|_| MinerError::InvalidInclusion)?;
    Ok(Vec::new())
}
