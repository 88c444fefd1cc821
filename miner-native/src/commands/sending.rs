//! How commands send messages: one for each run, numbered and kept by the account like all its messages (spec §5.1).

use super::error::CommandError;
use super::gas::{GasOptions, Sending};
use super::output::Output;
use super::target::Target;
use crate::client::Account;
use cid::Cid;
use rand::RngCore;
use sealdrop_miner::chain_access::{ChainAccess, Gas};
use serde_json::json;
use shared::chain::view::ReceiptView;
use shared::chain::{Address, Call};
use std::time::Duration;

/// Longest wait for a block before a message is looked for all the same.
const NEWS: Duration = Duration::from_secs(10);

/// An account that a command sends from, with what it pays.
pub struct Sender {
    account: Account,
    gas: GasOptions,
}

impl Sender {
    /// Finds the account. `otherwise` is whom the command needs as its sender unless the user names one.
    pub async fn open(target: &Target, sending: &Sending, otherwise: Option<&Address>) -> Result<Self, CommandError> {
        let account = target.account(sending.from.as_ref().or(otherwise)).await?;
        let gas = sending.gas.clone();
        Ok(Self { account, gas })
    }

    /// Whom the message is from.
    pub fn address(&self) -> Address {
        self.account.address()
    }

    /// The account itself.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Units of gas that the call would use. Errs when the call would fail.
    pub async fn preview(&self, chain: &ChainAccess, call: &Call) -> Result<u64, CommandError> {
        let preview = chain.preview(call, Some(&self.address())).await?;
        match preview.exit_code {
            0 => Ok(preview.gas),
            exit_code => Err(CommandError::WouldFail {
                exit_code,
                error: preview.error,
            }),
        }
    }

    /// Sends the call; does not wait for a block.
    pub async fn send(&self, call: Call) -> Result<Cid, CommandError> {
        let lock = self.account.lock().await?;
        let purpose = purpose();
        let message = lock.chain.submit_with(&purpose, call, self.pays()).await?;
        // Nobody will ask for this purpose again.
        lock.chain.settle(&purpose)?;
        Ok(message)
    }

    /// Sends the call and waits until it is in a block, with the account free for others meanwhile. Errs when it fails there.
    pub async fn send_and_wait(&self, call: Call) -> Result<(Cid, ReceiptView), CommandError> {
        let (purpose, reader) = (purpose(), self.account.reader().await?);
        let mut heads = reader.heads();
        let lock = self.account.lock().await?;
        let message = lock.chain.submit_with(&purpose, call, self.pays()).await?;
        drop(lock);
        loop {
            let lock = self.account.lock().await?;
            let outcome = lock.chain.outcome(&message).await.transpose();
            if let Some(outcome) = outcome {
                lock.chain.settle(&purpose)?;
                return Ok((message, outcome?));
            }
            drop(lock);
            // A head that is missed only delays the next look.
            let _ = tokio::time::timeout(NEWS, heads.changed()).await;
        }
    }

    /// The whole of a command that sends one call without waiting: previews it, or sends it and prints its id.
    pub async fn perform(&self, target: &Target, call: Call, output: Output) -> Result<(), CommandError> {
        if self.gas.preview {
            let gas = self.preview(&target.chain().await?, &call).await?;
            return show_preview(gas, output);
        }
        let message = self.send(call).await?.to_string();
        output.show(&json!({ "message": message }), || message.clone())?;
        Ok(())
    }

    fn pays(&self) -> Gas {
        Gas {
            price: self.gas.gas_price,
            limit: self.gas.gas_limit,
        }
    }
}

/// Prints what `--preview` asks for: the units of gas.
pub fn show_preview(gas: u64, output: Output) -> Result<(), CommandError> {
    output.show(&json!({ "gas": gas }), || gas.to_string())
}

/// A purpose of its own for every run of a command: who runs it twice wants two messages.
fn purpose() -> String {
    let mut random = [0; 16];
    rand::rngs::OsRng.fill_bytes(&mut random);
    format!("command/{}", hex::encode(random))
}
