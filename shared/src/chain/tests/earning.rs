//! Properties of a deal's payment, on the real actors: whatever a miner does, it is paid for no more than it has proven; whatever a
//! client does, a miner that keeps the piece is paid for all that it has proven (design §9).

use super::sequence::cases;
use super::*;
use crate::chain::policy::{CHANNEL_EXPIRY_INTERVAL, VOUCHER_INTERVAL};
use crate::payment::{next_redemption, unsigned_vouchers, ChannelFacts, InclusionEvidence, Redemption, Terms};
use core::cell::Cell;
use proptest::collection::vec;
use proptest::prelude::{any, prop_oneof, Just, Strategy};
use proptest::sample::Index;

/// Cases of a property in an ordinary run.
const CASES: u32 = 96;
/// Height at which deals are drawn up.
const START: u64 = 1000;

/// A deal of the test's piece, with its signed vouchers, over channel 0 of the client, and the owner's miner.
struct Deal {
    world: World,
    miner: Address,
    vouchers: Vec<PaymentVoucher>,
    end: u64,
}

/// What both properties are tried on: how long the deal lasts, and what it pays.
fn terms() -> impl Strategy<Value = (u64, u128)> {
    (prop_oneof![3 => 1..=4000u64, 1 => 1..=1000u64], 1..=1_000_000u128)
}

impl Deal {
    fn open((duration, total): (u64, u128), cancel_delay: u64) -> Self {
        let (mut world, miner) = World::with_miner();
        world.state.policy.cancel_delay = cancel_delay;
        let (client, owner) = (world.client.clone(), world.owner.address());
        let end = START + duration;
        let eol = Epoch(end + CHANNEL_EXPIRY_INTERVAL);
        let receipt = world.send(&client, calls::create_channel(&owner, eol, AttoFil(total)));
        let terms = Terms {
            payer: client.address(),
            target: owner,
            miner: miner.clone(),
            channel: calls::channel_id(&receipt).expect("it is opened"),
            total: AttoFil(total),
            duration,
            start: Epoch(START),
            comm_p: comm_p(),
            size: BytesAmount(PIECE as u64),
        };
        let mut vouchers = unsigned_vouchers(&terms).expect("a schedule");
        for voucher in &mut vouchers {
            voucher.signature = Some(Bytes(client.sign(&voucher.payload()).0.to_vec()));
        }
        Self {
            world,
            miner,
            vouchers,
            end,
        }
    }

    fn channel(&self) -> Option<ChannelFacts> {
        let view = view::ChannelView::of(&self.world.state, &self.world.client.address(), ChannelId(0))?;
        Some(ChannelFacts::from(&view))
    }

    fn total(&self) -> u128 {
        self.vouchers.last().expect("one at least").amount.0
    }

    /// Whether the chain says now that the piece lies in a proven sector of this number.
    fn is_proven(&self, sector: u64) -> bool {
        let size = BytesAmount(PIECE as u64);
        let call = calls::verify_piece_inclusion(&self.miner, &comm_p(), size, sector, &inclusion());
        self.world.ask(None, call).is_ok()
    }

    /// What the vouchers promise by now.
    fn due(&self) -> u128 {
        let due = self
            .vouchers
            .iter()
            .filter(|voucher| voucher.valid_at.0 <= self.world.height);
        due.map(|voucher| voucher.amount.0).max().unwrap_or(0)
    }

    fn window(&self) -> Option<(u64, u64)> {
        let window = self.world.miner(&self.miner).proving_window(&self.world.state.policy);
        window.map(|(start, end)| (start.0, end.0))
    }

    /// Proves what is due, with `done` called done, if the window is open.
    fn prove(&mut self, done: &[u64]) -> bool {
        let is_open = self
            .window()
            .is_some_and(|(start, end)| (start..end).contains(&self.world.height));
        if !is_open || self.world.miner(&self.miner).proving_set.is_empty() {
            return false;
        }
        let (owner, proof) = (self.world.owner.clone(), self.world.post_proof(&self.miner, |_| true));
        let done: IntSet = done.iter().copied().collect();
        let call = calls::submit_post_without(&self.miner, &proof, &FaultSet::default(), &done, AttoFil::ZERO);
        self.world.send(&owner, call).is_ok()
    }
}

/// What a miner may try.
#[derive(Debug, Clone)]
enum Trick {
    Commit,
    Prove,
    /// The sector is given up, called done, or declared faulty; or said to be well again.
    GiveUp,
    Done,
    Fault,
    Recover,
    /// A voucher with the inclusion proof of this sector, or with nothing; by `redeem` or `close`.
    Claim {
        which: Index,
        sector: Option<u64>,
        close: bool,
    },
    /// The client.
    Cancel,
    Extend {
        life: u64,
    },
}

