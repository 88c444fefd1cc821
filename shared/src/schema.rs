//! JSON schemas of the types that are written as plain text or a number (feature `schema`); all others derive theirs.
//!
//! Documents are written from them: the chain's OpenRPC document, and the TypeScript types of the npm package.

use crate::chain::rpc::Canonical;
use crate::chain::{Address, AttoFil, BytesAmount, ChannelId, Epoch};
use crate::deal::DealState;
use crate::piece::{Commitment, SectorSize};
use alloc::borrow::Cow;
use schemars::{json_schema, JsonSchema, Schema, SchemaGenerator};

macro_rules! plain {
    ($($type:ident: $schema:tt;)+) => {$(
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )+};
}

plain! {
    Address: { "type": "string", "description": "An address as the tools of Filecoin print it: t0…, t1…, t2…" };
    AttoFil: { "type": "string", "description": "FIL in decimal, as text: attoFIL do not fit a number" };
    BytesAmount: { "type": "integer", "minimum": 0, "description": "Bytes" };
    ChannelId: { "type": "integer", "minimum": 0, "description": "Number of a payment channel among its payer's" };
    Epoch: { "type": "integer", "minimum": 0, "description": "Height of a block: blocks since genesis" };
    Commitment: { "type": "string", "pattern": "^[0-9a-f]{64}$", "description": "A commitment, hexadecimal" };
    SectorSize: { "type": "integer", "minimum": 0, "description": "Bytes of a sector" };
}

impl<T> JsonSchema for Canonical<T> {
    fn schema_name() -> Cow<'static, str> {
        "CanonicalCbor".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^([0-9a-f]{2})*$",
            "description": "Canonical DAG-CBOR, hexadecimal; the protocol's document describes headers and proofs",
        })
    }
}

impl JsonSchema for DealState {
    fn schema_name() -> Cow<'static, str> {
        "DealState".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "enum": Self::ALL.map(Self::name),
            "description": "How a deal stands with its miner; `unknown` when the miner has no such deal",
        })
    }
}
