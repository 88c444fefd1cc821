//! What a daemon runs with; and what it cannot run with, told in words before anything is touched (finding C7).

use super::joining::{check_url, NoEndpoint};
use libp2p::multiaddr::Protocol;
use libp2p::Multiaddr;
use sealdrop_listener::Certificate;
use sealdrop_miner::alerts::Webhook;
use sealdrop_miner::archive::ArchiveConfig;
use sealdrop_miner::logging::LogConfig;
use sealdrop_miner::machines::SharedConfig;
use sealdrop_miner::network::{is_http, HostConfig};
use sealdrop_miner::operator::ConfigurationView;
use sealdrop_miner::settings::{Settings, SettingsChange, SettingsError};
use shared::chain::policy::PolicyError;
use shared::chain::Policy;
use shared::piece::SectorSize;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Where HTTP is served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listen {
    /// Port 0 takes a free one.
    pub addresses: Vec<SocketAddr>,
    /// Names by which others ask there, beside those of this machine and the addresses.
    pub hosts: Vec<String>,
}

/// Where the miner's libp2p host listens, and where it says that it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct P2p {
    /// On this machine, for what listens where no address is named: TCP and QUIC; WebSocket and WebTransport.
    pub ports: [u16; 2],
    pub listen: Vec<Multiaddr>,
    pub announce: Vec<Multiaddr>,
}

impl P2p {
    /// With the certificate of secure WebSocket, and the folder of those that are accepted by their hashes.
    pub fn host_config(&self, tls: Option<Certificate>, certificates: PathBuf) -> HostConfig {
        let [port, browser_port] = self.ports;
        let mut config = HostConfig::on_loopback(port, browser_port, certificates);
        if !self.listen.is_empty() {
            config.listen.clone_from(&self.listen);
        }
        config.announce.clone_from(&self.announce);
        config.tls = tls;
        config
    }
}

/// Where pieces and blocks are served to everybody, and where others are told to ask for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublicHttp {
    /// Port 0 takes a free one.
    pub addresses: Vec<SocketAddr>,
    /// Where that is not where it listens.
    pub announce: Vec<Multiaddr>,
}

/// What of a network a daemon runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The chain, for others' miners.
    Chain,
    /// The chain and a miner on it.
    ChainAndMiner,
    /// A miner on the chain of another daemon.
    Miner {
        /// The chain's endpoint.
        chain: String,
    },
}

/// What the daemon runs with.
#[derive(Debug, Clone)]
pub struct DaemonConfig {
    pub role: Role,
    /// The configuration file, if one was read.
    pub file: Option<PathBuf>,
    /// Default: `$HOME/.sealdrop`.
    pub home: Option<PathBuf>,
    /// Default: `params` in the home.
    pub params: Option<PathBuf>,
    /// Official parameters, whatever the network's name: see [`super::parameters::source`].
    pub official_params: bool,
    /// The network's name; that of a chain which is joined is asked of it.
    pub network: String,
    pub sector_size: SectorSize,
    pub block_time: Duration,
    pub p2p: P2p,
    /// The chain's RPC.
    pub chain: Listen,
    /// Whether pages of every site may ask the chain.
    pub chain_is_public: bool,
    /// Pieces and blocks over HTTP.
    pub http: PublicHttp,
    /// The page and the operator's requests.
    pub web: Listen,
    /// The page's folder.
    pub page: Option<PathBuf>,
    /// The browser client's folder.
    pub client: Option<PathBuf>,
    /// The operator's certificate, for chain, page and secure WebSocket.
    pub tls: Option<Certificate>,
    pub log: LogConfig,
    /// What it shares with other machines; none keeps its records in the home.
    pub database: Option<SharedConfig>,
    /// Where pieces and sectors lie a second time, if anywhere.
    pub archive: Option<ArchiveConfig>,
    /// Where alerts are sent.
    pub webhook: Option<Webhook>,
    /// Every key with its value and source, for the operator.
    pub shown: ConfigurationView,
    /// Settings that the operator gave; the others are as they were left, or the usual ones.
    pub settings: SettingsChange,
    /// The numbers of a network that begins.
    pub policy: Policy,
}

