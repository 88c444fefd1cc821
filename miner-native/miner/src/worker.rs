//! Who signs for the miner: whichever key the chain calls its worker, if it is one of this node's (finding C1).
//!
//! A miner has an owner, whom channels pay, and a worker, who signs its answers and sends what the actor takes from the worker alone:
//! commitments, proofs, asks. `miner set-worker` changes the worker while the daemon runs; from the next block on the new
//! key signs. A key that is not here is no reason to stop: health says so in words, and nothing is signed with a wrong one.
//!
//! Called by the program's `daemon` at the start; the account is held by [`crate::network`] and by the services that send.

use crate::chain_access::{Account, ChainAccess, ChainError};
use crate::on_head::{on_heads, OnHead};
use crate::registration::{fund, RegistrationError};
use crate::supervisor::{Lifeline, ServiceError};
use sealdrop_wallet::{Wallet, WalletError};
use shared::chain::{Address, Epoch, SecretKey};
use std::time::Duration;

/// Why nothing can be signed for the miner.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Wallet(#[from] WalletError),
    #[error(transparent)]
    Fund(#[from] RegistrationError),
    #[error("the chain does not know the miner {miner} any more")]
    UnknownMiner { miner: Address },
    #[error("the chain calls {worker} the worker of miner {miner}, and this node has no key of it for this network: no deal is answered, nothing is committed and no proof is sent. Import its key with `sealdrop wallet import`, or name a key of this node with `sealdrop miner set-worker`")]
    NoKey { miner: Address, worker: Address },
}

/// What following the worker works with.
#[derive(Clone)]
pub struct WorkerKey {
    pub miner: Address,
    pub chain: ChainAccess,
    /// The same chain for the account.
    pub worker_chain: ChainAccess,
    /// Where keys are looked for, the first first.
    pub wallets: Vec<Wallet>,
    /// The account that signs; changed here alone.
    pub account: Account,
}

impl WorkerKey {
    /// Follows the worker until it is to stop.
    pub async fn run(mut self, lifeline: Lifeline) -> Result<(), ServiceError> {
        let chain = self.chain.clone();
        on_heads(&mut self, &chain, &lifeline).await
    }

    /// From now on `worker` signs; an error when its key is not here, and then nobody does.
    pub async fn follow(&self, worker: &Address) -> Result<(), WorkerError> {
        if self.account.address() == *worker && self.account.key().is_ok() {
            return Ok(());
        }
        let Some(key) = self.key(worker)? else {
            self.account.replace(worker.clone(), None);
            let (miner, worker) = (self.miner.clone(), worker.clone());
            return Err(WorkerError::NoKey { miner, worker });
        };
        self.account.replace(worker.clone(), Some(key));
        tracing::info!(%worker, "this key signs for the miner from now on");
        Ok(fund(&self.worker_chain).await?)
    }

    fn key(&self, worker: &Address) -> Result<Option<SecretKey>, WorkerError> {
        let network = self.chain.network_id()?;
        for wallet in &self.wallets {
            match wallet.key_on(worker, &network) {
                Ok(key) => return Ok(Some(key)),
                // What an account of another network signs must not count here, nor what it signs here there.
                Err(WalletError::Unknown { .. } | WalletError::NotAnAccount(_) | WalletError::OtherNetwork { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }
}

impl OnHead for WorkerKey {
    type Error = WorkerError;
    const LONGEST_TICK: Duration = Duration::from_secs(120);
    const FAILED: &'static str = "the miner's worker cannot sign";

    async fn tick(&mut self, _: Epoch, _: &Lifeline) -> Result<(), WorkerError> {
        let view = self.chain.miner(&self.miner).await?;
        let view = view.ok_or_else(|| WorkerError::UnknownMiner {
            miner: self.miner.clone(),
        })?;
        self.follow(&view.worker).await
    }

    /// A key may be imported at any time.
    fn longest_rest(&self) -> Duration {
        Duration::from_secs(1)
    }
}
