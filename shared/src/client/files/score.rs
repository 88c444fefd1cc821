//! What a client has seen of miners: derived from its deals and drills, never kept.

use super::copies::{Copy, Failure, Standing};
use super::record::FileRecord;
use crate::chain::Address;
use crate::client::record::DealRecord;
use alloc::collections::BTreeMap;
use serde::Serialize;

/// One miner's deals and drills with this client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ScoreCard {
    /// Deals that are complete.
    pub complete: u64,
    pub under_way: u64,
    /// Deals that it would not take.
    pub refused: u64,
    /// Deals that failed otherwise.
    pub failed: u64,
    /// Copies that came back when they were fetched to see whether they do.
    pub drills_passed: u64,
    pub drills_failed: u64,
    /// Copies that did not come back three times in a row.
    pub lost: u64,
}

/// The cards of all miners that these deals and files tell of.
pub fn score_cards<'a, F: 'a>(
    deals: impl IntoIterator<Item = &'a DealRecord<F>>,
    files: impl IntoIterator<Item = &'a FileRecord>,
) -> BTreeMap<Address, ScoreCard> {
    let mut cards = BTreeMap::<Address, ScoreCard>::new();
    for record in deals {
        let copy = Copy::of(record);
        let card = cards.entry(copy.miner).or_default();
        let count = match copy.standing {
            Standing::Kept | Standing::Lost => &mut card.complete,
            Standing::UnderWay { .. } => &mut card.under_way,
            Standing::Failed(Failure::Refused) => &mut card.refused,
            Standing::Failed(Failure::Other) => &mut card.failed,
            // It was never asked.
            Standing::Failed(Failure::Declined) => continue,
        };
        *count = count.saturating_add(1);
    }
    for file in files {
        for (miner, seen) in file.drills.of_miners() {
            let card = cards.entry(miner.clone()).or_default();
            card.drills_passed = card.drills_passed.saturating_add(seen.passed);
            card.drills_failed = card.drills_failed.saturating_add(seen.failed);
            card.lost = card.lost.saturating_add(seen.lost);
        }
    }
    cards
}
