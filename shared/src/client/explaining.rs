//! Why a deal is not done, and when it will be: what is known here, with what the miner says of it.
//!
//! The rule is [`crate::explain::deal::client`]. The miner's word is not signed and may be anything: it is bounded, shown, and
//! nothing else is done with it. Neither a miner nor a chain that is away is an error: it is a cause.

use super::engine::where_it_is;
use super::host::{Blame, ClientHost};
use super::record::DealRecord;
use crate::deal::QueryRequest;
use crate::explain::deal::client::{explain as explain_client, ClientFacts, MinerReport};
use crate::explain::deal::{Explanation, MAX_JSON};
use crate::wire::protocol;
use alloc::format;
use alloc::string::String;
use core::fmt::Display;

/// Explains a deal; `parse` reads JSON.
pub async fn explain<H: ClientHost, E: Display>(
    record: &DealRecord<H::File>,
    host: &H,
    parse: impl FnOnce(&str) -> Result<Explanation, E>,
) -> Result<Explanation, H::Error> {
    let word = match ask(record, host).await {
        Ok(None) => MinerReport::NotAsked,
        Ok(Some(json)) => read(&json, parse),
        Err(error) => match H::blame(&error) {
            Blame::Chain { reason } => MinerReport::ChainUnreachable { reason },
            Blame::Miner { reason } => MinerReport::Unreachable { reason },
            Blame::Protocol { reason } => MinerReport::CannotExplain { reason },
            Blame::Other => return Err(error),
        },
    };
    Ok(with(record, host.now_ms(), word))
}

/// Explains a deal by what is known here and `word`.
pub fn with<F>(record: &DealRecord<F>, now_ms: u64, word: MinerReport) -> Explanation {
    explain_client(ClientFacts {
        deal: &record.deal,
        name: &record.name(),
        now_ms,
        word,
    })
}

/// Asks the deal's miner, when it may know anything of the deal.
async fn ask<H: ClientHost>(record: &DealRecord<H::File>, host: &H) -> Result<Option<String>, H::Error> {
    let Some(cid) = record.deal.cid().filter(|_| record.deal.is_miners_to_explain()) else {
        return Ok(None);
    };
    let (there, _) = where_it_is(record, host).await?;
    host.ask(&there, protocol::EXPLAIN, &QueryRequest { cid })
        .await
        .map(Some)
}

/// What a miner says, as far as it can be read.
fn read<E: Display>(json: &str, parse: impl FnOnce(&str) -> Result<Explanation, E>) -> MinerReport {
    let reason = match json.len() <= MAX_JSON {
        true => match parse(json) {
            Ok(told) => return MinerReport::Told(told),
            Err(error) => format!("what it says cannot be read: {error}"),
        },
        false => format!("it says {} bytes, where {MAX_JSON} are enough", json.len()),
    };
    MinerReport::CannotExplain { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_hostile_miner_says_is_refused_by_its_size_and_its_form() {
        let long = " ".repeat(MAX_JSON + 1);
        for said in [long.as_str(), "", "null", "{}", &"[".repeat(MAX_JSON), "\u{0}"] {
            let word = read(said, |json| serde_json::from_str(json));
            assert!(matches!(word, MinerReport::CannotExplain { .. }));
        }
    }
}
