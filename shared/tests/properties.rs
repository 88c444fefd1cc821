//! Properties of schedules and their review, on pseudo-random deals: what the client builds is accepted, what is worse in
//! one thing is refused for that thing, and nothing makes the review panic.

mod random;

use random::Random;
use shared::chain::address::MaybeAddress;
use shared::chain::keys::cid_of_bytes;
use shared::chain::{Address, AttoFil, BytesAmount, ChannelId, Epoch, SecretKey};
use shared::deal::review::{review, OperatorTerms, ReviewContext, PROPOSAL_SLACK};
use shared::deal::{ClientDeal, ClientInput, Draft, Proposal, RejectionCode, SignedProposal};
use shared::payment::{ChannelFacts, PaymentVoucher, Predicate};
use shared::piece::{Commitment, SectorSize};
use shared::wire::{decode, encode};

/// Cases of each property.
const CASES: u64 = 512;

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).expect("a valid key")
}

/// A deal within everything that a client may ask for: from one byte to a full sector, from one block to hundreds of
/// vouchers, from one attoFIL to more than there will ever be.
fn any_draft(random: &mut Random) -> Draft {
    let owner = key(2).address();
    let sector_size = [SectorSize::S2KiB, SectorSize::S8MiB][random.below(2) as usize];
    let longest = match random.below(400) {
        0 => 900_000,
        1..=9 => 60_000,
        _ => 5000,
    };
    let price_bits = random.below(60);
    Draft {
        data_cid: cid_of_bytes(b"piece"),
        comm_p: Commitment([7; 32]),
        size: 1 + random.below(sector_size.usable()),
        payer: key(1).address(),
        miner: Address::actor(&owner, 0),
        owner,
        worker: key(3).address(),
        sector_size,
        price: AttoFil(1 + u128::from(random.next() >> (63 - price_bits))),
        duration: 1 + random.below(longest),
        start: Epoch(random.below(1 << 40)),
    }
}

/// A deal's proposal, and the miner that reviews it at the same height.
struct Case {
    draft: Draft,
    proposal: Proposal,
    context: ReviewContext,
}

impl Case {
    fn any(random: &mut Random) -> Self {
        let draft = any_draft(random);
        let mut deal = ClientDeal::new(draft.clone());
        let (channel, message) = (ChannelId(random.below(1 << 32)), cid_of_bytes(b"message"));
        deal.handle(ClientInput::ChannelOpened { channel, message })
            .expect("a paid deal");
        let proposal = deal.sign(&key(1)).expect("a schedule").proposal;
        let amount = draft.total().expect("a price");
        let context = ReviewContext {
            miner: draft.miner.clone(),
            owner: draft.owner.clone(),
            terms: OperatorTerms::at_price(draft.price),
            height: draft.start,
            usable: draft.sector_size.usable(),
            channel: Some(ChannelFacts {
                target: draft.owner.clone(),
                amount,
                amount_redeemed: AttoFil::ZERO,
                eol: draft.channel_eol(),
                agreed_eol: draft.channel_eol(),
            }),
            channel_is_promised: false,
        };
        Self {
            draft,
            proposal,
            context,
        }
    }

    fn verdict(&self) -> Option<RejectionCode> {
        let signed = self.proposal.clone().sign(&key(1));
        review(&signed, &self.context).err().map(|rejection| rejection.code)
    }

    fn channel(&mut self) -> &mut ChannelFacts {
        self.context.channel.as_mut().expect("a paid deal")
    }

    fn vouchers(&mut self) -> &mut Vec<PaymentVoucher> {
        self.proposal.payment.vouchers.as_mut().expect("a paid deal")
    }

    /// Changes a voucher and has the payer sign it.
    fn voucher(&mut self, index: usize, change: impl FnOnce(&mut PaymentVoucher)) {
        let voucher = &mut self.vouchers()[index];
        change(voucher);
        voucher.signature = Some(key(1).sign(&voucher.payload()).0.to_vec().into());
    }

    /// The least that a voucher must be worth at the height of the review.
    fn least(&self, valid_at: Epoch) -> u128 {
        let served = u128::from(valid_at.0 - self.context.height.0);
        (self.proposal.total_price.0 * served).div_ceil(u128::from(self.draft.duration))
    }
}

