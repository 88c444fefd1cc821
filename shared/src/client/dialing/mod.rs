//! Which of a miner's addresses a client dials, in which order, and why not the others.
//!
//! Called by every client before it dials ([`plan`]), and for showing how a miner is reached ([`Route`]). A miner announces one
//! address for each transport and network interface; a browser slows a page down whose dials fail (nine failures, three
//! seconds), and never says why one did. So what cannot work is left out with its reason, and few are dialled, the best first:
//!
//! 1. what the browser's user need not be asked for, before what the user is asked for;
//! 2. what has not just failed ([`Failures`]), before what has;
//! 3. WebTransport, secure WebSocket, WebSocket; WebRTC last, since it carries a tenth, but needs no permission;
//! 4. the nearest address: whoever reads a page of this machine has its miner most likely here, too. But the best one of this
//!    machine, of the local network and of everywhere are all among the first: a machine may have many networks of its own.
//!
//! A program has TCP and QUIC, and nobody stands in its way. Next: the host dials the plan's addresses, one a moment after the
//! other ([`HEAD_START_MS`]), and keeps the first connection.

mod address;
mod failures;
mod obstacle;
mod page;
mod route;
#[cfg(test)]
mod tests;

pub use address::{DialAddress, HttpAddress, Reach, Transport, MAX_ADDRESS};
pub use failures::{Failures, MAX_FAILURES};
pub use obstacle::Obstacle;
pub use page::{Page, Permission};
pub use route::{Route, RouteAddress, Standing};

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// Addresses that a page dials at once, at most: after some failures a browser makes the next dial wait.
pub const MAX_DIALS: usize = 4;
/// Addresses that a program dials at once, at most: each is a socket, and a hostile record may name as many as it likes.
pub const MAX_PROGRAM_DIALS: usize = 8;
/// Addresses of a miner that are looked at, at most: more than its listeners and interfaces make are of no use.
pub const MAX_ADDRESSES: usize = 64;
/// Milliseconds that an address gets before the next one is dialled, too, unless it fails before. More than a handshake takes on
/// nearly all paths: what is waited for once makes a connection of hours three times as fast.
pub const HEAD_START_MS: u64 = 1_000;

/// What dials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialer {
    /// The transports that it has.
    pub transports: Vec<Transport>,
    /// The page that it is part of; `None` for a program.
    pub page: Option<Page>,
}

impl Dialer {
    /// A program: TCP and QUIC, from anywhere.
    pub fn program() -> Self {
        Self {
            transports: Vec::from([Transport::Tcp, Transport::Quic]),
            page: None,
        }
    }
}

/// An address that is dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub address: String,
    pub transport: Transport,
    /// Whether the browser asks its user first.
    pub asks: bool,
}

/// An address that is not, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    pub address: String,
    /// `None` where it cannot be told.
    pub transport: Option<Transport>,
    pub obstacle: Obstacle,
}

/// What to do with the addresses of a miner.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// To be dialled, in this order.
    pub dial: Vec<Candidate>,
    pub left_out: Vec<LeftOut>,
}

impl Plan {
    /// The reason that tells most, where nothing can be dialled: what its user can change comes first.
    pub fn obstacle(&self) -> Option<Obstacle> {
        self.left_out.iter().map(|left| left.obstacle).min()
    }
}

/// Decides which `addresses` of `peer` to dial. Of two that lead to the same listener with different certificates the first
/// counts, so what was heard last (the chain's directory) stands before what is older (a link).
pub fn plan<'a>(
    dialer: &Dialer,
    peer: &str,
    addresses: impl IntoIterator<Item = &'a str>,
    failures: &Failures,
    now_ms: u64,
) -> Plan {
    let mut plan = Plan::default();
    let mut good: Vec<(DialAddress, &str)> = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for text in addresses.into_iter().take(MAX_ADDRESSES) {
        // What is asked over HTTP is not dialled, and nothing is wrong with it.
        if seen.contains(&text) || HttpAddress::parse(text).is_some() {
            continue;
        }
        seen.push(text);
        let read = DialAddress::parse(text);
        let transport = read.as_ref().ok().map(|read| read.transport);
        let known = |read: &DialAddress| good.iter().any(|(other, _)| other.is_same_place(read));
        let obstacle = match &read {
            Err(obstacle) => Some(*obstacle),
            Ok(read) => obstacle(dialer, peer, read).or_else(|| known(read).then_some(Obstacle::OutdatedCertificate)),
        };
        match (read, obstacle) {
            (Ok(read), None) => good.push((read, text)),
            (_, obstacle) => plan.leave(text, transport, obstacle.unwrap_or(Obstacle::Malformed)),
        }
    }
    let lately = |text: &str| failures.is_fresh(text, now_ms);
    good.sort_by_key(|(read, text)| order(dialer, read, lately(text)));
    let most = if dialer.page.is_some() {
        MAX_DIALS
    } else {
        MAX_PROGRAM_DIALS
    };
    for (read, text) in best_of_each_reach_first(dialer, good, lately) {
        let fails = lately(text);
        if plan.dial.len() >= most {
            let obstacle = if fails {
                Obstacle::FailedLately
            } else {
                Obstacle::Surplus
            };
            plan.leave(text, Some(read.transport), obstacle);
            continue;
        }
        plan.dial.push(Candidate {
            asks: needs(dialer, &read) == Permission::Prompt,
            address: text.to_owned(),
            transport: read.transport,
        });
    }
    plan
}

