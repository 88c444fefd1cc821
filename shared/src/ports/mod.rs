//! What the rules need from a host, as traits (design §4).

pub mod chain;
pub mod history;
pub mod proof_source;

pub use crate::chain::verifier;
pub use chain::{Chain, CommitMessage, Found, MessagePurpose, Sent};
pub use history::History;
pub use proof_source::{ProofSource, Unproven};
