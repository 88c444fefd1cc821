//! Properties of schedules and their review, on random deals: what the client builds is accepted, what is worse in one thing
//! is refused for that thing, and nothing makes the review panic.

mod cases;

use proptest::array::uniform9;
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::{any, prop_oneof, Strategy};
use proptest::sample::{select, Index};
use shared::chain::address::MaybeAddress;
use shared::chain::keys::cid_of_bytes;
use shared::chain::{Address, AttoFil, BytesAmount, ChannelId, Epoch, SecretKey};
use shared::deal::review::{review, OperatorTerms, ReviewContext, PROPOSAL_SLACK};
use shared::deal::{ClientDeal, ClientInput, Draft, Proposal, RejectionCode, SignedProposal};
use shared::payment::{ChannelFacts, PaymentVoucher, Predicate};
use shared::piece::node::cid_of;
use shared::piece::DagShape;
use shared::piece::{Commitment, SectorSize};
use shared::wire::{decode, encode};
use std::cell::Cell;

/// Cases of each property.
const CASES: u32 = 512;
/// Cases of each way to worsen a deal.
const CASES_OF_A_WORSENING: u32 = 16;

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).expect("a valid key")
}

/// Durations from one block to hundreds of vouchers; long ones are rare, because every voucher is signed.
fn durations() -> impl Strategy<Value = u64> {
    prop_oneof![390 => 1..=5000u64, 9 => 1..=60_000u64, 1 => 1..=900_000u64]
}

/// Deals within everything that a client may ask for: from one byte to a full sector, from one attoFIL to more than there
/// will ever be.
fn drafts(durations: impl Strategy<Value = u64>) -> impl Strategy<Value = Draft> {
    let sizes = select(vec![SectorSize::S2KiB, SectorSize::S8MiB])
        .prop_flat_map(|sector| (1..=sector.usable()).prop_map(move |size| (sector, size)));
    let prices = (0..60u32).prop_flat_map(|bits| 1..=1u128 << (bits + 1));
    (sizes, prices, durations, 0..1u64 << 40).prop_map(|((sector_size, size), price, duration, start)| {
        let owner = key(2).address();
        Draft {
            data_cid: cid_of(DagShape::STANDARD.root_codec(size), &[7; 32]),
            comm_p: Commitment([7; 32]),
            size,
            payer: key(1).address(),
            miner: Address::actor(&owner, 0),
            owner,
            worker: key(3).address(),
            sector_size,
            price: AttoFil(price),
            duration,
            start: Epoch(start),
        }
    })
}

/// A deal's proposal, and the miner that reviews it at the same height.
#[derive(Debug, Clone)]
struct Case {
    draft: Draft,
    proposal: Proposal,
    context: ReviewContext,
}

