//! Which addresses the host tells the chain's directory, and in which order: a pure rule.
//!
//! Called by `announcer` whenever something that it depends on may have changed. What goes in: the operator's own word, where the
//! host listens (on every interface of this machine), what a router maps, what other miners have seen and dialled
//! (`reachability`), and what did not answer when it was tried (`self_check`).

use super::listen::TransportKind;
use libp2p::multiaddr::Protocol;
use libp2p::Multiaddr;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::chain::peers::{MAX_ADDRESSES, MAX_RECORD};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of a record that are no addresses: keys, signature, peer id, number, lengths.
const FRAME: usize = 256;
/// Bytes around each address.
const FRAME_OF_ADDRESS: usize = 8;

/// From where an address can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Reach {
    /// From everywhere, or by a name.
    Public,
    /// From the same local network.
    Private,
    /// From the same machine.
    Loopback,
    /// From nowhere: unspecified, multicast, or of one link, whose name another machine does not know.
    Nowhere,
}

impl Reach {
    /// Of the host that an address begins with; a name may mean anything, and counts as public.
    pub fn of(address: &Multiaddr) -> Self {
        match address.iter().next() {
            Some(Protocol::Ip4(ip)) => Self::of_v4(ip),
            Some(Protocol::Ip6(ip)) => Self::of_v6(ip),
            Some(Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) | Protocol::Dnsaddr(_)) => Self::Public,
            _ => Self::Nowhere,
        }
    }

    pub fn of_ip(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::of_v4(ip),
            IpAddr::V6(ip) => Self::of_v6(ip),
        }
    }

    fn of_v4(ip: Ipv4Addr) -> Self {
        // 100.64.0.0/10 is shared by a provider's customers; 240.0.0.0/4 is reserved.
        let shared = matches!(ip.octets(), [100, second, ..] if second & 0xc0 == 64);
        match ip.octets() {
            [127, ..] => Self::Loopback,
            [0, ..] | [224..=255, ..] => Self::Nowhere,
            _ if ip.is_link_local() => Self::Nowhere,
            _ if ip.is_private() || shared => Self::Private,
            _ => Self::Public,
        }
    }

    fn of_v6(ip: Ipv6Addr) -> Self {
        if let Some(mapped) = ip.to_ipv4_mapped() {
            return Self::of_v4(mapped);
        }
        let [high, low] = match ip.segments() {
            // What translators and tunnels lead to an address of IPv4: NAT64 (RFC 6052) and 6to4 (RFC 3056).
            [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => [high, low],
            _ => return Self::of_v6_alone(ip),
        };
        Self::of_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
    }

    fn of_v6_alone(ip: Ipv6Addr) -> Self {
        match ip {
            _ if ip.is_loopback() => Self::Loopback,
            _ if ip.is_unspecified() || ip.is_multicast() || ip.is_unicast_link_local() => Self::Nowhere,
            _ if ip.is_unique_local() => Self::Private,
            _ => Self::Public,
        }
    }
}

/// What is known of where the host is.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The operator's own word.
    pub named: Vec<Multiaddr>,
    /// Where it listens, unspecified addresses already as those of the interfaces.
    pub listening: Vec<Multiaddr>,
    /// What a router maps to where it listens.
    pub mapped: Vec<Multiaddr>,
    /// What other miners saw it at, and reached it at.
    pub confirmed: Vec<Multiaddr>,
    /// What did not answer when it was last tried.
    pub silent: BTreeSet<Multiaddr>,
}

