//! Checking with one's own eyes that a deal is kept: nothing here takes the miner's word.
//!
//! Called by `client verify-storage-deal`, which of 2019 checked nothing at all (spec §6.1). Each part has its own outcome:
//! one that fails is a broken promise, one that is pending is not due yet.

use super::book::Record;
use super::checking;
use super::error::ClientError;
use super::Session;
use crate::chain_access::ChainError;
use crate::devnet::MessageView;
use serde::Serialize;
use shared::chain::abi::{Abi, SectorNumber};
use shared::chain::calls::verify_piece_inclusion;
use shared::chain::view::{MinerView, SectorView};
use shared::chain::{Address, BytesAmount, Epoch, Policy};
use shared::deal::{ClientDeal, ProofInfo};
use shared::piece::{padded_for, Commitment, InclusionProof};

/// How one part stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Holds,
    /// It is not due yet, and may still come to hold.
    Pending,
    Fails,
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Whether it holds.
    pub ok: bool,
    pub outcome: Outcome,
    /// What was found.
    pub detail: String,
}

/// What is known of a complete deal without trusting the miner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// The piece lies in the data that commD stands for.
    pub inclusion: Check,
    /// The commitSector message is on the chain and was applied.
    pub commit_message: Check,
    /// That message and the chain's own sector carry the commitments of the deal.
    pub commitments: Check,
    /// The miner actor itself says that the piece is in its sector: what the deal's vouchers are conditional on.
    pub actor: Check,
    /// The chain accepted a proof-of-spacetime for the sector, and the last one is not overdue.
    pub proven: Check,
}

impl Verification {
    /// Every check with its name, in the order of a deal's life.
    pub fn checks(&self) -> [(&'static str, &Check); 5] {
        [
            ("inclusion", &self.inclusion),
            ("commit message", &self.commit_message),
            ("commitments", &self.commitments),
            ("actor", &self.actor),
            ("proven", &self.proven),
        ]
    }

    /// The names of the checks with this outcome.
    pub fn with(&self, outcome: Outcome) -> Vec<&'static str> {
        let found = self.checks().into_iter().filter(|(_, check)| check.outcome == outcome);
        found.map(|(name, _)| name).collect()
    }

    /// An error when a part fails, another one when a part is pending.
    pub fn judge(&self, deal: &str) -> Result<(), ClientError> {
        let [failed, pending] = [Outcome::Fails, Outcome::Pending].map(|outcome| self.with(outcome).join(", "));
        let deal = deal.to_owned();
        match (failed.is_empty(), pending.is_empty()) {
            (false, _) => Err(ClientError::NotVerified { deal, failed }),
            (true, false) => Err(ClientError::Undecided { deal, pending }),
            (true, true) => Ok(()),
        }
    }
}

/// What a check found: `Err` with whether it may still come to hold, and why it does not now.
type Found = Result<String, (Outcome, String)>;

fn fails(detail: impl Into<String>) -> (Outcome, String) {
    (Outcome::Fails, detail.into())
}

impl From<Found> for Check {
    fn from(found: Found) -> Self {
        let (outcome, detail) = match found {
            Ok(detail) => (Outcome::Holds, detail),
            Err(found) => found,
        };
        Self {
            ok: outcome == Outcome::Holds,
            outcome,
            detail,
        }
    }
}

/// Checks a deal of the book against the chain. One that the book does not know as complete is asked about first.
pub async fn verify(session: &Session, record: &Record) -> Result<Verification, ClientError> {
    session.check_chain(record)?;
    let asked;
    let record = match record.deal.proof() {
        Some(_) => record,
        None => {
            asked = checking::query_record(session, record).await?.1;
            &asked
        }
    };
    let proof = record.deal.proof().ok_or_else(|| ClientError::NotComplete {
        deal: record.name(),
        state: record.state(),
    })?;
    let address = &record.deal.draft.miner;
    let message = Committed::find(session, proof).await?;
    let miner = session.chain.miner(address).await.map_err(ClientError::chain)?;
    let sector = miner.as_ref().and_then(|miner| sector_of(miner, proof.sector_id));
    let head = session.chain.head().await.map_err(ClientError::chain)?.height;
    let policy = &session.chain.connected_network().policy;
    let sector_proven = sector
        .ok_or_else(|| missing(record, miner.as_ref(), head))
        .and_then(|sector| proven(sector, head, policy));
    Ok(Verification {
        inclusion: inclusion(&record.deal, proof).map_err(fails).into(),
        commit_message: message.check(sector, proof, address).into(),
        commitments: message.commitments(sector, proof).into(),
        actor: actor(session, &record.deal, proof).await?.into(),
        proven: sector_proven.into(),
    })
}

