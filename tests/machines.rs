//! Several machines for one miner: two daemons of which one leads, and workers that seal, on one database and one storage. Proofs are FAKE: all of them
//! are `killable-daemon`. Left out where `SEALDROP_POSTGRES` names no server.

use sealdrop_database::testing::database;
use sealdrop_tests::kill::WINDOW_MS;
use sealdrop_tests::node::{Node, Worker};
use sealdrop_tests::scale::drill::same_keys;
use sealdrop_tests::{bytes, killable, wait_for, Client};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a step may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);
const NETWORK: [&str; 10] = [
    "--sector-size",
    "2KiB",
    "--block-time",
    "100ms",
    "--proving-period",
    "300",
    "--challenge-window",
    "200",
    "--grace",
    "200",
];

/// Stores a file with the miner, and waits for its commitment, the `nth` one.
fn store(client: &Client, miner: &str, nth: usize) {
    let file = client.file(&format!("file {nth}"), &bytes(nth as u64, 700));
    let file = file.to_string_lossy().into_owned();
    client
        .run(&["store", &file, "--miner", miner, "--duration", "5000"])
        .succeeded();
    wait_for("the sector's commitment", LIMIT, || {
        (client.sent(miner, "commitSector").len() >= nth).then_some(())
    });
}

#[test]
fn a_machine_that_seals_in_a_folder_of_its_own_makes_again_what_another_has() {
    let Some(url) = database("scratch") else { return };
    let storage = tempfile::tempdir().expect("there is room for a directory");
    let folder = storage.path().to_string_lossy().into_owned();
    let chain = Node::chain(&NETWORK);
    let client = Client::new(&chain.url());
    let mut daemon = Node::miner_unstarted(&chain.url(), "2KiB").with(&[
        "--database",
        &url,
        "--storage",
        &folder,
        "--database-work",
        "false",
    ]);
    daemon.start();
    let scratch = tempfile::tempdir().expect("there is room for a directory");
    let worker = |name: &str, steps: &str| {
        let dir = scratch.path().join(name).to_string_lossy().into_owned();
        let options = ["--scratch", &dir, "--steps", steps];
        Worker::start_with(&url, storage.path(), name, &options)
    };
    // None of the three has what the one before left.
    let labels = worker("labels", "pre-commit-1");
    let mut encodes = worker("encodes", "pre-commit-2");
    let opens = worker("opens", "commit-1,commit-2");
    store(&client, &daemon.address(), 1);
    labels.says("a step was taken");
    encodes.says("its layers are not on this machine");
    opens.says("it is sealed again for its proof");

    let sectors = |dir: &Path| {
        let entries = std::fs::read_dir(dir.join("sectors")).expect("it was made");
        entries
            .map(|entry| entry.expect("it is listed").path())
            .collect::<Vec<_>>()
    };
    let kept = sectors(storage.path());
    let [kept] = &kept[..] else {
        panic!("one sector was sealed: {kept:?}")
    };
    assert!(kept.join("sealed").is_file() && kept.join("cache/p_aux").is_file());
    assert!(
        !kept.join("cache/layer-1").exists() && !kept.join("unsealed").exists(),
        "only what proofs need goes to the storage"
    );
    wait_for("a proof of what was brought", LIMIT, || {
        (!client.sent(&daemon.address(), "submitPoSt").is_empty()).then_some(())
    });
    let commits = client.sent(&daemon.address(), "commitSector");
    assert!(commits.iter().all(|message| message["exitCode"] == 0), "{commits:?}");

    // What nobody needs goes: at the start, too.
    encodes.kill();
    let _encodes = worker("encodes", "pre-commit-2");
    wait_for("the scratch folder to be empty", LIMIT, || {
        sectors(&scratch.path().join("encodes")).is_empty().then_some(())
    });
}

