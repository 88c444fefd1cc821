//! All that an operator has to keep of a home, in one encrypted file, and a home of it on another machine.
//!
//! Called by `sealdrop backup` and `sealdrop restore`. [`write()`] may be called while the home's daemon runs, and asks nothing of it.
//!
//! # In which order a running home is read
//!
//! One file cannot be of one moment while a daemon writes to three databases and some thousand files. So the order is one in which
//! whatever is read later knows more than what is read earlier, and each part may lag behind those after it as it may after a
//! crash:
//!
//! 1. **Staged pieces** are held, **then the miner's database** is copied, **then staged pieces** that came meanwhile are held. A piece is whole
//!    on the disk before the database says so, and goes away only after the database knows that its sector is sealed: so a piece that the
//!    copy counts on was there before the copy or after it. One that came and went in between is missing, which is seen by looking
//!    into the copy, and the copy is made anew. Hence: a deal in the copy has its piece in the backup, or still awaits it, or is
//!    sealed.
//! 2. **Sectors' files** come after the database: the copy calls none encoded whose replica was not whole. The same holds for a copy of
//!    `miner/sectors` that is made beside the backup: after it, not before. Of a sector that is not encoded yet nothing is taken: it is
//!    sealed again from its pieces, which are.
//! 3. **Keys, certificates, files** come after what names them: they are written first, and never change.
//! 4. **The client's book** comes before its outboxes: a message that the book does not know is found by its purpose, and not made twice.
//! 5. **The chain** comes last, where this home makes it: to a miner or a client it may know more than they, as always. A miner that
//!    knows more than its chain would wait for what never happened.
//!
//! # What a restored home does not know
//!
//! What came after the copy. Vouchers that were received since are lost unless the client sends them again; deals that were accepted
//! since are unknown; sectors that were sealed since are unknown to the miner and on the chain unproven, which is a fault. One that was being sealed
//! at the copy and was committed since ends as failed, for the chain refuses its number a second time. A restored miner never gives
//! a sector a number that its chain has seen, and asks the chain for its nonces. A restored chain goes on from its copy: what was in the blocks
//! after it never happened, and those who followed it keep another chain.

mod archive;
mod error;
mod gathering;
mod manifest;
mod needs;
mod reading;
mod restoring;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use error::BackupError;
pub use gathering::check_place;
pub use manifest::{FileEntry, LeftOut, Manifest, SectorEntry};
pub use reading::{looked_at, Opening};
pub use restoring::{check, restore};

use gathering::Gathered;
use sealdrop_encryption::Recipients;
use sealdrop_miner::data_dir::DataDir;
use std::io::Write;

/// What is taken into a backup beside what is always in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Replicas with their trees, and the unsealed copies of what is sealed.
    pub sectors: bool,
}

/// Writes a backup of a home to `out`, encrypted to `readers` where there are any.
pub fn write(
    home: &DataDir,
    extent: Extent,
    readers: Option<&Recipients<'_>>,
    made_ms: u64,
    out: &mut dyn Write,
) -> Result<Manifest, BackupError> {
    let gathered = gathering::gather(home, extent.sectors)?;
    let manifest = manifest_of(home, &gathered, made_ms)?;
    manifest.check()?;
    archive::write(out, readers, &manifest, &gathered.files)?;
    Ok(manifest)
}

fn manifest_of(home: &DataDir, gathered: &Gathered, made_ms: u64) -> Result<Manifest, BackupError> {
    let (identity, chain) = (home.identity()?, home.known_chain()?);
    let files = gathered.files.iter().map(archive::entry_of);
    Ok(Manifest {
        format: Manifest::FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        made_ms,
        network: identity.as_ref().map(|identity| identity.network.clone()),
        sector_size: identity.as_ref().map(|identity| identity.sector_size.bytes()),
        genesis: chain.as_ref().map(|chain| chain.genesis.clone()),
        chain: chain.map(|chain| chain.endpoint),
        miner: gathered.miner.clone(),
        holds_chain: gathered.holds_chain,
        files: files.collect::<Result<_, _>>()?,
        sectors: gathered.sectors.clone(),
        missing_pieces: gathered.missing_pieces.clone(),
        left_out: gathered.left_out.clone(),
    })
}
