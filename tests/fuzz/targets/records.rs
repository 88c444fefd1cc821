//! Records as both sides keep them, explanations as miners send them, peers' records as the chain hands them on, and links: the first byte
//! chooses. What is read is kept the same, and what is asked of every record can be asked of any.
#![no_main]

use serde::de::DeserializeOwned;
use serde::Serialize;
use shared::chain::peers::SignedRecord;
use shared::client::link::Link;
use shared::client::DealRecord;
use shared::deal::{ClientDeal, MinerDeal};
use shared::explain::deal::Explanation;
use std::fmt::Debug;

fn read<T: DeserializeOwned + Serialize + PartialEq + Debug>(bytes: &[u8]) -> Option<T> {
    let value: T = ciborium::from_reader(bytes).ok()?;
    let mut kept = Vec::new();
    ciborium::into_writer(&value, &mut kept).expect("writing to a Vec cannot fail");
    assert_eq!(
        ciborium::from_reader::<T, _>(kept.as_slice()).ok().as_ref(),
        Some(&value)
    );
    Some(value)
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((kind, bytes)) = input.split_first() else {
        return;
    };
    match kind % 6 {
        0 => {
            if let Some(deal) = read::<ClientDeal>(bytes) {
                let _ = (deal.deadline(), deal.effect(), deal.draft.total(), deal.draft.cost());
            }
        }
        1 => {
            if let Some(deal) = read::<MinerDeal>(bytes) {
                let _ = (deal.effect(), deal.end());
            }
        }
        2 => {
            if let Some(record) = read::<DealRecord<()>>(bytes) {
                let _ = (
                    record.name(),
                    record.state(),
                    record.refund(),
                    record.rests_until(),
                    record.is_owed(),
                );
            }
        }
        3 => {
            if let Ok(record) = SignedRecord::open(bytes) {
                assert_eq!(record.envelope(), bytes);
            }
        }
        4 => {
            if let Some(link) = std::str::from_utf8(bytes)
                .ok()
                .and_then(|text| Link::parse(text).ok().flatten())
            {
                assert_eq!(Link::parse(&link.fragment()), Ok(Some(link)));
            }
        }
        _ => drop(serde_json::from_slice::<Explanation>(bytes)),
    }
});
