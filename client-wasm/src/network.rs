//! The libp2p node of the browser: dials miners, asks them, and is asked for pieces.
//!
//! Runs in the network worker. A browser cannot be dialled, so a miner reaches this node only over connections made
//! here; [`crate::engine`] makes them anew whenever it needs a miner. Each worker has an identity of its own, so that two
//! tabs never look like one node to a miner.

use crate::clock;
use crate::dials::{bare, Dials, Race};
use crate::host::Host;
use crate::piece_server::PieceServer;
use crate::streams::Conversation;
use crate::transport::DIAL_LIMIT;
use futures::channel::{mpsc, oneshot};
use futures::prelude::*;
use libp2p::core::transport::Transport as _;
use libp2p::core::ConnectedPoint;
use libp2p::identity::Keypair;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{identify, noise, ping, Multiaddr, PeerId, StreamProtocol, Swarm};
use libp2p_stream::OpenStreamError;
use shared::client::dialing::{plan, Dialer, Failures, Obstacle, Plan, Route};
use shared::wire::protocol;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;
use wasm_bindgen_futures::spawn_local;

/// How long an unused connection is kept: the miner comes back over it for the piece, and answers queries for hours.
const KEEP_CONNECTION: Duration = Duration::from_secs(24 * 3600);
/// Requests to connect that wait their turn, at most; one for each deal under way is plenty.
const MAX_COMMANDS: usize = 64;
/// Milliseconds after which opening a stream on a live connection has failed.
const OPEN_LIMIT: i32 = 15_000;
/// Peers of which is remembered how they are reached, at most; those without a connection make room.
const MAX_PATHS: usize = 256;

/// Why a peer cannot be talked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error("it has announced no address")]
    NoAddress,
    #[error("this page can use none of its addresses: {}", .0.message())]
    LeftOut(Obstacle),
    #[error("{reason}")]
    Dial { reason: String, obstacle: Obstacle },
    #[error("no connection within {} seconds", DIAL_LIMIT / 1000)]
    Timeout,
    #[error("{0}")]
    Stream(String),
    #[error("it does not support the protocol {0}")]
    Protocol(&'static str),
    #[error("the node was shut down")]
    Closed,
}

impl NetworkError {
    /// What is in the way, where a client's rules know it.
    pub fn obstacle(&self) -> Option<Obstacle> {
        match self {
            Self::LeftOut(obstacle) | Self::Dial { obstacle, .. } => Some(*obstacle),
            Self::Timeout => Some(Obstacle::NoAnswer),
            _ => None,
        }
    }
}

type Reply = oneshot::Sender<Result<(), NetworkError>>;

struct Connect {
    peer: PeerId,
    addresses: Vec<Multiaddr>,
    reply: Reply,
}

/// How a peer was reached, or not, when it was dialled last. Addresses are as they were announced.
#[derive(Default)]
struct Path {
    /// Those that were dialled, as libp2p has them.
    dialled: BTreeMap<Multiaddr, String>,
    /// The one of the connection.
    used: Option<String>,
    /// Those that failed, with the reason.
    failed: Vec<(String, String)>,
}

impl Path {
    fn announced(&self, address: &Multiaddr) -> String {
        let known = self.dialled.get(&bare(address));
        known.cloned().unwrap_or_else(|| address.to_string())
    }
}

/// What node and handles know of how peers are reached.
#[derive(Default)]
struct Paths {
    of: BTreeMap<PeerId, Path>,
    failures: Failures,
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    ping: ping::Behaviour,
    identify: identify::Behaviour,
    streams: libp2p_stream::Behaviour,
}

/// A handle to the running node. Dropping all handles ends it.
#[derive(Clone)]
pub struct Network {
    commands: mpsc::Sender<Connect>,
    streams: libp2p_stream::Control,
    paths: Rc<RefCell<Paths>>,
}

impl Network {
    /// Starts a node that serves `sources`; `on_change` is called when a connection comes or goes.
    pub fn start(host: Rc<Host>, sources: PieceServer, on_change: impl Fn() + 'static) -> Result<Self, NetworkError> {
        let race = Race::default();
        let mut swarm = swarm(race.clone(), host).map_err(|e| NetworkError::Stream(e.to_string()))?;
        let mut streams = swarm.behaviour_mut().streams.new_control();
        let incoming = streams
            .accept(StreamProtocol::new(protocol::TRANSFER))
            .map_err(|e| NetworkError::Stream(e.to_string()))?;
        spawn_local(sources.serve_all(incoming));
        let (commands, queue) = mpsc::channel(MAX_COMMANDS);
        let paths = Rc::<RefCell<Paths>>::default();
        let node = Node {
            swarm,
            race,
            waiting: BTreeMap::new(),
            paths: paths.clone(),
            on_change: Box::new(on_change),
        };
        spawn_local(node.run(queue));
        Ok(Self {
            commands,
            streams,
            paths,
        })
    }

