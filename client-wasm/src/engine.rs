//! Carries the deals of this browser on: each in a task of its own, from draft to proof, again and again until it is done.
//!
//! What comes next is decided and done by [`shared::client::engine`], through [`BrowserHost`]. An error never ends a deal: it
//! is shown, and the deal is tried again after a while, sooner when the page asks for it.

use crate::browser_host::BrowserHost;
use crate::chain::Outbox;
use crate::clock;
use crate::error::ClientError;
use crate::files::Files;
use crate::heads::Heads;
use crate::host::Host;
use crate::network::Network;
use crate::piece_server::{PieceServer, ServeEvent};
use crate::record::{self, Record};
use crate::rpc::Rpc;
use crate::signing::Signing;
use crate::surroundings;
use crate::transport::DIAL_LIMIT;
use crate::uploading::Sender;
use futures::channel::oneshot;
use futures::future::poll_fn;
use futures::lock::Mutex;
use futures::task::AtomicWaker;
use libp2p::{Multiaddr, PeerId};
use serde::{Deserialize, Serialize};
use shared::chain::light::Follower;
use shared::chain::peers::{Directory, SignedRecord};
use shared::chain::rpc::{self, Method};
use shared::chain::view::MinerView;
use shared::chain::{Address, AttoFil, Epoch, SecretKey};
use shared::client::dialing::{Dialer, Obstacle, Route};
use shared::client::following::SETTLED_MS;
use shared::client::offers::Nodes;
use shared::client::{engine, refunds, Awaited, ClientHost, Event, Following, MinerOffer, Order};
use shared::deal::{ClientDeal, ClientStage, SignedResponse};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::task::Poll;
use wasm_bindgen_futures::spawn_local;

/// Least milliseconds between two shows of a deal's progress.
const SHOW_WAIT: f64 = 150.0;

/// A draft with which a failed deal is begun anew, and where its miner is.
#[derive(Serialize, Deserialize)]
pub struct Redrawn {
    pub deal: ClientDeal,
    pub peer: String,
    /// FIL that it may cost from now on.
    pub most: Option<AttoFil>,
}

/// Hears whether something is kept.
type Kept = oneshot::Sender<Result<(), ClientError>>;

/// A deal under way.
pub struct ActiveDeal {
    /// As it was kept last.
    pub record: RefCell<Record>,
    nodes: Nodes,
    /// Whether its file is being sent over HTTP, or was: one try a life.
    uploading: Cell<bool>,
    /// What the page wants of it.
    pub order: RefCell<Order>,
    pub stopped: Cell<bool>,
    /// Held while its record is written.
    pub saving: Mutex<()>,
    /// End of the furthest range that the miner has fetched.
    pub served: Cell<u64>,
    /// An answer that the page asked for, and who signed it.
    heard: RefCell<Option<(SignedResponse, Address)>>,
    /// Its miner gave all of its data back, which its record does not say yet.
    came_back: Cell<bool>,
    /// What it is to be begun anew with, and who waits for that to be kept.
    redrawn: RefCell<Option<(Redrawn, Kept)>>,
    /// Somebody wants it looked at now, and nobody has waited for that yet.
    called: Cell<bool>,
    waker: AtomicWaker,
    shown_at: Cell<f64>,
}

/// Everything that the client's parts share.
pub struct Engine {
    pub rpc: Rpc,
    pub heads: Heads,
    pub network: Network,
    /// What this client signs with: the payer's key, or the session key that its channels name.
    pub key: SecretKey,
    /// Who pays.
    pub payer: Address,
    pub host: Rc<Host>,
    pub outbox: Outbox,
    pub pieces: PieceServer,
    /// Files of several pieces that are carried on, and their deals.
    pub files: Files,
    /// The headers of the chain that were seen; one verification at a time compares its own with them.
    pub follower: Mutex<Follower>,
    /// The newest records of miners that the chain has shown.
    directory: RefCell<Directory>,
    deals: RefCell<BTreeMap<String, Rc<ActiveDeal>>>,
}

