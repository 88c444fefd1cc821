//! `sealdrop mining`: what the daemon's miner does (spec §6.3), asked of the running daemon.

use super::error::CommandError;
use super::output::{columns, Output};
use super::target::{DaemonPort, Target};
use super::{explain, link};
use crate::terminal::escaped;
use clap::{Args, Subcommand};
use sealdrop_miner::clock::now_ms;
use sealdrop_miner::console;
use sealdrop_miner::operator::{
    Filling, Health, IntakeStatus, LogChange, LogLine, LogQuery, LogTail, MiningStatus, Operator, ProvingStatus,
    ScrubStatus,
};
use sealdrop_miner::prover::{JobState, JobView, OwnCodeStatus};
use sealdrop_miner::supervisor::{Problem, ServiceState};
use serde_json::json;
use shared::client::link::HttpUrl;
use shared::explain::sector::span;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    port: DaemonPort,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take deals from now on
    Start,
    /// Take no new deals; those taken are sealed and proven as before
    Stop,
    /// Print the id of the next block, which the chain's authority makes
    Once,
    /// Check that the miner could take deals, without starting it
    Setup,
    /// Show whether deals are taken, and what the miner stands for on the chain
    Status,
    /// Print the miner's address
    Address,
    /// Seal what is staged now instead of waiting for more pieces
    SealNow,
    /// Try a failed sector again, from where it failed
    Retry {
        /// Its number, as `miner status` shows it
        sector: u64,
    },
    /// Do not try a failed sector again; its deals fail, and their clients take their money back
    GiveUp {
        /// Its number, as `miner status` shows it
        sector: u64,
    },
    /// Tell why a sector is not done, and when it will be
    Explain {
        /// The sector's number
        sector: u64,
    },
    /// Print a link and a QR code that open the page at this miner
    Link {
        /// Where the page is served, for others to open [default: this daemon's page]
        #[arg(long, value_name = "URL")]
        page: Option<HttpUrl>,
        /// The link alone, without the QR code
        #[arg(long)]
        no_qr: bool,
    },
    /// Print the last lines of the daemon's log, or change which lines it has
    Log {
        /// At most so many
        #[arg(long, default_value_t = 100)]
        lines: usize,
        /// Of this level and worse: error, warn, info, debug or trace
        #[arg(long, default_value = "trace")]
        level: String,
        /// Have these lines from now on until the daemon stops, as RUST_LOG: info, or sealdrop=debug,warn
        #[arg(long)]
        filter: Option<String>,
    },
    /// Send an alert to the daemon's webhook that says that it is a test
    TestAlert,
    /// Put a file of your own into a sector
    AddPiece {
        /// The file; `-` is the standard input
        file: PathBuf,
    },
}

/// Lines with how long ago each was.
fn log_lines(tail: &LogTail) -> String {
    let now = now_ms();
    let line = |line: &LogLine| {
        let ago = span(now.saturating_sub(line.at));
        let (target, text) = (escaped(&line.target), escaped(&line.text));
        format!("{ago:>12} ago {:5} {target} {text}", escaped(&line.level))
    };
    let head = format!("levels: {}", tail.filter);
    let lines = tail.lines.iter().map(line);
    [head].into_iter().chain(lines).collect::<Vec<_>>().join("\n")
}

