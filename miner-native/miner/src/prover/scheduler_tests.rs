//! The threads do what the schedule says; steps are held by gates, never by time.

use super::*;
use crate::store::MinerStore;
use shared::piece::SectorSize;
use std::sync::mpsc;
use tokio::sync::Notify;

const GIB: u64 = 1 << 30;

struct World {
    scheduler: Scheduler,
    _store: MinerStore,
    _dir: tempfile::TempDir,
}

/// Two cores and 5 GiB beyond the reserve.
fn world() -> World {
    let dir = tempfile::tempdir().expect("a folder");
    let store = MinerStore::open(&dir.path().join("store")).expect("a database");
    let rates = Rates::load(SectorSize::S8MiB, store.rates());
    let plan = Plan {
        cores: 2,
        memory: Some(6 * GIB),
        slots: 0,
        reserve: GIB,
        proof: 4 * GIB,
    };
    World {
        scheduler: Scheduler::new(plan, rates),
        _store: store,
        _dir: dir,
    }
}

fn order(step: Step, sector: u64, memory: u64) -> Order {
    Order {
        step,
        sector: Some(sector),
        cost: Cost { memory, threads: 1 },
        units: 1,
    }
}

/// A step that tells when it begins and ends when it may.
struct Held {
    began: Arc<Notify>,
    go: mpsc::Sender<()>,
    task: tokio::task::JoinHandle<Result<u64, ProverError>>,
}

impl Held {
    fn start(scheduler: &Scheduler, order: Order) -> Self {
        let (began, (go, gate)) = (Arc::new(Notify::new()), mpsc::channel::<()>());
        let (scheduler, tell) = (scheduler.clone(), began.clone());
        let work = move || {
            tell.notify_one();
            gate.recv().expect("the test lets it go on");
            Ok(7)
        };
        let task = tokio::spawn(async move { scheduler.run(order, work).await });
        Self { began, go, task }
    }

    async fn begun(&self) {
        self.began.notified().await;
    }

    async fn end(self) {
        self.go.send(()).expect("it waits");
        assert!(matches!(self.task.await.expect("no panic"), Ok(7)));
    }
}

