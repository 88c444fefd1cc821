//! The rules of choosing, each by its words.

use super::*;
use crate::chain::view::AskView;
use crate::chain::{AttoFil, SecretKey};
use crate::client::testing::miner_view;
use crate::client::ErrorCode;
use crate::deal::quote::Refusal;
use crate::deal::{Quote, Rejection, RejectionCode};
use alloc::vec;

const HEIGHT: Epoch = Epoch(10);

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).expect("a small number is a key")
}

fn own() -> Address {
    key(9).address()
}

/// Miner `number` with a standing ask at `price`.
fn miner(number: u64, price: u64) -> MinerView {
    MinerView {
        address: Address::id(number),
        owner: key(1).address(),
        worker: key(2).address(),
        asks: vec![AskView {
            id: 0,
            price: AttoFil::from_fil(price),
            expiry: Epoch(50),
        }],
        ..miner_view()
    }
}

fn begin(rule: MinerRule, miners: &[MinerView], deals: &[(u64, usize)]) -> Choosing {
    let deals = deals
        .iter()
        .map(|(miner, count)| (Address::id(*miner), *count))
        .collect();
    Choosing::begin(rule, miners.to_vec(), &own(), 100, HEIGHT, &deals).expect("some take the file")
}

fn yes(miner: u64, distance_ms: u64) -> MinerAnswer {
    MinerAnswer {
        says: Says::Yes,
        distance_ms: Some(distance_ms),
        ..MinerAnswer::silent(&Address::id(miner), String::new(), 0)
    }
}

fn no(miner: u64, distance_ms: u64) -> MinerAnswer {
    MinerAnswer {
        says: Says::No,
        reason: "mining is stopped".into(),
        ..yes(miner, distance_ms)
    }
}

fn silent(miner: u64) -> MinerAnswer {
    MinerAnswer::silent(&Address::id(miner), "nobody is there".into(), 0)
}

/// Hands the answers in, whatever order they are given in, as the host does: until the choice is made.
fn choose(mut choosing: Choosing, answers: &[MinerAnswer]) -> (Address, Vec<Address>, usize) {
    let mut heard = 0;
    for offer in choosing.asked() {
        let answer = answers.iter().find(|answer| answer.miner == offer.view.address);
        heard += 1;
        if choosing.hear(answer.expect("each has an answer").clone()) {
            break;
        }
    }
    let Choice { offer, by_rule } = choosing.finish().expect("one takes it");
    let passed = by_rule.passed.into_iter().map(|one| one.miner).collect();
    (offer.view.address, passed, heard)
}

#[test]
fn the_cheapest_that_takes_the_deal_is_chosen_and_those_before_it_are_told_with_their_reasons() {
    let miners = [miner(1003, 5), miner(1001, 2), miner(1002, 3), miner(1000, 2)];
    let choosing = begin(MinerRule::Cheapest, &miners, &[]);
    let answers = [silent(1000), no(1001, 1), yes(1002, 900), yes(1003, 1)];
    let (chosen, passed, heard) = choose(choosing.clone(), &answers);
    assert_eq!(chosen, Address::id(1002));
    assert_eq!(passed, [1000, 1001].map(Address::id));
    assert_eq!(heard, 3, "the dearer one is not waited for");
    let mut choosing = choosing;
    for answer in answers.into_iter().take(3) {
        choosing.hear(answer);
    }
    let by_rule = choosing.finish().expect("one does").by_rule;
    assert_eq!(by_rule.others, [Address::id(1003)]);
    let reasons: Vec<String> = by_rule.passed.into_iter().map(|one| one.reason).collect();
    assert_eq!(
        reasons,
        [
            "it does not answer: nobody is there",
            "it takes no such deal now: mining is stopped"
        ]
    );
}

#[test]
fn the_nearest_is_the_one_that_answered_soonest_and_one_of_unknown_distance_comes_last() {
    let miners = [miner(1000, 1), miner(1001, 2), miner(1002, 3), miner(1003, 4)];
    let choosing = begin(MinerRule::Nearest, &miners, &[]);
    let answers = [
        MinerAnswer::unasked(&Address::id(1000), None, 0),
        yes(1001, 80),
        no(1002, 5),
        yes(1003, 40),
    ];
    let (chosen, passed, heard) = choose(choosing.clone(), &answers);
    assert_eq!((chosen, heard), (Address::id(1003), 4));
    assert_eq!(passed, [Address::id(1002)]);
    // As far away: the cheaper one.
    let answers = [yes(1000, 40), yes(1001, 40), yes(1002, 40), yes(1003, 40)];
    assert_eq!(choose(choosing, &answers).0, Address::id(1000));
}

#[test]
fn deals_are_spread_to_the_miner_with_the_fewest_and_then_by_price() {
    let miners = [miner(1000, 1), miner(1001, 3), miner(1002, 2)];
    let answers = [yes(1000, 1), yes(1001, 1), yes(1002, 1)];
    let chosen = |deals: &[(u64, usize)]| choose(begin(MinerRule::Spread, &miners, deals), &answers).0;
    assert_eq!(chosen(&[]), Address::id(1000));
    assert_eq!(chosen(&[(1000, 1)]), Address::id(1002));
    assert_eq!(chosen(&[(1000, 1), (1002, 1)]), Address::id(1001));
    assert_eq!(chosen(&[(1000, 1), (1001, 1), (1002, 1)]), Address::id(1000));
}

