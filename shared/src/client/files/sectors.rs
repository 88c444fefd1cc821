//! Which sectors a file is cut for, and what it costs to keep.

use super::record::FileOrder;
use crate::chain::view::MinerView;
use crate::chain::{Address, AttoFil, Epoch};
use crate::client::offer::{MinerOffer, OfferError};
use crate::deal::review::price_of;
use crate::file::{FileEntry, Manifest};
use crate::piece::SectorSize;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use cid::Cid;

/// Why a file is cut for no sector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SectorError {
    #[error(transparent)]
    Offer(#[from] OfferError),
    #[error("{copies} copies are at as many miners, and {found} miners of this network take files at present; ask for fewer copies")]
    TooFewMiners { copies: u32, found: usize },
    #[error("{copies} copies of a piece of {size} bytes are at as many miners, and {found} miners of this network take pieces of that size at present; ask for fewer copies")]
    TooFewForPiece { copies: u32, size: u64, found: usize },
}

/// The sectors that a file of `size` bytes is cut for: the smallest that takes it whole, of those that enough miners have; else the
/// largest, since pieces are few then.
pub fn sector_for(
    miners: &[MinerView],
    own: &Address,
    height: Epoch,
    order: &FileOrder,
    size: u64,
) -> Result<SectorSize, SectorError> {
    let offers = offers(miners, own, height, order)?;
    let wanted = order.copies as usize;
    let fits_enough = |sector: &SectorSize| offers.iter().filter(|offer| offer.sector >= *sector).count() >= wanted;
    let possible: Vec<SectorSize> = SectorSize::ALL.into_iter().filter(fits_enough).collect();
    let whole = possible.iter().find(|sector| size <= sector.usable());
    let found = whole.or(possible.last()).copied();
    found.ok_or(SectorError::TooFewMiners {
        copies: order.copies,
        found: offers.len(),
    })
}

/// The offers that an order may go to.
fn offers(
    miners: &[MinerView],
    own: &Address,
    height: Epoch,
    order: &FileOrder,
) -> Result<Vec<MinerOffer>, SectorError> {
    Ok(match order.named() {
        Some(named) => [MinerOffer::named(miners.to_vec(), named, None, 1, height)?].into(),
        None => MinerOffer::fitting(miners.to_vec(), own, 1, height)?,
    })
}

/// What a file is going to cost. Which miners take it is known when they have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileQuote {
    /// Pieces of which each has deals of its own.
    pub pieces: usize,
    /// Deals.
    pub deals: u64,
    /// FIL, if the cheapest miners take all.
    pub least: AttoFil,
    /// FIL, if the dearest do.
    pub most: AttoFil,
    /// Miners that could take a piece of it.
    pub miners: usize,
}

/// What the pieces of a file's manifest cost that has these bytes: each piece once, however often its data is in the file, and the
/// manifest itself where the order wants that.
pub fn quote_manifest(
    miners: &[MinerView],
    own: &Address,
    height: Epoch,
    order: &FileOrder,
    (manifest, bytes): (&Manifest, &[u8]),
) -> Result<FileQuote, SectorError> {
    let pieces = manifest.files().iter().flat_map(FileEntry::pieces);
    let mut sizes: BTreeMap<Cid, u64> = pieces.map(|piece| (piece.data_cid, piece.size)).collect();
    if order.with_manifest {
        sizes.insert(Manifest::cid_of(bytes), bytes.len() as u64);
    }
    quote(miners, own, height, order, sizes.into_values())
}

/// What pieces of these sizes cost, which are all different.
pub fn quote(
    miners: &[MinerView],
    own: &Address,
    height: Epoch,
    order: &FileOrder,
    sizes: impl IntoIterator<Item = u64>,
) -> Result<FileQuote, SectorError> {
    let mut offers = offers(miners, own, height, order)?;
    offers.sort_by_key(|offer| offer.ask.price);
    let mut counts = BTreeMap::<u64, u64>::new();
    for size in sizes {
        let count = counts.entry(size).or_default();
        *count = count.saturating_add(1);
    }
    let pieces: u64 = counts.values().sum();
    let copies = order.copies as usize;
    let (mut least, mut most) = (AttoFil::ZERO, AttoFil::ZERO);
    for (size, count) in counts {
        let fitting: Vec<&MinerOffer> = offers.iter().filter(|offer| size <= offer.sector.usable()).collect();
        if fitting.len() < copies {
            let (copies, found) = (order.copies, fitting.len());
            return Err(SectorError::TooFewForPiece { copies, size, found });
        }
        let cheapest = fitting.iter().take(copies);
        let dearest = fitting.iter().rev().take(copies);
        add(&mut least, cheapest, size, order.duration, count);
        add(&mut most, dearest, size, order.duration, count);
    }
    Ok(FileQuote {
        pieces: usize::try_from(pieces).unwrap_or(usize::MAX),
        deals: pieces.saturating_mul(u64::from(order.copies)),
        least,
        most,
        miners: offers.len(),
    })
}

/// Adds what so many pieces of one size cost with these miners each; more than all FIL stays the largest amount.
fn add<'a>(sum: &mut AttoFil, offers: impl Iterator<Item = &'a &'a MinerOffer>, size: u64, duration: u64, count: u64) {
    for offer in offers {
        let price = price_of(offer.ask.price, size, duration);
        let all = price.and_then(|price| price.checked_mul(u128::from(count)));
        let added = all.and_then(|all| sum.checked_add(all));
        *sum = added.unwrap_or(AttoFil(u128::MAX));
    }
}
