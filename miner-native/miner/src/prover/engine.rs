//! What a prover computes, one step a method: real proofs, or [`super::fake`] ones in tests.

use super::outputs::files_in;
use super::{child, Cost, OwnCode, ProverError, Step};
use crate::machine;
use crate::staging::Staging;
use sealdrop_prover::{Error, Implementation, Piece, PreCommit, ProvingSector, SectorFiles, SectorIdentity};
use shared::piece::{padded_for, Commitment, SectorSize};
use shared::ports::verifier::{ProofVerifier, SealClaim, VerifierFault, WindowPoStClaim};
use shared::sector::{Sealed, Sector};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The three commitments of a replica that was just encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commitments {
    pub comm_d: Commitment,
    pub comm_r: Commitment,
    pub comm_c: Commitment,
}

/// The steps of sealing and proving. Each blocks its thread, some for minutes. [`super::Resuming`] makes their outputs
/// survive a crash.
pub trait Engine: Send + Sync + 'static {
    /// The directory of a sector.
    fn dir(&self, sector: u64) -> PathBuf;
    /// Whether and how the own code is used; an engine without any has the default, which nothing reads.
    fn own_code(&self) -> Arc<OwnCode> {
        Arc::default()
    }
    /// Whom proofs are bound to.
    fn prover_id(&self) -> [u8; 32];
    /// What phase 1 gave for exactly this, where it is kept; its files are not read for it.
    fn kept_pre_commit1(&self, _: &Sector, _: [u8; 32]) -> Option<Vec<u8>> {
        None
    }
    /// The same of phase 2.
    fn kept_pre_commit2(&self, _: &Sector, _: [u8; 32]) -> Option<Commitments> {
        None
    }
    /// The files that phase 1 leaves for phase 2, below the sector's directory; all are on the disk.
    fn pre_commit1_files(&self, dir: &Path) -> Result<Vec<PathBuf>, ProverError>;
    /// The files that phase 2 leaves beside them.
    fn pre_commit2_files(&self, dir: &Path) -> Result<Vec<PathBuf>, ProverError>;
    /// Proves a replica to ourselves that was found again: cheap, and before anything of it is published.
    fn check_pre_commit(&self, sector: &Sector, ticket: [u8; 32], commitments: &Commitments)
        -> Result<(), ProverError>;
    /// Lays the staged pieces out and labels the sector's graph; begins from scratch each time.
    fn pre_commit1(&self, sector: &Sector, ticket: [u8; 32], staging: &Staging) -> Result<Vec<u8>, ProverError>;
    /// Encodes the replica, and proves it to ourselves before anything of it is published.
    fn pre_commit2(&self, sector: &Sector, ticket: [u8; 32], output: &[u8]) -> Result<Commitments, ProverError>;
    /// Opens the replica where `seed` challenges it.
    fn commit1(&self, sector: &Sector, sealed: &Sealed, seed: [u8; 32]) -> Result<Vec<u8>, ProverError>;
    /// The zero-knowledge proof. Fails with [`Error::Refused`] when the own code's does not hold.
    fn commit2(&self, sector: u64, output: &[u8], by: Implementation) -> Result<Vec<u8>, ProverError>;
    /// Deletes what only sealing needed.
    fn clear_cache(&self, sector: u64) -> Result<(), ProverError>;
    /// Proves that all these sectors are stored; [`ProverError::faulty`] names those that are not.
    fn window_post(&self, randomness: [u8; 32], sectors: &[(u64, Commitment)]) -> Result<Vec<u8>, ProverError>;
    /// Writes at least the piece's bytes, from its replica.
    fn unseal(&self, sector: &Sector, sealed: &Sealed, index: usize, out: &mut File) -> Result<(), ProverError>;
    /// Whether the files that proofs-of-spacetime need are there and as long as they must be. Reads no content.
    fn check(&self, sector: u64) -> Result<(), ProverError>;
    /// What a proven sector needs, below its directory: all that there is after [`Engine::clear_cache`] but the unsealed data. Fails when not all of it is there.
    fn kept_files(&self, dir: &Path) -> Result<Vec<PathBuf>, ProverError>;
    /// Deletes all that is here of a sector.
    fn remove(&self, sector: u64) -> Result<(), ProverError>;
    /// Really reads: opens the replica at random places, as a proof-of-spacetime does, with all the files that it needs.
    fn open(&self, sector: u64, comm_r: Commitment) -> Result<(), ProverError> {
        self.open_in(&self.dir(sector), sector, comm_r)
    }
    /// The same of files that lie in another directory.
    fn open_in(&self, dir: &Path, sector: u64, comm_r: Commitment) -> Result<(), ProverError>;
    /// Deletes the unsealed data, which only sealing reads; twice is harmless.
    fn remove_unsealed(&self, sector: u64) -> Result<(), ProverError>;
    /// What a step takes of the machine.
    fn cost(&self, step: Step) -> Cost;
}