/// Asks the daemon.
pub async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let Arguments {
        target,
        port,
        output,
        command,
    } = arguments;
    let operator = target.operator(&port)?;
    match command {
        Command::Link { page, no_qr } => {
            let miner = operator.mining().await?.address;
            link::show(&target, output, miner, page, !no_qr)?;
        }
        Command::Log { lines, level, filter } => {
            if let Some(filter) = filter {
                operator.change_log(&LogChange { filter }).await?;
            }
            let query = LogQuery {
                lines: Some(lines),
                level: Some(level),
            };
            let tail = operator.log(&query).await?;
            output.show(&tail, || log_lines(&tail))?;
        }
        Command::TestAlert => {
            let status = operator.test_alerts().await?;
            output.show(&status, || {
                format!("{} took it", status.webhook.as_deref().unwrap_or_default())
            })?;
        }
        Command::Start => {
            let status = operator.start_mining().await?;
            output.show(&status, || "Started mining".into())?;
        }
        Command::Stop => {
            let status = operator.stop_mining().await?;
            output.show(&status, || "Stopped mining".into())?;
        }
        Command::Once => {
            let made = operator.mine_once().await?;
            output.show(&made, || made.block.clone())?;
        }
        Command::Setup => {
            // A daemon that answers has its sectors open and its miner registered: both come before its listener.
            let status = operator.mining().await?;
            output.show(&status, || "mining ready".into())?;
        }
        Command::Status => match operator.mining().await {
            Ok(status) => output.show(&status, || described(&status))?,
            // The chain may be what fails: the daemon says so all the same.
            Err(error) => {
                if let Ok(health) = operator.health().await {
                    console::stderr(&problems(&health));
                }
                return Err(error.into());
            }
        },
        Command::Address => {
            let address = operator.mining().await?.address;
            output.show(&json!({ "address": address }), || address.to_string())?;
        }
        Command::SealNow => {
            check_mining(&operator, "seal sectors").await?;
            let status = operator.seal_now().await?;
            output.show(&status, || "sealing started".into())?;
        }
        Command::Retry { sector } => {
            let tried = operator.retry_sector(sector).await?;
            output.show(&tried, || format!("sector {sector} is tried again"))?;
        }
        Command::GiveUp { sector } => {
            let given_up = operator.give_up_sector(sector).await?;
            output.show(&given_up, || format!("sector {sector} is given up"))?;
        }
        Command::Explain { sector } => {
            let told = operator.explain_sector(sector).await?;
            output.show(&told, || explain::described(&told))?;
        }
        Command::AddPiece { file } => {
            check_mining(&operator, "add piece").await?;
            let added = operator.add_piece(super::open(&file)?).await?;
            output.show(&added, || format!("piece staged in sector {}", added.sector))?;
        }
    }
    Ok(())
}

async fn check_mining(operator: &Operator, purpose: &'static str) -> Result<(), CommandError> {
    match operator.mining().await?.mining {
        true => Ok(()),
        false => Err(CommandError::NotMining { purpose }),
    }
}

fn described(status: &MiningStatus) -> String {
    let window = status
        .proving_window
        .map_or("none yet".into(), |(start, end)| format!("{start}-{end}"));
    let mut rows = vec![
        ["mining".to_owned(), if status.mining { "yes" } else { "no" }.to_owned()],
        ["miner".to_owned(), status.address.to_string()],
        ["height".to_owned(), status.height.to_string()],
        ["power".to_owned(), format!("{} / {}", status.power, status.total_power)],
        ["collateral".to_owned(), format!("{} FIL", status.collateral)],
        ["proving window".to_owned(), window],
        ["proof takes".to_owned(), proof(&status.proving)],
        ["sectors being sealed".to_owned(), status.sealing.to_string()],
        ["waiting to be sealed".to_owned(), waiting(&status.intake)],
        ["scrubbed".to_owned(), scrubbed(&status.scrub)],
        ["prover".to_owned(), prover(&status.own_prover)],
    ];
    rows.extend(status.addresses.iter().map(|address| {
        let line = format!("{} {}", address.address, address.described());
        ["reached at".to_owned(), line]
    }));
    rows.extend(status.link.iter().map(|link| ["link".to_owned(), link.clone()]));
    rows.push(["health".to_owned(), summary(&status.health)]);
    rows.push(["refused to peers".to_owned(), refused(&status.refused)]);
    rows.extend(status.packing.iter().map(|filling| {
        let Filling {
            sector,
            used,
            size,
            fill,
        } = filling;
        [
            format!("sector {sector} takes pieces"),
            format!("{used} of {size} bytes used ({fill} %)"),
        ]
    }));
    rows.extend(status.stuck.iter().map(|sector| {
        let order = format!("failed: order `sealdrop mining retry {sector}`, or `give-up`");
        [format!("sector {sector}"), order]
    }));
    rows.extend(status.jobs.iter().map(|job| [running(job), estimate(job)]));
    let notes = status.intake.reason.iter().chain(&status.proving.warning);
    let damage = status
        .scrub
        .damage
        .iter()
        .map(|damage| format!("sector {}: {}", damage.sector, damage.text));
    let notes = notes.cloned().chain(damage).map(|note| format!("\n{note}"));
    let problems = match status.health.ok {
        true => String::new(),
        false => format!("\n{}", problems(&status.health)),
    };
    columns(rows) + &notes.collect::<String>() + &problems
}

