//! The transports that the other tests do not use: one identity on all, and the certificates that they need.

use super::*;
use crate::network::listen::TransportKind::{self, Quic, SecureWebSocket, Tcp, WebRtcDirect, WebSocket, WebTransport};
use crate::network::swarm::Certificates;
use futures::future::BoxFuture;
use futures::FutureExt;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{DialOpts, PortUse};
use libp2p::core::upgrade::Version;
use libp2p::core::Endpoint;
use libp2p::swarm::SwarmEvent;
use libp2p::{dns, noise, tcp, yamux, Multiaddr, Transport};
use sealdrop_listener::{Certificate, PemFiles};
use std::collections::BTreeSet;

/// How long a connection may take, on a busy machine.
const CONNECTED_WITHIN: Duration = Duration::from_secs(60);

fn config(dir: &tempfile::TempDir, listen: &[&str]) -> HostConfig {
    HostConfig {
        listen: listen.iter().map(|text| text.parse().unwrap()).collect(),
        certificates: dir.path().join("certificates"),
        ..HostConfig::default()
    }
}

/// The same, with the operator's certificate that is in the folder.
fn with_certificate(dir: &tempfile::TempDir, listen: &[&str]) -> (Certificate, HostConfig) {
    let files = PemFiles {
        certificate: dir.path().join("fullchain.pem"),
        key: dir.path().join("privkey.pem"),
    };
    let certificate = Certificate::load(files).unwrap();
    let tls = Some(certificate.clone());
    let config = HostConfig {
        tls,
        ..config(dir, listen)
    };
    (certificate, config)
}

/// Puts a new certificate of the operator's into the folder; returns it.
fn renewed(dir: &tempfile::TempDir) -> Vec<u8> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(dir.path().join("fullchain.pem"), made.cert.pem()).unwrap();
    std::fs::write(dir.path().join("privkey.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().to_vec()
}

async fn running(config: HostConfig) -> Host {
    let host = Host::start(Keypair::generate_ed25519(), config).await.unwrap();
    let open = host.open().await.unwrap();
    tokio::spawn(open.run());
    host
}

fn listening(host: &Host, kind: TransportKind) -> Multiaddr {
    let all = host.listening();
    all.into_iter().find(|a| TransportKind::of(a) == Some(kind)).unwrap()
}

/// Whether a swarm reaches the host there, and meets whom it is to meet.
async fn is_reached(host: &Host, address: &Multiaddr, dir: &tempfile::TempDir) -> bool {
    // Over WebRTC only who listens can dial.
    let own = config(dir, &["/ip4/127.0.0.1/udp/0/webrtc-direct"]);
    let listeners = own.listeners().unwrap();
    let certificates = Certificates::of(&own, &listeners).unwrap();
    let mut swarm = swarm::swarm(
        &Keypair::generate_ed25519(),
        &certificates,
        &refused::Refused::default(),
    )
    .unwrap();
    swarm.listen_on(own.listen[0].clone()).unwrap();
    let address = address.clone().with_p2p(host.peer_id()).unwrap();
    swarm::dial(&mut swarm, address.clone().into()).unwrap();
    // A handshake has ten seconds, which may be short on a busy machine: whoever dials tries again.
    let mut tries_left = 2;
    let outcome = async {
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { peer_id, .. } => return peer_id == host.peer_id(),
                SwarmEvent::OutgoingConnectionError { error, .. } => {
                    assert!(tries_left > 0, "{address}: {error}");
                    tries_left -= 1;
                    swarm::dial(&mut swarm, address.clone().into()).unwrap();
                }
                _ => {}
            }
        }
    };
    tokio::time::timeout(CONNECTED_WITHIN, outcome).await.unwrap_or(false)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_one_peer_on_every_transport() {
    let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    renewed(&dir);
    let (_, config) = with_certificate(
        &dir,
        &[
            "/ip4/127.0.0.1/tcp/0",
            "/ip4/127.0.0.1/tcp/0/ws",
            "/ip4/127.0.0.1/tcp/0/tls/ws",
            "/ip4/127.0.0.1/udp/0/quic-v1",
            "/ip4/127.0.0.1/udp/0/quic-v1/webtransport",
            "/ip4/127.0.0.1/udp/0/webrtc-direct",
        ],
    );
    let host = running(config).await;
    let kinds: BTreeSet<_> = host.addresses().iter().filter_map(TransportKind::of).collect();
    assert_eq!(
        kinds,
        BTreeSet::from([Tcp, Quic, WebSocket, SecureWebSocket, WebTransport, WebRtcDirect])
    );
    for kind in [Tcp, WebSocket, Quic, WebRtcDirect] {
        assert!(is_reached(&host, &listening(&host, kind), &own).await, "{kind}");
    }
}

/// A client that trusts one certificate, as a browser trusts those of authorities.
fn dial_trusting(certificate: &[u8], address: &Multiaddr) -> BoxFuture<'static, Result<PeerId, String>> {
    let trusted = libp2p_websocket::tls::Certificate::new(certificate.to_vec());
    let mut tls = libp2p_websocket::tls::Config::builder();
    tls.add_trust(&trusted).unwrap();
    // By its name, which is in the certificate.
    let named = address.to_string().replace("/ip4/127.0.0.1", "/dns4/localhost");
    let (resolver, options) = (dns::ResolverConfig::default(), dns::ResolverOpts::default());
    let socket = tcp::tokio::Transport::new(tcp::Config::default());
    let mut websocket = libp2p_websocket::Config::new(dns::tokio::Transport::custom(socket, resolver, options));
    websocket.set_tls_config(tls.finish());
    let mut transport = websocket
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(&Keypair::generate_ed25519()).unwrap())
        .multiplex(yamux::Config::default())
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
        .boxed();
    let options = DialOpts {
        role: Endpoint::Dialer,
        port_use: PortUse::New,
    };
    let dialling = transport.dial(named.parse().unwrap(), options).unwrap();
    async move { dialling.await.map(|(peer, _)| peer).map_err(|e| format!("{e:?}")) }.boxed()
}

#[tokio::test(flavor = "multi_thread")]
async fn secure_websocket_is_under_the_certificate_in_use_also_after_it_was_renewed() {
    let dir = tempfile::tempdir().unwrap();
    let first = renewed(&dir);
    let (certificate, config) = with_certificate(&dir, &["/ip4/127.0.0.1/tcp/0/tls/ws"]);
    let host = running(config).await;
    let address = listening(&host, SecureWebSocket);
    assert!(address.to_string().ends_with("/tls/ws"), "{address}");
    assert_eq!(dial_trusting(&first, &address).await, Ok(host.peer_id()));
    let second = renewed(&dir);
    assert!(certificate.reload().unwrap());
    assert_eq!(dial_trusting(&second, &address).await, Ok(host.peer_id()));
    assert!(dial_trusting(&first, &address).await.is_err());
}

#[tokio::test]
async fn the_addresses_of_a_host_are_the_same_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let browsers = [
        "/ip4/127.0.0.1/udp/0/quic-v1/webtransport",
        "/ip4/127.0.0.1/udp/0/webrtc-direct",
    ];
    let hashes = |host: &Host| -> Vec<String> {
        let hash = |address: &Multiaddr| address.to_string().split_once("/certhash").unwrap().1.to_owned();
        host.addresses().iter().map(hash).collect()
    };
    let first = Host::start(Keypair::generate_ed25519(), config(&dir, &browsers))
        .await
        .unwrap();
    let second = Host::start(Keypair::generate_ed25519(), config(&dir, &browsers))
        .await
        .unwrap();
    assert_eq!(hashes(&first), hashes(&second));
}
