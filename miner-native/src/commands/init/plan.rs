//! What an operator answered, and the configuration that follows from it: pure functions.

use crate::configuration::{
    ArchiveOptions, ChainOptions, DatabaseOptions, HostName, HttpOptions, JoinOptions, LogOptions, MinerOptions,
    NetworkOptions, Options, P2pOptions, PlaceOptions, ProofOptions, TlsOptions, WebOptions,
};
use crate::daemon::Role;
use clap::ValueEnum;
use libp2p::multiaddr::Protocol;
use libp2p::Multiaddr;
use shared::chain::AttoFil;
use shared::piece::SectorSize;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Who may reach a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Reach {
    /// Programs of this machine alone
    ThisMachine,
    /// Machines of the networks that this one is in
    Network,
    /// Everybody, by the names and addresses that are announced
    Internet,
}

impl Reach {
    /// In words.
    pub const fn told(self) -> &'static str {
        match self {
            Self::ThisMachine => "this machine only",
            Self::Network => "machines of its networks",
            Self::Internet => "everybody",
        }
    }
}

/// The ports of all listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    pub web: u16,
    pub p2p: u16,
    pub p2p_ws: u16,
    pub chain: u16,
    pub http: u16,
}

impl Ports {
    pub const USUAL: Self = Self {
        web: 4400,
        p2p: 4401,
        p2p_ws: 4402,
        chain: 4403,
        http: 4405,
    };

    /// Those that a role uses, by the names of their listeners.
    pub fn used(&mut self, role: &Role) -> Vec<(&'static str, &mut u16)> {
        let (mines, makes_chain) = (*role != Role::Chain, !matches!(role, Role::Miner { .. }));
        let all = [
            (makes_chain, "the chain", &mut self.chain),
            (mines, "the page", &mut self.web),
            (mines, "libp2p", &mut self.p2p),
            (mines, "libp2p for browsers", &mut self.p2p_ws),
            (mines, "pieces over HTTP", &mut self.http),
        ];
        let used = all.into_iter().filter(|(is_used, ..)| *is_used);
        used.map(|(_, name, port)| (name, port)).collect()
    }

    /// A port that two listeners were given. Each takes its own free one where both have 0.
    pub fn shared(mut self, role: &Role) -> Option<u16> {
        let mut ports: Vec<u16> = self.used(role).into_iter().map(|(_, port)| *port).collect();
        ports.sort_unstable();
        let pairs = ports.iter().zip(ports.iter().skip(1));
        let same = pairs.filter(|(one, other)| one == other && **one != 0);
        same.map(|(port, _)| *port).next()
    }
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// All answers.
#[derive(Debug, Clone)]
pub struct Answers {
    pub home: PathBuf,
    /// The file that is written.
    pub file: PathBuf,
    pub role: Role,
    /// The name of a chain that is made here, where it is not the usual one.
    pub network: Option<String>,
    /// Of a chain that is made here, where it is not the usual one.
    pub block_time: Option<Duration>,
    pub sector_size: SectorSize,
    pub price: AttoFil,
    pub reach: Reach,
    /// Names and addresses by which others come here.
    pub names: Vec<HostName>,
    pub ports: Ports,
    pub params: Option<PathBuf>,
    pub official_params: bool,
    pub tls: Option<Tls>,
}

/// The comment at a written file's beginning.
pub const HEAD: &str = "\
Configuration of a Sealdrop daemon, written by `sealdrop init`. What does not stand here is as usual.
`sealdrop config init` prints every key, `sealdrop config check` looks whether this is right, `sealdrop config show` says each value and \
where it comes from.";

impl Answers {
    /// Where parameters are kept.
    pub fn params(&self) -> PathBuf {
        self.params.clone().unwrap_or_else(|| self.home.join("params"))
    }

    /// The options of a daemon that say the same; `has_ipv6` is whether this machine can listen there.
    pub fn options(&self, has_ipv6: bool) -> Options {
        let mines = self.role != Role::Chain;
        let makes_chain = !matches!(self.role, Role::Miner { .. });
        let elsewhere = self.file.parent() != Some(&self.home);
        let tls = self.tls.as_ref();
        Options {
            place: PlaceOptions {
                home: elsewhere.then(|| self.home.clone()),
            },
            proofs: ProofOptions {
                params: self.params.clone(),
                official_params: self.official_params.then_some(true),
            },
            join: JoinOptions {
                chain: match &self.role {
                    Role::Miner { chain } => Some(chain.clone()),
                    Role::Chain | Role::ChainAndMiner => None,
                },
            },
            database: DatabaseOptions::default(),
            archive: ArchiveOptions::default(),
            network: NetworkOptions {
                network: self.network.clone().filter(|_| makes_chain),
                sector_size: Some(self.sector_size),
                ..NetworkOptions::default()
            },
            chain: match makes_chain {
                true => self.chain(has_ipv6),
                false => ChainOptions::default(),
            },
            p2p: match mines {
                true => self.p2p(has_ipv6),
                false => P2pOptions::default(),
            },
            http: match mines {
                true => self.http(has_ipv6),
                false => HttpOptions::default(),
            },
            web: match mines {
                true => self.web(has_ipv6),
                false => WebOptions::default(),
            },
            tls: TlsOptions {
                tls_certificate: tls.map(|tls| tls.certificate.clone()),
                tls_key: tls.map(|tls| tls.key.clone()),
            },
            log: LogOptions::default(),
            miner: MinerOptions {
                price: mines.then_some(self.price),
                ..MinerOptions::default()
            },
        }
    }