/// The addresses to tell, the best first: those that the operator names, alone; without any, those that reach furthest, loopback only
/// where there is nothing else. What did not answer comes last, as long as something does; at most as many as a record holds.
pub fn advertised(known: &Known) -> Vec<Multiaddr> {
    // What others say comes behind what the host knows itself.
    let found = [&known.mapped, &known.listening, &known.confirmed];
    let all: Vec<&Multiaddr> = match known.named.is_empty() {
        false => known.named.iter().collect(),
        true => found.into_iter().flatten().collect(),
    };
    let mut seen = BTreeSet::new();
    let mut good: Vec<(Reach, usize, Multiaddr)> = Vec::new();
    // How many of the same reach and transport come before each.
    let mut ranks: BTreeMap<(Reach, Option<TransportKind>), usize> = BTreeMap::new();
    for address in all {
        let address = without_peer(address);
        let reach = Reach::of(&address);
        if reach != Reach::Nowhere && seen.insert(address.clone()) {
            let rank = ranks.entry((reach, TransportKind::of(&address))).or_default();
            good.push((reach, *rank, address));
            *rank += 1;
        }
    }
    if good.iter().any(|(reach, ..)| *reach != Reach::Loopback) && known.named.is_empty() {
        good.retain(|(reach, ..)| *reach != Reach::Loopback);
    }
    let is_silent = |address: &Multiaddr| known.silent.contains(address);
    match known.named.is_empty() {
        // The operator's order stands.
        false => good.sort_by_key(|(.., address)| is_silent(address)),
        // Each transport has its turn: a record has no room for all of those of many interfaces.
        true => good.sort_by_key(|(reach, rank, address)| (is_silent(address), *reach, *rank)),
    }
    within_a_record(good.into_iter().map(|(.., address)| address))
}

/// As many of the addresses as fit a record.
pub(super) fn within_a_record(addresses: impl Iterator<Item = Multiaddr>) -> Vec<Multiaddr> {
    let mut room = MAX_RECORD.saturating_sub(FRAME);
    let fits = |address: &Multiaddr| {
        let left = room.checked_sub(address.len().saturating_add(FRAME_OF_ADDRESS));
        room = left.unwrap_or(room);
        left.is_some()
    };
    addresses.filter(fits).take(MAX_ADDRESSES).collect()
}

