//! What bad input gets: a clear answer, and nothing lost. Real daemons and clients; no sector is sealed here.
#![allow(clippy::unwrap_used)] // What tests share: what goes wrong fails the test.

use sealdrop_tests::peer::{self, Peer};
use sealdrop_tests::{bytes, free_ports, Client, Daemon};
use shared::deal::{DealState, SignedProposal};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

/// One daemon for the tests that run at the same time; it never seals. The last one ends it.
fn daemon() -> Arc<Daemon> {
    static SHARED: Mutex<Weak<Daemon>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let daemon = Arc::new(Daemon::start(&["--auto-seal", "24h"]));
        *shared = Arc::downgrade(&daemon);
        daemon
    })
}

fn store<'a>(path: &'a std::path::Path, until: &'a str) -> [&'a str; 4] {
    ["store", path.to_str().unwrap(), "--until", until]
}

#[test]
fn a_file_larger_than_the_sector_is_refused_with_both_sizes() {
    let daemon = daemon();
    let client = Client::new(&daemon.chain());
    let file = client.file("large", &bytes(1, 2033));
    client
        .run(&store(&file, "accepted"))
        .failed_saying(&["2033 bytes", "2032 bytes"]);
    assert_eq!(client.json(&["deals"]).unwrap().as_array().unwrap().len(), 0);
}

#[test]
fn an_empty_file_and_a_missing_one_are_refused() {
    let daemon = daemon();
    let client = Client::new(&daemon.chain());
    client
        .run(&store(&client.file("empty", b""), "accepted"))
        .failed_saying(&["is empty"]);
    client
        .run(&store(&client.path("missing"), "accepted"))
        .failed_saying(&["cannot read", "missing"]);
}

#[test]
fn a_chain_that_does_not_answer_is_named_with_what_to_start() {
    let client = Client::new(&format!("http://127.0.0.1:{}", free_ports()[0]));
    let file = client.file("file", &bytes(2, 100));
    client
        .run(&store(&file, "accepted"))
        .failed_saying(&["does not answer", "cargo xtask up"]);
}

/// Finding C5: losing the log stopped the miner while it looked healthy.
#[test]
fn a_daemon_whose_log_nobody_reads_goes_on_answering_and_stops_in_order() {
    let mut daemon = Daemon::without_log(&["--auto-seal", "24h"]);
    let client = Client::new(&daemon.chain());
    for seed in 0..2 {
        let file = client.file("file", &bytes(seed, 100));
        client.run(&store(&file, "accepted")).succeeded();
    }
    let status = daemon.operate_json(&["mining", "status"]).unwrap();
    assert_eq!(status["health"]["problems"], serde_json::json!([]), "{status}");
    assert_eq!(status["health"]["ok"], true);
    assert!(daemon.stop().success());
}

/// Every service is in the one health answer, for the operator and for whatever watches the daemon.
#[test]
fn health_tells_of_every_service_without_the_operators_header() {
    let daemon = daemon();
    let answer = daemon.get("/health");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let body: serde_json::Value = serde_json::from_str(&answer[answer.find("\r\n\r\n").unwrap()..]).unwrap();
    let of = |key: &str| {
        let services = body["services"].as_array().unwrap().iter();
        services.map(|service| service[key].clone()).collect::<Vec<_>>()
    };
    let names = of("name");
    let expected = [
        "chain",
        "chain access",
        "worker key",
        "store",
        "sealing",
        "proving",
        "redeeming",
        "deal expiry",
        "scrubbing",
        "slashing",
        "block index",
        "asks",
        "network",
        "http",
        "addresses",
        "self checks",
        "alerts",
        "configuration",
        "web",
    ];
    assert_eq!(names, expected);
    assert!(of("state").iter().all(|state| state == "up"), "{body}");
    assert!(of("restarts").iter().all(|restarts| restarts == 0), "{body}");
}

/// Finding C7.
#[test]
fn a_configuration_that_makes_no_sense_is_refused_with_words() {
    let home = tempfile::tempdir().unwrap();
    let refused = |options: &[&str]| {
        let mut command = Daemon::command(home.path(), free_ports());
        let ended = command.args(options).stdin(Stdio::null()).output().unwrap();
        assert!(!ended.status.success());
        String::from_utf8(ended.stderr).unwrap()
    };
    // The last of two equal options holds, where clap takes both.
    let text = refused(&["--proving-period", "0"]);
    assert!(
        text.contains("--proving-period") && text.contains("at least one block"),
        "{text}"
    );
    let text = refused(&["--challenge-window", "400"]);
    assert!(text.contains("does not fit"), "{text}");
    assert!(!home.path().join("network.json").exists(), "nothing was touched");
}

