//! The storage miner's actor (spec §5.3): who it is, its asks, its sectors and their proofs.
//!
//! Called by the miner's host: [`asks`] once, [`sealing`] for every sector (step 11 of a deal), [`proving`] in every
//! window (step 13), [`faults`] when a sector cannot be proven or a window was missed. The broker calls
//! `verifyPieceInclusion` when a conditional voucher is redeemed (step 14).
//!
//! # A sector's life
//! - **Pre-committed.** A deposit is locked until the commit. Without one in time it is burnt ([`sealing`]). While a
//!   pre-commit lives, no other of the same sector is taken: the seed is drawn once.
//! - **Committed.** Collateral is locked for as long as the sector is committed. Power follows with the first proof.
//! - **Faulty** (`addFaults`). No power, and `verifyPieceInclusion` fails, so that no payment depends on it. Declared
//!   before a window opens, when nobody knows the challenge yet, it also leaves the running period's proof; later, it
//!   counts from the next period. `recoverFaults` puts it back into the proving set; the next proof that covers it ends
//!   the fault. After [`crate::chain::policy::MAX_FAULT_AGE`] the sector is lost.
//! - **Given up** (`submitPoSt`'s faults, as in 2019): dropped at once, its collateral burnt.
//! - **Done** (`submitPoSt`'s done): proven a last time and dropped, its collateral free again. Its power stays for the
//!   period that the proof began.
//! - **Missed.** A miner that lets end + grace pass cannot prove that period any more. Anybody may slash it: power and
//!   sectors of the proving set are gone, their collateral burnt. Until that happens the worker may call
//!   `restartProving`: it burns as much as the slash would, from free money or the message's value, all these sectors
//!   become faulty and recovering, and a new period begins, whose proof brings the power back. A slashed miner goes on
//!   with its other sectors by the same call, or with its next commit. (The miner of 2019 could never prove again.)
//!
//! Everything burnt goes to t099.

mod asks;
mod faults;
mod identity;
mod proving;
mod sealing;

pub use asks::MAX_ASKS;
pub use proving::{late_fee, po_st_state, PostState};
pub use sealing::{MAX_PRE_COMMITS, MAX_SECTORS, MAX_SECTOR_ID};

use super::account::{burn, Accounts};
use super::{market, Env, Export, Halt, Invocation, Returns, Revert};
use crate::chain::address::Address;
use crate::chain::amount::{AttoFil, Epoch};
use crate::chain::apply::BlockEnd;
use crate::chain::exit::miner as exit;
use crate::chain::policy::Policy;
use crate::chain::state::{ChainState, Miner};
use alloc::string::String;

