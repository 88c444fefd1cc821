//! Messages to the chain, each sent once for its purpose, and the wait for what becomes of them (spec §5.1).
//!
//! A caller names a purpose; the message made for it is kept before it is sent ([`super::outbox`]). Waiters are told when
//! the chain dropped their message; those of 2019 waited for ever.

use super::outbox::{Entry, Stage, MAX_PURPOSE};
use super::{ChainAccess, ChainError, Gas};
use crate::failpoint;
use cid::Cid;
use shared::chain::exit;
use shared::chain::rpc::{code, Nonce, Push, Pushed};
use shared::chain::view::ReceiptView;
use shared::chain::{Call, SecretKey, SignedMessage};
use std::time::Duration;
use tokio::time::Instant;

/// How long a confirmation waits for an endpoint that is away before it gives up.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest wait for news of the head before a receipt is asked for again.
const NEWS: Duration = Duration::from_secs(10);
/// Numbers that a new message is offered under while other processes of the same account take them.
const NONCE_TRIES: u32 = 16;

impl ChainAccess {
    /// Sends a call once for a purpose and returns its message's id. Asked again for the same purpose, it sends the same
    /// message again, whatever the call, until the purpose is settled and long past, or forgotten.
    ///
    /// On [`ChainError::Unreachable`] the message may be on its way: it goes out again by itself when the chain is back,
    /// and with the next call. On [`ChainError::Rpc`] for a new message nothing was sent and the purpose is free.
    pub async fn submit(&self, purpose: &str, call: Call) -> Result<Cid, ChainError> {
        self.submit_with(purpose, call, Gas::default()).await
    }

    /// [`Self::submit`] with another price or limit of gas.
    pub async fn submit_with(&self, purpose: &str, call: Call, gas: Gas) -> Result<Cid, ChainError> {
        let length = purpose.len();
        if !(1..=MAX_PURPOSE).contains(&length) {
            let purpose = purpose.chars().take(80).collect();
            return Err(ChainError::Purpose {
                purpose,
                length,
                most: MAX_PURPOSE,
            });
        }
        let _one_at_a_time = self.inner.turn.lock().await;
        if let Some(Entry { message, stage, .. }) = self.inner.outbox.entry(purpose) {
            if stage == Stage::Sent {
                self.push_again(&message).await?;
            }
            return Ok(message.cid());
        }
        self.send(purpose, call, gas).await
    }

    /// Makes, keeps and sends a message. The caller holds the turn.
    ///
    /// Another process may send from the same account: a number that it took first is given up for the next one.
    pub(super) async fn send(&self, purpose: &str, call: Call, gas: Gas) -> Result<Cid, ChainError> {
        let key = self.account.key()?;
        let of = Nonce { address: key.address() };
        let (mut tries, mut least) = (0, 0);
        loop {
            let next = self.inner.client.call(&of).await?;
            let nonce = self.inner.outbox.free_nonce(&key.address(), next.max(least));
            match self.send_as(purpose, call.clone(), gas, &key, nonce).await {
                Err(ChainError::Rpc {
                    code: code::NONCE_USED | code::NONCE_TAKEN,
                    ..
                }) if tries < NONCE_TRIES => {
                    tries += 1;
                    least = nonce.saturating_add(1);
                }
                other => return other,
            }
        }
    }

    async fn send_as(
        &self,
        purpose: &str,
        call: Call,
        gas: Gas,
        key: &SecretKey,
        nonce: u64,
    ) -> Result<Cid, ChainError> {
        let mut metered = call.message(&key.address(), nonce);
        (metered.gas_price, metered.gas_limit) = (gas.price, gas.limit);
        let message = metered.sign(key);
        failpoint::reach_message(purpose, "planned");
        self.inner.outbox.add(purpose, message.clone())?;
        failpoint::reach_message(purpose, "kept");
        // FAIL: the process may end here, or the chain be away.
        // THEN: `resubmission` sends it when the chain is back; its nonce is taken until then.
        let pushed = self.push_new(&message).await;
        failpoint::reach_message(purpose, "pushed");
        match pushed {
            // A chain in trouble of its own may have kept the message all the same.
            Err(refused @ ChainError::Rpc { code, .. }) if code != code::INTERNAL => {
                self.inner.outbox.withdraw(purpose)?;
                Err(refused)
            }
            other => other.map(|()| message.cid()),
        }
    }