impl Engine {
    /// Starts the node; no deal is driven yet.
    pub fn start(rpc: Rpc, signing: Signing, host: Rc<Host>) -> Result<Rc<Self>, ClientError> {
        // The node reports to an engine that does not exist before the node does.
        let slot: Rc<RefCell<Weak<Self>>> = Rc::default();
        let (served, changed) = (slot.clone(), slot.clone());
        let pieces = PieceServer::new(
            host.clone(),
            Rc::new(move |deal: &str, event| {
                let engine = served.borrow().upgrade();
                engine.into_iter().for_each(|engine| engine.on_served(deal, event));
            }),
        );
        let network = Network::start(host.clone(), pieces.clone(), move || {
            let engine = changed.borrow().upgrade();
            engine.into_iter().for_each(|engine| engine.show_all());
        })
        .map_err(|e| ClientError::Internal(e.to_string()))?;
        let heads = Heads::follow(rpc.clone());
        let outbox = Outbox::new(host.clone(), rpc.clone(), heads.clone(), signing.clone());
        let engine = Rc::new(Self {
            rpc,
            heads,
            network,
            key: signing.key,
            payer: signing.payer,
            host,
            outbox,
            pieces,
            files: Files::default(),
            follower: Mutex::default(),
            directory: RefCell::default(),
            deals: RefCell::default(),
        });
        *slot.borrow_mut() = Rc::downgrade(&engine);
        Ok(engine)
    }

    /// The miners that this account can make deals with, `named` among them, and the chain's height.
    pub async fn choosable(&self, named: Option<&Address>) -> Result<(Vec<MinerView>, Epoch), ClientError> {
        let (miners, head) = futures::try_join!(self.rpc.miners(), self.rpc.head())?;
        let miners = match self.key.address() == self.payer {
            true => miners,
            false => MinerOffer::paid(miners, named, head.height),
        };
        Ok((miners, head.height))
    }

    /// Carries a deal on until it is settled, and then watches its sector. Does nothing when that is under way.
    pub fn drive(self: &Rc<Self>, record: Record, nodes: Nodes) {
        self.tell_files(&record);
        self.run_deal(record, nodes, |_| {});
    }

    /// Begins a failed deal anew, in the task that takes its money back, or else in one of its own. It is kept when this
    /// returns.
    pub async fn redraw(self: &Rc<Self>, record: Record, nodes: Nodes, redrawn: Redrawn) -> Result<(), ClientError> {
        let (kept, is_kept) = oneshot::channel();
        self.run_deal(record, nodes, |deal| {
            deal.redrawn.replace(Some((redrawn, kept)));
            deal.wake();
        });
        // Dropped with a deal that is stopped, or for a later draft.
        is_kept.await.map_err(|_| ClientError::Aborted)?
    }

    /// Hands the task of a deal something, which is started when there is none.
    fn run_deal(self: &Rc<Self>, record: Record, nodes: Nodes, hand: impl FnOnce(&ActiveDeal)) {
        let known = self.deals.borrow().get(&record.id).cloned();
        if let Some(deal) = known {
            return hand(&deal);
        }
        let (id, deal) = (record.id.clone(), Rc::new(ActiveDeal::new(record, nodes)));
        hand(&deal);
        self.deals.borrow_mut().insert(id, deal.clone());
        spawn_local(self.clone().run(deal));
    }

    /// The edges of a deal that may not be under way: for a question about it.
    pub fn edges(self: &Rc<Self>, record: &Record) -> BrowserHost {
        BrowserHost::new(self.clone(), Rc::new(ActiveDeal::new(record.clone(), Nodes::new())))
    }

    /// Tries a waiting deal now; whether it is under way at all.
    pub fn wake(&self, id: &str) -> bool {
        let deal = self.deals.borrow().get(id).cloned();
        deal.iter().for_each(|deal| deal.wake());
        deal.is_some()
    }

    /// Gives a deal up as soon as no step of it is half done; whether it is under way here. The wish is kept when this
    /// returns.
    pub async fn give_up(self: &Rc<Self>, id: &str, reason: &str) -> Result<bool, ClientError> {
        let deal = self.deals.borrow().get(id).cloned();
        let pursued = deal.filter(|deal| !deal.record.borrow().is_settled());
        let Some(deal) = pursued else {
            return Ok(false);
        };
        let reason = reason.to_owned();
        *deal.order.borrow_mut() = Order::GiveUp { reason };
        BrowserHost::new(self.clone(), deal.clone()).keep_order().await?;
        deal.wake();
        Ok(true)
    }

