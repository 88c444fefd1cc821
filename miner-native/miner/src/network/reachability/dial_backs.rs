//! Which addresses the host dials because a peer asked it to (AutoNAT v2): a rule and its limits.
//!
//! A peer that has a node dial for it can look around in that node's network, or have many nodes dial one victim. libp2p's server
//! asks for some tens of kilobytes before it dials an address other than the one that the peer comes from, and has no other limit.

use super::super::advertised::Reach;
use super::super::origin::Origin;
use super::is_dialled;
use libp2p::multiaddr::Protocol;
use libp2p::Multiaddr;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Dials for peers that are under way at once, with the connections that came of them, which live for some seconds: three or four
/// miners that ask about all their addresses at one time. A miner that is refused takes it for an address that is not reached.
pub(super) const AT_ONCE: usize = 16;
/// Dials for one address that asks, in [`PERIOD`]: a miner's listeners on a few interfaces, twice.
pub(super) const OF_AN_ORIGIN: usize = 24;
/// Dials for all, in [`PERIOD`].
pub(super) const IN_ALL: usize = 120;
/// What the numbers are for.
pub(super) const PERIOD: Duration = Duration::from_secs(600);

/// Why a dial is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the peer that asks is not connected")]
    Stranger,
    #[error("it is not one address with an IP that a host dials")]
    Form,
    #[error("it is of a network that the peer that asks is not in")]
    Network,
    #[error("enough is dialled for others at the moment")]
    Busy,
    #[error("enough was dialled for that peer's address")]
    Origin,
    #[error("enough was dialled for all")]
    All,
}

/// Whether a peer that comes from `requester` may have `target` dialled. A public address for anybody, whom libp2p makes pay for it in
/// bytes; one of this machine or of the local network only for who comes from that very address. No names: what they lead to is found
/// after the rule.
pub(super) fn may_dial(requester: IpAddr, target: &Multiaddr) -> Result<(), Refusal> {
    let ip = match target.iter().next() {
        Some(Protocol::Ip4(ip)) => IpAddr::V4(ip),
        Some(Protocol::Ip6(ip)) => IpAddr::V6(ip),
        _ => return Err(Refusal::Form),
    };
    // No relays, and no path of the peer's choosing in a request of HTTP.
    if !is_dialled(target) {
        return Err(Refusal::Form);
    }
    match Reach::of_ip(ip) {
        Reach::Public => Ok(()),
        Reach::Private | Reach::Loopback if ip.to_canonical() == requester.to_canonical() => Ok(()),
        Reach::Private | Reach::Loopback | Reach::Nowhere => Err(Refusal::Network),
    }
}

/// What was dialled for others lately.
#[derive(Debug, Default)]
pub(super) struct DialBacks {
    under_way: usize,
    lately: VecDeque<(Instant, Origin)>,
}

impl DialBacks {
    /// Takes a dial in for who comes from `origin`; [`DialBacks::ended`] follows.
    pub fn begin(&mut self, origin: Origin, now: Instant) -> Result<(), Refusal> {
        let is_old = |at: &Instant| now.duration_since(*at) > PERIOD;
        while self.lately.front().is_some_and(|(at, _)| is_old(at)) {
            self.lately.pop_front();
        }
        if self.under_way >= AT_ONCE {
            return Err(Refusal::Busy);
        }
        if self.lately.len() >= IN_ALL {
            return Err(Refusal::All);
        }
        let of_origin = self.lately.iter().filter(|(_, other)| *other == origin);
        if of_origin.count() >= OF_AN_ORIGIN {
            return Err(Refusal::Origin);
        }
        self.under_way += 1;
        self.lately.push_back((now, origin));
        Ok(())
    }

