//! A deal as this browser keeps it, and as the page sees it.
//!
//! [`Record`] wraps the machine of `shared` with what only a screen needs: names, times, progress. The page gets a
//! [`View`], `Deal` in TypeScript.

use crate::fault::{Fault, Problem};
use crate::refunding::{RefundView, Refunding};
use serde::{Deserialize, Serialize};
use shared::chain::{AttoFil, Epoch};
use shared::deal::{ClientDeal, ClientStage, DealState, Refund, SignedResponse};
use shared::piece::{Commitment, PieceCid};
use std::collections::BTreeMap;

/// The steps of a deal, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    Drafted,
    Channel,
    Signed,
    Accepted,
    Transferred,
    Staged,
    Sealing,
    Complete,
    Proven,
}

impl Step {
    /// All steps in order.
    pub const ALL: [Self; 9] = [
        Self::Drafted,
        Self::Channel,
        Self::Signed,
        Self::Accepted,
        Self::Transferred,
        Self::Staged,
        Self::Sealing,
        Self::Complete,
        Self::Proven,
    ];
}

/// How the chain sees the proving of a deal's sector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proving {
    pub window_start: Epoch,
    pub window_end: Epoch,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_proven_at: Option<Epoch>,
    pub proofs: u64,
}

/// A miner's last answer about a deal, with its signature checked; `Answer` of the public types.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub state: String,
    pub message: String,
    /// Milliseconds since 1970.
    pub at: f64,
}

impl Answer {
    pub fn of(response: &SignedResponse, now: f64) -> Self {
        Self {
            state: response.response.state.to_string(),
            message: response.response.message.clone(),
            at: now,
        }
    }
}

/// One deal with all that is known of it here.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    pub id: String,
    pub name: String,
    /// MIME type.
    pub kind: String,
    /// Milliseconds since 1970.
    pub created_at: f64,
    /// The miner's libp2p peer id, as text.
    pub peer_id: String,
    pub deal: ClientDeal,
    /// Counts drafts of this deal, so that a new one opens a new channel.
    pub attempt: u32,
    /// When each step was reached, in milliseconds since 1970.
    pub reached: BTreeMap<Step, f64>,
    /// Bytes that the miner has fetched from here.
    pub transferred: u64,
    /// The chain's height when the miner's acceptance was noted.
    #[serde(default)]
    pub accepted_at: Option<Epoch>,
    /// Channels of failed attempts and of the complete deal by their ids, and how far their money is on its way back.
    #[serde(default)]
    pub refunding: BTreeMap<u64, Refunding>,
    #[serde(default)]
    pub answer: Option<Answer>,
    #[serde(default)]
    pub proving: Option<Proving>,
    #[serde(default)]
    pub error: Option<Problem>,
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

impl Record {
    /// Reads what [`Record::to_text`] wrote.
    pub fn from_text(text: &str) -> Result<Self, Fault> {
        let unreadable = |e: serde_json::Error| Fault::Storage(format!("a kept deal cannot be read: {e}"));
        let mut record: Self = serde_json::from_str(text).map_err(unreadable)?;
        record.owe_refund();
        Ok(record)
    }

    /// The record for the page's storage.
    pub fn to_text(&self) -> Result<String, Fault> {
        serde_json::to_string(self).map_err(|e| Fault::Internal(format!("a deal cannot be written: {e}")))
    }

    /// Notes that `step` was reached, with those before it that nobody saw.
    pub fn reach(&mut self, step: Step, now: f64) {
        for earlier in Step::ALL.into_iter().filter(|earlier| *earlier <= step) {
            self.reached.entry(earlier).or_insert(now);
        }
    }

    /// Takes the machine's new stage over; `height` is the chain's, when known.
    pub fn advance(&mut self, deal: &ClientDeal, height: Option<Epoch>, now: f64) {
        self.deal = deal.clone();
        let step = match &deal.stage {
            ClientStage::Drafted => Step::Drafted,
            ClientStage::ChannelOpen { .. } => Step::Channel,
            ClientStage::Signed { .. } => Step::Signed,
            ClientStage::Running { response, .. } => match response.response.state {
                DealState::Staged => Step::Staged,
                DealState::Started => Step::Transferred,
                _ => Step::Accepted,
            },
            ClientStage::Complete { .. } => {
                self.owe_refund();
                Step::Complete
            }
            ClientStage::Failed { .. } => return self.owe_refund(),
        };
        self.reach(step, now);
        if step >= Step::Accepted {
            self.accepted_at = self.accepted_at.or(height);
        }
        if step >= Step::Staged {
            self.transferred = deal.draft.size;
        }
    }

