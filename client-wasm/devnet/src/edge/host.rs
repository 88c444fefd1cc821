//! A miner's libp2p host: takes connections in, reads questions and sends what the miner answers, and fetches pieces.

use super::listener::Listener;
use super::Shared;
use crate::clock;
use crate::miner::{Answer, Miner, Pull, PullError};
use crate::pipe::{Held, Limits, Pipe};
use cid::Cid;
use futures::channel::mpsc;
use futures::prelude::*;
use libp2p::core::transport::Transport as _;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{identify, noise, ping, yamux, Multiaddr, PeerId, Stream, StreamProtocol, Swarm};
use libp2p_stream::Control;
use shared::deal::watch::LONGEST_WATCH_MS;
use shared::wire::frame::{frame, next_frame, MAX_MESSAGE};
use shared::wire::protocol;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

/// What the miners here speak.
const PROTOCOLS: [&str; 6] = [
    protocol::MAKE_DEAL,
    protocol::QUERY_DEAL,
    protocol::WATCH_DEAL,
    protocol::QUOTE,
    protocol::CLOSE_CHANNEL,
    protocol::RETRIEVAL,
];
/// Connections that wait to be taken in, at most: clients of one page.
const MAX_WAITING: usize = 16;
/// Unused connections are kept as long as a test may last.
const KEEP_CONNECTION: Duration = Duration::from_secs(24 * 3600);
/// Limit of a handshake.
const HANDSHAKE: Duration = Duration::from_secs(15);
/// Milliseconds that a client may be silent in the middle of an exchange.
const SILENCE: i32 = 30_000;
/// Bytes read at a time.
const READ_BYTES: usize = 64 << 10;
/// Tries to fetch a piece before its client has to ask about the deal again, and milliseconds between them.
const TRIES: usize = 3;
const PAUSE: i32 = 100;
/// A port has no queue that could be looked at.
const LIMITS: Limits = Limits {
    message: usize::MAX,
    queued: u32::MAX,
    linger: 0,
};

#[derive(NetworkBehaviour)]
struct Behaviour {
    ping: ping::Behaviour,
    identify: identify::Behaviour,
    streams: libp2p_stream::Behaviour,
}

/// A running host.
pub struct Host {
    shared: Rc<Shared>,
    miner: usize,
    connections: RefCell<mpsc::Sender<Pipe>>,
    disconnect: mpsc::UnboundedSender<()>,
}

/// What each exchange of a host has.
#[derive(Clone)]
struct Exchanges {
    shared: Rc<Shared>,
    miner: usize,
    control: Control,
    /// Deals whose piece is being fetched.
    fetching: Rc<RefCell<BTreeSet<Cid>>>,
}

impl Host {
    /// Starts the host of the miner with a number.
    pub fn start(shared: Rc<Shared>, miner: usize, mut secret: [u8; 32]) -> Result<Self, String> {
        let key = Keypair::ed25519_from_bytes(&mut secret).map_err(|e| e.to_string())?;
        let (connections, incoming) = mpsc::channel(MAX_WAITING);
        let (disconnect, orders) = mpsc::unbounded();
        let mut swarm = swarm(&key, incoming).map_err(|e| e.to_string())?;
        let address: Multiaddr = "/memory/1".parse().map_err(|_| "no address")?;
        swarm.listen_on(address).map_err(|e| e.to_string())?;
        let control = swarm.behaviour().streams.new_control();
        let exchanges = Exchanges {
            shared: shared.clone(),
            miner,
            control: control.clone(),
            fetching: Rc::default(),
        };
        for protocol in PROTOCOLS {
            let incoming = control.clone().accept(StreamProtocol::new(protocol));
            let mut incoming = incoming.map_err(|e| e.to_string())?;
            let exchanges = exchanges.clone();
            spawn_local(async move {
                while let Some((peer, stream)) = incoming.next().await {
                    let exchanges = exchanges.clone();
                    // Whatever goes wrong in an exchange ends it, as its client sees.
                    spawn_local(async move { drop(exchanges.exchange(protocol, peer, stream).await) });
                }
            });
        }
        spawn_local(run(swarm, orders));
        Ok(Self {
            shared,
            miner,
            connections: RefCell::new(connections),
            disconnect,
        })
    }

    /// Takes a connection in; false when it takes none.
    pub fn accept(&self, socket: JsValue) -> bool {
        let net = self.shared.net.borrow();
        let takes = net
            .miners
            .get(self.miner)
            .is_some_and(|miner| !miner.faults.drop_connection);
        let pipe = takes.then(|| Pipe::new(socket, LIMITS, &Rc::new(Held::default())));
        pipe.is_some_and(|pipe| self.connections.borrow_mut().try_send(pipe).is_ok())
    }

    /// Breaks all connections off.
    pub fn disconnect(&self) {
        // It fails only when the host is gone.
        let _ = self.disconnect.unbounded_send(());
    }
}

fn swarm(key: &Keypair, incoming: mpsc::Receiver<Pipe>) -> Result<Swarm<Behaviour>, noise::Error> {
    let transport = Listener::new(incoming)
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(key)?)
        .multiplex(yamux::Config::default())
        .timeout(HANDSHAKE)
        .boxed();
    let identify = identify::Config::new("/sealdrop/1.0.0".into(), key.public())
        .with_agent_version(concat!("sealdrop-devnet/", env!("CARGO_PKG_VERSION"), " (fake proofs)").into())
        .with_hide_listen_addrs(true);
    let behaviour = Behaviour {
        ping: ping::Behaviour::default(),
        identify: identify::Behaviour::new(identify),
        streams: libp2p_stream::Behaviour::new(),
    };
    let config = libp2p::swarm::Config::with_wasm_executor().with_idle_connection_timeout(KEEP_CONNECTION);
    Ok(Swarm::new(transport, behaviour, key.public().to_peer_id(), config))
}

