//! Whether an address answers as the miner that it should lead to: dialled as a stranger would, from outside of the swarm, with a key that
//! is thrown away.
//!
//! Called by `self_check` for each advertised address now and then, and by `sealdrop doctor`. An address answers when its libp2p
//! handshake shows the expected peer id and the peer then says who it is (identify): a port that is open, or a proxy
//! that takes connections for a miner that is gone, is not enough.

mod webtransport;

use super::advertised::Reach;
use super::http_address::{self, http_url};
use super::listen::TransportKind;
use super::muxer::Yamux;
use futures::StreamExt;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::transport::TransportError;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{Config, DialError, SwarmEvent};
use libp2p::{dns, identify, noise, quic, tcp, Multiaddr, PeerId, Swarm, Transport};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::io;
use std::time::{Duration, Instant};

/// How long an address may take to answer: several round trips to the other side of the world, and a lost packet.
pub const PROBE_LIMIT: Duration = Duration::from_secs(10);
/// Longest reason that is kept, in characters.
const MAX_REASON: usize = 300;

/// Why an address does not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    #[error("the connection is refused: nothing listens there")]
    Refused,
    #[error("there was no answer within {} seconds", PROBE_LIMIT.as_secs())]
    Silent,
    #[error("there is no way there: {0}")]
    NoRoute(String),
    #[error("its name leads nowhere: {0}")]
    Name(String),
    #[error("its certificate is not valid: {0}")]
    Certificate(String),
    #[error("another peer answers there: {0}")]
    OtherPeer(String),
    #[error("it cannot be tried from here: this program does not dial such addresses")]
    Untried,
    #[error("the handshake fails: {0}")]
    Handshake(String),
}

/// A stable name for each of [`Unanswered`], and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    Refused,
    Silent,
    NoRoute,
    Name,
    Certificate,
    OtherPeer,
    Untried,
    Handshake,
}

impl Unanswered {
    pub fn fault(&self) -> Fault {
        match self {
            Self::Refused => Fault::Refused,
            Self::Silent => Fault::Silent,
            Self::NoRoute(_) => Fault::NoRoute,
            Self::Name(_) => Fault::Name,
            Self::Certificate(_) => Fault::Certificate,
            Self::OtherPeer(_) => Fault::OtherPeer,
            Self::Untried => Fault::Untried,
            Self::Handshake(_) => Fault::Handshake,
        }
    }
}

impl Fault {
    /// What the operator can do.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Refused => "check that the daemon runs and that the port is the one that it listens on; behind a router, let the router pass the port on to this machine",
            Self::Silent => "open the port in the firewall, and behind a router let it pass the port on (UPnP or PCP do it by themselves where the router has one); otherwise announce an address that leads here",
            Self::NoRoute => "this machine has no connection to that network: announce an address of a network that it is in",
            Self::Name => "correct the name in the announced address, or its entry in the DNS",
            Self::Certificate => "renew the certificate or give the daemon the new file; the name in the address must be one of the certificate's",
            Self::OtherPeer => "the name or port leads to another machine, or the miner's host key was replaced: correct the announced address",
            Self::Untried => "nothing is known to be wrong; a browser tries it when the page is opened at this miner",
            Self::Handshake => "something else than this miner answers there, such as a proxy without its miner: check what listens on the port",
        }
    }
}

/// An address of a peer, as it signed it.
#[derive(Debug, Clone)]
pub struct PeerAddress {
    address: Multiaddr,
    peer: PeerId,
}

impl PeerAddress {
    /// From a record's bytes and the text of its peer id; `None` where this version cannot read them.
    pub fn parse(address: &[u8], peer: &str) -> Option<Self> {
        let address = Multiaddr::try_from(address.to_vec()).ok()?;
        let peer = peer.parse().ok()?;
        Some(Self { address, peer })
    }

    pub fn reach(&self) -> Reach {
        Reach::of(&self.address)
    }

    /// See [`probe`].
    pub async fn probe(&self) -> Result<Duration, Unanswered> {
        probe(&self.address, self.peer).await
    }
}

impl std::fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.address.fmt(f)
    }
}

/// What a dialling node is made of; it serves nothing.
struct Dialer {
    swarm: Swarm<identify::Behaviour>,
}

/// Tries an address; how long it took to answer. One of HTTP answers when a gateway is there: whose it is, it cannot show.
pub async fn probe(address: &Multiaddr, peer: PeerId) -> Result<Duration, Unanswered> {
    let began = Instant::now();
    let trying = async {
        if let Some(url) = http_url(address) {
            return http_address::answers(&url).await;
        }
        match TransportKind::of(address) {
            Some(TransportKind::WebTransport) => {
                let target = webtransport::Target::of(address).ok_or(Unanswered::Untried)?;
                is_peer(target.answers(&Keypair::generate_ed25519()).await?, peer)
            }
            Some(TransportKind::WebRtcDirect) | None => Err(Unanswered::Untried),
            Some(_) => Dialer::new()?.reach(address, peer).await,
        }
    };
    let answered = tokio::time::timeout(PROBE_LIMIT, trying).await;
    answered.map_err(|_| Unanswered::Silent)??;
    Ok(began.elapsed())
}

