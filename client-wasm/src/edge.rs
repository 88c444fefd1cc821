//! One deal's edges: what [`shared::deal::drive`] asks for is done with chain, miner and storage.
//!
//! Made by [`crate::driver`] for each attempt. Whatever fails leaves the deal as it was kept last.

use crate::clock;
use crate::driver::{Core, Running};
use crate::fault::Fault;
use crate::network::NetworkError;
use crate::record::{Answer, Step};
use cid::Cid;
use futures::future::{select, Either};
use futures::pin_mut;
use shared::chain::{calls, Address, AttoFil, Epoch, SecretKey};
use shared::deal::client::ClientRefusal;
use shared::deal::drive::ChannelOutcome;
use shared::deal::watch::{pause_ms, QUERY_PAUSE_MS};
use shared::deal::{ClientDeal, ClientHost, QueryRequest, SignedProposal, SignedResponse, WatchRequest};
use shared::payment::schedule::ScheduleError;
use shared::wire::{protocol, Cbor};
use std::cell::Cell;
use std::rc::Rc;

/// The edges of one deal.
pub struct Edge {
    core: Rc<Core>,
    running: Rc<Running>,
    /// Whether the miner may speak the protocol of watches.
    can_watch: Cell<bool>,
}

/// What a watch came to.
enum Watched {
    /// What the miner says.
    Answer(SignedResponse),
    /// The page wants the deal looked at now.
    Woken,
    /// The miner cannot be watched now. What hinders it is told by the query that follows.
    NotWatched,
}

impl Edge {
    pub fn new(core: Rc<Core>, running: Rc<Running>) -> Self {
        Self {
            core,
            running,
            can_watch: Cell::new(true),
        }
    }

    fn check_stopped(&self) -> Result<(), Fault> {
        if self.running.stopped.get() {
            return Err(Fault::Aborted);
        }
        Ok(())
    }

    /// Whether the deal is to be pursued no longer: the page said so, or its time is over.
    async fn check_given_up(&self) -> Result<(), Fault> {
        if let Some(reason) = self.running.given_up.borrow().clone() {
            return Err(Fault::GivenUp(reason));
        }
        let deadline = self.running.record.borrow().deal.deadline();
        let height = match self.core.heads.height() {
            Some(height) => Some(height),
            // Without an answer the next attempt looks again.
            None => self.core.rpc.head().await.ok().map(|head| head.height),
        };
        match deadline.zip(height) {
            Some((deadline, height)) if height >= deadline => Err(Fault::GivenUp(format!(
                "it was not complete by block {deadline}, when its time was over"
            ))),
            _ => Ok(()),
        }
    }

    fn purpose(&self) -> String {
        let record = self.running.record.borrow();
        format!("channel/{}/{}", record.id, record.attempt)
    }

    async fn ask<Q: Cbor>(&self, protocol: &'static str, question: &Q) -> Result<SignedResponse, Fault> {
        let (miner, peer_id) = {
            let record = self.running.record.borrow();
            (record.deal.draft.miner.clone(), record.peer_id.clone())
        };
        self.core.ask(&miner, &peer_id, protocol, question).await
    }

    /// The miner answered: whatever hindered the deal is over, but for a file that is lost.
    async fn heard(&self, response: &SignedResponse) -> Result<(), Fault> {
        self.running.failures.set(0);
        let error = {
            let mut record = self.running.record.borrow_mut();
            if response.is_signed_by(&record.deal.draft.worker) {
                record.answer = Some(Answer::of(response, clock::now()));
            }
            record.error.take_if(|error| error.code != Fault::FileLost.code())
        };
        if error.is_some() {
            self.core.save(&self.running).await?;
        }
        Ok(())
    }

    /// The chain shows when a staged piece's sector is being sealed: a sector of the miner that was announced after the
    /// deal was accepted. With several sectors at once it may be another one; the proof at the end names the right one.
    async fn look_for_sealing(&self) -> Result<(), Fault> {
        let (miner, since) = {
            let record = self.running.record.borrow();
            match record.accepted_at.filter(|_| record.step() == Step::Staged) {
                Some(since) => (record.deal.draft.miner.clone(), since),
                None => return Ok(()),
            }
        };
        let miner = self.core.rpc.recent_miner(&miner).await?;
        let announced = miner.pre_commits.iter().map(|pre| pre.height);
        let committed = miner.sectors.iter().map(|sector| sector.committed_at);
        if announced.chain(committed).any(|height| height >= since) {
            self.running.record.borrow_mut().reach(Step::Sealing, clock::now());
            self.core.save(&self.running).await?;
        }
        Ok(())
    }
}

impl Edge {
    /// Waits until the miner says that the deal is in another state than the one known, looking at the chain meanwhile. The
    /// caller has just seen that the deal is neither stopped nor given up.
    async fn watch(&self, deal: &Cid) -> Result<Watched, Fault> {
        let known = self
            .running
            .record
            .borrow()
            .deal
            .response()
            .map(|answer| answer.response.state);
        let Some(state) = known.filter(|_| self.can_watch.get()) else {
            return Ok(Watched::NotWatched);
        };
        let (began, request) = (clock::now(), WatchRequest { cid: *deal, state });
        let answer = {
            // The waker first: it is set before anything else can happen.
            let (woken, asked, chain) = (self.running.woken(), self.ask_watch(&request), self.follow_chain());
            pin_mut!(woken, asked, chain);
            match select(woken, select(asked, chain)).await {
                Either::Left(((), _)) => return Ok(Watched::Woken),
                Either::Right((Either::Left((answer, _)), _)) => answer,
                Either::Right((Either::Right((fault, _)), _)) => return Err(fault),
            }
        };
        let Some(answer) = answer else {
            return Ok(Watched::NotWatched);
        };
        let pause = pause_ms(answer.response.state != state, (clock::now() - began) as u64);
        if pause > 0 {
            self.running.pause(i32::try_from(pause).unwrap_or(i32::MAX)).await;
        }
        Ok(Watched::Answer(answer))
    }

