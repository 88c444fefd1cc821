//! How others see the host: what a router maps to it (UPnP, PCP), at which address other miners see it, and whether they reach it (AutoNAT v2).
//!
//! [`Rounds`] has some other miners of the chain's directory dial this one now and then; every miner answers such requests of others, within
//! [`dial_backs`]. What comes of it goes to [`super::self_check`]'s board, and to [`super::advertised`]: an address that another miner saw this
//! one at is told to clients once one has reached it there. Another miner's word is neither signed nor final: where several are asked, two
//! must have seen the address, and several in a row must fail to reach it before it goes.

mod client;
mod dial_backs;
mod guard;
mod port_control;

pub(super) use client::RoundClient;
pub(super) use guard::DialGuard;
pub(super) use port_control::PortControl;

use super::advertised::{without_peer, Reach};
use super::host::Host;
use super::listen::TransportKind;
use crate::chain_access::{ChainAccess, ChainError};
use crate::supervisor::Lifeline;
use libp2p::multiaddr::Protocol;
use libp2p::{upnp, Multiaddr, PeerId};
use rand::seq::SliceRandom;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Pause before the first round: the other daemons of a network that starts get up meanwhile.
const FIRST: Duration = Duration::from_secs(10);
/// Pause between two rounds.
const EVERY: Duration = Duration::from_secs(600);
/// Miners that are asked in a round.
const SERVERS: usize = 3;
/// Addresses at which one is dialled, at most.
const MAX_ADDRESSES: usize = 4;
/// Addresses at which this host was seen and reached, at most.
const MAX_CONFIRMED: usize = 8;
/// Tries in a row that must fail before such an address is told to nobody any more: any one miner may lie, or have no dial to spare.
const MOST_MISSED: u32 = 3;
/// Miners of a round that must see the host at an address before others are asked about it, where several are asked: one alone
/// would choose what clients dial.
const WITNESSES: usize = 2;

/// Another miner that is asked.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub peer: PeerId,
    pub addresses: Vec<Multiaddr>,
}

/// Who is asked about what.
#[derive(Debug, Clone)]
pub(super) struct Round {
    pub servers: Vec<Server>,
    pub addresses: Vec<Multiaddr>,
}

/// Has the host asked about now and again.
pub(super) struct Rounds {
    pub host: Host,
    pub chain: ChainAccess,
}

impl Rounds {
    /// Goes on for ever.
    pub async fn run(self, lifeline: &Lifeline) {
        let mut clock = tokio::time::interval_at(tokio::time::Instant::now() + FIRST, EVERY);
        while lifeline.unless_stopping(clock.tick()).await.is_some() {
            match self.servers().await {
                Ok(servers) if servers.is_empty() => {
                    tracing::debug!("no other miner can be asked from where it sees this one");
                }
                Ok(servers) => {
                    let mut addresses = self.host.addresses();
                    addresses.retain(is_dialled);
                    self.host.ask(Round { servers, addresses });
                }
                Err(error) => tracing::debug!(%error, "the chain does not say which miners there are"),
            }
        }
        std::future::pending::<()>().await;
    }

    /// Some other miners that this one can dial.
    async fn servers(&self) -> Result<Vec<Server>, ChainError> {
        let own = self.host.peer_id().to_string();
        let mut others = self.chain.miners().await?;
        others.retain(|miner| miner.peer_id != own);
        others.shuffle(&mut rand::thread_rng());
        let (mut servers, listening) = (Vec::new(), self.host.listening());
        for miner in others.iter().take(2 * SERVERS) {
            // Whoever registers a miner names its peer, and one that is none must not end the round.
            let Ok(peer) = miner.peer_id.parse() else { continue };
            let record = match self.chain.find_peer(&miner.peer_id).await {
                Ok(Some(record)) => record,
                Ok(None) => continue,
                Err(error) => {
                    tracing::debug!(miner = %miner.address, %error, "where a miner is cannot be told");
                    continue;
                }
            };
            let parsed = record.addresses().iter();
            let parsed = parsed.filter_map(|bytes| Multiaddr::try_from(bytes.clone()).ok());
            let good = |address: &Multiaddr| is_dialled(address) && is_of_a_network_of(address, &listening);
            let addresses: Vec<Multiaddr> = parsed.filter(good).take(MAX_ADDRESSES).collect();
            if !addresses.is_empty() {
                servers.push(Server { peer, addresses });
            }
            if servers.len() >= SERVERS {
                break;
            }
        }
        Ok(servers)
    }
}

