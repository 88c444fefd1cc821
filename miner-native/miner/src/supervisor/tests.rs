//! Restarts, the end of the process, the order of stopping and health, all under virtual time.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use tokio::time::Instant;

const SILENCE: Duration = Duration::from_secs(20);

fn supervisor() -> Supervisor {
    Supervisor::new(RestartPolicy::default())
}

/// A service that lives until it is told to stop.
fn lasting(name: &'static str, stage: Stage) -> Service {
    Service::new(name, stage, Duration::MAX, |lifeline| async move {
        lifeline.stopping().await;
        Ok(())
    })
}

/// A service that ends as `end` says at each start; when it was started.
fn ending(end: fn() -> Result<(), ServiceError>) -> (Service, Arc<Mutex<Vec<Instant>>>) {
    let starts = Arc::new(Mutex::new(Vec::new()));
    let seen = starts.clone();
    let service = Service::new("ending", Stage::Work, SILENCE, move |_| {
        seen.lock().expect("nobody panics with it").push(Instant::now());
        async move { end() }
    });
    (service, starts)
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn only(health: &Health) -> &ServiceHealth {
    assert_eq!(health.services.len(), 1);
    &health.services[0]
}

#[tokio::test(start_paused = true)]
async fn a_service_that_panics_is_started_again_after_pauses_that_grow() {
    let mut supervisor = supervisor();
    let began = Instant::now();
    let (service, starts) = ending(|| panic!("a broken rule"));
    supervisor.start(service);
    seconds(40).await;
    let starts = starts.lock().expect("whole").clone();
    let after: Vec<u64> = starts.iter().map(|at| at.duration_since(began).as_secs()).collect();
    assert_eq!(after, [0, 1, 3, 7, 15, 31]);
    let health = supervisor.board().health();
    let shown = only(&health);
    assert_eq!(shown.state, ServiceState::Restarting);
    assert_eq!((shown.restarts, shown.panics), (6, 6));
    assert_eq!(shown.last_error.as_deref(), Some("it panicked: a broken rule"));
    assert!(!health.ok && health.problems[0].text.contains("a broken rule"));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_ends_again_and_again_ends_the_process() {
    let mut supervisor = supervisor();
    let (service, starts) = ending(|| Err("the disk is on fire".into()));
    supervisor.start(service);
    let failed = supervisor.failed().await;
    assert_eq!((failed.name, failed.times), ("ending", MOST_RESTARTS + 1));
    assert!(failed.reason.contains("the disk is on fire"), "{failed}");
    assert_eq!(starts.lock().expect("whole").len(), MOST_RESTARTS + 1);
    let health = supervisor.board().health();
    assert_eq!(only(&health).state, ServiceState::Down);
    assert!(!health.ok);
    seconds(3600).await;
    assert_eq!(
        starts.lock().expect("whole").len(),
        MOST_RESTARTS + 1,
        "it is left alone"
    );
}

#[tokio::test(start_paused = true)]
async fn an_end_that_nobody_ordered_is_an_end_that_is_seen() {
    let mut supervisor = supervisor();
    let (service, starts) = ending(|| Ok(()));
    supervisor.start(service);
    seconds(2).await;
    assert_eq!(starts.lock().expect("whole").len(), 2);
    let health = supervisor.board().health();
    let expected = Some("it ended without being told to");
    assert_eq!(only(&health).last_error.as_deref(), expected);
    assert!(!health.ok);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_ends_now_and_then_is_always_started_again() {
    let mut supervisor = supervisor();
    let starts = Arc::new(AtomicUsize::new(0));
    let counted = starts.clone();
    supervisor.start(Service::new("ending", Stage::Work, Duration::MAX, move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async {
            tokio::time::sleep(RESTART_WINDOW).await;
            Err("once more".into())
        }
    }));
    let windows = u32::try_from(MOST_RESTARTS).expect("few") * 3;
    let lasting = tokio::time::timeout(RESTART_WINDOW * windows, supervisor.failed());
    assert!(lasting.await.is_err(), "it never ends the process");
    assert!(starts.load(Ordering::SeqCst) > MOST_RESTARTS * 2);
}

#[tokio::test(start_paused = true)]
async fn services_stop_in_order_what_takes_work_in_first_and_the_store_last() {
    let mut supervisor = supervisor();
    let stopped = Arc::new(Mutex::new(Vec::new()));
    let stages = [
        Stage::Store,
        Stage::Chain,
        Stage::Work,
        Stage::ChainAccess,
        Stage::Intake,
    ];
    for stage in stages {
        let stopped = stopped.clone();
        supervisor.start(Service::new("one of many", stage, Duration::MAX, move |lifeline| {
            let stopped = stopped.clone();
            async move {
                lifeline.stopping().await;
                // What is under way takes its time, and those after it wait.
                tokio::time::sleep(Duration::from_secs(1)).await;
                stopped.lock().expect("whole").push(stage);
                Ok(())
            }
        }));
    }
    seconds(1).await;
    let board = supervisor.board();
    assert!(board.health().ok);
    supervisor.stop().await;
    let expected = [
        Stage::Intake,
        Stage::Work,
        Stage::ChainAccess,
        Stage::Chain,
        Stage::Store,
    ];
    assert_eq!(*stopped.lock().expect("whole"), expected);
    let health = board.health();
    let all_stopped = health.services.iter().all(|one| one.state == ServiceState::Stopped);
    assert!(all_stopped && !health.ok, "{health:?}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_stop_holds_nobody_up() {
    let mut supervisor = supervisor();
    supervisor.start(Service::new("deaf", Stage::Intake, Duration::MAX, |_| {
        std::future::pending()
    }));
    seconds(1).await;
    let began = Instant::now();
    supervisor.stop().await;
    assert!(began.elapsed() <= STOP_LIMIT * 3);
}

#[tokio::test(start_paused = true)]
async fn health_is_not_green_before_a_service_has_started_nor_while_it_is_late() {
    let mut supervisor = supervisor();
    assert!(!supervisor.board().health().ok, "nothing runs");
    supervisor.start(Service::new("quiet", Stage::Work, SILENCE, |lifeline| async move {
        lifeline.beat();
        lifeline.busy(SILENCE * 3, tokio::time::sleep(SILENCE * 2)).await;
        lifeline.stopping().await;
        Ok(())
    }));
    assert!(!supervisor.board().health().ok, "it has not begun");
    let board = supervisor.board();
    tokio::time::sleep(SILENCE + SILENCE / 2).await;
    assert!(board.health().ok, "it said that it would be busy: {:?}", board.health());
    tokio::time::sleep(SILENCE).await;
    assert!(board.health().ok, "it has just given a sign");
    tokio::time::sleep(SILENCE).await;
    let health = board.health();
    assert!(!health.ok && only(&health).is_late);
    assert!(health.problems[0].text.contains("no sign of life"), "{health:?}");
}

#[tokio::test(start_paused = true)]
async fn health_is_not_green_while_a_service_says_that_something_fails() {
    let mut supervisor = supervisor();
    let (break_it, broken) = tokio::sync::watch::channel(false);
    supervisor.start(lasting("another", Stage::Chain));
    supervisor.start(Service::new("failing", Stage::Work, Duration::MAX, move |lifeline| {
        let mut broken = broken.clone();
        async move {
            while broken.changed().await.is_ok() {
                match *broken.borrow() {
                    true => lifeline.failing("the disk", &"no space left"),
                    false => lifeline.well("the disk"),
                }
            }
            Ok(())
        }
    }));
    let board = supervisor.board();
    seconds(1).await;
    assert!(board.health().ok);
    break_it.send_replace(true);
    seconds(1).await;
    let health = board.health();
    assert!(!health.ok);
    assert_eq!(health.problems[0].text, "the disk: no space left");
    assert_eq!(health.problems[0].service, "failing");
    break_it.send_replace(false);
    seconds(1).await;
    let health = board.health();
    assert!(health.ok, "{health:?}");
    assert_eq!(health.services[1].last_error.as_deref(), Some("no space left"));
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_a_task_is_counted_and_ends_no_service() {
    let mut supervisor = supervisor();
    supervisor.start(Service::new(
        "busy",
        Stage::Work,
        Duration::MAX,
        |lifeline| async move {
            drop(lifeline.spawn("an exchange", async { panic!("a peer's doing") }));
            lifeline.stopping().await;
            Ok(())
        },
    ));
    seconds(1).await;
    let health = supervisor.board().health();
    let shown = only(&health);
    assert_eq!((shown.state, shown.panics, shown.restarts), (ServiceState::Up, 1, 0));
    let expected = Some("an exchange panicked: a peer's doing");
    assert_eq!(shown.last_error.as_deref(), expected);
}

#[tokio::test(start_paused = true)]
async fn tasks_of_a_service_end_before_it_is_started_again() {
    let mut supervisor = supervisor();
    let running = Arc::new(AtomicUsize::new(0));
    let counted = running.clone();
    supervisor.start(Service::new("parent", Stage::Work, Duration::MAX, move |lifeline| {
        let running = counted.clone();
        async move {
            assert_eq!(running.load(Ordering::SeqCst), 0, "those of its last life are gone");
            struct Leaves(Arc<AtomicUsize>);
            impl Drop for Leaves {
                fn drop(&mut self) {
                    self.0.fetch_sub(1, Ordering::SeqCst);
                }
            }
            running.fetch_add(1, Ordering::SeqCst);
            let leaves = Leaves(running.clone());
            drop(lifeline.spawn("a task", async move {
                let _leaves = leaves;
                std::future::pending::<()>().await;
            }));
            tokio::time::sleep(Duration::from_secs(1)).await;
            Err("again".into())
        }
    }));
    seconds(10).await;
    assert_eq!(only(&supervisor.board().health()).panics, 0);
    supervisor.stop().await;
    assert_eq!(running.load(Ordering::SeqCst), 0);
}
