//! Getting a file back (step 15 of a deal, spec §6.6): moves the bytes; [`shared::client::retrieval`] says how many, how long,
//! and whether they are the file.

use crate::clock;
use crate::engine::Engine;
use crate::error::ClientError;
use crate::record::Record;
use crate::streams::{Conversation, Received};
use shared::client::retrieval::{Retrieval, RetrievalInput, Taken};
use shared::retrieval::{RetrievePieceChunk, RetrievePieceRequest, RetrievePieceResponse};
use shared::wire::{protocol, Cbor};
use wasm_bindgen::JsValue;

/// Bytes handed to JavaScript at a time, at least: fewer, larger parts make a Blob cheaper.
const PART: usize = 1 << 20;
/// Milliseconds after which the page is asked whether it still wants the file, whatever comes or does not come.
const ASK_PAGE: u64 = 500;

/// Fetches the file of a complete deal, handing `sink` its parts in order. The parts are worth nothing until this
/// returns: only then is it sure that they are the file. `sink` returns false to stop, also when it is asked with nothing.
pub async fn retrieve(engine: &Engine, record: &Record, sink: &js_sys::Function) -> Result<(), ClientError> {
    if !record.is_complete() {
        return Err(ClientError::NotStoredYet("retrieve"));
    }
    let draft = &record.deal.draft;
    let broken = |reason: String| ClientError::MinerUnreachable {
        miner: draft.miner.clone(),
        reason,
    };
    // It may have another host since the deal was made.
    let miner = engine.rpc.recent_miner(&draft.miner).await?;
    let peer = engine
        .reach(
            &draft.miner,
            miner.as_ref().map_or(&record.peer, |miner| &miner.peer_id),
        )
        .await?;
    let conversation = engine.network.converse(peer, protocol::RETRIEVAL).await;
    let mut conversation = conversation.map_err(|e| broken(e.to_string()))?;
    let request = RetrievePieceRequest {
        piece_ref: draft.data_cid,
    };
    conversation.send(&request).await.map_err(|e| broken(e.to_string()))?;
    let mut receiving = Receiving {
        conversation,
        retrieval: Retrieval::new(draft.data_cid, Some(draft.size), draft.size, clock::now() as u64),
        record,
        sink,
        part: Vec::with_capacity(PART),
        asked: clock::now(),
    };
    let answer: Option<RetrievePieceResponse> = receiving.next().await?;
    receiving.handle(answer.as_ref().map_or(RetrievalInput::End, RetrievalInput::Answer))?;
    loop {
        let chunk: Option<RetrievePieceChunk> = receiving.next().await?;
        let input = chunk.as_ref().map(|chunk| RetrievalInput::Chunk(&chunk.data));
        if let Taken::Whole { .. } = receiving.handle(input.unwrap_or(RetrievalInput::End))? {
            return receiving.hand_out();
        }
        receiving
            .part
            .extend_from_slice(chunk.as_ref().map_or(&[], |chunk| &chunk.data.0));
        if receiving.part.len() >= PART {
            receiving.hand_out()?;
        }
    }
}

/// A file on its way here.
struct Receiving<'a> {
    conversation: Conversation,
    retrieval: Retrieval,
    record: &'a Record,
    sink: &'a js_sys::Function,
    part: Vec<u8>,
    /// When the page was asked last whether it still wants the file.
    asked: f64,
}

impl Receiving<'_> {
    /// The next message, within the time that the retrieval leaves for it.
    async fn next<T: Cbor>(&mut self) -> Result<Option<T>, ClientError> {
        loop {
            if clock::now() - self.asked >= ASK_PAGE as f64 {
                self.hand_out()?;
            }
            let left = self.retrieval.deadline().saturating_sub(clock::now() as u64);
            let received = self.conversation.receive_for(left.min(ASK_PAGE) as i32).await;
            match received.map_err(|e| ClientError::MinerUnreachable {
                miner: self.record.deal.draft.miner.clone(),
                reason: e.to_string(),
            })? {
                Received::Message(message) => return Ok(Some(message)),
                Received::End => return Ok(None),
                Received::Nothing => drop(self.handle(RetrievalInput::Silence)?),
            }
        }
    }

    fn handle(&mut self, input: RetrievalInput) -> Result<Taken, ClientError> {
        let taken = self.retrieval.handle(input, clock::now() as u64);
        taken.map_err(|error| ClientError::retrieval(error, &self.record.deal.draft.miner))
    }

    fn hand_out(&mut self) -> Result<(), ClientError> {
        let bytes = js_sys::Uint8Array::from(self.part.as_slice());
        self.part.clear();
        self.asked = clock::now();
        let wanted = self.sink.call1(&JsValue::NULL, &bytes);
        match wanted
            .map_err(|e| ClientError::Internal(ClientError::text_of(&e)))?
            .as_bool()
        {
            Some(false) => Err(ClientError::Aborted),
            _ => Ok(()),
        }
    }
}
