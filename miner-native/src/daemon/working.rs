//! A machine that only seals, for a miner whose daemon is on another one.

use super::signals::Signals;
use super::{parameters, services, several, DaemonError, Proofs};
use sealdrop_database::{blocking, Memory};
use sealdrop_miner::console;
use sealdrop_miner::descriptors;
use sealdrop_miner::machines::{check_storage, storage_id, DatabaseUrl, Facts, MachinesError, ScratchFolder};
use sealdrop_miner::prover::elsewhere::{Scratch, Worker, WorkerSettings};
use sealdrop_miner::prover::{Prover, ProverError, Step};
use sealdrop_miner::staging::Staging;
use sealdrop_miner::store::MinerStore;
use sealdrop_miner::supervisor::{RestartPolicy, Supervisor};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How often the database is looked at for a miner.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What a worker runs with.
#[derive(Debug, Clone)]
pub struct WorkConfig {
    pub url: DatabaseUrl,
    /// The folder of pieces and sectors; none for what reads no files.
    pub storage: Option<PathBuf>,
    /// Where proof parameters are kept.
    pub params: PathBuf,
    /// A folder of this machine's own to seal in, and how long what lies there is waited for.
    pub scratch: Option<(PathBuf, Duration)>,
    /// What it is to do, all steps where its operator named none.
    pub settings: WorkerSettings,
    /// Whether the operator named the steps.
    pub names_steps: bool,
    /// Whether the operator named it, or it is called as machines are.
    pub is_named: bool,
}

/// Does steps until Ctrl-C or SIGTERM.
pub fn work(config: &WorkConfig, proofs: &dyn Proofs) -> Result<(), DaemonError> {
    descriptors::raise_limit();
    let jobs = config.url.jobs().map_err(MachinesError::from)?;
    let facts = facts(|| Facts::told(&jobs))?;
    facts.check_version()?;
    let id = || Ok(storage_id(&jobs)?.unwrap_or_default());
    let named = storage(config, &facts, id)?;
    let scratch = match (&named, &config.scratch) {
        (Some(storage), Some((dir, _))) => Some(ScratchFolder::open(dir, storage, &id()?)?),
        _ => None,
    };
    // Removed with what was made in it when this returns.
    let temporary = match &named {
        None => Some(tempfile::tempdir().map_err(DaemonError::Runtime)?),
        Some(_) => None,
    };
    let own = temporary.as_ref().map(|temporary| temporary.path().to_owned());
    let storage = named.or(own).unwrap_or_default();
    let sectors = storage.join("sectors");
    let source = parameters::source(&facts.network, facts.official_params);
    proofs.prepare_worker(&config.params, facts.sector_size, source)?;
    let mut prover_id = [0; 32];
    hex::decode_to_slice(&facts.prover_id, &mut prover_id).map_err(|error| MachinesError::Facts {
        reason: error.to_string(),
    })?;
    let seals_in = scratch.as_ref().map_or(sectors.clone(), ScratchFolder::sectors);
    let engine = proofs.engine(prover_id, facts.sector_size, seals_in)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(DaemonError::Runtime)?;
    let ended = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let mut supervisor = Supervisor::new(RestartPolicy::default());
        let failed = supervisor.failed();
        // What steps take here is learnt anew at each start.
        let rates = MinerStore::of(Arc::new(Memory::default())).rates();
        let prover = Arc::new(Prover::start(engine, facts.sector_size, rates));
        prover.allow(config.settings.memory.unwrap_or(0), 0);
        let mut settings = able(&prover, &chosen(&prover, config, scratch.is_some()), scratch.is_some())?;
        let mut windows = prover.clone();
        if let (Some(scratch), Some((_, waits))) = (&scratch, &config.scratch) {
            settings.name = scratch.name(&settings.name, config.is_named)?;
            settings.scratch = Some(Scratch {
                sectors: scratch.sectors(),
                storage: sectors.clone(),
                waits: *waits,
            });
            windows = Arc::new(prover.with_engine(proofs.engine(prover_id, facts.sector_size, sectors)?));
        }
        let staging = Staging::of_another(storage.join("staging"));
        console::stdout(&format!(
            "{} seals for the miner of {}; Ctrl-C stops it, and what it was at goes to another machine",
            settings.name, config.url
        ));
        let worker = Worker::new(jobs, prover, staging, settings, several::give_up).apart(windows);
        services::start_worker(worker, &mut supervisor);
        let ended = tokio::select! {
            () = signals.any() => Ok(()),
            failed = failed => Err(failed.into()),
        };
        supervisor.stop().await;
        ended
    });
    // A step that runs cannot be interrupted: it ends with the process.
    runtime.shutdown_background();
    ended
}

