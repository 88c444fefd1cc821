//! The client in process, against a real chain and a miner that answers as it is told: what it sends, what it keeps, and
//! that its money comes back.

mod encryption;
mod files;
mod money;
mod steps;
mod world;

use super::book::Record;
use super::cli_host::Until;
use super::destination::Destination;
use super::error::ClientError;
use super::proposing::Order;
use super::source::Piece;
use super::storing::{self, DEFAULT_DURATION};
use super::{channels, checking, fetching, refund, Session};
use sealdrop_miner::chain_access::ChainError;
use sealdrop_wallet::Wallet;
use shared::chain::calls::{self, GAS_PRICE};
use shared::chain::policy::GAS_PER_METHOD;
use shared::chain::{Address, AttoFil, ChannelId, Epoch};
use shared::client::MinerRule;
use shared::deal::client::{ClientRefusal, DraftError};
use shared::deal::{ClientStage, DealState, Refund};
use std::sync::atomic::Ordering;
use std::time::Duration;
use world::{key, Miner, Reply, World, CANCEL_DELAY, PRICE};

/// The gas of this many messages of one method each.
fn gas(messages: u64) -> AttoFil {
    AttoFil(GAS_PRICE.0 * u128::from(GAS_PER_METHOD * messages))
}

fn order(miner: &Miner) -> Order {
    Order {
        miner: Some(miner.address.clone()),
        ask: Some(0),
        rule: MinerRule::default(),
        duration: DEFAULT_DURATION,
        allow_duplicates: false,
        most: None,
        until: Until::Accepted,
    }
}

/// A file of 100 bytes.
fn piece(world: &World) -> Piece {
    sized(world, 100)
}

fn sized(world: &World, size: usize) -> Piece {
    let path = world.dir.path().join(format!("file {size}"));
    if !path.exists() {
        std::fs::write(&path, vec![7; size]).expect("the file can be written");
    }
    Piece::of(&path).expect("it is a file")
}

async fn propose(session: &Session, piece: Piece, order: &Order) -> Result<Record, ClientError> {
    storing::propose(session, piece, order, |_| {}).await
}

async fn height(session: &Session) -> Epoch {
    session.chain.head().await.expect("the chain answers").height
}

async fn balance(session: &Session) -> AttoFil {
    let address = session.account.address();
    session.chain.balance(&address).await.expect("the chain answers")
}

