//! Proofs of what a chain's endpoint says: what [`crate::client::light`] asks for.

use crate::chain::light::{MessageProof, StateKey, StateProof};
use alloc::string::String;
use alloc::vec::Vec;
use cid::Cid;

/// Why an endpoint did not prove something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unproven {
    /// It says that it cannot, in words: the block is too old, or the endpoint is.
    Cannot(String),
    /// What it sent is no proof.
    Malformed(String),
    /// It did not answer.
    Away,
}

/// A chain endpoint, asked for proofs. What it answers was not checked.
#[allow(async_fn_in_trait)] // both hosts run it on one thread
pub trait ProofSource {
    type Error;

    /// The genesis record's bytes.
    async fn genesis_record(&self) -> Result<Vec<u8>, Self::Error>;
    /// `None` for a message that is in no block, as far as the endpoint says.
    async fn message_proof(&self, id: &Cid) -> Result<Option<MessageProof>, Self::Error>;
    /// What the newest state has under these keys.
    async fn state_proof(&self, keys: &[StateKey]) -> Result<StateProof, Self::Error>;
    /// What an error of these questions means.
    fn unproven(error: &Self::Error) -> Unproven;
}
