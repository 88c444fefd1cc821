//! The ABI's types: how method parameters and return values become bytes (spec §1.9).
//!
//! Called by the actors and by [`super::calls`], which builds the same parameters for hosts. Sets of sectors are in
//! [`super::faults`].

use super::address::Address;
use super::amount::{AttoFil, BytesAmount, ChannelId, Epoch};
use super::state::{Ask, PaymentChannel};
use crate::chain::voucher::{PaymentVoucher, Predicate};
use crate::piece::Commitment;
use crate::wire::cbor::{cbor_map, Bytes, Cbor, DecodeError, Fields, Value};
use crate::wire::{decode, encode, leb128};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

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

/// What a sector is committed with: the entries of [`CommitmentsMap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commitments {
    pub comm_d: Commitment,
    pub comm_r: Commitment,
    pub comm_r_star: Commitment,
}
cbor_map!(Commitments { "commD" => comm_d, "commR" => comm_r, "commRStar" => comm_r_star });

/// The ABI's `CommitmentsMap`, by sector number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitmentsMap(pub BTreeMap<u64, Commitments>);

/// The ABI's `MinerPoStStates`: how miners stand with their proofs, as [`super::actors::miner::PostState`] numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MinerPoStStates(pub BTreeMap<Address, u64>);

/// A payer's channels, as the broker's `ls` returns them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Channels(pub BTreeMap<ChannelId, PaymentChannel>);

/// The ABI's `ProofsMode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ProofsMode {
    Unset = 0,
    /// Sectors of 1 KiB, in the 2019 system.
    Test = 1,
    /// Proofs are verified.
    Live = 2,
}

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

impl Abi for Parameters {
    fn to_abi(&self) -> Vec<u8> {
        encode(&self.0)
    }
    fn from_abi(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes).map(Self)
    }
}

impl Abi for String {
    fn to_abi(&self) -> Vec<u8> {
        self.clone().into_bytes()
    }
    fn from_abi(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::from_utf8(bytes.to_vec()).map_err(|_| DecodeError::Type { expected: "text" })
    }
}

impl Abi for ProofsMode {
    fn to_abi(&self) -> Vec<u8> {
        alloc::vec![*self as u8]
    }
    fn from_abi(bytes: &[u8]) -> Result<Self, DecodeError> {
        match bytes {
            [0] => Ok(Self::Unset),
            [1] => Ok(Self::Test),
            [2] => Ok(Self::Live),
            _ => Err(DecodeError::Type {
                expected: "a proofs mode",
            }),
        }
    }
}

/// Types whose ABI form is their canonical CBOR.
macro_rules! cbor_abi {
    ($($type:ty),+) => {$(
        impl Abi for $type {
            fn to_abi(&self) -> Vec<u8> {
                encode(self)
            }
            fn from_abi(bytes: &[u8]) -> Result<Self, DecodeError> {
                decode(bytes)
            }
        }
    )+};
}
cbor_abi!(
    Option<Predicate>,
    Vec<u64>,
    Ask,
    PaymentVoucher,
    CommitmentsMap,
    MinerPoStStates,
    Channels
);

impl Cbor for CommitmentsMap {
    fn to_value(&self) -> Value {
        keyed(self.0.iter().map(|(id, entry)| (id.to_string(), entry.to_value())))
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        entries(value, |key| key.parse().ok()).map(Self)
    }
}

impl Cbor for MinerPoStStates {
    fn to_value(&self) -> Value {
        keyed(
            self.0
                .iter()
                .map(|(miner, state)| (miner.to_string(), state.to_value())),
        )
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        entries(value, |key| key.parse().ok()).map(Self)
    }
}

impl Cbor for Channels {
    fn to_value(&self) -> Value {
        keyed(self.0.iter().map(|(id, channel)| (id.to_string(), channel.to_value())))
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        entries(value, |key| key.parse().ok().map(ChannelId)).map(Self)
    }
}

impl Cbor for Ask {
    fn to_value(&self) -> Value {
        crate::wire::cbor::map(alloc::vec![
            ("iD", Value::Bytes(Integer(self.id).to_abi())),
            ("price", self.price.to_value()),
            ("expiry", self.expiry.to_value()),
        ])
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut fields = Fields::open(value, "Ask", &["iD", "price", "expiry"])?;
        let id: Bytes = fields.take("iD")?;
        Ok(Self {
            id: Integer::from_abi(&id.0)?.0,
            price: fields.take("price")?,
            expiry: fields.take("expiry")?,
        })
    }
}

