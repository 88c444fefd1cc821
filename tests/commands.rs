//! Every command of the command line once, against a real daemon: what it prints, how it ends, and that its JSON is JSON.
//! No sector is sealed here; `client`'s own steps are in `lifecycle.rs` and `misbehaviour.rs`.

use sealdrop_tests::{bytes, free_ports, sealdrop, wait_for, Client, Daemon};
use serde_json::Value;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

/// How long a block or two may take on a busy machine.
const SOON: Duration = Duration::from_secs(60);
/// A CID that nothing here has.
const NOBODYS: &str = "bafy2bzacea45nf5vfkl36jrcvlucxkvt2yxivwg42tjkrk7gznnidmerdxvgi";

/// One daemon for the tests that run at the same time; it never seals. The last one ends it.
fn daemon() -> Arc<Daemon> {
    static SHARED: Mutex<Weak<Daemon>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    shared.upgrade().unwrap_or_else(|| {
        let daemon = Arc::new(Daemon::start(&["--auto-seal", "24h"]));
        *shared = Arc::downgrade(&daemon);
        daemon
    })
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} is missing in {value}"))
}

/// An account with money.
fn funded(client: &Client) -> String {
    let made = client.sealdrop_json(&["wallet", "new"]).expect("a key is made");
    let address = text(&made, "address").to_owned();
    client.sealdrop(&["wallet", "default", &address]).succeeded();
    let gift = client.sealdrop_json(&["wallet", "fund"]).expect("the faucet gives");
    assert_eq!(text(&gift, "address"), address);
    address
}

#[test]
fn completions_are_printed_for_every_shell_and_name_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = sealdrop(&["completions", shell]).succeeded().stdout;
        for command in ["mining", "paych", "set-price"] {
            assert!(script.contains(command), "{shell} does not know {command}");
        }
    }
}

#[test]
fn a_mistyped_command_ends_with_2_and_a_hint() {
    let ended = sealdrop(&["minning", "status"]);
    assert_eq!(ended.status.code(), Some(2));
    ended.failed_saying(&["unrecognized subcommand", "mining"]);
    let ended = sealdrop(&["message", "send", "t3nobody"]);
    assert_eq!(ended.status.code(), Some(2));
}

#[test]
fn what_does_not_answer_is_told_once_with_what_to_do() {
    let nowhere = format!("http://127.0.0.1:{}", free_ports()[0]);
    let client = Client::new(&nowhere);
    for command in [&["chain", "head"][..], &["protocol"], &["miner", "power", "t01000"]] {
        let ended = client.sealdrop(command);
        assert_eq!(ended.status.code(), Some(1));
        ended.failed_saying_once(&[&nowhere, "does not answer", "cargo xtask up"]);
    }
    let port = free_ports()[0].to_string();
    for command in [&["mining", "status"][..], &["deals", "list", "--miner"], &["config"]] {
        let ended = client.sealdrop(&[command, &["--web-port", &port]].concat());
        assert_eq!(ended.status.code(), Some(1));
        ended.failed_saying_once(&["no daemon answers", "sealdrop daemon", "--web-port"]);
    }
}