fn sector_of(miner: &MinerView, id: u64) -> Option<&SectorView> {
    miner.sectors.iter().find(|sector| sector.id == id)
}

fn inclusion(deal: &ClientDeal, info: &ProofInfo) -> Result<String, String> {
    let draft = &deal.draft;
    let bytes = info
        .piece_inclusion_proof
        .as_ref()
        .ok_or("the miner sent no inclusion proof")?;
    let proof = InclusionProof::from_bytes(&bytes.0).map_err(|e| e.to_string())?;
    let padded = padded_for(draft.size).map_err(|e| e.to_string())?;
    let verified = proof.verify(draft.comm_p, padded, info.comm_d, draft.sector_size);
    verified.map_err(|e| e.to_string())?;
    let (piece, sector) = (draft.comm_p, info.sector_id);
    Ok(format!(
        "piece {piece} is part of sector {sector}, whose data is {}",
        info.comm_d
    ))
}

/// The commitSector message that the miner named.
enum Committed {
    Known(Box<MessageView>),
    Unknown,
    /// In a block of which the chain keeps nothing more.
    Pruned(Epoch),
}

impl Committed {
    async fn find(session: &Session, proof: &ProofInfo) -> Result<Self, ClientError> {
        match session.chain.message(&proof.commitment_message).await {
            Ok(Some(message)) => Ok(Self::Known(Box::new(message))),
            Ok(None) => Ok(Self::Unknown),
            Err(ChainError::Pruned { height, .. }) => Ok(Self::Pruned(height)),
            Err(error) => Err(ClientError::chain(error)),
        }
    }

    fn check(&self, sector: Option<&SectorView>, proof: &ProofInfo, miner: &Address) -> Found {
        let id = &proof.commitment_message;
        let message = match self {
            Self::Known(message) => message,
            Self::Unknown => return Err(fails(format!("the chain does not know the message {id}"))),
            // Nothing else than an accepted commitSector puts a sector there.
            Self::Pruned(height) if sector.is_some() => {
                return Ok(format!(
                    "message {id} was in block {height}, and its sector is on the chain"
                ));
            }
            Self::Pruned(height) => {
                let text = format!("the chain keeps nothing more of block {height}, in which message {id} was");
                return Err(fails(text));
            }
        };
        if message.method != "commitSector" || message.to != *miner {
            let (method, to) = (&message.method, &message.to);
            let text = format!("message {id} is {method:?} to {to}, not commitSector to {miner}");
            return Err(fails(text));
        }
        match (&message.receipt, message.height) {
            (Some(receipt), Some(height)) if receipt.exit_code == 0 => Ok(format!(
                "message {id} is in block {height}, and its seal proof was accepted"
            )),
            (Some(receipt), _) => Err(fails(format!("message {id} failed: {}", receipt.error))),
            _ => Err((Outcome::Pending, format!("message {id} is in no block yet"))),
        }
    }

    fn commitments(&self, sector: Option<&SectorView>, proof: &ProofInfo) -> Found {
        let (id, promised) = (proof.sector_id, [proof.comm_d, proof.comm_r, proof.comm_r_star]);
        match self {
            Self::Pruned(_) => {}
            Self::Known(message) => {
                let sent = commitments_of(message).ok_or_else(|| fails("the message carries no commitments"))?;
                if sent != (id, promised) {
                    let text = "the commitSector message carries other commitments than the miner's answer";
                    return Err(fails(text));
                }
                if sector.is_none() && message.height.is_none() {
                    return Err((Outcome::Pending, "the sector is not on the chain yet".into()));
                }
            }
            Self::Unknown => return Err(fails("there is no commitSector message to compare with")),
        }
        let sector = sector.ok_or_else(|| fails(format!("the chain has no sector {id} of this miner")))?;
        if [sector.comm_d, sector.comm_r, sector.comm_r_star] != promised {
            return Err(fails(
                "the chain's sector has other commitments than the miner's answer",
            ));
        }
        Ok(format!("the miner's answer, the message and sector {id} agree"))
    }
}

/// Sector id, commD, commR and commRStar of a commitSector message.
fn commitments_of(message: &MessageView) -> Option<(u64, [Commitment; 3])> {
    let param = |index: usize| hex::decode(message.params.get(index)?).ok();
    let sector = SectorNumber::from_abi(&param(0)?).ok()?;
    let commitment = |index| Commitment::try_from(param(index)?.as_slice()).ok();
    Some((sector.0, [commitment(1)?, commitment(2)?, commitment(3)?]))
}