/// A map with computed keys, sorted by length and then bytewise like every other map.
fn keyed(entries: impl Iterator<Item = (String, Value)>) -> Value {
    let mut entries: Vec<(String, Value)> = entries.collect();
    entries.sort_by(|a, b| (a.0.len(), &a.0).cmp(&(b.0.len(), &b.0)));
    Value::Map(
        entries
            .into_iter()
            .map(|(key, value)| (Value::Text(key), value))
            .collect(),
    )
}

/// The entries of a map with computed keys. Keys in another spelling (`01`, `f1...`) do not give the same bytes back, and
/// so [`decode`] refuses them.
fn entries<K: Ord, T: Cbor>(value: Value, key: impl Fn(&str) -> Option<K>) -> Result<BTreeMap<K, T>, DecodeError> {
    let raw = value.into_map().map_err(|_| DecodeError::Type { expected: "a map" })?;
    raw.into_iter()
        .map(|(name, value)| {
            let name = name.as_text().and_then(&key);
            let name = name.ok_or(DecodeError::Type {
                expected: "a map's key",
            })?;
            Ok((name, T::from_value(value)?))
        })
        .collect()
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

    fn commitments(byte: u8) -> Commitments {
        let [comm_d, comm_r, comm_r_star] = [0, 1, 2].map(|i| Commitment([byte + i; 32]));
        Commitments {
            comm_d,
            comm_r,
            comm_r_star,
        }
    }

    /// The canonical bytes decode to the value, and no change to them does.
    fn assert_strict<T: Abi + PartialEq + core::fmt::Debug>(value: &T, others: &[&str]) {
        let bytes = value.to_abi();
        assert_eq!(T::from_abi(&bytes).as_ref(), Ok(value));
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(T::from_abi(&longer).is_err());
        for end in 0..bytes.len() {
            assert!(T::from_abi(&bytes[..end]).is_err(), "{end} bytes");
        }
        for other in others {
            let other = hex::decode(other).expect("hexadecimal");
            assert!(T::from_abi(&other).is_err(), "{}", hex::encode(other));
        }
    }

    #[test]
    fn commitments_are_listed_by_decimal_sector_number_in_canonical_order() {
        let map = CommitmentsMap([(10, commitments(1)), (9, commitments(4))].into());
        let text = hex::encode(map.to_abi());
        assert!(text.starts_with("a26139a365636f6d6d44582004"), "{text}");
        // A key with a leading zero is another spelling of the same number.
        let spelled = text.replacen("6139", "623039", 1);
        assert_strict(&map, &[&spelled, "80"]);
        assert_eq!(CommitmentsMap::default().to_abi(), [0xa0]);
    }

    #[test]
    fn proof_states_are_listed_by_the_miners_text_address() {
        let miner: Address = "t2ewszk3zwnf2k5vppxihm4k7wi4tbo4x3ycsf3tq".parse().expect("an address");
        let states = MinerPoStStates([(miner, 3)].into());
        let text = hex::encode(states.to_abi());
        assert!(text.starts_with("a17829743265") && text.ends_with("03"), "{text}");
        // The address with the other network's prefix prints as t2.
        assert_strict(&states, &[&text.replacen("743265", "663265", 1)]);
    }

    #[test]
    fn proofs_modes_are_one_byte() {
        for (mode, byte) in [(ProofsMode::Unset, 0), (ProofsMode::Test, 1), (ProofsMode::Live, 2)] {
            assert_eq!(mode.to_abi(), [byte]);
            assert_strict(&mode, &["03"]);
        }
    }

    #[test]
    fn asks_and_arrays_of_numbers_decode_from_their_canonical_bytes_only() {
        let ask = Ask {
            id: 1,
            price: AttoFil(20),
            expiry: Epoch(1010),
        };
        assert_eq!(
            hex::encode(ask.to_abi()),
            "a3626944410165707269636541146665787069727942f207"
        );
        assert_strict(&ask, &["a362694442000165707269636541146665787069727942f207"]);
        assert_strict(&alloc::vec![0u64, 24], &["82001900aa"]);
    }

    #[test]
    fn redeemer_parameters_match_the_vector() {
        let parameters = Parameters(alloc::vec![Value::Integer(1.into()), Value::Bytes(alloc::vec![0; 8])]);
        assert_eq!(hex::encode(parameters.to_abi()), "8201480000000000000000");
        assert_eq!(Parameters::from_abi(&parameters.to_abi()), Ok(parameters));
    }
}
