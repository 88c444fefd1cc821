//! Carries the deals of this browser on: each in a task of its own, from draft to proof, again and again until it is done.
//!
//! What comes next is decided by [`shared::deal::drive`]; here are its edges: chain, miner, storage and screen.
//! A fault never ends a deal: it is shown, and the deal is tried again after a while, sooner when the page asks for it.

use crate::channel::Outbox;
use crate::clock;
use crate::fault::Fault;
use crate::host::Host;
use crate::network::Network;
use crate::record::{Proving, Record, Step};
use crate::rpc::Rpc;
use crate::serve::{Nodes, Sources};
use crate::transport::DIAL_LIMIT;
use cid::Cid;
use futures::channel::oneshot;
use libp2p::{Multiaddr, PeerId};
use shared::chain::{calls, Address, AttoFil, Epoch, SecretKey};
use shared::deal::client::ClientRefusal;
use shared::deal::drive::ChannelOutcome;
use shared::deal::{drive, ClientDeal, ClientHost, ClientStage, QueryRequest, SignedProposal, SignedResponse};
use shared::payment::schedule::ScheduleError;
use shared::wire::{protocol, Cbor};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use wasm_bindgen_futures::spawn_local;

/// Milliseconds between two queries of a deal: the first, and the longest.
const QUERY_WAIT: (i32, i32) = (1_000, 3_000);
/// Milliseconds until a deal is tried again after a fault: the first time, and at most.
const RETRY_WAIT: (i32, i32) = (1_000, 20_000);
/// Milliseconds between two looks at a complete deal's sector.
const WATCH_WAIT: i32 = 3_000;
/// Least milliseconds between two shows of a deal's progress.
const SHOW_WAIT: f64 = 150.0;

/// A deal under way.
pub struct Running {
    pub record: RefCell<Record>,
    peer: PeerId,
    stopped: Cell<bool>,
    waker: RefCell<Option<oneshot::Sender<()>>>,
    shown_at: Cell<f64>,
    failures: Cell<u32>,
}

/// Everything that the client's parts share.
pub struct Core {
    pub rpc: Rpc,
    pub network: Network,
    pub key: SecretKey,
    pub host: Rc<Host>,
    pub outbox: Outbox,
    sources: Sources,
    running: RefCell<BTreeMap<String, Rc<Running>>>,
}

impl Core {
    /// Starts the node; no deal is driven yet.
    pub fn start(rpc: Rpc, key: SecretKey, host: Rc<Host>) -> Result<Rc<Self>, Fault> {
        // The node reports to a core that does not exist before the node does.
        let slot: Rc<RefCell<Weak<Self>>> = Rc::default();
        let (served, changed) = (slot.clone(), slot.clone());
        let sources = Sources::new(
            host.clone(),
            Rc::new(move |deal: &str, end| {
                let core = served.borrow().upgrade();
                core.into_iter().for_each(|core| core.on_served(deal, end));
            }),
        );
        let network = Network::start(sources.clone(), move || {
            let core = changed.borrow().upgrade();
            core.into_iter().for_each(|core| core.show_all());
        })
        .map_err(|e| Fault::Internal(e.to_string()))?;
        let outbox = Outbox::new(host.clone(), rpc.clone(), key.clone());
        let core = Rc::new(Self {
            rpc,
            network,
            key,
            host,
            outbox,
            sources,
            running: RefCell::default(),
        });
        *slot.borrow_mut() = Rc::downgrade(&core);
        Ok(core)
    }

    /// Carries a deal on until it is settled, and then watches its sector. Does nothing when that is under way.
    pub fn drive(self: &Rc<Self>, record: Record, nodes: Nodes) -> Result<(), Fault> {
        let id = record.id.clone();
        if self.running.borrow().contains_key(&id) {
            return Ok(());
        }
        let peer = peer_of(&record)?;
        if record.needs_file() {
            let draft = &record.deal.draft;
            self.sources.offer(draft.data_cid, draft.size, nodes, &id, peer);
        }
        let running = Rc::new(Running {
            record: RefCell::new(record),
            peer,
            stopped: Cell::new(false),
            waker: RefCell::default(),
            shown_at: Cell::new(0.0),
            failures: Cell::new(0),
        });
        self.running.borrow_mut().insert(id, running.clone());
        spawn_local(self.clone().run(running));
        Ok(())
    }

    /// Tries a waiting deal now; whether it is under way at all.
    pub fn wake(&self, id: &str) -> bool {
        let running = self.running.borrow().get(id).cloned();
        running.iter().for_each(|running| running.wake());
        running.is_some()
    }

