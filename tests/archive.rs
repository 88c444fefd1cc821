//! An archive in an object store: a second daemon, on a machine that shares no folder with the first, goes on with what the first one stored. Proofs are
//! FAKE. Left out where `SEALDROP_POSTGRES` names no server.

use sealdrop_database::testing::database;
use sealdrop_tests::node::Node;
use sealdrop_tests::s3::S3;
use sealdrop_tests::scale::drill::same_keys;
use sealdrop_tests::{bytes, wait_for, Client};
use std::time::Duration;

/// How long a step may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);
const NETWORK: [&str; 10] = [
    "--sector-size",
    "2KiB",
    "--block-time",
    "100ms",
    "--proving-period",
    "400",
    "--challenge-window",
    "300",
    "--grace",
    "200",
];

/// Whether the node's health is green, and its words.
fn health(node: &Node) -> (bool, String) {
    let health = node.health();
    (health["ok"] == true, health.to_string())
}

/// Whether the archive has a sector.
fn is_archived(s3: &S3, sector: u64) -> bool {
    let listed = std::fs::read_dir(s3.object("manifests/sectors"));
    let mut names = listed.into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.any(|name| name.to_string_lossy().starts_with(&format!("{sector}-")))
}

#[test]
fn a_daemon_that_has_nothing_but_the_database_and_the_archive_goes_on() {
    let Some(url) = database("archive") else { return };
    let mut s3 = S3::start();
    let chain = Node::chain(&NETWORK);
    let client = Client::new(&chain.url());
    let (place, endpoint) = (s3.place(), s3.url());
    let shared = ["--database", &url, "--archive", &place, "--archive-endpoint", &endpoint];
    let miner = |keys: &S3| {
        Node::miner_unstarted(&chain.url(), "2KiB")
            .with(&shared)
            .with_environment(&keys.keys())
    };
    let mut first = miner(&s3);
    first.start();
    let address = first.address();
    let store = |name: &str, seed: u64| {
        let file = client.file(name, &bytes(seed, 700));
        let file = file.to_string_lossy().into_owned();
        let stored = client.json(&["store", &file, "--miner", &address, "--duration", "5000"]);
        let stored = stored.expect("it is stored");
        stored["deal"].as_str().expect("a deal").to_owned()
    };
    let deal = store("first", 1);
    wait_for("the sector to be archived", LIMIT, || is_archived(&s3, 1).then_some(()));

    // Another machine, which has the keys and nothing else.
    let mut second = miner(&s3);
    same_keys(&first.home(), &second.home());
    second.launch();
    wait_for("the second daemon to wait", LIMIT, || {
        second.log().contains("takes over when").then_some(())
    });
    // Just after a proof, so that the next window is far.
    let proven = client.sent(&address, "submitPoSt").len();
    wait_for("a proof", LIMIT, || {
        (client.sent(&address, "submitPoSt").len() > proven).then_some(())
    });
    first.kill();
    second.is_ready();
    assert_eq!(second.address(), address);
    wait_for("the sector's files", LIMIT, || {
        second.home().join("miner/sectors/1/sealed").is_file().then_some(())
    });
    let proven = client.sent(&address, "submitPoSt").len();
    wait_for("a proof", LIMIT, || {
        (client.sent(&address, "submitPoSt").len() > proven).then_some(())
    });
    assert!(
        client
            .sent(&address, "submitPoSt")
            .iter()
            .all(|proof| proof["value"] == "0"),
        "one was late"
    );
    assert!(
        client.sent(&address, "addFaults").is_empty(),
        "nothing was declared lost"
    );
    let back = client.path("back");
    client
        .run(&["retrieve", &deal, "--output", &back.to_string_lossy()])
        .succeeded();
    assert_eq!(std::fs::read(back).expect("it came back"), bytes(1, 700));

    // Without the object store deals go on, and health says what is missing.
    s3.stop();
    store("second", 2);
    wait_for("health to tell", LIMIT, || {
        let (ok, text) = health(&second);
        (!ok && text.contains("archive")).then_some(())
    });
    assert!(!is_archived(&s3, 2));
    s3.start_again();
    wait_for("the second sector to be archived", LIMIT, || {
        is_archived(&s3, 2).then_some(())
    });
    wait_for("health to be green", LIMIT, || health(&second).0.then_some(()));

    // Another miner does not get it.
    let mut other = Node::miner_unstarted(&chain.url(), "2KiB")
        .with(&shared[2..])
        .with_environment(&s3.keys());
    other.start();
    wait_for("the other miner to be told", LIMIT, || {
        let (ok, text) = health(&other);
        (!ok && text.contains("an archive of its own")).then_some(())
    });
}