    /// What is left in a failed deal's channel is to come back, and in a complete deal's when it has ended.
    fn owe_refund(&mut self) {
        if let Some((channel, begin)) = self.deal.refund() {
            // Of a channel that the miner is to empty, only what is seen in it at its end comes back.
            let amount = match begin {
                Refund::Waiting { .. } => AttoFil::ZERO,
                _ => self.deal.draft.total().unwrap_or_default(),
            };
            let owed = || Refunding {
                refund: begin,
                ..Refunding::of(amount)
            };
            self.refunding.entry(channel.0).or_insert_with(owed);
        }
    }

    /// The refunds that a person wants to know of: nothing is said of a channel that a miner is still earning, nor of one
    /// that was empty at its end.
    fn refunds(&self) -> Vec<RefundView<'_>> {
        let earning = match self.deal.stage {
            ClientStage::Complete { .. } => self.deal.channel(),
            _ => None,
        };
        let of_interest = |channel: u64, refunding: &Refunding| {
            Some(channel) != earning || (refunding.refund.deadline().is_none() && !refunding.amount.is_zero())
        };
        let all = self.refunding.iter();
        all.filter(|(channel, refunding)| of_interest(**channel, refunding))
            .map(|(channel, refunding)| refunding.view(*channel))
            .collect()
    }

    /// The last step reached.
    pub fn step(&self) -> Step {
        self.reached.keys().next_back().copied().unwrap_or(Step::Drafted)
    }

    /// Whether the miner still needs the file from here.
    pub fn needs_file(&self) -> bool {
        !matches!(self.deal.stage, ClientStage::Complete { .. }) && self.step() < Step::Staged
    }

    /// Whether there is nothing more to do but to watch.
    pub fn is_settled(&self) -> bool {
        matches!(
            self.deal.stage,
            ClientStage::Complete { .. } | ClientStage::Failed { .. }
        )
    }

    /// Why the deal failed, if it did.
    pub fn failure(&self) -> Option<Fault> {
        let ClientStage::Failed { reason, .. } = &self.deal.stage else {
            return None;
        };
        Some(match reason.starts_with("deal rejected") {
            true => Fault::Rejected {
                code: None,
                message: reason.clone(),
            },
            false => Fault::DealFailed(reason.clone()),
        })
    }

    /// `Deal` for the page.
    pub fn view(&self, connected: bool) -> Result<wasm_bindgen::JsValue, Fault> {
        let draft = &self.deal.draft;
        let (state, reason) = match &self.deal.stage {
            ClientStage::Complete { .. } => ("complete", None),
            ClientStage::Failed { reason, .. } => ("failed", Some(reason.as_str())),
            _ => ("working", None),
        };
        let proof = self
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
            id: &self.id,
            deal_cid: self.deal.cid().map(|cid| cid.to_string()),
            name: &self.name,
            size: draft.size,
            kind: &self.kind,
            created_at: self.created_at,
            data_cid: draft.data_cid.to_string(),
            piece_cid: PieceCid(draft.comm_p).to_string(),
            comm_p: draft.comm_p,
            miner: draft.miner.to_string(),
            duration: draft.duration,
            total: draft.total().unwrap_or_default(),
            step: self.step(),
            state,
            reason,
            transferred: self.transferred,
            steps: Step::ALL
                .map(|step| StepView {
                    step,
                    at: self.reached.get(&step).copied(),
                })
                .into(),
            proof,
            proving: self.proving.as_ref(),
            refunds: self.refunds(),
            answer: self.answer.as_ref(),
            error: self
                .failure()
                .map(|fault| fault.problem())
                .or_else(|| self.error.clone()),
            connected,
        };
        to_js(&view)
    }
}

/// Plain JavaScript data: objects, arrays, numbers and text.
pub fn to_js<T: Serialize>(value: &T) -> Result<wasm_bindgen::JsValue, Fault> {
    let serializer = serde_wasm_bindgen::Serializer::json_compatible();
    value
        .serialize(&serializer)
        .map_err(|e| Fault::Internal(format!("a value cannot be handed to the page: {e}")))
}
