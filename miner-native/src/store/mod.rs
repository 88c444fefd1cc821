//! What the miner remembers: its deals, its sectors, which channel pays for which deal, the proofs it has sent.
//!
//! The only part of the miner that names sled. A transition of a machine is on the disk when its method here returns; only then is
//! the new effect acted on (design §4). Called by [`crate::network`] (deals), [`crate::sealing`] (sectors) and
//! [`crate::proving`] (proofs-of-spacetime).

mod codec;
mod ledger;
mod needs;
mod packing;
mod rates;
mod records;
mod scrubs;
#[cfg(test)]
mod tests;

pub use rates::RateBook;
pub use records::{DealRecord, PhaseStart, PieceRecord, PostRecord, RedemptionRecord, RedemptionStage, SectorRecord};
pub use scrubs::ScrubRecord;

use crate::database;
use crate::failpoint;
use cid::Cid;
use codec::{abort, channel_key, duration_key, number, parse, parse_cid, read, settled, write};
use records::proof_info;
use shared::chain::{Address, ChannelId};
use shared::deal::miner::Unexpected;
use shared::deal::{MinerEffect, MinerInput, MinerStage};
use shared::piece::SectorSize;
use shared::sector::machine::SectorRefusal;
use shared::sector::{retry_pause_ms, Phase, SectorEffect, SectorInput, SectorPiece, SectorStage};
use sled::transaction::Transactional;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;

/// Most deals that are ever accepted: each is kept for good, with up to 256 KiB of vouchers.
pub const MAX_DEALS: u64 = 16_384;
/// Most refusals that are kept, so that the same proposal gets the same answer; the oldest go first.
pub const MAX_REJECTIONS: u64 = 256;
/// Key among the counters: the open deals are complete.
const SERVING: &str = "serving";
/// Changes of deals that are kept for those who listen; one who missed some looks for itself.
const CHANGES_KEPT: usize = 256;
/// Most phase changes that a sector remembers.
const MAX_HISTORY: usize = 64;

