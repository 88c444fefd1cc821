//! JSON-RPC over WebSocket: the methods of HTTP, and news of every new head without asking again and again.
//!
//! A subscription ([`Heads`]) is answered with its number; then, and with every new block, comes a [`Notification`].
//! Who reads slowly may miss heads, never the newest.
//! The same pages may connect as with HTTP; each request counts like one of those ([`super::guard`]).

#[cfg(test)]
mod tests;

use super::guard::Refused;
use super::{answer_to, Server, GRACE, MAX_BODY};
use crate::answer::{failure, methods, parse, success, Request};
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocketUpgrade};
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::stream::SplitStream;
use futures::{Sink, SinkExt, Stream, StreamExt};
use sealdrop_listener::Remote;
use serde_json::{json, Value};
use shared::chain::rpc::{code, AnyMethod, ErrorObject, Heads, Method, Notification, Subscribe, Unsubscribe};
use shared::chain::view::HeadView;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch, Semaphore};
use tokio::time::timeout;

/// Most connections: every page of a browser, and miners and clients on this machine; each costs a few KiB at rest.
pub const MAX_SOCKETS: usize = 256;
/// Most subscriptions of a connection: parts of one program may each have theirs.
pub const MAX_SUBSCRIPTIONS: usize = 16;
/// Answers that wait for a reader to take them; while they do, no further request of it is worked on.
const MAX_ANSWERS: usize = 16;
/// Longest time that a reader may take for one frame before it is dropped.
const SLOWEST_READER: Duration = Duration::from_secs(10);
/// How often the other side is asked whether it is there.
const PING: Duration = Duration::from_secs(30);
/// A connection from which nothing came for so long, not even the answer to a ping, is dropped.
const SILENCE: Duration = Duration::from_secs(90);

/// WebSocket's code for "going away".
const AWAY: u16 = 1001;
/// WebSocket's code for a broken rule.
const POLICY: u16 = 1008;

/// The connections that are open.
#[derive(Clone)]
pub(super) struct Sockets {
    free: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
}

impl Sockets {
    pub fn new(stop: watch::Receiver<bool>) -> Self {
        let free = Arc::new(Semaphore::new(MAX_SOCKETS));
        Self { free, stop }
    }

    /// Waits until all connections have seen that the chain stops, for a while.
    pub async fn closed(&self) {
        let _ = timeout(GRACE, self.free.acquire_many(MAX_SOCKETS as u32)).await;
    }
}

/// What frames come from and go to.
pub(super) trait Socket: Stream<Item = Result<Message, axum::Error>> + Sink<Message> + Unpin {}
impl<S: Stream<Item = Result<Message, axum::Error>> + Sink<Message> + Unpin> Socket for S {}

