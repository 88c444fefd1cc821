//! The libp2p host: listens on every transport of its configuration with one identity, tells who is connected, and lets idle
//! connections go when there is no room for new ones. Where it is may change while it runs: [`Host::watch_addresses`].

use super::advertised::{advertised, without_peer, Known, Reach};
use super::connections::{Connections, Shown};
use super::http_address::{with_http, HttpPlaces};
use super::listen::{announced, with_current_hashes, HostConfig, ListenAddress, TransportKind};
use super::origin::Origin;
use super::peers::{PeerConnection, Peers};
use super::reachability::{candidates, Outside, Round, Witnesses};
use super::refused::{Limit, Refused};
use super::self_check::AddressBoard;
use super::swarm::{dial, swarm, Behaviour, BehaviourEvent, Certificates};
use super::NetworkError;
use crate::clock::now_ms;
use futures::StreamExt;
use libp2p::core::transport::{ListenerId, TransportError};
use libp2p::identity::Keypair;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::SwarmEvent;
use libp2p::{identify, ping, upnp, Multiaddr, PeerId, Swarm};
use libp2p_stream::Control;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{watch, Notify};
use tokio::time::Instant;

/// How long the host may take to listen.
pub(super) const LISTEN_LIMIT: Duration = Duration::from_secs(10);
/// How long sockets may take to be let go of, and when that is looked at again.
const RELEASE_LIMIT: Duration = Duration::from_secs(5);
const RELEASE_PAUSE: Duration = Duration::from_millis(50);

/// The host: who it is, where it listens, who is connected. Clones are the same. `Host::run` keeps it going.
#[derive(Clone)]
pub struct Host {
    inner: Arc<Inner>,
}

struct Inner {
    key: Keypair,
    refused: Refused,
    /// With the ports that they were given at first: a host that is started again is found where it was.
    listeners: Vec<ListenAddress>,
    /// Named by the operator.
    announce: Vec<Multiaddr>,
    /// Where the miner is over HTTP.
    http: Mutex<HttpPlaces>,
    /// By which browsers know it.
    certificates: Certificates,
    /// Where it listens now.
    listening: watch::Sender<Vec<Multiaddr>>,
    /// Whether it answers where it says that it is.
    board: AddressBoard,
    /// What routers and other miners say of where it is.
    outside: Mutex<Outside>,
    /// Whom to ask about that next.
    round: Mutex<Option<Round>>,
    round_waits: Notify,
    connections: Mutex<Connections>,
    control: Mutex<Control>,
    /// What listens and is not run yet.
    swarm: Mutex<Option<Swarm<Behaviour>>>,
}

