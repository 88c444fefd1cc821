//! One rule, one code, one test: start from a valid proposal and break one thing.

use super::*;
use crate::chain::address::MaybeAddress;
use crate::chain::{BytesAmount, ChannelId, SecretKey};
use crate::deal::proposal::{PaymentInfo, Proposal};
use crate::payment::{unsigned_vouchers, PaymentVoucher, Predicate, Terms, CHANNEL_EXPIRY_INTERVAL};
use crate::piece::node::{node_cid, raw_cid};
use crate::piece::Commitment;
use alloc::{string::String, vec::Vec};

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
        terms: OperatorTerms::at_price(AttoFil(2)),
        height: START,
        usable: 2032,
        channel: Some(ChannelFacts {
            target: owner(),
            amount: total,
            amount_redeemed: AttoFil::ZERO,
            eol: START.plus(DURATION).plus(CHANNEL_EXPIRY_INTERVAL),
            agreed_eol: START.plus(DURATION).plus(CHANNEL_EXPIRY_INTERVAL),
            session: None,
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
        piece_ref: raw_cid(b"piece"),
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

/// Finding A3: such a deal would be accepted, and fail as soon as its piece is fetched.
#[test]
fn a_piece_that_can_never_be_fetched_is_refused() {
    let digest = *raw_cid(b"piece").hash();
    let others = [
        node_cid(b"piece"),
        Cid::new_v1(0x71, digest),
        crate::chain::keys::cid_of_bytes(b"piece"),
    ];
    for piece_ref in others {
        assert_eq!(
            refused(|p| p.piece_ref = piece_ref),
            Some(RejectionCode::PieceRef),
            "{piece_ref}"
        );
    }
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
}

/// design §9
#[test]
fn a_last_voucher_is_taken_with_the_deals_condition_as_ours_is_and_without_one_as_in_2019() {
    let last = proposal()
        .payment
        .vouchers
        .unwrap_or_default()
        .pop()
        .expect("one at least");
    assert!(last.condition.is_some());
    assert_eq!(refused_voucher(2, |_| {}), None);
    assert_eq!(refused_voucher(2, |v| v.condition = None), None);
    let other = Predicate::piece_inclusion(&miner(), &Commitment([8; 32]), BytesAmount(SIZE));
    assert_eq!(
        refused_voucher(2, |v| v.condition = Some(other)),
        Some(RejectionCode::VoucherCondition)
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

/// Findings B4: a miner that asks for nothing believed whatever vouchers said.
#[test]
fn what_a_free_miner_is_offered_all_the_same_is_reviewed_like_any_payment() {
    let context = |channel| ReviewContext {
        terms: OperatorTerms::at_price(AttoFil::ZERO),
        channel,
        ..context()
    };
    let verdict = |proposal: Proposal, channel| review(&proposal.sign(&payer()), &context(channel));
    let offered = || super::tests::context().channel;
    assert_eq!(verdict(proposal(), offered()), Ok(()));
    let code = |proposal, channel| verdict(proposal, channel).map_err(|refused| refused.code);
    assert_eq!(code(proposal(), None), Err(RejectionCode::NoChannel));
    let mut far = proposal();
    let vouchers = far.payment.vouchers.as_mut().expect("it has some");
    vouchers[0].valid_at = Epoch(u64::MAX);
    vouchers[0] = signed_voucher(vouchers[0].clone());
    assert_eq!(code(far, offered()), Err(RejectionCode::FirstVoucherLate));
}

#[test]
fn a_deal_that_costs_nothing_has_no_vouchers() {
    let costs_nothing = |proposal: &mut Proposal| proposal.total_price = AttoFil::ZERO;
    let with_vouchers = proposal().payment.vouchers;
    assert_eq!(refused_free(costs_nothing), None);
    let code = refused_free(|proposal| {
        costs_nothing(proposal);
        proposal.payment.vouchers = with_vouchers;
    });
    assert_eq!(code, Some(RejectionCode::FreeVouchers));
}

fn refused_free(change: impl FnOnce(&mut Proposal)) -> Option<RejectionCode> {
    let mut proposal = proposal();
    proposal.payment.vouchers = None;
    proposal.payment.channel = None;
    change(&mut proposal);
    let context = ReviewContext {
        terms: OperatorTerms::at_price(AttoFil::ZERO),
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
        terms: OperatorTerms::at_price(AttoFil(500_000_000_000_000)),
        ..context()
    };
    let mut low = proposal();
    low.duration = 10_000;
    low.total_price = AttoFil::from_fil(2500);
    let rejection = review(&low.sign(&payer()), &context).expect_err("half the price");
    let text = "proposed price (2500) is less than expected (5000) given asking price of 0.0005";
    assert_eq!(rejection.message, text);
}

/// The text that a proposal, changed in one thing and signed again, is refused with.
fn refusal(change: impl FnOnce(&mut Proposal), know: impl FnOnce(&mut ReviewContext)) -> String {
    let (mut proposal, mut context) = (proposal(), context());
    change(&mut proposal);
    know(&mut context);
    let rejection = review(&proposal.sign(&payer()), &context).expect_err("worsened");
    rejection.message
}

fn first_voucher(proposal: &mut Proposal) -> &mut PaymentVoucher {
    &mut proposal.payment.vouchers.as_mut().expect("a paid deal")[0]
}

fn channel_of(context: &mut ReviewContext) -> &mut ChannelFacts {
    context.channel.as_mut().expect("a channel")
}

/// spec §9.23 (that the answer verifies under the worker's key is asserted with the miner's machine)
#[test]
fn a_sufficient_price_is_accepted() {
    assert_eq!(refused(|_| {}), None);
    let cheaper = |context: &mut ReviewContext| context.terms.price = AttoFil(1);
    assert_eq!(refused_when(cheaper), None);
}

/// spec §9.24
#[test]
fn a_miner_that_asks_nothing_takes_a_proposal_without_payment() {
    let without_payment = refused_free(|proposal| {
        proposal.payment.pay_ch_actor = MaybeAddress(None);
        proposal.payment.channel_msg_cid = None;
        proposal.total_price = AttoFil::ZERO;
    });
    assert_eq!(without_payment, None);
}

/// spec §9.25 (the text; that rejections are signed is asserted with the miner's machine)
#[test]
fn half_the_price_is_refused_with_both_amounts_in_fil() {
    let text = refusal(
        |p| (p.duration, p.total_price) = (10_000, AttoFil::from_fil(2500)),
        |c| c.terms.price = "0.0005".parse().expect("an amount"),
    );
    let expected = "proposed price (2500) is less than expected (5000) given asking price of 0.0005";
    assert_eq!(text, expected);
}

/// spec §9.26
#[test]
fn a_missing_channel_a_wrong_target_an_early_end_no_vouchers_and_no_signature_have_their_texts() {
    let payer = payer().address();
    assert_eq!(
        refusal(|_| {}, |c| c.channel = None),
        alloc::format!("could not find payment channel for payer {payer} and id 9")
    );
    assert_eq!(
        refusal(|_| {}, |c| channel_of(c).target = Address::id(5)),
        alloc::format!("miner account ({}) is not target of payment channel (t05)", owner())
    );
    let ends_at_1200 = |c: &mut ReviewContext| {
        let channel = channel_of(c);
        (channel.eol, channel.agreed_eol) = (Epoch(1200), Epoch(1200));
    };
    assert_eq!(
        refusal(|_| {}, ends_at_1200),
        "payment channel eol (1200) less than required eol (5273)"
    );
    assert_eq!(
        refusal(|p| p.payment.vouchers = None, |_| {}),
        "deal proposal contains no payment vouchers"
    );
    assert_eq!(
        refusal(|p| first_voucher(p).signature = None, |_| {}),
        "invalid signature in voucher"
    );
    assert_eq!(
        refusal(|_| {}, |c| channel_of(c).amount.0 = 10),
        "payment channel does not contain enough funds (0.00000000000000001 < 0.000000000005)"
    );
}

/// spec §9.19 (the channel would expire one block too early); what the client draws up never does.
#[test]
fn a_channel_that_ends_one_block_too_early_is_refused_with_both_heights() {
    let eol =
        |end| move |c: &mut ReviewContext| (channel_of(c).eol, channel_of(c).agreed_eol) = (Epoch(end), Epoch(end));
    assert_eq!(
        refusal(|_| {}, eol(5272)),
        "payment channel eol (5272) less than required eol (5273)"
    );
    assert_eq!(refused_when(eol(5273)), None);
    for duration in [1, 999, 1000, 1001, 2500] {
        let draft = super::super::Draft {
            data_cid: raw_cid(b"piece"),
            comm_p: Commitment([7; 32]),
            size: SIZE,
            payer: payer().address(),
            miner: miner(),
            owner: owner(),
            worker: owner(),
            sector_size: crate::piece::SectorSize::S2KiB,
            price: AttoFil(2),
            duration,
            start: START,
        };
        assert_eq!(draft.channel_eol(), START.plus(duration).plus(CHANNEL_EXPIRY_INTERVAL));
    }
}

/// spec §9.27
#[test]
fn late_rare_and_small_payments_are_refused_for_start_interval_and_amount() {
    let shifted = |by: u64| {
        move |p: &mut Proposal| {
            for voucher in p.payment.vouchers.as_mut().expect("a paid deal") {
                voucher.valid_at.0 += by;
                *voucher = signed_voucher(voucher.clone());
            }
        }
    };
    let late = refusal(shifted(15), |c| {
        (channel_of(c).eol.0, channel_of(c).agreed_eol.0) = (5288, 5288);
    });
    assert_eq!(late, "payments start after deal start interval");
    let rare = |p: &mut Proposal| {
        let vouchers = p.payment.vouchers.as_mut().expect("a paid deal");
        vouchers[1].valid_at.0 += 15;
        vouchers[1] = signed_voucher(vouchers[1].clone());
    };
    assert_eq!(
        refusal(rare, |_| {}),
        "interval between vouchers too high (2788 - 1773 > 1000)"
    );
    let small = |p: &mut Proposal| {
        let voucher = first_voucher(p);
        voucher.amount.0 = 1_999_999;
        *voucher = signed_voucher(voucher.clone());
    };
    assert_eq!(
        refusal(small, |_| {}),
        "voucher amount (0.000000000001999999) less than expected for voucher valid at (1773)"
    );
}

/// spec §9.28
#[test]
fn a_proposal_that_its_payer_did_not_sign_is_refused_before_anything_else() {
    let mut wrong = proposal();
    wrong.size = None;
    let stranger = SecretKey::from_bytes(&[9; 32]).expect("a valid key");
    let rejection = review(&wrong.sign(&stranger), &context()).expect_err("another's signature");
    assert_eq!(rejection.code, RejectionCode::Signature);
    assert_eq!(rejection.message, "invalid deal signature");
}

/// spec §9.29, spec §9.13 (the miner's half): the price is checked before the size, and the usable size is named.
#[test]
fn a_piece_larger_than_a_sector_is_refused_last() {
    let free = |c: &mut ReviewContext| (c.usable, c.terms.price) = (1016, AttoFil::ZERO);
    let large = |p: &mut Proposal| (p.size, p.payment.vouchers) = (Some(BytesAmount(2000)), None);
    assert_eq!(
        refusal(large, free),
        "piece is 2000 bytes but sector size is 1016 bytes"
    );
    let smaller = |c: &mut ReviewContext| c.usable = 999;
    assert_eq!(
        refusal(|_| {}, smaller),
        "piece is 1000 bytes but sector size is 999 bytes"
    );
    let unpaid = refusal(|p| p.total_price.0 -= 1, smaller);
    assert!(unpaid.starts_with("proposed price"), "{unpaid}");
}

#[test]
fn what_the_operator_set_bounds_duration_and_time() {
    let terms = |change: fn(&mut OperatorTerms)| refused_when(|context| change(&mut context.terms));
    assert_eq!(terms(|t| t.min_duration = 2500), None);
    assert_eq!(terms(|t| t.min_duration = 2501), Some(RejectionCode::DurationTooShort));
    assert_eq!(terms(|t| t.max_duration = 2500), None);
    assert_eq!(terms(|t| t.max_duration = 2499), Some(RejectionCode::DurationTooLong));
    let expires = |at: u64| refused_when(|context| context.terms.expiry = Some(Epoch(at)));
    assert_eq!(expires(START.0 - ASK_GRACE + 1), None);
    assert_eq!(expires(START.0 - ASK_GRACE), Some(RejectionCode::AskExpired));
    let text = refusal(|_| {}, |c| (c.terms.ask_id, c.terms.expiry) = (Some(4), Some(Epoch(0))));
    assert_eq!(
        text,
        "ask 4 expired at 0 and this is 773: look for the miner's newest ask"
    );
}

/// The expiry race of spec §7.15: drawn up at one height, reviewed at a later one.
#[test]
fn a_proposal_stays_good_while_blocks_pass_until_the_slack_after_its_last_voucher() {
    let later = |by: u64| refused_when(|context| context.height = START.plus(by));
    for by in [0, 1, 10, 999, 1000, 1001, 2499, 2500, 2501, DURATION + PROPOSAL_SLACK] {
        assert_eq!(later(by), None, "{by} blocks later");
    }
    assert_eq!(later(DURATION + PROPOSAL_SLACK + 1), Some(RejectionCode::ScheduleOver));
}

#[test]
fn a_voucher_conditional_on_anything_but_this_deal_is_refused_with_the_reason() {
    let with = |condition: Predicate| {
        refusal(
            move |p| {
                let voucher = first_voucher(p);
                voucher.condition = Some(condition);
                *voucher = signed_voucher(voucher.clone());
            },
            |_| {},
        )
    };
    let size = BytesAmount(SIZE + 1);
    assert_eq!(
        with(Predicate::piece_inclusion(&miner(), &Commitment([7; 32]), size)),
        "piece size, 1000,  does not match piece size supplied in payment condition: 1001"
    );
    let elsewhere = with(Predicate::piece_inclusion(
        &Address::id(5),
        &Commitment([7; 32]),
        BytesAmount(SIZE),
    ));
    assert_eq!(
        elsewhere,
        alloc::format!("voucher condition addressed to t05, should be {}", miner())
    );
}

#[test]
fn a_proposal_that_does_not_name_the_channels_message_is_refused() {
    assert_eq!(
        refused(|p| p.payment.channel_msg_cid = None),
        Some(RejectionCode::NoChannel)
    );
}

#[test]
fn every_code_has_a_number_of_its_own() {
    let numbers: Vec<u16> = RejectionCode::ALL.iter().map(|code| *code as u16).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    assert_eq!((numbers.first(), numbers.last()), (Some(&1001), Some(&1045)));
}
