//! The client's libp2p node: dials miners over TCP and QUIC, asks them, and is asked for pieces over the same connections.
//!
//! TCP goes first: it costs less of the processor for a byte. QUIC is dialled when TCP fails, or does not connect at once: some
//! routers let only one of them through.
//!
//! Each process has an identity of its own, so that two never look like one node to a miner. Connections are made anew by
//! [`super::miner_connection`] whenever a miner is needed.

use super::serving::Offers;
use futures::StreamExt;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::timeout::TransportTimeout;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{Config, NetworkBehaviour, SwarmEvent};
use libp2p::{dns, identify, noise, ping, quic, tcp, Multiaddr, PeerId, Stream, StreamProtocol, Swarm, Transport};
use libp2p_stream::OpenStreamError;
use sealdrop_miner::network::frames::{self, StreamError};
use sealdrop_miner::network::{ending_when_dead, TransportKind, Yamux};
use shared::client::dialing::{plan, Dialer, Failures, Obstacle};
use shared::wire::{protocol, Cbor};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// How long making a connection may take, and how long a user waits to hear that it cannot be made.
pub const DIAL_LIMIT: Duration = Duration::from_secs(15);
/// How long TCP goes alone: a few round trips to the other side of the world.
const QUIC_AFTER: Duration = Duration::from_millis(800);
/// How long opening a stream on a live connection may take.
const OPEN_LIMIT: Duration = Duration::from_secs(15);
/// How long an unused connection is kept: the miner comes back over it for the piece.
const KEEP_CONNECTION: Duration = Duration::from_secs(24 * 3600);
/// Requests to connect that wait their turn, at most.
const MAX_COMMANDS: usize = 64;

/// Why a peer cannot be talked to.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    #[error("the network knows no address of its peer {0} over TCP or QUIC")]
    NoAddress(String),
    #[error("none of the addresses of its peer can be used from here: {}", .0.message())]
    LeftOut(Obstacle),
    #[error("{0:?} is no peer id")]
    PeerId(String),
    #[error("{0}")]
    Dial(String),
    #[error("no connection within {} seconds", DIAL_LIMIT.as_secs())]
    Timeout,
    #[error("the connection was lost")]
    Broken,
    #[error("it does not support the protocol {0}")]
    Protocol(String),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error("this program's libp2p node has stopped")]
    Stopped,
}

type Reply = oneshot::Sender<Result<(), NetworkError>>;

struct Connect {
    peer: PeerId,
    addresses: Vec<Multiaddr>,
    reply: Reply,
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    ping: ping::Behaviour,
    identify: identify::Behaviour,
    streams: libp2p_stream::Behaviour,
}

/// A handle to the running node. The node ends with its last handle.
#[derive(Clone)]
pub struct Network {
    commands: mpsc::Sender<Connect>,
    streams: libp2p_stream::Control,
}

impl Network {
    /// Starts a node that serves `offers`. Needs a tokio runtime.
    pub fn start(offers: Offers) -> Result<Self, String> {
        let swarm = swarm()?;
        let mut streams = swarm.behaviour().streams.new_control();
        let incoming = streams
            .accept(StreamProtocol::new(protocol::TRANSFER))
            .map_err(|e| e.to_string())?;
        tokio::spawn(offers.serve_all(incoming));
        let (commands, queue) = mpsc::channel(MAX_COMMANDS);
        let node = Node {
            swarm,
            dialing: BTreeMap::new(),
        };
        tokio::spawn(node.run(queue));
        Ok(Self { commands, streams })
    }

    /// Makes a connection to `peer` unless there is one; says so within [`DIAL_LIMIT`] when there cannot be.
    pub async fn connect(&self, peer: PeerId, addresses: &[String]) -> Result<(), NetworkError> {
        let texts = addresses.iter().map(String::as_str);
        // Nothing slows a program down whose dials fail, so none that failed is remembered.
        let plan = plan(&Dialer::program(), &peer.to_string(), texts, &Failures::default(), 0);
        let addresses: Vec<Multiaddr> = plan.dial.iter().filter_map(|next| next.address.parse().ok()).collect();
        if let (true, Some(obstacle)) = (addresses.is_empty(), plan.obstacle()) {
            return Err(NetworkError::LeftOut(obstacle));
        }
        let (reply, answer) = oneshot::channel();
        let connect = Connect { peer, addresses, reply };
        self.commands.send(connect).await.map_err(|_| NetworkError::Stopped)?;
        match tokio::time::timeout(DIAL_LIMIT, answer).await {
            Ok(outcome) => outcome.map_err(|_| NetworkError::Stopped)?,
            Err(_) => Err(NetworkError::Timeout),
        }
    }

