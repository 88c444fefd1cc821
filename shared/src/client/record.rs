//! One deal as a client keeps it: the machine, with everything that outlives the process beside it.
//!
//! Browser and terminal keep the same record; only `F`, how a host finds the file again, is their own. It is written as a
//! whole before anything is done that it says, so that a crash repeats a step and never forgets one.

use super::choosing::ByRule;
use super::problem::Problem;
use crate::chain::{Address, AttoFil, ChannelId, Epoch};
use crate::deal::{ClientDeal, ClientStage, DealState, Refund, SignedResponse};
use crate::piece::PieceCid;
use crate::wire::as_cbor;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use cid::Cid;
use core::fmt;
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The format of [`DealRecord`]; that of 0.1.0, which differed between browser and terminal, had no number.
pub const FORMAT: u32 = 2;

/// The steps of a deal that a person sees, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Proving {
    /// First height of the current window.
    pub window_start: Epoch,
    /// First height after it.
    pub window_end: Epoch,
    /// Height of the last accepted proof that covered the sector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_proven_at: Option<Epoch>,
    /// Accepted proofs that covered the sector.
    pub proofs: u64,
}

/// A miner's last answer about a deal, with its signature checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Answer {
    #[cfg_attr(feature = "schema", schemars(with = "crate::deal::DealState"))]
    pub state: String,
    /// The miner's reason; empty when there is none.
    pub message: String,
    /// Milliseconds since 1970.
    #[serde(deserialize_with = "time")]
    pub at: u64,
}

/// A time as a whole number, or with a fraction, as earlier versions kept it. One that is no number was never kept, and equals nothing.
fn time<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    from.deserialize_any(Time)
}

struct Time;

impl Visitor<'_> for Time {
    type Value = u64;

    fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str("milliseconds since 1970")
    }
    fn visit_u64<E: Error>(self, at: u64) -> Result<u64, E> {
        Ok(at)
    }
    fn visit_i64<E: Error>(self, at: i64) -> Result<u64, E> {
        at.try_into()
            .map_err(|_| E::invalid_value(Unexpected::Signed(at), &self))
    }
    fn visit_f64<E: Error>(self, at: f64) -> Result<u64, E> {
        match at.is_finite() && at >= 0.0 {
            true => Ok(at as u64),
            false => Err(E::invalid_value(Unexpected::Float(at), &self)),
        }
    }
}

impl Answer {
    pub fn of(response: &SignedResponse, now_ms: u64) -> Self {
        Self {
            state: response.response.state.to_string(),
            message: response.response.message.clone(),
            at: now_ms,
        }
    }
}

/// A miner's answer as it was signed, with the worker that the chain named for the miner when it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignedAnswer {
    pub worker: Address,
    #[serde(with = "as_cbor")]
    pub response: SignedResponse,
}

/// A channel whose money is on its way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelRefund {
    /// What is still in the channel, as far as is known.
    pub amount: AttoFil,
    pub refund: Refund,
    /// What hinders it at present; it is tried again by itself.
    #[serde(default)]
    pub error: Option<Problem>,
}

/// One deal with all that is known of it here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DealRecord<F> {
    /// [`FORMAT`].
    pub format: u32,
    /// The record's own name; the deal has no CID before it is signed.
    pub id: String,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    /// The chain that the deal is on, by its genesis id.
    pub genesis: String,
    /// The miner's libp2p peer id, as the chain named it last.
    pub peer: String,
    /// How its miner was chosen, unless its user has named it.
    #[serde(default)]
    pub by_rule: Option<ByRule>,
    /// FIL that the deal may cost, where its user has set a limit; that of a file's deals is the file's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<AttoFil>,
    /// The id of the file that the deal was made for, where it is about one of several pieces or copies ([`super::files`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<String>,
    pub file: F,
    pub deal: ClientDeal,
    /// The deal's CID from its signing on, also when it has failed since.
    pub cid: Option<String>,
    /// Counts drafts of this deal, so that a new one opens a new channel.
    pub attempt: u32,
    /// When each step was reached, in milliseconds since 1970.
    pub reached: BTreeMap<Step, u64>,
    /// Bytes that the miner has fetched from here.
    pub transferred: u64,
    /// Whether the host was told that the file need not be kept for the deal any longer.
    #[serde(default)]
    pub file_let_go: bool,
    /// The chain's height when the miner's acceptance was noted.
    pub accepted_at: Option<Epoch>,
    /// Why its user gives it up, from when that was said until it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub giving_up: Option<String>,
    /// Attempts that were given up while the message that opens their channel may have been under way: it is looked for
    /// until it is known what became of it.
    #[serde(default)]
    pub openings: BTreeSet<u32>,
    /// Channels of failed attempts and of the complete deal by their ids, and how far their money is on its way back.
    pub refunds: BTreeMap<u64, ChannelRefund>,
    pub answer: Option<Answer>,
    /// The first signed answer of each state since the proposal was accepted, which the deal's receipt shows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<SignedAnswer>,
    /// Whether all data came back from the miner once, each block checked.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub retrieved: bool,
    pub proving: Option<Proving>,
    pub error: Option<Problem>,
}

