//! Gathers what explains why a deal or a sector is not done, from store, chain, staging and prover; what it means is
//! decided by [`shared::explain::deal`] and [`shared::explain::sector`].
//!
//! Called for the operator by [`crate::web`] and for clients by [`crate::network`]. Anybody may ask, so what costs
//! something is looked up at most once a second, whoever asks.

use crate::chain_access::ChainAccess;
use crate::clock::now_ms;
use crate::intake::{self, Intake};
use crate::prover::{JobState, JobView, Prover, Step};
use crate::sealing::{commit_purpose, pre_commit_purpose};
use crate::settings::SettingsStore;
use crate::staging::Staging;
use crate::store::{DealRecord, MinerStore, SectorRecord, StoreError};
use cid::Cid;
use shared::chain::view::MinerView;
use shared::chain::{Address, Policy};
use shared::deal::MinerEffect;
use shared::explain::deal::{self as of_deal, Audience, DealFacts, Explanation, TransferFacts};
use shared::explain::sector::{
    self as of_sector, Around, ChainFacts, Expected, Measured, MessageFacts, OnChain, QueuedJob, SectorFacts, Turn,
};
use shared::piece::SectorSize;
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

/// What explanations are gathered from.
#[derive(Clone)]
pub struct ExplainerParts {
    pub address: Address,
    pub sector_size: SectorSize,
    pub policy: Policy,
    pub store: MinerStore,
    pub staging: Staging,
    pub chain: ChainAccess,
    pub prover: Arc<Prover>,
    pub settings: Arc<SettingsStore>,
    pub intake: Arc<Intake>,
}

/// Explains the deals and sectors of one miner. Clones share what they look up.
#[derive(Clone)]
pub struct Explainer {
    parts: Arc<ExplainerParts>,
    /// Connected peers that may have a deal's piece.
    sources: Arc<dyn Fn(&Cid) -> usize + Send + Sync>,
    seen: Arc<Mutex<Option<Seen>>>,
}

impl Explainer {
    /// `sources` counts the connected peers that may have a deal's piece.
    pub fn new(parts: ExplainerParts, sources: impl Fn(&Cid) -> usize + Send + Sync + 'static) -> Self {
        Self {
            parts: Arc::new(parts),
            sources: Arc::new(sources),
            seen: Arc::default(),
        }
    }

    /// Explains a deal; also one that this miner does not have.
    pub async fn deal(&self, cid: &Cid, audience: Audience) -> Result<Explanation, StoreError> {
        // Before anything is gathered: a question about a deal that nobody made costs nothing.
        if self.parts.store.deal(cid)?.is_none() {
            return self.unknown(cid);
        }
        let seen = self.gather().await?;
        // Read after that, which may take its time.
        let Some(record) = self.parts.store.deal(cid)? else {
            return self.unknown(cid);
        };
        let sector = match record.deal.sector() {
            Some(id) => self.parts.store.sector(id)?,
            None => None,
        };
        let facts = DealFacts {
            deal: &record.deal,
            transfer: self.transfer(cid, &record),
            sector: sector.as_ref().map(|record| self.sector_facts(record, &seen)),
        };
        Ok(of_deal::explain(&facts, &self.around(&seen, audience)?))
    }

    fn unknown(&self, cid: &Cid) -> Result<Explanation, StoreError> {
        let paused = match self.parts.settings.now().mining {
            false => Some("its operator has stopped mining".to_owned()),
            true => intake::status(&self.parts.intake)?.reason,
        };
        Ok(of_deal::unknown(cid, now_ms(), paused.as_deref()))
    }

    /// Explains a sector; `None` when there is none of this number.
    pub async fn sector(&self, id: u64, audience: Audience) -> Result<Option<Explanation>, StoreError> {
        let seen = self.gather().await?;
        let Some(record) = self.parts.store.sector(id)? else {
            return Ok(None);
        };
        let facts = self.sector_facts(&record, &seen);
        Ok(Some(of_sector::explain(&facts, &self.around(&seen, audience)?)))
    }

    /// What was looked up a moment ago, or is now; one look at a time.
    async fn gather(&self) -> Result<Seen, StoreError> {
        let mut kept = self.seen.lock().await;
        if let Some(seen) = kept.as_ref().filter(|seen| seen.at.elapsed() < FRESH) {
            return Ok(seen.clone());
        }
        let parts = &self.parts;
        let view = match tokio::time::timeout(CHAIN_LIMIT, parts.chain.miner(&parts.address)).await {
            Ok(Ok(view)) => Ok(view.map(Arc::new)),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} seconds", CHAIN_LIMIT.as_secs())),
        };
        let mut sealing = Vec::new();
        for record in parts.store.sectors_in(&Phase::UNSEALED)? {
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
        let (parts, head) = (&self.parts, self.parts.chain.heads().borrow().clone());
        let view = seen.view.as_ref().ok().and_then(Option::as_ref);
        let mut around = Around {
            now_ms: now_ms(),
            size: parts.sector_size,
            auto_seal_ms: parts.settings.now().auto_seal_ms,
            measured: Default::default(),
            chain: ChainFacts {
                height: head.height,
                head_ms: head.time_ms,
                block_time_ms: parts.chain.connected_network().block_time_ms,
                seed_delay: parts.policy.seed_delay,
                trouble: seen.view.as_ref().err().cloned(),
                post: view.map(|view| post_duty(head.height, &PostFacts::of(view), &parts.policy)),
            },
            audience,
        };
        for phase in Phase::UNSEALED {
            if let Some(ms) = parts.store.estimate(parts.sector_size, phase)? {
                around.measured.insert(phase, Measured { ms, samples: 1 });
            }
        }
        Ok(around)
    }

