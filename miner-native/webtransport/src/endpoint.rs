//! The QUIC endpoint of a listener: its socket, and what it lets a peer hold before and after the handshake.
//!
//! What a connection may hold grows when its peer is known, and with what is read of it: [`super::window`].

use crate::certificates::{CertificateError, Certificates};
use crate::connection::MAX_UNNAMED_STREAMS;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{EndpointConfig, ServerConfig, TokioRuntime, TransportConfig};
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Streams of somebody who has not said who it is: the one of the request, that of the Noise handshake, and those that it opens as soon
/// as it has said its last word there, a round trip before it can hear that it may: a browser that may not ends the connection.
const MAX_HANDSHAKE_STREAMS: u32 = 2 + MAX_UNNAMED_STREAMS;
/// Bytes of somebody who has not said who it is.
const HANDSHAKE_WINDOW: u32 = 64 << 10;
/// Streams in one direction only: HTTP/3 has three for itself.
const MAX_ONE_WAY_STREAMS: u32 = 4;
/// Bytes of a stream that may wait to be read; what all of a connection may hold together is less.
const STREAM_WINDOW: u32 = 16 << 20;
/// Bytes that wait to be acknowledged by the other side.
const SEND_WINDOW: u64 = 4 << 20;
/// Nobody reads datagrams, but without room for some Chromium does not take the connection for WebTransport.
const DATAGRAMS: usize = 64 << 10;
/// A browser that was killed says nothing: it is noticed by this.
const SILENCE: Duration = Duration::from_secs(30);
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Buffers of the socket: at 1 Gbit/s the packets of 30 ms, in which other tasks may have the processor.
const SOCKET_BUFFER: usize = 4 << 20;
/// Dials that nobody took up yet, and what they may hold together.
const MAX_INCOMING: usize = 1024;
const INCOMING_BUFFER: u64 = 16 << 10;
const INCOMING_BUFFERS: u64 = 4 << 20;

/// The settings under the certificate in use.
pub(crate) fn server_config(certificates: &Certificates) -> Result<ServerConfig, CertificateError> {
    let current = certificates.current();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![current.der.clone()], current.key())?;
    tls.alpn_protocols = vec![web_transport_quinn::ALPN.as_bytes().to_vec()];
    // A session that is resumed would show no certificate.
    tls.send_tls13_tickets = 0;
    let crypto = QuicServerConfig::try_from(tls)
        .map_err(|_| rustls::Error::General("no cipher suite for the first packets".to_owned()))?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(Arc::new(transport_config()));
    config.max_incoming(MAX_INCOMING);
    config.incoming_buffer_size(INCOMING_BUFFER);
    config.incoming_buffer_size_total(INCOMING_BUFFERS);
    Ok(config)
}

fn transport_config() -> TransportConfig {
    let mut config = TransportConfig::default();
    config.max_concurrent_bidi_streams(MAX_HANDSHAKE_STREAMS.into());
    config.max_concurrent_uni_streams(MAX_ONE_WAY_STREAMS.into());
    config.stream_receive_window(STREAM_WINDOW.into());
    config.receive_window(HANDSHAKE_WINDOW.into());
    config.send_window(SEND_WINDOW);
    config.datagram_receive_buffer_size(Some(DATAGRAMS));
    config.datagram_send_buffer_size(DATAGRAMS);
    config.keep_alive_interval(Some(KEEP_ALIVE));
    config.max_idle_timeout(Some(SILENCE.try_into().expect("half a minute fits")));
    config
}

/// Binds and begins to listen.
pub(crate) fn listen(address: SocketAddr, config: ServerConfig) -> io::Result<quinn::Endpoint> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    if address.is_ipv6() {
        // IPv4 is listened on apart.
        socket.set_only_v6(true)?;
    }
    // The system may give less, which costs speed and nothing else.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    quinn::Endpoint::new(
        EndpointConfig::default(),
        Some(config),
        socket.into(),
        Arc::new(TokioRuntime),
    )
}
