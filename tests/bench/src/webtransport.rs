//! A plain WebTransport session: each stream that the browser opens begins with a line, `up N` or `down N`, and what comes then is as in
//! [`crate::websocket`], but that the answer to `up` is the number as text and the end of the stream.

use crate::Failure;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::PrivateKeyDer;
use sha2::{Digest, Sha256};
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;
use std::sync::Arc;
use time::{Duration, OffsetDateTime};
use web_transport_quinn::{RecvStream, Request, SendStream};

/// Bytes of a write.
const PART: usize = 64 * 1024;
/// Windows and buffers that do not hold a fast path up: what is measured is the browser and QUIC.
const STREAM_WINDOW: u32 = 8 << 20;
const CONNECTION_WINDOW: u32 = 32 << 20;
const SOCKET_BUFFER: usize = 4 << 20;

/// Listens for as long as the runtime lives: where, and the certificate's hash in hexadecimal. Inside of a runtime.
pub fn listen(address: SocketAddr) -> Result<(SocketAddr, String), Failure> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut parameters = CertificateParams::new(["localhost".to_owned()])?;
    // Browsers take no hash of a certificate that is valid for more than 14 days.
    parameters.not_before = OffsetDateTime::now_utc() - Duration::hours(1);
    parameters.not_after = parameters.not_before + Duration::days(13);
    let certificate = parameters.self_signed(&key)?.der().clone();
    let hash = hex::encode(Sha256::digest(&certificate));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(key.serialize_der().into()))?;
    tls.alpn_protocols = vec![web_transport_quinn::ALPN.as_bytes().to_vec()];
    let mut config =
        quinn::ServerConfig::with_crypto(Arc::new(quinn::crypto::rustls::QuicServerConfig::try_from(tls)?));
    let mut transport = quinn::TransportConfig::default();
    transport.stream_receive_window(STREAM_WINDOW.into());
    transport.receive_window(CONNECTION_WINDOW.into());
    transport.send_window(CONNECTION_WINDOW.into());
    config.transport_config(Arc::new(transport));
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.bind(&address.into())?;
    let runtime = Arc::new(quinn::TokioRuntime);
    let endpoint = quinn::Endpoint::new(quinn::EndpointConfig::default(), Some(config), socket.into(), runtime)?;
    let bound = endpoint.local_addr()?;
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(serve(incoming));
        }
    });
    Ok((bound, hash))
}

/// A session that breaks is a measurement that fails in the browser.
async fn serve(incoming: quinn::Incoming) -> Option<()> {
    let request = Request::accept(incoming.await.ok()?).await.ok()?;
    let session = request.ok().await.ok()?;
    while let Ok((send, receive)) = session.accept_bi().await {
        tokio::spawn(exchange(send, receive));
    }
    Some(())
}

async fn exchange(mut send: SendStream, mut receive: RecvStream) -> Option<()> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.last() != Some(&b'\n') {
        receive.read_exact(&mut byte).await.ok()?;
        line.extend(byte);
    }
    let line = String::from_utf8(line).ok()?;
    let (way, bytes) = line.trim().split_once(' ')?;
    let bytes: usize = bytes.parse().ok()?;
    if way == "up" {
        let (mut part, mut taken) = (vec![0; PART], 0);
        while taken < bytes {
            taken += receive.read(&mut part).await.ok()??;
        }
        send.write_all(taken.to_string().as_bytes()).await.ok()?;
    } else {
        let (part, mut left) = (vec![7; PART], bytes);
        while left > 0 {
            let size = left.min(PART);
            send.write_all(part.get(..size)?).await.ok()?;
            left -= size;
        }
    }
    send.finish().ok()
}
