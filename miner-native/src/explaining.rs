//! Gathers what explains why a deal or a sector is not done, from store, chain, staging and prover; what it means is
//! decided by [`shared::deal::explain`] and [`shared::sector::explain`].
//!
//! Called for the operator by [`crate::web`] and for clients by [`crate::network`]. Anybody may ask, so what costs
//! something is looked up at most once a second, whoever asks.

use crate::miner::{now_ms, Miner};
use crate::network::Pulls;
use crate::sealing::{commit_purpose, pre_commit_purpose, SEALING_AT_ONCE};
use crate::store::{DealRecord, SectorRecord, StoreError};
use cid::Cid;
use shared::chain::view::MinerView;
use shared::deal::explain::{self as of_deal, Audience, DealFacts, Explanation, TransferFacts};
use shared::deal::MinerEffect;
use shared::sector::explain::{
    self as of_sector, Ahead, Around, ChainFacts, Measured, MessageFacts, OnChain, SectorFacts, Turn,
};
use shared::sector::{post_duty, Phase, PostFacts, SectorStage};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long what was looked up is good enough.
const FRESH: Duration = Duration::from_secs(1);
/// Longest wait for the chain: what it does not say in this time is explained by its silence.
const CHAIN_LIMIT: Duration = Duration::from_secs(4);

/// What was looked up for everybody.
#[derive(Clone)]
struct Seen {
    at: Instant,
    /// How the chain has this miner, or why it does not say.
    view: Result<Option<Arc<MinerView>>, String>,
    /// Sectors between their closing and their commitment, by number.
    sealing: Arc<Vec<Sealing>>,
}

/// A sector that is being sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sealing {
    sector: u64,
    phase: Phase,
    since_ms: u64,
}

/// Explains the deals and sectors of one miner. Clones share what they look up.
#[derive(Clone)]
pub struct Explainer {
    miner: Arc<Miner>,
    /// Connected peers that may have a deal's piece.
    sources: Arc<dyn Fn(&Cid) -> usize + Send + Sync>,
    seen: Arc<Mutex<Option<Seen>>>,
}

impl Explainer {
    pub fn new(miner: Arc<Miner>, pulls: Pulls) -> Self {
        Self::with_sources(miner, move |deal| pulls.sources(deal))
    }

    pub(crate) fn with_sources(miner: Arc<Miner>, sources: impl Fn(&Cid) -> usize + Send + Sync + 'static) -> Self {
        Self {
            miner,
            sources: Arc::new(sources),
            seen: Arc::default(),
        }
    }

    /// Explains a deal; also one that this miner does not have.
    pub async fn deal(&self, cid: &Cid, audience: Audience) -> Result<Explanation, StoreError> {
        // Before the look: a question about a deal that nobody made costs nothing.
        if self.miner.store.deal(cid)?.is_none() {
            return Ok(self.unknown(cid));
        }
        let seen = self.look().await?;
        // Read after the look, which may take its time.
        let Some(record) = self.miner.store.deal(cid)? else {
            return Ok(self.unknown(cid));
        };
        let sector = match record.deal.sector() {
            Some(id) => self.miner.store.sector(id)?,
            None => None,
        };
        let facts = DealFacts {
            deal: &record.deal,
            transfer: self.transfer(cid, &record),
            sector: sector.as_ref().map(|record| self.sector_facts(record, &seen)),
        };
        Ok(of_deal::explain(&facts, &self.around(&seen, audience)?))
    }

    fn unknown(&self, cid: &Cid) -> Explanation {
        let paused = (!self.miner.settings.now().mining).then_some("its operator has stopped mining");
        of_deal::unknown(cid, now_ms(), paused)
    }

    /// Explains a sector; `None` when there is none of this number.
    pub async fn sector(&self, id: u64, audience: Audience) -> Result<Option<Explanation>, StoreError> {
        let seen = self.look().await?;
        let Some(record) = self.miner.store.sector(id)? else {
            return Ok(None);
        };
        let facts = self.sector_facts(&record, &seen);
        Ok(Some(of_sector::explain(&facts, &self.around(&seen, audience)?)))
    }