    /// Stops carrying a deal on.
    pub fn stop(&self, id: &str) {
        let running = self.running.borrow_mut().remove(id);
        if let Some(running) = running {
            running.stopped.set(true);
            running.wake();
            self.sources.withdraw(&running.record.borrow().deal.draft.data_cid, id);
        }
    }

    async fn run(self: Rc<Self>, running: Rc<Running>) {
        while !running.stopped.get() && !running.record.borrow().is_settled() {
            let mut deal = running.record.borrow().deal.clone();
            let mut edge = Edge {
                core: self.clone(),
                running: running.clone(),
                queries: 0,
            };
            if let Err(fault) = drive(&mut deal, &mut edge).await {
                self.note_fault(&running, fault).await;
                running.pause(running.retry_wait()).await;
            }
        }
        if !running.stopped.get() {
            self.after(&running).await;
            let id = running.record.borrow().id.clone();
            self.stop(&id);
        }
    }

    async fn note_fault(&self, running: &Running, fault: Fault) {
        if running.stopped.get() {
            return;
        }
        running.failures.set(running.failures.get().saturating_add(1));
        running.record.borrow_mut().error = Some(fault.problem());
        if let Err(fault) = self.save(running).await {
            web_sys::console::warn_1(&format!("a deal's fault cannot be kept: {fault}").into());
        }
    }

    /// What is left to do for a settled deal.
    async fn after(&self, running: &Running) {
        let stage = running.record.borrow().deal.stage.clone();
        match stage {
            ClientStage::Complete { .. } => self.watch(running).await,
            ClientStage::Failed {
                channel: Some(channel), ..
            } => {
                let id = running.record.borrow().id.clone();
                while !running.stopped.get() {
                    match self.outbox.refund(&id, shared::chain::ChannelId(channel)).await {
                        Ok(true) => return,
                        Ok(false) | Err(_) => running.pause(RETRY_WAIT.1).await,
                    }
                }
            }
            _ => {}
        }
    }

    /// Follows the proving of a complete deal's sector on the chain.
    async fn watch(&self, running: &Running) {
        while !running.stopped.get() {
            // An unreachable chain is reported by those who watch its head.
            if let Ok(true) = self.look_at_sector(running).await {
                let _ = self.save(running).await;
            }
            running.pause(WATCH_WAIT).await;
        }
    }

    /// Takes over what the chain says of a deal's sector; whether that is new.
    async fn look_at_sector(&self, running: &Running) -> Result<bool, Fault> {
        let address = running.record.borrow().deal.draft.miner.clone();
        let miner = self.rpc.recent_miner(&address).await?;
        let mut record = running.record.borrow_mut();
        let Some(id) = record.deal.proof().map(|proof| proof.sector_id) else {
            return Ok(false);
        };
        let (sector, window) = (
            miner.sectors.iter().find(|sector| sector.id == id),
            miner.proving_window,
        );
        let (Some(sector), Some(window)) = (sector, window) else {
            return Ok(false);
        };
        let proving = Proving {
            window_start: window.start,
            window_end: window.end,
            last_proven_at: sector.last_proven_at,
            proofs: sector.proofs,
        };
        if record.proving.as_ref() == Some(&proving) {
            return Ok(false);
        }
        if proving.proofs > 0 {
            record.reach(Step::Proven, clock::now());
        }
        record.proving = Some(proving);
        Ok(true)
    }

    /// Keeps a deal, then shows it.
    async fn save(&self, running: &Running) -> Result<(), Fault> {
        let (id, text, view) = {
            let record = running.record.borrow();
            (
                record.id.clone(),
                record.to_text()?,
                record.view(self.network.is_connected(&running.peer))?,
            )
        };
        running.shown_at.set(clock::now());
        self.host.save_deal(&id, &text, view).await.map_err(Fault::storage)
    }

    fn show(&self, running: &Running) {
        running.shown_at.set(clock::now());
        if let Ok(view) = running.record.borrow().view(self.network.is_connected(&running.peer)) {
            self.host.show_deal(view);
        }
    }

    fn show_all(&self) {
        let all: Vec<_> = self.running.borrow().values().cloned().collect();
        all.iter().for_each(|running| self.show(running));
    }

    fn on_served(&self, id: &str, end: u64) {
        let Some(running) = self.running.borrow().get(id).cloned() else {
            return;
        };
        let mut record = running.record.borrow_mut();
        record.transferred = record.transferred.max(end);
        let whole = record.transferred >= record.deal.draft.size;
        if whole {
            record.reach(Step::Transferred, clock::now());
        }
        drop(record);
        if whole || clock::now() - running.shown_at.get() >= SHOW_WAIT {
            self.show(&running);
        }
    }

