//! A machine that does steps of sealing for whoever posted them.
//!
//! It takes a step only when it would start at once, by the same rules as a daemon's own steps ([`super::super::selection`]), so that a machine holds
//! nothing that another could do. Once every [`BEAT`] it says that it lives. A step that writes a sector's files and was lost, because nothing was heard
//! of the database for [`SILENCE`] or because another machine has it now, must not go on: a thread cannot be stopped, so the process is.

mod computing;
mod held;

use self::held::{begin_rest, is_resting, Held, Holding};
use super::scratch::TIDY_EVERY;
use super::{step_of, Scratch};
use crate::clock;
use crate::prover::{machine, Prover, ProverError, Step};
use crate::staging::Staging;
use crate::supervisor::{Lifeline, ServiceError};
use sealdrop_database::blocking;
use sealdrop_database::jobs::{Claim, Jobs, Leadership, Machine, OpenJob, Outcome, Verdict, BEAT, SILENCE};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::Instrument;

/// How long a look at the jobs is put off at most when nothing is told.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often a step is tried, wherever, that fails by what is wrong with machines.
const MOST_TRIES: u32 = 4;
/// How long a name is held after the last sign of life.
const NAME_LEASE: Duration = Duration::from_secs(30);
/// How long the end of the service is put off by a sign of life.
const NAP: Duration = Duration::from_millis(250);
/// What health calls the way to the database.
const DATABASE: &str = "jobs of the database";
/// What health calls this machine's own files and its way to the storage.
const FILES: &str = "files of this machine";
/// What health calls the folder that it seals in.
const SCRATCH: &str = "folder of what is being sealed";

/// What a worker is, and may do.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// A name that no other machine has.
    pub name: String,
    /// Bytes of memory for jobs; none leaves it to the machine.
    pub memory: Option<u64>,
    /// The steps that it takes.
    pub steps: Vec<Step>,
    /// Where it seals, if not in the storage.
    pub scratch: Option<Scratch>,
}

