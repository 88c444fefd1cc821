//! Sealing and proving, off the async threads.
//!
//! What may run when is decided by [`selection`] and done by [`scheduler`]: later steps first, within the machine's memory,
//! and proofs-of-spacetime before everything. A panic of a step becomes an error of that step. What the steps compute is
//! the [`Engine`]'s: real proofs, or fake ones in tests. Called by [`crate::sealing`], [`crate::proving`],
//! [`crate::scrubbing`], [`crate::deal_expiry`] and [`crate::network`]; the verifier by the development chain.

pub mod child;
pub mod elsewhere;
mod engine;
mod error;
#[cfg(test)]
pub(crate) mod fake;
mod jobs;
pub mod outputs;
mod own;
mod rates;
mod resuming;
mod room;
mod scheduler;
pub mod selection;
mod windows;
pub mod work;

pub use engine::{prover_size, Commitments, Engine, RealEngine, RealVerifier};
pub use error::{ProverError, UnsealError};
pub use jobs::{JobState, JobView};
pub use own::{OwnCode, OwnCodeStatus};
pub use rates::Expected;
pub use resuming::Resuming;
pub use room::SealingMemory;
pub use sealdrop_prover::Implementation;
pub use work::{Cost, Step};

use crate::machine;
use crate::staging::Staging;
use crate::store::RateBook;
use elsewhere::Elsewhere;
use rates::Rates;
use scheduler::{Order, Plan, Priority, Scheduler};
use sealdrop_prover::Error;
use shared::piece::{Commitment, SectorSize};
use shared::sector::{Sealed, Sector};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The prover of one miner.
pub struct Prover {
    engine: Arc<dyn Engine>,
    own: Arc<OwnCode>,
    size: SectorSize,
    scheduler: Scheduler,
    /// Who seals in place of this machine.
    elsewhere: Option<Elsewhere>,
}