async fn wait_until(session: &Session, end: Epoch) {
    while height(session).await < end {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn only(session: &Session) -> Record {
    let all = session.book.all().expect("the book is whole");
    assert_eq!(all.len(), 1);
    all.into_iter().next().expect("there is one")
}

/// spec §9.1, spec §9.2, spec §9.3, spec §9.5, spec §9.9: what is proposed, paid and kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_paid_proposal_carries_the_data_the_price_the_channel_and_the_answer_that_is_kept() {
    let world = World::start();
    let miner = world.miner(&key(3), PRICE).await;
    let session = world.session().await;
    let record = propose(&session, piece(&world), &order(&miner))
        .await
        .expect("it is accepted");
    assert_eq!(session.book.reload(&record).expect("it is kept"), record);
    let response = record.deal.response().expect("the miner answered");
    assert!(response.is_signed_by(&key(3).address()));
    assert_eq!(response.response.state, DealState::Accepted);

    let signed = record.deal.proposal().expect("it was signed");
    assert_eq!(response.response.proposal_cid, signed.cid());
    assert!(signed.signature_is_valid());
    assert_eq!(shared::wire::decode(&shared::wire::encode(signed)).as_ref(), Ok(signed));
    let proposal = &signed.proposal;
    assert_eq!(proposal.piece_ref, *record.data_cid());
    assert_eq!((signed.size(), proposal.duration), (100, DEFAULT_DURATION));
    assert_eq!(proposal.miner_address, miner.address);
    let total = AttoFil(PRICE.0 * 100 * u128::from(DEFAULT_DURATION));
    assert_eq!(proposal.total_price, total);

    let payment = &proposal.payment;
    let (id, message) = (payment.channel, payment.channel_msg_cid);
    let (id, message) = (id.expect("it is paid"), message.expect("it is paid"));
    let channel = session.chain.channel(&payment.payer, id).await;
    let channel = channel.expect("the chain answers").expect("the channel is open");
    assert_eq!((channel.amount, &channel.target), (total, &key(3).address()));
    let opened = session.chain.message(&message).await;
    let opened = opened.expect("the chain answers").expect("the message is on it");
    assert_eq!((opened.method.as_str(), opened.value), ("createChannel", total));
    assert_eq!(
        balance(&session).await.checked_add(total),
        AttoFil::from_fil(1000).checked_sub(gas(1))
    );
}

/// spec §9.6: CreatePayments is the opening of the channel, which leaves a message.
#[tokio::test(flavor = "multi_thread")]
async fn a_free_deal_opens_no_channel_and_still_names_its_payer() {
    let world = World::start();
    let miner = world.miner(&key(3), AttoFil::ZERO).await;
    let session = world.session().await;
    let record = propose(&session, piece(&world), &order(&miner))
        .await
        .expect("it is accepted");
    let signed = record.deal.proposal().expect("it was signed");
    let payment = &signed.proposal.payment;
    assert_eq!(payment.payer, session.account.address());
    assert_eq!(
        (&payment.channel, &payment.channel_msg_cid, &payment.vouchers),
        (&None, &None, &None)
    );
    assert_eq!(payment.pay_ch_actor.0, None);
    let account = session.chain.actor(&session.account.address()).await;
    assert_eq!(account.expect("the chain answers"), None, "no message, no money");
    // The same terms again are the same deal, which the miner has already (spec §7.20).
    let mut again = order(&miner);
    again.allow_duplicates = true;
    let refused = propose(&session, piece(&world), &again).await;
    let deal = signed.cid().to_string();
    assert!(matches!(refused, Err(ClientError::InProgress { deal: known }) if known == deal));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_is_watched_and_asked_about_only_where_the_miner_cannot_be_watched() {
    let world = World::start();
    let session = world.session().await;
    let (watched, asked) = (world.miner(&key(3), PRICE).await, world.old_miner(&key(4), PRICE).await);
    for (miner, watches, queries) in [(&watched, 1, 0), (&asked, 0, 2)] {
        let mut staged = order(miner);
        staged.until = Until::Staged;
        let record = propose(&session, piece(&world), &staged).await.expect("it is staged");
        let response = record.deal.response().expect("the miner answered");
        assert_eq!(response.response.state, DealState::Staged);
        assert_eq!(miner.asked.watches.load(Ordering::SeqCst), watches);
        assert_eq!(miner.asked.queries.load(Ordering::SeqCst), queries);
    }
}

/// spec §9.7, spec §9.10.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_data_is_a_duplicate_for_the_same_miner_only_and_only_without_the_flag() {
    let world = World::start();
    let one = world.miner(&key(3), PRICE).await;
    let two = world.miner(&key(4), PRICE).await;
    let session = world.session().await;
    let first = propose(&session, piece(&world), &order(&one))
        .await
        .expect("it is accepted");
    let refused = propose(&session, piece(&world), &order(&one)).await;
    assert!(
        matches!(refused, Err(ClientError::Draft(DraftError::Duplicate))),
        "{refused:?}"
    );
    propose(&session, piece(&world), &order(&two))
        .await
        .expect("another miner is no duplicate");
    let mut again = order(&one);
    again.allow_duplicates = true;
    let second = propose(&session, piece(&world), &again)
        .await
        .expect("the flag allows it");
    assert_ne!(first.cid, second.cid);
}

/// spec §9.13, spec §9.14: the first with sectors of 2 KiB, the smallest that there are here (design §9).
#[tokio::test(flavor = "multi_thread")]
async fn a_piece_that_is_too_large_and_a_deal_with_oneself_cost_nothing() {
    let world = World::start();
    let session = world.session().await;
    let own = world.miner(session.account.key(), PRICE).await;
    let other = world.miner(&key(3), PRICE).await;
    let before = balance(&session).await;
    let refused = propose(&session, sized(&world, 2033), &order(&other)).await;
    let text = refused.expect_err("it does not fit").to_string();
    assert!(
        text.starts_with("piece is 2033 bytes but sector size is 2032 bytes"),
        "{text}"
    );
    let refused = propose(&session, piece(&world), &order(&own)).await.err();
    let text = refused.expect("one is oneself").to_string();
    assert_eq!(
        text,
        "attempting to make storage deal with self. This is currently unsupported.  Please use a separate \
         go-filecoin node as client"
    );
    assert_eq!(balance(&session).await, before);
    assert_eq!(session.book.all().expect("the book is whole"), []);
}

/// spec §9.54, its second half; that a miner does not give what it does not have is in `tests/misbehaviour.rs`.
#[tokio::test(flavor = "multi_thread")]
async fn a_piece_is_not_retrieved_from_oneself() {
    let world = World::start();
    let session = world.session().await;
    let own = world.miner(session.account.key(), PRICE).await;
    let data = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq";
    let to = Destination::at(world.dir.path().join("back")).expect("nothing is there");
    let refused = fetching::retrieve(&session, data, Some(&own.address), &to).await;
    let text = refused.expect_err("one is oneself").to_string();
    assert_eq!(
        text,
        "attempting to retrieve piece from self. This is currently unsupported.  Please use a separate go-filecoin \
         node as client"
    );
}

/// spec §9.8: and the deal can be given up then, with its money.
#[tokio::test(flavor = "multi_thread")]
async fn an_altered_response_is_refused_and_the_deal_can_be_abandoned() {
    let world = World::start();
    let miner = world.miner(&key(3), PRICE).await;
    miner.says(Reply::Altered);
    let session = world.session().await;
    let refused = propose(&session, piece(&world), &order(&miner)).await.err();
    let refused = refused.expect("the signature does not hold");
    assert!(
        matches!(
            &refused,
            ClientError::Answer {
                refusal: ClientRefusal::ResponseSignature,
                ..
            }
        ),
        "{refused}"
    );
    assert!(refused.to_string().contains("signature is invalid"));
    let record = only(&session);
    assert!(matches!(record.deal.stage, ClientStage::Signed { .. }));
    let record = storing::abandon(&session, &record).await.expect("it is unfinished");
    assert!(
        matches!(record.refund(), Refund::Waiting { earned: false, .. }),
        "{:?}",
        record.refund()
    );
    let again = storing::abandon(&session, &record).await;
    assert!(matches!(again, Err(ClientError::NothingToAbandon { .. })));
    let record = refund::follow(&session, &record).await.expect("the channel ends");
    assert_eq!(record.refund(), Refund::Returned);
    assert_eq!(
        Some(balance(&session).await),
        AttoFil::from_fil(1000).checked_sub(gas(3))
    );
}

/// Its miner never answers, and nobody comes back to it: the next command that has nothing to do with it gives it up.
#[tokio::test(flavor = "multi_thread")]
async fn a_deal_whose_time_is_over_before_it_was_accepted_is_given_up_in_passing() {
    let world = World::start();
    let miner = world.miner(&key(3), PRICE).await;
    miner.says(Reply::Altered);
    let session = world.session().await;
    let mut short = order(&miner);
    short.duration = 1;
    let refused = propose(&session, piece(&world), &short).await;
    assert!(matches!(refused, Err(ClientError::Answer { .. })), "{refused:?}");
    let mut record = only(&session);
    let deadline = record.deal.deadline().expect("it waits");
    refund::background_refunds(&world.client_dir(), std::future::ready(Some(world.devnet.url()))).await;
    assert_eq!(only(&session).state(), "signed", "its time is not over");
    // As if it had been drawn up so long ago.
    let early = deadline.0.saturating_sub(height(&session).await.0);
    record.deal.draft.start = Epoch(record.deal.draft.start.0.saturating_sub(early));
    session.book.save(&record).expect("there is room");
    let deadline = record.deal.deadline().expect("it waits");
    world.skip_to(deadline).await;
    refund::background_refunds(&world.client_dir(), std::future::ready(Some(world.devnet.url()))).await;
    let record = only(&session);
    assert_eq!(record.state(), "failed");
    assert!(record.refund().deadline().is_some(), "its channel is cancelled");
}

/// What of 2019 left to its users (venus#2857): spec §7.9.
#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_deals_channel_is_cancelled_and_reclaimed_over_restarts_to_the_last_attofil() {
    let world = World::start();
    let miner = world.miner(&key(3), PRICE).await;
    miner.says(Reply::Reject);
    let session = world.session().await;
    let refused = propose(&session, piece(&world), &order(&miner)).await;
    assert!(
        matches!(&refused, Err(ClientError::DealFailed { reason }) if reason == "deal rejected: no room today"),
        "{refused:?}"
    );
    let record = only(&session);
    let end = record.refund().deadline().expect("it was cancelled at once");
    let now = height(&session).await;
    assert!(end <= now.plus(CANCEL_DELAY), "it ends with {end}, long after {now}");
    let channel = record.refund_due().expect("the channel is open");
    drop(session);

    // A restart that knows less than the chain does: nothing is sent twice.
    let session = world.session().await;
    let mut forgetful = only(&session);
    forgetful
        .refunds
        .values_mut()
        .for_each(|found| found.refund = Refund::default());
    session.book.save(&forgetful).expect("there is room");
    let payer = session.account.address();
    let sent = session.chain.actor(&payer).await.expect("the chain answers");
    drop(session);
    refund::background_refunds(&world.client_dir(), std::future::ready(Some(world.devnet.url()))).await;
    let session = world.session().await;
    assert_eq!(only(&session).refund().deadline(), Some(end));
    assert_eq!(session.chain.actor(&payer).await.expect("the chain answers"), sent);

    wait_until(&session, end).await;
    drop(session);
    refund::background_refunds(&world.client_dir(), std::future::ready(Some(world.devnet.url()))).await;
    let session = world.session().await;
    assert_eq!(only(&session).refund(), Refund::Returned);
    let gone = session.chain.channel(&payer, channel).await;
    assert_eq!(gone.expect("the chain answers"), None);
    assert_eq!(
        Some(balance(&session).await),
        AttoFil::from_fil(1000).checked_sub(gas(3))
    );
    // It is over: nothing more is sent.
    refund::background_refunds(&world.client_dir(), std::future::ready(Some(world.devnet.url()))).await;
    assert_eq!(
        Some(balance(&session).await),
        AttoFil::from_fil(1000).checked_sub(gas(3))
    );
}

