//! What the host is made of: the transports with their limits, and what every libp2p node speaks.

use super::dead_path::ending_when_dead;
use super::guarded::Guarded;
use super::handshakes::{Bounded, Handshakes, HANDSHAKE_LIMIT};
use super::listen::{HostConfig, ListenAddress, TransportKind};
use super::muxer::Yamux;
use super::reachability::{DialGuard, RoundClient};
use super::refused::Refused;
use super::stream_budget::StreamBudget;
use super::tls::{self, Secure};
use super::{webrtc, NetworkError};
use futures::{AsyncRead, AsyncWrite};
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox};
use libp2p::core::transport::{Boxed, OptionalTransport};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{Config, DialError, NetworkBehaviour};
use libp2p::{autonat, identify, noise, ping, quic, tcp, upnp, PeerId, Swarm, Transport};
use libp2p_webtransport_quinn as webtransport;
use sealdrop_listener::Certificate;
use std::sync::Arc;
use std::time::Duration;

/// Connections that come in, established, at most.
pub(super) const MAX_CONNECTIONS: usize = 128;
/// A newcomer is let in before an idle connection is let go.
const SPARE: usize = 8;
/// Connections of one peer: a page and its reload.
const MAX_CONNECTIONS_OF_A_PEER: u32 = 8;
/// A client with a deal asks about it every few seconds; one that does not is let go after this.
const KEEP_CONNECTION: Duration = Duration::from_secs(600);
/// Streams of a connection whose protocol is being agreed; more wait in their budget.
const MAX_NEGOTIATING: usize = 16;
/// Streams of a connection that yamux keeps, those that were reset and that it has not let go of yet among them; it ends a connection
/// that opens more. Somewhat more than the budget admits of any.
pub(super) const MAX_STREAMS: usize = 192;
/// Longest WebSocket frame or message, in bytes; memory is reserved for it by its declared length, before Noise. Our clients send
/// what Noise hands out at a time: less than 200 KiB.
const MAX_FRAME: usize = 256 * 1024;
/// Unread bytes of a QUIC connection, all its streams together. A connection over yamux may hold 1 MiB without a place of the
/// common pool, and 256 KiB of a WebSocket frame: a QUIC connection in its stead holds no more, though quinn takes up to two and a
/// half times of what it promises for data in small pieces.
const QUIC_WINDOW: u32 = 512 * 1024;
/// Silence after which a QUIC connection is over, in milliseconds; keep-alives come every 5 seconds.
const QUIC_SILENCE_MS: u32 = 30_000;
/// What the host says of itself.
const AGENT: &str = concat!("sealdrop/", env!("CARGO_PKG_VERSION"));

#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    limits: connection_limits::Behaviour,
    ping: ping::Behaviour,
    identify: identify::Behaviour,
    pub(super) stream: libp2p_stream::Behaviour,
    /// Before what dials for peers: it is asked about each dial.
    pub(super) guard: DialGuard,
    pub(super) outside: RoundClient,
    dial_backs: autonat::v2::server::Behaviour,
    pub(super) router: Toggle<upnp::tokio::Behaviour>,
}

/// The certificates of those transports that need one to listen; none of what is not listened on.
#[derive(Clone, Default)]
pub(super) struct Certificates {
    pub(super) tls: Option<Certificate>,
    webtransport: Option<webtransport::Certificates>,
    webrtc: Option<libp2p_webrtc::tokio::Certificate>,
}

impl Certificates {
    /// Those that a host with these listeners needs, from the disk.
    pub(super) fn of(config: &HostConfig, listeners: &[ListenAddress]) -> Result<Self, NetworkError> {
        let listens = |kind| listeners.iter().any(|listener| listener.kind == kind);
        let folder = &config.certificates;
        if listens(TransportKind::WebTransport) || listens(TransportKind::WebRtcDirect) {
            std::fs::create_dir_all(folder).map_err(|source| NetworkError::Folder {
                path: folder.clone(),
                source,
            })?;
        }
        let mut all = Self::default();
        if listens(TransportKind::WebTransport) {
            all.webtransport = Some(webtransport::Certificates::open(folder.join("webtransport.pem"))?);
        }
        if listens(TransportKind::WebRtcDirect) {
            all.webrtc = Some(webrtc::load_or_create(&folder.join("webrtc.pem"))?);
        }
        if listens(TransportKind::SecureWebSocket) {
            all.tls.clone_from(&config.tls);
        }
        Ok(all)
    }
}

/// A swarm that does not listen yet.
pub(super) fn swarm(
    key: &Keypair,
    certificates: &Certificates,
    refused: &Refused,
) -> Result<Swarm<Behaviour>, NetworkError> {
    let transport = transports(key, certificates, refused)?;
    let config = Config::with_tokio_executor()
        .with_idle_connection_timeout(KEEP_CONNECTION)
        .with_max_negotiating_inbound_streams(MAX_NEGOTIATING);
    Ok(Swarm::new(transport, behaviour(key), key.public().to_peer_id(), config))
}

/// Dials somebody of the host's own accord: what is dialled for others, the guard allows or not.
pub(super) fn dial(swarm: &mut Swarm<Behaviour>, dial: DialOpts) -> Result<(), DialError> {
    swarm.behaviour_mut().guard.allow(&dial);
    swarm.dial(dial)
}

