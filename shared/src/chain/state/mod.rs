//! What the chain knows: balances, miners, channels. Only [`super::apply()`] and a host's block clock change it.
//!
//! Miners are in [`Miner`], and what must always hold in [`Violation`]. Hosts store it (serde) and hand it to [`super::apply()`], [`super::query`] and the [`super::view`]s.

mod invariants;
mod miner;
mod table;

pub use invariants::Violation;
pub use miner::{Ask, Fault, Miner, PreCommit, Released, Sector};
pub use table::Table;

use super::address::Address;
use super::amount::{AttoFil, ChannelId, Epoch};
use super::policy::{Policy, PolicyError};
use crate::chain::voucher::Predicate;
use crate::wire::as_cbor;
use crate::wire::cbor::{map, Cbor, DecodeError, Fields, Value};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
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
    /// The key that may sign for this channel beside its payer's, when its opening names one ([`crate::chain::session`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Address>,
}

const CHANNEL_KEYS: [&str; 8] = [
    "target",
    "amount",
    "amountRedeemed",
    "agreedEol",
    "condition",
    "eol",
    "redeemed",
    "session",
];

/// A channel without a session key has the bytes of 2019.
impl Cbor for PaymentChannel {
    fn to_value(&self) -> Value {
        let mut fields = vec![
            ("target", self.target.to_value()),
            ("amount", self.amount.to_value()),
            ("amountRedeemed", self.amount_redeemed.to_value()),
            ("agreedEol", self.agreed_eol.to_value()),
            ("condition", self.condition.to_value()),
            ("eol", self.eol.to_value()),
            ("redeemed", self.redeemed.to_value()),
        ];
        fields.extend(self.session.as_ref().map(|session| ("session", session.to_value())));
        map(fields)
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut fields = Fields::open(value, "PaymentChannel", &CHANNEL_KEYS)?;
        Ok(Self {
            target: fields.take("target")?,
            amount: fields.take("amount")?,
            amount_redeemed: fields.take("amountRedeemed")?,
            agreed_eol: fields.take("agreedEol")?,
            condition: fields.take("condition")?,
            eol: fields.take("eol")?,
            redeemed: fields.take("redeemed")?,
            session: fields.take_present("session")?,
        })
    }
}

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
    pub channels: Table<Address, Table<ChannelId, PaymentChannel>>,
}

/// The storage market, t02.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Market {
    /// Bytes of all proven sectors.
    pub total_storage: u64,
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
    pub accounts: Table<Address, Account>,
    pub market: Market,
    pub miners: Table<Address, Miner>,
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

impl ChainState {
    /// The state before the first block.
    pub fn genesis(genesis: Genesis) -> Result<Self, GenesisError> {
        genesis.policy.check()?;
        let supply = genesis.supply;
        let mut treasury = supply;
        let mut accounts = Table::new();
        for (address, balance) in genesis.allocations {
            if !address.can_sign() {
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
            miners: Table::new(),
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
}
