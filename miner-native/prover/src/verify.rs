//! Checking proofs: what the chain does with a miner's messages.
//!
//! A proof comes from a peer, so whatever is wrong with it (length, encoding, points, a commitment out of
//! range, even a panic in the library) is `Ok(false)`. The only error is this host's own: no usable
//! verifying key. Takes 2-4 ms for a seal, 1-2 ms a partition of a window; up to 150 ms the first time.

use crate::error::Error;
use crate::params::{is_verifying_key, registered, verifying_key, Circuit};
use crate::sector::{field_safe, partitions, MAX_WINDOW_SECTORS, PARTITION_PROOF_BYTES};
use crate::session::{guarded, params_dir};
use crate::size::SectorSize;
use filecoin_proofs_api::{post, seal, PublicReplicaInfo, SectorId};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::{Mutex, PoisonError};

/// Whether `proof` shows that the replica with `comm_r` encodes the data with `comm_d` for this prover, sector
/// and ticket, at the places that `seed` challenges. Arguments are as given to the prover.
///
/// # Errors
/// [`Error::VerifyingKey`] and [`Error::NotInitialised`]: this host cannot verify.
#[allow(clippy::too_many_arguments)]
pub fn verify_seal(
    size: SectorSize,
    comm_r: [u8; 32],
    comm_d: [u8; 32],
    prover_id: [u8; 32],
    sector: u64,
    ticket: [u8; 32],
    seed: [u8; 32],
    proof: &[u8],
) -> Result<bool, Error> {
    check_key(Circuit::PoRep, size)?;
    let (registered, _) = registered(size);
    if proof.len() != usize::from(registered.partitions()) * PARTITION_PROOF_BYTES {
        return Ok(false);
    }
    let verdict = guarded("verifying a seal", || {
        let sector = SectorId::from(sector);
        seal::verify_seal(registered, comm_r, comm_d, prover_id, sector, ticket, seed, proof)
    });
    Ok(verdict.unwrap_or(false))
}

/// Whether `proof` shows that all `sectors`, given as (number, CommR) in any order, are stored, at the places
/// that `randomness` challenges. No sectors, repeated ones and more than [`MAX_WINDOW_SECTORS`] are false.
///
/// The proof does **not** bind `prover_id` (it only has to be in range): filecoin-proofs derives the
/// challenges from randomness and sector numbers alone. What ties a replica to its prover is CommR, so pass
/// only CommRs whose seal was verified for this prover, and draw `randomness` with the miner's address in it.
///
/// # Errors
/// [`Error::VerifyingKey`] and [`Error::NotInitialised`]: this host cannot verify.
pub fn verify_window_post(
    size: SectorSize,
    randomness: [u8; 32],
    prover_id: [u8; 32],
    sectors: &[(u64, [u8; 32])],
    proof: &[u8],
) -> Result<bool, Error> {
    check_key(Circuit::WindowPoSt, size)?;
    if sectors.is_empty() || sectors.len() > MAX_WINDOW_SECTORS {
        return Ok(false);
    }
    if proof.len() != partitions(size, sectors.len()) * PARTITION_PROOF_BYTES {
        return Ok(false);
    }
    let (_, registered) = registered(size);
    let replica = |(sector, comm_r): &(u64, [u8; 32])| {
        let info = PublicReplicaInfo::new(registered, *comm_r);
        (SectorId::from(*sector), info)
    };
    let replicas: BTreeMap<_, _> = sectors.iter().map(replica).collect();
    if replicas.len() != sectors.len() {
        return Ok(false);
    }
    let randomness = field_safe(randomness);
    let verdict = guarded("verifying a proof-of-spacetime", || {
        post::verify_window_post(&randomness, &[(registered, proof)], &replicas, prover_id)
    });
    Ok(verdict.unwrap_or(false))
}

/// Looks at a key once a process: it must be the very one that is built in or, with official parameters, published.
/// Otherwise the library would blame the proof for a damaged key.
fn check_key(circuit: Circuit, size: SectorSize) -> Result<(), Error> {
    static CHECKED: Mutex<BTreeSet<(Circuit, SectorSize)>> = Mutex::new(BTreeSet::new());
    let dir = params_dir()?;
    let mut checked = CHECKED.lock().unwrap_or_else(PoisonError::into_inner);
    if checked.contains(&(circuit, size)) {
        return Ok(());
    }
    let path = verifying_key(&dir, circuit, size)?;
    let unusable = |path, reason: &str| Error::VerifyingKey {
        path,
        reason: reason.to_owned(),
    };
    let found = match fs::read(&path) {
        Ok(found) => found,
        Err(error) => return Err(unusable(path, &error.to_string())),
    };
    if !is_verifying_key(circuit, size, &found)? {
        return Err(unusable(path, "it is not the one that these proofs are verified with"));
    }
    checked.insert((circuit, size));
    Ok(())
}
