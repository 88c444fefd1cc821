//! The libp2p host: listens on loopback TCP and WebSocket, counts connections, tells who is connected.

use super::NetworkError;
use crate::chain_access::ChainAccess;
use crate::supervisor::{Lifeline, ServiceError};
use futures::StreamExt;
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::upgrade::Version;
use libp2p::core::PeerRecord;
use libp2p::identity::Keypair;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{identify, noise, ping, tcp, yamux, Multiaddr, PeerId, Swarm, SwarmBuilder, Transport};
use libp2p_stream::Control;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long the host may take to listen.
pub(super) const LISTEN_LIMIT: Duration = Duration::from_secs(10);
/// Connections that come in, established, at most.
const MAX_CONNECTIONS: u32 = 256;
/// Connections of one peer: a page and its reload.
const MAX_CONNECTIONS_OF_A_PEER: u32 = 8;
/// Connections that are being set up.
const MAX_PENDING: u32 = 64;
/// A client with a deal asks about it every few seconds; one that does not is let go after this.
const KEEP_CONNECTION: Duration = Duration::from_secs(600);
/// The chain's directory forgets at a restart: it is told again in this interval.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(20);
/// What health calls the chain's directory of peers.
const DIRECTORY: &str = "directory of peers";
/// What the host says of itself.
const AGENT: &str = concat!("sealdrop/", env!("CARGO_PKG_VERSION"));

/// Where the host listens, on 127.0.0.1; port 0 takes a free one.
#[derive(Debug, Clone, Copy)]
pub struct HostConfig {
    pub tcp_port: u16,
    pub websocket_port: u16,
}

const TCP: (&str, &str) = ("libp2p over TCP", "--p2p-port");
const WEBSOCKET: (&str, &str) = ("libp2p over WebSocket", "--p2p-ws-port");

impl HostConfig {
    /// Fails when another program has one of the ports.
    pub fn check(&self) -> Result<(), NetworkError> {
        self.ports().map(|_| ())
    }

    /// The ports to listen on, with a free one for each 0. They differ, also from other programs': libp2p would share
    /// a port, and connections would be dealt out among those who listen on it.
    fn ports(&self) -> Result<[u16; 2], NetworkError> {
        // Both are held until both are known.
        let tcp = hold_port(self.tcp_port, TCP)?;
        let websocket = hold_port(self.websocket_port, WEBSOCKET)?;
        Ok([tcp.1, websocket.1])
    }
}

/// Takes a port for itself alone, which libp2p does not: it would listen beside another program without an error.
fn hold_port(port: u16, (what, option): (&'static str, &'static str)) -> Result<(TcpListener, u16), NetworkError> {
    let held = TcpListener::bind(("127.0.0.1", port)).and_then(|held| {
        let port = held.local_addr()?.port();
        Ok((held, port))
    });
    held.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => NetworkError::PortInUse { port, what, option },
        _ => NetworkError::Listen {
            port,
            what,
            option,
            reason: error.to_string(),
        },
    })
}

#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    limits: connection_limits::Behaviour,
    ping: ping::Behaviour,
    identify: identify::Behaviour,
    pub(super) stream: libp2p_stream::Behaviour,
}

/// The host: who it is, where it listens, who is connected. Clones are the same. `Host::run` keeps it going.
#[derive(Clone)]
pub struct Host {
    inner: Arc<Inner>,
}

struct Inner {
    key: Keypair,
    /// As they were given at first: a host that is started again is found where it was.
    ports: [u16; 2],
    addresses: Vec<Multiaddr>,
    peers: Mutex<BTreeMap<PeerId, usize>>,
    control: Mutex<Control>,
    /// What listens and is not run yet.
    swarm: Mutex<Option<Swarm<Behaviour>>>,
}

impl Host {
    /// Listens; returns when both listeners have an address.
    pub async fn start(key: Keypair, config: HostConfig) -> Result<Self, NetworkError> {
        let ports = config.ports()?;
        let (swarm, addresses) = listening(&key, ports).await?;
        let control = Mutex::new(swarm.behaviour().stream.new_control());
        Ok(Self {
            inner: Arc::new(Inner {
                key,
                ports,
                addresses,
                peers: Mutex::default(),
                control,
                swarm: Mutex::new(Some(swarm)),
            }),
        })
    }

    /// Gets ready to run: a host that ran before listens anew, on the same ports. Streams are opened and accepted through it from
    /// here on.
    pub(super) async fn open(&self) -> Result<Open, NetworkError> {
        let waiting = lock(&self.inner.swarm).take();
        let swarm = match waiting {
            Some(swarm) => swarm,
            None => listening(&self.inner.key, self.inner.ports).await?.0,
        };
        lock(&self.inner.peers).clear();
        *lock(&self.inner.control) = swarm.behaviour().stream.new_control();
        Ok(Open {
            host: self.clone(),
            swarm,
        })
    }

    /// Who this host is.
    pub fn peer_id(&self) -> PeerId {
        self.inner.key.public().to_peer_id()
    }

    /// Where it can be dialled.
    pub fn addresses(&self) -> &[Multiaddr] {
        &self.inner.addresses
    }

    /// Whether a peer is connected now.
    pub fn is_connected(&self, peer: &PeerId) -> bool {
        lock(&self.inner.peers).contains_key(peer)
    }

    /// Opens and accepts streams.
    pub(super) fn control(&self) -> Control {
        lock(&self.inner.control).clone()
    }

