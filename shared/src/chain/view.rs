//! What a chain endpoint shows: the JSON that the development chain's RPC returns and both clients read. Amounts are
//! decimal FIL as text, heights and sizes numbers, commitments and return values hexadecimal, ids CIDs as text.

use super::actors::miner::{late_fee, po_st_state, PostState};
use super::address::Address;
use super::amount::{AttoFil, ChannelId, Epoch};
use super::message::Receipt;
use super::policy::Policy;
use super::state::{ChainState, Miner, Table};
use crate::chain::voucher::Predicate;
use crate::piece::{Commitment, SectorSize};
use crate::wire::cbor::{Bytes, DecodeError, Value};
use crate::wire::encode;
use alloc::{string::String, vec::Vec};
use cid::multibase::Base;
use serde::{Deserialize, Serialize};

/// A network and its rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct NetworkView {
    pub network: String,
    /// Id of the first block: two networks of the same name differ in it.
    pub genesis: String,
    pub height: Epoch,
    pub block_time_ms: u64,
    pub policy: Policy,
    /// Digest of the verifying keys that proofs are checked with.
    pub verifying_keys: String,
}

/// The newest block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HeadView {
    pub height: Epoch,
    /// The block's id.
    pub block: String,
    /// When it was made, in milliseconds since 1970.
    pub time_ms: u64,
}

/// Money and message count of an actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ActorView {
    pub address: Address,
    pub balance: AttoFil,
    pub nonce: u64,
}

/// An offer of storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AskView {
    pub id: u64,
    /// For one byte in one block.
    pub price: AttoFil,
    /// First height at which it no longer stands.
    pub expiry: Epoch,
}

/// A span of blocks; `end` is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct WindowView {
    pub start: Epoch,
    pub end: Epoch,
}

/// Since when a sector is faulty: without power, and no payment's condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FaultView {
    pub since: Epoch,
    /// Whether the next proof must cover it, and ends the fault.
    pub recovering: bool,
    /// When it is lost unless a proof covers it before.
    pub lost_at: Epoch,
}

/// A committed sector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SectorView {
    pub id: u64,
    pub comm_d: Commitment,
    pub comm_r: Commitment,
    pub comm_r_star: Commitment,
    pub committed_at: Epoch,
    pub last_proven_at: Option<Epoch>,
    /// Accepted proofs-of-spacetime that covered it.
    pub proofs: u64,
    /// Whether the next proof must cover it.
    pub in_proving_set: bool,
    /// Whether it counts in its miner's power.
    #[serde(default)]
    pub proven: bool,
    #[serde(default)]
    pub fault: Option<FaultView>,
    /// When a fault was declared that counts from the next period.
    #[serde(default)]
    pub next_fault: Option<Epoch>,
}

/// A sector announced and not yet committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PreCommitView {
    pub id: u64,
    pub comm_d: Commitment,
    pub comm_r: Commitment,
    pub height: Epoch,
    pub ticket_epoch: Epoch,
    pub seed_epoch: Epoch,
    /// Last height at which the commit is accepted; the deposit is burnt after it.
    #[serde(default)]
    pub expires: Epoch,
    #[serde(default)]
    pub deposit: AttoFil,
}

/// A miner with everything that a client or its own host needs to know of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct MinerView {
    pub address: Address,
    pub owner: Address,
    pub worker: Address,
    /// Base58, as libp2p prints it.
    pub peer_id: String,
    pub sector_size: u64,
    /// File bytes that a sector holds.
    pub usable_bytes: u64,
    /// Bytes of proven sectors.
    pub power: u64,
    pub balance: AttoFil,
    /// The part of the balance that sectors lock up.
    pub collateral: AttoFil,
    /// The part of the balance that pre-commits lock up.
    #[serde(default)]
    pub deposits: AttoFil,
    /// The rest of the balance.
    #[serde(default)]
    pub free_balance: AttoFil,
    pub asks: Vec<AskView>,
    pub proving_window: Option<WindowView>,
    pub sectors: Vec<SectorView>,
    pub pre_commits: Vec<PreCommitView>,
    /// Sectors that were called done and count in the power of this period only.
    #[serde(default)]
    pub done: Vec<u64>,
    /// The sector that was committed last.
    #[serde(default)]
    pub last_used_sector_id: u64,
    pub last_post: Option<Epoch>,
    pub posts: u64,
    /// How it stands with the running period's proof, in the last block.
    #[serde(default)]
    pub post_state: PostState,
    /// First height at which that proof is not accepted any more.
    #[serde(default)]
    pub proof_deadline: Option<Epoch>,
    /// What that proof costs in the next block.
    #[serde(default)]
    pub late_fee: AttoFil,
    /// When it was slashed, until it begins a new proving period.
    pub slashed_at: Option<Epoch>,
}

