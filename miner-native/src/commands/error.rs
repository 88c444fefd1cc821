//! Why a command does not reach its end, and how that is told: what happened, why, and what to do; each cause once.

use crate::chain_access::ChainError;
use crate::client::ClientError;
use crate::home::HomeError;
use crate::wallet::WalletError;
use cid::Cid;
use shared::chain::Address;

/// An error of a command.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Home(#[from] HomeError),
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
    #[error("the runtime cannot be started: {0}; close other programs and try again")]
    Runtime(std::io::Error),
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
