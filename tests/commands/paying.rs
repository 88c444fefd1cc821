//! The client's channels, files and deals.

use crate::{daemon, funded, height, SOON};
use sealdrop_tests::{wait_for, Client, Daemon};

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

    what_nobody_redeems_comes_back(&payer, &to);
}

/// After the channel's end.
fn what_nobody_redeems_comes_back(payer: &Client, to: &str) {
    let paych = |arguments: &[&str]| payer.sealdrop(&[&["paych"], arguments].concat());
    let soon = (height(payer) + 10).to_string();
    let message = paych(&["create", to, "3", &soon, "--no-wait"]).lines().remove(0);
    payer.sealdrop(&["message", "wait", &message]).succeeded();
    let listed = payer.sealdrop_json(&["paych", "ls"]).expect("the chain answers");
    let id = listed["channels"][0]["id"].as_u64().expect("it is open").to_string();
    paych(&["cancel", &id]).succeeded();
    wait_for("the channel to end", SOON, || {
        (height(payer) >= soon.parse().ok()?).then_some(())
    });
    paych(&["reclaim", &id]).succeeded();
    assert_eq!(paych(&["ls"]).lines(), ["no channels"]);
}

/// Findings B5: with mining stopped, a channel was opened first, and each retry locked up more.
#[test]
fn a_deal_that_the_miner_would_refuse_costs_nothing_and_the_list_of_miners_says_why() {
    let daemon = Daemon::start(&["--auto-seal", "24h"]);
    let client = Client::new(&daemon.chain());
    let from = funded(&client);
    let listed = client.run(&["miners"]).lines().remove(0);
    assert!(listed.ends_with("  takes deals"), "{listed}");
    daemon.operate(&["mining", "stop"]).succeeded();
    let listed = client.json(&["miners"]).expect("the chain answers");
    let takes = &listed[0]["takesDeals"];
    assert_eq!(
        (&takes["now"], &takes["code"]),
        (&false.into(), &1040.into()),
        "{listed}"
    );
    let balance = || client.sealdrop(&["wallet", "balance", &from]).lines().remove(0);
    let before = balance();
    let file = client.file("file", b"twelve bytes");
    let store = ["store", file.to_str().expect("the path is text"), "--duration", "3000"];
    client
        .run(&store)
        .failed_saying(&["stopped mining", "code 1040", "nothing was paid"]);
    assert_eq!(client.sealdrop(&["paych", "ls"]).lines(), ["no channels"]);
    assert_eq!(balance(), before);
    daemon.operate(&["mining", "start"]).succeeded();
    client
        .run(&[store.as_slice(), &["--until", "accepted"]].concat())
        .succeeded();
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

    let other = Client::new(&daemon.chain());
    its_vouchers_are_listed_and_handed_on(&client, deal, started, &other);
    let piece = other.sealdrop(&["retrieval-client", "retrieve-piece", &miner, &cid]);
    assert_eq!(piece.succeeded().stdout.as_bytes(), data);
    assert_eq!(client.json(&["deals"]).expect("the book is read")[0]["deal"], deal);
    client.run(&["resume", deal, "--until", "staged"]).succeeded();
    client.run(&["abandon", deal]).succeeded();
}

/// Three vouchers, for a deal proposed at the height `started`.
fn its_vouchers_are_listed_and_handed_on(client: &Client, deal: &str, started: u64, other: &Client) {
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
    let vouchers = other.file("vouchers", exported.as_bytes());
    other
        .run(&["vouchers", "import", vouchers.to_str().expect("the path is text")])
        .succeeded();
    assert_eq!(other.run(&["vouchers", "list"]).lines().len(), 4);
}
