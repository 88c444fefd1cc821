//! A FAKE prover for tests: its "proofs" are the tags that [`shared::ports::verifier::FakeVerifier`] accepts. It proves
//! nothing about storage; it only keeps the miner's files and steps honest enough to be tested in seconds.

use super::engine::{check_file, remove_dir, Commitments, Engine};
use super::{Cost, ProverError, Step};
use crate::staging::Staging;
use sealdrop_prover::Implementation;
use shared::chain::keys::blake2b256;
use shared::piece::{Commitment, SectorLayout, SectorSize};
use shared::ports::verifier::{FakeVerifier, SealClaim, WindowPoStClaim};
use shared::sector::{Sealed, Sector};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// See the module.
pub(crate) struct FakeEngine {
    pub prover_id: [u8; 32],
    pub size: SectorSize,
    pub dir: PathBuf,
    /// Whether the proofs of the own code do not hold.
    pub refuses_own: bool,
}

impl FakeEngine {
    /// The "replica": its pieces' bytes one after the other. Deleting it makes the sector faulty.
    pub(crate) fn replica(dir: &Path, sector: u64) -> PathBuf {
        dir.join(sector.to_string()).join("sealed")
    }

    fn failed(step: Step) -> impl Fn(std::io::Error) -> ProverError {
        move |source| ProverError::Output {
            action: "do a step on files of",
            path: step.to_string().into(),
            source,
        }
    }
}

impl Engine for FakeEngine {
    fn dir(&self, sector: u64) -> PathBuf {
        self.dir.join(sector.to_string())
    }

    fn prover_id(&self) -> [u8; 32] {
        self.prover_id
    }

    fn pre_commit1_files(&self, _: &Path) -> Result<Vec<PathBuf>, ProverError> {
        Ok(vec!["sealed".into()])
    }

    fn pre_commit2_files(&self, _: &Path) -> Result<Vec<PathBuf>, ProverError> {
        Ok(vec!["sealed".into()])
    }

    fn check_pre_commit(&self, _: &Sector, _: [u8; 32], _: &Commitments) -> Result<(), ProverError> {
        Ok(())
    }

    fn pre_commit1(&self, sector: &Sector, ticket: [u8; 32], staging: &Staging) -> Result<Vec<u8>, ProverError> {
        let failed = Self::failed(Step::PreCommit1);
        let path = Self::replica(&self.dir, sector.id);
        fs::create_dir_all(path.parent().unwrap_or(&self.dir)).map_err(&failed)?;
        let mut data = Vec::new();
        for piece in &sector.pieces {
            data.extend(fs::read(staging.path(&piece.data_cid)).map_err(&failed)?);
        }
        // So that damage to the replica can be seen.
        fs::write(path.with_file_name("p_aux"), blake2b256(&data)).map_err(&failed)?;
        fs::write(path, data).map_err(&failed)?;
        Ok(ticket.to_vec())
    }

    fn pre_commit2(&self, sector: &Sector, ticket: [u8; 32], output: &[u8]) -> Result<Commitments, ProverError> {
        assert_eq!(output, ticket, "the output of phase 1 reaches phase 2");
        let comm_d = sector.layout().as_ref().map(SectorLayout::comm_d);
        let hash = |what: &[u8]| {
            let id = sector.id.to_be_bytes();
            Commitment(blake2b256(&[what, ticket.as_slice(), id.as_slice()].concat()))
        };
        Ok(Commitments {
            comm_d: comm_d.expect("the pieces fit: the machine packed them"),
            comm_r: hash(b"replica"),
            comm_c: hash(b"layers"),
        })
    }

    fn commit1(&self, sector: &Sector, sealed: &Sealed, seed: [u8; 32]) -> Result<Vec<u8>, ProverError> {
        Ok(FakeVerifier::seal_tag(&SealClaim {
            sector_size: self.size,
            comm_r: sealed.comm_r,
            comm_d: sealed.comm_d,
            prover_id: self.prover_id,
            sector: sector.id,
            ticket: sealed.ticket,
            seed,
            proof: Vec::new(),
        }))
    }

    fn commit2(&self, _: u64, output: &[u8], by: Implementation) -> Result<Vec<u8>, ProverError> {
        if self.refuses_own && by != Implementation::Library {
            return Err(ProverError::Step(sealdrop_prover::Error::Refused {
                step: Step::Commit2.name(),
                reason: "it does not hold".into(),
            }));
        }
        Ok(output.to_vec())
    }

    fn clear_cache(&self, _: u64) -> Result<(), ProverError> {
        Ok(())
    }

    fn window_post(&self, randomness: [u8; 32], sectors: &[(u64, Commitment)]) -> Result<Vec<u8>, ProverError> {
        let gone = |(id, _): &&(u64, Commitment)| !Self::replica(&self.dir, *id).is_file();
        let faulty: Vec<u64> = sectors.iter().filter(gone).map(|(id, _)| *id).collect();
        if !faulty.is_empty() {
            return Err(ProverError::Step(sealdrop_prover::Error::FaultySectors {
                sectors: faulty,
                reason: "the replica is gone".into(),
            }));
        }
        Ok(FakeVerifier::window_post_tag(&WindowPoStClaim {
            sector_size: self.size,
            prover_id: self.prover_id,
            randomness,
            sectors: sectors.to_vec(),
            proof: Vec::new(),
        }))
    }

    fn unseal(&self, sector: &Sector, _: &Sealed, index: usize, out: &mut fs::File) -> Result<(), ProverError> {
        let failed = Self::failed(Step::Unseal);
        let data = fs::read(Self::replica(&self.dir, sector.id)).map_err(&failed)?;
        let before: u64 = sector.pieces[..index].iter().map(|piece| piece.size).sum();
        let piece = &data[before as usize..][..sector.pieces[index].size as usize];
        out.write_all(piece).map_err(&failed)
    }

    fn check(&self, sector: u64) -> Result<(), ProverError> {
        check_file(Self::replica(&self.dir, sector), None)
    }

    fn open_in(&self, dir: &Path, _: u64, _: Commitment) -> Result<(), ProverError> {
        let path = dir.join("sealed");
        check_file(path.clone(), None)?;
        let missing = |source| ProverError::Missing {
            path: path.clone(),
            source,
        };
        let data = fs::read(&path).map_err(missing)?;
        let expected = fs::read(path.with_file_name("p_aux")).map_err(missing)?;
        match blake2b256(&data)[..] == expected[..] {
            true => Ok(()),
            false => Err(ProverError::Step(sealdrop_prover::Error::Proofs {
                step: "opening a sector",
                reason: "the replica is damaged".into(),
            })),
        }
    }

    fn kept_files(&self, _: &Path) -> Result<Vec<PathBuf>, ProverError> {
        Ok(vec!["p_aux".into(), "sealed".into()])
    }

    fn remove_unsealed(&self, _: u64) -> Result<(), ProverError> {
        Ok(())
    }

    fn cost(&self, step: Step) -> Cost {
        match step {
            Step::Check | Step::Tidy | Step::Scrub => Cost::LIGHT,
            _ => Cost {
                memory: 16 << 20,
                threads: 1,
            },
        }
    }

    fn remove(&self, sector: u64) -> Result<(), ProverError> {
        remove_dir(self.dir.join(sector.to_string()))
    }
}