/// What goes out to the other side.
enum Outgoing {
    Answer(Value),
    /// Answers, and tells the head from now on.
    Subscribe(u64, Value),
    Unsubscribe(u64, Value),
    /// Says why the connection ends.
    Close(u16, &'static str),
}

/// Takes a connection, if there is room for it.
pub(super) async fn upgrade(
    State(server): State<Server>,
    ConnectInfo(Remote(from)): ConnectInfo<Remote>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let Ok(place) = server.sockets.free.clone().try_acquire_owned() else {
        let error = ErrorObject::new(
            code::BUSY,
            format_args!("{MAX_SOCKETS} connections are open: close some"),
        );
        return super::reply(StatusCode::SERVICE_UNAVAILABLE, &failure(Value::Null, &error));
    };
    let counted = match server.addresses.connect(from.ip(), Instant::now()) {
        Ok(counted) => counted,
        Err(refused) => return refused.response(),
    };
    upgrade
        .max_message_size(MAX_BODY)
        .max_frame_size(MAX_BODY)
        .on_upgrade(move |socket| async move {
            serve(server, from.ip(), socket).await;
            drop((place, counted));
        })
}

pub(super) async fn serve(server: Server, from: IpAddr, socket: impl Socket) {
    let (sink, stream) = socket.split();
    let (outgoing, taken) = mpsc::channel(MAX_ANSWERS);
    let heads = server.node.heads();
    let mut stop = server.sockets.stop.clone();
    let writing = write(sink, taken, heads, SLOWEST_READER);
    let reading = async {
        tokio::select! {
            () = read(&server, from, stream, &outgoing) => {}
            () = stopped(&mut stop) => {
                let _ = outgoing.send(Outgoing::Close(AWAY, "the chain stops")).await;
            }
        }
        // The writer ends when nobody can send any more.
        drop(outgoing);
    };
    tokio::pin!(reading);
    tokio::pin!(writing);
    tokio::select! {
        () = &mut writing => {}
        () = &mut reading => writing.await,
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the chain is gone: the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Answers one request after the other until the other side leaves or breaks a rule.
async fn read<S: Socket>(server: &Server, from: IpAddr, mut stream: SplitStream<S>, outgoing: &mpsc::Sender<Outgoing>) {
    let mut subscriptions = Subscriptions::default();
    loop {
        let text = match timeout(SILENCE, stream.next()).await {
            Ok(Some(Ok(Message::Text(text)))) => text,
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => continue,
            Ok(Some(Ok(Message::Binary(_)))) => {
                let _ = outgoing.send(Outgoing::Close(POLICY, "requests are text")).await;
                return;
            }
            Ok(Some(Ok(Message::Close(_))) | None) => return,
            // A frame above the bound or a broken one: the protocol says nothing after it.
            Ok(Some(Err(error))) => {
                tracing::debug!(%error, "a connection to the chain broke");
                return;
            }
            Err(_) => {
                let _ = outgoing
                    .send(Outgoing::Close(POLICY, "nothing was heard for too long"))
                    .await;
                return;
            }
        };
        let answer = match parse(text.as_bytes()) {
            Ok(request) => match server.addresses.ask(from, Instant::now()) {
                Ok(()) => subscriptions.answer(server, from, request).await,
                Err(refused) => Some(too_often(request, refused)),
            },
            Err((id, error)) => Some(Outgoing::Answer(failure(id, &error))),
        };
        if let Some(answer) = answer {
            if outgoing.send(answer).await.is_err() {
                return;
            }
        }
    }
}

fn too_often(request: Request, refused: Refused) -> Outgoing {
    let error = ErrorObject::new(code::BUSY, refused);
    Outgoing::Answer(failure(request.id.unwrap_or_default(), &error))
}

/// The subscriptions of one connection.
#[derive(Default)]
struct Subscriptions {
    open: BTreeSet<u64>,
    last: u64,
}

impl Subscriptions {
    async fn answer(&mut self, server: &Server, from: IpAddr, request: Request) -> Option<Outgoing> {
        match request.method.as_str() {
            Subscribe::NAME => self.subscribe(request),
            Unsubscribe::NAME => self.unsubscribe(request),
            _ => answer_to(server, from, request).await.map(Outgoing::Answer),
        }
    }

    /// One that is made without an id could not be ended: it is not made.
    fn subscribe(&mut self, request: Request) -> Option<Outgoing> {
        let id = request.id?;
        if let Err(error) = methods::parse(Subscribe::NAME, request.params) {
            return Some(Outgoing::Answer(failure(id, &error)));
        }
        if self.open.len() >= MAX_SUBSCRIPTIONS {
            let error = ErrorObject::new(
                code::BUSY,
                format_args!("a connection has at most {MAX_SUBSCRIPTIONS} subscriptions: end some"),
            );
            return Some(Outgoing::Answer(failure(id, &error)));
        }
        self.last += 1;
        self.open.insert(self.last);
        Some(Outgoing::Subscribe(self.last, success(id, self.last.into())))
    }

    fn unsubscribe(&mut self, request: Request) -> Option<Outgoing> {
        let id = request.id.unwrap_or_default();
        Some(match methods::parse(Unsubscribe::NAME, request.params) {
            Ok(AnyMethod::Unsubscribe(Unsubscribe { subscription })) => {
                let was_open = self.open.remove(&subscription);
                Outgoing::Unsubscribe(subscription, success(id, was_open.into()))
            }
            Ok(_) => Outgoing::Answer(failure(id, &methods::needs_socket())),
            Err(error) => Outgoing::Answer(failure(id, &error)),
        })
    }
}

/// Sends what is to go out, heads to those who asked for them, and pings.
async fn write(
    mut sink: impl Sink<Message> + Unpin,
    mut taken: mpsc::Receiver<Outgoing>,
    mut heads: watch::Receiver<HeadView>,
    slowest: Duration,
) {
    let mut subscribed = BTreeSet::new();
    let mut pings = tokio::time::interval(PING);
    pings.tick().await;
    loop {
        let messages = tokio::select! {
            next = taken.recv() => match next {
                None => return,
                Some(Outgoing::Answer(answer)) => vec![text(&answer)],
                Some(Outgoing::Subscribe(number, answer)) => {
                    subscribed.insert(number);
                    let head = heads.borrow().clone();
                    vec![text(&answer), text(&news(number, &head))]
                }
                Some(Outgoing::Unsubscribe(number, answer)) => {
                    subscribed.remove(&number);
                    vec![text(&answer)]
                }
                Some(Outgoing::Close(code, reason)) => {
                    let frame = CloseFrame { code, reason: reason.into() };
                    let _ = timeout(slowest, sink.send(Message::Close(Some(frame)))).await;
                    return;
                }
            },
            changed = heads.changed() => match changed {
                Ok(()) => {
                    let head = heads.borrow_and_update().clone();
                    subscribed.iter().map(|number| text(&news(*number, &head))).collect()
                }
                Err(_) => return,
            },
            _ = pings.tick() => vec![Message::Ping(Vec::new().into())],
        };
        for message in messages {
            if !matches!(timeout(slowest, sink.send(message)).await, Ok(Ok(()))) {
                tracing::debug!("a reader of the chain was too slow, or left");
                return;
            }
        }
    }
}

fn news(subscription: u64, head: &HeadView) -> Value {
    json!(Notification::of::<Heads>(subscription, head))
}

fn text(value: &Value) -> Message {
    Message::Text(value.to_string().into())
}