/// Whether hosts dial such addresses: at an IP address, over TCP, QUIC or WebSocket. They only listen over WebTransport.
///
/// A WebSocket only at `/`: the path stands in the request as it is, line breaks and all, so that whoever chooses it has the host
/// send whole requests of HTTP to whomever the address names.
fn is_dialled(address: &Multiaddr) -> bool {
    use TransportKind::{Quic, Tcp, WebSocket};
    let has_ip = matches!(address.iter().next(), Some(Protocol::Ip4(_) | Protocol::Ip6(_)));
    let has_path = address
        .iter()
        .any(|part| matches!(part, Protocol::Ws(path) | Protocol::Wss(path) if path != "/"));
    has_ip && !has_path && matches!(TransportKind::of(address), Some(Tcp | Quic | WebSocket))
}

/// Whether another miner may be at `address` for a host that listens at `listening`: anywhere in public; on a local network where the host
/// is on one; on this machine where the host is nowhere else. Anybody registers a miner and has others dial what it names.
fn is_of_a_network_of(address: &Multiaddr, listening: &[Multiaddr]) -> bool {
    let mut reaches = listening.iter().map(Reach::of);
    match Reach::of(address) {
        Reach::Public => true,
        Reach::Private => reaches.any(|reach| reach == Reach::Private),
        Reach::Loopback => reaches.all(|reach| reach == Reach::Loopback),
        Reach::Nowhere => false,
    }
}

/// Where the host might be reached when a peer sees it at `observed`: behind a router, the router's address with the ports that the host
/// listens on. Only of a public address: others are its interfaces', which it knows itself.
pub(super) fn candidates(observed: &Multiaddr, listening: &[Multiaddr]) -> Vec<Multiaddr> {
    if Reach::of(observed) != Reach::Public {
        return Vec::new();
    }
    let Some(outside @ (Protocol::Ip4(_) | Protocol::Ip6(_))) = observed.iter().next() else {
        return Vec::new();
    };
    let is_v4 = matches!(outside, Protocol::Ip4(_));
    let same_family = |address: &&Multiaddr| match address.iter().next() {
        Some(Protocol::Ip4(_)) => is_v4,
        Some(Protocol::Ip6(_)) => !is_v4,
        _ => false,
    };
    let mut found: Vec<Multiaddr> = listening
        .iter()
        .filter(same_family)
        .filter(|address| matches!(Reach::of(address), Reach::Public | Reach::Private))
        .filter(|address| is_dialled(address))
        .filter_map(|address| without_peer(address).replace(0, |_| Some(outside.clone())))
        .filter(|address| !listening.contains(address))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// What routers and other miners say of where the host is.
#[derive(Debug, Clone, Default)]
pub(super) struct Outside {
    /// What a router maps to it, by UPnP.
    mapped: Vec<Multiaddr>,
    /// The same by PCP or NAT-PMP.
    controlled: Vec<Multiaddr>,
    /// Where other miners saw and reached it.
    pub confirmed: Vec<Multiaddr>,
    /// How often in a row one of these was not reached.
    missed: BTreeMap<Multiaddr, u32>,
    /// Whether a router was found that maps ports; none before it was looked for, and where no interface is of a local network.
    pub router: Option<Router>,
}

/// What became of looking for a router that maps ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Router {
    Maps,
    /// None answers.
    Missing,
    /// It is itself behind another.
    Nested,
}

impl Outside {
    /// What routers map to it, each once.
    pub fn mapped(&self) -> Vec<Multiaddr> {
        let others = self.controlled.iter().filter(|address| !self.mapped.contains(address));
        self.mapped.iter().chain(others).cloned().collect()
    }

