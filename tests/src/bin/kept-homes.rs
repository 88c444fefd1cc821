//! Makes the kept homes in `tests/vectors/homes` anew: `kept-homes VERSION`, where VERSION is 0.1, or what today's layout is called. A home that
//! was kept for an earlier version's sake stays as it is: this is for a new version's, which is made before its layout changes.

use sealdrop_tests::homes::{keep, to_first_version, FACTS, NETWORK};
use sealdrop_tests::node::Node;
use sealdrop_tests::{program, wait_for};
use serde_json::{json, Value};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(180);
const PRICE: &str = "0.0000000000000003";

fn main() -> ExitCode {
    let Some(version) = std::env::args().nth(1) else {
        eprintln!("kept-homes VERSION: name the version whose home is kept");
        return ExitCode::FAILURE;
    };
    let mut node = Node::whole_unstarted(&NETWORK);
    node.start();
    let home = node.home();
    let folder = tempfile::tempdir().expect("there is room");
    let file = folder.path().join("file");
    std::fs::write(&file, "kept in every version\n".repeat(30)).expect("there is room");
    let file = file.to_string_lossy().into_owned();
    let stored = run(&home, &["client", "store", &file, "--duration", "2000"]);
    let deal = stored.lines().last().unwrap_or_default().to_owned();
    run(&home, &["config", "mining.storagePrice", PRICE]);
    run(&home, &["wallet", "new"]);
    let miner = node.address();
    wait_for("the first proof", LIMIT, || {
        let sent = node.ask(&["chain", "messages", &miner])?;
        sent.to_string().contains("submitPoSt").then_some(())
    });
    let keys: Vec<String> = run(&home, &["wallet", "ls"])
        .lines()
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect();
    node.stop();
    let facts: Value = json!({ "deal": deal, "miner": miner, "keys": keys, "price": PRICE });
    std::fs::write(home.join(FACTS), facts.to_string()).expect("there is room");
    if version == "0.1" {
        to_first_version(&home);
    }
    keep(&version, &home);
    ExitCode::SUCCESS
}

/// What a command prints about the home.
fn run(home: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(program());
    command.args(arguments).arg("--home").arg(home);
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
