//! Messages of the payer to the chain: numbered, signed, kept, and only then sent (spec §3.4 steps 3 and 4).
//!
//! A message is made once for a purpose. It is durable before it leaves, so that after a crash the same message is sent
//! again and no money moves twice.

use crate::clock;
use crate::fault::Fault;
use crate::heads::Heads;
use crate::host::Host;
use crate::rpc::Rpc;
use cid::Cid;
use futures::lock::Mutex;
use shared::chain::calls::Call;
use shared::chain::view::ReceiptView;
use shared::chain::{SecretKey, SignedMessage};
use std::rc::Rc;
use wasm_bindgen::JsCast;

/// Longest wait for news of the chain's head before a receipt is looked for all the same, in milliseconds.
const RECEIPT_WAIT: i32 = 3_000;
/// Looks for a receipt before the message is sent once more: the chain may have lost it in a restart.
const LOOKS_BEFORE_RESENDING: u32 = 10;

/// The payer's messages. One at a time gets its number.
#[derive(Clone)]
pub struct Outbox {
    host: Rc<Host>,
    rpc: Rpc,
    heads: Heads,
    key: SecretKey,
    numbering: Rc<Mutex<()>>,
}

impl Outbox {
    pub fn new(host: Rc<Host>, rpc: Rpc, heads: Heads, key: SecretKey) -> Self {
        Self {
            host,
            rpc,
            heads,
            key,
            numbering: Rc::default(),
        }
    }

    /// Sends the messages again that were kept and are in no block yet, in their order.
    pub async fn resend(&self) -> Result<(), Fault> {
        let _alone = self.numbering.lock().await;
        let next = self.next_on_chain().await?;
        for message in self
            .kept()
            .await?
            .into_iter()
            .filter(|message| message.message().nonce >= next)
        {
            match self.rpc.push(&message).await {
                // One that is refused now is judged by the deal that it belongs to.
                Ok(_) | Err(Fault::ChainRefused { .. }) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    /// Sends the message for `purpose`, making it from `call` the first time. Returns its id.
    pub async fn submit(&self, purpose: &str, call: Call) -> Result<Cid, Fault> {
        let _alone = self.numbering.lock().await;
        let kept = self.host.message(purpose).await.map_err(Fault::storage)?;
        let message = match kept.as_string() {
            Some(text) => parse(&text)?,
            None => {
                let message = call
                    .message(&self.key.address(), self.next_number().await?)
                    .sign(&self.key);
                let text = hex::encode(shared::wire::encode(&message));
                self.host.save_message(purpose, &text).await.map_err(Fault::storage)?;
                message
            }
        };
        self.push(purpose, &message).await?;
        Ok(message.cid())
    }

    /// Waits until the message for `purpose` is in a block.
    pub async fn confirmed(&self, purpose: &str, message: &Cid) -> Result<ReceiptView, Fault> {
        let id = message.to_string();
        let mut looks = 0;
        loop {
            // Before the look, so that a block after it wakes this.
            let count = self.heads.count();
            if let Some(receipt) = self.rpc.receipt(&id).await? {
                return Ok(receipt);
            }
            looks += 1;
            if looks % LOOKS_BEFORE_RESENDING == 0 {
                let kept = self.host.message(purpose).await.map_err(Fault::storage)?;
                if let Some(text) = kept.as_string() {
                    self.push(purpose, &parse(&text)?).await?;
                }
            }
            clock::within(RECEIPT_WAIT, self.heads.after(count)).await;
        }
    }

    /// Forgets the message for `purpose`: its outcome is recorded elsewhere, or the call is to be made anew.
    pub async fn forget(&self, purpose: &str) -> Result<(), Fault> {
        self.host.drop_message(purpose).await.map_err(Fault::storage)
    }

    async fn push(&self, purpose: &str, message: &SignedMessage) -> Result<(), Fault> {
        match self.rpc.push(message).await {
            Ok(_) => Ok(()),
            Err(refusal @ Fault::ChainRefused { .. }) => {
                // A message that is on the chain already may be refused too: its number is used.
                if self.rpc.receipt(&message.cid().to_string()).await?.is_some() {
                    return Ok(());
                }
                // THEN: the number is free again, and the next attempt makes a new message.
                self.forget(purpose).await?;
                Err(refusal)
            }
            Err(fault) => Err(fault),
        }
    }

    /// The lowest number that neither the chain has seen nor a kept message has.
    async fn next_number(&self) -> Result<u64, Fault> {
        let mut number = self.next_on_chain().await?;
        for message in self.kept().await? {
            if message.message().nonce == number {
                number += 1;
            }
        }
        Ok(number)
    }

    async fn next_on_chain(&self) -> Result<u64, Fault> {
        Ok(self
            .rpc
            .actor(&self.key.address())
            .await?
            .map_or(0, |actor| actor.nonce))
    }

    /// All kept messages by their number.
    async fn kept(&self) -> Result<Vec<SignedMessage>, Fault> {
        let list = self.host.messages().await.map_err(Fault::storage)?;
        let texts = list.dyn_into::<js_sys::Array>().map_err(Fault::storage)?;
        let mut messages = texts
            .iter()
            .filter_map(|text| text.as_string())
            .map(|text| parse(&text))
            .collect::<Result<Vec<_>, _>>()?;
        messages.sort_by_key(|message| message.message().nonce);
        Ok(messages)
    }
}

fn parse(text: &str) -> Result<SignedMessage, Fault> {
    let damaged = |reason: String| Fault::Storage(format!("a kept message cannot be read: {reason}"));
    let bytes = hex::decode(text).map_err(|e| damaged(e.to_string()))?;
    shared::wire::decode(&bytes).map_err(|e| damaged(e.to_string()))
}