    /// Tells the chain's directory of peers where this host is, now and again, for ever.
    pub(super) async fn announce_to(&self, chain: &ChainAccess, lifeline: &Lifeline) {
        let mut clock = tokio::time::interval(ANNOUNCE_EVERY);
        loop {
            clock.tick().await;
            match self.announce(chain).await {
                Ok(()) => lifeline.well(DIRECTORY),
                Err(error) => {
                    tracing::warn!(%error, "the chain's directory does not know this miner's address; trying again");
                    lifeline.failing(DIRECTORY, &error);
                }
            }
        }
    }

    async fn announce(&self, chain: &ChainAccess) -> Result<(), ServiceError> {
        let record = PeerRecord::new(&self.inner.key, self.inner.addresses.clone())?;
        let record = record.into_signed_envelope().into_protobuf_encoding();
        Ok(chain.announce(&record).await?)
    }
}

/// A host that listens; streams come while it runs.
pub(super) struct Open {
    host: Host,
    swarm: Swarm<Behaviour>,
}

/// A swarm that listens on both ports, and where.
async fn listening(
    key: &Keypair,
    [tcp_port, websocket_port]: [u16; 2],
) -> Result<(Swarm<Behaviour>, Vec<Multiaddr>), NetworkError> {
    let mut swarm = swarm(key.clone())?;
    listen(&mut swarm, tcp_port, "", TCP)?;
    listen(&mut swarm, websocket_port, "/ws", WEBSOCKET)?;
    let found = tokio::time::timeout(LISTEN_LIMIT, addresses(&mut swarm)).await;
    let addresses = found.map_err(|_| NetworkError::NoAddress)?;
    Ok((swarm, addresses))
}

/// A panic while a lock was held leaves data that is still whole: every change is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn swarm(key: Keypair) -> Result<Swarm<Behaviour>, NetworkError> {
    let broken = |e: &dyn std::fmt::Display| NetworkError::SetUp(e.to_string());
    let tcp = || tcp::Config::default().nodelay(true);
    let websocket = |key: &Keypair| {
        let noise = noise::Config::new(key)?;
        let transport = libp2p_websocket::Config::new(tcp::tokio::Transport::new(tcp()));
        let secured = transport
            .upgrade(Version::V1Lazy)
            .authenticate(noise)
            .multiplex(yamux::Config::default());
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(
            secured.map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer))),
        )
    };
    let behaviour = |key: &Keypair| Behaviour {
        limits: connection_limits::Behaviour::new(
            ConnectionLimits::default()
                .with_max_pending_incoming(Some(MAX_PENDING))
                .with_max_established_incoming(Some(MAX_CONNECTIONS))
                .with_max_established_per_peer(Some(MAX_CONNECTIONS_OF_A_PEER)),
        ),
        ping: ping::Behaviour::default(),
        identify: identify::Behaviour::new(
            identify::Config::new("/sealdrop/1.0.0".into(), key.public()).with_agent_version(AGENT.into()),
        ),
        stream: libp2p_stream::Behaviour::new(),
    };
    let swarm = SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_tcp(tcp(), noise::Config::new, yamux::Config::default)
        .map_err(|e| broken(&e))?
        .with_other_transport(websocket)
        .map_err(|e| broken(&e))?
        .with_behaviour(behaviour)
        .map_err(|e| broken(&e))?
        .with_swarm_config(|config| config.with_idle_connection_timeout(KEEP_CONNECTION))
        .build();
    Ok(swarm)
}

fn listen(
    swarm: &mut Swarm<Behaviour>,
    port: u16,
    ending: &str,
    (what, option): (&'static str, &'static str),
) -> Result<(), NetworkError> {
    let failed = |reason: String| NetworkError::Listen {
        port,
        what,
        option,
        reason,
    };
    let address = format!("/ip4/127.0.0.1/tcp/{port}{ending}");
    let address: Multiaddr = address
        .parse()
        .map_err(|e: libp2p::multiaddr::Error| failed(e.to_string()))?;
    swarm.listen_on(address).map_err(|e| failed(e.to_string()))?;
    Ok(())
}

/// Waits for the addresses of both listeners.
async fn addresses(swarm: &mut Swarm<Behaviour>) -> Vec<Multiaddr> {
    let mut found = Vec::new();
    while found.len() < 2 {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            found.push(address);
        }
    }
    found
}

impl Open {
    /// Keeps the host going, and the list of who is connected; returns when it cannot be reached any more.
    pub(super) async fn run(mut self) -> NetworkError {
        let peers = &self.host.inner.peers;
        loop {
            match self.swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { peer_id, endpoint, .. } => {
                    tracing::debug!(peer = %peer_id, from = %endpoint.get_remote_address(), "connected");
                    *lock(peers).entry(peer_id).or_default() += 1;
                }
                SwarmEvent::ConnectionClosed {
                    peer_id,
                    num_established,
                    cause,
                    ..
                } => {
                    tracing::debug!(peer = %peer_id, ?cause, "disconnected");
                    let mut peers = lock(peers);
                    match num_established {
                        0 => peers.remove(&peer_id),
                        left => peers.insert(peer_id, left as usize),
                    };
                }
                SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                    return NetworkError::ListenerClosed {
                        addresses,
                        reason: format!("{reason:?}"),
                    };
                }
                SwarmEvent::IncomingConnectionError { error, .. } => tracing::debug!(%error, "a connection failed"),
                _ => {}
            }
        }
    }
}
