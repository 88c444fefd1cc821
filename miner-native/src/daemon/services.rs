//! The daemon's services by name, and when each stops ([`Stage`]).

use super::reloading::Reloading;
use sealdrop_devnet::Devnet;
use sealdrop_listener::{Certificate, Trouble as CertificateTrouble};
use sealdrop_miner::alerts::Alerts;
use sealdrop_miner::archive::Archiving;
use sealdrop_miner::ask_publisher::AskPublisher;
use sealdrop_miner::assembly::Assembly;
use sealdrop_miner::block_index::Indexing;
use sealdrop_miner::chain_access::Following;
use sealdrop_miner::deal_expiry::DealExpiry;
use sealdrop_miner::http::Http;
use sealdrop_miner::logging::Log;
use sealdrop_miner::machines::Leading;
use sealdrop_miner::network::{Host, Network, SelfCheck};
use sealdrop_miner::prover::elsewhere::{Elsewhere, Worker};
use sealdrop_miner::proving::Proving;
use sealdrop_miner::redeeming::Redeeming;
use sealdrop_miner::scrubbing::Scrubbing;
use sealdrop_miner::sealing::Sealing;
use sealdrop_miner::self_checks::SelfChecks;
use sealdrop_miner::slashing::Slashing;
use sealdrop_miner::storage_check::StorageCheck;
use sealdrop_miner::supervisor::{Lifeline, Service, ServiceError, Stage, Supervisor};
use sealdrop_miner::web::Web;
use sealdrop_miner::worker::WorkerKey;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;
use tokio::time::Instant;

/// Longest time between two signs of life: services give one at least every half a minute.
const SILENCE: Duration = Duration::from_secs(90);
/// What health calls the making of blocks.
const BLOCKS: &str = "blocks";
/// What health calls the files of the operator's certificate, and how often they are looked at.
const FILES: &str = "files of the certificate";
const RENEW_EVERY: Duration = Duration::from_secs(30);
/// What health calls the time in which that certificate is valid, and how often the log speaks of its end.
const VALIDITY: &str = "validity of the certificate";
const REMIND_EVERY: Duration = Duration::from_secs(24 * 3600);
/// Time between two signs of life of the chain.
const BEAT: Duration = Duration::from_secs(10);

/// Starts a service whose lives are all alike.
fn start<S, R>(
    supervisor: &mut Supervisor,
    name: &'static str,
    stage: Stage,
    service: S,
    run: impl Fn(S, Lifeline) -> R + Send + 'static,
) where
    S: Clone + Send + 'static,
    R: Future<Output = Result<(), ServiceError>> + Send + 'static,
{
    let lives = move |lifeline| run(service.clone(), lifeline);
    supervisor.start(Service::new(name, stage, SILENCE, lives));
}

/// The chain, where it runs in this process.
pub(super) fn start_chain(devnet: Devnet, supervisor: &mut Supervisor) {
    start(supervisor, "chain", Stage::Chain, devnet, run_chain);
}

async fn run_chain(devnet: Devnet, lifeline: Lifeline) -> Result<(), ServiceError> {
    let running = devnet.run();
    tokio::pin!(running);
    let mut trouble = devnet.trouble();
    loop {
        match trouble.borrow_and_update().as_ref() {
            Some(text) => lifeline.failing(BLOCKS, text),
            None => lifeline.well(BLOCKS),
        }
        tokio::select! {
            // An error means that the chain is gone, which its end says.
            Ok(()) = trouble.changed() => {}
            ended = &mut running => return Ok(ended?),
            () = lifeline.stopping() => break,
            () = tokio::time::sleep(BEAT) => lifeline.beat(),
        }
    }
    devnet.shutdown();
    Ok(running.await?)
}

/// The operator's certificate as its files are.
pub(super) fn start_certificate(certificate: Certificate, supervisor: &mut Supervisor) {
    start(supervisor, "certificate", Stage::Chain, certificate, renew_certificate);
}

