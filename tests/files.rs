//! Files of any size, end to end: several miners, copies, a client that is killed, a miner that refuses and one that is gone. Proofs are
//! FAKE: the daemons are `killable-daemon`.

use sealdrop_tests::node::Node;
use sealdrop_tests::{bytes, wait_for, Client};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a step may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);
const NETWORK: [&str; 4] = ["--sector-size", "8MiB", "--block-time", "100ms"];
const MIB: usize = 1 << 20;
/// Fifteen pieces of sectors of 8 MiB.
const SIZE: usize = 100 * MIB;
/// Blocks, so that the money of the faucet is enough.
const DURATION: &str = "2000";

fn text(path: &std::path::Path) -> String {
    path.to_string_lossy().into_owned()
}

fn kept(client: &Client, id: &str) -> u64 {
    let shown = client.json(&["file", id]).expect("it is in the book");
    shown["progress"]["copiesKept"].as_u64().expect("a number")
}

/// Every piece is kept by as many miners as copies were ordered, all different.
fn check_copies(stored: &Value, copies: usize, never: &str) {
    for piece in stored["pieces"].as_array().expect("a list") {
        let all = piece["copies"].as_array().expect("a list");
        let kept = all.iter().filter(|copy| copy["state"] == "kept");
        let miners: Vec<&str> = kept.map(|copy| copy["miner"].as_str().expect("a text")).collect();
        let different: BTreeSet<&str> = miners.iter().copied().collect();
        assert_eq!((miners.len(), different.len()), (copies, copies), "{piece}");
        assert!(!different.contains(never), "{piece}");
    }
}

#[test]
fn a_large_file_is_kept_twice_by_several_miners_whatever_is_killed_and_comes_back_whole_and_in_parts() {
    let chain = Node::chain(&NETWORK);
    let url = chain.url();
    let mut miners: Vec<Node> = (0..4).map(|_| Node::miner(&url, "8MiB")).collect();
    let client = Client::new(&url);
    let content = bytes(7, SIZE);
    let file = text(&client.file("large.bin", &content));

    // One of them takes nothing.
    miners[0].ask(&["mining", "stop"]);
    let refusing = miners[0].address();

    // The client dies in the middle: after the first copy is sealed, with others under way and most not begun.
    let order = [
        "store",
        &file,
        "--copies",
        "2",
        "--duration",
        DURATION,
        "--miner-rule",
        "spread",
    ];
    let running = client.start(&order);
    let id = wait_for("a copy to be kept", LIMIT, || {
        let files = client.json(&["files"]).ok()?;
        let file = files.as_array()?.first()?.clone();
        let kept = file["progress"]["copiesKept"].as_u64()?;
        (kept > 0).then(|| file["file"].as_str().map(str::to_owned))?
    });
    drop(running);
    assert!(kept(&client, &id) < 30, "it was killed in the middle");

    let stored = client.json(&["resume", &id]).expect("it goes on");
    assert_eq!(stored["file"], id.as_str());
    assert_eq!(stored["progress"]["state"], "kept");
    assert_eq!(stored["pieces"].as_array().map(Vec::len), Some(15));
    check_copies(&stored, 2, &refusing);

    // A miner is gone, and each piece has another copy. Killed in the middle, the retrieval goes on with what is there.
    miners[1].kill();
    let back = client.path("back.bin");
    drop(client.start(&["retrieve", &id, "--output", &text(&back)]));
    client.run(&["retrieve", &id, "--output", &text(&back)]).succeeded();
    assert!(
        std::fs::read(&back).expect("it is there") == content,
        "it is another file"
    );

    let part = client.path("part.bin");
    let (first, last) = (7 * MIB - 5, 7 * MIB + 4);
    let range = format!("{first}-{last}");
    let root = stored["dataCid"].as_str().expect("a text");
    let arguments = ["retrieve", root, "--output", &text(&part), "--range", &range];
    client.run(&arguments).succeeded();
    assert_eq!(std::fs::read(&part).expect("it is there"), content[first..=last]);
}

#[test]
fn a_folder_comes_back_to_somebody_who_has_nothing_but_its_id() {
    let chain = Node::chain(&NETWORK);
    let url = chain.url();
    let _miner = Node::miner(&url, "8MiB");
    let client = Client::new(&url);
    let folder = client.path("folder");
    std::fs::create_dir_all(folder.join("inner")).expect("there is room");
    let files = [
        ("one", bytes(1, 1000)),
        ("inner/two", bytes(2, 9 * MIB)),
        ("inner/empty", Vec::new()),
    ];
    for (name, content) in &files {
        std::fs::write(folder.join(name), content).expect("there is room");
    }
    let order = [
        "store",
        &text(&folder),
        "--with-manifest",
        "--duration",
        DURATION,
        "--most",
        "900",
    ];
    let stored = client.json(&order).expect("it is kept");
    assert_eq!(stored["dataCid"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        stored["pieces"].as_array().map(Vec::len),
        Some(4),
        "one, two of two, and the manifest"
    );
    let id = stored["file"].as_str().expect("a text");

    let other = Client::new(&url);
    let back = other.path("back");
    let arguments = ["retrieve", id, "--output", &text(&back)];
    other.run(&arguments).succeeded();
    for (name, content) in &files {
        assert!(
            std::fs::read(back.join(name)).expect("it is there") == *content,
            "{name}"
        );
    }
    // Again, all of it is there; and nothing that is there is written over.
    other.run(&arguments).succeeded();
    std::fs::write(back.join("one"), b"precious").expect("there is room");
    other.run(&arguments).failed_saying(&["is there already"]);
    assert_eq!(std::fs::read(back.join("one")).expect("it is there"), b"precious");
}

#[test]
fn a_lost_copy_is_replaced_from_a_good_one_when_the_file_is_not_here_any_more() {
    let chain = Node::chain(&NETWORK);
    let url = chain.url();
    let mut miners: Vec<Node> = (0..3).map(|_| Node::miner(&url, "8MiB")).collect();
    let client = Client::new(&url);
    let file = client.file("file.bin", &bytes(3, 9 * MIB));
    let order = [
        "store",
        &text(&file),
        "--copies",
        "2",
        "--duration",
        DURATION,
        "--repair",
    ];
    let stored = client.json(&order).expect("it is kept");
    let id = stored["file"].as_str().expect("a text");
    std::fs::remove_file(&file).expect("it is there");

    let dead = stored["pieces"][0]["copies"][0]["miner"]
        .as_str()
        .expect("a text")
        .to_owned();
    let index = miners
        .iter()
        .position(|miner| miner.address() == dead)
        .expect("it is one of them");
    miners[index].kill();
    // Which copy is fetched is random; one that failed comes next.
    let lost = (0..60).any(|_| {
        let ended = client.json(&["watch", id, "--once"]).expect("it is watched");
        ended["verdict"] == "lost"
    });
    assert!(lost, "no drill has met the miner that is gone");
    let shown = client.json(&["file", id]).expect("it is in the book");
    let progress = &shown["progress"];
    assert_eq!(
        (&progress["copiesLost"], &progress["copiesKept"]),
        (&Value::from(1), &Value::from(4))
    );
    assert_eq!(progress["state"], "kept");
}
