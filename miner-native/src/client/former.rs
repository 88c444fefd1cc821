//! Records as 0.1.0 wrote them: read in their old form, and kept in the engine's from the next step on.

use super::book::{LocalFile, Record};
use super::source::FileFacts;
use serde::{Deserialize, Serialize};
use shared::chain::AttoFil;
use shared::client::{ChannelRefund, Step};
use shared::deal::{ClientDeal, Refund};
use shared::wire::cbor::Bytes;

/// The record of 0.1.0.
#[derive(Deserialize, Serialize)]
struct Former {
    id: String,
    created_ms: u64,
    genesis: String,
    peer: String,
    file: FileFacts,
    #[serde(with = "shared::wire::as_cbor")]
    nodes: Vec<Bytes>,
    deal: ClientDeal,
    cid: Option<String>,
    proven: bool,
    refund: Refund,
}

/// A record in its present form, or else in that of 0.1.0.
pub(super) fn read(bytes: &[u8]) -> Result<Record, ciborium::de::Error<std::io::Error>> {
    let present: Result<Record, _> = ciborium::from_reader(bytes);
    present.or_else(|error| match ciborium::from_reader::<Former, _>(bytes) {
        Ok(former) => Ok(former.into()),
        Err(_) => Err(error),
    })
}

impl From<Former> for Record {
    fn from(former: Former) -> Self {
        let file = LocalFile {
            facts: former.file,
            part: None,
            key: None,
            nodes: former.nodes,
        };
        let (created_ms, deal) = (former.created_ms, former.deal);
        let mut record = Self::new(former.id, created_ms, former.genesis, former.peer, file, deal.clone());
        record.advance(deal, None, created_ms);
        record.cid = former.cid;
        if former.proven {
            record.reach(Step::Proven, created_ms);
        }
        if let Some(id) = record.deal.channel().filter(|_| record.is_settled()) {
            let owed = record.refunds.entry(id).or_insert(ChannelRefund {
                amount: AttoFil::ZERO,
                refund: former.refund,
                error: None,
            });
            if former.refund != Refund::Due {
                owed.refund = former.refund;
            }
        }
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::chain::{ChannelId, Epoch, SecretKey};
    use shared::deal::{ClientStage, Draft};
    use shared::piece::{Commitment, SectorSize};

    #[test]
    fn a_failed_deal_of_0_1_0_keeps_its_name_and_its_refund() {
        let address = |n: u8| {
            SecretKey::from_bytes(&[n; 32])
                .expect("a small number is a key")
                .address()
        };
        let draft = Draft {
            data_cid: shared::chain::keys::cid_of_bytes(b"piece"),
            comm_p: Commitment([7; 32]),
            size: 100,
            payer: address(1),
            miner: address(2),
            owner: address(3),
            worker: address(4),
            sector_size: SectorSize::S2KiB,
            price: AttoFil(1),
            duration: 1000,
            start: Epoch(7),
        };
        let mut deal = ClientDeal::new(draft);
        deal.stage = ClientStage::Failed {
            reason: "r".into(),
            channel: Some(9),
        };
        let waiting = Refund::Waiting {
            eol: Epoch(500),
            earned: false,
        };
        let former = Former {
            id: "1-a".into(),
            created_ms: 1,
            genesis: "g".into(),
            peer: "p".into(),
            file: FileFacts {
                path: "/tmp/x".into(),
                size: 100,
                modified_ns: 1,
            },
            nodes: vec![Bytes(vec![1, 2, 3])],
            deal,
            cid: Some("baf".into()),
            proven: false,
            refund: waiting,
        };
        let mut bytes = Vec::new();
        ciborium::into_writer(&former, &mut bytes).expect("writing to a Vec cannot fail");
        let record = read(&bytes).expect("it is of 0.1.0");
        assert_eq!((record.name().as_str(), record.refund()), ("baf", waiting));
        assert_eq!(record.refund_due(), Some(ChannelId(9)));
        assert_eq!(record.file.nodes, [Bytes(vec![1, 2, 3])]);
        let mut again = Vec::new();
        ciborium::into_writer(&record, &mut again).expect("writing to a Vec cannot fail");
        assert_eq!(read(&again).expect("it is of this version"), record);
    }
}
