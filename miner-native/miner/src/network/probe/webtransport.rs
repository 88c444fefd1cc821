//! Whether an address answers over WebTransport: the certificate is one of the address's hashes, the session is taken, and the Noise
//! handshake on its first stream shows the expected peer. There is no dialling side of this transport in rust-libp2p; this is
//! as much of one as it takes to know who answers.

use super::{short, Unanswered};
use futures::AsyncWriteExt;
use libp2p::core::upgrade::OutboundConnectionUpgrade;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::multihash::Multihash;
use libp2p::{noise, Multiaddr, PeerId};
use reqwest::Url;
use std::collections::HashSet;
use tokio::io::join;
use tokio_util::compat::TokioAsyncReadCompatExt;
use web_transport_quinn::{ClientBuilder, ClientError};

/// Where libp2p's specification has the session.
const PATH: &str = "/.well-known/libp2p-webtransport?type=noise";

/// What such an address says.
pub(super) struct Target {
    url: Url,
    hashes: HashSet<Multihash<64>>,
}

impl Target {
    /// `None` when it is of another transport, or names no hash: authorities' certificates are for browsers to judge.
    pub fn of(address: &Multiaddr) -> Option<Self> {
        let mut parts = address.iter();
        let host = match parts.next()? {
            Protocol::Ip4(ip) => ip.to_string(),
            Protocol::Ip6(ip) => format!("[{ip}]"),
            Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) => name.to_string(),
            _ => return None,
        };
        let (Protocol::Udp(port), Protocol::QuicV1, Protocol::WebTransport) =
            (parts.next()?, parts.next()?, parts.next()?)
        else {
            return None;
        };
        let hashes = parts.filter_map(|part| match part {
            Protocol::Certhash(hash) => Some(hash),
            _ => None,
        });
        let hashes: HashSet<_> = hashes.collect();
        let url = format!("https://{host}:{port}{PATH}").parse().ok()?;
        (!hashes.is_empty()).then_some(Self { url, hashes })
    }

    /// Who answers there.
    pub async fn answers(self, key: &Keypair) -> Result<PeerId, Unanswered> {
        let accepted = self.hashes.iter().map(|hash| hash.digest().to_vec()).collect();
        let client = ClientBuilder::new().with_server_certificate_hashes(accepted);
        let client = client.map_err(|error| Unanswered::Handshake(short(&error)))?;
        let session = client.connect(self.url).await.map_err(|error| reason(&error))?;
        let handshake = |error: &dyn std::fmt::Display| Unanswered::Handshake(short(error));
        let (send, recv) = session.open_bi().await.map_err(|error| handshake(&error))?;
        let noise = noise::Config::new(key).map_err(|error| handshake(&error))?;
        let noise = noise.with_webtransport_certhashes(self.hashes);
        let stream = join(recv, send).compat();
        let secured = noise.upgrade_outbound(stream, "/noise").await;
        let (peer, mut secured) = secured.map_err(|error| handshake(&error))?;
        // Who answers is known: how the session ends matters to nobody.
        let _ = secured.close().await;
        session.close(0, b"");
        Ok(peer)
    }
}

fn reason(error: &ClientError) -> Unanswered {
    let text = short(error);
    let says = |word: &str| text.to_lowercase().contains(word);
    match error {
        ClientError::InvalidDnsName(_) => Unanswered::Name(text),
        // rustls tells the other side, and quinn's words for it are of TLS's alerts.
        _ if says("certificate") || says("cryptographic handshake failed") => Unanswered::Certificate(text),
        _ if says("timed out") => Unanswered::Silent,
        _ => Unanswered::Handshake(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_webtransport_address_with_a_hash_is_tried() {
        let hash = "/certhash/uEiAkH5a4DPGKUuOBjYw0CgwjvcJCJMD2K_1aluKR_tpevQ";
        let of = |text: String| Target::of(&text.parse().expect("a multiaddr"));
        let target = of(format!("/ip6/::1/udp/4405/quic-v1/webtransport{hash}")).expect("it is one");
        assert_eq!(target.url.as_str(), format!("https://[::1]:4405{PATH}"));
        assert_eq!(target.hashes.len(), 1);
        assert!(of("/ip4/127.0.0.1/udp/4405/quic-v1/webtransport".into()).is_none());
        assert!(of("/ip4/127.0.0.1/udp/4405/quic-v1".into()).is_none());
        assert!(of(format!("/ip4/127.0.0.1/udp/4405/webrtc-direct{hash}")).is_none());
    }
}