#[test]
fn every_schedule_that_the_client_builds_is_accepted_whenever_it_is_reviewed() {
    let random = &mut Random::new(1);
    for number in 0..CASES {
        let mut case = Case::any(random);
        let later = random.below(case.draft.duration + PROPOSAL_SLACK + 1);
        for by in [0, 1, later] {
            case.context.height = case.draft.start.plus(by);
            assert_eq!(
                case.verdict(),
                None,
                "case {number}, {by} blocks later: {:?}",
                case.draft
            );
        }
    }
}

type Worsening = (&'static str, fn(&mut Case, &mut Random) -> RejectionCode);

/// Ways to worsen one field of the proposal or of a voucher, or one fact that the miner knows, each with the code that it
/// is refused with.
const WORSENINGS: &[Worsening] = &[
    ("another miner", |case, _| {
        case.proposal.miner_address = key(4).address();
        RejectionCode::WrongMiner
    }),
    ("no size", |case, _| {
        case.proposal.size = None;
        RejectionCode::NoSize
    }),
    ("a larger piece for the same money", |case, random| {
        case.proposal.size = Some(BytesAmount(case.draft.size + 1 + random.below(1 << 20)));
        RejectionCode::PriceTooLow
    }),
    ("no duration", |case, _| {
        case.proposal.duration = 0;
        RejectionCode::Duration
    }),
    ("more time for the same money", |case, _| {
        case.proposal.duration += 1;
        if case.proposal.duration > 900_000 {
            return RejectionCode::Duration;
        }
        RejectionCode::PriceTooLow
    }),
    ("a lower price", |case, random| {
        case.proposal.total_price.0 -= 1 + u128::from(random.below(case.proposal.total_price.0.min(1 << 60) as u64));
        RejectionCode::PriceTooLow
    }),
    ("a price that the channel does not hold", |case, _| {
        case.proposal.total_price.0 += 1;
        RejectionCode::ChannelFunds
    }),
    ("no broker", |case, _| {
        case.proposal.payment.pay_ch_actor = MaybeAddress(None);
        RejectionCode::WrongBroker
    }),
    ("no channel", |case, _| {
        case.proposal.payment.channel = None;
        RejectionCode::NoChannel
    }),
    ("no message of the channel", |case, _| {
        case.proposal.payment.channel_msg_cid = None;
        RejectionCode::NoChannel
    }),
    ("another channel", |case, _| {
        case.proposal.payment.channel = Some(ChannelId(u64::MAX));
        RejectionCode::VoucherFields
    }),
    ("no vouchers", |case, random| {
        case.proposal.payment.vouchers = random.chance(50).then(Vec::new);
        RejectionCode::NoVouchers
    }),
    ("a voucher's payer", |case, random| {
        let index = any_voucher(case, random);
        case.voucher(index, |voucher| voucher.payer = key(4).address());
        RejectionCode::VoucherFields
    }),
    ("a voucher's target", |case, random| {
        let index = any_voucher(case, random);
        case.voucher(index, |voucher| voucher.target = key(4).address());
        RejectionCode::VoucherFields
    }),
    ("a voucher's channel", |case, random| {
        let index = any_voucher(case, random);
        case.voucher(index, |voucher| voucher.channel.0 += 1);
        RejectionCode::VoucherFields
    }),
    ("a voucher's signature", |case, random| {
        let (index, at) = (any_voucher(case, random), random.below(64) as usize);
        let signature = case.vouchers()[index].signature.as_mut().expect("signed");
        signature.0[at] ^= 1;
        RejectionCode::VoucherSignature
    }),
    ("no signature on a voucher", |case, random| {
        let index = any_voucher(case, random);
        case.vouchers()[index].signature = None;
        RejectionCode::VoucherSignature
    }),
    ("a voucher too late", |case, random| {
        let index = any_voucher(case, random);
        let Some(before) = index.checked_sub(1) else {
            let start = case.draft.start;
            case.voucher(0, |voucher| voucher.valid_at = start.plus(1001));
            return RejectionCode::FirstVoucherLate;
        };
        let before = case.vouchers()[before].valid_at;
        case.voucher(index, |voucher| voucher.valid_at = before.plus(1001));
        RejectionCode::VoucherInterval
    }),
    ("a voucher out of order", |case, _| {
        if case.vouchers().len() < 2 {
            case.proposal.duration = 0;
            return RejectionCode::Duration;
        }
        let before = case.vouchers()[0].valid_at;
        case.voucher(1, |voucher| voucher.valid_at.0 = before.0 - 1);
        RejectionCode::VoucherOrder
    }),
    ("a voucher worth less than the time served", |case, random| {
        let index = any_voucher(case, random);
        let valid_at = case.vouchers()[index].valid_at;
        let least = case.least(valid_at);
        case.voucher(index, |voucher| voucher.amount.0 = least - 1);
        RejectionCode::VoucherAmount
    }),
    ("a voucher that the channel can never pay", |case, random| {
        let index = any_voucher(case, random);
        let held = case.channel().amount;
        case.voucher(index, |voucher| voucher.amount.0 = held.0 + 1);
        RejectionCode::VoucherExceedsChannel
    }),
    ("a voucher on another condition", |case, random| {
        let index = any_voucher(case, random);
        let (miner, size) = (case.draft.miner.clone(), BytesAmount(case.draft.size + 1));
        let condition = Predicate::piece_inclusion(&miner, &case.draft.comm_p, size);
        case.voucher(index, |voucher| voucher.condition = Some(condition));
        RejectionCode::VoucherCondition
    }),
    ("a condition on the last voucher", |case, _| {
        let (miner, size) = (case.draft.miner.clone(), BytesAmount(case.draft.size));
        let condition = Predicate::piece_inclusion(&miner, &case.draft.comm_p, size);
        let last = case.vouchers().len() - 1;
        case.voucher(last, |voucher| voucher.condition = Some(condition));
        RejectionCode::LastVoucherConditional
    }),
    ("no last voucher", |case, _| {
        case.vouchers().pop();
        let total = case.proposal.total_price;
        match case.vouchers().last() {
            None => RejectionCode::NoVouchers,
            Some(last) if last.amount < total => RejectionCode::LastVoucher,
            Some(_) => RejectionCode::LastVoucherConditional,
        }
    }),
    ("a channel for somebody else", |case, _| {
        case.channel().target = key(4).address();
        RejectionCode::ChannelTarget
    }),
    ("a channel with less money", |case, _| {
        case.channel().amount.0 -= 1;
        RejectionCode::ChannelFunds
    }),
    ("a channel that has paid", |case, _| {
        case.channel().amount_redeemed.0 = 1;
        RejectionCode::ChannelRedeemed
    }),
    ("a cancelled channel", |case, _| {
        case.channel().agreed_eol.0 += 1;
        RejectionCode::ChannelCancelled
    }),
    ("a channel that ends early", |case, _| {
        let channel = case.channel();
        (channel.eol.0, channel.agreed_eol.0) = (channel.eol.0 - 1, channel.agreed_eol.0 - 1);
        RejectionCode::ChannelEol
    }),
    ("a channel of another deal", |case, _| {
        case.context.channel_is_promised = true;
        RejectionCode::ChannelReused
    }),
    ("no channel on the chain", |case, _| {
        case.context.channel = None;
        RejectionCode::NoChannel
    }),
    ("a higher asking price", |case, _| {
        case.context.terms.price.0 += 1;
        RejectionCode::PriceTooLow
    }),
    ("a longer shortest deal", |case, _| {
        case.context.terms.min_duration = case.draft.duration + 1;
        RejectionCode::DurationTooShort
    }),
    ("a shorter longest deal", |case, _| {
        case.context.terms.max_duration = case.draft.duration - 1;
        RejectionCode::DurationTooLong
    }),
    ("an ask that is over", |case, _| {
        case.context.terms.expiry = Some(Epoch(0));
        case.context.height = case.context.height.plus(120);
        RejectionCode::AskExpired
    }),
    ("a smaller sector", |case, random| {
        case.context.usable = random.below(case.draft.size);
        RejectionCode::PieceTooLarge
    }),
    ("a review long after the end", |case, _| {
        case.context.height = case.draft.end().plus(PROPOSAL_SLACK + 1);
        RejectionCode::ScheduleOver
    }),
    ("a miner that lags behind", |case, _| {
        case.context.height = case.draft.start;
        let late = case.vouchers()[0].valid_at.0 - case.draft.start.0 == 1000;
        case.draft.start.0 += 1;
        for index in 0..case.vouchers().len() {
            case.voucher(index, |voucher| voucher.valid_at.0 += 1);
        }
        match late {
            true => RejectionCode::FirstVoucherLate,
            false => RejectionCode::VoucherAmount,
        }
    }),
];

fn any_voucher(case: &mut Case, random: &mut Random) -> usize {
    random.below(case.vouchers().len() as u64) as usize
}

#[test]
fn a_schedule_that_is_worse_in_one_thing_is_refused_for_that_thing() {
    let random = &mut Random::new(2);
    for number in 0..CASES.max(WORSENINGS.len() as u64 * 16) {
        let (name, worsen) = WORSENINGS[number as usize % WORSENINGS.len()];
        let mut case = Case::any(random);
        let expected = worsen(&mut case, random);
        let found = case.verdict();
        assert_eq!(found, Some(expected), "case {number}, {name}: {:?}", case.draft);
    }
}

#[test]
fn a_changed_bit_of_a_signature_is_refused() {
    let random = &mut Random::new(3);
    for number in 0..CASES {
        let case = Case::any(random);
        let mut signed = case.proposal.sign(&key(1));
        signed.signature.0[random.below(64) as usize] ^= 1 << random.below(8);
        let code = review(&signed, &case.context).expect_err("another signature").code;
        assert_eq!(code, RejectionCode::Signature, "case {number}");
    }
}

/// Bytes that are nearly a proposal: some are changed, left out, or put in.
fn damaged(random: &mut Random, good: &[u8]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len() as u64) as usize;
        match random.below(4) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => drop(bytes.remove(at)),
            _ => bytes.insert(at, random.next() as u8),
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
    bytes
}

