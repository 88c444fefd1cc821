//! Scenarios of the engine, each through the ports in memory: the rule is the test's name.

mod paying;

use super::engine::{self, step, Next};
use super::host::{EngineError, Order};
use super::problem::{ErrorCode, Problem};
use super::record::{DealRecord, Step};
use super::refunds::{pursue, take_back};
use super::testing::{draft, key, miner_view, now, record, FakeError, FakeHost, Fate};
use crate::chain::{ChannelId, Epoch, Policy};
use crate::deal::refund::INVALID_CANCEL;
use crate::deal::{ClientStage, DealState, Refund};
use crate::wire::protocol;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

mod shown;

const LONG: u64 = 20_000;

fn go(record: &mut DealRecord<()>, host: &FakeHost) -> Result<Next, FakeError> {
    now(step(record, host))
}

/// Steps and makes blocks until the deal has come to `done`.
fn run(record: &mut DealRecord<()>, host: &FakeHost, done: impl Fn(&DealRecord<()>) -> bool) {
    for _ in 0..20 {
        if done(record) {
            return;
        }
        go(record, host).expect("nothing hinders it");
        host.mine();
    }
    panic!("it does not come so far: {record:?}");
}

fn accepted(host: &FakeHost) -> DealRecord<()> {
    let mut record = record(2, LONG);
    run(&mut record, host, |record| engine::is_accepted(&record.deal.stage));
    record
}

fn failed(record: &DealRecord<()>) -> Option<&str> {
    match &record.deal.stage {
        ClientStage::Failed { reason, .. } => Some(reason),
        _ => None,
    }
}

fn abandon(host: &FakeHost) {
    let reason: String = "you asked for it".into();
    *host.order.borrow_mut() = Order::GiveUp { reason };
}

#[test]
fn a_paid_deal_opens_one_channel_signs_proposes_and_is_asked_about() {
    let host = FakeHost::default();
    let mut record = accepted(&host);
    assert_eq!(host.chain.count("createChannel"), 1);
    assert_eq!(record.deal.channel(), Some(9));
    assert!(host.offered.get());
    assert_eq!(go(&mut record, &host), Ok(Next::Query));
    assert_eq!(*host.asked.borrow(), [protocol::MAKE_DEAL, protocol::QUERY_DEAL]);
    assert_eq!(host.saved.borrow().as_ref().map(DealRecord::step), Some(Step::Accepted));
}

#[test]
fn a_step_that_cannot_be_kept_is_not_gone_on_from() {
    let host = FakeHost::default();
    let mut record = record(0, 1000);
    host.disk_full.set(true);
    for _ in 0..2 {
        assert_eq!(go(&mut record, &host), Err(FakeError::DiskFull));
    }
    assert!(host.asked.borrow().is_empty(), "a proposal that is not kept was sent");
    host.disk_full.set(false);
    run(&mut record, &host, |record| engine::is_accepted(&record.deal.stage));
}

#[test]
fn a_deal_whose_channel_is_opening_can_be_given_up_and_its_money_comes_back() {
    let host = FakeHost::default();
    let mut record = record(2, LONG);
    assert_eq!(go(&mut record, &host), Ok(Next::Message));
    abandon(&host);
    go(&mut record, &host).expect("it is given up at once");
    assert_eq!(failed(&record), Some("given up: you asked for it"));
    // Its message is not in a block yet: nothing is forgotten.
    now(take_back(&mut record, &host)).expect("nothing hinders it");
    assert!(record.is_owed());
    host.mine();
    now(take_back(&mut record, &host)).expect("nothing hinders it");
    assert_eq!(record.refund_due(), Some(ChannelId(9)));
    host.mine();
    now(take_back(&mut record, &host)).expect("nothing hinders it");
    assert!(matches!(record.refund(), Refund::Waiting { earned: false, .. }));
    host.chain
        .height
        .set(host.chain.height.get() + Policy::default().cancel_delay);
    for _ in 0..2 {
        now(take_back(&mut record, &host)).expect("nothing hinders it");
        host.mine();
    }
    now(take_back(&mut record, &host)).expect("nothing hinders it");
    assert_eq!((record.refund(), record.is_owed()), (Refund::Returned, false));
}

