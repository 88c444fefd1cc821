//! Sectors from pre-commit to commit, and what they hold (spec §5.3.3, §5.3.9; design §6).

use super::{free_balance, miner, miner_mut, worker_only, MinerError};
use crate::chain::abi::SectorNumber;
use crate::chain::actors::account::add;
use crate::chain::actors::{param, params, Env, Halt, Invocation, Returns, Revert};
use crate::chain::amount::{BytesAmount, Epoch};
use crate::chain::randomness::Purpose;
use crate::chain::state::{ChainState, Miner, PreCommit, Sector};
use crate::piece::{padded_for, Commitment, InclusionProof};
use crate::ports::verifier::{prover_id, SealClaim};
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
/// A pre-commit may be replaced until its sector is committed, so that a miner whose sealing failed or whose ticket
/// grew too old can begin again under the same number; the seed is then drawn anew.
pub(super) fn pre_commit_sector(state: &mut ChainState, env: &Env, call: &Invocation) -> Result<Returns, Revert> {
    let [id, comm_d, comm_r, ticket] = params(call)?;
    let (SectorNumber(id), ticket): (SectorNumber, Epoch) = (param(id)?, param(ticket)?);
    let (comm_d, comm_r) = (commitment("commD", comm_d)?, commitment("commR", comm_r)?);
    let policy = state.policy.clone();
    let miner = miner_mut(state, &call.to)?;
    worker_only(miner, call)?;
    check_unused(miner, id)?;
    let height = env.ctx.height;
    let oldest = Epoch(height.0.saturating_sub(policy.max_ticket_age));
    if ticket < oldest || ticket > height {
        return Err(MinerError::TicketOutOfRange { ticket, oldest, height }.into());
    }
    miner.pre_commits.retain(|_, old| height <= old.expires(&policy));
    if !miner.pre_commits.contains_key(&id) && miner.pre_commits.len() >= MAX_PRE_COMMITS {
        return Err(MinerError::TooMany {
            what: "pre-commits",
            limit: MAX_PRE_COMMITS,
        }
        .into());
    }
    miner.pre_commits.insert(
        id,
        PreCommit {
            comm_d,
            comm_r,
            ticket_epoch: ticket,
            height,
        },
    );
    Ok(Vec::new())
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
    let pre = miner
        .pre_commits
        .get(&id)
        .ok_or(MinerError::NotPreCommitted(id))?
        .clone();
    if (pre.comm_d, pre.comm_r) != (comm_d, comm_r) {
        return Err(MinerError::PreCommitDiffers(id).into());
    }
    let seed_epoch = pre.seed_epoch(&policy);
    if height < seed_epoch {
        return Err(MinerError::SeedNotDrawn {
            height,
            seed: seed_epoch,
        }
        .into());
    }
    let expired = pre.expires(&policy);
    if height > expired {
        return Err(MinerError::PreCommitExpired { height, expired }.into());
    }
    if free_balance(miner) < policy.sector_collateral {
        return Err(MinerError::InsufficientCollateral.into());
    }
    let claim = SealClaim {
        sector_size: miner.sector_size,
        comm_r,
        comm_d,
        prover_id: prover_id(&call.to),
        sector: id,
        ticket: env.randomness(Purpose::SealTicket, pre.ticket_epoch, &call.to)?,
        seed: env.randomness(Purpose::SealSeed, seed_epoch, &call.to)?,
        proof: proof.clone(),
    };
    if !env.ctx.verifier.verify_seal(&claim)? {
        return Err(MinerError::InvalidSealProof.into());
    }
    add(&mut miner.active_collateral, policy.sector_collateral)?;
    // The first sector starts the proving period; sectors committed while one runs wait for the next.
    if miner.proving_set.is_empty() || height == Epoch(0) {
        miner.proving_set.insert(id);
        miner.proving_period_end = Some(height.plus(policy.proving_period));
    }
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
    Ok(Vec::new())
}

/// `verifyPieceInclusion(commP, pieceSize, sectorID, proof)`: that a piece lies in a sector that is being proven.
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
    let malformed = |e: &dyn core::fmt::Display| Revert::from(MinerError::InclusionMalformed(e.to_string()));
    let proof = InclusionProof::from_bytes(proof).map_err(|e| malformed(&e))?;
    let padded = padded_for(size.0).map_err(|e| malformed(&e))?;
    proof
        .verify(comm_p, padded, sector.comm_d, miner.sector_size)
        .map_err(|_| MinerError::InvalidInclusion)?;
    Ok(Vec::new())
}