/// All transports, each with its limits.
fn transports(
    key: &Keypair,
    certificates: &Certificates,
    refused: &Refused,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, NetworkError> {
    let budget = StreamBudget::new(refused.clone());
    let socket = || {
        let plain = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
        plain.map(|stream, _| Guarded::new(ending_when_dead(stream))).boxed()
    };
    let noise = || noise::Config::new(key).map_err(|e| NetworkError::SetUp(e.to_string()));
    let over_tcp = socket()
        .upgrade(Version::V1Lazy)
        .authenticate(noise()?)
        .multiplex(Yamux);
    let over_websocket = framed(socket())
        .upgrade(Version::V1Lazy)
        .authenticate(noise()?)
        .multiplex(Yamux);
    let over_tls = match &certificates.tls {
        Some(certificate) => {
            let acceptor = tls::acceptor(certificate).map_err(|e| NetworkError::SetUp(e.to_string()))?;
            let under_tls = socket().and_then(move |stream, _| tls::accept(acceptor, stream));
            let over_websocket = framed(under_tls)
                .upgrade(Version::V1Lazy)
                .authenticate(noise()?)
                .multiplex(Yamux);
            OptionalTransport::some(Secure(over_websocket))
        }
        None => OptionalTransport::none(),
    };
    let over_webtransport = certificates
        .webtransport
        .as_ref()
        .map_or_else(OptionalTransport::none, |kept| {
            let config = webtransport::Config::new(key).handshake_limit(HANDSHAKE_LIMIT);
            let config = config.window_budget(Arc::new(budget.clone()));
            OptionalTransport::some(webtransport::Transport::new(config, kept.clone()))
        });
    let over_webrtc = certificates
        .webrtc
        .as_ref()
        .map_or_else(OptionalTransport::none, |kept| {
            let transport = libp2p_webrtc::tokio::Transport::new(key.clone(), kept.clone());
            OptionalTransport::some(transport.map(|(peer, muxer), _| (peer, webrtc::Apart(muxer))))
        });
    let over_quic = quic::tokio::Transport::new(quic_config(key));
    // A handshake of a browser holds up to 256 KiB, one of a native peer next to nothing, one over WebRTC a few tasks.
    let (browsers, natives) = (Handshakes::default(), Handshakes::default());
    let few = Handshakes::at_most(webrtc::MAX_HANDSHAKES);
    let all = limited(over_tls, &budget, &browsers, refused)
        .or_transport(limited(over_websocket, &budget, &browsers, refused))
        .map(|either, _| either.into_inner())
        .or_transport(limited(over_tcp, &budget, &natives, refused))
        .map(|either, _| either.into_inner())
        .or_transport(limited(over_quic, &budget, &natives, refused))
        .map(|either, _| either.into_inner())
        .or_transport(limited(over_webtransport, &budget, &browsers, refused))
        .map(|either, _| either.into_inner())
        .or_transport(limited(over_webrtc, &budget, &few, refused))
        .map(|either, _| either.into_inner());
    Ok(all.boxed())
}

/// WebSocket over sockets.
fn framed<T>(sockets: T) -> libp2p_websocket::Config<Boxed<T::Output>>
where
    T: Transport + Send + Unpin + 'static,
    T::Output: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T::Error: Send + Sync,
    T::Dial: Send + 'static,
    T::ListenerUpgrade: Send + 'static,
{
    let mut framed = libp2p_websocket::Config::new(sockets.boxed());
    framed.set_max_data_size(MAX_FRAME);
    framed
}

/// What QUIC may hold of a connection: it has no budget of windows as yamux has, so that each connection has its own share.
fn quic_config(key: &Keypair) -> quic::Config {
    let mut config = quic::Config::new(key);
    config.handshake_timeout = HANDSHAKE_LIMIT;
    config.max_idle_timeout = QUIC_SILENCE_MS;
    config.max_concurrent_stream_limit = MAX_STREAMS as u32;
    config.max_stream_data = QUIC_WINDOW;
    config.max_connection_data = QUIC_WINDOW;
    config
}

/// The transport with its handshakes bounded, and streams within the budget.
fn limited<T, M>(transport: T, budget: &StreamBudget, room: &Handshakes, refused: &Refused) -> Bounded
where
    T: Transport<Output = (PeerId, M)> + Send + Unpin + 'static,
    T::Error: Send + Sync,
    T::Dial: Send + 'static,
    T::ListenerUpgrade: Send + 'static,
    M: StreamMuxer + Send + 'static,
    M::Substream: Send + 'static,
    M::Error: Send + Sync + 'static,
{
    let budget = budget.clone();
    let counted = transport.map(move |(peer, muxer), _| {
        let muxer = budget.of(StreamMuxerBox::new(muxer));
        (peer, StreamMuxerBox::new(muxer))
    });
    Bounded::new(counted.boxed(), room.clone(), refused.clone())
}

fn behaviour(key: &Keypair) -> Behaviour {
    let limits = ConnectionLimits::default()
        .with_max_established_incoming(Some((MAX_CONNECTIONS + SPARE) as u32))
        .with_max_established_per_peer(Some(MAX_CONNECTIONS_OF_A_PEER));
    let identify = identify::Config::new("/sealdrop/1.0.0".into(), key.public())
        .with_agent_version(AGENT.into())
        // Its record says where it is. Those of many interfaces make the message longer than the 4 KiB that any peer reads, and whoever
        // dials a public address has no business with the networks behind it.
        .with_hide_listen_addrs(true);
    Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        ping: ping::Behaviour::default(),
        identify: identify::Behaviour::new(identify),
        stream: libp2p_stream::Behaviour::new(),
        guard: DialGuard::default(),
        outside: RoundClient::default(),
        dial_backs: autonat::v2::server::Behaviour::default(),
        // Looked for only where some interface is of a local network: [`super::host`] decides.
        router: Toggle::from(None),
    }
}
