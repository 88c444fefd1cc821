//! A sector's data, and pre-commit 1 of it by the own code and by filecoin-proofs.
#![allow(clippy::unwrap_used)] // What tests share: what goes wrong fails the test.
#![allow(dead_code)] // The tests and the example each use a part.

use filecoin_proofs::{seal_pre_commit_phase1, PaddedBytesAmount, PieceInfo, PoRepConfig, SealPreCommitPhase1Output};
use filecoin_proofs::{PoRepProofPartitions, SectorSize};
use sealdrop_stacked::pre_commit1::{pre_commit1, Error, Identity, Options, Output, Sector};
use sealdrop_stacked::pre_commit2::Layout;
use sealdrop_stacked::Sha256Kernel;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::OnceLock;
use storage_proofs_core::api_version::ApiVersion;
use storage_proofs_core::merkle::MerkleTreeTrait;
use storage_proofs_porep::stacked::Labels;
use tempfile::TempDir;

pub const PROVER: [u8; 32] = [3; 32];
pub const SECTOR: u64 = 0x0102_0304_0506;
pub const TICKET: [u8; 32] = [0xf5; 32];

/// One folder of parent caches for this process, since filecoin-proofs reads its setting once. It hashes the files it finds.
pub fn parents() -> &'static Path {
    static PARENTS: OnceLock<PathBuf> = OnceLock::new();
    PARENTS.get_or_init(|| {
        let program = std::env::current_exe().expect("a program");
        let dir = program.with_file_name("pre-commit-1-parents");
        drop(fs::remove_dir_all(&dir));
        std::env::set_var("FIL_PROOFS_PARENT_CACHE", &dir);
        std::env::set_var("FIL_PROOFS_VERIFY_CACHE", "1");
        dir
    })
}

/// Data, and a folder for a cache.
pub struct Sealing {
    dir: TempDir,
    unsealed: PathBuf,
    cache: PathBuf,
    pub identity: Identity,
}

impl Sealing {
    pub fn new(layout: Layout, proof: u8) -> Self {
        Self::numbered(layout, proof, SECTOR)
    }

    pub fn numbered(layout: Layout, proof: u8, sector: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut state = sector;
        let mut data = vec![];
        for _ in 0..layout.nodes() {
            for word in 0..4 {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                let kept = if word == 3 { u64::MAX >> 2 } else { u64::MAX };
                data.extend(((state ^ state >> 29) & kept).to_le_bytes());
            }
        }
        let (unsealed, cache) = (dir.path().join("unsealed"), dir.path().join("cache"));
        fs::write(&unsealed, &data).unwrap();
        let mut porep_id = [0; 32];
        porep_id[0] = proof;
        let identity = Identity {
            layout,
            porep_id,
            prover_id: PROVER,
            sector,
            ticket: TICKET,
            comm_d: root(&data),
        };
        Self {
            dir,
            unsealed,
            cache,
            identity,
        }
    }

    pub fn unsealed(&self) -> &Path {
        &self.unsealed
    }

    pub fn cache(&self) -> &Path {
        &self.cache
    }

    pub fn sector(&self) -> Sector<'_> {
        Sector {
            identity: self.identity,
            unsealed: &self.unsealed,
            cache: &self.cache,
        }
    }

    pub fn run_with(&self, options: &Options<'_>) -> Result<Output, Error> {
        pre_commit1(&self.sector(), options)
    }

    pub fn run(&self, kernel: Sha256Kernel) -> Output {
        with_options(kernel, |options| self.run_with(options)).unwrap()
    }

    /// The cache's files, which are removed.
    pub fn take(&self) -> BTreeMap<String, Vec<u8>> {
        let files = fs::read_dir(self.cache()).unwrap().map(|entry| {
            let entry = entry.unwrap();
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        });
        let files = files.collect();
        self.remove();
        files
    }

    pub fn remove(&self) {
        fs::remove_dir_all(self.cache()).unwrap();
    }

    pub fn porep_config(&self) -> PoRepConfig {
        PoRepConfig {
            sector_size: SectorSize(self.identity.layout.bytes()),
            partitions: PoRepProofPartitions(1),
            porep_id: self.identity.porep_id,
            api_version: ApiVersion::V1_1_0,
            api_features: vec![],
        }
    }

    pub fn run_library<Tree: MerkleTreeTrait + 'static>(&self) -> SealPreCommitPhase1Output<Tree> {
        parents();
        fs::create_dir_all(self.cache()).unwrap();
        let sealed = self.dir.path().join("sealed");
        fs::write(&sealed, []).unwrap();
        let piece = PieceInfo::new(
            self.identity.comm_d,
            PaddedBytesAmount(self.identity.layout.bytes()).into(),
        )
        .unwrap();
        seal_pre_commit_phase1::<_, _, _, Tree>(
            &self.porep_config(),
            self.cache(),
            self.unsealed(),
            sealed,
            PROVER,
            self.identity.sector.into(),
            TICKET,
            &[piece],
        )
        .unwrap()
    }

    /// Both kernels against the library, which reads the parents that the first has made.
    pub fn compare<Tree: MerkleTreeTrait + 'static>(&self) {
        let mut own = vec![];
        for kernel in KERNELS.iter().map(|kernel| kernel()) {
            own.push((self.run(kernel), self.take()));
        }
        let expected = self.run_library::<Tree>();
        let files = self.take();
        for (output, own) in own {
            assert_eq!(files.keys().collect::<Vec<_>>(), own.keys().collect::<Vec<_>>());
            for (name, bytes) in &files {
                assert!(*bytes == own[name], "{name}");
            }
            let output = SealPreCommitPhase1Output::<Tree> {
                labels: Labels::new(output.labels),
                config: output.data_tree,
                comm_d: output.comm_d,
            };
            assert_eq!(format!("{output:?}"), format!("{expected:?}"));
        }
    }
}

pub const KERNELS: [fn() -> Sha256Kernel; 2] = [Sha256Kernel::detected, || Sha256Kernel::PORTABLE];

pub fn with_options<T>(kernel: Sha256Kernel, run: impl FnOnce(&Options<'_>) -> T) -> T {
    run(&Options {
        parents: parents(),
        kernel,
        stop: &AtomicBool::new(false),
        progress: &|_, _| {},
    })
}

pub fn root(data: &[u8]) -> [u8; 32] {
    let mut row: Vec<[u8; 32]> = data.as_chunks().0.to_vec();
    while row.len() > 1 {
        let parents = row.as_chunks().0.iter().map(|[left, right]| {
            let mut parent: [u8; 32] = Sha256::new().chain_update(left).chain_update(right).finalize().into();
            parent[31] &= 0x3f;
            parent
        });
        row = parents.collect();
    }
    row[0]
}
