//! The miner's books: its settings, the proofs it sent, the vouchers it redeemed.

use super::codec::{parse, read, write};
use super::records::{PostRecord, RedemptionRecord, RedemptionStage};
use super::tables::*;
use super::{MinerStore, StoreError};
use crate::failpoint;
use crate::settings::Kept;
use cid::Cid;
use sealdrop_database::{with_prefix, DatabaseError, Order, Records};
use serde::{Deserialize, Serialize};
use shared::chain::{AttoFil, Epoch};

/// Most proofs-of-spacetime that are kept; the oldest go first.
pub const MAX_POSTS: u64 = 1000;
/// Most missed windows that are remembered.
pub const MAX_MISSED: usize = 100;
/// The key of the ends of windows that passed without their proofs.
const MISSED: &[u8] = b"missed";
/// The settings' key among the values of which there is one.
const SETTINGS: &[u8] = b"settings";
/// The archive's key.
const ARCHIVE: &[u8] = b"archive";
/// The key of the last time at which the database was found to take something.
const PROBE: &[u8] = b"probe";
/// The key of what all redemptions brought in.
const EARNED: &[u8] = b"earned";
/// The key of the number of proofs that are kept.
const POSTS_KEPT: &[u8] = b"posts";

/// What the records remember of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownArchive {
    pub place: String,
    pub id: String,
}

impl MinerStore {
    /// The settings; `None` before they were kept first.
    pub fn settings(&self) -> Result<Option<Kept>, StoreError> {
        self.read(|records| read(records, SINGLES, SETTINGS))
    }

    /// Keeps the settings.
    pub fn keep_settings(&self, kept: &Kept) -> Result<(), StoreError> {
        let bytes = write(SINGLES, kept)?;
        self.write(|changes| Ok(changes.put(SINGLES, SETTINGS, &bytes)?))?;
        failpoint::hit_failpoint("settings.kept");
        Ok(())
    }

    /// The archive that these records' miner has; `None` while it never had one.
    pub fn archive(&self) -> Result<Option<KnownArchive>, StoreError> {
        self.read(|records| read(records, SINGLES, ARCHIVE))
    }

    /// Remembers the archive; once more changes nothing.
    pub fn keep_archive(&self, known: &KnownArchive) -> Result<(), StoreError> {
        if self.archive()?.as_ref() == Some(known) {
            return Ok(());
        }
        let bytes = write(SINGLES, known)?;
        self.write(|changes| Ok(changes.put(SINGLES, ARCHIVE, &bytes)?))
    }

    /// Writes the time into the database: fails when nothing can be written.
    pub fn probe(&self, now_ms: u64) -> Result<(), StoreError> {
        // Nothing that anybody shows has changed.
        self.records
            .write(|changes| Ok(changes.put(SINGLES, PROBE, &now_ms.to_be_bytes())?))
    }

    /// Whether another process has opened these records since, so that nothing is kept any more.
    pub fn is_anothers(&self) -> bool {
        matches!(self.probe(0), Err(StoreError::Database(DatabaseError::InUse { .. })))
    }

    /// Remembers a proof that the chain accepted.
    pub fn keep_post(&self, post: &PostRecord) -> Result<(), StoreError> {
        let (key, bytes) = (post.window_end.0.to_be_bytes(), write(POSTS, post)?);
        self.write(|changes| {
            let mut kept = super::codec::number(changes.get(SINGLES, POSTS_KEPT)?);
            kept = kept.saturating_add(u64::from(changes.get(POSTS, &key)?.is_none()));
            changes.put(POSTS, &key, &bytes)?;
            while kept > MAX_POSTS {
                for (oldest, _) in changes.range(POSTS, &[], None, Order::Ascending, 1)? {
                    changes.remove(POSTS, &oldest)?;
                }
                kept = kept.saturating_sub(1);
            }
            Ok(changes.put(SINGLES, POSTS_KEPT, &kept.to_be_bytes())?)
        })?;
        failpoint::hit_failpoint("post.kept");
        Ok(())
    }

