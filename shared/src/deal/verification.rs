//! Checks a complete deal against the chain, without trusting the miner (spec §6.1: the original verified nothing).
//!
//! Both clients ask the chain for the evidence and hand it in; what each part shows, and what is only not yet there, is
//! decided here. Nothing follows: a verification changes no deal.

use super::client::Draft;
use super::response::ProofInfo;
use crate::chain::calls::commit_sector;
use crate::chain::light::SectorEntry;
use crate::chain::view::MinerView;
use crate::chain::{Epoch, Policy};
use crate::piece::{padded_for, Commitment, InclusionProof};
use crate::ports::Found;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::Serialize;

/// What the chain says, at one height.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    pub height: Epoch,
    pub policy: &'a Policy,
    /// `None` when there is no such miner.
    pub miner: Option<&'a MinerRecord>,
    /// The message that the miner names as the sector's commitment.
    pub message: &'a Found,
    /// What the miner actor says when it is asked whether the piece is in its sector.
    pub actor: &'a Check,
}

/// What the chain has on record of a miner and of the deal's sector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinerRecord {
    pub slashed_at: Option<Epoch>,
    /// `None` when the miner has no such sector (any more).
    pub sector: Option<SectorRecord>,
}

/// What the chain has on record of a sector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectorRecord {
    pub comm_d: Commitment,
    pub comm_r: Commitment,
    pub comm_r_star: Commitment,
    pub committed_at: Epoch,
    pub last_proven_at: Option<Epoch>,
    /// Accepted proofs-of-spacetime that covered it.
    pub proofs: u64,
}

impl MinerRecord {
    /// What an endpoint shows of a miner and of its sector with this number.
    pub fn shown(miner: &MinerView, sector: u64) -> Self {
        let found = miner.sectors.iter().find(|shown| shown.id == sector);
        Self {
            slashed_at: miner.slashed_at,
            sector: found.map(|shown| SectorRecord {
                comm_d: shown.comm_d,
                comm_r: shown.comm_r,
                comm_r_star: shown.comm_r_star,
                committed_at: shown.committed_at,
                last_proven_at: shown.last_proven_at,
                proofs: shown.proofs,
            }),
        }
    }
}

impl From<SectorEntry> for SectorRecord {
    fn from(entry: SectorEntry) -> Self {
        Self {
            comm_d: entry.comm_d,
            comm_r: entry.comm_r,
            comm_r_star: entry.comm_r_star,
            committed_at: entry.committed_at,
            last_proven_at: entry.last_proven_at,
            proofs: entry.proofs,
        }
    }
}

/// What a part of the verification comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// It is shown.
    Holds,
    /// It cannot be shown yet, and nothing is overdue.
    Pending,
    /// The deal has run its time, so it is owed no more.
    Over,
    /// It is shown to be wrong, or is overdue.
    Fails,
}

/// One part of the verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub verdict: Verdict,
    /// What was compared with what, and what came of it.
    pub detail: String,
    /// Whether what the chain's endpoint says of it was checked ([`crate::client::light`]); `None` where nothing of the chain
    /// is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basis: Option<Basis>,
}

/// How far the chain's endpoint had to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Trust {
    /// Not at all: hashes lead to a header that the network's authority signed.
    Checked,
    /// It was believed: it proves nothing of this.
    Claimed,
    /// It is not to be believed: what it says is not true.
    Wrong,
}

/// What a check leans on, as far as the chain's endpoint is concerned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Basis {
    pub trust: Trust,
    /// By what it was checked, or why it was not.
    pub detail: String,
}

impl Basis {
    pub fn checked(detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            trust: Trust::Checked,
            detail,
        }
    }

    pub fn claimed(detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            trust: Trust::Claimed,
            detail,
        }
    }

    pub fn wrong(detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            trust: Trust::Wrong,
            detail,
        }
    }
}

/// The parts, in the order of a deal's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// The piece lies in the data that commD stands for.
    pub inclusion: Check,
    /// The commitSector message is on the chain, was applied, and commits this sector.
    pub commit_message: Check,
    /// The chain's own record of the sector has the same commitments.
    pub commitments: Check,
    /// The miner actor itself says that the piece is in its sector: what the deal's vouchers are conditional on.
    pub actor: Check,
    /// A proof-of-spacetime that covers the sector was accepted, and the last one is not overdue.
    pub proven: Check,
}

