//! A storage miner as the chain knows it (spec §5.3): its money, asks, sectors, and which of them are proven.
//!
//! Changed by the miner actor ([`crate::chain::actors::miner`]), which states the rules; shown by [`crate::chain::view`].

use crate::chain::address::Address;
use crate::chain::amount::{AttoFil, Epoch};
use crate::chain::policy::Policy;
use crate::piece::{Commitment, SectorSize};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// An offer of storage (spec §5.3.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    pub id: u64,
    /// attoFIL for one byte in one block.
    pub price: AttoFil,
    /// First height at which the ask no longer stands.
    pub expiry: Epoch,
}

/// A sector whose seal was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sector {
    pub comm_d: Commitment,
    pub comm_r: Commitment,
    pub comm_r_star: Commitment,
    pub committed_at: Epoch,
    /// When the last accepted proof-of-spacetime that covered it was accepted.
    pub last_proven_at: Option<Epoch>,
    /// Accepted proofs-of-spacetime that covered it.
    pub proofs: u64,
}

/// A sector announced before its seed is known (design §9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreCommit {
    pub comm_d: Commitment,
    pub comm_r: Commitment,
    /// Height of the block that the replica's ticket was drawn from.
    pub ticket_epoch: Epoch,
    /// Height at which it was recorded.
    pub height: Epoch,
    /// Money that it locks up until the commit; burnt when none comes in time.
    #[serde(default)]
    pub deposit: AttoFil,
}

/// Since when a sector is faulty: without power, and no payment's condition (see [`crate::chain::actors::miner`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// When it was declared.
    pub since: Epoch,
    /// Whether its miner says that it can be proven again: the next proof must cover it, and ends the fault.
    pub recovering: bool,
}

/// A sector that its miner proved a last time and called done. For a while it still meets the conditions of vouchers that
/// had fallen due by then (design §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    pub comm_d: Commitment,
    /// Height of its last proof.
    pub at: Epoch,
}

impl Released {
    /// Whether its release is too long ago for any voucher.
    pub fn is_over(&self, policy: &Policy, height: Epoch) -> bool {
        height >= self.at.plus(policy.channel_expiry_interval)
    }
}

impl Fault {
    /// Whether the sector is lost at `height`: it was faulty for too long.
    pub fn has_lasted(&self, policy: &Policy, height: Epoch) -> bool {
        height >= self.since.plus(policy.max_fault_age)
    }
}

impl PreCommit {
    /// Height of the block that the seal proof's seed is drawn from.
    pub fn seed_epoch(&self, policy: &Policy) -> Epoch {
        self.height.plus(policy.seed_delay)
    }

    /// Last height at which the commit is accepted.
    pub fn expires(&self, policy: &Policy) -> Epoch {
        self.height.plus(policy.pre_commit_expiry)
    }

    /// Whether the commit can no longer come at `height`.
    pub fn has_expired(&self, policy: &Policy, height: Epoch) -> bool {
        height > self.expires(policy)
    }
}

/// A storage miner (spec §5.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Miner {
    pub owner: Address,
    pub worker: Address,
    /// The libp2p peer id's bytes (a multihash).
    #[serde(with = "hex_bytes")]
    pub peer_id: Vec<u8>,
    pub sector_size: SectorSize,
    /// Height of its registration; 0 for one that is older than this field.
    #[serde(default)]
    pub registered_at: Epoch,
    /// Free money, collateral and deposits.
    pub balance: AttoFil,
    /// The part of the balance that committed sectors lock up.
    pub active_collateral: AttoFil,
    /// Bytes of the sectors that the last accepted proof covered and that are not faulty since.
    pub power: u64,
    pub asks: Vec<Ask>,
    pub next_ask_id: u64,
    pub sectors: BTreeMap<u64, Sector>,
    pub pre_commits: BTreeMap<u64, PreCommit>,
    /// The sectors that the running period's proof must cover.
    pub proving_set: BTreeSet<u64>,
    /// Sectors without power; those that do not recover are not in the proving set.
    #[serde(default)]
    pub faults: BTreeMap<u64, Fault>,
    /// Faults declared too late for the running period, and when; they count from the next.
    #[serde(default)]
    pub next_faults: BTreeMap<u64, Epoch>,
    /// Sectors that the last proof covered and called done: no longer committed, and still in the power of this period.
    #[serde(default)]
    pub next_done: BTreeSet<u64>,
    /// Sectors that were proven to their end and are no longer committed, for [`Policy::channel_expiry_interval`].
    #[serde(default)]
    pub released: BTreeMap<u64, Released>,
    /// End of the running proving period; `None` until a sector is committed.
    pub proving_period_end: Option<Epoch>,
    pub last_used_sector_id: u64,
    /// When it was slashed, until it begins a new proving period.
    pub slashed_at: Option<Epoch>,
    /// When the last proof-of-spacetime was accepted.
    pub last_post: Option<Epoch>,
    /// Proofs-of-spacetime accepted so far.
    pub posts: u64,
}

