//! What the page gets: the values of the package's public functions. `js/generated.ts` is written from these types, and
//! from those of `shared` that they hold (`tests/typescript.rs`).
//!
//! Amounts are decimal FIL as text, heights and sizes numbers, commitments hexadecimal; what is not there is left out.

use serde::Serialize;
use shared::chain::view::{ChannelView, MinerView, PreCommitView, SectorView};
use shared::chain::{Address, AttoFil, ChannelId, Epoch};
use shared::client::{Answer, Problem, Proving, Step};
use shared::deal::verification::{self, Verdict};
use shared::deal::Refund as RefundStage;
use shared::payment::standing::VoucherStanding;
use shared::payment::{voucher, ChannelFacts, PaymentVoucher};
use shared::piece::Commitment;

/// A span of blocks; `end` is not part of it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BlockSpan {
    pub start: Epoch,
    pub end: Epoch,
}

/// A committed sector of a miner, as the chain has it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SectorInfo {
    pub id: u64,
    pub comm_d: Commitment,
    pub comm_r: Commitment,
    pub comm_r_star: Commitment,
    pub committed_at: Epoch,
    /// Height of the last accepted proof-of-spacetime that covered it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_proven_at: Option<Epoch>,
    /// Accepted proofs-of-spacetime that covered it.
    pub proofs: u64,
    /// Whether the next proof must cover it.
    pub in_proving_set: bool,
}

/// A storage miner, as the chain has it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct MinerInfo {
    pub address: Address,
    pub owner: Address,
    pub worker: Address,
    /// libp2p peer id.
    pub peer_id: String,
    /// Bytes of a sector.
    pub sector_size: u64,
    /// File bytes that a sector holds: the largest file that this miner takes.
    pub usable_bytes: u64,
    /// Bytes of proven sectors.
    pub power: u64,
    /// FIL for one byte in one block; absent when the miner offers nothing at present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<AttoFil>,
    /// Height at which that price no longer stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_expiry: Option<Epoch>,
    /// FIL that its sectors lock up.
    pub collateral: AttoFil,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proving_window: Option<BlockSpan>,
    pub sectors: Vec<SectorInfo>,
    pub pre_commits: Vec<PreCommitView>,
    /// Height of the last accepted proof-of-spacetime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_post: Option<Epoch>,
    /// Accepted proofs-of-spacetime.
    pub posts: u64,
    /// Height at which the miner lost its power for a missed proof.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slashed_at: Option<Epoch>,
}

/// What a deal would cost, and whether the miner would take it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Quote {
    /// FIL for the whole deal.
    pub total: AttoFil,
    /// Vouchers that the payment is split into.
    pub vouchers: usize,
    /// Why the deal cannot be made; absent when it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// When a step was reached.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StepRecord {
    pub step: Step,
    /// Milliseconds since 1970; absent while the step lies ahead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<f64>,
}

/// Where a complete deal's piece lies; the inclusion proof was checked before this is shown.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SectorProof {
    pub sector_id: u64,
    pub comm_d: Commitment,
    pub comm_r: Commitment,
    pub comm_r_star: Commitment,
    /// CID of the commitSector message.
    pub commitment_message: String,
}

/// How far money is on its way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum RefundState {
    /// The channel is being cancelled.
    Cancelling,
    /// The channel ends at `until`, which leaves the miner time to redeem what it has earned.
    Waiting,
    /// The money is being taken out of the channel.
    Reclaiming,
    /// The money is in the account.
    Returned,
}

/// The money of a failed attempt on its way back.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Refund<'a> {
    /// Id of the attempt's payment channel.
    pub channel: u64,
    /// FIL that come, or came, back.
    pub amount: AttoFil,
    pub state: RefundState,
    /// Height at which the channel ends, while that is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Epoch>,
    /// Whether the chain refused to cancel the channel, because the miner has shown that it stores the file.
    pub earned: bool,
    /// What hinders it at present; it is tried again by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a Problem>,
}

/// How a deal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum DealProgress {
    Working,
    Complete,
    Failed,
}

/// A storage deal as this browser keeps it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Deal<'a> {
    /// Local id; stable from the first moment.
    pub id: &'a str,
    /// CID of the signed proposal, once there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deal_cid: Option<String>,
    pub name: &'a str,
    /// Bytes of the file.
    pub size: u64,
    /// MIME type of the file; may be empty.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// Milliseconds since 1970.
    pub created_at: f64,
    pub data_cid: String,
    pub piece_cid: String,
    pub comm_p: Commitment,
    /// The miner's address.
    pub miner: String,
    /// Blocks.
    pub duration: u64,
    /// FIL for the whole deal.
    pub total: AttoFil,
    /// The last step reached.
    pub step: Step,
    pub state: DealProgress,
    /// Why the deal failed, in the miner's or the chain's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    /// Bytes that the miner has fetched from here.
    pub transferred: u64,
    /// All steps in order; those reached have a time.
    pub steps: Vec<StepRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<SectorProof>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proving: Option<&'a Proving>,
    /// The money of failed attempts, the oldest first; taken back by itself while a page is open.
    pub refunds: Vec<Refund<'a>>,
    /// Whether money of a failed attempt is on its way back, or may be: its channel may just be opening.
    pub refunding: bool,
    /// Whether `remove` forgets it: nothing goes on, and no more money can come of it.
    pub forgettable: bool,
    /// The miner's last answer whose signature was right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<&'a Answer>,
    /// What hinders the deal at present. A `working` deal with an error is being retried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
    /// Whether this browser is connected to the miner right now.
    pub connected: bool,
}

