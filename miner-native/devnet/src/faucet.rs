//! Who got money from the faucet lately, so that nobody drains it: limits by account and blocks, and by the address of who
//! asks and time.
//!
//! Called by [`super::node`], which sends the money by an ordinary message and keeps each grant with it on the disk: a
//! restart forgets none.

use cid::Cid;
use serde::{Deserialize, Serialize};
use shared::chain::{Address, AttoFil, Epoch};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What an account gets.
pub const GRANT_FIL: u64 = 1000;
/// Blocks that an account waits for its next grant.
pub const INTERVAL: u64 = 100;
/// Time in which one address that asks may have so many grants, in milliseconds: an hour.
pub const WINDOW_MS: u64 = 3_600_000;
/// Most grants of one asking address in [`WINDOW_MS`]: everything that one machine tries out in an hour, its tests included.
pub const PER_ADDRESS: usize = 256;
/// Most grants remembered; while all of them count the faucet rests.
pub const MAX_REMEMBERED: usize = 1024;

/// Why the faucet gives nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum FaucetError {
    #[error("{address} got money at height {at}: the faucet gives again from height {again}")]
    TooSoon { address: Address, at: Epoch, again: Epoch },
    #[error("{address} is not an account: the faucet gives to t1 and t410f addresses only")]
    NotAnAccount { address: Address },
    #[error("{from} got {PER_ADDRESS} grants within an hour: ask again in {minutes} minutes")]
    TooMany { from: IpAddr, minutes: u64 },
    #[error("the faucet gave {MAX_REMEMBERED} times within an hour: try again later")]
    Busy,
}

/// One grant, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Grant {
    pub height: Epoch,
    /// Milliseconds since 1970, of the block at that height.
    pub time_ms: u64,
    #[serde(with = "shared::wire::as_cbor")]
    pub message: Cid,
    /// Who asked for it.
    pub from: IpAddr,
}

impl Grant {
    fn counts(&self, height: Epoch, time_ms: u64) -> bool {
        height < self.height.plus(INTERVAL) || self.is_recent(time_ms)
    }

    fn is_recent(&self, time_ms: u64) -> bool {
        time_ms < self.time_ms.saturating_add(WINDOW_MS)
    }
}

/// The grants that still count.
#[derive(Debug, Default)]
pub(super) struct Faucet {
    grants: BTreeMap<Address, Grant>,
}

/// What an account gets, in attoFIL.
pub(super) fn amount() -> AttoFil {
    AttoFil::from_fil(GRANT_FIL)
}

impl Faucet {
    /// Goes on with the grants that were kept.
    pub fn of(grants: impl IntoIterator<Item = (Address, Grant)>) -> Self {
        let grants = grants.into_iter().collect();
        Self { grants }
    }

    /// The message of a grant made at this very height: asking twice in a row is harmless.
    pub fn repeated(&self, address: &Address, height: Epoch) -> Option<Cid> {
        self.grants
            .get(address)
            .filter(|grant| grant.height == height)
            .map(|grant| grant.message)
    }

    /// The accounts whose grants do not count any more; they need not be kept.
    pub fn forget(&mut self, height: Epoch, time_ms: u64) -> Vec<Address> {
        let old = self.grants.iter().filter(|(_, grant)| !grant.counts(height, time_ms));
        let old: Vec<Address> = old.map(|(address, _)| address.clone()).collect();
        for address in &old {
            self.grants.remove(address);
        }
        old
    }

