//! Asking a miner how a deal stands, at the page's wish (spec §3.6): the engine asks and checks; a deal under way takes the
//! answer in.

use crate::clock;
use crate::engine::Engine;
use crate::error::ClientError;
use crate::record::{to_js, Record};
use cid::Cid;
use shared::client::{engine, Answer};
use std::rc::Rc;
use wasm_bindgen::JsValue;

/// Asks; returns `Answer` of the public types.
pub async fn query(client: &Rc<Engine>, record: &Record) -> Result<JsValue, ClientError> {
    let cid = record.cid.as_deref().and_then(|cid| Cid::try_from(cid).ok());
    let cid = cid.ok_or(ClientError::NotProposed)?;
    let (response, worker) = engine::ask_state(record, cid, &client.edges(record)).await?;
    let answer = Answer::of(&response, clock::now() as u64);
    client.hear(&record.id, response, worker);
    to_js(&answer)
}
