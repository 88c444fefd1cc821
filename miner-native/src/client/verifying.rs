//! Checking with one's own eyes that a deal is kept: nothing here takes the miner's word.
//!
//! Called by `client verify-storage-deal`, which of 2019 checked nothing at all (spec §6.1). What each part shows is decided
//! by [`shared::deal::verification`]; here the evidence is asked of the chain, and the miner actor is asked itself.

use super::book::Record;
use super::checking;
use super::error::ClientError;
use super::Session;
use crate::chain_access::ChainError;
use cid::Cid;
use shared::chain::calls::verify_piece_inclusion;
use shared::chain::rpc::MessageView;
use shared::chain::{BytesAmount, Epoch};
use shared::deal::verification::{verify as judge, Check, CommitMessage, Evidence, Verdict, Verification};
use shared::deal::{Draft, ProofInfo};

/// What is known of a complete deal without trusting the miner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The parts that are judged from what the chain shows.
    pub parts: Verification,
    /// The miner actor itself says that the piece is in its sector: what the deal's vouchers are conditional on.
    pub actor: Check,
}

impl Verified {
    /// Every part with its name, in the order of a deal's life.
    pub fn checks(&self) -> Vec<(&'static str, &Check)> {
        let mut checks = self.parts.checks().to_vec();
        let last = checks.len().saturating_sub(1);
        checks.insert(last, ("actor", &self.actor));
        checks
    }

    /// The names of the parts with this verdict.
    pub fn named(&self, verdict: Verdict) -> Vec<&'static str> {
        let found = self.checks().into_iter().filter(|(_, check)| check.verdict == verdict);
        found.map(|(name, _)| name).collect()
    }

    /// An error when a part fails, another one when a part is pending.
    pub fn judge(&self, deal: &str) -> Result<(), ClientError> {
        let [failed, pending] = [Verdict::Fails, Verdict::Pending].map(|verdict| self.named(verdict).join(", "));
        let deal = deal.to_owned();
        match (failed.is_empty(), pending.is_empty()) {
            (false, _) => Err(ClientError::NotVerified { deal, failed }),
            (true, false) => Err(ClientError::Undecided { deal, pending }),
            (true, true) => Ok(()),
        }
    }
}

/// Checks a deal of the book against the chain. One that the book does not know as complete is asked about first.
pub async fn verify(session: &Session, record: &Record) -> Result<Verified, ClientError> {
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
    let draft = &record.deal.draft;
    let named = Named::find(session, &proof.commitment_message).await?;
    let miner = session.chain.miner(&draft.miner).await.map_err(ClientError::chain)?;
    let head = session.chain.head().await.map_err(ClientError::chain)?;
    let evidence = Evidence {
        height: head.height,
        policy: &session.chain.connected_network().policy,
        miner: miner.as_ref(),
        message: match &named {
            Named::Known(message) => Some(message),
            Named::Unknown | Named::Pruned(_) => None,
        },
    };
    let mut parts = judge(draft, proof, &evidence);
    if let (Named::Pruned(height), Verdict::Holds) = (&named, parts.commitments.verdict) {
        // Nothing else than an accepted commitSector puts a sector there.
        let id = &proof.commitment_message;
        parts.commit_message = Check {
            verdict: Verdict::Holds,
            detail: format!("message {id} was in block {height}, and its sector is on the chain"),
        };
    }
    let actor = match evidence.height < draft.end() {
        true => ask_actor(session, draft, proof).await?,
        false => Check {
            verdict: Verdict::Over,
            detail: format!("the deal ended with block {}", draft.end()),
        },
    };
    Ok(Verified { parts, actor })
}

/// The message that the miner named as its sector's commitment.
enum Named {
    Known(CommitMessage),
    Unknown,
    /// In a block of which the chain keeps nothing more.
    Pruned(Epoch),
}

impl Named {
    async fn find(session: &Session, id: &Cid) -> Result<Self, ClientError> {
        match session.chain.message(id).await {
            Ok(Some(view)) => Ok(Self::Known(message_of(view)?)),
            Ok(None) => Ok(Self::Unknown),
            Err(ChainError::Pruned { height, .. }) => Ok(Self::Pruned(height)),
            Err(error) => Err(ClientError::chain(error)),
        }
    }
}

fn message_of(view: MessageView) -> Result<CommitMessage, ClientError> {
    let params: Result<Vec<_>, _> = view.params.iter().map(hex::decode).collect();
    let params = params.map_err(|e| ClientError::ChainAnswer {
        what: "the commitSector message",
        reason: e.to_string(),
    })?;
    let applied = view.height.zip(view.receipt.map(|receipt| receipt.exit_code));
    Ok(CommitMessage {
        to: view.to,
        method: view.method,
        params,
        applied,
    })
}

/// Asks the miner actor what the broker would ask it before it pays a voucher (spec §5.3.9).
async fn ask_actor(session: &Session, draft: &Draft, info: &ProofInfo) -> Result<Check, ClientError> {
    let check = |verdict, detail| Ok(Check { verdict, detail });
    let Some(proof) = &info.piece_inclusion_proof else {
        return check(Verdict::Fails, "the miner sent no inclusion proof".to_owned());
    };
    let (sector, size) = (info.sector_id, BytesAmount(draft.size));
    let call = verify_piece_inclusion(&draft.miner, &draft.comm_p, size, sector, &proof.0);
    match session.chain.ask(&call).await {
        Ok(_) => check(Verdict::Holds, format!("the chain finds the piece in sector {sector}")),
        Err(ChainError::Reverted { error, .. }) => check(Verdict::Fails, error),
        Err(error) => Err(ClientError::chain(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verified(actor: Verdict, proven: Verdict) -> Verified {
        let check = |verdict| Check {
            verdict,
            detail: String::new(),
        };
        Verified {
            parts: Verification {
                inclusion: check(Verdict::Holds),
                commit_message: check(Verdict::Holds),
                commitments: check(Verdict::Holds),
                proven: check(proven),
            },
            actor: check(actor),
        }
    }

    #[test]
    fn what_failed_is_told_apart_from_what_is_pending() {
        let judge = |actor, proven| verified(actor, proven).judge("d");
        assert!(judge(Verdict::Holds, Verdict::Holds).is_ok());
        assert!(judge(Verdict::Over, Verdict::Over).is_ok());
        let pending = judge(Verdict::Holds, Verdict::Pending);
        assert!(matches!(pending, Err(ClientError::Undecided { pending, .. }) if pending == "proven"));
        let failed = judge(Verdict::Fails, Verdict::Pending);
        assert!(matches!(failed, Err(ClientError::NotVerified { failed, .. }) if failed == "actor"));
    }
}
