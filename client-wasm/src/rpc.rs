//! The chain, asked over JSON-RPC 2.0 with `fetch`; never through the miner (design §8).

use crate::clock;
use crate::error::ClientError;
use crate::host::Host;
use crate::json;
use crate::surroundings;
use cid::Cid;
use serde_json::value::RawValue;
use shared::chain::light::{MessageProof, StateKey, StateProof};
use shared::chain::rpc::{
    self, Canonical, HexBytes, MessageSummary, MessageView, Method, Pushed, QueryView, Request, Response,
};
use shared::chain::view::{ActorView, ChannelView, HeadView, MinerView, NetworkView, ReceiptView};
use shared::chain::{Address, Call, ChannelId, Epoch, SignedMessage};
use shared::client::dialing::Obstacle;
use shared::client::OfferError;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

/// Longest wait for an answer, in milliseconds.
const LIMIT: i32 = 10_000;
/// How long what is known of a miner is good enough for showing progress, in milliseconds.
const MINER_AGE: f64 = 2_000.0;
/// How long what was found to be in the way is taken to be so still, in milliseconds: heads are asked for each second.
const OBSTACLE_AGE: f64 = 5_000.0;
/// Miners kept in memory, at most; the rest are asked for each time.
const MAX_MINERS: usize = 256;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch)]
    fn fetch(url: &str, init: &web_sys::RequestInit) -> Result<js_sys::Promise, JsValue>;
}

/// A chain endpoint.
#[derive(Clone)]
pub struct Rpc {
    url: Rc<str>,
    host: Rc<Host>,
    miners: Rc<RefCell<BTreeMap<Address, (f64, MinerView)>>>,
    /// What was found to be in the way, and when.
    obstacle: Rc<Cell<Option<(f64, Obstacle)>>>,
}

impl Rpc {
    pub fn new(url: &str, host: Rc<Host>) -> Self {
        Self {
            url: url.into(),
            host,
            miners: Rc::default(),
            obstacle: Rc::default(),
        }
    }

