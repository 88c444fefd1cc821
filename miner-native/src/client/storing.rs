//! Making a deal of a file, and going on with deals that a process left unfinished.
//!
//! Called by [`crate::commands`]. All that can be refused is refused by [`super::proposing`] before anything is paid.

use super::book::{DealLock, Record};
use super::carry::{self, Carrier, Heard, Stop, Until};
use super::contact::{ChainPatience, Contact};
use super::error::ClientError;
use super::proposing::{self, Order, Prepared};
use super::refund;
use super::serving::Served;
use super::source::{FileFacts, Piece};
use super::{Report, Session};
use shared::deal::{drive, ClientStage, DealState};
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Blocks that a deal lasts unless the user says otherwise.
pub const DEFAULT_DURATION: u64 = 10_000;
/// Pause between two looks for a proof-of-spacetime.
const PROOF_PAUSE: Duration = Duration::from_secs(1);
/// How long a command waits for the first proof-of-spacetime: longer than a proving period with its grace on a devnet.
const PROOF_PATIENCE: Duration = Duration::from_secs(3 * 3600);

/// Makes a deal of a file and carries it as far as `order` says. On an error after the first payment the deal is in the
/// book and can be resumed.
pub async fn store(session: &Session, path: &Path, order: &Order) -> Result<Record, ClientError> {
    propose(session, Piece::of(path)?, order, |_| {}).await
}

/// As [`store`], of a file that may be known already; `accepted` hears of the miner's acceptance as soon as it is kept.
pub async fn propose(
    session: &Session,
    piece: Piece,
    order: &Order,
    accepted: impl FnOnce(&Record) + Send + 'static,
) -> Result<Record, ClientError> {
    let Prepared { record, contact } = proposing::prepare(session, piece, order).await?;
    let lock = session.book.lock(&record)?;
    let work = Work {
        contact,
        until: order.until,
        report: session.report.clone(),
        accepted: Some(Box::new(accepted)),
    };
    carry_on(session, (record, lock), work).await
}

/// Gives an unfinished deal up: its channel is cancelled now, and reclaimed when it may be. What the miner can still prove
/// to have kept, it is paid for until then.
pub async fn abandon(session: &Session, record: &Record) -> Result<Record, ClientError> {
    session.check_chain(record)?;
    let _lock = session.book.lock(record)?;
    let mut record = session.book.reload(record)?;
    if record.is_finished() {
        let (deal, state) = (record.name(), record.state());
        return Err(ClientError::NothingToAbandon { deal, state });
    }
    let channel = match &record.deal.stage {
        ClientStage::ChannelOpen { channel, .. } => Some(*channel),
        // The channel's message may be under way: only when it has come to a block is it known what to take back.
        ClientStage::Drafted => carry::opened_channel(session, &record).await?.map(|id| id.0),
        _ => record
            .deal
            .proposal()
            .and_then(|signed| signed.proposal.payment.channel)
            .map(|id| id.0),
    };
    let reason = "abandoned by its client".to_owned();
    record.deal.stage = ClientStage::Failed { reason, channel };
    session.book.save(&record)?;
    refund::pursue(session, &mut record, &session.report).await?;
    Ok(record)
}

/// Goes on with a deal from where it is.
pub async fn resume(session: &Session, record: &Record, until: Until, label: bool) -> Result<Record, ClientError> {
    session.check_chain(record)?;
    let lock = session.book.lock(record)?;
    // Another process may have carried it on before this one took the lock.
    let record = session.book.reload(record)?;
    let report = match label {
        true => session.report.labelled(&record.file.name()),
        false => session.report.clone(),
    };
    let miner = record.deal.draft.miner.clone();
    let contact = Contact::new(session.network.clone(), session.chain.clone(), miner, &record.peer)?;
    let work = Work {
        contact,
        until,
        report,
        accepted: None,
    };
    carry_on(session, (record, lock), work).await
}

/// With whom a deal is carried on, how far, and who hears of it.
struct Work {
    contact: Contact,
    until: Until,
    report: Report,
    accepted: Option<Heard>,
}

