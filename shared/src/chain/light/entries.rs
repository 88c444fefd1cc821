//! What the tree of a state has under which key: one entry for each thing that a client shows.
//!
//! An entry holds what is in the state, and nothing that follows from the height: a block that changes nothing has the root of
//! the one before. The network's numbers are not in it, since the genesis record fixes them ([`super::Anchor`]).

use crate::chain::state::{Account, Ask, Fault, Market, Miner, PaymentChannel, PreCommit};
use crate::chain::{Address, AttoFil, ChainState, ChannelId, Epoch};
use crate::piece::Commitment;
use crate::wire::cbor::{cbor_map, Bytes, DecodeError};
use crate::wire::{decode, encode};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Longest key in bytes: its kind, the length of an address, the longest address, and a number.
pub const MAX_KEY: usize = 1 + 1 + 49 + 8;

/// Names an entry of the state.
///
/// In bytes, by which keys are ordered: a letter for the kind, then an address with its length (one byte) in front, then a
/// number of 8 bytes, big-endian; each where the kind has one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum StateKey {
    /// `a`: money and nonce of an account, or of one of the network's own actors that holds money (t01, t03, t099).
    Account(Address),
    /// `c`: a payment channel.
    Channel { payer: Address, id: ChannelId },
    /// `m`: a miner, without its sectors.
    Miner(Address),
    /// `p`: a sector that is announced and not yet committed.
    PreCommit { miner: Address, sector: u64 },
    /// `s`: a committed sector.
    Sector { miner: Address, sector: u64 },
    /// `t`: the totals of the storage market.
    Market,
}

impl StateKey {
    fn parts(&self) -> (u8, Option<&Address>, Option<u64>) {
        match self {
            Self::Account(address) => (b'a', Some(address), None),
            Self::Channel { payer, id } => (b'c', Some(payer), Some(id.0)),
            Self::Miner(address) => (b'm', Some(address), None),
            Self::PreCommit { miner, sector } => (b'p', Some(miner), Some(*sector)),
            Self::Sector { miner, sector } => (b's', Some(miner), Some(*sector)),
            Self::Market => (b't', None, None),
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let (kind, address, number) = self.parts();
        let mut bytes = Vec::with_capacity(MAX_KEY);
        bytes.push(kind);
        if let Some(address) = address.map(Address::to_bytes) {
            // No address has more than 49 bytes.
            bytes.push(u8::try_from(address.len()).unwrap_or(u8::MAX));
            bytes.extend_from_slice(&address);
        }
        bytes.extend(number.into_iter().flat_map(u64::to_be_bytes));
        bytes
    }

    /// The inverse of [`Self::to_bytes`]; `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        if *kind == b't' {
            return rest.is_empty().then_some(Self::Market);
        }
        let (length, rest) = rest.split_first()?;
        let (address, rest) = rest.split_at_checked(usize::from(*length))?;
        let address = Address::from_bytes(address).ok()?;
        if let b'a' | b'm' = kind {
            let named = if *kind == b'a' { Self::Account } else { Self::Miner };
            return rest.is_empty().then(|| named(address));
        }
        let number = u64::from_be_bytes(rest.try_into().ok()?);
        match kind {
            b'c' => Some(Self::Channel {
                payer: address,
                id: ChannelId(number),
            }),
            b'p' => Some(Self::PreCommit {
                miner: address,
                sector: number,
            }),
            b's' => Some(Self::Sector {
                miner: address,
                sector: number,
            }),
            _ => None,
        }
    }
}

cbor_map!(Account { "balance" => balance, "nonce" => nonce });
cbor_map!(Fault { "since" => since, "recovering" => recovering });
cbor_map!(Market { "totalStorage" => total_storage });
cbor_map!(PreCommit {
    "commD" => comm_d, "commR" => comm_r, "ticketEpoch" => ticket_epoch, "height" => height, "deposit" => deposit,
});

/// A miner, without its sectors; see [`Miner`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinerEntry {
    pub owner: Address,
    pub worker: Address,
    pub peer_id: Bytes,
    /// Bytes.
    pub sector_size: u64,
    pub registered_at: Epoch,
    pub balance: AttoFil,
    pub active_collateral: AttoFil,
    /// What pre-commits lock up.
    pub deposits: AttoFil,
    /// Bytes.
    pub power: u64,
    pub asks: Vec<Ask>,
    pub next_ask_id: u64,
    pub proving_period_end: Option<Epoch>,
    pub last_used_sector_id: u64,
    pub slashed_at: Option<Epoch>,
    pub last_post: Option<Epoch>,
    pub posts: u64,
    /// Sectors that the running period's proof must cover.
    pub proving_set_size: u64,
}
cbor_map!(MinerEntry {
    "owner" => owner, "worker" => worker, "peerId" => peer_id, "sectorSize" => sector_size,
    "registeredAt" => registered_at, "balance" => balance, "activeCollateral" => active_collateral,
    "deposits" => deposits, "power" => power, "asks" => asks, "nextAskId" => next_ask_id,
    "provingPeriodEnd" => proving_period_end, "lastUsedSectorId" => last_used_sector_id, "slashedAt" => slashed_at,
    "lastPost" => last_post, "posts" => posts, "provingSetSize" => proving_set_size,
});

