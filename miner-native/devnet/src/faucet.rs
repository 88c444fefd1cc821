//! Who got money from the faucet lately, so that nobody drains it by asking in a loop.
//!
//! Called by [`super::node`], which sends the money by an ordinary message. Forgotten at a restart: the faucet holds
//! enough for a million accounts, and the limit only has to stop loops.

use cid::Cid;
use shared::chain::{Address, AttoFil, Epoch};
use std::collections::BTreeMap;

/// What an account gets.
pub const GRANT_FIL: u64 = 1000;
/// Blocks that an account waits for its next grant.
pub const INTERVAL: u64 = 100;
/// Most accounts remembered; with all of them waiting the faucet rests.
pub const MAX_REMEMBERED: usize = 1024;

/// Why the faucet gives nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum FaucetError {
    #[error("{address} got money at height {at}: the faucet gives again from height {again}")]
    TooSoon { address: Address, at: Epoch, again: Epoch },
    #[error("{address} is not an account: the faucet gives to t1 addresses only")]
    NotAnAccount { address: Address },
    #[error("the faucet gave to {MAX_REMEMBERED} accounts within {INTERVAL} blocks: try again in some blocks")]
    Busy,
}

/// The grants of the last [`INTERVAL`] blocks.
#[derive(Debug, Default)]
pub(super) struct Faucet {
    grants: BTreeMap<Address, (Epoch, Cid)>,
}

/// What an account gets, in attoFIL.
pub(super) fn amount() -> AttoFil {
    AttoFil::from_fil(GRANT_FIL)
}

impl Faucet {
    /// The message of a grant made at this very height: asking twice in a row is harmless.
    pub fn repeated(&self, address: &Address, height: Epoch) -> Option<Cid> {
        self.grants
            .get(address)
            .filter(|(at, _)| *at == height)
            .map(|(_, message)| *message)
    }

    /// Whether `address` may have a grant at `height`.
    pub fn admits(&mut self, address: &Address, height: Epoch) -> Result<(), FaucetError> {
        self.grants.retain(|_, (at, _)| height < at.plus(INTERVAL));
        if let Some((at, _)) = self.grants.get(address) {
            return Err(FaucetError::TooSoon {
                address: address.clone(),
                at: *at,
                again: at.plus(INTERVAL),
            });
        }
        if self.grants.len() >= MAX_REMEMBERED {
            return Err(FaucetError::Busy);
        }
        Ok(())
    }

    /// Remembers a grant that was sent.
    pub fn record(&mut self, address: Address, height: Epoch, message: Cid) {
        self.grants.insert(address, (height, message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::chain::keys::cid_of_bytes;
    use shared::chain::SecretKey;

    #[test]
    fn an_account_gets_one_grant_in_an_interval() {
        let mut faucet = Faucet::default();
        let address = SecretKey::from_bytes(&[1; 32]).unwrap().address();
        faucet.admits(&address, Epoch(5)).unwrap();
        faucet.record(address.clone(), Epoch(5), cid_of_bytes(b"grant"));
        assert_eq!(faucet.repeated(&address, Epoch(5)), Some(cid_of_bytes(b"grant")));
        assert_eq!(faucet.repeated(&address, Epoch(6)), None);
        let too_soon = FaucetError::TooSoon {
            address: address.clone(),
            at: Epoch(5),
            again: Epoch(105),
        };
        assert_eq!(faucet.admits(&address, Epoch(104)), Err(too_soon));
        assert_eq!(faucet.admits(&address, Epoch(105)), Ok(()));
    }

    #[test]
    fn the_faucet_remembers_a_bounded_number_of_accounts() {
        let mut faucet = Faucet::default();
        for number in 0..MAX_REMEMBERED as u64 {
            faucet.record(
                Address::actor(&Address::id(7), number),
                Epoch(1),
                cid_of_bytes(b"grant"),
            );
        }
        assert_eq!(faucet.admits(&Address::id(9), Epoch(2)), Err(FaucetError::Busy));
        assert_eq!(faucet.admits(&Address::id(9), Epoch(101)), Ok(()));
    }
}
