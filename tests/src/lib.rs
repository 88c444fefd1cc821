//! What the tests of the whole product share: a real daemon and a real client, each a process of its own.
//!
//! A [`Daemon`] lives on free ports and in a directory of its own, both kept over restarts, and ends with its handle. A
//! [`Client`] runs `sealdrop client` commands in a home of its own, and those of any other group.

pub mod drill;
pub mod homes;
pub mod hostile;
pub mod kill;
pub mod node;
pub mod peer;
mod ports;
pub mod power_loss;
pub mod s3;
pub mod scale;
pub mod shortages;
pub mod soak;

pub use kill::killable;
pub use ports::free_ports;

use serde_json::Value;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a daemon may take to be ready: it may have to generate the parameters of 2 KiB sectors first.
const READY_LIMIT: Duration = Duration::from_secs(600);
/// Time between blocks unless a test says otherwise.
const BLOCK_TIME: &str = "250ms";
/// Pause between two looks at something that is awaited.
const LOOK: Duration = Duration::from_millis(100);

/// The program under test.
pub fn program() -> PathBuf {
    let path = std::env::var_os("SEALDROP_BIN").map_or_else(
        || {
            // Programs run from TARGET/release, tests from TARGET/release/deps.
            let own = std::env::current_exe().expect("a running program has a path");
            let folders = own.ancestors().skip(1).take(2);
            let mut paths = folders.map(|folder| folder.join(format!("sealdrop{}", std::env::consts::EXE_SUFFIX)));
            let nearest = paths.clone().find(|path| path.is_file());
            nearest.or_else(|| paths.next()).expect("a program lies in a folder")
        },
        PathBuf::from,
    );
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build --release` first, or name the program with SEALDROP_BIN",
        path.display()
    );
    path
}

/// Runs the program alone, without home or chain.
pub fn sealdrop(arguments: &[&str]) -> Ended {
    let mut command = Command::new(program());
    Ended::of(piped(command.args(arguments)).output().expect("the program starts"))
}

/// Where proof parameters are kept between runs.
fn params() -> PathBuf {
    let user = || PathBuf::from(std::env::var_os("HOME").expect("a user has a home")).join(".sealdrop/params");
    std::env::var_os("SEALDROP_PARAMS").map_or_else(user, PathBuf::from)
}

/// Waits until `found` gives something; fails the test after `limit`.
pub fn wait_for<T>(what: &str, limit: Duration, mut found: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(started.elapsed() < limit, "waited {limit:?} in vain for {what}");
        std::thread::sleep(LOOK);
    }
}

/// A daemon with sectors of 2 KiB and fast blocks.
pub struct Daemon {
    child: Option<Child>,
    home: TempDir,
    ports: [u16; 4],
    block_time: String,
    options: Vec<String>,
    starts: u32,
}

impl Daemon {
    /// Starts one on free ports, with a block each quarter of a second, and waits until its miner takes deals.
    pub fn start(options: &[&str]) -> Self {
        Self::with_block_time(BLOCK_TIME, options)
    }

    /// The same with another time between blocks.
    pub fn with_block_time(block_time: &str, options: &[&str]) -> Self {
        let mut daemon = Self::unstarted(block_time, options);
        daemon.start_again();
        daemon
    }

    fn unstarted(block_time: &str, options: &[&str]) -> Self {
        Self {
            child: None,
            home: tempfile::tempdir().expect("there is room for a directory"),
            ports: free_ports(),
            block_time: block_time.to_owned(),
            options: options.iter().map(std::string::ToString::to_string).collect(),
            starts: 0,
        }
    }

    /// Starts one whose log nobody reads: its standard error is a pipe that is closed already.
    pub fn without_log(options: &[&str]) -> Self {
        let mut daemon = Self::unstarted(BLOCK_TIME, options);
        daemon.launch(true);
        daemon
    }

    /// Starts it again, on the same data and ports.
    pub fn start_again(&mut self) {
        self.launch(false);
    }

    fn launch(&mut self, is_deaf: bool) {
        assert!(self.child.is_none(), "the daemon is running");
        self.starts += 1;
        let log = File::create(self.log_path()).expect("the log can be written");
        let mut command = Self::at(self.home(), self.ports, &self.block_time);
        command.args(&self.options).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a file can be shared"));
        match is_deaf {
            true => command.stderr(Stdio::piped()).env("RUST_LOG", "sealdrop=debug"),
            false => command.stderr(log),
        };
        let mut child = command.spawn().expect("the daemon starts");
        // The only reader.
        drop(child.stderr.take());
        self.child = Some(child);
        wait_for("the daemon to be ready", READY_LIMIT, || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(ended.is_none(), "the daemon ended by itself: {}", self.log());
            self.log().contains("Sealdrop is ready").then_some(())
        });
    }

    /// From the next start on, this is the time between blocks.
    pub fn set_block_time(&mut self, span: &str) {
        self.block_time = span.to_owned();
    }

    /// A daemon's command line, for tests of what it refuses.
    pub fn command(home: &Path, ports: [u16; 4]) -> Command {
        Self::at(home, ports, BLOCK_TIME)
    }

    fn at(home: &Path, ports: [u16; 4], block_time: &str) -> Command {
        let mut command = Command::new(program());
        command
            .arg("daemon")
            .arg("--home")
            .arg(home)
            .arg("--params")
            .arg(params());
        command.args(["--sector-size", "2KiB", "--block-time", block_time]);
        let names = ["--p2p-port", "--p2p-ws-port", "--chain-port", "--web-port"];
        for (name, port) in names.into_iter().zip(ports) {
            command.arg(name).arg(port.to_string());
        }
        // No test is at a fixed one: any that is free.
        command.args(["--http-port", "0"]);
        command
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a running process can be killed");
            child.wait().expect("a killed process ends");
        }
    }

    /// Its data directory.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs a command of the operator: it finds the daemon by its home alone.
    pub fn operate<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Ended {
        let mut command = Command::new(program());
        command.args(arguments).arg("--home").arg(self.home());
        Ended::of(piped(&mut command).output().expect("the program starts"))
    }

    /// The same with `--json`.
    pub fn operate_json<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Value, Ended> {
        let mut all: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).collect();
        all.push(OsStr::new("--json"));
        self.operate(&all).json()
    }

    /// The same by somebody whose home is another, and who has `token` or none.
    pub fn operate_from_elsewhere<S: AsRef<OsStr>>(&self, token: Option<&str>, arguments: &[S]) -> Ended {
        let elsewhere = tempfile::tempdir().expect("a folder can be made");
        let mut command = Command::new(program());
        command.args(arguments).arg("--home").arg(elsewhere.path());
        command.args(["--chain", &self.chain(), "--web-port", &self.ports[3].to_string()]);
        command.env_remove("SEALDROP_OPERATOR_TOKEN");
        command.envs(token.map(|token| ("SEALDROP_OPERATOR_TOKEN", token)));
        Ended::of(piped(&mut command).output().expect("the program starts"))
    }

    /// The answer to a GET of its web listener: status line, headers and body.
    pub fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.ports[3])).expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }

    /// Asks it to stop, and waits for its end.
    pub fn stop(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        let stopping = Command::new("kill").arg(child.id().to_string()).status();
        assert!(stopping.expect("there is a kill").success());
        child.wait().expect("it ends")
    }

    /// The ports that it listens on: libp2p, libp2p over WebSocket, chain, page.
    pub fn ports(&self) -> [u16; 4] {
        self.ports
    }

    /// Its process id.
    pub fn process(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Its chain's endpoint.
    pub fn chain(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[2])
    }

    /// What it said since it was last started.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.home().join(format!("log-{}", self.starts))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log());
        }
    }
}

fn piped(command: &mut Command) -> &mut Command {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
}

/// The command-line client with a home of its own.
pub struct Client {
    home: TempDir,
    chain: String,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Client {
    /// A client of the chain at this endpoint, without deals or money.
    pub fn new(chain: &str) -> Self {
        let home = tempfile::tempdir().expect("there is room for a directory");
        let chain = chain.to_owned();
        Self { home, chain }
    }

    /// The miner's messages of one method that are on the chain.
    pub fn sent(&self, miner: &str, method: &str) -> Vec<Value> {
        let sent = self
            .sealdrop_json(&["chain", "messages", miner])
            .expect("the chain answers");
        let mut messages = sent["messages"].as_array().cloned().unwrap_or_default();
        messages.retain(|message| message["method"] == method && !message["exitCode"].is_null());
        messages
    }

    /// A place for files that the test makes.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Makes a file of these bytes.
    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("the file can be written");
        path
    }

    fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let client = [OsStr::new("client")].into_iter();
        self.any(client.chain(arguments.iter().map(AsRef::as_ref)))
    }

    fn any<'a>(&self, arguments: impl Iterator<Item = &'a OsStr>) -> Command {
        let mut command = Command::new(program());
        command.args(arguments);
        command
            .arg("--home")
            .arg(self.home.path().join("home"))
            .args(["--chain", &self.chain]);
        piped(&mut command);
        command
    }

    /// Runs a command of any group, `client` or not, on this client's home and chain.
    pub fn sealdrop<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Ended {
        let output = self.any(arguments.iter().map(AsRef::as_ref)).output();
        Ended::of(output.expect("the program starts"))
    }

    /// The same with `--json`.
    pub fn sealdrop_json<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Value, Ended> {
        let mut all: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).collect();
        all.push(OsStr::new("--json"));
        self.sealdrop(&all).json()
    }

    /// Runs a command to its end.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Ended {
        let output = self.command(arguments).output().expect("the client starts");
        Ended::of(output)
    }

    /// Starts a command; [`Running::end`] waits for it.
    pub fn start<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Running {
        Running(Some(self.command(arguments).spawn().expect("the client starts")))
    }

    /// Runs a command with `--json`: its result, or how it failed.
    pub fn json<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Value, Ended> {
        let mut all: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).collect();
        all.push(OsStr::new("--json"));
        self.run(&all).json()
    }
}

impl Ended {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self {
            status: output.status,
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// The one JSON value that a successful command printed.
    pub fn json(self) -> Result<Value, Self> {
        match serde_json::from_str(&self.stdout) {
            Ok(value) if self.status.success() => Ok(value),
            _ => Err(self),
        }
    }

    /// Fails the test unless the command failed with all of these words.
    pub fn failed_saying(&self, words: &[&str]) {
        assert!(!self.status.success(), "it should have failed: {self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is missing in: {}", self.stderr);
        }
    }

    /// The lines of a successful command's result.
    pub fn lines(self) -> Vec<String> {
        self.succeeded().stdout.lines().map(str::to_owned).collect()
    }

    /// Fails the test unless the command failed, and told each of these causes once.
    pub fn failed_saying_once(&self, causes: &[&str]) {
        self.failed_saying(causes);
        for cause in causes {
            assert_eq!(self.stderr.matches(cause).count(), 1, "{cause:?} in: {}", self.stderr);
        }
    }

    /// Fails the test unless the command succeeded.
    pub fn succeeded(self) -> Self {
        assert!(self.status.success(), "it failed: {self:?}");
        self
    }
}

/// A client command under way; killed when it is dropped.
pub struct Running(Option<Child>);

impl Running {
    /// Whether it has ended by now.
    pub fn has_ended(&mut self) -> bool {
        let ended = |child: &mut Child| matches!(child.try_wait(), Ok(Some(_)));
        self.0.as_mut().is_none_or(ended)
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ended {
        let child = self.0.take().expect("it is taken only here");
        Ended::of(child.wait_with_output().expect("a process can be waited for"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Bytes that look random and are the same for the same seed.
pub fn bytes(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..size).map(step).collect()
}