async fn renew_certificate(certificate: Certificate, lifeline: Lifeline) -> Result<(), ServiceError> {
    let mut clock = tokio::time::interval(RENEW_EVERY);
    let mut reminder = Reminder::default();
    while lifeline.unless_stopping(clock.tick()).await.is_some() {
        lifeline.beat();
        let read = certificate.clone();
        match tokio::task::spawn_blocking(move || read.reload()).await? {
            Ok(is_new) => {
                lifeline.well(FILES);
                if is_new {
                    tracing::info!("the certificate was renewed");
                    if let Some(key) = certificate.open_key() {
                        tracing::warn!("{key}");
                    }
                }
            }
            // Both files are not replaced at one moment: it is tried again.
            Err(error) => {
                tracing::warn!(%error, "the certificate stays the one that was read before");
                lifeline.failing(FILES, &error);
            }
        }
        let trouble = certificate.trouble_at(SystemTime::now());
        match trouble.filter(CertificateTrouble::is_now) {
            Some(trouble) => lifeline.failing(VALIDITY, &trouble),
            None => lifeline.well(VALIDITY),
        }
        let is_due = reminder.is_due(trouble.is_some());
        if let Some(trouble) = trouble.filter(|_| is_due) {
            tracing::warn!("{trouble}");
        }
    }
    Ok(())
}

/// When the log spoke of the certificate's time last.
#[derive(Default)]
struct Reminder(Option<Instant>);

impl Reminder {
    /// Whether it should now: once there is trouble, and daily while it lasts.
    fn is_due(&mut self, is_trouble: bool) -> bool {
        let is_silent = self.0.is_none_or(|last| last.elapsed() >= REMIND_EVERY);
        match (is_trouble, is_silent) {
            (true, true) => self.0 = Some(Instant::now()),
            (true, false) => {}
            (false, _) => self.0 = None,
        }
        is_trouble && is_silent
    }
}

/// The way to the chain.
pub(super) fn start_following(following: Following, supervisor: &mut Supervisor) {
    start(supervisor, "chain access", Stage::ChainAccess, following, follow);
}

/// At the daemon's end the last who uses the chain may be gone before this service is told to stop.
async fn follow(following: Following, lifeline: Lifeline) -> Result<(), ServiceError> {
    following.run(lifeline.clone()).await?;
    lifeline.stopping().await;
    Ok(())
}

/// Whose key signs.
pub(super) fn start_worker_key(worker: WorkerKey, supervisor: &mut Supervisor) {
    start(supervisor, "worker key", Stage::Work, worker, WorkerKey::run);
}

/// What works by itself.
pub(super) fn start_work(parts: &Assembly, to: &mut Supervisor) {
    start(to, "store", Stage::Store, parts.storage_check(), StorageCheck::run);
    start(to, "sealing", Stage::Work, parts.sealing(), Sealing::run);
    start(to, "proving", Stage::Work, parts.proving(), Proving::run);
    start(to, "redeeming", Stage::Work, parts.redeeming(), Redeeming::run);
    start(to, "deal expiry", Stage::Work, parts.deal_expiry(), DealExpiry::run);
    start(to, "scrubbing", Stage::Work, parts.scrubbing(), Scrubbing::run);
    start(to, "slashing", Stage::Work, parts.slashing(), Slashing::run);
    start(to, "block index", Stage::Work, parts.indexing(), Indexing::run);
    start(to, "asks", Stage::Work, parts.ask_publisher(), AskPublisher::run);
}

/// What is stored, a second time elsewhere.
pub(super) fn start_archiving(archiving: Archiving, supervisor: &mut Supervisor) {
    start(
        supervisor,
        "bringing back",
        Stage::Work,
        archiving.clone(),
        Archiving::bring,
    );
    start(supervisor, "archive", Stage::Work, archiving, Archiving::keep);
}

/// That this daemon leads; it stops last, so that the next one finds all at rest.
pub(super) fn start_leading(leading: Leading, supervisor: &mut Supervisor) {
    start(supervisor, "leading", Stage::Store, leading, Leading::run);
}

/// The steps of sealing that this machine does for whoever posted them.
pub(crate) fn start_worker(worker: Worker, supervisor: &mut Supervisor) {
    start(supervisor, "jobs", Stage::Work, worker, Worker::run);
}

/// How often the machines are counted.
const LOOK_AROUND: Duration = Duration::from_secs(10);
/// What health calls it when nobody seals.
const MACHINES: &str = "machines that seal";

/// Which machines there are.
pub(super) fn start_machines(elsewhere: Elsewhere, proof_memory: u64, supervisor: &mut Supervisor) {
    start(
        supervisor,
        "machines",
        Stage::Work,
        elsewhere,
        move |elsewhere, lifeline| watch_machines(elsewhere, proof_memory, lifeline),
    );
}

