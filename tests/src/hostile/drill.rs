//! Plays attacks against a running daemon, one after the other, and holds it against the limits: during and after each an honest client is
//! served about as fast as at rest, memory is bounded, and descriptors come back.

use super::attacks::{Kind, Target, ALL, ELSEWHERE};
use crate::peer::Peer;
use crate::{Client, Daemon};
use serde_json::{json, Value};
use shared::chain::keys::cid_of_bytes;
use shared::deal::DealState;
use std::fmt::Write as _;
use std::fs;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::time::{Duration, Instant};

/// Memory that any set of remote peers may make the daemon hold above what it holds at rest, in MiB (issue 11).
const MOST_MEMORY: u64 = 512;
/// Times as long as at rest that an honest client may wait.
const SLOWER: u32 = 2;
/// What it may wait in any case: attacker, client and daemon share the processors of one machine, and others theirs.
const NOISE: Duration = Duration::from_secs(4);
/// Tries of which the shortest counts: what stands between is the machine's.
const TRIES: usize = 3;
/// How long the daemon may take to let go of what hostile peers left.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(40);
/// Descriptors that come and go in any daemon.
const SOME_DESCRIPTORS: u64 = 12;
/// KiB of the log that an attack may cost.
const MOST_LOG: u64 = 512;
/// Limits of which the counters must have moved.
const COUNTED: [&str; 4] = ["handshakes", "exchanges", "streams", "requests"];
const LOOK: Duration = Duration::from_millis(200);

/// What an attack did.
#[derive(Debug, Clone)]
pub struct Measured {
    pub name: &'static str,
    pub of: &'static str,
    pub before: &'static str,
    /// How long an honest client waited.
    pub waited: Duration,
    /// Memory above rest at the highest, in MiB.
    pub memory: u64,
    /// Descriptors above rest.
    pub descriptors: u64,
    /// KiB of the log.
    pub log: u64,
    /// What it got.
    pub outcome: String,
    pub broken: Vec<String>,
}

/// What came of all.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    pub at_rest: Duration,
    pub memory_at_rest: u64,
    pub memory_at_end: u64,
    pub attacks: Vec<Measured>,
    /// What was wrong at the end.
    pub broken: Vec<String>,
}

impl Summary {
    /// Everything that was wrong.
    pub fn all_broken(&self) -> Vec<String> {
        let own = |attack: &Measured| {
            let name = attack.name;
            attack
                .broken
                .iter()
                .map(move |reason| format!("{name}: {reason}"))
                .collect::<Vec<_>>()
        };
        self.attacks.iter().flat_map(own).chain(self.broken.clone()).collect()
    }

    pub fn to_json(&self) -> Value {
        let most = |figure: fn(&Measured) -> u64| self.attacks.iter().map(figure).max().unwrap_or_default();
        json!({
            "attacks": self.attacks.len(),
            "attacks_failed": self.attacks.iter().filter(|attack| !attack.broken.is_empty()).count(),
            "waited_at_rest_ms": self.at_rest.as_millis() as u64,
            "waited_most_ms": most(|attack| attack.waited.as_millis() as u64),
            "memory_above_rest_mib": most(|attack| attack.memory),
            "descriptors_above_rest": most(|attack| attack.descriptors),
            "memory_at_rest_mib": self.memory_at_rest,
            "memory_at_end_mib": self.memory_at_end,
            "broken": self.all_broken(),
        })
    }

    /// The table for `shared/docs/attacks.md`.
    pub fn to_markdown(&self) -> String {
        let mut text = String::from(HEAD);
        let _ = writeln!(
            text,
            "An honest client, new to the daemon, asks the page, the chain and the miner: {} ms at rest, when the daemon holds {} MiB.\n",
            self.at_rest.as_millis(),
            self.memory_at_rest,
        );
        text.push_str("| attack | plays | before | now: a client waits | memory above rest | descriptors above rest | what it gets |\n");
        text.push_str("|-|-|-|-|-|-|-|\n");
        for attack in &self.attacks {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} ms | {} MiB | {} | {} |",
                attack.name,
                attack.of,
                attack.before,
                attack.waited.as_millis(),
                attack.memory,
                attack.descriptors,
                attack.outcome.replace('|', "/"),
            );
        }
        text.push_str("\nWeaknesses that a peer cannot play from outside alone, and the tests that hold them:\n\n| finding | before | tests |\n|-|-|-|\n");
        for (of, before, tests) in ELSEWHERE {
            let _ = writeln!(text, "| {of} | {before} | {tests} |");
        }
        text
    }
}

const HEAD: &str = "\
# Attacks

Written by `cargo xtask nightly hostile`, which plays each attack against a running daemon on one machine, attacker and client beside it;
`cargo xtask test` plays the usual ones. *Plays* names findings of the first version (letters) and weaknesses of the 2019 system
([protocol.md](protocol.md), section 7). What bounds each is in [limits.md](limits.md). Memory is the highest while the attack goes on.

";

/// What a daemon holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    /// Resident memory at the highest since it was last reset, and now, in MiB.
    highest: u64,
    memory: u64,
    descriptors: u64,
}

