//! A deal as both clients show it: a page as a value of the npm package, a terminal as JSON. What is shown of it, and in which
//! words, is decided here; a host adds what it calls the file.
//!
//! [`payments`](mod@payments) shows what it pays. Amounts are decimal FIL as text, heights and sizes numbers, commitments hexadecimal; what is not there is left out.

use super::choosing::{MinerRule, PassedOver};
use super::problem::{ErrorCode, Problem};
use super::record::{Answer, ChannelRefund, DealRecord, Proving, Step};
use crate::chain::{AttoFil, Epoch};
use crate::deal::verification::{self, Basis, Verdict};
use crate::deal::{ClientStage, Refund as RefundStage};
use crate::piece::Commitment;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::Serialize;

pub mod payments;

pub use payments::{payments, standing, Channel, ChannelState, Payments, Voucher, MAX_CHANNELS};

/// When a step was reached.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StepRecord {
    pub step: Step,
    /// Milliseconds since 1970; absent while the step lies ahead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
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

/// A storage deal as its client keeps it.
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
    /// The id of the file that the deal was made for, where it is about one of several pieces or copies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_of: Option<&'a str>,
    /// Bytes of the file.
    pub size: u64,
    /// MIME type of the file; empty where it is not known.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// Milliseconds since 1970.
    pub created_at: u64,
    pub data_cid: String,
    pub piece_cid: String,
    pub comm_p: Commitment,
    /// The miner's address.
    pub miner: String,
    /// The rule that it was chosen by, unless it was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub miner_rule: Option<MinerRule>,
    /// Miners that came before it by that rule, and why the deal is not with them.
    pub passed_over: &'a [PassedOver],
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
    /// The money of failed attempts, the oldest first; taken back by itself while a client runs.
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
    /// Whether this client is connected to the miner right now.
    pub connected: bool,
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
    /// Whether the chain's endpoint had to be believed; missing where nothing of the chain is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basis: Option<Basis>,
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

impl<'a> Deal<'a> {
    /// What is shown of a record whose file has this name and type.
    pub fn of<F>(record: &'a DealRecord<F>, name: &'a str, kind: &'a str, connected: bool) -> Self {
        let draft = &record.deal.draft;
        let (state, reason) = match &record.deal.stage {
            ClientStage::Complete { .. } => (DealProgress::Complete, None),
            ClientStage::Failed { reason, .. } => (DealProgress::Failed, Some(reason.as_str())),
            _ => (DealProgress::Working, None),
        };
        Deal {
            id: &record.id,
            deal_cid: record.cid.clone(),
            name,
            part_of: record.part_of.as_deref(),
            size: draft.size,
            kind,
            created_at: record.created_ms,
            data_cid: draft.data_cid.to_string(),
            piece_cid: record.piece_cid().to_string(),
            comm_p: draft.comm_p,
            miner: draft.miner.to_string(),
            miner_rule: record.by_rule.as_ref().map(|by_rule| by_rule.rule),
            passed_over: record.by_rule.as_ref().map_or(&[], |by_rule| &by_rule.passed),
            duration: draft.duration,
            total: draft.total().unwrap_or_default(),
            step: record.step(),
            state,
            reason,
            transferred: record.transferred,
            steps: steps(record),
            proof: proof(record),
            proving: record.proving.as_ref(),
            refunds: refunds(record),
            refunding: record.is_refunding(),
            forgettable: record.may_be_forgotten(),
            answer: record.answer.as_ref(),
            error: reason
                .map(|reason| failure(reason, record.error.as_ref()))
                .or_else(|| record.error.clone()),
            connected,
        }
    }
}

fn steps<F>(record: &DealRecord<F>) -> Vec<StepRecord> {
    let at = |step| StepRecord {
        step,
        at: record.reached.get(&step).copied(),
    };
    Step::ALL.map(at).into()
}

fn proof<F>(record: &DealRecord<F>) -> Option<SectorProof> {
    let proof = record.deal.proof().filter(|_| record.is_complete())?;
    Some(SectorProof {
        sector_id: proof.sector_id,
        comm_d: proof.comm_d,
        comm_r: proof.comm_r,
        comm_r_star: proof.comm_r_star,
        commitment_message: proof.commitment_message.to_string(),
    })
}

/// Why a deal failed; `last` is what hindered it last, which knows the code of a rejection, and whether its payer would not sign.
fn failure(reason: &str, last: Option<&Problem>) -> Problem {
    let code = match last {
        Some(last) if last.code == ErrorCode::SignerRefused => last.code,
        _ => ErrorCode::of_failure(reason),
    };
    Problem {
        code,
        message: reason.into(),
        hint: code.hint().into(),
        rejection: last.and_then(|problem| problem.rejection),
        obstacle: None,
    }
}

/// The refunds that a person wants to know of: nothing is said of a channel that a miner is still earning, nor of one
/// that was empty at its end.
fn refunds<F>(record: &DealRecord<F>) -> Vec<Refund<'_>> {
    let earning = record.deal.channel().filter(|_| record.is_complete());
    let of_interest = |channel: u64, found: &ChannelRefund| {
        Some(channel) != earning || (found.refund.deadline().is_none() && !found.amount.is_zero())
    };
    let all = record.refunds.iter();
    all.filter(|(channel, found)| of_interest(**channel, found))
        .map(|(channel, found)| Refund::of(*channel, found))
        .collect()
}

impl<'a> Refund<'a> {
    fn of(channel: u64, found: &'a ChannelRefund) -> Self {
        Self {
            channel,
            amount: found.amount,
            state: RefundState::of(&found.refund),
            until: found.refund.deadline(),
            earned: matches!(found.refund, RefundStage::Waiting { earned: true, .. }),
            error: found.error.as_ref(),
        }
    }
}

impl From<verification::Verification> for Verification {
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

impl From<verification::Check> for Check {
    fn from(check: verification::Check) -> Self {
        Self {
            ok: check.verdict == Verdict::Holds,
            state: check.verdict,
            detail: check.detail,
            basis: check.basis,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::record;
    use super::*;

    #[test]
    fn a_failed_deal_is_shown_with_the_code_of_its_reason_and_one_under_way_with_what_hinders_it() {
        let mut record = record(2, 20_000);
        let hindered = Problem {
            code: ErrorCode::FileLost,
            message: "m".into(),
            hint: "h".into(),
            rejection: None,
            obstacle: None,
        };
        record.error = Some(hindered.clone());
        let shown = Deal::of(&record, "name", "kind", true);
        assert_eq!((shown.state, shown.error), (DealProgress::Working, Some(hindered)));
        for (reason, last, code) in [
            ("deal rejected: too cheap", ErrorCode::Rejected, ErrorCode::Rejected),
            ("the user said no", ErrorCode::SignerRefused, ErrorCode::SignerRefused),
            ("given up: r", ErrorCode::FileLost, ErrorCode::DealFailed),
        ] {
            record.error = Some(Problem::of(last, reason.into()));
            let (reason, channel) = (reason.to_string(), None);
            record.deal.stage = ClientStage::Failed { reason, channel };
            let shown = Deal::of(&record, "name", "kind", false);
            assert_eq!(
                (shown.state, shown.error.map(|e| e.code)),
                (DealProgress::Failed, Some(code))
            );
        }
    }
}
