//! The soak: a daemon's real process (with proofs that are named fake), honest clients, hostile peers and bad luck, for hours.
//!
//! Deals arrive all the time and are taken back at random ([`clients`]), hostile peers attack from addresses of their own
//! ([`attackers`]), and one after the other the daemon is killed, loses its power with all that nobody synced, has no room on its
//! disk for a minute, loses its log, or finds its time of day hours ahead or behind ([`steered`]). For a while in between it is not started
//! again, so that what grows is seen. All along it is looked at ([`watch`]), and so is the chain ([`ledger`]).
//!
//! The rules: no deal that was acknowledged is lost, and every file of a complete deal comes back; no proof is late, however the daemon was
//! ended, since the chain stands with it; nothing is on the chain twice, and no money comes or goes; health says what is; memory,
//! descriptors, threads and disk are bounded. `cargo xtask bench soak` starts it.

mod attackers;
mod clients;
pub(crate) mod ledger;
mod misfortune;
mod steered;
mod watch;

use attackers::Attackers;
use clients::Clients;
use ledger::Ledger;
use misfortune::Misfortune;
use serde_json::{json, Value};
use std::time::{Duration, Instant};
use steered::SteeredDaemon;
use watch::Watch;

/// Hostile peers.
const HOSTILE_PEERS: u8 = 5;
/// Pause between two turns.
const TURN: Duration = Duration::from_millis(300);
/// Pause between two looks at the whole chain.
const LEDGER_EVERY: Duration = Duration::from_secs(300);
/// How long the last deals may take after the last one began.
const END_LIMIT: Duration = Duration::from_secs(900);
/// How long the daemon may take to let go of what hostile peers left.
const LET_GO: Duration = Duration::from_secs(90);
/// What remote peers may make the daemon hold above what it holds at rest, in MiB (`shared/docs/limits.md`).
const MOST_MEMORY: u64 = 512;
/// What its listeners may hold together, and what it needs besides.
const MOST_DESCRIPTORS: u64 = 1400;
/// Threads of the runtime, its blocking pool and what it starts beside.
const MOST_THREADS: u64 = 600;
/// The chain of a few hours, its sectors and what waits.
const MOST_DISK: u64 = 2048;

/// xorshift64: the same run again for the same seed, as far as the machine is the same.
pub(crate) struct Random(u64);

impl Random {
    pub fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub fn between(&mut self, (least, most): (u64, u64)) -> u64 {
        least + self.below(most - least)
    }

    pub fn seconds(&mut self, span: (u64, u64)) -> Duration {
        Duration::from_millis(self.between((span.0 * 1000, span.1 * 1000)))
    }
}

/// Soaks for so many minutes, and until the last deals have come to their end; gives the figures, and whether no rule broke.
pub fn run(minutes: u64, seed: u64) -> Result<(Value, bool), String> {
    sealdrop_miner::descriptors::raise_limit();
    let mut daemon = SteeredDaemon::new()?;
    daemon.start()?;
    let mut soak = Soak {
        clients: Clients::new(&daemon.chain()),
        watch: Watch::of(&daemon),
        ledger: Ledger::default(),
        misfortune: Misfortune::new(seed),
        attackers: Attackers::begin(HOSTILE_PEERS, daemon.ports(), seed)?,
        daemon,
        began: Instant::now(),
        random: Random::of(seed),
        broken: Vec::new(),
        looked_at_chain: Instant::now(),
        told: 0,
    };
    let end = Duration::from_secs(minutes * 60);
    while soak.began.elapsed() < end {
        soak.turn(true);
    }
    soak.finish();
    Ok(soak.report())
}

struct Soak {
    daemon: SteeredDaemon,
    clients: Clients,
    watch: Watch,
    ledger: Ledger,
    misfortune: Misfortune,
    attackers: Attackers,
    began: Instant,
    random: Random,
    broken: Vec<String>,
    looked_at_chain: Instant,
    /// Minutes that were told of.
    told: u64,
}