fn tricks() -> impl Strategy<Value = (u64, Trick)> {
    let claim = (
        any::<Index>(),
        proptest::option::weighted(0.8, 0..2u64),
        proptest::bool::weighted(0.1),
    );
    let claim = claim.prop_map(|(which, sector, close)| Trick::Claim { which, sector, close });
    let trick = prop_oneof![
        2 => Just(Trick::Commit),
        3 => Just(Trick::Prove),
        1 => Just(Trick::GiveUp),
        1 => Just(Trick::Done),
        1 => Just(Trick::Fault),
        1 => Just(Trick::Recover),
        8 => claim,
        2 => Just(Trick::Cancel),
        1 => (0..5000u64).prop_map(|life| Trick::Extend { life }),
    ];
    (prop_oneof![3 => 0..200u64, 1 => 0..1500u64], trick)
}

fn play(deal: &mut Deal, trick: &Trick) {
    let (owner, client, miner) = (deal.world.owner.clone(), deal.world.client.clone(), deal.miner.clone());
    let (from, call) = match trick {
        Trick::Commit => {
            if deal.world.miner(&miner).sectors.is_empty() && deal.world.miner(&miner).pre_commits.is_empty() {
                deal.world.commit(&miner, 0);
            }
            return;
        }
        Trick::Prove | Trick::Done => {
            let done: &[u64] = if matches!(trick, Trick::Done) { &[0] } else { &[] };
            deal.prove(done);
            return;
        }
        Trick::GiveUp => {
            let call = calls::submit_post_without(&miner, &[], &FaultSet::of([0]), &IntSet::default(), AttoFil::ZERO);
            (owner, call)
        }
        Trick::Fault => (owner, calls::add_faults(&miner, &FaultSet::of([0]))),
        Trick::Recover => (owner, calls::recover_faults(&miner, &[0].into_iter().collect())),
        Trick::Claim { which, sector, close } => {
            let voucher = which.get(&deal.vouchers);
            let redeemer = sector.map_or_else(Vec::new, |sector| calls::inclusion_parameters(sector, &inclusion()));
            let call = match close {
                true => calls::close(voucher, redeemer),
                false => calls::redeem(voucher, redeemer),
            };
            (owner, call)
        }
        Trick::Cancel => (client, calls::cancel(ChannelId(0))),
        Trick::Extend { life } => {
            let eol = Epoch(deal.world.height + life);
            (client, calls::extend(ChannelId(0), eol, AttoFil(5)))
        }
    };
    deal.world.send(&from, call);
}

/// Findings B1: the last voucher paid the whole price to a miner that stored nothing.
#[test]
fn whatever_a_miner_does_it_is_paid_for_no_more_than_it_had_proven() {
    let (paid, unpaid) = (Cell::new(0), Cell::new(0));
    let moves = (terms(), vec(tricks(), 1..40));
    cases::hold(CASES, &moves, |(terms, tricks)| {
        let mut deal = Deal::open(terms, 1500);
        let owner = deal.world.owner.address();
        let mut earned = 0;
        for (blocks, trick) in &tricks {
            deal.world.height += blocks;
            deal.world.end_blocks();
            if deal.is_proven(0) {
                earned = deal.due().max(earned);
            }
            let (before, gas) = (deal.world.state.broker.balance.0, deal.world.state.balance(&owner));
            play(&mut deal, trick);
            // A commit takes blocks of its own.
            if deal.is_proven(0) {
                earned = deal.due().max(earned);
            }
            let taken = deal.channel().map(|channel| channel.amount_redeemed.0);
            assert!(
                taken.is_none_or(|taken| taken <= earned),
                "{taken:?} of {earned} after {trick:?}"
            );
            if taken.is_none() {
                // Closed: what the owner got beyond its gas is within what it had proven as well.
                let got = deal.world.state.balance(&owner).0.saturating_sub(gas.0);
                assert!(got <= earned && got <= before, "{got} of {earned} by {trick:?}");
                break;
            }
        }
        let counted = match earned {
            0 => &unpaid,
            _ => &paid,
        };
        counted.set(counted.get() + 1);
    });
    let enough = cases::count(CASES) / 8;
    assert!(paid.get() > enough && unpaid.get() > enough, "{paid:?} {unpaid:?}");
}