    /// A router was looked for, or changed what it maps.
    pub fn routed(&mut self, event: upnp::Event) {
        match event {
            upnp::Event::NewExternalAddr { external_addr, .. } => {
                tracing::info!(address = %external_addr, "a router maps an address to this miner");
                self.router = Some(Router::Maps);
                note(&mut self.mapped, external_addr);
            }
            upnp::Event::ExpiredExternalAddr { external_addr, .. } => {
                self.mapped.retain(|known| *known != external_addr);
            }
            // One that speaks PCP alone may be there.
            upnp::Event::GatewayNotFound if !self.controlled.is_empty() => {}
            upnp::Event::GatewayNotFound => self.router = Some(Router::Missing),
            upnp::Event::NonRoutableGateway => self.router = Some(Router::Nested),
        }
    }

    /// Another miner tried an address that the host does not listen at by itself.
    pub fn tried(&mut self, address: &Multiaddr, reached: bool) {
        if reached {
            note(&mut self.confirmed, address.clone());
            self.missed.remove(address);
        } else if self.confirmed.contains(address) {
            *self.missed.entry(address.clone()).or_default() += 1;
        }
        let missed = &self.missed;
        let is_gone = |known: &Multiaddr| missed.get(known).is_some_and(|missed| *missed >= MOST_MISSED);
        self.confirmed.retain(|known| !is_gone(known));
        let confirmed = &self.confirmed;
        self.missed.retain(|known, _| confirmed.contains(known));
    }
}

/// At which address each of the miners of a round sees the host: what it said last.
#[derive(Debug, Default)]
pub(super) struct Witnesses(BTreeMap<PeerId, IpAddr>);

impl Witnesses {
    /// Takes a miner's word; whether enough of those that are `asked` say the same.
    pub fn agree(&mut self, server: PeerId, observed: &Multiaddr, asked: usize) -> bool {
        let ip = match observed.iter().next() {
            Some(Protocol::Ip4(ip)) => IpAddr::V4(ip),
            Some(Protocol::Ip6(ip)) => IpAddr::V6(ip),
            _ => return false,
        };
        self.0.insert(server, ip);
        self.0.values().filter(|seen| **seen == ip).count() >= WITNESSES.min(asked)
    }
}

