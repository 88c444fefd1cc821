//! WebRTC-direct, the last resort: data channels of a connection that the window holds.
//!
//! Browsers have `RTCPeerConnection` on a window only, and this module runs in a worker; data channels can be handed over. So the
//! window (`js/peers.ts`) makes the connection and opens the channels, and hands each over before a byte has come; what goes
//! through them is here: the handshake that proves who the peer is, and a stream for each channel, framed as libp2p frames them
//! ([`libp2p_webrtc_utils`]). [`crate::dials`] calls. Takes the place of `libp2p-webrtc-websys` 0.5, which panics in a worker.

use crate::clock;
use crate::dials::Output;
use crate::host::Host;
use crate::pipe::{Held, Limits, Pipe, Socket};
use futures::channel::{mpsc, oneshot};
use futures::future::{select, Either};
use futures::prelude::*;
use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerEvent};
use libp2p::identity::Keypair;
use libp2p::Multiaddr;
use libp2p_webrtc_utils::{noise, parse_webrtc_dial_addr, Fingerprint, Stream};
use send_wrapper::SendWrapper;
use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::pin::{pin, Pin};
use std::rc::Rc;
use std::task::{ready, Context, Poll};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{MessageEvent, MessagePort};

/// Messages of 8 KiB: the miner's library cannot read longer ones (rust-libp2p#6557). Less is queued than for a WebSocket, since
/// each stream has a queue of its own. And it forgets what it has not read of a channel that is closed.
const LIMITS: Limits = Limits {
    message: 8 << 10,
    queued: 1 << 20,
    linger: 2_000,
};
/// Milliseconds for the window to say why a handshake ended.
const LAST_WORDS: i32 = 500;
/// Channels that one connection may have at once; those that a peer opens beyond are closed. It opens a handful.
const MAX_CHANNELS: usize = 64;
/// Channels that wait to be taken up, at most.
const MAX_WAITING: usize = 16;

#[wasm_bindgen]
extern "C" {
    /// What the window tells of a connection: `FromPeer` in `js/protocol.ts`.
    type News;

    #[wasm_bindgen(method, getter)]
    fn kind(this: &News) -> String;
    #[wasm_bindgen(method, getter)]
    fn channel(this: &News) -> Socket;
    /// Of the browser's own certificate, in hexadecimal digits.
    #[wasm_bindgen(method, getter)]
    fn fingerprint(this: &News) -> String;
    #[wasm_bindgen(method, getter)]
    fn reason(this: &News) -> String;
}

/// Dials `address`; the browser checks that the peer has the certificate that it names, the handshake who it is.
pub async fn dial(host: &Host, key: Keypair, address: &Multiaddr) -> io::Result<Output> {
    let unfit = || io::Error::other(format!("{address} is no address for it"));
    let (at, server) = parse_webrtc_dial_addr(address).ok_or_else(unfit)?;
    let (mut connection, local) = Connection::open(host, at, server);
    let Some((client, handshake)) = local.await.ok().zip(connection.opened.next().await) else {
        return Err(connection.lost());
    };
    // Its number stays taken: a channel of the same number the miner would take for this one.
    connection.handshake = Some(handshake.clone());
    let (handshake, _) = Stream::new(handshake);
    let client = fingerprint(&client).ok_or_else(|| io::Error::other("the browser does not tell its certificate"))?;
    let proving = pin!(noise::outbound(key, handshake, server, client));
    // Nothing else was asked for yet, so this ends only with the connection.
    let ending = connection.opened.next();
    let peer = match select(proving, ending).await {
        Either::Left((Ok(peer), _)) => peer,
        // A channel ends a moment before the window can say why.
        Either::Left((Err(error), ending)) => {
            let ended = clock::within(LAST_WORDS, ending).await;
            return Err(ended.map_or_else(|| io::Error::other(error), |_| connection.lost()));
        }
        Either::Right(_) => return Err(connection.lost()),
    };
    Ok((peer, StreamMuxerBox::new(connection)))
}

fn fingerprint(digits: &str) -> Option<Fingerprint> {
    let digest: [u8; 32] = hex::decode(digits).ok()?.try_into().ok()?;
    Some(Fingerprint::raw(digest))
}

/// A connection of the window, closed when this is dropped.
struct Window {
    port: MessagePort,
    _on_news: Closure<dyn FnMut(MessageEvent)>,
}

