//! What a page sees of miners, deals, payments and verifications, as plain data: the public types of the npm package.
//!
//! Made by the browser's client from records and answers; nothing is decided by them, but what a person is told: which
//! refunds are worth a word, and what a channel and a check come to.

use super::record::{Answer, ChannelRefund, DealRecord, Problem, Proving, Step};
use crate::chain::view::{ChannelView, MinerView, PreCommitView, SectorView, WindowView};
use crate::chain::{Address, AttoFil, ChannelId, Epoch};
use crate::deal::verification::{self, Verdict};
use crate::deal::{ClientStage, Draft, ProofInfo, Refund};
use crate::payment::schedule::voucher_count;
use crate::payment::standing::{due_by, VoucherStanding};
use crate::payment::{voucher, ChannelFacts, PaymentVoucher};
use crate::piece::Commitment;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::Serialize;

/// A miner at some height.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MinerInfo {
    address: Address,
    owner: Address,
    worker: Address,
    peer_id: String,
    sector_size: u64,
    usable_bytes: u64,
    power: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<AttoFil>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price_expiry: Option<Epoch>,
    collateral: AttoFil,
    #[serde(skip_serializing_if = "Option::is_none")]
    proving_window: Option<WindowView>,
    sectors: Vec<SectorInfo>,
    pre_commits: Vec<PreCommitView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_post: Option<Epoch>,
    posts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    slashed_at: Option<Epoch>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct SectorInfo {
    id: u64,
    comm_d: Commitment,
    comm_r: Commitment,
    comm_r_star: Commitment,
    committed_at: Epoch,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_proven_at: Option<Epoch>,
    proofs: u64,
    in_proving_set: bool,
}

impl MinerInfo {
    /// The miner with the ask that stands at `height`.
    pub fn of(miner: MinerView, height: Epoch) -> Self {
        let ask = miner.standing_ask(height).cloned();
        Self {
            price: ask.as_ref().map(|ask| ask.price),
            price_expiry: ask.map(|ask| ask.expiry),
            address: miner.address,
            owner: miner.owner,
            worker: miner.worker,
            peer_id: miner.peer_id,
            sector_size: miner.sector_size,
            usable_bytes: miner.usable_bytes,
            power: miner.power,
            collateral: miner.collateral,
            proving_window: miner.proving_window,
            sectors: miner.sectors.into_iter().map(SectorInfo::of).collect(),
            pre_commits: miner.pre_commits,
            last_post: miner.last_post,
            posts: miner.posts,
            slashed_at: miner.slashed_at,
        }
    }
}

impl SectorInfo {
    fn of(sector: SectorView) -> Self {
        Self {
            id: sector.id,
            comm_d: sector.comm_d,
            comm_r: sector.comm_r,
            comm_r_star: sector.comm_r_star,
            committed_at: sector.committed_at,
            last_proven_at: sector.last_proven_at,
            proofs: sector.proofs,
            in_proving_set: sector.in_proving_set,
        }
    }
}

/// What a deal would cost, and why it cannot be made if it cannot.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quote {
    pub total: AttoFil,
    pub vouchers: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

impl Quote {
    /// Of a draft that `problem` hinders; without a draft there is nothing to pay.
    pub fn of(draft: Option<&Draft>, problem: Option<Problem>) -> Self {
        let priced = draft.filter(|draft| !draft.price.is_zero());
        Self {
            total: draft.and_then(Draft::total).unwrap_or_default(),
            vouchers: priced.and_then(|draft| voucher_count(draft.duration).ok()).unwrap_or(0),
            problem,
        }
    }
}

/// A refund of a deal.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefundView<'a> {
    channel: u64,
    amount: AttoFil,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Epoch>,
    earned: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Problem>,
}

impl<'a> RefundView<'a> {
    /// The refunds that a person wants to know of: nothing is said of a channel that a miner is still earning, nor of one
    /// that was empty at its end.
    pub fn all<F>(record: &'a DealRecord<F>) -> Vec<Self> {
        let earning = record.deal.channel().filter(|_| record.is_complete());
        let of_interest = |channel: u64, found: &ChannelRefund| {
            Some(channel) != earning || (found.refund.deadline().is_none() && !found.amount.is_zero())
        };
        let all = record.refunds.iter();
        all.filter(|(channel, found)| of_interest(**channel, found))
            .map(|(channel, found)| Self::of(*channel, found))
            .collect()
    }

