//! A miner's messages: each made once for its purpose, and followed until it is in a block.

use cid::Cid;
use sealdrop_devnet::MemoryChain;
use shared::chain::{Call, Epoch, SecretKey};
use std::collections::BTreeMap;

/// Blocks before a call that failed is made again.
const RETRY: u64 = 5;

/// What came of a message: its id and block, or why it had no effect.
pub type Sent = Result<(Cid, Epoch), String>;

pub struct Outbox {
    key: SecretKey,
    /// On their way to a block, by purpose.
    kept: BTreeMap<String, Cid>,
    /// When the last one for a purpose failed; only while its sector or deal is still there to ask again.
    failed: BTreeMap<String, Epoch>,
}

impl Outbox {
    pub fn new(key: SecretKey) -> Self {
        Self {
            key,
            kept: BTreeMap::new(),
            failed: BTreeMap::new(),
        }
    }

    /// Makes the message for a purpose unless one is on its way; tells once what came of it.
    pub fn send(&mut self, chain: &MemoryChain, purpose: &str, call: impl FnOnce() -> Call) -> Option<Sent> {
        let now = chain.head().height;
        let Some(message) = self.kept.get(purpose).copied() else {
            if self.failed.get(purpose).is_none_or(|at| now >= at.plus(RETRY)) {
                self.make(chain, purpose, call(), now);
            }
            return None;
        };
        let (height, outcome) = chain.receipt(&message)?;
        self.kept.remove(purpose);
        let failed = match outcome {
            Ok(receipt) if receipt.is_ok() => {
                self.failed.remove(purpose);
                return Some(Ok((message, height)));
            }
            Ok(receipt) => format!("exit code {}: {}", receipt.exit_code, receipt.error),
            Err(reason) => reason,
        };
        self.failed.insert(purpose.to_owned(), now);
        Some(Err(failed))
    }

    fn make(&mut self, chain: &MemoryChain, purpose: &str, call: Call, now: Epoch) {
        let address = self.key.address();
        let message = call.message(&address, chain.next_nonce(&address)).sign(&self.key);
        match chain.push(message) {
            Ok(message) => {
                self.kept.insert(purpose.to_owned(), message);
            }
            Err(_) => {
                self.failed.insert(purpose.to_owned(), now);
            }
        }
    }
}
