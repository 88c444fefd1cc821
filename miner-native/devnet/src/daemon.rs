//! The development chain as a process runs it: in a folder, a block in every block time, its RPC served.

use crate::block::Block;
use crate::error::DevnetError;
use crate::genesis::{Authority, Genesis};
use crate::node::{self, now_ms, Node};
use crate::rpc;
use crate::store::Store;
pub use sealdrop_listener::Tls;
use shared::access::Access;
use shared::chain::state::Violation;
use shared::chain::verifier::Verifier;
use shared::chain::view::HeadView;
use shared::chain::{Epoch, Policy};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// What a development chain runs with.
#[derive(Clone)]
pub struct DevnetConfig {
    /// Where its blocks, state and keys are kept.
    pub dir: PathBuf,
    /// The network's name.
    pub network: String,
    /// Time between blocks; zero makes no block but those of [`Devnet::produce_block`].
    pub block_time: Duration,
    /// The network's numbers; genesis fixes them, later starts go by those.
    pub policy: Policy,
    /// Where the JSON-RPC listens; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// Names by which it may be asked, beside those of this machine and its addresses.
    pub hosts: Vec<String>,
    /// Whether everybody may ask, from pages of every site.
    pub is_public: bool,
    /// What accepts TLS, where there is a certificate.
    pub tls: Option<Tls>,
    /// Who checks proofs.
    pub verifier: Verifier,
    /// Digest of the verifying keys; genesis fixes it, since with other keys old proofs mean nothing.
    pub verifying_keys: String,
}

/// An open development chain. Clones are the same chain.
#[derive(Clone)]
pub struct Devnet {
    pub(super) node: Arc<Node>,
    block_time: Duration,
    pub(super) addresses: Vec<SocketAddr>,
    access: Access,
    tls: Option<Tls>,
    /// Taken by [`Devnet::run`].
    listeners: Arc<Mutex<Option<Vec<TcpListener>>>>,
    stop: Arc<watch::Sender<bool>>,
    /// Why the last block that was due was not made.
    trouble: Arc<watch::Sender<Option<String>>>,
}

impl Devnet {
    /// Opens the chain in a folder, or begins one there, and binds its RPC. Blocks the thread for some disk accesses.
    pub fn open(config: DevnetConfig) -> Result<Self, DevnetError> {
        let DevnetConfig {
            dir,
            network,
            block_time,
            policy,
            listen,
            hosts,
            is_public,
            tls,
            verifier,
            verifying_keys,
        } = config;
        let bound = listen.into_iter().map(bind).collect::<Result<Vec<_>, _>>()?;
        let (addresses, listeners): (Vec<SocketAddr>, Vec<TcpListener>) = bound.into_iter().unzip();
        let access = match is_public {
            true => Access::public(),
            false => Access::of(addresses.iter().copied(), hosts),
        };
        let store = Store::open(&dir)?;
        let resumed = store.resume()?;
        if let Some(resumed) = &resumed {
            resumed.genesis.check_network(&dir, &network, &verifying_keys)?;
        }
        let authority = Authority::open(&dir, resumed.is_some())?;
        let node = match resumed {
            Some(resumed) => {
                resumed.genesis.check_keys(&dir, &authority)?;
                if resumed.genesis.policy != policy {
                    tracing::warn!(
                        network,
                        "the chain keeps the policy of its genesis; the one configured is not used"
                    );
                }
                Node::resume(store, authority, resumed, verifier)?
            }
            None => {
                let genesis = Genesis::new(&network, &verifying_keys, &policy, &authority, now_ms());
                Node::begin(store, authority, genesis, verifier)?
            }
        };
        let head = node.current();
        tracing::info!(network, genesis = %node.genesis_cid, height = %head.block.height, "single-authority development chain opened");
        let listeners = Arc::new(Mutex::new(Some(listeners)));
        Ok(Self {
            node: Arc::new(node),
            block_time,
            addresses,
            access,
            tls,
            listeners,
            stop: Arc::new(watch::Sender::new(false)),
            trouble: Arc::default(),
        })
    }

    /// Where the JSON-RPC is served for this machine: on a loopback address, if on any.
    pub fn url(&self) -> String {
        let of_this_machine = self.addresses.iter().copied().map(sealdrop_listener::from_here);
        let first = of_this_machine.min_by_key(|address| !address.ip().is_loopback());
        // A chain without a listener is of no use to anybody.
        first.map_or_else(String::new, |address| format!("http://{address}/rpc"))
    }