/// See the module.
#[derive(Clone)]
pub struct Worker {
    jobs: Jobs,
    prover: Arc<Prover>,
    /// The same machine at the storage's files, where it is none that leads.
    windows: Option<Arc<Prover>>,
    staging: Staging,
    machine: Machine,
    steps: Vec<Step>,
    scratch: Option<Scratch>,
    held: Arc<Held>,
    /// Ends the process, with the reason.
    give_up: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Worker {
    /// A machine that does steps by `prover`. `give_up` ends the process.
    pub fn new(
        jobs: Jobs,
        prover: Arc<Prover>,
        staging: Staging,
        settings: WorkerSettings,
        give_up: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self {
        let WorkerSettings {
            name,
            memory,
            steps,
            scratch,
        } = settings;
        if let Some(memory) = memory {
            prover.allow(memory, 0);
        }
        let kept = if steps.contains(&Step::WindowPost) {
            prover.post_memory()
        } else {
            0
        };
        let machine = Machine {
            memory: memory
                .or_else(machine::available_memory)
                .unwrap_or(0)
                .saturating_sub(kept),
            cores: machine::cores(),
            kinds: steps.iter().map(|step| step.key().to_owned()).collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            keeps: scratch.as_ref().map(|scratch| scratch.waits),
            name,
        };
        Self {
            jobs,
            windows: None,
            prover,
            staging,
            machine,
            steps,
            scratch,
            held: Arc::default(),
            give_up: Arc::new(give_up),
        }
    }

    /// The same on a machine that is only a worker: it computes by what each order says, and makes proofs-of-spacetime by `windows`, at the storage's files.
    pub fn apart(self, windows: Arc<Prover>) -> Self {
        Self {
            windows: Some(windows),
            ..self
        }
    }

    /// Takes steps and does them until it is to stop; what it holds then is free for others at once. Fails when another machine has its name.
    pub async fn run(self, lifeline: Lifeline) -> Result<(), ServiceError> {
        let beating = self.clone();
        let naming = tokio::task::spawn_blocking(move || named(&beating.jobs, &beating.machine.name));
        let Some(name) = lifeline.unless_stopping(naming).await else {
            return Ok(());
        };
        let name = match name? {
            Err(error @ ProverError::NameTaken { .. }) => {
                (self.give_up)(&error.to_string());
                return Err(error.into());
            }
            name => name?,
        };
        // What an earlier life of this service left: a thread that changes files, or nothing.
        if self.writes() {
            (self.give_up)("a step of an earlier life of this service changes a sector's files: only the end of the process stops it");
        }
        self.held.jobs().clear();
        let heard = Arc::new(Mutex::new(Instant::now()));
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let (worker, given, told, line) = (self.clone(), name.clone(), heard.clone(), lifeline.clone());
        let beats = thread("signs of life").spawn(move || worker.beat_until_stopped(&given, &told, &line))?;
        let (worker, line) = (self.clone(), lifeline.clone());
        let watch = thread("watchdog").spawn(move || worker.watch_until_stopped(&heard, &line))?;
        if let Some(scratch) = self.scratch.clone() {
            let (worker, line) = (self.clone(), lifeline.clone());
            let tidying = async move { worker.tidy_until_stopped(&scratch, &line).await };
            lifeline.spawn_own("tidying", tidying);
        }
        let done = lifeline.unless_stopping(self.take_steps(&lifeline)).await;
        // Only where it is stopped: otherwise both go on until the service's next life.
        if lifeline.token().is_cancelled() {
            let _ = tokio::task::spawn_blocking(move || (beats.join(), watch.join())).await;
        }
        blocking(|| self.let_go(&name));
        done.unwrap_or(Ok(()))
    }

    async fn take_steps(&self, lifeline: &Lifeline) -> Result<(), ServiceError> {
        loop {
            // With all of its places taken a machine asks nobody: only the end of a step makes room. For a proof-of-spacetime there is nearly always room.
            let kinds = self.kinds_with_room();
            if kinds.is_empty() || self.held.rests() {
                lifeline.beat();
                let _ = tokio::time::timeout(LOOK_EVERY, self.held.ended.notified()).await;
                continue;
            }
            let ticket = self.jobs.ticket();
            let taken = blocking(|| self.take(&kinds));
            lifeline.beat();
            match taken {
                Ok(Some((claim, step))) => {
                    lifeline.well(DATABASE);
                    let (worker, line) = (self.clone(), lifeline.clone());
                    let mut work = Box::pin(async move { worker.perform(claim, step, &line).await });
                    // From here on it has its place among what runs here: the next one is chosen beside it.
                    if futures::poll!(&mut work).is_pending() {
                        lifeline.spawn_own("doing a step", work);
                    }
                    continue;
                }
                Ok(None) => lifeline.well(DATABASE),
                Err(error) => {
                    tracing::warn!(%error, "the jobs cannot be read; trying again");
                    lifeline.failing(DATABASE, &error);
                }
            }
            let jobs = self.jobs.clone();
            let told = tokio::task::spawn_blocking(move || jobs.wait_for_work(ticket, LOOK_EVERY));
            tokio::select! {
                _ = told => {}
                () = self.held.ended.notified() => {}
            }
        }
    }

    /// The kinds of steps of which one would start at once: what this machine has no room for must not hide what it has room for.
    fn kinds_with_room(&self) -> Vec<&'static str> {
        let rests = is_resting(&self.held.rest_of_windows);
        let would_start = |step: &&Step| {
            let may = !rests || **step != Step::WindowPost;
            may && !self.prover.would_start(&[(**step, None)]).is_empty()
        };
        self.steps.iter().filter(would_start).map(|step| step.key()).collect()
    }

    /// Whether a step would start at once: with phase 1 before it, where it may have to be done again.
    fn would_start(&self, step: Step, sector: Option<u64>) -> bool {
        let begins_anew = self.scratch.is_some()
            && matches!(step, Step::PreCommit2 | Step::Commit1)
            && sector.is_some_and(|sector| !self.prover.has_files(sector));
        let first = if begins_anew { Step::PreCommit1 } else { step };
        !self.prover.would_start(&[(first, sector)]).is_empty()
    }

    /// Takes the first step that would start at once.
    fn take(&self, kinds: &[&str]) -> Result<Option<(Claim, Step)>, ProverError> {
        let claim = loop {
            let open = self.jobs.open(&self.machine.name, kinds)?;
            let would_start = |job: &&OpenJob| {
                let step = step_of(&job.kind);
                // One that this machine was thought to have lost may be under way here still.
                let is_held = self.held.jobs().contains_key(&job.id);
                !is_held && step.is_some_and(|step| self.would_start(step, job.sector))
            };
            let ids: Vec<i64> = open.iter().filter(would_start).map(|job| job.id).collect();
            if ids.is_empty() {
                return Ok(None);
            }
            // Others were faster with all of them: there may be more.
            if let Some(claim) = self.jobs.claim(&self.machine.name, &ids)? {
                break claim;
            }
        };
        let step = step_of(&claim.kind).unwrap_or(Step::Scrub);
        let holding = Holding {
            fence: claim.fence,
            step,
            sector: claim.sector,
            writes: step.writes(),
        };
        self.held.jobs().insert(claim.id, holding);
        Ok(Some((claim, step)))
    }

    async fn perform(&self, claim: Claim, step: Step, lifeline: &Lifeline) {
        let began = Instant::now();
        let under_way = UnderWay {
            worker: self,
            claim: &claim,
            lifeline,
        };
        tracing::info!(job = claim.id, sector = claim.sector, %step, "a step was taken");
        let span = tracing::info_span!("job", id = claim.id, sector = claim.sector);
        let outcome = match self.compute(step, &claim).instrument(span).await {
            Ok(output) => {
                lifeline.well(FILES);
                Outcome::Done(output)
            }
            // Whoever posted it makes it now. What is wrong with this machine's way to the files must not keep the others from it.
            Err(error) if step == Step::WindowPost => {
                tracing::error!(job = claim.id, %step, %error, "a partition failed: no proof-of-spacetime is taken for a minute");
                begin_rest(&self.held.rest_of_windows);
                Outcome::Failed(error.to_string().into_bytes())
            }
            Err(error) if error.is_shortage() => {
                tracing::error!(job = claim.id, %step, %error, "there is no room: nothing more is taken for a minute");
                lifeline.failing(FILES, &error);
                self.held.rest();
                match step {
                    // Nothing of it is here yet.
                    Step::PreCommit1 => Outcome::NotHere(format!("{}: {error}", self.machine.name)),
                    _ => Outcome::NotNow(error.to_string()),
                }
            }
            Err(error) if error.passes() => {
                tracing::warn!(job = claim.id, %step, %error, "a step is put off");
                Outcome::NotNow(error.to_string())
            }
            // Another machine may reach what this one does not, and this one takes nothing for a while.
            Err(error) if error.is_of_the_machine() && claim.attempts < MOST_TRIES => {
                tracing::error!(job = claim.id, %step, %error, "a step failed by what is wrong here: nothing more is taken for a minute");
                lifeline.failing(FILES, &error);
                self.held.rest();
                Outcome::NotHere(format!("{}: {error}", self.machine.name))
            }
            Err(error) => Outcome::Failed(error.to_string().into_bytes()),
        };
        under_way.ended();
        let seconds = format!("{:.1}", began.elapsed().as_secs_f64());
        loop {
            let said = blocking(|| self.jobs.end(&self.machine.name, &claim, &outcome));
            match said {
                Ok(Verdict::Kept) => {
                    tracing::info!(job = claim.id, sector = claim.sector, %step, seconds, "the step has ended");
                    break;
                }
                Ok(Verdict::Lost) => {
                    tracing::warn!(job = claim.id, sector = claim.sector, %step, "the step was another machine's by now: its result is dropped");
                    break;
                }
                // It took long: it is said again and again, for as long as the server is away.
                Err(error) => {
                    tracing::warn!(job = claim.id, %error, "what came of a step cannot be said; trying again");
                    lifeline.failing(DATABASE, &error);
                    tokio::time::sleep(BEAT).await;
                }
            }
        }
    }

    /// Removes what is in this machine's own folder of sectors that nobody seals any more.
    async fn tidy_until_stopped(&self, scratch: &Scratch, lifeline: &Lifeline) {
        let held = self.held.clone();
        let is_at_work = move |sector| held.jobs().values().any(|job| job.sector == Some(sector));
        loop {
            match scratch.tidy(&self.jobs, &self.prover, is_at_work.clone()).await {
                Ok(_) => lifeline.well(SCRATCH),
                Err(error) => {
                    tracing::warn!(%error, "what is not needed any more stays on the disk; trying again");
                    lifeline.failing(SCRATCH, &error);
                }
            }
            if lifeline.unless_stopping(tokio::time::sleep(TIDY_EVERY)).await.is_none() {
                return;
            }
        }
    }

    /// Gives signs of life, on a thread that no step keeps busy.
    fn beat_until_stopped(&self, name: &Leadership, heard: &Mutex<Instant>, lifeline: &Lifeline) {
        while !lifeline.token().is_cancelled() {
            let held: Vec<(i64, i64)> = self.held.jobs().iter().map(|(id, job)| (*id, job.fence)).collect();
            let asked = Instant::now();
            let answered = self
                .jobs
                .beat(&self.machine, &held)
                .and_then(|kept| Ok((kept, self.jobs.keep_leading(name, NAME_LEASE)?)));
            match answered {
                Ok((kept, is_ours)) => {
                    *heard.lock().unwrap_or_else(PoisonError::into_inner) = asked;
                    if !is_ours {
                        (self.give_up)("another machine has taken this one's name: give each its own");
                    }
                    let lost = held.iter().map(|(id, _)| *id).filter(|id| !kept.contains(id));
                    lost.for_each(|id| self.lost(id));
                }
                Err(error) => tracing::warn!(%error, "no sign of life could be given; trying again"),
            }
            nap(BEAT, lifeline);
        }
    }

    /// Ends the process when nothing was heard for too long, whatever keeps the signs of life waiting.
    fn watch_until_stopped(&self, heard: &Mutex<Instant>, lifeline: &Lifeline) {
        while !lifeline.token().is_cancelled() {
            let silent = heard.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
            if silent > SILENCE && self.writes() {
                (self.give_up)("nothing was heard of the database for too long: others may have this machine's steps by now, and must not find it at their files");
            }
            nap(NAP, lifeline);
        }
    }

    /// Whether a step is under way that changes a sector's files.
    fn writes(&self) -> bool {
        self.held.jobs().values().any(|job| job.writes)
    }

    fn lost(&self, id: i64) {
        // It may have ended by itself since.
        let Some(job) = self.held.jobs().get(&id).copied() else {
            return;
        };
        if job.step == Step::WindowPost {
            // As usual: it was made by the one that leads.
            return;
        }
        tracing::warn!(job = id, step = %job.step, "a step was lost: another machine has it, or nobody wants it any more");
        if job.writes {
            (self.give_up)("a step was lost that changes a sector's files: it must not go on beside another machine's");
        }
    }

    /// Frees what is held, at the end: others need not wait for the leases.
    fn let_go(&self, name: &Leadership) {
        let held: Vec<(i64, Holding)> = self.held.jobs().iter().map(|(id, job)| (*id, *job)).collect();
        for (id, job) in held {
            let claim = Claim {
                id,
                fence: job.fence,
                attempts: 0,
                kind: job.step.key().to_owned(),
                sector: None,
                input: Vec::new(),
            };
            // A thread cannot be stopped, and the process may take a while to end.
            let rest = if job.writes { SILENCE / 2 } else { Duration::ZERO };
            if let Err(error) = self.jobs.end(&self.machine.name, &claim, &Outcome::Stopped(rest)) {
                tracing::warn!(%error, "a step stays held until its lease is over");
            }
        }
        let _ = self.jobs.stop_leading(name);
    }
}

/// A step that is under way: it is held until it has ended, however that was.
struct UnderWay<'a> {
    worker: &'a Worker,
    claim: &'a Claim,
    lifeline: &'a Lifeline,
}

