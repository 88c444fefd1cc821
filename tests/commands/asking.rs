//! What is asked of the program alone, and of the chain.

use crate::{daemon, text, NOBODYS};
use sealdrop_tests::{free_ports, sealdrop, Client, Daemon};

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
fn miners_are_listed_with_their_room_distance_and_answer_and_a_rule_is_one_of_three() {
    // Others stop the shared one's mining for a while.
    let daemon = Daemon::start(&["--auto-seal", "24h"]);
    let client = Client::new(&daemon.chain());
    let listed = client.json(&["miners"]).expect("the chain answers");
    let answer = &listed[0]["answer"];
    assert_eq!(
        (&answer["says"], &answer["miner"]),
        (&"yes".into(), &listed[0]["address"])
    );
    assert!(
        answer["room"].as_u64() > Some(0) && answer["distanceMs"].is_u64(),
        "{answer}"
    );
    let line = client.run(&["miners"]).lines().remove(0);
    for word in ["2 KiB sectors", "room for ", " ms away", "proven power "] {
        assert!(line.contains(word), "{word} in: {line}");
    }
    let refused = client.run(&["store", "file", "--miner-rule", "dearest"]);
    assert_eq!(refused.status.code(), Some(2));
    refused.failed_saying(&["the rules are cheapest, nearest and spread"]);
}