    /// Takes in a miner's answer that the page asked for; `worker` signed it.
    pub fn hear(&self, id: &str, response: SignedResponse, worker: Address) {
        if let Some(deal) = self.deals.borrow().get(id) {
            *deal.heard.borrow_mut() = Some((response, worker));
            deal.wake();
        }
    }

    /// Stops carrying a deal on.
    pub fn stop(&self, id: &str) {
        let deal = self.deals.borrow_mut().remove(id);
        if let Some(deal) = deal {
            deal.stopped.set(true);
            deal.wake();
            self.pieces.withdraw(deal.record.borrow().data_cid(), id);
        }
    }

    /// Offers a deal's file to its miner, and sends it over HTTP where the miner takes it so.
    pub fn offer(self: &Rc<Self>, record: &Record, deal: &Rc<ActiveDeal>) {
        if let Ok(peer) = record.peer.parse() {
            let nodes = || deal.nodes.clone();
            self.pieces
                .offer(*record.data_cid(), record.deal.draft.size, nodes, &record.id, &peer);
        }
        let ClientStage::Running { proposal, .. } = &record.deal.stage else {
            return;
        };
        if !deal.uploading.replace(true) {
            let sender = Sender::new(self.clone(), deal.clone(), proposal.cid());
            sender.into_iter().for_each(|sender| spawn_local(sender.send()));
        }
    }

    async fn run(self: Rc<Self>, deal: Rc<ActiveDeal>) {
        let host = BrowserHost::new(self.clone(), deal.clone());
        let mut record = deal.record.borrow().clone();
        let mut following = Following::default();
        let payer = &record.deal.draft.payer;
        if *payer != self.payer && !record.is_settled() {
            // It was restored from a backup with other accounts in it. What this account signs for it would be refused, or meant for a
            // channel of its own.
            record.error = Some(ClientError::OtherAccount(payer.clone()).problem());
            deal.record.replace(record.clone());
            self.files.rest(&record.id);
            self.show(&deal);
            if !deal.stopped.get() {
                self.stop(&record.id);
            }
            return;
        }
        let is_asked = || deal.redrawn.borrow().is_some() || deal.came_back.get();
        while !deal.stopped.get() && (turn(&mut record, &host, &mut following).await || is_asked()) {}
        // A stopped one may have a successor under the same id.
        if !deal.stopped.get() {
            self.stop(&record.id);
        }
    }

    /// The deal for the page: as it is kept, and how far its file is.
    pub fn view(&self, record: &Record, deal: &ActiveDeal) -> Result<wasm_bindgen::JsValue, ClientError> {
        let connected = record.peer.parse().is_ok_and(|peer| self.network.is_connected(&peer));
        let mut shown = record.clone();
        shown.served(deal.served.get(), clock::now() as u64);
        record::view(&shown, connected)
    }

    /// Notes in a deal's record that its miner gave all of its data back: its receipt says so. For the tab that carries deals on.
    pub async fn note_retrieved(self: &Rc<Self>, record: &Record) -> Result<(), ClientError> {
        if record.retrieved {
            return Ok(());
        }
        let known = self.deals.borrow().get(&record.id).cloned();
        if let Some(deal) = known {
            deal.came_back.set(true);
            deal.wake();
            return Ok(());
        }
        let mut record = record.clone();
        record.retrieved = true;
        self.edges(&record).save(&record, Event::Record).await
    }

    /// Shows a deal as it is now.
    pub fn show(&self, deal: &ActiveDeal) {
        if deal.stopped.get() {
            return;
        }
        deal.shown_at.set(clock::now());
        if let Ok(view) = self.view(&deal.record.borrow(), deal) {
            self.host.show_deal(view);
        }
        let mut shown = deal.record.borrow().clone();
        shown.served(deal.served.get(), clock::now() as u64);
        self.tell_files(&shown);
    }

