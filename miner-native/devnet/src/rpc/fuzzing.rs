//! Entries for the fuzz targets: sessions at `/ws` without a network below them.

use super::{socket, Access, Server, Serving};
use crate::answer::parse;
use crate::testing::config;
use crate::Devnet;
use axum::extract::ws::Message;
use futures::{Sink, Stream};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// What the other side sends.
pub enum Frame {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Close,
}

impl From<Frame> for Message {
    fn from(frame: Frame) -> Self {
        match frame {
            Frame::Text(text) => Self::Text(text.into()),
            Frame::Binary(bytes) => Self::Binary(bytes.into()),
            Frame::Ping(bytes) => Self::Ping(bytes.into()),
            Frame::Close => Self::Close(None),
        }
    }
}

/// The id under which a text is to be answered; `None` for a request that nobody waits for.
pub fn id_of(text: &str) -> Option<Value> {
    match parse(text.as_bytes()) {
        // What belongs to a connection is answered in any case, but one that could not be ended is not made.
        Ok(request) if request.method == "chain.unsubscribe" => Some(request.id.unwrap_or_default()),
        Ok(request) => request.id,
        Err((id, _)) => Some(id),
    }
}

/// A chain that sessions are held with, one after the other.
pub struct Session {
    server: Server,
    runtime: Runtime,
    _stop: watch::Sender<bool>,
}

impl Session {
    /// Begins a chain in a folder of its own.
    pub fn open() -> Self {
        let dir = std::env::temp_dir().join(format!("sealdrop-fuzz-{}", std::process::id()));
        let devnet = Devnet::open(config(&dir)).expect("a chain begins in an empty folder");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .expect("a runtime starts");
        let stop = watch::Sender::new(false);
        let serving = Serving {
            block_time: Duration::ZERO,
            access: Access::default(),
            tls: None,
        };
        let server = Server::new(Arc::clone(&devnet.node), serving, stop.subscribe());
        Self {
            server,
            runtime,
            _stop: stop,
        }
    }

    /// Plays a session; what was said, in order.
    pub fn run(&self, frames: Vec<Frame>) -> Vec<Value> {
        let from = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut said = Vec::new();
        let socket = Played {
            frames: frames.into_iter(),
            said: &mut said,
        };
        self.runtime.block_on(socket::serve(self.server.clone(), from, socket));
        said
    }
}

/// The other side, which sends all it has and reads everything.
struct Played<'a> {
    frames: std::vec::IntoIter<Frame>,
    said: &'a mut Vec<Value>,
}

impl Stream for Played<'_> {
    type Item = Result<Message, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.frames.next().map(|frame| Ok(frame.into())))
    }
}

impl Sink<Message> for Played<'_> {
    type Error = axum::Error;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Self::Error> {
        if let Message::Text(text) = message {
            let value = serde_json::from_str(&text).map_err(axum::Error::new)?;
            self.get_mut().said.push(value);
        }
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }
}