impl<F> DealRecord<F> {
    /// The record of a deal that was just drawn up.
    pub fn new(id: String, now_ms: u64, genesis: String, peer: String, file: F, deal: ClientDeal) -> Self {
        Self {
            format: FORMAT,
            id,
            created_ms: now_ms,
            genesis,
            peer,
            by_rule: None,
            most: None,
            part_of: None,
            file,
            deal,
            cid: None,
            attempt: 0,
            reached: BTreeMap::from([(Step::Drafted, now_ms)]),
            transferred: 0,
            file_let_go: false,
            accepted_at: None,
            giving_up: None,
            openings: BTreeSet::new(),
            refunds: BTreeMap::new(),
            answer: None,
            answers: Vec::new(),
            retrieved: false,
            proving: None,
            error: None,
        }
    }

    /// The same with what another host finds its file by.
    pub fn with_file<G>(self, file: G) -> DealRecord<G> {
        DealRecord {
            format: self.format,
            id: self.id,
            created_ms: self.created_ms,
            genesis: self.genesis,
            peer: self.peer,
            by_rule: self.by_rule,
            most: self.most,
            part_of: self.part_of,
            file,
            deal: self.deal,
            cid: self.cid,
            attempt: self.attempt,
            reached: self.reached,
            transferred: self.transferred,
            file_let_go: self.file_let_go,
            accepted_at: self.accepted_at,
            giving_up: self.giving_up,
            openings: self.openings,
            refunds: self.refunds,
            answer: self.answer,
            answers: self.answers,
            retrieved: self.retrieved,
            proving: self.proving,
            error: self.error,
        }
    }

    /// Begins a failed deal anew. What its former attempts left on the chain stays in the record.
    pub fn redraw(&mut self, deal: ClientDeal, peer: String, now_ms: u64) {
        (self.deal, self.peer, self.cid) = (deal, peer, None);
        self.attempt = self.attempt.saturating_add(1);
        self.reached = BTreeMap::from([(Step::Drafted, now_ms)]);
        (self.transferred, self.accepted_at, self.proving) = (0, None, None);
        (self.answer, self.error, self.file_let_go) = (None, None, false);
        (self.answers, self.retrieved) = (Vec::new(), false);
    }

    /// The deal's CID once there is one, else the record's name: both are understood everywhere.
    pub fn name(&self) -> String {
        let signed = || self.deal.cid().map(|cid| cid.to_string());
        self.cid.clone().or_else(signed).unwrap_or_else(|| self.id.clone())
    }

    /// Root of the file's DAG.
    pub fn data_cid(&self) -> &Cid {
        &self.deal.draft.data_cid
    }

    /// CommP as Filecoin's tools print it.
    pub fn piece_cid(&self) -> PieceCid {
        PieceCid(self.deal.draft.comm_p)
    }

    /// The last step reached.
    pub fn step(&self) -> Step {
        self.reached.keys().next_back().copied().unwrap_or(Step::Drafted)
    }

    /// Whether a proof-of-spacetime that covers the deal's sector was seen on the chain.
    pub fn is_proven(&self) -> bool {
        self.reached.contains_key(&Step::Proven)
    }

