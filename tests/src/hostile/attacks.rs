//! What hostile peers do, against every listener of a daemon. Each attack goes on until it is dropped.

use crate::peer::Peer;
use futures::AsyncWriteExt;
use libp2p::core::muxing::{StreamMuxerBox, StreamMuxerExt};
use libp2p::core::transport::{DialOpts, PortUse};
use libp2p::core::upgrade::Version;
use libp2p::core::Endpoint;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::{noise, tcp, yamux, Multiaddr, Transport};
use shared::wire::frame::MAX_MESSAGE;
use shared::wire::{leb128, protocol};
use std::future::{pending, poll_fn, Future};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Whom an attack is meant for, and how much of it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The daemon's: libp2p, libp2p over WebSocket, chain, page; or those of a [`super::Relay`] to it.
    pub ports: [u16; 4],
    /// Connections of a flood, to each listener that it is made to.
    flood: usize,
    /// Connections that are filled with streams, and streams that each tries to hold. Up to 256 KiB of each lie with the attacker.
    filled: usize,
    streams: usize,
}

impl Target {
    /// For an attacker alone: more than any listener takes.
    pub fn of_one(ports: [u16; 4]) -> Self {
        Self {
            ports,
            flood: 400,
            filled: 100,
            streams: 24,
        }
    }

    /// For one of several attackers, which together are as many.
    pub fn of_several(ports: [u16; 4]) -> Self {
        Self {
            ports,
            flood: 150,
            filled: 16,
            streams: 24,
        }
    }
}

/// Streams of a connection whose protocol is agreed at a time.
const NEGOTIATING: usize = 16;
/// Pause between two bytes of a trickle.
const DRIP: Duration = Duration::from_millis(500);

/// An attack under way.
pub trait Attack {}

/// What an attack is called, and how it begins.
pub type Kind = (&'static str, fn(&Target) -> Box<dyn Attack>);

/// Every attack.
pub const ALL: [Kind; 6] = [
    ("idle connections to every listener", idle_connections),
    ("headers that come a byte at a time", slow_headers),
    ("bodies that come a byte at a time", slow_bodies),
    ("WebSocket frames that declare what never comes", declared_frames),
    ("streams full of bytes that nobody reads", full_streams),
    ("requests that never end", endless_requests),
];

impl Attack for Vec<TcpStream> {}
impl<T> Attack for (Vec<Peer>, Vec<T>) {}

fn connections(port: u16, count: usize) -> Vec<TcpStream> {
    let connect = |_| TcpStream::connect(("127.0.0.1", port)).ok();
    (0..count).filter_map(connect).collect()
}

fn idle_connections(target: &Target) -> Box<dyn Attack> {
    let all = target.ports.map(|port| connections(port, target.flood));
    Box::new(all.into_iter().flatten().collect::<Vec<_>>())
}

/// Connections on which a byte comes now and then; one that the daemon closes is made anew.
struct Trickle {
    stop: Arc<AtomicBool>,
    dripping: Option<JoinHandle<()>>,
}

impl Attack for Trickle {}

impl Trickle {
    fn begin(ports: &[u16], count: usize, first: &'static str) -> Box<dyn Attack> {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, ports) = (stop.clone(), ports.to_vec());
        let dial = move |port: u16| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
            stream.write_all(first.as_bytes()).ok()?;
            Some((port, stream))
        };
        let dripping = std::thread::spawn(move || {
            let mut held: Vec<_> = ports
                .iter()
                .flat_map(|port| (0..count).map(|_| *port))
                .filter_map(dial)
                .collect();
            while !stopped.load(Ordering::Relaxed) {
                for (port, stream) in &mut held {
                    if stream.write_all(b"x").is_err() {
                        if let Some((_, anew)) = dial(*port) {
                            *stream = anew;
                        }
                    }
                }
                std::thread::sleep(DRIP);
            }
        });
        Box::new(Self {
            stop,
            dripping: Some(dripping),
        })
    }
}

impl Drop for Trickle {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(dripping) = self.dripping.take() {
            let _ = dripping.join();
        }
    }
}

fn slow_headers(target: &Target) -> Box<dyn Attack> {
    let [_, ws, chain, web] = target.ports;
    Trickle::begin(
        &[ws, chain, web],
        target.flood,
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ",
    )
}

fn slow_bodies(target: &Target) -> Box<dyn Attack> {
    let [.., chain, web] = target.ports;
    let request =
        "POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 200000\r\n\r\n{";
    Trickle::begin(&[chain, web], target.flood, request)
}

