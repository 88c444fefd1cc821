//! Sealing and proving, off the async threads: a thin adapter onto `sealdrop_prover`, and the chain's verifier.
//!
//! Each lane is one thread that does one job at a time: one for sealing, one for proofs-of-spacetime (which have priority:
//! the sealing lane starts no step while one runs), one for unsealing. A panic of a job becomes an error of that job.
//! Called by [`crate::sealing`], [`crate::proving`] and [`crate::network`]; the verifier by the development chain.

use crate::staging::Staging;
use sealdrop_prover::{Piece, PreCommit, ProvingSector, SectorFiles, SectorIdentity};
use shared::piece::{padded_for, Commitment, SectorSize, SizeError};
use shared::ports::verifier::{ProofVerifier, SealClaim, VerifierFault, WindowPoStClaim};
use shared::sector::{Sealed, Sector};
use std::any::Any;
use std::fs::File;
use std::io::Read;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// Jobs that may wait for a lane; whoever asks beyond it waits before it is queued.
const QUEUE: usize = 64;

/// Why a step of sealing or proving gave no result.
#[derive(Debug, thiserror::Error)]
pub enum ProverError {
    #[error(transparent)]
    Step(#[from] sealdrop_prover::Error),
    #[error("{step} panicked: {reason}")]
    Panicked { step: &'static str, reason: String },
    #[error("the thread for {lane} could not be started: {source}; close other programs and start again")]
    Thread { lane: &'static str, source: std::io::Error },
    #[error("the daemon is stopping")]
    Stopping,
    #[error("{sector} is no sector size that proofs exist for")]
    UnknownSize { sector: SectorSize },
    #[error("a piece of the sector has an impossible size: {0}")]
    PieceSize(#[from] SizeError),
}

type Job = Box<dyn FnOnce() + Send>;

/// A queue and the thread that works it off.
struct Lane {
    jobs: mpsc::Sender<Job>,
}

/// How many proofs-of-spacetime are asked for or running.
type Urgent = Arc<(Mutex<usize>, Condvar)>;

/// The prover of one miner.
pub struct Prover {
    prover_id: [u8; 32],
    size: sealdrop_prover::SectorSize,
    /// Sector directories are in here, named by number.
    dir: PathBuf,
    seal: Lane,
    post: Lane,
    unseal: Lane,
    urgent: Urgent,
}

impl Prover {
    /// Starts the lanes. `sealdrop_prover::init` must have been called.
    pub fn start(prover_id: [u8; 32], size: SectorSize, dir: PathBuf) -> Result<Self, ProverError> {
        let urgent = Urgent::default();
        let (seal_gate, no_gate) = (Some(urgent.clone()), None);
        Ok(Self {
            prover_id,
            size: prover_size(size)?,
            dir,
            seal: Lane::start("sealing", seal_gate)?,
            post: Lane::start("proving", no_gate.clone())?,
            unseal: Lane::start("unsealing", no_gate)?,
            urgent,
        })
    }

    /// Lays the staged pieces out and labels the sector's graph; begins from scratch each time.
    pub async fn pre_commit1(
        &self,
        sector: &Sector,
        ticket: [u8; 32],
        staging: &Staging,
    ) -> Result<Vec<u8>, ProverError> {
        let (identity, files, pieces) = (self.identity(sector.id), self.files(sector.id), pieces(sector)?);
        let sources: Vec<PathBuf> = sector
            .pieces
            .iter()
            .map(|piece| staging.path(&piece.data_cid))
            .collect();
        let job = move || {
            let mut open = |index: usize| -> std::io::Result<Box<dyn Read>> {
                let path = sources.get(index).ok_or(std::io::ErrorKind::NotFound)?;
                Ok(Box::new(File::open(path)?))
            };
            sealdrop_prover::write_unsealed(identity.size, &files, &pieces, &mut open)?;
            Ok(sealdrop_prover::pre_commit1(&identity, &files, ticket, &pieces)?)
        };
        self.seal.run("pre-commit 1", job).await
    }

    /// Encodes the replica, and proves it to ourselves before anything of it is published.
    pub async fn pre_commit2(
        &self,
        sector: &Sector,
        ticket: [u8; 32],
        output: Vec<u8>,
    ) -> Result<PreCommit, ProverError> {
        let (identity, files, pieces) = (self.identity(sector.id), self.files(sector.id), pieces(sector)?);
        let job = move || {
            let commitments = sealdrop_prover::pre_commit2(&identity, &files, &output)?;
            sealdrop_prover::check_pre_commit(&identity, &files, ticket, &commitments, &pieces)?;
            Ok(commitments)
        };
        self.seal.run("pre-commit 2", job).await
    }

    /// Opens the replica where `seed` challenges it.
    pub async fn commit1(&self, sector: &Sector, sealed: &Sealed, seed: [u8; 32]) -> Result<Vec<u8>, ProverError> {
        let (identity, files, pieces) = (self.identity(sector.id), self.files(sector.id), pieces(sector)?);
        let ticket = sealed.ticket;
        let commitments = PreCommit {
            comm_d: sealed.comm_d.0,
            comm_r: sealed.comm_r.0,
            comm_c: sealed.comm_c.0,
        };
        let job = move || {
            Ok(sealdrop_prover::commit1(
                &identity,
                &files,
                ticket,
                seed,
                &commitments,
                &pieces,
            )?)
        };
        self.seal.run("commit 1", job).await
    }

    /// The zero-knowledge proof: minutes and gigabytes.
    pub async fn commit2(&self, sector: u64, output: Vec<u8>) -> Result<Vec<u8>, ProverError> {
        let identity = self.identity(sector);
        self.seal
            .run("commit 2", move || Ok(sealdrop_prover::commit2(&identity, &output)?))
            .await
    }

    /// Deletes what only sealing needed.
    pub async fn clear_cache(&self, sector: u64) -> Result<(), ProverError> {
        let files = self.files(sector);
        self.seal
            .run("clearing the cache", move || Ok(sealdrop_prover::clear_cache(&files)?))
            .await
    }

    /// Proves that all these sectors are stored.
    pub async fn window_post(
        &self,
        randomness: [u8; 32],
        sectors: Vec<(u64, Commitment)>,
    ) -> Result<Vec<u8>, ProverError> {
        let (prover_id, size) = (self.prover_id, self.size);
        let sectors: Vec<ProvingSector> = sectors
            .into_iter()
            .map(|(sector, comm_r)| ProvingSector {
                sector,
                comm_r: comm_r.0,
                files: self.files(sector),
            })
            .collect();
        let _priority = Priority::take(&self.urgent);
        let job = move || Ok(sealdrop_prover::window_post(prover_id, size, randomness, &sectors)?);
        self.post.run("proof-of-spacetime", job).await
    }

    /// Gets a piece back out of its replica, to the staging directory.
    pub async fn unseal(
        &self,
        sector: &Sector,
        sealed: &Sealed,
        index: usize,
        staging: &Staging,
    ) -> Result<(), UnsealError> {
        let (identity, files) = (self.identity(sector.id), self.files(sector.id));
        let pieces = pieces(sector).map_err(UnsealError::Prover)?;
        let Some(piece) = sector.pieces.get(index).cloned() else {
            return Err(UnsealError::NoSuchPiece { index });
        };
        let (ticket, comm_d, staging) = (sealed.ticket, sealed.comm_d.0, staging.clone());
        let job = move || {
            Ok(staging.restore(&piece.data_cid, piece.size, |out| {
                sealdrop_prover::unseal_piece(&identity, &files, ticket, comm_d, &pieces, index, out).map(drop)
            }))
        };
        match self.unseal.run("unsealing", job).await.map_err(UnsealError::Prover)? {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(UnsealError::Prover(error.into())),
            Err(error) => Err(UnsealError::Staging(error)),
        }
    }

    fn identity(&self, sector: u64) -> SectorIdentity {
        SectorIdentity {
            prover_id: self.prover_id,
            sector,
            size: self.size,
        }
    }

    fn files(&self, sector: u64) -> SectorFiles {
        SectorFiles::new(self.dir.join(sector.to_string()))
    }
}

/// Why a piece could not be unsealed.
#[derive(Debug, thiserror::Error)]
pub enum UnsealError {
    #[error(transparent)]
    Prover(ProverError),
    #[error(transparent)]
    Staging(crate::staging::StagingError),
    #[error("the sector has no piece {index}")]
    NoSuchPiece { index: usize },
}

/// Makes the sealing lane wait as long as it lives.
struct Priority<'a>(&'a Urgent);

impl<'a> Priority<'a> {
    fn take(urgent: &'a Urgent) -> Self {
        *urgent.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Self(urgent)
    }
}

impl Drop for Priority<'_> {
    fn drop(&mut self) {
        *self.0 .0.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0 .1.notify_all();
    }
}

impl Lane {
    fn start(name: &'static str, gate: Option<Urgent>) -> Result<Self, ProverError> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        let work = move || {
            while let Some(job) = queue.blocking_recv() {
                if let Some(urgent) = &gate {
                    let count = urgent.0.lock().unwrap_or_else(PoisonError::into_inner);
                    drop(urgent.1.wait_while(count, |count| *count > 0));
                }
                job();
            }
        };
        let started = std::thread::Builder::new().name(name.into()).spawn(work);
        started.map_err(|source| ProverError::Thread { lane: name, source })?;
        Ok(Self { jobs })
    }

    /// Does a job on the lane's thread. The job runs to its end even if nobody waits for it any more.
    async fn run<T: Send + 'static>(
        &self,
        step: &'static str,
        job: impl FnOnce() -> Result<T, ProverError> + Send + 'static,
    ) -> Result<T, ProverError> {
        let (done, result) = oneshot::channel();
        let job = Box::new(move || {
            let outcome = catch_unwind(AssertUnwindSafe(job));
            let outcome = outcome.unwrap_or_else(|panic| {
                Err(ProverError::Panicked {
                    step,
                    reason: panic_text(&*panic),
                })
            });
            // Nobody waits any more: the daemon is stopping.
            let _ = done.send(outcome);
        });
        self.jobs.send(job).await.map_err(|_| ProverError::Stopping)?;
        result.await.map_err(|_| ProverError::Stopping)?
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no reason given".into())
}

fn pieces(sector: &Sector) -> Result<Vec<Piece>, ProverError> {
    let piece = |piece: &shared::sector::SectorPiece| {
        Ok(Piece {
            padded_size: padded_for(piece.size)?.bytes(),
            comm_p: piece.comm_p.0,
        })
    };
    sector.pieces.iter().map(piece).collect()
}

/// The prover's name for a sector size.
pub fn prover_size(size: SectorSize) -> Result<sealdrop_prover::SectorSize, ProverError> {
    sealdrop_prover::SectorSize::from_bytes(size.bytes()).ok_or(ProverError::UnknownSize { sector: size })
}

/// Verifies proofs with filecoin-proofs; the chain's [`ProofVerifier`].
#[derive(Debug, Clone, Copy, Default)]
pub struct RealVerifier;

impl ProofVerifier for RealVerifier {
    fn verify_seal(&self, claim: &SealClaim) -> Result<bool, VerifierFault> {
        let size = prover_size(claim.sector_size).map_err(fault)?;
        let verdict = sealdrop_prover::verify_seal(
            size,
            claim.comm_r.0,
            claim.comm_d.0,
            claim.prover_id,
            claim.sector,
            claim.ticket,
            claim.seed,
            &claim.proof,
        );
        verdict.map_err(fault)
    }

