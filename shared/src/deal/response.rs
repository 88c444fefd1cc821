//! What a miner answers: the state of a deal, signed by its worker (spec §1.7, §2).

use crate::chain::{Address, SecretKey, Signature};
use crate::payment::InclusionEvidence;
use crate::piece::Commitment;
use crate::wire::cbor::{cbor_map, map, Bytes, Cbor, DecodeError, Fields, Value};
use crate::wire::encode;
use alloc::{string::String, vec, vec::Vec};
use cid::Cid;
use core::fmt;

/// States as they go over the wire (spec §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum DealState {
    Unknown = 1,
    Rejected = 2,
    Accepted = 3,
    Started = 4,
    Failed = 5,
    Staged = 6,
    Complete = 7,
}

impl DealState {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Unknown,
        Self::Rejected,
        Self::Accepted,
        Self::Started,
        Self::Failed,
        Self::Staged,
        Self::Complete,
    ];

    /// The text that tools print.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Rejected => "rejected",
            Self::Accepted => "accepted",
            Self::Started => "started",
            Self::Failed => "failed",
            Self::Staged => "staged",
            Self::Complete => "complete",
        }
    }

    /// Whether nothing comes after it.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Rejected | Self::Failed | Self::Complete)
    }
}

impl fmt::Display for DealState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Cbor for DealState {
    fn to_value(&self) -> Value {
        (*self as u64).to_value()
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let number = u64::from_value(value)?;
        Self::ALL
            .into_iter()
            .find(|state| *state as u64 == number)
            .ok_or_else(|| DecodeError::invalid("deal state", alloc::format!("<unrecognized {number}>")))
    }
}

/// Where a complete deal's piece lies, and how to check that it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofInfo {
    pub sector_id: u64,
    pub comm_d: Commitment,
    pub comm_r: Commitment,
    /// CommC, the commitment to all layers of the replica (design §9).
    pub comm_r_star: Commitment,
    /// The commitSector message.
    pub commitment_message: Cid,
    /// An [`crate::piece::InclusionProof`] of the piece in CommD, in its byte form.
    pub piece_inclusion_proof: Option<Bytes>,
}
cbor_map!(ProofInfo {
    "commD" => comm_d, "commR" => comm_r, "sectorID" => sector_id, "commRStar" => comm_r_star,
    "commitmentMessage" => commitment_message, "pieceInclusionProof" => piece_inclusion_proof,
});

impl ProofInfo {
    /// What the deal's conditional vouchers are redeemed with; `None` when there is no inclusion proof.
    pub fn evidence(&self) -> Option<InclusionEvidence> {
        Some(InclusionEvidence {
            sector: self.sector_id,
            pip: self.piece_inclusion_proof.clone()?,
        })
    }
}

/// The unsigned answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub state: DealState,
    pub message: String,
    pub proposal_cid: Cid,
    pub proof_info: Option<ProofInfo>,
}

/// The answer with the miner's worker's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedResponse {
    pub response: Response,
    pub signature: Signature,
}

/// Asks for the state of a deal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryRequest {
    pub cid: Cid,
}
cbor_map!(QueryRequest { "cid" => cid });

const RESPONSE_KEYS: [&str; 4] = ["state", "message", "proofInfo", "proposalCid"];

impl Response {
    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("state", self.state.to_value()),
            ("message", self.message.to_value()),
            ("proofInfo", self.proof_info.to_value()),
            ("proposalCid", self.proposal_cid.to_value()),
        ]
    }

    fn take(fields: &mut Fields) -> Result<Self, DecodeError> {
        Ok(Self {
            state: fields.take("state")?,
            message: fields.take("message")?,
            proof_info: fields.take("proofInfo")?,
            proposal_cid: fields.take("proposalCid")?,
        })
    }

    /// Signs the answer as the miner's worker.
    pub fn sign(self, worker: &SecretKey) -> SignedResponse {
        let signature = worker.sign(&encode(&self));
        SignedResponse {
            response: self,
            signature,
        }
    }
}

impl Cbor for Response {
    fn to_value(&self) -> Value {
        map(self.fields())
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        Self::take(&mut Fields::open(value, "Response", &RESPONSE_KEYS)?)
    }
}

impl Cbor for SignedResponse {
    fn to_value(&self) -> Value {
        let mut fields = self.response.fields();
        fields.push(("signature", self.signature.to_value()));
        map(fields)
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let keys: Vec<&str> = RESPONSE_KEYS.iter().copied().chain(["signature"]).collect();
        let mut fields = Fields::open(value, "SignedResponse", &keys)?;
        Ok(Self {
            response: Response::take(&mut fields)?,
            signature: fields.take("signature")?,
        })
    }
}

impl SignedResponse {
    /// Whether `worker` signed exactly this answer.
    pub fn is_signed_by(&self, worker: &Address) -> bool {
        self.signature.verifies(&encode(&self.response), worker)
    }
}
