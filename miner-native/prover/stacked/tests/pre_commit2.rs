//! Pre-commit 2 against filecoin-proofs' own, file by file, on sectors of random layers: real shapes, few nodes.

use filecoin_proofs::constants::{
    DefaultPieceHasher, SectorShape2KiB, SectorShape32GiB, SectorShape64GiB, SectorShape8MiB, SectorShapeSub2,
};
use filecoin_proofs::{MerkleTreeTrait, PoRepConfig, SealPreCommitPhase1Output};
use memmap2::MmapOptions;
use merkletree::store::{DiskStore, Store, StoreConfig};
use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use sealdrop_poseidon::Kernel;
use sealdrop_stacked::pre_commit2::{pre_commit2, Commitments, Error, Layout, Sector, Shape};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use storage_proofs_core::{api_version::ApiVersion, merkle::BinaryMerkleTree, proof::ProofScheme};
use storage_proofs_porep::stacked::{Challenges, Labels, SetupParams, StackedDrg};
use tempfile::TempDir;

const NODE: usize = 32;
const KERNELS: [Kernel; 2] = [Kernel::Ifma, Kernel::Portable];
const COMM_D: [u8; NODE] = [7; NODE];

/// A sector's folder as pre-commit 1 leaves it.
struct Sealing {
    dir: TempDir,
    layout: Layout,
}

impl Sealing {
    fn new(layout: Layout) -> Self {
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

    fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }
    fn unsealed(&self) -> PathBuf {
        self.dir.path().join("unsealed")
    }
    fn sealed(&self) -> PathBuf {
        self.dir.path().join("sealed")
    }
    fn layer(&self, layer: usize) -> PathBuf {
        self.cache().join(format!("sc-02-data-layer-{layer}.dat"))
    }
    fn tree_d(&self) -> PathBuf {
        self.cache().join("sc-02-data-tree-d.dat")
    }

    fn run(&self, kernel: Kernel) -> Result<Commitments, Error> {
        self.run_with(kernel, &AtomicBool::new(false), &|_, _| {})
    }

