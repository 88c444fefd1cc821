//! Asking a miner how a deal stands, at the page's wish (spec §3.6).
//!
//! The answer is checked, and the deal's record brought up to date: a deal under way takes it in through its machine,
//! a settled one keeps it as the miner's last word.

use crate::clock;
use crate::driver::Core;
use crate::fault::Fault;
use crate::record::{to_js, Answer, Record};
use shared::deal::client::ClientRefusal;
use shared::deal::{QueryRequest, SignedResponse};
use shared::wire::protocol;
use std::rc::Rc;
use wasm_bindgen::JsValue;

/// Asks; returns `Answer` of the public types.
pub async fn query(core: &Rc<Core>, record: &Record) -> Result<JsValue, Fault> {
    let draft = &record.deal.draft;
    let cid = record.deal.cid().ok_or(Fault::NotProposed)?;
    let miner = core.rpc.miner(&draft.miner).await?;
    let response: SignedResponse = core
        .ask(
            &draft.miner,
            &miner.peer_id,
            protocol::QUERY_DEAL,
            &QueryRequest { cid },
        )
        .await?;
    let refused = |reason: String| Fault::MinerMisbehaved {
        miner: draft.miner.clone(),
        reason,
    };
    // An answer that was signed before the miner changed its worker is as good (spec §3.6 [Q]).
    let worker = [&draft.worker, &miner.worker]
        .into_iter()
        .find(|worker| response.is_signed_by(worker))
        .ok_or_else(|| refused(ClientRefusal::QuerySignature.to_string()))?;
    let answered = response.response.proposal_cid;
    if answered != cid {
        return Err(refused(ClientRefusal::OtherDeal { asked: cid, answered }.to_string()));
    }
    let answer = Answer::of(&response, clock::now());
    core.note_answer(&record.id, response, worker).await?;
    to_js(&answer)
}
