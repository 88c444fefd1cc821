//! The miner's side of a deal, from acceptance to proof (design §4). Driven by the daemon; sealing itself is the
//! sector's business ([`crate::sector`]).

use super::proposal::SignedProposal;
use super::response::{DealState, ProofInfo, Response};
use crate::chain::BytesAmount;
use crate::payment::ConditionError;
use crate::piece::Commitment;
use crate::wire::as_cbor;
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// One deal as the miner keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MinerDeal {
    #[serde(with = "as_cbor")]
    pub proposal: SignedProposal,
    pub stage: MinerStage,
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
    /// The piece was placed in a sector.
    Placed { sector: u64 },
    /// The sector's commitSector message is on the chain and confirmed.
    Committed { proof: ProofInfo },
    /// The sector cannot be sealed or committed.
    SectorFailed { sector: u64 },
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
    /// A deal that was just accepted.
    pub fn accepted(proposal: SignedProposal) -> Self {
        Self {
            proposal,
            stage: MinerStage::Accepted,
        }
    }

    /// The state as it goes over the wire.
    pub fn state(&self) -> DealState {
        match self.stage {
            MinerStage::Rejected { .. } => DealState::Rejected,
            MinerStage::Accepted | MinerStage::Received { .. } => DealState::Accepted,
            MinerStage::Staged { .. } => DealState::Staged,
            MinerStage::Complete { .. } => DealState::Complete,
            MinerStage::Failed { .. } => DealState::Failed,
        }
    }

    /// The answer to a query, to be signed by the worker.
    pub fn response(&self) -> Response {
        let (message, proof_info) = match &self.stage {
            MinerStage::Rejected { reason } | MinerStage::Failed { reason } => (reason.clone(), None),
            MinerStage::Complete { proof, .. } => (String::new(), Some(proof.clone())),
            _ => (String::new(), None),
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
            _ => MinerEffect::Rest,
        }
    }

    /// Moves the deal on. On `Err` nothing changed; an input that was applied before changes nothing either.
    pub fn handle(&mut self, input: MinerInput) -> Result<(), Unexpected> {
        let next = match (&self.stage, &input) {
            (MinerStage::Accepted, MinerInput::PieceReceived { comm_p }) => self.received(*comm_p),
            (MinerStage::Accepted, MinerInput::TransferFailed) => MinerStage::Failed {
                reason: "Transfer failed".into(),
            },
            (MinerStage::Received { comm_p }, MinerInput::Placed { sector }) => MinerStage::Staged {
                comm_p: *comm_p,
                sector: *sector,
            },
            (MinerStage::Staged { comm_p, .. }, MinerInput::Committed { proof }) => MinerStage::Complete {
                comm_p: *comm_p,
                proof: proof.clone(),
            },
            (MinerStage::Staged { .. }, MinerInput::SectorFailed { sector }) => MinerStage::Failed {
                reason: alloc::format!("failed sealing sector: {sector}"),
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
        let vouchers = proposal.payment.vouchers.as_deref().unwrap_or_default();
        let conditions = vouchers.iter().filter_map(|voucher| voucher.condition.as_ref());
        for condition in conditions {
            condition.check(&proposal.miner_address, &comm_p, BytesAmount(self.proposal.size()))?;
        }
        Ok(())
    }

    fn already_applied(&self, input: &MinerInput) -> bool {
        match (&self.stage, input) {
            (MinerStage::Received { comm_p }, MinerInput::PieceReceived { comm_p: again }) => comm_p == again,
            (MinerStage::Staged { sector, .. }, MinerInput::Placed { sector: again }) => sector == again,
            (MinerStage::Complete { proof, .. }, MinerInput::Committed { proof: again }) => proof == again,
            (MinerStage::Failed { .. }, MinerInput::TransferFailed | MinerInput::SectorFailed { .. }) => true,
            _ => false,
        }
    }
}

impl MinerInput {
    fn name(&self) -> &'static str {
        match self {
            Self::PieceReceived { .. } => "a received piece",
            Self::TransferFailed => "a failed transfer",
            Self::Placed { .. } => "a place in a sector",
            Self::Committed { .. } => "a commitment",
            Self::SectorFailed { .. } => "a failed sector",
        }
    }
}
