//! FAKE proofs for the daemon that is killed: files and outputs as real sealing has them, tags instead of proofs.

use sealdrop::daemon::parameters::Source;
use sealdrop::daemon::{DaemonConfig, DaemonError, Proofs};
use sealdrop_miner::data_dir::DataDir;
use sealdrop_miner::prover::{Commitments, Cost, Engine, Implementation, ProverError, Resuming, Step};
use sealdrop_miner::staging::Staging;
use shared::chain::keys::blake2b256;
use shared::chain::verifier::Verifier;
use shared::piece::{Commitment, SectorLayout, SectorSize};
use shared::ports::verifier::{FakeVerifier, SealClaim, WindowPoStClaim};
use shared::sector::{Sealed, Sector};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The variable that names the milliseconds which a partition of a proof-of-spacetime takes; none where it is not set.
pub const WINDOW_MS: &str = "SEALDROP_FAKE_WINDOW_MS";

/// See the module.
pub struct FakeProofs;

impl Proofs for FakeProofs {
    fn prepare(&self, _: &DaemonConfig, _: &DataDir) -> Result<(), DaemonError> {
        eprintln!("FAKE proofs: this daemon is for tests, and its chain takes any forged proof");
        Ok(())
    }

    fn prepare_worker(&self, _: &Path, _: SectorSize, _: Source) -> Result<(), DaemonError> {
        eprintln!("FAKE proofs: this worker is for tests");
        Ok(())
    }

    fn engine(&self, prover_id: [u8; 32], size: SectorSize, sectors: PathBuf) -> Result<Arc<dyn Engine>, DaemonError> {
        Ok(Arc::new(Resuming(FakeEngine {
            prover_id,
            size,
            dir: sectors,
            window: std::env::var(WINDOW_MS)
                .ok()
                .and_then(|ms| ms.parse().ok())
                .map(Duration::from_millis),
        })))
    }

    fn verifier(&self, _: &DaemonConfig) -> Verifier {
        Arc::new(FakeVerifier::default())
    }

    fn verifying_keys(&self, _: &DaemonConfig) -> String {
        "fake".to_owned()
    }
}

struct FakeEngine {
    prover_id: [u8; 32],
    size: SectorSize,
    dir: PathBuf,
    /// What a partition of a proof-of-spacetime takes.
    window: Option<Duration>,
}

fn failed(step: Step) -> impl Fn(std::io::Error) -> ProverError {
    move |source| ProverError::Output {
        action: "do a step on files of",
        path: step.to_string().into(),
        source,
    }
}

fn check(step: Step, holds: bool, reason: &str) -> Result<(), ProverError> {
    match holds {
        true => Ok(()),
        false => Err(failed(step)(std::io::Error::other(reason.to_owned()))),
    }
}

impl FakeEngine {
    fn file(&self, sector: u64, name: &str) -> PathBuf {
        self.dir(sector).join(name)
    }

    /// What a phase leaves is on the disk before its output is kept, as with the real prover.
    fn sync(&self, sector: u64, names: &[&str]) -> std::io::Result<()> {
        let mut files = names.iter().map(|name| self.file(sector, name));
        files.try_for_each(|path| File::open(path)?.sync_all())
    }

    /// Stands for the labels: another for each ticket.
    fn labels(ticket: [u8; 32]) -> Vec<u8> {
        ticket.repeat(64)
    }

