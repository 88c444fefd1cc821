//! One deal, from a file to proofs and back (design §2), by the real programs with real proofs, over a crash of the
//! daemon in the middle. Takes a few minutes: sealing a sector once is most of it; the rest are the blocks until the last
//! voucher.

use sealdrop_database::Memory;
use sealdrop_miner::chain_access::{ChainAccess, ChainError};
use sealdrop_tests::{bytes, wait_for, Client, Daemon};
use serde_json::Value;
use shared::chain::{calls, Address, AttoFil, SecretKey};
use shared::payment::{voucher, PaymentVoucher};
use shared::wire::{cbor, decode};
use std::sync::Arc;
use std::time::Duration;

/// How long what needs no proof may take on a busy machine.
const SOON: Duration = Duration::from_secs(120);
/// How long sealing a sector of 2 KiB may take on a busy machine.
const SEAL_LIMIT: Duration = Duration::from_secs(900);

/// spec §9.11, spec §9.52, spec §9.53, spec §9.55: two deals and a piece of the operator's own share one sector. The
/// daemon is killed between acceptance and staging, and again between commitment and proof; queries are answered
/// afterwards. The sector raises the miner's power on the chain; the file comes back whole; a deal of thirty blocks is
/// redeemed by hand and pays its price less the gas that the preview names; of the long deal both vouchers are redeemed by the
/// miner itself, each at its height with the sector and the inclusion proof. spec §9.43: with another
/// proof, another sector or an altered condition such a voucher pays nothing.
#[test]
fn deals_survive_crashes_and_are_sealed_proven_given_back_and_paid() {
    // A day's wait for more pieces: the test says when to seal.
    let mut daemon = Daemon::start(&["--auto-seal", "24h", "--price", "0.000001", "--grace", "600"]);
    let client = Client::new(&daemon.chain());
    let data = bytes(1, 500);
    let file = client.file("a file with spaces", &data);
    let file = file.to_str().expect("the path is text");

    let stored = client.start(&["store", file, "--duration", "1500", "--until", "proven", "--json"]);
    wait_for("the miner's acceptance", SOON, || {
        let deals = client.json(&["deals"]).ok()?;
        let state = deals[0]["state"].as_str()?.to_owned();
        assert_ne!(state, "failed", "{deals}");
        ["accepted", "staged"].contains(&state.as_str()).then_some(())
    });
    daemon.kill();
    // The client is left waiting, as in a power cut on the other side. Slow blocks: however long the seal takes, no
    // voucher of the long deal falls due before it is done.
    daemon.set_block_time("1s");
    daemon.start_again();
    let short = the_rest_of_the_sector_is_filled(&daemon, &client);
    daemon.operate(&["mining", "seal-now"]).succeeded();
    client.run(&["resume", &short]).succeeded();
    // Now, while the first proof is far off: nothing else moves the owner's money.
    the_short_deal_is_redeemed_by_hand(&daemon, &short);

    // Fast blocks: what is left waits for heights.
    daemon.kill();
    daemon.set_block_time("50ms");
    daemon.start_again();
    let deal = stored.end().json().expect("the deal is carried to its first proof");
    assert_eq!(deal["state"], "proven");
    let fields = ["deal", "dataCid", "pieceCid", "miner"].map(|field| text(&deal[field]));
    let [id, data_cid, piece_cid, miner] = fields;
    assert!(piece_cid.starts_with("baga6ea4seaq"), "{piece_cid}");
    the_chain_shows_the_proof(&client, &miner);
    the_miner_says_complete(&client, &id);
    everything_verifies(&client, &id);
    the_file_comes_back(&client, &[&id, &data_cid], &data);
    the_long_deal_is_redeemed_by_itself(&daemon, &id);
}