    /// Where the chain is.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub async fn network(&self) -> Result<NetworkView, ClientError> {
        self.call(&rpc::Network {}).await
    }

    pub async fn head(&self) -> Result<HeadView, ClientError> {
        self.call(&rpc::Head {}).await
    }

    /// `None` for an address that the chain does not know yet.
    pub async fn actor(&self, address: &Address) -> Result<Option<ActorView>, ClientError> {
        let address = address.clone();
        self.call(&rpc::Actor { address }).await
    }

    pub async fn miners(&self) -> Result<Vec<MinerView>, ClientError> {
        self.call(&rpc::Miners {}).await
    }

    pub async fn miner(&self, address: &Address) -> Result<MinerView, ClientError> {
        let found = self.find_miner(address).await?;
        found.ok_or_else(|| OfferError::UnknownMiner(address.clone()).into())
    }

    /// `None` when there is no such miner.
    pub async fn find_miner(&self, address: &Address) -> Result<Option<MinerView>, ClientError> {
        let asked = address.clone();
        let found = self.call(&rpc::Miner { address: asked }).await?;
        if let Some(miner) = &found {
            let mut miners = self.miners.borrow_mut();
            if miners.len() >= MAX_MINERS {
                miners.clear();
            }
            miners.insert(address.clone(), (clock::now(), miner.clone()));
        }
        Ok(found)
    }

    /// Like [`Rpc::find_miner`], or what it said in the last two seconds: many deals watch the same miner.
    pub async fn recent_miner(&self, address: &Address) -> Result<Option<MinerView>, ClientError> {
        let known = self.miners.borrow().get(address).cloned();
        match known {
            Some((at, miner)) if clock::now() - at < MINER_AGE => Ok(Some(miner)),
            _ => self.find_miner(address).await,
        }
    }

    /// Asks an actor without a message.
    pub async fn query(&self, call: &Call) -> Result<QueryView, ClientError> {
        self.query_at(call, None).await
    }

    /// Asks an actor as it was after the block at a height; without one, as it is.
    pub async fn query_at(&self, call: &Call, height: Option<Epoch>) -> Result<QueryView, ClientError> {
        let query = rpc::Query {
            to: call.to.clone(),
            from: None,
            method: call.method.clone(),
            params: call.params.clone(),
            height,
        };
        self.call(&query).await
    }

    /// `None` when the payer has no such channel (any more).
    pub async fn channel(&self, payer: &Address, id: ChannelId) -> Result<Option<ChannelView>, ClientError> {
        let payer = payer.clone();
        self.call(&rpc::Channel { payer, id }).await
    }

    /// Sends a message; sending it twice is harmless.
    pub async fn push(&self, message: &SignedMessage) -> Result<Pushed, ClientError> {
        let message = message.clone();
        self.call(&rpc::Push { message }).await
    }

    /// `None` until the message is in a block.
    pub async fn receipt(&self, message: &Cid) -> Result<Option<ReceiptView>, ClientError> {
        self.call(&rpc::Receipt { message: *message }).await
    }

    /// `None` for a message that the chain does not know.
    pub async fn message(&self, message: &Cid) -> Result<Option<MessageView>, ClientError> {
        self.call(&rpc::Message { message: *message }).await
    }

    /// The ticket of the block at a height.
    pub async fn beacon(&self, height: Epoch) -> Result<HexBytes, ClientError> {
        self.call(&rpc::Beacon { height }).await
    }

    /// Messages from or to an address below a height, newest first, some hundred at most.
    pub async fn messages(&self, address: &Address, before: Option<Epoch>) -> Result<Vec<MessageSummary>, ClientError> {
        let address = address.clone();
        self.call(&rpc::Messages { address, before }).await
    }

    /// The genesis record, unchecked.
    pub async fn genesis_record(&self) -> Result<HexBytes, ClientError> {
        self.call(&rpc::GenesisRecord {}).await
    }

    /// The proof of a message, unchecked.
    pub async fn prove_message(&self, message: &Cid) -> Result<Option<Canonical<MessageProof>>, ClientError> {
        self.call(&rpc::ProveMessage { message: *message }).await
    }

    /// The proof of entries of the newest state, unchecked.
    pub async fn prove_state(&self, keys: &[StateKey]) -> Result<Canonical<StateProof>, ClientError> {
        let (keys, height) = (keys.to_vec(), None);
        self.call(&rpc::ProveState { keys, height }).await
    }

    /// The record that a peer has signed, in its envelope, unchecked.
    pub async fn find_peer(&self, peer: &str) -> Result<Option<HexBytes>, ClientError> {
        let peer_id = peer.to_owned();
        self.call(&rpc::FindPeer { peer_id }).await
    }

    /// Asks for FIL on a development chain.
    pub async fn faucet(&self, address: &Address) -> Result<(), ClientError> {
        let address = address.clone();
        match self.call(&rpc::Faucet { address }).await {
            Ok(_) => Ok(()),
            Err(ClientError::ChainRefused { message, hint, .. }) => Err(ClientError::Faucet { message, hint }),
            Err(fault) => Err(fault),
        }
    }

    async fn call<M: Method>(&self, call: &M) -> Result<M::Result, ClientError> {
        let method = M::NAME;
        let unreadable = |e: serde_json::Error| ClientError::ChainAnswer {
            method,
            reason: e.to_string(),
        };
        let request = json::write(&Request::new(1, call)).map_err(unreadable)?;
        let text = match clock::within(LIMIT, self.post(&request)).await {
            Some(Ok(Ok(text))) => text,
            // It answered, so that nothing is in the way.
            Some(Ok(Err(reason))) => {
                return Err(ClientError::ChainUnreachable {
                    url: self.url.to_string(),
                    reason,
                    obstacle: None,
                })
            }
            Some(Err(error)) => return Err(self.unreachable(ClientError::text_of(&error)).await),
            None => return Err(self.unreachable("it is silent".into()).await),
        };
        let answer: Response<Box<RawValue>> = json::read(&text).map_err(unreadable)?;
        if let Some(refusal) = answer.error {
            let data = refusal.data.unwrap_or_default();
            return Err(ClientError::ChainRefused {
                method,
                code: refusal.code,
                height: data.height,
                message: refusal.message,
                hint: data.hint.unwrap_or_default().into_owned(),
            });
        }
        json::read(answer.result.as_deref().map_or("null", RawValue::get)).map_err(unreadable)
    }

    /// Why the chain does not answer. The browser only says that it does not; what is in the way is found out here.
    async fn unreachable(&self, reason: String) -> ClientError {
        let obstacle = match self.obstacle.get() {
            Some((at, known)) if clock::now() - at < OBSTACLE_AGE => Some(known),
            _ => self.look_for_obstacle().await,
        };
        let told = obstacle.filter(|found| *found != Obstacle::NoAnswer);
        ClientError::ChainUnreachable {
            url: self.url.to_string(),
            reason: told.map_or(reason, |obstacle| obstacle.message().into()),
            obstacle,
        }
    }

    async fn look_for_obstacle(&self) -> Option<Obstacle> {
        let page = surroundings::dialer(&self.host).await.ok()?.page?;
        let init = web_sys::RequestInit::new();
        init.set_mode(web_sys::RequestMode::NoCors);
        // Its answer cannot be read, only that there is one.
        let probe = JsFuture::from(fetch(&self.url, &init).ok()?);
        let answers = matches!(clock::within(LIMIT, probe).await, Some(Ok(_)));
        let found = page.obstacle_to(&self.url, answers);
        self.obstacle.set(Some((clock::now(), found)));
        Some(found)
    }

    /// The answer's text, or why it has none; fails when there is no answer.
    async fn post(&self, body: &str) -> Result<Result<String, String>, JsValue> {
        let init = web_sys::RequestInit::new();
        init.set_method("POST");
        init.set_body(&JsValue::from_str(body));
        let headers = web_sys::Headers::new()?;
        headers.set("content-type", "application/json")?;
        init.set_headers(&headers);
        // As natively: what asks is another server's then, and its answer with it.
        init.set_redirect(web_sys::RequestRedirect::Manual);
        let response: web_sys::Response = JsFuture::from(fetch(&self.url, &init)?).await?.dyn_into()?;
        Ok(text_of(&response).await)
    }
}

