//! When money moves, and how it comes back at once (design §9): the miner is asked before it is paid, and a miner that has said no
//! closes the channel.

use super::*;
use crate::chain::view::{AskView, MinerView};
use crate::chain::{Address, AttoFil};
use crate::client::host::EngineError;
use crate::client::offer::{MinerOffer, OfferError};
use crate::client::problem::ErrorCode;
use crate::client::{ByRule, MinerRule, PassedOver};
use crate::deal::client::ClientRefusal;
use crate::deal::quote::Refusal;
use crate::deal::review::{Rejection, RejectionCode};
use crate::payment::closing::CLOSING_WAIT;
use alloc::vec;
use alloc::vec::Vec;

fn backlog() -> Refusal {
    Refusal {
        rejection: Rejection {
            code: RejectionCode::SealingBacklog,
            message: "too much waits to be sealed".into(),
        },
        retry_ms: Some(120_000),
    }
}

fn asked_says(host: &FakeHost, verdict: Result<(), Refusal>) {
    *host.quote.borrow_mut() = Some(verdict);
}

/// Findings B5: a refusal that was known beforehand locked the money up.
#[test]
fn a_miner_that_would_refuse_a_deal_is_asked_before_it_is_paid_and_not_paid() {
    let host = FakeHost::default();
    asked_says(&host, Err(backlog()));
    let mut record = record(2, LONG);
    run(&mut record, &host, DealRecord::is_failed);
    assert!(host.chain.sent.borrow().is_empty(), "no message was sent");
    assert!(!record.is_owed() && record.may_be_forgotten());
    assert_eq!(
        failed(&record),
        Some("deal rejected: too much waits to be sealed (code 1044; nothing was paid)")
    );
    let problem = record.error.expect("it is said why");
    assert_eq!((problem.code, problem.rejection), (ErrorCode::Rejected, Some(1044)));
    assert!(
        problem.hint.contains("Try again in about 2 minutes"),
        "{}",
        problem.hint
    );
}

/// A deal whose miner was chosen by a rule, and the other one that the chain knows.
fn chosen_by_rule(host: &FakeHost) -> (DealRecord<()>, Address) {
    let other = Address::id(1007);
    let view = MinerView {
        address: other.clone(),
        asks: vec![AskView {
            id: 0,
            price: AttoFil(3),
            expiry: Epoch(u64::MAX),
        }],
        ..miner_view()
    };
    host.chain.miners.borrow_mut().insert(other.clone(), view);
    let gone = Address::id(1006);
    let mut record = record(2, LONG);
    record.by_rule = Some(ByRule {
        rule: MinerRule::Cheapest,
        passed: Vec::new(),
        others: vec![gone, other.clone()],
        agreed: None,
    });
    (record, other)
}

#[test]
fn a_miner_that_was_chosen_by_rule_and_refuses_gives_way_to_the_next_before_anything_is_paid() {
    let host = FakeHost::default();
    asked_says(&host, Err(backlog()));
    let (mut record, other) = chosen_by_rule(&host);
    let first = record.deal.draft.miner.clone();
    assert_eq!(go(&mut record, &host), Ok(Next::Now));
    assert_eq!((&record.deal.draft.miner, record.state()), (&other, "drafted"));
    assert_eq!(record.deal.draft.price, AttoFil(3), "its own price counts");
    let by_rule = record.by_rule.clone().expect("it is kept");
    assert_eq!(
        by_rule.passed,
        [PassedOver::refusing(&first, "too much waits to be sealed")]
    );
    assert!(by_rule.others.is_empty(), "one of them is not on the chain any more");
    assert_eq!(
        host.saved.borrow().as_ref(),
        Some(&record),
        "it is kept before it is gone on with"
    );
    // The last one's refusal ends the deal, as before.
    let mut ending = record.clone();
    run(&mut ending, &host, DealRecord::is_failed);
    asked_says(&host, Ok(()));
    assert_eq!(go(&mut record, &host), Ok(Next::Message));
    assert_eq!(host.chain.count("createChannel"), 1);
}

#[test]
fn a_miner_that_was_chosen_by_rule_and_does_not_answer_gives_way_too() {
    let host = FakeHost::default();
    asked_says(&host, Ok(()));
    host.miner.set(None);
    let (mut record, other) = chosen_by_rule(&host);
    assert_eq!(go(&mut record, &host), Ok(Next::Now));
    assert_eq!(record.deal.draft.miner, other);
    assert_eq!(host.chain.count("createChannel"), 0);
    // There is no third.
    assert_eq!(go(&mut record, &host), Err(FakeError::MinerAway));
}

