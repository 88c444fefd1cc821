//! WebSockets of the browser as a libp2p transport.
//!
//! Stands in for `libp2p-websocket-websys` 0.6, which wakes a blocked writer only every 100 ms (pushing crawls), and does
//! not report a refused dial (it hangs). It goes away when those are fixed upstream. Differences: a dial has a time limit
//! and says why it failed; the bytes go through a [`Pipe`].

use crate::clock;
use crate::pipe::{Held, Limits, Pipe};
use futures::future::{poll_fn, Ready};
use futures::prelude::*;
use libp2p::core::transport::{DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::multiaddr::{Multiaddr, Protocol};
use send_wrapper::SendWrapper;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use web_sys::WebSocket;

/// Longest wait for a dial, in milliseconds.
pub const DIAL_LIMIT: i32 = 15_000;
/// Messages are as long as yamux makes them.
const LIMITS: Limits = Limits {
    message: usize::MAX,
    queued: 4 << 20,
    linger: 0,
};

/// Dials `/ip4|ip6|dns…/…/tcp/…/ws|wss|tls/ws` addresses; cannot listen.
#[derive(Debug, Default)]
pub struct Transport;

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    #[error("the browser refuses to open {url}: {reason}")]
    Forbidden { url: String, reason: String },
    #[error("{url} refused the connection or cannot be reached")]
    Refused { url: String },
    #[error("{url} did not answer within {} seconds", DIAL_LIMIT / 1000)]
    Timeout { url: String },
}

/// The URL of an address that this transport can dial.
pub fn url_of(address: &Multiaddr) -> Option<String> {
    let mut parts = address.iter();
    let host = match parts.next()? {
        Protocol::Ip4(ip) => ip.to_string(),
        Protocol::Ip6(ip) => format!("[{ip}]"),
        Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) => name.to_string(),
        _ => return None,
    };
    let Protocol::Tcp(port) = parts.next()? else {
        return None;
    };
    let (scheme, path) = match (parts.next()?, parts.next()) {
        (Protocol::Ws(path), _) => ("ws", path),
        (Protocol::Wss(path), _) | (Protocol::Tls, Some(Protocol::Ws(path))) => ("wss", path),
        _ => return None,
    };
    Some(format!("{scheme}://{host}:{port}{path}"))
}

impl libp2p::core::Transport for Transport {
    type Output = Pipe;
    type Error = DialError;
    type ListenerUpgrade = Ready<Result<Pipe, DialError>>;
    type Dial = Pin<Box<dyn Future<Output = Result<Pipe, DialError>> + Send>>;

    fn listen_on(&mut self, _: ListenerId, address: Multiaddr) -> Result<(), TransportError<DialError>> {
        Err(TransportError::MultiaddrNotSupported(address))
    }

    fn remove_listener(&mut self, _: ListenerId) -> bool {
        false
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<Self::Dial, TransportError<DialError>> {
        match url_of(&address) {
            Some(url) if !options.role.is_listener() => Ok(SendWrapper::new(open(url)).boxed()),
            _ => Err(TransportError::MultiaddrNotSupported(address)),
        }
    }

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, DialError>> {
        Poll::Pending
    }
}

async fn open(url: String) -> Result<Pipe, DialError> {
    let socket = WebSocket::new(&url).map_err(|error| {
        let reason = crate::error::ClientError::text_of(&error);
        DialError::Forbidden {
            url: url.clone(),
            reason,
        }
    })?;
    let pipe = Pipe::new(socket, LIMITS, &Rc::new(Held::default()));
    match clock::within(DIAL_LIMIT, poll_fn(|cx| pipe.poll_open(cx))).await {
        Some(Ok(())) => Ok(pipe),
        Some(Err(_)) => Err(DialError::Refused { url }),
        None => Err(DialError::Timeout { url }),
    }
}
