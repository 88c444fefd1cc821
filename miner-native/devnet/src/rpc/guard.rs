//! Who is answered at all, before anything of a request is read: the `Host` and the page that it comes from ([`Access`]),
//! a length that is known, and the share of requests and sockets of each address.
//!
//! Programs of this machine have one address for all of them, so that a share of requests would let one shut the others out;
//! they wait for their turn instead ([`super::MAX_AT_WORK`]). Their sockets are counted like others'.

use super::{reply, Server};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{header, HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use sealdrop_listener::Remote;
use shared::access::{network_of, Access};
use shared::chain::rpc::{code, ErrorObject};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Requests that an address may make at once, after it was silent.
pub const BURST: u32 = 400;
/// Time in which an address may make one more: 100 a second. A page asks some ten times a second when much happens.
const ONE_MORE: Duration = Duration::from_millis(10);
/// What a costly request counts for, in requests: it may have a proof verified or a whole state read, which takes as long as so
/// many answers.
pub const COSTLY: u32 = 20;
/// Most connections of one address at `/ws`: a quarter of all.
pub const SOCKETS_PER_ADDRESS: usize = super::socket::MAX_SOCKETS / 4;
/// Most addresses remembered; while all of them are in use, others are refused.
pub const MAX_ADDRESSES: usize = 4096;

/// Why a request is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("this chain is not known by that name: ask it by 127.0.0.1, localhost, an address that it listens on, or a name of its chain.hosts")]
    Host,
    #[error("this chain serves pages of its own machine and names, and this page is of another site; its operator may make it public (chain.public)")]
    Origin,
    #[error("send the request with its Content-Length, and without Transfer-Encoding")]
    Length,
    #[error("this address asks too often: at most {BURST} requests at once, and 100 a second; ask again in a second")]
    TooOften,
    #[error("this address has {SOCKETS_PER_ADDRESS} connections: close some")]
    Sockets,
    #[error("too many addresses ask at once: try again in a minute")]
    Addresses,
}

impl Refused {
    pub fn response(self) -> Response {
        let (status, code) = match self {
            Self::Host | Self::Origin => (StatusCode::FORBIDDEN, code::FORBIDDEN),
            Self::Length => (StatusCode::LENGTH_REQUIRED, code::REQUEST),
            Self::TooOften => (StatusCode::TOO_MANY_REQUESTS, code::BUSY),
            Self::Sockets | Self::Addresses => (StatusCode::SERVICE_UNAVAILABLE, code::BUSY),
        };
        let error = ErrorObject::new(code, self);
        let mut response = reply(status, &crate::answer::failure(serde_json::Value::Null, &error));
        if self == Self::TooOften {
            response.headers_mut().insert(header::RETRY_AFTER, 1.into());
        }
        if self == Self::Length {
            // What is left of the body must not be read as a request.
            let close = header::HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }
}

/// Lets a request through, or refuses it.
pub(super) async fn guard(
    State(server): State<Server>,
    ConnectInfo(Remote(from)): ConnectInfo<Remote>,
    request: Request,
    next: Next,
) -> Response {
    let checked =
        check(&server.access, request.headers()).and_then(|()| server.addresses.ask(from.ip(), Instant::now()));
    match checked {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.response(),
    }
}

/// What the headers must say.
fn check(access: &Access, headers: &HeaderMap) -> Result<(), Refused> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let Some(host) = text(header::HOST).filter(|host| access.admits_host(host)) else {
        return Err(Refused::Host);
    };
    if text(header::ORIGIN).is_some_and(|origin| !access.admits_origin(origin, host)) {
        return Err(Refused::Origin);
    }
    // Beside a Content-Length it is an old way to have two servers read two different requests. hyper goes by the
    // Transfer-Encoding and hides the length when that comes second, so the pair is told by this one alone.
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Refused::Length);
    }
    Ok(())
}

/// What the addresses that ask have used of their shares.
#[derive(Clone, Default)]
pub(super) struct Addresses(Arc<Mutex<BTreeMap<IpAddr, Used>>>);

struct Used {
    /// When all of it is free again.
    free_at: Instant,
    sockets: usize,
}

impl Addresses {
    /// Counts a request.
    pub fn ask(&self, from: IpAddr, now: Instant) -> Result<(), Refused> {
        self.charge(from, 1, now)
    }

    /// Counts what is worth so many requests.
    pub fn charge(&self, from: IpAddr, requests: u32, now: Instant) -> Result<(), Refused> {
        if from.to_canonical().is_loopback() {
            return Ok(());
        }
        let mut all = self.lock();
        let used = entry(&mut all, from, now)?;
        let free_at = used.free_at.max(now) + ONE_MORE * requests;
        if free_at > now + ONE_MORE * BURST {
            return Err(Refused::TooOften);
        }
        used.free_at = free_at;
        Ok(())
    }

