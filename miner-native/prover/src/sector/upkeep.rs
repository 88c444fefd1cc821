//! Keeping a sealed sector: finding damage before a window does, and letting go of what only sealing needed.
//!
//! Between step 12 and step 13 of a deal: the miner opens its sectors before each window, so that a disk that cannot be
//! read is found while a fault still costs little.

use super::files::{check_length, sync_file, SectorFiles};
use super::window::{field_safe, ProvingSector};
use crate::error::Error;
use crate::params::registered;
use crate::session::{guarded, params_dir};
use crate::size::SectorSize;
use filecoin_proofs_api::{post, PrivateReplicaInfo, SectorId};
use rand_core::{OsRng, RngCore};
use std::fs;
use std::io;

/// Opens a sector at random places, as a proof-of-spacetime would: reads the replica, its tree and the auxiliary file with the
/// roots, and checks what they say against each other and against CommR. Milliseconds; needs no parameters.
///
/// # Errors
/// [`Error::WrongLength`] or [`Error::Io`] for files that are not there or not whole; [`Error::Proofs`] or
/// [`Error::Panicked`] for content that does not prove. All of them: this sector would spoil the window's proof.
pub fn open_sector(prover_id: [u8; 32], size: SectorSize, sector: &ProvingSector) -> Result<(), Error> {
    params_dir()?;
    let (_, proof) = registered(size);
    let _lock = sector.files.lock_shared()?;
    check_length(sector.files.sealed(), size)?;
    let mut randomness = [0; 32];
    OsRng.fill_bytes(&mut randomness);
    let randomness = field_safe(randomness);
    let id = SectorId::from(sector.sector);
    let challenges = guarded("drawing challenges", || {
        post::generate_fallback_sector_challenges(proof, &randomness, &[id], prover_id)
    })?;
    let own = challenges.get(&id).map_or(&[][..], Vec::as_slice);
    let info = PrivateReplicaInfo::new(proof, sector.comm_r, sector.files.cache(), sector.files.sealed());
    guarded("opening a sector", || {
        post::generate_single_vanilla_proof(proof, id, &info, own)
    })?;
    Ok(())
}

/// Deletes the unsealed data of a committed sector: it can be unsealed again. Twice is harmless.
///
/// # Errors
/// [`Error::Busy`] while somebody is at the sector, [`Error::Io`].
pub fn remove_unsealed(files: &SectorFiles) -> Result<(), Error> {
    let _lock = files.lock_exclusive()?;
    let path = files.unsealed();
    match fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", &path)(source)),
        _ => sync_file(&files.dir),
    }
}