    /// Opens a stream on an existing connection.
    pub async fn open(&self, peer: PeerId, protocol: &'static str) -> Result<Stream, NetworkError> {
        let mut streams = self.streams.clone();
        let opening = streams.open_stream(peer, StreamProtocol::new(protocol));
        match tokio::time::timeout(OPEN_LIMIT, opening).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(OpenStreamError::UnsupportedProtocol(protocol))) => {
                Err(NetworkError::Protocol(protocol.to_string()))
            }
            Ok(Err(_)) => Err(NetworkError::Broken),
            Err(_) => Err(NetworkError::Timeout),
        }
    }

    /// Sends one question and reads the one answer.
    pub async fn ask<Q: Cbor, A: Cbor>(
        &self,
        peer: PeerId,
        protocol: &'static str,
        question: &Q,
    ) -> Result<A, NetworkError> {
        let mut stream = self.open(peer, protocol).await?;
        frames::write(&mut stream, question).await?;
        let answer = frames::read(&mut stream).await?;
        // The answer is here: whether the other side hears the end matters to nobody.
        let _ = frames::close(&mut stream).await;
        Ok(answer)
    }
}

/// How this node dials an address, if it does.
fn dialled(address: &Multiaddr) -> Option<TransportKind> {
    TransportKind::of(address).filter(|kind| matches!(kind, TransportKind::Tcp | TransportKind::Quic))
}

fn swarm() -> Result<Swarm<Behaviour>, String> {
    let key = Keypair::generate_ed25519();
    let plain = || transport(&key).map_err(|error| error.to_string());
    // Without a resolver, names in addresses cannot be dialled; everything else can.
    let transport = match dns::tokio::Transport::system(plain()?) {
        Ok(resolving) => resolving.boxed(),
        Err(error) => {
            tracing::warn!(%error, "this machine names no resolver: addresses with names are not dialled");
            plain()?
        }
    };
    let identify = identify::Config::new("/sealdrop/1.0.0".into(), key.public());
    let behaviour = Behaviour {
        ping: ping::Behaviour::default(),
        identify: identify::Behaviour::new(
            identify.with_agent_version(concat!("sealdrop/", env!("CARGO_PKG_VERSION")).into()),
        ),
        streams: libp2p_stream::Behaviour::new(),
    };
    let config = Config::with_tokio_executor().with_idle_connection_timeout(KEEP_CONNECTION);
    Ok(Swarm::new(transport, behaviour, key.public().to_peer_id(), config))
}

fn transport(key: &Keypair) -> Result<Boxed<(PeerId, StreamMuxerBox)>, noise::Error> {
    let over_tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .map(|stream, _| ending_when_dead(stream))
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(key)?)
        .multiplex(Yamux);
    let over_quic = quic::tokio::Transport::new(quic::Config::new(key));
    let over_quic = over_quic.map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let over_tcp = over_tcp.map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let either = over_tcp.or_transport(over_quic);
    let either = either.map(|either, _| either.into_inner());
    // The system itself waits for more than two minutes for a host that is not there.
    Ok(TransportTimeout::with_outgoing_timeout(either, DIAL_LIMIT).boxed())
}

/// A peer that is being dialled, and who waits for it.
struct Dialing {
    replies: Vec<Reply>,
    /// All that were or will be dialled.
    addresses: Vec<Multiaddr>,
    /// Dials that have not ended yet.
    under_way: usize,
    /// Dialled when those before failed, and at this time at the latest.
    second: Vec<Multiaddr>,
    second_at: Instant,
    /// Why dials failed.
    reasons: Vec<String>,
}

impl Dialing {
    /// Those of `addresses` that are not dialled yet; they count as dialled from now on.
    fn take_newer(&mut self, mut addresses: Vec<Multiaddr>) -> Vec<Multiaddr> {
        addresses.retain(|address| !self.addresses.contains(address));
        self.addresses.extend_from_slice(&addresses);
        addresses
    }
}

/// The node itself; lives in its own task.
struct Node {
    swarm: Swarm<Behaviour>,
    dialing: BTreeMap<PeerId, Dialing>,
}

