//! The chain, asked over JSON-RPC 2.0 with `fetch`; never through the miner (design §5).

use crate::clock;
use crate::error::ClientError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};
use shared::chain::view::{ActorView, ChannelView, HeadView, MinerView, NetworkView, ReceiptView};
use shared::chain::{Address, Call, ChannelId, Epoch, SignedMessage};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

/// Longest wait for an answer, in milliseconds.
const LIMIT: i32 = 10_000;
/// How long what is known of a miner is good enough for showing progress, in milliseconds.
const MINER_AGE: f64 = 2_000.0;
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
    miners: Rc<RefCell<BTreeMap<Address, (f64, MinerView)>>>,
}

/// A message that the chain knows.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageView {
    pub to: Address,
    pub method: String,
    /// Hexadecimal.
    pub params: Vec<String>,
    /// `None` while it waits for a block.
    #[serde(default)]
    pub receipt: Option<ReceiptView>,
}

#[derive(Deserialize)]
struct Answer {
    result: Option<Value>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    code: i64,
    message: String,
    #[serde(default)]
    data: Option<RefusalData>,
}

#[derive(Default, Deserialize)]
struct RefusalData {
    #[serde(default)]
    hint: Option<String>,
    #[serde(default)]
    height: Option<Epoch>,
}

#[derive(Deserialize)]
struct Pushed {
    message: String,
}

impl Rpc {
    pub fn new(url: &str) -> Self {
        Self {
            url: url.into(),
            miners: Rc::default(),
        }
    }

    /// Where the chain is.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub async fn network(&self) -> Result<NetworkView, ClientError> {
        self.call("chain.network", json!({})).await
    }

    pub async fn head(&self) -> Result<HeadView, ClientError> {
        self.call("chain.head", json!({})).await
    }

    /// `None` for an address that the chain does not know yet.
    pub async fn actor(&self, address: &Address) -> Result<Option<ActorView>, ClientError> {
        self.call("chain.actor", json!({ "address": address })).await
    }

    pub async fn miners(&self) -> Result<Vec<MinerView>, ClientError> {
        self.call("chain.miners", json!({})).await
    }

    pub async fn miner(&self, address: &Address) -> Result<MinerView, ClientError> {
        let found = self.find_miner(address).await?;
        found.ok_or_else(|| ClientError::MinerUnknown(address.clone()))
    }

    /// `None` when there is no such miner.
    pub async fn find_miner(&self, address: &Address) -> Result<Option<MinerView>, ClientError> {
        let found: Option<MinerView> = self.call("chain.miner", json!({ "address": address })).await?;
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
    pub async fn query(&self, call: &Call) -> Result<Value, ClientError> {
        let params: Vec<String> = call.params.iter().map(hex::encode).collect();
        let query = json!({ "to": call.to, "method": call.method, "params": params });
        self.call("chain.query", query).await
    }

    /// `None` when the payer has no such channel (any more).
    pub async fn channel(&self, payer: &Address, id: ChannelId) -> Result<Option<ChannelView>, ClientError> {
        self.call("chain.channel", json!({ "payer": payer, "id": id })).await
    }

    /// Sends a message; sending it twice is harmless. Returns its id.
    pub async fn push(&self, message: &SignedMessage) -> Result<String, ClientError> {
        let bytes = hex::encode(shared::wire::encode(message));
        let pushed: Pushed = self.call("chain.push", json!({ "message": bytes })).await?;
        Ok(pushed.message)
    }

    /// `None` until the message is in a block.
    pub async fn receipt(&self, message: &str) -> Result<Option<ReceiptView>, ClientError> {
        self.call("chain.receipt", json!({ "message": message })).await
    }

    /// `None` for a message that the chain does not know.
    pub async fn message(&self, message: &str) -> Result<Option<MessageView>, ClientError> {
        self.call("chain.message", json!({ "message": message })).await
    }

    /// Addresses that a peer has announced, as text.
    pub async fn find_peer(&self, peer: &str) -> Result<Vec<String>, ClientError> {
        self.call("peers.find", json!({ "peerId": peer })).await
    }

    /// Asks for FIL on a development chain.
    pub async fn faucet(&self, address: &Address) -> Result<(), ClientError> {
        let answer: Result<Value, ClientError> = self.call("devnet.faucet", json!({ "address": address })).await;
        match answer {
            Ok(_) => Ok(()),
            Err(ClientError::ChainRefused { message, hint, .. }) => Err(ClientError::Faucet { message, hint }),
            Err(fault) => Err(fault),
        }
    }

    async fn call<T: DeserializeOwned>(&self, method: &'static str, params: impl Serialize) -> Result<T, ClientError> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": json!(params) });
        let unreachable = |reason: String| ClientError::ChainUnreachable {
            url: self.url.to_string(),
            reason,
        };
        let posted = clock::within(LIMIT, self.post(&request.to_string())).await;
        let text = posted
            .ok_or_else(|| unreachable("it is silent".into()))?
            .map_err(|e| unreachable(ClientError::text_of(&e)))?;
        let unreadable = |e: serde_json::Error| ClientError::ChainAnswer {
            method,
            reason: e.to_string(),
        };
        let answer: Answer = serde_json::from_str(&text).map_err(unreadable)?;
        if let Some(refusal) = answer.error {
            let data = refusal.data.unwrap_or_default();
            return Err(ClientError::ChainRefused {
                method,
                code: refusal.code,
                height: data.height,
                message: refusal.message,
                hint: data.hint.unwrap_or_default(),
            });
        }
        serde_json::from_value(answer.result.unwrap_or(Value::Null)).map_err(unreadable)
    }

    async fn post(&self, body: &str) -> Result<String, JsValue> {
        let init = web_sys::RequestInit::new();
        init.set_method("POST");
        init.set_body(&JsValue::from_str(body));
        let headers = web_sys::Headers::new()?;
        headers.set("content-type", "application/json")?;
        init.set_headers(&headers);
        let response: web_sys::Response = JsFuture::from(fetch(&self.url, &init)?).await?.dyn_into()?;
        if !response.ok() {
            return Err(JsValue::from_str(&format!("HTTP status {}", response.status())));
        }
        Ok(JsFuture::from(response.text()?).await?.as_string().unwrap_or_default())
    }
}
