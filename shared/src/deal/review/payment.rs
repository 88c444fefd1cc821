//! The checks of a paid deal: price, channel, vouchers (spec §4.2 step 4 in its order, with what §7.17 to 7.19 miss).

use super::rejection::{reject, Rejection, RejectionCode};
use super::{price_of, DealTerms, ReviewContext, PROPOSAL_SLACK};
use crate::chain::{Address, AttoFil, BytesAmount, ChannelId, Epoch};
use crate::deal::proposal::SignedProposal;
use crate::payment::{ChannelFacts, PaymentVoucher, CHANNEL_EXPIRY_INTERVAL, VOUCHER_INTERVAL};
use crate::piece::Commitment;
use alloc::string::ToString;

/// Whether nothing is paid: the miner asks for nothing, and the proposal brings no vouchers. What a miner that asks for nothing
/// is offered all the same is reviewed like any payment: the miner of 2019 believed whatever stood there.
pub(super) fn is_free(signed: &SignedProposal, context: &ReviewContext) -> Result<bool, Rejection> {
    let proposal = &signed.proposal;
    let has_vouchers = proposal.payment.vouchers.as_ref().is_some_and(|all| !all.is_empty());
    if has_vouchers && proposal.total_price.is_zero() {
        return reject(
            RejectionCode::FreeVouchers,
            "a deal that costs nothing has no vouchers: propose it without",
        );
    }
    Ok(context.terms.price.is_zero() && !has_vouchers)
}

