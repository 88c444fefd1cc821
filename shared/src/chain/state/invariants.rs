//! The rules that hold for the whole chain at all times (design §8): no money appears or vanishes, no channel pays more
//! than it holds, collateral and deposits are covered, and power is what was proven.
//!
//! Called by the development chain in debug builds and by every test after every message and block.

use super::{ChainState, Miner};
use crate::chain::address::Address;
use crate::chain::amount::{AttoFil, ChannelId};
use crate::chain::policy::Policy;

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
    Locked {
        miner: Address,
        locked: AttoFil,
        balance: AttoFil,
    },
    #[error("miner {miner} has {found} FIL of collateral, and its sectors need {needed} FIL")]
    Collateral {
        miner: Address,
        found: AttoFil,
        needed: AttoFil,
    },
    #[error("miner {miner} must prove sector {sector}, which it has not committed or has declared faulty")]
    ProvingSet { miner: Address, sector: u64 },
    #[error("miner {miner} has a fault of sector {sector}, which it has not committed")]
    Fault { miner: Address, sector: u64 },
    #[error("miner {miner} has a period's proof to send, and no period")]
    Period { miner: Address },
}

impl ChainState {
    /// Checks the rules that hold for the whole chain at all times (design §8).
    pub fn check_invariants(&self) -> Result<(), Violation> {
        self.check_money()?;
        self.check_channels()?;
        let mut total = 0u64;
        for (address, miner) in self.miners.iter() {
            check_miner(address, miner, &self.policy)?;
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
        for (payer, channels) in self.broker.channels.iter() {
            for (id, channel) in channels.iter() {
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

fn check_miner(address: &Address, miner: &Miner, policy: &Policy) -> Result<(), Violation> {
    check_miner_money(address, miner, policy)?;
    let proven = miner.proven_bytes();
    if miner.power != proven {
        return Err(Violation::Power {
            miner: address.clone(),
            power: miner.power,
            proven,
        });
    }
    let due = |id: &&u64| miner.sectors.contains_key(id) && !miner.is_given_up(**id);
    if let Some(sector) = miner.proving_set.iter().find(|id| !due(id)) {
        return Err(Violation::ProvingSet {
            miner: address.clone(),
            sector: *sector,
        });
    }
    let faulty = || miner.faults.keys().chain(miner.next_faults.keys());
    if let Some(sector) = faulty().find(|id| !miner.sectors.contains_key(id)) {
        return Err(Violation::Fault {
            miner: address.clone(),
            sector: *sector,
        });
    }
    if !miner.proving_set.is_empty() && miner.proving_period_end.is_none() {
        return Err(Violation::Period { miner: address.clone() });
    }
    Ok(())
}

fn check_miner_money(address: &Address, miner: &Miner, policy: &Policy) -> Result<(), Violation> {
    let needed = AttoFil(policy.sector_collateral.0.saturating_mul(miner.sectors.len() as u128));
    if miner.active_collateral != needed {
        return Err(Violation::Collateral {
            miner: address.clone(),
            found: miner.active_collateral,
            needed,
        });
    }
    let locked = AttoFil(needed.0.saturating_add(miner.deposits().0));
    if locked > miner.balance {
        return Err(Violation::Locked {
            miner: address.clone(),
            locked,
            balance: miner.balance,
        });
    }
    Ok(())
}
