//! One rule, one code, one test: start from a valid proposal and break one thing.

use super::*;
use crate::chain::address::MaybeAddress;
use crate::chain::{BytesAmount, ChannelId, SecretKey};
use crate::deal::proposal::{PaymentInfo, Proposal};
use crate::payment::{unsigned_vouchers, PaymentVoucher, Predicate, Terms, CHANNEL_EXPIRY_INTERVAL};
use crate::piece::Commitment;
use alloc::vec::Vec;

const SIZE: u64 = 1000;
const DURATION: u64 = 2500;
const START: Epoch = Epoch(773);

fn payer() -> SecretKey {
    SecretKey::from_bytes(&[1; 32]).expect("a valid key")
}

fn owner() -> Address {
    SecretKey::from_bytes(&[2; 32]).expect("a valid key").address()
}

fn miner() -> Address {
    Address::actor(&owner(), 0)
}

fn context() -> ReviewContext {
    let total = price_of(AttoFil(2), SIZE, DURATION).expect("small");
    ReviewContext {
        miner: miner(),
        owner: owner(),
        terms: AskTerms::at_price(AttoFil(2)),
        height: START,
        usable: 2032,
        channel: Some(ChannelFacts {
            target: owner(),
            amount: total,
            amount_redeemed: AttoFil::ZERO,
            eol: START.plus(DURATION).plus(CHANNEL_EXPIRY_INTERVAL),
            agreed_eol: START.plus(DURATION).plus(CHANNEL_EXPIRY_INTERVAL),
        }),
        channel_is_promised: false,
    }
}

fn proposal() -> Proposal {
    let total = price_of(AttoFil(2), SIZE, DURATION).expect("small");
    let terms = Terms {
        payer: payer().address(),
        target: owner(),
        miner: miner(),
        channel: ChannelId(9),
        total,
        duration: DURATION,
        start: START,
        comm_p: Commitment([7; 32]),
        size: BytesAmount(SIZE),
    };
    let payment = PaymentInfo {
        payer: payer().address(),
        pay_ch_actor: MaybeAddress(Some(Address::id(Address::PAYMENT_BROKER))),
        channel: Some(ChannelId(9)),
        channel_msg_cid: Some(crate::chain::keys::cid_of_bytes(&[0xa0])),
        vouchers: Some(
            unsigned_vouchers(&terms)
                .expect("a schedule")
                .into_iter()
                .map(signed_voucher)
                .collect(),
        ),
    };
    Proposal {
        piece_ref: crate::chain::keys::cid_of_bytes(b"piece"),
        size: Some(BytesAmount(SIZE)),
        total_price: total,
        duration: DURATION,
        miner_address: miner(),
        payment,
    }
}

fn signed_voucher(mut voucher: PaymentVoucher) -> PaymentVoucher {
    voucher.signature = Some(payer().sign(&voucher.payload()).0.to_vec().into());
    voucher
}

/// The code that a proposal, changed in one thing and signed again, is refused with.
fn refused(change: impl FnOnce(&mut Proposal)) -> Option<RejectionCode> {
    let mut proposal = proposal();
    change(&mut proposal);
    review(&proposal.sign(&payer()), &context())
        .err()
        .map(|rejection| rejection.code)
}

/// The code that the valid proposal is refused with when the reviewer's knowledge is changed in one thing.
fn refused_when(change: impl FnOnce(&mut ReviewContext)) -> Option<RejectionCode> {
    let mut context = context();
    change(&mut context);
    review(&proposal().sign(&payer()), &context)
        .err()
        .map(|rejection| rejection.code)
}

/// Changes the voucher at `index` and has the payer sign it again.
fn refused_voucher(index: usize, change: impl FnOnce(&mut PaymentVoucher)) -> Option<RejectionCode> {
    refused(|proposal| {
        let mut vouchers: Vec<_> = proposal.payment.vouchers.take().unwrap_or_default();
        change(&mut vouchers[index]);
        vouchers[index] = signed_voucher(vouchers[index].clone());
        proposal.payment.vouchers = Some(vouchers);
    })
}

#[test]
fn the_clients_own_schedule_is_accepted() {
    assert_eq!(refused(|_| {}), None);
}

#[test]
fn a_garbage_signature_is_refused() {
    let mut signed = proposal().sign(&payer());
    signed.signature.0[5] ^= 1;
    let rejection = review(&signed, &context()).expect_err("a bad signature");
    assert_eq!(
        (rejection.code, rejection.message.as_str()),
        (RejectionCode::Signature, "invalid deal signature")
    );
}

#[test]
fn each_field_of_a_proposal_that_is_worsened_has_its_own_code() {
    assert_eq!(refused(|p| p.miner_address = owner()), Some(RejectionCode::WrongMiner));
    assert_eq!(refused(|p| p.size = None), Some(RejectionCode::NoSize));
    assert_eq!(refused(|p| p.size = Some(BytesAmount(0))), Some(RejectionCode::NoSize));
    assert_eq!(refused(|p| p.duration = 0), Some(RejectionCode::Duration));
    assert_eq!(refused(|p| p.duration = u64::MAX), Some(RejectionCode::Duration));
    assert_eq!(
        refused(|p| p.size = Some(BytesAmount(u64::MAX))),
        Some(RejectionCode::PriceTooLow)
    );
    assert_eq!(refused(|p| p.total_price.0 -= 1), Some(RejectionCode::PriceTooLow));
    assert_eq!(refused(|p| p.total_price.0 += 1), Some(RejectionCode::ChannelFunds));
    assert_eq!(
        refused(|p| p.payment.pay_ch_actor = MaybeAddress(None)),
        Some(RejectionCode::WrongBroker)
    );
    assert_eq!(refused(|p| p.payment.channel = None), Some(RejectionCode::NoChannel));
    assert_eq!(
        refused(|p| p.payment.channel = Some(ChannelId(8))),
        Some(RejectionCode::VoucherFields)
    );
    assert_eq!(refused(|p| p.payment.vouchers = None), Some(RejectionCode::NoVouchers));
    assert_eq!(
        refused(|p| p.payment.vouchers = Some(Vec::new())),
        Some(RejectionCode::NoVouchers)
    );
}

