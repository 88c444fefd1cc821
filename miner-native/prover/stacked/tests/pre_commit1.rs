//! Pre-commit 1 against filecoin-proofs' own, file by file.
#![allow(clippy::unwrap_used)] // What tests share: what goes wrong fails the test.

mod labelling;

use filecoin_proofs::constants::{DefaultPieceHasher, SectorShape2KiB, SectorShape32GiB, SectorShape8MiB};
use labelling::{parents, with_options, Sealing, KERNELS, PROVER, SECTOR, TICKET};
use sealdrop_stacked::pre_commit1::{
    compressions, label_last_layer, measure_compression_ns, pre_commit1_together, Error, Options,
};
use sealdrop_stacked::pre_commit2::{Layout, Shape};
use sealdrop_stacked::Sha256Kernel;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Mutex;
use storage_proofs_core::api_version::ApiVersion;
use storage_proofs_core::drgraph::BASE_DEGREE;
use storage_proofs_core::merkle::MerkleTreeTrait;
use storage_proofs_core::proof::ProofScheme;
use storage_proofs_porep::stacked::{generate_replica_id, Challenges, SetupParams, StackedDrg, EXP_DEGREE};

fn small() -> Sealing {
    Sealing::new(Layout::of_sector(2 << 10).unwrap(), 5)
}

/// Eight blocks a layer, of a size without known digests.
fn middling() -> Sealing {
    Sealing::new(Layout::new(1 << 15, 2, Shape::Base, 2).unwrap(), 5)
}

#[test]
fn a_sector_of_2_kib_has_the_librarys_files() {
    small().compare::<SectorShape2KiB>();
}

#[test]
fn a_sector_of_8_mib_has_the_librarys_files() {
    Sealing::new(Layout::of_sector(8 << 20).unwrap(), 6).compare::<SectorShape8MiB>();
}

#[test]
fn eleven_layers_are_the_librarys() {
    type Shape32GiB = SectorShape32GiB;
    let sealing = Sealing::new(Layout::new(8 * 512, 11, Shape::Sub8, 2).unwrap(), 8);
    let identity = &sealing.identity;
    let own = KERNELS.map(|kernel| {
        sealing.run(kernel());
        let mut files = sealing.take();
        files.remove("sc-02-data-tree-d.dat").unwrap();
        files
    });
    let setup = SetupParams {
        nodes: identity.layout.nodes(),
        degree: BASE_DEGREE,
        expansion_degree: EXP_DEGREE,
        porep_id: identity.porep_id,
        challenges: Challenges::new_interactive(1),
        num_layers: 11,
        api_version: ApiVersion::V1_1_0,
        api_features: vec![],
    };
    let params = StackedDrg::<Shape32GiB, DefaultPieceHasher>::setup(&setup).unwrap();
    let replica_id = generate_replica_id::<<Shape32GiB as MerkleTreeTrait>::Hasher, _>(
        &PROVER,
        SECTOR,
        &TICKET,
        identity.comm_d,
        &identity.porep_id,
    );
    fs::create_dir_all(sealing.cache()).unwrap();
    StackedDrg::<Shape32GiB, DefaultPieceHasher>::replicate_phase1(&params, &replica_id, sealing.cache()).unwrap();
    let library = sealing.take();
    assert_eq!(library.len(), 11);
    assert!(own.iter().all(|files| *files == library));
}

#[test]
fn parents_that_the_library_makes_are_the_same_file() {
    // Sizes of their own, so that no other test has made them.
    let layout = Layout::new(512, 2, Shape::Base, 2).unwrap();
    let sealing = Sealing::new(layout, 0x77);
    sealing.run(Sha256Kernel::best());
    let newest = |dir: &Path| {
        let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        files
            .filter(|path| fs::metadata(path).unwrap().len() == 512 * 56)
            .collect::<Vec<_>>()
    };
    let own = newest(parents());
    assert_eq!(own.len(), 1);
    let bytes = fs::read(&own[0]).unwrap();
    fs::remove_file(&own[0]).unwrap();
    let graph =
        storage_proofs_porep::stacked::StackedBucketGraph::<filecoin_hashers::poseidon::PoseidonHasher>::new_stacked(
            512,
            BASE_DEGREE,
            EXP_DEGREE,
            sealing.identity.porep_id,
            ApiVersion::V1_1_0,
        )
        .unwrap();
    graph.parent_cache().unwrap();
    assert_eq!(newest(parents()), own);
    assert!(fs::read(&own[0]).unwrap() == bytes);
}

