//! Gathers from the chain what [`crate::deal::verification`] judges a complete deal by, without trusting the miner, and as far as
//! [`super::light`] goes without trusting the chain's endpoint.

use super::light::{Light, Proven};
use crate::chain::calls::verify_piece_inclusion;
use crate::chain::light::Follower;
use crate::chain::BytesAmount;
use crate::deal::verification::{
    verify as judge, Basis, Check, Evidence, MinerRecord, SectorRecord, Verdict, Verification,
};
use crate::deal::{Draft, ProofInfo};
use crate::ports::{Chain, CommitMessage, Found, ProofSource};
use alloc::format;
use alloc::string::{String, ToString};

/// What a verification knows beforehand of the chain, and whom it asks for proofs.
pub struct Checking<'a, P> {
    /// The network's genesis id, as the deal's record has it.
    pub genesis: &'a str,
    pub source: &'a P,
    /// The headers that this client has seen of that network.
    pub follower: &'a mut Follower,
}

/// Runs all checks of a complete deal; `proof` is what its miner answered.
///
/// # Errors
/// The host's own: the chain is away.
pub async fn verify<C: Chain, P: ProofSource<Error = C::Error>>(
    draft: &Draft,
    proof: &ProofInfo,
    chain: &C,
    checking: Checking<'_, P>,
) -> Result<Verification, C::Error> {
    let said = chain.message(&proof.commitment_message).await?;
    let miner = chain.miner(&draft.miner).await?;
    let record = miner.as_ref().map(|miner| MinerRecord::shown(miner, proof.sector_id));
    let (height, policy) = (chain.height().await?, chain.policy().await?);
    let mut light = Light::open(checking.genesis, checking.source, checking.follower).await?;
    let message = light.message(&proof.commitment_message).await?;
    let message = message.against(&said, message_contradicts);
    let sector = light.sector(&draft.miner, proof.sector_id, height).await?;
    let sector = sector.against(&record, sector_contradicts);
    let (policy_basis, policy) = match light.anchor() {
        Some(anchor) if *anchor.policy() != policy => {
            let reason = "the chain's endpoint shows other rules than the network's genesis record";
            (Some(Basis::wrong(reason)), anchor.policy().clone())
        }
        _ => (None, policy),
    };
    let (height, record) = match sector.proven {
        Some(Proven { height, found }) => (height, found),
        None => (height, record),
    };
    let actor = match height < draft.end() {
        true => ask_actor(draft, proof, chain).await?,
        false => Check {
            verdict: Verdict::Over,
            detail: format!("the deal ended with block {}", draft.end()),
            basis: None,
        },
    };
    let evidence = Evidence {
        height,
        policy: &policy,
        miner: record.as_ref(),
        message: &message.proven.map_or(said, Found::Known),
        actor: &actor,
    };
    let found = judge(draft, proof, &evidence);
    Ok(Verification {
        commit_message: found.commit_message.with(message.basis),
        commitments: found.commitments.with(sector.basis.clone()),
        proven: found.proven.with(policy_basis.unwrap_or(sector.basis)),
        ..found
    })
}

/// What an endpoint says of a message that it proves otherwise.
fn message_contradicts(proven: &CommitMessage, said: &Found) -> Option<String> {
    // What was in no block a moment ago may be in one now.
    let Found::Known(said) = said else { return None };
    let (_, said_code) = said.applied.filter(|_| said != proven)?;
    Some(match proven.applied {
        Some((_, code)) if code != said_code => format!("exit code {said_code} of the message in place of {code}"),
        _ => "another message, or another block".to_string(),
    })
}

/// What an endpoint says of a sector that it proves otherwise; only what cannot have changed in between.
fn sector_contradicts(proven: &Proven<Option<MinerRecord>>, said: &Option<MinerRecord>) -> Option<String> {
    let fixed = |record: &Option<MinerRecord>| {
        let sector: Option<&SectorRecord> = record.as_ref()?.sector.as_ref();
        sector.map(|sector| (sector.comm_d, sector.comm_r, sector.comm_r_star, sector.committed_at))
    };
    let (proven, said) = (fixed(&proven.found)?, fixed(said)?);
    (proven != said).then(|| "other commitments of the sector".to_string())
}

/// Asks the miner actor what the broker would ask it before it pays a voucher (spec §5.3.9).
async fn ask_actor<C: Chain>(draft: &Draft, proof: &ProofInfo, chain: &C) -> Result<Check, C::Error> {
    let Some(inclusion) = &proof.piece_inclusion_proof else {
        return Ok(Check {
            verdict: Verdict::Fails,
            detail: "the miner sent no inclusion proof".to_string(),
            basis: None,
        });
    };
    let (sector, size) = (proof.sector_id, BytesAmount(draft.size));
    let call = verify_piece_inclusion(&draft.miner, &draft.comm_p, size, sector, &inclusion.0);
    let held: Result<(), String> = chain.ask(&call).await?;
    let (verdict, detail) = match held {
        Ok(()) => (Verdict::Holds, format!("the chain finds the piece in sector {sector}")),
        Err(detail) => (Verdict::Fails, detail),
    };
    let asked = "an answer of the actor has no proof; inclusion and commitments together show the same";
    let basis = Some(Basis::claimed(asked));
    Ok(Check { verdict, detail, basis })
}