    /// Whether there is nothing more to do but to watch.
    pub fn is_settled(&self) -> bool {
        self.is_complete() || self.is_failed()
    }

    pub fn is_complete(&self) -> bool {
        matches!(self.deal.stage, ClientStage::Complete { .. })
    }

    pub fn is_failed(&self) -> bool {
        matches!(self.deal.stage, ClientStage::Failed { .. })
    }

    /// Whether the miner still needs the file from here, as far as it has said. It is asked before that is believed.
    pub fn needs_file(&self) -> bool {
        !self.is_settled() && self.deal.response().is_none_or(|r| lacks_the_piece(r.response.state))
    }

    /// How far the deal is, in one word.
    pub fn state(&self) -> &'static str {
        match &self.deal.stage {
            ClientStage::Drafted => "drafted",
            ClientStage::ChannelOpen { .. } => "channel-open",
            ClientStage::Signed { .. } => "signed",
            ClientStage::Running { response, .. } => match response.response.state {
                DealState::Staged => "staged",
                _ => "accepted",
            },
            ClientStage::Complete { .. } if self.is_proven() => "proven",
            ClientStage::Complete { .. } => "complete",
            ClientStage::Failed { .. } => "failed",
        }
    }

    /// How the money of the present attempt is on its way back.
    pub fn refund(&self) -> Refund {
        let channel = self.deal.channel().and_then(|id| self.refunds.get(&id));
        channel.map(|found| found.refund).unwrap_or_default()
    }

    /// A failed attempt's channel whose money is not back yet.
    pub fn refund_due(&self) -> Option<ChannelId> {
        let earning = self.deal.channel().filter(|_| self.is_complete());
        let mut pending = self.refunds.iter().filter(|(_, found)| !found.refund.is_over());
        let due = pending.find(|(id, _)| Some(**id) != earning);
        due.map(|(id, _)| ChannelId(*id))
    }

    /// Whether money of a failed attempt is on its way back, or may be: its channel may just be opening.
    pub fn is_refunding(&self) -> bool {
        !self.openings.is_empty() || self.refund_due().is_some()
    }

    /// Whether nothing is lost with the record: nothing goes on, and no more money can come of it. Of a complete deal it
    /// may until its channel has ended, and only the record tells which channel that is.
    pub fn may_be_forgotten(&self) -> bool {
        self.is_settled() && !self.is_owed()
    }

    /// Whether money is to come back, now or when a complete deal has ended.
    pub fn is_owed(&self) -> bool {
        !self.openings.is_empty() || self.refunds.values().any(|found| !found.refund.is_over())
    }

    /// The height before which there is nothing to do for a settled deal; `None`: there is something now.
    pub fn rests_until(&self) -> Option<Epoch> {
        if !self.openings.is_empty() {
            return None;
        }
        let pending = self.refunds.values().filter(|found| !found.refund.is_over());
        // A refund without a deadline is to be looked at now, and `None` is the least.
        pending.map(|found| found.refund.deadline()).min().flatten()
    }

    /// Notes that `step` was reached, with those before it that nobody saw.
    pub fn reach(&mut self, step: Step, now_ms: u64) {
        for earlier in Step::ALL.into_iter().filter(|earlier| *earlier <= step) {
            self.reached.entry(earlier).or_insert(now_ms);
        }
    }

    /// Notes that the miner has fetched the file up to `end`; whether that is all of it.
    pub fn served(&mut self, end: u64, now_ms: u64) -> bool {
        self.transferred = self.transferred.max(end);
        let whole = self.transferred >= self.deal.draft.size;
        if whole {
            self.reach(Step::Transferred, now_ms);
        }
        whole
    }

    /// Takes the machine's new stage over; `height` is the chain's, when known.
    pub fn advance(&mut self, deal: ClientDeal, height: Option<Epoch>, now_ms: u64) {
        let was_complete = self.is_complete();
        if self.deal.stage != deal.stage {
            // A new stage means that whatever hindered the deal is over.
            self.error = None;
        }
        self.deal = deal;
        self.keep_answer();
        if self.is_settled() {
            self.giving_up = None;
        }
        if let Some(cid) = self.deal.cid() {
            self.cid = Some(cid.to_string());
        }
        let step = match &self.deal.stage {
            ClientStage::Drafted => Step::Drafted,
            ClientStage::ChannelOpen { .. } => Step::Channel,
            ClientStage::Signed { .. } => Step::Signed,
            ClientStage::Running { response, .. } => match response.response.state {
                DealState::Staged => Step::Staged,
                DealState::Started => Step::Transferred,
                _ => Step::Accepted,
            },
            ClientStage::Complete { .. } => Step::Complete,
            ClientStage::Failed { .. } => {
                if was_complete {
                    self.hurry_refund();
                }
                return self.owe_refund();
            }
        };
        self.owe_refund();
        self.reach(step, now_ms);
        if step >= Step::Accepted {
            self.accepted_at = self.accepted_at.or(height);
        }
        if step >= Step::Staged {
            self.transferred = self.deal.draft.size;
        }
    }

    /// Keeps the first answer of each state: at most one each of accepted, started, staged and complete.
    fn keep_answer(&mut self) {
        let Some(response) = self.deal.response() else { return };
        let state = response.response.state;
        if self.answers.iter().all(|kept| kept.response.response.state != state) {
            self.answers.push(SignedAnswer {
                worker: self.deal.draft.worker.clone(),
                response: response.clone(),
            });
        }
    }

    /// The channel whose money comes back to the client, and how that begins: a miner that has said itself that there is no deal
    /// is asked to close the channel.
    fn refund_to_begin(&self) -> Option<(ChannelId, Refund)> {
        let (channel, begin) = self.deal.refund()?;
        let said_no =
            |answer: &Answer| [DealState::Rejected.name(), DealState::Failed.name()].contains(&&*answer.state);
        Some(match begin {
            Refund::Due if self.answer.as_ref().is_some_and(said_no) => (channel, Refund::Asking),
            begin => (channel, begin),
        })
    }

    /// What is left in a failed deal's channel is to come back, and in a complete deal's when it has ended.
    pub fn owe_refund(&mut self) {
        let Some((channel, begin)) = self.refund_to_begin() else {
            return;
        };
        // Of a channel that the miner is to empty, only what is seen in it at its end comes back.
        let amount = match begin {
            Refund::Waiting { .. } => AttoFil::ZERO,
            _ => self.deal.draft.total().unwrap_or_default(),
        };
        self.refunds.entry(channel.0).or_insert(ChannelRefund {
            amount,
            refund: begin,
            error: None,
        });
    }

    /// A complete deal that has failed since is not left to the miner's leisure any more. Only then: a cancellation that
    /// the broker refused looks the same in the record, and would be sent again.
    fn hurry_refund(&mut self) {
        let Some((channel, begin)) = self.refund_to_begin() else {
            return;
        };
        let at_leisure = Refund::at_end(self.deal.draft.channel_eol());
        if let Some(owed) = self
            .refunds
            .get_mut(&channel.0)
            .filter(|owed| owed.refund == at_leisure)
        {
            owed.refund = begin;
        }
    }
}

/// Whether a miner that says this may still have to fetch the piece.
pub fn lacks_the_piece(state: DealState) -> bool {
    matches!(state, DealState::Unknown | DealState::Accepted | DealState::Started)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read is written as it was, and equals itself.
    #[test]
    fn a_kept_time_that_is_no_number_is_not_read() {
        #[derive(Serialize)]
        struct Kept {
            state: &'static str,
            message: &'static str,
            at: f64,
        }
        let read = |kept: &[u8]| ciborium::from_reader::<Answer, _>(kept);
        for (at, is_read) in [(1e12, true), (f64::NAN, false), (f64::INFINITY, false)] {
            let (state, message, mut kept) = ("accepted", "", Vec::new());
            ciborium::into_writer(&Kept { state, message, at }, &mut kept).expect("a vector takes everything");
            let found = read(&kept);
            assert_eq!(found.is_ok(), is_read, "{at}");
            let Ok(answer) = found else { continue };
            let mut again = Vec::new();
            ciborium::into_writer(&answer, &mut again).expect("a vector takes everything");
            assert_eq!(read(&again).ok(), Some(answer), "as it is kept now");
        }
    }
}
