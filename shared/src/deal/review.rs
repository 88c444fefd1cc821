//! Every rule by which a miner accepts a proposal (spec §4.2 in its order, and the checks that spec §7 found missing).
//!
//! The client runs the same function on its own proposal before it sends it, so that a refusal costs nothing.

use super::proposal::SignedProposal;
use crate::chain::{Address, AttoFil, ChannelId, Epoch};
use crate::payment::{PaymentVoucher, CHANNEL_EXPIRY_INTERVAL, VOUCHER_INTERVAL};
use alloc::string::{String, ToString};

/// What the reviewer knows when a proposal arrives.
#[derive(Debug, Clone)]
pub struct ReviewContext {
    pub miner: Address,
    pub owner: Address,
    /// attoFIL per byte per block.
    pub price: AttoFil,
    /// The chain's height now.
    pub height: Epoch,
    /// Bytes of data that a sector takes.
    pub usable: u64,
    /// The channel that the proposal names, as the chain has it.
    pub channel: Option<ChannelFacts>,
    /// Whether another deal was already accepted on that channel.
    pub channel_is_promised: bool,
}

/// A payment channel on the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelFacts {
    pub target: Address,
    pub amount: AttoFil,
    pub amount_redeemed: AttoFil,
    /// The lower of the channel's end of life and the agreed one.
    pub eol: Epoch,
}

