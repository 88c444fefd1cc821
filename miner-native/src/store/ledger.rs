//! The miner's books: its settings, the proofs it sent, the vouchers it redeemed.

use super::codec::{parse, read, write};
use super::records::{PostRecord, RedemptionRecord, RedemptionStage};
use super::{Store, StoreError};
use crate::failpoint;
use crate::settings::Kept;
use cid::Cid;
use shared::chain::{AttoFil, Epoch};

/// Most proofs-of-spacetime that are kept; the oldest go first.
pub const MAX_POSTS: u64 = 1000;
/// The settings' key among the counters.
const SETTINGS: &str = "settings";

impl Store {
    /// The settings; `None` before they were kept first.
    pub fn settings(&self) -> Result<Option<Kept>, StoreError> {
        read(&self.counters, "counters", SETTINGS.as_bytes())
    }

    /// Keeps the settings.
    pub fn keep_settings(&self, kept: &Kept) -> Result<(), StoreError> {
        self.counters.insert(SETTINGS, write("counters", kept)?)?;
        self.flush()?;
        failpoint::reach("settings.kept");
        Ok(())
    }

    /// Remembers a proof that the chain accepted.
    pub fn keep_post(&self, post: &PostRecord) -> Result<(), StoreError> {
        let _turn = self.turn();
        self.posts
            .insert(post.window_end.0.to_be_bytes(), write("posts", post)?)?;
        while self.posts.len() as u64 > MAX_POSTS {
            self.posts.pop_min()?;
        }
        self.flush()?;
        failpoint::reach("post.kept");
        Ok(())
    }

    /// Whether a window's proof is remembered.
    pub fn has_post(&self, window_end: Epoch) -> Result<bool, StoreError> {
        Ok(self.posts.contains_key(window_end.0.to_be_bytes())?)
    }

    /// The newest proof that the chain accepted.
    pub fn last_post(&self) -> Result<Option<PostRecord>, StoreError> {
        self.posts.last()?.map(|(_, value)| parse("posts", &value)).transpose()
    }

    /// Keeps how far the redemption of a deal's voucher has come. At most one record a voucher, so at most
    /// [`shared::payment::schedule::MAX_VOUCHERS`] a deal.
    pub fn keep_redemption(&self, deal: &Cid, record: &RedemptionRecord) -> Result<(), StoreError> {
        let mut key = deal.to_bytes();
        key.extend_from_slice(&record.amount.0.to_be_bytes());
        self.redemptions.insert(key, write("redemptions", record)?)?;
        self.flush()?;
        match record.stage {
            RedemptionStage::Sent { .. } => failpoint::reach("redemption.planned"),
            RedemptionStage::Done { .. } => failpoint::reach("redemption.done"),
            RedemptionStage::Failed { .. } => {}
        }
        Ok(())
    }

    /// A deal's redemptions, the smallest amount first.
    pub fn redemptions(&self, deal: &Cid) -> Result<Vec<RedemptionRecord>, StoreError> {
        let found = self.redemptions.scan_prefix(deal.to_bytes()).values();
        found.map(|value| parse("redemptions", &value?)).collect()
    }

    /// What all redemptions brought in.
    pub fn earned(&self) -> Result<AttoFil, StoreError> {
        let mut sum = AttoFil::ZERO;
        for value in self.redemptions.iter().values() {
            let record: RedemptionRecord = parse("redemptions", &value?)?;
            sum = sum.checked_add(record.gained().unwrap_or_default()).unwrap_or(sum);
        }
        Ok(sum)
    }
}
