//! A daemon under attack: while hostile peers hold back, flood and lie, and after that, it serves an honest client; what they make
//! it hold is bounded and given back. Real processes; nothing is sealed here.
#![cfg(target_os = "linux")] // Memory and descriptors of another process are read from /proc.
#![allow(clippy::unwrap_used)] // What tests share: what goes wrong fails the test.

use sealdrop_tests::hostile::attacks::{self, Target};
use sealdrop_tests::peer::Peer;
use sealdrop_tests::{wait_for, Client, Daemon};
use shared::chain::keys::cid_of_bytes;
use shared::deal::DealState;
use std::time::{Duration, Instant};

/// Memory that any set of remote peers may make the daemon hold above what it holds at rest, in KiB (issue 11).
const MOST_MEMORY: u64 = 512 * 1024;
/// How long an honest client may wait for all that it asks: a page, the chain's head, a state of a deal.
const SERVED_WITHIN: Duration = Duration::from_secs(10);
/// How long the daemon may take to let go of what hostile peers left.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(40);
/// Descriptors that come and go in any daemon.
const SOME_DESCRIPTORS: usize = 12;

/// What a daemon holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    /// Resident memory, in KiB.
    memory: u64,
    descriptors: usize,
}

impl Held {
    fn by(daemon: &Daemon) -> Self {
        let process = format!("/proc/{}", daemon.process());
        let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let memory = line.unwrap().trim().trim_end_matches(" kB").parse().unwrap();
        let descriptors = std::fs::read_dir(format!("{process}/fd")).unwrap().count();
        Self { memory, descriptors }
    }
}

/// An honest client, new to the daemon, asks every listener.
fn is_served(daemon: &Daemon, client: &Client) -> Duration {
    let began = Instant::now();
    let health = daemon.get("/health");
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    client.json(&["miners"]).unwrap();
    let unknown = Peer::of(daemon).query(&cid_of_bytes(b"no deal"));
    assert_eq!(unknown.response.state, DealState::Unknown);
    began.elapsed()
}

#[test]
fn hostile_peers_keep_nobody_out_and_what_they_hold_is_bounded_and_given_back() {
    sealdrop_miner::descriptors::raise_limit();
    let daemon = Daemon::start(&["--auto-seal", "24h"]);
    let client = Client::new(&daemon.chain());
    is_served(&daemon, &client);
    let rest = Held::by(&daemon);
    let undisturbed = is_served(&daemon, &client);
    println!("at rest: {rest:?}, an honest client waits {undisturbed:?}");
    for (name, begin) in attacks::ALL {
        let attack = begin(&Target::of_one(daemon.ports()));
        let waited = is_served(&daemon, &client);
        let under = Held::by(&daemon);
        println!("{name}: {under:?}, an honest client waits {waited:?}");
        assert!(waited < SERVED_WITHIN, "{name}: an honest client waited {waited:?}");
        let taken = under.memory.saturating_sub(rest.memory);
        assert!(taken < MOST_MEMORY, "{name}: {taken} KiB");
        drop(attack);
        wait_for("the descriptors to be given back", GIVEN_BACK_WITHIN, || {
            (Held::by(&daemon).descriptors <= rest.descriptors + SOME_DESCRIPTORS).then_some(())
        });
    }
    let refused = daemon.operate_json(&["mining", "status"]).unwrap()["refused"].clone();
    for limit in ["handshakes", "exchanges", "streams", "requests"] {
        assert!(refused[limit].as_u64() > Some(0), "{limit} is counted: {refused}");
    }
    let end = Held::by(&daemon);
    let waited = is_served(&daemon, &client);
    println!("afterwards: {end:?}, an honest client waits {waited:?}");
}
