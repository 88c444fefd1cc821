//! Blocks: what one step of the development chain's clock recorded.
//!
//! Made by [`super::node`] and kept by [`super::store`]. A block has a header that the authority signs ([`shared::chain::light`]);
//! blocks of chains that are older than headers have none, and go on being read as they are.

use cid::Cid;
use shared::chain::keys::{cid_of, Signature};
use shared::chain::light::{BlockHeader, Hash, SignedHeader};
use shared::chain::Epoch;
use shared::wire::cbor::{self, Cbor, DecodeError, Fields, Value};

pub use shared::chain::light::header::ticket_is_valid;

/// One block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub height: Epoch,
    /// The block before; for block 0 the genesis record's id.
    pub parent: Cid,
    /// See [`shared::chain::light::header::ticket`].
    pub ticket: Signature,
    /// The messages that it recorded, in the order they were applied.
    pub messages: Vec<Cid>,
    /// blake2b-256 of the state after its messages, as stored.
    pub state: Hash,
    /// When it was made, in milliseconds since 1970; never before its parent.
    pub time_ms: u64,
    /// What else its header has; `None` for a block that was made before blocks had signed headers.
    pub seal: Option<Seal>,
}

/// What a block's header has beside what is in the block, and its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    pub genesis: Cid,
    pub receipts_root: Hash,
    pub state_root: Hash,
    pub signature: Signature,
}

const KEYS: [&str; 6] = ["height", "parent", "ticket", "messages", "state", "timeMs"];
const SEAL_KEYS: [&str; 4] = ["genesis", "receiptsRoot", "stateRoot", "signature"];

impl Cbor for Block {
    fn to_value(&self) -> Value {
        let mut fields = vec![
            ("height", self.height.to_value()),
            ("parent", self.parent.to_value()),
            ("ticket", self.ticket.to_value()),
            ("messages", self.messages.to_value()),
            ("state", self.state.to_value()),
            ("timeMs", self.time_ms.to_value()),
        ];
        if let Some(seal) = &self.seal {
            fields.extend([
                ("genesis", seal.genesis.to_value()),
                ("receiptsRoot", seal.receipts_root.to_value()),
                ("stateRoot", seal.state_root.to_value()),
                ("signature", seal.signature.to_value()),
            ]);
        }
        cbor::map(fields)
    }

    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let is_signature = |(key, _): &(Value, Value)| key.as_text() == Some("signature");
        let is_sealed = value.as_map().is_some_and(|fields| fields.iter().any(is_signature));
        let sealed = is_sealed.then_some(SEAL_KEYS);
        let keys: Vec<&str> = KEYS.into_iter().chain(sealed.into_iter().flatten()).collect();
        let mut fields = Fields::open(value, "Block", &keys)?;
        let seal = match is_sealed {
            true => Some(Seal {
                genesis: fields.take("genesis")?,
                receipts_root: fields.take("receiptsRoot")?,
                state_root: fields.take("stateRoot")?,
                signature: fields.take("signature")?,
            }),
            false => None,
        };
        Ok(Self {
            height: fields.take("height")?,
            parent: fields.take("parent")?,
            ticket: fields.take("ticket")?,
            messages: fields.take("messages")?,
            state: fields.take("state")?,
            time_ms: fields.take("timeMs")?,
            seal,
        })
    }
}

impl Block {
    /// The block of a signed header that recorded these messages.
    pub(super) fn of(SignedHeader { header, signature }: SignedHeader, messages: Vec<Cid>) -> Self {
        Self {
            height: header.height,
            parent: header.parent,
            ticket: header.ticket,
            messages,
            state: header.state_digest,
            time_ms: header.time_ms,
            seal: Some(Seal {
                genesis: header.genesis,
                receipts_root: header.receipts_root,
                state_root: header.state_root,
                signature,
            }),
        }
    }

    /// The block's header; `None` for a block that was made before blocks had signed headers.
    pub fn header(&self) -> Option<SignedHeader> {
        let seal = self.seal.as_ref()?;
        let header = BlockHeader {
            genesis: seal.genesis,
            height: self.height,
            parent: self.parent,
            ticket: self.ticket,
            time_ms: self.time_ms,
            receipts_root: seal.receipts_root,
            state_root: seal.state_root,
            state_digest: self.state,
        };
        let signature = seal.signature;
        Some(SignedHeader { header, signature })
    }

    /// The block's id: its header's; of a block without one, the CID of its canonical CBOR.
    pub fn cid(&self) -> Cid {
        self.header().map_or_else(|| cid_of(self), |signed| signed.header.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::chain::keys::cid_of_bytes;
    use shared::chain::light::header::ticket;
    use shared::chain::SecretKey;
    use shared::wire::{decode, encode};

    fn key() -> SecretKey {
        SecretKey::from_bytes(&[7; 32]).unwrap()
    }

    fn header() -> BlockHeader {
        let genesis = cid_of_bytes(b"genesis");
        BlockHeader {
            genesis,
            height: Epoch(3),
            parent: cid_of_bytes(b"parent"),
            ticket: ticket(&key(), &genesis, Epoch(3)),
            time_ms: 1_700_000_000_000,
            receipts_root: [1; 32],
            state_root: [2; 32],
            state_digest: [3; 32],
        }
    }

    #[test]
    fn a_block_decodes_from_its_bytes_to_the_same_header_and_id() {
        let signed = header().sign(&key());
        let block = Block::of(signed.clone(), vec![cid_of_bytes(b"one"), cid_of_bytes(b"two")]);
        let decoded: Block = decode(&encode(&block)).unwrap();
        assert_eq!(decoded, block);
        assert_eq!(decoded.header(), Some(signed.clone()));
        assert_eq!(decoded.cid(), signed.header.id());
    }

    #[test]
    fn a_block_from_before_headers_keeps_its_bytes_and_its_id() {
        let old = Block {
            seal: None,
            ..Block::of(header().sign(&key()), vec![cid_of_bytes(b"one")])
        };
        let bytes = encode(&old);
        // As version 0.1.0 wrote it: a map of six fields.
        assert_eq!(bytes[0], 0xa6);
        let decoded: Block = decode(&bytes).unwrap();
        assert_eq!((&decoded, decoded.header()), (&old, None));
        assert_eq!(decoded.cid(), cid_of_bytes(&bytes));
    }

    #[test]
    fn a_ticket_is_the_same_every_time_and_valid_for_its_height_and_chain_only() {
        let (genesis, other) = (cid_of_bytes(b"genesis"), cid_of_bytes(b"other"));
        let drawn = ticket(&key(), &genesis, Epoch(3));
        assert_eq!(drawn, ticket(&key(), &genesis, Epoch(3)));
        assert!(ticket_is_valid(&drawn, &key().address(), &genesis, Epoch(3)));
        assert!(!ticket_is_valid(&drawn, &key().address(), &genesis, Epoch(4)));
        assert!(!ticket_is_valid(&drawn, &key().address(), &other, Epoch(3)));
    }
}
