//! Sealing by several machines: its steps are posted as jobs ([`sealdrop_database::jobs`]), and whoever has room does them.
//!
//! ```text
//! Elsewhere   the daemon's side: posts a step, waits for its result
//! Worker      a machine's side: takes steps that it has room for, by the rules of `selection`, and does them by a `Prover` of its own
//! ```
//! A step is posted with all that it depends on but the files, which lie where all machines reach them, or in a folder of the machine's own
//! ([`Scratch`]). Its key is a digest of that: a daemon that
//! crashed finds its step again, and what a machine finished before is found on the disk by [`super::Resuming`]. Of a proof-of-spacetime partitions are
//! posted, of the highest rank, while it is being made where it is due ([`super::windows`]).

mod scratch;
mod working;

pub use scratch::Scratch;
pub use working::{Worker, WorkerSettings};

use super::jobs::{JobState, JobView};
use super::selection::Limits;
use super::{Commitments, OwnCode, ProverError, Step};
use sealdrop_database::jobs::{Ended, Jobs, MachineView, NewJob, LEASE, LEASE_OF_FILES};
use serde::{de::DeserializeOwned, Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shared::piece::Commitment;
use shared::sector::{Sealed, Sector, SectorStage};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// The steps that a sector takes, the last first.
pub const SEALING: [Step; 4] = [Step::Commit2, Step::Commit1, Step::PreCommit2, Step::PreCommit1];
/// The steps that other machines do, the most urgent first.
pub const STEPS: [Step; 5] = [
    Step::WindowPost,
    Step::Commit2,
    Step::Commit1,
    Step::PreCommit2,
    Step::PreCommit1,
];
/// A machine that was silent for longer does not count.
const SILENT_MS: u64 = 60_000;
/// Most sectors at once: one thread of the daemon waits for each.
const MOST_SECTORS: u64 = 256;
/// Jobs that are listed.
const LISTED: u32 = 1000;

/// What is posted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    /// Whether the own code is to be used (`sealing.ownProver`).
    own_code: bool,
    request: Request,
}

/// What is asked of a machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Request {
    /// A partition of a proof-of-spacetime: the sectors' numbers and replicas.
    WindowPost {
        randomness: [u8; 32],
        sectors: Vec<(u64, [u8; 32])>,
    },
    PreCommit1 {
        sector: Sector,
        ticket: [u8; 32],
    },
    PreCommit2 {
        sector: Sector,
        ticket: [u8; 32],
        output: Vec<u8>,
    },
    Commit1 {
        sector: Sector,
        sealed: Sealed,
        seed: [u8; 32],
    },
    Commit2 {
        sector: u64,
        output: Vec<u8>,
    },
}

/// What a machine found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Answer {
    Output(Vec<u8>),
    /// Of the data, of the replica and of the layers.
    Commitments([[u8; 32]; 3]),
}

/// Has steps done by other machines. Clones are the same.
#[derive(Clone)]
pub struct Elsewhere {
    jobs: Jobs,
    /// Whose steps they are.
    prover_id: [u8; 32],
    /// Whether other machines write sectors' files.
    shares_files: bool,
    /// Sectors that the machines seal at once, as far as they were heard of.
    sectors: Arc<AtomicU64>,
    /// Machines that make partitions of proofs-of-spacetime, as far as they were heard of.
    for_windows: Arc<AtomicUsize>,
    /// Whether machines are to use the own code.
    own: Arc<OwnCode>,
}

impl Elsewhere {
    pub fn new(jobs: Jobs, prover_id: [u8; 32], shares_files: bool) -> Self {
        Self {
            jobs,
            prover_id,
            shares_files,
            sectors: Arc::new(AtomicU64::new(1)),
            for_windows: Arc::default(),
            own: Arc::default(),
        }
    }

    /// The same, that has machines use the own code as this one does.
    pub(super) fn by(self, own: Arc<OwnCode>) -> Self {
        Self { own, ..self }
    }

    pub(super) fn shares_files(&self) -> bool {
        self.shares_files
    }

    /// Sectors that are sealed at once: never none, so that one waits for the first machine.
    pub(super) fn sectors_at_once(&self) -> u64 {
        self.sectors.load(Ordering::Relaxed).clamp(1, MOST_SECTORS)
    }

    /// Machines that make partitions of proofs-of-spacetime; none where they do not reach the sectors' files.
    pub(super) fn machines_for_windows(&self) -> usize {
        match self.shares_files {
            true => self.for_windows.load(Ordering::Relaxed),
            false => 0,
        }
    }

