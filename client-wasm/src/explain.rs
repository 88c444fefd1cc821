//! Why a deal is not done, and when it will be, at the page's wish: what is known here, with what the miner says of it.
//!
//! The rule is [`shared::deal::explain::client`]. The miner's word is not signed and may be anything: it is bounded, shown,
//! and nothing else is done with it.

use crate::clock;
use crate::engine::Engine;
use crate::error::ClientError;
use crate::record::{to_js, Record};
use shared::deal::explain::client::{explain as explain_client, ClientFacts, MinerWord};
use shared::deal::explain::MAX_JSON;
use shared::deal::QueryRequest;
use shared::wire::protocol;
use std::rc::Rc;
use wasm_bindgen::JsValue;

/// Returns `Explanation` of the public types. Neither a miner nor a chain that is away is a fault: it is a cause.
pub async fn explain(engine: &Rc<Engine>, record: &Record) -> Result<JsValue, ClientError> {
    let word = match word(engine, record).await {
        Ok(word) => word,
        Err(ClientError::MinerUnreachable { reason, .. }) => MinerWord::Unreachable { reason },
        Err(ClientError::ChainUnreachable { url, reason }) => MinerWord::ChainUnreachable {
            reason: format!("{url}: {reason}"),
        },
        Err(fault) => return Err(fault),
    };
    to_js(&explain_client(ClientFacts {
        deal: &record.deal,
        name: &record.id,
        now_ms: clock::now() as u64,
        word,
    }))
}

/// Asks the deal's miner, when it may know anything of the deal.
async fn word(engine: &Rc<Engine>, record: &Record) -> Result<MinerWord, ClientError> {
    let known = record.deal.cid().filter(|_| record.deal.is_miners_to_explain());
    let Some(cid) = known else {
        return Ok(MinerWord::NotAsked);
    };
    let address = &record.deal.draft.miner;
    let miner = engine.rpc.recent_miner(address).await?;
    let miner = miner.ok_or_else(|| ClientError::MinerUnknown(address.clone()))?;
    let peer = engine.reach(&miner.address, &miner.peer_id).await?;
    let silent = |reason: String| MinerWord::CannotExplain { reason };
    let conversation = match engine.network.converse(peer, protocol::EXPLAIN).await {
        Ok(conversation) => conversation,
        Err(error) => return Ok(silent(error.to_string())),
    };
    let asked = conversation.ask::<_, String>(&QueryRequest { cid }).await;
    Ok(asked.map_or_else(|error| silent(error.to_string()), |json| read(&json)))
}

/// What a miner says, as far as it can be read.
fn read(json: &str) -> MinerWord {
    if json.len() > MAX_JSON {
        let reason = format!("it says {} bytes, where {MAX_JSON} are enough", json.len());
        return MinerWord::CannotExplain { reason };
    }
    match serde_json::from_str(json) {
        Ok(told) => MinerWord::Told(told),
        Err(error) => MinerWord::CannotExplain {
            reason: format!("what it says cannot be read: {error}"),
        },
    }
}
