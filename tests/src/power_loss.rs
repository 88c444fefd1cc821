//! The power fails while the daemon carries a deal: nothing that it acknowledged or put on the chain may be forgotten.
//!
//! The daemon's real process (with proofs that are named fake) lives with a client from its first start to its sector's first proof, and what
//! it writes is recorded ([`sealdrop_database::testing::power_loss`]). An observer asks it over and over, as anybody may, for the chain's
//! head, its deals and its sectors. Then its home is made anew as it would stand if the power had failed at one of many moments, and
//! the daemon is started on it: it must start, and know what it had said until then.

use crate::kill::killable;
use crate::{bytes, free_ports, program};
use sealdrop_database::testing::power_loss::{interposer, record, Disk, Recording};
use serde_json::{json, Value};
use shared::sector::Phase;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a life may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);
/// How long a start may take.
const START_LIMIT: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);
/// Time between blocks.
const PACE: &str = "40ms";
/// The same, where a block would change what is compared.
const STILL: &str = "1h";
/// The states of a deal in their order.
const STATES: [&str; 3] = ["accepted", "staged", "complete"];

const COMPLETE: usize = 2;

/// What came of it.
#[derive(Debug, Default)]
pub struct Summary {
    pub events: usize,
    pub states: usize,
    /// The moments and what was wrong then.
    pub failed: BTreeMap<String, String>,
    pub took: Duration,
}

impl Summary {
    pub fn to_json(&self) -> Value {
        json!({
            "events": self.events,
            "power_loss_states": self.states,
            "power_loss_failed": self.failed.len(),
            "failed": self.failed,
            "seconds": self.took.as_secs(),
        })
    }
}

/// What the daemon said, at the latest when its record had a length.
#[derive(Debug, Clone, Default)]
struct Said {
    length: usize,
    /// The newest block.
    head: String,
    /// How far each deal is, by its id.
    deals: BTreeMap<String, usize>,
    sectors: BTreeMap<u64, Phase>,
}

impl Said {
    /// Asks a daemon; `None` while it does not answer.
    fn by(home: &Path) -> Option<Self> {
        let head = ask(home, &["chain", "head"])?["block"].as_str()?.to_owned();
        let (mut deals, mut sectors) = (BTreeMap::new(), BTreeMap::new());
        for deal in ask(home, &["deals", "list", "--miner"])?["deals"].as_array()? {
            let state = deal["state"].as_str()?;
            let rank = STATES.iter().position(|name| *name == state)?;
            deals.insert(deal["proposalCid"].as_str()?.to_owned(), rank);
        }
        for sector in ask(home, &["miner", "status"])?["sectors"].as_array()? {
            let phase = serde_json::from_value(sector["phase"].clone()).ok()?;
            sectors.insert(sector["id"].as_u64()?, phase);
        }
        Some(Self {
            length: 0,
            head,
            deals,
            sectors,
        })
    }

    /// What is not known any more of what was said before.
    fn forgotten_by(&self, home: &Path) -> Result<(), String> {
        if !self.head.is_empty() && ask(home, &["chain", "block", &self.head]).is_none() {
            return Err(format!("the block {} is forgotten", self.head));
        }
        let now = Self::by(home).ok_or("it does not answer")?;
        for (deal, rank) in &self.deals {
            match now.deals.get(deal) {
                Some(found) if found >= rank => {}
                found => return Err(format!("deal {deal} was {}: {found:?}", STATES[*rank])),
            }
        }
        for (sector, phase) in &self.sectors {
            match now.sectors.get(sector) {
                Some(found) if found >= phase => {}
                found => return Err(format!("sector {sector} was {phase:?}: {found:?}")),
            }
            let files = home.join("miner/sectors").join(sector.to_string());
            let is_whole = ["sealed", "cache/p_aux"].iter().all(|name| files.join(name).is_file());
            if *phase == Phase::Proving && !is_whole {
                return Err(format!("sector {sector} is on the chain, and its replica is lost"));
            }
        }
        Ok(())
    }
}

/// A daemon that ends with its handle.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A daemon on a home; its log lies beside the home.
fn daemon(home: &Path, ports: [u16; 4], block_time: &str) -> (Command, PathBuf) {
    let mut command = Command::new(killable());
    command.arg("daemon").arg("--home").arg(home);
    command.args(["--sector-size", "2KiB", "--price", "0.000001", "--auto-seal", "100ms"]);
    command.args([
        "--block-time",
        block_time,
        "--proving-period",
        "40",
        "--challenge-window",
        "30",
        "--grace",
        "400",
    ]);
    let names = ["--p2p-port", "--p2p-ws-port", "--chain-port", "--web-port"];
    for (name, port) in names.into_iter().zip(ports) {
        command.arg(name).arg(port.to_string());
    }
    // No test is at a fixed one: any that is free.
    command.args(["--http-port", "0"]);
    let mut log = home.as_os_str().to_owned();
    log.push(".log");
    (command, log.into())
}