impl DaemonConfig {
    /// The file's name for commands; one that is no text is not told.
    pub(super) fn file_as_text(&self) -> Option<String> {
        let path = std::path::absolute(self.file.as_ref()?).ok()?;
        path.to_str().map(str::to_owned)
    }

    pub(super) fn makes_chain(&self) -> bool {
        !matches!(self.role, Role::Miner { .. })
    }

    /// Fails when nobody can run it.
    pub fn check(&self) -> Result<(), ConfigError> {
        check(self)
    }

    /// Where it listens over TCP, and the option that chooses it.
    pub fn listens(&self) -> Vec<(&'static str, SocketAddr)> {
        let of = |name: &'static str, addresses: &[SocketAddr]| {
            let named = addresses.iter().map(|address| (name, *address));
            named.collect::<Vec<_>>()
        };
        let mut all = Vec::new();
        if self.role != Role::Chain {
            let host = self.p2p.host_config(None, PathBuf::new());
            all.extend(host.listen.iter().filter_map(over_tcp));
        }
        if self.makes_chain() {
            all.extend(of("--chain-port", &self.chain.addresses));
        }
        if self.role != Role::Chain {
            all.extend(of("--web-port", &self.web.addresses));
            all.extend(of("--http-port", &self.http.addresses));
        }
        all
    }

    /// What it opens to others, and what soon or already keeps them away, in words.
    pub fn warnings(&self) -> Vec<String> {
        warnings(self)
    }
}

