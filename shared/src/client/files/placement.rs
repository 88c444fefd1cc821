//! All pieces of a file with their copies, and which deal is made next.
//!
//! Pieces with the same data are one: a file of zeros on sectors of 8 MiB has two. Made anew from the book by whoever goes on with a
//! file, and brought up to date with every record that changes.

use super::copies::{Copy, Failure, Standing};
use super::needs::{needs, GivenUp, PieceNeeds};
use super::record::FileRecord;
use crate::chain::view::MinerView;
use crate::chain::{Address, AttoFil, Epoch};
use crate::client::offer::{within_limit, MinerOffer, PieceNames};
use crate::client::record::DealRecord;
use crate::deal::review::price_of;
use crate::file::Manifest;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use cid::Cid;

/// Deals of one file whose miners still fetch, at most: a miner fetches two pieces of a peer at once, and what is not fetched yet is
/// promised room at miners and money in channels.
pub const PIECES_UNDER_WAY: usize = 8;
/// Deals of one file that are not complete, at most: each is followed with its miner, over a stream of a connection that has few.
pub const DEALS_UNDER_WAY: usize = 32;

/// Where a piece's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceSource {
    /// In the file of this index of the manifest, from this offset on.
    File { file: usize, offset: u64 },
    /// They are the manifest.
    Manifest,
}

/// A piece with the deals about it.
#[derive(Debug, Clone)]
pub struct PlacedPiece {
    pub names: PieceNames,
    /// The first place of the file with these bytes.
    pub source: PieceSource,
    copies: Vec<Copy>,
    /// Why it is left as it is in this run.
    set_aside: Option<GivenUp>,
}

impl PlacedPiece {
    fn new(names: PieceNames, source: PieceSource) -> Self {
        Self {
            names,
            source,
            copies: Vec::new(),
            set_aside: None,
        }
    }

    /// The deals about it, also those that have failed.
    pub fn copies(&self) -> &[Copy] {
        &self.copies
    }

    /// Why no more deals are made of it in this run.
    pub fn set_aside(&self) -> Option<&GivenUp> {
        self.set_aside.as_ref()
    }
}

/// A file's pieces and their copies.
#[derive(Debug, Clone)]
pub struct Placement {
    file: FileRecord,
    pieces: Vec<PlacedPiece>,
    by_data: BTreeMap<Cid, usize>,
    /// Deals that are not carried on any further in this run.
    resting: BTreeSet<String>,
    since_ms: u64,
}

impl Placement {
    /// The pieces of `file`, whose manifest this is, without deals. Attempts from `since_ms` on count: usually that is now.
    pub fn new(file: FileRecord, manifest: &Manifest, since_ms: u64) -> Self {
        let mut placement = Self {
            file,
            pieces: Vec::new(),
            by_data: BTreeMap::new(),
            resting: BTreeSet::new(),
            since_ms,
        };
        for (index, entry) in manifest.files().iter().enumerate() {
            for piece in entry.pieces() {
                let names = PieceNames {
                    data_cid: piece.data_cid,
                    comm_p: piece.comm_p,
                    size: piece.size,
                };
                let offset = piece.offset;
                placement.add(names, PieceSource::File { file: index, offset });
            }
        }
        if let Some(manifest) = &placement.file.manifest {
            let names = manifest.names();
            placement.add(names, PieceSource::Manifest);
        }
        placement
    }

    fn add(&mut self, names: PieceNames, source: PieceSource) {
        let next = self.pieces.len();
        if *self.by_data.entry(names.data_cid).or_insert(next) == next {
            self.pieces.push(PlacedPiece::new(names, source));
        }
    }

    /// The record that it was made of.
    pub fn file(&self) -> &FileRecord {
        &self.file
    }