    /// Looks which machines there are; `proof` is what a zero-knowledge proof takes of memory. Returns the steps that no machine takes. Blocks its thread.
    pub fn look_around(&self, proof: u64) -> Result<Vec<Step>, ProverError> {
        let mut machines = self.jobs.machines()?;
        machines.retain(is_awake);
        let sectors = machines.iter().map(|view| {
            let machine = &view.machine;
            let limits = Limits::of_machine(machine.cores, machine.memory, 0, proof, 0);
            let labels = if takes(view, Step::PreCommit1) {
                limits.pre_commit1
            } else {
                0
            };
            labels + if takes(view, Step::Commit2) { limits.commit2 } else { 0 }
        });
        self.sectors.store(sectors.sum(), Ordering::Relaxed);
        let for_windows = machines.iter().filter(|view| takes(view, Step::WindowPost)).count();
        self.for_windows.store(for_windows, Ordering::Relaxed);
        Ok(untaken(&machines))
    }

    /// What is posted, for people. Blocks its thread.
    pub(super) fn list(&self) -> Result<Vec<JobView>, ProverError> {
        let listed = self.jobs.list(LISTED)?;
        let views = listed.into_iter().enumerate().filter_map(|(behind, job)| {
            let state = match &job.holder {
                Some((_, since_ms)) => JobState::Running { since_ms: *since_ms },
                None => JobState::Queued { behind: behind as u64 },
            };
            Some(JobView {
                sector: job.sector,
                step: step_of(&job.kind)?,
                state,
                expected_ms: None,
                wait_ms: None,
                basis: match (job.holder, job.reason, job.waits_for) {
                    (Some((machine, _)), _, _) => format!("done by {machine}"),
                    (None, Some(reason), Some(machine)) => {
                        format!("waits for {machine}, which has its files: {reason}")
                    }
                    (None, None, Some(machine)) => format!("waits for {machine}, which has its files"),
                    (None, Some(reason), None) => reason,
                    (None, None, None) => "no machine has taken it yet".to_owned(),
                },
            })
        });
        Ok(views.collect())
    }

    pub(super) async fn pre_commit1(&self, sector: &Sector, ticket: [u8; 32]) -> Result<Vec<u8>, ProverError> {
        let (id, sector) = (sector.id, bare(sector));
        self.output(Step::PreCommit1, Some(id), Request::PreCommit1 { sector, ticket })
            .await
    }

    pub(super) async fn pre_commit2(
        &self,
        sector: &Sector,
        ticket: [u8; 32],
        output: Vec<u8>,
    ) -> Result<Commitments, ProverError> {
        let (id, sector) = (sector.id, bare(sector));
        let request = Request::PreCommit2 { sector, ticket, output };
        match self.ask(Step::PreCommit2, Some(id), request).await? {
            Answer::Commitments([comm_d, comm_r, comm_c]) => Ok(Commitments {
                comm_d: Commitment(comm_d),
                comm_r: Commitment(comm_r),
                comm_c: Commitment(comm_c),
            }),
            Answer::Output(_) => Err(nonsense(Step::PreCommit2)),
        }
    }

    pub(super) async fn commit1(
        &self,
        sector: &Sector,
        sealed: &Sealed,
        seed: [u8; 32],
    ) -> Result<Vec<u8>, ProverError> {
        let (id, sector, sealed) = (sector.id, bare(sector), sealed.clone());
        self.output(Step::Commit1, Some(id), Request::Commit1 { sector, sealed, seed })
            .await
    }

    pub(super) async fn commit2(&self, sector: u64, output: Vec<u8>) -> Result<Vec<u8>, ProverError> {
        self.output(Step::Commit2, Some(sector), Request::Commit2 { sector, output })
            .await
    }

    /// A partition of a proof-of-spacetime.
    pub(super) async fn window_part(
        &self,
        randomness: [u8; 32],
        sectors: &[(u64, Commitment)],
    ) -> Result<Vec<u8>, ProverError> {
        let sectors = sectors.iter().map(|(sector, comm_r)| (*sector, comm_r.0)).collect();
        self.output(Step::WindowPost, None, Request::WindowPost { randomness, sectors })
            .await
    }

