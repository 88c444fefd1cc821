//! What the last scrub of each sector found.

use super::codec::{read, write};
use super::tables::SCRUBS;
use super::{MinerStore, StoreError};
use serde::{Deserialize, Serialize};

/// The last scrub of a sector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubRecord {
    pub sector: u64,
    /// When it ended, in milliseconds since 1970.
    pub at_ms: u64,
    /// Pieces whose unsealed copies were read whole.
    pub copies: u64,
    /// Pieces whose copies were damaged and were put back from the replica.
    pub restored: u64,
    /// What is still wrong, for people; at most one text for each piece and one for the replica.
    pub damage: Vec<String>,
}

impl MinerStore {
    /// The last scrub of a sector.
    pub fn scrub(&self, sector: u64) -> Result<Option<ScrubRecord>, StoreError> {
        self.read(|records| read(records, SCRUBS, &sector.to_be_bytes()))
    }

    /// Every sector's last scrub, by number.
    pub fn scrubs(&self) -> Result<Vec<ScrubRecord>, StoreError> {
        self.all(SCRUBS).collect()
    }

    /// Remembers what a scrub found, in place of the one before.
    pub fn keep_scrub(&self, record: &ScrubRecord) -> Result<(), StoreError> {
        let bytes = write(SCRUBS, record)?;
        self.write(|changes| Ok(changes.put(SCRUBS, &record.sector.to_be_bytes(), &bytes)?))
    }

    /// Forgets a sector that is gone.
    pub fn forget_scrub(&self, sector: u64) -> Result<(), StoreError> {
        self.write(|changes| Ok(changes.remove(SCRUBS, &sector.to_be_bytes())?))
    }
}
