//! A full disk and a process without file descriptors: an honest error, nothing half done, and on it goes when there is room.

use super::contract::{get, put, SCHEMA, THINGS};
use super::testing::{alone, exhaust_files, power_loss, shortage, small_disk};
use super::*;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

fn fill(store: &dyn Store) -> DatabaseError {
    let long = vec![7; 100_000];
    let mut number = 0u64;
    loop {
        number += 1;
        let key = number.to_be_bytes();
        if let Err(error) = store.write(|changes| changes.put(THINGS, &key, &long)) {
            return error;
        }
        assert!(number < 10_000, "the disk has no end");
    }
}

#[test]
fn a_full_database_says_so_and_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let database = Sqlite::open(&dir.path().join("things.db"), &SCHEMA, Sharing::Alone).unwrap();
    put(&database, b"before", b"1");
    database.limit_pages(100);
    let error = fill(&database);
    assert!(error.to_string().contains("full"), "{error}");
    assert_eq!(get(&database, b"before"), Some(b"1".to_vec()), "what was kept is there");
    database.limit_pages(1_000_000);
    put(&database, b"after", b"1");
    assert_eq!(get(&database, b"after"), Some(b"1".to_vec()));
}

#[test]
fn callers_that_share_a_commit_are_all_told_that_the_disk_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let database = Arc::new(Sqlite::open(&dir.path().join("things.db"), &SCHEMA, Sharing::Alone).unwrap());
    database.limit_pages(40);
    let threads: Vec<_> = (0..16u8)
        .map(|thread| {
            let database = database.clone();
            std::thread::spawn(move || {
                let store: &dyn Store = &*database;
                let value = vec![thread; 20_000];
                let kept = store.write(|changes| changes.put(THINGS, &[thread], &value));
                (thread, kept.is_ok())
            })
        })
        .collect();
    let told: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(told.iter().any(|(_, kept)| !kept), "not all fit");
    for (thread, kept) in told {
        assert_eq!(
            get(&*database, &[thread]).is_some(),
            kept,
            "what was said of {thread} is true"
        );
    }
}

#[test]
fn a_full_disk_is_an_honest_error_and_writing_goes_on_when_there_is_room() {
    let Some(disk) = small_disk() else { return };
    let store = Sqlite::open(&disk.path().join("x/things.db"), &SCHEMA, Sharing::Alone).unwrap();
    for round in 0..3u8 {
        put(&store, b"before", &[round]);
        let ballast = disk.fill();
        let error = fill(&store);
        assert!(matches!(error, DatabaseError::Failed { .. }), "{error}");
        assert_eq!(get(&store, b"before"), Some(vec![round]));
        std::fs::remove_file(&ballast).unwrap();
        put(&store, b"after", &[round]);
        assert_eq!(get(&store, b"after"), Some(vec![round]));
        for number in 1..100u64 {
            let store: &dyn Store = &store;
            store
                .write(|changes| changes.remove(THINGS, &number.to_be_bytes()))
                .unwrap();
        }
    }
    drop(store);
    let again = Sqlite::open(&disk.path().join("x/things.db"), &SCHEMA, Sharing::Alone).unwrap();
    assert_eq!(get(&again, b"after"), Some(vec![2]));
}

#[test]
fn without_free_file_descriptors_what_is_open_still_reads_and_writes() {
    const VARIABLE: &str = "SEALDROP_TEST_WITHOUT_FILES";
    if std::env::var_os(VARIABLE).is_none() {
        return alone(
            "faults::without_free_file_descriptors_what_is_open_still_reads_and_writes",
            VARIABLE,
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("things.db");
    let store = Sqlite::open(&path, &SCHEMA, Sharing::Alone).unwrap();
    let files = exhaust_files();
    let value = vec![1; 20_000];
    // More than a log's worth: the log is written back into the database meanwhile.
    for number in 0..400u64 {
        put(&store, &number.to_be_bytes(), &value);
        assert!(get(&store, &number.to_be_bytes()).is_some());
    }
    assert!(Sqlite::open(&dir.path().join("other.db"), &SCHEMA, Sharing::Alone).is_err());
    drop(files);
    Sqlite::open(&dir.path().join("other.db"), &SCHEMA, Sharing::Alone).unwrap();
}

/// What the soak does to a daemon.
#[test]
fn the_time_of_day_of_a_steered_process_is_set_ahead_and_back() {
    let Some(library) = shortage::interposer() else {
        eprintln!("left out: there is no C compiler here");
        return;
    };
    let steering = shortage::Shortage::new();
    let told = |ahead: i64| -> i64 {
        steering.set_clock_ahead(ahead);
        let mut date = Command::new("date");
        steering.steer(date.arg("+%s"), &library);
        let output = date.output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    };
    let now = told(0);
    assert!((7200..7300).contains(&(told(7200) - now)));
    assert!((-7200..-7100).contains(&(told(-7200) - now)));
}

/// A disk lives through the records of several processes; what was removed and synced is gone, what nobody synced is lost.
#[test]
fn a_disk_holds_what_several_processes_synced() {
    let Some(library) = power_loss::interposer() else {
        eprintln!("left out: there is no C compiler here");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    std::fs::create_dir_all(root.join("kept")).unwrap();
    std::fs::write(root.join("before"), b"1").unwrap();
    let mut disk = power_loss::Disk::of(&root);
    let mut run = |script: &str| {
        let log = dir.path().join("record");
        let mut shell = Command::new("sh");
        power_loss::record(shell.args(["-c", script]).current_dir(&root), &library, &root, &log);
        assert!(shell.status().unwrap().success());
        for (_, event) in power_loss::Recording::parse(&std::fs::read(&log).unwrap()).0 {
            disk.happens(&event);
        }
        std::fs::remove_file(log).unwrap();
        let left = disk.lay_out(None, &root);
        let is_there = |name: &&str| left.path().join(Path::new(name)).is_file();
        ["before", "kept/synced", "kept/lost", "gone/synced"]
            .into_iter()
            .filter(is_there)
            .collect::<Vec<_>>()
    };
    let script = "cd $RECORD_ROOT; mkdir gone; for f in kept gone; do echo 1 > $PWD/$f/synced; \
                  sync $PWD/$f/synced; sync $PWD/$f; done; echo 1 > $PWD/kept/lost";
    assert_eq!(run(script), ["before", "kept/synced", "gone/synced"]);
    assert_eq!(run("rm -r $RECORD_ROOT/gone"), ["before", "kept/synced"]);
}
