//! The daemon of the soak: a real process that can be killed, lose its power, its disk's room, its log or the time of day.
//!
//! Two libraries are preloaded into it: one fails its calls and shifts its clock ([`shortage`]), one records what it writes and syncs
//! ([`power_loss`]). The record is lived through at each end of the process, so that what an earlier process wrote and nobody synced
//! is lost with the power, too. Its log comes through a pipe, whose reader can stop to read or go away.

use crate::kill::killable;
use crate::shortages::Health;
use crate::{free_ports, program};
use sealdrop_database::testing::power_loss::{self, Disk, Recording};
use sealdrop_database::testing::shortage::{self, Short, Shortage};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{pipe, BufRead, BufReader, PipeReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Blocks in which every sector is proven once, and of the window at their end; a block a second.
pub(super) const PERIOD: u64 = 120;
pub(super) const WINDOW: u64 = 60;
/// How long a start may take on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(50);
/// Words of the log that tell of a defect, whatever comes of it.
const DEFECTS: [&str; 2] = ["a rule of the whole chain does not hold", "panicked at"];
/// Logs that are kept, the last ones: each is a start's.
const LOGS_KEPT: u32 = 40;

/// What becomes of the daemon's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogState {
    Read,
    /// Somebody holds it and reads nothing.
    Stalled,
    /// Its reader is gone.
    Closed,
}

impl LogState {
    const ALL: [Self; 3] = [Self::Read, Self::Stalled, Self::Closed];
}

/// What the log told of defects. Clones are the same list.
type Defects = Arc<Mutex<Vec<String>>>;

/// See the module.
pub(super) struct SteeredDaemon {
    root: TempDir,
    ports: [u16; 4],
    child: Option<Child>,
    starts: u32,
    log_state: Arc<AtomicU8>,
    defects: Defects,
    shortage: Shortage,
    libraries: [TempDir; 2],
    disk: Disk,
}

impl Drop for SteeredDaemon {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl SteeredDaemon {
    /// A daemon that was never started.
    pub fn new() -> Result<Self, String> {
        let missing = "there is no C compiler here: install one, for instance `apt install gcc`";
        let libraries = [
            shortage::interposer().ok_or(missing)?,
            power_loss::interposer().ok_or(missing)?,
        ];
        Ok(Self {
            root: tempfile::tempdir().map_err(text)?,
            ports: free_ports(),
            child: None,
            starts: 0,
            log_state: Arc::default(),
            defects: Defects::default(),
            shortage: Shortage::new(),
            libraries,
            disk: Disk::default(),
        })
    }

    pub fn ports(&self) -> [u16; 4] {
        self.ports
    }

    pub fn chain(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[2])
    }

    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    pub fn health(&self) -> Health {
        Health::at(self.ports[3])
    }

