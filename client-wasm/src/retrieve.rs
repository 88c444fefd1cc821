//! Getting a file back: its data root is computed while it arrives, and nothing is believed before it is right
//! (step 15 of a deal, spec §6.6).

use crate::driver::Core;
use crate::fault::Fault;
use crate::record::Record;
use shared::deal::ClientStage;
use shared::piece::DagBuilder;
use shared::retrieval::{RetrievalStatus, RetrievePieceChunk, RetrievePieceRequest, RetrievePieceResponse, MAX_CHUNK};
use shared::wire::protocol;
use wasm_bindgen::JsValue;

/// Bytes handed to JavaScript at a time, at least: fewer, larger parts make a Blob cheaper.
const PART: usize = 1 << 20;

/// Fetches the file of a complete deal, handing `sink` its parts in order. The parts are worth nothing until this
/// returns: only then is it sure that they are the file. `sink` returns false to stop.
pub async fn retrieve(core: &Core, record: &Record, sink: &js_sys::Function) -> Result<(), Fault> {
    let ClientStage::Complete { .. } = record.deal.stage else {
        return Err(Fault::NotStoredYet("retrieve"));
    };
    let draft = &record.deal.draft;
    let peer = core.reach(&draft.miner, &record.peer_id).await?;
    let broken = |reason: String| Fault::MinerUnreachable {
        miner: draft.miner.clone(),
        reason,
    };
    let mut conversation = core
        .network
        .converse(peer, protocol::RETRIEVAL)
        .await
        .map_err(|e| broken(e.to_string()))?;
    let request = RetrievePieceRequest {
        piece_ref: draft.data_cid,
    };
    conversation.send(&request).await.map_err(|e| broken(e.to_string()))?;
    let response: Option<RetrievePieceResponse> = conversation.receive().await.map_err(|e| broken(e.to_string()))?;
    let response = response.ok_or_else(|| broken("it hung up without an answer".into()))?;
    if response.status != RetrievalStatus::Success {
        return Err(Fault::RetrievalFailed(response.error_message));
    }
    let mut dag = DagBuilder::new();
    let (mut size, mut part) = (0u64, Vec::with_capacity(PART));
    while let Some(chunk) = conversation
        .receive::<RetrievePieceChunk>()
        .await
        .map_err(|e| broken(e.to_string()))?
    {
        let bytes = chunk.data.0;
        size += bytes.len() as u64;
        if bytes.len() > MAX_CHUNK || size > draft.size {
            return Err(Fault::RetrievalCorrupt(format!(
                "it is longer than the file's {} bytes",
                draft.size
            )));
        }
        dag.push(&bytes).map_err(|e| Fault::RetrievalCorrupt(e.to_string()))?;
        part.extend_from_slice(&bytes);
        if part.len() >= PART {
            hand_out(sink, &mut part)?;
        }
    }
    hand_out(sink, &mut part)?;
    if size != draft.size {
        return Err(Fault::RetrievalCorrupt(format!(
            "it has {size} bytes, the file has {}",
            draft.size
        )));
    }
    let found = dag.finish().map_err(|e| Fault::RetrievalCorrupt(e.to_string()))?.root;
    if found != draft.data_cid {
        return Err(Fault::RetrievalCorrupt(format!(
            "its data root is {found}, the file's is {}",
            draft.data_cid
        )));
    }
    Ok(())
}

fn hand_out(sink: &js_sys::Function, part: &mut Vec<u8>) -> Result<(), Fault> {
    if part.is_empty() {
        return Ok(());
    }
    let bytes = js_sys::Uint8Array::from(part.as_slice());
    part.clear();
    let wanted = sink
        .call1(&JsValue::NULL, &bytes)
        .map_err(|e| Fault::Internal(Fault::text_of(&e)))?;
    if wanted.as_bool() == Some(false) {
        return Err(Fault::Aborted);
    }
    Ok(())
}