/// A deal of thirty blocks, proposed for an imported file, and a piece without a deal. Gives the deal's id.
fn the_rest_of_the_sector_is_filled(daemon: &Daemon, client: &Client) -> String {
    daemon
        .operate(&["config", "mining.redeemsVouchers", "false"])
        .succeeded();
    let file = client.file("short", b"twelve bytes");
    let file = file.to_str().expect("the path is text");
    let data = client.run(&["import", file]).lines().remove(0);
    let miner = daemon.operate(&["mining", "address"]).lines().remove(0);
    let told = client.run(&["propose-storage-deal", &miner, &data, "0", "30"]).lines();
    let deal = told[2].strip_prefix("DealID:").expect("the third line names the deal");
    let own = client.file("own", &bytes(2, 100));
    let own = own.to_str().expect("the path is text");
    assert_eq!(
        daemon.operate(&["mining", "add-piece", own]).lines(),
        ["piece staged in sector 1"]
    );
    assert_eq!(daemon.operate(&["miner", "power"]).lines(), ["0 / 0"]);
    wait_for("everything to be staged", SOON, || {
        let deals = client.json(&["deals"]).ok()?;
        let deals = deals.as_array()?;
        deals.iter().all(|deal| deal["state"] == "staged").then_some(())
    });
    deal.trim().to_owned()
}

/// 12 bytes for 30 blocks at 0.000001 FIL.
fn the_short_deal_is_redeemed_by_hand(daemon: &Daemon, deal: &str) {
    let price = "0.00036";
    let status = daemon.operate_json(&["miner", "status"]).expect("the miner answers");
    let owner = text(&status["owner"]);
    let balance = || {
        let held = daemon.operate(&["wallet", "balance", &owner]).lines().remove(0);
        held.parse::<AttoFil>().expect("it is an amount of FIL")
    };
    let redeem = ["deals", "redeem", deal];
    let gas: u128 = wait_for("the only voucher to fall due", SOON, || {
        let preview = daemon.operate(&[&redeem[..], &["--preview"]].concat());
        preview
            .status
            .success()
            .then(|| preview.lines().remove(0).parse().ok())?
    });
    let before = balance();
    let message = daemon.operate(&redeem).lines().remove(0);
    let receipt = daemon
        .operate_json(&["message", "wait", &message])
        .expect("it is in a block");
    // At the lowest price.
    assert_eq!(receipt["gasCost"], AttoFil(gas).to_string());
    let price: AttoFil = price.parse().expect("it is an amount of FIL");
    assert_eq!(balance().0 - before.0, price.0 - gas);
    daemon
        .operate(&redeem)
        .failed_saying(&["no remaining redeemable vouchers found"]);
    let switch = ["config", "mining.redeemsVouchers", "true"];
    daemon.operate(&switch).succeeded();
}

/// The first voucher, at block 1000, and the last, at block 1500, need the inclusion proof.
fn the_long_deal_is_redeemed_by_itself(daemon: &Daemon, deal: &str) {
    for index in [0, 1] {
        let voucher = wait_for("a voucher to be redeemed", Duration::from_secs(300), || {
            let shown = daemon.operate_json(&["deals", "show", deal]).ok()?;
            let voucher = shown["payment_vouchers"][index].clone();
            (voucher["is_redeemed"] == true).then_some(voucher)
        });
        assert_eq!(voucher["condition"], "verifyPieceInclusion");
        let redemption = redemption_of(daemon, voucher["amount"].as_str().expect("amounts are text"));
        assert_eq!(redemption["receipt"]["exitCode"], 0, "{redemption}");
        // The seventh parameter is the redeemer's: the sector and the proof, not an empty list (spec §5.2).
        let redeemer = redemption["params"][6]
            .as_str()
            .expect("a redemption has seven parameters");
        assert_ne!(redeemer, "80");
        if index == 0 {
            only_the_sealed_sector_and_its_proof_pay(daemon, &text(&voucher["encoded_as"]), redeemer);
        }
    }
}

