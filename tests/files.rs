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
    // Which copy is fetched is random; one that failed comes next. A monitor learns of it by the exit code.
    let lost = (0..60).any(|_| {
        let ended = client.run(&["watch", id, "--once", "--json"]);
        let drilled: Value = serde_json::from_str(&ended.stdout).expect("one value");
        assert_eq!(
            ended.status.code(),
            Some(if drilled["verdict"] == "kept" { 0 } else { 4 })
        );
        drilled["verdict"] == "lost"
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

/// What `age` prints with these arguments.
fn age(arguments: &[&str]) -> Vec<u8> {
    let ended = std::process::Command::new("age").args(arguments).output();
    let ended = ended.expect("Debian's age is installed (`apt-get install age`)");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{arguments:?}: {said}");
    ended.stdout
}

/// A new identity: its file and its recipient.
fn keygen(client: &Client, name: &str) -> (String, String) {
    let path = text(&client.path(name));
    let made = client.json(&["keygen", "--output", &path]).expect("it is new");
    (path, made["recipient"].as_str().expect("a text").to_owned())
}

#[test]
fn an_encrypted_folder_comes_back_to_whoever_has_a_key_and_to_nobody_else() {
    let chain = Node::chain(&NETWORK);
    let url = chain.url();
    let _miner = Node::miner(&url, "8MiB");
    let client = Client::new(&url);
    let (identity, recipient) = keygen(&client, "identity");
    let (stranger, _) = keygen(&client, "stranger");
    let folder = client.path("holiday");
    std::fs::create_dir_all(folder.join("inner")).expect("there is room");
    let files = [
        ("diary.txt", bytes(1, 1000)),
        ("inner/empty", Vec::new()),
        ("inner/film", bytes(2, 9 * MIB)),
    ];
    for (name, content) in &files {
        std::fs::write(folder.join(name), content).expect("there is room");
    }
    let order = [
        "store",
        &text(&folder),
        "--encrypt-to",
        &recipient,
        "--with-manifest",
        "--duration",
        DURATION,
    ];
    let stored = client.json(&order).expect("it is kept");
    let id = stored["file"].as_str().expect("a text");
    assert_eq!(stored["progress"]["state"], "kept");
    assert_eq!(stored["encryption"]["recipients"], 1);
    assert_eq!(stored["readers"], serde_json::json!([recipient]));
    assert_eq!(stored["files"][0]["path"], "diary.txt");
    client.run(&["file", id]).succeeded();

    let is_back = |folder: &std::path::Path| {
        for (name, content) in &files {
            let found = std::fs::read(folder.join(name)).expect("it is there");
            assert!(found == *content, "{name}");
        }
    };
    // Its own book needs no key, and a second time finds everything there.
    let back = client.path("back");
    for _ in 0..2 {
        client.run(&["retrieve", id, "--output", &text(&back)]).succeeded();
        is_back(&back);
    }
    std::fs::write(back.join("diary.txt"), b"precious").expect("there is room");
    let again = client.run(&["retrieve", id, "--output", &text(&back)]);
    again.failed_saying(&["is there already"]);
    assert_eq!(
        std::fs::read_dir(&back).expect("a folder").count(),
        2,
        "nothing is left"
    );

    // Another one needs the identity.
    let other = Client::new(&url);
    let place = text(&other.path("back"));
    let without = other.run(&["retrieve", id, "--output", &place]);
    without.failed_saying(&["encrypted to 1 recipient", "--identity", "age -d"]);
    let wrong = other.run(&["retrieve", id, "--output", &place, "--identity", &stranger]);
    wrong.failed_saying(&["none of the given identities"]);
    assert!(!other.path("back").exists(), "nothing was written");
    let with = ["retrieve", id, "--output", &place, "--identity", &identity];
    let told = other.json(&with).expect("it opens");
    assert_eq!(
        (&told["decrypted"], &told["size"]),
        (&Value::Bool(true), &Value::from(9 * MIB + 1000))
    );
    is_back(&other.path("back"));

    // As it is stored, it has no names, and Debian's program reads it.
    let raw = other.path("raw");
    let arguments = ["retrieve", id, "--output", &text(&raw), "--raw"];
    other.run(&arguments).succeeded();
    for (index, (_, content)) in files.iter().enumerate() {
        let sealed = text(&raw.join(format!("{index}.age")));
        assert!(age(&["-d", "-i", &identity, &sealed]) == *content, "{sealed}");
    }
}

#[test]
fn an_encrypted_file_comes_back_in_part_and_with_a_passphrase() {
    let chain = Node::chain(&NETWORK);
    let url = chain.url();
    let _miner = Node::miner(&url, "8MiB");
    let client = Client::new(&url);
    let (identity, recipient) = keygen(&client, "identity");
    let content = bytes(4, 17 * MIB);
    let film = text(&client.file("film", &content));
    let to = ["--encrypt-to", &recipient, "--with-manifest", "--duration", DURATION];
    let stored = client.json(&[&["store", &film][..], &to].concat()).expect("it is kept");
    let id = stored["file"].as_str().expect("a text");
    let other = Client::new(&url);
    let (first, last) = (8 * MIB - 70_000, 8 * MIB + 70_000);
    let range = format!("{first}-{last}");
    for (who, key) in [(&client, &[][..]), (&other, &["--identity", &identity][..])] {
        let part = who.path("part");
        let place = text(&part);
        let arguments = ["retrieve", id, "--output", &place, "--range", &range];
        who.run(&[&arguments[..], key].concat()).succeeded();
        assert!(std::fs::read(&part).expect("it is there") == content[first..=last]);
    }

    // A small one has a manifest, too, and so a name that nobody sees.
    let passphrase = text(&client.file("passphrase", b"correct horse\n"));
    let small = text(&client.file("small", b"what I think of you"));
    let with = [
        "--passphrase-file",
        &passphrase,
        "--with-manifest",
        "--duration",
        DURATION,
    ];
    let stored = client
        .json(&[&["store", &small][..], &with].concat())
        .expect("it is kept");
    assert_eq!(stored["encryption"]["passphrase"], true);
    assert_eq!(stored["name"], "small");
    let id = stored["file"].as_str().expect("a text");
    let place = text(&other.path("small"));
    let arguments = ["retrieve", id, "--output", &place];
    other
        .run(&arguments)
        .failed_saying(&["with a passphrase", "--passphrase"]);
    let wrong = text(&other.file("wrong", b"wrong horse"));
    let with = |file: &str| [&arguments[..], &["--passphrase-file", file]].concat().join("\n");
    let run = |file: &str| other.run(&with(file).split('\n').collect::<Vec<_>>());
    run(&wrong).failed_saying(&["not the one"]);
    run(&passphrase).succeeded();
    assert_eq!(std::fs::read(&place).expect("it is there"), b"what I think of you");
}

#[test]
fn a_piece_comes_back_to_somebody_who_has_nothing_but_its_piece_cid_and_what_is_wrong_is_said() {
    let chain = Node::chain(&NETWORK);
    let miner = Node::miner(&chain.url(), "8MiB");
    let client = Client::new(&chain.url());
    let content = bytes(11, 3 * MIB + 5);
    let file = text(&client.file("piece.bin", &content));
    let stored = client
        .json(&["store", &file, "--duration", DURATION])
        .expect("it is kept");
    let piece = stored["pieceCid"].as_str().expect("a text");
    let size = content.len().to_string();
    let from = miner.http();

    // Without a chain, too: none is asked.
    let other = Client::new("http://127.0.0.1:1");
    let place = other.path("back");
    let get = |more: &[&str]| {
        let place = text(&place);
        let fixed = ["retrieve", "--piece", piece, "--from", &from, "--output", &place];
        other.run(&[&fixed, more].concat())
    };
    get(&["--size", &size]).succeeded();
    assert!(std::fs::read(&place).expect("it is there") == content);
    std::fs::remove_file(&place).expect("it is there");
    get(&["--size", &size, "--range", "1000000-2000000"]).succeeded();
    assert!(std::fs::read(&place).expect("it is there") == content[1_000_000..=2_000_000]);
    std::fs::remove_file(&place).expect("it is there");

    get(&[]).failed_saying(&["--size"]);
    let shorter = (content.len() - 1).to_string();
    for (size, range) in [(&size, "5-3145733"), (&shorter, "0-9")] {
        // What is beyond the piece, and what is proven of another one than was named.
        get(&["--size", size, "--range", range]).failed_saying(&["piece"]);
    }
    get(&["--size", "many"]).failed_saying(&["give a number of bytes"]);
    let unknown = "baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq";
    let place_text = text(&place);
    let fixed = ["retrieve", "--output", &place_text, "--piece"];
    let said = |more: &[&str], words: &[&str]| other.run(&[&fixed, more].concat()).failed_saying(words);
    said(
        &[unknown, "--from", &from, "--size", "9"],
        &["404", "is not stored here"],
    );
    said(&[piece], &["--from"]);
    said(&[piece, "--from", "127.0.0.1:80"], &["give it as http://host:port"]);
    said(&["bafy", "--from", &from], &["--piece"]);
    said(
        &[piece, "--from", "http://127.0.0.1:1", "--size", "9"],
        &["http://127.0.0.1:1", "refused"],
    );
    assert!(!place.exists(), "nothing is written that is not checked");
}