impl Soak {
    fn turn(&mut self, arriving: bool) {
        let events = self.misfortune.turn(&mut self.daemon, &mut self.watch, arriving);
        for event in events {
            match event {
                Ok(what) => self.say(&what),
                Err(reason) => self.breaks(reason),
            }
        }
        let mut broken = self.watch.turn(&self.daemon);
        broken.extend(self.daemon.take_defects());
        broken.extend(self.clients.turn(self.watch.height(), arriving, &mut self.random));
        if self.looked_at_chain.elapsed() >= LEDGER_EVERY && !self.misfortune.is_at_work() {
            broken.extend(self.look_at_chain());
        }
        for reason in broken {
            self.breaks(reason);
        }
        let minutes = self.began.elapsed().as_secs() / 60;
        if minutes > self.told {
            self.told = minutes;
            self.tell();
        }
        std::thread::sleep(TURN);
    }

    fn look_at_chain(&mut self) -> Vec<String> {
        self.looked_at_chain = Instant::now();
        match self.ledger.look(self.daemon.ports()[2]) {
            Ok(broken) => broken,
            // Under attack it may not be told all: the next look goes through it again.
            Err(reason) => {
                self.say(&format!("the chain could not be looked through: {reason}"));
                Vec::new()
            }
        }
    }

    /// No more deals and misfortunes: what is under way comes to its end, then the hostile peers go.
    fn finish(&mut self) {
        self.say("no more deals and misfortunes; waiting for what is under way");
        self.misfortune.end(&mut self.daemon, &mut self.watch);
        let began = Instant::now();
        while !self.clients.rest() && began.elapsed() < END_LIMIT {
            self.turn(false);
        }
        if !self.clients.rest() {
            let working = self.clients.counts().working;
            self.breaks(format!("{working} deals have not come to an end within {END_LIMIT:?}"));
        }
        self.attackers.stop();
        self.say("the hostile peers are gone");
        let (began, proofs) = (Instant::now(), self.watch.proofs.len());
        // The next proof, too.
        let next = Duration::from_secs(steered::PERIOD * 2);
        while began.elapsed() < LET_GO || (self.watch.proofs.len() == proofs && began.elapsed() < next) {
            self.turn(false);
        }
        for reason in self.look_at_chain() {
            self.breaks(reason);
        }
        if self.ledger.methods.is_empty() {
            self.breaks("the chain was never looked through".to_owned());
        }
        self.look_at_deals();
        self.look_at_bounds();
    }

    /// Every deal that is complete for its client must be so for the miner.
    fn look_at_deals(&mut self) {
        let listed = self.daemon.ask(&["deals", "list", "--miner"]).unwrap_or_default();
        let states = listed["deals"].as_array().into_iter().flatten().filter_map(|deal| {
            let state = deal["state"].as_str()?.to_owned();
            Some((deal["proposalCid"].as_str()?.to_owned(), state))
        });
        let states: std::collections::BTreeMap<String, String> = states.collect();
        for (_, id) in self.clients.alive(self.watch.height()) {
            match states.get(&id).map(String::as_str) {
                Some("complete") => {}
                other => self.breaks(format!("deal {id} is complete for its client, for the miner {other:?}")),
            }
        }
    }

    fn look_at_bounds(&mut self) {
        let courses = self.watch.courses;
        let memory = courses.memory_mib;
        let bounds = [
            (
                "MiB of memory",
                memory.peak,
                memory.first.unwrap_or_default() + MOST_MEMORY,
            ),
            ("descriptors", courses.descriptors.peak, MOST_DESCRIPTORS),
            ("threads", courses.threads.peak, MOST_THREADS),
            ("MiB of disk", courses.disk_mib.peak, MOST_DISK),
        ];
        for (what, peak, most) in bounds {
            if peak > most {
                self.breaks(format!("{peak} {what}, and at most {most} are allowed"));
            }
        }
    }

