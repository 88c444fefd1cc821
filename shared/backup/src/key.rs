//! The key of backup files, which follows from the root: whoever has the recovery phrase opens every backup that was made with it.
//!
//! HKDF-SHA-256 of the root's 32 bytes, without salt, with the info `sealdrop backup key 1`: 32 bytes, an X25519 identity of the age format. The program
//! `age` opens such a file with its text. No account follows from it.

use hkdf::Hkdf;
use sealdrop_encryption::Identity;
use sha2::Sha256;
use shared::chain::RootKey;
use zeroize::Zeroizing;

/// What the derived bytes are for, and the version of the derivation.
const INFO: &[u8] = b"sealdrop backup key 1";

/// What opens the backups of this root; its recipient is whom they are encrypted to.
pub fn identity(root: &RootKey) -> Identity {
    let secret = Zeroizing::new(root.to_bytes());
    let mut key = Zeroizing::new([0; 32]);
    let expanded = Hkdf::<Sha256>::new(None, secret.as_slice()).expand(INFO, key.as_mut_slice());
    expanded.expect("32 bytes are far fewer than HKDF gives");
    Identity::from_secret(&key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealdrop_encryption::{decrypt_bytes, encrypt_bytes, Keys, Recipients};

    #[test]
    fn a_backup_is_opened_by_its_own_root_alone() {
        let (own, other) = (RootKey::from_bytes([1; 32]), RootKey::from_bytes([2; 32]));
        let sealed =
            encrypt_bytes(&Recipients::X25519(&[identity(&own).recipient()]), b"book").expect("there is randomness");
        let open = |root| decrypt_bytes(Keys::Identities(&[identity(root)]), &sealed);
        assert_eq!(open(&own).expect("it is its own"), b"book");
        assert!(open(&other).is_err());
    }

    /// It would open no backup any more.
    #[test]
    fn the_key_of_a_root_stays_the_same() {
        let key = identity(&RootKey::from_bytes([1; 32]));
        assert_eq!(key.recipient().to_string(), VECTOR);
    }

    const VECTOR: &str = "age1zkcc6psw50r7zyw4mcplgp5s2qqs8enl0e6j5dx4s8482pg9k4tsrtrc8c";
}
