//! How heads come.

use super::super::feed::Feed;
use super::*;

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