    /// All deals that are carried on, as they were kept last.
    pub fn each_deal(&self, mut look: impl FnMut(&Record)) {
        for deal in self.deals.borrow().values() {
            look(&deal.record.borrow());
        }
    }

    /// Tells the files that a deal is about how it is now.
    fn tell_files(&self, record: &Record) {
        for file in self.files.take(record) {
            self.host.file_changed(&file);
        }
    }

    fn show_all(&self) {
        let all: Vec<_> = self.deals.borrow().values().cloned().collect();
        all.iter().for_each(|deal| self.show(deal));
    }

    fn on_served(&self, id: &str, event: ServeEvent) {
        let Some(deal) = self.deals.borrow().get(id).cloned() else {
            return;
        };
        let ServeEvent::Served { end } = event else {
            // It is looked at again before the miner is.
            deal.wake();
            return;
        };
        self.sent(&deal, end);
    }

    /// So many bytes of a deal's file are at its miner.
    pub fn sent(&self, deal: &ActiveDeal, bytes: u64) {
        deal.served.set(deal.served.get().max(bytes));
        let whole = deal.served.get() >= deal.record.borrow().deal.draft.size;
        if whole || clock::now() - deal.shown_at.get() >= SHOW_WAIT {
            self.show(deal);
        }
    }

    /// Makes a connection to a miner, within 15 seconds.
    pub async fn reach(&self, miner: &Address, peer_id: &str) -> Result<PeerId, ClientError> {
        let unreachable = |reason: String, obstacle| ClientError::MinerUnreachable {
            miner: miner.clone(),
            reason,
            obstacle,
        };
        let peer: PeerId = peer_id
            .parse()
            .map_err(|_| unreachable(format!("'{peer_id}' is no peer id"), None))?;
        if self.network.is_connected(&peer) {
            return Ok(peer);
        }
        let connecting = async {
            let (addresses, dialer) = self.addresses_of(&peer).await?;
            let connected = self.network.connect(peer, &addresses, &dialer).await;
            connected.map_err(|e| unreachable(e.to_string(), e.obstacle()))
        };
        let silent = || {
            let reason = format!("no connection within {} seconds", DIAL_LIMIT / 1000);
            unreachable(reason, Some(Obstacle::NoAnswer))
        };
        clock::within(DIAL_LIMIT, connecting).await.ok_or_else(silent)??;
        Ok(peer)
    }

    /// How a peer is reached, over which of its addresses and why not over the others.
    pub async fn route(&self, peer_id: &str) -> Result<Route, ClientError> {
        let peer = peer_of(peer_id)?;
        let (addresses, dialer) = self.addresses_of(&peer).await?;
        Ok(self.network.route(&peer, &addresses, &dialer))
    }

    /// Where a peer says it is, and what this page can ask of that.
    pub async fn addresses_of(&self, peer: &PeerId) -> Result<(Vec<String>, Dialer), ClientError> {
        futures::try_join!(self.find(peer), surroundings::dialer(&self.host))
    }

    /// Where a peer says it is, by the newest record of its own signature; nowhere when the chain does not know.
    async fn find(&self, peer: &PeerId) -> Result<Vec<String>, ClientError> {
        let answer = self.rpc.find_peer(&peer.to_string()).await?;
        let answer = answer.as_ref().map(|envelope| envelope.0.as_slice());
        let mut directory = self.directory.borrow_mut();
        let newest = directory.take_answer(&peer.to_bytes(), answer);
        let newest = newest.map_err(|error| ClientError::ChainAnswer {
            method: rpc::FindPeer::NAME,
            reason: error.to_string(),
        })?;
        let addresses = newest.map_or(&[][..], SignedRecord::addresses).iter();
        let readable = addresses.filter_map(|bytes| Multiaddr::try_from(bytes.clone()).ok());
        Ok(readable.map(|address| address.to_string()).collect())
    }
}

/// The peer with this id.
pub fn peer_of(peer_id: &str) -> Result<PeerId, ClientError> {
    peer_id.parse().map_err(|_| ClientError::Argument {
        what: "the peer id",
        reason: format!("'{peer_id}' is none"),
    })
}

