//! Peers that hold back, flood and lie about lengths: after and during each, an honest client is answered.

use super::*;
use crate::network::handshakes::MAX_HANDSHAKES;
use crate::network::swarm::MAX_CONNECTIONS;
use std::net::{SocketAddr, TcpStream as StdStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long an honest client may have to wait while others are hostile.
const SERVED_WITHIN: Duration = Duration::from_secs(5);

fn listener(world: &World, ending: &str) -> SocketAddr {
    let address = world.address(match ending {
        "/ws" => TransportKind::WebSocket,
        _ => TransportKind::Tcp,
    });
    let port = address.iter().find_map(|part| match part {
        libp2p::multiaddr::Protocol::Tcp(port) => Some(port),
        _ => None,
    });
    SocketAddr::from(([127, 0, 0, 1], port.unwrap()))
}

/// A query about a deal that is not there, answered in time.
async fn is_served(world: &World, browser: bool) {
    let asked = async {
        let mut client = world.client(browser).await;
        client.query(file().1.data_cid).await
    };
    let answer = tokio::time::timeout(SERVED_WITHIN, asked).await;
    let answer = answer.expect("an honest client is answered in time");
    assert_eq!(answer.response.state, DealState::Unknown);
}

/// Finding A1: a length is not believed before its bytes are here.
#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_frame_that_declares_hundreds_of_megabytes_ends_its_connection() {
    let world = World::start().await;
    let address = listener(&world, "/ws");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let upgrade = format!(
        "GET / HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    let mut answer = vec![0; 1024];
    let count = stream.read(&mut answer).await.unwrap();
    assert!(answer[..count].starts_with(b"HTTP/1.1 101"));
    let mut frame = vec![0x82, 0xff];
    frame.extend((255_u64 << 20).to_be_bytes());
    frame.extend([1, 2, 3, 4]);
    stream.write_all(&frame).await.unwrap();
    let ended = tokio::time::timeout(SERVED_WITHIN, stream.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "the frame is waited for");
    is_served(&world, true).await;
}

/// Finding A6: dials that say nothing keep nobody out.
#[tokio::test(flavor = "multi_thread")]
async fn silent_dials_on_both_listeners_leave_room_for_a_client() {
    let world = World::start().await;
    let mut silent = Vec::new();
    for ending in ["", "/ws"] {
        for _ in 0..2 * MAX_HANDSHAKES {
            silent.push(StdStream::connect(listener(&world, ending)).unwrap());
        }
    }
    is_served(&world, false).await;
    is_served(&world, true).await;
    drop(silent);
}

/// Finding A5: streams whose request never comes make room.
#[tokio::test(flavor = "multi_thread")]
async fn trickling_streams_of_many_peers_leave_room_for_a_client() {
    let world = World::start().await;
    let mut held = Vec::new();
    for _ in 0..12 {
        let client = world.client(false).await;
        for _ in 0..16 {
            let mut control = client.control.clone();
            let opened = control.open_stream(client.miner, StreamProtocol::new(protocol::QUERY_DEAL));
            let Ok(mut stream) = opened.await else { continue };
            // The first byte of a length, and no more.
            let _ = frames::write_bytes(&mut stream, &[0x80]).await;
            let _ = frames::flush(&mut stream).await;
            held.push((client.miner, stream));
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    is_served(&world, false).await;
    drop(held);
}

/// Finding A6: idle connections are let go when somebody new comes.
#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_leave_room_for_a_client() {
    let world = World::start().await;
    let mut idle = Vec::new();
    for _ in 0..MAX_CONNECTIONS + 10 {
        idle.push(world.client(false).await);
    }
    is_served(&world, true).await;
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_as_long_as_a_proposal_is_refused_by_its_declared_length() {
    let world = World::start().await;
    let mut client = world.client(false).await;
    let protocol = StreamProtocol::new(protocol::QUERY_DEAL);
    let mut stream = client.control.open_stream(client.miner, protocol).await.unwrap();
    let declared = shared::wire::leb128::unsigned(MAX_MESSAGE as u64);
    frames::write_bytes(&mut stream, &declared).await.unwrap();
    frames::flush(&mut stream).await.unwrap();
    let answer = tokio::time::timeout(SERVED_WITHIN, frames::read::<SignedResponse, _>(&mut stream)).await;
    assert!(answer.expect("it does not wait for the rest").is_err());
    is_served(&world, false).await;
}
