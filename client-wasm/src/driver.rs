//! Carries the deals of this browser on: each in a task of its own, from draft to proof, again and again until it is done.
//!
//! What comes next is decided by [`shared::deal::drive`], and done by [`crate::edge`].
//! A fault never ends a deal: it is shown, and the deal is tried again after a while, sooner when the page asks for it.

use crate::channel::Outbox;
use crate::clock;
use crate::edge::Edge;
use crate::fault::Fault;
use crate::heads::Heads;
use crate::host::Host;
use crate::network::Network;
use crate::record::{Answer, Proving, Record, Step};
use crate::rpc::Rpc;
use crate::serve::{Nodes, ServeEvent, Sources};
use crate::transport::DIAL_LIMIT;
use futures::channel::oneshot;
use libp2p::{Multiaddr, PeerId};
use shared::chain::{Address, SecretKey};
use shared::deal::{drive, ClientDeal, ClientHost, ClientInput, ClientStage, SignedResponse};
use shared::wire::Cbor;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use wasm_bindgen_futures::spawn_local;

/// Milliseconds until a deal is tried again after a fault: the first time, and at most.
const RETRY_WAIT: (i32, i32) = (1_000, 20_000);
/// Milliseconds between two looks at a complete deal's sector: proofs-of-spacetime come once in a proving period of minutes.
const WATCH_WAIT: i32 = 3_000;
/// Least milliseconds between two shows of a deal's progress.
const SHOW_WAIT: f64 = 150.0;

/// A deal under way.
pub struct Running {
    pub record: RefCell<Record>,
    peer: PeerId,
    pub(crate) stopped: Cell<bool>,
    waker: RefCell<Option<oneshot::Sender<()>>>,
    shown_at: Cell<f64>,
    pub(crate) failures: Cell<u32>,
    /// Why the deal is not to be pursued any longer, once the page has said so.
    pub(crate) given_up: RefCell<Option<String>>,
    /// Whether somebody is taking the money of failed attempts back.
    pub(crate) refunding: Cell<bool>,
}

