//! The uploads that are under way: who may send what, for how long, and what ends it.
//!
//! A session lives in memory only: after a restart its client opens it again, and what the disk has is not sent again.

use super::bodies::Bodies;
use super::piece::{Piece, SharedPiece};
use super::refusal::UploadError;
use crate::sealing::SealingWake;
use crate::staging::{Staging, StagingError};
use crate::store::{DealRecord, EffectKind, MinerStore};
use cid::Cid;
use rand::RngCore;
use sealdrop_database::blocking;
use shared::chain::view::HeadView;
use shared::chain::Address;
use shared::deal::{DealState, MinerEffect, MinerInput};
use shared::piece::DagShape;
use shared::transfer::upload::{OpeningContext, SessionView, SignedOpening};
use shared::transfer::KnownDag;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::sync::{watch, Semaphore};
use tokio::time::Instant;

/// Sessions at once; each has a piece's files, and what is known of its DAG: 1 MiB for the largest piece.
pub(super) const MAX_SESSIONS: usize = 64;
/// Of those, sessions of one payer.
pub(super) const MAX_SESSIONS_OF_A_PAYER: usize = 16;
/// A session on which nothing comes ends: its piece is fetched over libp2p then, if its client is there.
pub(super) const IDLE_LIMIT: Duration = Duration::from_secs(30);
/// One on which this miner itself failed ends so soon: its client leaves the piece to libp2p, which waits for the end.
pub(super) const IDLE_LIMIT_AFTER_FAILURE: Duration = Duration::from_secs(2);
/// One that is idle for so long makes room for others.
const MAKES_ROOM_AFTER: Duration = Duration::from_secs(5);
/// Pieces that are checked as a whole at once: each reads up to 8 MiB back at a time, and takes a core.
const MAX_FINISHING: usize = 4;
/// Deals that are remembered for a session that brought nothing: as many as may wait for their piece.
const MAX_FRUITLESS: usize = 512;
/// How long a transfer that is under way has to make room.
const CLAIM_WAIT: Duration = Duration::from_secs(5);
/// How long a client waits while what is here is checked, before it is told to ask again.
const PATIENCE: Duration = Duration::from_secs(20);

/// What uploads work with.
#[derive(Clone)]
pub struct UploadParts {
    /// The miner's.
    pub address: Address,
    /// The network's genesis id.
    pub network: Cid,
    pub store: MinerStore,
    pub staging: Staging,
    /// The chain's head, for what openings hold.
    pub heads: watch::Receiver<HeadView>,
    /// Wakes sealing when a piece has arrived.
    pub wake: Arc<SealingWake>,
}

/// The uploads of a miner. Clones are the same.
#[derive(Clone)]
pub struct Uploads {
    inner: Arc<Inner>,
}

struct Inner {
    parts: UploadParts,
    bodies: Bodies,
    sessions: Mutex<BTreeMap<Cid, Arc<Session>>>,
    /// Data CIDs whose session is being opened.
    opening: Mutex<BTreeSet<Cid>>,
    /// Deals whose last session brought nothing.
    fruitless: Mutex<BTreeSet<Cid>>,
    finishing: Arc<Semaphore>,
}

/// What one deal's client may send.
pub(super) struct Session {
    pub deal: Cid,
    pub payer: Address,
    pub piece: SharedPiece,
    token: String,
    used: Mutex<Use>,
}

#[derive(Debug)]
struct Use {
    /// Requests that are being answered.
    requests: usize,
    /// When something of the piece came last; at first, when it was opened.
    last: Instant,
    has_brought: bool,
    /// What came last could not be kept, by no fault of the client.
    has_failed: bool,
}

/// A request of a session that is being answered.
pub(super) struct InUse(Arc<Session>);

impl InUse {
    pub(super) fn session(&self) -> &Session {
        &self.0
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut used = lock(&self.0.used);
        used.requests = used.requests.saturating_sub(1);
    }
}

impl Session {
    fn enter(self: &Arc<Self>) -> InUse {
        lock(&self.used).requests += 1;
        InUse(self.clone())
    }

    /// Something new of the piece is here.
    pub(super) fn brought(&self) {
        let mut used = lock(&self.used);
        (used.last, used.has_brought, used.has_failed) = (Instant::now(), true, false);
    }

