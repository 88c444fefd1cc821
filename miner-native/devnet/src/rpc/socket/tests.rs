//! The RPC over WebSocket, as those at the other end see it.

use super::super::guard::SOCKETS_PER_ADDRESS;
use super::super::tests::{serve, Served};
use super::{write, Outgoing, MAX_SOCKETS, MAX_SUBSCRIPTIONS};
use crate::rpc::MAX_BODY;
use crate::tests::{chain, produce};
use futures::{SinkExt, StreamExt};
use serde_json::{json, Value};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn open(served: &Served) -> Self {
        Self::try_open(served, "/ws").await.expect("there is room")
    }

    async fn try_open(served: &Served, path: &str) -> Result<Self, Error> {
        let url = served.devnet.url().replace("http:", "ws:").replace("/rpc", path);
        let mut request = url.into_client_request().expect("the URL is one");
        let page = "http://127.0.0.1:4400".parse().expect("it is a header's value");
        request.headers_mut().insert("origin", page);
        let (socket, _) = tokio_tungstenite::connect_async(request).await?;
        Ok(Self(socket))
    }

    /// From another address of this machine.
    async fn try_open_from(served: &Served, from: &str) -> Result<Self, Error> {
        let socket = tokio::net::TcpSocket::new_v4()?;
        let from: std::net::IpAddr = from.parse().expect("it is an address");
        socket.bind((from, 0).into())?;
        let stream = socket.connect(served.devnet.addresses[0]).await?;
        let url = served.devnet.url().replace("http:", "ws:").replace("/rpc", "/ws");
        let (socket, _) = tokio_tungstenite::client_async(url, MaybeTlsStream::Plain(stream)).await?;
        Ok(Self(socket))
    }

    async fn send(&mut self, text: impl Into<String>) {
        let text: String = text.into();
        self.0.send(Message::text(text)).await.expect("the connection is open");
    }

    /// The next text; `None` when the chain ended the connection.
    async fn next(&mut self) -> Option<Value> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => {
                    return Some(serde_json::from_str(&text).expect("the chain speaks JSON"));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(_)) | None | Some(Err(_)) => return None,
            }
        }
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
        self.send(request.to_string()).await;
        self.next().await.expect("a request is answered")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_answers_as_http_does_on_both_paths_to_pages_of_this_machine() {
    let served = serve();
    for path in ["/ws", "/rpc"] {
        let mut socket = Socket::try_open(&served, path).await.expect("there is room");
        for (method, params) in [
            ("chain.head", json!({})),
            ("chain.beacon", json!({ "height": 9 })),
            ("chain.tail", json!({})),
        ] {
            let mut answer = served.call(method, params.clone()).await;
            answer["id"] = json!(7);
            assert_eq!(socket.call(method, params).await, answer);
        }
        socket.send("{").await;
        let broken = socket.next().await.expect("the fault is told");
        assert_eq!(broken["error"]["code"], -32700);
        // A notification has no answer: the next text is the next request's.
        socket.send(r#"{"jsonrpc":"2.0","method":"chain.head"}"#).await;
        assert_eq!(socket.call("chain.head", json!({})).await["id"], 7);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_is_told_the_head_now_and_with_every_block_until_it_ends_the_subscription() {
    let served = serve();
    let mut socket = Socket::open(&served).await;
    assert_eq!(socket.call("chain.subscribe", json!({})).await["result"], 1);
    for height in 0..4 {
        let news = socket.next().await.expect("a head is told");
        assert_eq!((&news["method"], &news["id"]), (&json!("chain.head"), &Value::Null));
        assert_eq!(news["params"]["subscription"], 1);
        assert_eq!(news["params"]["result"]["height"], height);
        let head = serde_json::to_value(served.devnet.head()).expect("it is JSON");
        assert_eq!(news["params"]["result"], head);
        if height < 3 {
            produce(&served.devnet);
        }
    }
    let ended = socket.call("chain.unsubscribe", json!({ "subscription": 1 })).await;
    assert_eq!(ended["result"], true);
    produce(&served.devnet);
    let again = socket.call("chain.unsubscribe", json!({ "subscription": 1 })).await;
    assert_eq!((&again["id"], &again["result"]), (&json!(7), &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_need_a_socket_an_id_and_a_free_place() {
    let served = serve();
    let over_http = served.call("chain.subscribe", json!({})).await;
    assert_eq!(over_http["error"]["code"], -32601);
    let mut socket = Socket::open(&served).await;
    socket.send(r#"{"jsonrpc":"2.0","method":"chain.subscribe"}"#).await;
    assert_eq!(
        socket.call("chain.subscribe", json!({ "to": "heads" })).await["error"]["code"],
        -32602
    );
    for number in 1..=MAX_SUBSCRIPTIONS {
        assert_eq!(socket.call("chain.subscribe", json!({})).await["result"], number);
        socket.next().await.expect("the head comes at once");
    }
    assert_eq!(socket.call("chain.subscribe", json!({})).await["error"]["code"], -32011);
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_are_too_long_or_no_text_end_the_connection() {
    let served = serve();
    let mut socket = Socket::open(&served).await;
    // The chain may stop reading before all of it is sent.
    let _ = socket.0.send(Message::text(" ".repeat(MAX_BODY + 1))).await;
    assert_eq!(socket.next().await, None);
    let mut socket = Socket::open(&served).await;
    let binary = Message::binary(vec![1, 2, 3]);
    socket.0.send(binary).await.expect("the connection is open");
    assert_eq!(socket.next().await, None);
    assert!(Socket::open(&served).await.call("chain.head", json!({})).await["result"].is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_bounded_and_a_closed_one_makes_room() {
    let served = serve();
    let mut open = Vec::new();
    for number in 0..MAX_SOCKETS {
        let from = format!("127.0.0.{}", 1 + number / SOCKETS_PER_ADDRESS);
        let socket = Socket::try_open_from(&served, &from).await;
        open.push(socket.expect("there is room"));
    }
    let refused = Socket::try_open_from(&served, "127.0.0.99").await.err();
    assert!(
        matches!(&refused, Some(Error::Http(response)) if response.status() == 503),
        "{refused:?}"
    );
    assert!(served.call("chain.head", json!({})).await["result"].is_object());
    let mut last = open.pop().expect("there are some");
    last.0.close(None).await.expect("it was open");
    while last.next().await.is_some() {}
    while Socket::try_open_from(&served, "127.0.0.99").await.is_err() {
        tokio::task::yield_now().await;
    }
}

/// Finding A11: 255 connections of one program shut all others out.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn one_address_has_its_share_of_the_connections_and_leaves_the_rest_to_others() {
    let served = serve();
    let mut open = Vec::new();
    for _ in 0..SOCKETS_PER_ADDRESS {
        open.push(Socket::open(&served).await);
    }
    let Some(Error::Http(refused)) = Socket::try_open(&served, "/ws").await.err() else {
        panic!("the address has its share")
    };
    assert_eq!(refused.status(), 503);
    let mut other = Socket::try_open_from(&served, "127.0.0.2")
        .await
        .expect("others have theirs");
    assert!(other.call("chain.head", json!({})).await["result"].is_object());
    drop(open.pop());
    while Socket::try_open(&served, "/ws").await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_gets_no_connection() {
    let served = serve();
    for (header, value) in [("origin", "http://page.example"), ("host", "page.example:4403")] {
        let url = served.devnet.url().replace("http:", "ws:").replace("/rpc", "/ws");
        let mut request = url.into_client_request().expect("the URL is one");
        let value = value.parse().expect("it is a header's value");
        request.headers_mut().insert(header, value);
        let Some(Error::Http(refused)) = tokio_tungstenite::connect_async(request).await.err() else {
            panic!("it is not of this machine")
        };
        assert_eq!(refused.status(), 403);
    }
}

/// A reader that takes nothing.
struct Stuck;

impl futures::Sink<axum::extract::ws::Message> for Stuck {
    type Error = ();

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
        Poll::Pending
    }
    fn start_send(self: Pin<&mut Self>, _: axum::extract::ws::Message) -> Result<(), ()> {
        Err(())
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
        Poll::Pending
    }
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_dropped() {
    let (_dir, devnet) = chain();
    let (outgoing, taken) = tokio::sync::mpsc::channel(1);
    let answer = Outgoing::Answer(Value::Null);
    outgoing.send(answer).await.expect("there is room for one");
    write(Stuck, taken, devnet.node.heads(), Duration::ZERO).await;
    assert!(outgoing.is_closed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_stops_closes_its_connections() {
    let served = serve();
    let mut socket = Socket::open(&served).await;
    socket.call("chain.head", json!({})).await;
    served.devnet.shutdown();
    assert_eq!(socket.next().await, None);
}
