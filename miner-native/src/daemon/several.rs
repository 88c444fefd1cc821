//! A daemon among several machines: whether it leads, where its records and files are, and who seals for it.

use super::{services, DaemonConfig, DaemonError};
use sealdrop_database::blocking;
use sealdrop_database::jobs::Jobs;
use sealdrop_miner::console;
use sealdrop_miner::data_dir::DataDir;
use sealdrop_miner::machines::{mark_of, usual_name, Facts, Leading, MachinesError};
use sealdrop_miner::prover::elsewhere::{Elsewhere, Worker, WorkerSettings, STEPS};
use sealdrop_miner::prover::Prover;
use sealdrop_miner::staging::Staging;
use sealdrop_miner::store::{MinerStore, StoreError};
use sealdrop_miner::supervisor::Supervisor;
use shared::exit_code;
use std::path::PathBuf;
use std::sync::Arc;

/// Returns when this daemon leads, at once where it is the only one.
pub(super) async fn lead(config: &DaemonConfig, supervisor: &mut Supervisor) -> Result<Option<Jobs>, DaemonError> {
    let Some(shared) = &config.database else {
        return Ok(None);
    };
    let jobs = blocking(|| shared.url.jobs()).map_err(MachinesError::from)?;
    let holder = format!("{} (process {})", usual_name(), std::process::id());
    let waiting = |leads: &str| {
        console::stdout(&format!(
            "The daemon at {leads} leads; this one takes over when that one stops or falls silent"
        ));
    };
    let leading = Leading::when_free(jobs.clone(), &holder, waiting).await;
    services::start_leading(leading.map_err(MachinesError::from)?, supervisor);
    Ok(Some(jobs))
}

/// Opens the miner's records.
pub(super) fn store(config: &DaemonConfig, home: &DataDir) -> Result<MinerStore, StoreError> {
    let dir = home.miner().join("store");
    blocking(|| match &config.database {
        Some(shared) => MinerStore::on_server(shared.url.secret(), &dir),
        None => MinerStore::open(&dir),
    })
}

/// Where pieces and sectors lie.
pub(super) fn storage(config: &DaemonConfig, home: &DataDir) -> PathBuf {
    let shared = config.database.as_ref();
    shared
        .and_then(|shared| shared.storage.clone())
        .unwrap_or_else(|| home.miner())
}

/// Has the steps of sealing done by whichever machine takes them; by this one, too, unless its operator says otherwise.
pub(super) fn share(
    config: &DaemonConfig,
    jobs: Jobs,
    prover_id: [u8; 32],
    (home, prover, staging): (&DataDir, &Arc<Prover>, &Staging),
    supervisor: &mut Supervisor,
) -> Result<Arc<Prover>, DaemonError> {
    let storage = storage(config, home);
    let facts = Facts {
        network: config.network.clone(),
        sector_size: config.sector_size,
        prover_id: hex::encode(prover_id),
        storage: mark_of(&storage)?,
        official_params: config.official_params,
    };
    facts.tell(&jobs, &storage)?;
    let elsewhere = Elsewhere::new(jobs.clone(), prover_id);
    services::start_machines(elsewhere.clone(), prover.proof_memory(), supervisor);
    if config.database.as_ref().is_some_and(|shared| shared.works) {
        let settings = WorkerSettings {
            name: format!("{} (daemon)", usual_name()),
            memory: None,
            steps: STEPS.to_vec(),
        };
        let worker = Worker::new(jobs, prover.clone(), staging.clone(), settings, give_up);
        services::start_worker(worker, supervisor);
    }
    Ok(Arc::new(prover.with_elsewhere(elsewhere)))
}

/// Ends the process at once: a thread that must not go on cannot be stopped otherwise.
pub fn give_up(reason: &str) {
    tracing::error!("{reason}");
    console::stderr(&format!("sealdrop: {reason}"));
    std::process::exit(i32::from(exit_code::SERVICE_FAILED));
}