#[test]
fn a_miner_of_2019_is_taken_without_being_asked() {
    let miners = [miner(1000, 1), miner(1001, 2)];
    let answers = [MinerAnswer::unasked(&Address::id(1000), Some(5), 0), yes(1001, 1)];
    let (chosen, ..) = choose(begin(MinerRule::Cheapest, &miners, &[]), &answers);
    assert_eq!(chosen, Address::id(1000));
}

#[test]
fn when_none_takes_the_deal_it_is_said_why_of_a_few() {
    let miners: Vec<MinerView> = (0..8).map(|number| miner(1000 + number, 1)).collect();
    let mut choosing = begin(MinerRule::Cheapest, &miners, &[]);
    for offer in choosing.asked() {
        let answer = MinerAnswer::silent(&offer.view.address, "gone".into(), 0);
        assert!(!choosing.hear(answer));
    }
    let error = choosing.finish().expect_err("none answers");
    assert_eq!(ErrorCode::from(&error), ErrorCode::MinerUnreachable);
    let error = error.to_string();
    assert!(error.contains("t01000: it does not answer: gone"), "{error}");
    assert!(error.contains("t01004") && !error.contains("t01005"), "{error}");
    assert!(error.ends_with("3 more"), "{error}");
}

#[test]
fn when_one_of_them_refuses_the_deal_is_refused() {
    let miners = [miner(1000, 1), miner(1001, 2)];
    let mut choosing = begin(MinerRule::Cheapest, &miners, &[]);
    assert!(!choosing.hear(silent(1000)) && !choosing.hear(no(1001, 1)));
    let error = choosing.finish().expect_err("none takes it");
    assert_eq!(ErrorCode::from(&error), ErrorCode::Rejected);
}

#[test]
fn the_only_one_that_could_take_the_file_is_chosen_unasked() {
    let choosing = begin(MinerRule::Nearest, &[miner(1000, 1)], &[]);
    assert!(choosing.is_settled());
    assert_eq!(
        choosing.finish().expect("there is one").offer.view.address,
        Address::id(1000)
    );
    assert!(!begin(MinerRule::Nearest, &[miner(1000, 1), miner(1001, 1)], &[]).is_settled());
}

#[test]
fn more_miners_than_may_be_asked_are_cut_off_by_price() {
    let miners: Vec<MinerView> = (0..100).map(|number| miner(1000 + number, 200 - number)).collect();
    let asked = begin(MinerRule::Nearest, &miners, &[]).asked();
    assert_eq!(asked.len(), MOST_ASKED);
    assert_eq!(asked[0].view.address, Address::id(1099));
}

#[test]
fn an_answer_counts_when_the_miners_worker_signed_it_for_this_question() {
    let offer = MinerOffer::of(miner(1000, 1), None, HEIGHT).expect("its ask stands");
    let request = usual_question(&offer, &own()).expect("a usual price");
    assert_eq!((request.size, request.duration), (2032, USUAL_DURATION));
    let refusal = Refusal {
        rejection: Rejection {
            code: RejectionCode::NotMining,
            message: "mining is stopped".into(),
        },
        retry_ms: Some(7),
    };
    let quote = |verdict| Quote::of(&request, HEIGHT, verdict).with_room(Some(4096));
    let heard = |signed: &SignedQuote, request| MinerAnswer::heard(signed, request, &offer, 12, 99);
    let taken = heard(&quote(Ok(())).sign(&key(2)), &request);
    assert_eq!((taken.says, taken.room), (Says::Yes, Some(4096)));
    assert_eq!((taken.distance_ms, taken.asked_at), (Some(12), 99));
    let refused = heard(&quote(Err(refusal)).sign(&key(2)), &request);
    assert_eq!((refused.says, refused.retry_ms), (Says::No, Some(7)));
    assert_eq!(refused.code, Some(RejectionCode::NotMining as u64));
    assert_eq!(refused.reason, "mining is stopped");
    let strange = heard(&quote(Ok(())).sign(&key(3)), &request);
    assert_eq!(strange.says, Says::Silent);
    let other = question(&offer, &own(), 1, 1).expect("a usual price");
    assert_eq!(heard(&quote(Ok(())).sign(&key(2)), &other).says, Says::Silent);
}

#[test]
fn rules_have_names() {
    for rule in MinerRule::ALL {
        assert_eq!(rule.name().parse(), Ok(rule));
        assert_eq!(serde_json::to_value(rule).expect("it is a word"), rule.name());
    }
    assert_eq!("dearest".parse::<MinerRule>(), Err(UnknownRule));
}

#[test]
fn who_asks_more_than_the_deal_may_cost_is_not_asked_and_without_others_the_cheapest_is_told() {
    let miners = [miner(1001, 5), miner(1002, 3), miner(1003, 4)];
    let within = |most| begin(MinerRule::Nearest, &miners, &[]).within(most, 100, 10);
    let total = |price: u64| AttoFil::from_fil(price * 100 * 10);
    let asked = |most| {
        let asked = within(most).expect("some are within it").asked();
        asked.into_iter().map(|offer| offer.view.address).collect::<Vec<_>>()
    };
    assert_eq!(asked(None).len(), 3);
    assert_eq!(asked(Some(total(4))), [Address::id(1002), Address::id(1003)]);
    let (cost, most) = (total(3), AttoFil(total(3).0 - 1));
    let refused = within(Some(most)).map(drop);
    assert_eq!(refused, Err(OfferError::OverLimit { cost, most }));
    assert_eq!(
        ErrorCode::from(&OfferError::OverLimit { cost, most }),
        ErrorCode::OverLimit
    );
}