#[test]
fn a_deal_is_not_forgotten_while_money_may_still_come_of_it() {
    let host = FakeHost::default();
    let mut record = record(2, LONG);
    assert!(!record.may_be_forgotten(), "it is under way");
    go(&mut record, &host).expect("the message is sent");
    abandon(&host);
    go(&mut record, &host).expect("it is given up");
    assert!(
        record.is_refunding() && !record.may_be_forgotten(),
        "its channel may open"
    );
    host.chain.fate.set(Fate::Fails(33));
    host.mine();
    now(take_back(&mut record, &host)).expect("nothing hinders it");
    assert!(!record.is_refunding() && record.may_be_forgotten(), "it has no channel");
    // What a complete deal's miner does not redeem comes back at the channel's end.
    let host = FakeHost::default();
    let mut complete = accepted(&host);
    let ClientStage::Running { proposal, response } = complete.deal.stage.clone() else {
        panic!("{:?}", complete.deal.stage);
    };
    let mut deal = complete.deal.clone();
    deal.stage = ClientStage::Complete { proposal, response };
    complete.advance(deal, None, 0);
    assert!(!complete.is_refunding() && !complete.may_be_forgotten());
    host.chain.height.set(complete.deal.draft.channel_eol().0);
    for _ in 0..3 {
        now(take_back(&mut complete, &host)).expect("nothing hinders it");
        host.mine();
    }
    assert!(complete.may_be_forgotten());
}

#[test]
fn a_deal_drawn_up_anew_does_not_forget_the_channel_that_its_first_attempt_was_opening() {
    let host = FakeHost::default();
    let mut record = record(2, LONG);
    go(&mut record, &host).expect("the message is sent");
    abandon(&host);
    go(&mut record, &host).expect("it is given up");
    *host.order.borrow_mut() = Order::GoOn;
    record.redraw(crate::deal::ClientDeal::new(draft(2, LONG)), "peer".into(), 1);
    go(&mut record, &host).expect("another message is sent");
    assert_eq!(host.chain.count("createChannel"), 2);
    host.mine();
    now(take_back(&mut record, &host)).expect("nothing hinders it");
    run(&mut record, &host, |record| engine::is_accepted(&record.deal.stage));
    let back: Vec<u64> = record.refunds.keys().copied().collect();
    assert_eq!(back.len(), 1, "one channel is paid back, the other pays");
    assert_ne!(record.deal.channel(), Some(back[0]));
}

#[test]
fn a_deal_that_is_drawn_up_anew_keeps_the_channel_that_was_found_since_the_draft() {
    let host = FakeHost::default();
    let mut record = record(2, LONG);
    go(&mut record, &host).expect("the message is sent");
    abandon(&host);
    go(&mut record, &host).expect("it is given up");
    let draft = crate::deal::ClientDeal::new(draft(2, LONG));
    host.mine();
    now(take_back(&mut record, &host)).expect("its channel is found");
    now(engine::redraw(&mut record, &host, draft.clone(), "peer".into())).expect("it has failed");
    let saved = host.saved.borrow().clone().expect("it is kept");
    assert_eq!((saved.attempt, saved.refunds.contains_key(&9)), (1, true));
    let twice = now(engine::redraw(&mut record, &host, draft, "peer".into()));
    assert_eq!(twice, Err(FakeError::Engine(EngineError::NotApplicable)));
}

#[test]
fn a_wish_to_give_a_deal_up_that_was_kept_is_fulfilled_after_a_restart() {
    let host = FakeHost::default();
    let mut record = accepted(&host);
    record.giving_up = Some("you asked for it".into());
    let restarted = FakeHost::default();
    go(&mut record, &restarted).expect("it is given up");
    assert_eq!(failed(&record), Some("given up: you asked for it"));
    assert_eq!(record.giving_up, None, "the next attempt is not given up");
}

#[test]
fn a_channel_message_that_the_chain_refuses_leaves_the_deal_to_be_tried_again() {
    let host = FakeHost::default();
    host.chain.fate.set(Fate::Refused);
    let mut record = record(2, LONG);
    for _ in 0..2 {
        assert_eq!(go(&mut record, &host), Err(FakeError::Refused));
        assert_eq!(record.deal.stage, ClientStage::Drafted);
    }
    host.chain.fate.set(Fate::Applied);
    run(&mut record, &host, |record| engine::is_accepted(&record.deal.stage));
}