/// What is in a sector's cache for as long as it is proven: the commitments' parts and the replica tree's description.
const PROVING_FILES: [&str; 2] = ["p_aux", "t_aux"];

/// filecoin-proofs. `sealdrop_prover::init` must have been called.
pub struct RealEngine {
    prover_id: [u8; 32],
    size: sealdrop_prover::SectorSize,
    /// Sector directories are in here, named by number.
    dir: PathBuf,
    own: Arc<OwnCode>,
}

impl RealEngine {
    /// Works for the miner of `prover_id`, in `dir`.
    pub fn new(prover_id: [u8; 32], size: SectorSize, dir: PathBuf) -> Result<Self, ProverError> {
        let size = prover_size(size)?;
        let own = Arc::default();
        Ok(Self {
            prover_id,
            size,
            dir,
            own,
        })
    }

    fn identity(&self, sector: u64) -> SectorIdentity {
        SectorIdentity {
            prover_id: self.prover_id,
            sector,
            size: self.size,
        }
    }

    fn files(&self, sector: u64) -> SectorFiles {
        SectorFiles::new(self.dir.join(sector.to_string()))
    }

    /// Has the own code do a step, and the library when that fails by what may be the own code's fault; says who did it.
    fn with_library_behind<T>(
        &self,
        step: Step,
        run: impl Fn(Implementation) -> Result<T, Error>,
    ) -> Result<(T, Implementation), ProverError> {
        let by = self.own.of_replicas();
        match run(by) {
            Err(error @ (Error::Proofs { .. } | Error::Panicked { .. } | Error::Io { .. }))
                if by != Implementation::Library && !error.is_shortage() =>
            {
                self.own.refused(step, &error.to_string());
                Ok((run(Implementation::Library)?, Implementation::Library))
            }
            done => Ok((done?, by)),
        }
    }
}

impl Engine for RealEngine {
    fn dir(&self, sector: u64) -> PathBuf {
        self.files(sector).dir
    }

    fn own_code(&self) -> Arc<OwnCode> {
        self.own.clone()
    }

    fn prover_id(&self) -> [u8; 32] {
        self.prover_id
    }

    fn pre_commit1_files(&self, dir: &Path) -> Result<Vec<PathBuf>, ProverError> {
        let mut files = files_in(dir, "cache")?;
        files.retain(|path| is_of_phase_1(path));
        files.push("unsealed".into());
        Ok(files)
    }

    fn pre_commit2_files(&self, dir: &Path) -> Result<Vec<PathBuf>, ProverError> {
        let mut files = files_in(dir, "cache")?;
        files.retain(|path| !is_of_phase_1(path));
        files.push("sealed".into());
        Ok(files)
    }

    fn check_pre_commit(
        &self,
        sector: &Sector,
        ticket: [u8; 32],
        commitments: &Commitments,
    ) -> Result<(), ProverError> {
        let (identity, files, pieces) = (self.identity(sector.id), self.files(sector.id), pieces(sector)?);
        let commitments = PreCommit {
            comm_d: commitments.comm_d.0,
            comm_r: commitments.comm_r.0,
            comm_c: commitments.comm_c.0,
        };
        sealdrop_prover::check_pre_commit(&identity, &files, ticket, &commitments, &pieces)?;
        Ok(())
    }

    fn pre_commit1(&self, sector: &Sector, ticket: [u8; 32], staging: &Staging) -> Result<Vec<u8>, ProverError> {
        let (identity, files, pieces) = (self.identity(sector.id), self.files(sector.id), pieces(sector)?);
        let mut open = |index: usize| -> std::io::Result<Box<dyn Read>> {
            let piece = sector.pieces.get(index).ok_or(ErrorKind::NotFound)?;
            Ok(Box::new(File::open(staging.path(&piece.data_cid))?))
        };
        sealdrop_prover::write_unsealed(identity.size, &files, &pieces, &mut open)?;
        let label = |by| sealdrop_prover::pre_commit1(&identity, &files, ticket, &pieces, by);
        let (output, _) = self.with_library_behind(Step::PreCommit1, label)?;
        Ok(output)
    }

