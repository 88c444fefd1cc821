//! A TCP listener for HTTP services, on one address or several: the chain's RPC and the daemon's page.
//!
//! Connections are bounded, and a newcomer is let in all the same: the connection that was served longest ago, among those of
//! the address that has most, makes room. One that was not sent a byte within [`UNSERVED_LIMIT`] has asked nothing and ends, unless the
//! service says that it has ([`Caller`]); so does one that takes nothing of its answer for [`STALLED_LIMIT`]. What
//! is said on a connection is the service's; only its bytes pass here, in TLS where the operator has a certificate ([`tls`]).

mod certificate;
mod tls;
mod validity;
mod wire;

pub use certificate::{Certificate, OpenKey, PemFiles, TlsError};
pub use tls::Tls;
pub use validity::Trouble;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use shared::access::network_of;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use wire::Wire;

/// How long a connection may take to ask its first question whole.
pub const UNSERVED_LIMIT: Duration = Duration::from_secs(15);
/// How long a connection may take nothing while something is to be sent: a path that is interrupted for longer is dead, or its
/// reader holds the answer back.
pub const STALLED_LIMIT: Duration = Duration::from_secs(60);
/// Pause after the system had no descriptor or memory for a connection.
const SYSTEM_PAUSE: Duration = Duration::from_millis(200);

/// Connections that the system holds until they are accepted; the standard library's number.
const BACKLOG: i32 = 128;

/// Listens with at most so many connections.
pub struct BoundedListener {
    inner: Vec<TcpListener>,
    /// Which of them is asked first for the next connection: each in turn.
    turn: usize,
    connections: Connections,
    tls: Option<Tls>,
}

/// The open connections. Clones are the same.
#[derive(Clone)]
struct Connections {
    most: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    next: u64,
    all: BTreeMap<u64, Entry>,
}

struct Entry {
    /// [`network_of`] its address.
    origin: IpAddr,
    /// When bytes were last sent to it; at first, when it was made.
    served: Instant,
    evicted: CancellationToken,
}

impl BoundedListener {
    /// Bounds what comes from all of some listeners together.
    pub fn new(inner: Vec<TcpListener>, most: usize) -> Self {
        let connections = Connections {
            most,
            open: Arc::default(),
        };
        let turn = 0;
        Self {
            inner,
            turn,
            connections,
            tls: None,
        }
    }

    /// The same with TLS, where there is a certificate.
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let count = self.inner.len();
        for (at, listener) in self.inner.iter().enumerate().cycle().skip(self.turn).take(count) {
            if let Poll::Ready(accepted) = listener.poll_accept(context) {
                self.turn = (at + 1) % count;
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    }
}

/// Takes an address for a listener of its own, also one of all addresses of a version: of IPv6, `[::]` leaves IPv4 to `0.0.0.0`
/// whatever the system's habit.
pub fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // As the standard library does: an address is free again when its last owner is gone.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// How programs of this machine reach a listener of all addresses.
pub fn from_here(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// Who is at the other end of a connection; services ask for it as `ConnectInfo<Remote>`.
#[derive(Debug, Clone, Copy)]
pub struct Remote(pub SocketAddr);

impl Connected<IncomingStream<'_, BoundedListener>> for Remote {
    fn connect_info(stream: IncomingStream<'_, BoundedListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// Who is at the other end of a connection, for services whose answers or requests take longer than [`UNSERVED_LIMIT`]; they ask for it as
/// `ConnectInfo<Caller>`.
#[derive(Debug, Clone)]
pub struct Caller {
    pub address: SocketAddr,
    asked: Arc<AtomicBool>,
}

impl Caller {
    /// At an address, without a connection: tests of services have such.
    pub fn at(address: SocketAddr) -> Self {
        Self {
            address,
            asked: Arc::default(),
        }
    }

    /// Says that a request has come: the connection has no limit but the service's any more until it is answered.
    pub fn has_asked(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }
}

impl Connected<IncomingStream<'_, BoundedListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, BoundedListener>) -> Self {
        Self {
            address: *stream.remote_addr(),
            asked: stream.io().asked.clone(),
        }
    }
}

impl Listener for BoundedListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match std::future::poll_fn(|context| self.poll_accept(context)).await {
                Ok((stream, remote)) => {
                    let wire = Wire::new(stream, remote, self.tls.as_ref());
                    return (self.connections.enter(wire, remote.ip()), remote);
                }
                // The dialler's trouble, and over.
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted; trying again");
                    tokio::time::sleep(SYSTEM_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        let first = self.inner.first();
        first.map_or(Err(io::ErrorKind::NotConnected.into()), TcpListener::local_addr)
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset)
}

impl Connections {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection in; another one makes room for it when there is none. Nobody is waited for: whoever dials behind would wait, too.
    fn enter(&self, wire: Wire, origin: IpAddr) -> Connection {
        let (number, evicted) = self.open().enter(origin, self.most);
        Connection {
            version: VersionCheck::new(),
            wire,
            connections: self.clone(),
            number,
            evicted: Box::pin(evicted.cancelled_owned()),
            unserved: Some(Box::pin(tokio::time::sleep(UNSERVED_LIMIT))),
            asked: Arc::default(),
            stalled: None,
        }
    }
}

impl Open {
    fn enter(&mut self, origin: IpAddr, most: usize) -> (u64, CancellationToken) {
        if self.all.len() >= most {
            let makes_room = self.makes_room().and_then(|number| self.all.remove(&number));
            if let Some(entry) = makes_room {
                entry.evicted.cancel();
            }
        }
        let number = self.next;
        self.next += 1;
        let evicted = CancellationToken::new();
        let entry = Entry {
            origin: network_of(origin),
            served: Instant::now(),
            evicted: evicted.clone(),
        };
        self.all.insert(number, entry);
        (number, evicted)
    }

