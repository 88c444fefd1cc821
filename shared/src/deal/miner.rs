//! The miner's side of a deal, from acceptance to its end (design §4). Driven by the daemon; sealing itself is the
//! sector's business ([`crate::sector`]), and which voucher is redeemed when is [`next_redemption`]'s.
//!
//! A deal ends when its duration is over and nothing more comes of its vouchers (spec §7.24). Its record stays, and
//! queries are answered as before; when all deals of a sector have ended, the sector is released.
//!
//! This machine and the sector's take the place of the "deals awaiting seal" of 2019 (spec §4.6, §9.30 to 9.35): a deal
//! names its sector, and a sector its deals, so that any number of deals may wait, or ask late, without anything that
//! grows or could be lost in a restart.

use super::failure::FailureCode;
use super::proposal::SignedProposal;
use super::response::{DealState, ProofInfo, Response};
use super::review::PROPOSAL_SLACK;
use crate::chain::{BytesAmount, Epoch};
use crate::payment::{next_redemption, ChannelFacts, ConditionError, PaymentVoucher, Redemption};
use crate::piece::Commitment;
use crate::sector::timing::too_late;
use crate::wire::as_cbor;
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// One deal as the miner keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MinerDeal {
    #[serde(with = "as_cbor")]
    pub proposal: SignedProposal,
    pub stage: MinerStage,
    /// The chain's height when the proposal was answered. Records from before it was kept have the highest height: a
    /// free deal among them never ends.
    #[serde(default = "unknown_height")]
    pub answered_at: Epoch,
}

fn unknown_height() -> Epoch {
    Epoch(u64::MAX)
}

/// How far a deal has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum MinerStage {
    /// The proposal was refused, with the reason that was sent.
    Rejected { reason: String },
    /// The answer is out; the piece is being fetched.
    Accepted,
    /// All bytes are here, and their CommP is what the vouchers are conditional on.
    Received { comm_p: Commitment },
    /// The piece has its place in a sector.
    Staged { comm_p: Commitment, sector: u64 },
    /// The sector's commitment is on the chain.
    Complete {
        comm_p: Commitment,
        #[serde(with = "as_cbor")]
        proof: ProofInfo,
    },
    /// Over: the duration has passed and the vouchers have paid what they can.
    Ended {
        comm_p: Commitment,
        #[serde(with = "as_cbor")]
        proof: ProofInfo,
        /// The height at which it was found over.
        at: Epoch,
    },
    /// Given up; the reason goes to the client.
    Failed { reason: String },
}

/// What happened to a deal.
#[derive(Debug, Clone, PartialEq)]
pub enum MinerInput {
    /// The whole piece is stored and verified against the data root.
    PieceReceived { comm_p: Commitment },
    /// The piece cannot be had.
    TransferFailed,
    /// Who offered the piece sent something else, and nobody else has it.
    WrongData,
    /// The piece was placed in a sector.
    Placed { sector: u64 },
    /// The sector that it lies in, not sealed yet, has another number now: the chain has seen its old one.
    Renumbered { from: u64, to: u64 },
    /// No sector takes the piece.
    PlacingFailed,
    /// The piece, not sealed yet, cannot be committed before the deal is given up.
    Evicted { reason: String },
    /// The sector's commitSector message is on the chain and confirmed.
    Committed { proof: ProofInfo },
    /// The sector cannot be sealed or committed, or it was committed and is lost.
    SectorFailed { sector: u64 },
    /// [`MinerDeal::has_ended`] at this height; or the [`MinerDeal::deadline`] of a piece that is not sealed has passed.
    Ended { height: Epoch },
}

/// What the daemon must do next for a deal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MinerEffect {
    /// Fetch the piece, from where the staging store stands.
    FetchPiece,
    /// Give the piece a place in a sector.
    Place,
    /// Nothing: the sector will report.
    AwaitSector { sector: u64 },
    /// Keep the piece, and redeem vouchers as [`MinerDeal::redemption`] says; from `until` on see whether the deal
    /// [`MinerDeal::has_ended`].
    Keep { until: Epoch },
    /// Nothing, for good.
    Rest,
}

/// An input that does not fit the deal's stage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{input} does not apply to a deal that is {state}")]
pub struct Unexpected {
    pub input: &'static str,
    pub state: DealState,
}

impl MinerDeal {
    /// A deal that is accepted at `height`.
    pub fn accepted(proposal: SignedProposal, height: Epoch) -> Self {
        Self {
            proposal,
            stage: MinerStage::Accepted,
            answered_at: height,
        }
    }

    /// A deal that is refused at `height`.
    pub fn rejected(proposal: SignedProposal, reason: String, height: Epoch) -> Self {
        Self {
            proposal,
            stage: MinerStage::Rejected { reason },
            answered_at: height,
        }
    }

