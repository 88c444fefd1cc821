//! A sector of random layers and data, and filecoin-proofs' own pre-commit 2 of it: for the tests and for the bench.
#![allow(clippy::unwrap_used)] // What tests share: what goes wrong fails the test.
#![allow(dead_code)] // Each of them takes a part.

use filecoin_proofs::constants::DefaultPieceHasher;
use filecoin_proofs::{MerkleTreeTrait, PoRepConfig, SealPreCommitPhase1Output};
use memmap2::MmapOptions;
use merkletree::store::{DiskStore, Store, StoreConfig};
use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use sealdrop_poseidon::Kernel;
use sealdrop_stacked::pre_commit2::{pre_commit2, Commitments, Error, Layout, Sector};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use storage_proofs_core::{api_version::ApiVersion, merkle::BinaryMerkleTree, proof::ProofScheme};
use storage_proofs_porep::stacked::{Challenges, Labels, SetupParams, StackedDrg};
use tempfile::TempDir;

pub const NODE: usize = 32;
pub const KERNELS: [Kernel; 2] = [Kernel::Ifma, Kernel::Portable];
pub const COMM_D: [u8; NODE] = [7; NODE];

/// A sector's folder as pre-commit 1 leaves it.
pub struct Sealing {
    pub dir: TempDir,
    pub layout: Layout,
}

impl Sealing {
    pub fn new(layout: Layout) -> Self {
        let dir = TempDir::new().unwrap();
        let sealing = Self { dir, layout };
        fs::create_dir(sealing.cache()).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(layout.nodes() as u64);
        for layer in 1..=layout.layers() {
            fs::write(sealing.layer(layer), random_nodes(&mut rng, layout.nodes())).unwrap();
        }
        let data = random_nodes(&mut rng, layout.nodes());
        fs::write(sealing.unsealed(), &data).unwrap();
        // Neither side reads the rows between.
        let file = fs::File::create(sealing.tree_d()).unwrap();
        let length = (2 * layout.nodes() - 1) * NODE;
        file.set_len(length as u64).unwrap();
        file.write_all_at(&data, 0).unwrap();
        file.write_all_at(&COMM_D, (length - NODE) as u64).unwrap();
        sealing
    }

