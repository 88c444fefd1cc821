//! Where the miner's HTTP listener ([`crate::http`]) is, as the addresses that the host signs say it: `…/tcp/PORT/http`, `…/tls/http` with
//! a certificate. libp2p dials none of them; they stand in the record because it is where clients look.
//!
//! Asked by the host for what it tells, and by [`super::probe`] for trying it.

use super::advertised::{within_a_record, Reach};
use super::probe::{transport_reason, Unanswered, PROBE_LIMIT};
use libp2p::multiaddr::Protocol;
use libp2p::Multiaddr;
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// Addresses of HTTP in a record, at most: those of libp2p need the room.
const MAX_HTTP: usize = 4;
/// What every gateway answers at once: the block without bytes.
const PROBE: &str = "/ipfs/bafkqaaa?format=raw";
const RAW: &str = "application/vnd.ipld.raw";

/// Where the HTTP listener is.
#[derive(Debug, Clone, Default)]
pub struct HttpPlaces {
    /// Where it listens.
    pub bound: Vec<SocketAddr>,
    /// Whether others are served by TLS alone.
    pub has_tls: bool,
    /// What the operator says instead.
    pub announce: Vec<Multiaddr>,
}

/// Whether an address is one of HTTP, and none of libp2p.
pub fn is_http(address: &Multiaddr) -> bool {
    http_url(address).is_some()
}

/// The URL that an address of HTTP stands for, without a path.
pub(super) fn http_url(address: &Multiaddr) -> Option<String> {
    let mut parts = address.iter();
    let host = match parts.next()? {
        Protocol::Ip4(ip) => ip.to_string(),
        Protocol::Ip6(ip) => format!("[{ip}]"),
        Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) => name.into_owned(),
        _ => return None,
    };
    let Protocol::Tcp(port) = parts.next()? else {
        return None;
    };
    let scheme = match (parts.next()?, parts.next(), parts.next()) {
        (Protocol::Http, None, None) => "http",
        (Protocol::Tls, Some(Protocol::Http), None) | (Protocol::Https, None, None) => "https",
        _ => return None,
    };
    Some(format!("{scheme}://{host}:{port}"))
}

impl HttpPlaces {
    /// What is told of it by a host that listens at `listening`: the operator's word, or where it listens. Where the operator says where
    /// libp2p is and nothing of HTTP (`is_named`), nobody knows from here how others get to it.
    pub(super) fn told(&self, listening: &[Multiaddr], is_named: bool) -> Vec<Multiaddr> {
        match (self.announce.is_empty(), is_named) {
            (false, _) => self.announce.clone(),
            (true, true) => Vec::new(),
            (true, false) => self.listening(listening),
        }
    }

    /// Each address that it listens at, those of all interfaces as libp2p found them.
    fn listening(&self, listening: &[Multiaddr]) -> Vec<Multiaddr> {
        let interfaces: BTreeSet<IpAddr> = listening.iter().filter_map(ip_of).collect();
        let each = |bound: &SocketAddr| -> Vec<IpAddr> {
            let of_all = interfaces.iter().filter(|ip| ip.is_ipv4() == bound.is_ipv4());
            match bound.ip().is_unspecified() {
                true => of_all.copied().collect(),
                false => vec![bound.ip()],
            }
        };
        let at = |ip: IpAddr, port| {
            let address = Multiaddr::from(ip).with(Protocol::Tcp(port));
            // Programs of this machine are served without.
            match self.has_tls && !ip.is_loopback() {
                true => address.with(Protocol::Tls).with(Protocol::Http),
                false => address.with(Protocol::Http),
            }
        };
        let all = self
            .bound
            .iter()
            .flat_map(|bound| each(bound).into_iter().map(|ip| at(ip, bound.port())));
        all.collect()
    }
}

fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    }
}

/// Both in one record: those of libp2p first. Loopback is told of HTTP only where it is of libp2p.
pub(super) fn with_http(libp2p: Vec<Multiaddr>, http: Vec<Multiaddr>) -> Vec<Multiaddr> {
    let is_here_alone = libp2p.iter().all(|address| Reach::of(address) == Reach::Loopback);
    let mut http: Vec<(Reach, Multiaddr)> = http.into_iter().map(|address| (Reach::of(&address), address)).collect();
    http.retain(|(reach, _)| *reach < Reach::Loopback || *reach == Reach::Loopback && is_here_alone);
    http.sort_by_key(|(reach, _)| *reach);
    let http = http.into_iter().map(|(_, address)| address).take(MAX_HTTP);
    // Those of HTTP are few, and counted first.
    let (http, libp2p): (Vec<_>, Vec<_>) = within_a_record(http.chain(libp2p)).into_iter().partition(is_http);
    libp2p.into_iter().chain(http).collect()
}