#[test]
fn malformed_frames_end_their_stream_and_nothing_else() {
    let daemon = daemon();
    let peer = Peer::of(&daemon);
    for frame in [
        vec![0xff; 20],                               // a length that never ends
        vec![0x81, 0x80, 0x10],                       // one byte more than a message may have
        vec![0x05, 0xa1, 0x61],                       // a message that is cut short
        vec![0x03, 0x01, 0x02, 0x03],                 // no map
        [vec![0xc8, 0x01], vec![0x81; 200]].concat(), // nested as deep as it goes
        vec![0x00],                                   // nothing at all
    ] {
        for protocol in [shared::wire::protocol::MAKE_DEAL, shared::wire::protocol::QUERY_DEAL] {
            assert_eq!(peer.say(protocol, &frame), Vec::<u8>::new(), "{frame:02x?}");
        }
    }
    // It still answers what is well formed.
    let unknown = peer.query(&peer.proposal(3).cid());
    assert_eq!(unknown.response.state, DealState::Unknown);
}

#[test]
fn a_proposal_with_a_bad_signature_is_rejected_and_leaves_nothing_behind() {
    let daemon = daemon();
    let peer = Peer::of(&daemon);
    let mut forged: SignedProposal = peer.proposal(4);
    forged.signature.0[10] ^= 1;
    let answer = peer.propose(&forged);
    assert!(answer.is_signed_by(peer.worker()));
    assert_eq!(answer.response.state, DealState::Rejected);
    assert_eq!(answer.response.message, "invalid deal signature");
    assert_eq!(peer.query(&forged.cid()).response.state, DealState::Unknown);
}

#[test]
fn a_query_of_an_unknown_deal_gets_a_signed_unknown_bound_to_it() {
    let daemon = daemon();
    let peer = Peer::of(&daemon);
    let asked = peer.proposal(5).cid();
    let answer = peer.query(&asked);
    assert!(answer.is_signed_by(peer.worker()));
    assert_eq!(
        (answer.response.state, answer.response.proposal_cid),
        (DealState::Unknown, asked)
    );
    // The command line says the same.
    let client = Client::new(&daemon.chain());
    let told = client.json(&["query", &asked.to_string()]).unwrap();
    assert_eq!(told["state"], "unknown");
}

#[test]
fn a_proposal_sent_again_gets_the_same_answer() {
    let daemon = daemon();
    let peer = Peer::of(&daemon);
    let elsewhere = peer.proposal_to_another_miner(6);
    let first = peer.propose(&elsewhere);
    assert_eq!(first.response.state, DealState::Rejected);
    assert!(
        first.response.message.contains("addressed to miner"),
        "{}",
        first.response.message
    );
    assert_eq!(peer.propose(&elsewhere), first);
    assert_eq!(peer.query(&elsewhere.cid()), first);
}

#[test]
fn a_miner_that_does_not_answer_is_named_within_15_seconds() {
    // A network of its own: other tests must not come upon that miner.
    let daemon = Daemon::start(&["--auto-seal", "24h"]);
    // It takes connections and never says a word.
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let miner = peer::announce_miner(&daemon, silent.local_addr().unwrap().port());
    let client = Client::new(&daemon.chain());
    let file = client.file("file", &bytes(7, 100));
    let started = Instant::now();
    let ended = client.run(&["store", file.to_str().unwrap(), "--miner", &miner]);
    ended.failed_saying(&["cannot be reached", &miner]);
    // The limit is 15 seconds; a busy machine may be late to say so.
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "it took {:?}",
        started.elapsed()
    );
    assert_eq!(client.json(&["deals"]).unwrap().as_array().unwrap().len(), 0);
}

#[test]
fn a_port_in_use_is_named_with_the_option_that_changes_it() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let ports = free_ports();
    let names = ["--p2p-port", "--p2p-ws-port", "--chain-port", "--web-port"];
    for (index, name) in names.into_iter().enumerate() {
        let home = tempfile::tempdir().unwrap();
        let mut ports = ports;
        ports[index] = taken.local_addr().unwrap().port();
        let output = Daemon::command(home.path(), ports)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{said}");
        assert!(
            said.contains(&format!("port {}", ports[index])) && said.contains(name),
            "{said}"
        );
    }
}

