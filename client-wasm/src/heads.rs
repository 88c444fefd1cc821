//! The newest block, told by the chain over a WebSocket as soon as there is one; asked for where that cannot be had.
//!
//! One task for each client, started by [`crate::engine`]. Whoever waits for the chain waits for a head here and looks then:
//! a deal ([`crate::browser_host`]), the faucet, the page for the height that it shows. The native counterpart is the
//! miner's `chain_access`.

use crate::clock;
use crate::error::ClientError;
use crate::json;
use crate::rpc::Rpc;
use futures::channel::oneshot;
use futures::future::poll_fn;
use futures::task::AtomicWaker;
use shared::chain::rpc::{Incoming, Published, Request, Subscribe};
use shared::chain::view::HeadView;
use shared::chain::Epoch;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::Poll;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{MessageEvent, WebSocket};

/// Milliseconds between two questions for the head where the chain does not tell of it.
const ASK_WAIT: i32 = 1_000;
/// Milliseconds after which a WebSocket is tried again: an endpoint may stand behind something that speaks HTTP only.
const RETRY: f64 = 10_000.0;
/// Longest wait for a connection, in milliseconds.
const OPEN_LIMIT: i32 = 5_000;
/// Milliseconds without a head after which the chain is asked whether there is one: a connection may be dead and not know.
const SILENCE: i32 = 30_000;
/// Longest text that is taken, in characters: a head has some 200.
const MAX_TEXT: u32 = 16 * 1024;

/// The chain's head, followed for as long as one of these lives.
#[derive(Clone)]
pub struct Heads(Rc<Inner>);

#[derive(Default)]
struct Inner {
    /// What was heard last: a head, or why none can be had.
    newest: RefCell<Option<Result<HeadView, ClientError>>>,
    /// Counts what was heard.
    count: Cell<u64>,
    waiting: RefCell<Vec<oneshot::Sender<()>>>,
}

impl Heads {
    /// Starts to follow the chain of `rpc`.
    pub fn follow(rpc: Rpc) -> Self {
        let inner = Rc::new(Inner::default());
        spawn_local(run(rpc, Rc::downgrade(&inner)));
        Self(inner)
    }

    /// How often anything was heard; to be taken before a look at the chain, and handed to [`Heads::after`].
    pub fn count(&self) -> u64 {
        self.0.count.get()
    }

    /// The height of the newest block, as far as it was heard of.
    pub fn height(&self) -> Option<Epoch> {
        let newest = self.0.newest.borrow();
        newest.as_ref()?.as_ref().ok().map(|head| head.height)
    }

    /// Returns once something was heard after `count`: a new head, or that the chain is away.
    pub async fn after(&self, count: u64) {
        while self.0.count.get() == count {
            let (told, news) = oneshot::channel();
            let mut waiting = self.0.waiting.borrow_mut();
            // Those who gave up waiting; the rest are as many as there are deals.
            waiting.retain(|other| !other.is_canceled());
            waiting.push(told);
            drop(waiting);
            // The sender is dropped only with what it would tell of.
            let _ = news.await;
        }
    }

    /// The next head after the block with this id; errs as often as the chain turns out to be away.
    pub async fn next(&self, block: &str) -> Result<HeadView, ClientError> {
        loop {
            let count = self.count();
            match &*self.0.newest.borrow() {
                Some(Ok(head)) if head.block != block => return Ok(head.clone()),
                _ => {}
            }
            self.after(count).await;
            if let Some(Err(error)) = &*self.0.newest.borrow() {
                return Err(error.clone());
            }
        }
    }
}

impl Inner {
    fn tell(&self, heard: Result<HeadView, ClientError>) {
        *self.newest.borrow_mut() = Some(heard);
        self.count.set(self.count.get().wrapping_add(1));
        for told in self.waiting.take() {
            // Nobody waits any more when this fails.
            let _ = told.send(());
        }
    }
}

