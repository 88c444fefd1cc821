//! All pieces of a file carried on together: deals are drawn up one after the other, as [`Placement::next_need`] asks for them, and followed
//! side by side, until every piece is kept as was ordered, or nothing more can be done at present.

use super::drawing::{self, Drawing};
use crate::client::book::{DealLock, Record};
use crate::client::cli_host::Until;
use crate::client::error::ClientError;
use crate::client::report::{Gauge, Report};
use crate::client::stored_files::{FileSource, StoredFile};
use crate::client::{miner_offers, proposing, storing, Session};
use futures::future::LocalBoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use shared::chain::Address;
use shared::client::files::{Copy, FileProgress, GivenUp, PieceNeeds, Placement, Standing};
use shared::client::following::retry_ms;
use shared::deal::{ClientStage, DraftError};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::mpsc::{unbounded_channel, UnboundedSender};
use tokio::time::Instant;

/// How often the display of the whole is brought up to date.
const SHOW: Duration = Duration::from_millis(200);
/// Times in a row that no miner takes a piece while nothing else is under way, before it is set aside.
const MOST_REFUSALS: u32 = 4;
/// How long the next deal waits for something to change when no miner takes one.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);

type Work<'a, T> = LocalBoxFuture<'a, T>;
/// The piece that a deal is drawn up of, and the deal.
type Drawn = (usize, Result<Record, ClientError>);
/// The deal that was followed, and how that ended.
type Followed = (Record, Result<Record, ClientError>);

/// Makes deals of a file's pieces and carries them on; the file's lock is held meanwhile. Its order is fulfilled when this returns `Ok`.
pub(super) async fn carry(
    (stored, _lock): (StoredFile, DealLock),
    session: &Session,
    until: Until,
) -> Result<Placement, ClientError> {
    let quiet = session.reporting(session.report.silent());
    let run = Run::begin((session, &quiet), stored, until)?;
    run.carry_on().await
}

struct Run<'a> {
    session: &'a Session,
    quiet: &'a Session,
    stored: StoredFile,
    sources: Vec<FileSource>,
    placement: Placement,
    until: Until,
    /// What was said already, of deals that failed and of miners that were passed over.
    told: BTreeSet<String>,
    /// Deals that could not be followed.
    left: Vec<ClientError>,
    /// Why no more deals are drawn up.
    stop: Option<ClientError>,
    /// Until when no deal is drawn up, since nobody took the last one.
    held: Option<Instant>,
    refusals: u32,
    /// This client's deals with each miner, as far as the rule goes by them.
    deals: BTreeMap<Address, usize>,
    gauge: Gauge,
    shown: Instant,
}

impl<'a> Run<'a> {
    fn begin(
        (session, quiet): (&'a Session, &'a Session),
        stored: StoredFile,
        until: Until,
    ) -> Result<Self, ClientError> {
        let placement = super::placed(&session.book, &stored)?;
        let progress = FileProgress::of(&placement);
        let what = match progress.copies_wanted == progress.pieces {
            true => format!("storing {} pieces", progress.pieces),
            false => format!(
                "storing {} copies of {} pieces",
                progress.copies_wanted, progress.pieces
            ),
        };
        let gauge = session.report.bytes(&what, progress.bytes);
        gauge.at(progress.transferred);
        Ok(Self {
            session,
            quiet,
            sources: session.book.sources(&stored.record.id)?,
            deals: miner_offers::deals_by_rule(session, stored.record.order.rule())?,
            stored,
            placement,
            until,
            told: BTreeSet::new(),
            left: Vec::new(),
            stop: None,
            held: None,
            refusals: 0,
            gauge,
            shown: Instant::now(),
        })
    }

    async fn carry_on(mut self) -> Result<Placement, ClientError> {
        let (sender, mut heard) = unbounded_channel();
        let mut following = FuturesUnordered::new();
        for record in self.session.book.deals_of_file(&self.stored.record.id)? {
            if self.goes_on(&record) {
                following.push(self.follow(record, sender.clone()));
            }
        }
        let mut drawing: Option<Work<'a, Drawn>> = None;
        loop {
            if drawing.is_none() && self.held.is_none() && self.stop.is_none() {
                drawing = self.next_drawing().await;
            }
            if drawing.is_none() && self.held.is_none() && following.is_empty() {
                break;
            }
            tokio::select! {
                Some(record) = heard.recv() => self.hear(&record),
                Some(followed) = following.next(), if !following.is_empty() => self.ended(followed)?,
                drawn = wait_for(&mut drawing), if drawing.is_some() => {
                    drawing = None;
                    if let Some(record) = self.take_drawn(drawn, following.is_empty())? {
                        following.push(self.follow(record, sender.clone()));
                    }
                }
                () = until_then(self.held), if self.held.is_some() => self.held = None,
            }
            self.show();
        }
        self.finish()
    }