/// The miner's storage; none where this machine reads no files, and works in a folder of its own.
fn storage(
    config: &WorkConfig,
    facts: &Facts,
    id: impl Fn() -> Result<String, MachinesError>,
) -> Result<Option<PathBuf>, MachinesError> {
    let reads_files = config.settings.steps.iter().any(|step| *step != Step::Commit2);
    match &config.storage {
        _ if facts.own_storage && reads_files => Err(MachinesError::OwnStorage),
        _ if facts.own_storage => Ok(None),
        None if reads_files => Err(MachinesError::NoStorage),
        None => Ok(None),
        Some(storage) => check_storage(storage, &id()?).map(|()| Some(storage.clone())),
    }
}

/// What it is to do. Where its operator named no steps, proofs-of-spacetime are among them only if there can be more than one partition to share out, and if
/// what is kept free for them keeps it from no other step.
fn chosen(prover: &Prover, config: &WorkConfig, has_scratch: bool) -> WorkerSettings {
    let mut settings = config.settings.clone();
    let could = |makes_posts: bool| {
        prover.makes_posts(makes_posts);
        let steps = settings.steps.iter();
        steps
            .filter(|step| check_step(prover, **step, has_scratch).is_ok())
            .count()
    };
    if !config.names_steps && (!prover.shares_windows() || could(true) < could(false)) {
        settings.steps.retain(|step| *step != Step::WindowPost);
    }
    settings
}

fn check_step(prover: &Prover, step: Step, has_scratch: bool) -> Result<(), ProverError> {
    match step {
        Step::PreCommit2 | Step::Commit1 if has_scratch => prover
            .check_step(Step::PreCommit1)
            .and_then(|()| prover.check_step(Step::PreCommit2))
            .and_then(|()| prover.check_step(step)),
        _ => prover.check_step(step),
    }
}

/// With the steps alone that this machine has the memory for; fails when it has it for none. In a folder of its own it may have to make again what the steps
/// before left on a machine that is gone.
fn able(prover: &Prover, settings: &WorkerSettings, has_scratch: bool) -> Result<WorkerSettings, DaemonError> {
    let check_step = |step: Step| check_step(prover, step, has_scratch);
    let together = [Step::PreCommit1, Step::PreCommit2, Step::Commit1];
    let taken = together.iter().filter(|step| settings.steps.contains(step)).count();
    if has_scratch && (1..together.len()).contains(&taken) {
        console::stderr("With --scratch a sector is sealed where it was begun: a machine that takes one of pre-commit 1, pre-commit 2 and commit 1 should take all three, or others make its sectors again");
    }
    let mut able = settings.clone();
    able.steps.clear();
    // What proofs-of-spacetime take is kept free for them, and the other steps have the rest.
    prover.makes_posts(settings.steps.contains(&Step::WindowPost) && check_step(Step::WindowPost).is_ok());
    for step in &settings.steps {
        match check_step(*step) {
            Ok(()) => able.steps.push(*step),
            Err(error) if settings.steps.len() == 1 => return Err(error.into()),
            Err(error) => console::stderr(&format!("This machine does not take part in {step}: {error}")),
        }
    }
    match (&able.steps[..], settings.steps.first()) {
        ([], Some(step)) => check_step(*step).map(|()| able).map_err(Into::into),
        _ => Ok(able),
    }
}

/// What the miner's daemon told; waited for before its first start.
fn facts(told: impl Fn() -> Result<Option<Facts>, MachinesError>) -> Result<Facts, MachinesError> {
    let mut is_waiting = false;
    loop {
        if let Some(facts) = blocking(&told)? {
            return Ok(facts);
        }
        if !is_waiting {
            console::stdout("No daemon has used this database yet; waiting for the first");
            is_waiting = true;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