/// The price that is asked for `size` bytes of these terms; refuses a deal that pays less.
pub(super) fn review_price(terms: &DealTerms, size: u64, context: &ReviewContext) -> Result<AttoFil, Rejection> {
    let (total, ask) = (terms.total_price, context.terms.price);
    let Some(expected) = price_of(ask, size, terms.duration) else {
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
    Ok(expected)
}

/// Channel and vouchers of a deal whose price is `expected` or more.
pub(super) fn review_payment(
    signed: &SignedProposal,
    expected: AttoFil,
    context: &ReviewContext,
) -> Result<(), Rejection> {
    let proposal = &signed.proposal;
    let broker = Address::id(Address::PAYMENT_BROKER);
    if proposal.payment.pay_ch_actor.0.as_ref() != Some(&broker) {
        return reject(
            RejectionCode::WrongBroker,
            alloc::format!("payments go through the payment broker {broker}"),
        );
    }
    if proposal.payment.channel.is_some() && proposal.payment.channel_msg_cid.is_none() {
        return reject(
            RejectionCode::NoChannel,
            "deal proposal does not name the message that opened its payment channel",
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
    review_channel(id, channel, expected.max(proposal.total_price), context)?;
    review_vouchers(signed, id, channel, context)
}

fn review_channel(
    id: ChannelId,
    channel: &ChannelFacts,
    expected: AttoFil,
    context: &ReviewContext,
) -> Result<(), Rejection> {
    if channel.target != context.owner {
        let (owner, target) = (&context.owner, &channel.target);
        let text = alloc::format!("miner account ({owner}) is not target of payment channel ({target})");
        return reject(RejectionCode::ChannelTarget, text);
    }
    let have = channel.amount;
    if have < expected {
        let text = alloc::format!("payment channel does not contain enough funds ({have} < {expected})");
        return reject(RejectionCode::ChannelFunds, text);
    }
    if !channel.amount_redeemed.is_zero() {
        let paid = channel.amount_redeemed;
        let text = alloc::format!("payment channel {id} has already paid {paid} FIL: open a new one");
        return reject(RejectionCode::ChannelRedeemed, text);
    }
    if channel.is_cancelled() {
        let (eol, agreed) = (channel.eol, channel.agreed_eol);
        let text = alloc::format!("payment channel {id} is cancelled: it ends at {eol} and not at {agreed}");
        return reject(RejectionCode::ChannelCancelled, text);
    }
    if context.channel_is_promised {
        let text = alloc::format!("payment channel {id} already pays for another deal: open a new one");
        return reject(RejectionCode::ChannelReused, text);
    }
    Ok(())
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
    let mut previous = context.height.plus(VOUCHER_INTERVAL);
    if first.valid_at > previous {
        return reject(
            RejectionCode::FirstVoucherLate,
            "payments start after deal start interval",
        );
    }
    let mut seen = Epoch(0);
    for voucher in vouchers {
        review_fields(voucher, id, signed, channel, context)?;
        review_due(voucher, previous, seen)?;
        review_amount(voucher, signed, channel, context)?;
        (previous, seen) = (voucher.valid_at, voucher.valid_at);
    }
    review_conditions(vouchers, signed)?;
    if last.amount < proposal.total_price {
        let (amount, total) = (last.amount, proposal.total_price);
        let text = alloc::format!("last payment ({amount}) does not cover total price ({total})");
        return reject(RejectionCode::LastVoucher, text);
    }
    let need = last.valid_at.plus(CHANNEL_EXPIRY_INTERVAL);
    if channel.eol < need {
        let text = alloc::format!("payment channel eol ({}) less than required eol ({need})", channel.eol);
        return reject(RejectionCode::ChannelEol, text);
    }
    if context.height > last.valid_at.plus(PROPOSAL_SLACK) {
        let (due, height) = (last.valid_at, context.height);
        let text = alloc::format!("the last payment was due at {due} and this is {height}: propose a new deal");
        return reject(RejectionCode::ScheduleOver, text);
    }
    Ok(())
}

fn review_fields(
    voucher: &PaymentVoucher,
    id: ChannelId,
    signed: &SignedProposal,
    channel: &ChannelFacts,
    context: &ReviewContext,
) -> Result<(), Rejection> {
    let payer = &signed.proposal.payment.payer;
    if voucher.payer != *payer || voucher.target != context.owner || voucher.channel != id {
        return reject(
            RejectionCode::VoucherFields,
            "voucher names another payer, target or channel than the deal",
        );
    }
    if !voucher.is_signed_for(channel.session.as_ref()) {
        return reject(RejectionCode::VoucherSignature, "invalid signature in voucher");
    }
    Ok(())
}

/// `previous` bounds the interval, `seen` the order; they differ for the first voucher alone.
fn review_due(voucher: &PaymentVoucher, previous: Epoch, seen: Epoch) -> Result<(), Rejection> {
    let valid_at = voucher.valid_at;
    if valid_at > previous.plus(VOUCHER_INTERVAL) {
        let text = alloc::format!("interval between vouchers too high ({valid_at} - {previous} > {VOUCHER_INTERVAL})");
        return reject(RejectionCode::VoucherInterval, text);
    }
    if valid_at < seen {
        let text = alloc::format!("vouchers are out of order ({valid_at} comes after {seen})");
        return reject(RejectionCode::VoucherOrder, text);
    }
    Ok(())
}

fn review_amount(
    voucher: &PaymentVoucher,
    signed: &SignedProposal,
    channel: &ChannelFacts,
    context: &ReviewContext,
) -> Result<(), Rejection> {
    let (amount, valid_at) = (voucher.amount, voucher.valid_at);
    let served = valid_at.0.saturating_sub(context.height.0);
    let proposal = &signed.proposal;
    if pays_less_than_served(amount, proposal.duration, proposal.total_price, served) {
        let text = alloc::format!("voucher amount ({amount}) less than expected for voucher valid at ({valid_at})");
        return reject(RejectionCode::VoucherAmount, text);
    }
    if amount > channel.amount {
        let have = channel.amount;
        let text = alloc::format!("voucher amount ({amount}) exceeds amount in channel ({have})");
        return reject(RejectionCode::VoucherExceedsChannel, text);
    }
    Ok(())
}

/// The last voucher may have one like the others, as our client's has, or none, as in 2019 (design §9).
/// Conditions must be this deal's as far as the proposal tells: its miner, its size, and one and the same piece. Which
/// piece that is shows when the data has arrived (spec §4.5).
fn review_conditions(vouchers: &[PaymentVoucher], signed: &SignedProposal) -> Result<(), Rejection> {
    let (miner, size) = (&signed.proposal.miner_address, BytesAmount(signed.size()));
    let mut piece: Option<Commitment> = None;
    for condition in vouchers.iter().filter_map(|voucher| voucher.condition.as_ref()) {
        let checked = condition.commitment(miner).and_then(|found| {
            let expected = *piece.get_or_insert(found);
            condition.check(miner, &expected, size)
        });
        if let Err(e) = checked {
            return reject(RejectionCode::VoucherCondition, e);
        }
    }
    Ok(())
}

/// amount · duration < total · served, exactly: the products may need 189 bits.
fn pays_less_than_served(amount: AttoFil, duration: u64, total: AttoFil, served: u64) -> bool {
    wide(amount.0, duration) < wide(total.0, served)
}

/// The product as (high, low) parts of 192 bits.
fn wide(a: u128, b: u64) -> (u128, u64) {
    let low = (a & u128::from(u64::MAX)).saturating_mul(b.into());
    let high = (a >> 64).saturating_mul(b.into()).saturating_add(low >> 64);
    (high, low as u64)
}
