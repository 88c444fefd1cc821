//! What the soak looks at all the time: health, blocks, proofs, faults, and what the daemon holds.
//!
//! The rules: in a window that a proof is due in, it is in a block of the window; the chain stands while the daemon is down, so that
//! no kill is an excuse. No sector is faulty. Health is green when nothing disturbs, red within [`RED_LIMIT`] of a full disk's first
//! failed call, and never green while no block is made.

use super::steered::{SteeredDaemon, PERIOD};
use crate::shortages::Health;
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Pause between two looks at health, at proofs, and at what the daemon holds on the disk.
const HEALTH_EVERY: Duration = Duration::from_secs(2);
const PROOFS_EVERY: Duration = Duration::from_secs(5);
const DISK_EVERY: Duration = Duration::from_secs(30);
/// How long health may be red for no reason that the soak knows of: a service that waits for its turn on a busy machine.
const RED_UNREASONED: Duration = Duration::from_secs(60);
/// How long it may take to say that the disk is full.
pub(super) const RED_LIMIT: Duration = Duration::from_secs(30);
/// How long it may be green while no block is made.
const BLOCK_LIMIT: Duration = Duration::from_secs(30);
/// How long the daemon may take to be well after something that disturbed it.
pub(super) const GREEN_LIMIT: Duration = Duration::from_secs(90);

/// Characters of a problem that are shown.
const TEXT: usize = 90;

/// A figure over time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Course {
    pub first: Option<u64>,
    pub last: u64,
    pub peak: u64,
}

impl Course {
    fn add(&mut self, now: u64) {
        self.first.get_or_insert(now);
        self.last = now;
        self.peak = self.peak.max(now);
    }

    pub fn to_json(self) -> Value {
        json!({ "first": self.first.unwrap_or_default(), "last": self.last, "peak": self.peak })
    }
}

/// What the daemon's process holds, over all of its lives.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Courses {
    pub memory_mib: Course,
    pub descriptors: Course,
    pub threads: Course,
    pub disk_mib: Course,
}

/// See the module.
pub(super) struct Watch {
    health: Health,
    looked: Instant,
    proofs_looked: Instant,
    disk_looked: Instant,
    /// Until then health may be red.
    disturbed_until: Instant,
    red_since: Option<Instant>,
    is_red: bool,
    problems: String,
    block: (u64, Instant),
    /// The block of each window's proof, by the block with which the window ends.
    pub proofs: BTreeMap<u64, u64>,
    /// Windows that were seen to be over without a proof.
    late: BTreeMap<u64, u64>,
    pub courses: Courses,
    /// The time for which health was green, and for which it was asked.
    pub green: (Duration, Duration),
}

impl Watch {
    pub fn of(daemon: &SteeredDaemon) -> Self {
        let now = Instant::now();
        Self {
            health: daemon.health(),
            looked: now,
            proofs_looked: now,
            disk_looked: now,
            disturbed_until: now + GREEN_LIMIT,
            red_since: None,
            is_red: false,
            problems: String::new(),
            block: (0, now),
            proofs: BTreeMap::new(),
            late: BTreeMap::new(),
            courses: Courses::default(),
            green: (Duration::ZERO, Duration::ZERO),
        }
    }

    /// Something disturbs the daemon: until then health may say so.
    pub fn disturbed(&mut self, until: Instant) {
        self.disturbed_until = self.disturbed_until.max(until);
        // A start, or a disk with room again: blocks go on from now.
        self.block.1 = self.block.1.max(Instant::now());
        self.red_since = None;
    }

    pub fn is_red(&self) -> bool {
        self.is_red
    }

    /// The chain's newest height that was seen.
    pub fn height(&self) -> u64 {
        self.block.0
    }

    /// What health says, in words.
    pub fn says(&self) -> String {
        match self.is_red {
            true => format!("red: {}", self.problems),
            false => "green".to_owned(),
        }
    }

    pub fn late(&self) -> usize {
        late(&self.proofs, &self.late)
    }

    /// Windows between the first proof and the last one that none was seen of.
    pub fn missing(&self) -> usize {
        missing(&self.proofs)
    }

    /// Looks at what is due; gives what was broken.
    pub fn turn(&mut self, daemon: &SteeredDaemon) -> Vec<String> {
        let mut broken = Vec::new();
        if self.looked.elapsed() >= HEALTH_EVERY {
            broken.extend(self.look_at_health());
            self.look_at_process(daemon);
        }
        if self.proofs_looked.elapsed() >= PROOFS_EVERY {
            self.proofs_looked = Instant::now();
            broken.extend(self.look_at_proofs(daemon));
        }
        if self.disk_looked.elapsed() >= DISK_EVERY {
            self.disk_looked = Instant::now();
            self.courses.disk_mib.add(bytes_below(&daemon.home()) >> 20);
        }
        broken
    }

