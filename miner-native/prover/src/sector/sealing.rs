//! Sealing: pre-commit 1 and 2, the check between, commit 1 and 2.
//!
//! Steps 10 and 11 of a deal. The miner persists each function's output before it goes on, so a restart
//! resumes at the last phase that finished:
//!
//! ```text
//! write_unsealed → pre_commit1 → [P1 bytes] → pre_commit2 → [PreCommit] → check_pre_commit
//!   → commitments to the chain, seed drawn → commit1 → [C1 bytes] → commit2 → [proof] → clear_cache
//! ```
//! Every phase may be repeated, and is done by the own code or by filecoin-proofs: see [`Implementation`]. Costs for 8 MiB, in
//! CPU-seconds with IFMA, and the library's: P1 0.4 (2.6), P2 0.3 (6), check and C1 0.05, C2 11 and 0.7 GiB of memory (76 and
//! 3.2 GiB).

use super::files::{check_length, retain, sync_directory, sync_file, wipe, SectorFiles};
use super::layout::{layout, piece_infos, Piece};
use super::own;
use super::staging::data_commitment;
use crate::error::Error;
use crate::implementation::Implementation;
use crate::needs::check_room;
use crate::params::{check_installed, registered, Circuit};
use crate::session::{guarded, params_dir};
use crate::size::SectorSize;
use crate::snark::{prove_seal, Refusal};
use filecoin_proofs_api::seal::{self, SealCommitPhase1Output, SealPreCommitPhase1Output, SealPreCommitPhase2Output};
use filecoin_proofs_api::{PieceInfo, RegisteredSealProof, SectorId};
use rand_core::{OsRng, RngCore};
use sealdrop_groth16::Report;
use sealdrop_lanes::Kernel;
use serde::{de::DeserializeOwned, Serialize};
use std::fs::{self, File};

/// Bytes of a proof-of-replication at the sizes with one partition (all but 32 GiB, which has ten).
pub const PROOF_BYTES: usize = 192;

/// Who seals which sector, and how large it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectorIdentity {
    /// The 20-byte payload of the miner's actor address, then 12 zero bytes. (Proofs-of-spacetime read
    /// the 32 bytes as a field element, little-endian: with zeros at the end it is always in range.)
    pub prover_id: [u8; 32],
    /// The sector's number, unique for its miner.
    pub sector: u64,
    /// Its size.
    pub size: SectorSize,
}

/// A sealed sector's commitments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreCommit {
    /// Commitment to the data.
    pub comm_d: [u8; 32],
    /// Commitment to the replica: Poseidon of CommC and the replica's tree.
    pub comm_r: [u8; 32],
    /// Commitment to all label layers; the successor of 2019's CommRStar.
    pub comm_c: [u8; 32],
}

/// Pre-commit 1: labels the sector's graph. Begins from scratch each time (label files of another ticket or
/// sector would be taken over silently), and returns bytes that only `pre_commit2` reads.
///
/// `ticket` is any 32 bytes of chain randomness: it is hashed, so all values are allowed.
///
/// # Errors
/// [`Error::WrongLength`] if the unsealed file is not whole, [`Error::Proofs`] if it does not hold these
/// `pieces`, [`Error::NoRoom`], [`Error::Busy`].
pub fn pre_commit1(
    identity: &SectorIdentity,
    files: &SectorFiles,
    ticket: [u8; 32],
    pieces: &[Piece],
    implementation: Implementation,
) -> Result<Vec<u8>, Error> {
    params_dir()?;
    let comm_d = data_commitment(identity.size, pieces)?;
    let _lock = files.lock_exclusive()?;
    let cache = files.cache();
    check_length(files.unsealed(), identity.size)?;
    wipe(&cache)?;
    check_room(identity.size, &files.dir, &cache)?;
    let output = match implementation.replica_kernel(identity.size) {
        Some(kernel) => own::pre_commit1(kernel, identity, files, ticket, comm_d)?,
        None => library_pre_commit1(identity, files, ticket, pieces)?,
    };
    save("pre-commit 1", &output)
}

fn library_pre_commit1(
    identity: &SectorIdentity,
    files: &SectorFiles,
    ticket: [u8; 32],
    pieces: &[Piece],
) -> Result<SealPreCommitPhase1Output, Error> {
    let infos = piece_infos(&layout(identity.size, pieces)?)?;
    let (unsealed, sealed, cache) = (files.unsealed(), files.sealed(), files.cache());
    // The library wants the file to exist, and overwrites it with the data.
    File::create(&sealed).map_err(Error::io("create", &sealed))?;
    let (proof, _) = registered(identity.size);
    let output = guarded("pre-commit 1", || {
        seal::seal_pre_commit_phase1(
            proof,
            &cache,
            &unsealed,
            &sealed,
            identity.prover_id,
            SectorId::from(identity.sector),
            ticket,
            &infos,
        )
    })?;
    sync_directory(&cache)?;
    Ok(output)
}

