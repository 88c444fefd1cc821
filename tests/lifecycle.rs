//! One deal, from a file to proofs and back (design §2), by the real programs with real proofs, over a crash of the
//! daemon in the middle. Takes a few minutes: sealing a sector once is most of it.

use sealdrop_tests::{bytes, wait_for, Client, Daemon};
use serde_json::Value;
use std::time::Duration;

/// How long sealing a sector of 2 KiB may take on a busy machine.
const SEAL_LIMIT: Duration = Duration::from_secs(900);

#[test]
fn a_deal_survives_a_crash_of_the_daemon_and_is_sealed_proven_and_given_back() {
    // Short periods: the first proof-of-spacetime is due soon after the commitment.
    let mut daemon = Daemon::start(&[
        "--auto-seal",
        "1s",
        "--proving-period",
        "120",
        "--challenge-window",
        "80",
        "--grace",
        "240",
    ]);
    let client = Client::new(&daemon.chain());
    let data = bytes(1, 2032);
    let file = client.file("a file with spaces", &data);

    let stored = client.start(&["store", file.to_str().unwrap(), "--until", "proven", "--json"]);
    wait_for("the miner's acceptance", Duration::from_secs(120), || {
        let deals = client.json(&["deals"]).ok()?;
        let state = deals[0]["state"].as_str()?.to_owned();
        assert_ne!(state, "failed", "{deals}");
        ["accepted", "staged"].contains(&state.as_str()).then_some(())
    });
    daemon.kill();
    // The client is left waiting, as in a power cut on the other side.
    daemon.start_again();

    let ended = stored.end();
    let deal = ended.json().expect("the deal is carried to its first proof");
    assert_eq!(deal["state"], "proven");
    let fields = ["deal", "dataCid", "pieceCid", "miner"].map(|field| text(&deal[field]));
    let [id, data_cid, piece_cid, miner] = fields;
    assert!(piece_cid.starts_with("baga6ea4seaq"), "{piece_cid}");

    the_chain_shows_the_proof(&client, &miner);
    the_miner_says_complete(&client, &id);
    everything_verifies(&client, &id);
    the_file_comes_back(&client, &[&id, &data_cid], &data);

    // What is on the chain and in the miner's store survives the next start too.
    daemon.kill();
    daemon.start_again();
    the_miner_says_complete(&client, &id);
    the_file_comes_back(&client, &[&id], &data);
}

fn text(value: &Value) -> String {
    value.as_str().expect("the result names it").to_owned()
}

fn the_chain_shows_the_proof(client: &Client, miner: &str) {
    let miners = client.json(&["miners"]).expect("the chain answers");
    let miner = miners
        .as_array()
        .and_then(|all| all.iter().find(|found| found["address"] == miner));
    let miner = miner.expect("the deal's miner is on the chain");
    assert_eq!(miner["power"], 2048);
    assert!(miner["posts"].as_u64() >= Some(1), "{miner}");
    assert!(miner["sectors"][0]["proofs"].as_u64() >= Some(1), "{miner}");
}

fn the_miner_says_complete(client: &Client, deal: &str) {
    let answer = client.json(&["query", deal]).expect("the miner answers");
    assert_eq!(
        (answer["state"].as_str(), answer["deal"].as_str()),
        (Some("complete"), Some(deal))
    );
    assert!(answer["proof"]["pieceInclusionProof"].is_string(), "{answer}");
}

fn everything_verifies(client: &Client, deal: &str) {
    // A proof that is a few blocks overdue is a late one, not a lost one.
    let verified = wait_for("the deal to verify", SEAL_LIMIT, || client.json(&["verify", deal]).ok());
    for check in ["inclusion", "commitMessage", "commitments", "proven"] {
        assert_eq!(verified[check]["ok"], true, "{verified}");
    }
}

fn the_file_comes_back(client: &Client, names: &[&str], data: &[u8]) {
    for name in names {
        let path = client.path("back");
        let arguments = ["retrieve", name, "-o", path.to_str().unwrap()];
        client.run(&arguments).succeeded();
        assert_eq!(std::fs::read(&path).unwrap(), data);
        // Again over the same file.
        client.run(&arguments).succeeded();
        assert_eq!(std::fs::read(&path).unwrap(), data);
        std::fs::remove_file(&path).unwrap();
    }
}