    fn pre_commit2(&self, sector: &Sector, ticket: [u8; 32], output: &[u8]) -> Result<Commitments, ProverError> {
        let (identity, files, pieces) = (self.identity(sector.id), self.files(sector.id), pieces(sector)?);
        let encode = |by| sealdrop_prover::pre_commit2(&identity, &files, output, by);
        let (commitments, by) = self.with_library_behind(Step::PreCommit2, encode)?;
        let checked = sealdrop_prover::check_pre_commit(&identity, &files, ticket, &commitments, &pieces);
        if let (Err(error @ Error::InconsistentReplica { .. }), Implementation::Own(_)) = (&checked, by) {
            // Sealed again from phase 1, by the library.
            self.own.distrust_replicas(&error.to_string());
        }
        checked?;
        let PreCommit { comm_d, comm_r, comm_c } = commitments;
        Ok(Commitments {
            comm_d: Commitment(comm_d),
            comm_r: Commitment(comm_r),
            comm_c: Commitment(comm_c),
        })
    }

    fn commit1(&self, sector: &Sector, sealed: &Sealed, seed: [u8; 32]) -> Result<Vec<u8>, ProverError> {
        let (identity, files, pieces) = (self.identity(sector.id), self.files(sector.id), pieces(sector)?);
        let commitments = PreCommit {
            comm_d: sealed.comm_d.0,
            comm_r: sealed.comm_r.0,
            comm_c: sealed.comm_c.0,
        };
        Ok(sealdrop_prover::commit1(
            &identity,
            &files,
            sealed.ticket,
            seed,
            &commitments,
            &pieces,
        )?)
    }

    fn commit2(&self, sector: u64, output: &[u8], by: Implementation) -> Result<Vec<u8>, ProverError> {
        child::commit2(&self.identity(sector), output, by)
    }

    fn clear_cache(&self, sector: u64) -> Result<(), ProverError> {
        Ok(sealdrop_prover::clear_cache(&self.files(sector))?)
    }

    fn window_post(&self, randomness: [u8; 32], sectors: &[(u64, Commitment)]) -> Result<Vec<u8>, ProverError> {
        let sectors: Vec<ProvingSector> = sectors
            .iter()
            .map(|(sector, comm_r)| ProvingSector {
                sector: *sector,
                comm_r: comm_r.0,
                files: self.files(*sector),
            })
            .collect();
        let by = self.own.of_proofs();
        let window = sealdrop_prover::window_post(self.prover_id, self.size, randomness, &sectors, by)?;
        match (&window.refused, by) {
            (Some(refusal), _) => self.own.refused(Step::WindowPost, &refusal.0),
            (None, Implementation::Own(_)) => self.own.proved(),
            (None, Implementation::Library) => {}
        }
        Ok(window.proof)
    }

    fn unseal(&self, sector: &Sector, sealed: &Sealed, index: usize, out: &mut File) -> Result<(), ProverError> {
        let (identity, files, pieces) = (self.identity(sector.id), self.files(sector.id), pieces(sector)?);
        let by = self.own.of_replicas();
        sealdrop_prover::unseal_piece(
            &identity,
            &files,
            sealed.ticket,
            sealed.comm_d.0,
            &pieces,
            index,
            out,
            by,
        )?;
        Ok(())
    }

    fn check(&self, sector: u64) -> Result<(), ProverError> {
        let files = self.files(sector);
        let aux = PROVING_FILES.map(|name| (files.cache().join(name), None));
        let sealed = [(files.sealed(), Some(self.size.bytes()))];
        aux.into_iter()
            .chain(sealed)
            .try_for_each(|(path, length)| check_file(path, length))
    }

    fn kept_files(&self, dir: &Path) -> Result<Vec<PathBuf>, ProverError> {
        let mut files = files_in(dir, "cache")?;
        files.retain(|path| is_of_proving(path));
        let needed = PROVING_FILES.len() + trees(self.size.bytes());
        if files.len() != needed {
            return Err(ProverError::Missing {
                path: dir.join("cache"),
                source: std::io::Error::new(
                    ErrorKind::NotFound,
                    format!("{} of the {needed} files are there that proofs need", files.len()),
                ),
            });
        }
        files.push("sealed".into());
        files.iter().try_for_each(|path| check_file(dir.join(path), None))?;
        Ok(files)
    }

