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
use shared::chain::Epoch;
use shared::deal::{drive, ClientInput, ClientStage, DealState};
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Blocks that a deal lasts unless the user says otherwise.
pub const DEFAULT_DURATION: u64 = 10_000;
/// Longest wait for news of the chain's head before a proof-of-spacetime is looked for all the same.
const PROOF_NEWS: Duration = Duration::from_secs(10);
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
    give_up(session, &mut record, "abandoned by its client").await?;
    refund::pursue(session, &mut record, &session.report).await?;
    Ok(record)
}

/// Ends a deal for `reason`. The caller holds its lock.
async fn give_up(session: &Session, record: &mut Record, reason: &str) -> Result<(), ClientError> {
    let mut deal = record.deal.clone();
    if deal.stage == ClientStage::Drafted {
        // The channel's message may be under way: only when it has come to a block is it known what to take back.
        if let Some((channel, message)) = carry::opened_channel(session, record).await? {
            let input = ClientInput::ChannelOpened { channel, message };
            deal.handle(input).expect("a drafted deal takes a channel");
        }
    }
    let reason = reason.to_owned();
    deal.handle(ClientInput::GivenUp { reason })
        .map_err(|_| ClientError::NothingToAbandon {
            deal: record.name(),
            state: record.state(),
        })?;
    record.advance(&deal);
    session.book.save(record)
}

/// A deal whose time is over before the miner has accepted it never will be: gives it up. The caller holds its lock.
pub(super) async fn give_up_when_overdue(
    session: &Session,
    record: &mut Record,
    height: Epoch,
) -> Result<(), ClientError> {
    let waits = matches!(
        record.deal.stage,
        ClientStage::Drafted | ClientStage::ChannelOpen { .. } | ClientStage::Signed { .. }
    );
    match waits && record.deal.deadline().is_some_and(|deadline| height >= deadline) {
        true => give_up(session, record, "its time was over before the miner had accepted it").await,
        false => Ok(()),
    }
}

/// Goes on with a deal from where it is.
pub async fn resume(session: &Session, record: &Record, until: Until, label: bool) -> Result<Record, ClientError> {
    session.check_chain(record)?;
    let lock = session.book.lock(record)?;
    // Another process may have carried it on before this one took the lock.
    let mut record = session.book.reload(record)?;
    let height = session.chain.head().await.map_err(ClientError::chain)?.height;
    give_up_when_overdue(session, &mut record, height).await?;
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
    let mut heads = session.chain.heads();
    while !record.proven {
        heads.borrow_and_update();
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
        // A timeout is no news; a closed channel cannot be: the session holds its sender's task.
        let _ = tokio::time::timeout(PROOF_NEWS, heads.changed()).await;
    }
    drop(gauge);
    report.step("proven: the chain accepted a proof-of-spacetime for the sector");
    Ok(())
}
