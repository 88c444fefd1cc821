//! Checks a complete deal against the chain: [`shared::client::verifying`] gathers and judges; here is the page's form of it.

use crate::chain::Outbox;
use crate::error::ClientError;
use crate::public_types::Verification;
use crate::record::{to_js, Record};
use shared::client::verifying;
use wasm_bindgen::JsValue;

/// Runs all checks.
pub async fn verify(chain: &Outbox, record: &Record) -> Result<JsValue, ClientError> {
    let proof = record.deal.proof().ok_or(ClientError::NotStoredYet("verify"))?;
    let found = verifying::verify(&record.deal.draft, proof, chain).await?;
    to_js(&Verification {
        state: found.verdict(),
        inclusion: found.inclusion.into(),
        commit_message: found.commit_message.into(),
        commitments: found.commitments.into(),
        actor: found.actor.into(),
        proven: found.proven.into(),
    })
}
