//! One process with everything: parameters, chain, miner, web page; and an orderly end.
//!
//! Called by [`crate::commands`]. The miner reaches its chain by URL like any other, so that the two can be separated.

pub mod parameters;
mod proofs;

pub use proofs::{Proofs, RealProofs};

use crate::asking::{self, AskingError};
use crate::chain_access::{ChainAccess, ChainError};
use crate::explaining::Explainer;
use crate::failpoint::{self, UnknownPoint};
use crate::home::{Endpoints, Home, HomeError, Identity};
use crate::intake::Intake;
use crate::miner::Miner;
use crate::network::{self, Host, HostConfig, IdentityError, NetworkError, Pulls};
use crate::prover::{Prover, ProverError};
use crate::registration::{self, RegistrationError};
use crate::settings::{Keeper, SettingsChange, SettingsError};
use crate::staging::{Staging, StagingError};
use crate::store::{MinerStore, StoreError};
use crate::wallet::{Wallet, WalletError};
use crate::web::{self, WebConfig, WebError};
use crate::{ending, proving, redeeming, scrubbing, sealing, slashing};
use parameters::ParametersError;
use sealdrop_devnet::{Devnet, DevnetConfig, DevnetError};
use shared::chain::{Policy, SecretKey};
use shared::piece::SectorSize;
use shared::sector::prover_id;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// How long the chain may take to finish its block when the daemon stops.
const FAREWELL: Duration = Duration::from_secs(3);

/// Where the daemon listens, always on 127.0.0.1; 0 takes a free port.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    pub p2p: u16,
    pub p2p_ws: u16,
    pub chain: u16,
    pub web: u16,
}

/// What the daemon runs with.
#[derive(Debug, Clone)]
pub struct DaemonConfig {
    /// Default: `$HOME/.sealdrop`.
    pub home: Option<PathBuf>,
    /// Default: `params` in the home.
    pub params: Option<PathBuf>,
    /// Official parameters, whatever the network's name: see [`parameters::source`].
    pub official_params: bool,
    pub network: String,
    pub sector_size: SectorSize,
    pub block_time: Duration,
    pub ports: Ports,
    /// The page's folder.
    pub web: Option<PathBuf>,
    /// The browser client's folder.
    pub client: Option<PathBuf>,
    /// Settings that the operator gave; the others are as they were left, or the usual ones.
    pub settings: SettingsChange,
    /// The numbers of a network that begins.
    pub policy: Policy,
}

