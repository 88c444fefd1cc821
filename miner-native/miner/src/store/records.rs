//! What is stored: the machines of `shared` with what the host adds to them.

use serde::{Deserialize, Serialize};
use shared::chain::{AttoFil, Epoch};
use shared::deal::{MinerDeal, ProofInfo};
use shared::piece::{Commitment, InclusionProof};
use shared::sector::{Phase, Sector, SectorStage};

/// A deal and what the host adds to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DealRecord {
    pub deal: MinerDeal,
    /// When it was answered first, in milliseconds since 1970.
    pub created_ms: u64,
    /// The libp2p peer that proposed it.
    pub source: String,
}

/// When a sector entered a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseStart {
    pub phase: Phase,
    /// Milliseconds since 1970.
    pub at_ms: u64,
}

/// A sector and what the host adds to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SectorRecord {
    pub sector: Sector,
    /// When its first piece was placed, in milliseconds since 1970: the auto-seal timer counts from here.
    pub first_piece_ms: u64,
    /// The phases it went through, the present one last.
    pub history: Vec<PhaseStart>,
    /// When the step that failed is tried again, in milliseconds since 1970; `None` while nothing failed.
    #[serde(default)]
    pub retry_at_ms: Option<u64>,
    /// Whether it is over and nothing is left to do: only who names it reads it.
    #[serde(default)]
    pub rests: bool,
}

impl SectorRecord {
    /// When the present phase began, in milliseconds since 1970.
    pub fn since_ms(&self) -> u64 {
        self.history.last().map_or(self.first_piece_ms, |start| start.at_ms)
    }
}

/// A piece that is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PieceRecord {
    pub size: u64,
    pub comm_p: Commitment,
}

/// A proof-of-spacetime that the chain accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostRecord {
    /// End of the window that it proves.
    pub window_end: Epoch,
    /// Height of the block that it is in.
    pub height: Epoch,
    /// The message's id.
    pub message: String,
    pub sectors: Vec<u64>,
    /// Milliseconds since 1970.
    pub at_ms: u64,
}

/// How far the redemption of a voucher has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedemptionRecord {
    /// The voucher's amount, of the whole channel up to it.
    pub amount: AttoFil,
    /// Messages that were sent for it.
    pub attempts: u32,
    pub stage: RedemptionStage,
}

/// See [`RedemptionRecord`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RedemptionStage {
    /// A message is on its way, or about to be sent; `before` was redeemed until then.
    Sent { at: Epoch, before: AttoFil },
    /// In a block; `gained` came in.
    Done {
        message: String,
        height: Epoch,
        gained: AttoFil,
    },
    /// The chain refused it at this height.
    Failed { at: Epoch, reason: String },
}

impl RedemptionRecord {
    /// What it brought in; nothing before it is done.
    pub fn gained(&self) -> Option<AttoFil> {
        match self.stage {
            RedemptionStage::Done { gained, .. } => Some(gained),
            _ => None,
        }
    }
}

/// What a client is told of its piece in a committed sector; `None` for a sector that was given up.
pub(super) fn proof_info(sector: &Sector, index: usize) -> Option<ProofInfo> {
    let SectorStage::Proving { sealed, message, .. } = &sector.stage else {
        return None;
    };
    let inclusion = InclusionProof::prove(&sector.layout()?, index).ok()?;
    Some(ProofInfo {
        sector_id: sector.id,
        comm_d: sealed.comm_d,
        comm_r: sealed.comm_r,
        comm_r_star: sealed.comm_c,
        commitment_message: *message,
        piece_inclusion_proof: Some(inclusion.to_bytes().into()),
    })
}