async fn run(rpc: Rpc, heads: Weak<Inner>) {
    loop {
        if let Some(feed) = Feed::open(&rpc).await {
            while let Some(Some(head)) = clock::within(SILENCE, feed.next()).await {
                let Some(heads) = heads.upgrade() else { return };
                heads.tell(Ok(head));
            }
        }
        let until = clock::now() + RETRY;
        while clock::now() < until {
            let head = rpc.head().await;
            let Some(heads) = heads.upgrade() else { return };
            heads.tell(head);
            drop(heads);
            clock::sleep(ASK_WAIT).await;
        }
    }
}

/// What the browser's callbacks and the feed share. Who reads slowly misses heads, never the newest.
#[derive(Default)]
struct Shared {
    newest: RefCell<Option<HeadView>>,
    is_over: Cell<bool>,
    waker: AtomicWaker,
}

impl Shared {
    fn take(&self, data: &JsValue) {
        let text = data
            .dyn_ref::<js_sys::JsString>()
            .filter(|text| text.length() <= MAX_TEXT);
        let news = text.and_then(|text| json::read(&String::from(text)).ok());
        match news {
            Some(Incoming {
                error: None,
                params: Some(Published { result, .. }),
            }) => *self.newest.borrow_mut() = Some(result),
            // The answer to the subscription.
            Some(Incoming {
                error: None,
                params: None,
            }) => {}
            _ => self.is_over.set(true),
        }
        self.waker.wake();
    }
}

/// A WebSocket over which heads come.
struct Feed {
    socket: WebSocket,
    shared: Rc<Shared>,
    /// Kept, because the browser calls them as long as the socket lives.
    _callbacks: (Closure<dyn FnMut(JsValue)>, Closure<dyn FnMut(MessageEvent)>),
}

impl Feed {
    /// Subscribes to the chain's heads; `None` when that cannot be had.
    async fn open(rpc: &Rpc) -> Option<Self> {
        let socket = WebSocket::new(&socket_url(rpc.url())?).ok()?;
        let shared = Rc::new(Shared::default());
        let state = shared.clone();
        let on_change = Closure::<dyn FnMut(JsValue)>::new(move |_| state.waker.wake());
        let state = shared.clone();
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| state.take(&event.data()));
        for set in [WebSocket::set_onopen, WebSocket::set_onclose, WebSocket::set_onerror] {
            set(&socket, Some(on_change.as_ref().unchecked_ref()));
        }
        socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        let feed = Self {
            socket,
            shared,
            _callbacks: (on_change, on_message),
        };
        let opened = poll_fn(|cx| {
            feed.shared.waker.register(cx.waker());
            match feed.socket.ready_state() {
                WebSocket::CONNECTING => Poll::Pending,
                state => Poll::Ready(state == WebSocket::OPEN),
            }
        });
        let is_open = clock::within(OPEN_LIMIT, opened).await == Some(true);
        let request = json::write(&Request::new(1, &Subscribe {})).ok()?;
        (is_open && feed.socket.send_with_str(&request).is_ok()).then_some(feed)
    }

    /// The next head; `None` when nothing more will come.
    async fn next(&self) -> Option<HeadView> {
        poll_fn(|cx| {
            self.shared.waker.register(cx.waker());
            if let Some(head) = self.shared.newest.borrow_mut().take() {
                return Poll::Ready(Some(head));
            }
            match self.socket.ready_state() {
                WebSocket::OPEN if !self.shared.is_over.get() => Poll::Pending,
                _ => Poll::Ready(None),
            }
        })
        .await
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        for clear in [
            WebSocket::set_onopen,
            WebSocket::set_onclose,
            WebSocket::set_onerror,
            WebSocket::set_onmessage,
        ] {
            clear(&self.socket, None);
        }
        // It only throws for a bad close code, and there is none.
        let _ = self.socket.close();
    }
}

/// The WebSocket beside an HTTP endpoint.
fn socket_url(url: &str) -> Option<String> {
    let plain = url.strip_prefix("http://").map(|rest| format!("ws://{rest}"));
    plain.or_else(|| url.strip_prefix("https://").map(|rest| format!("wss://{rest}")))
}