    fn transfer(&self, cid: &Cid, record: &DealRecord) -> TransferFacts {
        let (staging, size) = (&self.parts.staging, record.deal.proposal.size());
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
            limit_ms: self.parts.settings.now().transfer_limit_ms,
            no_room: room.err().filter(|_| is_missing).map(|error| error.to_string()),
        }
    }

    fn sector_facts<'a>(&self, record: &'a SectorRecord, seen: &Seen) -> SectorFacts<'a> {
        let sector = &record.sector;
        let purpose = match &sector.stage {
            SectorStage::PreCommitting { sealed } => Some(pre_commit_purpose(sector.id, sealed.ticket_epoch)),
            SectorStage::Committing { sealed, .. } => Some(commit_purpose(sector, sealed)),
            _ => None,
        };
        let made = purpose.and_then(|purpose| self.parts.chain.message_for(&purpose));
        let view = seen.view.as_ref().ok().and_then(Option::as_ref);
        let on_chain = view.and_then(|view| view.sectors.iter().find(|shown| shown.id == sector.id));
        SectorFacts {
            sector,
            first_piece_ms: record.first_piece_ms,
            since_ms: record.since_ms(),
            retry_at_ms: record.retry_at_ms,
            history: record.history.iter().map(|start| (start.phase, start.at_ms)).collect(),
            turn: turn(&self.parts.prover, record, &seen.sealing),
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

/// Where a sector's step stands. A closed sector waits for one of the places that there are for sealing; what the prover
/// computes it says itself ([`crate::prover::Prover::jobs`]).
fn turn(prover: &Prover, record: &SectorRecord, sealing: &[Sealing]) -> Turn {
    let (id, phase, since_ms) = (record.sector.id, record.sector.phase(), record.since_ms());
    let running = Turn::Running {
        since_ms,
        expected: None,
    };
    match phase {
        Phase::Closed => {
            let places = usize::try_from(prover.sectors_at_once()).unwrap_or(usize::MAX);
            let before: Vec<&Sealing> = sealing.iter().filter(|work| work.sector < id).collect();
            let waited_for = (before.len() + 1).saturating_sub(places);
            let ahead = |(index, work): (usize, &Sealing)| QueuedJob {
                sector: work.sector,
                phase: work.phase,
                since_ms: (index < places).then_some(work.since_ms),
                whole: true,
            };
            let behind: Vec<QueuedJob> = before.into_iter().enumerate().take(waited_for).map(ahead).collect();
            match behind.is_empty() {
                true => running,
                false => Turn::Queued { behind },
            }
        }
        phase if is_computed(phase) => of_jobs(id, &prover.jobs()).unwrap_or(running),
        _ => running,
    }
}

/// A sector's place among the prover's jobs; `None` when its step is not among them, as between two steps.
fn of_jobs(id: u64, jobs: &[JobView]) -> Option<Turn> {
    let is_ours = |job: &JobView| job.sector == Some(id) && phase_of(job.step).is_some();
    let at = jobs.iter().position(is_ours)?;
    let (before, from) = jobs.split_at_checked(at)?;
    let job = from.first()?;
    if let JobState::Running { since_ms } = job.state {
        let basis = job.basis.clone();
        let expected = job.expected_ms.map(|ms| Expected { ms, basis });
        return Some(Turn::Running { since_ms, expected });
    }
    let ahead = |job: &JobView| {
        Some(QueuedJob {
            sector: job.sector?,
            phase: phase_of(job.step)?,
            since_ms: match job.state {
                JobState::Running { since_ms } => Some(since_ms),
                JobState::Queued { .. } => None,
            },
            whole: false,
        })
    };
    let behind = before.iter().filter_map(ahead).collect();
    Some(Turn::Queued { behind })
}

/// The phase of a sector that a step of the prover belongs to.
fn phase_of(step: Step) -> Option<Phase> {
    match step {
        Step::PreCommit1 => Some(Phase::PreCommit1),
        Step::PreCommit2 => Some(Phase::PreCommit2),
        Step::Commit1 => Some(Phase::Commit1),
        Step::Commit2 | Step::Commit2Library => Some(Phase::Commit2),
        Step::WindowPost | Step::Check | Step::Tidy | Step::Unseal | Step::Scrub => None,
    }
}

/// Whether the prover computes something in a phase.
fn is_computed(phase: Phase) -> bool {
    matches!(
        phase,
        Phase::PreCommit1 | Phase::PreCommit2 | Phase::Commit1 | Phase::Commit2
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(sector: u64, step: Step, state: JobState) -> JobView {
        JobView {
            sector: Some(sector),
            step,
            state,
            expected_ms: Some(5_000),
            wait_ms: None,
            basis: "measured once here".into(),
        }
    }

    #[test]
    fn a_sectors_turn_is_what_the_prover_says_of_its_step() {
        let jobs = [
            job(1, Step::Commit2, JobState::Running { since_ms: 10 }),
            job(3, Step::Scrub, JobState::Running { since_ms: 11 }),
            job(2, Step::PreCommit1, JobState::Queued { behind: 2 }),
        ];
        let expected = Some(Expected {
            ms: 5_000,
            basis: "measured once here".into(),
        });
        let running = Turn::Running { since_ms: 10, expected };
        assert_eq!(of_jobs(1, &jobs), Some(running));
        let ahead = QueuedJob {
            sector: 1,
            phase: Phase::Commit2,
            since_ms: Some(10),
            whole: false,
        };
        let behind = vec![ahead];
        assert_eq!(of_jobs(2, &jobs), Some(Turn::Queued { behind }));
        assert_eq!(of_jobs(3, &jobs), None, "scrubbing is no step of sealing");
        assert_eq!(of_jobs(4, &jobs), None);
    }
}