#[test]
fn parents_that_are_not_whole_are_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let sealing = small();
    let run = || {
        let stop = AtomicBool::new(false);
        let options = Options {
            parents: dir.path(),
            kernel: Sha256Kernel::best(),
            stop: &stop,
            progress: &|_, _| {},
        };
        sealing.run_with(&options).unwrap();
        let files: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    };
    let path = run();
    let (whole, labels) = (fs::read(&path).unwrap(), sealing.take());
    let (half, mut zeros) = (&whole[..whole.len() / 2], whole.clone());
    zeros[whole.len() / 2..].fill(0);
    for damaged in [half, &zeros, &[]] {
        fs::write(&path, damaged).unwrap();
        // What a killed run leaves.
        fs::write(path.with_extension("cache.tmp"), half).unwrap();
        assert_eq!(run(), path);
        assert!(fs::read(&path).unwrap() == whole);
        assert!(sealing.take() == labels);
    }
}

#[test]
fn parents_that_are_no_nodes_of_the_graph_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let sealing = middling();
    let stop = AtomicBool::new(false);
    let options = Options {
        parents: dir.path(),
        kernel: Sha256Kernel::best(),
        stop: &stop,
        progress: &|_, _| {},
    };
    sealing.run_with(&options).unwrap();
    let path = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&path).unwrap();
    // A node's base parent is itself; an expander parent is beyond the layer. Both in the last block.
    for (place, value) in [(0, 30_000u32), (3, 30_000), (6, 1 << 15), (13, u32::MAX)] {
        let mut damaged = whole.clone();
        let at = 30_000 * 56 + 4 * place;
        damaged[at..at + 4].copy_from_slice(&value.to_le_bytes());
        fs::write(&path, damaged).unwrap();
        let refused = sealing.run_with(&options);
        assert!(matches!(refused, Err(Error::WrongParents { path: found }) if found == path));
        assert!(sealing.take().is_empty());
    }
}

#[test]
fn a_run_that_is_stopped_anywhere_leaves_nothing_and_can_be_repeated() {
    let sealing = middling();
    let expected = (sealing.run(Sha256Kernel::best()), sealing.take()).1;
    let total = 2 << 15;
    for at in [4096, 1 << 15, (1 << 15) + 4096] {
        let stop = AtomicBool::new(false);
        let last = AtomicU64::new(0);
        let options = Options {
            parents: parents(),
            kernel: Sha256Kernel::best(),
            stop: &stop,
            progress: &|done, _| {
                last.store(done, Ordering::Relaxed);
                stop.store(done >= at, Ordering::Relaxed);
            },
        };
        assert!(matches!(sealing.run_with(&options), Err(Error::Stopped)));
        assert!((at..total).contains(&last.into_inner()));
        assert!(sealing.take().is_empty());
        sealing.run(Sha256Kernel::best());
        assert!(sealing.take() == expected);
    }
    let stopped = Options {
        parents: parents(),
        kernel: Sha256Kernel::best(),
        stop: &AtomicBool::new(true),
        progress: &|_, _| panic!("progress after the stop"),
    };
    assert!(matches!(sealing.run_with(&stopped), Err(Error::Stopped)));
}

#[test]
fn whatever_is_left_in_a_cache_is_not_taken_over() {
    let sealing = small();
    let expected = (sealing.run(Sha256Kernel::best()), sealing.take()).1;
    fs::create_dir_all(sealing.cache()).unwrap();
    // Layers of another ticket, half a tree, what a killed run left, more layers; and a file of somebody else's.
    for (name, bytes) in &expected {
        let mut other = bytes.clone();
        other[40] ^= 1;
        fs::write(sealing.cache().join(name), &other).unwrap();
        fs::write(sealing.cache().join(format!("{name}.tmp")), &other).unwrap();
    }
    fs::write(sealing.cache().join("sc-02-data-tree-d.dat"), [1; 64]).unwrap();
    fs::write(sealing.cache().join("sc-02-data-layer-3.dat"), [1; 2048]).unwrap();
    fs::write(sealing.cache().join("p_aux"), [1; 64]).unwrap();
    sealing.run(Sha256Kernel::best());
    let mut found = sealing.take();
    assert_eq!(found.remove("p_aux"), Some(vec![1; 64]));
    assert!(found == expected);
}