/// Why the store does not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database in {} cannot be opened: {source}; check the folder's permissions and the free space, and that no other daemon uses it", dir.display())]
    Open { dir: PathBuf, source: sled::Error },
    #[error("the database failed: {0}; check the free space and the disk")]
    Database(#[from] sled::Error),
    #[error("a record in {tree} cannot be read: {reason}; it was written by another version, or the disk is damaged")]
    Damaged { tree: &'static str, reason: String },
    #[error("a record of {tree} cannot be written: {reason}")]
    Encode { tree: &'static str, reason: String },
    #[error("there is no deal {0}")]
    UnknownDeal(Cid),
    #[error("there is no sector {0}")]
    UnknownSector(u64),
    #[error("channel {id} of {payer} already pays for deal {deal}")]
    ChannelPromised { payer: Address, id: ChannelId, deal: Cid },
    #[error("this miner keeps {MAX_DEALS} deals and takes no more")]
    TooManyDeals,
    #[error("deal {deal}: {unexpected}")]
    Deal { deal: Cid, unexpected: Unexpected },
    #[error(transparent)]
    Sector(#[from] SectorRefusal),
}

/// The miner's database.
pub struct Store {
    db: sled::Db,
    deals: sled::Tree,
    /// Ids of the deals that something is still to be done for.
    open: sled::Tree,
    channels: sled::Tree,
    pieces: sled::Tree,
    sectors: sled::Tree,
    counters: sled::Tree,
    /// The order of refusals: number → deal.
    refusals: sled::Tree,
    durations: sled::Tree,
    posts: sled::Tree,
    redemptions: sled::Tree,
    /// Held while a record is read, changed and written.
    turn: Mutex<()>,
    /// Tells which deals have changed, once that is on the disk.
    changes: broadcast::Sender<Cid>,
}

impl Store {
    /// Opens the database in `dir`, which is made when it is not there.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let open = || -> Result<Self, sled::Error> {
            let db = database::open(&sled::Config::new().path(dir))?;
            Ok(Self {
                deals: db.open_tree("deals")?,
                open: db.open_tree("open")?,
                channels: db.open_tree("channels")?,
                pieces: db.open_tree("pieces")?,
                sectors: db.open_tree("sectors")?,
                counters: db.open_tree("counters")?,
                refusals: db.open_tree("refusals")?,
                durations: db.open_tree("durations")?,
                posts: db.open_tree("posts")?,
                redemptions: db.open_tree("redemptions")?,
                turn: Mutex::new(()),
                changes: broadcast::Sender::new(CHANGES_KEPT),
                db,
            })
        };
        let store = open().map_err(|source| StoreError::Open {
            dir: dir.to_owned(),
            source,
        })?;
        store.take_up()?;
        Ok(store)
    }

    /// Earlier versions left complete deals out of those that something is to be done for.
    fn take_up(&self) -> Result<(), StoreError> {
        if self.counters.contains_key(SERVING)? {
            return Ok(());
        }
        for record in self.deals() {
            let record = record?;
            if record.deal.effect() != MinerEffect::Rest {
                self.open.insert(record.deal.proposal.cid().to_bytes(), &[])?;
            }
        }
        self.counters.insert(SERVING, &[])?;
        self.flush()
    }

    /// The tree for the chain adapter's messages.
    pub fn outbox(&self) -> Result<sled::Tree, StoreError> {
        Ok(self.db.open_tree("outbox")?)
    }

    /// The address of this miner's actor, once it was made.
    pub fn miner_address(&self) -> Result<Option<Address>, StoreError> {
        let damaged = |e: &dyn std::fmt::Display| StoreError::Damaged {
            tree: "counters",
            reason: e.to_string(),
        };
        let found = self.counters.get("miner")?;
        found
            .map(|bytes| Address::from_bytes(&bytes).map_err(|e| damaged(&e)))
            .transpose()
    }

    /// Remembers the address of this miner's actor.
    pub fn remember_miner(&self, address: &Address) -> Result<(), StoreError> {
        self.counters.insert("miner", address.to_bytes())?;
        self.flush()?;
        failpoint::reach("miner.remembered");
        Ok(())
    }

    /// Brings everything to the disk.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.db.flush()?;
        Ok(())
    }

    /// Tells which deals change, from now on, each change once it is on the disk.
    pub fn deal_changes(&self) -> broadcast::Receiver<Cid> {
        self.changes.subscribe()
    }

    /// [`Self::flush`] after a deal has changed.
    fn flush_deal(&self, cid: &Cid) -> Result<(), StoreError> {
        self.flush()?;
        // Nobody listens when it fails.
        let _ = self.changes.send(*cid);
        Ok(())
    }

    /// A deal by its id.
    pub fn deal(&self, cid: &Cid) -> Result<Option<DealRecord>, StoreError> {
        read(&self.deals, "deals", &cid.to_bytes())
    }

    /// Every deal, refused ones included, in the order of their ids.
    pub fn deals(&self) -> impl Iterator<Item = Result<DealRecord, StoreError>> + '_ {
        self.deals.iter().values().map(|value| parse("deals", &value?))
    }

    /// The deals whose effect is one of `wanted`.
    pub fn deals_to(&self, wanted: impl Fn(MinerEffect) -> bool) -> Result<Vec<(Cid, DealRecord)>, StoreError> {
        let mut found = Vec::new();
        for key in self.open.iter().keys() {
            let cid = parse_cid("open", &key?)?;
            match self.deal(&cid)? {
                Some(record) if wanted(record.deal.effect()) => found.push((cid, record)),
                _ => {}
            }
        }
        Ok(found)
    }

    /// The deals that are complete and have not ended: their data is kept and their vouchers are redeemed.
    pub fn serving(&self) -> Result<Vec<(Cid, DealRecord)>, StoreError> {
        self.deals_to(|effect| matches!(effect, MinerEffect::Keep { .. }))
    }

    /// The deal that a payer's channel is promised to.
    pub fn promised(&self, payer: &Address, id: ChannelId) -> Result<Option<Cid>, StoreError> {
        let found = self.channels.get(channel_key(payer, id))?;
        found.map(|cid| parse_cid("channels", &cid)).transpose()
    }

    /// Keeps a deal that was just accepted, and promises its channel to it.
    pub fn accept(&self, record: &DealRecord) -> Result<(), StoreError> {
        let _turn = self.turn();
        failpoint::reach("deal.accepting");
        let deal = record.deal.proposal.cid();
        let payment = &record.deal.proposal.proposal.payment;
        let channel = payment.channel.map(|id| (&payment.payer, id));
        let bytes = write("deals", record)?;
        let trees = (&self.deals, &self.open, &self.channels, &self.counters);
        trees
            .transaction(|(deals, open, channels, counters)| {
                if let Some((payer, id)) = channel {
                    let key = channel_key(payer, id);
                    match channels
                        .insert(key, deal.to_bytes())?
                        .map(|other| Cid::try_from(other.as_ref()))
                    {
                        Some(Ok(other)) if other != deal => {
                            return abort(StoreError::ChannelPromised {
                                payer: payer.clone(),
                                id,
                                deal: other,
                            })
                        }
                        _ => {}
                    }
                }
                let accepted = number(counters.get("accepted")?);
                if accepted >= MAX_DEALS {
                    return abort(StoreError::TooManyDeals);
                }
                counters.insert("accepted", &(accepted + 1).to_be_bytes())?;
                open.insert(deal.to_bytes(), &[])?;
                deals.insert(deal.to_bytes(), bytes.as_slice())?;
                Ok(())
            })
            .map_err(settled)?;
        self.flush_deal(&deal)?;
        failpoint::reach("deal.accepted");
        Ok(())
    }

    /// Keeps a refusal; the oldest gives way when there are [`MAX_REJECTIONS`].
    pub fn refuse(&self, record: &DealRecord) -> Result<(), StoreError> {
        let _turn = self.turn();
        let cid = record.deal.proposal.cid();
        let (deal, bytes) = (cid.to_bytes(), write("deals", record)?);
        let trees = (&self.deals, &self.refusals, &self.counters);
        trees
            .transaction(|(deals, refusals, counters)| {
                let place = number(counters.get("refused")?);
                counters.insert("refused", &(place + 1).to_be_bytes())?;
                if let Some(gone) = place.checked_sub(MAX_REJECTIONS) {
                    if let Some(oldest) = refusals.remove(&gone.to_be_bytes())? {
                        deals.remove(oldest)?;
                    }
                }
                refusals.insert(&place.to_be_bytes(), deal.as_slice())?;
                deals.insert(deal.as_slice(), bytes.as_slice())?;
                Ok(())
            })
            .map_err(settled)?;
        self.flush_deal(&cid)
    }

    /// Moves a deal on.
    pub fn advance_deal(&self, cid: &Cid, input: MinerInput) -> Result<DealRecord, StoreError> {
        let _turn = self.turn();
        let mut record = self.deal(cid)?.ok_or(StoreError::UnknownDeal(*cid))?;
        let handled = record.deal.handle(input.clone());
        handled.map_err(|unexpected| StoreError::Deal { deal: *cid, unexpected })?;
        let bytes = write("deals", &record)?;
        let proposal = &record.deal.proposal;
        let piece = match input {
            MinerInput::PieceReceived { comm_p } => Some(write(
                "pieces",
                &PieceRecord {
                    size: proposal.size(),
                    comm_p,
                },
            )?),
            _ => None,
        };
        let rests = record.deal.effect() == MinerEffect::Rest;
        (&self.deals, &self.open, &self.pieces)
            .transaction(|(deals, open, pieces)| {
                deals.insert(cid.to_bytes(), bytes.as_slice())?;
                if let Some(piece) = &piece {
                    pieces.insert(proposal.proposal.piece_ref.to_bytes(), piece.as_slice())?;
                }
                if rests {
                    open.remove(cid.to_bytes())?;
                }
                Ok(())
            })
            .map_err(settled)?;
        self.flush_deal(cid)?;
        match record.deal.stage {
            MinerStage::Received { .. } => failpoint::reach("deal.received"),
            MinerStage::Complete { .. } => failpoint::reach("deal.complete"),
            MinerStage::Ended { .. } => failpoint::reach("deal.ended"),
            _ => {}
        }
        Ok(record)
    }

    /// A piece that was received whole.
    pub fn piece(&self, data_cid: &Cid) -> Result<Option<PieceRecord>, StoreError> {
        read(&self.pieces, "pieces", &data_cid.to_bytes())
    }

    /// A sector by its number.
    pub fn sector(&self, id: u64) -> Result<Option<SectorRecord>, StoreError> {
        read(&self.sectors, "sectors", &id.to_be_bytes())
    }

    /// Every sector, by number.
    pub fn sectors(&self) -> impl Iterator<Item = Result<SectorRecord, StoreError>> + '_ {
        self.sectors.iter().values().map(|value| parse("sectors", &value?))
    }

    /// Moves a sector on, and remembers how long the phase took that ended.
    pub fn advance_sector(&self, id: u64, input: SectorInput, now_ms: u64) -> Result<SectorRecord, StoreError> {
        let _turn = self.turn();
        let mut record = self.sector(id)?.ok_or(StoreError::UnknownSector(id))?;
        let (before, since) = (record.sector.phase(), record.since_ms());
        let succeeded = !matches!(input, SectorInput::StepFailed { .. } | SectorInput::SealExpired { .. });
        record.sector.handle(input)?;
        let goes_on = !matches!(record.sector.stage, SectorStage::Failed { .. });
        record.retry_at_ms =
            (!succeeded && goes_on).then(|| now_ms.saturating_add(retry_pause_ms(record.sector.attempts)));
        let after = record.sector.phase();
        if after != before || !succeeded {
            record.history.push(PhaseStart {
                phase: after,
                at_ms: now_ms,
            });
            if record.history.len() > MAX_HISTORY {
                record.history.remove(0);
            }
        }
        if succeeded && after != before {
            let took = now_ms.saturating_sub(since);
            self.durations
                .insert(duration_key(record.sector.size, before), &took.to_be_bytes())?;
        }
        self.sectors.insert(id.to_be_bytes(), write("sectors", &record)?)?;
        self.flush()?;
        failpoint::reach(entered(after));
        Ok(record)
    }

    /// How long a phase took the last time that it succeeded, in milliseconds; `None` when it never has.
    pub fn estimate(&self, size: SectorSize, phase: Phase) -> Result<Option<u64>, StoreError> {
        Ok(self
            .durations
            .get(duration_key(size, phase))?
            .map(|value| number(Some(value))))
    }

    /// Tells the deals of a sector that was committed, given up or lost. Safe to repeat; does nothing for other sectors.
    /// Returns the deals that changed.
    pub fn settle(&self, id: u64) -> Result<Vec<Cid>, StoreError> {
        let record = self.sector(id)?.ok_or(StoreError::UnknownSector(id))?;
        let sector = &record.sector;
        let is_lost = sector.phase() == Phase::Failed && sector.effect() == SectorEffect::Rest;
        if !is_lost && sector.effect() != SectorEffect::Prove {
            return Ok(Vec::new());
        }
        let mut changed = Vec::new();
        let of_deals = sector.pieces.iter().enumerate().filter(|(_, piece)| !is_own(piece));
        for (index, piece) in of_deals {
            let deal = self.deal(&piece.deal)?.ok_or(StoreError::UnknownDeal(piece.deal))?;
            let effect = deal.deal.effect();
            let waits = effect == MinerEffect::AwaitSector { sector: id };
            let is_kept = matches!(effect, MinerEffect::Keep { .. }) && deal.deal.sector() == Some(id);
            if !waits && !(is_lost && is_kept) {
                continue;
            }
            let input = match proof_info(sector, index) {
                Some(proof) => MinerInput::Committed { proof },
                None => MinerInput::SectorFailed { sector: id },
            };
            self.advance_deal(&piece.deal, input)?;
            changed.push(piece.deal);
        }
        Ok(changed)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        // Nothing is half-done when a holder panics: the database changes in single writes and transactions.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The failpoint after a sector's phase was written down.
fn entered(phase: Phase) -> &'static str {
    match phase {
        Phase::Closed => "sector.closed",
        Phase::PreCommit1 => "sector.pre_commit1",
        Phase::PreCommit2 => "sector.pre_commit2",
        Phase::PreCommitting => "sector.pre_committing",
        Phase::WaitSeed => "sector.wait_seed",
        Phase::Commit1 => "sector.commit1",
        Phase::Commit2 => "sector.commit2",
        Phase::Committing => "sector.committing",
        Phase::Proving => "sector.proving",
        Phase::Expired => "sector.expired",
        Phase::Released => "sector.released",
        Phase::Removed => "sector.removed",
        Phase::Packing | Phase::Failed => "",
    }
}

/// Whether a piece is the operator's own, which belongs to no deal: a deal's id is never its data's.
pub fn is_own(piece: &SectorPiece) -> bool {
    piece.deal == piece.data_cid
}
