//! Which deals a client does not make twice (spec §3.3 step 12, §7.20).

use crate::chain::{Address, Epoch, SecretKey};
use crate::deal::{ClientDeal, Draft, DraftError};
use crate::payment::schedule::ScheduleError;
use alloc::string::{String, ToString};
use cid::Cid;

/// A deal that the client keeps, on the same chain.
#[derive(Debug, Clone)]
pub struct KnownDeal {
    pub miner: Address,
    pub data: Cid,
    /// The deal's CID, once it was signed.
    pub deal: Option<String>,
    pub failed: bool,
    /// When it ends.
    pub ends: Epoch,
}

/// Why a deal is not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DuplicateError {
    #[error(transparent)]
    Draft(#[from] DraftError),
    #[error("deal [{deal}] is already in progress: a free deal with the same terms is the same deal; choose another duration")]
    SameDeal { deal: String },
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

/// Which deals about the same data with the same miner are in the way of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicates {
    /// All that have not ended.
    Refused,
    /// Those that end at this height or later: one that ends sooner is what the new deal is for.
    EndingFrom(Epoch),
    /// None: a further deal is meant.
    Allowed,
}

impl Duplicates {
    /// What a user says who was asked whether further deals are meant.
    pub fn allowed(allowed: bool) -> Self {
        match allowed {
            true => Self::Allowed,
            false => Self::Refused,
        }
    }
}

/// Refuses a draft that makes a deal which is there already. The same data with the same miner may be meant
/// ([`Duplicates`]), unless that deal has failed or has ended; a free deal's id follows from its terms alone, so that the same terms again
/// are the same deal, whatever is meant and whatever became of it: the miner would answer with the old one's state.
pub fn refuse_duplicate<'a>(
    draft: &Draft,
    key: &SecretKey,
    known: impl IntoIterator<Item = &'a KnownDeal> + Clone,
    duplicates: Duplicates,
) -> Result<(), DuplicateError> {
    let in_the_way = |known: &KnownDeal| match duplicates {
        Duplicates::Refused => known.ends > draft.start,
        Duplicates::EndingFrom(height) => known.ends > draft.start && known.ends >= height,
        Duplicates::Allowed => false,
    };
    let same = |known: &KnownDeal| known.miner == draft.miner && known.data == draft.data_cid && !known.failed;
    if known.clone().into_iter().any(|known| same(known) && in_the_way(known)) {
        return Err(DraftError::Duplicate.into());
    }
    if draft.total().is_some_and(|total| !total.is_zero()) {
        return Ok(());
    }
    let deal = ClientDeal::new(draft.clone()).sign(key)?.cid().to_string();
    match known.into_iter().any(|known| known.deal.as_ref() == Some(&deal)) {
        true => Err(DuplicateError::SameDeal { deal }),
        false => Ok(()),
    }
}
