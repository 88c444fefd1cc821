//! Daemons of a network whose proofs are FAKE: a chain alone, miners that join it, and machines that seal for them. The program is `killable-daemon`.

use crate::{free_ports, killable, program, wait_for};
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long a daemon may take to be ready on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);

/// A daemon of some role, in a home and on ports of its own, both kept over restarts.
pub struct Node {
    home: TempDir,
    ports: [u16; 4],
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    child: Option<Child>,
    starts: u32,
}

impl Node {
    /// A chain alone, of a network with these options.
    pub fn chain(network: &[&str]) -> Self {
        let mut node = Self::chain_unstarted(network);
        node.start();
        node
    }

    /// The same, not started yet: its home is not there.
    pub fn chain_unstarted(network: &[&str]) -> Self {
        Self::unstarted(&[&["chain", "run"][..], network].concat(), &[2])
    }

    /// A chain and a miner on it, of a network with these options; not started yet.
    pub fn whole_unstarted(network: &[&str]) -> Self {
        Self::unstarted(
            &[&["daemon", "--auto-seal", "100ms"][..], network].concat(),
            &[0, 1, 2, 3],
        )
    }

    /// A miner with sectors of this size that joins the chain.
    pub fn miner(chain: &str, sector_size: &str) -> Self {
        let mut node = Self::miner_unstarted(chain, sector_size);
        node.start();
        node
    }

    /// The same, not started yet: its home is not there.
    pub fn miner_unstarted(chain: &str, sector_size: &str) -> Self {
        let arguments = [
            "daemon",
            "--chain",
            chain,
            "--sector-size",
            sector_size,
            "--auto-seal",
            "100ms",
        ];
        Self::unstarted(&arguments, &[0, 1, 3])
    }

    /// Listens on those of the ports.
    fn unstarted(arguments: &[&str], listens: &[usize]) -> Self {
        let names = ["--p2p-port", "--p2p-ws-port", "--chain-port", "--web-port"];
        let ports = free_ports();
        let mut arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        for at in listens {
            arguments.extend([names[*at].to_owned(), ports[*at].to_string()]);
            if names[*at] == "--web-port" {
                arguments.extend(["--http-port", "0"].map(str::to_owned));
            }
        }
        Self {
            home: tempfile::tempdir().expect("there is room for a directory"),
            ports,
            arguments,
            environment: Vec::new(),
            child: None,
            starts: 0,
        }
    }

    /// With more options from its next start on.
    pub fn with(mut self, options: &[&str]) -> Self {
        self.arguments.extend(options.iter().map(ToString::to_string));
        self
    }

    /// With these variables from its next start on.
    pub fn with_environment(mut self, variables: &[(&str, &str)]) -> Self {
        let owned = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.environment.extend(owned);
        self
    }

    /// Starts it, also again on the same data and ports, and waits until it is ready.
    pub fn start(&mut self) {
        self.launch();
        self.is_ready();
    }

    /// Waits until it is ready.
    pub fn is_ready(&mut self) {
        wait_for("the daemon to be ready", LIMIT, || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(ended.is_none(), "it ended by itself: {}", self.log());
            self.log().contains("Sealdrop is ready").then_some(())
        });
    }

    /// Starts it, and does not wait.
    pub fn launch(&mut self) {
        self.starts += 1;
        let log = File::create(self.log_path()).expect("the log can be written");
        let mut command = Command::new(killable());
        command.args(&self.arguments).arg("--home").arg(self.home());
        command.envs(self.environment.iter().cloned());
        command.stdin(Stdio::null());
        command
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log);
        self.child = Some(command.spawn().expect("the daemon starts"));
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a running process can be killed");
            child.wait().expect("a killed process ends");
        }
    }

    /// Asks it to stop, and waits for its end.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let stopping = Command::new("kill").arg(child.id().to_string()).status();
            assert!(stopping.expect("there is a kill").success());
            child.wait().expect("it ends");
        }
    }

    /// What it says when it is started and ends by itself.
    pub fn refused(&mut self) -> String {
        self.launch();
        let ended = self.child.take().expect("it was started").wait();
        assert!(!ended.expect("it ends").success(), "it should have been refused");
        self.log()
    }

    /// Its home.
    pub fn home(&self) -> PathBuf {
        self.home.path().join("home")
    }

    /// Where its chain is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[2])
    }

    /// The port of its chain.
    pub fn chain_port(&self) -> u16 {
        self.ports[2]
    }

    /// Where its miner gives pieces and blocks to everybody.
    pub fn http(&self) -> String {
        let text = std::fs::read(self.home().join("endpoints.json")).expect("it writes where it is");
        let endpoints: Value = serde_json::from_slice(&text).expect("its endpoints are JSON");
        endpoints["http"].as_str().expect("it has HTTP").to_owned()
    }

    fn log_path(&self) -> PathBuf {
        self.home.path().join(format!("log-{}", self.starts))
    }

    /// What it has said since its last start.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// A command of its operator.
    pub fn ask(&self, arguments: &[&str]) -> Option<Value> {
        let mut command = Command::new(program());
        command.args(arguments).arg("--json").arg("--home").arg(self.home());
        let output = command.stdin(Stdio::null()).output().expect("the program starts");
        serde_json::from_slice(&output.stdout).ok()
    }

    /// Its miner's address.
    pub fn address(&self) -> String {
        let status = self.ask(&["miner", "status"]).expect("the miner answers");
        status["address"].as_str().expect("it has an address").to_owned()
    }

    /// What it says of its health.
    pub fn health(&self) -> Value {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.ports[3])).expect("it listens");
        let request = "GET /health HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n";
        std::io::Write::write_all(&mut stream, request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).expect("it answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("an answer has a body");
        serde_json::from_str(body).expect("health is JSON")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("the log of {:?}:\n{}", self.arguments, self.log());
        }
    }
}

/// A machine that only seals; it ends with its handle.
pub struct Worker {
    child: Child,
    log: PathBuf,
}

impl Worker {
    /// Starts one for the miner of this database and storage, whose log lies in the storage.
    pub fn start(url: &str, storage: &Path, name: &str) -> Self {
        Self::start_with(url, storage, name, &[])
    }

    /// The same with further options.
    pub fn start_with(url: &str, storage: &Path, name: &str, options: &[&str]) -> Self {
        let log = storage.join(format!("{name}.log"));
        let file = File::create(&log).expect("it can be written");
        let mut command = Command::new(killable());
        command
            .args(["worker", "--database", url, "--name", name, "--storage"])
            .arg(storage)
            .args(options);
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a file can be shared"))
            .stderr(file);
        let child = command.spawn().expect("it starts");
        Self { child, log }
    }

    /// Waits until its log has these words.
    pub fn says(&self, words: &str) {
        wait_for(words, LIMIT, || {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            log.contains(words).then_some(())
        });
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        self.child.wait().expect("it was started")
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("a running process can be killed");
        self.child.wait().expect("a killed process ends");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!(
                "a worker's log:\n{}",
                std::fs::read_to_string(&self.log).unwrap_or_default()
            );
        }
    }
}
