//! Where the host listens and where it says that it is: multiaddrs of the transports that it has, each on a port of its own.
//!
//! [`super::host`] checks and holds the ports before anything listens; what is not an address of one of the transports is refused with
//! what is wrong with it.

use super::NetworkError;
use libp2p::multiaddr::Protocol;
use libp2p::Multiaddr;
use sealdrop_listener::Certificate;
use socket2::{Domain, Socket, Type};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Addresses to listen on, at most: five transports on a few interfaces.
const MAX_LISTEN: usize = 32;

/// What an address may have behind its host.
const ENDINGS: &str =
    "/tcp/PORT, /tcp/PORT/ws, /tcp/PORT/tls/ws, /udp/PORT/quic-v1, /udp/PORT/quic-v1/webtransport and \
                       /udp/PORT/webrtc-direct";
/// Addresses of itself that it announces, at most: the chain's directory takes no more (`shared/src/chain/peers`).
const MAX_ANNOUNCED: usize = 32;

/// Where the host listens, and what it tells others.
#[derive(Debug, Clone, Default)]
pub struct HostConfig {
    /// Where it listens; port 0 takes a free one, `0.0.0.0` and `::` listen on every interface.
    pub listen: Vec<Multiaddr>,
    /// Where others reach it, if that is not where it listens: behind a proxy, a name, a router. The hashes of certificates are
    /// added to those that need them.
    pub announce: Vec<Multiaddr>,
    /// The certificate of secure WebSocket.
    pub tls: Option<Certificate>,
    /// The folder in which the certificates are kept that browsers accept by their hash.
    pub certificates: PathBuf,
}

impl HostConfig {
    /// On this machine only: TCP and, with the same number, QUIC; on the other port, for browsers, WebSocket and WebTransport.
    pub fn on_loopback(port: u16, browser_port: u16, certificates: PathBuf) -> Self {
        let at = |protocol| Multiaddr::from(Ipv4Addr::LOCALHOST).with(protocol);
        let listen = vec![
            at(Protocol::Tcp(port)),
            at(Protocol::Tcp(browser_port)).with(Protocol::Ws("/".into())),
            at(Protocol::Udp(port)).with(Protocol::QuicV1),
            at(Protocol::Udp(browser_port))
                .with(Protocol::QuicV1)
                .with(Protocol::WebTransport),
        ];
        Self {
            listen,
            announce: Vec::new(),
            tls: None,
            certificates,
        }
    }

    /// Fails when an address is none to listen on, or another program has its port.
    pub fn check(&self) -> Result<(), NetworkError> {
        self.listeners().map(|_| ())
    }

    /// The addresses to listen on, with a free port for each 0. Their ports differ, also from other programs': libp2p would share
    /// a port, and connections would be dealt out among those who listen on it.
    pub(super) fn listeners(&self) -> Result<Vec<ListenAddress>, NetworkError> {
        if !(1..=MAX_LISTEN).contains(&self.listen.len()) {
            return Err(NetworkError::Listeners(self.listen.len()));
        }
        let parsed = self.listen.iter().map(|address| {
            let parsed = ListenAddress::parse(address)?;
            if parsed.kind == TransportKind::SecureWebSocket && self.tls.is_none() {
                return Err(parsed.refused("secure WebSocket needs a certificate and its key"));
            }
            Ok(parsed)
        });
        // All are held until all are known.
        let held: Vec<_> = parsed.map(|address| address?.hold()).collect::<Result<_, _>>()?;
        Ok(held.into_iter().map(|(address, _)| address).collect())
    }
}

/// What speaks libp2p at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TransportKind {
    Tcp,
    Quic,
    WebSocket,
    SecureWebSocket,
    WebTransport,
    WebRtcDirect,
}

