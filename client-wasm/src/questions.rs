//! Questions of the page about one deal: how its miner says that it stands, whether that is true, and why it is not done. The
//! engine asks and judges; a deal under way takes the miner's answer in.

use crate::clock;
use crate::engine::Engine;
use crate::error::ClientError;
use crate::json;
use crate::record::{to_js, Record};
use cid::Cid;
use shared::client::verifying::Checking;
use shared::client::view::Verification;
use shared::client::{engine, evidence, explaining, verifying, Answer};
use std::rc::Rc;
use wasm_bindgen::JsValue;

/// Asks the miner (spec §3.6): `Answer` of the public types.
pub async fn query(client: &Rc<Engine>, record: &Record) -> Result<JsValue, ClientError> {
    let cid = record.cid.as_deref().and_then(|cid| Cid::try_from(cid).ok());
    let cid = cid.ok_or(ClientError::NotProposed)?;
    let (response, worker) = engine::ask_state(record, cid, &client.edges(record)).await?;
    let answer = Answer::of(&response, clock::now() as u64);
    client.hear(&record.id, response, worker);
    to_js(&answer)
}

/// Checks a complete deal against the chain: `Verification` of the public types.
pub async fn verify(client: &Rc<Engine>, record: &Record) -> Result<JsValue, ClientError> {
    let proof = record.deal.proof().ok_or(ClientError::NotStoredYet)?;
    // A sector that was committed a moment ago is in no view from before.
    client.rpc.find_miner(&record.deal.draft.miner).await?;
    let mut follower = client.follower.lock().await;
    let checking = Checking {
        genesis: &record.genesis,
        source: &client.rpc,
        follower: &mut follower,
    };
    let found = verifying::verify(&record.deal.draft, proof, &client.outbox, checking).await?;
    to_js(&Verification::from(found))
}

/// The proofs of a complete deal's sector, with all that they claim: `ProofEvidence` of the public types.
pub async fn evidence(client: &Rc<Engine>, record: &Record) -> Result<JsValue, ClientError> {
    let proof = record.deal.proof().ok_or(ClientError::NotStoredYet)?;
    to_js(&evidence::gather(&record.deal.draft, proof, &client.rpc).await?)
}

/// Why the deal is not done, and when it will be: `Explanation` of the public types.
pub async fn explain(client: &Rc<Engine>, record: &Record) -> Result<JsValue, ClientError> {
    to_js(&explaining::explain(record, &client.edges(record), json::read).await?)
}