    /// Its user wants something else of the file, or a drill has failed: copies are judged anew.
    pub fn renew(&mut self, file: FileRecord) {
        self.file = file;
        for piece in &mut self.pieces {
            for copy in &mut piece.copies {
                if copy.standing == Standing::Lost {
                    copy.standing = Standing::Kept;
                }
                *copy = copy.clone().in_file(&self.file);
            }
        }
    }

    /// Different pieces, in the order in which they are placed.
    pub fn pieces(&self) -> &[PlacedPiece] {
        &self.pieces
    }

    /// Whether deals were made for it that are copies, or may become some.
    pub fn has_deals(&self) -> bool {
        self.copies()
            .any(|copy| copy.is_of(&self.file) && copy.counts_for(&self.file))
    }

    /// Whether no more deals are made for it: somebody or something has stopped it, or all that it lacks are lost copies that are not
    /// to be replaced. The reason.
    pub fn stopped(&self) -> Option<String> {
        if self.file.stopped.is_some() {
            return self.file.stopped.clone();
        }
        let (committed, mut lost) = (self.committed(), None);
        for piece in &self.pieces {
            match needs(&self.file, &piece.copies, committed, self.since_ms) {
                PieceNeeds::Nothing => {}
                PieceNeeds::GivenUp(reason @ GivenUp::Lost) => lost = Some(reason.to_string()),
                _ => return None,
            }
        }
        lost
    }

    /// The index of the piece with this data.
    pub fn piece_of(&self, data: &Cid) -> Option<usize> {
        self.by_data.get(data).copied()
    }

    /// Takes a deal as it is now; false when it is about no piece of the file, or of another chain.
    pub fn take<F>(&mut self, record: &DealRecord<F>) -> bool {
        if record.genesis != self.file.genesis {
            return false;
        }
        let Some(piece) = self
            .piece_of(record.data_cid())
            .and_then(|index| self.pieces.get_mut(index))
        else {
            return false;
        };
        let copy = Copy::of(record).in_file(&self.file);
        match piece.copies.iter_mut().find(|known| known.deal == copy.deal) {
            Some(known) => *known = copy,
            None => piece.copies.push(copy),
        }
        true
    }

    /// FIL that the file's deals have committed together, without those that were over when it was ordered again.
    pub fn committed(&self) -> AttoFil {
        let file = &self.file;
        let own = self.copies().filter(|copy| copy.is_of(file) && !copy.had_ended(file));
        own.fold(AttoFil::ZERO, |sum, copy| {
            sum.checked_add(copy.committed).unwrap_or(AttoFil(u128::MAX))
        })
    }

    pub(super) fn copies(&self) -> impl Iterator<Item = &Copy> {
        self.pieces.iter().flat_map(|piece| &piece.copies)
    }

    /// The next piece that a deal is to be made of, and what it needs; `None` when there is none now: everything is kept, set aside,
    /// or as much is under way as may be. Called again with every record that changes, and after each deal that was drawn up.
    pub fn next_need(&mut self) -> Option<(usize, PieceNeeds)> {
        let own = || {
            self.copies()
                .filter(|copy| copy.is_of(&self.file) && !self.resting.contains(&copy.deal))
        };
        let under_way = own().filter(|copy| matches!(copy.standing, Standing::UnderWay { .. }));
        let fetching = own().filter(|copy| copy.standing == Standing::UnderWay { needs_file: true });
        if under_way.count() >= DEALS_UNDER_WAY || fetching.count() >= PIECES_UNDER_WAY {
            return None;
        }
        let (committed, since_ms) = (self.committed(), self.since_ms);
        // A no is meant for the file: the next piece, or the next miner, would only ask again.
        let no = |copy: &Copy| copy.standing == Standing::Failed(Failure::Declined) && copy.drafted_ms >= since_ms;
        let declined = own().any(no);
        for (index, piece) in self.pieces.iter_mut().enumerate() {
            if piece.set_aside.is_some() {
                continue;
            }
            match needs(&self.file, &piece.copies, committed, since_ms) {
                PieceNeeds::Nothing => {}
                PieceNeeds::Deal { .. } | PieceNeeds::GivenUp(GivenUp::NamedMiner | GivenUp::Attempts { .. })
                    if declined =>
                {
                    piece.set_aside = Some(GivenUp::Declined);
                }
                PieceNeeds::GivenUp(reason) => piece.set_aside = Some(reason),
                deal @ PieceNeeds::Deal { .. } => return Some((index, deal)),
            }
        }
        None
    }

