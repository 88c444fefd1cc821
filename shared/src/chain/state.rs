//! What the chain knows: balances, miners, channels. Only [`super::apply`] and a host's block clock change it.
//!
//! Hosts store it (serde) and hand it to [`super::apply()`], [`super::query`] and the [`super::view`]s.

use super::address::{Address, Protocol};
use super::amount::{AttoFil, ChannelId, Epoch};
use super::policy::{Policy, PolicyError};
use crate::payment::Predicate;
use crate::piece::{Commitment, SectorSize};
use crate::wire::as_cbor;
use crate::wire::cbor::cbor_map;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Money and message count of an account, the treasury (t01) or the burnt funds (t099).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub balance: AttoFil,
    /// Messages sent so far; the next one carries this number.
    pub nonce: u64,
}

/// A payer's channel (spec §5.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PaymentChannel {
    pub target: Address,
    /// Everything paid in.
    pub amount: AttoFil,
    /// What the target has taken out of it.
    pub amount_redeemed: AttoFil,
    /// The end of life that payer and payee agreed on; [`Self::eol`] is earlier after a cancel.
    pub agreed_eol: Epoch,
    /// The condition of the last voucher that was redeemed, with the redeemer's parameters.
    #[serde(with = "as_cbor")]
    pub condition: Option<Predicate>,
    /// First height at which nothing can be redeemed and the payer may reclaim.
    pub eol: Epoch,
    /// Whether a voucher was redeemed since the channel was opened.
    pub redeemed: bool,
}
cbor_map!(PaymentChannel {
    "target" => target, "amount" => amount, "amountRedeemed" => amount_redeemed, "agreedEol" => agreed_eol,
    "condition" => condition, "eol" => eol, "redeemed" => redeemed,
});

impl PaymentChannel {
    /// What is left in the channel.
    pub fn remaining(&self) -> AttoFil {
        // Redeeming checks that no more is taken out than was paid in.
        self.amount.checked_sub(self.amount_redeemed).unwrap_or_default()
    }
}

/// The payment broker, t03.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Broker {
    pub balance: AttoFil,
    /// By payer, then by channel; a payer without channels has no entry.
    pub channels: BTreeMap<Address, BTreeMap<ChannelId, PaymentChannel>>,
}

/// The storage market, t02.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Market {
    /// Bytes of all proven sectors.
    pub total_storage: u64,
}

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

/// A sector announced before its seed is known (design §6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreCommit {
    pub comm_d: Commitment,
    pub comm_r: Commitment,
    /// Height of the block that the replica's ticket was drawn from.
    pub ticket_epoch: Epoch,
    /// Height at which it was recorded.
    pub height: Epoch,
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
    /// Free money and collateral.
    pub balance: AttoFil,
    /// The part of the balance that committed sectors lock up.
    pub active_collateral: AttoFil,
    /// Bytes of the sectors that the last accepted proof covered.
    pub power: u64,
    pub asks: Vec<Ask>,
    pub next_ask_id: u64,
    pub sectors: BTreeMap<u64, Sector>,
    pub pre_commits: BTreeMap<u64, PreCommit>,
    /// The sectors that the next proof must cover.
    pub proving_set: BTreeSet<u64>,
    /// End of the running proving period; `None` until a sector is committed.
    pub proving_period_end: Option<Epoch>,
    pub last_used_sector_id: u64,
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

    /// Bytes of the sectors that the last accepted proof covered, counted anew.
    fn proven_bytes(&self) -> u64 {
        let proven = |sector: &&Sector| self.last_post.is_some() && sector.last_proven_at == self.last_post;
        (self.sectors.values().filter(proven).count() as u64).saturating_mul(self.sector_size.bytes())
    }
}

/// The state of a network at a height.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChainState {
    pub network: String,
    pub policy: Policy,
    /// All money there is; it never changes.
    pub supply: AttoFil,
    /// Height of the last block.
    pub height: Epoch,
    /// Accounts, and t01 and t099.
    pub accounts: BTreeMap<Address, Account>,
    pub market: Market,
    pub miners: BTreeMap<Address, Miner>,
    pub broker: Broker,
}

/// How a network starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    pub network: String,
    pub policy: Policy,
    /// All money there will ever be; what is not allocated starts in the treasury.
    pub supply: AttoFil,
    pub allocations: BTreeMap<Address, AttoFil>,
}