/// spec §9.20: what the chain says against the channel's message surfaces, and nothing is lost. (Vouchers are drawn up
/// here, so there is no voucher query that could fail: design §9.)
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_does_not_open_surfaces_and_the_deal_can_be_abandoned_unpaid() {
    let world = World::start();
    let miner = world.miner(&key(3), PRICE).await;
    let session = world.session().await;
    world.fund(&session.chain).await;
    let payer = session.account.address();
    world.ticking.store(false, Ordering::SeqCst);
    // The money goes away before the channel, in the same block.
    let most = balance(&session).await.checked_sub(AttoFil(1000)).expect("it is rich");
    let lock = session.account.lock().await.expect("the account is free");
    let spent = lock
        .chain
        .submit("spend", calls::transfer(&key(9).address(), most))
        .await;
    spent.expect("it is sent");
    drop(lock);
    let (ordered, file) = (order(&miner), piece(&world));
    let minding = async {
        while session.chain.pool(Some(&payer)).await.expect("the chain answers").count < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.ticking.store(true, Ordering::SeqCst);
    };
    let (refused, ()) = tokio::join!(propose(&session, file, &ordered), minding);
    assert!(
        matches!(&refused, Err(ClientError::Chain(ChainError::Rpc { .. }))),
        "{refused:?}"
    );
    let record = only(&session);
    assert_eq!(record.deal.stage, ClientStage::Drafted);
    let record = storing::abandon(&session, &record).await.expect("it is unfinished");
    assert!(matches!(record.deal.stage, ClientStage::Failed { channel: None, .. }));
    assert_eq!(record.refund_due(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_brings_the_book_up_to_date_also_when_the_worker_has_changed() {
    let world = World::start();
    let miner = world.miner(&key(3), PRICE).await;
    let session = world.session().await;
    let record = propose(&session, piece(&world), &order(&miner))
        .await
        .expect("it is accepted");
    // The book as a process left it that ended while it waited for the answer, with the worker of then.
    let mut behind = record.clone();
    let proposal = record.deal.proposal().expect("it was signed").clone();
    behind.deal.stage = ClientStage::Signed { proposal };
    behind.deal.draft.worker = key(5).address();
    session.book.save(&behind).expect("there is room");
    let (answer, now) = checking::query_record(&session, &behind)
        .await
        .expect("the miner answers");
    assert_eq!(answer.response.response.state, DealState::Accepted);
    assert_eq!(now.deal, record.deal);
    assert_eq!(session.book.reload(&record).expect("it is kept").deal, record.deal);
}

/// spec §9.41, its end: ls returns a map or an empty one, and a voucher beyond the channel is refused.
#[tokio::test(flavor = "multi_thread")]
async fn channels_are_listed_and_vouchers_signed_on_those_that_cover_them() {
    let world = World::start();
    let session = world.session().await;
    world.fund(&session.chain).await;
    let payer = session.account.address();
    let list = || channels::list(&session.chain, &payer);
    assert_eq!(list().await.expect("the chain answers"), []);
    let (target, ten) = (key(8).address(), AttoFil::from_fil(10));
    let lock = session.account.lock().await.expect("the account is free");
    let create = calls::create_channel(&target, Epoch(5000), ten);
    let (_, receipt) = lock.chain.call("open", create).await.expect("it opens");
    let receipt = receipt.receipt().expect("the receipt is well formed");
    let id = calls::channel_id(&receipt).expect("the receipt names it");
    let listed = list().await.expect("the chain answers");
    let seen = listed
        .iter()
        .map(|channel| (channel.id, &channel.target, channel.amount));
    assert_eq!(seen.collect::<Vec<_>>(), [(id, &target, ten)]);

    let sign = |id, amount| channels::sign_voucher(&session.account, &session.chain, id, amount, Epoch(7));
    let voucher = sign(id, ten).await.expect("the channel covers it");
    assert!(voucher.is_signed_by(&payer));
    assert_eq!((&voucher.target, voucher.valid_at), (&target, Epoch(7)));
    let text = shared::payment::voucher::to_text(&voucher);
    assert_eq!(channels::voucher_of(&text).expect("it was printed here"), voucher);
    for (id, amount) in [(id, AttoFil(ten.0 + 1)), (ChannelId(999), ten)] {
        let refused = sign(id, amount).await;
        assert!(matches!(refused, Err(ClientError::Chain(_))), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_is_carried_on_with_the_key_that_pays_for_it() {
    let world = World::start();
    let miner = world.miner(&key(3), PRICE).await;
    miner.says(Reply::Altered);
    let session = world.session().await;
    let _ = propose(&session, piece(&world), &order(&miner)).await;
    let payer = session.account.address();
    let record = only(&session);
    let network = session.chain.network_id().expect("it is a CID");
    drop(session);
    // Another key becomes the default meanwhile.
    let wallet = Wallet::open(world.client_dir().join("wallet")).expect("it is there");
    let other: Address = wallet.create(&network).expect("there is room").address();
    wallet.set_default(&other).expect("it has the key");
    miner.says(Reply::Accept);
    let session = world.session().await;
    assert_eq!(session.account.address(), other);
    let record = storing::resume(&session, &record, Until::Accepted, false).await;
    let record = record.expect("it is accepted");
    let signed = record.deal.proposal().expect("it was signed");
    assert_eq!(signed.proposal.payment.payer, payer);
    let abandoned = storing::abandon(&session, &record).await.expect("it is unfinished");
    assert!(matches!(abandoned.refund(), Refund::Waiting { .. }));
}

/// Finding C2.
#[tokio::test(flavor = "multi_thread")]
async fn a_deal_goes_on_with_a_miner_that_has_another_host_key_and_address_since() {
    let world = World::start();
    let miner = world.miner(&key(3), PRICE).await;
    let session = world.session().await;
    let record = propose(&session, piece(&world), &order(&miner)).await;
    let record = record.expect("it is accepted");
    let moved = world.moved(&miner, &key(3)).await;
    // In the same process, which still has a connection to the former host.
    let record = storing::resume(&session, &record, Until::Staged, false).await;
    let record = record.expect("the new host has the file");
    let asked = |asked: &world::Asked| [&asked.queries, &asked.watches].map(|count| count.load(Ordering::SeqCst));
    assert!(asked(&moved.asked).iter().any(|count| *count > 0));
    let view = session.chain.miner(&miner.address).await.expect("the chain answers");
    assert_eq!(record.peer, view.expect("it is there").peer_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_named_miner_the_cheapest_is_taken_and_the_rule_of_spreading_takes_the_other() {
    let world = World::start();
    let dear = world.miner(&key(3), AttoFil(3 * PRICE.0)).await;
    let cheap = world.old_miner(&key(4), PRICE).await;
    let session = world.session().await;
    let order = Order {
        miner: None,
        ask: None,
        ..order(&dear)
    };
    let record = propose(&session, piece(&world), &order).await.expect("it is accepted");
    assert_eq!(record.deal.draft.miner, cheap.address);
    let by_rule = record.by_rule.expect("it was chosen by rule");
    assert_eq!(
        (by_rule.others, by_rule.passed),
        (vec![dear.address.clone()], Vec::new())
    );
    // The next one goes to the other.
    let spread = Order {
        rule: MinerRule::Spread,
        ..order
    };
    let record = propose(&session, sized(&world, 101), &spread)
        .await
        .expect("it is accepted");
    assert_eq!(record.deal.draft.miner, dear.address);
}
