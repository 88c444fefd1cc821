//! By which URL others come to what listens here: by `https` where there is a certificate, since plain HTTP is then for this machine
//! alone, and by the first name that the operator gave.
//!
//! Called when the daemon has its addresses; the greeting and the link to the page show them. Programs of this machine keep to the
//! plain URL of a loopback address, which no certificate names.

use super::Listen;
use std::net::{IpAddr, SocketAddr};

/// The URL without a path; `None` where nobody else comes: nothing but loopback is listened on, or all addresses without a name, of
/// which nobody here knows which one others have.
pub(super) fn url(bound: &[SocketAddr], listen: &Listen, has_tls: bool) -> Option<String> {
    let mut open = bound.iter().filter(|address| !address.ip().is_loopback());
    let first = open.clone().next()?;
    let scheme = match has_tls {
        true => "https",
        false => "http",
    };
    let named = listen.hosts.iter().find(|name| !is_of_this_machine(name));
    let authority = match named {
        Some(name) => match name.parse() {
            Ok(ip) => SocketAddr::new(ip, first.port()).to_string(),
            Err(_) => format!("{name}:{}", first.port()),
        },
        None => open.find(|address| !address.ip().is_unspecified())?.to_string(),
    };
    Some(format!("{scheme}://{authority}"))
}

fn is_of_this_machine(name: &str) -> bool {
    name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bound: &[&str], hosts: &[&str], has_tls: bool) -> Option<String> {
        let bound: Vec<SocketAddr> = bound.iter().map(|text| text.parse().expect("an address")).collect();
        let hosts = hosts.iter().map(|name| (*name).to_owned()).collect();
        let addresses = bound.clone();
        url(&bound, &Listen { addresses, hosts }, has_tls)
    }

    #[test]
    fn others_come_by_tls_where_there_is_a_certificate_and_by_the_name_that_was_given() {
        let is = |found: Option<String>, expected: &str| assert_eq!(found.as_deref(), Some(expected));
        let both = ["127.0.0.1:4400", "192.0.2.7:4401"];
        is(shown(&both, &["storage.example"], true), "https://storage.example:4401");
        is(
            shown(&["0.0.0.0:4400"], &["localhost", "::1", "storage.example"], true),
            "https://storage.example:4400",
        );
        is(shown(&both, &[], true), "https://192.0.2.7:4401");
        is(shown(&["[::]:1"], &["2001:db8::1"], true), "https://[2001:db8::1]:1");
        is(shown(&both, &["storage.example"], false), "http://storage.example:4401");
    }

    #[test]
    fn what_nobody_else_reaches_or_nobody_knows_the_name_of_has_no_url_for_others() {
        assert_eq!(shown(&["127.0.0.1:1", "[::1]:1"], &["storage.example"], true), None);
        assert_eq!(shown(&["0.0.0.0:1"], &[], true), None);
    }
}
