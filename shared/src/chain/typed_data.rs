//! What an Ethereum wallet shows its user of a message, and signs (EIP-712): the way in which an account with an address of
//! protocol 4 sends messages (design §8).
//!
//! Called by the browser's client, which hands it to `eth_signTypedData_v4` as JSON, and by the chain, which makes it again from
//! the message that it got ([`super::SignedMessage::is_signed_on`]). What is read is made of the message, and the last field is
//! the digest of all of it, so that nothing of the message is left unsigned. The domain's salt is the network's genesis id: what
//! is signed on one network says nothing on another.

use super::abi::Abi;
use super::address::Address;
use super::amount::{AttoFil, Epoch};
use super::keys::blake2b256;
use super::message::MeteredMessage;
use crate::wire::encode;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::{vec, vec::Vec};
use cid::Cid;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use sha3::{Digest, Keccak256};

/// The domain's name: what the wallet calls the one who asks.
const NAME: &str = "Sealdrop";
/// Other fields would be another version.
const VERSION: &str = "1";
const DOMAIN: &str = "EIP712Domain";
/// The domain's fields. There is no chain id: the wallet's own chain has no part in it.
const DOMAIN_FIELDS: [Field; 3] = [
    Field {
        name: "name",
        kind: "string",
    },
    Field {
        name: "version",
        kind: "string",
    },
    Field {
        name: "salt",
        kind: "bytes32",
    },
];
/// The field that binds the whole message.
const DIGEST: Field = Field {
    name: "message",
    kind: "bytes32",
};

/// keccak-256, the hash of everything in Ethereum.
pub fn keccak256(data: &[u8]) -> [u8; 32] {
    Keccak256::digest(data).into()
}

/// A field of a type: its name and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Field {
    name: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
}

/// A message as a wallet shows and signs it. As JSON it is the second parameter of `eth_signTypedData_v4`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedData {
    /// keccak-256 of the network's genesis id.
    salt: [u8; 32],
    /// What the message does, in one word.
    primary: &'static str,
    /// What is read, in this order.
    shown: Vec<(&'static str, String)>,
    /// blake2b-256 of the message's canonical bytes.
    digest: [u8; 32],
}

impl TypedData {
    /// Of a message on the network with this genesis id.
    pub fn of(metered: &MeteredMessage, network: &Cid) -> Self {
        let (primary, shown) = shown(metered);
        Self {
            salt: keccak256(&network.to_bytes()),
            primary,
            shown,
            digest: blake2b256(&encode(metered)),
        }
    }

    /// What the wallet's key signs.
    pub fn signing_hash(&self) -> [u8; 32] {
        let name = |text: &str| keccak256(text.as_bytes());
        let domain = hash_struct(DOMAIN, &DOMAIN_FIELDS, &[name(NAME), name(VERSION), self.salt]);
        let mut values: Vec<[u8; 32]> = self.shown.iter().map(|(_, text)| name(text)).collect();
        values.push(self.digest);
        let message = hash_struct(self.primary, &self.fields(), &values);
        keccak256(&[&[0x19, 0x01][..], &domain, &message].concat())
    }

    fn fields(&self) -> Vec<Field> {
        let shown = self.shown.iter().map(|(name, _)| Field { name, kind: "string" });
        shown.chain([DIGEST]).collect()
    }
}

/// What is read of a message: what it does, and the values that matter to whoever pays for it.
fn shown(metered: &MeteredMessage) -> (&'static str, Vec<(&'static str, String)>) {
    let message = &metered.message;
    let from = ("from", message.from.to_string());
    let amount = ("amount", fil(Some(message.value)));
    let fee = (
        "highestFee",
        fil(metered.gas_price.checked_mul(u128::from(metered.gas_limit))),
    );
    let nonce = ("number", message.nonce.to_string());
    if let Some(opening) = Opening::of(metered) {
        let fields = vec![
            from,
            ("payTo", opening.target.to_string()),
            amount,
            ("paidUntil", format!("block {}", opening.eol)),
            ("sessionKey", opening.session.to_string()),
            fee,
            nonce,
        ];
        return ("OpenPaymentChannel", fields);
    }
    let to = ("to", message.to.to_string());
    match message.method.is_empty() && message.params.is_empty() {
        true => ("Transfer", vec![from, to, amount, fee, nonce]),
        false => {
            let method = ("method", message.method.clone());
            ("CallActor", vec![from, to, method, amount, fee, nonce])
        }
    }
}

fn fil(amount: Option<AttoFil>) -> String {
    amount.map_or_else(|| "more than exists".into(), |amount| format!("{amount} FIL"))
}

/// A channel that is opened with a session key.
struct Opening {
    target: Address,
    eol: Epoch,
    session: Address,
}

impl Opening {
    fn of(metered: &MeteredMessage) -> Option<Self> {
        let message = &metered.message;
        let is_opening = message.to == Address::id(Address::PAYMENT_BROKER) && message.method == "createChannel";
        let [target, eol, session] = message.params.as_slice() else {
            return None;
        };
        let parsed = Self {
            target: Address::from_abi(target).ok()?,
            eol: Epoch::from_abi(eol).ok()?,
            session: Address::from_abi(session).ok()?,
        };
        is_opening.then_some(parsed)
    }
}

/// `hashStruct` of EIP-712, of a struct without structs in it: texts come as their hashes already.
fn hash_struct(name: &str, fields: &[Field], values: &[[u8; 32]]) -> [u8; 32] {
    let list: Vec<String> = fields
        .iter()
        .map(|field| format!("{} {}", field.kind, field.name))
        .collect();
    let mut data = keccak256(format!("{name}({})", list.join(",")).as_bytes()).to_vec();
    data.extend(values.iter().flatten());
    keccak256(&data)
}

/// The domain as JSON.
#[derive(Serialize)]
struct Domain {
    name: &'static str,
    version: &'static str,
    salt: String,
}

fn hexadecimal(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

impl Serialize for TypedData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let types = BTreeMap::from([(DOMAIN, DOMAIN_FIELDS.to_vec()), (self.primary, self.fields())]);
        let mut message: BTreeMap<&str, String> = self.shown.iter().cloned().collect();
        message.insert(DIGEST.name, hexadecimal(&self.digest));
        let mut whole = serializer.serialize_struct("TypedData", 4)?;
        whole.serialize_field("types", &types)?;
        whole.serialize_field("primaryType", self.primary)?;
        whole.serialize_field(
            "domain",
            &Domain {
                name: NAME,
                version: VERSION,
                salt: hexadecimal(&self.salt),
            },
        )?;
        whole.serialize_field("message", &message)?;
        whole.end()
    }
}
