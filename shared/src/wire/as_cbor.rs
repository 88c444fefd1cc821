//! `#[serde(with = "as_cbor")]`: stores a wire type inside a serde record as its canonical bytes (hex in JSON).

use super::cbor::{decode, encode, Cbor};
use alloc::{string::String, vec::Vec};
use serde::{de::Error, Deserialize, Deserializer, Serializer};

pub fn serialize<T: Cbor, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    let bytes = encode(value);
    if serializer.is_human_readable() {
        serializer.serialize_str(&hex::encode(bytes))
    } else {
        serializer.serialize_bytes(&bytes)
    }
}

pub fn deserialize<'de, T: Cbor, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct BytesVisitor;
    impl<'de> serde::de::Visitor<'de> for BytesVisitor {
        type Value = Vec<u8>;
        fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.write_str("canonical CBOR bytes")
        }
        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }
        fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
            Ok(bytes)
        }
    }
    let bytes = if deserializer.is_human_readable() {
        hex::decode(String::deserialize(deserializer)?).map_err(D::Error::custom)?
    } else {
        deserializer.deserialize_byte_buf(BytesVisitor)?
    };
    decode(&bytes).map_err(D::Error::custom)
}