#[test]
fn machines_share_one_miner_and_whoever_falls_silent_is_replaced() {
    let Some(url) = database("machines") else { return };
    let storage = tempfile::tempdir().expect("there is room for a directory");
    let folder = storage.path().to_string_lossy().into_owned();
    let chain = Node::chain(&NETWORK);
    let client = Client::new(&chain.url());
    let shared = ["--database", &url, "--storage", &folder, "--database-work", "false"];

    let mut first_worker = Worker::start(&url, storage.path(), "one");
    first_worker.says("waiting for the first");
    let mut first = Node::miner_unstarted(&chain.url(), "2KiB").with(&shared);
    first.start();
    let miner = first.address();
    first_worker.says("seals for the miner");
    store(&client, &miner, 1);
    first_worker.says("the step has ended");

    // A machine at another folder would seal what nobody can prove.
    let elsewhere = tempfile::tempdir().expect("there is room for a directory");
    let mut lost = Worker::start(&url, elsewhere.path(), "lost");
    lost.says("is not where the pieces and sectors");
    assert!(!lost.ended().success());

    // Another daemon with the same keys waits until the first falls silent.
    let mut second = Node::miner_unstarted(&chain.url(), "2KiB").with(&shared);
    same_keys(&first.home(), &second.home());
    second.launch();
    wait_for("the second daemon to wait", LIMIT, || {
        second.log().contains("takes over when").then_some(())
    });
    first_worker.kill();
    first.kill();
    second.is_ready();
    assert_eq!(second.address(), miner);
    let second_worker = Worker::start(&url, storage.path(), "two");
    store(&client, &miner, 2);
    second_worker.says("the step has ended");

    // The former leader's home knows that its records are elsewhere.
    let ports = ["--p2p-port", "--p2p-ws-port", "--web-port", "--http-port"]
        .map(|port| [port, "0"])
        .concat();
    let mut alone = Command::new(killable());
    alone
        .args(["daemon", "--chain", &chain.url(), "--sector-size", "2KiB"])
        .args(ports);
    let alone = alone
        .arg("--home")
        .arg(first.home())
        .stdin(Stdio::null())
        .output()
        .expect("it starts");
    let told = String::from_utf8_lossy(&alone.stderr).into_owned();
    assert!(told.contains("records are on a server"), "{told}");

    let proven = client.sent(&miner, "submitPoSt").len();
    wait_for("the next proof", LIMIT, || {
        (client.sent(&miner, "submitPoSt").len() > proven).then_some(())
    });
    let late: Vec<Value> = client
        .sent(&miner, "submitPoSt")
        .into_iter()
        .filter(|proof| proof["value"] != "0")
        .collect();
    assert!(late.is_empty(), "{late:?}");
    let commits = client.sent(&miner, "commitSector");
    assert_eq!(commits.len(), 2, "{commits:?}");
    assert!(commits.iter().all(|message| message["exitCode"] == 0), "{commits:?}");
}

#[test]
fn a_proof_over_many_sectors_is_made_by_several_machines() {
    let Some(url) = database("windows") else { return };
    let storage = tempfile::tempdir().expect("there is room for a directory");
    let folder = storage.path().to_string_lossy().into_owned();
    let chain = Node::chain(&NETWORK);
    let client = Client::new(&chain.url());
    let shared = ["--database", &url, "--storage", &folder, "--database-work", "false"];
    // So slow that the other machine gets its turn.
    let mut daemon = Node::miner_unstarted(&chain.url(), "2KiB")
        .with(&shared)
        .with_environment(&[(WINDOW_MS, "2000")]);
    daemon.start();
    // It proves what lies in the storage, though it seals elsewhere.
    let scratch = tempfile::tempdir().expect("there is room for a directory");
    let dir = scratch.path().to_string_lossy().into_owned();
    let worker = Worker::start_with(&url, storage.path(), "proves", &["--scratch", &dir]);
    let miner = daemon.address();
    (1..=3).for_each(|nth| store(&client, &miner, nth));
    worker.says("step=proof-of-spacetime");
    wait_for("a partition of another machine", LIMIT, || {
        daemon.log().contains("others=1").then_some(())
    });
    let proven = client.sent(&miner, "submitPoSt").len();
    wait_for("the next proof", LIMIT, || {
        (client.sent(&miner, "submitPoSt").len() > proven).then_some(())
    });
    let proofs = client.sent(&miner, "submitPoSt");
    assert!(
        proofs
            .iter()
            .all(|proof| proof["exitCode"] == 0 && proof["value"] == "0"),
        "{proofs:?}"
    );
    assert!(
        !daemon.log().contains("a partition was not made elsewhere"),
        "{}",
        daemon.log()
    );
}
