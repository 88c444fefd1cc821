//! `sealdrop init`: a `sealdrop.toml` from answers, in a terminal by questions ([`asking`]), else by options and what is usual.
//!
//! What follows from the answers is decided in [`plan`], what a home keeps in [`settled`], what the machine lacks in [`checks`]; the
//! file passes the same check as `sealdrop config check` before it is written.

mod answering;
mod asking;
mod checks;
mod plan;
mod price;
mod settled;

use super::doctor::finding::{Finding, Level};
use super::error::CommandError;
use super::output::{columns, put_path, Output};
use crate::configuration::{configured, written, Configuration, HostName, Parts, Source, FILE_NAME};
use crate::daemon::{DaemonConfig, DaemonError, Role};
use crate::span;
use asking::Terminal;
use clap::{Args, ValueEnum};
use plan::{Answers, Reach};
use sealdrop_miner::console;
use sealdrop_miner::data_dir::{write_whole, DataDir, DataDirError};
use serde_json::{json, Map, Value};
use settled::{role_name, Settled};
use shared::chain::AttoFil;
use shared::piece::SectorSize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why no file is written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error("{} is there already, and is not replaced unasked; change it by hand, or give --force", path.display())]
    Exists { path: PathBuf },
    #[error("the home keeps its {what}, {found}, and {asked} was asked for; leave that out, or begin in another home with --home DIR")]
    Settled {
        what: &'static str,
        asked: String,
        found: String,
    },
    #[error("{flag} says nothing to a daemon of the role {role}; leave it out, or give another --role")]
    OfOtherRole { flag: &'static str, role: &'static str },
    #[error("a miner on another's chain needs that chain; name its endpoint with --chain URL")]
    NoChain,
    #[error("--name says by which names others come here, and only this machine may; give --reach network or --reach internet, too")]
    NobodyComes,
    #[error("{month} FIL per GiB and month is less than the smallest price, or more than can exist, at a block every {}; give another, or --price in FIL per byte per block", span::text(*block_time))]
    Price { month: AttoFil, block_time: Duration },
    #[error("the terminal does not answer: {0}; give the answers as options, with --yes")]
    Terminal(#[from] dialoguer::Error),
    #[error("nothing was written, as was asked; begin anew with `sealdrop init`")]
    Declined,
}

/// A role by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RoleName {
    /// A chain, and a miner with its page on it
    ChainAndMiner,
    /// A miner with its page on another daemon's chain (--chain)
    Miner,
    /// A chain for others' miners
    Chain,
}

/// Every answer as an option; one that is given is not asked for.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// Where data is kept [default: ~/.sealdrop]
    #[arg(long, value_name = "DIR", env = "SEALDROP_HOME")]
    home: Option<PathBuf>,
    /// The file that is written [default: sealdrop.toml in the home]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What the daemon runs [default: chain-and-miner, or miner with --chain]
    #[arg(long, value_enum, value_name = "ROLE")]
    role: Option<RoleName>,
    /// Endpoint of another daemon's chain, such as http://chain.example.org:4403
    #[arg(long, value_name = "URL")]
    chain: Option<String>,
    /// Name of a network that begins [default: sealdrop-devnet]
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// Time between blocks of a chain that is made here [default: 1s]
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    block_time: Option<Duration>,
    /// Size of this miner's sectors: 2KiB for quick trials, 8MiB, 512MiB; 32GiB with --official-params only [default: 8MiB]
    #[arg(long, value_name = "SIZE")]
    sector_size: Option<SectorSize>,
    /// Asking price, in FIL per byte per block [default: 0.0000000001]
    #[arg(long, value_name = "FIL")]
    price: Option<AttoFil>,
    /// The same in FIL per GiB and month of thirty days
    #[arg(long, value_name = "FIL", conflicts_with = "price")]
    price_per_gib_month: Option<AttoFil>,
    /// Who may reach the daemon [default: this-machine]
    #[arg(long, value_enum, value_name = "WHO")]
    reach: Option<Reach>,
    /// Names and addresses by which others come here, such as miner.example.org,192.0.2.7
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    name: Vec<HostName>,
    #[command(flatten)]
    ports: PortOptions,
    /// Where proof parameters are kept, about 1.5 GB [default: HOME/params]
    #[arg(long, value_name = "DIR", env = "SEALDROP_PARAMS")]
    params: Option<PathBuf>,
    /// Go by the official parameters of Filecoin's networks, which must be in --params
    #[arg(long)]
    official_params: bool,
    /// Certificate for the listeners that others reach, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Ask nothing: what no option says is as usual
    #[arg(long, short)]
    yes: bool,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Clone, Args)]
struct PortOptions {
    /// Port of the web page [default: 4400]
    #[arg(long, value_name = "PORT")]
    web_port: Option<u16>,
    /// Port of libp2p over TCP and QUIC [default: 4401]
    #[arg(long, value_name = "PORT")]
    p2p_port: Option<u16>,
    /// Port of libp2p for browsers, over WebSocket and WebTransport [default: 4402]
    #[arg(long, value_name = "PORT")]
    p2p_ws_port: Option<u16>,
    /// Port of the chain's JSON-RPC [default: 4403]
    #[arg(long, value_name = "PORT")]
    chain_port: Option<u16>,
    /// Port of pieces and blocks over HTTP [default: 4405]
    #[arg(long, value_name = "PORT")]
    http_port: Option<u16>,
}

/// What is written, and what a daemon runs with that reads it.
struct Plan {
    text: String,
    /// What each key of the file says.
    keys: Map<String, Value>,
    config: DaemonConfig,
}

