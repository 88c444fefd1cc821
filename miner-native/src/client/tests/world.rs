//! A chain whose clock the test holds, and a miner that answers as it is told, over real streams.

use crate::client::{Report, Session};
use futures::StreamExt;
use libp2p::core::PeerRecord;
use libp2p::identity::Keypair;
use libp2p::swarm::SwarmEvent;
use libp2p::{noise, tcp, yamux, StreamProtocol};
use libp2p_stream::IncomingStreams;
use sealdrop_database::Memory;
use sealdrop_devnet::{Devnet, DevnetConfig};
use sealdrop_miner::chain_access::ChainAccess;
use sealdrop_miner::network::frames;
use shared::chain::calls::{add_ask, create_storage_miner, miner_address, update_peer_id};
use shared::chain::{Address, AttoFil, Epoch, Policy, SecretKey};
use shared::deal::{DealState, QueryRequest, Response, SignedProposal, SignedResponse, WatchRequest};
use shared::piece::SectorSize;
use shared::ports::verifier::FakeVerifier;
use shared::wire::{protocol, Cbor};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

/// attoFIL for a byte in a block.
pub const PRICE: AttoFil = AttoFil(1_000_000_000);
/// Blocks that a cancelled channel lives on.
pub const CANCEL_DELAY: u64 = 20;

/// What the miner says to proposals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    Accept,
    Reject,
    /// An acceptance that was changed after it was signed.
    Altered,
    /// The file is in a sector.
    Stage,
}

pub struct World {
    pub dir: TempDir,
    pub devnet: Devnet,
    /// Whether blocks are made.
    pub ticking: Arc<AtomicBool>,
}

/// A miner that keeps nothing and answers as it is told.
pub struct Miner {
    pub address: Address,
    reply: Arc<Mutex<Reply>>,
    /// Queries and watches that it was asked.
    pub asked: Arc<Asked>,
}

/// How often a miner was asked how a deal stands.
#[derive(Default)]
pub struct Asked {
    pub queries: AtomicUsize,
    pub watches: AtomicUsize,
}

pub fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).expect("a small number is a key")
}