#[test]
fn a_channel_message_that_was_dropped_is_made_again_and_one_that_failed_ends_the_deal() {
    let host = FakeHost::default();
    let mut dropped = record(2, LONG);
    go(&mut dropped, &host).expect("it is sent");
    host.chain.fate.set(Fate::Dropped);
    host.mine();
    host.chain.fate.set(Fate::Applied);
    assert_eq!(go(&mut dropped, &host), Ok(Next::Message));
    assert_eq!(host.chain.count("createChannel"), 2);
    let host = FakeHost::default();
    let mut failing = record(2, LONG);
    go(&mut failing, &host).expect("it is sent");
    host.chain.fate.set(Fate::Fails(33));
    host.mine();
    go(&mut failing, &host).expect("it is over");
    assert_eq!((failed(&failing), failing.is_owed()), (Some("failed with 33"), false));
}

#[test]
fn a_channel_whose_message_the_chain_has_forgotten_is_found_by_its_number_and_not_paid_for_twice() {
    let host = FakeHost::default();
    let mut record = record(2, LONG);
    go(&mut record, &host).expect("it is sent");
    host.mine();
    host.chain.pruned.set(true);
    run(&mut record, &host, |record| engine::is_accepted(&record.deal.stage));
    assert_eq!((host.chain.count("createChannel"), record.deal.channel()), (1, Some(9)));
    // One that failed there opened nothing.
    let host = FakeHost::default();
    let mut failing = super::testing::record(2, LONG);
    go(&mut failing, &host).expect("it is sent");
    host.chain.fate.set(Fate::Fails(33));
    host.mine();
    host.chain.pruned.set(true);
    go(&mut failing, &host).expect("it is over");
    assert!(failed(&failing).is_some_and(|reason| reason.contains("there is no channel")));
    assert!(failing.may_be_forgotten());
}

#[test]
fn the_money_of_a_deal_that_was_given_up_comes_back_also_when_the_chain_has_forgotten_its_messages() {
    let host = FakeHost::default();
    let mut record = record(2, 1000);
    go(&mut record, &host).expect("the message is sent");
    abandon(&host);
    go(&mut record, &host).expect("it is given up");
    host.chain.pruned.set(true);
    host.mine();
    assert!(
        record.is_refunding(),
        "a command that takes money back has to know of it"
    );
    host.chain.height.set(record.deal.draft.channel_eol().0);
    for _ in 0..3 {
        now(take_back(&mut record, &host)).expect("nothing hinders it");
        host.mine();
    }
    assert_eq!((record.refund(), record.is_owed()), (Refund::Returned, false));
}

#[test]
fn an_opening_that_cannot_be_looked_for_does_not_keep_other_money_from_coming_back() {
    let host = FakeHost::default();
    let mut record = accepted(&host);
    abandon(&host);
    go(&mut record, &host).expect("it is given up");
    record.openings.insert(7);
    host.chain
        .unreadable
        .set(Some(crate::ports::MessagePurpose::OpenChannel { attempt: 7 }));
    assert_eq!(now(take_back(&mut record, &host)), Err(FakeError::ChainAway));
    assert_eq!((host.chain.count("cancel"), record.openings.len()), (1, 1));
}

#[test]
fn a_file_that_changed_is_seen_before_money_moves_and_before_anything_is_signed() {
    let host = FakeHost::default();
    host.file_is_same.set(false);
    let mut paid = record(2, LONG);
    let changed = Err(FakeError::Engine(EngineError::FileChanged));
    assert_eq!(go(&mut paid, &host), changed);
    assert_eq!(host.chain.count("createChannel"), 0);
    assert_eq!(go(&mut record(0, 1000), &host), changed);
    // A channel that was paid for is not lost: the file can be put back, or the deal given up.
    host.file_is_same.set(true);
    go(&mut paid, &host).expect("it is sent");
    host.mine();
    host.file_is_same.set(false);
    go(&mut paid, &host).expect("the channel is open");
    assert_eq!(go(&mut paid, &host), changed);
    abandon(&host);
    go(&mut paid, &host).expect("it is given up");
    assert_eq!(paid.refund_due(), Some(ChannelId(9)));
}

