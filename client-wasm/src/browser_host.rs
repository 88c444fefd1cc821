//! The browser's edges of one deal: what [`shared::client`] asks for is done with chain, miner and the page's storage.

use crate::chain::Outbox;
use crate::clock;
use crate::engine::{ActiveDeal, Engine};
use crate::error::ClientError;
use crate::network::NetworkError;
use crate::record::{self, NamedFile, Record};
use futures::future::{select, Either};
use futures::pin_mut;
use shared::chain::SecretKey;
use shared::client::{Awaited, Blame, ClientHost, Event, Order, Woken};
use shared::wire::Cbor;
use std::cell::Cell;
use std::rc::Rc;

/// The edges of one deal.
pub struct BrowserHost {
    pub engine: Rc<Engine>,
    pub deal: Rc<ActiveDeal>,
    /// The news of heads that was there when a wait for one ended last.
    heads: Cell<u64>,
}

impl BrowserHost {
    pub fn new(engine: Rc<Engine>, deal: Rc<ActiveDeal>) -> Self {
        let heads = Cell::new(engine.heads.count());
        Self { engine, deal, heads }
    }

    /// Keeps what the user wants of the deal with the record as it was kept last: a wish that was acknowledged outlives the
    /// page.
    pub async fn keep_order(&self) -> Result<(), ClientError> {
        let _alone = self.deal.saving.lock().await;
        let record = self.deal.record.borrow().clone();
        self.write(record).await
    }

    /// Writes a record, with the user's wish. One at a time: a later one has to be a newer one.
    async fn write(&self, mut record: Record) -> Result<(), ClientError> {
        if self.deal.stopped.get() {
            return Err(ClientError::Aborted);
        }
        if let (false, Order::GiveUp { reason }) = (record.is_settled(), self.order()) {
            record.giving_up = Some(reason);
        }
        let view = self.engine.view(&record, &self.deal)?;
        let text = record::to_text(&record)?;
        let saved = self.engine.host.save_deal(&record.id, &text, view).await;
        saved.map_err(ClientError::storage)?;
        *self.deal.record.borrow_mut() = record;
        self.engine.show(&self.deal);
        Ok(())
    }
}

impl ClientHost for BrowserHost {
    type Error = ClientError;
    type File = NamedFile;
    type Chain = Outbox;

    fn chain(&self) -> &Outbox {
        &self.engine.outbox
    }

    fn key(&self) -> SecretKey {
        self.engine.key.clone()
    }

    fn now_ms(&self) -> u64 {
        clock::now() as u64
    }

    fn order(&self) -> Order {
        self.deal.order.borrow().clone()
    }

    async fn save(&self, record: &Record, _: Event) -> Result<(), ClientError> {
        let _alone = self.deal.saving.lock().await;
        self.write(record.clone()).await
    }

    async fn ask<Q: Cbor, A: Cbor>(
        &self,
        record: &Record,
        protocol: &'static str,
        question: &Q,
    ) -> Result<A, ClientError> {
        let miner = &record.deal.draft.miner;
        let unreachable = |reason: String| ClientError::MinerUnreachable {
            miner: miner.clone(),
            reason,
            obstacle: None,
        };
        let peer = self.engine.reach(miner, &record.peer).await?;
        let conversation = self.engine.network.converse(peer, protocol).await;
        let conversation = conversation.map_err(|error| match error {
            NetworkError::Protocol(protocol) => ClientError::MinerLacks {
                miner: miner.clone(),
                protocol,
            },
            other => unreachable(other.to_string()),
        })?;
        conversation.ask(question).await.map_err(|e| unreachable(e.to_string()))
    }

    fn blame(error: &ClientError) -> Blame {
        match error {
            ClientError::ChainUnreachable { url, reason, .. } => Blame::Chain {
                reason: format!("{url}: {reason}"),
            },
            ClientError::MinerUnreachable { reason, .. } => Blame::Miner { reason: reason.clone() },
            ClientError::MinerLacks { .. } => Blame::Protocol {
                reason: error.to_string(),
            },
            _ => Blame::Other,
        }
    }

    async fn wait(&self, most_ms: u64, awaited: Awaited) -> Woken {
        let block = async {
            match awaited {
                Awaited::Block => self.engine.heads.after(self.heads.get()).await,
                Awaited::Call => std::future::pending().await,
            }
        };
        let called = self.deal.called();
        pin_mut!(block, called);
        let limit = i32::try_from(most_ms).unwrap_or(i32::MAX);
        let woken = match clock::within(limit, select(called, block)).await {
            Some(Either::Left(_)) => Woken::Called,
            Some(Either::Right(_)) => Woken::Block,
            None => Woken::Time,
        };
        if awaited == Awaited::Block {
            self.heads.set(self.engine.heads.count());
        }
        woken
    }

    /// A browser refuses every byte of a file that has changed on the disk, and a file that was cut short has no last one.
    async fn file_is_same(&self, record: &mut Record) -> Result<bool, ClientError> {
        let last = record.deal.draft.size.saturating_sub(1);
        let read = self.engine.host.read_piece(&record.id, last as f64, 1).await;
        Ok(read.is_ok_and(|bytes| js_sys::Uint8Array::new(&bytes).length() == 1))
    }

    fn served(&self) -> u64 {
        self.deal.served.get()
    }

    fn offer(&self, record: &Record) {
        self.engine.offer(record, &self.deal);
    }

    async fn file_is_not_needed(&self, record: &Record) -> Result<(), ClientError> {
        self.engine.pieces.withdraw(record.data_cid(), &record.id);
        self.engine
            .host
            .drop_piece(&record.id)
            .await
            .map_err(ClientError::storage)
    }
}