impl Held {
    fn by(daemon: &Daemon) -> Self {
        let process = format!("/proc/{}", daemon.process());
        let status = fs::read_to_string(format!("{process}/status")).unwrap_or_default();
        let number = |name: &str| -> u64 {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap_or_default();
            line.split_whitespace()
                .next()
                .and_then(|text| text.parse().ok())
                .unwrap_or_default()
        };
        let descriptors = fs::read_dir(format!("{process}/fd")).map_or(0, |open| open.count() as u64);
        Self {
            highest: number("VmHWM:") >> 10,
            memory: number("VmRSS:") >> 10,
            descriptors,
        }
    }

    /// The highest counts from now on.
    fn reset(daemon: &Daemon) {
        // Without it the highest is that of earlier attacks, too: never too low.
        let _ = fs::write(format!("/proc/{}/clear_refs", daemon.process()), "5");
    }
}

/// An honest client, new to the daemon, asks every listener.
fn ask_all(daemon: &Daemon, client: &Client) -> Result<Duration, String> {
    let began = Instant::now();
    let health = daemon.get("/health");
    if !health.starts_with("HTTP/1.1 200") {
        return Err(format!("health is {health}"));
    }
    client
        .json(&["miners"])
        .map_err(|ended| format!("the chain does not tell the miners: {}", ended.stderr))?;
    let answer = Peer::at(daemon.ports())?.query(&cid_of_bytes(b"no deal"));
    match answer.response.state {
        DealState::Unknown => Ok(began.elapsed()),
        other => Err(format!("a deal that is not there is {other:?}")),
    }
}

/// The shortest of some tries. One that fails is a failure.
fn served(daemon: &Daemon, client: &Client) -> Result<Duration, String> {
    let mut shortest = Duration::MAX;
    for _ in 0..TRIES {
        let asked = catch_unwind(AssertUnwindSafe(|| ask_all(daemon, client)));
        let waited = asked.map_err(|_| "an honest client is not served".to_owned())??;
        shortest = shortest.min(waited);
        if shortest < NOISE {
            break;
        }
    }
    Ok(shortest)
}

/// Plays the attacks that every run of the tests plays, or all.
pub fn run(all: bool) -> Summary {
    sealdrop_miner::descriptors::raise_limit();
    // At no price: what peers may do when it costs them nothing.
    let daemon = Daemon::start(&["--auto-seal", "24h", "--price", "0"]);
    let client = Client::new(&daemon.chain());
    let mut summary = Summary::default();
    // The first time it is slower.
    let first = served(&daemon, &client);
    let rest = Held::by(&daemon);
    summary.memory_at_rest = rest.memory;
    match first.and_then(|_| served(&daemon, &client)) {
        Ok(waited) => summary.at_rest = waited,
        Err(reason) => summary.broken.push(format!("at rest: {reason}")),
    }
    println!("at rest: {rest:?}, an honest client waits {:?}", summary.at_rest);
    for kind in ALL.iter().filter(|kind| all || kind.is_usual) {
        let measured = play(kind, &daemon, &client, rest, summary.at_rest);
        println!("{measured:?}");
        summary.attacks.push(measured);
    }
    let refused = daemon.operate_json(&["mining", "status"]).unwrap_or_default()["refused"].clone();
    for limit in COUNTED {
        if refused[limit].as_u64().unwrap_or_default() == 0 {
            summary
                .broken
                .push(format!("refused {limit} are not counted: {refused}"));
        }
    }
    summary.memory_at_end = Held::by(&daemon).memory;
    println!("afterwards: {:?}", Held::by(&daemon));
    summary
}

fn play(kind: &Kind, daemon: &Daemon, client: &Client, rest: Held, at_rest: Duration) -> Measured {
    let mut broken = Vec::new();
    let log = daemon.log().len();
    Held::reset(daemon);
    let attack = kind.begin(&Target::of_one(daemon.ports()));
    let during = served(daemon, client);
    let under = Held::by(daemon);
    let outcome = attack.outcome();
    drop(attack);
    let mut given_back = under;
    let began = Instant::now();
    while began.elapsed() < GIVEN_BACK_WITHIN {
        given_back = Held::by(daemon);
        if given_back.descriptors <= rest.descriptors + SOME_DESCRIPTORS {
            break;
        }
        std::thread::sleep(LOOK);
    }
    if given_back.descriptors > rest.descriptors + SOME_DESCRIPTORS {
        broken.push(format!(
            "{} descriptors are left, at rest {}",
            given_back.descriptors, rest.descriptors
        ));
    }
    let after = served(daemon, client);
    for (when, waited) in [("during", &during), ("after", &after)] {
        match waited {
            Ok(waited) if *waited > NOISE.max(at_rest * SLOWER) => {
                broken.push(format!(
                    "{when} it an honest client waits {waited:?}, at rest {at_rest:?}"
                ));
            }
            Ok(_) => {}
            Err(reason) => broken.push(format!("{when} it: {reason}")),
        }
    }
    let measured = Measured {
        name: kind.name,
        of: kind.of,
        before: kind.before,
        waited: during.unwrap_or_default(),
        memory: under.highest.saturating_sub(rest.memory),
        descriptors: under.descriptors.saturating_sub(rest.descriptors),
        log: (daemon.log().len() - log) as u64 >> 10,
        outcome: outcome.clone().unwrap_or_default(),
        broken: Vec::new(),
    };
    broken.extend(outcome.err());
    if measured.memory > MOST_MEMORY {
        broken.push(format!("it takes {} MiB", measured.memory));
    }
    if measured.log > MOST_LOG {
        broken.push(format!("it costs {} KiB of the log", measured.log));
    }
    Measured { broken, ..measured }
}