impl World {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        let devnet = Devnet::open(DevnetConfig {
            dir: dir.path().join("devnet"),
            network: "test".into(),
            block_time: Duration::ZERO,
            policy: Policy {
                cancel_delay: CANCEL_DELAY,
                ..Policy::default()
            },
            listen: vec!["127.0.0.1:0".parse().expect("an address")],
            hosts: Vec::new(),
            is_public: false,
            tls: None,
            verifier: Arc::new(FakeVerifier::default()),
            verifying_keys: "keys".into(),
        });
        let devnet = devnet.expect("a chain begins");
        let (serving, making) = (devnet.clone(), devnet.clone());
        tokio::spawn(async move { serving.run().await });
        let ticking = Arc::new(AtomicBool::new(true));
        let clock = ticking.clone();
        tokio::spawn(async move {
            loop {
                if clock.load(Ordering::SeqCst) {
                    let making = making.clone();
                    let made = tokio::task::spawn_blocking(move || {
                        making.produce_block().expect("a block is made");
                        making.check_invariants().expect("no money comes or goes");
                    });
                    made.await.expect("making a block does not panic");
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        Self { dir, devnet, ticking }
    }

    /// Makes blocks as fast as they come, up to this height.
    pub async fn skip_to(&self, end: Epoch) {
        let making = self.devnet.clone();
        let made = tokio::task::spawn_blocking(move || {
            while making.head().height < end {
                making.produce_block().expect("a block is made");
            }
        });
        made.await.expect("making a block does not panic");
    }

    /// The client's directory; the same one again is the client after a restart.
    pub fn client_dir(&self) -> PathBuf {
        self.dir.path().join("client")
    }

    /// A client process.
    pub async fn session(&self) -> Session {
        let opened = Session::open(&self.client_dir(), &self.devnet.url(), Report::new()).await;
        opened.expect("the client starts")
    }

    /// The chain as `key`'s account.
    pub async fn chain(&self, key: &SecretKey) -> ChainAccess {
        let connected = ChainAccess::connect(&self.devnet.url(), Arc::new(Memory::default()), key.clone()).await;
        connected.expect("the chain answers")
    }

    /// Waits until the faucet's money is there.
    pub async fn fund(&self, chain: &ChainAccess) {
        chain.faucet(&chain.address()).await.expect("the faucet gives");
        while chain
            .balance(&chain.address())
            .await
            .expect("the chain answers")
            .is_zero()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// A miner of `key` that is registered, can be dialled, and offers storage at `price`.
    pub async fn miner(&self, key: &SecretKey, price: AttoFil) -> Miner {
        self.miner_of(key, price, true, SectorSize::S2KiB).await
    }

    /// One with sectors that take a part of a file.
    pub async fn large_miner(&self, key: &SecretKey, price: AttoFil) -> Miner {
        self.miner_of(key, price, true, SectorSize::S8MiB).await
    }

    /// One that speaks the protocols of 2019 only: it cannot be watched.
    pub async fn old_miner(&self, key: &SecretKey, price: AttoFil) -> Miner {
        self.miner_of(key, price, false, SectorSize::S2KiB).await
    }

    async fn miner_of(&self, key: &SecretKey, price: AttoFil, watches: bool, sectors: SectorSize) -> Miner {
        let chain = self.chain(key).await;
        self.fund(&chain).await;
        let host = Keypair::generate_ed25519();
        let peer = host.public().to_peer_id().to_bytes();
        let create = create_storage_miner(sectors, &peer, AttoFil::from_fil(1));
        let (_, receipt) = chain.call("create", create).await.expect("the miner is registered");
        let receipt = receipt.receipt().expect("the receipt is well formed");
        let address = miner_address(&receipt).expect("the receipt names the miner");
        let ask = add_ask(&address, price, 1_000_000);
        chain.call("ask", ask).await.expect("the offer stands");
        let reply = Arc::new(Mutex::new(Reply::Accept));
        let asked = Arc::<Asked>::default();
        let listening = listen(&host, key.clone(), reply.clone(), asked.clone(), watches).await;
        announce(&chain, &host, listening).await;
        Miner { address, reply, asked }
    }

    /// The miner of `key` at another host, with a key and an address of its own, which chain and directory name from now on. The
    /// former host says only that it accepts.
    pub async fn moved(&self, miner: &Miner, key: &SecretKey) -> Miner {
        let chain = self.chain(key).await;
        let host = Keypair::generate_ed25519();
        let call = update_peer_id(&miner.address, &host.public().to_peer_id().to_bytes());
        chain.call("move", call).await.expect("the owner may");
        let (reply, asked) = (Arc::new(Mutex::new(Reply::Stage)), Arc::<Asked>::default());
        let listening = listen(&host, key.clone(), reply.clone(), asked.clone(), true).await;
        announce(&chain, &host, listening).await;
        let address = miner.address.clone();
        Miner { address, reply, asked }
    }
}

impl Miner {
    /// Tells it what to say from now on.
    pub fn says(&self, reply: Reply) {
        *self.reply.lock().unwrap_or_else(PoisonError::into_inner) = reply;
    }
}

/// Says in the chain's directory where a host is.
async fn announce(chain: &ChainAccess, host: &Keypair, listening: libp2p::Multiaddr) {
    let record = PeerRecord::new_interop(host, vec![listening]).expect("a record can be signed");
    let envelope = record.into_signed_envelope().into_protobuf_encoding();
    chain.announce(&envelope).await.expect("the announcement is taken");
}

#[derive(libp2p::swarm::NetworkBehaviour)]
struct Behaviour {
    stream: libp2p_stream::Behaviour,
}

async fn listen(
    host: &Keypair,
    worker: SecretKey,
    reply: Arc<Mutex<Reply>>,
    asked: Arc<Asked>,
    watches: bool,
) -> libp2p::Multiaddr {
    let builder = libp2p::SwarmBuilder::with_existing_identity(host.clone()).with_tokio();
    let tcp = builder.with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default);
    let built = tcp.expect("TCP is there").with_behaviour(|_| Behaviour {
        stream: libp2p_stream::Behaviour::new(),
    });
    let mut swarm = built
        .expect("a behaviour is made")
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
        .build();
    let mut control = swarm.behaviour().stream.new_control();
    let mut accept = |name| control.accept(StreamProtocol::new(name)).expect("it is taken once");
    let (proposals, queries) = (accept(protocol::MAKE_DEAL), accept(protocol::QUERY_DEAL));
    let signer = worker.clone();
    tokio::spawn(answer(proposals, move |proposal: SignedProposal| {
        let reply = *reply.lock().unwrap_or_else(PoisonError::into_inner);
        respond(&signer, reply, proposal.cid())
    }));
    if watches {
        let (signer, asked) = (worker.clone(), asked.clone());
        tokio::spawn(answer(accept(protocol::WATCH_DEAL), move |watch: WatchRequest| {
            asked.watches.fetch_add(1, Ordering::SeqCst);
            respond(&signer, Reply::Stage, watch.cid)
        }));
    }
    tokio::spawn(answer(queries, move |query: QueryRequest| {
        // The second time it has got further.
        let reply = match asked.queries.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::Accept,
            _ => Reply::Stage,
        };
        respond(&worker, reply, query.cid)
    }));
    swarm
        .listen_on("/ip4/127.0.0.1/tcp/0".parse().expect("an address"))
        .expect("a port is free");
    let address = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            break address;
        }
    };
    tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    address
}

async fn answer<Q: Cbor>(mut incoming: IncomingStreams, reply: impl Fn(Q) -> SignedResponse) {
    while let Some((_, mut stream)) = incoming.next().await {
        // A client that goes away in the middle of its question is no business of the others.
        let Ok(question) = frames::read(&mut stream).await else {
            continue;
        };
        if frames::write(&mut stream, &reply(question)).await.is_ok() {
            let _ = frames::close(&mut stream).await;
        }
    }
}

fn respond(worker: &SecretKey, reply: Reply, proposal_cid: cid::Cid) -> SignedResponse {
    let (state, message) = match reply {
        Reply::Accept | Reply::Altered => (DealState::Accepted, String::new()),
        Reply::Stage => (DealState::Staged, String::new()),
        Reply::Reject => (DealState::Rejected, "no room today".to_owned()),
    };
    let response = Response {
        state,
        message,
        proposal_cid,
        proof_info: None,
    };
    let mut signed = response.sign(worker);
    if reply == Reply::Altered {
        signed.response.message = "altered".into();
    }
    signed
}
