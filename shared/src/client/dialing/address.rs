//! A miner's address (multiaddr) as text, read as far as dialling is decided by it.
//!
//! Read here and not by a library: `shared` has no libp2p, and the crate for multiaddrs needs `std`. Hosts hand the very text to
//! libp2p, which reads it again.

use super::Obstacle;
use alloc::borrow::ToOwned;
use alloc::string::String;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use serde::{Deserialize, Serialize};

/// Longest address that is read: one with two certificate hashes and a peer id has 250 bytes.
pub const MAX_ADDRESS: usize = 1024;
/// Certificate hashes of an address, at most: a miner announces two.
const MAX_HASHES: usize = 8;

/// How bytes get to a miner; the first is the best that a browser has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Programs only. Before QUIC: half the processor time for a byte.
    Tcp,
    /// Programs only.
    Quic,
    /// QUIC of a browser, to a certificate of an authority or to one that the address names by its hash.
    WebTransport,
    /// A WebSocket over TLS, to a certificate of an authority.
    SecureWebSocket,
    WebSocket,
    /// A data channel; slow.
    WebRtcDirect,
}

impl Transport {
    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Quic => "QUIC",
            Self::WebTransport => "WebTransport",
            Self::SecureWebSocket => "secure WebSocket",
            Self::WebSocket => "WebSocket",
            Self::WebRtcDirect => "WebRTC",
        }
    }

    /// Whether browsers have it at all.
    pub(super) const fn is_of_browsers(self) -> bool {
        !matches!(self, Self::Tcp | Self::Quic)
    }
}

/// From where an address can be reached, by what browsers call its address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// From the same machine.
    Loopback,
    /// From the same local network.
    Private,
    /// From everywhere.
    Public,
}

impl Reach {
    /// Of an IP address.
    pub fn of_ip(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::of_v4(ip),
            IpAddr::V6(ip) => Self::of_v6(ip),
        }
    }

    /// Of a host as URLs and multiaddrs have it: an IP address, in brackets or not, or a name. A name says little; what ends as
    /// names of local networks do is private, any other one public.
    pub fn of_host(host: &str) -> Self {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = bare.parse() {
            return Self::of_ip(ip);
        }
        let name = bare.trim_end_matches('.').to_ascii_lowercase();
        let ends = |suffix: &str| name.ends_with(suffix);
        match name.as_str() {
            "localhost" => Self::Loopback,
            _ if ends(".localhost") => Self::Loopback,
            _ if ends(".local") || ends(".internal") || ends(".home.arpa") || ends(".lan") => Self::Private,
            _ if !name.contains('.') => Self::Private,
            _ => Self::Public,
        }
    }

    fn of_v4(ip: Ipv4Addr) -> Self {
        // 100.64.0.0/10: addresses that a provider shares among its customers.
        let is_shared = matches!(ip.octets(), [100, second, ..] if second & 0xc0 == 64);
        match () {
            () if ip.is_loopback() => Self::Loopback,
            () if ip.is_private() || ip.is_link_local() || is_shared => Self::Private,
            () => Self::Public,
        }
    }

    fn of_v6(ip: Ipv6Addr) -> Self {
        if let Some(mapped) = ip.to_ipv4_mapped() {
            return Self::of_v4(mapped);
        }
        match () {
            () if ip.is_loopback() => Self::Loopback,
            () if ip.is_unique_local() || ip.is_unicast_link_local() => Self::Private,
            () => Self::Public,
        }
    }
}

/// What an address says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialAddress {
    /// An IP address or a name.
    pub host: String,
    pub port: u16,
    pub reach: Reach,
    pub transport: Transport,
    /// Certificates that the address vouches for, by their hash.
    pub hashes: usize,
    /// The peer that it leads to, where it names one.
    pub peer: Option<String>,
}

impl DialAddress {
    /// Reads an address. Errs with [`Obstacle::Malformed`], or with [`Obstacle::Unsupported`] for one that leads through something
    /// that no client of ours has.
    pub fn parse(text: &str) -> Result<Self, Obstacle> {
        let mut parts = match text.strip_prefix('/') {
            Some(rest) if text.len() <= MAX_ADDRESS => rest.trim_end_matches('/').split('/'),
            _ => return Err(Obstacle::Malformed),
        };
        let host = host(&mut parts)?;
        let (carrier, port) = (next(&mut parts)?, next(&mut parts)?);
        let port = port.parse().map_err(|_| Obstacle::Malformed)?;
        let rest: alloc::vec::Vec<&str> = parts.collect();
        let (over, peer) = match rest.split_last_chunk::<2>() {
            Some((over, ["p2p" | "ipfs", peer])) => (over, Some((*peer).to_owned())),
            _ => (rest.as_slice(), None),
        };
        let (transport, hashes) = transport(carrier, over)?;
        let reach = Reach::of_host(&host);
        let is_somewhere = host.parse::<IpAddr>().map_or(true, |ip| !ip.is_unspecified());
        match port != 0 && is_somewhere && (1..=MAX_HASHES).contains(&hashes.max(1)) {
            true => Ok(Self {
                host,
                port,
                reach,
                transport,
                hashes,
                peer,
            }),
            false => Err(Obstacle::Malformed),
        }
    }

