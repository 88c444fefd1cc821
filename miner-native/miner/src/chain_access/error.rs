//! Why the chain did not do what this node asked of it.

use sealdrop_database::DatabaseError;
use shared::chain::{Address, Epoch};

/// An error of the chain or of the way to it.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    #[error("the chain endpoint {url} does not answer: {reason}; is the daemon running, and is the URL right?")]
    Unreachable { url: String, reason: String },
    #[error("the chain refused: {message} (code {code})")]
    Rpc {
        code: i64,
        message: String,
        /// What to do about it, when the chain says so.
        hint: Option<String>,
    },
    #[error("the chain endpoint {url} answered something else than expected: {reason}; is it a Sealdrop chain of this version?")]
    Protocol { url: String, reason: String },
    #[error("the chain endpoint {url} sends its askers on to {to:?}, which is not followed: it would choose to whom this machine sends requests; name the chain's own endpoint if you trust that one")]
    Redirected { url: String, to: String },
    #[error("the message was dropped and will never be in a block: {reason}")]
    Dropped { reason: String },
    #[error("the message failed with exit code {exit_code}: {error}")]
    Failed { exit_code: u64, error: String },
    #[error("the query reverted: {error}")]
    Reverted {
        exit_code: u64,
        /// Ends with the exit code.
        error: String,
    },
    #[error("{reason}")]
    Pruned {
        /// The block that the message is in.
        height: Epoch,
        reason: String,
    },
    #[error("the chain does not know the message {message}, and this node did not send it")]
    UnknownMessage { message: String },
    #[error("this folder's messages belong to the chain {ours}, and {url} serves the chain {theirs} (\"{network}\"): use the chain they belong to, or another folder")]
    OtherChain {
        url: String,
        ours: String,
        theirs: String,
        network: String,
    },
    #[error("the purpose {purpose:?} has {length} bytes: a purpose has 1 to {most}")]
    Purpose {
        purpose: String,
        length: usize,
        most: usize,
    },
    #[error("{count} messages wait to be settled, as many as the outbox holds: settle those whose work is done")]
    OutboxFull { count: usize },
    #[error("this node has no key of the account {account} and cannot sign for it")]
    NoKey { account: Address },
    #[error("the outbox's store: {0}")]
    Store(#[from] DatabaseError),
    #[error("the outbox holds a damaged record: {0}; restore the folder from a backup")]
    Damaged(String),
}

impl ChainError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}