/// Why the daemon does not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Parameters(#[from] ParametersError),
    #[error(transparent)]
    Failpoint(#[from] UnknownPoint),
    #[error(transparent)]
    ProverSetUp(#[from] sealdrop_prover::Error),
    #[error(transparent)]
    Prover(#[from] ProverError),
    #[error(transparent)]
    Devnet(#[from] DevnetError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Asking(#[from] AskingError),
    #[error(transparent)]
    Wallet(#[from] WalletError),
    #[error(transparent)]
    HostKey(#[from] IdentityError),
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Staging(#[from] StagingError),
    #[error(transparent)]
    Web(#[from] WebError),
    #[error("the runtime cannot be started: {0}; close other programs and start again")]
    Runtime(std::io::Error),
    #[error("signals cannot be listened for: {0}")]
    Signal(std::io::Error),
    #[error("the chain stopped unexpectedly: {0}")]
    ChainStopped(String),
}

/// Runs until Ctrl-C or SIGTERM. The product's proofs are [`RealProofs`].
pub fn run(config: DaemonConfig, proofs: &dyn Proofs) -> Result<(), DaemonError> {
    failpoint::arm()?;
    let home = Home::open(config.home.clone())?;
    let _lock = home.lock()?;
    home.claim(&Identity {
        network: config.network.clone(),
        sector_size: config.sector_size,
    })?;
    // Parameters may take minutes: what would stop the daemon after them is looked at before.
    check(&config)?;
    proofs.prepare(&config, &home)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(DaemonError::Runtime)?;
    let ended = runtime.block_on(live(config, home, proofs));
    // A proof that is being computed cannot be interrupted; what it belongs to is on the disk, so nobody waits for it.
    runtime.shutdown_background();
    ended
}

/// Fails when a port or a folder that was named cannot be used.
fn check(config: &DaemonConfig) -> Result<(), DaemonError> {
    web_config(config, String::new()).check()?;
    let taken = |port: u16| {
        port != 0
            && matches!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)), Err(e) if e.kind() == ErrorKind::AddrInUse)
    };
    let Ports {
        p2p,
        p2p_ws,
        chain,
        web,
    } = config.ports;
    if taken(web) {
        return Err(WebError::PortInUse { port: web }.into());
    }
    if taken(chain) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, chain));
        return Err(DevnetError::PortInUse { address }.into());
    }
    Ok(HostConfig {
        tcp_port: p2p,
        websocket_port: p2p_ws,
    }
    .check()?)
}

fn web_config(config: &DaemonConfig, chain_url: String) -> WebConfig {
    let (web, client) = (config.web.clone(), config.client.clone());
    WebConfig { chain_url, web, client }
}

async fn live(config: DaemonConfig, home: Home, proofs: &dyn Proofs) -> Result<(), DaemonError> {
    let mut signals = Signals::listen()?;
    let starting = start(&config, &home, proofs);
    let running = tokio::select! {
        running = starting => running?,
        () = signals.any() => return Ok(()),
    };
    home.announce(&Endpoints {
        chain: running.devnet.url(),
        web: format!("http://{}", running.web_address),
    })?;
    greet(&running, &config, &home);
    let Running {
        devnet,
        mut chain_task,
        mut web_task,
        ..
    } = running;
    let ended = tokio::select! {
        () = signals.any() => Ok(()),
        chain = &mut chain_task => Err(DaemonError::ChainStopped(text_of(chain))),
        web = &mut web_task => match web {
            Ok(served) => served.map_err(DaemonError::from),
            Err(error) => Err(DaemonError::Web(WebError::Stopped(error.to_string()))),
        },
    };
    if ended.is_ok() {
        eprintln!("Stopping; deals and sectors go on at the next start");
    }
    web_task.abort();
    devnet.shutdown();
    if !chain_task.is_finished() && tokio::time::timeout(FAREWELL, &mut chain_task).await.is_err() {
        tracing::warn!("the chain did not finish its work in time; it is taken up at the next start");
    }
    ended
}

/// Everything that runs.
struct Running {
    devnet: Devnet,
    chain_task: JoinHandle<Result<(), DevnetError>>,
    miner: Arc<Miner>,
    host: Host,
    web_task: JoinHandle<Result<(), WebError>>,
    web_address: SocketAddr,
}

async fn start(config: &DaemonConfig, home: &Home, proofs: &dyn Proofs) -> Result<Running, DaemonError> {
    // The page's port is taken first: it is the one that people remember.
    let web_listener = web::bind(config.ports.web).await?;
    let host_key = {
        let dir = home.miner();
        std::fs::create_dir_all(&dir).map_err(|source| HomeError::File {
            action: "create",
            path: dir.clone(),
            source,
        })?;
        network::load_or_create(&dir.join("host.key"))?
    };
    let ports = HostConfig {
        tcp_port: config.ports.p2p,
        websocket_port: config.ports.p2p_ws,
    };
    let host = Host::start(host_key, ports).await?;
    let (devnet, chain_task) = start_chain(config, home, proofs).await?;
    let miner = Arc::new(start_miner(config, home, proofs, &devnet.url(), &host).await?);
    host.announce_to(miner.chain.clone());
    let pulls = Pulls::start(miner.clone(), host.clone());
    let explainer = Explainer::new(miner.clone(), pulls.clone());
    network::serve(miner.clone(), &host, pulls, explainer.clone())?;
    sealing::start(miner.clone());
    proving::start(miner.clone());
    scrubbing::start(miner.clone());
    redeeming::start(miner.clone());
    ending::start(miner.clone());
    slashing::start(miner.clone());
    asking::start(miner.clone());
    let web_config = web_config(config, devnet.url());
    let web_address = web_listener
        .local_addr()
        .map_err(|e| WebError::Stopped(e.to_string()))?;
    let served = web::serve(web_listener, web_config, miner.clone(), host.clone(), explainer);
    let web_task = tokio::spawn(served);
    Ok(Running {
        devnet,
        chain_task,
        miner,
        host,
        web_task,
        web_address,
    })
}

async fn start_chain(
    config: &DaemonConfig,
    home: &Home,
    proofs: &dyn Proofs,
) -> Result<(Devnet, JoinHandle<Result<(), DevnetError>>), DaemonError> {
    let devnet_config = DevnetConfig {
        dir: home.devnet(),
        network: config.network.clone(),
        block_time: config.block_time,
        policy: config.policy.clone(),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, config.ports.chain)),
        verifier: proofs.verifier(),
        verifying_keys: proofs.verifying_keys(config),
    };
    let devnet = tokio::task::block_in_place(|| Devnet::open(devnet_config))?;
    let running = devnet.clone();
    let chain_task = tokio::spawn(async move { running.run().await });
    Ok((devnet, chain_task))
}