    /// Waits until a message is on the chain with `confirmations` blocks after its own; 0 is enough on this chain, whose
    /// single authority never takes a block back.
    ///
    /// Errs with [`ChainError::Failed`] when it is there and had no effect, with [`ChainError::Dropped`] when it never
    /// will be, with [`ChainError::Pruned`] when it is so old that nobody knows what came of it, and when the chain is
    /// away for a minute.
    pub async fn confirmed(&self, message: &Cid, confirmations: u64) -> Result<ReceiptView, ChainError> {
        let mut heads = self.inner.heads.clone();
        let mut away: Option<Instant> = None;
        loop {
            let head = heads.borrow_and_update().height;
            match self.look(message).await {
                Ok(Some(receipt)) => {
                    let is_deep = confirmations == 0 || head >= receipt.height.plus(confirmations);
                    if is_deep || receipt.is_dropped() {
                        return self.judge(message, receipt);
                    }
                    away = None;
                }
                Ok(None) => away = None,
                Err(error @ ChainError::Unreachable { .. }) => {
                    if away.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                        return Err(error);
                    }
                }
                Err(error @ ChainError::Pruned { .. }) => {
                    self.inner.outbox.advance(message, Stage::Mined)?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
            // A timeout is no news; a closed channel cannot be: `self` holds its sender's task.
            let _ = tokio::time::timeout(NEWS, heads.changed()).await;
        }
    }

    /// What has become of a message by now, in the words of [`Self::confirmed`]; `None` while it is in no block.
    pub async fn outcome(&self, message: &Cid) -> Result<Option<ReceiptView>, ChainError> {
        match self.look(message).await {
            Ok(receipt) => receipt.map(|receipt| self.judge(message, receipt)).transpose(),
            Err(error) => {
                if matches!(error, ChainError::Pruned { .. }) {
                    self.inner.outbox.advance(message, Stage::Mined)?;
                }
                Err(error)
            }
        }
    }

    /// Asks for a message's receipt; one that the chain does not know is sent again.
    pub(super) async fn look(&self, message: &Cid) -> Result<Option<ReceiptView>, ChainError> {
        if let Some(receipt) = self.receipt(message).await? {
            return Ok(Some(receipt));
        }
        if self.message(message).await?.is_some() {
            return Ok(None);
        }
        match self.inner.outbox.by_cid(message) {
            None => Err(ChainError::UnknownMessage {
                message: message.to_string(),
            }),
            Some(Entry {
                stage: Stage::Dropped, ..
            }) => Err(ChainError::Dropped {
                reason: "the chain dropped it some time ago".to_owned(),
            }),
            Some(Entry { message, .. }) => match self.push_again(&message).await {
                // The pool may have room later, or the message in this one's place may go.
                Err(ChainError::Rpc {
                    code: code::POOL | code::NONCE_TAKEN,
                    ..
                }) => Ok(None),
                other => other.map(|()| None),
            },
        }
    }

    /// Records what a receipt says and turns a failure into an error.
    pub(super) fn judge(&self, message: &Cid, receipt: ReceiptView) -> Result<ReceiptView, ChainError> {
        let dropped = receipt.is_dropped();
        self.inner
            .outbox
            .advance(message, if dropped { Stage::Dropped } else { Stage::Mined })?;
        match receipt.exit_code {
            exit::SUCCESS => Ok(receipt),
            exit::DROPPED => Err(ChainError::Dropped { reason: receipt.error }),
            exit_code => Err(ChainError::Failed {
                exit_code,
                error: receipt.error,
            }),
        }
    }

    /// [`Self::submit`] and [`Self::confirmed`] in one, without further confirmations.
    pub async fn call(&self, purpose: &str, call: Call) -> Result<(Cid, ReceiptView), ChainError> {
        self.call_with(purpose, call, Gas::default()).await
    }

    /// [`Self::call`] with another price or limit of gas.
    pub async fn call_with(&self, purpose: &str, call: Call, gas: Gas) -> Result<(Cid, ReceiptView), ChainError> {
        let message = self.submit_with(purpose, call, gas).await?;
        self.confirmed(&message, 0).await.map(|receipt| (message, receipt))
    }

    /// The message that was made for a purpose, while the outbox knows it.
    pub fn made(&self, purpose: &str) -> Option<Cid> {
        self.inner.outbox.entry(purpose).map(|entry| entry.message.cid())
    }

    /// The number of the message that was made for a purpose, while the outbox knows it.
    pub fn number(&self, purpose: &str) -> Option<u64> {
        let entry = self.inner.outbox.entry(purpose);
        entry.map(|entry| entry.message.message().nonce)
    }

    /// Frees a purpose after its message failed or was dropped, so that it can be tried anew. Of a message that may still
    /// come to a block, both could take effect: wait with [`Self::confirmed`] first.
    pub fn forget(&self, purpose: &str) -> Result<(), ChainError> {
        self.inner.outbox.forget(purpose)
    }

    /// Says that a purpose is done for good and will not be asked for again; its message may be cleared away.
    pub fn settle(&self, purpose: &str) -> Result<(), ChainError> {
        self.inner.outbox.settle(purpose)
    }

    /// Sends a message that was not sent before. One that the chain has all the same is another process's of this account,
    /// the same in every field: it serves that one's purpose, and this one's needs another number.
    async fn push_new(&self, message: &SignedMessage) -> Result<(), ChainError> {
        match self.inner.client.try_call(&push(message)).await {
            Ok(Pushed { known: true, .. }) => Err(ChainError::Rpc {
                code: code::NONCE_TAKEN,
                message: "another process sent the same message".to_owned(),
                hint: None,
            }),
            Ok(pushed) => self.check_name(message, &pushed),
            // Whether it arrived is not known: from now on, known is as good.
            Err(ChainError::Unreachable { .. }) => self.push(message).await,
            Err(error) => Err(error),
        }
    }

    async fn push(&self, message: &SignedMessage) -> Result<(), ChainError> {
        let pushed = self.inner.client.call(&push(message)).await?;
        self.check_name(message, &pushed)
    }

    fn check_name(&self, message: &SignedMessage, pushed: &Pushed) -> Result<(), ChainError> {
        (pushed.message == message.cid().to_string())
            .then_some(())
            .ok_or_else(|| self.strange("it names the message otherwise"))
    }

    /// Sends a message of the outbox again. One that the chain can no longer take is as good as dropped.
    async fn push_again(&self, message: &SignedMessage) -> Result<(), ChainError> {
        match self.push(message).await {
            Err(ChainError::Rpc {
                code: code::MESSAGE_INVALID | code::NONCE_USED,
                message: reason,
                ..
            }) => {
                self.inner.outbox.advance(&message.cid(), Stage::Dropped)?;
                Err(ChainError::Dropped { reason })
            }
            other => other,
        }
    }
}

fn push(message: &SignedMessage) -> Push {
    Push {
        message: message.clone(),
    }
}