/// Why a part is not shown.
struct NotShown(Verdict, String);

type Finding = Result<String, NotShown>;

impl From<String> for NotShown {
    fn from(detail: String) -> Self {
        Self(Verdict::Fails, detail)
    }
}

impl Check {
    fn of(finding: Finding) -> Self {
        let (verdict, detail) = match finding {
            Ok(detail) => (Verdict::Holds, detail),
            Err(NotShown(verdict, detail)) => (verdict, detail),
        };
        Self {
            verdict,
            detail,
            basis: None,
        }
    }

    /// The check with what it leans on; what the endpoint lied about does not hold.
    pub fn with(self, basis: Basis) -> Self {
        let (verdict, detail) = match basis.trust {
            Trust::Wrong => (Verdict::Fails, basis.detail.clone()),
            Trust::Checked | Trust::Claimed => (self.verdict, self.detail),
        };
        let basis = Some(basis);
        Self { verdict, detail, basis }
    }
}

impl Verification {
    /// Every part with its name.
    pub fn checks(&self) -> [(&'static str, &Check); 5] {
        [
            ("inclusion", &self.inclusion),
            ("commit message", &self.commit_message),
            ("commitments", &self.commitments),
            ("actor", &self.actor),
            ("proven", &self.proven),
        ]
    }

    /// The names of the parts of one verdict.
    pub fn named(&self, verdict: Verdict) -> Vec<&'static str> {
        let alike = self.checks().into_iter().filter(|(_, check)| check.verdict == verdict);
        alike.map(|(name, _)| name).collect()
    }

    /// The verdict on the whole: that of its worst part.
    pub fn verdict(&self) -> Verdict {
        let order = [Verdict::Fails, Verdict::Pending, Verdict::Over];
        let worst = order.into_iter().find(|verdict| !self.named(*verdict).is_empty());
        worst.unwrap_or(Verdict::Holds)
    }
}

/// Runs all checks of a complete deal; `proof` is what its miner answered.
pub fn verify(draft: &Draft, proof: &ProofInfo, evidence: &Evidence) -> Verification {
    Verification {
        inclusion: Check::of(inclusion(draft, proof)),
        commit_message: Check::of(committed(draft, proof, evidence)),
        commitments: Check::of(commitments(draft, proof, evidence)),
        actor: evidence.actor.clone(),
        proven: Check::of(proven(draft, proof, evidence)),
    }
}

fn inclusion(draft: &Draft, proof: &ProofInfo) -> Finding {
    let bytes = proof
        .piece_inclusion_proof
        .as_ref()
        .ok_or_else(|| "the miner sent no inclusion proof".to_string())?;
    let path = InclusionProof::from_bytes(&bytes.0).map_err(|e| e.to_string())?;
    let padded = padded_for(draft.size).map_err(|e| e.to_string())?;
    path.verify(draft.comm_p, padded, proof.comm_d, draft.sector_size)
        .map_err(|e| e.to_string())?;
    let (hashes, comm_p, comm_d) = (path.siblings.len(), draft.comm_p, proof.comm_d);
    Ok(format!("commP {comm_p} leads over {hashes} hashes to commD {comm_d}"))
}

