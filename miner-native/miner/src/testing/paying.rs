//! What clients ask before they pay, and the channels of deals that came to nothing (findings B5 and B6).

use super::{piece, World, CLIENT};
use crate::ask_publisher;
use crate::network::{close, propose, quote};
use crate::settings::SettingsChange;
use sealdrop_devnet::testing::{key, produce};
use shared::chain::{AttoFil, ChannelId, Epoch};
use shared::deal::{DealState, QuoteRequest, RejectionCode, SignedProposal};
use shared::payment::closing::{closing_voucher, ClosingError, CLOSING_FEE};
use shared::payment::{ChannelFacts, PaymentVoucher};
use shared::sector::timing::blocks_to_commit;

async fn change(world: &World, change: SettingsChange) {
    let publisher = world.miner().ask_publisher();
    let changed = world.during(ask_publisher::change(&publisher, &change)).await;
    changed.expect("the settings are kept");
}

fn request(world: &World, size: u64, duration: u64) -> QuoteRequest {
    QuoteRequest {
        payer: key(CLIENT).address(),
        miner: world.miner().address.clone(),
        piece_ref: piece(1, 100).1.data_cid,
        size,
        total_price: AttoFil(u128::from(size) * u128::from(duration)),
        duration,
    }
}

/// The code of the miner's answer, 0 when it would take the deal.
fn code(world: &World, request: &QuoteRequest) -> u64 {
    let quote = quote::quote(&world.miner().reviewer(), request, "peer").expect("the store is whole");
    assert_eq!(quote.request, request.cid());
    assert_eq!(quote.message.is_empty(), quote.is_accepted(), "{quote:?}");
    quote.code
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_miner_would_refuse_it_says_before_it_is_paid() {
    let world = World::start().await;
    let asked = |change: fn(&mut QuoteRequest)| {
        let mut request = request(&world, 500, 1000);
        change(&mut request);
        code(&world, &request)
    };
    assert_eq!(asked(|_| {}), 0);
    assert_eq!(asked(|r| r.total_price.0 -= 1), RejectionCode::PriceTooLow as u64);
    assert_eq!(asked(|r| r.size = 0), RejectionCode::NoSize as u64);
    assert_eq!(asked(|r| r.miner = r.payer.clone()), RejectionCode::WrongMiner as u64);
    let large = |r: &mut QuoteRequest| (r.size, r.total_price.0) = (2033, 2033 * 1000);
    assert_eq!(asked(large), RejectionCode::PieceTooLarge as u64);
    let min = SettingsChange {
        min_duration: Some(1001),
        ..SettingsChange::default()
    };
    change(&world, min).await;
    assert_eq!(asked(|_| {}), RejectionCode::DurationTooShort as u64);
    let stopped = SettingsChange {
        mining: Some(false),
        ..SettingsChange::default()
    };
    change(&world, stopped).await;
    assert_eq!(asked(|_| {}), RejectionCode::NotMining as u64);
    assert_eq!(world.miner().store.deals().count(), 0, "nothing is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miner_with_a_backlog_says_so_before_it_is_paid() {
    let world = World::start().await;
    let bound = SettingsChange {
        staging_max_deals: Some(1),
        ..SettingsChange::default()
    };
    change(&world, bound).await;
    assert_eq!(code(&world, &request(&world, 500, 1000)), 0);
    let signed = world.paid(&piece(1, 500).1, 1, 1000).await;
    assert_eq!(world.propose(signed).await.state, DealState::Accepted);
    let backlog = RejectionCode::SealingBacklog as u64;
    assert_eq!(code(&world, &request(&world, 500, 1000)), backlog);
}

/// Findings B6: a deal of one block was accepted while sealing took two thousand.
#[tokio::test(flavor = "multi_thread")]
async fn a_deal_that_would_end_before_its_piece_could_be_sealed_is_refused_asked_or_proposed() {
    let world = World::start().await;
    let free = SettingsChange {
        price: Some(AttoFil::ZERO),
        ..SettingsChange::default()
    };
    change(&world, free).await;
    let needed = blocks_to_commit(&world.miner().policy, 0);
    let too_short = RejectionCode::DurationTooShort as u64;
    assert_eq!(code(&world, &request(&world, 500, needed)), too_short);
    assert_eq!(code(&world, &request(&world, 500, needed + 1)), 0);
    let answer = world.propose(world.free(&piece(1, 500).1, needed)).await;
    assert_eq!(answer.state, DealState::Rejected);
    assert!(
        answer.message.contains("before its piece could be sealed"),
        "{}",
        answer.message
    );
    let answer = world.propose(world.free(&piece(2, 500).1, needed + 1)).await;
    assert_eq!(answer.state, DealState::Accepted, "{}", answer.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn deals_that_cost_nothing_have_a_share_of_the_room_however_many_peers_propose_them() {
    let world = World::start().await;
    let free = SettingsChange {
        price: Some(AttoFil::ZERO),
        ..SettingsChange::default()
    };
    change(&world, free).await;
    let reviewer = world.miner().reviewer();
    let propose = async |signed: SignedProposal| {
        let answer = propose::decide(&reviewer, signed, libp2p::PeerId::random()).await;
        answer.expect("it answers")
    };
    for number in 0..propose::MAX_AWAITED_FREE {
        let answer = propose(world.free(&piece(1, 500).1, 1000 + number)).await;
        assert_eq!(answer.state, DealState::Accepted, "{}", answer.message);
    }
    // One that names a price and pays nothing costs nothing, too.
    let mut unpaid = world.free(&piece(2, 500).1, 1000).proposal;
    unpaid.total_price = AttoFil(1);
    for one_more in [world.free(&piece(2, 500).1, 1000), unpaid.sign(&key(CLIENT))] {
        let answer = propose(one_more).await;
        assert_eq!(answer.state, DealState::Rejected);
        assert!(answer.message.contains("that cost nothing"), "{}", answer.message);
    }
    let asked = QuoteRequest {
        total_price: AttoFil::ZERO,
        ..request(&world, 500, 1000)
    };
    assert_eq!(code(&world, &asked), RejectionCode::Busy as u64);
    let paid = propose(world.paid(&piece(3, 500).1, 1, 1000).await).await;
    assert_eq!(
        paid.state,
        DealState::Accepted,
        "whoever pays finds room: {}",
        paid.message
    );
}

fn channel_of(signed: &SignedProposal) -> ChannelId {
    signed.proposal.payment.channel.expect("a paid deal")
}

async fn facts(world: &World, id: ChannelId) -> Option<ChannelFacts> {
    let found = world.miner().chain.channel(&key(CLIENT).address(), id).await;
    found.expect("the chain answers").as_ref().map(ChannelFacts::from)
}

async fn voucher(world: &World, signed: &SignedProposal) -> PaymentVoucher {
    let id = channel_of(signed);
    let channel = facts(world, id).await.expect("it is open");
    closing_voucher(&key(CLIENT), &key(CLIENT).address(), id, &channel).expect("it holds enough")
}

async fn close(world: &World, voucher: &PaymentVoucher) -> Result<(), ClosingError> {
    let closed = close::close(&world.miner().reviewer(), voucher).await;
    closed.expect("the chain answers")
}

/// Findings B5: the rest of a rejected deal's money was locked for ten thousand blocks.
#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_deals_channel_is_closed_with_the_next_block_and_its_money_is_back() {
    let world = World::start().await;
    let signed = world.paid(&piece(1, 500).1, 1, 1).await;
    assert_eq!(world.propose(signed.clone()).await.state, DealState::Rejected);
    let voucher = voucher(&world, &signed).await;
    let before = world.client.balance(&key(CLIENT).address()).await.expect("an account");
    let paid = facts(&world, channel_of(&signed)).await.expect("it is open").amount;
    for _ in 0..2 {
        // Asked twice, it is one message.
        assert_eq!(close(&world, &voucher).await, Ok(()));
    }
    produce(&world.devnet);
    assert_eq!(facts(&world, channel_of(&signed)).await, None);
    let after = world.client.balance(&key(CLIENT).address()).await.expect("an account");
    assert_eq!(after.0 - before.0, paid.0 - CLOSING_FEE.0);
    assert_eq!(close(&world, &voucher).await, Err(ClosingError::NoChannel));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_pays_for_an_accepted_deal_is_not_closed() {
    let world = World::start().await;
    let signed = world.paid(&piece(1, 500).1, 1, 1000).await;
    assert_eq!(world.propose(signed.clone()).await.state, DealState::Accepted);
    let voucher = voucher(&world, &signed).await;
    assert_eq!(close(&world, &voucher).await, Err(ClosingError::Promised));
    let height = world.height().0;
    world.skip_to(Epoch(height + 2)).await;
    assert!(facts(&world, channel_of(&signed)).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_channel_that_is_being_closed_no_deal_is_taken() {
    let mut world = World::start().await;
    let signed = world.paid(&piece(1, 500).1, 1, 1000).await;
    let voucher = voucher(&world, &signed).await;
    let reviewer = world.miner().reviewer();
    let closed = close::close(&reviewer, &voucher).await.expect("the chain answers");
    assert_eq!(closed, Ok(()));
    // The message waits for its block, here and after a restart.
    let peer = libp2p::PeerId::random();
    let answer = propose::decide(&reviewer, signed.clone(), peer)
        .await
        .expect("it answers");
    assert!(
        answer.message.contains("already pays for another deal"),
        "{}",
        answer.message
    );
    drop(reviewer);
    world.reopen().await;
    let other = world.paid(&piece(1, 500).1, 1, 1200).await;
    assert_eq!(
        world.propose(other).await.state,
        DealState::Accepted,
        "over another channel"
    );
    assert_eq!(facts(&world, channel_of(&signed)).await, None);
}