/// A miner that takes a deal and then refuses it must not choose what is paid.
#[test]
fn a_deal_does_not_go_on_to_a_miner_that_asks_more_than_twice_what_was_agreed_to() {
    let host = FakeHost::default();
    asked_says(&host, Err(backlog()));
    let (mut record, other) = chosen_by_rule(&host);
    let price_it = |price| {
        host.chain
            .miners
            .borrow_mut()
            .get_mut(&other)
            .expect("it is there")
            .asks[0]
            .price = AttoFil(price);
    };
    price_it(5);
    let mut ending = record.clone();
    run(&mut ending, &host, DealRecord::is_failed);
    assert!(host.chain.sent.borrow().is_empty());
    // What was agreed to is the first one's price, however many there were meanwhile.
    price_it(4);
    record.by_rule.as_mut().expect("it is there").agreed = Some(AttoFil(1));
    let mut ending = record.clone();
    run(&mut ending, &host, DealRecord::is_failed);
    record.by_rule.as_mut().expect("it is there").agreed = None;
    assert_eq!(go(&mut record, &host), Ok(Next::Now));
    assert_eq!(record.deal.draft.miner, other);
    assert_eq!(record.by_rule.and_then(|by_rule| by_rule.agreed), Some(AttoFil(2)));
}

#[test]
fn a_deal_with_a_limit_goes_on_to_another_miner_as_far_as_the_limit_and_not_beyond_it() {
    let host = FakeHost::default();
    asked_says(&host, Err(backlog()));
    let (mut record, other) = chosen_by_rule(&host);
    let units = u128::from(record.deal.draft.size) * u128::from(record.deal.draft.duration);
    let total = |price: u128| AttoFil(price * units);
    // The other one asks 3 where 2 was agreed to.
    record.most = total(3).checked_sub(AttoFil(1));
    let mut ending = record.clone();
    run(&mut ending, &host, DealRecord::is_failed);
    assert_ne!(ending.deal.draft.miner, other);
    assert!(host.chain.sent.borrow().is_empty());
    // What its user allows is more than twice as dear, and counts.
    host.chain
        .miners
        .borrow_mut()
        .get_mut(&other)
        .expect("it is there")
        .asks[0]
        .price = AttoFil(9);
    record.most = Some(total(9));
    assert_eq!(go(&mut record, &host), Ok(Next::Now));
    assert_eq!((&record.deal.draft.miner, record.most), (&other, Some(total(9))));
}

#[test]
fn a_deal_that_begins_anew_costs_no_more_than_its_limit() {
    let record = record(2, LONG);
    let failed = &record.deal.draft;
    let view = || MinerView {
        asks: vec![AskView {
            id: 0,
            price: AttoFil(7),
            expiry: Epoch(u64::MAX),
        }],
        ..miner_view()
    };
    let cost = AttoFil(7 * u128::from(failed.size) * u128::from(failed.duration));
    let most = cost.checked_sub(AttoFil(1)).expect("it is not free");
    let redraft = |most| MinerOffer::redraft(view(), failed, most, Epoch(9));
    assert_eq!(redraft(Some(most)), Err(OfferError::OverLimit { cost, most }));
    for enough in [Some(cost), None] {
        assert_eq!(redraft(enough).expect("it is enough").total(), Some(cost));
    }
}

#[test]
fn a_miner_that_would_take_a_deal_is_paid_after_it_was_asked() {
    let host = FakeHost::default();
    asked_says(&host, Ok(()));
    let mut record = record(2, LONG);
    assert_eq!(go(&mut record, &host), Ok(Next::Message));
    assert_eq!(*host.asked.borrow(), [protocol::QUOTE]);
    assert_eq!(host.chain.count("createChannel"), 1);
    run(&mut record, &host, |record| engine::is_accepted(&record.deal.stage));
    let asked = host
        .asked
        .borrow()
        .iter()
        .filter(|asked| **asked == protocol::QUOTE)
        .count();
    assert_eq!(asked, 1, "nobody asks when the money has moved");
}

#[test]
fn a_miner_that_does_not_answer_is_not_paid_and_one_of_2019_is() {
    let host = FakeHost::default();
    asked_says(&host, Ok(()));
    host.miner.set(None);
    let mut waiting = record(2, LONG);
    assert_eq!(go(&mut waiting, &host), Err(FakeError::MinerAway));
    assert_eq!((host.chain.count("createChannel"), waiting.state()), (0, "drafted"));
    let host = FakeHost::default();
    let mut taken = record(2, LONG);
    assert_eq!(go(&mut taken, &host), Ok(Next::Message));
    assert_eq!(host.chain.count("createChannel"), 1);
}

#[test]
fn a_free_deal_is_proposed_without_a_question() {
    let host = FakeHost::default();
    asked_says(&host, Err(backlog()));
    let mut record = record(0, LONG);
    run(&mut record, &host, |record| engine::is_accepted(&record.deal.stage));
    assert!(!host.asked.borrow().contains(&protocol::QUOTE));
}