    /// Whether `address` may have a grant at `height`, asked for by `from`.
    pub fn admits(&self, address: &Address, from: IpAddr, height: Epoch, time_ms: u64) -> Result<(), FaucetError> {
        let last = self.grants.get(address).map(|grant| grant.height);
        if let Some(at) = last.filter(|at| height < at.plus(INTERVAL)) {
            return Err(FaucetError::TooSoon {
                address: address.clone(),
                at,
                again: at.plus(INTERVAL),
            });
        }
        let recent = self
            .grants
            .values()
            .filter(|grant| grant.from == from && grant.is_recent(time_ms));
        let times: Vec<u64> = recent.map(|grant| grant.time_ms).collect();
        if let Some(first) = times.iter().min().filter(|_| times.len() >= PER_ADDRESS) {
            let minutes = first.saturating_add(WINDOW_MS).saturating_sub(time_ms).div_ceil(60_000);
            return Err(FaucetError::TooMany { from, minutes });
        }
        let counting = self.grants.values().filter(|grant| grant.counts(height, time_ms));
        if counting.count() >= MAX_REMEMBERED {
            return Err(FaucetError::Busy);
        }
        Ok(())
    }

    /// Remembers a grant that was sent.
    pub fn record(&mut self, address: Address, grant: Grant) {
        self.grants.insert(address, grant);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::chain::keys::cid_of_bytes;
    use shared::chain::SecretKey;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn grant(height: u64, time_ms: u64, from: IpAddr) -> Grant {
        Grant {
            height: Epoch(height),
            time_ms,
            message: cid_of_bytes(b"grant"),
            from,
        }
    }

    fn account(number: u64) -> Address {
        Address::actor(&Address::id(7), number)
    }

    #[test]
    fn an_account_gets_one_grant_in_an_interval() {
        let mut faucet = Faucet::default();
        let address = SecretKey::from_bytes(&[1; 32]).unwrap().address();
        faucet.admits(&address, HERE, Epoch(5), 0).unwrap();
        faucet.record(address.clone(), grant(5, 0, HERE));
        assert_eq!(faucet.repeated(&address, Epoch(5)), Some(cid_of_bytes(b"grant")));
        assert_eq!(faucet.repeated(&address, Epoch(6)), None);
        let too_soon = FaucetError::TooSoon {
            address: address.clone(),
            at: Epoch(5),
            again: Epoch(105),
        };
        assert_eq!(faucet.admits(&address, HERE, Epoch(104), WINDOW_MS), Err(too_soon));
        assert_eq!(faucet.admits(&address, HERE, Epoch(105), 0), Ok(()));
    }

    #[test]
    fn one_asking_address_gets_a_bounded_number_of_grants_in_an_hour_and_others_theirs() {
        let mut faucet = Faucet::default();
        for number in 0..PER_ADDRESS as u64 {
            assert_eq!(faucet.admits(&account(number), HERE, Epoch(number * 200), 5), Ok(()));
            faucet.record(account(number), grant(number * 200, 5, HERE));
        }
        let late = Epoch(1_000_000);
        let minutes = 1;
        let refused = FaucetError::TooMany { from: HERE, minutes };
        assert_eq!(faucet.admits(&account(9999), HERE, late, WINDOW_MS + 4), Err(refused));
        let other = "192.0.2.1".parse().unwrap();
        assert_eq!(faucet.admits(&account(9999), other, late, WINDOW_MS + 4), Ok(()));
        assert_eq!(faucet.admits(&account(9999), HERE, late, WINDOW_MS + 5), Ok(()));
    }

    #[test]
    fn the_faucet_remembers_a_bounded_number_of_accounts() {
        let mut faucet = Faucet::default();
        for number in 0..MAX_REMEMBERED as u64 {
            let from = IpAddr::V4((number as u32).into());
            faucet.record(account(number), grant(1, 0, from));
        }
        let next = Address::id(9);
        assert_eq!(faucet.admits(&next, HERE, Epoch(2), WINDOW_MS), Err(FaucetError::Busy));
        assert_eq!(faucet.admits(&next, HERE, Epoch(101), WINDOW_MS), Ok(()));
        assert_eq!(faucet.forget(Epoch(101), WINDOW_MS - 1), [] as [Address; 0]);
        assert_eq!(faucet.forget(Epoch(101), WINDOW_MS).len(), MAX_REMEMBERED);
        assert!(faucet.grants.is_empty());
    }
}