#[test]
fn the_chain_is_read_by_blocks_messages_and_actors() {
    let daemon = daemon();
    let ask = |arguments: &[&str]| daemon.operate_json(&[&["chain"], arguments].concat());
    let head = ask(&["head"]).expect("there is a head");
    let height = head["height"].as_u64().expect("a head has a height");
    let printed = daemon.operate(&["chain", "head"]).lines();
    assert!(printed[0].split_whitespace().count() == 2, "{printed:?}");

    let listed = ask(&["ls", "--count", "3"]).expect("there are blocks");
    let blocks = listed["blocks"].as_array().expect("a list of blocks");
    assert!(!blocks.is_empty() && blocks.len() <= 3);
    assert!(blocks[0]["height"].as_u64() >= blocks[blocks.len() - 1]["height"].as_u64());
    let by_height = ask(&["block", &height.to_string()]).expect("the head stays");
    assert_eq!(by_height["block"], head["block"]);
    let by_id = ask(&["block", text(&head, "block")]).expect("the head is found by its id");
    assert_eq!(by_id, by_height);
    daemon
        .operate(&["chain", "block", NOBODYS])
        .failed_saying(&[NOBODYS, "by its height"]);
    daemon
        .operate(&["chain", "block", "999999999"])
        .failed_saying(&["no block at height 999999999"]);

    // The miner's registration is the first of its messages.
    let miner = daemon.operate_json(&["miner", "status"]).expect("the miner answers");
    let worker = text(&miner, "worker");
    let messages = ask(&["messages", worker]).expect("the chain answers");
    let sent = messages["messages"].as_array().expect("a list of messages");
    let created = sent.iter().find(|message| message["method"] == "createStorageMiner");
    let id = text(created.expect("the miner was registered"), "message").to_owned();
    let message = ask(&["message", &id]).expect("the message is on the chain");
    assert_eq!(message["receipt"]["exitCode"], 0);
    let shown = daemon.operate(&["chain", "message", &id]).succeeded().stdout;
    assert!(
        shown.contains("createStorageMiner") && shown.contains("exit code"),
        "{shown}"
    );
    daemon
        .operate(&["chain", "message", NOBODYS])
        .failed_saying(&["knows no message", NOBODYS]);

    let actor = ask(&["actor", worker]).expect("the worker has an account");
    assert_eq!(actor["address"], worker);
    daemon
        .operate(&["chain", "actor", "t0123456"])
        .failed_saying(&["no actor"]);
    let supply = ask(&["supply"]).expect("the chain answers");
    assert!(supply["total"].is_string() && supply["burnt"].is_string());
    assert!(ask(&["pool"]).expect("the chain answers")["count"].is_u64());
}

#[test]
fn exit_codes_are_told_with_their_texts() {
    let table = sealdrop(&["chain", "exit-codes"]).succeeded().stdout;
    for said in ["39", "not authorized", "broker"] {
        assert!(table.contains(said), "{said} is missing in {table}");
    }
    let codes = sealdrop(&["chain", "exit-codes", "--json"]).json().expect("it is JSON");
    let codes = codes["exitCodes"].as_array().expect("a list of codes");
    let too_early = codes
        .iter()
        .find(|code| code["actor"] == "broker" && code["code"] == 43);
    let too_early = too_early.expect("the broker has this code");
    assert_eq!(text(too_early, "text"), "block height too low to redeem voucher");
}

#[test]
fn protocol_tells_the_network_and_what_its_sectors_hold() {
    let daemon = daemon();
    let told = daemon.operate_json(&["protocol"]).expect("the chain answers");
    assert_eq!(told["network"], "sealdrop-devnet");
    assert_eq!(told["autoSealIntervalMs"], 24 * 3600 * 1000);
    assert_eq!(told["sectorSizes"][0]["writeable"], 2032);
    let lines = daemon.operate(&["protocol"]).lines();
    assert_eq!(lines[0], "Network: sealdrop-devnet");
    assert!(
        lines.iter().any(|line| line == "\t2048 bytes (2032 bytes writeable)"),
        "{lines:?}"
    );
    // A chain without a miner of ours.
    let client = Client::new(&daemon.chain());
    let port = free_ports()[0].to_string();
    let told = client.sealdrop_json(&["protocol", "--web-port", &port]);
    assert!(told.expect("the chain answers")["autoSealIntervalMs"].is_null());
}

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

