//! How bytes and ids are written in JSON: bytes as hexadecimal, ids as CIDs. What cannot be read is refused with the name of
//! its parameter, and quoted in part at most.

use crate::chain::light::{proofs::MAX_ENTRIES, StateKey, MAX_ITEMS, MAX_PROOF_BYTES};
use crate::chain::SignedMessage;
use crate::wire;
use crate::wire::cbor::{decode_bounded, Cbor};
use alloc::{format, string::String, vec::Vec};
use cid::Cid;
use core::fmt::Display;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Most characters of an asker's text that are sent back.
const MAX_QUOTED: usize = 80;

/// Bytes, as hexadecimal text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transparent))]
pub struct HexBytes(#[cfg_attr(feature = "schema", schemars(with = "String"))] pub Vec<u8>);

impl Serialize for HexBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(text).map(Self).map_err(Error::custom)
    }
}

/// A proof or a header in canonical CBOR, as hexadecimal text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canonical<T>(pub T);

impl<T: Cbor> Serialize for Canonical<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(wire::encode(&self.0)))
    }
}

impl<'de, T: Cbor> Deserialize<'de> for Canonical<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let HexBytes(bytes) = HexBytes::deserialize(deserializer)?;
        if bytes.len() > MAX_PROOF_BYTES {
            return Err(Error::custom("it is too long for a proof"));
        }
        decode_bounded(&bytes, MAX_ITEMS).map(Self).map_err(Error::custom)
    }
}

fn invalid<E: Error>(name: &str, reason: impl Display) -> E {
    E::custom(format!("{name}: {reason}"))
}

fn from_hex<E: Error>(name: &str, text: &str) -> Result<Vec<u8>, E> {
    hex::decode(text).map_err(|e| invalid(name, format!("it is not hexadecimal: {e}")))
}

/// A signed message in canonical CBOR, hexadecimal: the parameter `message` of [`super::Push`].
pub(super) mod message {
    use super::*;

    pub fn serialize<S: Serializer>(message: &SignedMessage, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(wire::encode(message)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SignedMessage, D::Error> {
        let bytes = from_hex("message", &String::deserialize(deserializer)?)?;
        let malformed = |e| format!("it is not a signed message in canonical CBOR: {e}");
        wire::decode(&bytes).map_err(|e: wire::DecodeError| invalid("message", malformed(e)))
    }
}

/// A message's id: the parameter `message` of [`super::Receipt`] and [`super::Message`].
pub(super) mod message_id {
    use super::*;

    pub fn serialize<S: Serializer>(id: &Cid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cid, D::Error> {
        let text = String::deserialize(deserializer)?;
        let quoted = || text.chars().take(MAX_QUOTED).collect::<String>();
        let malformed = |e: cid::Error| format!("{:?} is not a CID: {e}", quoted());
        text.parse().map_err(|e| invalid("message", malformed(e)))
    }
}

/// ABI values, each hexadecimal: the parameter `params` of [`super::Query`] and [`super::Preview`].
pub(super) mod params {
    use super::*;

    pub fn serialize<S: Serializer>(params: &[Vec<u8>], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(params.iter().map(hex::encode))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<u8>>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| from_hex("params", text)).collect()
    }
}

/// Bytes, hexadecimal: the parameter `record` of [`super::AnnouncePeer`].
pub(super) mod record {
    use super::*;

    pub fn serialize<S: Serializer>(record: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(record))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        from_hex("record", &String::deserialize(deserializer)?)
    }
}

/// Keys of the state, each hexadecimal: the parameter `keys` of [`super::ProveState`].
pub(super) mod state_keys {
    use super::*;

    pub fn serialize<S: Serializer>(keys: &[StateKey], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(keys.iter().map(|key| hex::encode(key.to_bytes())))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<StateKey>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        if texts.is_empty() || texts.len() > MAX_ENTRIES {
            return Err(invalid("keys", format!("ask for 1 to {MAX_ENTRIES} at once")));
        }
        let key = |text: &String| {
            let key = StateKey::from_bytes(&from_hex("keys", text)?);
            key.ok_or_else(|| invalid("keys", "one of them is no key of a state"))
        };
        texts.iter().map(key).collect()
    }
}