    /// What was looked up a moment ago, or is now; one look at a time.
    async fn look(&self) -> Result<Seen, StoreError> {
        let mut kept = self.seen.lock().await;
        if let Some(seen) = kept.as_ref().filter(|seen| seen.at.elapsed() < FRESH) {
            return Ok(seen.clone());
        }
        let miner = &self.miner;
        let view = match tokio::time::timeout(CHAIN_LIMIT, miner.chain.miner(&miner.address)).await {
            Ok(Ok(view)) => Ok(view.map(Arc::new)),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} seconds", CHAIN_LIMIT.as_secs())),
        };
        let mut sealing = Vec::new();
        for record in miner.store.sectors() {
            let record = record?;
            let phase = record.sector.phase();
            if phase > Phase::Packing && phase < Phase::Proving {
                sealing.push(Sealing {
                    sector: record.sector.id,
                    phase,
                    since_ms: record.since_ms(),
                });
            }
        }
        let seen = Seen {
            at: Instant::now(),
            view,
            sealing: Arc::new(sealing),
        };
        *kept = Some(seen.clone());
        Ok(seen)
    }

    fn around(&self, seen: &Seen, audience: Audience) -> Result<Around, StoreError> {
        let (miner, head) = (&self.miner, self.miner.chain.heads().borrow().clone());
        let view = seen.view.as_ref().ok().and_then(Option::as_ref);
        let mut around = Around {
            now_ms: now_ms(),
            size: miner.sector_size,
            auto_seal_ms: miner.settings.now().auto_seal_ms,
            measured: Default::default(),
            chain: ChainFacts {
                height: head.height,
                head_ms: head.time_ms,
                block_time_ms: miner.chain.connected_network().block_time_ms,
                seed_delay: miner.policy.seed_delay,
                trouble: seen.view.as_ref().err().cloned(),
                post: view.map(|view| post_duty(head.height, &PostFacts::of(view), &miner.policy)),
            },
            audience,
        };
        for phase in of_sector::PHASES {
            if let Some(ms) = miner.store.estimate(miner.sector_size, phase)? {
                around.measured.insert(phase, Measured { ms, samples: 1 });
            }
        }
        Ok(around)
    }

    fn transfer(&self, cid: &Cid, record: &DealRecord) -> TransferFacts {
        let (staging, size) = (&self.miner.staging, record.deal.proposal.size());
        let is_missing = record.deal.effect() == MinerEffect::FetchPiece;
        let held = match is_missing {
            true => staging.held(&record.deal.proposal.proposal.piece_ref).min(size),
            false => size,
        };
        let room = staging.check_room(size.saturating_sub(held));
        TransferFacts {
            since_ms: record.created_ms,
            held,
            sources: (self.sources)(cid),
            limit_ms: self.miner.settings.now().transfer_limit_ms,
            no_room: room.err().filter(|_| is_missing).map(|error| error.to_string()),
        }
    }

    fn sector_facts<'a>(&self, record: &'a SectorRecord, seen: &Seen) -> SectorFacts<'a> {
        let sector = &record.sector;
        let purpose = match &sector.stage {
            SectorStage::PreCommitting { sealed } => Some(pre_commit_purpose(sector, sealed)),
            SectorStage::Committing { sealed, .. } => Some(commit_purpose(sector, sealed)),
            _ => None,
        };
        let made = purpose.and_then(|purpose| self.miner.chain.message_for(&purpose));
        let view = seen.view.as_ref().ok().and_then(Option::as_ref);
        let on_chain = view.and_then(|view| view.sectors.iter().find(|shown| shown.id == sector.id));
        SectorFacts {
            sector,
            first_piece_ms: record.first_piece_ms,
            since_ms: record.since_ms(),
            history: record.history.iter().map(|start| (start.phase, start.at_ms)).collect(),
            turn: turn(record, &seen.sealing),
            message: made.map(|(id, in_block)| MessageFacts {
                id: id.to_string(),
                in_block,
            }),
            on_chain: on_chain.map(|shown| OnChain {
                proofs: shown.proofs,
                fault: shown.fault.map(|fault| (fault.since, fault.lost_at)),
            }),
        }
    }
}

/// Whether a sector's step is being done. A closed sector waits for one of the [`SEALING_AT_ONCE`] places; the prover does
/// one step at a time, in the order in which they were asked for.
fn turn(record: &SectorRecord, sealing: &[Sealing]) -> Turn {
    let (id, phase, since_ms) = (record.sector.id, record.sector.phase(), record.since_ms());
    let ahead = |work: &Sealing, runs: bool, whole: bool| Ahead {
        sector: work.sector,
        phase: work.phase,
        since_ms: runs.then_some(work.since_ms),
        whole,
    };
    let behind: Vec<Ahead> = match phase {
        Phase::Closed => {
            let before: Vec<&Sealing> = sealing.iter().filter(|work| work.sector < id).collect();
            let waited_for = (before.len() + 1).saturating_sub(SEALING_AT_ONCE);
            let waited_for = before.into_iter().enumerate().take(waited_for);
            let ahead = waited_for.map(|(index, work)| ahead(work, index < SEALING_AT_ONCE, true));
            ahead.collect()
        }
        phase if is_computed(phase) => {
            let is_before = |work: &&Sealing| (work.since_ms, work.sector) < (since_ms, id);
            let computed = sealing.iter().filter(|work| is_computed(work.phase));
            let mut before: Vec<&Sealing> = computed.filter(is_before).collect();
            before.sort_by_key(|work| (work.since_ms, work.sector));
            let before = before.into_iter().enumerate();
            before.map(|(index, work)| ahead(work, index == 0, false)).collect()
        }
        _ => Vec::new(),
    };
    match behind.is_empty() {
        true => Turn::Running {
            since_ms,
            expected: None,
        },
        false => Turn::Queued { behind },
    }
}

/// Whether the prover computes something in a phase.
fn is_computed(phase: Phase) -> bool {
    matches!(
        phase,
        Phase::PreCommit1 | Phase::PreCommit2 | Phase::Commit1 | Phase::Commit2
    )
}
