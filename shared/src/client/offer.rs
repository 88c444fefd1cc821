//! Whom a deal may be made with (step 3 of a deal): the miner and the ask that were named, or those that could take the file, of whom
//! [`super::choosing`] takes one by a rule.

use crate::chain::view::{AskView, MinerView};
use crate::chain::{Address, AttoFil, Epoch};
use crate::deal::Draft;
use crate::piece::{Commitment, SectorSize};
use alloc::string::String;
use alloc::vec::Vec;
use cid::Cid;

/// A miner, and the ask that a deal with it goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinerOffer {
    pub view: MinerView,
    pub sector: SectorSize,
    pub ask: AskView,
}

/// What a client knows of a file before it makes a deal of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PieceNames {
    pub data_cid: Cid,
    pub comm_p: Commitment,
    /// Bytes.
    pub size: u64,
}

/// Why there is nobody to make a deal with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    #[error("the network has no miner {0}")]
    UnknownMiner(Address),
    #[error("miner {0} has no standing offer of storage")]
    NoAsk(Address),
    #[error("miner {miner} has no ask {id}")]
    UnknownAsk { miner: Address, id: u64 },
    #[error("ask {id} of miner {miner} stood until block {expiry}")]
    AskExpired { miner: Address, id: u64, expiry: Epoch },
    #[error("miner {miner} has sectors of {bytes} bytes, a size that this program does not know")]
    SectorSize { miner: Address, bytes: u64 },
    #[error("piece is {size} bytes but sector size is {usable} bytes")]
    TooLarge {
        size: u64,
        miner: Address,
        sector: SectorSize,
        usable: u64,
    },
    #[error("the network has no miner that offers storage")]
    NoMiners,
    #[error("none of the miners that could take the file does now. {reasons}")]
    NoneTakes {
        reasons: String,
        /// Whether one of them said no; the others did not answer.
        refused: bool,
    },
    #[error("the deal would cost {cost} FIL, and it may cost {most} FIL; allow more, or choose a shorter duration or another miner")]
    OverLimit { cost: AttoFil, most: AttoFil },
}

/// Refuses a deal that would cost more than its user allows, which is asked of every draft before it is kept: of the first one, of one
/// with another miner, and of one that begins anew. Without `most` there is no limit; a `cost` that is more than all FIL is `None`.
pub fn within_limit(cost: Option<AttoFil>, most: Option<AttoFil>) -> Result<(), OfferError> {
    let Some(most) = most else { return Ok(()) };
    match cost {
        Some(cost) if cost <= most => Ok(()),
        cost => Err(OfferError::OverLimit {
            cost: cost.unwrap_or(AttoFil(u128::MAX)),
            most,
        }),
    }
}

impl MinerOffer {
    /// A miner with its ask of this id, or its newest one; fails when that does not stand at `height`.
    pub fn of(view: MinerView, ask: Option<u64>, height: Epoch) -> Result<Self, OfferError> {
        let sector = SectorSize::try_from(view.sector_size).map_err(|_| OfferError::SectorSize {
            miner: view.address.clone(),
            bytes: view.sector_size,
        })?;
        let ask = match ask {
            None => view
                .standing_ask(height)
                .cloned()
                .ok_or_else(|| OfferError::NoAsk(view.address.clone()))?,
            Some(id) => ask_of(&view, id, height)?,
        };
        Ok(Self { view, sector, ask })
    }

    /// The miner and the ask named, for a file of `size` bytes.
    pub fn named(
        miners: Vec<MinerView>,
        miner: &Address,
        ask: Option<u64>,
        size: u64,
        height: Epoch,
    ) -> Result<Self, OfferError> {
        let found = miners.into_iter().find(|view| view.address == *miner);
        let view = found.ok_or_else(|| OfferError::UnknownMiner(miner.clone()))?;
        let offer = Self::of(view, ask, height)?;
        match size <= offer.sector.usable() {
            true => Ok(offer),
            false => Err(offer.too_small(size)),
        }
    }

    /// The miners that a client may choose among which signs by a session key, and `named` in any case: a free deal has no channel that
    /// would name the key, so that nobody takes it from such a client.
    pub fn paid(mut miners: Vec<MinerView>, named: Option<&Address>, height: Epoch) -> Vec<MinerView> {
        let is_free = |view: &MinerView| view.standing_ask(height).is_some_and(|ask| ask.price == AttoFil::ZERO);
        miners.retain(|view| named == Some(&view.address) || !is_free(view));
        miners
    }

    /// All of `miners` that could take `size` bytes; `own` is the client's account, whose own miner would refuse.
    pub fn fitting(miners: Vec<MinerView>, own: &Address, size: u64, height: Epoch) -> Result<Vec<Self>, OfferError> {
        let working = |miner: &MinerView| miner.slashed_at.is_none() && miner.owner != *own && miner.worker != *own;
        let offers = miners
            .into_iter()
            .filter(working)
            .filter_map(|view| Self::of(view, None, height).ok());
        let (fitting, too_small): (Vec<Self>, Vec<Self>) = offers.partition(|offer| size <= offer.sector.usable());
        if !fitting.is_empty() {
            return Ok(fitting);
        }
        let largest = too_small.iter().max_by_key(|offer| offer.sector);
        Err(largest.map_or(OfferError::NoMiners, |offer| offer.too_small(size)))
    }

    /// Draws a deal up that counts from `start`, the head's height.
    pub fn draft(&self, piece: PieceNames, payer: Address, duration: u64, start: Epoch) -> Draft {
        Draft {
            data_cid: piece.data_cid,
            comm_p: piece.comm_p,
            size: piece.size,
            payer,
            miner: self.view.address.clone(),
            owner: self.view.owner.clone(),
            worker: self.view.worker.clone(),
            sector_size: self.sector,
            price: self.ask.price,
            duration,
            start,
        }
    }

    /// Draws a failed deal up anew: the same piece with the same miner for as long, at its present ask, for no more than `most`.
    pub fn redraft(view: MinerView, failed: &Draft, most: Option<AttoFil>, height: Epoch) -> Result<Draft, OfferError> {
        let piece = PieceNames {
            data_cid: failed.data_cid,
            comm_p: failed.comm_p,
            size: failed.size,
        };
        let offer = Self::of(view, None, height)?;
        let draft = offer.draft(piece, failed.payer.clone(), failed.duration, height);
        within_limit(draft.total(), most)?;
        Ok(draft)
    }

    fn too_small(&self, size: u64) -> OfferError {
        OfferError::TooLarge {
            size,
            miner: self.view.address.clone(),
            sector: self.sector,
            usable: self.sector.usable(),
        }
    }
}

fn ask_of(view: &MinerView, id: u64, height: Epoch) -> Result<AskView, OfferError> {
    let miner = || view.address.clone();
    match view.asks.iter().find(|ask| ask.id == id) {
        None => Err(OfferError::UnknownAsk { miner: miner(), id }),
        Some(ask) if ask.expiry <= height => Err(OfferError::AskExpired {
            miner: miner(),
            id,
            expiry: ask.expiry,
        }),
        Some(ask) => Ok(ask.clone()),
    }
}
