//! Making a deal of a file, and going on with deals that a process left unfinished.
//!
//! Called by [`crate::commands::client`]. All that can be refused is refused before anything is paid: the file is measured
//! against the sector, the miner is reached, the money is counted, and the miner's own review is run on the proposal.

use super::book::{DealLock, Record};
use super::carry::{Carrier, Stop, Until};
use super::contact::{ChainPatience, Contact};
use super::error::ClientError;
use super::refund;
use super::serving::Served;
use super::source::FileFacts;
use super::{Report, Session};
use shared::chain::view::MinerView;
use shared::chain::{Address, AttoFil, Epoch};
use shared::deal::{drive, ClientDeal, ClientStage, DealState, Draft, Refund};
use shared::piece::{PieceSummary, SectorSize};
use shared::wire::cbor::Bytes;
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Blocks that a deal lasts unless the user says otherwise.
pub const DEFAULT_DURATION: u64 = 10_000;
/// How long a network without any miner is waited for: a daemon that has just started registers its own.
const MINER_PATIENCE: Duration = Duration::from_secs(30);
/// Pause between two looks for it.
const MINER_PAUSE: Duration = Duration::from_millis(500);
/// Pause between two looks for a proof-of-spacetime.
const PROOF_PAUSE: Duration = Duration::from_secs(1);
/// How long a command waits for the first proof-of-spacetime: longer than a proving period with its grace on a devnet.
const PROOF_PATIENCE: Duration = Duration::from_secs(3 * 3600);

/// What to store, and how.
#[derive(Debug, Clone)]
pub struct Order {
    /// `None`: the cheapest that takes the file.
    pub miner: Option<Address>,
    /// Blocks.
    pub duration: u64,
    pub until: Until,
}

/// Whom a deal is made with, and at which price.
struct Partner {
    view: MinerView,
    sector: SectorSize,
    /// attoFIL per byte per block.
    price: AttoFil,
}

/// Makes a deal of a file and carries it as far as `order` says. On an error after the first payment the deal is in the
/// book and can be resumed.
pub async fn store(session: &Session, path: &Path, order: &Order) -> Result<Record, ClientError> {
    let file = FileFacts::of(path)?;
    let partner = choose(session, &file, order.miner.as_ref()).await?;
    let (miner, price) = (&partner.view.address, partner.price);
    session.report.step(format!(
        "miner {miner}: {} sectors, {price} FIL per byte and block",
        partner.sector
    ));
    let peer = partner.view.peer_id.clone();
    let mut contact = Contact::new(session.network.clone(), session.chain.clone(), miner.clone(), &peer)?;
    contact.reach().await?;
    let summary = file.digest(&session.report, "").await?;
    session
        .report
        .step(format!("{} bytes: piece {}", file.size, summary.piece_cid));
    let draft = draft(session, &summary, &partner, order.duration).await?;
    check(session, &draft).await?;
    let (id, created_ms) = Record::new_id();
    let record = Record {
        id,
        created_ms,
        genesis: session.genesis().to_owned(),
        peer,
        file,
        nodes: summary.nodes.into_iter().map(|(_, bytes)| Bytes(bytes)).collect(),
        deal: ClientDeal::new(draft),
        cid: None,
        proven: false,
        refund: Refund::Due,
    };
    let lock = session.book.lock(&record)?;
    carry_on(session, (record, lock), contact, order.until, &session.report).await
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
    carry_on(session, (record, lock), contact, until, &report).await
}