#[test]
fn a_resumed_deal_needs_its_file_only_when_the_miner_says_that_it_lacks_it() {
    let host = FakeHost::default();
    let mut record = accepted(&host);
    host.file_is_same.set(false);
    host.miner.set(Some(DealState::Staged));
    assert_eq!(go(&mut record, &host), Ok(Next::Query));
    assert_eq!((record.step(), host.dropped.get()), (Step::Staged, true));
    let mut other = accepted(&{
        let host = FakeHost::default();
        host.miner.set(Some(DealState::Accepted));
        host
    });
    let lacking = FakeHost::default();
    lacking.known.borrow_mut().extend(other.deal.cid());
    lacking.file_is_same.set(false);
    assert_eq!(
        go(&mut other, &lacking),
        Err(FakeError::Engine(EngineError::FileChanged))
    );
}

#[test]
fn a_file_is_let_go_of_once_and_also_when_a_crash_came_between() {
    let host = FakeHost::default();
    let mut record = accepted(&host);
    host.miner.set(Some(DealState::Staged));
    go(&mut record, &host).expect("the miner has it");
    assert!(host.dropped.replace(false));
    let again = |record: &mut DealRecord<()>| {
        go(record, &host).expect("it is asked about");
        host.dropped.replace(false)
    };
    assert!(!again(&mut record), "it was said");
    record.file_let_go = false;
    assert!(again(&mut record), "the process had ended before it was said");
}

#[test]
fn a_signed_proposal_whose_file_is_gone_is_not_sent_but_asked_about() {
    let host = FakeHost::default();
    let mut record = record(0, 1000);
    go(&mut record, &host).expect("it is signed");
    host.file_is_same.set(false);
    assert_eq!(go(&mut record, &host), Err(FakeError::Engine(EngineError::FileChanged)));
    assert_eq!(*host.asked.borrow(), [protocol::QUERY_DEAL]);
    // The answer to an earlier life's proposal was lost, and the file is with the miner.
    host.known.borrow_mut().extend(record.deal.cid());
    host.miner.set(Some(DealState::Staged));
    go(&mut record, &host).expect("the miner has it");
    assert_eq!(record.step(), Step::Staged);
}

#[test]
fn a_lost_file_stays_named_until_it_is_there_again_or_not_needed() {
    let host = FakeHost::default();
    let mut record = accepted(&host);
    let problem = Problem {
        code: ErrorCode::FileLost,
        message: String::new(),
        hint: String::new(),
        rejection: None,
        obstacle: None,
    };
    record.error = Some(problem.clone());
    host.file_is_same.set(false);
    assert!(go(&mut record, &host).is_err());
    assert_eq!(record.error, Some(problem));
    host.file_is_same.set(true);
    go(&mut record, &host).expect("it is there again");
    assert_eq!(record.error, None);
}

#[test]
fn an_accepted_deal_is_given_up_at_its_deadline_also_when_its_miner_has_vanished() {
    let host = FakeHost::default();
    let mut record = accepted(&host);
    host.miner.set(None);
    assert_eq!(go(&mut record, &host), Err(FakeError::MinerAway));
    let deadline = record.deal.deadline().expect("it is under way");
    host.chain.height.set(deadline.0 - 1);
    assert_eq!(go(&mut record, &host), Err(FakeError::MinerAway));
    host.chain.height.set(deadline.0 + engine::LAST_WORD - 1);
    assert_eq!(go(&mut record, &host), Err(FakeError::MinerAway));
    host.chain.height.set(deadline.0 + engine::LAST_WORD);
    go(&mut record, &host).expect("its time is over");
    assert!(failed(&record).is_some_and(|reason| reason.contains("when its time was over")));
    for _ in 0..3 {
        now(take_back(&mut record, &host)).expect("nothing hinders it");
        host.mine();
    }
    assert_eq!(record.refund(), Refund::Returned);
}

#[test]
fn a_deal_whose_end_nobody_saw_is_asked_about_once_more_before_it_is_given_up() {
    let host = FakeHost::default();
    let mut record = accepted(&host);
    host.chain.height.set(record.deal.draft.channel_eol().0);
    host.miner.set(Some(DealState::Failed));
    go(&mut record, &host).expect("the miner's word comes first");
    assert_eq!(failed(&record), Some("deal failed: why"));
}

#[test]
fn a_miner_with_another_host_key_is_found_again() {
    let host = FakeHost::default();
    let mut record = accepted(&host);
    *host.peer.borrow_mut() = "other".into();
    assert_eq!(go(&mut record, &host), Err(FakeError::MinerAway));
    let moved = crate::chain::view::MinerView {
        peer_id: "other".into(),
        ..miner_view()
    };
    host.chain.miners.borrow_mut().insert(moved.address.clone(), moved);
    assert_eq!(go(&mut record, &host), Ok(Next::Query));
    assert_eq!(
        host.saved.borrow().as_ref().map(|saved| saved.peer.clone()),
        Some("other".into())
    );
}

