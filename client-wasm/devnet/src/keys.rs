//! Every key of a network, from its seed: the same seed is the same network.

use ed25519_dalek::SigningKey;
use shared::chain::keys::blake2b256;
use shared::chain::SecretKey;

/// The seed that all keys come from.
#[derive(Clone)]
pub struct Seed([u8; 32]);

impl Seed {
    /// Of any text.
    pub fn of(text: &str) -> Self {
        Self(blake2b256(&[b"sealdrop in-page devnet", text.as_bytes()].concat()))
    }

    fn bytes(&self, what: &str, attempt: u8) -> [u8; 32] {
        blake2b256(&[self.0.as_slice(), what.as_bytes(), &[attempt]].concat())
    }

    /// An account's key.
    pub fn account(&self, what: &str) -> SecretKey {
        // All but one in 2¹²⁷ candidates are a key.
        (0..=u8::MAX)
            .find_map(|attempt| SecretKey::from_bytes(&self.bytes(what, attempt)))
            .expect("256 hashes in a row are never all beyond the group's order")
    }

    /// The secret of a host's key.
    pub fn host(&self, what: &str) -> SigningKey {
        SigningKey::from_bytes(&self.bytes(what, 0))
    }
}
