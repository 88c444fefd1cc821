//! The libp2p node of the browser: dials miners, asks them, and is asked for pieces.
//!
//! Runs in the network worker. A browser cannot be dialled, so a miner reaches this node only over connections made
//! here; [`crate::engine`] makes them anew whenever it needs a miner. Each worker has an identity of its own, so that two
//! tabs never look like one node to a miner.

use crate::clock;
use crate::piece_server::PieceServer;
use crate::streams::Conversation;
use crate::transport::{url_of, Transport, DIAL_LIMIT};
use futures::channel::{mpsc, oneshot};
use futures::prelude::*;
use libp2p::core::{transport::Transport as _, upgrade};
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{identify, noise, ping, yamux, Multiaddr, PeerId, StreamProtocol, Swarm};
use libp2p_stream::OpenStreamError;
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
/// Addresses of a peer that are tried, at most.
const MAX_ADDRESSES: usize = 8;

/// Why a peer cannot be talked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error("it has announced no WebSocket address that a browser can dial")]
    NoAddress,
    #[error("{0}")]
    Dial(String),
    #[error("no connection within {} seconds", DIAL_LIMIT / 1000)]
    Timeout,
    #[error("{0}")]
    Stream(String),
    #[error("it does not support the protocol {0}")]
    Protocol(&'static str),
    #[error("the node was shut down")]
    Closed,
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

/// A handle to the running node. Dropping all handles ends it.
#[derive(Clone)]
pub struct Network {
    commands: mpsc::Sender<Connect>,
    streams: libp2p_stream::Control,
    connected: Rc<RefCell<BTreeSet<PeerId>>>,
}

impl Network {
    /// Starts a node that serves `sources`; `on_change` is called when a connection comes or goes.
    pub fn start(sources: PieceServer, on_change: impl Fn() + 'static) -> Result<Self, NetworkError> {
        let mut swarm = swarm().map_err(|e| NetworkError::Stream(e.to_string()))?;
        let mut streams = swarm.behaviour_mut().streams.new_control();
        let incoming = streams
            .accept(StreamProtocol::new(protocol::TRANSFER))
            .map_err(|e| NetworkError::Stream(e.to_string()))?;
        spawn_local(sources.serve_all(incoming));
        let (commands, queue) = mpsc::channel(MAX_COMMANDS);
        let connected = Rc::new(RefCell::new(BTreeSet::new()));
        let node = Node {
            swarm,
            waiting: BTreeMap::new(),
            connected: connected.clone(),
            on_change: Box::new(on_change),
        };
        spawn_local(node.run(queue));
        Ok(Self {
            commands,
            streams,
            connected,
        })
    }

    /// Whether there is a connection to `peer` now.
    pub fn is_connected(&self, peer: &PeerId) -> bool {
        self.connected.borrow().contains(peer)
    }

    /// Makes a connection to `peer` unless there is one.
    pub async fn connect(&self, peer: PeerId, addresses: Vec<Multiaddr>) -> Result<(), NetworkError> {
        if self.is_connected(&peer) {
            return Ok(());
        }
        let usable = addresses
            .into_iter()
            .filter(|address| url_of(address).is_some() && leads_to(address, &peer));
        let addresses: Vec<_> = usable.take(MAX_ADDRESSES).collect();
        if addresses.is_empty() {
            return Err(NetworkError::NoAddress);
        }
        let (reply, answer) = oneshot::channel();
        let mut commands = self.commands.clone();
        commands
            .send(Connect { peer, addresses, reply })
            .await
            .map_err(|_| NetworkError::Closed)?;
        let outcome = clock::within(DIAL_LIMIT, answer).await.ok_or(NetworkError::Timeout)?;
        outcome.map_err(|_| NetworkError::Closed)?
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

/// Whether an address may lead to `peer`: it names no other.
fn leads_to(address: &Multiaddr, peer: &PeerId) -> bool {
    address.iter().all(|part| match part {
        Protocol::P2p(named) => named == *peer,
        _ => true,
    })
}

fn swarm() -> Result<Swarm<Behaviour>, noise::Error> {
    let key = Keypair::generate_ed25519();
    let transport = Transport
        .upgrade(upgrade::Version::V1Lazy)
        .authenticate(noise::Config::new(&key)?)
        .multiplex(yamux::Config::default())
        .timeout(Duration::from_secs(15))
        .boxed();
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
    waiting: BTreeMap<PeerId, Vec<Reply>>,
    connected: Rc<RefCell<BTreeSet<PeerId>>>,
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
            let options = DialOpts::peer_id(peer)
                .addresses(addresses)
                .condition(condition)
                .build();
            if let Err(error) = self.swarm.dial(options) {
                self.answer(&peer, Err(NetworkError::Dial(error.to_string())));
            }
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                self.connected.borrow_mut().insert(peer_id);
                self.answer(&peer_id, Ok(()));
                (self.on_change)();
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                num_established: 0,
                ..
            } => {
                self.connected.borrow_mut().remove(&peer_id);
                (self.on_change)();
            }
            SwarmEvent::OutgoingConnectionError {
                peer_id: Some(peer),
                error,
                ..
            } => {
                self.answer(&peer, Err(NetworkError::Dial(reason_of(&error))));
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

    fn answer(&mut self, peer: &PeerId, outcome: Result<(), NetworkError>) {
        for reply in self.waiting.remove(peer).unwrap_or_default() {
            let _ = reply.send(outcome.clone());
        }
    }
}

/// The innermost reasons of a failed dial: libp2p's own text repeats its layers.
fn reason_of(error: &libp2p::swarm::DialError) -> String {
    let libp2p::swarm::DialError::Transport(attempts) = error else {
        return error.to_string();
    };
    let innermost = |error: &dyn std::error::Error| {
        let mut last = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            last = inner.to_string();
            source = inner.source();
        }
        last
    };
    let reasons: BTreeSet<String> = attempts.iter().map(|(_, error)| innermost(error)).collect();
    reasons.into_iter().collect::<Vec<_>>().join("; ")
}
