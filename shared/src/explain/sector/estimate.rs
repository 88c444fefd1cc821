//! How long what remains takes: measured where there is a measurement, else by another machine's times, and blocks by
//! their clock.

use super::words::span;
use super::{Around, Eta, Expected, SectorFacts, Turn};
use crate::piece::SectorSize;
use crate::sector::{Phase, SectorStage};
use alloc::format;
use alloc::string::String;

/// Blocks until a message that was sent is in one, and that is known: one to be made, one that is being made.
const MESSAGE_BLOCKS: u64 = 2;
/// A step that is overdue is taken to need this part of the time yet that it has taken so far: on a busy machine all of
/// it goes slower.
const OVERDUE_PART: u64 = 4;

/// How long proving steps took on two cores of an AMD EPYC with AVX-512 IFMA, in milliseconds: the miner's own numbers before
/// it has any. Of larger sectors nothing is known.
fn elsewhere(size: SectorSize, phase: Phase) -> Option<u64> {
    let [p1, p2, c1, c2] = match size {
        SectorSize::S2KiB => [50, 100, 50, 7_000],
        SectorSize::S8MiB => [500, 500, 100, 8_000],
        SectorSize::S512MiB => [35_000, 25_000, 100, 20_000],
        SectorSize::S32GiB => return None,
    };
    match phase {
        Phase::PreCommit1 => Some(p1),
        Phase::PreCommit2 => Some(p2),
        Phase::Commit1 => Some(c1),
        Phase::Commit2 => Some(c2),
        _ => None,
    }
}

/// What a sum of expectations rests on.
#[derive(Debug, Clone, Copy, Default)]
struct Grounds {
    /// The fewest samples of the measured phases.
    samples: Option<u32>,
    borrowed: bool,
    blocks: bool,
    overdue: bool,
    /// The prover's own word.
    from_prover: bool,
}

/// A sum that is being made.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    ms: u64,
    queue_ms: u64,
    grounds: Grounds,
}

/// Reckons how long things take.
pub(crate) struct EtaEstimate<'a> {
    around: &'a Around,
}

impl<'a> EtaEstimate<'a> {
    pub(crate) fn of(around: &'a Around) -> Self {
        Self { around }
    }

    /// When a sector is committed.
    pub(crate) fn sector(&self, facts: &SectorFacts) -> Option<Eta> {
        let mut sum = Sum::default();
        self.add_sector(&mut sum, facts)?;
        Some(self.eta(sum))
    }

    /// When a piece that is here, or is so in `transfer_ms`, is sealed in a sector that does not exist yet.
    pub(crate) fn new_sector(&self, transfer_ms: u64) -> Option<Eta> {
        let mut sum = Sum {
            ms: transfer_ms,
            ..Sum::default()
        };
        for phase in Phase::UNSEALED {
            self.add(&mut sum, phase)?;
        }
        Some(self.eta(sum))
    }

    /// How long a whole phase takes for this sector.
    pub(crate) fn whole(&self, phase: Phase, facts: &SectorFacts) -> Option<Expected> {
        let chain = &self.around.chain;
        match (&facts.turn, &facts.sector.stage) {
            (
                Turn::Running {
                    expected: Some(expected),
                    ..
                },
                _,
            ) if phase == facts.sector.phase() => Some(expected.clone()),
            (_, SectorStage::WaitSeed { seed_epoch, .. }) if phase == Phase::WaitSeed && chain.block_time_ms > 0 => {
                let left = seed_epoch
                    .0
                    .saturating_sub(chain.height.0)
                    .saturating_mul(chain.block_time_ms);
                let ms = self.elapsed(facts.since_ms).saturating_add(left);
                Some(Expected {
                    ms,
                    basis: self.clock(),
                })
            }
            _ => self.ahead(phase),
        }
    }

    /// How long a phase takes that is still to come.
    pub(crate) fn ahead(&self, phase: Phase) -> Option<Expected> {
        let Around {
            chain, size, measured, ..
        } = self.around;
        let of_blocks = |blocks: u64| {
            (chain.block_time_ms > 0).then(|| Expected {
                ms: blocks.saturating_mul(chain.block_time_ms),
                basis: self.clock(),
            })
        };
        if phase == Phase::Packing {
            return Some(Expected {
                ms: self.around.auto_seal_ms,
                basis: "the miner's timer for sealing".into(),
            });
        }
        if let (Phase::WaitSeed, Some(expected)) = (phase, of_blocks(chain.seed_delay)) {
            return Some(expected);
        }
        if let Some(found) = measured.get(&phase) {
            let basis = match found.samples {
                0 | 1 => format!("the last one at {size}"),
                several => format!("the median of the last {several} at {size}"),
            };
            return Some(Expected { ms: found.ms, basis });
        }
        match phase {
            Phase::Closed => of_blocks(1),
            Phase::PreCommitting | Phase::Committing => of_blocks(MESSAGE_BLOCKS),
            _ => elsewhere(*size, phase).map(|ms| Expected {
                ms,
                basis: format!("another machine with two cores: this miner has measured nothing at {size} yet"),
            }),
        }
    }

    fn clock(&self) -> String {
        format!("blocks of {}", self.block())
    }

