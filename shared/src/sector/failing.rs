//! What a failed step does to a sector: where it goes on, when, and how often before the operator is asked.
//!
//! A step goes back only as far as it must. The outputs of the expensive phases lie on the disk and are verified before
//! they are taken up (the daemon's prover sees to it), so that going back to phase 1 costs a look at its output while that
//! is whole.

use super::machine::{Sector, SectorRefusal};
use super::stage::{Phase, SectorStage};
use alloc::boxed::Box;
use alloc::string::String;

/// How often a sector is tried without coming further before the operator is asked: with the pauses between, what passes
/// within some minutes (a full disk, a chain that is away) has passed.
pub const MAX_ATTEMPTS: u32 = 5;
/// The pause after the first failure, in milliseconds; each further one takes four times as long.
pub const FIRST_PAUSE_MS: u64 = 5_000;
/// The longest pause, in milliseconds.
pub const LONGEST_PAUSE_MS: u64 = 3_600_000;
/// How long a sector that was tried often enough waits for the operator, in milliseconds; its deals wait no longer than
/// their own deadlines.
pub const OPERATOR_WAIT_MS: u64 = 24 * 3_600_000;

/// Failures of Commit1 after which the replica is doubted, and not only the step.
const DOUBTED_AFTER: u32 = 2;

/// What keeps a sector from going on as planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setback<'a> {
    /// The phase that failed.
    pub failed: Phase,
    pub reason: &'a str,
    /// Failures since the sector last came further than ever.
    pub attempts: u32,
    /// The phase that is tried next, by itself or when the operator orders it; `None` when there is no way on.
    pub next: Option<Phase>,
    /// Whether only the operator's order makes it go on.
    pub awaits_operator: bool,
}

/// The pause before the next try, in milliseconds.
pub fn retry_pause_ms(attempts: u32) -> u64 {
    let times = 4u64.saturating_pow(attempts.saturating_sub(1));
    FIRST_PAUSE_MS.saturating_mul(times).min(LONGEST_PAUSE_MS)
}

/// How much of that pause is left at `now_ms`, when it ends at `retry_at_ms`. More than a whole pause is none: the time of day was
/// set back, and the sector does not wait until it comes round again.
pub fn pause_left_ms(retry_at_ms: u64, attempts: u32, now_ms: u64) -> u64 {
    let left = retry_at_ms.saturating_sub(now_ms);
    match left > retry_pause_ms(attempts) {
        true => 0,
        false => left,
    }
}

