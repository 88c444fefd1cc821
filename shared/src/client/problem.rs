//! What hinders a client, by stable codes: the same in the browser and in the terminal, whatever each says beside it.
//!
//! Programs go by the code, people by the text and the hint. A host adds only what it alone can meet, such as a file or a
//! storage of its own.

use super::dialing::Obstacle;
use super::duplicates::DuplicateError;
use super::host::EngineError;
use super::offer::OfferError;
use super::retrieval::RetrievalError;
use crate::deal::DraftError;
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// Stable codes of what can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    Aborted,
    BadArgument,
    Busy,
    ChainRefused,
    ChainUnreachable,
    Closed,
    DealFailed,
    Decryption,
    Duplicate,
    EmptyFile,
    Faucet,
    FileLost,
    FileTooLarge,
    FileUnreadable,
    InsufficientFunds,
    Internal,
    Locked,
    MinerMisbehaved,
    MinerUnknown,
    MinerUnreachable,
    NoAsk,
    NotFound,
    NotStoredYet,
    NotWorking,
    OverLimit,
    RefundPending,
    Rejected,
    RetrievalCorrupt,
    RetrievalFailed,
    SelfDeal,
    SignerFailed,
    SignerRefused,
    Storage,
    Unsupported,
}

/// Something that went wrong, in words: what and why, then what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    pub code: ErrorCode,
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
    /// With the code `rejected`: the stable number of the miner's rule, when it was found before anything was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejection: Option<u16>,
    /// What stands between this client and the other side, with the codes `miner-unreachable` and `chain-unreachable` where it can
    /// be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<Obstacle>,
}

impl Problem {
    /// With the code's own hint.
    pub fn of(code: ErrorCode, message: String) -> Self {
        Self {
            code,
            message,
            hint: code.hint().into(),
            rejection: None,
            obstacle: None,
        }
    }
}

impl ErrorCode {
    /// Why a deal failed, by the reason that is kept of it.
    pub fn of_failure(reason: &str) -> Self {
        match reason.starts_with("deal rejected") {
            true => Self::Rejected,
            false => Self::DealFailed,
        }
    }

    /// What to do about it; empty where only the message can say that.
    pub fn hint(self) -> &'static str {
        match self {
            Self::ChainUnreachable => "Start the chain (`sealdrop daemon`), or correct its URL.",
            Self::MinerUnknown => "Choose a miner from the list of this network.",
            Self::NoAsk => "Choose another miner, or ask this one to publish a price.",
            Self::MinerUnreachable => {
                "Check that the miner runs and can be reached from here. Nothing is lost: an open deal goes on when it is back."
            }
            Self::MinerMisbehaved => "Choose another miner for further files.",
            Self::EmptyFile => "Choose a file with at least one byte.",
            Self::FileTooLarge => "Choose a smaller file, or a miner with larger sectors.",
            Self::InsufficientFunds => "Get FIL from the faucet, or choose a shorter duration.",
            Self::OverLimit => "Allow more, or choose a shorter duration or another miner.",
            Self::SelfDeal => "Use another account, or another miner.",
            Self::SignerRefused => "Nothing was paid. Store it again, and agree when the wallet asks.",
            Self::SignerFailed => "Choose the account in the wallet again that this client was made with.",
            Self::Rejected => "The miner's reason tells what to change; then try again.",
            Self::DealFailed => "Try again, with this miner or another one.",
            Self::Decryption => "Give the key or the passphrase that the file was encrypted with.",
            Self::Locked => "Unlock the account with its passphrase.",
            Self::FileLost => "Choose the file again and store it in a new deal.",
            Self::NotStoredYet => "Wait until the deal is complete.",
            Self::NotWorking => "A deal that has ended can be forgotten.",
            Self::RetrievalCorrupt => {
                "The bytes were thrown away. Try again; if it stays so, the miner has lost the file."
            }
            Self::RetrievalFailed => "Try again later.",
            _ => "",
        }
    }
}

impl From<&DraftError> for ErrorCode {
    fn from(error: &DraftError) -> Self {
        match error {
            DraftError::Empty => Self::EmptyFile,
            DraftError::PieceTooLarge { .. } => Self::FileTooLarge,
            DraftError::Duplicate => Self::Duplicate,
            DraftError::SelfDeal => Self::SelfDeal,
            DraftError::Schedule(_) | DraftError::ProposalTooLarge { .. } => Self::BadArgument,
            DraftError::Funds { .. } => Self::InsufficientFunds,
            DraftError::Rejected(_) => Self::Rejected,
        }
    }
}

impl From<&DuplicateError> for ErrorCode {
    fn from(error: &DuplicateError) -> Self {
        match error {
            DuplicateError::Draft(error) => error.into(),
            DuplicateError::SameDeal { .. } => Self::Duplicate,
            DuplicateError::Schedule(_) => Self::BadArgument,
        }
    }
}

impl From<&OfferError> for ErrorCode {
    fn from(error: &OfferError) -> Self {
        match error {
            OfferError::UnknownMiner(_) | OfferError::NoMiners => Self::MinerUnknown,
            OfferError::NoAsk(_) | OfferError::UnknownAsk { .. } | OfferError::AskExpired { .. } => Self::NoAsk,
            OfferError::SectorSize { .. } => Self::MinerMisbehaved,
            OfferError::TooLarge { .. } => Self::FileTooLarge,
            OfferError::OverLimit { .. } => Self::OverLimit,
            OfferError::NoneTakes { refused: true, .. } => Self::Rejected,
            OfferError::NoneTakes { refused: false, .. } => Self::MinerUnreachable,
        }
    }
}

impl From<&EngineError> for ErrorCode {
    fn from(error: &EngineError) -> Self {
        match error {
            EngineError::Refused { .. } => Self::MinerMisbehaved,
            EngineError::FileChanged => Self::FileLost,
            EngineError::Channel { .. } | EngineError::Refund { .. } => Self::ChainRefused,
            EngineError::Schedule(_) => Self::BadArgument,
            EngineError::NotApplicable => Self::NotWorking,
        }
    }
}

impl From<&RetrievalError> for ErrorCode {
    fn from(error: &RetrievalError) -> Self {
        match error {
            RetrievalError::Withheld(_) => Self::RetrievalFailed,
            RetrievalError::WrongSize { .. }
            | RetrievalError::Chunk(_)
            | RetrievalError::Corrupt { .. }
            | RetrievalError::Dag(_) => Self::RetrievalCorrupt,
            RetrievalError::NoAnswer
            | RetrievalError::Silence { .. }
            | RetrievalError::Unsealing
            | RetrievalError::Slow
            | RetrievalError::OutOfTurn => Self::MinerUnreachable,
        }
    }
}
