//! Everything before money is locked (steps 1 to 14 of spec §3.3, in their order): the miner and its ask, the file's size
//! and commitments, one height for the whole proposal, duplicates, the connection, the funds, and the miner's own review.
//!
//! Called by [`super::storing`], which opens the channel and sends what is drawn up here.

use super::book::Record;
use super::carry::Until;
use super::contact::Contact;
use super::error::ClientError;
use super::partner::{self, Partner};
use super::source::{FileFacts, Names, Piece};
use super::Session;
use shared::chain::Address;
use shared::deal::{duplicates, ClientDeal, Draft, DraftError, Refund};

/// What to store, and how.
#[derive(Debug, Clone)]
pub struct Order {
    /// `None`: the cheapest that takes the file.
    pub miner: Option<Address>,
    /// `None`: the miner's newest.
    pub ask: Option<u64>,
    /// Blocks.
    pub duration: u64,
    /// Make a deal of data that the miner has a deal of already.
    pub allow_duplicates: bool,
    pub until: Until,
}

/// A deal that is ready to be paid and sent, and the miner that it is for.
pub(super) struct Prepared {
    pub record: Record,
    pub contact: Contact,
}

/// Draws a deal up and checks it; nothing is paid, sent or kept yet.
pub(super) async fn prepare(session: &Session, piece: Piece, order: &Order) -> Result<Prepared, ClientError> {
    let partner = partner::choose(session, &piece.file, order.miner.as_ref(), order.ask).await?;
    let (miner, price, sector) = (&partner.view.address, partner.ask.price, partner.sector);
    let report = &session.report;
    report.step(format!(
        "miner {miner}: {sector} sectors, {price} FIL per byte and block"
    ));
    let peer = partner.view.peer_id.clone();
    let mut contact = Contact::new(session.network.clone(), session.chain.clone(), miner.clone(), &peer)?;
    let drawing = draw_up(session, piece, &partner, order);
    // The miner is pinged while the file is read; one that is not there ends the work early.
    let ((file, names, draft), ()) = tokio::try_join!(drawing, contact.reach())?;
    check(session, &draft).await?;
    let (id, created_ms) = Record::new_id();
    let record = Record {
        id,
        created_ms,
        genesis: session.genesis().to_owned(),
        peer,
        file,
        nodes: names.nodes,
        deal: ClientDeal::new(draft),
        cid: None,
        proven: false,
        refund: Refund::default(),
    };
    refuse_a_known_deal(session, &record)?;
    Ok(Prepared { record, contact })
}

/// Steps 6 to 12: commitments, terms at one height, and no deal of the same data with the same miner.
async fn draw_up(
    session: &Session,
    piece: Piece,
    partner: &Partner,
    order: &Order,
) -> Result<(FileFacts, Names, Draft), ClientError> {
    let (file, names) = piece.measure(&session.report).await?;
    let (size, piece_cid) = (file.size, shared::piece::PieceCid(names.comm_p));
    session.report.step(format!("{size} bytes: piece {piece_cid}"));
    let (partner, start) = partner.renewed(session).await?;
    let draft = Draft {
        data_cid: names.data_cid,
        comm_p: names.comm_p,
        size,
        payer: session.account.address(),
        miner: partner.view.address,
        owner: partner.view.owner,
        worker: partner.view.worker,
        sector_size: partner.sector,
        price: partner.ask.price,
        duration: order.duration,
        start,
    };
    if !order.allow_duplicates {
        refuse_a_duplicate(session, &draft)?;
    }
    if [&draft.owner, &draft.worker].contains(&&draft.payer) {
        return Err(DraftError::SelfDeal.into());
    }
    Ok((file, names, draft))
}

/// The same data with the same miner (step 12). A deal that failed keeps nobody from trying again.
fn refuse_a_duplicate(session: &Session, draft: &Draft) -> Result<(), ClientError> {
    let known = session.book.all()?;
    let alive = known
        .iter()
        .filter(|record| record.genesis == session.genesis() && record.state() != "failed");
    match duplicates(alive.map(|record| (&record.deal.draft.miner, record.data_cid())), draft) {
        true => Err(DraftError::Duplicate.into()),
        false => Ok(()),
    }
}

/// A free deal's id follows from its terms alone: the same terms again are the same deal (step 19, before anything is
/// sent).
fn refuse_a_known_deal(session: &Session, record: &Record) -> Result<(), ClientError> {
    if record.deal.draft.total().is_some_and(|total| !total.is_zero()) {
        return Ok(());
    }
    let deal = record.deal.sign(session.account.key())?.cid().to_string();
    let known = session
        .book
        .all()?
        .into_iter()
        .any(|known| known.cid.as_ref() == Some(&deal));
    match known {
        true => Err(ClientError::InProgress { deal }),
        false => Ok(()),
    }
}

/// Everything that can be refused before money is locked.
async fn check(session: &Session, draft: &Draft) -> Result<(), ClientError> {
    let (key, cost) = (session.account.key(), draft.cost()?);
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
