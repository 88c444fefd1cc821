//! Secure WebSocket: TLS under the operator's certificate, which [`super::swarm`] listens with.

use super::listen::TransportKind;
use futures::{AsyncRead, AsyncWrite};
use futures_rustls::rustls::crypto::ring::default_provider;
use futures_rustls::rustls::{self, ServerConfig};
use futures_rustls::server::TlsStream;
use futures_rustls::TlsAcceptor;
use libp2p::core::transport::{DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, Transport};
use sealdrop_listener::Certificate;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Accepts TLS under whatever certificate is in use at that time.
pub(super) fn acceptor(certificate: &Certificate) -> Result<TlsAcceptor, rustls::Error> {
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certificate.clone()));
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A socket that somebody dialled, under TLS. This host dials nobody through it.
pub(super) async fn accept<S>(acceptor: TlsAcceptor, stream: S) -> io::Result<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    acceptor.accept(stream).await
}

/// Gives the addresses of a WebSocket transport whose sockets are under TLS their `/tls`.
pub(super) struct Secure<T>(pub(super) T);

impl<T: Transport + Unpin> Transport for Secure<T> {
    type Output = T::Output;
    type Error = T::Error;
    type ListenerUpgrade = T::ListenerUpgrade;
    type Dial = T::Dial;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<T::Error>> {
        match TransportKind::of(&address) {
            Some(TransportKind::SecureWebSocket) => self.0.listen_on(id, plain(&address)),
            _ => Err(TransportError::MultiaddrNotSupported(address)),
        }
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.0.remove_listener(id)
    }

    /// The other WebSocket transport can, by the certificates of authorities.
    fn dial(&mut self, address: Multiaddr, _: DialOpts) -> Result<T::Dial, TransportError<T::Error>> {
        Err(TransportError::MultiaddrNotSupported(address))
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<TransportEvent<T::ListenerUpgrade, T::Error>> {
        Pin::new(&mut self.0).poll(context).map(|event| match event {
            TransportEvent::NewAddress {
                listener_id,
                listen_addr,
            } => TransportEvent::NewAddress {
                listener_id,
                listen_addr: secure(&listen_addr),
            },
            TransportEvent::AddressExpired {
                listener_id,
                listen_addr,
            } => TransportEvent::AddressExpired {
                listener_id,
                listen_addr: secure(&listen_addr),
            },
            TransportEvent::Incoming {
                listener_id,
                upgrade,
                local_addr,
                send_back_addr,
            } => TransportEvent::Incoming {
                listener_id,
                upgrade,
                local_addr: secure(&local_addr),
                send_back_addr: secure(&send_back_addr),
            },
            other => other,
        })
    }
}

/// `/tls/ws` or `/wss` as `/ws`.
fn plain(address: &Multiaddr) -> Multiaddr {
    let without = address.iter().filter(|part| !matches!(part, Protocol::Tls));
    let as_ws = |part| match part {
        Protocol::Wss(path) => Protocol::Ws(path),
        other => other,
    };
    without.map(as_ws).collect()
}

/// `/ws` as `/tls/ws`.
fn secure(address: &Multiaddr) -> Multiaddr {
    let with_tls = |part| match part {
        ws @ Protocol::Ws(_) => vec![Protocol::Tls, ws],
        other => vec![other],
    };
    address.iter().flat_map(with_tls).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_get_their_tls_and_lose_it_again() {
        let address = |text: &str| -> Multiaddr { text.parse().expect("a multiaddr") };
        let (with, without) = (
            address("/ip4/1.2.3.4/tcp/443/tls/ws"),
            address("/ip4/1.2.3.4/tcp/443/ws"),
        );
        assert_eq!((plain(&with), secure(&without)), (without.clone(), with));
        assert_eq!(plain(&address("/ip4/1.2.3.4/tcp/443/wss")), without);
    }
}
