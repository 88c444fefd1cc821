//! Gathers from the chain what [`shared::deal::verification`] judges a complete deal by, without trusting the miner.

use crate::fault::Fault;
use crate::record::{to_js, Record};
use crate::rpc::{MessageView, Rpc};
use serde::Serialize;
use shared::deal::verification::{self, CommitMessage, Evidence, Verdict};
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
pub async fn verify(rpc: &Rpc, record: &Record) -> Result<JsValue, Fault> {
    let draft = &record.deal.draft;
    let proof = record.deal.proof().ok_or(Fault::NotStoredYet("verify"))?;
    let id = proof.commitment_message.to_string();
    let (message, miner, network) = futures::try_join!(rpc.message(&id), rpc.find_miner(&draft.miner), rpc.network())?;
    let message = message.map(evidence_of).transpose()?;
    let found = verification::verify(
        draft,
        proof,
        &Evidence {
            height: network.height,
            policy: &network.policy,
            miner: miner.as_ref(),
            message: message.as_ref(),
        },
    );
    to_js(&Verification {
        state: found.verdict(),
        inclusion: found.inclusion.into(),
        commit_message: found.commit_message.into(),
        commitments: found.commitments.into(),
        proven: found.proven.into(),
    })
}

fn evidence_of(message: MessageView) -> Result<CommitMessage, Fault> {
    let unreadable = |e: hex::FromHexError| Fault::ChainAnswer {
        method: "chain.message",
        reason: e.to_string(),
    };
    let params = message.params.iter().map(hex::decode).collect::<Result<_, _>>();
    Ok(CommitMessage {
        to: message.to,
        method: message.method,
        params: params.map_err(unreadable)?,
        applied: message.receipt.map(|receipt| (receipt.height, receipt.exit_code)),
    })
}