impl Node {
    async fn run(mut self, mut commands: mpsc::Receiver<Connect>) {
        loop {
            let next = self.next_second();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.connect(command),
                    None => return,
                },
                event = self.swarm.select_next_some() => self.on_event(event),
                peer = next => self.dial_second(&peer),
            }
        }
    }

    /// Ends when the second addresses of a peer are to be dialled.
    fn next_second(&self) -> impl std::future::Future<Output = PeerId> {
        let waiting = self.dialing.iter().filter(|(_, dialing)| !dialing.second.is_empty());
        let first = waiting.map(|(peer, dialing)| (dialing.second_at, *peer)).min();
        async move {
            match first {
                Some((at, peer)) => {
                    tokio::time::sleep_until(at).await;
                    peer
                }
                None => std::future::pending().await,
            }
        }
    }

    fn connect(&mut self, connect: Connect) {
        let Connect { peer, addresses, reply } = connect;
        // Nobody waits any more where a reply cannot be sent.
        if self.swarm.is_connected(&peer) {
            let _ = reply.send(Ok(()));
            return;
        }
        if addresses.is_empty() {
            let _ = reply.send(Err(NetworkError::NoAddress(peer.to_string())));
            return;
        }
        if let Some(dialing) = self.dialing.get_mut(&peer) {
            dialing.replies.push(reply);
            // It has moved: where it was, nobody may answer for a long time.
            let (mut newer, other) = in_order(dialing.take_newer(addresses));
            newer.extend(other);
            if !newer.is_empty() {
                self.dial(&peer, newer);
            }
            return;
        }
        let tried = addresses.clone();
        let (first, second) = in_order(addresses);
        let dialing = Dialing {
            replies: vec![reply],
            addresses: tried,
            under_way: 0,
            second,
            second_at: Instant::now() + QUIC_AFTER,
            reasons: Vec::new(),
        };
        self.dialing.insert(peer, dialing);
        self.dial(&peer, first);
    }

    fn dial(&mut self, peer: &PeerId, addresses: Vec<Multiaddr>) {
        let options = DialOpts::peer_id(*peer)
            .addresses(addresses)
            .condition(PeerCondition::Always)
            .build();
        if let Some(dialing) = self.dialing.get_mut(peer) {
            dialing.under_way += 1;
        }
        if let Err(error) = self.swarm.dial(options) {
            self.failed(peer, error.to_string());
        }
    }

    fn dial_second(&mut self, peer: &PeerId) {
        let dialing = self.dialing.get_mut(peer);
        let second = dialing.map(|dialing| std::mem::take(&mut dialing.second));
        match second {
            Some(addresses) if !addresses.is_empty() => self.dial(peer, addresses),
            _ => {}
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                num_established,
                ..
            } => {
                self.connected(&peer_id);
                // Both dials met somebody.
                if num_established.get() > 1 {
                    self.swarm.close_connection(connection_id);
                }
            }
            SwarmEvent::OutgoingConnectionError {
                peer_id: Some(peer),
                error,
                ..
            } => self.failed(&peer, reason_of(&error)),
            // A peer that vanished without a word keeps its connection for minutes; the ping notices first. One that does
            // not know pings is no worse for it.
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event {
                connection,
                result: Err(error),
                ..
            })) if !matches!(error, ping::Failure::Unsupported) => {
                tracing::debug!(%error, "a miner does not answer pings");
                self.swarm.close_connection(connection);
            }
            _ => {}
        }
    }

    fn connected(&mut self, peer: &PeerId) {
        let dialing = self.dialing.remove(peer);
        for reply in dialing.into_iter().flat_map(|dialing| dialing.replies) {
            let _ = reply.send(Ok(()));
        }
    }

    /// A dial failed: the other addresses are next, and with none left all who wait hear why.
    fn failed(&mut self, peer: &PeerId, reason: String) {
        let Some(dialing) = self.dialing.get_mut(peer) else {
            return;
        };
        dialing.reasons.push(reason);
        dialing.under_way = dialing.under_way.saturating_sub(1);
        if !dialing.second.is_empty() {
            self.dial_second(peer);
        } else if dialing.under_way == 0 {
            let dialing = self.dialing.remove(peer);
            for (reply, reasons) in dialing.into_iter().flat_map(|d| {
                let reasons = d.reasons.join("; ");
                d.replies.into_iter().map(move |reply| (reply, reasons.clone()))
            }) {
                let _ = reply.send(Err(NetworkError::Dial(reasons)));
            }
        }
    }
}

