//! Asking how a deal stands, and checking with one's own eyes that it is kept: nothing here takes the miner's word.

use super::book::Record;
use super::contact::Contact;
use super::error::ClientError;
use super::Session;
use crate::devnet::MessageView;
use cid::Cid;
use serde::Serialize;
use shared::chain::abi::{Abi, SectorNumber};
use shared::chain::view::{MinerView, SectorView};
use shared::chain::Address;
use shared::deal::{ClientDeal, ProofInfo, QueryRequest, SignedResponse};
use shared::piece::{padded_for, Commitment, InclusionProof};
use shared::wire::protocol;

/// A miner's answer about a deal, with the signature checked.
#[derive(Debug, Clone)]
pub struct Answer {
    pub deal: Cid,
    pub miner: Address,
    pub response: SignedResponse,
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub ok: bool,
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
    /// The chain accepted a proof-of-spacetime for the sector, and the last one is not overdue.
    pub proven: Check,
}

impl Verification {
    /// Every check with its name, in the order of a deal's life.
    pub fn checks(&self) -> [(&'static str, &Check); 4] {
        [
            ("inclusion", &self.inclusion),
            ("commit message", &self.commit_message),
            ("commitments", &self.commitments),
            ("proven", &self.proven),
        ]
    }

    /// The names of the checks that failed.
    pub fn failed(&self) -> Vec<&'static str> {
        let failed = self.checks().into_iter().filter(|(_, check)| !check.ok);
        failed.map(|(name, _)| name).collect()
    }
}

impl Check {
    fn of(found: Result<String, String>) -> Self {
        match found {
            Ok(detail) => Self { ok: true, detail },
            Err(detail) => Self { ok: false, detail },
        }
    }
}

/// Asks the deal's miner, or for a deal that the book does not know every miner (or the one named), how it stands.
pub async fn query(session: &Session, name: &str, miner: Option<&Address>) -> Result<Vec<Answer>, ClientError> {
    if let Some(record) = session.book.find(name)? {
        session.check_chain(&record)?;
        let Some(deal) = record.cid.as_deref().and_then(|cid| Cid::try_from(cid).ok()) else {
            return Err(ClientError::NotYet {
                deal: record.id.clone(),
                state: record.state(),
                advice: "no miner knows it yet; `sealdrop client resume` goes on with it",
            });
        };
        let draft = &record.deal.draft;
        return Ok(vec![
            ask(session, &deal, &draft.miner, &record.peer, &draft.worker).await?,
        ]);
    }
    let unknown = |_| ClientError::UnknownDeal(name.chars().take(80).collect());
    let deal = Cid::try_from(name).map_err(unknown)?;
    let miners = session.chain.miners().await.map_err(ClientError::chain)?;
    let chosen: Vec<MinerView> = miners
        .into_iter()
        .filter(|view| miner.is_none_or(|miner| view.address == *miner))
        .collect();
    if let (true, Some(asked)) = (chosen.is_empty(), miner) {
        return Err(ClientError::UnknownMiner { asked: asked.clone() });
    }
    let mut answers = Vec::new();
    let mut silent = Vec::new();
    for view in chosen {
        match ask(session, &deal, &view.address, &view.peer_id, &view.worker).await {
            Ok(answer) => answers.push(answer),
            Err(error) => silent.push(error),
        }
    }
    if answers.is_empty() {
        let none = || ClientError::NoMiners {
            url: session.chain.url().to_owned(),
        };
        return Err(silent.into_iter().next().unwrap_or_else(none));
    }
    // One miner's silence says nothing about the others.
    silent.iter().for_each(|error| session.report.note(error.to_string()));
    Ok(answers)
}

async fn ask(
    session: &Session,
    deal: &Cid,
    miner: &Address,
    peer: &str,
    worker: &Address,
) -> Result<Answer, ClientError> {
    let mut contact = Contact::new(session.network.clone(), session.chain.clone(), miner.clone(), peer)?;
    contact.reach().await?;
    let request = QueryRequest { cid: *deal };
    let asked = contact.ask_once(protocol::QUERY_DEAL, &request).await;
    let response: SignedResponse = asked.map_err(|source| ClientError::Peer {
        miner: miner.clone(),
        source,
    })?;
    let refused = |refusal| ClientError::Answer {
        miner: miner.clone(),
        refusal,
        deal: deal.to_string(),
    };
    if !response.is_signed_by(worker) {
        return Err(refused(shared::deal::client::ClientRefusal::ResponseSignature));
    }
    let answered = response.response.proposal_cid;
    if answered != *deal {
        let asked = *deal;
        return Err(refused(shared::deal::client::ClientRefusal::OtherDeal {
            asked,
            answered,
        }));
    }
    Ok(Answer {
        deal: *deal,
        miner: miner.clone(),
        response,
    })
}