/// Pre-commit 2: encodes the data into the replica and commits to it. Starts from the unsealed file each
/// time, since encoding a replica that was encoded before gives a wrong CommR without any error.
///
/// # Errors
/// [`Error::DamagedOutput`] for bytes that `pre_commit1` did not return for this size; [`Error::Proofs`]
/// if the cache is not as pre-commit 1 left it; [`Error::Busy`].
pub fn pre_commit2(
    identity: &SectorIdentity,
    files: &SectorFiles,
    p1: &[u8],
    implementation: Implementation,
) -> Result<PreCommit, Error> {
    params_dir()?;
    let (proof, _) = registered(identity.size);
    let phase1: SealPreCommitPhase1Output = load("pre-commit 1", p1)?;
    check_proof("pre-commit 1", phase1.registered_proof, proof)?;
    let _lock = files.lock_exclusive()?;
    let (unsealed, cache) = (files.unsealed(), files.cache());
    check_length(unsealed.clone(), identity.size)?;
    retain(&cache, |name| name.contains("layer-") || name.contains("tree-d"))?;
    let comm_d = phase1.comm_d;
    let (comm_r, comm_c) = match implementation.replica_kernel(identity.size) {
        Some(kernel) => own::pre_commit2(kernel, identity.size, files, comm_d)?,
        None => library_pre_commit2(files, phase1)?,
    };
    sync_file(&files.dir)?;
    Ok(PreCommit { comm_d, comm_r, comm_c })
}

/// CommR and CommC.
fn library_pre_commit2(files: &SectorFiles, phase1: SealPreCommitPhase1Output) -> Result<([u8; 32], [u8; 32]), Error> {
    let (unsealed, sealed, cache) = (files.unsealed(), files.sealed(), files.cache());
    fs::copy(&unsealed, &sealed).map_err(Error::io("copy the data to", &sealed))?;
    let output = guarded("pre-commit 2", || seal::seal_pre_commit_phase2(phase1, &cache, &sealed))?;
    sync_file(&sealed)?;
    sync_directory(&cache)?;
    Ok((output.comm_r, comm_c(files)?))
}

/// Proves the replica to oneself with a random seed before its commitments go to the chain, where a wrong
/// one would cost the deposit. Catches a half-written cache, stale layers and a replica encoded twice.
///
/// # Errors
/// [`Error::InconsistentReplica`]: seal again, from `pre_commit1`.
pub fn check_pre_commit(
    identity: &SectorIdentity,
    files: &SectorFiles,
    ticket: [u8; 32],
    pre_commit: &PreCommit,
    pieces: &[Piece],
) -> Result<(), Error> {
    let inconsistent = |reason| Error::InconsistentReplica {
        dir: files.dir.clone(),
        reason,
    };
    if comm_c(files)? != pre_commit.comm_c {
        return Err(inconsistent("the cache holds another CommC".to_owned()));
    }
    let mut seed = [0; 32];
    OsRng.fill_bytes(&mut seed);
    match commit1(identity, files, ticket, seed, pre_commit, pieces) {
        Ok(_) => Ok(()),
        Err(Error::Proofs { reason, .. } | Error::Panicked { reason, .. }) => Err(inconsistent(reason)),
        Err(Error::WrongLength { path, .. }) => {
            Err(inconsistent(format!("{} is not as long as the sector", path.display())))
        }
        Err(error) => Err(error),
    }
}

/// Commit 1: opens the commitments at the places that `seed` challenges, and checks the openings. Returns
/// bytes (about 60 KB) that only `commit2` reads; from here on the replica is not needed for this proof.
///
/// `seed` is any 32 bytes of chain randomness drawn after the pre-commit, but not all zeros.
///
/// # Errors
/// [`Error::Proofs`] if cache, replica and commitments do not belong together.
pub fn commit1(
    identity: &SectorIdentity,
    files: &SectorFiles,
    ticket: [u8; 32],
    seed: [u8; 32],
    pre_commit: &PreCommit,
    pieces: &[Piece],
) -> Result<Vec<u8>, Error> {
    params_dir()?;
    let infos: Vec<PieceInfo> = piece_infos(&layout(identity.size, pieces)?)?;
    let _lock = files.lock_shared()?;
    check_length(files.sealed(), identity.size)?;
    let (proof, _) = registered(identity.size);
    let commitments = SealPreCommitPhase2Output {
        registered_proof: proof,
        comm_r: pre_commit.comm_r,
        comm_d: pre_commit.comm_d,
    };
    let output = guarded("commit 1", || {
        seal::seal_commit_phase1(
            files.cache(),
            files.sealed(),
            identity.prover_id,
            SectorId::from(identity.sector),
            ticket,
            seed,
            commitments,
            &infos,
        )
    })?;
    save("commit 1", &output)
}

