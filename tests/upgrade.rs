//! Homes of the versions before go on with this one; those of later ones are refused and stay as they are. Proofs are FAKE: the daemon is
//! `killable-daemon`. `kept-homes` makes the homes ([`sealdrop_tests::homes`]).

use sealdrop_tests::homes::{raise_format, unpack, DATABASES, NETWORK};
use sealdrop_tests::node::Node;
use sealdrop_tests::{program, wait_for};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a step may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);

#[test]
fn a_home_of_version_0_1_goes_on() {
    let node = goes_on("0.1");
    for kept in ["miner/store.0.1.bak", "devnet/chain.0.1.bak", "client/deals.0.1.bak"] {
        assert!(node.home().join(kept).is_dir(), "{kept}");
    }
}

#[test]
fn a_home_of_version_0_2_goes_on() {
    goes_on("0.2");
}

/// Its deals, sectors, settings and keys are found, and its sector is proven in the next window.
fn goes_on(version: &str) -> Node {
    let mut node = Node::whole_unstarted(&NETWORK);
    let facts = unpack(version, &node.home());
    node.start();
    let ask = |arguments: &[&str]| {
        let answer = node.ask(arguments);
        answer.unwrap_or_else(|| panic!("{version}: no answer to {arguments:?}"))
    };
    let deal = facts["deal"].as_str().expect("a deal is kept");
    // The client keeps that its first proof was seen, since 0.2 only when it has looked.
    let is_kept = |state: &Value| state == "complete" || state == "proven";
    let shown = ask(&["deals", "show", deal]);
    assert!(is_kept(&shown["state_name"]), "{shown}");
    let of_client = ask(&["client", "deals"]);
    let known = of_client
        .as_array()
        .and_then(|deals| deals.first())
        .expect("the client has one");
    assert_eq!(known["deal"], facts["deal"]);
    assert!(is_kept(&known["state"]), "{known}");
    let status = ask(&["miner", "status"]);
    assert_eq!(status["deals"]["complete"], 1, "{status}");
    assert_eq!(status["address"], facts["miner"]);
    assert_eq!(status["sectors"][0]["phase"], "proving", "{status}");
    assert_eq!(ask(&["config", "mining.storagePrice"])["value"], facts["price"]);
    let keys = ask(&["wallet", "ls"]).to_string();
    for key in facts["keys"].as_array().expect("keys are kept") {
        assert!(keys.contains(key.as_str().expect("an address")), "{key} in {keys}");
    }
    let miner = facts["miner"].as_str().expect("an address");
    let proofs = |node: &Node| {
        let sent = node.ask(&["chain", "messages", miner]).unwrap_or_default();
        let messages = sent["messages"].as_array().cloned().unwrap_or_default();
        let proofs = messages.into_iter().filter(|message| message["method"] == "submitPoSt");
        proofs.collect::<Vec<_>>()
    };
    let before = proofs(&node).len();
    wait_for("the next proof", LIMIT, || (proofs(&node).len() > before).then_some(()));
    let late: Vec<Value> = proofs(&node)
        .into_iter()
        .filter(|proof| proof["value"] != "0")
        .collect();
    assert!(late.is_empty(), "{late:?}");
    node
}

#[test]
fn a_home_of_a_later_version_is_refused_and_stays_as_it_is() {
    for (name, kind) in DATABASES {
        let mut node = Node::whole_unstarted(&NETWORK);
        let home = node.home();
        unpack("0.2", &home);
        raise_format(&home.join(name), kind, 99);
        let before = files(&home);
        let told = match name.starts_with("client") {
            true => asked(&home),
            false => node.refused(),
        };
        assert!(
            told.contains("later version") && told.contains("format 99"),
            "{name}: {told}"
        );
        let after = files(&home);
        // Whatever else the daemon has opened before it came to this one is as it was, too, or a log.
        let folder = home.join(name);
        let folder = folder.parent().expect("it lies in a folder");
        let of = |files: &BTreeMap<PathBuf, Vec<u8>>| -> BTreeMap<PathBuf, Vec<u8>> {
            let own = files.iter().filter(|(path, _)| path.starts_with(folder));
            own.map(|(path, bytes)| (path.clone(), bytes.clone())).collect()
        };
        assert!(of(&before) == of(&after), "{name} was changed");
    }
}

/// What the client says of its book.
fn asked(home: &Path) -> String {
    let mut command = Command::new(program());
    command
        .args(["client", "deals", "--home"])
        .arg(home)
        .stdin(Stdio::null());
    let output = command.output().expect("the program starts");
    assert!(!output.status.success(), "it should have been refused");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// All files of a folder but those that processes hold.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("it is a folder") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            found.extend(files(&path));
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let of_a_process = name.ends_with("lock") || name.ends_with("-shm") || name.ends_with("-wal");
        if !of_a_process {
            let bytes = std::fs::read(&path).expect("it can be read");
            found.insert(path, bytes);
        }
    }
    found
}
