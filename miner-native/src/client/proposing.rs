//! Everything before money is locked (steps 1 to 14 of spec §3.3, in their order): the miner and its ask, the file's size
//! and commitments, one height for the whole proposal, duplicates, the connection, the funds, and the miner's own review.
//!
//! Called by [`super::storing`], which opens the channel and sends what is drawn up here.

use super::book::{self, LocalFile, Record};
use super::cli_host::Until;
use super::error::{step, ClientError};
use super::miner_connection::MinerConnection;
use super::miner_offers;
use super::source::{FileFacts, Names, Piece};
use super::Session;
use shared::chain::{Address, AttoFil};
use shared::client::duplicates::{refuse_duplicate, Duplicates, KnownDeal};
use shared::client::offer::{within_limit, PieceNames};
use shared::client::{ByRule, MinerOffer, MinerRule};
use shared::deal::{ClientDeal, Draft, DraftError};

/// What to store, and how.
#[derive(Debug, Clone)]
pub struct Order {
    /// `None`: by the rule.
    pub miner: Option<Address>,
    pub rule: MinerRule,
    /// `None`: the miner's newest.
    pub ask: Option<u64>,
    /// Blocks.
    pub duration: u64,
    /// Make a deal of data that the miner has a deal of already.
    pub allow_duplicates: bool,
    /// FIL that the deal may cost; `None`: there is no limit.
    pub most: Option<AttoFil>,
    pub until: Until,
}

impl Order {
    pub(super) fn duplicates(&self) -> Duplicates {
        Duplicates::allowed(self.allow_duplicates)
    }
}

/// A deal that is ready to be paid and sent, and the miner that it is for.
pub(super) struct Prepared {
    pub record: Record,
    pub connection: MinerConnection,
}

/// Draws a failed deal up anew with its miner's present ask, and checks it; nothing is paid, sent or kept yet.
pub(super) async fn redraft(session: &Session, failed: &Record) -> Result<(ClientDeal, String), ClientError> {
    let asked = failed.deal.draft.miner.clone();
    let height = session.chain.head().await.map_err(ClientError::chain)?.height;
    let view = session.chain.miner(&asked).await.map_err(ClientError::chain)?;
    let view = view.ok_or(ClientError::UnknownMiner { asked })?;
    let peer = view.peer_id.clone();
    let draft = MinerOffer::redraft(view, &failed.deal.draft, failed.most, height);
    let draft = draft.map_err(|error| ClientError::offer(error, session.chain.url(), &failed.file.facts.path))?;
    let (network, chain) = (session.network.clone(), session.chain.clone());
    let mut connection = MinerConnection::new(network, chain, draft.miner.clone(), &peer)?;
    tokio::try_join!(check(session, &draft), connection.reach())?;
    Ok((ClientDeal::new(draft), peer))
}

/// Draws a deal up and checks it; nothing is paid, sent or kept yet.
pub(super) async fn prepare(session: &Session, piece: Piece, order: &Order) -> Result<Prepared, ClientError> {
    let (offer, by_rule) = miner_offers::choose(session, &piece.file, order).await?;
    let (miner, price, sector) = (&offer.view.address, offer.ask.price, offer.sector);
    let report = &session.report;
    report.step(format!(
        "miner {miner}: {sector} sectors, {price} FIL per byte and block"
    ));
    let peer = offer.view.peer_id.clone();
    let mut connection = MinerConnection::new(session.network.clone(), session.chain.clone(), miner.clone(), &peer)?;
    let drawing = draw_up(session, piece, &offer, order);
    // The miner is pinged while the file is read; one that is not there ends the work early.
    let ((facts, names, draft), ()) = tokio::try_join!(drawing, connection.reach())?;
    check(session, &draft).await?;
    refuse_duplicates(session, &draft, order.duplicates())?;
    let (id, created_ms) = book::new_id();
    let (file, genesis) = (
        LocalFile {
            facts,
            part: None,
            key: None,
            nodes: names.nodes,
        },
        session.genesis().to_owned(),
    );
    let mut record = Record::new(id, created_ms, genesis, peer, file, ClientDeal::new(draft));
    record.most = order.most;
    record.by_rule = by_rule
        .map(|by_rule| without_holders(session, by_rule, &record))
        .transpose()?;
    Ok(Prepared { record, connection })
}

