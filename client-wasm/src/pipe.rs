//! A WebSocket or a data channel of the browser as a stream of bytes.
//!
//! [`crate::transport`] makes them of WebSockets, [`crate::webrtc`] of data channels. What is written is handed to the browser at
//! once, and waits only while much is queued there; what arrives unread is bounded, since a browser cannot slow a sender down.

use crate::clock::{self, Timer};
use futures::prelude::*;
use futures::task::AtomicWaker;
use send_wrapper::SendWrapper;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{ready, Context, Poll};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::MessageEvent;

/// Bytes of a connection that were received and not yet read, at most. The windows of yamux, and what a client asks for ahead,
/// keep an honest peer far below it.
const MAX_UNREAD: u32 = 64 << 20;
/// Milliseconds between looks at the browser's queue while a writer waits; WebSockets have no event for it.
const QUEUE_CHECK: i32 = 4;

#[wasm_bindgen]
extern "C" {
    /// What `WebSocket` and `RTCDataChannel` have in common.
    #[derive(Clone)]
    pub type Socket;

    #[wasm_bindgen(method, getter, js_name = readyState)]
    fn ready_state(this: &Socket) -> JsValue;
    #[wasm_bindgen(method, getter, js_name = bufferedAmount)]
    fn buffered_amount(this: &Socket) -> u32;
    #[wasm_bindgen(method, setter, js_name = binaryType)]
    fn set_binary_type(this: &Socket, kind: &str);
    #[wasm_bindgen(method, setter, js_name = onopen)]
    fn set_onopen(this: &Socket, call: Option<&js_sys::Function>);
    #[wasm_bindgen(method, setter, js_name = onclose)]
    fn set_onclose(this: &Socket, call: Option<&js_sys::Function>);
    #[wasm_bindgen(method, setter, js_name = onerror)]
    fn set_onerror(this: &Socket, call: Option<&js_sys::Function>);
    #[wasm_bindgen(method, setter, js_name = onmessage)]
    fn set_onmessage(this: &Socket, call: Option<&js_sys::Function>);
    #[wasm_bindgen(method, catch)]
    fn send(this: &Socket, bytes: &[u8]) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn close(this: &Socket) -> Result<(), JsValue>;
}

/// How much goes to the browser.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one message.
    pub message: usize,
    /// Bytes queued in the browser above which a writer waits: more would only sit in memory.
    pub queued: u32,
    /// Milliseconds between the end of its use and that of the socket.
    pub linger: i32,
}

/// What the pipes of one connection hold together.
#[derive(Debug, Default)]
pub struct Held {
    unread: Cell<u32>,
    pipes: Cell<usize>,
}

impl Held {
    /// Pipes of the connection that are there.
    pub fn pipes(&self) -> usize {
        self.pipes.get()
    }
}

/// What the browser's callbacks and the pipe share.
struct Shared {
    held: Rc<Held>,
    received: RefCell<VecDeque<js_sys::Uint8Array>>,
    /// Bytes of the first message that were read.
    position: Cell<u32>,
    unread: Cell<u32>,
    flooded: Cell<bool>,
    reader: AtomicWaker,
    writer: AtomicWaker,
    timer: RefCell<Option<Timer>>,
}

struct Open {
    socket: Socket,
    limits: Limits,
    shared: Rc<Shared>,
    /// Kept, because the browser calls them as long as the socket lives.
    _callbacks: (Closure<dyn FnMut(JsValue)>, Closure<dyn FnMut(MessageEvent)>),
    on_tick: Closure<dyn FnMut()>,
}

/// One socket; closed when the last clone is dropped, or soon after. The clones have one reader and one writer together.
#[derive(Clone)]
pub struct Pipe(SendWrapper<Rc<Open>>);

