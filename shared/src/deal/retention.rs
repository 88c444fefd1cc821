//! How many deals a miner keeps: those that something is owed for, and for a while those that are over.
//!
//! Asked by the miner's store for every deal that comes or ends. A deal that ended can be asked about until it is forgotten; then the
//! answer to a query is Unknown, as for one that never was. Each way to be over has its own room, so that a flood of proposals
//! that come to nothing displaces neither deals that were served nor refusals.

use super::miner::{MinerDeal, MinerStage};

/// Most deals at once that are not over: each is kept with up to 256 KiB of vouchers, commonly with 4 kB, so half a GiB of disk.
/// Deals that are over do not count.
pub const MAX_LIVE_DEALS: u64 = 131_072;
/// Most refusals that are kept, so that the same proposal gets the same answer: they cost a peer nothing.
pub const REFUSED_KEPT: u64 = 256;
/// Most failed deals that are kept: a client asks after its own within a day or two.
pub const FAILED_KEPT: u64 = 4096;
/// Most deals that are kept after they were served to their end.
pub const ENDED_KEPT: u64 = 65_536;
/// How long a failed deal is kept: a month, in milliseconds.
pub const FAILED_KEPT_MS: u64 = 30 * 24 * 3600 * 1000;
/// How long a deal is kept after its end: a year, in milliseconds.
pub const ENDED_KEPT_MS: u64 = 365 * 24 * 3600 * 1000;

/// How a deal is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Over {
    /// It never was a deal.
    Refused,
    /// It was given up.
    Failed,
    /// Its piece was kept as long as was agreed.
    Ended,
}

impl Over {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Refused, Self::Failed, Self::Ended];

    /// Most deals that are kept.
    pub fn most(self) -> u64 {
        match self {
            Self::Refused => REFUSED_KEPT,
            Self::Failed => FAILED_KEPT,
            Self::Ended => ENDED_KEPT,
        }
    }

    /// Whether a deal is kept that has been over for `age_ms` milliseconds, with `newer` deals over in the same way since.
    pub fn keeps(self, newer: u64, age_ms: u64) -> bool {
        let longest = match self {
            Self::Refused => None,
            Self::Failed => Some(FAILED_KEPT_MS),
            Self::Ended => Some(ENDED_KEPT_MS),
        };
        newer < self.most() && longest.is_none_or(|longest| age_ms < longest)
    }
}

impl MinerDeal {
    /// How the deal is over; `None` while something is owed for it.
    pub fn over(&self) -> Option<Over> {
        match self.stage {
            MinerStage::Rejected { .. } => Some(Over::Refused),
            MinerStage::Failed { .. } => Some(Over::Failed),
            MinerStage::Ended { .. } => Some(Over::Ended),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deal_that_is_over_is_kept_by_number_and_by_age() {
        assert!(Over::Failed.keeps(FAILED_KEPT - 1, FAILED_KEPT_MS - 1));
        assert!(!Over::Failed.keeps(FAILED_KEPT, 0));
        assert!(!Over::Failed.keeps(0, FAILED_KEPT_MS));
        let days = |days: u64| days * 86_400_000;
        assert!(Over::Failed.keeps(0, days(29)) && Over::Ended.keeps(0, days(364)));
        assert!(
            Over::Ended.keeps(FAILED_KEPT, FAILED_KEPT_MS),
            "a served deal is kept longer"
        );
        assert!(Over::Refused.keeps(0, u64::MAX));
    }
}
