//! The steps of a prover's work, in the order in which they go first, and what each takes.
//!
//! The numbers for sectors of up to 512 MiB were measured on two cores of an AMD EPYC, with the own code and IFMA; those for
//! 32 GiB follow the table that Lotus schedules by. [`super::selection`] decides
//! by them; [`super::rates`] replaces the times by what was measured here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::piece::SectorSize;
use std::fmt;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// A step, the most urgent first. Of sealing's steps the later go first, so that sectors finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// A proof-of-spacetime over the proving set.
    WindowPost,
    /// Looking whether a sector can be proven.
    Check,
    /// Deleting files of a sector that are not needed any more.
    Tidy,
    /// Getting a piece back out of its replica: somebody waits for it.
    Unseal,
    Commit2,
    /// The same by filecoin-proofs, where the own prover is turned off or was refused.
    Commit2Library,
    Commit1,
    PreCommit2,
    PreCommit1,
    /// Reading what is stored, to find damage before anybody needs it.
    Scrub,
}

impl Step {
    /// All of them, in their order.
    pub const ALL: [Self; 10] = [
        Self::WindowPost,
        Self::Check,
        Self::Tidy,
        Self::Unseal,
        Self::Commit2,
        Self::Commit2Library,
        Self::Commit1,
        Self::PreCommit2,
        Self::PreCommit1,
        Self::Scrub,
    ];

    /// Whether the step changes its sector's files, so that no other may be at them.
    pub(super) fn writes(self) -> bool {
        matches!(self, Self::Tidy | Self::PreCommit1 | Self::PreCommit2)
    }

    /// Whether the step waits while a proof-of-spacetime is due.
    pub(super) fn yields_to_post(self) -> bool {
        !matches!(self, Self::WindowPost | Self::Check)
    }

    /// Whether both take places of the same kind: a zero-knowledge proof is one, whoever makes it.
    pub(super) fn counts_with(self, other: Self) -> bool {
        let is_proof = |step| matches!(step, Self::Commit2 | Self::Commit2Library);
        self == other || (is_proof(self) && is_proof(other))
    }

    /// Whether the step computes on a pool of threads of its own.
    pub(super) fn computes_apart(self) -> bool {
        // The proof is computed in another process: see [`super::child`].
        !matches!(self, Self::Tidy | Self::Scrub | Self::Commit2 | Self::Commit2Library)
    }

    /// Its key in the book of measured times.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::WindowPost => "window-post",
            Self::Check => "check",
            Self::Tidy => "tidy",
            Self::Unseal => "unseal",
            Self::Commit2 => "commit-2-own",
            Self::Commit2Library => "commit-2",
            Self::Commit1 => "commit-1",
            Self::PreCommit2 => "pre-commit-2",
            Self::PreCommit1 => "pre-commit-1",
            Self::Scrub => "scrub",
        }
    }
}

impl Step {
    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::WindowPost => "proof-of-spacetime",
            Self::Check => "checking a sector's files",
            Self::Tidy => "clearing a sector's files away",
            Self::Unseal => "unsealing",
            Self::Commit2 => "commit 2",
            Self::Commit2Library => "commit 2 by filecoin-proofs",
            Self::Commit1 => "commit 1",
            Self::PreCommit2 => "pre-commit 2",
            Self::PreCommit1 => "pre-commit 1",
            Self::Scrub => "scrubbing",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a step takes while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Bytes, at its peak.
    pub memory: u64,
    /// Threads that it keeps busy.
    pub threads: u64,
}

impl Cost {
    /// Of a step that only reads and writes files: it never waits for what others hold.
    pub const LIGHT: Self = Self { memory: 0, threads: 0 };

    /// Of `step` for a sector of `size` on a machine of `cores`.
    pub fn of(step: Step, size: SectorSize, cores: u64) -> Self {
        let threads = match step {
            Step::Check | Step::Tidy | Step::Scrub => return Self::LIGHT,
            Step::WindowPost | Step::Commit2 | Step::Commit2Library | Step::PreCommit2 => cores.max(1),
            _ => 1,
        };
        Self {
            memory: memory(step, size),
            threads,
        }
    }
}

/// Peak memory of a step in bytes. A proof-of-spacetime's is what is always kept free for it: bellperson proves ten
/// partitions at once, and four of 2 KiB sectors were measured to take 107 MB together.
fn memory(step: Step, size: SectorSize) -> u64 {
    let [small, medium, large, huge] = match step {
        Step::WindowPost => [512 * MIB, GIB, 3 * GIB, 96 * GIB],
        // Measured, with a tenth to spare; a proof of 32 GiB sectors is the library's.
        Step::Commit2 => [3 * GIB / 4, GIB, 2 * GIB, 192 * GIB],
        Step::Commit2Library => [27 * GIB / 10, 36 * GIB / 10, 5 * GIB, 192 * GIB],
        // Two layers of labels at a time, and the parents.
        Step::PreCommit1 => [128 * MIB, 128 * MIB, 2 * GIB, 64 * GIB],
        Step::PreCommit2 => [128 * MIB, 128 * MIB, 2 * GIB, 32 * GIB],
        Step::Unseal => [128 * MIB, 128 * MIB, 2 * GIB, 64 * GIB],
        Step::Commit1 => [128 * MIB, 128 * MIB, 256 * MIB, GIB],
        Step::Check | Step::Tidy | Step::Scrub => [0; 4],
    };
    match size {
        SectorSize::S2KiB => small,
        SectorSize::S8MiB => medium,
        SectorSize::S512MiB => large,
        SectorSize::S32GiB => huge,
    }
}

/// Milliseconds of processor time that a step took elsewhere; a proof-of-spacetime's for each partition. `None` where
/// nobody has measured it.
pub(super) fn typical_ms(step: Step, size: SectorSize) -> Option<u64> {
    let [small, medium, large] = match step {
        Step::WindowPost => [300, 800, 1_200],
        Step::Commit2 => [11_000, 11_000, 20_000],
        Step::Commit2Library => [110_000, 118_000, 200_000],
        Step::PreCommit1 => [5, 500, 31_000],
        Step::PreCommit2 => [30, 600, 23_000],
        Step::Unseal => [7, 600, 30_000],
        Step::Commit1 => [50, 50, 100],
        Step::Check | Step::Tidy | Step::Scrub => return None,
    };
    match size {
        SectorSize::S2KiB => Some(small),
        SectorSize::S8MiB => Some(medium),
        SectorSize::S512MiB => Some(large),
        SectorSize::S32GiB => None,
    }
}
