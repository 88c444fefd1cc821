//! Checks a complete deal against the chain: [`shared::client::verifying`] gathers and judges; here is the page's form of it.

use crate::chain::Outbox;
use crate::error::ClientError;
use crate::record::{to_js, Record};
use serde::Serialize;
use shared::client::verifying;
use shared::deal::verification::{self, Verdict};
use wasm_bindgen::JsValue;

/// `Check` of the public types.
#[derive(Debug, Serialize)]
struct Check {
    ok: bool,
    state: Verdict,
    detail: String,
}

/// `Verification` of the public types.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Verification {
    /// Of the worst part.
    state: Verdict,
    inclusion: Check,
    commit_message: Check,
    commitments: Check,
    actor: Check,
    proven: Check,
}

impl From<verification::Check> for Check {
    fn from(check: verification::Check) -> Self {
        Self {
            ok: check.verdict == Verdict::Holds,
            state: check.verdict,
            detail: check.detail,
        }
    }
}

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