    /// Of the address that has most connections, the one that was served longest ago. Of two addresses with as many, the one that was
    /// served longer ago.
    fn makes_room(&self) -> Option<u64> {
        let mut of_origin: BTreeMap<IpAddr, (usize, Instant, u64)> = BTreeMap::new();
        for (number, entry) in &self.all {
            let (count, served, longest_ago) = of_origin.entry(entry.origin).or_insert((0, entry.served, *number));
            *count += 1;
            if entry.served < *served {
                (*served, *longest_ago) = (entry.served, *number);
            }
        }
        let most = of_origin.into_values();
        let most = most.min_by_key(|(count, served, _)| (Reverse(*count), *served));
        most.map(|(_, _, number)| number)
    }
}

/// A connection, which ends when it has to make room.
pub struct Connection {
    wire: Wire,
    version: VersionCheck,
    connections: Connections,
    number: u64,
    evicted: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Until something is sent: when it ends for want of a question.
    unserved: Option<Pin<Box<Sleep>>>,
    /// Whether the service says that it has asked.
    asked: Arc<AtomicBool>,
    /// While it takes nothing: when it ends for that.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    fn must_end(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.evicted.as_mut().poll(context).is_ready() {
            return Err(io::Error::other("the connection made room for another"));
        }
        if self.asked.load(Ordering::Relaxed) {
            self.unserved = None;
        }
        let limit = self.unserved.as_mut();
        if limit.is_some_and(|limit| limit.as_mut().poll(context).is_ready()) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    /// Ends it when nothing was taken of it for too long.
    fn stalls(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let limit = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(STALLED_LIMIT)));
        match limit.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }

    fn was_served(&mut self) {
        self.unserved = None;
        if let Some(entry) = self.connections.open().all.get_mut(&self.number) {
            entry.served = Instant::now();
        }
    }
}

/// Refuses HTTP/2, whose one connection is two hundred requests and of which a reader that takes nothing cannot be told: what is bounded
/// here are connections of HTTP/1. Browsers do not begin with it where TLS did not offer it.
#[derive(Debug)]
struct VersionCheck {
    /// Bytes of [`PREFACE`] that have come; none any more when another one has.
    matched: Option<usize>,
}

/// What HTTP/2 begins with, as far as no request of HTTP/1 does.
const PREFACE: &[u8] = b"PRI ";

impl VersionCheck {
    /// Of a connection on which nothing has come yet.
    fn new() -> Self {
        Self { matched: Some(0) }
    }

    fn take(&mut self, read: &[u8]) -> io::Result<()> {
        for byte in read {
            let Some(matched) = self.matched else { break };
            self.matched = (PREFACE.get(matched) == Some(byte)).then_some(matched + 1);
            if self.matched == Some(PREFACE.len()) {
                return Err(io::Error::other("HTTP/2 is not spoken here"));
            }
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.open().all.remove(&self.number);
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.must_end(cx)?;
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut self.wire).poll_read(cx, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        Poll::Ready(self.version.take(read))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.must_end(cx)?;
        let written = Pin::new(&mut self.wire).poll_write(cx, bytes);
        match written {
            Poll::Ready(Ok(1..)) => {
                self.stalled = None;
                self.was_served();
            }
            Poll::Pending => self.stalls(cx)?,
            Poll::Ready(_) => {}
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
