//! What a genesis id stands for: the record that a chain was started with names its authority and its rules.
//!
//! The development chain writes the record; whoever knows the id alone opens it here, from bytes that anybody may have sent.

use crate::chain::keys::cid_of_bytes;
use crate::chain::{Address, Policy};
use alloc::string::String;
use cid::Cid;
use serde::Deserialize;

/// Longest genesis record that is looked at; one has about 1 kB.
pub const MAX_RECORD: usize = 16 * 1024;

/// Why bytes are not the genesis record of a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    #[error("a genesis record has at most {MAX_RECORD} bytes, not {0}")]
    TooLong(usize),
    #[error("this is the genesis record of another network: its id is {found}, not {expected}")]
    OtherNetwork { expected: Cid, found: Cid },
    #[error("the genesis record cannot be read")]
    Malformed,
}

/// A network's genesis id and what follows from it: nothing of this has to be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    genesis: Cid,
    record: Record,
}

/// The part of the record that a client needs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Record {
    network: String,
    verifying_keys: String,
    policy: Policy,
    authority: Address,
}

impl Anchor {
    /// Opens the record of the network with this genesis id.
    pub fn open(genesis: &Cid, record: &[u8]) -> Result<Self, AnchorError> {
        if record.len() > MAX_RECORD {
            return Err(AnchorError::TooLong(record.len()));
        }
        let found = cid_of_bytes(record);
        if found != *genesis {
            let expected = *genesis;
            return Err(AnchorError::OtherNetwork { expected, found });
        }
        let record = ciborium::from_reader(record).map_err(|_| AnchorError::Malformed)?;
        Ok(Self { genesis: found, record })
    }

    /// The network's id.
    pub fn genesis(&self) -> &Cid {
        &self.genesis
    }

    /// Who signs the headers and draws the tickets.
    pub fn authority(&self) -> &Address {
        &self.record.authority
    }

    /// The network's name.
    pub fn network(&self) -> &str {
        &self.record.network
    }

    /// The network's numbers: they never change.
    pub fn policy(&self) -> &Policy {
        &self.record.policy
    }

    /// Digest of the verifying keys that proofs are checked with.
    pub fn verifying_keys(&self) -> &str {
        &self.record.verifying_keys
    }
}
