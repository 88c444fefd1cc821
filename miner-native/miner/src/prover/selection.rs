//! Which of the waiting steps may start: a pure function of what waits, what runs, and what the machine has.
//!
//! - A proof-of-spacetime starts at once: its memory is no part of the budget that the others share, and while one is due
//!   nothing else that takes time begins.
//! - Later steps go first, so that sectors finish; within a step, first come, first served.
//! - What has too little memory beside what runs now is not overtaken by so many small ones that it never gets it: they
//!   start only where it would still fit beside them. What was overtaken [`MAX_OVERTAKEN`] times goes before everything.
//!
//! Performed by [`super::scheduler`], which owns the threads.

use super::work::{Cost, Step};
use std::collections::BTreeMap;

/// How many later arrivals may start before a waiting step; then nothing may any more.
pub const MAX_OVERTAKEN: u32 = 32;

/// What the machine gives, beyond what is kept free for proofs-of-spacetime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes for all steps together but proofs-of-spacetime.
    pub memory: u64,
    /// Busy threads of all steps together but proofs-of-spacetime.
    pub threads: u64,
    /// Zero-knowledge proofs at once.
    pub commit2: u64,
    /// Sectors that are labelled at once: each keeps one core busy.
    pub pre_commit1: u64,
}

impl Limits {
    /// For `cores` and `memory` bytes of a machine, of which `reserve` are kept for proofs-of-spacetime, and zero-knowledge
    /// proofs that take `proof` bytes each. `slots` is how many of these there may be; 0 leaves it to the machine.
    pub fn of_machine(cores: u64, memory: u64, reserve: u64, proof: u64, slots: u64) -> Self {
        let cores = cores.max(1);
        let memory = memory.saturating_sub(reserve);
        // A proof keeps a dozen cores busy by itself: smaller machines make one at a time.
        let by_machine = (cores / CORES_A_PROOF).min(memory / proof.max(1)).max(1);
        Self {
            memory,
            // Twice the cores, so that the next sector is encoded while a proof is made: it waits for memory and for its
            // own serial parts often enough.
            threads: 2 * cores,
            commit2: if slots == 0 { by_machine } else { slots },
            pre_commit1: cores,
        }
    }

    fn slots(&self, step: Step) -> u64 {
        match step {
            Step::Commit2 | Step::Commit2Library => self.commit2,
            Step::PreCommit1 => self.pre_commit1,
            _ => 1,
        }
    }

    /// Sectors between their ticket and their commitment at once: one for each proof and each core that labels. With more,
    /// tickets and pre-commits would grow too old in the queue.
    pub fn sectors(&self) -> u64 {
        self.commit2.saturating_add(self.pre_commit1)
    }
}

/// Cores that one zero-knowledge proof makes good use of.
const CORES_A_PROOF: u64 = 16;

/// A step that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Running {
    pub number: u64,
    pub step: Step,
    /// The sector that it works on, for steps that work on one.
    pub sector: Option<u64>,
    pub cost: Cost,
}

/// A step that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// By arrival.
    pub number: u64,
    pub step: Step,
    pub sector: Option<u64>,
    pub cost: Cost,
    /// Later arrivals that started before it.
    pub overtaken: u32,
}

impl Waiting {
    fn is_aged(&self) -> bool {
        self.overtaken >= MAX_OVERTAKEN
    }

    /// Whether `other`, which starts now, came later. What never waits long is not counted.
    pub fn is_overtaken_by(&self, other: &Self) -> bool {
        self.number < other.number && other.step.yields_to_post()
    }

    /// Smaller goes first.
    fn rank(&self) -> (bool, bool, Step, u64) {
        (self.step != Step::WindowPost, !self.is_aged(), self.step, self.number)
    }
}

