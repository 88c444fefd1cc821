//! What a daemon runs with: from the options of the command line, the environment, the configuration file and what is usual, in
//! this order ([`layers`]). Every key is in one table ([`keys`]), of which the file's sample is made, too.
//!
//! Called by [`crate::commands`]; [`crate::daemon`] comes next. What may change while the daemon runs are [`settings`], which its
//! store keeps.

mod file;
mod installed;
mod keys;
mod layers;
mod options;
mod sample;
pub mod settings;
mod value;

pub use file::FILE_NAME;
pub use layers::{Configuration, Source};
pub use options::{
    ArchiveOptions, ChainOptions, DatabaseOptions, HttpOptions, JoinOptions, LogOptions, MinerOptions, NetworkOptions,
    Options, P2pOptions, PlaceOptions, ProofOptions, TlsOptions, WebOptions,
};
pub use sample::{sample, written};
pub use value::HostName;
use value::LogFilter;

use crate::daemon::{DaemonConfig, Listen, P2p, PublicHttp, Role};
use sealdrop_database::DatabaseError;
use sealdrop_listener::{Certificate, PemFiles, TlsError};
use sealdrop_miner::archive::{ArchiveConfig, ArchiveError};
use sealdrop_miner::logging::LogConfig;
use sealdrop_miner::machines::SharedConfig;
use sealdrop_miner::operator::{ConfigurationEntry, ConfigurationView};
use sealdrop_miner::settings::SettingsError;
use shared::chain::Policy;
use shared::piece::SectorSize;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Time between blocks, unless said otherwise.
const BLOCK_TIME: Duration = Duration::from_secs(1);
/// A network's name, unless said otherwise.
const NETWORK: &str = "sealdrop-devnet";
/// The size of sectors, unless said otherwise.
const SECTOR_SIZE: SectorSize = SectorSize::S8MiB;
/// The usual ports.
const WEB_PORT: u16 = 4400;
const P2P_PORT: u16 = 4401;
const P2P_WS_PORT: u16 = 4402;
const CHAIN_PORT: u16 = 4403;
/// Not 4404, which the examples of WebRTC have, over UDP.
const HTTP_PORT: u16 = 4405;

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    #[error("cannot read the configuration {}: {source}; check its name and its permissions", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} is too long to be a configuration; is it the right file?", path.display())]
    TooLong { path: PathBuf },
    #[error("line {line} of {} is no TOML: {reason}; `sealdrop config init` prints a sample", path.display())]
    Toml { path: PathBuf, line: usize, reason: String },
    #[error("{} has the key {name}, and there is none of this name; {}", path.display(), advice(*nearest))]
    UnknownKey {
        path: PathBuf,
        name: String,
        nearest: Option<&'static str>,
    },
    #[error("{place} is {found}, which is no value of it; give {form}")]
    Value {
        place: String,
        found: String,
        form: &'static str,
    },
    #[error("{} lies in a home and names another, {}; take `home` out of it, or move it out of there", file.display(), home.display())]
    OtherHome { file: PathBuf, home: PathBuf },
    #[error("chain.url ({url}) names another daemon's chain, and {key} ({source_of_key}) is about one that is made here; leave one of them out")]
    NotOurChain {
        key: &'static str,
        source_of_key: Source,
        url: Source,
    },
    #[error("`sealdrop chain run` makes a chain, and chain.url ({url}) names another daemon's; leave it out, or join that one with `sealdrop daemon`")]
    ChainAloneOnAnothers { url: Source },
    #[error("{port} and p2p.listen both say where libp2p listens; name the port in p2p.listen, or leave that out")]
    PortAndListen { port: &'static str },
    #[error("database.url names a database that other machines reach, and a chain that is made here stays on this machine: name the chain that the miner joins by chain.url, run by `sealdrop chain run`")]
    DatabaseAndOwnChain,
    #[error("database.url: {0}")]
    Database(#[from] DatabaseError),
    #[error("{key} is about several machines, and database.url is not named: name it, or leave that out")]
    NoDatabase { key: &'static str },
    #[error("archive.place: {0}")]
    Archive(#[from] ArchiveError),
    #[error("{key} is about an archive, and archive.place is not named: name it, or leave that out")]
    NoArchive { key: &'static str },
    #[error("tls.certificate and tls.key go together, and only one of them is named; name both, or none")]
    HalfOfTls,
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

/// Whether a key is one that holds from the start on.
pub fn is_of_the_start(key: &str) -> bool {
    keys::KEYS.iter().any(|known| known.name == key)
}

fn advice(nearest: Option<&'static str>) -> String {
    let meant = nearest.map(|nearest| format!("is {nearest} meant? "));
    format!("{}`sealdrop config init` prints all keys", meant.unwrap_or_default())
}

/// Which parts a command is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// The chain alone.
    Chain,
    /// A miner, with a chain of its own unless it joins another.
    Miner,
}

/// What a chain that is made here is told, and one that is joined is not.
const OF_OWN_CHAIN: [&str; 10] = [
    "network.name",
    "network.provingPeriod",
    "network.challengeWindow",
    "network.grace",
    "network.cancelDelay",
    "chain.blockTime",
    "chain.port",
    "chain.listen",
    "chain.hosts",
    "chain.public",
];

/// What a configuration comes to.
pub fn configured(parts: Parts, configuration: &Configuration) -> Result<DaemonConfig, ConfigurationError> {
    let url = configuration.source("chain.url").clone();
    let options = effective(configuration.options.clone());
    let role = match (parts, options.join.chain) {
        (Parts::Chain, Some(_)) => return Err(ConfigurationError::ChainAloneOnAnothers { url }),
        (Parts::Chain, None) => Role::Chain,
        (Parts::Miner, None) => Role::ChainAndMiner,
        (Parts::Miner, Some(chain)) => {
            let said = OF_OWN_CHAIN
                .into_iter()
                .find(|key| *configuration.source(key) != Source::Default);
            if let Some(key) = said {
                let source_of_key = configuration.source(key).clone();
                return Err(ConfigurationError::NotOurChain {
                    key,
                    source_of_key,
                    url,
                });
            }
            Role::Miner { chain }
        }
    };
    let ports = ["p2p.port", "p2p.wsPort"];
    let named = |key: &&str| *configuration.source(key) != Source::Default;
    if let (true, Some(port)) = (named(&"p2p.listen"), ports.into_iter().find(named)) {
        return Err(ConfigurationError::PortAndListen { port });
    }
    let database = shared(&role, options.database, configuration)?;
    let archive = archive(options.archive, configuration)?;
    let tls = certificate(options.tls)?;
    let settings = settings::change_of(&options.miner.settings);
    settings::check_all(&settings)?;
    let sector_size = options.network.sector_size.unwrap_or(SECTOR_SIZE);
    Ok(DaemonConfig {
        role,
        file: configuration.file.clone(),
        home: options.place.home,
        params: options.proofs.params,
        official_params: options.proofs.official_params.unwrap_or_default(),
        policy: policy(&options.network, sector_size),
        network: options.network.network.unwrap_or_default(),
        sector_size,
        block_time: options.chain.block_time.unwrap_or(BLOCK_TIME),
        p2p: p2p(&options.p2p),
        chain: listen(options.chain.chain_listen, options.chain.chain_host),
        chain_is_public: options.chain.chain_public.unwrap_or_default(),
        http: PublicHttp {
            addresses: options.http.http_listen.unwrap_or_default(),
            announce: options.http.http_announce.unwrap_or_default(),
        },
        web: listen(options.web.web_listen, options.web.web_host),
        page: options.web.web,
        client: options.web.client,
        tls,
        log: LogConfig {
            format: options.log.log_format.unwrap_or_default(),
            folder: options.log.log_folder,
            filter: options.log.log_filter.map(|LogFilter(filter)| filter),
        },
        database,
        archive,
        webhook: options.log.alerts_webhook,
        shown: shown(configuration),
        settings,
    })
}

/// Every key of the start with its value and source, for the operator's page.
fn shown(configuration: &Configuration) -> ConfigurationView {
    let options = effective(configuration.options.clone());
    let entry = |name: &'static str| {
        let value = keys::shown(&options, name)?;
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some(ConfigurationEntry {
            key: name.to_owned(),
            value,
            source: configuration.source(name).to_string(),
            changes_at_start: is_of_the_start(name),
        })
    };
    ConfigurationView {
        entries: keys::names().filter_map(entry).collect(),
    }
}

fn p2p(options: &P2pOptions) -> P2p {
    P2p {
        ports: [
            options.p2p_port.unwrap_or(P2P_PORT),
            options.p2p_ws_port.unwrap_or(P2P_WS_PORT),
        ],
        listen: options.p2p_listen.clone().unwrap_or_default(),
        announce: options.p2p_announce.clone().unwrap_or_default(),
    }
}

fn listen(addresses: Option<Vec<SocketAddr>>, hosts: Option<Vec<HostName>>) -> Listen {
    Listen {
        addresses: addresses.unwrap_or_default(),
        hosts: hosts.into_iter().flatten().map(|HostName(name)| name).collect(),
    }
}

/// What is shared with other machines.
fn shared(
    role: &Role,
    options: DatabaseOptions,
    configuration: &Configuration,
) -> Result<Option<SharedConfig>, ConfigurationError> {
    let Some(url) = options.database else {
        let said = ["database.storage", "database.work"];
        let said = said
            .into_iter()
            .find(|key| *configuration.source(key) != Source::Default);
        return said.map_or(Ok(None), |key| Err(ConfigurationError::NoDatabase { key }));
    };
    url.check()?;
    match role {
        Role::Miner { .. } => Ok(Some(SharedConfig {
            url,
            storage: options.storage,
            works: options.database_work.unwrap_or(true),
        })),
        // The group's options are the miner's.
        Role::Chain => Ok(None),
        Role::ChainAndMiner => Err(ConfigurationError::DatabaseAndOwnChain),
    }
}

/// Where pieces and sectors lie a second time.
fn archive(
    options: ArchiveOptions,
    configuration: &Configuration,
) -> Result<Option<ArchiveConfig>, ConfigurationError> {
    let Some(place) = options.archive else {
        let said = ["archive.endpoint", "archive.region"]
            .into_iter()
            .find(|key| *configuration.source(key) != Source::Default);
        return said.map_or(Ok(None), |key| Err(ConfigurationError::NoArchive { key }));
    };
    let config = ArchiveConfig {
        place,
        endpoint: options.archive_endpoint,
        region: options.archive_region,
    };
    config.check()?;
    Ok(Some(config))
}

fn certificate(options: TlsOptions) -> Result<Option<Certificate>, ConfigurationError> {
    match (options.tls_certificate, options.tls_key) {
        (Some(certificate), Some(key)) => Ok(Some(Certificate::load(PemFiles { certificate, key })?)),
        (None, None) => Ok(None),
        _ => Err(ConfigurationError::HalfOfTls),
    }
}

/// The options with what is usual for those that nobody names.
fn effective(mut options: Options) -> Options {
    let user = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".sealdrop"));
    let home = &mut options.place.home;
    *home = home.take().or_else(user);
    let params = &mut options.proofs.params;
    *params = params.take().or_else(|| home.as_ref().map(|home| home.join("params")));
    options.proofs.official_params.get_or_insert(false);
    let network = &mut options.network;
    network.network.get_or_insert_with(|| NETWORK.into());
    let size = *network.sector_size.get_or_insert(SECTOR_SIZE);
    let usual = policy(network, size);
    network.proving_period = Some(usual.proving_period);
    network.challenge_window = Some(usual.challenge_window);
    network.grace = Some(usual.grace);
    network.cancel_delay = Some(usual.cancel_delay);
    let chain = &mut options.chain;
    chain.block_time.get_or_insert(BLOCK_TIME);
    chain.chain_listen = Some(addresses(chain.chain_listen.take(), chain.chain_port, CHAIN_PORT));
    chain.chain_host.get_or_insert_default();
    chain.chain_public.get_or_insert(false);
    if options.p2p.p2p_listen.is_none() {
        options.p2p.p2p_port.get_or_insert(P2P_PORT);
        options.p2p.p2p_ws_port.get_or_insert(P2P_WS_PORT);
        options.p2p.p2p_listen = Some(p2p(&options.p2p).host_config(None, PathBuf::new()).listen);
    }
    let http = &mut options.http;
    http.http_listen = Some(addresses(http.http_listen.take(), http.http_port, HTTP_PORT));
    options.log.log_format.get_or_insert_default();
    options.database.database_work.get_or_insert(true);
    let web = &mut options.web;
    web.web_listen = Some(addresses(web.web_listen.take(), web.web_port, WEB_PORT));
    web.web_host.get_or_insert_default();
    web.web = web.web.take().or_else(|| installed::folder(installed::PAGE));
    web.client = web.client.take().or_else(|| installed::folder(installed::CLIENT));
    options
}

/// The addresses with a port in place of theirs where one is named; one on this machine where no address is.
fn addresses(said: Option<Vec<SocketAddr>>, port: Option<u16>, usual: u16) -> Vec<SocketAddr> {
    let mut addresses = said.unwrap_or_else(|| vec![(Ipv4Addr::LOCALHOST, usual).into()]);
    if let Some(port) = port {
        addresses.iter_mut().for_each(|address| address.set_port(port));
    }
    addresses
}

fn policy(asked: &NetworkOptions, sector_size: SectorSize) -> Policy {
    let usual = Policy::of_new_network(sector_size);
    Policy {
        proving_period: asked.proving_period.unwrap_or(usual.proving_period),
        challenge_window: asked.challenge_window.unwrap_or(usual.challenge_window),
        grace: asked.grace.unwrap_or(usual.grace),
        cancel_delay: asked.cancel_delay.unwrap_or(usual.cancel_delay),
        ..usual
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    fn from(text: &str, change: impl FnOnce(&mut Options)) -> Configuration {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.toml");
        std::fs::write(&file, text).unwrap();
        let mut flags = Options::default();
        change(&mut flags);
        Configuration::gather(flags, Some(file), |_| None::<OsString>).expect("the file is right")
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn without_a_word_a_daemon_runs_chain_and_miner_on_this_machine_alone() {
        let config = configured(Parts::Miner, &from("", |_| {})).expect("it is the usual");
        assert_eq!(config.role, Role::ChainAndMiner);
        assert_eq!(config.chain.addresses, [address("127.0.0.1:4403")]);
        assert_eq!(config.web.addresses, [address("127.0.0.1:4400")]);
        assert_eq!(config.http.addresses, [address("127.0.0.1:4405")]);
        assert!(!config.chain_is_public && config.settings == Default::default());
    }

    #[test]
    fn a_port_takes_the_place_of_that_of_each_address() {
        let file = "[chain]\nlisten = [\"0.0.0.0:1\", \"[::]:2\"]\n";
        let config = configured(Parts::Chain, &from(file, |flags| flags.chain.chain_port = Some(7))).unwrap();
        assert_eq!(config.chain.addresses, ["0.0.0.0:7", "[::]:7"].map(address));
    }

    #[test]
    fn the_numbers_of_another_daemons_chain_are_not_ours_to_set() {
        let join = |flags: &mut Options| flags.join.chain = Some("http://127.0.0.1:1".into());
        let config =
            configured(Parts::Miner, &from("[network]\nsectorSize = \"2KiB\"\n", join)).expect("its size is its own");
        assert!(matches!(config.role, Role::Miner { .. }) && config.sector_size == SectorSize::S2KiB);
        let refused =
            configured(Parts::Miner, &from("[network]\ngrace = 7\n", join)).expect_err("they are the chain's");
        let text = refused.to_string();
        assert!(
            text.contains("option --chain") && text.contains("network.grace (file "),
            "{text}"
        );
        let refused = configured(Parts::Chain, &from("", join));
        assert!(matches!(refused, Err(ConfigurationError::ChainAloneOnAnothers { .. })));
    }

    #[test]
    fn libp2p_listens_on_the_usual_transports_or_where_it_is_said() {
        let usual = configured(Parts::Miner, &from("[p2p]\nport = 7\n", |_| {})).unwrap();
        let listen = usual.p2p.host_config(None, PathBuf::new()).listen;
        assert!(listen.contains(&"/ip4/127.0.0.1/tcp/7".parse().unwrap()), "{listen:?}");
        let file = "[p2p]\nlisten = [\"/ip6/::/tcp/7\"]\nannounce = [\"/dns6/miner.example.org/tcp/7\"]\n";
        let said = configured(Parts::Miner, &from(file, |_| {}))
            .unwrap()
            .p2p
            .host_config(None, PathBuf::new());
        assert_eq!(said.listen, ["/ip6/::/tcp/7".parse().unwrap()]);
        assert_eq!(said.announce, ["/dns6/miner.example.org/tcp/7".parse().unwrap()]);
        let refused = configured(Parts::Miner, &from(file, |flags| flags.p2p.p2p_ws_port = Some(8)));
        assert!(matches!(
            refused,
            Err(ConfigurationError::PortAndListen { port: "p2p.wsPort" })
        ));
    }

    #[test]
    fn several_machines_need_a_database_and_a_chain_that_all_reach() {
        let join = |flags: &mut Options| flags.join.chain = Some("http://127.0.0.1:1".into());
        let file = "[database]\nurl = \"postgres://miner:SECRET@db.example.org/sealdrop\"\nstorage = \"/mnt/a\"\n";
        let config = configured(Parts::Miner, &from(file, join)).expect("it is all there");
        let shared = config.database.expect("it was named");
        assert!(shared.works && shared.storage == Some("/mnt/a".into()));
        let shown = format!("{:?}", config.shown);
        assert!(shown.contains("db.example.org") && !shown.contains("SECRET"), "{shown}");
        let refused = configured(Parts::Miner, &from(file, |_| {}));
        assert!(matches!(refused, Err(ConfigurationError::DatabaseAndOwnChain)));
        let refused = configured(Parts::Miner, &from("[database]\nwork = false\n", join));
        assert!(matches!(
            refused,
            Err(ConfigurationError::NoDatabase { key: "database.work" })
        ));
    }

    #[test]
    fn an_archive_is_a_folder_or_a_bucket() {
        let config = |file: &str| configured(Parts::Miner, &from(file, |_| {}));
        let place = |file: &str| config(file).map(|config| config.archive.map(|archive| archive.place));
        assert_eq!(place("").expect("it need not be there"), None);
        let bucket = "[archive]\nplace = \"s3://bucket/a\"\nendpoint = \"http://127.0.0.1:9\"\nregion = \"here\"\n";
        assert_eq!(place(bucket).expect("a bucket"), Some("s3://bucket/a".into()));
        assert_eq!(
            place("[archive]\nplace = \"/mnt/b\"\n").expect("a folder"),
            Some("/mnt/b".into())
        );
        for wrong in ["gs://bucket", "s3://", "s3://key:secret@bucket/a"] {
            let refused = config(&format!("[archive]\nplace = \"{wrong}\"\n"));
            assert!(matches!(refused, Err(ConfigurationError::Archive(_))), "{wrong}");
        }
        let refused = config("[archive]\nplace = \"/mnt/b\"\nendpoint = \"https://s3.example.org\"\n");
        assert!(matches!(refused, Err(ConfigurationError::Archive(_))));
        let refused = config("[archive]\nregion = \"here\"\n");
        assert!(matches!(
            refused,
            Err(ConfigurationError::NoArchive { key: "archive.region" })
        ));
    }

    #[test]
    fn a_certificate_without_its_key_is_refused() {
        let refused = configured(Parts::Chain, &from("[tls]\ncertificate = \"a.pem\"\n", |_| {}));
        assert!(matches!(refused, Err(ConfigurationError::HalfOfTls)));
    }

    #[test]
    fn settings_of_a_file_change_the_miner_at_its_start() {
        let file = "[mining]\nminDuration = 5\nautoSealIntervalSeconds = 0.5\n[scheduler]\nmemoryMiB = 100\n";
        let config = configured(Parts::Miner, &from(file, |_| {})).unwrap();
        let settings = config.settings;
        assert_eq!(
            (
                settings.min_duration,
                settings.auto_seal_ms,
                settings.memory_mib,
                settings.price
            ),
            (Some(5), Some(500), Some(100), None)
        );
        let refused = configured(Parts::Miner, &from("[mining]\nminDuration = 0\n", |_| {}));
        assert!(matches!(refused, Err(ConfigurationError::Settings(_))));
    }
}
