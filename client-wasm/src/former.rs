//! Records as 0.1.0 wrote them: read in their old form, and kept in the engine's from the next step on.

use crate::record::{NamedFile, Record};
use serde::Deserialize;
use shared::chain::Epoch;
use shared::client::{Answer, ChannelRefund, Problem, Proving, Step};
use shared::deal::ClientDeal;
use std::collections::BTreeMap;

/// The record of 0.1.0.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Former {
    id: String,
    name: String,
    kind: String,
    created_at: f64,
    peer_id: String,
    deal: ClientDeal,
    attempt: u32,
    reached: BTreeMap<Step, f64>,
    transferred: u64,
    #[serde(default)]
    accepted_at: Option<Epoch>,
    #[serde(default)]
    refunding: BTreeMap<u64, ChannelRefund>,
    #[serde(default)]
    answer: Option<Answer>,
    #[serde(default)]
    proving: Option<Proving>,
    #[serde(default)]
    error: Option<Problem>,
}

/// A record in its present form, or else in that of 0.1.0.
pub fn read(text: &str) -> Result<Record, serde_json::Error> {
    let present: Result<Record, _> = serde_json::from_str(text);
    present.or_else(|error| match serde_json::from_str::<Former>(text) {
        Ok(former) => Ok(former.into()),
        Err(_) => Err(error),
    })
}

impl From<Former> for Record {
    fn from(former: Former) -> Self {
        let file = NamedFile {
            name: former.name,
            kind: former.kind,
        };
        let created_ms = former.created_at as u64;
        // Its database was its chain's: the genesis was not kept in it.
        let mut record = Self::new(former.id, created_ms, String::new(), former.peer_id, file, former.deal);
        record.cid = record.deal.cid().map(|cid| cid.to_string());
        record.attempt = former.attempt;
        record.reached = former.reached.into_iter().map(|(step, at)| (step, at as u64)).collect();
        (record.transferred, record.accepted_at) = (former.transferred, former.accepted_at);
        record.refunds = former.refunding;
        // Its channel was not noted there.
        record.owe_refund();
        (record.answer, record.proving, record.error) = (former.answer, former.proving, former.error);
        record
    }
}
