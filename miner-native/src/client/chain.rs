//! The chain as the client's engine asks for it: questions over one connection, messages under the account's lock, which is held
//! while a message is made or looked for and never while it waits for its block.

use super::account::Account;
use super::error::ClientError;
use cid::Cid;
use sealdrop_miner::chain_access::{ChainAccess, ChainError};
use shared::chain::view::{ChannelView, MinerView};
use shared::chain::{Address, Call, ChannelId, Epoch, Policy};
use shared::ports::{Chain, CommitMessage, Found, MessagePurpose, Sent};

/// The chain of one account.
#[derive(Clone)]
pub struct AccountChain {
    pub reader: ChainAccess,
    pub account: Account,
}

impl Chain for AccountChain {
    type Error = ClientError;

    async fn height(&self) -> Result<Epoch, ClientError> {
        Ok(self.reader.head().await.map_err(ClientError::chain)?.height)
    }

    async fn policy(&self) -> Result<Policy, ClientError> {
        Ok(self.reader.connected_network().policy.clone())
    }

    async fn miner(&self, address: &Address) -> Result<Option<MinerView>, ClientError> {
        self.reader.miner(address).await.map_err(ClientError::chain)
    }

    async fn channel(&self, payer: &Address, id: ChannelId) -> Result<Option<ChannelView>, ClientError> {
        self.reader.channel(payer, id).await.map_err(ClientError::chain)
    }

    async fn message(&self, id: &Cid) -> Result<Found, ClientError> {
        let view = match self.reader.message(id).await {
            Ok(Some(view)) => view,
            Ok(None) => return Ok(Found::Unknown),
            Err(ChainError::Pruned { height, .. }) => return Ok(Found::Pruned(height)),
            Err(error) => return Err(ClientError::chain(error)),
        };
        let params: Result<Vec<_>, _> = view.params.iter().map(hex::decode).collect();
        let params = params.map_err(|e| ClientError::ChainAnswer {
            what: "the commitSector message",
            reason: e.to_string(),
        })?;
        Ok(Found::Known(CommitMessage {
            to: view.to,
            method: view.method,
            params,
            applied: view.height.zip(view.receipt.map(|receipt| receipt.exit_code)),
        }))
    }

    async fn ask(&self, call: &Call) -> Result<Result<(), String>, ClientError> {
        match self.reader.ask(call).await {
            Ok(_) => Ok(Ok(())),
            Err(ChainError::Reverted { error, .. }) => Ok(Err(error)),
            Err(error) => Err(ClientError::chain(error)),
        }
    }

    async fn send(
        &self,
        payer: &Address,
        deal: &str,
        purpose: MessagePurpose,
        call: Call,
    ) -> Result<Sent, ClientError> {
        // The account is not held while the chain is away: another process may have another chain.
        let (lock, key) = (self.account.of(payer).await?.lock().await?, purpose.key(deal));
        match lock.chain.submit(&key, call).await {
            Ok(message) => outcome(&lock.chain, &key, &message).await,
            Err(error) => refused(&lock.chain, &key, error),
        }
    }

    async fn sent(&self, payer: &Address, deal: &str, purpose: MessagePurpose) -> Result<Option<Sent>, ClientError> {
        let account = self.account.of(payer).await?;
        if !account.has_sent() {
            return Ok(None);
        }
        let (lock, key) = (account.lock().await?, purpose.key(deal));
        match lock.chain.made(&key) {
            Some(message) => outcome(&lock.chain, &key, &message).await.map(Some),
            None => Ok(None),
        }
    }

    async fn settle(&self, payer: &Address, deal: &str, purpose: MessagePurpose) -> Result<(), ClientError> {
        let lock = self.account.of(payer).await?.lock().await?;
        lock.chain.forget(&purpose.key(deal)).map_err(ClientError::chain)
    }
}

/// What has become of a message by now.
async fn outcome(chain: &ChainAccess, key: &str, message: &Cid) -> Result<Sent, ClientError> {
    let receipt = match chain.outcome(message).await {
        Ok(Some(receipt)) => receipt,
        Ok(None) => return Ok(Sent::Pending),
        Err(error) => return refused(chain, key, error),
    };
    let receipt = receipt.receipt().map_err(|e| ClientError::ChainAnswer {
        what: "a receipt",
        reason: e.to_string(),
    })?;
    let message = *message;
    Ok(Sent::Applied { message, receipt })
}

/// What an error says of a message.
fn refused(chain: &ChainAccess, key: &str, error: ChainError) -> Result<Sent, ClientError> {
    match error {
        ChainError::Failed { exit_code, error } => Ok(Sent::Failed { exit_code, error }),
        ChainError::Dropped { reason } => {
            chain.forget(key).map_err(ClientError::chain)?;
            Ok(Sent::Dropped { reason })
        }
        ChainError::Pruned { height, .. } => {
            let message = chain.made(key).zip(chain.number(key));
            let (message, number) = message.ok_or_else(|| ClientError::ChainAnswer {
                what: "a receipt",
                reason: format!("block {height} is not kept any more, and the message neither"),
            })?;
            Ok(Sent::Pruned {
                message,
                number,
                height,
            })
        }
        error => Err(ClientError::chain(error)),
    }
}