/// A payer's signed promise to pay.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Voucher {
    pub payer: Address,
    /// Who is paid.
    pub target: Address,
    /// Id of the payer's channel that it is paid from.
    pub channel: ChannelId,
    /// FIL, cumulative over the channel: redeeming a voucher pays what it exceeds the last redeemed one by.
    pub amount: AttoFil,
    /// First height at which it may be redeemed.
    pub valid_at: Epoch,
    /// Whether the payee must show on the chain that it stores the file.
    pub conditional: bool,
    pub state: VoucherStanding,
    /// Its text form (`z…`), which `sealdrop` and `importVouchers` read.
    pub text: String,
}

/// How a payment channel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum ChannelState {
    Open,
    /// Its payer cancelled it, and it has not ended.
    Cancelled,
    /// Nothing can be redeemed from it any more.
    Ended,
    /// It is gone from the chain, and what was left went back to the payer.
    Closed,
}

/// A payment channel.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Channel {
    pub id: ChannelId,
    /// Who is paid; absent once the channel is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Address>,
    /// FIL that were set aside.
    pub amount: AttoFil,
    /// FIL that the target has taken.
    pub redeemed: AttoFil,
    /// First height at which nothing can be redeemed; absent once the channel is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eol: Option<Epoch>,
    pub state: ChannelState,
}

/// How a deal is paid, at one height of the chain.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Payments {
    pub height: Epoch,
    /// FIL for the whole deal; 0 for a free one.
    pub total: AttoFil,
    /// FIL that have fallen due, redeemed or not.
    pub due: AttoFil,
    /// FIL that the miner has redeemed.
    pub redeemed: AttoFil,
    /// Absent for a free deal, and until the channel is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// In the order in which they fall due; none for a free deal, before it is signed, and after it failed.
    pub vouchers: Vec<Voucher>,
}

/// One check of `verify`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Check {
    /// Whether its state is `holds`.
    pub ok: bool,
    pub state: Verdict,
    /// What was compared with what, and what came of it.
    pub detail: String,
}

/// What `verify` found, each part checked here against the chain, without trusting the miner.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// That of the worst part: `fails`, then `pending`, then `over`.
    pub state: Verdict,
    /// The piece lies in the data that commD commits to.
    pub inclusion: Check,
    /// The commitSector message is on the chain, was applied, and commits this sector of this miner.
    pub commit_message: Check,
    /// The chain's record of the sector has the same commitments.
    pub commitments: Check,
    /// The miner actor says that the piece is in its sector: what the deal's vouchers are conditional on.
    pub actor: Check,
    /// A proof-of-spacetime that covers the sector was accepted, and the last one is not overdue.
    pub proven: Check,
}

impl MinerInfo {
    /// The miner as the page sees it at `height`.
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
            proving_window: miner.proving_window.map(|window| BlockSpan {
                start: window.start,
                end: window.end,
            }),
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

impl RefundState {
    pub fn of(refund: &RefundStage) -> Self {
        match refund {
            RefundStage::Due | RefundStage::Asking | RefundStage::Closing { .. } | RefundStage::Cancelling => {
                Self::Cancelling
            }
            RefundStage::Waiting { .. } => Self::Waiting,
            RefundStage::Reclaiming => Self::Reclaiming,
            RefundStage::Returned => Self::Returned,
        }
    }
}

impl Voucher {
    /// `channel` is `None` when its payer has no such channel any more.
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

impl Channel {
    /// `amount` is what the channel was opened with.
    pub fn of(id: ChannelId, amount: AttoFil, view: Option<&ChannelView>, height: Epoch) -> Self {
        let Some(view) = view else {
            return Self {
                id,
                target: None,
                amount,
                redeemed: AttoFil::ZERO,
                eol: None,
                state: ChannelState::Closed,
            };
        };
        let state = match ChannelFacts::from(view).is_cancelled() {
            _ if height >= view.eol => ChannelState::Ended,
            true => ChannelState::Cancelled,
            false => ChannelState::Open,
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

impl From<verification::Check> for Check {
    fn from(check: verification::Check) -> Self {
        Self {
            ok: check.verdict == Verdict::Holds,
            state: check.verdict,
            detail: check.detail,
        }
    }
}
