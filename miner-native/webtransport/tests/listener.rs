//! A native dialer, by the parts that browsers have (HTTP/3, a session, Noise), against the listener.

use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, StreamExt};
use libp2p_core::multiaddr::Protocol;
use libp2p_core::muxing::StreamMuxerExt as _;
use libp2p_core::transport::{ListenerId, Transport as _, TransportEvent};
use libp2p_core::upgrade::OutboundConnectionUpgrade;
use libp2p_core::Multiaddr;
use libp2p_identity::{Keypair, PeerId};
use libp2p_webtransport_quinn::{Certificates, Config, Connection, Error, Stream, Transport, WindowBudget};
use multihash::Multihash;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use web_transport_quinn::{ClientBuilder, RecvStream, SendStream, Session};

const PATH: &str = "/.well-known/libp2p-webtransport?type=noise";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A listening node that goes by a clock of its own.
struct Node {
    key: Keypair,
    transport: Transport,
    now: Arc<Mutex<SystemTime>>,
    _dir: tempfile::TempDir,
}

impl Node {
    fn with(set: impl FnOnce(Config) -> Config) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let now = Arc::new(Mutex::new(SystemTime::now()));
        let clock = now.clone();
        let clock = Arc::new(move || *clock.lock().expect("not poisoned"));
        let certificates = Certificates::open_at(dir.path().join("webtransport.pem"), clock).expect("certificates");
        let key = Keypair::generate_ed25519();
        let transport = Transport::new(set(Config::new(&key)), certificates);
        Self {
            key,
            transport,
            now,
            _dir: dir,
        }
    }

    fn new() -> Self {
        Self::with(|config| config)
    }

    async fn listen(&mut self, address: &str) -> Multiaddr {
        let address = address.parse().expect("a multiaddr");
        self.transport
            .listen_on(ListenerId::next(), address)
            .expect("it listens");
        self.new_address().await
    }

    async fn on_loopback(&mut self) -> Multiaddr {
        self.listen("/ip4/127.0.0.1/udp/0/quic-v1/webtransport").await
    }

    async fn event(&mut self) -> TransportEvent<<Transport as libp2p_core::Transport>::ListenerUpgrade, Error> {
        poll_fn(|cx| std::pin::Pin::new(&mut self.transport).poll(cx)).await
    }

    async fn new_address(&mut self) -> Multiaddr {
        let event = self.event().await;
        event.into_new_address().expect("a new address")
    }

    /// The next dialer's connection.
    async fn accept(&mut self) -> Result<(PeerId, Connection), Error> {
        loop {
            if let Some((upgrade, _)) = self.event().await.into_incoming() {
                return upgrade.await;
            }
        }
    }
}

fn hashes(address: &Multiaddr) -> Vec<Multihash<64>> {
    let hash = |part| match part {
        Protocol::Certhash(hash) => Some(hash),
        _ => None,
    };
    address.iter().filter_map(hash).collect()
}

fn url(address: &Multiaddr, path: &str) -> String {
    let mut parts = address.iter();
    let host = match parts.next() {
        Some(Protocol::Ip4(ip)) => ip.to_string(),
        Some(Protocol::Ip6(ip)) => format!("[{ip}]"),
        other => panic!("{other:?} is no IP address"),
    };
    match parts.next() {
        Some(Protocol::Udp(port)) => format!("https://{host}:{port}{path}"),
        other => panic!("{other:?} is no UDP port"),
    }
}

async fn session(address: &Multiaddr, path: &str) -> Result<Session, web_transport_quinn::ClientError> {
    // Where other crates of a build bring another provider, the dialer has to choose.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let accepted = hashes(address).iter().map(|hash| hash.digest().to_vec()).collect();
    let client = ClientBuilder::new()
        .with_server_certificate_hashes(accepted)
        .expect("a client");
    let url: url::Url = url(address, path).parse().expect("a URL");
    client.connect(url).await
}

