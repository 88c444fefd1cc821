//! The storage market, t02: registers miners and adds up their power (spec §5.4).
//!
//! A miner's host calls `createStorageMiner` once; next in a deal's life is the ask, in [`super::miner`].

use super::account::{add, credit, debit};
use super::miner::{po_st_state, PostState};
use super::{code, param, params, Env, Export, Halt, Invocation, Returns, Revert};
use crate::chain::abi::{Abi, MinerPoStStates, ProofsMode};
use crate::chain::address::Address;
use crate::chain::amount::{AttoFil, BytesAmount, Epoch};
use crate::chain::exit::market as exit;
use crate::chain::state::{ChainState, Miner};
use crate::piece::SectorSize;
use crate::wire::leb128;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::{vec, vec::Vec};

/// Longest peer id: a multihash of 32 bytes with room to spare.
pub const MAX_PEER_ID: usize = 64;
/// Most miners of a network; every block's late-miner query walks them all. Of more, one that never stored makes room.
pub const MAX_MINERS: usize = 1024;

/// Why the market refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MarketError {
    #[error("unknown miner")]
    UnknownMiner,
    #[error("sector size is not supported")]
    UnsupportedSectorSize,
    #[error("the network has as many miners as it can hold ({MAX_MINERS}), and each has stored or was registered less than {0} blocks ago: try again later")]
    TooManyMiners(u64),
    #[error("too little collateral for a miner: send at least {0} FIL with its registration")]
    Collateral(AttoFil),
    #[error("a miner needs an owner: name the sender")]
    NoSender,
    #[error("a peer id has 1 to {MAX_PEER_ID} bytes, not {0}")]
    PeerId(usize),
}

impl MarketError {
    /// The exit code (spec §5.4; from 45 on our own).
    pub fn code(self) -> u64 {
        match self {
            Self::UnknownMiner => exit::UNKNOWN_MINER,
            Self::UnsupportedSectorSize => exit::UNSUPPORTED_SECTOR_SIZE,
            Self::TooManyMiners(_) => exit::TOO_MANY_MINERS,
            Self::Collateral(_) => exit::COLLATERAL_TOO_LOW,
            Self::NoSender | Self::PeerId(_) => code::GENERIC,
        }
    }
}

impl From<MarketError> for Revert {
    fn from(error: MarketError) -> Self {
        Self::new(error.code(), error)
    }
}

pub(super) fn export(method: &str) -> Option<Export> {
    match method {
        "createStorageMiner" => Some(Export::PAYABLE),
        "updateStorage" | "getTotalStorage" | "getProofsMode" | "getLateMiners" => Some(Export::METHOD),
        _ => None,
    }
}

pub(super) fn call(state: &mut ChainState, env: &mut Env, call: &Invocation) -> Result<Returns, Halt> {
    match call.method.as_str() {
        "createStorageMiner" => create_storage_miner(state, env.ctx.height, call),
        "updateStorage" => {
            let [delta] = params(call)?;
            let delta = leb128::parse_signed(delta)
                .map_err(|e| Revert::new(code::GENERIC, alloc::format!("invalid params: {e}")))?;
            update_storage(state, &call.from, delta).map(|()| Vec::new())
        }
        "getTotalStorage" => {
            params::<0>(call)?;
            Ok(vec![BytesAmount(state.market.total_storage).to_abi()])
        }
        "getProofsMode" => {
            params::<0>(call)?;
            Ok(vec![ProofsMode::Live.to_abi()])
        }
        _ => {
            params::<0>(call)?;
            Ok(vec![late_miners(state, env)])
        }
    }
    .map_err(Halt::from)
}

