//! Drawing a deal up: what it would cost, whether the miner would take it, and the draft itself (step 3 of a deal).
//!
//! The miner's own rules are run here, on the proposal as it would be sent, so that a refusal costs nothing.

use crate::engine::Engine;
use crate::error::ClientError;
use crate::public_types::Quote;
use crate::rpc::Rpc;
use cid::Cid;
use futures::future::{select, Either};
use futures::pin_mut;
use serde::Deserialize;
use shared::chain::address::AddressError;
use shared::chain::{Address, AttoFil, SecretKey};
use shared::client::offer::PieceNames;
use shared::client::{MinerOffer, MinerRule, OfferError};
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

/// A draft with the miner's peer id.
pub struct Drafted {
    pub draft: Draft,
    pub peer_id: String,
}

/// Whom a deal is made with: a miner that was named, or the first by a rule.
pub enum Wanted {
    Miner(Address),
    Rule(MinerRule),
}

impl Wanted {
    /// Reads an address or a rule's name.
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        if let Ok(rule) = text.parse() {
            return Ok(Self::Rule(rule));
        }
        let bad = |e: AddressError| ClientError::Argument {
            what: "the miner",
            reason: e.to_string(),
        };
        text.parse().map(Self::Miner).map_err(bad)
    }
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

/// Draws a failed deal up anew, for no more than `most`.
pub async fn redraft(rpc: &Rpc, failed: &Draft, most: Option<AttoFil>) -> Result<Drafted, ClientError> {
    let (view, head) = futures::try_join!(rpc.miner(&failed.miner), rpc.head())?;
    let peer_id = view.peer_id.clone();
    let draft = MinerOffer::redraft(view, failed, most, head.height)?;
    Ok(Drafted { draft, peer_id })
}

/// Everything that can be refused before money is locked: [`Draft::rehearse`] on what the account holds now.
pub async fn check(rpc: &Rpc, key: &SecretKey, draft: &Draft) -> Result<(), ClientError> {
    let balance = balance(rpc, &draft.payer).await?;
    Ok(draft.rehearse(key, balance)?)
}

/// What an account holds.
pub async fn balance(rpc: &Rpc, account: &Address) -> Result<AttoFil, ClientError> {
    Ok(rpc.actor(account).await?.map_or(AttoFil::ZERO, |actor| actor.balance))
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
pub async fn quote(core: &Engine, piece: &PieceFacts, miner: &Address, duration: u64) -> Result<Quote, ClientError> {
    let (rpc, key) = (&core.rpc, &core.key);
    let drafted = match draft(rpc, &core.payer, piece, miner, duration).await {
        Ok(drafted) => drafted,
        Err(fault @ ClientError::Offer(OfferError::NoAsk(_))) => {
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
