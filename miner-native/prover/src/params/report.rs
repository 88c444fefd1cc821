//! What `ensure` tells while it works and when it is done.

use super::Circuit;
use crate::size::SectorSize;
use crate::usage::Usage;
use std::fmt;
use std::time::{Duration, Instant};

/// A step of making one set of parameters whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Another process holds the directory's lock.
    Waiting,
    /// Hashing a file that is there (bytes).
    Checking,
    /// Evaluating the circuit; its length is not known beforehand.
    Synthesising,
    /// Computing and writing points (counted as points of G1, one of G2 as three).
    Writing,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting => "waiting for another process",
            Self::Checking => "checking",
            Self::Synthesising => "synthesising the circuit",
            Self::Writing => "computing points",
        })
    }
}

/// How far one set of parameters is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whose parameters.
    pub circuit: Circuit,
    /// For which sectors.
    pub size: SectorSize,
    /// What is being done.
    pub phase: Phase,
    /// Units of work done in this phase.
    pub done: u64,
    /// Units of work in this phase; 0 if not known.
    pub total: u64,
}

impl Progress {
    /// The part of the phase that is done, from 0.0 to 1.0; 0.0 while the total is not known.
    pub fn fraction(&self) -> f64 {
        if self.total == 0 {
            return 0.0;
        }
        self.done as f64 / self.total as f64
    }
}

/// What a call of `ensure` did and what it cost.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerationReport {
    /// Sets that were there, whole.
    pub present: Vec<(Circuit, SectorSize)>,
    /// Sets that were missing or corrupt and have been made.
    pub made: Vec<(Circuit, SectorSize)>,
    /// Time on the clock.
    pub elapsed: Duration,
    /// Processor time of the whole process meanwhile, in seconds (system time included).
    pub cpu_seconds: f64,
    /// The highest resident memory of the process since it began, in bytes.
    pub peak_memory: u64,
}

/// Begins to measure.
pub(super) struct Meter {
    clock: Instant,
    cpu: f64,
}

impl Meter {
    pub(super) fn start() -> Self {
        Self {
            clock: Instant::now(),
            cpu: Usage::now().cpu_seconds,
        }
    }

    pub(super) fn report(
        self,
        present: Vec<(Circuit, SectorSize)>,
        made: Vec<(Circuit, SectorSize)>,
    ) -> GenerationReport {
        let Usage {
            cpu_seconds,
            peak_memory,
        } = Usage::now();
        GenerationReport {
            present,
            made,
            elapsed: self.clock.elapsed(),
            cpu_seconds: cpu_seconds - self.cpu,
            peak_memory,
        }
    }
}
