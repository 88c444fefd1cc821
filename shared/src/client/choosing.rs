//! Which miner a deal is made with when its user names a rule instead of a miner (step 3 of a deal): who could take the file, in
//! which order they are asked, and whom their answers leave.
//!
//! Called by both hosts before a deal is drawn up, and for their lists of miners. A [`Choosing`] names the miners to ask
//! ([`Choosing::asked`]), the host asks them whether they would take the deal now ([`question`]; several at once, each for at most
//! [`ASK_LIMIT_MS`]) and hands in what came of it, in that order; the first by the rule that does not say no is chosen. Those before it
//! are told with their reasons ([`PassedOver`]). Nothing is paid meanwhile; the engine asks the chosen one again before it pays
//! ([`super::quoting`]), and goes to the next of [`ByRule::others`] when that one has changed its mind or is gone.

use super::offer::{within_limit, MinerOffer, OfferError};
use super::quoting;
use crate::chain::keys::cid_of_bytes;
use crate::chain::view::MinerView;
use crate::chain::{Address, AttoFil, Epoch};
use crate::deal::review::price_of;
use crate::deal::{QuoteRequest, SignedQuote};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// Miners that are asked for one deal or one list, at most: each is a connection.
pub const MOST_ASKED: usize = 32;
/// Of those, so many at once.
pub const ASKED_AT_ONCE: usize = 8;
/// How long one of them is waited for, from dial to answer, in milliseconds.
pub const ASK_LIMIT_MS: u64 = 3_000;
/// Miners whose reasons are told when none takes a deal.
const REASONS_TOLD: usize = 5;
/// Miners that a deal may still go to, at most, when the chosen one would not take it after all.
const MOST_OTHERS: usize = 8;
/// How many times what its user agreed to another miner may ask for a deal. The next by the rule is dearer as a rule, a little; a miner that
/// takes a deal and then refuses it must not send it to one that asks anything. A limit that its user has given counts in its place.
pub const MOST_DEARER: u128 = 2;
/// Blocks of the deal that miners are asked about for a list.
pub const USUAL_DURATION: u64 = 10_000;
/// Bytes of that deal, where a miner takes as many.
const USUAL_SIZE: u64 = 1 << 20;

/// How a miner is chosen when none is named. What is alike by the rule goes by price, then by address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum MinerRule {
    /// The lowest price.
    #[default]
    Cheapest,
    /// The shortest measured way.
    Nearest,
    /// The miner with the fewest deals of this client, so that the loss of one miner is a small loss.
    Spread,
}

impl MinerRule {
    /// All rules, the usual first.
    pub const ALL: [Self; 3] = [Self::Cheapest, Self::Nearest, Self::Spread];

    /// Its name for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cheapest => "cheapest",
            Self::Nearest => "nearest",
            Self::Spread => "spread",
        }
    }
}

/// A text is none of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the rules are cheapest, nearest and spread")]
pub struct UnknownRule;

impl FromStr for MinerRule {
    type Err = UnknownRule;

    fn from_str(text: &str) -> Result<Self, UnknownRule> {
        let found = Self::ALL.into_iter().find(|rule| rule.name() == text);
        found.ok_or(UnknownRule)
    }
}

/// What a miner says to the question whether it would take a deal now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Says {
    /// It would.
    Yes,
    /// It would not; the reason is beside it.
    No,
    /// It cannot be reached, or does not answer as it should.
    Silent,
    /// It offers nothing, so it was not asked, or speaks the protocols of 2019 only and cannot be.
    Unasked,
}

/// A miner's answer, and how far away it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct MinerAnswer {
    pub miner: Address,
    pub says: Says,
    /// Why it says no, or why it says nothing; empty otherwise.
    pub reason: String,
    /// With `no`: the stable number of the miner's rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u64>,
    /// After how long to ask again, in milliseconds, where the miner can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_ms: Option<u64>,
    /// Bytes that it would take in at present, where it can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<u64>,
    /// Milliseconds from the question to its answer, on a connection that was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance_ms: Option<u64>,
    /// When that was, in milliseconds since 1970.
    pub asked_at: u64,
}

impl MinerAnswer {
    /// What a signed quote says, and after which time it came.
    pub fn heard(signed: &SignedQuote, request: &QuoteRequest, offer: &MinerOffer, took_ms: u64, now_ms: u64) -> Self {
        let mut answer = Self::silent(&offer.view.address, String::new(), now_ms);
        answer.distance_ms = Some(took_ms);
        if let Err(refusal) = quoting::check(signed, request, &offer.view.worker) {
            answer.reason = refusal.to_string();
            return answer;
        }
        let quote = &signed.quote;
        answer.room = quote.room;
        if quote.is_accepted() {
            answer.says = Says::Yes;
            return answer;
        }
        Self {
            says: Says::No,
            reason: quote.message.clone(),
            code: Some(quote.code),
            retry_ms: quote.retry_ms,
            ..answer
        }
    }

