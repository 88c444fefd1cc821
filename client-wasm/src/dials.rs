//! All transports of the browser as one: WebTransport ([`libp2p_webtransport_websys`]), WebSockets ([`crate::transport`]), and
//! WebRTC-direct ([`crate::webrtc`]).
//!
//! The addresses of one dial start one after the other, the next one a moment later or when the one before has failed
//! ([`Race`]); libp2p keeps the first connection. Which they are, and their order, is decided by
//! [`shared::client::dialing`]; [`crate::network`] calls.

use crate::clock;
use crate::host::Host;
use crate::patient::Patient;
use crate::transport::{Transport as Sockets, DIAL_LIMIT};
use crate::webrtc;
use futures::channel::oneshot;
use futures::future::{select, Ready};
use futures::prelude::*;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, DialOpts, ListenerId, Transport, TransportError, TransportEvent};
use libp2p::core::upgrade;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::{noise, yamux, Multiaddr, PeerId};
use send_wrapper::SendWrapper;
use shared::client::dialing::HEAD_START_MS;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Milliseconds by which a dial ends before whoever waits for it gives up, so that the reason is heard.
const MARGIN: i32 = 500;

/// An open connection, with the peer that was proven to be at its end.
pub type Output = (PeerId, StreamMuxerBox);
type Dial = Pin<Box<dyn Future<Output = io::Result<Output>> + Send>>;

/// The turns of addresses that are about to be dialled. Shared by the node, which sets them, and the transport.
#[derive(Clone)]
pub struct Race(SendWrapper<Rc<RefCell<BTreeMap<Multiaddr, Turn>>>>);

impl Default for Race {
    fn default() -> Self {
        Self(SendWrapper::new(Rc::default()))
    }
}

/// When an address is dialled: when the one before is done, which it shows by dropping its sender, or after a while.
struct Turn {
    before: oneshot::Receiver<()>,
    wait: i32,
    _after: oneshot::Sender<()>,
}

impl Race {
    /// Lines addresses up; to be called right before they are dialled.
    pub fn line_up(&self, addresses: &[Multiaddr]) {
        let mut turns = self.0.borrow_mut();
        // What was never dialled, because its peer was connected meanwhile.
        turns.clear();
        let (mut done, mut before) = oneshot::channel();
        drop(done);
        for (place, address) in (0_i32..).zip(addresses) {
            let next;
            (done, next) = oneshot::channel();
            let turn = Turn {
                before,
                wait: place.saturating_mul(HEAD_START_MS as i32),
                _after: done,
            };
            turns.insert(bare(address), turn);
            before = next;
        }
    }

    fn turn(&self, address: &Multiaddr) -> Option<Turn> {
        self.0.borrow_mut().remove(&bare(address))
    }
}

/// An address without the peer at its end, which libp2p adds.
pub fn bare(address: &Multiaddr) -> Multiaddr {
    let without = |part: &Protocol<'_>| !matches!(part, Protocol::P2p(_));
    address.iter().filter(without).collect()
}

/// Dials what the browser can dial; cannot listen.
pub struct Dials {
    sockets: Boxed<Output>,
    key: Keypair,
    race: Race,
    host: SendWrapper<Rc<Host>>,
}

impl Dials {
    pub fn new(key: &Keypair, race: Race, host: Rc<Host>) -> Result<Self, noise::Error> {
        let sockets = Sockets
            .upgrade(upgrade::Version::V1Lazy)
            .authenticate(noise::Config::new(key)?)
            .multiplex(yamux::Config::default())
            .timeout(Duration::from_millis(DIAL_LIMIT as u64))
            .boxed();
        Ok(Self {
            sockets,
            key: key.clone(),
            race,
            host: SendWrapper::new(host),
        })
    }
}

impl Transport for Dials {
    type Output = Output;
    type Error = io::Error;
    type ListenerUpgrade = Ready<io::Result<Output>>;
    type Dial = Dial;

    fn listen_on(&mut self, _: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        Err(TransportError::MultiaddrNotSupported(address))
    }

    fn remove_listener(&mut self, _: ListenerId) -> bool {
        false
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<Dial, TransportError<io::Error>> {
        let turn = self.race.turn(&address);
        let over = |wanted: Protocol<'_>| address.iter().any(|part| part == wanted);
        let key = self.key.clone();
        let dialing: Dial = if over(Protocol::WebTransport) {
            SendWrapper::new(web_transport(key, address, options)).boxed()
        } else if over(Protocol::WebRTCDirect) {
            let host = self.host.clone().take();
            SendWrapper::new(async move { webrtc::dial(&host, key, &address).await }).boxed()
        } else {
            self.sockets.dial(address, options)?
        };
        Ok(SendWrapper::new(in_turn(turn, dialing)).boxed())
    }

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        Poll::Pending
    }
}

/// Dials when it is the address' turn. Its own turn ends when this does, or is dropped.
async fn in_turn(turn: Option<Turn>, dialing: Dial) -> io::Result<Output> {
    let Some(Turn { before, wait, _after }) = turn else {
        return dialing.await;
    };
    let waiting = clock::sleep(wait);
    futures::pin_mut!(waiting);
    select(before, waiting).await;
    let limit = DIAL_LIMIT.saturating_sub(wait).saturating_sub(MARGIN);
    let silent = || {
        io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no connection within {} seconds", DIAL_LIMIT / 1000),
        )
    };
    clock::within(limit, dialing).await.ok_or_else(silent)?
}

/// The session is begun with the first poll: the stock transport begins it when it is called.
async fn web_transport(key: Keypair, address: Multiaddr, options: DialOpts) -> io::Result<Output> {
    let mut transport = libp2p_webtransport_websys::Transport::new(libp2p_webtransport_websys::Config::new(&key));
    let dialing = transport.dial(address, options).map_err(|error| match error {
        TransportError::MultiaddrNotSupported(address) => io::Error::other(format!("{address} is no address for it")),
        TransportError::Other(error) => io::Error::other(error),
    })?;
    let (peer, connection) = dialing.await.map_err(io::Error::other)?;
    Ok((peer, StreamMuxerBox::new(Patient::new(connection))))
}
