//! A full disk and a process without file descriptors: an honest error, nothing half done, and on it goes when there is room.

use super::contract::{get, put, SCHEMA, THINGS};
use super::testing::{alone, exhaust_files, small_disk};
use super::*;
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