#[test]
fn what_the_chain_says_of_the_channel_decides() {
    let channel = |change: fn(&mut ChannelFacts)| {
        refused_when(|context| {
            if let Some(channel) = context.channel.as_mut() {
                change(channel);
            }
        })
    };
    assert_eq!(
        refused_when(|context| context.channel = None),
        Some(RejectionCode::NoChannel)
    );
    assert_eq!(
        channel(|c| c.target = Address::id(5)),
        Some(RejectionCode::ChannelTarget)
    );
    assert_eq!(channel(|c| c.amount.0 -= 1), Some(RejectionCode::ChannelFunds));
    assert_eq!(
        channel(|c| c.amount_redeemed.0 += 1),
        Some(RejectionCode::ChannelRedeemed)
    );
    assert_eq!(channel(|c| c.eol.0 -= 1), Some(RejectionCode::ChannelCancelled));
    let shorter = |c: &mut ChannelFacts| (c.eol.0, c.agreed_eol.0) = (c.eol.0 - 1, c.agreed_eol.0 - 1);
    assert_eq!(channel(shorter), Some(RejectionCode::ChannelEol));
    assert_eq!(
        refused_when(|context| context.channel_is_promised = true),
        Some(RejectionCode::ChannelReused)
    );
}

#[test]
fn each_field_of_a_voucher_that_is_worsened_has_its_own_code() {
    assert_eq!(
        refused_voucher(0, |v| v.payer = owner()),
        Some(RejectionCode::VoucherFields)
    );
    assert_eq!(
        refused_voucher(0, |v| v.target = payer().address()),
        Some(RejectionCode::VoucherFields)
    );
    assert_eq!(
        refused_voucher(0, |v| v.channel = ChannelId(8)),
        Some(RejectionCode::VoucherFields)
    );
    assert_eq!(
        refused_voucher(0, |v| v.valid_at.0 += 1),
        Some(RejectionCode::FirstVoucherLate)
    );
    assert_eq!(
        refused_voucher(1, |v| v.valid_at.0 = 1000),
        Some(RejectionCode::VoucherOrder)
    );
    assert_eq!(
        refused_voucher(2, |v| v.valid_at.0 += 1000),
        Some(RejectionCode::VoucherInterval)
    );
    assert_eq!(
        refused_voucher(1, |v| v.amount.0 -= 1_000_000),
        Some(RejectionCode::VoucherAmount)
    );
    assert_eq!(
        refused_voucher(2, |v| v.amount.0 -= 1),
        Some(RejectionCode::VoucherAmount)
    );
    assert_eq!(
        refused_voucher(2, |v| v.amount.0 += 1),
        Some(RejectionCode::VoucherExceedsChannel)
    );
    let other = Predicate::piece_inclusion(&miner(), &Commitment([8; 32]), BytesAmount(SIZE));
    assert_eq!(
        refused_voucher(1, |v| v.condition = Some(other)),
        Some(RejectionCode::VoucherCondition)
    );
    let condition = proposal().payment.vouchers.unwrap_or_default()[0].condition.clone();
    assert_eq!(
        refused_voucher(2, |v| v.condition = condition),
        Some(RejectionCode::LastVoucherConditional)
    );
}

#[test]
fn a_voucher_that_the_payer_did_not_sign_is_refused() {
    for signature in [None, Some(Vec::new().into()), Some([3; 65].to_vec().into())] {
        let code = refused(|proposal| {
            if let Some(vouchers) = proposal.payment.vouchers.as_mut() {
                vouchers[1].signature = signature;
            }
        });
        assert_eq!(code, Some(RejectionCode::VoucherSignature));
    }
}

#[test]
fn a_free_miner_asks_for_no_payment_but_still_for_a_piece_that_fits() {
    let free = |size| refused_free(|proposal| proposal.size = Some(BytesAmount(size)));
    assert_eq!(free(2032), None);
    assert_eq!(free(2033), Some(RejectionCode::PieceTooLarge));
}

fn refused_free(change: impl FnOnce(&mut Proposal)) -> Option<RejectionCode> {
    let mut proposal = proposal();
    proposal.payment.vouchers = None;
    proposal.payment.channel = None;
    change(&mut proposal);
    let context = ReviewContext {
        terms: AskTerms::at_price(AttoFil::ZERO),
        channel: None,
        ..context()
    };
    review(&proposal.sign(&payer()), &context)
        .err()
        .map(|rejection| rejection.code)
}

#[test]
fn a_low_price_is_refused_in_fil() {
    let context = ReviewContext {
        terms: AskTerms::at_price(AttoFil(500_000_000_000_000)),
        ..context()
    };
    let mut low = proposal();
    low.duration = 10_000;
    low.total_price = AttoFil::from_fil(2500);
    let rejection = review(&low.sign(&payer()), &context).expect_err("half the price");
    let text = "proposed price (2500) is less than expected (5000) given asking price of 0.0005";
    assert_eq!(rejection.message, text);
}