/// The numbers of the steps to start now, in the order of their start. `post_due`: a proof-of-spacetime is being prepared,
/// waits or runs.
pub fn startable(waiting: &[Waiting], running: &[Running], post_due: bool, limits: &Limits) -> Vec<u64> {
    let is_post = |step: Step| step == Step::WindowPost;
    let post_due =
        post_due || waiting.iter().any(|job| is_post(job.step)) || running.iter().any(|job| is_post(job.step));
    let mut order: Vec<&Waiting> = waiting.iter().collect();
    order.sort_by_key(|job| job.rank());
    let mut now = running.to_vec();
    let mut chosen = Vec::new();
    let mut blocked: Option<&Waiting> = None;
    for job in order {
        if (post_due && job.step.yields_to_post()) || !has_slot(job, &now, limits) {
            continue;
        }
        let may_start = is_post(job.step)
            || job.cost == Cost::LIGHT
            || (fits(job.cost, now.iter(), limits)
                && blocked.is_none_or(|first| leaves_room(job, first, &now, limits)));
        if may_start {
            chosen.push(job.number);
            now.push(Running {
                number: job.number,
                step: job.step,
                sector: job.sector,
                cost: job.cost,
            });
        } else if blocked.is_none() {
            blocked = Some(job);
        }
    }
    chosen
}

fn has_slot(job: &Waiting, running: &[Running], limits: &Limits) -> bool {
    let same = running.iter().filter(|other| other.step.counts_with(job.step)).count() as u64;
    let conflicts = |other: &Running| {
        job.sector.is_some() && other.sector == job.sector && (job.step.writes() || other.step.writes())
    };
    same < limits.slots(job.step) && !running.iter().any(conflicts)
}

fn fits<'a>(cost: Cost, running: impl Iterator<Item = &'a Running>, limits: &Limits) -> bool {
    let others = running.filter(|job| job.step != Step::WindowPost);
    let used = others.fold(cost, |sum, job| Cost {
        memory: sum.memory.saturating_add(job.cost.memory),
        threads: sum.threads.saturating_add(job.cost.threads),
    });
    used.memory <= limits.memory && used.threads <= limits.threads
}

/// Whether `first`, which waits for room, still gets it when all that goes before it has ended, should `job` start.
fn leaves_room(job: &Waiting, first: &Waiting, running: &[Running], limits: &Limits) -> bool {
    let both = Cost {
        memory: first.cost.memory.saturating_add(job.cost.memory),
        threads: first.cost.threads.saturating_add(job.cost.threads),
    };
    let stays = |other: &&Running| first.is_aged() || other.step > first.step;
    fits(both, running.iter().filter(stays), limits)
}

/// When each waiting step starts, in milliseconds from now, if every step takes what is expected of it; `left_ms` says how
/// long one that runs still takes. Steps that come in meanwhile are not foreseen.
pub fn forecast(
    waiting: &[Waiting],
    running: &[Running],
    limits: &Limits,
    left_ms: impl Fn(&Running) -> u64,
    takes_ms: impl Fn(Step) -> u64,
) -> BTreeMap<u64, u64> {
    let mut starts = BTreeMap::new();
    let mut waiting = waiting.to_vec();
    let mut running: Vec<(u64, Running)> = running.iter().map(|job| (left_ms(job), *job)).collect();
    let mut now = 0u64;
    while !waiting.is_empty() {
        let jobs: Vec<Running> = running.iter().map(|(_, job)| *job).collect();
        for number in startable(&waiting, &jobs, false, limits) {
            let Some(at) = waiting.iter().position(|job| job.number == number) else {
                continue;
            };
            let job = waiting.remove(at);
            starts.insert(number, now);
            let Waiting { step, sector, cost, .. } = job;
            let end = now.saturating_add(takes_ms(step));
            running.push((
                end,
                Running {
                    number,
                    step,
                    sector,
                    cost,
                },
            ));
        }
        // The next to end makes room; with nothing running, what is left never starts.
        let Some(next) = running.iter().map(|(end, _)| *end).min() else {
            break;
        };
        now = next;
        running.retain(|(end, _)| *end > next);
    }
    starts
}

#[cfg(test)]
#[path = "selection_tests.rs"]
mod tests;