    fn run_with(
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
    fn take_outputs(&self) -> Vec<(String, Vec<u8>)> {
        let mut outputs = vec![("sealed".to_owned(), fs::read(self.sealed()).unwrap())];
        fs::remove_file(self.sealed()).unwrap();
        for entry in fs::read_dir(self.cache()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if !name.contains("layer-") && !name.contains("tree-d") {
                outputs.push((name, fs::read(&path).unwrap()));
                fs::remove_file(path).unwrap();
            }
        }
        outputs.sort();
        outputs
    }

    /// Changes some bytes of a file.
    fn change(path: &Path, offset: u64, bytes: &[u8]) {
        OpenOptions::new()
            .write(true)
            .open(path)
            .unwrap()
            .write_all_at(bytes, offset)
            .unwrap();
    }

    fn is_whole(&self) -> bool {
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
    fn run_library<Tree: MerkleTreeTrait + 'static>(&self) -> [u8; NODE] {
        fs::copy(self.unsealed(), self.sealed()).unwrap();
        let config = PoRepConfig::new_groth16(self.layout.bytes(), [5; NODE], ApiVersion::V1_1_0);
        let output =
            filecoin_proofs::seal_pre_commit_phase2(&config, self.phase1::<Tree>(), self.cache(), self.sealed());
        output.unwrap().comm_r
    }

    /// The same behind the door, where any number of nodes and layers is allowed.
    fn run_library_inside<Tree: MerkleTreeTrait + 'static>(&self) -> [u8; NODE] {
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
    fn compare(&self, library: impl Fn(&Self) -> [u8; NODE]) {
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

/// A sector of 2 KiB.
fn small() -> Sealing {
    Sealing::new(Layout::of_sector(2 << 10).unwrap())
}

/// One of 32 768 nodes: four jobs.
fn middling() -> Sealing {
    Sealing::new(Layout::new(1 << 15, 2, Shape::Base, 2).unwrap())
}

#[test]
fn a_sector_of_2_kib_has_the_librarys_files() {
    small().compare(Sealing::run_library::<SectorShape2KiB>);
}

#[test]
fn a_sector_of_8_mib_has_the_librarys_files() {
    Sealing::new(Layout::of_sector(8 << 20).unwrap()).compare(Sealing::run_library::<SectorShape8MiB>);
}

/// By hand: seven minutes of the library's, and 3 GB of disk.
#[test]
#[ignore = "takes minutes"]
fn a_sector_of_512_mib_has_the_librarys_files() {
    Sealing::new(Layout::of_sector(512 << 20).unwrap()).compare(Sealing::run_library::<SectorShape8MiB>);
}

#[test]
fn a_sector_shaped_like_32_gib_has_the_librarys_files() {
    for leaves in [64, 512] {
        let rows_to_discard = if leaves == 64 { 1 } else { 2 };
        let layout = Layout::new(8 * leaves, 11, Shape::Sub8, rows_to_discard).unwrap();
        Sealing::new(layout).compare(Sealing::run_library_inside::<SectorShape32GiB>);
    }
}

#[test]
fn a_sector_shaped_like_64_gib_has_the_librarys_files() {
    for leaves in [64, 512] {
        let rows_to_discard = if leaves == 64 { 1 } else { 2 };
        let layout = Layout::new(16 * leaves, 11, Shape::Top2, rows_to_discard).unwrap();
        Sealing::new(layout).compare(Sealing::run_library_inside::<SectorShape64GiB>);
    }
}

/// Several base trees of several jobs each.
#[test]
fn a_sector_shaped_like_1_gib_has_the_librarys_files() {
    let layout = Layout::new(2 << 15, 2, Shape::Sub2, 2).unwrap();
    Sealing::new(layout).compare(Sealing::run_library_inside::<SectorShapeSub2>);
}

#[test]
fn any_number_of_threads_writes_the_same_files() {
    let sealing = middling();
    let expected = (sealing.run(Kernel::best()).unwrap(), sealing.take_outputs());
    for threads in [1, 2, 3, 7] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let commitments = pool.install(|| sealing.run(Kernel::best())).unwrap();
        assert!((commitments, sealing.take_outputs()) == expected, "{threads} threads");
    }
}

#[test]
fn progress_goes_from_nothing_to_everything_and_never_back() {
    let told = std::sync::Mutex::new(vec![]);
    middling()
        .run_with(Kernel::best(), &AtomicBool::new(false), &|done, total| {
            told.lock().unwrap().push((done, total))
        })
        .unwrap();
    let told = told.into_inner().unwrap();
    let total = told[0].1;
    assert!(told.iter().all(|(_, of)| *of == total));
    assert!(told.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert_eq!((told[0].0, told.last().unwrap().0), (0, total));
}

/// Stopped in either tree: nothing says that the files are whole, and the next run makes the files of an undisturbed one.
#[test]
fn a_run_that_was_cut_off_is_not_taken_for_whole_and_the_next_one_is_right() {
    let sealing = middling();
    let expected = (sealing.run(Kernel::best()).unwrap(), sealing.take_outputs());
    for tenths in [0, 3, 9] {
        let stop = AtomicBool::new(false);
        let stopped = sealing.run_with(Kernel::best(), &stop, &|done, total| {
            if 10 * done >= tenths * total {
                stop.store(true, Ordering::Relaxed);
            }
        });
        assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
        assert!(!sealing.is_whole());
        let commitments = sealing.run(Kernel::best()).unwrap();
        assert!(
            (commitments, sealing.take_outputs()) == expected,
            "cut off at {tenths}/10"
        );
    }
}

/// Trap 1 of filecoin-proofs: it encodes the replica in place, so a second run's CommR is wrong without an error.
#[test]
fn a_second_run_gives_the_same_and_removes_what_it_finds() {
    let sealing = middling();
    let expected = sealing.run(Kernel::best()).unwrap();
    let stale = ["sc-02-data-tree-c-3.dat", "sc-02-data-tree-r-last-15.dat", "t_aux.tmp"]
        .map(|name| sealing.cache().join(name));
    for path in &stale {
        fs::write(path, "stale").unwrap();
    }
    fs::write(sealing.cache().join("sc-02-data-tree-c.dat"), "longer".repeat(1 << 20)).unwrap();
    fs::write(sealing.sealed(), "shorter").unwrap();
    assert_eq!(sealing.run(Kernel::best()).unwrap(), expected);
    assert!(stale.iter().all(|path| !path.exists()));
    let found = sealing.take_outputs();
    sealing.run(Kernel::best()).unwrap();
    assert!(sealing.take_outputs() == found);
}

#[test]
fn a_label_that_is_not_in_the_field_is_named_and_nothing_is_whole() {
    for (kernel, layer) in KERNELS
        .into_iter()
        .flat_map(|kernel| [1, 2].map(|layer| (kernel, layer)))
    {
        let sealing = middling();
        sealing.run(kernel).unwrap();
        Sealing::change(&sealing.layer(layer), 20_000 * NODE as u64, &[0xff; NODE]);
        let error = sealing.run(kernel).unwrap_err();
        assert!(
            matches!(error, Error::Label { layer: found, node: 20_000 } if found == layer),
            "{error:?}"
        );
        assert!(!sealing.is_whole());
    }
}

#[test]
fn a_datum_that_is_not_in_the_field_is_named() {
    let sealing = middling();
    for path in [sealing.unsealed(), sealing.tree_d()] {
        Sealing::change(&path, 9_999 * NODE as u64, &[0xff; NODE]);
    }
    let error = sealing.run(Kernel::best()).unwrap_err();
    assert!(matches!(error, Error::Datum { node: 9_999 }), "{error:?}");
    assert!(!sealing.is_whole());
}

#[test]
fn data_that_the_tree_does_not_commit_to_is_refused() {
    let sealing = middling();
    Sealing::change(&sealing.unsealed(), 9_999 * NODE as u64, &[1]);
    let error = sealing.run(Kernel::best()).unwrap_err();
    assert!(matches!(error, Error::DataChanged { node: 9_999 }), "{error:?}");
    assert!(!sealing.is_whole());
}

#[test]
fn a_data_tree_with_another_root_is_refused() {
    let sealing = small();
    let length = fs::metadata(sealing.tree_d()).unwrap().len();
    Sealing::change(&sealing.tree_d(), length - 1, &[8]);
    let error = sealing.run(Kernel::best()).unwrap_err();
    assert!(matches!(error, Error::DataTreeRoot { .. }), "{error:?}");
}

/// Checked before anything of an earlier run is removed.
#[test]
fn an_input_that_is_missing_or_not_whole_is_refused_and_what_was_there_stays() {
    let sealing = small();
    sealing.run(Kernel::best()).unwrap();
    for path in [sealing.layer(1), sealing.layer(2), sealing.unsealed(), sealing.tree_d()] {
        let whole = fs::read(&path).unwrap();
        for length in [0, whole.len() - NODE, whole.len() - 1, whole.len() + 1] {
            fs::write(&path, [&whole[..], &[0]].concat().split_at(length).0).unwrap();
            let error = sealing.run(Kernel::best()).unwrap_err();
            assert!(
                matches!(&error, Error::WrongLength { path: wrong, .. } if *wrong == path),
                "{error:?}"
            );
        }
        fs::remove_file(&path).unwrap();
        let error = sealing.run(Kernel::best()).unwrap_err();
        assert!(
            matches!(&error, Error::Io { path: missing, .. } if *missing == path),
            "{error:?}"
        );
        fs::write(&path, whole).unwrap();
    }
    assert!(sealing.is_whole() && sealing.sealed().exists());
}

#[test]
fn the_data_is_never_overwritten_by_its_replica() {
    let sealing = small();
    let (cache, unsealed) = (sealing.cache(), sealing.unsealed());
    let (stop, data) = (AtomicBool::new(false), fs::read(&unsealed).unwrap());
    let through_link = sealing.dir.path().join("link");
    std::os::unix::fs::symlink(&unsealed, &through_link).unwrap();
    for sealed in [unsealed.clone(), sealing.cache().join("../unsealed"), through_link] {
        let (cache, unsealed, sealed) = (cache.as_path(), unsealed.as_path(), sealed.as_path());
        let sector = Sector {
            layout: sealing.layout,
            cache,
            unsealed,
            sealed,
            comm_d: COMM_D,
        };
        let error = pre_commit2(&sector, Kernel::best(), &stop, &|_, _| {}).unwrap_err();
        assert!(matches!(error, Error::SameFile { .. }), "{error:?}");
    }
    assert!(fs::read(&unsealed).unwrap() == data);
}

/// Where there is no room, or no permission, there is an error.
#[test]
fn an_output_that_cannot_be_created_is_an_error() {
    let sealing = small();
    fs::create_dir(sealing.sealed()).unwrap();
    assert!(matches!(sealing.run(Kernel::best()), Err(Error::Io { .. })));
    assert!(!sealing.is_whole());
}
