//! Addresses of actors (spec §1.5): one protocol byte, a payload, and a text form with a checksum.

use crate::wire::cbor::{Cbor, DecodeError, Value};
use crate::wire::leb128;
use alloc::{string::String, vec::Vec};
use blake2::digest::{consts::U20, consts::U4, Digest};
use blake2::Blake2b;
use core::{fmt, str::FromStr};

/// Longest text form that is looked at (spec §1.5).
const MAX_TEXT: usize = 86;
/// Bytes of a BLS public key in compressed form.
const BLS_KEY: usize = 48;
/// The Ethereum address manager's number (FIP-0048), the only one whose addresses are accounts.
const ETHEREUM_MANAGER: u8 = 10;
/// Bytes of an address in Ethereum.
const ETHEREUM: usize = 20;
/// What an Ethereum address begins with that stands for a numbered actor: it has no key, and another address of its own.
const MASKED_ID: [u8; 12] = [0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// How an address names its actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Protocol {
    /// A number given by the chain.
    Id = 0,
    /// blake2b-160 of an uncompressed secp256k1 public key.
    Secp256k1 = 1,
    /// blake2b-160 of an actor's creation data.
    Actor = 2,
    /// A BLS public key.
    Bls = 3,
    /// An address of another address manager (FIP-0048): its number, and what it calls the actor. Here the Ethereum one's
    /// alone: the last 20 bytes of keccak-256 of a secp256k1 public key.
    Delegated = 4,
}

/// An actor's address. There is no undefined address: fields that may lack one are `Option<Address>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    protocol: Protocol,
    payload: Vec<u8>,
}

/// Why text or bytes are not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("an address is empty")]
    Empty,
    #[error("an address starts with t or f, a protocol digit 0 to 4, and its payload")]
    Form,
    #[error("unknown address protocol {0}")]
    Protocol(u8),
    #[error("the address has a payload of the wrong length or form")]
    Payload,
    #[error("the address's checksum does not match: it was mistyped")]
    Checksum,
}

impl Address {
    /// Names the network (spec §5.5).
    pub const INIT: u64 = 0;
    /// Holds the network's unspent supply.
    pub const NETWORK_TREASURY: u64 = 1;
    /// Registers miners (spec §5.4).
    pub const STORAGE_MARKET: u64 = 2;
    /// Holds payment channels (spec §5.2).
    pub const PAYMENT_BROKER: u64 = 3;
    /// Where fees and slashed funds end.
    pub const BURNT_FUNDS: u64 = 99;

    /// The singleton actor with this number.
    pub fn id(number: u64) -> Self {
        Self {
            protocol: Protocol::Id,
            payload: leb128::unsigned(number),
        }
    }

    /// The account of a secp256k1 public key in its 65-byte uncompressed form.
    pub fn secp256k1(public_key: &[u8; 65]) -> Self {
        Self {
            protocol: Protocol::Secp256k1,
            payload: hash160(public_key),
        }
    }

    /// The address of an actor that `creator` makes with the nonce `nonce`.
    pub fn actor(creator: &Address, nonce: u64) -> Self {
        let mut data = creator.to_bytes();
        data.extend_from_slice(&nonce.to_be_bytes());
        Self {
            protocol: Protocol::Actor,
            payload: hash160(&data),
        }
    }

    /// The account of an address in Ethereum; `None` for one that stands for a numbered actor.
    pub fn ethereum(address: &[u8; ETHEREUM]) -> Option<Self> {
        let payload: Vec<u8> = [ETHEREUM_MANAGER].iter().chain(address).copied().collect();
        is_ethereum(&payload).then_some(Self {
            protocol: Protocol::Delegated,
            payload,
        })
    }

    /// The address in Ethereum of a delegated one.
    pub fn to_ethereum(&self) -> Option<[u8; ETHEREUM]> {
        let is_delegated = self.protocol == Protocol::Delegated;
        let (_, address) = self.payload.split_first().filter(|_| is_delegated)?;
        address.try_into().ok()
    }