/// What a browser does: a session, and on its first stream the Noise handshake that has to confirm the hashes.
async fn dial(address: &Multiaddr) -> Result<(Session, PeerId), Box<dyn std::error::Error>> {
    let session = session(address, PATH).await?;
    let (send, recv) = session.open_bi().await?;
    let noise = libp2p_noise::Config::new(&Keypair::generate_ed25519())?
        .with_webtransport_certhashes(hashes(address).into_iter().collect());
    let (peer, mut done) = noise.upgrade_outbound(Pair::new(send, recv), "/noise").await?;
    done.close().await?;
    Ok((session, peer))
}

/// Both halves of a stream as one.
type Pair = tokio_util::compat::Compat<tokio::io::Join<RecvStream, SendStream>>;

trait NewPair {
    fn new(send: SendStream, recv: RecvStream) -> Self;
}

impl NewPair for Pair {
    fn new(send: SendStream, recv: RecvStream) -> Self {
        tokio_util::compat::TokioAsyncReadCompatExt::compat(tokio::io::join(recv, send))
    }
}

/// Both sides of a connection.
async fn connected(node: &mut Node, address: &Multiaddr) -> (Session, Connection) {
    let (dialled, accepted) = tokio::join!(dial(address), node.accept());
    let ((session, peer), (_, connection)) = (dialled.expect("a connection"), accepted.expect("a connection"));
    assert_eq!(peer, node.key.public().to_peer_id());
    (session, connection)
}

async fn inbound(connection: &mut Connection) -> Stream {
    poll_fn(|cx| connection.poll_inbound_unpin(cx)).await.expect("a stream")
}

async fn outbound(connection: &mut Connection) -> Stream {
    poll_fn(|cx| connection.poll_outbound_unpin(cx))
        .await
        .expect("a stream")
}

#[tokio::test]
async fn a_dialer_that_knows_the_hashes_is_connected_and_both_open_streams() {
    let mut node = Node::new();
    let address = node.on_loopback().await;
    assert_eq!(hashes(&address).len(), 2);
    let (session, mut connection) = connected(&mut node, &address).await;

    let (mut send, mut recv) = session.open_bi().await.expect("a stream");
    send.write_all(b"hello").await.expect("written");
    let mut incoming = inbound(&mut connection).await;
    let mut said = [0; 5];
    incoming.read_exact(&mut said).await.expect("read");
    incoming.write_all(&said).await.expect("written");
    incoming.close().await.expect("closed");
    incoming.close().await.expect("closing again is harmless");
    assert_eq!(recv.read_to_end(16).await.expect("read"), b"hello");

    let mut outgoing = outbound(&mut connection).await;
    outgoing.write_all(b"and back").await.expect("written");
    outgoing.flush().await.expect("flushed");
    let (_, mut recv) = session.accept_bi().await.expect("a stream");
    let mut said = [0; 8];
    tokio::io::AsyncReadExt::read_exact(&mut recv, &mut said)
        .await
        .expect("read");
    assert_eq!(&said, b"and back");
}

/// Firefox forgets what it has not read yet of an answer when it is told to stop.
#[tokio::test]
async fn whoever_asks_is_not_told_to_stop_by_the_answer() {
    let mut node = Node::new();
    let address = node.on_loopback().await;
    let (session, mut connection) = connected(&mut node, &address).await;
    let (mut send, mut recv) = session.open_bi().await.expect("a stream");
    send.write_all(b"hello").await.expect("written");
    let mut incoming = inbound(&mut connection).await;
    let mut said = [0; 5];
    incoming.read_exact(&mut said).await.expect("read");
    incoming.write_all(b"answer").await.expect("written");
    incoming.close().await.expect("closed");
    drop(incoming);
    assert_eq!(recv.read_to_end(16).await.expect("read"), b"answer");
    send.finish().expect("nobody said stop");
    assert_eq!(send.stopped().await.expect("connected"), None);
}

#[tokio::test]
async fn the_same_over_ipv6() {
    let mut node = Node::new();
    let address = node.listen("/ip6/::1/udp/0/quic-v1/webtransport").await;
    connected(&mut node, &address).await;
}

