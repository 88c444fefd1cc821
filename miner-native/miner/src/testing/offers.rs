//! Settings, asks, and what the miner answers to proposals.

use super::{outbox, piece, World, CLIENT};
use crate::ask_publisher;
use crate::chain_access::ChainAccess;
use crate::network::propose;
use crate::settings::{Settings, SettingsChange};
use libp2p::PeerId;
use sealdrop_devnet::testing::key;
use shared::chain::{AttoFil, Epoch, Signature};
use shared::deal::DealState;

fn price(fil: u128) -> SettingsChange {
    SettingsChange {
        price: Some(AttoFil(fil)),
        ..SettingsChange::default()
    }
}

async fn standing(world: &World) -> Option<(AttoFil, u64)> {
    let view = world.view().await;
    view.standing_ask(world.height()).map(|ask| (ask.price, ask.id))
}

/// spec §7.25: the ask on the chain and the configured price are the same whenever nothing is under way.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_price_holds_when_the_chain_has_its_ask_and_not_before() {
    let world = World::start().await;
    let miner = world.miner().clone();
    assert_eq!(standing(&world).await, Some((AttoFil(1), 0)));
    let change = price(5);
    let publisher = miner.ask_publisher();
    let changed = ask_publisher::change(&publisher, &change);
    tokio::pin!(changed);
    assert!(futures::poll!(&mut changed).is_pending());
    assert_eq!(
        miner.settings.now().price,
        AttoFil(1),
        "not before the ask is in a block"
    );
    let changed = world.during(changed).await.expect("published");
    assert_eq!(changed.settings.price, AttoFil(5));
    assert!(changed.ask_message.is_some() && changed.ask_height.is_some());
    assert_eq!(standing(&world).await, Some((AttoFil(5), 1)));
}

/// spec §7.25: a kill while the ask is on its way; the next start takes the same ask up and switches.
#[tokio::test(flavor = "multi_thread")]
async fn a_price_change_that_a_kill_interrupted_is_finished_at_the_next_start() {
    let mut world = World::start().await;
    {
        let miner = world.miner().clone();
        let change = price(9);
        let publisher = miner.ask_publisher();
        let changing = ask_publisher::change(&publisher, &change);
        tokio::pin!(changing);
        assert!(futures::poll!(&mut changing).is_pending());
        assert_eq!(
            miner.settings.kept().price(),
            AttoFil(1),
            "the lower of both until then"
        );
    }
    world.reopen().await;
    assert_eq!(world.miner().settings.now().price, AttoFil(9));
    let view = world.view().await;
    let asks: Vec<_> = view.asks.iter().map(|ask| ask.price).collect();
    assert_eq!(asks, [AttoFil(1), AttoFil(9)], "one ask for each price");
}

/// spec §9.48, host's side: an ask is renewed before it ends.
#[tokio::test(flavor = "multi_thread")]
async fn an_ask_is_renewed_before_it_ends() {
    let world = World::start().await;
    let miner = world.miner().clone();
    let change = SettingsChange {
        ask_blocks: Some(100),
        ..SettingsChange::default()
    };
    world
        .during(ask_publisher::change(&miner.ask_publisher(), &change))
        .await
        .expect("published");
    let first = miner.settings.kept().ask.expect("an ask stands");
    world.skip_to(Epoch(first.expiry.0 - 30)).await;
    ask_publisher::ensure(&miner.ask_publisher()).await.expect("looked at");
    assert_eq!(miner.settings.kept().ask, Some(first), "it stands long enough");
    world.skip_to(Epoch(first.expiry.0 - 20)).await;
    world
        .during(ask_publisher::ensure(&miner.ask_publisher()))
        .await
        .expect("renewed");
    let second = miner.settings.kept().ask.expect("an ask stands");
    assert!(second.id == first.id + 1 && second.expiry > first.expiry && second.price == first.price);
}

