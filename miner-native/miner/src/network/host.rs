//! The libp2p host: listens on loopback TCP and WebSocket, tells who is connected, and lets idle connections go
//! when there is no room for new ones.

use super::connections::Connections;
use super::origin::Origin;
use super::refused::{Limit, Refused};
use super::swarm::{swarm, Behaviour};
use super::NetworkError;
use crate::chain_access::ChainAccess;
use crate::supervisor::{Lifeline, ServiceError};
use futures::StreamExt;
use libp2p::core::PeerRecord;
use libp2p::identity::Keypair;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, PeerId, Swarm};
use libp2p_stream::Control;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long the host may take to listen.
pub(super) const LISTEN_LIMIT: Duration = Duration::from_secs(10);
/// The chain's directory forgets at a restart: it is told again in this interval.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(20);
/// What health calls the chain's directory of peers.
const DIRECTORY: &str = "directory of peers";

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

/// The host: who it is, where it listens, who is connected. Clones are the same. `Host::run` keeps it going.
#[derive(Clone)]
pub struct Host {
    inner: Arc<Inner>,
}

struct Inner {
    key: Keypair,
    refused: Refused,
    /// As they were given at first: a host that is started again is found where it was.
    ports: [u16; 2],
    addresses: Vec<Multiaddr>,
    connections: Mutex<Connections>,
    control: Mutex<Control>,
    /// What listens and is not run yet.
    swarm: Mutex<Option<Swarm<Behaviour>>>,
}

impl Host {
    /// Listens; returns when both listeners have an address.
    pub async fn start(key: Keypair, config: HostConfig) -> Result<Self, NetworkError> {
        let ports = config.ports()?;
        let refused = Refused::default();
        let (swarm, addresses) = listening(&key, ports, &refused).await?;
        let control = Mutex::new(swarm.behaviour().stream.new_control());
        Ok(Self {
            inner: Arc::new(Inner {
                key,
                refused,
                ports,
                addresses,
                connections: Mutex::default(),
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
            None => {
                listening(&self.inner.key, self.inner.ports, &self.inner.refused)
                    .await?
                    .0
            }
        };
        lock(&self.inner.connections).clear();
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
        lock(&self.inner.connections).has(peer)
    }

    /// Notes that something is done with a peer: its connections are not idle until what is returned is dropped.
    pub(super) fn busy_with(&self, peer: PeerId) -> Busy {
        lock(&self.inner.connections).begin(peer);
        let host = self.clone();
        Busy { host, peer }
    }

    /// How often something was refused to peers since the start, by the limit's name.
    pub fn refusals(&self) -> BTreeMap<String, u64> {
        self.inner.refused.counts()
    }

    pub(super) fn refused(&self) -> &Refused {
        &self.inner.refused
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

/// Something that is done with a peer.
pub(super) struct Busy {
    host: Host,
    peer: PeerId,
}

impl Drop for Busy {
    fn drop(&mut self) {
        lock(&self.host.inner.connections).end(&self.peer);
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
    refused: &Refused,
) -> Result<(Swarm<Behaviour>, Vec<Multiaddr>), NetworkError> {
    let mut swarm = swarm(key, refused)?;
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
        loop {
            let connections = &self.host.inner.connections;
            match self.swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished {
                    peer_id,
                    connection_id,
                    endpoint,
                    ..
                } => {
                    let remote = endpoint.get_remote_address();
                    tracing::debug!(peer = %peer_id, from = %remote, "connected");
                    let crowded_out = lock(connections).opened(connection_id, peer_id, Origin::of(remote));
                    if let Some(idle) = crowded_out {
                        tracing::debug!(connection = %idle, "an idle connection makes room");
                        self.host.refused().count(Limit::Connections);
                        self.swarm.close_connection(idle);
                    }
                }
                SwarmEvent::ConnectionClosed {
                    peer_id,
                    connection_id,
                    cause,
                    ..
                } => {
                    tracing::debug!(peer = %peer_id, ?cause, "disconnected");
                    lock(connections).closed(&connection_id);
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
