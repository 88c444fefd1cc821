//! One process with what its [`Role`] needs of parameters, chain, miner and web page; and an orderly end.
//!
//! Called by [`crate::commands`]. The miner reaches its chain by URL like any other: its own daemon's, or the one that it joins
//! ([`joining`]).

mod config;
mod elsewhere;
mod greeting;
mod joining;
pub mod parameters;
mod proofs;
mod reloading;
mod services;
mod several;
mod signals;
#[cfg(test)]
mod testing;
mod working;

pub use config::{ConfigError, DaemonConfig, Listen, P2p, PublicHttp, Role};
pub use joining::JoinError;
pub use proofs::{Proofs, RealProofs};
pub use reloading::Read;
pub use working::{work, WorkConfig};

use greeting::Greeting;
use parameters::ParametersError;
use reloading::Reloading;
use sealdrop_database::blocking;
use sealdrop_database::jobs::Jobs;
use sealdrop_devnet::{Devnet, DevnetConfig, DevnetError};
use sealdrop_listener::Tls;
use sealdrop_miner::alerts::Alerts;
use sealdrop_miner::ask_publisher::{self, AskError};
use sealdrop_miner::assembly::Assembly;
use sealdrop_miner::block_index::{BlockIndex, IndexError};
use sealdrop_miner::chain_access::{genesis_at, rpc_url, Account, ChainAccess, ChainError};
use sealdrop_miner::clock::now_ms;
use sealdrop_miner::coming::Coming;
use sealdrop_miner::console;
use sealdrop_miner::data_dir::{DataDir, DataDirError, Elsewhere, Endpoints, Identity};
use sealdrop_miner::descriptors;
use sealdrop_miner::explaining::Explainer;
use sealdrop_miner::failpoint::{self, UnknownPoint};
use sealdrop_miner::http::{self, Http, HttpError};
use sealdrop_miner::intake::Intake;
use sealdrop_miner::logging::Log;
use sealdrop_miner::machines::MachinesError;
use sealdrop_miner::network::{self, Host, HttpPlaces, IdentityError, Network, NetworkError, TransferManager};
use sealdrop_miner::operator::token::{TokenError, Tokens};
use sealdrop_miner::piece_reader::PieceReader;
use sealdrop_miner::prover::{Prover, ProverError};
use sealdrop_miner::registration::{self, RegistrationError};
use sealdrop_miner::settings::{SettingsError, SettingsStore};
use sealdrop_miner::staging::{Staging, StagingError};
use sealdrop_miner::storage_check::StorageDoubt;
use sealdrop_miner::store::StoreError;
use sealdrop_miner::supervisor::{RestartPolicy, ServiceFailed, Supervisor};
use sealdrop_miner::web::{self, Api, Web, WebConfig, WebError};
use sealdrop_miner::worker::{WorkerError, WorkerKey};
use sealdrop_wallet::{Wallet, WalletError};
use shared::chain::SecretKey;
use shared::client::link::{HttpUrl, Link};
use shared::ports::verifier::prover_id;
use signals::Signals;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Why the daemon does not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error(transparent)]
    DataDir(#[from] DataDirError),
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
    Ask(#[from] AskError),
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
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("the runtime cannot be started: {0}; close other programs and start again")]
    Runtime(std::io::Error),
    #[error("signals cannot be listened for: {0}")]
    Signal(std::io::Error),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Join(#[from] JoinError),
    #[error(transparent)]
    Worker(#[from] WorkerError),
    #[error(transparent)]
    Machines(#[from] MachinesError),
    #[error(transparent)]
    ServiceFailed(#[from] ServiceFailed),
}

/// Runs until Ctrl-C or SIGTERM. The product's proofs are [`RealProofs`].
pub fn run(mut config: DaemonConfig, proofs: &dyn Proofs, log: &Log, read: Read) -> Result<(), DaemonError> {
    failpoint::arm()?;
    descriptors::raise_limit();
    config.check()?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let home = DataDir::open(config.home.clone())?;
    let _lock = home.lock()?;
    match config.role.clone() {
        Role::Miner { chain } => joining::join(&mut config, &chain, &home, proofs)?,
        Role::Chain | Role::ChainAndMiner => joining::check_own(&home)?,
    }
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
    let ended = runtime.block_on(live(config, home, proofs, log, read));
    // A proof that is being computed cannot be interrupted; what it belongs to is on the disk, so nobody waits for it.
    runtime.shutdown_background();
    ended
}

/// Fails when an address or a folder that was named cannot be used.
fn check(config: &DaemonConfig) -> Result<(), DaemonError> {
    let taken = |addresses: &[SocketAddr]| {
        let addresses = addresses.iter().copied();
        let mut named = addresses.filter(|address| address.port() != 0);
        named.find(|address| matches!(TcpListener::bind(address), Err(e) if e.kind() == ErrorKind::AddrInUse))
    };
    if let (true, Some(address)) = (config.makes_chain(), taken(&config.chain.addresses)) {
        return Err(DevnetError::PortInUse { address }.into());
    }
    if config.role == Role::Chain {
        return Ok(());
    }
    web_config(config, String::new()).check()?;
    if let Some(address) = taken(&config.web.addresses) {
        return Err(WebError::PortInUse { address }.into());
    }
    if let Some(address) = taken(&config.http.addresses) {
        return Err(HttpError::PortInUse { address }.into());
    }
    Ok(config.p2p.host_config(config.tls.clone(), PathBuf::new()).check()?)
}

fn web_config(config: &DaemonConfig, chain_url: String) -> WebConfig {
    WebConfig {
        chain_url,
        web: config.page.clone(),
        client: config.client.clone(),
        hosts: config.web.hosts.clone(),
        tls: config.tls.as_ref().map(Tls::under),
    }
}

async fn live(
    config: DaemonConfig,
    home: DataDir,
    proofs: &dyn Proofs,
    log: &Log,
    read: Read,
) -> Result<(), DaemonError> {
    let mut signals = Signals::listen()?;
    let mut supervisor = Supervisor::new(RestartPolicy::default());
    let failed = supervisor.failed();
    if let Some(certificate) = config.tls.clone() {
        services::start_certificate(certificate, &mut supervisor);
    }
    let running = async {
        let greeting = match &config.role {
            Role::Chain => start_chain_alone(&config, &home, proofs, &mut supervisor)?,
            Role::ChainAndMiner | Role::Miner { .. } => {
                start(&config, &home, proofs, (log, read), &mut supervisor).await?
            }
        };
        if let Some(made) = greeting.own_chain() {
            home.own_chain(made)?;
        }
        home.announce(greeting.endpoints())?;
        greeting.print(&config, &home);
        std::future::pending::<()>().await;
        Ok(())
    };
    let ended = tokio::select! {
        () = signals.any() => Ok(()),
        ended = running => ended,
        failed = failed => Err(failed.into()),
    };
    if ended.is_ok() {
        console::stderr("Stopping; deals and sectors go on at the next start");
    }
    supervisor.stop().await;
    ended
}

fn start_chain_alone(
    config: &DaemonConfig,
    home: &DataDir,
    proofs: &dyn Proofs,
    supervisor: &mut Supervisor,
) -> Result<Greeting, DaemonError> {
    let devnet = start_chain(config, home, proofs, supervisor)?;
    Ok(Greeting::of_chain(config, &devnet))
}

/// Starts the services, in the order in which they need each other.
async fn start(
    config: &DaemonConfig,
    home: &DataDir,
    proofs: &dyn Proofs,
    (log, read): (&Log, Read),
    supervisor: &mut Supervisor,
) -> Result<Greeting, DaemonError> {
    let jobs = several::lead(config, home, supervisor).await?;
    // The page's port is taken first: it is the one that people remember.
    let listeners = web::bind(&config.web.addresses)?;
    let bound = listeners.iter().filter_map(|listener| listener.local_addr().ok());
    let web_addresses: Vec<SocketAddr> = bound.collect();
    let http_listeners = http::bind(&config.http.addresses)?;
    let bound = http_listeners.iter().filter_map(|listener| listener.local_addr().ok());
    let http_addresses: Vec<SocketAddr> = bound.collect();
    let host = start_host(config, home).await?;
    let (chain_url, chain_elsewhere) = match &config.role {
        Role::Miner { chain } => (rpc_url(chain), None),
        Role::Chain | Role::ChainAndMiner => {
            let devnet = start_chain(config, home, proofs, supervisor)?;
            (devnet.url(), greeting::chain_elsewhere(config, &devnet))
        }
    };
    let endpoints = Endpoints {
        chain: chain_url.clone(),
        web: Some(web::url(&web_addresses)),
        http: Some(web::url(&http_addresses)),
        elsewhere: Elsewhere {
            chain: chain_elsewhere,
            web: elsewhere::url(&web_addresses, &config.web, config.tls.is_some()),
        },
        config: config.file_as_text(),
    };
    let parts = start_miner(config, home, proofs, &chain_url, (&host, jobs), supervisor).await?;
    let transfers = TransferManager::new(parts.transfer_parts(), host.clone());
    let sources = transfers.clone();
    let explainer = Explainer::new(parts.explainer_parts(), move |deal| sources.sources(deal));
    services::start_work(&parts, supervisor);
    if let Some(archive) = &config.archive {
        let archiving = parts.archiving(archive.clone(), config.network.clone());
        services::start_archiving(archiving, supervisor);
    }
    services::start_network(
        Network {
            host: host.clone(),
            chain: parts.chain.clone(),
            reviewer: Arc::new(parts.reviewer()),
            answers: parts.answers(),
            transfers,
            explainer: explainer.clone(),
            retrieval: parts.retrieval(),
            storage_doubt: parts.storage_doubt.clone(),
        },
        supervisor,
    );
    host.serves_http(HttpPlaces {
        bound: http_addresses.clone(),
        has_tls: config.tls.is_some(),
        announce: config.http.announce.clone(),
    });
    let public = Http {
        addresses: http_addresses,
        tls: config.tls.as_ref().map(Tls::under),
        reading: parts.reading(),
        uploads: parts.uploads()?,
    };
    services::start_http(public, http_listeners, supervisor);
    services::start_self_check(host.clone(), supervisor).await;
    services::start_self_checks(&parts, log, supervisor);
    let alerts = Alerts::new(
        config.webhook.clone(),
        supervisor.board(),
        parts.address.clone(),
        config.network.clone(),
    );
    services::start_alerts(alerts.clone(), supervisor);
    let shown = Arc::new(Mutex::new(config.shown.clone()));
    let reloading = Reloading {
        read,
        log: log.clone(),
        publisher: parts.ask_publisher(),
        shown: shown.clone(),
    };
    services::start_reloading(reloading, supervisor);
    Tokens::ensure(&home.tokens())?;
    let web = Web {
        addresses: web_addresses,
        config: web_config(config, chain_url.clone()),
        api: Api {
            address: parts.address.clone(),
            owner: parts.owner.clone(),
            sector_size: parts.sector_size,
            store: parts.store.clone(),
            staging: parts.staging.clone(),
            chain: parts.chain.clone(),
            prover: parts.prover.clone(),
            settings: parts.settings.clone(),
            intake: parts.intake.clone(),
            worker: parts.worker.clone(),
            ask_publisher: parts.ask_publisher(),
            redeeming: parts.redeeming(),
            proving: parts.proving(),
            wake: parts.wake.clone(),
            host: host.clone(),
            explainer,
            health: supervisor.board(),
            link: link(&parts, &endpoints),
            tokens: home.tokens(),
            home: home.root().to_owned(),
            started_ms: now_ms(),
            policy: parts.policy.clone(),
            log: log.clone(),
            alerts,
            configuration: shown,
        },
    };
    services::start_web(web, listeners, supervisor);
    Ok(Greeting::of_miner(&config.role, endpoints, &parts, host))
}

/// Opens the page that this daemon serves at its miner.
fn link(parts: &Assembly, endpoints: &Endpoints) -> Option<String> {
    let page: HttpUrl = endpoints.web_told()?.parse().ok()?;
    let chain = endpoints.chain_told().parse().ok()?;
    let (miner, chain) = (Some(parts.address.clone()), Some(chain));
    Link { miner, chain }.at(&page).ok()
}

async fn start_host(config: &DaemonConfig, home: &DataDir) -> Result<Host, DaemonError> {
    let dir = home.miner();
    std::fs::create_dir_all(&dir).map_err(|source| DataDirError::File {
        action: "create",
        path: dir.clone(),
        source,
    })?;
    let host_key = network::load_or_create(&dir.join("host.key"))?;
    let listen = config.p2p.host_config(config.tls.clone(), dir.join("certificates"));
    Ok(Host::start(host_key, listen).await?)
}

fn start_chain(
    config: &DaemonConfig,
    home: &DataDir,
    proofs: &dyn Proofs,
    supervisor: &mut Supervisor,
) -> Result<Devnet, DaemonError> {
    let devnet_config = DevnetConfig {
        dir: home.devnet(),
        network: config.network.clone(),
        block_time: config.block_time,
        policy: config.policy.clone(),
        listen: config.chain.addresses.clone(),
        hosts: config.chain.hosts.clone(),
        is_public: config.chain_is_public,
        tls: config.tls.as_ref().map(Tls::under),
        verifier: proofs.verifier(config),
        verifying_keys: proofs.verifying_keys(config),
    };
    let devnet = blocking(|| Devnet::open(devnet_config))?;
    services::start_chain(devnet.clone(), supervisor);
    Ok(devnet)
}

/// Opens what the miner's services are made of; those that register it run from here on.
async fn start_miner(
    config: &DaemonConfig,
    home: &DataDir,
    proofs: &dyn Proofs,
    chain_url: &str,
    (host, jobs): (&Host, Option<Jobs>),
    supervisor: &mut Supervisor,
) -> Result<Assembly, DaemonError> {
    let dir = home.miner();
    let storage = several::storage(config, home);
    let store = several::store(config, home, jobs.as_ref())?;
    let wallet = Wallet::open(dir.join("wallet"))?;
    // It was there a moment ago, or before the parameters were made; it may rest meanwhile.
    let waits = matches!(config.role, Role::Miner { .. });
    let network = match waits {
        true => joining::when_reached(|| genesis_at(chain_url)).await?,
        false => genesis_at(chain_url).await?,
    };
    let owner: SecretKey = wallet.default_key(&network)?;
    let open = || ChainAccess::open(chain_url, store.outbox(), owner.clone());
    let (chain, following) = match waits {
        true => joining::when_reached(open).await?,
        false => open().await?,
    };
    services::start_following(following, supervisor);
    let policy = chain.network().await?.policy;
    let peer = host.peer_id();
    let view = registration::register(&chain, &store, config.sector_size, &peer.to_bytes()).await?;
    let worker = Account::of(owner);
    let worker_chain = chain.with_account(worker.clone());
    let mut wallets = vec![wallet];
    if home.client().join("wallet").is_dir() {
        // Where `sealdrop wallet` keeps keys.
        wallets.push(Wallet::open(home.client().join("wallet"))?);
    }
    let worker_key = WorkerKey {
        miner: view.address.clone(),
        chain: chain.clone(),
        worker_chain: worker_chain.clone(),
        wallets,
        account: worker.clone(),
    };
    let signs = match worker_key.follow(&view.worker).await {
        Ok(()) => true,
        Err(error @ WorkerError::NoKey { .. }) => {
            tracing::error!(%error, "the miner starts and does nothing that its worker must sign");
            false
        }
        Err(error) => return Err(error.into()),
    };
    services::start_worker_key(worker_key, supervisor);
    let sectors = storage.join("sectors");
    let engine = proofs.engine(prover_id(&view.address), config.sector_size, sectors.clone())?;
    let kept = store.settings()?.unwrap_or_default();
    kept.settings.check()?;
    let settings = Arc::new(SettingsStore::new(kept));
    let staging = Staging::open(storage.join("staging"))?;
    let mut prover = Arc::new(Prover::start(engine, config.sector_size, store.rates()));
    if let Some(jobs) = jobs {
        let parts = (&prover, &staging);
        prover = several::share(config, jobs, prover_id(&view.address), parts, supervisor)?;
    }
    let intake = Intake::new(config.sector_size, store.clone(), prover.clone(), settings.clone());
    let reader = PieceReader::new(store.clone(), staging.clone(), prover.clone());
    let index = blocking(|| BlockIndex::open(&dir.join("index")))?;
    let parts = Assembly {
        address: view.address.clone(),
        owner: view.owner.clone(),
        sector_size: config.sector_size,
        policy,
        store,
        staging,
        chain,
        worker_chain,
        worker,
        prover,
        reader,
        index,
        verifier: proofs.verifier(config),
        settings,
        intake: Arc::new(intake),
        wake: Arc::default(),
        sectors,
        storage_doubt: StorageDoubt::default(),
        coming: match &config.archive {
            Some(_) => Coming::unknown(),
            None => Coming::nothing(),
        },
        redemptions: Arc::default(),
    };
    if signs {
        registration::show_peer_id(&parts.worker_chain, &view, &peer.to_bytes(), &peer.to_string()).await?;
        ask_publisher::change(&parts.ask_publisher(), &config.settings).await?;
        ask_publisher::ensure(&parts.ask_publisher()).await?;
    }
    // What is sealed is proven all the same, and memory may come back: no reason to stop.
    if let Err(error) = parts.prover.check_memory() {
        tracing::error!(%error, "no sector can be sealed, so no deals are taken");
    }
    Ok(parts)
}
