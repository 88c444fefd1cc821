//! What counts as a copy of a piece: derived from deals, never kept.

use super::record::FileRecord;
use crate::chain::{Address, AttoFil, Epoch};
use crate::client::problem::ErrorCode;
use crate::client::record::{DealRecord, Step};
use crate::deal::ClientStage;
use alloc::string::String;

/// How a deal stands as a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    UnderWay {
        /// Whether the miner still has to fetch the piece from here.
        needs_file: bool,
    },
    /// Sealed, and committed on the chain.
    Kept,
    /// Refused, failed or given up.
    Failed(Failure),
    /// It did not come back three times in a row.
    Lost,
}

/// Whose doing it is that a deal failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The miner would not take it.
    Refused,
    /// Whoever signs for the payer said no when asked to open its channel.
    Declined,
    /// Anything else.
    Other,
}

/// A deal about a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// The deal's id in the book.
    pub deal: String,
    /// The deal's CID, from its signing on.
    pub cid: Option<String>,
    pub miner: Address,
    pub standing: Standing,
    /// Milliseconds since 1970 when its present attempt was drawn up.
    pub drafted_ms: u64,
    pub ends: Epoch,
    /// The file that the deal was made for.
    pub part_of: Option<String>,
    /// FIL that it costs, or has cost, or that are still on their way back from it.
    pub committed: AttoFil,
    /// Bytes that the miner has fetched from here.
    pub transferred: u64,
}

impl Copy {
    /// What a deal is as a copy of its piece. Whether it was lost since, the file's drills say.
    pub fn of<F>(record: &DealRecord<F>) -> Self {
        let draft = &record.deal.draft;
        Self {
            deal: record.id.clone(),
            cid: record.cid.clone(),
            miner: draft.miner.clone(),
            standing: standing(record),
            drafted_ms: record.reached.get(&Step::Drafted).copied().unwrap_or(record.created_ms),
            ends: draft.end(),
            part_of: record.part_of.clone(),
            committed: committed(record),
            transferred: record.transferred,
        }
    }

    /// The same as a copy of a piece of this file.
    pub(super) fn in_file(mut self, file: &FileRecord) -> Self {
        if self.standing == Standing::Kept && file.drills.has_lost(&self.deal) {
            self.standing = Standing::Lost;
        }
        self
    }

    /// Whether its deal was made for this file.
    pub fn is_of(&self, file: &FileRecord) -> bool {
        self.part_of.as_deref() == Some(file.id.as_str())
    }

    /// Whether its time was over when the file's order was given, or given again: nobody keeps it any more.
    pub fn had_ended(&self, file: &FileRecord) -> bool {
        self.ends.0 <= file.ends.0.saturating_sub(file.order.duration)
    }

    /// Whether it is a deal about the same data that is over before the file's time is: no copy, but its miner has the bytes.
    pub(super) fn ends_too_soon_for(&self, file: &FileRecord) -> bool {
        let matters = self.is_of(file) || !file.order.allow_duplicates;
        matters && self.is_good() && !self.had_ended(file) && !self.counts_for(file)
    }

    /// Whether it is a copy as the file's order wants it, now or when its deal is complete: the file's own deal, or another, that lasts
    /// as long.
    pub fn counts_for(&self, file: &FileRecord) -> bool {
        let lasts = match self.is_of(file) {
            true => self.ends >= file.lasts_from(),
            false => self.ends >= file.ends && !file.order.allow_duplicates,
        };
        self.is_good() && !self.had_ended(file) && lasts
    }

    fn is_good(&self) -> bool {
        matches!(self.standing, Standing::UnderWay { .. } | Standing::Kept)
    }
}

fn standing<F>(record: &DealRecord<F>) -> Standing {
    match &record.deal.stage {
        ClientStage::Complete { .. } => Standing::Kept,
        ClientStage::Failed { reason, .. } => {
            let said = record.error.as_ref().map(|problem| problem.code);
            Standing::Failed(match ErrorCode::of_failure(reason) {
                ErrorCode::Rejected => Failure::Refused,
                _ if said == Some(ErrorCode::SignerRefused) => Failure::Declined,
                _ => Failure::Other,
            })
        }
        _ => Standing::UnderWay {
            needs_file: record.needs_file(),
        },
    }
}

/// What a deal's present attempt costs, and what its former ones cost. Money that is not back yet counts as spent, and so does what was
/// in a channel that may have been opened.
fn committed<F>(record: &DealRecord<F>) -> AttoFil {
    let total = record.deal.draft.total().unwrap_or_default();
    let present = record.deal.channel();
    let mut sum = match record.is_failed() {
        true => AttoFil::ZERO,
        false => total,
    };
    let mut add = |amount: AttoFil| sum = sum.checked_add(amount).unwrap_or(AttoFil(u128::MAX));
    for _ in &record.openings {
        add(total);
    }
    let spent = record
        .refunds
        .iter()
        .filter(|(id, _)| record.is_failed() || Some(**id) != present);
    for (_, found) in spent {
        match found.refund.is_over() {
            // What a miner had earned by then is not in the channel any more.
            true => add(total.checked_sub(found.amount).unwrap_or_default()),
            false => add(total),
        }
    }
    sum
}