impl Sector {
    /// Why the sector is not going on as planned and what is tried next; `None` while nothing failed.
    pub fn setback(&self) -> Option<Setback<'_>> {
        if let SectorStage::Failed { phase, reason, resume } = &self.stage {
            return Some(Setback {
                failed: *phase,
                reason,
                attempts: self.attempts,
                next: resume.as_ref().map(|stage| stage.phase()),
                awaits_operator: resume.is_some(),
            });
        }
        let reason = self.last_error.as_deref()?;
        Some(Setback {
            failed: self.failed_at.unwrap_or(self.phase()),
            reason,
            attempts: self.attempts,
            next: Some(self.phase()),
            awaits_operator: false,
        })
    }

    /// The sector came to another stage: failures are forgotten when it is beyond them.
    pub(super) fn note_progress(&mut self) {
        let phase = self.phase();
        if self.failed_at.is_none_or(|failed| phase > failed) {
            self.attempts = 0;
            self.last_error = None;
            self.failed_at = None;
        }
    }

    /// Counts a failure, and goes back to the nearest stage whose inputs are surely whole.
    pub(super) fn step_failed(&mut self, reason: String, with_new_ticket: bool) -> Result<(), SectorRefusal> {
        let phase = self.phase();
        if phase == Phase::Packing || phase >= Phase::Proving {
            return Err(SectorRefusal::Unexpected { sector: self.id, phase });
        }
        self.fail(reason, |sector| match with_new_ticket {
            true => SectorStage::Closed,
            false => sector.stage_before(),
        });
        Ok(())
    }

    /// Seals a replica again that is gone, before its commitment: the same ticket gives the same one, so that a pre-commit on
    /// the chain still stands.
    pub(super) fn replica_lost(&mut self, reason: String) -> Result<(), SectorRefusal> {
        let phase = self.phase();
        let sealed = self.sealed().filter(|_| phase < Phase::Proving);
        let Some(sealed) = sealed else {
            return Err(SectorRefusal::Unexpected { sector: self.id, phase });
        };
        let next = SectorStage::PreCommit1 {
            ticket_epoch: sealed.ticket_epoch,
            ticket: sealed.ticket,
        };
        self.fail(reason, |_| next);
        Ok(())
    }

    /// Counts a failure, and goes on with `next`, which may depend on their number, unless there were too many.
    fn fail(&mut self, reason: String, next: impl FnOnce(&Self) -> SectorStage) {
        let phase = self.phase();
        self.attempts = self.attempts.saturating_add(1);
        self.last_error = Some(reason.clone());
        self.failed_at = self.failed_at.max(Some(phase));
        let next = next(self);
        self.stage = match self.attempts >= MAX_ATTEMPTS {
            true => SectorStage::Failed {
                phase,
                reason,
                resume: Some(Box::new(next)),
            },
            false => next,
        };
    }

    /// Where a failed step is tried again. Phase 2 and a doubted replica begin at phase 1 under the same ticket, which
    /// gives the same commitments, so that a pre-commit on the chain still stands; a failed proof begins at its openings;
    /// a message is repeated alone.
    fn stage_before(&self) -> SectorStage {
        match &self.stage {
            SectorStage::PreCommit2 {
                ticket_epoch, ticket, ..
            } => SectorStage::PreCommit1 {
                ticket_epoch: *ticket_epoch,
                ticket: *ticket,
            },
            SectorStage::Commit1 { sealed, .. } if self.attempts >= DOUBTED_AFTER => SectorStage::PreCommit1 {
                ticket_epoch: sealed.ticket_epoch,
                ticket: sealed.ticket,
            },
            SectorStage::Commit2 { sealed, seed, .. } => SectorStage::Commit1 {
                sealed: sealed.clone(),
                seed: *seed,
            },
            other => other.clone(),
        }
    }

    /// Before anything of it is on the chain, and only then: a pre-commit has its price.
    pub(super) fn abandoned(&self, stage: &SectorStage, reason: String) -> Result<SectorStage, SectorRefusal> {
        let phase = self.phase();
        match stage {
            SectorStage::Closed | SectorStage::PreCommit1 { .. } | SectorStage::PreCommit2 { .. } => {
                Ok(SectorStage::Failed {
                    phase,
                    reason,
                    resume: None,
                })
            }
            _ => Err(SectorRefusal::Unexpected { sector: self.id, phase }),
        }
    }

    /// The operator's order: as many attempts as at first, from where the last one left it.
    pub(super) fn retry_ordered(&mut self) -> Result<(), SectorRefusal> {
        let (sector, phase) = (self.id, self.phase());
        match &self.stage {
            SectorStage::Failed {
                resume: Some(stage), ..
            } => {
                self.stage = (**stage).clone();
                self.attempts = 0;
                self.failed_at = None;
                self.last_error = None;
                Ok(())
            }
            SectorStage::Failed { resume: None, .. } => Err(SectorRefusal::NoWayOn { sector }),
            _ => Err(SectorRefusal::NotFailed { sector, phase }),
        }
    }

    /// Takes the way on from a failed sector; once more changes nothing.
    pub(super) fn given_up(&mut self) -> Result<(), SectorRefusal> {
        let (sector, phase) = (self.id, self.phase());
        match &mut self.stage {
            SectorStage::Failed { resume, .. } => {
                *resume = None;
                Ok(())
            }
            _ => Err(SectorRefusal::NotFailed { sector, phase }),
        }
    }
}