async fn text_of(response: &web_sys::Response) -> Result<String, String> {
    match response.status() {
        // As browsers show a redirect that they were told not to follow.
        0 => Err("it sends on to another address, which is not followed".into()),
        status if !response.ok() => Err(format!("HTTP status {status}")),
        _ => {
            let bytes = whole_body(response).await?;
            String::from_utf8(bytes).map_err(|_| "its answer is no text".into())
        }
    }
}

/// An answer's body, which is not read further than [`rpc::MAX_ANSWER`] bytes.
async fn whole_body(response: &web_sys::Response) -> Result<Vec<u8>, String> {
    let words = |error: JsValue| ClientError::text_of(&error);
    let mut bytes = Vec::new();
    let Some(body) = response.body() else {
        return Ok(bytes);
    };
    let reader: web_sys::ReadableStreamDefaultReader =
        body.get_reader().dyn_into().map_err(|_| "its answer is no stream")?;
    let reading = Reading(reader);
    loop {
        let read = JsFuture::from(reading.0.read()).await.map_err(words)?;
        let part = js_sys::Reflect::get(&read, &JsValue::from_str("value")).map_err(words)?;
        let Ok(part) = part.dyn_into::<js_sys::Uint8Array>() else {
            return Ok(bytes);
        };
        if bytes.len() + part.length() as usize > rpc::MAX_ANSWER {
            return Err(format!("its answer has more than {} bytes", rpc::MAX_ANSWER));
        }
        bytes.extend(part.to_vec());
    }
}

/// A body that is read. One that nobody reads on would keep its connection.
struct Reading(web_sys::ReadableStreamDefaultReader);

impl Drop for Reading {
    fn drop(&mut self) {
        let ended = JsFuture::from(self.0.cancel());
        // Whether that comes to an end is all the same.
        wasm_bindgen_futures::spawn_local(async {
            let _ = ended.await;
        });
    }
}