#[test]
fn data_of_another_commitment_or_length_is_refused() {
    let mut sealing = small();
    let comm_d = std::mem::replace(&mut sealing.identity.comm_d, [7; 32]);
    let run = |sealing: &Sealing| with_options(Sha256Kernel::best(), |options| sealing.run_with(options));
    assert!(matches!(run(&sealing), Err(Error::WrongData { found, .. }) if found == comm_d));
    assert!(sealing.take().is_empty());
    sealing.identity.comm_d = comm_d;
    for length in [0, 2047, 2049] {
        fs::write(sealing.unsealed(), vec![0; length]).unwrap();
        assert!(
            matches!(run(&sealing), Err(Error::WrongLength { found, expected: 2048, .. }) if found == length as u64)
        );
    }
    fs::remove_file(sealing.unsealed()).unwrap();
    assert!(matches!(run(&sealing), Err(Error::Io { action: "open", .. })));
    assert!(sealing.take().is_empty());
}

#[test]
fn sectors_that_are_labelled_together_get_the_files_of_each_alone() {
    let layout = middling().identity.layout;
    let sealings: Vec<_> = (0..7).map(|sector| Sealing::numbered(layout, 5, sector)).collect();
    let alone: Vec<_> = sealings
        .iter()
        .map(|sealing| (sealing.run(Sha256Kernel::best()), sealing.take()).1)
        .collect();
    let sectors: Vec<_> = sealings.iter().map(Sealing::sector).collect();
    for count in [0, 2, 3, 7] {
        let told = Mutex::new(vec![]);
        let options = Options {
            parents: parents(),
            kernel: Sha256Kernel::detected(),
            stop: &AtomicBool::new(false),
            progress: &|done, total| told.lock().unwrap().push((done, total)),
        };
        let outputs = pre_commit1_together(&sectors[..count], &options).unwrap();
        assert_eq!(outputs.len(), count);
        for (sealing, alone) in sealings[..count].iter().zip(&alone) {
            assert!(sealing.take() == *alone, "{count} together");
        }
        let (told, total) = (told.into_inner().unwrap(), count as u64 * (2 << 15));
        assert!(told.is_sorted() && told.iter().all(|(_, of)| *of == total));
        assert_eq!(told.last().map_or(0, |(done, _)| *done), total);
    }
}

#[test]
fn sectors_with_several_graphs_are_not_labelled_together() {
    let (one, mut other) = (small(), small());
    other.identity.porep_id[9] = 1;
    for (a, b) in [(&one, &other), (&one, &middling())] {
        let sectors = [a.sector(), b.sector()];
        let refused = with_options(Sha256Kernel::best(), |options| {
            pre_commit1_together(&sectors, options).map(drop)
        });
        assert!(matches!(refused, Err(Error::SeveralGraphs)));
    }
}

#[test]
fn the_last_layer_alone_is_the_same_and_leaves_no_other_file() {
    for sealing in [
        middling(),
        Sealing::new(Layout::new(8 * 64, 11, Shape::Sub8, 1).unwrap(), 8),
    ] {
        sealing.run(Sha256Kernel::best());
        let files = sealing.take();
        let last = &files[&format!("sc-02-data-layer-{}.dat", sealing.identity.layout.layers())];
        fs::create_dir_all(sealing.cache()).unwrap();
        let labels = sealing.cache().join("labels");
        with_options(Sha256Kernel::best(), |options| {
            label_last_layer(&sealing.identity, &labels, options)
        })
        .unwrap();
        let found = sealing.take();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["labels"]);
        assert!(found["labels"] == *last);
    }
}

#[test]
fn a_label_is_twenty_compressions_and_one_can_be_timed() {
    let layout = Layout::of_sector(2 << 10).unwrap();
    assert_eq!(compressions(&layout), 2 * (63 * 20 + 2));
    assert!(measure_compression_ns(Sha256Kernel::best()) > 0.0);
}