    /// Takes away what is left of partitions that were posted: nobody waits for them any more. Waits for nothing.
    pub(super) fn forget_windows(&self) {
        let jobs = self.jobs.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = jobs.remove_of_no_sector() {
                tracing::warn!(%error, "partitions of a proof that was made stay posted until the next one");
            }
        });
    }

    /// Ends what is posted of a sector; fails while a machine may be at its files still.
    pub(super) fn cancel(&self, sector: u64) -> Result<(), ProverError> {
        match sealdrop_database::blocking(|| self.jobs.cancel(sector))? {
            Duration::ZERO => Ok(()),
            left => Err(ProverError::AtWork { sector, left }),
        }
    }

    /// Says that nobody seals a sector any more. Blocks its thread.
    pub(super) fn release(&self, sector: u64) -> Result<(), ProverError> {
        match self.shares_files {
            true => Ok(self.jobs.release(sector)?),
            false => Ok(()),
        }
    }

    async fn output(&self, step: Step, sector: Option<u64>, request: Request) -> Result<Vec<u8>, ProverError> {
        match self.ask(step, sector, request).await? {
            Answer::Output(output) => Ok(output),
            Answer::Commitments(_) => Err(nonsense(step)),
        }
    }

    async fn ask(&self, step: Step, sector: Option<u64>, request: Request) -> Result<Answer, ProverError> {
        let of = sector.map_or_else(|| "window".to_owned(), |sector| sector.to_string());
        // Who computes it is no part of what it is: the same step is found again under another setting.
        let asked = digest(step, &encode(step, &request)?);
        let key = format!("{}/{of}/{asked}", hex::encode(self.prover_id));
        let own_code = self.own.is_enabled();
        let input = encode(step, &Order { own_code, request })?;
        let jobs = self.jobs.clone();
        let unwanted = Unwanted::default();
        let is_unwanted = unwanted.0.clone();
        let asking = move || -> Result<Answer, ProverError> {
            let ended = loop {
                if is_unwanted.load(Ordering::Relaxed) {
                    return Err(ProverError::NoThread { step });
                }
                let posted = jobs.post(&NewJob {
                    key: &key,
                    kind: step.key(),
                    rank: rank(step),
                    sector,
                    // A seal's proof needs none of the sector's files, and that of a window those of all.
                    sticks: !matches!(step, Step::WindowPost | Step::Commit2),
                    lease: if step.writes() { LEASE_OF_FILES } else { LEASE },
                    input: &input,
                })?;
                let Some(id) = posted else {
                    return Err(ProverError::NotLeading);
                };
                match jobs.wait(id, || is_unwanted.load(Ordering::Relaxed))? {
                    None if step == Step::WindowPost => {
                        // It is of this window alone, and was made by another.
                        jobs.remove(id)?;
                        return Err(ProverError::NoThread { step });
                    }
                    None => return Err(ProverError::NoThread { step }),
                    Some(Ended::Gone) => {}
                    Some(ended) => {
                        // Asked for again after a crash it is done anew, which finds what is on the disk.
                        jobs.remove(id)?;
                        break ended;
                    }
                }
            };
            match ended {
                Ended::Gone => Err(ProverError::NoThread { step }),
                Ended::Done(output) => decode(step, &output),
                Ended::Failed(reason) => Err(ProverError::Elsewhere {
                    step,
                    reason: String::from_utf8_lossy(&reason).into_owned(),
                }),
                Ended::Lost(machines) => Err(ProverError::Elsewhere {
                    step,
                    reason: format!("{machines} machines fell silent while they were at it: look at their logs, it may be too much for their memory"),
                }),
            }
        };
        let done = tokio::task::spawn_blocking(asking).await;
        drop(unwanted);
        done.unwrap_or(Err(ProverError::NoThread { step }))
    }
}

/// Whether a machine gave a sign of life not long ago.
pub fn is_awake(view: &MachineView) -> bool {
    view.silent_ms < SILENT_MS
}

/// The steps of sealing that none of these machines takes.
pub fn untaken(machines: &[MachineView]) -> Vec<Step> {
    let is_taken = |step: &Step| {
        let mut awake = machines.iter().filter(|view| is_awake(view));
        awake.any(|view| takes(view, *step))
    };
    SEALING.into_iter().filter(|step| !is_taken(step)).collect()
}

fn takes(view: &MachineView, step: Step) -> bool {
    view.machine.kinds.iter().any(|kind| kind == step.key())
}

/// Tells a thread that waits for a step when nobody wants it any more.
#[derive(Default)]
struct Unwanted(Arc<AtomicBool>);

impl Drop for Unwanted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The sector as it is for every try: without its stage, which is in the request, and its failures.
fn bare(sector: &Sector) -> Sector {
    Sector {
        stage: SectorStage::Closed,
        attempts: 0,
        last_error: None,
        failed_at: None,
        ..sector.clone()
    }
}

/// The step of a job's kind.
fn step_of(kind: &str) -> Option<Step> {
    STEPS.into_iter().find(|step| step.key() == kind)
}

fn rank(step: Step) -> i16 {
    STEPS
        .iter()
        .position(|known| *known == step)
        .map_or(i16::MAX, |at| at as i16)
}

fn digest(step: Step, input: &[u8]) -> String {
    hex::encode(Sha256::new().chain_update(step.key()).chain_update(input).finalize())
}

fn encode<T: Serialize>(step: Step, value: &T) -> Result<Vec<u8>, ProverError> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).map_err(|error| ProverError::Elsewhere {
        step,
        reason: error.to_string(),
    })?;
    Ok(bytes)
}

fn decode<T: DeserializeOwned>(step: Step, bytes: &[u8]) -> Result<T, ProverError> {
    ciborium::from_reader(bytes).map_err(|error| ProverError::Elsewhere {
        step,
        reason: format!("it cannot be read ({error}): do all machines run one version?"),
    })
}

fn nonsense(step: Step) -> ProverError {
    ProverError::Elsewhere {
        step,
        reason: "the result is that of another step: do all machines run one version?".to_owned(),
    }
}