    /// Whether the other address leads to the same listener, whatever certificates it vouches for.
    pub(super) fn is_same_place(&self, other: &Self) -> bool {
        (&self.host, self.port, self.transport) == (&other.host, other.port, other.transport)
    }
}

/// An address at which a miner is asked over HTTP; libp2p does not dial it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAddress {
    /// Scheme, host and port: `http://192.0.2.7:4405`.
    pub url: String,
    pub reach: Reach,
    /// Whether it goes over TLS, to a certificate of an authority.
    pub is_secure: bool,
}

impl HttpAddress {
    /// Reads an address; `None` for one of libp2p, and for what is none.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix('/').filter(|_| text.len() <= MAX_ADDRESS)?;
        let mut parts = rest.trim_end_matches('/').split('/');
        let host = host(&mut parts).ok().filter(|host| is_authority(host))?;
        let ("tcp", port) = (parts.next()?, parts.next()?) else {
            return None;
        };
        let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
        let over: alloc::vec::Vec<&str> = parts.collect();
        let over = match over.split_last_chunk::<2>() {
            Some((over, ["p2p" | "ipfs", _])) => over,
            _ => over.as_slice(),
        };
        let is_secure = match over {
            ["http"] => false,
            ["https"] | ["tls", "http"] | ["tls", "sni", _, "http"] => true,
            _ => return None,
        };
        let reach = Reach::of_host(&host);
        let scheme = if is_secure { "https" } else { "http" };
        let url = match host.contains(':') {
            true => alloc::format!("{scheme}://[{host}]:{port}"),
            false => alloc::format!("{scheme}://{host}:{port}"),
        };
        Some(Self { url, reach, is_secure })
    }
}

/// Whether a host stands for itself in a URL: nothing in it ends the authority or names a user. All addresses of a machine at once are none.
fn is_authority(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(ip) => !ip.is_unspecified(),
        Err(_) => host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')),
    }
}

type Parts<'a> = core::str::Split<'a, char>;

fn next<'a>(parts: &mut Parts<'a>) -> Result<&'a str, Obstacle> {
    parts.next().ok_or(Obstacle::Malformed)
}

fn host(parts: &mut Parts<'_>) -> Result<String, Obstacle> {
    let (kind, value) = (next(parts)?, next(parts)?);
    let is_valid = match kind {
        "ip4" => value.parse::<Ipv4Addr>().is_ok(),
        "ip6" => value.parse::<Ipv6Addr>().is_ok(),
        "dns" | "dns4" | "dns6" => !value.is_empty() && value.parse::<IpAddr>().is_err(),
        // A zone is known to one machine only; the others have to be looked up in other ways.
        "ip6zone" | "dnsaddr" | "unix" | "memory" | "p2p" => return Err(Obstacle::Unsupported),
        _ => false,
    };
    is_valid.then(|| value.to_owned()).ok_or(Obstacle::Malformed)
}

/// The transport, and how many certificate hashes there are.
fn transport(carrier: &str, over: &[&str]) -> Result<(Transport, usize), Obstacle> {
    let found = match (carrier, over) {
        ("tcp", []) => (Transport::Tcp, 0),
        ("tcp", ["ws"]) => (Transport::WebSocket, 0),
        ("tcp", ["wss"] | ["tls", "ws"] | ["tls", "sni", _, "ws"]) => (Transport::SecureWebSocket, 0),
        ("udp", ["quic-v1"]) => (Transport::Quic, 0),
        ("udp", ["quic-v1", "webtransport", hashes @ ..]) => (Transport::WebTransport, count(hashes)?),
        ("udp", ["webrtc-direct", hashes @ ..]) => (Transport::WebRtcDirect, count(hashes)?),
        ("tcp" | "udp", _) => return Err(Obstacle::Unsupported),
        _ => return Err(Obstacle::Malformed),
    };
    Ok(found)
}

fn count(hashes: &[&str]) -> Result<usize, Obstacle> {
    let (pairs, rest) = hashes.as_chunks::<2>();
    match rest.is_empty() && pairs.iter().all(|[kind, hash]| *kind == "certhash" && !hash.is_empty()) {
        true => Ok(pairs.len()),
        false => Err(Obstacle::Unsupported),
    }
}
