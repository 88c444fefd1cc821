//! Block headers and tickets: what the authority signs.
//!
//! A header's id is the CID of its canonical bytes; the next header names it. The signature stands beside it, so that one
//! header has one id however it is signed. A ticket follows from genesis id and height alone: the ticket of any past block can be
//! computed again without storing it, and anybody can check it.

use super::anchor::Anchor;
use super::merkle::Hash;
use crate::chain::keys::{cid_of, SecretKey, Signature};
use crate::chain::{Address, Epoch};
use crate::wire::cbor::cbor_map;
use crate::wire::encode;
use alloc::vec::Vec;
use cid::Cid;

/// What a header's signature is made over, before the header's canonical bytes.
const HEADER_DOMAIN: &[u8] = b"sealdrop block header";
/// What a ticket's signature is made over, before genesis id and height.
const TICKET_DOMAIN: &[u8] = b"sealdrop devnet ticket";

/// What a block is, but for its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockHeader {
    /// The network's genesis id: a header counts nowhere else.
    pub genesis: Cid,
    pub height: Epoch,
    /// The block before; of block 0 the genesis id.
    pub parent: Cid,
    /// See [`ticket`]: what randomness is drawn from.
    pub ticket: Signature,
    /// When the block was made, in milliseconds since 1970; never before its parent.
    pub time_ms: u64,
    /// Root over the block's messages with their receipts ([`super::MessageProof`]).
    pub receipts_root: Hash,
    /// Root over the state after the block ([`super::StateProof`]).
    pub state_root: Hash,
    /// blake2b-256 of that state as the chain stores it, for those who have all of it.
    pub state_digest: Hash,
}
cbor_map!(BlockHeader {
    "genesis" => genesis, "height" => height, "parent" => parent, "ticket" => ticket, "timeMs" => time_ms,
    "receiptsRoot" => receipts_root, "stateRoot" => state_root, "stateDigest" => state_digest,
});

/// A header with the authority's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHeader {
    pub header: BlockHeader,
    pub signature: Signature,
}
cbor_map!(SignedHeader { "header" => header, "signature" => signature });

/// A header that the authority of a network signed; made by [`SignedHeader::check`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedHeader(BlockHeader);

/// Why a header is not one of a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("the header of block {height} is of another network: its genesis is {found}, not {expected}")]
    OtherNetwork { height: Epoch, expected: Cid, found: Cid },
    #[error("the header of block {height} is not signed by the network's authority {authority}")]
    Signature { height: Epoch, authority: Address },
    #[error("the ticket of block {height} is not the authority's")]
    Ticket { height: Epoch },
    #[error("block 0 does not follow the network's genesis record")]
    Genesis,
}

impl BlockHeader {
    /// The block's id.
    pub fn id(&self) -> Cid {
        cid_of(self)
    }

    /// Signs the header with the authority's key.
    pub fn sign(self, authority: &SecretKey) -> SignedHeader {
        let signature = authority.sign(&self.signed_bytes());
        SignedHeader {
            header: self,
            signature,
        }
    }

    fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = HEADER_DOMAIN.to_vec();
        bytes.extend_from_slice(&encode(self));
        bytes
    }
}

impl SignedHeader {
    /// Checks that the network's authority signed this header.
    pub fn check(&self, anchor: &Anchor) -> Result<CheckedHeader, HeaderError> {
        let header = &self.header;
        let (height, genesis) = (header.height, anchor.genesis());
        if header.genesis != *genesis {
            return Err(HeaderError::OtherNetwork {
                height,
                expected: *genesis,
                found: header.genesis,
            });
        }
        let authority = anchor.authority();
        if !self.signature.verifies(&header.signed_bytes(), authority) {
            let authority = authority.clone();
            return Err(HeaderError::Signature { height, authority });
        }
        if !ticket_is_valid(&header.ticket, authority, genesis, height) {
            return Err(HeaderError::Ticket { height });
        }
        if height == Epoch(0) && header.parent != *genesis {
            return Err(HeaderError::Genesis);
        }
        Ok(CheckedHeader(header.clone()))
    }
}

impl CheckedHeader {
    pub fn header(&self) -> &BlockHeader {
        &self.0
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