/// A committed sector, and how it stands with its proofs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectorEntry {
    pub comm_d: Commitment,
    pub comm_r: Commitment,
    pub comm_r_star: Commitment,
    pub committed_at: Epoch,
    pub last_proven_at: Option<Epoch>,
    /// Accepted proofs-of-spacetime that covered it.
    pub proofs: u64,
    /// Whether the next proof must cover it.
    pub in_proving_set: bool,
    pub fault: Option<Fault>,
    /// When a fault was declared that counts from the next period.
    pub next_fault: Option<Epoch>,
}
cbor_map!(SectorEntry {
    "commD" => comm_d, "commR" => comm_r, "commRStar" => comm_r_star, "committedAt" => committed_at,
    "lastProvenAt" => last_proven_at, "proofs" => proofs, "inProvingSet" => in_proving_set, "fault" => fault,
    "nextFault" => next_fault,
});

impl MinerEntry {
    pub(super) fn of(miner: &Miner) -> Self {
        Self {
            owner: miner.owner.clone(),
            worker: miner.worker.clone(),
            peer_id: Bytes(miner.peer_id.clone()),
            sector_size: miner.sector_size.bytes(),
            registered_at: miner.registered_at,
            balance: miner.balance,
            active_collateral: miner.active_collateral,
            deposits: miner.deposits(),
            power: miner.power,
            asks: miner.asks.clone(),
            next_ask_id: miner.next_ask_id,
            proving_period_end: miner.proving_period_end,
            last_used_sector_id: miner.last_used_sector_id,
            slashed_at: miner.slashed_at,
            last_post: miner.last_post,
            posts: miner.posts,
            proving_set_size: miner.proving_set.len() as u64,
        }
    }
}

impl SectorEntry {
    pub(super) fn of(miner: &Miner, id: u64) -> Option<Self> {
        let sector = miner.sectors.get(&id)?;
        Some(Self {
            comm_d: sector.comm_d,
            comm_r: sector.comm_r,
            comm_r_star: sector.comm_r_star,
            committed_at: sector.committed_at,
            last_proven_at: sector.last_proven_at,
            proofs: sector.proofs,
            in_proving_set: miner.proving_set.contains(&id),
            fault: miner.faults.get(&id).copied(),
            next_fault: miner.next_faults.get(&id).copied(),
        })
    }
}

/// What stands under a key.
#[derive(Debug, Clone, PartialEq)]
pub enum StateEntry {
    Account(Account),
    Channel(Box<PaymentChannel>),
    Miner(Box<MinerEntry>),
    PreCommit(PreCommit),
    Sector(SectorEntry),
    Market(Market),
}

impl StateEntry {
    /// What a state has under a key.
    pub fn of(state: &ChainState, key: &StateKey) -> Option<Self> {
        match key {
            StateKey::Account(address) if *address == Address::id(Address::PAYMENT_BROKER) => {
                let (balance, nonce) = (state.broker.balance, 0);
                Some(Self::Account(Account { balance, nonce }))
            }
            StateKey::Account(address) => state.accounts.get(address).cloned().map(Self::Account),
            StateKey::Channel { payer, id } => {
                let channel = state.channel(payer, *id)?;
                Some(Self::Channel(channel.clone().into()))
            }
            StateKey::Miner(address) => Some(Self::Miner(MinerEntry::of(state.miners.get(address)?).into())),
            StateKey::PreCommit { miner, sector } => {
                let pre_commit = state.miners.get(miner)?.pre_commits.get(sector)?;
                Some(Self::PreCommit(pre_commit.clone()))
            }
            StateKey::Sector { miner, sector } => SectorEntry::of(state.miners.get(miner)?, *sector).map(Self::Sector),
            StateKey::Market => Some(Self::Market(state.market.clone())),
        }
    }

    /// Its bytes in the tree, canonical CBOR.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Account(account) => encode(account),
            Self::Channel(channel) => encode(&**channel),
            Self::Miner(miner) => encode(&**miner),
            Self::PreCommit(pre_commit) => encode(pre_commit),
            Self::Sector(sector) => encode(sector),
            Self::Market(market) => encode(market),
        }
    }

    /// The entry that these bytes are under this key.
    pub fn from_bytes(key: &StateKey, bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(match key {
            StateKey::Account(_) => Self::Account(decode(bytes)?),
            StateKey::Channel { .. } => Self::Channel(Box::new(decode(bytes)?)),
            StateKey::Miner(_) => Self::Miner(Box::new(decode(bytes)?)),
            StateKey::PreCommit { .. } => Self::PreCommit(decode(bytes)?),
            StateKey::Sector { .. } => Self::Sector(decode(bytes)?),
            StateKey::Market => Self::Market(decode(bytes)?),
        })
    }
}
