//! A daemon among several machines: whether it leads, where its records and files are, and who seals for it.

use super::{services, DaemonConfig, DaemonError};
use sealdrop_database::blocking;
use sealdrop_database::jobs::Jobs;
use sealdrop_miner::console;
use sealdrop_miner::data_dir::{DataDir, DataDirError, Identity};
use sealdrop_miner::machines::{
    check_brought, check_own_storage, check_storage, holder_name, mark_own_storage, mark_storage, storage_id,
    usual_name, version, Facts, Leading, MachinesError,
};
use sealdrop_miner::prover::elsewhere::{Elsewhere, Worker, WorkerSettings, SEALING};
use sealdrop_miner::prover::Prover;
use sealdrop_miner::staging::Staging;
use sealdrop_miner::store::MinerStore;
use sealdrop_miner::supervisor::Supervisor;
use shared::exit_code;
use std::path::PathBuf;
use std::sync::Arc;

/// Returns when this daemon leads, at once where it is the only one.
pub(super) async fn lead(
    config: &DaemonConfig,
    home: &DataDir,
    supervisor: &mut Supervisor,
) -> Result<Option<Jobs>, DaemonError> {
    let Some(shared) = &config.database else {
        return Ok(None);
    };
    let url = shared.url.clone();
    let opened = tokio::task::spawn_blocking(move || url.jobs()).await;
    let jobs = opened
        .map_err(|error| DaemonError::Runtime(error.into()))?
        .map_err(MachinesError::from)?;
    // Before it waits: what would keep it from taking over is told while somebody looks.
    blocking(|| check(config, home, &jobs))?;
    let waiting = |leads: &str| {
        console::stdout(&format!(
            "The daemon at {leads} leads; this one takes over when that one stops or falls silent"
        ));
    };
    let leading = Leading::when_free(jobs.clone(), &holder_name(), give_up, waiting).await;
    let leading = leading.map_err(MachinesError::from)?;
    let jobs = jobs.led_by(leading.lease());
    services::start_leading(leading, supervisor);
    blocking(|| {
        // Once more, after what may have been a long time.
        check(config, home, &jobs)?;
        mark(config, home, &jobs)?;
        jobs.clear().map_err(|error| MachinesError::from(error).into())
    })
    .map(|()| Some(jobs))
}

/// Whether each daemon has a storage of its own, filled from the archive.
fn is_own_storage(config: &DaemonConfig) -> bool {
    let is_named = config.database.as_ref().is_some_and(|shared| shared.storage.is_some());
    config.archive.is_some() && !is_named
}

/// Marks the storage where no daemon has done so before.
fn mark(config: &DaemonConfig, home: &DataDir, jobs: &Jobs) -> Result<(), DaemonError> {
    let storage = storage(config, home);
    if is_own_storage(config) {
        home.make_miner()?;
        mark_own_storage(&storage, jobs)?;
    } else if storage_id(jobs)?.is_none() {
        if config.database.as_ref().is_some_and(|shared| shared.storage.is_none()) {
            home.make_miner()?;
        }
        check_brought(&home.miner(), &storage)?;
        mark_storage(&storage, jobs)?;
    }
    Ok(())
}

/// Fails when this home or its storage is not the database's.
fn check(config: &DaemonConfig, home: &DataDir, jobs: &Jobs) -> Result<(), DaemonError> {
    if let Some(id) = storage_id(jobs)? {
        match is_own_storage(config) {
            true => check_own_storage(&storage(config, home), &id)?,
            false => check_storage(&storage(config, home), &id)?,
        }
    }
    let Some(facts) = Facts::told(jobs)? else {
        return Ok(());
    };
    if facts.sector_size != config.sector_size {
        let identity = |sector_size| Identity {
            network: config.network.clone(),
            sector_size,
        };
        return Err(DaemonError::DataDir(DataDirError::OtherNetwork {
            root: home.root().to_owned(),
            found: identity(facts.sector_size),
            asked: identity(config.sector_size),
        }));
    }
    Ok(())
}

/// Opens the miner's records.
pub(super) fn store(config: &DaemonConfig, home: &DataDir, jobs: Option<&Jobs>) -> Result<MinerStore, DaemonError> {
    let dir = home.miner().join("store");
    blocking(|| match (&config.database, jobs) {
        (Some(shared), Some(jobs)) => {
            let id = storage_id(jobs)?.unwrap_or_default();
            Ok(MinerStore::on_server(shared.url.secret(), &id, &dir)?)
        }
        _ => Ok(MinerStore::open(&dir)?),
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
    (prover, staging): (&Arc<Prover>, &Staging),
    supervisor: &mut Supervisor,
) -> Result<Arc<Prover>, DaemonError> {
    let facts = Facts {
        network: config.network.clone(),
        sector_size: config.sector_size,
        prover_id: hex::encode(prover_id),
        official_params: config.official_params,
        version: version(),
        own_storage: is_own_storage(config),
    };
    blocking(|| facts.tell(&jobs))?;
    let elsewhere = Elsewhere::new(jobs.clone(), prover_id, !is_own_storage(config));
    services::start_machines(elsewhere.clone(), prover.proof_memory(), supervisor);
    if config.database.as_ref().is_some_and(|shared| shared.works) {
        let settings = WorkerSettings {
            name: format!("{} (daemon)", usual_name()),
            memory: None,
            // Its proofs-of-spacetime it makes as the one that leads.
            steps: SEALING.to_vec(),
            scratch: None,
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
