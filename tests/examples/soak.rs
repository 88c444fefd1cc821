//! A daemon on real proofs under deals that keep arriving and kills at random moments: every deal must complete, and
//! every proof-of-spacetime must be accepted by the end of its window. Started by `cargo xtask bench sealing soak`.
//!
//! ```text
//! soak MINUTES [SEED]    for example: soak 30
//! ```
//! The last line is one JSON object. Fails when a deal does not complete, a proof is late or missing, or a sector fails.

use sealdrop_tests::{bytes, wait_for, Client, Daemon, Running};
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Blocks in a proving period, and in the window at its end, with a block a second.
const PERIOD: u64 = 240;
const WINDOW: u64 = 120;
/// Seconds between deals: a little more than a sector of 2 KiB takes on two cores, so that some wait and none for long.
const DEAL_EVERY: (u64, u64) = (60, 150);
/// Seconds between kills.
const KILL_EVERY: (u64, u64) = (40, 200);
/// Pause between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// How long the last deals may take, and the proof that is due then.
const END_LIMIT: Duration = Duration::from_secs(1800);

fn main() -> ExitCode {
    let arguments: Vec<u64> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let Some(&minutes) = arguments.first() else {
        eprintln!("usage: soak MINUTES [SEED]");
        return ExitCode::FAILURE;
    };
    let mut soak = Soak::begin(arguments.get(1).copied().unwrap_or(1));
    let end = Instant::now() + Duration::from_secs(minutes * 60);
    while Instant::now() < end {
        soak.turn(true);
    }
    soak.say("no more deals and kills; waiting for what is under way");
    wait_for("all deals to be complete", END_LIMIT, || {
        soak.turn(false);
        soak.running.is_empty().then_some(())
    });
    let proofs = soak.proofs.len();
    wait_for("the next proof", END_LIMIT, || {
        soak.turn(false);
        (soak.proofs.len() > proofs).then_some(())
    });
    soak.report()
}

struct Soak {
    daemon: Daemon,
    began: Instant,
    random: u64,
    next_deal: Instant,
    next_kill: Instant,
    /// Each deal has a client of its own.
    running: Vec<(u64, Client, Running)>,
    deals: u64,
    failed: Vec<String>,
    kills: u64,
    /// The block of each window's proof, by the block with which the window ends.
    proofs: BTreeMap<u64, u64>,
    /// Windows that were seen to be over without a proof.
    late: BTreeMap<u64, u64>,
}

impl Soak {
    fn begin(seed: u64) -> Self {
        let (period, window) = (PERIOD.to_string(), WINDOW.to_string());
        let options = [
            "--proving-period",
            &period,
            "--challenge-window",
            &window,
            "--auto-seal",
            "1s",
        ];
        let daemon = Daemon::with_block_time("1s", &options);
        let now = Instant::now();
        Self {
            daemon,
            began: now,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            next_deal: now,
            next_kill: now + Duration::from_secs(KILL_EVERY.0),
            running: Vec::new(),
            deals: 0,
            failed: Vec::new(),
            kills: 0,
            proofs: BTreeMap::new(),
            late: BTreeMap::new(),
        }
    }

    /// Does what is due, and looks.
    fn turn(&mut self, arriving: bool) {
        let now = Instant::now();
        if arriving && now >= self.next_deal {
            self.next_deal = now + self.between(DEAL_EVERY);
            self.propose();
        }
        if arriving && now >= self.next_kill {
            self.daemon.kill();
            self.kills += 1;
            self.say(&format!("kill {}", self.kills));
            self.daemon.start_again();
            self.next_kill = Instant::now() + self.between(KILL_EVERY);
        }
        self.look();
        while let Some(at) = self.running.iter_mut().position(|(_, _, running)| running.has_ended()) {
            let (deal, _client, running) = self.running.swap_remove(at);
            let ended = running.end();
            self.say(&format!(
                "deal {deal}: {}",
                if ended.status.success() { "complete" } else { "FAILED" }
            ));
            if !ended.status.success() {
                self.failed.push(format!("deal {deal}: {}", ended.stderr));
            }
        }
        std::thread::sleep(LOOK);
    }

    fn propose(&mut self) {
        self.deals += 1;
        let client = Client::new(&self.daemon.chain());
        let file = client.file("file", &bytes(self.deals, 2032));
        let file = file.to_str().expect("the path is text").to_owned();
        let running = client.start(&["store", &file, "--duration", "20000", "--until", "complete"]);
        self.say(&format!("deal {} begins", self.deals));
        self.running.push((self.deals, client, running));
    }

    fn look(&mut self) {
        let Ok(status) = self.daemon.operate_json(&["mining", "status"]) else {
            return;
        };
        let (height, window_end) = (status["height"].as_u64(), status["provingWindow"][1].as_u64());
        if let (Some(height), Some(end)) = (height, window_end) {
            if height > end && self.late.insert(end, height).is_none() {
                self.say(&format!(
                    "block {height}, and the proof that was due by {end} is NOT there"
                ));
            }
        }
        let post: Value = self.daemon.operate_json(&["miner", "status"]).unwrap_or_default();
        let post = &post["lastPost"];
        if let (Some(end), Some(height)) = (post["windowEnd"].as_u64(), post["height"].as_u64()) {
            if self.proofs.insert(end, height).is_none() {
                let sectors = post["sectors"].as_array().map_or(0, Vec::len);
                self.say(&format!(
                    "proof of {sectors} sectors, due by block {end}, in block {height}"
                ));
            }
        }
    }

    /// xorshift64: the same run again for the same seed, as far as the machine is the same.
    fn between(&mut self, (least, most): (u64, u64)) -> Duration {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        Duration::from_secs(least + self.random % (most - least))
    }

    fn say(&self, what: &str) {
        println!("{:>5.0} s  {what}", self.began.elapsed().as_secs_f64());
    }

    fn report(self) -> ExitCode {
        let ends: Vec<u64> = self.proofs.keys().copied().collect();
        let missing = ends.windows(2).filter(|pair| pair[1] - pair[0] != PERIOD).count();
        let late = self
            .proofs
            .iter()
            .filter(|(end, height)| height > end)
            .count()
            .max(self.late.len());
        for failed in &self.failed {
            println!("{failed}");
        }
        let figures = json!({
            "soak_minutes": self.began.elapsed().as_secs() / 60, "soak_deals": self.deals, "soak_failed": self.failed.len(),
            "soak_kills": self.kills, "soak_proofs": self.proofs.len(), "soak_proofs_late": late,
            "soak_proofs_missing": missing,
        });
        println!("{figures}");
        match (self.failed.len(), late, missing) {
            (0, 0, 0) => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }
}
