//! Fetching a deal's piece from a peer that has it (steps 7 and 8 of a deal): what to ask and what to keep is decided by
//! [`shared::transfer::Puller`]; this moves its frames and stores what it hands out.
//!
//! Sources are the peers that proposed the deal or asked about it. Blocks are checked by their hash, so any may serve;
//! one that sends other bytes is not asked again for this deal. What does not come is given up ([`overdue`]). Next:
//! [`crate::sealing`] places the piece in a sector.

mod overdue;

use super::frames::{self, StreamError};
use super::host::Host;
use super::query::changed;
use super::refused::Limit;
use super::transfer_places::{Place, TransferPlaces};
use crate::clock::now_ms;
use crate::failpoint;
use crate::sealing::SealingWake;
use crate::settings::SettingsStore;
use crate::staging::{Incoming, Staging, StagingError};
use crate::store::{DealRecord, MinerStore, StoreError};
use crate::supervisor::{Backoff, Lifeline};
use cid::Cid;
use libp2p::{PeerId, Stream, StreamProtocol};
use sealdrop_database::blocking;
use shared::chain::view::HeadView;
use shared::deal::{MinerEffect, MinerInput};
use shared::piece::Commitment;
use shared::transfer::{KnownDag, Limits, PathDelay, PlaceLost, Puller, RefusalCode, Response, TransferFault};
use shared::wire::protocol;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tracing::Instrument;

/// Sources of a deal that are remembered, and sources that lied.
const MAX_SOURCES: usize = 8;
/// Deals that have sources: as many as may wait for their piece.
const MAX_DEALS: usize = 512;
/// Pause between two looks whether somebody else still has a piece's files.
const CLAIMED_PAUSE: Duration = Duration::from_millis(500);

