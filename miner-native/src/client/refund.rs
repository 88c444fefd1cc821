//! Getting the money of a failed deal back: the channel is cancelled, and reclaimed when it has ended (spec §5.2, §7.9).
//! What a complete deal's miner left in its channel comes back when that has ended.
//!
//! What comes next is decided by [`shared::deal::Refund`]; here it is done. A failed deal is pursued at once, then in
//! passing by every client command, and by `client resume` until it is done. Acting twice is harmless: the chain is asked
//! before and after each message.

use super::book::{Book, Record};
use super::contact::ChainPatience;
use super::error::ClientError;
use super::report::Report;
use super::{storing, Session};
use crate::chain_access::ChainError;
use shared::chain::calls::{self, Call};
use shared::chain::{AttoFil, ChannelId, Epoch};
use shared::deal::refund::INVALID_CANCEL;
use shared::deal::{ClientStage, Refund, RefundEffect, RefundInput};
use shared::payment::ChannelFacts;
use std::path::Path;
use std::time::Duration;

/// How long a command that is about something else may be kept by refunds.
const PASSING_LIMIT: Duration = Duration::from_secs(5);
/// Refunds that are moved on in passing, at most: each may wait for a block or two.
const PASSING_MOST: usize = 8;
/// Moves of one refund in a row: look, cancel, look, reclaim, look; the rest is a channel that changes meanwhile.
const MOVES: usize = 8;
/// Pause between two looks at the height while a channel's end is waited for.
const PAUSE: Duration = Duration::from_secs(1);

/// The channel whose money is still to be taken back.
pub fn due(record: &Record) -> Option<ChannelId> {
    match &record.deal.stage {
        ClientStage::Failed { channel, .. } if !record.refund.is_over() => channel.map(ChannelId),
        _ => None,
    }
}

/// The channel that money may still come back from: [`due`], or a complete deal's, which is left alone until it has ended.
fn owed(record: &Record) -> Option<ChannelId> {
    let (id, _) = record.deal.refund()?;
    Some(id).filter(|_| !record.refund.is_over())
}

/// The height before which there is nothing to do for [`owed`] money.
fn rests_until(record: &Record) -> Option<Epoch> {
    let begin = record.deal.refund().map(|(_, begin)| begin).unwrap_or_default();
    match record.refund {
        Refund::Due => begin.deadline(),
        begun => begun.deadline(),
    }
}

/// Goes on with the refund of a failed deal as far as it goes now, and says how it stands.
pub async fn go_on(session: &Session, record: &Record) -> Result<Record, ClientError> {
    session.check_chain(record)?;
    let _lock = session.book.lock(record)?;
    let mut record = session.book.reload(record)?;
    let report = session.report.labelled(&record.file.name());
    let before = record.refund;
    pursue(session, &mut record, &report).await?;
    if let (true, Some(end), Some(id)) = (record.refund == before, record.refund.deadline(), due(&record)) {
        report.note(format!(
            "channel {id} ends with block {end}; its money can be taken back then"
        ));
    }
    Ok(record)
}

/// Goes on with the refund of a failed deal until the money is back, however long its channel lives.
pub async fn follow(session: &Session, record: &Record) -> Result<Record, ClientError> {
    let mut patience = ChainPatience::default();
    let mut gauge = None;
    let mut record = session.book.reload(record)?;
    while let Some(id) = due(&record) {
        let height = match session.chain.head().await.map_err(ClientError::chain) {
            Ok(head) => head.height,
            Err(error) => {
                patience.bear(error, &session.report).await?;
                continue;
            }
        };
        patience.over();
        match record.refund.deadline() {
            Some(end) if height < end => {
                let text = format!("waiting for block {end}, with which channel {id} ends");
                gauge.get_or_insert_with(|| session.report.wait(&text)).at(height.0);
                tokio::time::sleep(PAUSE).await;
            }
            _ => {
                gauge = None;
                record = go_on(session, &record).await?;
            }
        }
    }
    Ok(record)
}

/// Moves refunds on that are due, in the directory `dir` and on the chain at `url`: for a short time, and without a word
/// unless something happened. Whatever hinders it is left for the next time.
pub async fn in_passing(dir: &Path, url: &str) {
    let Ok(records) = Book::open(dir).and_then(|book| book.all()) else {
        return;
    };
    let waits = |record: &Record| owed(record).is_some() || (!record.is_finished() && record.deal.response().is_none());
    let waiting: Vec<Record> = records.into_iter().filter(waits).collect();
    if waiting.is_empty() {
        return;
    }
    let moving = async {
        let session = Session::open(dir, url, Report::new()).await?;
        pursue_all(&session, &waiting).await
    };
    match tokio::time::timeout(PASSING_LIMIT, moving).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "refunds are left for the next time"),
        Err(_) => tracing::debug!("refunds take long; the next command goes on with them"),
    }
}