    /// The miner's answer to a watch, if it gives one.
    async fn ask_watch(&self, request: &WatchRequest) -> Option<SignedResponse> {
        let (miner, peer_id) = {
            let record = self.running.record.borrow();
            (record.deal.draft.miner.clone(), record.peer_id.clone())
        };
        let peer = self.core.reach(&miner, &peer_id).await.ok()?;
        match self.core.network.converse(peer, protocol::WATCH_DEAL).await {
            Ok(conversation) => conversation.ask(request).await.ok(),
            Err(error) => {
                self.can_watch.set(!matches!(error, NetworkError::Protocol(_)));
                None
            }
        }
    }

    /// Looks with every head whether the deal's time is over and whether its sector is being sealed; returns with a fault.
    async fn follow_chain(&self) -> Fault {
        loop {
            let count = self.core.heads.count();
            let looked = match self.check_given_up().await {
                Ok(()) => self.look_for_sealing().await,
                over => over,
            };
            if let Err(fault) = looked {
                return fault;
            }
            self.core.heads.after(count).await;
        }
    }
}

impl ClientHost for Edge {
    type Error = Fault;

    fn key(&self) -> SecretKey {
        self.core.key.clone()
    }

    async fn save(&mut self, deal: &ClientDeal) -> Result<(), Fault> {
        self.check_stopped()?;
        // Only for showing; without it the next answer tells.
        let height = self.core.rpc.head().await.ok().map(|head| head.height);
        let (id, root, needed, needs) = {
            let mut record = self.running.record.borrow_mut();
            let needed = record.needs_file();
            // A new stage means that whatever hindered the deal is over.
            if record.deal.stage != deal.stage {
                record.error = None;
                self.running.failures.set(0);
            }
            record.advance(deal, height, clock::now());
            (record.id.clone(), deal.draft.data_cid, needed, record.needs_file())
        };
        self.core.save(&self.running).await?;
        if deal.proposal().is_some() {
            self.core.outbox.forget(&self.purpose()).await?;
        }
        if needed && !needs {
            self.core.sources.withdraw(&root, &id);
            self.core.host.drop_piece(&id).await.map_err(Fault::storage)?;
        }
        Ok(())
    }

    async fn open_channel(
        &mut self,
        _: &ClientDeal,
        target: &Address,
        amount: AttoFil,
        eol: Epoch,
    ) -> Result<ChannelOutcome, Fault> {
        let purpose = self.purpose();
        let message = match self
            .core
            .outbox
            .submit(&purpose, calls::create_channel(target, eol, amount))
            .await
        {
            Ok(message) => message,
            Err(refusal @ Fault::ChainRefused { .. }) => {
                return Ok(ChannelOutcome::Failed {
                    reason: refusal.to_string(),
                })
            }
            Err(fault) => return Err(fault),
        };
        let receipt = self.core.outbox.confirmed(&purpose, &message).await?;
        self.check_stopped()?;
        let opened = receipt
            .receipt()
            .map_err(calls::ReturnError::from)
            .and_then(|receipt| calls::channel_id(&receipt));
        match opened {
            Ok(channel) => Ok(ChannelOutcome::Opened { channel, message }),
            Err(error) => {
                self.core.outbox.forget(&purpose).await?;
                Ok(ChannelOutcome::Failed {
                    reason: format!("createChannel failed: {error}"),
                })
            }
        }
    }

    async fn propose(&mut self, proposal: &SignedProposal) -> Result<SignedResponse, Fault> {
        self.check_stopped()?;
        self.check_given_up().await?;
        let response = self.ask(protocol::MAKE_DEAL, proposal).await?;
        self.heard(&response).await?;
        Ok(response)
    }

    async fn query(&mut self, deal: &Cid) -> Result<SignedResponse, Fault> {
        self.check_given_up().await?;
        self.check_stopped()?;
        let watched = self.watch(deal).await?;
        if matches!(watched, Watched::NotWatched) {
            self.running.pause(QUERY_PAUSE_MS as i32).await;
        }
        self.check_stopped()?;
        self.check_given_up().await?;
        self.look_for_sealing().await?;
        let response = match watched {
            Watched::Answer(response) => response,
            Watched::Woken | Watched::NotWatched => {
                self.ask(protocol::QUERY_DEAL, &QueryRequest { cid: *deal }).await?
            }
        };
        self.heard(&response).await?;
        Ok(response)
    }

    async fn worker(&mut self, deal: &ClientDeal) -> Result<Option<Address>, Fault> {
        Ok(Some(self.core.rpc.miner(&deal.draft.miner).await?.worker))
    }

    async fn refused(&mut self, refusal: ClientRefusal) -> Result<(), Fault> {
        let miner = self.running.record.borrow().deal.draft.miner.clone();
        Err(Fault::MinerMisbehaved {
            miner,
            reason: refusal.to_string(),
        })
    }

    fn unschedulable(&self, error: ScheduleError) -> Fault {
        Fault::Argument {
            what: "the duration",
            reason: error.to_string(),
        }
    }
}
