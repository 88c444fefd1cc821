//! A network of several daemons: a chain alone, and miners that join it. Proofs are FAKE: the daemon is `killable-daemon`.

use sealdrop_tests::node::Node;
use sealdrop_tests::{bytes, killable, program, wait_for, Client};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

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
    let mut chain = Node::chain(&NETWORK);
    let url = chain.url();
    let watcher = Node::miner(&url, "2KiB");
    let mut late = Node::miner(&url, "2KiB");
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
    let another = Node::chain(&NETWORK);
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
