//! Attacks by connections alone, on every listener: what is held and never finished, and what is never read.

use super::attacks::{Attack, Target};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpSocket;

/// Pause between two bytes of a trickle.
const DRIP: Duration = Duration::from_millis(500);
/// Addresses of a flood from many, and connections of each to each listener: together more than any listener takes.
const ADDRESSES: u8 = 250;
const OF_EACH: usize = 2;
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// Requests that are sent on a connection without an answer being read.
const UNREAD: usize = 64;

impl Attack for Vec<TcpStream> {}

pub(super) fn connections(port: u16, count: usize) -> Vec<TcpStream> {
    let connect = |_| TcpStream::connect(("127.0.0.1", port)).ok();
    (0..count).filter_map(connect).collect()
}

pub(super) fn idle_connections(target: &Target) -> Box<dyn Attack> {
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
    fn begin(ports: &[u16], count: usize, first: &'static [u8]) -> Box<dyn Attack> {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, ports) = (stop.clone(), ports.to_vec());
        let dial = move |port: u16| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
            stream.write_all(first).ok()?;
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

pub(super) fn slow_headers(target: &Target) -> Box<dyn Attack> {
    let [_, ws, chain, web] = target.ports;
    Trickle::begin(
        &[ws, chain, web],
        target.flood,
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ",
    )
}

pub(super) fn slow_bodies(target: &Target) -> Box<dyn Attack> {
    let [.., chain, web] = target.ports;
    let request =
        b"POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 200000\r\n\r\n{";
    Trickle::begin(&[chain, web], target.flood, request)
}

/// The beginning of a WebSocket frame of 30 000 bytes, after an upgrade.
const SLOW_FRAME: &[u8] = b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n\x81\xfe\x75\x30\x01\x02\x03\x04";

pub(super) fn slow_handshakes(target: &Target) -> Box<dyn Attack> {
    let [p2p, ..] = target.ports;
    Trickle::begin(&[p2p], target.flood, b"\x13/multistream/1.0.0\n")
}

pub(super) fn slow_frames(target: &Target) -> Box<dyn Attack> {
    let [_, _, chain, _] = target.ports;
    Trickle::begin(&[chain], target.flood, SLOW_FRAME)
}

/// Some connections from each of many addresses of the machine.
pub(super) fn many_addresses(target: &Target) -> Box<dyn Attack> {
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    let mut held = Vec::new();
    for number in 1..=ADDRESSES {
        for port in target.ports {
            for _ in 0..OF_EACH {
                held.extend(runtime.block_on(from(Ipv4Addr::new(127, 0, 9, number), port)));
            }
        }
    }
    Box::new(held)
}

async fn from(source: Ipv4Addr, port: u16) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.bind((source, 0).into()).ok()?;
    let connecting = socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let stream = tokio::time::timeout(PATIENCE, connecting).await.ok()?.ok()?;
    stream.into_std().ok()
}

/// A connection that has become a WebSocket.
fn upgraded(mut stream: TcpStream, port: u16, path: &str) -> Option<TcpStream> {
    let upgrade = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(upgrade.as_bytes()).ok()?;
    let mut answer = [0; 1024];
    let read = stream.read(&mut answer).ok()?;
    answer[..read].starts_with(b"HTTP/1.1 101").then_some(stream)
}

/// Upgraded connections with a frame whose length is all that comes of it.
pub(super) fn declared_frames(target: &Target) -> Box<dyn Attack> {
    let [_, ws, chain, _] = target.ports;
    let mut held = Vec::new();
    for (port, path) in [(ws, "/"), (chain, "/ws")] {
        for stream in connections(port, 100) {
            let Some(mut stream) = upgraded(stream, port, path) else {
                continue;
            };
            // Half of them just within the limit, half far beyond it.
            let declared = [200 * 1024_u64, 255 << 20][held.len() % 2];
            let mut frame = vec![0x82, 0xff];
            frame.extend(declared.to_be_bytes());
            frame.extend([1, 2, 3, 4]);
            // Closed at once is as good as held.
            let _ = stream.write_all(&frame);
            held.push(stream);
        }
    }
    Box::new(held)
}

/// As many WebSockets of the chain as it takes, each with as many subscriptions as it takes, and none is read.
pub(super) fn unread_subscriptions(target: &Target) -> Box<dyn Attack> {
    let [_, _, port, _] = target.ports;
    let mut held = Vec::new();
    for stream in connections(port, target.flood) {
        let Some(mut stream) = upgraded(stream, port, "/ws") else {
            continue;
        };
        for id in 0..20 {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"chain.subscribe","params":{{}}}}"#);
            let mut frame = vec![0x81, 0x80 | text.len() as u8, 0, 0, 0, 0];
            frame.extend(text.as_bytes());
            if stream.write_all(&frame).is_err() {
                break;
            }
        }
        held.push(stream);
    }
    Box::new(held)
}

/// Requests whose answers nobody reads, one after the other on each connection.
pub(super) fn unread_pages(target: &Target) -> Box<dyn Attack> {
    let [_, _, chain, web] = target.ports;
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"chain.blocks","params":{"from":0,"to":90}}"#;
    let length = body.len();
    let asked = format!(
        "POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let page = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".to_owned();
    let mut held = Vec::new();
    for (port, request) in [(chain, asked), (web, page)] {
        for mut stream in connections(port, target.flood) {
            // When the other side waits for a reader, so does the writer: it gives up then.
            let ready = stream.set_write_timeout(Some(Duration::from_millis(10))).is_ok();
            if ready && stream.write_all(request.repeat(UNREAD).as_bytes()).is_ok() {
                held.push(stream);
            }
        }
    }
    Box::new(held)
}
