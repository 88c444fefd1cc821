//! Every rule by which a miner accepts a proposal (spec §4.2 in its order, and the checks that spec §7 found missing).
//!
//! Called by the miner's daemon for every proposal, and by [`super::Draft::rehearse`] for the client's own before anything
//! is paid, so that a refusal costs nothing. What follows on acceptance is [`super::MinerDeal`].
//!
//! Only these rules look at the height, and none of them turns an acceptance into a refusal while blocks pass, before
//! [`ASK_GRACE`] and [`PROPOSAL_SLACK`] are over: the proposal that a client draws up at one height is good at the later
//! one of the review (spec §7.15).

mod payment;
mod rejection;

pub use crate::payment::ChannelFacts;
pub use rejection::{Rejection, RejectionCode};

use super::proposal::SignedProposal;
use crate::chain::{Address, AttoFil, Epoch};
use crate::piece::node::digest_of;
use crate::piece::DagShape;
use cid::Cid;
use rejection::reject;

/// Blocks after an ask's expiry in which a proposal is still taken: a client that drew it up in time first has its
/// channel's message mined (spec §4.3 waits 2 minutes for that; this is an hour at 30 s a block).
pub const ASK_GRACE: u64 = 120;
/// Blocks after the last voucher fell due in which a proposal is still taken. Half of what the channel lives on: the
/// miner must have time left to redeem.
pub const PROPOSAL_SLACK: u64 = crate::payment::CHANNEL_EXPIRY_INTERVAL / 2;

/// What a miner's operator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorTerms {
    /// The published ask that these terms are of, when there is one; for the texts of refusals.
    pub ask_id: Option<u64>,
    /// attoFIL per byte per block; 0 stores for free.
    pub price: AttoFil,
    /// Blocks of the shortest deal.
    pub min_duration: u64,
    /// Blocks of the longest deal.
    pub max_duration: u64,
    /// First height at which the ask does not stand any more; `None` for one without an end.
    pub expiry: Option<Epoch>,
}

impl OperatorTerms {
    /// A price, for deals of any length, for ever.
    pub fn at_price(price: AttoFil) -> Self {
        Self {
            ask_id: None,
            price,
            min_duration: 1,
            max_duration: u64::MAX,
            expiry: None,
        }
    }
}

/// What the reviewer knows when a proposal arrives.
#[derive(Debug, Clone)]
pub struct ReviewContext {
    pub miner: Address,
    pub owner: Address,
    pub terms: OperatorTerms,
    /// The chain's height now.
    pub height: Epoch,
    /// Bytes of data that a sector takes.
    pub usable: u64,
    /// The channel that the proposal names, as the chain has it.
    pub channel: Option<ChannelFacts>,
    /// Whether another deal was already accepted on that channel.
    pub channel_is_promised: bool,
}

/// What a deal is about, without its payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DealTerms<'a> {
    pub miner: &'a Address,
    /// Unpadded bytes of the piece.
    pub size: Option<u64>,
    /// Blocks.
    pub duration: u64,
    /// attoFIL for the entire deal.
    pub total_price: AttoFil,
}

/// Decides whether the miner of `context` would take a deal of these terms, whatever its payment will be like: every rule of
/// [`review()`] that needs neither signatures nor a channel. Asked before anything is paid ([`super::quote`]).
pub fn review_terms(terms: &DealTerms, context: &ReviewContext) -> Result<(), Rejection> {
    let size = review_subject(terms, context)?;
    if !context.terms.price.is_zero() {
        payment::review_price(terms, size, context)?;
    }
    review_size(size, context)
}

/// Decides whether the miner of `context` accepts `signed`.
pub fn review(signed: &SignedProposal, context: &ReviewContext) -> Result<(), Rejection> {
    let proposal = &signed.proposal;
    review_signature(signed, context)?;
    let terms = DealTerms {
        miner: &proposal.miner_address,
        size: proposal.size.map(|size| size.0),
        duration: proposal.duration,
        total_price: proposal.total_price,
    };
    let size = review_subject(&terms, context)?;
    if !payment::is_free(signed, context)? {
        let expected = payment::review_price(&terms, size, context)?;
        payment::review_payment(signed, expected, context)?;
    }
    review_size(size, context)?;
    review_piece(&proposal.piece_ref, size)
}