#[test]
fn a_miner_with_another_worker_is_believed_when_the_chain_names_it() {
    let host = FakeHost::default();
    let mut record = accepted(&host);
    host.worker.set(5);
    assert!(matches!(
        go(&mut record, &host),
        Err(FakeError::Engine(EngineError::Refused { .. }))
    ));
    let moved = crate::chain::view::MinerView {
        worker: key(5).address(),
        ..miner_view()
    };
    host.chain.miners.borrow_mut().insert(moved.address.clone(), moved);
    assert_eq!(go(&mut record, &host), Ok(Next::Query));
    assert_eq!(record.deal.draft.worker, key(5).address());
}

#[test]
fn a_deal_goes_on_with_its_miner_while_the_chain_is_away() {
    let host = FakeHost::default();
    let mut record = accepted(&host);
    host.chain.away.set(true);
    host.miner.set(Some(DealState::Staged));
    assert_eq!(go(&mut record, &host), Ok(Next::Query));
    assert_eq!(record.step(), Step::Staged);
}

#[test]
fn a_rejected_deals_channel_is_cancelled_waited_for_and_reclaimed_with_one_message_each() {
    let host = FakeHost::default();
    host.miner.set(Some(DealState::Rejected));
    let mut record = record(2, LONG);
    run(&mut record, &host, DealRecord::is_failed);
    for _ in 0..6 {
        now(take_back(&mut record, &host)).expect("nothing hinders it");
        host.mine();
    }
    let Refund::Waiting { eol, earned: false } = record.refund() else {
        panic!("{:?}", record.refund());
    };
    assert!(eol < record.deal.draft.channel_eol());
    assert_eq!(record.rests_until(), Some(eol));
    host.chain.height.set(eol.0);
    for _ in 0..3 {
        now(take_back(&mut record, &host)).expect("nothing hinders it");
        host.mine();
    }
    assert_eq!(record.refund(), Refund::Returned);
    let counts = ["createChannel", "cancel", "reclaim"].map(|method| host.chain.count(method));
    assert_eq!(counts, [1, 1, 1]);
}

#[test]
fn a_channel_that_the_miner_earns_is_left_alone_until_its_end() {
    let host = FakeHost::default();
    let mut record = accepted(&host);
    abandon(&host);
    go(&mut record, &host).expect("it is given up");
    now(pursue(&mut record, &host, ChannelId(9))).expect("the cancellation is sent");
    host.chain.fate.set(Fate::Fails(INVALID_CANCEL));
    host.mine();
    host.chain.fate.set(Fate::Applied);
    now(pursue(&mut record, &host, ChannelId(9))).expect("it is refused");
    let eol = record.deal.draft.channel_eol();
    assert_eq!(record.refund(), Refund::Waiting { eol, earned: true });
    now(take_back(&mut record, &host)).expect("there is nothing to do");
    assert_eq!(host.chain.count("cancel"), 1);
}

#[test]
fn a_cancellation_that_was_refused_is_not_sent_again_after_a_restart() {
    let host = FakeHost::default();
    let mut record = accepted(&host);
    abandon(&host);
    go(&mut record, &host).expect("it is given up");
    now(pursue(&mut record, &host, ChannelId(9))).expect("the cancellation is sent");
    host.chain.fate.set(Fate::Fails(INVALID_CANCEL));
    host.mine();
    host.chain.fate.set(Fate::Applied);
    now(pursue(&mut record, &host, ChannelId(9))).expect("it is refused");
    // What a host may do with a record that it reads, and the engine with one that it goes on with.
    record.owe_refund();
    record.advance(record.deal.clone(), None, 0);
    now(take_back(&mut record, &host)).expect("there is nothing to do");
    assert_eq!(host.chain.count("cancel"), 1);
}