/// Everything that the client's parts share.
pub struct Core {
    pub rpc: Rpc,
    pub heads: Heads,
    pub network: Network,
    pub key: SecretKey,
    pub host: Rc<Host>,
    pub outbox: Outbox,
    pub(crate) sources: Sources,
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
            Rc::new(move |deal: &str, event| {
                let core = served.borrow().upgrade();
                core.into_iter().for_each(|core| core.on_served(deal, event));
            }),
        );
        let network = Network::start(sources.clone(), move || {
            let core = changed.borrow().upgrade();
            core.into_iter().for_each(|core| core.show_all());
        })
        .map_err(|e| Fault::Internal(e.to_string()))?;
        let heads = Heads::follow(rpc.clone());
        let outbox = Outbox::new(host.clone(), rpc.clone(), heads.clone(), key.clone());
        let core = Rc::new(Self {
            rpc,
            heads,
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
        if record.needs_file() && !record.is_settled() {
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
            given_up: RefCell::default(),
            refunding: Cell::new(false),
        });
        self.running.borrow_mut().insert(id, running.clone());
        spawn_local(self.clone().take_back(running.clone()));
        spawn_local(self.clone().run(running));
        Ok(())
    }

    /// Tries a waiting deal now; whether it is under way at all.
    pub fn wake(&self, id: &str) -> bool {
        let running = self.running.borrow().get(id).cloned();
        running.iter().for_each(|running| running.wake());
        running.is_some()
    }

    /// Gives a deal up as soon as no step of it is half done; whether it is under way here.
    pub fn give_up(&self, id: &str, reason: &str) -> bool {
        let running = self.running.borrow().get(id).cloned();
        let pursued = running.filter(|running| !running.record.borrow().is_settled());
        if let Some(running) = &pursued {
            *running.given_up.borrow_mut() = Some(reason.into());
            running.wake();
        }
        pursued.is_some()
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
            let mut edge = Edge::new(self.clone(), running.clone());
            match drive(&mut deal, &mut edge).await {
                Ok(()) => {}
                Err(Fault::GivenUp(reason)) => self.end(&running, &mut deal, &mut edge, reason).await,
                Err(fault) => {
                    self.note_fault(&running, fault).await;
                    running.pause(running.retry_wait()).await;
                }
            }
        }
        if !running.stopped.get() {
            let (id, root) = {
                let record = running.record.borrow();
                (record.id.clone(), record.deal.draft.data_cid)
            };
            self.sources.withdraw(&root, &id);
            // It may have ended just now; does nothing when that is under way or nothing is to come back.
            let refunds = self.clone().take_back(running.clone());
            match running.is_complete() {
                // Its channel lives on for as long as the deal.
                true => spawn_local(refunds),
                false => refunds.await,
            }
            self.after(&running).await;
            // A stopped one may have a successor under the same id.
            if !running.stopped.get() {
                self.stop(&id);
            }
        }
    }

    /// Ends a deal that is not pursued any longer; its money comes back as that of any failed one.
    async fn end(&self, running: &Running, deal: &mut ClientDeal, edge: &mut Edge, reason: String) {
        let kept = match deal.handle(ClientInput::GivenUp {
            reason: format!("given up: {reason}"),
        }) {
            Ok(()) => edge.save(deal).await,
            // It has come to its end by itself.
            Err(_) => Ok(()),
        };
        if let Err(fault) = kept {
            self.note_fault(running, fault).await;
            running.pause(running.retry_wait()).await;
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

    /// What is left to do for a settled deal: to follow the proving of its sector, and to wait for the refunds that are
    /// under way.
    async fn after(&self, running: &Running) {
        let complete = running.is_complete();
        while !running.stopped.get() && (complete || running.refunding.get()) {
            if complete {
                if let Err(fault) = self.look_after(running).await {
                    // It is tried again; an unreachable chain is reported by those who watch its head.
                    web_sys::console::debug_1(&format!("a settled deal has to wait: {fault}").into());
                }
            }
            running.pause(WATCH_WAIT).await;
        }
    }

    async fn look_after(&self, running: &Running) -> Result<(), Fault> {
        if self.look_at_sector(running).await? {
            self.save(running).await?;
        }
        Ok(())
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
    pub(crate) async fn save(&self, running: &Running) -> Result<(), Fault> {
        let (id, text, view) = {
            let record = running.record.borrow();
            (
                record.id.clone(),
                record.to_text()?,
                record.view(self.network.is_connected(&running.peer))?,
            )
        };
        self.host.save_deal(&id, &text, view).await.map_err(Fault::storage)?;
        // Not the view that was kept: bytes may have gone out meanwhile.
        self.show(running);
        Ok(())
    }

    pub(crate) fn show(&self, running: &Running) {
        if running.stopped.get() {
            return;
        }
        running.shown_at.set(clock::now());
        if let Ok(view) = running.record.borrow().view(self.network.is_connected(&running.peer)) {
            self.host.show_deal(view);
        }
    }

    fn show_all(&self) {
        let all: Vec<_> = self.running.borrow().values().cloned().collect();
        all.iter().for_each(|running| self.show(running));
    }

    fn on_served(&self, id: &str, event: ServeEvent) {
        let Some(running) = self.running.borrow().get(id).cloned() else {
            return;
        };
        let ServeEvent::Served { end } = event else {
            running.record.borrow_mut().error = Some(Fault::FileLost.problem());
            return self.show(&running);
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

    /// Asks a miner one question.
    pub(crate) async fn ask<Q: Cbor>(
        &self,
        miner: &Address,
        peer_id: &str,
        protocol: &'static str,
        question: &Q,
    ) -> Result<SignedResponse, Fault> {
        let unreachable = |reason: String| Fault::MinerUnreachable {
            miner: miner.clone(),
            reason,
        };
        let peer = self.reach(miner, peer_id).await?;
        let conversation = self
            .network
            .converse(peer, protocol)
            .await
            .map_err(|e| unreachable(e.to_string()))?;
        conversation.ask(question).await.map_err(|e| unreachable(e.to_string()))
    }

    /// Takes in a miner's answer that the page asked for; `worker` signed it. A deal under way asks once more by itself; a
    /// complete one may have to learn that its sector is lost.
    pub(crate) async fn note_answer(
        self: &Rc<Self>,
        id: &str,
        response: SignedResponse,
        worker: &Address,
    ) -> Result<(), Fault> {
        let Some(running) = self.running.borrow().get(id).cloned() else {
            return Ok(());
        };
        {
            let (mut record, now) = (running.record.borrow_mut(), clock::now());
            record.answer = Some(Answer::of(&response, now));
            let mut deal = record.deal.clone();
            if matches!(deal.stage, ClientStage::Complete { .. }) {
                let worker = worker.clone();
                let known = deal.handle(ClientInput::WorkerChanged { worker });
                let taken = known.and_then(|()| deal.handle(ClientInput::Answered { response }));
                // What the machine refuses, such as an earlier state, changes nothing.
                if taken.is_ok() {
                    record.advance(&deal, None, now);
                }
            }
        }
        running.wake();
        self.save(&running).await?;
        spawn_local(self.clone().take_back(running));
        Ok(())
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
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.record.borrow().deal.stage, ClientStage::Complete { .. })
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            // Nobody waits any more when this fails.
            let _ = waker.send(());
        }
    }

    /// Waits, or until somebody calls [`Running::wake`].
    pub(crate) async fn pause(&self, milliseconds: i32) {
        clock::within(milliseconds, self.woken()).await;
    }

    /// Waits until somebody calls [`Running::wake`].
    pub(crate) async fn woken(&self) {
        let (waker, woken) = oneshot::channel();
        *self.waker.borrow_mut() = Some(waker);
        // Replaced by another wait when it fails.
        let _ = woken.await;
    }

    fn retry_wait(&self) -> i32 {
        let (first, longest) = RETRY_WAIT;
        first
            .saturating_mul(1 << self.failures.get().saturating_sub(1).min(10))
            .min(longest)
    }
}
