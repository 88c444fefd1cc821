//! A miner that is registered by hand.

use crate::{daemon, funded, text};
use sealdrop_tests::{free_ports, Client};

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
