//! How heads come, and from which chain.

use super::super::feed::Feed;
use super::*;
use crate::supervisor::Lifeline;

#[tokio::test(flavor = "multi_thread")]
async fn heads_are_told_over_a_socket_where_there_is_one_and_asked_for_elsewhere() {
    let setup = Setup::new();
    let url = setup.chain.devnet.url();
    let mut feed = Feed::open(&url).await.expect("the chain has sockets");
    assert_eq!(feed.next().await, Some(setup.chain.devnet.head()));
    let made = produce(&setup.chain.devnet);
    assert_eq!(feed.next().await, Some(made));
    for elsewhere in [url.replace("/rpc", "/other"), url.replace("http:", "https:")] {
        assert!(Feed::open(&elsewhere).await.is_none(), "{elsewhere}");
    }
    setup.chain.close().await;
    assert_eq!(feed.next().await, None);
}

#[test]
fn the_endpoint_may_be_given_with_or_without_its_path() {
    for given in [
        "http://127.0.0.1:4403",
        "http://127.0.0.1:4403/",
        "http://127.0.0.1:4403/rpc",
    ] {
        assert_eq!(rpc_url(given), "http://127.0.0.1:4403/rpc");
    }
}

/// Waits until health says `words`, or until it has nothing to say.
async fn health_says(board: &crate::supervisor::HealthBoard, words: Option<&str>) {
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let health = board.health();
        let says = |words: &str| health.problems.iter().any(|problem| problem.text.contains(words));
        if words.map_or(health.ok, says) {
            return;
        }
        assert!(std::time::Instant::now() < limit, "{words:?} is awaited in {health:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_comes_in_place_of_another_is_not_talked_to_and_the_own_one_is_again() {
    let setup = Setup::new();
    let devnet = &setup.chain.devnet;
    let listen = devnet.url().replace("http://", "").replace("/rpc", "");
    let (access, following) = ChainAccess::open(&devnet.url(), setup.outbox.clone(), key(1))
        .await
        .unwrap();
    let (lifeline, board) = Lifeline::watched();
    tokio::spawn(following.run(lifeline));
    let first = produce(devnet);
    health_says(&board, None).await;
    let mut heads = access.heads();
    heads.wait_for(|head| head.height == first.height).await.unwrap();
    setup.chain.close().await;
    health_says(&board, Some("does not answer")).await;
    let other = Chain::listen(&setup.dir.path().join("other"), &listen);
    for _ in 0..5 {
        produce(&other.devnet);
    }
    health_says(&board, Some("serves the chain")).await;
    let refused = access.submit("pay", pay(1)).await;
    assert!(matches!(refused, Err(ChainError::OtherChain { .. })), "{refused:?}");
    assert_eq!(access.heads().borrow().height, first.height, "its heads are nobody's");
    other.close().await;
    let own = Chain::listen(&setup.dir.path().join("devnet"), &listen);
    let made = produce(&own.devnet);
    health_says(&board, None).await;
    assert_eq!(*access.heads().borrow(), made);
    own.close().await;
}