/// Upgraded connections with a frame whose length is all that comes of it.
fn declared_frames(target: &Target) -> Box<dyn Attack> {
    let [_, ws, chain, _] = target.ports;
    let mut held = Vec::new();
    for (port, path) in [(ws, "/"), (chain, "/ws")] {
        for mut stream in connections(port, 100) {
            let upgrade = format!(
                "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            );
            let patience = stream.set_read_timeout(Some(Duration::from_secs(2)));
            let mut answer = [0; 1024];
            if patience.is_err() || stream.write_all(upgrade.as_bytes()).is_err() || stream.read(&mut answer).is_err() {
                continue;
            }
            // Half of them just within the limit, half far beyond it.
            let declared = [200 * 1024_u64, 255 << 20][held.len() % 2];
            let mut frame = vec![0x82, 0xff];
            frame.extend(declared.to_be_bytes());
            frame.extend([1, 2, 3, 4]);
            let _ = stream.write_all(&frame);
            held.push(stream);
        }
    }
    Box::new(held)
}

/// Many connections, each with as many streams as it gets, each full of bytes that stand before any agreement on a protocol.
fn full_streams(target: &Target) -> Box<dyn Attack> {
    let address = Multiaddr::empty()
        .with(Protocol::Ip4([127, 0, 0, 1].into()))
        .with(Protocol::Tcp(target.ports[0]));
    let runtime = Runtime::new().expect("threads can be started");
    let said = Arc::new(vec![b'x'; 256 * 1024]);
    for _ in 0..target.filled {
        runtime.spawn(fill(address.clone(), target.streams, said.clone()));
    }
    std::thread::sleep(Duration::from_secs(4));
    Box::new(runtime)
}

impl Attack for Runtime {}

/// One connection of [`full_streams`]: opens streams for ever, and holds those that take bytes.
async fn fill(address: Multiaddr, streams: usize, said: Arc<Vec<u8>>) {
    let noise = noise::Config::new(&Keypair::generate_ed25519()).expect("a key signs");
    let mut transport = tcp::tokio::Transport::default()
        .upgrade(Version::V1)
        .authenticate(noise)
        .multiplex(yamux::Config::default())
        .map(|(_, muxer), _| StreamMuxerBox::new(muxer))
        .boxed();
    let options = DialOpts {
        role: Endpoint::Dialer,
        port_use: PortUse::New,
    };
    let Ok(dialled) = transport.dial(address, options) else {
        return;
    };
    let Ok(mut connection) = dialled.await else { return };
    let mut held: Vec<Pin<Box<dyn Future<Output = ()> + Send>>> = Vec::new();
    poll_fn(|context| {
        while held.len() < streams {
            let Poll::Ready(Ok(mut stream)) = connection.poll_outbound_unpin(context) else {
                break;
            };
            // The first ones keep their protocol back, so that nobody reads the others.
            let said = match held.len() < NEGOTIATING {
                true => Arc::new(b"\x13/multistream/1.0.0\n\xff\x7f".to_vec()),
                false => said.clone(),
            };
            held.push(Box::pin(async move {
                // Taken or not: the stream stays open.
                let _ = stream.write_all(&said).await;
                pending::<()>().await;
            }));
        }
        for stream in &mut held {
            let _ = stream.as_mut().poll(context);
        }
        match connection.poll_unpin(context) {
            Poll::Ready(Err(_)) => Poll::Ready(()),
            _ => Poll::Pending,
        }
    })
    .await;
}

/// A proposal of the greatest length, but for its last bytes.
fn endless_requests(target: &Target) -> Box<dyn Attack> {
    let mut said = leb128::unsigned(MAX_MESSAGE as u64);
    said.resize(MAX_MESSAGE - 10, 0x80);
    held(target.ports, 12, 32, protocol::MAKE_DEAL, &said)
}

fn held(ports: [u16; 4], peers: usize, streams: usize, protocol: &'static str, said: &[u8]) -> Box<dyn Attack> {
    let peers: Vec<_> = (0..peers).filter_map(|_| Peer::at(ports).ok()).collect();
    let mut held = Vec::new();
    for peer in &peers {
        for _ in 0..streams {
            match peer.hold(protocol, said) {
                Some(stream) => held.push(stream),
                None => break,
            }
        }
    }
    Box::new((peers, held))
}