/// `createStorageMiner(sectorSize, peerID) -> Address`; the value becomes the miner's collateral.
fn create_storage_miner(state: &mut ChainState, height: Epoch, call: &Invocation) -> Result<Returns, Revert> {
    let [size, peer_id] = params(call)?;
    if call.from == Address::id(Address::INIT) {
        return Err(MarketError::NoSender.into());
    }
    let size: BytesAmount = param(size)?;
    let sector_size = SectorSize::from_bytes(size.0)
        .ok()
        .filter(|size| state.policy.sector_sizes.contains(size));
    let sector_size = sector_size.ok_or(MarketError::UnsupportedSectorSize)?;
    check_peer_id(peer_id)?;
    let least = state.policy.miner_collateral;
    if call.value < least {
        return Err(MarketError::Collateral(least).into());
    }
    if state.miners.len() >= MAX_MINERS {
        make_room(state, height)?;
    }
    let address = Address::actor(&call.from, call.nonce);
    debit(state, &call.from, call.value)?;
    let mut miner = new_miner(&call.from, peer_id, sector_size, height);
    add(&mut miner.balance, call.value)?;
    state.miners.insert(address.clone(), miner);
    Ok(vec![address.to_abi()])
}

/// Takes the miner that was registered longest ago off the registry, of those that may make room, and gives its owner
/// what it holds. Of several registered at one height it is that with the lowest address, so that every node takes the same.
fn make_room(state: &mut ChainState, height: Epoch) -> Result<(), Revert> {
    let idle = state.miners.iter();
    let idle = idle.filter(|(_, miner)| miner.makes_room(&state.policy, height));
    let oldest = idle.min_by_key(|(_, miner)| miner.registered_at);
    let oldest = oldest.map(|(address, _)| address.clone());
    let removed = oldest.and_then(|address| state.miners.remove(&address));
    let Some(Miner { owner, balance, .. }) = removed else {
        return Err(MarketError::TooManyMiners(state.policy.newcomer_span()).into());
    };
    credit(state, &owner, balance)
}

fn new_miner(owner: &Address, peer_id: &[u8], sector_size: SectorSize, registered_at: Epoch) -> Miner {
    Miner {
        owner: owner.clone(),
        worker: owner.clone(),
        peer_id: peer_id.to_vec(),
        sector_size,
        registered_at,
        balance: AttoFil::ZERO,
        active_collateral: AttoFil::ZERO,
        power: 0,
        asks: Vec::new(),
        next_ask_id: 0,
        sectors: BTreeMap::new(),
        pre_commits: BTreeMap::new(),
        proving_set: BTreeSet::new(),
        faults: BTreeMap::new(),
        next_faults: BTreeMap::new(),
        next_done: BTreeSet::new(),
        proving_period_end: None,
        released: BTreeMap::new(),
        last_used_sector_id: 0,
        slashed_at: None,
        last_post: None,
        posts: 0,
    }
}

pub(super) fn check_peer_id(peer_id: &[u8]) -> Result<(), MarketError> {
    match peer_id.len() {
        1..=MAX_PEER_ID => Ok(()),
        other => Err(MarketError::PeerId(other)),
    }
}

/// Adds a miner's change of power to the total; only miners may say so.
pub(super) fn update_storage(state: &mut ChainState, miner: &Address, delta: i128) -> Result<(), Revert> {
    if !state.miners.contains_key(miner) {
        return Err(MarketError::UnknownMiner.into());
    }
    let total = i128::from(state.market.total_storage).checked_add(delta);
    let total = total.and_then(|total| u64::try_from(total).ok());
    state.market.total_storage =
        total.ok_or_else(|| Revert::new(code::GENERIC, "the total storage is out of range"))?;
    Ok(())
}

/// Miners with sectors whose running period can no longer be proven.
fn late_miners(state: &ChainState, env: &Env) -> Vec<u8> {
    let late = |miner: &&Miner| po_st_state(miner, &state.policy, env.ctx.height) == PostState::Unrecoverable;
    let entries = state.miners.iter().filter(|(_, miner)| late(miner));
    MinerPoStStates(
        entries
            .map(|(address, _)| (address.clone(), PostState::Unrecoverable as u64))
            .collect(),
    )
    .to_abi()
}