    /// It cannot be reached, or answers nothing that makes sense.
    pub fn silent(miner: &Address, reason: String, now_ms: u64) -> Self {
        Self {
            miner: miner.clone(),
            says: Says::Silent,
            reason,
            code: None,
            retry_ms: None,
            room: None,
            distance_ms: None,
            asked_at: now_ms,
        }
    }

    /// It was not asked. `took_ms`: how long it took to say that it does not speak the protocol.
    pub fn unasked(miner: &Address, took_ms: Option<u64>, now_ms: u64) -> Self {
        Self {
            says: Says::Unasked,
            distance_ms: took_ms,
            ..Self::silent(miner, String::new(), now_ms)
        }
    }

    /// Why a deal is not made with it, if that is so.
    fn refusal(&self) -> Option<PassedOver> {
        match self.says {
            Says::Yes | Says::Unasked => None,
            Says::No => Some(PassedOver::refusing(&self.miner, &self.reason)),
            Says::Silent => Some(PassedOver::silent(&self.miner, &self.reason)),
        }
    }
}

/// A miner that came first by the rule, and why the deal was not made with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PassedOver {
    pub miner: Address,
    pub reason: String,
}

impl PassedOver {
    /// It would not take the deal.
    pub fn refusing(miner: &Address, reason: &str) -> Self {
        let reason = format!("it takes no such deal now: {reason}");
        Self {
            miner: miner.clone(),
            reason,
        }
    }

    /// It asks too much more than what was agreed to.
    pub fn dearer(miner: &Address) -> Self {
        let reason = format!("it asks more than {MOST_DEARER} times the price that was agreed to");
        Self {
            miner: miner.clone(),
            reason,
        }
    }

    /// The deal with it would cost more than its user allows.
    pub fn over_limit(miner: &Address, most: AttoFil) -> Self {
        let reason = format!("the deal may cost {most} FIL, and it asks more");
        Self {
            miner: miner.clone(),
            reason,
        }
    }

    /// It cannot be asked.
    pub fn silent(miner: &Address, reason: &str) -> Self {
        let reason = format!("it does not answer: {reason}");
        Self {
            miner: miner.clone(),
            reason,
        }
    }
}

/// How a deal's miner was chosen; kept with the deal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByRule {
    pub rule: MinerRule,
    /// Those before the chosen one by the rule, the first first.
    pub passed: Vec<PassedOver>,
    /// Those after it that have not said no, the first first.
    pub others: Vec<Address>,
    /// The price of the first one, once the deal went on to another, in FIL for a byte in a block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreed: Option<AttoFil>,
}

impl ByRule {
    /// The deal does not go to `holders`: they have the same data already.
    pub fn leave_out(&mut self, holders: &[Address]) {
        self.others.retain(|other| !holders.contains(other));
    }
}

/// Whom a deal is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub offer: MinerOffer,
    pub by_rule: ByRule,
}

/// The choice while miners are asked.
#[derive(Debug, Clone)]
pub struct Choosing {
    rule: MinerRule,
    candidates: Vec<Candidate>,
    heard: Vec<MinerAnswer>,
}

#[derive(Debug, Clone)]
struct Candidate {
    offer: MinerOffer,
    /// This client's deals with the miner.
    deals: usize,
}

impl Choosing {
    /// Among `miners`, for a file of `size` bytes, by the account `own`. `deals` counts, for each miner, the deals that this client
    /// has with it and that have not failed.
    pub fn begin(
        rule: MinerRule,
        miners: Vec<MinerView>,
        own: &Address,
        size: u64,
        height: Epoch,
        deals: &BTreeMap<Address, usize>,
    ) -> Result<Self, OfferError> {
        let of = |offer: MinerOffer| Candidate {
            deals: deals.get(&offer.view.address).copied().unwrap_or_default(),
            offer,
        };
        let fitting = MinerOffer::fitting(miners, own, size, height)?;
        let mut candidates: Vec<Candidate> = fitting.into_iter().map(of).collect();
        // What is known before anybody is asked; distances are not.
        candidates.sort_by_cached_key(|candidate| {
            let deals = match rule {
                MinerRule::Spread => candidate.deals,
                MinerRule::Cheapest | MinerRule::Nearest => 0,
            };
            let offer = &candidate.offer;
            (deals, offer.ask.price, offer.view.address.to_string())
        });
        candidates.truncate(MOST_ASKED);
        let heard = Vec::new();
        Ok(Self {
            rule,
            candidates,
            heard,
        })
    }

