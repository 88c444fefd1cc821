//! A TCP connection whose other side went away without a word ends by itself: it moved to another address, was cut off, or lost its power.
//!
//! The system sends what was not acknowledged again and again for a quarter of an hour. Until then whoever waits for the connection waits,
//! and closing it waits too, since that sends what is left first. Both ends use this: the miner's sockets ([`super::swarm`]) and the
//! terminal client's. A slow path is not a dead one: there, something is acknowledged now and then. QUIC has a time limit of its own.

use libp2p::tcp::tokio::TcpStream;
use std::time::Duration;

/// How long nothing of what was sent may be acknowledged.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// The same stream, which ends when the path is dead. Where the system has no such option it stays as it is.
pub fn ending_when_dead(stream: TcpStream) -> TcpStream {
    if let Err(error) = limit(&stream) {
        tracing::debug!(%error, "a connection whose path is dead will be noticed late");
    }
    stream
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn limit(stream: &TcpStream) -> std::io::Result<()> {
    socket2::SockRef::from(&stream.0).set_tcp_user_timeout(Some(SILENCE_LIMIT))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn limit(_: &TcpStream) -> std::io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// That it ends then is the system's part; `tests/hosts` moves a miner in the middle of a transfer.
    #[tokio::test]
    async fn a_connection_has_a_limit_for_what_is_not_acknowledged() {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let connecting = tokio::net::TcpStream::connect(listener.local_addr().unwrap());
        let stream = ending_when_dead(TcpStream(connecting.await.unwrap()));
        let limit = socket2::SockRef::from(&stream.0).tcp_user_timeout().unwrap();
        assert_eq!(limit, Some(SILENCE_LIMIT));
    }
}
