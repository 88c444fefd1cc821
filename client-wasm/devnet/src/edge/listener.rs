//! A libp2p transport that listens on sockets in the page; it cannot dial.

use crate::pipe::Pipe;
use futures::channel::mpsc;
use futures::future::{ready, Pending, Ready};
use futures::StreamExt;
use libp2p::core::transport::{DialOpts, ListenerId, Transport, TransportError, TransportEvent};
use libp2p::Multiaddr;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Connections that come in are the pipes that are sent to it.
pub struct Listener {
    incoming: mpsc::Receiver<Pipe>,
    /// What it listens on, and whether that was told.
    on: Option<(ListenerId, Multiaddr, bool)>,
}

impl Listener {
    pub fn new(incoming: mpsc::Receiver<Pipe>) -> Self {
        let on = None;
        Self { incoming, on }
    }
}

impl Transport for Listener {
    type Output = Pipe;
    type Error = io::Error;
    type ListenerUpgrade = Ready<io::Result<Pipe>>;
    type Dial = Pending<io::Result<Pipe>>;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        self.on = Some((id, address, false));
        Ok(())
    }

    fn remove_listener(&mut self, _: ListenerId) -> bool {
        self.on.take().is_some()
    }

    fn dial(&mut self, address: Multiaddr, _: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        Err(TransportError::MultiaddrNotSupported(address))
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        let Self { incoming, on } = &mut *self;
        let Some((listener_id, address, is_told)) = on else {
            return Poll::Pending;
        };
        let (listener_id, address) = (*listener_id, address.clone());
        if !std::mem::replace(is_told, true) {
            let listen_addr = address;
            return Poll::Ready(TransportEvent::NewAddress {
                listener_id,
                listen_addr,
            });
        }
        match incoming.poll_next_unpin(cx) {
            Poll::Ready(Some(pipe)) => Poll::Ready(TransportEvent::Incoming {
                listener_id,
                upgrade: ready(Ok(pipe)),
                local_addr: address.clone(),
                send_back_addr: address,
            }),
            // Without senders nothing comes any more; the network is gone.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}