    /// A dial that began has ended.
    pub fn ended(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(requester: &str, target: &str) -> Result<(), Refusal> {
        may_dial(
            requester.parse().expect("an IP address"),
            &target.parse().expect("a multiaddr"),
        )
    }

    #[test]
    fn private_addresses_are_never_dialled_for_a_public_peer() {
        for target in [
            "/ip4/127.0.0.1/tcp/22",
            "/ip4/10.0.0.1/tcp/80",
            "/ip4/192.168.1.1/udp/53/quic-v1",
            "/ip4/169.254.169.254/tcp/80",
            "/ip4/100.64.0.1/tcp/1",
            "/ip4/0.0.0.0/tcp/1",
            "/ip4/224.0.0.1/udp/1/quic-v1",
            "/ip6/::1/tcp/22",
            "/ip6/fd00::1/tcp/22",
            "/ip6/fe80::1/tcp/22",
            "/ip6/::ffff:10.0.0.1/tcp/22",
        ] {
            assert_eq!(rule("9.8.7.6", target), Err(Refusal::Network), "{target}");
        }
        assert_eq!(rule("9.8.7.6", "/ip4/9.8.7.6/tcp/1"), Ok(()));
        assert_eq!(rule("9.8.7.6", "/ip6/2600:db::1/tcp/1"), Ok(()));
    }

    #[test]
    fn a_private_peer_has_its_own_address_dialled_and_no_other() {
        assert_eq!(rule("10.0.0.1", "/ip4/10.0.0.1/tcp/4401"), Ok(()));
        assert_eq!(rule("::ffff:10.0.0.1", "/ip4/10.0.0.1/tcp/4401"), Ok(()));
        assert_eq!(rule("10.0.0.1", "/ip4/10.0.0.2/tcp/4401"), Err(Refusal::Network));
        assert_eq!(rule("10.0.0.1", "/ip4/127.0.0.1/tcp/4401"), Err(Refusal::Network));
        assert_eq!(rule("127.0.0.1", "/ip4/127.0.0.1/tcp/4401"), Ok(()));
        assert_eq!(rule("10.0.0.1", "/ip4/9.8.7.6/tcp/4401"), Ok(()));
    }

    #[test]
    fn names_and_relays_are_not_dialled() {
        assert_eq!(rule("9.8.7.6", "/dns4/localhost/tcp/22"), Err(Refusal::Form));
        assert_eq!(rule("9.8.7.6", "/ip4/9.8.7.6/tcp/1/p2p-circuit"), Err(Refusal::Form));
        let with_path = "/ip4/9.8.7.6/tcp/80/x-parity-ws/a%20HTTP%2f1.1%0d%0a%0d%0aDELETE%20%2f";
        assert_eq!(rule("9.8.7.6", with_path), Err(Refusal::Form));
    }

    #[test]
    fn dials_for_others_are_few_at_once_for_each_and_for_all() {
        let (mut backs, now) = (DialBacks::default(), Instant::now());
        let origin = |n: usize| Origin::of(&format!("/ip4/9.8.7.{n}/tcp/1").parse().expect("a multiaddr"));
        for _ in 0..AT_ONCE {
            assert_eq!(backs.begin(origin(1), now), Ok(()));
        }
        assert_eq!(backs.begin(origin(2), now), Err(Refusal::Busy));
        for _ in 0..AT_ONCE {
            backs.ended();
        }
        let mut one = |n: usize, at: Instant| {
            let begun = backs.begin(origin(n), at);
            if begun.is_ok() {
                backs.ended();
            }
            begun
        };
        for _ in AT_ONCE..OF_AN_ORIGIN {
            assert_eq!(one(1, now), Ok(()));
        }
        assert_eq!(one(1, now), Err(Refusal::Origin));
        for n in 0..IN_ALL - OF_AN_ORIGIN {
            assert_eq!(one(2 + n % 100, now), Ok(()));
        }
        assert_eq!(one(200, now), Err(Refusal::All));
        let later = now + PERIOD + Duration::from_secs(1);
        assert_eq!(one(1, later), Ok(()), "what is past does not count");
    }
}
