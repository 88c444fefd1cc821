//! Drills: copies fetched now and then, to see whether they come back, and those replaced that do not.

use super::spool::Nowhere;
use crate::client::cli_host::Until;
use crate::client::error::ClientError;
use crate::client::fetching::{self, Holder};
use crate::client::ranged;
use crate::client::Session;
use rand::RngCore;
use sealdrop_miner::clock::now_ms;
use shared::chain::Address;
use shared::client::files::{Drill, DrillVerdict};

/// A drill, and what it came to.
#[derive(Debug, Clone)]
pub struct Drilled {
    pub file: String,
    pub miner: Address,
    /// Data CID of the piece.
    pub data: String,
    pub verdict: DrillVerdict,
    /// Why it did not come back.
    pub reason: Option<String>,
}

/// Milliseconds since 1970 when the next drill of one of these files is due.
pub fn due_ms(session: &Session, files: &[String]) -> Result<Option<u64>, ClientError> {
    let mut due = None::<u64>;
    for id in files {
        let next = super::get(session, id)?.record.drills.due_ms();
        due = Some(due.map_or(next, |due| due.min(next)));
    }
    Ok(due)
}

/// Fetches one copy of a file; `None` while none is kept, or when its time is over. A lost copy is replaced if the file's order says so.
pub async fn drill(session: &Session, id: &str, until: Until) -> Result<Option<Drilled>, ClientError> {
    let (mut stored, lock) = super::taken(session, id)?;
    let placement = super::placed(&session.book, &stored)?;
    let height = session.chain.head().await.map_err(ClientError::chain)?.height;
    let drills = &stored.record.drills;
    let Some(drill) = drills.next(&placement, height, rand::rngs::OsRng.next_u64()) else {
        return Ok(None);
    };
    let Some(piece) = placement.pieces().get(drill.piece) else {
        return Ok(None);
    };
    let (data, size) = (piece.names.data_cid, piece.names.size);
    let reason = match fetch(session, &drill, (data, size)).await {
        Ok(()) => None,
        Err(error) if fetching::is_the_miners(&error) => Some(error.to_string()),
        // Something of one's own is none of the copy's.
        Err(error) => return Err(error),
    };
    let (verdict, is_replaced) = stored.record.heard_drill(&drill, reason.is_none(), now_ms());
    session.book.save_file(&stored.record, None)?;
    if is_replaced {
        let miner = &drill.miner;
        session.report.note(format!(
            "miner {miner} has not given piece {data} back three times in a row: another one is to keep it"
        ));
        super::carrying::carry((stored, lock), session, until).await?;
    }
    Ok(Some(Drilled {
        file: id.to_owned(),
        miner: drill.miner,
        data: data.to_string(),
        verdict,
        reason,
    }))
}

/// Fetches a byte of the copy somewhere, with the leaf that it is in, where its miner has HTTP; else all of it, since parts of a piece cannot be
/// asked for over the protocol of 2019.
async fn fetch(session: &Session, drill: &Drill, (data, size): (cid::Cid, u64)) -> Result<(), ClientError> {
    let view = session.chain.miner(&drill.miner).await.map_err(ClientError::chain)?;
    let gone = || ClientError::Unreachable {
        miner: drill.miner.clone(),
        reason: "the network has no such miner any more".to_owned(),
    };
    let view = view.ok_or_else(gone)?;
    let holder = Holder {
        miner: view.address,
        peer: view.peer_id,
        usable: view.usable_bytes,
    };
    let quiet = session.reporting(session.report.silent());
    let at = rand::rngs::OsRng.next_u64().checked_rem(size).unwrap_or_default();
    match ranged::fetch(&quiet, (data, size), at..at.saturating_add(1), &holder, &mut Nowhere).await {
        Ok(true) => return Ok(()),
        Ok(false) => {}
        // Its HTTP may be cut off where libp2p is not.
        Err(error) if fetching::is_the_miners(&error) => {}
        Err(error) => return Err(error),
    }
    fetching::fetch_into(&quiet, (data, Some(size)), &holder, &mut Nowhere)
        .await
        .map(drop)
}
