//! A deal drawn up and not yet paid for, and everything that can refuse it while that costs nothing (spec §3.3 steps 5
//! to 16, §7.9, §7.26).
//!
//! Made by the browser and by the command line; [`Draft::rehearse`] decides whether it becomes a
//! [`super::ClientDeal`], which opens the channel.
//!
//! One height for the whole proposal (spec §7.15): vouchers and the channel's end both count from [`Draft::start`]. The
//! miner reviews some blocks later. None of its rules grows stricter while blocks pass, until
//! [`super::review::PROPOSAL_SLACK`] blocks after the last voucher fell due: that is all the slack a proposal needs, and
//! the schedule itself has none.

use super::client::{ClientDeal, ClientStage};
use super::proposal::SignedProposal;
use super::quote::QuoteRequest;
use super::review::{price_of, review, OperatorTerms, Rejection, ReviewContext};
use crate::chain::calls::{GAS_LIMIT, GAS_PRICE};
use crate::chain::keys::cid_of_bytes;
use crate::chain::{Address, AttoFil, Epoch, SecretKey};
use crate::payment::schedule::{voucher_count, ScheduleError};
use crate::payment::{ChannelFacts, CHANNEL_EXPIRY_INTERVAL};
use crate::piece::{Commitment, SectorSize};
use crate::wire::{as_cbor, encode, frame::MAX_MESSAGE};
use cid::Cid;
use serde::{Deserialize, Serialize};

/// Channel id of the rehearsed proposal: no account sends more messages than this, one a second for 136 years.
const TRIAL_CHANNEL: u64 = u32::MAX as u64;

/// What a deal is made of before anything is paid or sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    #[serde(with = "as_cbor")]
    pub data_cid: Cid,
    pub comm_p: Commitment,
    /// Unpadded bytes.
    pub size: u64,
    pub payer: Address,
    pub miner: Address,
    pub owner: Address,
    pub worker: Address,
    pub sector_size: SectorSize,
    /// attoFIL per byte per block.
    pub price: AttoFil,
    /// Blocks.
    pub duration: u64,
    /// The head's height when the draft was made: the whole proposal counts from it.
    pub start: Epoch,
}

/// Why a draft cannot become a deal; nothing was paid yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    #[error("there is nothing to store: the file is empty")]
    Empty,
    #[error("piece is {size} bytes but sector size is {usable} bytes")]
    PieceTooLarge { size: u64, usable: u64 },
    #[error("proposal is a duplicate of existing deal; if you would like to create a duplicate, add the --allow-duplicates flag")]
    Duplicate,
    #[error("attempting to make storage deal with self. This is currently unsupported.  Please use a separate go-filecoin node as client")]
    SelfDeal,
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    #[error("the proposal would be up to {size} bytes long, and a miner reads at most {limit} bytes: choose a shorter duration, which needs fewer vouchers")]
    ProposalTooLarge { size: usize, limit: usize },
    #[error("this deal would cost {cost} FIL with its gas but the account holds {balance} FIL: get more FIL, or choose a shorter duration")]
    Funds { cost: AttoFil, balance: AttoFil },
    #[error("the miner would refuse this deal: {0}")]
    Rejected(#[from] Rejection),
}

/// Whether one of the deals that the client keeps, each given by its miner and the root of its piece, is with the
/// draft's miner for the draft's piece (spec §3.3 step 12). Deals that have failed do not count: the caller leaves them out.
pub fn duplicates<'a>(existing: impl IntoIterator<Item = (&'a Address, &'a Cid)>, draft: &Draft) -> bool {
    existing
        .into_iter()
        .any(|(miner, piece)| *miner == draft.miner && *piece == draft.data_cid)
}

impl Draft {
    /// The deal's whole price; `None` when it is more than all FIL.
    pub fn total(&self) -> Option<AttoFil> {
        price_of(self.price, self.size, self.duration)
    }

    /// What the miner is asked before anything is paid; `None` where the price is more than all FIL.
    pub fn quote_request(&self) -> Option<QuoteRequest> {
        Some(QuoteRequest {
            payer: self.payer.clone(),
            miner: self.miner.clone(),
            piece_ref: self.data_cid,
            size: self.size,
            total_price: self.total()?,
            duration: self.duration,
        })
    }

    /// What the account must hold: the price, and the gas of the message that opens the channel. Nothing for a free deal.
    pub fn cost(&self) -> Result<AttoFil, ScheduleError> {
        let total = self.total().ok_or(ScheduleError::Overflow)?;
        if total.is_zero() {
            return Ok(AttoFil::ZERO);
        }
        let gas = AttoFil(GAS_PRICE.0 * u128::from(GAS_LIMIT));
        total.checked_add(gas).ok_or(ScheduleError::Overflow)
    }

    /// The height at which the last voucher falls due and the deal ends.
    pub fn end(&self) -> Epoch {
        self.start.plus(self.duration)
    }

    /// The end of life that the deal's channel is opened with (spec §3.3 step 15).
    pub fn channel_eol(&self) -> Epoch {
        self.end().plus(CHANNEL_EXPIRY_INTERVAL)
    }

    /// Everything that can be refused before money is locked, in the spec's order: size, self-deal, schedule, length of
    /// the proposal, funds, and the miner's own review of the proposal as it would be sent. `key` is the payer's
    /// or the session key that its channel will name,
    /// `balance` what its account holds.
    pub fn rehearse(&self, key: &SecretKey, balance: AttoFil) -> Result<(), DraftError> {
        let (size, usable) = (self.size, self.sector_size.usable());
        if size == 0 {
            return Err(DraftError::Empty);
        }
        if size > usable {
            return Err(DraftError::PieceTooLarge { size, usable });
        }
        if self.payer == self.owner || self.payer == self.worker {
            return Err(DraftError::SelfDeal);
        }
        voucher_count(self.duration)?;
        let cost = self.cost()?;
        let (proposal, channel) = self.trial(key)?;
        let (size, limit) = (encode(&proposal).len(), MAX_MESSAGE);
        if size > limit {
            return Err(DraftError::ProposalTooLarge { size, limit });
        }
        if balance < cost {
            return Err(DraftError::Funds { cost, balance });
        }
        Ok(review(&proposal, &self.trial_context(channel))?)
    }

    /// The proposal over a channel as it would be opened, and that channel. Its id is the number of a message still to be
    /// sent: [`TRIAL_CHANNEL`] makes the proposal at least as long as the real one.
    fn trial(&self, key: &SecretKey) -> Result<(SignedProposal, Option<ChannelFacts>), ScheduleError> {
        let mut deal = ClientDeal::new(self.clone());
        let total = self.total().ok_or(ScheduleError::Overflow)?;
        let channel = (!total.is_zero()).then(|| ChannelFacts {
            target: self.owner.clone(),
            amount: total,
            amount_redeemed: AttoFil::ZERO,
            eol: self.channel_eol(),
            agreed_eol: self.channel_eol(),
            session: Some(key.address()).filter(|session| *session != self.payer),
        });
        if channel.is_some() {
            let (channel, message) = (TRIAL_CHANNEL, cid_of_bytes(&[]));
            deal.stage = ClientStage::ChannelOpen { channel, message };
        }
        Ok((deal.sign(key)?, channel))
    }

    /// The miner as far as the chain tells of it.
    fn trial_context(&self, channel: Option<ChannelFacts>) -> ReviewContext {
        ReviewContext {
            miner: self.miner.clone(),
            owner: self.owner.clone(),
            terms: OperatorTerms::at_price(self.price),
            height: self.start,
            usable: self.sector_size.usable(),
            channel,
            channel_is_promised: false,
        }
    }
}
