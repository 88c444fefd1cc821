//! The client's libp2p node: dials miners over TCP, asks them, and is asked for pieces over the same connections.
//!
//! Each process has an identity of its own, so that two never look like one node to a miner. Connections are made anew by
//! [`super::miner_connection`] whenever a miner is needed.

use super::serving::Offers;
use futures::StreamExt;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{identify, noise, ping, tcp, yamux, Multiaddr, PeerId, Stream, StreamProtocol, Swarm};
use libp2p_stream::OpenStreamError;
use sealdrop_miner::network::frames::{self, StreamError};
use shared::wire::{protocol, Cbor};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long making a connection may take, and how long a user waits to hear that it cannot be made.
pub const DIAL_LIMIT: Duration = Duration::from_secs(15);
/// How long opening a stream on a live connection may take.
const OPEN_LIMIT: Duration = Duration::from_secs(15);
/// How long an unused connection is kept: the miner comes back over it for the piece.
const KEEP_CONNECTION: Duration = Duration::from_secs(24 * 3600);
/// Requests to connect that wait their turn, at most.
const MAX_COMMANDS: usize = 64;
/// Addresses of a peer that are tried, at most.
const MAX_ADDRESSES: usize = 8;

/// Why a peer cannot be talked to.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    #[error("the network knows no TCP address of its peer {0}")]
    NoAddress(String),
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
            waiting: BTreeMap::new(),
        };
        tokio::spawn(node.run(queue));
        Ok(Self { commands, streams })
    }

    /// Makes a connection to `peer` unless there is one; says so within [`DIAL_LIMIT`] when there cannot be.
    pub async fn connect(&self, peer: PeerId, addresses: &[String]) -> Result<(), NetworkError> {
        let usable = addresses.iter().filter_map(|text| text.parse().ok()).filter(is_tcp);
        let addresses: Vec<Multiaddr> = usable.take(MAX_ADDRESSES).collect();
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

/// Whether an address can be dialled by this node: TCP without anything on top.
fn is_tcp(address: &Multiaddr) -> bool {
    let plain = |part| {
        matches!(
            part,
            Protocol::Ip4(_) | Protocol::Ip6(_) | Protocol::Tcp(_) | Protocol::P2p(_)
        )
    };
    address.iter().all(plain) && address.iter().any(|part| matches!(part, Protocol::Tcp(_)))
}

fn swarm() -> Result<Swarm<Behaviour>, String> {
    let swarm = libp2p::SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(
            tcp::Config::default().nodelay(true),
            noise::Config::new,
            yamux::Config::default,
        )
        .map_err(|e| e.to_string())?
        .with_behaviour(|key| Behaviour {
            ping: ping::Behaviour::default(),
            identify: identify::Behaviour::new(
                identify::Config::new("/sealdrop/1.0.0".into(), key.public())
                    .with_agent_version(concat!("sealdrop/", env!("CARGO_PKG_VERSION")).into()),
            ),
            streams: libp2p_stream::Behaviour::new(),
        })
        .map_err(|e| e.to_string())?
        .with_swarm_config(|config| config.with_idle_connection_timeout(KEEP_CONNECTION))
        .build();
    Ok(swarm)
}

/// The node itself; lives in its own task.
struct Node {
    swarm: Swarm<Behaviour>,
    waiting: BTreeMap<PeerId, Vec<Reply>>,
}

impl Node {
    async fn run(mut self, mut commands: mpsc::Receiver<Connect>) {
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.connect(command),
                    None => return,
                },
                event = self.swarm.select_next_some() => self.on_event(event),
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
        let dialing = self.waiting.contains_key(&peer);
        self.waiting.entry(peer).or_default().push(reply);
        if !dialing {
            let options = DialOpts::peer_id(peer)
                .addresses(addresses)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .build();
            if let Err(error) = self.swarm.dial(options) {
                self.answer(&peer, Some(&error.to_string()));
            }
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, .. } => self.answer(&peer_id, None),
            SwarmEvent::OutgoingConnectionError {
                peer_id: Some(peer),
                error,
                ..
            } => self.answer(&peer, Some(&reason_of(&error))),
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

    fn answer(&mut self, peer: &PeerId, failure: Option<&str>) {
        for reply in self.waiting.remove(peer).unwrap_or_default() {
            let outcome = failure.map_or(Ok(()), |reason| Err(NetworkError::Dial(reason.to_owned())));
            let _ = reply.send(outcome);
        }
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

    #[test]
    fn only_plain_tcp_addresses_are_dialled() {
        let dialled = |text: &str| is_tcp(&text.parse().unwrap());
        assert!(dialled("/ip4/127.0.0.1/tcp/4401"));
        assert!(!dialled("/ip4/127.0.0.1/tcp/4402/ws"));
        assert!(!dialled("/ip4/127.0.0.1/udp/4401/quic-v1"));
        assert!(!dialled("/ip4/127.0.0.1"));
    }
}
