//! A WebTransport session as libp2p's multiplexer: each of its bidirectional streams is a substream.
//!
//! Made by [`super::session`] when both sides know who the other is.

use crate::window::{Window, WindowBudget};
use futures::future::BoxFuture;
use futures::{ready, AsyncRead, AsyncWrite, FutureExt};
use libp2p_core::muxing::{StreamMuxer, StreamMuxerEvent};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::ReadBuf;
use tokio::runtime::Handle;
use web_transport_quinn::{RecvStream, SendStream, Session, SessionError};

/// Streams of a connection that the other side may have open, at most.
const MAX_STREAMS: u32 = 256;
/// Among them, those whose first bytes, which say what they are, have not come: the host does not see these. A quarter of the others
/// comes to it: quinn tells the other side of new room only when an eighth of all is free.
pub(crate) const MAX_UNNAMED_STREAMS: u32 = 8;
/// The stream of the request, which stays open as long as the session.
const REQUEST: u32 = 1;

type Pair = Result<(SendStream, RecvStream), SessionError>;

/// A connection over WebTransport.
pub struct Connection {
    session: Open,
    window: Arc<Window>,
    streams: Arc<Streams>,
    incoming: BoxFuture<'static, Pair>,
    outgoing: Option<BoxFuture<'static, Pair>>,
}

/// A session that ends with this: its tasks would keep the connection otherwise.
pub(crate) struct Open(pub(crate) Session);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.close(0, b"");
    }
}

/// How many streams the other side has open that have said what they are: so many more may be opened, once it is known.
struct Streams {
    connection: quinn::Connection,
    named: AtomicU32,
    is_known: AtomicBool,
}

impl Streams {
    fn opened(self: &Arc<Self>) -> Named {
        self.allow(self.named.fetch_add(1, Ordering::Relaxed) + 1);
        Named(self.clone())
    }

    fn allow(&self, named: u32) {
        if !self.is_known.load(Ordering::Relaxed) {
            return;
        }
        let unnamed = REQUEST + MAX_UNNAMED_STREAMS + named / 4;
        let allowed = named.saturating_add(unnamed).min(MAX_STREAMS);
        self.connection.set_max_concurrent_bi_streams(allowed.into());
    }
}

/// A stream's place among those that are open.
struct Named(Arc<Streams>);

impl Drop for Named {
    fn drop(&mut self) {
        let before = self.0.named.fetch_sub(1, Ordering::Relaxed);
        self.0.allow(before.saturating_sub(1));
    }
}

impl Connection {
    pub(crate) fn new(session: Open, budget: Arc<dyn WindowBudget>) -> Self {
        let quic: &quinn::Connection = &session.0;
        Self {
            window: Window::new(quic.clone(), budget),
            streams: Arc::new(Streams {
                connection: quic.clone(),
                named: AtomicU32::new(0),
                is_known: AtomicBool::new(false),
            }),
            incoming: accept(&session.0),
            session,
            outgoing: None,
        }
    }

    /// The peer has shown who it is: from here on it may send more.
    pub(crate) fn known(&self) {
        self.streams.is_known.store(true, Ordering::Relaxed);
        self.streams.allow(self.streams.named.load(Ordering::Relaxed));
        self.window.open();
    }

    fn stream(&self, (send, recv): (SendStream, RecvStream), named: Option<Named>) -> Stream {
        Stream {
            send,
            recv: Some(recv),
            window: self.window.clone(),
            is_closed: false,
            named,
        }
    }
}

fn accept(session: &Session) -> BoxFuture<'static, Pair> {
    let session = session.clone();
    async move { session.accept_bi().await }.boxed()
}

impl StreamMuxer for Connection {
    type Substream = Stream;
    type Error = io::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        let accepted = ready!(self.incoming.poll_unpin(cx));
        self.incoming = accept(&self.session.0);
        let pair = accepted.map_err(io::Error::other)?;
        let named = self.streams.opened();
        Poll::Ready(Ok(self.stream(pair, Some(named))))
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        let session = self.session.0.clone();
        let opening = self
            .outgoing
            .get_or_insert_with(|| async move { session.open_bi().await }.boxed());
        let opened = ready!(opening.poll_unpin(cx));
        self.outgoing = None;
        let pair = opened.map_err(io::Error::other)?;
        Poll::Ready(Ok(self.stream(pair, None)))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.session.0.close(0, b"");
        Poll::Ready(Ok(()))
    }

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        Poll::Pending
    }
}

/// How long the other side may take to end a stream that this one has ended, and bytes that it may still send.
const END_LIMIT: Duration = Duration::from_secs(5);
const END_BYTES: usize = 4 << 10;

/// A substream.
///
/// One that was closed and not read to its end is not stopped when it is dropped, but read on for a moment: a browser (Firefox) that is
/// told to stop forgets what it has not read yet of the answer.
pub struct Stream {
    send: SendStream,
    /// Until it is dropped.
    recv: Option<RecvStream>,
    window: Arc<Window>,
    is_closed: bool,
    named: Option<Named>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        let (Some(recv), true, Ok(runtime)) = (self.recv.take(), self.is_closed, Handle::try_current()) else {
            return;
        };
        runtime.spawn(read_to_end(recv, self.window.clone(), self.named.take()));
    }
}

/// Its place is taken until then.
async fn read_to_end(mut recv: RecvStream, window: Arc<Window>, _named: Option<Named>) {
    let ending = async {
        let (mut bytes, mut left) = ([0; 1 << 10], END_BYTES);
        while let Ok(Some(count)) = recv.read(&mut bytes).await {
            window.read(count);
            left = left.saturating_sub(count);
            if left == 0 {
                return;
            }
        }
    };
    // Whoever does not end it by then is told to stop.
    let _ = tokio::time::timeout(END_LIMIT, ending).await;
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        let recv = self.recv.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        ready!(tokio::io::AsyncRead::poll_read(Pin::new(recv), cx, &mut buffer))?;
        let count = buffer.filled().len();
        self.window.read(count);
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        tokio::io::AsyncWrite::poll_write(Pin::new(&mut self.send), cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_flush(Pin::new(&mut self.send), cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A second time would be an error.
        if !self.is_closed {
            ready!(tokio::io::AsyncWrite::poll_shutdown(Pin::new(&mut self.send), cx))?;
            self.is_closed = true;
        }
        Poll::Ready(Ok(()))
    }
}