    fn look_at_health(&mut self) -> Option<String> {
        let since = self.looked.elapsed();
        self.looked = Instant::now();
        let health = self.health.ask();
        self.is_red = health.as_ref().is_none_or(|health| health["ok"] != true);
        self.problems = match &health {
            None => "it does not answer".to_owned(),
            Some(health) => in_words(&health["problems"]),
        };
        self.green.1 += since;
        if !self.is_red {
            self.green.0 += since;
        }
        let now = Instant::now();
        if !self.is_red {
            self.red_since = None;
            if self.block.1.elapsed() > BLOCK_LIMIT && now > self.disturbed_until {
                self.block.1 = now;
                return Some(format!("health is green, and no block was made for {BLOCK_LIMIT:?}"));
            }
        } else if now > self.disturbed_until {
            let since = *self.red_since.get_or_insert(now);
            if since.elapsed() > RED_UNREASONED {
                self.red_since = Some(now);
                return Some(format!(
                    "health is red for {RED_UNREASONED:?} for no reason: {}",
                    self.problems
                ));
            }
        }
        None
    }

    fn look_at_process(&mut self, daemon: &SteeredDaemon) {
        let Some(process) = daemon.process() else { return };
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let (memory, threads) = (number_of(&status, "VmRSS:"), number_of(&status, "Threads:"));
        let (Some(memory), Some(threads)) = (memory, threads) else {
            return;
        };
        self.courses.memory_mib.add(memory >> 10);
        self.courses.threads.add(threads);
        if let Ok(open) = fs::read_dir(format!("/proc/{process}/fd")) {
            self.courses.descriptors.add(open.count() as u64);
        }
    }

    fn look_at_proofs(&mut self, daemon: &SteeredDaemon) -> Vec<String> {
        let mut broken = Vec::new();
        let mining = daemon.ask(&["mining", "status"]).unwrap_or_default();
        let (height, window_end) = (mining["height"].as_u64(), mining["provingWindow"][1].as_u64());
        if let Some(height) = height.filter(|height| *height > self.block.0) {
            self.block = (height, Instant::now());
        }
        if let (Some(height), Some(end)) = (height, window_end) {
            if height > end && self.late.insert(end, height).is_none() {
                broken.push(format!(
                    "block {height}, and the proof that was due by {end} is not there"
                ));
            }
        }
        if let Some(stuck) = mining["stuck"].as_array().filter(|stuck| !stuck.is_empty()) {
            broken.push(format!("sectors await the operator: {stuck:?}"));
        }
        let status = daemon.ask(&["miner", "status"]).unwrap_or_default();
        let post = &status["lastPost"];
        if let (Some(end), Some(height)) = (post["windowEnd"].as_u64(), post["height"].as_u64()) {
            if self.proofs.insert(end, height).is_none() && height > end {
                broken.push(format!("the proof that was due by {end} is in block {height}"));
            }
        }
        broken
    }
}

/// Windows whose proof came late, or was seen not to be there in time; one that is both counts once.
fn late(proofs: &BTreeMap<u64, u64>, seen: &BTreeMap<u64, u64>) -> usize {
    let proven_late = proofs.iter().filter(|(end, height)| height > end).map(|(end, _)| end);
    proven_late
        .chain(seen.keys())
        .collect::<std::collections::BTreeSet<_>>()
        .len()
}

fn missing(proofs: &BTreeMap<u64, u64>) -> usize {
    let gaps = proofs
        .keys()
        .zip(proofs.keys().skip(1))
        .map(|(end, next)| (next - end) / PERIOD);
    gaps.map(|periods| periods.saturating_sub(1) as usize).sum()
}

/// Each service that has a problem, and the beginning of what it says.
fn in_words(problems: &Value) -> String {
    let problems = problems.as_array().into_iter().flatten();
    let words = problems.map(|problem| {
        let text: String = problem["text"]
            .as_str()
            .unwrap_or_default()
            .chars()
            .take(TEXT)
            .collect();
        format!("{}: {text}", problem["service"].as_str().unwrap_or_default())
    });
    words.collect::<Vec<_>>().join("; ")
}

/// Resident memory of a process, in MiB.
pub(super) fn memory_of(process: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    Some(number_of(&status, "VmRSS:")? >> 10)
}

fn number_of(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(facts) if facts.is_dir() => bytes_below(&entry.path()),
        Ok(facts) => facts.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_that_came_after_its_window_is_late_and_one_that_was_never_seen_is_missing() {
        let proofs = |heights: &[(u64, u64)]| heights.iter().copied().collect::<BTreeMap<u64, u64>>();
        let well = proofs(&[(120, 70), (240, 240), (360, 301)]);
        assert_eq!((late(&well, &proofs(&[])), missing(&well)), (0, 0));
        let ill = proofs(&[(120, 70), (360, 362)]);
        assert_eq!((late(&ill, &proofs(&[(360, 361)])), missing(&ill)), (1, 1));
        assert_eq!(late(&well, &proofs(&[(480, 481)])), 1);
    }

    #[test]
    fn a_course_has_a_first_a_last_and_a_highest_figure() {
        let mut course = Course::default();
        [5, 9, 7].into_iter().for_each(|now| course.add(now));
        assert_eq!((course.first, course.last, course.peak), (Some(5), 7, 9));
    }
}
