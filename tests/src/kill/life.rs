//! One life of a miner with one deal, by the real processes of daemon and client.

use super::Program;
use crate::{bytes, free_ports, program};
use sealdrop_miner::failpoint::VARIABLE;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(60);
/// Pause between two looks that start a program.
const SLOW_LOOK: Duration = Duration::from_millis(300);
/// The signal that nobody can catch.
const SIGKILL: i32 = 9;
/// An address for HTTP at which nobody answers: the port of the discard service.
const NOBODY: &str = "/ip4/127.0.0.1/tcp/9/http";
/// Times that the client may have to be started again.
const CLIENT_TRIES: u32 = 20;
/// How long the daemon may take for what comes after its last step.
const PATIENCE: Duration = Duration::from_secs(60);
/// How far a phase is gone when it is killed in its middle.
const MIDDLE: Duration = Duration::from_secs(20);
/// Blocks of the deal: enough for a client that waits a second before it comes back, since no piece is awaited beyond its deal's end.
const DURATION: &str = "60";
/// Time between blocks with fake proofs.
const BLOCK_TIME: &str = "40ms";
/// Unpadded bytes of the deal's file.
const FILE_BYTES: usize = 700;

/// How a life ended. The same for all lives but for what was computed in vain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ending {
    pub was_killed: bool,
    /// How often each phase of sealing was begun.
    pub computed: BTreeMap<String, usize>,
    /// Messages of the miner in blocks, by method; those that come once a window are not counted.
    pub messages: BTreeMap<String, usize>,
    /// The stages of the deals that the miner accepted.
    pub deals: Vec<String>,
    pub sectors: Vec<String>,
    pub earned: String,
    /// Files of pieces and sectors that nobody removed.
    pub left: BTreeSet<String>,
}

/// What a life is like, beside its program.
pub(crate) struct Conditions {
    /// Where the daemon is killed.
    pub point: Option<String>,
    /// Time between blocks with fake proofs.
    pub block_time: &'static str,
    /// Blocks of the deal.
    pub duration: &'static str,
    /// Changes the daemon's command line or environment.
    pub prepare: Box<dyn Fn(&mut Command) + Send>,
}

/// See the module.
pub struct Life {
    kind: Program,
    conditions: Conditions,
    home: TempDir,
    ports: [u16; 4],
    daemon: Option<Child>,
    starts: u32,
    client: Option<Child>,
    client_tries: u32,
    stored: bool,
    was_killed: bool,
}