    /// Whether there is a connection to `peer` now.
    pub fn is_connected(&self, peer: &PeerId) -> bool {
        let paths = self.paths.borrow();
        paths.of.get(peer).is_some_and(|path| path.used.is_some())
    }

    /// How `peer` is reached, and why not over its other `addresses`.
    pub fn route(&self, peer: &PeerId, addresses: &[String], dialer: &Dialer) -> Route {
        let paths = self.paths.borrow();
        let plan = self.plan(&paths, peer, addresses, dialer);
        match paths.of.get(peer) {
            Some(path) => Route::of(&plan, path.used.as_deref(), &path.failed),
            None => Route::of(&plan, None, &[]),
        }
    }

    fn plan(&self, paths: &Paths, peer: &PeerId, addresses: &[String], dialer: &Dialer) -> Plan {
        let texts = addresses.iter().map(String::as_str);
        plan(dialer, &peer.to_string(), texts, &paths.failures, clock::now() as u64)
    }

    /// Makes a connection to `peer` over one of the addresses that it announced, unless there is one.
    pub async fn connect(&self, peer: PeerId, addresses: &[String], dialer: &Dialer) -> Result<(), NetworkError> {
        if self.is_connected(&peer) {
            return Ok(());
        }
        let (addresses, asks) = self.take_up(&peer, addresses, dialer)?;
        let (reply, answer) = oneshot::channel();
        let mut commands = self.commands.clone();
        commands
            .send(Connect { peer, addresses, reply })
            .await
            .map_err(|_| NetworkError::Closed)?;
        let outcome = clock::within(DIAL_LIMIT, answer).await.ok_or(NetworkError::Timeout)?;
        outcome.map_err(|_| NetworkError::Closed)?.map_err(|error| match error {
            NetworkError::Dial { reason, .. } if asks => NetworkError::Dial {
                reason,
                obstacle: Obstacle::PermissionPending,
            },
            other => other,
        })
    }

    /// Notes which addresses of a peer are dialled now; whether the browser asks its user about one of them.
    fn take_up(
        &self,
        peer: &PeerId,
        addresses: &[String],
        dialer: &Dialer,
    ) -> Result<(Vec<Multiaddr>, bool), NetworkError> {
        let mut paths = self.paths.borrow_mut();
        let plan = self.plan(&paths, peer, addresses, dialer);
        let read = |text: String| text.parse().ok().map(|address: Multiaddr| (bare(&address), text));
        let dialled: Vec<_> = plan.dial.iter().filter_map(|next| read(next.address.clone())).collect();
        if dialled.is_empty() {
            return Err(plan.obstacle().map_or(NetworkError::NoAddress, NetworkError::LeftOut));
        }
        if paths.of.len() >= MAX_PATHS {
            paths.of.retain(|_, path| path.used.is_some());
        }
        let path = paths.of.entry(*peer).or_default();
        path.dialled = dialled.iter().cloned().collect();
        path.failed.clear();
        let asks = plan.dial.iter().any(|next| next.asks);
        Ok((dialled.into_iter().map(|(address, _)| address).collect(), asks))
    }

    /// Opens a stream on an existing connection.
    pub async fn converse(&self, peer: PeerId, protocol: &'static str) -> Result<Conversation, NetworkError> {
        let mut streams = self.streams.clone();
        let opening = clock::within(OPEN_LIMIT, streams.open_stream(peer, StreamProtocol::new(protocol)));
        match opening.await.ok_or(NetworkError::Timeout)? {
            Ok(stream) => Ok(Conversation::new(stream)),
            Err(OpenStreamError::UnsupportedProtocol(_)) => Err(NetworkError::Protocol(protocol)),
            Err(error) => Err(NetworkError::Stream(error.to_string())),
        }
    }
}

fn swarm(race: Race, host: Rc<Host>) -> Result<Swarm<Behaviour>, noise::Error> {
    let key = Keypair::generate_ed25519();
    let transport = Dials::new(&key, race, host)?.boxed();
    let about = identify::Config::new("/sealdrop/1.0.0".into(), key.public())
        .with_agent_version(concat!("sealdrop-client/", env!("CARGO_PKG_VERSION")).into());
    let behaviour = Behaviour {
        ping: ping::Behaviour::default(),
        identify: identify::Behaviour::new(about),
        streams: libp2p_stream::Behaviour::new(),
    };
    let config = libp2p::swarm::Config::with_wasm_executor().with_idle_connection_timeout(KEEP_CONNECTION);
    Ok(Swarm::new(transport, behaviour, key.public().to_peer_id(), config))
}

