//! Checking with one's own eyes that a deal is kept: nothing here takes the miner's word.
//!
//! Called by `client verify-storage-deal`, which of 2019 checked nothing at all (spec §6.1). What is gathered and what each
//! part shows is decided by [`shared::client::verifying`]; here is what the command makes of it.

use super::book::Record;
use super::checking;
use super::error::ClientError;
use super::history::Proven;
use super::proofs::{self, Proofs};
use super::Session;
use shared::chain::light::Follower;
use shared::client::verifying::{self, Checking};
use shared::deal::verification::{Verdict, Verification};

/// An error when a part or a proof fails, another one when a part is pending.
pub fn judge(found: &Verification, proofs: &Proofs, deal: &str) -> Result<(), ClientError> {
    let [mut failed, pending] = [Verdict::Fails, Verdict::Pending].map(|verdict| found.named(verdict));
    failed.extend(proofs.failed());
    let [failed, pending] = [failed, pending].map(|names| names.join(", "));
    let deal = deal.to_owned();
    match (failed.is_empty(), pending.is_empty()) {
        (false, _) => Err(ClientError::NotVerified { deal, failed }),
        (true, false) => Err(ClientError::Undecided { deal, pending }),
        (true, true) => Ok(()),
    }
}

/// Checks a deal of the book against the chain, and the proofs of its sector by itself. One that the book does not know as complete is
/// asked about first.
pub async fn verify(session: &Session, record: &Record) -> Result<(Verification, Proofs), ClientError> {
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
    let checking = Checking {
        genesis: &record.genesis,
        source: &Proven(session.chain.clone()),
        follower: &mut Follower::default(),
    };
    let verified = verifying::verify(draft, proof, &session.account_chain(), checking).await?;
    let proofs = proofs::check(session, draft, proof).await?;
    Ok((verified, proofs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::proofs::Outcome;
    use shared::deal::verification::Check;

    fn verified(actor: Verdict, proven: Verdict) -> Verification {
        let check = |verdict| Check {
            verdict,
            detail: String::new(),
            basis: None,
        };
        Verification {
            inclusion: check(Verdict::Holds),
            commit_message: check(Verdict::Holds),
            commitments: check(Verdict::Holds),
            actor: check(actor),
            proven: check(proven),
        }
    }

    #[test]
    fn what_failed_is_told_apart_from_what_is_pending() {
        let claimed = Proofs {
            seal: Outcome::Claimed { detail: String::new() },
            posts: Vec::new(),
        };
        let fails = Proofs {
            seal: Outcome::Fails { detail: String::new() },
            posts: Vec::new(),
        };
        let holds = verified(Verdict::Holds, Verdict::Holds);
        let failed = super::judge(&holds, &fails, "d");
        assert!(matches!(failed, Err(ClientError::NotVerified { failed, .. }) if failed == "seal proof"));
        let judge = |actor, proven| judge(&verified(actor, proven), &claimed, "d");
        assert!(judge(Verdict::Holds, Verdict::Holds).is_ok());
        assert!(judge(Verdict::Over, Verdict::Over).is_ok());
        let pending = judge(Verdict::Holds, Verdict::Pending);
        assert!(matches!(pending, Err(ClientError::Undecided { pending, .. }) if pending == "proven"));
        let failed = judge(Verdict::Fails, Verdict::Pending);
        assert!(matches!(failed, Err(ClientError::NotVerified { failed, .. }) if failed == "actor"));
    }
}
