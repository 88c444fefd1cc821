//! Deals with a real daemon and real clients, one after another or all at once: what the sealing benchmark measures of
//! the whole product. Started by `cargo xtask bench sealing`.
//!
//! ```text
//! deals-at-once sequence|together DEALS SECTOR_SIZE    for example: together 4 8MiB
//! ```
//! Each deal fills a sector of its own. `sequence` has its first proof-of-spacetime after the end, so that what the
//! daemon spends is sealing; `together` has proving periods of some minutes, so that proofs fall due while sectors are
//! sealed. The last line is one JSON object: seconds from the first command to the last deal's completion, the daemon's
//! processor seconds meanwhile, and the proofs-of-spacetime with the blocks by which they were due.

use sealdrop_tests::{bytes, free_ports, program, wait_for, Client, Running};
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Blocks in a proving period, and in the window at its end, with a block a second.
const SHORT: (u64, u64) = (200, 100);
const LONG: (u64, u64) = (6000, 60);
/// How long the daemon may take to be ready: it may have to generate parameters first.
const READY_LIMIT: Duration = Duration::from_secs(900);
/// How long all deals may take.
const DEALS_LIMIT: Duration = Duration::from_secs(3600);
/// How long the proof may take that is due when the deals are done.
const PROOF_LIMIT: Duration = Duration::from_secs(800);
/// Time between two looks for proofs: far less than a proving period.
const LOOK: Duration = Duration::from_secs(5);
/// Most deals of one run.
const MAX_DEALS: u64 = 64;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [order, deals, size] = arguments.as_slice() else {
        eprintln!("usage: deals-at-once sequence|together DEALS SECTOR_SIZE");
        return ExitCode::FAILURE;
    };
    let deals = match deals.parse::<u64>() {
        Ok(deals) if (1..=MAX_DEALS).contains(&deals) => deals,
        _ => {
            eprintln!("{deals} is no number of deals: take 1 to {MAX_DEALS}");
            return ExitCode::FAILURE;
        }
    };
    let usable = match size.as_str() {
        "2KiB" => 2032,
        "8MiB" => 8_323_072,
        _ => {
            eprintln!("{size} is no sector size for this program: take 2KiB or 8MiB");
            return ExitCode::FAILURE;
        }
    };
    let figures = match order.as_str() {
        "sequence" => sequence(deals, size, usable),
        "together" => together(deals, size, usable),
        _ => {
            eprintln!("{order} is no order: take sequence or together");
            return ExitCode::FAILURE;
        }
    };
    println!("{figures}");
    ExitCode::SUCCESS
}

/// One deal after another.
fn sequence(deals: u64, size: &str, usable: usize) -> Value {
    let daemon = Daemon::start(size, LONG);
    let client = Client::new(&daemon.chain());
    let (clock, cpu) = (Instant::now(), daemon.cpu_seconds());
    for deal in 0..deals {
        store(&client, deal, usable).end().succeeded();
        println!(
            "deal {} complete after {:.0} s",
            deal + 1,
            clock.elapsed().as_secs_f64()
        );
    }
    let seconds = clock.elapsed().as_secs_f64();
    json!({ "deals": deals, "seconds": seconds, "cpu_seconds": daemon.cpu_seconds() - cpu })
}

/// All at once, each by a client of its own; then waits for the proof that falls due next.
fn together(deals: u64, size: &str, usable: usize) -> Value {
    let daemon = Daemon::start(size, SHORT);
    let clients: Vec<Client> = (0..deals).map(|_| Client::new(&daemon.chain())).collect();
    let (clock, cpu) = (Instant::now(), daemon.cpu_seconds());
    let numbered = clients.iter().zip(0..);
    let mut running: Vec<(u64, Running)> = numbered
        .map(|(client, deal)| (deal, store(client, deal, usable)))
        .collect();
    let mut proofs = Proofs::default();
    wait_for("all deals to be complete", DEALS_LIMIT, || {
        proofs.look(&daemon);
        let ended = running.iter_mut().position(|(_, running)| running.has_ended());
        if let Some(ended) = ended {
            let (deal, ended) = running.remove(ended);
            ended.end().succeeded();
            println!(
                "deal {} complete after {:.0} s",
                deal + 1,
                clock.elapsed().as_secs_f64()
            );
        }
        running.is_empty().then_some(())
    });
    let (seconds, cpu) = (clock.elapsed().as_secs_f64(), daemon.cpu_seconds() - cpu);
    let during = proofs.heights.len();
    let next = proofs.heights.len() + 1;
    wait_for("the proof that is due next", PROOF_LIMIT, || {
        proofs.look(&daemon);
        (proofs.heights.len() >= next).then_some(())
    });
    json!({
        "deals": deals, "seconds": seconds, "cpu_seconds": cpu,
        "proofs": proofs.heights.len(), "proofs_while_sealing": during, "proofs_on_time": proofs.on_time(SHORT.0),
    })
}

