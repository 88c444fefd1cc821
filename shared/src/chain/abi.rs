//! The ABI's types: how method parameters and return values become bytes (spec §1.9).
//!
//! Called by the actors and by [`super::calls`], which builds the same parameters for hosts.

use super::address::Address;
use super::amount::{AttoFil, BytesAmount, ChannelId, Epoch};
use crate::payment::Predicate;
use crate::piece::Commitment;
use crate::wire::cbor::{encode_value, Bytes, DecodeError, Value};
use crate::wire::{decode, encode, leb128};
use alloc::{string::String, vec::Vec};

/// An IntSet without members.
pub const EMPTY_INT_SET: [u8; 2] = [0x41, 0x00];
/// A FaultSet without faults.
pub const EMPTY_FAULT_SET: [u8; 12] = [0xa2, 0x63, b'i', b'd', b's', 0x41, 0x00, 0x63, b'i', b'd', b'x', 0x00];

/// A value as one parameter or return value.
pub trait Abi: Sized {
    fn to_abi(&self) -> Vec<u8>;
    fn from_abi(bytes: &[u8]) -> Result<Self, DecodeError>;
}

/// The ABI's `Integer`: big-endian magnitude, zero is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Integer(pub u64);

/// The ABI's `SectorID`: unsigned LEB128.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SectorNumber(pub u64);

/// The ABI's `Parameters`: the redeemer's share of a condition's parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters(pub Vec<Value>);

impl Abi for Address {
    fn to_abi(&self) -> Vec<u8> {
        self.to_bytes()
    }
    fn from_abi(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::from_bytes(bytes).map_err(|e| DecodeError::invalid("address", e))
    }
}

impl Abi for AttoFil {
    fn to_abi(&self) -> Vec<u8> {
        self.to_bytes()
    }
    fn from_abi(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::from_bytes(bytes)
    }
}

impl Abi for BytesAmount {
    fn to_abi(&self) -> Vec<u8> {
        self.to_bytes()
    }
    fn from_abi(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::from_bytes(bytes)
    }
}

impl Abi for ChannelId {
    fn to_abi(&self) -> Vec<u8> {
        self.to_bytes()
    }
    fn from_abi(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::from_bytes(bytes)
    }
}

impl Abi for Epoch {
    fn to_abi(&self) -> Vec<u8> {
        self.to_bytes()
    }
    /// Of the LEB128 numbers only a height may be empty (spec §1.4).
    fn from_abi(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.is_empty() {
            return Ok(Self(0));
        }
        Self::from_bytes(bytes)
    }
}

impl Abi for Integer {
    fn to_abi(&self) -> Vec<u8> {
        let bytes = self.0.to_be_bytes();
        bytes.iter().copied().skip_while(|byte| *byte == 0).collect()
    }
    fn from_abi(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > 8 || bytes.first() == Some(&0) {
            return Err(DecodeError::invalid(
                "integer",
                "it does not fit 64 bits or starts with a zero byte",
            ));
        }
        Ok(Self(
            bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
        ))
    }
}

impl Abi for SectorNumber {
    fn to_abi(&self) -> Vec<u8> {
        leb128::unsigned(self.0)
    }
    fn from_abi(bytes: &[u8]) -> Result<Self, DecodeError> {
        leb128::parse_unsigned(bytes)
            .map(Self)
            .map_err(|e| DecodeError::invalid("sectorID", e))
    }
}

impl Abi for Bytes {
    fn to_abi(&self) -> Vec<u8> {
        self.0.clone()
    }
    fn from_abi(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self(bytes.to_vec()))
    }
}

impl Abi for Commitment {
    fn to_abi(&self) -> Vec<u8> {
        self.0.to_vec()
    }
    fn from_abi(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::try_from(bytes).map_err(|e| DecodeError::invalid("commitment", e))
    }
}

impl Abi for bool {
    fn to_abi(&self) -> Vec<u8> {
        alloc::vec![u8::from(*self)]
    }
    fn from_abi(bytes: &[u8]) -> Result<Self, DecodeError> {
        match bytes {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(DecodeError::Type { expected: "a boolean" }),
        }
    }
}

impl Abi for Option<Predicate> {
    fn to_abi(&self) -> Vec<u8> {
        encode(self)
    }
    fn from_abi(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes)
    }
}

impl Abi for Parameters {
    fn to_abi(&self) -> Vec<u8> {
        encode(&self.0)
    }
    fn from_abi(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes).map(Self)
    }
}

/// The ABI's `UintArray`.
impl Abi for Vec<u64> {
    fn to_abi(&self) -> Vec<u8> {
        encode(self)
    }
    fn from_abi(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes)
    }
}

/// The CBOR of a map with computed keys, sorted by length and then bytewise like every other map.
pub fn map_bytes(mut entries: Vec<(String, Value)>) -> Vec<u8> {
    entries.sort_by(|a, b| (a.0.len(), &a.0).cmp(&(b.0.len(), &b.0)));
    encode_value(&Value::Map(
        entries
            .into_iter()
            .map(|(key, value)| (Value::Text(key), value))
            .collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_big_endian_magnitudes_and_zero_is_empty() {
        for (number, text) in [
            (0, ""),
            (10, "0a"),
            (255, "ff"),
            (256, "0100"),
            (u64::MAX, "ffffffffffffffff"),
        ] {
            assert_eq!(hex::encode(Integer(number).to_abi()), text);
            assert_eq!(Integer::from_abi(&hex::decode(text).unwrap()), Ok(Integer(number)));
        }
        assert!(Integer::from_abi(&[0, 1]).is_err());
        assert!(Integer::from_abi(&[1; 9]).is_err());
    }

    #[test]
    fn only_a_height_may_be_empty() {
        assert_eq!(Epoch::from_abi(&[]), Ok(Epoch(0)));
        assert!(AttoFil::from_abi(&[]).is_err());
        assert!(ChannelId::from_abi(&[]).is_err());
        assert!(SectorNumber::from_abi(&[]).is_err());
    }

    #[test]
    fn empty_sets_match_the_vectors() {
        assert_eq!(hex::encode(EMPTY_FAULT_SET), "a26369647341006369647800");
        assert_eq!(hex::encode(EMPTY_INT_SET), "4100");
    }

    #[test]
    fn redeemer_parameters_match_the_vector() {
        let parameters = Parameters(alloc::vec![Value::Integer(1.into()), Value::Bytes(alloc::vec![0; 8])]);
        assert_eq!(hex::encode(parameters.to_abi()), "8201480000000000000000");
        assert_eq!(Parameters::from_abi(&parameters.to_abi()), Ok(parameters));
    }
}