    /// The miners with whom a deal may be made that [`Placement::next_need`] asks for; one of them is chosen by the order's rule. Those that
    /// failed the piece are among them only if no other takes it.
    pub fn candidates(
        &self,
        (index, needed): (usize, &PieceNeeds),
        miners: &[MinerView],
        own: &Address,
        height: Epoch,
    ) -> Result<Vec<MinerView>, GivenUp> {
        let (Some(piece), PieceNeeds::Deal { leave_out, last, most }) = (self.pieces.get(index), needed) else {
            return Ok(Vec::new());
        };
        let (order, size) = (&self.file.order, piece.names.size);
        let named = |miner: &MinerView| order.named().is_none_or(|named| miner.address == *named);
        let all: Vec<MinerView> = miners.iter().filter(|miner| named(miner)).cloned().collect();
        let none = |reason: String| GivenUp::NoMiner { reason };
        let mut fitting = MinerOffer::fitting(all, own, size, height).map_err(|error| none(error.to_string()))?;
        let miners = fitting.len();
        fitting.retain(|offer| !leave_out.contains(&offer.view.address));
        if fitting.is_empty() {
            return Err(GivenUp::AllHold { miners });
        }
        let affordable = |offer: &MinerOffer| {
            let price = price_of(offer.ask.price, size, order.duration);
            within_limit(price, *most).is_ok()
        };
        let fitting: Vec<MinerOffer> = fitting.into_iter().filter(affordable).collect();
        let (again, fresh): (Vec<MinerOffer>, Vec<MinerOffer>) = fitting
            .into_iter()
            .partition(|offer| last.contains(&offer.view.address));
        let chosen = if fresh.is_empty() { again } else { fresh };
        match (chosen.is_empty(), order.most) {
            (false, _) => Ok(chosen.into_iter().map(|offer| offer.view).collect()),
            (true, Some(most)) => Err(GivenUp::Limit {
                most,
                committed: self.committed(),
            }),
            (true, None) => Err(none("no other miner has an offer".into())),
        }
    }

    /// A deal is as far as it is carried in this run, although it is not complete: it keeps no other from being made.
    pub fn rest(&mut self, deal: &str) {
        self.resting.insert(deal.into());
    }

    /// Whether a deal rests.
    pub fn rests(&self, deal: &str) -> bool {
        self.resting.contains(deal)
    }

    /// Whether a deal that was drawn up may be kept: it costs no more than is left. Asked right before it is, since prices change.
    pub fn affords(&self, total: AttoFil) -> Result<(), GivenUp> {
        let (Some(most), committed) = (self.file.order.most, self.committed()) else {
            return Ok(());
        };
        match committed.checked_add(total).is_some_and(|all| all <= most) {
            true => Ok(()),
            false => Err(GivenUp::Limit { most, committed }),
        }
    }

    /// No more deals are made of this piece in this run: nobody takes it, or its bytes are not here any more.
    pub fn set_aside(&mut self, index: usize, reason: GivenUp) {
        if let Some(piece) = self.pieces.get_mut(index) {
            piece.set_aside = Some(reason);
        }
    }

    /// Why the file does not get what was ordered in this run, once nothing is under way and there is no next deal: the first reason,
    /// and of how many pieces.
    pub fn shortfall(&self) -> Option<(GivenUp, usize)> {
        let mut aside = self.pieces.iter().filter_map(|piece| piece.set_aside.as_ref());
        let first = aside.next()?.clone();
        Some((first, aside.count().saturating_add(1)))
    }
}