#[test]
fn a_complete_deal_that_fails_is_not_left_to_the_miners_leisure_any_more() {
    let host = FakeHost::default();
    let mut record = accepted(&host);
    let mut deal = record.deal.clone();
    let ClientStage::Running { proposal, response } = deal.stage.clone() else {
        panic!("{:?}", deal.stage);
    };
    deal.stage = ClientStage::Complete { proposal, response };
    record.advance(deal.clone(), None, 0);
    now(take_back(&mut record, &host)).expect("there is nothing to do");
    assert_eq!(host.chain.count("cancel"), 0);
    let (reason, channel) = ("its sector is lost".into(), deal.channel());
    deal.stage = ClientStage::Failed { reason, channel };
    record.advance(deal, None, 0);
    now(take_back(&mut record, &host)).expect("nothing hinders it");
    assert_eq!(host.chain.count("cancel"), 1);
}

#[test]
fn a_cancellation_that_a_redemption_undid_is_sent_again() {
    let host = FakeHost::default();
    let mut record = accepted(&host);
    abandon(&host);
    go(&mut record, &host).expect("it is given up");
    for _ in 0..2 {
        now(take_back(&mut record, &host)).expect("nothing hinders it");
        host.mine();
    }
    if let Some(channel) = host.chain.channels.borrow_mut().get_mut(&9) {
        channel.eol = channel.agreed_eol;
    }
    now(take_back(&mut record, &host)).expect("nothing hinders it");
    assert_eq!(host.chain.count("cancel"), 2);
}

#[test]
fn a_refund_that_keeps_failing_says_so_and_costs_one_message_a_time() {
    let host = FakeHost::default();
    let mut record = accepted(&host);
    abandon(&host);
    go(&mut record, &host).expect("it is given up");
    now(take_back(&mut record, &host)).expect("it is sent");
    host.chain.fate.set(Fate::Fails(1));
    host.mine();
    let refused = now(take_back(&mut record, &host));
    assert!(matches!(
        refused,
        Err(FakeError::Engine(EngineError::Refund { exit_code: 1, .. }))
    ));
    assert_eq!(host.chain.count("cancel"), 1);
}

mod duplicates {
    use super::*;
    use crate::client::duplicates::{refuse_duplicate, DuplicateError, Duplicates, KnownDeal};
    use crate::deal::{ClientDeal, Draft, DraftError};

    fn known(draft: &Draft, failed: bool) -> [KnownDeal; 1] {
        let deal = ClientDeal::new(draft.clone()).sign(&key(1)).expect("a schedule");
        [KnownDeal {
            ends: Epoch(u64::MAX),
            miner: draft.miner.clone(),
            data: draft.data_cid,
            deal: Some(deal.cid().to_string()),
            failed,
        }]
    }

    #[test]
    fn the_same_data_with_the_same_miner_is_refused_unless_it_is_meant_or_the_other_failed() {
        let paid = draft(2, 1000);
        let refuse = |failed, duplicates| refuse_duplicate(&paid, &key(1), &known(&paid, failed), duplicates);
        let duplicate = Err(DuplicateError::Draft(DraftError::Duplicate));
        assert_eq!(refuse(false, Duplicates::Refused), duplicate);
        assert_eq!(refuse(false, Duplicates::Allowed), Ok(()));
        assert_eq!(refuse(true, Duplicates::Refused), Ok(()));
    }

    #[test]
    fn a_deal_that_ends_sooner_is_in_the_way_of_none_that_is_to_last_longer() {
        let paid = draft(2, 1000);
        let ends = paid.end();
        let known = [KnownDeal {
            ends,
            ..known(&paid, false)[0].clone()
        }];
        let refuse = |duplicates| refuse_duplicate(&paid, &key(1), &known, duplicates);
        let duplicate = Err(DuplicateError::Draft(DraftError::Duplicate));
        assert_eq!(refuse(Duplicates::EndingFrom(ends)), duplicate);
        assert_eq!(refuse(Duplicates::EndingFrom(ends.plus(1))), Ok(()));
    }

    #[test]
    fn a_free_deal_with_the_same_terms_is_the_same_deal_whatever_is_meant() {
        let free = draft(0, 1000);
        let other = draft(0, 1001);
        for failed in [false, true] {
            let same = refuse_duplicate(&free, &key(1), &known(&free, failed), Duplicates::Allowed);
            assert!(matches!(same, Err(DuplicateError::SameDeal { .. })), "{same:?}");
            let other = refuse_duplicate(&other, &key(1), &known(&free, failed), Duplicates::Allowed);
            assert_eq!(other, Ok(()));
        }
    }
}