fn is_peer(found: PeerId, expected: PeerId) -> Result<(), Unanswered> {
    match found == expected {
        true => Ok(()),
        false => Err(Unanswered::OtherPeer(found.to_string())),
    }
}

impl Dialer {
    fn new() -> Result<Self, Unanswered> {
        let key = Keypair::generate_ed25519();
        let transport = transport(&key).map_err(|error| Unanswered::Handshake(short(&error)))?;
        let identify = identify::Behaviour::new(identify::Config::new("/sealdrop/1.0.0".into(), key.public()));
        let config = Config::with_tokio_executor().with_idle_connection_timeout(PROBE_LIMIT);
        let swarm = Swarm::new(transport, identify, key.public().to_peer_id(), config);
        Ok(Self { swarm })
    }

    async fn reach(&mut self, address: &Multiaddr, peer: PeerId) -> Result<(), Unanswered> {
        let dial = DialOpts::peer_id(peer).addresses(vec![address.clone()]).build();
        self.swarm.dial(dial).map_err(|error| reason(&error))?;
        loop {
            match self.swarm.select_next_some().await {
                SwarmEvent::Behaviour(identify::Event::Received { info, .. }) => {
                    return is_peer(info.public_key.to_peer_id(), peer);
                }
                SwarmEvent::Behaviour(identify::Event::Error { error, .. }) => {
                    return Err(Unanswered::Handshake(short(&error)))
                }
                SwarmEvent::OutgoingConnectionError { error, .. } => return Err(reason(&error)),
                SwarmEvent::ConnectionClosed { cause, .. } => {
                    let cause = cause.map_or("the connection ended".to_owned(), |cause| short(&cause));
                    return Err(Unanswered::Handshake(cause));
                }
                _ => {}
            }
        }
    }
}

/// The transports of a native client: TCP, WebSocket with and without TLS, QUIC; names are looked up.
fn transport(key: &Keypair) -> Result<Boxed<(PeerId, StreamMuxerBox)>, noise::Error> {
    let noise = noise::Config::new(key)?;
    let socket = || tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
    let others = || {
        let over_tcp = socket()
            .upgrade(Version::V1Lazy)
            .authenticate(noise.clone())
            .multiplex(Yamux)
            .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
        let over_quic = quic::tokio::Transport::new(quic::Config::new(key));
        let over_quic = over_quic.map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
        over_tcp.or_transport(over_quic).map(|either, _| either.into_inner())
    };
    // Names are looked up below the WebSocket, and not around it: TLS asks for the name that was dialled.
    let over_websocket = libp2p_websocket::Config::new(resolving(socket))
        .upgrade(Version::V1Lazy)
        .authenticate(noise.clone())
        .multiplex(Yamux)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    // What looks names up takes every address, so that it is asked last.
    let all = over_websocket.or_transport(resolving(others));
    Ok(all.map(|either, _| either.into_inner()).boxed())
}

/// With names looked up. Without a resolver they cannot be tried; everything else can.
fn resolving<T>(transport: impl Fn() -> T) -> Boxed<T::Output>
where
    T: Transport + Send + Unpin + 'static,
    T::Output: 'static,
    T::Error: Send + Sync,
    T::Dial: Send + 'static,
    T::ListenerUpgrade: Send + 'static,
{
    match dns::tokio::Transport::system(transport()) {
        Ok(resolving) => resolving.boxed(),
        Err(_) => transport().boxed(),
    }
}

/// Why a dial failed.
fn reason(error: &DialError) -> Unanswered {
    match error {
        DialError::WrongPeerId { obtained, .. } => Unanswered::OtherPeer(obtained.to_string()),
        DialError::LocalPeerId { .. } => Unanswered::OtherPeer("this very node".to_owned()),
        DialError::Transport(attempts) => match attempts.first() {
            Some((_, TransportError::MultiaddrNotSupported(_))) | None => Unanswered::Untried,
            Some((_, TransportError::Other(error))) => transport_reason(error),
        },
        other => Unanswered::Handshake(short(other)),
    }
}

pub(super) fn transport_reason(error: &io::Error) -> Unanswered {
    let causes = causes(error);
    let kinds = causes.iter().filter_map(|cause| cause.downcast_ref::<io::Error>());
    let text = causes.last().map_or_else(String::new, short);
    for kind in kinds.map(io::Error::kind) {
        match kind {
            io::ErrorKind::ConnectionRefused => return Unanswered::Refused,
            io::ErrorKind::TimedOut => return Unanswered::Silent,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => {
                return Unanswered::NoRoute(text)
            }
            _ => {}
        }
    }
    let all: Vec<String> = causes.iter().map(|cause| cause.to_string().to_lowercase()).collect();
    let says = |words: &[&str]| all.iter().any(|text| words.iter().any(|word| text.contains(word)));
    match () {
        () if says(&["certificate", "certhash"]) => Unanswered::Certificate(text),
        () if says(&["no records found", "dns", "resolve", "lookup"]) => Unanswered::Name(text),
        () if says(&["connection refused"]) => Unanswered::Refused,
        () if says(&["timed out", "timeout"]) => Unanswered::Silent,
        () => Unanswered::Handshake(text),
    }
}