fn store(client: &Client, deal: u64, usable: usize) -> Running {
    let file = client.file(&format!("file-{deal}"), &bytes(deal + 1, usable));
    let file = file.to_str().expect("the path is text").to_owned();
    client.start(&["store", &file, "--duration", "20000"])
}

/// The proofs-of-spacetime that were seen: the block by which each was due, and the one that has it.
#[derive(Default)]
struct Proofs {
    heights: BTreeMap<u64, u64>,
    looked: Option<Instant>,
}

impl Proofs {
    /// Looks for the last proof, now and then only: a look is a process of its own.
    fn look(&mut self, daemon: &Daemon) {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return;
        }
        self.looked = Some(Instant::now());
        let Some(status) = daemon.status() else { return };
        let post = &status["lastPost"];
        if let (Some(due), Some(height)) = (post["windowEnd"].as_u64(), post["height"].as_u64()) {
            if self.heights.insert(due, height).is_none() {
                println!("a proof-of-spacetime that was due by block {due} is in block {height}");
            }
        }
    }

    /// Those that came by the end of their window, if no window in between was left out; otherwise none.
    fn on_time(&self, period: u64) -> usize {
        let due: Vec<u64> = self.heights.keys().copied().collect();
        if due.windows(2).any(|pair| pair[1] - pair[0] != period) {
            return 0;
        }
        self.heights.iter().filter(|(due, height)| height <= due).count()
    }
}

/// A daemon in a directory of its own, with a block a second.
struct Daemon {
    child: Child,
    home: tempfile::TempDir,
    chain: u16,
}

impl Daemon {
    fn start(size: &str, (period, window): (u64, u64)) -> Self {
        let home = tempfile::tempdir().expect("there is room for a directory");
        let ports = free_ports();
        let log = File::create(log_path(home.path())).expect("the log can be written");
        let mut command = Command::new(program());
        command
            .arg("daemon")
            .arg("--home")
            .arg(home.path())
            .arg("--params")
            .arg(params());
        command.args([
            "--sector-size",
            size,
            "--block-time",
            "1s",
            "--grace",
            "600",
            "--auto-seal",
            "1s",
        ]);
        command.args([
            "--proving-period",
            &period.to_string(),
            "--challenge-window",
            &window.to_string(),
        ]);
        let names = ["--p2p-port", "--p2p-ws-port", "--chain-port", "--web-port"];
        for (name, port) in names.into_iter().zip(ports) {
            command.arg(name).arg(port.to_string());
        }
        // No test is at a fixed one: any that is free.
        command.args(["--http-port", "0"]);
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log);
        let mut daemon = Self {
            child: command.spawn().expect("the daemon starts"),
            home,
            chain: ports[2],
        };
        wait_for("the daemon to be ready", READY_LIMIT, || {
            let ended = daemon.child.try_wait().ok().flatten();
            assert!(ended.is_none(), "the daemon ended by itself: {}", daemon.log());
            daemon.log().contains("Sealdrop is ready").then_some(())
        });
        daemon
    }

    fn chain(&self) -> String {
        format!("http://127.0.0.1:{}", self.chain)
    }

    fn log(&self) -> String {
        fs::read_to_string(log_path(self.home.path())).unwrap_or_default()
    }

    /// How the miner is doing, as the operator sees it.
    fn status(&self) -> Option<Value> {
        let mut command = Command::new(program());
        command
            .args(["miner", "status", "--json", "--home"])
            .arg(self.home.path());
        let output = command.stdin(Stdio::null()).output().ok()?;
        serde_json::from_slice(&output.stdout).ok()
    }

    /// Processor time that it has taken, in seconds, of user and system.
    fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("Linux tells of its processes");
        // The name in brackets may hold spaces; after it come state and numbers, the 12th to 15th of them ticks: its own,
        // and those of the processes that it started and that have ended.
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ');
        let ticks: f64 = fields
            .skip(11)
            .take(4)
            .map(|field| field.parse::<f64>().unwrap_or(0.0))
            .sum();
        ticks / TICKS_A_SECOND
    }
}

/// Linux counts processor time for programs in hundredths of a second.
const TICKS_A_SECOND: f64 = 100.0;

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log());
        }
    }
}

fn log_path(home: &Path) -> PathBuf {
    home.join("log")
}

/// Where proof parameters are kept between runs.
fn params() -> PathBuf {
    let user = || PathBuf::from(std::env::var_os("HOME").expect("a user has a home")).join(".sealdrop/params");
    std::env::var_os("SEALDROP_PARAMS").map_or_else(user, PathBuf::from)
}
