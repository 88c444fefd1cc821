//! Fetching a deal's piece from a peer that has it (steps 7 and 8 of a deal): what to ask and what to keep is decided by
//! [`shared::transfer::Puller`]; this moves its frames and stores what it hands out.
//!
//! Sources are the peers that proposed the deal or asked about it. Blocks are checked by their hash, so any may serve;
//! one that sends other bytes is not asked again for this deal. Next: [`crate::sealing`] places the piece in a sector.

use super::frames::{self, StreamError};
use super::host::Host;
use crate::failpoint;
use crate::miner::{now_ms, Backoff, Miner};
use crate::staging::{Incoming, StagingError};
use crate::store::{DealRecord, EffectKind, StoreError};
use cid::Cid;
use libp2p::{PeerId, Stream, StreamProtocol};
use shared::deal::{MinerEffect, MinerInput};
use shared::piece::Commitment;
use shared::transfer::{Limits, Puller, RefusalCode, Response, TransferFault};
use shared::wire::protocol;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Transfers at once; more would only share the same line.
const MAX_TRANSFERS: usize = 8;
/// Sources of a deal that are remembered, and sources that lied.
const MAX_SOURCES: usize = 8;
/// Deals that have sources: as many as may wait for their piece.
const MAX_DEALS: usize = 512;
/// How often deals are looked through for those whose piece is overdue.
const SWEEP: Duration = Duration::from_secs(60);

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
    Staging(#[from] StagingError),
    #[error("{0}")]
    Store(#[from] StoreError),
}

#[derive(Debug, Default)]
struct Sources {
    peers: VecDeque<PeerId>,
    liars: BTreeSet<PeerId>,
    running: bool,
}

/// The transfers of a miner.
#[derive(Clone)]
pub struct Pulls {
    inner: Arc<Inner>,
}

struct Inner {
    miner: Arc<Miner>,
    host: Host,
    deals: Mutex<BTreeMap<Cid, Sources>>,
    /// Data that is being transferred: two deals about the same file share its staging.
    busy: Mutex<BTreeSet<Cid>>,
    places: Semaphore,
}

impl Pulls {
    /// Starts with no sources: clients come back and ask about their deals.
    pub fn start(miner: Arc<Miner>, host: Host) -> Self {
        let (deals, busy) = (Mutex::default(), Mutex::default());
        let inner = Arc::new(Inner {
            miner,
            host,
            deals,
            busy,
            places: Semaphore::new(MAX_TRANSFERS),
        });
        let pulls = Self { inner };
        tokio::spawn(pulls.clone().sweep());
        pulls
    }

    /// A peer has the deal's piece: fetches it, if nobody does already.
    pub fn source(&self, deal: Cid, peer: PeerId) {
        let mut deals = self.inner.deals();
        if deals.len() >= MAX_DEALS && !deals.contains_key(&deal) {
            return;
        }
        let sources = deals.entry(deal).or_default();
        if sources.liars.contains(&peer) {
            return;
        }
        if !sources.peers.contains(&peer) {
            sources.peers.push_back(peer);
            if sources.peers.len() > MAX_SOURCES {
                sources.peers.pop_front();
            }
        }
        if !std::mem::replace(&mut sources.running, true) {
            tokio::spawn(self.inner.clone().fetch(deal));
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

    /// Fails the deals whose piece did not come in time.
    async fn sweep(self) {
        let mut clock = tokio::time::interval(SWEEP);
        loop {
            clock.tick().await;
            if let Err(error) = self.inner.fail_overdue() {
                tracing::error!(%error, "deals could not be looked through");
            }
        }
    }
}

impl Inner {
    fn deals(&self) -> MutexGuard<'_, BTreeMap<Cid, Sources>> {
        self.deals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tries sources until the piece is here, the deal is over, or no source is connected.
    async fn fetch(self: Arc<Self>, deal: Cid) {
        let mut backoff = Backoff::default();
        loop {
            let record = match self.miner.store.deal(&deal) {
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
            match self.try_source(&deal, &record, peer).await {
                Ok(()) => backoff = Backoff::default(),
                Err(error) => {
                    tracing::info!(%deal, %peer, %error, "the transfer stopped");
                    self.judge(&deal, &record, peer, &error);
                    backoff.pause().await;
                }
            }
        }
    }

    /// The next connected source; with none, the deal waits for one to ask about it.
    fn next_source(&self, deal: &Cid) -> Option<PeerId> {
        let mut deals = self.deals();
        let sources = deals.get_mut(deal)?;
        sources.peers.retain(|peer| self.host.is_connected(peer));
        let Some(peer) = sources.peers.pop_front() else {
            sources.running = false;
            if sources.liars.is_empty() {
                deals.remove(deal);
            }
            return None;
        };
        sources.peers.push_back(peer);
        Some(peer)
    }

    async fn try_source(&self, deal: &Cid, record: &DealRecord, peer: PeerId) -> Result<(), PullError> {
        // Never closed: the semaphore lives as long as `self`.
        let _place = self.places.acquire().await;
        let data = record.deal.proposal.proposal.piece_ref;
        let Some(_busy) = Busy::take(&self.busy, data) else {
            // Another deal's transfer of the same file; afterwards it is found whole.
            tokio::time::sleep(Duration::from_millis(500)).await;
            return Ok(());
        };
        let comm_p = self.transfer(record, data, peer).await?;
        let record = self
            .miner
            .store
            .advance_deal(deal, MinerInput::PieceReceived { comm_p })?;
        tracing::info!(%deal, %comm_p, state = %record.deal.state(), "the piece is here");
        self.miner.received.notify_one();
        Ok(())
    }

    /// Brings the piece in and returns its CommP.
    async fn transfer(&self, record: &DealRecord, data: Cid, peer: PeerId) -> Result<Commitment, PullError> {
        let (staging, size) = (&self.miner.staging, record.deal.proposal.size());
        if staging.path(&data).is_file() {
            return Ok(tokio::task::block_in_place(|| staging.digest(&data, size))?.comm_p);
        }
        // The shape of the file is checked before anything is stored for it.
        let mut puller = Puller::new(data, size, Limits::default())?;
        staging.check_room(size.saturating_sub(staging.held(&data)))?;
        let mut incoming = tokio::task::block_in_place(|| staging.begin(&data, size))?;
        failpoint::reach("transfer.begun");
        let (nodes, leaves) = incoming.kept();
        puller.resume(nodes, leaves)?;
        if !puller.is_complete() {
            let mut stream = self.open(peer).await?;
            pull(&mut puller, &mut incoming, &mut stream).await?;
            // The piece is here: how the stream ends does not matter.
            let _ = frames::close(&mut stream).await;
        }
        failpoint::reach("transfer.complete");
        Ok(tokio::task::block_in_place(|| incoming.finish())?.comm_p)
    }

    async fn open(&self, peer: PeerId) -> Result<Stream, PullError> {
        let mut control = self.host.control();
        let opening = control.open_stream(peer, StreamProtocol::new(protocol::TRANSFER));
        match tokio::time::timeout(frames::IDLE, opening).await {
            Ok(opened) => opened.map_err(|e| PullError::Open(e.to_string())),
            Err(_) => Err(StreamError::Silent.into()),
        }
    }

    /// What an error means for the deal and for the source.
    fn judge(&self, deal: &Cid, record: &DealRecord, peer: PeerId, error: &PullError) {
        match error {
            PullError::Fault(fault) if fault.is_final() => self.give_up(deal, record),
            PullError::Staging(StagingError::OtherSize { .. }) => self.give_up(deal, record),
            PullError::Fault(TransferFault::Refused { code, .. }) if *code != RefusalCode::Busy => {
                self.drop_source(deal, &peer, false);
            }
            PullError::Fault(_) => self.drop_source(deal, &peer, true),
            PullError::Stream(StreamError::Transfer(_)) => self.drop_source(deal, &peer, true),
            _ => {}
        }
    }

    fn drop_source(&self, deal: &Cid, peer: &PeerId, lied: bool) {
        if let Some(sources) = self.deals().get_mut(deal) {
            sources.peers.retain(|other| other != peer);
            if lied && sources.liars.len() < MAX_SOURCES {
                tracing::warn!(%deal, %peer, "a source sent something else than the piece and is not asked again");
                sources.liars.insert(*peer);
            }
        }
    }

    /// Fails the deal; removes what came in of its piece, unless another deal is about the same data.
    fn give_up(&self, deal: &Cid, record: &DealRecord) {
        let failed = self.miner.store.advance_deal(deal, MinerInput::TransferFailed);
        if let Err(error) = failed {
            tracing::error!(%deal, %error, "the deal cannot be failed");
            return;
        }
        tracing::warn!(%deal, "the deal failed: its piece cannot be had");
        let data = record.deal.proposal.proposal.piece_ref;
        let wanted = self.miner.store.deals_to(&[EffectKind::FetchPiece]);
        let shared = wanted.is_ok_and(|open| open.iter().any(|(_, r)| r.deal.proposal.proposal.piece_ref == data));
        if !shared {
            if let Err(error) = self.miner.staging.remove_partial(&data) {
                tracing::warn!(%data, %error, "what was staged of the piece stays");
            }
        }
    }

    fn fail_overdue(&self) -> Result<(), StoreError> {
        let limit = self.miner.settings.now().transfer_limit_ms;
        let oldest = now_ms().saturating_sub(limit);
        for (deal, record) in self.miner.store.deals_to(&[EffectKind::FetchPiece])? {
            if record.created_ms < oldest {
                self.give_up(&deal, &record);
            }
        }
        Ok(())
    }
}

/// Moves requests and answers until every block is kept.
async fn pull(puller: &mut Puller, incoming: &mut Incoming, stream: &mut Stream) -> Result<(), PullError> {
    let mut buffer = Vec::new();
    while !puller.is_complete() {
        let mut asked = false;
        while let Some(request) = puller.next_request() {
            frames::write_bytes(stream, &request.to_frame().map_err(StreamError::from)?).await?;
            asked = true;
        }
        if asked {
            frames::flush(stream).await?;
        }
        let response = loop {
            match Response::take(&mut buffer).map_err(StreamError::from)? {
                Some(response) => break response,
                None => frames::read_more(stream, &mut buffer).await?,
            }
        };
        if let Some(kept) = puller.on_response(response)? {
            tokio::task::block_in_place(|| incoming.keep(kept))?;
            failpoint::reach("transfer.block");
        }
    }
    Ok(())
}

/// Holds a file's staging for one transfer.
struct Busy<'a> {
    all: &'a Mutex<BTreeSet<Cid>>,
    data: Cid,
}

impl<'a> Busy<'a> {
    fn take(all: &'a Mutex<BTreeSet<Cid>>, data: Cid) -> Option<Self> {
        let fresh = all.lock().unwrap_or_else(PoisonError::into_inner).insert(data);
        fresh.then_some(Self { all, data })
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.all
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.data);
    }
}