impl Drop for Life {
    fn drop(&mut self) {
        for child in [&mut self.daemon, &mut self.client].into_iter().flatten() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A program that was built beside `sealdrop`.
pub fn killable() -> PathBuf {
    let name = format!("killable-daemon{}", std::env::consts::EXE_SUFFIX);
    program().with_file_name(name)
}

impl Life {
    /// Starts a daemon in a new home, armed with `point`.
    pub fn begin(kind: Program, point: Option<&str>) -> Result<Self, String> {
        let conditions = Conditions {
            point: point.map(str::to_owned),
            block_time: BLOCK_TIME,
            duration: DURATION,
            prepare: Box::new(|_| {}),
        };
        Self::begin_under(kind, conditions)
    }

    /// Starts a daemon in a new home.
    pub(crate) fn begin_under(kind: Program, conditions: Conditions) -> Result<Self, String> {
        let mut life = Self {
            kind,
            conditions,
            home: tempfile::tempdir().map_err(text)?,
            ports: free_ports(),
            daemon: None,
            starts: 0,
            client: None,
            client_tries: 0,
            stored: false,
            was_killed: false,
        };
        fs::write(life.path("file"), bytes(7, FILE_BYTES)).map_err(text)?;
        life.start_daemon()?;
        Ok(life)
    }

    /// What belongs to this life: `home` is the daemon's, `client` the client's, `file` what is stored.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Where the daemon answers its operator.
    pub(crate) fn web_port(&self) -> u16 {
        self.ports[3]
    }

    fn start_daemon(&mut self) -> Result<(), String> {
        self.starts += 1;
        let log = File::create(self.log_path(self.starts)).map_err(text)?;
        let mut command = match self.kind {
            Program::Fake => Command::new(killable()),
            Program::Real => Command::new(program()),
        };
        command.arg("daemon").arg("--home").arg(self.path("home"));
        command.args(["--sector-size", "2KiB", "--price", "0.000001"]);
        let names = ["--p2p-port", "--p2p-ws-port", "--chain-port", "--web-port"];
        for (name, port) in names.into_iter().zip(self.ports) {
            command.arg(name).arg(port.to_string());
        }
        // No test is at a fixed one: any that is free.
        command.args(["--http-port", "0"]);
        let point = self.conditions.point.as_deref().unwrap_or_default();
        // Whether a file comes over HTTP or by libp2p is a race, and these points are by one way only.
        if point.starts_with("transfer.") {
            command.args(["--http-announce", NOBODY]);
        }
        // Real proofs take their time; blocks are as fast as that allows.
        let pace: [&str; 8] = match self.kind {
            Program::Fake => [
                "--block-time",
                self.conditions.block_time,
                "--proving-period",
                "40",
                "--challenge-window",
                "30",
                "--auto-seal",
                "100ms",
            ],
            Program::Real => [
                "--block-time",
                "1s",
                "--proving-period",
                "90",
                "--challenge-window",
                "60",
                "--auto-seal",
                "2s",
            ],
        };
        command.args(pace).args(["--grace", "400"]);
        if self.kind == Program::Real {
            command.arg("--params").arg(crate::params());
        }
        let armed = self
            .conditions
            .point
            .as_deref()
            .filter(|point| self.starts == 1 && !point.starts_with("during."));
        match armed {
            Some(point) => command.env(VARIABLE, point),
            None => command.env_remove(VARIABLE),
        };
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(text)?)
            .stderr(log);
        (self.conditions.prepare)(&mut command);
        self.daemon = Some(command.spawn().map_err(text)?);
        Ok(())
    }

    fn log_path(&self, start: u32) -> PathBuf {
        self.path(&format!("daemon-{start}.log"))
    }

    fn log(&self, start: u32) -> String {
        let bytes = fs::read(self.log_path(start)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Lives on until the sector is removed; says how it stands then.
    pub fn to_the_end(mut self, limit: Duration) -> Result<Ending, String> {
        let began = Instant::now();
        while began.elapsed() < limit {
            self.look_after_daemon()?;
            let is_ready = self.log(self.starts).contains("Sealdrop is ready");
            if !is_ready {
                std::thread::sleep(LOOK);
            } else if !self.stored {
                self.look_after_client()?;
                std::thread::sleep(LOOK);
            } else {
                // What is asked while the daemon dies is asked again.
                if let Some(ending) = self.ending() {
                    return self.settle(ending);
                }
                std::thread::sleep(SLOW_LOOK);
            }
        }
        let last = self.ask(&["miner", "status"]);
        Err(format!(
            "not at the end after {limit:?}: {last:?}\n{}",
            tail(&self.log(self.starts))
        ))
    }

    /// Lets the daemon do what comes after its last step, then looks a last time: a kill may still come in the clearing
    /// away, and the daemon must come back from it.
    fn settle(&mut self, ending: Ending) -> Result<Ending, String> {
        let (started, mut last) = (Instant::now(), Some(ending));
        while started.elapsed() < PATIENCE {
            let starts = self.starts;
            self.look_after_daemon()?;
            if self.starts != starts {
                last = None;
            }
            if let Some(ending) = self.ending() {
                let is_awaited = self.conditions.point.is_some() && !self.was_killed;
                if ending.left.is_empty() && !is_awaited {
                    return Ok(ending);
                }
                last = Some(ending);
            }
            std::thread::sleep(SLOW_LOOK);
        }
        last.ok_or_else(|| format!("it does not come back:\n{}", tail(&self.log(self.starts))))
    }

    fn look_after_daemon(&mut self) -> Result<(), String> {
        self.strike_in_the_middle();
        let Some(daemon) = &mut self.daemon else { return Ok(()) };
        let Some(status) = daemon.try_wait().map_err(text)? else {
            return Ok(());
        };
        let log = self.log(self.starts);
        let point = self.conditions.point.as_deref().unwrap_or_default();
        let is_planned =
            self.starts == 1 && (log.contains(&format!("killed at {point}")) || point.starts_with("during."));
        if !is_planned || status.signal() != Some(SIGKILL) {
            return Err(format!("the daemon ended by itself with {status}:\n{}", tail(&log)));
        }
        self.was_killed = true;
        self.start_daemon()
    }

    /// Kills from outside in the middle of the phase that the point names.
    fn strike_in_the_middle(&mut self) {
        let Some(phase) = self
            .conditions
            .point
            .as_deref()
            .and_then(|point| point.strip_prefix("during."))
        else {
            return;
        };
        let begun = |log: &str| log.lines().any(|line| is_begun(line) == Some(phase));
        if self.starts == 1 && begun(&self.log(1)) {
            // Phase 2 of a small sector takes moments: what is hit then is its end or the next step.
            if phase == "commit-2" {
                std::thread::sleep(MIDDLE);
            }
            if let Some(daemon) = &mut self.daemon {
                // It may have ended by itself: then that is found out next.
                let _ = daemon.kill();
            }
        }
    }

    /// Sees that a client is at work for the deal until it is complete.
    fn look_after_client(&mut self) -> Result<(), String> {
        let Some(client) = &mut self.client else {
            return self.start_client();
        };
        let Some(status) = client.try_wait().map_err(text)? else {
            return Ok(());
        };
        self.client = None;
        if status.success() {
            self.stored = true;
            return Ok(());
        }
        match self.client_tries > CLIENT_TRIES {
            true => Err(format!("the client gave up:\n{}", tail(&self.client_log()))),
            false => Ok(()),
        }
    }

    /// Stores the file; goes on with a deal that is there already.
    fn start_client(&mut self) -> Result<(), String> {
        self.client_tries += 1;
        let mut command = match self.open_deal() {
            Some(deal) => self.sealdrop(&["client", "resume", &deal]),
            None => {
                let mut command = self.sealdrop(&["client", "store"]);
                command
                    .arg(self.path("file"))
                    .args(["--duration", self.conditions.duration]);
                command
            }
        };
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path("client.log"))
            .map_err(text)?;
        command.stdout(log.try_clone().map_err(text)?).stderr(log);
        self.client = Some(command.spawn().map_err(text)?);
        Ok(())
    }

    fn client_log(&self) -> String {
        fs::read_to_string(self.path("client.log")).unwrap_or_default()
    }

    /// The client's deal that can be carried on.
    fn open_deal(&self) -> Option<String> {
        if !self.path("client").exists() {
            return None;
        }
        let deals = output(self.sealdrop(&["client", "deals", "--json"]))?;
        let deals: Value = serde_json::from_str(&deals).ok()?;
        let open = |deal: &&Value| deal["state"] != "failed" && deal["state"] != "abandoned";
        let deal = deals.as_array()?.iter().find(open)?;
        Some(deal["deal"].as_str().or(deal["name"].as_str())?.to_owned())
    }

    /// A command of the client.
    pub(crate) fn sealdrop(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(arguments).arg("--home").arg(self.path("client"));
        command.args(["--chain", &format!("http://127.0.0.1:{}", self.ports[2])]);
        command.stdin(Stdio::null()).env_remove(VARIABLE);
        command
    }

    /// Asks the daemon as its operator.
    fn ask(&self, arguments: &[&str]) -> Option<Value> {
        let mut command = Command::new(program());
        command
            .args(arguments)
            .arg("--home")
            .arg(self.path("home"))
            .arg("--json");
        command.stdin(Stdio::null()).env_remove(VARIABLE);
        serde_json::from_str(&output(command)?).ok()
    }

    /// How everything stands, once the sector is removed and its deals have ended.
    fn ending(&self) -> Option<Ending> {
        let status = self.ask(&["miner", "status"])?;
        let sectors = status["sectors"].as_array()?;
        let sectors: Vec<String> = sectors
            .iter()
            .filter_map(|sector| Some(sector["phase"].as_str()?.to_owned()))
            .collect();
        if sectors.is_empty() || sectors.iter().any(|phase| phase != "removed") {
            return None;
        }
        let deals = self.ask(&["deals", "list", "--miner"])?;
        let deals = deals["deals"].as_array()?.iter();
        let deals: Vec<String> = deals
            .filter_map(|deal| Some(deal["state"].as_str()?.to_owned()))
            .collect();
        if deals.is_empty() {
            return None;
        }
        Some(Ending {
            was_killed: self.was_killed,
            computed: self.computed(),
            messages: self.messages(status["worker"].as_str()?)?,
            deals,
            sectors,
            earned: status["earned"].to_string(),
            left: self.left(),
        })
    }

    fn computed(&self) -> BTreeMap<String, usize> {
        let mut computed = BTreeMap::new();
        for start in 1..=self.starts {
            for phase in self.log(start).lines().filter_map(is_begun) {
                *computed.entry(phase.to_owned()).or_default() += 1;
            }
        }
        computed
    }

    /// Messages by method. Proofs-of-spacetime go by the clock, and a filler may stand in for a lost message's number.
    fn messages(&self, worker: &str) -> Option<BTreeMap<String, usize>> {
        let sent = self.ask(&["chain", "messages", worker])?;
        let mut messages = BTreeMap::new();
        for message in sent["messages"].as_array()? {
            let method = message["method"].as_str()?;
            if message["from"] == worker && method != "submitPoSt" {
                let code = message["exitCode"].as_u64().unwrap_or_default();
                let name = match code {
                    0 => method.to_owned(),
                    code => format!("{method}, refused with {code}"),
                };
                *messages.entry(name).or_default() += 1;
            }
        }
        Some(messages)
    }

    /// What is left of pieces and sectors.
    fn left(&self) -> BTreeSet<String> {
        let list = |dir: &Path| -> Vec<String> {
            let entries = fs::read_dir(dir).into_iter().flatten().flatten();
            entries
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect()
        };
        let miner = self.path("home").join("miner");
        [miner.join("staging"), miner.join("sectors")]
            .iter()
            .flat_map(|dir| list(dir))
            .collect()
    }
}

/// The phase whose computation a line of the log begins.
fn is_begun(line: &str) -> Option<&str> {
    let (_, fields) = line.split_once("computing ")?;
    let (_, phase) = fields.split_once("phase=")?;
    phase.split_whitespace().next().map(|phase| phase.trim_matches('"'))
}

fn output(mut command: Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    let ok: ExitStatus = output.status;
    ok.success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
