//! The kill test: one deal's whole life, from the miner's registration to the removal of its sector, with the daemon
//! killed at one point and started again.
//!
//! A [`Life`] drives the daemon's real process and the real client's; [`matrix`] lives once without a kill, then once for
//! each point, and compares. What must be the same: [`Ending`]. What must not happen twice: a message on the chain, and a
//! phase of sealing that was finished ([`may_repeat`] says the only exceptions: the phase in whose middle the kill fell).

mod engine;
mod life;

pub use engine::{FakeProofs, WINDOW_MS};
pub(crate) use life::Conditions;
pub use life::{killable, Ending, Life};

use sealdrop_miner::failpoint::POINTS;
use serde_json::{json, Value};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Which daemon is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `killable-daemon`: everything real but the proofs.
    Fake,
    /// `sealdrop daemon` with real proofs: minutes for each life.
    Real,
}

/// Points of the real program: where most work is at stake. `during.X` is a SIGKILL from outside in the middle of phase X.
const REAL_POINTS: [&str; 8] = [
    "pc1.computed",
    "during.pre-commit-2",
    "c1.kept",
    "during.commit-2",
    "c2.computed",
    "c2.kept",
    "message.commit.kept",
    "message.commit.pushed",
];

impl Program {
    /// All points at which it is killed.
    pub fn points(self) -> Vec<String> {
        let points: &[&str] = match self {
            Self::Fake => POINTS,
            Self::Real => &REAL_POINTS,
        };
        // Whether a file comes over HTTP depends on the moment. The miner's own tests kill it there (`uploads/tests/crashes.rs`).
        let in_every_life = points.iter().filter(|point| !point.starts_with("upload."));
        in_every_life.map(|point| (*point).to_owned()).collect()
    }

    /// How long a life may take on a busy machine.
    fn limit(self) -> Duration {
        match self {
            Self::Fake => Duration::from_secs(180),
            Self::Real => Duration::from_secs(3600),
        }
    }
}

/// What came of killing at all points.
#[derive(Debug)]
pub struct Summary {
    pub program: Program,
    pub points: usize,
    /// Points and what went wrong there.
    pub failed: BTreeMap<String, String>,
    pub took: Duration,
}

impl Summary {
    pub fn to_json(&self) -> Value {
        json!({
            "kill_points": self.points,
            "kill_points_failed": self.failed.len(),
            "real_proofs": self.program == Program::Real,
            "seconds": self.took.as_secs(),
            "failed": self.failed,
        })
    }
}

/// Lives once without a kill and once for each point, `jobs` lives at a time.
pub fn matrix(program: Program, points: &[String], jobs: usize) -> Summary {
    let began = Instant::now();
    let mut summary = Summary {
        program,
        points: points.len(),
        failed: BTreeMap::new(),
        took: Duration::ZERO,
    };
    let expected = match Life::begin(program, None).and_then(|life| life.to_the_end(program.limit())) {
        Ok(ending) => ending,
        Err(reason) => {
            let reason = format!("without any kill: {reason}");
            summary.failed = points.iter().map(|point| (point.clone(), reason.clone())).collect();
            return summary;
        }
    };
    println!("without a kill, in {} s: {expected:?}", began.elapsed().as_secs());
    let waiting = Mutex::new(points.iter().cloned().collect::<VecDeque<_>>());
    let failed = Mutex::new(&mut summary.failed);
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let work = || {
        while let Some(point) = next() {
            let started = Instant::now();
            let outcome = survives(program, &point, &expected);
            let seconds = started.elapsed().as_secs_f64();
            match outcome {
                Ok(()) => println!("{point}: survived, {seconds:.1} s"),
                Err(reason) => {
                    println!("{point}: FAILED, {seconds:.1} s: {reason}");
                    failed
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(point, reason);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(work);
        }
    });
    summary.took = began.elapsed();
    summary
}

/// Lives that are tried for a point before it counts as one that is never come by.
const LIVES: u32 = 3;

/// Lives with a kill at `point`; says what differs from a life without.
fn survives(program: Program, point: &str, expected: &Ending) -> Result<(), String> {
    let mut ending = Life::begin(program, Some(point))?.to_the_end(program.limit())?;
    // Who is the first to learn of a message depends on the moment, and with it whether a life comes by some points.
    for _ in 1..LIVES {
        if ending.was_killed {
            break;
        }
        ending = Life::begin(program, Some(point))?.to_the_end(program.limit())?;
    }
    if !ending.was_killed {
        return Err(format!("the process never came by this point: {ending:?}"));
    }
    compare(point, &ending, expected)
}

fn compare(point: &str, ending: &Ending, expected: &Ending) -> Result<(), String> {
    for (phase, times) in &ending.computed {
        let most = expected.computed.get(phase).copied().unwrap_or_default();
        let more = usize::from(may_repeat(point) == Some(phase.as_str()));
        if *times > most + more {
            return Err(format!("{phase} was computed {times} times"));
        }
    }
    let same = [
        ("messages", ending.messages == expected.messages),
        ("deals", ending.deals == expected.deals),
        ("sectors", ending.sectors == expected.sectors),
        ("earnings", ending.earned == expected.earned),
        ("leftovers", ending.left == expected.left),
    ];
    match same.iter().find(|(_, same)| !same) {
        Some((what, _)) => Err(format!("other {what}: {ending:?}")),
        None => Ok(()),
    }
}

/// The phase that a kill at this point may cost: the one that it fell into, before its output was on the disk.
fn may_repeat(point: &str) -> Option<&'static str> {
    match point {
        "pc1.begun" | "pc1.computed" | "pc1.written" => Some("pre-commit-1"),
        "pc2.begun" | "pc2.computed" | "pc2.written" | "during.pre-commit-2" => Some("pre-commit-2"),
        "c1.begun" | "c1.computed" | "c1.written" => Some("commit-1"),
        "c2.begun" | "c2.computed" | "c2.written" | "during.commit-2" => Some("commit-2"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(computed: usize) -> Ending {
        Ending {
            computed: [("commit-2".to_owned(), computed)].into(),
            messages: [("commitSector".to_owned(), 1)].into(),
            ..Ending::default()
        }
    }

    #[test]
    fn a_finished_phase_that_is_computed_again_is_a_failure() {
        assert!(compare("c2.kept", &ending(2), &ending(1)).is_err());
        assert!(compare("c2.computed", &ending(3), &ending(1)).is_err());
        assert_eq!(compare("c2.computed", &ending(2), &ending(1)), Ok(()));
    }

    #[test]
    fn a_message_that_is_on_the_chain_twice_is_a_failure() {
        let mut twice = ending(1);
        twice.messages.insert("commitSector".to_owned(), 2);
        assert!(compare("c2.computed", &twice, &ending(1)).is_err());
    }
}
