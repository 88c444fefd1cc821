//! The texts of 2019 for the step that failed (spec §3.3, §3.6): each stands in front of our own reason (finding E6).

use super::*;
use crate::client::network::NetworkError;
use shared::chain::keys::cid_of_bytes;

/// Draws a deal up that a miner could be asked for, and breaks nothing.
async fn signed(session: &Session, world: &World, miner: &Miner) -> Record {
    miner.says(Reply::Altered);
    let refused = propose(session, piece(world), &order(miner)).await;
    let refused = refused.expect_err("its signature does not hold").to_string();
    assert!(
        refused.starts_with("response check failed: ") && refused.contains("Response signature is invalid"),
        "{refused}"
    );
    only(session)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_file_is_told_by_its_step() {
    let world = World::start();
    let miner = world.miner(&key(3), PRICE).await;
    let session = world.session().await;
    let missing = storing::store(&session, &world.dir.path().join("missing"), &order(&miner)).await;
    let missing = missing.expect_err("it is not there").to_string();
    assert!(
        missing.starts_with("failed to determine the size of the data: "),
        "{missing}"
    );
    let chosen = piece(&world);
    std::fs::write(&chosen.file.path, [7; 101]).expect("it is ours");
    let grown = propose(&session, chosen, &order(&miner)).await;
    let grown = grown.expect_err("it grows").to_string();
    assert!(grown.starts_with("failed to generate piece commitment: "), "{grown}");
    let chosen = sized(&world, 50);
    std::fs::remove_file(&chosen.file.path).expect("it is ours");
    let gone = propose(&session, chosen, &order(&miner)).await;
    let gone = gone.expect_err("it is gone").to_string();
    assert!(gone.starts_with("failed to make piece reader: "), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_of_a_proposal_is_told_by_its_step() {
    let world = World::start();
    let miner = world.miner(&key(3), PRICE).await;
    let session = world.session().await;
    let record = signed(&session, &world, &miner).await;
    let told = |error: ClientError| error.of_stage(&record.deal.stage).to_string();
    let lost = ClientError::Lost {
        miner: miner.address.clone(),
        minutes: 1,
        reason: NetworkError::Timeout.to_string(),
        deal: record.name(),
    };
    let lost = told(lost);
    assert!(lost.starts_with("error sending proposal: "), "{lost}");
    let other = ClientError::Answer {
        miner: miner.address.clone(),
        refusal: ClientRefusal::OtherDeal {
            asked: cid_of_bytes(b"one"),
            answered: cid_of_bytes(b"two"),
        },
        deal: record.name(),
    };
    let other = told(other);
    assert!(
        other.starts_with("failed to track response: ") && other.contains("cids not equal"),
        "{other}"
    );
    let channel = ClientError::Channel {
        reason: "r".into(),
        deal: "d".into(),
    };
    assert!(channel.to_string().starts_with("error creating payment: "));
    miner.says(Reply::Reject);
    let mut again = order(&miner);
    again.allow_duplicates = true;
    let refused = propose(&session, sized(&world, 60), &again).await;
    let refused = refused.expect_err("it says no").to_string();
    assert!(
        refused.starts_with("response check failed: deal rejected: no room today"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_that_nobody_knows_is_not_fetched_and_a_chain_that_is_away_has_no_head() {
    let world = World::start();
    let miner = world.miner(&key(3), PRICE).await;
    let session = world.session().await;
    let unknown = checking::query(&session, "nothing", None).await;
    let unknown = unknown.expect_err("it is no deal").to_string();
    assert!(
        unknown.starts_with("failed to fetch deal: nothing: deal not found"),
        "{unknown}"
    );
    let offer = crate::client::miner_offers::choose(&session, &piece(&world).file, &order(&miner)).await;
    let (offer, _) = offer.expect("it stands");
    world.devnet.shutdown();
    // What is on its way may still be answered.
    while session.chain.head().await.is_ok() {}
    let head = crate::client::miner_offers::renewed(&session, &offer, &piece(&world).file).await;
    let head = head.expect_err("nobody answers").to_string();
    assert!(head.starts_with("failed to get head tipset: "), "{head}");
}
