//! Why a command does not reach its end, and how that is told: what happened, why, and what to do; each cause once.

use crate::client::ClientError;
use cid::Cid;
use sealdrop_miner::chain_access::ChainError;
use sealdrop_miner::data_dir::DataDirError;
use sealdrop_miner::network::IdentityError;
use sealdrop_miner::operator::token::TokenError;
use sealdrop_miner::operator::OperatorError;
use sealdrop_wallet::WalletError;
use shared::chain::{Address, Epoch};
use shared::exit_code;
use std::path::PathBuf;
use std::process::ExitCode;

/// An error of a command.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Wallet(#[from] WalletError),
    #[error(
        "the chain knows no message {message}; check the id, and that --chain names the chain that it was sent to"
    )]
    UnknownMessage { message: Cid },
    #[error("the chain has no actor at {address}: nothing was ever sent to it; check the address, and that --chain names its chain")]
    UnknownActor { address: Address },
    #[error(transparent)]
    Operator(#[from] OperatorError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("there is no miner here: no daemon answers at {base}, and `miner create` registered none from this home; name the miner, or start a daemon with `sealdrop daemon`")]
    NoMiner { base: String },
    #[error(transparent)]
    HostKey(#[from] IdentityError),
    #[error("the network has no miner {miner}; `sealdrop client miners` lists those that it has")]
    UnknownMiner { miner: Address },
    #[error("can only have one miner per node; register another from a home of its own with --home DIR")]
    HasMiner,
    #[error("unsupported sector size: {asked} (supported sizes: {supported})")]
    SectorSize { asked: String, supported: String },
    #[error("the chain's answer to {method} is not what that method returns; is it a Sealdrop chain of this version?")]
    Strange { method: &'static str },
    #[error("must be mining to {purpose}; start with `sealdrop mining start`")]
    NotMining { purpose: &'static str },
    #[error("deal not found")]
    DealNotFound,
    #[error("unable to determine a default wallet address; make one with `sealdrop wallet new`")]
    NoDefaultAddress,
    #[error("the faucet refused: {reason}")]
    Faucet { reason: String },
    #[error("there is no setting {key:?}; the settings are {known}")]
    UnknownSetting { key: String, known: String },
    #[error("invalid value {value:?} for {key}: expected {form}")]
    SettingValue {
        key: &'static str,
        value: String,
        form: &'static str,
    },
    #[error("{key} cannot be changed: {advice}")]
    FixedSetting { key: &'static str, advice: &'static str },
    #[error("the message would fail with exit code {exit_code}: {error}")]
    WouldFail { exit_code: u64, error: String },
    #[error("the message failed with exit code {exit_code}: {error}")]
    MessageFailed { exit_code: u64, error: String },
    #[error("message {message} was dropped and will never be in a block: {reason}")]
    Dropped { message: Cid, reason: String },
    #[error("message {message} was in no block after {seconds} seconds; ask again with `sealdrop message wait`, or give it longer with --timeout")]
    NotMined { message: Cid, seconds: u64 },
    #[error("message {message} is in block {height}, so long ago that the chain keeps nothing more of it")]
    Pruned { message: Cid, height: Epoch },
    #[error("cannot {action} {}: {source}; check the path, its permissions and the free space", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("no block {id} is among those that the chain keeps; check the id, or name the block by its height")]
    UnknownBlock { id: String },
    #[error("the runtime cannot be started: {0}; close other programs and try again")]
    Runtime(std::io::Error),
}

impl CommandError {
    /// What the program ends with.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Client(ClientError::Undecided { .. }) => ExitCode::from(exit_code::UNDECIDED),
            _ => ExitCode::FAILURE,
        }
    }
}

impl CommandError {
    /// The error as one line of JSON for a program that asked for JSON; `None` for an error without a code of its own.
    pub fn json(&self) -> Option<String> {
        let problem = match self {
            Self::Client(error) => error.problem(),
            _ => return None,
        };
        // Plain data with text keys.
        Some(serde_json::to_string(&problem).expect("a problem of plain data is JSON"))
    }
}

impl From<ChainError> for CommandError {
    fn from(error: ChainError) -> Self {
        Self::Client(ClientError::chain(error))
    }
}

/// An error with its causes. Many of our texts hold their cause already, so one that was told is not told again.
pub fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{anyhow, Context};

    #[derive(Debug, thiserror::Error)]
    #[error("the disk is full: {0}; make room")]
    struct Full(#[source] std::io::Error);

    #[test]
    fn a_cause_that_the_text_holds_is_not_told_again() {
        let error = anyhow::Error::new(Full(std::io::Error::other("no space left")));
        assert_eq!(told(&error), "the disk is full: no space left; make room");
    }

    #[test]
    fn a_cause_that_the_text_leaves_out_is_told_after_it() {
        let failed: anyhow::Result<()> = Err(anyhow!("no space left"));
        let error = failed.context("the file was not written").expect_err("it is an error");
        assert_eq!(told(&error), "the file was not written: no space left");
    }
}