fn start(mut command: Command, log: &Path) -> Result<Process, String> {
    let file = File::create(log).map_err(text)?;
    command
        .stdin(Stdio::null())
        .stdout(file.try_clone().map_err(text)?)
        .stderr(file);
    let mut process = Process(command.spawn().map_err(text)?);
    let began = Instant::now();
    loop {
        let said = fs::read_to_string(log).unwrap_or_default();
        if said.contains("Sealdrop is ready") {
            return Ok(process);
        }
        let ended = process.0.try_wait().map_err(text)?;
        if ended.is_some() || began.elapsed() > START_LIMIT {
            return Err(format!("it does not start ({ended:?}):\n{said}"));
        }
        std::thread::sleep(LOOK);
    }
}

fn ask(home: &Path, arguments: &[&str]) -> Option<Value> {
    let mut command = Command::new(program());
    command
        .args(arguments)
        .arg("--home")
        .arg(home)
        .arg("--json")
        .stdin(Stdio::null());
    let output = command.output().ok()?;
    let is_good = output.status.success();
    is_good.then(|| serde_json::from_slice(&output.stdout).ok()).flatten()
}

/// A recorded life.
struct Lived {
    root: TempDir,
    recording: Recording,
    said: Vec<Said>,
}

/// A deal's life until its sector was proven once.
fn live(library: &TempDir) -> Result<Lived, String> {
    let (root, beside) = (tempfile::tempdir().map_err(text)?, tempfile::tempdir().map_err(text)?);
    let (home, record_path) = (root.path().join("home"), beside.path().join("record"));
    let ports = free_ports();
    let (mut command, log) = daemon(&home, ports, PACE);
    record(&mut command, library, &home, &record_path);
    let running = start(command, &log)?;
    let file = beside.path().join("file");
    fs::write(&file, bytes(7, 700)).map_err(text)?;
    let mut client = Command::new(program());
    client
        .args(["client", "store"])
        .arg(&file)
        .args(["--duration", "2000", "--home"])
        .arg(beside.path().join("client"));
    client.args(["--chain", &format!("http://127.0.0.1:{}", ports[2])]);
    client.stdin(Stdio::null()).stdout(Stdio::null());
    let _client = Process(client.spawn().map_err(text)?);
    let (began, mut said) = (Instant::now(), Vec::new());
    loop {
        if let Some(mut now) = Said::by(&home) {
            // Taken last: what was said was on the disk by then.
            now.length = fs::metadata(&record_path).map_err(text)?.len() as usize;
            said.push(now);
        }
        let status = ask(&home, &["miner", "status"]).unwrap_or_default();
        let is_stored = said
            .last()
            .is_some_and(|said: &Said| said.deals.values().any(|rank| *rank >= COMPLETE));
        if is_stored && status["lastPost"].is_object() {
            break;
        }
        if began.elapsed() > LIMIT {
            return Err(format!("no proof within {LIMIT:?}: {status}"));
        }
    }
    drop(running);
    if said.iter().all(|said| said.deals.is_empty()) {
        return Err("the observer saw no deal".to_owned());
    }
    let recording = Recording::parse(&fs::read(&record_path).map_err(text)?);
    Ok(Lived { root, recording, said })
}

/// One moment at which the power fails.
struct Moment {
    place: usize,
    torn: Option<u64>,
    home: TempDir,
    said: Said,
}

/// Lets the power fail at about `states` moments of a life.
pub fn run(states: usize, jobs: usize) -> Result<Summary, String> {
    let began = Instant::now();
    let library = interposer().ok_or("there is no C compiler here: install one, for instance `apt install gcc`")?;
    let lived = live(&library)?;
    let home = lived.root.path().join("home");
    let mut summary = Summary {
        events: lived.recording.0.len(),
        ..Summary::default()
    };
    let step = (summary.events / states.div_ceil(2)).max(1);
    let (mut disk, mut said, mut next) = (Disk::default(), Said::default(), lived.said.iter().peekable());
    let mut moments = Vec::new();
    for (place, (length, event)) in lived.recording.0.iter().enumerate() {
        disk.happens(event);
        while let Some(now) = next.next_if(|now| now.length <= *length) {
            said = now.clone();
        }
        if place % step == 0 {
            for torn in [None, Some(place as u64)] {
                moments.push(Moment {
                    place,
                    torn,
                    home: disk.lay_out(torn, &home),
                    said: said.clone(),
                });
            }
        }
    }
    summary.states = moments.len();
    let (waiting, failed) = (Mutex::new(moments), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| loop {
                let next = waiting.lock().map(|mut waiting| waiting.pop());
                let Ok(Some(moment)) = next else { break };
                if let Err(reason) = survives(&moment) {
                    let name = format!("event {}{}", moment.place, moment.torn.map_or("", |_| ", torn"));
                    println!("{name}: FAILED: {reason}");
                    let _ = failed.lock().map(|mut failed| failed.insert(name, reason));
                }
            });
        }
    });
    summary.failed = failed.into_inner().map_err(text)?;
    summary.took = began.elapsed();
    Ok(summary)
}

fn survives(moment: &Moment) -> Result<(), String> {
    let home = moment.home.path();
    // A miner registers before it takes a deal, and for that it needs blocks.
    let block_time = if moment.said.deals.is_empty() { PACE } else { STILL };
    let (command, log) = daemon(home, free_ports(), block_time);
    let outcome = start(command, &log).and_then(|_running| moment.said.forgotten_by(home));
    // It lies beside the temporary folder, which goes by itself.
    let _ = fs::remove_file(log);
    outcome
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
