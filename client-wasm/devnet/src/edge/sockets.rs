//! JSON-RPC over sockets in the page: requests like those of `fetch`, and news of heads to those that subscribe.

use sealdrop_devnet::MemoryChain;
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};
use shared::chain::rpc::{Heads, Method, Notification, Subscribe, VERSION};
use shared::chain::view::HeadView;
use std::cell::{Cell, RefCell};
use wasm_bindgen::prelude::*;

/// Subscriptions at once: clients of one page.
const MAX_SUBSCRIPTIONS: usize = 64;

#[wasm_bindgen]
extern "C" {
    /// The socket of a client, as far as it is needed here.
    #[derive(Clone, PartialEq)]
    pub type TextSocket;

    #[wasm_bindgen(method)]
    fn send(this: &TextSocket, text: &str);
}

#[derive(Default)]
pub struct Sockets {
    subscriptions: RefCell<Vec<(u64, TextSocket)>>,
    last: Cell<u64>,
}

#[derive(Deserialize)]
struct Call {
    id: Option<Value>,
    method: String,
}

fn send<T: Serialize>(socket: &TextSocket, message: &T) {
    if let Ok(text) = serde_json::to_string(message) {
        socket.send(&text);
    }
}

impl Sockets {
    pub fn hear(&self, socket: TextSocket, text: &str, chain: &MemoryChain) {
        match serde_json::from_str(text) {
            Ok(Call { id, method }) if method == Subscribe::NAME => self.subscribe(socket, id, &chain.head()),
            _ => {
                if let Some(answer) = chain.answer(text.as_bytes()) {
                    send(&socket, &answer);
                }
            }
        }
    }

    /// Tells the head at once, and with every block. A client ends a subscription with its socket.
    fn subscribe(&self, socket: TextSocket, id: Option<Value>, head: &HeadView) {
        let mut subscriptions = self.subscriptions.borrow_mut();
        if subscriptions.len() >= MAX_SUBSCRIPTIONS {
            subscriptions.remove(0);
        }
        let number = self.last.get() + 1;
        self.last.set(number);
        send(&socket, &json!({ "jsonrpc": VERSION, "id": id, "result": number }));
        send(&socket, &Notification::of::<Heads>(number, head));
        subscriptions.push((number, socket));
    }

    pub fn publish(&self, head: &HeadView) {
        for (number, socket) in &*self.subscriptions.borrow() {
            send(socket, &Notification::of::<Heads>(*number, head));
        }
    }

    pub fn forget(&self, socket: &TextSocket) {
        self.subscriptions.borrow_mut().retain(|(_, other)| other != socket);
    }
}
