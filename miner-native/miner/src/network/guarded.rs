//! A socket whose other side takes nothing is not read from without end, and ends.
//!
//! yamux answers on the same connection that it reads from. While its answers cannot be written it goes on reading, and lets go of
//! nothing that was reset meanwhile: a peer that does not read could make it hold any amount. Wraps the sockets of [`super::swarm`].

use futures::{AsyncRead, AsyncWrite};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::{sleep, Sleep};

/// How long the other side may take nothing while something is to be sent to it.
const STALL_LIMIT: Duration = Duration::from_secs(30);
/// Bytes that are read meanwhile: what was on its way.
const READ_WHILE_STALLED: usize = 256 * 1024;

/// The socket. Reading waits while too much was read since a write could not go on.
pub(super) struct Guarded<S> {
    inner: S,
    /// While a write waits: when the connection ends.
    stalled: Option<Pin<Box<Sleep>>>,
    read_since: usize,
    reader: Option<Waker>,
}

impl<S> Guarded<S> {
    pub(super) fn new(inner: S) -> Self {
        Self {
            inner,
            stalled: None,
            read_since: 0,
            reader: None,
        }
    }

    /// A write waits, for too long when this fails.
    fn waits(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let limit = self.stalled.get_or_insert_with(|| Box::pin(sleep(STALL_LIMIT)));
        match limit.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }

    /// The other side takes something.
    fn goes_on(&mut self) {
        self.stalled = None;
        self.read_since = 0;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.stalled.is_some() {
            self.waits(cx)?;
            if self.read_since >= READ_WHILE_STALLED {
                self.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if let (Poll::Ready(Ok(count)), true) = (&read, self.stalled.is_some()) {
            self.read_since = self.read_since.saturating_add(*count);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        match written.is_pending() {
            true => self.waits(cx)?,
            false => self.goes_on(),
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{poll, AsyncReadExt, AsyncWriteExt};
    use std::cell::Cell;

    /// A socket that always has bytes, and takes some only while it `takes`.
    struct Flood<'a> {
        takes: &'a Cell<bool>,
    }

    impl AsyncRead for Flood<'_> {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(buffer.len()))
        }
    }

    impl AsyncWrite for Flood<'_> {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            match self.takes.get() {
                true => Poll::Ready(Ok(bytes.len())),
                false => Poll::Pending,
            }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_read_from_no_more_and_ends_and_one_that_goes_on_is() {
        let takes = Cell::new(true);
        let mut socket = Guarded::new(Flood { takes: &takes });
        let mut buffer = vec![0; 64 * 1024];
        for _ in 0..100 {
            assert!(
                poll!(socket.read(&mut buffer)).is_ready(),
                "nothing waits to be written"
            );
        }
        takes.set(false);
        assert!(poll!(socket.write(b"an answer")).is_pending());
        let mut read = 0;
        while poll!(socket.read(&mut buffer)).is_ready() {
            read += buffer.len();
        }
        assert_eq!(read, READ_WHILE_STALLED);
        takes.set(true);
        assert!(poll!(socket.write(b"an answer")).is_ready());
        assert!(poll!(socket.read(&mut buffer)).is_ready());
        takes.set(false);
        assert!(poll!(socket.write(b"an answer")).is_pending());
        tokio::time::advance(STALL_LIMIT).await;
        let ended = socket
            .read(&mut buffer)
            .await
            .expect_err("it took nothing for too long");
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
    }
}