/// Who has the same data already is not gone to.
fn without_holders(session: &Session, mut by_rule: ByRule, record: &Record) -> Result<ByRule, ClientError> {
    let known = session.book.of_data(record.data_cid())?;
    let holders = known.iter().filter(|known| !known.is_failed());
    let holders: Vec<Address> = holders.map(|known| known.deal.draft.miner.clone()).collect();
    by_rule.leave_out(&holders);
    Ok(by_rule)
}

/// Steps 6 to 12: commitments, terms at one height, and no deal of the same data with the same miner.
async fn draw_up(
    session: &Session,
    piece: Piece,
    offer: &MinerOffer,
    order: &Order,
) -> Result<(FileFacts, Names, Draft), ClientError> {
    let (file, names) = piece.measure(&session.report).await.map_err(measuring)?;
    let (size, piece_cid) = (file.size, shared::piece::PieceCid(names.comm_p));
    session.report.step(format!("{size} bytes: piece {piece_cid}"));
    let (offer, start) = miner_offers::renewed(session, offer, &file).await?;
    let piece = PieceNames {
        data_cid: names.data_cid,
        comm_p: names.comm_p,
        size,
    };
    let draft = offer.draft(piece, session.account.address(), order.duration, start);
    within_limit(draft.total(), order.most)
        .map_err(|error| ClientError::offer(error, session.chain.url(), &file.path))?;
    refuse_duplicates(session, &draft, order.duplicates())?;
    if [&draft.owner, &draft.worker].contains(&&draft.payer) {
        return Err(DraftError::SelfDeal.into());
    }
    Ok((file, names, draft))
}

/// Steps 3, 6 and 7: which of them a file did not pass.
fn measuring(error: ClientError) -> ClientError {
    let step = match error {
        ClientError::Step { .. } => return error,
        ClientError::File { action: "open", .. } => step::READER,
        _ => step::COMMITMENT,
    };
    ClientError::in_step(step)(error)
}

/// Steps 12 and 19, before anything is sent. What this finds is only kept from wasting time: [`keep_new`] decides.
pub(super) fn refuse_duplicates(session: &Session, draft: &Draft, duplicates: Duplicates) -> Result<(), ClientError> {
    refuse_among(session, draft, duplicates, session.book.of_data(&draft.data_cid)?)
}

fn refuse_among(
    session: &Session,
    draft: &Draft,
    duplicates: Duplicates,
    known: Vec<Record>,
) -> Result<(), ClientError> {
    let here = known.into_iter().filter(|record| record.genesis == session.genesis());
    let known: Vec<KnownDeal> = here
        .map(|record| KnownDeal {
            ends: record.deal.draft.end(),
            miner: record.deal.draft.miner.clone(),
            data: *record.data_cid(),
            failed: record.is_failed(),
            deal: record.cid,
        })
        .collect();
    Ok(refuse_duplicate(draft, session.account.key(), &known, duplicates)?)
}

/// Keeps a deal that was drawn up, unless another process has made the same one meanwhile. Duplicates are deals of the same
/// file.
pub(super) fn keep_new(session: &Session, record: &Record, duplicates: Duplicates) -> Result<(), ClientError> {
    let draft = &record.deal.draft;
    session
        .book
        .add(record, |known| refuse_among(session, draft, duplicates, known))
}

/// Everything that can be refused before money is locked.
pub(super) async fn check(session: &Session, draft: &Draft) -> Result<(), ClientError> {
    let (key, cost) = (session.account.key(), draft.cost()?);
    // What can be refused whatever the account holds is refused before the faucet is troubled.
    draft.rehearse(key, cost)?;
    let funded = session.account.fund(&session.chain, cost, &session.report).await;
    let balance = funded.map_err(ClientError::in_step(step::PAYMENT))?;
    draft.rehearse(key, balance)?;
    session.report.step(format!(
        "reviewed with the miner's own rules: {} FIL for {} blocks",
        draft.total().unwrap_or_default(),
        draft.duration
    ));
    Ok(())
}