impl UnderWay<'_> {
    /// No thread is at it any more; what came of it is to be said.
    fn ended(&self) {
        if let Some(job) = self.worker.held.jobs().get_mut(&self.claim.id) {
            job.writes = false;
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if self.lifeline.token().is_cancelled() {
            // It is let go of at the end.
            return;
        }
        let mut jobs = self.worker.held.jobs();
        let held = jobs
            .get(&self.claim.id)
            .copied()
            .filter(|job| job.fence == self.claim.fence);
        if held.is_some() {
            jobs.remove(&self.claim.id);
        }
        drop(jobs);
        self.worker.held.ended.notify_one();
        if held.is_some_and(|job| job.writes) {
            (self.worker.give_up)(
                "a step was given up that changes a sector's files: only the end of the process stops it",
            );
        }
    }
}

/// Sleeps, unless the service is to stop.
fn nap(time: Duration, lifeline: &Lifeline) {
    let until = Instant::now() + time;
    while Instant::now() < until && !lifeline.token().is_cancelled() {
        std::thread::sleep(NAP);
    }
}

/// Takes a machine's name. One that crashed has it until its lease is over, which is waited for.
fn named(jobs: &Jobs, name: &str) -> Result<Leadership, ProverError> {
    let session = format!("{}-{}", std::process::id(), clock::now_ms());
    let until = Instant::now() + NAME_LEASE + BEAT;
    loop {
        match jobs.lead(&format!("worker {name}"), &session, NAME_LEASE)? {
            Ok(taken) => return Ok(taken),
            Err(_) if Instant::now() > until => return Err(ProverError::NameTaken { name: name.to_owned() }),
            Err(_) => std::thread::sleep(Duration::from_secs(1)),
        }
    }
}