impl Case {
    fn new(draft: Draft, channel: u64) -> Self {
        let mut deal = ClientDeal::new(draft.clone());
        let (channel, message) = (ChannelId(channel), cid_of_bytes(b"message"));
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
                session: None,
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

fn cases_of(durations: impl Strategy<Value = u64>) -> impl Strategy<Value = Case> {
    (drafts(durations), 0..1u64 << 32).prop_map(|(draft, channel)| Case::new(draft, channel))
}

#[test]
fn every_schedule_that_the_client_builds_is_accepted_whenever_it_is_reviewed() {
    let reviews = (cases_of(durations()), any::<Index>());
    cases::hold(CASES, &reviews, |(mut case, later)| {
        let latest = case.draft.duration + PROPOSAL_SLACK;
        for by in [0, 1, later.index(latest as usize + 1) as u64, latest] {
            case.context.height = case.draft.start.plus(by);
            assert_eq!(case.verdict(), None, "{by} blocks later");
        }
    });
}

/// What a worsening may choose: a voucher, some number, a bit of a signature.
#[derive(Debug, Clone)]
struct Choice {
    voucher: Index,
    number: Index,
    bit: (usize, u8),
    coin: bool,
}

impl Choice {
    /// A number below `limit`, which is at least 1.
    fn below(&self, limit: u64) -> u64 {
        self.number.index(limit as usize) as u64
    }

    fn voucher(&self, case: &mut Case) -> usize {
        self.voucher.index(case.vouchers().len())
    }
}

fn choices() -> impl Strategy<Value = Choice> {
    let bits = (0..64usize, 0..8u8);
    (any::<Index>(), any::<Index>(), bits, any::<bool>()).prop_map(|(voucher, number, bit, coin)| Choice {
        voucher,
        number,
        bit,
        coin,
    })
}

type Worsening = (&'static str, fn(&mut Case, &Choice) -> RejectionCode);

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
    ("a larger piece for the same money", |case, choice| {
        case.proposal.size = Some(BytesAmount(case.draft.size + 1 + choice.below(1 << 20)));
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
    ("a lower price", |case, choice| {
        case.proposal.total_price.0 -= 1 + u128::from(choice.below(case.proposal.total_price.0.min(1 << 60) as u64));
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
    ("no vouchers", |case, choice| {
        case.proposal.payment.vouchers = choice.coin.then(Vec::new);
        RejectionCode::NoVouchers
    }),
    ("a voucher's payer", |case, choice| {
        let index = choice.voucher(case);
        case.voucher(index, |voucher| voucher.payer = key(4).address());
        RejectionCode::VoucherFields
    }),
    ("a voucher's target", |case, choice| {
        let index = choice.voucher(case);
        case.voucher(index, |voucher| voucher.target = key(4).address());
        RejectionCode::VoucherFields
    }),
    ("a voucher's channel", |case, choice| {
        let index = choice.voucher(case);
        case.voucher(index, |voucher| voucher.channel.0 += 1);
        RejectionCode::VoucherFields
    }),
    ("a voucher's signature", |case, choice| {
        let (index, (at, bit)) = (choice.voucher(case), choice.bit);
        let signature = case.vouchers()[index].signature.as_mut().expect("signed");
        signature.0[at] ^= 1 << bit;
        RejectionCode::VoucherSignature
    }),
    ("no signature on a voucher", |case, choice| {
        let index = choice.voucher(case);
        case.vouchers()[index].signature = None;
        RejectionCode::VoucherSignature
    }),
    ("a voucher too late", |case, choice| {
        let index = choice.voucher(case);
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
    ("a voucher worth less than the time served", |case, choice| {
        let index = choice.voucher(case);
        let valid_at = case.vouchers()[index].valid_at;
        let least = case.least(valid_at);
        case.voucher(index, |voucher| voucher.amount.0 = least - 1);
        RejectionCode::VoucherAmount
    }),
    ("a voucher that the channel can never pay", |case, choice| {
        let index = choice.voucher(case);
        let held = case.channel().amount;
        case.voucher(index, |voucher| voucher.amount.0 = held.0 + 1);
        RejectionCode::VoucherExceedsChannel
    }),
    ("a voucher on another condition", |case, choice| {
        let index = choice.voucher(case);
        let (miner, size) = (case.draft.miner.clone(), BytesAmount(case.draft.size + 1));
        let condition = Predicate::piece_inclusion(&miner, &case.draft.comm_p, size);
        case.voucher(index, |voucher| voucher.condition = Some(condition));
        RejectionCode::VoucherCondition
    }),
    ("another piece's condition on the last voucher", |case, _| {
        if case.vouchers().len() < 2 {
            // Nothing to compare it with before the piece is here.
            case.proposal.duration = 0;
            return RejectionCode::Duration;
        }
        let (miner, size) = (case.draft.miner.clone(), BytesAmount(case.draft.size));
        let condition = Predicate::piece_inclusion(&miner, &Commitment([0xee; 32]), size);
        let last = case.vouchers().len() - 1;
        case.voucher(last, |voucher| voucher.condition = Some(condition));
        RejectionCode::VoucherCondition
    }),
    ("no last voucher", |case, _| {
        case.vouchers().pop();
        let total = case.proposal.total_price;
        match case.vouchers().last() {
            None => RejectionCode::NoVouchers,
            Some(last) if last.amount < total => RejectionCode::LastVoucher,
            Some(_) => {
                // Amounts are rounded up to a step: the one before is for all of it as well, and good.
                case.proposal.duration = 0;
                RejectionCode::Duration
            }
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
    ("a smaller sector", |case, choice| {
        case.context.usable = choice.below(case.draft.size);
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

#[test]
fn a_schedule_that_is_worse_in_one_thing_is_refused_for_that_thing() {
    for (name, worsen) in WORSENINGS {
        let worse = (cases_of(durations()), choices());
        cases::hold(CASES_OF_A_WORSENING, &worse, |(mut case, choice)| {
            let expected = worsen(&mut case, &choice);
            assert_eq!(case.verdict(), Some(expected), "{name}");
        });
    }
}

#[test]
fn a_changed_bit_of_a_signature_is_refused() {
    cases::hold(CASES, &(cases_of(durations()), choices()), |(case, choice)| {
        let mut signed = case.proposal.sign(&key(1));
        let (at, bit) = choice.bit;
        signed.signature.0[at] ^= 1 << bit;
        let code = review(&signed, &case.context).expect_err("another signature").code;
        assert_eq!(code, RejectionCode::Signature);
    });
}

/// What happens to bytes on their way.
#[derive(Debug, Clone)]
enum Damage {
    Flipped(Index, u8),
    Changed(Index, u8),
    LeftOut(Index),
    PutIn(Index, u8),
}

/// Bytes that are nearly a proposal, or nothing like one.
#[derive(Debug, Clone)]
enum Hostile {
    Damaged(Vec<Damage>),
    Anything(Vec<u8>),
}

fn hostile() -> impl Strategy<Value = Hostile> {
    let damage = prop_oneof![
        (any::<Index>(), 0..8u8).prop_map(|(at, bit)| Damage::Flipped(at, bit)),
        any::<(Index, u8)>().prop_map(|(at, byte)| Damage::Changed(at, byte)),
        any::<Index>().prop_map(Damage::LeftOut),
        any::<(Index, u8)>().prop_map(|(at, byte)| Damage::PutIn(at, byte)),
    ];
    prop_oneof![
        7 => vec(damage, 1..=3).prop_map(Hostile::Damaged),
        1 => vec(any::<u8>(), 0..300).prop_map(Hostile::Anything),
    ]
}

fn damaged(hostile: &Hostile, good: Vec<u8>) -> Vec<u8> {
    let damages = match hostile {
        Hostile::Anything(bytes) => return bytes.clone(),
        Hostile::Damaged(damages) => damages,
    };
    damages.iter().fold(good, |mut bytes, damage| {
        let length = bytes.len();
        match damage {
            Damage::Flipped(at, bit) => bytes[at.index(length)] ^= 1 << bit,
            Damage::Changed(at, byte) => bytes[at.index(length)] = *byte,
            Damage::LeftOut(at) => drop(bytes.remove(at.index(length))),
            Damage::PutIn(at, byte) => bytes.insert(at.index(length), *byte),
        }
        bytes
    })
}

#[test]
fn bytes_from_a_hostile_peer_are_refused_and_never_panicked_on() {
    let (decoded, accepted) = (Cell::new(0), Cell::new(0));
    let sent = (cases_of(1..=3000u64), hostile());
    cases::hold(CASES * 8, &sent, |(case, hostile)| {
        let bytes = damaged(&hostile, encode(&case.proposal));
        assert!(decode::<SignedProposal>(&bytes).is_err(), "no signature is in it");
        // Signed anew, so that the review looks at what was changed.
        let Ok(proposal) = decode::<Proposal>(&bytes) else {
            return;
        };
        decoded.set(decoded.get() + 1);
        let verdict = review(&proposal.sign(&key(1)), &case.context);
        accepted.set(accepted.get() + u32::from(verdict.is_ok()));
    });
    let worth = cases::count(CASES * 8) / 16;
    assert!(decoded.get() > worth, "only {decoded:?} were worth a review");
    assert!(accepted.get() < decoded.get(), "{accepted:?} of {decoded:?}");
}

/// Numbers at the ends of their ranges, where arithmetic goes wrong.
fn extremes() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..3u64,
        u64::MAX - 2..=u64::MAX,
        (1 << 63) - 1..=(1u64 << 63) + 1,
        select(vec![0, 1000, 2000]),
        (any::<u64>(), 0..64u32).prop_map(|(number, shift)| number >> shift),
    ]
}

fn extreme_amounts() -> impl Strategy<Value = AttoFil> {
    let scaled = |(number, shift)| AttoFil((u128::from(number) << shift) & ((1 << 126) - 1));
    (extremes(), 0..64u32).prop_map(scaled)
}

/// What a voucher's amount and height become.
type VoucherChange = (Option<AttoFil>, Option<u64>);

fn with_extremes(mut case: Case, vouchers: &[VoucherChange], numbers: [Option<u64>; 9], amounts: &[AttoFil]) -> Case {
    case.vouchers().truncate(vouchers.len());
    for (index, (amount, valid_at)) in vouchers.iter().take(case.vouchers().len()).enumerate() {
        case.voucher(index, |voucher| {
            voucher.amount = amount.unwrap_or(voucher.amount);
            voucher.valid_at = valid_at.map_or(voucher.valid_at, Epoch);
        });
    }
    for (which, number) in numbers.into_iter().enumerate() {
        let Some(number) = number else { continue };
        match which {
            0 => case.proposal.size = Some(BytesAmount(number)),
            1 => case.proposal.duration = number,
            2 => case.proposal.total_price = amounts[0],
            3 => case.context.height = Epoch(number),
            4 => case.context.terms.price = amounts[1],
            5 => case.channel().amount = amounts[2],
            6 => case.channel().amount_redeemed = amounts[3],
            7 => case.channel().eol = Epoch(number),
            _ => case.context.usable = number,
        }
    }
    case
}

#[test]
fn extreme_numbers_in_every_field_are_judged_without_a_panic() {
    let vouchers = vec((weighted(0.5, extreme_amounts()), weighted(0.5, extremes())), 4);
    let numbers = uniform9(weighted(0.3, extremes()));
    let amounts = vec(extreme_amounts(), 4);
    let extreme = (cases_of(durations()), vouchers, numbers, amounts);
    cases::hold(CASES * 2, &extreme, |(case, vouchers, numbers, amounts)| {
        with_extremes(case, &vouchers, numbers, &amounts).verdict();
    });
}