#[test]
fn bytes_from_a_hostile_peer_are_refused_and_never_panicked_on() {
    let random = &mut Random::new(4);
    let (mut decoded, mut accepted) = (0, 0);
    let mut cases: Vec<Case> = (0..16).map(|_| Case::any(random)).collect();
    for number in 0..CASES * 8 {
        let case = &mut cases[number as usize % 16];
        case.vouchers().truncate(3);
        let good = encode(&case.proposal);
        let bytes = match random.below(8) {
            0 => (0..random.below(300)).map(|_| random.next() as u8).collect(),
            _ => damaged(random, &good),
        };
        assert!(decode::<SignedProposal>(&bytes).is_err(), "no signature is in it");
        // Signed anew, so that the review looks at what was changed.
        let Ok(proposal) = decode::<Proposal>(&bytes) else {
            continue;
        };
        decoded += 1;
        let verdict = review(&proposal.sign(&key(1)), &case.context);
        accepted += u32::from(verdict.is_ok());
    }
    assert!(decoded > CASES / 2, "only {decoded} were worth a review");
    assert!(u64::from(accepted) < decoded, "{accepted} of {decoded}");
}

/// Numbers at the ends of their ranges, where arithmetic goes wrong.
fn extreme(random: &mut Random) -> u64 {
    let near = random.below(3);
    match random.below(5) {
        0 => near,
        1 => u64::MAX - near,
        2 => (1 << 63) - 1 + near,
        3 => 1000 * near,
        _ => random.next() >> random.below(64),
    }
}

