//! Deals: answered, moved on, looked up by what is to be done for them, forgotten.

use super::codec::{number, parse_cid, write};
use super::keeping::{self, put_deal, tally, Tally};
use super::tables::*;
use super::{DealRecord, MinerStore, PieceRecord, StoreError};
use crate::clock::now_ms;
use crate::failpoint;
use cid::Cid;
use sealdrop_database::{with_prefix, Changes, Order, Records};
use shared::chain::{Address, ChannelId, Epoch};
use shared::deal::retention::{Over, MAX_LIVE_DEALS};
use shared::deal::{MinerInput, MinerStage, SignedProposal};
use shared::sector::SectorOver;
use std::collections::{BTreeMap, BTreeSet};

/// What the store knows when a proposal is decided on.
#[derive(Debug, Clone)]
pub struct Known {
    /// The deal, when the proposal was answered before.
    pub deal: Option<DealRecord>,
    /// Whether the proposal's channel pays for another deal.
    pub channel_is_promised: bool,
    /// Deals whose data is awaited.
    pub awaited: Tally,
    /// Those of them that the same peer proposed.
    pub awaited_of_source: u64,
    /// Those of the awaited ones that cost nothing.
    pub awaited_free: Tally,
    /// Deals that are not sealed yet, the awaited ones included.
    pub unsealed: Tally,
    /// Whether as many deals are served as can be.
    pub is_full: bool,
}

/// What becomes of a proposal.
pub enum Decision<T> {
    /// Nothing is kept.
    Answer(T),
    /// The deal is kept, accepted or refused.
    Keep(Box<DealRecord>, T),
}

impl MinerStore {
    /// Holds the writer's place while `work` runs, as a transaction does that takes long.
    #[cfg(test)]
    pub(crate) fn within_a_transaction(&self, mut work: impl FnMut()) {
        let written: Result<(), StoreError> = self.write(|_| {
            work();
            Ok(())
        });
        written.expect("the store is whole");
    }

    /// Decides on a proposal from `source` by what is known, and keeps the decision: both in one transaction, so that a channel and
    /// room are promised once. What was decided is on the disk when this returns.
    pub fn decide<T>(
        &self,
        signed: &SignedProposal,
        source: &str,
        mut decide: impl FnMut(&Known) -> Result<Decision<T>, StoreError>,
    ) -> Result<T, StoreError> {
        let cid = signed.cid();
        failpoint::hit_failpoint("deal.accepting");
        let (answer, kept) = self.write(|changes| {
            let known = known(changes, &cid, signed, source)?;
            match decide(&known)? {
                Decision::Answer(answer) => Ok((answer, None)),
                Decision::Keep(record, answer) => {
                    let is_accepted = record.deal.over().is_none();
                    match is_accepted {
                        true => accept(changes, &record)?,
                        false => put_deal(changes, &record, now_ms())?,
                    }
                    Ok((answer, Some(is_accepted)))
                }
            }
        })?;
        if kept.is_some() {
            self.tell(&cid);
        }
        if kept == Some(true) {
            failpoint::hit_failpoint("deal.accepted");
        }
        Ok(answer)
    }

    /// What is known when `source` asks what a deal would come to.
    pub fn known_of(&self, source: &str) -> Result<Known, StoreError> {
        self.read(|records| circumstances(records, source))
    }

    /// Whether a payer's channel pays for a deal that is not over. Takes the writer's turn: whatever was decided before is seen.
    pub fn is_owed(&self, payer: &Address, id: ChannelId) -> Result<bool, StoreError> {
        self.write(|changes| match promised(changes, payer, id)? {
            Some(deal) => is_live(changes, &deal),
            None => Ok(false),
        })
    }

    /// Keeps a deal that was just accepted, and promises its channel to it.
    pub fn accept(&self, record: &DealRecord) -> Result<(), StoreError> {
        self.write(|changes| accept(changes, record))?;
        self.tell(&record.deal.proposal.cid());
        Ok(())
    }

    /// Keeps a refusal; the oldest gives way when there are too many.
    pub fn refuse(&self, record: &DealRecord) -> Result<(), StoreError> {
        self.write(|changes| put_deal(changes, record, now_ms()))?;
        self.tell(&record.deal.proposal.cid());
        Ok(())
    }

    /// A deal by its id.
    pub fn deal(&self, cid: &Cid) -> Result<Option<DealRecord>, StoreError> {
        self.read(|records| keeping::deal(records, cid))
    }