/// Why a miner refuses (spec §5.3; from 47 on our own).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MinerError {
    #[error("sectorID out of range")]
    SectorIdOutOfRange,
    #[error("sector already committed at this ID")]
    SectorCommitted,
    #[error("not authorized to call the method")]
    CallerUnauthorized,
    #[error("PoSt proof did not validate")]
    InvalidPoSt,
    #[error("PoSt arrived at {height}, which is before proving window ({start}-{end})")]
    PoStBeforeWindow { height: Epoch, start: Epoch, end: Epoch },
    #[error("no ask was found")]
    AskNotFound,
    #[error("seal proof was invalid")]
    InvalidSealProof,
    #[error("insufficient collateral")]
    InsufficientCollateral,
    #[error("miner already slashed")]
    AlreadySlashed,
    #[error("miner is inactive")]
    Inactive,
    #[error("miner not yet tardy")]
    NotYetTardy,
    #[error("piece inclusion proof did not validate")]
    InvalidInclusion,
    #[error("sector {0} was not pre-committed: send preCommitSector first")]
    NotPreCommitted(u64),
    #[error("the pre-commit of sector {0} names another commD or commR")]
    PreCommitDiffers(u64),
    #[error("the seed is drawn at {seed}, and this is {height}: commit later")]
    SeedNotDrawn { height: Epoch, seed: Epoch },
    #[error("the pre-commit expired at {expired}, and this is {height}: pre-commit again")]
    PreCommitExpired { height: Epoch, expired: Epoch },
    #[error("the ticket of {ticket} is not from the blocks {oldest} to {height}")]
    TicketOutOfRange {
        ticket: Epoch,
        oldest: Epoch,
        height: Epoch,
    },
    #[error("too many {what}: a miner may have {limit}")]
    TooMany { what: &'static str, limit: usize },
    #[error("invalid sized {0}")]
    CommitmentSize(&'static str),
    #[error("expiry was invalid")]
    AskExpiry,
    #[error("PoSt submitted later than grace period of {grace} rounds after proving period end")]
    PoStTooLate { grace: u64 },
    #[error("PoSt message requires value of at least {fee} attofil to cover fees, got {value}")]
    FeeNotCovered { fee: u128, value: u128 },
    #[error("sector {id} is pre-committed until {expires}: commit it, or wait until its deposit is burnt")]
    PreCommitted { id: u64, expires: Epoch },
    #[error("the running period can be proven until {deadline}: send submitPoSt")]
    NotMissed { deadline: Epoch },
    #[error("call to StorageMarket failed: {0}")]
    Market(String),
    #[error("sector is faulty")]
    SectorFaulty,
    #[error("sector not committed")]
    SectorNotCommitted,
    #[error("miner not active")]
    NotActive,
    #[error("miner is tardy")]
    Tardy,
    #[error("failed to verify piece inclusion proof: {0}")]
    InclusionMalformed(String),
}

impl MinerError {
    /// The exit code.
    pub fn code(&self) -> u64 {
        match self {
            Self::SectorIdOutOfRange => exit::SECTOR_ID_OUT_OF_RANGE,
            Self::SectorCommitted => exit::SECTOR_COMMITTED,
            Self::Market(_) => exit::MARKET,
            Self::CallerUnauthorized => exit::CALLER_UNAUTHORIZED,
            Self::InvalidPoSt | Self::PoStBeforeWindow { .. } => exit::INVALID_POST,
            Self::AskNotFound => exit::ASK_NOT_FOUND,
            Self::InvalidSealProof => exit::INVALID_SEAL_PROOF,
            Self::InsufficientCollateral => exit::INSUFFICIENT_COLLATERAL,
            Self::AlreadySlashed => exit::ALREADY_SLASHED,
            Self::Inactive | Self::NotYetTardy => exit::NOT_TARDY,
            Self::InvalidInclusion => exit::INVALID_INCLUSION,
            Self::NotPreCommitted(_) => exit::NOT_PRE_COMMITTED,
            Self::PreCommitDiffers(_) => exit::PRE_COMMIT_DIFFERS,
            Self::SeedNotDrawn { .. } => exit::SEED_NOT_DRAWN,
            Self::PreCommitExpired { .. } => exit::PRE_COMMIT_EXPIRED,
            Self::TicketOutOfRange { .. } => exit::TICKET_OUT_OF_RANGE,
            Self::TooMany { .. } => exit::TOO_MANY,
            Self::PreCommitted { .. } => exit::PRE_COMMITTED,
            Self::NotMissed { .. } => exit::NOT_MISSED,
            Self::CommitmentSize(_)
            | Self::AskExpiry
            | Self::PoStTooLate { .. }
            | Self::FeeNotCovered { .. }
            | Self::SectorFaulty
            | Self::SectorNotCommitted
            | Self::NotActive
            | Self::Tardy
            | Self::InclusionMalformed(_) => super::code::GENERIC,
        }
    }
}

impl From<MinerError> for Revert {
    fn from(error: MinerError) -> Self {
        Self::new(error.code(), error)
    }
}

impl From<MinerError> for Halt {
    fn from(error: MinerError) -> Self {
        Self::Revert(error.into())
    }
}

pub(super) fn export(method: &str) -> Option<Export> {
    match method {
        "preCommitSector" | "submitPoSt" | "restartProving" => Some(Export::PAYABLE),
        "isBootstrapMiner" | "getPoStState" | "getProvingWindow" | "calculateLateFee" => Some(Export::FREE),
        "addAsk"
        | "getAsks"
        | "getAsk"
        | "getOwner"
        | "getWorker"
        | "getPeerID"
        | "updatePeerID"
        | "changeWorker"
        | "getSectorSize"
        | "getPower"
        | "getActiveCollateral"
        | "getLastUsedSectorID"
        | "commitSector"
        | "addFaults"
        | "recoverFaults"
        | "verifyPieceInclusion"
        | "getProvingSetCommitments"
        | "slashStorageFault" => Some(Export::METHOD),
        _ => None,
    }
}

pub(super) fn call(state: &mut ChainState, env: &mut Env, call: &Invocation) -> Result<Returns, Halt> {
    match call.method.as_str() {
        "addAsk" => asks::add_ask(state, env, call).map_err(Halt::from),
        "getAsks" => asks::asks(state, call).map_err(Halt::from),
        "getAsk" => asks::ask(state, call).map_err(Halt::from),
        "preCommitSector" => sealing::pre_commit_sector(state, env, call).map_err(Halt::from),
        "commitSector" => sealing::commit_sector(state, env, call),
        "verifyPieceInclusion" => sealing::verify_piece_inclusion(state, env, call).map_err(Halt::from),
        "submitPoSt" => proving::submit_post(state, env, call),
        "addFaults" => faults::add_faults(state, env, call),
        "recoverFaults" => faults::recover_faults(state, env, call).map_err(Halt::from),
        "restartProving" => faults::restart_proving(state, env, call),
        "slashStorageFault" => faults::slash_storage_fault(state, env, call),
        "getProvingWindow" => proving::proving_window(state, call).map_err(Halt::from),
        "getProvingSetCommitments" => proving::proving_set_commitments(state, call).map_err(Halt::from),
        "getPoStState" => proving::post_state(state, env, call).map_err(Halt::from),
        "calculateLateFee" => proving::calculate_late_fee(state, call).map_err(Halt::from),
        "updatePeerID" => identity::update_peer_id(state, call).map_err(Halt::from),
        "changeWorker" => identity::change_worker(state, call).map_err(Halt::from),
        _ => identity::read(state, call).map_err(Halt::from),
    }
}

fn miner<'s>(state: &'s ChainState, address: &Address) -> Result<&'s Miner, Revert> {
    state.miners.get(address).ok_or_else(super::no_such_actor)
}