    fn block(&self) -> String {
        let ms = self.around.chain.block_time_ms;
        if ms.is_multiple_of(1000) {
            span(ms)
        } else {
            format!("{ms} ms")
        }
    }

    fn elapsed(&self, since_ms: u64) -> u64 {
        self.around.now_ms.saturating_sub(since_ms)
    }

    /// How long a running step still takes; whether it is overdue.
    pub(super) fn remaining(&self, whole_ms: u64, since_ms: u64) -> (u64, bool) {
        let elapsed = self.elapsed(since_ms);
        match whole_ms.checked_sub(elapsed) {
            Some(left) => (left, false),
            None => (elapsed / OVERDUE_PART, true),
        }
    }

    fn add_sector(&self, sum: &mut Sum, facts: &SectorFacts) -> Option<()> {
        let phase = facts.sector.phase();
        match (&facts.turn, phase) {
            (_, Phase::Packing) => {
                let due = facts.first_piece_ms.saturating_add(self.around.auto_seal_ms);
                sum.ms = sum.ms.saturating_add(due.saturating_sub(self.around.now_ms));
            }
            (Turn::Queued { behind }, _) => {
                self.add(sum, phase)?;
                for work in behind {
                    let phases = Phase::UNSEALED
                        .into_iter()
                        .filter(|after| *after > work.phase && work.whole);
                    let mut before = Sum::default();
                    self.add(&mut before, work.phase)?;
                    if let Some(since) = work.since_ms {
                        before.ms = self.remaining(before.ms, since).0;
                    }
                    for phase in phases {
                        self.add(&mut before, phase)?;
                    }
                    sum.queue_ms = sum.queue_ms.saturating_add(before.ms);
                    sum.grounds = sum.grounds.and(before.grounds);
                }
            }
            (Turn::Running { since_ms, .. }, _) => {
                let whole = self.whole(phase, facts)?;
                let (left, overdue) = self.remaining(whole.ms, *since_ms);
                sum.ms = sum.ms.saturating_add(left);
                sum.grounds = sum.grounds.and(self.grounds(phase, facts));
                sum.grounds.overdue |= overdue;
            }
        }
        for later in Phase::UNSEALED.into_iter().filter(|later| *later > phase) {
            self.add(sum, later)?;
        }
        Some(())
    }

    /// Adds a whole phase that is still to come.
    fn add(&self, sum: &mut Sum, phase: Phase) -> Option<()> {
        sum.ms = sum.ms.saturating_add(self.ahead(phase)?.ms);
        sum.grounds = sum.grounds.and(self.grounds_ahead(phase));
        Some(())
    }

    fn grounds(&self, phase: Phase, facts: &SectorFacts) -> Grounds {
        match &facts.turn {
            Turn::Running { expected: Some(_), .. } => Grounds {
                from_prover: true,
                ..Grounds::default()
            },
            _ => self.grounds_ahead(phase),
        }
    }

    fn grounds_ahead(&self, phase: Phase) -> Grounds {
        let is_known = self.around.measured.get(&phase);
        let has_clock = self.around.chain.block_time_ms > 0;
        match phase {
            Phase::Packing => Grounds::default(),
            Phase::WaitSeed if has_clock => Grounds {
                blocks: true,
                ..Grounds::default()
            },
            _ => match is_known {
                Some(measured) => Grounds {
                    samples: Some(measured.samples.max(1)),
                    ..Grounds::default()
                },
                None => Grounds {
                    borrowed: elsewhere(self.around.size, phase).is_some(),
                    blocks: elsewhere(self.around.size, phase).is_none(),
                    ..Grounds::default()
                },
            },
        }
    }

    fn eta(&self, sum: Sum) -> Eta {
        Eta {
            earliest_ms: sum.ms,
            expected_ms: sum.ms.saturating_add(sum.queue_ms),
            basis: self.basis(sum.grounds),
        }
    }

    fn basis(&self, grounds: Grounds) -> String {
        let size = self.around.size;
        let measured = match grounds.samples {
            Some(1) => Some(format!("the last sector of {size}")),
            Some(several) => Some(format!("the last {several} sectors of {size}")),
            None if grounds.from_prover => Some("the running step's own estimate".into()),
            None => None,
        };
        let mut basis = match (measured, grounds.borrowed) {
            (Some(measured), false) => measured,
            (Some(measured), true) => {
                format!("{measured}, and another machine where this miner has measured nothing yet")
            }
            (None, true) => {
                format!("another machine with two cores, since this miner has measured nothing of {size} yet")
            }
            (None, false) => String::new(),
        };
        if grounds.blocks {
            let joint = if basis.is_empty() { "" } else { ", with " };
            basis = format!("{basis}{joint}blocks of {}", self.block());
        }
        if grounds.overdue {
            basis.push_str("; the present step takes longer than that");
        }
        basis
    }
}

impl Grounds {
    fn and(self, other: Self) -> Self {
        Self {
            samples: match (self.samples, other.samples) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
            borrowed: self.borrowed || other.borrowed,
            blocks: self.blocks || other.blocks,
            overdue: self.overdue || other.overdue,
            from_prover: self.from_prover || other.from_prover,
        }
    }
}
