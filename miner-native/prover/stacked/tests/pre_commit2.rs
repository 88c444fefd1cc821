//! Pre-commit 2 against filecoin-proofs' own, file by file, on sectors of random layers: real shapes, few nodes.
#![allow(clippy::unwrap_used)] // What tests share: what goes wrong fails the test.

mod sealing;

use filecoin_proofs::constants::{
    SectorShape2KiB, SectorShape32GiB, SectorShape512MiB, SectorShape64GiB, SectorShape8MiB, SectorShapeSub2,
};
use sealdrop_poseidon::Kernel;
use sealdrop_stacked::pre_commit2::{pre_commit2, Error, Layout, Sector, Shape};
use sealing::{Sealing, COMM_D, KERNELS, NODE};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

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
    Sealing::new(Layout::of_sector(512 << 20).unwrap()).compare(Sealing::run_library::<SectorShape512MiB>);
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
            told.lock().unwrap().push((done, total));
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

/// On one thread nothing is told once it is to stop: no other job begins.
#[test]
fn no_job_begins_after_the_stop() {
    let (stop, late) = (AtomicBool::new(false), AtomicBool::new(false));
    let sealing = middling();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let stopped = pool.install(|| {
        sealing.run_with(Kernel::best(), &stop, &|done, _| {
            if done > 0 && stop.swap(true, Ordering::Relaxed) {
                late.store(true, Ordering::Relaxed);
            }
        })
    });
    assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
    assert!(!late.into_inner());
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
