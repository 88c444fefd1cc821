//! Whether anything is on the chain twice, and whether all money is there.
//!
//! Goes through all messages of the miner's worker, as the chain's RPC lists them: none that did something may be there with the same
//! parameters again, and no sector may be committed twice.

use super::steered::text;
use crate::peer::chain_at;
use cid::Cid;
use sealdrop_miner::chain_access::ChainAccess;
use shared::chain::rpc::{MessageSummary, MAX_LISTED};
use shared::chain::{Address, AttoFil, Epoch, SecretKey};
use std::collections::{BTreeMap, BTreeSet};
use tokio::runtime::Runtime;

/// Messages that do the same whenever they are sent: the miner's ask is renewed, a report of a fault may be right twice.
const REPEATABLE: [&str; 2] = ["addAsk", ""];
/// What names the thing that a message is about, where it is not all of its parameters: the sector.
const BY_FIRST_PARAMETER: [&str; 1] = ["commitSector"];

/// What the chain told.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Ids of messages that were looked at.
    seen: BTreeSet<String>,
    /// What was done, and by which message.
    done: BTreeMap<Vec<String>, String>,
    /// Messages of the worker by method, refused ones with their code.
    pub methods: BTreeMap<String, usize>,
    /// What was done twice.
    pub doubles: Vec<String>,
    /// Proofs that paid a fine for being late.
    pub late: usize,
}

impl Ledger {
    /// Looks at what came since the last time; gives what was broken.
    pub fn look(&mut self, port: u16) -> Result<Vec<String>, String> {
        let key = SecretKey::from_bytes(&[7; 32]).ok_or("a small number is a key")?;
        Runtime::new().map_err(text)?.block_on(async {
            let chain = chain_at(port, &key).await.map_err(text)?;
            let mut broken = Vec::new();
            let supply = chain.supply().await.map_err(text)?;
            let parts = [
                supply.burnt,
                supply.treasury,
                supply.faucet,
                supply.channels,
                supply.miners,
                supply.accounts,
            ];
            let sum = parts.iter().try_fold(AttoFil::ZERO, |sum, part| sum.checked_add(*part));
            if sum != Some(supply.total) {
                broken.push(format!("money came or went: {supply:?}"));
            }
            for miner in chain.miners().await.map_err(text)? {
                self.messages_of(&chain, &miner.worker).await?;
                let faulty = miner.sectors.iter().filter(|sector| sector.fault.is_some());
                let faulty: Vec<u64> = faulty.map(|sector| sector.id).collect();
                if !faulty.is_empty() {
                    broken.push(format!("sectors are faulty: {faulty:?}"));
                }
                if miner.slashed_at.is_some() || miner.late_fee > AttoFil::ZERO {
                    let (at, fee) = (miner.slashed_at, miner.late_fee);
                    broken.push(format!("the miner is late: slashed {at:?}, a fee of {fee} FIL"));
                }
            }
            broken.append(&mut self.doubles.clone());
            Ok(broken)
        })
    }

    async fn messages_of(&mut self, chain: &ChainAccess, worker: &Address) -> Result<(), String> {
        let mut before: Option<Epoch> = None;
        loop {
            let page = chain.messages(worker, before).await.map_err(text)?;
            let mined: Vec<&MessageSummary> = page.iter().filter(|one| one.height.is_some()).collect();
            let is_known = !mined.is_empty() && mined.iter().all(|one| self.seen.contains(&one.message));
            for message in &mined {
                if message.from == *worker && self.seen.insert(message.message.clone()) {
                    self.take(chain, message).await?;
                }
            }
            let lowest = mined.iter().filter_map(|one| one.height).min();
            // The page may end within a block.
            let next = lowest.map(|height| height.plus(1));
            if is_known || page.len() < MAX_LISTED || next.is_none() || next == before {
                return Ok(());
            }
            before = next;
        }
    }

    async fn take(&mut self, chain: &ChainAccess, message: &MessageSummary) -> Result<(), String> {
        let code = message.exit_code.unwrap_or_default();
        let name = match code {
            0 => message.method.clone(),
            code => format!("{}, refused with {code}", message.method),
        };
        *self.methods.entry(name).or_default() += 1;
        self.late += usize::from(message.method == "submitPoSt" && message.value > AttoFil::ZERO);
        if code != 0 || REPEATABLE.contains(&message.method.as_str()) {
            return Ok(());
        }
        let id: Cid = message.message.parse().map_err(text)?;
        let view = chain.message(&id).await.map_err(text)?.ok_or("a message is gone")?;
        let most = match BY_FIRST_PARAMETER.contains(&message.method.as_str()) {
            true => 1,
            false => view.params.len(),
        };
        let mut what = vec![message.method.clone(), message.to.to_string()];
        what.extend(view.params.into_iter().take(most));
        self.is_done(what, &message.message);
        Ok(())
    }

    /// Something was done by a message.
    fn is_done(&mut self, what: Vec<String>, message: &str) {
        let method = what.first().cloned().unwrap_or_default();
        if let Some(first) = self.done.insert(what, message.to_owned()) {
            self.doubles
                .push(format!("{method} is on the chain twice: {first} and {message}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_messages_did_is_a_double() {
        let what = |sector: &str| vec!["commitSector".to_owned(), "t0101".to_owned(), sector.to_owned()];
        let mut ledger = Ledger::default();
        ledger.is_done(what("01"), "a");
        ledger.is_done(what("02"), "b");
        assert!(ledger.doubles.is_empty());
        ledger.is_done(what("01"), "c");
        assert_eq!(ledger.doubles, ["commitSector is on the chain twice: a and c"]);
    }
}
