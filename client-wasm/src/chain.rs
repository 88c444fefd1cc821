//! The chain as the client's engine asks for it: questions over [`crate::rpc`], and messages of the payer, which are
//! numbered, signed, kept, and only then sent (spec §3.4 steps 3 and 4).
//!
//! A message is made once for a purpose. It is durable before it leaves, so that after a crash the same message is sent
//! again and no money moves twice.

use crate::error::ClientError;
use crate::heads::Heads;
use crate::host::Host;
use crate::rpc::Rpc;
use crate::signing::Signing;
use cid::Cid;
use futures::future::{pending, ready, select, Either};
use futures::lock::Mutex;
use shared::chain::rpc::{code, Message, Method, Receipt};
use shared::chain::view::{ChannelView, MinerView};
use shared::chain::{exit, Address, Call, ChannelId, Epoch, Policy, SignedMessage};
use shared::ports::{Chain, CommitMessage, Found, MessagePurpose, Sent};
use std::cell::Cell;
use std::future::Future;
use std::pin::{pin, Pin};
use std::rc::Rc;
use wasm_bindgen::JsCast;

/// The payer's messages. One at a time gets its number.
#[derive(Clone)]
pub struct Outbox {
    host: Rc<Host>,
    rpc: Rpc,
    heads: Heads,
    signing: Signing,
    numbering: Rc<Mutex<()>>,
    /// One person is asked one thing at a time, and a no answers all that waits behind it: deals of one file are drawn up together.
    asking: Rc<Mutex<()>>,
    noes: Rc<Cell<u64>>,
}

impl Outbox {
    pub fn new(host: Rc<Host>, rpc: Rpc, heads: Heads, signing: Signing) -> Self {
        Self {
            host,
            rpc,
            heads,
            signing,
            numbering: Rc::default(),
            asking: Rc::default(),
            noes: Rc::default(),
        }
    }