/// Why a transfer stopped.
#[derive(Debug, thiserror::Error)]
enum PullError {
    #[error("{0}")]
    Fault(#[from] TransferFault),
    #[error("{0}")]
    Stream(#[from] StreamError),
    #[error("the peer opens no stream for the transfer: {0}")]
    Open(String),
    #[error("{0}")]
    PlaceLost(#[from] PlaceLost),
    #[error("{0}")]
    Staging(#[from] StagingError),
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl PullError {
    /// Whether this host is to blame, and not the peer or the way to it.
    fn is_ours(&self) -> bool {
        match self {
            Self::Staging(error) => error.passes() || matches!(error, StagingError::File { .. }),
            Self::Store(_) => true,
            _ => false,
        }
    }
}

/// What health calls the fetching of a deal's piece.
fn health_name(deal: &Cid) -> String {
    format!("the piece of deal {deal}")
}

/// Who may have a deal's piece.
#[derive(Debug, Default)]
struct Sources {
    peers: VecDeque<PeerId>,
    /// Those that sent something else.
    banned_peers: BTreeSet<PeerId>,
    /// When the first of them did, in milliseconds since 1970.
    banned_ms: u64,
    /// Who fetches it, by number.
    running: Option<u64>,
    /// Whether one of them is sending.
    sending: bool,
    /// Whether a place was lost by slowness or silence: the deal goes behind all others.
    was_slow: bool,
}

/// What transfers work with.
#[derive(Clone)]
pub struct TransferParts {
    pub store: MinerStore,
    pub staging: Staging,
    pub settings: Arc<SettingsStore>,
    /// The chain's head, for the deals' deadlines.
    pub heads: watch::Receiver<HeadView>,
    /// Wakes sealing when a piece has arrived.
    pub wake: Arc<SealingWake>,
}

/// The transfers of a miner. Clones are the same.
#[derive(Clone)]
pub struct TransferManager {
    inner: Arc<Inner>,
}

struct Inner {
    parts: TransferParts,
    host: Host,
    deals: Mutex<BTreeMap<Cid, Sources>>,
    places: TransferPlaces,
    /// How many fetchers there were.
    fetchers: AtomicU64,
    /// What fetches; nothing is fetched before the network runs.
    lifeline: Mutex<Option<Lifeline>>,
}

impl TransferManager {
    /// Knows no sources: clients come back and ask about their deals.
    pub fn new(parts: TransferParts, host: Host) -> Self {
        let (deals, lifeline) = (Mutex::default(), Mutex::default());
        Self {
            inner: Arc::new(Inner {
                parts,
                host,
                deals,
                places: TransferPlaces::default(),
                fetchers: AtomicU64::default(),
                lifeline,
            }),
        }
    }

    /// From now on pieces are fetched as tasks of this service; those of an earlier life have ended.
    pub(super) fn begin(&self, lifeline: &Lifeline) {
        lock(&self.inner.deals).clear();
        *lock(&self.inner.lifeline) = Some(lifeline.clone());
    }

    /// A peer has the deal's piece: fetches it, if nobody does already.
    pub fn source(&self, deal: Cid, peer: PeerId) {
        let Some(lifeline) = lock(&self.inner.lifeline).clone() else {
            return;
        };
        let mut deals = self.inner.deals();
        if deals.len() >= MAX_DEALS && !deals.contains_key(&deal) {
            return;
        }
        let sources = deals.entry(deal).or_default();
        if sources.banned_peers.contains(&peer) {
            return;
        }
        if !sources.peers.contains(&peer) {
            sources.peers.push_back(peer);
            if sources.peers.len() > MAX_SOURCES {
                sources.peers.pop_front();
            }
        }
        if sources.running.is_none() {
            let number = self.inner.fetchers.fetch_add(1, Ordering::Relaxed);
            sources.running = Some(number);
            let fetching = Fetching {
                inner: self.inner.clone(),
                deal,
                number,
            };
            drop(lifeline.spawn("fetching a piece", fetching.run()));
        }
    }

    /// Connected peers that may have the deal's piece.
    pub fn sources(&self, deal: &Cid) -> usize {
        let deals = self.inner.deals();
        let peers = deals.get(deal).map(|sources| &sources.peers);
        let connected = peers
            .into_iter()
            .flatten()
            .filter(|peer| self.inner.host.is_connected(peer));
        connected.count()
    }
}

/// The fetching of one deal's piece; whoever drops it lets another begin.
struct Fetching {
    inner: Arc<Inner>,
    deal: Cid,
    number: u64,
}

impl Drop for Fetching {
    fn drop(&mut self) {
        self.inner.well(&self.deal);
        if let Some(sources) = self.inner.deals().get_mut(&self.deal) {
            // Another may have begun since this one found nobody.
            if sources.running == Some(self.number) {
                sources.running = None;
            }
        }
    }
}

impl Fetching {
    async fn run(self) {
        let span = tracing::info_span!("transfer", deal = %self.deal);
        self.inner.fetch(self.deal).instrument(span).await;
    }
}

impl Inner {
    fn deals(&self) -> MutexGuard<'_, BTreeMap<Cid, Sources>> {
        lock(&self.deals)
    }

    /// Tries sources until the piece is here, the deal is over, or no source is connected.
    async fn fetch(&self, deal: Cid) {
        let mut backoff = Backoff::default();
        loop {
            let changes = self.parts.store.deal_changes();
            let record = match self.parts.store.deal(&deal) {
                Ok(Some(record)) if record.deal.effect() == MinerEffect::FetchPiece => record,
                Ok(_) => {
                    self.deals().remove(&deal);
                    return;
                }
                Err(error) => {
                    tracing::error!(%deal, %error, "the deal cannot be read");
                    backoff.pause().await;
                    continue;
                }
            };
            let Some(peer) = self.next_source(&deal) else { return };
            let tried = tokio::select! {
                tried = self.try_source(&deal, &record, peer) => tried,
                // Given up meanwhile: its bytes are of no use any more.
                () = changed(changes, &deal) => continue,
            };
            match tried {
                Ok(()) => {
                    self.well(&deal);
                    backoff = Backoff::default();
                }
                Err(error) => {
                    tracing::info!(%deal, %peer, %error, "the transfer stopped");
                    if let (true, Some(lifeline)) = (error.is_ours(), lock(&self.lifeline).as_ref()) {
                        lifeline.failing(&health_name(&deal), &error);
                    }
                    self.judge(&deal, &record, peer, &error);
                    backoff.pause().await;
                }
            }
        }
    }

    /// Nothing of ours is in the way of a deal's piece (any more).
    fn well(&self, deal: &Cid) {
        if let Some(lifeline) = lock(&self.lifeline).as_ref() {
            lifeline.well(&health_name(deal));
        }
    }

    /// The next connected source; with none, the deal waits for one to ask about it.
    fn next_source(&self, deal: &Cid) -> Option<PeerId> {
        let mut deals = self.deals();
        let sources = deals.get_mut(deal)?;
        sources.sending = false;
        sources.peers.retain(|peer| self.host.is_connected(peer));
        let Some(peer) = sources.peers.pop_front() else {
            sources.running = None;
            if sources.banned_peers.is_empty() {
                deals.remove(deal);
            }
            return None;
        };
        sources.peers.push_back(peer);
        Some(peer)
    }

    async fn try_source(&self, deal: &Cid, record: &DealRecord, peer: PeerId) -> Result<(), PullError> {
        let data = record.deal.proposal.proposal.piece_ref;
        if self.parts.staging.is_claimed(&data) {
            // Another deal's transfer of the same file, after which it is found whole; or it comes over HTTP, or is being removed.
            // No place is taken meanwhile.
            tokio::time::sleep(CLAIMED_PAUSE).await;
            return Ok(());
        }
        let was_slow = self.deals().get(deal).is_some_and(|sources| sources.was_slow);
        let mut place = self.places.enter(peer, was_slow).await;
        let Some(claim) = self.parts.staging.claim(data) else {
            tokio::time::sleep(CLAIMED_PAUSE).await;
            return Ok(());
        };
        claim.is_for(record.deal.proposal.size());
        let comm_p = tokio::select! {
            biased;
            transferred = self.transfer(deal, record, peer, &mut place) => transferred?,
            // It is about to come over HTTP. What is here is not sent again.
            () = claim.wanted() => return Ok(()),
        };
        let record = self
            .parts
            .store
            .advance_deal(deal, MinerInput::PieceReceived { comm_p })?;
        tracing::info!(%deal, %comm_p, state = %record.deal.state(), "the piece is here");
        self.parts.wake.piece_arrived.notify_one();
        Ok(())
    }

    /// Brings the piece in and returns its CommP.
    async fn transfer(
        &self,
        deal: &Cid,
        record: &DealRecord,
        peer: PeerId,
        place: &mut Place,
    ) -> Result<Commitment, PullError> {
        let (staging, size) = (&self.parts.staging, record.deal.proposal.size());
        let data = record.deal.proposal.proposal.piece_ref;
        if staging.path(&data).is_file() {
            return Ok(blocking(|| staging.take_up(&data, size))?.comm_p);
        }
        // The shape of the file is checked before anything is stored for it.
        let limits = Limits::default();
        let file = KnownDag::new(data, size, limits.shape)?;
        staging.check_room(size.saturating_sub(staging.held(&data)))?;
        let mut incoming = blocking(|| staging.begin(file))?;
        failpoint::hit_failpoint("transfer.begun");
        let known = incoming.dag().as_ref().clone();
        let mut puller = Puller::resumed(known, incoming.kept().clone(), limits)?;
        if !puller.is_complete() {
            let mut stream = self.open(peer).await?;
            if let Some(sources) = self.deals().get_mut(deal) {
                sources.sending = true;
            }
            let _busy = self.host.busy_with(peer);
            pull(&mut puller, &mut incoming, &mut stream, place).await?;
            // The piece is here: how the stream ends does not matter.
            let _ = frames::close(&mut stream).await;
        }
        failpoint::hit_failpoint("transfer.complete");
        Ok(blocking(|| incoming.finish())?.comm_p)
    }

    async fn open(&self, peer: PeerId) -> Result<Stream, PullError> {
        let mut control = self.host.control();
        let opening = control.open_stream(peer, StreamProtocol::new(protocol::TRANSFER));
        match tokio::time::timeout(frames::SILENCE_LIMIT, opening).await {
            Ok(opened) => opened.map_err(|e| PullError::Open(e.to_string())),
            Err(_) => Err(StreamError::Silent.into()),
        }
    }

    /// What an error means for the deal and for the source.
    fn judge(&self, deal: &Cid, record: &DealRecord, peer: PeerId, error: &PullError) {
        match error {
            PullError::Fault(fault) if fault.is_final() => self.give_up(deal, record, MinerInput::TransferFailed),
            PullError::Staging(StagingError::OtherSize { .. } | StagingError::NotAFile { .. }) => {
                self.give_up(deal, record, MinerInput::TransferFailed);
            }
            PullError::Fault(TransferFault::Refused { code, .. }) if *code == RefusalCode::Busy => {}
            PullError::Fault(TransferFault::Refused { .. }) => self.drop_source(deal, &peer, false),
            PullError::Fault(_) => self.drop_source(deal, &peer, true),
            PullError::Stream(StreamError::Transfer(_)) => self.drop_source(deal, &peer, true),
            PullError::PlaceLost(PlaceLost::TooSlow) | PullError::Stream(StreamError::Silent) => {
                self.host.refused().count(Limit::Transfers);
                if let Some(sources) = self.deals().get_mut(deal) {
                    sources.was_slow = true;
                }
            }
            _ => {}
        }
    }

    fn drop_source(&self, deal: &Cid, peer: &PeerId, lied: bool) {
        if let Some(sources) = self.deals().get_mut(deal) {
            sources.peers.retain(|other| other != peer);
            if lied && sources.banned_peers.len() < MAX_SOURCES {
                tracing::warn!(%deal, %peer, "a source sent something else than the piece and is not asked again");
                if sources.banned_peers.is_empty() {
                    sources.banned_ms = now_ms();
                }
                sources.banned_peers.insert(*peer);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is one call: whole after a panic, too.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Moves requests and answers until every block is kept.
async fn pull(
    puller: &mut Puller,
    incoming: &mut Incoming,
    stream: &mut Stream,
    place: &mut Place,
) -> Result<(), PullError> {
    let mut buffer = Vec::new();
    let (begun, mut delay) = (Instant::now(), PathDelay::default());
    let elapsed = || u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    place.begin();
    while !puller.is_complete() {
        let mut asked = false;
        while let Some(request) = puller.next_request() {
            frames::write_bytes(stream, &request.to_frame().map_err(StreamError::from)?).await?;
            delay.asked(elapsed());
            asked = true;
        }
        if asked {
            frames::flush(stream).await?;
        }
        let response = loop {
            match Response::take(&mut buffer).map_err(StreamError::from)? {
                Some(response) => break response,
                None => {
                    let before = buffer.len();
                    frames::read_more_within(stream, &mut buffer, place.patience()).await?;
                    place.moved(buffer.len() - before)?;
                }
            }
        };
        puller.set_window(delay.answered(elapsed()));
        if let Some(kept) = puller.on_response(response)? {
            blocking(|| incoming.keep(kept))?;
            failpoint::hit_failpoint("transfer.block");
        }
    }
    Ok(())
}