    /// Every deal, refused ones included, in the order of their ids.
    pub fn deals(&self) -> impl Iterator<Item = Result<DealRecord, StoreError>> + '_ {
        self.all(DEALS)
    }

    /// The newest deals that are wanted, at most so many, the newest first.
    pub fn newest_deals(
        &self,
        most: usize,
        mut is_wanted: impl FnMut(&DealRecord) -> bool,
    ) -> Result<Vec<DealRecord>, StoreError> {
        let (mut found, mut below) = (Vec::new(), None::<Vec<u8>>);
        while found.len() < most {
            let page = self.read(|records| {
                let newest = records.range(BY_AGE, &[], below.as_deref(), Order::Descending, super::PAGE)?;
                let ids = newest
                    .iter()
                    .map(|(key, _)| parse_cid(BY_AGE, key.get(8..).unwrap_or_default()));
                let deals = ids.map(|id| keeping::deal(records, &id?));
                let deals = deals.collect::<Result<Vec<_>, _>>()?;
                Ok((newest.last().map(|(key, _)| key.clone()), deals))
            })?;
            let wanted = page.1.into_iter().flatten().filter(|record| is_wanted(record));
            found.extend(wanted.take(most - found.len()));
            match page.0 {
                Some(last) => below = Some(last),
                None => break,
            }
        }
        Ok(found)
    }

    /// How many deals are in each state.
    pub fn deals_by_state(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let found = self.read(|records| Ok(with_prefix(records, TALLIES, &[STATES])?))?;
        let named = found.into_iter().map(|(key, value)| {
            let name = String::from_utf8_lossy(key.get(1..).unwrap_or_default()).into_owned();
            (name, keeping::parse_tally(&value).deals)
        });
        Ok(named.collect())
    }

    /// How many deals await one of these effects, and how large their pieces are.
    pub fn tally(&self, kinds: &[EffectKind]) -> Result<Tally, StoreError> {
        self.read(|records| tally_of(records, kinds))
    }

    /// The deals that await one of these effects, those that end first before the others.
    pub fn deals_to(&self, kinds: &[EffectKind]) -> Result<Vec<(Cid, DealRecord)>, StoreError> {
        self.read(|records| {
            let keys = kinds.iter().map(|kind| with_prefix(records, BY_EFFECT, &[*kind as u8]));
            let keys = keys.collect::<Result<Vec<_>, _>>()?;
            deals_at(records, keys.into_iter().flatten())
        })
    }

    /// Complete deals whose time is over at `height`, at most so many, those that ended first before the others.
    pub fn deals_past_end(&self, height: Epoch, most: usize) -> Result<Vec<(Cid, DealRecord)>, StoreError> {
        let (from, to) = (
            effect_key(EffectKind::Keep, 0, &[]),
            effect_key(EffectKind::Keep, height.0.saturating_add(1), &[]),
        );
        self.read(|records| {
            let keys = records.range(BY_EFFECT, &from, Some(&to), Order::Ascending, most)?;
            deals_at(records, keys)
        })
    }

    /// Complete deals with vouchers, at most so many, by their ids from the one after `after` on, round and round.
    pub fn earning(&self, after: Option<Cid>, most: usize) -> Result<Vec<(Cid, DealRecord)>, StoreError> {
        let from = after.map_or_else(Vec::new, |cid| [cid.to_bytes().as_slice(), &[0]].concat());
        self.read(|records| {
            let mut keys = records.range(EARNING, &from, None, Order::Ascending, most)?;
            let missing = most.saturating_sub(keys.len());
            keys.extend(records.range(EARNING, &[], Some(&from), Order::Ascending, missing)?);
            let cids = keys.iter().map(|(key, _)| parse_cid(EARNING, key));
            cids.map(|cid| known_deal(records, cid?)).collect()
        })
    }

    /// The sectors that deals wait for.
    pub fn awaited_sectors(&self) -> Result<BTreeSet<u64>, StoreError> {
        let waiting = self.read(|records| Ok(with_prefix(records, BY_EFFECT, &[EffectKind::AwaitSector as u8])?))?;
        Ok(waiting.into_iter().map(|(_, sector)| number(Some(sector))).collect())
    }

    /// The deals that are complete and have not ended: their data is kept and their vouchers are redeemed.
    pub fn serving(&self) -> Result<Vec<(Cid, DealRecord)>, StoreError> {
        self.deals_to(&[EffectKind::Keep])
    }

    /// The deal that a payer's channel is promised to.
    pub fn promised(&self, payer: &Address, id: ChannelId) -> Result<Option<Cid>, StoreError> {
        self.read(|records| promised(records, payer, id))
    }

    /// Moves a deal on.
    pub fn advance_deal(&self, cid: &Cid, input: MinerInput) -> Result<DealRecord, StoreError> {
        let record = self.write(|changes| advance(changes, cid, input.clone()))?;
        self.tell(cid);
        if matches!(input, MinerInput::PieceReceived { .. }) {
            self.tell_piece(&record.deal.proposal.proposal.piece_ref);
        }
        reached(&record);
        Ok(record)
    }

    /// Forgets the deals and sectors that were over for long enough at this time.
    pub fn forget_old(&self, now_ms: u64) -> Result<(), StoreError> {
        self.write(|changes| {
            let mut sectors = SectorOver::ALL.into_iter();
            sectors.try_for_each(|over| keeping::forget_old_sectors(changes, over, now_ms))?;
            Over::ALL
                .into_iter()
                .try_for_each(|over| keeping::forget_old(changes, over, now_ms))
        })
    }
}