impl Plan {
    fn leave(&mut self, address: &str, transport: Option<Transport>, obstacle: Obstacle) {
        // What cannot be read may be of any length, and is only shown.
        let address = address.chars().take(MAX_ADDRESS).collect();
        self.left_out.push(LeftOut {
            address,
            transport,
            obstacle,
        });
    }
}

/// Why an address cannot work from here.
fn obstacle(dialer: &Dialer, peer: &str, read: &DialAddress) -> Option<Obstacle> {
    if read.peer.as_ref().is_some_and(|named| named != peer) {
        return Some(Obstacle::OtherPeer);
    }
    if let Some(page) = &dialer.page {
        if !read.transport.is_of_browsers() {
            return Some(Obstacle::Unsupported);
        }
        if let Some(obstacle) = page.refuses(read.transport, read.reach) {
            return Some(obstacle);
        }
    }
    if !dialer.transports.contains(&read.transport) {
        // All browsers have WebSockets; not all can hand data channels over to the worker that dials.
        let is_browsers =
            dialer.page.is_some() && matches!(read.transport, Transport::WebTransport | Transport::WebRtcDirect);
        return Some(if is_browsers {
            Obstacle::MissingApi
        } else {
            Obstacle::Unsupported
        });
    }
    let is_numeric = read.host.parse::<core::net::IpAddr>().is_ok();
    match read.transport {
        // Authorities certify names; whoever has one of its own says so in the address.
        Transport::WebTransport if read.hashes == 0 && is_numeric => Some(Obstacle::NoCertificateHash),
        Transport::WebRtcDirect if read.hashes == 0 => Some(Obstacle::NoCertificateHash),
        // The page writes down what the listener would answer: with its IP address and its one certificate.
        Transport::WebRtcDirect if read.hashes > 1 || !is_numeric => Some(Obstacle::Unsupported),
        _ => None,
    }
}

/// The permission that an address needs.
fn needs(dialer: &Dialer, read: &DialAddress) -> Permission {
    let page = dialer.page.as_ref();
    page.map_or(Permission::Granted, |page| page.permission(read.transport, read.reach))
}

/// What decides most: whether an address has just failed, is the last resort, or makes the browser ask.
fn class(dialer: &Dialer, read: &DialAddress, fails: bool) -> impl Ord {
    let is_last_resort = read.transport == Transport::WebRtcDirect;
    (fails, is_last_resort, needs(dialer, read) == Permission::Prompt)
}

/// Within each class, brings the best address of each reach to the front, then the second best of each; else keeps the order.
fn best_of_each_reach_first<'a>(
    dialer: &Dialer,
    sorted: Vec<(DialAddress, &'a str)>,
    lately: impl Fn(&str) -> bool,
) -> Vec<(DialAddress, &'a str)> {
    let mut earlier: BTreeMap<Reach, usize> = BTreeMap::new();
    let mut ranked: Vec<_> = sorted
        .into_iter()
        .map(|(read, text)| {
            let before = earlier.entry(read.reach).or_default();
            let rank = *before;
            *before = before.saturating_add(1);
            (rank, read, text)
        })
        .collect();
    ranked.sort_by_key(|(rank, read, text)| (class(dialer, read, lately(text)), *rank));
    ranked.into_iter().map(|(_, read, text)| (read, text)).collect()
}

/// What comes first is dialled first.
fn order(dialer: &Dialer, read: &DialAddress, fails: bool) -> impl Ord {
    let home = dialer.page.as_ref().map_or(Reach::Loopback, |page| page.reach);
    // From a page of the local network this machine's own addresses are another machine's most likely, so last.
    let distance = match read.reach >= home {
        true => read.reach as u8,
        false => 3_u8.saturating_sub(read.reach as u8).saturating_add(3),
    };
    let is_v6 = read.host.contains(':');
    (class(dialer, read, fails), read.transport, distance, is_v6)
}
