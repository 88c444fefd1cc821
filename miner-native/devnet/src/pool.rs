//! Messages that wait for a block: who may wait, and whose turn it is.
//!
//! Called by [`super::node`] when a message comes and when a block is made. The pool in memory mirrors the one on disk.

use cid::Cid;
use shared::chain::{Address, ChainState, Epoch, SignedMessage};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most messages that wait.
pub const MAX_MESSAGES: usize = 4096;
/// Most bytes of all messages that wait.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Most messages of one sender: as far as a nonce may run ahead.
pub const MAX_PER_SENDER: usize = 256;
/// Blocks that a message waits for its turn before it is dropped.
pub const MAX_WAIT: u64 = 2000;

/// Why a message may not wait.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PoolError {
    #[error("the pool is full ({MAX_MESSAGES} messages or {MAX_BYTES} bytes): try again in some blocks")]
    Full,
    #[error("{sender} has {MAX_PER_SENDER} messages waiting: wait until some are in a block")]
    SenderFull { sender: Address },
    #[error("another message of {sender} with nonce {nonce} is waiting: {other}")]
    NonceTaken { sender: Address, nonce: u64, other: Cid },
}

/// A message that waits.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub cid: Cid,
    pub message: Arc<SignedMessage>,
    /// Height at which it came.
    pub since: Epoch,
    /// Bytes of the signed message.
    pub size: usize,
}

/// By sender and nonce.
#[derive(Debug, Default)]
pub(super) struct Pool {
    messages: BTreeMap<(Address, u64), Waiting>,
    bytes: usize,
}

impl Pool {
    /// Whether exactly this message waits.
    pub fn contains(&self, message: &SignedMessage, cid: &Cid) -> bool {
        self.messages
            .get(&slot(message))
            .is_some_and(|waiting| waiting.cid == *cid)
    }

    /// Whether a message of `size` bytes may come in.
    pub fn admits(&self, message: &SignedMessage, size: usize) -> Result<(), PoolError> {
        let (sender, nonce) = slot(message);
        if let Some(waiting) = self.messages.get(&(sender.clone(), nonce)) {
            return Err(PoolError::NonceTaken {
                sender,
                nonce,
                other: waiting.cid,
            });
        }
        if self.messages.len() >= MAX_MESSAGES || self.bytes.saturating_add(size) > MAX_BYTES {
            return Err(PoolError::Full);
        }
        if self.of(&sender).count() >= MAX_PER_SENDER {
            return Err(PoolError::SenderFull { sender });
        }
        Ok(())
    }

    /// Takes a message in that [`Pool::admits`].
    pub fn insert(&mut self, message: SignedMessage, cid: Cid, since: Epoch, size: usize) {
        let waiting = Waiting {
            cid,
            since,
            size,
            message: Arc::new(message),
        };
        self.bytes = self.bytes.saturating_add(size);
        if let Some(replaced) = self.messages.insert(slot(&waiting.message), waiting) {
            self.bytes = self.bytes.saturating_sub(replaced.size);
        }
    }

    pub fn remove(&mut self, message: &SignedMessage) {
        if let Some(removed) = self.messages.remove(&slot(message)) {
            self.bytes = self.bytes.saturating_sub(removed.size);
        }
    }

    /// How many messages wait, and how many bytes they have.
    pub fn load(&self) -> (usize, usize) {
        (self.messages.len(), self.bytes)
    }

    /// The first messages that wait, by sender and nonce; of one sender when it is given.
    pub fn listed(&self, sender: Option<&Address>, most: usize) -> Vec<Waiting> {
        let wanted = |waiting: &&Waiting| sender.is_none_or(|sender| waiting.message.message().from == *sender);
        self.messages.values().filter(wanted).take(most).cloned().collect()
    }

    /// The nonce after all that the account used or has waiting without a gap.
    pub fn next_nonce(&self, state: &ChainState, sender: &Address) -> u64 {
        let used = self.of(sender).map(|waiting| waiting.message.message().nonce);
        used.fold(state.nonce(sender), |next, nonce| {
            if nonce == next {
                next.saturating_add(1)
            } else {
                next
            }
        })
    }

    /// The messages whose turn it is, one of each sender at a time, so that nobody has to wait for all of another's.
    pub fn ready(&self, state: &ChainState, most: usize) -> Vec<Waiting> {
        // (round, position in the order of senders) sorts by rounds.
        let mut ready: Vec<((u64, usize), &Waiting)> = Vec::new();
        let mut senders = 0;
        let mut previous: Option<&Address> = None;
        let mut first = 0;
        let mut next = 0;
        for ((sender, nonce), waiting) in &self.messages {
            if previous != Some(sender) {
                senders += 1;
                previous = Some(sender);
                first = state.nonce(sender);
                next = first;
            }
            if *nonce == next {
                ready.push(((next - first, senders), waiting));
                next = next.saturating_add(1);
            }
        }
        ready.sort_by_key(|(order, _)| *order);
        ready
            .into_iter()
            .take(most)
            .map(|(_, waiting)| waiting.clone())
            .collect()
    }

    /// Messages that can never be in a block after `state`, or have waited too long for it, with the reason.
    pub fn hopeless(&self, state: &ChainState, height: Epoch) -> Vec<(Waiting, String)> {
        let reason = |((sender, nonce), waiting): (&(Address, u64), &Waiting)| {
            let next = state.nonce(sender);
            let reason = if *nonce < next {
                format!("its number {nonce} was used by another message of {sender}")
            } else if height < waiting.since.plus(MAX_WAIT) {
                return None;
            } else if *nonce == next {
                format!("for {MAX_WAIT} blocks the chain could not tell what it does")
            } else {
                format!("it waited {MAX_WAIT} blocks for message {next} of {sender}, which did not come")
            };
            Some((waiting.clone(), reason))
        };
        self.messages.iter().filter_map(reason).collect()
    }

    fn of(&self, sender: &Address) -> impl Iterator<Item = &Waiting> {
        self.messages
            .range((sender.clone(), 0)..=(sender.clone(), u64::MAX))
            .map(|(_, waiting)| waiting)
    }
}

fn slot(message: &SignedMessage) -> (Address, u64) {
    let message = message.message();
    (message.from.clone(), message.nonce)
}