/// The addresses that are dialled first, and those that are dialled when these fail or are slow.
fn in_order(addresses: Vec<Multiaddr>) -> (Vec<Multiaddr>, Vec<Multiaddr>) {
    let is_tcp = |address: &Multiaddr| dialled(address) == Some(TransportKind::Tcp);
    let (tcp, quic): (Vec<_>, Vec<_>) = addresses.into_iter().partition(is_tcp);
    match tcp.is_empty() {
        true => (quic, tcp),
        false => (tcp, quic),
    }
}

/// The innermost reasons of a failed dial: libp2p's own text repeats its layers.
fn reason_of(error: &libp2p::swarm::DialError) -> String {
    let libp2p::swarm::DialError::Transport(attempts) = error else {
        return error.to_string();
    };
    let reasons = attempts.iter().map(|(address, error)| {
        let mut inner: &dyn std::error::Error = error;
        while let Some(source) = inner.source() {
            inner = source;
        }
        format!("{address}: {inner}")
    });
    reasons.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Multiaddr {
        text.parse().expect("a multiaddr")
    }

    #[test]
    fn only_plain_tcp_addresses_and_quic_are_dialled() {
        let is_dialled = |text: &str| dialled(&address(text)).is_some();
        assert!(is_dialled("/ip4/127.0.0.1/tcp/4401"));
        assert!(is_dialled("/ip4/127.0.0.1/udp/4401/quic-v1"));
        assert!(is_dialled("/dns4/miner.example/tcp/4401"));
        assert!(!is_dialled("/ip4/127.0.0.1/tcp/4402/ws"));
        assert!(!is_dialled("/ip4/127.0.0.1/udp/4402/quic-v1/webtransport"));
        assert!(!is_dialled("/ip4/127.0.0.1"));
    }

    #[test]
    fn quic_waits_for_tcp_and_goes_first_where_there_is_none() {
        let (tcp, quic) = (address("/ip4/10.0.0.1/tcp/1"), address("/ip4/10.0.0.1/udp/1/quic-v1"));
        let both = in_order(vec![quic.clone(), tcp.clone()]);
        assert_eq!(both, (vec![tcp], vec![quic.clone()]));
        assert_eq!(in_order(vec![quic.clone()]), (vec![quic], vec![]));
    }

    /// A miner that is reached over QUIC only, and its address.
    async fn miner() -> (PeerId, String) {
        let key = Keypair::generate_ed25519();
        let mut miner = quic::tokio::Transport::new(quic::Config::new(&key));
        let any = address("/ip4/127.0.0.1/udp/0/quic-v1");
        miner
            .listen_on(libp2p::core::transport::ListenerId::next(), any)
            .expect("it listens");
        let mut miner = miner.boxed();
        let heard = futures::StreamExt::next(&mut miner).await.expect("it has an address");
        let quic = heard.into_new_address().expect("an address");
        tokio::spawn(async move {
            while let Some(event) = futures::StreamExt::next(&mut miner).await {
                if let Some((upgrade, _)) = event.into_incoming() {
                    tokio::spawn(async move {
                        let _connected = upgrade.await;
                        std::future::pending::<()>().await;
                    });
                }
            }
        });
        (key.public().to_peer_id(), quic.to_string())
    }

    /// A port where somebody takes connections and says nothing.
    fn silent() -> (std::net::TcpListener, String) {
        let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let bound = silent.local_addr().expect("bound");
        let address = format!("/ip4/{}/tcp/{}", bound.ip(), bound.port());
        (silent, address)
    }

    #[tokio::test]
    async fn a_miner_that_only_quic_reaches_is_reached() {
        let (peer, quic) = miner().await;
        let (_listener, tcp) = silent();
        let network = Network::start(Offers::default()).expect("a node");
        let connected = network.connect(peer, &[tcp, quic]).await;
        assert!(connected.is_ok(), "{connected:?}");
    }

    #[tokio::test]
    async fn a_miner_that_has_moved_is_reached_while_it_is_still_dialled_where_it_was() {
        let (peer, quic) = miner().await;
        let (_listener, tcp) = silent();
        let network = Network::start(Offers::default()).expect("a node");
        let before = [tcp];
        let (moved, connected) = tokio::join!(network.connect(peer, &before), async {
            // It is sent after the other one.
            tokio::task::yield_now().await;
            tokio::time::timeout(DIAL_LIMIT / 3, network.connect(peer, &[quic])).await
        });
        assert!(matches!(connected, Ok(Ok(()))), "{connected:?}");
        assert!(
            moved.is_ok(),
            "whoever waited for the old address hears of it, too: {moved:?}"
        );
    }
}