impl Plan {
    /// Checked as `sealdrop config check` does.
    fn of(answers: &Answers) -> Result<Self, CommandError> {
        let text = written(&answers.options(checks::has_ipv6()), plan::HEAD);
        let said = Configuration::of_text(&answers.file, &text)?;
        let parts = match answers.role {
            Role::Chain => Parts::Chain,
            Role::ChainAndMiner | Role::Miner { .. } => Parts::Miner,
        };
        let config = configured(parts, &said)?;
        let keys = said.all().filter(|(.., source)| matches!(source, Source::File(_)));
        config
            .check()
            .map_err(|error| CommandError::Unusable(DaemonError::from(error).to_string()))?;
        Ok(Self {
            text,
            keys: keys.map(|(key, value, _)| (key.to_owned(), json!(value))).collect(),
            config,
        })
    }
}

/// Asks, checks and writes; ends with [`shared::exit_code::UNWELL`] when the machine lacks something.
pub async fn run(mut arguments: Arguments) -> Result<(), CommandError> {
    // Those of a file are relative to it, and these to where the command is given.
    let paths = [
        &mut arguments.params,
        &mut arguments.tls_certificate,
        &mut arguments.tls_key,
    ];
    for path in paths.into_iter().flatten() {
        *path = absolute(path)?;
    }
    let terminal = Terminal::of_this_process().filter(|_| !arguments.yes && !arguments.output.is_json());
    let usual_home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".sealdrop"));
    let home = match (&arguments.home, &terminal, &usual_home) {
        (Some(home), ..) => home.clone(),
        (None, Some(terminal), _) => terminal.home(usual_home.as_deref())?,
        (None, None, Some(home)) => home.clone(),
        (None, None, None) => return Err(DataDirError::NoHome.into()),
    };
    let home = absolute(&home)?;
    let file = match &arguments.config {
        Some(file) => absolute(file)?,
        None => home.join(FILE_NAME),
    };
    may_replace(&file, arguments.force, terminal.as_ref())?;
    let settled = Settled::of(&home)?;
    let (answers, asked) = match &terminal {
        Some(terminal) => answering::by_questions(&arguments, terminal, home, file, &settled).await?,
        None => answering::by_options(&arguments, home, file, &settled).await?,
    };
    let plan = Plan::of(&answers)?;
    let findings = checks::all(&answers, &plan.config, &settled, asked.as_ref());
    let wrong = findings.iter().filter(|found| found.level == Level::Wrong).count();
    if let Some(terminal) = &terminal {
        tell(&answers, &plan, &findings);
        if !terminal.agrees(&format!("Write {}?", answers.file.display()), wrong == 0)? {
            return Err(InitError::Declined.into());
        }
    }
    write(&answers, &plan.text)?;
    let next = answers.next_command(usual_home.as_deref());
    let mut value = json!({
        "role": role_name(&answers.role), "reach": answers.reach.told(), "config": plan.keys, "findings": findings,
        "warnings": plan.config.warnings(), "next": next,
    });
    put_path(&mut value, "home", &answers.home);
    put_path(&mut value, "file", &answers.file);
    if terminal.is_none() && !arguments.output.is_json() {
        tell(&answers, &plan, &findings);
    }
    arguments.output.show(&value, || {
        format!("{} is written. Next: {next}", answers.file.display())
    })?;
    match wrong {
        0 => Ok(()),
        count => Err(CommandError::Unwell(count)),
    }
}

/// The path from the root; `~` is whose daemon it is.
fn absolute(path: &Path) -> Result<PathBuf, CommandError> {
    let path = match (path.strip_prefix("~"), std::env::var_os("HOME")) {
        (Ok(rest), Some(home)) => Path::new(&home).join(rest),
        _ => path.to_owned(),
    };
    std::path::absolute(&path).map_err(|source| CommandError::File {
        action: "find",
        path,
        source,
    })
}

fn may_replace(file: &Path, force: bool, terminal: Option<&Terminal>) -> Result<(), CommandError> {
    // A link that leads nowhere is there, too.
    if force || file.symlink_metadata().is_err() {
        return Ok(());
    }
    let replaces = match terminal {
        Some(terminal) => terminal.agrees(&format!("{} is there already. Replace it?", file.display()), false)?,
        None => false,
    };
    match replaces {
        true => Ok(()),
        false => Err(InitError::Exists { path: file.to_owned() }.into()),
    }
}

/// What was decided, what was found and what is opened to others: beside the result, on standard error.
fn tell(answers: &Answers, plan: &Plan, findings: &[Finding]) {
    let summary = answering::summary(answers);
    console::stderr(&format!(
        "\n{}\n",
        columns(summary.map(|(what, value)| [what.to_owned(), value]))
    ));
    for found in findings {
        console::stderr(&found.described());
    }
    for warning in plan.config.warnings() {
        console::stderr(&format!("mind: {warning}"));
    }
}

/// Replaces the file as a whole. A new one is its owner's alone; one that is there keeps its mode, so that a service of another user
/// reads it as before.
fn write(answers: &Answers, text: &str) -> Result<(), CommandError> {
    if answers.file.parent() == Some(&answers.home) {
        DataDir::open(Some(answers.home.clone()))?;
    }
    write_whole(&answers.file, text.as_bytes(), mode_of(&answers.file)).map_err(|source| CommandError::File {
        action: "write",
        path: answers.file.clone(),
        source,
    })
}

fn mode_of(file: &Path) -> u32 {
    const NEW: u32 = 0o600;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.metadata().map_or(NEW, |there| there.permissions().mode() & 0o777)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        NEW
    }
}

#[cfg(test)]
mod tests;