macro_rules! rejections {
    ($($(#[$doc:meta])* $name:ident = $code:literal),+ $(,)?) => {
        /// Stable numbers of the reasons to refuse a proposal.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum RejectionCode { $($(#[$doc])* $name = $code),+ }
    };
}

rejections! {
    /// The payer did not sign this proposal.
    Signature = 1001,
    /// The proposal is for another miner.
    WrongMiner = 1002,
    /// No size, or nothing to store.
    NoSize = 1003,
    /// The deal lasts no time, or longer than any schedule of vouchers.
    Duration = 1004,
    /// The piece is larger than a sector.
    PieceTooLarge = 1005,
    /// Price times size times duration is more than exists.
    PriceOverflow = 1006,
    /// The total price is below the asking price.
    PriceTooLow = 1010,
    /// The payment broker is not the one of this network.
    WrongBroker = 1011,
    /// The proposal names no channel, or one that is not on the chain.
    NoChannel = 1012,
    /// The channel pays somebody else.
    ChannelTarget = 1013,
    /// The channel holds too little.
    ChannelFunds = 1014,
    /// The channel is promised to another deal.
    ChannelReused = 1015,
    /// The channel ends before the vouchers can be redeemed.
    ChannelEol = 1016,
    /// No vouchers.
    NoVouchers = 1020,
    /// The first voucher is due too late.
    FirstVoucherLate = 1021,
    /// A voucher names another payer, target or channel.
    VoucherFields = 1022,
    /// A voucher is not signed by the payer.
    VoucherSignature = 1023,
    /// Two vouchers are too far apart, or out of order.
    VoucherInterval = 1024,
    /// A voucher is worth less than the time served.
    VoucherAmount = 1025,
    /// The last voucher does not cover the price.
    LastVoucher = 1026,
    /// The last voucher has a condition.
    LastVoucherConditional = 1027,
}

/// A refusal: the peer's fault, with a stable code and the text that tools know (design §4).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    pub code: RejectionCode,
    pub message: String,
}

fn reject<T>(code: RejectionCode, message: impl ToString) -> Result<T, Rejection> {
    Err(Rejection {
        code,
        message: message.to_string(),
    })
}

/// Decides whether the miner of `context` accepts `signed`.
pub fn review(signed: &SignedProposal, context: &ReviewContext) -> Result<(), Rejection> {
    let proposal = &signed.proposal;
    if !signed.signature_is_valid() {
        return reject(RejectionCode::Signature, "invalid deal signature");
    }
    if proposal.miner_address != context.miner {
        let (found, own) = (&proposal.miner_address, &context.miner);
        return reject(
            RejectionCode::WrongMiner,
            alloc::format!("proposal is addressed to miner {found}, this is {own}"),
        );
    }
    let Some(size) = proposal.size.map(|size| size.0).filter(|size| *size > 0) else {
        return reject(RejectionCode::NoSize, "proposed deal has no size");
    };
    if let Err(e) = crate::payment::schedule::voucher_count(proposal.duration) {
        return reject(RejectionCode::Duration, e);
    }
    if !context.price.is_zero() {
        review_payment(signed, size, context)?;
    }
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

fn review_payment(signed: &SignedProposal, size: u64, context: &ReviewContext) -> Result<(), Rejection> {
    let proposal = &signed.proposal;
    let (total, ask) = (proposal.total_price, context.price);
    let Some(expected) = price_of(ask, size, proposal.duration) else {
        return reject(
            RejectionCode::PriceOverflow,
            "the price of this size and duration is more than all FIL",
        );
    };
    if total < expected {
        let text =
            alloc::format!("proposed price ({total}) is less than expected ({expected}) given asking price of {ask}");
        return reject(RejectionCode::PriceTooLow, text);
    }
    let broker = Address::id(Address::PAYMENT_BROKER);
    if proposal.payment.pay_ch_actor.0.as_ref() != Some(&broker) {
        return reject(
            RejectionCode::WrongBroker,
            alloc::format!("payments go through the payment broker {broker}"),
        );
    }
    let (Some(id), Some(channel)) = (proposal.payment.channel, context.channel.as_ref()) else {
        let (payer, id) = (
            &proposal.payment.payer,
            proposal.payment.channel.map_or("none".into(), |id| id.to_string()),
        );
        let text = alloc::format!("could not find payment channel for payer {payer} and id {id}");
        return reject(RejectionCode::NoChannel, text);
    };
    if channel.target != context.owner {
        let (owner, target) = (&context.owner, &channel.target);
        let text = alloc::format!("miner account ({owner}) is not target of payment channel ({target})");
        return reject(RejectionCode::ChannelTarget, text);
    }
    let have = channel.amount.checked_sub(channel.amount_redeemed).unwrap_or_default();
    if have < expected || have < total {
        let text = alloc::format!(
            "payment channel does not contain enough funds ({have} < {})",
            expected.max(total)
        );
        return reject(RejectionCode::ChannelFunds, text);
    }
    if context.channel_is_promised {
        let text = alloc::format!("payment channel {id} already pays for another deal: open a new one");
        return reject(RejectionCode::ChannelReused, text);
    }
    review_vouchers(signed, id, channel, context)
}

fn review_vouchers(
    signed: &SignedProposal,
    id: ChannelId,
    channel: &ChannelFacts,
    context: &ReviewContext,
) -> Result<(), Rejection> {
    let proposal = &signed.proposal;
    let vouchers = proposal.payment.vouchers.as_deref().unwrap_or_default();
    let (Some(first), Some(last)) = (vouchers.first(), vouchers.last()) else {
        return reject(RejectionCode::NoVouchers, "deal proposal contains no payment vouchers");
    };
    let start_limit = context.height.plus(VOUCHER_INTERVAL);
    if first.valid_at > start_limit {
        return reject(
            RejectionCode::FirstVoucherLate,
            "payments start after deal start interval",
        );
    }
    let mut previous = start_limit;
    let mut seen = Epoch(0);
    for voucher in vouchers {
        review_voucher(voucher, id, previous, seen, signed, context)?;
        previous = voucher.valid_at;
        seen = voucher.valid_at;
    }
    if last.amount < proposal.total_price {
        let text = alloc::format!(
            "last payment ({}) does not cover total price ({})",
            last.amount,
            proposal.total_price
        );
        return reject(RejectionCode::LastVoucher, text);
    }
    if last.condition.is_some() {
        return reject(
            RejectionCode::LastVoucherConditional,
            "the last voucher must not have a condition",
        );
    }
    let need = last.valid_at.plus(CHANNEL_EXPIRY_INTERVAL);
    if channel.eol < need {
        let text = alloc::format!("payment channel eol ({}) less than required eol ({need})", channel.eol);
        return reject(RejectionCode::ChannelEol, text);
    }
    Ok(())
}

fn review_voucher(
    voucher: &PaymentVoucher,
    channel: ChannelId,
    previous: Epoch,
    seen: Epoch,
    signed: &SignedProposal,
    context: &ReviewContext,
) -> Result<(), Rejection> {
    let proposal = &signed.proposal;
    let payer = &proposal.payment.payer;
    if voucher.payer != *payer || voucher.target != context.owner || voucher.channel != channel {
        return reject(
            RejectionCode::VoucherFields,
            "voucher names another payer, target or channel than the deal",
        );
    }
    if !voucher.is_signed_by(payer) {
        return reject(RejectionCode::VoucherSignature, "invalid signature in voucher");
    }
    let valid_at = voucher.valid_at;
    if valid_at > previous.plus(VOUCHER_INTERVAL) {
        let text = alloc::format!("interval between vouchers too high ({valid_at} - {previous} > {VOUCHER_INTERVAL})");
        return reject(RejectionCode::VoucherInterval, text);
    }
    if valid_at < seen {
        let text = alloc::format!("vouchers are out of order ({valid_at} comes after {seen})");
        return reject(RejectionCode::VoucherInterval, text);
    }
    let served = valid_at.0.saturating_sub(context.height.0);
    if pays_less_than_served(voucher.amount, proposal.duration, proposal.total_price, served) {
        let text = alloc::format!(
            "voucher amount ({}) less than expected for voucher valid at ({valid_at})",
            voucher.amount
        );
        return reject(RejectionCode::VoucherAmount, text);
    }
    Ok(())
}

/// amount · duration < total · served, exactly: the products may need 189 bits.
fn pays_less_than_served(amount: AttoFil, duration: u64, total: AttoFil, served: u64) -> bool {
    wide(amount.0, duration) < wide(total.0, served)
}

/// The product as (high, low) parts of 192 bits.
fn wide(a: u128, b: u64) -> (u128, u64) {
    let low = (a & u128::from(u64::MAX)) * u128::from(b);
    let high = (a >> 64) * u128::from(b) + (low >> 64);
    (high, low as u64)
}

#[cfg(test)]
mod tests;