    /// The same without those with whom a deal of `size` bytes for `duration` blocks would cost more than `most`: they are not asked.
    pub fn within(mut self, most: Option<AttoFil>, size: u64, duration: u64) -> Result<Self, OfferError> {
        let cost = |candidate: &Candidate| price_of(candidate.offer.ask.price, size, duration);
        let cheapest = self.candidates.iter().filter_map(cost).min();
        self.candidates
            .retain(|candidate| within_limit(cost(candidate), most).is_ok());
        match self.candidates.is_empty() {
            true => within_limit(cheapest, most).map(|()| self),
            false => Ok(self),
        }
    }

    /// Whom to ask, in this order.
    pub fn asked(&self) -> Vec<MinerOffer> {
        self.candidates
            .iter()
            .map(|candidate| candidate.offer.clone())
            .collect()
    }

    /// Whether there is nothing to choose: the only one need not be asked, since the engine does so before it pays.
    pub fn is_settled(&self) -> bool {
        self.candidates.len() == 1
    }

    /// Takes in the next one's answer; true when the others need not be heard.
    pub fn hear(&mut self, answer: MinerAnswer) -> bool {
        let takes = answer.refusal().is_none();
        self.heard.push(answer);
        takes && self.rule != MinerRule::Nearest
    }

    /// What was heard, in the order of [`Choosing::asked`].
    pub fn answers(&self) -> &[MinerAnswer] {
        &self.heard
    }

    /// The first by the rule that does not say no. One that was not heard is as one that cannot be asked.
    pub fn finish(self) -> Result<Choice, OfferError> {
        let mut answers = self.heard.into_iter();
        let mut ranked: Vec<(Candidate, Option<MinerAnswer>)> = self
            .candidates
            .into_iter()
            .map(|candidate| (candidate, answers.next()))
            .collect();
        if self.rule == MinerRule::Nearest {
            // Stable: those that are as far, or whose distance nobody knows, stay as they were.
            ranked.sort_by_key(|(_, answer)| {
                let distance = answer.as_ref().and_then(|answer| answer.distance_ms);
                distance.unwrap_or(u64::MAX)
            });
        }
        let says_no = |answer: &MinerAnswer| answer.says == Says::No;
        let refused = ranked.iter().any(|(_, answer)| answer.as_ref().is_some_and(says_no));
        let mut passed = Vec::new();
        let mut ranked = ranked.into_iter();
        for (candidate, answer) in ranked.by_ref() {
            let Some(refusal) = answer.and_then(|answer| answer.refusal()) else {
                let others = ranked.filter(|(_, answer)| answer.as_ref().and_then(MinerAnswer::refusal).is_none());
                let others = others.map(|(candidate, _)| candidate.offer.view.address);
                let by_rule = ByRule {
                    rule: self.rule,
                    passed,
                    others: others.take(MOST_OTHERS).collect(),
                    agreed: None,
                };
                let offer = candidate.offer;
                return Ok(Choice { offer, by_rule });
            };
            passed.push(refusal);
        }
        Err(OfferError::NoneTakes {
            reasons: reasons(&passed),
            refused,
        })
    }
}

/// The question to a miner whether it takes a deal of `size` bytes for `duration` blocks at its present price; `None` when the price
/// would be more than all FIL. Which piece it is makes no difference to the answer.
pub fn question(offer: &MinerOffer, payer: &Address, size: u64, duration: u64) -> Option<QuoteRequest> {
    Some(QuoteRequest {
        payer: payer.clone(),
        miner: offer.view.address.clone(),
        piece_ref: cid_of_bytes(&[]),
        size,
        total_price: price_of(offer.ask.price, size, duration)?,
        duration,
    })
}

/// The same for a list that is about no file: an ordinary deal.
pub fn usual_question(offer: &MinerOffer, payer: &Address) -> Option<QuoteRequest> {
    let size = offer.sector.usable().min(USUAL_SIZE);
    question(offer, payer, size, USUAL_DURATION)
}

fn reasons(passed: &[PassedOver]) -> String {
    let told = passed.iter().take(REASONS_TOLD);
    let told: Vec<String> = told.map(|one| format!("{}: {}", one.miner, one.reason)).collect();
    match passed.len().saturating_sub(REASONS_TOLD) {
        0 => told.join(". "),
        more => format!("{}. {more} more", told.join(". ")),
    }
}

#[cfg(test)]
mod tests;