/// Commit 2: the zero-knowledge proof, [`PROOF_BYTES`] long (10 times that for 32 GiB), already verified.
/// It takes gigabytes and all cores: the caller decides how many run at once.
///
/// # Errors
/// [`Error::Refused`] when the own code's proof does not hold, or it could not make one: ask again for the library's.
/// [`Error::Params`] if the parameters are not installed, [`Error::DamagedOutput`] for bytes that `commit1`
/// did not return for this size, [`Error::Proofs`].
pub fn commit2(identity: &SectorIdentity, c1: &[u8], implementation: Implementation) -> Result<Vec<u8>, Error> {
    let phase1: SealCommitPhase1Output = load("commit 1", c1)?;
    let (proof, _) = registered(identity.size);
    check_proof("commit 1", phase1.registered_proof, proof)?;
    // A truncated parameter file makes bellperson panic, half-way through.
    check_installed(&params_dir()?, Circuit::PoRep, identity.size)?;
    let &SectorIdentity {
        prover_id,
        sector,
        size,
    } = identity;
    if let Some(kernel) = implementation.snark_kernel(size) {
        return own_commit2(kernel, identity, phase1).map(|(proof, _)| proof);
    }
    let output = guarded("commit 2", || {
        seal::seal_commit_phase2(phase1, prover_id, SectorId::from(sector))
    })?;
    Ok(output.proof)
}

/// [`commit2`] by the own code, with what each partition's proof took: to be held against what the processor could do.
///
/// # Errors
/// Those of [`commit2`].
pub fn commit2_reported(identity: &SectorIdentity, c1: &[u8], kernel: Kernel) -> Result<(Vec<u8>, Vec<Report>), Error> {
    check_installed(&params_dir()?, Circuit::PoRep, identity.size)?;
    own_commit2(kernel, identity, load("commit 1", c1)?)
}

fn own_commit2(
    kernel: Kernel,
    identity: &SectorIdentity,
    phase1: SealCommitPhase1Output,
) -> Result<(Vec<u8>, Vec<Report>), Error> {
    let &SectorIdentity {
        prover_id,
        sector,
        size,
    } = identity;
    prove_seal(kernel, size, phase1, prover_id, sector).map_err(|Refusal(reason)| Error::Refused {
        step: "commit 2",
        reason,
    })
}

/// Deletes the layers and trees that only sealing needs (43 MB of an 8 MiB sector), once the commit is
/// final. Proofs-of-spacetime and unsealing still work; `commit1` no longer does.
///
/// # Errors
/// [`Error::Busy`] while a proof reads the sector, [`Error::Proofs`].
pub fn clear_cache(files: &SectorFiles) -> Result<(), Error> {
    let _lock = files.lock_exclusive()?;
    guarded("clearing the cache", || seal::clear_cache(&files.cache()))
}

/// CommC from the auxiliary file that pre-commit 2 leaves: CommC, then the replica tree's root.
fn comm_c(files: &SectorFiles) -> Result<[u8; 32], Error> {
    let path = files.cache().join("p_aux");
    let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
    match bytes.first_chunk::<32>() {
        Some(comm_c) if bytes.len() == 64 => Ok(*comm_c),
        _ => Err(Error::InconsistentReplica {
            dir: files.dir.clone(),
            reason: format!("p_aux has {} bytes instead of 64", bytes.len()),
        }),
    }
}

fn check_proof(step: &'static str, found: RegisteredSealProof, expected: RegisteredSealProof) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    Err(Error::DamagedOutput {
        step,
        reason: format!("it is for {found:?}, the sector is for {expected:?}"),
    })
}

fn save(step: &'static str, output: &impl Serialize) -> Result<Vec<u8>, Error> {
    guarded(step, || serde_json::to_vec(output))
}

fn load<T: DeserializeOwned>(step: &'static str, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::DamagedOutput {
        step,
        reason: error.to_string(),
    })
}
