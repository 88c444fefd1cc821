//! News of heads over a WebSocket, so that nobody has to ask again and again.
//!
//! Used by [`super::resubmission`], which asks over HTTP wherever there is no such connection: an endpoint may stand behind
//! something that speaks HTTP only.

use futures::{SinkExt, StreamExt};
use shared::chain::rpc::{Incoming, Published, Request, Subscribe};
use shared::chain::view::HeadView;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{connect_async_with_config, MaybeTlsStream, WebSocketStream};

/// Longest wait for a connection and the answer to the subscription.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest text that is taken: a head has some 200 bytes.
const MAX_TEXT: usize = 16 * 1024;

/// A connection over which heads come.
pub(super) struct Feed {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Feed {
    /// Subscribes to the heads of the endpoint at `url`; `None` when that cannot be had. Only `http://` is tried.
    pub async fn open(url: &str) -> Option<Self> {
        let url = format!("ws://{}", url.strip_prefix("http://")?);
        let mut config = WebSocketConfig::default();
        config.max_message_size = Some(MAX_TEXT);
        config.max_frame_size = Some(MAX_TEXT);
        let subscribe = async {
            let (mut socket, _) = connect_async_with_config(url, Some(config), true).await.ok()?;
            let request = serde_json::to_string(&Request::new(1, &Subscribe {})).ok()?;
            socket.send(Message::text(request)).await.ok()?;
            Some(Self { socket })
        };
        timeout(PATIENCE, subscribe).await.ok().flatten()
    }

    /// The next head; `None` when nothing more will come.
    pub async fn next(&mut self) -> Option<HeadView> {
        loop {
            let text = match self.socket.next().await?.ok()? {
                Message::Text(text) => text,
                // Pings are answered by the library.
                Message::Ping(_) | Message::Pong(_) => continue,
                _ => return None,
            };
            match serde_json::from_str::<Incoming<HeadView>>(&text).ok()? {
                Incoming { error: Some(_), .. } => return None,
                Incoming {
                    params: Some(Published { result, .. }),
                    ..
                } => return Some(result),
                Incoming { params: None, .. } => {}
            }
        }
    }
}
