//! Canonical DAG-CBOR as refmt wrote it in 2019 (spec §1.3): definite lengths, minimal integers, struct maps with keys
//! sorted by length and then bytewise, every field present, CIDs as tag 42.
//!
//! Decoding is strict by construction: a value is rebuilt from what was understood and must give back the same bytes.

use alloc::{borrow::ToOwned, boxed::Box, string::String, vec, vec::Vec};
use cid::Cid;

pub use ciborium::Value;

/// Deepest nesting that any message of the protocol has is 6; a bound keeps hostile input from exhausting the stack.
const MAX_DEPTH: usize = 24;
/// CBOR tag of a CID (DAG-CBOR).
const TAG_CID: u64 = 42;

/// Why bytes are not the canonical encoding of the expected type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("not well-formed CBOR")]
    Malformed,
    #[error("CBOR is not in its canonical form")]
    NotCanonical,
    #[error("expected {expected}")]
    Type { expected: &'static str },
    #[error("{of} has an unknown or repeated key {key:?}")]
    UnknownKey { of: &'static str, key: String },
    #[error("{of} lacks the key {key:?}")]
    MissingKey { of: &'static str, key: &'static str },
    #[error("CBOR has more than {limit} items")]
    TooManyItems { limit: usize },
    #[error("{field}: {reason}")]
    Invalid { field: &'static str, reason: String },
}

impl DecodeError {
    /// A value of the right CBOR type that the named field cannot hold.
    pub fn invalid(field: &'static str, reason: impl core::fmt::Display) -> Self {
        Self::Invalid {
            field,
            reason: alloc::format!("{reason}"),
        }
    }
}

/// A type with one canonical CBOR form.
pub trait Cbor: Sized {
    fn to_value(&self) -> Value;
    fn from_value(value: Value) -> Result<Self, DecodeError>;
}

/// The canonical bytes of `value`.
pub fn encode<T: Cbor>(value: &T) -> Vec<u8> {
    encode_value(&value.to_value())
}

/// The bytes of an already canonical CBOR value.
pub fn encode_value(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    ciborium::into_writer(value, &mut out).expect("writing to a Vec cannot fail");
    out
}

/// Decodes the canonical bytes of a `T`; anything else, trailing bytes included, is refused.
pub fn decode<T: Cbor>(bytes: &[u8]) -> Result<T, DecodeError> {
    let mut rest = bytes;
    let value: Value =
        ciborium::de::from_reader_with_recursion_limit(&mut rest, MAX_DEPTH).map_err(|_| DecodeError::Malformed)?;
    let decoded = T::from_value(value)?;
    if !rest.is_empty() || encode(&decoded) != bytes {
        return Err(DecodeError::NotCanonical);
    }
    Ok(decoded)
}

/// Like [`decode`], for what may be long: counts items before any is kept, since one of a byte takes 50 to 100 of memory.
pub fn decode_bounded<T: Cbor>(bytes: &[u8], limit: usize) -> Result<T, DecodeError> {
    let (mut items, mut rest) = (0usize, bytes);
    while !rest.is_empty() {
        rest = behind_item(rest)?;
        items = items.saturating_add(1);
        if items > limit {
            return Err(DecodeError::TooManyItems { limit });
        }
    }
    decode(bytes)
}

/// What follows an item's head and, of a string, its bytes: the items in an array, a map or a tag are the next ones.
fn behind_item(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    let (head, rest) = bytes.split_first().ok_or(DecodeError::Malformed)?;
    let (kind, short) = (head >> 5, head & 0x1f);
    let width = match short {
        0..=23 => 0,
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return Err(DecodeError::NotCanonical),
    };
    let (argument, rest) = rest.split_at_checked(width).ok_or(DecodeError::Malformed)?;
    let is_string = matches!(kind, 2 | 3);
    let length = match width {
        _ if !is_string => 0,
        0 => u64::from(short),
        _ => argument.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    };
    let length = usize::try_from(length).map_err(|_| DecodeError::Malformed)?;
    rest.get(length..).ok_or(DecodeError::Malformed)
}

/// A struct map with its keys in canonical order.
pub fn map(fields: Vec<(&'static str, Value)>) -> Value {
    let mut fields = fields;
    fields.sort_by(|a, b| (a.0.len(), a.0).cmp(&(b.0.len(), b.0)));
    Value::Map(
        fields
            .into_iter()
            .map(|(k, v)| (Value::Text(k.to_owned()), v))
            .collect(),
    )
}

/// The fields of a decoded struct map, taken out one by one.
pub struct Fields {
    of: &'static str,
    entries: Vec<(String, Value)>,
}

impl Fields {
    /// Opens `value` as the struct map `of`, whose keys are exactly `keys`.
    pub fn open(value: Value, of: &'static str, keys: &[&str]) -> Result<Self, DecodeError> {
        let Value::Map(raw) = value else {
            return Err(DecodeError::Type { expected: of });
        };
        let mut entries: Vec<(String, Value)> = Vec::with_capacity(keys.len());
        for (key, value) in raw {
            let Value::Text(key) = key else {
                return Err(DecodeError::Type { expected: "a text key" });
            };
            if !keys.contains(&key.as_str()) || entries.iter().any(|(seen, _)| *seen == key) {
                return Err(DecodeError::UnknownKey {
                    of,
                    key: key.chars().take(64).collect(),
                });
            }
            entries.push((key, value));
        }
        Ok(Self { of, entries })
    }

    /// Takes the field `key` out.
    pub fn take<T: Cbor>(&mut self, key: &'static str) -> Result<T, DecodeError> {
        match self.entries.iter().position(|(k, _)| k == key) {
            Some(at) => T::from_value(self.entries.swap_remove(at).1),
            None => Err(DecodeError::MissingKey { of: self.of, key }),
        }
    }

    /// Takes the field `key` out, which later versions have and earlier ones had not: it is left out where it says nothing.
    pub fn take_present<T: Cbor>(&mut self, key: &'static str) -> Result<Option<T>, DecodeError> {
        let at = self.entries.iter().position(|(k, _)| k == key);
        at.map(|at| T::from_value(self.entries.swap_remove(at).1)).transpose()
    }
}

/// Implements [`Cbor`] for a struct as a map from wire keys to its fields.
macro_rules! cbor_map {
    ($type:ident { $($key:literal => $field:ident),+ $(,)? }) => {
        impl $crate::wire::cbor::Cbor for $type {
            fn to_value(&self) -> $crate::wire::cbor::Value {
                $crate::wire::cbor::map(alloc::vec![$(($key, $crate::wire::cbor::Cbor::to_value(&self.$field))),+])
            }
            fn from_value(value: $crate::wire::cbor::Value) -> Result<Self, $crate::wire::cbor::DecodeError> {
                let mut fields = $crate::wire::cbor::Fields::open(value, stringify!($type), &[$($key),+])?;
                Ok(Self { $($field: fields.take($key)?),+ })
            }
        }
    };
}
pub(crate) use cbor_map;

/// A CBOR byte string (a `Vec<T>` is an array).
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub Vec<u8>);

impl core::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", hex::encode(&self.0))
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Cbor for Value {
    fn to_value(&self) -> Value {
        self.clone()
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        Ok(value)
    }
}

impl Cbor for Bytes {
    fn to_value(&self) -> Value {
        Value::Bytes(self.0.clone())
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        value.into_bytes().map(Bytes).map_err(|_| DecodeError::Type {
            expected: "a byte string",
        })
    }
}

impl<const N: usize> Cbor for [u8; N] {
    fn to_value(&self) -> Value {
        Value::Bytes(self.to_vec())
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        Bytes::from_value(value)?.0.try_into().map_err(|_| DecodeError::Type {
            expected: "a byte string of fixed length",
        })
    }
}

impl Cbor for String {
    fn to_value(&self) -> Value {
        Value::Text(self.clone())
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        value.into_text().map_err(|_| DecodeError::Type { expected: "text" })
    }
}

impl Cbor for bool {
    fn to_value(&self) -> Value {
        Value::Bool(*self)
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        value
            .into_bool()
            .map_err(|_| DecodeError::Type { expected: "a boolean" })
    }
}

impl Cbor for u64 {
    fn to_value(&self) -> Value {
        Value::Integer((*self).into())
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let expected = DecodeError::Type {
            expected: "an unsigned integer of 64 bits",
        };
        let Value::Integer(integer) = value else {
            return Err(expected);
        };
        u64::try_from(integer).map_err(|_| expected)
    }
}

impl<T: Cbor> Cbor for Option<T> {
    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, Cbor::to_value)
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        if value.is_null() {
            return Ok(None);
        }
        T::from_value(value).map(Some)
    }
}