#[tokio::test]
async fn a_node_on_all_interfaces_tells_the_address_of_each() {
    let mut node = Node::new();
    let mut address = node.listen("/ip4/0.0.0.0/udp/0/quic-v1/webtransport").await;
    while !matches!(address.iter().next(), Some(Protocol::Ip4(ip)) if ip.is_loopback()) {
        address = node.new_address().await;
    }
    connected(&mut node, &address).await;
}

#[tokio::test]
async fn a_request_for_anything_else_is_refused() {
    let mut node = Node::new();
    let address = node.on_loopback().await;
    for path in [
        "/",
        "/.well-known/libp2p-webtransport",
        "/.well-known/libp2p-webtransport?type=tls",
    ] {
        let (dialled, accepted) = tokio::join!(
            async {
                let refused = session(&address, path).await.map(|_| ());
                refused.expect_err("not libp2p")
            },
            node.accept()
        );
        assert!(dialled.to_string().contains("404"), "{path}: {dialled}");
        assert!(matches!(accepted, Err(Error::Path)), "{path}");
    }
    connected(&mut node, &address).await;
}

/// Somebody between could have put hashes of its own into the address.
#[tokio::test]
async fn a_hash_that_the_node_does_not_confirm_ends_the_dial() {
    let mut node = Node::new();
    let address = node.on_loopback().await;
    let foreign = Multihash::wrap(0x12, &[7; 32]).expect("32 bytes");
    let forged = address.clone().with(Protocol::Certhash(foreign));
    let (dialled, _) = tokio::join!(dial(&forged), node.accept());
    assert!(dialled.is_err());
    connected(&mut node, &address).await;
}

#[tokio::test]
async fn a_dialer_that_never_says_who_it_is_is_let_go() {
    let mut node = Node::with(|config| config.handshake_limit(Duration::from_millis(300)));
    let address = node.on_loopback().await;
    let (silent, given_up) = tokio::join!(session(&address, PATH), node.accept());
    let silent = silent.expect("a session");
    assert!(matches!(given_up, Err(Error::TooSlow)));
    // Its connection is gone, too, although it still answers.
    silent.closed().await;
    connected(&mut node, &address).await;
}

#[tokio::test]
async fn a_connection_that_is_dropped_is_closed() {
    let mut node = Node::new();
    let address = node.on_loopback().await;
    let (session, connection) = connected(&mut node, &address).await;
    drop(connection);
    session.closed().await;
}

#[tokio::test]
async fn certificates_change_while_the_node_runs_and_the_old_address_stays_good() {
    let mut node = Node::new();
    // A second before the end of the first certificate's use.
    let first = node.on_loopback().await;
    let (session, mut connection) = connected(&mut node, &first).await;
    let mut due = Node::new();
    *due.now.lock().expect("not poisoned") += DAY * 12 - Duration::from_secs(61);
    let before = due.on_loopback().await;
    *due.now.lock().expect("not poisoned") += Duration::from_secs(2);
    let after = due.new_address().await;
    assert_eq!(hashes(&after)[0], hashes(&before)[1]);
    assert_ne!(hashes(&after)[1], hashes(&before)[0]);
    let expired = due.event().await;
    assert_eq!(expired.into_address_expired(), Some(before.clone()));
    connected(&mut due, &before).await;
    connected(&mut due, &after).await;

    // Nothing of this touches whoever is connected.
    let (mut send, _recv) = session.open_bi().await.expect("a stream");
    send.write_all(b"still here").await.expect("written");
    let mut incoming = inbound(&mut connection).await;
    let mut said = [0; 10];
    incoming.read_exact(&mut said).await.expect("read");
}

/// Grants up to an amount.
#[derive(Default)]
struct Counting {
    granted: AtomicU64,
    limit: u64,
}