#[test]
fn a_quote_counts_only_from_the_worker_that_the_chain_names() {
    let host = FakeHost::default();
    asked_says(&host, Ok(()));
    host.worker.set(4);
    let mut record = record(2, LONG);
    let (miner, refusal) = (record.deal.draft.miner.clone(), ClientRefusal::QuoteSignature);
    let refused = EngineError::Refused { miner, refusal };
    assert_eq!(go(&mut record, &host), Err(FakeError::Engine(refused)));
    assert_eq!(host.chain.count("createChannel"), 0);
    let mut view = miner_view();
    view.worker = key(4).address();
    host.chain.miners.borrow_mut().insert(view.address.clone(), view);
    assert_eq!(go(&mut record, &host), Ok(Next::Message));
}

/// A deal that its miner rejects after all; what it says to a request to close the channel.
fn rejected(closes: Option<bool>) -> (FakeHost, DealRecord<()>) {
    let host = FakeHost::default();
    host.miner.set(Some(DealState::Rejected));
    host.closes.set(closes);
    let mut record = record(2, LONG);
    run(&mut record, &host, DealRecord::is_failed);
    assert_eq!(record.refund(), Refund::Asking);
    (host, record)
}

/// Findings B5: the money is back within blocks, and not after the ten thousand of a cancellation.
#[test]
fn a_rejected_deals_channel_is_closed_by_its_miner_at_once() {
    let (host, mut record) = rejected(Some(true));
    now(take_back(&mut record, &host)).expect("nothing hinders it");
    assert!(
        matches!(record.refund(), Refund::Closing { .. }),
        "{:?}",
        record.refund()
    );
    let begun = host.chain.height.get();
    host.mine();
    now(take_back(&mut record, &host)).expect("nothing hinders it");
    assert_eq!(record.refund(), Refund::Returned);
    assert_eq!(host.chain.height.get(), begun + 1);
    assert_eq!((host.chain.count("cancel"), host.chain.count("reclaim")), (0, 0));
    assert!(record.refunds.values().all(|found| found.amount > AttoFil::ZERO));
}

#[test]
fn a_miner_that_does_not_close_the_channel_delays_the_cancellation_by_some_blocks_at_most() {
    for closes in [None, Some(false)] {
        let (host, mut record) = rejected(closes);
        now(take_back(&mut record, &host)).expect("nothing hinders it");
        assert_eq!(host.chain.count("cancel"), 1, "{closes:?}");
    }
    let (host, mut record) = rejected(Some(true));
    now(take_back(&mut record, &host)).expect("nothing hinders it");
    // It said so, and does not.
    host.chain.closing.borrow_mut().clear();
    host.chain.height.set(host.chain.height.get() + CLOSING_WAIT - 1);
    now(take_back(&mut record, &host)).expect("nothing hinders it");
    assert_eq!(host.chain.count("cancel"), 0);
    host.mine();
    now(take_back(&mut record, &host)).expect("nothing hinders it");
    assert_eq!(host.chain.count("cancel"), 1);
}

/// Its miner may have taken it and go on.
#[test]
fn a_deal_that_its_own_user_gave_up_is_not_asked_to_be_closed() {
    let host = FakeHost::default();
    host.closes.set(Some(true));
    let mut record = accepted(&host);
    abandon(&host);
    go(&mut record, &host).expect("it is given up");
    now(take_back(&mut record, &host)).expect("nothing hinders it");
    assert!(!host.asked.borrow().contains(&protocol::CLOSE_CHANNEL));
    assert_eq!(host.chain.count("cancel"), 1);
}

/// A person may answer after hours: what they sign then is for nothing.
#[test]
fn a_deal_that_is_given_up_while_a_person_is_asked_to_sign_is_not_paid() {
    let host = FakeHost::default();
    host.chain.thinks.set(true);
    let reason: String = "you asked for it".into();
    host.order_after_wait.replace(Some(Order::GiveUp { reason }));
    let mut record = record(2, LONG);
    assert_eq!(go(&mut record, &host), Ok(Next::Now));
    assert_eq!(host.chain.prompts.get(), 1);
    go(&mut record, &host).expect("it is given up");
    assert_eq!(failed(&record), Some("given up: you asked for it"));
    now(take_back(&mut record, &host)).expect("nothing hinders it");
    assert!(record.may_be_forgotten(), "nothing of it may still come");
    assert_eq!(host.chain.count("createChannel"), 0);
}

#[test]
fn a_deal_whose_time_ends_while_a_person_is_asked_to_sign_is_not_paid() {
    let host = FakeHost::default();
    host.chain.thinks.set(true);
    let mut record = record(2, LONG);
    host.height_after_wait.set(record.deal.deadline());
    assert_eq!(go(&mut record, &host), Ok(Next::Now));
    assert_eq!(host.chain.prompts.get(), 1);
    host.chain.thinks.set(false);
    go(&mut record, &host).expect("it is given up");
    assert!(failed(&record).is_some_and(|reason| reason.starts_with("given up: it was not complete by block")));
    assert_eq!(host.chain.count("createChannel"), 0);
}