mod retrieval {
    use crate::client::retrieval::*;
    use crate::piece::node::raw_cid;
    use crate::retrieval::{RetrievalStatus, RetrievePieceResponse, MAX_CHUNK};
    use crate::wire::cbor::Bytes;
    use alloc::vec;

    const FILE: &[u8] = b"hello";

    fn begun() -> Retrieval {
        let mut retrieval = Retrieval::new(raw_cid(FILE), Some(FILE.len() as u64), 2032, 0);
        let answer = RetrievePieceResponse {
            status: RetrievalStatus::Success,
            error_message: "".into(),
        };
        let taken = retrieval.handle(RetrievalInput::Answer(&answer), 1);
        assert_eq!(taken, Ok(Taken::More));
        retrieval
    }

    fn chunk(retrieval: &mut Retrieval, bytes: &[u8], now_ms: u64) -> Result<Taken, RetrievalError> {
        retrieval.handle(RetrievalInput::Chunk(&Bytes(bytes.to_vec())), now_ms)
    }

    #[test]
    fn the_file_is_whole_when_its_root_is_the_one_that_was_asked_for() {
        let mut retrieval = begun();
        assert_eq!(chunk(&mut retrieval, b"hel", 2), Ok(Taken::More));
        assert_eq!(chunk(&mut retrieval, b"lo", 3), Ok(Taken::More));
        assert_eq!(retrieval.handle(RetrievalInput::End, 4), Ok(Taken::Whole { size: 5 }));
        let mut other = begun();
        assert_eq!(chunk(&mut other, b"jello", 2), Ok(Taken::More));
        let corrupt = other.handle(RetrievalInput::End, 3);
        assert!(matches!(corrupt, Err(RetrievalError::Corrupt { .. })), "{corrupt:?}");
    }

    #[test]
    fn more_bytes_fewer_bytes_and_longer_chunks_are_refused() {
        let wrong = |found| Err(RetrievalError::WrongSize { expected: 5, found });
        assert_eq!(chunk(&mut begun(), b"hello!", 2), wrong(6));
        assert_eq!(begun().handle(RetrievalInput::End, 2), wrong(0));
        let long = vec![0; MAX_CHUNK + 1];
        assert_eq!(chunk(&mut begun(), &long, 2), Err(RetrievalError::Chunk(MAX_CHUNK + 1)));
    }

    #[test]
    fn empty_chunks_without_end_do_not_hold_a_retrieval_for_ever() {
        let mut often = begun();
        assert_eq!(chunk(&mut often, b"", 2), Ok(Taken::Unsealing { first: true }));
        let refused = (0..MAX_EMPTY).find_map(|_| chunk(&mut often, b"", 3).err());
        assert_eq!(refused, Some(RetrievalError::Unsealing));
        // One in 29 seconds keeps the silence away, and not the end.
        let mut slow = begun();
        let refused = (1..).find_map(|n| chunk(&mut slow, b"", n * 29_000).err().map(|error| (n, error)));
        let (n, error) = refused.expect("it ends");
        assert_eq!((n, error), (UNSEAL_MS.div_ceil(29_000), RetrievalError::Unsealing));
    }

    #[test]
    fn silence_and_trickling_end_a_retrieval() {
        let mut silent = begun();
        assert_eq!(silent.deadline(), 1 + SILENCE_MS);
        assert_eq!(silent.handle(RetrievalInput::Silence, SILENCE_MS), Ok(Taken::More));
        let late = silent.handle(RetrievalInput::Silence, 1 + SILENCE_MS);
        assert!(matches!(late, Err(RetrievalError::Silence { .. })), "{late:?}");
        let mut asked = Retrieval::new(raw_cid(FILE), None, 2032, 0);
        assert_eq!(asked.deadline(), FIRST_ANSWER_MS);
        let out_of_turn = chunk(&mut asked, b"h", 1);
        assert_eq!(out_of_turn, Err(RetrievalError::OutOfTurn));
        let mut trickling = begun();
        for (index, byte) in FILE.iter().enumerate() {
            let taken = chunk(&mut trickling, &[*byte], 10_000 + index as u64 * 20_000);
            match index {
                0..=3 if index < 3 => assert_eq!(taken, Ok(Taken::More)),
                3 => assert_eq!(taken, Err(RetrievalError::Slow)),
                _ => {}
            }
        }
    }