/// [Q] of spec §4.1: the handlers of 2019 went on accepting deals after `mining stop`.
#[tokio::test(flavor = "multi_thread")]
async fn no_deal_is_taken_while_mining_is_stopped_and_the_same_one_is_afterwards() {
    let world = World::start().await;
    let miner = world.miner().clone();
    let set = |mining| SettingsChange {
        mining: Some(mining),
        ..SettingsChange::default()
    };
    let signed = world.paid(&piece(1, 500).1, 1, 1000).await;
    ask_publisher::change(&miner.ask_publisher(), &set(false))
        .await
        .expect("stopped");
    let answer = world.propose(signed.clone()).await;
    assert_eq!(answer.state, DealState::Rejected);
    assert!(answer.message.contains("stopped mining"), "{}", answer.message);
    assert_eq!(miner.store.deals().count(), 0, "the refusal is not kept");
    ask_publisher::change(&miner.ask_publisher(), &set(true))
        .await
        .expect("started");
    assert_eq!(world.propose(signed).await.state, DealState::Accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_that_counts_from_a_block_of_which_the_miner_has_not_heard_is_accepted() {
    let world = World::start().await;
    let mut reviewer = world.miner().reviewer();
    // Nobody follows the head for this one, as while its way to the chain was cut.
    let opened = ChainAccess::open(&world.devnet.url(), outbox(), key(CLIENT)).await;
    let (deaf, _following) = opened.expect("the chain");
    reviewer.chain = deaf;
    world.skip(5).await;
    let signed = world.paid(&piece(1, 500).1, 1, 1000).await;
    let answer = propose::decide(&reviewer, signed, PeerId::random()).await;
    let answer = answer.expect("the miner answers");
    assert_eq!((answer.state, answer.message.as_str()), (DealState::Accepted, ""));
    assert!(reviewer.chain.heads().borrow().height < world.height());
}

/// spec §9.24: a miner that asks for nothing takes a deal without payment.
#[tokio::test(flavor = "multi_thread")]
async fn a_free_deal_is_accepted_at_a_price_of_zero() {
    let world = World::start().await;
    let miner = world.miner().clone();
    let signed = world.free(&piece(1, 500).1, 1000);
    assert_eq!(world.propose(signed.clone()).await.state, DealState::Rejected);
    world
        .during(ask_publisher::change(&miner.ask_publisher(), &price(0)))
        .await
        .expect("published");
    let other = world.free(&piece(2, 500).1, 1000);
    let answer = world.propose(other).await;
    assert_eq!((answer.state, answer.message.as_str()), (DealState::Accepted, ""));
}

/// spec §9.28: "invalid deal signature", bound to the proposal's CID; unlike 2019 nothing is stored ([Q] of spec §7.20).
#[tokio::test(flavor = "multi_thread")]
async fn a_garbage_signature_is_refused_and_nothing_is_stored() {
    let world = World::start().await;
    let mut signed = world.free(&piece(1, 500).1, 1000);
    signed.signature = Signature([9; 65]);
    let answer = world.propose(signed.clone()).await;
    assert_eq!(answer.message, "invalid deal signature");
    assert_eq!(answer.proposal_cid, signed.cid());
    assert_eq!(world.miner().store.deals().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_of_another_length_than_the_settings_allow_is_refused() {
    let world = World::start().await;
    let miner = world.miner().clone();
    let change = SettingsChange {
        min_duration: Some(500),
        max_duration: Some(1500),
        ..SettingsChange::default()
    };
    ask_publisher::change(&miner.ask_publisher(), &change)
        .await
        .expect("changed");
    assert_eq!(
        miner.settings.now(),
        Settings {
            price: AttoFil(1),
            min_duration: 500,
            max_duration: 1500,
            ..Settings::default()
        }
    );
    for (number, duration, state) in [
        (1, 499, DealState::Rejected),
        (2, 500, DealState::Accepted),
        (3, 1501, DealState::Rejected),
    ] {
        let signed = world.paid(&piece(number, 500).1, 1, duration).await;
        assert_eq!(world.propose(signed).await.state, state, "{duration} blocks");
    }
}