/// The condition of the voucher that was redeemed last, with the redeemer's parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConditionView {
    pub to: Address,
    pub method: String,
    /// Numbers in decimal, everything else as the hexadecimal of its bytes.
    pub params: Vec<String>,
}

/// How much of a network's storage is proven, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PowerView {
    /// Bytes of all proven sectors.
    pub total: u64,
    /// Bytes by miner.
    pub miners: Vec<MinerPower>,
    /// Fees, deposits and collateral that nobody can spend any more.
    pub burnt: AttoFil,
}

/// A miner's part of the power.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct MinerPower {
    pub address: Address,
    /// Bytes.
    pub power: u64,
}

/// A payment channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ChannelView {
    pub payer: Address,
    pub id: ChannelId,
    pub target: Address,
    pub amount: AttoFil,
    pub amount_redeemed: AttoFil,
    /// What neither the target nor the payer has taken yet.
    #[serde(default)]
    pub remaining: AttoFil,
    pub agreed_eol: Epoch,
    /// Earlier than the agreed one after a cancel.
    pub eol: Epoch,
    /// Whether a voucher was redeemed.
    pub redeemed: bool,
    #[serde(default)]
    pub condition: Option<ConditionView>,
    /// The key that may sign for the channel beside its payer's, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Address>,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReceiptView {
    /// The message's id.
    pub message: String,
    /// Height of the block that it is in.
    pub height: Epoch,
    /// 0 = applied.
    pub exit_code: u64,
    /// Why, when the exit code is not 0.
    pub error: String,
    /// Return values, hexadecimal.
    pub returns: Vec<String>,
    pub gas_cost: AttoFil,
}

impl ActorView {
    /// `None` for an address that the chain does not know.
    pub fn of(state: &ChainState, address: &Address) -> Option<Self> {
        let singletons = [0, Address::STORAGE_MARKET, Address::PAYMENT_BROKER].map(Address::id);
        let known =
            state.accounts.contains_key(address) || state.miners.contains_key(address) || singletons.contains(address);
        let (balance, nonce) = (state.balance(address), state.nonce(address));
        known.then(|| Self {
            address: address.clone(),
            balance,
            nonce,
        })
    }
}

impl MinerView {
    /// `None` when there is no miner at this address.
    pub fn of(state: &ChainState, address: &Address) -> Option<Self> {
        let miner = state.miners.get(address)?;
        let policy = &state.policy;
        Some(Self {
            address: address.clone(),
            owner: miner.owner.clone(),
            worker: miner.worker.clone(),
            peer_id: Base::Base58Btc.encode(&miner.peer_id),
            sector_size: miner.sector_size.bytes(),
            usable_bytes: SectorSize::usable(miner.sector_size),
            power: miner.power,
            balance: miner.balance,
            collateral: miner.active_collateral,
            deposits: miner.deposits(),
            free_balance: miner.free_balance(),
            asks: asks(miner),
            proving_window: miner
                .proving_window(policy)
                .map(|(start, end)| WindowView { start, end }),
            sectors: sectors(miner, policy),
            pre_commits: pre_commits(miner, policy),
            done: miner.next_done.iter().copied().collect(),
            last_used_sector_id: miner.last_used_sector_id,
            last_post: miner.last_post,
            posts: miner.posts,
            post_state: po_st_state(miner, policy, state.height),
            proof_deadline: miner.proof_deadline(policy).filter(|_| !miner.proving_set.is_empty()),
            late_fee: next_late_fee(miner, policy, state.height),
            slashed_at: miner.slashed_at,
        })
    }

    /// Every miner of the network.
    pub fn all(state: &ChainState) -> Vec<Self> {
        state
            .miners
            .keys()
            .filter_map(|address| Self::of(state, address))
            .collect()
    }

    /// The ask that stands at `height` and is the newest.
    pub fn standing_ask(&self, height: Epoch) -> Option<&AskView> {
        self.asks
            .iter()
            .filter(|ask| height < ask.expiry)
            .max_by_key(|ask| ask.id)
    }
}

fn asks(miner: &Miner) -> Vec<AskView> {
    miner
        .asks
        .iter()
        .map(|ask| AskView {
            id: ask.id,
            price: ask.price,
            expiry: ask.expiry,
        })
        .collect()
}

fn next_late_fee(miner: &Miner, policy: &Policy, height: Epoch) -> AttoFil {
    let end = miner.proving_period_end.filter(|_| !miner.proving_set.is_empty());
    end.map_or(AttoFil::ZERO, |end| {
        late_fee(policy, miner.active_collateral, end, height.plus(1))
    })
}

