//! What one piece needs: the rule of placing, of going on after a refusal, of further copies, and of repair.
//!
//! It ends: every deal is a copy, or fails and counts as an attempt, of which there are [`ATTEMPTS_PER_COPY`] for each copy and run.

use super::copies::{Copy, Standing};
use super::record::{FileOrder, FileRecord};
use crate::chain::{Address, AttoFil};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// Deals about one piece that may fail for each copy that is wanted, before somebody has to go on with the file: a second turn of a
/// handful of miners.
pub const ATTEMPTS_PER_COPY: usize = 8;

/// Why no deal is made for a piece although one is wanted. Somebody who goes on with the file, or wants less, may change that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GivenUp {
    #[error("{attempts} deals about it failed; go on with the file later")]
    Attempts { attempts: usize },
    #[error("its miner did not keep it; name another one, or none")]
    NamedMiner,
    #[error("whoever signs for its payer said no, and is not asked again; go on with the file, and agree when asked")]
    Declined,
    #[error("{committed} FIL are committed, and all deals of the file may cost {most} FIL; allow more")]
    Limit { most: AttoFil, committed: AttoFil },
    #[error("its bytes are not here any more: {reason}")]
    FileLost { reason: alloc::string::String },
    #[error("no further miner takes it: {reason}; ask for fewer copies, or go on with the file later")]
    NoMiner { reason: alloc::string::String },
    #[error("each of the {miners} miners that could take it has a copy already, or has lost one; ask for fewer copies, or go on with the file when there are more miners")]
    AllHold { miners: usize },
    #[error("a copy did not come back three times in a row and is lost, and lost copies of this file are not replaced; go on with it and have them replaced (--repair)")]
    Lost,
}

/// What a piece needs now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PieceNeeds {
    /// Enough copies are there or under way.
    Nothing,
    /// One more deal.
    Deal {
        /// Miners that have a copy, or had one and lost it.
        leave_out: Vec<Address>,
        /// Miners that failed the piece, or have the same data in another deal that ends sooner than the file's own: only when no other
        /// is left. Two deals of one miner stay one copy, which lasts as long as the longer one.
        last: Vec<Address>,
        /// FIL that the deal may cost; `None`: there is no limit.
        most: Option<AttoFil>,
    },
    GivenUp(GivenUp),
}

/// What a piece of `file` needs whose deals are `copies`, when all deals of the file have committed so much. Attempts that were drawn up
/// before `since_ms`, when somebody began to go on with the file, do not count.
pub fn needs(file: &FileRecord, copies: &[Copy], committed: AttoFil, since_ms: u64) -> PieceNeeds {
    let order = &file.order;
    // Two deals with one miner are one copy.
    let good: BTreeSet<&Address> = miners_of(copies, |copy| copy.counts_for(file)).collect();
    let wanted = order.copies as usize;
    if good.len() >= wanted {
        return PieceNeeds::Nothing;
    }
    let is_lost = |copy: &Copy| copy.standing == Standing::Lost && copy.is_of(file) && !copy.had_ended(file);
    let lost: BTreeSet<&Address> = miners_of(copies, is_lost)
        .filter(|miner| !good.contains(miner))
        .collect();
    if !order.repair && good.len().saturating_add(lost.len()) >= wanted {
        return PieceNeeds::GivenUp(GivenUp::Lost);
    }
    let failed = |copy: &Copy| matches!(copy.standing, Standing::Failed(_));
    let attempts = copies
        .iter()
        .filter(|copy| failed(copy) && copy.is_of(file) && copy.drafted_ms >= since_ms);
    let attempts = attempts.count();
    match order.named() {
        Some(_) if attempts > 0 => return PieceNeeds::GivenUp(GivenUp::NamedMiner),
        None if attempts >= ATTEMPTS_PER_COPY.saturating_mul(order.copies as usize) => {
            return PieceNeeds::GivenUp(GivenUp::Attempts { attempts })
        }
        _ => {}
    }
    let most = match left(order, committed) {
        Ok(most) => most,
        Err(limit) => return PieceNeeds::GivenUp(limit),
    };
    let holds = |copy: &Copy| {
        let keeps = !failed(copy) && !copy.had_ended(file) && !copy.ends_too_soon_for(file);
        keeps && (!order.allow_duplicates || copy.is_of(file))
    };
    let leave_out: BTreeSet<&Address> = miners_of(copies, holds).collect();
    let last: BTreeSet<&Address> = miners_of(copies, |copy| failed(copy) || copy.ends_too_soon_for(file))
        .filter(|miner| !leave_out.contains(miner))
        .collect();
    PieceNeeds::Deal {
        leave_out: leave_out.into_iter().cloned().collect(),
        last: last.into_iter().cloned().collect(),
        most,
    }
}

/// What the next deal may cost.
fn left(order: &FileOrder, committed: AttoFil) -> Result<Option<AttoFil>, GivenUp> {
    let Some(most) = order.most else {
        return Ok(None);
    };
    let left = most.checked_sub(committed).ok_or(GivenUp::Limit { most, committed })?;
    Ok(Some(left))
}

fn miners_of<'a>(copies: &'a [Copy], which: impl Fn(&Copy) -> bool + 'a) -> impl Iterator<Item = &'a Address> {
    copies.iter().filter(move |copy| which(copy)).map(|copy| &copy.miner)
}