    /// Sends the messages again that were kept and are in no block yet, in their order.
    pub async fn resend(&self) -> Result<(), ClientError> {
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
                Ok(_) | Err(ClientError::ChainRefused { .. }) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    /// A channel of another account has a number that a channel of this one may have, too: its messages are never sent from here.
    fn is_ours(&self, payer: &Address) -> Result<(), ClientError> {
        match *payer == self.signing.payer {
            true => Ok(()),
            false => Err(ClientError::OtherAccount(payer.clone())),
        }
    }

    async fn kept_for(&self, deal: &str, purpose: MessagePurpose) -> Result<Option<SignedMessage>, ClientError> {
        for key in [purpose.key(deal), purpose.former_key(deal)] {
            let kept = self.host.message(&key).await.map_err(ClientError::storage)?;
            if let Some(text) = kept.as_string() {
                return parse(&text).map(Some);
            }
        }
        Ok(None)
    }

    async fn forget(&self, deal: &str, purpose: MessagePurpose) -> Result<(), ClientError> {
        for key in [purpose.key(deal), purpose.former_key(deal)] {
            self.host.drop_message(&key).await.map_err(ClientError::storage)?;
        }
        Ok(())
    }

    /// Makes a message, keeps it, and sends it. While a person is asked to sign, others get their numbers; the one that was asked for may be
    /// gone then, and is asked for anew. `None` when `over` came before they have signed.
    async fn make(
        &self,
        deal: &str,
        purpose: MessagePurpose,
        call: &Call,
        over: impl Future<Output = ()>,
    ) -> Result<Option<SignedMessage>, ClientError> {
        let mut over = pin!(over);
        let noes = self.noes.get();
        let _alone = match self.signing.asks(purpose) {
            true => match until(over.as_mut(), self.asking.lock()).await {
                None => return Ok(None),
                alone => alone,
            },
            false => None,
        };
        if self.noes.get() != noes {
            return Err(ClientError::SignerRefused("it said no to the question before".into()));
        }
        loop {
            let mut numbering = Some(self.numbering.lock().await);
            if let Some(kept) = self.kept_for(deal, purpose).await? {
                return Ok(Some(kept));
            }
            let number = self.next_number().await?;
            let metered = call.clone().message(&self.signing.payer, number);
            if self.signing.asks(purpose) {
                numbering.take();
            }
            let Some(message) = until(over.as_mut(), self.signing.sign(metered, purpose, &self.host)).await else {
                return Ok(None);
            };
            if let Err(ClientError::SignerRefused(_)) = message {
                self.noes.set(noes.wrapping_add(1));
            }
            let message = message?;
            let _numbering = match numbering {
                Some(numbering) => numbering,
                None => self.numbering.lock().await,
            };
            // What a person has signed is not thrown away because the chain is away for a moment: it is sent, or dropped, later.
            let is_taken = match self.next_number().await {
                Ok(next) => next != number,
                Err(_) => self.kept().await?.iter().any(|kept| kept.message().nonce == number),
            };
            if !is_taken {
                // A silent chain may have taken its time: nothing is kept yet, and nothing is from here on where it is over by now.
                if until(over.as_mut(), ready(())).await.is_none() {
                    return Ok(None);
                }
                return self.keep_and_push(deal, purpose, message).await.map(Some);
            }
        }
    }

    async fn keep_and_push(
        &self,
        deal: &str,
        purpose: MessagePurpose,
        message: SignedMessage,
    ) -> Result<SignedMessage, ClientError> {
        let text = hex::encode(shared::wire::encode(&message));
        let saved = self.host.save_message(&purpose.key(deal), &text).await;
        saved.map_err(ClientError::storage)?;
        match self.rpc.push(&message).await {
            Ok(_) => Ok(message),
            // It is signed, which may have taken a person's consent: it is sent again when the chain has room.
            Err(ClientError::ChainRefused { code, .. }) if is_for_now(code) => Ok(message),
            Err(refusal @ ClientError::ChainRefused { .. }) => {
                // THEN: the number is free again, and the next attempt makes a new message.
                self.forget(deal, purpose).await?;
                Err(refusal)
            }
            Err(error) => Err(error),
        }
    }

    /// What became of a message that is kept.
    async fn outcome(&self, deal: &str, purpose: MessagePurpose, message: &SignedMessage) -> Result<Sent, ClientError> {
        match self.look(deal, purpose, message).await {
            Err(ClientError::ChainRefused {
                code: code::PRUNED,
                height: Some(height),
                ..
            }) => Ok(Sent::Pruned {
                message: message.cid(),
                number: message.message().nonce,
                height,
            }),
            other => other,
        }
    }

    async fn look(&self, deal: &str, purpose: MessagePurpose, message: &SignedMessage) -> Result<Sent, ClientError> {
        let id = message.cid();
        if self.rpc.receipt(&id).await?.is_none() && self.rpc.message(&id).await?.is_none() {
            // The chain may have lost it in a restart, or never had it.
            match self.rpc.push(message).await {
                Ok(_) => return Ok(Sent::Pending),
                Err(ClientError::ChainRefused { code, .. }) if is_for_now(code) => return Ok(Sent::Pending),
                Err(ClientError::ChainRefused { message: reason, .. }) if self.rpc.receipt(&id).await?.is_none() => {
                    self.forget(deal, purpose).await?;
                    return Ok(Sent::Dropped { reason });
                }
                // A message that is on the chain already may be refused too: its number is used.
                Err(ClientError::ChainRefused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let Some(receipt) = self.rpc.receipt(&id).await? else {
            return Ok(Sent::Pending);
        };
        match receipt.exit_code {
            exit::SUCCESS => Ok(Sent::Applied {
                message: message.cid(),
                receipt: receipt.receipt().map_err(|e| ClientError::ChainAnswer {
                    method: Receipt::NAME,
                    reason: e.to_string(),
                })?,
            }),
            exit::DROPPED => {
                self.forget(deal, purpose).await?;
                Ok(Sent::Dropped { reason: receipt.error })
            }
            exit_code => Ok(Sent::Failed {
                exit_code,
                error: receipt.error,
            }),
        }
    }

    /// The lowest number that neither the chain has seen nor a kept message has.
    async fn next_number(&self) -> Result<u64, ClientError> {
        let mut number = self.next_on_chain().await?;
        for message in self.kept().await? {
            if message.message().nonce == number {
                number += 1;
            }
        }
        Ok(number)
    }

    async fn next_on_chain(&self) -> Result<u64, ClientError> {
        Ok(self
            .rpc
            .actor(&self.signing.payer)
            .await?
            .map_or(0, |actor| actor.nonce))
    }

    /// All kept messages by their number.
    async fn kept(&self) -> Result<Vec<SignedMessage>, ClientError> {
        let list = self.host.messages().await.map_err(ClientError::storage)?;
        let texts = list.dyn_into::<js_sys::Array>().map_err(ClientError::storage)?;
        let mut messages = texts
            .iter()
            .filter_map(|text| text.as_string())
            .map(|text| parse(&text))
            .collect::<Result<Vec<_>, _>>()?;
        messages.sort_by_key(|message| message.message().nonce);
        Ok(messages)
    }
}

/// What comes of a work, unless `over` is first.
async fn until<T>(over: Pin<&mut impl Future<Output = ()>>, work: impl Future<Output = T>) -> Option<T> {
    match select(over, pin!(work)).await {
        Either::Left(_) => None,
        Either::Right((done, _)) => Some(done),
    }
}

/// Whether the chain may take the message later.
fn is_for_now(number: i64) -> bool {
    [code::POOL, code::INTERNAL].contains(&number)
}

impl Chain for Outbox {
    type Error = ClientError;

    async fn height(&self) -> Result<Epoch, ClientError> {
        match self.heads.height() {
            Some(height) => Ok(height),
            None => Ok(self.rpc.head().await?.height),
        }
    }

    async fn policy(&self) -> Result<Policy, ClientError> {
        Ok(self.rpc.network().await?.policy)
    }

    async fn miner(&self, address: &Address) -> Result<Option<MinerView>, ClientError> {
        self.rpc.recent_miner(address).await
    }

    async fn channel(&self, payer: &Address, id: ChannelId) -> Result<Option<ChannelView>, ClientError> {
        self.rpc.channel(payer, id).await
    }

    async fn message(&self, id: &Cid) -> Result<Found, ClientError> {
        let view = match self.rpc.message(id).await {
            Ok(Some(view)) => view,
            Ok(None) => return Ok(Found::Unknown),
            Err(ClientError::ChainRefused {
                code: code::PRUNED,
                height: Some(height),
                ..
            }) => return Ok(Found::Pruned(height)),
            Err(error) => return Err(error),
        };
        let params = view.params.iter().map(hex::decode).collect::<Result<_, _>>();
        Ok(Found::Known(CommitMessage {
            to: view.to,
            method: view.method,
            params: params.map_err(|e| ClientError::ChainAnswer {
                method: Message::NAME,
                reason: e.to_string(),
            })?,
            applied: view.receipt.map(|receipt| (receipt.height, receipt.exit_code)),
        }))
    }

    async fn ask(&self, call: &Call) -> Result<Result<(), String>, ClientError> {
        match self.rpc.query(call).await {
            Ok(_) => Ok(Ok(())),
            Err(ClientError::ChainRefused {
                code: code::QUERY,
                message,
                ..
            }) => Ok(Err(message)),
            Err(error) => Err(error),
        }
    }

    async fn send(
        &self,
        payer: &Address,
        deal: &str,
        purpose: MessagePurpose,
        call: Call,
    ) -> Result<Sent, ClientError> {
        let sent = self.send_unless(payer, deal, purpose, call, pending()).await;
        Ok(sent?.unwrap_or(Sent::Pending))
    }

    async fn send_unless(
        &self,
        payer: &Address,
        deal: &str,
        purpose: MessagePurpose,
        call: Call,
        over: impl Future<Output = ()>,
    ) -> Result<Option<Sent>, ClientError> {
        self.is_ours(payer)?;
        let kept = self.kept_for(deal, purpose).await?;
        let message = match kept {
            Some(message) => message,
            None => match self.make(deal, purpose, &call, over).await {
                Err(ClientError::SignerRefused(reason)) => return Ok(Some(Sent::Refused { reason })),
                Ok(None) => return Ok(None),
                Ok(Some(message)) => message,
                Err(error) => return Err(error),
            },
        };
        self.outcome(deal, purpose, &message).await.map(Some)
    }

    async fn sent(&self, payer: &Address, deal: &str, purpose: MessagePurpose) -> Result<Option<Sent>, ClientError> {
        self.is_ours(payer)?;
        match self.kept_for(deal, purpose).await? {
            Some(message) => self.outcome(deal, purpose, &message).await.map(Some),
            None => Ok(None),
        }
    }

    async fn settle(&self, payer: &Address, deal: &str, purpose: MessagePurpose) -> Result<(), ClientError> {
        self.is_ours(payer)?;
        self.forget(deal, purpose).await
    }
}

fn parse(text: &str) -> Result<SignedMessage, ClientError> {
    let damaged = |reason: String| ClientError::Storage(format!("a kept message cannot be read: {reason}"));
    let bytes = hex::decode(text).map_err(|e| damaged(e.to_string()))?;
    shared::wire::decode(&bytes).map_err(|e| damaged(e.to_string()))
}