/// The address without the peer id at its end, which the record names once.
pub fn without_peer(address: &Multiaddr) -> Multiaddr {
    let parts = address.iter().filter(|part| !matches!(part, Protocol::P2p(_)));
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses<const N: usize>(texts: [&str; N]) -> Vec<Multiaddr> {
        texts.iter().map(|text| text.parse().expect("a multiaddr")).collect()
    }

    #[test]
    fn loopback_is_told_only_when_nothing_else_is_there() {
        let mut known = Known {
            listening: addresses(["/ip4/127.0.0.1/tcp/4401", "/ip6/::1/tcp/4401"]),
            ..Known::default()
        };
        assert_eq!(advertised(&known), known.listening);
        known.listening.extend(addresses(["/ip4/192.168.1.7/tcp/4401"]));
        assert_eq!(advertised(&known), addresses(["/ip4/192.168.1.7/tcp/4401"]));
    }

    #[test]
    fn what_reaches_furthest_comes_first() {
        let known = Known {
            listening: addresses(["/ip4/10.0.0.2/tcp/4401", "/ip6/2600:db::1/tcp/4401"]),
            mapped: addresses(["/ip4/9.8.7.6/tcp/4401"]),
            confirmed: addresses(["/ip4/9.8.7.6/udp/4401/quic-v1"]),
            ..Known::default()
        };
        let expected = addresses([
            "/ip4/9.8.7.6/tcp/4401",
            "/ip4/9.8.7.6/udp/4401/quic-v1",
            "/ip6/2600:db::1/tcp/4401",
            "/ip4/10.0.0.2/tcp/4401",
        ]);
        assert_eq!(advertised(&known), expected);
    }

    #[test]
    fn of_many_interfaces_every_transport_is_told() {
        let endings = ["tcp/1", "tcp/2/ws", "udp/1/quic-v1", "udp/2/quic-v1/webtransport"];
        let at = |ending: &str| {
            let of = |n| format!("/ip4/10.0.{n}.1/{ending}").parse().expect("a multiaddr");
            (0..MAX_ADDRESSES).map(of).collect::<Vec<Multiaddr>>()
        };
        let known = Known {
            listening: endings.into_iter().flat_map(at).collect(),
            ..Known::default()
        };
        let told = advertised(&known);
        let kinds: BTreeSet<_> = told.iter().take(endings.len()).map(TransportKind::of).collect();
        assert_eq!((told.len(), kinds.len()), (MAX_ADDRESSES, endings.len()), "{told:?}");
    }

    #[test]
    fn what_the_operator_names_stands_alone_and_in_its_order() {
        let known = Known {
            named: addresses(["/ip4/127.0.0.2/tcp/4401", "/dns4/miner.example/tcp/443/tls/ws"]),
            listening: addresses(["/ip4/10.0.0.2/tcp/4401"]),
            ..Known::default()
        };
        assert_eq!(advertised(&known), known.named);
    }

    #[test]
    fn what_did_not_answer_comes_last_and_is_not_forgotten() {
        let listening = addresses(["/ip4/9.8.7.6/tcp/4401", "/ip4/10.0.0.2/tcp/4401"]);
        let known = Known {
            silent: BTreeSet::from([listening[0].clone()]),
            listening: listening.clone(),
            ..Known::default()
        };
        assert_eq!(advertised(&known), [listening[1].clone(), listening[0].clone()]);
    }

    #[test]
    fn each_address_is_told_once_and_without_the_peer_id() {
        let peer = "/p2p/12D3KooWGatU9DbtnrVDRvVkCmzGrYsGYdNBGHyRwEYuNzwzGdXW";
        let known = Known {
            mapped: addresses(["/ip4/9.8.7.6/tcp/4401"]),
            confirmed: vec![format!("/ip4/9.8.7.6/tcp/4401{peer}").parse().expect("a multiaddr")],
            listening: addresses(["/ip4/9.8.7.6/tcp/4401"]),
            ..Known::default()
        };
        assert_eq!(advertised(&known), addresses(["/ip4/9.8.7.6/tcp/4401"]));
    }

    #[test]
    fn what_leads_nowhere_is_not_told() {
        let known = Known {
            listening: addresses([
                "/ip4/0.0.0.0/tcp/1",
                "/ip4/169.254.3.4/tcp/1",
                "/ip4/224.0.0.1/tcp/1",
                "/ip6/fe80::1/tcp/1",
                "/ip6/::/tcp/1",
                "/unix/socket",
            ]),
            ..Known::default()
        };
        assert_eq!(advertised(&known), []);
    }

    #[test]
    fn a_record_is_never_too_long() {
        let many = |text: fn(usize) -> String| Known {
            listening: (0..2 * MAX_ADDRESSES)
                .map(|n| text(n).parse().expect("a multiaddr"))
                .collect(),
            ..Known::default()
        };
        let short = many(|n| format!("/ip4/10.0.0.{n}/tcp/4401"));
        assert_eq!(advertised(&short).len(), MAX_ADDRESSES);
        let long = many(|n| format!("/dns4/{}.{n}.example/tcp/4401", "a".repeat(400)));
        let told = advertised(&long);
        let bytes: usize = told.iter().map(|address| address.len() + FRAME_OF_ADDRESS).sum();
        assert!(
            told.len() > 10 && bytes + FRAME <= MAX_RECORD,
            "{} of {bytes} bytes",
            told.len()
        );
    }

    #[test]
    fn shared_and_mapped_addresses_are_what_they_are() {
        let reach = |text: &str| Reach::of_ip(text.parse().expect("an IP address"));
        assert_eq!(reach("100.64.0.1"), Reach::Private);
        assert_eq!(reach("100.128.0.1"), Reach::Public);
        assert_eq!(reach("::ffff:127.0.0.1"), Reach::Loopback);
        assert_eq!(reach("::ffff:10.1.1.1"), Reach::Private);
        assert_eq!(reach("64:ff9b::10.1.1.1"), Reach::Private);
        assert_eq!(reach("2002:7f00:1::1"), Reach::Loopback);
        assert_eq!(reach("64:ff9b::9.8.7.6"), Reach::Public);
        assert_eq!(reach("fd00::1"), Reach::Private);
        assert_eq!(reach("255.255.255.255"), Reach::Nowhere);
    }
}