    /// Counts a connection that stays, for as long as the result lives.
    pub fn connect(&self, from: IpAddr, now: Instant) -> Result<Connected, Refused> {
        let mut all = self.lock();
        let used = entry(&mut all, from, now)?;
        if used.sockets >= SOCKETS_PER_ADDRESS {
            return Err(Refused::Sockets);
        }
        used.sockets += 1;
        Ok(Connected {
            all: self.clone(),
            from: network_of(from),
        })
    }

    /// A panic while the lock was held leaves whole counts: each changes by one assignment.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<IpAddr, Used>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The counts of an address; those of addresses that are silent again make room.
fn entry(all: &mut BTreeMap<IpAddr, Used>, from: IpAddr, now: Instant) -> Result<&mut Used, Refused> {
    let from = network_of(from);
    if all.len() >= MAX_ADDRESSES && !all.contains_key(&from) {
        all.retain(|_, used| used.sockets > 0 || used.free_at > now);
        if all.len() >= MAX_ADDRESSES {
            return Err(Refused::Addresses);
        }
    }
    let (free_at, sockets) = (now, 0);
    Ok(all.entry(from).or_insert(Used { free_at, sockets }))
}

/// A connection that is counted.
pub(super) struct Connected {
    all: Addresses,
    from: IpAddr,
}

impl Drop for Connected {
    fn drop(&mut self) {
        if let Some(used) = self.all.lock().get_mut(&self.from) {
            used.sockets = used.sockets.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("it is an address")
    }

    #[test]
    fn an_address_has_its_share_of_requests_and_gets_more_with_time() {
        let (all, now, from) = (Addresses::default(), Instant::now(), address("192.0.2.1"));
        for _ in 0..BURST {
            assert_eq!(all.ask(from, now), Ok(()));
        }
        assert_eq!(all.ask(from, now), Err(Refused::TooOften));
        assert_eq!(all.ask(address("192.0.2.2"), now), Ok(()), "others have theirs");
        assert_eq!(all.ask(from, now + ONE_MORE), Ok(()));
        assert_eq!(all.ask(from, now + ONE_MORE), Err(Refused::TooOften));
        for _ in 0..=BURST {
            assert_eq!(
                all.ask(address("127.0.0.1"), now),
                Ok(()),
                "programs of this machine share one"
            );
        }
    }

    #[test]
    fn a_costly_request_counts_for_many() {
        let (all, now, from) = (Addresses::default(), Instant::now(), address("192.0.2.1"));
        for _ in 0..BURST / COSTLY {
            assert_eq!(all.charge(from, COSTLY, now), Ok(()));
        }
        assert_eq!(all.ask(from, now), Err(Refused::TooOften));
    }

    #[test]
    fn a_network_of_version_6_is_one_address() {
        let (all, now) = (Addresses::default(), Instant::now());
        for number in 0..BURST {
            assert_eq!(all.ask(address(&format!("2001:db8:0:1::{number:x}")), now), Ok(()));
        }
        assert_eq!(all.ask(address("2001:db8:0:1:ffff::"), now), Err(Refused::TooOften));
        assert_eq!(all.ask(address("2001:db8:0:2::"), now), Ok(()));
        for _ in 0..=BURST {
            let mapped = address("::ffff:127.0.0.1");
            assert_eq!(all.ask(mapped, now), Ok(()), "this machine, written as version 6");
        }
    }

    #[test]
    fn a_bounded_number_of_addresses_is_remembered_and_silent_ones_make_room() {
        let (all, now) = (Addresses::default(), Instant::now());
        for number in 0..MAX_ADDRESSES as u32 {
            assert_eq!(all.ask(IpAddr::V4((0x0a00_0000 + number).into()), now), Ok(()));
        }
        let late = address("192.0.2.1");
        assert_eq!(all.ask(late, now), Err(Refused::Addresses));
        assert_eq!(all.ask(late, now + ONE_MORE), Ok(()));
        assert_eq!(all.lock().len(), 1);
    }

    #[test]
    fn a_length_that_is_told_in_two_ways_is_refused() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, header::HeaderValue::from_static("127.0.0.1:1"));
        assert_eq!(check(&Access::default(), &headers), Ok(()));
        headers.insert(header::TRANSFER_ENCODING, header::HeaderValue::from_static("chunked"));
        assert_eq!(check(&Access::default(), &headers), Err(Refused::Length));
    }
}