    /// Where a listener for others listens; `None` leaves it to its port, on this machine.
    fn listen(&self, port: u16, has_ipv6: bool) -> Option<Vec<SocketAddr>> {
        (self.reach != Reach::ThisMachine).then(|| all_addresses(has_ipv6).map(|ip| (ip, port).into()).collect())
    }

    fn port(&self, port: u16, usual: u16) -> Option<u16> {
        (self.reach == Reach::ThisMachine && port != usual).then_some(port)
    }

    fn hosts(&self) -> Option<Vec<HostName>> {
        (!self.names.is_empty()).then(|| self.names.clone())
    }

    /// Whether what others dial has to be said, since it is not where the daemon listens.
    fn announces(&self) -> bool {
        self.reach == Reach::Internet && !self.names.is_empty()
    }

    /// Pages of every site may ask a chain that everybody may reach: the page of another miner, say.
    fn chain(&self, has_ipv6: bool) -> ChainOptions {
        ChainOptions {
            block_time: self.block_time,
            chain_port: self.port(self.ports.chain, Ports::USUAL.chain),
            chain_listen: self.listen(self.ports.chain, has_ipv6),
            chain_host: self.hosts(),
            chain_public: (self.reach == Reach::Internet).then_some(true),
        }
    }

    /// Whether others get the page: over the internet only in TLS, since whoever gives orders there sends a token.
    pub fn shows_page(&self) -> bool {
        match self.reach {
            Reach::ThisMachine => false,
            Reach::Network => true,
            Reach::Internet => self.tls.is_some(),
        }
    }

    fn web(&self, has_ipv6: bool) -> WebOptions {
        let port = self.ports.web;
        let is_shown = self.shows_page();
        WebOptions {
            web_port: (!is_shown && port != Ports::USUAL.web).then_some(port),
            web_listen: self.listen(port, has_ipv6).filter(|_| is_shown),
            web_host: self.hosts().filter(|_| is_shown),
            ..WebOptions::default()
        }
    }

    fn http(&self, has_ipv6: bool) -> HttpOptions {
        let port = self.ports.http;
        let announced = |name| {
            let at = dialled(name).with(Protocol::Tcp(port));
            let at = if self.tls.is_some() { at.with(Protocol::Tls) } else { at };
            at.with(Protocol::Http)
        };
        HttpOptions {
            http_port: self.port(port, Ports::USUAL.http),
            http_listen: self.listen(port, has_ipv6),
            http_announce: self.announces().then(|| self.names.iter().map(announced).collect()),
        }
    }

    fn p2p(&self, has_ipv6: bool) -> P2pOptions {
        if self.reach == Reach::ThisMachine {
            return P2pOptions {
                p2p_port: self.port(self.ports.p2p, Ports::USUAL.p2p),
                p2p_ws_port: self.port(self.ports.p2p_ws, Ports::USUAL.p2p_ws),
                ..P2pOptions::default()
            };
        }
        let listen = all_addresses(has_ipv6).flat_map(|ip| self.transports(&ip.into()));
        let named = self.names.iter().flat_map(|name| self.transports(&dialled(name)));
        P2pOptions {
            p2p_listen: Some(listen.collect()),
            p2p_announce: self.announces().then(|| named.collect()),
            ..P2pOptions::default()
        }
    }

    /// TCP, QUIC, WebSocket and WebTransport at a place.
    fn transports(&self, at: &Multiaddr) -> [Multiaddr; 4] {
        let Ports { p2p, p2p_ws, .. } = self.ports;
        let quic = |port| at.clone().with(Protocol::Udp(port)).with(Protocol::QuicV1);
        let socket = at.clone().with(Protocol::Tcp(p2p_ws));
        let socket = if self.tls.is_some() {
            socket.with(Protocol::Tls)
        } else {
            socket
        };
        [
            at.clone().with(Protocol::Tcp(p2p)),
            quic(p2p),
            socket.with(Protocol::Ws("/".into())),
            quic(p2p_ws).with(Protocol::WebTransport),
        ]
    }

    /// What the operator does next.
    pub fn next_command(&self, usual_home: Option<&Path>) -> String {
        let command = match self.role {
            Role::Chain => "sealdrop chain run",
            Role::ChainAndMiner | Role::Miner { .. } => "sealdrop daemon",
        };
        let quoted = |path: &Path| match path.to_string_lossy() {
            text if text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+".contains(c)) => text.into_owned(),
            text => format!("'{}'", text.replace('\'', "'\\''")),
        };
        match (self.file.parent() == Some(&self.home), usual_home == Some(&self.home)) {
            (true, true) => command.to_owned(),
            (true, false) => format!("{command} --home {}", quoted(&self.home)),
            (false, _) => format!("{command} --config {}", quoted(&self.file)),
        }
    }
}

fn all_addresses(has_ipv6: bool) -> impl Iterator<Item = IpAddr> {
    let six = has_ipv6.then_some(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    [IpAddr::V4(Ipv4Addr::UNSPECIFIED)].into_iter().chain(six)
}

/// How a name or an address is dialled.
fn dialled(name: &HostName) -> Multiaddr {
    match name.0.parse::<IpAddr>() {
        Ok(ip) => ip.into(),
        Err(_) => Protocol::Dns4(name.0.clone().into()).into(),
    }
}

#[cfg(test)]
mod tests;