/// Does the next thing for a deal, notes what hindered it, and waits; whether anything is left to do.
async fn turn(record: &mut Record, host: &BrowserHost, following: &mut Following) -> bool {
    let heard = host.deal.heard.borrow_mut().take();
    if let Some((response, worker)) = heard {
        // What does not apply changes nothing.
        let taken = engine::take_in(record, response, worker, host).await;
        note(record, host, taken.map(drop)).await;
    }
    if host.deal.came_back.take() && !record.retrieved {
        record.retrieved = true;
        let saved = host.save(record, Event::Record).await;
        note(record, host, saved).await;
    }
    let redrawn = host.deal.redrawn.borrow_mut().take();
    if let Some((redrawn, kept)) = redrawn {
        let begun = begin_anew(record, host, redrawn).await;
        // Nobody waits any more when this fails.
        let _ = kept.send(begun.clone());
        note(record, host, begun).await;
    }
    if record.is_settled() {
        if !record.needs_file() {
            host.engine.pieces.withdraw(record.data_cid(), &record.id);
        }
        let wait = engine::watch(record, host).await.unwrap_or_else(|error| {
            note_refund(record, host, &error);
            Some(SETTLED_MS)
        });
        if let Some(wait) = wait {
            host.wait(wait, Awaited::Call).await;
        }
        return wait.is_some();
    }
    let outcome = following.turn(record, host).await;
    note(record, host, outcome.map(drop)).await;
    // The money of earlier attempts comes back meanwhile.
    if record.is_owed() && !record.is_settled() {
        if let Err(error) = refunds::take_back(record, host).await {
            note_refund(record, host, &error);
        }
    }
    if !host.deal.stopped.get() {
        following.rest(host).await;
    }
    true
}

/// Begins a failed deal anew; one that is not failed was begun anew before.
async fn begin_anew(record: &mut Record, host: &BrowserHost, redrawn: Redrawn) -> Result<(), ClientError> {
    if !record.is_failed() {
        return Ok(());
    }
    // It was the failed attempt that was given up.
    *host.deal.order.borrow_mut() = Order::GoOn;
    host.deal.served.set(0);
    host.deal.uploading.set(false);
    record.most = redrawn.most;
    engine::redraw(record, host, redrawn.deal, redrawn.peer).await
}

/// Shows and keeps what hinders a deal.
async fn note(record: &mut Record, host: &BrowserHost, outcome: Result<(), ClientError>) {
    let Err(error) = outcome else { return };
    if host.deal.stopped.get() || error == ClientError::Aborted {
        return;
    }
    record.error = Some(error.problem());
    if let Err(error) = host.save(record, Event::Record).await {
        web_sys::console::warn_1(&format!("a deal's error cannot be kept: {error}").into());
    }
}

/// Shows what hinders a refund. Those who watch the chain's head tell when it cannot be reached.
fn note_refund(record: &mut Record, host: &BrowserHost, error: &ClientError) {
    web_sys::console::debug_1(&format!("a refund has to wait: {error}").into());
    let due = record.refund_due().and_then(|id| record.refunds.get_mut(&id.0));
    if let Some(found) = due.filter(|_| !matches!(error, ClientError::ChainUnreachable { .. })) {
        found.error = Some(error.problem());
        *host.deal.record.borrow_mut() = record.clone();
        host.engine.show(&host.deal);
    }
}

impl ActiveDeal {
    fn new(record: Record, nodes: Nodes) -> Self {
        Self {
            served: Cell::new(record.transferred),
            record: RefCell::new(record),
            nodes,
            uploading: Cell::new(false),
            order: RefCell::new(Order::GoOn),
            stopped: Cell::new(false),
            saving: Mutex::default(),
            heard: RefCell::default(),
            came_back: Cell::new(false),
            redrawn: RefCell::default(),
            called: Cell::new(false),
            waker: AtomicWaker::new(),
            shown_at: Cell::new(0.0),
        }
    }

    /// The interior nodes of its file's DAG.
    pub fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    fn wake(&self) {
        self.called.set(true);
        self.waker.wake();
    }

    /// Waits until somebody calls [`ActiveDeal::wake`], or returns at once when somebody has.
    pub async fn called(&self) {
        poll_fn(|cx| {
            self.waker.register(cx.waker());
            match self.called.take() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await
    }
}