fn committed(draft: &Draft, proof: &ProofInfo, evidence: &Evidence) -> Finding {
    let (id, miner, sector) = (&proof.commitment_message, &draft.miner, proof.sector_id);
    let message = match evidence.message {
        Found::Known(message) => message,
        Found::Unknown => return Err(format!("the chain does not know message {id}").into()),
        // Nothing else than an accepted commitSector puts a sector with these commitments there.
        Found::Pruned(height) => {
            return commitments(draft, proof, evidence)
                .map(|_| format!("message {id} was in block {height}, and its sector is on the chain"))
        }
    };
    let (comm_d, comm_r, comm_c) = (&proof.comm_d, &proof.comm_r, &proof.comm_r_star);
    let expected = commit_sector(miner, sector, comm_d, comm_r, comm_c, &[]);
    if message.to != expected.to || message.method != expected.method {
        let found = format!("{:?} of {}", message.method, message.to);
        return Err(format!("message {id} calls {found}, not {} of {}", expected.method, expected.to).into());
    }
    // All but the last parameter, which is the proof that the chain has checked.
    let claimed = expected.params.split_last().map_or(&[][..], |(_, claimed)| claimed);
    if message.params.get(..claimed.len()) != Some(claimed) {
        return Err(format!("message {id} commits another sector or other commitments than the miner says").into());
    }
    match message.applied {
        None => Err(NotShown(Verdict::Pending, format!("message {id} is in no block yet"))),
        Some((height, 0)) => Ok(format!(
            "message {id} in block {height} committed sector {sector} of {miner}: the chain accepted its proof"
        )),
        Some((height, code)) => Err(format!("message {id} in block {height} failed with exit code {code}").into()),
    }
}

/// The chain's record of the sector. Without it, `Over` once the deal has run its time.
fn sector<'a>(draft: &Draft, proof: &ProofInfo, evidence: &Evidence<'a>) -> Result<&'a SectorRecord, NotShown> {
    let miner = evidence
        .miner
        .ok_or_else(|| format!("the chain knows no miner {}", draft.miner))?;
    let id = proof.sector_id;
    let end = draft.start.plus(draft.duration);
    miner.sector.as_ref().ok_or_else(|| match evidence.height >= end {
        true => NotShown(
            Verdict::Over,
            format!("the deal ended with block {end}, and sector {id} is released"),
        ),
        false => format!("the chain knows no sector {id} of miner {}", draft.miner).into(),
    })
}

fn commitments(draft: &Draft, proof: &ProofInfo, evidence: &Evidence) -> Finding {
    let sector = sector(draft, proof, evidence)?;
    let id = proof.sector_id;
    let pairs = [
        ("commD", sector.comm_d, proof.comm_d),
        ("commR", sector.comm_r, proof.comm_r),
        ("commRStar", sector.comm_r_star, proof.comm_r_star),
    ];
    match pairs.into_iter().find(|(_, chain, claimed)| chain != claimed) {
        Some((name, chain, claimed)) => {
            Err(format!("{name} of sector {id} is {chain} on the chain, but the miner says {claimed}").into())
        }
        None => Ok(format!(
            "commD, commR and commRStar of sector {id} are the same on the chain"
        )),
    }
}

fn proven(draft: &Draft, proof: &ProofInfo, evidence: &Evidence) -> Finding {
    let sector = sector(draft, proof, evidence)?;
    let (id, last) = (proof.sector_id, sector.last_proven_at);
    let slashed = evidence.miner.and_then(|miner| miner.slashed_at);
    if let Some(height) = slashed.filter(|slashed| last.is_none_or(|last| last <= *slashed)) {
        return Err(format!("the miner missed its proof and lost its power in block {height}").into());
    }
    // A sector enters the next period's proving set, and a proof may come as late as the end of that period's grace.
    let policy = evidence.policy;
    let due = |from: Epoch| {
        from.plus(policy.proving_period)
            .plus(policy.proving_period)
            .plus(policy.grace)
    };
    let limit = due(last.unwrap_or(sector.committed_at));
    let overdue = evidence.height > limit;
    match last {
        None if overdue => {
            Err(format!("sector {id} was never proven; the first proof is overdue since block {limit}").into())
        }
        None => Err(NotShown(
            Verdict::Pending,
            format!("sector {id} has not been proven yet; the first proof is due by block {limit}"),
        )),
        Some(last) if overdue => Err(format!(
            "sector {id} was last proven in block {last}; the next proof is overdue since block {limit}"
        )
        .into()),
        Some(last) => Ok(match sector.proofs {
            1 => format!("one proof-of-spacetime covers sector {id}, in block {last}"),
            proofs => format!("{proofs} proofs-of-spacetime cover sector {id}, the last one in block {last}"),
        }),
    }
}

#[cfg(test)]
mod tests;
