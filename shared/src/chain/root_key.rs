//! Keys that are bound to a network: what is signed on one must not count on another, while the signed bytes stay those of 2019
//! (design §8, finding B3). Nothing in a message, a voucher or a proposal names the network, so the account does: each network
//! has accounts of its own, derived from one root.
//!
//! Called by both wallets when an account is made or its key is needed; the key then signs ([`super::keys`]).
//!
//! The derivation is HKDF-SHA-256 (RFC 5869):
//!
//! | | |
//! |-|-|
//! | input keying material | the root's 32 bytes |
//! | salt | the bytes of the genesis id, a binary CID: text in another base gives the same account |
//! | info | `sealdrop account key 1`, then the account's number (4 bytes, big-endian), then the attempt (1 byte) |
//! | output | 32 bytes; the first attempt, from 0 on, that is a secp256k1 secret is the key |
//!
//! Vectors are in `shared/tests/vectors.rs`. Neither the root nor an account of another number or network follows from a key.

use super::address::Address;
use super::keys::SecretKey;
use cid::Cid;
use hkdf::Hkdf;
use sha2::Sha256;

/// What the derived bytes are for, and the version of the derivation: another one would make other accounts.
const INFO: &[u8] = b"sealdrop account key 1";

/// The same of session keys ([`super::session`]): no account's key is one, since a voucher says which channel it is for and not whose.
const SESSION_INFO: &[u8] = b"sealdrop session key 1";

/// What all accounts of a wallet come from. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct RootKey([u8; 32]);

impl RootKey {
    /// The host draws the bytes; any will do.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The root itself, for the host's key store.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0
    }

    /// The key of account `number` on the network with the genesis id `network`.
    pub fn account(&self, network: &Cid, number: u32) -> SecretKey {
        self.derive(network, INFO, &number.to_be_bytes())
    }

    /// The session key for the channels of `payer`, whose own key is with a signer elsewhere, on the network with the genesis id
    /// `network`. Derived like an account, with `sealdrop session key 1` and the bytes of the payer's address for info.
    pub fn session(&self, network: &Cid, payer: &Address) -> SecretKey {
        self.derive(network, SESSION_INFO, &payer.to_bytes())
    }

    fn derive(&self, network: &Cid, info: &[u8], of: &[u8]) -> SecretKey {
        let root = Hkdf::<Sha256>::new(Some(&network.to_bytes()), &self.0);
        first_secret(|attempt| {
            let mut bytes = [0; 32];
            root.expand_multi_info(&[info, of, &[attempt]], &mut bytes)
                .expect("32 bytes are far fewer than HKDF gives");
            bytes
        })
    }
}

impl core::fmt::Debug for RootKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("RootKey")
    }
}

/// The first candidate that is a secret: not 0 and below the order of the group, as all but one in 2¹²⁷ are.
fn first_secret(candidate: impl Fn(u8) -> [u8; 32]) -> SecretKey {
    (0..=u8::MAX)
        .find_map(|attempt| SecretKey::from_bytes(&candidate(attempt)))
        .expect("256 candidates in a row are no secrets once in 2³²⁵¹²")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::keys::cid_of_bytes;
    use alloc::format;

    #[test]
    fn each_network_and_each_number_has_an_account_of_its_own() {
        let root = RootKey::from_bytes([1; 32]);
        let (one, two) = (cid_of_bytes(b"one"), cid_of_bytes(b"two"));
        let accounts = [
            root.account(&one, 0).address(),
            root.account(&one, 1).address(),
            root.account(&two, 0).address(),
            root.account(&two, 1).address(),
            RootKey::from_bytes([2; 32]).account(&one, 0).address(),
        ];
        for (at, address) in accounts.iter().enumerate() {
            assert!(!accounts[..at].contains(address), "{address}");
        }
        assert_eq!(root.account(&one, 0).address(), accounts[0], "it is always the same");
    }

    #[test]
    fn each_payer_has_a_session_key_of_its_own_on_each_network_and_it_is_no_account() {
        let root = RootKey::from_bytes([1; 32]);
        let (one, two) = (cid_of_bytes(b"one"), cid_of_bytes(b"two"));
        let [payer, other] = [7, 8].map(|byte| SecretKey::from_bytes(&[byte; 32]).unwrap().wallet_address());
        let keys = [
            root.session(&one, &payer).address(),
            root.session(&one, &other).address(),
            root.session(&two, &payer).address(),
            root.account(&one, 0).address(),
        ];
        for (at, address) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(address), "{address}");
        }
        assert_eq!(root.session(&one, &payer).address(), keys[0], "it is always the same");
    }

    #[test]
    fn bytes_that_are_no_secret_are_passed_over() {
        let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
        let order: [u8; 32] = hex::decode(order).unwrap().try_into().unwrap();
        let key = first_secret(|attempt| [[0; 32], order, [0xff; 32], [7; 32]][usize::from(attempt)]);
        assert_eq!(key.to_bytes(), [7; 32]);
    }

    #[test]
    fn a_root_is_not_shown() {
        let shown = format!("{:?}", RootKey::from_bytes([0xab; 32]));
        assert!(!shown.contains("ab") && !shown.contains("171"), "{shown}");
    }
}
