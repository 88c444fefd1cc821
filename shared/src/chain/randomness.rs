//! Randomness for proofs, drawn from a block's ticket for one miner and one purpose (design §9).
//!
//! Called by the miner actor when it verifies and by the miner's host when it proves, so that both use the same bytes.

use super::address::Address;
use blake2::digest::{consts::U32, Digest};
use blake2::Blake2b;

/// What randomness is for; draws for different purposes have nothing in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The ticket that a replica is encoded with, from the block at the pre-commit's ticket height.
    SealTicket,
    /// The challenge of a seal proof, from the block [`super::Policy::seed_delay`] after the pre-commit.
    SealSeed,
    /// The challenge of a proof-of-spacetime, from the block at the proving window's start.
    WindowPoSt,
}

impl Purpose {
    fn domain(self) -> &'static [u8] {
        match self {
            Self::SealTicket => b"sealdrop/randomness/seal-ticket",
            Self::SealSeed => b"sealdrop/randomness/seal-seed",
            Self::WindowPoSt => b"sealdrop/randomness/window-post",
        }
    }
}

/// 32 bytes for `purpose` of `miner` from a block's ticket. The two top bits of the last byte are 0, so that the bytes
/// are a field element of BLS12-381 in little-endian order.
pub fn draw(purpose: Purpose, block_ticket: &[u8], miner: &Address) -> [u8; 32] {
    let mut hasher = Blake2b::<U32>::new();
    for part in [purpose.domain(), &miner.to_bytes(), block_ticket] {
        // Lengths in front keep two different splits of the same bytes apart.
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let mut out: [u8; 32] = hasher.finalize().into();
    out[31] &= 0x3f;
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_differ_by_purpose_block_and_miner_and_are_field_elements() {
        let (a, b) = (Address::actor(&Address::id(7), 0), Address::actor(&Address::id(7), 1));
        let draws = [
            draw(Purpose::SealTicket, b"one", &a),
            draw(Purpose::SealSeed, b"one", &a),
            draw(Purpose::WindowPoSt, b"one", &a),
            draw(Purpose::SealTicket, b"two", &a),
            draw(Purpose::SealTicket, b"one", &b),
        ];
        for (i, left) in draws.iter().enumerate() {
            assert_eq!(left[31] & 0xc0, 0);
            assert!(draws[i + 1..].iter().all(|right| left != right));
        }
        assert_eq!(draws[0], draw(Purpose::SealTicket, b"one", &a));
    }
}