impl WindowBudget for Counting {
    fn grant(&self, _held: u64, more: u64) -> bool {
        let granted = self.granted.load(Ordering::SeqCst) + more;
        let fits = granted <= self.limit;
        if fits {
            self.granted.store(granted, Ordering::SeqCst);
        }
        fits
    }

    fn give_back(&self, granted: u64) {
        self.granted.fetch_sub(granted, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn what_is_not_read_is_not_sent_beyond_the_window_and_a_window_that_is_read_grows_within_the_budget() {
    let budget = Arc::new(Counting {
        limit: 1 << 20,
        ..Counting::default()
    });
    let given = budget.clone();
    let mut node = Node::with(|config| config.window_budget(given));
    let address = node.on_loopback().await;
    let (session, mut connection) = connected(&mut node, &address).await;
    let (mut send, _recv) = session.open_bi().await.expect("a stream");
    let mut sent = 0;
    let chunk = [0; 16 << 10];
    while let Ok(count) = tokio::time::timeout(Duration::from_millis(500), send.write(&chunk)).await {
        sent += count.expect("written") as u32;
    }
    assert!(sent <= Config::initial_window(), "{sent} bytes");

    let mut incoming = inbound(&mut connection).await;
    let mut reading = tokio::spawn(async move {
        let mut buffer = vec![0; 64 << 10];
        let mut read = 0;
        while read < 32 << 20 {
            read += incoming.read(&mut buffer).await.expect("read");
        }
        incoming
    });
    let writing = async { while send.write_all(&chunk).await.is_ok() {} };
    // When enough was read, nobody makes room any more for what is still to be written.
    let incoming = tokio::select! {
        () = writing => panic!("the stream broke off"),
        incoming = &mut reading => incoming.expect("read"),
    };
    let granted = budget.granted.load(Ordering::SeqCst);
    assert!((1..=budget.limit).contains(&granted), "{granted} bytes");
    drop((incoming, connection));
    assert_eq!(budget.granted.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn streams_that_do_not_say_what_they_are_are_few_and_others_as_many_as_the_host_takes() {
    let mut node = Node::new();
    let address = node.on_loopback().await;
    let (session, mut connection) = connected(&mut node, &address).await;
    let quic: &web_transport_quinn::quinn::Connection = &session;
    let mut unnamed = Vec::new();
    while let Some(stream) = quic.open_bi().now_or_never() {
        unnamed.push(stream.expect("a stream"));
    }
    assert!(unnamed.len() <= 8, "{}", unnamed.len());
    drop(unnamed);
    let mut open = Vec::new();
    for _ in 0..60 {
        let opening = async {
            let (mut send, recv) = session.open_bi().await.expect("a stream");
            send.write_all(b"x").await.expect("written");
            (send, recv)
        };
        // A swarm polls its connections at any time.
        open.push(tokio::join!(opening, inbound(&mut connection)));
    }
}

#[tokio::test]
async fn a_dialer_gets_in_while_others_say_nothing() {
    let mut node = Node::new();
    let address = node.on_loopback().await;
    let silent: Vec<_> = (0..64)
        .map(|_| {
            let address = address.clone();
            tokio::spawn(async move { session(&address, PATH).await })
        })
        .collect();
    let mut handshakes = Vec::new();
    let dialling = tokio::spawn({
        let address = address.clone();
        async move { dial(&address).await.map(|(_, peer)| peer).map_err(|e| e.to_string()) }
    });
    let mut under_way = futures::stream::FuturesUnordered::new();
    let peer = loop {
        tokio::select! {
            event = node.event() => handshakes.extend(event.into_incoming().map(|(upgrade, _)| under_way.push(upgrade))),
            Some(done) = under_way.next() => if let Ok((peer, connection)) = done {
                std::mem::forget(connection);
                break peer;
            },
        }
    };
    assert_ne!(peer, node.key.public().to_peer_id(), "the dialer's own");
    assert_eq!(dialling.await.expect("no panic"), Ok(node.key.public().to_peer_id()));
    silent.iter().for_each(tokio::task::JoinHandle::abort);
}
