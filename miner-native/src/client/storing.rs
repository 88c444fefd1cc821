//! Making a deal of a file, and going on with deals that a process left unfinished: drives [`shared::client::engine`].
//!
//! Called by [`crate::commands`]. All that can be refused is refused by [`super::proposing`] before anything is paid.

use super::book::{DealLock, Record};
use super::cli_host::{CliHost, Until};
use super::error::{step, ClientError};
use super::proposing::{self, Order, Prepared};
use super::source::Piece;
use super::Session;
use shared::chain::AttoFil;
use shared::client::{engine, refunds, Awaited, ClientHost, Following, Next};
use shared::deal::ClientStage;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

/// Blocks that a deal lasts unless the user says otherwise.
pub const DEFAULT_DURATION: u64 = shared::client::choosing::USUAL_DURATION;
/// Longest wait for a block before a proof-of-spacetime is looked for all the same, in milliseconds.
const PROOF_NEWS_MS: u64 = 10_000;
/// How long a command waits for the first proof-of-spacetime: longer than a proving period with its grace on a devnet.
const PROOF_PATIENCE: Duration = Duration::from_secs(3 * 3600);

/// Makes a deal of a file and carries it as far as `order` says. On an error after the first payment the deal is in the
/// book and can be resumed.
pub async fn store(session: &Session, path: &Path, order: &Order) -> Result<Record, ClientError> {
    let piece = Piece::of(path).map_err(ClientError::in_step(step::SIZE))?;
    propose(session, piece, order, |_| {}).await
}

/// As [`store`], of a file that may be known already; `accepted` hears of the miner's acceptance as soon as it is kept.
pub async fn propose(
    session: &Session,
    piece: Piece,
    order: &Order,
    accepted: impl FnOnce(&Record) + Send + 'static,
) -> Result<Record, ClientError> {
    let Prepared { record, connection } = proposing::prepare(session, piece, order).await?;
    let lock = session.book.lock(&record)?;
    proposing::keep_new(session, &record, order.duplicates())?;
    let host = CliHost::new(session, &record, session.report.clone(), order.until).await?;
    let host = host
        .with_connection(&record.peer, connection)
        .with_heard(Box::new(accepted));
    carry_on((record, lock), &host, order.until).await
}

/// Gives an unfinished deal up: its channel is cancelled now, and reclaimed when it may be. What the miner can still prove
/// to have kept, it is paid for until then.
pub async fn abandon(session: &Session, record: &Record) -> Result<Record, ClientError> {
    session.check_chain(record)?;
    let _lock = session.book.lock(record)?;
    let mut record = session.book.reload(record)?;
    let host = CliHost::new(session, &record, session.report.clone(), Until::Complete).await?;
    let given_up = engine::give_up(&mut record, &host, "abandoned by its client").await;
    given_up.map_err(|error| error.of_deal(&record))?;
    refunds::take_back_and_wait(&mut record, &host)
        .await
        .map_err(|error| error.of_deal(&record))?;
    Ok(record)
}

/// Begins a failed deal anew with its miner's present price, and carries it on; `most` is its limit from now on, else it stays. The money
/// of the failed attempt comes back as before.
pub async fn retry(
    session: &Session,
    record: &Record,
    most: Option<AttoFil>,
    until: Until,
) -> Result<Record, ClientError> {
    session.check_chain(record)?;
    let lock = session.book.lock(record)?;
    let mut record = session.book.reload(record)?;
    let host = CliHost::new(session, &record, session.report.clone(), until).await?;
    if record.is_failed() {
        if !host.file_is_same(&mut record).await? {
            return Err(record.file.facts.changed(&record.name()));
        }
        record.most = most.or(record.most);
        let (deal, peer) = proposing::redraft(session, &record).await?;
        engine::redraw(&mut record, &host, deal, peer).await?;
    }
    carry_on((record, lock), &host, until).await
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
    let host = CliHost::new(session, &record, report, until).await?;
    carry_on((record, lock), &host, until).await
}

/// Goes on with a deal of a file's piece; `follower` hears of every record that is kept.
pub(super) async fn resume_part(
    session: &Session,
    record: &Record,
    until: Until,
    follower: UnboundedSender<Record>,
) -> Result<Record, ClientError> {
    let lock = session.book.lock(record)?;
    let record = session.book.reload(record)?;
    let report = session.report.labelled(&record.file.name()).of_part();
    let host = CliHost::new(session, &record, report, until).await?;
    let host = host.with_follower(follower);
    carry_on((record, lock), &host, until).await
}

/// Carries a deal under its lock.
async fn carry_on(
    (mut record, _lock): (Record, DealLock),
    host: &CliHost,
    until: Until,
) -> Result<Record, ClientError> {
    host.show_opening(&record);
    let carried = step_until(&mut record, host, until).await;
    host.withdraw(&record);
    carried?;
    match &record.deal.stage {
        ClientStage::Failed { reason, channel } => {
            let (reason, paid) = (reason.clone(), channel.is_some());
            let returned = refunds::take_back_and_wait(&mut record, host).await;
            if let Err(error) = returned.map_err(|error| error.of_deal(&record)) {
                host.report
                    .note(format!("the channel's money could not be asked back yet: {error}"));
            }
            Err(match paid {
                true => ClientError::DealFailed { reason },
                false => ClientError::DealFailedUnpaid { reason },
            })
        }
        ClientStage::Complete { .. } => {
            if until == Until::Proven {
                see_proof(&mut record, host).await?;
            }
            Ok(record)
        }
        _ => {
            if until == Until::Accepted {
                let deal = record.name();
                host.report.note(format!(
                    "the miner still has to fetch the file: `sealdrop client resume {deal}` serves it"
                ));
            }
            Ok(record)
        }
    }
}

async fn step_until(record: &mut Record, host: &CliHost, until: Until) -> Result<(), ClientError> {
    let mut following = Following::default();
    // A deal that is accepted already is asked about: the miner may be further than the book.
    let mut asked = false;
    while !(asked && until.is_reached(&record.deal.stage)) {
        match following.turn(record, host).await {
            Ok(Next::Settled) => return Ok(()),
            Ok(_) => host.answered(),
            Err(error) => host.bear(error, record)?,
        }
        asked = true;
        if !until.is_reached(&record.deal.stage) {
            following.rest(host).await;
        }
    }
    Ok(())
}

/// Waits until the chain has accepted a proof-of-spacetime for the deal's sector.
async fn see_proof(record: &mut Record, host: &CliHost) -> Result<(), ClientError> {
    host.wait_for("waiting for the sector's first proof-of-spacetime");
    let started = Instant::now();
    while !record.is_proven() {
        match engine::look_at_sector(record, host).await {
            Ok(()) => host.answered(),
            Err(error) => host.bear(error, record)?,
        }
        if started.elapsed() > PROOF_PATIENCE {
            let (deal, minutes) = (record.name(), PROOF_PATIENCE.as_secs() / 60);
            return Err(ClientError::NotProven { deal, minutes });
        }
        if !record.is_proven() {
            host.wait(PROOF_NEWS_MS, Awaited::Block).await;
        }
    }
    host.withdraw(record);
    host.report
        .step("proven: the chain accepted a proof-of-spacetime for the sector");
    Ok(())
}