/// As long as it lives a proof-of-spacetime is due, and nothing of sealing begins.
pub struct Due(#[allow(dead_code)] Priority);

/// Waits out proofs-of-spacetime; for what reads for a long time.
#[derive(Clone)]
pub struct PostIdleWaiter(Scheduler);

impl PostIdleWaiter {
    /// Returns when no proof-of-spacetime is due. Blocks its thread.
    pub fn wait(&self) {
        self.0.wait_until_idle();
    }
}

impl Prover {
    /// Begins with what the machine gives; `book` knows how long steps took before.
    pub fn start(engine: Arc<dyn Engine>, size: SectorSize, book: RateBook) -> Self {
        let plan = Plan::of_machine(machine::cores(), |step| engine.cost(step).memory);
        Self {
            scheduler: Scheduler::new(plan, Rates::load(size, book)),
            own: engine.own_code(),
            engine,
            size,
            elsewhere: None,
        }
    }

    /// The same machine, which has its steps of sealing done by whoever takes them; what this one does of them shares its memory and its cores.
    pub fn with_elsewhere(&self, elsewhere: Elsewhere) -> Self {
        Self {
            engine: self.engine.clone(),
            own: self.own.clone(),
            size: self.size,
            scheduler: self.scheduler.clone(),
            elsewhere: Some(elsewhere.by(self.own.clone())),
        }
    }

    /// The same machine at the files of another engine; what both do shares its memory and its cores.
    pub fn with_engine(&self, engine: Arc<dyn Engine>) -> Self {
        Self {
            own: engine.own_code(),
            engine,
            size: self.size,
            scheduler: self.scheduler.clone(),
            elsewhere: None,
        }
    }

    /// Keeps memory free for proofs-of-spacetime from now on, or none: this machine makes none.
    pub fn makes_posts(&self, makes: bool) {
        self.scheduler.reserve(if makes { self.post_memory() } else { 0 });
    }

    /// What a proof-of-spacetime takes of memory, in bytes.
    pub fn post_memory(&self) -> u64 {
        self.engine.cost(Step::WindowPost).memory
    }

    /// Whether this machine could ever do a step. A proof-of-spacetime takes what is kept free for it.
    pub fn check_step(&self, step: Step) -> Result<(), ProverError> {
        let order = self.order(self.here(step), None, 1);
        match step {
            Step::WindowPost => self.scheduler.check_reserve(&order),
            _ => self.scheduler.check(&order),
        }
    }

    /// The step as this machine does it.
    fn here(&self, step: Step) -> Step {
        match step {
            Step::Commit2 => self.proving_step(),
            step => step,
        }
    }

    /// Holds to the operator's limits from now on: bytes of memory and zero-knowledge proofs at once; 0 leaves either to
    /// the machine.
    pub fn allow(&self, memory: u64, slots: u64) {
        self.scheduler.allow((memory > 0).then_some(memory), slots);
    }

    /// Has the own code compute from the next step on, or filecoin-proofs.
    pub fn use_own_code(&self, own: bool) {
        if self.own.is_enabled() == own {
            // What the machine has free is measured only where something changes: what runs has taken its share of it already.
            return;
        }
        self.own.enable(own);
        self.scheduler.set_proof_memory(self.proof_memory());
    }

    /// See [`OwnCode::status`].
    pub fn own_code(&self) -> OwnCodeStatus {
        self.own.status()
    }

    /// The step that a zero-knowledge proof is now, before anything is refused.
    pub fn proving_step(&self) -> Step {
        match self.own.of_proofs() {
            Implementation::Own(_) => Step::Commit2,
            Implementation::Library => Step::Commit2Library,
        }
    }

    /// What a zero-knowledge proof takes of memory, in bytes.
    pub fn proof_memory(&self) -> u64 {
        self.engine.cost(self.proving_step()).memory
    }

    /// Sectors that are sealed at once.
    pub fn sectors_at_once(&self) -> u64 {
        match &self.elsewhere {
            Some(elsewhere) => elsewhere.sectors_at_once(),
            None => self.scheduler.limits().sectors(),
        }
    }

    /// What the prover is at: what runs, then what waits, by when it starts. Of sealing by several machines what the database lists.
    pub fn jobs(&self) -> Vec<JobView> {
        let mut jobs = self.scheduler.jobs();
        if let Some(elsewhere) = &self.elsewhere {
            jobs.retain(|job| !elsewhere::SEALING.contains(&job.step));
            match elsewhere.list() {
                Ok(listed) => jobs.extend(listed),
                Err(error) => tracing::warn!(%error, "the jobs cannot be listed"),
            }
        }
        jobs
    }

    /// Which of these steps, each with its sector, would start at once, in the order in which they would.
    pub(crate) fn would_start(&self, steps: &[(Step, Option<u64>)]) -> Vec<usize> {
        let orders = steps
            .iter()
            .map(|(step, sector)| self.order(self.here(*step), *sector, 1));
        let orders: Vec<Order> = orders.collect();
        self.scheduler.would_start(&orders)
    }

    /// How long a step is expected to take; `units` are the sectors of a proof-of-spacetime, else 1.
    pub fn expected(&self, step: Step, units: usize) -> Expected {
        self.scheduler.expected(step, self.units(step, units))
    }

    /// Whether the memory for sealing a sector is there; proving may go on without.
    pub fn check_memory(&self) -> Result<(), ProverError> {
        if self.elsewhere.is_some() {
            return Ok(());
        }
        let order = self.order(self.proving_step(), None, 1);
        self.scheduler.check(&order)
    }

    /// Says that a proof-of-spacetime is due, from now on until the result is dropped.
    pub fn post_is_due(&self) -> Due {
        Due(self.scheduler.priority())
    }

    /// See [`PostIdleWaiter`].
    pub fn post_idle_waiter(&self) -> PostIdleWaiter {
        PostIdleWaiter(self.scheduler.clone())
    }

    fn units(&self, step: Step, sectors: usize) -> u64 {
        match (step, prover_size(self.size)) {
            (Step::WindowPost, Ok(size)) => sealdrop_prover::partitions(size, sectors).max(1) as u64,
            _ => 1,
        }
    }

    fn order(&self, step: Step, sector: Option<u64>, units: usize) -> Order {
        Order {
            step,
            sector,
            cost: self.engine.cost(step),
            units: self.units(step, units),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        step: Step,
        sector: u64,
        job: impl FnOnce() -> Result<T, ProverError> + Send + 'static,
    ) -> Result<T, ProverError> {
        let span = tracing::Span::current();
        let job = move || span.in_scope(job);
        self.scheduler.run(self.order(step, Some(sector), 1), job).await
    }

    /// Whether phase 1 was finished here for exactly this, see [`Engine::kept_pre_commit1`].
    pub fn has_pre_commit1(&self, sector: &Sector, ticket: [u8; 32]) -> bool {
        self.kept_pre_commit1(sector, ticket).is_some()
    }

    /// See [`Engine::kept_pre_commit1`].
    pub(crate) fn kept_pre_commit1(&self, sector: &Sector, ticket: [u8; 32]) -> Option<Vec<u8>> {
        self.engine.kept_pre_commit1(sector, ticket)
    }

    /// See [`Engine::kept_pre_commit2`].
    pub(crate) fn kept_pre_commit2(&self, sector: &Sector, ticket: [u8; 32]) -> Option<Commitments> {
        self.engine.kept_pre_commit2(sector, ticket)
    }

    /// See [`Engine::pre_commit1`].
    pub async fn pre_commit1(
        &self,
        sector: &Sector,
        ticket: [u8; 32],
        staging: &Staging,
    ) -> Result<Vec<u8>, ProverError> {
        if let Some(elsewhere) = &self.elsewhere {
            return elsewhere.pre_commit1(sector, ticket).await;
        }
        let (engine, id) = (self.engine.clone(), sector.id);
        let (sector, staging) = (sector.clone(), staging.clone());
        let job = move || engine.pre_commit1(&sector, ticket, &staging);
        self.run(Step::PreCommit1, id, job).await
    }

    /// See [`Engine::pre_commit2`].
    pub async fn pre_commit2(
        &self,
        sector: &Sector,
        ticket: [u8; 32],
        output: Vec<u8>,
    ) -> Result<Commitments, ProverError> {
        if let Some(elsewhere) = &self.elsewhere {
            return elsewhere.pre_commit2(sector, ticket, output).await;
        }
        let (engine, id, sector) = (self.engine.clone(), sector.id, sector.clone());
        let job = move || engine.pre_commit2(&sector, ticket, &output);
        self.run(Step::PreCommit2, id, job).await
    }

    /// See [`Engine::commit1`].
    pub async fn commit1(&self, sector: &Sector, sealed: &Sealed, seed: [u8; 32]) -> Result<Vec<u8>, ProverError> {
        if let Some(elsewhere) = &self.elsewhere {
            return elsewhere.commit1(sector, sealed, seed).await;
        }
        let (engine, id) = (self.engine.clone(), sector.id);
        let (sector, sealed) = (sector.clone(), sealed.clone());
        let job = move || engine.commit1(&sector, &sealed, seed);
        self.run(Step::Commit1, id, job).await
    }

    /// See [`Engine::commit2`]. A proof of the own code that is refused is made by the library, as a step of its own: it
    /// takes more memory and far more time.
    pub async fn commit2(&self, sector: u64, output: Vec<u8>) -> Result<Vec<u8>, ProverError> {
        if let Some(elsewhere) = &self.elsewhere {
            return elsewhere.commit2(sector, output).await;
        }
        let output: Arc<[u8]> = output.into();
        let by = |implementation| {
            let (engine, output) = (self.engine.clone(), output.clone());
            move || engine.commit2(sector, &output, implementation)
        };
        if let own @ Implementation::Own(_) = self.own.of_proofs() {
            match self.run(Step::Commit2, sector, by(own)).await {
                Err(ProverError::Step(Error::Refused { reason, .. })) => self.own.refused(Step::Commit2, &reason),
                done => {
                    done.is_ok().then(|| self.own.proved());
                    return done;
                }
            }
        }
        self.run(Step::Commit2Library, sector, by(Implementation::Library))
            .await
    }

    /// See [`Engine::clear_cache`].
    pub async fn clear_cache(&self, sector: u64) -> Result<(), ProverError> {
        let engine = self.engine.clone();
        let job = move || engine.clear_cache(sector);
        self.run(Step::Tidy, sector, job).await
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
        let (engine, id) = (self.engine.clone(), sector.id);
        let (sector, sealed, staging) = (sector.clone(), sealed.clone(), staging.clone());
        let job = move || {
            Ok(staging.restore(&piece.data_cid, piece.size, |out| {
                engine.unseal(&sector, &sealed, index, out)
            }))
        };
        match self.run(Step::Unseal, id, job).await.map_err(UnsealError::Prover)? {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(UnsealError::Prover(error)),
            Err(error) => Err(UnsealError::Staging(error)),
        }
    }

    /// See [`Engine::check`].
    pub async fn check(&self, sector: u64) -> Result<(), ProverError> {
        let engine = self.engine.clone();
        let job = move || engine.check(sector);
        self.run(Step::Check, sector, job).await
    }

    /// See [`Engine::open`].
    pub async fn open(&self, sector: u64, comm_r: Commitment) -> Result<(), ProverError> {
        let engine = self.engine.clone();
        let job = move || engine.open(sector, comm_r);
        self.run(Step::Check, sector, job).await
    }

    /// Reads for a long time, when nothing else wants to.
    pub(crate) async fn scrub<T: Send + 'static>(
        &self,
        sector: u64,
        job: impl FnOnce() -> Result<T, ProverError> + Send + 'static,
    ) -> Result<T, ProverError> {
        self.run(Step::Scrub, sector, job).await
    }

    /// See [`Engine::kept_files`].
    pub(crate) fn kept_files(&self, dir: &Path) -> Result<Vec<PathBuf>, ProverError> {
        self.engine.kept_files(dir)
    }

    /// Whether other machines write sectors' files, where this one may see them a while later.
    pub(crate) fn shares_files(&self) -> bool {
        self.elsewhere.as_ref().is_some_and(Elsewhere::shares_files)
    }

    /// The directory of a sector.
    pub(crate) fn dir(&self, sector: u64) -> PathBuf {
        self.engine.dir(sector)
    }

    /// Whether the files of a replica are there and as long as they must be, see [`Engine::check`]; fails where that cannot be told. Blocks its
    /// thread for a moment, and waits for nothing.
    pub(crate) fn is_here(&self, sector: u64) -> Result<bool, ProverError> {
        match self.engine.check(sector) {
            Ok(()) => Ok(true),
            Err(error) if error.is_damage() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// See [`Engine::open_in`].
    pub(crate) async fn open_in(&self, dir: PathBuf, sector: u64, comm_r: Commitment) -> Result<(), ProverError> {
        let engine = self.engine.clone();
        let job = move || engine.open_in(&dir, sector, comm_r);
        self.run(Step::Check, sector, job).await
    }

    /// Does something with a sector's files while nothing else but proofs-of-spacetime is at them.
    pub(crate) async fn tidy<T: Send + 'static>(
        &self,
        sector: u64,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ProverError> {
        self.run(Step::Tidy, sector, move || Ok(job())).await
    }

    /// Whether anything of a sector is on the disk.
    pub fn has_files(&self, sector: u64) -> bool {
        self.engine.dir(sector).exists()
    }

    /// See [`Engine::remove`]. Nothing else is at the sector's files meanwhile but proofs-of-spacetime.
    pub async fn remove(&self, sector: u64) -> Result<(), ProverError> {
        if let Some(elsewhere) = &self.elsewhere {
            elsewhere.cancel(sector)?;
        }
        let engine = self.engine.clone();
        let job = move || engine.remove(sector);
        self.run(Step::Tidy, sector, job).await?;
        self.release(sector)
    }

    /// The same of a sector that nobody wants when its turn has come; whether it went.
    pub(crate) async fn remove_unless(
        &self,
        sector: u64,
        is_wanted: impl FnOnce() -> bool + Send + 'static,
    ) -> Result<bool, ProverError> {
        let engine = self.engine.clone();
        let job = move || match is_wanted() {
            true => Ok(false),
            false => engine.remove(sector).map(|()| true),
        };
        self.run(Step::Tidy, sector, job).await
    }

    /// Tells whoever sealed the sector in a folder of its own that nobody needs that any more.
    pub(crate) fn release(&self, sector: u64) -> Result<(), ProverError> {
        self.elsewhere
            .as_ref()
            .map_or(Ok(()), |elsewhere| elsewhere.release(sector))
    }

    /// See [`Engine::remove_unsealed`].
    pub async fn remove_unsealed(&self, sector: u64) -> Result<(), ProverError> {
        let engine = self.engine.clone();
        let job = move || engine.remove_unsealed(sector);
        self.run(Step::Tidy, sector, job).await
    }
}
