//! Disks that are full or lose their power, processes without file descriptors, and databases of version 0.1.0, for the tests of whoever opens a database.
#![allow(clippy::unwrap_used)] // What tests share: what goes wrong fails the test.

pub mod power_loss;
#[cfg(feature = "postgres")]
mod server;
pub mod shortage;

#[cfg(feature = "postgres")]
pub use server::database;

use crate::Entry;
use std::path::Path;
use std::process::Command;

/// A library to preload, made of a source beside this file by a C compiler; `None` where there is none.
fn preloaded(source: &str, name: &str) -> Option<tempfile::TempDir> {
    let dir = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/testing").join(source);
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(dir.path().join(name));
    let made = cc.arg(source).args(["-ldl", "-lpthread"]).status();
    made.is_ok_and(|status| status.success()).then_some(dir)
}

/// The process that this command starts has the library in front of those that it has already.
fn preload(command: &mut Command, library: &Path) {
    let before = command.get_envs().find(|(name, _)| *name == "LD_PRELOAD");
    let mut all = library.as_os_str().to_owned();
    if let Some((_, Some(others))) = before {
        all.push(":");
        all.push(others);
    }
    command.env("LD_PRELOAD", all);
}

/// A file system of 16 MiB; `None` where it may not be mounted.
pub fn small_disk() -> Option<Mounted> {
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

pub struct Mounted(tempfile::TempDir);

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

/// The process that runs one test alone, with a variable that tells it so.
pub fn child(name: &str, variable: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]).env(variable, "1");
    command
}

/// Runs one test again in a process of its own.
pub fn alone(name: &str, variable: &str) {
    let run = child(name, variable).output();
    let output = run.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// Opens files until no more may be, and returns them.
pub fn exhaust_files() -> Vec<std::fs::File> {
    use nix::sys::resource::{getrlimit, setrlimit, Resource};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 128.min(hard), hard).unwrap();
    std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect()
}

/// Writes a database as version 0.1.0 did.
pub fn write_old(folder: &Path, trees: &[(Option<&str>, Vec<Entry>)]) {
    let db = sled::open(folder).expect("nobody has it open");
    for (name, entries) in trees {
        let tree = match name {
            Some(name) => db.open_tree(name).expect("a tree opens"),
            None => (*db).clone(),
        };
        for (key, value) in entries {
            tree.insert(key, value.as_slice()).expect("the disk can be written");
        }
    }
    db.flush().expect("the disk can be written");
}
