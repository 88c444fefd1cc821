//! The miner's tables, and the index entries that follow from each record.
//!
//! An index answers what is asked of the store without reading the records themselves. Its entries change in the transaction that
//! changes the record; [`super::keeping`] is the only one to do either.

use super::records::DealRecord;
use cid::Cid;
use sealdrop_database::{Changes, DatabaseError, Schema, Table};
use shared::chain::{Address, ChannelId};
use shared::deal::{MinerDeal, MinerEffect};
use shared::piece::SectorSize;
use shared::sector::Phase;

/// Deals: id → record.
pub(super) const DEALS: Table = Table::records("deals");
/// Deals that are not over: id → effect.
pub(super) const LIVE: Table = Table::index("live_deals");
/// The same in the order of their ends: effect, end, id → detail of the effect.
pub(super) const BY_EFFECT: Table = Table::index("deals_by_effect");
/// Complete deals with vouchers: id.
pub(super) const EARNING: Table = Table::index("earning_deals");
/// All deals by age: when it was answered, id → state.
pub(super) const BY_AGE: Table = Table::index("deals_by_age");
/// Deals and sectors that are over: how, number in that order → when, id.
pub(super) const OVER: Table = Table::index("over_deals");
/// How many and how large: what is counted → deals, bytes.
pub(super) const TALLIES: Table = Table::index("tallies");
/// Payer, channel → the deal that it pays for.
pub(super) const CHANNELS: Table = Table::index("channels");
/// Pieces that were received whole: data → record.
pub(super) const PIECES: Table = Table::index("pieces");
/// Who needs a piece: data, deal or sector.
pub(super) const WANTED: Table = Table::index("wanted_pieces");
/// Pieces that are here and that nobody needs: data.
pub(super) const UNWANTED: Table = Table::index("unwanted_pieces");
/// Sectors: number → record.
pub(super) const SECTORS: Table = Table::records("sectors");
/// Sectors of which anything is left to do, by phase: phase, number.
pub(super) const BY_PHASE: Table = Table::index("sectors_by_phase");
/// Sectors that hold a piece: data, number.
pub(super) const BY_PIECE: Table = Table::index("sectors_by_piece");
/// Values of which there is one: name → value.
pub(super) const SINGLES: Table = Table::index("singles");
/// How long phases took last: size and phase → milliseconds.
pub(super) const DURATIONS: Table = Table::index("durations");
/// How long steps took: size and step → milliseconds, the newest last.
pub(super) const RATES: Table = Table::index("rates");
/// Proofs-of-spacetime: end of the window → record.
pub(super) const POSTS: Table = Table::records("posts");
/// Redemptions: deal, amount → record.
pub(super) const REDEMPTIONS: Table = Table::index("redemptions");
/// Last scrubs: sector → record.
pub(super) const SCRUBS: Table = Table::index("scrubs");

/// The miner's database.
pub(super) const SCHEMA: Schema = Schema {
    // "SDmi"
    kind: 0x5344_6d69,
    tables: &[
        DEALS,
        LIVE,
        BY_EFFECT,
        EARNING,
        BY_AGE,
        OVER,
        TALLIES,
        CHANNELS,
        PIECES,
        WANTED,
        UNWANTED,
        SECTORS,
        BY_PHASE,
        BY_PIECE,
        SINGLES,
        DURATIONS,
        RATES,
        POSTS,
        REDEMPTIONS,
        SCRUBS,
        crate::chain_access::OUTBOX,
    ],
    format: 1,
    migrate,
};

/// There is no earlier format than the first.
fn migrate(_: &dyn Changes, _: u32) -> Result<(), DatabaseError> {
    Ok(())
}

/// What is to be done for a deal that is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum EffectKind {
    FetchPiece = 1,
    Place = 2,
    AwaitSector = 3,
    Keep = 4,
}

impl EffectKind {
    /// The deals whose piece is not sealed yet.
    pub const UNSEALED: [Self; 3] = [Self::FetchPiece, Self::Place, Self::AwaitSector];
    /// Every deal that is not over.
    pub const ALL: [Self; 4] = [Self::FetchPiece, Self::Place, Self::AwaitSector, Self::Keep];