    /// Its process id while it runs.
    pub fn process(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Takes what its log told of defects since the last call.
    pub fn take_defects(&self) -> Vec<String> {
        std::mem::take(&mut self.defects.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks it as its operator; `None` while there is no answer.
    pub fn ask(&self, arguments: &[&str]) -> Option<Value> {
        let mut command = Command::new(program());
        command.args(arguments).arg("--home").arg(self.home()).arg("--json");
        let output = command.stdin(Stdio::null()).output().ok()?;
        let is_good = output.status.success();
        is_good.then(|| serde_json::from_slice(&output.stdout).ok()).flatten()
    }

    /// Starts it and waits until it is ready; gives the time that took.
    pub fn start(&mut self) -> Result<Duration, String> {
        self.starts += 1;
        let (reader, writer) = pipe().map_err(text)?;
        let mut command = self.command();
        self.shortage.steer(&mut command, &self.libraries[0]);
        power_loss::record(&mut command, &self.libraries[1], &self.home(), &self.record_path());
        command
            .stdin(Stdio::null())
            .stdout(writer.try_clone().map_err(text)?)
            .stderr(writer);
        self.set_log(LogState::Read);
        self.child = Some(command.spawn().map_err(text)?);
        // It holds the other ends of the pipe.
        drop(command);
        self.collect_log(reader)?;
        let (began, mut health) = (Instant::now(), self.health());
        while health.ask().is_none_or(|health| health["ok"] != true) {
            if let Some(status) = self.ended_by_itself() {
                return Err(format!(
                    "it ended with {status} instead of starting:\n{}",
                    self.log_tail()
                ));
            }
            if began.elapsed() > START_LIMIT {
                let now = health.ask().unwrap_or_default();
                return Err(format!(
                    "it is not well {START_LIMIT:?} after its start: {}",
                    now["problems"]
                ));
            }
            std::thread::sleep(LOOK);
        }
        Ok(began.elapsed())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(killable());
        command.arg("daemon").arg("--home").arg(self.home());
        command.args(["--sector-size", "2KiB", "--block-time", "1s", "--auto-seal", "2s"]);
        let (period, window) = (PERIOD.to_string(), WINDOW.to_string());
        command.args(["--proving-period", &period, "--challenge-window", &window]);
        let names = ["--p2p-port", "--p2p-ws-port", "--chain-port", "--web-port"];
        for (name, port) in names.into_iter().zip(self.ports) {
            command.arg(name).arg(port.to_string());
        }
        // No test is at a fixed one: any that is free.
        command.args(["--http-port", "0"]);
        command
    }

    fn record_path(&self) -> PathBuf {
        self.root.path().join(format!("record-{}", self.starts))
    }

    fn log_path(&self, start: u32) -> PathBuf {
        self.root.path().join(format!("daemon-{start}.log"))
    }

    fn collect_log(&self, reader: PipeReader) -> Result<(), String> {
        let file = File::create(self.log_path(self.starts)).map_err(text)?;
        // Logs of long ago; the first one may not be there.
        let _ = fs::remove_file(self.log_path(self.starts.saturating_sub(LOGS_KEPT)));
        let (state, defects) = (self.log_state.clone(), self.defects.clone());
        std::thread::spawn(move || collect(reader, file, &state, &defects));
        Ok(())
    }

    /// The end of its log.
    pub fn log_tail(&self) -> String {
        let log = fs::read(self.log_path(self.starts)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// How it ended, if nobody ended it.
    pub fn ended_by_itself(&mut self) -> Option<ExitStatus> {
        let ended = self.child.as_mut()?.try_wait().ok()??;
        self.child = None;
        self.live_through_record();
        Some(ended)
    }

    /// Ends it at once. What it wrote stays.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
        self.live_through_record();
    }

    /// Ends it at once, and takes away what nobody synced, or tears it, by numbers drawn from `torn`. Gives the number of files left.
    pub fn lose_power(&mut self, torn: u64) -> Result<usize, String> {
        self.kill();
        let home = self.home();
        fs::remove_dir_all(&home).map_err(text)?;
        fs::create_dir(&home).map_err(text)?;
        self.disk.write_to(&home, Some(torn), &home);
        self.disk = Disk::of(&home);
        Ok(self.disk.len())
    }

    fn live_through_record(&mut self) {
        let path = self.record_path();
        for (_, event) in Recording::parse(&fs::read(&path).unwrap_or_default()).0 {
            self.disk.happens(&event);
        }
        // There is none when it never ran.
        let _ = fs::remove_file(path);
    }

    /// From now on its disk is full, the whole of its home.
    pub fn fill_disk(&self) {
        self.shortage.begin(&Short::Disk(&self.home()), 0);
    }

    /// From now on the disk of its log is full.
    pub fn fill_log(&self) {
        self.shortage.begin(&Short::Disk(Path::new("pipe:")), 0);
    }

    /// There is room again.
    pub fn free_disk(&self) {
        self.shortage.end();
    }

    /// Calls that failed since the disk was filled.
    pub fn failed_calls(&self) -> u64 {
        self.shortage.failed()
    }

    /// Its time of day is so far ahead of the machine's from now on, over restarts.
    pub fn set_clock_ahead(&self, seconds: i64) {
        self.shortage.set_clock_ahead(seconds);
    }

    pub fn set_log(&self, state: LogState) {
        self.log_state.store(state as u8, Ordering::SeqCst);
    }
}

/// Copies the log as long as it is to be read.
fn collect(reader: PipeReader, mut file: File, state: &AtomicU8, defects: &Mutex<Vec<String>>) {
    for line in BufReader::new(reader).split(b'\n') {
        let Ok(line) = line else { return };
        let text = String::from_utf8_lossy(&line);
        if DEFECTS.iter().any(|words| text.contains(words)) {
            defects
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(text.into_owned());
        }
        // The machine's disk may be full in earnest.
        let _ = file.write_all(&line).and_then(|()| file.write_all(b"\n"));
        loop {
            match LogState::ALL[usize::from(state.load(Ordering::SeqCst))] {
                LogState::Read => break,
                LogState::Stalled => std::thread::sleep(LOOK),
                LogState::Closed => return,
            }
        }
    }
}

pub(super) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
