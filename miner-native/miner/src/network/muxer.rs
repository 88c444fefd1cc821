//! yamux with windows that do not grow without end.
//!
//! yamux promises 256 KiB to every stream, and doubles the window of one that is read fast, up to a bound for the whole connection:
//! a gigabyte, unless it is set (`max_connection_receive_window`). libp2p-yamux 0.48 does not hand that setting on, its `Config` has
//! only the number of streams; when it does, what is here goes away. Used by [`super::swarm`], below [`super::stream_budget`], by [`super::probe`],
//! and by the terminal client.

use super::stream_budget::WINDOW;
use super::swarm::MAX_STREAMS;
use futures::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use std::collections::VecDeque;
use std::future::{ready, Ready};
use std::io;
use std::iter::{once, Once};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use yamux::{Config, Connection, ConnectionError, Mode, Stream};

/// Bytes by which the windows of a connection may grow, all together: what a transfer asks for at once on a long path
/// ([`shared::transfer`]).
const MAX_GROWTH: usize = 8 * 1024 * 1024;

/// Makes connections multiplex.
#[derive(Debug, Clone, Copy)]
pub struct Yamux;

/// A connection that multiplexes.
pub struct Muxer<C> {
    connection: Connection<C>,
    /// Came while nobody asked for them; no more than [`MAX_STREAMS`].
    incoming: VecDeque<Stream>,
    taker: Option<Waker>,
}

fn config() -> Config {
    let mut config = Config::default();
    config.set_max_num_streams(MAX_STREAMS);
    config.set_max_connection_receive_window(Some(MAX_STREAMS * WINDOW + MAX_GROWTH));
    config
}

impl<C: AsyncRead + AsyncWrite + Unpin> Muxer<C> {
    fn new(socket: C, mode: Mode) -> Self {
        Self {
            connection: Connection::new(socket, config(), mode),
            incoming: VecDeque::new(),
            taker: None,
        }
    }

    fn next_incoming(&mut self, context: &mut Context<'_>) -> Poll<Result<Stream, ConnectionError>> {
        let next = self.connection.poll_next_inbound(context);
        next.map(|stream| stream.unwrap_or(Err(ConnectionError::Closed)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> StreamMuxer for Muxer<C> {
    type Substream = Stream;
    type Error = ConnectionError;

    fn poll_inbound(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Stream, ConnectionError>> {
        if let Some(stream) = self.incoming.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        self.taker = Some(context.waker().clone());
        self.next_incoming(context)
    }

    fn poll_outbound(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Stream, ConnectionError>> {
        self.connection.poll_new_outbound(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        self.connection.poll_close(context)
    }

    /// The connection makes progress only while it is asked for streams.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, ConnectionError>> {
        while let Poll::Ready(stream) = self.next_incoming(context) {
            self.incoming.push_back(stream?);
            if let Some(taker) = self.taker.take() {
                taker.wake();
            }
        }
        Poll::Pending
    }
}

impl UpgradeInfo for Yamux {
    type Info = &'static str;
    type InfoIter = Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        once("/yamux/1.0.0")
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<C> for Yamux {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, socket: C, _: Self::Info) -> Self::Future {
        ready(Ok(Muxer::new(socket, Mode::Server)))
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C> for Yamux {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, socket: C, _: Self::Info) -> Self::Future {
        ready(Ok(Muxer::new(socket, Mode::Client)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::channel::mpsc::{unbounded, UnboundedReceiver, UnboundedSender};
    use futures::{AsyncReadExt, StreamExt};
    use std::future::{poll_fn, Future};
    use std::time::Duration;
    use tokio::time::{sleep_until, Instant, Sleep};

    /// Half of a round trip: windows grow where there is one.
    const DELAY: Duration = Duration::from_millis(10);
    /// Read fast before nothing more is read: more than any window may have by then.
    const READ: usize = 64 << 20;

    /// One end of a line on which everything takes its time.
    struct Line {
        sent: UnboundedSender<(Instant, Vec<u8>)>,
        comes: UnboundedReceiver<(Instant, Vec<u8>)>,
        /// What comes next, and when.
        next: Option<(Pin<Box<Sleep>>, Vec<u8>)>,
    }

    fn line() -> (Line, Line) {
        let ((one, to_one), (other, to_other)) = (unbounded(), unbounded());
        let end = |sent, comes| Line {
            sent,
            comes,
            next: None,
        };
        (end(one, to_other), end(other, to_one))
    }

    impl AsyncRead for Line {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
            if self.next.is_none() {
                self.next = match self.comes.poll_next_unpin(cx) {
                    Poll::Ready(Some((due, bytes))) => Some((Box::pin(sleep_until(due)), bytes)),
                    Poll::Ready(None) => return Poll::Ready(Ok(0)),
                    Poll::Pending => return Poll::Pending,
                };
            }
            let Some((due, bytes)) = &mut self.next else {
                return Poll::Pending;
            };
            if due.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let count = bytes.len().min(buffer.len());
            buffer[..count].copy_from_slice(&bytes[..count]);
            bytes.drain(..count);
            if bytes.is_empty() {
                self.next = None;
            }
            Poll::Ready(Ok(count))
        }
    }

    impl AsyncWrite for Line {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let due = Instant::now() + DELAY;
            let sent = self.sent.unbounded_send((due, bytes.to_vec()));
            Poll::Ready(sent.map(|()| bytes.len()).map_err(io::Error::other))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// Sends without end; returns how much went out when nothing has for many round trips, with the connection, which is still open.
    async fn flood(socket: Line) -> (usize, Connection<Line>, Stream) {
        let mut connection = Connection::new(socket, Config::default(), Mode::Client);
        let mut stream = poll_fn(|cx| connection.poll_new_outbound(cx))
            .await
            .expect("it is open");
        let (bytes, mut sent) = (vec![0; 64 * 1024], 0);
        loop {
            let write = poll_fn(|cx| {
                // Without this nothing moves; nobody opens streams to a flood.
                let _ = connection.poll_next_inbound(cx);
                Pin::new(&mut stream).poll_write(cx, &bytes)
            });
            match tokio::time::timeout(DELAY * 40, write).await {
                Ok(written) => sent += written.expect("it is open"),
                Err(_) => return (sent, connection, stream),
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stream_that_was_read_fast_holds_no_more_than_the_bound_when_nobody_reads_it_any_more() {
        let (here, there) = line();
        let flooding = tokio::spawn(flood(there));
        let mut muxer = Muxer::new(here, Mode::Server);
        let mut stream = poll_fn(|cx| Pin::new(&mut muxer).poll_inbound(cx))
            .await
            .expect("it floods");
        let (mut buffer, mut read) = (vec![0; 64 * 1024], 0);
        while read < READ {
            let reading = stream.read(&mut buffer);
            tokio::pin!(reading);
            read += poll_fn(|cx| {
                let _ = Pin::new(&mut muxer).poll(cx);
                reading.as_mut().poll(cx)
            })
            .await
            .expect("it floods");
        }
        let drive = poll_fn(|cx| Pin::new(&mut muxer).poll(cx));
        let (sent, ..) = tokio::select! {
            sent = flooding => sent.expect("nothing panics"),
            driven = drive => panic!("{driven:?}"),
        };
        assert!(sent - read <= WINDOW + MAX_GROWTH, "{} bytes are held", sent - read);
    }
}