    /// The deal's vouchers; none in a free deal, whatever its proposal holds: nobody has reviewed it.
    pub fn vouchers(&self) -> &[PaymentVoucher] {
        if self.proposal.proposal.total_price.is_zero() {
            return &[];
        }
        self.proposal.proposal.payment.vouchers.as_deref().unwrap_or_default()
    }

    /// Whether nothing is paid for the deal.
    pub fn is_free(&self) -> bool {
        self.proposal.proposal.is_free()
    }

    /// The height at which the deal's time is over: when the last voucher falls due, and at the latest the duration after
    /// the acceptance, whatever the vouchers say. A miner that asks for nothing does not review them.
    pub fn end(&self) -> Epoch {
        let latest = self.answered_at.plus(self.proposal.proposal.duration);
        let last = self.vouchers().last();
        last.map_or(latest, |voucher| voucher.valid_at.min(latest))
    }

    /// What is to be done about the deal's vouchers at `height`. `channel` is the deal's, `None` when the chain has it no
    /// more. Nothing is redeemed before the deal is complete.
    pub fn redemption(&self, height: Epoch, channel: Option<&ChannelFacts>) -> Redemption {
        match (self.proof(), channel) {
            (Some(proof), Some(channel)) => {
                next_redemption(self.vouchers(), channel, height, proof.evidence().as_ref())
            }
            _ => Redemption::Finished,
        }
    }

    /// Whether a complete deal is over at `height`: its time has passed, and nothing more comes of its vouchers.
    pub fn has_ended(&self, height: Epoch, channel: Option<&ChannelFacts>) -> bool {
        matches!(self.stage, MinerStage::Complete { .. })
            && height >= self.end()
            && self.redemption(height, channel).is_over()
    }

    /// Where a complete deal's piece lies, also after the deal's end.
    pub fn proof(&self) -> Option<&ProofInfo> {
        match &self.stage {
            MinerStage::Complete { proof, .. } | MinerStage::Ended { proof, .. } => Some(proof),
            _ => None,
        }
    }

    /// The sector that holds the piece.
    pub fn sector(&self) -> Option<u64> {
        match &self.stage {
            MinerStage::Staged { sector, .. } => Some(*sector),
            _ => self.proof().map(|proof| proof.sector_id),
        }
    }

    /// The state as it goes over the wire.
    pub fn state(&self) -> DealState {
        match self.stage {
            MinerStage::Rejected { .. } => DealState::Rejected,
            MinerStage::Accepted | MinerStage::Received { .. } => DealState::Accepted,
            MinerStage::Staged { .. } => DealState::Staged,
            MinerStage::Complete { .. } | MinerStage::Ended { .. } => DealState::Complete,
            MinerStage::Failed { .. } => DealState::Failed,
        }
    }

    /// The answer to a query, to be signed by the worker.
    pub fn response(&self) -> Response {
        let (message, proof_info) = match &self.stage {
            MinerStage::Rejected { reason } | MinerStage::Failed { reason } => (reason.clone(), None),
            _ => (String::new(), self.proof().cloned()),
        };
        Response {
            state: self.state(),
            message,
            proposal_cid: self.proposal.cid(),
            proof_info,
        }
    }

    /// The next thing to do; the same after a restart.
    pub fn effect(&self) -> MinerEffect {
        match self.stage {
            MinerStage::Accepted => MinerEffect::FetchPiece,
            MinerStage::Received { .. } => MinerEffect::Place,
            MinerStage::Staged { sector, .. } => MinerEffect::AwaitSector { sector },
            MinerStage::Complete { .. } => MinerEffect::Keep { until: self.end() },
            MinerStage::Rejected { .. } | MinerStage::Ended { .. } | MinerStage::Failed { .. } => MinerEffect::Rest,
        }
    }

    /// The height from which on something is to be done that no event announces: a piece that is still awaited at the
    /// deal's end is not awaited any longer ([`MinerInput::TransferFailed`]); one that is not sealed some time later never
    /// will be for this deal ([`MinerInput::Ended`]), well before the client gives up; and a complete deal may be over.
    pub fn deadline(&self) -> Option<Epoch> {
        match self.stage {
            MinerStage::Accepted | MinerStage::Complete { .. } => Some(self.end()),
            MinerStage::Received { .. } | MinerStage::Staged { .. } => Some(self.end().plus(PROPOSAL_SLACK)),
            _ => None,
        }
    }

    /// Why the deal's piece, not sealed yet, cannot be committed before the deal is given up; `None` when it can.
    pub fn is_too_late(&self, height: Epoch, needed: u64) -> Option<String> {
        let deadline = self.deadline()?;
        (height.plus(needed) >= deadline).then(|| too_late(deadline, height, needed))
    }

