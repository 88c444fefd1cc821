//! Getting the money of a failed deal back: does what [`shared::deal::Refund`] says.
//!
//! Called when a deal has failed, and by `client resume` until it is done.

use super::book::Record;
use super::error::ClientError;
use super::report::Report;
use super::Session;
use crate::chain_access::ChainError;
use shared::chain::calls::{self, Call};
use shared::chain::{ChannelId, Epoch};
use shared::deal::refund::INVALID_CANCEL;
use shared::deal::{ClientStage, RefundEffect, RefundInput};
use shared::payment::ChannelFacts;

/// The channel whose money is still to be taken back.
pub fn due(record: &Record) -> Option<ChannelId> {
    match &record.deal.stage {
        ClientStage::Failed { channel, .. } if !record.refund.is_over() => channel.map(ChannelId),
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
    loop {
        let eol = look(session, record, id).await?;
        match record.refund.effect() {
            RefundEffect::Look => {}
            RefundEffect::Cancel => match send(session, record, "cancel", calls::cancel(id)).await {
                Ok(()) => report.note(format!("channel {id} is cancelled")),
                Err(ClientError::Chain(ChainError::Failed { exit_code, .. })) if exit_code == INVALID_CANCEL => {
                    let height = session.chain.head().await.map_err(ClientError::chain)?.height;
                    record.refund.handle(RefundInput::CancelRefused { eol }, height);
                    session.book.save(record)?;
                }
                Err(error) => return Err(error),
            },
            RefundEffect::WaitUntil(end) => {
                report.note(format!(
                    "channel {id} ends with block {end}: run `sealdrop client resume` after it to take its money back"
                ));
                return Ok(());
            }
            RefundEffect::Reclaim => {
                send(session, record, "reclaim", calls::reclaim(id)).await?;
                report.step(format!(
                    "channel {id} is reclaimed: what was left in it is back in the account"
                ));
            }
            RefundEffect::Rest => return Ok(()),
        }
    }
}

/// Brings the refund up to date with the chain; returns the channel's end.
async fn look(session: &Session, record: &mut Record, id: ChannelId) -> Result<Epoch, ClientError> {
    let payer = &record.deal.draft.payer;
    let channel = session.chain.channel(payer, id).await.map_err(ClientError::chain)?;
    let height = session.chain.head().await.map_err(ClientError::chain)?.height;
    let eol = channel.as_ref().map_or(height, |channel| channel.eol);
    let input = RefundInput::Seen {
        channel: channel.as_ref().map(ChannelFacts::from),
        cancel_delay: session.chain.connected_network().policy.cancel_delay,
    };
    record.refund.handle(input, height);
    session.book.save(record)?;
    Ok(eol)
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
