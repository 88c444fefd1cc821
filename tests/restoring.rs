//! A miner's machine is lost, and its home comes back from a backup on another one. Proofs are FAKE: the daemon is `killable-daemon`.

use sealdrop_tests::node::Node;
use sealdrop_tests::{bytes, program, wait_for, Client, Ended};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a step may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);
/// A chain whose proofs are due every few seconds; there is time to restore between two.
const NETWORK: [&str; 10] = [
    "--sector-size",
    "2KiB",
    "--block-time",
    "250ms",
    "--proving-period",
    "160",
    "--challenge-window",
    "80",
    "--grace",
    "80",
];
const PASSPHRASE: &str = "correct horse battery staple";

/// Runs the program alone, with the passphrase of backups.
fn run(arguments: &[&str]) -> Ended {
    let mut command = Command::new(program());
    command.args(arguments).env("SEALDROP_BACKUP_PASSPHRASE", PASSPHRASE);
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    Ended {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a test's path is text")
}

/// The messages to a miner that carry a proof of spacetime, the newest first.
fn proofs(client: &Client, miner: &str) -> Vec<Value> {
    let sent = client.sealdrop_json(&["chain", "messages", miner]);
    let messages = sent.expect("the chain answers")["messages"].as_array().cloned();
    let mut messages = messages.unwrap_or_default();
    messages.retain(|message| message["method"] == "submitPoSt");
    messages
}

#[test]
fn a_miner_that_is_restored_elsewhere_proves_in_its_next_window_and_gives_the_piece_back() {
    let chain = Node::chain(&NETWORK);
    let url = chain.url();
    let mut lost = Node::miner(&url, "2KiB");
    let client = Client::new(&url);
    let data = bytes(11, 700);
    let (file, miner) = (client.file("file", &data), lost.address());
    let stored = client.run(&["store", text(&file), "--miner", &miner, "--duration", "100000"]);
    let deal = stored.lines().pop().expect("the last line is the deal's id");
    let before = wait_for("the first proof", LIMIT, || {
        Some(proofs(&client, &miner).len()).filter(|count| *count > 0)
    });

    // While it runs.
    let backup = client.path("miner.age");
    let made = run(&[
        "backup",
        text(&backup),
        "--with-sectors",
        "--home",
        text(&lost.home()),
        "--json",
    ]);
    let made = made.json().expect("the backup is made");
    assert_eq!(
        (&made["miner"], &made["encrypted"]),
        (&Value::from(miner.as_str()), &Value::from(true))
    );
    assert_eq!(made["sectors"][0]["included"], true, "{made}");
    run(&["backup", "check", text(&backup)]).succeeded();
    lost.kill();
    let (home, other) = (
        lost.home(),
        run(&["restore", text(&backup), "--home", text(&lost.home())]),
    );
    other.failed_saying(&["nothing in it is replaced"]);
    std::fs::remove_dir_all(&home).expect("it is there");

    let mut restored = Node::miner_unstarted(&url, "2KiB");
    let done = run(&["restore", text(&backup), "--home", text(&restored.home()), "--json"]);
    let done = done.json().expect("it is restored");
    assert_eq!(done["missingSectors"], serde_json::json!([]));
    assert!(
        done["next"].to_string().contains("never start the old machine"),
        "{done}"
    );
    restored.start();
    assert_eq!(restored.address(), miner);

    let proven = wait_for("the next proof", LIMIT, || {
        Some(proofs(&client, &miner)).filter(|proofs| proofs.len() > before)
    });
    for proof in &proven {
        assert_eq!(
            (&proof["exitCode"], &proof["value"]),
            (&Value::from(0), &Value::from("0")),
            "late: {proof}"
        );
    }
    let power = client.sealdrop(&["miner", "power", &miner]).lines().remove(0);
    assert!(power.starts_with("2048 / "), "{power}");
    let shown = restored.ask(&["deals", "show", &deal]).expect("it knows the deal");
    assert_eq!(shown["state_name"], "complete");
    let back = client.path("back");
    client.run(&["retrieve", &deal, "-o", text(&back)]).succeeded();
    assert!(std::fs::read(&back).expect("it is there") == data);
}

#[test]
fn a_backup_without_sectors_says_which_are_missing_and_they_come_beside_it() {
    let chain = Node::chain(&NETWORK);
    let url = chain.url();
    let mut lost = Node::miner(&url, "2KiB");
    let client = Client::new(&url);
    let (file, miner) = (client.file("file", &bytes(12, 700)), lost.address());
    let stored = client.run(&["store", text(&file), "--miner", &miner, "--duration", "100000"]);
    stored.succeeded();
    let backup = client.path("miner.age");
    let made = run(&["backup", text(&backup), "--home", text(&lost.home())]).succeeded();
    assert!(made.stderr.contains("miner/sectors"), "{}", made.stderr);
    lost.kill();

    let mut restored = Node::miner_unstarted(&url, "2KiB");
    let done = run(&["restore", text(&backup), "--home", text(&restored.home()), "--json"]);
    assert_eq!(
        done.json().expect("it is restored")["missingSectors"],
        serde_json::json!([1])
    );
    // After the backup, as its manual says.
    let place = restored.home().join("miner/sectors");
    std::fs::rename(lost.home().join("miner/sectors"), place).expect("they are there");
    restored.start();
    let before = proofs(&client, &miner).len();
    wait_for("the next proof", LIMIT, || {
        (proofs(&client, &miner).len() > before).then_some(())
    });
    assert!(
        proofs(&client, &miner).iter().all(|proof| proof["value"] == "0"),
        "one is late"
    );
}

#[test]
fn a_chain_goes_through_a_pipe_to_another_home_and_goes_on() {
    let mut chain = Node::chain(&NETWORK);
    let home = chain.home();
    let mut command = Command::new(program());
    command.args(["backup", "x.age", "--home", text(&home)]);
    let refused = command.env_remove("SEALDROP_BACKUP_PASSPHRASE").stdin(Stdio::null());
    // Where a terminal is, it would be asked.
    if std::fs::File::open("/dev/tty").is_err() {
        let refused = refused.output().expect("the program starts");
        let told = String::from_utf8_lossy(&refused.stderr);
        assert!(
            !refused.status.success() && told.contains("--passphrase-file"),
            "{told}"
        );
    }

    let mut restored = Node::chain_unstarted(&NETWORK);
    let mut command = Command::new(program());
    let backup = command.args(["backup", "-", "--unencrypted", "--home", text(&home)]);
    let mut backup = backup.stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut command = Command::new(program());
    let restore = command.args(["restore", "-", "--unencrypted", "--home", text(&restored.home())]);
    let restore = restore.stdin(backup.stdout.take().expect("it is piped")).status();
    assert!(restore.expect("the program starts").success() && backup.wait().expect("it ends").success());

    let height = |node: &Node| node.ask(&["chain", "head"]).and_then(|head| head["height"].as_u64());
    let before = height(&chain).expect("it answers");
    chain.kill();
    restored.start();
    wait_for("more blocks", LIMIT, || {
        height(&restored).filter(|height| *height > before)
    });
    let genesis = |home: &Path| {
        let known = std::fs::read(home.join("chain.json")).expect("a chain names itself");
        serde_json::from_slice::<Value>(&known).expect("it is JSON")["genesis"].clone()
    };
    assert_eq!(genesis(&home), genesis(&restored.home()));
}