/// Asks the chain, as the voucher's target, what a redemption would come to: with what the miner redeemed it with, that it
/// was paid already; with anything else, which of the conditions fails.
fn only_the_sealed_sector_and_its_proof_pay(daemon: &Daemon, conditional: &str, redeemer: &str) {
    let voucher = voucher::from_text(conditional).expect("the miner shows the voucher");
    let redeemer: Vec<cbor::Value> =
        decode(&hex::decode(redeemer).expect("parameters are hexadecimal")).expect("the redeemer's parameters");
    let proof = redeemer[1]
        .as_bytes()
        .expect("the second is the inclusion proof")
        .clone();
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    let url = format!("{}/rpc", daemon.chain());
    let key = SecretKey::from_bytes(&[7; 32]).expect("a small number is a key");
    let connecting = ChainAccess::connect(&url, Arc::new(Memory::default()), key);
    let chain = runtime.block_on(connecting).expect("the chain answers");
    let refused = |voucher: &PaymentVoucher, sector: u64, proof: &[u8]| {
        let call = calls::redeem(voucher, calls::inclusion_parameters(sector, proof));
        let asked = chain.query(&call.to, Some(&voucher.target), &call.method, &call.params, None);
        match runtime.block_on(asked).expect_err("nothing is left to be paid") {
            ChainError::Reverted { exit_code, error } => (exit_code, error),
            other => panic!("{other}"),
        }
    };
    let says = |(code, error): (u64, String), expected: u64, text: &str| {
        assert!(code == expected && error.starts_with(text), "{code}: {error}");
    };
    let condition = "failed to validate voucher condition: ";
    says(
        refused(&voucher, 1, &proof),
        41,
        "update amount has already been redeemed",
    );
    let mut bad = proof.clone();
    bad[20] ^= 1;
    let text = format!("{condition}piece inclusion proof did not validate");
    says(refused(&voucher, 1, &bad), 44, &text);
    says(
        refused(&voucher, 2, &proof),
        44,
        &format!("{condition}sector not committed"),
    );
    let mut altered = voucher.clone();
    altered.condition.as_mut().expect("it has one").to = Address::id(1000);
    says(refused(&altered, 1, &proof), 42, "signature failed to validate");
}

/// The message with which this much was redeemed.
fn redemption_of(daemon: &Daemon, amount: &str) -> Value {
    let amount: AttoFil = amount.parse().expect("amounts are FIL");
    let status = daemon.operate_json(&["miner", "status"]).expect("the miner answers");
    let worker = text(&status["worker"]);
    let sent = daemon
        .operate_json(&["chain", "messages", &worker])
        .expect("the chain answers");
    let sent = sent["messages"].as_array().expect("a list of messages").clone();
    let redemptions = sent
        .iter()
        .filter(|message| message["method"] == "redeem" || message["method"] == "close");
    let mut shown = redemptions.map(|message| {
        let id = text(&message["message"]);
        daemon
            .operate_json(&["chain", "message", &id])
            .expect("the chain keeps it")
    });
    let claims = |message: &Value| message["params"][2] == hex::encode(amount.to_bytes());
    shown.find(claims).expect("a message redeemed it")
}

fn text(value: &Value) -> String {
    value.as_str().expect("the result names it").to_owned()
}

fn the_chain_shows_the_proof(client: &Client, miner: &str) {
    assert_eq!(client.sealdrop(&["miner", "power", miner]).lines(), ["2048 / 2048"]);
    let window = client
        .sealdrop_json(&["miner", "proving-window", miner])
        .expect("the chain answers");
    assert!(window["provingSet"]["1"]["commR"].is_string(), "{window}");
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
    for check in ["inclusion", "commitMessage", "commitments", "actor", "proven"] {
        assert_eq!(verified[check]["ok"], true, "{verified}");
    }
}

fn the_file_comes_back(client: &Client, names: &[&str], data: &[u8]) {
    for name in names {
        let path = client.path("back");
        let arguments = ["retrieve", name, "-o", path.to_str().expect("the path is text")];
        client.run(&arguments).succeeded();
        assert_eq!(std::fs::read(&path).expect("the file came"), data);
        // Again over the same file.
        client.run(&arguments).succeeded();
        assert_eq!(std::fs::read(&path).expect("the file came"), data);
        std::fs::remove_file(&path).expect("the file is there");
    }
}