    /// Whether a key stands behind it that signs messages, so that it can be an account.
    pub fn can_sign(&self) -> bool {
        matches!(self.protocol, Protocol::Secp256k1 | Protocol::Delegated)
    }

    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Protocol byte and payload.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.payload.len().saturating_add(1));
        out.push(self.protocol as u8);
        out.extend_from_slice(&self.payload);
        out
    }

    /// The inverse of [`Address::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AddressError> {
        let (&protocol, payload) = bytes.split_first().ok_or(AddressError::Empty)?;
        let (protocol, fits) = match protocol {
            0 => (Protocol::Id, leb128::parse_unsigned(payload).is_ok()),
            1 => (Protocol::Secp256k1, payload.len() == 20),
            2 => (Protocol::Actor, payload.len() == 20),
            3 => (Protocol::Bls, payload.len() == BLS_KEY),
            4 => (Protocol::Delegated, is_ethereum(payload)),
            other => return Err(AddressError::Protocol(other)),
        };
        if !fits {
            return Err(AddressError::Payload);
        }
        Ok(Self {
            protocol,
            payload: payload.to_vec(),
        })
    }

    fn checksum(&self) -> Vec<u8> {
        Blake2b::<U4>::digest(self.to_bytes()).to_vec()
    }
}

/// Whether a delegated address is one of Ethereum's that can have a key.
fn is_ethereum(payload: &[u8]) -> bool {
    let of_manager = payload
        .split_first()
        .filter(|(manager, _)| **manager == ETHEREUM_MANAGER);
    of_manager.is_some_and(|(_, address)| address.len() == ETHEREUM && !address.starts_with(&MASKED_ID))
}

fn hash160(data: &[u8]) -> Vec<u8> {
    Blake2b::<U20>::digest(data).to_vec()
}

fn base32() -> data_encoding::Encoding {
    let mut spec = data_encoding::Specification::new();
    spec.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    spec.encoding().expect("32 distinct symbols make an encoding")
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}", self.protocol as u8)?;
        if self.protocol == Protocol::Id {
            let number = leb128::parse_unsigned(&self.payload).map_err(|_| fmt::Error)?;
            return write!(f, "{number}");
        }
        let mut data = self.payload.clone();
        if self.protocol == Protocol::Delegated {
            write!(f, "{ETHEREUM_MANAGER}f")?;
            data.remove(0);
        }
        data.extend_from_slice(&self.checksum());
        f.write_str(&base32().encode(&data))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        let rest = text
            .strip_prefix(['t', 'f'])
            .filter(|_| text.len() <= MAX_TEXT && text.is_ascii());
        let rest = rest.filter(|rest| rest.len() > 1).ok_or(AddressError::Form)?;
        let (protocol, body) = rest.split_at(1);
        let protocol = protocol.bytes().next().map_or(0, |digit| digit.wrapping_sub(b'0'));
        let mut bytes = alloc::vec![protocol];
        if protocol == 0 {
            let number: u64 = body.parse().map_err(|_| AddressError::Form)?;
            leb128::write_unsigned(&mut bytes, number);
            return Self::from_bytes(&bytes);
        }
        let body = match protocol {
            4 => {
                // The manager's number is written in decimal, and once only.
                bytes.push(ETHEREUM_MANAGER);
                body.strip_prefix("10f").ok_or(AddressError::Payload)?
            }
            _ => body,
        };
        let data = base32().decode(body.as_bytes()).map_err(|_| AddressError::Form)?;
        let (payload, checksum) = data.split_last_chunk::<4>().ok_or(AddressError::Payload)?;
        bytes.extend_from_slice(payload);
        let address = Self::from_bytes(&bytes)?;
        if address.checksum() != *checksum {
            return Err(AddressError::Checksum);
        }
        Ok(address)
    }
}

impl Cbor for Address {
    fn to_value(&self) -> Value {
        Value::Bytes(self.to_bytes())
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let bytes = value
            .into_bytes()
            .map_err(|_| DecodeError::Type { expected: "an address" })?;
        Self::from_bytes(&bytes).map_err(|e| DecodeError::invalid("address", e))
    }
}

/// An address field that may be undefined: the empty byte string, not null (spec §1.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaybeAddress(pub Option<Address>);