    /// Makes a connection to a miner, within 15 seconds.
    pub async fn reach(&self, miner: &Address, peer_id: &str) -> Result<PeerId, Fault> {
        let unreachable = |reason: String| Fault::MinerUnreachable {
            miner: miner.clone(),
            reason,
        };
        let peer: PeerId = peer_id
            .parse()
            .map_err(|_| unreachable(format!("'{peer_id}' is no peer id")))?;
        if self.network.is_connected(&peer) {
            return Ok(peer);
        }
        let connecting = async {
            let texts = self.rpc.find_peer(peer_id).await?;
            let addresses: Vec<Multiaddr> = texts.iter().filter_map(|text| text.parse().ok()).collect();
            self.network
                .connect(peer, addresses)
                .await
                .map_err(|e| unreachable(e.to_string()))
        };
        let silent = || unreachable(format!("no connection within {} seconds", DIAL_LIMIT / 1000));
        clock::within(DIAL_LIMIT, connecting).await.ok_or_else(silent)??;
        Ok(peer)
    }

    async fn ask<Q: Cbor>(
        &self,
        record: &RefCell<Record>,
        protocol: &'static str,
        question: &Q,
    ) -> Result<SignedResponse, Fault> {
        let (miner, peer_id) = {
            let record = record.borrow();
            (record.deal.draft.miner.clone(), record.peer_id.clone())
        };
        let unreachable = |reason: String| Fault::MinerUnreachable {
            miner: miner.clone(),
            reason,
        };
        let peer = self.reach(&miner, &peer_id).await?;
        let conversation = self
            .network
            .converse(peer, protocol)
            .await
            .map_err(|e| unreachable(e.to_string()))?;
        conversation.ask(question).await.map_err(|e| unreachable(e.to_string()))
    }
}

fn peer_of(record: &Record) -> Result<PeerId, Fault> {
    let malformed = |_| Fault::MinerMisbehaved {
        miner: record.deal.draft.miner.clone(),
        reason: format!("'{}' is no peer id", record.peer_id),
    };
    record.peer_id.parse().map_err(malformed)
}

impl Running {
    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            // Nobody waits any more when this fails.
            let _ = waker.send(());
        }
    }

    /// Waits, or until somebody calls [`Running::wake`].
    async fn pause(&self, milliseconds: i32) {
        let (waker, woken) = oneshot::channel();
        *self.waker.borrow_mut() = Some(waker);
        clock::within(milliseconds, woken).await;
    }

    fn retry_wait(&self) -> i32 {
        let (first, longest) = RETRY_WAIT;
        first
            .saturating_mul(1 << self.failures.get().saturating_sub(1).min(10))
            .min(longest)
    }
}

/// The edges of one deal.
struct Edge {
    core: Rc<Core>,
    running: Rc<Running>,
    queries: u32,
}

impl Edge {
    fn check_stopped(&self) -> Result<(), Fault> {
        if self.running.stopped.get() {
            return Err(Fault::Aborted);
        }
        Ok(())
    }

    fn purpose(&self) -> String {
        let record = self.running.record.borrow();
        format!("channel/{}/{}", record.id, record.attempt)
    }

    /// The miner answered: whatever hindered the deal is over.
    async fn clear_error(&self) -> Result<(), Fault> {
        self.running.failures.set(0);
        let error = self.running.record.borrow_mut().error.take();
        if error.is_some() {
            self.core.save(&self.running).await?;
        }
        Ok(())
    }

    /// The chain shows when a staged piece's sector is being sealed: a sector of the miner that was announced after the
    /// piece was staged. With several sectors at once it may be another one; the proof at the end names the right one.
    async fn look_for_sealing(&self) -> Result<(), Fault> {
        let (miner, since) = {
            let record = self.running.record.borrow();
            match record.staged_at.filter(|_| record.step() == Step::Staged) {
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
        let response = self
            .core
            .ask(&self.running.record, protocol::MAKE_DEAL, proposal)
            .await?;
        self.clear_error().await?;
        Ok(response)
    }

    async fn query(&mut self, deal: &Cid) -> Result<SignedResponse, Fault> {
        let (first, longest) = QUERY_WAIT;
        let wait = first.saturating_add(self.queries.min(100) as i32 * 500).min(longest);
        self.queries += 1;
        self.running.pause(wait).await;
        self.check_stopped()?;
        self.look_for_sealing().await?;
        let response = self
            .core
            .ask(&self.running.record, protocol::QUERY_DEAL, &QueryRequest { cid: *deal })
            .await?;
        self.clear_error().await?;
        Ok(response)
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