/// Why no network can start like that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    #[error("{0} cannot hold an allocation: give a secp256k1 account, t1…")]
    NotAnAccount(Address),
    #[error("allocations exceed the supply of {supply} FIL")]
    OverAllocated { supply: AttoFil },
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// A rule of the whole chain that does not hold: always a defect of the actors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    #[error("all balances together are {found} FIL, the supply is {supply} FIL")]
    Supply { found: AttoFil, supply: AttoFil },
    #[error("the broker holds {held} FIL for channels that are owed {owed} FIL")]
    Channels { held: AttoFil, owed: AttoFil },
    #[error("channel {channel} of {payer} paid {paid} FIL and held {held} FIL")]
    Overpaid {
        payer: Address,
        channel: ChannelId,
        paid: AttoFil,
        held: AttoFil,
    },
    #[error("miner {miner} has power {power} and proven sectors of {proven} bytes")]
    Power { miner: Address, power: u64, proven: u64 },
    #[error("the market counts {counted} bytes, the miners have {power}")]
    TotalStorage { counted: u64, power: u64 },
    #[error("miner {miner} locks up {locked} FIL and has {balance} FIL")]
    Collateral {
        miner: Address,
        locked: AttoFil,
        balance: AttoFil,
    },
    #[error("miner {miner} must prove sector {sector}, which it never committed")]
    ProvingSet { miner: Address, sector: u64 },
}

impl ChainState {
    /// The state before the first block.
    pub fn genesis(genesis: Genesis) -> Result<Self, GenesisError> {
        genesis.policy.check()?;
        let supply = genesis.supply;
        let mut treasury = supply;
        let mut accounts = BTreeMap::new();
        for (address, balance) in genesis.allocations {
            if address.protocol() != Protocol::Secp256k1 {
                return Err(GenesisError::NotAnAccount(address));
            }
            treasury = treasury
                .checked_sub(balance)
                .ok_or(GenesisError::OverAllocated { supply })?;
            accounts.insert(address, Account { balance, nonce: 0 });
        }
        accounts.insert(
            Address::id(Address::NETWORK_TREASURY),
            Account {
                balance: treasury,
                nonce: 0,
            },
        );
        accounts.insert(Address::id(Address::BURNT_FUNDS), Account::default());
        Ok(Self {
            network: genesis.network,
            policy: genesis.policy,
            supply,
            height: Epoch(0),
            accounts,
            market: Market::default(),
            miners: BTreeMap::new(),
            broker: Broker::default(),
        })
    }

    /// Money of any actor; nothing for one that the chain does not know.
    pub fn balance(&self, address: &Address) -> AttoFil {
        if *address == Address::id(Address::PAYMENT_BROKER) {
            return self.broker.balance;
        }
        let account = self.accounts.get(address).map(|account| account.balance);
        account
            .or_else(|| self.miners.get(address).map(|miner| miner.balance))
            .unwrap_or_default()
    }

    /// The nonce of an account's next message.
    pub fn nonce(&self, address: &Address) -> u64 {
        self.accounts.get(address).map_or(0, |account| account.nonce)
    }

    pub fn channel(&self, payer: &Address, id: ChannelId) -> Option<&PaymentChannel> {
        self.broker.channels.get(payer)?.get(&id)
    }

    /// Checks the rules that hold for the whole chain at all times (design §5).
    pub fn check_invariants(&self) -> Result<(), Violation> {
        self.check_money()?;
        self.check_channels()?;
        let mut total = 0u64;
        for (address, miner) in &self.miners {
            check_miner(address, miner)?;
            total = total.saturating_add(miner.power);
        }
        if total != self.market.total_storage {
            return Err(Violation::TotalStorage {
                counted: self.market.total_storage,
                power: total,
            });
        }
        Ok(())
    }

    fn check_money(&self) -> Result<(), Violation> {
        let accounts = self.accounts.values().map(|account| account.balance);
        let miners = self.miners.values().map(|miner| miner.balance);
        let found = accounts
            .chain(miners)
            .chain([self.broker.balance])
            .fold(0u128, |sum, b| sum.saturating_add(b.0));
        if found != self.supply.0 {
            return Err(Violation::Supply {
                found: AttoFil(found),
                supply: self.supply,
            });
        }
        Ok(())
    }

    fn check_channels(&self) -> Result<(), Violation> {
        let mut owed = 0u128;
        for (payer, channels) in &self.broker.channels {
            for (id, channel) in channels {
                let (paid, held) = (channel.amount_redeemed, channel.amount);
                if paid > held {
                    return Err(Violation::Overpaid {
                        payer: payer.clone(),
                        channel: *id,
                        paid,
                        held,
                    });
                }
                owed = owed.saturating_add(channel.remaining().0);
            }
        }
        if owed != self.broker.balance.0 {
            return Err(Violation::Channels {
                held: self.broker.balance,
                owed: AttoFil(owed),
            });
        }
        Ok(())
    }
}

fn check_miner(address: &Address, miner: &Miner) -> Result<(), Violation> {
    let proven = miner.proven_bytes();
    if miner.power != proven {
        return Err(Violation::Power {
            miner: address.clone(),
            power: miner.power,
            proven,
        });
    }
    if miner.active_collateral > miner.balance {
        let (locked, balance) = (miner.active_collateral, miner.balance);
        return Err(Violation::Collateral {
            miner: address.clone(),
            locked,
            balance,
        });
    }
    match miner.proving_set.iter().find(|id| !miner.sectors.contains_key(id)) {
        Some(sector) => Err(Violation::ProvingSet {
            miner: address.clone(),
            sector: *sector,
        }),
        None => Ok(()),
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