    fn verify_window_post(&self, claim: &WindowPoStClaim) -> Result<bool, VerifierFault> {
        let size = prover_size(claim.sector_size).map_err(fault)?;
        let sectors: Vec<(u64, [u8; 32])> = claim.sectors.iter().map(|(id, comm_r)| (*id, comm_r.0)).collect();
        let verdict =
            sealdrop_prover::verify_window_post(size, claim.randomness, claim.prover_id, &sectors, &claim.proof);
        verdict.map_err(fault)
    }
}

fn fault(error: impl std::fmt::Display) -> VerifierFault {
    VerifierFault {
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panicking_step_is_an_error_and_the_lane_goes_on() {
        let lane = Lane::start("test", None).unwrap();
        let broken = lane.run::<()>("breaking", || panic!("on purpose")).await;
        assert!(matches!(broken, Err(ProverError::Panicked { step: "breaking", reason }) if reason == "on purpose"));
        assert!(matches!(lane.run("adding", || Ok(1 + 1)).await, Ok(2)));
    }

    #[tokio::test]
    async fn sealing_starts_no_step_while_a_proof_of_spacetime_is_due() {
        let urgent = Urgent::default();
        let lane = Lane::start("test", Some(urgent.clone())).unwrap();
        let priority = Priority::take(&urgent);
        let step = lane.run("sealing", || Ok(()));
        tokio::pin!(step);
        assert!(futures::poll!(&mut step).is_pending());
        drop(priority);
        step.await.unwrap();
    }
}