impl TransportKind {
    /// Of an address that begins with an IP address or a name; none where there is no such transport.
    pub fn of(address: &Multiaddr) -> Option<Self> {
        // Whom one meets there, and by which certificate, does not change how one gets there.
        let mut parts = address
            .iter()
            .filter(|part| !matches!(part, Protocol::P2p(_) | Protocol::Certhash(_)));
        use Protocol::{Dns, Dns4, Dns6, Ip4, Ip6};
        let (Ip4(_) | Ip6(_) | Dns(_) | Dns4(_) | Dns6(_)) = parts.next()? else {
            return None;
        };
        use Protocol::{QuicV1, Tcp, Tls, Udp, WebRTCDirect, WebTransport, Ws, Wss};
        match (parts.next()?, parts.next(), parts.next(), parts.next()) {
            (Tcp(_), None, None, None) => Some(Self::Tcp),
            (Tcp(_), Some(Ws(_)), None, None) => Some(Self::WebSocket),
            (Tcp(_), Some(Tls), Some(Ws(_)), None) | (Tcp(_), Some(Wss(_)), None, None) => Some(Self::SecureWebSocket),
            (Udp(_), Some(QuicV1), None, None) => Some(Self::Quic),
            (Udp(_), Some(QuicV1), Some(WebTransport), None) => Some(Self::WebTransport),
            (Udp(_), Some(WebRTCDirect), None, None) => Some(Self::WebRtcDirect),
            _ => None,
        }
    }

    /// Whether its addresses name certificates by their hashes.
    fn has_hashes(self) -> bool {
        matches!(self, Self::WebTransport | Self::WebRtcDirect)
    }

    /// The option of the daemon that chooses the port.
    fn option(self) -> &'static str {
        match self {
            Self::Tcp | Self::Quic => "--p2p-port",
            Self::WebSocket | Self::WebTransport => "--p2p-ws-port",
            Self::SecureWebSocket | Self::WebRtcDirect => "another address to listen on",
        }
    }

    fn socket_type(self) -> Type {
        match self {
            Self::Tcp | Self::WebSocket | Self::SecureWebSocket => Type::STREAM,
            Self::Quic | Self::WebTransport | Self::WebRtcDirect => Type::DGRAM,
        }
    }
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "libp2p over TCP",
            Self::Quic => "libp2p over QUIC",
            Self::WebSocket => "libp2p over WebSocket",
            Self::SecureWebSocket => "libp2p over secure WebSocket",
            Self::WebTransport => "libp2p over WebTransport",
            Self::WebRtcDirect => "libp2p over WebRTC",
        })
    }
}

/// An address that the host can listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListenAddress {
    pub multiaddr: Multiaddr,
    pub kind: TransportKind,
    socket: SocketAddr,
}

impl ListenAddress {
    fn parse(address: &Multiaddr) -> Result<Self, NetworkError> {
        let refused = |reason| NetworkError::Address {
            address: address.clone(),
            reason,
        };
        let kind = TransportKind::of(address)
            .ok_or_else(|| refused(format!("after its IP address it must have one of {ENDINGS}")))?;
        let mut parts = address.iter();
        let ip = match parts.next() {
            Some(Protocol::Ip4(ip)) => IpAddr::V4(ip),
            Some(Protocol::Ip6(ip)) => IpAddr::V6(ip),
            _ => return Err(refused("it begins with no IP address".to_owned())),
        };
        let port = match parts.next() {
            Some(Protocol::Tcp(port) | Protocol::Udp(port)) => port,
            _ => return Err(refused("it has no port".to_owned())),
        };
        if parts.any(|part| matches!(part, Protocol::P2p(_) | Protocol::Certhash(_))) {
            return Err(refused(
                "its certificate and peer id are the miner's own: leave them out".to_owned(),
            ));
        }
        Ok(Self {
            multiaddr: address.clone(),
            kind,
            socket: SocketAddr::new(ip, port),
        })
    }

    fn refused(&self, reason: &str) -> NetworkError {
        NetworkError::Address {
            address: self.multiaddr.clone(),
            reason: reason.to_owned(),
        }
    }