impl<T: Cbor> Cbor for Vec<T> {
    fn to_value(&self) -> Value {
        Value::Array(self.iter().map(Cbor::to_value).collect())
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let items = value
            .into_array()
            .map_err(|_| DecodeError::Type { expected: "an array" })?;
        items.into_iter().map(T::from_value).collect()
    }
}

impl<A: Cbor, B: Cbor> Cbor for (A, B) {
    fn to_value(&self) -> Value {
        Value::Array(vec![self.0.to_value(), self.1.to_value()])
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let expected = DecodeError::Type { expected: "a pair" };
        let items = value.into_array().map_err(|_| expected.clone())?;
        let [a, b]: [Value; 2] = items.try_into().map_err(|_| expected)?;
        Ok((A::from_value(a)?, B::from_value(b)?))
    }
}

impl Cbor for Cid {
    fn to_value(&self) -> Value {
        let mut bytes = vec![0];
        bytes.extend_from_slice(&self.to_bytes());
        Value::Tag(TAG_CID, Box::new(Value::Bytes(bytes)))
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let expected = DecodeError::Type { expected: "a CID" };
        let Value::Tag(TAG_CID, inner) = value else {
            return Err(expected);
        };
        let Value::Bytes(bytes) = *inner else {
            return Err(expected);
        };
        let Some((0, cid)) = bytes.split_first().map(|(first, rest)| (*first, rest)) else {
            return Err(expected);
        };
        Cid::try_from(cid).map_err(|e| DecodeError::invalid("CID", e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Sample {
        longest: u64,
        b: Option<Bytes>,
        a: String,
    }
    cbor_map!(Sample { "longest" => longest, "b" => b, "a" => a });

    fn canonical() -> Vec<u8> {
        encode(&Sample {
            longest: 255,
            b: Some(Bytes(vec![])),
            a: "x".into(),
        })
    }

    #[test]
    fn keys_are_sorted_by_length_then_bytewise() {
        assert_eq!(
            hex::encode(canonical()),
            "a3616161786162".to_owned() + "40676c6f6e6765737418ff"
        );
    }

    #[test]
    fn only_the_canonical_bytes_decode() {
        let good = canonical();
        assert!(decode::<Sample>(&good).is_ok());
        let text = hex::encode(&good);
        let broken = [
            (text.clone() + "00", DecodeError::NotCanonical),
            (text.replace("18ff", "1900ff"), DecodeError::NotCanonical),
            (
                "a36162406161617867".to_owned() + "6c6f6e6765737418ff",
                DecodeError::NotCanonical,
            ),
            (
                "a2616161786162".to_owned() + "40",
                DecodeError::MissingKey {
                    of: "Sample",
                    key: "longest",
                },
            ),
            (
                text.replace("6162", "6163"),
                DecodeError::UnknownKey {
                    of: "Sample",
                    key: "c".into(),
                },
            ),
            (
                "bf6161617861624067".to_owned() + "6c6f6e6765737418ffff",
                DecodeError::NotCanonical,
            ),
        ];
        for (bytes, error) in broken {
            assert_eq!(decode::<Sample>(&hex::decode(&bytes).unwrap()), Err(error), "{bytes}");
        }
        for cut in 0..good.len() {
            assert_eq!(decode::<Sample>(&good[..cut]), Err(DecodeError::Malformed));
        }
    }

    #[test]
    fn deep_nesting_is_refused_without_exhausting_the_stack() {
        let mut bytes = vec![0x81; 100_000];
        bytes.push(0);
        assert_eq!(decode::<Value>(&bytes), Err(DecodeError::Malformed));
    }

    #[test]
    fn a_bounded_decoder_takes_what_the_other_takes_up_to_its_bound() {
        let good = canonical();
        // A map, three keys, three values.
        assert!(decode_bounded::<Sample>(&good, 7).is_ok());
        let limit = 6;
        assert_eq!(
            decode_bounded::<Sample>(&good, limit),
            Err(DecodeError::TooManyItems { limit })
        );
        for cut in 0..good.len() {
            assert_eq!(decode_bounded::<Sample>(&good[..cut], 7), Err(DecodeError::Malformed));
        }
        let mut many = vec![0x9a, 0xff, 0xff, 0xff, 0xff];
        many.resize(100_000, 0x80);
        assert_eq!(
            decode_bounded::<Value>(&many, 1000),
            Err(DecodeError::TooManyItems { limit: 1000 })
        );
        for indefinite in ["9f00ff", "5f4100ff", "bf616100ff"] {
            let bytes = hex::decode(indefinite).unwrap();
            assert_eq!(decode_bounded::<Value>(&bytes, 9), Err(DecodeError::NotCanonical));
        }
        // Strings are stepped over, whatever their lengths are written as.
        for long in ["7a00000003616263", "5b0000000000000001ff", "6161"] {
            assert_ne!(
                decode_bounded::<Value>(&hex::decode(long).unwrap(), 1),
                Err(DecodeError::TooManyItems { limit: 1 })
            );
        }
        assert_eq!(
            decode_bounded::<Value>(&[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 9),
            Err(DecodeError::Malformed)
        );
    }

    #[test]
    fn a_nil_byte_string_differs_from_an_empty_one() {
        assert_eq!(encode(&None::<Bytes>), [0xf6]);
        assert_eq!(encode(&Some(Bytes::default())), [0x40]);
    }
}
