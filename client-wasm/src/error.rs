//! What can go wrong, as JavaScript sees it: a stable code, what and why, and what to do next.
//!
//! Every fallible function of this crate returns a [`ClientError`]; a `working` deal keeps its last one as a [`Problem`].

use crate::json;
use shared::chain::{Address, Epoch};
use shared::client::dialing::Obstacle;
use shared::client::duplicates::DuplicateError;
use shared::client::files::NothingToAbandon;
use shared::client::{EngineError, ErrorCode, OfferError, Problem, RetrievalError};
use shared::deal::{DraftError, Rejection};
use wasm_bindgen::{JsCast, JsValue};

/// Why something cannot be done (now).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ClientError {
    #[error("{what} is invalid: {reason}")]
    Argument { what: &'static str, reason: String },
    #[error("the chain at {url} does not answer: {reason}")]
    ChainUnreachable {
        url: String,
        reason: String,
        /// What is in the way, where it can be told.
        obstacle: Option<Obstacle>,
    },
    #[error("the chain refuses {method}: {message}")]
    ChainRefused {
        method: &'static str,
        /// As the chain's RPC has it; 0 for a message that failed.
        code: i64,
        /// The block that a pruned message is in.
        height: Option<Epoch>,
        message: String,
        hint: String,
    },
    #[error("the chain's answer to {method} cannot be read: {reason}")]
    ChainAnswer { method: &'static str, reason: String },
    #[error("the faucet refused: {message}")]
    Faucet { message: String, hint: String },
    #[error("miner {miner} cannot be reached: {reason}")]
    MinerUnreachable {
        miner: Address,
        reason: String,
        /// What is in the way, where it can be told.
        obstacle: Option<Obstacle>,
    },
    #[error("miner {miner} does not speak {protocol}")]
    MinerLacks { miner: Address, protocol: &'static str },
    #[error("the file has {size} bytes, but a sector of this miner holds {usable} bytes")]
    FileTooLarge { size: u64, usable: u64 },
    #[error("there is already a deal with this miner for this file")]
    Duplicate,
    #[error("a free deal with the same terms is the same deal as {0}")]
    SameDeal(String),
    #[error(transparent)]
    Draft(DraftError),
    #[error(transparent)]
    Offer(OfferError),
    #[error(transparent)]
    NothingToAbandon(#[from] NothingToAbandon),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the deal is not complete, so there is nothing to verify yet")]
    NotStoredYet,
    #[error("this deal was not proposed to a miner yet")]
    NotProposed,
    #[error("the retrieval from miner {miner} was ended: {error}")]
    Retrieval { miner: Address, error: RetrievalError },
    #[error("{0}")]
    Changed(String),
    #[error("{0}")]
    Decryption(String),
    #[error("the signature was refused: {0}")]
    SignerRefused(String),
    #[error("the signer did not sign: {0}")]
    SignerFailed(String),
    #[error("this deal is paid by {0}, and this client has another account")]
    OtherAccount(Address),
    #[error("stopped")]
    Aborted,
    #[error("the browser's storage failed: {0}")]
    Storage(String),
    #[error("{0}")]
    Internal(String),
}

impl ClientError {
    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Argument { .. } => ErrorCode::BadArgument,
            Self::ChainUnreachable { .. } => ErrorCode::ChainUnreachable,
            Self::ChainRefused { .. } | Self::ChainAnswer { .. } => ErrorCode::ChainRefused,
            Self::Faucet { .. } => ErrorCode::Faucet,
            Self::MinerUnreachable { .. } | Self::MinerLacks { .. } => ErrorCode::MinerUnreachable,
            Self::FileTooLarge { .. } => ErrorCode::FileTooLarge,
            Self::Duplicate | Self::SameDeal(_) => ErrorCode::Duplicate,
            Self::Draft(error) => error.into(),
            Self::Offer(error) => error.into(),
            Self::NothingToAbandon(_) => ErrorCode::NotWorking,
            Self::Engine(error) => error.into(),
            Self::Retrieval { error, .. } => error.into(),
            Self::NotStoredYet | Self::NotProposed => ErrorCode::NotStoredYet,
            Self::Changed(_) => ErrorCode::FileLost,
            Self::Decryption(_) => ErrorCode::Decryption,
            Self::SignerRefused(_) => ErrorCode::SignerRefused,
            Self::SignerFailed(_) => ErrorCode::SignerFailed,
            Self::OtherAccount(_) => ErrorCode::Unsupported,
            Self::Aborted => ErrorCode::Aborted,
            Self::Storage(_) => ErrorCode::Storage,
            Self::Internal(_) => ErrorCode::Internal,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        // What may be off is told by the code, with what it means for a deal.
        let told = |obstacle: &Obstacle| *obstacle != Obstacle::NoAnswer && !obstacle.hint().is_empty();
        if let Some(obstacle) = self.obstacle().filter(told) {
            return obstacle.hint().into();
        }
        match self {
            Self::ChainRefused { hint, .. } | Self::Faucet { hint, .. } => return hint.clone(),
            Self::ChainAnswer { .. } => "Chain and client may be of different versions: build both anew.",
            Self::Duplicate => {
                "Look the deal up in the deal book, or store the file once more on purpose (`allowDuplicates`)."
            }
            Self::SameDeal(_) => "Look the deal up in the deal book, or choose another duration.",
            Self::Engine(EngineError::Channel { .. } | EngineError::Refund { .. }) => "It is tried again by itself.",
            Self::NotProposed => "Wait until it is signed; a failed deal can be tried again.",
            Self::Storage(_) => "Free some space, or leave the private window.",
            _ => self.code().hint(),
        }
        .into()
    }

    /// What stands between this page and the other side, where it can be told.
    fn obstacle(&self) -> Option<Obstacle> {
        match self {
            Self::MinerUnreachable { obstacle, .. } | Self::ChainUnreachable { obstacle, .. } => *obstacle,
            _ => None,
        }
    }

    /// The fault as plain data.
    pub fn problem(&self) -> Problem {
        Problem {
            code: self.code(),
            message: self.to_string(),
            hint: self.hint(),
            rejection: match self {
                Self::Draft(DraftError::Rejected(Rejection { code, .. })) => Some(*code as u16),
                _ => None,
            },
            obstacle: self.obstacle(),
        }
    }

    /// An exception or rejection of JavaScript, as text.
    pub fn text_of(value: &JsValue) -> String {
        let error = value
            .dyn_ref::<js_sys::Error>()
            .map(|error| String::from(error.message()));
        error
            .or_else(|| value.as_string())
            .unwrap_or_else(|| format!("{value:?}"))
    }

    /// A failure of the page's storage.
    pub fn storage(value: JsValue) -> Self {
        Self::Storage(Self::text_of(&value))
    }
}

impl From<DraftError> for ClientError {
    /// In words of the page where those of the rules are for a terminal.
    fn from(error: DraftError) -> Self {
        match error {
            DraftError::PieceTooLarge { size, usable } => Self::FileTooLarge { size, usable },
            DraftError::Duplicate => Self::Duplicate,
            error => Self::Draft(error),
        }
    }
}

impl From<DuplicateError> for ClientError {
    fn from(error: DuplicateError) -> Self {
        match error {
            DuplicateError::Draft(error) => error.into(),
            DuplicateError::SameDeal { deal } => Self::SameDeal(deal),
            DuplicateError::Schedule(error) => Self::Draft(error.into()),
        }
    }
}

impl From<OfferError> for ClientError {
    fn from(error: OfferError) -> Self {
        match error {
            OfferError::TooLarge { size, usable, .. } => Self::FileTooLarge { size, usable },
            error => Self::Offer(error),
        }
    }
}

impl From<ClientError> for JsValue {
    fn from(fault: ClientError) -> JsValue {
        // FAIL: three strings cannot fail to become an object. THEN: the message alone is better than nothing.
        json::to_js(&fault.problem()).unwrap_or_else(|_| JsValue::from_str(&fault.to_string()))
    }
}