    fn remove(&self, sector: u64) -> Result<(), ProverError> {
        remove_dir(self.files(sector).dir)
    }

    fn open_in(&self, dir: &Path, sector: u64, comm_r: Commitment) -> Result<(), ProverError> {
        Ok(sealdrop_prover::open_sector(
            self.prover_id,
            self.size,
            &ProvingSector {
                sector,
                comm_r: comm_r.0,
                files: SectorFiles::new(dir),
            },
        )?)
    }

    fn remove_unsealed(&self, sector: u64) -> Result<(), ProverError> {
        Ok(sealdrop_prover::remove_unsealed(&self.files(sector))?)
    }

    fn cost(&self, step: Step) -> Cost {
        let size = SectorSize::ALL
            .into_iter()
            .find(|size| size.bytes() == self.size.bytes());
        size.map_or(Cost::LIGHT, |size| Cost::of(step, size, machine::cores()))
    }
}

/// The label layers and the data's tree: what phase 2 reads.
fn is_of_phase_1(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.contains("layer-") || name.contains("tree-d")
}

/// In how many files the replica tree's rows lie: sectors from 32 GiB on have a tree for each eighth, or sixteenth.
fn trees(sector: u64) -> usize {
    const GIB: u64 = 1 << 30;
    match sector {
        size if size >= 64 * GIB => 16,
        size if size >= 32 * GIB => 8,
        _ => 1,
    }
}

/// What opening the replica reads beside it.
fn is_of_proving(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    PROVING_FILES.iter().any(|file| *file == name) || name.contains("tree-r-last")
}

/// Checks that a file is there, and has this length if one is given.
pub(super) fn check_file(path: PathBuf, length: Option<u64>) -> Result<(), ProverError> {
    let found = std::fs::metadata(&path).map(|metadata| metadata.len());
    match (found, length) {
        (Ok(found), Some(expected)) if found != expected => Err(ProverError::Length { path, found, expected }),
        (Ok(_), _) => Ok(()),
        (Err(source), _) => Err(ProverError::Missing { path, source }),
    }
}

/// Removes a directory; one that is not there is as good.
pub(super) fn remove_dir(dir: PathBuf) -> Result<(), ProverError> {
    match std::fs::remove_dir_all(&dir) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(ProverError::Remove { dir, source }),
        _ => Ok(()),
    }
}

fn pieces(sector: &Sector) -> Result<Vec<Piece>, ProverError> {
    let piece = |piece: &shared::sector::SectorPiece| {
        Ok(Piece {
            padded_size: padded_for(piece.size)?.bytes(),
            comm_p: piece.comm_p.0,
        })
    };
    sector.pieces.iter().map(piece).collect()
}

/// The prover's name for a sector size.
pub fn prover_size(size: SectorSize) -> Result<sealdrop_prover::SectorSize, ProverError> {
    sealdrop_prover::SectorSize::from_bytes(size.bytes()).ok_or(ProverError::UnknownSize { sector: size })
}

/// Verifies proofs with filecoin-proofs; the chain's [`ProofVerifier`].
#[derive(Debug, Clone, Copy, Default)]
pub struct RealVerifier;

impl ProofVerifier for RealVerifier {
    fn verify_seal(&self, claim: &SealClaim) -> Result<bool, VerifierFault> {
        let size = prover_size(claim.sector_size).map_err(fault)?;
        let verdict = sealdrop_prover::verify_seal(
            size,
            claim.comm_r.0,
            claim.comm_d.0,
            claim.prover_id,
            claim.sector,
            claim.ticket,
            claim.seed,
            &claim.proof,
        );
        verdict.map_err(fault)
    }

    fn verify_window_post(&self, claim: &WindowPoStClaim) -> Result<bool, VerifierFault> {
        let size = prover_size(claim.sector_size).map_err(fault)?;
        let sectors: Vec<(u64, [u8; 32])> = claim.sectors.iter().map(|(id, comm_r)| (*id, comm_r.0)).collect();
        let verdict =
            sealdrop_prover::verify_window_post(size, claim.randomness, claim.prover_id, &sectors, &claim.proof);
        verdict.map_err(fault)
    }
}

fn fault(error: impl std::fmt::Display) -> VerifierFault {
    VerifierFault {
        reason: error.to_string(),
    }
}
