//! Attacks by libp2p's connections and streams.

use super::attacks::{Attack, Target};
use crate::peer::Peer;
use futures::AsyncWriteExt;
use libp2p::core::muxing::{StreamMuxerBox, StreamMuxerExt};
use libp2p::core::transport::{DialOpts, PortUse};
use libp2p::core::upgrade::Version;
use libp2p::core::Endpoint;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::{noise, tcp, yamux, Multiaddr, Transport};
use shared::chain::keys::cid_of_bytes;
use shared::deal::QueryRequest;
use shared::wire::frame::{frame, MAX_MESSAGE};
use shared::wire::{encode, leb128, protocol};
use std::future::{pending, poll_fn, Future};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Streams of a connection whose protocol is agreed at a time.
const NEGOTIATING: usize = 16;
/// How long an attack takes to unfold.
const UNFOLDING: Duration = Duration::from_secs(4);
/// Peers that ask without a pause.
const ASKING: usize = 8;

impl<T> Attack for (Vec<Peer>, Vec<T>) {}

/// Many connections, each with as many streams as it gets, each full of bytes that stand before any agreement on a protocol.
pub(super) fn full_streams(target: &Target) -> Box<dyn Attack> {
    let address = Multiaddr::empty()
        .with(Protocol::Ip4([127, 0, 0, 1].into()))
        .with(Protocol::Tcp(target.ports[0]));
    let runtime = Runtime::new().expect("threads can be started");
    let said = Arc::new(vec![b'x'; 256 * 1024]);
    for _ in 0..target.filled {
        runtime.spawn(fill(address.clone(), target.streams, said.clone(), false));
    }
    std::thread::sleep(UNFOLDING);
    Box::new(runtime)
}

/// The same, with streams of few bytes, of connections from which nobody reads any more.
pub(super) fn deaf_connections(target: &Target) -> Box<dyn Attack> {
    let address = Multiaddr::empty()
        .with(Protocol::Ip4([127, 0, 0, 1].into()))
        .with(Protocol::Tcp(target.ports[0]));
    let runtime = Runtime::new().expect("threads can be started");
    let said = Arc::new(b"\x13/multistream/1.0.0\n".to_vec());
    for _ in 0..target.filled {
        runtime.spawn(fill(address.clone(), target.streams, said.clone(), true));
    }
    std::thread::sleep(UNFOLDING);
    Box::new(runtime)
}

impl Attack for Runtime {}

/// One connection of [`full_streams`]: opens streams for ever, and holds those that take bytes.
async fn fill(address: Multiaddr, streams: usize, said: Arc<Vec<u8>>, deaf: bool) {
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
    let mut turns = 0;
    poll_fn(|context| {
        turns += 1;
        if deaf && held.len() >= streams && turns > streams {
            return Poll::Pending;
        }
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
pub(super) fn endless_requests(target: &Target) -> Box<dyn Attack> {
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

/// Peers that ask for a deal that is not there, one question after the other.
struct Questions {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

pub(super) fn questions(target: &Target) -> Box<dyn Attack> {
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let ports = target.ports;
    let begin = |_| {
        let (stop, asked) = (stop.clone(), asked.clone());
        std::thread::spawn(move || {
            let Ok(peer) = Peer::at(ports) else { return };
            let Ok(question) = frame(
                &encode(&QueryRequest {
                    cid: cid_of_bytes(b"no deal"),
                }),
                MAX_MESSAGE,
            ) else {
                return;
            };
            while !stop.load(Ordering::Relaxed) && peer.try_to_say(protocol::QUERY_DEAL, &question).is_some() {
                asked.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let threads = (0..ASKING).map(begin).collect();
    std::thread::sleep(UNFOLDING);
    Box::new(Questions { stop, asked, threads })
}

impl Attack for Questions {
    fn outcome(&self) -> Result<String, String> {
        Ok(format!("{} answered", self.asked.load(Ordering::Relaxed)))
    }
}

impl Drop for Questions {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // One that was refused a stream has ended.
            let _ = thread.join();
        }
    }
}