    /// Whether a deal of the file is to be carried on.
    fn goes_on(&self, record: &Record) -> bool {
        let unproven = self.until == Until::Proven && record.is_complete() && !record.is_proven();
        !record.is_settled() || unproven
    }

    fn follow(&self, record: Record, sender: UnboundedSender<Record>) -> Work<'a, Followed> {
        let (session, until) = (self.session, self.until);
        async move {
            let followed = storing::resume_part(session, &record, until, sender).await;
            (record, followed)
        }
        .boxed_local()
    }

    /// The next deal to be drawn up, if there is one now.
    async fn next_drawing(&mut self) -> Option<Work<'a, Drawn>> {
        loop {
            let (index, needed) = self.placement.next_need()?;
            let market = async {
                let miners = self.session.chain.miners().await.map_err(ClientError::chain)?;
                let head = self.session.chain.head().await.map_err(ClientError::chain)?;
                Ok::<_, ClientError>((miners, head.height))
            };
            let (miners, height) = match market.await {
                Ok(market) => market,
                Err(error) => {
                    self.stop = Some(error);
                    return None;
                }
            };
            let own = self.session.account.address();
            let candidates = match self.placement.candidates((index, &needed), &miners, &own, height) {
                Ok(candidates) => candidates,
                Err(reason) => {
                    self.set_aside(index, reason);
                    continue;
                }
            };
            let piece = self.placement.pieces().get(index)?;
            let place = match drawing::place_of(self.session, &self.stored, &self.sources, piece) {
                Ok(place) => place,
                Err(error) => {
                    self.stop = Some(error);
                    return None;
                }
            };
            let failed = failures(piece.copies());
            let again = matches!(&needed, PieceNeeds::Deal { last, .. } if candidates.iter().all(|miner| last.contains(&miner.address)));
            let drawing = Drawing {
                session: self.quiet,
                file: self.stored.record.id.clone(),
                order: self.stored.record.order.clone(),
                duplicates: self.stored.record.duplicates(),
                piece: piece.names.clone(),
                place,
                holders: kept_by(piece.copies()),
                candidates,
                height,
                deals: self.deals.clone(),
                pause: Duration::from_millis(if again { retry_ms(failed) } else { 0 }),
            };
            return Some(async move { (index, drawing.draw().await) }.boxed_local());
        }
    }

    /// Keeps a deal that was drawn up, and gives it to be followed.
    fn take_drawn(&mut self, (index, drawn): Drawn, alone: bool) -> Result<Option<Record>, ClientError> {
        let record = match drawn {
            Ok(record) => record,
            Err(error) => {
                self.not_drawn(index, error, alone);
                return Ok(None);
            }
        };
        let total = record.deal.draft.total().unwrap_or_default();
        if let Err(limit) = self.placement.affords(total) {
            self.set_aside(index, limit);
            return Ok(None);
        }
        let passed = record.by_rule.as_ref().map_or(&[][..], |by_rule| &by_rule.passed);
        for passed in passed {
            let text = format!("miner {} is passed over: {}", passed.miner, passed.reason);
            self.tell_once(text);
        }
        match proposing::keep_new(self.session, &record, self.stored.record.duplicates()) {
            Ok(()) => {}
            Err(error @ ClientError::Draft(DraftError::Duplicate)) => {
                self.not_drawn(index, error, alone);
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
        self.refusals = 0;
        let deals = self.deals.entry(record.deal.draft.miner.clone()).or_default();
        *deals = deals.saturating_add(1);
        self.placement.take(&record);
        Ok(Some(record))
    }

    /// No deal came of it. What may be over in a moment is waited for while other deals go on, and for some time if none does.
    fn not_drawn(&mut self, index: usize, error: ClientError, alone: bool) {
        match error.cause() {
            ClientError::NoneTakes { .. } | ClientError::Unreachable { .. } | ClientError::NoAsk { .. } => {
                let reason = error.to_string();
                self.tell_once(reason.clone());
                self.refusals = self.refusals.saturating_add(1);
                // Counted on until somebody takes a piece: the next ones are not waited for as long.
                if alone && self.refusals >= MOST_REFUSALS {
                    self.set_aside(index, GivenUp::NoMiner { reason });
                } else {
                    self.held = Some(Instant::now() + REFUSED_PAUSE);
                }
            }
            // Another process has made a deal of the same data with that miner: it is seen now.
            ClientError::Draft(DraftError::Duplicate) if self.take_known(index) => {}
            ClientError::Draft(_) | ClientError::InProgress { .. } => {
                let reason = error.to_string();
                self.set_aside(index, GivenUp::NoMiner { reason });
            }
            ClientError::Changed { .. } | ClientError::NowhereFound { .. } => {
                let reason = error.to_string();
                self.set_aside(index, GivenUp::FileLost { reason });
            }
            _ => {
                self.session.report.note(format!("no more deals are made: {error}"));
                self.stop = Some(error);
            }
        }
    }

    /// Takes in all deals about a piece that the book has by now; whether there is one that was not known. Ends everything when the book cannot be read.
    fn take_known(&mut self, index: usize) -> bool {
        let Some(piece) = self.placement.pieces().get(index) else {
            return false;
        };
        let (data, before) = (piece.names.data_cid, piece.copies().len());
        match self.session.book.of_data(&data) {
            Ok(all) => {
                for known in &all {
                    self.placement.take(known);
                }
            }
            Err(error) => {
                self.stop = Some(error);
                return true;
            }
        }
        let pieces = self.placement.pieces();
        pieces.get(index).is_some_and(|piece| piece.copies().len() > before)
    }

    /// Takes a record in as it was kept.
    fn hear(&mut self, record: &Record) {
        self.placement.take(record);
        // Room may be free now.
        self.held = None;
        if let ClientStage::Failed { reason, .. } = &record.deal.stage {
            let piece = self
                .placement
                .piece_of(record.data_cid())
                .map(|index| index.saturating_add(1));
            let text = format!(
                "piece {} of {}: miner {}: {reason}",
                piece.unwrap_or_default(),
                self.placement.pieces().len(),
                record.deal.draft.miner
            );
            if self.told.insert(record.id.clone()) {
                self.session.report.note(text);
            }
        }
    }

    /// A deal is as far as it comes in this run.
    fn ended(&mut self, (record, followed): Followed) -> Result<(), ClientError> {
        let record = self.session.book.reload(&record)?;
        self.hear(&record);
        self.placement.rest(&record.id);
        match followed {
            Ok(_) | Err(ClientError::DealFailed { .. } | ClientError::DealFailedUnpaid { .. }) => {}
            Err(error) => {
                self.session.report.note(format!("{}: {error}", record.file.name()));
                self.left.push(error);
            }
        }
        Ok(())
    }

    fn set_aside(&mut self, index: usize, reason: GivenUp) {
        let (piece, all) = (index.saturating_add(1), self.placement.pieces().len());
        self.tell_once(format!("from piece {piece} of {all} on: {reason}"));
        self.placement.set_aside(index, reason);
    }

    fn tell_once(&mut self, text: String) {
        // The piece's number is not what makes it worth a line.
        let key = text
            .split_once(" on: ")
            .map_or(text.as_str(), |(_, reason)| reason)
            .to_owned();
        if self.told.insert(key) {
            self.session.report.note(text);
        }
    }

    fn show(&mut self) {
        if self.shown.elapsed() >= SHOW {
            self.shown = Instant::now();
            self.gauge.at(FileProgress::of(&self.placement).transferred);
        }
    }

    fn finish(mut self) -> Result<Placement, ClientError> {
        let progress = FileProgress::of(&self.placement);
        self.gauge.at(progress.transferred);
        let report: &Report = &self.session.report;
        report.step(format!(
            "{} of {} copies are kept, {} under way, {} deals failed; {} FIL are committed",
            progress.copies_kept,
            progress.copies_wanted,
            progress.copies_under_way,
            progress.deals_failed,
            progress.committed
        ));
        let file = self.stored.record.id.clone();
        drawing::remove_fetched(self.session)?;
        if let Some(error) = self.stop {
            return Err(error);
        }
        if !self.left.is_empty() {
            let failed = self.left.len();
            let first = Box::new(self.left.swap_remove(0));
            return Err(ClientError::PiecesLeft { file, failed, first });
        }
        if let Some((reason, pieces)) = self.placement.shortfall() {
            let reason = reason.to_string();
            self.stored.record.stopped = Some(reason.clone());
            self.session.book.save_file(&self.stored.record, None)?;
            return Err(ClientError::FileIncomplete { file, reason, pieces });
        }
        Ok(self.placement)
    }
}

fn kept_by(copies: &[Copy]) -> Vec<Address> {
    let kept = copies.iter().filter(|copy| copy.standing == Standing::Kept);
    kept.map(|copy| copy.miner.clone()).collect()
}

fn failures(copies: &[Copy]) -> u32 {
    let failed = copies
        .iter()
        .filter(|copy| matches!(copy.standing, Standing::Failed { .. }));
    u32::try_from(failed.count()).unwrap_or(u32::MAX)
}

async fn wait_for<'a, T>(work: &mut Option<Work<'a, T>>) -> T {
    match work.as_mut() {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

async fn until_then(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::book::tests::record;

    #[test]
    fn only_failed_deals_are_counted_as_failures() {
        let mut failed = record(1);
        let (reason, channel) = ("r".into(), None);
        failed.deal.stage = ClientStage::Failed { reason, channel };
        assert_eq!(failures(&[Copy::of(&record(2)), Copy::of(&failed)]), 1);
    }
}