/// Puts an address in, once; the oldest makes room.
fn note(known: &mut Vec<Multiaddr>, address: Multiaddr) {
    if known.contains(&address) {
        return;
    }
    if known.len() >= MAX_CONFIRMED {
        known.remove(0);
    }
    known.push(address);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::HostConfig;
    use libp2p::identity::Keypair;

    fn address(text: &str) -> Multiaddr {
        text.parse().expect("a multiaddr")
    }

    #[test]
    fn behind_a_router_the_host_may_be_at_the_routers_address_with_its_own_ports() {
        let listening = [
            "/ip4/192.168.1.7/tcp/4401",
            "/ip4/127.0.0.1/tcp/4401",
            "/ip6/fd00::7/tcp/4401",
        ]
        .map(address);
        let observed = address("/ip4/9.8.7.6/tcp/50123");
        assert_eq!(candidates(&observed, &listening), [address("/ip4/9.8.7.6/tcp/4401")]);
        let on_the_same_network = address("/ip4/192.168.1.9/tcp/50123");
        assert_eq!(candidates(&on_the_same_network, &listening), []);
        let own = [address("/ip4/9.8.7.6/tcp/4401")];
        assert_eq!(candidates(&observed, &own), [], "it knows its interfaces' addresses");
    }

    #[test]
    fn a_confirmed_address_goes_when_nobody_reaches_it_any_more() {
        let mut outside = Outside::default();
        let seen = address("/ip4/9.8.7.6/tcp/4401");
        outside.tried(&seen, true);
        outside.tried(&seen, true);
        assert_eq!(outside.confirmed, [seen.clone()]);
        for missed in [MOST_MISSED - 1, MOST_MISSED] {
            assert_eq!(outside.confirmed, [seen.clone()], "one miner's word takes nothing away");
            outside.tried(&seen, true);
            (0..missed).for_each(|_| outside.tried(&seen, false));
        }
        assert_eq!(outside.confirmed, []);
        assert!(outside.missed.is_empty());
        for port in 0..100 {
            outside.tried(&address(&format!("/ip4/9.8.7.6/tcp/{port}")), true);
        }
        assert_eq!(outside.confirmed.len(), MAX_CONFIRMED);
    }

    #[test]
    fn one_miner_of_several_does_not_choose_where_this_one_is() {
        let peer = || Keypair::generate_ed25519().public().to_peer_id();
        let (liar, one, other) = (peer(), peer(), peer());
        let mut seen = Witnesses::default();
        let (victim, own) = (address("/ip4/9.9.9.9/tcp/1"), address("/ip4/9.8.7.6/tcp/2"));
        assert!(!seen.agree(liar, &victim, 3) && !seen.agree(liar, &victim, 3));
        assert!(!seen.agree(one, &own, 3));
        assert!(seen.agree(other, &address("/ip4/9.8.7.6/udp/3/quic-v1"), 3));
        assert!(Witnesses::default().agree(one, &own, 1), "there is no other to ask");
    }

    async fn host() -> Host {
        let folder = tempfile::tempdir().expect("a folder");
        let config = HostConfig::on_loopback(0, 0, folder.path().to_owned());
        let host = Host::start(Keypair::generate_ed25519(), config).await;
        let host = host.expect("it listens");
        let open = host.open().await.expect("it listens");
        tokio::spawn(async move { drop(open.run().await) });
        host
    }

    fn dialled(host: &Host) -> Vec<Multiaddr> {
        host.addresses().into_iter().filter(is_dialled).collect()
    }

    /// Waits for another miner's word on each address.
    async fn verdicts(host: &Host) -> Vec<bool> {
        let told = async {
            let mut clock = tokio::time::interval(Duration::from_millis(50));
            loop {
                clock.tick().await;
                let statuses = host.board().statuses(&dialled(host));
                let outside: Option<Vec<bool>> = statuses
                    .iter()
                    .map(|status| status.outside.as_ref().map(|outside| outside.reached))
                    .collect();
                if let Some(all) = outside {
                    return all;
                }
            }
        };
        let told = tokio::time::timeout(Duration::from_secs(60), told).await;
        told.expect("the other miner answers")
    }

    #[tokio::test]
    async fn another_miner_says_whether_it_reaches_this_one_and_again_when_it_is_asked_again() {
        let (asks, answers) = (host().await, host().await);
        for _ in 0..2 {
            let servers = vec![Server {
                peer: answers.peer_id(),
                addresses: dialled(&answers),
            }];
            let addresses = dialled(&asks);
            asks.ask(Round { servers, addresses });
            let reached = verdicts(&asks).await;
            assert!(reached.len() == 3 && reached.iter().all(|reached| *reached));
            asks.board().forget();
        }
    }

    #[test]
    fn hosts_dial_each_other_at_ip_addresses_and_not_over_webtransport() {
        let dialled = |text: &str| is_dialled(&address(text));
        assert!(dialled("/ip4/9.8.7.6/tcp/4401") && dialled("/ip6/2600:db::1/udp/4401/quic-v1"));
        assert!(dialled("/ip4/9.8.7.6/tcp/4402/ws") && !dialled("/dns4/miner.example/tcp/4401"));
        assert!(!dialled("/ip4/9.8.7.6/udp/4401/quic-v1/webtransport"));
    }

    #[test]
    fn nobody_chooses_what_a_host_asks_a_web_server_for() {
        for path in ["a", "%2f..", "x%20HTTP%2f1.1%0d%0a%0d%0aPOST%20%2fadmin"] {
            let named = address(&format!("/ip4/9.8.7.6/tcp/80/x-parity-ws/{path}"));
            assert_eq!(TransportKind::of(&named), Some(TransportKind::WebSocket));
            assert!(!is_dialled(&named), "{named}");
        }
    }

    #[test]
    fn a_miner_that_names_a_network_where_this_host_is_not_has_nothing_dialled_there() {
        let at = |text: &str, listening: &[&str]| {
            let listening: Vec<Multiaddr> = listening.iter().map(|text| address(text)).collect();
            is_of_a_network_of(&address(text), &listening)
        };
        let (loopback, private) = ("/ip4/127.0.0.1/tcp/1", "/ip4/192.168.1.1/tcp/1");
        let public = "/ip4/9.8.7.6/tcp/1";
        assert!(at(loopback, &[loopback]) && !at(loopback, &[loopback, private]) && !at(loopback, &[public]));
        assert!(at(private, &[loopback, private]) && !at(private, &[loopback]) && !at(private, &[public]));
        for listening in [loopback, private, public] {
            assert!(at(public, &[listening]) && !at("/ip4/169.254.169.254/tcp/1", &[listening]));
        }
    }
}
