//! Hashes, object ids and secp256k1 signatures (spec §1.6). Pure: the host supplies the secret's bytes.

use super::address::Address;
use super::typed_data::{keccak256, TypedData};
use crate::wire::cbor::{Cbor, DecodeError, Value};
use alloc::vec::Vec;
use blake2::digest::{consts::U32, Digest};
use blake2::Blake2b;
use cid::{multihash::Multihash, Cid};
use k256::ecdsa::{RecoveryId, SigningKey, VerifyingKey};

const MULTIHASH_BLAKE2B_256: u64 = 0xb220;
const CODEC_DAG_CBOR: u64 = 0x71;
/// What wallets add to the recovery id.
const WALLET_V: u8 = 27;

/// blake2b-256, the hash of everything on the chain.
pub fn blake2b256(data: &[u8]) -> [u8; 32] {
    Blake2b::<U32>::digest(data).into()
}

/// The id of an object: CIDv1, dag-cbor, blake2b-256 of its canonical bytes.
pub fn cid_of<T: Cbor>(object: &T) -> Cid {
    cid_of_bytes(&crate::wire::encode(object))
}

/// The id of an object whose canonical bytes are at hand.
pub fn cid_of_bytes(bytes: &[u8]) -> Cid {
    let hash = Multihash::wrap(MULTIHASH_BLAKE2B_256, &blake2b256(bytes)).expect("32 bytes fit a multihash");
    Cid::new_v1(CODEC_DAG_CBOR, hash)
}

/// R ‖ S ‖ V, 65 bytes, over blake2b-256 of the signed bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 65]);

impl Signature {
    /// Whether the holder of `signer`'s key signed `data`. Only secp256k1 accounts sign bytes, a wallet signs messages alone
    /// ([`Signature::wallet`]); anything malformed is false.
    pub fn verifies(&self, data: &[u8], signer: &Address) -> bool {
        self.signer(data).is_some_and(|recovered| recovered == *signer)
    }

    /// The account whose key made this signature over `data`, if it is a signature at all.
    pub fn signer(&self, data: &[u8]) -> Option<Address> {
        let (&recovery, _) = self.0.split_last()?;
        self.recover(&blake2b256(data), recovery).map(|key| address_of(&key))
    }

    /// The account whose Ethereum wallet made this signature over typed data (EIP-712), if it is one. V is 27 or 28, as wallets
    /// have it, and S is in the lower half, so that nobody makes another signature of it.
    pub fn wallet(&self, data: &TypedData) -> Option<Address> {
        let (&v, _) = self.0.split_last()?;
        let recovery = v.checked_sub(WALLET_V)?;
        let key = self.recover(&data.signing_hash(), recovery)?;
        ethereum_address_of(&key)
    }

    /// The key that made it over a hash. One with S in the upper half does not verify with any.
    fn recover(&self, hash: &[u8; 32], recovery: u8) -> Option<VerifyingKey> {
        let recovery = RecoveryId::from_byte(recovery).filter(|id| !id.is_x_reduced())?;
        let signature = k256::ecdsa::Signature::from_slice(self.0.get(..64)?).ok()?;
        VerifyingKey::recover_from_prehash(hash, &signature, recovery).ok()
    }
}

impl core::fmt::Debug for Signature {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Cbor for Signature {
    fn to_value(&self) -> Value {
        Value::Bytes(self.0.to_vec())
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        <[u8; 65]>::from_value(value).map(Self).map_err(|_| DecodeError::Type {
            expected: "a signature of 65 bytes",
        })
    }
}

/// A secp256k1 secret key. `Debug` shows the address only.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// `None` when the bytes are zero or not below the group order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        SigningKey::from_slice(bytes).ok().map(Self)
    }

    /// The secret itself, for the host's key store.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes().into()
    }

    pub fn address(&self) -> Address {
        address_of(self.0.verifying_key())
    }

    /// The account that the same key has in an Ethereum wallet.
    pub fn wallet_address(&self) -> Address {
        ethereum_address_of(self.0.verifying_key()).expect("no key is known whose address stands for a numbered actor")
    }

    /// Signs blake2b-256 of `data` (deterministic, RFC 6979).
    pub fn sign(&self, data: &[u8]) -> Signature {
        self.sign_hash(&blake2b256(data), 0)
    }

    /// Signs typed data as an Ethereum wallet does.
    pub fn sign_as_wallet(&self, data: &TypedData) -> Signature {
        self.sign_hash(&data.signing_hash(), WALLET_V)
    }

    fn sign_hash(&self, hash: &[u8; 32], v: u8) -> Signature {
        let (signature, recovery) = self
            .0
            .sign_prehash_recoverable(hash)
            .expect("a 32-byte hash can always be signed");
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        bytes[64] = v.saturating_add(recovery.to_byte());
        Signature(bytes)
    }
}

impl core::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "SecretKey({})", self.address())
    }
}

fn address_of(key: &VerifyingKey) -> Address {
    Address::secp256k1(&uncompressed(key))
}

/// The last 20 bytes of keccak-256 of the point without its first byte.
fn ethereum_address_of(key: &VerifyingKey) -> Option<Address> {
    let point = uncompressed(key);
    let hash = keccak256(point.get(1..)?);
    Address::ethereum(hash.last_chunk()?)
}

fn uncompressed(key: &VerifyingKey) -> [u8; 65] {
    let point = key.to_encoded_point(false);
    let bytes: Vec<u8> = point.as_bytes().to_vec();
    bytes.try_into().expect("an uncompressed point has 65 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn addresses_of_the_vector_keys_match() {
        let expected = [
            (1, "t1ksu3ktw4xhyaoltwr546b3epfs5wxxqfyyxipwi"),
            (2, "t14rkut6lkfumi33nj765t4kli2m7aqytdaclor3y"),
            (3, "t1q6ursdizgt5s2s2k5aovthgopmt2wqyurdehrqi"),
        ];
        for (byte, text) in expected {
            let key = SecretKey::from_bytes(&[byte; 32]).unwrap();
            assert_eq!(key.address().to_string(), text);
        }
    }

    #[test]
    fn a_message_id_matches_the_vector() {
        let id = "bafy2bzacedjwujqzuzzesrqe4en3ir6lz5jdd2psxis4efuro7w4sqn5kcwwy";
        assert_eq!(cid_of_bytes(&[0xa0]).to_string(), id);
    }

    #[test]
    fn a_signature_holds_for_its_data_and_signer_only() {
        let key = SecretKey::from_bytes(&[1; 32]).unwrap();
        let other = SecretKey::from_bytes(&[2; 32]).unwrap();
        let signature = key.sign(b"data");
        assert!(signature.verifies(b"data", &key.address()));
        assert!(!signature.verifies(b"date", &key.address()));
        assert!(!signature.verifies(b"data", &other.address()));
        for at in [0, 31, 32, 63, 64] {
            let mut bad = signature;
            bad.0[at] ^= 1;
            assert!(!bad.verifies(b"data", &key.address()), "byte {at}");
        }
        assert!(!Signature([0; 65]).verifies(b"data", &key.address()));
        assert!(!Signature([255; 65]).verifies(b"data", &key.address()));
    }
}