impl Pipe {
    /// To be called before the browser tells anything of the socket: what it told before is lost.
    pub fn new(socket: impl Into<JsValue>, limits: Limits, held: &Rc<Held>) -> Self {
        let socket: Socket = socket.into().unchecked_into();
        socket.set_binary_type("arraybuffer");
        held.pipes.set(held.pipes.get().saturating_add(1));
        let shared = Rc::new(Shared::of(held.clone()));
        let state = shared.clone();
        let on_change = Closure::<dyn FnMut(JsValue)>::new(move |_| {
            state.reader.wake();
            state.writer.wake();
        });
        let state = shared.clone();
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| state.take(&event.data()));
        let state = shared.clone();
        let on_tick = Closure::<dyn FnMut()>::new(move || state.writer.wake());
        for set in [Socket::set_onopen, Socket::set_onclose, Socket::set_onerror] {
            set(&socket, Some(on_change.as_ref().unchecked_ref()));
        }
        socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        Self(SendWrapper::new(Rc::new(Open {
            socket,
            limits,
            shared,
            _callbacks: (on_change, on_message),
            on_tick,
        })))
    }

    /// Whether it is open; errs when it never will be.
    pub fn poll_open(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        match self.0.state() {
            State::Connecting => {
                self.0.shared.writer.register(cx.waker());
                Poll::Pending
            }
            State::Open => Poll::Ready(Ok(())),
            State::Ended => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

impl Shared {
    fn of(held: Rc<Held>) -> Self {
        Self {
            held,
            received: RefCell::default(),
            position: Cell::default(),
            unread: Cell::default(),
            flooded: Cell::default(),
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
            timer: RefCell::default(),
        }
    }

    fn take(&self, data: &JsValue) {
        // Text has no place in libp2p; noise would refuse it in any case.
        if let Some(buffer) = data.dyn_ref::<js_sys::ArrayBuffer>() {
            let message = js_sys::Uint8Array::new(buffer);
            if self.held.unread.get().saturating_add(message.length()) > MAX_UNREAD {
                self.flooded.set(true);
            } else if message.length() > 0 {
                self.count(message.length(), u32::saturating_add);
                self.received.borrow_mut().push_back(message);
            }
        }
        self.reader.wake();
    }

    fn count(&self, bytes: u32, change: fn(u32, u32) -> u32) {
        self.unread.set(change(self.unread.get(), bytes));
        self.held.unread.set(change(self.held.unread.get(), bytes));
    }

    /// Moves received bytes out; `None` when there are none.
    fn read(&self, buffer: &mut [u8]) -> Option<usize> {
        let mut received = self.received.borrow_mut();
        let message = received.front()?;
        let position = self.position.get();
        let wanted = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let taken = (message.length() - position).min(wanted);
        message
            .subarray(position, position + taken)
            .copy_to(&mut buffer[..taken as usize]);
        self.count(taken, u32::saturating_sub);
        if position + taken == message.length() {
            received.pop_front();
            self.position.set(0);
        } else {
            self.position.set(position + taken);
        }
        Some(taken as usize)
    }
}

enum State {
    Connecting,
    Open,
    Ended,
}

impl Open {
    /// WebSockets number their states, data channels name them.
    fn state(&self) -> State {
        let state = self.socket.ready_state();
        match (state.as_f64(), state.as_string().as_deref()) {
            (Some(0.0), _) | (_, Some("connecting")) => State::Connecting,
            (Some(1.0), _) | (_, Some("open")) => State::Open,
            _ => State::Ended,
        }
    }
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let shared = &self.0.shared;
        if shared.flooded.get() {
            return Poll::Ready(Err(io::Error::other("the peer sends more than it was allowed to")));
        }
        shared.reader.register(cx.waker());
        if let Some(count) = shared.read(buffer) {
            return Poll::Ready(Ok(count));
        }
        match self.0.state() {
            State::Connecting | State::Open => Poll::Pending,
            State::Ended => Poll::Ready(Ok(0)),
        }
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_open(cx))?;
        let Open {
            socket,
            limits,
            shared,
            on_tick,
            ..
        } = &**self.0;
        if socket.buffered_amount() > limits.queued {
            shared.writer.register(cx.waker());
            *shared.timer.borrow_mut() = Some(Timer::start(on_tick.as_ref().unchecked_ref(), QUEUE_CHECK));
            return Poll::Pending;
        }
        let message = &buffer[..buffer.len().min(limits.message)];
        socket
            .send(message)
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Poll::Ready(Ok(message.len()))
    }

    /// The browser sends what it has as fast as it can.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// The browser still sends what is queued before it closes.
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // It only throws for a bad close code, and there is none.
        let _ = self.0.socket.close();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        for clear in [
            Socket::set_onopen,
            Socket::set_onclose,
            Socket::set_onerror,
            Socket::set_onmessage,
        ] {
            clear(&self.socket, None);
        }
        let Shared { held, unread, .. } = &*self.shared;
        held.unread.set(held.unread.get().saturating_sub(unread.get()));
        let (held, socket, linger) = (held.clone(), self.socket.clone(), self.limits.linger);
        let close = move || {
            held.pipes.set(held.pipes.get().saturating_sub(1));
            let _ = socket.close();
        };
        match linger {
            0 => close(),
            _ => spawn_local(clock::sleep(linger).map(move |()| close())),
        }
    }
}
