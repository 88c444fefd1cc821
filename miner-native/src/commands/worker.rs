//! `sealdrop worker`: a machine that only seals, for a miner whose daemon is on another one.

use crate::daemon::{self, Proofs, WorkConfig};
use anyhow::{Context, Result};
use clap::error::ErrorKind;
use clap::{Args, ValueEnum};
use sealdrop_miner::machines::{usual_name, DatabaseUrl};
use sealdrop_miner::prover::elsewhere::WorkerSettings;
use sealdrop_miner::prover::Step;
use std::path::PathBuf;
use std::time::Duration;

/// Longest that a silent machine is waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(30 * 24 * 3600);

#[derive(Debug, Args)]
pub struct Arguments {
    /// The miner's database, as its daemon names it: postgres://user:password@host/database
    #[arg(long, value_name = "URL", env = "SEALDROP_DATABASE_URL", hide_env_values = true)]
    database: DatabaseUrl,
    /// The folder of pieces and sectors that the daemon has; --steps commit-2 needs none
    #[arg(long, value_name = "DIR", env = "SEALDROP_DATABASE_STORAGE")]
    storage: Option<PathBuf>,
    /// A folder of this machine's own for what it seals, on a fast disk: layers and trees do not go to the storage then
    #[arg(long, value_name = "DIR", env = "SEALDROP_SCRATCH")]
    scratch: Option<PathBuf>,
    /// How long sectors in --scratch wait for this machine when it falls silent, before another begins them anew
    #[arg(long, value_name = "SPAN", default_value = "10m", value_parser = waits, requires = "scratch")]
    scratch_wait: Duration,
    /// Where proof parameters are kept, about 1.5 GB [default: ~/.sealdrop/params]
    #[arg(long, value_name = "DIR", env = "SEALDROP_PARAMS")]
    params: Option<PathBuf>,
    /// What this machine is called among its miner's [default: what --scratch remembers, or its host name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Memory for jobs, in MiB [default: what the machine has free]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..))]
    memory_mib: Option<u64>,
    /// The steps that it takes, separated by commas [default: all that its memory allows]
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    steps: Vec<Taken>,
}

/// A step that a worker takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Taken {
    /// Partitions of proofs-of-spacetime; memory is kept free for them
    #[value(name = "window-post")]
    WindowPost,
    #[value(name = "pre-commit-1")]
    PreCommit1,
    #[value(name = "pre-commit-2")]
    PreCommit2,
    #[value(name = "commit-1")]
    Commit1,
    #[value(name = "commit-2")]
    Commit2,
}

impl Taken {
    fn step(self) -> Step {
        match self {
            Self::WindowPost => Step::WindowPost,
            Self::PreCommit1 => Step::PreCommit1,
            Self::PreCommit2 => Step::PreCommit2,
            Self::Commit1 => Step::Commit1,
            Self::Commit2 => Step::Commit2,
        }
    }
}

fn waits(text: &str) -> Result<Duration, String> {
    let span = crate::span::parse(text).map_err(|error| error.to_string())?;
    match span <= LONGEST_WAIT {
        true => Ok(span),
        false => Err("a machine is waited for 720h at most".to_owned()),
    }
}

/// Does steps until it is interrupted.
pub fn run(arguments: Arguments, proofs: &dyn Proofs) -> Result<()> {
    let usual = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".sealdrop/params"));
    let params = arguments.params.or_else(usual);
    arguments.database.check()?;
    let steps: Vec<Step> = match &arguments.steps[..] {
        [] => Taken::value_variants().iter().map(|taken| taken.step()).collect(),
        some => some.iter().map(|taken| taken.step()).collect(),
    };
    if arguments.storage.is_none() && steps.iter().any(|step| *step != Step::Commit2) {
        let text = "name the folder of pieces and sectors that the daemon has by --storage; only --steps commit-2 needs none\n";
        clap::Error::raw(ErrorKind::MissingRequiredArgument, text).exit();
    }
    let config = WorkConfig {
        url: arguments.database,
        storage: arguments.storage,
        params: params.context("there is no home directory to keep parameters in; give a folder with --params DIR")?,
        scratch: arguments.scratch.map(|dir| (dir, arguments.scratch_wait)),
        names_steps: !arguments.steps.is_empty(),
        is_named: arguments.name.is_some(),
        settings: WorkerSettings {
            name: arguments.name.unwrap_or_else(usual_name),
            memory: arguments.memory_mib.map(|mib| mib << 20),
            steps,
            scratch: None,
        },
    };
    Ok(daemon::work(&config, proofs)?)
}