impl Host {
    /// Listens; returns when every listener has an address.
    pub async fn start(key: Keypair, config: HostConfig) -> Result<Self, NetworkError> {
        let listeners = config.listeners()?;
        let refused = Refused::default();
        let certificates = Certificates::of(&config, &listeners)?;
        let (swarm, found) = listening(&key, &listeners, &certificates, &refused).await?;
        let control = Mutex::new(swarm.behaviour().stream.new_control());
        Ok(Self {
            inner: Arc::new(Inner {
                key,
                refused,
                listeners,
                announce: config.announce,
                http: Mutex::default(),
                certificates,
                listening: watch::Sender::new(found),
                board: AddressBoard::default(),
                outside: Mutex::default(),
                round: Mutex::default(),
                round_waits: Notify::new(),
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
        let mut swarm = match waiting {
            Some(swarm) => swarm,
            None => self.listen_again().await?,
        };
        if !self.inner.announce.is_empty() {
            swarm.behaviour_mut().guard.is_behind_a_proxy();
        }
        lock(&self.inner.connections).clear();
        *lock(&self.inner.control) = swarm.behaviour().stream.new_control();
        Ok(Open {
            host: self.clone(),
            swarm,
            servers: BTreeSet::new(),
            witnesses: Witnesses::default(),
        })
    }

    /// Where it listened before. The sockets of a swarm that was dropped live until their tasks have ended.
    async fn listen_again(&self) -> Result<Swarm<Behaviour>, NetworkError> {
        let inner = &self.inner;
        let until = Instant::now() + RELEASE_LIMIT;
        loop {
            match listening(&inner.key, &inner.listeners, &inner.certificates, &inner.refused).await {
                Ok((swarm, found)) => {
                    inner.listening.send_replace(found);
                    return Ok(swarm);
                }
                Err(error) if Instant::now() >= until => return Err(error),
                Err(_) => tokio::time::sleep(RELEASE_PAUSE).await,
            }
        }
    }

    /// Who this host is.
    pub fn peer_id(&self) -> PeerId {
        self.inner.key.public().to_peer_id()
    }

    /// Where clients are told to dial it, the best first.
    pub fn addresses(&self) -> Vec<Multiaddr> {
        let listening = self.listening();
        let named = match self.inner.announce.is_empty() {
            true => Vec::new(),
            false => announced(&listening, &self.inner.announce),
        };
        let outside = lock(&self.inner.outside);
        // Certificates change; what a router maps does not.
        let current = |all: &[Multiaddr]| all.iter().filter_map(|a| with_current_hashes(a, &listening)).collect();
        advertised(&Known {
            named,
            mapped: current(&outside.mapped()),
            confirmed: current(&outside.confirmed),
            silent: self.inner.board.silent().collect(),
            listening: listening.clone(),
        })
    }

    /// Says where the miner's HTTP listener is, which the host tells with its own addresses.
    pub fn serves_http(&self, places: HttpPlaces) {
        *lock(&self.inner.http) = places;
    }

    /// What the host tells of itself: where clients dial it, and where they ask over HTTP.
    pub fn advertised(&self) -> Vec<Multiaddr> {
        let is_named = !self.inner.announce.is_empty();
        let http = lock(&self.inner.http).told(&self.listening(), is_named);
        with_http(self.addresses(), http)
    }

    /// What is known of its addresses, and of others.
    pub fn board(&self) -> &AddressBoard {
        &self.inner.board
    }

    /// Takes in what is told of how others see it.
    pub(super) fn outside(&self, tell: impl FnOnce(&mut Outside)) {
        tell(&mut lock(&self.inner.outside));
    }

    /// Has other miners asked whether they reach it.
    pub(super) fn ask(&self, round: Round) {
        *lock(&self.inner.round) = Some(round);
        self.inner.round_waits.notify_one();
    }

    pub(super) fn key(&self) -> &Keypair {
        &self.inner.key
    }

    /// Where it listens, on every interface.
    pub fn listening(&self) -> Vec<Multiaddr> {
        self.inner.listening.borrow().clone()
    }

    /// Changes when [`Host::listening`] does, and with it perhaps [`Host::addresses`] and [`Host::advertised`].
    pub fn watch_addresses(&self) -> watch::Receiver<Vec<Multiaddr>> {
        self.inner.listening.subscribe()
    }

    /// Whether a peer is connected now.
    pub fn is_connected(&self, peer: &PeerId) -> bool {
        lock(&self.inner.connections).has(peer)
    }

    /// Who is connected now; of the connections, at most so many are named, the newest first.
    pub fn peers(&self, most: usize) -> Peers {
        let connections = lock(&self.inner.connections);
        let named = connections.shown().rev().take(most);
        Peers {
            total: connections.shown().count() as u64,
            connections: named
                .map(|(peer, shown)| PeerConnection {
                    peer: peer.to_string(),
                    address: shown.address.to_string(),
                    is_dialed: shown.is_dialed,
                    since: shown.since_ms,
                })
                .collect(),
        }
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
    /// The miners that were asked last.
    servers: BTreeSet<PeerId>,
    /// Where they see it.
    witnesses: Witnesses,
}

/// A swarm that listens on all addresses, and where it is found so far.
async fn listening(
    key: &Keypair,
    listeners: &[ListenAddress],
    certificates: &Certificates,
    refused: &Refused,
) -> Result<(Swarm<Behaviour>, Vec<Multiaddr>), NetworkError> {
    let mut swarm = swarm(key, certificates, refused)?;
    // UPnP asks the local network for a router: only where somebody there may dial the host.
    let is_beyond = |listener: &ListenAddress| Reach::of(&listener.multiaddr) != Reach::Loopback;
    if listeners.iter().any(is_beyond) {
        swarm.behaviour_mut().router = Toggle::from(Some(upnp::tokio::Behaviour::default()));
    }
    let mut waiting = HashSet::new();
    for listener in listeners {
        waiting.insert(listen(&mut swarm, listener)?);
    }
    let found = tokio::time::timeout(LISTEN_LIMIT, addresses(&mut swarm, waiting)).await;
    let addresses = found.map_err(|_| NetworkError::NoAddress)??;
    Ok((swarm, addresses))
}

/// A panic while a lock was held leaves data that is still whole: every change is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listen(swarm: &mut Swarm<Behaviour>, listener: &ListenAddress) -> Result<ListenerId, NetworkError> {
    let listening = swarm.listen_on(listener.multiaddr.clone());
    listening.map_err(|error| match error {
        TransportError::Other(error) => listener.failed(&error),
        unsupported => listener.failed(&io::Error::other(unsupported.to_string())),
    })
}

/// Waits until each of the listeners has an address.
async fn addresses(
    swarm: &mut Swarm<Behaviour>,
    mut waiting: HashSet<ListenerId>,
) -> Result<Vec<Multiaddr>, NetworkError> {
    let mut found = Vec::new();
    while !waiting.is_empty() {
        match swarm.select_next_some().await {
            SwarmEvent::NewListenAddr { address, listener_id } => {
                waiting.remove(&listener_id);
                found.push(address);
            }
            SwarmEvent::ListenerClosed { addresses, reason, .. } => return Err(closed(addresses, &reason)),
            _ => {}
        }
    }
    Ok(found)
}

fn closed(addresses: Vec<Multiaddr>, reason: &Result<(), io::Error>) -> NetworkError {
    let reason = match reason {
        Ok(()) => "it was closed".to_owned(),
        Err(error) => error.to_string(),
    };
    NetworkError::ListenerClosed { addresses, reason }
}

impl Open {
    /// Keeps the host going, and the list of who is connected; returns when it cannot be reached any more.
    pub(super) async fn run(mut self) -> NetworkError {
        let host = self.host.clone();
        let connections = &host.inner.connections;
        loop {
            let event = tokio::select! {
                event = self.swarm.select_next_some() => event,
                () = host.inner.round_waits.notified() => {
                    self.begin_round();
                    continue;
                }
            };
            match event {
                SwarmEvent::ConnectionEstablished {
                    peer_id,
                    connection_id,
                    endpoint,
                    ..
                } => {
                    let remote = endpoint.get_remote_address();
                    tracing::debug!(peer = %peer_id, from = %remote, "connected");
                    let is_webrtc = TransportKind::of(remote) == Some(TransportKind::WebRtcDirect);
                    let shown = Shown {
                        address: remote.clone(),
                        is_dialed: endpoint.is_dialer(),
                        since_ms: now_ms(),
                    };
                    let crowded_out =
                        lock(connections).opened(connection_id, peer_id, Origin::of(remote), is_webrtc, shown);
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
                // Over WebRTC nothing else notices a peer that vanished without a word.
                SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event {
                    connection,
                    result: Err(error),
                    ..
                })) if !matches!(error, ping::Failure::Unsupported) && lock(connections).is_webrtc(&connection) => {
                    tracing::debug!(%error, "a peer does not answer pings");
                    self.swarm.close_connection(connection);
                }
                SwarmEvent::NewListenAddr { address, .. } => {
                    tracing::info!(%address, "listening");
                    self.host.inner.listening.send_modify(|all| all.push(address));
                }
                SwarmEvent::ExpiredListenAddr { address, .. } => {
                    tracing::info!(%address, "not listening any more");
                    let listening = &self.host.inner.listening;
                    listening.send_modify(|all| all.retain(|other| *other != address));
                }
                SwarmEvent::ListenerClosed { addresses, reason, .. } => return closed(addresses, &reason),
                SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "a listener fails"),
                SwarmEvent::IncomingConnectionError { error, .. } => tracing::debug!(%error, "a connection failed"),
                SwarmEvent::Behaviour(event) => self.seen(event),
                _ => {}
            }
        }
    }

    /// Dials the miners that are to be asked, and has them asked.
    fn begin_round(&mut self) {
        let Some(round) = lock(&self.host.inner.round).take() else {
            return;
        };
        self.swarm.behaviour_mut().outside.ask(&round.addresses);
        self.servers.clear();
        self.witnesses = Witnesses::default();
        for server in round.servers {
            // Over a connection that comes in, nothing can be asked.
            let options = DialOpts::peer_id(server.peer).condition(PeerCondition::Always);
            let options = options.addresses(server.addresses).build();
            match dial(&mut self.swarm, options) {
                Ok(()) => {
                    self.servers.insert(server.peer);
                }
                Err(error) => tracing::debug!(peer = %server.peer, %error, "a miner cannot be asked"),
            }
        }
    }

    /// Takes in what is told of where the host is.
    fn seen(&mut self, event: BehaviourEvent) {
        let inner = self.host.inner.clone();
        match event {
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. })
                if self.servers.contains(&peer_id) =>
            {
                let asked = self.servers.len();
                if self.witnesses.agree(peer_id, &info.observed_addr, asked) {
                    let found = candidates(&info.observed_addr, &inner.listening.borrow());
                    self.swarm.behaviour_mut().outside.ask_also(&found);
                }
            }
            BehaviourEvent::Outside(verdict) => {
                let (address, reached) = (without_peer(&verdict.tested_addr), verdict.result.is_ok());
                tracing::info!(%address, server = %verdict.server, reached, "another miner dialled this one");
                if !self.host.addresses().contains(&address) || lock(&inner.outside).confirmed.contains(&address) {
                    lock(&inner.outside).tried(&address, reached);
                }
                if self.host.addresses().contains(&address) {
                    inner.board.seen_from_outside(&address, verdict.server, reached);
                }
            }
            BehaviourEvent::Router(event) => lock(&inner.outside).routed(event),
            _ => {}
        }
    }
}