fn known(records: &dyn Records, cid: &Cid, signed: &SignedProposal, source: &str) -> Result<Known, StoreError> {
    let payment = &signed.proposal.payment;
    let promised = match payment.channel {
        Some(id) => promised(records, &payment.payer, id)?,
        None => None,
    };
    Ok(Known {
        deal: keeping::deal(records, cid)?,
        channel_is_promised: promised.is_some(),
        ..circumstances(records, source)?
    })
}

/// What is known whatever is proposed.
fn circumstances(records: &dyn Records, source: &str) -> Result<Known, StoreError> {
    Ok(Known {
        deal: None,
        channel_is_promised: false,
        awaited: tally_of(records, &[EffectKind::FetchPiece])?,
        awaited_of_source: tally(records, &source_tally(source))?.deals,
        awaited_free: tally(records, &free_tally())?,
        unsealed: tally_of(records, &EffectKind::UNSEALED)?,
        is_full: is_full(records)?,
    })
}

fn accept(changes: &dyn Changes, record: &DealRecord) -> Result<(), StoreError> {
    let cid = record.deal.proposal.cid();
    let payment = &record.deal.proposal.proposal.payment;
    if let Some(id) = payment.channel {
        let payer = payment.payer.clone();
        match promised(changes, &payer, id)? {
            Some(deal) if deal != cid => return Err(StoreError::ChannelPromised { payer, id, deal }),
            _ => changes.put(CHANNELS, &channel_key(&payer, id), &cid.to_bytes())?,
        }
    }
    if is_full(changes)? {
        return Err(StoreError::TooManyDeals);
    }
    put_deal(changes, record, now_ms())
}

fn is_full(records: &dyn Records) -> Result<bool, StoreError> {
    Ok(tally_of(records, &EffectKind::ALL)?.deals >= MAX_LIVE_DEALS)
}

fn promised(records: &dyn Records, payer: &Address, id: ChannelId) -> Result<Option<Cid>, StoreError> {
    let found = records.get(CHANNELS, &channel_key(payer, id))?;
    found.map(|cid| parse_cid(CHANNELS, &cid)).transpose()
}

fn tally_of(records: &dyn Records, kinds: &[EffectKind]) -> Result<Tally, StoreError> {
    let mut sum = Tally::default();
    for kind in kinds {
        sum = sum.with(tally(records, &effect_tally(*kind))?);
    }
    Ok(sum)
}

/// The deals that entries of [`BY_EFFECT`] are about.
fn deals_at(
    records: &dyn Records,
    entries: impl IntoIterator<Item = sealdrop_database::Entry>,
) -> Result<Vec<(Cid, DealRecord)>, StoreError> {
    let cids = entries
        .into_iter()
        .map(|(key, _)| parse_cid(BY_EFFECT, key.get(9..).unwrap_or_default()));
    cids.map(|cid| known_deal(records, cid?)).collect()
}

fn known_deal(records: &dyn Records, cid: Cid) -> Result<(Cid, DealRecord), StoreError> {
    let found = keeping::deal(records, &cid)?.ok_or(StoreError::UnknownDeal(cid))?;
    Ok((cid, found))
}

/// Moves a deal on in a transaction.
pub(super) fn advance(changes: &dyn Changes, cid: &Cid, input: MinerInput) -> Result<DealRecord, StoreError> {
    let mut record = keeping::deal(changes, cid)?.ok_or(StoreError::UnknownDeal(*cid))?;
    let handled = record.deal.handle(input.clone());
    handled.map_err(|unexpected| StoreError::Deal { deal: *cid, unexpected })?;
    let proposal = &record.deal.proposal;
    if let MinerInput::PieceReceived { comm_p } = input {
        let piece = PieceRecord {
            size: proposal.size(),
            comm_p,
        };
        changes.put(PIECES, &proposal.proposal.piece_ref.to_bytes(), &write(PIECES, &piece)?)?;
    }
    put_deal(changes, &record, now_ms())?;
    Ok(record)
}

/// The failpoint after a deal's stage was written down.
pub(super) fn reached(record: &DealRecord) {
    match record.deal.stage {
        MinerStage::Received { .. } => failpoint::hit_failpoint("deal.received"),
        MinerStage::Complete { .. } => failpoint::hit_failpoint("deal.complete"),
        MinerStage::Ended { .. } => failpoint::hit_failpoint("deal.ended"),
        _ => {}
    }
}

/// Whether anything is still to be done for a deal; one that is forgotten is over.
pub(super) fn is_live(records: &dyn Records, cid: &Cid) -> Result<bool, StoreError> {
    Ok(records.get(LIVE, &cid.to_bytes())?.is_some())
}

/// A deal, when anything is still to be done for it.
pub(super) fn live_deal(records: &dyn Records, cid: &Cid) -> Result<Option<DealRecord>, StoreError> {
    match is_live(records, cid)? {
        true => keeping::deal(records, cid),
        false => Ok(None),
    }
}
