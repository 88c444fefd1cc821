//! What the last scrub of each sector found.

use super::codec::{parse, read, write};
use super::{Store, StoreError};
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

impl Store {
    fn scrub_tree(&self) -> Result<sled::Tree, StoreError> {
        Ok(self.db.open_tree("scrubs")?)
    }

    /// The last scrub of a sector.
    pub fn scrub(&self, sector: u64) -> Result<Option<ScrubRecord>, StoreError> {
        read(&self.scrub_tree()?, "scrubs", &sector.to_be_bytes())
    }

    /// Every sector's last scrub, by number.
    pub fn scrubs(&self) -> Result<Vec<ScrubRecord>, StoreError> {
        let tree = self.scrub_tree()?;
        tree.iter().values().map(|value| parse("scrubs", &value?)).collect()
    }

    /// Remembers what a scrub found, in place of the one before.
    pub fn keep_scrub(&self, record: &ScrubRecord) -> Result<(), StoreError> {
        let bytes = write("scrubs", record)?;
        self.scrub_tree()?.insert(record.sector.to_be_bytes(), bytes)?;
        self.flush()
    }

    /// Forgets a sector that is gone.
    pub fn forget_scrub(&self, sector: u64) -> Result<(), StoreError> {
        self.scrub_tree()?.remove(sector.to_be_bytes())?;
        Ok(())
    }
}