async fn watch_machines(elsewhere: Elsewhere, proof_memory: u64, lifeline: Lifeline) -> Result<(), ServiceError> {
    // Those of this minute are still coming up.
    let mut looks = 0u32;
    loop {
        let looking = elsewhere.clone();
        looks = looks.saturating_add(1);
        match tokio::task::spawn_blocking(move || looking.look_around(proof_memory)).await? {
            Ok(steps) if !steps.is_empty() && looks > 6 => {
                let steps: Vec<&str> = steps.iter().map(|step| step.name()).collect();
                let steps = steps.join(", ");
                let text = format!(
                    "no machine takes {steps}, so nothing is sealed: start `sealdrop worker`, or set database.work"
                );
                lifeline.failing(MACHINES, &text);
            }
            Ok(_) => lifeline.well(MACHINES),
            Err(error) => lifeline.failing(MACHINES, &error),
        }
        lifeline.beat();
        if lifeline
            .unless_stopping(tokio::time::sleep(LOOK_AROUND))
            .await
            .is_none()
        {
            return Ok(());
        }
    }
}

/// What peers reach.
pub(super) fn start_network(network: Network, supervisor: &mut Supervisor) {
    start(supervisor, "network", Stage::Intake, network, Network::run);
}

/// Whether peers reach it.
pub(super) async fn start_self_check(host: Host, supervisor: &mut Supervisor) {
    let check = SelfCheck { host };
    check.first().await;
    start(supervisor, "addresses", Stage::Intake, check, SelfCheck::run);
}

/// What everybody reaches over HTTP.
pub(super) fn start_http(http: Http, listeners: Vec<TcpListener>, supervisor: &mut Supervisor) {
    // Its first life has the addresses already.
    let listeners = Mutex::new(Some(listeners));
    supervisor.start(Service::new("http", Stage::Intake, SILENCE, move |lifeline| {
        let listeners = listeners.lock().unwrap_or_else(PoisonError::into_inner).take();
        http.clone().run(listeners, lifeline)
    }));
}

/// What the operator reaches.
pub(super) fn start_web(web: Web, listeners: Vec<TcpListener>, supervisor: &mut Supervisor) {
    // Its first life has the addresses already.
    let listeners = Mutex::new(Some(listeners));
    supervisor.start(Service::new("web", Stage::Intake, SILENCE, move |lifeline| {
        let listeners = listeners.lock().unwrap_or_else(PoisonError::into_inner).take();
        web.clone().run(listeners, lifeline)
    }));
}

/// Whether what is green is true.
pub(super) fn start_self_checks(parts: &Assembly, log: &Log, supervisor: &mut Supervisor) {
    start(
        supervisor,
        "self checks",
        Stage::Work,
        parts.self_checks(log.clone()),
        SelfChecks::run,
    );
}

/// What follows the configuration.
pub(super) fn start_reloading(reloading: Reloading, supervisor: &mut Supervisor) {
    start(supervisor, "configuration", Stage::Work, reloading, Reloading::run);
}

/// What tells somebody who does not look; it watches the others stop.
pub(super) fn start_alerts(alerts: Alerts, supervisor: &mut Supervisor) {
    start(supervisor, "alerts", Stage::Intake, alerts, Alerts::run);
}

#[cfg(test)]
mod tests {
    use super::super::testing::certificate;
    use super::*;
    use sealdrop_miner::supervisor::RestartPolicy;

    /// What health says of the certificate after its first look.
    async fn looked_at(days: i64) -> Vec<String> {
        let dir = tempfile::tempdir().expect("a folder");
        let mut supervisor = Supervisor::new(RestartPolicy::default());
        let board = supervisor.board();
        start_certificate(certificate(dir.path(), days), &mut supervisor);
        // The files are read by a thread of their own, whose end moves no clock: two looks.
        tokio::time::sleep(RENEW_EVERY + Duration::from_secs(1)).await;
        let problems = board.health().problems;
        supervisor.stop().await;
        problems.iter().map(|problem| format!("{problem:?}")).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_certificate_that_is_over_is_not_healthy_and_one_near_its_end_still_is() {
        assert_eq!(looked_at(100).await, [""; 0]);
        assert_eq!(looked_at(3).await, [""; 0]);
        let over = looked_at(-2).await.join(" ");
        assert!(over.contains(VALIDITY) && over.contains("ended 2 days ago"), "{over}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_log_speaks_of_trouble_once_a_day_and_of_new_trouble_at_once() {
        let mut reminder = Reminder::default();
        assert!(!reminder.is_due(false));
        assert!(reminder.is_due(true) && !reminder.is_due(true));
        tokio::time::advance(REMIND_EVERY).await;
        assert!(reminder.is_due(true));
        assert!(!reminder.is_due(false));
        assert!(reminder.is_due(true));
    }
}
