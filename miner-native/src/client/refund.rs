//! Getting the money of a failed deal back: the channel is cancelled, and reclaimed when it has ended (spec §5.2).
//!
//! Called when a deal has failed, and by `client resume` until it is done.

use super::book::Record;
use super::error::ClientError;
use super::report::Report;
use super::Session;
use crate::chain_access::ChainError;
use serde::{Deserialize, Serialize};
use shared::chain::calls::{self, Call};
use shared::chain::ChannelId;
use shared::deal::ClientStage;

/// How far the refund is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refund {
    /// Nothing was done, or there is nothing to do.
    #[default]
    None,
    /// The channel's end was brought near.
    Cancelled,
    /// The money is back.
    Reclaimed,
}

/// The channel whose money is still to be taken back.
pub fn due(record: &Record) -> Option<ChannelId> {
    match &record.deal.stage {
        ClientStage::Failed { channel, .. } if record.refund != Refund::Reclaimed => channel.map(ChannelId),
        _ => None,
    }
}

/// Goes on with the refund of a failed deal.
pub async fn go_on(session: &Session, record: &Record) -> Result<(), ClientError> {
    session.check_chain(record)?;
    let _lock = session.book.lock(record)?;
    let mut record = session.book.reload(record)?;
    let report = session.report.labelled(&record.file.name());
    pursue(session, &mut record, &report).await
}

/// Does what can be done now. The caller holds the deal's lock.
pub async fn pursue(session: &Session, record: &mut Record, report: &Report) -> Result<(), ClientError> {
    let Some(id) = due(record) else {
        return Ok(());
    };
    let payer = &record.deal.draft.payer;
    let Some(channel) = session.chain.channel(payer, id).await.map_err(ClientError::chain)? else {
        // Somebody has closed it: whatever was left went to the payer.
        return keep(session, record, Refund::Reclaimed);
    };
    if record.refund == Refund::None {
        send(session, record, "cancel", calls::cancel(id)).await?;
        keep(session, record, Refund::Cancelled)?;
        let end = session
            .chain
            .channel(&record.deal.draft.payer, id)
            .await
            .map_err(ClientError::chain)?;
        let end = end.map_or(channel.eol, |channel| channel.eol);
        report.note(format!(
            "channel {id} is cancelled; run `sealdrop client resume` after block {end} to take its money back"
        ));
        return Ok(());
    }
    let height = session.chain.head().await.map_err(ClientError::chain)?.height;
    if height < channel.eol {
        let end = channel.eol;
        report.note(format!(
            "channel {id} ends with block {end}; its money can be taken back then"
        ));
        return Ok(());
    }
    send(session, record, "reclaim", calls::reclaim(id)).await?;
    keep(session, record, Refund::Reclaimed)?;
    report.step(format!(
        "channel {id} is reclaimed: what was left in it is back in the account"
    ));
    Ok(())
}

fn keep(session: &Session, record: &mut Record, refund: Refund) -> Result<(), ClientError> {
    record.refund = refund;
    session.book.save(record)
}

async fn send(session: &Session, record: &Record, what: &str, call: Call) -> Result<(), ClientError> {
    let purse = session.account.purse().await?;
    let purpose = format!("deal/{}/{what}", record.id);
    match purse.chain.call(&purpose, call).await {
        Ok(_) => purse.chain.settle(&purpose).map_err(ClientError::chain),
        Err(error) => {
            if matches!(error, ChainError::Failed { .. } | ChainError::Dropped { .. }) {
                purse.chain.forget(&purpose).map_err(ClientError::chain)?;
            }
            Err(ClientError::chain(error))
        }
    }
}
