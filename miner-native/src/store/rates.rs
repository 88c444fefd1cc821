//! How long the prover's steps took, a few times for each step and sector size.

use super::codec::{parse, write};
use super::{Store, StoreError};
use shared::piece::SectorSize;

/// The book of measured times.
#[derive(Debug, Clone)]
pub struct RateBook {
    tree: sled::Tree,
}

impl Store {
    /// The book of measured times.
    pub fn rates(&self) -> Result<RateBook, StoreError> {
        let tree = self.db.open_tree("rates")?;
        Ok(RateBook { tree })
    }
}

impl RateBook {
    /// The times of a step in milliseconds, the newest last; empty when it was never measured.
    pub fn times(&self, size: SectorSize, step: &str) -> Result<Vec<u64>, StoreError> {
        let found = self.tree.get(key(size, step))?;
        found.map_or(Ok(Vec::new()), |value| parse("rates", &value))
    }

    /// Replaces the times of a step. Reaches the disk with the next change of anything else: losing it costs nothing.
    pub fn keep(&self, size: SectorSize, step: &str, times: &[u64]) -> Result<(), StoreError> {
        self.tree.insert(key(size, step), write("rates", &times)?)?;
        Ok(())
    }
}

fn key(size: SectorSize, step: &str) -> String {
    format!("{}/{step}", size.bytes())
}
