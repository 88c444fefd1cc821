//! A plain WebSocket. The first message says what is measured: `up N`, then N bytes come and are answered with their number, or `down N`,
//! then N bytes go.

use axum::extract::ws::{Message, WebSocket};
use axum::extract::WebSocketUpgrade;
use axum::routing::any;
use axum::Router;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Bytes of a message that goes.
const MESSAGE: usize = 64 * 1024;

/// Listens, and serves for as long as the runtime lives.
pub async fn listen(address: SocketAddr) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let upgrade = |upgrade: WebSocketUpgrade| async { upgrade.on_upgrade(serve) };
    let router = Router::new().route("/", any(upgrade));
    tokio::spawn(async move {
        let served = axum::serve(listener, router).await;
        // Then the measurement fails by itself.
        served.unwrap_or_else(|error| eprintln!("error: {error}"));
    });
    Ok(bound)
}

/// Does what each text message asks for; what comes in between is no measurement.
async fn serve(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Text(text) = message else { continue };
        let done = match text.split_once(' ').map(|(way, bytes)| (way, bytes.parse())) {
            Some(("up", Ok(bytes))) => take(&mut socket, bytes).await,
            Some(("down", Ok(bytes))) => give(&mut socket, bytes).await,
            _ => return,
        };
        if done.is_none() {
            return;
        }
    }
}

/// `None` when the other side has gone.
async fn take(socket: &mut WebSocket, bytes: usize) -> Option<()> {
    let mut taken = 0;
    while taken < bytes {
        if let Message::Binary(part) = socket.recv().await?.ok()? {
            taken += part.len();
        }
    }
    socket.send(Message::Text(taken.to_string().into())).await.ok()
}

async fn give(socket: &mut WebSocket, bytes: usize) -> Option<()> {
    let part = axum::body::Bytes::from(vec![7; MESSAGE]);
    let mut left = bytes;
    while left > 0 {
        let size = left.min(MESSAGE);
        socket.send(Message::Binary(part.slice(..size))).await.ok()?;
        left -= size;
    }
    Some(())
}