    /// Whether a window's proof is remembered.
    pub fn has_post(&self, window_end: Epoch) -> Result<bool, StoreError> {
        let key = window_end.0.to_be_bytes();
        self.read(|records| Ok(records.get(POSTS, &key)?.is_some()))
    }

    /// The newest proof that the chain accepted.
    pub fn last_post(&self) -> Result<Option<PostRecord>, StoreError> {
        Ok(self.newest_posts(1)?.pop())
    }

    /// The newest proofs that the chain accepted, at most so many, the newest first.
    pub fn newest_posts(&self, most: usize) -> Result<Vec<PostRecord>, StoreError> {
        let newest = self.read(|records| Ok(records.range(POSTS, &[], None, Order::Descending, most)?))?;
        newest.iter().map(|(_, value)| parse(POSTS, value)).collect()
    }

    /// Remembers a window that passed without its proof; the newest [`MAX_MISSED`] are kept.
    pub fn keep_missed(&self, window_end: Epoch) -> Result<(), StoreError> {
        self.write(|changes| {
            let mut missed: Vec<Epoch> = read(changes, SINGLES, MISSED)?.unwrap_or_default();
            if !missed.contains(&window_end) {
                missed.push(window_end);
                let gone = missed.len().saturating_sub(MAX_MISSED);
                missed.drain(..gone);
                changes.put(SINGLES, MISSED, &write(SINGLES, &missed)?)?;
            }
            Ok(())
        })
    }

    /// Ends of windows that passed without their proofs, the newest first.
    pub fn missed_windows(&self) -> Result<Vec<Epoch>, StoreError> {
        let missed: Option<Vec<Epoch>> = self.read(|records| read(records, SINGLES, MISSED))?;
        Ok(missed.unwrap_or_default().into_iter().rev().collect())
    }

    /// Keeps how far the redemption of a deal's voucher has come. At most one record a voucher, so at most
    /// [`shared::payment::schedule::MAX_VOUCHERS`] a deal.
    pub fn keep_redemption(&self, deal: &Cid, record: &RedemptionRecord) -> Result<(), StoreError> {
        let key = [deal.to_bytes().as_slice(), &record.amount.0.to_be_bytes()].concat();
        let bytes = write(REDEMPTIONS, record)?;
        self.write(|changes| {
            let before: Option<RedemptionRecord> = read(changes, REDEMPTIONS, &key)?;
            let counted = before.and_then(|before| before.gained()).unwrap_or_default();
            let others = earned(changes)?.checked_sub(counted).unwrap_or_default();
            let sum = others
                .checked_add(record.gained().unwrap_or_default())
                .unwrap_or(others);
            changes.put(SINGLES, EARNED, &sum.0.to_be_bytes())?;
            Ok(changes.put(REDEMPTIONS, &key, &bytes)?)
        })?;
        match record.stage {
            RedemptionStage::Sent { .. } => failpoint::hit_failpoint("redemption.planned"),
            RedemptionStage::Done { .. } => failpoint::hit_failpoint("redemption.done"),
            RedemptionStage::Failed { .. } => {}
        }
        Ok(())
    }

    /// A deal's redemptions, the smallest amount first.
    pub fn redemptions(&self, deal: &Cid) -> Result<Vec<RedemptionRecord>, StoreError> {
        let found = self.read(|records| Ok(with_prefix(records, REDEMPTIONS, &deal.to_bytes())?))?;
        found.iter().map(|(_, value)| parse(REDEMPTIONS, value)).collect()
    }

    /// What all redemptions brought in, those of forgotten deals included.
    pub fn earned(&self) -> Result<AttoFil, StoreError> {
        self.read(earned)
    }
}

fn earned(records: &dyn Records) -> Result<AttoFil, StoreError> {
    let found = records.get(SINGLES, EARNED)?;
    let sum = found
        .and_then(|bytes| bytes.as_slice().try_into().ok())
        .map(u128::from_be_bytes);
    Ok(AttoFil(sum.unwrap_or_default()))
}