async fn run(mut swarm: Swarm<Behaviour>, mut orders: mpsc::UnboundedReceiver<()>) {
    loop {
        futures::select! {
            order = orders.next() => match order {
                Some(()) => {
                    let peers: Vec<PeerId> = swarm.connected_peers().copied().collect();
                    for peer in peers {
                        // It fails only for a peer that has gone meanwhile.
                        let _ = swarm.disconnect_peer_id(peer);
                    }
                }
                None => return,
            },
            event = swarm.select_next_some() => {
                // Nobody else dials, and what happens on streams is told there.
                let _: SwarmEvent<BehaviourEvent> = event;
            }
        }
    }
}

fn ended() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

async fn within<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let limited = clock::within(SILENCE, work).await;
    limited.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))
}

/// The body of the first frame.
async fn read(stream: &mut Stream) -> io::Result<Vec<u8>> {
    let (mut unread, mut buffer) = (Vec::new(), vec![0; READ_BYTES]);
    loop {
        if let Some(body) = next_frame(&unread, MAX_MESSAGE).map_err(io::Error::other)? {
            return Ok(unread.get(body).unwrap_or_default().to_vec());
        }
        match within(stream.read(&mut buffer)).await? {
            0 => return Err(ended()),
            count => unread.extend_from_slice(buffer.get(..count).unwrap_or_default()),
        }
    }
}

impl Exchanges {
    /// Something is done with the miner and its chain; nobody waits meanwhile.
    fn with<T>(&self, work: impl FnOnce(&mut Miner, &sealdrop_devnet::MemoryChain) -> T) -> Option<T> {
        let mut net = self.shared.net.borrow_mut();
        let crate::Devnet { chain, miners, .. } = &mut *net;
        miners.get_mut(self.miner).map(|miner| work(miner, chain))
    }

    /// Reads a question, and answers it when the miner has an answer.
    async fn exchange(&self, protocol: &'static str, peer: PeerId, mut stream: Stream) -> io::Result<()> {
        let request = read(&mut stream).await?;
        let until = clock::now() + LONGEST_WATCH_MS as f64;
        let messages = loop {
            let (seen, left) = (self.shared.news.count(), (until - clock::now()).max(0.0) as i32);
            let answer = self.with(|miner, chain| miner.answer(chain, protocol, &request, left == 0));
            match answer.ok_or_else(ended)?.map_err(io::Error::other)? {
                Answer::Messages(messages) => break messages,
                Answer::Nothing => return Ok(()),
                Answer::Later => drop(clock::within(left, self.shared.news.after(seen)).await),
            }
        };
        for message in messages {
            let framed = frame(&message, MAX_MESSAGE).map_err(io::Error::other)?;
            within(stream.write_all(&framed)).await?;
        }
        within(stream.close()).await?;
        if let Some(deal) = Miner::deal_of(protocol, &request) {
            self.fetch(deal, peer).await;
        }
        Ok(())
    }

    /// Fetches a deal's piece from its client, unless it is here or being fetched.
    async fn fetch(&self, deal: Cid, peer: PeerId) {
        if !self.fetching.borrow_mut().insert(deal) {
            return;
        }
        for _ in 0..TRIES {
            let pull = self.with(|miner, _| miner.pull(&deal).filter(|_| !miner.faults.drop_connection));
            let Some(Some(pull)) = pull else { break };
            match self.try_to_fetch(pull, peer).await {
                Ok(bytes) => {
                    self.with(|miner, chain| miner.arrived(chain, &deal, bytes));
                    self.shared.news.tell();
                }
                Err(Some(fault)) if fault.is_final() => {
                    self.with(|miner, _| miner.unobtainable(&deal));
                    self.shared.news.tell();
                }
                Err(_) => clock::sleep(PAUSE).await,
            }
        }
        self.fetching.borrow_mut().remove(&deal);
    }

    /// Errs with what is wrong with the piece or its source, or with nothing when the way to it is.
    async fn try_to_fetch(&self, pull: Result<Pull, PullError>, peer: PeerId) -> Result<Vec<u8>, Option<PullError>> {
        let mut pull = pull.map_err(Some)?;
        let way = |_: io::Error| None;
        let mut control = self.control.clone();
        let opening = control.open_stream(peer, StreamProtocol::new(protocol::TRANSFER));
        let opened = within(opening.map_err(io::Error::other)).await;
        let (mut stream, mut buffer) = (opened.map_err(way)?, vec![0; READ_BYTES]);
        loop {
            let requests = pull.requests().map_err(Some)?;
            within(stream.write_all(&requests)).await.map_err(way)?;
            within(stream.flush()).await.map_err(way)?;
            let count = within(stream.read(&mut buffer)).await.map_err(way)?;
            let received = buffer
                .get(..count)
                .filter(|received| !received.is_empty())
                .ok_or(None)?;
            if let Some(bytes) = pull.take(received).map_err(Some)? {
                // The piece is here: how the stream ends does not matter.
                let _ = within(stream.close()).await;
                return Ok(bytes);
            }
        }
    }
}