    pub fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }
    pub fn unsealed(&self) -> PathBuf {
        self.dir.path().join("unsealed")
    }
    pub fn sealed(&self) -> PathBuf {
        self.dir.path().join("sealed")
    }
    pub fn layer(&self, layer: usize) -> PathBuf {
        self.cache().join(format!("sc-02-data-layer-{layer}.dat"))
    }
    pub fn tree_d(&self) -> PathBuf {
        self.cache().join("sc-02-data-tree-d.dat")
    }

    pub fn run(&self, kernel: Kernel) -> Result<Commitments, Error> {
        self.run_with(kernel, &AtomicBool::new(false), &|_, _| {})
    }

    pub fn run_with(
        &self,
        kernel: Kernel,
        stop: &AtomicBool,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Commitments, Error> {
        let (cache, unsealed, sealed) = (self.cache(), self.unsealed(), self.sealed());
        let (cache, unsealed, sealed) = (cache.as_path(), unsealed.as_path(), sealed.as_path());
        let sector = Sector {
            layout: self.layout,
            cache,
            unsealed,
            sealed,
            comm_d: COMM_D,
        };
        pre_commit2(&sector, kernel, stop, progress)
    }

    /// Names and contents of everything but the inputs, which are then removed.
    pub fn take_outputs(&self) -> Vec<(String, Vec<u8>)> {
        let mut outputs = vec![("sealed".to_owned(), fs::read(self.sealed()).unwrap())];
        for entry in fs::read_dir(self.cache()).unwrap() {
            let path = entry.unwrap().path();
            if !is_input(&path) {
                outputs.push((name(&path).to_owned(), fs::read(&path).unwrap()));
            }
        }
        self.remove_outputs();
        outputs.sort();
        outputs
    }

    pub fn remove_outputs(&self) {
        fs::remove_file(self.sealed()).unwrap();
        for entry in fs::read_dir(self.cache()).unwrap() {
            let path = entry.unwrap().path();
            if !is_input(&path) {
                fs::remove_file(path).unwrap();
            }
        }
    }

    /// Changes some bytes of a file.
    pub fn change(path: &Path, offset: u64, bytes: &[u8]) {
        OpenOptions::new()
            .write(true)
            .open(path)
            .unwrap()
            .write_all_at(bytes, offset)
            .unwrap();
    }

    pub fn is_whole(&self) -> bool {
        self.cache().join("p_aux").exists()
    }

    fn phase1<Tree: MerkleTreeTrait + 'static>(&self) -> SealPreCommitPhase1Output<Tree> {
        let nodes = self.layout.nodes();
        let store = |id: String, size| StoreConfig {
            path: self.cache(),
            id,
            size: Some(size),
            rows_to_discard: 0,
        };
        let labels = (1..=self.layout.layers())
            .map(|layer| store(format!("layer-{layer}"), nodes))
            .collect();
        let config = store("tree-d".to_owned(), 2 * nodes - 1);
        SealPreCommitPhase1Output {
            labels: Labels::new(labels),
            config,
            comm_d: COMM_D,
        }
    }

    /// filecoin-proofs' own, through its front door; returns CommR.
    pub fn run_library<Tree: MerkleTreeTrait + 'static>(&self) -> [u8; NODE] {
        fs::copy(self.unsealed(), self.sealed()).unwrap();
        let config = PoRepConfig::new_groth16(self.layout.bytes(), [5; NODE], ApiVersion::V1_1_0);
        let output =
            filecoin_proofs::seal_pre_commit_phase2(&config, self.phase1::<Tree>(), self.cache(), self.sealed());
        output.unwrap().comm_r
    }

    /// The same behind the door, where any number of nodes and layers is allowed.
    pub fn run_library_inside<Tree: MerkleTreeTrait + 'static>(&self) -> [u8; NODE] {
        type Drg<'a, Tree> = StackedDrg<'a, Tree, DefaultPieceHasher>;
        fs::copy(self.unsealed(), self.sealed()).unwrap();
        let parameters = Drg::<Tree>::setup(&SetupParams {
            nodes: self.layout.nodes(),
            degree: 6,
            expansion_degree: 8,
            porep_id: [5; NODE],
            challenges: Challenges::new_interactive(2),
            num_layers: self.layout.layers(),
            api_version: ApiVersion::V1_1_0,
            api_features: vec![],
        });
        let phase1 = self.phase1::<Tree>();
        let replica = OpenOptions::new().read(true).write(true).open(self.sealed()).unwrap();
        // SAFETY: nobody else has the file.
        let data = unsafe { MmapOptions::new().map_mut(&replica).unwrap() };
        let store = DiskStore::new_from_disk(2 * self.layout.nodes() - 1, 2, &phase1.config).unwrap();
        let data_tree = BinaryMerkleTree::<DefaultPieceHasher>::from_data_store(store, self.layout.nodes()).unwrap();
        let (tau, (p_aux, t_aux)) = Drg::<Tree>::replicate_phase2(
            &parameters.unwrap(),
            phase1.labels,
            (data, self.sealed()).into(),
            Some(data_tree),
            self.cache(),
            self.sealed(),
        )
        .unwrap();
        fs::write(self.cache().join("p_aux"), bincode::serialize(&p_aux).unwrap()).unwrap();
        fs::write(self.cache().join("t_aux"), bincode::serialize(&t_aux).unwrap()).unwrap();
        let comm_r: blstrs::Scalar = tau.comm_r.into();
        comm_r.to_bytes_le()
    }

    /// Both kernels' files and commitments equal the library's.
    pub fn compare(&self, library: impl Fn(&Self) -> [u8; NODE]) {
        let comm_r = library(self);
        let expected = self.take_outputs();
        for kernel in KERNELS {
            let commitments = self.run(kernel).unwrap();
            assert_eq!(commitments.comm_r, comm_r, "{kernel:?}");
            let found = self.take_outputs();
            assert_eq!(names(&found), names(&expected), "{kernel:?}");
            for ((name, found), (_, expected)) in found.iter().zip(&expected) {
                assert!(found == expected, "{kernel:?}: {name} differs");
            }
            let p_aux = &found.iter().find(|(name, _)| name == "p_aux").unwrap().1;
            assert_eq!(*p_aux, [commitments.comm_c, commitments.comm_r_last].concat());
        }
    }
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn is_input(path: &Path) -> bool {
    name(path).contains("layer-") || name(path).contains("tree-d")
}

fn names(outputs: &[(String, Vec<u8>)]) -> Vec<&str> {
    outputs.iter().map(|(name, _)| name.as_str()).collect()
}

/// Nodes of 254 bits.
fn random_nodes(rng: &mut ChaCha8Rng, count: usize) -> Vec<u8> {
    let mut nodes = vec![0; count * NODE];
    rng.fill_bytes(&mut nodes);
    nodes.chunks_mut(NODE).for_each(|node| node[NODE - 1] &= 0x3f);
    nodes
}