    /// That of an effect; `None` when there is nothing to do.
    pub fn of(effect: MinerEffect) -> Option<Self> {
        match effect {
            MinerEffect::FetchPiece => Some(Self::FetchPiece),
            MinerEffect::Place => Some(Self::Place),
            MinerEffect::AwaitSector { .. } => Some(Self::AwaitSector),
            MinerEffect::Keep { .. } => Some(Self::Keep),
            MinerEffect::Rest => None,
        }
    }
}

/// The entries of a deal in [`LIVE`], [`BY_EFFECT`], [`EARNING`] and [`WANTED`], and when it counts in which tally.
pub(super) struct DealIndex {
    pub entries: Vec<(Table, Vec<u8>, Vec<u8>)>,
    pub tallies: Vec<Vec<u8>>,
    /// Bytes of its piece.
    pub size: u64,
}

impl DealIndex {
    pub fn of(cid: &Cid, record: &DealRecord) -> Self {
        let (deal, id) = (&record.deal, cid.to_bytes());
        let mut index = Self {
            entries: vec![(
                BY_AGE,
                [&record.created_ms.to_be_bytes(), id.as_slice()].concat(),
                Vec::new(),
            )],
            tallies: vec![state_tally(deal.state().name())],
            size: deal.proposal.size(),
        };
        let Some(kind) = EffectKind::of(deal.effect()) else {
            return index;
        };
        let sector = deal.sector().unwrap_or_default().to_be_bytes();
        let data = deal.proposal.proposal.piece_ref.to_bytes();
        let value = [[kind as u8].as_slice(), &sector].concat();
        index.entries.push((LIVE, id.clone(), value));
        index
            .entries
            .push((BY_EFFECT, effect_key(kind, deal.end().0, &id), sector.to_vec()));
        index.entries.push((WANTED, [data, id.clone()].concat(), Vec::new()));
        if earns(deal) {
            index.entries.push((EARNING, id, Vec::new()));
        }
        index.tallies.push(effect_tally(kind));
        if kind == EffectKind::FetchPiece {
            index.tallies.push(source_tally(&record.source));
            if deal.is_free() {
                index.tallies.push(free_tally());
            }
        }
        index
    }
}

/// Whether vouchers of the deal may be redeemed.
fn earns(deal: &MinerDeal) -> bool {
    matches!(deal.effect(), MinerEffect::Keep { .. }) && !deal.vouchers().is_empty()
}

pub(super) fn effect_key(kind: EffectKind, end: u64, id: &[u8]) -> Vec<u8> {
    [[kind as u8].as_slice(), &end.to_be_bytes(), id].concat()
}

pub(super) fn effect_tally(kind: EffectKind) -> Vec<u8> {
    vec![b'e', kind as u8]
}

/// In front of a state's name.
pub(super) const STATES: u8 = b's';

pub(super) fn state_tally(name: &str) -> Vec<u8> {
    [&[STATES], name.as_bytes()].concat()
}

pub(super) fn source_tally(peer: &str) -> Vec<u8> {
    [b"p", peer.as_bytes()].concat()
}

/// Of awaited deals that cost nothing. Those that an earlier version accepted are not in it, which is over within a day.
pub(super) fn free_tally() -> Vec<u8> {
    b"free".to_vec()
}

pub(super) fn channel_key(payer: &Address, id: ChannelId) -> Vec<u8> {
    [payer.to_bytes().as_slice(), &id.0.to_be_bytes()].concat()
}

pub(super) fn duration_key(size: SectorSize, phase: Phase) -> Vec<u8> {
    format!("{}/{phase:?}", size.bytes()).into_bytes()
}

pub(super) fn phase_key(phase: Phase, id: u64) -> Vec<u8> {
    [[phase as u8].as_slice(), &id.to_be_bytes()].concat()
}

pub(super) fn piece_key(data: &Cid, sector: u64) -> Vec<u8> {
    [data.to_bytes().as_slice(), &sector.to_be_bytes()].concat()
}

/// The entry of a sector that needs a piece of the operator's own. No deal's id begins with a zero.
pub(super) fn own_piece_key(data: &Cid, sector: u64) -> Vec<u8> {
    [data.to_bytes().as_slice(), &[0], &sector.to_be_bytes()].concat()
}
