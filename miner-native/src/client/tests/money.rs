//! How money comes to the client's account, and back to it.

use super::*;
use shared::ports::MessagePurpose;

#[tokio::test(flavor = "multi_thread")]
async fn a_refusing_faucet_is_believed_only_when_no_grant_is_on_its_way() {
    let world = World::start();
    let session = world.session().await;
    let account = &session.account;
    let cost = AttoFil::from_fil(1);
    let refused = account.granted_to_another(&session.chain, cost, "not now".into()).await;
    assert!(
        matches!(&refused, Err(ClientError::Funds { advice, balance: AttoFil::ZERO, .. }) if advice.contains("not now")),
        "{refused:?}"
    );
    // Another process of this account asked: its money is in no block yet.
    world.ticking.store(false, Ordering::SeqCst);
    let gift = session.chain.faucet(&account.address()).await.expect("it gives once");
    let (held, ()) = tokio::join!(
        account.granted_to_another(&session.chain, cost, "not now".into()),
        async { world.ticking.store(true, Ordering::SeqCst) }
    );
    assert_eq!(held.expect("the money comes"), gift.amount);
}

/// spec §5.2: what nobody redeemed is the payer's when the channel has ended.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_complete_deals_miner_left_in_the_channel_comes_back_at_its_end_and_not_before() {
    let world = World::start();
    let miner = world.miner(&key(3), PRICE).await;
    let session = world.session().await;
    let mut record = propose(&session, piece(&world), &order(&miner))
        .await
        .expect("it is accepted");
    let (proposal, response) = (record.deal.proposal().cloned(), record.deal.response().cloned());
    let mut deal = record.deal.clone();
    deal.stage = ClientStage::Complete {
        proposal: proposal.expect("it was signed"),
        response: response.expect("the miner answered"),
    };
    record.advance(deal, None, 0);
    session.book.save(&record).expect("there is room");
    let channel = record.deal.channel().map(ChannelId).expect("it is paid");
    let payer = session.account.address();
    let sent = session.chain.actor(&payer).await.expect("the chain answers");

    refund::background_refunds(&world.client_dir(), std::future::ready(Some(world.devnet.url()))).await;
    assert_eq!(session.chain.actor(&payer).await.expect("the chain answers"), sent);
    assert_eq!(only(&session).refund_due(), None, "no command waits for it");

    world.skip_to(record.deal.draft.channel_eol()).await;
    refund::background_refunds(&world.client_dir(), std::future::ready(Some(world.devnet.url()))).await;
    assert_eq!(only(&session).refund(), Refund::Returned);
    let gone = session.chain.channel(&payer, channel).await;
    assert_eq!(gone.expect("the chain answers"), None);
    assert_eq!(
        Some(balance(&session).await),
        AttoFil::from_fil(1000).checked_sub(gas(2))
    );
}

/// How long a lock may be waited for that nobody holds for a block: no block is made meanwhile.
const FREE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_waits_for_its_block_does_not_keep_the_account_from_other_commands() {
    let world = World::start();
    let miner = world.miner(&key(3), PRICE).await;
    let session = world.session().await;
    let (account, cost) = (&session.account, AttoFil::from_fil(1));
    account
        .fund(&session.chain, cost, &session.report)
        .await
        .expect("the faucet gives");
    world.ticking.store(false, Ordering::SeqCst);
    let another = async {
        loop {
            if let [record] = &session.book.all().expect("the book is whole")[..] {
                let lock = tokio::time::timeout(FREE, account.lock()).await;
                let lock = lock.expect("nobody holds it").expect("it can be taken");
                let opening = MessagePurpose::OpenChannel { attempt: 0 }.key(&record.id);
                if lock.chain.made(&opening).is_some() {
                    break;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        world.ticking.store(true, Ordering::SeqCst);
    };
    let order = order(&miner);
    let (opened, ()) = tokio::join!(propose(&session, piece(&world), &order), another);
    assert!(opened.expect("it is accepted").deal.channel().is_some());
}

/// A limit holds for a single deal as for a file: when it is drawn up, by rule or with the miner that was named, and when it begins anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_deal_that_would_cost_more_than_its_limit_is_refused_before_anything_is_kept() {
    let world = World::start();
    let dear = world.miner(&key(3), AttoFil(3 * PRICE.0)).await;
    let cheap = world.old_miner(&key(4), PRICE).await;
    let session = world.session().await;
    let cost = AttoFil(PRICE.0 * 100 * u128::from(DEFAULT_DURATION));
    let by_rule = Order {
        miner: None,
        ask: None,
        most: cost.checked_sub(AttoFil(1)),
        ..order(&dear)
    };
    let refused = propose(&session, piece(&world), &by_rule).await;
    let Err(ClientError::OverLimit { least, most }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((least, Some(most)), (cost, by_rule.most));
    let named = Order {
        most: Some(cost),
        ..order(&dear)
    };
    let refused = propose(&session, piece(&world), &named).await;
    assert!(matches!(refused, Err(ClientError::OverLimit { least, .. }) if least == AttoFil(3 * cost.0)));
    assert!(session.book.all().expect("it can be read").is_empty());
    // Of all miners only those are asked that are within it.
    let nearest = Order {
        rule: MinerRule::Nearest,
        most: Some(cost),
        ..by_rule
    };
    let record = propose(&session, piece(&world), &nearest).await.expect("it is enough");
    assert_eq!((record.deal.draft.miner, record.most), (cheap.address, Some(cost)));
    assert!(record.by_rule.expect("it was chosen by rule").others.is_empty());
}
