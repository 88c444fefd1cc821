//! The transport: listens where it is told, changes certificates when it is time, and dials nobody.
//!
//! Certificates change for all listeners at once, after the new ones are on the disk. When they cannot be written, the old ones stay
//! in use, the listeners report the error, and it is tried again after a minute.

use crate::certificates::{CertificateError, Certificates};
use crate::connection::Connection;
use crate::listener::Listener;
use crate::window::{Unlimited, WindowBudget, INITIAL_WINDOW};
use futures::future::BoxFuture;
use futures::stream::SelectAll;
use futures::{FutureExt, StreamExt};
use libp2p_core::multiaddr::Protocol;
use libp2p_core::transport::{DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p_core::Multiaddr;
use libp2p_identity::{Keypair, PeerId};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// How long a handshake may take by default: a few round trips, also over a slow line.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// When it is tried again to change certificates that could not be written.
const RETRY: Duration = Duration::from_secs(60);

/// Why something failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing can listen there.
    #[error(transparent)]
    Listen(io::Error),
    /// The certificates are missing, or cannot be changed.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The QUIC connection failed.
    #[error("the QUIC connection failed: {0}")]
    Connection(quinn::ConnectionError),
    /// HTTP/3 or the request for a session failed.
    #[error("the WebTransport session was not set up: {0}")]
    Session(web_transport_quinn::ServerError),
    /// A session was asked for that is not libp2p's.
    #[error("the request was for something other than libp2p")]
    Path,
    /// The streams of a session failed.
    #[error("the session failed: {0}")]
    Stream(#[from] io::Error),
    /// The other side did not show who it is.
    #[error("the Noise handshake failed: {0}")]
    Noise(libp2p_noise::Error),
    /// The handshake took longer than [`Config::handshake_limit`].
    #[error("the handshake took too long")]
    TooSlow,
}

impl Error {
    /// What the system said, where it was the system; everything else as its text.
    #[must_use]
    pub fn into_io(self) -> io::Error {
        match self {
            Self::Listen(error) | Self::Stream(error) => error,
            other => io::Error::other(other),
        }
    }
}

pub(crate) type Upgrade = BoxFuture<'static, Result<(PeerId, Connection), Error>>;

/// Who listens, and what dialers may take.
pub struct Config {
    key: Keypair,
    handshake_limit: Duration,
    budget: Arc<dyn WindowBudget>,
}

impl Config {
    /// With the usual limits: 10 seconds for a handshake, 8 MiB unread of a connection, as many connections as come.
    #[must_use]
    pub fn new(key: &Keypair) -> Self {
        Self {
            key: key.clone(),
            handshake_limit: HANDSHAKE_LIMIT,
            budget: Arc::new(Unlimited),
        }
    }

    /// How long a handshake may take, from the first packet to the peer's identity.
    #[must_use]
    pub fn handshake_limit(mut self, limit: Duration) -> Self {
        self.handshake_limit = limit;
        self
    }

    /// From what windows are taken beyond the initial one.
    #[must_use]
    pub fn window_budget(mut self, budget: Arc<dyn WindowBudget>) -> Self {
        self.budget = budget;
        self
    }

    /// What every connection may send before it is read, in bytes, without asking the budget.
    #[must_use]
    pub const fn initial_window() -> u32 {
        INITIAL_WINDOW
    }
}

/// What all handshakes need.
pub(crate) struct Shared {
    pub(crate) key: Keypair,
    pub(crate) handshake_limit: Duration,
    pub(crate) budget: Arc<dyn WindowBudget>,
}

/// Listens for WebTransport: give it to a swarm. Needs a tokio runtime.
pub struct Transport {
    shared: Arc<Shared>,
    certificates: Certificates,
    listeners: SelectAll<Listener>,
    /// What comes next for the certificates.
    change: Change,
    waker: Option<Waker>,
}

enum Change {
    Waits(Pin<Box<tokio::time::Sleep>>),
    Writes(BoxFuture<'static, Result<Option<Certificates>, CertificateError>>),
    /// Nobody listens yet.
    Idle,
}

impl Transport {
    /// One that does not listen yet.
    #[must_use]
    pub fn new(config: Config, certificates: Certificates) -> Self {
        let Config {
            key,
            handshake_limit,
            budget,
        } = config;
        Self {
            shared: Arc::new(Shared {
                key,
                handshake_limit,
                budget,
            }),
            certificates,
            listeners: SelectAll::new(),
            change: Change::Idle,
            waker: None,
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn poll_certificates(&mut self, cx: &mut Context<'_>) {
        loop {
            let next = match &mut self.change {
                Change::Idle if self.listeners.is_empty() => return,
                Change::Idle => Change::Waits(sleep(self.certificates.look_again_after())),
                Change::Waits(until) => match until.poll_unpin(cx) {
                    Poll::Pending => return,
                    Poll::Ready(()) => Change::Writes(changing(self.certificates.clone())),
                },
                Change::Writes(written) => match written.poll_unpin(cx) {
                    Poll::Pending => return,
                    Poll::Ready(written) => Change::Waits(sleep(self.changed(written))),
                },
            };
            self.change = next;
        }
    }

    /// The certificates were looked at; returns when to look again.
    fn changed(&mut self, written: Result<Option<Certificates>, CertificateError>) -> Duration {
        match written {
            Ok(None) => {}
            Ok(Some(certificates)) => {
                for listener in &mut self.listeners {
                    if let Err(error) = listener.rotate(&certificates) {
                        listener.failed(error);
                    }
                }
                self.certificates = certificates;
            }
            Err(error) => {
                tracing::warn!(%error, "the certificates are due for a change");
                let text = error.to_string();
                for listener in &mut self.listeners {
                    listener.failed(Error::Listen(io::Error::other(text.clone())));
                }
                return RETRY;
            }
        }
        self.certificates.look_again_after()
    }
}

fn sleep(span: Duration) -> Pin<Box<tokio::time::Sleep>> {
    Box::pin(tokio::time::sleep(span))
}

/// Writing waits for the disk, so it has a thread of its own.
fn changing(certificates: Certificates) -> BoxFuture<'static, Result<Option<Certificates>, CertificateError>> {
    let writing = tokio::task::spawn_blocking(move || certificates.advanced());
    async move {
        // A panic there is one here.
        writing
            .await
            .unwrap_or_else(|ended| std::panic::resume_unwind(ended.into_panic()))
    }
    .boxed()
}

impl libp2p_core::Transport for Transport {
    type Output = (PeerId, Connection);
    type Error = Error;
    type ListenerUpgrade = Upgrade;
    type Dial = Upgrade;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<Error>> {
        let Some(socket) = socket_of(&address) else {
            return Err(TransportError::MultiaddrNotSupported(address));
        };
        let listener = Listener::new(id, socket, &self.certificates, self.shared.clone());
        self.listeners.push(listener.map_err(TransportError::Other)?);
        self.wake();
        Ok(())
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        match self.listeners.iter_mut().find(|listener| listener.id == id) {
            Some(listener) => {
                listener.close(Ok(()));
                true
            }
            None => false,
        }
    }

    fn dial(&mut self, address: Multiaddr, _: DialOpts) -> Result<Upgrade, TransportError<Error>> {
        Err(TransportError::MultiaddrNotSupported(address))
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TransportEvent<Upgrade, Error>> {
        self.poll_certificates(cx);
        if let Poll::Ready(Some(event)) = self.listeners.poll_next_unpin(cx) {
            return Poll::Ready(event);
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// `/ip4|ip6/…/udp/PORT/quic-v1/webtransport`, and nothing after it: the hashes of certificates are this node's to add.
fn socket_of(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    match (parts.next()?, parts.next()?, parts.next()?, parts.next()) {
        (Protocol::Udp(port), Protocol::QuicV1, Protocol::WebTransport, None) => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_webtransport_on_an_ip_address_are_listened_on() {
        let socket = |text: &str| socket_of(&text.parse().expect("a multiaddr"));
        let good = "/ip6/::1/udp/4402/quic-v1/webtransport";
        assert_eq!(socket(good), Some("[::1]:4402".parse().expect("an address")));
        for other in [
            "/ip4/127.0.0.1/udp/4402/quic-v1",
            "/ip4/127.0.0.1/tcp/4402",
            "/dns4/localhost/udp/4402/quic-v1/webtransport",
            "/ip4/127.0.0.1/udp/4402/quic-v1/webtransport/p2p/12D3KooWGatU9DbtnrVDRvVkCmzGrYsGYdNBGHyRwEYuNzwzGdXW",
        ] {
            assert_eq!(socket(other), None, "{other}");
        }
    }
}
