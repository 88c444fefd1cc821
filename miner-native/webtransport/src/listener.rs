//! One address on which a node listens: its endpoint, the addresses of the interfaces behind it, and who dials.
//!
//! Dialers whose address is not certain (UDP lets anybody write any) are made to prove it when many handshakes are under way.
//! [`super::transport`] has one for each address; each dialer goes on in [`super::session`].

use crate::certificates::Certificates;
use crate::endpoint;
use crate::session;
use crate::transport::{Error, Shared, Upgrade};
use futures::future::BoxFuture;
use futures::{FutureExt, Stream};
use if_watch::tokio::IfWatcher;
use if_watch::IfEvent;
use libp2p_core::multiaddr::Protocol;
use libp2p_core::transport::{ListenerId, TransportEvent};
use libp2p_core::Multiaddr;
use multihash::Multihash;
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Handshakes under way from which on a dialer has to prove its address first, which costs it a round trip.
const PROOF_OF_ADDRESS_FROM: usize = 32;

type Event = TransportEvent<Upgrade, Error>;

pub(crate) struct Listener {
    pub(crate) id: ListenerId,
    shared: Arc<Shared>,
    endpoint: quinn::Endpoint,
    local: SocketAddr,
    accept: BoxFuture<'static, Option<quinn::Incoming>>,
    /// Which addresses the machine has, where all of them are listened on.
    interfaces: Option<IfWatcher>,
    listening: BTreeSet<IpAddr>,
    announced: [Multihash<64>; 2],
    confirmed: HashSet<Multihash<64>>,
    /// Each handshake has one more.
    handshakes: Arc<()>,
    events: VecDeque<Event>,
    is_closed: bool,
    waker: Option<Waker>,
}

impl Listener {
    pub(crate) fn new(
        id: ListenerId,
        address: SocketAddr,
        certificates: &Certificates,
        shared: Arc<Shared>,
    ) -> Result<Self, Error> {
        let endpoint = endpoint::listen(address, endpoint::server_config(certificates)?).map_err(Error::Listen)?;
        let local = endpoint.local_addr().map_err(Error::Listen)?;
        let mut this = Self {
            id,
            shared,
            accept: accept(&endpoint),
            endpoint,
            local,
            interfaces: None,
            listening: BTreeSet::new(),
            announced: certificates.announced(),
            confirmed: certificates.confirmed(),
            handshakes: Arc::new(()),
            events: VecDeque::new(),
            is_closed: false,
            waker: None,
        };
        match local.ip().is_unspecified() {
            true => this.interfaces = Some(IfWatcher::new().map_err(Error::Listen)?),
            false => this.begin(local.ip()),
        }
        Ok(this)
    }

    /// Goes on with other certificates, under another address.
    pub(crate) fn rotate(&mut self, certificates: &Certificates) -> Result<(), Error> {
        self.endpoint
            .set_server_config(Some(endpoint::server_config(certificates)?));
        self.confirmed = certificates.confirmed();
        let before = std::mem::replace(&mut self.announced, certificates.announced());
        for ip in &self.listening {
            let (listener_id, here) = (self.id, SocketAddr::new(*ip, self.local.port()));
            let (listen_addr, expired) = (multiaddr(here, &self.announced), multiaddr(here, &before));
            self.events.push_back(Event::NewAddress {
                listener_id,
                listen_addr,
            });
            self.events.push_back(Event::AddressExpired {
                listener_id,
                listen_addr: expired,
            });
        }
        self.wake();
        Ok(())
    }

    pub(crate) fn close(&mut self, reason: Result<(), Error>) {
        if !self.is_closed {
            self.is_closed = true;
            self.endpoint.close(0u32.into(), b"");
            let listener_id = self.id;
            self.events.push_back(Event::ListenerClosed { listener_id, reason });
            self.wake();
        }
    }

