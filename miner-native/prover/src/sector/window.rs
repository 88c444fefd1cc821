//! Proofs-of-spacetime over a proving window.
//!
//! Step 13 of a deal: the miner calls this once a window for all its proven sectors.

use super::files::{check_length, SectorFiles};
use crate::error::Error;
use crate::implementation::Implementation;
use crate::params::{check_installed, registered, Circuit};
use crate::session::{guarded, params_dir};
use crate::size::SectorSize;
use crate::snark::{prove_window, Refusal};
use filecoin_proofs_api::{post, PrivateReplicaInfo, RegisteredPoStProof, SectorId};
use std::collections::BTreeMap;
use std::fs::File;

/// Sectors of one window: the network's 32 GiB partition has 2349, and no window here is larger.
pub const MAX_WINDOW_SECTORS: usize = 2349;
/// Bytes of one partition's proof.
pub const PARTITION_PROOF_BYTES: usize = 192;

/// A sector to be proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvingSector {
    /// Its number.
    pub sector: u64,
    /// Commitment to its replica.
    pub comm_r: [u8; 32],
    /// Its sealed file and cache.
    pub files: SectorFiles,
}

/// Partitions of a window proof for `sectors` sectors: two sectors to a partition at the development sizes.
pub fn partitions(size: SectorSize, sectors: usize) -> usize {
    sectors.div_ceil(partition_sectors(size))
}

/// Sectors of one partition. Those of a window are in the order of their numbers, and each partition of its proof is [`window_post`] of its own sectors: the
/// places where a sector is opened follow from randomness and number alone.
pub fn partition_sectors(size: SectorSize) -> usize {
    registered(size).1.sector_count()
}

/// Randomness as the proofs take it: the top two bits of the last byte cleared, so that it is a field
/// element (as the Filecoin network does). Prover and verifier both apply it; callers pass raw randomness.
pub(crate) fn field_safe(mut randomness: [u8; 32]) -> [u8; 32] {
    randomness[31] &= 0x3f;
    randomness
}

/// A window's proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowProof {
    /// [`PARTITION_PROOF_BYTES`] for each partition, concatenated.
    pub proof: Vec<u8>,
    /// Why the own prover's was not taken, when the library had to make it after all.
    pub refused: Option<Refusal>,
}

/// Proves that all `sectors` are stored: one proof a partition, verified. The order of `sectors` does not matter.
///
/// When the own prover is refused, filecoin-proofs makes the proof at once: a window does not wait.
///
/// # Errors
/// [`Error::FaultySectors`] names those whose files cannot be proved; the rest can be proved without
/// them. [`Error::NoSectors`], [`Error::TooManySectors`], [`Error::DuplicateSector`]; [`Error::Params`].
pub fn window_post(
    prover_id: [u8; 32],
    size: SectorSize,
    randomness: [u8; 32],
    sectors: &[ProvingSector],
    implementation: Implementation,
) -> Result<WindowProof, Error> {
    check_count(sectors.len())?;
    let mut replicas = BTreeMap::new();
    let (_, proof) = registered(size);
    for sector in sectors {
        let (cache, sealed) = (sector.files.cache(), sector.files.sealed());
        let info = PrivateReplicaInfo::new(proof, sector.comm_r, cache, sealed);
        let id = SectorId::from(sector.sector);
        if replicas.insert(id, info).is_some() {
            return Err(Error::DuplicateSector { sector: sector.sector });
        }
    }
    check_installed(&params_dir()?, Circuit::WindowPoSt, size)?;
    let _locks = lock_all(size, sectors)?;
    let own = implementation.snark_kernel(size);
    let own = own.map(|kernel| prove_window(kernel, size, prover_id, randomness, sectors));
    let refused = match own {
        Some(Ok(proof)) => return Ok(WindowProof { proof, refused: None }),
        // A sector that cannot be opened stops the library as well, which then says which one it is.
        Some(Err(refusal)) => Some(refusal),
        None => None,
    };
    let randomness = field_safe(randomness);
    let proved = guarded("proof-of-spacetime", || {
        post::generate_window_post(&randomness, &replicas, prover_id)
    });
    let proofs = match proved {
        Ok(proofs) => proofs,
        Err(error) => return Err(diagnose(proof, prover_id, randomness, &replicas, error)),
    };
    let proof = proofs.into_iter().flat_map(|(_, proof)| proof).collect();
    Ok(WindowProof { proof, refused })
}

fn check_count(count: usize) -> Result<(), Error> {
    match count {
        0 => Err(Error::NoSectors),
        _ if count > MAX_WINDOW_SECTORS => Err(Error::TooManySectors {
            count,
            limit: MAX_WINDOW_SECTORS,
        }),
        _ => Ok(()),
    }
}

/// Shared locks of all sectors; sectors whose files are missing or of a wrong length are reported together.
fn lock_all(size: SectorSize, sectors: &[ProvingSector]) -> Result<Vec<File>, Error> {
    let mut locks = Vec::new();
    let mut faulty = Faulty::default();
    for sector in sectors {
        let locked = sector.files.lock_shared().and_then(|lock| {
            check_length(sector.files.sealed(), size)?;
            Ok(lock)
        });
        match locked {
            Ok(lock) => locks.push(lock),
            // Of the machine, which says nothing of the sector.
            Err(error) if error.is_shortage() => return Err(error),
            Err(error) => faulty.push(sector.sector, &error),
        }
    }
    match faulty.into_error() {
        Some(error) => Err(error),
        None => Ok(locks),
    }
}

/// Finds out which sectors made a proof fail, by opening each alone at its challenges.
fn diagnose(
    proof: RegisteredPoStProof,
    prover_id: [u8; 32],
    randomness: [u8; 32],
    replicas: &BTreeMap<SectorId, PrivateReplicaInfo>,
    error: Error,
) -> Error {
    if error.is_shortage() {
        return error;
    }
    let ids: Vec<SectorId> = replicas.keys().copied().collect();
    let challenges = guarded("drawing challenges", || {
        post::generate_fallback_sector_challenges(proof, &randomness, &ids, prover_id)
    });
    let Ok(challenges) = challenges else {
        return error;
    };
    let mut faulty = Faulty::default();
    for (id, info) in replicas {
        let own = challenges.get(id).map_or(&[][..], Vec::as_slice);
        let opened = guarded("opening a sector", || {
            post::generate_single_vanilla_proof(proof, *id, info, own)
        });
        match opened {
            Ok(_) => {}
            Err(error) if error.is_shortage() => return error,
            Err(error) => faulty.push(u64::from(*id), &error),
        }
    }
    faulty.into_error().unwrap_or(error)
}

#[derive(Default)]
struct Faulty {
    sectors: Vec<u64>,
    reason: Option<String>,
}

impl Faulty {
    fn push(&mut self, sector: u64, error: &Error) {
        self.sectors.push(sector);
        self.reason.get_or_insert_with(|| error.to_string());
    }

    fn into_error(mut self) -> Option<Error> {
        let reason = self.reason?;
        self.sectors.sort_unstable();
        Some(Error::FaultySectors {
            sectors: self.sectors,
            reason,
        })
    }
}