    /// Moves the deal on. On `Err` nothing changed; an input that was applied before changes nothing either.
    pub fn handle(&mut self, input: MinerInput) -> Result<(), Unexpected> {
        let next = match (&self.stage, &input) {
            (MinerStage::Accepted, MinerInput::PieceReceived { comm_p }) => self.received(*comm_p),
            (MinerStage::Accepted, MinerInput::TransferFailed) => MinerStage::Failed {
                reason: FailureCode::TransferFailed.message().into(),
            },
            (MinerStage::Accepted, MinerInput::WrongData) => MinerStage::Failed {
                reason: FailureCode::WrongData.message().into(),
            },
            (MinerStage::Received { comm_p }, MinerInput::Placed { sector }) => MinerStage::Staged {
                comm_p: *comm_p,
                sector: *sector,
            },
            (MinerStage::Staged { comm_p, sector }, MinerInput::Renumbered { from, to }) if sector == from => {
                MinerStage::Staged {
                    comm_p: *comm_p,
                    sector: *to,
                }
            }
            (MinerStage::Received { .. }, MinerInput::PlacingFailed) => MinerStage::Failed {
                reason: "failed to submit seal proof".into(),
            },
            (MinerStage::Staged { comm_p, .. }, MinerInput::Committed { proof }) => MinerStage::Complete {
                comm_p: *comm_p,
                proof: proof.clone(),
            },
            (MinerStage::Staged { .. }, MinerInput::SectorFailed { sector }) => MinerStage::Failed {
                reason: alloc::format!("failed sealing sector: {sector}"),
            },
            (MinerStage::Complete { proof, .. }, MinerInput::SectorFailed { sector }) if proof.sector_id == *sector => {
                MinerStage::Failed {
                    reason: alloc::format!("sector {sector} was lost"),
                }
            }
            (MinerStage::Received { .. } | MinerStage::Staged { .. }, MinerInput::Ended { .. }) => MinerStage::Failed {
                reason: "the deal ended before its piece was sealed".into(),
            },
            (MinerStage::Received { .. } | MinerStage::Staged { .. }, MinerInput::Evicted { reason }) => {
                MinerStage::Failed { reason: reason.clone() }
            }
            (MinerStage::Complete { comm_p, proof }, MinerInput::Ended { height }) => MinerStage::Ended {
                comm_p: *comm_p,
                proof: proof.clone(),
                at: *height,
            },
            _ if self.already_applied(&input) => return Ok(()),
            _ => {
                return Err(Unexpected {
                    input: input.name(),
                    state: self.state(),
                })
            }
        };
        self.stage = next;
        Ok(())
    }

    /// The stage after the bytes have arrived: every voucher's condition must speak of this piece (spec §4.5).
    fn received(&self, comm_p: Commitment) -> MinerStage {
        match self.check_conditions(comm_p) {
            Ok(()) => MinerStage::Received { comm_p },
            Err(e) => MinerStage::Failed {
                reason: alloc::format!("payment error: {e}"),
            },
        }
    }

    fn check_conditions(&self, comm_p: Commitment) -> Result<(), ConditionError> {
        let proposal = &self.proposal.proposal;
        let conditions = self.vouchers().iter().filter_map(|voucher| voucher.condition.as_ref());
        for condition in conditions {
            condition.check(&proposal.miner_address, &comm_p, BytesAmount(self.proposal.size()))?;
        }
        Ok(())
    }

    fn already_applied(&self, input: &MinerInput) -> bool {
        match (&self.stage, input) {
            (MinerStage::Received { comm_p }, MinerInput::PieceReceived { comm_p: again }) => comm_p == again,
            (MinerStage::Staged { sector, .. }, MinerInput::Placed { sector: again }) => sector == again,
            (MinerStage::Staged { sector, .. }, MinerInput::Renumbered { to, .. }) => sector == to,
            (MinerStage::Complete { proof, .. }, MinerInput::Committed { proof: again }) => proof == again,
            (MinerStage::Ended { .. }, MinerInput::Ended { .. }) => true,
            (
                MinerStage::Failed { .. },
                MinerInput::PieceReceived { .. }
                | MinerInput::TransferFailed
                | MinerInput::WrongData
                | MinerInput::PlacingFailed
                | MinerInput::SectorFailed { .. }
                | MinerInput::Evicted { .. }
                | MinerInput::Ended { .. },
            ) => true,
            _ => false,
        }
    }
}

impl MinerInput {
    fn name(&self) -> &'static str {
        match self {
            Self::PieceReceived { .. } => "a received piece",
            Self::TransferFailed => "a failed transfer",
            Self::WrongData => "other data than the piece",
            Self::Placed { .. } => "a place in a sector",
            Self::Renumbered { .. } => "another number of its sector",
            Self::PlacingFailed => "a piece that no sector takes",
            Self::Evicted { .. } => "a piece that comes too late",
            Self::Committed { .. } => "a commitment",
            Self::Ended { .. } => "the deal's end",
            Self::SectorFailed { .. } => "a failed sector",
        }
    }
}
