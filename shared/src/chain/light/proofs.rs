//! Proofs that a message is in a block with a receipt, and that a state has an entry, or has none, under a key.
//!
//! Sent by whoever shows something of the chain (the chain's RPC, a receipt file), checked by whoever sees it.

use super::anchor::Anchor;
use super::entries::{StateEntry, StateKey, MAX_KEY};
use super::header::{CheckedHeader, HeaderError, SignedHeader};
use super::merkle::{empty_root, leaf, Hash, Path, PathError};
use crate::chain::keys::{blake2b256, cid_of};
use crate::chain::{Epoch, Receipt, SignedMessage};
use crate::wire::cbor::{cbor_map, map, Bytes, Cbor, DecodeError, Fields, Value};
use crate::wire::encode;
use alloc::vec::Vec;
use cid::Cid;

/// Most entries of one [`StateProof`].
pub const MAX_ENTRIES: usize = 64;

/// Why a proof shows nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("the message with this receipt is not in block {height}: {source}")]
    Receipt { height: Epoch, source: PathError },
    #[error("the message's sender did not sign it")]
    MessageSignature,
    #[error("the entry is not in the state after block {height}: {source}")]
    Entry { height: Epoch, source: PathError },
    #[error("the key is not one of the state's")]
    Key,
    #[error("the entry cannot be read: {0}")]
    Value(DecodeError),
    #[error("the keys beside the missing one do not show that it is missing")]
    Neighbours,
    #[error("a proof has at most {MAX_ENTRIES} entries, not {0}")]
    TooMany(usize),
}

/// The leaf of a message with its receipt.
pub fn receipt_leaf(message: &Cid, receipt: &Receipt) -> Hash {
    leaf(&encode(&Occurred(*message, receipt.clone())))
}

struct Occurred(Cid, Receipt);

impl Cbor for Occurred {
    fn to_value(&self) -> Value {
        map(alloc::vec![
            ("message", self.0.to_value()),
            ("receipt", self.1.to_value())
        ])
    }

    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut fields = Fields::open(value, "Occurred", &["message", "receipt"])?;
        Ok(Self(fields.take("message")?, fields.take("receipt")?))
    }
}

/// The leaf of an entry: of its key and of the digest of its bytes.
pub fn entry_leaf(key: &[u8], digest: &Hash) -> Hash {
    // The digest has a fixed length, so that one split of the bytes is possible only.
    let mut content = Vec::with_capacity(MAX_KEY.saturating_add(digest.len()));
    content.extend_from_slice(digest);
    content.extend_from_slice(key);
    leaf(&content)
}

/// A message, what came of it, and the way to the header of its block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageProof {
    pub header: SignedHeader,
    pub message: SignedMessage,
    pub receipt: Receipt,
    pub path: Path,
}
cbor_map!(MessageProof { "header" => header, "message" => message, "receipt" => receipt, "path" => path });

/// A message that is in a block, with what came of it: made by [`MessageProof::check`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    header: CheckedHeader,
    id: Cid,
    message: SignedMessage,
    receipt: Receipt,
}

impl MessageProof {
    /// Checks header, path and the sender's signature.
    pub fn check(&self, anchor: &Anchor) -> Result<Occurrence, ProofError> {
        let header = self.header.check(anchor)?;
        let id = cid_of(&self.message);
        let height = header.header().height;
        let way = self
            .path
            .verify(receipt_leaf(&id, &self.receipt), &header.header().receipts_root);
        way.map_err(|source| ProofError::Receipt { height, source })?;
        if !self.message.is_signed_on(anchor.genesis()) {
            return Err(ProofError::MessageSignature);
        }
        Ok(Occurrence {
            header,
            id,
            message: self.message.clone(),
            receipt: self.receipt.clone(),
        })
    }
}

impl Occurrence {
    pub fn header(&self) -> &CheckedHeader {
        &self.header
    }

    /// Height of its block.
    pub fn height(&self) -> Epoch {
        self.header.header().height
    }

    /// The message's id.
    pub fn id(&self) -> &Cid {
        &self.id
    }

    pub fn message(&self) -> &SignedMessage {
        &self.message
    }

    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }
}

/// A key that is there, beside one that is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    pub key: Bytes,
    /// blake2b-256 of its entry's bytes.
    pub digest: Hash,
    pub path: Path,
}
cbor_map!(Neighbour { "key" => key, "digest" => digest, "path" => path });

/// What stands under one key, with the way to a header's state root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryProof {
    Present {
        key: Bytes,
        /// The entry in canonical CBOR.
        value: Bytes,
        path: Path,
    },
    /// Nothing: the keys before and after it follow one another.
    Absent {
        key: Bytes,
        /// `None` when the key would be the first.
        before: Option<Neighbour>,
        /// `None` when the key would be the last.
        after: Option<Neighbour>,
    },
}