    /// Where the JSON-RPC listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The chain's id: the genesis id that its network is known by.
    pub fn genesis(&self) -> String {
        self.node.genesis_cid.to_string()
    }

    /// Makes blocks and serves the RPC until [`Devnet::shutdown`]; may be run again when that ended by itself.
    pub async fn run(&self) -> Result<(), DevnetError> {
        let kept = node::lock(&self.listeners).take().ok_or(DevnetError::AlreadyServed)?;
        let listeners = kept.iter().map(TcpListener::try_clone).collect::<Result<Vec<_>, _>>();
        // Put back whatever happens: a panic must not take the chain's addresses with it.
        let _kept = PutBack {
            chain: self,
            listeners: Some(kept),
        };
        let listeners = listeners.map_err(DevnetError::Serve)?;
        let serving = rpc::Serving {
            block_time: self.block_time,
            access: self.access.clone(),
            tls: self.tls.clone(),
        };
        let served = rpc::serve(self.node.clone(), serving, listeners, self.stop.subscribe());
        let ticking = self.tick();
        tokio::pin!(served, ticking);
        tokio::select! {
            result = &mut served => {
                // Without its server the chain is of no use: the clock stops too. When it was told to, at the end of a block.
                if *self.stop.borrow() {
                    ticking.await;
                }
                result
            }
            () = &mut ticking => served.await,
        }
    }

    /// Why the last block that was due was not made; `None` when it was.
    pub fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.trouble.subscribe()
    }

    /// Stops [`Devnet::run`]: no further block; requests under way are answered.
    pub fn shutdown(&self) {
        self.stop.send_replace(true);
    }

    /// Makes one block now. Blocks the thread: for a commit, as long as its proof takes to verify.
    pub fn produce_block(&self) -> Result<HeadView, DevnetError> {
        self.node.produce().map(|made| made.head())
    }

    /// The newest block.
    pub fn head(&self) -> HeadView {
        self.node.current().head()
    }

    /// Checks that no money appeared or vanished, and the other rules of the whole chain.
    pub fn check_invariants(&self) -> Result<(), Violation> {
        self.node.current().state.check_invariants()
    }

    /// A block as it was recorded; `None` when it was not made, or was empty and is long past.
    pub fn block(&self, height: Epoch) -> Result<Option<Block>, DevnetError> {
        self.node.block(height)
    }

    /// Makes a block in every block time, until told to stop. After a pause (sleep, a long proof) it goes on without
    /// catching up. A block under way is finished, so that nothing of the chain is in use afterwards.
    async fn tick(&self) {
        let mut stop = self.stop.subscribe();
        // An error means that the sender is gone, and with it the chain.
        let stopped = stop.wait_for(|stopped| *stopped);
        tokio::pin!(stopped);
        if self.block_time.is_zero() {
            let _ = stopped.await;
            return;
        }
        let mut clock = tokio::time::interval(self.block_time);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once; the last block before a restart is young enough.
        clock.tick().await;
        loop {
            tokio::select! {
                _ = &mut stopped => return,
                _ = clock.tick() => {}
            }
            let node = self.node.clone();
            let failed = match tokio::task::spawn_blocking(move || node.produce().map(drop)).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(format!("no block was made: {error}; the next tick tries again")),
                Err(error) => Some(format!("making a block stopped: {error}; the next tick tries again")),
            };
            if let Some(failed) = &failed {
                tracing::error!("{failed}");
            }
            self.trouble.send_if_modified(|trouble| {
                let is_news = *trouble != failed;
                *trouble = failed;
                is_news
            });
        }
    }
}

/// Gives the listeners back to their chain, unless that was shut down.
struct PutBack<'a> {
    chain: &'a Devnet,
    listeners: Option<Vec<TcpListener>>,
}

impl Drop for PutBack<'_> {
    fn drop(&mut self) {
        if !*self.chain.stop.borrow() {
            *node::lock(&self.chain.listeners) = self.listeners.take();
        }
    }
}

/// Takes an address for the RPC; where it really listens.
fn bind(address: SocketAddr) -> Result<(SocketAddr, TcpListener), DevnetError> {
    let bound = sealdrop_listener::bind(address).and_then(|listener| Ok((listener.local_addr()?, listener)));
    bound.map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => DevnetError::PortInUse { address },
        _ => DevnetError::Listen { address, source },
    })
}