fn miner_mut<'s>(state: &'s mut ChainState, address: &Address) -> Result<&'s mut Miner, Revert> {
    state.miners.get_mut(address).ok_or_else(super::no_such_actor)
}

/// Refuses everybody but the worker.
fn worker_only(miner: &Miner, call: &Invocation) -> Result<(), MinerError> {
    (call.from == miner.worker)
        .then_some(())
        .ok_or(MinerError::CallerUnauthorized)
}

/// Drops a sector from the commitments and hands its collateral over: free again, or burnt when it is lost.
fn drop_sector(accounts: &mut Accounts, miner: &mut Miner, id: u64, collateral: AttoFil, lost: bool) {
    if miner.sectors.remove(&id).is_none() {
        return;
    }
    miner.faults.remove(&id);
    miner.next_faults.remove(&id);
    miner.proving_set.remove(&id);
    miner.active_collateral = miner.active_collateral.checked_sub(collateral).unwrap_or_default();
    if lost {
        burn(accounts, &mut miner.balance, collateral);
    }
}

/// Begins a proving period at `height` for all sectors that can be proven; the miner is no longer slashed.
fn begin_period(miner: &mut Miner, policy: &Policy, height: Epoch) {
    miner.proving_set = miner.provable();
    miner.proving_period_end = Some(height.plus(policy.proving_period));
    miner.slashed_at = None;
}

/// Counts a miner's power anew and tells the market of a change; that call costs gas like any other.
fn settle_power(state: &mut ChainState, env: &mut Env, address: &Address) -> Result<(), Halt> {
    let miner = miner_mut(state, address)?;
    let (before, after) = (miner.power, miner.proven_bytes());
    if before == after {
        return Ok(());
    }
    miner.power = after;
    env.charge(state.policy.gas_per_method)?;
    market::update_storage(state, address, i128::from(after).saturating_sub(before.into()))
        .map_err(|inner| MinerError::Market(inner.text).into())
}

/// What the end of a block at `height` does to a miner: pre-commits expire, sectors that were faulty for too long are
/// lost, and the power of done sectors lapses when no further proof will come.
pub(in crate::chain) fn end_block(state: &mut ChainState, address: &Address, height: Epoch) -> BlockEnd {
    let ChainState {
        policy,
        accounts,
        miners,
        market,
        ..
    } = state;
    let mut ended = BlockEnd::default();
    let Some(miner) = miners.get_mut(address) else {
        return ended;
    };
    let before = (miner.power, miner.balance);
    ended.pre_commits = sealing::expire_pre_commits(accounts, miner, policy, height);
    ended.sectors = faults::lose_old_faults(accounts, miner, policy, height);
    if miner.proving_set.is_empty() && miner.proving_period_end.is_some_and(|end| height >= end) {
        miner.next_done.clear();
    }
    miner.power = miner.proven_bytes();
    // Power only falls here, and the market counts at least this miner's.
    ended.power = before.0.saturating_sub(miner.power);
    market.total_storage = market.total_storage.saturating_sub(ended.power);
    ended.burnt = before.1.checked_sub(miner.balance).unwrap_or_default();
    ended
}
