//! What the host is made of: both transports with their limits, and what every libp2p node speaks.

use super::handshakes::Bounded;
use super::stream_budget::StreamBudget;
use super::NetworkError;
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::core::muxing::StreamMuxerBox;
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
/// Streams of a connection that yamux keeps: above what the budget admits, since yamux ends a connection that opens more.
const MAX_STREAMS: usize = 512;
/// Longest WebSocket frame or message, in bytes; memory is reserved for it by its declared length, before Noise. Our clients send
/// what Noise hands out at a time: less than 200 KiB.
const MAX_FRAME: usize = 512 * 1024;
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
pub(super) fn swarm(key: &Keypair) -> Result<Swarm<Behaviour>, NetworkError> {
    let broken = |e: &dyn std::fmt::Display| NetworkError::SetUp(e.to_string());
    let budget = StreamBudget::default();
    let socket = || tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
    let secured = |key: &Keypair| noise::Config::new(key).map_err(|e| broken(&e));
    let mut streams = yamux::Config::default();
    streams.set_max_num_streams(MAX_STREAMS);
    let count = { move |peer: PeerId, muxer: StreamMuxerBox| (peer, StreamMuxerBox::new(budget.of(muxer))) };
    let over_tcp = socket()
        .upgrade(Version::V1Lazy)
        .authenticate(secured(key)?)
        .multiplex(streams.clone());
    let mut framed = libp2p_websocket::Config::new(socket());
    framed.set_max_data_size(MAX_FRAME);
    let over_websocket = framed
        .upgrade(Version::V1Lazy)
        .authenticate(secured(key)?)
        .multiplex(streams);
    let transport = over_websocket
        .or_transport(over_tcp)
        .map(move |connected, _| {
            let (peer, muxer) = match connected {
                futures::future::Either::Left((peer, muxer)) => (peer, StreamMuxerBox::new(muxer)),
                futures::future::Either::Right((peer, muxer)) => (peer, StreamMuxerBox::new(muxer)),
            };
            count(peer, muxer)
        })
        .boxed();
    let config = Config::with_tokio_executor()
        .with_idle_connection_timeout(KEEP_CONNECTION)
        .with_max_negotiating_inbound_streams(MAX_NEGOTIATING);
    let peer = key.public().to_peer_id();
    Ok(Swarm::new(
        Bounded::new(transport).boxed(),
        behaviour(key),
        peer,
        config,
    ))
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