    fn of(channel: u64, found: &'a ChannelRefund) -> Self {
        let state = match found.refund {
            Refund::Due | Refund::Cancelling => "cancelling",
            Refund::Waiting { .. } => "waiting",
            Refund::Reclaiming => "reclaiming",
            Refund::Returned => "returned",
        };
        Self {
            channel,
            amount: found.amount,
            state,
            until: found.refund.deadline(),
            earned: matches!(found.refund, Refund::Waiting { earned: true, .. }),
            error: found.error.as_ref(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct StepView {
    step: Step,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ProofView {
    sector_id: u64,
    comm_d: Commitment,
    comm_r: Commitment,
    comm_r_star: Commitment,
    commitment_message: String,
}

impl ProofView {
    fn of(proof: &ProofInfo) -> Self {
        Self {
            sector_id: proof.sector_id,
            comm_d: proof.comm_d,
            comm_r: proof.comm_r,
            comm_r_star: proof.comm_r_star,
            commitment_message: proof.commitment_message.to_string(),
        }
    }
}

/// A deal.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DealView<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    deal_cid: Option<&'a str>,
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

impl<'a> DealView<'a> {
    /// A record of a file of this name and MIME type; `failure` is why the deal failed, if it did.
    pub fn of<F>(
        record: &'a DealRecord<F>,
        (name, kind): (&'a str, &'a str),
        failure: Option<Problem>,
        connected: bool,
    ) -> Self {
        let draft = &record.deal.draft;
        let (state, reason) = match &record.deal.stage {
            ClientStage::Complete { .. } => ("complete", None),
            ClientStage::Failed { reason, .. } => ("failed", Some(reason.as_str())),
            _ => ("working", None),
        };
        let proof = record.deal.proof().filter(|_| record.is_complete());
        let at = |step: &Step| record.reached.get(step).map(|at| *at as f64);
        Self {
            id: &record.id,
            deal_cid: record.cid.as_deref(),
            name,
            size: draft.size,
            kind,
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
            steps: Step::ALL.map(|step| StepView { step, at: at(&step) }).into(),
            proof: proof.map(ProofView::of),
            proving: record.proving.as_ref(),
            refunds: RefundView::all(record),
            answer: record.answer.as_ref(),
            error: failure.or_else(|| record.error.clone()),
            connected,
        }
    }
}

/// A voucher, and how it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VoucherView {
    payer: Address,
    target: Address,
    channel: ChannelId,
    amount: AttoFil,
    valid_at: Epoch,
    conditional: bool,
    state: VoucherStanding,
    text: String,
}

impl VoucherView {
    /// `channel` is the voucher's, `None` when the payer has it no more.
    pub fn of(voucher: &PaymentVoucher, channel: Option<&ChannelView>, height: Epoch) -> Self {
        Self {
            payer: voucher.payer.clone(),
            target: voucher.target.clone(),
            channel: voucher.channel,
            amount: voucher.amount,
            valid_at: voucher.valid_at,
            conditional: voucher.condition.is_some(),
            state: VoucherStanding::of(voucher, channel.map(ChannelFacts::from).as_ref(), height),
            text: voucher::to_text(voucher),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ChannelState {
    id: ChannelId,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Address>,
    amount: AttoFil,
    redeemed: AttoFil,
    #[serde(skip_serializing_if = "Option::is_none")]
    eol: Option<Epoch>,
    state: &'static str,
}

impl ChannelState {
    /// `amount` is what the channel was opened with.
    fn of(id: ChannelId, amount: AttoFil, view: Option<&ChannelView>, height: Epoch) -> Self {
        let Some(view) = view else {
            return Self {
                id,
                target: None,
                amount,
                redeemed: AttoFil::ZERO,
                eol: None,
                state: "closed",
            };
        };
        let state = match ChannelFacts::from(view).is_cancelled() {
            _ if height >= view.eol => "ended",
            true => "cancelled",
            false => "open",
        };
        Self {
            id,
            target: Some(view.target.clone()),
            amount: view.amount,
            redeemed: view.amount_redeemed,
            eol: Some(view.eol),
            state,
        }
    }
}

/// What the present attempt of a deal pays, and what was paid.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentsView {
    height: Epoch,
    total: AttoFil,
    due: AttoFil,
    redeemed: AttoFil,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<ChannelState>,
    vouchers: Vec<VoucherView>,
}

impl PaymentsView {
    /// `channel` is the deal's as the chain has it at `height`.
    pub fn of<F>(record: &DealRecord<F>, channel: Option<&ChannelView>, height: Epoch) -> Self {
        let (total, vouchers) = (record.deal.draft.total().unwrap_or_default(), record.deal.vouchers());
        let id = record.deal.channel().map(ChannelId);
        let view = |voucher| VoucherView::of(voucher, channel, height);
        Self {
            height,
            total,
            due: due_by(vouchers, height),
            redeemed: channel.map_or(AttoFil::ZERO, |channel| channel.amount_redeemed),
            channel: id.map(|id| ChannelState::of(id, total, channel, height)),
            vouchers: vouchers.iter().map(view).collect(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct CheckView {
    ok: bool,
    state: Verdict,
    detail: String,
}

impl From<verification::Check> for CheckView {
    fn from(check: verification::Check) -> Self {
        Self {
            ok: check.verdict == Verdict::Holds,
            state: check.verdict,
            detail: check.detail,
        }
    }
}

/// A verification; `state` is that of the worst part.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerificationView {
    state: Verdict,
    inclusion: CheckView,
    commit_message: CheckView,
    commitments: CheckView,
    actor: CheckView,
    proven: CheckView,
}

impl From<verification::Verification> for VerificationView {
    fn from(found: verification::Verification) -> Self {
        Self {
            state: found.verdict(),
            inclusion: found.inclusion.into(),
            commit_message: found.commit_message.into(),
            commitments: found.commitments.into(),
            actor: found.actor.into(),
            proven: found.proven.into(),
        }
    }
}
