//! How much faster many machines are than one: steps that only take time, through the database as real ones go.

use crate::kill::FakeProofs;
use sealdrop::daemon::Proofs;
use sealdrop_database::jobs::Jobs;
use sealdrop_database::testing::database;
use sealdrop_database::Memory;
use sealdrop_miner::prover::elsewhere::{Elsewhere, Worker, WorkerSettings};
use sealdrop_miner::prover::{Commitments, Cost, Engine, Implementation, Prover, ProverError, Step};
use sealdrop_miner::staging::Staging;
use sealdrop_miner::store::MinerStore;
use sealdrop_miner::supervisor::Lifeline;
use serde_json::{json, Value};
use shared::piece::{Commitment, SectorSize};
use shared::sector::{Sealed, Sector};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How long a step takes.
const STEP: Duration = Duration::from_secs(2);
/// Steps for each machine.
const EACH: u64 = 10;
const MACHINES: [u64; 3] = [1, 8, 64];

/// Measures 1, 8 and 64 machines, each with the same work for one of them.
///
/// # Panics
///
/// When the server does not answer, or a step fails.
#[must_use]
pub fn run() -> Value {
    let url = database("speed").expect("SEALDROP_POSTGRES names a server");
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder
        .enable_all()
        .max_blocking_threads(2000)
        .build()
        .expect("a runtime");
    let rates = MACHINES.map(|machines| runtime.block_on(steps_a_second(&url, machines)));
    runtime.shutdown_background();
    let [one, eight, many] = rates;
    println!("machines    steps/s    speed-up    of the bound");
    for (machines, rate) in MACHINES.iter().zip(rates) {
        let (by, bound) = (rate / one, rate * STEP.as_secs_f64() / *machines as f64);
        println!("{machines:>8} {rate:>10.2} {by:>11.1} {bound:>15.2}");
    }
    json!({ "workers8_speedup": eight / one, "workers64_speedup": many / one })
}

/// The rate at which so many machines do steps, all of which are posted at once.
async fn steps_a_second(url: &str, machines: u64) -> f64 {
    let space = format!("speed_{machines}");
    let jobs = |space: &str| Jobs::at(url, space).expect("the server answers");
    let mut working = Vec::new();
    for number in 0..machines {
        let worker = Worker::new(
            jobs(&space),
            Arc::new(prover()),
            Staging::of_another("."),
            WorkerSettings {
                name: format!("machine {number}"),
                memory: None,
                steps: vec![Step::Commit2],
                scratch: None,
            },
            |reason| panic!("{reason}"),
        );
        working.push(tokio::spawn(worker.run(Lifeline::unsupervised())));
    }
    // Until all have come up.
    let counting = jobs(&space);
    while counting.machines().expect("it answers").len() < machines as usize {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let prover = Arc::new(prover().with_elsewhere(Elsewhere::new(jobs(&space), [7; 32], true)));
    let begun = Instant::now();
    let mut steps = JoinSet::new();
    for sector in 0..machines * EACH {
        let prover = prover.clone();
        steps.spawn(async move {
            prover
                .commit2(sector, vec![7; 60_000])
                .await
                .expect("it only takes time")
        });
    }
    while steps.join_next().await.is_some() {}
    let rate = (machines * EACH) as f64 / begun.elapsed().as_secs_f64();
    working.iter().for_each(tokio::task::JoinHandle::abort);
    rate
}

fn prover() -> Prover {
    let fake = FakeProofs
        .engine([7; 32], SectorSize::S2KiB, ".".into())
        .expect("it is fake");
    let rates = MinerStore::of(Arc::new(Memory::default())).rates();
    let prover = Prover::start(Arc::new(Sleeping(fake)), SectorSize::S2KiB, rates);
    // One at a time, on whatever machine.
    prover.allow(1 << 30, 1);
    prover
}

/// An engine whose proofs only take time; everything else is the FAKE one's.
struct Sleeping(Arc<dyn Engine>);

impl Engine for Sleeping {
    fn dir(&self, sector: u64) -> PathBuf {
        self.0.dir(sector)
    }
    fn prover_id(&self) -> [u8; 32] {
        self.0.prover_id()
    }
    fn pre_commit1_files(&self, dir: &Path) -> Result<Vec<PathBuf>, ProverError> {
        self.0.pre_commit1_files(dir)
    }
    fn pre_commit2_files(&self, dir: &Path) -> Result<Vec<PathBuf>, ProverError> {
        self.0.pre_commit2_files(dir)
    }
    fn check_pre_commit(
        &self,
        sector: &Sector,
        ticket: [u8; 32],
        commitments: &Commitments,
    ) -> Result<(), ProverError> {
        self.0.check_pre_commit(sector, ticket, commitments)
    }
    fn pre_commit1(&self, sector: &Sector, ticket: [u8; 32], staging: &Staging) -> Result<Vec<u8>, ProverError> {
        self.0.pre_commit1(sector, ticket, staging)
    }
    fn pre_commit2(&self, sector: &Sector, ticket: [u8; 32], output: &[u8]) -> Result<Commitments, ProverError> {
        self.0.pre_commit2(sector, ticket, output)
    }
    fn commit1(&self, sector: &Sector, sealed: &Sealed, seed: [u8; 32]) -> Result<Vec<u8>, ProverError> {
        self.0.commit1(sector, sealed, seed)
    }
    fn commit2(&self, _: u64, _: &[u8], _: Implementation) -> Result<Vec<u8>, ProverError> {
        std::thread::sleep(STEP);
        Ok(vec![7; 192])
    }
    fn clear_cache(&self, sector: u64) -> Result<(), ProverError> {
        self.0.clear_cache(sector)
    }
    fn window_post(&self, randomness: [u8; 32], sectors: &[(u64, Commitment)]) -> Result<Vec<u8>, ProverError> {
        self.0.window_post(randomness, sectors)
    }
    fn unseal(&self, sector: &Sector, sealed: &Sealed, index: usize, out: &mut File) -> Result<(), ProverError> {
        self.0.unseal(sector, sealed, index, out)
    }
    fn check(&self, sector: u64) -> Result<(), ProverError> {
        self.0.check(sector)
    }
    fn kept_files(&self, dir: &Path) -> Result<Vec<PathBuf>, ProverError> {
        self.0.kept_files(dir)
    }
    fn remove(&self, sector: u64) -> Result<(), ProverError> {
        self.0.remove(sector)
    }
    fn open_in(&self, dir: &Path, sector: u64, comm_r: Commitment) -> Result<(), ProverError> {
        self.0.open_in(dir, sector, comm_r)
    }
    fn remove_unsealed(&self, sector: u64) -> Result<(), ProverError> {
        self.0.remove_unsealed(sector)
    }
    fn cost(&self, step: Step) -> Cost {
        // As a real one: one at a time.
        Cost {
            memory: 1 << 20,
            ..self.0.cost(step)
        }
    }
}