/// Checks a complete deal of the book against the chain.
pub async fn verify(session: &Session, record: &Record) -> Result<Verification, ClientError> {
    session.check_chain(record)?;
    let Some(proof) = record.deal.proof() else {
        return Err(ClientError::NotYet {
            deal: record.name(),
            state: record.state(),
            advice: "there is nothing to verify before it is complete; `sealdrop client resume` waits for that",
        });
    };
    let miner_address = &record.deal.draft.miner;
    let message = session.chain.message(&proof.commitment_message);
    let message = message.await.map_err(ClientError::chain)?;
    let miner = session.chain.miner(miner_address).await.map_err(ClientError::chain)?;
    let sector = miner
        .as_ref()
        .and_then(|miner| miner.sectors.iter().find(|sector| sector.id == proof.sector_id));
    let head = session.chain.head().await.map_err(ClientError::chain)?;
    let policy = &session.chain.connected_network().policy;
    let lifetime = policy.proving_period.saturating_add(policy.grace);
    Ok(Verification {
        inclusion: Check::of(inclusion(&record.deal, proof)),
        commit_message: Check::of(committed(message.as_ref(), proof, miner_address)),
        commitments: Check::of(commitments(message.as_ref(), sector, proof)),
        proven: Check::of(proven(sector, head.height.0, lifetime)),
    })
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

fn committed(message: Option<&MessageView>, proof: &ProofInfo, miner: &Address) -> Result<String, String> {
    let id = &proof.commitment_message;
    let message = message.ok_or_else(|| format!("the chain does not know the message {id}"))?;
    if message.method != "commitSector" || message.to != *miner {
        let (method, to) = (&message.method, &message.to);
        return Err(format!(
            "message {id} is {method:?} to {to}, not commitSector to {miner}"
        ));
    }
    match (&message.receipt, message.height) {
        (Some(receipt), Some(height)) if receipt.exit_code == 0 => Ok(format!(
            "message {id} is in block {height}, and its seal proof was accepted"
        )),
        (Some(receipt), _) => Err(format!("message {id} failed: {}", receipt.error)),
        _ => Err(format!("message {id} is in no block yet")),
    }
}

fn commitments(
    message: Option<&MessageView>,
    sector: Option<&SectorView>,
    proof: &ProofInfo,
) -> Result<String, String> {
    let sent = message
        .and_then(commitments_of)
        .ok_or("there is no commitSector message to compare with")?;
    let expected = (proof.sector_id, [proof.comm_d, proof.comm_r, proof.comm_r_star]);
    if sent != expected {
        return Err("the commitSector message carries other commitments than the miner's answer".into());
    }
    let sector = sector.ok_or_else(|| format!("the chain has no sector {} of this miner", proof.sector_id))?;
    if [sector.comm_d, sector.comm_r, sector.comm_r_star] != expected.1 {
        return Err("the chain's sector has other commitments than the miner's answer".into());
    }
    Ok(format!(
        "the miner's answer, the message and sector {} agree",
        sector.id
    ))
}

/// Sector id, commD, commR and commRStar of a commitSector message.
fn commitments_of(message: &MessageView) -> Option<(u64, [Commitment; 3])> {
    let param = |index: usize| hex::decode(message.params.get(index)?).ok();
    let sector = SectorNumber::from_abi(&param(0)?).ok()?;
    let commitment = |index| Commitment::try_from(param(index)?.as_slice()).ok();
    Some((sector.0, [commitment(1)?, commitment(2)?, commitment(3)?]))
}

fn proven(sector: Option<&SectorView>, height: u64, lifetime: u64) -> Result<String, String> {
    let sector = sector.ok_or("the chain has no such sector")?;
    let Some(last) = sector.last_proven_at else {
        return Err("no proof-of-spacetime has covered the sector yet".into());
    };
    let (id, proofs, age) = (sector.id, sector.proofs, height.saturating_sub(last.0));
    if age > lifetime {
        return Err(format!(
            "the last proof for sector {id} was accepted {age} blocks ago, more than {lifetime}"
        ));
    }
    let number = match proofs {
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
    use shared::chain::Epoch;

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
        }
    }

    #[test]
    fn a_sector_is_proven_while_its_last_proof_is_not_overdue() {
        assert!(proven(Some(&sector(Some(100))), 700, 600).is_ok());
        assert!(proven(Some(&sector(Some(100))), 701, 600).is_err());
        assert!(proven(Some(&sector(None)), 10, 600).is_err());
        assert!(proven(None, 10, 600).is_err());
    }

    #[test]
    fn the_names_of_failed_checks_are_listed() {
        let good = Check::of(Ok(String::new()));
        let bad = Check::of(Err(String::new()));
        let verification = Verification {
            inclusion: good.clone(),
            commit_message: bad.clone(),
            commitments: good,
            proven: bad,
        };
        assert_eq!(verification.failed(), ["commit message", "proven"]);
    }
}