    #[test]
    fn a_miner_that_does_not_give_the_file_says_why() {
        let mut retrieval = Retrieval::new(raw_cid(FILE), None, 2032, 0);
        let answer = RetrievePieceResponse {
            status: RetrievalStatus::Failure,
            error_message: "no".into(),
        };
        let refused = retrieval.handle(RetrievalInput::Answer(&answer), 1);
        assert_eq!(refused, Err(RetrievalError::Withheld("no".into())));
    }

    #[test]
    fn a_search_ends_after_so_many_miners_and_after_so_long() {
        let mut search = Search::new(5);
        let asked = (0..2 * MOST_MINERS).filter(|_| search.goes_on(6)).count();
        assert_eq!(asked, MOST_MINERS as usize);
        let mut slow = Search::new(5);
        assert!(slow.goes_on(5 + SEARCH_MS - 1) && !slow.goes_on(5 + SEARCH_MS));
        assert!(slow.goes_on(5 + 2 * UNSEAL_MS - 1), "two miners may unseal");
    }
}

#[test]
fn what_is_owed_rests_until_the_first_channels_end() {
    let mut record = record(2, 1000);
    assert!(!record.is_owed());
    let owed = |refund| super::record::ChannelRefund {
        amount: Default::default(),
        refund,
        error: None,
    };
    record.refunds.insert(1, owed(Refund::Returned));
    record.refunds.insert(2, owed(Refund::at_end(Epoch(700))));
    record.refunds.insert(3, owed(Refund::at_end(Epoch(600))));
    assert_eq!(record.rests_until(), Some(Epoch(600)));
    record.refunds.insert(4, owed(Refund::Due));
    assert_eq!(record.rests_until(), None);
}

mod offers {
    use super::*;
    use crate::chain::view::{AskView, MinerView};
    use crate::chain::{Address, AttoFil};
    use crate::client::{Choosing, MinerOffer, MinerRule, OfferError};
    use alloc::vec;
    use alloc::vec::Vec;

    fn ask(id: u64, price: u64, expiry: u64) -> AskView {
        AskView {
            id,
            price: AttoFil::from_fil(price),
            expiry: Epoch(expiry),
        }
    }

    fn miner() -> MinerView {
        MinerView {
            asks: vec![ask(0, 20, 11), ask(1, 30, 50)],
            ..miner_view()
        }
    }

    #[test]
    fn a_deal_goes_by_the_ask_that_was_named_while_it_stands() {
        let at = |ask, height| MinerOffer::of(miner(), ask, Epoch(height));
        assert_eq!(at(Some(0), 10).expect("it stands").ask.price, AttoFil::from_fil(20));
        assert_eq!(at(None, 10).expect("one stands").ask.id, 1);
        let expired = at(Some(0), 11);
        let expiry = Epoch(11);
        assert!(matches!(expired, Err(OfferError::AskExpired { id: 0, expiry: e, .. }) if e == expiry));
        assert!(matches!(at(Some(7), 10), Err(OfferError::UnknownAsk { id: 7, .. })));
        assert!(matches!(at(None, 50), Err(OfferError::NoAsk(_))));
    }

    #[test]
    fn the_cheapest_that_takes_the_file_is_chosen_and_never_ones_own_or_a_slashed_one() {
        let at = |number: u64, price: u64| MinerView {
            address: Address::id(number),
            asks: vec![ask(0, price, 50)],
            ..miner_view()
        };
        let own = MinerView {
            owner: key(1).address(),
            ..at(1000, 1)
        };
        let slashed = MinerView {
            slashed_at: Some(Epoch(1)),
            ..at(1001, 2)
        };
        let small = at(1002, 3);
        let miners = vec![own, slashed, small, at(1003, 5)];
        let by_price = |miners: Vec<MinerView>, size| {
            let (own, deals) = (key(1).address(), Default::default());
            let choosing = Choosing::begin(MinerRule::Cheapest, miners, &own, size, Epoch(10), &deals)?;
            Ok(choosing.finish()?.offer)
        };
        let choose = |size| by_price(miners.clone(), size);
        assert_eq!(choose(100).expect("there is one").view.address, Address::id(1002));
        assert!(matches!(choose(3000), Err(OfferError::TooLarge { usable: 2032, .. })));
        let nobody = by_price(Vec::new(), 1);
        assert_eq!(nobody, Err(OfferError::NoMiners));
    }
}
