//! Who takes part in the tests' deals, and the deal that they begin with.

use shared::chain::{Address, AttoFil, Epoch, SecretKey};
use shared::deal::Draft;
use shared::piece::node::raw_cid;
use shared::piece::{Commitment, SectorSize};

pub const COMM_P: Commitment = Commitment([7; 32]);

/// 1 is the client's, 2 the owner's, 3 the worker's.
pub fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).expect("a valid key")
}

/// A paid deal of 1000 bytes in a sector of 2 KiB, for `duration` blocks.
pub fn draft(duration: u64) -> Draft {
    let owner = key(2).address();
    Draft {
        data_cid: raw_cid(b"piece"),
        comm_p: COMM_P,
        size: 1000,
        payer: key(1).address(),
        miner: Address::actor(&owner, 0),
        owner,
        worker: key(3).address(),
        sector_size: SectorSize::S2KiB,
        price: AttoFil(2),
        duration,
        start: Epoch(773),
    }
}
