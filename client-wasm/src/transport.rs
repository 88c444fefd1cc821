//! WebSockets of the browser as a libp2p transport.
//!
//! Stands in for `libp2p-websocket-websys` 0.6, which wakes a blocked writer only every 100 ms (pushing crawls), and does
//! not report a refused dial (it hangs). It goes away when those are fixed upstream. Differences: a dial has a time limit
//! and says why it failed; the writer hands everything to the browser and waits only while much is queued there; what
//! arrives unread is bounded.

use crate::clock::{self, Timer};
use futures::future::{poll_fn, Ready};
use futures::prelude::*;
use futures::task::AtomicWaker;
use libp2p::core::transport::{DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::multiaddr::{Multiaddr, Protocol};
use send_wrapper::SendWrapper;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{ready, Context, Poll};
use wasm_bindgen::prelude::*;
use web_sys::{BinaryType, MessageEvent, WebSocket};

/// Longest wait for a dial, in milliseconds.
pub const DIAL_LIMIT: i32 = 15_000;
/// Bytes queued in the browser above which a writer waits: more would only sit in memory.
const MAX_QUEUED: u32 = 4 << 20;
/// Bytes received and not yet read, at most. Yamux's windows keep an honest peer far below it; a browser cannot slow a
/// sender down, so the connection to a peer that ignores them is closed.
const MAX_UNREAD: u32 = 64 << 20;
/// Milliseconds between looks at the browser's queue while a writer waits; there is no event for it.
const QUEUE_CHECK: i32 = 4;

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
    type Output = Connection;
    type Error = DialError;
    type ListenerUpgrade = Ready<Result<Connection, DialError>>;
    type Dial = Pin<Box<dyn Future<Output = Result<Connection, DialError>> + Send>>;

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

async fn open(url: String) -> Result<Connection, DialError> {
    let socket = WebSocket::new(&url).map_err(|error| {
        let reason = crate::error::ClientError::text_of(&error);
        DialError::Forbidden {
            url: url.clone(),
            reason,
        }
    })?;
    let connection = Connection::new(socket);
    match clock::within(DIAL_LIMIT, poll_fn(|cx| connection.0.poll_open(cx))).await {
        Some(Ok(())) => Ok(connection),
        Some(Err(_)) => Err(DialError::Refused { url }),
        None => Err(DialError::Timeout { url }),
    }
}

/// What the browser's callbacks and the connection share.
#[derive(Default)]
struct Shared {
    received: RefCell<VecDeque<js_sys::Uint8Array>>,
    /// Bytes of the first message that were read.
    position: Cell<u32>,
    unread: Cell<u32>,
    flooded: Cell<bool>,
    reader: AtomicWaker,
    writer: AtomicWaker,
    timer: RefCell<Option<Timer>>,
}

struct Socket {
    socket: WebSocket,
    shared: Rc<Shared>,
    /// Kept, because the browser calls them as long as the socket lives.
    _callbacks: (Closure<dyn FnMut(JsValue)>, Closure<dyn FnMut(MessageEvent)>),
    on_tick: Closure<dyn FnMut()>,
}

/// One open WebSocket.
pub struct Connection(SendWrapper<Socket>);

impl Connection {
    fn new(socket: WebSocket) -> Self {
        socket.set_binary_type(BinaryType::Arraybuffer);
        let shared = Rc::new(Shared::default());
        let state = shared.clone();
        let on_change = Closure::<dyn FnMut(JsValue)>::new(move |_| {
            state.reader.wake();
            state.writer.wake();
        });
        let state = shared.clone();
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| state.take(&event.data()));
        let state = shared.clone();
        let on_tick = Closure::<dyn FnMut()>::new(move || state.writer.wake());
        for set in [WebSocket::set_onopen, WebSocket::set_onclose, WebSocket::set_onerror] {
            set(&socket, Some(on_change.as_ref().unchecked_ref()));
        }
        socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        Self(SendWrapper::new(Socket {
            socket,
            shared,
            _callbacks: (on_change, on_message),
            on_tick,
        }))
    }
}

impl Shared {
    fn take(&self, data: &JsValue) {
        // Text has no place in libp2p; noise would refuse it in any case.
        if let Some(buffer) = data.dyn_ref::<js_sys::ArrayBuffer>() {
            let message = js_sys::Uint8Array::new(buffer);
            let unread = self.unread.get().saturating_add(message.length());
            if unread > MAX_UNREAD {
                self.flooded.set(true);
            } else if message.length() > 0 {
                self.unread.set(unread);
                self.received.borrow_mut().push_back(message);
            }
        }
        self.reader.wake();
    }

    /// Moves received bytes out; `None` when there are none.
    fn read(&self, buffer: &mut [u8]) -> Option<usize> {
        let mut received = self.received.borrow_mut();
        let message = received.front()?;
        let position = self.position.get();
        let wanted = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let taken = (message.length() - position).min(wanted);
        message
            .subarray(position, position + taken)
            .copy_to(&mut buffer[..taken as usize]);
        self.unread.set(self.unread.get() - taken);
        if position + taken == message.length() {
            received.pop_front();
            self.position.set(0);
        } else {
            self.position.set(position + taken);
        }
        Some(taken as usize)
    }
}

impl Socket {
    fn poll_open(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        match self.socket.ready_state() {
            WebSocket::CONNECTING => {
                self.shared.writer.register(cx.waker());
                Poll::Pending
            }
            WebSocket::OPEN => Poll::Ready(Ok(())),
            _ => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let Socket { socket, shared, .. } = &*self.0;
        if shared.flooded.get() {
            return Poll::Ready(Err(io::Error::other("the peer sends more than it was allowed to")));
        }
        shared.reader.register(cx.waker());
        if let Some(count) = shared.read(buffer) {
            return Poll::Ready(Ok(count));
        }
        match socket.ready_state() {
            WebSocket::CONNECTING | WebSocket::OPEN => Poll::Pending,
            _ => Poll::Ready(Ok(0)),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let Socket {
            socket,
            shared,
            on_tick,
            ..
        } = &*self.0;
        ready!(self.0.poll_open(cx))?;
        if socket.buffered_amount() > MAX_QUEUED {
            shared.writer.register(cx.waker());
            *shared.timer.borrow_mut() = Some(Timer::start(on_tick.as_ref().unchecked_ref(), QUEUE_CHECK));
            return Poll::Pending;
        }
        socket
            .send_with_u8_array(buffer)
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Poll::Ready(Ok(buffer.len()))
    }

    /// The browser sends what it has as fast as it can.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// The browser still sends what is queued before it closes.
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // It only throws for a bad close code, and there is none.
        let _ = self.0.socket.close();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        for clear in [
            WebSocket::set_onopen,
            WebSocket::set_onclose,
            WebSocket::set_onerror,
            WebSocket::set_onmessage,
        ] {
            clear(&self.socket, None);
        }
        let _ = self.socket.close();
    }
}
