//! How long the prover's steps took, a few times for each step and sector size.

use super::codec::{read, write};
use super::tables::RATES;
use super::{MinerStore, StoreError};
use shared::piece::SectorSize;

/// The book of measured times.
#[derive(Clone)]
pub struct RateBook {
    store: MinerStore,
}

impl MinerStore {
    /// The book of measured times.
    pub fn rates(&self) -> RateBook {
        RateBook { store: self.clone() }
    }
}

impl RateBook {
    /// The times of a step in milliseconds, the newest last; empty when it was never measured.
    pub fn times(&self, size: SectorSize, step: &str) -> Result<Vec<u64>, StoreError> {
        let key = key(size, step);
        let found: Option<Vec<u64>> = self.store.read(|records| read(records, RATES, &key))?;
        Ok(found.unwrap_or_default())
    }

    /// Replaces the times of a step.
    pub fn keep(&self, size: SectorSize, step: &str, times: &[u64]) -> Result<(), StoreError> {
        let (key, bytes) = (key(size, step), write(RATES, &times)?);
        self.store.write(|changes| Ok(changes.put(RATES, &key, &bytes)?))
    }
}

fn key(size: SectorSize, step: &str) -> Vec<u8> {
    format!("{}/{step}", size.bytes()).into_bytes()
}
