//! The storage miner's actor (spec §5.3): who it is, its asks, its sectors and their proofs.
//!
//! Called by the miner's host: [`asks`] once, [`sealing`] for every sector (step 11 of a deal), [`proving`] in every
//! window (step 13). The broker calls `verifyPieceInclusion` when a conditional voucher is redeemed (step 14).

mod asks;
mod identity;
mod proving;
mod sealing;

pub use asks::MAX_ASKS;
pub use proving::{late_fee, PostState};
pub use sealing::{MAX_PRE_COMMITS, MAX_SECTORS, MAX_SECTOR_ID};

pub(super) use proving::po_st_state;

use super::{Env, Export, Halt, Invocation, Returns, Revert};
use crate::chain::address::Address;
use crate::chain::amount::{AttoFil, Epoch};
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
    #[error("{0} must be empty: this chain takes no fault or done sets yet")]
    SetNotEmpty(&'static str),
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
            Self::SectorIdOutOfRange => 34,
            Self::SectorCommitted => 35,
            Self::CallerUnauthorized => 37,
            Self::InvalidPoSt | Self::PoStBeforeWindow { .. } => 39,
            Self::AskNotFound => 40,
            Self::InvalidSealProof => 41,
            Self::InsufficientCollateral => 43,
            Self::AlreadySlashed => 44,
            Self::Inactive | Self::NotYetTardy => 45,
            Self::InvalidInclusion => 46,
            Self::NotPreCommitted(_) => 47,
            Self::PreCommitDiffers(_) => 48,
            Self::SeedNotDrawn { .. } => 49,
            Self::PreCommitExpired { .. } => 50,
            Self::TicketOutOfRange { .. } => 51,
            Self::TooMany { .. } => 52,
            Self::CommitmentSize(_)
            | Self::AskExpiry
            | Self::PoStTooLate { .. }
            | Self::FeeNotCovered { .. }
            | Self::SetNotEmpty(_)
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
        "submitPoSt" => Some(Export::PAYABLE),
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
        | "preCommitSector"
        | "commitSector"
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
        "slashStorageFault" => proving::slash_storage_fault(state, env, call),
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

/// The money that no sector locks up.
fn free_balance(miner: &Miner) -> AttoFil {
    miner.balance.checked_sub(miner.active_collateral).unwrap_or_default()
}