/// Fastest blocks: faster ones are not made in time, and the chain's clock runs behind.
const SHORTEST_BLOCK_TIME: Duration = Duration::from_millis(10);
/// Slowest blocks: windows and channels last hundreds of blocks, and must end while somebody waits.
const LONGEST_BLOCK_TIME: Duration = Duration::from_secs(3600);
/// Longest name of a network, in characters: it is shown on one line.
const LONGEST_NAME: usize = 64;
/// Most blocks of any span of a new network: a thousand years of half-minute blocks.
const LONGEST_SPAN: u64 = 1_000_000_000;

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error(
        "a block every {} ms makes no sense: give --block-time a span from {} ms to {} s",
        given.as_millis(), SHORTEST_BLOCK_TIME.as_millis(), LONGEST_BLOCK_TIME.as_secs()
    )]
    BlockTime { given: Duration },
    #[error("{given:?} is no name for a network: give --network 1 to {LONGEST_NAME} letters, digits, dots, dashes or underscores")]
    Network { given: String },
    #[error("port {port} is asked for by {first} and by {second}: give each its own")]
    SamePort {
        port: u16,
        first: &'static str,
        second: &'static str,
    },
    #[error("the new network's numbers make no sense: {0}")]
    Policy(#[from] PolicyError),
    #[error("{option} of {blocks} blocks is longer than {LONGEST_SPAN}: choose less")]
    Span { option: &'static str, blocks: u64 },
    #[error("{option} is 0: give it at least one block")]
    NoSpan { option: &'static str },
    #[error("{name} is empty: name at least one address to listen on")]
    NoAddress { name: &'static str },
    #[error("{address} is no address of HTTP: give http.announce a host, a port and the kind, as /dns4/miner.example.org/tcp/443/tls/http or /ip4/192.0.2.7/tcp/4405/http")]
    HttpAddress { address: Multiaddr },
    #[error(transparent)]
    Chain(#[from] NoEndpoint),
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

/// Refuses what nobody can run.
fn check(config: &DaemonConfig) -> Result<(), ConfigError> {
    if !(SHORTEST_BLOCK_TIME..=LONGEST_BLOCK_TIME).contains(&config.block_time) {
        let given = config.block_time;
        return Err(ConfigError::BlockTime { given });
    }
    check_addresses(config)?;
    // What a network is made of; one that is joined is what it is.
    if config.makes_chain() {
        check_name(&config.network)?;
        check_spans(config)?;
        config.policy.check()?;
    }
    if let Role::Miner { chain } = &config.role {
        check_url(chain)?;
    }
    // Beside what was set before it is checked again.
    Settings::default().changed(&config.settings)?;
    Ok(())
}

fn check_name(name: &str) -> Result<(), ConfigError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ['.', '-', '_'].contains(&c);
    match (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(is_plain) {
        true => Ok(()),
        false => {
            let given = name.chars().take(LONGEST_NAME).collect();
            Err(ConfigError::Network { given })
        }
    }
}

/// Two listeners cannot have one port on one address.
fn check_addresses(config: &DaemonConfig) -> Result<(), ConfigError> {
    let all = config.listens();
    for (at, (first, address)) in all.iter().enumerate() {
        let mut later = all.iter().skip(at + 1);
        if let Some((second, _)) = later.find(|(_, other)| overlap(address, other)) {
            let (port, first) = (address.port(), *first);
            return Err(ConfigError::SamePort { port, first, second });
        }
    }
    for (name, addresses) in [
        ("chain.listen", &config.chain.addresses),
        ("web.listen", &config.web.addresses),
        ("http.listen", &config.http.addresses),
    ] {
        if addresses.is_empty() {
            return Err(ConfigError::NoAddress { name });
        }
    }
    match config.http.announce.iter().find(|address| !is_http(address)) {
        Some(address) => Err(ConfigError::HttpAddress {
            address: address.clone(),
        }),
        None => Ok(()),
    }
}

/// Where a libp2p listener takes a port of TCP, and the option that chooses it.
fn over_tcp(listen: &Multiaddr) -> Option<(&'static str, SocketAddr)> {
    let mut parts = listen.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => IpAddr::V6(ip),
        _ => return None,
    };
    let Protocol::Tcp(port) = parts.next()? else {
        return None;
    };
    let name = match parts.next() {
        None => "--p2p-port",
        Some(_) => "--p2p-ws-port",
    };
    Some((name, SocketAddr::new(ip, port)))
}

fn overlap(one: &SocketAddr, other: &SocketAddr) -> bool {
    let is_all = one.ip().is_unspecified() || other.ip().is_unspecified();
    let is_same = one.ip() == other.ip() || is_all && one.is_ipv4() == other.is_ipv4();
    one.port() != 0 && one.port() == other.port() && is_same
}

/// See [`DaemonConfig::warnings`]. A certificate that nobody accepts is no reason not to start: the miner's proofs are due all the same.
fn warnings(config: &DaemonConfig) -> Vec<String> {
    let open = |addresses: &[SocketAddr]| {
        let all = addresses.iter().filter(|address| !address.ip().is_loopback());
        let all: Vec<String> = all.map(ToString::to_string).collect();
        (!all.is_empty()).then(|| all.join(" and "))
    };
    let mut warnings = Vec::new();
    if let (true, Some(addresses)) = (config.makes_chain(), open(&config.chain.addresses)) {
        warnings.push(format!(
            "chain.listen: whoever reaches this machine at {addresses} can read the chain, send messages and ask its faucet, within the limits"
        ));
    }
    if config.makes_chain() && config.chain_is_public {
        let text = "chain.public: pages of every site can do so through the browser of whoever reaches the chain";
        warnings.push(text.to_owned());
    }
    if let (true, Some(addresses)) = (config.role != Role::Chain, open(&config.web.addresses)) {
        let how = match config.tls.is_some() {
            true => "which crosses the network in TLS",
            false => "which crosses the network unencrypted: name a certificate (tls.certificate), or put a proxy with TLS before it",
        };
        warnings.push(format!(
            "web.listen: whoever reaches this machine at {addresses} gets the page and sees its health; orders need a token of operator.token, {how}"
        ));
    }
    if let (true, Some(addresses)) = (config.role != Role::Chain, open(&config.http.addresses)) {
        warnings.push(format!(
            "http.listen: whoever reaches this machine at {addresses} gets what is stored here, free of charge, within the limits"
        ));
    }
    if let Some(certificate) = &config.tls {
        let trouble = certificate.trouble_at(SystemTime::now());
        warnings.extend(trouble.map(|trouble| format!("tls.certificate: {trouble}")));
        warnings.extend(certificate.open_key().map(|key| format!("tls.key: {key}")));
    }
    warnings
}

fn check_spans(config: &DaemonConfig) -> Result<(), ConfigError> {
    let policy = &config.policy;
    let spans = [
        ("--proving-period", policy.proving_period),
        ("--challenge-window", policy.challenge_window),
        ("--grace", policy.grace),
        ("--cancel-delay", policy.cancel_delay),
    ];
    match spans
        .into_iter()
        .find(|(_, blocks)| *blocks == 0 || *blocks > LONGEST_SPAN)
    {
        Some((option, 0)) => Err(ConfigError::NoSpan { option }),
        Some((option, blocks)) => Err(ConfigError::Span { option, blocks }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(address: &str) -> Listen {
        Listen {
            addresses: vec![address.parse().expect("an address")],
            hosts: Vec::new(),
        }
    }

    fn checked(change: impl FnOnce(&mut DaemonConfig)) -> Result<(), ConfigError> {
        check(&configured(change))
    }

    fn configured(change: impl FnOnce(&mut DaemonConfig)) -> DaemonConfig {
        let mut config = DaemonConfig {
            role: Role::ChainAndMiner,
            file: None,
            home: None,
            params: None,
            official_params: false,
            network: "sealdrop-devnet".into(),
            sector_size: SectorSize::S2KiB,
            block_time: Duration::from_secs(1),
            p2p: P2p::default(),
            chain: on("127.0.0.1:4403"),
            chain_is_public: false,
            http: PublicHttp {
                addresses: vec!["127.0.0.1:4405".parse().expect("an address")],
                announce: Vec::new(),
            },
            web: on("127.0.0.1:4400"),
            page: None,
            client: None,
            tls: None,
            log: LogConfig::default(),
            database: None,
            archive: None,
            webhook: None,
            shown: ConfigurationView::default(),
            settings: SettingsChange::default(),
            policy: Policy::default(),
        };
        change(&mut config);
        config
    }

    #[test]
    fn a_certificate_that_is_over_or_near_its_end_is_told_and_starts_all_the_same() {
        let dir = tempfile::tempdir().expect("a folder");
        let told = |days: i64| {
            let tls = super::super::testing::certificate(dir.path(), days);
            let config = configured(|config| config.tls = Some(tls));
            assert_eq!(config.check(), Ok(()));
            config.warnings().join(" ")
        };
        assert_eq!(told(15), "");
        assert!(told(13).contains("tls.certificate: the certificate ends in 13 days"));
        assert!(told(-2).contains("ended 2 days ago"));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_may_read_is_told() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a folder");
        let tls = super::super::testing::certificate(dir.path(), 100);
        let config = configured(|config| config.tls = Some(tls));
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(dir.path().join("privkey.pem"), open).expect("it is ours");
        let told = config.warnings().join(" ");
        assert!(told.contains("tls.key: ") && told.contains("(mode 644)"), "{told}");
    }

    #[test]
    fn a_block_time_that_makes_no_sense_is_refused_with_words() {
        assert_eq!(checked(|_| {}), Ok(()));
        for given in [Duration::ZERO, Duration::from_millis(9), Duration::from_secs(3601)] {
            let refused = checked(|config| config.block_time = given);
            assert_eq!(refused, Err(ConfigError::BlockTime { given }));
        }
        let text = ConfigError::BlockTime { given: Duration::ZERO }.to_string();
        assert!(text.contains("--block-time") && text.contains("10 ms"), "{text}");
    }

    #[test]
    fn a_network_needs_a_name_that_fits_on_a_line() {
        for given in ["", "two words", "line\nbreak", "\u{1b}[31m"] {
            let refused = checked(|config| config.network = given.into());
            assert_eq!(refused, Err(ConfigError::Network { given: given.into() }));
        }
        assert!(checked(|config| config.network = "x".repeat(65)).is_err());
    }

    #[test]
    fn two_listeners_on_one_port_are_refused_but_two_free_ones_are_not() {
        let refused = checked(|config| config.chain = on("127.0.0.1:4400"));
        let expected = ConfigError::SamePort {
            port: 4400,
            first: "--chain-port",
            second: "--web-port",
        };
        assert_eq!(refused, Err(expected));
        let refused =
            checked(|config| config.p2p.listen = vec!["/ip4/0.0.0.0/tcp/4403/ws".parse().expect("a multiaddr")]);
        assert!(matches!(refused, Err(ConfigError::SamePort { port: 4403, .. })));
        let udp = "/ip4/0.0.0.0/udp/4403/quic-v1".parse().expect("a multiaddr");
        assert_eq!(checked(|config| config.p2p.listen = vec![udp]), Ok(()));
    }

    #[test]
    fn http_has_a_port_of_its_own_and_is_told_of_by_addresses_of_http() {
        let refused = checked(|config| config.http.addresses = vec!["127.0.0.1:4400".parse().expect("an address")]);
        assert!(matches!(
            refused,
            Err(ConfigError::SamePort {
                port: 4400,
                second: "--http-port",
                ..
            })
        ));
        let announced = |text: &str| {
            let address = text.parse().expect("a multiaddr");
            checked(|config| config.http.announce = vec![address])
        };
        for good in ["/dns4/miner.example/tcp/443/tls/http", "/ip4/192.0.2.7/tcp/80/http"] {
            assert_eq!(announced(good), Ok(()), "{good}");
        }
        for bad in [
            "/dns4/miner.example/tcp/443/tls/ws",
            "/ip4/192.0.2.7/udp/80/http",
            "/ip4/192.0.2.7/tcp/80",
        ] {
            assert!(matches!(announced(bad), Err(ConfigError::HttpAddress { .. })), "{bad}");
        }
    }

    #[test]
    fn a_network_under_whose_numbers_nobody_could_prove_or_redeem_is_refused() {
        let refused = checked(|config| config.policy.cancel_delay = 0);
        let option = "--cancel-delay";
        assert_eq!(refused, Err(ConfigError::NoSpan { option }));
        let blocks = LONGEST_SPAN + 1;
        let refused = checked(|config| config.policy.grace = blocks);
        assert_eq!(
            refused,
            Err(ConfigError::Span {
                option: "--grace",
                blocks
            })
        );
        let refused = checked(|config| config.policy.challenge_window = config.policy.proving_period + 1);
        assert!(matches!(refused, Err(ConfigError::Policy(_))), "{refused:?}");
    }

    #[test]
    fn settings_that_make_no_sense_are_refused_before_anything_is_touched() {
        let refused = checked(|config| config.settings.auto_seal_ms = Some(u64::MAX));
        assert!(matches!(refused, Err(ConfigError::Settings(_))), "{refused:?}");
    }

    #[test]
    fn a_chain_that_no_daemon_can_ask_is_refused_before_anything_is_touched() {
        let on = |chain: &str| {
            let chain = chain.to_owned();
            checked(|config| config.role = Role::Miner { chain })
        };
        assert_eq!(on("https://chain.example/rpc"), Ok(()));
        let refused = on("ftp://chain.example").expect_err("it is no HTTP");
        assert!(matches!(refused, ConfigError::Chain(_)), "{refused}");
        assert!(
            refused.to_string().contains("starts with http:// or https://"),
            "{refused}"
        );
    }

    #[test]
    fn an_address_among_all_of_its_version_is_the_same_and_one_of_another_version_is_not() {
        let same = |chain: &str, web: &str| {
            let (chain, web) = (on(chain), on(web));
            checked(|config| (config.chain, config.web) = (chain, web)).is_err()
        };
        assert!(same("0.0.0.0:1", "127.0.0.1:1") && same("[::]:1", "[::1]:1"));
        assert!(
            !same("0.0.0.0:1", "[::]:1") && !same("127.0.0.2:1", "127.0.0.1:1") && !same("0.0.0.0:0", "127.0.0.1:0")
        );
    }

    #[test]
    fn what_others_can_reach_is_told_and_this_machine_alone_is_not_worth_a_word() {
        assert_eq!(configured(|_| {}).warnings(), [""; 0]);
        let open = configured(|config| {
            (config.chain, config.web) = (on("0.0.0.0:1"), on("192.0.2.7:2"));
            config.http.addresses = vec!["0.0.0.0:3".parse().expect("an address")];
            config.chain_is_public = true;
        });
        let told = open.warnings().join(" ");
        for words in [
            "0.0.0.0:1",
            "faucet",
            "every site",
            "192.0.2.7:2",
            "unencrypted",
            "0.0.0.0:3",
            "free of charge",
        ] {
            assert!(told.contains(words), "{words:?} is missing in {told}");
        }
        let miner = configured(|config| {
            config.role = Role::Miner {
                chain: "http://a".into(),
            };
            config.chain = on("0.0.0.0:1");
        });
        assert_eq!(miner.warnings(), [""; 0], "it makes no chain");
    }
}
