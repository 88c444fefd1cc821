//! Why a deal of this client is not done, and when it will be: what the book knows, with what the miner says of it.

use super::book::Record;
use super::error::ClientError;
use super::miner_connection::MinerConnection;
use super::Session;
use crate::clock::now_ms;
use shared::deal::explain::client::{explain as explain_client, ClientFacts, MinerWord};
use shared::deal::explain::{Explanation, MAX_JSON};
use shared::deal::QueryRequest;
use shared::wire::protocol;

/// Explains a deal in the book. Without a session, whose place the reason why there is none takes, what is known here is
/// told. Nothing in the book changes.
pub async fn explain(session: Result<&Session, &str>, record: &Record) -> Result<Explanation, ClientError> {
    let word = match session {
        Err(reason) => MinerWord::ChainUnreachable { reason: reason.into() },
        Ok(session) => word(session, record).await?,
    };
    let name = record.name();
    Ok(explain_client(ClientFacts {
        deal: &record.deal,
        name: &name,
        now_ms: now_ms(),
        word,
    }))
}

/// Asks the deal's miner, when it may know anything of the deal.
async fn word(session: &Session, record: &Record) -> Result<MinerWord, ClientError> {
    session.check_chain(record)?;
    let known = record.deal.cid().filter(|_| record.deal.is_miners_to_explain());
    let Some(cid) = known else {
        return Ok(MinerWord::NotAsked);
    };
    let miner = &record.deal.draft.miner;
    let peer = match session.chain.miner(miner).await.map_err(ClientError::chain) {
        // The miner may have another host since.
        Ok(view) => view.map_or_else(|| record.peer.clone(), |view| view.peer_id),
        Err(ClientError::ChainAway { reason, .. }) => return Ok(MinerWord::ChainUnreachable { reason }),
        Err(error) => return Err(error),
    };
    let mut connection = MinerConnection::new(session.network.clone(), session.chain.clone(), miner.clone(), &peer)?;
    match connection.reach().await {
        Ok(()) => {}
        Err(ClientError::Unreachable { reason, .. }) => return Ok(MinerWord::Unreachable { reason }),
        Err(error) => return Err(error),
    }
    let asked = connection.ask_once(protocol::EXPLAIN, &QueryRequest { cid }).await;
    let silent = |error: super::network::NetworkError| MinerWord::CannotExplain {
        reason: error.to_string(),
    };
    Ok(asked.map_or_else(silent, |json: String| read(&json)))
}

/// What a miner says, as far as it can be read; it may be anything.
fn read(json: &str) -> MinerWord {
    if json.len() > MAX_JSON {
        let reason = format!("it says {} bytes, where {MAX_JSON} are enough", json.len());
        return MinerWord::CannotExplain { reason };
    }
    match serde_json::from_str(json) {
        Ok(told) => MinerWord::Told(told),
        Err(error) => MinerWord::CannotExplain {
            reason: format!("what it says cannot be read: {error}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_hostile_miner_says_is_refused_by_its_size_and_its_form() {
        let long = " ".repeat(MAX_JSON + 1);
        for said in [long.as_str(), "", "null", "{}", &"[".repeat(MAX_JSON), "\u{0}"] {
            assert!(matches!(read(said), MinerWord::CannotExplain { .. }));
        }
    }
}