/// Carries a deal under its lock.
async fn carry_on(
    session: &Session,
    (mut record, _lock): (Record, DealLock),
    contact: Contact,
    until: Until,
    report: &Report,
) -> Result<Record, ClientError> {
    let served = offer(session, &mut record, report).await?;
    let mut deal = record.deal.clone();
    let (book, account) = (session.book.clone(), session.account.clone());
    let mut carrier = Carrier::new(record, book, account, contact, report.clone(), served, until);
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

/// The miner asked for, or the cheapest that takes the file.
async fn choose(session: &Session, file: &FileFacts, asked: Option<&Address>) -> Result<Partner, ClientError> {
    let miners = open_miners(session).await?;
    let height = session.chain.head().await.map_err(ClientError::chain)?.height;
    let none = || ClientError::NoMiners {
        url: session.chain.url().to_owned(),
    };
    let too_large = |partner: &Partner| ClientError::TooLarge {
        path: file.path.clone(),
        size: file.size,
        miner: partner.view.address.clone(),
        sector: partner.sector,
        usable: partner.sector.usable(),
    };
    if let Some(asked) = asked {
        let found = miners.into_iter().find(|miner| miner.address == *asked);
        let view = found.ok_or_else(|| ClientError::UnknownMiner { asked: asked.clone() })?;
        let partner = partner(view, height).ok_or_else(|| ClientError::NoAsk { miner: asked.clone() })?;
        return match file.size <= partner.sector.usable() {
            true => Ok(partner),
            false => Err(too_large(&partner)),
        };
    }
    let working = miners.into_iter().filter(|miner| miner.slashed_at.is_none());
    let offers: Vec<Partner> = working.filter_map(|view| partner(view, height)).collect();
    let largest = offers.iter().max_by_key(|partner| partner.sector).map(too_large);
    let fitting = offers
        .into_iter()
        .filter(|partner| file.size <= partner.sector.usable());
    let cheapest =
        fitting.min_by(|a, b| (a.price, a.view.address.to_string()).cmp(&(b.price, b.view.address.to_string())));
    cheapest.ok_or_else(|| largest.unwrap_or_else(none))
}

/// The network's miners; of a network that has just started, after a moment.
async fn open_miners(session: &Session) -> Result<Vec<MinerView>, ClientError> {
    let started = Instant::now();
    let mut gauge = None;
    loop {
        let miners = session.chain.miners().await.map_err(ClientError::chain)?;
        let height = session.chain.head().await.map_err(ClientError::chain)?.height;
        let open = miners.iter().any(|miner| miner.standing_ask(height).is_some());
        if open || started.elapsed() > MINER_PATIENCE {
            return Ok(miners);
        }
        gauge
            .get_or_insert_with(|| session.report.wait("waiting for the network's first miner"))
            .at(0);
        tokio::time::sleep(MINER_PAUSE).await;
    }
}

/// `None` for a miner without a standing offer, or with sectors of a size that this program does not know.
fn partner(view: MinerView, height: Epoch) -> Option<Partner> {
    let sector = SectorSize::try_from(view.sector_size).ok()?;
    let price = view.standing_ask(height)?.price;
    Some(Partner { view, sector, price })
}

async fn draft(
    session: &Session,
    summary: &PieceSummary,
    partner: &Partner,
    duration: u64,
) -> Result<Draft, ClientError> {
    let head = session.chain.head().await.map_err(ClientError::chain)?;
    Ok(Draft {
        data_cid: summary.data_cid,
        comm_p: summary.comm_p,
        size: summary.size,
        payer: session.account.address(),
        miner: partner.view.address.clone(),
        owner: partner.view.owner.clone(),
        worker: partner.view.worker.clone(),
        sector_size: partner.sector,
        price: partner.price,
        duration,
        start: head.height,
    })
}

/// Everything that can be refused before money is locked ([`Draft::rehearse`]).
async fn check(session: &Session, draft: &Draft) -> Result<(), ClientError> {
    let key = session.account.key();
    let cost = draft.cost()?;
    // What can be refused whatever the account holds is refused before the faucet is troubled.
    draft.rehearse(key, cost)?;
    let balance = session.account.fund(&session.chain, cost, &session.report).await?;
    draft.rehearse(key, balance)?;
    session.report.step(format!(
        "reviewed with the miner's own rules: {} FIL for {} blocks",
        draft.total().unwrap_or_default(),
        draft.duration
    ));
    Ok(())
}
