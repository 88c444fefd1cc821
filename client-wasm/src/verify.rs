//! Checks a complete deal against the chain, without trusting the miner (spec §6.1 found that nobody ever did).

use crate::fault::Fault;
use crate::record::{to_js, Record};
use crate::rpc::{MessageView, Rpc};
use serde::Serialize;
use shared::chain::calls::commit_sector;
use shared::chain::view::{MinerView, NetworkView};
use shared::chain::Epoch;
use shared::deal::{Draft, ProofInfo};
use shared::piece::{padded_for, InclusionProof};
use wasm_bindgen::JsValue;

/// `Check` of the public types.
#[derive(Debug, Serialize)]
struct Check {
    ok: bool,
    detail: String,
}

/// `Verification` of the public types.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Verification {
    inclusion: Check,
    commit_message: Check,
    commitments: Check,
    proven: Check,
}

impl Check {
    fn of(outcome: Result<String, String>) -> Self {
        match outcome {
            Ok(detail) => Self { ok: true, detail },
            Err(detail) => Self { ok: false, detail },
        }
    }
}

/// Runs all checks.
pub async fn verify(rpc: &Rpc, record: &Record) -> Result<JsValue, Fault> {
    let draft = &record.deal.draft;
    let proof = record.deal.proof().ok_or(Fault::NotStoredYet("verify"))?;
    let id = proof.commitment_message.to_string();
    let (message, miner, network) = futures::try_join!(rpc.message(&id), rpc.miner(&draft.miner), rpc.network())?;
    to_js(&Verification {
        inclusion: Check::of(inclusion(draft, proof)),
        commit_message: Check::of(commit_message(draft, proof, message.as_ref())),
        commitments: Check::of(commitments(proof, &miner)),
        proven: Check::of(proven(proof, &miner, &network)),
    })
}

fn inclusion(draft: &Draft, proof: &ProofInfo) -> Result<String, String> {
    let bytes = proof
        .piece_inclusion_proof
        .as_ref()
        .ok_or("the miner sent no inclusion proof")?;
    let path = InclusionProof::from_bytes(&bytes.0).map_err(|e| e.to_string())?;
    let padded = padded_for(draft.size).map_err(|e| e.to_string())?;
    path.verify(draft.comm_p, padded, proof.comm_d, draft.sector_size)
        .map_err(|e| e.to_string())?;
    let (hashes, comm_p, comm_d) = (path.siblings.len(), draft.comm_p, proof.comm_d);
    Ok(format!("commP {comm_p} leads over {hashes} hashes to commD {comm_d}"))
}

fn commit_message(draft: &Draft, proof: &ProofInfo, message: Option<&MessageView>) -> Result<String, String> {
    let id = proof.commitment_message;
    let message = message.ok_or_else(|| format!("message {id} is in no block"))?;
    if message.receipt.exit_code != 0 {
        return Err(format!(
            "message {id} failed with exit code {}",
            message.receipt.exit_code
        ));
    }
    let (comm_d, comm_r, comm_c) = (&proof.comm_d, &proof.comm_r, &proof.comm_r_star);
    let expected = commit_sector(&draft.miner, proof.sector_id, comm_d, comm_r, comm_c, &[]);
    if message.to != expected.to || message.method != expected.method {
        return Err(format!(
            "message {id} calls {} of {}, not {} of {}",
            message.method, message.to, expected.method, expected.to
        ));
    }
    // All but the last parameter, which is the proof that the chain has checked.
    let claimed = expected.params.iter().take(expected.params.len() - 1).map(hex::encode);
    if !claimed.eq(message.params.iter().take(expected.params.len() - 1).cloned()) {
        return Err(format!("message {id} commits another sector or other commitments"));
    }
    let height = message.receipt.height;
    Ok(format!(
        "message {id} in block {height} committed sector {} of {} with exit code 0",
        proof.sector_id, draft.miner
    ))
}

fn commitments(proof: &ProofInfo, miner: &MinerView) -> Result<String, String> {
    let id = proof.sector_id;
    let sector = miner.sectors.iter().find(|sector| sector.id == id);
    let sector = sector.ok_or_else(|| format!("the chain knows no sector {id} of this miner"))?;
    let pairs = [
        ("commD", sector.comm_d, proof.comm_d),
        ("commR", sector.comm_r, proof.comm_r),
        ("commRStar", sector.comm_r_star, proof.comm_r_star),
    ];
    match pairs.into_iter().find(|(_, chain, claimed)| chain != claimed) {
        Some((name, chain, claimed)) => Err(format!(
            "{name} of sector {id} is {chain} on the chain, but the miner says {claimed}"
        )),
        None => Ok(format!(
            "commD, commR and commRStar of sector {id} are the same on the chain"
        )),
    }
}

fn proven(proof: &ProofInfo, miner: &MinerView, network: &NetworkView) -> Result<String, String> {
    let id = proof.sector_id;
    if let Some(height) = miner.slashed_at {
        return Err(format!(
            "the miner missed its proof and lost its power in block {height}"
        ));
    }
    let sector = miner.sectors.iter().find(|sector| sector.id == id);
    let sector = sector.ok_or_else(|| format!("the chain knows no sector {id} of this miner"))?;
    let Some(last) = sector.last_proven_at else {
        let due = miner.proving_window.map_or(Epoch(0), |window| window.end);
        return Err(format!(
            "sector {id} has not been proven yet; the first proof is due by block {due}"
        ));
    };
    // A proof may come as late as the end of the next period's grace.
    let policy = &network.policy;
    let limit = last
        .plus(policy.proving_period)
        .plus(policy.proving_period)
        .plus(policy.grace);
    if network.height > limit {
        return Err(format!(
            "sector {id} was last proven in block {last}; the next proof is overdue since block {limit}"
        ));
    }
    Ok(format!(
        "{} proofs-of-spacetime cover sector {id}, the last one in block {last}",
        sector.proofs
    ))
}
