//! The network in a page's worker: what JavaScript calls, and what reaches the network from outside over message ports.
//!
//! `js/devnet-worker.ts` loads this and hands in what clients send: requests of JSON-RPC, WebSockets to the chain ([`sockets`]), and
//! WebSockets to miners, each of which has a libp2p host ([`host`]) that listens on ports in place of sockets ([`listener`]). The
//! sockets are not of the browser: both of their ends are in the page (`js/port-socket.ts`).

mod host;
mod listener;
mod news;
mod sockets;

use crate::{Devnet, DevnetOptions, Faults};
use host::Host;
use libp2p::Multiaddr;
use news::News;
use serde::{de::DeserializeOwned, Serialize};
use shared::chain::Address;
use sockets::{Sockets, TextSocket};
use std::cell::RefCell;
use std::fmt::Display;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &'static str = r#"
/** A socket whose other end is in the page, too. */
export type PageSocket = import('../../js/port-socket.js').PortSocket;
"#;

/// The domain of everything in a page's network: it leads nowhere outside (RFC 2606).
const DOMAIN: &str = "devnet.invalid";

/// What the parts share.
pub struct Shared {
    pub net: RefCell<Devnet>,
    /// Told with every block, and when a deal came further.
    pub news: News,
}

/// A network in this worker.
#[wasm_bindgen]
pub struct PageDevnet {
    shared: Rc<Shared>,
    hosts: Vec<Host>,
    sockets: Sockets,
}

/// A miner of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MinerName {
    address: Address,
    peer_id: String,
}

fn failed(error: impl Display) -> JsError {
    JsError::new(&error.to_string())
}

fn from_js<T: DeserializeOwned>(value: JsValue) -> Result<T, JsError> {
    serde_wasm_bindgen::from_value(value).map_err(failed)
}

/// The name of the host of the miner with a number.
fn host_name(number: usize) -> String {
    format!("miner-{number}.{DOMAIN}")
}

#[wasm_bindgen]
impl PageDevnet {
    /// Begins a network; the options are those of [`DevnetOptions`].
    #[wasm_bindgen(constructor)]
    pub fn new(options: JsValue) -> Result<PageDevnet, JsError> {
        console_error_panic_hook::set_once();
        let options: DevnetOptions = from_js(options)?;
        let address = |number| {
            let text = format!("/dns4/{}/tcp/443/tls/ws", host_name(number));
            let address: Multiaddr = text.parse().expect("the parts of a multiaddr");
            vec![address.to_vec()]
        };
        let net = Devnet::begin(&options, address).map_err(failed)?;
        let secrets: Vec<_> = net.miners.iter().map(crate::Miner::host_secret).collect();
        let shared = Rc::new(Shared {
            net: RefCell::new(net),
            news: News::default(),
        });
        let hosts = secrets.into_iter().enumerate();
        let hosts = hosts.map(|(miner, secret)| Host::start(shared.clone(), miner, secret));
        Ok(Self {
            hosts: hosts.collect::<Result<_, _>>().map_err(failed)?,
            shared,
            sockets: Sockets::default(),
        })
    }

    /// The miners, with the ids of their hosts.
    pub fn miners(&self) -> Result<JsValue, JsError> {
        let net = self.shared.net.borrow();
        let name = |miner: &crate::Miner| MinerName {
            address: miner.address.clone(),
            peer_id: miner.peer_id(),
        };
        let miners: Vec<_> = net.miners.iter().map(name).collect();
        serde_wasm_bindgen::to_value(&miners).map_err(failed)
    }

    /// The height of the newest block.
    pub fn height(&self) -> f64 {
        self.shared.net.borrow().chain.head().height.0 as f64
    }

    /// Makes a block; its height. To be told with [`PageDevnet::publish`], at once or after some more.
    pub fn mine(&self) -> Result<f64, JsError> {
        let head = self.shared.net.borrow_mut().mine().map_err(failed)?;
        Ok(head.height.0 as f64)
    }

    /// Tells the newest block to all who wait for one: who is slow misses some, never the newest.
    pub fn publish(&self) {
        let head = self.shared.net.borrow().chain.head();
        self.sockets.publish(&head);
        self.shared.news.tell();
    }

    /// Blocks that are made in so many virtual milliseconds.
    #[wasm_bindgen(js_name = blocksIn)]
    pub fn blocks_in(&self, ms: f64) -> f64 {
        self.shared.net.borrow().blocks_in(ms.max(0.0) as u64) as f64
    }

    /// Switches a miner's faults ([`Faults`]): those that are not named are off.
    #[wasm_bindgen(js_name = setFaults)]
    pub fn set_faults(&self, miner: &str, faults: JsValue) -> Result<(), JsError> {
        let (address, faults): (Address, Faults) = (miner.parse().map_err(failed)?, from_js(faults)?);
        let breaks_off = faults.drop_connection;
        self.shared
            .net
            .borrow_mut()
            .set_faults(&address, faults)
            .map_err(failed)?;
        let net = self.shared.net.borrow();
        let places = net.miners.iter().zip(&self.hosts);
        for (_, host) in places.filter(|(found, _)| breaks_off && found.address == address) {
            host.disconnect();
        }
        drop(net);
        // Whoever waits for a word of it hears of its end.
        self.shared.news.tell();
        Ok(())
    }

    /// Sends money of the faucet to an account; it arrives with the next block.
    pub fn faucet(&self, address: &str) -> Result<(), JsError> {
        let address: Address = address.parse().map_err(failed)?;
        let granted = self.shared.net.borrow().chain.grant(&address);
        granted.map(drop).map_err(|refusal| failed(refusal.message))
    }

    /// Throws when a rule of the whole chain does not hold.
    #[wasm_bindgen(js_name = checkInvariants)]
    pub fn check_invariants(&self) -> Result<(), JsError> {
        self.shared.net.borrow().check_invariants().map_err(failed)
    }

    /// Answers a request of JSON-RPC that came by `fetch`.
    pub fn answer(&self, request: &str) -> Option<String> {
        let answer = self.shared.net.borrow().chain.answer(request.as_bytes());
        answer.map(|answer| answer.to_string())
    }

    /// Takes a WebSocket in that was opened to a host of the network; false when there is no such host, or it takes none.
    pub fn accept(&self, host: &str, #[wasm_bindgen(unchecked_param_type = "PageSocket")] socket: JsValue) -> bool {
        let number = (0..self.hosts.len()).find(|number| host_name(*number) == host);
        number
            .and_then(|number| self.hosts.get(number))
            .is_some_and(|found| found.accept(socket))
    }

    /// Takes in a message of a WebSocket to the chain.
    pub fn hear(&self, #[wasm_bindgen(unchecked_param_type = "PageSocket")] socket: TextSocket, text: &str) {
        let net = self.shared.net.borrow();
        self.sockets.hear(socket, text, &net.chain);
    }

    /// A WebSocket to the chain is closed.
    pub fn forget(&self, #[wasm_bindgen(unchecked_param_type = "PageSocket")] socket: TextSocket) {
        self.sockets.forget(&socket);
    }
}