impl Cbor for MaybeAddress {
    fn to_value(&self) -> Value {
        self.0.as_ref().map_or(Value::Bytes(Vec::new()), Cbor::to_value)
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        if value.as_bytes().is_some_and(alloc::vec::Vec::is_empty) {
            return Ok(Self(None));
        }
        Address::from_value(value).map(|address| Self(Some(address)))
    }
}

impl serde::Serialize for Address {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINER: &str = "t2ewszk3zwnf2k5vppxihm4k7wi4tbo4x3ycsf3tq";

    #[test]
    fn text_and_bytes_match_the_vectors_both_ways() {
        let miner: Address = MINER.parse().unwrap();
        assert_eq!(
            hex::encode(miner.to_bytes()),
            "0225a5956f366974aed5efba0ece2bf647261772fb"
        );
        assert_eq!(alloc::format!("{miner}"), MINER);
        assert_eq!(Address::from_bytes(&miner.to_bytes()), Ok(miner.clone()));
        assert_eq!(MINER.replacen('t', "f", 1).parse(), Ok(miner));
        assert_eq!(hex::encode(Address::id(Address::PAYMENT_BROKER).to_bytes()), "0003");
        assert_eq!("t03".parse(), Ok(Address::id(3)));
    }

    #[test]
    fn the_miners_address_follows_from_owner_and_nonce() {
        let owner: Address = "t14rkut6lkfumi33nj765t4kli2m7aqytdaclor3y".parse().unwrap();
        assert_eq!(alloc::format!("{}", Address::actor(&owner, 0)), MINER);
    }

    #[test]
    fn an_ethereum_address_has_one_text_and_one_form_in_bytes() {
        let bytes: [u8; 20] = core::array::from_fn(|at| at as u8 + 1);
        let address = Address::ethereum(&bytes).unwrap();
        let whole = [&[4, 10][..], &bytes].concat();
        assert_eq!(
            (address.to_bytes(), address.to_ethereum()),
            (whole.clone(), Some(bytes))
        );
        assert_eq!(Address::from_bytes(&whole), Ok(address.clone()));
        let text = alloc::format!("{address}");
        assert!(text.starts_with("t410f") && text.len() == 44, "{text}");
        assert_eq!(text.parse(), Ok(address.clone()));
        assert_eq!(text.replacen('t', "f", 1).parse(), Ok(address));
        assert!(Address::id(1).to_ethereum().is_none());
        let mistyped = text.replace("t410fa", "t410fb");
        assert_eq!(mistyped.parse::<Address>(), Err(AddressError::Checksum));
        for other in ["t411f", "t410", "t4010f", "t4af", "t410F"] {
            let other = text.replacen("t410f", other, 1);
            assert!(other.parse::<Address>().is_err(), "{other}");
        }
    }

    #[test]
    fn a_delegated_address_of_another_manager_or_without_a_key_is_refused() {
        let payload = |manager: &[u8], address: &[u8]| [&[4][..], manager, address].concat();
        let masked = [&MASKED_ID[..], &[0; 8]].concat();
        for bad in [
            payload(&[11], &[1; 20]),
            payload(&[10], &[1; 19]),
            payload(&[10], &[1; 21]),
            payload(&[0x8a, 0], &[1; 20]),
            payload(&[10], &masked),
            payload(&[], &[]),
        ] {
            assert_eq!(Address::from_bytes(&bad), Err(AddressError::Payload), "{bad:?}");
        }
        assert_eq!(Address::ethereum(&masked.try_into().unwrap()), None);
    }

    #[test]
    fn a_mistyped_address_is_refused() {
        assert_eq!(
            MINER.replace("ewszk", "ewszl").parse::<Address>(),
            Err(AddressError::Checksum)
        );
        for bad in [
            "",
            "t",
            "t2",
            "x03",
            "t9aaaa",
            "t0-1",
            "t1é",
            "t4abcdefg",
            &"t1a".repeat(40),
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
        assert_eq!(Address::from_bytes(&[0x80]), Err(AddressError::Protocol(0x80)));
        assert_eq!(Address::from_bytes(&[1, 2, 3]), Err(AddressError::Payload));
        assert_eq!(Address::from_bytes(&[0]), Err(AddressError::Payload));
    }
}