/// What a client may try to keep its money.
#[derive(Debug, Clone)]
enum Spite {
    Nothing,
    Cancel,
    Reclaim,
    Extend { life: i64, value: u128 },
}

fn spites() -> impl Strategy<Value = (u64, Spite)> {
    let spite = prop_oneof![
        4 => Just(Spite::Nothing),
        3 => Just(Spite::Cancel),
        2 => Just(Spite::Reclaim),
        2 => (0..4000i64, 0..10u128).prop_map(|(life, value)| Spite::Extend { life, value }),
    ];
    (1..=120u64, spite)
}

/// How the miner goes about the end: it redeems first, as ours does, or calls the sector done as soon as the deal is over.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    RedeemsFirst,
    ReleasesFirst,
}

/// Redeems what [`next_redemption`] says, unless the miner waits for its sector to be gone.
fn redeem(deal: &mut Deal, end: End) -> bool {
    let Some(channel) = deal.channel() else { return true };
    let evidence = InclusionEvidence {
        sector: 0,
        pip: inclusion().into(),
    };
    let due = next_redemption(&deal.vouchers, &channel, Epoch(deal.world.height), Some(&evidence));
    let holds_back = end == End::ReleasesFirst
        && deal.world.height >= deal.end
        && deal.world.miner(&deal.miner).sectors.contains_key(&0);
    match due {
        Redemption::Redeem { voucher, redeemer, .. } if !holds_back => {
            let owner = deal.world.owner.clone();
            let receipt = deal.world.send(&owner, calls::redeem(&voucher, redeemer));
            assert!(receipt.is_ok(), "at {}: {}", deal.world.height, receipt.error);
            false
        }
        other => other.is_over(),
    }
}

fn spite(deal: &mut Deal, spite: &Spite) {
    let client = deal.world.client.clone();
    let call = match spite {
        Spite::Nothing => return,
        Spite::Cancel => calls::cancel(ChannelId(0)),
        Spite::Reclaim => calls::reclaim(ChannelId(0)),
        Spite::Extend { life, value } => {
            let eol = Epoch(deal.world.height.saturating_add_signed(*life));
            calls::extend(ChannelId(0), eol, AttoFil(*value))
        }
    };
    deal.world.send(&client, call);
}

#[test]
fn whatever_a_client_does_a_miner_that_keeps_the_piece_is_paid_for_all_that_it_proved() {
    let (cancelled, released) = (Cell::new(0), Cell::new(0));
    let ends = prop_oneof![Just(End::RedeemsFirst), Just(End::ReleasesFirst)];
    let moves = (
        terms(),
        ends,
        prop_oneof![2 => vec(spites(), 0..24), 1 => vec(spites(), 0..100)],
    );
    // The least delay under which a payee can wait for its next voucher.
    let delay = VOUCHER_INTERVAL + 500;
    cases::hold(CASES, &moves, |(terms, end, spites)| {
        let mut deal = Deal::open(terms, delay);
        let miner = deal.miner.clone();
        assert!(deal.world.commit(&miner, 0).is_ok());
        // In the end it only waits for its money.
        let rest = core::iter::repeat((60, Spite::Reclaim));
        let mut taken = 0;
        for (blocks, act) in spites.iter().cloned().chain(rest).take(1000) {
            deal.world.height += blocks;
            deal.world.end_blocks();
            // The client is first in every block.
            spite(&mut deal, &act);
            cancelled.set(cancelled.get() + u32::from(deal.channel().is_some_and(|channel| channel.is_cancelled())));
            let is_over = redeem(&mut deal, end);
            // A channel that is gone has paid what it had paid before.
            taken = deal.channel().map_or(taken, |channel| channel.amount_redeemed.0);
            let is_done = deal.world.height >= deal.end && (is_over || end == End::ReleasesFirst);
            let proven = deal.prove(match is_done {
                true => &[0],
                false => &[],
            });
            if is_done && proven {
                released.set(released.get() + 1);
                assert!(deal.world.miner(&miner).sectors.is_empty());
            }
            if is_over && deal.world.miner(&miner).sectors.is_empty() {
                break;
            }
        }
        assert_eq!(taken, deal.total(), "at {}", deal.world.height);
        let (got, paid_out) = (deal.world.balance(&deal.world.owner), deal.world.state.broker.balance);
        assert!(got > 0 && paid_out.0 < fil(1).0);
    });
    let enough = cases::count(CASES) / 2;
    assert!(
        cancelled.get() > enough && released.get() > enough,
        "{cancelled:?} {released:?}"
    );
}