#[test]
fn a_data_directory_in_use_or_of_another_network_is_refused() {
    let mut daemon = Daemon::start(&["--auto-seal", "24h"]);
    let refused = |home: &std::path::Path, options: &[&str]| {
        let output = Daemon::command(home, free_ports()).args(options).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = refused(daemon.home(), &[]);
    assert!(said.contains("another sealdrop daemon"), "{said}");
    daemon.kill();
    let said = refused(daemon.home(), &["--network", "elsewhere"]);
    assert!(said.contains("sealdrop-devnet") && said.contains("elsewhere"), "{said}");
    // Nothing was harmed.
    daemon.start_again();
}

/// spec §9.54, its first half.
#[test]
fn a_piece_that_nobody_has_is_not_retrieved() {
    let daemon = daemon();
    let client = Client::new(&daemon.chain());
    let unknown = "bafkreidogqfzz75tpkmjzjke425xqcrmpcib2p5tg44hnbirumdbpl5adu";
    let path = client.path("back");
    let arguments = ["retrieve", unknown, "-o", path.to_str().unwrap()];
    client
        .run(&arguments)
        .failed_saying(&["does not give the file", "not stored here"]);
    assert!(!path.exists());
}

#[test]
fn bytes_that_are_not_the_deals_are_not_handed_out() {
    let daemon = daemon();
    let client = Client::new(&daemon.chain());
    let file = client.file("file", &bytes(8, 100));
    let deal = client.json(&store(&file, "staged")).unwrap();
    let staged = daemon
        .home()
        .join("miner/staging")
        .join(deal["dataCid"].as_str().unwrap());
    let mut damaged = std::fs::read(&staged).unwrap();
    damaged[50] ^= 1;
    std::fs::write(&staged, damaged).unwrap();
    let path = client.path("back");
    let id = deal["deal"].as_str().unwrap();
    let ended = client.run(&["retrieve", id, "-o", path.to_str().unwrap()]);
    assert!(!ended.status.success(), "{ended:?}");
    assert!(!path.exists());
}

#[test]
fn a_file_that_changed_since_its_deal_was_made_is_reported() {
    let daemon = daemon();
    let client = Client::new(&daemon.chain());
    let file = client.file("file", &bytes(9, 100));
    let deal = client.json(&store(&file, "accepted")).unwrap();
    let id = deal["deal"].as_str().unwrap();
    let now = client.json(&["query", id]).unwrap();
    if now["state"] == "accepted" {
        std::fs::write(&file, bytes(10, 100)).unwrap();
        client
            .run(&["resume", id])
            .failed_saying(&["changed since its deal was made"]);
        std::fs::write(&file, bytes(9, 100)).unwrap();
    }
    // The same bytes under a new date are the deal's all the same.
    let resumed = client.json(&["resume", id, "--until", "staged"]).unwrap();
    assert_eq!(resumed["state"], "staged");
}

#[test]
fn clients_that_start_at_once_on_one_account_do_not_collide() {
    let daemon = daemon();
    let client = Client::new(&daemon.chain());
    let files: Vec<_> = (0..3)
        .map(|n| client.file(&format!("file {n}"), &bytes(20 + n, 100)))
        .collect();
    let running: Vec<_> = files
        .iter()
        .map(|file| client.start(&[&store(file, "staged")[..], &["--json"]].concat()))
        .collect();
    let deals = running.into_iter().map(|running| running.end().json().unwrap());
    let mut ids: Vec<String> = deals.map(|deal| deal["deal"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert_eq!(client.json(&["deals"]).unwrap().as_array().unwrap().len(), 3);
}

/// What the daemon starts itself as for a proof: bad input is told apart from other failures, and a daemon that is gone
/// takes it along.
#[test]
fn the_process_that_proves_names_damaged_input_and_ends_with_its_daemon() {
    use std::io::Write;
    let home = tempfile::tempdir().unwrap();
    let prove = |input: &[u8]| {
        let mut child = std::process::Command::new(sealdrop_tests::program())
            .args(["prove", "--sector", "1", "--size", "2048", "--prover-id"])
            .arg("00".repeat(32))
            .arg("--params")
            .arg(home.path())
            .arg("--parents")
            .arg(home.path().join("parents"))
            .stdin(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input).unwrap();
        (stdin, child)
    };
    let (stdin, child) = prove(&[&9u64.to_be_bytes()[..], b"not json!"].concat());
    let ended = child.wait_with_output().unwrap();
    drop(stdin);
    assert_eq!(ended.status.code(), Some(3), "{ended:?}");
    assert!(String::from_utf8_lossy(&ended.stderr).contains("commit 1"), "{ended:?}");
    // The daemon is gone before all of the input was written.
    let (stdin, child) = prove(&9u64.to_be_bytes());
    drop(stdin);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(1));
}