/// Whether a gateway answers at the URL.
pub(super) async fn answers(url: &str) -> Result<(), Unanswered> {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(PROBE_LIMIT)
        .build();
    let failed = |error: reqwest::Error| transport_reason(&io::Error::other(error));
    let response = client
        .map_err(failed)?
        .get(format!("{url}{PROBE}"))
        .send()
        .await
        .map_err(failed)?;
    let kind = response
        .headers()
        .get("content-type")
        .and_then(|kind| kind.to_str().ok());
    match (response.status().as_u16(), kind) {
        (200, Some(RAW)) => Ok(()),
        (status, _) => Err(Unanswered::Handshake(format!("status {status}, and no gateway"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all<const N: usize>(texts: [&str; N]) -> Vec<Multiaddr> {
        texts.iter().map(|text| text.parse().expect("a multiaddr")).collect()
    }

    fn places(bound: &[&str], has_tls: bool) -> HttpPlaces {
        HttpPlaces {
            bound: bound.iter().map(|text| text.parse().expect("an address")).collect(),
            has_tls,
            announce: Vec::new(),
        }
    }

    #[test]
    fn an_address_of_http_is_a_url_and_one_of_libp2p_is_not() {
        let url = |text: &str| http_url(&text.parse().expect("a multiaddr"));
        for (text, expected) in [
            ("/ip4/192.0.2.7/tcp/4405/http", "http://192.0.2.7:4405"),
            ("/ip6/2001:db8::7/tcp/4405/tls/http", "https://[2001:db8::7]:4405"),
            ("/dns4/miner.example/tcp/443/https", "https://miner.example:443"),
        ] {
            assert_eq!(url(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "/ip4/192.0.2.7/tcp/4401",
            "/ip4/192.0.2.7/tcp/4402/ws",
            "/ip4/192.0.2.7/tcp/443/tls/ws",
            "/ip4/192.0.2.7/udp/4405/http",
            "/ip4/192.0.2.7/tcp/4405/http/p2p/12D3KooWGatU9DbtnrVDRvVkCmzGrYsGYdNBGHyRwEYuNzwzGdXW",
        ] {
            assert_eq!(url(text), None, "{text}");
        }
    }

    #[test]
    fn it_is_told_where_it_listens_and_by_tls_where_others_need_it() {
        let listening = all([
            "/ip4/127.0.0.1/tcp/1",
            "/ip4/10.0.0.2/tcp/1",
            "/ip4/10.0.0.2/udp/1/quic-v1",
            "/ip6/fd00::1/tcp/1",
        ]);
        assert_eq!(
            places(&["0.0.0.0:5"], false).told(&listening, false),
            all(["/ip4/10.0.0.2/tcp/5/http", "/ip4/127.0.0.1/tcp/5/http"])
        );
        assert_eq!(
            places(&["[::]:5", "127.0.0.1:6", "192.0.2.7:7"], true).told(&listening, false),
            all([
                "/ip6/fd00::1/tcp/5/tls/http",
                "/ip4/127.0.0.1/tcp/6/http",
                "/ip4/192.0.2.7/tcp/7/tls/http"
            ])
        );
    }

    #[test]
    fn the_operators_word_stands_alone_and_silence_is_one_where_libp2p_is_named() {
        let mut places = places(&["192.0.2.7:5"], false);
        assert_eq!(places.told(&[], true), []);
        places.announce = all(["/dns4/miner.example/tcp/443/tls/http"]);
        assert_eq!(places.told(&[], true), places.announce);
        assert_eq!(places.told(&[], false), places.announce);
    }

    #[test]
    fn libp2p_comes_first_and_loopback_is_told_only_where_nothing_else_is() {
        let http = all([
            "/ip4/127.0.0.1/tcp/5/http",
            "/ip4/10.0.0.2/tcp/5/http",
            "/ip4/9.8.7.6/tcp/5/http",
        ]);
        let here = all(["/ip4/127.0.0.1/tcp/1"]);
        assert_eq!(
            with_http(here, http.clone()),
            all([
                "/ip4/127.0.0.1/tcp/1",
                "/ip4/9.8.7.6/tcp/5/http",
                "/ip4/10.0.0.2/tcp/5/http",
                "/ip4/127.0.0.1/tcp/5/http"
            ])
        );
        let there = all(["/ip4/10.0.0.2/tcp/1"]);
        let told = with_http(there.clone(), http);
        assert_eq!(
            told,
            [there, all(["/ip4/9.8.7.6/tcp/5/http", "/ip4/10.0.0.2/tcp/5/http"])].concat()
        );
        // A full record keeps room for it.
        let many = (0..40)
            .map(|n| format!("/ip4/10.0.1.{n}/tcp/1").parse().expect("a multiaddr"))
            .collect();
        let told = with_http(many, all(["/ip4/10.0.0.2/tcp/5/http"]));
        assert_eq!((told.len(), told.last().is_some_and(is_http)), (32, true));
    }
}
