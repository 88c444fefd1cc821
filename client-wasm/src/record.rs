//! A deal as this browser keeps it, and as the page sees it.
//!
//! The record is the engine's ([`shared::client::DealRecord`]); the page gets a [`View`], `Deal` in TypeScript.

use crate::error::ClientError;
use crate::former;
use serde::{Deserialize, Serialize};
use shared::chain::{AttoFil, Epoch};
use shared::client::{Answer, ChannelRefund, DealRecord, Problem, Proving, Step};
use shared::deal::{ClientStage, Refund};
use shared::piece::Commitment;

/// What a page knows a file by; its bytes are kept beside the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedFile {
    pub name: String,
    /// MIME type.
    pub kind: String,
}

/// One deal with all that is known of it here.
pub type Record = DealRecord<NamedFile>;

/// `Refund` of the public types.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RefundView<'a> {
    channel: u64,
    amount: AttoFil,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Epoch>,
    earned: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Problem>,
}

#[derive(Serialize)]
struct StepView {
    step: Step,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<f64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProofView {
    sector_id: u64,
    comm_d: Commitment,
    comm_r: Commitment,
    comm_r_star: Commitment,
    commitment_message: String,
}

/// `Deal` of the public types.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    deal_cid: Option<String>,
    name: &'a str,
    size: u64,
    #[serde(rename = "type")]
    kind: &'a str,
    created_at: f64,
    data_cid: String,
    piece_cid: String,
    comm_p: Commitment,
    miner: String,
    duration: u64,
    total: AttoFil,
    step: Step,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    transferred: u64,
    steps: Vec<StepView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<ProofView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proving: Option<&'a Proving>,
    refunds: Vec<RefundView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<&'a Answer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Problem>,
    connected: bool,
}

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
fn refunds(record: &Record) -> Vec<RefundView<'_>> {
    let earning = record.deal.channel().filter(|_| record.is_complete());
    let of_interest = |channel: u64, found: &ChannelRefund| {
        Some(channel) != earning || (found.refund.deadline().is_none() && !found.amount.is_zero())
    };
    let all = record.refunds.iter();
    all.filter(|(channel, found)| of_interest(**channel, found))
        .map(|(channel, found)| refund_view(*channel, found))
        .collect()
}

fn refund_view(channel: u64, found: &ChannelRefund) -> RefundView<'_> {
    let state = match found.refund {
        Refund::Due | Refund::Cancelling => "cancelling",
        Refund::Waiting { .. } => "waiting",
        Refund::Reclaiming => "reclaiming",
        Refund::Returned => "returned",
    };
    RefundView {
        channel,
        amount: found.amount,
        state,
        until: found.refund.deadline(),
        earned: matches!(found.refund, Refund::Waiting { earned: true, .. }),
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
            code: None,
            message: reason.clone(),
        },
        false => ClientError::DealFailed(reason.clone()),
    })
}

/// `Deal` for the page.
pub fn view(record: &Record, connected: bool) -> Result<wasm_bindgen::JsValue, ClientError> {
    let draft = &record.deal.draft;
    let (state, reason) = match &record.deal.stage {
        ClientStage::Complete { .. } => ("complete", None),
        ClientStage::Failed { reason, .. } => ("failed", Some(reason.as_str())),
        _ => ("working", None),
    };
    let proof = record
        .deal
        .proof()
        .filter(|_| state == "complete")
        .map(|proof| ProofView {
            sector_id: proof.sector_id,
            comm_d: proof.comm_d,
            comm_r: proof.comm_r,
            comm_r_star: proof.comm_r_star,
            commitment_message: proof.commitment_message.to_string(),
        });
    let view = View {
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
            .map(|step| StepView {
                step,
                at: record.reached.get(&step).map(|at| *at as f64),
            })
            .into(),
        proof,
        proving: record.proving.as_ref(),
        refunds: refunds(record),
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
