//! Gathers from the chain what [`crate::deal::verification`] judges a complete deal by, without trusting the miner.

use crate::chain::calls::verify_piece_inclusion;
use crate::chain::BytesAmount;
use crate::deal::verification::{verify as judge, Check, Evidence, Verdict, Verification};
use crate::deal::{Draft, ProofInfo};
use crate::ports::Chain;
use alloc::format;
use alloc::string::{String, ToString};

/// Runs all checks of a complete deal; `proof` is what its miner answered.
pub async fn verify<C: Chain>(draft: &Draft, proof: &ProofInfo, chain: &C) -> Result<Verification, C::Error> {
    let message = chain.message(&proof.commitment_message).await?;
    let miner = chain.miner(&draft.miner).await?;
    let (height, policy) = (chain.height().await?, chain.policy().await?);
    let actor = match height < draft.end() {
        true => ask_actor(draft, proof, chain).await?,
        false => Check {
            verdict: Verdict::Over,
            detail: format!("the deal ended with block {}", draft.end()),
        },
    };
    let evidence = Evidence {
        height,
        policy: &policy,
        miner: miner.as_ref(),
        message: &message,
        actor: &actor,
    };
    Ok(judge(draft, proof, &evidence))
}

/// Asks the miner actor what the broker would ask it before it pays a voucher (spec §5.3.9).
async fn ask_actor<C: Chain>(draft: &Draft, proof: &ProofInfo, chain: &C) -> Result<Check, C::Error> {
    let Some(inclusion) = &proof.piece_inclusion_proof else {
        return Ok(Check {
            verdict: Verdict::Fails,
            detail: "the miner sent no inclusion proof".to_string(),
        });
    };
    let (sector, size) = (proof.sector_id, BytesAmount(draft.size));
    let call = verify_piece_inclusion(&draft.miner, &draft.comm_p, size, sector, &inclusion.0);
    let held: Result<(), String> = chain.ask(&call).await?;
    Ok(match held {
        Ok(()) => Check {
            verdict: Verdict::Holds,
            detail: format!("the chain finds the piece in sector {sector}"),
        },
        Err(detail) => Check {
            verdict: Verdict::Fails,
            detail,
        },
    })
}
