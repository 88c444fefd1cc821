//! A network of several daemons: a chain alone, and miners that join it. Proofs are FAKE: the daemon is `killable-daemon`.

use sealdrop_tests::{bytes, free_ports, killable, program, wait_for, Client};
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long a step may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);
/// A chain whose proofs are due every few seconds.
const NETWORK: [&str; 10] = [
    "--sector-size",
    "2KiB",
    "--block-time",
    "100ms",
    "--proving-period",
    "60",
    "--challenge-window",
    "40",
    "--grace",
    "40",
];

/// A daemon of some role, in a home and on ports of its own, both kept over restarts.
struct Node {
    home: TempDir,
    ports: [u16; 4],
    arguments: Vec<String>,
    child: Option<Child>,
    starts: u32,
}

impl Node {
    fn chain() -> Self {
        Self::of(&[&["chain", "run"][..], &NETWORK].concat(), &[2])
    }

    fn miner(chain: &str) -> Self {
        let arguments = [
            "daemon",
            "--chain",
            chain,
            "--sector-size",
            "2KiB",
            "--auto-seal",
            "100ms",
        ];
        Self::of(&arguments, &[0, 1, 3])
    }

    /// Started with those of the ports that it listens on.
    fn of(arguments: &[&str], listens: &[usize]) -> Self {
        let names = ["--p2p-port", "--p2p-ws-port", "--chain-port", "--web-port"];
        let ports = free_ports();
        let mut arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        for at in listens {
            arguments.extend([names[*at].to_owned(), ports[*at].to_string()]);
            if names[*at] == "--web-port" {
                arguments.extend(["--http-port", "0"].map(str::to_owned));
            }
        }
        let mut node = Self {
            home: tempfile::tempdir().expect("there is room for a directory"),
            ports,
            arguments,
            child: None,
            starts: 0,
        };
        node.start();
        node
    }

    fn start(&mut self) {
        self.launch();
        wait_for("the daemon to be ready", LIMIT, || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(ended.is_none(), "it ended by itself: {}", self.log());
            self.log().contains("Sealdrop is ready").then_some(())
        });
    }

    fn launch(&mut self) {
        self.starts += 1;
        let log = File::create(self.log_path()).expect("the log can be written");
        let mut command = Command::new(killable());
        command.args(&self.arguments).arg("--home").arg(self.home());
        command.stdin(Stdio::null());
        command
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log);
        self.child = Some(command.spawn().expect("the daemon starts"));
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a running process can be killed");
            child.wait().expect("a killed process ends");
        }
    }

    fn home(&self) -> PathBuf {
        self.home.path().join("home")
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[2])
    }

    fn log_path(&self) -> PathBuf {
        self.home.path().join(format!("log-{}", self.starts))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// A command of its operator.
    fn ask(&self, arguments: &[&str]) -> Option<Value> {
        let mut command = Command::new(program());
        command.args(arguments).arg("--json").arg("--home").arg(self.home());
        let output = command.stdin(Stdio::null()).output().expect("the program starts");
        serde_json::from_slice(&output.stdout).ok()
    }

    fn address(&self) -> String {
        let status = self.ask(&["miner", "status"]).expect("the miner answers");
        status["address"].as_str().expect("it has an address").to_owned()
    }

    fn health(&self) -> Value {
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

/// What a daemon that does not start says.
fn refused(program: &Path, home: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).arg("--home").arg(home).stdin(Stdio::null());
    let output = command.output().expect("the program starts");
    assert!(!output.status.success(), "it should have been refused");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn miners_join_a_chain_alone_and_outlive_its_absence_and_slash_each_other() {
    let mut chain = Node::chain();
    let url = chain.url();
    let watcher = Node::miner(&url);
    let mut late = Node::miner(&url);
    let client = Client::new(&url);

    // A deal with the one that will stop proving.
    let file = client.file("file", &bytes(7, 700));
    let (file, victim) = (file.to_string_lossy().into_owned(), late.address());
    client
        .run(&["store", &file, "--miner", &victim, "--duration", "2000"])
        .succeeded();

    the_chain_may_be_away(&mut chain, &watcher);
    a_home_keeps_to_its_chain(&watcher, &url);

    late.kill();
    wait_for("the watcher to slash", LIMIT, || {
        let sent = client.sealdrop_json(&["chain", "messages", &victim]).ok()?;
        let messages = sent["messages"].as_array()?.clone();
        let is_slashing = |message: &Value| message["method"] == "slashStorageFault" && message["exitCode"] == 0;
        messages.iter().any(is_slashing).then_some(())
    });
    let power = client.sealdrop(&["miner", "power", &victim]).lines().remove(0);
    assert!(power.starts_with("0 / "), "{power}");
}

/// Health says so, and the miner goes on by itself.
fn the_chain_may_be_away(chain: &mut Node, miner: &Node) {
    wait_for("health to be well", LIMIT, || {
        miner.health()["ok"].as_bool().filter(|ok| *ok)
    });
    chain.kill();
    wait_for("health to say that the chain is away", LIMIT, || {
        let text = miner.health()["problems"].to_string();
        text.contains("does not answer").then_some(())
    });
    chain.start();
    wait_for("health to be well again", LIMIT, || {
        miner.health()["ok"].as_bool().filter(|ok| *ok)
    });
}

fn a_home_keeps_to_its_chain(miner: &Node, url: &str) {
    let another = Node::chain();
    let home = tempfile::tempdir().expect("there is room for a directory");
    let join = |url: &str| ["daemon", "--sector-size", "2KiB", "--chain", url].map(str::to_owned);
    let words = join(url);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    // A program that verifies otherwise.
    let told = refused(&program(), home.path(), &words);
    assert!(told.contains("checks proofs with other keys"), "{told}");
    // A copy of what binds the miner's home, since that one is in use.
    for file in ["chain.json", "network.json"] {
        std::fs::copy(miner.home().join(file), home.path().join(file)).expect("it is there");
    }
    std::fs::create_dir_all(home.path().join("miner/store")).expect("it can be made");
    let theirs = join(&another.url());
    let theirs: Vec<&str> = theirs.iter().map(String::as_str).collect();
    let told = refused(&killable(), home.path(), &theirs);
    assert!(told.contains("belongs to the network with the genesis"), "{told}");
    let told = refused(&killable(), home.path(), &["daemon", "--sector-size", "2KiB"]);
    assert!(told.contains(&format!("start it with --chain {url}")), "{told}");
}