#[test]
fn a_message_is_previewed_sent_waited_for_and_shown() {
    let daemon = daemon();
    let client = Client::new(&daemon.chain());
    let account = funded(&client);
    let target = client.sealdrop(&["wallet", "new"]).lines().remove(0);

    // A preview sends nothing: a plain transfer calls no method, and so uses no gas.
    let send = ["message", "send", &target, "--value", "1.5"];
    assert_eq!(client.sealdrop(&[&send[..], &["--preview"]].concat()).lines(), ["0"]);
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

#[test]
fn a_miner_is_registered_once_and_managed_by_its_owner_and_worker() {
    let daemon = daemon();
    let client = Client::new(&daemon.chain());
    let account = funded(&client);
    client
        .sealdrop(&["miner", "create", "10", "--sectorsize", "1024"])
        .failed_saying(&["unsupported sector size: 1024 (supported sizes: 2048, 8388608, 536870912)"]);
    client
        .sealdrop(&["miner", "create", "lots"])
        .failed_saying(&["invalid collateral"]);
    let create = ["miner", "create", "10", "--sectorsize", "2048"];
    let gas = client.sealdrop(&[&create[..], &["--preview"]].concat()).lines();
    assert_eq!(gas, ["100"]);
    let miner = client.sealdrop(&create).lines().remove(0);
    assert!(miner.starts_with("t2"), "{miner}");
    client
        .sealdrop(&create)
        .failed_saying(&["can only have one miner per node"]);
    daemon
        .operate(&create)
        .failed_saying(&["can only have one miner per node"]);

    // Without the daemon's help: the port is nobody's.
    let port = free_ports()[0].to_string();
    let of_own = |command: &str| client.sealdrop(&["miner", command, "--web-port", &port]).lines();
    assert_eq!(of_own("owner"), [account.clone()]);
    assert_eq!(of_own("worker"), [account.clone()]);
    assert_eq!(of_own("collateral"), ["0"]);
    assert!(of_own("power")[0].starts_with("0 / "));
    let window = client
        .sealdrop_json(&["miner", "proving-window", &miner])
        .expect("the chain answers");
    assert_eq!(
        (&window["start"], &window["end"], &window["provingSet"]),
        (&0.into(), &0.into(), &serde_json::json!({}))
    );

    the_price_is_set(&client, &miner, &port);
    the_host_and_the_worker_change(&client, &miner, &port);
    client
        .sealdrop(&["miner", "owner", "t0987"])
        .failed_saying(&["no miner t0987"]);
}

/// On the chain itself: no daemon speaks for this miner.
fn the_price_is_set(client: &Client, miner: &str, port: &str) {
    let set = [
        "miner",
        "set-price",
        "0.00000002",
        "1000",
        "--miner",
        miner,
        "--web-port",
        port,
    ];
    assert_eq!(client.sealdrop(&[&set[..], &["--preview"]].concat()).lines(), ["100"]);
    let told = client.sealdrop(&set).lines();
    assert_eq!(told[0], format!("Set price for miner {miner} to 0.00000002."));
    assert!(told[1].starts_with("Published ask, cid: bafy2"), "{told:?}");
    let block = told[2]
        .strip_prefix("Ask confirmed on chain in block: ")
        .expect("it names the block");
    client.sealdrop(&["chain", "block", block]).succeeded();
    let listed = client.json(&["list-asks"]).expect("the chain answers");
    assert!(listed.to_string().contains(miner), "{listed}");
}

fn the_host_and_the_worker_change(client: &Client, miner: &str, port: &str) {
    let before = client.sealdrop(&["address", "lookup", miner]).lines();
    client
        .sealdrop(&["miner", "update-peerid", miner, "nonsense"])
        .failed_saying(&["invalid value"]);
    let other = daemon().operate_json(&["miner", "status"]).expect("the miner answers");
    let host = text(&other, "peerId");
    let message = client
        .sealdrop(&["miner", "update-peerid", miner, host])
        .lines()
        .remove(0);
    client.sealdrop(&["message", "wait", &message]).succeeded();
    let after = client.sealdrop(&["address", "lookup", miner]).lines();
    assert_ne!(before, after);
    assert_eq!(after, [host]);

    let worker = client.sealdrop(&["wallet", "new"]).lines().remove(0);
    let change = ["miner", "set-worker", &worker, "--web-port", port];
    let message = client.sealdrop(&change).lines().remove(0);
    client.sealdrop(&["message", "wait", &message]).succeeded();
    assert_eq!(client.sealdrop(&["miner", "worker", miner]).lines(), [worker]);
    // The old worker has no say any more; its wallet's default account is no worker.
    let message = client.sealdrop(&[
        "miner",
        "update-peerid",
        miner,
        host,
        "--from",
        &owner(client, miner),
        "--preview",
    ]);
    message.failed_saying_once(&["would fail with exit code 37"]);
}

fn owner(client: &Client, miner: &str) -> String {
    client.sealdrop(&["miner", "owner", miner]).lines().remove(0)
}

/// spec §9.51: one after the other, since all of them change what the one miner does. The list of deals filters by role; a
/// deal of 2000 blocks shows two vouchers, half and full, the first conditional; a free one shows none; an unknown deal
/// is "deal not found".
#[test]
fn the_operator_starts_stops_configures_and_is_told() {
    let daemon = daemon();
    the_miner_is_described(&daemon);
    mining_starts_and_stops(&daemon);
    settings_are_read_and_changed(&daemon);
    deals_are_listed_and_shown(&daemon);
    a_free_deal_has_no_vouchers(&daemon);
}

fn the_miner_is_described(daemon: &Daemon) {
    let status = daemon.operate_json(&["mining", "status"]).expect("the daemon answers");
    let address = text(&status, "address").to_owned();
    assert_eq!(daemon.operate(&["mining", "address"]).lines(), [address.clone()]);
    let shown = daemon.operate(&["mining", "status"]).succeeded().stdout;
    assert!(shown.contains(&address) && shown.contains("0 / 0"), "{shown}");
    assert_eq!(daemon.operate(&["mining", "setup"]).lines(), ["mining ready"]);
    let shown = daemon.operate(&["miner", "status"]).succeeded().stdout;
    assert!(shown.contains(&address) && shown.contains("takes deals"), "{shown}");
    let block = daemon.operate(&["mining", "once"]).lines().remove(0);
    daemon.operate(&["chain", "block", &block]).succeeded();
}

fn mining_starts_and_stops(daemon: &Daemon) {
    assert_eq!(daemon.operate(&["mining", "seal-now"]).lines(), ["sealing started"]);
    assert_eq!(daemon.operate(&["mining", "stop"]).lines(), ["Stopped mining"]);
    let file = daemon.home().join("a piece of the operator's own");
    std::fs::write(&file, bytes(31, 100)).expect("the file can be written");
    let file = file.to_str().expect("the path is text");
    daemon
        .operate(&["mining", "seal-now"])
        .failed_saying_once(&["must be mining to seal sectors"]);
    daemon
        .operate(&["mining", "add-piece", file])
        .failed_saying_once(&["must be mining to add piece"]);
    assert_eq!(daemon.operate(&["mining", "start"]).lines(), ["Started mining"]);
    let staged = daemon.operate(&["mining", "add-piece", file]).lines().remove(0);
    assert!(staged.starts_with("piece staged in sector "), "{staged}");
    let large = daemon.home().join("too large");
    std::fs::write(&large, bytes(32, 2033)).expect("the file can be written");
    daemon
        .operate(&["mining", "add-piece", large.to_str().expect("the path is text")])
        .failed_saying(&["2032 bytes"]);
    daemon
        .operate(&["mining", "add-piece", "/nowhere at all"])
        .failed_saying_once(&["/nowhere at all", "No such file"]);
}

fn settings_are_read_and_changed(daemon: &Daemon) {
    let config = |arguments: &[&str]| daemon.operate(&[&["config"], arguments].concat());
    let all = daemon.operate_json(&["config"]).expect("the daemon answers");
    assert_eq!(all["config"]["mining.autoSealIntervalSeconds"], 24 * 3600);
    assert!(config(&[]).succeeded().stdout.contains("sectorbase.rootdir"));
    assert_eq!(config(&["mining.storagePrice"]).lines(), ["0.0000000001"]);
    assert_eq!(config(&["mining.minDuration", "2"]).lines(), ["2"]);
    let kept = daemon
        .operate_json(&["config", "mining.minDuration"])
        .expect("it is there");
    assert_eq!(kept, serde_json::json!({ "key": "mining.minDuration", "value": 2 }));
    config(&["mining.minDuration", "1"]).succeeded();
    config(&["mining.minDuration", "0"]).failed_saying(&["no deal lasts"]);
    config(&["mining.minDuration", "soon"]).failed_saying_once(&["a number of blocks"]);
    config(&["mining.prize"]).failed_saying_once(&["no setting", "mining.storagePrice"]);
    config(&["mining.minerAddress", "t01"]).failed_saying_once(&["cannot be changed"]);
    // The daemon keeps the ask in line with its price (spec §6.2, where they could diverge).
    let miner = daemon.operate(&["config", "mining.minerAddress"]).lines().remove(0);
    let told = daemon
        .operate(&["miner", "set-price", "0.00000000005", "500000"])
        .lines();
    assert_eq!(told[0], format!("Set price for miner {miner} to 0.00000000005."));
    assert!(told[1].starts_with("Published ask, cid: "), "{told:?}");
    assert_eq!(config(&["mining.storagePrice"]).lines(), ["0.00000000005"]);
    let preview = ["miner", "set-price", "7", "500000", "--preview"];
    assert_eq!(daemon.operate(&preview).lines(), ["100"]);
    assert_eq!(config(&["mining.storagePrice"]).lines(), ["0.00000000005"]);
}

fn deals_are_listed_and_shown(daemon: &Daemon) {
    let client = Client::new(&daemon.chain());
    let paid = stored(&client, &bytes(41, 100), "2000");
    let listed = |arguments: &[&str]| {
        let all = [&["deals", "list"], arguments].concat();
        let deals = daemon.operate_json(&all).expect("the daemon answers");
        deals["deals"].as_array().expect("a list of deals").clone()
    };
    assert!(listed(&["--client"]).is_empty(), "the daemon's home made no deal");
    let taken = listed(&["--miner"]);
    let found = taken.iter().find(|deal| deal["proposalCid"] == paid.as_str());
    let found = found.expect("the miner took it");
    assert_eq!(
        (&found["role"], found["minerAddress"].is_string()),
        (&"miner".into(), true)
    );
    let made = client.sealdrop_json(&["deals", "ls", "-c"]).expect("the book is read");
    assert_eq!(made["deals"][0]["proposalCid"], paid.as_str());
    assert_eq!(made["deals"][0]["role"], "client");

    for shown in [
        daemon.operate_json(&["deals", "show", &paid]),
        client.sealdrop_json(&["deals", "show", &paid]),
    ] {
        let shown = shown.expect("both sides know the deal");
        let vouchers = shown["payment_vouchers"].as_array().expect("a list of vouchers");
        assert_eq!(vouchers.len(), 2, "{shown}");
        // 100 bytes for 2000 blocks at 0.00000000005 FIL.
        assert_eq!(
            (&vouchers[0]["amount"], &vouchers[1]["amount"]),
            (&"0.000005".into(), &"0.00001".into())
        );
        assert_eq!(shown["total_price"], vouchers[1]["amount"]);
        assert_eq!(vouchers[0]["condition"], "verifyPieceInclusion");
        assert!(vouchers[1]["condition"].is_null());
        assert_eq!(
            (&shown["duration_blocks"], &shown["deal_size"]),
            (&2000.into(), &100.into())
        );
    }
    let shown = daemon.operate(&["deals", "show", &paid]).succeeded().stdout;
    assert!(
        shown.contains("verifyPieceInclusion") && shown.contains("2000 blocks"),
        "{shown}"
    );
    daemon
        .operate(&["deals", "show", NOBODYS])
        .failed_saying_once(&["deal not found"]);
    daemon
        .operate(&["deals", "redeem", NOBODYS])
        .failed_saying_once(&["deal not found"]);
    daemon
        .operate(&["deals", "redeem", &paid])
        .failed_saying_once(&["only a complete deal"]);
}

fn a_free_deal_has_no_vouchers(daemon: &Daemon) {
    daemon.operate(&["miner", "set-price", "0", "500000"]).succeeded();
    let free = stored(&Client::new(&daemon.chain()), &bytes(42, 100), "2000");
    let shown = daemon
        .operate_json(&["deals", "show", &free])
        .expect("the miner knows the deal");
    assert_eq!(shown["payment_vouchers"], serde_json::json!([]));
}

fn stored(client: &Client, data: &[u8], duration: &str) -> String {
    let file = client.file("file", data);
    let file = file.to_str().expect("the path is text");
    let arguments = ["store", file, "--duration", duration, "--until", "staged"];
    let deal = client.json(&arguments).expect("the deal is made");
    text(&deal, "deal").to_owned()
}

fn height(client: &Client) -> u64 {
    let head = client.sealdrop_json(&["chain", "head"]).expect("the chain answers");
    head["height"].as_u64().expect("a head has a height")
}

#[test]
fn a_channel_is_opened_redeemed_extended_closed_and_reclaimed() {
    let daemon = daemon();
    let (payer, payee) = (Client::new(&daemon.chain()), Client::new(&daemon.chain()));
    let from = funded(&payer);
    let to = funded(&payee);
    let paych = |arguments: &[&str]| payer.sealdrop(&[&["paych"], arguments].concat());
    assert_eq!(paych(&["ls"]).lines(), ["no channels"]);
    let eol = (height(&payer) + 100_000).to_string();
    assert_eq!(paych(&["create", &to, "10", &eol, "--preview"]).lines(), ["100"]);
    let opened = payer
        .sealdrop_json(&["paych", "create", &to, "10", &eol])
        .expect("the channel is opened");
    let id = opened["channel"].as_u64().expect("a channel has an id").to_string();
    let row = format!("{id}: target: {to}, amt: 10, amt redeemed: 0, eol: {eol}");
    assert_eq!(paych(&["ls"]).lines(), [row]);

    paych(&["create", &to, "much", &eol]).failed_saying(&["invalid amount"]);
    paych(&["create", &to, "1", "soon"]).failed_saying(&["invalid block height"]);
    paych(&["cancel", "first"]).failed_saying(&["invalid channel id"]);
    paych(&["voucher", &id, "11"]).failed_saying(&["exceeds amount in channel"]);
    let voucher = paych(&["voucher", &id, "4"]).lines().remove(0);
    let take = |command: &str, voucher: &str| payee.sealdrop(&["paych", command, voucher]);
    take("redeem", &voucher).succeeded();
    take("redeem", &voucher).failed_saying_once(&["exit code 41", "already been redeemed"]);
    take("redeem", "zzz").failed_saying(&["voucher"]);
    let longer = (height(&payer) + 200_000).to_string();
    paych(&["extend", &id, "5", &longer]).succeeded();
    paych(&["extend", &id, "5", &eol]).failed_saying_once(&["exit code 35"]);
    paych(&["cancel", &id]).failed_saying_once(&["exit code 45"]);
    paych(&["reclaim", &id]).failed_saying_once(&["exit code 36"]);
    let listed = payee
        .sealdrop_json(&["paych", "ls", "--payer", &from])
        .expect("the chain answers");
    let channel = &listed["channels"][0];
    assert_eq!(
        (&channel["amount"], &channel["amountRedeemed"]),
        (&"15".into(), &"4".into())
    );
    let last = paych(&["voucher", &id, "8"]).lines().remove(0);
    take("close", &last).succeeded();
    assert_eq!(paych(&["ls"]).lines(), ["no channels"]);

    // One that nobody redeems comes back after its end.
    let soon = (height(&payer) + 10).to_string();
    let message = paych(&["create", &to, "3", &soon, "--no-wait"]).lines().remove(0);
    payer.sealdrop(&["message", "wait", &message]).succeeded();
    let listed = payer.sealdrop_json(&["paych", "ls"]).expect("the chain answers");
    let id = listed["channels"][0]["id"].as_u64().expect("it is open").to_string();
    paych(&["cancel", &id]).succeeded();
    wait_for("the channel to end", SOON, || {
        (height(&payer) >= soon.parse().ok()?).then_some(())
    });
    paych(&["reclaim", &id]).succeeded();
    assert_eq!(paych(&["ls"]).lines(), ["no channels"]);
}

/// spec §9.12 at a thousandth of its price, spec §9.15: a file is imported, proposed by its CID at an ask that list-asks
/// shows, asked about, paid for in three vouchers that can be handed on, and brought back by its CID.
#[test]
fn a_file_is_imported_proposed_queried_paid_for_and_fetched() {
    // Its price is its own: other tests change theirs.
    let daemon = Daemon::start(&["--auto-seal", "24h", "--price", "0.02"]);
    let client = Client::new(&daemon.chain());
    let data = b"twelve bytes";
    let file = client.file("file", data);
    let cid = client
        .run(&["import", file.to_str().expect("the path is text")])
        .lines()
        .remove(0);
    assert_eq!(client.run(&["cat", &cid]).succeeded().stdout.as_bytes(), data);

    let miner = daemon.operate(&["mining", "address"]).lines().remove(0);
    let asks = client.run(&["list-asks"]).lines();
    assert!(
        asks.len() == 1 && asks[0].starts_with(&format!("{miner} 000 0.02 ")),
        "{asks:?}"
    );
    let propose = ["propose-storage-deal", &miner, &cid, "0", "3000"];
    let started = height(&client);
    let told = client.run(&propose).lines();
    assert!(
        told[0].starts_with("State:") && told[1].starts_with("Message:"),
        "{told:?}"
    );
    let deal = told[2]
        .strip_prefix("DealID:")
        .expect("the third line names the deal")
        .trim();
    client.run(&propose).failed_saying(&["allow-duplicates"]);

    let answer = client.json(&["query-storage-deal", deal]).expect("the miner answers");
    assert_eq!(answer["state"], "staged");
    assert_eq!(client.run(&["query-storage-deal", deal]).lines()[0], "Status: staged");
    assert!(
        !client.run(&["verify-storage-deal", deal]).status.success(),
        "it is not sealed yet"
    );

    let payments = client.run(&["payments", deal]).lines();
    assert_eq!(payments[0], "Channel\tAmount\tValidAt\tEncoded Voucher");
    for (row, (amount, blocks)) in payments[1..].iter().zip([("240", 1000), ("480", 2000), ("720", 3000)]) {
        let cells: Vec<&str> = row.split('\t').collect();
        assert_eq!(cells[1], amount);
        let valid_at: u64 = cells[2].parse().expect("a height is a number");
        assert!((started + blocks..started + blocks + 60).contains(&valid_at), "{row}");
    }
    assert_eq!(payments.len(), 4);
    let exported = client.run(&["vouchers", "export", deal]).succeeded().stdout;
    let other = Client::new(&daemon.chain());
    let vouchers = other.file("vouchers", exported.as_bytes());
    other
        .run(&["vouchers", "import", vouchers.to_str().expect("the path is text")])
        .succeeded();
    assert_eq!(other.run(&["vouchers", "list"]).lines().len(), 4);

    let piece = other.sealdrop(&["retrieval-client", "retrieve-piece", &miner, &cid]);
    assert_eq!(piece.succeeded().stdout.as_bytes(), data);
    assert_eq!(client.json(&["deals"]).expect("the book is read")[0]["deal"], deal);
    client.run(&["resume", deal, "--until", "staged"]).succeeded();
    client.run(&["abandon", deal]).succeeded();
}
