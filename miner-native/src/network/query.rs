//! Answering questions about deals. A peer that asks about a deal whose piece is missing becomes a source of it.

use super::pull::Pulls;
use super::{frames, ExchangeError};
use crate::miner::Miner;
use libp2p::{PeerId, Stream};
use shared::deal::{DealState, MinerEffect, QueryRequest, Response};
use std::sync::Arc;

/// Reads a question, answers it with the deal's state, signed by the worker; also when there is no such deal.
pub(super) async fn answer(
    miner: Arc<Miner>,
    pulls: Pulls,
    peer: PeerId,
    mut stream: Stream,
) -> Result<(), ExchangeError> {
    let QueryRequest { cid } = frames::read(&mut stream).await?;
    let response = match miner.store.deal(&cid)? {
        Some(record) => {
            if record.deal.effect() == MinerEffect::FetchPiece {
                pulls.source(cid, peer);
            }
            record.deal.response()
        }
        None => {
            let message = "no such deal".to_owned();
            Response {
                state: DealState::Unknown,
                message,
                proposal_cid: cid,
                proof_info: None,
            }
        }
    };
    frames::write(&mut stream, &response.sign(&miner.worker)).await?;
    frames::close(&mut stream).await?;
    Ok(())
}