fn extreme_amount(random: &mut Random) -> AttoFil {
    let shift = random.below(64) as u32;
    AttoFil((u128::from(extreme(random)) << shift) & ((1 << 126) - 1))
}

#[test]
fn extreme_numbers_in_every_field_are_judged_without_a_panic() {
    let random = &mut Random::new(5);
    for _ in 0..CASES * 2 {
        let mut case = Case::any(random);
        case.vouchers().truncate(4);
        for index in 0..case.vouchers().len() {
            let (amount, valid_at) = (extreme_amount(random), Epoch(extreme(random)));
            let (change_amount, change_height) = (random.chance(50), random.chance(50));
            case.voucher(index, |voucher| {
                if change_amount {
                    voucher.amount = amount;
                }
                if change_height {
                    voucher.valid_at = valid_at;
                }
            });
        }
        for which in 0..9 {
            if random.chance(70) {
                continue;
            }
            match which {
                0 => case.proposal.size = Some(BytesAmount(extreme(random))),
                1 => case.proposal.duration = extreme(random),
                2 => case.proposal.total_price = extreme_amount(random),
                3 => case.context.height = Epoch(extreme(random)),
                4 => case.context.terms.price = extreme_amount(random),
                5 => case.channel().amount = extreme_amount(random),
                6 => case.channel().amount_redeemed = extreme_amount(random),
                7 => case.channel().eol = Epoch(extreme(random)),
                _ => case.context.usable = extreme(random),
            }
        }
        case.verdict();
    }
}
