//! A deal as this browser keeps it, and as the page sees it.
//!
//! The record is the engine's ([`shared::client::DealRecord`]); the page gets a [`Deal`].

use crate::error::ClientError;
use crate::former;
use crate::public_types::{Deal, DealProgress, Refund, RefundState, SectorProof, StepRecord};
use serde::{Deserialize, Serialize};
use shared::client::{ChannelRefund, DealRecord, Step};
use shared::deal::{ClientStage, Refund as RefundStage};

/// What a page knows a file by; its bytes are kept beside the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedFile {
    pub name: String,
    /// MIME type.
    pub kind: String,
}

/// One deal with all that is known of it here.
pub type Record = DealRecord<NamedFile>;

/// Reads what [`to_text`] wrote.
pub fn from_text(text: &str) -> Result<Record, ClientError> {
    let unreadable = |e: serde_json::Error| ClientError::Storage(format!("a kept deal cannot be read: {e}"));
    former::read(text).map_err(unreadable)
}

/// The record for the page's storage.
pub fn to_text(record: &Record) -> Result<String, ClientError> {
    serde_json::to_string(record).map_err(|e| ClientError::Internal(format!("a deal cannot be written: {e}")))
}

/// The refunds that a person wants to know of: nothing is said of a channel that a miner is still earning, nor of one
/// that was empty at its end.
fn refunds(record: &Record) -> Vec<Refund<'_>> {
    let earning = record.deal.channel().filter(|_| record.is_complete());
    let of_interest = |channel: u64, found: &ChannelRefund| {
        Some(channel) != earning || (found.refund.deadline().is_none() && !found.amount.is_zero())
    };
    let all = record.refunds.iter();
    all.filter(|(channel, found)| of_interest(**channel, found))
        .map(|(channel, found)| refund_view(*channel, found))
        .collect()
}

fn refund_view(channel: u64, found: &ChannelRefund) -> Refund<'_> {
    Refund {
        channel,
        amount: found.amount,
        state: RefundState::of(&found.refund),
        until: found.refund.deadline(),
        earned: matches!(found.refund, RefundStage::Waiting { earned: true, .. }),
        error: found.error.as_ref(),
    }
}

/// Why the deal failed, if it did.
fn failure(record: &Record) -> Option<ClientError> {
    let ClientStage::Failed { reason, .. } = &record.deal.stage else {
        return None;
    };
    Some(match reason.starts_with("deal rejected") {
        true => ClientError::Rejected {
            code: record.error.as_ref().and_then(|problem| problem.rejection),
            message: reason.clone(),
        },
        false => ClientError::DealFailed(reason.clone()),
    })
}

/// `Deal` for the page.
pub fn view(record: &Record, connected: bool) -> Result<wasm_bindgen::JsValue, ClientError> {
    let draft = &record.deal.draft;
    let (state, reason) = match &record.deal.stage {
        ClientStage::Complete { .. } => (DealProgress::Complete, None),
        ClientStage::Failed { reason, .. } => (DealProgress::Failed, Some(reason.as_str())),
        _ => (DealProgress::Working, None),
    };
    let proof = record
        .deal
        .proof()
        .filter(|_| state == DealProgress::Complete)
        .map(|proof| SectorProof {
            sector_id: proof.sector_id,
            comm_d: proof.comm_d,
            comm_r: proof.comm_r,
            comm_r_star: proof.comm_r_star,
            commitment_message: proof.commitment_message.to_string(),
        });
    let view = Deal {
        id: &record.id,
        deal_cid: record.cid.clone(),
        name: &record.file.name,
        size: draft.size,
        kind: &record.file.kind,
        created_at: record.created_ms as f64,
        data_cid: draft.data_cid.to_string(),
        piece_cid: record.piece_cid().to_string(),
        comm_p: draft.comm_p,
        miner: draft.miner.to_string(),
        duration: draft.duration,
        total: draft.total().unwrap_or_default(),
        step: record.step(),
        state,
        reason,
        transferred: record.transferred,
        steps: Step::ALL
            .map(|step| StepRecord {
                step,
                at: record.reached.get(&step).map(|at| *at as f64),
            })
            .into(),
        proof,
        proving: record.proving.as_ref(),
        refunds: refunds(record),
        refunding: record.is_refunding(),
        forgettable: record.may_be_forgotten(),
        answer: record.answer.as_ref(),
        error: failure(record)
            .map(|fault| fault.problem())
            .or_else(|| record.error.clone()),
        connected,
    };
    to_js(&view)
}

/// Plain JavaScript data: objects, arrays, numbers and text.
pub fn to_js<T: Serialize>(value: &T) -> Result<wasm_bindgen::JsValue, ClientError> {
    let serializer = serde_wasm_bindgen::Serializer::json_compatible();
    value
        .serialize(&serializer)
        .map_err(|e| ClientError::Internal(format!("a value cannot be handed to the page: {e}")))
}
