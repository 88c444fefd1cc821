//! Deals of an account whose key is in an Ethereum wallet: it is asked once a channel, and the session key does the rest.

use super::world::{World, DURATION};
use super::{complete, reason, PROVEN, SOON};
use shared::chain::AttoFil;
use shared::client::{DealRecord, ErrorCode, Step};
use shared::deal::verification::Verdict;
use shared::deal::{DealState, MinerStage, Refund};

#[test]
fn a_wallet_is_asked_once_for_a_whole_deal() {
    let world = World::with_wallet();
    let mut record = complete(&world);
    assert_eq!(world.prompts.get(), 1);
    assert_eq!(world.fetch().as_deref(), Ok(world.file()));
    world.run(&mut record, PROVEN, |record| record.step() == Step::Proven);
    assert_eq!(world.verify(&record).verdict(), Verdict::Holds);
    world.run(&mut record, DURATION + 200, |_| {
        matches!(world.stage(), MinerStage::Ended { .. })
    });
    let total = record.deal.draft.total().expect("it is paid");
    let channel = world.channel(&record);
    assert!(channel.is_none_or(|channel| channel.amount_redeemed == total));
    assert_eq!(world.prompts.get(), 1);
}

#[test]
fn the_money_of_a_failed_deal_comes_back_to_the_wallet_without_its_user() {
    let world = World::with_wallet();
    let before = world.balance();
    let mut record = world.record();
    // Other bytes than were agreed on: the miner rejects the deal that is paid for.
    *world.serves.borrow_mut() = Some(vec![0; world.file().len()]);
    let trouble = world.run(&mut record, 3000, |record| record.refund() == Refund::Returned);
    assert_eq!(record.refund(), Refund::Returned, "{trouble:?} {:?}", record.deal.stage);
    assert!(world.channel(&record).is_none());
    assert_eq!(world.prompts.get(), 1);
    let cost = before.checked_sub(world.balance()).expect("nobody gave it more");
    assert!(cost < AttoFil(10_000), "{cost:?} is gas alone");
}

#[test]
fn a_user_who_says_no_pays_nothing_and_is_not_asked_again_for_that_deal() {
    let world = World::with_wallet();
    let before = world.balance();
    world.refuses.set(true);
    let mut record = world.record();
    world.run(&mut record, SOON, DealRecord::is_failed);
    assert_eq!(reason(&record), "the user said no");
    assert_eq!(
        record.error.as_ref().map(|problem| problem.code),
        Some(ErrorCode::SignerRefused)
    );
    assert_eq!((world.prompts.get(), world.balance()), (0, before));
    // Made anew, it goes its way.
    world.refuses.set(false);
    complete(&world);
    assert_eq!(world.prompts.get(), 1);
}

#[test]
fn a_proposal_of_another_key_than_the_channels_session_key_is_refused() {
    let world = World::with_wallet();
    let mut record = world.record();
    world.run(&mut record, SOON, |record| record.deal.channel().is_some());
    let stranger = shared::chain::SecretKey::from_bytes(&[9; 32]).expect("a valid key");
    let proposal = record.deal.sign(&stranger).expect("it is a schedule");
    let answer = world.propose(&proposal);
    assert_eq!(answer.state, DealState::Rejected);
    assert_eq!(answer.message, "invalid deal signature");
}
