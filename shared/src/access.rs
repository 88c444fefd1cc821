//! Whose requests an HTTP listener answers: those by a name of this machine or by one that its operator gave, and of pages of these
//! names, nobody else's; and which remote addresses count as one, wherever each has a share of something.
//!
//! Called for every HTTP request by the development chain and by the miner's web listener. A page of another site cannot
//! have the browser ask on its behalf (its `Origin` is told), nor by a name of its own that it points here (the `Host`
//! is that name). A page of this machine on another port may: the daemon's page asks the chain so. A public listener answers everybody:
//! what it says and takes is everybody's.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Names of this machine as they stand in front of a port.
const LOCAL_NAMES: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// By which names a listener may be asked, and by pages of which, beside those of this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    is_public: bool,
    /// It listens on every address that the machine has.
    on_all_addresses: bool,
    /// In small letters, addresses without brackets.
    names: Vec<String>,
}

impl Access {
    /// For whoever asks, by whatever name and from whatever page.
    pub fn public() -> Self {
        Self {
            is_public: true,
            ..Self::default()
        }
    }

    /// Of a listener on these addresses, which is also known by `names`.
    pub fn of(bound: impl IntoIterator<Item = SocketAddr>, names: impl IntoIterator<Item = String>) -> Self {
        let mut access = Self::default();
        for name in names {
            access.names.push(bare(&name).to_ascii_lowercase());
        }
        for address in bound {
            match address.ip().is_unspecified() {
                true => access.on_all_addresses = true,
                false => access.names.push(address.ip().to_string()),
            }
        }
        access
    }

    /// Whether everybody is answered.
    pub fn is_public(&self) -> bool {
        self.is_public
    }

    /// Whether a request with this `Host` is answered. An address cannot be made to point elsewhere, so that a listener on all of
    /// them takes any.
    pub fn admits_host(&self, host: &str) -> bool {
        let is_address = |name: &str| name.parse().is_ok_and(|ip: IpAddr| !ip.is_unspecified());
        let of_name = |name: &str| self.knows(name) || self.on_all_addresses && is_address(name);
        self.is_public || host_is_local(host) || name_of(host).is_some_and(of_name)
    }

    /// Whether a page of this `Origin` may ask where the request's `Host` is `host`: one of this machine, of a known name, or of the
    /// very host that it asks.
    pub fn admits_origin(&self, origin: &str, host: &str) -> bool {
        let page = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        let page = page.and_then(name_of);
        let is_own = |page: &str| self.knows(page) || name_of(host).is_some_and(|host| host.eq_ignore_ascii_case(page));
        self.is_public || origin_is_local(origin) || page.is_some_and(is_own)
    }

    fn knows(&self, name: &str) -> bool {
        self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// What stands in front of the port of a `Host`, an address of IPv6 with its brackets; nothing where that is none.
pub fn without_port(host: &str) -> Option<&str> {
    let end = match host.strip_prefix('[') {
        // Both brackets belong to the name.
        Some(rest) => rest.find(']')?.checked_add(2)?,
        None => host.find(':').unwrap_or(host.len()),
    };
    let (name, port) = host.split_at_checked(end)?;
    (!name.is_empty() && is_port(port)).then_some(name)
}

/// The same without brackets.
fn name_of(host: &str) -> Option<&str> {
    without_port(host).map(bare)
}

fn bare(name: &str) -> &str {
    name.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(name)
}

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

    fn access(bound: &[&str], names: &[&str]) -> Access {
        let bound = bound.iter().map(|address| address.parse().unwrap());
        Access::of(bound, names.iter().map(ToString::to_string))
    }

    #[test]
    fn a_listener_is_asked_by_its_addresses_and_by_the_names_that_its_operator_gave() {
        let access = access(&["192.0.2.7:4403", "[2001:db8::1]:4403"], &["Chain.example.org"]);
        for host in [
            "127.0.0.1",
            "192.0.2.7:4403",
            "[2001:db8::1]:4403",
            "chain.example.org",
            "CHAIN.example.org:443",
        ] {
            assert!(access.admits_host(host), "{host}");
        }
        for host in [
            "192.0.2.8:4403",
            "[2001:db8::2]",
            "example.org",
            "chain.example.org.evil.example",
            "chain.example.org:x",
            "",
        ] {
            assert!(!access.admits_host(host), "{host}");
        }
        assert!(access.admits_origin("https://chain.example.org", "192.0.2.7"));
        for origin in ["https://evil.example", "null", "http://192.0.2.8", "chain.example.org"] {
            assert!(!access.admits_origin(origin, "192.0.2.7"), "{origin}");
        }
    }

    #[test]
    fn a_listener_on_all_addresses_is_asked_by_any_address_but_by_no_other_name_and_by_pages_of_that_address() {
        let access = access(&["0.0.0.0:4400"], &[]);
        for host in ["192.0.2.7:4400", "[2001:db8::1]:4400", "localhost:1"] {
            assert!(access.admits_host(host), "{host}");
        }
        for host in ["evil.example:4400", "0.0.0.0:4400", "[::]:4400"] {
            assert!(!access.admits_host(host), "{host}");
        }
        assert!(access.admits_origin("http://192.0.2.7:4400", "192.0.2.7:4403"));
        assert!(
            !access.admits_origin("http://192.0.2.8:4400", "192.0.2.7:4403"),
            "a page of elsewhere"
        );
    }

    #[test]
    fn a_public_listener_is_asked_by_everybody() {
        let access = Access::public();
        assert!(access.admits_host("any.example") && access.admits_origin("https://any.example", "any.example"));
        assert!(
            access.admits_origin("null", "any.example"),
            "a page in a frame or of a file"
        );
    }
}
