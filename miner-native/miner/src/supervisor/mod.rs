//! Runs the daemon's services so that none of them can end unnoticed (design §6).
//!
//! Decides when a service that ended is started again, when that happened too often, and in which order services stop. A service
//! is a named function of a [`Lifeline`]: it returns when it is told to stop, and never before. One that panics, fails or returns
//! by itself is logged, counted, shown in [`Health`], and started again after a pause that grows; when that does not help,
//! [`Supervisor::failed`] says so and the daemon ends with [`shared::exit_code::SERVICE_FAILED`]. Whoever starts the daemon
//! (systemd, a container) then starts it anew.
//!
//! Called by the program's `daemon`, which puts the services together. What a service does is its own file's business.

mod backoff;
mod health;
mod lifeline;
mod policy;
#[cfg(test)]
mod tests;

pub use backoff::Backoff;
pub use health::{Health, HealthBoard, Problem, ServiceHealth, ServiceState};
pub use lifeline::Lifeline;
pub use policy::{RestartPolicy, FIRST_PAUSE, LONGEST_PAUSE, MOST_RESTARTS, RESTART_WINDOW, STOP_LIMIT};

use health::Entry;
use policy::Restarts;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Why a service ended that was not told to.
pub type ServiceError = Box<dyn std::error::Error + Send + Sync>;
type Run = Pin<Box<dyn Future<Output = Result<(), ServiceError>> + Send>>;

/// When a service stops, the first first: what lets work in, what works, what the work needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Lets work in from outside: peers, the operator.
    Intake,
    /// Does the work.
    Work,
    /// The way to the chain.
    ChainAccess,
    /// The chain itself, where it runs in this process.
    Chain,
    /// The records of everything.
    Store,
}

/// A named part of the daemon that runs until it is told to stop.
pub struct Service {
    name: &'static str,
    stage: Stage,
    silence: Duration,
    run: Box<dyn FnMut(Lifeline) -> Run + Send>,
}

impl Service {
    /// `run` is called at each start of the service; it gives a sign of life at least once in `silence`.
    pub fn new<F, Running>(name: &'static str, stage: Stage, silence: Duration, mut run: F) -> Self
    where
        F: FnMut(Lifeline) -> Running + Send + 'static,
        Running: Future<Output = Result<(), ServiceError>> + Send + 'static,
    {
        Self {
            name,
            stage,
            silence,
            run: Box::new(move |lifeline| Box::pin(run(lifeline))),
        }
    }
}

/// A service that could not be kept running.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the service {name} ended {times} times within {} minutes, the last time because {reason}; the daemon ends, so that it is \
     started anew as a whole",
    RESTART_WINDOW.as_secs() / 60
)]
pub struct ServiceFailed {
    pub name: &'static str,
    pub times: usize,
    pub reason: String,
}

/// The services of one daemon.
pub struct Supervisor {
    policy: RestartPolicy,
    board: HealthBoard,
    stages: BTreeMap<Stage, Group>,
    failed: watch::Sender<Option<ServiceFailed>>,
}

/// The services of one stage.
#[derive(Default)]
struct Group {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Supervisor {
    pub fn new(policy: RestartPolicy) -> Self {
        Self {
            policy,
            board: HealthBoard::default(),
            stages: BTreeMap::new(),
            failed: watch::Sender::new(None),
        }
    }

    /// How the services are doing.
    pub fn board(&self) -> HealthBoard {
        self.board.clone()
    }

    /// Starts a service; it is started again whenever it ends, until [`Self::stop`].
    pub fn start(&mut self, service: Service) {
        let entry = self.board.add(service.name, service.silence);
        let group = self.stages.entry(service.stage).or_default();
        let supervised = supervise(service, entry, group.stop.clone(), self.policy, self.failed.clone());
        group.tasks.spawn(supervised);
    }

    /// Returns when a service ended too often to be started again.
    pub fn failed(&self) -> impl Future<Output = ServiceFailed> + Send + use<> {
        let mut failed = self.failed.subscribe();
        async move {
            let found = failed.wait_for(Option::is_some).await;
            match found.ok().and_then(|found| found.clone()) {
                Some(failed) => failed,
                // The services were stopped.
                None => std::future::pending().await,
            }
        }
    }

    /// Stops the services, stage by stage: each stage has ended, or had [`STOP_LIMIT`], before the next is told.
    pub async fn stop(self) {
        for (stage, group) in self.stages {
            group.stop.cancel();
            group.tasks.close();
            // Twice the limit of a service: it waits for its own tasks after itself.
            if tokio::time::timeout(STOP_LIMIT * 3, group.tasks.wait()).await.is_err() {
                tracing::warn!(
                    ?stage,
                    "services did not stop in time; what they were at is taken up at the next start"
                );
            }
        }
    }
}

/// Runs a service again and again.
async fn supervise(
    mut service: Service,
    entry: Arc<Entry>,
    stop: CancellationToken,
    policy: RestartPolicy,
    failed: watch::Sender<Option<ServiceFailed>>,
) {
    let name = service.name;
    let mut restarts = Restarts::new(policy);
    loop {
        let ended = live(&mut service, &entry, &stop).await;
        if stop.is_cancelled() {
            return entry.stopped();
        }
        let (reason, is_panic) = reason(ended);
        let Some(pause) = restarts.ended() else {
            entry.down(&reason, is_panic);
            tracing::error!(
                service = name,
                reason,
                "a service ended again and is not started any more"
            );
            let times = restarts.count();
            failed.send_if_modified(|failed| {
                let is_first = failed.is_none();
                failed.get_or_insert(ServiceFailed { name, times, reason });
                is_first
            });
            return;
        };
        entry.restarting(&reason, is_panic);
        tracing::error!(service = name, reason, pause = ?pause, "a service ended by itself and is started again");
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return entry.stopped();
        }
    }
}

type Ended = Result<Result<(), ServiceError>, JoinError>;

/// One life of a service, with the tasks that it started; `None` when it did not stop in time and was ended.
async fn live(service: &mut Service, entry: &Arc<Entry>, stop: &CancellationToken) -> Option<Ended> {
    let stopping = stop.child_token();
    let lifeline = Lifeline::new(entry.clone(), stopping.clone());
    entry.up();
    let tasks = lifeline.tasks();
    // A task of its own, so that its panic is its own.
    let mut task = tokio::spawn((service.run)(lifeline));
    let ended = tokio::select! {
        ended = &mut task => Some(ended),
        () = stop.cancelled() => in_time(&mut task).await,
    };
    stopping.cancel();
    tasks.close();
    if tokio::time::timeout(STOP_LIMIT, tasks.wait()).await.is_err() {
        tracing::warn!(
            service = service.name,
            "tasks of the service are still at something that cannot be interrupted"
        );
    }
    ended
}

async fn in_time(task: &mut JoinHandle<Result<(), ServiceError>>) -> Option<Ended> {
    let ended = tokio::time::timeout(STOP_LIMIT, &mut *task).await.ok();
    if ended.is_none() {
        task.abort();
    }
    ended
}

/// Why a service ended that was not told to, and whether it panicked.
fn reason(ended: Option<Ended>) -> (String, bool) {
    match ended {
        Some(Ok(Ok(()))) => ("it ended without being told to".to_owned(), false),
        Some(Ok(Err(error))) => (format!("it failed: {error}"), false),
        Some(Err(join)) => match join.try_into_panic() {
            Ok(panic) => (format!("it panicked: {}", lifeline::panic_text(&*panic)), true),
            Err(join) => (format!("it was ended: {join}"), false),
        },
        None => ("it did not answer".to_owned(), false),
    }
}
