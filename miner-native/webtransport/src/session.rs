//! From a dialled QUIC connection to a libp2p connection: HTTP/3, the request for a session, the Noise handshake.
//!
//! Requests for anything but libp2p are refused. The Noise handshake confirms the hashes of the certificates by which the dialer
//! came. Begun by [`super::listener`], within [`Config::handshake_limit`](crate::Config::handshake_limit); next is the [`super::connection`].

use crate::connection::{Connection, Open};
use crate::transport::{Error, Shared};
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p_core::upgrade::InboundConnectionUpgrade;
use libp2p_core::{StreamMuxer, UpgradeInfo};
use libp2p_identity::PeerId;
use multihash::Multihash;
use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use web_transport_quinn::http::StatusCode;
use web_transport_quinn::Request;

/// Where libp2p is, by its specification.
const PATH: &str = "/.well-known/libp2p-webtransport";

/// A QUIC connection that ends with this: until there is a session nothing else closes it when the handshake is given up.
struct Dialled(Option<quinn::Connection>);

impl Drop for Dialled {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            connection.close(0u32.into(), b"");
        }
    }
}

/// Sets a session up; whoever drops this gives it up.
pub(crate) async fn set_up(
    connecting: quinn::Connecting,
    shared: Arc<Shared>,
    confirmed: HashSet<Multihash<64>>,
) -> Result<(PeerId, Connection), Error> {
    let session = requested(connecting).await?;
    let mut connection = Connection::new(session, shared.budget.clone());
    // The dialer opens the first stream, and it carries the handshake only, without negotiation of a protocol.
    let stream = poll_fn(|cx| Pin::new(&mut connection).poll_inbound(cx)).await?;
    let noise = libp2p_noise::Config::new(&shared.key)
        .map_err(Error::Noise)?
        .with_webtransport_certhashes(confirmed);
    let protocol = noise.protocol_info().next().unwrap_or_default();
    let (peer, mut done) = noise.upgrade_inbound(stream, protocol).await.map_err(Error::Noise)?;
    connection.known();
    // Dropped at once, js-libp2p would see the stream stopped before it has closed its side, and fail.
    tokio::spawn(tokio::time::timeout(shared.handshake_limit, async move {
        let _ = done.close().await;
        let _ = done.read(&mut [0]).await;
    }));
    Ok((peer, connection))
}

/// A session for libp2p that somebody asked for.
async fn requested(connecting: quinn::Connecting) -> Result<Open, Error> {
    let connection = connecting.await.map_err(Error::Connection)?;
    let mut dialled = Dialled(Some(connection.clone()));
    let request = Request::accept(connection).await.map_err(Error::Session)?;
    let is_libp2p = request.url.path() == PATH && request.url.query_pairs().any(|(k, v)| k == "type" && v == "noise");
    if !is_libp2p {
        request.reject(StatusCode::NOT_FOUND).await.map_err(Error::Session)?;
        // The answer is on its way; the other side closes.
        if let Some(connection) = &dialled.0 {
            connection.closed().await;
        }
        return Err(Error::Path);
    }
    let session = Open(request.ok().await.map_err(Error::Session)?);
    dialled.0 = None;
    Ok(session)
}
