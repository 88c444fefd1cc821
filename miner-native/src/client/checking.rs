//! Asking miners how a deal stands, and keeping the book in step with what they say (spec §3.6).
//!
//! Called by [`crate::commands`]; [`super::verifying`] then checks a complete deal without taking the miner's word.

use super::book::Record;
use super::cli_host::{CliHost, Until};
use super::error::ClientError;
use super::miner_connection::MinerConnection;
use super::Session;
use cid::Cid;
use shared::chain::view::MinerView;
use shared::chain::Address;
use shared::client::engine;
use shared::deal::client::ClientRefusal;
use shared::deal::{DealState, QueryRequest, SignedResponse};
use shared::wire::protocol;

/// A miner's answer about a deal, with the signature checked.
#[derive(Debug, Clone)]
pub struct Answer {
    pub deal: Cid,
    pub miner: Address,
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
    let host = CliHost::new(session, record, session.report.clone(), Until::Complete).await?;
    let asked = engine::ask_state(record, deal, &host).await;
    let (response, worker) = asked.map_err(|error| ClientError::query(error, record))?;
    let answer = Answer {
        deal,
        miner: record.deal.draft.miner.clone(),
        response: response.clone(),
    };
    let _lock = match session.book.lock(record) {
        Ok(lock) => lock,
        // A deal that another process carries on is left to that one.
        Err(ClientError::Busy { .. }) => return Ok((answer, session.book.reload(record)?)),
        Err(error) => return Err(error),
    };
    let mut record = session.book.reload(record)?;
    if let Err(refusal) = engine::take_in(&mut record, response, worker, &host).await? {
        session.report.note(format!("the book is as before: {refusal}"));
    }
    Ok((answer, record))
}

/// Asks the miners of the network about a deal of somebody else.
async fn search(session: &Session, name: &str, miner: Option<&Address>) -> Result<Answer, ClientError> {
    let unknown = |_| ClientError::NoSuchDeal {
        deal: name.chars().take(80).collect(),
    };
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
            worker: view.worker,
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
    worker: Address,
}

async fn ask(session: &Session, deal: &Cid, holder: &Holder) -> Result<Answer, ClientError> {
    let miner = &holder.miner;
    let mut connection = MinerConnection::new(
        session.network.clone(),
        session.chain.clone(),
        miner.clone(),
        &holder.peer,
    )?;
    connection.reach().await?;
    let request = QueryRequest { cid: *deal };
    let asked = connection.ask_once(protocol::QUERY_DEAL, &request).await;
    let response: SignedResponse = asked.map_err(|source| ClientError::Query {
        miner: miner.clone(),
        source,
    })?;
    let refused = |refusal| ClientError::Answer {
        miner: miner.clone(),
        refusal,
        deal: deal.to_string(),
    };
    if !response.is_signed_by(&holder.worker) {
        return Err(refused(ClientRefusal::QuerySignature));
    }
    let answered = response.response.proposal_cid;
    if answered != *deal {
        let asked = *deal;
        return Err(refused(ClientRefusal::OtherDeal { asked, answered }));
    }
    Ok(Answer {
        deal: *deal,
        miner: miner.clone(),
        response,
    })
}
