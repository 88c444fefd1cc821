//! Keys, messages and their gas.

use crate::{daemon, funded, text, NOBODYS, SOON};
use sealdrop_tests::{wait_for, Client};

#[test]
fn keys_are_made_chosen_exported_and_imported() {
    let daemon = daemon();
    let (client, other) = (Client::new(&daemon.chain()), Client::new(&daemon.chain()));
    client
        .sealdrop(&["wallet", "balance"])
        .failed_saying(&["unable to determine a default wallet address"]);
    let one = client.sealdrop(&["wallet", "new"]).lines().remove(0);
    let two = client.sealdrop(&["address", "new"]).lines().remove(0);
    client.sealdrop(&["wallet", "default", &two]).succeeded();
    assert_eq!(client.sealdrop(&["address", "default"]).lines(), [two.clone()]);
    for group in ["wallet", "address"] {
        let listed = client.sealdrop_json(&[group, "ls"]).expect("the wallet is read");
        assert_eq!(listed["default"], two.as_str());
        let mut expected = [one.clone(), two.clone()];
        expected.sort();
        assert_eq!(listed["addresses"], serde_json::json!(expected));
    }
    let marked = client.sealdrop(&["wallet", "ls"]).lines();
    assert_eq!(marked.iter().filter(|line| line.ends_with("default")).count(), 1);
    let nothing = client.sealdrop(&["wallet", "balance", &one]).lines();
    assert_eq!(nothing, ["0"]);

    let secret = client.sealdrop(&["wallet", "export", &one]).succeeded().stdout;
    let file = other.file("key", secret.as_bytes());
    let file = file.to_str().expect("the path is text");
    assert_eq!(other.sealdrop(&["wallet", "import", file]).lines(), [one.clone()]);
    let garbage = other.file("garbage", b"no key at all");
    other
        .sealdrop(&["wallet", "import", garbage.to_str().expect("the path is text")])
        .failed_saying(&["no secret key"]);
    other
        .sealdrop(&["wallet", "export", &two])
        .failed_saying(&["has no key of", &two]);
}

/// Finding B3.
#[test]
fn accounts_belong_to_the_chains_network_and_come_from_a_root_that_can_be_moved() {
    let daemon = daemon();
    let (client, other) = (Client::new(&daemon.chain()), Client::new(&daemon.chain()));
    let made = [(); 2].map(|()| client.sealdrop(&["wallet", "new"]).lines().remove(0));
    let root = client
        .sealdrop_json(&["wallet", "export", "--root"])
        .expect("there is one");
    let file = other.file("root", root.to_string().as_bytes());
    let file = file.to_str().expect("the path is text");
    other.sealdrop(&["wallet", "import", file]).succeeded();
    let again = [(); 2].map(|()| other.sealdrop(&["wallet", "new"]).lines().remove(0));
    assert_eq!(again, made);

    // A key by itself is bound to no network, and that is said.
    let third = Client::new(&daemon.chain());
    let secret = client.sealdrop(&["wallet", "export", &made[1]]).succeeded().stdout;
    let file = third.file("key", secret.as_bytes());
    third
        .sealdrop(&["wallet", "import", file.to_str().expect("the path is text")])
        .succeeded();
    let bindings = |client: &Client| {
        let listed = client.sealdrop_json(&["wallet", "ls"]).expect("the wallet is read");
        let accounts = listed["accounts"].as_array().expect("a list").clone();
        accounts
            .into_iter()
            .map(|account| account["network"].clone())
            .collect::<Vec<_>>()
    };
    assert!(bindings(&other).iter().all(serde_json::Value::is_string));
    assert_eq!(bindings(&third), [serde_json::Value::Null]);
    let listed = third.sealdrop(&["wallet", "ls"]).succeeded();
    assert!(listed.stdout.contains("not bound to a network"), "{}", listed.stdout);
    assert!(listed.stderr.contains("sealdrop wallet new"), "{}", listed.stderr);
}

#[test]
fn a_message_is_previewed_sent_waited_for_and_shown() {
    let daemon = daemon();
    let client = Client::new(&daemon.chain());
    let account = funded(&client);
    let target = client.sealdrop(&["wallet", "new"]).lines().remove(0);

    // A preview sends nothing; on a new network a transfer uses gas like a method.
    let send = ["message", "send", &target, "--value", "1.5"];
    assert_eq!(client.sealdrop(&[&send[..], &["--preview"]].concat()).lines(), ["100"]);
    assert_eq!(client.sealdrop(&["wallet", "balance", &target]).lines(), ["0"]);
    let sent = client.sealdrop_json(&send).expect("the message is taken");
    let id = text(&sent, "message");
    let receipt = client.sealdrop_json(&["message", "wait", id, "--confirmations", "1"]);
    assert_eq!(receipt.expect("it is mined")["exitCode"], 0);
    assert_eq!(client.sealdrop(&["wallet", "balance", &target]).lines(), ["1.5"]);
    let status = client.sealdrop_json(&["message", "status", id]).expect("it is known");
    assert_eq!(
        (&status["status"], &status["content"]["from"]),
        (&"mined".into(), &account.into())
    );
    assert!(client.sealdrop(&["message", "status", id]).lines()[0] == "mined");

    // A call that fails is in a block all the same; its waiter is told why.
    let wrong = ["message", "send", "t02", "getNothing"];
    client
        .sealdrop(&[&wrong[..], &["--preview"]].concat())
        .failed_saying_once(&["would fail with exit code 1", "does not export method"]);
    let failed = client.sealdrop(&wrong).lines().remove(0);
    let waited = client.sealdrop(&["message", "wait", &failed]);
    assert_eq!(waited.status.code(), Some(1));
    waited.failed_saying_once(&["failed with exit code 1"]);

    for command in ["wait", "status"] {
        let ended = client.sealdrop(&[&["message", command, NOBODYS][..], &short(command)].concat());
        ended.failed_saying(&[NOBODYS]);
    }
}

/// Nobody sends the message, so nobody waits long for it.
fn short(command: &str) -> Vec<&'static str> {
    match command {
        "wait" => vec!["--timeout", "300ms"],
        _ => Vec::new(),
    }
}

#[test]
fn gas_options_have_defaults_and_are_checked_with_the_known_texts() {
    let daemon = daemon();
    let client = Client::new(&daemon.chain());
    funded(&client);
    let send = ["message", "send", "t099", "--value", "0.1"];
    let with = |options: &[&str]| client.sealdrop(&[&send[..], options].concat());
    let cheap = with(&["--gas-price", "cheap"]);
    assert_eq!(cheap.status.code(), Some(2));
    cheap.failed_saying(&["invalid gas price (specify FIL as a decimal number)"]);
    with(&["--gas-price", "0"]).failed_saying(&["without a gas price"]);
    with(&["--gas-limit", "10000001"]).failed_saying(&["the chain refused"]);
    let message = with(&["--gas-price", "0.000000000000000005", "--gas-limit", "700"])
        .lines()
        .remove(0);
    let shown = wait_for("the message to be known", SOON, || {
        client.sealdrop_json(&["chain", "message", &message]).ok()
    });
    assert_eq!(
        (&shown["gasPrice"], &shown["gasLimit"]),
        (&"0.000000000000000005".into(), &700.into())
    );
}