impl Cbor for EntryProof {
    fn to_value(&self) -> Value {
        match self {
            Self::Present { key, value, path } => map(alloc::vec![
                ("key", key.to_value()),
                ("value", value.to_value()),
                ("path", path.to_value()),
            ]),
            Self::Absent { key, before, after } => map(alloc::vec![
                ("key", key.to_value()),
                ("before", before.to_value()),
                ("after", after.to_value()),
            ]),
        }
    }

    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let is_value = |(key, _): &(Value, Value)| key.as_text() == Some("value");
        let is_present = value.as_map().is_some_and(|fields| fields.iter().any(is_value));
        let keys = match is_present {
            true => ["key", "value", "path"],
            false => ["key", "before", "after"],
        };
        let mut fields = Fields::open(value, "EntryProof", &keys)?;
        let key = fields.take("key")?;
        Ok(match is_present {
            true => Self::Present {
                key,
                value: fields.take("value")?,
                path: fields.take("path")?,
            },
            false => Self::Absent {
                key,
                before: fields.take("before")?,
                after: fields.take("after")?,
            },
        })
    }
}

impl EntryProof {
    /// Hashes of its paths.
    pub fn hashes(&self) -> usize {
        let of = |neighbour: &Option<Neighbour>| neighbour.as_ref().map_or(0, |n| n.path.siblings.len());
        match self {
            Self::Present { path, .. } => path.siblings.len(),
            Self::Absent { before, after, .. } => of(before).saturating_add(of(after)),
        }
    }

    /// What the state after the header's block has under the key: `None` when it has nothing.
    pub fn check(&self, header: &CheckedHeader) -> Result<(StateKey, Option<StateEntry>), ProofError> {
        let (height, root) = (header.header().height, &header.header().state_root);
        let outside = |source| ProofError::Entry { height, source };
        match self {
            Self::Present { key, value, path } => {
                let hash = entry_leaf(&key.0, &blake2b256(&value.0));
                path.verify(hash, root).map_err(outside)?;
                let key = StateKey::from_bytes(&key.0).ok_or(ProofError::Key)?;
                let entry = StateEntry::from_bytes(&key, &value.0).map_err(ProofError::Value)?;
                Ok((key, Some(entry)))
            }
            Self::Absent { key, before, after } => {
                let neighbours = before.iter().chain(after);
                for Neighbour { key, digest, path } in neighbours {
                    path.verify(entry_leaf(&key.0, digest), root).map_err(outside)?;
                }
                if !are_beside(&key.0, before.as_ref(), after.as_ref(), root) {
                    return Err(ProofError::Neighbours);
                }
                let key = StateKey::from_bytes(&key.0).ok_or(ProofError::Key)?;
                Ok((key, None))
            }
        }
    }
}

/// Whether there is no key between the neighbours, whose paths were checked, and `key` would be there.
fn are_beside(key: &[u8], before: Option<&Neighbour>, after: Option<&Neighbour>, root: &Hash) -> bool {
    let is_first = |after: &Neighbour| after.path.index == 0;
    let is_last = |before: &Neighbour| before.path.index.checked_add(1) == Some(before.path.count);
    let in_order = before.is_none_or(|before| before.key.0.as_slice() < key)
        && after.is_none_or(|after| key < after.key.0.as_slice());
    let adjoin = match (before, after) {
        (Some(before), Some(after)) => before.path.index.checked_add(1) == Some(after.path.index),
        (Some(before), None) => is_last(before),
        (None, Some(after)) => is_first(after),
        (None, None) => *root == empty_root(),
    };
    in_order && adjoin
}

/// Entries of the state after one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateProof {
    pub header: SignedHeader,
    pub entries: Vec<EntryProof>,
}
cbor_map!(StateProof { "header" => header, "entries" => entries });

impl StateProof {
    /// The header, and what the state has under each key, in the proof's order. Whether these are the keys that were asked for
    /// is for the asker to compare.
    #[allow(clippy::type_complexity)]
    pub fn check(&self, anchor: &Anchor) -> Result<(CheckedHeader, Vec<(StateKey, Option<StateEntry>)>), ProofError> {
        if self.entries.len() > MAX_ENTRIES {
            return Err(ProofError::TooMany(self.entries.len()));
        }
        let header = self.header.check(anchor)?;
        let entries = self.entries.iter().map(|entry| entry.check(&header));
        let entries = entries.collect::<Result<_, _>>()?;
        Ok((header, entries))
    }
}