impl Miner {
    /// The blocks in which a proof is on time, start included and end excluded; `None` before the first commit.
    pub fn proving_window(&self, policy: &Policy) -> Option<(Epoch, Epoch)> {
        let end = self.proving_period_end?;
        Some((Epoch(end.0.saturating_sub(policy.challenge_window)), end))
    }

    /// Whether the running period's proof can no longer be accepted.
    pub fn is_tardy(&self, policy: &Policy, height: Epoch) -> bool {
        self.proving_period_end
            .is_some_and(|end| height > end.plus(policy.grace))
    }

    /// First height at which the running period's proof is not accepted any more, not even for a fee.
    pub fn proof_deadline(&self, policy: &Policy) -> Option<Epoch> {
        self.proving_period_end.map(|end| end.plus(policy.grace))
    }

    /// The money that waiting pre-commits lock up.
    pub fn deposits(&self) -> AttoFil {
        let deposits = self.pre_commits.values().map(|pre| pre.deposit.0);
        AttoFil(deposits.fold(0, u128::saturating_add))
    }

    /// The money that neither sectors nor pre-commits lock up.
    pub fn free_balance(&self) -> AttoFil {
        let locked = self.active_collateral.checked_add(self.deposits());
        locked
            .and_then(|locked| self.balance.checked_sub(locked))
            .unwrap_or_default()
    }

    /// Whether it may make room for another miner at `height`: it never committed a sector, waits to commit none, and is no
    /// newcomer. Power, faults and released sectors come of commits, and the first one begins its proving.
    pub fn makes_room(&self, policy: &Policy, height: Epoch) -> bool {
        let is_idle = self.proving_period_end.is_none() && self.sectors.is_empty() && self.pre_commits.is_empty();
        is_idle && self.posts == 0 && self.power == 0 && height >= self.registered_at.plus(policy.newcomer_span())
    }

    /// Whether a sector is faulty and its miner does not say that it recovers.
    pub fn is_given_up(&self, sector: u64) -> bool {
        self.faults.get(&sector).is_some_and(|fault| !fault.recovering)
    }

    /// The sectors that a proving period which begins now must prove.
    pub(in crate::chain) fn provable(&self) -> BTreeSet<u64> {
        let ids = self.sectors.keys().copied();
        ids.filter(|id| !self.is_given_up(*id)).collect()
    }

    /// Whether the last accepted proof covered a sector that is not faulty since.
    pub fn is_proven(&self, id: u64) -> bool {
        let proven = |sector: &Sector| self.last_post.is_some() && sector.last_proven_at == self.last_post;
        self.sectors.get(&id).is_some_and(proven) && !self.faults.contains_key(&id)
    }

    /// Bytes of the sectors that the last accepted proof covered and that are not faulty since, counted anew.
    pub(in crate::chain) fn proven_bytes(&self) -> u64 {
        let proven = self.sectors.keys().filter(|id| self.is_proven(**id)).count();
        (proven.saturating_add(self.next_done.len()) as u64).saturating_mul(self.sector_size.bytes())
    }
}

/// Byte strings as hexadecimal text.
mod hex_bytes {
    use alloc::{string::String, vec::Vec};
    use serde::{de::Error, Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        hex::decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