/// Moves those of these refunds on that can be moved now, and gives deals up that no miner can accept any more.
async fn pursue_all(session: &Session, waiting: &[Record]) -> Result<(), ClientError> {
    let height = session.chain.head().await.map_err(ClientError::chain)?.height;
    let ripe = |record: &&Record| {
        let end = match owed(record) {
            Some(_) => rests_until(record),
            None => record.deal.deadline(),
        };
        record.genesis == session.genesis() && end.is_none_or(|end| height >= end)
    };
    for record in waiting.iter().filter(ripe).take(PASSING_MOST) {
        let Ok(_lock) = session.book.lock(record) else {
            continue;
        };
        let mut record = session.book.reload(record)?;
        let report = session.report.labelled(&record.file.name());
        let moving = async {
            storing::give_up_when_overdue(session, &mut record, height).await?;
            pursue(session, &mut record, &report).await
        };
        // One channel that cannot be moved does not keep the others.
        if let Err(error) = moving.await {
            tracing::debug!(%error, deal = record.name(), "a refund is left for the next time");
        }
    }
    Ok(())
}

/// Does what can be done now, and says what was done. The caller holds the deal's lock.
pub async fn pursue(session: &Session, record: &mut Record, report: &Report) -> Result<(), ClientError> {
    let Some((id, begin)) = record.deal.refund().filter(|_| owed(record).is_some()) else {
        return Ok(());
    };
    if record.refund == Refund::Due {
        record.refund = begin;
    }
    let before = record.refund;
    let mut seen = look(session, record, id).await?;
    if record.refund != before {
        tell(record.refund, id, seen.left(), report);
    }
    for _ in 0..MOVES {
        match record.refund.effect() {
            RefundEffect::Rest | RefundEffect::WaitUntil(_) => return Ok(()),
            RefundEffect::Look => {}
            RefundEffect::Cancel => cancel(session, record, id, &seen).await?,
            RefundEffect::Reclaim => reclaim(session, record, id).await?,
        }
        let left = seen.left();
        seen = look(session, record, id).await?;
        tell(record.refund, id, left, report);
    }
    Ok(())
}

fn tell(refund: Refund, id: ChannelId, left: AttoFil, report: &Report) {
    match refund {
        Refund::Waiting { eol, earned: false } => report.note(format!(
            "channel {id} ends with block {eol}; any `sealdrop client` command after that takes its money back"
        )),
        Refund::Waiting { eol, earned: true } => report.note(format!(
            "channel {id} cannot be cancelled: the miner has redeemed from it; what is left comes back after block {eol}"
        )),
        // Somebody else has closed it: what was left was given back then.
        Refund::Returned if left.is_zero() => report.step(format!("channel {id} is closed")),
        Refund::Returned => report.step(format!("channel {id} is closed: {left} FIL are back in the account")),
        Refund::Due | Refund::Cancelling | Refund::Reclaiming => {}
    }
}

/// The channel as it was last seen.
struct Seen {
    channel: Option<ChannelFacts>,
    height: Epoch,
}

impl Seen {
    fn left(&self) -> AttoFil {
        let left = |channel: &ChannelFacts| channel.amount.checked_sub(channel.amount_redeemed);
        self.channel.as_ref().and_then(left).unwrap_or_default()
    }
}

/// Asks the chain, and keeps what follows from it.
async fn look(session: &Session, record: &mut Record, id: ChannelId) -> Result<Seen, ClientError> {
    let payer = &record.deal.draft.payer;
    let head = session.chain.head().await.map_err(ClientError::chain)?;
    let view = session.chain.channel(payer, id).await.map_err(ClientError::chain)?;
    let channel = view.as_ref().map(ChannelFacts::from);
    let seen = Seen {
        channel: channel.clone(),
        height: head.height,
    };
    let cancel_delay = session.chain.connected_network().policy.cancel_delay;
    keep(
        session,
        record,
        RefundInput::Seen { channel, cancel_delay },
        head.height,
    )?;
    Ok(seen)
}

fn keep(session: &Session, record: &mut Record, input: RefundInput, now: Epoch) -> Result<(), ClientError> {
    let before = record.refund;
    record.refund.handle(input, now);
    match record.refund == before {
        true => Ok(()),
        false => session.book.save(record),
    }
}

async fn cancel(session: &Session, record: &mut Record, id: ChannelId, seen: &Seen) -> Result<(), ClientError> {
    let Some(channel) = &seen.channel else {
        return Ok(());
    };
    // A redemption undoes a cancellation: the next one is another message.
    let what = format!("cancel/{}", channel.amount_redeemed);
    match send(session, record, &what, calls::cancel(id)).await {
        Err(ClientError::Chain(ChainError::Failed {
            exit_code: INVALID_CANCEL,
            ..
        })) => {
            let eol = channel.agreed_eol;
            keep(session, record, RefundInput::CancelRefused { eol }, seen.height)
        }
        other => other,
    }
}

async fn reclaim(session: &Session, record: &Record, id: ChannelId) -> Result<(), ClientError> {
    send(session, record, "reclaim", calls::reclaim(id)).await
}

/// Sends a message of the deal's payer once, and waits until it is on the chain.
async fn send(session: &Session, record: &Record, what: &str, call: Call) -> Result<(), ClientError> {
    let account = session.account.of(&record.deal.draft.payer).await?;
    let purse = account.purse().await?;
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
