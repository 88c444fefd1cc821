//! Sending a deal's piece over HTTP, where its miner takes it so (step 7 of a deal): moves what [`shared::client::uploading`] decides.
//!
//! The piece stays on offer over libp2p meanwhile ([`crate::piece_server`]), so an upload that ends early costs nothing. Started by
//! [`crate::engine`] for a deal that its miner has accepted. The browser reads a chunk from the page's storage while it sends it: the
//! bytes never come into this module.

use crate::clock;
use crate::engine::{ActiveDeal, Engine};
use crate::error::ClientError;
use crate::http;
use crate::json;
use crate::record::Record;
use cid::Cid;
use futures::stream::FuturesUnordered;
use futures::StreamExt;
use js_sys::Uint8Array;
use serde::Deserialize;
use shared::chain::Epoch;
use shared::client::uploading::{Ask, Reply, Step, Uploading, ANSWER_LIMIT_MS, CHUNK_LIMIT_MS, MAX_ANSWER};
use shared::transfer::upload::{write_nodes, Opening, PATH};
use shared::wire::encode;
use std::ops::Range;
use std::rc::Rc;
use wasm_bindgen::JsValue;

/// A piece that is sent.
pub struct Sender {
    engine: Rc<Engine>,
    deal: Rc<ActiveDeal>,
    record: Record,
    cid: Cid,
    network: Cid,
}

/// What a miner answered.
#[derive(Deserialize)]
struct Answer {
    status: u16,
    text: Option<String>,
}

impl Sender {
    /// Of the deal `cid`, which its miner has accepted.
    pub fn new(engine: Rc<Engine>, deal: Rc<ActiveDeal>, cid: Cid) -> Option<Self> {
        let record = deal.record.borrow().clone();
        let network = record.genesis.parse().ok()?;
        Some(Self {
            engine,
            deal,
            record,
            cid,
            network,
        })
    }

    /// Sends until the miner has the piece, or it is left to libp2p, which the browser's console says.
    pub async fn send(self) {
        if let Err(reason) = self.try_to_send().await {
            let said = format!("the miner fetches the file over libp2p: {reason}");
            web_sys::console::debug_1(&said.into());
        }
    }

    async fn try_to_send(&self) -> Result<(), String> {
        let found = http::find(&self.engine, &self.record.peer).await;
        let bases = found.map_err(|error| error.to_string())?;
        let Some(mut uploading) = Uploading::new(self.record.deal.draft.size, bases) else {
            return Err("the miner has no address over HTTP that this page may ask".into());
        };
        let mut under_way = FuturesUnordered::new();
        while !self.deal.stopped.get() && self.deal.record.borrow().needs_file() {
            match uploading.next(clock::now() as u64) {
                Step::Send(ask) => {
                    let (base, token) = (uploading.base().to_owned(), uploading.token().map(str::to_owned));
                    let bytes = match ask {
                        Ask::Chunk(chunk) => uploading.bytes(chunk),
                        _ => 0..0,
                    };
                    under_way.push(async move { (ask, self.ask(ask, &base, token.as_deref(), bytes).await) });
                }
                Step::Await => {
                    if let Some((ask, reply)) = under_way.next().await {
                        uploading.on_reply(ask, reply, clock::now() as u64);
                        self.engine.sent(&self.deal, uploading.sent());
                    }
                }
                Step::Pause(ms) => clock::sleep(i32::try_from(ms).unwrap_or(i32::MAX)).await,
                Step::Done => break,
                Step::FallBack(reason) => return Err(reason),
            }
        }
        Ok(())
    }

    async fn ask(&self, ask: Ask, base: &str, token: Option<&str>, bytes: Range<u64>) -> Reply {
        let (host, url) = (&self.engine.host, format!("{base}{PATH}/{}", self.cid));
        let (limit, most) = (ANSWER_LIMIT_MS as f64, MAX_ANSWER as f64);
        let asked = match ask {
            Ask::Open => {
                let opening = match self.opening().await {
                    Ok(opening) => Uint8Array::from(opening.as_slice()),
                    Err(error) => return Reply::Lost(error.to_string()),
                };
                host.ask_miner("POST", &url, token, Some(opening), limit, most).await
            }
            Ask::Nodes => match write_nodes(self.deal.nodes().values().map(Vec::as_slice)) {
                Ok(nodes) => {
                    let (url, nodes) = (format!("{url}/nodes"), Uint8Array::from(nodes.as_slice()));
                    host.ask_miner("PUT", &url, token, Some(nodes), limit, most).await
                }
                Err(error) => return Reply::Lost(error.to_string()),
            },
            Ask::Chunk(chunk) => {
                let (url, limit) = (format!("{url}/{chunk}"), CHUNK_LIMIT_MS as f64);
                let (from, to) = (bytes.start as f64, bytes.end as f64);
                host.send_part(&self.record.id, from, to, &url, token, limit, most)
                    .await
            }
            Ask::Finalize => {
                let url = format!("{url}/finalize");
                host.ask_miner("POST", &url, token, None, limit, most).await
            }
        };
        asked.map_or_else(|error| Reply::Lost(ClientError::text_of(&error)), reply_of)
    }

    /// Signed anew for each session: an old one does not hold for long.
    async fn opening(&self) -> Result<Vec<u8>, ClientError> {
        let height: Epoch = self.engine.rpc.head().await?.height;
        let miner = self.record.deal.draft.miner.clone();
        let opening = Opening::new(self.network, miner, self.cid, height);
        Ok(encode(&opening.sign(&self.engine.key)))
    }
}

fn reply_of(answer: JsValue) -> Reply {
    let Ok(Answer { status, text }) = json::from_js(&answer) else {
        return Reply::Lost("the browser's answer cannot be read".into());
    };
    let foreign = Reply::Foreign { status };
    let Some(text) = text else { return foreign };
    let reply = match status {
        200..=299 if text.is_empty() => Some(Reply::Done(None)),
        200..=299 => json::read(&text).ok().map(|view| Reply::Done(Some(view))),
        _ => json::read(&text).ok().map(Reply::Refused),
    };
    reply.unwrap_or(foreign)
}