    pub(crate) fn failed(&mut self, error: Error) {
        let listener_id = self.id;
        self.events.push_back(Event::ListenerError { listener_id, error });
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn begin(&mut self, ip: IpAddr) {
        if self.listening.insert(ip) {
            let listen_addr = multiaddr(SocketAddr::new(ip, self.local.port()), &self.announced);
            let listener_id = self.id;
            self.events.push_back(Event::NewAddress {
                listener_id,
                listen_addr,
            });
        }
    }

    fn end(&mut self, ip: IpAddr) {
        if self.listening.remove(&ip) {
            let listen_addr = multiaddr(SocketAddr::new(ip, self.local.port()), &self.announced);
            let listener_id = self.id;
            self.events.push_back(Event::AddressExpired {
                listener_id,
                listen_addr,
            });
        }
    }

    fn watch_interfaces(&mut self, cx: &mut Context<'_>) {
        let family = self.local.is_ipv4();
        while let Some(Poll::Ready(event)) = self.interfaces.as_mut().map(|all| all.poll_if_event(cx)) {
            match event {
                Ok(IfEvent::Up(net)) if net.addr().is_ipv4() == family => self.begin(net.addr()),
                Ok(IfEvent::Down(net)) if net.addr().is_ipv4() == family => self.end(net.addr()),
                Ok(_) => {}
                Err(error) => {
                    // What was found stays; without this it would be asked again at once.
                    self.interfaces = None;
                    self.failed(Error::Listen(error));
                }
            }
        }
    }

    /// A dialer's handshake, if it is begun.
    fn dialled(&mut self, incoming: quinn::Incoming) -> Option<Event> {
        let is_crowded = Arc::strong_count(&self.handshakes) > PROOF_OF_ADDRESS_FROM;
        if is_crowded && !incoming.remote_address_validated() {
            // It comes again with the proof.
            let _ = incoming.retry();
            return None;
        }
        let send_back_addr = quic_address(incoming.remote_address());
        let local = incoming
            .local_ip()
            .map_or(self.local, |ip| SocketAddr::new(ip, self.local.port()));
        let connecting = match incoming.accept() {
            Ok(connecting) => connecting,
            Err(error) => {
                tracing::debug!(from = %send_back_addr, %error, "a dialer's first packet is refused");
                return None;
            }
        };
        let place = self.handshakes.clone();
        let setting_up = session::set_up(connecting, self.shared.clone(), self.confirmed.clone());
        let limit = self.shared.handshake_limit;
        let upgrade = async move {
            let _place = place;
            let limited = tokio::time::timeout(limit, setting_up).await;
            limited.unwrap_or(Err(Error::TooSlow))
        };
        Some(Event::Incoming {
            listener_id: self.id,
            upgrade: upgrade.boxed(),
            local_addr: multiaddr(local, &self.announced),
            send_back_addr,
        })
    }
}

impl Stream for Listener {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(Some(event));
            }
            if self.is_closed {
                return Poll::Ready(None);
            }
            self.watch_interfaces(cx);
            if !self.events.is_empty() {
                continue;
            }
            match self.accept.poll_unpin(cx) {
                Poll::Ready(Some(incoming)) => {
                    self.accept = accept(&self.endpoint);
                    if let Some(event) = self.dialled(incoming) {
                        return Poll::Ready(Some(event));
                    }
                }
                Poll::Ready(None) => self.close(Err(Error::Listen(io::ErrorKind::ConnectionAborted.into()))),
                Poll::Pending => {
                    self.waker = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            }
        }
    }
}

fn accept(endpoint: &quinn::Endpoint) -> BoxFuture<'static, Option<quinn::Incoming>> {
    let endpoint = endpoint.clone();
    async move { endpoint.accept().await }.boxed()
}

fn quic_address(address: SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip())
        .with(Protocol::Udp(address.port()))
        .with(Protocol::QuicV1)
        .with(Protocol::WebTransport)
}

fn multiaddr(address: SocketAddr, hashes: &[Multihash<64>]) -> Multiaddr {
    let quic = quic_address(address);
    hashes
        .iter()
        .fold(quic, |all, hash| all.with(Protocol::Certhash(*hash)))
}
