//! Getting money back: [`shared::client::refunds`] decides and does it; here is when, and for how long.
//!
//! A failed deal is pursued at once, then in passing by every client command, and by `client resume` until it is done.

use super::book::{Book, Record};
use super::cli_host::{CliHost, Until};
use super::error::ClientError;
use super::report::Report;
use super::Session;
use shared::chain::Epoch;
use shared::client::following::retry_ms;
use shared::client::{engine, refunds, Awaited, ClientHost};
use std::future::Future;
use std::path::Path;
use std::time::Duration;

/// How long a command that is about something else may be kept by refunds.
const BACKGROUND_LIMIT: Duration = Duration::from_secs(5);
/// Deals that are moved on in passing, at most: each may wait for a block or two.
const BACKGROUND_MOST: usize = 8;
/// How long a deal's miner is asked for its last word in passing: one that is there answers at once.
const LAST_WORD_LIMIT: Duration = Duration::from_secs(2);
/// Longest wait for a block before the height is looked at all the same while a channel's end is waited for, in milliseconds.
const PAUSE_MS: u64 = 10_000;

/// Goes on with the refund of a failed deal as far as it goes now, and says how it stands.
pub async fn go_on(session: &Session, record: &Record) -> Result<Record, ClientError> {
    session.check_chain(record)?;
    let _lock = session.book.lock(record)?;
    let mut record = session.book.reload(record)?;
    let report = session.report.labelled(&record.file.name());
    let before = record.refunds.clone();
    let host = CliHost::new(session, &record, report, Until::Complete).await?;
    refunds::take_back_and_wait(&mut record, &host)
        .await
        .map_err(|e| e.of_deal(&record))?;
    if let (true, Some(end), Some(id)) = (record.refunds == before, record.rests_until(), record.refund_due()) {
        host.report.note(format!(
            "channel {id} ends with block {end}; its money can be taken back then"
        ));
    }
    Ok(record)
}

/// Goes on with the refund of a failed deal until the money is back, however long its channel lives.
pub async fn follow(session: &Session, record: &Record) -> Result<Record, ClientError> {
    let mut record = session.book.reload(record)?;
    let host = CliHost::new(session, &record, session.report.clone(), Until::Complete).await?;
    let mut gauge = None;
    while record.is_refunding() {
        let height = match session.chain.head().await.map_err(ClientError::chain) {
            Ok(head) => head.height,
            Err(error) => {
                host.bear(error, &record)?;
                host.wait(retry_ms(u32::MAX), Awaited::Call).await;
                continue;
            }
        };
        host.answered();
        match record.rests_until().zip(record.refund_due()) {
            Some((end, id)) if height < end => {
                let text = format!("waiting for block {end}, with which channel {id} ends");
                gauge.get_or_insert_with(|| session.report.wait(&text)).at(height.0);
                host.wait(PAUSE_MS, Awaited::Block).await;
            }
            _ => {
                gauge = None;
                record = go_on(session, &record).await?;
            }
        }
    }
    Ok(record)
}

/// Moves refunds on that are due, in the directory `dir` and on the chain at `url`, asked only when it is needed, and gives up deals whose time is over:
/// for a short time, and without a word unless something happened. Whatever hinders it is left for the next time.
pub async fn background_refunds(dir: &Path, url: impl Future<Output = Option<String>>) {
    let waits = Book::open(dir).and_then(|book| book.has_open_deals());
    if !waits.unwrap_or_default() {
        return;
    }
    let moving = async {
        let Some(url) = url.await else { return Ok(()) };
        let session = Session::open(dir, &url, Report::new()).await?;
        pursue_all(&session).await
    };
    match tokio::time::timeout(BACKGROUND_LIMIT, moving).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "refunds are left for the next time"),
        Err(_) => tracing::debug!("refunds take long; the next command goes on with them"),
    }
}

async fn pursue_all(session: &Session) -> Result<(), ClientError> {
    let height = session.chain.head().await.map_err(ClientError::chain)?.height;
    let due = session.book.due(session.genesis(), height)?;
    for id in turns(&due, height) {
        // One channel that cannot be moved does not keep the others.
        if let Err(error) = pursue(session, id, height).await {
            tracing::debug!(%error, deal = id, "a refund is left for the next time");
        }
    }
    Ok(())
}

/// Whose turn it is at this height: some that cannot be moved do not keep the others for ever.
fn turns<T>(ripe: &[T], height: Epoch) -> impl Iterator<Item = &T> {
    let from = usize::try_from(height.0).unwrap_or_default() % ripe.len().max(1);
    let (later, sooner) = ripe.split_at(from);
    sooner.iter().chain(later).take(BACKGROUND_MOST)
}

async fn pursue(session: &Session, id: &str, height: Epoch) -> Result<(), ClientError> {
    let record = session.book.get(id)?;
    let _lock = session.book.lock(&record)?;
    let mut record = session.book.reload(&record)?;
    let report = session.report.labelled(&record.file.name());
    let host = CliHost::new(session, &record, report, Until::Complete).await?;
    let host = host.with_ask_limit(LAST_WORD_LIMIT);
    if engine::overdue(&record, Some(height)).is_some() {
        engine::step(&mut record, &host).await?;
    }
    refunds::take_back_and_wait(&mut record, &host).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_refund_has_its_turn_however_many_cannot_be_moved() {
        let ripe: Vec<usize> = (0..3 * BACKGROUND_MOST).collect();
        let moved: BTreeSet<usize> = (100..100 + 3 * BACKGROUND_MOST as u64)
            .flat_map(|height| turns(&ripe, Epoch(height)).copied())
            .collect();
        assert_eq!(moved.len(), ripe.len());
        assert_eq!(turns(&ripe, Epoch(7)).count(), BACKGROUND_MOST);
        assert_eq!(turns::<usize>(&[], Epoch(7)).count(), 0);
    }
}
