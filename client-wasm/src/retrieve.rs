//! Getting a file back (step 15 of a deal, spec §6.6): moves the bytes; [`shared::client::retrieval`] says how many, how long,
//! and whether they are the file.

use crate::clock;
use crate::engine::Engine;
use crate::error::ClientError;
use crate::http;
use crate::record::Record;
use crate::streams::Conversation;
use cid::Cid;
use shared::chain::Address;
use shared::client::fetching::{fetch, Progress, Received, RetrievalHost};
use shared::client::retrieval::MOST_MINERS;
use shared::client::{engine, OfferError, RetrievalError};
use shared::wire::{protocol, Cbor};
use std::rc::Rc;
use wasm_bindgen::JsValue;

/// Bytes handed to JavaScript at a time, at least: fewer, larger parts make a Blob cheaper.
const PART: usize = 1 << 20;
/// Milliseconds after which the page is asked whether it still wants the file, whatever comes or does not come.
const ASK_PAGE: u64 = 500;

/// Fetches the file of a deal, handing `sink` its parts in order, over HTTP where its miner has that and else over libp2p. The parts are
/// worth nothing until this returns: only then is it sure that they are the file. `sink` returns false to stop, also when it is asked with
/// nothing; `null` takes all parts back that it got.
pub async fn retrieve(client: &Rc<Engine>, record: &Record, sink: &js_sys::Function) -> Result<(), ClientError> {
    let draft = &record.deal.draft;
    let (there, _) = engine::where_it_is(record, &client.edges(record)).await?;
    match http::fetch_piece(client, record, &there.peer, sink).await {
        Ok(()) => return Ok(()),
        Err(reason) => web_sys::console::debug_1(&format!("the file is fetched over libp2p: {reason}").into()),
    }
    begin_anew(sink)?;
    let peer = client.reach(&draft.miner, &there.peer).await?;
    let conversation = client.network.converse(peer, protocol::RETRIEVAL).await;
    let conversation = conversation.map_err(|e| broken(&draft.miner, e.to_string()))?;
    let wanted = (draft.data_cid, Some(draft.size), draft.size);
    receive(conversation, &draft.miner, wanted, sink).await
}

/// Where a deal's miner gives its piece over HTTP; `None` where this page may not ask it so.
pub async fn piece_url(client: &Rc<Engine>, record: &Record) -> Result<Option<String>, ClientError> {
    let (there, _) = engine::where_it_is(record, &client.edges(record)).await?;
    let bases = http::find(client, &there.peer).await?;
    let base = bases.into_iter().next();
    Ok(base.map(|base| format!("{base}/piece/{}", record.piece_cid())))
}

/// Fetches data that no deal of this account is about, of `size` bytes where that is known and else of at most `most`, from the first of
/// all miners that gives it. Its parts go to `sink` as in [`retrieve`].
pub async fn retrieve_any(
    client: &Rc<Engine>,
    wanted: (Cid, Option<u64>, u64),
    sink: &js_sys::Function,
) -> Result<(), ClientError> {
    let mut last = ClientError::Offer(OfferError::NoMiners);
    let miners = client.rpc.miners().await?;
    for miner in miners.into_iter().take(MOST_MINERS as usize) {
        begin_anew(sink)?;
        match retrieve_from(client, (&miner.address, &miner.peer_id), wanted, sink).await {
            Ok(()) => return Ok(()),
            Err(ClientError::Aborted) => return Err(ClientError::Aborted),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn retrieve_from(
    client: &Rc<Engine>,
    (miner, peer): (&Address, &str),
    wanted: (Cid, Option<u64>, u64),
    sink: &js_sys::Function,
) -> Result<(), ClientError> {
    let peer = client.reach(miner, peer).await?;
    let conversation = client.network.converse(peer, protocol::RETRIEVAL).await;
    let conversation = conversation.map_err(|e| broken(miner, e.to_string()))?;
    receive(conversation, miner, wanted, sink).await
}

/// Fetches over libp2p from the miner at the other end.
async fn receive(
    conversation: Conversation,
    miner: &Address,
    (wanted, size, most): (Cid, Option<u64>, u64),
    sink: &js_sys::Function,
) -> Result<(), ClientError> {
    let mut receiving = Receiving {
        conversation,
        miner,
        sink,
        part: Vec::with_capacity(PART),
        asked: clock::now(),
    };
    fetch(wanted, size, most, &mut receiving).await?;
    receiving.hand_out()
}

/// Takes back what the sink has got; fails when nothing more is wanted.
fn begin_anew(sink: &js_sys::Function) -> Result<(), ClientError> {
    wanted(sink, &JsValue::NULL)
}

/// Hands the sink something; fails when nothing more is wanted.
fn wanted(sink: &js_sys::Function, part: &JsValue) -> Result<(), ClientError> {
    let wanted = sink.call1(&JsValue::NULL, part);
    match wanted
        .map_err(|e| ClientError::Internal(ClientError::text_of(&e)))?
        .as_bool()
    {
        Some(false) => Err(ClientError::Aborted),
        _ => Ok(()),
    }
}

fn broken(miner: &Address, reason: String) -> ClientError {
    ClientError::MinerUnreachable {
        miner: miner.clone(),
        reason,
        obstacle: None,
    }
}

/// A file on its way here.
struct Receiving<'a> {
    conversation: Conversation,
    miner: &'a Address,
    sink: &'a js_sys::Function,
    part: Vec<u8>,
    /// When the page was asked last whether it still wants the file.
    asked: f64,
}

impl RetrievalHost for Receiving<'_> {
    type Error = ClientError;

    fn now_ms(&self) -> u64 {
        clock::now() as u64
    }

    async fn send<Q: Cbor>(&mut self, request: &Q) -> Result<(), ClientError> {
        let sent = self.conversation.send(request).await;
        sent.map_err(|e| broken(self.miner, e.to_string()))
    }

    async fn receive<T: Cbor>(&mut self, most_ms: u64) -> Result<Received<T>, ClientError> {
        if clock::now() - self.asked >= ASK_PAGE as f64 {
            self.hand_out()?;
        }
        let received = self.conversation.receive_for(most_ms.min(ASK_PAGE) as i32).await;
        received.map_err(|e| broken(self.miner, e.to_string()))
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.part.extend_from_slice(bytes);
        match self.part.len() >= PART {
            true => self.hand_out(),
            false => Ok(()),
        }
    }

    fn show(&mut self, _: Progress) {}

    fn failed(&self, error: RetrievalError) -> ClientError {
        ClientError::Retrieval {
            miner: self.miner.clone(),
            error,
        }
    }
}

impl Receiving<'_> {
    fn hand_out(&mut self) -> Result<(), ClientError> {
        let bytes = js_sys::Uint8Array::from(self.part.as_slice());
        self.part.clear();
        self.asked = clock::now();
        wanted(self.sink, &bytes)
    }
}