fn fault(miner: &Miner, id: u64, policy: &Policy) -> Option<FaultView> {
    miner.faults.get(&id).map(|fault| FaultView {
        since: fault.since,
        recovering: fault.recovering,
        lost_at: fault.since.plus(policy.max_fault_age),
    })
}

fn sectors(miner: &Miner, policy: &Policy) -> Vec<SectorView> {
    let view = |(id, sector): (&u64, &super::state::Sector)| SectorView {
        id: *id,
        comm_d: sector.comm_d,
        comm_r: sector.comm_r,
        comm_r_star: sector.comm_r_star,
        committed_at: sector.committed_at,
        last_proven_at: sector.last_proven_at,
        proofs: sector.proofs,
        in_proving_set: miner.proving_set.contains(id),
        proven: miner.is_proven(*id),
        fault: fault(miner, *id, policy),
        next_fault: miner.next_faults.get(id).copied(),
    };
    miner.sectors.iter().map(view).collect()
}

fn pre_commits(miner: &Miner, policy: &Policy) -> Vec<PreCommitView> {
    let view = |(id, pre): (&u64, &super::state::PreCommit)| PreCommitView {
        id: *id,
        comm_d: pre.comm_d,
        comm_r: pre.comm_r,
        height: pre.height,
        ticket_epoch: pre.ticket_epoch,
        seed_epoch: pre.seed_epoch(policy),
        expires: pre.expires(policy),
        deposit: pre.deposit,
    };
    miner.pre_commits.iter().map(view).collect()
}

impl ChannelView {
    /// `None` when the payer has no such channel (any more).
    pub fn of(state: &ChainState, payer: &Address, id: ChannelId) -> Option<Self> {
        let channel = state.channel(payer, id)?;
        Some(Self {
            payer: payer.clone(),
            id,
            target: channel.target.clone(),
            amount: channel.amount,
            amount_redeemed: channel.amount_redeemed,
            remaining: channel.remaining(),
            agreed_eol: channel.agreed_eol,
            eol: channel.eol,
            redeemed: channel.redeemed,
            condition: channel.condition.as_ref().map(ConditionView::of),
            session: channel.session.clone(),
        })
    }

    /// Whether its payer cancelled it, and no redemption took that back.
    pub fn is_cancelled(&self) -> bool {
        self.eol < self.agreed_eol
    }

    /// Every channel of a payer.
    pub fn all(state: &ChainState, payer: &Address) -> Vec<Self> {
        let channels = state.broker.channels.get(payer);
        channels
            .into_iter()
            .flat_map(Table::keys)
            .filter_map(|id| Self::of(state, payer, *id))
            .collect()
    }
}

impl ConditionView {
    fn of(condition: &Predicate) -> Self {
        let text = |param: &Value| match param {
            Value::Integer(number) => alloc::format!("{}", i128::from(*number)),
            Value::Bytes(bytes) => hex::encode(bytes),
            other => hex::encode(encode(other)),
        };
        Self {
            to: condition.to.clone(),
            method: condition.method.clone(),
            params: condition.params.iter().flatten().map(text).collect(),
        }
    }
}

impl PowerView {
    /// The power of every miner.
    pub fn of(state: &ChainState) -> Self {
        let power = |(address, miner): (&Address, &Miner)| MinerPower {
            address: address.clone(),
            power: miner.power,
        };
        Self {
            total: state.market.total_storage,
            miners: state.miners.iter().map(power).collect(),
            burnt: state.balance(&Address::id(Address::BURNT_FUNDS)),
        }
    }
}

impl ReceiptView {
    /// Whether the message took effect.
    pub fn is_success(&self) -> bool {
        self.exit_code == super::exit::SUCCESS
    }

    /// Whether the message is in no block, and never will be.
    pub fn is_dropped(&self) -> bool {
        self.exit_code == super::exit::DROPPED
    }

    /// `message` is the message's id as text.
    pub fn of(message: String, height: Epoch, receipt: &Receipt) -> Self {
        Self {
            message,
            height,
            exit_code: receipt.exit_code,
            error: receipt.error.clone(),
            returns: receipt.returns.iter().map(|value| hex::encode(&value.0)).collect(),
            gas_cost: receipt.gas_cost,
        }
    }

    /// The receipt itself, for [`super::calls::returns::channel_id`] and its like.
    pub fn receipt(&self) -> Result<Receipt, DecodeError> {
        let value = |text: &String| {
            hex::decode(text)
                .map(Bytes)
                .map_err(|e| DecodeError::invalid("return value", e))
        };
        Ok(Receipt {
            exit_code: self.exit_code,
            returns: self.returns.iter().map(value).collect::<Result<_, _>>()?,
            gas_cost: self.gas_cost,
            error: self.error.clone(),
        })
    }
}