    fn commitments(&self, sector: &Sector, ticket: [u8; 32]) -> Commitments {
        let comm_d = sector.layout().as_ref().map(SectorLayout::comm_d);
        let hash = |what: &[u8]| {
            let id = sector.id.to_be_bytes();
            Commitment(blake2b256(&[what, ticket.as_slice(), id.as_slice()].concat()))
        };
        Commitments {
            comm_d: comm_d.expect("the pieces fit: the machine packed them"),
            comm_r: hash(b"replica"),
            comm_c: hash(b"layers"),
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
        Ok(vec!["unsealed".into(), "cache/layer-1".into()])
    }

    fn pre_commit2_files(&self, _: &Path) -> Result<Vec<PathBuf>, ProverError> {
        Ok(vec!["sealed".into(), "cache/p_aux".into()])
    }

    fn check_pre_commit(&self, sector: &Sector, ticket: [u8; 32], found: &Commitments) -> Result<(), ProverError> {
        let same = *found == self.commitments(sector, ticket);
        check(Step::Check, same, "the commitments are another replica's")
    }

    fn pre_commit1(&self, sector: &Sector, ticket: [u8; 32], staging: &Staging) -> Result<Vec<u8>, ProverError> {
        let failed = failed(Step::PreCommit1);
        fs::create_dir_all(self.file(sector.id, "cache")).map_err(&failed)?;
        let mut data = Vec::new();
        for piece in &sector.pieces {
            data.extend(fs::read(staging.path(&piece.data_cid)).map_err(&failed)?);
        }
        fs::write(self.file(sector.id, "unsealed"), data).map_err(&failed)?;
        fs::write(self.file(sector.id, "cache/layer-1"), Self::labels(ticket)).map_err(&failed)?;
        let synced = self.sync(sector.id, &["unsealed", "cache/layer-1", "cache", ""]);
        synced.map_err(&failed)?;
        Ok(ticket.to_vec())
    }

    fn pre_commit2(&self, sector: &Sector, ticket: [u8; 32], output: &[u8]) -> Result<Commitments, ProverError> {
        let (step, failed) = (Step::PreCommit2, failed(Step::PreCommit2));
        check(step, output == ticket, "the output of phase 1 is another ticket's")?;
        let labels = fs::read(self.file(sector.id, "cache/layer-1")).map_err(&failed)?;
        check(step, labels == Self::labels(ticket), "the labels are another ticket's")?;
        fs::copy(self.file(sector.id, "unsealed"), self.file(sector.id, "sealed")).map_err(&failed)?;
        fs::write(self.file(sector.id, "cache/p_aux"), ticket).map_err(&failed)?;
        let synced = self.sync(sector.id, &["sealed", "cache/p_aux", "cache", ""]);
        synced.map_err(&failed)?;
        Ok(self.commitments(sector, ticket))
    }

    fn commit1(&self, sector: &Sector, sealed: &Sealed, seed: [u8; 32]) -> Result<Vec<u8>, ProverError> {
        let failed = failed(Step::Commit1);
        let ticket = fs::read(self.file(sector.id, "cache/p_aux")).map_err(&failed)?;
        check(
            Step::Commit1,
            ticket == sealed.ticket,
            "the replica is another ticket's",
        )?;
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

    fn commit2(&self, _: u64, output: &[u8], _: Implementation) -> Result<Vec<u8>, ProverError> {
        Ok(output.to_vec())
    }

    fn clear_cache(&self, sector: u64) -> Result<(), ProverError> {
        match fs::remove_file(self.file(sector, "cache/layer-1")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(Step::Tidy)(error)),
            _ => Ok(()),
        }
    }

    fn window_post(&self, randomness: [u8; 32], sectors: &[(u64, Commitment)]) -> Result<Vec<u8>, ProverError> {
        for (sector, _) in sectors {
            self.check(*sector)?;
        }
        if let Some(each) = self.window {
            std::thread::sleep(each * sectors.len().div_ceil(2) as u32);
        }
        Ok(FakeVerifier::window_post_tag(&WindowPoStClaim {
            sector_size: self.size,
            prover_id: self.prover_id,
            randomness,
            sectors: sectors.to_vec(),
            proof: Vec::new(),
        }))
    }

    fn unseal(&self, sector: &Sector, _: &Sealed, index: usize, out: &mut File) -> Result<(), ProverError> {
        let failed = failed(Step::Unseal);
        let data = fs::read(self.file(sector.id, "sealed")).map_err(&failed)?;
        let before: u64 = sector.pieces[..index].iter().map(|piece| piece.size).sum();
        let piece = &data[before as usize..][..sector.pieces[index].size as usize];
        out.write_all(piece).map_err(&failed)
    }

    fn check(&self, sector: u64) -> Result<(), ProverError> {
        let there = |name: &str| match self.file(sector, name) {
            path if path.is_file() => Ok(()),
            path => Err(ProverError::Missing {
                path,
                source: std::io::ErrorKind::NotFound.into(),
            }),
        };
        ["sealed", "cache/p_aux"].into_iter().try_for_each(there)
    }

    fn remove(&self, sector: u64) -> Result<(), ProverError> {
        match fs::remove_dir_all(self.dir(sector)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(Step::Tidy)(error)),
            _ => Ok(()),
        }
    }

    fn open_in(&self, dir: &Path, _: u64, _: Commitment) -> Result<(), ProverError> {
        let whole = ["sealed", "cache/p_aux"].map(|name| dir.join(name).is_file());
        check(Step::Check, whole == [true; 2], "files are gone")
    }

    fn kept_files(&self, _: &Path) -> Result<Vec<PathBuf>, ProverError> {
        Ok(vec!["cache/p_aux".into(), "sealed".into()])
    }

    fn remove_unsealed(&self, sector: u64) -> Result<(), ProverError> {
        match fs::remove_file(self.file(sector, "unsealed")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(Step::Tidy)(error)),
            _ => Ok(()),
        }
    }

    fn cost(&self, _: Step) -> Cost {
        Cost::LIGHT
    }
}
