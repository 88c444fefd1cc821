//! Sealing and proving, off the async threads.
//!
//! Each lane is one thread that does one job at a time: one for sealing, one for proofs-of-spacetime (which have priority:
//! the sealing lane starts no step while one runs), one for unsealing. A panic of a job becomes an error of that job.
//! What the jobs compute is the [`Engine`]'s: real proofs, or fake ones in tests. Called by [`crate::sealing`],
//! [`crate::proving`], [`crate::ending`] and [`crate::network`]; the verifier by the development chain.

mod engine;
#[cfg(test)]
pub(crate) mod fake;
mod lane;
pub mod outputs;
mod resuming;

pub use engine::{prover_size, Commitments, Engine, RealEngine, RealVerifier};
pub use resuming::Resuming;

use crate::staging::Staging;
use lane::{Lane, Priority, Urgent};
use shared::piece::{Commitment, SectorSize, SizeError};
use shared::sector::{Sealed, Sector};
use std::path::PathBuf;
use std::sync::Arc;

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
    #[error("{} cannot be read: {source}; restore it, or the sector is lost", path.display())]
    Missing { path: PathBuf, source: std::io::Error },
    #[error("{} has {found} bytes instead of {expected}; restore it, or the sector is lost", path.display())]
    Length { path: PathBuf, found: u64, expected: u64 },
    #[error("could not {action} {}: {source}; check the folder's permissions and the free space", path.display())]
    Output {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the sector's files in {} cannot be removed: {source}; check the folder's permissions", dir.display())]
    Remove { dir: PathBuf, source: std::io::Error },
}

impl ProverError {
    /// The sectors whose files cannot be proven, when that is what the error says.
    pub fn faulty(&self) -> Option<&[u64]> {
        match self {
            Self::Step(sealdrop_prover::Error::FaultySectors { sectors, .. }) => Some(sectors),
            _ => None,
        }
    }
}

/// The prover of one miner.
pub struct Prover {
    engine: Arc<dyn Engine>,
    seal: Lane,
    post: Lane,
    unseal: Lane,
    urgent: Urgent,
}

impl Prover {
    /// Starts the lanes.
    pub fn start(engine: Arc<dyn Engine>) -> Result<Self, ProverError> {
        let urgent = Urgent::default();
        let (seal_gate, no_gate) = (Some(urgent.clone()), None);
        Ok(Self {
            engine,
            seal: Lane::start("sealing", seal_gate)?,
            post: Lane::start("proving", no_gate.clone())?,
            unseal: Lane::start("unsealing", no_gate)?,
            urgent,
        })
    }

    /// See [`Engine::has_pre_commit1`].
    pub fn has_pre_commit1(&self, sector: &Sector, ticket: [u8; 32]) -> bool {
        self.engine.has_pre_commit1(sector, ticket)
    }

    /// See [`Engine::pre_commit1`].
    pub async fn pre_commit1(
        &self,
        sector: &Sector,
        ticket: [u8; 32],
        staging: &Staging,
    ) -> Result<Vec<u8>, ProverError> {
        let (engine, sector, staging) = (self.engine.clone(), sector.clone(), staging.clone());
        let job = move || engine.pre_commit1(&sector, ticket, &staging);
        self.seal.run("pre-commit 1", job).await
    }

    /// See [`Engine::pre_commit2`].
    pub async fn pre_commit2(
        &self,
        sector: &Sector,
        ticket: [u8; 32],
        output: Vec<u8>,
    ) -> Result<Commitments, ProverError> {
        let (engine, sector) = (self.engine.clone(), sector.clone());
        let job = move || engine.pre_commit2(&sector, ticket, &output);
        self.seal.run("pre-commit 2", job).await
    }

    /// See [`Engine::commit1`].
    pub async fn commit1(&self, sector: &Sector, sealed: &Sealed, seed: [u8; 32]) -> Result<Vec<u8>, ProverError> {
        let (engine, sector, sealed) = (self.engine.clone(), sector.clone(), sealed.clone());
        let job = move || engine.commit1(&sector, &sealed, seed);
        self.seal.run("commit 1", job).await
    }

    /// See [`Engine::commit2`].
    pub async fn commit2(&self, sector: u64, output: Vec<u8>) -> Result<Vec<u8>, ProverError> {
        let engine = self.engine.clone();
        self.seal.run("commit 2", move || engine.commit2(sector, &output)).await
    }

    /// See [`Engine::clear_cache`].
    pub async fn clear_cache(&self, sector: u64) -> Result<(), ProverError> {
        let engine = self.engine.clone();
        self.seal
            .run("clearing the cache", move || engine.clear_cache(sector))
            .await
    }

    /// See [`Engine::window_post`].
    pub async fn window_post(
        &self,
        randomness: [u8; 32],
        sectors: Vec<(u64, Commitment)>,
    ) -> Result<Vec<u8>, ProverError> {
        let engine = self.engine.clone();
        let _priority = Priority::take(&self.urgent);
        let job = move || engine.window_post(randomness, &sectors);
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
        let Some(piece) = sector.pieces.get(index).cloned() else {
            return Err(UnsealError::NoSuchPiece { index });
        };
        let (engine, sector, sealed, staging) = (self.engine.clone(), sector.clone(), sealed.clone(), staging.clone());
        let job = move || {
            Ok(staging.restore(&piece.data_cid, piece.size, |out| {
                engine.unseal(&sector, &sealed, index, out)
            }))
        };
        match self.unseal.run("unsealing", job).await.map_err(UnsealError::Prover)? {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(UnsealError::Prover(error)),
            Err(error) => Err(UnsealError::Staging(error)),
        }
    }

    /// See [`Engine::check`].
    pub async fn check(&self, sector: u64) -> Result<(), ProverError> {
        let engine = self.engine.clone();
        let job = move || engine.check(sector);
        self.post.run("checking a sector's files", job).await
    }

    /// See [`Engine::remove`]. In the lane of unsealing, so that nothing reads the files meanwhile.
    pub async fn remove(&self, sector: u64) -> Result<(), ProverError> {
        let engine = self.engine.clone();
        self.unseal
            .run("removing a sector", move || engine.remove(sector))
            .await
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
