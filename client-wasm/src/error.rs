//! What can go wrong, as JavaScript sees it: a stable code, what and why, and what to do next.
//!
//! Every fallible function of this crate returns a [`ClientError`]; a `working` deal keeps its last one as a [`Problem`].

use shared::chain::{Address, AttoFil, Epoch};
use shared::client::duplicates::DuplicateError;
use shared::client::record::FILE_LOST;
use shared::client::{EngineError, OfferError, Problem, RetrievalError};
use shared::deal::{DraftError, Rejection};
use wasm_bindgen::{JsCast, JsValue};

/// Why something cannot be done (now).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ClientError {
    #[error("{what} is invalid: {reason}")]
    Argument { what: &'static str, reason: String },
    #[error("the chain at {url} does not answer: {reason}")]
    ChainUnreachable { url: String, reason: String },
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
    #[error("there is no miner {0} on this network")]
    MinerUnknown(Address),
    #[error("miner {0} offers no storage at present: it has no ask that still stands")]
    NoAsk(Address),
    #[error("miner {miner} cannot be reached: {reason}")]
    MinerUnreachable { miner: Address, reason: String },
    #[error("miner {miner} does not speak {protocol}")]
    MinerLacks { miner: Address, protocol: &'static str },
    #[error("miner {miner} gave an invalid answer: {reason}")]
    MinerMisbehaved { miner: Address, reason: String },
    #[error("the file is empty")]
    EmptyFile,
    #[error("the file has {size} bytes, but a sector of this miner holds {usable} bytes")]
    FileTooLarge { size: u64, usable: u64 },
    #[error("this deal costs {cost} FIL, but the account holds {balance} FIL")]
    Funds { cost: AttoFil, balance: AttoFil },
    /// `code` is the stable number of the miner's rule, when it was found here.
    #[error("{message}")]
    Rejected { code: Option<u16>, message: String },
    #[error("there is already a deal with this miner for this file")]
    Duplicate,
    #[error("a free deal with the same terms is the same deal as {0}")]
    SameDeal(String),
    #[error("an account cannot store files with its own miner")]
    SelfDeal,
    #[error("{0}")]
    DealFailed(String),
    #[error("this browser no longer has the file of this deal")]
    FileLost,
    #[error("the deal is not complete, so there is nothing to {0} yet")]
    NotStoredYet(&'static str),
    #[error("this deal was not proposed to a miner yet")]
    NotProposed,
    #[error("what the miner sent is not the file: {0}")]
    RetrievalCorrupt(String),
    #[error("the miner did not deliver the file: {0}")]
    RetrievalFailed(String),
    #[error("stopped")]
    Aborted,
    #[error("the browser's storage failed: {0}")]
    Storage(String),
    #[error("{0}")]
    Internal(String),
}

impl ClientError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Argument { .. } => "bad-argument",
            Self::ChainUnreachable { .. } => "chain-unreachable",
            Self::ChainRefused { .. } | Self::ChainAnswer { .. } => "chain-refused",
            Self::Faucet { .. } => "faucet",
            Self::MinerUnknown(_) => "miner-unknown",
            Self::NoAsk(_) => "no-ask",
            Self::MinerUnreachable { .. } | Self::MinerLacks { .. } => "miner-unreachable",
            Self::MinerMisbehaved { .. } => "miner-misbehaved",
            Self::EmptyFile => "empty-file",
            Self::FileTooLarge { .. } => "file-too-large",
            Self::Funds { .. } => "insufficient-funds",
            Self::Rejected { .. } => "rejected",
            Self::Duplicate | Self::SameDeal(_) => "duplicate",
            Self::SelfDeal => "self-deal",
            Self::DealFailed(_) => "deal-failed",
            Self::FileLost => FILE_LOST,
            Self::NotStoredYet(_) | Self::NotProposed => "not-stored-yet",
            Self::RetrievalCorrupt(_) => "retrieval-corrupt",
            Self::RetrievalFailed(_) => "retrieval-failed",
            Self::Aborted => "aborted",
            Self::Storage(_) => "storage",
            Self::Internal(_) => "internal",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::ChainRefused { hint, .. } | Self::Faucet { hint, .. } => hint.clone(),
            Self::ChainUnreachable { .. } => "Start the chain (`sealdrop daemon`), or correct its URL.".into(),
            Self::ChainAnswer { .. } => "Chain and client may be of different versions: build both anew.".into(),
            Self::MinerUnknown(_) => "Choose a miner from the list of this network.".into(),
            Self::NoAsk(_) => "Choose another miner, or ask this one to publish a price.".into(),
            Self::MinerUnreachable { .. } | Self::MinerLacks { .. } => {
                "Check that the miner runs and that its WebSocket address can be reached from here. Nothing is lost: an open deal goes on when it is back.".into()
            }
            Self::MinerMisbehaved { .. } => "Choose another miner for further files.".into(),
            Self::EmptyFile => "Choose a file with at least one byte.".into(),
            Self::FileTooLarge { .. } => "Choose a smaller file, or a miner with larger sectors.".into(),
            Self::Funds { .. } => "Get FIL from the faucet, or choose a shorter duration.".into(),
            Self::Duplicate => "Look the deal up in the deal book, or store the file once more on purpose (`allowDuplicates`).".into(),
            Self::SameDeal(_) => "Look the deal up in the deal book, or choose another duration.".into(),
            Self::SelfDeal => "Use another account, or another miner.".into(),
            Self::Rejected { .. } => "The miner's reason tells what to change; then try again.".into(),
            Self::DealFailed(_) => "Try again, with this miner or another one.".into(),
            Self::FileLost => "Choose the file again and store it in a new deal.".into(),
            Self::NotStoredYet(_) => "Wait until the deal is complete.".into(),
            Self::NotProposed => "Wait until it is signed; a failed deal can be tried again.".into(),
            Self::RetrievalCorrupt(_) => "The bytes were thrown away. Try again; if it stays so, the miner has lost the file.".into(),
            Self::RetrievalFailed(_) => "Try again later.".into(),
            Self::Storage(_) => "Free some space, or leave the private window.".into(),
            Self::Argument { .. } | Self::Aborted | Self::Internal(_) => String::new(),
        }
    }

    /// The fault as plain data.
    pub fn problem(&self) -> Problem {
        Problem {
            code: self.code().into(),
            message: self.to_string(),
            hint: self.hint(),
            rejection: match self {
                Self::Rejected { code, .. } => *code,
                _ => None,
            },
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
    fn from(error: DraftError) -> Self {
        match error {
            DraftError::PieceTooLarge { size, usable } => Self::FileTooLarge { size, usable },
            DraftError::Empty => Self::EmptyFile,
            DraftError::Funds { cost, balance } => Self::Funds { cost, balance },
            DraftError::Schedule(e) => Self::Argument {
                what: "the duration",
                reason: e.to_string(),
            },
            DraftError::ProposalTooLarge { .. } => Self::Argument {
                what: "the duration",
                reason: error.to_string(),
            },
            DraftError::Rejected(Rejection { code, message }) => Self::Rejected {
                code: Some(code as u16),
                message: format!("the miner would refuse this deal: {message}"),
            },
            DraftError::SelfDeal => Self::SelfDeal,
            DraftError::Duplicate => Self::Duplicate,
        }
    }
}

impl From<EngineError> for ClientError {
    fn from(error: EngineError) -> Self {
        let refused = |method, message| Self::ChainRefused {
            method,
            code: 0,
            height: None,
            message,
            hint: "It is tried again by itself.".into(),
        };
        match error {
            EngineError::Refused { miner, refusal } => Self::MinerMisbehaved {
                miner,
                reason: refusal.to_string(),
            },
            EngineError::FileChanged => Self::FileLost,
            EngineError::Channel { reason } => refused("createChannel", reason),
            EngineError::Refund { .. } => refused("the refund", error.to_string()),
            EngineError::Schedule(error) => DraftError::Schedule(error).into(),
            EngineError::NotApplicable => Self::Internal(error.to_string()),
        }
    }
}

impl From<DuplicateError> for ClientError {
    fn from(error: DuplicateError) -> Self {
        match error {
            DuplicateError::Draft(error) => error.into(),
            DuplicateError::SameDeal { deal } => Self::SameDeal(deal),
            DuplicateError::Schedule(error) => DraftError::Schedule(error).into(),
        }
    }
}

impl From<OfferError> for ClientError {
    fn from(error: OfferError) -> Self {
        match error {
            OfferError::UnknownMiner(miner) => Self::MinerUnknown(miner),
            OfferError::NoAsk(miner) | OfferError::UnknownAsk { miner, .. } | OfferError::AskExpired { miner, .. } => {
                Self::NoAsk(miner)
            }
            OfferError::SectorSize { ref miner, .. } => Self::MinerMisbehaved {
                miner: miner.clone(),
                reason: error.to_string(),
            },
            OfferError::TooLarge { size, usable, .. } => Self::FileTooLarge { size, usable },
            OfferError::NoMiners => Self::Internal(error.to_string()),
        }
    }
}

impl ClientError {
    /// Why a file does not come from its miner.
    pub fn retrieval(error: RetrievalError, miner: &Address) -> Self {
        match error {
            RetrievalError::Withheld(reason) => Self::RetrievalFailed(reason),
            RetrievalError::WrongSize { .. }
            | RetrievalError::Chunk(_)
            | RetrievalError::Corrupt { .. }
            | RetrievalError::Dag(_) => Self::RetrievalCorrupt(error.to_string()),
            error => Self::MinerUnreachable {
                miner: miner.clone(),
                reason: error.to_string(),
            },
        }
    }
}

impl From<ClientError> for JsValue {
    fn from(fault: ClientError) -> JsValue {
        // FAIL: three strings cannot fail to become an object. THEN: the message alone is better than nothing.
        serde_wasm_bindgen::to_value(&fault.problem()).unwrap_or_else(|_| JsValue::from_str(&fault.to_string()))
    }
}