/// The node itself; lives in its own task.
struct Node {
    swarm: Swarm<Behaviour>,
    race: Race,
    waiting: BTreeMap<PeerId, Vec<Reply>>,
    paths: Rc<RefCell<Paths>>,
    on_change: Box<dyn Fn()>,
}

impl Node {
    async fn run(mut self, mut commands: mpsc::Receiver<Connect>) {
        loop {
            futures::select! {
                command = commands.next() => match command {
                    Some(command) => self.connect(command),
                    None => return,
                },
                event = self.swarm.select_next_some() => self.on_event(event),
            }
        }
    }

    fn connect(&mut self, Connect { peer, addresses, reply }: Connect) {
        if self.swarm.is_connected(&peer) {
            // Nobody waits any more when this fails.
            let _ = reply.send(Ok(()));
            return;
        }
        let condition = PeerCondition::DisconnectedAndNotDialing;
        let dialing = self.waiting.contains_key(&peer);
        self.waiting.entry(peer).or_default().push(reply);
        if !dialing {
            self.race.line_up(&addresses);
            let options = DialOpts::peer_id(peer)
                .addresses(addresses)
                .condition(condition)
                .build();
            if let Err(error) = self.swarm.dial(options) {
                let (reason, obstacle) = (error.to_string(), Obstacle::NoAnswer);
                self.answer(&peer, Err(NetworkError::Dial { reason, obstacle }));
            }
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished {
                peer_id,
                endpoint,
                concurrent_dial_errors,
                ..
            } => {
                let errors = concurrent_dial_errors.unwrap_or_default();
                self.reached(peer_id, &endpoint, &errors);
                self.answer(&peer_id, Ok(()));
                (self.on_change)();
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                num_established: 0,
                ..
            } => {
                if let Some(path) = self.paths.borrow_mut().of.get_mut(&peer_id) {
                    path.used = None;
                }
                (self.on_change)();
            }
            SwarmEvent::OutgoingConnectionError {
                peer_id: Some(peer),
                error,
                ..
            } => {
                let failure = self.failed(peer, &error);
                self.answer(&peer, Err(failure));
            }
            // A vanished peer leaves its WebSocket open for minutes; the ping notices first.
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event {
                connection,
                result: Err(_),
                ..
            })) => {
                self.swarm.close_connection(connection);
            }
            _ => {}
        }
    }

    /// Notes over which address a peer was reached, and which ones failed on the way.
    fn reached(&self, peer: PeerId, endpoint: &ConnectedPoint, errors: &[(Multiaddr, TransportError)]) {
        let mut paths = self.paths.borrow_mut();
        let Paths { of, failures } = &mut *paths;
        let path = of.entry(peer).or_default();
        let used = path.announced(endpoint.get_remote_address());
        failures.worked(&used);
        path.used = Some(used);
        path.note(failures, errors);
    }

    /// Notes which addresses of a peer failed; what is in the way, as far as that can be told.
    fn failed(&self, peer: PeerId, error: &libp2p::swarm::DialError) -> NetworkError {
        let mut paths = self.paths.borrow_mut();
        let Paths { of, failures } = &mut *paths;
        if let (libp2p::swarm::DialError::Transport(errors), Some(path)) = (error, of.get_mut(&peer)) {
            path.note(failures, errors);
        }
        NetworkError::Dial {
            reason: reason_of(error),
            obstacle: Obstacle::NoAnswer,
        }
    }

    fn answer(&mut self, peer: &PeerId, outcome: Result<(), NetworkError>) {
        for reply in self.waiting.remove(peer).unwrap_or_default() {
            let _ = reply.send(outcome.clone());
        }
    }
}

type TransportError = libp2p::TransportError<std::io::Error>;

impl Path {
    /// Keeps what failed.
    fn note(&mut self, failures: &mut Failures, errors: &[(Multiaddr, TransportError)]) {
        for (address, error) in errors {
            let announced = self.announced(address);
            failures.failed(&announced, clock::now() as u64);
            self.failed.push((announced, innermost(error)));
        }
    }
}

/// The innermost reasons of a failed dial: libp2p's own text repeats its layers.
fn reason_of(error: &libp2p::swarm::DialError) -> String {
    let libp2p::swarm::DialError::Transport(attempts) = error else {
        return error.to_string();
    };
    let reasons: BTreeSet<String> = attempts.iter().map(|(_, error)| innermost(error)).collect();
    reasons.into_iter().collect::<Vec<_>>().join("; ")
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(inner) = last.source() {
        last = inner;
    }
    last.to_string()
}
