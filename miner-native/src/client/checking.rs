//! Asking miners how a deal stands, and keeping the book in step with what they say (spec §3.6).
//!
//! Called by [`crate::commands`]; [`super::verifying`] then checks a complete deal without taking the miner's word.

use super::book::Record;
use super::contact::Contact;
use super::error::ClientError;
use super::Session;
use cid::Cid;
use shared::chain::view::MinerView;
use shared::chain::Address;
use shared::deal::client::ClientRefusal;
use shared::deal::{ClientInput, DealState, QueryRequest, SignedResponse};
use shared::wire::protocol;

/// A miner's answer about a deal, with the signature checked.
#[derive(Debug, Clone)]
pub struct Answer {
    pub deal: Cid,
    pub miner: Address,
    /// Who signed it.
    pub worker: Address,
    pub response: SignedResponse,
}

/// Asks how a deal stands: its miner, or for a deal that the book does not know every miner (or the one named) until one
/// knows it. What the miner of a deal in the book says is taken into the book.
pub async fn query(session: &Session, name: &str, miner: Option<&Address>) -> Result<Answer, ClientError> {
    match session.book.find(name)? {
        Some(record) => query_record(session, &record).await.map(|(answer, _)| answer),
        None => search(session, name, miner).await,
    }
}

/// Asks the miner of a deal in the book, and brings the book up to date. Returns the record as it is then.
pub async fn query_record(session: &Session, record: &Record) -> Result<(Answer, Record), ClientError> {
    session.check_chain(record)?;
    let Some(deal) = record.cid.as_deref().and_then(|cid| Cid::try_from(cid).ok()) else {
        return Err(ClientError::NotYet {
            deal: record.id.clone(),
            state: record.state(),
            advice: "no miner knows it yet; `sealdrop client resume` goes on with it",
        });
    };
    let draft = &record.deal.draft;
    let now = session.chain.miner(&draft.miner).await.map_err(ClientError::chain)?;
    // The miner may have another worker and another host since; what its former worker signed holds all the same.
    let peer = now.as_ref().map_or(&record.peer, |now| &now.peer_id);
    let current = now.as_ref().map(|now| &now.worker);
    let workers = [Some(&draft.worker), current].into_iter().flatten().cloned();
    let holder = Holder {
        miner: draft.miner.clone(),
        peer: peer.clone(),
        workers: workers.collect(),
    };
    let answer = ask(session, &deal, &holder).await?;
    let record = take_in(session, record, &answer)?;
    Ok((answer, record))
}

/// Takes a checked answer into the book. A deal that another process carries on is left to that one.
fn take_in(session: &Session, record: &Record, answer: &Answer) -> Result<Record, ClientError> {
    let _lock = match session.book.lock(record) {
        Ok(lock) => lock,
        Err(ClientError::Busy { .. }) => return session.book.reload(record),
        Err(error) => return Err(error),
    };
    let mut record = session.book.reload(record)?;
    let mut deal = record.deal.clone();
    let (worker, response) = (answer.worker.clone(), answer.response.clone());
    let known = deal.handle(ClientInput::WorkerChanged { worker });
    match known.and_then(|()| deal.handle(ClientInput::Answered { response })) {
        Ok(()) => {
            record.advance(&deal);
            session.book.save(&record)?;
        }
        // The deal is at its end already: there is nothing to take in.
        Err(ClientRefusal::Unexpected) => {}
        Err(refusal) => session.report.note(format!("the book is as before: {refusal}")),
    }
    Ok(record)
}

/// Asks the miners of the network about a deal of somebody else.
async fn search(session: &Session, name: &str, miner: Option<&Address>) -> Result<Answer, ClientError> {
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
    let (mut unknown, mut silent) = (None, Vec::new());
    for view in chosen {
        let holder = Holder {
            miner: view.address,
            peer: view.peer_id,
            workers: vec![view.worker],
        };
        match ask(session, &deal, &holder).await {
            Ok(answer) if answer.response.response.state == DealState::Unknown => unknown = Some(answer),
            Ok(answer) => return Ok(answer),
            Err(error) => silent.push(error),
        }
    }
    let none = || ClientError::NoMiners {
        url: session.chain.url().to_owned(),
    };
    let Some(answer) = unknown else {
        return Err(silent.into_iter().next().unwrap_or_else(none));
    };
    // One miner's silence says nothing about the others.
    silent.iter().for_each(|error| session.report.note(error.to_string()));
    Ok(answer)
}

/// A miner that may know a deal.
struct Holder {
    miner: Address,
    peer: String,
    /// Whose signature is accepted.
    workers: Vec<Address>,
}

async fn ask(session: &Session, deal: &Cid, holder: &Holder) -> Result<Answer, ClientError> {
    let miner = &holder.miner;
    let mut contact = Contact::new(
        session.network.clone(),
        session.chain.clone(),
        miner.clone(),
        &holder.peer,
    )?;
    contact.reach().await?;
    let request = QueryRequest { cid: *deal };
    let asked = contact.ask_once(protocol::QUERY_DEAL, &request).await;
    let response: SignedResponse = asked.map_err(|source| ClientError::Query {
        miner: miner.clone(),
        source,
    })?;
    let refused = |refusal| ClientError::Answer {
        miner: miner.clone(),
        refusal,
        deal: deal.to_string(),
    };
    let signer = holder.workers.iter().find(|worker| response.is_signed_by(worker));
    let worker = signer.ok_or_else(|| refused(ClientRefusal::ResponseSignature))?.clone();
    let answered = response.response.proposal_cid;
    if answered != *deal {
        let asked = *deal;
        return Err(refused(ClientRefusal::OtherDeal { asked, answered }));
    }
    Ok(Answer {
        deal: *deal,
        miner: miner.clone(),
        worker,
        response,
    })
}