/// Waits until so many steps are in the queue.
async fn queued(scheduler: &Scheduler, count: usize) {
    while scheduler.inner.state().waiting.len() < count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_panicking_step_is_an_error_of_that_step_and_the_others_go_on() {
    let world = world();
    let broken = world
        .scheduler
        .run::<()>(order(Step::Commit2, 1, GIB), || panic!("on purpose"))
        .await;
    assert!(matches!(broken, Err(ProverError::Panicked { step: Step::Commit2, reason }) if reason == "on purpose"));
    assert!(matches!(
        world.scheduler.run(order(Step::Commit2, 2, GIB), || Ok(2)).await,
        Ok(2)
    ));
    assert_eq!(world.scheduler.jobs(), []);
}

#[tokio::test]
async fn the_next_sector_is_encoded_beside_a_proof_and_the_second_proof_waits() {
    let world = world();
    let first = Held::start(&world.scheduler, order(Step::Commit2, 1, 4 * GIB));
    first.begun().await;
    let second = Held::start(&world.scheduler, order(Step::Commit2, 2, 4 * GIB));
    queued(&world.scheduler, 1).await;
    let encoding = Held::start(&world.scheduler, order(Step::PreCommit1, 3, GIB / 8));
    encoding.begun().await;
    let jobs = world.scheduler.jobs();
    let states: Vec<_> = jobs.iter().map(|job| (job.sector, job.step, job.state)).collect();
    assert!(matches!(
        states[..],
        [
            (Some(1), Step::Commit2, JobState::Running { .. }),
            (Some(3), Step::PreCommit1, JobState::Running { .. }),
            (Some(2), Step::Commit2, JobState::Queued { behind: 2 })
        ]
    ));
    assert!(jobs[2].wait_ms.is_some() && jobs[2].expected_ms.is_some(), "{jobs:?}");
    first.end().await;
    second.begun().await;
    encoding.end().await;
    second.end().await;
}

#[tokio::test]
async fn sealing_starts_no_step_while_a_proof_of_spacetime_is_due() {
    let world = world();
    let proof = Held::start(&world.scheduler, order(Step::Commit2, 1, 5 * GIB));
    proof.begun().await;
    let priority = world.scheduler.priority();
    let waits = Held::start(&world.scheduler, order(Step::PreCommit1, 2, 1));
    queued(&world.scheduler, 1).await;
    // All of sealing's memory is taken, and it does not wait for it.
    let post = Order {
        sector: None,
        ..order(Step::WindowPost, 0, GIB)
    };
    let post = Held::start(&world.scheduler, post);
    post.begun().await;
    post.end().await;
    proof.end().await;
    assert_eq!(
        world.scheduler.inner.state().running.len(),
        0,
        "it is due until the proof is sent"
    );
    drop(priority);
    waits.begun().await;
    waits.end().await;
}

/// Both compute with rayon, and phase 2 of large sectors leaves none of its threads idle for minutes.
#[tokio::test]
async fn a_proof_of_spacetime_does_not_queue_behind_the_pieces_of_another_step() {
    let world = world();
    let (began, (go, gate)) = (Arc::new(Notify::new()), mpsc::channel::<()>());
    let (scheduler, tell, gate) = (world.scheduler.clone(), began.clone(), Mutex::new(gate));
    let busy = move || {
        assert!(rayon::current_thread_index().is_some(), "on a pool of its own");
        rayon::broadcast(|_| {
            tell.notify_one();
            // Held until the test drops the sender.
            gate.lock().unwrap_or_else(PoisonError::into_inner).recv()
        });
        Ok(())
    };
    let proof = tokio::spawn(async move { scheduler.run(order(Step::PreCommit2, 1, GIB), busy).await });
    began.notified().await;
    let post = Order {
        sector: None,
        ..order(Step::WindowPost, 0, GIB)
    };
    let sum = world.scheduler.run(post, || {
        assert!(rayon::current_thread_index().is_some(), "not on the common pool");
        Ok(rayon::join(|| 3, || 4))
    });
    assert!(matches!(sum.await, Ok((3, 4))));
    drop(go);
    proof.await.expect("no panic").expect("it is done");
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_started() {
    let world = world();
    let proof = Held::start(&world.scheduler, order(Step::Commit2, 1, 4 * GIB));
    proof.begun().await;
    let given_up = Held::start(&world.scheduler, order(Step::Commit2, 2, 4 * GIB));
    queued(&world.scheduler, 1).await;
    given_up.task.abort();
    assert!(given_up.task.await.expect_err("aborted").is_cancelled());
    assert_eq!(world.scheduler.inner.state().waiting.len(), 0);
    proof.end().await;
}

#[tokio::test]
async fn a_step_that_never_fits_says_how_much_it_needs() {
    let world = world();
    let outcome = world.scheduler.run(order(Step::Commit2, 1, 8 * GIB), || Ok(())).await;
    let Err(error) = outcome else { panic!("it does not fit") };
    let text = error.to_string();
    assert!(
        text.contains("8.0 GiB") && text.contains("5.0 GiB") && text.contains("1.0 GiB"),
        "{text}"
    );
    assert!(error.passes());
    world.scheduler.allow(Some(10 * GIB), 0);
    let outcome = world.scheduler.run(order(Step::Commit2, 1, 8 * GIB), || Ok(())).await;
    outcome.expect("the operator gave it more");
}

#[tokio::test]
async fn long_reading_pauses_while_a_proof_of_spacetime_is_due() {
    let world = world();
    let (priority, scheduler) = (world.scheduler.priority(), world.scheduler.clone());
    let reading = tokio::task::spawn_blocking(move || scheduler.wait_until_idle());
    assert!(!reading.is_finished());
    drop(priority);
    reading.await.expect("it goes on");
}