/// The payer signs, or else the session key that the deal's channel names. Whether a key is that is seen when the channel is there:
/// a paid deal without one is refused for that.
fn review_signature(signed: &SignedProposal, context: &ReviewContext) -> Result<(), Rejection> {
    if signed.signature_is_valid() {
        return Ok(());
    }
    let key = signed.session_key();
    let named = context.channel.as_ref().map(|channel| channel.session.as_ref());
    match (key, named) {
        (Some(key), Some(named)) if Some(&key) == named => Ok(()),
        // It has a voucher, so that the deal counts as paid: `review_payment` looks for its channel.
        (Some(_), None) => Ok(()),
        _ => reject(RejectionCode::Signature, "invalid deal signature"),
    }
}

/// Whose deal it is, for how much and how long; the piece's size.
fn review_subject(terms: &DealTerms, context: &ReviewContext) -> Result<u64, Rejection> {
    if *terms.miner != context.miner {
        let (found, own) = (terms.miner, &context.miner);
        return reject(
            RejectionCode::WrongMiner,
            alloc::format!("proposal is addressed to miner {found}, this is {own}"),
        );
    }
    let Some(size) = terms.size.filter(|size| *size > 0) else {
        return reject(RejectionCode::NoSize, "proposed deal has no size");
    };
    review_duration(terms.duration, context)?;
    Ok(size)
}

/// A piece that can never be fetched is not waited for (finding A3).
fn review_piece(piece_ref: &Cid, size: u64) -> Result<(), Rejection> {
    if digest_of(piece_ref, DagShape::STANDARD.root_codec(size)).is_none() {
        let text = alloc::format!(
            "piece {piece_ref} cannot be the root of a file of {size} bytes: give the root of its UnixFS DAG with raw leaves of 1 MiB"
        );
        return reject(RejectionCode::PieceRef, text);
    }
    Ok(())
}

fn review_size(size: u64, context: &ReviewContext) -> Result<(), Rejection> {
    let usable = context.usable;
    if size > usable {
        return reject(
            RejectionCode::PieceTooLarge,
            alloc::format!("piece is {size} bytes but sector size is {usable} bytes"),
        );
    }
    Ok(())
}

/// What `size` bytes cost for `duration` blocks at `price` attoFIL per byte and block.
pub fn price_of(price: AttoFil, size: u64, duration: u64) -> Option<AttoFil> {
    price.checked_mul(u128::from(size).checked_mul(u128::from(duration))?)
}

fn review_duration(duration: u64, context: &ReviewContext) -> Result<(), Rejection> {
    let terms = &context.terms;
    if let Err(e) = crate::payment::schedule::voucher_count(duration) {
        return reject(RejectionCode::Duration, e);
    }
    if duration < terms.min_duration {
        let text = alloc::format!(
            "the deal lasts {duration} blocks but this miner takes none shorter than {}",
            terms.min_duration
        );
        return reject(RejectionCode::DurationTooShort, text);
    }
    if duration > terms.max_duration {
        let text = alloc::format!(
            "the deal lasts {duration} blocks but this miner takes none longer than {}",
            terms.max_duration
        );
        return reject(RejectionCode::DurationTooLong, text);
    }
    let height = context.height;
    if let Some(expiry) = terms.expiry.filter(|expiry| height >= expiry.plus(ASK_GRACE)) {
        let ask = terms.ask_id.map_or("the ask".into(), |id| alloc::format!("ask {id}"));
        let text = alloc::format!("{ask} expired at {expiry} and this is {height}: look for the miner's newest ask");
        return reject(RejectionCode::AskExpired, text);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