/// Asks the miner actor what the broker would ask it before it pays a voucher (spec §5.3.9).
async fn actor(session: &Session, deal: &ClientDeal, info: &ProofInfo) -> Result<Found, ClientError> {
    let Some(proof) = &info.piece_inclusion_proof else {
        return Ok(Err(fails("the miner sent no inclusion proof")));
    };
    let (draft, sector) = (&deal.draft, info.sector_id);
    let size = BytesAmount(draft.size);
    let call = verify_piece_inclusion(&draft.miner, &draft.comm_p, size, sector, &proof.0);
    match session.chain.ask(&call).await {
        Ok(_) => Ok(Ok(format!("the chain finds the piece in sector {sector}"))),
        Err(ChainError::Reverted { error, .. }) => Ok(Err(fails(error))),
        Err(error) => Err(ClientError::chain(error)),
    }
}

/// Why there is no sector.
fn missing(record: &Record, miner: Option<&MinerView>, head: Epoch) -> (Outcome, String) {
    let draft = &record.deal.draft;
    let end = draft.start.plus(draft.duration);
    match miner.and_then(|miner| miner.slashed_at) {
        Some(height) => fails(format!("the miner stopped proving and was slashed in block {height}")),
        None if head >= end => fails(format!("the deal ended with block {end}, and its sector is released")),
        None => fails("the chain has no such sector"),
    }
}

fn proven(sector: &SectorView, head: Epoch, policy: &Policy) -> Found {
    let overdue = policy.proving_period.saturating_add(policy.grace);
    let id = sector.id;
    let Some(last) = sector.last_proven_at else {
        // A sector that is committed while others are proven waits for the period after theirs.
        let first = sector.committed_at.plus(policy.proving_period).plus(overdue);
        let outcome = match head > first {
            true => Outcome::Fails,
            false => Outcome::Pending,
        };
        let text = format!("no proof-of-spacetime has covered sector {id} yet; the first is due by block {first}");
        return Err((outcome, text));
    };
    let age = head.0.saturating_sub(last.0);
    if age > overdue {
        let text = format!("the last proof for sector {id} was accepted {age} blocks ago, more than {overdue}");
        return Err(fails(text));
    }
    let number = match sector.proofs {
        1 => "1 proof-of-spacetime was".to_owned(),
        more => format!("{more} proofs-of-spacetime were"),
    };
    Ok(format!(
        "{number} accepted for sector {id}, the last one in block {last}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sector(last: Option<u64>) -> SectorView {
        SectorView {
            id: 3,
            comm_d: Commitment([1; 32]),
            comm_r: Commitment([2; 32]),
            comm_r_star: Commitment([3; 32]),
            committed_at: Epoch(5),
            last_proven_at: last.map(Epoch),
            proofs: 1,
            in_proving_set: true,
            proven: last.is_some(),
            fault: None,
            next_fault: None,
        }
    }

    fn outcome(last: Option<u64>, head: u64) -> Outcome {
        Check::from(proven(&sector(last), Epoch(head), &Policy::default())).outcome
    }

    #[test]
    fn a_sector_is_proven_while_its_last_proof_is_not_overdue() {
        assert_eq!(outcome(Some(100), 700), Outcome::Holds);
        assert_eq!(outcome(Some(100), 701), Outcome::Fails);
    }

    #[test]
    fn a_sector_without_a_proof_is_pending_until_its_first_one_is_overdue() {
        assert_eq!(outcome(None, 905), Outcome::Pending);
        assert_eq!(outcome(None, 906), Outcome::Fails);
    }

    fn verification(actor: Outcome, proven: Outcome) -> Verification {
        let check = |outcome| match outcome {
            Outcome::Holds => Check::from(Ok(String::new())),
            other => Check::from(Err((other, String::new()))),
        };
        Verification {
            inclusion: check(Outcome::Holds),
            commit_message: check(Outcome::Holds),
            commitments: check(Outcome::Holds),
            actor: check(actor),
            proven: check(proven),
        }
    }

    #[test]
    fn what_failed_is_told_apart_from_what_is_pending() {
        let judge = |actor, proven| verification(actor, proven).judge("d");
        assert!(judge(Outcome::Holds, Outcome::Holds).is_ok());
        let pending = judge(Outcome::Holds, Outcome::Pending);
        assert!(matches!(pending, Err(ClientError::Undecided { pending, .. }) if pending == "proven"));
        let failed = judge(Outcome::Fails, Outcome::Pending);
        assert!(matches!(failed, Err(ClientError::NotVerified { failed, .. }) if failed == "actor"));
    }
}
