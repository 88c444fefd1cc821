//! Messages to actors and their receipts (spec §1.7, §1.8, §1.9).

use super::address::{Address, Protocol};
use super::amount::AttoFil;
use super::keys::{cid_of, SecretKey, Signature};
use super::typed_data::TypedData;
use crate::wire::cbor::{cbor_map, Bytes, Cbor, DecodeError, Fields, Value};
use crate::wire::{encode, leb128};
use alloc::{string::String, vec::Vec};
use cid::Cid;

/// Unsigned LEB128 in a byte string: nonces and gas limits (spec §1.4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Uint64(pub u64);

impl Cbor for Uint64 {
    fn to_value(&self) -> Value {
        Value::Bytes(leb128::unsigned(self.0))
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let bytes = value
            .into_bytes()
            .map_err(|_| DecodeError::Type { expected: "a number" })?;
        leb128::parse_unsigned(&bytes)
            .map(Self)
            .map_err(|e| DecodeError::invalid("number", e))
    }
}

/// A call of an actor's method; an empty method moves value only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub to: Address,
    pub from: Address,
    /// The sender's message count before this one.
    pub nonce: u64,
    pub value: AttoFil,
    pub method: String,
    /// One byte string a parameter (spec §1.9); empty when the method has none.
    pub params: Vec<Vec<u8>>,
}

/// A message with what its sender pays for gas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeteredMessage {
    pub message: Message,
    /// attoFIL for one unit of gas.
    pub gas_price: AttoFil,
    /// Most units of gas that may be used.
    pub gas_limit: u64,
}

/// A message as it is sent to the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedMessage {
    pub metered: MeteredMessage,
    pub signature: Signature,
}

const METERED_KEYS: [&str; 8] = [
    "to", "from", "nonce", "value", "method", "params", "gasLimit", "gasPrice",
];

impl MeteredMessage {
    fn fields(&self) -> Vec<(&'static str, Value)> {
        let message = &self.message;
        let params = (!message.params.is_empty()).then(|| {
            message
                .params
                .iter()
                .map(|param| Bytes(param.clone()))
                .collect::<Vec<_>>()
        });
        alloc::vec![
            ("to", message.to.to_value()),
            ("from", message.from.to_value()),
            ("nonce", Uint64(message.nonce).to_value()),
            ("value", message.value.to_value()),
            ("method", message.method.to_value()),
            ("params", abi_array(params.as_deref())),
            ("gasLimit", Uint64(self.gas_limit).to_value()),
            ("gasPrice", self.gas_price.to_value()),
        ]
    }

    fn take(fields: &mut Fields) -> Result<Self, DecodeError> {
        let params: Option<Bytes> = fields.take("params")?;
        Ok(Self {
            message: Message {
                to: fields.take("to")?,
                from: fields.take("from")?,
                nonce: fields.take::<Uint64>("nonce")?.0,
                value: fields.take("value")?,
                method: fields.take("method")?,
                params: params.map_or(Ok(Vec::new()), |bytes| parse_params(&bytes.0))?,
            },
            gas_limit: fields.take::<Uint64>("gasLimit")?.0,
            gas_price: fields.take("gasPrice")?,
        })
    }

    /// Signs the message with its sender's key.
    pub fn sign(self, key: &SecretKey) -> SignedMessage {
        let signature = key.sign(&encode(&self));
        SignedMessage {
            metered: self,
            signature,
        }
    }
}

/// The params field is a byte string that holds the ABI array, or null.
fn abi_array(params: Option<&[Bytes]>) -> Value {
    params.map_or(Value::Null, |params| Value::Bytes(encode(&params.to_vec())))
}

/// The ABI form of parameters: a CBOR array of byte strings (spec §1.9).
pub fn encode_params(params: &[Vec<u8>]) -> Vec<u8> {
    encode(&params.iter().map(|param| Bytes(param.clone())).collect::<Vec<_>>())
}

/// The inverse of [`encode_params`].
pub fn parse_params(bytes: &[u8]) -> Result<Vec<Vec<u8>>, DecodeError> {
    let params: Vec<Bytes> = crate::wire::decode(bytes)?;
    if params.is_empty() {
        return Err(DecodeError::NotCanonical);
    }
    Ok(params.into_iter().map(|param| param.0).collect())
}

impl Cbor for MeteredMessage {
    fn to_value(&self) -> Value {
        crate::wire::cbor::map(self.fields())
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        Self::take(&mut Fields::open(value, "MeteredMessage", &METERED_KEYS)?)
    }
}

impl Cbor for SignedMessage {
    fn to_value(&self) -> Value {
        let mut fields = self.metered.fields();
        fields.push(("signature", self.signature.to_value()));
        crate::wire::cbor::map(fields)
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let keys: Vec<&str> = METERED_KEYS.iter().copied().chain(["signature"]).collect();
        let mut fields = Fields::open(value, "SignedMessage", &keys)?;
        Ok(Self {
            metered: MeteredMessage::take(&mut fields)?,
            signature: fields.take("signature")?,
        })
    }
}

impl SignedMessage {
    /// The message's id on the chain.
    pub fn cid(&self) -> Cid {
        cid_of(self)
    }

    pub fn message(&self) -> &Message {
        &self.metered.message
    }

    /// Whether the sender signed exactly this message, a wallet's for the network with this genesis id.
    pub fn is_signed_on(&self, network: &Cid) -> bool {
        let from = &self.metered.message.from;
        match from.protocol() {
            Protocol::Delegated => self.signature.wallet(&TypedData::of(&self.metered, network)).as_ref() == Some(from),
            _ => self.signature.verifies(&encode(&self.metered), from),
        }
    }
}

/// What came of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// 0 = applied; otherwise nothing but nonce and gas changed (spec §5).
    pub exit_code: u64,
    /// Return values in ABI form.
    pub returns: Vec<Bytes>,
    /// What the sender paid for gas.
    pub gas_cost: AttoFil,
    /// Why, when the exit code is not 0.
    pub error: String,
}
cbor_map!(Receipt { "exitCode" => exit_code, "return" => returns, "gasAttoFIL" => gas_cost, "error" => error });

impl Receipt {
    pub fn is_ok(&self) -> bool {
        self.exit_code == 0
    }
}
