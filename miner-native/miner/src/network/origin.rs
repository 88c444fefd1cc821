//! From which address a connection comes, and which address has most: whoever has most makes room first.

use libp2p::multiaddr::Protocol;
use libp2p::Multiaddr;
use shared::access::network_of;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

/// Whose connections are counted together ([`network_of`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Origin(IpAddr);

impl Origin {
    /// Of the remote end of a connection; what names no address counts as one.
    pub(super) fn of(remote: &Multiaddr) -> Self {
        let ip = match remote.iter().next() {
            Some(Protocol::Ip4(ip)) => IpAddr::V4(ip),
            Some(Protocol::Ip6(ip)) => IpAddr::V6(ip),
            _ => return Self::default(),
        };
        Self(network_of(ip))
    }
}

impl Default for Origin {
    fn default() -> Self {
        Self(IpAddr::V6(Ipv6Addr::UNSPECIFIED))
    }
}

/// How many there are of the most frequent origin, and the oldest of them; of two as frequent, the one with the older.
pub(super) fn most_frequent<T>(by_age: impl Iterator<Item = (Origin, T)>) -> Option<(usize, T)> {
    let mut of_origin: BTreeMap<Origin, (usize, usize, T)> = BTreeMap::new();
    for (age, (origin, one)) in by_age.enumerate() {
        of_origin.entry(origin).or_insert((0, age, one)).0 += 1;
    }
    let most = of_origin
        .into_values()
        .min_by_key(|(count, age, _)| (Reverse(*count), *age));
    most.map(|(count, _, oldest)| (count, oldest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        Origin::of(&text.parse().expect("an address"))
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_origin() {
        assert_eq!(origin("/ip6/2001:db8::1/tcp/1"), origin("/ip6/2001:db8::2/tcp/9"));
        assert_ne!(origin("/ip6/2001:db8::1/tcp/1"), origin("/ip6/2001:db8:0:1::1/tcp/1"));
        assert_ne!(origin("/ip4/127.0.0.1/tcp/1"), origin("/ip4/127.0.0.2/tcp/1"));
    }
}