fn refused(counts: &BTreeMap<String, u64>) -> String {
    let some = counts.iter().filter(|(_, count)| **count > 0);
    let words: Vec<String> = some.map(|(limit, count)| format!("{count} {limit}")).collect();
    match words.is_empty() {
        true => "nothing".to_owned(),
        false => words.join(", "),
    }
}

fn summary(health: &Health) -> String {
    let up = health
        .services
        .iter()
        .filter(|one| one.state == ServiceState::Up)
        .count();
    let restarts: u64 = health.services.iter().map(|one| one.restarts).sum();
    let all = health.services.len();
    let state = if health.ok { "ok" } else { "NOT OK" };
    format!("{state}: {up} of {all} services up, {restarts} restarts since the start")
}

/// What is wrong, a line each.
fn problems(health: &Health) -> String {
    let line = |problem: &Problem| {
        let since = span(now_ms().saturating_sub(problem.since));
        format!("{} (for {since}): {}", problem.service, problem.text)
    };
    health.problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn proof(proving: &ProvingStatus) -> String {
    let of = proving
        .window_ms
        .map(|ms| format!(" of {}", span(ms)))
        .unwrap_or_default();
    let time = proving.expected_ms.map_or("unknown".into(), span);
    format!("{time}{of} ({})", proving.basis)
}

fn prover(own: &OwnCodeStatus) -> String {
    if !own.enabled {
        return "filecoin-proofs alone (`sealdrop config sealing.ownProver true` turns the own code on)".into();
    }
    let refused = match &own.last_refusal {
        None => "none refused".to_owned(),
        Some(last) => format!("{} refused and done by filecoin-proofs, the last: {last}", own.refusals),
    };
    format!(
        "own code ({}); {} proofs since the start, {refused}",
        own.kernel, own.proofs
    )
}

fn waiting(intake: &IntakeStatus) -> String {
    let open = if intake.open { "" } else { ": no more is taken in" };
    format!(
        "{} deals of {}, {} bytes of {}{open}",
        intake.waiting_deals, intake.max_deals, intake.waiting_bytes, intake.max_bytes
    )
}

fn scrubbed(scrub: &ScrubStatus) -> String {
    match scrub.last_at {
        None => "nothing yet".into(),
        Some(at) => format!(
            "{} sectors, the last {} ago; {} copies put back, {} damaged",
            scrub.sectors,
            span(now_ms().saturating_sub(at)),
            scrub.restored,
            scrub.damage.len()
        ),
    }
}

fn running(job: &JobView) -> String {
    let of = job
        .sector
        .map(|sector| format!(" of sector {sector}"))
        .unwrap_or_default();
    format!("{}{of}", job.step)
}

fn estimate(job: &JobView) -> String {
    let takes = job
        .expected_ms
        .map_or("for an unknown time".into(), |ms| format!("of about {}", span(ms)));
    let begins = match job.wait_ms {
        None => "at an unknown time".into(),
        Some(0) => "any moment".into(),
        Some(ms) => format!("in about {}", span(ms)),
    };
    match job.state {
        JobState::Running { since_ms } => {
            format!(
                "for {} {takes} ({})",
                span(now_ms().saturating_sub(since_ms)),
                job.basis
            )
        }
        JobState::Queued { behind } => format!("waits behind {behind}, begins {begins}, then {takes} ({})", job.basis),
    }
}