/// Carries a deal under its lock.
async fn carry_on(
    session: &Session,
    (mut record, _lock): (Record, DealLock),
    work: Work,
) -> Result<Record, ClientError> {
    let Work {
        contact,
        until,
        ref report,
        accepted,
    } = work;
    let served = offer(session, &mut record, report).await?;
    let mut deal = record.deal.clone();
    let account = session.account.of(&deal.draft.payer).await?;
    let book = session.book.clone();
    let mut carrier = Carrier::new(record, book, account, contact, report.clone(), served, until);
    carrier.accepted = accepted;
    let outcome = drive(&mut deal, &mut carrier).await;
    let mut record = carrier.into_record();
    session.offers.withdraw(record.data_cid(), &record.id);
    match outcome {
        Ok(()) => {}
        Err(Stop::Reached) => {
            if until == Until::Accepted {
                let deal = record.name();
                report.note(format!(
                    "the miner still has to fetch the file: `sealdrop client resume {deal}` serves it"
                ));
            }
            return Ok(record);
        }
        Err(Stop::Fault(error)) => return Err(error),
    }
    if let ClientStage::Failed { reason, channel } = &record.deal.stage {
        let (reason, paid) = (reason.clone(), channel.is_some());
        let returned = refund::pursue(session, &mut record, report).await;
        if let Err(error) = returned {
            report.note(format!("the channel's money could not be asked back yet: {error}"));
        }
        return Err(match paid {
            true => ClientError::DealFailed { reason },
            false => ClientError::DealFailedUnpaid { reason },
        });
    }
    if until == Until::Proven {
        see_proof(session, &mut record, report).await?;
    }
    Ok(record)
}

/// Offers the deal's file to the miner while the miner may still need it.
async fn offer(
    session: &Session,
    record: &mut Record,
    report: &Report,
) -> Result<watch::Receiver<Served>, ClientError> {
    let has_it = |state| !matches!(state, DealState::Accepted | DealState::Started);
    let fetched = record
        .deal
        .response()
        .is_some_and(|response| has_it(response.response.state));
    if !fetched && !record.is_finished() {
        let now = FileFacts::of(&record.file.path)?;
        if now != record.file {
            // Copied back or touched, it may still be the same bytes.
            let summary = now.digest(report, &record.name()).await?;
            if summary.data_cid != *record.data_cid() {
                return Err(record.file.changed(&record.name()));
            }
            record.file = now;
        }
    }
    let nodes = record
        .nodes
        .iter()
        .map(|node| (shared::piece::node::node_cid(&node.0), node.0.clone()));
    Ok(session
        .offers
        .offer(*record.data_cid(), &record.id, record.file.clone(), nodes.collect()))
}

/// Waits until the chain has accepted a proof-of-spacetime for the deal's sector.
async fn see_proof(session: &Session, record: &mut Record, report: &Report) -> Result<(), ClientError> {
    let Some(sector) = record.deal.proof().map(|proof| proof.sector_id) else {
        return Ok(());
    };
    let gauge = report.wait("waiting for the sector's first proof-of-spacetime");
    let started = Instant::now();
    let mut patience = ChainPatience::default();
    while !record.proven {
        let miner = match session.chain.miner(&record.deal.draft.miner).await {
            Ok(miner) => miner,
            Err(error) => {
                patience.bear(ClientError::chain(error), report).await?;
                continue;
            }
        };
        patience.over();
        let found = miner
            .as_ref()
            .and_then(|miner| miner.sectors.iter().find(|found| found.id == sector));
        if found.is_some_and(|found| found.proofs > 0) {
            record.proven = true;
            session.book.save(record)?;
            break;
        }
        if started.elapsed() > PROOF_PATIENCE {
            let (deal, minutes) = (record.name(), PROOF_PATIENCE.as_secs() / 60);
            return Err(ClientError::NotProven { deal, minutes });
        }
        gauge.at(0);
        tokio::time::sleep(PROOF_PAUSE).await;
    }
    drop(gauge);
    report.step("proven: the chain accepted a proof-of-spacetime for the sector");
    Ok(())
}