    /// Takes the port for itself alone, which libp2p does not: it would listen beside another program without an error.
    fn hold(self) -> Result<(Self, Socket), NetworkError> {
        match bind(self.socket, self.kind.socket_type()) {
            Ok((held, bound)) => Ok((self.at(bound.port()), held)),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// The same with another port.
    fn at(mut self, port: u16) -> Self {
        let with_port = |part| match part {
            Protocol::Tcp(_) => Protocol::Tcp(port),
            Protocol::Udp(_) => Protocol::Udp(port),
            other => other,
        };
        self.multiaddr = self.multiaddr.iter().map(with_port).collect();
        self.socket.set_port(port);
        self
    }

    /// Why nothing can listen there.
    pub(super) fn failed(&self, error: &io::Error) -> NetworkError {
        let (port, what, option) = (self.socket.port(), self.kind, self.kind.option());
        match error.kind() {
            io::ErrorKind::AddrInUse => NetworkError::PortInUse { port, what, option },
            io::ErrorKind::AddrNotAvailable => NetworkError::Address {
                address: self.multiaddr.clone(),
                reason: format!("this machine has no interface with {}", self.socket.ip()),
            },
            _ => NetworkError::Listen {
                port,
                what,
                option,
                reason: error.to_string(),
            },
        }
    }
}

/// A socket bound to an address, for IPv6 to that alone, and where it is.
fn bind(address: SocketAddr, kind: Type) -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // As every listener does: connections that are over do not keep their port from being listened on.
    if kind == Type::STREAM {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&address.into())?;
    if kind == Type::STREAM {
        socket.listen(1)?;
    }
    let bound = socket.local_addr()?.as_socket();
    Ok((socket, bound.unwrap_or(address)))
}

/// What is announced of a host that listens at `listening`: the addresses that its operator names, with the hashes of the certificates
/// in use where a transport has such, or where it listens.
pub(super) fn announced(listening: &[Multiaddr], named: &[Multiaddr]) -> Vec<Multiaddr> {
    let all = match named.is_empty() {
        true => listening.to_vec(),
        false => named
            .iter()
            .filter_map(|address| completed(address, listening))
            .collect(),
    };
    all.into_iter().take(MAX_ANNOUNCED).collect()
}

/// An address that was found earlier, with the hashes of the certificates in use now; none when nothing listens for it any more.
pub(super) fn with_current_hashes(address: &Multiaddr, listening: &[Multiaddr]) -> Option<Multiaddr> {
    let bare = address.iter().filter(|part| !matches!(part, Protocol::Certhash(_)));
    completed(&bare.collect(), listening)
}

/// With the hashes that those of the same transport have; none when nothing listens there.
fn completed(named: &Multiaddr, listening: &[Multiaddr]) -> Option<Multiaddr> {
    let kind = TransportKind::of(named)?;
    if !kind.has_hashes() || named.iter().any(|part| matches!(part, Protocol::Certhash(_))) {
        return Some(named.clone());
    }
    let own = listening
        .iter()
        .find(|address| TransportKind::of(address) == Some(kind))?;
    let hashes = own.iter().filter(|part| matches!(part, Protocol::Certhash(_)));
    Some(named.iter().chain(hashes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<ListenAddress, NetworkError> {
        ListenAddress::parse(&text.parse().expect("a multiaddr"))
    }

    #[test]
    fn an_address_names_the_transport_that_listens_there() {
        let kinds = [
            ("/ip4/127.0.0.1/tcp/4401", TransportKind::Tcp),
            ("/ip6/::/tcp/4402/ws", TransportKind::WebSocket),
            ("/ip4/0.0.0.0/udp/4401/quic-v1", TransportKind::Quic),
            ("/ip6/::1/udp/4402/quic-v1/webtransport", TransportKind::WebTransport),
            ("/ip4/0.0.0.0/tcp/443/tls/ws", TransportKind::SecureWebSocket),
            ("/ip4/0.0.0.0/tcp/443/wss", TransportKind::SecureWebSocket),
            ("/ip4/0.0.0.0/udp/4404/webrtc-direct", TransportKind::WebRtcDirect),
        ];
        for (text, kind) in kinds {
            assert_eq!(parsed(text).expect(text).kind, kind);
        }
    }

    #[test]
    fn what_is_no_address_to_listen_on_is_refused_with_the_reason() {
        let refused = [
            "/ip4/127.0.0.1",
            "/ip4/127.0.0.1/udp/4401",
            "/ip4/127.0.0.1/udp/4401/quic",
            "/dns4/miner.example/tcp/4401",
            "/ip4/127.0.0.1/tcp/4401/p2p/12D3KooWGatU9DbtnrVDRvVkCmzGrYsGYdNBGHyRwEYuNzwzGdXW",
        ];
        for text in refused {
            assert!(matches!(parsed(text), Err(NetworkError::Address { .. })), "{text}");
        }
        let none = HostConfig::default().check();
        assert!(matches!(none, Err(NetworkError::Listeners(0))));
        let without_certificate = HostConfig {
            listen: vec!["/ip4/127.0.0.1/tcp/0/tls/ws".parse().expect("a multiaddr")],
            ..HostConfig::default()
        };
        assert!(matches!(without_certificate.check(), Err(NetworkError::Address { .. })));
    }

    #[test]
    fn udp_ports_are_held_like_those_of_tcp() {
        let taken = std::net::UdpSocket::bind(("127.0.0.1", 0)).expect("a port is free");
        let port = taken.local_addr().expect("it is bound").port();
        let refused = HostConfig {
            listen: vec![format!("/ip4/127.0.0.1/udp/{port}/quic-v1")
                .parse()
                .expect("a multiaddr")],
            ..HostConfig::default()
        };
        assert!(matches!(refused.check(), Err(NetworkError::PortInUse { port: p, .. }) if p == port));
    }

    #[test]
    fn both_families_can_have_the_same_port() {
        let checked = || {
            let free = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
            let port = free.local_addr().expect("it is bound").port();
            drop(free);
            let both = ["/ip4/0.0.0.0", "/ip6/::"].map(|ip| format!("{ip}/tcp/{port}").parse().expect("a multiaddr"));
            let config = HostConfig {
                listen: both.to_vec(),
                ..HostConfig::default()
            };
            config.check()
        };
        // What is free in one family may be another program's in the other.
        assert!((0..20).any(|_| checked().is_ok()), "IPv6 is listened on apart");
    }

    #[test]
    fn a_host_announces_what_its_operator_names_or_where_it_listens() {
        let listening: Vec<Multiaddr> = vec!["/ip4/10.0.0.1/tcp/4401".parse().expect("a multiaddr")];
        let named: Vec<Multiaddr> = vec!["/dns4/miner.example/tcp/4401".parse().expect("a multiaddr")];
        assert_eq!(announced(&listening, &[]), listening);
        assert_eq!(announced(&listening, &named), named);
    }

    #[test]
    fn a_named_address_gets_the_hashes_of_the_certificates_in_use() {
        let hashes = "certhash/uEiD8bSqbzsQ4dSBvxGbsDmgXqaCcFZ8t7yPVJYP-d0N4nQ";
        let address = |text: String| -> Multiaddr { text.parse().expect("a multiaddr") };
        let named = "/dns4/miner.example/udp/443/quic-v1/webtransport";
        let listening = [
            address("/ip4/10.0.0.1/tcp/4401".to_owned()),
            address(format!("/ip4/10.0.0.1/udp/4402/quic-v1/webtransport/{hashes}")),
        ];
        let expected = address(format!("{named}/{hashes}"));
        assert_eq!(announced(&listening, &[address(named.to_owned())]), [expected.clone()]);
        // What the operator wrote out stays, and what nothing listens for is not announced.
        assert_eq!(announced(&listening, &[expected.clone()]), [expected]);
        assert!(announced(&listening[..1], &[address(named.to_owned())]).is_empty());
    }

    #[test]
    fn what_a_router_maps_follows_the_certificates_in_use() {
        let address = |text: &str| -> Multiaddr { text.parse().expect("a multiaddr") };
        let (old, new) = (
            "certhash/uEiD8bSqbzsQ4dSBvxGbsDmgXqaCcFZ8t7yPVJYP-d0N4nQ",
            "certhash/uEiAkH5a4DPGKUuOBjYw0CgwjvcJCJMD2K_1aluKR_tpevQ",
        );
        let mapped = address(&format!("/ip4/9.8.7.6/udp/4402/quic-v1/webtransport/{old}"));
        let listening = [address(&format!("/ip4/10.0.0.1/udp/4402/quic-v1/webtransport/{new}"))];
        let now = address(&format!("/ip4/9.8.7.6/udp/4402/quic-v1/webtransport/{new}"));
        assert_eq!(with_current_hashes(&mapped, &listening), Some(now));
        assert_eq!(with_current_hashes(&mapped, &[]), None);
        let plain = address("/ip4/9.8.7.6/tcp/4401");
        assert_eq!(with_current_hashes(&plain, &[]), Some(plain));
    }
}
