//! What the host is made of: both transports with their limits, and what every libp2p node speaks.

use super::guarded::Guarded;
use super::handshakes::Bounded;
use super::refused::Refused;
use super::stream_budget::StreamBudget;
use super::NetworkError;
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox};
use libp2p::core::transport::upgrade::Multiplexed;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::swarm::{Config, NetworkBehaviour};
use libp2p::{identify, noise, ping, tcp, yamux, PeerId, Swarm, Transport};
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
const MAX_STREAMS: usize = 192;
/// Longest WebSocket frame or message, in bytes; memory is reserved for it by its declared length, before Noise. Our clients send
/// what Noise hands out at a time: less than 200 KiB.
const MAX_FRAME: usize = 256 * 1024;
/// What the host says of itself.
const AGENT: &str = concat!("sealdrop/", env!("CARGO_PKG_VERSION"));

#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    limits: connection_limits::Behaviour,
    ping: ping::Behaviour,
    identify: identify::Behaviour,
    pub(super) stream: libp2p_stream::Behaviour,
}

/// A swarm that does not listen yet.
pub(super) fn swarm(key: &Keypair, refused: &Refused) -> Result<Swarm<Behaviour>, NetworkError> {
    let budget = StreamBudget::new(refused.clone());
    let socket = || {
        let plain = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
        plain.map(|stream, _| Guarded::new(stream)).boxed()
    };
    let noise = || noise::Config::new(key).map_err(|e| NetworkError::SetUp(e.to_string()));
    let mut streams = yamux::Config::default();
    streams.set_max_num_streams(MAX_STREAMS);
    let over_tcp = socket()
        .upgrade(Version::V1Lazy)
        .authenticate(noise()?)
        .multiplex(streams.clone());
    let mut framed = libp2p_websocket::Config::new(socket());
    framed.set_max_data_size(MAX_FRAME);
    let over_websocket = framed
        .upgrade(Version::V1Lazy)
        .authenticate(noise()?)
        .multiplex(streams);
    // Each listener has its own room for handshakes.
    let transport = limited(over_websocket, &budget, refused)
        .or_transport(limited(over_tcp, &budget, refused))
        .map(|either, _| either.into_inner())
        .boxed();
    let config = Config::with_tokio_executor()
        .with_idle_connection_timeout(KEEP_CONNECTION)
        .with_max_negotiating_inbound_streams(MAX_NEGOTIATING);
    let peer = key.public().to_peer_id();
    Ok(Swarm::new(transport, behaviour(key), peer, config))
}

/// The transport with its handshakes bounded, and streams within the budget.
fn limited<T, M>(transport: Multiplexed<T>, budget: &StreamBudget, refused: &Refused) -> Bounded
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
    Bounded::new(counted.boxed(), refused.clone())
}

fn behaviour(key: &Keypair) -> Behaviour {
    let limits = ConnectionLimits::default()
        .with_max_established_incoming(Some((MAX_CONNECTIONS + SPARE) as u32))
        .with_max_established_per_peer(Some(MAX_CONNECTIONS_OF_A_PEER));
    let identify = identify::Config::new("/sealdrop/1.0.0".into(), key.public()).with_agent_version(AGENT.into());
    Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        ping: ping::Behaviour::default(),
        identify: identify::Behaviour::new(identify),
        stream: libp2p_stream::Behaviour::new(),
    }
}