impl Window {
    fn tell(&self, message: &str) {
        // What is sent is text, which can always be cloned.
        let _ = self.port.post_message(&message.into());
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.port.set_onmessage(None);
        self.tell("close");
    }
}

/// A connection whose streams are data channels.
struct Connection {
    window: SendWrapper<Window>,
    handshake: Option<Pipe>,
    opened: mpsc::Receiver<Pipe>,
    incoming: mpsc::Receiver<Pipe>,
    /// Why it ended.
    reason: SendWrapper<Rc<RefCell<String>>>,
    /// Whether the window was asked for a channel that has not come yet.
    is_asked: bool,
}

/// Where the window's news go.
struct Hearing {
    local: Option<oneshot::Sender<String>>,
    /// Of the channels that were asked for, and of those that the peer opened; gone when the connection has ended.
    channels: Option<(mpsc::Sender<Pipe>, mpsc::Sender<Pipe>)>,
    held: Rc<Held>,
    reason: Rc<RefCell<String>>,
}

impl Hearing {
    /// A channel that is not kept is closed, and so is one for which there is no room.
    fn hear(&mut self, news: &News) {
        match (news.kind().as_str(), &mut self.channels) {
            ("local", _) => {
                // Whoever dials may have given up.
                self.local.take().map(|to| to.send(news.fingerprint()));
            }
            ("opened", Some((opened, _))) => drop(opened.try_send(Pipe::new(news.channel(), LIMITS, &self.held))),
            ("incoming", Some((_, incoming))) => {
                let pipe = Pipe::new(news.channel(), LIMITS, &self.held);
                if self.held.pipes() <= MAX_CHANNELS {
                    drop(incoming.try_send(pipe));
                }
            }
            ("closed", _) => {
                *self.reason.borrow_mut() = news.reason();
                (self.channels, self.local) = (None, None);
            }
            _ => {}
        }
    }
}

impl Connection {
    /// Has the window dial; also gives what it will say of the browser's own certificate.
    fn open(host: &Host, at: SocketAddr, server: Fingerprint) -> (Self, oneshot::Receiver<String>) {
        let port = host.dial_peer(&at.ip().to_string(), at.port(), &server.to_sdp_format());
        let (to_opened, opened) = mpsc::channel(1);
        let (to_incoming, incoming) = mpsc::channel(MAX_WAITING);
        let (local, told) = oneshot::channel();
        let reason = Rc::<RefCell<String>>::default();
        let mut hearing = Hearing {
            local: Some(local),
            channels: Some((to_opened, to_incoming)),
            held: Rc::default(),
            reason: reason.clone(),
        };
        let on_news = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            hearing.hear(event.data().unchecked_ref());
        });
        port.set_onmessage(Some(on_news.as_ref().unchecked_ref()));
        let connection = Self {
            window: SendWrapper::new(Window {
                port,
                _on_news: on_news,
            }),
            handshake: None,
            opened,
            incoming,
            reason: SendWrapper::new(reason),
            is_asked: false,
        };
        (connection, told)
    }

    fn lost(&self) -> io::Error {
        io::Error::new(io::ErrorKind::ConnectionReset, self.reason.borrow().clone())
    }

    /// A channel's stream. Whoever drops it without closing it has the peer told so.
    fn stream(&self, channel: Option<Pipe>) -> io::Result<Stream<Pipe>> {
        let (stream, dropped) = Stream::new(channel.ok_or_else(|| self.lost())?);
        spawn_local(dropped.map(drop));
        Ok(stream)
    }
}

impl StreamMuxer for Connection {
    type Substream = Stream<Pipe>;
    type Error = io::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Stream<Pipe>>> {
        let channel = ready!(self.incoming.poll_next_unpin(cx));
        Poll::Ready(self.stream(channel))
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Stream<Pipe>>> {
        if !self.is_asked {
            self.is_asked = true;
            self.window.tell("open");
        }
        let channel = ready!(self.opened.poll_next_unpin(cx));
        self.is_asked = false;
        Poll::Ready(self.stream(channel))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.window.tell("close");
        Poll::Ready(Ok(()))
    }

    /// Nothing changes; the end is noticed where streams are waited for.
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        Poll::Pending
    }
}
