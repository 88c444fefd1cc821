//! The fifteen steps of a deal (design §2), how each may stand, and on which others what is said of it rests.

use alloc::string::String;
use core::fmt;
use serde::Serialize;

/// A step of a deal, in the order of its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum DealStep {
    /// The file is chosen.
    File,
    /// CommP and data root are computed.
    Piece,
    /// Miner and ask are chosen, and the proposal is drawn up.
    Terms,
    /// The payment channel is open, and the vouchers are signed.
    Payment,
    /// The proposal is signed and sent.
    Proposal,
    /// The miner has answered with its signature.
    Answer,
    /// The data are transferred.
    Transfer,
    /// The miner has checked CommP and the vouchers' conditions.
    Check,
    /// The piece is staged in a sector.
    Staging,
    /// The sector is sealed.
    Seal,
    /// Pre-commit and commit are on the chain, and the proof was verified there.
    Commit,
    /// The deal is complete, with an inclusion proof.
    Inclusion,
    /// Proofs-of-spacetime in every window.
    Proving,
    /// Vouchers are redeemed as they fall due.
    Redemption,
    /// The file is retrieved and verified.
    Retrieval,
}

impl DealStep {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::File,
        Self::Piece,
        Self::Terms,
        Self::Payment,
        Self::Proposal,
        Self::Answer,
        Self::Transfer,
        Self::Check,
        Self::Staging,
        Self::Seal,
        Self::Commit,
        Self::Inclusion,
        Self::Proving,
        Self::Redemption,
        Self::Retrieval,
    ];

    /// 1 to 15.
    pub fn number(self) -> usize {
        (self as usize).saturating_add(1)
    }

    /// What it is called in a line of text.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Piece => "data root and CommP",
            Self::Terms => "terms",
            Self::Payment => "payment channel and vouchers",
            Self::Proposal => "signed proposal",
            Self::Answer => "miner's answer",
            Self::Transfer => "transfer",
            Self::Check => "the miner's check",
            Self::Staging => "place in a sector",
            Self::Seal => "seal",
            Self::Commit => "commit on the chain",
            Self::Inclusion => "inclusion proof",
            Self::Proving => "proofs-of-spacetime",
            Self::Redemption => "redeemed vouchers",
            Self::Retrieval => "retrieval",
        }
    }

    /// Steps whose artefacts it is judged by beside its own. When one of them is wrong, nothing is said of this one.
    pub(super) fn rests_on(self) -> &'static [Self] {
        match self {
            Self::File | Self::Retrieval => &[Self::Piece],
            Self::Piece | Self::Terms => &[Self::Payment, Self::Proposal],
            Self::Payment => &[Self::Proposal],
            Self::Proposal | Self::Redemption => &[Self::Payment],
            Self::Answer | Self::Transfer | Self::Check => &[Self::Proposal],
            Self::Staging => &[Self::Proposal, Self::Inclusion],
            Self::Seal => &[Self::Commit, Self::Inclusion],
            Self::Commit => &[Self::Seal, Self::Inclusion],
            Self::Inclusion => &[Self::Piece, Self::Terms, Self::Proposal],
            Self::Proving => &[Self::Inclusion],
        }
    }
}

impl fmt::Display for DealStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}, {}", self.number(), self.name())
    }
}

/// Whose word a step stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum StepStanding {
    /// Whoever reads this has checked it.
    Checked,
    /// Whoever made the deal says so. Of somebody else's receipt only: one's own work is checked.
    ClaimedByClient,
    ClaimedByMiner,
    ClaimedByChain,
    /// The deal has not come to it.
    NotYet,
    /// Not judged, since a step that it rests on is wrong: [`StepReport::because`].
    Unchecked,
    /// Its artefacts contradict themselves or others.
    Wrong,
}

impl StepStanding {
    /// In a line of text.
    pub fn words(self) -> &'static str {
        match self {
            Self::Checked => "checked",
            Self::ClaimedByClient => "claimed by the client",
            Self::ClaimedByMiner => "claimed by the miner",
            Self::ClaimedByChain => "claimed by the chain",
            Self::NotYet => "not yet",
            Self::Unchecked => "not checked",
            Self::Wrong => "wrong",
        }
    }
}

/// How a step stands, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepReport {
    pub step: DealStep,
    pub standing: StepStanding,
    /// What was compared with what, and what came of it.
    pub detail: String,
    /// The wrong step that keeps this one from being judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<DealStep>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_are_numbered_in_the_order_of_a_deals_life() {
        let numbers: alloc::vec::Vec<usize> = DealStep::ALL.iter().map(|step| step.number()).collect();
        assert_eq!(numbers, (1..=15).collect::<alloc::vec::Vec<_>>());
        assert_eq!(DealStep::Commit.number(), 11);
    }
}
