//! Whose requests a listener that serves this machine answers: names and pages of this machine, nobody else's; and which remote
//! addresses count as one, wherever each has a share of something.
//!
//! Called for every HTTP request by the development chain and by the miner's web listener. A page of another site cannot
//! have the browser ask on its behalf (its `Origin` is told), nor by a name of its own that it points to 127.0.0.1 (the `Host`
//! is that name). A page of this machine on another port may: the daemon's page asks the chain so.

use core::net::{IpAddr, Ipv6Addr};

/// Names of this machine as they stand in front of a port.
const LOCAL_NAMES: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// Whether the value of a `Host` header names this machine, with any port or none.
pub fn host_is_local(host: &str) -> bool {
    let of_name = |name: &&str| match host.get(..name.len()) {
        Some(start) if start.eq_ignore_ascii_case(name) => is_port(&host[name.len()..]),
        _ => false,
    };
    LOCAL_NAMES.iter().any(of_name)
}

/// Nothing, or a colon and a number.
fn is_port(rest: &str) -> bool {
    rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

/// Whether the value of an `Origin` header is a page of this machine, on any port.
pub fn origin_is_local(origin: &str) -> bool {
    let host = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    host.is_some_and(host_is_local)
}

/// What counts as one address: of version 6 a network of 64 bits, which is what one customer gets; one of version 4 that is written
/// as version 6 is what it stands for.
pub fn network_of(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_of_version_6_are_one_and_those_of_version_4_each_their_own() {
        let network = |text: &str| network_of(text.parse().expect("an address"));
        assert_eq!(network("2001:db8:0:1::1"), network("2001:db8:0:1:ffff::"));
        assert_ne!(network("2001:db8:0:1::1"), network("2001:db8:0:2::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }

    #[test]
    fn a_name_that_was_made_to_point_here_is_not_this_machine() {
        for host in [
            "127.0.0.1:4400",
            "localhost:4400",
            "localhost",
            "LocalHost:1",
            "[::1]:4400",
            "[::1]",
        ] {
            assert!(host_is_local(host), "{host}");
        }
        for host in [
            "evil.example:4400",
            "127.0.0.1.evil.example",
            "127.0.0.1:4400.evil.example",
            "",
            ":4400",
            "localhost.evil.example:4400",
            "localhost:",
            "localhost:99999",
            "localhost@evil.example",
            "0.0.0.0:4400",
            "é",
        ] {
            assert!(!host_is_local(host), "{host}");
        }
    }

    #[test]
    fn a_page_of_another_site_or_of_none_is_no_page_of_this_machine() {
        for origin in ["http://127.0.0.1:4400", "http://localhost:5173", "https://[::1]:1"] {
            assert!(origin_is_local(origin), "{origin}");
        }
        for origin in [
            "null",
            "",
            "http://evil.example",
            "http://127.0.0.1.evil.example",
            "file://",
            "127.0.0.1:4400",
            "http://127.0.0.1:4400/page",
            "ftp://127.0.0.1",
        ] {
            assert!(!origin_is_local(origin), "{origin}");
        }
    }
}
