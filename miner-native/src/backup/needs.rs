//! What a copy of the miner's database counts on beside itself: pieces that are not sealed yet, and sectors whose replica is whole.

use super::error::BackupError;
use sealdrop_miner::store::MinerStore;
use shared::chain::Address;
use shared::sector::Phase;
use std::collections::BTreeSet;
use std::path::Path;

/// The phases in which a replica is there, and nothing after them makes it again: a proof that was computed is sent without a look at it.
const REPLICATED: [Phase; 7] = [
    Phase::PreCommitting,
    Phase::WaitSeed,
    Phase::Commit1,
    Phase::Commit2,
    Phase::Committing,
    Phase::Proving,
    Phase::Expired,
];

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Needs {
    pub miner: Option<Address>,
    /// Pieces that were received whole and whose only copy is the staged one, by their data.
    pub pieces: BTreeSet<String>,
    /// Those of them that are not there.
    pub missing: BTreeSet<String>,
    /// Sectors whose replicas are proven, or will be. The others are sealed from their pieces, or are over.
    pub sectors: BTreeSet<u64>,
}

/// Looks into a copy of the miner's database.
pub(super) fn of(database: &Path) -> Result<Needs, BackupError> {
    let store = MinerStore::of_copy(database)?;
    let mut pieces = BTreeSet::new();
    for piece in store.pieces()? {
        if store.is_copy_needed(&piece)? {
            pieces.insert(piece.to_string());
        }
    }
    let replicated = store.sectors_in(&REPLICATED)?;
    Ok(Needs {
        miner: store.miner_address()?,
        pieces,
        missing: BTreeSet::new(),
        sectors: replicated.iter().map(|record| record.sector.id).collect(),
    })
}
