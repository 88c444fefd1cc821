//! Units as types: attoFIL, bytes, epochs and channel ids (spec §1.4). All arithmetic is checked.

use crate::wire::cbor::{Cbor, DecodeError, Value};
use crate::wire::leb128;
use alloc::{string::String, vec::Vec};
use core::{fmt, str::FromStr};

/// Decimal places of a FIL.
const DECIMALS: usize = 18;
/// attoFIL in one FIL.
const ONE_FIL: u128 = 1_000_000_000_000_000_000;

/// A non-negative amount of money in attoFIL (10⁻¹⁸ FIL). The whole supply (2·10⁹ FIL) needs 91 of the 126 bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttoFil(pub u128);

/// Why text is not an amount of FIL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    #[error("an amount is a decimal number of FIL such as 0.00025, with at most 18 decimals")]
    Form,
    #[error("the amount is larger than all FIL that can exist")]
    TooLarge,
}

impl AttoFil {
    pub const ZERO: Self = Self(0);

    pub fn from_fil(fil: u64) -> Self {
        Self(u128::from(fil) * ONE_FIL)
    }

    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).filter(|sum| *sum < 1 << 125).map(Self)
    }

    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The product, `None` when it is more than can exist.
    pub fn checked_mul(self, factor: u128) -> Option<Self> {
        self.0
            .checked_mul(factor)
            .filter(|product| *product < 1 << 125)
            .map(Self)
    }
}

impl fmt::Display for AttoFil {
    /// In FIL, trailing zeros cut: `0.00025`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / ONE_FIL, self.0 % ONE_FIL);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        let decimals = alloc::format!("{rest:018}");
        write!(f, "{whole}.{}", decimals.trim_end_matches('0'))
    }
}

impl FromStr for AttoFil {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() && decimals.is_empty() || !digits(whole) || !digits(decimals) {
            return Err(AmountError::Form);
        }
        let missing = DECIMALS.checked_sub(decimals.len()).ok_or(AmountError::Form)?;
        let mut all = String::from(whole);
        all.push_str(decimals);
        all.extend(core::iter::repeat_n('0', missing));
        all.parse()
            .ok()
            .filter(|atto: &u128| *atto < 1 << 125)
            .map(Self)
            .ok_or(AmountError::TooLarge)
    }
}

/// Bytes of data (unpadded).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BytesAmount(pub u64);

/// A height of the chain, in blocks since genesis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// `self + blocks`; heights stay far below 2⁶⁴, so a peer's absurd number saturates instead of wrapping.
    pub fn plus(self, blocks: u64) -> Self {
        Self(self.0.saturating_add(blocks))
    }
}

/// A payment channel of one payer: the nonce of the message that created it (spec §5.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub u64);

macro_rules! plain_number {
    ($($type:ident),+) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
        impl $type {
            /// Signed LEB128, as on the wire, in the ABI and in signatures.
            pub fn to_bytes(self) -> Vec<u8> {
                leb128::signed(i128::from(self.0))
            }
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
                let number = leb128::parse_signed(bytes).map_err(|e| DecodeError::invalid(stringify!($type), e))?;
                u64::try_from(number).map(Self).map_err(|_| DecodeError::invalid(stringify!($type), "out of range"))
            }
        }
        impl Cbor for $type {
            fn to_value(&self) -> Value {
                Value::Bytes(self.to_bytes())
            }
            fn from_value(value: Value) -> Result<Self, DecodeError> {
                let bytes = value.into_bytes().map_err(|_| DecodeError::Type { expected: stringify!($type) })?;
                Self::from_bytes(&bytes)
            }
        }
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_u64(self.0)
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                u64::deserialize(deserializer).map(Self)
            }
        }
    )+};
}
plain_number!(BytesAmount, Epoch, ChannelId);

impl AttoFil {
    /// Signed LEB128, as on the wire, in the ABI and in signatures.
    pub fn to_bytes(self) -> Vec<u8> {
        leb128::signed(self.0 as i128)
    }
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let number = leb128::parse_signed(bytes).map_err(|e| DecodeError::invalid("AttoFil", e))?;
        u128::try_from(number)
            .map(Self)
            .map_err(|_| DecodeError::invalid("AttoFil", "an amount of money is negative"))
    }
}

impl Cbor for AttoFil {
    fn to_value(&self) -> Value {
        Value::Bytes(self.to_bytes())
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        Self::from_bytes(
            &value
                .into_bytes()
                .map_err(|_| DecodeError::Type { expected: "AttoFil" })?,
        )
    }
}

impl serde::Serialize for AttoFil {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for AttoFil {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn amounts_print_as_fil_without_trailing_zeros_and_parse_back() {
        for (text, atto) in [
            ("0.00025", 250_000_000_000_000),
            ("5000", 5000 * ONE_FIL),
            ("0", 0),
            ("0.000000000000000001", 1),
        ] {
            assert_eq!(AttoFil(atto).to_string(), text);
            assert_eq!(text.parse(), Ok(AttoFil(atto)));
        }
        assert_eq!(".5".parse(), Ok(AttoFil(ONE_FIL / 2)));
        for bad in ["", ".", "-1", "1.2.3", "1e3", "0.0000000000000000001", " 1"] {
            assert_eq!(bad.parse::<AttoFil>(), Err(AmountError::Form), "{bad}");
        }
        assert_eq!(
            "99999999999999999999999999999999".parse::<AttoFil>(),
            Err(AmountError::TooLarge)
        );
    }

    #[test]
    fn a_negative_amount_does_not_decode() {
        assert!(AttoFil::from_bytes(&[0x7f]).is_err());
        assert!(Epoch::from_bytes(&[0x7f]).is_err());
        assert_eq!(
            AttoFil::from_bytes(&AttoFil(5_000_000).to_bytes()),
            Ok(AttoFil(5_000_000))
        );
    }
}
