//! How long a miner keeps the record of a sector of which nothing is left to do.
//!
//! Asked by the miner's store when a sector has come to its end and its deals know. Until then it is looked after; from then on only
//! who names it reads it, and one day it is forgotten. Deals have a rule of their own ([`crate::deal::retention`]).

use super::{Sector, SectorStage};

/// Most sectors that are kept after they were released: at ten a day, eighteen years.
pub const REMOVED_KEPT: u64 = 65_536;
/// Most sectors that are kept after they were lost or given up: more than an operator looks through.
pub const LOST_KEPT: u64 = 4096;
/// How long either is kept: as long as a deal after its end, in milliseconds.
pub const KEPT_MS: u64 = 365 * 24 * 3600 * 1000;

/// How a sector is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SectorOver {
    /// Released, and its files deleted.
    Removed,
    /// Given up, or lost to the chain before its time.
    Lost,
}

impl SectorOver {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Removed, Self::Lost];

    /// Whether a sector is kept that has been over for `age_ms` milliseconds, with `newer` sectors over in the same way since.
    pub fn keeps(self, newer: u64, age_ms: u64) -> bool {
        let most = match self {
            Self::Removed => REMOVED_KEPT,
            Self::Lost => LOST_KEPT,
        };
        newer < most && age_ms < KEPT_MS
    }
}

impl Sector {
    /// How the sector is over; `None` while anything may still be done with it.
    pub fn over(&self) -> Option<SectorOver> {
        match self.stage {
            SectorStage::Removed { .. } => Some(SectorOver::Removed),
            SectorStage::Failed { resume: None, .. } => Some(SectorOver::Lost),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sector_is_kept_as_long_as_a_deal_after_its_end() {
        assert_eq!(KEPT_MS, crate::deal::retention::ENDED_KEPT_MS);
    }

    #[test]
    fn a_sector_that_is_over_is_kept_by_number_and_by_age() {
        assert!(SectorOver::Lost.keeps(LOST_KEPT - 1, KEPT_MS - 1));
        assert!(!SectorOver::Lost.keeps(LOST_KEPT, 0));
        assert!(!SectorOver::Lost.keeps(0, KEPT_MS));
        assert!(SectorOver::Removed.keeps(LOST_KEPT, 0));
        assert!(!SectorOver::Removed.keeps(REMOVED_KEPT, 0));
    }
}