async fn start_miner(
    config: &DaemonConfig,
    home: &Home,
    proofs: &dyn Proofs,
    chain_url: &str,
    host: &Host,
) -> Result<Miner, DaemonError> {
    let dir = home.miner();
    let store = MinerStore::open(&dir.join("store"))?;
    let worker: SecretKey = Wallet::open(dir.join("wallet"))?.default_key()?;
    let chain = ChainAccess::connect(chain_url, store.outbox(), worker.clone()).await?;
    let policy = chain.network().await?.policy;
    let peer = host.peer_id();
    let view = registration::register(&chain, &store, config.sector_size, &peer.to_bytes(), &peer.to_string()).await?;
    let engine = proofs.engine(prover_id(&view.address), config.sector_size, dir.join("sectors"))?;
    let kept = store.settings()?.unwrap_or_default();
    let miner = Miner {
        address: view.address,
        owner: view.owner,
        worker,
        sector_size: config.sector_size,
        policy,
        settings: Keeper::new(kept),
        prover: Prover::start(engine, config.sector_size, store.rates()),
        store,
        staging: Staging::open(dir.join("staging"))?,
        chain,
        verifier: proofs.verifier(),
        intake: Intake::default(),
        redeeming: tokio::sync::Mutex::new(()),
        received: Notify::new(),
        seal_now: Notify::new(),
    };
    asking::change(&miner, &config.settings).await?;
    asking::ensure(&miner).await?;
    // What is sealed is proven all the same, and memory may come back: no reason to stop.
    if let Err(error) = miner.prover.check_memory() {
        tracing::error!(%error, "no sector can be sealed, so no deals are taken");
    }
    Ok(miner)
}

/// Tells the operator what runs where; the last line is the page's address.
fn greet(running: &Running, config: &DaemonConfig, home: &Home) {
    let Running {
        devnet,
        miner,
        host,
        web_address,
        ..
    } = running;
    println!(
        "Network    {} (single-authority development chain, money without value)",
        config.network
    );
    let source = parameters::source(&config.network, config.official_params);
    println!("Proofs     {}", parameters::label(source));
    println!("Chain      {}", devnet.url());
    println!(
        "Miner      {} with {} sectors, {} FIL per byte per block",
        miner.address,
        miner.sector_size,
        miner.settings.now().price
    );
    for address in host.addresses() {
        println!("Host       {address}/p2p/{}", host.peer_id());
    }
    println!("Data       {}", home.root().display());
    println!("Sealdrop is ready: http://{web_address}");
}

fn text_of(ended: Result<Result<(), DevnetError>, tokio::task::JoinError>) -> String {
    match ended {
        Ok(Ok(())) => "it ended without an error".into(),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    }
}

/// The signals that stop the daemon.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> Result<Self, DaemonError> {
        use tokio::signal::unix::{signal, SignalKind};
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(DaemonError::Signal)?,
            interrupt: signal(SignalKind::interrupt()).map_err(DaemonError::Signal)?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Result<Self, DaemonError> {
        Ok(Self {})
    }

    async fn any(&mut self) {
        // An error means that no signal can come: then only the process's end stops it.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
