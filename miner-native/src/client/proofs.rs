//! The proofs of a deal's sector, checked by this program: it has the verifying keys and needs neither parameters nor a prover.
//!
//! Called by `client verify`. What is checked is gathered by [`shared::client::evidence`]; `sealdrop-verify` decides. A proof that cannot be
//! checked here is what the chain claims, and is told as that.

use super::error::ClientError;
use super::history::Past;
use super::Session;
use sealdrop_verify::{check_seal, check_window_post, BuiltIn, Circuit, Refusal};
use serde::Serialize;
use shared::client::evidence::{gather, Evidence, Gathered};
use shared::deal::{Draft, ProofInfo};
use shared::piece::SectorSize;
use shared::ports::verifier::VerifierFault;
use std::time::Instant;

/// What came of a proof.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "verdict")]
pub enum Outcome {
    /// It was checked here, in so many milliseconds, under the key with this SHA-256.
    Holds { milliseconds: f64, key: String },
    /// It was checked here, and does not prove what the chain says that it proves.
    Fails { detail: String },
    /// It was not checked here: so the chain says.
    Claimed { detail: String },
}

/// A proof-of-spacetime and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Post {
    /// Its message.
    pub message: String,
    /// Of its block.
    pub height: u64,
    /// Sectors that it covers; none when that is not known any more.
    pub sectors: usize,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// The proofs of a deal's sector.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Proofs {
    pub seal: Outcome,
    /// Newest first.
    pub posts: Vec<Post>,
}

impl Proofs {
    /// The names of those that fail.
    pub fn failed(&self) -> Vec<&'static str> {
        let fails = |outcome: &Outcome| matches!(outcome, Outcome::Fails { .. });
        let mut failed = Vec::new();
        if fails(&self.seal) {
            failed.push("seal proof");
        }
        if self.posts.iter().any(|post| fails(&post.outcome)) {
            failed.push("proof-of-spacetime");
        }
        failed
    }
}

/// Gathers and checks the proofs of a complete deal's sector.
pub async fn check(session: &Session, draft: &Draft, proof: &ProofInfo) -> Result<Proofs, ClientError> {
    let past = Past(session.account_chain().reader);
    let evidence = gather(draft, proof, &past).await.map_err(ClientError::chain)?;
    Ok(judge(&evidence, draft.sector_size))
}

fn judge(evidence: &Evidence, size: SectorSize) -> Proofs {
    let keys = BuiltIn::for_sizes(&[size]);
    let seal = outcome(&keys, Circuit::PoRep, size, &evidence.seal, check_seal);
    let post = |post: &shared::client::evidence::PostEvidence| Post {
        message: post.message.clone(),
        height: post.height.0,
        sectors: match &post.claim {
            Gathered::Claim(claim) => claim.sectors.len(),
            Gathered::Missing(_) => 0,
        },
        outcome: outcome(&keys, Circuit::WindowPoSt, size, &post.claim, check_window_post),
    };
    Proofs {
        seal,
        posts: evidence.posts.iter().map(post).collect(),
    }
}

fn outcome<C>(
    keys: &BuiltIn,
    circuit: Circuit,
    size: SectorSize,
    found: &Gathered<C>,
    check: impl Fn(&sealdrop_verify::Key, &C) -> Result<(), Refusal>,
) -> Outcome {
    let claim = match found {
        Gathered::Claim(claim) => claim,
        Gathered::Missing(detail) => return Outcome::Claimed { detail: detail.clone() },
    };
    let key = match keys.key(circuit, size) {
        Ok(key) => key,
        Err(VerifierFault { reason: detail }) => return Outcome::Claimed { detail },
    };
    let begun = Instant::now();
    match check(key, claim) {
        Ok(()) => Outcome::Holds {
            milliseconds: begun.elapsed().as_secs_f64() * 1e3,
            key: hex::encode(key.digest()),
        },
        Err(refusal) => Outcome::Fails {
            detail: refusal.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::chain::Epoch;
    use shared::client::evidence::PostEvidence;
    use shared::piece::Commitment;
    use shared::ports::verifier::SealClaim;

    fn evidence(size: SectorSize) -> Evidence {
        let claim = SealClaim {
            sector_size: size,
            comm_r: Commitment([1; 32]),
            comm_d: Commitment([2; 32]),
            prover_id: [0; 32],
            sector: 1,
            ticket: [3; 32],
            seed: [4; 32],
            proof: vec![0; 192],
        };
        Evidence {
            seal: Gathered::Claim(claim),
            seal_source: None,
            posts: vec![PostEvidence {
                message: "m".into(),
                height: Epoch(9),
                claim: Gathered::Missing("the chain keeps no more of it".into()),
                window: None,
            }],
        }
    }

    #[test]
    fn a_proof_that_does_not_prove_it_fails_and_one_that_is_not_kept_is_the_chains_claim() {
        let found = judge(&evidence(SectorSize::S2KiB), SectorSize::S2KiB);
        assert!(matches!(found.seal, Outcome::Fails { .. }));
        assert!(matches!(found.posts[0].outcome, Outcome::Claimed { .. }));
        assert_eq!(found.failed(), ["seal proof"]);
    }

    #[test]
    fn without_a_key_for_its_sectors_a_proof_is_the_chains_claim() {
        let found = judge(&evidence(SectorSize::S32GiB), SectorSize::S32GiB);
        assert!(matches!(found.seal, Outcome::Claimed { .. }));
        assert!(found.failed().is_empty());
    }
}
