//! Machines come to grief under a miner that has deals: a worker is killed every half minute, the daemon that leads every three minutes, and the database is
//! restarted twice. Proofs are FAKE. At the end: which deals were lost, which messages were sent twice, which proofs were late.

use crate::node::{Node, Worker};
use crate::soak::ledger::Ledger;
use crate::{bytes, wait_for, Client};
use sealdrop_database::testing::database;
use serde_json::{json, Value};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// What befalls them, and how often.
const WORKER_EVERY: Duration = Duration::from_secs(30);
const LEADER_EVERY: Duration = Duration::from_secs(180);
const WORKERS: usize = 3;
/// How long the last deals may take.
const LIMIT: Duration = Duration::from_secs(300);
/// A file is stored this often.
const DEAL_EVERY: Duration = Duration::from_secs(5);
const NETWORK: [&str; 10] = [
    "--sector-size",
    "2KiB",
    "--block-time",
    "250ms",
    "--proving-period",
    "400",
    "--challenge-window",
    "300",
    "--grace",
    "300",
];

/// Lets everything come to grief for so long; gives the figures.
///
/// # Panics
///
/// When the server does not answer, or a process cannot be started.
#[must_use]
pub fn run(time: Duration) -> Value {
    let url = database("drill").expect("SEALDROP_POSTGRES names a server");
    let storage = tempfile::tempdir().expect("room for a folder");
    let folder = storage.path().to_string_lossy().into_owned();
    let chain = Node::chain(&NETWORK);
    let client = Client::new(&chain.url());
    let shared = ["--database", &url, "--storage", &folder, "--database-work", "false"];
    let daemon = || Node::miner_unstarted(&chain.url(), "2KiB").with(&shared);
    let mut leader = daemon();
    leader.start();
    let miner = leader.address();
    let mut follower = daemon();
    same_keys(&leader.home(), &follower.home());
    follower.launch();
    let start = |number: usize| Worker::start(&url, storage.path(), &format!("worker {number}"));
    let mut workers: Vec<Worker> = (0..WORKERS).map(start).collect();

    let begun = Instant::now();
    let (mut next_worker, mut next_leader, mut next_deal) = (WORKER_EVERY, LEADER_EVERY, Duration::ZERO);
    let mut restarts = vec![time / 3, time * 2 / 3];
    let (mut killed_workers, mut killed_leaders, mut stored, mut refused) = (0usize, 0u32, 0u64, 0u64);
    while begun.elapsed() < time {
        let now = begun.elapsed();
        if now >= next_worker {
            next_worker += WORKER_EVERY;
            let at = killed_workers % WORKERS;
            workers[at].kill();
            workers[at] = start(at);
            killed_workers += 1;
        }
        if now >= next_leader {
            next_leader += LEADER_EVERY;
            leader.kill();
            leader.launch();
            std::mem::swap(&mut leader, &mut follower);
            killed_leaders += 1;
        }
        if restarts.first().is_some_and(|at| now >= *at) {
            restarts.remove(0);
            println!("[restart database]");
        }
        if now >= next_deal {
            next_deal = now + DEAL_EVERY;
            let file = client.file("file", &bytes(stored + refused, 1000));
            let told = client.run(&[
                "store",
                &file.to_string_lossy(),
                "--miner",
                &miner,
                "--duration",
                "20000",
            ]);
            match told.status.success() {
                true => stored += 1,
                // While nobody leads; whoever stores asks again.
                false => refused += 1,
            }
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let known = deals(&client);
    let accepted = known.len();
    let began = Instant::now();
    let is_open = |state: &str| !["complete", "proven"].contains(&state);
    let mut open = usize::MAX;
    while open > 0 && began.elapsed() < LIMIT {
        std::thread::sleep(Duration::from_secs(2));
        open = deals(&client).iter().filter(|state| is_open(state)).count();
    }
    let mut ledger = Ledger::default();
    let broken = ledger.look(chain.chain_port()).expect("the chain answers");
    broken.iter().for_each(|broken| println!("{broken}"));
    let refused_messages = ledger.methods.iter().filter(|(method, _)| method.contains("refused"));
    let figures = json!({
        "minutes": time.as_secs() / 60,
        "workers_killed": killed_workers,
        "leaders_killed": killed_leaders,
        "stored": stored,
        "refused": refused,
        "accepted": accepted,
        "lost": open,
        "double_messages": ledger.doubles.len(),
        "refused_messages": refused_messages.map(|(_, count)| count).sum::<usize>(),
        "late_proofs": ledger.late,
        "proofs": ledger.methods.get("submitPoSt").copied().unwrap_or_default(),
    });
    println!("{}", serde_json::to_string_pretty(&figures).unwrap_or_default());
    figures
}

/// The second daemon signs as the first, and is found under its name.
pub fn same_keys(from: &Path, to: &Path) {
    let (from, to) = (from.join("miner"), to.join("miner"));
    for kept in ["wallet", "host.key"] {
        copy(&from.join(kept), &to.join(kept));
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        for entry in fs::read_dir(from).expect("it is a folder") {
            let entry = entry.expect("it can be listed");
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::create_dir_all(to.parent().expect("it lies in a folder")).expect("it can be made");
        fs::copy(from, to).expect("it is there");
    }
}

/// The states of the client's deals.
fn deals(client: &Client) -> Vec<String> {
    let listed = wait_for("the client's deals", LIMIT, || client.json(&["deals"]).ok());
    let deals = listed.as_array().cloned().unwrap_or_default();
    let states = deals
        .iter()
        .map(|deal| deal["state"].as_str().unwrap_or_default().to_owned());
    states.collect()
}
