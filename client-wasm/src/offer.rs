//! Drawing a deal up: what it would cost, whether the miner would take it, and the draft itself (step 3 of a deal).
//!
//! The miner's own rules are run here, on the proposal as it would be sent, so that a refusal costs nothing.

use crate::engine::Engine;
use crate::error::ClientError;
use crate::rpc::Rpc;
use cid::Cid;
use futures::future::{select, Either};
use futures::pin_mut;
use serde::{Deserialize, Serialize};
use shared::chain::view::{MinerView, PreCommitView, SectorView};
use shared::chain::{Address, AttoFil, Epoch, SecretKey};
use shared::client::offer::PieceNames;
use shared::client::{MinerOffer, Problem};
use shared::deal::Draft;
use shared::payment::schedule::voucher_count;
use shared::piece::Commitment;

/// What the page knows of a file, as `prepare` found it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PieceFacts {
    pub size: u64,
    pub comm_p: Commitment,
    pub data_cid: String,
}

/// `MinerInfo` of the public types.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MinerInfo {
    address: Address,
    owner: Address,
    worker: Address,
    peer_id: String,
    sector_size: u64,
    usable_bytes: u64,
    power: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<AttoFil>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price_expiry: Option<Epoch>,
    collateral: AttoFil,
    #[serde(skip_serializing_if = "Option::is_none")]
    proving_window: Option<Span>,
    sectors: Vec<SectorInfo>,
    pre_commits: Vec<PreCommitView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_post: Option<Epoch>,
    posts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    slashed_at: Option<Epoch>,
}

#[derive(Debug, Serialize)]
struct Span {
    start: Epoch,
    end: Epoch,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SectorInfo {
    id: u64,
    comm_d: Commitment,
    comm_r: Commitment,
    comm_r_star: Commitment,
    committed_at: Epoch,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_proven_at: Option<Epoch>,
    proofs: u64,
    in_proving_set: bool,
}

/// `Quote` of the public types.
#[derive(Debug, Serialize)]
pub struct Quote {
    pub total: AttoFil,
    pub vouchers: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

impl MinerInfo {
    /// The miner as the page sees it at `height`.
    pub fn of(miner: MinerView, height: Epoch) -> Self {
        let ask = miner.standing_ask(height).cloned();
        Self {
            price: ask.as_ref().map(|ask| ask.price),
            price_expiry: ask.map(|ask| ask.expiry),
            address: miner.address,
            owner: miner.owner,
            worker: miner.worker,
            peer_id: miner.peer_id,
            sector_size: miner.sector_size,
            usable_bytes: miner.usable_bytes,
            power: miner.power,
            collateral: miner.collateral,
            proving_window: miner.proving_window.map(|window| Span {
                start: window.start,
                end: window.end,
            }),
            sectors: miner.sectors.into_iter().map(SectorInfo::of).collect(),
            pre_commits: miner.pre_commits,
            last_post: miner.last_post,
            posts: miner.posts,
            slashed_at: miner.slashed_at,
        }
    }
}

impl SectorInfo {
    fn of(sector: SectorView) -> Self {
        Self {
            id: sector.id,
            comm_d: sector.comm_d,
            comm_r: sector.comm_r,
            comm_r_star: sector.comm_r_star,
            committed_at: sector.committed_at,
            last_proven_at: sector.last_proven_at,
            proofs: sector.proofs,
            in_proving_set: sector.in_proving_set,
        }
    }
}

/// A draft with the miner's peer id.
pub struct Drafted {
    pub draft: Draft,
    pub peer_id: String,
}

/// Draws a deal up with the miner's present ask; checks nothing yet.
pub async fn draft(
    rpc: &Rpc,
    payer: &Address,
    piece: &PieceFacts,
    miner: &Address,
    duration: u64,
) -> Result<Drafted, ClientError> {
    let data_cid = Cid::try_from(piece.data_cid.as_str()).map_err(|e| ClientError::Argument {
        what: "the piece's data CID",
        reason: e.to_string(),
    })?;
    let (view, head) = futures::try_join!(rpc.miner(miner), rpc.head())?;
    let peer_id = view.peer_id.clone();
    let offer = MinerOffer::of(view, None, head.height)?;
    let names = PieceNames {
        data_cid,
        comm_p: piece.comm_p,
        size: piece.size,
    };
    Ok(Drafted {
        draft: offer.draft(names, payer.clone(), duration, head.height),
        peer_id,
    })
}

/// Everything that can be refused before money is locked: [`Draft::rehearse`] on what the account holds now.
pub async fn check(rpc: &Rpc, key: &SecretKey, draft: &Draft) -> Result<(), ClientError> {
    let balance = rpc
        .actor(&draft.payer)
        .await?
        .map_or(AttoFil::ZERO, |actor| actor.balance);
    Ok(draft.rehearse(key, balance)?)
}

/// Checks a draft, and makes a connection to its miner meanwhile (spec §3.3 steps 2 and 13). Of two faults the draft's
/// own is told: a miner that is away may be back before the draft is mended.
pub async fn check_and_reach(core: &Engine, drafted: &Drafted) -> Result<(), ClientError> {
    let draft = &drafted.draft;
    let checking = check(&core.rpc, &core.key, draft);
    let reaching = core.reach(&draft.miner, &drafted.peer_id);
    pin_mut!(checking, reaching);
    match select(checking, reaching).await {
        Either::Left((checked, reaching)) => {
            checked?;
            reaching.await?;
        }
        Either::Right((reached, checking)) => {
            checking.await?;
            reached?;
        }
    }
    Ok(())
}

/// What a deal would cost, and why it cannot be made if it cannot.
pub async fn quote(
    rpc: &Rpc,
    key: &SecretKey,
    piece: &PieceFacts,
    miner: &Address,
    duration: u64,
) -> Result<Quote, ClientError> {
    let drafted = match draft(rpc, &key.address(), piece, miner, duration).await {
        Ok(drafted) => drafted,
        Err(fault @ ClientError::NoAsk(_)) => {
            return Ok(Quote {
                total: AttoFil::ZERO,
                vouchers: 0,
                problem: Some(fault.problem()),
            });
        }
        Err(fault) => return Err(fault),
    };
    let problem = match check(rpc, key, &drafted.draft).await {
        Ok(()) => None,
        Err(
            fault @ (ClientError::ChainUnreachable { .. }
            | ClientError::ChainRefused { .. }
            | ClientError::ChainAnswer { .. }),
        ) => return Err(fault),
        Err(fault) => Some(fault.problem()),
    };
    let vouchers = if drafted.draft.price.is_zero() {
        0
    } else {
        voucher_count(duration).unwrap_or(0)
    };
    Ok(Quote {
        total: drafted.draft.total().unwrap_or_default(),
        vouchers,
        problem,
    })
}
