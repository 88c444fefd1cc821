//! A full disk and a process without file descriptors: an honest error, nothing half done, and on it goes when there is room.

use super::contract::{get, put, SCHEMA, THINGS};
use super::*;
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

/// A file system of 16 MiB; `None` where it may not be mounted.
pub(crate) fn small_disk() -> Option<Mounted> {
    let dir = tempfile::tempdir().unwrap();
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=16m", "sealdrop-test"])
        .arg(dir.path())
        .output();
    match mount {
        Ok(done) if done.status.success() => Some(Mounted(dir)),
        _ => {
            eprintln!("left out: a file system may not be mounted here");
            None
        }
    }
}

pub(crate) struct Mounted(tempfile::TempDir);

impl Mounted {
    pub fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    /// Takes what is free, with a file that is returned.
    pub fn fill(&self) -> std::path::PathBuf {
        use std::io::Write;
        let path = self.0.path().join("ballast");
        let mut ballast = std::fs::File::create(&path).unwrap();
        while ballast.write_all(&[0; 4096]).is_ok() {}
        path
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_an_honest_error_and_writing_goes_on_when_there_is_room() {
    let Some(disk) = small_disk() else { return };
    let store = Sqlite::open(&disk.0.path().join("x/things.db"), &SCHEMA, Sharing::Alone).unwrap();
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
    let again = Sqlite::open(&disk.0.path().join("x/things.db"), &SCHEMA, Sharing::Alone).unwrap();
    assert_eq!(get(&again, b"after"), Some(vec![2]));
}

/// The process that runs one test alone, with a variable that tells it so.
pub(crate) fn child(name: &str, variable: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]).env(variable, "1");
    command
}

/// Runs one test again in a process of its own.
pub(crate) fn alone(name: &str, variable: &str) {
    let run = child(name, variable).output();
    let output = run.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// Opens files until no more may be, and returns them.
pub(crate) fn exhaust_files() -> Vec<std::fs::File> {
    use nix::sys::resource::{getrlimit, setrlimit, Resource};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 128.min(hard), hard).unwrap();
    std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect()
}

#[test]
fn without_free_file_descriptors_what_is_open_still_reads_and_writes() {
    const VARIABLE: &str = "SEALDROP_TEST_WITHOUT_FILES";
    if std::env::var_os(VARIABLE).is_none() {
        return alone(
            "open_database::faults::without_free_file_descriptors_what_is_open_still_reads_and_writes",
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