/// An error and what caused it, the outermost first. An I/O error that holds another says that one's source for its own.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut all = vec![error];
    let mut at = error;
    loop {
        let inner = at.downcast_ref::<io::Error>().and_then(|error| error.get_ref());
        let next = match inner {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => at.source(),
        };
        match next {
            // Bounded: an error may name itself.
            Some(next) if all.len() < 16 => {
                all.push(next);
                at = next;
            }
            _ => return all,
        }
    }
}

fn short(error: &(impl std::fmt::Display + ?Sized)) -> String {
    error.to_string().chars().take(MAX_REASON).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Host, HostConfig, TransportKind};
    use tokio::io::AsyncWriteExt;

    async fn host() -> (Host, tokio::task::JoinHandle<()>) {
        let folder = tempfile::tempdir().expect("a folder");
        let config = HostConfig::on_loopback(0, 0, folder.path().to_owned());
        let host = Host::start(Keypair::generate_ed25519(), config)
            .await
            .expect("it listens");
        let open = host.open().await.expect("it listens");
        let running = tokio::spawn(async move { drop(open.run().await) });
        (host, running)
    }

    #[tokio::test]
    async fn a_host_answers_at_every_address_that_it_listens_on() {
        let (host, running) = host().await;
        for address in host.addresses() {
            probe(&address, host.peer_id()).await.expect("it answers");
        }
        running.abort();
    }

    #[tokio::test]
    async fn a_host_that_listens_at_many_addresses_says_who_it_is_all_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = HostConfig::on_loopback(0, 0, folder.path().to_owned());
        // More than 4 KiB of addresses.
        let of = |n| format!("/ip4/127.0.0.{n}/udp/0/quic-v1/webtransport").parse();
        config.listen.truncate(1);
        config.listen.extend((1..32).map(|n| of(n).expect("a multiaddr")));
        let host = Host::start(Keypair::generate_ed25519(), config).await;
        let host = host.expect("it listens");
        let open = host.open().await.expect("it listens");
        let running = tokio::spawn(async move { drop(open.run().await) });
        let tcp = host.addresses().into_iter();
        let tcp = tcp.filter(|address| TransportKind::of(address) == Some(TransportKind::Tcp));
        for address in tcp {
            probe(&address, host.peer_id()).await.expect("it answers");
        }
        running.abort();
    }

    #[tokio::test]
    async fn an_address_of_another_peer_does_not_count() {
        let (host, running) = host().await;
        let asked = Keypair::generate_ed25519().public().to_peer_id();
        let found = Unanswered::OtherPeer(host.peer_id().to_string());
        for address in host.addresses() {
            assert_eq!(probe(&address, asked).await, Err(found.clone()), "{address}");
        }
        running.abort();
    }

    #[tokio::test]
    async fn a_closed_port_is_told_from_one_where_something_else_answers() {
        let peer = Keypair::generate_ed25519().public().to_peer_id();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let port = listener.local_addr().expect("it listens").port();
        let at = |ending: &str| {
            format!("/ip4/127.0.0.1/tcp/{port}{ending}")
                .parse::<Multiaddr>()
                .expect("a multiaddr")
        };
        let greeting = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                // Whoever dials hears something else than libp2p.
                let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").await;
            }
        });
        for ending in ["", "/ws"] {
            let found = probe(&at(ending), peer).await;
            assert!(matches!(found, Err(Unanswered::Handshake(_))), "{ending}: {found:?}");
        }
        greeting.abort();
        // Its port is closed with it.
        let _ = greeting.await;
        assert_eq!(probe(&at(""), peer).await, Err(Unanswered::Refused));
        assert_eq!(probe(&at("/ws"), peer).await, Err(Unanswered::Refused));
    }

    #[tokio::test]
    async fn what_cannot_be_dialled_from_here_is_no_fault() {
        let peer = Keypair::generate_ed25519().public().to_peer_id();
        let address = "/ip4/127.0.0.1/udp/4402/webrtc-direct"
            .parse::<Multiaddr>()
            .expect("a multiaddr");
        assert_eq!(probe(&address, peer).await, Err(Unanswered::Untried));
    }

    #[test]
    fn a_certificate_is_told_from_a_name_and_from_silence() {
        let of = |text: &str| transport_reason(&io::Error::other(text.to_owned()));
        assert!(matches!(
            of("invalid peer certificate: Expired"),
            Unanswered::Certificate(_)
        ));
        assert!(matches!(of("no records found for miner.example"), Unanswered::Name(_)));
        assert_eq!(of("operation timed out"), Unanswered::Silent);
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(transport_reason(&io::Error::other(refused)), Unanswered::Refused);
    }
}