    /// How long nothing has come; none while something may be coming. Questions do not count: who sends nothing is not waited for.
    fn idle(&self) -> Duration {
        let used = lock(&self.used);
        match used.requests {
            0 => used.last.elapsed(),
            _ => Duration::ZERO,
        }
    }

    fn idle_limit(&self) -> Duration {
        match lock(&self.used).has_failed {
            true => IDLE_LIMIT_AFTER_FAILURE,
            false => IDLE_LIMIT,
        }
    }
}

/// A session is being opened; another of the same data waits.
struct Opening {
    inner: Arc<Inner>,
    data: Cid,
}

impl Drop for Opening {
    fn drop(&mut self) {
        lock(&self.inner.opening).remove(&self.data);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is one call: whole after a panic, too.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Uploads {
    /// None are under way.
    pub fn new(parts: UploadParts) -> Self {
        Self {
            inner: Arc::new(Inner {
                parts,
                bodies: Bodies::default(),
                sessions: Mutex::default(),
                opening: Mutex::default(),
                fruitless: Mutex::default(),
                finishing: Arc::new(Semaphore::new(MAX_FINISHING)),
            }),
        }
    }

    pub(super) fn bodies(&self) -> &Bodies {
        &self.inner.bodies
    }

    /// Opens a deal's session for its payer, or opens it again; tells whether it is new.
    pub(super) async fn open(&self, deal: Cid, signed: SignedOpening) -> Result<(SessionView, bool), UploadError> {
        let record = self.deal(&deal)?;
        let parts = &self.inner.parts;
        // An accepted proposal was reviewed: its signer is its payer, or its channel's session key.
        let proposal = &record.deal.proposal;
        let signer = proposal
            .signer()
            .unwrap_or_else(|| proposal.proposal.payment.payer.clone());
        let height = parts.heads.borrow().height;
        signed.review(&OpeningContext {
            network: &parts.network,
            miner: &parts.address,
            deal: &deal,
            signer: &signer,
            height,
        })?;
        self.awaited(&deal, &record)?;
        let known = lock(&self.inner.sessions).get(&deal).cloned();
        let is_new = known.is_none();
        let session = match known {
            Some(session) => session,
            None => self.open_new(deal, record).await?,
        };
        let in_use = session.enter();
        let view = blocking(|| in_use.0.piece.view(Some(session.token.clone())))?;
        Ok((view, is_new))
    }

    /// The session that a token is for.
    pub(super) fn session(&self, deal: &Cid, token: Option<&str>) -> Result<InUse, UploadError> {
        let session = lock(&self.inner.sessions).get(deal).cloned();
        let session = session.ok_or(UploadError::NoSession)?;
        let given = token.unwrap_or_default().as_bytes();
        if !bool::from(session.token.as_bytes().ct_eq(given)) {
            return Err(UploadError::NoSession);
        }
        let in_use = session.enter();
        let record = self.deal(deal)?;
        match self.awaited(deal, &record) {
            Ok(()) => Ok(in_use),
            Err(error) => {
                self.end(deal);
                Err(error)
            }
        }
    }

    /// Checks the whole piece and moves the deal on.
    pub(super) async fn finalize(&self, deal: &Cid, in_use: InUse) -> Result<SessionView, UploadError> {
        let permit = self.inner.finishing.clone().try_acquire_owned();
        let permit = permit.map_err(|_| UploadError::Checking)?;
        let piece = in_use.session().piece.clone();
        let (size, inner) = (piece.size, self.clone());
        let deal = *deal;
        let finishing = tokio::task::spawn_blocking(move || {
            let finished = piece.finish();
            drop((in_use, permit));
            if let Err(UploadError::Staging(error @ StagingError::OtherSize { .. })) = &finished {
                inner.fail(&deal, error)?;
            }
            // The files are not what they seemed: a session that is opened again looks at them anew.
            if matches!(finished, Err(UploadError::Staging(_) | UploadError::Interrupted)) {
                inner.end(&deal);
            }
            let comm_p = finished?;
            let parts = &inner.inner.parts;
            let advanced = parts.store.advance_deal(&deal, MinerInput::PieceReceived { comm_p });
            if advanced.is_err() {
                inner.end(&deal);
            }
            let record = advanced?;
            tracing::info!(%deal, %comm_p, state = %record.deal.state(), "the piece is here, over HTTP");
            parts.wake.piece_arrived.notify_one();
            inner.end(&deal);
            match record.deal.state() {
                DealState::Failed => Err(UploadError::DealOver {
                    reason: record.deal.response().message,
                }),
                _ => Ok(SessionView::received(size)),
            }
        });
        match tokio::time::timeout(PATIENCE, finishing).await {
            Ok(finished) => finished.map_err(|_| UploadError::Interrupted)?,
            Err(_) => Err(UploadError::Checking),
        }
    }

    /// The piece is none: fails the deal, as when it is pulled.
    pub(super) fn fail(&self, deal: &Cid, fault: &dyn Display) -> Result<(), UploadError> {
        tracing::warn!(%deal, %fault, "the deal failed: its piece cannot be had");
        blocking(|| self.inner.parts.store.advance_deal(deal, MinerInput::TransferFailed))?;
        self.end(deal);
        Ok(())
    }

    /// Ends a deal's session. What is here of a piece that no deal waits for any more is removed.
    pub(super) fn end(&self, deal: &Cid) {
        let Some(session) = lock(&self.inner.sessions).remove(deal) else {
            return;
        };
        let data = session.piece.data;
        let is_shared = lock(&self.inner.sessions)
            .values()
            .any(|other| other.piece.data == data);
        if is_shared {
            return;
        }
        let parts = &self.inner.parts;
        let is_wanted = || {
            let awaited = parts.store.deals_to(&[EffectKind::FetchPiece]);
            // What cannot be told is kept.
            awaited.map_or(true, |awaited| {
                awaited
                    .iter()
                    .any(|(_, record)| record.deal.proposal.proposal.piece_ref == data)
            })
        };
        // The claim is still ours: nobody else takes the files up meanwhile.
        if !blocking(is_wanted) {
            if let Err(error) = blocking(|| parts.staging.remove_partial(&data)) {
                tracing::warn!(%data, %error, "what was staged of the piece stays");
            }
        }
        drop(session);
    }

    fn deal(&self, deal: &Cid) -> Result<DealRecord, UploadError> {
        let found = blocking(|| self.inner.parts.store.deal(deal))?;
        found.ok_or(UploadError::UnknownDeal(*deal))
    }

    /// Whether the deal waits for its piece.
    fn awaited(&self, deal: &Cid, record: &DealRecord) -> Result<(), UploadError> {
        match record.deal.effect() {
            MinerEffect::FetchPiece => Ok(()),
            _ => match record.deal.state() {
                DealState::Rejected | DealState::Failed => {
                    let reason = record.deal.response().message;
                    tracing::debug!(%deal, reason, "an upload for a deal that is over");
                    Err(UploadError::DealOver { reason })
                }
                _ => Err(UploadError::Received {
                    size: record.deal.proposal.size(),
                }),
            },
        }
    }

    async fn open_new(&self, deal: Cid, record: DealRecord) -> Result<Arc<Session>, UploadError> {
        let proposal = &record.deal.proposal;
        let data = proposal.proposal.piece_ref;
        if !lock(&self.inner.opening).insert(data) {
            return Err(UploadError::Checking);
        }
        let opening = Opening {
            inner: self.inner.clone(),
            data,
        };
        // As when it is pulled: nothing is stored for what can be no file.
        let file = match KnownDag::new(data, proposal.size(), DagShape::STANDARD) {
            Ok(file) => file,
            Err(fault) => {
                self.fail(&deal, &fault)?;
                return Err(UploadError::NotAFile(fault));
            }
        };
        let payer = proposal.proposal.payment.payer.clone();
        // Checking what is here may take longer than the client waits: it goes on, and the client finds the session later.
        let bringing_up = tokio::spawn(self.clone().bring_up(deal, payer, file, opening));
        match tokio::time::timeout(PATIENCE, bringing_up).await {
            Ok(session) => session.map_err(|_| UploadError::Interrupted)?,
            Err(_) => Err(UploadError::Checking),
        }
    }

    async fn bring_up(
        self,
        deal: Cid,
        payer: Address,
        file: KnownDag,
        opening: Opening,
    ) -> Result<Arc<Session>, UploadError> {
        let piece = match self.piece(&deal, file).await {
            Err(UploadError::Staging(StagingError::NotAFile { fault, .. })) => {
                self.fail(&deal, &fault)?;
                return Err(UploadError::NotAFile(fault));
            }
            piece => piece?,
        };
        let mut token = [0; 32];
        rand::rngs::OsRng.fill_bytes(&mut token);
        let session = Arc::new(Session {
            deal,
            payer,
            piece,
            token: hex::encode(token),
            used: Mutex::new(Use {
                requests: 0,
                last: Instant::now(),
                has_brought: false,
                has_failed: false,
            }),
        });
        self.admit(deal, &session)?;
        drop(opening);
        tokio::spawn(self.end_when_idle(deal, Arc::downgrade(&session)));
        Ok(session)
    }

    /// The piece of another deal's session, or a new one.
    async fn piece(&self, deal: &Cid, file: KnownDag) -> Result<SharedPiece, UploadError> {
        let parts = &self.inner.parts;
        let data = file.root();
        let same = |session: &&Arc<Session>| session.piece.data == data;
        if let Some(known) = lock(&self.inner.sessions).values().find(same) {
            // Of two sizes of the same data one is wrong; which one is found out by the first.
            let is_alike = known.piece.size == file.size();
            return is_alike.then(|| known.piece.clone()).ok_or(UploadError::Claimed);
        }
        // Nobody makes room for who has sent nothing the last time.
        let was_fruitless = lock(&self.inner.fruitless).contains(deal);
        let claim = match was_fruitless {
            true => parts.staging.claim(data),
            false => parts.staging.claim_next(data, CLAIM_WAIT).await,
        };
        let claim = claim.ok_or(UploadError::Claimed)?;
        let staging = parts.staging.clone();
        let opened = tokio::task::spawn_blocking(move || Piece::open(staging, file, claim)).await;
        Ok(Arc::new(opened.map_err(|_| UploadError::Interrupted)??))
    }

    /// Takes a session up; where there are too many, of its payer or of all, the one that is idle longest makes room.
    fn admit(&self, deal: Cid, session: &Arc<Session>) -> Result<(), UploadError> {
        loop {
            let longest = {
                let mut sessions = lock(&self.inner.sessions);
                let of_payer = |other: &Session| other.payer == session.payer;
                let crowd = |most: usize, counts: &dyn Fn(&Session) -> bool| {
                    let all = sessions.iter().filter(|(_, other)| counts(other));
                    let idle: Vec<_> = all.map(|(deal, other)| (other.idle(), *deal)).collect();
                    (idle.len() >= most).then(|| idle.into_iter().max()).flatten()
                };
                let longest = crowd(MAX_SESSIONS_OF_A_PAYER, &of_payer).or_else(|| crowd(MAX_SESSIONS, &|_| true));
                if longest.is_none() {
                    sessions.insert(deal, session.clone());
                }
                longest
            };
            match longest {
                None => return Ok(()),
                Some((idle, deal)) if idle >= MAKES_ROOM_AFTER => self.end(&deal),
                Some(_) => return Err(UploadError::Crowded),
            }
        }
    }

    /// A deal's session ends without a byte of its piece.
    fn note_fruitless(&self, deal: &Cid) {
        let session = lock(&self.inner.sessions).get(deal).cloned();
        if session.is_none_or(|session| lock(&session.used).has_brought) {
            return;
        }
        let mut fruitless = lock(&self.inner.fruitless);
        if fruitless.len() >= MAX_FRUITLESS {
            fruitless.pop_first();
        }
        fruitless.insert(*deal);
    }

    /// This miner could not keep what the session brought.
    pub(super) fn note_failure(&self, in_use: &InUse) {
        let session = &in_use.0;
        let was_known = {
            let mut used = lock(&session.used);
            used.last = Instant::now();
            std::mem::replace(&mut used.has_failed, true)
        };
        if !was_known {
            tokio::spawn(self.clone().end_when_idle(session.deal, Arc::downgrade(session)));
        }
    }

    async fn end_when_idle(self, deal: Cid, session: std::sync::Weak<Session>) {
        loop {
            let (idle, limit) = {
                let Some(session) = session.upgrade() else { return };
                let known = lock(&self.inner.sessions).get(&deal).cloned();
                // It may have ended, and another have begun.
                if !known.is_some_and(|known| Arc::ptr_eq(&known, &session)) {
                    return;
                }
                (session.idle(), session.idle_limit())
            };
            if idle >= limit {
                tracing::info!(%deal, "nothing comes over HTTP any more");
                self.note_fruitless(&deal);
                return self.end(&deal);
            }
            tokio::time::sleep(limit.saturating_sub(idle)).await;
        }
    }
}