    fn breaks(&mut self, reason: String) {
        self.say(&format!("BROKEN: {reason}"));
        if self.broken.is_empty() {
            println!("{}", self.daemon.log_tail());
        }
        self.broken.push(reason);
    }

    fn say(&self, what: &str) {
        let seconds = self.began.elapsed().as_secs();
        println!("{:>3}:{:02}  {what}", seconds / 60, seconds % 60);
    }

    /// The line a minute.
    fn tell(&self) {
        let (clients, done) = (self.clients.counts(), &self.misfortune.counts);
        let held = &self.watch.courses;
        self.say(&format!(
            "block {}; deals {}: {} complete, {} under way, {} refused, {} lost; {} files back; {} proofs, {} late; {} kills, \
             {} power losses, {} full disks, {} lost logs, {} clock jumps, {} attacks; {} MiB, {} descriptors, {} threads, \
             {} MiB of disk; the soak itself {} MiB; health {}",
            self.watch.height(),
            clients.deals,
            clients.complete,
            clients.working,
            clients.refused,
            clients.lost,
            clients.retrieved,
            self.watch.proofs.len(),
            self.watch.late(),
            done.kills,
            done.power_losses,
            done.full_disks,
            done.lost_logs,
            done.clock_jumps,
            self.attackers.attacks(),
            held.memory_mib.last,
            held.descriptors.last,
            held.threads.last,
            held.disk_mib.last,
            watch::memory_of("self").unwrap_or_default(),
            self.watch.says(),
        ));
    }

    fn report(self) -> (Value, bool) {
        let (clients, done, courses) = (self.clients.counts(), &self.misfortune.counts, self.watch.courses);
        let green = self.watch.green.0.as_secs_f64() / self.watch.green.1.as_secs_f64().max(1.0);
        let figures = json!({
            "minutes": self.began.elapsed().as_secs() / 60,
            "blocks": self.watch.height(),
            "deals": clients.deals, "complete": clients.complete, "refused": clients.refused, "lost": clients.lost,
            "retrieved": clients.retrieved, "client_retries": clients.retries,
            "proofs": self.watch.proofs.len(), "late_proofs": self.watch.late(), "proofs_not_seen": self.watch.missing(),
            "double_messages": self.ledger.doubles.len(),
            "kills": done.kills, "power_losses": done.power_losses, "full_disks": done.full_disks,
            "lost_logs": done.lost_logs, "clock_jumps": done.clock_jumps, "attacks": self.attackers.attacks(),
            "hostile_peers": HOSTILE_PEERS,
            "longest_start_s": done.longest_start.as_secs_f64(),
            "longest_up_minutes": done.longest_up.as_secs() / 60,
            "health_green": (green * 1000.0).round() / 1000.0,
            "peak_mib": courses.memory_mib.peak,
            "memory_mib": courses.memory_mib.to_json(), "descriptors": courses.descriptors.to_json(),
            "threads": courses.threads.to_json(), "disk_mib": courses.disk_mib.to_json(),
            "messages": self.ledger.methods,
            "broken": self.broken,
        });
        print_table(&figures);
        for (reason, times) in &self.clients.refusals {
            println!("refused {times} times: {reason}");
        }
        (figures, self.broken.is_empty())
    }
}

fn print_table(figures: &Value) {
    println!();
    for (name, figure) in figures.as_object().into_iter().flatten() {
        let figure = match (figure, figure.get("peak")) {
            (figure, Some(_)) => format!(
                "first {}, last {}, peak {}",
                figure["first"], figure["last"], figure["peak"]
            ),
            (Value::Object(parts), None) => {
                let parts: Vec<String> = parts.iter().map(|(name, times)| format!("{name} {times}")).collect();
                parts.join(", ")
            }
            (Value::Array(parts), None) => format!("{} rules", parts.len()),
            (figure, None) => figure.to_string(),
        };
        println!("{name:<20} {figure}");
    }
}
