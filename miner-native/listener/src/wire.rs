//! The bytes of a connection, plain or in TLS.

use super::tls::Tls;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{ready, Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// The first byte of a TLS connection: a record of its handshake. No request of HTTP begins with it.
const HANDSHAKE: u8 = 0x16;
/// What somebody else's program is told that speaks no TLS.
const NO_TLS: &[u8] =
    b"HTTP/1.1 426 Upgrade Required\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: 30\r\n\r\n\
                        ask here by https:// or wss://";

/// A connection's bytes.
pub(super) enum Wire {
    /// Nothing has come yet.
    Undecided(TcpStream, TlsAcceptor, SocketAddr),
    Plain(TcpStream),
    Handshake(Box<Accept<TcpStream>>),
    Secure(Box<TlsStream<TcpStream>>),
    /// It was told that it is not served.
    Closed,
}

impl Wire {
    pub fn new(stream: TcpStream, remote: SocketAddr, tls: Option<&Tls>) -> Self {
        match tls {
            Some(tls) => Self::Undecided(stream, tls.acceptor.clone(), remote),
            None => Self::Plain(stream),
        }
    }

    /// Goes on until bytes of the service can pass.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            *self = match std::mem::replace(self, Self::Closed) {
                Self::Undecided(stream, acceptor, remote) => {
                    let mut first = [0];
                    let mut peeked = ReadBuf::new(&mut first);
                    if stream.poll_peek(context, &mut peeked)?.is_pending() {
                        *self = Self::Undecided(stream, acceptor, remote);
                        return Poll::Pending;
                    }
                    match peeked.filled().first() {
                        Some(&HANDSHAKE) => Self::Handshake(Box::new(acceptor.accept(stream))),
                        Some(_) if !is_of_this_machine(&stream, remote) => {
                            // Nothing was sent before: there is room for it, or nobody who reads. What was asked is read, so that
                            // closing does not take the answer back.
                            let _ = stream.try_write(NO_TLS);
                            let _ = stream.try_read(&mut [0; 4096]);
                            Self::Closed
                        }
                        _ => Self::Plain(stream),
                    }
                }
                Self::Handshake(mut accept) => match Pin::new(&mut *accept).poll(context)? {
                    Poll::Ready(stream) => Self::Secure(Box::new(stream)),
                    Poll::Pending => {
                        *self = Self::Handshake(accept);
                        return Poll::Pending;
                    }
                },
                decided => {
                    *self = decided;
                    return Poll::Ready(Ok(()));
                }
            };
        }
    }
}

fn is_of_this_machine(stream: &TcpStream, remote: SocketAddr) -> bool {
    let is_own = |local: SocketAddr| local.ip() == remote.ip();
    remote.ip().to_canonical().is_loopback() || stream.local_addr().is_ok_and(is_own)
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_ready(cx))?;
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Secure(stream) => Pin::new(stream).poll_read(cx, buffer),
            // The end of what was asked.
            Self::Undecided(..) | Self::Handshake(_) | Self::Closed => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_ready(cx))?;
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Secure(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Undecided(..) | Self::Handshake(_) | Self::Closed => {
                Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Secure(stream) => Pin::new(stream).poll_flush(cx),
            Self::Undecided(..) | Self::Handshake(_) | Self::Closed => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Secure(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Undecided(..) | Self::Handshake(_) | Self::Closed => Poll::Ready(Ok(())),
        }
    }
}
