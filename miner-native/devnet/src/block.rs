//! Blocks: what one step of the development chain's clock recorded, and their tickets.
//!
//! Made by [`super::node`] and kept by [`super::store`]. A ticket follows from genesis and height alone, so that the
//! ticket of any past block can be computed again without storing it, and anybody can check it.

use cid::Cid;
use shared::chain::keys::{cid_of, SecretKey, Signature};
use shared::chain::{Address, Epoch};
use shared::wire::cbor::{self, Cbor, DecodeError, Fields, Value};

/// What a ticket's signature is made over, before genesis id and height.
const TICKET_DOMAIN: &[u8] = b"sealdrop devnet ticket";

/// One block. Its id is the CID of its canonical CBOR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub height: Epoch,
    /// The block before; for block 0 the genesis record's id.
    pub parent: Cid,
    /// See [`ticket`].
    pub ticket: Signature,
    /// The messages that it recorded, in the order they were applied.
    pub messages: Vec<Cid>,
    /// blake2b-256 of the state after its messages, as stored.
    pub state: [u8; 32],
    /// When it was made, in milliseconds since 1970; never before its parent.
    pub time_ms: u64,
}

const KEYS: [&str; 6] = ["height", "parent", "ticket", "messages", "state", "timeMs"];

impl Cbor for Block {
    fn to_value(&self) -> Value {
        cbor::map(vec![
            ("height", self.height.to_value()),
            ("parent", self.parent.to_value()),
            ("ticket", self.ticket.to_value()),
            ("messages", self.messages.to_value()),
            ("state", self.state.to_value()),
            ("timeMs", self.time_ms.to_value()),
        ])
    }

    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut fields = Fields::open(value, "Block", &KEYS)?;
        Ok(Self {
            height: fields.take("height")?,
            parent: fields.take("parent")?,
            ticket: fields.take("ticket")?,
            messages: fields.take("messages")?,
            state: fields.take("state")?,
            time_ms: fields.take("timeMs")?,
        })
    }
}

impl Block {
    /// The block's id.
    pub fn cid(&self) -> Cid {
        cid_of(self)
    }
}

/// The ticket of the block at `height`: the authority's signature over the domain, the genesis record's id and the
/// height (8 bytes, big-endian). Signing is deterministic, so there is one ticket a height.
pub fn ticket(authority: &SecretKey, genesis: &Cid, height: Epoch) -> Signature {
    authority.sign(&ticket_message(genesis, height))
}

/// Whether `authority` made this ticket for `height`.
pub fn ticket_is_valid(ticket: &Signature, authority: &Address, genesis: &Cid, height: Epoch) -> bool {
    ticket.verifies(&ticket_message(genesis, height), authority)
}

fn ticket_message(genesis: &Cid, height: Epoch) -> Vec<u8> {
    let mut message = TICKET_DOMAIN.to_vec();
    message.extend_from_slice(&genesis.to_bytes());
    message.extend_from_slice(&height.0.to_be_bytes());
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::chain::keys::cid_of_bytes;
    use shared::wire::{decode, encode};

    fn key() -> SecretKey {
        SecretKey::from_bytes(&[7; 32]).unwrap()
    }

    #[test]
    fn a_block_decodes_from_its_bytes_to_the_same_id() {
        let genesis = cid_of_bytes(b"genesis");
        let block = Block {
            height: Epoch(3),
            parent: genesis,
            ticket: ticket(&key(), &genesis, Epoch(3)),
            messages: vec![cid_of_bytes(b"one"), cid_of_bytes(b"two")],
            state: [9; 32],
            time_ms: 1_700_000_000_000,
        };
        let decoded: Block = decode(&encode(&block)).unwrap();
        assert_eq!(decoded, block);
        assert_eq!(decoded.cid(), block.cid());
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
